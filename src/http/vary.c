/*
 * Vary (RFC 9110 12.5.5, RFC 9111 4.1). Laws: a response that varies without
 * bound, or by what we cannot see, is not stored. Two requests choose alike
 * only if each field that the response names is in both and equal, or in
 * neither. Accept-Encoding and Accept-Language, which every client writes its
 * own way, are compared in a normal form, and in that form the origin gets to
 * see them.
 *
 * Accept-Encoding keeps both br and gzip where both are welcome, rather than
 * the better one alone: an origin that has only gzip would then send nothing
 * compressed at all.
 */
#include "nearside/http/vary.h"

#include "http/class.h"
#include "http/known.h"
#include "nearside/base/check.h"

/* --- the names ----------------------------------------------------------- */

/* Loans into the values, sorted, each once whatever its case. */
struct names {
    struct slice at[VARY_NAMES_MAX];
    unsigned count;
};

static int
compare_lower(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;

    for (size_t i = 0; i < len; i++) {
        int d = (unsigned char)ascii_lower(a.ptr[i]) -
                (unsigned char)ascii_lower(b.ptr[i]);
        if (d != 0) {
            return d;
        }
    }
    return (a.len > b.len) - (a.len < b.len);
}

static enum rc
insert(struct names *names, struct slice name)
{
    unsigned at = 0;
    int order = 1;

    while (
        at < names->count && (order = compare_lower(name, names->at[at])) > 0) {
        at++;
    }
    if (order == 0) {
        return RC_OK;
    }
    if (names->count == VARY_NAMES_MAX) {
        return RC_LIMIT;
    }
    memmove(&names->at[at + 1], &names->at[at],
        (names->count - at) * sizeof(names->at[0]));
    names->at[at] = name;
    names->count++;
    return RC_OK;
}

static bool
is_refused(struct slice name, const struct vary_opts *opts)
{
    /* These two we write ourselves, with each client's own address. */
    uint64_t refused = FIELD_BIT(FORWARDED) | FIELD_BIT(X_FORWARDED_FOR);

    refused |= opts->allows_cookie ? 0 : FIELD_BIT(COOKIE);
    refused |= opts->allows_authorization ? 0 : FIELD_BIT(AUTHORIZATION);
    refused |= opts->allows_user_agent ? 0 : FIELD_BIT(USER_AGENT);
    return field_is_in(field_id_of(name), refused) ||
           slice_eq(name, SLICE("*"));
}

static enum rc
add_value(struct names *names, struct slice value, const struct vary_opts *opts)
{
    struct slice name;
    enum rc rc;

    while (slice_split(&value, ',', &name)) {
        name = slice_trim(name);
        if (name.len == 0) {
            continue;
        }
        if (!slice_is_class(name, CLASS_TOKEN)) {
            return RC_BAD;
        }
        if (is_refused(name, opts)) {
            return RC_REFUSED;
        }
        rc = insert(names, name);
        if (rc != RC_OK) {
            return rc;
        }
    }
    return RC_OK;
}

static enum rc
render(const struct names *names, struct vary *out)
{
    size_t at = 0;

    for (unsigned i = 0; i < names->count; i++) {
        struct slice name = names->at[i];
        if (name.len + (i > 0) > VARY_TEXT_MAX - at) {
            return RC_LIMIT;
        }
        if (i > 0) {
            out->text[at++] = ',';
        }
        for (size_t c = 0; c < name.len; c++) {
            out->text[at++] = ascii_lower(name.ptr[c]);
        }
        out->ends[i] = (uint16_t)at;
    }
    out->count = names->count;
    out->unsent = 0;
    out->text_len = (uint16_t)at;
    return RC_OK;
}

enum rc
vary_read(
    const struct head *response, const struct vary_opts *opts, struct vary *out)
{
    const struct field *f = head_find(response, FIELD_VARY);
    struct names names = {.count = 0};
    enum rc rc;

    for (; f != NULL; f = head_find_next(response, f)) {
        rc = add_value(&names, f->value, opts);
        if (rc != RC_OK) {
            return rc;
        }
    }
    return render(&names, out);
}

enum rc
vary_parse(struct slice value, const struct vary_opts *opts, struct vary *out)
{
    struct names names = {.count = 0};
    enum rc rc = add_value(&names, value, opts);

    return rc == RC_OK ? render(&names, out) : rc;
}

enum rc
vary_join(const struct vary *a, const struct vary *b, struct vary *out)
{
    struct names names = {.count = 0};
    enum rc rc = RC_OK;

    MUST(a != out);
    MUST(b != out);
    for (unsigned i = 0; i < a->count && rc == RC_OK; i++) {
        rc = insert(&names, vary_name(a, i));
    }
    for (unsigned i = 0; i < b->count && rc == RC_OK; i++) {
        rc = insert(&names, vary_name(b, i));
    }
    return rc == RC_OK ? render(&names, out) : rc;
}

enum rc
vary_add(struct vary *v, const struct vary_list *list)
{
    const struct vary own = *v;
    struct names names = {.count = 0};
    enum rc rc = RC_OK;

    for (unsigned i = 0; i < own.count && rc == RC_OK; i++) {
        rc = insert(&names, vary_name(&own, i));
    }
    for (size_t i = 0; i < list->count && rc == RC_OK; i++) {
        rc = insert(&names, list->names[i]);
    }
    return rc == RC_OK ? render(&names, v) : rc;
}

bool
vary_is_within(const struct vary *v, struct slice record_names)
{
    for (unsigned i = 0; i < v->count; i++) {
        if (!slice_lists(record_names, vary_name(v, i))) {
            return false;
        }
    }
    return true;
}

void
vary_write_missing(
    const struct head *response, const struct vary_list *list, struct writer *w)
{
    bool has_any = false;

    for (size_t i = 0; i < list->count; i++) {
        if (head_lists(response, FIELD_VARY, list->names[i])) {
            continue;
        }
        if (head_lists(response, FIELD_VARY, SLICE("*"))) {
            return;
        }
        write_slice(w, has_any ? SLICE(", ") : SLICE("vary: "));
        write_slice(w, list->names[i]);
        has_any = true;
    }
    write_slice(w, has_any ? SLICE("\r\n") : slice_of(NULL, 0));
}

struct slice
vary_name(const struct vary *v, unsigned i)
{
    size_t start = i == 0 ? 0 : v->ends[i - 1] + 1U;

    MUST(i < v->count);
    return slice_of(v->text + start, v->ends[i] - start);
}

/* --- weighted lists (RFC 9110 12.4.2) ------------------------------------ */

enum {
    WEIGHT_ONE = 1000, /* weights are in thousandths */
    WEIGHT_ABSENT = -1,
};

/* "da;q=0.7" */
struct weighted {
    struct slice name;
    int weight;
};

/* qvalue: "0" or "1", then perhaps a point and up to three digits. */
static bool
read_weight(struct slice s, int *out)
{
    int weight = 0, scale = WEIGHT_ONE;

    if (s.len == 0 || s.len > 5 || (s.len > 1 && s.ptr[1] != '.')) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (i == 1) {
            continue;
        }
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return false;
        }
        weight += (s.ptr[i] - '0') * scale;
        scale /= 10;
    }
    if (weight > WEIGHT_ONE) {
        return false;
    }
    *out = weight;
    return true;
}

static bool
read_weighted(struct slice member, struct weighted *out)
{
    struct slice rest = member, name;

    slice_split(&rest, ';', &name);
    out->name = slice_trim(name);
    out->weight = WEIGHT_ONE;
    if (!slice_is_class(out->name, CLASS_TOKEN)) {
        return false;
    }
    if (slice_find(member, ';') < 0) {
        return true;
    }
    rest = slice_trim(rest);
    return rest.len > 2 && ascii_lower(rest.ptr[0]) == 'q' &&
           rest.ptr[1] == '=' && read_weight(slice_skip(rest, 2), &out->weight);
}

/* A walk over the members of all lines of one field. */
struct members {
    const struct head *head;
    const struct field *field; /* the first; NULL: at the end */
    struct slice rest;         /* of its value */
    bool is_malformed;
};

/* The next member that is not empty. False: no more, or malformed. */
static bool
next_weighted(struct members *m, struct weighted *out)
{
    struct slice member;

    while (m->field != NULL) {
        if (!slice_split(&m->rest, ',', &member)) {
            m->field = head_find_next(m->head, m->field);
            m->rest = m->field == NULL ? slice_of(NULL, 0) : m->field->value;
            continue;
        }
        member = slice_trim(member);
        if (member.len > 0) {
            m->is_malformed = !read_weighted(member, out);
            return !m->is_malformed;
        }
    }
    return false;
}

static void
write_joined(const struct head *head, const struct field *f, struct writer *w)
{
    write_slice(w, f->value);
    while ((f = head_find_next(head, f)) != NULL) {
        write_slice(w, SLICE(", "));
        write_slice(w, f->value);
    }
}

static enum rc
room_of(const struct writer *w)
{
    return w->is_full ? RC_LIMIT : RC_OK;
}

/* --- Accept-Encoding ----------------------------------------------------- */

struct codings {
    int br;
    int gzip;
    int identity;
    int any;
};

/* Of repeated ones the lower weight counts. */
static void
weigh(struct codings *c, const struct weighted *member)
{
    const struct {
        struct slice name;
        int *weight;
    } rows[] = {
        {SLICE("br"), &c->br},
        {SLICE("gzip"), &c->gzip},
        {SLICE("x-gzip"), &c->gzip},
        {SLICE("identity"), &c->identity},
        {SLICE("*"), &c->any},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (slice_ieq(member->name, rows[i].name) &&
            (*rows[i].weight == WEIGHT_ABSENT ||
                member->weight < *rows[i].weight)) {
            *rows[i].weight = member->weight;
        }
    }
}

/* Is the coding welcome, and not less so than no coding? */
static bool
is_welcome(const struct codings *c, int weight)
{
    if (weight == WEIGHT_ABSENT) {
        weight = c->any;
    }
    return weight > 0 && weight >= c->identity;
}

static struct slice
normal_codings(const struct codings *c)
{
    bool br = is_welcome(c, c->br);
    bool gzip = is_welcome(c, c->gzip);

    if (br) {
        return gzip ? SLICE("br, gzip") : SLICE("br");
    }
    return gzip ? SLICE("gzip") : SLICE("identity");
}

static void
write_accept_encoding(
    struct writer *w, const struct head *request, const struct field *first)
{
    struct codings codings = {
        WEIGHT_ABSENT, WEIGHT_ABSENT, WEIGHT_ABSENT, WEIGHT_ABSENT};
    struct members m = {request, first, first->value, false};
    struct weighted member;

    while (next_weighted(&m, &member)) {
        weigh(&codings, &member);
    }
    if (m.is_malformed || codings.identity == 0 ||
        (codings.identity == WEIGHT_ABSENT && codings.any == 0)) {
        write_joined(request, first, w);
    } else {
        write_slice(w, normal_codings(&codings));
    }
}

enum rc
vary_write_accept_encoding(const struct head *request, struct writer *w)
{
    const struct field *first = head_find(request, FIELD_ACCEPT_ENCODING);

    if (first == NULL) {
        return RC_MISS;
    }
    write_accept_encoding(w, request, first);
    return room_of(w);
}

/* --- Accept-Language ----------------------------------------------------- */

enum {
    /* More than any user agent sends; sorting is by insertion. */
    LANGUAGES_MAX = 32,
};

struct languages {
    struct weighted at[LANGUAGES_MAX];
    unsigned count;
};

/* By falling weight, behind those of the same. False: too many. */
static bool
insert_language(struct languages *l, const struct weighted *language)
{
    unsigned at = l->count;

    if (l->count == LANGUAGES_MAX) {
        return false;
    }
    for (; at > 0 && l->at[at - 1].weight < language->weight; at--) {
        l->at[at] = l->at[at - 1];
    }
    l->at[at] = *language;
    l->count++;
    return true;
}

static void
write_lower(struct writer *w, struct slice s)
{
    size_t start = w->len;

    write_slice(w, s);
    for (size_t i = start; i < w->len; i++) {
        w->ptr[i] = ascii_lower(w->ptr[i]);
    }
}

/* ";q=0.8" */
static void
write_weight(struct writer *w, int weight)
{
    char digits[3] = {(char)('0' + weight / 100),
        (char)('0' + weight / 10 % 10), (char)('0' + weight % 10)};
    size_t len = 3;

    while (len > 0 && digits[len - 1] == '0') {
        len--;
    }
    write_slice(w, len == 0 ? SLICE(";q=0") : SLICE(";q=0."));
    write_slice(w, slice_of(digits, len));
}

static void
write_languages(struct writer *w, const struct languages *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (i > 0) {
            write_slice(w, SLICE(","));
        }
        write_lower(w, l->at[i].name);
        if (l->at[i].weight < WEIGHT_ONE) {
            write_weight(w, l->at[i].weight);
        }
    }
}

static void
write_accept_language(
    struct writer *w, const struct head *request, const struct field *first)
{
    struct members m = {request, first, first->value, false};
    struct languages languages = {.count = 0};
    struct weighted language;
    bool fits = true;

    while (fits && next_weighted(&m, &language)) {
        fits = insert_language(&languages, &language);
    }
    if (m.is_malformed || !fits) {
        write_joined(request, first, w);
    } else {
        write_languages(w, &languages);
    }
}

/* --- the variant --------------------------------------------------------- */

static void
write_value(struct writer *w, const struct head *request, const struct field *f)
{
    if (f->id == FIELD_ACCEPT_ENCODING) {
        write_accept_encoding(w, request, f);
    } else if (f->id == FIELD_ACCEPT_LANGUAGE) {
        write_accept_language(w, request, f);
    } else {
        write_joined(request, f, w); /* compared as it stands */
    }
}

enum rc
vary_write_variant(
    const struct vary *v, const struct head *request, struct writer *w)
{
    for (unsigned i = 0; i < v->count; i++) {
        struct slice name = vary_name(v, i);
        const struct field *f =
            (v->unsent >> i & 1U) != 0 ? NULL : head_find_name(request, name);
        write_slice(w, name);
        if (f != NULL) {
            write_slice(w, SLICE(": "));
            write_value(w, request, f);
        }
        write_slice(w, SLICE("\n"));
    }
    return room_of(w);
}
