/* Looks at the affinity, then at the quota of the cgroup that is the root of
   what we see (v2, else v1): in a container its own. */
#include "app/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

/* Reads up to two numbers from the file: how many there were. */
static int
read_numbers(
    const char *cgroup, const char *name, long long *first, long long *second)
{
    char path[256];
    FILE *f = NULL;
    int count = snprintf(path, sizeof(path), "%s/%s", cgroup, name);

    if (count > 0 && (size_t)count < sizeof(path)) {
        f = fopen(path, "re");
    }
    if (f == NULL) {
        return 0;
    }
    count = fscanf(f, "%lld %lld", first, second);
    fclose(f);
    return count;
}

unsigned
cpus_quota(const char *cgroup)
{
    long long us = 0;
    long long period_us = 0;
    long long unused;

    /* v2 writes "max" for no quota; under v1 the file is not there. */
    if (read_numbers(cgroup, "cpu.max", &us, &period_us) != 2) {
        read_numbers(cgroup, "cpu/cpu.cfs_quota_us", &us, &unused);
        read_numbers(cgroup, "cpu/cpu.cfs_period_us", &period_us, &unused);
    }
    return us <= 0 || period_us <= 0
               ? 0
               : (unsigned)((us + period_us - 1) / period_us);
}

unsigned
cpus_usable(const char *cgroup)
{
    unsigned allowed = cpus_quota(cgroup);
    unsigned count = 1;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        count = (unsigned)CPU_COUNT(&set);
    }
    return allowed > 0 && allowed < count ? allowed : count;
}
