/*
 * Targets and authorities. A target has one normal spelling, by which it is
 * found; what is sent are the client's own bytes all the same. An authority is
 * taken more narrowly than RFC 3986 3.2.2 has it: sub-delims and
 * percent-encoding in a name are nobody's host, but two readers' different
 * ones; a port has one spelling.
 */
#include "nearside/http/uri.h"

#include <arpa/inet.h>

#include "http/class.h"

enum {
    HOST_MAX = 255,
    IPV6_TEXT_MAX = 45,
    PORT_MAX = 65535,
    PORT_DIGITS_MAX = 5,
    PORT_HTTP = 80,
    PORT_HTTPS = 443,
};

struct slice
uri_path(struct slice target)
{
    ptrdiff_t at = slice_find(target, '?');

    return at < 0 ? target : slice_of(target.ptr, (size_t)at);
}

struct slice
uri_query(struct slice target)
{
    ptrdiff_t at = slice_find(target, '?');

    return at < 0 ? slice_of(NULL, 0) : slice_skip(target, (size_t)at + 1);
}

/* Does "%XX" stand there, with these two digits? The second in lower case. */
static inline bool
is_encoded(const char *at, const char *end, char high, char low)
{
    return end - at >= 3 && at[0] == '%' && at[1] == high &&
           ascii_lower(at[2]) == low;
}

/* A slash or a backslash that one reader decodes and another does not. */
static inline bool
is_encoded_trap(const char *at, const char *end)
{
    return is_encoded(at, end, '2', 'f') || is_encoded(at, end, '5', 'c');
}

/* Does a segment begin there that is "." or "..", however it is spelled? */
static bool
is_dot_segment(const char *at, const char *end)
{
    unsigned dots = 0;

    for (; dots < 3; dots++) {
        if (at < end && *at == '.') {
            at++;
        } else if (is_encoded(at, end, '2', 'e')) {
            at += 3;
        } else {
            break;
        }
    }
    return (dots == 1 || dots == 2) && (at == end || *at == '/' || *at == '?');
}

/* One that is empty is odd, too. at < end. */
static inline bool
is_odd_segment(const char *at, const char *end)
{
    return *at == '/' ||
           ((*at == '.' || *at == '%') && is_dot_segment(at, end));
}

/* Unreserved characters, which are most, need no look. */
bool
uri_is_ambiguous(struct slice target)
{
    const char *at = target.ptr, *end = at + target.len;

    for (;; at++) {
        at = skip_class(at, end, CLASS_HOST);
        if (at == end || *at == '?') {
            return false;
        }
        if (*at == '/' ? at + 1 < end && is_odd_segment(at + 1, end)
                       : *at == ';' || is_encoded_trap(at, end)) {
            return true;
        }
    }
}

/* --- the one spelling (RFC 3986 6.2.2) ----------------------------------- */

/* The byte that "%XX" stands for; -1: there is no such thing. */
static int
encoded_byte(const char *at, const char *end)
{
    int high = end - at < 3 ? -1 : hex_digit(at[1]);
    int low = end - at < 3 ? -1 : hex_digit(at[2]);

    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static inline char
upper_hex(char c)
{
    return c >= 'a' ? (char)(c & ~0x20) : c;
}

/* What would stand directly behind a bare percent sign is not decoded: with
   it, it would be another byte the next time. */
static size_t
decode_unreserved(struct slice s, char *out)
{
    const char *end = s.ptr + s.len;
    size_t len = 0, bare_end = 0;
    int byte;

    for (const char *at = s.ptr; at < end; at++) {
        byte = *at == '%' ? encoded_byte(at, end) : -1;
        if (byte < 0) {
            bare_end = *at == '%' ? len + 3 : bare_end;
            out[len++] = *at;
        } else if (byte_is((char)byte, CLASS_HOST) && len >= bare_end) {
            out[len++] = (char)byte;
            at += 2;
        } else {
            out[len++] = '%';
            out[len++] = upper_hex(*++at);
            out[len++] = upper_hex(*++at);
        }
    }
    return len;
}

/* "/a/../b" is "/b" (5.2.4), in place. */
static size_t
resolve_dots(char *path, size_t path_len)
{
    struct slice rest = slice_of(path + 1, path_len - 1), segment;
    size_t len = 0;

    while (slice_split(&rest, '/', &segment)) {
        bool is_last = rest.ptr == NULL;
        bool is_up = slice_eq(segment, SLICE(".."));
        while (is_up && len > 0 && path[--len] != '/') {
        }
        if (!is_up && !slice_eq(segment, SLICE("."))) {
            path[len++] = '/';
            memmove(path + len, segment.ptr, segment.len);
            len += segment.len;
        } else if (is_last) {
            path[len++] = '/';
        }
    }
    return len;
}

size_t
uri_normalise(struct slice target, char *out)
{
    size_t len = decode_unreserved(target, out);
    size_t path_len = uri_path(slice_of(out, len)).len;
    size_t kept;

    if (path_len == 0 || out[0] != '/') {
        return len;
    }
    kept = resolve_dots(out, path_len);
    memmove(out + kept, out + path_len, len - path_len);
    return kept + len - path_len;
}

/* --- authorities --------------------------------------------------------- */

/*
 * The end of "[" IPv6address "]", or NULL; zones and IPvFuture are for
 * nobody on a network.
 */
static const char *
literal_end(struct slice s)
{
    const char *close = memchr(s.ptr, ']', s.len);
    char text[IPV6_TEXT_MAX + 1];
    struct in6_addr ignored;
    size_t len;

    if (close == NULL || close - s.ptr - 1 > IPV6_TEXT_MAX) {
        return NULL;
    }
    len = (size_t)(close - s.ptr) - 1;
    memcpy(text, s.ptr + 1, len);
    text[len] = '\0';
    if (strlen(text) != len || inet_pton(AF_INET6, text, &ignored) != 1) {
        return NULL;
    }
    return close + 1;
}

/* Where the host in front of an authority ends; NULL: no valid one. */
static inline const char *
host_end(struct slice s)
{
    const char *stop;

    if (s.len == 0) {
        return NULL;
    }
    if (s.ptr[0] == '[') {
        return literal_end(s);
    }
    stop = skip_class(s.ptr, s.ptr + s.len, CLASS_HOST);
    return stop == s.ptr || stop - s.ptr > HOST_MAX ? NULL : stop;
}

/*
 * Reads what stands behind the host: nothing, ":" (*out_port 0 for both) or
 * ":80". A leading zero is a second spelling of the same port, so refused.
 */
static inline enum rc
read_port(const char *at, const char *end, uint16_t *out_port)
{
    unsigned port = 0, digit;

    if (at < end && *at++ != ':') {
        return RC_BAD;
    }
    if (end - at > PORT_DIGITS_MAX || (at < end && *at == '0')) {
        return RC_BAD;
    }
    for (; at < end; at++) {
        digit = (unsigned)(unsigned char)*at - '0';
        if (digit > 9) {
            return RC_BAD;
        }
        port = port * 10 + digit;
    }
    if (port > PORT_MAX) {
        return RC_BAD;
    }
    *out_port = (uint16_t)port;
    return RC_OK;
}

bool
uri_is_authority(struct slice s)
{
    const char *stop = host_end(s);
    uint16_t port;

    return stop != NULL && read_port(stop, s.ptr + s.len, &port) == RC_OK;
}

static uint16_t
default_port(struct slice scheme)
{
    return slice_ieq(scheme, SLICE("https")) ? PORT_HTTPS : PORT_HTTP;
}

/* Of a host that ends there: does it end in the root's dot? */
static inline bool
has_root_dot(struct slice s, const char *stop)
{
    return stop - s.ptr > 1 && stop[-1] == '.' && stop[-2] != '.';
}

struct slice
uri_host_name(struct slice authority)
{
    ptrdiff_t end = authority.len > 0 && authority.ptr[0] == '['
                        ? slice_find(authority, ']')
                        : slice_find(authority, ':') - 1;

    return end < 0 ? authority : slice_of(authority.ptr, (size_t)end + 1);
}

bool
uri_is_absolute_name(struct slice s)
{
    const char *stop = host_end(s);

    return stop != NULL && has_root_dot(s, stop);
}

/* Eight bytes in lower case. */
static inline void
lower_eight(const char *at, char *out)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t eight, low, is_upper;

    memcpy(&eight, at, sizeof(eight));
    low = eight & ones * 0x7f;
    is_upper = (low + ones * (0x80 - 'A')) ^ (low + ones * (0x7f - 'Z'));
    eight |= (is_upper & ~eight & ones * 0x80) >> 2;
    memcpy(out, &eight, sizeof(eight));
}

/* Eight at a time; the last eight may be some of those before, once more. */
static void
lower(const char *at, size_t len, char *out)
{
    size_t i = 0;

    for (; i + 8 <= len; i += 8) {
        lower_eight(at + i, out + i);
    }
    if (i < len && len > 8) {
        lower_eight(at + len - 8, out + len - 8);
        return;
    }
    for (; i < len; i++) {
        out[i] = ascii_lower(at[i]);
    }
}

size_t
uri_authority_normalise(struct slice s, struct slice scheme, char *out)
{
    const char *stop = host_end(s);
    size_t len = s.len;
    uint16_t port;

    if (stop != NULL && read_port(stop, s.ptr + s.len, &port) == RC_OK &&
        (port == 0 || port == default_port(scheme))) {
        len = (size_t)(stop - s.ptr);
    }
    lower(s.ptr, len, out);
    if (stop != NULL && has_root_dot(s, stop)) {
        size_t at = (size_t)(stop - s.ptr);
        memmove(out + at - 1, out + at, len-- - at);
    }
    return len;
}

bool
uri_is_same_authority(struct slice a, struct slice b, struct slice scheme)
{
    enum {
        AUTHORITY_MAX = HOST_MAX + 1 + PORT_DIGITS_MAX,
    };
    char a_text[AUTHORITY_MAX], b_text[AUTHORITY_MAX];
    size_t a_len, b_len;

    if (!uri_is_authority(a) || !uri_is_authority(b)) {
        return false;
    }
    a_len = uri_authority_normalise(a, scheme, a_text);
    b_len = uri_authority_normalise(b, scheme, b_text);
    return slice_eq(slice_of(a_text, a_len), slice_of(b_text, b_len));
}

bool
uri_take_scheme(struct slice *rest, struct slice *out)
{
    static const struct slice schemes[] = {{"http", 4}, {"https", 5}};
    const struct slice mark = SLICE("://");

    for (size_t i = 0; i < 2; i++) {
        struct slice behind = slice_skip(*rest, schemes[i].len);
        if (rest->len > schemes[i].len && slice_starts(behind, mark) &&
            slice_ieq(slice_of(rest->ptr, schemes[i].len), schemes[i])) {
            *out = schemes[i];
            *rest = slice_skip(behind, mark.len);
            return true;
        }
    }
    return false;
}

static enum rc
parse_unix(struct slice path, struct uri_server *out)
{
    if (path.len == 0 || path.ptr[0] != '/' ||
        memchr(path.ptr, '\0', path.len) != NULL) {
        return RC_BAD;
    }
    *out = (struct uri_server){
        .scheme = SLICE("http"),
        .host = path,
        .is_unix = true,
    };
    return RC_OK;
}

enum rc
uri_parse_server(struct slice s, struct uri_server *out)
{
    const struct slice unix_mark = SLICE("unix:");
    struct slice scheme, host, authority = s;
    const char *stop;
    uint16_t port;

    if (slice_starts(s, unix_mark)) {
        return parse_unix(slice_skip(s, unix_mark.len), out);
    }
    if (!uri_take_scheme(&authority, &scheme)) {
        return RC_BAD;
    }
    stop = host_end(authority);
    if (stop == NULL ||
        read_port(stop, authority.ptr + authority.len, &port) != RC_OK) {
        return RC_BAD;
    }
    host = slice_of(authority.ptr, (size_t)(stop - authority.ptr));
    if (host.ptr[0] == '[') {
        host = slice_of(host.ptr + 1, host.len - 2);
    }
    *out = (struct uri_server){
        .scheme = scheme,
        .host = host,
        .port = port == 0 ? default_port(scheme) : port,
    };
    return RC_OK;
}
