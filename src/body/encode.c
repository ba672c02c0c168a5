/* Values of the four kinds that are stored. */
#include "nearside/body/encode.h"

#include "nearside/body/fill.h"

enum {
    /* How long "not storable" is remembered, fleet-wide. */
    HIT_FOR_MISS_MS = 5000,
    GENERATION_LEN = 16,
};

/* A record is good for as long as Redis keeps it, which its variants decide, or
   memory, where it leaves as any entry does: this only has to be longer. */
#define RECORD_MS INT64_C(31536000000)

/* All but the content. What is not to be kept is over at once. */
static struct codec_parts
parts_of(const struct encoding *e)
{
    const struct policy_verdict *v = e->verdict;

    MUST(e->key->full.len > 0);
    MUST(v->stale_until_ms >= v->fresh_until_ms);
    return (struct codec_parts){
        .status = (uint16_t)e->status,
        .flags = v->flags,
        .while_ms = v->while_ms,
        .if_error_ms = v->if_error_ms,
        .created_ms = v->created_ms,
        .fresh_until_ms = v->fresh_until_ms,
        .stale_until_ms = v->stale_until_ms,
        .fetched = entry_fetched_of(v->received_ms - v->created_ms, e->cost_ms),
        .key = e->key->full,
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

    MUST(e->verdict->is_storable);
    MUST(fill_state(fill) == FILL_COMPLETE);
    parts.private_fields = fill_head(fill)->private_fields;
    parts.fields = fill_head(fill)->fields;
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

    MUST_OBJ(stored, ENTRY_MAGIC);
    MUST(e->status == stored->status);
    parts.private_fields = renewal->private_fields;
    parts.fields = renewal->fields;
    parts.body = entry_body(stored);
    return codec_encode(&parts, out);
}

enum rc
encode_hit_for_miss(const struct key *key, const char *reason, int64_t now_ms,
    struct value *out, int64_t *out_px_ms)
{
    const struct codec_parts parts = {
        .flags = ENTRY_HIT_FOR_MISS,
        .created_ms = now_ms,
        .fresh_until_ms = now_ms + HIT_FOR_MISS_MS,
        .stale_until_ms = now_ms + HIT_FOR_MISS_MS,
        .key = key->full,
        .body = slice_of_str(reason),
    };

    MUST(key->full.len > 0);
    MUST(reason != NULL);
    *out_px_ms = HIT_FOR_MISS_MS;
    return codec_encode(&parts, out);
}

enum rc
encode_record(const struct key *key, struct slice names, int64_t now_ms,
    uint64_t random, struct value *out)
{
    static const char digits[] = "0123456789abcdef";
    char generation[GENERATION_LEN];
    const struct codec_parts parts = {
        .flags = ENTRY_VARY_RECORD,
        .created_ms = now_ms,
        .fresh_until_ms = now_ms + RECORD_MS,
        .stale_until_ms = now_ms + RECORD_MS,
        .key = key->full,
        .vary_names = names,
        .generation = slice_of(generation, GENERATION_LEN),
    };

    MUST(key->variant.len == 0);
    for (size_t i = 0; i < GENERATION_LEN; i++) {
        generation[i] = digits[(random >> (4 * i)) & 15];
    }
    return codec_encode(&parts, out);
}
