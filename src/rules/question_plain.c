/* Questions that differ by their target alone from one that was asked. */
#include "nearside/rules/question.h"

#include "nearside/base/check.h"
#include "nearside/http/uri.h"

static bool
is_read_by_get(const struct question *q)
{
    return q->kind == QUESTION_READ && q->head->method == METHOD_GET &&
           q->head->is_keep_alive && !q->has_body && q->lines.len > 0;
}

static bool
is_of_nobody(const struct question *q)
{
    return q->of == NULL && q->base == NULL && q->record == NULL &&
           !question_is_keyed(q);
}

bool
question_is_plain(const struct question *q)
{
    const struct policy_request *policy = &q->policy;

    MUST_OBJ(q, QUESTION_MAGIC);
    return is_read_by_get(q) && is_of_nobody(q) && q->key.full.len > 0 &&
           policy->bypass == NULL && policy->credential == NULL &&
           !policy->is_particular && !policy->is_odd &&
           !policy->reuse.has_credentials && !policy->reuse.has_authorization;
}

/* Of a key the target is the end. */
bool
question_key_of(
    const struct question *q, struct slice target, struct key_room *out)
{
    struct slice common = q->keys.base.full;

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->record == NULL);
    MUST(q->keys.target.len < common.len);
    common.len -= q->keys.target.len;
    if (common.len > KEY_ROOM_MAX || target.len > KEY_ROOM_MAX - common.len ||
        (q->reads->query != ROUTE_QUERY_ALL && uri_query(target).ptr != NULL)) {
        return false;
    }
    slice_put(slice_put(out->text, common), target);
    out->key = key_of_full(
        q->pool->hash_key, slice_of(out->text, common.len + target.len));
    return true;
}
