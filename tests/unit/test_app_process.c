/* The process_* metrics, beside what the kernel says by another way. */
#include "heap.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "app/process.h"
#include "nearside/base/check.h"

static char text[4096];

static void
render(void)
{
    struct buf out;

    buf_init(&out, sizeof(text));
    assert_int_equal(process_render(&out), RC_OK);
    assert_in_range(buf_len(&out), 1, sizeof(text) - 1);
    memcpy(text, out.data, buf_len(&out));
    text[buf_len(&out)] = '\0';
    buf_fini(&out);
}

/* Of a metric with its help and that type, each on its line. */
static double
value_of(const char *name, const char *type)
{
    char help[128], line[128];
    const char *at;

    snprintf(help, sizeof(help), "# HELP %s ", name);
    at = strstr(text, help);
    assert_non_null(at);
    at = strchr(at, '\n');
    snprintf(line, sizeof(line), "\n# TYPE %s %s\n%s ", name, type, name);
    assert_int_equal(strncmp(at, line, strlen(line)), 0);
    return strtod(at + strlen(line), NULL);
}

static double
threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    double count = -2; /* "." and ".." */

    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

static void
all_is_there_in_its_units(void **state)
{
    struct rlimit limit;
    double now_s = (double)time(NULL);
    double pages;
    FILE *statm;

    (void)state;
    render();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(value_of("process_max_fds", "gauge") == (double)limit.rlim_cur);
    assert_true(value_of("process_threads", "gauge") == threads());
    statm = fopen("/proc/self/statm", "re");
    assert_int_equal(fscanf(statm, "%lf", &pages), 1);
    fclose(statm);
    assert_true(value_of("process_virtual_memory_bytes", "gauge") ==
                pages * (double)sysconf(_SC_PAGESIZE));
    /* A program is 100 KB at least, and less than what is mapped. */
    assert_true(value_of("process_resident_memory_bytes", "gauge") > 100000);
    assert_true(value_of("process_resident_memory_bytes", "gauge") <
                value_of("process_virtual_memory_bytes", "gauge"));
    /* It has begun by now, and not long ago; the boot counts in seconds. */
    assert_true(value_of("process_start_time_seconds", "gauge") < now_s + 5);
    assert_true(value_of("process_start_time_seconds", "gauge") > now_s - 120);
}

static void
each_open_file_is_counted(void **state)
{
    double before;
    int fds[2];

    (void)state;
    render();
    before = value_of("process_open_fds", "gauge");
    /* 0, 1 and 2 at least, and not the one by which they are counted. */
    for (int fd = 0; fd < 1024; fd++) {
        before -= fcntl(fd, F_GETFD) >= 0;
    }
    assert_true(before == 0);
    before = value_of("process_open_fds", "gauge");
    assert_int_equal(pipe(fds), 0);
    render();
    assert_true(value_of("process_open_fds", "gauge") == before + 2);
    close(fds[0]);
    close(fds[1]);
}

static void
cpu_time_is_in_seconds_and_grows(void **state)
{
    struct rusage used;
    double told, own_s;

    (void)state;
    do {
        getrusage(RUSAGE_SELF, &used);
    } while (used.ru_utime.tv_sec == 0 && used.ru_utime.tv_usec < 30000);
    render();
    told = value_of("process_cpu_seconds_total", "counter");
    getrusage(RUSAGE_SELF, &used);
    own_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
            (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    assert_true(told >= 0.03);
    assert_true(told <= own_s);
}

static void
without_room_it_says_so(void **state)
{
    struct buf out;
    size_t len;

    (void)state;
    render();
    len = strlen(text);
    for (size_t room = 0; room + 64 < len; room += 16) {
        buf_init(&out, room);
        assert_int_equal(process_render(&out), RC_LIMIT);
        buf_fini(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_there_in_its_units),
        cmocka_unit_test(each_open_file_is_counted),
        cmocka_unit_test(cpu_time_is_in_seconds_and_grows),
        cmocka_unit_test(without_room_it_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
