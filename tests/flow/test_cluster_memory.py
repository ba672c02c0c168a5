# ctest: cost=15
"""Two daemons on a cluster, each with memory beside Redis: what memory answers,
and when it does no longer."""

import json
import time
import unittest

from lib import Nearside, SampleOrigin, wait_until
from lib.products import ClusterTest, conf_for, key_of, product, use_cluster

# What one daemon writes the other one may serve for so long.
BOUND_S = 2.0

CONF = conf_for(
    "seeds = { %(seeds)s }  command_timeout = 2s  hang = 4s",
    "limits { connections_per_ip = 0  requests_per_connection = 0 }",
    'memory = %(memory)s %(route)s', "16MB")
MEMORY = r"^nearside; hit; ttl=\d+; detail=memory$"
SHARED = r"^nearside; hit; ttl=\d+; detail=shared$"


def setUpModule():
    use_cluster()


class Memory(ClusterTest):
    def setUp(self):
        super().setUp()
        self.origin = self.use(SampleOrigin(products=1000))

    def daemon(self, name="nearside", memory="on", route=""):
        daemon = self.use(Nearside(CONF % {
            "seeds": self.cluster.seeds, "origin": self.origin.url,
            "memory": memory, "route": route}, name=name))
        daemon.wait_log("redis_map")
        return daemon

    def put(self, daemon, target, name):
        body = json.dumps({"name": name, "price": 100}).encode()
        self.assertEqual(
            daemon.get(target, method="PUT", body=body).status, 200)

    def wait_memory(self, daemon, target):
        """Until memory answers; the answer."""
        last = []

        def is_in_memory():
            last[:] = [daemon.get(target)]
            self.assertEqual(last[0].status, 200)
            return last[0].cache_status.endswith("detail=memory")
        wait_until(is_in_memory, what=f"{target} is in memory", every=0.005)
        return last[0]

    def wait_not_in_memory(self, daemon, target):
        def is_not():
            answer = daemon.get(target)
            self.assertEqual(answer.status, 200)
            return not answer.cache_status.endswith("detail=memory")
        wait_until(is_not, what=f"{target} is not in memory", every=0.005)

    def origin_gets(self):
        return self.origin.stats()["methods"]["GET"]


class Tiers(Memory):
    def test_a_miss_then_hits_in_redis_and_then_in_memory(self):
        a, b = self.daemon("a"), self.daemon("b")
        self.assertEqual(a.get("/products/1").cache_status,
                         "nearside; fwd=uri-miss; stored")
        wait_until(lambda: self.cluster("EXISTS", key_of("/products/1")) == 1)
        self.assertRegex(b.get("/products/1").cache_status, SHARED)
        for daemon in (a, b):
            got = self.wait_memory(daemon, "/products/1")
            self.assertRegex(got.cache_status, MEMORY)
            self.assertEqual(got.body, product(1))
            self.assertGreater(daemon.metric(
                "nearside_request_seconds_count", route="/products/:id",
                tier="memory"), 0)
            # What is told late of the store itself may take it out again.
            wait_until(lambda d=daemon: d.get("/products/1") and
                       d.metric("nearside_memory_entries") == 1)
        self.assertEqual(self.origin_gets(), 1)

    def test_a_route_that_is_kept_out_of_memory_sees_each_write_at_once(self):
        a, b = self.daemon("a", "off"), self.daemon("b", "off")
        b.get("/products/1")
        self.wait_hit(b, "/products/1")
        for i in range(30):
            self.put(a, "/products/1", f"name {i}")
            for daemon in (b, a):
                self.assertEqual(daemon.get("/products/1").body,
                                 product(1, f"name {i}"))
            self.wait_hit(b, "/products/1")
        for daemon in (a, b):
            self.assertEqual(daemon.metric("nearside_memory_entries"), 0)


class Coherence(Memory):
    def assert_new_in_time(self, daemon, target, new):
        """What is asked for after the bound is new; what was new stays so."""
        begin = time.monotonic()
        was_new = 0
        while was_new < 5:
            asked = time.monotonic() - begin
            is_new = daemon.get(target).body == new
            self.assertTrue(is_new or asked < BOUND_S,
                            f"old, asked for after {asked:.3f} s")
            self.assertTrue(is_new or not was_new, "old after new")
            was_new += is_new

    def test_what_one_writes_the_other_reads_within_the_bound(self):
        a, b = self.daemon("a"), self.daemon("b")
        for i in range(20):
            target = f"/products/{i % 4 + 1}"
            self.wait_memory(a, target)
            self.wait_memory(b, target)
            new = product(i % 4 + 1, f"name {i}")
            self.put(a, target, f"name {i}")
            self.assertEqual(a.get(target).body, new)
            self.assert_new_in_time(b, target, new)
        self.assertGreater(b.metric("nearside_memory_deletions_total"), 0)

    def test_who_is_silent_is_not_read_from_memory(self):
        a = self.daemon("a")
        self.wait_memory(a, "/products/1")
        owner, _ = self.two_primaries("/products/1")
        owner.pause()
        self.addCleanup(owner.resume)
        self.wait_not_in_memory(a, "/products/1")
        owner.resume()
        self.cluster.wait_ok()
        self.assertEqual(self.wait_memory(a, "/products/1").body, product(1))

    def test_a_link_that_is_cut_is_not_relied_on(self):
        a, b = self.daemon("a"), self.daemon("b")
        for i in range(5):
            self.wait_memory(b, "/products/1")
            owner, _ = self.two_primaries("/products/1")
            owner("CLIENT", "KILL", "TYPE", "pubsub")
            self.put(a, "/products/1", f"name {i}")
            self.assert_new_in_time(
                b, "/products/1", product(1, f"name {i}"))
        b.wait_metric("nearside_redis_links_lost_total", 1)

    def test_a_server_that_is_emptied_empties_memory(self):
        a = self.daemon("a")
        for n in range(1, 9):
            self.wait_memory(a, f"/products/{n}")
        before = self.origin_gets()
        self.cluster.flush()
        for n in range(1, 9):
            self.wait_not_in_memory(a, f"/products/{n}")
        wait_until(lambda: [a.get(f"/products/{n}") for n in range(1, 9)] and
                   self.origin_gets() >= before + 8,
                   what="each is fetched again")


class Down(Memory):
    """Redis has stopped."""

    def given(self, route):
        a = self.daemon(route=route)
        got = self.wait_memory(a, "/products/1")
        for node in self.cluster.nodes:
            node.pause()
            self.addCleanup(node.resume)
        return a, got

    def get(self, daemon, target="/products/1"):
        """What is answered once memory is not vouched for any more."""
        def is_over():
            got[:] = [daemon.get(target)]
            return not got[0].cache_status.endswith("detail=memory")
        got = []
        wait_until(is_over, what="memory is not vouched for", every=0.01)
        return got[0]

    def test_what_memory_has_answers_where_the_route_says_so(self):
        a, of = self.given("redis_down = stale  redis_down_max = 1h")
        before = self.origin_gets()
        for _ in range(3):
            got = self.get(a)
            self.assertRegex(got.cache_status,
                             r"^nearside; hit; ttl=\d+; detail=unverified$")
            self.assertEqual(got.body, of.body)
        self.assertEqual(self.origin_gets(), before)
        self.assertEqual(a.get("/products/2").body, product(2))

    def test_not_what_a_write_of_ones_own_has_changed(self):
        a, _ = self.given("redis_down = stale  redis_down_max = 1h")
        self.put(a, "/products/1", "new")
        self.assertEqual(a.get("/products/1").body, product(1, "new"))

    def assert_without_the_api(self, route, statuses):
        a, of = self.given(route)
        self.origin.kill()

        def is_over():
            got[:] = [a.get("/products/1")]
            return not got[0].cache_status.endswith(
                ("detail=memory", "detail=unverified"))
        got = []
        wait_until(is_over, what="memory may not answer", every=0.01)
        got.append(a.get("/products/1", fields={"Range": "bytes=0-1"}))
        self.assertEqual([answer.status for answer in got], statuses)
        if statuses[0] == 200:
            self.assertIn("stale-if-error", got[0].cache_status)
            self.assertEqual(got[0].body, of.body)

    def test_it_does_not_stand_in_for_the_api_unasked(self):
        self.assert_without_the_api("", [502, 502])

    def test_it_stands_in_for_the_api_where_what_is_past_its_time_may(self):
        self.assert_without_the_api("grace = 1m", [200, 206])

    def test_a_read_is_refused_where_the_route_says_so(self):
        a, _ = self.given("redis_down = refuse")
        wait_until(lambda: self.get(a).status == 503)
        for fields in (None, {"Range": "bytes=0-1"}):
            got = a.get("/products/2", fields=fields)
            self.assertEqual(got.status, 503)
            self.assertIsNotNone(got.field("Retry-After"))
            self.assertIn(b"redis-down", got.body)


if __name__ == "__main__":
    unittest.main()
