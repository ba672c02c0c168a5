/* The scripts of the shared tier, and its part of each worker. */
#include "nearside/tier/tier.h"

#include "nearside/cache/codec.h"
#include "nearside/lease/release.h"
#include "nearside/redis/hold.h"
#include "nearside/tier/deletion.h"
#include "nearside/tier/store.h"
#include "nearside/tier/takes.h"

/* For a script that may be sent a second time: 1 if the first one has stored,
   else 0. A write that came meanwhile has deleted the value. */
#define UNLESS_HELD                                                            \
    "if redis.call('GET',KEYS[2])~=ARGV[1] then "                              \
    "return redis.call('GET',KEYS[1])==ARGV[2] and 1 or 0 end "

/*
 * KEYS: entry, lease, the fence of their target, and the base entry of a first
 * variant. ARGV: token, value, milliseconds, and the record for the base entry.
 * Stores only while the token holds: a write that came meanwhile has deleted
 * the lease. One that is under way has its fence there. (What the other scripts
 * store needs a value or a record, which a write with a fence has deleted.)
 */
static const char fill_script[] = UNLESS_HELD
    "if redis.call('EXISTS',KEYS[3])==1 then "
    "redis.call('DEL',KEYS[2]) return 0 end "
    "if KEYS[4] then redis.call('SET',KEYS[4],ARGV[4],'PX',ARGV[3]) end "
    "redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) "
    "redis.call('DEL',KEYS[2]) "
    "return 1";

/*
 * KEYS: variant, lease of the variant as it was chosen, base entry. ARGV:
 * token, value, milliseconds, the new record, the checksum of the one that is
 * replaced.
 */
static const char widen_script[] = CODEC_LUA_SUM
    "if redis.call('GET',KEYS[2])~=ARGV[1] then return 0 end "
    "redis.call('DEL',KEYS[2]) "
    "if sum(redis.call('GET',KEYS[3]))~=ARGV[5] then return 0 end "
    "redis.call('SET',KEYS[3],ARGV[4],'PX',ARGV[3]) "
    "redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) "
    "return 1";

/*
 * KEYS: variant, its lease, base entry, names. ARGV: token, value,
 * milliseconds, the record's checksum, most variants or 0, the variant. It
 * stores only while the record there is the one that chose the variant. A set
 * beside the record, which lives as long, holds the names of all variants but
 * the first; so one that comes again is not counted twice. The record lives at
 * least as long as its last variant.
 */
static const char fill_variant_script[] = CODEC_LUA_SUM UNLESS_HELD
    "redis.call('DEL',KEYS[2]) "
    "if sum(redis.call('GET',KEYS[3]))~=ARGV[4] then return 0 end "
    "local max=tonumber(ARGV[5]) "
    "if max>0 and redis.call('EXISTS',KEYS[1])==0 then "
    "if redis.call('SADD',KEYS[4],ARGV[6])==1 "
    "and redis.call('SCARD',KEYS[4])>=max then "
    "redis.call('SREM',KEYS[4],ARGV[6]) return 2 end end "
    "redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) "
    "if redis.call('PTTL',KEYS[3])<tonumber(ARGV[3]) then "
    "redis.call('PEXPIRE',KEYS[3],ARGV[3]) end "
    "if max>0 then "
    "redis.call('PEXPIRE',KEYS[4],redis.call('PTTL',KEYS[3])) end "
    "return 1";

/*
 * KEYS: entry. ARGV: the checksum of the value there, value,
 * milliseconds. Replaces that very value, or nothing.
 */
static const char replace_script[] = CODEC_LUA_SUM
    "if sum(redis.call('GET',KEYS[1]))~=ARGV[1] then return 0 end "
    "redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) "
    "return 1";

/*
 * KEYS: entry, lease. ARGV: token. Deletes both, but a lease under that
 * token: the caller's own.
 */
static const char drop_script[] =
    "local n=redis.call('DEL',KEYS[1]) "
    "if redis.call('GET',KEYS[2])==ARGV[1] then return n end "
    "return n+redis.call('DEL',KEYS[2])";

/* KEYS: entry. Its checksum, for a user who may not GETRANGE. */
static const char sum_script[] =
    CODEC_LUA_SUM "return sum(redis.call('GET',KEYS[1]))";

void
tier_init(struct tier *tier, struct memory *own_memory)
{
    *tier = (struct tier){.magic = TIER_MAGIC, .memory = own_memory};
    leases_init(&tier->leases, own_memory);
    redis_script_init(&tier->scripts.fill, fill_script);
    redis_script_init(&tier->scripts.widen, widen_script);
    redis_script_init(&tier->scripts.fill_variant, fill_variant_script);
    redis_script_init(&tier->scripts.replace, replace_script);
    redis_script_init(&tier->scripts.drop, drop_script);
    redis_script_init(&tier->scripts.sum, sum_script);
}

void
tier_fini(struct tier *tier)
{
    if (tier->magic == 0) {
        return;
    }
    MUST_OBJ(tier, TIER_MAGIC);
    leases_fini(&tier->leases);
    memory_free(&tier->memory);
    tier->magic = 0;
}

static void
on_tick(void *ctx)
{
    deletions_tick(OBJ_OF(struct worker, ctx, WORKER_MAGIC));
}

static void
on_change(void *ctx)
{
    deletions_hurry(OBJ_OF(struct worker, ctx, WORKER_MAGIC));
}

void
tier_worker_init(struct tier_worker *t, struct tier *tier,
    struct worker *worker, void (*on_empty)(void *ctx), void *ctx)
{
    MUST_OBJ(tier, TIER_MAGIC);
    MUST_OBJ(worker, WORKER_MAGIC);
    *t = (struct tier_worker){
        .magic = TIER_WORKER_MAGIC,
        .tier = tier,
        .scripts = &tier->scripts,
        .written = &tier->written,
        .on_empty = on_empty,
        .ctx = ctx,
    };
    list_init(&t->stores);
    list_init(&t->deletions);
    journal_init(&t->journal, worker->redis);
    loop_timer_init(&t->tick, worker->loop, on_tick, worker);
    if (worker->redis != NULL) {
        redis_on_change(worker->redis, on_change, worker);
    }
    worker->tier = t;
    lease_worker_init(&t->lease, &tier->leases, worker);
}

void
tier_worker_stop(struct worker *worker)
{
    MUST_OBJ(worker->tier, TIER_WORKER_MAGIC);
    if (worker->redis != NULL) {
        redis_on_change(worker->redis, NULL, NULL);
    }
    deletions_free(worker);
    stores_free(worker);
    releases_free(worker);
}

/* How large a body may be for what stores it. In memory an eighth is left for
   the key and the lines. */
static size_t
body_max(struct worker *w)
{
    struct memory *memory = tier_memory(w);

    if (w->redis != NULL) {
        return takes_max(w);
    }
    return memory == NULL ? SIZE_MAX : memory_entry_max(memory) / 8 * 7;
}

struct assess_opts
tier_assess_opts(struct worker *w)
{
    size_t value_max = body_max(w);
    size_t object_max = w->conf->opts.limits.object_max;

    MUST_OBJ(w, WORKER_MAGIC);
    return (struct assess_opts){
        .object_max = object_max < value_max ? object_max : value_max,
        .date = worker_date(w),
        .times.jitter = random_next(&w->random),
        .times.response_ms = worker_wall_ms(w),
    };
}
