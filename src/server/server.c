/*
 * What the workers share of a server: its addresses, who of them rests, and
 * who is told when a look-up has ended.
 *
 * Laws. A pool keeps the set that it was told of, and needs the lock neither
 * to dial from it nor to use what is connected. It takes the lock when a
 * look-up has ended, and when a dial has failed, or worked again. An address
 * that is not in the set any more is marked as gone, which its connections see
 * by themselves.
 */
#include "server/server_inside.h"

#include <stdlib.h>

enum {
    /* One that is dead is tried again after ten seconds, then after twice as
       long each time. */
    REST_MIN_MS = 10000,
    REST_MAX_MS = 60000,
};

/* --- life -------------------------------------------------------------- */

/* It is at that address, and has no name to look up. RC_NOMEM. */
static enum rc
fix(struct origin_server *server, const struct address *at)
{
    struct addresses *found = addresses_new(at, 1);

    MUST(server->addresses == NULL);
    server->is_fixed = true;
    if (found == NULL) {
        return RC_NOMEM;
    }
    server->addresses = origin_addresses_new(found, 0, NULL);
    addresses_unref(&found);
    return server->addresses != NULL ? RC_OK : RC_NOMEM;
}

/* RC_BAD, RC_UNSUPPORTED, RC_NOMEM, as of origin_server_new. */
static enum rc
parse(struct origin_server *server)
{
    struct slice text = slice_of_str(server->own_text);
    struct address at;
    enum rc rc = uri_parse_server(text, &server->uri);

    if (rc != RC_OK) {
        return rc;
    }
    if (server->uri.is_unix) {
        rc = address_parse(text, &at);
        return rc == RC_OK ? fix(server, &at) : rc;
    }
    if (!slice_eq(server->uri.scheme, SLICE("http"))) {
        return RC_UNSUPPORTED;
    }
    if (address_of(server->uri.host, server->uri.port, &at) == RC_OK) {
        return fix(server, &at);
    }
    return RC_OK;
}

enum rc
origin_server_new(
    const char *text, int64_t interval_ms, struct origin_server **out)
{
    struct origin_server *server = calloc(1, sizeof(*server));
    enum rc rc = RC_NOMEM;

    MUST(interval_ms > 0);
    MUST(text != NULL);
    if (server == NULL) {
        return RC_NOMEM;
    }
    server->magic = SERVER_MAGIC;
    MUST(pthread_mutex_init(&server->lock, NULL) == 0);
    list_init(&server->news);
    server->lookup.interval_ms = interval_ms;
    server_lookup_init(server);
    log_escape(slice_of_str(text), server->text, sizeof(server->text));
    server->own_text = strdup(text);
    if (server->own_text != NULL) {
        rc = parse(server);
    }
    if (rc != RC_OK) {
        origin_server_free(&server);
        return rc;
    }
    *out = server;
    return RC_OK;
}

void
origin_server_free(struct origin_server **pserver)
{
    struct origin_server *server = *pserver;

    if (server == NULL) {
        return;
    }
    MUST_OBJ(server, SERVER_MAGIC);
    MUST(server->lookup.loop == NULL);
    MUST(list_is_empty(&server->news));
    *pserver = NULL;
    origin_addresses_unref(&server->addresses);
    free(server->own_text);
    MUST(pthread_mutex_destroy(&server->lock) == 0);
    server->magic = 0;
    free(server);
}

const char *
origin_server_text(const struct origin_server *server)
{
    MUST_OBJ(server, SERVER_MAGIC);
    return server->text;
}

bool
origin_server_is_fixed(const struct origin_server *server)
{
    MUST_OBJ(server, SERVER_MAGIC);
    return server->is_fixed;
}

void
origin_server_measure(
    struct origin_server *server, const struct origin_server_metrics *metrics)
{
    MUST_OBJ(server, SERVER_MAGIC);
    MUST(!server->is_measured);
    server->metrics = *metrics;
    server->is_measured = true;
}

/* --- addresses --------------------------------------------------------- */

struct origin_addresses *
origin_server_addresses(struct origin_server *server)
{
    struct origin_addresses *set;

    server_lock(server);
    set = server->addresses != NULL ? origin_addresses_ref(server->addresses)
                                    : NULL;
    server_unlock(server);
    return set;
}

static int64_t
rest_ms(unsigned failures)
{
    int64_t ms = REST_MIN_MS;

    MUST(failures > 0);
    for (unsigned i = 1; i < failures && ms < REST_MAX_MS; i++) {
        ms *= 2;
    }
    return ms < REST_MAX_MS ? ms : REST_MAX_MS;
}

/* Those who dialled it together, or while it rested, have failed once. Under
   the lock. */
static void
put_to_rest(struct origin_server *server, struct origin_address *a,
    struct metric_block *block, int64_t now_ms)
{
    if (a->failures == 0) {
        metric_inc(block, server->metrics.resting);
    }
    if (a->failures == 0 || now_ms >= a->failed_ms + rest_ms(a->failures)) {
        a->failures++;
        a->failed_ms = now_ms;
    }
    atomic_store(&a->rest_until_ms, a->failed_ms + rest_ms(a->failures));
}

bool
origin_server_failed(struct origin_server *server, struct origin_address *a,
    struct metric_block *block, int64_t now_ms)
{
    bool is_first = false;

    MUST_OBJ(a, ORIGIN_ADDRESS_MAGIC);
    server_lock(server);
    if (atomic_load(&server->failing_ms) == 0) {
        atomic_store(&server->failing_ms, now_ms);
    }
    if (!atomic_load(&a->is_gone)) {
        is_first = a->failures == 0;
        put_to_rest(server, a, block, now_ms);
    }
    server_unlock(server);
    origin_server_ask(server);
    return is_first;
}

void
origin_server_worked(struct origin_server *server, struct origin_address *a,
    struct metric_block *block)
{
    MUST_OBJ(a, ORIGIN_ADDRESS_MAGIC);
    if (atomic_load(&a->rest_until_ms) == 0 &&
        atomic_load(&server->failing_ms) == 0) {
        return;
    }
    server_lock(server);
    atomic_store(&server->failing_ms, 0);
    if (a->failures != 0) {
        a->failures = 0;
        metric_add_to(block, server->metrics.resting, -1);
    }
    atomic_store(&a->rest_until_ms, 0);
    server_unlock(server);
}

int64_t
origin_server_hope_ms(struct origin_server *server, int64_t since_ms,
    int64_t now_ms, int64_t patience_ms)
{
    const struct server_lookup *l = &server->lookup;
    int64_t until_ms = 0;

    MUST_OBJ(server, SERVER_MAGIC);
    MUST(patience_ms > 0);
    MUST(since_ms <= now_ms);
    if (server->is_fixed) {
        return 0;
    }
    server_lock(server);
    if (l->is_under_way) {
        /* One that takes so long brings nothing soon; but it is all there is
           for who knows no address at all. */
        until_ms = server->addresses != NULL ? l->began_ms + patience_ms
                                             : now_ms + patience_ms;
    } else if (l->began_ms < since_ms &&
               (now_ms >= l->asked_ms + LOOKUP_PAUSE_MS ||
                   l->began_ms < atomic_load(&server->failing_ms))) {
        until_ms = now_ms + patience_ms; /* one is about to begin */
    }
    server_unlock(server);
    return until_ms > now_ms ? until_ms : 0;
}

void
origin_server_status(struct origin_server *server, int64_t now_ms,
    struct origin_server_status *out)
{
    struct origin_addresses *set = origin_server_addresses(server);

    memset(out, 0, sizeof(*out));
    out->has_name = !server->is_fixed;
    for (unsigned i = 0; set != NULL && i < set->count; i++) {
        struct origin_address_status *a = &out->addresses[out->addresses_len++];
        int64_t until_ms = atomic_load(&set->items[i]->rest_until_ms);

        address_text(&set->items[i]->address, a->text);
        a->rests_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    }
    origin_addresses_unref(&set);
    server_lock(server);
    out->lookup = server->lookup.last;
    server_unlock(server);
}
