/* Collapsing: what all flights of the process share, and those of a worker. */
#ifndef NEARSIDE_COLLAPSE_COLLAPSE_H
#define NEARSIDE_COLLAPSE_COLLAPSE_H

#include "nearside/cache/doorkeeper.h"
#include "nearside/collapse/flight_table.h"
#include "nearside/work/worker.h"

#define COLLAPSE_MAGIC        UINT32_C(0x6e636f6c)
#define COLLAPSE_WORKER_MAGIC UINT32_C(0x6e636f77)

struct collapse {
    uint32_t magic;
    struct flight_table *flights;
    struct doorkeeper *doorkeeper;
};

struct collapse_worker {
    uint32_t magic;
    struct flight_table *flights;  /* the process' */
    struct doorkeeper *doorkeeper; /* the process' */
    struct list runs;              /* flights that this worker flies */
};

/* NULL: no memory. */
struct collapse *collapse_new(
    unsigned flights_max, unsigned new_keys_max, const struct written *written);
void collapse_free(struct collapse **collapse);

/* The collapse room's part of a worker; sets worker->collapse. NULL: no
   memory. */
struct collapse_worker *collapse_worker_new(
    struct collapse *collapse, struct worker *worker);

/* Ends the flights of the worker: who waits for them goes on alone. It is
   freed after the last message was delivered. */
void collapse_worker_stop(struct worker *worker);
void collapse_worker_free(struct collapse_worker **c);

#endif
