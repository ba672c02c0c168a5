/* What is known of servers' data, and what follows from an INFO. */
#include "redis/past.h"

#include "redis/info.h"

/* The id of that name; empty: there is none, or it is nobody's (40 zeros). */
static struct slice
id_of(struct slice info, struct slice name)
{
    struct slice id = info_value(info, name);
    bool is_one = false;

    MUST(name.len > 0);
    for (size_t i = 0; i < id.len; i++) {
        is_one |= id.ptr[i] != '0';
    }
    return is_one && id.len == PAST_ID_LEN ? id : slice_of("", 0);
}

void
past_read(struct slice info, int64_t wall_ms, struct past_word *out)
{
    uint64_t up_s = 0;
    uint64_t loaded = 1; /* Redis 6 does not say */

    if (slice_to_u64(info_value(info, SLICE("uptime_in_seconds")), INT32_MAX,
            &up_s) != RC_OK) {
        up_s = 0;
    }
    if (slice_to_u64(info_value(info, SLICE("rdb_last_load_keys_loaded")),
            UINT64_MAX, &loaded) != RC_OK) {
        loaded = 1;
    }
    *out = (struct past_word){
        .run_id = id_of(info, SLICE("run_id")),
        .replid = id_of(info, SLICE("master_replid")),
        .replid2 = id_of(info, SLICE("master_replid2")),
        .is_replica = slice_eq(info_value(info, SLICE("role")), SLICE("slave")),
        .has_aof = slice_eq(info_value(info, SLICE("aof_enabled")), SLICE("1")),
        /* While it loads, it has not counted all. */
        .has_loaded = loaded > 0 ||
                      !slice_eq(info_value(info, SLICE("loading")), SLICE("0")),
        .started_ms = wall_ms - (int64_t)up_s * 1000,
    };
}

static struct past_server *
find(struct past *past, struct slice id)
{
    MUST(past->len <= PAST_SERVERS_MAX);
    for (unsigned i = 0; i < past->len; i++) {
        if (slice_eq(slice_of_str(past->servers[i].id), id)) {
            return &past->servers[i];
        }
    }
    return NULL;
}

/* The place of one that was never heard. */
static struct past_server *
add(struct past *past, struct slice id)
{
    struct past_server *s;

    MUST(id.len < NODE_TEXT_MAX);
    if (past->len < PAST_SERVERS_MAX) {
        s = &past->servers[past->len++];
    } else {
        s = &past->servers[past->next++ % PAST_SERVERS_MAX];
    }
    *s = (struct past_server){0};
    (void)slice_put(s->id, id);
    return s;
}

/*
 * Has it taken over from a primary that we have heard? That one is a primary no
 * more, and its data are not to be known again: they may come back in a
 * snapshot that was made of them.
 */
static bool
is_heir(struct past *past, const struct past_server *s,
    const struct past_word *word)
{
    if (word->replid2.len == 0) {
        return false;
    }
    for (unsigned i = 0; i < past->len; i++) {
        struct past_server *other = &past->servers[i];

        if (other != s &&
            slice_eq(slice_of_str(other->replid), word->replid2)) {
            other->replid[0] = '\0';
            return true;
        }
    }
    return false;
}

/* Has it begun anew from what was its own? Redis names the data of a snapshot
   as those that it has taken over. */
static bool
is_of_its_own(const struct past_server *s, const struct past_word *word)
{
    return word->replid2.len == 0 ||
           slice_eq(slice_of_str(s->replid), word->replid2);
}

static bool
is_another(const char *before, struct slice now)
{
    return now.len > 0 && !slice_eq(slice_of_str(before), now);
}

static void
keep(char *to, struct slice id)
{
    MUST(id.len <= PAST_ID_LEN);
    memset(to, 0, PAST_ID_LEN + 1);
    (void)slice_put(to, id);
}

/* It has begun anew, or has taken over from somebody, or was never heard. */
static void
judge(struct past *past, struct past_server *s, const struct past_word *word,
    int64_t wall_ms, struct past_finding *out)
{
    bool is_known = out->is_first ? !out->is_unknown
                                  : out->is_restart && is_of_its_own(s, word);
    int64_t until_ms;

    out->is_unknown = !is_known;
    if (is_heir(past, s, word) || !word->has_loaded ||
        (is_known && word->has_aof)) {
        return;
    }
    until_ms = (is_known ? word->started_ms : wall_ms) + PAST_MARGIN_MS;
    if (until_ms > s->not_before_ms) {
        s->not_before_ms = until_ms;
    }
}

struct past_finding
past_hear(struct past *past, struct slice id, const struct past_word *word,
    bool is_late, int64_t wall_ms)
{
    struct past_server *s = find(past, id);
    struct past_finding finding = {
        .is_first = s == NULL, .is_unknown = s == NULL && is_late};

    MUST(id.len > 0);
    MUST(!word->is_replica);
    if (word->run_id.len == 0) {
        return (struct past_finding){0};
    }
    s = s == NULL ? add(past, id) : s;
    finding.is_restart =
        !finding.is_first && is_another(s->run_id, word->run_id);
    if (finding.is_first || finding.is_restart ||
        is_another(s->replid2, word->replid2)) {
        judge(past, s, word, wall_ms, &finding);
    }
    keep(s->run_id, word->run_id);
    keep(s->replid, word->replid);
    if (word->replid2.len > 0) {
        keep(s->replid2, word->replid2);
    }
    finding.not_before_ms = s->not_before_ms;
    return finding;
}
