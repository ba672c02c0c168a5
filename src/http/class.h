/*
 * What a byte may be part of, as one table of bits, and the scanners that
 * run over bytes of one class. They are inline: the parser spends its time
 * here.
 */
#ifndef HTTP_CLASS_H
#define HTTP_CLASS_H

#include <endian.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "nearside/base/slice.h"

enum {
    CLASS_TOKEN = 1,   /* tchar, RFC 9110 5.6.2 */
    CLASS_NAME = 2,    /* tchar but '_' */
    CLASS_TARGET = 4,  /* stands in a request target and may be passed over:
                          '%' and '.' are looked at in their company */
    CLASS_VALUE = 8,   /* field-vchar, SP, HTAB; RFC 9110 5.5 */
    CLASS_HEX = 16,    /* HEXDIG of either case */
    CLASS_HOST = 32,   /* unreserved, RFC 3986 2.3 */
    CLASS_QUOTED = 64, /* qdtext, RFC 9110 5.6.4 */
    CLASS_QUERY = 128, /* stands in a target too, but in its query alone */
};

extern const uint8_t byte_class[256] __attribute__((visibility("hidden")));

static inline bool
byte_is(char c, unsigned wanted)
{
    return (byte_class[(unsigned char)c] & wanted) != 0;
}

/* The first byte from at on that is not of the class, or end. */
static inline const char *
skip_class(const char *at, const char *end, unsigned wanted)
{
    for (; end - at >= 4; at += 4) {
        if (!byte_is(at[0], wanted)) {
            return at;
        }
        if (!byte_is(at[1], wanted)) {
            return at + 1;
        }
        if (!byte_is(at[2], wanted)) {
            return at + 2;
        }
        if (!byte_is(at[3], wanted)) {
            return at + 3;
        }
    }
    while (at < end && byte_is(*at, wanted)) {
        at++;
    }
    return at;
}

static inline const char *
skip_ows(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    return at;
}

#define ONES UINT64_C(0x0101010101010101)

/*
 * Marks the bytes below 0x20 and 0x7f by their top bit. A borrow can mark a
 * byte wrongly only above one that is marked rightly, so the lowest mark is
 * true.
 */
static inline uint64_t
control_marks(uint64_t word)
{
    uint64_t low = (word - ONES * 0x20) & ~word;
    uint64_t flip = word ^ (ONES * 0x7f);
    uint64_t del = (flip - ONES) & ~flip;

    return (low | del) & (ONES * 0x80);
}

/*
 * How many bytes at `at` stand before the first control byte: 0 to step,
 * the number of bytes looked at. All of them are there to be read.
 */
#ifdef __SSE2__
enum {
    VALUE_STEP = 16,
};

static inline unsigned
value_run(const char *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i low =
        _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    unsigned marks = (unsigned)_mm_movemask_epi8(_mm_or_si128(low, del));

    return (unsigned)__builtin_ctz(marks | 1U << VALUE_STEP);
}
#else
enum {
    VALUE_STEP = 8,
};

static inline unsigned
value_run(const char *at)
{
    uint64_t word, marks;

    memcpy(&word, at, sizeof(word));
    marks = control_marks(le64toh(word));
    return marks == 0 ? VALUE_STEP : (unsigned)__builtin_ctzll(marks) / 8;
}
#endif

/* As skip_class for CLASS_VALUE, in large steps: values are most of a head. */
static inline const char *
skip_value(const char *at, const char *end)
{
    while (end - at >= VALUE_STEP) {
        unsigned run = value_run(at);
        at += run;
        if (run == VALUE_STEP) {
            continue;
        }
        if (*at != '\t') {
            return at;
        }
        at++;
    }
    return skip_class(at, end, CLASS_VALUE);
}

/*
 * The first ':' from at on, looked for in whole words of eight bytes. NULL:
 * none there, or in the bytes before end that make no word.
 */
static inline const char *
find_colon(const char *at, const char *end)
{
    uint64_t word, flip, marks;

#ifdef __SSE2__
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        int found =
            _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(':')));
        if (found != 0) {
            return at + __builtin_ctz((unsigned)found);
        }
    }
#endif
    for (; end - at >= 8; at += 8) {
        memcpy(&word, at, sizeof(word));
        flip = le64toh(word) ^ (ONES * ':');
        marks = (flip - ONES) & ~flip & (ONES * 0x80);
        if (marks != 0) {
            return at + __builtin_ctzll(marks) / 8;
        }
    }
    return NULL;
}

static inline bool
slice_is_class(struct slice s, unsigned wanted)
{
    return s.len > 0 &&
           skip_class(s.ptr, s.ptr + s.len, wanted) == s.ptr + s.len;
}

/* 0 to 15, or -1. */
static inline int
hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
