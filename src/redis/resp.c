/*
 * RESP replies. Whatever is not a plain string takes the way through the
 * reader (reader.h); the strings, which is what a GET brings, do not:
 *
 * - `$N` at a reply's beginning, all of it there: one malloc and one copy.
 * - `$N` with N >= BIG_MIN: the body is read straight into the memory where
 *   it stays.
 * - At most one reply's bytes are fed at a time when its length can be told
 *   beforehand: the reader moves the rest of its buffer after every reply,
 *   which makes a fed pipeline cost the square of its length.
 */
#include "nearside/redis/resp.h"

#include "nearside/base/check.h"
#include "redis/reader.h"

#include <stdlib.h>

enum {
    RESP_MAGIC = 0x52455350,
    /* A body of this size is worth an extra read call. */
    BIG_MIN = 16 * 1024,
};

struct resp {
    uint32_t magic;
    enum rc dead; /* RC_OK while the stream is good */
    struct reader reader;
    struct redis_reply string; /* on loan, when it did not come by reader */
    struct slice in;           /* of the caller's scratch; not yet looked at */
    char *scratch;
    size_t space_cap;
    bool is_direct; /* the space given last was big's */
    struct {
        char *ptr; /* owned; NULL: none under way */
        size_t len;
        size_t at;   /* bytes there */
        size_t tail; /* of CRLF seen */
    } big;
};

/* ---- life --------------------------------------------------------------- */

struct resp *
resp_new(size_t reply_max)
{
    struct resp *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    if (reader_init(&r->reader, reply_max) != RC_OK) {
        free(r);
        return NULL;
    }
    r->magic = RESP_MAGIC;
    return r;
}

void
resp_free(struct resp **resp)
{
    struct resp *r = *resp;

    if (r == NULL) {
        return;
    }
    MUST_OBJ(r, RESP_MAGIC);
    *resp = NULL;
    reader_fini(&r->reader);
    free(r->string.str);
    free(r->big.ptr);
    r->magic = 0;
    free(r);
}

/* ---- bytes in ----------------------------------------------------------- */

struct resp_space
resp_space(struct resp *r, char *scratch, size_t cap)
{
    struct resp_space space = {scratch, cap};

    MUST_OBJ(r, RESP_MAGIC);
    MUST(r->in.len == 0);
    r->is_direct = r->big.ptr != NULL && r->big.at < r->big.len;
    if (r->is_direct) {
        space.ptr = r->big.ptr + r->big.at;
        space.cap = r->big.len - r->big.at;
    }
    r->scratch = space.ptr;
    r->space_cap = space.cap;
    return space;
}

void
resp_put(struct resp *r, size_t n)
{
    MUST_OBJ(r, RESP_MAGIC);
    MUST(n <= r->space_cap);
    if (r->is_direct) {
        r->big.at += n;
    } else {
        r->in = slice_of(r->scratch, n);
    }
    r->space_cap = 0;
}

/* Index behind the first CRLF; 0: there is none. */
static size_t
line_len(struct slice s)
{
    const char *end = memmem(s.ptr, s.len, "\r\n", 2);

    return end == NULL ? 0 : (size_t)(end - s.ptr) + 2;
}

/*
 * Reads "$N\r\n": N, and how long this line is. False: it is not all there,
 * or has no N to go by (nil, malformed, leading zeros, about which versions
 * of hiredis disagree); the reader shall judge.
 */
static bool
bulk_line(struct slice in, size_t *out_line_len, size_t *out_len)
{
    uint64_t len = 0;
    size_t at = 1;

    for (; at <= 10 && at < in.len && in.ptr[at] >= '0' && in.ptr[at] <= '9';
         at++) {
        len = len * 10 + (uint64_t)(in.ptr[at] - '0');
    }
    if (at == 1 || (at > 2 && in.ptr[1] == '0') || len > INT32_MAX ||
        in.len - at < 2 || in.ptr[at] != '\r' || in.ptr[at + 1] != '\n') {
        return false;
    }
    *out_line_len = at + 2;
    *out_len = (size_t)len;
    return true;
}

/* Passes a string of our own out, a loan. */
static enum rc
string_lend(struct resp *r, char *own_str, size_t len, struct redis_reply **out)
{
    MUST(r->string.str == NULL);
    r->string =
        (struct redis_reply){.type = REDIS_STRING, .str = own_str, .len = len};
    *out = &r->string;
    return RC_OK;
}

/* A string all of which is there: bytes `from` to `from + len`, then CRLF. */
static enum rc
bulk_take(struct resp *r, size_t from, size_t len, struct redis_reply **out)
{
    char *str = malloc(len > 0 ? len : 1);

    MUST(from + len + 2 <= r->in.len);
    if (str == NULL) {
        return RC_NOMEM;
    }
    memcpy(str, r->in.ptr + from, len);
    r->in = slice_skip(r->in, from + len + 2);
    return string_lend(r, str, len, out);
}

/* Begins a large body of our own behind its first line. */
static enum rc
big_begin(struct resp *r, size_t line_len, size_t len)
{
    MUST(r->big.ptr == NULL);
    if (len > r->reader.reply_max) {
        return RC_LIMIT;
    }
    r->big.ptr = malloc(len);
    if (r->big.ptr == NULL) {
        return RC_NOMEM;
    }
    r->big.len = len;
    r->big.at = 0;
    r->big.tail = 0;
    r->in = slice_skip(r->in, line_len);
    return RC_OK;
}

static enum rc
big_next(struct resp *r, struct redis_reply **out_reply)
{
    size_t n = r->big.len - r->big.at;
    char *str;

    MUST(r->big.ptr != NULL);
    MUST(r->big.at <= r->big.len);
    n = n < r->in.len ? n : r->in.len;
    if (n > 0) {
        memcpy(r->big.ptr + r->big.at, r->in.ptr, n);
        r->big.at += n;
        r->in = slice_skip(r->in, n);
    }
    if (r->big.at < r->big.len) {
        return RC_AGAIN;
    }
    for (; r->big.tail < 2 && r->in.len > 0; r->big.tail++) {
        if (r->in.ptr[0] != "\r\n"[r->big.tail]) {
            return RC_BAD;
        }
        r->in = slice_skip(r->in, 1);
    }
    if (r->big.tail < 2) {
        return RC_AGAIN;
    }
    str = r->big.ptr;
    r->big.ptr = NULL;
    return string_lend(r, str, r->big.len, out_reply);
}

/*
 * Looks at the beginning of a string. RC_MISS: it is the reader's, and the
 * next *out_span bytes surely belong to it. Else as resp_next.
 */
static enum rc
bulk_begin(struct resp *r, struct redis_reply **out_reply, size_t *out_span)
{
    size_t line;
    size_t len;
    size_t all;

    if (!bulk_line(r->in, &line, &len)) {
        *out_span = line_len(r->in);
        return RC_MISS;
    }
    all = line + len + 2;
    if (all <= r->in.len && len <= r->reader.reply_max &&
        r->in.ptr[all - 2] == '\r' && r->in.ptr[all - 1] == '\n') {
        return bulk_take(r, line, len, out_reply);
    }
    if (len >= BIG_MIN) {
        enum rc rc = big_begin(r, line, len);

        return rc == RC_OK ? big_next(r, out_reply) : rc;
    }
    *out_span = all;
    return RC_MISS;
}

/* As bulk_begin, for a reply of any kind. */
static enum rc
reply_begin(struct resp *r, struct redis_reply **out_reply, size_t *out_span)
{
    enum rc rc = RC_MISS;
    size_t span = 0;

    if (r->in.ptr[0] == '$') {
        rc = bulk_begin(r, out_reply, &span);
    } else if (r->in.ptr[0] != '*') {
        span = line_len(r->in);
    }
    *out_span = span == 0 || span > r->in.len ? r->in.len : span;
    return rc;
}

/* ---- replies out -------------------------------------------------------- */

static enum rc
resp_step(struct resp *r, struct redis_reply **out_reply)
{
    enum rc rc = RC_OK;

    if (r->big.ptr != NULL) {
        return big_next(r, out_reply);
    }
    while (rc == RC_OK) {
        size_t n = r->in.len;

        if (!reader_is_at_boundary(&r->reader)) {
            rc = reader_next(&r->reader, out_reply);
            if (rc != RC_AGAIN) {
                return rc;
            }
        }
        if (r->in.len == 0) {
            return RC_AGAIN;
        }
        if (reader_is_at_boundary(&r->reader)) {
            rc = reply_begin(r, out_reply, &n);
            if (rc != RC_MISS) {
                return rc;
            }
        }
        rc = reader_feed(&r->reader, slice_of(r->in.ptr, n));
        r->in = slice_skip(r->in, n);
    }
    return rc;
}

enum rc
resp_next(struct resp *r, struct redis_reply **out_reply)
{
    enum rc rc;

    MUST_OBJ(r, RESP_MAGIC);
    MUST(out_reply != NULL);
    if (r->dead != RC_OK) {
        return r->dead;
    }
    reader_clear(&r->reader); /* the loan of the last one ends */
    free(r->string.str);
    r->string.str = NULL;
    rc = resp_step(r, out_reply);
    if (rc != RC_OK && rc != RC_AGAIN) {
        r->dead = rc;
    }
    return rc;
}

char *
redis_reply_take(struct redis_reply *reply, size_t *out_len)
{
    char *str;

    MUST(reply != NULL);
    MUST(out_len != NULL);
    if (reply->type != REDIS_STRING) {
        return NULL;
    }
    str = reply->str;
    *out_len = reply->len;
    reply->str = NULL;
    reply->len = 0;
    return str;
}
