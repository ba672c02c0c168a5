/*
 * What memory holds, for /metrics and /status. The counts stand in memory's
 * shards, under their locks; they are read when somebody looks.
 */
#include "proxy/proxy.h"

#include "nearside/base/metric.h"

/* A metric, and where its value stands in the counts. */
struct row {
    enum metric_kind kind;
    const char *name;
    const char *help;
    const char *labels; /* or NULL */
    size_t at;
    bool is_size; /* else a uint64_t */
};

#define ROW(kind, name, help, labels, member, is_size)                         \
    {                                                                          \
        METRIC_##kind, name, help, labels,                                     \
            offsetof(struct memory_counts, member), is_size                    \
    }

static const struct row rows[] = {
    ROW(GAUGE, "nearside_memory_bytes",
        "Bytes that memory takes, its tables included.", NULL, bytes, true),
    ROW(GAUGE, "nearside_memory_entries", "Entries in memory.", NULL, entries,
        true),
    ROW(COUNTER, "nearside_memory_evictions_total",
        "Entries that left memory for want of room.", "queue=\"small\"",
        evicted_small, false),
    ROW(COUNTER, "nearside_memory_evictions_total",
        "Entries that left memory for want of room.", "queue=\"main\"",
        evicted_main, false),
    ROW(COUNTER, "nearside_memory_returns_total",
        "Entries that came back to memory soon after they had left it.", NULL,
        ghost_returns, false),
    ROW(COUNTER, "nearside_memory_deletions_total",
        "Entries deleted from memory.", NULL, drops, false),
};

static_assert(ARRAY_LEN(rows) == MEMORY_METRICS, "as in proxy.h");

void
proxy_metrics_add(struct proxy *proxy, struct metric_registry *registry)
{
    MUST_OBJ(proxy, PROXY_MAGIC);
    for (size_t i = 0; proxy->tier.memory != NULL && i < ARRAY_LEN(rows); i++) {
        proxy->memory_metrics[i] = metric_add(
            registry, rows[i].kind, rows[i].name, rows[i].help, rows[i].labels);
    }
}

static uint64_t
value_of(const struct memory_counts *counts, const struct row *row)
{
    const char *at = (const char *)counts + row->at;

    return row->is_size ? *(const size_t *)(const void *)at
                        : *(const uint64_t *)(const void *)at;
}

void
proxy_measure(struct proxy *proxy, struct metric_block *block)
{
    struct memory_counts counts;

    MUST_OBJ(proxy, PROXY_MAGIC);
    if (proxy->tier.memory == NULL) {
        return;
    }
    memory_count(proxy->tier.memory, &counts);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        metric_set(
            block, proxy->memory_metrics[i], value_of(&counts, &rows[i]));
    }
}

bool
proxy_memory(struct proxy *proxy, struct proxy_memory *out)
{
    struct memory_counts counts;

    MUST_OBJ(proxy, PROXY_MAGIC);
    if (proxy->tier.memory == NULL) {
        return false;
    }
    memory_count(proxy->tier.memory, &counts);
    *out = (struct proxy_memory){
        .size = proxy->opts.memory_size,
        .bytes = counts.bytes,
        .entries = counts.entries,
    };
    return true;
}
