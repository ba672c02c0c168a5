/* What workers note of slots; the table itself is in trust.h. */
#include "nearside/redis/hold.h"

#include "redis/pool.h"

static struct trust_slot *
slot_at(const struct redis_client *c, uint16_t slot)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    MUST(slot < SLOT_COUNT);
    return &c->redis->trust->slots[slot];
}

void
redis_hold(struct redis_client *c, uint16_t slot)
{
    struct trust_slot *s = slot_at(c, slot);

    if (atomic_load(&s->held) == 0) {
        atomic_store(&s->held_ms, loop_now_ms(c->loop));
    }
    atomic_fetch_add(&s->held, 1);
}

void
redis_release(struct redis_client *c, uint16_t slot)
{
    uint32_t before = atomic_fetch_sub(&slot_at(c, slot)->held, 1);

    MUST(before > 0);
}

bool
redis_is_owner(const struct redis_client *c, uint16_t slot, uint32_t by)
{
    return atomic_load(&slot_at(c, slot)->owner) == by;
}

bool
redis_has_moved(const struct redis_client *c, uint16_t slot, uint32_t version)
{
    return atomic_load(&slot_at(c, slot)->version) != version;
}

uint64_t
redis_changes(const struct redis_client *c)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    return atomic_load(&c->redis->trust->changes);
}

void
redis_on_change(struct redis_client *c, void (*fn)(void *ctx), void *ctx)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    c->on_change = fn;
    c->change_ctx = ctx;
}

void
redis_remember(struct redis_client *c, int64_t count)
{
    int64_t before;

    MUST_OBJ(c, CLIENT_MAGIC);
    before = atomic_fetch_add(&c->redis->trust->young, count);
    MUST(before + count >= 0);
}

int64_t
redis_confirmed_ms(const struct redis_client *c)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    return atomic_load(&c->redis->trust->confirmed_ms);
}

void
redis_lose(struct redis_client *c, uint16_t slot)
{
    MUST_OBJ(c, CLIENT_MAGIC);
    trust_lose_slot(c->redis->trust, slot, loop_now_ms(c->loop));
}

void
redis_forget(struct redis_client *c, uint16_t slot)
{
    atomic_store(&slot_at(c, slot)->forgot_ms, loop_now_ms(c->loop));
}
