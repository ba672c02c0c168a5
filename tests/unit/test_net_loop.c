/*
 * The loop: timers (timer.c) on a clock that the test moves (the wheel's event
 * is set off as libevent would do it), tasks, messages from other threads,
 * stop.
 */
#include "nearside/net/loop.h"

#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/clock_advance.h"
#include "net/loop_inside.h"
#include "patience.h"

struct rig {
    struct loop *loop;
};

static int
rig_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    rig->loop = loop_new();
    assert_non_null(rig->loop);
    *state = rig;
    return 0;
}

/* A clock that stands still until the test moves it. */
static int
manual_rig_up(void **state)
{
    struct rig *rig;

    rig_up(state);
    rig = *state;
    rig->loop->clock.is_manual = true;
    return 0;
}

static int
rig_down(void **state)
{
    struct rig *rig = *state;

    loop_free(&rig->loop);
    assert_null(rig->loop);
    free(rig);
    return 0;
}

/* --- timers ------------------------------------------------------------ */

enum {
    TIMERS_MAX = 3000,
    /* A timer comes with the tick its deadline lies in, or with the next
       when that one is being looked at already. */
    LATE_MAX_MS = 2 * WHEEL_TICK_MS,
};

struct probe {
    struct loop_timer timer;
    int64_t due_ms; /* 0: it must not fire */
    int64_t fired_ms;
    unsigned fired;
    void (*then)(struct probe *);
    struct probe *other;
    unsigned name;
};

static void
on_probe(void *ctx)
{
    struct probe *p = ctx;
    int64_t now_ms = loop_now_ms(p->timer.loop);

    p->fired++;
    p->fired_ms = now_ms;
    assert_false(loop_timer_is_armed(&p->timer));
    assert_true(p->due_ms != 0);
    assert_in_range(now_ms, p->due_ms, p->due_ms + LATE_MAX_MS);
    p->due_ms = 0;
    if (p->then != NULL) {
        p->then(p);
    }
}

static void
probe_init(struct probe *p, struct loop *loop)
{
    *p = (struct probe){0};
    loop_timer_init(&p->timer, loop, on_probe, p);
}

static void
probe_arm(struct probe *p, int64_t in_ms)
{
    p->due_ms = loop_now_ms(p->timer.loop) + in_ms;
    loop_timer_arm(&p->timer, p->due_ms);
}

/* What libevent does when the wheel's event is due. */
static void
wheel_goes(struct loop *loop)
{
    event_active(&loop->wheel.event, EV_TIMEOUT, 1);
    loop_turn(loop, 0);
}

/* Moves on to the next moment the wheel asked for; false: to none up to
   end_ms, where the clock then stands. */
static bool
step(struct loop *loop, int64_t end_ms)
{
    int64_t next_ms = loop->wheel.armed_tick == INT64_MAX
                          ? INT64_MAX
                          : loop->wheel.armed_tick * WHEEL_TICK_MS;

    if (next_ms > end_ms) {
        clock_advance(&loop->clock, end_ms - loop_now_ms(loop));
        return false;
    }
    if (next_ms > loop_now_ms(loop)) {
        clock_advance(&loop->clock, next_ms - loop_now_ms(loop));
    }
    wheel_goes(loop);
    return true;
}

static unsigned
advance(struct loop *loop, int64_t ms)
{
    int64_t end_ms = loop_now_ms(loop) + ms;
    unsigned wakes = 0;

    while (step(loop, end_ms)) {
        wakes++;
        assert_true(wakes < 100000);
    }
    return wakes;
}

static unsigned order[8];
static unsigned order_len;

static void
note_order(struct probe *p)
{
    order[order_len++] = p->name;
}

static void
timers_fire_in_order_of_their_deadlines(void **state)
{
    struct rig *rig = *state;
    const int64_t in_ms[] = {40, 8, 4000, 20, 1000};
    struct probe p[5];

    order_len = 0;
    for (size_t i = 0; i < 5; i++) {
        probe_init(&p[i], rig->loop);
        p[i].then = note_order;
        p[i].name = (unsigned)i;
        probe_arm(&p[i], in_ms[i]);
    }
    advance(rig->loop, 5000);
    assert_int_equal(order_len, 5);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 3);
    assert_int_equal(order[2], 0);
    assert_int_equal(order[3], 4);
    assert_int_equal(order[4], 2);
}

static void
a_timer_does_not_fire_before_its_deadline(void **state)
{
    struct rig *rig = *state;
    struct probe p;

    probe_init(&p, rig->loop);
    for (int64_t in_ms = 1; in_ms < 20; in_ms++) {
        probe_arm(&p, in_ms);
        clock_advance(&rig->loop->clock, in_ms - 1);
        wheel_goes(rig->loop);
        assert_int_equal(p.fired, 0);
        clock_advance(&rig->loop->clock, 1 + LATE_MAX_MS);
        wheel_goes(rig->loop);
        assert_int_equal(p.fired, 1);
        p.fired = 0;
    }
}

static void
a_cancelled_timer_does_not_fire(void **state)
{
    struct rig *rig = *state;
    struct probe p;

    probe_init(&p, rig->loop);
    loop_timer_cancel(&p.timer);
    probe_arm(&p, 50);
    loop_timer_cancel(&p.timer);
    p.due_ms = 0;
    assert_false(loop_timer_is_armed(&p.timer));
    advance(rig->loop, 200);
    assert_int_equal(p.fired, 0);
    probe_arm(&p, 50);
    advance(rig->loop, 200);
    assert_int_equal(p.fired, 1);
}

static void
cancel_other(struct probe *p)
{
    loop_timer_cancel(&p->other->timer);
    p->other->due_ms = 0;
}

static void
a_timer_cancelled_by_another_of_the_same_tick_does_not_fire(void **state)
{
    struct rig *rig = *state;
    struct probe first;
    struct probe second;

    probe_init(&first, rig->loop);
    probe_init(&second, rig->loop);
    first.then = cancel_other;
    first.other = &second;
    probe_arm(&first, 20);
    probe_arm(&second, 20);
    advance(rig->loop, 100);
    assert_int_equal(first.fired, 1);
    assert_int_equal(second.fired, 0);
}

static void
postpone_other(struct probe *p)
{
    probe_arm(p->other, 300);
}

static void
a_timer_postponed_by_another_of_the_same_tick_fires_later(void **state)
{
    struct rig *rig = *state;
    struct probe first;
    struct probe second;

    probe_init(&first, rig->loop);
    probe_init(&second, rig->loop);
    first.then = postpone_other;
    first.other = &second;
    probe_arm(&first, 20);
    probe_arm(&second, 20);
    advance(rig->loop, 100);
    assert_int_equal(second.fired, 0);
    advance(rig->loop, 300);
    assert_int_equal(second.fired, 1);
}

static void
a_rearmed_timer_fires_once_at_the_new_deadline(void **state)
{
    struct rig *rig = *state;
    struct probe p;

    probe_init(&p, rig->loop);
    probe_arm(&p, 100);
    probe_arm(&p, 20); /* earlier */
    advance(rig->loop, 50);
    assert_int_equal(p.fired, 1);
    advance(rig->loop, 200);
    assert_int_equal(p.fired, 1);
    probe_arm(&p, 100);
    for (int i = 0; i < 10; i++) {
        advance(rig->loop, 50);
        probe_arm(&p, 100); /* later */
    }
    assert_int_equal(p.fired, 1);
    advance(rig->loop, 150);
    assert_int_equal(p.fired, 2);
}

static void
arm_again(struct probe *p)
{
    probe_arm(p, 10);
}

static void
a_timer_may_rearm_itself(void **state)
{
    struct rig *rig = *state;
    struct probe p;

    probe_init(&p, rig->loop);
    p.then = arm_again;
    probe_arm(&p, 10);
    advance(rig->loop, 1000);
    assert_in_range(p.fired, 1000 / (10 + LATE_MAX_MS), 100);
    loop_timer_cancel(&p.timer);
}

static void
arm_for_now(struct probe *p)
{
    if (p->fired < 1000) {
        probe_arm(p, 0);
    }
}

static void
a_timer_that_rearms_itself_for_now_does_not_hold_the_turn(void **state)
{
    struct rig *rig = *state;
    struct probe p;

    probe_init(&p, rig->loop);
    p.then = arm_for_now;
    probe_arm(&p, 4);
    clock_advance(&rig->loop->clock, 8);
    wheel_goes(rig->loop);
    assert_in_range(p.fired, 1, 8);
    advance(rig->loop, 10000);
    assert_int_equal(p.fired, 1000);
}

/* The wheel spans 4 s: what is later goes round, a wake-up each time. */
static void
deadlines_beyond_the_wheel_are_kept_exactly(void **state)
{
    struct rig *rig = *state;
    const int64_t in_ms[] = {4088, 4092, 4096, 4100, 8191, 60000, 3600000};
    struct probe p[7];
    unsigned wakes;

    for (size_t i = 0; i < 7; i++) {
        probe_init(&p[i], rig->loop);
        probe_arm(&p[i], in_ms[i]);
    }
    advance(rig->loop, 4087);
    assert_int_equal(p[0].fired, 0);
    wakes = advance(rig->loop, 3600000);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(p[i].fired, 1);
    }
    assert_true(wakes < 2000);
}

/* The wheel stands still while nothing is armed. */
static void
a_timer_armed_after_a_long_rest_fires_in_time(void **state)
{
    struct rig *rig = *state;
    struct probe p;

    probe_init(&p, rig->loop);
    for (int i = 0; i < 5; i++) {
        clock_advance(&rig->loop->clock, 3000 + i * 7001);
        probe_arm(&p, 100 + i * 2000);
        advance(rig->loop, 100 + i * 2000 + LATE_MAX_MS);
        assert_int_equal(p.fired, i + 1);
    }
}

static void
timers_fire_after_a_stall_longer_than_the_wheel(void **state)
{
    struct rig *rig = *state;
    struct probe p[4];

    for (size_t i = 0; i < 4; i++) {
        probe_init(&p[i], rig->loop);
        loop_timer_arm(
            &p[i].timer, loop_now_ms(rig->loop) + 1 + (int64_t)i * 3000);
        p[i].due_ms = loop_now_ms(rig->loop) + 20000;
    }
    clock_advance(&rig->loop->clock, 20000);
    wheel_goes(rig->loop);
    advance(rig->loop, LATE_MAX_MS);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(p[i].fired, 1);
    }
}

static uint64_t random_state = 88172645463325252U;

static uint64_t
random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

static void
shuffle(struct probe *p)
{
    for (size_t i = 0; i < TIMERS_MAX; i++) {
        switch (random_below(4)) {
        case 0:
            loop_timer_cancel(&p[i].timer);
            p[i].due_ms = 0;
            break;
        case 1:
            probe_arm(&p[i], (int64_t)random_below(20000));
            break;
        default:
            break;
        }
    }
}

/* Each probe checks by itself that it fires when it is due, and only then. */
static void
thousands_of_timers_each_fire_when_due(void **state)
{
    struct rig *rig = *state;
    struct probe *p = calloc(TIMERS_MAX, sizeof(*p));

    for (size_t i = 0; i < TIMERS_MAX; i++) {
        probe_init(&p[i], rig->loop);
        probe_arm(&p[i], (int64_t)random_below(20000));
    }
    for (int round = 0; round < 50; round++) {
        advance(rig->loop, (int64_t)random_below(500));
        shuffle(p);
    }
    advance(rig->loop, 20000 + LATE_MAX_MS);
    for (size_t i = 0; i < TIMERS_MAX; i++) {
        assert_false(loop_timer_is_armed(&p[i].timer));
        assert_int_equal(p[i].due_ms, 0);
    }
    assert_int_equal(rig->loop->wheel.armed_tick, INT64_MAX);
    free(p);
}

/* Of a crowd that runs out of time together, 32 a turn; all in the end,
   and one that is due later not before its time. */
static void
many_timers_of_one_moment_are_spread_over_turns(void **state)
{
    struct rig *rig = *state;
    struct probe *p = calloc(TIMERS_MAX, sizeof(*p));
    struct probe late;
    unsigned fired = 0;

    for (size_t i = 0; i < TIMERS_MAX; i++) {
        probe_init(&p[i], rig->loop);
        probe_arm(&p[i], 100);
    }
    probe_init(&late, rig->loop);
    probe_arm(&late, 200);
    clock_advance(&rig->loop->clock, 100 + WHEEL_TICK_MS);
    for (unsigned turn = 1; fired < TIMERS_MAX; turn++) {
        unsigned before = fired;
        assert_true(turn <= TIMERS_MAX / 32 + 2);
        wheel_goes(rig->loop);
        fired = 0;
        for (size_t i = 0; i < TIMERS_MAX; i++) {
            fired += p[i].fired;
        }
        assert_in_range(fired - before, 0, 32);
        assert_int_equal(late.fired, 0);
    }
    advance(rig->loop, 200);
    assert_int_equal(late.fired, 1);
    free(p);
}

static void
on_real_timer(void *ctx)
{
    loop_stop(ctx);
}

/* The machine may be busy: late is no failure here, early is. */
static void
a_timer_fires_by_the_real_clock(void **state)
{
    struct rig *rig = *state;
    struct loop_timer timer;
    struct clock clock;
    int64_t start_ms;

    clock_init(&clock);
    start_ms = clock_now_ms(&clock);
    loop_timer_init(&timer, rig->loop, on_real_timer, rig->loop);
    loop_timer_arm(&timer, start_ms + 30);
    loop_run(rig->loop);
    clock_update(&clock);
    assert_true(clock_now_ms(&clock) >= start_ms + 30);
    assert_true(clock_now_ms(&clock) < start_ms + PATIENCE_MS);
}

/* --- tasks ------------------------------------------------------------- */

struct job {
    struct loop_task task;
    struct loop *loop;
    unsigned runs;
    unsigned again;     /* defers itself so often */
    struct job *defers; /* NULL: none */
    struct job *cancels;
};

static void
on_job(void *ctx)
{
    struct job *job = ctx;

    job->runs++;
    if (job->again > 0) {
        job->again--;
        loop_defer(job->loop, &job->task);
    }
    if (job->defers != NULL) {
        loop_defer(job->loop, &job->defers->task);
    }
    if (job->cancels != NULL) {
        loop_task_cancel(&job->cancels->task);
    }
}

static void
job_init(struct job *job, struct loop *loop)
{
    *job = (struct job){.loop = loop};
    loop_task_init(&job->task, on_job, job);
}

static void
a_task_runs_once_a_turn_however_often_it_is_deferred(void **state)
{
    struct rig *rig = *state;
    struct job job;

    job_init(&job, rig->loop);
    for (int i = 0; i < 10; i++) {
        loop_defer(rig->loop, &job.task);
    }
    assert_int_equal(job.runs, 0);
    loop_turn(rig->loop, 0);
    assert_int_equal(job.runs, 1);
    loop_turn(rig->loop, 0);
    assert_int_equal(job.runs, 1);
    loop_defer(rig->loop, &job.task);
    loop_turn(rig->loop, 0);
    assert_int_equal(job.runs, 2);
}

static void
a_task_deferred_by_a_task_runs_in_the_same_turn(void **state)
{
    struct rig *rig = *state;
    struct job first;
    struct job second;

    job_init(&first, rig->loop);
    job_init(&second, rig->loop);
    first.defers = &second;
    first.again = 2;
    loop_defer(rig->loop, &first.task);
    loop_turn(rig->loop, 0);
    assert_int_equal(first.runs, 3);
    assert_int_equal(second.runs, 2); /* once while it was waiting already */
}

static void
a_task_that_always_defers_itself_does_not_hold_the_turn(void **state)
{
    struct rig *rig = *state;
    struct job job;
    unsigned runs;

    job_init(&job, rig->loop);
    job.again = 1000;
    loop_defer(rig->loop, &job.task);
    loop_turn(rig->loop, 0);
    runs = job.runs;
    assert_in_range(runs, 1, 100);
    /* The next turn does not wait: there is work left. */
    loop_turn(rig->loop, 60000);
    assert_in_range(job.runs, runs + 1, runs + 100);
    loop_task_cancel(&job.task);
}

static void
a_cancelled_task_does_not_run(void **state)
{
    struct rig *rig = *state;
    struct job first;
    struct job second;

    job_init(&first, rig->loop);
    job_init(&second, rig->loop);
    loop_defer(rig->loop, &first.task);
    loop_task_cancel(&first.task);
    loop_turn(rig->loop, 0);
    assert_int_equal(first.runs, 0);
    first.cancels = &second;
    loop_defer(rig->loop, &first.task);
    loop_defer(rig->loop, &second.task);
    loop_turn(rig->loop, 0);
    assert_int_equal(first.runs, 1);
    assert_int_equal(second.runs, 0);
}

/* --- messages ----------------------------------------------------------- */

enum {
    POSTS = 50000, /* of each of two threads */
    REPOSTED = 16,
};

struct message {
    struct loop_message message;
    struct mail *mail;
    unsigned delivered;
    unsigned written; /* before the post, by the sender */
    unsigned read;    /* on delivery */
};

struct mail {
    struct loop *loop;
    struct message *messages;
    unsigned count;
    unsigned expected; /* deliveries after which the loop stops */
    unsigned delivered;
    atomic_uint posted;
    atomic_uint senders;
    bool is_repeated; /* each message is posted over and over */
};

static void
on_message(void *ctx)
{
    struct message *message = ctx;

    message->delivered++;
    message->mail->delivered++;
    if (!message->mail->is_repeated) {
        message->read = message->written;
    }
    if (message->mail->delivered == message->mail->expected) {
        loop_stop(message->mail->loop);
    }
}

static void
mail_init(struct mail *mail, struct loop *loop, unsigned count)
{
    *mail = (struct mail){.loop = loop, .count = count};
    mail->messages = calloc(count, sizeof(*mail->messages));
    for (unsigned i = 0; i < count; i++) {
        mail->messages[i].mail = mail;
        loop_message_init(
            &mail->messages[i].message, on_message, &mail->messages[i]);
    }
}

static void *
send_each_once(void *ctx)
{
    struct mail *mail = ctx;
    unsigned sender = atomic_fetch_add(&mail->senders, 1);

    for (unsigned i = sender; i < mail->count; i += 2) {
        mail->messages[i].written = i + 1;
        MUST(loop_post(mail->loop, &mail->messages[i].message));
    }
    return NULL;
}

static void
no_message_of_two_threads_is_lost(void **state)
{
    struct rig *rig = *state;
    struct mail mail;
    pthread_t threads[2];

    mail_init(&mail, rig->loop, 2 * POSTS);
    mail.expected = 2 * POSTS;
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, send_each_once, &mail);
    }
    loop_run(rig->loop);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < mail.count; i++) {
        assert_int_equal(mail.messages[i].delivered, 1);
        assert_int_equal(mail.messages[i].read, i + 1);
    }
    free(mail.messages);
}

static void *
send_over_and_over(void *ctx)
{
    struct mail *mail = ctx;

    for (unsigned i = 0; i < POSTS; i++) {
        if (loop_post(mail->loop, &mail->messages[i % REPOSTED].message)) {
            atomic_fetch_add(&mail->posted, 1);
        }
    }
    if (atomic_fetch_add(&mail->senders, 1) == 1) {
        loop_stop(mail->loop);
    }
    return NULL;
}

static void
each_post_that_says_true_is_one_delivery(void **state)
{
    struct rig *rig = *state;
    struct mail mail;
    pthread_t threads[2];

    mail_init(&mail, rig->loop, REPOSTED);
    mail.is_repeated = true;
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, send_over_and_over, &mail);
    }
    loop_run(rig->loop);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    loop_turn(rig->loop, 0);
    assert_true(mail.delivered > 0);
    assert_int_equal(mail.delivered, atomic_load(&mail.posted));
    free(mail.messages);
}

static void
a_message_posted_twice_is_delivered_once(void **state)
{
    struct rig *rig = *state;
    struct mail mail;

    mail_init(&mail, rig->loop, 2);
    assert_true(loop_post(rig->loop, &mail.messages[0].message));
    assert_true(loop_post(rig->loop, &mail.messages[1].message));
    assert_false(loop_post(rig->loop, &mail.messages[0].message));
    loop_turn(rig->loop, 1000);
    assert_int_equal(mail.messages[0].delivered, 1);
    assert_int_equal(mail.messages[1].delivered, 1);
    assert_true(loop_post(rig->loop, &mail.messages[0].message));
    loop_turn(rig->loop, 1000);
    assert_int_equal(mail.messages[0].delivered, 2);
    free(mail.messages);
}

static void
on_ordered(void *ctx)
{
    note_order(ctx);
}

static void
messages_come_in_the_order_posted(void **state)
{
    struct rig *rig = *state;
    struct probe p[4];
    struct loop_message m[4];

    order_len = 0;
    for (size_t i = 0; i < 4; i++) {
        p[i] = (struct probe){.name = (unsigned)i};
        loop_message_init(&m[i], on_ordered, &p[i]);
        loop_post(rig->loop, &m[i]);
    }
    loop_turn(rig->loop, 1000);
    assert_int_equal(order_len, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(order[i], i);
    }
}

struct echo {
    struct loop_message message;
    struct loop *loop;
    struct job job;
    unsigned left;
};

static void
on_echo(void *ctx)
{
    struct echo *echo = ctx;

    if (echo->left > 0) {
        echo->left--;
        loop_defer(echo->loop, &echo->job.task);
    }
}

static void
echo_back(void *ctx)
{
    struct echo *echo = ctx;

    loop_post(echo->loop, &echo->message);
}

/* A reference may travel with a message that a task sends at the very end. */
static void
a_loop_that_is_freed_delivers_what_its_tasks_still_post(void **state)
{
    struct loop *loop = loop_new();
    struct echo echo = {.loop = loop, .left = 3};

    (void)state;
    loop_message_init(&echo.message, on_echo, &echo);
    loop_task_init(&echo.job.task, echo_back, &echo);
    loop_post(loop, &echo.message);
    loop_free(&loop);
    assert_int_equal(echo.left, 0);
    assert_false(atomic_load(&echo.message.is_posted));
}

/* --- stop and turns ---------------------------------------------------- */

static void *
stop_from_outside(void *ctx)
{
    loop_stop(ctx);
    return NULL;
}

static void
stop_from_another_thread_ends_a_run_that_waits(void **state)
{
    struct rig *rig = *state;
    pthread_t thread;

    pthread_create(&thread, NULL, stop_from_outside, rig->loop);
    loop_run(rig->loop);
    pthread_join(thread, NULL);
}

static void
a_stop_before_the_run_is_not_forgotten(void **state)
{
    struct rig *rig = *state;

    loop_stop(rig->loop);
    loop_run(rig->loop);
}

static void
a_turn_waits_no_longer_than_it_may(void **state)
{
    struct rig *rig = *state;
    struct clock clock;
    int64_t start_ms;

    clock_init(&clock);
    start_ms = clock_now_ms(&clock);
    loop_turn(rig->loop, 20);
    clock_update(&clock);
    assert_in_range(clock_now_ms(&clock) - start_ms, 0, PATIENCE_MS);
    assert_in_range(loop_now_ms(rig->loop), start_ms, clock_now_ms(&clock));
}

#define REAL(test) cmocka_unit_test_setup_teardown(test, rig_up, rig_down)
#define MANUAL(test)                                                           \
    cmocka_unit_test_setup_teardown(test, manual_rig_up, rig_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        MANUAL(timers_fire_in_order_of_their_deadlines),
        MANUAL(a_timer_does_not_fire_before_its_deadline),
        MANUAL(a_cancelled_timer_does_not_fire),
        MANUAL(a_timer_cancelled_by_another_of_the_same_tick_does_not_fire),
        MANUAL(a_timer_postponed_by_another_of_the_same_tick_fires_later),
        MANUAL(a_rearmed_timer_fires_once_at_the_new_deadline),
        MANUAL(a_timer_may_rearm_itself),
        MANUAL(a_timer_that_rearms_itself_for_now_does_not_hold_the_turn),
        MANUAL(deadlines_beyond_the_wheel_are_kept_exactly),
        MANUAL(a_timer_armed_after_a_long_rest_fires_in_time),
        MANUAL(timers_fire_after_a_stall_longer_than_the_wheel),
        MANUAL(thousands_of_timers_each_fire_when_due),
        MANUAL(many_timers_of_one_moment_are_spread_over_turns),
        REAL(a_timer_fires_by_the_real_clock),
        REAL(a_task_runs_once_a_turn_however_often_it_is_deferred),
        REAL(a_task_deferred_by_a_task_runs_in_the_same_turn),
        REAL(a_task_that_always_defers_itself_does_not_hold_the_turn),
        REAL(a_cancelled_task_does_not_run),
        REAL(no_message_of_two_threads_is_lost),
        REAL(each_post_that_says_true_is_one_delivery),
        REAL(a_message_posted_twice_is_delivered_once),
        REAL(messages_come_in_the_order_posted),
        REAL(a_loop_that_is_freed_delivers_what_its_tasks_still_post),
        REAL(stop_from_another_thread_ends_a_run_that_waits),
        REAL(a_stop_before_the_run_is_not_forgotten),
        REAL(a_turn_waits_no_longer_than_it_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
