/*
 * OPTIONS with Max-Forwards (RFC 9110 7.6.2), by which a client asks one
 * server on the way instead of the last one: each that passes it on counts it
 * down, and the one that gets 0 answers itself. With any other method the
 * field means nothing to us.
 */
#include "proxy/options.h"

#include "nearside/http/write.h"

enum {
    OWN_LINES_MAX = 512,
};

enum rc
options_hops(const struct head *head, uint64_t *out_hops)
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

/* We are the last: there is nothing to say but what a route lets through. */
static const struct step *
run_options(struct request *r)
{
    char *text = arena_alloc(&r->arena, OWN_LINES_MAX);
    struct writer w = writer_of(text, OWN_LINES_MAX);

    MUST(r->head->method == METHOD_OPTIONS);
    if (text == NULL) {
        return request_fail(r, 503, "memory");
    }
    request_write_allow(&w, r->route_opts);
    if (w.is_full) {
        w = writer_of(text, OWN_LINES_MAX);
    }
    write_field(&w, SLICE("date"), worker_date(r->worker));
    source_of_bytes(&r->source, SLICE(""));
    r->response = (struct response){
        .status = 200,
        .fields = writer_slice(&w),
        .has_length = true,
        .source = &r->source,
    };
    r->status = 200;
    r->stream->ops->respond(r->stream, &r->response);
    return NULL;
}

const struct step step_options = {"options", run_options};

const struct step *
options_route(struct request *r)
{
    uint64_t hops;
    enum rc rc = options_hops(r->head, &hops);

    r->result = RESULT_PASS;
    if (rc == RC_OK && hops == 0) {
        return &step_options;
    }
    r->fwd = CACHE_FWD_METHOD;
    return rc == RC_BAD ? request_fail(r, 400, "max-forwards") : &step_forward;
}
