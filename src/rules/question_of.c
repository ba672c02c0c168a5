/*
 * Questions that are made of another one: for the variant that it chooses, and
 * for the renewal in the background that it has occasioned. They borrow what
 * they have from the other one, which lives as long as they do.
 *
 * Law: nothing of whoever happens to ask at the right moment may shape what is
 * renewed for all. A renewal carries the fields that the stored response was
 * chosen by, and no others.
 */
#include "rules/question_inside.h"

#include "nearside/base/check.h"
#include "nearside/http/forwarding.h"

/* --- variants ---------------------------------------------------------- */

struct sending
question_sending(const struct question *q, bool for_cache)
{
    MUST_OBJ(q, QUESTION_MAGIC);
    return (struct sending){
        .head = q->head,
        .route = q->kind == QUESTION_WRITE ? NULL : q->route,
        .host = q->host,
        .is_trusted = q->client.is_trusted,
        .for_cache = for_cache,
    };
}

bool
question_is_sent_as_get(const struct question *q)
{
    const struct sending own = question_sending(q, false);
    struct sending get = question_sending(q, true);
    struct slice told;

    MUST(q->reads != NULL);
    get.route = q->reads;
    told = sending_host(q->reads, q->host, q->sent_host,
        q->conf->opts.group_hosts[q->reads->group]);
    if (q->reads->cookies_len > 0 && head_has(q->head, FIELD_COOKIE)) {
        return false; /* a GET would have been sent some of them at most */
    }
    return !q->policy.is_odd && !question_is_keyed(q) &&
           slice_eq(q->sent_host, told) && q->group == q->reads->group &&
           !sending_is_more(&own, &get);
}

/* One that borrows all of it. NULL: no memory. */
static struct question *
question_of(struct question *q)
{
    struct question *v = question_take(q->pool);
    struct arena arena;

    if (v == NULL) {
        return NULL;
    }
    arena = v->arena;
    *v = *q;
    v->refs = 1;
    v->arena = arena;
    v->of = question_ref(q);
    v->base = NULL;
    v->record = NULL;
    proxy_conf_ref(v->conf);
    return v;
}

static enum rc
choose(struct question *v, struct entry *record)
{
    const struct sending sending = question_sending(v, true);
    const struct keys_record names = {
        entry_vary_names(record), entry_generation(record)};
    struct slice variant;
    enum rc rc = keys_choose(&v->arena, &v->keys, &sending, &names, &variant);

    MUST((record->flags & ENTRY_VARY_RECORD) != 0);
    MUST(v->record == NULL);
    if (rc == RC_OK) {
        rc = key_vary(
            &v->arena, v->pool->hash_key, &v->base->key, variant, &v->key);
    }
    if (rc == RC_OK && v->base->entry_key.len > 0) {
        rc = question_make_entry_key(v);
    }
    if (rc == RC_OK) {
        v->record = entry_ref(record);
    }
    return rc;
}

enum rc
question_vary(struct question *q, struct entry *record, struct question **out)
{
    struct question *v;
    enum rc rc;

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->keys.base.full.len > 0);
    v = question_of(q);
    if (v == NULL) {
        return RC_NOMEM;
    }
    v->base = question_ref(question_base(q));
    rc = choose(v, record);
    if (rc != RC_OK) {
        question_unref(&v);
        return rc;
    }
    *out = v;
    return RC_OK;
}

bool
question_fits_record(const struct question *q, const struct vary *vary)
{
    MUST_OBJ(q, QUESTION_MAGIC);
    return vary_is_within(vary, question_names(q));
}

/* --- renewals ---------------------------------------------------------- */

/* Does the record name it, or the route? */
static bool
is_varied_by(const struct question *q, struct slice name)
{
    if (slice_lists(question_names(q), name)) {
        return true;
    }
    for (size_t i = 0; i < q->reads->vary_on_len; i++) {
        if (slice_ieq(q->reads->vary_on[i], name)) {
            return true;
        }
    }
    return false;
}

/* Does the field choose among what is stored: by the record, as a part of the
   view, or as a credential that the route keys? */
static bool
is_keyed(const struct question *q, const struct field *field)
{
    return is_varied_by(q, field->name) ||
           (q->client.is_trusted && forwarding_of(field) == FORWARDING_SITE) ||
           (field->id == FIELD_COOKIE &&
               q->reads->cookie == ROUTE_CREDENTIAL_KEY) ||
           (field->id == FIELD_AUTHORIZATION &&
               q->reads->authorization == ROUTE_CREDENTIAL_KEY);
}

/* A GET with the fields that are sent and keyed. RC_NOMEM. */
static enum rc
keep_keyed(struct question *v)
{
    const struct sending sending = question_sending(v, true);
    const struct head *from = v->head;
    struct head *head =
        arena_alloc(&v->arena, offsetof(struct head, fields) +
                                   from->field_count * sizeof(from->fields[0]));

    if (head == NULL) {
        return RC_NOMEM;
    }
    memcpy(head, from, offsetof(struct head, fields));
    head->method = METHOD_GET;
    head->method_text = SLICE("GET");
    head->field_count = 0;
    head->field_set = 0;
    for (size_t i = 0; i < from->field_count; i++) {
        const struct field *field = &from->fields[i];
        if (sending_has(&sending, field) && is_keyed(v, field)) {
            head_add(head, field);
        }
    }
    v->head = head;
    return RC_OK;
}

enum rc
question_renewal(struct question *q, struct question **out)
{
    struct question *v;

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->kind == QUESTION_READ);
    MUST(!q->policy.is_odd);
    v = question_of(q);
    if (v == NULL) {
        return RC_NOMEM;
    }
    if (q->base != NULL) {
        v->base = question_ref(q->base);
        v->record = entry_ref(q->record);
    }
    if (keep_keyed(v) != RC_OK) {
        question_unref(&v);
        return RC_NOMEM;
    }
    v->client.peer = (struct address){0}; /* nobody's */
    policy_read(v->route, v->head, false, &v->policy);
    *out = v;
    return RC_OK;
}
