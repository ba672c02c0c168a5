/* Topologies of the cluster: CLUSTER SLOTS in all its shapes, and how
   topologies that differ become one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/redis/redis.h"
#include "nearside/redis/resp.h"
#include "nearside/redis/topology.h"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define ID_C "cccccccccccccccccccccccccccccccccccccccc"

/* Bulk strings of the lengths that the shapes below need. */
#define BULK_ID_A "$40\r\n" ID_A "\r\n"
#define BULK_ID_B "$40\r\n" ID_B "\r\n"
#define HOST_1    "$8\r\n10.0.0.1\r\n"
#define HOST_2    "$8\r\n10.0.0.2\r\n"
#define PORT      ":6379\r\n"
#define NODE_A    "*3\r\n" HOST_1 PORT BULK_ID_A
#define NODE_B    "*3\r\n" HOST_2 PORT BULK_ID_B

static const struct address_mapping mappings[] = {
    {.host = "172.19.0.3", .port = 6379, .to_host = "h", .to_port = 7001},
    {.host = "172.19.0.3", .port = 6380, .to_host = "i", .to_port = 7002},
    {.host = "?", .port = 6379, .to_host = "never", .to_port = 1},
};

static const struct address_map mapped = {mappings, ARRAY_LEN(mappings)};

static enum rc
read_topology(const char *bytes, struct topology **out)
{
    struct resp *resp = resp_new(8 << 20);
    static char scratch[64 * 1024];
    struct redis_reply *reply;
    struct resp_space to = resp_space(resp, scratch, sizeof(scratch));
    enum rc rc;

    memcpy(to.ptr, bytes, strlen(bytes));
    resp_put(resp, strlen(bytes));
    assert_int_equal(resp_next(resp, &reply), RC_OK);
    *out = topology_new();
    rc = topology_read_slots(*out, reply, SLICE("asked.example"), &mapped);
    resp_free(&resp);
    return rc;
}

static const struct {
    const char *what;
    const char *bytes;
    unsigned covered;
    unsigned nodes;
    unsigned slot; /* that is owned by */
    const char *host;
} shapes[] = {
    {"one node, all slots", "*1\r\n*3\r\n:0\r\n:16383\r\n" NODE_A, 16384, 1,
        16383, "10.0.0.1"},
    {"two nodes and replicas",
        "*2\r\n*4\r\n:0\r\n:8191\r\n" NODE_A NODE_B
        "*3\r\n:8192\r\n:16383\r\n" NODE_B,
        16384, 2, 8192, "10.0.0.2"},
    {"NULL endpoint is the one asked",
        "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n$-1\r\n" PORT BULK_ID_A, 10, 1, 0,
        "asked.example"},
    {"empty endpoint is the one asked",
        "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n$0\r\n\r\n" PORT BULK_ID_A, 10, 1, 9,
        "asked.example"},
    {"unknown endpoint is none",
        "*2\r\n*3\r\n:0\r\n:9\r\n*3\r\n$1\r\n?\r\n:7000\r\n" BULK_ID_A
        "*3\r\n:10\r\n:19\r\n" NODE_B,
        20, 2, 0, ""},
    {"unknown endpoint without an id is left out",
        "*2\r\n*3\r\n:0\r\n:9\r\n*2\r\n$1\r\n?\r\n" PORT
        "*3\r\n:10\r\n:19\r\n" NODE_B,
        10, 1, 10, "10.0.0.2"},
    {"an announced address that is reached elsewhere",
        "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n$10\r\n172.19.0.3\r\n:"
        "6379\r\n" BULK_ID_A,
        10, 1, 9, "h"},
    {"an announced host, at another port",
        "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n$10\r\n172.19.0.3\r\n:"
        "6380\r\n" BULK_ID_A,
        10, 1, 9, "i"},
    {"an announced host, at a port that the map does not name",
        "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n$10\r\n172.19.0.3\r\n:"
        "6381\r\n" BULK_ID_A,
        10, 1, 9, "172.19.0.3"},
    {"IPv6",
        "*1\r\n*3\r\n:5\r\n:5\r\n*3\r\n$11\r\n2001:db8::1\r\n" PORT BULK_ID_A,
        1, 1, 5, "2001:db8::1"},
    {"metadata is passed over",
        "*1\r\n*3\r\n:0\r\n:0\r\n*4\r\n" HOST_1 PORT BULK_ID_A
        "*2\r\n$8\r\nhostname\r\n$6\r\nhost-1\r\n",
        1, 1, 0, "10.0.0.1"},
    {"elements from the future are passed over",
        "*1\r\n*4\r\n:0\r\n:0\r\n*5\r\n" HOST_1 PORT BULK_ID_A
        "*0\r\n:7\r\n+shard\r\n",
        1, 1, 0, "10.0.0.1"},
    {"no ids, as before Redis 4",
        "*2\r\n*3\r\n:0\r\n:0\r\n*2\r\n" HOST_1 PORT
        "*3\r\n:1\r\n:1\r\n*2\r\n" HOST_1 PORT,
        2, 1, 1, "10.0.0.1"},
    {"a hole", "*2\r\n*3\r\n:0\r\n:9\r\n" NODE_A "*3\r\n:20\r\n:29\r\n" NODE_B,
        20, 2, 29, "10.0.0.2"},
    {"of rows that overlap the first holds",
        "*2\r\n*3\r\n:0\r\n:9\r\n" NODE_A "*3\r\n:5\r\n:14\r\n" NODE_B, 15, 2,
        5, "10.0.0.1"},
    {"slot 16384 is none",
        "*2\r\n*3\r\n:0\r\n:16384\r\n" NODE_A "*3\r\n:3\r\n:3\r\n" NODE_B, 1, 1,
        3, "10.0.0.2"},
    {"negative and turned rows are none",
        "*3\r\n*3\r\n:-1\r\n:5\r\n" NODE_A "*3\r\n:9\r\n:8\r\n" NODE_A
        "*3\r\n:3\r\n:3\r\n" NODE_B,
        1, 1, 3, "10.0.0.2"},
    {"port 0 and port 65536 are none",
        "*3\r\n*3\r\n:0\r\n:5\r\n*3\r\n" HOST_1 ":0\r\n" BULK_ID_A
        "*3\r\n:0\r\n:5\r\n*3\r\n" HOST_1 ":65536\r\n" BULK_ID_A
        "*3\r\n:3\r\n:3\r\n" NODE_B,
        1, 1, 3, "10.0.0.2"},
    {"rows of another shape are none",
        "*6\r\n:1\r\n*0\r\n*2\r\n:0\r\n:1\r\n*3\r\n+a\r\n:1\r\n" NODE_A
        "*3\r\n:0\r\n:1\r\n:7\r\n*3\r\n:3\r\n:3\r\n" NODE_B,
        1, 1, 3, "10.0.0.2"},
    {"a host that is none",
        "*2\r\n*3\r\n:0\r\n:9\r\n*3\r\n$3\r\na\nb\r\n" PORT BULK_ID_A
        "*3\r\n:3\r\n:3\r\n" NODE_B,
        1, 1, 3, "10.0.0.2"},
    {"an id that is too long",
        "*2\r\n*3\r\n:0\r\n:9\r\n*3\r\n" HOST_1 PORT "$41\r\n" ID_A "a\r\n"
        "*3\r\n:3\r\n:3\r\n" NODE_B,
        1, 1, 3, "10.0.0.2"},
};

static void
slots_are_read_in_every_shape(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        struct topology *topology;
        uint16_t owner;

        assert_int_equal(read_topology(shapes[i].bytes, &topology), RC_OK);
        owner = topology->owner[shapes[i].slot];
        if (topology->covered != shapes[i].covered ||
            topology->nodes_len != shapes[i].nodes || owner == SLOT_NONE ||
            strcmp(topology->nodes[owner].host, shapes[i].host) != 0) {
            fail_msg("%s: %u slots, %u nodes", shapes[i].what,
                topology->covered, topology->nodes_len);
        }
        topology_free(&topology);
    }
}

static void
reply_that_is_no_list_is_bad_and_an_empty_one_covers_nothing(void **state)
{
    struct topology *topology;

    (void)state;
    assert_int_equal(read_topology("+OK\r\n", &topology), RC_BAD);
    topology_free(&topology);
    assert_int_equal(read_topology("$-1\r\n", &topology), RC_BAD);
    topology_free(&topology);
    assert_int_equal(read_topology("*0\r\n", &topology), RC_OK);
    assert_int_equal(topology->covered, 0);
    topology_free(&topology);
}

static void
nodes_beyond_the_limit_are_refused(void **state)
{
    struct topology *topology = topology_new();
    uint16_t index;
    char host[16];

    (void)state;
    for (int i = 0; i < TOPOLOGY_NODES_MAX; i++) {
        (void)snprintf(host, sizeof(host), "h%d", i);
        assert_int_equal(topology_add_node(topology, slice_of(NULL, 0),
                             slice_of_str(host), 1, &index),
            RC_OK);
    }
    assert_int_equal(topology_add_node(topology, slice_of(NULL, 0),
                         SLICE("one-more"), 1, &index),
        RC_LIMIT);
    topology_free(&topology);
}

/* All slots below `split` to a node, the rest to another. */
static struct topology *
make_topology(unsigned split, const char *low, const char *high)
{
    struct topology *topology = topology_new();
    uint16_t index;

    assert_int_equal(topology_add_node(topology, slice_of_str(low),
                         slice_of(low, 1), 1, &index),
        RC_OK);
    if (split > 0) {
        topology_give(topology, 0, split - 1, index);
    }
    assert_int_equal(topology_add_node(topology, slice_of_str(high),
                         slice_of(high, 1), 1, &index),
        RC_OK);
    topology_give(topology, split, SLOT_COUNT - 1, index);
    return topology;
}

static void
topologies_are_equal_only_slot_by_slot(void **state)
{
    struct topology *a = make_topology(100, ID_A, ID_B);
    struct topology *same = make_topology(100, ID_A, ID_B);
    struct topology *shifted = make_topology(101, ID_A, ID_B);
    struct topology *other = make_topology(100, ID_A, ID_C);

    (void)state;
    assert_true(topology_eq(a, same));
    assert_false(topology_eq(a, shifted));
    assert_false(topology_eq(a, other));
    topology_free(&a);
    topology_free(&same);
    topology_free(&shifted);
    topology_free(&other);
}

/* One slot to one node, described in full; SLOT_NONE: no slot at all. */
static struct topology *
make_small(uint16_t slot, const char *id, const char *host, uint16_t port)
{
    struct topology *topology = topology_new();
    uint16_t index;

    assert_int_equal(topology_add_node(topology, slice_of_str(id),
                         slice_of_str(host), port, &index),
        RC_OK);
    if (slot != SLOT_NONE) {
        topology_give(topology, slot, slot, index);
    }
    return topology;
}

static void
topologies_that_differ_one_way_only_differ(void **state)
{
    static const struct {
        uint16_t slot;
        const char *id;
        const char *host;
        uint16_t port;
    } others[] = {
        {SLOT_NONE, ID_A, "a", 1}, /* the slot has no owner */
        {8, ID_A, "a", 1},
        {7, ID_B, "a", 1},
        {7, ID_A, "b", 1},
        {7, ID_A, "a", 2},
    };
    struct topology *a = make_small(7, ID_A, "a", 1);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct topology *b = make_small(
            others[i].slot, others[i].id, others[i].host, others[i].port);

        assert_false(topology_eq(a, b));
        assert_false(topology_eq(b, a));
        topology_free(&b);
    }
    topology_free(&a);
}

static enum rc
settle(struct topology *out, struct topology *const all[], unsigned len,
    const struct topology *base)
{
    const struct topology_views views = {.all = all, .len = len, .base = base};

    return topology_settle(out, &views);
}

static void
higher_config_epoch_wins_slot_by_slot(void **state)
{
    /* An isolated node still believes that A owns all but the last slot; C
       has replaced A since. */
    struct topology *old = make_topology(SLOT_COUNT - 1, ID_A, ID_B);
    struct topology *new = make_topology(SLOT_COUNT - 1, ID_C, ID_B);
    struct topology *const topologies[] = {old, new};
    struct topology *out = topology_new();

    (void)state;
    topology_read_nodes(old,
        SLICE(ID_A " 10.0.0.1:6379@16379 myself,master - 0 0 5 connected "
                   "0-16382\n" ID_B
                   " 10.0.0.2:6379@16379,host master - 0 1 2 connected 16383\n"
                   "nonsense\n\n" ID_B " too short\n"),
        SLICE("asked"), 1);
    topology_read_nodes(new,
        SLICE(
            ID_C " 10.0.0.3:6379@16379 master - 0 0 6 connected 0-16382\n" ID_B
                 " 10.0.0.2:6379@16379 master - 0 1 2 connected 16383"),
        SLICE("asked"), 1);
    assert_int_equal(old->nodes[0].epoch, 5);
    assert_int_equal(old->nodes[1].epoch, 2);
    assert_int_equal(settle(out, topologies, 2, NULL), RC_OK);
    assert_int_equal(out->covered, SLOT_COUNT);
    assert_string_equal(out->nodes[out->owner[0]].id, ID_C);
    assert_string_equal(out->nodes[out->owner[SLOT_COUNT - 1]].id, ID_B);
    topology_free(&old);
    topology_free(&new);
    topology_free(&out);
}

static void
settled_topology_takes_what_only_one_knows(void **state)
{
    struct topology *a = topology_new();
    struct topology *b = topology_new();
    struct topology *const topologies[] = {a, b};
    struct topology *out = topology_new();
    uint16_t index;

    (void)state;
    assert_int_equal(
        topology_add_node(a, SLICE(ID_A), SLICE("a"), 1, &index), RC_OK);
    topology_give(a, 0, 9, index);
    assert_int_equal(
        topology_add_node(b, SLICE(ID_B), SLICE("b"), 1, &index), RC_OK);
    topology_give(b, 5, 14, index);
    assert_int_equal(settle(out, topologies, 2, NULL), RC_OK);
    assert_int_equal(out->covered, 15);
    /* Equal epochs: the earlier topology's. */
    assert_string_equal(out->nodes[out->owner[5]].id, ID_A);
    assert_string_equal(out->nodes[out->owner[14]].id, ID_B);
    topology_free(&a);
    topology_free(&b);
    topology_free(&out);
}

/* ---- where a node is ---------------------------------------------------- */

/* What node `self` says: A has all slots and is at that address; "": nobody
   knows where. */
static struct topology *
make_told(const char *self, const char *host, uint16_t port)
{
    struct topology *topology = topology_new();
    char text[512];
    uint16_t index;

    assert_int_equal(topology_add_node(topology, SLICE(ID_A),
                         slice_of_str(host), port, &index),
        RC_OK);
    topology_give(topology, 0, SLOT_COUNT - 1, index);
    snprintf(text, sizeof(text),
        ID_A " a:1@2 %smaster - 0 0 7 connected 0-16383\n" ID_B
             " b:1@2 %sslave " ID_A " 0 0 7 connected\n" ID_C
             " c:1@2 %sslave " ID_A " 0 0 7 connected\n",
        strcmp(self, ID_A) == 0 ? "myself," : "",
        strcmp(self, ID_B) == 0 ? "myself," : "",
        strcmp(self, ID_C) == 0 ? "myself," : "");
    topology_read_nodes(topology, slice_of_str(text), SLICE("asked"), 99);
    assert_string_equal(topology->self, self);
    assert_int_equal(topology->members_len, 3);
    return topology;
}

static const struct {
    const char *what;
    struct {
        const char *self;
        const char *host;
    } told[3];
    const char *base; /* NULL: none yet */
    bool is_base_down;
    const char *host;
    const char *other; /* "": there is no dispute */
} addresses[] = {
    {"all agree", {{ID_A, "a"}, {ID_B, "a"}}, NULL, false, "a", ""},
    {"it says its old address of itself", {{ID_A, "old"}, {ID_B, "new"}}, NULL,
        false, "new", "old"},
    {"whatever the order", {{ID_B, "new"}, {ID_A, "old"}}, NULL, false, "new",
        "old"},
    {"and whatever was believed before", {{ID_A, "old"}, {ID_B, "new"}}, "old",
        false, "new", "old"},
    {"most of the others have it", {{ID_B, "old"}, {ID_C, "new"}, {"", "new"}},
        NULL, false, "new", "old"},
    {"it is asked alone, and the one that was settled still works",
        {{ID_A, "old"}}, "new", false, "new", "old"},
    {"it is asked alone, and the one that was settled is dead",
        {{ID_A, "moved"}}, "old", true, "moved", ""},
    {"others who differ: where it was", {{ID_B, "x"}, {ID_C, "y"}}, "y", false,
        "y", "x"},
    {"an unknown address is the one of who knows it", {{ID_B, ""}, {ID_C, "a"}},
        NULL, false, "a", ""},
    {"or where the node itself was asked", {{ID_A, ""}, {ID_B, ""}}, NULL,
        false, "asked", ""},
    {"or where it was", {{ID_B, ""}}, "a", false, "a", ""},
};

static void
address_of_a_node_is_what_others_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        struct topology *all[3];
        struct topology *out = topology_new();
        struct topology *base = NULL;
        const bool is_down[] = {addresses[i].is_base_down};
        struct topology_views views = {.all = all, .base_is_down = is_down};

        while (views.len < 3 && addresses[i].told[views.len].self != NULL) {
            all[views.len] = make_told(addresses[i].told[views.len].self,
                addresses[i].told[views.len].host, 1);
            views.len++;
        }
        if (addresses[i].base != NULL) {
            base = make_told("", addresses[i].base, 1);
        }
        views.base = base;
        assert_int_equal(topology_settle(out, &views), RC_OK);
        if (out->covered != SLOT_COUNT || out->nodes_len != 1 ||
            strcmp(out->nodes[0].host, addresses[i].host) != 0 ||
            strcmp(out->nodes[0].other_host, addresses[i].other) != 0) {
            fail_msg("%s: '%s', not '%s'", addresses[i].what,
                out->nodes[0].host, out->nodes[0].other_host);
        }
        assert_int_equal(out->members_len, 3);
        for (unsigned j = 0; j < views.len; j++) {
            topology_free(&all[j]);
        }
        topology_free(&base);
        topology_free(&out);
    }
}

static void
slots_of_a_node_that_nobody_can_find_have_no_owner(void **state)
{
    struct topology *told = make_told(ID_B, "", 1);
    struct topology *out = topology_new();

    (void)state;
    assert_true(topology_has_unknown(told));
    assert_int_equal(settle(out, &told, 1, NULL), RC_OK);
    assert_int_equal(out->covered, 0);
    assert_int_equal(out->nodes_len, 0);
    assert_false(topology_has_unknown(out));
    topology_free(&told);
    topology_free(&out);
}

static void
nodes_of_one_cluster_are_kin(void **state)
{
    struct topology *a = make_told(ID_A, "a", 1);
    struct topology *b = make_told(ID_B, "b", 1);
    struct topology *other = topology_new();
    struct topology *nameless = topology_of_one(SLICE("h"), 1);

    (void)state;
    assert_true(topology_is_kin(a, b));
    assert_false(topology_is_kin(a, other));
    assert_false(topology_is_kin(nameless, a));
    assert_true(topology_is_kin(nameless, other));
    topology_read_nodes(other,
        SLICE("dddddddddddddddddddddddddddddddddddddddd d:1@2 "
              "myself,master - 0 0 1 connected 0-16383\n"),
        SLICE("asked"), 1);
    assert_int_equal(other->members_len, 1);
    assert_false(topology_is_kin(a, other));
    assert_false(topology_is_kin(other, nameless));
    topology_add_members(other, a);
    assert_int_equal(other->members_len, 4);
    topology_add_members(other, b);
    assert_int_equal(other->members_len, 4);
    assert_true(topology_is_kin(b, other));
    topology_free(&a);
    topology_free(&b);
    topology_free(&other);
    topology_free(&nameless);
}

/* A replica that is a primary somewhere else tells that both are one. */
static void
replicas_are_members_too(void **state)
{
    struct topology *a;
    struct topology *b;

    (void)state;
    assert_int_equal(
        read_topology("*1\r\n*4\r\n:0\r\n:16383\r\n" NODE_A NODE_B, &a), RC_OK);
    assert_int_equal(
        read_topology("*1\r\n*3\r\n:0\r\n:16383\r\n" NODE_B, &b), RC_OK);
    assert_int_equal(a->nodes_len, 1);
    assert_int_equal(a->members_len, 2);
    assert_true(topology_is_kin(a, b));
    topology_free(&a);
    topology_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_are_read_in_every_shape),
        cmocka_unit_test(
            reply_that_is_no_list_is_bad_and_an_empty_one_covers_nothing),
        cmocka_unit_test(nodes_beyond_the_limit_are_refused),
        cmocka_unit_test(topologies_are_equal_only_slot_by_slot),
        cmocka_unit_test(topologies_that_differ_one_way_only_differ),
        cmocka_unit_test(higher_config_epoch_wins_slot_by_slot),
        cmocka_unit_test(settled_topology_takes_what_only_one_knows),
        cmocka_unit_test(address_of_a_node_is_what_others_say),
        cmocka_unit_test(slots_of_a_node_that_nobody_can_find_have_no_owner),
        cmocka_unit_test(nodes_of_one_cluster_are_kin),
        cmocka_unit_test(replicas_are_members_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
