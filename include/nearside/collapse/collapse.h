/* Collapsing: what all flights of the process share, and those of a worker. */
#ifndef NEARSIDE_COLLAPSE_COLLAPSE_H
#define NEARSIDE_COLLAPSE_COLLAPSE_H

#include "nearside/base/spare.h"
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
    struct spare free_runs;
};

/* RC_NOMEM. fini is harmless after it, and on what is zeroed. */
enum rc collapse_init(struct collapse *collapse, unsigned flights_max,
    unsigned new_keys_max, const struct written *written) RC_MUST_CHECK;
void collapse_fini(struct collapse *collapse);

/* The collapse room's part of a worker; sets worker->collapse, for as long as
   the worker lives. flight_runs_free comes before the loop's last message. */
void collapse_worker_init(struct collapse_worker *c, struct collapse *collapse,
    struct worker *worker);

#endif
