/*
 * Bounds the memory that slow clients hold.
 *
 * A stored answer is in memory until its last byte has left, and each hit in
 * Redis brings a copy of its own: a thousand clients that ask for something
 * large and do not read would hold it a thousand times. What lies in memory is
 * shared, but stays for them after it has left. So what all answers hold is
 * added up, but for those of up to buffer_max. When the sum is more than
 * held_max, the worker whose client has just stopped reading cuts the answer of
 * its own that has been waiting longest.
 *
 * A fill that several clients read counts for each of them in part. A client
 * that is the only one of its worker to hold anything is never cut.
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

static void
hold(struct request *r, uint64_t bytes)
{
    struct request_worker *all = r->worker->request;

    MUST(all->held >= r->held);
    all->held += bytes - r->held;
    atomic_fetch_add(&all->requests->held, bytes - r->held); /* wraps */
    r->held = bytes;
}

void
request_hold_end(struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    hold(r, 0);
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
    uint64_t max, weight;

    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->stream != NULL);
    MUST(r->status != 0);
    all = r->worker->request;
    max = r->q->conf->opts.limits.held_max;
    weight = weight_of(r);
    if (weight == 0) {
        request_hold_end(r);
        return;
    }
    hold(r, weight);
    if (!list_is_linked(&r->holder)) {
        list_push_back(&all->holders, &r->holder);
    }
    while (atomic_load(&all->requests->held) > max &&
           all->holders.next != all->holders.prev) {
        cut_longest(all);
    }
}
