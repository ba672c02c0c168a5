/* Affinity, then the quota of the cgroup (v2, else v1) we are in. */
#include "app/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/* Processors' worth of quota, or 0: none is set. */
static unsigned
quota_of(long long quota, long long period)
{
    if (quota <= 0 || period <= 0) {
        return 0;
    }
    return (unsigned)((quota + period - 1) / period);
}

static unsigned
read_v2(void)
{
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    long long quota = 0;
    long long period = 0;
    int n;

    if (f == NULL) {
        return 0;
    }
    n = fscanf(f, "%lld %lld", &quota, &period); /* "max" reads as nothing */
    fclose(f);
    return n == 2 ? quota_of(quota, period) : 0;
}

static long long
read_number(const char *path)
{
    FILE *f = fopen(path, "re");
    long long value = 0;

    if (f == NULL) {
        return 0;
    }
    if (fscanf(f, "%lld", &value) != 1) {
        value = 0;
    }
    fclose(f);
    return value;
}

static unsigned
read_v1(void)
{
    return quota_of(read_number("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
        read_number("/sys/fs/cgroup/cpu/cpu.cfs_period_us"));
}

unsigned
cpus_usable(void)
{
    unsigned quota = read_v2();
    unsigned count = 1;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        count = (unsigned)CPU_COUNT(&set);
    }
    if (quota == 0) {
        quota = read_v1();
    }
    if (quota > 0 && quota < count) {
        count = quota;
    }
    return count < 1 ? 1 : count;
}
