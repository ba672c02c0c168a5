/*
 * Keys. The full key tells two responses apart and is what an entry is
 * checked against; the Redis key is its readable name in the cluster.
 *
 *     ns:e:{http://shop.example/products/42}:6d0f...
 *           '------- the hash tag -------'   variant
 *
 * Laws of the tag: it is never empty (Redis would hash the whole key, and
 * entry and lease would part), it holds no brace, and it has at most
 * TAG_MAX bytes. A longer one keeps its head and ends in '~' and the
 * SHA-256 of the part of the full key that the head does not show. A short
 * one that happens to look like that is treated the same way, so that
 * nobody can ask for a URI whose name is that of another, long one.
 *
 * Two URIs that differ only in "{" against "%7B" share a name. That costs a
 * miss, never a wrong answer: the value carries the full key.
 */
#include "nearside/memory/key.h"

#include <sys/types.h>

#include <sha2.h>

#include "nearside/base/check.h"

enum {
    TAG_MAX = 200,
    DIGEST_HEX = SHA256_DIGEST_LENGTH * 2,
    HEAD_MAX = TAG_MAX - DIGEST_HEX - 1, /* and the '~' */
    ESCAPE_LEN = 3,                      /* "%7B" */
};

enum rc
key_full(struct arena *arena, struct slice scheme, struct slice host,
    struct slice target, struct slice *out)
{
    static const char sep[3] = {':', '/', '/'};
    size_t len = scheme.len + sizeof(sep) + host.len + target.len;
    char *key;
    char *p;

    MUST(arena != NULL);
    MUST(scheme.len > 0);
    key = arena_alloc(arena, len);
    if (key == NULL) {
        return RC_NOMEM;
    }
    p = mempcpy(key, scheme.ptr, scheme.len);
    p = mempcpy(p, sep, sizeof(sep));
    if (host.len > 0) {
        p = mempcpy(p, host.ptr, host.len);
    }
    if (target.len > 0) {
        memcpy(p, target.ptr, target.len);
    }
    *out = slice_of(key, len);
    return RC_OK;
}

static bool
is_plain(char c)
{
    return c >= 0x21 && c <= 0x7e && c != '{' && c != '}';
}

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Are these eight all plain? Said of nearly every eight that are: those with
   one of "{|}~" are looked at byte by byte. A carry or borrow between bytes
   comes from one that is not plain. */
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
    return len;
}

/* Would this tag be taken for one that ends in a digest? */
static bool
looks_digested(const char *tag, size_t len)
{
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
    SHA256Data((const uint8_t *)(s.len == 0 ? "" : s.ptr), s.len, out);
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
    return len + DIGEST_HEX;
}

static bool
is_hex(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
                (c >= 'A' && c <= 'F'))) {
            return false;
        }
    }
    return true;
}

enum rc
key_redis(struct arena *arena, struct slice prefix, enum key_kind kind,
    struct slice full, struct slice variant, struct slice *out)
{
    char tag[TAG_MAX + 1];
    size_t tag_len = tag_of(full, tag);
    size_t len = prefix.len + 3 + tag_len + 1;
    char *key;
    char *p;

    /* A brace in the prefix would be the hash tag of every key. */
    MUST(slice_find(prefix, '{') < 0);
    MUST(variant.len == 0 || is_hex(variant));
    len += variant.len > 0 ? variant.len + 1 : 0;
    key = arena_alloc(arena, len);
    if (key == NULL) {
        return RC_NOMEM;
    }
    p = prefix.len > 0 ? mempcpy(key, prefix.ptr, prefix.len) : key;
    *p++ = kind == KEY_ENTRY ? 'e' : 'l';
    *p++ = ':';
    *p++ = '{';
    p = mempcpy(p, tag, tag_len);
    *p++ = '}';
    if (variant.len > 0) {
        *p++ = ':';
        memcpy(p, variant.ptr, variant.len);
    }
    *out = slice_of(key, len);
    return RC_OK;
}

void
key_lease_of(struct slice entry, struct slice prefix, char *out)
{
    MUST(slice_starts(entry, prefix));
    MUST(entry.len > prefix.len && entry.ptr[prefix.len] == 'e');
    memcpy(out, entry.ptr, entry.len);
    out[prefix.len] = 'l';
}
