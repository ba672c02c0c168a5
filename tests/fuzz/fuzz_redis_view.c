/*
 * What decides where commands go: CLUSTER SLOTS, CLUSTER NODES and
 * redirections from a hostile server. Tables stay consistent, whatever comes.
 */
#include "fuzz.h"
#include "nearside/redis/redirect.h"
#include "nearside/redis/resp.h"
#include "nearside/redis/view.h"

static void
check_view(const struct view *view)
{
    unsigned covered = 0;

    MUST(view->nodes_len <= VIEW_NODES_MAX);
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        uint16_t owner = view->owner[slot];

        MUST(owner == VIEW_NONE || owner < view->nodes_len);
        covered += owner != VIEW_NONE;
    }
    MUST(covered == view->covered);
    for (unsigned i = 0; i < view->nodes_len; i++) {
        MUST(host_is_sane(slice_of_str(view->nodes[i].host)));
        MUST(view->nodes[i].port != 0);
        MUST(strlen(view->nodes[i].id) <= NODE_ID_LEN);
    }
}

static void
read_reply(const struct redis_reply *reply, struct slice text)
{
    struct view *view = view_new();
    struct view *settled = view_new();

    MUST(view != NULL);
    MUST(settled != NULL);
    if (view_read_slots(view, reply, SLICE("sender")) == RC_OK) {
        struct view *const views[] = {view, view};

        check_view(view);
        view_read_epochs(view, text);
        MUST(view_eq(view, view));
        MUST(view_settle(settled, views, 2) == RC_OK);
        check_view(settled);
        MUST(settled->covered == view->covered);
    }
    view_free(&view);
    view_free(&settled);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct resp_opts opts = {.reply_max = 65536, .elements_max = 1024};
    struct slice in = slice_of((const char *)data, size);
    char scratch[RESP_SCRATCH];
    struct redis_reply *reply;
    struct redirect to;
    struct resp *resp;

    if (redirect_parse(in, &to) == RC_OK) {
        MUST(to.slot < SLOT_COUNT);
        MUST(to.port != 0);
        MUST(to.host.len == 0 || host_is_sane(to.host));
    }
    resp = resp_new(&opts);
    MUST(resp != NULL);
    if (size > 0 && size <= sizeof(scratch)) {
        struct resp_place place = resp_place(resp, scratch, sizeof(scratch));

        memcpy(place.ptr, data, size);
        resp_put(resp, size);
        while (resp_next(resp, &reply) == RC_OK) {
            read_reply(reply, in);
        }
    }
    resp_free(&resp);
    return 0;
}
