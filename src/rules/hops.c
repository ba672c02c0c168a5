/* Reads Max-Forwards (RFC 9110 7.6.2). The request decides by it who answers;
   origin_head.c writes the count that goes on. */
#include "nearside/rules/hops.h"

enum rc
hops_of(const struct head *head, uint64_t *out_hops)
{
    const struct field *field = head_find(head, FIELD_MAX_FORWARDS);
    enum rc rc;

    if (head->method != METHOD_OPTIONS || field == NULL) {
        return RC_MISS;
    }
    if (head_find_next(head, field) != NULL) {
        return RC_BAD;
    }
    rc = slice_to_u64(field->value, UINT32_MAX, out_hops);
    if (rc == RC_LIMIT) {
        *out_hops = UINT32_MAX; /* as far as we can count (7.6.2) */
        return RC_OK;
    }
    return rc;
}
