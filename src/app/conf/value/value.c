/*
 * Single values: words, texts, names and what else has no file of its own.
 * Every refusal says what was meant, if that can be guessed. Nothing here
 * knows files or lines.
 */
#include "app/conf/value/read.h"

#include <ctype.h>
#include <stdio.h>

#include "nearside/app/conf/text/text.h"
#include "nearside/app/conf/value/guess.h"
#include "nearside/base/check.h"
#include "nearside/base/log.h"
#include "nearside/http/uri.h"
#include "nearside/rules/conf.h"

const char *
conf_copy(struct arena *arena, struct slice s)
{
    char *copy = arena_alloc(arena, s.len + 1);

    if (copy == NULL) {
        return NULL;
    }
    if (s.len > 0) {
        memcpy(copy, s.ptr, s.len);
    }
    copy[s.len] = '\0';
    return copy;
}

enum rc
conf_value_give(const struct conf_reading *r, struct slice text)
{
    const char *copy = conf_copy(r->arena, text);

    if (copy == NULL) {
        return RC_NOMEM;
    }
    if (r->option->kind >= CONF_KIND_FIELD_NAMES) {
        *(struct slice *)r->out = slice_of(copy, text.len);
    } else {
        *(const char **)r->out = copy;
    }
    return RC_OK;
}

static bool
is_switch(struct slice text, bool *out)
{
    static const char *const words[] = {
        "off", "on", "no", "yes", "false", "true"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (slice_eq(text, slice_of_str(words[i]))) {
            *out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

enum rc
conf_read_switch(const struct conf_reading *r)
{
    return is_switch(r->text, r->out) ? RC_OK : WHY(r, "neither on nor off");
}

/* Enums are as wide as an int. */
static enum rc
give_word(const struct conf_reading *r, int value)
{
    if (r->option->size == sizeof(bool)) {
        *(bool *)r->out = value != 0;
    } else {
        MUST(r->option->size == sizeof(value));
        memcpy(r->out, &value, sizeof(value));
    }
    return RC_OK;
}

/* Writes "a, b or c", the words of this version. */
static void
words_write(struct slice words, char out[CONF_WHY_MAX / 2])
{
    struct slice word;
    size_t len = 0;

    while (slice_split(&words, '|', &word) && word.ptr[0] != '-') {
        bool is_last = words.ptr == NULL || words.ptr[0] == '-';
        int n = snprintf(out + len, CONF_WHY_MAX / 2 - len, "%s%.*s",
            len == 0  ? ""
            : is_last ? " or "
                      : ", ",
            SLICE_FMT(word));

        MUST(n > 0);
        len += (size_t)n;
        MUST(len < CONF_WHY_MAX / 2);
    }
}

enum rc
conf_read_word(const struct conf_reading *r)
{
    struct slice words = slice_of_str(r->option->words);
    struct conf_guess guess = {.name = r->text};
    struct slice word;
    char all[CONF_WHY_MAX / 2];

    words_write(words, all);
    for (int value = 0; slice_split(&words, '|', &word); value++) {
        bool is_later = word.ptr[0] == '-';

        word = slice_skip(word, is_later ? 1 : 0);
        if (slice_eq(r->text, word)) {
            if (is_later) {
                return WHY(
                    r, "not available in this version; it takes %s", all);
            }
            return give_word(r, value);
        }
        conf_guess_at(&guess, word);
    }
    if (guess.found.len > 0) {
        return WHY(r, "it takes %s; did you mean '%.*s'?", all,
            SLICE_FMT(guess.found));
    }
    return WHY(r, "it takes %s", all);
}

/* It was a switch once: off is the first word, on the second. */
enum rc
conf_read_word_switch(const struct conf_reading *r)
{
    bool is_on;

    return is_switch(r->text, &is_on) ? give_word(r, is_on) : conf_read_word(r);
}

/* RFC 9110 5.6.2. */
static bool
is_token(struct slice text)
{
    return text.len > 0 && conf_text_is_of(text, "!#$%&'*+-.^_`|~");
}

/* Is the text longer than the option allows? */
static bool
is_long(const struct conf_reading *r)
{
    return r->option->max != 0 && r->text.len > r->option->max;
}

enum rc
conf_read_text(const struct conf_reading *r)
{
    if (r->text.len == 0) {
        return WHY(r, "empty");
    }
    if (is_long(r)) {
        return WHY(
            r, "longer than %llu bytes", (unsigned long long)r->option->max);
    }
    return conf_value_give(r, r->text);
}

enum rc
conf_read_token(const struct conf_reading *r)
{
    if (!is_token(r->text) || is_long(r)) {
        return WHY(r,
            "not a single word of letters, digits and '-', '_' or '.', of at "
            "most %llu bytes",
            (unsigned long long)r->option->max);
    }
    return conf_value_give(r, r->text);
}

/* Part of every key in Redis: printable, and no brace, which would choose
   the slot. */
enum rc
conf_read_prefix(const struct conf_reading *r)
{
    for (size_t i = 0; i < r->text.len; i++) {
        if (!isgraph((unsigned char)r->text.ptr[i]) ||
            strchr("{}%", r->text.ptr[i]) != NULL) {
            return WHY(r, "a prefix is printable, without blanks, '{', '}' and "
                          "'%%'");
        }
    }
    if (r->text.len == 0 || is_long(r)) {
        return WHY(r, "a prefix has 1 to %llu bytes",
            (unsigned long long)r->option->max);
    }
    return conf_value_give(r, r->text);
}

enum rc
conf_read_path(const struct conf_reading *r)
{
    if (!slice_starts(r->text, SLICE("/"))) {
        return WHY(r, "a file is named from the root on: '/%.*s'",
            r->text.len > 64 ? 64 : (int)r->text.len, r->text.ptr);
    }
    return conf_value_give(r, r->text);
}

enum rc
conf_read_target(const struct conf_reading *r)
{
    static const char *const names[] = {[LOG_TARGET_NONE] = "off",
        [LOG_TARGET_STDOUT] = "stdout",
        [LOG_TARGET_STDERR] = "stderr",
        [LOG_TARGET_SYSLOG] = "syslog",
        [LOG_TARGET_FILE] = "file:"};
    struct log_sink_opts *out = r->out;
    const char *path;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (i != LOG_TARGET_FILE && slice_eq(r->text, slice_of_str(names[i]))) {
            *out = (struct log_sink_opts){.target = (enum log_target)i};
            return RC_OK;
        }
    }
    if (!slice_starts(r->text, SLICE("file:/"))) {
        return WHY(r,
            "it takes off, stdout, stderr, syslog or \"file:/path\"%s",
            slice_starts(r->text, SLICE("/")) ? "; did you forget 'file:'?"
                                              : "");
    }
    path = conf_copy(r->arena, slice_skip(r->text, 5));
    if (path == NULL) {
        return RC_NOMEM;
    }
    *out = (struct log_sink_opts){.target = LOG_TARGET_FILE, .path = path};
    return RC_OK;
}

enum rc
conf_read_field_name(const struct conf_reading *r)
{
    struct slice text = r->text;
    char name[256];

    if (!is_token(text) || text.len > sizeof(name)) {
        return WHY(r, "not the name of a header field");
    }
    if (slice_ieq(text, SLICE("cookie")) ||
        slice_ieq(text, SLICE("authorization"))) {
        return WHY(r, "it has an option of its own");
    }
    for (size_t i = 0; i < text.len; i++) {
        name[i] = ascii_lower(text.ptr[i]);
    }
    return conf_value_give(r, slice_of(name, text.len));
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
enum rc
conf_read_status_ttl(const struct conf_reading *r)
{
    struct route_status_ttl ttl = {0};
    struct conf_reading duration = *r;
    struct slice rest = r->text;
    struct slice status;
    uint64_t number;

    if (!slice_split(&rest, ' ', &status) || rest.ptr == NULL ||
        status.len != 3 || slice_to_u64(status, 999, &number) != RC_OK) {
        return WHY(r, "a status and a duration are meant, such as '404 10s'");
    }
    if (!is_kept_by_status(number)) {
        return WHY(r,
            "an answer of status %u is never kept: it is about one request, "
            "not about its target",
            (unsigned)number);
    }
    duration.text = slice_trim(rest);
    duration.out = &ttl.ttl_ms;
    ttl.status = (unsigned)number;
    if (conf_read_duration(&duration) != RC_OK) {
        return RC_BAD;
    }
    *(struct route_status_ttl *)r->out = ttl;
    return RC_OK;
}

const char *
conf_method_fault(struct slice method)
{
    if (!is_token(method) || method.len > 32) {
        return "not a method";
    }
    for (size_t i = 0; i < method.len; i++) {
        if (islower((unsigned char)method.ptr[i])) {
            return "methods are written in capitals";
        }
    }
    return slice_eq(method, SLICE("CONNECT")) ||
                   slice_eq(method, SLICE("TRACE"))
               ? "it is never served"
               : NULL;
}

enum rc
conf_read_method(const struct conf_reading *r)
{
    const char *fault = conf_method_fault(r->text);

    if (fault != NULL) {
        return WHY(r, "%s", fault);
    }
    return conf_value_give(r, r->text);
}

enum rc
conf_read_cookie_name(const struct conf_reading *r)
{
    if (!is_token(r->text)) {
        return WHY(r, "not the name of a cookie");
    }
    return conf_value_give(r, r->text);
}

/* `all`, `none`, or a parameter's name: parameters are told apart in their
   one spelling (http/uri.h). */
enum rc
conf_read_parameter(const struct conf_reading *r)
{
    struct slice *name = r->out;
    enum rc rc;

    for (size_t i = 0; i < r->text.len; i++) {
        if (!isgraph((unsigned char)r->text.ptr[i]) ||
            strchr("&=#?;+", r->text.ptr[i]) != NULL) {
            return WHY(r, "it takes all, none, or the names of parameters as "
                          "they stand in a query");
        }
    }
    rc = conf_read_text(r);
    if (rc == RC_OK) {
        name->len = uri_normalise(*name, (char *)(uintptr_t)name->ptr);
    }
    return rc;
}

enum rc
conf_value_read(const struct conf_reading *r)
{
    static enum rc (*const readers[CONF_KINDS])(const struct conf_reading *) = {
#define KIND(name, read) [CONF_KIND_##name] = read,
#include "nearside/app/conf/value/kind.def"
#undef KIND
    };

    MUST(r->option->kind < CONF_KINDS);
    MUST(r->out != NULL);
    return readers[r->option->kind](r);
}
