/*
 * Cache-Control (RFC 9111 5.2). Law: what can be read in two ways is read
 * in the way that stores less and serves shorter. A restriction holds with
 * whatever argument it carries; a permission only when it is well-formed; a
 * duration that is no number is over; a value that cannot be read to its
 * end (an open quote) may have hidden anything, and so forbids storing. A
 * dictionary is valid or not, and so nothing in it is malformed but values of
 * another type.
 */
#include "nearside/http/cache_control.h"

#include "http/class.h"
#include "nearside/base/check.h"
#include "nearside/http/structured.h"

void
cache_control_init(struct cache_control *out)
{
    *out = (struct cache_control){
        .max_age = DELTA_ABSENT,
        .s_maxage = DELTA_ABSENT,
        .min_fresh = DELTA_ABSENT,
        .max_stale = DELTA_ABSENT,
        .stale_while_revalidate = DELTA_ABSENT,
        .stale_if_error = DELTA_ABSENT,
    };
}

/* --- directives ---------------------------------------------------------- */

/* What a directive says decides how its malformed forms are read. */
enum kind {
    RESTRICTION, /* holds whatever follows the name */
    PERMISSION,  /* alone, or true in a dictionary */
    IMMUTABLE,   /* the same, but arguments have no meaning (RFC 8246 2) */
    DURATION,    /* the smaller is the stricter */
    MIN_FRESH,   /* the larger is */
    MAX_STALE,   /* alone it takes any staleness */
};

struct directive {
    struct slice name;
    enum kind kind;
    size_t at; /* offset in struct cache_control */
};

#define DIRECTIVE(name, kind, member)                                          \
    {                                                                          \
        {name, sizeof(name) - 1}, kind, offsetof(struct cache_control, member) \
    }

static const struct directive directives[] = {
    DIRECTIVE("max-age", DURATION, max_age),
    DIRECTIVE("no-cache", RESTRICTION, no_cache),
    DIRECTIVE("no-store", RESTRICTION, no_store),
    DIRECTIVE("private", RESTRICTION, private_),
    DIRECTIVE("public", PERMISSION, public_),
    DIRECTIVE("s-maxage", DURATION, s_maxage),
    DIRECTIVE("must-revalidate", RESTRICTION, must_revalidate),
    DIRECTIVE("proxy-revalidate", RESTRICTION, proxy_revalidate),
    DIRECTIVE("must-understand", PERMISSION, must_understand),
    DIRECTIVE("immutable", IMMUTABLE, immutable),
    DIRECTIVE("stale-while-revalidate", DURATION, stale_while_revalidate),
    DIRECTIVE("stale-if-error", DURATION, stale_if_error),
    DIRECTIVE("only-if-cached", RESTRICTION, only_if_cached),
    DIRECTIVE("min-fresh", MIN_FRESH, min_fresh),
    DIRECTIVE("max-stale", MAX_STALE, max_stale),
};

static const struct directive *
find_directive(struct slice name)
{
    for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
        if (slice_ieq(directives[i].name, name)) {
            return &directives[i];
        }
    }
    return NULL;
}

static bool *
flag_of(struct cache_control *cc, const struct directive *d)
{
    return (bool *)(void *)((char *)cc + d->at);
}

static int64_t *
seconds_of(struct cache_control *cc, const struct directive *d)
{
    return (int64_t *)(void *)((char *)cc + d->at);
}

/* --- Cache-Control's own list -------------------------------------------- */

struct element {
    struct slice name;
    struct slice arg;  /* without its quotes */
    bool has_arg;      /* "=" was there */
    bool is_malformed; /* text behind the name that is no argument */
};

/* Where the element ends: a comma outside quotes, or the end. */
static const char *
find_comma(const char *at, const char *end, bool *out_is_open)
{
    bool is_quoted = false;

    for (; at < end && (is_quoted || *at != ','); at++) {
        if (*at == '"') {
            is_quoted = !is_quoted;
        } else if (is_quoted && *at == '\\' && end - at > 1) {
            at++;
        }
    }
    *out_is_open = is_quoted;
    return at;
}

static void
read_arg(struct slice arg, struct element *out)
{
    out->has_arg = true;
    if (arg.len >= 2 && arg.ptr[0] == '"' && arg.ptr[arg.len - 1] == '"') {
        out->arg = slice_of(arg.ptr + 1, arg.len - 2);
        return;
    }
    out->arg = arg;
    out->is_malformed = !slice_is_class(arg, CLASS_TOKEN);
}

static void
read_element(struct slice text, struct element *out)
{
    const char *end = text.ptr + text.len;
    const char *stop = skip_class(text.ptr, end, CLASS_TOKEN);

    *out = (struct element){
        .name = slice_of(text.ptr, (size_t)(stop - text.ptr)),
    };
    if (stop == end) {
        return;
    }
    if (*stop == '=') {
        read_arg(slice_of(stop + 1, (size_t)(end - stop - 1)), out);
        return;
    }
    out->is_malformed = true;
}

/* Seconds; DELTA_MAX when it is too large a number. */
static int64_t
delta_of(const struct element *e, int64_t if_none)
{
    uint64_t value = 0;
    enum rc rc = e->has_arg && !e->is_malformed
                     ? slice_to_u64(e->arg, DELTA_MAX, &value)
                     : RC_BAD;

    if (rc == RC_BAD) {
        return if_none;
    }
    return rc == RC_LIMIT ? DELTA_MAX : (int64_t)value;
}

static void
keep_smaller(int64_t *delta, int64_t value)
{
    if (*delta == DELTA_ABSENT || value < *delta) {
        *delta = value;
    }
}

static void
keep_larger(int64_t *delta, int64_t value)
{
    if (value > *delta) {
        *delta = value;
    }
}

static void
add_element(struct cache_control *out, const struct directive *d,
    const struct element *e)
{
    bool is_plain = !e->has_arg && !e->is_malformed;

    switch (d->kind) {
    case RESTRICTION:
        *flag_of(out, d) = true;
        break;
    case PERMISSION:
        *flag_of(out, d) |= is_plain;
        break;
    case IMMUTABLE:
        *flag_of(out, d) |= !e->is_malformed;
        break;
    case DURATION:
        keep_smaller(seconds_of(out, d), delta_of(e, 0));
        break;
    case MIN_FRESH: /* one that is no number cannot be met */
        keep_larger(seconds_of(out, d), delta_of(e, DELTA_MAX));
        break;
    case MAX_STALE:
        keep_smaller(seconds_of(out, d), is_plain ? DELTA_MAX : delta_of(e, 0));
        break;
    }
}

void
cache_control_add(struct cache_control *out, struct slice value)
{
    const struct directive *d;
    struct element e;
    bool is_open;

    while (value.len > 0) {
        const char *stop =
            find_comma(value.ptr, value.ptr + value.len, &is_open);
        size_t len = (size_t)(stop - value.ptr);
        read_element(slice_trim(slice_of(value.ptr, len)), &e);
        if (is_open) {
            out->no_store = true;
            out->private_ = true; /* must-understand lifts no-store */
        }
        d = find_directive(e.name);
        if (d != NULL) {
            add_element(out, d, &e);
        }
        value = slice_skip(value, len + 1);
    }
}

void
cache_control_parse(
    const struct head *h, enum field_id id, struct cache_control *out)
{
    const struct field *f = head_find(h, id);

    cache_control_init(out);
    for (; f != NULL; f = head_find_next(h, f)) {
        cache_control_add(out, f->value);
    }
}

/* --- a dictionary (RFC 9213 2.1) ----------------------------------------- */

static int64_t
delta_of_item(const struct sf_item *item)
{
    if (item->type != SF_INTEGER || item->number < 0) {
        return 0;
    }
    return item->number > DELTA_MAX ? DELTA_MAX : item->number;
}

/* The last of equal keys counts, so what was there is overwritten. */
static void
set_member(struct cache_control *out, const struct directive *d,
    const struct sf_item *item)
{
    switch (d->kind) {
    case RESTRICTION:
        *flag_of(out, d) = true;
        break;
    case PERMISSION:
    case IMMUTABLE:
        *flag_of(out, d) = item->type == SF_BOOLEAN && item->number == 1;
        break;
    case DURATION:
        *seconds_of(out, d) = delta_of_item(item);
        break;
    case MIN_FRESH:
    case MAX_STALE:
        break; /* of requests alone, which have no dictionary */
    }
}

enum rc
cache_control_add_dictionary(struct cache_control *out, struct slice value)
{
    const struct directive *d;
    enum rc rc, result = RC_MISS;
    struct sf_item item;
    struct slice key;

    while ((rc = sf_next_member(&value, &key, &item)) == RC_OK) {
        d = find_directive(key);
        if (d != NULL) {
            set_member(out, d, &item);
        }
        result = RC_OK;
    }
    return rc == RC_BAD ? RC_BAD : result;
}
