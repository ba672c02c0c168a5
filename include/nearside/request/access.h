/* What the access log is told of a request. */
#ifndef NEARSIDE_REQUEST_ACCESS_H
#define NEARSIDE_REQUEST_ACCESS_H

#include "nearside/base/slice.h"
#include "nearside/net/address.h"

struct log_ring;

/* What is known of a request that is over; slices end with the call. */
struct request_access {
    int64_t wall_ms;   /* when it came */
    int64_t took_us;   /* until the answer had left */
    int64_t queued_us; /* of that, in the queue for a connection to the origin,
                          by whoever asked it */
    struct address peer;
    struct slice method; /* empty: the head could not be read */
    struct slice target;
    struct slice version; /* "HTTP/1.1"; empty: a refused head has none */
    struct slice host;
    struct slice referer;
    struct slice user_agent;
    unsigned status;    /* 0: the client left before an answer */
    uint64_t bytes;     /* of the body */
    struct slice route; /* title; empty: none */
    const char *result; /* result.def's word */
    const char *tier;   /* "shared", "origin", "-" */
    const char *detail; /* NULL: none */
    const char *fault;  /* fault.def's name: the head was refused, and method,
                           target and host are what can be told of it; NULL */
};

/* Makes the access line; NULL: none are wanted. Any worker's thread. */
typedef void (*request_access_fn)(
    struct log_ring *ring, const struct request_access *access);

#endif
