/* Sets of known fields, as a head's field_set: a bit for each of field.def. */
#ifndef HTTP_FIELD_BIT_H
#define HTTP_FIELD_BIT_H

#include "nearside/http/head.h"

/* id is not FIELD_OTHER. */
static inline uint64_t
field_bit(enum field_id id)
{
    return UINT64_C(1) << (id - 1);
}

/* The same for a name of field.def, as a constant. */
#define FIELD_BIT(id) (UINT64_C(1) << (FIELD_##id - 1))

/* Is the field one of a set of known ones? */
static inline bool
field_is_in(enum field_id id, uint64_t set)
{
    return id != FIELD_OTHER && (field_bit(id) & set) != 0;
}

#endif
