/* Slices: comparing, trimming, cutting and reading numbers. */
#include "nearside/base/slice.h"

bool
slice_ieq(struct slice a, struct slice b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

struct slice
slice_trim(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

ptrdiff_t
slice_find(struct slice s, char c)
{
    const char *at = s.len == 0 ? NULL : memchr(s.ptr, c, s.len);

    return at == NULL ? -1 : at - s.ptr;
}

bool
slice_split(struct slice *rest, char sep, struct slice *out_first)
{
    ptrdiff_t at;

    if (rest->ptr == NULL) {
        return false;
    }
    at = slice_find(*rest, sep);
    if (at < 0) {
        *out_first = *rest;
        *rest = (struct slice){NULL, 0};
        return true;
    }
    *out_first = slice_of(rest->ptr, (size_t)at);
    *rest = slice_of(rest->ptr + at + 1, rest->len - (size_t)at - 1);
    return true;
}

bool
slice_lists(struct slice list, struct slice item)
{
    struct slice one;

    while (slice_split(&list, ',', &one)) {
        if (slice_ieq(slice_trim(one), item)) {
            return true;
        }
    }
    return false;
}

enum rc
slice_to_u64(struct slice s, uint64_t max, uint64_t *out_value)
{
    uint64_t value = 0;
    bool is_over = false;

    if (s.len == 0) {
        return RC_BAD;
    }
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';
        if (digit > 9) {
            return RC_BAD;
        }
        is_over = is_over || value > (UINT64_MAX - digit) / 10;
        value = value * 10 + digit;
    }
    if (is_over || value > max) {
        return RC_LIMIT;
    }
    *out_value = value;
    return RC_OK;
}
