/*
 * Judging. A renewed response is made a head again and judged like a new one:
 * there is one way to a verdict, whatever brought it about.
 */
#include "proxy/verdict.h"

#include "nearside/cache/codec.h"
#include "nearside/http/stored_lines.h"
#include "nearside/http/update.h"
#include "nearside/http/write.h"
#include "proxy/fill.h"
#include "nearside/work/worker.h"

void
verdict_of_response(const struct judging *j, const struct head *head,
    struct policy_verdict *out)
{
    const struct policy_times times = {
        .request_ms = j->request_ms,
        .response_ms = j->response_ms,
        .jitter = random_next(&j->worker->random),
    };

    policy_store(j->route, j->request, head, &times, out);
    /* Over when it came, and not to be used past its time (RFC 9111 5.2.2.2):
       what no-cache says in one word. */
    if ((out->flags & ENTRY_NEVER_STALE) != 0 &&
        out->fresh_until_ms <= j->response_ms) {
        out->flags |= ENTRY_MUST_VALIDATE;
    }
    if (out->is_storable && head->framing == FRAMING_LENGTH &&
        head->content_length > j->worker->conf->limits.object_max) {
        out->is_storable = false;
        out->detail = "size";
    }
}

/* --- renewed ----------------------------------------------------------- */

/* The update with the time of its receipt where it brings no Date (RFC 9110
   6.6.1): the stored one would make the response as old as it was. NULL: no
   memory. */
static const struct head *
with_date(const struct judging *j, const struct head *head)
{
    struct head *dated;

    if (head_has(head, FIELD_DATE) || head->field_count == HEAD_FIELDS_MAX) {
        return head;
    }
    dated = arena_alloc(j->arena, sizeof(*dated));
    if (dated == NULL) {
        return NULL;
    }
    *dated = *head;
    dated->fields[dated->field_count++] = (struct field){
        .name = SLICE("date"),
        .value = worker_date(j->worker),
        .id = FIELD_DATE,
    };
    dated->field_set |= UINT64_C(1) << (FIELD_DATE - 1);
    return dated;
}

static bool
merge(const struct judging *j, const struct entry *stored,
    const struct head *update, struct slice *out)
{
    enum route_set_cookie how = j->route->set_cookie;
    const struct update_opts opts = {
        .set_cookie = how == ROUTE_SET_COOKIE_STORE ||
                      (how == ROUTE_SET_COOKIE_BYPASS && j->is_delivered)};
    size_t size = entry_lines(stored).len;
    struct writer w;
    char *text;

    for (size_t i = 0; i < update->field_count; i++) {
        size += update->fields[i].name.len + update->fields[i].value.len + 4;
    }
    text = arena_alloc(j->arena, size);
    if (text == NULL) {
        return false;
    }
    w = writer_of(text, size);
    if (update_merge(update, entry_lines(stored), &opts, &w) != RC_OK) {
        return false;
    }
    *out = writer_slice(&w);
    return true;
}

/* Parts the lines into those that are for us alone and the others. */
static bool
part(const struct judging *j, struct slice lines, struct renewal *out)
{
    const struct targeted_list withheld = policy_withheld(j->route);
    char *text = arena_alloc(j->arena, 2 * lines.len + 1);
    struct writer note = writer_of(text, lines.len);
    struct writer fields = writer_of(text + lines.len, lines.len);
    struct slice name, value;

    if (text == NULL) {
        return false;
    }
    while (stored_next(&lines, &name, &value)) {
        write_field(
            targeted_has(&withheld, name) ? &note : &fields, name, value);
    }
    out->note = writer_slice(&note);
    out->fields = writer_slice(&fields);
    return true;
}

/* How old the update was when it came is how old the response is now. */
static void
add_age(struct head *head, const struct head *update)
{
    const struct field *age = head_find(update, FIELD_AGE);

    if (age != NULL && head->field_count < HEAD_FIELDS_MAX) {
        head->fields[head->field_count++] = *age;
        head->field_set |= UINT64_C(1) << (FIELD_AGE - 1);
    }
}

bool
verdict_of_renewed(const struct judging *j, const struct entry *stored,
    const struct head *update, struct renewal *out)
{
    const struct head *dated = with_date(j, update);
    struct head *head = arena_alloc(j->arena, sizeof(*head));
    struct slice lines;

    if (dated == NULL || head == NULL || !merge(j, stored, dated, &lines) ||
        !part(j, lines, out) ||
        stored_to_head(lines, stored->status, head) != RC_OK) {
        return false;
    }
    add_age(head, update);
    head->framing = FRAMING_LENGTH;
    head->content_length = stored->body_len;
    verdict_of_response(j, head, &out->verdict);
    return true;
}

/* --- values ------------------------------------------------------------ */

/* All but the content. What is not to be kept is over at once. */
static struct codec_parts
parts_of(const struct encoding *e)
{
    const struct policy_verdict *v = e->verdict;

    return (struct codec_parts){
        .status = (uint16_t)e->status,
        .flags = v->flags,
        .while_ms = v->while_ms,
        .if_error_ms = v->if_error_ms,
        .created_ms = v->created_ms,
        .fresh_until_ms = v->fresh_until_ms,
        .stale_until_ms = v->stale_until_ms,
        .origin_cost_ms = e->origin_cost_ms,
        .key = e->key,
    };
}

struct fill_cursor {
    struct fill *fill;
    struct fill_chunk *at;
};

static struct slice
next_run(void *ctx)
{
    struct fill_cursor *cursor = ctx;

    return fill_run(cursor->fill, &cursor->at);
}

enum rc
encode_fill(const struct encoding *e, struct fill *fill, struct value *out)
{
    struct fill_cursor cursor = {.fill = fill};
    struct codec_parts parts = parts_of(e);

    parts.private_fields = fill_message(fill)->note;
    parts.fields = fill_message(fill)->fields;
    parts.body_next = next_run;
    parts.body_ctx = &cursor;
    parts.body_len = (size_t)fill_len(fill);
    return codec_encode(&parts, out);
}

enum rc
encode_renewed(const struct encoding *e, const struct renewal *renewal,
    const struct entry *stored, struct value *out)
{
    struct codec_parts parts = parts_of(e);

    parts.private_fields = renewal->note;
    parts.fields = renewal->fields;
    parts.body = entry_body(stored);
    return codec_encode(&parts, out);
}
