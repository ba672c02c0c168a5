/*
 * How long a value Redis takes. A server that finds one too long
 * (proto-max-bulk-len, client-query-buffer-limit) closes the connection, with
 * all that was on it. So its limit is learnt, and forgotten after a while.
 */
#include "nearside/tier/takes.h"

#include "nearside/tier/tier.h"

enum {
    /* How long a server is believed that takes no such value. */
    SAID_MS = 600000,
    /* The same, when it did not say so, but closed the connection twice. */
    LOST_MS = 60000,
    /* No server refuses less: the least proto-max-bulk-len is twice that. */
    LARGE = 512 * 1024,
};

bool
takes_refused(struct worker *w, size_t len, bool is_said)
{
    struct tier *tier = w->tier->tier;
    int64_t now_ms = worker_now_ms(w);

    MUST_OBJ(tier, TIER_MAGIC);
    if (!is_said) {
        int64_t last_ms =
            len < LARGE ? 0 : atomic_exchange(&tier->value_lost_ms, now_ms);

        if (last_ms == 0 || now_ms - last_ms >= LOST_MS) {
            return false;
        }
    }
    /* Somewhat less than that: its limit is not known, and the next guess
       costs a connection too. */
    atomic_store(&tier->value_max, len - len / 16);
    atomic_store(
        &tier->value_max_until_ms, now_ms + (is_said ? SAID_MS : LOST_MS));
    return true;
}

size_t
takes_max(struct worker *w)
{
    struct tier *tier = w->tier->tier;
    size_t max = atomic_load_explicit(&tier->value_max, memory_order_relaxed);

    MUST_OBJ(tier, TIER_MAGIC);
    return max == 0 ||
                   worker_now_ms(w) >= atomic_load(&tier->value_max_until_ms)
               ? SIZE_MAX
               : max;
}
