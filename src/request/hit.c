/* What a request has to do with hits that need none. */
#include "request/use_stored.h"

#define BIT(id) (UINT64_C(1) << (FIELD_##id - 1))

/* What makes an answer, or what follows it, depend on more. */
#define FIELDS_OF_ONE                                                          \
    (BIT(CONTENT_LENGTH) | BIT(TRANSFER_ENCODING) | BIT(EXPECT) |              \
        BIT(UPGRADE) | BIT(IF_NONE_MATCH) | BIT(IF_MODIFIED_SINCE) |           \
        BIT(IF_MATCH) | BIT(IF_UNMODIFIED_SINCE) | BIT(IF_RANGE) | BIT(RANGE))

struct question *
request_repeatable(const struct request *r)
{
    MUST_OBJ(r, REQUEST_MAGIC);
    return r->result == RESULT_HIT && r->tier == TIER_MEMORY &&
                   r->status == 200 && !r->is_unverified && r->q->refs == 1 &&
                   (r->q->head->field_set & FIELDS_OF_ONE) == 0 &&
                   r->q->route->cache_status == ROUTE_CACHE_STATUS_ON &&
                   r->worker->request->is_settled[r->q->row] &&
                   question_is_plain(r->q)
               ? r->q
               : NULL;
}

void
request_resume_hit(struct request *r, struct entry *own_entry)
{
    const struct question_refusal refusal = question_ask(r->q);

    MUST_OBJ(r, REQUEST_MAGIC);
    MUST_OBJ(own_entry, ENTRY_MAGIC);
    if (refusal.status != 0) { /* no memory: a part of the answer has left */
        entry_unref(&own_entry);
        r->stream->ops->abort(r->stream);
        return;
    }
    request_run(r, request_deliver_hit(r, own_entry, TIER_MEMORY));
}
