# ctest: jobs=6 cost=10
"""How Redis is found: seeds, names, and what servers say of each other."""

import os
import re
import sys
import time
import unittest

from lib import (FlowTest, Names, Nearside, RedisServer, SampleOrigin,
                 free_port, slot_of, wait_until)
from lib.process import temp_dir
from lib.products import conf_for
from lib.scripted import together

sys.path.insert(0, os.path.join(
    os.path.dirname(os.path.abspath(__file__)), os.pardir, "fault"))
from hostile_redis import (  # noqa: E402  pylint: disable=wrong-import-position
    HostileRedis, Reply, bulk)

CONF = conf_for("%(redis)s", 'route "/bytes/:count" { ttl = 10m }')


class Node(HostileRedis):
    """A server that says of the cluster what the test wants.

    slots: rows of (first, last, host, port, id), as in CLUSTER SLOTS.
    """

    def __init__(self, name, slots=()):
        super().__init__()
        self.id = name * 40
        self.slots = list(slots)
        self.answers = {}  # to a word, before anything else
        self.fault = self._cluster

    def _cluster(self, args):
        word = args[0].upper()
        if word in self.answers:
            answer = self.answers[word]
            if callable(answer):
                answer = answer(args)
            if answer is not None or word != b"CLUSTER":
                return answer
        if word != b"CLUSTER":
            return None
        if args[1].upper() == b"SLOTS":
            return b"*%d\r\n" % len(self.slots) + b"".join(
                b"*3\r\n:%d\r\n:%d\r\n*3\r\n" % (first, last)
                + bulk(host.encode()) + b":%d\r\n" % port
                + bulk(name.encode()) for first, last, host, port, name
                in self.slots)
        return bulk("".join(
            f"{name} {host}:{port}@1 {'myself,' * (name == self.id)}master"
            f" - 0 0 1 connected {first}-{last}\n"
            for first, last, host, port, name in self.slots).encode())

    def reads(self):
        return self.count(b"GET") + self.count(b"GETRANGE")

    def is_all(self):
        """It owns all slots, and is where it is."""
        self.slots = [(0, 16383, "127.0.0.1", self.port, self.id)]
        return self


class OnAMap(FlowTest):
    def setUp(self):
        self.origin = self.use(SampleOrigin())

    def daemon(self, redis, origin=None, **more):
        return self.use(Nearside(CONF % {
            "redis": redis, "origin": origin or self.origin.url}, **more))

    def ask(self, daemon, n=42):
        answer = daemon.get(f"/products/{n}")
        self.assertEqual(answer.status, 200, answer)
        return answer

    def is_hit(self, daemon, n=42):
        return "; hit" in self.ask(daemon, n).cache_status

    def wait_hit(self, daemon, n=42, timeout=60):
        wait_until(lambda: self.is_hit(daemon, n), timeout, "a hit")


class NamesThatHang(OnAMap):
    def names(self, hosts):
        names = self.use(Names(hosts))
        if not names.available():
            self.skipTest("needs a mount namespace and port 53")
        return names

    def test_a_seed_that_no_name_server_answers_is_left_out(self):
        names = self.names({"good.test": "127.0.0.1", "api.test": "127.0.0.1"})
        redis = self.use(RedisServer())
        began = time.monotonic()
        a = self.daemon(
            'seeds = { "gone-1.test:7000", "gone-2.test:7000",'
            f' "good.test:{redis.port}" }}',
            f"http://api.test:{self.origin.port}", wrap=names.wrap)
        self.assertLess(self.ask(a).seconds, 2)
        self.wait_hit(a)
        self.assertLess(time.monotonic() - began, 5)
        # A refresh does not wait for them either: it fails nobody.
        self.assertEqual(
            a.metric("nearside_redis_refresh_failures_total"), 0)

    def test_redis_is_found_behind_more_seeds_than_are_asked_at_once(self):
        names = self.names({"good.test": "127.0.0.1"})
        redis = self.use(RedisServer())
        gone = ", ".join(f'"gone-{n}.test:7000"' for n in range(6))
        a = self.daemon(f'seeds = {{ {gone}, "good.test:{redis.port}" }}',
                        wrap=names.wrap)
        self.wait_hit(a)

    def test_a_name_server_that_is_lost_costs_no_hit(self):
        names = self.names({"good.test": "127.0.0.1", "api.test": "127.0.0.1"})
        redis = self.use(RedisServer())
        a = self.daemon(
            f'seeds = {{ "good.test:{redis.port}" }}  refresh_interval = 1s',
            f"http://api.test:{self.origin.port}", wrap=names.wrap)
        self.wait_hit(a)
        names.are({})
        for n in range(1, 4):
            redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            self.wait_hit(a, n)
        self.wait_hit(a)


class Clusters(OnAMap):
    def node(self, name):
        return self.use(Node(name))

    def on(self, *nodes, more="", **kwargs):
        seeds = ", ".join(f'"{node.address}"' for node in nodes)
        return self.daemon(f"seeds = {{ {seeds} }}  {more}", **kwargs)

    def wait_refreshes(self, daemon, more=2):
        daemon.wait_metric(
            "nearside_redis_refreshes_total",
            daemon.metric("nearside_redis_refreshes_total") + more)

    def assert_told_once(self, daemon, event, more=""):
        (said,) = daemon.wait_logged(event)
        self.assertRegex(said.string, f" warn {event} {more}")

    def test_seeds_of_two_clusters_are_not_mixed(self):
        ours, other = self.node("a").is_all(), self.node("b").is_all()
        a = self.on(ours, other, more="refresh_interval = 1s")
        for _ in range(2):
            self.wait_refreshes(a, 1)
            for n in range(1, 21):
                self.ask(a, n)
        self.assertEqual(other.reads(), 0)
        self.assertGreater(ours.reads(), 0)
        self.assertTrue(self.is_hit(a, 1))
        self.assert_told_once(
            a, "redis_two_clusters", f'node="{other.address}"')
        # Only once it has been one of ours may that be news again.
        theirs, other.slots = other.slots, ours.slots
        self.wait_refreshes(a, 3)
        other.slots = theirs
        a.wait_logged("redis_two_clusters", 2)
        # Not even when that one alone answers.
        ours.stop()
        self.wait_refreshes(a)
        for n in range(1, 21):
            self.ask(a, n)
        self.assertEqual(other.reads(), 0)

    def test_who_reaches_a_minority_of_the_primaries_still_answers(self):
        """Those that ask before there is a majority wait, side by side."""
        node = self.node("a")
        node.slots = [(0, 5460, "127.0.0.1", node.port, node.id),
                      (5461, 10922, "127.0.0.1", free_port(), "b" * 40),
                      (10923, 16383, "127.0.0.1", free_port(), "c" * 40)]
        a = self.on(node)
        targets = [f"/products/{n}" for n in range(1, 100) if slot_of(
            f"{{http://127.0.0.1:{a.port}/products/{n}}}") <= 5460][:8]
        answers = together(len(targets), lambda i: a.get(targets[i]))
        self.assertEqual([got.status for got in answers], [200] * 8)
        self.assertEqual(a.get("/products/1").status, 200)

    def test_slots_that_nobody_owns_are_told_with_their_share(self):
        node = self.node("a")
        node.slots = [(0, 8191, "127.0.0.1", node.port, node.id)]
        a = self.on(node, more="refresh_interval = 1s")
        self.assert_told_once(
            a, "redis_slots_uncovered", 'slots="8192" share="50.0%"')
        self.wait_refreshes(a)
        self.assert_told_once(a, "redis_slots_uncovered")
        node.is_all()
        a.wait_log('redis_map slots="16384"')

    def test_a_server_whose_cluster_command_is_renamed_is_used_alone(self):
        for words in (b"-ERR unknown command 'CLUSTER', with args beginning "
                      b"with: 'SLOTS' \r\n",
                      b"-ERR unknown command `CLUSTER`\r\n"):
            with self.subTest(words):
                node = self.node("a")
                node.answers[b"CLUSTER"] = words
                a = self.on(node)
                self.wait_hit(a)
                self.assertEqual(a.status()["redis"]["slots_known"], 16384)
                self.assertNotIn("redis_refresh_refused", a.whole_log())

    def test_an_endpoint_that_is_unknown_is_where_it_was_asked(self):
        low, high = self.node("a"), self.node("b")
        for node in (low, high):
            node.slots = [(0, 8191, "?", low.port, low.id),
                          (8192, 16383, "?", high.port, high.id)]
        a = self.on(low, high, more="refresh_interval = 1s")
        for _ in range(2):
            for n in range(1, 11):
                self.wait_hit(a, n)
            self.wait_refreshes(a, 1)
        self.assertGreater(low.reads(), 0)
        self.assertGreater(high.reads(), 0)
        self.assertEqual(a.status()["redis"]["slots_known"], 16384)

    def test_a_node_that_was_started_elsewhere_is_found_and_stays_found(self):
        """It gives its old address for itself; the others know the new."""
        moved, other, third = (self.node(name) for name in "abc")
        old = free_port()

        def rows(port):
            return [(0, 5000, "127.0.0.1", port, moved.id),
                    (5001, 10000, "127.0.0.1", other.port, other.id),
                    (10001, 16383, "127.0.0.1", third.port, third.id)]

        moved.slots = rows(old)
        other.slots = third.slots = rows(moved.port)
        n = next(n for n in range(1, 1000)
                 if slot_of("ns:e:{http://test/products/%d}" % n) <= 5000)
        a = self.on(moved, other, third, more="refresh_interval = 1s")
        self.wait_hit(a, n)
        for _ in range(3):
            self.wait_refreshes(a, 1)
            self.assertTrue(self.is_hit(a, n))
        self.assertEqual(a.metric("nearside_redis_map_changes_total"), 1)
        self.assert_told_once(
            a, "redis_two_addresses", f'id="a+" used="127.0.0.1:{moved.port}'
            f'" other="127.0.0.1:{old}" detail=".*CLUSTER MEET')

    def test_announced_addresses_that_do_not_answer_are_told_once(self):
        node = self.node("a")
        announced = free_port()
        node.slots = [(0, 16383, "127.0.0.1", announced, node.id)]
        a = self.on(node)
        wait_until(lambda: self.ask(a) and "redis_unreachable_addresses"
                   in a.log(), what="it is told")
        self.wait_refreshes(a, 1)
        self.assert_told_once(
            a, "redis_unreachable_addresses",
            f'announced="127.0.0.1:{announced}" answers="{node.address}"'
            ' detail=".*cluster-announce-ip.*address_map')

    def test_the_address_map_leads_to_where_nodes_are(self):
        node, target = self.node("a"), self.node("b")
        node.slots = [(0, 16383, "172.19.0.3", 6379, node.id)]
        address_map = ('address_map = { "172.19.0.3:6379 = %s",'
                       ' "redis-b.internal:6379=%s" }'
                       % (node.address, target.address))
        a = self.on(node, more=address_map)
        self.wait_hit(a)
        for n, word in enumerate((b"MOVED", b"ASK"), 50):
            key = b"ns:e:{http://test/products/%d}" % n
            moved = b"-%s %d redis-b.internal:6379\r\n" % (word, slot_of(key))
            # Not the probes', which are about other keys.
            node.answers[b"DEL"] = lambda args, key=key, moved=moved: (
                moved if key in args else None)
            put = a.get(f"/products/{n}", method="PUT",
                        body=b'{"name":"New","price":1}')
            self.assertEqual(put.status, 200)
            wait_until(lambda key=key: any(
                key in args for args in list(target.commands)
                if args[0].upper() == b"DEL"), what=f"{word} is followed")
        self.assertNotIn("redis_unreachable_addresses", a.whole_log())

    def test_a_server_that_lets_nobody_in_is_told_in_its_words(self):
        for words in ("DENIED Redis is running in protected mode because",
                      "NOAUTH Authentication required.",
                      "ERR max number of clients reached"):
            with self.subTest(words):
                node = self.node("a").is_all()
                for word in (b"CLIENT", b"CLUSTER", b"INFO"):
                    node.answers[word] = Reply(
                        b"-%s\r\n" % words.encode(), then="fin")
                a = self.on(node)
                wait_until(lambda: self.ask(a) and words in a.log(), 5,
                           "it is told")
                line = next(line for line in a.log().splitlines()
                            if words in line)
                self.assertIn(" warn ", line)
                wait_until(lambda: words in a.status()["redis"]["refusal"],
                           what="/status tells it")
                node.answers.clear()
                self.wait_hit(a)
                self.assertEqual(a.status()["redis"]["refusal"], "")

    def test_a_command_that_is_not_allowed_is_told_once(self):
        node = self.node("a").is_all()
        words = b"NOPERM this user has no permissions to run 'get'"
        node.answers[b"GET"] = b"-%s\r\n" % words
        node.answers[b"GETRANGE"] = b"-%s\r\n" % words
        a = self.on(node, more="refresh_interval = 60s")
        for n in range(1, 21):
            self.ask(a, n)
        a.wait_log(" warn redis_denied .*" + words.decode())
        # The next refresh that succeeds ends what /status tells.
        wait_until(lambda: self.ask(a) and words.decode()
                   in a.status()["redis"]["refusal"], what="/status tells it")
        # Once by each worker.
        self.assertLessEqual(a.whole_log().count("redis_denied"), 2)

    def test_nodes_that_are_not_told_are_a_warning(self):
        """Whatever words refuse them: this is a cluster's node."""
        for words in (b"NOPERM this user has no permissions to run the "
                      b"'cluster|nodes' command",
                      b"ERR unknown command 'CLUSTER', with args"):
            with self.subTest(words):
                node = self.node("a")
                # Another one's address is not known: they would tell it.
                node.slots = [(0, 16000, "127.0.0.1", node.port, node.id),
                              (16001, 16383, "?", 6379, "c" * 40)]
                node.answers[b"CLUSTER"] = lambda args, words=words: (
                    b"-%s\r\n" % words if args[1].upper() == b"NODES"
                    else None)
                a = self.on(node, more="refresh_interval = 1s")
                a.wait_log(" warn redis_refresh_refused .*"
                           + words[:16].decode())
                self.wait_refreshes(a, 3)
                self.assertEqual(
                    a.whole_log().count("redis_refresh_refused"), 1)

    def test_nodes_that_send_us_to_each_other_cost_their_time_once(self):
        one, two = self.node("a").is_all(), self.node("b")
        a = self.on(one)
        self.wait_hit(a)

        def moved_to(other):
            def answer(args):
                key = args[3 if args[0].startswith(b"EVAL") else 1]
                return b"-MOVED %d %s\r\n" % (
                    slot_of(key), other.address.encode())
            return answer

        for node, other in ((one, two), (two, one)):
            for word in (b"SET", b"DEL", b"GET", b"GETRANGE", b"EVAL",
                         b"EVALSHA"):
                node.answers[word] = moved_to(other)
        for n in range(1, 11):
            put = a.get(f"/products/{n}", method="PUT",
                        body=b'{"name":"New","price":1}')
            self.assertEqual(put.status, 200)
        a.wait_metric("nearside_redis_breaker_opens_total", 1)
        # Without a rest each takes five hops and 10 ms or more between them.
        sent = one.count(b"GETRANGE") + two.count(b"GETRANGE")
        for n in range(11, 31):
            self.ask(a, n)
        self.assertLess(
            one.count(b"GETRANGE") + two.count(b"GETRANGE") - sent, 40)


class Words(OnAMap):
    def test_a_password_that_was_changed_is_read_again(self):
        redis = self.use(RedisServer({"requirepass": "first-secret"}))
        path = os.path.join(temp_dir("password"), "password")
        with open(path, "w") as f:
            f.write("first-secret\n")
        a = self.daemon(f'seeds = {{ "{redis.address}" }}'
                        f' password_file = "{path}"')
        self.wait_hit(a)
        with redis.connect() as admin:
            admin("AUTH", "first-secret")
            admin("CONFIG", "SET", "requirepass", "second-secret")
            with open(path, "w") as f:
                f.write("second-secret\n")
            admin("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.ask(a)
        a.wait_log(" warn .*WRONGPASS")
        a.wait_log("info redis_password_read")
        self.wait_hit(a)
        self.assertNotIn("secret", a.whole_log())

    def test_a_server_that_closes_idle_connections_is_no_warning(self):
        redis = self.use(RedisServer({"timeout": 1}))
        a = self.daemon(f'seeds = {{ "{redis.address}" }}')
        self.wait_hit(a)
        closed = a.metric("nearside_redis_disconnects_total")
        for n in range(1, 3):
            a.wait_metric("nearside_redis_disconnects_total", closed + n)
            self.wait_hit(a)
        self.assertEqual(a.warnings(), [])
        self.assertLessEqual(a.log().count("info redis_node_up"), 2)

    def test_a_server_full_of_clients_is_told_in_its_words(self):
        redis = self.use(RedisServer())
        a = self.daemon(f'seeds = {{ "{redis.address}" }}')
        self.wait_hit(a)
        with redis.connect() as admin:
            admin("CONFIG", "SET", "maxclients", 1)
            admin("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            self.ask(a)
            a.wait_log(" warn .*ERR max number of clients reached")
            admin("CONFIG", "SET", "maxclients", 100)
        self.wait_hit(a)

    def test_a_value_above_the_output_buffer_limit_is_named_as_such(self):
        redis = self.use(RedisServer())
        a = self.daemon(f'seeds = {{ "{redis.address}" }}'
                        "  command_timeout = 5s  hang = 10s")
        self.wait_hit(a)
        stores = a.metric("nearside_stores_total")
        self.assertEqual(a.get("/bytes/4000000").status, 200)
        a.wait_metric("nearside_stores_total", stores + 1)
        redis("CONFIG", "SET", "client-output-buffer-limit",
              "normal 1mb 1mb 1")

        def is_named():
            self.assertEqual(a.get("/bytes/4000000").status, 200)
            return re.search(" warn redis_reply_cut .*client-output-buffer"
                             "-limit", a.log())

        # A connection younger than a second is dialled anew late: nothing
        # tells then why it was cut.
        wait_until(is_named, what="it is named", every=1.1)
        self.wait_hit(a)


if __name__ == "__main__":
    unittest.main()
