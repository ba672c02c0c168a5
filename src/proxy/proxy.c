/*
 * What the workers share: options with their defaults, the flight table, the
 * peers, scripts and metrics. Made once, read by all.
 */
#include "proxy/proxy.h"

#include <stdio.h>
#include <stdlib.h>

#include "nearside/http/structured.h"

/*
 * KEYS: entry, lease. ARGV: token, value, milliseconds. Stores only while
 * the token holds: a write that came meanwhile has deleted the lease.
 */
static const char fill_script[] =
    "if redis.call('GET',KEYS[2])~=ARGV[1] then return 0 end "
    "redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) "
    "redis.call('DEL',KEYS[2]) "
    "return 1";

/*
 * KEYS: base entry, its lease, variant. ARGV: token, record, milliseconds,
 * value. The record and its first variant.
 */
static const char fill_record_script[] =
    "if redis.call('GET',KEYS[2])~=ARGV[1] then return 0 end "
    "redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) "
    "redis.call('SET',KEYS[3],ARGV[4],'PX',ARGV[3]) "
    "redis.call('DEL',KEYS[2]) "
    "return 1";

/*
 * KEYS: variant, its lease, base entry, names. ARGV: token, value,
 * milliseconds, record, most variants or 0. Only while the record is the one
 * by which the variant was chosen. Which there have been beside the first is
 * kept beside the record, in a set that lives as long; one that comes again is
 * none more. The record lives as long as its last variant.
 */
static const char fill_variant_script[] =
    "if redis.call('GET',KEYS[2])~=ARGV[1] then return 0 end "
    "redis.call('DEL',KEYS[2]) "
    "if redis.call('GET',KEYS[3])~=ARGV[4] then return 0 end "
    "local max=tonumber(ARGV[5]) "
    "if max>0 and redis.call('EXISTS',KEYS[1])==0 then "
    "local name=string.sub(KEYS[1],-32) "
    "if redis.call('SADD',KEYS[4],name)==1 "
    "and redis.call('SCARD',KEYS[4])>=max then "
    "redis.call('SREM',KEYS[4],name) return 2 end end "
    "redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) "
    "if redis.call('PTTL',KEYS[3])<tonumber(ARGV[3]) then "
    "redis.call('PEXPIRE',KEYS[3],ARGV[3]) end "
    "if max>0 then "
    "redis.call('PEXPIRE',KEYS[4],redis.call('PTTL',KEYS[3])) end "
    "return 1";

/*
 * KEYS: entry. ARGV: the checksum that the value there ends with, value,
 * milliseconds. Replaces that very value, or nothing.
 */
static const char replace_script[] =
    "local v=redis.call('GET',KEYS[1]) "
    "if not v or string.sub(v,-8)~=ARGV[1] then return 0 end "
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

/* KEYS: lease. ARGV: token, milliseconds. */
static const char renew_script[] =
    "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end "
    "return redis.call('PEXPIRE',KEYS[1],ARGV[2])";

/* KEYS: lease. ARGV: token. */
static const char release_script[] =
    "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end "
    "return redis.call('DEL',KEYS[1])";

static void
fill_defaults(struct proxy_limits *l)
{
#define DEFAULT(name, value) l->name = l->name == 0 ? (value) : l->name
    DEFAULT(head_max, 32 * 1024);
    DEFAULT(field_max, 8000);
    DEFAULT(field_name_max, 256);
    DEFAULT(fields_max, 100);
    DEFAULT(target_max, 8000);
    DEFAULT(head_timeout_ms, 10000);
    DEFAULT(body_timeout_ms, 30000);
    DEFAULT(body_min_rate_after_ms, 10000);
    DEFAULT(idle_timeout_ms, 30000);
    DEFAULT(send_timeout_ms, 30000);
    DEFAULT(buffer_max, 64 * 1024);
    DEFAULT(held_max, 256 * 1024 * 1024);
    DEFAULT(connections_max, 10000);
    DEFAULT(object_max, 8 * 1024 * 1024);
    DEFAULT(flight_wait_ms, 5000);
    DEFAULT(flights_max, 10000);
    DEFAULT(variants_max, 32);
#undef DEFAULT
}

/* The name as a token, or as a string if it is none (RFC 9651 3.3.3). */
static bool
member_make(struct proxy *proxy)
{
    size_t size = 2 * proxy->name.len + 2;
    char *member = malloc(size);
    struct writer w = writer_of(member, size);

    if (member == NULL) {
        return false;
    }
    sf_write_token_or_string(&w, proxy->name);
    proxy->member = writer_slice(&w);
    return true;
}

static bool
words_make(struct proxy *proxy)
{
    char *via;

    proxy->name = slice_of_str(proxy->opts.via);
    if (proxy->name.len == 0) {
        proxy->name = SLICE("nearside");
    }
    proxy->prefix = proxy->opts.prefix == NULL
                        ? SLICE("ns:")
                        : slice_of_str(proxy->opts.prefix);
    via = malloc(proxy->name.len + 4);
    if (via == NULL) {
        return false;
    }
    memcpy(via, "1.1 ", 4);
    memcpy(via + 4, proxy->name.ptr, proxy->name.len);
    proxy->via = slice_of(via, proxy->name.len + 4);
    return member_make(proxy);
}

struct proxy *
proxy_new(const struct proxy_opts *opts, struct metric_registry *registry)
{
    struct proxy *proxy = calloc(1, sizeof(*proxy));
    struct hash_key random;

    if (proxy == NULL) {
        return NULL;
    }
    MUST(opts->workers > 0);
    proxy->magic = PROXY_MAGIC;
    proxy->opts = *opts;
    fill_defaults(&proxy->opts.limits);
    hash_key_random(&random);
    proxy->instance = random.k0;
    redis_script_init(&proxy->scripts.fill, fill_script);
    redis_script_init(&proxy->scripts.fill_record, fill_record_script);
    redis_script_init(&proxy->scripts.fill_variant, fill_variant_script);
    redis_script_init(&proxy->scripts.replace, replace_script);
    redis_script_init(&proxy->scripts.drop, drop_script);
    redis_script_init(&proxy->scripts.renew, renew_script);
    redis_script_init(&proxy->scripts.release, release_script);
    proxy->flights = flight_table_new(proxy->opts.limits.flights_max);
    proxy->peers = peers_new(proxy->opts.limits.connections_per_ip);
    proxy->doorkeeper = doorkeeper_new(proxy->opts.limits.new_keys_max);
    proxy->workers = calloc(opts->workers, sizeof(*proxy->workers));
    if (proxy->flights == NULL || proxy->peers == NULL ||
        proxy->doorkeeper == NULL || proxy->workers == NULL ||
        !words_make(proxy)) {
        proxy_free(&proxy);
        return NULL;
    }
    metrics_add(proxy, registry);
    return proxy;
}

void
proxy_free(struct proxy **pproxy)
{
    struct proxy *proxy = *pproxy;

    if (proxy == NULL) {
        return;
    }
    MUST_OBJ(proxy, PROXY_MAGIC);
    *pproxy = NULL;
    flight_table_free(&proxy->flights);
    peers_free(&proxy->peers);
    doorkeeper_free(&proxy->doorkeeper);
    free(proxy->workers);
    free(proxy->metrics.requests);
    free((char *)(uintptr_t)proxy->via.ptr);
    free((char *)(uintptr_t)proxy->member.ptr);
    proxy->magic = 0;
    free(proxy);
}

size_t
proxy_make_token(struct proxy *proxy, char out[TOKEN_MAX])
{
    return (size_t)snprintf(out, TOKEN_MAX, "%016llx-%llx",
        (unsigned long long)proxy->instance,
        atomic_fetch_add_explicit(&proxy->tokens, 1, memory_order_relaxed));
}

unsigned
proxy_connections(const struct proxy *proxy)
{
    MUST_OBJ(proxy, PROXY_MAGIC);
    return atomic_load(&((struct proxy *)(uintptr_t)proxy)->connections);
}
