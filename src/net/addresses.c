/* A name's addresses, shared by reference. */
#include "nearside/net/addresses.h"

#include <stdlib.h>

#include "nearside/base/check.h"

#define ADDRESSES_MAGIC UINT32_C(0x6e616473)

struct addresses *
addresses_new(const struct address *items, unsigned count)
{
    size_t size = count * sizeof(*items);
    struct addresses *addresses;

    MUST(count > 0);
    MUST(count <= ADDRESSES_MAX);
    addresses = malloc(sizeof(*addresses) + size);
    if (addresses == NULL) {
        return NULL;
    }
    addresses->magic = ADDRESSES_MAGIC;
    atomic_init(&addresses->refs, 1);
    addresses->count = count;
    memcpy(addresses->items, items, size);
    return addresses;
}

struct addresses *
addresses_ref(struct addresses *addresses)
{
    MUST_OBJ(addresses, ADDRESSES_MAGIC);
    atomic_fetch_add_explicit(&addresses->refs, 1, memory_order_relaxed);
    return addresses;
}

void
addresses_unref(struct addresses **paddresses)
{
    struct addresses *addresses = *paddresses;

    if (addresses == NULL) {
        return;
    }
    MUST_OBJ(addresses, ADDRESSES_MAGIC);
    *paddresses = NULL;
    if (atomic_fetch_sub_explicit(&addresses->refs, 1, memory_order_acq_rel) ==
        1) {
        addresses->magic = 0;
        free(addresses);
    }
}
