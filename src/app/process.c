/*
 * The process_* metrics, read from /proc when they are asked for. They are
 * numbers with fractions, or larger than what a thread of ours could count, so
 * they do not come from the registry.
 */
#include "app/process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* One metric: its name, kind, help and value. */
static enum rc
render(struct buf *out, const char *name, const char *kind, const char *help,
    double value)
{
    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help,
        name, kind, name, value);
}

static enum rc
render_cpu(struct buf *out)
{
    struct rusage used;

    if (getrusage(RUSAGE_SELF, &used) != 0) {
        return RC_OK;
    }
    return buf_printf(out,
        "# HELP process_cpu_seconds_total User and system CPU time spent.\n"
        "# TYPE process_cpu_seconds_total counter\n"
        "process_cpu_seconds_total %lld.%06ld\n",
        (long long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec +
                    (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000000),
        (long)((used.ru_utime.tv_usec + used.ru_stime.tv_usec) % 1000000));
}

/* Without the one by which they are counted. */
static enum rc
render_fds(struct buf *out)
{
    DIR *dir = opendir("/proc/self/fd");
    struct rlimit limit;
    long count = -3; /* ".", ".." and that one */
    enum rc rc = RC_OK;

    if (dir != NULL) {
        while (readdir(dir) != NULL) {
            count++;
        }
        closedir(dir);
        rc = render(out, "process_open_fds", "gauge", "Open file descriptors.",
            (double)count);
    }
    if (rc == RC_OK && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        rc = render(out, "process_max_fds", "gauge",
            "File descriptors that may be open.", (double)limit.rlim_cur);
    }
    return rc;
}

static enum rc
render_memory(struct buf *out)
{
    FILE *file = fopen("/proc/self/statm", "re");
    double page = (double)sysconf(_SC_PAGESIZE);
    unsigned long size, resident;
    int n;
    enum rc rc;

    if (file == NULL) {
        return RC_OK;
    }
    n = fscanf(file, "%lu %lu", &size, &resident);
    fclose(file);
    if (n != 2) {
        return RC_OK;
    }
    rc = render(out, "process_virtual_memory_bytes", "gauge",
        "Virtual memory size.", (double)size * page);
    return rc != RC_OK ? rc
                       : render(out, "process_resident_memory_bytes", "gauge",
                             "Resident memory size.", (double)resident * page);
}

/* Since the machine's boot: the 22nd field of stat, which is the 20th behind
   the name in brackets. */
static bool
read_stat(unsigned long long *threads, double *start_s)
{
    FILE *file = fopen("/proc/self/stat", "re");
    unsigned long long ticks;
    char line[1024];
    char *end;
    bool is_read;

    if (file == NULL) {
        return false;
    }
    is_read = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    end = is_read ? strrchr(line, ')') : NULL;
    if (end == NULL ||
        sscanf(end + 1,
            " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
            "%*s %llu %*s %llu",
            threads, &ticks) != 2) {
        return false;
    }
    *start_s = (double)ticks / (double)sysconf(_SC_CLK_TCK);
    return true;
}

/* When the machine was booted, in seconds since 1970; 0: not known. */
static double
boot_s(void)
{
    FILE *file = fopen("/proc/stat", "re");
    unsigned long long found = 0;
    char line[8192];

    while (file != NULL && fgets(line, sizeof(line), file) != NULL &&
           sscanf(line, "btime %llu", &found) != 1) {
    }
    if (file != NULL) {
        fclose(file);
    }
    return (double)found;
}

static enum rc
render_stat(struct buf *out)
{
    unsigned long long threads;
    double start_s;
    double boot = boot_s();
    enum rc rc;

    if (!read_stat(&threads, &start_s)) {
        return RC_OK;
    }
    rc = render(out, "process_threads", "gauge", "Threads.", (double)threads);
    return rc != RC_OK || boot == 0
               ? rc
               : render(out, "process_start_time_seconds", "gauge",
                     "Start time, in seconds since 1970.", boot + start_s);
}

enum rc
process_render(struct buf *out)
{
    enum rc rc = render_cpu(out);

    if (rc == RC_OK) {
        rc = render_fds(out);
    }
    if (rc == RC_OK) {
        rc = render_memory(out);
    }
    return rc == RC_OK ? render_stat(out) : rc;
}
