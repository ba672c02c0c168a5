# ctest: jobs=6 cost=14
"""A Redis that reads and refuses to write or to delete: what it has is not
used, by those who only read either, and the origin answers."""

import json
import os
import shutil
import threading
import time
import unittest

from lib import (FlowTest, Nearside, RedisServer, SampleOrigin, ScriptedOrigin,
                 fetch, wait_until)
from lib.process import temp_dir
from lib.products import conf_for
from lib.redis import RedisError
from lib.relay import Link
from lib.scripted import answer

CONF = conf_for('mode = standalone  seeds = { "127.0.0.1:%(port)s" } '
                'command_timeout = 200ms %(more)s', route="%(route)s")

# For how long a value may be older than a write; for how long values wait when
# a node takes writes again, but for the grain of the clocks.
BOUND = 2.0
WINDOW = 2.95
KEY = "ns:e:{http://test/products/42}"


class OnAServer(FlowTest):
    options = None
    more = ""
    route = ""

    def setUp(self):
        self.redis = self.use(RedisServer(self.options))
        self.origin = self.use(SampleOrigin())
        self.price = 100

    def daemon(self, name="nearside", more=None, origin=None):
        return self.use(Nearside(CONF % {
            "port": self.redis.port, "origin": (origin or self.origin).url,
            "more": self.more if more is None else more,
            "route": self.route}, name=name))

    def put(self, daemon, status=200):
        self.price += 1
        answer = daemon.get("/products/42", method="PUT", body=json.dumps(
            {"name": "Product 42", "price": self.price}).encode())
        self.assertEqual(answer.status, status)
        return answer

    def put_unseen(self):
        """A write by another way; what is stored was deleted long ago."""
        self.price += 1
        self.assertEqual(fetch(
            self.origin.port, "/products/42", method="PUT", body=json.dumps(
                {"name": "Product 42", "price": self.price}).encode()).status,
            200)
        self.redis("DEL", KEY)

    def read(self, daemon):
        """(price, Cache-Status)"""
        answer = daemon.get("/products/42")
        self.assertEqual(answer.status, 200)
        return json.loads(answer.body)["price"], answer.cache_status

    def wait_hit(self, *daemons, timeout=60):
        for daemon in daemons:
            wait_until(lambda: "; hit" in self.read(daemon)[1], timeout,
                       "a hit")

    def wait_fresh(self, daemon):
        """No read that begins later than the bound shows the old value."""
        written = time.monotonic()
        while True:
            began = time.monotonic()
            if self.read(daemon)[0] == self.price:
                return
            self.assertLess(began - written, BOUND)
            time.sleep(0.02)

    def node(self, daemon):
        return daemon.status()["redis"]["nodes"][0]


class Refusing(OnAServer):
    """One writes, the other one only ever reads."""

    options = {"enable-protected-configs": "yes"}

    def setUp(self):
        super().setUp()
        self.reader = self.daemon("reader")
        self.writer = self.daemon("writer")
        self.wait_hit(self.reader, self.writer)

    def check_refused(self, words):
        for daemon in (self.reader, self.writer):
            daemon.wait_log(f"redis_writes_refused .*{words}")
            node = self.node(daemon)
            self.assertEqual(node["state"], "refusing")
            self.assertIn(words, node["refusal"])
            self.assertFalse(daemon.status()["redis"]["up"])
            self.assertEqual(
                daemon.metric("nearside_redis_primaries_refusing"), 1)
            daemon.wait_logged("redis_writes_refused")
        self.put(self.writer)
        # It had a value of 10 minutes, and it has it still.
        self.assertEqual(self.redis("EXISTS", KEY), 1)
        for daemon in (self.reader, self.writer):
            for _ in range(3):
                price, status = self.read(daemon)
                self.assertEqual(price, self.price)
                self.assertIn("detail=", status)
                self.assertNotIn("stored", status)
        self.assertIn("detail=redis-refuses", self.read(self.reader)[1])

    def check_back(self, mend):
        """From when it is mended until a window is over there are no hits, so
        that nobody uses what the writer has still to delete."""
        self.writer.wait_log("invalidation_pending")
        began = time.monotonic()
        mend()
        for daemon in (self.reader, self.writer):
            daemon.wait_log("redis_writes_taken")
            self.assertEqual(self.node(daemon)["state"], "up")
            self.assertEqual(
                daemon.metric("nearside_redis_primaries_refusing"), 0)
        prices = set()

        def is_hit():
            price, status = self.read(self.reader)
            prices.add(price)
            return "; hit" in status

        wait_until(is_hit, what="a hit")
        self.assertGreater(time.monotonic() - began, WINDOW)
        self.assertEqual(prices, {self.price})
        for daemon in (self.reader, self.writer):
            self.assertEqual(
                daemon.metric("nearside_invalidations_pending"), 0)
        self.put(self.writer)
        self.assertEqual(self.read(self.reader)[0], self.price)

    def test_what_is_fetched_meanwhile_is_not_called_stored(self):
        self.origin.control(hold="GET")
        self.addCleanup(self.origin.control, hold="")
        with self.reader.connect() as client:
            client.request("GET", "/products/7")
            wait_until(lambda: self.origin.stats()["held"] == 1,
                       what="the fetch is under way, under its lease")
            self.redis("CONFIG", "SET", "min-replicas-to-write", 1)
            self.reader.wait_log("redis_writes_refused")
            self.origin.control(hold="")
            answer = client.read_response()
        self.assertEqual(answer.status, 200)
        self.assertNotIn("stored", answer.cache_status)

    def test_a_server_short_of_replicas_is_not_read(self):
        self.redis("CONFIG", "SET", "min-replicas-to-write", 1)
        self.check_refused("NOREPLICAS")
        self.check_back(lambda: self.redis(
            "CONFIG", "SET", "min-replicas-to-write", 0))

    def test_a_server_that_cannot_save_is_not_read(self):
        folder = temp_dir("rdb")
        self.redis("CONFIG", "SET", "dir", folder)
        self.redis("CONFIG", "SET", "save", "3600 100000")
        shutil.rmtree(folder)
        self.redis("BGSAVE")
        self.check_refused("MISCONF")

    def test_a_server_made_a_replica_is_not_read(self):
        other = self.use(RedisServer())
        other("SET", KEY, "as it was")
        self.redis("REPLICAOF", "127.0.0.1", other.port)
        for daemon in (self.reader, self.writer):
            daemon.wait_log("redis_writes_refused .*READONLY")
        self.put(self.writer)
        self.assertEqual(self.read(self.reader)[0], self.price)

    def test_a_paused_server_is_read_for_no_longer_than_the_bound(self):
        self.redis("CLIENT", "PAUSE", 60000, "WRITE")
        self.put(self.writer)
        # Who has written knows at once, and the other within the bound.
        self.assertEqual(self.read(self.writer)[0], self.price)
        self.assertIn("detail=deletion-pending", self.read(self.writer)[1])
        self.writer.wait_log("invalidation_pending")
        self.assertEqual(
            self.writer.metric("nearside_invalidations_pending"), 1)
        self.wait_fresh(self.reader)
        for _ in range(5):
            self.assertEqual(self.read(self.reader)[0], self.price)
        for daemon in (self.reader, self.writer):
            daemon.wait_log("redis_writes_unanswered")
            self.assertEqual(self.node(daemon)["state"], "down")
        self.check_back(lambda: self.redis("CLIENT", "UNPAUSE"))

    def test_a_stopped_server_is_read_again_after_the_window(self):
        self.redis.pause()
        self.put(self.writer)
        for daemon in (self.reader, self.writer):
            daemon.wait_log("redis_writes_unanswered")
        self.check_back(self.redis.resume)

    def test_a_full_server_that_deletes_is_read(self):
        self.redis("CONFIG", "SET", "maxmemory", 1)
        # Each of the two has met it, more than once; were it taken for a
        # refusal there would be no hit any more.
        wait_until(lambda: int(self.redis.info("errorstats").get(
            "errorstat_OOM", "count=0")[6:]) >= 6, what="writes fail")
        self.wait_hit(self.reader)
        self.put(self.writer)
        self.assertEqual(self.read(self.reader)[0], self.price)
        self.assertEqual(self.node(self.reader)["state"], "up")


class Users(OnAServer):
    more = 'user = "shop"  password = "${SHOP}"'

    def setUp(self):
        os.environ["SHOP"] = "secret"
        super().setUp()
        self.redis("ACL", "SETUSER", "shop", "on", ">secret", "~ns:*", "+@all")
        self.reader = self.daemon("reader")
        self.writer = self.daemon("writer")
        self.wait_hit(self.reader, self.writer)

    def test_a_user_who_may_not_delete_any_more_reads_nothing(self):
        self.redis("ACL", "SETUSER", "shop", "-del")
        for daemon in (self.reader, self.writer):
            daemon.wait_log("redis_writes_refused .*NOPERM")
        self.put(self.writer)
        for _ in range(3):
            for daemon in (self.reader, self.writer):
                self.assertEqual(self.read(daemon)[0], self.price)
        self.redis("ACL", "SETUSER", "shop", "+del")
        self.wait_hit(self.reader)
        self.assertEqual(self.read(self.reader)[0], self.price)


class Restarting(OnAServer):
    """A server that comes back with a snapshot has what was deleted since."""

    options = {"save": "3600 100000", "dbfilename": "dump.rdb"}

    def setUp(self):
        self.folder = temp_dir("rdb")
        self.options = dict(self.options, dir=self.folder)
        super().setUp()
        self.reader = self.daemon("reader")
        self.writer = self.daemon("writer")
        self.wait_hit(self.reader, self.writer)

    def spin(self):
        with self.redis.connect() as redis:
            with self.assertRaisesRegex(RedisError, "killed"):
                redis("EVAL", "while true do end", "0")

    def is_busy(self):
        try:
            self.redis("PING")
        except RedisError as error:
            return str(error).startswith("BUSY")
        return False

    def come_back(self):
        self.redis.kill()
        self.redis.start()
        for daemon in (self.reader, self.writer):
            daemon.wait_log("redis_restarted")

    def check(self):
        for _ in range(5):
            for daemon in (self.reader, self.writer):
                self.assertEqual(self.read(daemon)[0], self.price)
        self.wait_hit(self.reader, self.writer)
        for daemon in (self.reader, self.writer):
            self.assertEqual(self.read(daemon)[0], self.price)

    def test_what_it_has_from_a_snapshot_is_not_used(self):
        self.redis("SET", "ns:e:{http://test/products/7}",
                   self.redis("GET", KEY), "PX", 600000)
        self.assertEqual(self.reader.get("/products/7").status, 200)
        self.wait_stored_again("/products/7")
        self.redis("SAVE")
        self.put(self.writer)
        self.assertEqual(self.redis("EXISTS", KEY), 0)
        self.come_back()
        self.check()
        # Nothing was deleted here, and nobody knows that.
        answer = self.reader.get("/products/7")
        self.assertIn("fwd=uri-miss", answer.cache_status)
        self.reader.wait_metric("nearside_values_outdated_total", 1)
        self.wait_stored_again("/products/7")

    def test_nor_is_it_while_a_script_keeps_it_from_telling(self):
        """BUSY was taken for a refusal for good, and it was believed."""
        self.redis("SAVE")
        self.put(self.writer)
        daemons = (self.reader, self.writer)
        self.redis.kill()
        for daemon in daemons:
            daemon.pause()
        self.redis.start()
        self.redis("CONFIG", "SET", "lua-time-limit", "1")
        script = threading.Thread(target=self.spin)
        script.start()
        wait_until(self.is_busy, what="it is busy")
        for daemon in daemons:
            daemon.resume()
        for daemon in daemons:
            daemon.wait_log("redis_writes_refused .*BUSY")
        self.redis("SCRIPT", "KILL")
        script.join(20)
        for daemon in daemons:
            daemon.wait_log("redis_restarted")
        self.check()
        for daemon in daemons:
            self.assertNotRegex(
                daemon.whole_log(), "redis_(info|time)_refused")

    def wait_stored_again(self, target):
        wait_until(
            lambda: "; hit" in self.reader.get(target).cache_status,
            10, f"{target} is a hit")

    def test_a_young_deletion_is_repeated_there(self):
        self.redis("SAVE")
        self.put(self.writer)
        wait_until(lambda: self.writer.metric(
            "nearside_invalidations_pending") == 0, what="it is deleted")
        self.come_back()
        self.writer.wait_metric("nearside_invalidations_repeated_total", 1)
        wait_until(lambda: self.redis("EXISTS", KEY) == 0
                   or self.read(self.reader)[0] == self.price,
                   what="it is deleted once more")
        self.check()

    def test_nor_is_it_used_by_one_that_starts_later(self):
        self.redis("SAVE")
        self.put_unseen()
        self.come_back()
        later = self.daemon("later")
        for _ in range(5):
            self.assertEqual(self.read(later)[0], self.price)
        self.wait_hit(later)
        self.assertEqual(self.read(later)[0], self.price)

    def test_what_a_cache_before_us_held_long_is_used_when_it_came_later(self):
        """An Age is older than the restart; what counts is when it came."""
        fields = [("Cache-Control", "max-age=9000"), ("Age", "3600")]
        origin = self.use(ScriptedOrigin(
            lambda connection, request, n: answer(
                connection, b"{}", fields)))
        daemon = self.daemon("behind", origin=origin)
        target = "/products/7"
        self.assertEqual(daemon.get(target).status, 200)
        self.redis("SAVE")
        self.redis.kill()
        self.redis.start()
        daemon.wait_log("redis_restarted")
        wait_until(lambda: "; hit" in daemon.get(target).cache_status,
                   what="a hit")

    def test_a_server_that_saves_without_an_aof_is_warned_of_once(self):
        self.reader.wait_log(r"redis_saves_snapshots .*3600 100000")
        self.assertEqual(
            self.reader.whole_log().count("redis_saves_snapshots"), 1)


class WithAof(Restarting):
    """What was deleted is in the log, and so is what was not."""

    options = {"save": "", "appendonly": "yes", "appendfsync": "always",
               "dbfilename": "dump.rdb"}

    def test_what_it_has_from_a_snapshot_is_not_used(self):
        self.reader.get("/products/7")
        self.wait_stored_again("/products/7")
        gets = self.origin.stats()["methods"]["GET"]
        self.come_back()
        self.wait_stored_again("/products/7")
        self.assertEqual(
            self.reader.metric("nearside_values_outdated_total"), 0)
        self.assertGreater(self.redis("EXISTS", KEY), 0)
        self.assertGreaterEqual(self.origin.stats()["methods"]["GET"], gets)

    def test_a_server_that_saves_without_an_aof_is_warned_of_once(self):
        self.assertNotIn("redis_saves_snapshots", self.reader.whole_log())


class CutOff(OnAServer):
    """Instances whose links to Redis are cut, beside one that has its own."""

    WORKERS = 3

    def behind(self, link, name):
        conf = CONF.replace("workers = 2", f"workers = {self.WORKERS}")
        return self.use(Nearside(conf % {
            "port": link.port, "origin": self.origin.url, "more": "",
            "route": self.route}, name=name))

    def test_with_deletions_pending_it_dials_often_and_they_get_through(self):
        """The waits of a worker that cannot reach Redis grow to 5 s, but stay
        below half a second while it has deletions to make. What the idle one
        dials, for the probe and the map, is the clock of this test."""
        links = [self.use(Link(self.redis.port)) for _ in range(2)]
        writer, idle = (self.behind(link, name) for link, name in zip(
            links, ("writer", "idle")))
        reader = self.daemon("reader")
        self.wait_hit(reader, writer, idle)
        for link in links:
            link.cut()
        for _ in range(64):  # some to each worker
            self.put(writer)
        pending = writer.metric("nearside_invalidations_pending")
        self.assertGreater(pending, 0)
        # Nothing tells the reader, whose own link holds: README says so.
        price, status = self.read(reader)
        self.assertIn("; hit", status)
        self.assertNotEqual(price, self.price)
        self.assertNotIn("; hit", self.read(writer)[1])
        wait_until(lambda: links[0].tried >= 12 * self.WORKERS, 60,
                   "waits would have grown")
        before = [link.tried for link in links]
        wait_until(lambda: links[1].tried >= before[1] + 24, 60,
                   "some seven seconds are over")
        # 14 of each worker in that time, and not one or two of each.
        self.assertGreater(links[0].tried - before[0], 24 + 24)
        links[0].mend()
        wait_until(lambda: writer.metric(
            "nearside_invalidations_pending") == 0, what="all get through")
        self.wait_fresh(reader)


class Unfenced(OnAServer):
    """A route whose writes wait for a token."""

    more = "}  limits { flight_wait = 400ms"
    route = "write_unfenced = refuse"
    fence = KEY.replace("ns:e:", "ns:w:")

    def setUp(self):
        super().setUp()
        self.a = self.daemon("a")
        self.b = self.daemon("b")
        self.wait_hit(self.a, self.b)

    def test_nothing_is_stored_while_a_write_is_under_way(self):
        self.origin.control(hold="PUT")
        with self.a.connect() as client:
            client.request("PUT", "/products/42", body=json.dumps(
                {"name": "Product 42", "price": 7}).encode())
            wait_until(lambda: self.origin.stats()["held"] == 1,
                       what="the origin has the write")
            # Whatever happens to this instance now, nothing old is there.
            self.assertEqual(self.redis("EXISTS", KEY), 0)
            self.assertGreater(self.redis("PTTL", self.fence), 30000)
            for _ in range(3):
                began = time.monotonic()
                self.read(self.b)
                self.assertLess(time.monotonic() - began, 1)
                self.assertEqual(self.redis("EXISTS", KEY), 0)
            self.origin.control(hold="")
            self.assertEqual(client.read_response().status, 200)
        wait_until(lambda: not self.redis("EXISTS", self.fence),
                   what="no token is left")
        self.wait_hit(self.a, self.b)
        self.assertEqual(self.read(self.b)[0], 7)

    def test_a_write_that_ends_leaves_another_its_token(self):
        self.origin.control(hold="PUT")
        with self.a.connect() as client:
            client.request("PUT", "/products/42", body=json.dumps(
                {"name": "Product 42", "price": 7}).encode())
            wait_until(lambda: self.origin.stats()["held"] == 1,
                       what="the origin has the write")
            self.assertEqual(
                self.b.get("/products/42", method="DELETE").status, 204)
            # The first may be done at any moment, by whoever is cut off then.
            for _ in range(3):
                self.b.get("/products/42")
                self.assertEqual(self.redis("EXISTS", KEY), 0)
            self.assertEqual(self.redis("EXISTS", self.fence), 1)
            self.origin.control(hold="")
            client.read_response()
        wait_until(lambda: not self.redis("EXISTS", self.fence),
                   what="no token is left")

    def test_without_its_token_a_write_is_refused(self):
        self.redis("CONFIG", "SET", "min-replicas-to-write", 1)
        self.a.wait_log("redis_writes_refused")
        puts = self.origin.stats()["methods"]["PUT"]
        began = time.monotonic()
        answer = self.put(self.a, 503)
        self.assertGreater(time.monotonic() - began, 0.3)
        self.assertEqual(answer.field("Retry-After"), "1")
        self.assertEqual(self.origin.stats()["methods"]["PUT"], puts)
        self.redis("CONFIG", "SET", "min-replicas-to-write", 0)
        # What it has waits for a window, and so does the write.
        wait_until(lambda: self.a.get(
            "/products/42", method="PUT", body=json.dumps(
                {"name": "Product 42", "price": 8}).encode()).status == 200,
            30, "a write is taken")
        self.assertEqual(self.read(self.b)[0], 8)

    def test_a_write_that_fails_gives_its_token_back(self):
        answer = self.a.get("/products/99999", method="PUT", body=b"{}")
        self.assertGreaterEqual(answer.status, 400)
        self.assertLess(answer.status, 500)
        wait_until(lambda: not self.redis("KEYS", "ns:[lw]:*"),
                   what="no token is left")

    def test_an_upload_that_is_given_up_keeps_nobody_waiting(self):
        with self.a.connect() as client:
            client.send(b"PUT /products/42 HTTP/1.1\r\nHost: test\r\n"
                        b"Content-Length: 100\r\n\r\nhalf")
            wait_until(lambda: self.redis("EXISTS", self.fence),
                       what="the write has its token")
            client.reset()
        wait_until(lambda: not self.redis("EXISTS", self.fence),
                   what="no token is left")
        self.wait_hit(self.a, self.b)


class Starting(OnAServer):
    def test_who_starts_while_nobody_can_delete_waits_for_a_window(self):
        a = self.daemon("a")
        self.wait_hit(a)
        self.redis.pause()
        self.addCleanup(self.redis.resume)
        b = self.daemon("b")
        b.wait_log("redis_writes_unanswered")
        began = time.monotonic()
        self.redis.resume()
        self.wait_hit(b)
        self.assertGreater(time.monotonic() - began, WINDOW)

    def test_a_lost_connection_is_no_lost_majority(self):
        a = self.daemon()
        self.wait_hit(a)
        for _ in range(3):
            self.redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            self.wait_hit(a)
        self.assertNotIn("redis_no_majority", a.whole_log())

    def test_the_first_request_is_stored_and_the_second_a_hit(self):
        for _ in range(3):
            self.redis("FLUSHALL")
            a = self.daemon()
            self.assertIn("; stored", self.read(a)[1])
            a.wait_metric("nearside_stores_total", 1)
            self.assertIn("; hit", self.read(a)[1])
            a.stop()


if __name__ == "__main__":
    unittest.main()
