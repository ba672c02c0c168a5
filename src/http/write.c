/*
 * Heads to bytes. Laws: a write that does not fit leaves nothing behind, and
 * none after it is tried; so what a writer holds is whole as far as it goes.
 * Writers copy what they are given: the parser has seen to it, or the caller
 * has to, that names are tokens and that values hold no CR, LF or NUL.
 */
#include "nearside/http/write.h"

#include "nearside/base/check.h"

#define VERSION "HTTP/1.1 "

/* Room for n more bytes, already counted; NULL: full, now and from now on. */
static inline char *
reserve(struct writer *w, size_t n)
{
    char *at = w->ptr + w->len;

    MUST(w->len <= w->cap);
    if (w->is_full || n > w->cap - w->len) {
        w->is_full = true;
        return NULL;
    }
    w->len += n;
    return at;
}

enum {
    U64_DIGITS_MAX = 20,
};

#define TEN(d)                                                                 \
    d "0", d "1", d "2", d "3", d "4", d "5", d "6", d "7", d "8", d "9"

static const char two_digits[100][3] = {TEN("0"), TEN("1"), TEN("2"), TEN("3"),
    TEN("4"), TEN("5"), TEN("6"), TEN("7"), TEN("8"), TEN("9")};

/* Two digits a step, with 32 bits once they are enough. */
static struct slice
render_u64(char out[U64_DIGITS_MAX], uint64_t value)
{
    size_t at = U64_DIGITS_MAX;
    uint32_t low;

    while (value > UINT32_MAX) {
        out[--at] = (char)('0' + value % 10);
        value /= 10;
    }
    low = (uint32_t)value;
    while (low >= 100) {
        at -= 2;
        memcpy(out + at, two_digits[low % 100], 2);
        low /= 100;
    }
    if (low >= 10) {
        at -= 2;
        memcpy(out + at, two_digits[low], 2);
    } else {
        out[--at] = (char)('0' + low);
    }
    return slice_of(out + at, U64_DIGITS_MAX - at);
}

void
write_slice(struct writer *w, struct slice s)
{
    char *at = reserve(w, s.len);

    if (at != NULL) {
        slice_put(at, s);
    }
}

void
write_u64(struct writer *w, uint64_t value)
{
    char digits[U64_DIGITS_MAX];

    write_slice(w, render_u64(digits, value));
}

static struct slice
status_line(unsigned status)
{
    switch (status) {
#define STATUS(code, phrase)                                                   \
    case code:                                                                 \
        return SLICE(VERSION #code " " phrase "\r\n");
#include "status.def"
#undef STATUS
    default: /* a number, not an enum */
        return slice_of(NULL, 0);
    }
}

void
write_status_line(struct writer *w, unsigned status)
{
    struct slice line = status_line(status);
    char other[] = VERSION "000 \r\n";
    char *digits = other + sizeof(VERSION) - 1;

    MUST(status >= 100 && status <= 999);
    if (line.len > 0) {
        write_slice(w, line);
        return;
    }
    digits[0] = (char)('0' + status / 100);
    digits[1] = (char)('0' + status / 10 % 10);
    digits[2] = (char)('0' + status % 10);
    write_slice(w, slice_of(other, sizeof(other) - 1));
}

void
write_request_line(struct writer *w, struct slice method, struct slice target)
{
    const struct slice end = SLICE(" HTTP/1.1\r\n");
    char *at = reserve(w, method.len + 1 + target.len + end.len);

    MUST(method.len > 0 && target.len > 0);
    if (at == NULL) {
        return;
    }
    at = slice_put(at, method);
    *at++ = ' ';
    at = slice_put(at, target);
    slice_put(at, end);
}

/* Returns the place of the name, or NULL. */
static inline char *
put_field(struct writer *w, struct slice name, struct slice value)
{
    char *start = reserve(w, name.len + 2 + value.len + 2);
    char *at;

    MUST(name.len > 0);
    if (start == NULL) {
        return NULL;
    }
    at = slice_put(start, name);
    *at++ = ':';
    *at++ = ' ';
    at = slice_put(at, value);
    *at++ = '\r';
    *at = '\n';
    return start;
}

void
write_field(struct writer *w, struct slice name, struct slice value)
{
    put_field(w, name, value);
}

void
write_field_u64(struct writer *w, struct slice name, uint64_t value)
{
    char digits[U64_DIGITS_MAX];

    put_field(w, name, render_u64(digits, value));
}

void
write_field_lower(struct writer *w, struct slice name, struct slice value)
{
    char *at = put_field(w, name, value);

    for (size_t i = 0; at != NULL && i < name.len; i++) {
        at[i] = ascii_lower(at[i]);
    }
}

void
write_end(struct writer *w)
{
    write_slice(w, SLICE("\r\n"));
}

void
write_line_end(struct writer *w, size_t start)
{
    write_end(w);
    if (w->is_full) {
        w->len = start;
    }
}

struct slice
status_reason(unsigned status)
{
    struct slice line = status_line(status);

    if (line.len == 0) {
        return SLICE("");
    }
    line = slice_skip(line, sizeof(VERSION) - 1 + 4);
    line.len -= 2;
    return line;
}
