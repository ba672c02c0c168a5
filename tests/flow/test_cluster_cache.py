# ctest: jobs=2 cost=20
"""Daemons on a six-node cluster: what they share, and slots on the move."""

import json
import os
import subprocess
import threading
import time
import unittest

from lib import (Nearside, RedisError, RedisServer, SampleOrigin, free_port,
                 free_ports, slot_of, wait_until)
from lib.load import Load, ask_at_once
from lib.products import (ClusterTest, conf_of_cluster, judge_product, key_of,
                          lease_of, product, use_cluster)

# What is shown here is what is answered; how soon, in test_cluster_faults.
# With the default of 50 ms a busy machine would miss now and then.
CONF = conf_of_cluster("command_timeout = %(patience)s")


def command_of_readme(first_line):
    """The indented block of README.md that begins so."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "..", "..", "README.md")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    block = text[text.index("\n    " + first_line):].lstrip("\n")
    return block[:block.index("\n\n")]


def setUpModule():
    use_cluster()


class OnACluster(ClusterTest):
    """One cluster for all, emptied before each test; a new origin each."""

    patience = "400ms"

    def setUp(self):
        super().setUp()
        self.origin = self.use(SampleOrigin(products=1000))

    def tearDown(self):
        for key in self.cluster.keys():
            try:
                left = self.cluster("PTTL", key)
            except RedisError:
                continue  # its slot is on the move
            self.assertNotEqual(left, -1, f"{key} would never expire")

    def daemon(self, name="nearside"):
        daemon = self.use(Nearside(CONF % {
            "seeds": self.cluster.seeds, "origin": self.origin.url,
            "patience": self.patience}, name=name))
        # Until it knows the cluster it stores nothing.
        daemon.wait_log("redis_map")
        return daemon

    def origin_gets(self):
        return self.origin.stats()["methods"]["GET"]

    def put(self, daemon, n, name):
        body = json.dumps({"name": name, "price": 100}).encode()
        answer = daemon.get(f"/products/{n}", method="PUT", body=body)
        self.assertEqual(answer.status, 200)

    def assert_hit(self, answer):
        self.assertEqual(answer.status, 200)
        self.assertRegex(answer.cache_status, r"^nearside; hit; ttl=\d+; "
                                              r"detail=shared$")

    def assert_stored_miss(self, answer):
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.cache_status,
                         "nearside; fwd=uri-miss; stored")

    def wait_stored(self, target):
        wait_until(lambda: self.cluster("EXISTS", key_of(target)) == 1,
                   what=f"{target} is stored")


class Sharing(OnACluster):
    def test_the_first_is_a_miss_and_the_second_a_hit(self):
        a = self.daemon()
        self.assert_stored_miss(a.get("/products/42"))
        self.wait_stored("/products/42")
        answer = a.get("/products/42")
        self.assert_hit(answer)
        self.assertEqual(answer.body, product(42))
        self.assertEqual(answer.field("Age"), "0")
        self.assertEqual(self.origin_gets(), 1)
        self.assertEqual(a.metric("nearside_requests_total", result="hit"), 1)
        self.assertEqual(a.metric("nearside_requests_total", result="miss"), 1)
        self.assertEqual(a.metric("nearside_stores_total"), 1)

    def test_a_hit_survives_a_restart_of_the_daemon(self):
        a = self.daemon()
        a.get("/products/42")
        self.wait_stored("/products/42")
        a.stop()
        a.start()
        a.wait_log("redis_map")
        self.assert_hit(a.get("/products/42"))
        self.assertEqual(self.origin_gets(), 1)

    def test_two_daemons_share_one_hit(self):
        a, b = self.daemon("a"), self.daemon("b")
        a.get("/products/42")
        self.wait_stored("/products/42")
        self.assert_hit(b.get("/products/42"))
        self.assertEqual(self.origin_gets(), 1)

    def test_keys_are_spread_over_all_primaries(self):
        a = self.daemon()
        with a.connect() as client:
            for n in range(1, 61):
                client.request("GET", f"/products/{n}")
                self.assertEqual(client.read_response().status, 200)
        a.wait_metric("nearside_stores_total", 60)
        sizes = [node("DBSIZE") for node in self.cluster.primaries()]
        self.assertEqual(len(sizes), 3)
        self.assertEqual(sum(sizes), 60)
        # README's command lists them all, and not those of one node.
        command = command_of_readme("redis-cli -p 7000 cluster nodes").replace(
            "-p 7000", f"-p {self.cluster.nodes[0].port}")
        said = subprocess.run(["bash", "-c", command], check=True, timeout=20,
                              stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE).stdout.split()
        self.assertEqual(sorted(said), sorted(
            key_of(f"/products/{n}") for n in range(1, 61)))
        self.assertGreater(min(sizes), 5, sizes)
        status = a.status()["redis"]
        self.assertTrue(status["up"])
        self.assertEqual(status["slots_known"], 16384)
        self.assertEqual(
            sorted(node["address"] for node in status["nodes"]),
            sorted(node.address for node in self.cluster.primaries()))
        self.assertTrue(all(node["reachable"] for node in status["nodes"]))

    def test_redis_cli_shows_readable_keys_with_a_ttl(self):
        a = self.daemon()
        a.get("/products/42?currency=EUR")
        target = "/products/42?currency=EUR"
        self.wait_stored(target)
        owner = self.cluster.owner_of(key_of(target))

        def cli(*args):
            return subprocess.run(
                ["redis-cli", "-p", str(owner.port), *args], check=True,
                stdout=subprocess.PIPE, text=True, timeout=10).stdout.strip()

        self.assertEqual(cli("--scan", "--pattern", "ns:*"), key_of(target))
        left = int(cli("pttl", key_of(target)))
        # 10 minutes, less jitter of up to a tenth
        self.assertGreater(left, 530_000)
        self.assertLessEqual(left, 600_000)

    def test_an_entry_is_gone_from_redis_when_its_time_is_over(self):
        # Not 1 s: a Date of whole seconds may be that old when it comes.
        self.origin.control(cache_control="max-age=2")
        a = self.daemon()
        self.assert_stored_miss(a.get("/products/42"))
        self.wait_stored("/products/42")
        left = self.cluster("PTTL", key_of("/products/42"))
        self.assertLessEqual(left, 2000)
        wait_until(lambda: not self.cluster("EXISTS", key_of("/products/42")),
                   what="the entry expires")
        self.assert_stored_miss(a.get("/products/42"))
        self.assertEqual(self.origin_gets(), 2)


class Writes(OnACluster):
    def test_a_write_through_one_daemon_is_fresh_on_the_other(self):
        a, b = self.daemon("a"), self.daemon("b")
        for turn in range(20):
            name = f"Turn {turn}"
            self.put(a, 42, name)
            for daemon in (b, a, b):
                self.assertEqual(daemon.get("/products/42").body,
                                 product(42, name))
        self.assertEqual(a.metric("nearside_invalidations_total"), 20)

    def test_a_fetch_begun_before_a_write_never_stores_after_it(self):
        a, b = self.daemon("a"), self.daemon("b")
        self.origin.control(hold="GET")
        late = []
        reader = threading.Thread(
            target=lambda: late.append(a.get("/products/7")))
        reader.start()
        wait_until(lambda: self.origin.stats()["held"] == 1,
                   what="the origin holds an answer it has already read")
        self.assertEqual(self.cluster("EXISTS", lease_of("/products/7")), 1)
        self.put(b, 7, "Newer")
        self.assertEqual(self.cluster("EXISTS", lease_of("/products/7")), 0)
        self.origin.control(hold="")
        reader.join()
        # The reader began before the write, so the old answer is its due.
        self.assertEqual(late[0].body, product(7))
        for daemon in (a, b, a):
            self.assertEqual(daemon.get("/products/7").body,
                             product(7, "Newer"))

    def test_readers_never_see_less_than_the_newest_write(self):
        a, b = self.daemon("a"), self.daemon("b")
        newest = [0]
        wrong = []
        is_over = threading.Event()

        def read(daemon):
            with daemon.connect() as client:
                while not is_over.is_set():
                    least = newest[0]
                    client.request("GET", "/products/9")
                    body = client.read_response().body
                    if int(json.loads(body)["price"]) < least:
                        wrong.append((least, body))

        self.put(a, 9, "n")
        body = json.dumps({"name": "n", "price": 0}).encode()
        a.get("/products/9", method="PUT", body=body)
        threads = [threading.Thread(target=read, args=(daemon,))
                   for daemon in (a, b) * 3]
        for thread in threads:
            thread.start()
        try:
            for version in range(1, 151):
                body = json.dumps({"name": "n", "price": version}).encode()
                answer = (a, b)[version % 2].get(
                    "/products/9", method="PUT", body=body)
                self.assertEqual(answer.status, 200)
                newest[0] = version
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])


class Herd(OnACluster):
    # Who is told nothing in time asks the origin for itself.
    patience = "2s  hang = 4s"

    def test_a_cold_key_reaches_the_origin_once_from_a_whole_fleet(self):
        clients = 10000 if os.environ.get("NEARSIDE_LONG") else 400
        fleet = [self.daemon(f"fleet-{i}") for i in range(4)]
        self.origin.control(latency_ms=300)
        answers = ask_at_once([daemon.port for daemon in fleet],
                              "/products/13", clients)
        self.assertEqual(
            [a for a in answers if a.status != 200 or a.body != product(13)],
            [])
        self.assertEqual(len(answers), clients)
        self.assertEqual(self.origin_gets(), 1)

    def test_after_flushall_each_key_is_fetched_once_in_the_fleet(self):
        fleet = [self.daemon(f"fleet-{i}") for i in range(2)]
        targets = [f"/products/{n}" for n in range(1, 41)]
        with Load([daemon.port for daemon in fleet], targets, 100,
                  judge=judge_product) as load:
            load.wait_hits(targets)
            self.assertEqual(self.origin_gets(), len(targets))
            self.cluster.flush()
            load.wait_more(1, accept=lambda a: not a.is_hit, what="misses")
            load.wait_hits(targets)
        load.check()
        self.assertEqual(self.origin_gets(), 2 * len(targets))


    def test_a_fetch_longer_than_its_lease_is_still_the_only_one(self):
        fleet = [self.daemon(f"fleet-{i}") for i in range(2)]
        # A lease lasts 3 s, unless it is renewed.
        self.origin.control(latency_ms=3600)
        answers = ask_at_once([daemon.port for daemon in fleet],
                              "/products/14", 20)
        self.assertEqual(
            [a for a in answers if a.status != 200 or a.body != product(14)],
            [])
        self.assertEqual(self.origin_gets(), 1)

    def test_the_lease_of_a_daemon_that_was_killed_runs_out(self):
        a, b = self.daemon("a"), self.daemon("b")
        self.origin.control(hold="GET")
        with a.connect() as client:
            client.request("GET", "/products/15")
            wait_until(lambda: self.origin.stats()["held"] == 1,
                       what="the origin has the request")
            a.kill()
        self.origin.control(hold="")
        answer = b.get("/products/15")
        self.assertEqual(answer.body, product(15))
        self.assertNotIn("flight_wait", answer.cache_status)
        self.wait_stored("/products/15")
        self.assert_hit(b.get("/products/15"))


class Seeds(OnACluster):
    """Wherever it begins, it finds the cluster."""

    def assert_serves(self, *seeds):
        daemon = self.use(Nearside(CONF % {
            "seeds": ", ".join(f'"{seed}"' for seed in seeds),
            "origin": self.origin.url, "patience": self.patience}))
        for n in (1, 2, 3, 4):
            wait_until(lambda: "; hit" in daemon.get(
                f"/products/{n}").cache_status, what=f"a hit of {n}")
        self.assertEqual(daemon.status()["redis"]["slots_known"], 16384)

    def test_a_dead_seed_and_one_without_a_name_before_a_good_one(self):
        self.assert_serves(f"127.0.0.1:{free_port()}", "nowhere.invalid:7000",
                           self.cluster.nodes[0].address)

    def test_a_seed_by_name(self):
        self.assert_serves(f"localhost:{self.cluster.nodes[4].port}")

    def test_a_node_that_belongs_to_no_cluster_yet_is_not_believed(self):
        alone = self.use(RedisServer(
            {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf"},
            free_ports(1, bus=True)[0]))
        self.assert_serves(alone.address, self.cluster.nodes[1].address)


class Migration(OnACluster):
    """Last by name, and each test puts its slots back."""

    @staticmethod
    def keys_in(slot, node):
        return node("CLUSTER", "GETKEYSINSLOT", slot, 10)

    def asks(self, daemon):
        return daemon.metric("nearside_redis_error_replies_total", cause="ask")

    def test_what_has_moved_ahead_of_its_slot_waits_for_the_slot(self):
        """The importing node may have it from a migration that was given up,
        and no deletion since would have reached it."""
        a = self.daemon()
        a.get("/products/42")
        self.wait_stored("/products/42")
        slot = slot_of(key_of("/products/42"))
        owner, other = self.two_primaries("/products/42")
        self.cluster.migration_start(slot, other)
        self.addCleanup(self.migrate_back, slot, owner)
        self.assert_hit(a.get("/products/42"))
        self.assertEqual(self.asks(a), 0)
        self.assertEqual(
            self.cluster.migration_move_keys(slot, owner, other), 1)
        for _ in range(5):
            answer = a.get("/products/42")
            self.assertEqual(answer.body, product(42))
            self.assertEqual(answer.cache_status,
                             "nearside; fwd=uri-miss; detail=slot-moving")
        self.assertGreaterEqual(self.asks(a), 5)
        # ASK teaches nothing: no patch of the map, no refresh.
        self.assertEqual(a.metric("nearside_redis_refreshes_total",
                                  cause="moved"), 0)
        self.cluster.migration_end(slot, other)
        began = time.monotonic()
        self.assertEqual(a.get("/products/42").cache_status,
                         "nearside; fwd=uri-miss; detail=slot-changed")
        gets = self.origin_gets()
        self.wait_hit(a, "/products/42")
        self.assertGreater(time.monotonic() - began, 2.5)
        self.assertLess(time.monotonic() - began, 8)
        self.assertGreater(self.origin_gets(), gets)
        # Each worker learns by a MOVED of its own, or by the next map.
        self.assertIn(a.metric("nearside_redis_error_replies_total",
                               cause="moved"), (1, 2))

    def test_a_miss_in_a_slot_on_the_move_holds_nobody_up(self):
        a = self.daemon()
        slot = slot_of(key_of("/products/43"))
        owner, other = self.two_primaries("/products/43")
        self.cluster.migration_start(slot, other)
        self.addCleanup(self.migrate_back, slot, owner)
        # What would be stored could not be read: no lease, nothing stored.
        for turn in range(1, 4):
            answer = a.get("/products/43")
            self.assertEqual(answer.body, product(43))
            self.assertEqual(answer.cache_status,
                             "nearside; fwd=uri-miss; detail=slot-moving")
            self.assertEqual(self.origin_gets(), turn)
            self.assertEqual(other("DBSIZE"), 0)
        self.cluster.migration_end(slot, other)
        wait_until(lambda: "; stored" in a.get("/products/43").cache_status,
                   10, "the window is over", 0.05)
        self.wait_stored("/products/43")
        self.assert_hit(a.get("/products/43"))

    def test_a_write_in_a_slot_on_the_move_is_fresh_at_once(self):
        a, b = self.daemon("a"), self.daemon("b")
        a.get("/products/44")
        self.wait_stored("/products/44")
        slot = slot_of(key_of("/products/44"))
        owner, other = self.two_primaries("/products/44")
        self.cluster.migration_start(slot, other)
        self.addCleanup(self.migrate_back, slot, owner)
        # The entry is still with the old owner and its lease, which is not
        # there, would be with the new one: DEL of both is refused.
        self.put(a, 44, "Moved")
        for daemon in (b, a):
            self.assertEqual(daemon.get("/products/44").body,
                             product(44, "Moved"))

    def test_a_write_in_a_slot_on_the_move_waits_for_no_dead_node(self):
        """The lease would be with the new owner, which does not answer. The
        entry is with the old one, which does."""
        a, b = self.daemon("a"), self.daemon("b")
        a.get("/products/46")
        self.wait_stored("/products/46")
        slot = slot_of(key_of("/products/46"))
        owner, other = self.two_primaries("/products/46")
        self.cluster.migration_start(slot, other)
        self.addCleanup(self.migrate_back, slot, owner)
        other.pause()
        try:
            self.put(a, 46, "Newer")
            wait_until(lambda: self.keys_in(slot, owner) == [], 1,
                       "the entry is deleted")
            for daemon in (b, a):
                self.assertEqual(daemon.get("/products/46").body,
                                 product(46, "Newer"))
        finally:
            other.resume()
        self.assertEqual(
            a.metric("nearside_invalidations_failed_total"), 0)
        a.stop()  # the rest is done then
        self.assertNotIn("invalidation_lost", a.log())

    def test_a_fetch_whose_lease_alone_has_moved_stores_nothing_old(self):
        """The write cannot delete entry and lease together: neither owner has
        both. The lease must go all the same, or the fetch would store what
        was before, as soon as the slot has moved."""
        a, b = self.daemon("a"), self.daemon("b")
        slot = slot_of(key_of("/products/45"))
        lease = lease_of("/products/45").encode()
        owner, other = self.two_primaries("/products/45")
        self.origin.control(hold="GET")
        with a.connect() as client:
            client.request("GET", "/products/45")
            wait_until(lambda: self.origin.stats()["held"] == 1,
                       what="the origin holds what was before")
            self.cluster.migration_start(slot, other)
            self.addCleanup(self.migrate_back, slot, owner)
            self.assertEqual(
                self.cluster.migration_move_keys(slot, owner, other), 1)
            self.assertEqual(self.keys_in(slot, other), [lease])
            self.put(b, 45, "Newer")
            # The first attempt may have failed when the client is answered.
            wait_until(lambda: self.keys_in(slot, other) == [],
                       what="the lease is gone")
            self.cluster.migration_end(slot, other)
            self.origin.control(hold="")
            self.assertEqual(client.read_response().body, product(45))
        a.stop()  # what it still does in Redis is done then
        self.assertEqual(self.keys_in(slot, other), [])
        self.assertEqual(b.get("/products/45").body, product(45, "Newer"))

    @staticmethod
    def slots_of(node, daemon):
        return next(n["slots"] for n in daemon.status()["redis"]["nodes"]
                    if n["address"] == node.address)

    def test_a_reshard_under_load_costs_no_request_and_no_wrong_byte(self):
        fleet = [self.daemon(f"fleet-{i}") for i in range(2)]
        targets = [f"/products/{n}" for n in range(1, 201)]
        source, to = self.cluster.primaries()[:2]
        with Load([daemon.port for daemon in fleet], targets, 60,
                  judge=judge_product) as load:
            load.wait_hits(targets)
            self.cluster.reshard(source, to, 300)
            # From when a slot's new owner is known its values wait a while.
            # Slots without a product nobody asks for: they may be learnt of
            # much later.
            wait_until(lambda: all(
                self.slots_of(source, daemon) < 16384 // 3
                for daemon in fleet), what="both know new owners")
            load.wait_hits(targets)
            wait_until(lambda: all(
                a.is_hit for a in load.since(load.mark() - 1000)), 10,
                "the windows of both are over", 0.2)
            gets = self.origin_gets()
            mark = load.mark()
            load.wait_hits(targets)
            self.assertTrue(all(a.is_hit for a in load.since(mark)))
            self.assertEqual(self.origin_gets(), gets)
        load.check()
        moved = sum(d.metric("nearside_redis_error_replies_total",
                             cause="moved") for d in fleet)
        self.assertGreater(moved, 0)
        # Keys of the slots that have moved are asked for during a window.
        self.assertLess(gets, len(targets) * 4)
        refreshes = sum(d.metric("nearside_redis_refreshes_total",
                                 cause="moved") for d in fleet)
        self.assertLess(refreshes, moved + 1)


if __name__ == "__main__":
    unittest.main()
