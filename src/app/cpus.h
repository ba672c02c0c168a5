/* How many threads can run at once. */
#ifndef APP_CPUS_H
#define APP_CPUS_H

/* The processors this process may use, or fewer where a cgroup's quota
   allows less (rounded up); at least 1. */
unsigned cpus_usable(void);

#endif
