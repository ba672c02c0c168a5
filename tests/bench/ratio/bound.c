/*
 * Bounds (bound.h).
 *
 * Where all are of one size, the optimum lets go whatever is next asked for the
 * latest (Belady, 1966), and that may be the one that has just come.
 *
 * Else the optimum is too hard to find. But a hit costs a cache the bytes of
 * the object for as long as nobody asks for it, and all hits together cannot
 * cost more than the cache has bytes in all that time. So the cheapest hits
 * that it can pay for are at least as many as there can be (Berger, Beckmann
 * and Harchol-Balter, SIGMETRICS 2018: PFOO-L).
 */
#include "bound.h"

#include <stdlib.h>

#include "nearside/base/check.h"

#define NEVER UINT32_MAX

/* For each request, when its object is asked for again. */
static uint32_t *
find_next(const struct trace *trace)
{
    uint32_t *next = must_calloc(trace->len, sizeof(*next));
    uint32_t *last = must_calloc(trace->objects_len, sizeof(*last));

    MUST(trace->len < NEVER);
    for (uint32_t i = 0; i < trace->objects_len; i++) {
        last[i] = NEVER;
    }
    for (size_t i = trace->len; i-- > 0;) {
        next[i] = last[trace->objects[i]];
        last[trace->objects[i]] = (uint32_t)i;
    }
    free(last);
    return next;
}

/* --- equal sizes ----------------------------------------------------------
 */

/* The latest is at the top. Those that were asked for meanwhile are not looked
   for: they lie in the past, below all others. */
struct heap {
    uint32_t *times; /* own */
    size_t len;
};

static void
swap(uint32_t *a, uint32_t *b)
{
    uint32_t t = *a;

    *a = *b;
    *b = t;
}

static void
heap_push(struct heap *heap, uint32_t time)
{
    size_t i = heap->len++;

    heap->times[i] = time;
    while (i > 0 && heap->times[(i - 1) / 2] < heap->times[i]) {
        swap(&heap->times[(i - 1) / 2], &heap->times[i]);
        i = (i - 1) / 2;
    }
}

static uint32_t
heap_pop(struct heap *heap)
{
    uint32_t top = heap->times[0];
    size_t i = 0;

    MUST(heap->len > 0);
    heap->times[0] = heap->times[--heap->len];
    for (;;) {
        size_t child = 2 * i + 1;

        if (child + 1 < heap->len &&
            heap->times[child + 1] > heap->times[child]) {
            child++;
        }
        if (child >= heap->len || heap->times[child] <= heap->times[i]) {
            return top;
        }
        swap(&heap->times[child], &heap->times[i]);
        i = child;
    }
}

static size_t
belady(const struct trace *trace, const uint32_t *next, size_t from)
{
    struct heap heap = {.times = must_calloc(trace->len, sizeof(*heap.times))};
    bool *is_kept = must_calloc(trace->objects_len, sizeof(*is_kept));
    size_t room = trace->budget / trace->sizes[0];
    size_t hits = 0;

    for (size_t i = 0; i < trace->len; i++) {
        bool *is_mine = &is_kept[trace->objects[i]];

        hits += *is_mine && i >= from;
        room += *is_mine;
        *is_mine = next[i] != NEVER;
        if (!*is_mine) {
            continue;
        }
        heap_push(&heap, next[i]);
        if (room == 0) {
            is_kept[trace->objects[heap_pop(&heap)]] = false;
        } else {
            room--;
        }
    }
    free(heap.times);
    free(is_kept);
    return hits;
}

/* --- other sizes ----------------------------------------------------------
 */

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static size_t
affordable(const struct trace *trace, const uint32_t *next, size_t from)
{
    double *costs = must_calloc(trace->len, sizeof(*costs));
    double left = (double)trace->budget * (double)(trace->len - from);
    size_t len = 0;
    size_t hits = 0;

    for (size_t i = 0; i < trace->len; i++) {
        if (next[i] != NEVER && next[i] >= from) {
            costs[len++] = (double)trace->sizes[trace->objects[i]] *
                           (double)(next[i] - (i > from ? i : from));
        }
    }
    qsort(costs, len, sizeof(*costs), compare);
    while (hits < len && costs[hits] <= left) {
        left -= costs[hits++];
    }
    free(costs);
    return hits;
}

size_t
bound_hits(const struct trace *trace, size_t from)
{
    uint32_t *next = find_next(trace);
    size_t hits = trace->is_equal ? belady(trace, next, from)
                                  : affordable(trace, next, from);

    free(next);
    return hits;
}
