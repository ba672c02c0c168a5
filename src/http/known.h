/*
 * The fields of field.def. A set of them has a bit for each, as field_set of a
 * head has. Their names are recognised fastest where they lie in a buffer that
 * goes on behind them.
 */
#ifndef HTTP_KNOWN_H
#define HTTP_KNOWN_H

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

enum {
    NAME_LEN_MIN = 2, /* of field.def and forwarding.def */
    NAME_LEN_MAX = 28,
};

/* DO(n) for each length that such a name has: with a constant length the
   compiler drops the names of all others. */
/* clang-format off */
#define EACH_NAME_LEN(DO)                                                      \
    DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12)       \
    DO(13) DO(14) DO(15) DO(16) DO(17) DO(18) DO(19) DO(20) DO(21) DO(22)      \
    DO(23) DO(24) DO(25) DO(26) DO(27) DO(28)
/* clang-format on */

/* As field_id_of; len rounded up to a multiple of 8 bytes can be read. */
enum field_id field_id_padded(const char *name, size_t len);

#endif
