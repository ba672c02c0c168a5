/*
 * The head that the origin gets for a question (RFC 9110 7.6): request line
 * and fields written anew.
 */
#ifndef NEARSIDE_RULES_ORIGIN_HEAD_H
#define NEARSIDE_RULES_ORIGIN_HEAD_H

#include "nearside/rules/question.h"

struct origin_head_opts {
    bool is_for_cache;  /* the response is for everybody: this client's
                           conditions stay behind */
    bool is_for_stored; /* or says something of what is stored: the fields that
                           chose its variant are sent as they chose it */
    struct slice lines; /* further field lines */
};

/* In the arena. RC_NOMEM. */
enum rc origin_head_write(const struct question *q,
    const struct origin_head_opts *opts, struct arena *arena,
    struct slice *out) RC_MUST_CHECK;

/*
 * The servers that an OPTIONS may still pass, us included (RFC 9110 7.6.2).
 * RC_MISS: it does not say, or is no OPTIONS; with any other method
 * Max-Forwards means nothing to us. RC_BAD: it says nothing that could be
 * counted down.
 */
enum rc hops_of(const struct head *head, uint64_t *out_hops) RC_MUST_CHECK;

#endif
