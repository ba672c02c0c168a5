/*
 * Judges responses. A renewed one is made a head again and judged like a new
 * one, so that there is one way to a verdict.
 */
#include "nearside/rules/assess.h"

#include "nearside/base/check.h"
#include "nearside/http/stored_lines.h"
#include "nearside/http/update.h"
#include "nearside/http/write.h"

void
assess_response(const struct assess_opts *j, const struct head *head,
    struct policy_verdict *out)
{
    MUST(j->route != NULL);
    MUST(j->object_max > 0);
    policy_store(j->route, j->request, head, &j->times, out);
    /* Over when it came, and not to be used past its time (RFC 9111 5.2.2.2):
       what no-cache says in one word. */
    if ((out->flags & (ENTRY_NEVER_STALE | ENTRY_WINDOWS)) ==
            ENTRY_NEVER_STALE &&
        out->fresh_until_ms <= j->times.response_ms) {
        out->flags |= ENTRY_MUST_VALIDATE;
    }
    if (out->is_storable && head->framing == FRAMING_LENGTH &&
        head->content_length > j->object_max) {
        out->is_storable = false;
        out->detail = storable_detail(STORABLE_SIZE);
    }
}

/* --- renewed ----------------------------------------------------------- */

/* The update, with the time of its receipt if it has no Date (RFC 9110 6.6.1):
   by the stored Date the response would be as old as before. NULL: no
   memory. */
static const struct head *
with_date(const struct assess_opts *j, const struct head *head)
{
    struct head *dated;

    MUST(j->arena != NULL);
    if (head_has(head, FIELD_DATE) || head->field_count == HEAD_FIELDS_MAX) {
        return head;
    }
    dated = arena_alloc(j->arena, sizeof(*dated));
    if (dated == NULL) {
        return NULL;
    }
    *dated = *head;
    head_add(
        dated, &(struct field){
                   .name = SLICE("date"), .value = j->date, .id = FIELD_DATE});
    return dated;
}

static bool
merge(const struct assess_opts *j, const struct entry *stored,
    const struct head *update, struct slice *out)
{
    enum route_set_cookie how = j->route->set_cookie;
    bool has_set_cookie = how == ROUTE_SET_COOKIE_STORE ||
                          (how == ROUTE_SET_COOKIE_BYPASS && j->is_delivered);
    size_t size = entry_lines(stored).len + head_lines_size(update);
    struct writer w;
    char *text;

    text = arena_alloc(j->arena, size);
    if (text == NULL) {
        return false;
    }
    w = writer_of(text, size);
    if (update_merge(update, entry_lines(stored), has_set_cookie, &w) !=
        RC_OK) {
        return false;
    }
    *out = writer_slice(&w);
    return true;
}

/* Parts the lines into those that are for us alone and the others. */
static bool
part(const struct assess_opts *j, struct slice lines, struct renewal *out)
{
    const struct targeted_list withheld = policy_withheld(j->route);
    char *text = arena_alloc(j->arena, 2 * lines.len + 1);
    struct writer private, fields;
    struct slice name, value;

    if (text == NULL) {
        return false;
    }
    private = writer_of(text, lines.len);
    fields = writer_of(text + lines.len, lines.len);
    while (stored_next(&lines, &name, &value)) {
        write_field(
            targeted_has(&withheld, name) ? &private : &fields, name, value);
    }
    out->private_fields = writer_slice(&private);
    out->fields = writer_slice(&fields);
    return true;
}

/* The update's age is the renewed response's, although Age is not stored. */
static void
add_age(struct head *head, const struct head *update)
{
    const struct field *age = head_find(update, FIELD_AGE);

    if (age != NULL && head->field_count < HEAD_FIELDS_MAX) {
        head_add(head, age);
    }
}

bool
assess_renewed(const struct assess_opts *j, const struct entry *stored,
    const struct head *update, struct renewal *out)
{
    const struct head *dated = with_date(j, update);
    struct head *head = arena_alloc(j->arena, sizeof(*head));
    struct slice lines;

    MUST_OBJ(stored, ENTRY_MAGIC);
    MUST((stored->flags & (ENTRY_HIT_FOR_MISS | ENTRY_VARY_RECORD)) == 0);
    if (dated == NULL || head == NULL || !merge(j, stored, dated, &lines) ||
        !part(j, lines, out) ||
        stored_to_head(lines, stored->status, head) != RC_OK) {
        return false;
    }
    add_age(head, update);
    head->framing = FRAMING_LENGTH;
    head->content_length = entry_body(stored).len;
    assess_response(j, head, &out->verdict);
    return true;
}
