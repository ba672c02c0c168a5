/*
 * Entries are counted. Whoever holds a reference may read the entry from any
 * thread; nobody changes it. The last owner to leave frees it.
 */
#include "nearside/cache/entry.h"

#include <malloc.h>
#include <stdlib.h>

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
    free(entry);
}

size_t
entry_size(const struct entry *e)
{
    MUST_OBJ(e, ENTRY_MAGIC);
    MUST(atomic_load_explicit(&e->refs, memory_order_relaxed) > 0);
    /* malloc keeps the length of a block in one word before it. */
    return malloc_usable_size((void *)(uintptr_t)e) + sizeof(size_t);
}
