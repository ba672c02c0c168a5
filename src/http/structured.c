/*
 * Structured fields. They are parsed by the algorithms of RFC 9651 4.2 as they
 * stand: each take_ eats its text off *rest, or returns false and the whole
 * field is invalid. Nothing is repaired and nothing is copied. Values of types
 * that no directive has are checked and not told apart.
 */
#include "nearside/http/structured.h"

#include "http/class.h"

enum {
    INTEGER_DIGITS_MAX = 15,
    DECIMAL_DIGITS_MAX = 12, /* before the point */
    FRACTION_DIGITS_MAX = 3,
};

/* Of 15 digits. */
#define INTEGER_MAX UINT64_C(999999999999999)

/* The first byte, or NUL, which is part of nothing. */
static char
peek(struct slice s)
{
    return s.len == 0 ? '\0' : *s.ptr;
}

static bool
is_sp(char c)
{
    return c == ' ';
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_alpha(char c)
{
    return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

/* VCHAR or SP. */
static bool
is_printable(char c)
{
    return c >= 0x20 && c <= 0x7e;
}

static bool
is_token_part(char c)
{
    return byte_is(c, CLASS_TOKEN) || c == ':' || c == '/';
}

static bool
take_char(struct slice *rest, char c)
{
    if (peek(*rest) != c) {
        return false;
    }
    *rest = slice_skip(*rest, 1);
    return true;
}

static struct slice
take_while(struct slice *rest, bool (*is_part)(char))
{
    struct slice all = *rest;

    while (rest->len > 0 && is_part(*rest->ptr)) {
        *rest = slice_skip(*rest, 1);
    }
    return slice_of(all.ptr, all.len - rest->len);
}

/* --- numbers, booleans, dates (4.2.4, 4.2.8, 4.2.9) ---------------------- */

static bool
take_number(struct slice *rest, struct sf_item *out)
{
    bool is_negative = take_char(rest, '-');
    struct slice digits = take_while(rest, is_digit), fraction;

    if (digits.len == 0 || digits.len > INTEGER_DIGITS_MAX) {
        return false;
    }
    if (take_char(rest, '.')) {
        fraction = take_while(rest, is_digit);
        return digits.len <= DECIMAL_DIGITS_MAX && fraction.len > 0 &&
               fraction.len <= FRACTION_DIGITS_MAX;
    }
    out->type = SF_INTEGER;
    for (size_t i = 0; i < digits.len; i++) {
        out->number = out->number * 10 + (digits.ptr[i] - '0');
    }
    out->number = is_negative ? -out->number : out->number;
    return true;
}

static bool
take_date(struct slice *rest)
{
    struct sf_item seconds = {.type = SF_OTHER};

    return take_number(rest, &seconds) && seconds.type == SF_INTEGER;
}

static bool
take_boolean(struct slice *rest, struct sf_item *out)
{
    out->type = SF_BOOLEAN;
    out->number = peek(*rest) == '1';
    return take_char(rest, '0') || take_char(rest, '1');
}

/* --- strings (4.2.5) and byte sequences (4.2.7) -------------------------- */

static bool
take_string(struct slice *rest)
{
    while (is_printable(peek(*rest)) && peek(*rest) != '"') {
        if (take_char(rest, '\\') && peek(*rest) != '"' &&
            peek(*rest) != '\\') {
            return false;
        }
        *rest = slice_skip(*rest, 1);
    }
    return take_char(rest, '"');
}

static bool
is_base64_part(char c)
{
    return is_alpha(c) || is_digit(c) || c == '+' || c == '/';
}

/* Padding is all there or not at all; pad bits are not looked at. */
static bool
take_bytes(struct slice *rest)
{
    size_t over = take_while(rest, is_base64_part).len % 4, pads = 0;

    while (take_char(rest, '=')) {
        pads++;
    }
    return over != 1 && pads <= 2 && (pads == 0 || over + pads == 4) &&
           take_char(rest, ':');
}

/* --- display strings (4.2.10) -------------------------------------------- */

/* UTF-8 (RFC 3629 4), byte by byte: what may come next. */
struct utf8 {
    unsigned left; /* bytes of the character under way */
    unsigned low;  /* bounds of the next of them */
    unsigned high;
};

static bool
begin_character(struct utf8 *u, unsigned byte)
{
    u->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    u->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    u->left = byte < 0x80 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    return byte < 0x80 || (byte >= 0xc2 && byte <= 0xf4);
}

static bool
feed_utf8(struct utf8 *u, unsigned byte)
{
    if (u->left == 0) {
        return begin_character(u, byte);
    }
    if (byte < u->low || byte > u->high) {
        return false;
    }
    u->left--;
    u->low = 0x80;
    u->high = 0xbf;
    return true;
}

/* Lower-case digits only. */
static int
low_hex(char c)
{
    return c >= 'A' && c <= 'F' ? -1 : hex_digit(c);
}

/* Takes one byte as it is meant: itself, or "%c3". False: no such byte. */
static bool
take_octet(struct slice *rest, unsigned *out)
{
    char c = peek(*rest);
    int high, low;

    *rest = slice_skip(*rest, 1);
    *out = (unsigned char)c;
    if (c != '%') {
        return is_printable(c);
    }
    high = low_hex(peek(*rest));
    low = low_hex(peek(slice_skip(*rest, 1)));
    *rest = slice_skip(*rest, 2);
    *out = (unsigned)(high * 16 + low);
    return high >= 0 && low >= 0;
}

static bool
take_display(struct slice *rest)
{
    struct utf8 utf8 = {0, 0, 0};
    unsigned octet;

    if (!take_char(rest, '"')) {
        return false;
    }
    while (peek(*rest) != '"') {
        if (!take_octet(rest, &octet) || !feed_utf8(&utf8, octet)) {
            return false;
        }
    }
    return utf8.left == 0 && take_char(rest, '"');
}

/* --- items, parameters, inner lists (4.2.3, 4.2.1.2) --------------------- */

static bool
take_bare(struct slice *rest, struct sf_item *out)
{
    char c = peek(*rest);

    *out = (struct sf_item){.type = SF_OTHER};
    if (c == '-' || is_digit(c)) {
        return take_number(rest, out);
    }
    *rest = slice_skip(*rest, 1);
    switch (c) {
    case '"':
        return take_string(rest);
    case ':':
        return take_bytes(rest);
    case '?':
        return take_boolean(rest, out);
    case '@':
        return take_date(rest);
    case '%':
        return take_display(rest);
    default: /* a byte, not an enum: a token's first (4.2.6), or none */
        take_while(rest, is_token_part);
        return c == '*' || is_alpha(c);
    }
}

static bool
is_key_part(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '_' || c == '-' ||
           c == '.' || c == '*';
}

static bool
take_key(struct slice *rest, struct slice *out)
{
    char c = peek(*rest);

    *out = take_while(rest, is_key_part);
    return c == '*' || (c >= 'a' && c <= 'z');
}

/* ";a;b=1" */
static bool
take_params(struct slice *rest)
{
    struct sf_item ignored;
    struct slice key;

    while (take_char(rest, ';')) {
        take_while(rest, is_sp);
        if (!take_key(rest, &key) ||
            (take_char(rest, '=') && !take_bare(rest, &ignored))) {
            return false;
        }
    }
    return true;
}

/* Behind the '('. */
static bool
take_inner_list(struct slice *rest)
{
    struct sf_item ignored;

    take_while(rest, is_sp);
    while (!take_char(rest, ')')) {
        if (!take_bare(rest, &ignored) || !take_params(rest) ||
            (peek(*rest) != ' ' && peek(*rest) != ')')) {
            return false;
        }
        take_while(rest, is_sp);
    }
    return true;
}

/* --- dictionaries (4.2.2) ------------------------------------------------ */

static bool
take_member(struct slice *rest, struct slice *out_key, struct sf_item *out)
{
    if (!take_key(rest, out_key)) {
        return false;
    }
    if (!take_char(rest, '=')) {
        *out = (struct sf_item){.type = SF_BOOLEAN, .number = 1};
    } else if (take_char(rest, '(')) {
        *out = (struct sf_item){.type = SF_OTHER};
        if (!take_inner_list(rest)) {
            return false;
        }
    } else if (!take_bare(rest, out)) {
        return false;
    }
    return take_params(rest);
}

/* Behind a member stands nothing, or a comma and another one. */
static bool
take_separator(struct slice *rest)
{
    take_while(rest, is_blank);
    if (rest->len == 0) {
        return true;
    }
    if (!take_char(rest, ',')) {
        return false;
    }
    take_while(rest, is_blank);
    return rest->len > 0;
}

enum rc
sf_next_member(struct slice *rest, struct slice *out_key, struct sf_item *out)
{
    if (rest->len == 0) {
        return RC_MISS;
    }
    if (take_member(rest, out_key, out) && take_separator(rest)) {
        return RC_OK;
    }
    *rest = SLICE("!"); /* no key: later calls fail too */
    return RC_BAD;
}

/* --- writing (4.1) ------------------------------------------------------- */

static void
write_char(struct writer *w, char c)
{
    write_slice(w, slice_of(&c, 1));
}

bool
sf_is_token(struct slice s)
{
    char c = peek(s);

    take_while(&s, is_token_part);
    return (c == '*' || is_alpha(c)) && s.len == 0;
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
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;

    if (value < 0) {
        write_char(w, '-');
    }
    write_u64(w, size < INTEGER_MAX ? size : INTEGER_MAX);
}
