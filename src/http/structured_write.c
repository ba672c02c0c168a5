/* Writing structured fields (RFC 9651 4.1). */
#include "http/structured_inside.h"

#define INTEGER_MAX INT64_C(999999999999999)

static void
write_char(struct writer *w, char c)
{
    write_slice(w, slice_of(&c, 1));
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
