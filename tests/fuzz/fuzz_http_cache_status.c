/*
 * Cache-Status and Proxy-Status: whatever is said, a line is one list member
 * of RFC 9651 that says just that, and it is there whole or not at all.
 *
 * Input: marks, fwd, 2 bytes of status, 8 of ttl; then, between line ends,
 * the name and two texts.
 */
#include "fuzz.h"
#include "../support/structured_read.h"
#include "nearside/http/cache_status.h"
#include "nearside/http/proxy_status.h"

enum {
    NUMBERS_LEN = 12,
};

#define NUMBER_MAX INT64_C(999999999999999)

/* Is it that text, as far as a token or a string can say it? */
static void
must_say(struct slice said, struct slice text)
{
    if (sf_is_token(text)) {
        MUST(slice_eq(said, text));
        return;
    }
    MUST(said.len >= 2 && *said.ptr == '"');
    said = slice_skip(said, 1);
    for (size_t i = 0; i < text.len; i++) {
        bool is_plain = text.ptr[i] >= ' ' && text.ptr[i] <= '~';
        said = slice_skip(said, said.len > 0 && *said.ptr == '\\');
        MUST(said.len > 0);
        MUST(*said.ptr == (is_plain ? text.ptr[i] : '?'));
        said = slice_skip(said, 1);
    }
    MUST(slice_eq(said, SLICE("\"")));
}

/* The one member of the line's value. */
static struct slice
member_of(struct slice line, struct slice name)
{
    struct slice value = slice_skip(line, name.len);

    MUST(slice_starts(line, name) && value.len > 2);
    value.len -= 2;
    MUST(slice_find(value, '\r') < 0 && slice_find(value, '\n') < 0);
    MUST(slice_eq(slice_skip(line, line.len - 2), SLICE("\r\n")));
    MUST(sf_is_item(value));
    return value;
}

static void
must_have_text(
    struct slice item, struct slice key, struct slice text, bool quoted)
{
    struct slice said;
    bool is_there = sf_find_param(item, key, &said);

    MUST(is_there == (text.len > 0));
    if (is_there && quoted) {
        MUST(said.len >= 2 && *said.ptr == '"');
    } else if (is_there) {
        must_say(said, text);
    }
}

static void
must_have_number(
    struct slice item, struct slice key, bool is_said, int64_t number)
{
    struct sf_item read;
    struct slice said;

    MUST(sf_find_param(item, key, &said) == is_said);
    if (is_said) {
        number = number > NUMBER_MAX ? NUMBER_MAX : number;
        number = number < -NUMBER_MAX ? -NUMBER_MAX : number;
        MUST(sf_parse_item(said, &read));
        MUST(read.type == SF_INTEGER && read.number == number);
    }
}

static void
must_be_true(struct slice item, struct slice key, bool is_said)
{
    struct slice said;

    MUST(sf_find_param(item, key, &said) == is_said);
    MUST(!is_said || said.len == 0);
}

static void
check_cache(struct slice line, const struct cache_status *s)
{
    struct slice item = member_of(line, SLICE("cache-status: "));
    struct slice rest = item, said;
    bool is_forwarded = s->fwd != CACHE_FWD_NONE;

    sf_next_part(&rest, &said);
    must_say(said, s->name);
    must_be_true(item, SLICE("hit"), s->is_hit);
    MUST(sf_find_param(item, SLICE("fwd"), &said) == is_forwarded);
    MUST(!is_forwarded || sf_is_token(said));
    must_have_number(item, SLICE("fwd-status"),
        is_forwarded && s->fwd_status != 0, s->fwd_status);
    must_have_number(item, SLICE("ttl"), s->has_ttl, s->ttl_s);
    must_be_true(item, SLICE("stored"), is_forwarded && s->is_stored);
    must_be_true(item, SLICE("collapsed"), is_forwarded && s->is_collapsed);
    must_have_text(item, SLICE("key"), s->key, true);
    must_have_text(item, SLICE("detail"), s->detail, false);
}

static void
check_proxy(struct slice line, struct slice name, struct slice error)
{
    struct slice item = member_of(line, SLICE("proxy-status: "));
    struct slice rest = item, said;

    sf_next_part(&rest, &said);
    must_say(said, name);
    must_have_text(item, SLICE("error"), error, false);
}

/* With less room than it takes, nothing is written. */
static void
must_be_whole(size_t len, const struct cache_status *cache, struct slice error)
{
    for (size_t cap = 0; cap < len; cap += 1 + cap / 4) {
        char *text = malloc(cap + 1);
        struct writer w = writer_of(text, cap);

        MUST(text != NULL);
        if (error.ptr == NULL) {
            cache_status_write_line(&w, cache);
        } else {
            proxy_status_write_line(&w, cache->name, error);
        }
        MUST(w.is_full && w.len == 0);
        free(text);
    }
}

static void
try_both(const struct cache_status *cache, struct slice error, size_t size)
{
    size_t cap = 3 * size + 256;
    char *text = malloc(cap);
    struct writer w = writer_of(text, cap);

    MUST(text != NULL);
    cache_status_write_line(&w, cache);
    MUST(!w.is_full);
    check_cache(writer_slice(&w), cache);
    must_be_whole(w.len, cache, slice_of(NULL, 0));
    w = writer_of(text, cap);
    proxy_status_write_line(&w, cache->name, error);
    MUST(!w.is_full);
    check_proxy(writer_slice(&w), cache->name, error);
    must_be_whole(w.len, cache, error);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cache_status cache = {0};
    struct slice rest;
    uint16_t status;
    char *copy;

    if (size < NUMBERS_LEN) {
        return 0;
    }
    memcpy(&status, data + 2, sizeof(status));
    memcpy(&cache.ttl_s, data + 4, sizeof(cache.ttl_s));
    cache.is_hit = (data[0] & 1) != 0;
    cache.has_ttl = (data[0] & 2) != 0;
    cache.is_stored = (data[0] & 4) != 0;
    cache.is_collapsed = (data[0] & 8) != 0;
    cache.fwd = (enum cache_fwd)(data[1] % (CACHE_FWD_STALE + 1));
    cache.fwd_status = status;
    copy = fuzz_copy(
        slice_of((const char *)data + NUMBERS_LEN, size - NUMBERS_LEN));
    rest = slice_of(copy, size - NUMBERS_LEN);
    slice_split(&rest, '\n', &cache.name);
    slice_split(&rest, '\n', &cache.key);
    cache.detail = rest;
    if (cache.name.len > 0) {
        try_both(&cache, sf_is_token(cache.key) ? cache.key : SLICE(""), size);
    }
    free(copy);
    return 0;
}
