/* Metrics: sums over blocks, the text format to the byte, two threads. */
#include "nearside/base/metric.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct slice
rendered(struct metric_registry *r, struct buf *buf)
{
    buf_init(buf, 1 << 20);
    assert_int_equal(metric_render(r, buf), RC_OK);
    assert_int_equal(buf_append(buf, slice_of("", 1)), RC_OK);
    return buf_slice(buf);
}

/* What it shows as the value of that name, which has no labels. */
static long long
value_of(struct metric_registry *r, const char *name)
{
    struct buf buf;
    char key[64];
    const char *at;
    long long value;

    snprintf(key, sizeof(key), "\n%s ", name);
    at = strstr(rendered(r, &buf).ptr, key);
    assert_non_null(at);
    value = strtoll(at + strlen(key), NULL, 10);
    buf_fini(&buf);
    return value;
}

static void
assert_rendered(struct metric_registry *r, const char *want)
{
    struct buf buf;

    assert_string_equal(rendered(r, &buf).ptr, want);
    buf_fini(&buf);
}

static void
help_and_type_stand_once_a_name(void **state)
{
    struct metric_registry *r = metric_registry_new();
    struct metric_block *b;
    metric_id hit;
    metric_id up;

    (void)state;
    hit = metric_add(
        r, METRIC_COUNTER, "ns_requests_total", "Requests.", "result=\"hit\"");
    metric_add(
        r, METRIC_COUNTER, "ns_requests_total", "Requests.", "result=\"miss\"");
    up = metric_add(r, METRIC_GAUGE, "ns_up", "A line.", NULL);
    b = metric_block_new(r);
    metric_inc(b, hit);
    metric_add_to(b, hit, 2);
    metric_add_to(b, up, -4);
    assert_rendered(r, "# HELP ns_requests_total Requests.\n"
                       "# TYPE ns_requests_total counter\n"
                       "ns_requests_total{result=\"hit\"} 3\n"
                       "ns_requests_total{result=\"miss\"} 0\n"
                       "# HELP ns_up A line.\n"
                       "# TYPE ns_up gauge\n"
                       "ns_up -4\n");
    metric_registry_free(&r);
    assert_null(r);
}

static void
a_rare_one_is_shown_once_it_has_counted(void **state)
{
    struct metric_registry *r = metric_registry_new();
    struct metric_block *b;
    metric_id bad, late;

    (void)state;
    metric_add(r, METRIC_COUNTER, "a_total", "A.", "c=\"2\"");
    bad = metric_add(r, METRIC_COUNTER, "a_total", "A.", "c=\"5\"");
    metric_make_rare(r);
    late = metric_add(r, METRIC_HISTOGRAM, "late_seconds", "Late.", "r=\"x\"");
    metric_make_rare(r);
    metric_add(r, METRIC_GAUGE, "up", "Up.", NULL);
    b = metric_block_new(r);
    assert_rendered(r, "# HELP a_total A.\n"
                       "# TYPE a_total counter\n"
                       "a_total{c=\"2\"} 0\n"
                       "# HELP up Up.\n"
                       "# TYPE up gauge\n"
                       "up 0\n");
    metric_inc(b, bad);
    metric_observe_us(b, late, 0); /* its sum stays 0 */
    assert_int_equal(value_of(r, "a_total{c=\"5\"}"), 1);
    assert_int_equal(value_of(r, "late_seconds_count{r=\"x\"}"), 1);
    metric_observe_us(b, late, INT64_C(100000000)); /* in the last bucket */
    assert_int_equal(value_of(r, "late_seconds_count{r=\"x\"}"), 2);
    assert_int_equal(metric_sum(r, bad), 1);
    metric_registry_free(&r);
}

static void
a_gauge_goes_up_in_one_block_and_down_in_another(void **state)
{
    struct metric_registry *r = metric_registry_new();
    metric_id id = metric_add(r, METRIC_GAUGE, "conns", "Open.", NULL);
    struct metric_block *a = metric_block_new(r);
    struct metric_block *b = metric_block_new(r);

    (void)state;
    metric_add_to(a, id, 5);
    metric_add_to(b, id, -3);
    assert_int_equal(value_of(r, "conns"), 2);
    metric_add_to(b, id, -3);
    assert_int_equal(value_of(r, "conns"), -1);
    metric_registry_free(&r);
}

static void
counting_without_a_block_does_nothing(void **state)
{
    (void)state;
    metric_inc(NULL, 7);
}

static void
a_histogram_is_cumulative_and_in_seconds(void **state)
{
    struct metric_registry *r = metric_registry_new();
    metric_id id;
    struct metric_block *b;
    struct buf buf;
    const char *text;

    (void)state;
    id = metric_add(
        r, METRIC_HISTOGRAM, "took_seconds", "Time.", "tier=\"memory\"");
    b = metric_block_new(r);
    metric_observe_us(b, id, -5);
    metric_observe_us(b, id, 50);       /* le is inclusive */
    metric_observe_us(b, id, 51);       /* the next one */
    metric_observe_us(b, id, 60000000); /* the last finite one */
    metric_observe_us(b, id, 60000001); /* only +Inf */
    text = rendered(r, &buf).ptr;
    assert_non_null(strstr(text, "# TYPE took_seconds histogram\n"));
    assert_non_null(
        strstr(text, "took_seconds_bucket{tier=\"memory\",le=\"5e-05\"} 2\n"
                     "took_seconds_bucket{tier=\"memory\",le=\"0.0001\"} 3\n"
                     "took_seconds_bucket{tier=\"memory\",le=\"0.0002\"} 3\n"));
    assert_non_null(
        strstr(text, "took_seconds_bucket{tier=\"memory\",le=\"60\"} 4\n"
                     "took_seconds_bucket{tier=\"memory\",le=\"+Inf\"} 5\n"
                     "took_seconds_sum{tier=\"memory\"} 120.000102\n"
                     "took_seconds_count{tier=\"memory\"} 5\n"));
    buf_fini(&buf);
    metric_registry_free(&r);
}

/* What is observed at a bound is counted there and what is 1 us above is
   not, for every bound that the text names. */
static void
each_bucket_ends_where_its_text_says(void **state)
{
    struct metric_registry *r = metric_registry_new();
    metric_id id =
        metric_add(r, METRIC_HISTOGRAM, "took_seconds", "Time.", NULL);
    struct metric_block *b = metric_block_new(r);
    struct buf buf;
    const char *at = rendered(r, &buf).ptr;
    int bounds = 0;

    (void)state;
    while ((at = strstr(at, "_bucket{le=\"")) != NULL) {
        at += strlen("_bucket{le=\"");
        if (at[0] != '+') {
            double us = strtod(at, NULL) * 1e6;
            metric_observe_us(b, id, (int64_t)(us + 0.5));
            metric_observe_us(b, id, (int64_t)(us + 0.5) + 1);
            bounds++;
        }
    }
    assert_in_range(bounds, 16, 20);
    buf_fini(&buf);
    at = rendered(r, &buf).ptr;
    for (long n = 1; n <= bounds; n++) {
        at = strstr(at, "\"} ") + 3;
        assert_int_equal(strtol(at, NULL, 10), 2 * n - 1);
    }
    buf_fini(&buf);
    metric_registry_free(&r);
}

static void
label_values_are_escaped(void **state)
{
    char out[32];
    char tight[6];

    (void)state;
    assert_string_equal(metric_escape(SLICE("a\"b\\c\nd"), out, sizeof(out)),
        "a\\\"b\\\\c\\nd");
    /* Cut, but never in the middle of an escape. */
    assert_string_equal(
        metric_escape(SLICE("abcd\"e"), tight, sizeof(tight)), "abcd");
}

static void
a_full_buffer_is_a_limit(void **state)
{
    struct metric_registry *r = metric_registry_new();
    struct buf buf;

    (void)state;
    metric_add(r, METRIC_HISTOGRAM, "took_seconds", "Time.", NULL);
    for (size_t max = 0; max < 400; max += 7) {
        buf_init(&buf, max);
        assert_int_equal(metric_render(r, &buf), RC_LIMIT);
        buf_fini(&buf);
    }
    metric_registry_free(&r);
}

struct counting {
    struct metric_block *block;
    metric_id counter;
    metric_id histogram;
};

static void *
count_on(void *ctx)
{
    struct counting *c = ctx;

    for (int i = 0; i < 50000; i++) {
        metric_inc(c->block, c->counter);
        metric_observe_us(c->block, c->histogram, i);
    }
    return NULL;
}

static void
two_threads_count_while_a_third_reads(void **state)
{
    struct metric_registry *r = metric_registry_new();
    struct counting c[2];
    pthread_t threads[2];
    int64_t last = 0;

    (void)state;
    c[0].counter = metric_add(r, METRIC_COUNTER, "n_total", "N.", NULL);
    c[0].histogram = metric_add(r, METRIC_HISTOGRAM, "h_seconds", "H.", NULL);
    c[1] = c[0];
    for (int i = 0; i < 2; i++) {
        c[i].block = metric_block_new(r);
        assert_int_equal(pthread_create(&threads[i], NULL, count_on, &c[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        struct buf buf;
        int64_t sum = value_of(r, "n_total");
        assert_true(sum >= last);
        last = sum;
        rendered(r, &buf);
        buf_fini(&buf);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(value_of(r, "n_total"), 100000);
    assert_int_equal(value_of(r, "h_seconds_count"), 100000);
    metric_registry_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_type_stand_once_a_name),
        cmocka_unit_test(a_rare_one_is_shown_once_it_has_counted),
        cmocka_unit_test(a_gauge_goes_up_in_one_block_and_down_in_another),
        cmocka_unit_test(counting_without_a_block_does_nothing),
        cmocka_unit_test(a_histogram_is_cumulative_and_in_seconds),
        cmocka_unit_test(each_bucket_ends_where_its_text_says),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(a_full_buffer_is_a_limit),
        cmocka_unit_test(two_threads_count_while_a_third_reads),
    };

    return cmocka_run_group_tests_name("base.metric", tests, NULL, NULL);
}
