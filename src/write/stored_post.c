/*
 * Storing the answer to a POST, under the lease of its target. A POST that
 * cannot have the lease, because somebody fetches, goes on without it and is
 * not stored. Nor is one that takes longer than a lease holds, since it is not
 * renewed.
 *
 * Law: what a POST has made stale is deleted before its answer is stored. The
 * two commands need not reach Redis in the order in which they are sent, since
 * Redis may ask for a script's body, or send one of them elsewhere. Therefore
 * the answer waits until Redis has acknowledged the deletion.
 */
#include "nearside/write/stored_post.h"

#include "nearside/body/encode.h"
#include "nearside/lease/lease.h"
#include "nearside/lease/release.h"
#include "nearside/tier/store.h"
#include "nearside/tier/tier.h"

#define STORED_POST_MAGIC UINT32_C(0x6e706f73)

struct stored_post {
    uint32_t magic;
    struct stored_post_opts opts;
    struct lease *lease;
    enum lease_state lease_state;
    bool is_storable;
    bool is_deleted;   /* what the POST has made stale */
    struct fill *fill; /* a reference: complete, it waits for that */
    unsigned status;
    int64_t request_ms;
    struct policy_verdict verdict;
};

bool
stored_post_is_due(const struct worker *w, const struct question *q)
{
    MUST_OBJ(q, QUESTION_MAGIC);
    return q->reads != NULL && q->reads->stores_post &&
           q->head->method == METHOD_POST && tier_stores(w) &&
           question_is_sent_as_get(q);
}

static void
on_lease(void *ctx, enum lease_state state)
{
    struct stored_post *p = OBJ_OF(struct stored_post, ctx, STORED_POST_MAGIC);

    MUST(p->lease_state == LEASE_UNSURE);
    p->lease_state = state;
    if (p->lease_state == LEASE_UNSURE) { /* nobody is to wait for it */
        p->lease_state = LEASE_NONE;
        release_lease(p->opts.worker, p->opts.q, p->lease);
    }
    p->request_ms = worker_wall_ms(p->opts.worker);
    p->opts.on_ready(p->opts.ctx);
}

struct stored_post *
stored_post_begin(const struct stored_post_opts *opts)
{
    struct stored_post *p;
    struct lease *lease;

    MUST(opts->on_ready != NULL);
    MUST(stored_post_is_due(opts->worker, opts->q));
    if (!store_is_possible(opts->worker, opts->q)) {
        return NULL;
    }
    p = arena_zalloc(opts->arena, sizeof(*p));
    lease = lease_new(opts->worker, opts->q, opts->arena);
    if (p == NULL || lease == NULL) {
        return NULL;
    }
    p->magic = STORED_POST_MAGIC;
    p->opts = *opts;
    p->lease = lease;
    p->lease_state = LEASE_UNSURE;
    lease_take(lease, on_lease, p);
    return p;
}

/* The POST as what a GET of its target would be, but for the method. */
static void
read_policy(const struct question *q, struct policy_request *out)
{
    policy_read(q->reads, q->head, false, out);
    out->storable.method = METHOD_POST;
    out->storable.scheme = q->client.scheme;
    out->storable.target = q->target;
}

struct fetch_plan
stored_post_on_head(struct stored_post *p, const struct head *response)
{
    struct policy_request policy;
    struct assess_opts opts;

    if (p == NULL || p->lease_state != LEASE_HELD) {
        return (struct fetch_plan){0};
    }
    MUST_OBJ(p, STORED_POST_MAGIC);
    MUST(!p->is_storable);
    read_policy(p->opts.q, &policy);
    opts = tier_assess_opts(p->opts.worker);
    opts.route = p->opts.q->reads;
    opts.request = &policy;
    opts.times.request_ms = p->request_ms;
    assess_response(&opts, response, &p->verdict);
    /* A variant would need a record; a POST's fields choose none for GETs. */
    p->is_storable = p->verdict.is_storable && p->verdict.vary.count == 0 &&
                     store_is_possible(p->opts.worker, p->opts.q);
    p->status = response->status;
    return (struct fetch_plan){
        .is_kept = p->is_storable,
        .drops_set_cookie = p->is_storable && p->verdict.drops_set_cookie,
    };
}

struct lease *
stored_post_lease(const struct stored_post *p)
{
    return p != NULL && p->is_storable ? p->lease : NULL;
}

static void
store_answer(struct stored_post *p, struct fill *fill)
{
    struct worker *w = p->opts.worker;
    struct encoding encoding = {
        .verdict = &p->verdict, .status = p->status, .key = &p->opts.q->key};
    struct store store = {
        .kind = STORE_ENTRY,
        .q = p->opts.q,
        .lease = p->lease,
        .px_ms = p->verdict.stale_until_ms - worker_wall_ms(w),
    };

    MUST(p->is_deleted);
    MUST(p->lease_state == LEASE_HELD);
    if (store.px_ms > 0 &&
        encode_fill(&encoding, fill, &store.value) == RC_OK) {
        p->lease_state = LEASE_NONE; /* the writer has it */
        store_write(w, &store);
    }
}

void
stored_post_on_complete(struct stored_post *p, struct fill *fill)
{
    if (p == NULL || !p->is_storable) {
        return;
    }
    MUST_OBJ(p, STORED_POST_MAGIC);
    MUST(p->fill == NULL);
    if (p->is_deleted) {
        store_answer(p, fill);
    } else {
        p->fill = fill_ref(fill);
    }
}

bool
stored_post_on_deleted(struct stored_post *p, enum deletion_end end)
{
    if (p == NULL || !p->is_storable) {
        return false;
    }
    MUST_OBJ(p, STORED_POST_MAGIC);
    MUST(!p->is_deleted);
    if (end != DELETION_DONE) {
        return false;
    }
    p->is_deleted = true;
    if (p->fill != NULL) {
        store_answer(p, p->fill);
        fill_unref(&p->fill);
    }
    return true;
}

void
stored_post_drop(struct stored_post **pp)
{
    struct stored_post *p = *pp;

    if (p == NULL) {
        return;
    }
    MUST_OBJ(p, STORED_POST_MAGIC);
    *pp = NULL;
    lease_cancel(p->lease);
    if (p->fill != NULL) {
        fill_unref(&p->fill);
    }
    if (p->lease_state == LEASE_HELD || p->lease_state == LEASE_UNSURE) {
        release_lease(p->opts.worker, p->opts.q, p->lease);
    }
    p->magic = 0;
}
