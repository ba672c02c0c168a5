/* Error names, for this room's labels. */
#ifndef ORIGIN_ERROR_INSIDE_H
#define ORIGIN_ERROR_INSIDE_H

#include "nearside/origin/exchange.h"

/* As in error.def: "REFUSED". */
const char *origin_error_name(enum origin_error error);

#endif
