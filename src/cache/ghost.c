/*
 * The ghost (ghost.h). When it grows, each set is copied to the two places
 * that its keys may now have: one of the two copies of a fingerprint is never
 * asked for, and is pushed out as others come.
 *
 * A set is as long as a line of the processor's cache. Shorter ones would be
 * worse: chance fills some faster than others, and of eight places a set loses
 * one key in ten long before its time (tests/bench/ratio: 11 % fewer hits in a
 * loop).
 */
#include "ghost.h"

#include <stdlib.h>
#include <string.h>

#include "nearside/base/check.h"

enum {
    SET_LEN = 32,
    SETS_MIN = 2,
    SETS_MAX = 1 << 16, /* as many as the upper half of a hash can name */
};

struct ghost_set {
    uint16_t prints[SET_LEN]; /* the newest first; 0: none */
};

void
ghost_init(struct ghost *g)
{
    *g = (struct ghost){.magic = GHOST_MAGIC};
}

void
ghost_fini(struct ghost *g)
{
    MUST_OBJ(g, GHOST_MAGIC);
    free(g->sets);
    *g = (struct ghost){.magic = 0};
}

void
ghost_grow(struct ghost *g, size_t keys)
{
    MUST_OBJ(g, GHOST_MAGIC);
    while ((size_t)g->sets_len * SET_LEN < keys && g->sets_len < SETS_MAX) {
        unsigned len = g->sets_len == 0 ? SETS_MIN : g->sets_len * 2;
        struct ghost_set *sets = realloc(g->sets, len * sizeof(*sets));

        if (sets == NULL) {
            return;
        }
        if (g->sets_len == 0) {
            memset(sets, 0, len * sizeof(*sets));
        } else {
            memcpy(sets + g->sets_len, sets, g->sets_len * sizeof(*sets));
        }
        g->sets = sets;
        g->sets_len = len;
        MUST((len & (len - 1)) == 0);
    }
}

/* The set is chosen by the upper half of the hash, the fingerprint is its lower
   half. */
static struct ghost_set *
set_of(const struct ghost *g, uint32_t hash)
{
    MUST(g->sets_len > 0);
    return &g->sets[(hash >> 16) & (g->sets_len - 1)];
}

static uint16_t
print_of(uint32_t hash)
{
    uint16_t print = (uint16_t)hash;

    return print == 0 ? 1 : print;
}

/* So many of each set are remembered: in all four fifths of the entries, some
   fewer than the main queue has. More of them bring main what is asked for too
   rarely where memory has one object of a hundred, fewer cost hits where it has
   one of ten (tests/bench/ratio). */
static size_t
share_of_set(const struct ghost *g, size_t entries)
{
    size_t share;

    MUST(g->sets_len > 0);
    share = (entries * 4 / 5 + g->sets_len / 2) / g->sets_len;
    return share == 0 ? 1 : share > SET_LEN ? SET_LEN : share;
}

void
ghost_add(struct ghost *g, uint32_t hash, size_t entries)
{
    struct ghost_set *set;
    size_t share;

    MUST_OBJ(g, GHOST_MAGIC);
    if (g->sets_len == 0) {
        return;
    }
    set = set_of(g, hash);
    share = share_of_set(g, entries);
    memmove(set->prints + 1, set->prints, (share - 1) * sizeof(set->prints[0]));
    memset(set->prints + share, 0, (SET_LEN - share) * sizeof(set->prints[0]));
    set->prints[0] = print_of(hash);
}

bool
ghost_take(struct ghost *g, uint32_t hash)
{
    struct ghost_set *set;
    unsigned i = 0;

    MUST_OBJ(g, GHOST_MAGIC);
    if (g->sets_len == 0) {
        return false;
    }
    set = set_of(g, hash);
    while (i < SET_LEN && set->prints[i] != print_of(hash)) {
        i++;
    }
    if (i == SET_LEN) {
        return false;
    }
    memmove(set->prints + i, set->prints + i + 1,
        (SET_LEN - 1 - i) * sizeof(set->prints[0]));
    set->prints[SET_LEN - 1] = 0;
    return true;
}

size_t
ghost_size(const struct ghost *g)
{
    MUST_OBJ(g, GHOST_MAGIC);
    return g->sets_len * sizeof(struct ghost_set);
}
