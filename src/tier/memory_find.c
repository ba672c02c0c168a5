/* What memory answers at once (memory_find.h). */
#include "nearside/tier/memory_find.h"

#include "nearside/cache/memory.h"
#include "nearside/tier/tier.h"

struct entry *
memory_find(struct worker *w, const struct question *q)
{
    struct memory *memory = tier_memory(w);
    struct memory_note note;
    struct entry *entry;

    MUST_OBJ(q, QUESTION_MAGIC);
    if (memory == NULL || memory_get(memory, &q->key, &entry, &note) != RC_OK) {
        return NULL;
    }
    if (worker_wall_ms(w) >= entry->stale_until_ms) {
        entry_unref(&entry);
    }
    return entry;
}
