/* What of the machine the process may use (machine.c). */
#include "app/machine.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned
cpus(unsigned quota)
{
    const struct cgroup_limits limits = {.cpus = quota};

    return machine_cpus(&limits);
}

static void
processors_are_those_of_the_affinity_or_of_the_quota_below(void **state)
{
    cpu_set_t before, one;
    unsigned all;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    all = (unsigned)CPU_COUNT(&before);
    assert_int_equal(cpus(0), all);
    assert_int_equal(cpus(all + 1), all);
    assert_int_equal(cpus(1), 1);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &before)) {
            CPU_SET(i, &one);
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_int_equal(cpus(0), 1);
    assert_int_equal(cpus(2), 1);
    assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

static void
memory_is_the_machine_s_or_what_is_allowed_of_it(void **state)
{
    uint64_t all =
        (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    const struct cgroup_limits none = {0}, some = {.memory = 1 << 20},
                               more = {.memory = UINT64_MAX / 4};

    (void)state;
    assert_true(machine_memory(&none) == all);
    assert_true(machine_memory(&some) == 1 << 20);
    assert_true(machine_memory(&more) == all);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            processors_are_those_of_the_affinity_or_of_the_quota_below),
        cmocka_unit_test(memory_is_the_machine_s_or_what_is_allowed_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
