/*
 * The door between a request and the wire it came by. The request says what
 * to answer; the stream knows how that is framed. A stream carries one
 * request at a time and calls the request_* functions of request.h.
 */
#ifndef NEARSIDE_REQUEST_STREAM_H
#define NEARSIDE_REQUEST_STREAM_H

#include "nearside/base/slice.h"

struct address;
struct source;
struct stream;

/* All slices stay until request_on_sent. */
struct response {
    unsigned status;
    struct slice fields; /* lines, each with its CRLF */
    struct slice extra;  /* further lines, of this answer alone */
    bool has_length;
    uint64_t length;
    bool has_body; /* false for HEAD, 204, 304 */
    bool is_last;  /* the request was malformed, late or too large: where the
                      next one begins is not known, so none is read */
    struct source *source; /* with has_body; the request's */
};

struct stream_ops {
    /* Once per request; the response is borrowed until request_on_sent or
       request_on_gone, one of which follows. */
    void (*respond)(struct stream *stream, const struct response *response);
    /* A 1xx response. What the client's socket does not take at once leaves
       later. It is dropped when too many wait already, and for a client of
       HTTP/1.0, which does not know them. */
    void (*interim)(
        struct stream *stream, unsigned status, struct slice fields);
    /* Content may come: request_on_body follows. Also after a body slice
       was not taken whole. */
    void (*want_body)(struct stream *stream);
    /* Who is at the other end; for the log. */
    void (*peer)(const struct stream *stream, struct address *out);
    /* Ends the connection so that nobody takes what was sent for whole. */
    void (*abort)(struct stream *stream);
};

struct stream {
    const struct stream_ops *ops;
};

#endif
