/* What of the machine this process may use: the whole, or what its cgroups
   leave to it. */
#ifndef APP_MACHINE_H
#define APP_MACHINE_H

#include "app/cgroup.h"

/* Processors, by its affinity or its quota; at least 1. */
unsigned machine_cpus(const struct cgroup_limits *limits);

/* Bytes of memory; 0: not known. */
uint64_t machine_memory(const struct cgroup_limits *limits);

#endif
