/* The scripts of the leases, and what makes a token. */
#include "nearside/lease/leases.h"

#include <stdio.h>

#include "lease/held.h"

/* KEYS: lease. ARGV: token, milliseconds. */
static const char renew_script[] =
    "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end "
    "return redis.call('PEXPIRE',KEYS[1],ARGV[2])";

/* KEYS: lease. ARGV: token. */
static const char release_script[] =
    "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end "
    "return redis.call('DEL',KEYS[1])";

/*
 * KEYS: fence, entry, lease. ARGV: token, milliseconds. Puts the token into the
 * fence, or gives it its time anew, and deletes entry and lease; with no
 * milliseconds it takes the token out. The fence is "<ms> <token>=<ms> ...":
 * how long it lasted, and each of its tokens, when it was last written. How
 * long ago that was its time to live tells; so a token of an instance that died
 * ends, however many others come. A script that has begun with DEL may write to
 * a full server too.
 */
static const char fence_script[] =
    "local v=redis.call('GET',KEYS[1]) or '' "
    "local gone=(tonumber(string.match(v,'^%d+')) or 0)"
    "-redis.call('PTTL',KEYS[1]) "
    "local px,max,out=tonumber(ARGV[2]),0,'' "
    "local function add(token,ms) "
    "if ms>0 then out=out..' '..token..'='..ms max=math.max(max,ms) end end "
    "for token,ms in string.gmatch(v,'(%S+)=(%d+)') do "
    "if token~=ARGV[1] then add(token,ms-gone) end end "
    "add(ARGV[1],px) "
    "redis.call('DEL',KEYS[1]) "
    "if px>0 then redis.call('DEL',KEYS[2],KEYS[3]) end "
    "if max>0 then redis.call('SET',KEYS[1],max..out,'PX',max) end "
    "return 1";

void
leases_init(struct leases *leases, struct memory *memory)
{
    struct hash_key random;

    hash_key_random(&random);
    *leases = (struct leases){
        .magic = LEASES_MAGIC, .instance = random.k0, .memory = memory};
    held_init(&leases->held);
    redis_script_init(&leases->scripts.renew, renew_script);
    redis_script_init(&leases->scripts.release, release_script);
    redis_script_init(&leases->scripts.fence, fence_script);
}

void
leases_fini(struct leases *leases)
{
    MUST_OBJ(leases, LEASES_MAGIC);
    held_fini(&leases->held);
    leases->magic = 0;
}

void
lease_worker_init(struct lease_worker *lease_worker, struct leases *leases,
    struct worker *worker)
{
    MUST_OBJ(leases, LEASES_MAGIC);
    MUST_OBJ(worker, WORKER_MAGIC);
    *lease_worker = (struct lease_worker){
        .magic = LEASE_WORKER_MAGIC,
        .leases = leases,
        .scripts = &leases->scripts,
    };
    list_init(&lease_worker->releases);
    worker->lease = lease_worker;
}

size_t
lease_make_token(struct worker *w, char out[TOKEN_MAX])
{
    struct leases *leases = w->lease->leases;

    MUST_OBJ(leases, LEASES_MAGIC);
    return (size_t)snprintf(out, TOKEN_MAX, "%016llx-%llx",
        (unsigned long long)leases->instance,
        atomic_fetch_add_explicit(&leases->tokens, 1, memory_order_relaxed));
}
