/*
 * The one decision about a stored response that was found: what may become of
 * it for a question, now. It is the same whichever tier it was found in.
 */
#ifndef NEARSIDE_RULES_FOUND_H
#define NEARSIDE_RULES_FOUND_H

#include "nearside/rules/question.h"

enum found {
    FOUND_FRESH,        /* it answers */
    FOUND_STALE,        /* it answers, past its time: the request allows it */
    FOUND_RENEW,        /* it answers, and is to be renewed in the background */
    FOUND_VALIDATE,     /* each use is to be validated */
    FOUND_OUTDATED,     /* it is to be validated, and may stand in */
    FOUND_UNWANTED,     /* fresh, and the request wants it validated */
    FOUND_UNAVAILABLE,  /* it may not be used, nor the origin asked */
    FOUND_RECORD,       /* a Vary record: each chooses its own variant */
    FOUND_HIT_FOR_MISS, /* it is not to be stored: ask the origin alone */
    FOUND_FOREIGN,      /* made for those who are keyed otherwise: as if there
                           was nothing, but nothing takes its place */
    FOUND_NOTHING,      /* a Vary record or hit-for-miss entry that is over */
    FOUND_NOT_FOR_IT,   /* not for a request with these credentials */
};

/*
 * For one who asks; or, with is_anybody, for all who wait for a flight, whose
 * own directives and credentials do not count here.
 */
enum found found_judge(const struct question *q, const struct entry *entry,
    bool is_anybody, int64_t now_ms);

/* The same of an entry that memory has while Redis cannot say what is stored,
   of which that was found. may_answer: it may answer all the same, while it is
   fresh. */
enum found found_unverified(enum found found, bool may_answer);

#endif
