/*
 * Counters, gauges and histograms. A registry lists them once, at start;
 * each thread that counts has a block of cells of its own, written by that
 * thread alone (relaxed atomics: a load and a store, no lock prefix) and
 * summed when read.
 */
#ifndef NEARSIDE_BASE_METRIC_H
#define NEARSIDE_BASE_METRIC_H

#include <stdatomic.h>
#include <stdint.h>

#include "nearside/base/buf.h"

struct metric_registry;

enum metric_kind {
    METRIC_COUNTER,   /* only grows; its name ends in _total */
    METRIC_GAUGE,     /* goes up and down; a block may be negative */
    METRIC_HISTOGRAM, /* of microseconds, shown in seconds */
};

/* Index of a metric's first cell. */
typedef uint32_t metric_id; /* an index, no struct to hide */

struct metric_registry *metric_registry_new(void); /* NULL: no memory */
void metric_registry_free(struct metric_registry **registry);

/*
 * name, help (one line, no backslash): static, or owned by the caller for
 * the registry's life.
 * labels: "route=\"/a\",result=\"hit\"" without braces, copied; NULL: none.
 * Metrics of one name are added one after the other. Only before the first
 * block is made. Out of memory ends the process: this is start-up.
 */
metric_id metric_add(struct metric_registry *registry, enum metric_kind kind,
    const char *name, const char *help, const char *labels);

/* The metric that was added last is shown only once it has counted: for rows of
   which most stay empty. */
void metric_make_rare(struct metric_registry *registry);

/* A label value escaped as the text format asks (backslash, quote, LF). */
const char *metric_escape(struct slice value, char *out, size_t cap);

struct metric_block {
    struct metric_block *next; /* registry's list */
    _Atomic uint64_t cells[];
};

/* A block of zeroed cells for one thread; freed with the registry. NULL: no
   memory. Any thread may ask; its counts outlive the thread. */
struct metric_block *metric_block_new(struct metric_registry *registry);

static inline void
metric_add_to(struct metric_block *b, metric_id id, int64_t n)
{
    if (b == NULL) {
        return;
    }
    atomic_store_explicit(&b->cells[id],
        atomic_load_explicit(&b->cells[id], memory_order_relaxed) + (uint64_t)n,
        memory_order_relaxed);
}

static inline void
metric_inc(struct metric_block *b, metric_id id)
{
    metric_add_to(b, id, 1);
}

/* Of what is counted elsewhere: the block's cell becomes n. */
static inline void
metric_set(struct metric_block *b, metric_id id, uint64_t n)
{
    if (b != NULL) {
        atomic_store_explicit(&b->cells[id], n, memory_order_relaxed);
    }
}

/* Adds one observation to a histogram. */
void metric_observe_us(struct metric_block *b, metric_id id, int64_t us);

/* The sum of all blocks. Any thread. */
uint64_t metric_sum(struct metric_registry *registry, metric_id id);

/* Everything in the Prometheus text format 0.0.4. RC_NOMEM, RC_LIMIT. */
enum rc metric_render(
    struct metric_registry *registry, struct buf *out) RC_MUST_CHECK;

#endif
