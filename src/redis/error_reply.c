/*
 * Error replies that are no answer: the call goes somewhere else, waits, or
 * is sent again. The budget is its deadline; hops and attempts are counted
 * besides. The functions here say as error_reply_is_dealt_with whether the
 * call goes on.
 */
#include "nearside/base/log.h"
#include "redis/dispatch.h"

enum {
    HOPS_MAX = 5,
    /* From here a redirection waits: two nodes that send us to each other
       during a failover agree sooner or later. */
    HOPS_FREE = 2,
    HOP_PAUSE_MS = 10,
    TRYAGAIN_MS = 10,
    DOWN_MS = 50,
    BACK_OFF_MAX_MS = 1000,
    /* What one command is refused for, all are. */
    AGAIN_MS = 60000,
};

/* Another redirection; false: enough of them. */
static bool
call_hop(struct redis_client *c, struct redis_call *call)
{
    MUST(call_state(call) == CALL_IDLE);
    if (call->impl.hops >= HOPS_MAX) {
        return false;
    }
    call->impl.hops++;
    client_count(c, c->redis->metrics.retries);
    return true;
}

/* Where a redirection leads, for a call that contact has refused. NULL: none
   to follow. */
static struct contact *
redirect_target(struct redis_client *c, struct redis_call *call,
    struct contact *contact, struct slice text)
{
    struct redirect to;

    MUST(contact->client == c);
    MUST_OBJ(c->redis, REDIS_MAGIC);
    if (redirect_parse(text, &to) != RC_OK || to.slot != call->impl.hash_slot ||
        !call_hop(c, call)) {
        return NULL;
    }
    if (to.host.len == 0) {
        to.host = slice_of_str(contact->node->host);
    } else {
        address_map_apply(&c->redis->opts.address_map, &to.host, &to.port);
    }
    return pool_at(c, to.host, to.port);
}

/* It was sent from node to node until its hops or its time were over. Such a
   slot has no owner until the next refresh, so that only one call in a second
   pays for it; and the node has failed, which is answered by a breaker. */
static bool
call_circles(
    struct redis_client *c, struct redis_call *call, struct contact *contact)
{
    MUST(call_state(call) == CALL_IDLE);
    pool_forget(c, call->impl.hash_slot);
    if (node_failed(contact->node, client_now_ms(c))) {
        client_tell_rest(c, contact->node);
    }
    return false;
}

static bool
on_moved(struct redis_client *c, struct redis_call *call,
    struct contact *contact, struct slice text)
{
    bool is_last = call->impl.hops >= HOPS_MAX;
    struct contact *target = redirect_target(c, call, contact, text);

    redis_want_refresh(c->redis, REFRESH_MOVED);
    if (target == NULL) {
        return is_last && call_circles(c, call, contact);
    }
    if (target == contact) {
        /* It sends us to where we are: another server answers to its
           name, perhaps. A new connection looks the name up again. */
        contact_drop(contact, RC_CLOSED);
    }
    redis_see_owner(c->redis, call->impl.hash_slot, target->node, c->loop);
    pool_patch(c, call->impl.hash_slot, target);
    if (call->impl.hops > HOPS_FREE || target == contact) {
        return call_pause(c, call, HOP_PAUSE_MS) ||
               call_circles(c, call, contact);
    }
    call_send_to(c, call, target);
    return true;
}

static bool
on_ask(struct redis_client *c, struct redis_call *call, struct contact *contact,
    struct slice text)
{
    struct contact *target;

    /* What memory has of the slot is from the old owner, which may not be the
       one any more that tells of changes. */
    trust_void_slot(c->redis->trust, call->impl.hash_slot);
    if (call->is_guarded) {
        /* What the importing node has may be left from a migration that was
           given up, and no deletion since has reached it. */
        call_doubt(c, call, trust_moving);
        return true;
    }
    target = redirect_target(c, call, contact, text);
    if (target == NULL) {
        return false;
    }
    call->impl.is_asking = true;
    call->was_asked = true;
    call_send_to(c, call, target);
    return true;
}

/* The script is new to the server: its body, on the same connection. */
static bool
on_noscript(struct redis_client *c, struct redis_call *call,
    struct contact *contact, bool was_asking)
{
    if (!call_use_body(call)) {
        return false;
    }
    call->impl.is_asking = was_asking;
    call_send_to(c, call, contact);
    return true;
}

/* Full jitter over a doubling span. */
static bool
call_back_off(struct redis_client *c, struct redis_call *call, int64_t base_ms)
{
    unsigned shift = call->impl.attempts < 6 ? call->impl.attempts : 6;
    int64_t span_ms = base_ms << shift;

    MUST(base_ms > 1);
    span_ms = span_ms > BACK_OFF_MAX_MS ? BACK_OFF_MAX_MS : span_ms;
    if (!call_pause(c, call, span_ms / 2)) {
        return false;
    }
    if (call->impl.attempts < UINT8_MAX) {
        call->impl.attempts++;
    }
    client_count(c, c->redis->metrics.retries);
    return true;
}

static bool
on_cluster_down(
    struct redis_client *c, struct redis_call *call, struct contact *contact)
{
    redis_want_refresh(c->redis, REFRESH_CLUSTERDOWN);
    node_rest(contact->node, client_now_ms(c));
    return call_back_off(c, call, DOWN_MS);
}

/* A demoted primary: its connection is of no more use to us. */
static bool
on_readonly(
    struct redis_client *c, struct redis_call *call, struct contact *contact)
{
    redis_want_refresh(c->redis, REFRESH_READONLY);
    contact_drop(contact, RC_CLOSED);
    return call_hop(c, call) && call_pause(c, call, HOP_PAUSE_MS);
}

static void
on_denied(struct redis_client *c, struct contact *contact,
    enum redis_error error, struct slice text)
{
    int64_t now_ms = client_now_ms(c);
    char escaped[256];

    if (error != REDIS_ERROR_NOPERM) {
        /* NOPERM may concern one command; the others concern all. */
        node_rest(contact->node, now_ms);
        contact_drop(contact, RC_REFUSED);
    }
    redis_tell_refusal(c->redis, contact->node, text);
    if (contact->denied_ms == 0 || now_ms - contact->denied_ms >= AGAIN_MS) {
        contact->denied_ms = now_ms;
        log_event(c->ring, LOG_LEVEL_WARN, "redis_denied",
            "node=\"%s\" cause=\"%s\" detail=\"%s\"", contact->node->text,
            redis_error_name(error),
            log_escape(text, escaped, sizeof(escaped)));
    }
}

static bool
says(struct slice text, struct slice words)
{
    return memmem(text.ptr, text.len, words.ptr, words.len) != NULL;
}

/* Is it the script that the server minds, or a command in it? Renamed away,
   not in the ACL, no engine for its language. */
static bool
runs_no_scripts(enum redis_error error, struct slice text)
{
    return error == REDIS_ERROR_NOPERM ||
           slice_starts(text, SLICE("ERR unknown command")) ||
           says(text, SLICE("scripting engine")) ||
           says(text, SLICE("can't run this command"));
}

/* A script was answered by an error. */
static void
on_script_error(struct redis_client *c, struct contact *contact,
    enum redis_error error, struct slice text)
{
    bool is_for_good = runs_no_scripts(error, text);
    bool takes_no_writes = error == REDIS_ERROR_OOM ||
                           error == REDIS_ERROR_MISCONF ||
                           error == REDIS_ERROR_NOREPLICAS;
    char escaped[256];

    if ((is_for_good || takes_no_writes) &&
        node_script_failed(contact->node, client_now_ms(c), is_for_good)) {
        log_event(c->ring, LOG_LEVEL_WARN, "redis_no_scripts",
            "node=\"%s\" detail=\"%s\"", contact->node->text,
            log_escape(text, escaped, sizeof(escaped)));
    }
}

bool
error_reply_is_dealt_with(struct redis_client *c, struct redis_call *call,
    struct contact *contact, struct slice text)
{
    enum redis_error error = redis_error_of(text);
    bool was_asking = call->impl.is_asking;

    MUST_OBJ(c, CLIENT_MAGIC);
    MUST_OBJ(contact, CONTACT_MAGIC);
    MUST(call_state(call) == CALL_IDLE);
    call->impl.is_asking = false;
    client_count(c, c->redis->metrics.errors[error]);
    if (call->impl.is_script) {
        on_script_error(c, contact, error, text);
    }
    switch (error) {
    case REDIS_ERROR_MOVED:
        return on_moved(c, call, contact, text);
    case REDIS_ERROR_ASK:
        return on_ask(c, call, contact, text);
    case REDIS_ERROR_TRYAGAIN:
        return call_back_off(c, call, TRYAGAIN_MS);
    case REDIS_ERROR_CLUSTERDOWN:
    case REDIS_ERROR_MASTERDOWN:
        return on_cluster_down(c, call, contact);
    case REDIS_ERROR_READONLY:
        return on_readonly(c, call, contact);
    case REDIS_ERROR_NOSCRIPT:
        return on_noscript(c, call, contact, was_asking);
    case REDIS_ERROR_LOADING:
        node_rest(contact->node, client_now_ms(c));
        return false;
    case REDIS_ERROR_NOAUTH:
    case REDIS_ERROR_WRONGPASS:
    case REDIS_ERROR_DENIED:
    case REDIS_ERROR_NOPERM:
        if (!call->impl.is_script || error != REDIS_ERROR_NOPERM) {
            on_denied(c, contact, error, text);
        }
        return false;
    case REDIS_ERROR_OOM:
    case REDIS_ERROR_MISCONF:
    case REDIS_ERROR_NOREPLICAS:
    case REDIS_ERROR_BUSY:
    case REDIS_ERROR_OTHER:
    case REDIS_ERROR_COUNT:
        return false;
    }
    return false;
}
