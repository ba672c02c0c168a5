/*
 * Entries are counted. Whoever holds a reference may read it from any
 * thread; nobody changes it. The last owner to leave frees the entry and
 * the blob its slices point into.
 */
#include "nearside/memory/entry.h"

#include <stdlib.h>

#include "nearside/base/check.h"

struct entry *
entry_ref(struct entry *e)
{
    uint32_t before;

    MUST_OBJ(e, ENTRY_MAGIC);
    /* The caller's own reference keeps it alive: no order is needed. */
    before = atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    MUST(before > 0);
    MUST(before < UINT32_MAX);
    return e;
}

void
entry_unref(struct entry **e)
{
    struct entry *entry = *e;
    uint32_t before;

    if (entry == NULL) {
        return;
    }
    MUST_OBJ(entry, ENTRY_MAGIC);
    *e = NULL;
    /* Every owner's reads come before the free. */
    before = atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel);
    MUST(before > 0);
    if (before > 1) {
        return;
    }
    entry->magic = 0;
    free((void *)(uintptr_t)entry->blob.ptr);
    free(entry);
}
