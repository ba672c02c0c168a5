/* What every fuzzer has: its entry, and bytes at a place of their own. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/base/slice.h"

/* One input. Aborts when it finds a mistake of ours; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly its size, so that a read beyond it is found; to be
   freed. */
static inline char *
fuzz_copy(struct slice s)
{
    char *copy = malloc(s.len + (s.len == 0));

    MUST(copy != NULL);
    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    return copy;
}

/* A place to cut in at, at or behind its middle, that any byte moves. */
static inline size_t
fuzz_cut(struct slice in)
{
    uint32_t h = 2166136261U; /* FNV-1a */

    for (size_t i = 0; i < in.len; i++) {
        h = (h ^ (unsigned char)in.ptr[i]) * 16777619U;
    }
    return in.len < 2 ? 1 : in.len / 2 + h % (in.len - in.len / 2);
}

/* Does s lie within `in`? */
static inline bool
fuzz_is_within(struct slice s, struct slice in)
{
    return s.len == 0 || (s.ptr >= in.ptr && s.ptr + s.len <= in.ptr + in.len);
}

#endif
