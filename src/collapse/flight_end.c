/*
 * What those who wait for a flight are told, and how its run ends. They are
 * told once. When what was fetched is stored or given up, the run is over; it
 * is freed when no body comes any more for those who read it.
 */
#include "collapse/flight_inside.h"

#include <stdlib.h>

static void
drop_result(const struct flight_result *own_result)
{
    struct entry *entry = own_result->entry;
    struct entry *record = own_result->record;
    struct fill *fill = own_result->fill;

    entry_unref(&entry);
    entry_unref(&record);
    fill_unref(&fill);
}

void
flight_tell(struct flight_run *run, const struct flight_result *own_result,
    bool keeps_open)
{
    struct flight_result result = *own_result;

    MUST_OBJ(run, RUN_MAGIC);
    if (run->is_told) {
        drop_result(own_result);
        return;
    }
    run->is_told = true;
    run->is_closed = !keeps_open;
    result.queued_us = fetch_queued_us(&run->fetch);
    flight_resolve(run->flights, run->flight, &result, keeps_open);
}

/* With whatever is still under way. */
static void
run_free(struct flight_run *run)
{
    MUST(run->is_told);
    loop_timer_cancel(&run->timer);
    loop_task_cancel(&run->failed);
    lookup_cancel(&run->look);
    if (run->lease != NULL) {
        lease_cancel(run->lease);
    }
    fetch_cancel(&run->fetch);
    value_free(&run->record_value);
    entry_unref(&run->made);
    entry_unref(&run->stale);
    if (!run->is_closed) {
        flight_close(run->flights, run->flight);
    }
    question_unref(&run->variant);
    question_unref(&run->q);
    flight_unref(&run->flight);
    list_remove(&run->link);
    arena_fini(&run->arena);
    run->magic = 0;
    if (!spare_keep(&run->worker->collapse->free_runs, &run->link)) {
        free(run);
    }
}

void
flight_run_end(struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    run->is_over = true;
    loop_timer_cancel(&run->timer);
    if (!fetch_is_active(&run->fetch)) {
        run_free(run);
    }
}

void
flight_run_end_released(struct flight_run *run)
{
    MUST(!run->is_over);
    flight_lease_release(run);
    flight_run_end(run);
}

static void
on_failed(void *ctx)
{
    struct flight_run *run = OBJ_OF(struct flight_run, ctx, RUN_MAGIC);

    worker_count_limit(run->worker, LIMIT_MEMORY);
    flight_tell(run,
        &(struct flight_result){.outcome = FLIGHT_ALONE, .detail = "no-memory"},
        false);
    flight_run_end_released(run);
}

void
flight_run_fail(struct flight_run *run)
{
    MUST_OBJ(run, RUN_MAGIC);
    MUST(!list_is_linked(&run->failed.link));
    loop_task_init(&run->failed, on_failed, run);
    loop_defer(run->worker->loop, &run->failed);
}
