/*
 * A group: what all workers share of an origin. That is its server, its limits
 * and its counters; everything else belongs to a worker's pool.
 *
 * Laws: constant once pools use it, but for the atomics and the queue.
 */
#include "nearside/origin/group.h"

#include <stdio.h>
#include <stdlib.h>

#include "origin/group_inside.h"
#include "nearside/base/check.h"

enum {
    LABEL_MAX = 256,
};

static struct parse_opts
parsing_of(const struct origin_opts *opts)
{
    /* An origin's field may fill the whole head (a long policy, say). Its names
       with '_' are its own business: they can hide framing in requests only. */
    return (struct parse_opts){
        .head_max = opts->head_max,
        .field_max = opts->head_max,
        .fields_max = opts->fields_max,
        .keep_underscore = true,
    };
}

static enum rc
group_fill(struct origin_group *group, const struct origin_opts *opts)
{
    if (opts->name == NULL || opts->servers_len != 1) {
        return RC_BAD;
    }
    MUST(opts->connect_timeout_ms > 0);
    MUST(opts->first_byte_timeout_ms > 0);
    MUST(opts->between_bytes_timeout_ms > 0);
    MUST(opts->idle_timeout_ms > 0);
    MUST(opts->resolve_interval_ms > 0);
    MUST(opts->idle_max > 0);
    MUST(opts->queue_max == 0 || opts->queue_timeout_ms > 0);
    MUST(opts->head_max > 0);
    MUST(opts->fields_max > 0);
    group->opts = *opts;
    group->parsing = parsing_of(opts);
    group->own_name = strdup(opts->name);
    if (group->own_name == NULL) {
        return RC_NOMEM;
    }
    group->opts.name = group->own_name;
    group->opts.servers = NULL;
    return origin_server_new(
        opts->servers[0], opts->resolve_interval_ms, &group->server);
}

enum rc
origin_group_new(
    const struct origin_opts *opts, struct origin_group **out_group)
{
    struct origin_group *group = calloc(1, sizeof(*group));
    enum rc rc;

    MUST(opts != NULL);
    if (group == NULL) {
        return RC_NOMEM;
    }
    group->magic = GROUP_MAGIC;
    origin_queue_init(&group->queue);
    rc = group_fill(group, opts);
    if (rc != RC_OK) {
        origin_group_free(&group);
        return rc;
    }
    *out_group = group;
    return RC_OK;
}

void
origin_group_free(struct origin_group **pgroup)
{
    struct origin_group *group = *pgroup;

    if (group == NULL) {
        return;
    }
    MUST_OBJ(group, GROUP_MAGIC);
    MUST(atomic_load(&group->connections) == 0);
    MUST(atomic_load(&group->pools) == 0);
    *pgroup = NULL;
    origin_queue_fini(&group->queue);
    group->magic = 0;
    origin_server_free(&group->server);
    free(group->own_name);
    free(group);
}

/* --- metrics ----------------------------------------------------------- */

struct metric_row {
    enum metric_kind kind;
    const char *name;
    const char *help;
    size_t offset; /* of its id in struct origin_metrics */
};

static const struct metric_row metric_rows[] = {
    {METRIC_COUNTER, "nearside_origin_requests_total",
        "Requests to origins, retries not counted.",
        offsetof(struct origin_metrics, requests)},
    {METRIC_GAUGE, "nearside_origin_connections",
        "Connections to origins open now.",
        offsetof(struct origin_metrics, connections)},
    {METRIC_COUNTER, "nearside_origin_reused_total",
        "Requests sent on a connection of the pool.",
        offsetof(struct origin_metrics, reused)},
    {METRIC_COUNTER, "nearside_origin_retries_total",
        "Requests sent once more since a pooled connection was closed.",
        offsetof(struct origin_metrics, retries)},
    {METRIC_HISTOGRAM, "nearside_origin_first_byte_seconds",
        "Time from a request's last byte to its response's first.",
        offsetof(struct origin_metrics, first_byte)},
    {METRIC_GAUGE, "nearside_origin_addresses",
        "Addresses of an origin's server.",
        offsetof(struct origin_metrics, server.addresses)},
    {METRIC_GAUGE, "nearside_origin_addresses_resting",
        "Those of them that the last dial did not reach.",
        offsetof(struct origin_metrics, server.resting)},
    {METRIC_GAUGE, "nearside_origin_lookup_timestamp_seconds",
        "When a look-up of the server's name last found addresses.",
        offsetof(struct origin_metrics, server.looked_up)},
    {METRIC_GAUGE, "nearside_origin_waiting",
        "Requests that wait for a connection to an origin.",
        offsetof(struct origin_metrics, waiting)},
    {METRIC_HISTOGRAM, "nearside_origin_queue_seconds",
        "Time that requests waited for a connection to an origin.",
        offsetof(struct origin_metrics, waited)},
};

static const struct metric_row error_row = {METRIC_COUNTER,
    "nearside_origin_errors_total",
    "Requests to origins that failed, by cause.",
    offsetof(struct origin_metrics, errors)};

static const struct metric_row lookup_row = {METRIC_COUNTER,
    "nearside_origin_lookups_total",
    "Look-ups of the server's name, by result.",
    offsetof(struct origin_metrics, server.lookups)};

/* i: which of the row's ids; more: of its labels. */
static void
row_measure(struct origin_group *group, struct metric_registry *registry,
    const struct metric_row *row, unsigned i, const char *more)
{
    char name[LABEL_MAX / 2];
    char labels[LABEL_MAX];
    metric_id id;

    metric_escape(slice_of_str(group->own_name), name, sizeof(name));
    snprintf(labels, sizeof(labels), "origin=\"%s\"%s", name, more);
    id = metric_add(registry, row->kind, row->name, row->help, labels);
    memcpy((char *)&group->metrics + row->offset + i * sizeof(id), &id,
        sizeof(id));
}

static void
error_measure(struct origin_group *group, struct metric_registry *registry,
    enum origin_error error)
{
    char cause[64];

    snprintf(
        cause, sizeof(cause), ",cause=\"%s\"", origin_failure(error)->name);
    for (char *at = cause; *at != '\0'; at++) {
        *at = ascii_lower(*at);
    }
    row_measure(group, registry, &error_row, error, cause);
}

static void
lookup_measure(struct origin_group *group, struct metric_registry *registry,
    enum origin_lookup lookup)
{
    char result[64];

    snprintf(
        result, sizeof(result), ",result=\"%s\"", origin_lookup_text(lookup));
    row_measure(group, registry, &lookup_row, lookup, result);
}

void
origin_groups_measure(struct origin_group *const *groups, unsigned groups_len,
    struct metric_registry *registry)
{
    MUST(registry != NULL);
    for (unsigned g = 0; g < groups_len; g++) {
        MUST_OBJ(groups[g], GROUP_MAGIC);
        MUST(!groups[g]->is_measured);
    }
    for (size_t r = 0; r < ARRAY_LEN(metric_rows); r++) {
        for (unsigned g = 0; g < groups_len; g++) {
            row_measure(groups[g], registry, &metric_rows[r], 0, "");
        }
    }
    for (unsigned g = 0; g < groups_len; g++) {
        for (unsigned e = ORIGIN_ERROR_NONE + 1; e < ORIGIN_ERROR_COUNT; e++) {
            error_measure(groups[g], registry, (enum origin_error)e);
        }
    }
    for (unsigned g = 0; g < groups_len; g++) {
        for (unsigned l = 0; l < ORIGIN_LOOKUP_COUNT; l++) {
            lookup_measure(groups[g], registry, (enum origin_lookup)l);
        }
        origin_server_measure(groups[g]->server, &groups[g]->metrics.server);
        groups[g]->is_measured = true;
    }
}

/* --- its server -------------------------------------------------------- */

void
origin_group_start(struct origin_group *group, struct loop *loop,
    struct resolver *resolver, struct log_ring *ring,
    struct metric_block *block)
{
    MUST_OBJ(group, GROUP_MAGIC);
    origin_server_start(group->server, loop, resolver, ring, block);
}

void
origin_group_stop(struct origin_group *group)
{
    MUST_OBJ(group, GROUP_MAGIC);
    origin_server_stop(group->server);
}

void
origin_group_status(struct origin_group *group, int64_t now_ms,
    struct origin_server_status *out)
{
    MUST_OBJ(group, GROUP_MAGIC);
    origin_server_status(group->server, now_ms, out);
}

/* --- what is asked of a group ------------------------------------------ */

const char *
origin_group_name(const struct origin_group *group)
{
    MUST_OBJ(group, GROUP_MAGIC);
    return group->own_name;
}

unsigned
origin_group_connections(const struct origin_group *group)
{
    MUST_OBJ(group, GROUP_MAGIC);
    return atomic_load_explicit(&group->connections, memory_order_relaxed);
}

unsigned
origin_group_in_flight(const struct origin_group *group)
{
    MUST_OBJ(group, GROUP_MAGIC);
    return atomic_load_explicit(&group->in_flight, memory_order_relaxed);
}

unsigned
origin_group_waiting(const struct origin_group *group)
{
    MUST_OBJ(group, GROUP_MAGIC);
    return atomic_load_explicit(&group->queue.len, memory_order_relaxed);
}

/* Idle connections count against connections_max: a worker that kept more
   than its share of it would leave the others without. */
unsigned
origin_group_idle_max(const struct origin_group *group)
{
    unsigned idle_max = group->opts.idle_max;
    unsigned share = group->opts.connections_max;

    if (share == 0) {
        return idle_max;
    }
    share /= atomic_load_explicit(&group->pools, memory_order_relaxed);
    return share < idle_max ? share : idle_max;
}
