/*
 * Keeping the cookies that count. A cookie ends at the next ';', whatever
 * quotes stand around it. A server that reads more into it reads what the key
 * has, since the same bytes are keyed and sent.
 */
#include "nearside/rules/cookies.h"

#include "nearside/base/check.h"
#include "nearside/http/write.h"

static bool
counts(const struct route *route, struct slice cookie)
{
    ptrdiff_t equals = slice_find(cookie, '=');
    struct slice name;

    if (equals < 0) {
        return false;
    }
    name = slice_trim(slice_of(cookie.ptr, (size_t)equals));
    for (size_t i = 0; i < route->cookies_len; i++) {
        if (slice_eq(route->cookies[i], name)) {
            return true;
        }
    }
    return false;
}

/* Those of one line, behind what is there. */
static void
write_counting(struct writer *w, const struct route *route, struct slice line)
{
    struct slice cookie;

    while (slice_split(&line, ';', &cookie)) {
        cookie = slice_trim(cookie);
        if (counts(route, cookie)) {
            write_slice(w, w->len > 0 ? SLICE("; ") : slice_of(NULL, 0));
            write_slice(w, cookie);
        }
    }
}

/* All of the head but its Cookie lines, and in place of the first of them what
   counts, if anything does. */
static void
copy_fields(const struct head *from, struct slice cookies, struct head *to)
{
    const struct field *first = head_find(from, FIELD_COOKIE);

    memcpy(to, from, offsetof(struct head, fields));
    to->field_count = 0;
    to->field_set = 0;
    for (size_t i = 0; i < from->field_count; i++) {
        struct field field = from->fields[i];

        if (field.id == FIELD_COOKIE) {
            field.value = cookies;
        }
        if (field.id != FIELD_COOKIE ||
            (&from->fields[i] == first && cookies.len > 0)) {
            head_add(to, &field);
        }
    }
}

enum rc
cookies_keep(struct arena *arena, const struct route *route,
    const struct head *head, const struct head **out)
{
    /* "a=;" comes back as "a=; ", so what is kept may be longer than it was. */
    size_t size = 2 * head_lines_size(head);
    struct head *kept;
    struct writer w;
    char *text;

    MUST(route != NULL);
    *out = head;
    if (route->cookies_len == 0 || !head_has(head, FIELD_COOKIE)) {
        return RC_OK;
    }
    text = arena_alloc(arena, size);
    kept = arena_alloc(arena, offsetof(struct head, fields) +
                                  head->field_count * sizeof(head->fields[0]));
    if (text == NULL || kept == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, size);
    for (const struct field *f = head_find(head, FIELD_COOKIE); f != NULL;
         f = head_find_next(head, f)) {
        write_counting(&w, route, f->value);
    }
    MUST(!w.is_full);
    copy_fields(head, writer_slice(&w), kept);
    *out = kept;
    return RC_OK;
}
