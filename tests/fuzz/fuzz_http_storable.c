/*
 * A response's way into the cache and out again: whole heads through fresh,
 * storable and reuse. What forbids is obeyed under any options, more of it
 * never allows more, nothing stale is taken for fresh, and what can no
 * longer be answered with never can be again.
 *
 * Input: a byte of options, a byte about the requests, a response's head,
 * then the value of Cache-Control in the request that finds it stored.
 */
#include "fuzz_http_fields.h"
#include "nearside/http/date.h"
#include "nearside/http/parse.h"
#include "nearside/http/reuse.h"
#include "nearside/http/storable.h"
#include "nearside/http/vary.h"

#define NOW_S INT64_C(1767225600)

enum {
    DELAY_S = 2,
};

/* What is known beside the response. */
struct given {
    struct storable_opts opts;
    struct storable_request request;
    struct fresh_opts fresh;
    bool has_ttl;
    bool has_status_ttl;
};

/* What was made of it. */
struct judged {
    struct cache_control cc;
    struct fresh fresh;
    enum rc vary;
    enum storable verdict;
};

static void
judge(const struct head *head, const struct given *g, struct judged *out)
{
    const struct fresh_times times = {(NOW_S - DELAY_S) * 1000, NOW_S * 1000};
    const struct vary_opts vary_opts = {0};
    struct vary vary;
    struct storable_response response = {
        .head = head,
        .cc = &out->cc,
        .fresh = &out->fresh,
        .has_ttl = g->has_ttl,
        .has_status_ttl = g->has_status_ttl,
    };

    cache_control_parse(head, FIELD_CACHE_CONTROL, &out->cc);
    fresh_compute(head, &out->cc, &times, &g->fresh, &out->fresh);
    out->vary = vary_read(head, &vary_opts, &vary);
    response.vary = out->vary;
    out->verdict = storable_decide(&g->opts, &g->request, &response);
}

static void
must_be_possible(const struct fresh *fresh)
{
    MUST(fresh->lifetime_s >= 0 && fresh->lifetime_s <= DELTA_MAX);
    MUST(fresh->initial_age_s >= DELAY_S);
    MUST(fresh->initial_age_s <= DELTA_MAX);
    MUST(fresh->source != FRESH_NONE || fresh->lifetime_s == 0);
    MUST(fresh->source != FRESH_BAD_AGE || fresh->lifetime_s == 0);
}

/* The MUST NOTs of RFC 9111 3, which no option lifts. */
static void
must_be_allowed(
    const struct head *head, const struct given *g, const struct judged *is)
{
    const struct cache_control *cc = &is->cc;
    bool is_shareable = cc->public_ || cc->s_maxage != DELTA_ABSENT;

    MUST(!cc->private_);
    MUST(!cc->no_store || cc->must_understand);
    MUST(is->vary == RC_OK);
    MUST(head->status >= 200 && head->status != 206 && head->status != 304);
    MUST(head->status != 412 && head->status != 416);
    MUST(!head_has(head, FIELD_CONTENT_RANGE) || g->opts.is_rfc);
    MUST(head->framing != FRAMING_CLOSE);
    MUST(!g->request.has_authorization || is_shareable ||
         (cc->must_revalidate && g->opts.is_rfc));
    MUST(!g->request.no_store || !g->opts.honours_request);
    MUST(g->request.method == METHOD_GET || g->request.method == METHOD_POST);
    MUST(!cc->no_cache || head_has(head, FIELD_ETAG) ||
         head_has(head, FIELD_LAST_MODIFIED));
}

/* One field line more that forbids, or at least does not allow. */
static void
must_not_gain(
    const struct head *head, const struct given *g, const struct judged *was)
{
    static const struct {
        enum field_id id;
        struct slice value;
        bool forbids;
    } rows[] = {
        {FIELD_CACHE_CONTROL, {"private", 7}, true},
        {FIELD_VARY, {"*", 1}, true},
        {FIELD_CONTENT_RANGE, {"bytes 0-1/2", 11}, true},
        {FIELD_CACHE_CONTROL, {"no-store", 8}, false},
        {FIELD_CACHE_CONTROL, {"no-cache", 8}, false},
        {FIELD_CACHE_CONTROL, {"proxy-revalidate", 16}, false},
        {FIELD_CACHE_CONTROL, {"x, private=\"", 12}, true},
        {FIELD_VARY, {"accept-encoding", 15}, false},
        {FIELD_SET_COOKIE, {"a=b", 3}, false},
        {FIELD_AGE, {"7", 1}, false},
    };
    static struct head more;
    struct judged is;
    bool forbids;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        more = *head;
        fuzz_add_field(&more, rows[i].id, rows[i].value);
        judge(&more, g, &is);
        forbids = rows[i].forbids &&
                  (rows[i].id != FIELD_CONTENT_RANGE || !g->opts.is_rfc);
        MUST(is.verdict != STORABLE_YES ||
             (was->verdict == STORABLE_YES && !forbids));
        MUST(is.fresh.lifetime_s - is.fresh.initial_age_s <=
             was->fresh.lifetime_s - was->fresh.initial_age_s);
    }
}

/* One statement more that it is stale already. */
static void
must_not_live_longer(
    const struct head *head, const struct given *g, const struct judged *was)
{
    static const struct {
        enum field_id id;
        struct slice value;
    } rows[] = {
        {FIELD_CACHE_CONTROL, {"max-age=0", 9}},
        {FIELD_CACHE_CONTROL, {"s-maxage=x", 10}},
        {FIELD_EXPIRES, {"0", 1}},
        /* Beside another one; the last row. */
        {FIELD_DATE, {"Sun, 06 Nov 1994 08:49:37 GMT", 29}},
    };
    const struct field *date = head_find(head, FIELD_DATE);
    static struct head more;
    struct judged is;
    int64_t date_s;
    size_t count = ARRAY_LEN(rows);

    if (date == NULL || date_parse(date->value, NOW_S, &date_s) != RC_OK) {
        count--;
    }
    for (size_t i = 0; i < count; i++) {
        more = *head;
        fuzz_add_field(&more, rows[i].id, rows[i].value);
        judge(&more, g, &is);
        MUST(is.fresh.lifetime_s - is.fresh.initial_age_s <=
             was->fresh.lifetime_s - was->fresh.initial_age_s);
    }
}

/* Each option allows more, each of the request's marks less. */
static void
must_follow_options(
    const struct head *head, const struct given *g, const struct judged *was)
{
    struct given other = *g;
    struct judged is;

    other.opts = (struct storable_opts){.is_rfc = true, .set_cookie = true};
    judge(head, &other, &is);
    MUST(was->verdict != STORABLE_YES || is.verdict == STORABLE_YES);
    for (unsigned i = 0; i < 3; i++) {
        other = *g;
        other.request.has_authorization |= i == 0;
        other.request.has_credentials |= i == 1;
        other.request.no_store |= i == 2;
        judge(head, &other, &is);
        MUST(is.verdict != STORABLE_YES || was->verdict == STORABLE_YES);
    }
}

static void
must_drop_framing(const struct head *head)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *f = &head->fields[i];
        if (storable_has_field(head, f)) {
            MUST(f->id != FIELD_CONTENT_LENGTH && f->id != FIELD_AGE);
            MUST(f->id != FIELD_TRANSFER_ENCODING);
            MUST(f->id != FIELD_CONNECTION && f->id != FIELD_UPGRADE);
            MUST(!head_is_hop_by_hop(head, f));
        }
    }
}

/* --- out again ----------------------------------------------------------- */

static bool
is_answer(enum reuse verdict)
{
    return verdict == REUSE_FRESH || verdict == REUSE_STALE ||
           verdict == REUSE_BACKGROUND;
}

/* The latest of the ends of its freshness and windows. */
static int64_t
useful_until_ms(const struct reuse_stored *stored)
{
    const int64_t windows_ms[] = {stored->if_error_ms, stored->while_ms,
        stored->never_stale ? 0 : stored->grace_ms};
    int64_t most_ms = 0;

    for (size_t i = 0; i < ARRAY_LEN(windows_ms); i++) {
        most_ms = windows_ms[i] > most_ms ? windows_ms[i] : most_ms;
    }
    return stored->must_validate ||
                   (stored->never_stale && !stored->has_windows)
               ? stored->fresh_until_ms
               : stored->fresh_until_ms + most_ms;
}

static bool
is_for(const struct reuse_stored *stored, const struct reuse_request *request)
{
    return (!request->has_credentials || stored->is_shareable) &&
           (!request->has_authorization || stored->is_authorized);
}

static void
must_be_reusable(const struct reuse_stored *stored,
    const struct reuse_request *request, int64_t now_ms, enum reuse verdict)
{
    bool is_fresh = now_ms < stored->fresh_until_ms;
    bool on_error = reuse_is_allowed_on_error(stored, request, now_ms);

    MUST(verdict != REUSE_FRESH || is_fresh);
    MUST((verdict != REUSE_STALE && verdict != REUSE_BACKGROUND) || !is_fresh);
    if (is_answer(verdict) || on_error) {
        MUST(is_for(stored, request));
        MUST(!stored->must_validate);
        MUST(is_fresh || !stored->never_stale || stored->has_windows);
    }
    MUST(!request->only_if_cached || is_answer(verdict) ||
         verdict == REUSE_UNAVAILABLE);
    if (!request->is_honoured && is_for(stored, request) &&
        !stored->must_validate) {
        MUST((is_answer(verdict) || on_error) ==
             (now_ms < useful_until_ms(stored)));
    }
    MUST(reuse_age_s(stored, now_ms) >= 0);
}

enum {
    MOMENTS = 12,
};

/* The moments at which something may change, and others, in order. */
static void
moments_of(const struct reuse_stored *stored, int64_t out[MOMENTS])
{
    const int64_t until_ms = stored->fresh_until_ms;
    const int64_t at[MOMENTS] = {
        NOW_S * 1000,
        NOW_S * 1000 + 999,
        NOW_S * 1000 + 60000,
        until_ms - 1001,
        until_ms - 1,
        until_ms,
        until_ms + 1,
        until_ms + stored->while_ms,
        until_ms + stored->if_error_ms - 1,
        until_ms + stored->grace_ms,
        useful_until_ms(stored),
        (NOW_S + 3 * DELTA_MAX) * 1000,
    };

    for (size_t i = 0; i < MOMENTS; i++) {
        size_t k = i;
        for (; k > 0 && out[k - 1] > at[i]; k--) {
            out[k] = out[k - 1];
        }
        out[k] = at[i];
    }
}

/* As time goes on: whatever has come to an end does not come back. */
static void
must_grow_old(
    const struct reuse_stored *stored, const struct reuse_request *request)
{
    bool was_answer = true, was_on_error = true;
    int64_t age_s = 0;
    int64_t at[MOMENTS];

    moments_of(stored, at);
    for (size_t i = 0; i < MOMENTS; i++) {
        enum reuse verdict = reuse_decide(stored, request, at[i]);
        bool on_error = reuse_is_allowed_on_error(stored, request, at[i]);

        must_be_reusable(stored, request, at[i], verdict);
        MUST(was_answer || !is_answer(verdict));
        MUST(was_on_error || !on_error);
        MUST(reuse_age_s(stored, at[i]) >= age_s);
        was_answer = is_answer(verdict);
        was_on_error = on_error;
        age_s = reuse_age_s(stored, at[i]);
    }
}

/* Who asks for more gets no answer that he would not have got. */
static void
must_not_give_more(const struct reuse_stored *stored, const struct head *asked,
    const struct reuse_request *was)
{
    static const struct slice rows[] = {{"no-cache", 8}, {"max-age=0", 9},
        {"min-fresh=9", 11}, {"only-if-cached", 14}, {"no-store", 8}};
    static struct head more;
    struct reuse_request is;
    int64_t at[MOMENTS];

    moments_of(stored, at);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        more = *asked;
        fuzz_add_field(&more, FIELD_CACHE_CONTROL, rows[i]);
        reuse_read_request(&more, was->is_honoured, &is);
        is.has_credentials = was->has_credentials;
        is.has_authorization = was->has_authorization;
        for (size_t k = 0; k < MOMENTS; k++) {
            MUST(!is_answer(reuse_decide(stored, &is, at[k])) ||
                 is_answer(reuse_decide(stored, was, at[k])));
        }
    }
}

static void
must_be_used_well(const struct judged *is, uint8_t bits, struct slice asked)
{
    static struct head request;
    struct reuse_stored stored = {0};
    struct reuse_request read;

    reuse_read_stored(&is->cc, (bits & 4) != 0, &stored);
    stored.created_ms = (NOW_S - is->fresh.initial_age_s) * 1000;
    stored.fresh_until_ms = stored.created_ms + is->fresh.lifetime_s * 1000;
    stored.grace_ms = (bits & 1) != 0 ? 90000 : 0;
    request.field_count = 0;
    request.field_set = 0;
    if (asked.len > 0) {
        fuzz_add_fields(&request, FIELD_CACHE_CONTROL, asked);
    } else {
        fuzz_add_field(&request, FIELD_PRAGMA, SLICE("a, no-cache"));
    }
    reuse_read_request(&request, (bits & 2) != 0, &read);
    read.has_credentials = (bits & 4) != 0;
    read.has_authorization = (bits & 8) != 0;
    must_grow_old(&stored, &read);
    if (asked.len > 0) {
        must_not_give_more(&stored, &request, &read);
    }
    for (int64_t s = 0; s < 3 * DELTA_MAX; s = 2 * s + 1) {
        MUST(reuse_age_s(&stored, (NOW_S + s) * 1000) ==
             is->fresh.initial_age_s + s);
    }
}

static struct given
given_of(uint8_t opts, uint8_t request)
{
    return (struct given){
        .opts = {.is_rfc = opts & 1,
            .set_cookie = opts & 2,
            .honours_request = opts & 8},
        .request = {.method = (request & 1) != 0 ? METHOD_POST : METHOD_GET,
            .has_authorization = request & 2,
            .has_credentials = request & 4,
            .no_store = request & 8,
            .scheme = SLICE("http"),
            .host = SLICE("a.example"),
            .target = SLICE("/a?b")},
        .fresh = {.ignores_expires = opts & 64,
            .heuristic = opts & 128,
            .is_rfc = opts & 1},
        .has_ttl = request & 64,
        .has_status_ttl = request & 128,
    };
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct parse_opts opts = {0};
    static struct head head;
    struct given given;
    struct judged judged;
    struct parse p;
    struct slice in;
    size_t len;
    char *copy;

    if (size < 2) {
        return 0;
    }
    copy = fuzz_copy(slice_of((const char *)data + 2, size - 2));
    in = slice_of(copy, size - 2);
    given = given_of(data[0], data[1]);
    parse_start(&p);
    if (parse_response(&p, &opts, given.request.method, in, &head, &len) ==
            RC_OK &&
        head.field_count < HEAD_FIELDS_MAX) {
        judge(&head, &given, &judged);
        must_be_possible(&judged.fresh);
        if (judged.verdict == STORABLE_YES) {
            must_be_allowed(&head, &given, &judged);
            must_be_used_well(&judged, data[1] >> 4, slice_skip(in, len));
        }
        MUST((judged.verdict == STORABLE_YES) ==
             (storable_detail(judged.verdict) == NULL));
        must_not_gain(&head, &given, &judged);
        must_not_live_longer(&head, &given, &judged);
        must_follow_options(&head, &given, &judged);
        must_drop_framing(&head);
    }
    free(copy);
    return 0;
}
