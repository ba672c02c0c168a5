/* What is known of servers' data, and what follows from an INFO. */
#include "redis/past.h"

#include "redis/info.h"

/* An id of 40 characters; empty: it is none. */
static struct slice
id_of(struct slice info, struct slice name)
{
    struct slice id = info_value(info, name);

    MUST(name.len > 0);
    return id.len == PAST_ID_LEN ? id : slice_of("", 0);
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
        .data = id_of(info, SLICE("master_replid")),
        .origin = id_of(info, SLICE("master_replid2")),
        .is_replica = slice_eq(info_value(info, SLICE("role")), SLICE("slave")),
        .has_aof = slice_eq(info_value(info, SLICE("aof_enabled")), SLICE("1")),
        .has_loaded = loaded > 0,
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
    if (word->origin.len == 0) {
        return false;
    }
    for (unsigned i = 0; i < past->len; i++) {
        struct past_server *other = &past->servers[i];

        if (other != s && slice_eq(slice_of_str(other->data), word->origin)) {
            other->data[0] = '\0';
            return true;
        }
    }
    return false;
}

/* What it had at that time may be from a snapshot; 0: nothing of it is. */
static int64_t
doubtful_until(struct past *past, const struct past_server *s,
    const struct past_word *word, bool is_unknown, int64_t wall_ms)
{
    MUST(word->run_id.len > 0);
    if (is_heir(past, s, word) || word->has_aof || !word->has_loaded) {
        return 0;
    }
    return (is_unknown ? wall_ms : word->started_ms) + PAST_MARGIN_MS;
}

struct past_finding
past_hear(struct past *past, struct slice id, const struct past_word *word,
    bool is_late, int64_t wall_ms)
{
    struct past_server *s = find(past, id);
    bool is_first = s == NULL;
    struct past_finding finding = {0};
    int64_t until_ms;

    MUST(id.len > 0);
    MUST(!word->is_replica);
    if (word->run_id.len == 0) {
        return finding;
    }
    s = is_first ? add(past, id) : s;
    if (!slice_eq(slice_of_str(s->run_id), word->run_id)) {
        until_ms = doubtful_until(past, s, word, is_first && is_late, wall_ms);
        if (until_ms > s->not_before_ms) {
            s->not_before_ms = until_ms;
        }
        finding.is_restart = !is_first;
        (void)slice_put(s->run_id, word->run_id);
    }
    memset(s->data, 0, sizeof(s->data));
    (void)slice_put(s->data, word->data);
    finding.not_before_ms = s->not_before_ms;
    return finding;
}
