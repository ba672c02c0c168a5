/* How many threads can run at once. */
#ifndef APP_CPUS_H
#define APP_CPUS_H

/* The processors this process may use, or fewer where the quota of the cgroup
   at that folder ("/sys/fs/cgroup" is ours) allows less (rounded up); at least
   1. */
unsigned cpus_usable(const char *cgroup);

/* That quota, in processors; 0: none is set. */
unsigned cpus_quota(const char *cgroup);

#endif
