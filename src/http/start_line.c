/*
 * The start line of a head (RFC 9112 3 and 4), as strict as can be: one space
 * between its parts, one spelling of a version, a target in a form that the
 * method takes.
 *
 * The plain line of a GET is taken in one go. Any other is left to the
 * machine, which eats byte by byte and can stop and go on anywhere.
 */
#include "http/class.h"
#include "nearside/base/check.h"
#include "http/scan.h"

enum {
    /* The longest registered method has 17 bytes (UPDATEREDIRECTREF). */
    METHOD_MAX = 64,
    VERSION_LEN = 8,     /* "HTTP/1.1" */
    PLAIN_LINE_MIN = 16, /* "GET / HTTP/1.1" CRLF */
    STATUS_LINE_MIN = 12 /* "HTTP/1.1 200" */
};

/* One empty line before a request is forgiven (RFC 9112 2.2). */
static enum rc
eat_start(struct scan *s)
{
    enum rc rc;

    if (s->at == s->end) {
        return RC_AGAIN;
    }
    if (s->at == s->base && *s->at == '\r') {
        rc = eat_crlf(s, FAULT_LEADING);
        if (rc != RC_OK) {
            return rc;
        }
        if (s->at == s->end) {
            return RC_AGAIN;
        }
    }
    if (!byte_is(*s->at, CLASS_TOKEN)) {
        return refuse_byte(s, FAULT_LEADING);
    }
    s->p->line_start = offset(s);
    s->p->state = AT_METHOD;
    return RC_OK;
}

static enum method
method_of(struct slice text)
{
#define METHOD(name)                                                           \
    if (slice_eq(text, SLICE(#name))) {                                        \
        return METHOD_##name;                                                  \
    }
    METHOD(GET)
    METHOD(HEAD)
    METHOD(POST)
    METHOD(PUT)
    METHOD(PATCH)
    METHOD(DELETE)
    METHOD(OPTIONS)
    METHOD(CONNECT)
    METHOD(TRACE)
#undef METHOD
    return METHOD_OTHER;
}

static enum rc
eat_method(struct scan *s)
{
    const char *start = s->base + s->p->line_start;
    struct slice text;
    enum method method;

    s->at = skip_class(s->at, s->end, CLASS_TOKEN);
    text = slice_of(start, (size_t)(s->at - start));
    if (text.len > METHOD_MAX) {
        return refuse(s, FAULT_METHOD_LONG);
    }
    if (s->at == s->end) {
        return RC_AGAIN;
    }
    if (*s->at != ' ') {
        return refuse_byte(s, FAULT_METHOD);
    }
    method = method_of(text);
    if (method == METHOD_CONNECT || method == METHOD_TRACE) {
        return refuse(s, FAULT_METHOD_REFUSED);
    }
    if (s->out != NULL) {
        s->out->method = method;
        s->out->method_text = text;
    }
    s->at++;
    s->p->method = method;
    s->p->mark = offset(s);
    s->p->state = AT_TARGET;
    return RC_OK;
}

/* Has the target's query begun before s->at? */
static bool
is_in_query(struct scan *s)
{
    const char *start = s->base + s->p->mark;

    s->p->has_query =
        s->p->has_query || memchr(start, '?', (size_t)(s->at - start)) != NULL;
    return s->p->has_query;
}

/* Eats "%XX"; both digits are looked at as soon as they are there. In a query a
   '%' may stand by itself: browsers send one as it was typed. */
static enum rc
eat_percent(struct scan *s)
{
    ptrdiff_t left = s->end - s->at;

    if ((left > 1 && !byte_is(s->at[1], CLASS_HEX)) ||
        (left > 2 && !byte_is(s->at[2], CLASS_HEX))) {
        if (!is_in_query(s)) {
            return refuse(s, FAULT_TARGET_PERCENT);
        }
        s->at++;
        return RC_OK;
    }
    if (left < 3) {
        return RC_AGAIN;
    }
    if (s->at[1] == '0' && s->at[2] == '0') {
        return refuse(s, FAULT_TARGET_NUL);
    }
    s->at += 3;
    return RC_OK;
}

/* "/./", "/../", or either at the end of the path. */
static bool
has_dot_segment(struct slice target)
{
    const char *at = target.ptr, *end = at + target.len;

    for (; at < end && *at != '?'; at++) {
        if (*at != '/' || end - at < 2 || at[1] != '.') {
            continue;
        }
        const char *behind = at + (end - at > 2 && at[2] == '.' ? 3 : 2);
        if (behind == end || *behind == '/' || *behind == '?') {
            return true;
        }
    }
    return false;
}

/* What the line alone tells; an absolute-form is taken apart by the judge. */
static enum parse_fault
judge_target(struct slice target, const struct parse *p)
{
    bool is_absolute;

    if (target.len == 0) {
        return FAULT_TARGET_FORM;
    }
    if (target.ptr[0] == '*') {
        return p->method == METHOD_OPTIONS && target.len == 1
                   ? FAULT_NONE
                   : FAULT_TARGET_FORM;
    }
    is_absolute = ascii_lower(target.ptr[0]) == 'h';
    if (target.ptr[0] != '/' && !is_absolute) {
        return FAULT_TARGET_FORM;
    }
    return p->has_dot && has_dot_segment(target) ? FAULT_TARGET_DOTS
                                                 : FAULT_NONE;
}

/* Eats what skip_class has stopped at. RC_MISS: it is not of the target. */
static enum rc
eat_odd(struct scan *s)
{
    MUST(s->at < s->end);
    if (*s->at == '%') {
        return eat_percent(s);
    }
    if (*s->at == '.') {
        s->p->has_dot = true;
    } else if (!byte_is(*s->at, CLASS_QUERY) || !is_in_query(s)) {
        return RC_MISS;
    }
    s->at++;
    return RC_OK;
}

static enum rc
eat_target(struct scan *s)
{
    const char *start = s->base + s->p->mark;
    struct slice target;
    enum parse_fault fault;
    enum rc rc = RC_OK;

    while (rc == RC_OK) {
        s->at = skip_class(s->at, s->end, CLASS_TARGET);
        if ((size_t)(s->at - start) > s->target_max) {
            return refuse(s, FAULT_TARGET_LONG);
        }
        if (s->at == s->end) {
            return RC_AGAIN;
        }
        rc = eat_odd(s);
    }
    if (rc != RC_MISS) {
        return rc;
    }
    if (*s->at != ' ') {
        /* The line ends here: HTTP/0.9, whose version was never written. */
        return refuse_byte(
            s, *s->at == '\r' ? FAULT_VERSION : FAULT_TARGET_BYTE);
    }
    target = slice_of(start, (size_t)(s->at - start));
    fault = judge_target(target, s->p);
    if (fault != FAULT_NONE) {
        return refuse(s, fault);
    }
    if (s->out != NULL) {
        s->out->target = target;
    }
    s->at++;
    s->p->state = AT_VERSION;
    return RC_OK;
}

/*
 * Does the text so far fit "HTTP/d.d" (and " ddd" of a status line, when
 * len says so)? *out_bad: the first byte that does not.
 */
static bool
fits_version(const char *at, size_t len, const char **out_bad)
{
    static const char pattern[] = "HTTP/d.d ddd";

    MUST(len < sizeof(pattern));
    for (size_t i = 0; i < len; i++) {
        bool is_digit = at[i] >= '0' && at[i] <= '9';
        if (pattern[i] == 'd' ? !is_digit : at[i] != pattern[i]) {
            *out_bad = at + i;
            return false;
        }
    }
    return true;
}

/*
 * Looks at "HTTP/d.d" and what else of len bytes is there. RC_AGAIN: all
 * that is there fits, and some is missing. *out_minor: 0 or 1, since 1.2 to
 * 1.9 promise to be understood as 1.1.
 */
static enum rc
look_at_version(struct scan *s, size_t len)
{
    size_t left = (size_t)(s->end - s->at);
    const char *bad = NULL;

    if (left >= len && len == VERSION_LEN &&
        memcmp(s->at, "HTTP/1.1", 8) == 0) {
        return RC_OK; /* nearly always */
    }
    if (!fits_version(s->at, left < len ? left : len, &bad)) {
        s->at = bad;
        return refuse_byte(s, FAULT_VERSION);
    }
    return left < len ? RC_AGAIN : RC_OK;
}

static inline uint8_t
minor_of(const char *version)
{
    return version[7] == '0' ? 0 : 1;
}

static enum rc
eat_version(struct scan *s)
{
    const char *version = s->at;
    enum rc rc = look_at_version(s, VERSION_LEN);

    if (rc != RC_OK) {
        return rc;
    }
    s->at += VERSION_LEN;
    rc = eat_crlf(s, FAULT_VERSION);
    if (rc == RC_AGAIN) {
        s->at = version;
    }
    if (rc != RC_OK) {
        return rc;
    }
    if (version[5] != '1') {
        return refuse(s, FAULT_VERSION_UNKNOWN);
    }
    if (s->out != NULL) {
        s->out->minor = minor_of(version);
    }
    s->p->line_start = offset(s);
    s->p->state = AT_FIELD;
    return RC_OK;
}

/*
 * The hot path again: "GET /path HTTP/1.1" and its CRLF, the target without
 * dots and percent signs.
 */
static inline bool
is_plain_line(struct slice in, struct slice *out_target, struct slice *out_rest)
{
    const struct slice method = SLICE("GET"), tail = SLICE(" HTTP/1.1\r\n");
    const char *target = in.ptr + method.len + 1, *end = in.ptr + in.len, *stop;

    if (in.len < PLAIN_LINE_MIN ||
        memcmp(in.ptr, "GET /", method.len + 2) != 0) {
        return false;
    }
    stop = skip_class(target, end, CLASS_TARGET);
    if ((size_t)(end - stop) < tail.len ||
        memcmp(stop, tail.ptr, tail.len) != 0) {
        return false;
    }
    *out_target = slice_of(target, (size_t)(stop - target));
    *out_rest = slice_of(stop + tail.len, (size_t)(end - stop) - tail.len);
    return true;
}

bool
parse_plain_line(
    struct slice in, struct slice *out_target, struct slice *out_rest)
{
    return is_plain_line(in, out_target, out_rest);
}

/* False: not such a line, nothing was done. */
static inline bool
eat_plain_request_line(struct scan *s)
{
    const struct slice in = slice_of(s->at, (size_t)(s->end - s->at));
    struct slice target, rest;

    if (s->out == NULL || !is_plain_line(in, &target, &rest) ||
        target.len > s->target_max) {
        return false;
    }
    s->out->method = METHOD_GET;
    s->out->method_text = slice_of(s->at, SLICE("GET").len);
    s->out->target = target;
    s->out->minor = 1;
    s->at = rest.ptr;
    s->p->line_start = offset(s);
    s->p->state = AT_FIELD;
    return true;
}

enum rc
scan_request_line(struct scan *s)
{
    enum rc rc = RC_OK;

    if (s->p->state == AT_START && eat_plain_request_line(s)) {
        return RC_OK;
    }
    if (s->p->state == AT_START) {
        rc = eat_start(s);
    }
    if (rc == RC_OK && s->p->state == AT_METHOD) {
        rc = eat_method(s);
    }
    if (rc == RC_OK && s->p->state == AT_TARGET) {
        rc = eat_target(s);
    }
    if (rc == RC_OK && s->p->state == AT_VERSION) {
        rc = eat_version(s);
    }
    return rc;
}

/* "HTTP/1.1 200" and a space, which many forget when no reason follows. */
static enum rc
eat_status(struct scan *s)
{
    const char *line = s->at;
    enum rc rc = look_at_version(s, STATUS_LINE_MIN);
    unsigned status;

    if (rc == RC_BAD && s->at > line + VERSION_LEN) {
        return refuse_byte(s, FAULT_STATUS);
    }
    if (rc != RC_OK || s->end - line == STATUS_LINE_MIN) {
        return rc == RC_OK ? RC_AGAIN : rc;
    }
    if (line[5] != '1') {
        return refuse(s, FAULT_VERSION_UNKNOWN);
    }
    status = (unsigned)(line[9] - '0') * 100 + (unsigned)(line[10] - '0') * 10 +
             (unsigned)(line[11] - '0');
    s->at = line + STATUS_LINE_MIN;
    /* No status above 599 is registered. It is taken all the same, as an error
       of the server (RFC 9110 15). */
    if (status < 100) {
        return refuse(s, FAULT_STATUS);
    }
    if (*s->at == ' ') {
        s->at++;
    } else if (*s->at != '\r') {
        return refuse_byte(s, FAULT_STATUS);
    }
    if (s->out != NULL) {
        s->out->minor = minor_of(line);
        s->out->status = (uint16_t)status;
    }
    s->p->mark = offset(s);
    s->p->state = AT_REASON;
    return RC_OK;
}

static enum rc
eat_reason(struct scan *s)
{
    const char *start = s->base + s->p->mark;
    const char *stop;
    enum rc rc;

    s->at = skip_value(s->at, s->end);
    if (offset(s) - s->p->line_start > s->field_max) {
        return refuse(s, FAULT_FIELD_LONG);
    }
    stop = s->at;
    rc = eat_crlf(s, FAULT_STATUS);
    if (rc != RC_OK) {
        return rc;
    }
    if (s->out != NULL) {
        s->out->reason = slice_of(start, (size_t)(stop - start));
    }
    s->p->line_start = offset(s);
    s->p->state = AT_FIELD;
    return RC_OK;
}

enum rc
scan_status_line(struct scan *s)
{
    enum rc rc = RC_OK;

    if (s->p->state == AT_START) {
        s->p->state = AT_STATUS;
    }
    if (s->p->state == AT_STATUS) {
        rc = eat_status(s);
    }
    if (rc == RC_OK && s->p->state == AT_REASON) {
        rc = eat_reason(s);
    }
    return rc;
}
