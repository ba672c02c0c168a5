/* The life of what flights share. */
#include "nearside/collapse/collapse.h"

#include <stdlib.h>

#include "nearside/collapse/flight_run.h"

struct collapse *
collapse_new(
    unsigned flights_max, unsigned new_keys_max, const struct written *written)
{
    struct collapse *collapse = calloc(1, sizeof(*collapse));

    if (collapse == NULL) {
        return NULL;
    }
    collapse->magic = COLLAPSE_MAGIC;
    collapse->flights = flight_table_new(flights_max, written);
    collapse->doorkeeper = doorkeeper_new(new_keys_max);
    if (collapse->flights == NULL || collapse->doorkeeper == NULL) {
        collapse_free(&collapse);
    }
    return collapse;
}

void
collapse_free(struct collapse **pcollapse)
{
    struct collapse *collapse = *pcollapse;

    if (collapse == NULL) {
        return;
    }
    MUST_OBJ(collapse, COLLAPSE_MAGIC);
    *pcollapse = NULL;
    flight_table_free(&collapse->flights);
    doorkeeper_free(&collapse->doorkeeper);
    collapse->magic = 0;
    free(collapse);
}

struct collapse_worker *
collapse_worker_new(struct collapse *collapse, struct worker *worker)
{
    struct collapse_worker *c = calloc(1, sizeof(*c));

    MUST_OBJ(collapse, COLLAPSE_MAGIC);
    MUST_OBJ(worker, WORKER_MAGIC);
    if (c == NULL) {
        return NULL;
    }
    c->magic = COLLAPSE_WORKER_MAGIC;
    c->flights = collapse->flights;
    c->doorkeeper = collapse->doorkeeper;
    list_init(&c->runs);
    worker->collapse = c;
    return c;
}

void
collapse_worker_stop(struct worker *worker)
{
    if (worker->collapse != NULL) {
        MUST_OBJ(worker->collapse, COLLAPSE_WORKER_MAGIC);
        flight_runs_free(worker);
    }
}

void
collapse_worker_free(struct collapse_worker **pc)
{
    struct collapse_worker *c = *pc;

    if (c == NULL) {
        return;
    }
    MUST_OBJ(c, COLLAPSE_WORKER_MAGIC);
    MUST(list_is_empty(&c->runs));
    *pc = NULL;
    c->magic = 0;
    free(c);
}
