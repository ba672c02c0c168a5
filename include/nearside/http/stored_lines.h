/*
 * Stored field lines ("name: value\r\n", names lower-case), as an entry
 * holds them. All slices given out are loans into the lines. Lines that are
 * cut short or hold no colon end the walk: they are ours, so nothing is
 * there to be repaired.
 */
#ifndef NEARSIDE_HTTP_STORED_LINES_H
#define NEARSIDE_HTTP_STORED_LINES_H

#include "nearside/http/write.h"

/* Takes the next line off *rest. False when there is none. */
static inline bool
stored_next(struct slice *rest, struct slice *out_name, struct slice *out_value)
{
    const char *end, *colon;
    size_t len;

    if (rest->len == 0) {
        return false;
    }
    end = (const char *)memchr(rest->ptr, '\r', rest->len);
    if (end == NULL) {
        return false;
    }
    len = (size_t)(end - rest->ptr);
    colon = (const char *)memchr(rest->ptr, ':', len);
    if (colon == NULL || rest->len - len < 2 || end[1] != '\n') {
        return false;
    }
    *out_name = slice_of(rest->ptr, (size_t)(colon - rest->ptr));
    *out_value = slice_trim(slice_of(colon + 1, (size_t)(end - colon) - 1));
    *rest = slice_skip(*rest, len + 2);
    return true;
}

/*
 * Takes lines off *rest until one of that (lower-case) name; its value.
 * False: there is none any more.
 */
static inline bool
stored_next_of(struct slice *rest, struct slice name, struct slice *out_value)
{
    struct slice at, value;

    while (stored_next(rest, &at, &value)) {
        if (slice_eq(at, name)) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

/* The first value of that (lower-case) name. False: there is none. */
static inline bool
stored_find(struct slice lines, struct slice name, struct slice *out_value)
{
    return stored_next_of(&lines, name, out_value);
}

/*
 * The value of a field that may stand once only. False: it is not there, or
 * several times, and then two readers would take two different ones.
 */
bool stored_find_single(
    struct slice lines, struct slice name, struct slice *out_value);

/*
 * Makes a response head of its stored lines, for functions that read heads:
 * after an update the stored fields count, not the 304's. Only status and
 * fields are filled, as loans into the lines. RC_LIMIT: more than
 * HEAD_FIELDS_MAX lines.
 */
enum rc stored_to_head(
    struct slice lines, unsigned status, struct head *out) RC_MUST_CHECK;

#endif
