/*
 * Conditional requests (RFC 9110 13), answered by a cache from what it
 * holds: If-None-Match, If-Modified-Since, If-Range. If-Match and
 * If-Unmodified-Since are for the origin alone (RFC 9111 4.3.2).
 */
#ifndef NEARSIDE_HTTP_CONDITION_H
#define NEARSIDE_HTTP_CONDITION_H

#include "nearside/http/write.h"

/* An entity tag (RFC 9110 8.8.3). */
struct entity_tag {
    struct slice opaque; /* what stands between the quotes; a loan */
    bool is_weak;
};

/*
 * Strict: [W/] DQUOTE *etagc DQUOTE and nothing else. RC_BAD: no such tag;
 * *out is then untouched.
 */
enum rc entity_tag_parse(struct slice s, struct entity_tag *out) RC_MUST_CHECK;

/* RFC 9110 8.8.3.2. */
bool entity_tag_matches_strongly(
    const struct entity_tag *a, const struct entity_tag *b);
bool entity_tag_matches_weakly(
    const struct entity_tag *a, const struct entity_tag *b);

enum condition {
    CONDITION_FULL,         /* the stored response as it is, without Range */
    CONDITION_RANGE,        /* a GET whose Range counts: see range.h */
    CONDITION_NOT_MODIFIED, /* 304 */
    CONDITION_PASS,         /* not to be answered from here: forward it */
};

/* The response that would be sent without any condition. */
struct condition_stored {
    unsigned status;
    struct slice lines; /* its stored field lines */
    int64_t received_s; /* wall: stands for a Date that is not there */
};

/*
 * By the precedence of RFC 9110 13.2.2. CONDITION_PASS: If-Match or
 * If-Unmodified-Since is there, or the method is neither GET nor HEAD.
 * Conditions count where the status is 2xx, a Range where it is 200
 * (13.2.1, 14.2). A malformed or mixed ("*" and more) If-None-Match matches
 * nothing; a malformed or repeated date is ignored, in If-Range false. now_s
 * is for the century of two-digit years.
 */
enum condition condition_evaluate(const struct head *request,
    const struct condition_stored *stored, int64_t now_s);

/*
 * The preconditions of a request that validates what is stored (RFC 9111
 * 4.3.1): "if-none-match: " with its ETag, "if-modified-since: " with its
 * Last-Modified, a line for each that is there once and well-formed.
 * False: nothing to validate with; nothing was written.
 */
bool condition_write_validators(struct writer *w, struct slice lines);

/*
 * Of the stored lines, those that a 304 repeats (RFC 9110 15.4.5): what
 * updates another's stored copy, and Last-Modified where there is no ETag.
 */
void condition_write_not_modified(struct writer *w, struct slice lines);

#endif
