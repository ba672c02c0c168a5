/*
 * Memory in the place of Redis (alone.h). In Redis a script looks and stores in
 * one step. Here the lock of the key's shard makes it one step: memory keeps a
 * response only if its key has not been dropped meanwhile, or only in the place
 * of the very entry that was found.
 *
 * A Vary record and its first variant are two puts, the record's first. A write
 * in between drops the record, and the variant that is put after it is found by
 * nobody: its key has the generation of a record that is gone.
 *
 * Variants are not counted, as they are in Redis. Memory is bounded by itself,
 * and those that are asked for once push out none that are asked for often.
 */
#include "tier/alone.h"

#include "nearside/cache/memory.h"
#include "nearside/lease/lease.h"
#include "nearside/lease/release.h"
#include "nearside/tier/tier.h"

static const struct memory_note no_note = {0};

/* --- storing ----------------------------------------------------------- */

static void
count(struct worker *w, enum rc rc)
{
    if (rc == RC_OK) {
        worker_count(w, COUNTER_STORES);
    } else if (rc == RC_MISS) {
        worker_count(w, COUNTER_STORES_FENCED);
    } else {
        worker_count_limit(w, rc == RC_LIMIT ? LIMIT_OBJECT_MAX : LIMIT_MEMORY);
    }
}

/* Is the record there still the one that chose the variant? */
static bool
is_chosen(struct memory *memory, struct question *q)
{
    struct memory_note note;
    struct entry *record;
    bool is_same;

    MUST_OBJ(q->record, ENTRY_MAGIC);
    if (memory_get(memory, &question_base(q)->key, &record, &note) != RC_OK) {
        return false;
    }
    is_same = slice_eq(entry_sum(record), entry_sum(q->record));
    entry_unref(&record);
    return is_same;
}

/* The record under the base key, as far as the order to store has one. */
static enum rc
put_record(struct memory *memory, const struct store *s, struct entry *record)
{
    MUST((s->kind == STORE_RECORD || s->kind == STORE_WIDER) ==
         (record != NULL));
    switch (s->kind) {
    case STORE_RECORD:
        return memory_put(memory, &s->lease->watch, record, &no_note);
    case STORE_WIDER:
        if (memory_has_changed(memory, &s->lease->watch)) {
            return RC_MISS;
        }
        return memory_replace(memory, &question_base(s->leased)->key,
            entry_sum(s->leased->record), record, &no_note);
    case STORE_ENTRY:
    case STORE_VARIANT:
    case STORE_RENEWED:
        break;
    }
    return RC_OK;
}

static enum rc
put_entry(struct memory *memory, const struct store *s, struct entry *entry)
{
    struct memory_watch now;

    MUST_OBJ(entry, ENTRY_MAGIC);
    switch (s->kind) {
    case STORE_RECORD:
    case STORE_WIDER:
        now = memory_watch(memory, s->q->key.hash);
        return memory_put(memory, &now, entry, &no_note);
    case STORE_VARIANT:
        if (!is_chosen(memory, s->q)) {
            return RC_MISS;
        }
        return memory_put(memory, &s->lease->watch, entry, &no_note);
    case STORE_ENTRY:
        return memory_put(memory, &s->lease->watch, entry, &no_note);
    case STORE_RENEWED:
        return memory_replace(memory, &s->q->key, s->sum, entry, &no_note);
    }
    return RC_MISS;
}

/* Has the lease ended by itself? Somebody else may have fetched and stored
   since, and what is newer stays. */
static bool
is_over(struct worker *w, const struct lease *lease)
{
    return lease != NULL && worker_now_ms(w) >= lease->until_ms;
}

void
alone_store(struct worker *w, const struct store *own_store)
{
    struct memory *memory = tier_memory(w);
    struct value value = own_store->value;
    struct value record_value = own_store->record;
    struct entry *record = NULL;
    struct entry *entry = NULL;
    enum rc rc;

    MUST(w->redis == NULL);
    MUST(memory != NULL);
    rc = is_over(w, own_store->lease) ? RC_MISS : codec_entry(&value, &entry);
    if (rc == RC_OK && record_value.bytes != NULL) {
        rc = codec_entry(&record_value, &record);
    }
    if (rc == RC_OK) {
        rc = put_record(memory, own_store, record);
    }
    if (rc == RC_OK) {
        rc = put_entry(memory, own_store, entry);
    }
    count(w, rc);
    if (own_store->lease != NULL) {
        release_lease(w, own_store->q, own_store->lease);
    }
    entry_unref(&record);
    entry_unref(&entry);
    value_free(&value);
    value_free(&record_value);
}

void
alone_delete(struct worker *w, const struct key *key, struct lease *own_lease)
{
    struct memory *memory = tier_memory(w);

    MUST(w->redis == NULL);
    lease_end(w, key->hash, own_lease);
    if (memory != NULL) {
        (void)memory_drop(
            memory, key->hash, own_lease == NULL ? NULL : &own_lease->watch);
    }
}
