/* What tests ask of addresses. */
#ifndef TESTS_SUPPORT_ADDRESS_H
#define TESTS_SUPPORT_ADDRESS_H

#include "nearside/net/address.h"

static inline bool
address_eq(const struct address *a, const struct address *b)
{
    return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

#endif
