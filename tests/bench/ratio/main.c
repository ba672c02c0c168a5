/*
 * Hit ratios: the memory tier against other ways to choose what a cache keeps,
 * on the same traces, with the same bytes of entries (tests/bench/README.md).
 *
 *     cmake --build build-tests --target bench-hit-ratio
 *     build-tests/bench/bench-hit-ratio
 *
 * --check only asks whether the rivals are right, in a few seconds.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearside/base/check.h"
#include "bound.h"
#include "check.h"
#include "ours.h"
#include "rival.h"

enum {
    SEEDS_MAX = 16,
    REQUESTS = 1200000, /* a sixth is the warm-up */
    OVERHEAD_ENTRIES = 100000,
};

/* Columns: the rivals, and two more. */
enum {
    OURS = RIVALS,
    BOUND,
    COLUMNS,
};

struct options {
    unsigned seeds;
    size_t requests;
    unsigned shards;
    const char *only; /* NULL: all traces */
    bool is_check;
};

/* In percent, of each seed. */
struct row {
    double ratios[COLUMNS][SEEDS_MAX];
    double filled; /* ours: of the bytes that it may hold, at the end */
};

static const char *
column_name(unsigned column)
{
    return column < RIVALS  ? policies[column].name
           : column == OURS ? "ours"
                            : "bound";
}

static void
replay_rival(const struct policy *policy, const struct trace *trace,
    size_t *out_hits, size_t *out_counted)
{
    struct rival *rival =
        rival_new(policy, trace->sizes, trace->objects_len, trace->budget);

    *out_hits = 0;
    *out_counted = 0;
    for (size_t i = 0; i < trace->len; i++) {
        bool is_hit = rival_ask(rival, trace->objects[i]);

        *out_hits += is_hit;
        *out_counted += is_hit && i >= trace->warm_up;
    }
    MUST(rival_bytes(rival) <= trace->budget);
    rival_free(&rival);
}

static void
run_trace(const struct trace *trace, const struct options *options,
    unsigned seed, struct row *row)
{
    double counted_len = (double)(trace->len - trace->warm_up);
    size_t bound = bound_hits(trace, 0);
    struct ours ours;

    for (unsigned i = 0; i < RIVALS; i++) {
        size_t hits, counted;

        replay_rival(&policies[i], trace, &hits, &counted);
        MUST(hits <= bound);
        row->ratios[i][seed] = 100 * (double)counted / counted_len;
    }
    ours_replay(trace, options->shards, &ours);
    MUST(ours.hits <= bound);
    MUST(ours.entries <= trace->budget);
    row->ratios[OURS][seed] = 100 * (double)ours.counted / counted_len;
    row->filled = 100 * (double)ours.entries / (double)trace->budget;
    row->ratios[BOUND][seed] =
        100 * (double)bound_hits(trace, trace->warm_up) / counted_len;
}

static void
run_kind(const struct trace_kind *kind, const struct options *options,
    struct row *row)
{
    for (unsigned seed = 0; seed < options->seeds; seed++) {
        struct trace trace;

        trace_make(&trace, kind, options->requests, seed + 1);
        ours_set_sizes(&trace);
        trace_set_budget(&trace, kind->cache);
        run_trace(&trace, options, seed, row);
        trace_free(&trace);
    }
}

/* --- what is printed ------------------------------------------------------
 */

static double
mean_of(const double *values, unsigned len)
{
    double sum = 0;

    for (unsigned i = 0; i < len; i++) {
        sum += values[i];
    }
    return sum / len;
}

static double
spread_of(const double *values, unsigned len)
{
    double low = values[0];
    double high = values[0];

    for (unsigned i = 1; i < len; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    return high - low;
}

static void
print_head(const struct options *options)
{
    printf("# hit ratio in %%: mean of the seeds 1 to %u, and their spread"
           " (highest less lowest)\n",
        options->seeds);
    printf("# %zu requests of a seed, the first sixth not counted\n",
        options->requests);
    printf("%-20s", "trace");
    for (unsigned i = 0; i < COLUMNS; i++) {
        printf(" %13s", column_name(i));
    }
    printf(" %13s\n", "ours-s3fifo");
}

static void
print_cell(const double *values, unsigned seeds)
{
    printf(" %7.2f ~%4.2f", mean_of(values, seeds), spread_of(values, seeds));
}

static void
print_row(const char *name, const struct row *row, unsigned seeds)
{
    double ahead[SEEDS_MAX];

    printf("%-20s", name);
    for (unsigned i = 0; i < COLUMNS; i++) {
        print_cell(row->ratios[i], seeds);
    }
    for (unsigned i = 0; i < seeds; i++) {
        ahead[i] = row->ratios[OURS][i] - row->ratios[RIVAL_S3FIFO][i];
    }
    print_cell(ahead, seeds);
    printf("\n");
    fflush(stdout);
}

/* One line, for programs. */
static void
print_json(const char *name, const struct row *row, unsigned seeds)
{
    printf("{\"trace\": \"%s\"", name);
    for (unsigned i = 0; i < COLUMNS; i++) {
        printf(", \"%s\": [", column_name(i));
        for (unsigned k = 0; k < seeds; k++) {
            printf("%s%.4f", k == 0 ? "" : ", ", row->ratios[i][k]);
        }
        printf("]");
    }
    printf(", \"ours_filled\": %.2f}\n", row->filled);
}

static void
run_all(const struct options *options)
{
    static struct row rows[32];

    print_head(options);
    for (unsigned pass = 0; pass < 2; pass++) {
        const struct trace_kind *kind = trace_kinds;

        for (struct row *row = rows; kind->name != NULL; kind++, row++) {
            if (options->only != NULL &&
                strcmp(options->only, kind->name) != 0) {
                continue;
            }
            if (pass == 0) {
                run_kind(kind, options, row);
                print_row(kind->name, row, options->seeds);
            } else {
                print_json(kind->name, row, options->seeds);
            }
        }
    }
    printf("memory_overhead %.1f\n", ours_overhead(OVERHEAD_ENTRIES));
}

/* --- the command line -----------------------------------------------------
 */

_Noreturn static void
usage(void)
{
    fprintf(stderr,
        "usage: bench-hit-ratio [--check] [--seeds N] [--requests N]"
        " [--shards N] [--trace NAME]\n");
    exit(2);
}

static size_t
number_of(const char *text, size_t min, size_t max)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);

    if (end == text || *end != '\0' || n < min || n > max) {
        usage();
    }
    return (size_t)n;
}

static struct options
read_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"check", no_argument, NULL, 'c'},
        {"seeds", required_argument, NULL, 's'},
        {"requests", required_argument, NULL, 'r'},
        {"shards", required_argument, NULL, 'h'},
        {"trace", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.seeds = 5, .requests = REQUESTS};
    int which;

    while ((which = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (which == 'c') {
            options.is_check = true;
        } else if (which == 's') {
            options.seeds = (unsigned)number_of(optarg, 1, SEEDS_MAX);
        } else if (which == 'r') {
            options.requests = number_of(optarg, 1000, 1 << 30);
        } else if (which == 'h') {
            options.shards = (unsigned)number_of(optarg, 0, 256);
        } else if (which == 't') {
            options.only = optarg;
        } else {
            usage();
        }
    }
    if (optind != argc) {
        usage();
    }
    return options;
}

int
main(int argc, char **argv)
{
    struct options options = read_options(argc, argv);

    check_all(1);
    if (!options.is_check) {
        run_all(&options);
    }
    return 0;
}
