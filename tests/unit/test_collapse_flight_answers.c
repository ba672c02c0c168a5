/*
 * What a flight makes of what is stored and of an origin's answer: who may have
 * it, what is said of it, and what is left in Redis. One row a flight.
 */
#include "collapse_given.h"

enum stored {
    NOTHING,
    FRESH_ONE,    /* "body", with a validator, as are the next four */
    STALE,        /* it may stand in */
    RENEWABLE,    /* used while it is renewed */
    MUST_BE_SAME, /* to be validated before each use */
    OVER,         /* it may not even stand in */
    HIT_FOR_MISS,
    RECORD, /* of Accept, and no variant */
    VARIED, /* with the variant, stale */
};

enum how {
    SHARED,
    VALIDATED, /* what was stored before is not good enough */
    ALONE,     /* validates what is stored for its leader */
    LEASED,    /* the same, and stores what becomes of it */
    KEYED,     /* the cookie is part of the key */
};

struct flown {
    enum stored stored;
    enum how how;
    const char *fields; /* of the request */
    const char *status; /* of the answer; NULL: the origin is not asked */
    const char *answer; /* its fields */
    enum flight_outcome outcome;
    const char *told;
    const char *left; /* keys: under that of the target, of its variant */
};

#define FRESH_OF "Cache-Control: max-age=60\r\n"
#define OVER_OF  "Cache-Control: max-age=10\r\nAge: 20\r\n"
#define NO_STORE "Cache-Control: no-store\r\n"
#define SAME     "ETag: \"v1\"\r\n"
#define VARY_BIG "Vary: a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p\r\n"

static const struct flown flown[] = {
    {NOTHING, SHARED, "", "200 OK", FRESH_OF, FLIGHT_FILL,
        "open stored 0 60 s, age 00 -", "1: new 60 s"},
    {NOTHING, SHARED, "", "200 OK", FRESH_OF "Age: 20\r\n", FLIGHT_FILL,
        "open stored 0 60 s, age 20 -", "1: new 60 s"},
    {NOTHING, SHARED, "", "200 OK", OVER_OF, FLIGHT_FILL,
        "stored 0 10 s, age 20 -", "1: new 10 s"},
    {NOTHING, SHARED, "", "200 OK", NO_STORE, FLIGHT_FILL, "private 0 no-store",
        "1: for-miss no-store 5 s"},
    {NOTHING, SHARED, "", "200 OK", "Cache-Control: no-cache\r\n" SAME,
        FLIGHT_FILL, "private stored 0 60 s, age 00 -", "1: new 60 s"},
    {NOTHING, SHARED, "", "404 None", "", FLIGHT_FILL, "private 0 status",
        "1: for-miss status 5 s"},
    {NOTHING, SHARED, "", "404 None", FRESH_OF, FLIGHT_FILL,
        "open stored 0 60 s, age 00 -", "1: new 60 s"},
    {NOTHING, SHARED, "", "400 Bad", FRESH_OF, FLIGHT_FILL, "private 0 status",
        "0: -"},
    {NOTHING, SHARED, "", "503 Down", "", FLIGHT_FILL, "private 0 status",
        "1: for-miss status 5 s"},
    {NOTHING, SHARED, "", "304 Same", FRESH_OF SAME, FLIGHT_ERROR,
        "private 0 -", "0: -"},
    {NOTHING, SHARED, "Authorization: x\r\n", "200 OK", FRESH_OF, FLIGHT_FILL,
        "private personal 0 authorization", "0: -"},
    {NOTHING, SHARED, "Authorization: x\r\n", "200 OK",
        "Cache-Control: public, max-age=60\r\n", FLIGHT_FILL,
        "open stored 0 60 s, age 00 -", "1: new 60 s"},
    {NOTHING, SHARED, "Accept: a\r\n", "200 OK", FRESH_OF "Vary: Accept\r\n",
        FLIGHT_FILL, "open stored record 0 60 s, age 00 -",
        "2: record of accept, new 60 s"},
    {NOTHING, SHARED, "Accept: a\r\n", "200 OK", FRESH_OF "Vary: *\r\n",
        FLIGHT_FILL, "private 0 vary", "1: for-miss vary 5 s"},
    {NOTHING, KEYED, "Cookie: a=b\r\n", "200 OK", FRESH_OF, FLIGHT_FILL,
        "open stored record 0 60 s, age 00 -", "2: record of , new 60 s"},
    {FRESH_ONE, SHARED, "", NULL, NULL, FLIGHT_ENTRY, "0 150 s, age 100 -",
        "1: body 150 s"},
    {FRESH_ONE, VALIDATED, "", "304 Same", FRESH_OF SAME, FLIGHT_ENTRY,
        "stored validated 304 60 s, age 00 -", "1: body 60 s"},
    {FRESH_ONE, VALIDATED, "", "200 OK", FRESH_OF, FLIGHT_FILL,
        "open stored instead 0 60 s, age 00 -", "1: new 60 s"},
    {FRESH_ONE, VALIDATED, "", "503 Down", "", FLIGHT_ENTRY,
        "stale substitute 503 150 s, age 100 stale-if-error", "1: body 150 s"},
    {FRESH_ONE, KEYED, "Cookie: a=b\r\n", "200 OK", FRESH_OF, FLIGHT_FILL,
        "open stored record 0 60 s, age 00 -", "2: record of , new 60 s"},
    {FRESH_ONE, KEYED, "Cookie: a=b\r\n", "200 OK", NO_STORE, FLIGHT_FILL,
        "private 0 no-store", "1: body 150 s"},
    {HIT_FOR_MISS, SHARED, "", NULL, NULL, FLIGHT_ENTRY, "0 5 s, age 00 -",
        "1: for-miss why 5 s"},
    {STALE, SHARED, "", "200 OK", FRESH_OF, FLIGHT_FILL,
        "open stored instead 0 60 s, age 00 -", "1: new 60 s"},
    {STALE, SHARED, "", "200 OK", NO_STORE, FLIGHT_FILL,
        "private instead 0 no-store", "1: for-miss no-store 5 s"},
    {STALE, SHARED, "", "404 None", FRESH_OF, FLIGHT_FILL,
        "open stored instead 0 60 s, age 00 -", "1: new 60 s"},
    {STALE, SHARED, "", "404 None", "", FLIGHT_FILL, "private instead 0 status",
        "1: for-miss status 5 s"},
    {STALE, SHARED, "", "400 Bad", "", FLIGHT_FILL, "private instead 0 status",
        "1: body 99 s"},
    {STALE, SHARED, "", "503 Down", FRESH_OF, FLIGHT_ENTRY,
        "stale substitute 503 99 s, age 100 stale-if-error", "1: body 99 s"},
    {STALE, SHARED, "", "304 Same", FRESH_OF SAME, FLIGHT_ENTRY,
        "stored validated 304 60 s, age 00 -", "1: body 60 s"},
    {STALE, SHARED, "", "304 Same", FRESH_OF SAME "Age: 20\r\n", FLIGHT_ENTRY,
        "stored validated 304 60 s, age 20 -", "1: body 60 s"},
    {STALE, SHARED, "", "304 Same", OVER_OF SAME, FLIGHT_ENTRY,
        "stored validated 304 10 s, age 20 -", "1: body 10 s"},
    {STALE, SHARED, "", "304 Same", NO_STORE SAME "Age: 20\r\n", FLIGHT_ENTRY,
        "private validated 304 20 s, age 20 -", "1: for-miss no-store 5 s"},
    {STALE, SHARED, "Authorization: x\r\n", "304 Same", FRESH_OF SAME,
        FLIGHT_ENTRY, "private personal validated 304 0 s, age 00 -",
        "1: body 99 s"},
    {STALE, SHARED, "Accept: a\r\n", "304 Same",
        FRESH_OF SAME "Vary: Accept\r\n", FLIGHT_ENTRY,
        "private stored validated 304 60 s, age 00 -",
        "2: record of accept, body 60 s"},
    {STALE, SHARED, "Accept: a\r\n", "304 Same", FRESH_OF SAME "Vary: *\r\n",
        FLIGHT_ENTRY, "private validated 304 0 s, age 00 -",
        "1: for-miss vary 5 s"},
    {STALE, SHARED, "", "304 Same", FRESH_OF SAME "Set-Cookie: a=b\r\n",
        FLIGHT_ENTRY, "private validated 304 0 s, age 00 -",
        "1: for-miss set-cookie 5 s"},
    {OVER, SHARED, "", "503 Down", "", FLIGHT_FILL, "private instead 0 status",
        "1: body 99 s"},
    {OVER, SHARED, "", "200 OK", FRESH_OF, FLIGHT_FILL,
        "open stored instead 0 60 s, age 00 -", "1: new 60 s"},
    {RENEWABLE, SHARED, "", "200 OK", FRESH_OF, FLIGHT_ENTRY,
        "open stale 0 99 s, age 100 stale-while-revalidate", "1: new 60 s"},
    {RENEWABLE, SHARED, "", "503 Down", "", FLIGHT_ENTRY,
        "open stale 0 99 s, age 100 stale-while-revalidate", "1: body 99 s"},
    {RENEWABLE, SHARED, "", "400 Bad", "", FLIGHT_ENTRY,
        "open stale 0 99 s, age 100 stale-while-revalidate", "1: body 99 s"},
    {RENEWABLE, SHARED, "", "200 OK", NO_STORE, FLIGHT_ENTRY,
        "open stale 0 99 s, age 100 stale-while-revalidate",
        "1: for-miss no-store 5 s"},
    {RENEWABLE, SHARED, "", "304 Same", FRESH_OF SAME, FLIGHT_ENTRY,
        "open stale 0 99 s, age 100 stale-while-revalidate", "1: body 60 s"},
    {MUST_BE_SAME, SHARED, "", NULL, NULL, FLIGHT_ENTRY, "0 99 s, age 100 -",
        "1: body 99 s"},
    {MUST_BE_SAME, ALONE, "", "304 Same", FRESH_OF SAME, FLIGHT_ENTRY,
        "validated 304 60 s, age 00 -", "1: body 99 s"},
    {MUST_BE_SAME, ALONE, "", "200 OK", FRESH_OF, FLIGHT_FILL,
        "instead 0 60 s, age 00 -", "1: body 99 s"},
    {MUST_BE_SAME, LEASED, "", "304 Same", FRESH_OF SAME, FLIGHT_ENTRY,
        "stored validated 304 60 s, age 00 -", "1: body 60 s"},
    {MUST_BE_SAME, LEASED, "", "200 OK", "Cache-Control: no-cache\r\n" SAME,
        FLIGHT_FILL, "private stored instead 0 60 s, age 00 -", "1: new 60 s"},
    {MUST_BE_SAME, LEASED, "", "503 Down", "", FLIGHT_FILL,
        "private instead 0 status", "1: body 99 s"},
    {RECORD, SHARED, "Accept: a\r\n", "200 OK", FRESH_OF "Vary: Accept\r\n",
        FLIGHT_FILL, "open stored 0 60 s, age 00 -",
        "3: record of accept, new 60 s"},
    {RECORD, SHARED, "Accept: a\r\n", "200 OK", FRESH_OF, FLIGHT_FILL,
        "open stored 0 60 s, age 00 -", "3: record of accept, new 60 s"},
    {RECORD, SHARED, "Accept: a\r\nFrom: b\r\n", "200 OK",
        FRESH_OF "Vary: From\r\n", FLIGHT_FILL,
        "private stored record 0 60 s, age 00 -",
        "2: record of accept,from, new 60 s"},
    {RECORD, SHARED, "Accept: a\r\n", "200 OK", FRESH_OF VARY_BIG, FLIGHT_FILL,
        "private 0 60 s, age 00 -", "0: -"},
    {RECORD, SHARED, "Accept: a\r\n", "200 OK", NO_STORE, FLIGHT_FILL,
        "private 0 no-store", "1: record of accept, -"},
    {VARIED, SHARED, "Accept: a\r\n", "200 OK", NO_STORE, FLIGHT_FILL,
        "private instead 0 no-store",
        "2: record of accept, for-miss no-store 5 s"},
    {VARIED, SHARED, "Accept: a\r\n", "304 Same", FRESH_OF SAME, FLIGHT_ENTRY,
        "stored validated 304 60 s, age 00 -",
        "2: record of accept, body 60 s"},
    {VARIED, SHARED, "Accept: a\r\nFrom: b\r\n", "304 Same",
        FRESH_OF SAME "Vary: Accept, From\r\n", FLIGHT_ENTRY,
        "private stored validated 304 60 s, age 00 -",
        "3: record of accept,from, body 60 s"},
    {VARIED, SHARED, "Accept: a\r\n", "304 Same", FRESH_OF SAME VARY_BIG,
        FLIGHT_ENTRY, "private validated 304 60 s, age 00 -", "1: -"},
};

/* Words for what is told, its lifetime, and about how old it is. */
static const char *
told_of(const struct flight_result *r, bool is_open, int64_t now_ms)
{
    static char text[256];
    int64_t created_ms =
        r->entry != NULL ? entry_created_ms(r->entry) : r->created_ms;
    int64_t until_ms =
        r->entry != NULL ? entry_fresh_until_ms(r->entry) : r->fresh_until_ms;
    char age[64] = "";

    if (created_ms != 0) {
        snprintf(age, sizeof(age), " %ld s, age %ld0",
            (long)(until_ms - created_ms) / 1000,
            (long)(now_ms - created_ms) / 10000);
    }
    snprintf(text, sizeof(text), "%s%s%s%s%s%s%s%s%s%s%u%s %s",
        is_open ? "open " : "", r->is_private ? "private " : "",
        r->is_personal ? "personal " : "", r->is_stored ? "stored " : "",
        r->is_validated ? "validated " : "", r->is_stale ? "stale " : "",
        r->is_substitute ? "substitute " : "",
        r->is_stale_fetch ? "instead " : "",
        r->is_stale_forbidden ? "forbidden " : "",
        r->record != NULL ? "record " : "", r->fwd_status, age,
        r->detail == NULL ? "-" : r->detail);
    return text;
}

static void
write_left(struct bench *b, const struct question *q, FILE *to)
{
    struct entry *e = entry_of(&b->g, q);

    if (e == NULL) {
        fprintf(to, "-");
    } else if ((e->flags & ENTRY_VARY_RECORD) != 0) {
        fprintf(to, "record of %.*s", SLICE_FMT(entry_vary_names(e)));
    } else {
        fprintf(to, "%s%.*s %ld s",
            (e->flags & ENTRY_HIT_FOR_MISS) != 0 ? "for-miss " : "",
            SLICE_FMT(entry_body(e)),
            (long)(entry_fresh_until_ms(e) - entry_created_ms(e)) / 1000);
    }
    entry_unref(&e);
}

static const char *
left_of(struct bench *b, struct question *base)
{
    static char text[512];
    struct entry *record = entry_of(&b->g, base);
    struct question *variant = NULL;
    char size[32];
    FILE *to = fmemopen(text, sizeof(text), "w");

    assert_true(ask(b->g.server, size, sizeof(size), "DBSIZE"));
    fprintf(to, "%s: ", size);
    write_left(b, base, to);
    if (record != NULL && (record->flags & ENTRY_VARY_RECORD) != 0) {
        assert_int_equal(question_vary(base, record, &variant), RC_OK);
        fprintf(to, ", ");
        write_left(b, variant, to);
        question_unref(&variant);
    }
    entry_unref(&record);
    fclose(to);
    return text;
}

/* Under the key of the question, as it is to be. */
static void
store_it(struct bench *b, enum stored stored, struct question *q)
{
    int64_t now_ms = worker_wall_ms(&b->g.worker);
    struct codec_parts parts = {.status = 200,
        .created_ms = now_ms - 100000,
        .fresh_until_ms = stored == FRESH_ONE ? now_ms + 50000 : now_ms - 1000,
        .stale_until_ms = now_ms + 60000,
        .while_ms = stored == RENEWABLE ? 60000 : 0,
        .key = q->key.full,
        .fields = SLICE("etag: \"v1\"\r\n"),
        .body = SLICE("body")};
    struct value value;
    int64_t px_ms;

    if (stored == MUST_BE_SAME) {
        parts.flags = ENTRY_MUST_VALIDATE | ENTRY_NEVER_STALE;
    } else if (stored == OVER) {
        parts.flags = ENTRY_NEVER_STALE;
    }
    if (stored == HIT_FOR_MISS) {
        assert_int_equal(
            encode_hit_for_miss(&q->key, "why", now_ms, &value, &px_ms), RC_OK);
    } else {
        assert_int_equal(codec_encode(&parts, &value), RC_OK);
    }
    given_stored(&b->g, q, value_slice(&value));
    value_free(&value);
}

struct scene {
    struct question *base;
    struct question *q; /* what is asked: the same, or its variant */
    struct varied v;
    struct waiting w;
};

static void
given_scene(struct bench *b, const struct flown *f, struct scene *s)
{
    char out[16];

    assert_true(ask(b->g.server, out, sizeof(out), "FLUSHALL"));
    b->g.asking.route.cookie =
        f->how == KEYED ? ROUTE_CREDENTIAL_KEY : ROUTE_CREDENTIAL_AUTO;
    *s = (struct scene){
        .base = given_question(&b->g.asking, "GET /a", f->fields)};
    if (f->stored == RECORD || f->stored == VARIED) {
        s->v = given_record(&b->g, 1);
        given_stored(&b->g, s->base, value_slice(&s->v.value));
        s->q = given_variant(&b->g, s->v.record, f->fields);
    } else {
        s->q = question_ref(s->base);
    }
    if (f->stored != NOTHING && f->stored != RECORD) {
        store_it(b, f->stored, s->q);
    }
}

static void
fly_as(struct bench *b, enum how how, struct scene *s)
{
    struct flight_run_opts opts = {.wait_until_ms = INT64_MAX};

    if (how == ALONE || how == LEASED) {
        s->w = waiting_of(b, &s->w);
        opts.stale = entry_of(&b->g, s->q);
        opts.takes_lease = how == LEASED;
        assert_true(
            flight_enter_alone(b->collapse.flights, &s->q->key, &s->w.waiter));
    } else {
        opts.wants_validated = how == VALIDATED;
        assert_int_equal(enter(b, s->q, &s->w), FLIGHT_OPENED);
    }
    flight_run_start(&b->g.worker, s->q, s->w.waiter.flight, &opts);
    entry_unref(&opts.stale);
}

/* The head and a part of the body, and the rest of it when that was told.
   True: between the two, more may join. */
static bool
answer_is_open(struct bench *b, const struct flown *f, struct scene *s)
{
    bool has_body = strncmp(f->status, "304", 3) != 0;
    char text[1024];
    bool is_open;
    int n = snprintf(text, sizeof(text),
        "HTTP/1.1 %s\r\n%sContent-Length: 3\r\n\r\n%s", f->status, f->answer,
        has_body ? "ne" : "");

    await_request(b);
    assert_int_equal(write(b->fd, text, (size_t)n), n);
    await_told(b, &s->w);
    is_open = flight_table_len(b->collapse.flights) > 0;
    assert_int_equal(write(b->fd, "w", has_body), has_body);
    await_no_run(b);
    return is_open;
}

static void
scene_over(struct bench *b, struct scene *s)
{
    if (b->fd >= 0) {
        close(b->fd);
        b->fd = -1;
    }
    AWAIT(&b->g.rig, origin_group_connections(b->group) == 0);
    waiting_over(&s->w);
    question_unref(&s->q);
    question_unref(&s->base);
    record_over(&s->v);
}

static void
each_answer_is_told_and_stored_for_what_it_is(void **state)
{
    struct bench b;

    (void)state;
    bench_up(&b);
    b.g.asking.route.grace_ms = 60000;
    for (size_t i = 0; i < ARRAY_LEN(flown); i++) {
        const struct flown *f = &flown[i];
        bool is_open = false;
        struct scene s;
        const char *told;
        const char *left;

        given_scene(&b, f, &s);
        fly_as(&b, f->how, &s);
        if (f->status != NULL) {
            is_open = answer_is_open(&b, f, &s);
        } else {
            await_told(&b, &s.w);
            await_no_run(&b);
            assert_false(was_asked(&b));
        }
        told = told_of(&s.w.result, is_open, worker_wall_ms(&b.g.worker));
        left = left_of(&b, s.base);
        if (s.w.result.outcome != f->outcome || strcmp(told, f->told) != 0 ||
            strcmp(left, f->left) != 0) {
            fail_msg("row %zu: %d, \"%s\", \"%s\"", i, s.w.result.outcome, told,
                left);
        }
        scene_over(&b, &s);
    }
    bench_down(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_answer_is_told_and_stored_for_what_it_is),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
