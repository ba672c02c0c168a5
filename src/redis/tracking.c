/*
 * Everything here is looked at as if it came from a stranger: what is not
 * exactly as it has to be is TRACKING_BAD, and its reader takes all keys for
 * changed.
 */
#include "redis/tracking.h"

#include <stdio.h>

#include "nearside/base/check.h"

enum {
    FIELD_MAX = 48,
};

static bool
is_text(const struct redis_reply *reply, struct slice text)
{
    return (reply->type == REDIS_STRING || reply->type == REDIS_STATUS) &&
           slice_eq(slice_of(reply->str, reply->len), text);
}

static bool
are_strings(const struct redis_reply *keys)
{
    MUST(keys->type == REDIS_ARRAY);
    for (size_t i = 0; i < keys->elements_len; i++) {
        if (keys->elements[i]->type != REDIS_STRING) {
            return false;
        }
    }
    return true;
}

/* Of a message on our channel. */
static enum tracking_message
read_changes(const struct redis_reply *changed)
{
    if (changed->type == REDIS_NIL) {
        return TRACKING_ALL;
    }
    return changed->type == REDIS_ARRAY && are_strings(changed) ? TRACKING_KEYS
                                                                : TRACKING_BAD;
}

enum tracking_message
tracking_read(const struct redis_reply *reply)
{
    struct redis_reply **e = reply->elements;

    MUST(reply->type == REDIS_ARRAY || reply->elements_len == 0);
    if (reply->elements_len == 2 && is_text(e[0], SLICE("pong"))) {
        return TRACKING_PONG;
    }
    if (reply->elements_len != 3 || !is_text(e[1], TRACKING_CHANNEL)) {
        return TRACKING_BAD;
    }
    if (is_text(e[0], SLICE("message"))) {
        return read_changes(e[2]);
    }
    return is_text(e[0], SLICE("subscribe")) && e[2]->type == REDIS_INTEGER &&
                   e[2]->integer == 1
               ? TRACKING_SUBSCRIBED
               : TRACKING_BAD;
}

int64_t
tracking_id(const struct redis_reply *reply)
{
    return reply->type == REDIS_INTEGER && reply->integer > 0 ? reply->integer
                                                              : 0;
}

/* The value of " <name>=" in a line of CLIENT LIST; empty: there is none. The
   line has its end with it, behind redir where that is the last (Redis 6.2). */
static struct slice
field_of(struct slice text, const char *name)
{
    struct slice line;
    struct slice value;

    (void)slice_split(&text, '\n', &line);
    while (slice_split(&line, ' ', &value)) {
        size_t len = strlen(name);

        if (value.len > len && value.ptr[len] == '=' &&
            memcmp(value.ptr, name, len) == 0) {
            return slice_skip(value, len + 1);
        }
    }
    return SLICE("");
}

bool
tracking_is_on(const struct redis_reply *reply, int64_t id)
{
    struct slice line = slice_of(reply->str, reply->len);
    char text[FIELD_MAX];
    int len = snprintf(text, sizeof(text), "%lld", (long long)id);

    MUST(id > 0);
    MUST(len > 0 && (size_t)len < sizeof(text));
    if (reply->type == REDIS_ERROR) {
        return true;
    }
    return reply->type == REDIS_STRING &&
           slice_eq(field_of(line, "redir"), slice_of(text, (size_t)len)) &&
           slice_find(field_of(line, "flags"), 't') >= 0 &&
           slice_find(field_of(line, "flags"), 'B') >= 0;
}
