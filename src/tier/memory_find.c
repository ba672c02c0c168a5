/* What memory answers at once (memory_find.h). */
#include "nearside/tier/memory_find.h"

#include "nearside/cache/memory.h"
#include "nearside/tier/tier.h"

#include "tier/beside.h"

struct entry *
memory_find(struct worker *w, const struct question *q)
{
    struct memory *memory = tier_memory_for(w, q);
    uint32_t look = w->redis == NULL ? 0 : near_look(w->redis);
    struct memory_note note;
    struct entry *entry;

    MUST_OBJ(q, QUESTION_MAGIC);
    if (memory == NULL || memory_get(memory, &q->key, &entry, &note) != RC_OK) {
        return NULL;
    }
    if (worker_wall_ms(w) >= entry_stale_until_ms(entry) ||
        (w->redis != NULL && !beside_is_usable(w, q->key.hash, look, &note))) {
        entry_unref(&entry);
    }
    return entry;
}
