/* What memory answers at once (memory_find.h). */
#include "nearside/tier/memory_find.h"

#include "nearside/cache/memory.h"
#include "nearside/tier/tier.h"

#include "tier/beside.h"

enum {
    YOUNG_MS = 2000, /* the bound of what a write may leave unseen */
};

struct entry *
memory_find(struct worker *w, const struct question *q)
{
    struct memory *memory = tier_memory_for(w, q);
    struct memory_note note;
    struct entry *entry;
    uint32_t look;

    MUST_OBJ(q, QUESTION_MAGIC);
    if (memory == NULL) {
        return NULL;
    }
    look = w->redis == NULL ? 0 : near_look(w->redis);
    if (memory_get(memory, &q->key, &entry, &note) != RC_OK) {
        return NULL;
    }
    if (worker_wall_ms(w) >= entry_stale_until_ms(entry) ||
        (w->redis != NULL && !beside_is_usable(w, q->key.hash, look, &note))) {
        entry_unref(&entry);
    }
    return entry;
}

/* Was it fetched so lately that whoever asks for it now gets nothing that is
   older than the bound? */
static bool
is_young(const struct worker *w, const struct entry *entry)
{
    int64_t sent_ms = entry_received_ms(entry) - (int64_t)entry_cost_ms(entry);
    int64_t now_ms = worker_wall_ms(w);

    return sent_ms <= now_ms && now_ms < sent_ms + YOUNG_MS;
}

struct entry *
memory_find_unverified(
    struct worker *w, const struct question *q, bool *out_may_answer)
{
    struct memory *memory = tier_memory_for(w, q);
    struct memory_note note;
    struct entry *entry;

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->reads != NULL);
    *out_may_answer = false;
    if (w->redis == NULL || memory == NULL ||
        memory_get(memory, &q->key, &entry, &note) != RC_OK) {
        return NULL;
    }
    if (worker_wall_ms(w) >= entry_stale_until_ms(entry) ||
        beside_is_void(w, &note)) {
        entry_unref(&entry);
        return NULL;
    }
    *out_may_answer =
        is_young(w, entry) ||
        (q->reads->redis_down == ROUTE_REDIS_DOWN_STALE &&
            beside_age_ms(w, &note) <= q->reads->redis_down_max_ms);
    return entry;
}
