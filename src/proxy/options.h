/* OPTIONS, on its way or at its end here. */
#ifndef PROXY_OPTIONS_H
#define PROXY_OPTIONS_H

#include "proxy/request.h"

/* The step for a request with OPTIONS: on to the origin, or answered here. */
const struct step *options_route(struct request *r);

/*
 * How many servers an OPTIONS may still pass, us included. RC_MISS: it does
 * not say, or is no OPTIONS. RC_BAD: nothing one could count down.
 */
enum rc options_hops(const struct head *head, uint64_t *out_hops) RC_MUST_CHECK;

extern const struct step step_options;

#endif
