/* Sources: bytes and fills by the same calls. */
#include "nearside/body/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "heap.h"
enum {
    WINDOW = 1000,
};

struct rig {
    struct loop *loop;
    struct fill *fill;
    struct source source;
    unsigned wakes;
};

static void
on_room(void *ctx)
{
    (void)ctx;
}

static void
on_wake(void *ctx)
{
    struct rig *rig = ctx;

    rig->wakes++;
}

static int
rig_up(void **state)
{
    const struct response_head head = {.status = 200};
    const struct fill_opts opts = {
        .window = WINDOW, .held_max = 2 * WINDOW, .on_room = on_room};
    struct rig *rig;

    heap_begins();
    rig = calloc(1, sizeof(*rig));
    rig->loop = loop_new();
    rig->fill = fill_new(rig->loop, &head, &opts);
    assert_non_null(rig->fill);
    *state = rig;
    return 0;
}

static int
rig_down(void **state)
{
    struct rig *rig = *state;

    source_close(&rig->source);
    fill_unref(&rig->fill);
    loop_free(&rig->loop);
    free(rig);
    heap_ends();
    return 0;
}

static void
assert_shows(struct source *source, const char *text)
{
    struct iovec iov[2];
    size_t len = strlen(text);

    assert_int_equal(source_left(source), len);
    assert_int_equal(source_peek(source, iov, 2), len > 0);
    if (len > 0) {
        assert_true(slice_eq(
            slice_of(iov[0].iov_base, iov[0].iov_len), slice_of(text, len)));
    }
}

static void
bytes_are_all_there_from_the_start(void **state)
{
    struct rig *rig = *state;
    struct iovec iov;

    source_of_bytes(&rig->source, SLICE("hello"));
    assert_int_equal(source_state(&rig->source), SOURCE_END);
    assert_int_equal(source_peek(&rig->source, &iov, 0), 0);
    assert_shows(&rig->source, "hello");
    source_advance(&rig->source, 2);
    assert_shows(&rig->source, "llo");
    source_advance(&rig->source, 3);
    assert_shows(&rig->source, "");
    assert_int_equal(source_state(&rig->source), SOURCE_END);
}

static void
a_fill_gives_what_has_come_and_wakes_for_more(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(source_of_fill(&rig->source, rig->fill, rig->loop), RC_OK);
    assert_int_equal(source_state(&rig->source), SOURCE_MORE);
    assert_shows(&rig->source, "");
    fill_append(rig->fill, SLICE("hello"));
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->wakes, 0); /* nobody waits */
    assert_shows(&rig->source, "hello");
    source_advance(&rig->source, 2);
    assert_shows(&rig->source, "llo");
    source_advance(&rig->source, 3);
    source_await(&rig->source, on_wake, rig);
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->wakes, 0);
    fill_append(rig->fill, SLICE("x"));
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->wakes, 1);
    assert_shows(&rig->source, "x");
    fill_finish(rig->fill, FILL_COMPLETE);
    assert_int_equal(source_state(&rig->source), SOURCE_END);
    assert_shows(&rig->source, "x");
}

static void
a_fill_that_fails_fails_the_source(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(source_of_fill(&rig->source, rig->fill, rig->loop), RC_OK);
    source_await(&rig->source, on_wake, rig);
    fill_finish(rig->fill, FILL_FAILED);
    loop_turn(rig->loop, 0);
    assert_int_equal(rig->wakes, 1);
    assert_int_equal(source_state(&rig->source), SOURCE_FAILED);
}

static void
a_source_of_a_fill_whose_start_is_gone_is_nothing(void **state)
{
    struct rig *rig = *state;
    static const char bytes[WINDOW];

    for (int i = 0; i < 50; i++) {
        fill_append(rig->fill, slice_of(bytes, WINDOW));
    }
    assert_int_equal(
        source_of_fill(&rig->source, rig->fill, rig->loop), RC_MISS);
    assert_int_equal(rig->source.magic, 0);
    source_close(&rig->source);
    source_of_bytes(&rig->source, SLICE("a"));
    assert_shows(&rig->source, "a");
}

static void
a_closed_source_has_left_the_fill_and_can_be_another(void **state)
{
    struct rig *rig = *state;

    source_close(&rig->source); /* it is nothing: harmless */
    assert_int_equal(source_of_fill(&rig->source, rig->fill, rig->loop), RC_OK);
    assert_true(fill_has_readers(rig->fill));
    assert_int_equal(fill_sharers(rig->fill), 2);
    source_close(&rig->source);
    source_close(&rig->source);
    assert_false(fill_has_readers(rig->fill));
    assert_int_equal(fill_sharers(rig->fill), 1);
    source_of_bytes(&rig->source, SLICE("error"));
    assert_shows(&rig->source, "error");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_are_all_there_from_the_start),
        TEST(a_fill_gives_what_has_come_and_wakes_for_more),
        TEST(a_fill_that_fails_fails_the_source),
        TEST(a_source_of_a_fill_whose_start_is_gone_is_nothing),
        TEST(a_closed_source_has_left_the_fill_and_can_be_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
