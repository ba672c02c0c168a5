/*
 * What tests read out of structured fields beyond the walk over members
 * (nearside/http/structured.h): parameters, inner lists and texts as they are
 * meant. All of it is what the parser has taken for valid.
 */
#ifndef TESTS_SUPPORT_STRUCTURED_READ_H
#define TESTS_SUPPORT_STRUCTURED_READ_H

#include "nearside/base/check.h"
#include "nearside/http/structured.h"

/* The next of an item's parameters, taken off *params. False: no more. */
static inline bool
sf_next_param(struct slice *params, struct slice *out_key, struct sf_item *out)
{
    struct sf s;

    if (params->len == 0) {
        return false;
    }
    sf_start(&s, slice_skip(*params, 1)); /* as a member with parameters */
    MUST(sf_next_member(&s, out_key, out) == RC_OK);
    MUST(s.rest.len == 0);
    *params = out->params;
    out->params = slice_of(NULL, 0);
    return true;
}

/* The last parameter of that key. False: there is none. */
static inline bool
sf_find_param(const struct sf_item *item, struct slice key, struct sf_item *out)
{
    struct slice rest = item->params, at;
    struct sf_item value;
    bool found = false;

    *out = (struct sf_item){.number = 0};
    while (sf_next_param(&rest, &at, &value)) {
        if (slice_eq(at, key)) {
            *out = value;
            found = true;
        }
    }
    return found;
}

/* The next item of an inner list, taken off *inner. False: no more. */
static inline bool
sf_next_inner(struct slice *inner, struct sf_item *out)
{
    struct sf s;
    enum rc rc;

    sf_start(&s, *inner);
    rc = sf_next_item(&s, out);
    MUST(rc == RC_OK || rc == RC_MISS);
    *inner = s.rest;
    return rc == RC_OK;
}

/* A value that is one item (RFC 9651 4.2.3). RC_BAD: it is not. */
static inline enum rc
sf_parse_item(struct slice value, struct sf_item *out)
{
    struct sf s;

    sf_start(&s, value);
    if (sf_next_item(&s, out) != RC_OK || out->type == SF_INNER_LIST) {
        return RC_BAD;
    }
    while (s.rest.len > 0 && s.rest.ptr[0] == ' ') {
        s.rest = slice_skip(s.rest, 1);
    }
    return s.rest.len == 0 ? RC_OK : RC_BAD;
}

/* Is the whole value valid? An empty one is. */
static inline bool
sf_is_dictionary(struct slice value)
{
    struct sf_item item;
    struct slice key;
    struct sf s;
    enum rc rc;

    sf_start(&s, value);
    do {
        rc = sf_next_member(&s, &key, &item);
    } while (rc == RC_OK);
    return rc == RC_MISS;
}

static inline bool
sf_is_list(struct slice value)
{
    struct sf_item item;
    struct sf s;
    enum rc rc;

    sf_start(&s, value);
    do {
        rc = sf_next_item(&s, &item);
    } while (rc == RC_OK);
    return rc == RC_MISS;
}

static inline void
sf_write_char(struct writer *w, unsigned byte)
{
    char c = (char)byte;

    write_slice(w, slice_of(&c, 1));
}

static inline unsigned
sf_digit(char c, const char *digits)
{
    const char *at = strchr(digits, c);

    MUST(at != NULL && c != '\0');
    return (unsigned)(at - digits);
}

static inline void
sf_write_base64(struct writer *w, struct slice text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, held = 0;

    for (; text.len > 0 && *text.ptr != '='; text = slice_skip(text, 1)) {
        bits = (bits << 6 | sf_digit(*text.ptr, digits)) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            sf_write_char(w, bits >> held & 0xff);
        }
    }
}

/* The text of a string, token, byte sequence or display string as it is
   meant: unescaped, decoded. Never longer than item->text. */
static inline void
sf_write_text(struct writer *w, const struct sf_item *item)
{
    static const char hex[] = "0123456789abcdef";
    struct slice text = item->text;

    if (item->type == SF_BYTES) {
        sf_write_base64(w, text);
        return;
    }
    for (; text.len > 0; text = slice_skip(text, 1)) {
        if (item->type == SF_STRING && *text.ptr == '\\') {
            text = slice_skip(text, 1);
        }
        if (item->type == SF_DISPLAY && *text.ptr == '%') {
            MUST(text.len >= 3);
            sf_write_char(w,
                sf_digit(text.ptr[1], hex) * 16 + sf_digit(text.ptr[2], hex));
            text = slice_skip(text, 2);
        } else {
            sf_write_char(w, (unsigned char)*text.ptr);
        }
    }
}

#endif
