/* What the kernel says there is, and of that what the cgroups leave. The
   affinity counts as well: it is how `taskset` and cpusets say it. */
#include "app/machine.h"

#include <sched.h>
#include <unistd.h>

unsigned
machine_cpus(const struct cgroup_limits *limits)
{
    unsigned count = 1;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        count = (unsigned)CPU_COUNT(&set);
    }
    return limits->cpus > 0 && limits->cpus < count ? limits->cpus : count;
}

uint64_t
machine_memory(const struct cgroup_limits *limits)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    uint64_t all = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;

    return limits->memory > 0 && (all == 0 || limits->memory < all)
               ? limits->memory
               : all;
}
