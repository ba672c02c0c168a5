/* OPTIONS, on its way or at its end here. */
#ifndef PROXY_OPTIONS_H
#define PROXY_OPTIONS_H

#include "proxy/request.h"

/* The step for a request with OPTIONS: on to the origin, or answered here. */
const struct step *options_route(struct request *r);

extern const struct step step_options;

#endif
