/*
 * The rivals are held against models of another make: rows of objects, the
 * oldest first, that are searched and moved along. Each request must be a hit
 * for both or for neither. The bounds are held against the optimum of small
 * traces, which is found by trying all that a cache could hold.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearside/base/check.h"
#include "nearside/base/hash.h"
#include "bound.h"
#include "rival.h"

enum {
    OBJECTS = 200,
    SIZE_MAX_OF_ONE = 9,
    BUDGET = 150, /* bytes: some thirty objects */
    STEPS = 100000,
    HITS_MIN = STEPS / 10,
    FEW = 9, /* objects of a trace that is solved */
    FEW_STEPS = 300,
    FEW_BUDGET = 9,
    TRACES = 50,
};

struct row {
    uint32_t objects[OBJECTS];
    unsigned len;
};

static uint32_t sizes[OBJECTS];
static unsigned asked[OBJECTS];
static struct row rows[3];

static unsigned
index_of(const struct row *row, uint32_t object)
{
    unsigned i = 0;

    while (i < row->len && row->objects[i] != object) {
        i++;
    }
    return i;
}

static bool
is_in(const struct row *row, uint32_t object)
{
    return index_of(row, object) < row->len;
}

static void
add(struct row *row, uint32_t object)
{
    MUST(row->len < OBJECTS);
    row->objects[row->len++] = object;
}

static uint32_t
take_at(struct row *row, unsigned i)
{
    uint32_t object = row->objects[i];

    MUST(i < row->len);
    row->len--;
    memmove(row->objects + i, row->objects + i + 1,
        (row->len - i) * sizeof(row->objects[0]));
    return object;
}

static size_t
bytes_of(const struct row *row)
{
    size_t sum = 0;

    for (unsigned i = 0; i < row->len; i++) {
        sum += sizes[row->objects[i]];
    }
    return sum;
}

static bool
model_lru(uint32_t object)
{
    struct row *all = &rows[0];
    bool is_hit = is_in(all, object);

    if (is_hit) {
        take_at(all, index_of(all, object));
    }
    while (bytes_of(all) + sizes[object] > BUDGET) {
        take_at(all, 0);
    }
    add(all, object);
    return is_hit;
}

static bool
model_sieve(uint32_t object)
{
    static unsigned hand;
    struct row *all = &rows[0];

    if (is_in(all, object)) {
        asked[object] = 1;
        return true;
    }
    hand = all->len == 0 ? 0 : hand;
    while (bytes_of(all) + sizes[object] > BUDGET) {
        hand = hand == all->len ? 0 : hand;
        while (asked[all->objects[hand]] > 0) {
            asked[all->objects[hand]] = 0;
            hand = (hand + 1) % all->len;
        }
        take_at(all, hand);
    }
    hand = hand == all->len ? 0 : hand;
    asked[object] = 0;
    add(all, object);
    return false;
}

static void
model_s3fifo_evict(struct row *small, struct row *mains, struct row *ghost)
{
    bool is_done = false;
    bool is_small = bytes_of(small) >= BUDGET / 10;

    while (!is_done && (is_small ? small : mains)->len > 0) {
        uint32_t object = take_at(is_small ? small : mains, 0);

        if (!is_small) {
            is_done = asked[object] == 0;
            if (!is_done) {
                asked[object]--;
                add(mains, object);
            }
        } else if (asked[object] > 1) {
            asked[object] = 0;
            add(mains, object);
            while (bytes_of(mains) > BUDGET * 9 / 10 &&
                   asked[mains->objects[0]] > 0) {
                asked[mains->objects[0]]--;
                add(mains, take_at(mains, 0));
            }
            if (bytes_of(mains) > BUDGET * 9 / 10) {
                take_at(mains, 0);
            }
        } else {
            is_done = true;
            add(ghost, object);
            while (bytes_of(ghost) > BUDGET * 9 / 10) {
                take_at(ghost, 0);
            }
        }
    }
}

static bool
model_s3fifo(uint32_t object)
{
    struct row *small = &rows[0];
    struct row *mains = &rows[1];
    struct row *ghost = &rows[2];
    struct row *to = small;

    if (is_in(small, object) || is_in(mains, object)) {
        asked[object] = asked[object] < 3 ? asked[object] + 1 : 3;
        return true;
    }
    while (bytes_of(small) + bytes_of(mains) + sizes[object] > BUDGET) {
        model_s3fifo_evict(small, mains, ghost);
    }
    if (is_in(ghost, object)) {
        take_at(ghost, index_of(ghost, object));
        to = mains;
    }
    asked[object] = 0;
    add(to, object);
    return false;
}

/* The smallest of three: low numbers are popular. */
static uint32_t
draw(struct random *random, uint32_t objects)
{
    uint32_t least = objects;

    for (int i = 0; i < 3; i++) {
        uint32_t n = (uint32_t)random_below(random, objects);

        least = n < least ? n : least;
    }
    return least;
}

static void
check_rival(
    const struct policy *policy, bool (*model)(uint32_t), struct random *random)
{
    struct rival *rival;
    size_t hits = 0;

    memset(rows, 0, sizeof(rows));
    memset(asked, 0, sizeof(asked));
    for (uint32_t i = 0; i < OBJECTS; i++) {
        sizes[i] = 1 + (uint32_t)random_below(random, SIZE_MAX_OF_ONE);
    }
    rival = rival_new(policy, sizes, OBJECTS, BUDGET);
    for (unsigned i = 0; i < STEPS; i++) {
        uint32_t object = draw(random, OBJECTS);
        bool is_hit = model(object);

        MUST(rival_ask(rival, object) == is_hit);
        MUST(rival_bytes(rival) == bytes_of(&rows[0]) + bytes_of(&rows[1]));
        MUST(rival_bytes(rival) <= BUDGET);
        hits += is_hit;
    }
    MUST(hits > HITS_MIN);
    MUST(hits < STEPS - HITS_MIN);
    printf("check %s %zu of %d\n", policy->name, hits, STEPS);
    rival_free(&rival);
}

/* --- the bounds -----------------------------------------------------------
 */

static size_t
bytes_of_set(const struct trace *trace, unsigned set)
{
    size_t sum = 0;

    for (unsigned i = 0; i < FEW; i++) {
        sum += (set >> i & 1) != 0 ? trace->sizes[i] : 0;
    }
    return sum;
}

/* For each set of objects, the most hits of a cache that holds it: it may have
   held one more, or hold what was just asked for. -1: it cannot hold it. */
static size_t
solve(const struct trace *trace)
{
    static int best[1 << FEW], then[1 << FEW];
    int most = 0;

    for (unsigned set = 0; set < 1 << FEW; set++) {
        best[set] = set == 0 ? 0 : -1;
    }
    for (size_t i = 0; i < trace->len; i++) {
        unsigned one = 1U << trace->objects[i];

        for (unsigned set = 0; set < 1 << FEW; set++) {
            then[set] =
                (set & one) != 0 && best[set] >= 0 ? best[set] + 1 : best[set];
            if ((set & one) != 0 && best[set & ~one] > then[set]) {
                then[set] = best[set & ~one];
            }
        }
        for (unsigned set = 1 << FEW; set-- > 0;) {
            best[set] = then[set];
            for (unsigned o = 0; o < FEW; o++) {
                if ((set >> o & 1) == 0 && best[set | 1U << o] > best[set]) {
                    best[set] = best[set | 1U << o];
                }
            }
        }
        /* What just came counts against the budget only if it stays. */
        for (unsigned set = 0; set < 1 << FEW; set++) {
            best[set] =
                bytes_of_set(trace, set) <= trace->budget ? best[set] : -1;
            most = best[set] > most ? best[set] : most;
        }
    }
    return (size_t)most;
}

static void
check_bound(bool is_equal, struct random *random)
{
    uint32_t objects[FEW_STEPS];
    uint32_t own_sizes[FEW];
    struct trace trace = {.objects = objects,
        .len = FEW_STEPS,
        .objects_len = FEW,
        .sizes = own_sizes,
        .is_equal = is_equal,
        .budget = FEW_BUDGET};
    size_t solved, bound;

    for (unsigned i = 0; i < FEW; i++) {
        own_sizes[i] = is_equal ? 3 : 1 + (uint32_t)random_below(random, 5);
    }
    for (unsigned i = 0; i < FEW_STEPS; i++) {
        objects[i] = draw(random, FEW);
    }
    solved = solve(&trace);
    bound = bound_hits(&trace, 0);
    MUST(solved > 0);
    MUST(bound >= solved);
    MUST(!is_equal || bound == solved);
}

void
check_all(uint64_t seed)
{
    struct random random = {.state = seed};

    check_rival(&policies[RIVAL_LRU], model_lru, &random);
    check_rival(&policies[RIVAL_SIEVE], model_sieve, &random);
    check_rival(&policies[RIVAL_S3FIFO], model_s3fifo, &random);
    for (int i = 0; i < TRACES; i++) {
        check_bound(true, &random);
        check_bound(false, &random);
    }
    printf("check bounds %d traces\n", 2 * TRACES);
}
