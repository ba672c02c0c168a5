/*
 * What nodes say together is looked at where it is settled, once for all
 * workers. Hosts and ports were checked when they were read; ids were not.
 */
#include "redis/words.h"

#include <stdio.h>

#include "nearside/base/hash.h"
#include "nearside/base/log.h"

enum {
    TEXT_MAX = 256,
};

static void
tell_missing(struct words *w, const struct topology *t)
{
    unsigned missing = SLOT_COUNT - t->covered;

    MUST(t->covered <= SLOT_COUNT);
    if (missing > 0 && missing != w->missing) {
        log_event(w->ring, LOG_LEVEL_WARN, "redis_slots_uncovered",
            "slots=\"%u\" share=\"%.1f%%\" detail=\"no node owns them: "
            "what belongs there is not cached; see 'redis-cli --cluster "
            "fix'\"",
            missing, 100.0 * missing / SLOT_COUNT);
    }
    w->missing = missing;
}

static uint64_t
hash_of(struct slice text)
{
    static const struct hash_key key = {0};

    return hash_keyed(&key, text);
}

static bool
is_news(struct words *w, struct slice who, struct slice what)
{
    struct told now = {.who = hash_of(who), .what = hash_of(what)};

    for (unsigned i = 0; i < WORDS_TOLD_MAX; i++) {
        if (w->told[i].who == now.who && w->told[i].what == now.what) {
            return false;
        }
    }
    w->told[w->told_next++ % WORDS_TOLD_MAX] = now;
    return true;
}

/* It is as it should be: what was told is told again when it comes again. */
static void
forget(struct words *w, struct slice who)
{
    uint64_t hash = hash_of(who);

    MUST(who.len > 0);
    for (unsigned i = 0; i < WORDS_TOLD_MAX; i++) {
        if (w->told[i].who == hash) {
            w->told[i] = (struct told){0};
        }
    }
}

static void
tell_dispute(struct words *w, const struct topology_node *node)
{
    char text[3 * TEXT_MAX];
    char id[2 * NODE_ID_LEN];
    int len = snprintf(text, sizeof(text),
        "id=\"%s\" used=\"%.255s:%u\" other=\"%.255s:%u\"",
        log_escape(slice_of_str(node->id), id, sizeof(id)), node->host,
        node->port, node->other_host, node->other_port);

    MUST(len > 0 && (size_t)len < sizeof(text));
    if (is_news(w, slice_of_str(node->id), slice_of(text, (size_t)len))) {
        log_event(w->ring, LOG_LEVEL_WARN, "redis_two_addresses",
            "%s detail=\"nodes of the cluster have this one at two addresses, "
            "as after it was started elsewhere; send it CLUSTER MEET of any "
            "other node, or set its cluster-announce-ip\"",
            text);
    }
}

void
words_settled(struct words *w, const struct topology *t)
{
    MUST_OBJ(t, TOPOLOGY_MAGIC);
    tell_missing(w, t);
    for (unsigned i = 0; i < t->nodes_len; i++) {
        if (t->nodes[i].other_port != 0) {
            tell_dispute(w, &t->nodes[i]);
        } else if (t->nodes[i].id[0] != '\0') {
            forget(w, slice_of_str(t->nodes[i].id));
        }
    }
}

void
words_foreign(struct words *w, const struct node *node)
{
    MUST_OBJ(node, NODE_MAGIC);
    if (is_news(w, slice_of_str(node->text), SLICE("foreign"))) {
        log_event(w->ring, LOG_LEVEL_WARN, "redis_two_clusters",
            "node=\"%s\" detail=\"it knows no node of the cluster that is "
            "used: the seeds belong to two clusters, and this one is left "
            "out\"",
            node->text);
    }
}

void
words_kin(struct words *w, const struct node *node)
{
    MUST_OBJ(node, NODE_MAGIC);
    forget(w, slice_of_str(node->text));
}

/* "10.0.0.1:6379, 10.0.0.2:6379, and 4 more" */
static void
list_nodes(const struct map *map, char text[TEXT_MAX])
{
    unsigned len = map->topology->nodes_len;
    size_t at = 0;

    MUST_OBJ(map->topology, TOPOLOGY_MAGIC);
    text[0] = '\0';
    for (unsigned i = 0; i < len; i++) {
        const char *node = map->nodes[i]->text;
        bool fits = i < 3 && at + strlen(node) + 20 < TEXT_MAX;

        at += (size_t)snprintf(text + at, TEXT_MAX - at,
            fits ? "%s%s" : "%sand %.0s%u more", i > 0 ? ", " : "", node,
            len - i);
        if (!fits) {
            return;
        }
    }
}

void
words_in_use(struct words *w, const struct map *map, const struct node *asked)
{
    bool is_down = false;
    char nodes[TEXT_MAX];

    MUST_OBJ(map, MAP_MAGIC);
    for (unsigned i = 0; i < map->topology->nodes_len; i++) {
        if (atomic_load(&map->nodes[i]->is_heard)) {
            w->has_told_unreachable = false;
            return;
        }
        is_down |= atomic_load(&map->nodes[i]->is_down);
    }
    if (!is_down || asked == NULL || w->has_told_unreachable) {
        return;
    }
    w->has_told_unreachable = true;
    list_nodes(map, nodes);
    log_event(w->ring, LOG_LEVEL_WARN, "redis_unreachable_addresses",
        "announced=\"%s\" answers=\"%s\" detail=\"the seed answers, and no "
        "address that the cluster announces does: nothing is cached; set "
        "cluster-announce-ip or cluster-announce-hostname of its nodes, or "
        "address_map here\"",
        nodes, asked->text);
}
