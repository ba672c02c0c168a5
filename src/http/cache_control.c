/*
 * Cache-Control (RFC 9111 5.2). Law: what can be read in two ways is read
 * in the way that stores less and serves shorter. A restriction holds with
 * whatever argument it carries; a permission only when it is well-formed; a
 * duration that is no number is over; a value that cannot be read to its
 * end (an open quote) may have hidden anything, and so forbids storing.
 */
#include "nearside/http/cache_control.h"

#include "http/class.h"

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

/* One element of the list. */
struct directive {
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
read_arg(struct slice arg, struct directive *out)
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
read_directive(struct slice element, struct directive *out)
{
    const char *end = element.ptr + element.len;
    const char *stop = skip_class(element.ptr, end, CLASS_TOKEN);

    *out = (struct directive){
        .name = slice_of(element.ptr, (size_t)(stop - element.ptr)),
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

/* Seconds; 0 when it is no number, DELTA_MAX when it is too large a one. */
static int64_t
delta_of(const struct directive *d)
{
    uint64_t value = 0;
    enum rc rc;

    if (!d->has_arg || d->is_malformed) {
        return 0;
    }
    rc = slice_to_u64(d->arg, DELTA_MAX, &value);
    if (rc == RC_LIMIT) {
        return DELTA_MAX;
    }
    return rc == RC_OK ? (int64_t)value : 0;
}

static void
keep_smaller(int64_t *delta, const struct directive *d)
{
    int64_t value = delta_of(d);

    if (*delta == DELTA_ABSENT || value < *delta) {
        *delta = value;
    }
}

/* The larger min-fresh is the stricter; one that is no number cannot be met. */
static void
keep_larger(int64_t *delta, const struct directive *d)
{
    uint64_t ignored;
    bool is_number = d->has_arg && !d->is_malformed &&
                     slice_to_u64(d->arg, UINT64_MAX, &ignored) != RC_BAD;
    int64_t value = is_number ? delta_of(d) : DELTA_MAX;

    if (value > *delta) {
        *delta = value;
    }
}

/* A bare max-stale takes any staleness, unless another one says less. */
static void
keep_max_stale(struct cache_control *out, const struct directive *d)
{
    out->has_max_stale = true;
    if (d->has_arg || d->is_malformed) {
        keep_smaller(&out->max_stale, d);
    }
}

/* False: not a restriction. Holds whatever follows the name. */
static bool
add_restriction(struct cache_control *out, struct slice name)
{
    const struct {
        struct slice name;
        bool *flag;
    } rows[] = {
        {SLICE("no-store"), &out->no_store},
        {SLICE("no-cache"), &out->no_cache},
        {SLICE("private"), &out->private_},
        {SLICE("must-revalidate"), &out->must_revalidate},
        {SLICE("proxy-revalidate"), &out->proxy_revalidate},
        {SLICE("no-transform"), &out->no_transform},
        {SLICE("only-if-cached"), &out->only_if_cached},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (slice_ieq(name, rows[i].name)) {
            *rows[i].flag = true;
            return true;
        }
    }
    return false;
}

static bool
add_permission(struct cache_control *out, const struct directive *d)
{
    bool is_plain = !d->has_arg && !d->is_malformed;

    if (slice_ieq(d->name, SLICE("public"))) {
        out->public_ = out->public_ || is_plain;
    } else if (slice_ieq(d->name, SLICE("must-understand"))) {
        out->must_understand = out->must_understand || is_plain;
    } else if (slice_ieq(d->name, SLICE("immutable"))) {
        /* Its arguments have no meaning (RFC 8246 2). */
        out->immutable = out->immutable || !d->is_malformed;
    } else {
        return false;
    }
    return true;
}

static void
add_duration(struct cache_control *out, const struct directive *d)
{
    if (slice_ieq(d->name, SLICE("max-age"))) {
        keep_smaller(&out->max_age, d);
    } else if (slice_ieq(d->name, SLICE("s-maxage"))) {
        keep_smaller(&out->s_maxage, d);
    } else if (slice_ieq(d->name, SLICE("stale-while-revalidate"))) {
        keep_smaller(&out->stale_while_revalidate, d);
    } else if (slice_ieq(d->name, SLICE("stale-if-error"))) {
        keep_smaller(&out->stale_if_error, d);
    } else if (slice_ieq(d->name, SLICE("min-fresh"))) {
        keep_larger(&out->min_fresh, d);
    } else if (slice_ieq(d->name, SLICE("max-stale"))) {
        keep_max_stale(out, d);
    }
}

void
cache_control_add(struct cache_control *out, struct slice value)
{
    struct directive d;
    bool is_open;

    while (value.len > 0) {
        const char *stop =
            find_comma(value.ptr, value.ptr + value.len, &is_open);
        size_t len = (size_t)(stop - value.ptr);
        read_directive(slice_trim(slice_of(value.ptr, len)), &d);
        if (is_open) {
            out->no_store = true;
            out->private_ = true; /* must-understand lifts no-store */
        }
        if (!add_restriction(out, d.name) && !add_permission(out, &d)) {
            add_duration(out, &d);
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
