/*
 * What decides where commands go: CLUSTER SLOTS, CLUSTER NODES and
 * redirections from a hostile server. Tables stay consistent, whatever comes.
 */
#include "fuzz.h"
#include "nearside/redis/redirect.h"
#include "nearside/redis/resp.h"
#include "nearside/redis/topology.h"

static void
check_topology(const struct topology *topology)
{
    unsigned covered = 0;

    MUST(topology->nodes_len <= TOPOLOGY_NODES_MAX);
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
        uint16_t owner = topology->owner[slot];

        MUST(owner == SLOT_NONE || owner < topology->nodes_len);
        covered += owner != SLOT_NONE;
    }
    MUST(covered == topology->covered);
    for (unsigned i = 0; i < topology->nodes_len; i++) {
        MUST(topology->nodes[i].host[0] == '\0' ||
             host_is_sane(slice_of_str(topology->nodes[i].host)));
        MUST(topology->nodes[i].port != 0);
        MUST(strlen(topology->nodes[i].id) <= NODE_ID_LEN);
    }
}

static void
read_reply(const struct redis_reply *reply, struct slice text)
{
    struct topology *topology = topology_new();
    struct topology *settled = topology_new();

    MUST(topology != NULL);
    MUST(settled != NULL);
    if (topology_read_slots(topology, reply, SLICE("sender"), NULL) == RC_OK) {
        struct topology *const all[] = {topology, topology};
        const struct topology_views views = {.all = all, .len = 2};

        check_topology(topology);
        topology_read_nodes(topology, text, SLICE("asked"), 7000);
        check_topology(topology);
        MUST(topology_eq(topology, topology));
        MUST(topology_settle(settled, &views) == RC_OK);
        check_topology(settled);
        MUST(!topology_has_unknown(settled));
        MUST(topology_has_unknown(topology) ||
             settled->covered == topology->covered);
    }
    topology_free(&topology);
    topology_free(&settled);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
    resp = resp_new(65536);
    MUST(resp != NULL);
    if (size > 0 && size <= sizeof(scratch)) {
        struct resp_space space = resp_space(resp, scratch, sizeof(scratch));

        memcpy(space.ptr, data, size);
        resp_put(resp, size);
        while (resp_next(resp, &reply) == RC_OK) {
            read_reply(reply, in);
        }
    }
    resp_free(&resp);
    return 0;
}
