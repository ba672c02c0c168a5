/*
 * Entries are counted. Whoever holds a reference may read the entry from any
 * thread; nobody changes it. The last owner to leave frees it.
 */
#include "nearside/cache/entry.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "head.h"

enum {
    /* One that is larger is not copied to spare a few bytes. */
    COPY_MAX = 16 << 10,
};

/* The bytes as malloc gave them. */
static char *
block_of(const struct entry *e)
{
    char *at = (char *)(uintptr_t)e;

    MUST_OBJ(e, ENTRY_MAGIC);
    return e->is_in_value ? at + entry_head_len(e) - sizeof(struct head) : at;
}

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
    char *block;

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
    block = block_of(entry);
    entry->magic = 0;
    free(block);
}

size_t
entry_size(const struct entry *e)
{
    MUST(atomic_load_explicit(&e->refs, memory_order_relaxed) > 0);
    /* malloc keeps the length of a block in one word before it. */
    return malloc_usable_size(block_of(e)) + sizeof(size_t);
}

/* All but the count of references is the same. */
static struct entry *
copy_of(const struct entry *e)
{
    struct slice sum = entry_sum(e);
    const size_t from = offsetof(struct entry, refs) + sizeof(e->refs);
    size_t len = (size_t)(sum.ptr + sum.len - (const char *)e);
    char *block = malloc(len);
    struct entry *copy = (struct entry *)(void *)block;

    MUST(len >= sizeof(*e) + ENTRY_SUM_LEN);
    if (block == NULL) {
        return NULL;
    }
    static_assert(offsetof(struct entry, refs) == 0, "the rest is copied");
    memcpy(block + from, (const char *)e + from, len - from);
    atomic_init(&copy->refs, 1);
    copy->is_in_value = false;
    MUST_OBJ(copy, ENTRY_MAGIC);
    return copy;
}

struct entry *
entry_ref_to_keep(struct entry *e)
{
    struct entry *copy = NULL;

    MUST_OBJ(e, ENTRY_MAGIC);
    if (e->is_in_value && entry_size(e) <= COPY_MAX) {
        copy = copy_of(e);
    }
    return copy != NULL ? copy : entry_ref(e);
}
