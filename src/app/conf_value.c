/*
 * Single values: what a duration, a size, an address and so on may look
 * like. Every refusal says what was meant, if that can be guessed. Also the
 * storing of values at their members, for the file and the defaults alike.
 *
 * Nothing here knows lines or libconfuse, and nothing is accepted that would
 * be read differently elsewhere: whole numbers, no signs, units always.
 */
#include "conf_inside.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/http/uri.h"
#include "nearside/net/address.h"

#define WHY(...) (snprintf(why, CONF_WHY_MAX, __VA_ARGS__), RC_BAD)

/* "out" of conf_value_read for all kinds of strings. */
static enum rc
give_text(struct arena *arena, struct slice text, void *out)
{
    const char *copy;

    if (out == NULL) {
        return RC_OK;
    }
    copy = conf_copy(arena, text);
    if (copy == NULL) {
        return RC_NOMEM;
    }
    *(const char **)out = copy;
    return RC_OK;
}

const char *
conf_copy(struct arena *arena, struct slice s)
{
    char *copy = arena_alloc(arena, s.len + 1);

    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

const char *
conf_spelled(struct arena *arena, struct slice s)
{
    char *copy = arena_alloc(arena, s.len + 1);

    if (copy != NULL) {
        copy[uri_normalise(s, copy)] = '\0';
    }
    return copy;
}

/* --- Numbers with units -------------------------------------------------- */

struct unit {
    const char *text;
    uint64_t factor;
};

static const struct unit time_units[] = {
    {"ms", 1},
    {"s", 1000},
    {"m", 60 * 1000},
    {"h", 3600 * 1000},
    {"d", 24 * 3600 * 1000},
};

static const struct unit size_units[] = {
    {"B", 1},
    {"KB", 1024},
    {"MB", 1024 * 1024},
    {"GB", 1024 * 1024 * 1024},
};

/* How a kind of number is read and spoken of. */
struct scale {
    const struct unit *units;
    size_t units_len;
    const char *what;  /* "a duration" */
    const char *names; /* "ms, s, m, h or d" */
    const char *usual; /* the unit most often meant */
    uint64_t max;
};

/* Ten years: beyond, it is a slip of the finger. */
static const struct scale time_scale = {time_units, ARRAY_LEN(time_units),
    "a duration", "ms, s, m, h or d", "s", (uint64_t)3650 * 24 * 3600 * 1000};

static const struct scale size_scale = {size_units, ARRAY_LEN(size_units),
    "a size", "B, KB, MB or GB", "KB", (uint64_t)1024 * 1024 * 1024 * 1024};

static size_t
digits_len(struct slice s)
{
    size_t n = 0;

    while (n < s.len && isdigit((unsigned char)s.ptr[n])) {
        n++;
    }
    return n;
}

/* The largest unit that divides n, so that a limit reads as it is written. */
static void
scaled_write(const struct scale *scale, uint64_t n, char out[32])
{
    const struct unit *unit = &scale->units[0];

    for (size_t i = 0; i < scale->units_len; i++) {
        if (n % scale->units[i].factor == 0) {
            unit = &scale->units[i];
        }
    }
    snprintf(out, 32, "%llu%s", (unsigned long long)(n / unit->factor),
        n == 0 ? "" : unit->text);
}

static enum rc
check_range(const struct conf_option *option, const struct scale *scale,
    uint64_t n, char why[CONF_WHY_MAX])
{
    uint64_t max = option->max == 0 ? scale->max : option->max;
    char text[32];

    if (n < option->min) {
        scaled_write(scale, option->min, text);
        return WHY("too small; at least %s", text);
    }
    if (n > max) {
        scaled_write(scale, max, text);
        return WHY("too large; at most %s", text);
    }
    return RC_OK;
}

/* "secs" is for s, "kb" and "KiB" are for KB. */
static const char *
unit_guess(const struct scale *scale, struct slice text)
{
    for (size_t i = scale->units_len; i > 0; i--) {
        char first = scale->units[i - 1].text[0];

        /* "min" and "msec": the shorter unit has the same first letter. */
        if (ascii_lower(first) == ascii_lower(text.ptr[0]) &&
            !(first == 'm' && text.len > 1 && text.ptr[1] == 's' && i > 1)) {
            return scale->units[i - 1].text;
        }
    }
    return scale->usual;
}

static enum rc
read_scaled(const struct conf_option *option, const struct scale *scale,
    struct slice text, uint64_t *out, char why[CONF_WHY_MAX])
{
    size_t digits = digits_len(text);
    struct slice unit = slice_skip(text, digits);
    uint64_t n;

    if (digits == 0 || (unit.len > 0 && strchr(".,", unit.ptr[0]) != NULL)) {
        return WHY("not %s; it is a whole number and a unit (%s)", scale->what,
            scale->names);
    }
    if (slice_to_u64(slice_of(text.ptr, digits), UINT64_MAX / 2, &n) != RC_OK) {
        n = UINT64_MAX / 2;
    }
    if (unit.len == 0 && n != 0) {
        return WHY("%s has a unit (%s); did you mean '%.*s%s'?", scale->what,
            scale->names, SLICE_FMT(text), scale->usual);
    }
    for (size_t i = 0; i < scale->units_len; i++) {
        if (unit.len == 0 ||
            slice_eq(unit, slice_of_str(scale->units[i].text))) {
            uint64_t factor = scale->units[i].factor;

            *out = n > UINT64_MAX / factor ? UINT64_MAX : n * factor;
            return check_range(option, scale, *out, why);
        }
    }
    return WHY("'%.*s' is no unit (%s); did you mean '%.*s%s'?",
        SLICE_FMT(unit), scale->names, (int)digits, text.ptr,
        unit_guess(scale, unit));
}

static enum rc
read_duration(const struct conf_option *option, struct slice text, void *out,
    char why[CONF_WHY_MAX])
{
    uint64_t n;
    enum rc rc = read_scaled(option, &time_scale, text, &n, why);

    if (rc == RC_OK && out != NULL) {
        *(int64_t *)out = (int64_t)n;
    }
    return rc;
}

static enum rc
read_size(const struct conf_option *option, struct slice text, void *out,
    char why[CONF_WHY_MAX])
{
    uint64_t n;
    enum rc rc = read_scaled(option, &size_scale, text, &n, why);

    if (rc == RC_OK && n > SIZE_MAX) {
        return WHY("more than this machine can address");
    }
    if (rc == RC_OK && out != NULL) {
        *(size_t *)out = (size_t)n;
    }
    return rc;
}

static enum rc
read_count(const struct conf_option *option, struct slice text, void *out,
    char why[CONF_WHY_MAX])
{
    unsigned long long max = option->max == 0 ? UINT32_MAX : option->max;
    uint64_t n;

    if (option->kind == CONF_KIND_COUNT_AUTO && slice_eq(text, SLICE("auto"))) {
        n = 0;
    } else if (slice_to_u64(text, max, &n) != RC_OK || n < option->min) {
        return WHY("not a whole number from %llu to %llu%s",
            (unsigned long long)option->min, max,
            option->kind == CONF_KIND_COUNT_AUTO ? ", or auto" : "");
    }
    if (out != NULL) {
        *(unsigned *)out = (unsigned)n;
    }
    return RC_OK;
}

static enum rc
read_percent(const struct conf_option *option, struct slice text, void *out,
    char why[CONF_WHY_MAX])
{
    size_t digits = digits_len(text);
    uint64_t n;

    if (slice_to_u64(slice_of(text.ptr, digits), option->max, &n) != RC_OK ||
        !(slice_eq(slice_skip(text, digits), SLICE("%")) ||
            (digits == text.len && n == 0))) {
        return WHY("not a percentage from 0%% to %llu%%, such as '10%%'",
            (unsigned long long)option->max);
    }
    if (out != NULL) {
        *(unsigned *)out = (unsigned)n;
    }
    return RC_OK;
}

/* --- Words --------------------------------------------------------------- */

static enum rc
read_switch(struct slice text, void *out, char why[CONF_WHY_MAX])
{
    static const char *const words[] = {
        "off", "on", "no", "yes", "false", "true"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (slice_eq(text, slice_of_str(words[i]))) {
            if (out != NULL) {
                *(bool *)out = i % 2 == 1;
            }
            return RC_OK;
        }
    }
    return WHY("neither on nor off");
}

/* Writes "a, b or c", the words of this version. */
static void
words_write(const struct conf_word *words, char out[CONF_WHY_MAX / 2])
{
    size_t len = 0;

    out[0] = '\0';
    for (const struct conf_word *w = words; w->text != NULL; w++) {
        bool is_last = w[1].text == NULL;
        int n;

        if (w->is_later) {
            continue;
        }
        n = snprintf(out + len, CONF_WHY_MAX / 2 - len, "%s%s",
            len == 0  ? ""
            : is_last ? " or "
                      : ", ",
            w->text);
        MUST(n > 0);
        len += (size_t)n;
        MUST(len < CONF_WHY_MAX / 2);
    }
}

static enum rc
read_word(const struct conf_option *option, struct slice text, void *out,
    char why[CONF_WHY_MAX])
{
    const char *near = NULL;
    unsigned best = 99;
    char all[CONF_WHY_MAX / 2];

    words_write(option->words, all);
    for (const struct conf_word *w = option->words; w->text != NULL; w++) {
        if (slice_eq(text, slice_of_str(w->text))) {
            if (w->is_later) {
                return WHY("not available in this version; it takes %s", all);
            }
            if (out != NULL) {
                memcpy(out, &w->value, sizeof(w->value));
            }
            return RC_OK;
        }
        if (conf_is_nearer(text, slice_of_str(w->text), &best)) {
            near = w->text;
        }
    }
    if (near != NULL) {
        return WHY("it takes %s; did you mean '%s'?", all, near);
    }
    return WHY("it takes %s", all);
}

static bool
is_tchar(char c)
{
    return isalnum((unsigned char)c) ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool
is_token(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_tchar(text.ptr[i])) {
            return false;
        }
    }
    return text.len > 0;
}

/* Longer than the option allows? */
static bool
is_long(const struct conf_option *option, struct slice text)
{
    return option->max != 0 && text.len > option->max;
}

static enum rc
read_text(
    const struct conf_option *option, struct slice text, char why[CONF_WHY_MAX])
{
    if (text.len == 0) {
        return WHY("empty");
    }
    if (is_long(option, text)) {
        return WHY("longer than %llu bytes", (unsigned long long)option->max);
    }
    return RC_OK;
}

static enum rc
read_token(
    const struct conf_option *option, struct slice text, char why[CONF_WHY_MAX])
{
    if (!is_token(text) || is_long(option, text)) {
        return WHY("not a single word of letters, digits and '-', '_' or '.', "
                   "of at most %llu bytes",
            (unsigned long long)option->max);
    }
    return RC_OK;
}

/* Part of every key in Redis: printable, and no brace, which would choose
   the slot. */
static enum rc
read_prefix(
    const struct conf_option *option, struct slice text, char why[CONF_WHY_MAX])
{
    for (size_t i = 0; i < text.len; i++) {
        if (!isgraph((unsigned char)text.ptr[i]) ||
            strchr("{}%", text.ptr[i]) != NULL) {
            return WHY("a prefix is printable, without blanks, '{', '}' and "
                       "'%%'");
        }
    }
    if (text.len == 0 || is_long(option, text)) {
        return WHY(
            "a prefix has 1 to %llu bytes", (unsigned long long)option->max);
    }
    return RC_OK;
}

static enum rc
read_path(struct slice text, char why[CONF_WHY_MAX])
{
    if (text.len == 0 || text.ptr[0] != '/') {
        return WHY("a file is named from the root on: '/%.*s'",
            text.len > 64 ? 64 : (int)text.len, text.ptr);
    }
    return RC_OK;
}

static enum rc
read_target(
    struct slice text, struct arena *arena, void *out, char why[CONF_WHY_MAX])
{
    static const struct {
        const char *text;
        enum log_target target;
    } targets[] = {{"off", LOG_TARGET_NONE}, {"stdout", LOG_TARGET_STDOUT},
        {"stderr", LOG_TARGET_STDERR}, {"syslog", LOG_TARGET_SYSLOG}};
    struct conf_target t = {.target = LOG_TARGET_FILE};
    enum rc rc = RC_BAD;

    if (slice_starts(text, SLICE("file:/"))) {
        rc =
            give_text(arena, slice_skip(text, 5), out == NULL ? NULL : &t.path);
    }
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        if (slice_eq(text, slice_of_str(targets[i].text))) {
            t.target = targets[i].target;
            rc = RC_OK;
        }
    }
    if (rc == RC_BAD) {
        return WHY("it takes off, stdout, stderr, syslog or \"file:/path\"%s",
            text.len > 0 && text.ptr[0] == '/' ? "; did you forget 'file:'?"
                                               : "");
    }
    if (rc == RC_OK && out != NULL) {
        *(struct conf_target *)out = t;
    }
    return rc;
}

/* --- Addresses and names ------------------------------------------------- */

static enum rc
read_address(struct slice text, char why[CONF_WHY_MAX])
{
    struct address a;

    if (address_parse(text, &a) == RC_OK) {
        return RC_OK;
    }
    if (text.len > 0 && digits_len(text) == text.len) {
        return WHY(
            "a port alone; did you mean '0.0.0.0:%.*s'?", SLICE_FMT(text));
    }
    if (text.len > 0 && text.ptr[0] == '/') {
        return WHY("did you mean 'unix:%.*s'?", SLICE_FMT(text));
    }
    return WHY("not an address; it is written '127.0.0.1:8080', '[::1]:8080' "
               "or 'unix:/path'");
}

static enum rc
read_address_or(const struct conf_option *option, struct slice text,
    struct arena *arena, void *out, char why[CONF_WHY_MAX])
{
    enum rc rc;

    if (slice_eq(text, SLICE("off"))) {
        if (out != NULL) {
            *(const char **)out = NULL;
        }
        return RC_OK;
    }
    /* "auto" stays a word until the whole is checked. */
    if (option->kind == CONF_KIND_ADMIN && slice_eq(text, SLICE("auto"))) {
        return give_text(arena, text, out);
    }
    rc = read_address(text, why);
    return rc == RC_OK ? give_text(arena, text, out) : rc;
}

static enum rc
read_host(
    struct slice text, struct arena *arena, void *out, char why[CONF_WHY_MAX])
{
    char name[256];
    size_t len;

    if (text.len == 0 || text.len >= sizeof(name) || !uri_is_authority(text)) {
        return WHY("not a host; it is written 'shop.example' or "
                   "'shop.example:8080'");
    }
    len = uri_authority_normalise(text, SLICE("http"), name);
    return give_text(arena, slice_of(name, len), out);
}

/* host:port, the port is obligatory. */
static enum rc
read_seed(struct slice text, char why[CONF_WHY_MAX])
{
    const char *colon = text.len == 0 ? NULL : memrchr(text.ptr, ':', text.len);
    size_t host_len = colon == NULL ? 0 : (size_t)(colon - text.ptr);
    uint64_t port;

    if (memmem(text.ptr, text.len, "://", 3) != NULL) {
        return WHY("a server of Redis is written 'host:port', without '%.*s'",
            (int)((const char *)memmem(text.ptr, text.len, "://", 3) -
                  text.ptr) +
                3,
            text.ptr);
    }
    if (colon == NULL && text.len > 0 && uri_is_authority(text)) {
        return WHY(
            "the port is missing; did you mean '%.*s:6379'?", SLICE_FMT(text));
    }
    if (host_len == 0 || !uri_is_authority(text) ||
        slice_to_u64(slice_skip(text, host_len + 1), 65535, &port) != RC_OK ||
        port == 0) {
        return WHY("not a server; it is written 'host:port', such as "
                   "'redis-1:6379'");
    }
    return RC_OK;
}

static enum rc
read_server(struct slice text, char why[CONF_WHY_MAX])
{
    struct uri_server server;

    if (uri_parse_server(text, &server) == RC_OK) {
        if (slice_ieq(server.scheme, SLICE("https"))) {
            return WHY("https to an origin is not available in this version");
        }
        return RC_OK;
    }
    if (uri_is_authority(text) && slice_find(text, ':') >= 0) {
        return WHY("did you mean 'http://%.*s'?", SLICE_FMT(text));
    }
    return WHY("not a server; it is written 'http://host:port' or "
               "'unix:/path', without a path or a query");
}

/* Clears the bits behind the prefix; false: one was set. */
static bool
net_mask(struct conf_net *net)
{
    bool was_clear = true;

    for (unsigned i = net->bits; i < (net->is_v6 ? 128 : 32); i++) {
        uint8_t bit = (uint8_t)(0x80 >> (i % 8));

        was_clear &= (net->address[i / 8] & bit) == 0;
        net->address[i / 8] &= (uint8_t)~bit;
    }
    return was_clear;
}

static enum rc
read_net(struct slice text, void *out, char why[CONF_WHY_MAX])
{
    struct conf_net net = {.is_v6 = slice_find(text, ':') >= 0};
    unsigned width = net.is_v6 ? 128 : 32;
    struct slice rest = text, host = SLICE("");
    uint64_t bits = width;
    char name[64];

    slice_split(&rest, '/', &host);
    if (host.len < text.len &&
        (slice_to_u64(slice_skip(text, host.len + 1), width, &bits) != RC_OK)) {
        return WHY("the prefix of a network is a number from 0 to %u", width);
    }
    if (host.len >= sizeof(name)) {
        return WHY("not a network");
    }
    snprintf(name, sizeof(name), "%.*s", SLICE_FMT(host));
    net.bits = (unsigned)bits;
    if (inet_pton(net.is_v6 ? AF_INET6 : AF_INET, name, net.address) != 1) {
        return WHY("not a network; it is written '10.0.0.0/8', '2001:db8::/32' "
                   "or as one address");
    }
    if (!net_mask(&net)) {
        inet_ntop(
            net.is_v6 ? AF_INET6 : AF_INET, net.address, name, sizeof(name));
        return WHY("bits are set behind the prefix; did you mean '%s/%u'?",
            name, net.bits);
    }
    if (out != NULL) {
        *(struct conf_net *)out = net;
    }
    return RC_OK;
}

static enum rc
read_field_name(
    struct slice text, struct arena *arena, void *out, char why[CONF_WHY_MAX])
{
    char name[256];

    if (!is_token(text) || text.len > sizeof(name)) {
        return WHY("not the name of a header field");
    }
    if (slice_ieq(text, SLICE("cookie")) ||
        slice_ieq(text, SLICE("authorization"))) {
        return WHY("it has an option of its own");
    }
    for (size_t i = 0; i < text.len; i++) {
        name[i] = ascii_lower(text.ptr[i]);
    }
    return give_text(arena, slice_of(name, text.len), out);
}

/* Statuses whose answer depends on the one request alone, or that are no
   answer of their own: to keep one would poison the target for others. */
static bool
is_kept_by_status(uint64_t status)
{
    static const unsigned never[] = {
        206, 304, 400, 408, 412, 413, 414, 416, 431, 501};

    for (size_t i = 0; i < ARRAY_LEN(never); i++) {
        if (never[i] == status) {
            return false;
        }
    }
    return status >= 200 && status <= 599;
}

/* "404 10s" */
static enum rc
read_status_ttl(const struct conf_option *option, struct slice text, void *out,
    char why[CONF_WHY_MAX])
{
    struct conf_status_ttl ttl = {0};
    struct slice rest = text;
    struct slice status;
    uint64_t number;

    if (!slice_split(&rest, ' ', &status) || rest.ptr == NULL ||
        status.len != 3 || slice_to_u64(status, 999, &number) != RC_OK) {
        return WHY("a status and a duration are meant, such as '404 10s'");
    }
    if (!is_kept_by_status(number)) {
        return WHY("an answer of status %u is never kept: it is about one "
                   "request, not about its target",
            (unsigned)number);
    }
    ttl.status = (unsigned)number;
    if (read_duration(option, slice_trim(rest), &ttl.ttl_ms, why) != RC_OK) {
        return RC_BAD;
    }
    if (out != NULL) {
        *(struct conf_status_ttl *)out = ttl;
    }
    return RC_OK;
}

static enum rc
read_method(struct slice text, char why[CONF_WHY_MAX])
{
    if (!is_token(text) || text.len > 32) {
        return WHY("not a method");
    }
    for (size_t i = 0; i < text.len; i++) {
        if (islower((unsigned char)text.ptr[i])) {
            return WHY("methods are written in capitals");
        }
    }
    if (slice_eq(text, SLICE("CONNECT")) || slice_eq(text, SLICE("TRACE"))) {
        return WHY("it is never served");
    }
    return RC_OK;
}

/* A parameter's name; `all` and `none` are seen to by the caller. */
static enum rc
read_parameter(struct slice text, char why[CONF_WHY_MAX])
{
    for (size_t i = 0; i < text.len; i++) {
        if (!isgraph((unsigned char)text.ptr[i]) ||
            strchr("&=#?;+", text.ptr[i]) != NULL) {
            return WHY("it takes all, none, or the names of parameters as "
                       "they stand in a query");
        }
    }
    return text.len == 0 ? WHY("empty") : RC_OK;
}

/* Kinds whose value is the text itself, once it is found good. */
static enum rc
read_plain(
    const struct conf_option *option, struct slice text, char why[CONF_WHY_MAX])
{
    switch ((unsigned)option->kind) {
    case CONF_KIND_ADDRESSES:
        return read_address(text, why);
    case CONF_KIND_SEEDS:
        return read_seed(text, why);
    case CONF_KIND_SERVERS:
        return read_server(text, why);
    case CONF_KIND_METHODS:
        return read_method(text, why);
    case CONF_KIND_QUERY:
        return read_parameter(text, why);
    case CONF_KIND_PATH:
        return read_path(text, why);
    case CONF_KIND_PREFIX:
        return read_prefix(option, text, why);
    case CONF_KIND_NAME:
    case CONF_KIND_TOKEN:
        return read_token(option, text, why);
    default:
        return read_text(option, text, why);
    }
}

enum rc
conf_value_read(const struct conf_option *option, struct slice text,
    struct arena *arena, void *out, char why[CONF_WHY_MAX])
{
    enum rc rc;

    switch (option->kind) {
    case CONF_KIND_ADDRESS:
    case CONF_KIND_ADMIN:
        return read_address_or(option, text, arena, out, why);
    case CONF_KIND_DURATION:
        return read_duration(option, text, out, why);
    case CONF_KIND_SIZE:
        return read_size(option, text, out, why);
    case CONF_KIND_COUNT:
    case CONF_KIND_COUNT_AUTO:
        return read_count(option, text, out, why);
    case CONF_KIND_PERCENT:
        return read_percent(option, text, out, why);
    case CONF_KIND_SWITCH:
        return read_switch(text, out, why);
    case CONF_KIND_WORD:
        return read_word(option, text, out, why);
    case CONF_KIND_TARGET:
        return read_target(text, arena, out, why);
    case CONF_KIND_HOST:
    case CONF_KIND_HOSTS:
        return read_host(text, arena, out, why);
    case CONF_KIND_FIELD_NAMES:
        return read_field_name(text, arena, out, why);
    case CONF_KIND_NETS:
        return read_net(text, out, why);
    case CONF_KIND_STATUS_TTLS:
        return read_status_ttl(option, text, out, why);
    case CONF_KIND_TEXT:
    case CONF_KIND_TOKEN:
    case CONF_KIND_NAME:
    case CONF_KIND_PATH:
    case CONF_KIND_PREFIX:
    case CONF_KIND_ADDRESSES:
    case CONF_KIND_SEEDS:
    case CONF_KIND_SERVERS:
    case CONF_KIND_METHODS:
    case CONF_KIND_TEXTS:
    case CONF_KIND_QUERY:
        break;
    }
    rc = read_plain(option, text, why);
    return rc == RC_OK ? give_text(arena, text, out) : rc;
}

/* --- Storing ------------------------------------------------------------- */

/* Of one item of a list. */
static size_t
item_size(enum conf_kind kind)
{
    return kind == CONF_KIND_NETS          ? sizeof(struct conf_net)
           : kind == CONF_KIND_STATUS_TTLS ? sizeof(struct conf_status_ttl)
                                           : sizeof(const char *);
}

static void
store_items(enum conf_kind kind, void *items, size_t count, void *member)
{
    if (kind == CONF_KIND_NETS) {
        *(struct conf_nets *)member = (struct conf_nets){items, count};
    } else if (kind == CONF_KIND_STATUS_TTLS) {
        *(struct conf_status_ttls *)member =
            (struct conf_status_ttls){items, count};
    } else {
        *(struct conf_strings *)member = (struct conf_strings){items, count};
    }
}

static enum rc
store_list(const struct conf_option *option, const char *const *values,
    size_t count, struct arena *arena, void *member)
{
    size_t size = item_size(option->kind);
    char *items = count == 0 ? NULL : arena_zalloc(arena, count * size);
    char why[CONF_WHY_MAX];

    if (count > 0 && items == NULL) {
        return RC_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        void *item = items + i * size;
        enum rc rc =
            conf_value_read(option, slice_of_str(values[i]), arena, item, why);

        /* Told where its line was known; kept, so that the list does not
           seem empty on top of that. */
        if (rc == RC_BAD && size == sizeof(const char *)) {
            rc = give_text(arena, slice_of_str(values[i]), item);
        }
        if (rc == RC_NOMEM) {
            return rc;
        }
    }
    store_items(option->kind, items, count, member);
    return RC_OK;
}

static enum rc
store_query(const struct conf_option *option, const char *const *values,
    size_t count, struct arena *arena, struct conf_query *query)
{
    if (count == 1 && strcmp(values[0], "all") == 0) {
        *query = (struct conf_query){.kind = CONF_QUERY_ALL};
        return RC_OK;
    }
    if (count == 0 || (count == 1 && strcmp(values[0], "none") == 0)) {
        *query = (struct conf_query){.kind = CONF_QUERY_NONE};
        return RC_OK;
    }
    query->kind = CONF_QUERY_LIST;
    return store_list(option, values, count, arena, &query->names);
}

enum rc
conf_value_store(const struct conf_option *option, const char *const *values,
    size_t count, struct arena *arena, void *base)
{
    void *member = (char *)base + option->offset;
    char why[CONF_WHY_MAX];
    enum rc rc;

    if (option->kind == CONF_KIND_QUERY) {
        return store_query(option, values, count, arena, member);
    }
    if (conf_kind_is_list(option->kind)) {
        return store_list(option, values, count, arena, member);
    }
    MUST(count == 1);
    rc = conf_value_read(option, slice_of_str(values[0]), arena, member, why);
    /* Told where its line was known; the default stays. */
    return rc == RC_BAD ? RC_OK : rc;
}

/* Reads `{ "a", "b" }` or a single value. */
static enum rc
preset_store(const struct conf_option *option, struct arena *arena, void *base)
{
    char text[256];
    const char *values[16];
    size_t count = 0;
    char *rest = NULL;

    snprintf(text, sizeof(text), "%s", option->preset);
    for (char *item = strtok_r(text, "{}\", ", &rest); item != NULL;
         item = strtok_r(NULL, "{}\", ", &rest)) {
        MUST(count < ARRAY_LEN(values));
        values[count++] = item;
    }
    return conf_value_store(option, values, count, arena, base);
}

enum rc
conf_value_presets(enum conf_section options, struct arena *arena, void *base)
{
    for (size_t i = 0; i < conf_options_count; i++) {
        const struct conf_option *option = &conf_options[i];

        if (option->section == options && option->preset != NULL) {
            enum rc rc = preset_store(option, arena, base);

            if (rc != RC_OK) {
                return rc;
            }
        }
    }
    return RC_OK;
}
