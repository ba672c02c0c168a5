/* The names of field.def, for tests that take one by its id. */
#ifndef TESTS_SUPPORT_HTTP_NAMES_H
#define TESTS_SUPPORT_HTTP_NAMES_H

#include "nearside/http/head.h"

/* The lower-case name. id is not FIELD_OTHER. */
static inline struct slice
field_name_of(enum field_id id)
{
    static const struct slice names[FIELD_COUNT] = {
#define FIELD(id, name) [FIELD_##id] = {name, sizeof(name) - 1},
#include "nearside/http/field.def"
#undef FIELD
    };

    return names[id];
}

#endif
