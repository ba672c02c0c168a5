/*
 * What a worker gives to all: the date, written once a second however many
 * answers carry it, and the counters, listed once at start.
 */
#include "nearside/work/worker.h"

struct slice
worker_date(struct worker *w)
{
    int64_t now_s;

    MUST_OBJ(w, WORKER_MAGIC);
    now_s = worker_wall_ms(w) / 1000;
    if (w->date_s != now_s) {
        w->date_s = now_s;
        date_write(w->date_text, now_s);
    }
    return slice_of(w->date_text, DATE_LEN);
}

const char *
limit_text(enum limit limit)
{
    static const char *const texts[LIMIT_COUNT] = {
#define LIMIT(name, text) [LIMIT_##name] = text,
#include "nearside/work/limit.def"
#undef LIMIT
    };

    MUST((unsigned)limit < LIMIT_COUNT);
    return texts[limit];
}

static void
add_limits(struct work_metrics *metrics, struct metric_registry *registry)
{
    static const char *const labels[LIMIT_COUNT] = {
#define LIMIT(name, text) [LIMIT_##name] = "limit=\"" text "\"",
#include "nearside/work/limit.def"
#undef LIMIT
    };

    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        metrics->limits[i] =
            metric_add(registry, METRIC_COUNTER, "nearside_limits_hit_total",
                "How often a limit of the configuration was hit.", labels[i]);
    }
}

void
work_metrics_add(struct work_metrics *metrics, struct metric_registry *registry)
{
    static const struct {
        enum metric_kind kind;
        const char *name;
        const char *help;
    } rows[COUNTER_COUNT] = {
#define COUNTER(id, kind, name, help)                                          \
    [COUNTER_##id] = {METRIC_##kind, name, help},
#include "nearside/work/counter.def"
#undef COUNTER
    };

    MUST(registry != NULL);
    add_limits(metrics, registry);
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        metrics->counters[i] = metric_add(
            registry, rows[i].kind, rows[i].name, rows[i].help, NULL);
    }
}
