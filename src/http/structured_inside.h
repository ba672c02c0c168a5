/* What reading and writing structured fields have in common. */
#ifndef HTTP_STRUCTURED_INSIDE_H
#define HTTP_STRUCTURED_INSIDE_H

#include "http/class.h"
#include "nearside/http/structured.h"

/* The first byte, or NUL, which is part of nothing. */
static inline char
peek(struct slice s)
{
    return s.len == 0 ? '\0' : *s.ptr;
}

static inline bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool
is_alpha(char c)
{
    return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

/* VCHAR or SP. */
static inline bool
is_printable(char c)
{
    return c >= 0x20 && c <= 0x7e;
}

static inline bool
is_token_part(char c)
{
    return byte_is(c, CLASS_TOKEN) || c == ':' || c == '/';
}

#endif
