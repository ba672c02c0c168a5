/* What no cache of that many bytes can exceed, since it knows no future. */
#ifndef BENCH_RATIO_BOUND_H
#define BENCH_RATIO_BOUND_H

#include "trace.h"

/* Hits among the requests from `from` on; the cache was used before, too. For
   equal sizes the optimum, else a bound above it. */
size_t bound_hits(const struct trace *trace, size_t from);

#endif
