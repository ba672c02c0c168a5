/* OPTIONS, on its way or at its end here. */
#ifndef REQUEST_STEP_OPTIONS_H
#define REQUEST_STEP_OPTIONS_H

#include "request/request_inside.h"

/* The step for a request with OPTIONS: on to the origin, or answered here. */
const struct step *options_route(struct request *r);

extern const struct step step_options;

#endif
