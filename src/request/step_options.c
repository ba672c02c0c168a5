/*
 * OPTIONS, which is never answered from the cache. It goes to the origin, but
 * for what we answer ourselves. With Max-Forwards (RFC 9110 7.6.2), by which a
 * client asks one server on the way instead of the last one: each that passes
 * it on counts it down, and the one that gets 0 answers itself. With any other
 * method the field means nothing to us.
 */
#include "request/request_inside.h"

#include "nearside/http/write.h"
#include "nearside/rules/origin_head.h"

enum {
    OWN_LINES_MAX = 512,
};

/* It ends here: all we can say is what a route allows. */
static const struct step *
run_options(struct request *r)
{
    char *text = arena_alloc(&r->arena, OWN_LINES_MAX);
    struct writer w = writer_of(text, OWN_LINES_MAX);

    MUST(r->q->head->method == METHOD_OPTIONS);
    if (text == NULL) {
        return request_fail(r, 503, "no-memory");
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

/* Where no origin gets what no route matches, `*` asks about us. */
static const struct step *
ask_nobody(struct request *r)
{
    MUST(r->q->route == NULL);
    return slice_eq(r->q->head->target, SLICE("*"))
               ? &step_options
               : request_fail(r, 404, QUESTION_NO_ROUTE);
}

const struct step *
request_ask_options(struct request *r)
{
    uint64_t hops;
    enum rc rc = hops_of(r->q->head, &hops);

    r->result = RESULT_PASS;
    if (rc == RC_BAD) {
        return request_fail(r, 400, "max-forwards");
    }
    if (rc == RC_OK && hops == 0) {
        return &step_options;
    }
    if (!question_has_origin(r->q)) {
        return ask_nobody(r);
    }
    r->fwd = CACHE_FWD_METHOD;
    return &step_forward;
}
