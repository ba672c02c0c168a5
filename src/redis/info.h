/* What a server says of itself in INFO. Pure. */
#ifndef REDIS_INFO_H
#define REDIS_INFO_H

#include "nearside/base/slice.h"

/* The value of a line "name:value\r\n"; empty: there is none. */
struct slice info_value(struct slice info, struct slice name);

#endif
