/*
 * Parsing structured fields (RFC 9651 4.2), by the algorithms of the RFC as
 * they stand: each take_ eats its text off *rest, or returns false and the
 * whole field is invalid. Nothing is repaired and nothing is copied.
 */
#include "http/structured_inside.h"

#include "nearside/base/check.h"

enum {
    INTEGER_DIGITS_MAX = 15,
    DECIMAL_DIGITS_MAX = 12, /* before the point */
    FRACTION_DIGITS_MAX = 3,
};

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
skip_sp(struct slice s)
{
    while (peek(s) == ' ') {
        s = slice_skip(s, 1);
    }
    return s;
}

static struct slice
skip_blanks(struct slice s)
{
    while (peek(s) == ' ' || peek(s) == '\t') {
        s = slice_skip(s, 1);
    }
    return s;
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

static int64_t
number_of(struct slice digits)
{
    int64_t value = 0;

    for (size_t i = 0; i < digits.len; i++) {
        value = value * 10 + (digits.ptr[i] - '0');
    }
    return value;
}

/* Behind the point: *thousandths of what is there. */
static bool
take_fraction(struct slice *rest, int64_t *thousandths)
{
    struct slice digits = take_while(rest, is_digit);

    if (digits.len == 0 || digits.len > FRACTION_DIGITS_MAX) {
        return false;
    }
    *thousandths = number_of(digits);
    for (size_t i = digits.len; i < FRACTION_DIGITS_MAX; i++) {
        *thousandths *= 10;
    }
    return true;
}

static bool
take_number(struct slice *rest, struct sf_item *out)
{
    bool is_negative = take_char(rest, '-');
    struct slice digits = take_while(rest, is_digit);
    int64_t thousandths;

    if (digits.len == 0 || digits.len > INTEGER_DIGITS_MAX) {
        return false;
    }
    out->type = SF_INTEGER;
    out->number = number_of(digits);
    if (take_char(rest, '.')) {
        if (digits.len > DECIMAL_DIGITS_MAX ||
            !take_fraction(rest, &thousandths)) {
            return false;
        }
        out->type = SF_DECIMAL;
        out->number = out->number * 1000 + thousandths;
    }
    if (is_negative) {
        out->number = -out->number;
    }
    return true;
}

static bool
take_date(struct slice *rest, struct sf_item *out)
{
    if (!take_char(rest, '@') || !take_number(rest, out) ||
        out->type != SF_INTEGER) {
        return false;
    }
    out->type = SF_DATE;
    return true;
}

static bool
take_boolean(struct slice *rest, struct sf_item *out)
{
    char c;

    *rest = slice_skip(*rest, 1);
    c = peek(*rest);
    if (c != '0' && c != '1') {
        return false;
    }
    *rest = slice_skip(*rest, 1);
    out->type = SF_BOOLEAN;
    out->number = c - '0';
    return true;
}

/* --- strings and tokens (4.2.5, 4.2.6) ----------------------------------- */

static bool
take_string(struct slice *rest, struct sf_item *out)
{
    struct slice at = slice_skip(*rest, 1);
    const char *start = at.ptr;

    for (; at.len > 0 && *at.ptr != '"'; at = slice_skip(at, 1)) {
        if (*at.ptr == '\\') {
            at = slice_skip(at, 1);
            if (peek(at) != '"' && peek(at) != '\\') {
                return false;
            }
        } else if (!is_printable(*at.ptr)) {
            return false;
        }
    }
    if (at.len == 0) {
        return false;
    }
    out->type = SF_STRING;
    out->text = slice_of(start, (size_t)(at.ptr - start));
    *rest = slice_skip(at, 1);
    return true;
}

static bool
take_token(struct slice *rest, struct sf_item *out)
{
    out->type = SF_TOKEN;
    out->text = take_while(rest, is_token_part);
    return true;
}

/* --- byte sequences (4.2.7) ---------------------------------------------- */

static bool
is_base64_part(char c)
{
    return is_alpha(c) || is_digit(c) || c == '+' || c == '/';
}

/* Padding is all there or not at all; pad bits are not looked at. */
static bool
take_bytes(struct slice *rest, struct sf_item *out)
{
    struct slice at = slice_skip(*rest, 1);
    const char *start = at.ptr;
    struct slice digits = take_while(&at, is_base64_part);
    size_t over = digits.len % 4, pads = 0;

    while (take_char(&at, '=')) {
        pads++;
    }
    if (over == 1 || (pads > 0 && over + pads != 4) || pads > 2 ||
        !take_char(&at, ':')) {
        return false;
    }
    out->type = SF_BYTES;
    out->text = slice_of(start, (size_t)(at.ptr - start) - 1);
    *rest = at;
    return true;
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
    int high, low;

    if (!is_printable(peek(*rest))) {
        return false;
    }
    if (peek(*rest) != '%') {
        *out = (unsigned char)*rest->ptr;
        *rest = slice_skip(*rest, 1);
        return true;
    }
    high = rest->len < 3 ? -1 : low_hex(rest->ptr[1]);
    low = rest->len < 3 ? -1 : low_hex(rest->ptr[2]);
    if (high < 0 || low < 0) {
        return false;
    }
    *out = (unsigned)(high * 16 + low);
    *rest = slice_skip(*rest, 3);
    return true;
}

static bool
take_display(struct slice *rest, struct sf_item *out)
{
    struct slice at = slice_skip(*rest, 1);
    struct utf8 utf8 = {0, 0, 0};
    const char *start;
    unsigned octet;

    if (!take_char(&at, '"')) {
        return false;
    }
    start = at.ptr;
    while (at.len > 0 && *at.ptr != '"') {
        if (!take_octet(&at, &octet) || !feed_utf8(&utf8, octet)) {
            return false;
        }
    }
    if (at.len == 0 || utf8.left > 0) {
        return false;
    }
    out->type = SF_DISPLAY;
    out->text = slice_of(start, (size_t)(at.ptr - start));
    *rest = slice_skip(at, 1);
    return true;
}

/* --- items, parameters, inner lists (4.2.3, 4.2.1.2) --------------------- */

static bool
take_bare(struct slice *rest, struct sf_item *out)
{
    char c = peek(*rest);

    *out = (struct sf_item){.type = SF_TOKEN};
    if (c == '-' || is_digit(c)) {
        return take_number(rest, out);
    }
    if (c == '*' || is_alpha(c)) {
        return take_token(rest, out);
    }
    switch (c) {
    case '"':
        return take_string(rest, out);
    case ':':
        return take_bytes(rest, out);
    case '?':
        return take_boolean(rest, out);
    case '@':
        return take_date(rest, out);
    case '%':
        return take_display(rest, out);
    default: /* a byte, not an enum */
        return false;
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

    if (c != '*' && (c < 'a' || c > 'z')) {
        return false;
    }
    *out = take_while(rest, is_key_part);
    return true;
}

static struct sf_item
item_true(void)
{
    return (struct sf_item){.type = SF_BOOLEAN, .number = 1};
}

/* ";a=1" */
static bool
take_param(struct slice *rest, struct slice *out_key, struct sf_item *out)
{
    if (!take_char(rest, ';')) {
        return false;
    }
    *rest = skip_sp(*rest);
    if (!take_key(rest, out_key)) {
        return false;
    }
    *out = item_true();
    return !take_char(rest, '=') || take_bare(rest, out);
}

static bool
take_params(struct slice *rest, struct slice *out)
{
    struct slice all = *rest, key;
    struct sf_item ignored;

    while (peek(*rest) == ';') {
        if (!take_param(rest, &key, &ignored)) {
            return false;
        }
    }
    *out = slice_of(all.ptr, all.len - rest->len);
    return true;
}

static bool
take_item(struct slice *rest, struct sf_item *out)
{
    return take_bare(rest, out) && take_params(rest, &out->params);
}

static bool
take_inner_list(struct slice *rest, struct sf_item *out)
{
    struct slice at = slice_skip(*rest, 1);
    const char *start = at.ptr;
    struct sf_item member;

    for (at = skip_sp(at); peek(at) != ')'; at = skip_sp(at)) {
        if (!take_item(&at, &member) || (peek(at) != ' ' && peek(at) != ')')) {
            return false;
        }
    }
    *out = (struct sf_item){
        .type = SF_INNER_LIST,
        .text = slice_of(start, (size_t)(at.ptr - start)),
    };
    *rest = slice_skip(at, 1);
    return take_params(rest, &out->params);
}

static bool
take_value(struct slice *rest, struct sf_item *out)
{
    return peek(*rest) == '(' ? take_inner_list(rest, out)
                              : take_item(rest, out);
}

/* --- the walk (4.2.1, 4.2.2) --------------------------------------------- */

void
sf_start(struct sf *s, struct slice value)
{
    *s = (struct sf){.rest = skip_sp(value)};
}

/* Stands before a member. RC_MISS: at the end. */
static enum rc
begin_member(struct sf *s)
{
    if (s->is_begun) {
        s->rest = skip_blanks(s->rest);
    }
    if (s->rest.len == 0) {
        return RC_MISS;
    }
    if (s->is_begun) {
        if (!take_char(&s->rest, ',')) {
            return RC_BAD;
        }
        s->rest = skip_blanks(s->rest);
    }
    s->is_begun = true;
    return s->rest.len == 0 ? RC_BAD : RC_OK;
}

/* What is no separator stays before all later calls: they fail too. */
static enum rc
fail(struct sf *s)
{
    s->rest = SLICE("!");
    s->is_begun = true;
    return RC_BAD;
}

static bool
take_member(struct slice *rest, struct slice *out_key, struct sf_item *out)
{
    if (!take_key(rest, out_key)) {
        return false;
    }
    if (take_char(rest, '=')) {
        return take_value(rest, out);
    }
    *out = item_true();
    return take_params(rest, &out->params);
}

enum rc
sf_next_member(struct sf *s, struct slice *out_key, struct sf_item *out)
{
    enum rc rc = begin_member(s);

    if (rc == RC_OK && !take_member(&s->rest, out_key, out)) {
        rc = RC_BAD;
    }
    return rc == RC_BAD ? fail(s) : rc;
}

enum rc
sf_next_item(struct sf *s, struct sf_item *out)
{
    enum rc rc = begin_member(s);

    if (rc == RC_OK && !take_value(&s->rest, out)) {
        rc = RC_BAD;
    }
    return rc == RC_BAD ? fail(s) : rc;
}
