/*
 * Addresses of a server: sets of them, and who is dialled next.
 *
 * Law: an address is made once and then handed from set to set for as long as
 * the name has it, so that pointers are compared and its rest survives.
 */
#include "nearside/server/addresses.h"

#include <assert.h>
#include <stdlib.h>

/* --- one --------------------------------------------------------------- */

static struct origin_address *
address_new(const struct address *at, uint16_t port)
{
    struct origin_address *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        return NULL;
    }
    a->magic = ORIGIN_ADDRESS_MAGIC;
    atomic_init(&a->refs, 1);
    a->address = *at;
    if (port != 0) {
        address_set_port(&a->address, port);
    }
    return a;
}

struct origin_address *
origin_address_ref(struct origin_address *a)
{
    MUST_OBJ(a, ORIGIN_ADDRESS_MAGIC);
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void
origin_address_unref(struct origin_address **pa)
{
    struct origin_address *a = *pa;

    MUST_OBJ(a, ORIGIN_ADDRESS_MAGIC);
    *pa = NULL;
    if (atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1) {
        a->magic = 0;
        free(a);
    }
}

/* Of one port, as all of a set are. */
static bool
is_at(const struct origin_address *a, const struct address *at)
{
    const struct address *own = &a->address;

    if (own->u.any.sa_family != at->u.any.sa_family) {
        return false;
    }
    switch (own->u.any.sa_family) {
    case AF_INET:
        return own->u.v4.sin_addr.s_addr == at->u.v4.sin_addr.s_addr;
    case AF_INET6:
        return own->u.v6.sin6_scope_id == at->u.v6.sin6_scope_id &&
               memcmp(&own->u.v6.sin6_addr, &at->u.v6.sin6_addr,
                   sizeof(at->u.v6.sin6_addr)) == 0;
    default: /* a unix socket has no name that could change */
        return false;
    }
}

/* --- sets -------------------------------------------------------------- */

static struct origin_address *
find(const struct origin_addresses *set, const struct address *at)
{
    for (unsigned i = 0; set != NULL && i < set->count; i++) {
        if (is_at(set->items[i], at)) {
            return set->items[i];
        }
    }
    return NULL;
}

/* Once, however often it was found. */
static bool
add(struct origin_addresses *set, const struct address *at, uint16_t port,
    const struct origin_addresses *before)
{
    struct origin_address *known = find(before, at);
    struct origin_address *a;

    MUST(set->count < ADDRESSES_MAX);
    if (find(set, at) != NULL) {
        return true;
    }
    a = known != NULL ? origin_address_ref(known) : address_new(at, port);
    if (a == NULL) {
        return false;
    }
    set->items[set->count++] = a;
    return true;
}

struct origin_addresses *
origin_addresses_new(const struct addresses *found, uint16_t port,
    const struct origin_addresses *before)
{
    struct origin_addresses *set = calloc(
        1, sizeof(*set) + found->count * sizeof(struct origin_address *));

    MUST(found->count > 0);
    MUST(found->count <= ADDRESSES_MAX);
    if (set == NULL) {
        return NULL;
    }
    set->magic = ORIGIN_ADDRESSES_MAGIC;
    atomic_init(&set->refs, 1);
    for (unsigned i = 0; i < found->count; i++) {
        if (!add(set, &found->items[i], port, before)) {
            origin_addresses_unref(&set);
            return NULL;
        }
    }
    return set;
}

struct origin_addresses *
origin_addresses_ref(struct origin_addresses *set)
{
    MUST_OBJ(set, ORIGIN_ADDRESSES_MAGIC);
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void
origin_addresses_unref(struct origin_addresses **pset)
{
    struct origin_addresses *set = *pset;

    if (set == NULL) {
        return;
    }
    MUST_OBJ(set, ORIGIN_ADDRESSES_MAGIC);
    *pset = NULL;
    if (atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) == 1) {
        for (unsigned i = 0; i < set->count; i++) {
            origin_address_unref(&set->items[i]);
        }
        set->magic = 0;
        free(set);
    }
}

static int
index_of(const struct origin_addresses *set, const struct origin_address *a)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (set->items[i] == a) {
            return (int)i;
        }
    }
    return -1;
}

bool
origin_addresses_have(
    const struct origin_addresses *set, const struct origin_address *a)
{
    MUST_OBJ(set, ORIGIN_ADDRESSES_MAGIC);
    MUST_OBJ(a, ORIGIN_ADDRESS_MAGIC);
    return index_of(set, a) >= 0;
}

bool
origin_addresses_are_same(
    const struct origin_addresses *one, const struct origin_addresses *other)
{
    MUST_OBJ(one, ORIGIN_ADDRESSES_MAGIC);
    MUST_OBJ(other, ORIGIN_ADDRESSES_MAGIC);
    if (one->count != other->count) {
        return false;
    }
    for (unsigned i = 0; i < one->count; i++) {
        if (index_of(other, one->items[i]) < 0) {
            return false;
        }
    }
    return true;
}

uint64_t
origin_addresses_mask(uint64_t bits, const struct origin_addresses *from,
    const struct origin_addresses *to)
{
    uint64_t out = 0;

    MUST_OBJ(from, ORIGIN_ADDRESSES_MAGIC);
    MUST_OBJ(to, ORIGIN_ADDRESSES_MAGIC);
    for (unsigned i = 0; i < from->count; i++) {
        int at = index_of(to, from->items[i]);

        if ((bits >> i & 1) != 0 && at >= 0) {
            out |= UINT64_C(1) << at;
        }
    }
    return out;
}

/* --- who is next ------------------------------------------------------- */

/* May it be dialled? Of all who find its rest over, one may. */
static bool
may_try(struct origin_address *a, int64_t now_ms, int64_t try_ms)
{
    int64_t until_ms = atomic_load(&a->rest_until_ms);

    MUST(try_ms > 0);
    if (until_ms == 0) {
        return true;
    }
    return until_ms <= now_ms &&
           atomic_compare_exchange_strong(
               &a->rest_until_ms, &until_ms, now_ms + try_ms);
}

int
origin_addresses_next(struct origin_addresses *set, unsigned from, uint64_t but,
    int64_t now_ms, int64_t try_ms)
{
    int64_t first_ms = INT64_MAX;
    int first = -1;

    MUST_OBJ(set, ORIGIN_ADDRESSES_MAGIC);
    static_assert(ADDRESSES_MAX <= 64, "a set fits a mask");
    for (unsigned n = 0; n < set->count; n++) {
        unsigned i = (from + n) % set->count;
        int64_t until_ms;

        if ((but >> i & 1) != 0) {
            continue;
        }
        if (may_try(set->items[i], now_ms, try_ms)) {
            return (int)i;
        }
        until_ms = atomic_load(&set->items[i]->rest_until_ms);
        if (until_ms < first_ms) {
            first_ms = until_ms;
            first = (int)i;
        }
    }
    return first;
}
