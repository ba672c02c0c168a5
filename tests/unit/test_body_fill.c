/*
 * Fills: an owner that appends (fill_owner.c), followers that read and compare
 * every byte (fill_reader.c), and what lies between them (fill_side.c).
 * Most tests drive two loops from one thread, so that each order of events
 * is chosen; the last ones run them on threads of their own.
 */
#include "nearside/body/fill.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heap.h"
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OWN_MALLOC 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OWN_MALLOC 1
#endif

enum {
    WINDOW = 65536,
    HELD_MAX = 2 * WINDOW,
    APPEND_MAX = 40000,
    ALL = 1 << 30,
};

/* The byte at an offset of every body here. */
static unsigned char
byte_at(uint64_t offset)
{
    return (unsigned char)((offset * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

static uint64_t
random_below(uint64_t *random, uint64_t bound)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random % bound;
}

/* --- the owner --------------------------------------------------------- */

struct feeder {
    struct loop *loop;
    struct fill *fill;
    uint64_t sent;
    uint64_t total;
    uint64_t random;
    size_t append_max;
    unsigned rooms; /* calls of on_room */
    bool is_feeding_on_room;
    size_t memory_max; /* in use after any append */
    char data[APPEND_MAX];
};

/* Appends until it is refused or `total` is out; false: refused. */
static bool
feed(struct feeder *f)
{
    while (f->sent < f->total) {
        size_t n = 1 + (size_t)random_below(&f->random, f->append_max);
        size_t taken;

        n = n < f->total - f->sent ? n : (size_t)(f->total - f->sent);
        for (size_t i = 0; i < n; i++) {
            f->data[i] = (char)byte_at(f->sent + i);
        }
        taken = fill_append(f->fill, slice_of(f->data, n));
        f->sent += taken;
        MUST(f->sent == fill_len(f->fill));
#ifndef HAS_OWN_MALLOC
        {
            size_t used = mallinfo2().uordblks;
            f->memory_max = used > f->memory_max ? used : f->memory_max;
        }
#endif
        if (taken < n) {
            return false;
        }
    }
    return true;
}

static void
feed_all(struct feeder *f)
{
    if (feed(f) && fill_state(f->fill) == FILL_OPEN) {
        fill_finish(f->fill, FILL_COMPLETE);
    }
}

static void
on_room(void *ctx)
{
    struct feeder *f = ctx;

    f->rooms++;
    if (f->is_feeding_on_room) {
        feed_all(f);
    }
}

static void
feeder_init(
    struct feeder *f, struct loop *loop, struct fill_opts opts, uint64_t total)
{
    const struct response_head head = {
        .status = 200, .fields = SLICE("a: b\r\n")};

    *f = (struct feeder){
        .loop = loop, .total = total, .random = 7, .append_max = APPEND_MAX};
    opts.window = opts.window == 0 ? WINDOW : opts.window;
    opts.held_max = opts.held_max == 0 ? HELD_MAX : opts.held_max;
    opts.on_room = on_room;
    opts.ctx = f;
    f->fill = fill_new(loop, &head, &opts);
    MUST(f->fill != NULL);
}

static void
feeder_end(struct feeder *f)
{
    if (fill_state(f->fill) == FILL_OPEN) {
        fill_finish(f->fill, FILL_FAILED);
    }
    fill_unref(&f->fill);
}

/* --- a reader ---------------------------------------------------------- */

struct follower {
    struct fill_reader reader;
    struct loop *loop;
    uint64_t at;
    uint64_t random;
    uint64_t take_max; /* at a wake; 0: none, the test calls follower_take */
    unsigned wakes;
    unsigned wrong; /* bytes */
    bool is_over;
    bool has_left; /* early */
    enum fill_state end;
    void (*on_over)(struct follower *);
    void (*on_first_wake)(struct follower *);
    void *ctx;
};

static void
compare(struct follower *f, const unsigned char *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        f->wrong += data[i] != byte_at(f->at + i);
    }
    f->at += n;
}

/* Reads up to max of what is there. */
static uint64_t
follower_take(struct follower *f, uint64_t max)
{
    uint64_t taken = 0;
    struct iovec iov[3];
    int count;

    while (taken < max && (count = fill_peek(&f->reader, iov, 3)) > 0) {
        uint64_t part = 0;
        for (int i = 0; i < count && taken + part < max; i++) {
            uint64_t left = max - taken - part;
            size_t n = iov[i].iov_len < left ? iov[i].iov_len : (size_t)left;
            compare(f, iov[i].iov_base, n);
            part += n;
        }
        fill_advance(&f->reader, part);
        taken += part;
    }
    return taken;
}

static void
follower_over(struct follower *f, enum fill_state end)
{
    f->is_over = true;
    f->end = end;
    fill_leave(&f->reader);
    if (f->on_over != NULL) {
        f->on_over(f);
    }
}

static void
follower_go(struct follower *f)
{
    enum fill_state state = fill_state(f->reader.fill);

    if (f->take_max > 0) {
        follower_take(f, f->take_max == ALL
                             ? ALL
                             : 1 + random_below(&f->random, f->take_max));
    }
    if (state != FILL_OPEN && f->at == fill_len(f->reader.fill)) {
        follower_over(f, state);
        return;
    }
    if (f->take_max > 0) {
        fill_await(&f->reader);
    }
}

static void
on_wake(void *ctx)
{
    struct follower *f = ctx;

    f->wakes++;
    if (f->wakes == 1 && f->on_first_wake != NULL) {
        f->on_first_wake(f);
        return;
    }
    follower_go(f);
}

static void
follower_init(struct follower *f, struct loop *loop, uint64_t take_max)
{
    static uint64_t seed = 1000;

    *f = (struct follower){
        .loop = loop, .random = ++seed * 77777, .take_max = take_max};
    f->reader.on_wake = on_wake;
    f->reader.ctx = f;
}

static void
follow(struct follower *f, struct fill *fill, struct loop *loop, uint64_t max)
{
    follower_init(f, loop, max);
    assert_int_equal(fill_join(fill, loop, &f->reader), RC_OK);
    fill_await(&f->reader);
}

/* --- the rig ----------------------------------------------------------- */

struct rig {
    struct loop *own;   /* the owner's */
    struct loop *other; /* driven by the same thread unless said otherwise */
    struct feeder feeder;
};

static int
rig_up(void **state)
{
    struct rig *rig;

    heap_begins();
    rig = calloc(1, sizeof(*rig));
    rig->own = loop_new();
    rig->other = loop_new();
    assert_non_null(rig->own);
    assert_non_null(rig->other);
    *state = rig;
    return 0;
}

static int
rig_down(void **state)
{
    struct rig *rig = *state;

    if (rig->feeder.fill != NULL) {
        feeder_end(&rig->feeder);
    }
    loop_free(&rig->other);
    loop_free(&rig->own);
    free(rig);
    heap_ends();
    return 0;
}

static void
turn(struct rig *rig)
{
    loop_turn(rig->own, 0);
    loop_turn(rig->other, 0);
}

static void
turns(struct rig *rig, int n)
{
    for (int i = 0; i < n; i++) {
        turn(rig);
    }
}

static void
turn_until(struct rig *rig, const bool *is_over)
{
    for (int i = 0; i < 100000 && !*is_over; i++) {
        turn(rig);
    }
    assert_true(*is_over);
}

static void
assert_read_all(const struct follower *f, uint64_t total)
{
    assert_true(f->is_over);
    assert_int_equal(f->end, FILL_COMPLETE);
    assert_int_equal(f->at, total);
    assert_int_equal(f->wrong, 0);
}

/* Until it has read all of it. */
static void
read_all(struct rig *rig, const struct follower *f, uint64_t total)
{
    turn_until(rig, &f->is_over);
    assert_read_all(f, total);
}

/* A fill whose owner appends whenever there is room. */
static void
given_feeding(struct rig *rig, struct fill_opts opts, uint64_t total)
{
    feeder_init(&rig->feeder, rig->own, opts, total);
    rig->feeder.is_feeding_on_room = true;
}

/* Two readers of a long fill, of whom one has taken a window and the other
   nothing. */
static void
given_one_ahead(struct rig *rig, struct follower *fast, struct follower *slow,
    struct loop *of_slow)
{
    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000000);
    follow(fast, rig->feeder.fill, rig->own, 0);
    follow(slow, rig->feeder.fill, of_slow, 0);
    feed(&rig->feeder);
    follower_take(fast, WINDOW);
    turns(rig, 3);
}

static void
leave_both(struct follower *fast, struct follower *slow)
{
    fill_leave(&fast->reader);
    fill_leave(&slow->reader);
}

/* --- bytes ------------------------------------------------------------- */

static void
what_is_appended_is_what_is_read(void **state)
{
    struct rig *rig = *state;
    const size_t append_max[] = {1, 10, 700, 17000, APPEND_MAX};

    for (size_t i = 0; i < ARRAY_LEN(append_max); i++) {
        struct follower f;
        uint64_t total = append_max[i] < 100 ? 20000 : 1000000;

        feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, total);
        rig->feeder.append_max = append_max[i];
        rig->feeder.is_feeding_on_room = true;
        follow(&f, rig->feeder.fill, rig->own, APPEND_MAX);
        feed_all(&rig->feeder);
        read_all(rig, &f, total);
        feeder_end(&rig->feeder);
    }
}

static void
a_stated_length_changes_no_byte(void **state)
{
    struct rig *rig = *state;
    const uint64_t totals[] = {1, 200, 511, 512, 513, 16320, 16321, 100000};

    for (size_t i = 0; i < ARRAY_LEN(totals); i++) {
        struct response_head head = {.status = 200, .has_length = true};
        struct fill_opts opts = {.window = WINDOW, .held_max = HELD_MAX};
        struct feeder *f = &rig->feeder;
        struct follower reader;

        head.length = totals[i];
        *f = (struct feeder){.loop = rig->own, .total = totals[i]};
        f->random = 5;
        f->append_max = i % 2 == 0 ? 300 : APPEND_MAX;
        f->is_feeding_on_room = true;
        opts.on_room = on_room;
        opts.ctx = f;
        f->fill = fill_new(rig->own, &head, &opts);
        assert_int_equal(fill_head(f->fill)->fields.len, 0);
        follow(&reader, f->fill, rig->other, 1000);
        feed_all(f);
        read_all(rig, &reader, totals[i]);
        feeder_end(f);
    }
}

static void
readers_on_two_loops_at_their_own_pace_read_the_same(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 500000;
    const uint64_t paces[] = {APPEND_MAX, 9000, 3000, APPEND_MAX, 9000, 3000};
    struct follower f[6];

    given_feeding(rig, (struct fill_opts){.held_max = 10 * total}, total);
    for (size_t i = 0; i < 6; i++) {
        follow(
            &f[i], rig->feeder.fill, i < 3 ? rig->own : rig->other, paces[i]);
    }
    feed_all(&rig->feeder);
    for (size_t i = 0; i < 6; i++) {
        read_all(rig, &f[i], total);
    }
}

static void
the_head_is_a_copy(void **state)
{
    struct rig *rig = *state;
    char fields[] = "p: q\r\na: b\r\n";
    struct response_head head = {.status = 404,
        .private_fields = slice_of(fields, 6),
        .fields = slice_of(fields + 6, 6)};
    const struct fill_opts opts = {.window = 1, .held_max = 1};
    const struct response_head *got;

    rig->feeder.fill = fill_new(rig->own, &head, &opts);
    memset(fields, 'x', sizeof(fields) - 1);
    got = fill_head(rig->feeder.fill);
    assert_int_equal(got->status, 404);
    assert_true(slice_eq(got->private_fields, SLICE("p: q\r\n")));
    assert_true(slice_eq(got->fields, SLICE("a: b\r\n")));
}

/* What a slow reader of a kept body holds: all that it will be, or, if that is
   not known, what is there. */
static void
what_is_due_to_a_reader(void **state)
{
    static const struct {
        bool is_kept;
        bool has_length;
        uint64_t length;
        uint64_t due; /* 100 bytes have come, 30 are read */
    } rows[] = {
        {true, true, 1000, 970}, {true, false, 0, 70},
        {false, true, 1000, 0}, /* its owner waits */
        {true, true, 10, 70},   /* more has come than was stated */
    };
    struct rig *rig = *state;
    struct follower f;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct response_head head = {.status = 200,
            .has_length = rows[i].has_length,
            .length = rows[i].length};
        const struct fill_opts opts = {
            .window = WINDOW, .held_max = HELD_MAX, .is_kept = rows[i].is_kept};
        struct fill *fill = fill_new(rig->own, &head, &opts);
        char bytes[100] = {0};
        follow(&f, fill, rig->own, 0);
        assert_int_equal(fill_sharers(fill), 2);
        fill_append(fill, slice_of(bytes, sizeof(bytes)));
        follower_take(&f, 30);
        assert_int_equal(fill_left(&f.reader), 70);
        assert_int_equal(fill_due(&f.reader), rows[i].due);
        fill_finish(fill, FILL_FAILED);
        assert_int_equal(fill_due(&f.reader), rows[i].is_kept ? 70 : 0);
        fill_leave(&f.reader);
        assert_int_equal(fill_sharers(fill), 1);
        fill_unref(&fill);
    }
}

/* --- back-pressure ----------------------------------------------------- */

static void
the_owner_stops_a_window_ahead_of_the_reader(void **state)
{
    struct rig *rig = *state;
    struct follower f;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000000);
    follow(&f, rig->feeder.fill, rig->own, 0);
    assert_false(feed(&rig->feeder));
    assert_int_equal(rig->feeder.sent, WINDOW);
    turns(rig, 5);
    assert_int_equal(rig->feeder.rooms, 0);
    /* Less than half a window of room is not worth a wake-up. */
    assert_int_equal(follower_take(&f, WINDOW / 2 - 1), WINDOW / 2 - 1);
    turns(rig, 5);
    assert_int_equal(rig->feeder.rooms, 0);
    follower_take(&f, 1);
    turns(rig, 5);
    assert_int_equal(rig->feeder.rooms, 1);
    assert_false(feed(&rig->feeder));
    assert_int_equal(rig->feeder.sent, WINDOW + WINDOW / 2);
    follower_take(&f, ALL);
    turns(rig, 5);
    assert_int_equal(rig->feeder.rooms, 2);
    assert_int_equal(fill_sharers(rig->feeder.fill), 2);
    fill_leave(&f.reader);
}

static void
the_window_goes_by_the_fastest_reader(void **state)
{
    struct rig *rig = *state;
    struct follower fast;
    struct follower slow;

    given_one_ahead(rig, &fast, &slow, rig->other);
    assert_int_equal(rig->feeder.rooms, 1);
    feed(&rig->feeder);
    assert_int_equal(rig->feeder.sent, 2 * WINDOW);
    leave_both(&fast, &slow);
}

static void
a_long_body_wakes_the_owner_less_than_thrice_a_window(void **state)
{
    struct rig *rig = *state;
    const uint64_t windows = 50;
    struct follower f[2];

    for (size_t i = 0; i < 2; i++) {
        struct loop *loop = i == 0 ? rig->own : rig->other;
        given_feeding(rig, (struct fill_opts){.held_max = 100 * WINDOW},
            windows * WINDOW);
        follow(&f[0], rig->feeder.fill, loop, 5000);
        follow(&f[1], rig->feeder.fill, loop, 5000);
        feed_all(&rig->feeder);
        read_all(rig, &f[0], windows * WINDOW);
        read_all(rig, &f[1], windows * WINDOW);
        assert_in_range(rig->feeder.rooms, windows - 2, 3 * windows);
        feeder_end(&rig->feeder);
    }
}

static void
a_fill_that_has_ended_calls_its_owner_no_more(void **state)
{
    struct rig *rig = *state;
    struct follower f;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000000);
    follow(&f, rig->feeder.fill, rig->other, 0);
    feed(&rig->feeder);
    follower_take(&f, WINDOW);
    loop_turn(rig->other, 0); /* the owner's message is under way */
    fill_finish(rig->feeder.fill, FILL_FAILED);
    turns(rig, 3);
    assert_int_equal(rig->feeder.rooms, 0);
    fill_leave(&f.reader);
}

static void
nobody_asks_for_room_when_the_fill_has_ended(void **state)
{
    struct rig *rig = *state;
    struct follower fast;
    struct follower slow;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){.held_max = WINDOW},
        1000000);
    follow(&fast, rig->feeder.fill, rig->other, 0);
    follower_init(&slow, rig->own, 0);
    assert_int_equal(
        fill_join(rig->feeder.fill, rig->own, &slow.reader), RC_OK);
    feed(&rig->feeder);
    fill_finish(rig->feeder.fill, FILL_FAILED);
    follower_take(&fast, WINDOW);
    turns(rig, 3);
    leave_both(&fast, &slow);
    turns(rig, 3);
    assert_int_equal(rig->feeder.rooms, 0);
}

/* Both on one loop, and the last one has not read all there is. */
static void
a_slow_reader_that_overtakes_gives_the_owner_room(void **state)
{
    struct rig *rig = *state;
    struct follower fast;
    struct follower slow;

    given_one_ahead(rig, &fast, &slow, rig->own);
    feed(&rig->feeder);
    assert_int_equal(rig->feeder.sent, HELD_MAX);
    turns(rig, 3);
    rig->feeder.rooms = 0;
    follower_take(&slow, WINDOW + WINDOW * 3 / 4);
    turns(rig, 3);
    assert_int_equal(rig->feeder.rooms, 1);
    leave_both(&fast, &slow);
}

static void
the_slowest_reader_gives_the_owner_room_when_it_leaves(void **state)
{
    struct rig *rig = *state;
    struct follower fast;
    struct follower slow;

    given_one_ahead(rig, &fast, &slow, rig->own);
    feed(&rig->feeder);
    follower_take(&fast, WINDOW);
    turns(rig, 3);
    rig->feeder.rooms = 0;
    fill_leave(&slow.reader);
    turns(rig, 3);
    assert_int_equal(rig->feeder.rooms, 1);
    fill_leave(&fast.reader);
}

static void
the_last_reader_that_leaves_gives_the_owner_room(void **state)
{
    struct rig *rig = *state;
    struct follower f;

    for (size_t i = 0; i < 2; i++) {
        feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000000);
        follow(&f, rig->feeder.fill, i == 0 ? rig->own : rig->other, 0);
        feed(&rig->feeder);
        assert_true(fill_has_readers(rig->feeder.fill));
        fill_leave(&f.reader);
        assert_false(fill_has_readers(rig->feeder.fill));
        turns(rig, 3);
        assert_int_equal(rig->feeder.rooms, 1);
        feeder_end(&rig->feeder);
    }
}

/* --- wake-ups ---------------------------------------------------------- */

static void
many_appends_of_a_turn_are_one_wake_up(void **state)
{
    struct rig *rig = *state;
    struct follower near;
    struct follower far;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000);
    rig->feeder.append_max = 10;
    follow(&near, rig->feeder.fill, rig->own, ALL);
    follow(&far, rig->feeder.fill, rig->other, ALL);
    feed(&rig->feeder);
    turns(rig, 1);
    assert_int_equal(near.wakes, 1);
    assert_int_equal(far.wakes, 1);
    assert_int_equal(near.at, 1000);
    assert_int_equal(far.at, 1000);
    assert_int_equal(fill_sharers(rig->feeder.fill), 3); /* no message's */
    fill_leave(&near.reader);
    fill_leave(&far.reader);
}

static void
a_reader_is_woken_once_each_time_it_awaits(void **state)
{
    struct rig *rig = *state;
    struct follower f;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000);
    rig->feeder.append_max = 100;
    follow(&f, rig->feeder.fill, rig->own, 0);
    for (unsigned i = 0; i < 4; i++) {
        rig->feeder.total = 100 * (i + 1);
        feed(&rig->feeder);
        turns(rig, 3);
        assert_int_equal(f.wakes, 1 + i / 2);
        if (i == 1) {
            follower_take(&f, ALL);
            fill_await(&f.reader);
        }
    }
    fill_leave(&f.reader);
}

static void
a_reader_that_has_all_there_is_is_not_woken(void **state)
{
    struct rig *rig = *state;
    struct follower f;
    struct follower other;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000);
    follow(&f, rig->feeder.fill, rig->own, ALL);
    follow(&other, rig->feeder.fill, rig->own, 0);
    feed(&rig->feeder);
    follower_take(&f, ALL);
    turns(rig, 3);
    fill_await(&f.reader);
    f.wakes = 0;
    fill_leave(&other.reader); /* brings a pass over the readers */
    turns(rig, 3);
    assert_int_equal(f.wakes, 0);
    fill_finish(rig->feeder.fill, FILL_COMPLETE);
    turns(rig, 3);
    assert_read_all(&f, 1000);
}

static void
what_came_before_the_reader_awaits_wakes_it(void **state)
{
    struct rig *rig = *state;
    struct follower f;

    for (size_t i = 0; i < 2; i++) {
        struct loop *loop = i == 0 ? rig->own : rig->other;
        feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000);
        follower_init(&f, loop, ALL);
        assert_int_equal(fill_join(rig->feeder.fill, loop, &f.reader), RC_OK);
        feed_all(&rig->feeder);
        turns(rig, 3);
        assert_int_equal(f.wakes, 0);
        fill_await(&f.reader);
        read_all(rig, &f, 1000);
        feeder_end(&rig->feeder);
    }
}

static void
a_failed_fill_wakes_its_readers_and_says_so(void **state)
{
    struct rig *rig = *state;
    struct follower f[2];

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000);
    follow(&f[0], rig->feeder.fill, rig->own, ALL);
    follow(&f[1], rig->feeder.fill, rig->other, ALL);
    feed(&rig->feeder);
    turns(rig, 3);
    fill_finish(rig->feeder.fill, FILL_FAILED);
    turns(rig, 3);
    for (size_t i = 0; i < 2; i++) {
        assert_true(f[i].is_over);
        assert_int_equal(f[i].end, FILL_FAILED);
        assert_int_equal(f[i].wrong, 0);
    }
}

static void
an_empty_fill_ends_empty(void **state)
{
    struct rig *rig = *state;
    struct follower f;
    struct fill_chunk *cursor = NULL;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){.is_kept = true}, 0);
    follow(&f, rig->feeder.fill, rig->other, ALL);
    feed_all(&rig->feeder);
    read_all(rig, &f, 0);
    assert_int_equal(fill_run(rig->feeder.fill, &cursor).len, 0);
}

/* --- coming and going -------------------------------------------------- */

static void
a_reader_freed_while_it_awaits_is_not_called(void **state)
{
    struct rig *rig = *state;

    for (size_t i = 0; i < 4; i++) {
        struct follower *f = calloc(1, sizeof(*f));
        struct loop *loop = i % 2 == 0 ? rig->own : rig->other;

        feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000);
        follow(f, rig->feeder.fill, loop, ALL);
        if (i < 2) {
            feed(&rig->feeder); /* its wake-up is under way */
        }
        fill_leave(&f->reader);
        fill_leave(&f->reader); /* harmless */
        free(f);
        turns(rig, 2);
        feed_all(&rig->feeder);
        turns(rig, 2);
        feeder_end(&rig->feeder);
    }
}

static void
readers_outlive_the_owner_s_reference(void **state)
{
    struct rig *rig = *state;
    struct follower f[2];

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 50000);
    follow(&f[0], rig->feeder.fill, rig->own, 700);
    follow(&f[1], rig->feeder.fill, rig->other, 700);
    feed_all(&rig->feeder);
    feeder_end(&rig->feeder);
    for (size_t i = 0; i < 2; i++) {
        read_all(rig, &f[i], 50000);
    }
}

static void
a_late_reader_of_a_kept_fill_reads_all_of_it(void **state)
{
    struct rig *rig = *state;
    struct follower early;
    struct follower late[2];

    given_feeding(
        rig, (struct fill_opts){.is_kept = true, .held_max = 2000000}, 1000000);
    follow(&early, rig->feeder.fill, rig->own, 10000);
    feed_all(&rig->feeder);
    turns(rig, 5);
    assert_true(early.at > 0);
    follow(&late[0], rig->feeder.fill, rig->own, 10000);
    turns(rig, 5);
    follow(&late[1], rig->feeder.fill, rig->other, 10000);
    turn_until(rig, &early.is_over);
    turn_until(rig, &late[0].is_over);
    turn_until(rig, &late[1].is_over);
    assert_read_all(&early, 1000000);
    assert_read_all(&late[0], 1000000);
    assert_read_all(&late[1], 1000000);
}

static void
who_comes_when_the_start_is_gone_is_told_so(void **state)
{
    struct rig *rig = *state;
    struct follower f;
    struct follower late;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000000);
    follow(&f, rig->feeder.fill, rig->own, 0);
    feed(&rig->feeder);
    follower_init(&late, rig->own, ALL);
    assert_int_equal(
        fill_join(rig->feeder.fill, rig->own, &late.reader), RC_OK);
    fill_leave(&late.reader);
    turns(rig, 2);
    follower_take(&f, ALL);
    turns(rig, 2);
    feed(&rig->feeder);
    follower_init(&late, rig->own, ALL);
    assert_int_equal(
        fill_join(rig->feeder.fill, rig->own, &late.reader), RC_MISS);
    assert_null(late.reader.fill);
    fill_leave(&f.reader);
}

/* One that leaves inside a pass must not speak for those behind it. */
static void
leave_and_feed(struct follower *f)
{
    struct feeder *feeder = f->ctx;

    fill_leave(&f->reader);
    f->is_over = true;
    feed(feeder);
    feed(feeder);
}

static void
who_leaves_while_all_are_woken_takes_no_bytes_from_the_others(void **state)
{
    struct rig *rig = *state;
    struct follower ahead; /* on the owner's loop: makes room in the window */
    struct follower f[3];

    feeder_init(&rig->feeder, rig->own,
        (struct fill_opts){.held_max = 10 * WINDOW}, 5 * WINDOW);
    follow(&ahead, rig->feeder.fill, rig->own, 0);
    for (size_t i = 0; i < 3; i++) {
        follow(&f[i], rig->feeder.fill, rig->other, 20000);
    }
    f[0].on_first_wake = leave_and_feed;
    f[0].ctx = &rig->feeder;
    feed(&rig->feeder);
    follower_take(&ahead, ALL);
    loop_turn(rig->other, 0);
    rig->feeder.is_feeding_on_room = true;
    ahead.take_max = 20000;
    fill_await(&ahead.reader);
    for (size_t i = 1; i < 3; i++) {
        read_all(rig, &f[i], 5 * WINDOW);
    }
    turn_until(rig, &ahead.is_over);
}

/* --- far apart --------------------------------------------------------- */

/* Nobody is cut: without credit, the fast one waits for the slow one. */
static void
the_slowest_reader_sets_the_pace(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 20 * WINDOW;

    /* The slow one beside the fast one, and each on the other's loop. */
    for (size_t i = 0; i < 4; i++) {
        struct follower fast;
        struct follower slow;

        given_feeding(rig, (struct fill_opts){0}, total);
        follow(&slow, rig->feeder.fill, i % 2 == 0 ? rig->own : rig->other, 0);
        follow(
            &fast, rig->feeder.fill, i / 2 == 0 ? rig->own : rig->other, 30000);
        feed_all(&rig->feeder);
        turns(rig, 100);
        assert_int_equal(fast.at, HELD_MAX);
        assert_int_equal(rig->feeder.sent, HELD_MAX);
        assert_true(fill_waits_for_slowest(rig->feeder.fill));
        slow.take_max = 1000;
        fill_await(&slow.reader);
        turn_until(rig, &slow.is_over);
        read_all(rig, &fast, total);
        assert_read_all(&slow, total);
        feeder_end(&rig->feeder);
    }
}

/* And for both, when the slow one is too far behind as well. */
static void
the_owner_waits_for_the_fastest_reader_too(void **state)
{
    struct rig *rig = *state;
    struct follower fast;
    struct follower slow;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 1000000);
    follow(&fast, rig->feeder.fill, rig->own, 0);
    follow(&slow, rig->feeder.fill, rig->other, 0);
    assert_false(feed(&rig->feeder));
    assert_false(fill_waits_for_slowest(rig->feeder.fill));
    follower_take(&fast, WINDOW);
    assert_false(feed(&rig->feeder));
    assert_int_equal(rig->feeder.sent, HELD_MAX);
    assert_true(fill_waits_for_slowest(rig->feeder.fill));
    leave_both(&fast, &slow);
}

/* What the slow one still needs is held, and goes as it reads: while the body
   comes, and when all of it has come; alone on its loop, or beside another. */
static void
a_slow_reader_holds_what_it_needs_on_credit(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 20 * WINDOW;

    for (size_t i = 0; i < 4; i++) {
        struct fill_credit credit = {0};
        const struct fill_opts opts = {
            .credit = &credit, .credit_max = 2 * total};
        struct loop *loop = i % 2 == 0 ? rig->own : rig->other;
        struct follower fast;
        struct follower slow[2];

        given_feeding(rig, opts, total);
        follow(&fast, rig->feeder.fill, rig->own, 30000);
        follow(&slow[0], rig->feeder.fill, loop, 0);
        follow(&slow[1], rig->feeder.fill, loop, 0);
        feed_all(&rig->feeder);
        read_all(rig, &fast, total);
        assert_in_range(credit.held, total, total + WINDOW);
        if (i / 2 == 0) {
            fill_leave(&slow[1].reader);
        } else {
            follower_take(&slow[1], total / 2);
        }
        follower_take(&slow[0], total / 2);
        turns(rig, 3);
        assert_in_range(credit.held, total / 2, total / 2 + WINDOW);
        follower_take(&slow[0], ALL);
        assert_int_equal(slow[0].at, total);
        assert_int_equal(slow[0].wrong, 0);
        fill_leave(&slow[0].reader);
        fill_leave(&slow[1].reader);
        feeder_end(&rig->feeder);
        assert_int_equal(credit.held, 0);
    }
}

/* A fill that uses it up does not stop for good, nor does another one. */
static void
when_the_credit_is_used_up_the_slowest_reader_sets_the_pace(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 20 * WINDOW;

    for (size_t i = 0; i < 2; i++) {
        struct fill_credit credit = {.held = i == 0 ? 0 : 8 * WINDOW};
        const struct fill_opts opts = {
            .credit = &credit, .credit_max = 8 * WINDOW};
        struct follower fast;
        struct follower slow;

        given_feeding(rig, opts, total);
        follow(&fast, rig->feeder.fill, rig->own, 30000);
        follow(&slow, rig->feeder.fill, rig->other, 0);
        feed_all(&rig->feeder);
        turns(rig, 200);
        assert_true(fill_waits_for_slowest(rig->feeder.fill));
        if (i == 0) {
            assert_in_range(fast.at, 7 * WINDOW, 10 * WINDOW);
        } else {
            assert_int_equal(fast.at, HELD_MAX);
        }
        slow.take_max = 1000;
        fill_await(&slow.reader);
        turn_until(rig, &slow.is_over);
        read_all(rig, &fast, total);
        assert_read_all(&slow, total);
        feeder_end(&rig->feeder);
        assert_int_equal(credit.held, i == 0 ? 0 : 8 * WINDOW);
    }
}

/* The slowest leaves: the fast one must not wait for what others hold. */
static void
who_sets_the_pace_and_leaves_holds_nobody(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 20 * WINDOW;
    struct fill_credit credit = {0};
    const struct fill_opts opts = {.credit = &credit, .credit_max = 4 * WINDOW};
    struct follower fast;
    struct follower slow;

    given_feeding(rig, opts, total);
    follow(&fast, rig->feeder.fill, rig->own, 30000);
    follow(&slow, rig->feeder.fill, rig->other, 0);
    feed_all(&rig->feeder);
    turns(rig, 200);
    assert_false(fast.is_over);
    fill_leave(&slow.reader);
    read_all(rig, &fast, total);
    feeder_end(&rig->feeder);
    turns(rig, 3); /* a message may hold it */
    assert_int_equal(credit.held, 0);
}

static void
a_slow_reader_goes_on_when_the_fast_one_has_left(void **state)
{
    struct rig *rig = *state;

    for (size_t i = 0; i < 2; i++) {
        struct follower fast;
        struct follower slow;

        feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 20 * WINDOW);
        follow(&fast, rig->feeder.fill, rig->own, 0);
        follow(&slow, rig->feeder.fill, i == 0 ? rig->own : rig->other, 0);
        feed(&rig->feeder);
        follower_take(&fast, WINDOW);
        turns(rig, 3);
        /* 20,000 below the window's end: what is left is not enough for the
           owner to be called, but it may take it. */
        follower_take(&slow, 20000);
        feed(&rig->feeder);
        follower_take(&fast, WINDOW - 1);
        fill_leave(&fast.reader);
        turns(rig, 3);
        assert_false(slow.is_over);
        slow.take_max = 30000;
        rig->feeder.is_feeding_on_room = true;
        fill_await(&slow.reader);
        feed_all(&rig->feeder);
        read_all(rig, &slow, 20 * WINDOW);
        feeder_end(&rig->feeder);
    }
}

/* A kept fill is taken ahead of all its readers, as far as the credit goes. */
static void
a_kept_fill_runs_ahead_on_credit(void **state)
{
    struct rig *rig = *state;
    static const struct {
        uint64_t credit_max;
        uint64_t sent_min;
        uint64_t sent_max;
    } rows[] = {
        {100 * WINDOW, 11 * WINDOW, 11 * WINDOW},
        {4 * WINDOW, 3 * WINDOW, 5 * WINDOW},
        {0, WINDOW, WINDOW},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fill_credit credit = {0};
        const struct fill_opts opts = {.is_kept = true,
            .credit = &credit,
            .credit_max = rows[i].credit_max,
            .ahead_max = 10 * WINDOW};
        struct follower f;

        feeder_init(&rig->feeder, rig->own, opts, 20 * WINDOW);
        follow(&f, rig->feeder.fill, rig->other, 0);
        assert_false(feed(&rig->feeder));
        assert_in_range(rig->feeder.sent, rows[i].sent_min, rows[i].sent_max);
        f.take_max = 30000;
        fill_await(&f.reader);
        rig->feeder.is_feeding_on_room = true;
        read_all(rig, &f, 20 * WINDOW);
        feeder_end(&rig->feeder);
        assert_int_equal(credit.held, 0);
    }
}

static void
a_slow_reader_of_a_kept_fill_reads_all_of_it(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 10 * WINDOW;
    struct follower fast;
    struct follower slow;

    feeder_init(
        &rig->feeder, rig->own, (struct fill_opts){.is_kept = true}, total);
    rig->feeder.is_feeding_on_room = true;
    follow(&fast, rig->feeder.fill, rig->own, 30000);
    follow(&slow, rig->feeder.fill, rig->other, 0);
    feed_all(&rig->feeder);
    turn_until(rig, &fast.is_over);
    assert_false(slow.is_over);
    slow.take_max = 1000;
    fill_await(&slow.reader);
    read_all(rig, &slow, total);
}

/* --- memory and keeping ------------------------------------------------ */

static enum rc
join_late(struct rig *rig)
{
    struct follower late;
    enum rc rc;

    follower_init(&late, rig->own, 0);
    rc = fill_join(rig->feeder.fill, rig->own, &late.reader);
    fill_leave(&late.reader);
    return rc;
}

/* The reader stands at the end of a chunk when the next one is made. */
static void
a_chunk_on_which_a_reader_stands_is_not_freed(void **state)
{
    enum {
        CHUNK = 16384 - 64,
    };
    struct rig *rig = *state;
    struct follower f;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, CHUNK);
    follow(&f, rig->feeder.fill, rig->own, 0);
    feed(&rig->feeder);
    follower_take(&f, ALL);
    rig->feeder.total = CHUNK + 1;
    feed(&rig->feeder);
    assert_int_equal(join_late(rig), RC_OK);
    follower_take(&f, ALL);
    assert_int_equal(f.at, CHUNK + 1);
    assert_int_equal(f.wrong, 0);
    turns(rig, 1);
    rig->feeder.total = CHUNK + 2;
    feed(&rig->feeder);
    assert_int_equal(join_late(rig), RC_MISS);
    fill_leave(&f.reader);
}

static void
chunks_are_freed_behind_the_slower_of_two_readers_on_a_loop(void **state)
{
    struct rig *rig = *state;
    struct follower fast;
    struct follower slow;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 50000);
    follow(&fast, rig->feeder.fill, rig->own, 0);
    follow(&slow, rig->feeder.fill, rig->own, 0);
    feed(&rig->feeder);
    follower_take(&fast, ALL);
    rig->feeder.total += 1;
    assert_true(feed(&rig->feeder));
    assert_int_equal(join_late(rig), RC_OK);
    follower_take(&slow, ALL);
    assert_int_equal(slow.wrong, 0);
    turns(rig, 1); /* which says how far they are */
    rig->feeder.total += 1;
    assert_true(feed(&rig->feeder));
    assert_int_equal(join_late(rig), RC_MISS);
    leave_both(&fast, &slow);
}

/* Up to a chunk's usual size, whatever length the origin states. */
static void
pieces_of_a_body_of_stated_length_share_a_chunk(void **state)
{
    static const struct {
        uint64_t length;
        size_t run; /* the first, of 20,000 bytes that have come */
    } rows[] = {{20000, 16320}, {UINT64_C(1) << 50, 16320}, {10000, 10000}};
    const struct fill_opts opts = {
        .window = WINDOW, .held_max = HELD_MAX, .is_kept = true};
    struct rig *rig = *state;
    char piece[100] = {0};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct response_head head = {
            .status = 200, .has_length = true, .length = rows[i].length};
        struct fill *fill = fill_new(rig->own, &head, &opts);
        struct fill_chunk *cursor = NULL;
        for (unsigned n = 0; n < 200; n++) {
            fill_append(fill, slice_of(piece, sizeof(piece)));
        }
        fill_finish(fill, FILL_COMPLETE);
        assert_int_equal(fill_run(fill, &cursor).len, rows[i].run);
        fill_unref(&fill);
    }
}

/* What all have read goes at once, and the owner is as near to its readers from
   then on as that of any other fill. */
static void
stop_keeping_frees_what_all_have_read(void **state)
{
    struct rig *rig = *state;
    struct fill_credit credit = {0};
    const struct fill_opts opts = {.is_kept = true,
        .credit = &credit,
        .credit_max = 100 * WINDOW,
        .ahead_max = 10 * WINDOW};
    struct follower f;

    feeder_init(&rig->feeder, rig->own, opts, 40 * WINDOW);
    follow(&f, rig->feeder.fill, rig->own, 0);
    assert_false(feed(&rig->feeder));
    assert_in_range(credit.held, 11 * WINDOW, 12 * WINDOW);
    follower_take(&f, 8 * WINDOW);
    turns(rig, 3);
    fill_stop_keeping(rig->feeder.fill);
    assert_in_range(credit.held, 3 * WINDOW, 4 * WINDOW);
    assert_false(feed(&rig->feeder));
    assert_int_equal(rig->feeder.sent, 11 * WINDOW);
    follower_take(&f, 3 * WINDOW);
    assert_false(feed(&rig->feeder));
    assert_int_equal(rig->feeder.sent, 12 * WINDOW);
    fill_leave(&f.reader);
    feeder_end(&rig->feeder);
    turns(rig, 3); /* a message may hold it */
    assert_int_equal(credit.held, 0);
}

static void
a_kept_body_can_be_run_through_when_its_readers_are_gone(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 300000;
    struct follower f;
    struct fill_chunk *cursor = NULL;
    struct follower copy;
    struct slice run;

    given_feeding(
        rig, (struct fill_opts){.is_kept = true, .held_max = 2 * total}, total);
    follow(&f, rig->feeder.fill, rig->other, 10000);
    feed_all(&rig->feeder);
    turns(rig, 1);
    fill_leave(&f.reader); /* early: a kept fill goes on without readers */
    turns(rig, 3);
    assert_int_equal(fill_state(rig->feeder.fill), FILL_COMPLETE);
    follower_init(&copy, rig->own, 0);
    while ((run = fill_run(rig->feeder.fill, &cursor)).len > 0) {
        compare(&copy, (const unsigned char *)run.ptr, run.len);
    }
    assert_int_equal(copy.at, total);
    assert_int_equal(copy.wrong, 0);
}

#ifndef HAS_OWN_MALLOC
static void
what_all_have_read_is_given_back(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 100 * WINDOW;
    struct follower f[2];
    size_t before;

    given_feeding(rig, (struct fill_opts){0}, total);
    follow(&f[0], rig->feeder.fill, rig->own, 30000);
    follow(&f[1], rig->feeder.fill, rig->own, 30000);
    before = mallinfo2().uordblks;
    feed_all(&rig->feeder);
    turn_until(rig, &f[0].is_over);
    turn_until(rig, &f[1].is_over);
    assert_int_equal(f[0].at + f[1].at, 2 * total);
    assert_in_range(
        rig->feeder.memory_max - before, WINDOW / 2, HELD_MAX + 65536);
}

static void
a_kept_body_is_held_whole(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 20 * WINDOW;
    struct follower f;
    size_t before;

    given_feeding(
        rig, (struct fill_opts){.is_kept = true, .held_max = 2 * total}, total);
    follow(&f, rig->feeder.fill, rig->own, 30000);
    before = mallinfo2().uordblks;
    feed_all(&rig->feeder);
    turn_until(rig, &f.is_over);
    assert_in_range(
        rig->feeder.memory_max - before, total, total + total / 10 + 65536);
}

/* Of one fill alone malloc might have all in store from what was freed before,
   and count nothing; how much it stores differs between its versions. */
static void
a_small_body_of_stated_length_takes_little_memory(void **state)
{
    struct rig *rig = *state;
    const struct response_head head = {
        .status = 200, .has_length = true, .length = 200};
    const struct fill_opts opts = {.window = WINDOW, .held_max = HELD_MAX};
    struct fill *fills[1000];
    size_t before = mallinfo2().uordblks;
    size_t taken;
    char body[200] = {0};

    for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
        fills[i] = fill_new(rig->own, &head, &opts);
        assert_int_equal(
            fill_append(fills[i], slice_of(body, sizeof(body))), 200);
    }
    taken = mallinfo2().uordblks - before;
    for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
        fill_unref(&fills[i]);
    }
    assert_in_range(taken / ARRAY_LEN(fills), 200, 1200);
}
#endif

static void
stop_keeping_midway_gives_back_and_changes_no_byte(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 100 * WINDOW;
    struct follower f[3];
    struct follower late;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){.is_kept = true},
        12 * WINDOW);
    follow(&f[0], rig->feeder.fill, rig->own, 30000);
    follow(&f[1], rig->feeder.fill, rig->own, 28000);
    follow(&f[2], rig->feeder.fill, rig->other, 30000);
    while (!feed(&rig->feeder) || f[2].at < 12 * WINDOW) {
        turn(rig);
    }
    fill_stop_keeping(rig->feeder.fill);
    rig->feeder.total = total;
    rig->feeder.is_feeding_on_room = true;
    feed_all(&rig->feeder);
    for (size_t i = 0; i < 3; i++) {
        read_all(rig, &f[i], total);
    }
    follower_init(&late, rig->own, ALL);
    assert_int_equal(
        fill_join(rig->feeder.fill, rig->own, &late.reader), RC_MISS);
}

static void
a_fill_that_nobody_reads_and_keeps_holds_nothing(void **state)
{
    struct rig *rig = *state;
    struct follower f;

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 50 * WINDOW);
    assert_true(feed(&rig->feeder));
    follower_init(&f, rig->own, ALL);
    assert_int_equal(fill_join(rig->feeder.fill, rig->own, &f.reader), RC_MISS);
}

/* --- threads ----------------------------------------------------------- */

enum {
    CREW = 4, /* readers on each loop */
};

struct crew {
    struct loop *loop;
    struct feeder *feeder; /* NULL on the loop that does not own the fill */
    struct follower readers[CREW];
    unsigned left;
    struct loop_task start;
};

static void
crew_one_over(struct follower *f)
{
    struct crew *crew = f->ctx;

    if (--crew->left == 0) {
        loop_stop(crew->loop);
    }
}

static void
crew_start(void *ctx)
{
    struct crew *crew = ctx;

    for (size_t i = 0; i < CREW; i++) {
        fill_await(&crew->readers[i].reader);
    }
    if (crew->feeder != NULL) {
        feed_all(crew->feeder);
    }
}

static void
crew_init(struct crew *crew, struct loop *loop, struct fill *fill)
{
    const uint64_t paces[CREW] = {APPEND_MAX, 20000, 6000, 2000};

    *crew = (struct crew){.loop = loop, .left = CREW};
    for (size_t i = 0; i < CREW; i++) {
        struct follower *f = &crew->readers[i];
        follower_init(f, loop, paces[i]);
        f->on_over = crew_one_over;
        f->ctx = crew;
        assert_int_equal(fill_join(fill, loop, &f->reader), RC_OK);
    }
    loop_task_init(&crew->start, crew_start, crew);
    loop_defer(loop, &crew->start);
}

static void *
crew_main(void *ctx)
{
    struct crew *crew = ctx;

    loop_run(crew->loop);
    return NULL;
}

/* Two threads until all readers are over. The owner's loop goes on being
   turned, since the other's readers may still wait for it. */
static void
crews_run(struct rig *rig, struct crew crews[2])
{
    pthread_t other;

    crews[0].feeder = &rig->feeder;
    rig->feeder.is_feeding_on_room = true;
    assert_int_equal(pthread_create(&other, NULL, crew_main, &crews[1]), 0);
    while (crews[0].left > 0 || fill_state(rig->feeder.fill) == FILL_OPEN) {
        loop_turn(rig->own, 10);
    }
    pthread_join(other, NULL);
}

/* The owner's loop has its place in the fill; each other one needs memory. */
static void
without_memory_none_but_the_owners_loop_reads(void **state)
{
    struct rig *rig = *state;
    struct fill_reader readers[2] = {{0}};

    feeder_init(&rig->feeder, rig->own, (struct fill_opts){0}, 0);
    heap_refuse(1, 0);
    assert_int_equal(fill_join(rig->feeder.fill, rig->own, &readers[0]), RC_OK);
    assert_int_equal(
        fill_join(rig->feeder.fill, rig->other, &readers[1]), RC_NOMEM);
    assert_true(heap_refused());
    fill_leave(&readers[0]);
    assert_false(fill_has_readers(rig->feeder.fill));
}

static void
crews_in_two_threads_read_the_same(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 64 * WINDOW;
    struct crew crews[2];

    for (int is_kept = 0; is_kept < 2; is_kept++) {
        feeder_init(&rig->feeder, rig->own,
            (struct fill_opts){.is_kept = is_kept == 1, .held_max = 4 * total},
            total);
        crew_init(&crews[0], rig->own, rig->feeder.fill);
        crew_init(&crews[1], rig->other, rig->feeder.fill);
        crews_run(rig, crews);
        for (size_t i = 0; i < 2 * CREW; i++) {
            assert_read_all(&crews[i / CREW].readers[i % CREW], total);
        }
        feeder_end(&rig->feeder);
        loop_free(&rig->other);
        rig->other = loop_new();
        loop_free(&rig->own);
        rig->own = loop_new();
    }
}

/* Where memory is short, the slowest sets the pace; nobody waits for ever. */
static void
crews_in_two_threads_read_all_where_memory_is_short(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 100 * WINDOW;
    struct crew crews[2];

    for (size_t n = 0; n < 2; n++) {
        struct fill_credit credit = {0};
        const struct fill_opts opts = {
            .credit = n == 0 ? NULL : &credit, .credit_max = 4 * WINDOW};

        feeder_init(&rig->feeder, rig->own, opts, total);
        crew_init(&crews[0], rig->own, rig->feeder.fill);
        crew_init(&crews[1], rig->other, rig->feeder.fill);
        crews_run(rig, crews);
        for (size_t i = 0; i < 2 * CREW; i++) {
            assert_read_all(&crews[i / CREW].readers[i % CREW], total);
        }
        feeder_end(&rig->feeder);
        loop_free(&rig->other);
        rig->other = loop_new();
        loop_free(&rig->own);
        rig->own = loop_new();
        assert_int_equal(credit.held, 0);
    }
}

/* Keeping stops midway, and some leave early. */
static void
leave_early(struct follower *f)
{
    fill_leave(&f->reader);
    f->is_over = true;
    f->has_left = true;
    crew_one_over(f);
}

static void
crews_in_two_threads_stand_readers_that_leave(void **state)
{
    struct rig *rig = *state;
    const uint64_t total = 64 * WINDOW;
    struct crew crews[2];

    feeder_init(&rig->feeder, rig->own,
        (struct fill_opts){.is_kept = true, .held_max = 8 * WINDOW}, total);
    crew_init(&crews[0], rig->own, rig->feeder.fill);
    crew_init(&crews[1], rig->other, rig->feeder.fill);
    crews[0].readers[0].on_first_wake = leave_early;
    crews[1].readers[0].on_first_wake = leave_early;
    crews[1].readers[2].on_first_wake = leave_early;
    crews[0].feeder = &rig->feeder;
    rig->feeder.total = 4 * WINDOW;
    feed(&rig->feeder);
    fill_stop_keeping(rig->feeder.fill);
    rig->feeder.total = total;
    crews_run(rig, crews);
    for (size_t i = 0; i < 2 * CREW; i++) {
        struct follower *f = &crews[i / CREW].readers[i % CREW];
        assert_int_equal(f->wrong, 0);
        assert_true(f->has_left || f->at == total);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_up, rig_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_appended_is_what_is_read),
        TEST(a_stated_length_changes_no_byte),
        TEST(readers_on_two_loops_at_their_own_pace_read_the_same),
        TEST(the_head_is_a_copy),
        TEST(what_is_due_to_a_reader),
        TEST(the_owner_stops_a_window_ahead_of_the_reader),
        TEST(the_window_goes_by_the_fastest_reader),
        TEST(a_long_body_wakes_the_owner_less_than_thrice_a_window),
        TEST(a_fill_that_has_ended_calls_its_owner_no_more),
        TEST(nobody_asks_for_room_when_the_fill_has_ended),
        TEST(a_slow_reader_that_overtakes_gives_the_owner_room),
        TEST(the_slowest_reader_gives_the_owner_room_when_it_leaves),
        TEST(the_last_reader_that_leaves_gives_the_owner_room),
        TEST(many_appends_of_a_turn_are_one_wake_up),
        TEST(a_reader_is_woken_once_each_time_it_awaits),
        TEST(a_reader_that_has_all_there_is_is_not_woken),
        TEST(what_came_before_the_reader_awaits_wakes_it),
        TEST(a_failed_fill_wakes_its_readers_and_says_so),
        TEST(an_empty_fill_ends_empty),
        TEST(a_reader_freed_while_it_awaits_is_not_called),
        TEST(readers_outlive_the_owner_s_reference),
        TEST(a_late_reader_of_a_kept_fill_reads_all_of_it),
        TEST(who_comes_when_the_start_is_gone_is_told_so),
        TEST(who_leaves_while_all_are_woken_takes_no_bytes_from_the_others),
        TEST(the_slowest_reader_sets_the_pace),
        TEST(the_owner_waits_for_the_fastest_reader_too),
        TEST(a_slow_reader_holds_what_it_needs_on_credit),
        TEST(when_the_credit_is_used_up_the_slowest_reader_sets_the_pace),
        TEST(who_sets_the_pace_and_leaves_holds_nobody),
        TEST(a_slow_reader_goes_on_when_the_fast_one_has_left),
        TEST(a_kept_fill_runs_ahead_on_credit),
        TEST(a_slow_reader_of_a_kept_fill_reads_all_of_it),
        TEST(a_chunk_on_which_a_reader_stands_is_not_freed),
        TEST(chunks_are_freed_behind_the_slower_of_two_readers_on_a_loop),
        TEST(pieces_of_a_body_of_stated_length_share_a_chunk),
        TEST(stop_keeping_frees_what_all_have_read),
        TEST(a_kept_body_can_be_run_through_when_its_readers_are_gone),
#ifndef HAS_OWN_MALLOC
        TEST(what_all_have_read_is_given_back),
        TEST(a_kept_body_is_held_whole),
        TEST(a_small_body_of_stated_length_takes_little_memory),
#endif
        TEST(stop_keeping_midway_gives_back_and_changes_no_byte),
        TEST(a_fill_that_nobody_reads_and_keeps_holds_nothing),
        TEST(without_memory_none_but_the_owners_loop_reads),
        TEST(crews_in_two_threads_read_the_same),
        TEST(crews_in_two_threads_read_all_where_memory_is_short),
        TEST(crews_in_two_threads_stand_readers_that_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
