/*
 * The value format, version 1. All numbers are little-endian.
 *
 *      0  magic "nsev"
 *      4  version, 1
 *      5  coding of the body: 0, as it is
 *      6  status, 16 bit
 *      8  flags, 16 bit
 *     10  number of tag generations, 16 bit: 0
 *     12  age when it was received, and cost of the fetch (entry.h), 32 bit
 *     16  created, fresh until, stale until: ms since 1970, 64 bit each
 *     40  lengths of key, private fields, fields and body, 32 bit each
 *     56  stale-while-revalidate, stale-if-error in ms, 32 bit each
 *     64  key, private fields, fields, body
 *    end  XXH3 (64 bit, no seed) of all before it
 *
 * In a Vary record its names stand in the place of the private fields, and
 * its generation in that of the body.
 *
 * Laws: one value has one spelling; what does not fit to the last byte is
 * no entry. The checksum tells damage, not malice: whoever may write to
 * the cluster can compute it too. So what it covers is checked as well, as
 * far as a wrong form could hurt: numbers stay in ranges in which their
 * sums and differences cannot overflow, and field lines are lines, so that
 * a value cannot end a response's head early.
 *
 * Decoding copies nothing but the head: that of an entry is shorter (head.h)
 * and takes its place, right before the parts.
 */
#include "nearside/cache/codec.h"

#include <endian.h>
#include <stdlib.h>

#include <xxhash.h>

#include "head.h"

enum {
    CODEC_VERSION = 1,
    CODING_NONE = 0,
    HEAD_LEN = sizeof(struct head),
    STATUS_MIN = 200, /* interim answers are never stored */
    STATUS_MAX = 999,
};

/* Exact in a double too (JSON), and far from any overflow. */
#define TIME_LIMIT_MS (INT64_C(1) << 53)

static const char codec_magic[4] = {'n', 's', 'e', 'v'};

/* To little-endian, or back, which is the same. */
static void
swap_numbers(struct head *h)
{
    h->status = htole16(h->status);
    h->flags = htole16(h->flags);
    h->generations = htole16(h->generations);
    h->fetched = htole32(h->fetched);
    h->created_ms = (int64_t)htole64((uint64_t)h->created_ms);
    h->fresh_until_ms = (int64_t)htole64((uint64_t)h->fresh_until_ms);
    h->stale_until_ms = (int64_t)htole64((uint64_t)h->stale_until_ms);
    h->key_len = htole32(h->key_len);
    h->private_len = htole32(h->private_len);
    h->fields_len = htole32(h->fields_len);
    h->body_len = htole32(h->body_len);
    h->while_ms = htole32(h->while_ms);
    h->if_error_ms = htole32(h->if_error_ms);
}

static void
head_put(const struct head *h, char p[HEAD_LEN])
{
    struct head swapped = *h;

    swap_numbers(&swapped);
    memcpy(p, &swapped, HEAD_LEN);
}

static struct head
head_get(const char p[HEAD_LEN])
{
    struct head h;

    memcpy(&h, p, HEAD_LEN);
    swap_numbers(&h);
    return h;
}

/* The checksum of a value, as its bytes stand there. */
static uint64_t
sum_of(const char *value, size_t len)
{
    MUST(len >= HEAD_LEN + ENTRY_SUM_LEN);
    return htole64(XXH3_64bits(value, len - ENTRY_SUM_LEN));
}

static uint64_t
value_len(const struct head *h)
{
    return (uint64_t)HEAD_LEN + h->key_len + h->private_len + h->fields_len +
           h->body_len + ENTRY_SUM_LEN;
}

static bool
is_time(int64_t ms)
{
    return ms >= -TIME_LIMIT_MS && ms <= TIME_LIMIT_MS;
}

/* An entry that is no response may lack a status. */
static bool
is_status(const struct head *h)
{
    if (h->status == 0) {
        return (h->flags & (ENTRY_VARY_RECORD | ENTRY_HIT_FOR_MISS)) != 0;
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

/* Eight bytes at once; what is said of a byte is said by its highest bit. */
#define EACH(byte) ((uint64_t)(byte)*UINT64_C(0x0101010101010101))

static inline uint64_t
eight_bytes(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return le64toh(word);
}

/* The place of the first of the eight of which it is said. */
static inline size_t
first_of(uint64_t said)
{
    return (size_t)__builtin_ctzll(said) / 8;
}

/* Is it neither a small letter nor a dash? Names are of these, nearly all. */
static inline uint64_t
are_unusual(uint64_t word)
{
    uint64_t low = word & EACH(0x7f);
    uint64_t from_a = low + EACH(0x80 - 'a');
    uint64_t behind_z = low + EACH(0x7f - 'z');
    uint64_t is_no_dash = (low ^ EACH('-')) + EACH(0x7f);

    return (((~from_a | behind_z) & is_no_dash) | word) & EACH(0x80);
}

/* Is it NUL, LF, CR or another of the first fourteen? Nothing true is said of
   those behind the first that is. */
static inline uint64_t
are_low(uint64_t word)
{
    return (word - EACH('\r' + 1)) & ~word & EACH(0x80);
}

/* The colon behind the name that begins at `at`. NULL: no such name. */
static const char *
name_end(const char *at, const char *end)
{
    const char *name = at;

    while (end - at >= 8) {
        uint64_t unusual = are_unusual(eight_bytes(at));

        if (unusual != 0) {
            at += first_of(unusual);
            break;
        }
        at += 8;
    }
    while (at < end && is_name_byte(*at)) {
        at++;
    }
    return at < end && *at == ':' && at > name ? at : NULL;
}

/* The first CR, LF or NUL. NULL: there is none. */
static const char *
value_end(const char *at, const char *end)
{
    while (at < end) {
        if (end - at >= 8) {
            uint64_t low = are_low(eight_bytes(at));

            if (low == 0) {
                at += 8;
                continue;
            }
            at += first_of(low);
        }
        if (*at == '\r' || *at == '\n' || *at == '\0') {
            return at;
        }
        at++;
    }
    return NULL;
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
   for every hit, eight bytes at a time. */
static bool
are_field_lines(struct slice fields)
{
    const char *at = fields.ptr;
    const char *end = at + fields.len;

    while (at < end) {
        const char *colon = name_end(at, end);
        const char *cr;

        if (colon == NULL || end - colon < 2 || colon[1] != ' ' ||
            is_framing(slice_of(at, (size_t)(colon - at)))) {
            return false;
        }
        cr = value_end(colon, end);
        if (cr == NULL || end - cr < 2 || cr[0] != '\r' || cr[1] != '\n') {
            return false;
        }
        at = cr + 2;
    }
    return true;
}

static bool
is_record(const struct head *h)
{
    return (h->flags & ENTRY_VARY_RECORD) != 0;
}

/* --- Encoding ------------------------------------------------------------ */

static enum rc
head_of(const struct codec_parts *parts, struct head *out)
{
    size_t body_len = parts->body_next == NULL && parts->body_len == 0
                          ? parts->body.len
                          : parts->body_len;

    MUST(parts->key.ptr != NULL || parts->key.len == 0);
    MUST(parts->stale_until_ms >= parts->fresh_until_ms);
    if (parts->key.len > UINT32_MAX || parts->private_fields.len > UINT32_MAX ||
        parts->fields.len > UINT32_MAX || body_len > UINT32_MAX) {
        return RC_LIMIT;
    }
    *out = (struct head){
        .version = CODEC_VERSION,
        .coding = CODING_NONE,
        .status = parts->status,
        .flags = parts->flags,
        .fetched = parts->fetched,
        .created_ms = parts->created_ms,
        .fresh_until_ms = parts->fresh_until_ms,
        .stale_until_ms = parts->stale_until_ms,
        .key_len = (uint32_t)parts->key.len,
        .private_len = (uint32_t)parts->private_fields.len,
        .fields_len = (uint32_t)parts->fields.len,
        .body_len = (uint32_t)body_len,
        .while_ms = parts->while_ms,
        .if_error_ms = parts->if_error_ms,
    };
    memcpy(out->magic, codec_magic, sizeof(codec_magic));
    if (value_len(out) > PTRDIFF_MAX) {
        return RC_LIMIT;
    }
    /* What we would not read back must not be written. */
    return is_head_sound(out) && are_field_lines(parts->fields) &&
                   (is_record(out) || are_field_lines(parts->private_fields))
               ? RC_OK
               : RC_BAD;
}

/* Copies the runs of the body. False: they are not body_len bytes. */
static bool
body_put(const struct codec_parts *parts, char *p, size_t body_len)
{
    struct slice run = parts->body;
    size_t left = body_len;

    while (run.len <= left) {
        p = slice_put(p, run);
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
codec_encode(const struct codec_parts *parts, struct value *out_value)
{
    struct head head;
    struct value v;
    uint64_t sum;
    char *p;
    enum rc rc = head_of(parts, &head);

    if (rc != RC_OK) {
        return rc;
    }
    v.len = (size_t)value_len(&head);
    v.bytes = malloc(v.len);
    if (v.bytes == NULL) {
        return RC_NOMEM;
    }
    head_put(&head, v.bytes);
    p = slice_put(v.bytes + HEAD_LEN, parts->key);
    p = slice_put(p, parts->private_fields);
    p = slice_put(p, parts->fields);
    MUST(p + head.body_len + ENTRY_SUM_LEN == v.bytes + v.len);
    if (!body_put(parts, p, head.body_len)) {
        value_free(&v);
        return RC_BAD;
    }
    sum = sum_of(v.bytes, v.len);
    memcpy(p + head.body_len, &sum, sizeof(sum));
    *out_value = v;
    return RC_OK;
}

void
value_free(struct value *v)
{
    MUST(v->bytes != NULL || v->len == 0);
    free(v->bytes);
    *v = (struct value){NULL, 0};
}

/* --- Decoding ------------------------------------------------------------ */

enum rc
codec_entry(const struct value *value, struct entry **out_entry)
{
    struct slice bytes = value_slice(value);
    struct slice parts;
    struct head head;
    size_t head_len;
    char *block;

    MUST(bytes.len >= HEAD_LEN + ENTRY_SUM_LEN);
    MUST(slice_starts(bytes, slice_of(codec_magic, sizeof(codec_magic))));
    head = head_get(bytes.ptr);
    MUST(value_len(&head) == bytes.len);
    parts = slice_skip(bytes, HEAD_LEN);
    head_len = head_len_in_entry(&head);
    block = malloc(head_len + parts.len);
    if (block == NULL) {
        return RC_NOMEM;
    }
    memcpy(block + head_len, parts.ptr, parts.len);
    *out_entry = head_make_entry(&head, block + head_len);
    return RC_OK;
}

/* One of ours, of this version, and undamaged? */
static bool
is_value(const char *p, size_t len)
{
    uint64_t sum;

    if (len < HEAD_LEN + ENTRY_SUM_LEN ||
        memcmp(p, codec_magic, sizeof(codec_magic)) != 0 ||
        p[4] != CODEC_VERSION || p[5] != CODING_NONE || p[10] != 0 ||
        p[11] != 0) {
        return false;
    }
    sum = sum_of(p, len);
    return memcmp(p + len - ENTRY_SUM_LEN, &sum, sizeof(sum)) == 0;
}

/* Whoever may write to Redis can compute a checksum, so that what it covers
   is checked as well. A Vary record has its names where a response has private
   fields, and they need not be lines. */
static bool
is_sound(const struct head *h, const char *value, size_t len)
{
    const char *second = value + HEAD_LEN + h->key_len;

    return value_len(h) == len && is_head_sound(h) &&
           are_field_lines(slice_of(second + h->private_len, h->fields_len)) &&
           (is_record(h) || are_field_lines(slice_of(second, h->private_len)));
}

size_t
codec_len(struct slice beginning)
{
    struct head head;

    if (beginning.len < HEAD_LEN ||
        memcmp(beginning.ptr, codec_magic, sizeof(codec_magic)) != 0) {
        return 0;
    }
    head = head_get(beginning.ptr);
    return (size_t)value_len(&head);
}

enum rc
codec_decode(
    char *own_value, size_t len, struct slice key, struct entry **out_entry)
{
    struct head head;
    struct entry *e;
    enum rc rc = RC_BAD;

    MUST(own_value != NULL || len == 0);
    MUST(out_entry != NULL);
    if (!is_value(own_value, len)) {
        goto refuse;
    }
    head = head_get(own_value);
    if (!is_sound(&head, own_value, len)) {
        goto refuse;
    }
    if (!slice_eq(slice_of(own_value + HEAD_LEN, head.key_len), key)) {
        rc = RC_MISS;
        goto refuse;
    }
    e = head_make_entry(&head, own_value + HEAD_LEN);
    e->is_in_value = true;
    MUST(entry_key(e).ptr == own_value + HEAD_LEN);
    MUST(entry_sum(e).ptr + ENTRY_SUM_LEN == own_value + len);
    *out_entry = e;
    return RC_OK;

refuse:
    free(own_value);
    return rc;
}
