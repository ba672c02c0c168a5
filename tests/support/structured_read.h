/*
 * What tests ask of structured fields: is a value valid (by the parser of
 * nearside/http/structured.h), and what does a valid item say.
 */
#ifndef TESTS_SUPPORT_STRUCTURED_READ_H
#define TESTS_SUPPORT_STRUCTURED_READ_H

#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/http/structured.h"

/* Is the whole value valid? An empty one is. */
static inline bool
sf_is_dictionary(struct slice value)
{
    struct sf_item item;
    struct slice key;
    enum rc rc;

    do {
        rc = sf_next_member(&value, &key, &item);
    } while (rc == RC_OK);
    return rc == RC_MISS;
}

/* A value that is one item or inner list with its parameters (RFC 9651
   4.2.3), read as a member's. False: it is not. */
static inline bool
sf_parse_item(struct slice value, struct sf_item *out)
{
    char *text = malloc(2 + value.len);
    struct slice rest = {text, 2 + value.len}, key;
    bool is_one;

    MUST(text != NULL);
    slice_put(slice_put(text, SLICE("k=")), value);
    is_one = sf_next_member(&rest, &key, out) == RC_OK && rest.len == 0;
    free(text);
    return is_one;
}

static inline bool
sf_is_item(struct slice value)
{
    struct sf_item item;

    return sf_parse_item(value, &item);
}

/* Takes what stands before the next ';' outside of a string off a valid
   item: its value, then its parameters. False: no more. */
static inline bool
sf_next_part(struct slice *rest, struct slice *out)
{
    bool is_quoted = false;
    size_t len = 0;

    if (rest->len == 0) {
        return false;
    }
    for (; len < rest->len && (is_quoted || rest->ptr[len] != ';'); len++) {
        is_quoted ^= rest->ptr[len] == '"';
        len += is_quoted && rest->ptr[len] == '\\';
    }
    *out = slice_trim(slice_of(rest->ptr, len));
    *rest = slice_skip(*rest, len + 1);
    return true;
}

/* The last parameter of that key: what stands behind its '=', or nothing.
   False: there is none. */
static inline bool
sf_find_param(struct slice item, struct slice key, struct slice *out)
{
    struct slice part, at;
    bool found = false;

    sf_next_part(&item, &part);
    while (sf_next_part(&item, &part)) {
        if (slice_split(&part, '=', &at) && slice_eq(at, key)) {
            *out = part;
            found = true;
        }
    }
    return found;
}

#endif
