/*
 * What is left of a process whose own invariant was broken: it says what
 * failed and where, then what each scope tells, and aborts. Each case does so
 * in a child and reads what the child has said.
 */
#include "nearside/base/check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <pthread.h>
#include <string.h>

#include <cmocka.h>

#include "dying.h"

struct thing {
    uint32_t other;
    uint32_t magic;
};

enum {
    THING_MAGIC = 7,
};

static void
tell(const void *ctx, FILE *to)
{
    fprintf(to, "%s\n", (const char *)ctx);
}

static void
tell_and_fail(const void *ctx, FILE *to)
{
    tell(ctx, to);
    MUST(ctx == NULL);
}

/* --- what a check takes ------------------------------------------------ */

static void
what_holds_goes_on(void **state)
{
    struct thing thing = {.magic = THING_MAGIC};
    unsigned asked = 0;

    (void)state;
    MUST(asked++ == 0);
    assert_int_equal(asked, 1);
    MUST_OBJ(&thing, THING_MAGIC);
    assert_ptr_equal(OBJ_OF(struct thing, &thing, THING_MAGIC), &thing);
}

static void
is_false(void)
{
    unsigned two = 2;

    MUST(two == 3);
}

static void
has_no_object(void)
{
    const struct thing *volatile none = NULL;

    MUST_OBJ(none, THING_MAGIC);
}

static void
is_dead(void)
{
    struct thing thing = {.magic = 0};

    MUST_OBJ(&thing, THING_MAGIC);
}

static void
is_no_context(void)
{
    (void)OBJ_OF(struct thing, NULL, THING_MAGIC);
}

static void
is_another_context(void)
{
    /* The magic is looked for where the struct has it. */
    struct thing thing = {.other = THING_MAGIC};

    (void)OBJ_OF(struct thing, &thing, THING_MAGIC);
}

static void
what_does_not_hold_ends_the_process_and_says_where(void **state)
{
    static const struct {
        void (*die)(void);
        const char *says;
    } rows[] = {
        {is_false, "is_false: broken invariant: two == 3\n"},
        {has_no_object, "has_no_object: broken invariant: (none) != NULL"
                        " && (none)->magic == (THING_MAGIC)\n"},
        {is_dead, "is_dead: broken invariant: "},
        {is_no_context, "OBJ_OF: broken invariant: object has its magic\n"},
        {is_another_context,
            "OBJ_OF: broken invariant: object has its magic\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *said = dying_words(rows[i].die);
        if (strncmp(said, "nearside: ", 10) != 0 ||
            strstr(said, "test_base_check.c:") == NULL ||
            strstr(said, rows[i].says) == NULL) {
            fail_msg("%s", said);
        }
    }
}

/* --- scopes ------------------------------------------------------------ */

static void
fails_within_two_of_three(void)
{
    struct check_scope outer = {tell, "outer", NULL};
    struct check_scope left = {tell, "left", NULL};
    struct check_scope inner = {tell, "inner", NULL};

    check_enter(&outer);
    check_enter(&left);
    check_leave(&left);
    check_enter(&inner);
    is_false();
}

static void
scopes_that_were_not_left_tell_the_inner_one_first(void **state)
{
    const char *said = dying_words(fails_within_two_of_three);

    (void)state;
    said = strchr(said, '\n');
    assert_non_null(said);
    assert_string_equal(said, "\ninner\nouter\n");
}

static void
fails_while_it_tells(void)
{
    struct check_scope outer = {tell, "outer", NULL};
    struct check_scope inner = {tell_and_fail, "inner", NULL};

    check_enter(&outer);
    check_enter(&inner);
    is_false();
}

static void
a_scope_that_fails_itself_is_not_asked_again(void **state)
{
    const char *said = dying_words(fails_while_it_tells);

    (void)state;
    assert_non_null(strstr(said, "two == 3\ninner\n"));
    assert_non_null(strstr(said, "ctx == NULL\n"));
    assert_null(strstr(strstr(said, "inner\n") + 1, "inner\n"));
}

static void
leaves_the_outer_one_first(void)
{
    struct check_scope outer = {tell, "outer", NULL};
    struct check_scope inner = {tell, "inner", NULL};

    check_enter(&outer);
    check_enter(&inner);
    check_leave(&outer);
}

static void
scopes_are_left_in_the_opposite_order(void **state)
{
    (void)state;
    assert_non_null(
        strstr(dying_words(leaves_the_outer_one_first), "check_leave: broken"));
}

static void *
fail_on_a_thread(void *ctx)
{
    (void)ctx;
    is_false();
    return NULL;
}

static void
fails_on_another_thread(void)
{
    struct check_scope scope = {tell, "this thread's", NULL};
    pthread_t thread;

    check_enter(&scope);
    pthread_create(&thread, NULL, fail_on_a_thread, NULL);
    pthread_join(thread, NULL);
}

static void
a_thread_tells_of_its_own_scopes_alone(void **state)
{
    const char *said = dying_words(fails_on_another_thread);

    (void)state;
    assert_non_null(strstr(said, "two == 3\n"));
    assert_null(strstr(said, "this thread's"));
}

/* Its stderr is a full pipe that nobody reads. */
static void
break_with_nobody_reading(void)
{
    static const char bytes[4096];
    int fds[2];

    if (pipe(fds) != 0 || fcntl(fds[1], F_SETFL, O_NONBLOCK) != 0) {
        _exit(1);
    }
    while (write(fds[1], bytes, sizeof(bytes)) > 0) {
    }
    (void)fcntl(fds[1], F_SETFL, 0);
    dup2(fds[1], STDERR_FILENO);
    MUST(STDERR_FILENO == 3);
}

static void
a_reader_that_hangs_does_not_keep_it_alive(void **state)
{
    (void)state;
    assert_string_equal(dying_words(break_with_nobody_reading), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_holds_goes_on),
        cmocka_unit_test(what_does_not_hold_ends_the_process_and_says_where),
        cmocka_unit_test(scopes_that_were_not_left_tell_the_inner_one_first),
        cmocka_unit_test(a_scope_that_fails_itself_is_not_asked_again),
        cmocka_unit_test(scopes_are_left_in_the_opposite_order),
        cmocka_unit_test(a_thread_tells_of_its_own_scopes_alone),
        cmocka_unit_test(a_reader_that_hangs_does_not_keep_it_alive),
    };

    return cmocka_run_group_tests_name("base check", tests, NULL, NULL);
}
