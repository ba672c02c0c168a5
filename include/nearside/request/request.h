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

/* --- hits without a request (nearside/known/known.h) --- */

/* Its answer is about to have left. What it has asked, if all that has decided
   the answer is target, field lines, route and what memory has, and what was
   found is fresh; or NULL. */
struct question *request_repeatable(const struct request *r);

/* As request_start, of one whose answer has begun to leave, from that fresh
   entry of memory. */
void request_resume_hit(struct request *r, struct entry *own_entry);

/* All of a hit's answer has left that had no request. */
struct request_hit {
    const struct question *like; /* of the same lines and route */
    struct slice target;
    uint64_t body_len;
    int64_t start_us;
};

void request_account_hit(struct worker *w, const struct stream *stream,
    const struct request_hit *hit);

/* --- heads that are refused --- */

/* An answer of our own to a head that could not be parsed. fault: the name of
   what is wrong with it, for the log; NULL: nothing, it is late or there is no
   room for it. */
void request_refuse(
    struct request *r, unsigned status, const char *detail, const char *fault);

#endif
