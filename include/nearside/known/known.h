/*
 * Hits without a request. Most requests of a connection differ from the one
 * before by their target alone: the field lines come again byte for byte. What
 * follows from these lines, and from the route, is remembered, as the question
 * that was made of an earlier request and was answered from memory. A later one
 * with the same lines asks memory by its own key, and if there is a fresh entry
 * its answer is ready, before there is a question or a request of its own.
 *
 * Anything else is served as if this were not here. So this never answers
 * anything that a request would answer otherwise, it answers at once, or not at
 * all.
 */
#ifndef NEARSIDE_KNOWN_KNOWN_H
#define NEARSIDE_KNOWN_KNOWN_H

#include <sys/uio.h>

#include "nearside/request/request.h"

#define KNOWN_MAGIC UINT32_C(0x6e6b6e6f)

struct known;

/* Of a worker. NULL: no memory. */
struct known *known_new(void);
void known_free(struct known **known);

/* What a connection remembers of itself; all zero at first. */
struct known_client {
    uint8_t kind;    /* where its lines are remembered; 0: nowhere */
    bool is_trusted; /* by the conf, with `kind` */
};

/* A request of the client's is over that has asked that (request_repeatable);
   NULL: nothing is learned. */
void known_learn(
    struct known *known, struct question *q, struct known_client *client);

enum {
    KNOWN_TEXT_MAX = 2048, /* an answer's head, and a body that fits behind */
};

/* An answer that is ready to leave. */
struct known_hit {
    struct iovec iov[2]; /* into text and entry */
    int iov_len;
    size_t size;           /* bytes of the answer, */
    size_t head_len;       /* and of the request's head */
    struct slice target;   /* into the request's head */
    struct entry *entry;   /* a reference */
    struct question *like; /* what it was answered by; until the next call */
    char text[KNOWN_TEXT_MAX];
};

/* Where known_answer looks. */
struct known_asked {
    struct worker *worker;
    const struct known_client *client;
    struct slice in; /* what it has sent, from the first byte of a head on */
};

/* RC_OK: that begins with a request to which *out is the answer; the caller
   sends it. RC_MISS: not so, *out is undefined. */
enum rc known_answer(struct known *known, const struct known_asked *asked,
    struct known_hit *out) RC_MUST_CHECK;

/* All of it has left: it is counted and logged. Where not all of it has, the
   caller has a request made of the same head, and request_resume_hit gives it
   the entry. */
void known_sent(struct worker *w, const struct stream *stream,
    struct known_hit *hit, int64_t start_us);

#endif
