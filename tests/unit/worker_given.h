/*
 * A worker with a client of real redis-servers, as the rooms tier and collapse
 * see it, and a look at what lies in Redis afterwards. When a test is over no
 * block of memory is left that it did not find.
 */
#ifndef TESTS_UNIT_WORKER_GIVEN_H
#define TESTS_UNIT_WORKER_GIVEN_H

#include "heap.h"
#include "redis_between.h"

#include "nearside/body/encode.h"
#include "nearside/body/fill.h"
#include "nearside/cache/codec.h"
#include "nearside/tier/deletion.h"
#include "nearside/lease/lease.h"
#include "nearside/tier/tier.h"
#include "question_given.h"
#include "sent_given.h"

#define TOKEN SLICE("token-1")

struct given {
    struct asking asking;
    struct rig rig;
    struct server *server;
    struct between *between; /* or NULL */
    struct metric_registry *registry;
    struct work_metrics metrics;
    struct worker worker;
    struct fill_credit credit;
    struct tier tier;
    struct tier_worker tier_worker;
    unsigned empties; /* how often no deletion was left */
};

static inline int
test_begins(void **state)
{
    (void)state;
    heap_begins();
    return 0;
}

static inline int
test_ends(void **state)
{
    (void)state;
    servers_end();
    heap_ends();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, test_begins, test_ends)

static inline void
on_no_deletion(void *ctx)
{
    ((struct given *)ctx)->empties++;
}

static inline void
worker_opened(struct given *g, const struct redis_opts *opts)
{
    struct told t;

    given_conf(&g->asking);
    rig_open(&g->rig, *opts);
    g->registry = metric_registry_new();
    work_metrics_add(&g->metrics, g->registry);
    g->worker = (struct worker){.magic = WORKER_MAGIC,
        .time = &shared_time_own,
        .loop = g->rig.loop,
        .block = metric_block_new(g->registry),
        .metrics = &g->metrics,
        .conf = g->asking.conf,
        .redis = g->rig.client,
        .credit = &g->credit};
    random_seed(&g->worker.random);
    tier_init(&g->tier, NULL);
    tier_worker_init(&g->tier_worker, &g->tier, &g->worker, on_no_deletion, g);
    assert_int_equal(run(&g->rig, &t, "PING", PATIENCE_MS), RC_OK);
}

/* command_timeout_ms 0: the usual. */
static inline void
given_worker(struct given *g, int64_t command_timeout_ms)
{
    const struct redis_opts opts = {.mode = REDIS_MODE_STANDALONE,
        .command_timeout_ms = command_timeout_ms,
        .hang_ms = PATIENCE_MS};

    *g = (struct given){.server = server_new(NULL)};
    worker_opened(g, &opts);
}

/* With somebody between it and its server. */
static inline void
given_worker_behind(struct given *g)
{
    static char seed[32];
    static const char *const seeds[] = {seed};
    const struct redis_opts opts = {.mode = REDIS_MODE_STANDALONE,
        .seeds = seeds,
        .seeds_len = 1,
        .command_timeout_ms = PATIENCE_MS,
        .hang_ms = PATIENCE_MS};

    *g = (struct given){.server = server_new(NULL)};
    g->between = between_new(g->server->port);
    snprintf(seed, sizeof(seed), "127.0.0.1:%u", g->between->port);
    worker_opened(g, &opts);
}

static inline void
worker_over(struct given *g)
{
    tier_worker_stop(&g->worker);
    rig_close(&g->rig);
    metric_registry_free(&g->registry);
    conf_over(&g->asking);
    servers_end();
    if (g->between != NULL) {
        between_free(&g->between);
    }
}

static inline int64_t
counted(struct given *g, enum counter counter)
{
    return (int64_t)g->worker.block->cells[g->metrics.counters[counter]];
}

static inline int64_t
limited(struct given *g, enum limit limit)
{
    return (int64_t)g->worker.block->cells[g->metrics.limits[limit]];
}

static inline struct slice
lease_key(const struct question *q, char out[256])
{
    assert_true(q->entry_key.len < 256);
    key_lease_of(q->entry_key, SLICE("ns:"), out);
    return slice_of(out, q->entry_key.len);
}

/* --- what lies in Redis ------------------------------------------------ */

static inline void
given_lease(struct given *g, const struct question *q, struct slice token)
{
    char key[256];
    char out[16];

    assert_true(ask(g->server, out, sizeof(out), "SET %b %b PX 60000",
        lease_key(q, key).ptr, q->entry_key.len, token.ptr, token.len));
}

/* Its lease's token, or "". */
static inline const char *
lease_of(struct given *g, const struct question *q)
{
    static char out[64];
    char key[256];

    assert_true(ask(g->server, out, sizeof(out), "GET %b",
        lease_key(q, key).ptr, q->entry_key.len));
    return out;
}

static inline long long
pttl_of(struct given *g, struct slice key)
{
    char out[32];

    assert_true(ask(g->server, out, sizeof(out), "PTTL %b", key.ptr, key.len));
    return atoll(out);
}

/* What is stored under the question's key, whatever full key it states; or
   NULL. */
static inline struct entry *
entry_of(struct given *g, const struct question *q)
{
    redisContext *c = direct(g->server);
    redisReply *reply =
        redisCommand(c, "GET %b", q->entry_key.ptr, q->entry_key.len);
    struct entry *entry = NULL;

    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_STRING) {
        char *value = malloc(reply->len);
        memcpy(value, reply->str, reply->len);
        assert_int_equal(
            codec_decode(value, reply->len, q->key.full, &entry), RC_OK);
    }
    freeReplyObject(reply);
    redisFree(c);
    return entry;
}

/* Is there an entry with that body? NULL: none. */
static inline void
assert_stored(struct given *g, const struct question *q, const char *body)
{
    struct entry *entry = entry_of(g, q);

    if (body == NULL) {
        assert_null(entry);
        return;
    }
    assert_non_null(entry);
    assert_true(slice_eq(entry_body(entry), slice_of_str(body)));
    entry_unref(&entry);
}

/* A response to the question with that body, fresh for so long from now on. */
static inline struct value
given_value(struct given *g, const struct question *q, const char *body,
    int64_t fresh_ms)
{
    int64_t now_ms = worker_wall_ms(&g->worker);
    const struct codec_parts parts = {.status = 200,
        .created_ms = now_ms - 1000,
        .fresh_until_ms = now_ms + fresh_ms,
        .stale_until_ms = now_ms + fresh_ms + 60000,
        .key = q->key.full,
        .fields = SLICE("etag: \"v1\"\r\n"),
        .body = slice_of_str(body)};
    struct value value;

    assert_int_equal(codec_encode(&parts, &value), RC_OK);
    return value;
}

static inline void
given_stored(struct given *g, const struct question *q, struct slice value)
{
    char out[16];

    assert_true(ask(g->server, out, sizeof(out), "SET %b %b PX 60000",
        q->entry_key.ptr, q->entry_key.len, value.ptr, value.len));
}

/* --- what varies ------------------------------------------------------- */

/* A record of Accept for /a. */
struct varied {
    struct question *base;
    struct value value; /* the record's */
    struct entry *record;
};

static inline struct varied
given_record(struct given *g, uint64_t random)
{
    struct varied v = {.base = given_question(&g->asking, "GET /a", "")};

    assert_int_equal(encode_record(&v.base->key, SLICE("accept"),
                         worker_wall_ms(&g->worker), random, &v.value),
        RC_OK);
    assert_int_equal(codec_entry(&v.value, &v.record), RC_OK);
    return v;
}

static inline void
record_over(struct varied *v)
{
    value_free(&v->value);
    entry_unref(&v->record);
    question_unref(&v->base);
}

static inline struct question *
given_variant(struct given *g, struct entry *record, const char *fields)
{
    struct question *q = given_question(&g->asking, "GET /a", fields);
    struct question *variant;

    assert_int_equal(question_vary(q, record, &variant), RC_OK);
    question_unref(&q);
    return variant;
}

/* A lease with that token, as its holder has it; good until the next. */
static inline struct lease *
held_lease(struct slice token)
{
    static struct lease lease;

    lease = (struct lease){.magic = LEASE_MAGIC, .token = token};
    return &lease;
}

#endif
