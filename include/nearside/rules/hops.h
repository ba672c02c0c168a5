/* How many servers an OPTIONS may still pass (RFC 9110 7.6.2). */
#ifndef NEARSIDE_RULES_HOPS_H
#define NEARSIDE_RULES_HOPS_H

#include "nearside/http/head.h"

/*
 * The servers that an OPTIONS may still pass, us included. RC_MISS: it does
 * not say, or is no OPTIONS; with any other method Max-Forwards means nothing
 * to us. RC_BAD: it says nothing that could be counted down.
 */
enum rc hops_of(const struct head *head, uint64_t *out_hops) RC_MUST_CHECK;

#endif
