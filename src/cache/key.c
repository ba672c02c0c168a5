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
    MUST(hash_key != NULL);
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
    *out = (struct key){.full = full, .hash = hash_keyed(hash_key, full)};
    return RC_OK;
}

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

enum rc
key_vary(struct arena *arena, const struct hash_key *hash_key,
    const struct key *key, struct slice digest, struct key *out)
{
    struct slice uri = uri_of(key);
    struct slice full;
    char *p;

    MUST(hash_key != NULL);
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
        .hash = hash_keyed(hash_key, full),
    };
    return RC_OK;
}

static bool
is_plain(char c)
{
    return c >= 0x21 && c <= 0x7e && c != '{' && c != '}';
}

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Says yes only if all eight bytes are plain. It says no also to some that are,
   those with a '|' or '~'; the caller then looks at the bytes one by one. A
   carry or borrow between bytes arises only where a byte is not plain, or is
   one of these. */
static bool
are_plain(const char *at)
{
    uint64_t eight;

    memcpy(&eight, at, sizeof(eight));
    return ((eight | (eight + EACH_BYTE(0x80 - '{')) |
                (eight - EACH_BYTE(0x21))) &
               EACH_BYTE(0x80)) == 0;
}

/* How many plain bytes s begins with, at most cap. */
static size_t
plain_run(struct slice s, size_t cap)
{
    size_t max = s.len < cap ? s.len : cap;
    size_t n = 0;

    while (max - n >= 8 && are_plain(s.ptr + n)) {
        n += 8;
    }
    while (n < max && is_plain(s.ptr[n])) {
        n++;
    }
    MUST(n <= cap);
    return n;
}

/*
 * Encodes as much of *rest into out as fits cap; *rest is left with what
 * did not. Gives the length. Nearly always it is one plain run.
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

/* Would this tag be taken for one that ends in a digest? */
static bool
looks_digested(const char *tag, size_t len)
{
    MUST(len <= TAG_MAX);
    if (len <= DIGEST_HEX || tag[len - DIGEST_HEX - 1] != '~') {
        return false;
    }
    for (size_t i = len - DIGEST_HEX; i < len; i++) {
        char c = tag[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
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

/* What stands in the braces; out holds TAG_MAX + 1 bytes. */
static size_t
tag_of(struct slice full, char *out)
{
    struct slice rest = full;
    size_t len = encode(&rest, out, TAG_MAX);

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

enum rc
key_redis(struct arena *arena, struct slice prefix, const struct key *key,
    struct slice *out)
{
    char tag[TAG_MAX + 1];
    size_t tag_len = tag_of(uri_of(key), tag);
    size_t len = prefix.len + 3 + tag_len + 1 +
                 (key->variant.len == 0 ? 0 : VARIANT_LEN);
    char *text;
    char *p;

    /* A brace in the prefix would be the hash tag of every key. */
    MUST(slice_find(prefix, '{') < 0);
    text = arena_alloc(arena, len);
    if (text == NULL) {
        return RC_NOMEM;
    }
    p = slice_put(text, prefix);
    p = slice_put(p, SLICE("e:{"));
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
