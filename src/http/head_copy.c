/*
 * A copy of a parsed head. The bytes are copied in one piece and the slices
 * moved along, which costs less than copying each; what does not lie in those
 * bytes, such as a default host, is static or outlives the copy and stays.
 */
#include "nearside/base/arena.h"
#include "nearside/base/check.h"
#include "nearside/http/head.h"

struct move {
    struct slice from;
    const char *to;
};

static void
move(struct slice *s, const struct move *m)
{
    uintptr_t at = (uintptr_t)s->ptr - (uintptr_t)m->from.ptr;

    if (at < m->from.len) {
        s->ptr = m->to + at;
    }
}

/* "http://host?query" has no path, which is sent as "/" (RFC 9112 3.2.1). */
static enum rc
add_slash(struct slice *target, struct arena *arena)
{
    char *text;

    if (target->len == 0 || target->ptr[0] != '?') {
        return RC_OK;
    }
    text = arena_alloc(arena, target->len + 1);
    if (text == NULL) {
        return RC_NOMEM;
    }
    text[0] = '/';
    memcpy(text + 1, target->ptr, target->len);
    *target = slice_of(text, target->len + 1);
    return RC_OK;
}

enum rc
head_copy(const struct head *head, struct slice raw, struct arena *arena,
    struct head **out)
{
    size_t fields_size = head->field_count * sizeof(head->fields[0]);
    size_t size = offsetof(struct head, fields) + fields_size;
    struct head *copy = arena_alloc(arena, size);
    char *bytes = arena_alloc(arena, raw.len);
    const struct move m = {.from = raw, .to = bytes};

    MUST(head->field_count <= HEAD_FIELDS_MAX);
    if (copy == NULL || bytes == NULL) {
        return RC_NOMEM;
    }
    if (raw.len > 0) {
        memcpy(bytes, raw.ptr, raw.len);
    }
    memcpy(copy, head, size);
    move(&copy->method_text, &m);
    move(&copy->target, &m);
    move(&copy->host, &m);
    move(&copy->reason, &m);
    move(&copy->version, &m);
    for (size_t i = 0; i < copy->field_count; i++) {
        move(&copy->fields[i].name, &m);
        move(&copy->fields[i].value, &m);
    }
    *out = copy;
    return copy->is_refused ? RC_OK : add_slash(&copy->target, arena);
}
