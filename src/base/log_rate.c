/*
 * The rate limit of events. A name takes a slot and keeps it: names are
 * literals of the program, so the table is as good as static. All of it is
 * relaxed atomics: around the turn of a second one line more or less may pass,
 * but each is counted.
 */
#include "base/log_rate.h"

#include "nearside/base/check.h"

static unsigned
name_hash(const char *name)
{
    unsigned hash = 2166136261U; /* FNV-1a: names are ours, not a stranger's */

    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619U;
    }
    return hash;
}

/* Is the slot this name's, or free and now this name's? */
static bool
slot_take(struct log_rate_slot *slot, const char *name)
{
    const char *holder = NULL;

    MUST(name != NULL);
    if (atomic_compare_exchange_strong(&slot->name, &holder, name)) {
        return true;
    }
    return holder == name || strcmp(holder, name) == 0;
}

static struct log_rate_slot *
slot_of(struct log_rate *rate, const char *name)
{
    unsigned at = name_hash(name);

    for (unsigned i = 0; i < LOG_RATE_SLOTS; i++) {
        struct log_rate_slot *slot =
            &rate->slots[(at + i) & (LOG_RATE_SLOTS - 1)];
        if (slot_take(slot, name)) {
            return slot;
        }
    }
    return &rate->slots[at & (LOG_RATE_SLOTS - 1)];
}

bool
log_rate_admits(struct log_rate *rate, const char *name, enum log_level level,
    int64_t second)
{
    struct log_rate_slot *slot = slot_of(rate, name);
    int64_t window = atomic_load(&slot->second);

    MUST(rate->max > 0);
    if (window != second &&
        atomic_compare_exchange_strong(&slot->second, &window, second)) {
        atomic_store(&slot->count, 0);
    }
    if (atomic_fetch_add(&slot->count, 1) < rate->max) {
        return true;
    }
    atomic_store(&slot->level, (int)level);
    atomic_fetch_add(&slot->suppressed, 1);
    return false;
}

bool
log_rate_next(struct log_rate *rate, unsigned *cursor, int64_t second,
    bool is_closing, struct log_rate_slot *out)
{
    MUST(*cursor <= LOG_RATE_SLOTS);
    while (*cursor < LOG_RATE_SLOTS) {
        struct log_rate_slot *slot = &rate->slots[(*cursor)++];
        uint32_t suppressed;

        if (!is_closing && atomic_load(&slot->second) == second) {
            continue;
        }
        suppressed = atomic_exchange(&slot->suppressed, 0);
        if (suppressed > 0) {
            MUST(atomic_load(&slot->name) != NULL);
            *out = (struct log_rate_slot){
                .name = atomic_load(&slot->name),
                .level = atomic_load(&slot->level),
                .suppressed = suppressed,
            };
            return true;
        }
    }
    return false;
}

bool
log_rate_is_pending(const struct log_rate *rate)
{
    for (unsigned i = 0; i < LOG_RATE_SLOTS; i++) {
        if (atomic_load(&rate->slots[i].suppressed) > 0) {
            return true;
        }
    }
    return false;
}
