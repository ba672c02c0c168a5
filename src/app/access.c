/*
 * Access lines.
 *
 * The combined line is made for every request, so it is put together by
 * hand in one stack buffer: no allocation, no printf, no C library call
 * that takes a lock (gmtime_r does). Every part that comes from outside
 * has a maximum of its own and together they fit the buffer: a long target
 * never costs the line its end.
 *
 * Text from outside is escaped as the event log does it. In JSON a text
 * that is UTF-8 is left to JSON's own escapes, and so stays what the client
 * sent; one that is not is escaped as in the combined line.
 *
 * Of the fields only Host, Referer and User-Agent are shown: credentials are
 * not written because they are never looked at.
 */
#include "nearside/app/access.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "nearside/base/check.h"
#include "nearside/base/log.h"
#include "nearside/http/date.h"
#include "nearside/http/write.h"

enum {
    /* The client left before it had an answer; nginx made this number known. */
    STATUS_GONE = 499,

    /* How many bytes a text may take in the line, with its NUL. */
    METHOD_SIZE = 64,
    TARGET_SIZE = 2048,
    VERSION_SIZE = 32,
    HOST_SIZE = 256,
    REFERER_SIZE = 1024,
    USER_AGENT_SIZE = 512,
    ROUTE_SIZE = 256,
    WORD_SIZE = 128, /* result, tier, detail, fault */
    TEXT_SIZE_MAX = TARGET_SIZE,

    SECONDS_SIZE = 96, /* of the JSON members */

    /* Address, time, numbers, and what joins the parts. */
    REST_SIZE = 512,
    COMBINED_SIZE = METHOD_SIZE + TARGET_SIZE + VERSION_SIZE + REFERER_SIZE +
                    USER_AGENT_SIZE + ROUTE_SIZE + HOST_SIZE + 4 * WORD_SIZE +
                    REST_SIZE,
};

/* The last second of the year 9999, beyond which a date has no form. */
#define WALL_S_MAX INT64_C(253402300799)

static unsigned
status_shown(const struct request_access *access)
{
    return access->status == 0 ? STATUS_GONE : access->status;
}

/* Without a method nothing was read, and no version either. */
static struct slice
version_of(const struct request_access *access)
{
    return access->method.len == 0 ? slice_of(NULL, 0) : access->version;
}

/* A wall clock may have been set to anything. */
static int64_t
wall_ms_shown(const struct request_access *access)
{
    if (access->wall_ms < 0) {
        return 0;
    }
    return access->wall_ms / 1000 > WALL_S_MAX ? WALL_S_MAX * 1000
                                               : access->wall_ms;
}

/* A clock that stepped back made no negative wait. */
static uint64_t
us_shown(int64_t us)
{
    return us < 0 ? 0 : (uint64_t)us;
}

/* --- combined: parts ----------------------------------------------------- */

/* Would log_escape leave it as it is? The loop has no branch, so that the
   compiler looks at many bytes at a time. */
static bool
is_plain(struct slice s)
{
    unsigned odd = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        odd |= (unsigned)(c < 0x20) | (unsigned)(c > 0x7e) |
               (unsigned)(c == '"') | (unsigned)(c == '\\');
    }
    return odd == 0;
}

/* Writes a text from outside in at most size bytes, its NUL counted. */
static void
put_text(struct writer *w, struct slice s, size_t size)
{
    MUST(size <= w->cap - w->len);
    if (s.len == 0) {
        write_slice(w, SLICE("-"));
    } else if (s.len < size && is_plain(s)) {
        write_slice(w, s);
    } else {
        w->len += strlen(log_escape(s, w->ptr + w->len, size));
    }
}

/* The printf in inet_ntop would be a fifth of the line's whole cost. */
static void
put_v4(struct writer *w, const struct sockaddr_in *v4)
{
    uint32_t address = ntohl(v4->sin_addr.s_addr);

    for (int shift = 24; shift >= 0; shift -= 8) {
        write_u64(w, (address >> shift) & 255);
        if (shift > 0) {
            write_slice(w, SLICE("."));
        }
    }
}

static void
put_peer(struct writer *w, const struct address *peer)
{
    char text[ADDRESS_TEXT_MAX];

    if (peer->len == 0) {
        write_slice(w, SLICE("-"));
    } else if (peer->u.any.sa_family == AF_INET) {
        put_v4(w, &peer->u.v4);
    } else {
        write_slice(w, slice_of_str(address_host_text(peer, text)));
    }
}

/* " - - [23/Nov/2026:03:12:37 +0000] " from "Mon, 23 Nov 2026 03:12:37
   GMT": the same numbers in another order. */
static void
put_time(struct writer *w, int64_t wall_ms)
{
    char out[] = " - - [00/Jan/1970:00:00:00 +0000] ";
    char date[DATE_LEN];

    date_write(date, wall_ms / 1000);
    memcpy(out + 6, date + 5, 2);
    memcpy(out + 9, date + 8, 3);
    memcpy(out + 13, date + 12, 4);
    memcpy(out + 18, date + 17, 8);
    write_slice(w, slice_of(out, sizeof(out) - 1));
}

/* "GET / HTTP/1.1", or "-" when there was no such line to be read */
static void
put_request(struct writer *w, const struct request_access *access)
{
    if (access->method.len == 0) {
        write_slice(w, SLICE("\"-\" "));
        return;
    }
    write_slice(w, SLICE("\""));
    put_text(w, access->method, METHOD_SIZE);
    write_slice(w, SLICE(" "));
    put_text(w, access->target, TARGET_SIZE);
    write_slice(w, SLICE(" "));
    put_text(w, access->version, VERSION_SIZE);
    write_slice(w, SLICE("\" "));
}

/* Writes `before`, which ends with a quote, the text and a second quote. */
static void
put_quoted(struct writer *w, struct slice before, struct slice s, size_t size)
{
    write_slice(w, before);
    put_text(w, s, size);
    write_slice(w, SLICE("\""));
}

static void
put_seconds(struct writer *w, uint64_t us)
{
    char fraction[] = ".000000";

    write_u64(w, us / 1000000);
    us %= 1000000;
    for (int i = 6; i > 0; i--) {
        fraction[i] = (char)('0' + us % 10);
        us /= 10;
    }
    write_slice(w, slice_of(fraction, sizeof(fraction) - 1));
}

/* Writes what the cache did, which Apache's format does not have. */
static void
put_cache(struct writer *w, const struct request_access *access)
{
    write_slice(w, SLICE(" cache="));
    put_text(w, slice_of_str(access->result), WORD_SIZE);
    write_slice(w, SLICE(" tier="));
    put_text(w, slice_of_str(access->tier), WORD_SIZE);
    put_quoted(w, SLICE(" route=\""), access->route, ROUTE_SIZE);
    write_slice(w, SLICE(" time="));
    put_seconds(w, us_shown(access->took_us));
    if (access->queued_us > 0) {
        write_slice(w, SLICE(" queued="));
        put_seconds(w, us_shown(access->queued_us));
    }
    if (access->detail != NULL) {
        put_quoted(
            w, SLICE(" detail=\""), slice_of_str(access->detail), WORD_SIZE);
    }
    if (access->fault != NULL) {
        write_slice(w, SLICE(" fault="));
        put_text(w, slice_of_str(access->fault), WORD_SIZE);
        put_quoted(w, SLICE(" host=\""), access->host, HOST_SIZE);
    }
}

void
access_combined(struct log_ring *ring, const struct request_access *access)
{
    char line[COMBINED_SIZE];
    struct writer w = writer_of(line, sizeof(line));

    if (!log_wants_access(ring)) {
        return;
    }
    put_peer(&w, &access->peer);
    put_time(&w, wall_ms_shown(access));
    put_request(&w, access);
    write_u64(&w, status_shown(access));
    write_slice(&w, SLICE(" "));
    write_u64(&w, access->bytes);
    put_quoted(&w, SLICE(" \""), access->referer, REFERER_SIZE);
    put_quoted(&w, SLICE(" \""), access->user_agent, USER_AGENT_SIZE);
    put_cache(&w, access);
    MUST(!w.is_full);
    log_access(ring, writer_slice(&w));
}

/* --- JSON ---------------------------------------------------------------- */

static bool
is_utf8_tail(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Cuts s between two characters, so that it fits size bytes with "..." and a
   NUL. */
static struct slice
cut(struct slice s, char *room, size_t size)
{
    size_t len = size - sizeof("...");

    while (len > 0 && is_utf8_tail(s.ptr[len])) {
        len--;
    }
    memcpy(room, s.ptr, len);
    memcpy(room + len, "...", 3);
    return slice_of(room, len + 3);
}

/* The caller owns it. An absent text becomes JSON's null. NULL: no memory. */
static json_t *
json_text(struct slice s, size_t size)
{
    char room[TEXT_SIZE_MAX];
    struct slice shown = s;
    json_t *text = NULL;

    MUST(size <= sizeof(room));
    if (s.len == 0) {
        return json_null();
    }
    if (s.len >= size) {
        shown = cut(s, room, size);
    }
    /* DEL is the one control byte that JSON lets stand. */
    if (slice_find(shown, '\x7f') < 0) {
        text = json_stringn(shown.ptr, shown.len);
    }
    if (text == NULL) { /* not UTF-8 */
        text = json_string(log_escape(s, room, size));
    }
    return text;
}

static json_t *
json_word(const char *word)
{
    if (word == NULL || strcmp(word, "-") == 0) {
        return json_null();
    }
    return json_text(slice_of_str(word), WORD_SIZE);
}

static json_t *
json_client(const struct address *peer)
{
    char text[ADDRESS_TEXT_MAX];

    return json_text(slice_of_str(address_host_text(peer, text)), sizeof(text));
}

/* "2026-11-23T03:12:37.123Z" (RFC 3339) */
static json_t *
json_time(int64_t wall_ms)
{
    time_t second = (time_t)(wall_ms / 1000);
    char text[64];
    struct tm tm;
    size_t len;

    gmtime_r(&second, &tm);
    len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + len, sizeof(text) - len, ".%03dZ", (int)(wall_ms % 1000));
    return json_string(text);
}

/* All but the times. NULL: no memory, for the line or for one of its
   values. */
static json_t *
json_line(const struct request_access *access)
{
    const struct {
        const char *name;
        json_t *own_value;
    } members[] = {
        {"time", json_time(wall_ms_shown(access))},
        {"client", json_client(&access->peer)},
        {"method", json_text(access->method, METHOD_SIZE)},
        {"target", json_text(access->target, TARGET_SIZE)},
        {"version", json_text(version_of(access), VERSION_SIZE)},
        {"host", json_text(access->host, HOST_SIZE)},
        {"status", json_integer(status_shown(access))},
        {"bytes", json_integer((json_int_t)access->bytes)},
        {"referer", json_text(access->referer, REFERER_SIZE)},
        {"user_agent", json_text(access->user_agent, USER_AGENT_SIZE)},
        {"route", json_text(access->route, ROUTE_SIZE)},
        {"cache", json_word(access->result)},
        {"tier", json_word(access->tier)},
        {"detail", json_word(access->detail)},
        {"fault", json_word(access->fault)},
    };
    json_t *line = json_object();
    int failed = 0;

    /* Each call takes its value, and refuses NULL on either side. */
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        failed |=
            json_object_set_new(line, members[i].name, members[i].own_value);
    }
    if (failed != 0) {
        json_decref(line);
        line = NULL;
    }
    return line;
}

/* Puts them at the end of an object's text. jansson would write some as 2.1e-5,
   which not every reader takes for a number. NULL: no memory, or no text. */
static char *
with_seconds(char *own_text, const struct request_access *access)
{
    size_t len = own_text == NULL ? 0 : strlen(own_text);
    char *text = len == 0 ? NULL : realloc(own_text, len + SECONDS_SIZE);
    struct writer w;

    if (text == NULL) {
        free(own_text);
        return NULL;
    }
    MUST(text[len - 1] == '}');
    w = writer_of(text + len - 1, SECONDS_SIZE);
    write_slice(&w, SLICE(",\"queued\":"));
    put_seconds(&w, us_shown(access->queued_us));
    write_slice(&w, SLICE(",\"seconds\":"));
    put_seconds(&w, us_shown(access->took_us));
    write_slice(&w, SLICE("}"));
    MUST(!w.is_full);
    text[len - 1 + w.len] = '\0';
    return text;
}

void
access_json(struct log_ring *ring, const struct request_access *access)
{
    json_t *line;
    char *own_text;

    if (!log_wants_access(ring)) {
        return;
    }
    line = json_line(access);
    own_text = with_seconds(
        json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII), access);
    if (own_text != NULL) {
        log_access(ring, slice_of_str(own_text));
    } else {
        log_event(ring, LOG_LEVEL_WARN, "access_line_lost",
            "cause=\"out of memory\"");
    }
    free(own_text);
    json_decref(line);
}
