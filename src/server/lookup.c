/*
 * Looking a server's name up, on the control thread, for all workers: by a
 * timer, and at once when a dial has failed or nothing is known yet.
 *
 *     worker              control thread              each worker's pool
 *     origin_server_ask --> look up --> addresses --> on_news, which then
 *                 message              (the lock)  bell   takes the new set
 *
 * Laws. At most one look-up is under way, and those that are asked for begin a
 * second apart. Only an answer that has addresses changes any: who has none to
 * tell may be a name server in trouble, and the API be well.
 */
#include <stdio.h>

#include "server/server_inside.h"

enum {
    /* How much of a set is told in the log. */
    ADDRESSES_TOLD = 8,
    TOLD_MAX = 512,
};

const char *
origin_lookup_text(enum origin_lookup lookup)
{
    static const char *const texts[] = {
        [ORIGIN_LOOKUP_SAME] = "same",
        [ORIGIN_LOOKUP_CHANGED] = "changed",
        [ORIGIN_LOOKUP_MISSING] = "missing",
        [ORIGIN_LOOKUP_FAILED] = "failed",
    };

    MUST((unsigned)lookup < ARRAY_LEN(texts));
    return texts[lookup];
}

static struct origin_server *
server_of(void *ctx)
{
    return OBJ_OF(struct origin_server, ctx, SERVER_MAGIC);
}

/* --- what the log is told ---------------------------------------------- */

static void
tell_addresses(
    const struct origin_server *server, const struct origin_addresses *set)
{
    char told[TOLD_MAX] = "";
    char text[ADDRESS_TEXT_MAX];
    size_t len = 0;

    MUST_OBJ(set, ORIGIN_ADDRESSES_MAGIC);
    for (unsigned i = 0; i < set->count && i < ADDRESSES_TOLD; i++) {
        int n = snprintf(told + len, sizeof(told) - len, "%s%s",
            i > 0 ? " " : "", address_text(&set->items[i]->address, text));

        len += n > 0 && (size_t)n < sizeof(told) - len ? (size_t)n : 0;
    }
    log_event(server->lookup.ring, LOG_LEVEL_INFO, "origin_addresses",
        "server=\"%s\" count=\"%u\" addresses=\"%s%s\"", server->text,
        set->count, told, set->count > ADDRESSES_TOLD ? " ..." : "");
}

/* Once, until one succeeds. */
static void
tell_result(struct origin_server *server, enum origin_lookup result)
{
    struct server_lookup *l = &server->lookup;
    bool is_failure =
        result == ORIGIN_LOOKUP_MISSING || result == ORIGIN_LOOKUP_FAILED;

    MUST(result < ORIGIN_LOOKUP_COUNT);
    if (is_failure && !l->is_failing) {
        log_event(l->ring, LOG_LEVEL_WARN, "origin_lookup_failed",
            "server=\"%s\" cause=\"%s\" kept=\"%u\"", server->text,
            result == ORIGIN_LOOKUP_MISSING ? "the name has no address"
                                            : "no name server has answered",
            server->addresses != NULL ? server->addresses->count : 0);
    } else if (!is_failure && l->is_failing) {
        log_event(l->ring, LOG_LEVEL_INFO, "origin_lookup_works",
            "server=\"%s\"", server->text);
    }
    l->is_failing = is_failure;
}

/* --- answers ----------------------------------------------------------- */

/* It is no part of the set any more. Under the lock. */
static void
leave(struct origin_server *server, struct origin_address *a)
{
    MUST_OBJ(a, ORIGIN_ADDRESS_MAGIC);
    MUST(!atomic_load(&a->is_gone));
    atomic_store(&a->is_gone, true);
    if (a->failures != 0) {
        a->failures = 0;
        metric_add_to(server->lookup.block, server->metrics.resting, -1);
    }
}

/* The set that is known from now on. Under the lock. */
static void
replace(struct origin_server *server, struct origin_addresses *own_set)
{
    struct origin_addresses *before = server->addresses;
    unsigned count = before != NULL ? before->count : 0;

    MUST(own_set != before);
    for (unsigned i = 0; i < count; i++) {
        if (!origin_addresses_have(own_set, before->items[i])) {
            leave(server, before->items[i]);
        }
    }
    metric_add_to(server->lookup.block, server->metrics.addresses,
        (int64_t)own_set->count - (int64_t)count);
    server->addresses = own_set;
    origin_addresses_unref(&before);
}

/* Nobody else writes server->addresses, so it is read without the lock. */
static enum origin_lookup
take_answer(struct origin_server *server, const struct resolve_answer *answer)
{
    struct origin_addresses *set;

    MUST((answer->rc == RC_OK) == (answer->addresses != NULL));
    if (answer->rc != RC_OK) {
        return answer->rc == RC_MISS ? ORIGIN_LOOKUP_MISSING
                                     : ORIGIN_LOOKUP_FAILED;
    }
    set = origin_addresses_new(
        answer->addresses, server->uri.port, server->addresses);
    if (set == NULL) {
        return ORIGIN_LOOKUP_FAILED; /* no memory: as good as no answer */
    }
    if (server->addresses != NULL &&
        origin_addresses_are_same(set, server->addresses)) {
        origin_addresses_unref(&set);
        return ORIGIN_LOOKUP_SAME;
    }
    tell_addresses(server, set);
    server_lock(server);
    replace(server, set);
    server_unlock(server);
    return ORIGIN_LOOKUP_CHANGED;
}

static void
count(struct origin_server *server, enum origin_lookup result)
{
    struct server_lookup *l = &server->lookup;
    int64_t now_s = clock_wall_ms(loop_clock(l->loop)) / 1000;

    metric_inc(l->block, server->metrics.lookups[result]);
    if (result == ORIGIN_LOOKUP_SAME || result == ORIGIN_LOOKUP_CHANGED) {
        metric_add_to(
            l->block, server->metrics.looked_up, now_s - l->looked_up_s);
        l->looked_up_s = now_s;
    }
}

/* --- when -------------------------------------------------------------- */

/* The next one: when the interval is over, or as soon as may be for those
   whose dials have failed since the last one began. */
static void
schedule(struct origin_server *server)
{
    struct server_lookup *l = &server->lookup;
    int64_t now_ms = loop_now_ms(l->loop);
    int64_t due_ms = l->began_ms + l->interval_ms;

    MUST(l->resolve == NULL);
    if (l->is_asked && due_ms > l->asked_ms + LOOKUP_PAUSE_MS) {
        due_ms = l->asked_ms + LOOKUP_PAUSE_MS;
    }
    loop_timer_arm(&l->timer, due_ms > now_ms ? due_ms : now_ms + 1);
}

static void
on_answer(void *ctx, const struct resolve_answer *answer)
{
    struct origin_server *server = server_of(ctx);
    struct server_lookup *l = &server->lookup;
    enum origin_lookup result;

    MUST(l->is_under_way);
    l->resolve = NULL;
    result = take_answer(server, answer);
    tell_result(server, result);
    count(server, result);
    server_lock(server);
    l->is_under_way = false;
    l->last.result = result;
    l->last.at_ms = clock_wall_ms(loop_clock(l->loop));
    l->last.counts[result]++;
    l->is_asked = l->began_ms < atomic_load(&server->failing_ms);
    server_tell(server);
    server_unlock(server);
    schedule(server);
}

static void
look_up(struct origin_server *server)
{
    struct server_lookup *l = &server->lookup;
    int64_t now_ms = loop_now_ms(l->loop);

    MUST(l->resolve == NULL);
    MUST(!l->is_under_way);
    loop_timer_cancel(&l->timer);
    l->resolve =
        resolve_anew(l->resolver, l->loop, server->uri.host, on_answer, server);
    server_lock(server);
    l->is_under_way = l->resolve != NULL;
    l->began_ms = now_ms;
    if (l->is_asked) {
        l->asked_ms = now_ms;
    }
    l->is_asked = false;
    server_unlock(server);
    if (l->resolve == NULL) {
        schedule(server); /* no memory */
    }
}

static void
on_timer(void *ctx)
{
    look_up(server_of(ctx));
}

static void
on_ask(void *ctx)
{
    struct origin_server *server = server_of(ctx);
    struct server_lookup *l = &server->lookup;

    if (l->loop == NULL || l->resolve != NULL) {
        return; /* it has ended; or all will be told of the one under way */
    }
    l->is_asked = true;
    if (loop_now_ms(l->loop) >= l->asked_ms + LOOKUP_PAUSE_MS) {
        look_up(server);
    } else {
        schedule(server);
    }
}

void
origin_server_ask(struct origin_server *server)
{
    struct loop *loop = server->lookup.loop;

    MUST_OBJ(server, SERVER_MAGIC);
    if (loop != NULL) {
        loop_post(loop, &server->lookup.ask);
    }
}

/* --- life -------------------------------------------------------------- */

void
server_lookup_init(struct origin_server *server)
{
    MUST_OBJ(server, SERVER_MAGIC);
    server->lookup.asked_ms = -LOOKUP_PAUSE_MS;
    loop_message_init(&server->lookup.ask, on_ask, server);
}

void
origin_server_start(struct origin_server *server, struct loop *loop,
    struct resolver *resolver, struct log_ring *ring,
    struct metric_block *block)
{
    struct server_lookup *l = &server->lookup;

    MUST_OBJ(server, SERVER_MAGIC);
    MUST(l->loop == NULL);
    l->block = server->is_measured ? block : NULL;
    if (server->is_fixed) {
        metric_inc(l->block, server->metrics.addresses);
        return;
    }
    MUST(resolver != NULL);
    l->loop = loop;
    l->resolver = resolver;
    l->ring = ring;
    loop_timer_init(&l->timer, loop, on_timer, server);
    look_up(server);
}

void
origin_server_stop(struct origin_server *server)
{
    struct server_lookup *l = &server->lookup;

    MUST_OBJ(server, SERVER_MAGIC);
    if (l->loop == NULL) {
        return;
    }
    resolve_cancel(&l->resolve);
    loop_timer_cancel(&l->timer);
    l->loop = NULL;
    l->is_under_way = false;
}
