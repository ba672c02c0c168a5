/* Taking and renewing fetch leases; store.h gives them back. */
#include "nearside/tier/lease.h"

struct lease *
lease_new(struct worker *w, const struct question *q, struct arena *arena)
{
    struct lease *lease = arena_zalloc(arena, sizeof(*lease));
    char *key = arena_alloc(arena, q->entry_key.len);

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->entry_key.len > 0);
    if (lease == NULL || key == NULL) {
        return NULL;
    }
    key_lease_of(q->entry_key, w->conf->prefix, key);
    lease->entry_key = q->entry_key;
    lease->key = slice_of(key, q->entry_key.len);
    lease->token = slice_of(
        lease->token_text, tier_make_token(w->tier, lease->token_text));
    return lease;
}

void
lease_take(
    struct lease *lease, struct worker *w, redis_reply_fn on_reply, void *ctx)
{
    const struct slice argv[] = {SLICE("SET"), lease->key, lease->token,
        SLICE("NX"), SLICE("PX"), LEASE_PX};

    MUST(!redis_call_is_active(&lease->call));
    lease->call = (struct redis_call){
        .on_reply = on_reply, .ctx = ctx, .is_guarded = true};
    redis_send(w->redis, &lease->call, lease->entry_key, ARRAY_LEN(argv), argv);
}

enum lease_state
lease_taken_as(
    const struct lease *lease, enum rc rc, const struct redis_reply *reply)
{
    if (rc != RC_OK) {
        return lease->call.was_sent ? LEASE_UNSURE : LEASE_NONE;
    }
    if (reply->type == REDIS_ERROR) {
        return LEASE_NONE;
    }
    if (reply->type != REDIS_STATUS) {
        return LEASE_TAKEN;
    }
    /* While its slot moves to another node, no script that names entry and
       lease is run: the new owner refuses it for want of the entry. */
    return lease->call.was_asked ? LEASE_UNSURE : LEASE_HELD;
}

void
lease_renew(
    struct lease *lease, struct worker *w, redis_reply_fn on_reply, void *ctx)
{
    const struct slice argv[] = {lease->key, lease->token, LEASE_PX};

    MUST(!redis_call_is_active(&lease->call));
    lease->call = (struct redis_call){.on_reply = on_reply, .ctx = ctx};
    redis_eval(w->redis, &lease->call, &w->tier->scripts->renew, argv, 1,
        ARRAY_LEN(argv));
}
