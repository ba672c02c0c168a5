/*
 * The answer to a HEAD, held against what is stored. Law: what is renewed is
 * the very value that was found before the origin was asked, or nothing: a
 * write that came meanwhile has deleted it, and then it stays deleted.
 */
#include "nearside/write/head_update.h"

#include "nearside/body/encode.h"
#include "nearside/http/update.h"
#include "nearside/tier/deletion.h"
#include "nearside/tier/store.h"
#include "nearside/tier/tier.h"

static void
drop(struct worker *w, const struct question *q)
{
    MUST_OBJ(w, WORKER_MAGIC);
    deletion_start(w, &q->key, q->entry_key, &(struct deletion_opts){0});
}

static bool
replace(struct worker *w, const struct head_update *u,
    const struct renewal *renewal)
{
    const struct encoding encoding = {
        .verdict = &renewal->verdict,
        .status = u->found->status,
        .cost_ms = entry_cost_ms(u->found),
        .key = &u->q->key,
    };
    struct store store = {
        .kind = STORE_RENEWED,
        .q = u->q,
        .sum = entry_sum(u->found),
        .px_ms = renewal->verdict.stale_until_ms - worker_wall_ms(w),
    };

    if (encode_renewed(&encoding, renewal, u->found, &store.value) != RC_OK) {
        worker_count_limit(w, LIMIT_MEMORY);
        return false;
    }
    store_write(w, &store);
    return true;
}

static bool
freshen(struct worker *w, const struct head_update *u)
{
    struct policy_request as_get = u->q->policy;
    struct assess_opts opts = tier_assess_opts(w);
    struct renewal renewal;

    MUST(u->q->reads != NULL);
    as_get.storable.method = METHOD_GET;
    opts.route = u->q->route;
    opts.request = &as_get;
    opts.arena = u->arena;
    opts.times.request_ms = u->request_ms;
    if (!assess_renewed(&opts, u->found, u->response, &renewal) ||
        renewal.verdict.is_personal) {
        return false;
    }
    if (!renewal.verdict.is_storable) {
        drop(w, u->q);
        return false;
    }
    if (!question_fits_record(u->q, &renewal.verdict.vary)) {
        /* The record chose all its variants wrongly. */
        drop(w, question_base(u->q));
        return false;
    }
    return store_is_possible(w, u->q) && replace(w, u, &renewal);
}

bool
head_update(struct worker *w, const struct head_update *u)
{
    MUST_OBJ(u->q, QUESTION_MAGIC);
    MUST_OBJ(u->found, ENTRY_MAGIC);
    MUST(u->q->head->method == METHOD_HEAD);
    switch (update_by_head(
        u->response, entry_fields(u->found), entry_body(u->found).len)) {
    case UPDATE_HEAD_NONE:
        break;
    case UPDATE_HEAD_FRESHEN:
        return freshen(w, u);
    case UPDATE_HEAD_STALE:
        drop(w, u->q);
        break;
    }
    return false;
}
