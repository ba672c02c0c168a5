/* What a worker gives: counters, each with a cell of its own, and the date. */
#include "nearside/work/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "nearside/base/buf.h"

static const char *const limits[LIMIT_COUNT] = {
#define LIMIT(name, text) text,
#include "nearside/work/limit.def"
#undef LIMIT
};

static const char *const counters[COUNTER_COUNT] = {
#define COUNTER(id, kind, name, help) name,
#include "nearside/work/counter.def"
#undef COUNTER
};

static void
assert_line(struct slice text, const char *line)
{
    if (memmem(text.ptr, text.len, line, strlen(line)) == NULL) {
        fail_msg("no %s", line);
    }
}

/* Each is counted another number of times. */
static void
every_counter_is_listed_and_has_a_cell_of_its_own(void **state)
{
    struct metric_registry *registry = metric_registry_new();
    struct work_metrics metrics;
    struct worker w = {
        .magic = WORKER_MAGIC, .time = &shared_time_own, .metrics = &metrics};
    struct buf buf;
    char line[128];

    (void)state;
    work_metrics_add(&metrics, registry);
    w.block = metric_block_new(registry);
    assert_non_null(w.block);
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        for (unsigned n = 0; n <= i; n++) {
            worker_count_limit(&w, (enum limit)i);
        }
    }
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        worker_count(&w, (enum counter)i);
        worker_count_by(&w, (enum counter)i, 100 + i);
    }
    buf_init(&buf, 1 << 20);
    assert_int_equal(metric_render(registry, &buf), RC_OK);
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        snprintf(line, sizeof(line),
            "\nnearside_limits_hit_total{limit=\"%s\"} %u\n", limits[i], i + 1);
        assert_line(buf_slice(&buf), line);
    }
    for (unsigned i = 0; i < COUNTER_COUNT; i++) {
        snprintf(line, sizeof(line), "\n%s %u\n", counters[i], 101 + i);
        assert_line(buf_slice(&buf), line);
    }
    buf_fini(&buf);
    metric_registry_free(&registry);
}

static void
the_date_is_the_turn_s_wall_time_and_written_once_a_second(void **state)
{
    struct worker w = {
        .magic = WORKER_MAGIC, .time = &shared_time_own, .loop = loop_new()};
    char want[DATE_LEN];

    (void)state;
    date_write(want, worker_wall_ms(&w) / 1000);
    for (int64_t other_s = 0; other_s < 3; other_s++) {
        w.date_s = other_s;
        memset(w.date_text, '?', DATE_LEN);
        assert_memory_equal(worker_date(&w).ptr, want, DATE_LEN);
        assert_int_equal(worker_date(&w).len, DATE_LEN);
    }
    memset(w.date_text, '?', DATE_LEN);
    assert_int_equal(worker_date(&w).ptr[0], '?');
    loop_free(&w.loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_is_listed_and_has_a_cell_of_its_own),
        cmocka_unit_test(
            the_date_is_the_turn_s_wall_time_and_written_once_a_second),
    };

    return cmocka_run_group_tests_name("work worker", tests, NULL, NULL);
}
