/*
 * Keys. The full key tells two responses apart, and an entry is checked
 * against it. The Redis key is its readable name in the cluster.
 *
 *     ns:e:{http://shop.example/products/42}:6d0f...
 *           '------- the hash tag -------'   variant
 *
 * Laws of the tag: it is never empty (Redis would hash the whole key, and
 * entry and lease would part), it holds no brace and no byte outside 0x21-0x7e
 * (they are percent-encoded), and it has at most TAG_MAX bytes. A longer one
 * keeps its head and ends in '~' and the SHA-256 of the part of the full key
 * that the head does not show (unkeyed: every instance must find the same
 * key). A short one that happens to look like that is treated the same way, so
 * that nobody can ask for a URI whose name is that of another, long one.
 *
 * Two URIs that differ only in "{" against "%7B" share a name. That costs a
 * miss, never a wrong answer: the value carries the full key.
 */
#include "nearside/cache/key.h"

#include <sys/types.h>

#include <sha2.h>

#include "nearside/base/check.h"

enum {
    TAG_MAX = 200,
    DIGEST_HEX = SHA256_DIGEST_LENGTH * 2,
    HEAD_MAX = TAG_MAX - DIGEST_HEX - 1, /* and the '~' */
    ESCAPE_LEN = 3,                      /* "%7B" */
    VARIANT_LEN = 1 + DIGEST_LEN,        /* " 6d0f..." in a full key */
};

/* How an entry's name begins, behind the prefix. */
#define ENTRY_OPEN "e:{"

static struct slice
variant_of(struct slice full)
{
    MUST(full.len > VARIANT_LEN);
    MUST(full.ptr[full.len - VARIANT_LEN] == ' ');
    return slice_skip(full, full.len - DIGEST_LEN);
}

/* The full key without its variant. */
static struct slice
uri_of(const struct key *key)
{
    if (key->variant.len == 0) {
        return key->full;
    }
    MUST(key->variant.len == DIGEST_LEN);
    MUST(key->variant.ptr == variant_of(key->full).ptr);
    return slice_of(key->full.ptr, key->full.len - VARIANT_LEN);
}

static bool
is_plain(char c)
{
    return c >= 0x21 && c <= 0x7e && c != '{' && c != '}';
}

typedef signed char bytes16 __attribute__((vector_size(16)));

/* Sixteen bytes at once; bit 0 of those that are not plain is set. Bytes from
   0x80 on are negative, and above 'z' it is the odd ones that are not plain. */
static inline bytes16
odd_bytes(const char *at)
{
    bytes16 b;

    memcpy(&b, at, sizeof(b));
    return (b < 0x21) | ((b > 'z') & b);
}

static inline bool
is_any_odd(bytes16 odd)
{
    uint64_t halves[2];

    memcpy(halves, &odd, sizeof(halves));
    return ((halves[0] | halves[1]) & UINT64_C(0x0101010101010101)) != 0;
}

/* How many plain bytes s begins with, at most cap. */
static size_t
plain_run(struct slice s, size_t cap)
{
    size_t max = s.len < cap ? s.len : cap;
    size_t n = 0;

    while (max - n >= sizeof(bytes16) && !is_any_odd(odd_bytes(s.ptr + n))) {
        n += sizeof(bytes16);
    }
    while (n < max && is_plain(s.ptr[n])) {
        n++;
    }
    MUST(n <= cap);
    return n;
}

/* Are they plain, all of them? This is asked for each key. The last sixteen are
   looked at together, whether or not some of them were seen before. */
static bool
are_plain(struct slice s)
{
    bytes16 odd;
    size_t last;

    if (s.len < sizeof(odd)) {
        return plain_run(s, s.len) == s.len;
    }
    last = s.len - sizeof(odd);
    odd = odd_bytes(s.ptr + last);
    for (size_t i = 0; i < last; i += sizeof(odd)) {
        odd |= odd_bytes(s.ptr + i);
    }
    return !is_any_odd(odd);
}

/*
 * Encodes as much of *rest into out as fits cap; *rest is left with what
 * did not. Gives the length.
 */
static size_t
encode(struct slice *rest, char *out, size_t cap)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = 0;

    MUST(cap >= ESCAPE_LEN);
    while (rest->len > 0) {
        size_t run = plain_run(*rest, cap - len);
        unsigned char c;

        memcpy(out + len, rest->ptr, run);
        len += run;
        *rest = slice_skip(*rest, run);
        if (rest->len == 0 || is_plain(rest->ptr[0]) ||
            cap - len < ESCAPE_LEN) {
            break;
        }
        c = (unsigned char)rest->ptr[0];
        out[len++] = '%';
        out[len++] = hex[c >> 4];
        out[len++] = hex[c & 15];
        *rest = slice_skip(*rest, 1);
    }
    MUST(len <= cap);
    return len;
}

static bool
is_hex(struct slice s)
{
    MUST(s.ptr != NULL || s.len == 0);
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

/* Would this tag be taken for one that ends in a digest? */
static bool
looks_digested(const char *tag, size_t len)
{
    MUST(len <= TAG_MAX);
    if (len <= DIGEST_HEX || tag[len - DIGEST_HEX - 1] != '~') {
        return false;
    }
    return is_hex(slice_of(tag + len - DIGEST_HEX, DIGEST_HEX));
}

static void
sha256_hex(struct slice s, char out[DIGEST_HEX + 1])
{
    MUST(s.ptr != NULL || s.len == 0);
    SHA256Data((const uint8_t *)(s.len == 0 ? "" : s.ptr), s.len, out);
}

void
digest_hex(struct slice s, char out[DIGEST_LEN])
{
    char whole[DIGEST_HEX + 1];

    sha256_hex(s, whole);
    memcpy(out, whole, DIGEST_LEN);
}

/* Is the URI its own tag? Nearly all are. */
static inline bool
is_tag(struct slice uri)
{
    return uri.len > 0 && uri.len <= TAG_MAX && are_plain(uri) &&
           !looks_digested(uri.ptr, uri.len);
}

/* What stands in the braces; out holds TAG_MAX + 1 bytes. */
static size_t
tag_of(struct slice full, char *out)
{
    struct slice rest = full;
    size_t len;

    if (is_tag(full)) {
        memcpy(out, full.ptr, full.len);
        return full.len;
    }
    len = encode(&rest, out, TAG_MAX);
    if (len > 0 && rest.len == 0 && !looks_digested(out, len)) {
        return len;
    }
    rest = full;
    len = encode(&rest, out, HEAD_MAX);
    out[len++] = '~';
    sha256_hex(rest, out + len);
    MUST(len + DIGEST_HEX <= TAG_MAX);
    return len + DIGEST_HEX;
}

/*
 * The hash is that of a full key whose URI is the tag: "<tag>", or
 * "<tag> <variant>". So it follows from the name in Redis, and is nearly always
 * that of the full key as it stands there. No tag holds a space: no two names
 * are hashed as the same bytes.
 */
static uint64_t
hash_of_tag(
    const struct hash_key *hash_key, struct slice tag, struct slice variant)
{
    char text[TAG_MAX + VARIANT_LEN];
    char *end = text;

    MUST(tag.len <= TAG_MAX);
    if (variant.len == 0) {
        return hash_keyed(hash_key, tag);
    }
    MUST(variant.len == DIGEST_LEN);
    end = slice_put(end, tag);
    *end++ = ' ';
    end = slice_put(end, variant);
    return hash_keyed(hash_key, slice_of(text, (size_t)(end - text)));
}

static uint64_t
hash_of_odd(
    const struct hash_key *hash_key, struct slice uri, struct slice variant)
{
    char tag[TAG_MAX + 1];
    size_t len = tag_of(uri, tag);

    MUST(len > 0);
    MUST(len <= TAG_MAX);
    return hash_of_tag(hash_key, slice_of(tag, len), variant);
}

/* The common key pays for no buffer. */
static inline uint64_t
hash_of(const struct hash_key *hash_key, struct slice uri, struct slice variant,
    struct slice full)
{
    MUST(hash_key != NULL);
    return is_tag(uri) ? hash_keyed(hash_key, full)
                       : hash_of_odd(hash_key, uri, variant);
}

enum rc
key_make(struct arena *arena, const struct hash_key *hash_key,
    const struct key_uri *uri, struct key *out)
{
    const struct slice sep = SLICE("://");
    size_t len = uri->scheme.len + sep.len + uri->host.len + uri->target.len;
    struct slice full;
    char *key;
    char *p;

    MUST(arena != NULL);
    MUST(uri->scheme.len > 0);
    key = arena_alloc(arena, len);
    if (key == NULL) {
        return RC_NOMEM;
    }
    p = slice_put(key, uri->scheme);
    p = slice_put(p, sep);
    p = slice_put(p, uri->host);
    p = slice_put(p, uri->target);
    MUST(p == key + len);
    full = slice_of(key, len);
    *out = (struct key){
        .full = full,
        .hash = hash_of(hash_key, full, slice_of(NULL, 0), full),
    };
    return RC_OK;
}

struct key
key_of_full(const struct hash_key *hash_key, struct slice full)
{
    return (struct key){
        .full = full,
        .hash = hash_of(hash_key, full, slice_of(NULL, 0), full),
    };
}

enum rc
key_vary(struct arena *arena, const struct hash_key *hash_key,
    const struct key *key, struct slice digest, struct key *out)
{
    struct slice uri = uri_of(key);
    struct slice full;
    char *p;

    MUST(digest.len == DIGEST_LEN);
    p = arena_alloc(arena, uri.len + VARIANT_LEN);
    if (p == NULL) {
        return RC_NOMEM;
    }
    full = slice_of(p, uri.len + VARIANT_LEN);
    p = slice_put(p, uri);
    *p++ = ' ';
    p = slice_put(p, digest);
    MUST(p == full.ptr + full.len);
    *out = (struct key){
        .full = full,
        .variant = variant_of(full),
        .hash = hash_of(hash_key, uri, digest, full),
    };
    return RC_OK;
}

enum rc
key_redis(struct arena *arena, struct slice prefix, const struct key *key,
    struct slice *out)
{
    char tag[TAG_MAX + 1];
    size_t tag_len = tag_of(uri_of(key), tag);
    size_t len = prefix.len + sizeof(ENTRY_OPEN) - 1 + tag_len + 1 +
                 (key->variant.len == 0 ? 0 : VARIANT_LEN);
    char *text;
    char *p;

    MUST(tag_len > 0); /* Redis would take the whole key for the tag */
    /* A brace in the prefix would be the hash tag of every key. */
    MUST(slice_find(prefix, '{') < 0);
    text = arena_alloc(arena, len);
    if (text == NULL) {
        return RC_NOMEM;
    }
    p = slice_put(text, prefix);
    p = slice_put(p, SLICE(ENTRY_OPEN));
    p = mempcpy(p, tag, tag_len);
    *p++ = '}';
    if (key->variant.len > 0) {
        *p++ = ':';
        p = slice_put(p, key->variant);
    }
    MUST(p == text + len);
    *out = slice_of(text, len);
    return RC_OK;
}

/* No target of a request holds a space, so that a digest behind one is a
   variant. */
enum rc
key_redis_of_full(struct arena *arena, struct slice prefix, struct slice full,
    struct slice *out)
{
    struct key key = {.full = full};

    MUST(full.len > 0);
    if (full.len > VARIANT_LEN && full.ptr[full.len - VARIANT_LEN] == ' ' &&
        is_hex(variant_of(full))) {
        key.variant = variant_of(full);
    }
    return key_redis(arena, prefix, &key, out);
}

/* Takes the tag and its closing brace from what stands behind ENTRY_OPEN. */
static bool
take_tag(struct slice *rest, struct slice *out_tag)
{
    ptrdiff_t end = slice_find(*rest, '}');

    if (end <= 0 || end > TAG_MAX) {
        return false;
    }
    *out_tag = slice_of(rest->ptr, (size_t)end);
    *rest = slice_skip(*rest, (size_t)end + 1);
    return are_plain(*out_tag);
}

bool
key_hash_of_name(const struct hash_key *hash_key, struct slice prefix,
    struct slice redis_key, uint64_t *out_hash)
{
    struct slice rest = redis_key;
    struct slice variant = {NULL, 0};
    struct slice tag;

    MUST(hash_key != NULL);
    MUST(out_hash != NULL);
    if (!slice_starts(rest, prefix)) {
        return false;
    }
    rest = slice_skip(rest, prefix.len);
    if (!slice_starts(rest, SLICE(ENTRY_OPEN))) {
        return false;
    }
    rest = slice_skip(rest, sizeof(ENTRY_OPEN) - 1);
    if (!take_tag(&rest, &tag)) {
        return false;
    }
    if (rest.len > 0) {
        variant = slice_skip(rest, 1);
        if (rest.ptr[0] != ':' || variant.len != DIGEST_LEN ||
            !is_hex(variant)) {
            return false;
        }
    }
    *out_hash = hash_of_tag(hash_key, tag, variant);
    return true;
}

static void
beside(struct slice entry, struct slice prefix, char kind, char *out)
{
    MUST(slice_starts(entry, prefix));
    MUST(entry.len > prefix.len && entry.ptr[prefix.len] == 'e');
    memcpy(out, entry.ptr, entry.len);
    out[prefix.len] = kind;
}

void
key_lease_of(struct slice entry, struct slice prefix, char *out)
{
    beside(entry, prefix, 'l', out);
}

void
key_fence_of(struct slice entry, struct slice prefix, char *out)
{
    beside(entry, prefix, 'w', out);
}

enum rc
key_names(struct arena *arena, struct slice record_key, struct slice generation,
    struct slice *out)
{
    const struct slice sep = SLICE(":names:");
    size_t len = record_key.len + sep.len + generation.len;
    char *text = arena_alloc(arena, len);
    char *p;

    /* The slot is that of the part in braces. */
    MUST(slice_find(record_key, '{') >= 0);
    if (text == NULL) {
        return RC_NOMEM;
    }
    p = slice_put(text, record_key);
    p = slice_put(p, sep);
    p = slice_put(p, generation);
    MUST(p == text + len);
    *out = slice_of(text, len);
    return RC_OK;
}
