/*
 * The value format, version 1. All numbers little-endian.
 *
 *      0  magic "nsev"
 *      4  version, 1
 *      5  coding of the body: 0, as it is
 *      6  status, 16 bit
 *      8  flags, 16 bit
 *     10  number of tag generations, 16 bit: 0
 *     12  origin cost in ms, 32 bit
 *     16  created, fresh until, stale until: ms since 1970, 64 bit each
 *     40  lengths of key, note, fields and body, 32 bit each
 *     56  stale-while-revalidate, stale-if-error in ms, 32 bit each
 *     64  key, note, fields, body
 *    end  XXH3 (64 bit, no seed) of all before it
 *
 * Laws: one value has one spelling; what does not fit to the last byte is
 * no entry. The checksum tells damage, not malice: whoever may write to
 * the cluster can compute it too. So what it covers is checked as well, as
 * far as a wrong form could hurt: numbers stay in ranges in which their
 * sums and differences cannot overflow, and field lines are lines, so that
 * a value cannot end a response's head early.
 *
 * Decoding copies nothing: an entry's slices point into the value.
 */
#include "nearside/memory/codec.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#include <xxhash.h>

#include "nearside/base/check.h"

enum {
    CODEC_VERSION = 1,
    CODING_NONE = 0,
    HEAD_LEN = 64,
    SUM_LEN = 8,
    STATUS_MIN = 200, /* interim answers are never stored */
    STATUS_MAX = 999,
};

/* Exact in a double too (JSON), and far from any overflow. */
#define TIME_LIMIT_MS (INT64_C(1) << 53)

static const char codec_magic[4] = {'n', 's', 'e', 'v'};

struct head {
    uint16_t status;
    uint16_t flags;
    uint32_t origin_cost_ms;
    int64_t created_ms;
    int64_t fresh_until_ms;
    int64_t stale_until_ms;
    uint32_t key_len;
    uint32_t note_len;
    uint32_t fields_len;
    uint32_t body_len;
    uint32_t while_ms;
    uint32_t if_error_ms;
};

static void
put_u16(char *p, uint16_t n)
{
    n = htole16(n);
    memcpy(p, &n, sizeof(n));
}

static void
put_u32(char *p, uint32_t n)
{
    n = htole32(n);
    memcpy(p, &n, sizeof(n));
}

static void
put_u64(char *p, uint64_t n)
{
    n = htole64(n);
    memcpy(p, &n, sizeof(n));
}

static uint16_t
get_u16(const char *p)
{
    uint16_t n;

    memcpy(&n, p, sizeof(n));
    return le16toh(n);
}

static uint32_t
get_u32(const char *p)
{
    uint32_t n;

    memcpy(&n, p, sizeof(n));
    return le32toh(n);
}

static uint64_t
get_u64(const char *p)
{
    uint64_t n;

    memcpy(&n, p, sizeof(n));
    return le64toh(n);
}

static void
head_put(const struct head *h, char p[HEAD_LEN])
{
    memset(p, 0, HEAD_LEN);
    memcpy(p, codec_magic, sizeof(codec_magic));
    p[4] = CODEC_VERSION;
    p[5] = CODING_NONE;
    put_u16(p + 6, h->status);
    put_u16(p + 8, h->flags);
    put_u16(p + 10, 0);
    put_u32(p + 12, h->origin_cost_ms);
    put_u64(p + 16, (uint64_t)h->created_ms);
    put_u64(p + 24, (uint64_t)h->fresh_until_ms);
    put_u64(p + 32, (uint64_t)h->stale_until_ms);
    put_u32(p + 40, h->key_len);
    put_u32(p + 44, h->note_len);
    put_u32(p + 48, h->fields_len);
    put_u32(p + 52, h->body_len);
    put_u32(p + 56, h->while_ms);
    put_u32(p + 60, h->if_error_ms);
}

/* False: another magic or version, or something this version never has. */
static bool
head_get(const char p[HEAD_LEN], struct head *out)
{
    if (memcmp(p, codec_magic, sizeof(codec_magic)) != 0 ||
        p[4] != CODEC_VERSION || p[5] != CODING_NONE || get_u16(p + 10) != 0) {
        return false;
    }
    *out = (struct head){
        .status = get_u16(p + 6),
        .flags = get_u16(p + 8),
        .origin_cost_ms = get_u32(p + 12),
        .created_ms = (int64_t)get_u64(p + 16),
        .fresh_until_ms = (int64_t)get_u64(p + 24),
        .stale_until_ms = (int64_t)get_u64(p + 32),
        .key_len = get_u32(p + 40),
        .note_len = get_u32(p + 44),
        .fields_len = get_u32(p + 48),
        .body_len = get_u32(p + 52),
        .while_ms = get_u32(p + 56),
        .if_error_ms = get_u32(p + 60),
    };
    return true;
}

static uint64_t
value_len(const struct head *h)
{
    return (uint64_t)HEAD_LEN + h->key_len + h->note_len + h->fields_len +
           h->body_len + SUM_LEN;
}

static bool
is_time(int64_t ms)
{
    return ms >= -TIME_LIMIT_MS && ms <= TIME_LIMIT_MS;
}

/* Markers hold no response, so they may lack a status. */
static bool
is_status(const struct head *h)
{
    if (h->status == 0) {
        return (h->flags & (ENTRY_VARY_RECORD | ENTRY_PASS)) != 0;
    }
    return h->status >= STATUS_MIN && h->status <= STATUS_MAX &&
           h->status != 206 && h->status != 304 && h->status != 416;
}

static bool
is_head_sound(const struct head *h)
{
    return h->key_len > 0 && (h->flags & ~ENTRY_FLAGS_ALL) == 0 &&
           is_status(h) && is_time(h->created_ms) &&
           is_time(h->fresh_until_ms) && is_time(h->stale_until_ms) &&
           h->stale_until_ms >= h->fresh_until_ms;
}

/* A bit for each byte of a name: all that is visible but capitals and the
   colon. */
static const uint64_t name_bytes[4] = {
    UINT64_C(0xfbfffffe00000000), UINT64_C(0x7ffffffff8000001), 0, 0};

static inline bool
is_name_byte(char c)
{
    unsigned char byte = (unsigned char)c;

    return ((name_bytes[byte / 64] >> (byte % 64)) & 1) != 0;
}

/* The colon behind the name that begins at `at`. NULL: no such name. */
static const char *
name_end(const char *at, const char *end)
{
    const char *name = at;

    while (at < end && is_name_byte(*at)) {
        at++;
    }
    return at < end && *at == ':' && at > name ? at : NULL;
}

/* What an entry never holds, and a client must not see twice: it would choose
   where the answer ends. */
static bool
is_framing(struct slice name)
{
    switch (name.len) {
    case 3:
        return slice_eq(name, SLICE("age"));
    case 7:
        return slice_eq(name, SLICE("trailer")) ||
               slice_eq(name, SLICE("upgrade"));
    case 10:
        return slice_eq(name, SLICE("connection")) ||
               slice_eq(name, SLICE("keep-alive"));
    case 14:
        return slice_eq(name, SLICE("content-length"));
    case 17:
        return slice_eq(name, SLICE("transfer-encoding"));
    default: /* a length, not an enum */
        return false;
    }
}

/* "name: value", and the only CR and LF are those of its end. This is read
   for every hit: one pass over the names, and memchr over the values. */
static bool
are_field_lines(struct slice fields)
{
    const char *at = fields.ptr;
    const char *end = at + fields.len;

    if (slice_find(fields, '\0') >= 0) {
        return false;
    }
    while (at < end) {
        const char *colon = name_end(at, end);
        const char *cr;

        if (colon == NULL || end - colon < 2 || colon[1] != ' ' ||
            is_framing(slice_of(at, (size_t)(colon - at)))) {
            return false;
        }
        cr = memchr(colon, '\r', (size_t)(end - colon));
        if (cr == NULL || end - cr < 2 || cr[1] != '\n' ||
            memchr(colon, '\n', (size_t)(cr - colon)) != NULL) {
            return false;
        }
        at = cr + 2;
    }
    return true;
}

/* Fields, and the note of what is a response. */
static bool
are_lines(const struct head *h, struct slice note, struct slice fields)
{
    return are_field_lines(fields) &&
           ((h->flags & ENTRY_VARY_RECORD) != 0 || are_field_lines(note));
}

/* An entry around a blob of known good form; takes the blob. */
static struct entry *
entry_make(const struct head *h, char *own_blob, size_t len)
{
    struct entry *e = malloc(sizeof(*e));
    const char *p = own_blob + HEAD_LEN;

    if (e == NULL) {
        free(own_blob);
        return NULL;
    }
    MUST(value_len(h) == len);
    *e = (struct entry){
        .magic = ENTRY_MAGIC,
        .refs = 1,
        .status = h->status,
        .flags = h->flags,
        .created_ms = h->created_ms,
        .fresh_until_ms = h->fresh_until_ms,
        .stale_until_ms = h->stale_until_ms,
        .origin_cost_ms = h->origin_cost_ms,
        .while_ms = h->while_ms,
        .if_error_ms = h->if_error_ms,
        .key = slice_of(p, h->key_len),
        .blob = slice_of(own_blob, len),
    };
    e->note = slice_of(e->key.ptr + h->key_len, h->note_len);
    e->fields = slice_of(e->note.ptr + h->note_len, h->fields_len);
    e->body = slice_of(e->fields.ptr + h->fields_len, h->body_len);
    return e;
}

/* --- Encoding ------------------------------------------------------------ */

static enum rc
head_of(const struct codec_parts *parts, struct head *out)
{
    size_t body_len = parts->body_next == NULL && parts->body_len == 0
                          ? parts->body.len
                          : parts->body_len;

    MUST(parts->stale_until_ms >= parts->fresh_until_ms);
    if (parts->key.len > UINT32_MAX || parts->note.len > UINT32_MAX ||
        parts->fields.len > UINT32_MAX || body_len > UINT32_MAX) {
        return RC_LIMIT;
    }
    *out = (struct head){
        .status = parts->status,
        .flags = parts->flags,
        .origin_cost_ms = parts->origin_cost_ms,
        .created_ms = parts->created_ms,
        .fresh_until_ms = parts->fresh_until_ms,
        .stale_until_ms = parts->stale_until_ms,
        .key_len = (uint32_t)parts->key.len,
        .note_len = (uint32_t)parts->note.len,
        .fields_len = (uint32_t)parts->fields.len,
        .body_len = (uint32_t)body_len,
        .while_ms = parts->while_ms,
        .if_error_ms = parts->if_error_ms,
    };
    if (value_len(out) > PTRDIFF_MAX) {
        return RC_LIMIT;
    }
    /* What we would not read back must not be written. */
    return is_head_sound(out) && are_lines(out, parts->note, parts->fields)
               ? RC_OK
               : RC_BAD;
}

static char *
append(char *p, struct slice s)
{
    return s.len == 0 ? p : mempcpy(p, s.ptr, s.len);
}

/* Copies the runs of the body. False: they are not body_len bytes. */
static bool
body_put(const struct codec_parts *parts, char *p, size_t body_len)
{
    struct slice run = parts->body;
    size_t left = body_len;

    while (run.len <= left) {
        p = append(p, run);
        left -= run.len;
        run = parts->body_next == NULL ? slice_of(NULL, 0)
                                       : parts->body_next(parts->body_ctx);
        if (run.len == 0) {
            return left == 0;
        }
    }
    return false;
}

enum rc
codec_encode(const struct codec_parts *parts, struct entry **out_entry)
{
    struct head head;
    struct entry *e;
    size_t len;
    char *blob;
    char *p;
    enum rc rc = head_of(parts, &head);

    if (rc != RC_OK) {
        return rc;
    }
    len = (size_t)value_len(&head);
    blob = malloc(len);
    if (blob == NULL) {
        return RC_NOMEM;
    }
    head_put(&head, blob);
    p = append(blob + HEAD_LEN, parts->key);
    p = append(p, parts->note);
    p = append(p, parts->fields);
    if (!body_put(parts, p, head.body_len)) {
        free(blob);
        return RC_BAD;
    }
    put_u64(blob + len - SUM_LEN, XXH3_64bits(blob, len - SUM_LEN));
    e = entry_make(&head, blob, len);
    if (e == NULL) {
        return RC_NOMEM;
    }
    *out_entry = e;
    return RC_OK;
}

/* --- Decoding ------------------------------------------------------------ */

/* Everything about a value but whose it is. */
static bool
value_check(const char *value, size_t len, struct head *out)
{
    struct slice note;

    if (len < HEAD_LEN + SUM_LEN || !head_get(value, out) ||
        value_len(out) != len || !is_head_sound(out)) {
        return false;
    }
    if (get_u64(value + len - SUM_LEN) != XXH3_64bits(value, len - SUM_LEN)) {
        return false;
    }
    note = slice_of(value + HEAD_LEN + out->key_len, out->note_len);
    return are_lines(out, note, slice_of(note.ptr + note.len, out->fields_len));
}

enum rc
codec_decode(
    char *own_value, size_t len, struct slice key, struct entry **out_entry)
{
    struct head head;
    struct entry *e;
    enum rc rc = RC_BAD;

    MUST(own_value != NULL || len == 0);
    if (!value_check(own_value, len, &head)) {
        goto refuse;
    }
    if (!slice_eq(slice_of(own_value + HEAD_LEN, head.key_len), key)) {
        rc = RC_MISS;
        goto refuse;
    }
    e = entry_make(&head, own_value, len);
    if (e == NULL) {
        return RC_NOMEM;
    }
    *out_entry = e;
    return RC_OK;

refuse:
    free(own_value);
    return rc;
}
