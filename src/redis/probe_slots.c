/* The slots of a node that is probed, and a key in one of them. */
#include "redis/probe.h"

#include <stdio.h>

enum {
    /* So many tags are tried. Of a node with a single slot one in 16,384
       fits. */
    TAGS_MAX = 400000,
};

static bool
owns(const struct map *map, const struct node *node, unsigned slot)
{
    uint16_t owner = map->topology->owner[slot];

    MUST(slot < SLOT_COUNT);
    return owner != SLOT_NONE && (node == NULL || map->nodes[owner] == node);
}

void
probing_each_slot(struct probing *pr, const struct node *node,
    void (*fn)(struct trust *trust, uint16_t slot, int64_t ms), int64_t ms)
{
    struct map *map = redis_map_take(pr->redis);

    MUST(fn != NULL);
    for (unsigned slot = 0; map != NULL && slot < SLOT_COUNT; slot++) {
        if (owns(map, node, slot)) {
            fn(pr->redis->trust, (uint16_t)slot, ms);
        }
    }
    redis_map_unref(pr->redis, &map);
}

bool
probe_has_key(const struct probe *p, const struct map *map)
{
    MUST_OBJ(p, PROBE_MAGIC);
    MUST_OBJ(map, MAP_MAGIC);
    return p->tag != 0 &&
           owns(map, p->node, slot_of(slice_of(p->key, p->key_len)));
}

/* The first that fits, behind the last one. */
static void
choose_by(struct probe *p, const struct map *map)
{
    unsigned from = p->tag + 1;

    for (p->tag = from; p->tag < from + TAGS_MAX; p->tag++) {
        int len = snprintf(p->key, sizeof(p->key), "%shb:{%u}",
            p->common->opts.prefix, p->tag);

        MUST(len > 0);
        MUST((size_t)len < sizeof(p->key));
        p->key_len = (size_t)len;
        if (probe_has_key(p, map)) {
            return;
        }
    }
    p->tag = 0;
}

void
probe_choose_key(struct probe *p)
{
    struct map *map = redis_map_take(p->common->redis);

    MUST(!redis_call_is_active(&p->set));
    if (map != NULL) {
        choose_by(p, map);
        p->needs_key = p->tag == 0;
    }
    redis_map_unref(p->common->redis, &map);
}
