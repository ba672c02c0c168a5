/*
 * Traces: which object is asked for, request by request. They are made by a
 * seeded generator, so that the same seed gives the same trace everywhere.
 *
 * A request is of one of three kinds, drawn for each anew. A *popular* object
 * is drawn by Zipf's law: the one of rank r with a weight of r^-0.9. A *scan*
 * asks for new objects, each once, one after another. A *loop* asks for the
 * same objects in turn, again and again.
 */
#ifndef BENCH_RATIO_TRACE_H
#define BENCH_RATIO_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZIPF_EXPONENT 0.9

enum {
    POPULAR_LEN = 100000, /* objects that are drawn by Zipf's law */
    BODY_EQUAL = 1000,    /* bytes; with the rest about 1.1 KB */
};

/* Of a thousand requests so many are of the scan and of the loop; the others
   are drawn. */
struct trace_kind {
    const char *name;
    unsigned scan;
    unsigned scan_run; /* so many of the scan come in a row */
    unsigned loop;
    uint32_t loop_len;
    uint32_t cache;    /* so many objects of mean size fit the cache */
    uint32_t body_min; /* bytes; their logarithms are uniform; 0: all are */
    uint32_t body_max; /* of BODY_EQUAL */
};

/* Ends with one without a name. */
extern const struct trace_kind trace_kinds[];

struct trace {
    uint32_t *objects; /* own; one a request */
    size_t len;
    size_t warm_up;       /* so many requests come before those that count */
    uint32_t objects_len; /* objects are numbers below it */
    uint32_t *body_lens;  /* own; bytes, of each object */
    uint32_t *sizes;      /* own; bytes of each object's entry */
    bool is_equal;        /* all sizes are the same */
    size_t budget;        /* bytes of entries that a cache may hold */
};

/* Sizes are left to whoever makes the entries (ours.h), and the budget with
   them. */
void trace_make(struct trace *trace, const struct trace_kind *kind,
    size_t requests, uint64_t seed);

/* Room for so many objects of mean size; once all sizes are known. */
void trace_set_budget(struct trace *trace, uint32_t cache);

void trace_free(struct trace *trace);

/* As calloc, or the end of the program. */
void *must_calloc(size_t len, size_t size);

#endif
