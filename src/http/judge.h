/* What a head says as a whole, once each of its lines is well-formed. */
#ifndef HTTP_JUDGE_H
#define HTTP_JUDGE_H

#include "nearside/http/parse.h"

/*
 * Fills what a head says beyond its lines (framing, host, keep-alive and so
 * on) from its lines. repeated: the field_set bits that came twice.
 */
enum parse_fault judge_request(
    struct head *h, const struct parse_opts *opts, uint64_t repeated);
enum parse_fault judge_response(struct head *h, uint64_t repeated);

/* Decides h->is_keep_alive of a head that has a Connection (RFC 9110 7.6.1),
   or several; its minor, fields and field_set are filled. */
enum parse_fault connection_judge(struct head *h, bool is_repeated);

#endif
