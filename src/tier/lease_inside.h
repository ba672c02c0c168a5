/* What Redis says of a fetch lease. */
#ifndef TIER_LEASE_INSIDE_H
#define TIER_LEASE_INSIDE_H

#include "nearside/tier/lease.h"

/* The reply to the SET that asked for it. */
enum lease_state lease_taken_as(
    const struct lease *lease, enum rc rc, const struct redis_reply *reply);

#endif
