/* What Redis says of a fetch lease. */
#ifndef LEASE_LEASE_INSIDE_H
#define LEASE_LEASE_INSIDE_H

#include "nearside/lease/lease.h"

/* The reply to the SET that asked for it. */
enum lease_state lease_taken_as(
    const struct lease *lease, enum rc rc, const struct redis_reply *reply);

#endif
