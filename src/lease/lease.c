/* Taking and renewing fetch leases; release.h gives them back. */
#include "lease/lease_inside.h"

#include "lease/held.h"

static void on_turn_end(void *ctx);

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
    lease->magic = LEASE_MAGIC;
    lease->worker = w;
    lease->entry_key = q->entry_key;
    lease->key = slice_of(key, q->entry_key.len);
    lease->token =
        slice_of(lease->token_text, lease_make_token(w, lease->token_text));
    lease->number = 1 + atomic_fetch_add_explicit(
                            &w->lease->leases->made, 1, memory_order_relaxed);
    lease->watch.hash = q->key.hash;
    loop_task_init(&lease->task, on_turn_end, lease);
    return lease;
}

/* --- with memory alone ------------------------------------------------- */

static void
answer_later(struct lease *lease)
{
    MUST(!lease->is_asked);
    lease->is_asked = true;
    loop_defer(lease->worker->loop, &lease->task);
}

static void
take_alone(struct lease *lease)
{
    struct worker *w = lease->worker;
    bool is_held = held_take(&w->lease->leases->held, lease->watch.hash,
        lease->number, worker_now_ms(w));

    MUST(w->lease->leases->memory != NULL);
    lease->until_ms = worker_now_ms(w) + LEASE_MS;
    lease->watch = memory_watch(w->lease->leases->memory, lease->watch.hash);
    lease->state = is_held ? LEASE_HELD : LEASE_TAKEN;
    answer_later(lease);
}

static void
renew_alone(struct lease *lease)
{
    struct worker *w = lease->worker;

    MUST(w->redis == NULL);
    lease->until_ms = worker_now_ms(w) + LEASE_MS;
    held_renew(&w->lease->leases->held, lease->watch.hash, lease->number,
        worker_now_ms(w));
    answer_later(lease);
}

/* A write to another key that is counted with this one has not ended the lease,
   though it counts as gone: nobody is to wait for it any more. */
static bool
is_gone(const struct lease *lease)
{
    struct worker *w = lease->worker;

    if (!memory_has_changed(w->lease->leases->memory, &lease->watch)) {
        return false;
    }
    held_release(&w->lease->leases->held, lease->watch.hash, lease->number);
    return true;
}

static void
on_turn_end(void *ctx)
{
    struct lease *lease = OBJ_OF(struct lease, ctx, LEASE_MAGIC);

    MUST(lease->is_asked);
    lease->is_asked = false;
    if (lease->on_taken != NULL) {
        lease->on_taken(lease->ctx, lease->state);
    } else {
        lease->held_ms = lease->asked_ms;
        lease->on_renewed(lease->ctx, is_gone(lease));
    }
}

/* --- by Redis ---------------------------------------------------------- */

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

static void
on_set(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct lease *lease = OBJ_OF(struct lease, ctx, LEASE_MAGIC);

    lease->on_taken(lease->ctx, lease_taken_as(lease, rc, reply));
}

static void
on_renewed(void *ctx, enum rc rc, struct redis_reply *reply)
{
    struct lease *lease = OBJ_OF(struct lease, ctx, LEASE_MAGIC);

    bool is_told = rc == RC_OK && reply->type == REDIS_INTEGER;

    if (is_told && reply->integer != 0) {
        lease->held_ms = lease->asked_ms;
    }
    lease->on_renewed(lease->ctx, is_told && reply->integer == 0);
}

/* --- the door ---------------------------------------------------------- */

void
lease_take(struct lease *lease,
    void (*on_taken)(void *ctx, enum lease_state state), void *ctx)
{
    const struct slice argv[] = {SLICE("SET"), lease->key, lease->token,
        SLICE("NX"), SLICE("PX"), LEASE_PX};
    struct worker *w = lease->worker;

    MUST_OBJ(lease, LEASE_MAGIC);
    MUST(!lease_is_asked(lease));
    lease->on_taken = on_taken;
    lease->on_renewed = NULL;
    lease->ctx = ctx;
    if (w->redis == NULL) {
        take_alone(lease);
        return;
    }
    lease->call = (struct redis_call){
        .on_reply = on_set, .ctx = lease, .is_guarded = true};
    redis_send(w->redis, &lease->call, lease->entry_key, ARRAY_LEN(argv), argv);
}

void
lease_renew(
    struct lease *lease, void (*on_renewal)(void *ctx, bool is_gone), void *ctx)
{
    const struct slice argv[] = {lease->key, lease->token, LEASE_PX};
    struct worker *w = lease->worker;

    MUST_OBJ(lease, LEASE_MAGIC);
    MUST(!lease_is_asked(lease));
    lease->on_taken = NULL;
    lease->on_renewed = on_renewal;
    lease->ctx = ctx;
    lease->asked_ms = worker_now_ms(w);
    if (w->redis == NULL) {
        renew_alone(lease);
        return;
    }
    lease->call = (struct redis_call){.on_reply = on_renewed, .ctx = lease};
    redis_eval(w->redis, &lease->call, &w->lease->scripts->renew, argv, 1,
        ARRAY_LEN(argv));
}

void
lease_end(struct worker *w, uint64_t hash, const struct lease *but_own)
{
    MUST(w->redis == NULL);
    held_end(
        &w->lease->leases->held, hash, but_own == NULL ? 0 : but_own->number);
}

bool
lease_is_asked(const struct lease *lease)
{
    MUST_OBJ(lease, LEASE_MAGIC);
    return lease->is_asked || redis_call_is_active(&lease->call);
}

void
lease_cancel(struct lease *lease)
{
    MUST_OBJ(lease, LEASE_MAGIC);
    redis_call_cancel(&lease->call);
    loop_task_cancel(&lease->task);
    lease->is_asked = false;
}
