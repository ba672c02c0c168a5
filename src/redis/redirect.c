/*
 * Error replies. What they say comes from outside and is looked at as such:
 * a redirection names a slot below 16384, a port, and a host that could be
 * one, or it is no redirection.
 */
#include "nearside/redis/redirect.h"

#include "nearside/base/check.h"
#include "nearside/redis/slot.h"

static const struct {
    struct slice word;
    const char *name;
} errors[REDIS_ERROR_COUNT] = {
#define REDIS_ERROR_WORD(WORD, name) {{#WORD, sizeof(#WORD) - 1}, name},
#include "nearside/redis/error.def"
#undef REDIS_ERROR_WORD
};

enum redis_error
redis_error_of(struct slice text)
{
    struct slice word = {NULL, 0};

    (void)slice_split(&text, ' ', &word);
    for (unsigned i = 0; i < REDIS_ERROR_OTHER; i++) {
        if (slice_eq(word, errors[i].word)) {
            return (enum redis_error)i;
        }
    }
    return REDIS_ERROR_OTHER;
}

bool
redis_error_is_of_scripts(struct slice text)
{
    enum redis_error error = redis_error_of(text);

    return error == REDIS_ERROR_NOPERM || error == REDIS_ERROR_OTHER;
}

bool
redis_error_is_for_now(struct slice text)
{
    enum redis_error error = redis_error_of(text);

    return error == REDIS_ERROR_BUSY || error == REDIS_ERROR_LOADING ||
           error == REDIS_ERROR_MASTERDOWN;
}

const char *
redis_error_name(enum redis_error error)
{
    MUST(error < REDIS_ERROR_COUNT);
    return errors[error].name;
}

bool
host_is_sane(struct slice host)
{
    if (host.len == 0 || host.len > HOST_MAX) {
        return false;
    }
    for (size_t i = 0; i < host.len; i++) {
        /* Space ends a field, '?' is how a server says "unknown", and
           the rest of these never stand in a host. */
        if (host.ptr[i] <= ' ' || host.ptr[i] >= 0x7f ||
            strchr("?/@\"\\,", host.ptr[i]) != NULL) {
            return false;
        }
    }
    return true;
}

enum rc
host_port_parse(struct slice text, struct slice *out_host, uint16_t *out_port)
{
    const char *colon = text.len == 0 ? NULL : memrchr(text.ptr, ':', text.len);
    struct slice host;
    uint64_t port;

    MUST(out_host != NULL);
    MUST(out_port != NULL);
    if (colon == NULL) {
        return RC_BAD;
    }
    host = slice_of(text.ptr, (size_t)(colon - text.ptr));
    if (slice_to_u64(slice_skip(text, host.len + 1), UINT16_MAX, &port) !=
            RC_OK ||
        port == 0) {
        return RC_BAD;
    }
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
        host = slice_of(host.ptr + 1, host.len - 2);
    }
    if (host.len > 0 && !host_is_sane(host)) {
        return RC_BAD;
    }
    *out_host = host;
    *out_port = (uint16_t)port;
    return RC_OK;
}

void
address_map_apply(
    const struct address_map *map, struct slice *host, uint16_t *port)
{
    for (size_t i = 0; map != NULL && i < map->rows_len; i++) {
        const struct address_mapping *row = &map->rows[i];

        MUST(row->to_port != 0);
        if (row->port == *port && slice_eq(slice_of_str(row->host), *host)) {
            *host = slice_of_str(row->to_host);
            *port = row->to_port;
            return;
        }
    }
}

enum rc
redirect_parse(struct slice text, struct redirect *out)
{
    enum redis_error kind = redis_error_of(text);
    struct slice word;
    struct slice host;
    uint64_t slot;
    uint16_t port;

    MUST(out != NULL);
    if (kind != REDIS_ERROR_MOVED && kind != REDIS_ERROR_ASK) {
        return RC_BAD;
    }
    (void)slice_split(&text, ' ', &word);
    if (!slice_split(&text, ' ', &word) ||
        slice_to_u64(word, SLOT_COUNT - 1, &slot) != RC_OK) {
        return RC_BAD;
    }
    if (host_port_parse(text, &host, &port) != RC_OK) {
        return RC_BAD;
    }
    *out =
        (struct redirect){.slot = (uint16_t)slot, .port = port, .host = host};
    return RC_OK;
}
