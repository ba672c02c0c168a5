/* What the cgroups that this process is in leave to it. */
#ifndef APP_CGROUP_H
#define APP_CGROUP_H

#include <stdint.h>

struct cgroup_limits {
    unsigned cpus;   /* processors' worth of time, rounded up; 0: no quota */
    uint64_t memory; /* bytes; 0: no limit */
};

/*
 * Reads them: the lowest of the group's own and of all above it that can be
 * seen, of version 1 and 2. root: a folder in which /proc and what is mounted
 * are looked for, for tests; "" else. What cannot be read is no limit.
 */
struct cgroup_limits cgroup_limits_read(const char *root);

#endif
