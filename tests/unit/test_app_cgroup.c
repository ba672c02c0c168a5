/* What the cgroups leave to the process (cgroup.c), told from a /proc and
   mounts that are made up. */
#include "app/cgroup.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "nearside/base/check.h"

enum {
    FILES_MAX = 12,
};

struct file {
    const char *path;
    const char *text;
};

struct row {
    const char *what;
    struct file files[FILES_MAX];
    unsigned cpus;
    uint64_t memory;
};

#define CGROUP "/proc/self/cgroup"
#define MOUNTS "/proc/self/mountinfo"
#define FS     "/sys/fs/cgroup"
#define V2     "29 23 0:26 / " FS " rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1(root, name)                                                         \
    "32 31 0:29 " root " " FS "/" name " rw shared:9 - cgroup cgroup rw," name \
    "\n"
#define PAGES "9223372036854771712\n" /* version 1's word for no limit */

static const struct row rows[] = {
    {"nothing can be read", {{"/etc/hosts", ""}}, 0, 0},
    {"version 2 without limits",
        {{CGROUP, "0::/\n"}, {MOUNTS, V2}, {FS "/cpu.max", "max 100000\n"},
            {FS "/memory.max", "max\n"}},
        0, 0},
    {"version 2, the root of what is seen is one's own",
        {{CGROUP, "0::/\n"}, {MOUNTS, V2}, {FS "/cpu.max", "150000 100000\n"},
            {FS "/memory.max", "268435456\n"}},
        2, 268435456},
    {"version 2, a unit of systemd",
        {{CGROUP, "0::/system.slice/nearside.service\n"}, {MOUNTS, V2},
            {FS "/system.slice/nearside.service/cpu.max", "50000 100000\n"},
            {FS "/system.slice/nearside.service/memory.max", "1000000\n"},
            {FS "/system.slice/cpu.max", "max 100000\n"},
            {FS "/system.slice/memory.max", "max\n"}},
        1, 1000000},
    {"version 2, the limit is an ancestor's",
        {{CGROUP, "0::/pods/pod1/c1\n"}, {MOUNTS, V2},
            {FS "/pods/pod1/c1/cpu.max", "400000 100000\n"},
            {FS "/pods/pod1/c1/memory.max", "9000000\n"},
            {FS "/pods/pod1/cpu.max", "300000 100000\n"},
            {FS "/pods/pod1/memory.max", "max\n"},
            {FS "/pods/cpu.max", "250000 100000\n"},
            {FS "/pods/memory.max", "8000000\n"}},
        3, 8000000},
    {"version 2, a group that cannot be seen from here",
        {{CGROUP, "0::/../elsewhere\n"}, {MOUNTS, V2},
            {FS "/cpu.max", "100000 100000\n"},
            {FS "/elsewhere/cpu.max", "9 9\n"}},
        1, 0},
    {"version 1, each controller by itself",
        {{CGROUP, "4:memory:/a\n3:cpuset:/\n2:cpuacct:/z\n1:cpu:/a/b\n0::/\n"},
            {MOUNTS, V1("/", "memory") V1("/", "cpuset") V1("/", "cpuacct")
                         V1("/", "cpu") V2},
            {FS "/cpu/a/b/cpu.cfs_quota_us", "-1\n"},
            {FS "/cpu/a/b/cpu.cfs_period_us", "100000\n"},
            {FS "/cpu/a/cpu.cfs_quota_us", "220000\n"},
            {FS "/cpu/a/cpu.cfs_period_us", "100000\n"},
            {FS "/memory/a/memory.limit_in_bytes", "5000000\n"},
            {FS "/memory/memory.limit_in_bytes", PAGES},
            {FS "/cpu.max", "1 1\n"}},
        3, 5000000},
    {"version 1, a container with the host's path",
        {{CGROUP, "5:cpu:/docker/b1\n4:memory:/docker/b1\n"},
            {MOUNTS, V1("/docker/b1", "memory") V1("/docker/b1", "cpu")},
            {FS "/cpu/cpu.cfs_quota_us", "100000\n"},
            {FS "/cpu/cpu.cfs_period_us", "100000\n"},
            {FS "/memory/memory.limit_in_bytes", "7000000\n"}},
        1, 7000000},
    {"version 1 for the processor, version 2 for memory",
        {{CGROUP, "1:cpu:/a\n0::/b\n"},
            {MOUNTS, V1("/", "cpu") "41 31 0:38 / " FS
                                    "/unified rw - cgroup2 cgroup2 rw\n"},
            {FS "/cpu/a/cpu.cfs_quota_us", "50000\n"},
            {FS "/cpu/a/cpu.cfs_period_us", "100000\n"},
            {FS "/unified/b/memory.max", "6000000\n"}},
        1, 6000000},
    {"a little more than two processors",
        {{CGROUP, "0::/\n"}, {MOUNTS, V2}, {FS "/cpu.max", "200001 100000\n"}},
        3, 0},
    {"a little of one",
        {{CGROUP, "0::/\n"}, {MOUNTS, V2}, {FS "/cpu.max", "1000 100000\n"}}, 1,
        0},
    {"no period",
        {{CGROUP, "0::/\n"}, {MOUNTS, V2}, {FS "/cpu.max", "100000 0\n"}}, 0,
        0},
    {"half a line",
        {{CGROUP, "0::/\n"}, {MOUNTS, V2}, {FS "/cpu.max", "100000\n"}}, 0, 0},
    {"version 1 without a period",
        {{CGROUP, "1:cpu:/\n"}, {MOUNTS, V1("/", "cpu")},
            {FS "/cpu/cpu.cfs_quota_us", "100000\n"}},
        0, 0},
    {"what is no number is no limit",
        {{CGROUP, "0::/\nnonsense\n\n"}, {MOUNTS, "short\n" V2},
            {FS "/cpu.max", "some 100000\n"}, {FS "/memory.max", ""}},
        0, 0},
};

static void
make_folders(char *path)
{
    for (char *at = strchr(path + 1, '/'); at != NULL;
         at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
}

static void
write_file(const char *root, const struct file *file)
{
    char path[PATH_MAX];
    FILE *to;

    snprintf(path, sizeof(path), "%s%s", root, file->path);
    make_folders(path);
    to = fopen(path, "w");
    assert_non_null(to);
    fputs(file->text, to);
    fclose(to);
}

/* Removes the files, and the folders that this leaves empty. */
static void
remove_files(const char *root, const struct row *row)
{
    for (size_t i = 0; i < FILES_MAX && row->files[i].path != NULL; i++) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s%s", root, row->files[i].path);
        assert_int_equal(unlink(path), 0);
        do {
            *strrchr(path, '/') = '\0';
        } while (strlen(path) >= strlen(root) && rmdir(path) == 0);
    }
    (void)rmdir(root);
    assert_int_not_equal(access(root, F_OK), 0);
}

static void
the_lowest_limit_of_the_group_and_those_above_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char root[] = "/tmp/nearside-cgroup-XXXXXX";
        struct cgroup_limits got;

        assert_non_null(mkdtemp(root));
        for (size_t j = 0; j < FILES_MAX && rows[i].files[j].path; j++) {
            write_file(root, &rows[i].files[j]);
        }
        got = cgroup_limits_read(root);
        remove_files(root, &rows[i]);
        if (got.cpus != rows[i].cpus || got.memory != rows[i].memory) {
            fail_msg("%s: %u, %llu", rows[i].what, got.cpus,
                (unsigned long long)got.memory);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_limit_of_the_group_and_those_above_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
