/*
 * Writing structured fields (RFC 9651 4.1), and the text of parsed ones as it
 * is meant. Law: only what the parser has taken for valid is decoded.
 */
#include "http/structured_inside.h"

#define INTEGER_MAX INT64_C(999999999999999)

static void
write_char(struct writer *w, char c)
{
    write_slice(w, slice_of(&c, 1));
}

static void
write_unescaped(struct writer *w, struct slice text)
{
    for (; text.len > 0; text = slice_skip(text, 1)) {
        if (*text.ptr == '\\') {
            text = slice_skip(text, 1);
        }
        write_char(w, *text.ptr);
    }
}

static void
write_base64_decoded(struct writer *w, struct slice text)
{
    unsigned bits = 0, held = 0;
    int digit;

    for (; (digit = base64_digit(peek(text))) >= 0;
         text = slice_skip(text, 1)) {
        bits = (bits << 6 | (unsigned)digit) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            write_char(w, (char)(bits >> held & 0xff));
        }
    }
}

static void
write_percent_decoded(struct writer *w, struct slice text)
{
    unsigned octet;

    while (text.len > 0 && sf_take_octet(&text, &octet)) {
        write_char(w, (char)octet);
    }
}

void
sf_write_text(struct writer *w, const struct sf_item *item)
{
    switch (item->type) {
    case SF_STRING:
        write_unescaped(w, item->text);
        return;
    case SF_TOKEN:
        write_slice(w, item->text);
        return;
    case SF_BYTES:
        write_base64_decoded(w, item->text);
        return;
    case SF_DISPLAY:
        write_percent_decoded(w, item->text);
        return;
    case SF_INTEGER:
    case SF_DECIMAL:
    case SF_BOOLEAN:
    case SF_DATE:
    case SF_INNER_LIST:
        return;
    }
}

bool
sf_is_token(struct slice s)
{
    if (peek(s) != '*' && !is_alpha(peek(s))) {
        return false;
    }
    while (is_token_part(peek(s))) {
        s = slice_skip(s, 1);
    }
    return s.len == 0;
}

void
sf_write_string(struct writer *w, struct slice s)
{
    write_char(w, '"');
    for (size_t i = 0; i < s.len; i++) {
        char c = is_printable(s.ptr[i]) ? s.ptr[i] : '?';
        if (c == '"' || c == '\\') {
            write_char(w, '\\');
        }
        write_char(w, c);
    }
    write_char(w, '"');
}

void
sf_write_token_or_string(struct writer *w, struct slice s)
{
    if (sf_is_token(s)) {
        write_slice(w, s);
    } else {
        sf_write_string(w, s);
    }
}

void
sf_write_integer(struct writer *w, int64_t value)
{
    if (value < 0) {
        write_slice(w, SLICE("-"));
        value = value < -INTEGER_MAX ? INTEGER_MAX : -value;
    }
    write_u64(w, (uint64_t)(value > INTEGER_MAX ? INTEGER_MAX : value));
}
