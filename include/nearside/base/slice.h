/*
 * A slice is a loan: some bytes that belong to somebody else, not
 * NUL-terminated. How long the loan lasts is said where the slice is kept.
 */
#ifndef NEARSIDE_BASE_SLICE_H
#define NEARSIDE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nearside/base/rc.h"

struct slice {
    const char *ptr; /* may be NULL when len is 0 */
    size_t len;      /* bytes */
};

/* A slice of a string literal. */
#define SLICE(lit) ((struct slice){(lit), sizeof(lit) - 1})

/* For printf("%.*s"). */
#define SLICE_FMT(s) (int)(s).len, (s).ptr

static inline struct slice
slice_of(const char *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

static inline struct slice
slice_of_str(const char *str)
{
    return (struct slice){str, str == NULL ? 0 : strlen(str)};
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline char
ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool
slice_starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len &&
           (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* Copies s to a place with room for it; the place behind it. */
static inline char *
slice_put(char *at, struct slice s)
{
    if (s.len > 0) {
        memcpy(at, s.ptr, s.len);
    }
    return at + s.len;
}

/* s without its first n bytes; n beyond the end gives an empty slice. */
static inline struct slice
slice_skip(struct slice s, size_t n)
{
    if (n >= s.len) {
        return (struct slice){s.len == 0 ? s.ptr : s.ptr + s.len, 0};
    }
    return (struct slice){s.ptr + n, s.len - n};
}

/* Equal but for the case of ASCII letters. */
bool slice_ieq(struct slice a, struct slice b);

/* s without spaces and tabs at both ends (OWS, RFC 9110 5.6.3). */
struct slice slice_trim(struct slice s);

/* Index of the first c, or -1. */
ptrdiff_t slice_find(struct slice s, char c);

/*
 * Cuts s at the first sep: *out_first is what stands before it, *rest what
 * stands behind. False when s was empty and done. For "a,b": a, b, false.
 */
bool slice_split(struct slice *rest, char sep, struct slice *out_first);

/* Is item, in any case, a member of the list that commas part? Blanks around a
   member do not count. */
bool slice_lists(struct slice list, struct slice item);

/*
 * Decimal digits only, the whole slice, no sign, no space.
 * RC_BAD: not such a number. RC_LIMIT: digits, but above max.
 */
enum rc slice_to_u64(
    struct slice s, uint64_t max, uint64_t *out_value) RC_MUST_CHECK;

#endif
