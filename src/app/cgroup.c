/*
 * Which group this process is in stands in /proc/self/cgroup, for each
 * controller of version 1 and, with an empty list of them, for version 2.
 * Where a hierarchy is mounted, and which of its groups is the root of what is
 * seen there, stands in /proc/self/mountinfo: in a container that may be the
 * container's own group, under a path that is the host's.
 *
 *     4:cpu,cpuacct:/docker/b1
 *     33 31 0:30 /docker/b1 /sys/fs/cgroup/cpu rw - cgroup c rw,cpu,cpuacct
 *
 * A limit holds for all groups below the one that has it (a systemd slice, a
 * pod), so the ancestors are looked at too.
 */
#include "app/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "nearside/base/check.h"
#include "nearside/base/slice.h"

enum {
    LINE_SIZE = 8192,
    /* Version 1 writes "no limit" as the largest number of whole pages. */
    NO_LIMIT_BITS = 62,
};

struct hierarchy {
    bool is_v2;
    char group[PATH_MAX]; /* ours */
    char root[PATH_MAX];  /* the group that is mounted */
    char point[PATH_MAX]; /* where */
};

static FILE *
open_below(const char *root, const char *path)
{
    char full[PATH_MAX];
    int len = snprintf(full, sizeof(full), "%s%s", root, path);

    return len > 0 && (size_t)len < sizeof(full) ? fopen(full, "re") : NULL;
}

/* Is the word one of a list with commas? */
static bool
has_word(const char *list, const char *word)
{
    struct slice rest = slice_of_str(list);
    struct slice one;

    while (slice_split(&rest, ',', &one)) {
        if (slice_eq(one, slice_of_str(word))) {
            return true;
        }
    }
    return false;
}

/* --- which group, and where ---------------------------------------------- */

/* Version 1 comes first: where it has a controller, version 2 has it not. */
static bool
find_group(const char *root, const char *controller, struct hierarchy *h)
{
    FILE *file = open_below(root, "/proc/self/cgroup");
    char line[LINE_SIZE];
    bool is_found = false;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *list = strchr(line, ':');
        char *group = list == NULL ? NULL : strchr(list + 1, ':');
        bool is_v2;

        if (group == NULL) {
            continue;
        }
        is_v2 = group == list + 1; /* the list is empty */
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if ((is_v2 && !is_found) || has_word(list + 1, controller)) {
            h->is_v2 = is_v2;
            is_found = true;
            (void)snprintf(h->group, sizeof(h->group), "%.*s",
                (int)sizeof(h->group) - 1, group);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return is_found;
}

/* A line of mountinfo: is it the hierarchy's? */
static bool
is_mount(char *line, const char *controller, struct hierarchy *h)
{
    char *end = strstr(line, " - ");
    char type[32];
    char options[1024];

    return end != NULL &&
           sscanf(end, " - %31s %*s %1023s", type, options) == 2 &&
           strcmp(type, h->is_v2 ? "cgroup2" : "cgroup") == 0 &&
           (h->is_v2 || has_word(options, controller)) &&
           sscanf(line, "%*s %*s %*s %4095s %4095s", h->root, h->point) == 2;
}

static bool
find_mount(const char *root, const char *controller, struct hierarchy *h)
{
    FILE *file = open_below(root, "/proc/self/mountinfo");
    char line[LINE_SIZE];
    bool is_found = false;

    while (
        file != NULL && !is_found && fgets(line, sizeof(line), file) != NULL) {
        is_found = is_mount(line, controller, h);
    }
    if (file != NULL) {
        fclose(file);
    }
    return is_found;
}

/* The group's path below the mount; "": it is the mounted one, or cannot be
   seen from here. */
static const char *
below_mount(const struct hierarchy *h)
{
    size_t len = strcmp(h->root, "/") == 0 ? 0 : strlen(h->root);
    const char *below = h->group + len;

    if (strncmp(h->group, h->root, len) != 0 || *below != '/' ||
        below[1] == '\0' || strstr(below, "/..") != NULL) {
        return "";
    }
    return below;
}

/* --- limits --------------------------------------------------------------- */

/* Reads up to two numbers: how many there were. "max" is none. */
static int
read_numbers(
    const char *dir, const char *name, long long *first, long long *second)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file =
        len > 0 && (size_t)len < sizeof(path) ? fopen(path, "re") : NULL;
    int count;

    if (file == NULL) {
        return 0;
    }
    count = fscanf(file, "%lld %lld", first, second);
    fclose(file);
    return count;
}

static void
take_cpus(const char *dir, bool is_v2, struct cgroup_limits *out)
{
    long long us = 0;
    long long period_us = 0;
    long long unused;
    long long cpus;

    if (is_v2) {
        read_numbers(dir, "cpu.max", &us, &period_us);
    } else {
        read_numbers(dir, "cpu.cfs_quota_us", &us, &unused);
        read_numbers(dir, "cpu.cfs_period_us", &period_us, &unused);
    }
    if (us <= 0 || period_us <= 0) {
        return;
    }
    cpus = us / period_us + (us % period_us > 0);
    if (cpus < UINT_MAX && (out->cpus == 0 || cpus < out->cpus)) {
        out->cpus = (unsigned)cpus;
    }
}

static void
take_memory(const char *dir, bool is_v2, struct cgroup_limits *out)
{
    long long bytes = 0;
    long long unused;

    if (read_numbers(dir, is_v2 ? "memory.max" : "memory.limit_in_bytes",
            &bytes, &unused) == 0 ||
        bytes <= 0 || bytes >> NO_LIMIT_BITS > 0) {
        return;
    }
    if (out->memory == 0 || (uint64_t)bytes < out->memory) {
        out->memory = (uint64_t)bytes;
    }
}

/* From the group up to the one that is mounted. */
static void
walk_up(const char *root, const char *controller, struct cgroup_limits *out,
    void (*take)(const char *, bool, struct cgroup_limits *))
{
    struct hierarchy h;
    char dir[PATH_MAX];
    size_t top;
    int len;

    if (!find_group(root, controller, &h) ||
        !find_mount(root, controller, &h)) {
        return;
    }
    top = strlen(root) + strlen(h.point);
    len = snprintf(dir, sizeof(dir), "%s%s%s", root, h.point, below_mount(&h));
    if (len < 0 || (size_t)len >= sizeof(dir)) {
        return;
    }
    take(dir, h.is_v2, out);
    while (strlen(dir) > top) {
        *strrchr(dir, '/') = '\0';
        take(dir, h.is_v2, out);
    }
}

struct cgroup_limits
cgroup_limits_read(const char *root)
{
    struct cgroup_limits out = {0};

    walk_up(root, "cpu", &out, take_cpus);
    walk_up(root, "memory", &out, take_memory);
    return out;
}
