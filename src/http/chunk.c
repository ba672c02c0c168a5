/*
 * The chunked transfer coding, taken apart byte by byte outside the content
 * and run by run inside it (RFC 9112 7.1):
 *
 *   chunk   = 1*HEXDIG [ chunk-ext ] CRLF data CRLF
 *   chunk-ext = *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted ) ] )
 *   last    = 1*"0" [ chunk-ext ] CRLF *( field-line CRLF ) CRLF
 *
 * Laws: one state eats one byte, so it does not matter where reads cut the
 * coding. Extensions and trailer fields are checked and dropped; whoever sends
 * the content on writes chunks of its own. Bytes that are not content count
 * against a limit, so that no peer keeps us busy without sending content.
 */
#include "nearside/http/chunk.h"

#include "http/class.h"
#include "nearside/base/check.h"

enum {
    AT_SIZE_START,    /* a hex digit; then AT_SIZE */
    AT_SIZE,          /* hex digits; then AT_EXT or the line's end */
    AT_EXT,           /* BWS before a ';' */
    AT_EXT_START,     /* BWS and the first byte of a name */
    AT_EXT_NAME,      /* a token; then '=', ';' or the line's end */
    AT_EXT_EQUAL,     /* BWS before '=' or ';' */
    AT_VALUE_START,   /* BWS and the first byte of a value */
    AT_VALUE,         /* a token; then ';' or the line's end */
    AT_QUOTED,        /* up to '"' */
    AT_ESCAPED,       /* one byte behind '\' */
    AT_QUOTED_END,    /* ';' or the line's end */
    AT_SIZE_LF,       /* LF; then AT_DATA, or AT_TRAILER behind size 0 */
    AT_DATA,          /* left bytes; then AT_DATA_CR */
    AT_DATA_CR,       /* CR; then AT_DATA_LF */
    AT_DATA_LF,       /* LF; then AT_SIZE_START */
    AT_TRAILER,       /* CR: AT_END_LF; or the first byte of a name */
    AT_TRAILER_NAME,  /* a token and a colon; then AT_TRAILER_VALUE */
    AT_TRAILER_VALUE, /* text; then AT_TRAILER_LF */
    AT_TRAILER_LF,    /* LF; then AT_TRAILER */
    AT_END_LF,        /* LF; then AT_END */
    AT_END,
    AT_FAULT,
};

enum {
    SIZE_LINE_MAX = 4096,
    EXT_MAX = 16384, /* all of one body */
    TRAILER_MAX = 16384,
    DIGITS_MAX = 16,
};

void
chunk_start(struct chunk *c)
{
    *c = (struct chunk){0};
}

static inline bool
is_bws(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* What may follow a whole size or a whole extension. */
static unsigned
after_element(char byte)
{
    return byte == ';'    ? AT_EXT_START
           : byte == '\r' ? AT_SIZE_LF
           : is_bws(byte) ? AT_EXT
                          : AT_FAULT;
}

/* Nobody means a larger length: it is there to overflow somebody. */
static unsigned
eat_size(struct chunk *c, char byte)
{
    int digit = hex_digit(byte);

    if (digit < 0) {
        return c->state == AT_SIZE ? after_element(byte) : AT_FAULT;
    }
    c->digits++;
    if (c->digits > DIGITS_MAX || c->left > (uint64_t)INT64_MAX >> 4) {
        return AT_FAULT;
    }
    c->left = c->left << 4 | (uint64_t)digit;
    return AT_SIZE;
}

static unsigned
eat_ext_name(struct chunk *c, char byte)
{
    if (byte_is(byte, CLASS_TOKEN) && c->state != AT_EXT_EQUAL) {
        return AT_EXT_NAME;
    }
    if (is_bws(byte)) {
        return c->state == AT_EXT_START ? AT_EXT_START : AT_EXT_EQUAL;
    }
    if (byte == '=' && c->state != AT_EXT_START) {
        return AT_VALUE_START;
    }
    if (byte == ';' && c->state != AT_EXT_START) {
        return AT_EXT_START;
    }
    return byte == '\r' && c->state == AT_EXT_NAME ? AT_SIZE_LF : AT_FAULT;
}

static unsigned
eat_ext_value(struct chunk *c, char byte)
{
    if (byte_is(byte, CLASS_TOKEN)) {
        return AT_VALUE;
    }
    if (c->state == AT_VALUE) {
        return after_element(byte);
    }
    if (byte == '"') {
        return AT_QUOTED;
    }
    return is_bws(byte) ? AT_VALUE_START : AT_FAULT;
}

static unsigned
eat_quoted(char byte)
{
    if (byte == '"') {
        return AT_QUOTED_END;
    }
    if (byte == '\\') {
        return AT_ESCAPED;
    }
    return byte_is(byte, CLASS_QUOTED) ? AT_QUOTED : AT_FAULT;
}

static unsigned
eat_trailer_name(struct chunk *c, char byte)
{
    if (byte_is(byte, CLASS_TOKEN)) {
        return AT_TRAILER_NAME;
    }
    if (c->state == AT_TRAILER) {
        return byte == '\r' ? AT_END_LF : AT_FAULT;
    }
    return byte == ':' ? AT_TRAILER_VALUE : AT_FAULT;
}

static unsigned
eat_trailer_value(char byte)
{
    if (byte == '\r') {
        return AT_TRAILER_LF;
    }
    return byte_is(byte, CLASS_VALUE) ? AT_TRAILER_VALUE : AT_FAULT;
}

/* The line's LF: the size is known now. */
static unsigned
begin_chunk(struct chunk *c)
{
    c->digits = 0;
    c->line_len = 0;
    return c->left == 0 ? AT_TRAILER : AT_DATA;
}

/* The state behind one byte that is not content. */
static unsigned
eat_byte(struct chunk *c, char byte)
{
    switch (c->state) {
    case AT_SIZE_START:
    case AT_SIZE:
        return eat_size(c, byte);
    case AT_EXT:
        return byte == '\r' ? AT_FAULT : after_element(byte);
    case AT_EXT_START:
    case AT_EXT_NAME:
    case AT_EXT_EQUAL:
        return eat_ext_name(c, byte);
    case AT_VALUE_START:
    case AT_VALUE:
        return eat_ext_value(c, byte);
    case AT_QUOTED:
        return eat_quoted(byte);
    case AT_ESCAPED:
        return byte_is(byte, CLASS_VALUE) ? AT_QUOTED : AT_FAULT;
    case AT_QUOTED_END:
        return after_element(byte);
    case AT_SIZE_LF:
        return byte == '\n' ? begin_chunk(c) : AT_FAULT;
    case AT_DATA_CR:
        return byte == '\r' ? AT_DATA_LF : AT_FAULT;
    case AT_DATA_LF:
        return byte == '\n' ? AT_SIZE_START : AT_FAULT;
    case AT_TRAILER:
    case AT_TRAILER_NAME:
        return eat_trailer_name(c, byte);
    case AT_TRAILER_VALUE:
        return eat_trailer_value(byte);
    case AT_TRAILER_LF:
        return byte == '\n' ? AT_TRAILER : AT_FAULT;
    case AT_END_LF:
        return byte == '\n' ? AT_END : AT_FAULT;
    default: /* AT_DATA, AT_END and AT_FAULT eat no such byte */
        MUST(c->state == AT_FAULT);
        return AT_FAULT;
    }
}

/* Counts the byte just eaten; `was` is the state that ate it. */
static bool
is_over(struct chunk *c, unsigned was)
{
    if (was >= AT_TRAILER) {
        c->trailer_len++;
        return c->trailer_len > TRAILER_MAX;
    }
    if (was >= AT_SIZE_LF) {
        return false; /* bounded by the chunks themselves */
    }
    c->line_len++;
    if (was >= AT_EXT || (c->state >= AT_EXT && c->state < AT_SIZE_LF)) {
        c->ext_len++;
    }
    return c->line_len > SIZE_LINE_MAX || c->ext_len > EXT_MAX;
}

static struct slice
eat_data(struct chunk *c, struct slice in)
{
    struct slice run = in;

    if (run.len > c->left) {
        run.len = (size_t)c->left;
    }
    c->left -= run.len;
    if (c->left == 0) {
        c->state = AT_DATA_CR;
    }
    return run;
}

enum rc
chunk_decode(
    struct chunk *c, struct slice in, size_t *out_eaten, struct slice *out_data)
{
    size_t eaten = 0;
    struct slice data = {in.ptr, 0};

    while (eaten < in.len && c->state != AT_END) {
        unsigned was = c->state;
        if (was == AT_DATA) {
            data = eat_data(c, slice_skip(in, eaten));
            eaten += data.len;
            break; /* one run a call: what follows it is judged next time */
        }
        c->state = eat_byte(c, in.ptr[eaten]);
        eaten++;
        if (c->state == AT_FAULT) {
            return RC_BAD;
        }
        if (is_over(c, was)) {
            c->state = AT_FAULT;
            return RC_LIMIT;
        }
    }
    *out_eaten = eaten;
    *out_data = data;
    return c->state == AT_END ? RC_OK : RC_AGAIN;
}

size_t
chunk_write_line(char out[CHUNK_LINE_MAX], uint64_t n)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 1;

    MUST(n > 0);
    while (len < 16 && n >> (4 * len) != 0) {
        len++;
    }
    for (size_t i = 0; i < len; i++) {
        out[i] = digits[(n >> (4 * (len - 1 - i))) & 15];
    }
    out[len] = '\r';
    out[len + 1] = '\n';
    return len + 2;
}
