/*
 * Claims. A POST that may be stored takes the lease of its target first, as
 * a fetch does, and its answer is stored by the same script: only while the
 * token holds. A write that comes meanwhile deletes the lease, and with it
 * the claim. It is not renewed: what takes longer than LEASE_MS is delivered
 * and not stored. Who cannot have the lease, since somebody fetches, goes on
 * without: then nothing is stored either.
 */
#include "proxy/claim.h"

#include <stdio.h>

#include "nearside/cache/key.h"
#include "proxy/put.h"
#include "proxy/request.h"
#include "proxy/tier.h"
#include "proxy/verdict.h"

struct claim {
    char token[TOKEN_MAX];
    struct slice guard; /* the token */
    struct slice lease_key;
    struct slice argv[6];
    char px[12];
    bool is_held;
    bool is_storable;
    unsigned status;
    int64_t request_ms;
    struct policy_verdict verdict;
};

bool
claim_is_due(const struct request *r)
{
    return r->q->reads->stores_post && r->q->head->method == METHOD_POST &&
           r->worker->redis != NULL && question_is_sent_as_get(r->q);
}

static void
on_claimed(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct request *r = OBJ_OF(struct request, ctx, REQUEST_MAGIC);

    r->claim->is_held = rc == RC_OK && reply->type == REDIS_STATUS;
    r->claim->request_ms = worker_wall_ms(r->worker);
    request_run(r, &step_forward);
}

static const struct step *
run_claim(struct request *r)
{
    struct claim *claim = arena_zalloc(&r->arena, sizeof(*claim));
    char *lease = arena_alloc(&r->arena, r->q->entry_key.len);

    if (claim == NULL || lease == NULL) {
        return &step_forward;
    }
    key_lease_of(r->q->entry_key, r->q->conf->prefix, lease);
    claim->lease_key = slice_of(lease, r->q->entry_key.len);
    claim->guard =
        slice_of(claim->token, tier_make_token(r->worker->tier, claim->token));
    snprintf(claim->px, sizeof(claim->px), "%d", LEASE_MS);
    claim->argv[0] = SLICE("SET");
    claim->argv[1] = claim->lease_key;
    claim->argv[2] = claim->guard;
    claim->argv[3] = SLICE("NX");
    claim->argv[4] = SLICE("PX");
    claim->argv[5] = slice_of_str(claim->px);
    claim->is_held = true; /* until the reply says that it is not */
    r->claim = claim;
    r->call = (struct redis_call){.on_reply = on_claimed, .ctx = r};
    redis_send(r->worker->redis, &r->call, r->q->entry_key, 6, claim->argv);
    return NULL;
}

/* The POST as what a GET of its target would be, but for the method. */
static void
read_policy(struct request *r, struct policy_request *out)
{
    policy_read(r->q->reads, r->q->head, false, out);
    out->storable.method = METHOD_POST;
    out->storable.scheme = r->q->client.scheme;
    out->storable.target = r->q->target;
}

struct fetch_plan
claim_on_head(struct request *r, const struct head *response)
{
    struct claim *claim = r->claim;
    struct policy_request policy;
    struct judging judging = {
        .worker = r->worker,
        .route = r->q->reads,
        .request = &policy,
        .arena = &r->arena,
    };

    if (claim == NULL || !claim->is_held) {
        return (struct fetch_plan){0};
    }
    read_policy(r, &policy);
    judging.request_ms = claim->request_ms;
    judging.response_ms = worker_wall_ms(r->worker);
    verdict_of_response(&judging, response, &claim->verdict);
    /* A variant would need a record; a POST's fields choose none for GETs. */
    claim->is_storable =
        claim->verdict.is_storable && claim->verdict.vary.count == 0;
    claim->status = response->status;
    r->is_stored = claim->is_storable;
    return (struct fetch_plan){
        .is_kept = claim->is_storable,
        .drops_set_cookie =
            claim->is_storable && claim->verdict.drops_set_cookie,
    };
}

static bool
is_to_be_stored(const struct request *r)
{
    return r->claim != NULL && r->claim->is_storable;
}

struct slice
claim_token(const struct request *r)
{
    return is_to_be_stored(r) ? r->claim->guard : slice_of(NULL, 0);
}

void
claim_on_end(struct request *r, enum fill_state state)
{
    struct claim *claim = r->claim;
    int64_t now_ms = worker_wall_ms(r->worker);
    struct encoding encoding = {.key = r->q->key.full};
    struct value value;
    int64_t px_ms;

    if (!is_to_be_stored(r) || state != FILL_COMPLETE) {
        return;
    }
    px_ms = claim->verdict.stale_until_ms - now_ms;
    encoding.verdict = &claim->verdict;
    encoding.status = claim->status;
    if (px_ms <= 0 || encode_fill(&encoding, r->fetch.fill, &value) != RC_OK) {
        return;
    }
    claim->is_held = false; /* the script gives it back */
    put_start(r->worker,
        &(struct put_opts){
            .script = &r->worker->tier->scripts->fill,
            .keys = {r->q->entry_key, claim->lease_key},
            .guard = claim->guard,
            .px_ms = px_ms,
        },
        value);
}

void
claim_drop(struct request *r)
{
    struct claim *claim = r->claim;

    r->claim = NULL;
    if (claim == NULL || !claim->is_held) {
        return;
    }
    put_start(r->worker,
        &(struct put_opts){
            .script = &r->worker->tier->scripts->release,
            .keys = {claim->lease_key},
            .guard = claim->guard,
        },
        (struct value){NULL, 0});
}

const struct step step_claim = {"claim", run_claim};
