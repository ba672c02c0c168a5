/*
 * OPTIONS with Max-Forwards (RFC 9110 7.6.2), by which a client asks one
 * server on the way instead of the last one: each that passes it on counts it
 * down, and the one that gets 0 answers itself. With any other method the
 * field means nothing to us.
 */
#include "request/request_inside.h"

#include "nearside/http/write.h"
#include "nearside/rules/origin_head.h"

enum {
    OWN_LINES_MAX = 512,
};

/* We are the last server asked: all we can say is what a route allows. */
static const struct step *
run_options(struct request *r)
{
    char *text = arena_alloc(&r->arena, OWN_LINES_MAX);
    struct writer w = writer_of(text, OWN_LINES_MAX);

    MUST(r->q->head->method == METHOD_OPTIONS);
    if (text == NULL) {
        return request_fail(r, 503, "memory");
    }
    request_write_allow(&w, r->q->route);
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
    return request_respond(r);
}

static const struct step step_options = {"options", run_options, false};

const struct step *
request_ask_options(struct request *r)
{
    uint64_t hops;
    enum rc rc = hops_of(r->q->head, &hops);

    r->result = RESULT_PASS;
    if (rc == RC_OK && hops == 0) {
        return &step_options;
    }
    r->fwd = CACHE_FWD_METHOD;
    return rc == RC_BAD ? request_fail(r, 400, "max-forwards") : &step_forward;
}
