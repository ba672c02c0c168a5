/* The readers of the kinds, each as conf_value_read, and what they share. */
#ifndef APP_CONF_VALUE_READ_H
#define APP_CONF_VALUE_READ_H

#include "nearside/app/conf/value/value.h"

/* How many digits s begins with. */
size_t conf_digits_len(struct slice s);

#define KIND(name, read)                                                       \
    enum rc read(const struct conf_reading *r) RC_MUST_CHECK;
#include "nearside/app/conf/value/kind.def"
#undef KIND

#endif
