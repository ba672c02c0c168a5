# ctest: jobs=4 cost=6
"""An API behind a name: it moves, has several addresses, or its name server
is in trouble. All of it in a network of the test's own, see lib/nameserver."""

import signal
import threading
import time
import unittest

from lib import FlowTest, Nearside, ScriptedOrigin, WireError, wait_until
from lib.nameserver import (HOLE, NXDOMAIN, SERVFAIL, NameServer, enter,
                            resolver_has, swallowed)
from lib.scripted import answer, conf, together

PORT = 8000
ALL_WELL = [200] * 30


def setUpModule():
    enter()


class Api(ScriptedOrigin):
    """An API at an address of 127/8. Its answers say which one it is; it
    keeps connections, but for /once. /wait waits for let_go()."""

    def __init__(self, host):
        self.host = host
        self.waiting = 0
        self.may_go = threading.Event()
        super().__init__(self._say, host=host, port=PORT)

    def _say(self, connection, request, n):
        del n
        if request.target == "/wait":
            self.waiting += 1
            self.may_go.wait(30)
        if request.target == "/once":
            answer(connection, self.host.encode(), [("Connection", "close")])
            return False
        return answer(connection, self.host.encode())

    def let_go(self):
        self.may_go.set()

    @property
    def open(self):
        with self._lock:
            return len(self._open)


class OriginNames(FlowTest):
    def apis(self, *last):
        apis = [self.use(Api(f"127.0.0.{n}")) for n in last]
        for api in apis:
            self.addCleanup(api.let_go)
        return apis

    def begin(self, addresses, origin_more="", more="", **others):
        self.names = self.use(NameServer(api=addresses, **others))
        self.daemon = self.use(Nearside(conf(
            f"http://api.test:{PORT}", more=more, origin_more=origin_more)
            .replace("admin = off", 'admin = "127.0.0.1:0"')))
        return self.daemon

    def ask(self, target="/"):
        """Over a connection of its own, so that each worker gets some."""
        return self.daemon.get(target)

    def who(self, target="/"):
        got = self.ask(target)
        self.assertEqual(got.status, 200, got)
        return got.body.decode()

    def statuses(self, count=30):
        return [self.ask().status for _ in range(count)]

    def lookups(self, result):
        return self.daemon.metric("nearside_origin_lookups_total",
                                  result=result)

    def origin(self):
        return self.daemon.status()["origins"][0]

    # --- one that moves ---

    def test_a_move_costs_no_request(self):
        """30 of 30 were 502."""
        old, new = self.apis(2, 3)
        self.begin(["127.0.0.2"], "resolve_interval = 1h")
        self.assertEqual(self.statuses(), ALL_WELL)
        self.names.are(api=["127.0.0.3"])
        old.stop()
        asked = self.names.count()
        # Nothing was sent before, so it may be anything.
        got = self.daemon.get("/", method="POST", body=b"new")
        self.assertEqual(got.status, 200)
        self.assertEqual(self.statuses(), ALL_WELL)
        self.assertEqual(len(new.requests), 31)
        self.assertEqual(new.requests[0].body, b"new")
        self.assertEqual(self.names.count() - asked, 1)  # for both workers

    def test_many_at_once_are_served_by_one_look_up(self):
        old, new = self.apis(2, 3)
        self.begin(["127.0.0.2"], "resolve_interval = 1h")
        self.who()
        self.names.are(api=["127.0.0.3"], delay=0.3)
        old.stop()
        asked = self.names.count()
        got = together(30, lambda n: self.ask().status)
        self.assertEqual(got, ALL_WELL)
        self.assertEqual(len(new.requests), 30)
        self.assertEqual(self.names.count() - asked, 1)

    def test_a_move_from_where_nobody_answers_any_more(self):
        (new,) = self.apis(3)
        self.begin([HOLE + "7"], "resolve_interval = 1h  connect_timeout = 4s")
        self.daemon.wait_log("origin_addresses")
        self.names.are(api=["127.0.0.3"])
        self.assertEqual(self.statuses(3), [200] * 3)
        self.assertEqual(len(new.requests), 3)

    def test_who_comes_before_the_first_answer_waits_for_it(self):
        self.apis(2)
        self.names = self.use(NameServer())
        self.names.are(api=["127.0.0.2"], delay=1)
        self.daemon = self.use(Nearside(conf(f"http://api.test:{PORT}")))
        self.assertEqual(together(30, lambda n: self.ask().status), ALL_WELL)
        self.assertEqual(self.names.count(), 1)

    def test_one_that_only_takes_long_is_dialled_once_more(self):
        """The look-up gets its share of the time, and there is some left."""
        self.begin([HOLE + "7"], "connect_timeout = 4s")
        self.daemon.wait_log("origin_addresses")
        before = swallowed()
        self.assertEqual(self.ask().status, 504)
        self.assertGreaterEqual(swallowed() - before, 2)

    def test_one_that_is_down_is_asked_for_once_a_second(self):
        self.begin(["127.0.0.2"], "resolve_interval = 1h")
        began = time.monotonic()
        for _ in range(200):
            self.assertEqual(self.ask().status, 502)
        seconds = time.monotonic() - began
        self.assertLessEqual(self.names.count(), seconds + 3)
        # It comes back elsewhere, and who has not asked for a while finds it.
        self.apis(3)
        self.names.are(api=["127.0.0.3"])
        wait_until(lambda: self.ask().status == 200, what="it is found")

    def test_a_silent_name_server_costs_no_more_than_the_time_to_connect(self):
        (old,) = self.apis(2)
        self.begin(["127.0.0.2"], "resolve_interval = 1h"
                   "  connect_timeout = 2s")
        self.who()
        self.names.are(is_silent=True)
        old.stop()
        got = self.ask()
        self.assertEqual(got.status, 502)
        # Its look-up is under way for minutes; nobody waits for it any more.
        answers = [self.ask() for _ in range(20)]
        self.assertEqual([got.status for got in answers], [502] * 20)
        self.assert_none_waits(answers, 2)

    def test_one_slow_look_up_is_waited_for_and_not_two(self):
        """502 after all the time to connect, with the place in connections_max held."""
        self.begin(["127.0.0.2"], "resolve_interval = 1h"
                   "  connect_timeout = 10m")
        self.daemon.wait_log("origin_addresses")
        self.names.are(api=["127.0.0.2"], delay=1.2)  # over a second
        for _ in range(2):
            self.assertEqual(self.ask().status, 502)

    # --- one that moves while the old address lives ---

    def test_a_move_is_followed_though_the_old_address_lives(self):
        """120 of 120 went on to the old one."""
        old, new = self.apis(2, 3)
        self.begin(["127.0.0.2"], "resolve_interval = 300ms")
        client = self.use(self.daemon.connect())
        clients = [self.use(self.daemon.connect()) for _ in range(10)]
        for one in clients:
            one.request("GET", "/wait")
        wait_until(lambda: old.waiting == 10, what="there are ten")
        old.let_go()
        for one in clients:
            self.assertEqual(one.read_response().body, b"127.0.0.2")
        old.may_go.clear()
        client.request("GET", "/wait")
        wait_until(lambda: old.waiting == 11, what="one is under way")
        self.assertEqual(old.open, 10)
        self.names.are(api=["127.0.0.3"])
        # By us: it closes them itself after ten seconds.
        wait_until(lambda: old.open == 1, what="idle ones are closed")
        self.names.are(is_silent=True)
        count = len(old.requests)
        for one in clients * 5:
            one.request("GET", "/")
            self.assertEqual(one.read_response().body, b"127.0.0.3")
        old.let_go()
        self.assertEqual(client.read_response().body, b"127.0.0.2")
        wait_until(lambda: old.open == 0, what="the last one is closed")
        self.assertEqual(len(old.requests), count)
        self.assertEqual(self.lookups("changed"), 2)

    def test_a_name_is_looked_up_once_for_all_workers(self):
        self.apis(2)
        began = time.monotonic()
        self.begin(["127.0.0.2"], "resolve_interval = 200ms")
        self.names.wait_asked(10)
        self.statuses()
        asked = self.names.count()
        self.assertLessEqual(asked, (time.monotonic() - began) / 0.2 + 2)

    def test_an_answer_without_addresses_changes_nothing(self):
        self.apis(2)
        self.begin(["127.0.0.2"], "resolve_interval = 200ms")
        self.who()
        for trouble, result in (({"rcode": NXDOMAIN}, "missing"),
                                ({"api": []}, "missing"),
                                ({"rcode": SERVFAIL}, "failed")):
            with self.subTest(trouble=trouble):
                said = len(self.daemon.lines("origin_lookup_failed"))
                count = self.lookups(result)
                self.names.are(**trouble)
                self.daemon.wait_metric("nearside_origin_lookups_total",
                                        count + 3, result=result)
                self.assertEqual(self.statuses(10), [200] * 10)
                self.assertEqual(self.who("/once"), "127.0.0.2")
                self.daemon.wait_logged("origin_lookup_failed", said + 1)
                self.names.are(api=["127.0.0.2"])
                self.daemon.wait_metric("nearside_origin_lookups_total",
                                        self.lookups("same") + 1,
                                        result="same")

    # --- several addresses ---

    def test_several_addresses_are_dialled_in_turn(self):
        """One of three got all."""
        apis = self.apis(2, 3, 4)
        self.begin([api.host for api in apis])
        clients = [self.use(self.daemon.connect())
                   for _ in range(60)]
        for client in clients:
            client.request("GET", "/wait")
        wait_until(lambda: sum(api.waiting for api in apis) == 60,
                   what="all are asked")
        for api in apis:
            self.assertAlmostEqual(api.waiting, 20, delta=2)
            api.let_go()
        for client in clients:
            self.assertEqual(client.read_response().status, 200)

    def test_the_ninth_is_found_when_eight_refuse(self):
        self.apis(10)
        self.begin([f"127.0.0.{n}" for n in range(2, 11)])
        self.assertEqual(self.statuses(), ALL_WELL)

    def test_each_of_sixty_is_found(self):
        sixty = [f"127.0.1.{n}" for n in range(1, 61)]
        self.begin(sixty)
        for host in (sixty[0], sixty[31], sixty[59]):
            api = Api(host)
            self.assertEqual(self.who(), host)
            api.stop()
            wait_until(lambda: self.origin()["connections"] == 0,
                       what="its connections are gone")
        self.assertEqual(len(self.origin()["addresses"]), 60)
        self.assertEqual(self.daemon.metric("nearside_origin_addresses"), 60)

    def test_who_failed_rests_for_all_workers(self):
        (api,) = self.apis(2)
        self.begin([HOLE + "7", "127.0.0.2"], "connect_timeout = 2s")
        wait_until(lambda: [self.who("/once")] and self.daemon.metric(
            "nearside_origin_addresses_resting") == 1, what="it rests")
        before, began = swallowed(), time.monotonic()
        for _ in range(60):
            self.who("/once")
        # It rests ten seconds, of which some were over; a machine may be slow.
        rests = (time.monotonic() - began) // 10 + 1
        self.assertLessEqual(swallowed() - before, 3 * rests)
        self.assertGreater(api.connections, 60)

        def resting():
            self.who("/once")
            return {a["address"] for a in self.origin()["addresses"]
                    if a["rests_seconds"] > 0}

        wait_until(lambda: resting() == {f"{HOLE}7:{PORT}"},
                   what="/status says that it rests")
        rests = r'origin_address_rests .* address="(\S+)"'
        self.daemon.wait_log(rests)
        self.assertEqual({said[1] for said in self.daemon.lines(rests)},
                         {f"{HOLE}7:{PORT}"})

    def test_one_that_is_back_is_dialled_again(self):
        old, other = self.apis(2, 3)
        self.begin(["127.0.0.2", "127.0.0.3"])
        old.stop()
        other.stop()
        self.assertEqual(self.ask().status, 502)
        self.apis(3)
        # Both rest, and are dialled all the same.
        self.assertEqual(self.who(), "127.0.0.3")

    def test_an_address_without_a_listener_costs_nothing(self):
        self.apis(2)
        self.begin(["::1", "127.0.0.2"])
        self.assertEqual(self.statuses(), ALL_WELL)

    # --- what is shown ---

    def test_status_tells_of_look_ups(self):
        self.apis(2)
        self.begin(["127.0.0.2"], "resolve_interval = 200ms")
        self.who()
        self.names.are(rcode=SERVFAIL)
        self.daemon.wait_metric("nearside_origin_lookups_total", 1,
                                result="failed")
        lookups = self.origin()["lookups"]
        self.assertEqual(lookups["result"], "failed")
        self.assertEqual(lookups["changed"], 1)
        self.assertGreaterEqual(lookups["failed"], 1)
        self.assertLess(abs(lookups["last"] - time.time()), 60)
        stamp = self.daemon.metric("nearside_origin_lookup_timestamp_seconds")
        self.assertLess(abs(stamp - time.time()), 60)

    def test_a_literal_address_is_not_looked_up(self):
        (api,) = self.apis(2)
        self.names = self.use(NameServer())
        self.daemon = self.use(Nearside(conf(api.url.replace(
            "127.0.0.1", "127.0.0.2")).replace(
                "admin = off", 'admin = "127.0.0.1:0"')))
        self.who()
        self.assertIsNone(self.origin()["lookups"])
        self.assertEqual(self.names.asked, {})

    # --- the end ---

    def test_sigterm_waits_for_no_look_up(self):
        """It took 14 s, or 55."""
        resolver_has(3, "ns.svc.test svc.test test", "ndots:5")
        self.addCleanup(resolver_has)
        self.names = self.use(NameServer())
        self.names.are(is_silent=True)
        text = conf(f"http://api.test:{PORT}",
                    origin_more="connect_timeout = 500ms").replace(
            "limits {", 'redis { seeds = { "redis.test:7000" } }\nlimits {')
        self.daemon = self.use(Nearside(text))
        client = self.use(self.daemon.connect())
        client.request("GET", "/")
        wait_until(lambda: {"api.test.ns.svc.test", "redis.test.ns.svc.test"}
                   <= self.names.asked.keys(), what="both are asked for")
        client.close()
        self.daemon.signal(signal.SIGTERM)
        self.assertEqual(self.daemon.process.wait(), 0)

    def test_sigterm_waits_for_no_look_up_of_a_name_that_was_known(self):
        self.apis(2)
        self.begin(["127.0.0.2"], "resolve_interval = 200ms")
        self.who()
        self.names.are(is_silent=True)
        self.names.wait_asked(1)
        self.daemon.signal(signal.SIGTERM)
        self.assertEqual(self.daemon.process.wait(), 0)


if __name__ == "__main__":
    unittest.main()
