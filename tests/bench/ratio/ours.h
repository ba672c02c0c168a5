/* The memory tier through its public door, and the entries of a trace. */
#ifndef BENCH_RATIO_OURS_H
#define BENCH_RATIO_OURS_H

#include "trace.h"

/* The bytes of each object's entry. */
void ours_set_sizes(struct trace *trace);

struct ours {
    size_t hits;     /* of all requests */
    size_t counted;  /* of those after the warm-up */
    size_t entries;  /* bytes of entries at the end */
    size_t tables;   /* bytes of all else at the end, which grow with use */
    unsigned rounds; /* replays until the tables were as expected */
};

/*
 * Replays a trace. Memory counts its tables as well as entries, so its size is
 * the budget and the bytes that its tables come to; these are known from a
 * replay before. `shards`: as in struct memory_opts.
 */
void ours_replay(const struct trace *trace, unsigned shards, struct ours *out);

/* Bytes of all memory that so many small entries take, above key, field lines
   and body, for each entry. */
double ours_overhead(uint32_t entries);

#endif
