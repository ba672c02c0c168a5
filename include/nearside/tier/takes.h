/* How long a value Redis takes, as far as is known. */
#ifndef NEARSIDE_TIER_TAKES_H
#define NEARSIDE_TIER_TAKES_H

#include "nearside/work/worker.h"

/*
 * A server has refused a value of that length as too long. Or its connection
 * was lost while the value was sent (is_said is false), which may have been for
 * that reason: it is when it happens again. True: from now on no such value is
 * sent, for a while.
 */
bool takes_refused(struct worker *w, size_t len, bool is_said);

/* The longest value that may be sent; SIZE_MAX: no limit is known. */
size_t takes_max(struct worker *w);

#endif
