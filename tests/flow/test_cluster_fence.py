# ctest: jobs=6 cost=15
"""Deletions that a cluster forgets, and slots that come and go: no value is
older than the bound, whoever reads it.

One daemon writes, and is left alone then; the other one only reads.
"""

import contextlib
import json
import threading
import time
import unittest

from lib import Nearside, SampleOrigin, fetch, slot_of, wait_until
from lib.products import ClusterTest, conf_of_cluster, key_of, use_cluster

CONF = conf_of_cluster("command_timeout = 400ms %(more)s")

# For how long a value may be older than a write, and a little for a busy
# machine.
BOUND = 2.5

def setUpModule():
    use_cluster()


class Watch:
    """Reads one target over and over; what it read, and when."""

    def __init__(self, daemon, target):
        self.daemon, self.target = daemon, target
        self.reads = []  # (begun, price, Cache-Status)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(0.02):
            begun = time.monotonic()
            answer = self.daemon.get(self.target)
            self.reads.append((begun, json.loads(answer.body)["price"],
                               answer.cache_status))

    def stop(self):
        self._over.set()
        self._thread.join()

    def older_than_bound(self, written, price):
        """Reads of another price long after that one was written."""
        return [r for r in self.reads
                if r[0] > written + BOUND and r[1] != price]


class OnACluster(ClusterTest):
    more = ""

    def setUp(self):
        super().setUp()
        self.origin = self.use(SampleOrigin(products=1000))
        self.price = 100
        self.writer = self.daemon("writer")
        self.reader = self.daemon("reader")

    def daemon(self, name):
        daemon = self.use(Nearside(CONF % {
            "seeds": self.cluster.seeds, "origin": self.origin.url,
            "more": self.more}, name=name))
        daemon.wait_log("redis_map")
        return daemon

    def put(self, n):
        """When it was answered."""
        self.price += 1
        answer = self.writer.get(f"/products/{n}", method="PUT", body=json.dumps(
            {"name": f"Product {n}", "price": self.price}).encode())
        self.assertEqual(answer.status, 200)
        return time.monotonic()

    def origin_put(self, n):
        """A write that nearside does not see."""
        answer = fetch(self.origin.port, f"/products/{n}", method="PUT",
                       body=json.dumps({"name": f"Product {n}",
                                        "price": self.price}).encode())
        self.assertEqual(answer.status, 200)

    def wait_stored(self, target):
        self.wait_hit(self.reader, target)

    def watch(self, target):
        watch = Watch(self.reader, target)
        self.addCleanup(watch.stop)
        return watch


    def kill_with_a_lost_deletion(self, n, is_writer_lost=False):
        """The primary acknowledges a deletion that its heir never hears of.
        When the write was answered."""
        target = f"/products/{n}"
        primary = self.cluster.owner_of(key_of(target))
        heir = self.cluster.replicas_of(primary)[0]
        self.wait_stored(target)
        with primary.connect() as resp:
            resp("WAIT", 1, 2000)
        value = primary("GET", key_of(target))
        heir.pause()
        self.addCleanup(heir.resume)
        written = self.put(n)
        # A reader may have had it stored anew already.
        self.assertNotEqual(primary("GET", key_of(target)), value)
        self.cluster.kill(primary)
        self.addCleanup(self.cluster.wait_ok)
        self.addCleanup(self.cluster.restart, primary)
        if is_writer_lost:
            self.writer.kill()
        heir.resume()
        wait_until(lambda: heir.info("replication")["role"] == "master", 20,
                   "the heir is promoted")
        if is_writer_lost:  # the deletion may have lain in the heir's socket
            heir("SET", key_of(target), value, "PX", 300000)
        return written

    def price_after_the_loss_of_both(self, n, neighbour):
        """Of a product whose deletion is lost with its writer. Nobody reads it
        while its slot waits, or it would have been stored anew; that the wait
        is over a neighbour tells, whose slot waits likewise."""
        self.assertIs(*(self.cluster.owner_of(key_of(f"/products/{i}"))
                        for i in (n, neighbour)))
        self.wait_stored(f"/products/{neighbour}")
        self.kill_with_a_lost_deletion(n, is_writer_lost=True)
        self.wait_hit(self.reader, f"/products/{neighbour}")
        return json.loads(self.reader.get(f"/products/{n}").body)["price"]


class Failover(OnACluster):
    def test_a_deletion_that_a_failover_loses_is_repeated(self):
        target = "/products/1"
        self.wait_stored(target)
        watch = self.watch(target)
        written = self.kill_with_a_lost_deletion(1)
        # The writer has no traffic, and looks for the new owner all the same.
        self.writer.wait_metric("nearside_invalidations_repeated_total", 1)
        mark = len(watch.reads)
        wait_until(lambda: any("; hit" in r[2] for r in watch.reads[mark:]),
                   what="a hit")
        watch.stop()
        self.assertEqual(watch.older_than_bound(written, self.price), [])
        self.assertEqual(
            self.reader.metric("nearside_invalidations_failed_total")
            + self.writer.metric("nearside_invalidations_failed_total"), 0)

    def test_a_deletion_that_is_lost_with_its_writer_stays_lost(self):
        """That is how Redis replicates; `verify` is the cure."""
        old = self.price_after_the_loss_of_both(9, 13)
        self.assertNotEqual(old, self.price)


class Snapshots(OnACluster):
    def heir_takes_over(self, primary):
        heir = self.cluster.replicas_of(primary)[0]
        self.addCleanup(self.cluster.wait_ok)

        def is_promoted():
            return heir.info("replication")["role"] == "master"

        for _ in range(10):
            if not is_promoted():  # Redis gives such a try up after 5 s
                heir("CLUSTER", "FAILOVER")
            with contextlib.suppress(AssertionError):
                wait_until(is_promoted, 6)
                break
        self.assertTrue(is_promoted())
        self.cluster.wait_ok()

    def start_again(self, node):
        node.options.setdefault("dir", node.process.dir)
        self.cluster.kill(node)
        self.cluster.restart(node)

    def test_what_a_snapshot_brought_is_not_used_from_an_heir_either(self):
        target = "/products/6"
        primary = self.cluster.owner_of(key_of(target))
        self.wait_stored(target)
        primary("SAVE")
        self.price += 1
        self.origin_put(6)
        primary("DEL", key_of(target))  # and all have forgotten that
        self.start_again(primary)
        for daemon in (self.reader, self.writer):
            daemon.wait_log("redis_restarted")
        self.cluster.wait_ok()
        self.assertEqual(primary("EXISTS", key_of(target)), 1)
        self.heir_takes_over(primary)
        answers = []
        wait_until(lambda: answers.append(self.reader.get(target))
                   or "; hit" in answers[-1].cache_status,
                   what="a hit", every=0.05)
        self.assertEqual({json.loads(a.body)["price"] for a in answers},
                         {self.price})
        self.assertEqual(
            json.loads(self.writer.get(target).body)["price"], self.price)

    def test_of_an_heir_to_one_that_nobody_met_nothing_is_used(self):
        """The primary starts again and loses its slots while both daemons
        stand still, so that they never meet it with its snapshot."""
        target = "/products/8"
        primary = self.cluster.owner_of(key_of(target))
        self.wait_stored(target)
        primary("SAVE")
        self.price += 1
        self.origin_put(8)
        primary("DEL", key_of(target))
        for daemon in (self.reader, self.writer):
            daemon.pause()
            self.addCleanup(daemon.resume)
        self.start_again(primary)
        self.cluster.wait_ok()
        self.heir_takes_over(primary)
        for daemon in (self.reader, self.writer):
            daemon.resume()
            daemon.wait_log("redis_unknown_past")
        answers = []
        wait_until(lambda: answers.append(self.reader.get(target))
                   or "; hit" in answers[-1].cache_status,
                   what="a hit", every=0.05)
        self.assertEqual({json.loads(a.body)["price"] for a in answers},
                         {self.price})

    def test_an_heir_that_was_started_lately_has_values_as_good_as_any(self):
        target = "/products/7"
        primary = self.cluster.owner_of(key_of(target))
        self.wait_stored(target)
        self.start_again(self.cluster.replicas_of(primary)[0])
        self.cluster.wait_ok()
        time.sleep(2.5)  # what is stored is older than the heir, and more
        self.heir_takes_over(primary)
        self.wait_hit(self.reader, target)
        # And back to one that was started again as a replica.
        self.start_again(primary)
        self.cluster.wait_ok()
        self.heir_takes_over(self.cluster.owner_of(key_of(target)))
        self.reader.wait_metric("nearside_redis_map_changes_total", 3)
        self.wait_hit(self.reader, target)
        self.assertEqual(
            self.reader.metric("nearside_values_outdated_total"), 0)


class Verifying(OnACluster):
    more = "after_failover = verify"

    def test_a_deletion_that_is_lost_with_its_writer_does_no_harm(self):
        self.assertEqual(self.price_after_the_loss_of_both(9, 13), self.price)

    def test_what_was_stored_before_a_change_is_validated_first(self):
        target = "/products/5"
        slot = slot_of(key_of(target))
        self.wait_stored(target)
        owner, other = self.two_primaries(target)
        self.addCleanup(self.cluster.wait_ok)
        self.addCleanup(self.cluster.move_slot, slot, owner)
        self.assertIn("; hit", self.reader.get(target).cache_status)
        self.cluster.move_slot(slot, other)
        # As if the deletion of that write had been lost long ago.
        self.price += 1
        self.origin_put(5)
        answers = []
        wait_until(lambda: answers.append(self.reader.get(target))
                   or "; hit" in answers[-1].cache_status,
                   what="a hit", every=0.05)
        self.assertEqual({json.loads(a.body)["price"] for a in answers},
                         {self.price})
        self.assertIn("fwd=stale", answers[-2].cache_status)


class Moves(OnACluster):
    def test_a_value_left_by_a_migration_given_up_is_not_used(self):
        target = "/products/2"
        slot = slot_of(key_of(target))
        self.wait_stored(target)
        owner, other = self.two_primaries(target)
        self.addCleanup(self.migrate_back, slot, owner)
        self.cluster.migration_start(slot, other)
        self.assertEqual(
            self.cluster.migration_move_keys(slot, owner, other), 1)
        for node in (other, owner):
            node("CLUSTER", "SETSLOT", slot, "STABLE")
        written = self.put(2)
        watch = self.watch(target)
        self.cluster.migration_start(slot, other)
        time.sleep(0.3)  # reads while it moves
        self.cluster.migration_end(slot, other)
        mark = len(watch.reads)
        wait_until(lambda: any("; hit" in r[2] for r in watch.reads[mark:]),
                   what="a hit")
        watch.stop()
        self.assertEqual([r for r in watch.reads if r[1] != self.price], [])
        self.assertGreater(time.monotonic() - written, 2)


class Refusing(OnACluster):
    def test_a_primary_that_refuses_concerns_its_own_keys_alone(self):
        target = "/products/3"
        primary = self.cluster.owner_of(key_of(target))
        elsewhere = next(t for t in (f"/products/{n}" for n in range(4, 99))
                         if self.cluster.owner_of(key_of(t)) is not primary)
        self.wait_stored(target)
        self.wait_stored(elsewhere)
        self.addCleanup(primary, "CONFIG", "SET", "min-replicas-to-write", 0)
        primary("CONFIG", "SET", "min-replicas-to-write", 9)
        self.reader.wait_log("redis_writes_refused .*NOREPLICAS")
        self.put(3)
        answer = self.reader.get(target)
        self.assertEqual(json.loads(answer.body)["price"], self.price)
        self.assertIn("detail=redis-refuses", answer.cache_status)
        self.assertIn("; hit", self.reader.get(elsewhere).cache_status)
        # Two of three are a majority no more when another one refuses.
        other = self.cluster.owner_of(key_of(elsewhere))
        third = next(node for node in self.cluster.primaries()
                     if node not in (primary, other))
        self.addCleanup(third, "CONFIG", "SET", "min-replicas-to-write", 0)
        third("CONFIG", "SET", "min-replicas-to-write", 9)
        self.reader.wait_log("redis_no_majority")
        self.assertIn("detail=redis-minority",
                      self.reader.get(elsewhere).cache_status)
        for node in (primary, third):
            node("CONFIG", "SET", "min-replicas-to-write", 0)
        self.reader.wait_log("redis_majority_back")
        self.wait_hit(self.reader, target)
        self.assertEqual(json.loads(self.reader.get(target).body)["price"],
                         self.price)


if __name__ == "__main__":
    unittest.main()
