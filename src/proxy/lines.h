/* Field lines ("name: value\r\n", names lower-case), as entries hold them. */
#ifndef PROXY_LINES_H
#define PROXY_LINES_H

#include <stdbool.h>

#include "nearside/base/slice.h"

/* Takes the next line off *rest. False when there is none. */
bool lines_next(
    struct slice *rest, struct slice *out_name, struct slice *out_value);

/* The first value of that (lower-case) name. False: there is none. */
bool lines_find(struct slice lines, struct slice name, struct slice *out_value);

#endif
