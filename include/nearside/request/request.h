/*
 * Requests, as a stream sees them: made when a head is whole, told what else
 * comes by the wire, and over when the answer has left or the client has.
 */
#ifndef NEARSIDE_REQUEST_REQUEST_H
#define NEARSIDE_REQUEST_REQUEST_H

#include "nearside/request/stream.h"
#include "nearside/rules/question.h"
#include "nearside/work/worker.h"

struct request;

/* What a stream knows of a request. */
struct request_opts {
    struct question_opts question;
    int64_t start_us; /* when its first byte came */
};

/* From the worker's free list; one reference, the stream's. NULL: no memory. */
struct request *request_new(struct worker *worker, struct stream *stream,
    const struct request_opts *opts);

/* --- what the stream tells --- */

/* Serves it. An answer may be given before this returns. */
void request_start(struct request *r);

/* Content; returns how much was taken. Less than all: the stream waits for
   want_body. */
size_t request_on_body(struct request *r, struct slice data);
void request_on_body_end(struct request *r);

/* The client's content is malformed, too large or late, and no answer has
   begun: the answer is one of `status`. */
void request_on_body_failed(struct request *r, unsigned status);

/* The answer has left; the stream lets go of the request. */
void request_on_sent(struct request *r, uint64_t body_bytes);

/* The stream is gone before that. */
void request_on_gone(struct request *r, uint64_t body_bytes);

/* The source of the answer has failed before a byte of it has left, and the
   stream has forgotten it. True: there is another answer. */
bool request_on_source_failed(struct request *r) RC_MUST_CHECK;

/* A part of the answer has not left in this turn of the loop, because the
   client is slow or the answer long. */
void request_on_blocked(struct request *r);

/* An answer of our own to a head that could not be parsed. fault: the name of
   what is wrong with it, for the log; NULL: nothing, it is late or there is no
   room for it. */
void request_refuse(
    struct request *r, unsigned status, const char *detail, const char *fault);

#endif
