/*
 * What a server says of itself, on each new connection and once a while: is it
 * the one that it was, and where has it its data from (past.h)?
 */
#include "redis/probe.h"

#include "nearside/base/log.h"
#include "redis/info.h"

enum {
    /* A server without replicas renames its data after an hour. */
    INFO_EVERY_MS = 30000,
};

void
probe_ask_info(struct probe *p)
{
    static const struct slice info[] = {
        {"INFO", 4}, {"server", 6}, {"persistence", 11}, {"replication", 11}};

    MUST_OBJ(p, PROBE_MAGIC);
    if (!redis_call_is_active(&p->info)) {
        p->informed_ms = probing_now_ms(p->common);
        probe_send(p, &p->info, ARRAY_LEN(info), info);
    }
}

bool
probe_is_info_due(const struct probe *p)
{
    MUST_OBJ(p, PROBE_MAGIC);
    return !p->is_known ||
           probing_now_ms(p->common) - p->informed_ms >= INFO_EVERY_MS;
}

/* ---- snapshots ---------------------------------------------------------- */

static void
warn_of_snapshots(const struct probe *p, const struct redis_reply *reply)
{
    char escaped[128];

    if (reply->type != REDIS_ARRAY || reply->elements_len != 2 ||
        reply->elements[1]->type != REDIS_STRING ||
        reply->elements[1]->len == 0) {
        return; /* forbidden to us, which is fine */
    }
    log_event(p->common->ring, LOG_LEVEL_WARN, "redis_saves_snapshots",
        "node=\"%s\" save=\"%s\" detail=\"a restart brings back what was "
        "deleted since the last one; without an AOF say: save \\\"\\\"\"",
        p->node->text,
        log_escape(slice_of(reply->elements[1]->str, reply->elements[1]->len),
            escaped, sizeof(escaped)));
}

static void
ask_for_save(struct probe *p)
{
    static const struct slice get[] = {{"CONFIG", 6}, {"GET", 3}, {"save", 4}};

    MUST(!redis_call_is_active(&p->save));
    if (!p->common->has_asked_save) {
        p->common->has_asked_save = true;
        probe_send(p, &p->save, ARRAY_LEN(get), get);
    }
}

/* ---- its past ----------------------------------------------------------- */

/* It may have lost deletions, with an AOF too. */
static void
on_restarted(struct probe *p, int64_t wall_ms, bool has_doubtful)
{
    struct probing *pr = p->common;

    MUST_OBJ(p, PROBE_MAGIC);
    probing_each_slot(pr, p->node, trust_note_change, wall_ms);
    probing_each_slot(pr, p->node, trust_renew_slot, probing_now_ms(pr));
    pr->has_news = true;
    log_event(pr->ring, LOG_LEVEL_WARN, "redis_restarted",
        "node=\"%s\" detail=\"%s\"", p->node->text,
        has_doubtful ? "what it has from before is not used any more"
                     : "with its AOF, or without values of before");
}

static void
judge_past(struct probe *p, const struct past_word *word, int64_t wall_ms)
{
    struct probing *pr = p->common;
    struct slice id = slice_of_str(p->id[0] == '\0' ? p->node->text : p->id);
    struct past_finding finding =
        past_hear(&pr->past, id, word, p->is_late, wall_ms);
    bool has_doubtful = finding.not_before_ms > p->not_before_ms;

    MUST_OBJ(p->node, NODE_MAGIC);
    p->not_before_ms = finding.not_before_ms;
    if (has_doubtful) {
        probing_each_slot(
            pr, p->node, trust_refuse_before, finding.not_before_ms);
    }
    if (finding.is_restart) {
        on_restarted(p, wall_ms, has_doubtful);
    } else if (has_doubtful && finding.is_unknown) {
        log_event(pr->ring, LOG_LEVEL_WARN, "redis_unknown_past",
            "node=\"%s\" detail=\"a primary of which is not known where it has "
            "its values from: those from before are not used\"",
            p->node->text);
    }
}

bool
probe_is_put_off(const struct redis_reply *reply)
{
    return reply->type == REDIS_ERROR &&
           redis_error_is_for_now(slice_of(reply->str, reply->len));
}

/* Whoever may not ask knows nothing of it, and trusts. */
static void
tell_info_refused(const struct probe *p)
{
    struct probing *pr = p->common;

    MUST_OBJ(p, PROBE_MAGIC);
    if (!pr->has_told_info) {
        pr->has_told_info = true;
        log_event(pr->ring, LOG_LEVEL_WARN, "redis_info_refused",
            "node=\"%s\" detail=\"a restart from a snapshot will not be "
            "noticed\"",
            p->node->text);
    }
}

static void
on_info(struct probe *p, const struct redis_reply *reply)
{
    struct past_word word;
    struct clock now; /* the turn's may be older than the server's answer */
    int64_t wall_ms;

    MUST_OBJ(p, PROBE_MAGIC);
    if (probe_is_put_off(reply)) {
        return; /* until it tells, it is no more trusted than before */
    }
    p->is_known = reply->type != REDIS_STRING;
    if (p->is_known) {
        tell_info_refused(p);
        return;
    }
    clock_init(&now);
    wall_ms = shared_time_ms(&p->common->redis->time, &now);
    past_read(slice_of(reply->str, reply->len), wall_ms, &word);
    if (!word.has_aof) {
        ask_for_save(p);
    }
    /* A replica has what its primary has, and is judged once it is one. */
    p->is_known = !word.is_replica;
    if (p->is_known) {
        judge_past(p, &word, wall_ms);
    }
}

void
probe_informed(struct probe *p, const struct redis_call *call,
    const struct redis_reply *reply)
{
    MUST_OBJ(p, PROBE_MAGIC);
    if (call == &p->save) {
        warn_of_snapshots(p, reply);
    } else {
        on_info(p, reply);
    }
}
