/*
 * Laws. A question is remembered when its answer has left as a fresh hit in
 * memory, and nobody else holds it. It has nothing that would make its answer
 * depend on more than target, field lines and route: no content, no condition,
 * no directive, no credentials, no view, no variant.
 *
 * The lines are compared byte for byte, whichever kind the client is
 * said to be: what the connection remembers is a hint. The route is looked for
 * each time, and so is the entry. Of the target only the plain form counts,
 * which is its own normal form.
 */
#include "nearside/known/known.h"

#include <stdlib.h>

#include "nearside/cache/key.h"
#include "nearside/http/parse.h"
#include "nearside/http/uri.h"
#include "nearside/http/write.h"
#include "nearside/rules/found.h"
#include "nearside/tier/memory_find.h"

enum {
    KNOWN_KINDS = 32, /* of clients */
    /* Of each, by the last bits of their rows. A question takes some 5 KiB, so
       that all together take 1.3 MB of a worker at most. */
    KNOWN_ROUTES = 8,
    /* A head with all of its lines; most clients' have half of that. */
    HEAD_LEN_MAX = 4096,
    /* Beyond, a socket may take a part only, which costs more than is saved. */
    BODY_LEN_MAX = 32768,
};

/* Questions with the same field lines of clients that are trusted alike; so
   they have one host. */
struct known_kind {
    struct question *last; /* the one that was learned last; NULL: none */
    struct question *by_route[KNOWN_ROUTES]; /* each the only reference */
};

struct known {
    uint32_t magic;
    unsigned next; /* the kind that is forgotten next */
    struct known_kind kinds[KNOWN_KINDS];
};

/* --- the question ------------------------------------------------------ */

/* Do the lines begin with those of that kind? */
static bool
is_kind(const struct known_kind *kind, const struct known_asked *asked,
    struct slice lines)
{
    const struct question *any = kind->last;

    return any != NULL && any->conf == asked->worker->conf &&
           any->client.is_trusted == asked->client->is_trusted &&
           slice_starts(lines, any->lines);
}

/* The one that was asked by the target's route. */
static struct question *
find_question(struct known_kind *kind, struct slice target)
{
    const struct proxy_conf_opts *opts = &kind->last->conf->opts;
    ptrdiff_t row = route_match(opts->routes, opts->routes_len, SLICE("GET"),
        kind->last->host, uri_path(target));
    struct question *q = row < 0 ? NULL : kind->by_route[row % KNOWN_ROUTES];

    if (q == NULL || q->row != row || q->refs > 1) {
        return NULL;
    }
    MUST_OBJ(q, QUESTION_MAGIC);
    return q;
}

/* A fresh response, which the question's fields allow. */
static struct entry *
find_entry(
    struct worker *w, struct question *q, struct slice target, int64_t now_ms)
{
    const struct key own = q->key;
    struct entry *entry;
    struct key_room room;

    if (uri_is_ambiguous(target) || !question_key_of(q, target, &room)) {
        return NULL;
    }
    MUST(q->refs == 1);
    q->key = room.key;
    entry = memory_find(w, q);
    q->key = own;
    if (entry != NULL && (entry->status != 200 || found_judge(q, entry, false,
                                                      now_ms) != FOUND_FRESH)) {
        entry_unref(&entry);
    }
    return entry;
}

/* --- the answer -------------------------------------------------------- */

static uint64_t
age_s_of(const struct entry *entry, int64_t now_ms)
{
    int64_t created_ms = entry_created_ms(entry);

    return now_ms < created_ms ? 0 : (uint64_t)((now_ms - created_ms) / 1000);
}

/* As deliver.c and the stream would write it, line by line. */
static void
write_head(struct writer *to, const struct question *q,
    const struct entry *entry, int64_t now_ms)
{
    MUST_OBJ(entry, ENTRY_MAGIC);
    MUST(entry_fresh_until_ms(entry) > now_ms);
    write_slice(to, SLICE("HTTP/1.1 200 OK\r\n"));
    write_slice(to, entry_fields(entry));
    write_field_u64(to, SLICE("age"), age_s_of(entry, now_ms));
    write_slice(to, q->conf->hit);
    write_u64(to, (uint64_t)((entry_fresh_until_ms(entry) - now_ms) / 1000));
    write_slice(to, SLICE("; detail=memory\r\n"));
    write_field_u64(to, SLICE("content-length"), entry_body(entry).len);
    write_end(to);
}

/* False: it is too large to leave at once. */
static bool
lay_out(struct known_hit *hit, int64_t now_ms)
{
    struct slice body = entry_body(hit->entry);
    struct writer to = writer_of(hit->text, sizeof(hit->text));

    MUST(hit->iov_len == 0);
    if (body.len > BODY_LEN_MAX) {
        return false;
    }
    write_head(&to, hit->like, hit->entry, now_ms);
    if (to.is_full) {
        return false;
    }
    hit->size = to.len + body.len;
    hit->iov_len = 1;
    if (body.len <= to.cap - to.len) {
        write_slice(&to, body);
    } else {
        hit->iov[hit->iov_len++] =
            (struct iovec){(char *)(uintptr_t)body.ptr, body.len};
    }
    hit->iov[0] = (struct iovec){to.ptr, to.len};
    return true;
}

/* Is the head, of that many bytes, no longer than heads and targets may be? */
static bool
is_short(const struct worker *w, const struct known_hit *hit)
{
    const struct limits *limits = &w->conf->opts.limits;

    MUST(hit->head_len > hit->target.len);
    return hit->head_len <= HEAD_LEN_MAX && hit->head_len <= limits->head_max &&
           hit->target.len <= limits->target_max;
}

enum rc
known_answer(
    struct known *known, const struct known_asked *asked, struct known_hit *out)
{
    /* Once: Redis' time may be told anew at any moment, by another thread. */
    const int64_t now_ms = worker_wall_ms(asked->worker);
    struct known_kind *kind;
    struct slice lines;

    MUST_OBJ(known, KNOWN_MAGIC);
    MUST(asked->client->kind <= KNOWN_KINDS);
    if (asked->client->kind == 0 ||
        !parse_plain_line(asked->in, &out->target, &lines)) {
        return RC_MISS;
    }
    kind = &known->kinds[asked->client->kind - 1];
    if (!is_kind(kind, asked, lines)) {
        return RC_MISS;
    }
    out->like = find_question(kind, out->target);
    out->head_len = asked->in.len - lines.len + kind->last->lines.len;
    if (out->like == NULL || !is_short(asked->worker, out)) {
        return RC_MISS;
    }
    out->iov_len = 0;
    out->entry = find_entry(asked->worker, out->like, out->target, now_ms);
    if (out->entry == NULL) {
        return RC_MISS;
    }
    if (!lay_out(out, now_ms)) {
        entry_unref(&out->entry);
        return RC_MISS;
    }
    return RC_OK;
}

void
known_sent(struct worker *w, const struct stream *stream, struct known_hit *hit,
    int64_t start_us)
{
    const struct request_hit account = {
        .like = hit->like,
        .target = hit->target,
        .body_len = entry_body(hit->entry).len,
        .start_us = start_us,
    };

    MUST_OBJ(hit->entry, ENTRY_MAGIC);
    MUST_OBJ(hit->like, QUESTION_MAGIC);
    request_account_hit(w, stream, &account);
    entry_unref(&hit->entry);
}

/* --- learning ---------------------------------------------------------- */

static void
forget(struct known_kind *kind)
{
    for (unsigned i = 0; i < KNOWN_ROUTES; i++) {
        question_unref(&kind->by_route[i]);
    }
    kind->last = NULL;
}

/* The kind with those lines, or one that is forgotten for it. */
static struct known_kind *
kind_of(struct known *known, const struct question *q)
{
    struct known_kind *kind;

    MUST_OBJ(q, QUESTION_MAGIC);
    for (unsigned i = 0; i < KNOWN_KINDS; i++) {
        const struct question *last = known->kinds[i].last;
        if (last != NULL && last->client.is_trusted == q->client.is_trusted &&
            last->conf == q->conf && slice_eq(last->lines, q->lines)) {
            return &known->kinds[i];
        }
    }
    kind = &known->kinds[known->next++ % KNOWN_KINDS];
    forget(kind);
    return kind;
}

/* No longer head will be known, and a question takes more than its head does:
   35 KiB where that has 28. */
static bool
is_long(const struct question *q)
{
    const char *end = q->lines.ptr + q->lines.len;

    MUST(q->lines.ptr > q->head->method_text.ptr);
    return end - q->head->method_text.ptr > HEAD_LEN_MAX;
}

void
known_learn(
    struct known *known, struct question *q, struct known_client *client)
{
    struct known_kind *kind;
    struct question **place;

    MUST_OBJ(known, KNOWN_MAGIC);
    if (q == NULL) {
        return;
    }
    MUST(question_is_plain(q));
    if (is_long(q)) {
        return;
    }
    kind = kind_of(known, q);
    place = &kind->by_route[q->row % KNOWN_ROUTES];
    question_unref(place);
    *place = question_ref(q);
    kind->last = q;
    client->kind = (uint8_t)(kind - known->kinds + 1);
    client->is_trusted = q->client.is_trusted;
}

/* --- life -------------------------------------------------------------- */

struct known *
known_new(void)
{
    struct known *known = calloc(1, sizeof(*known));

    if (known != NULL) {
        known->magic = KNOWN_MAGIC;
    }
    return known;
}

void
known_free(struct known **pknown)
{
    struct known *known = *pknown;

    if (known == NULL) {
        return;
    }
    MUST_OBJ(known, KNOWN_MAGIC);
    *pknown = NULL;
    for (unsigned i = 0; i < KNOWN_KINDS; i++) {
        forget(&known->kinds[i]);
    }
    known->magic = 0;
    free(known);
}
