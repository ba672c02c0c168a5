/*
 * Bounds the memory that slow clients hold.
 *
 * A stored answer is in memory until its last byte has left, and each hit
 * brings a copy of its own: a thousand clients that ask for something large
 * and do not read would hold it a thousand times. So each worker adds up
 * what its answers hold, but for those of up to buffer_max. When the sum is
 * more than the worker's share of held_max, the worker cuts the answer that has
 * been waiting longest.
 *
 * A fill that several clients read counts for each of them in part. A client
 * that holds alone is never cut.
 */
#include "request/request_inside.h"

/* Memory that waits for this client to take it. The owner of a fill that is not
   kept waits too, so such a fill does not count. */
static uint64_t
weight_of(const struct request *r)
{
    const struct fill_reader *reader = &r->source.reader;
    uint64_t weight = 0;

    if (r->hit != NULL) {
        weight = entry_size(r->hit) / atomic_load(&r->hit->refs);
    } else if (reader->fill != NULL) {
        weight = fill_due(reader) / fill_sharers(reader->fill);
    }
    return weight > r->q->conf->opts.limits.buffer_max ? weight : 0;
}

void
request_hold_end(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->worker->request->held >= r->held);
    r->worker->request->held -= r->held;
    r->held = 0;
    list_remove(&r->holder);
}

/* Unless it is kept no longer, what it reads. */
static void
cut_longest(struct request_worker *all)
{
    struct request *r =
        CONTAINER_OF(list_first(&all->holders), struct request, holder);

    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->stream != NULL);
    MUST(r->held > 0);
    request_hold_end(r);
    if (weight_of(r) == 0) {
        return;
    }
    worker_count_limit(r->worker, LIMIT_HELD);
    r->stream->ops->abort(r->stream);
}

void
request_on_blocked(struct request *r)
{
    struct request_worker *all;
    uint64_t share, weight;

    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->stream != NULL);
    MUST(r->status != 0);
    all = r->worker->request;
    share = r->q->conf->opts.limits.held_max / r->worker->workers_len;
    weight = weight_of(r);
    if (weight == 0) {
        request_hold_end(r);
        return;
    }
    all->held += weight - r->held;
    r->held = weight;
    if (!list_is_linked(&r->holder)) {
        list_push_back(&all->holders, &r->holder);
    }
    while (all->held > share && all->holders.next != all->holders.prev) {
        cut_longest(all);
    }
}
