/* What a worker has sent to Redis and nobody waits for, but for deletions. */
#ifndef TESTS_UNIT_SENT_GIVEN_H
#define TESTS_UNIT_SENT_GIVEN_H

#include "nearside/tier/tier.h"

/* Every value, and every token that is given back, has its reply. */
static inline bool
nothing_is_sent(const struct worker *w)
{
    return list_is_empty(&w->tier->stores) &&
           list_is_empty(&w->lease->releases);
}

#endif
