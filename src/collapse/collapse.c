/* The life of what flights share. */
#include "nearside/collapse/collapse.h"

enum rc
collapse_init(struct collapse *collapse, unsigned flights_max,
    unsigned new_keys_max, const struct written *written)
{
    *collapse = (struct collapse){
        .magic = COLLAPSE_MAGIC,
        .flights = flight_table_new(flights_max, written),
        .doorkeeper = doorkeeper_new(new_keys_max),
    };
    return collapse->flights != NULL && collapse->doorkeeper != NULL ? RC_OK
                                                                     : RC_NOMEM;
}

void
collapse_fini(struct collapse *collapse)
{
    flight_table_free(&collapse->flights);
    doorkeeper_free(&collapse->doorkeeper);
    collapse->magic = 0;
}

void
collapse_worker_init(
    struct collapse_worker *c, struct collapse *collapse, struct worker *worker)
{
    MUST_OBJ(collapse, COLLAPSE_MAGIC);
    MUST_OBJ(worker, WORKER_MAGIC);
    *c = (struct collapse_worker){
        .magic = COLLAPSE_WORKER_MAGIC,
        .flights = collapse->flights,
        .doorkeeper = collapse->doorkeeper,
    };
    list_init(&c->runs);
    spare_init(&c->free_runs);
    worker->collapse = c;
}
