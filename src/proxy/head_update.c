/*
 * The answer to a HEAD, held against what is stored. Law: what is renewed is
 * the very value that was found before the origin was asked, or nothing: a
 * write that came meanwhile has deleted it, and then it stays deleted.
 */
#include "proxy/head_update.h"

#include "nearside/http/update.h"
#include "proxy/invalidate.h"
#include "proxy/put.h"
#include "proxy/request.h"
#include "proxy/tier.h"
#include "proxy/verdict.h"

static void
drop(struct request *r)
{
    struct invalidation *i = invalidation_start(
        r->worker, &r->q->key, r->q->entry_key, &(struct invalidation_opts){0});

    invalidation_forget(&i);
}

/* Does it vary by what the record says, or by nothing? */
static bool
varies_alike(const struct request *r, const struct policy_verdict *verdict)
{
    return verdict->vary.count == 0 ||
           (r->q->record != NULL && slice_eq(vary_text(&verdict->vary),
                                        entry_vary_names(r->q->record)));
}

static void
replace(struct request *r, const struct renewal *renewal, int64_t now_ms)
{
    const struct encoding encoding = {
        .verdict = &renewal->verdict,
        .status = r->stale->status,
        .key = r->q->key.full,
    };
    struct value value;

    if (encode_renewed(&encoding, renewal, r->stale, &value) != RC_OK) {
        worker_count_limit(r->worker, LIMIT_MEMORY);
        return;
    }
    put_start(r->worker,
        &(struct put_opts){
            .script = &r->worker->tier->scripts->replace,
            .keys = {r->q->entry_key},
            .guard = entry_sum(r->stale),
            .px_ms = renewal->verdict.stale_until_ms - now_ms,
        },
        value);
    r->is_stored = true;
}

static void
freshen(struct request *r, const struct head *response)
{
    struct policy_request as_get = r->q->policy;
    int64_t now_ms = worker_wall_ms(r->worker);
    const struct judging judging = {
        .worker = r->worker,
        .route = r->q->route,
        .request = &as_get,
        .arena = &r->arena,
        .request_ms = now_ms - (r->fetch.head_us - r->fetch.start_us) / 1000,
        .response_ms = now_ms,
    };
    struct renewal renewal;

    as_get.storable.method = METHOD_GET;
    if (!verdict_of_renewed(&judging, r->stale, response, &renewal) ||
        renewal.verdict.is_personal) {
        return;
    }
    if (renewal.verdict.is_storable && varies_alike(r, &renewal.verdict)) {
        replace(r, &renewal, now_ms);
    } else {
        drop(r);
    }
}

void
head_update(struct request *r, const struct head *response)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    MUST(r->stale != NULL);
    switch (
        update_by_head(response, entry_fields(r->stale), r->stale->body_len)) {
    case UPDATE_HEAD_NONE:
        break;
    case UPDATE_HEAD_FRESHEN:
        freshen(r, response);
        break;
    case UPDATE_HEAD_STALE:
        drop(r);
        break;
    }
}
