# ctest: jobs=4 cost=8
"""What one request may do to the others that ask for the same: nothing. An
answer that each use must validate is for the one who asked, a failure that
the leader may have caused is the leader's, and nobody waits for a slow client
whose answer is not stored."""

import socket
import threading
import time
import unittest

from lib import FlowTest, Nearside, RedisServer, ScriptedOrigin, wait_until
from lib.scripted import Steps, answer, conf, together

ROUTES = ('route "/kept/*" { ttl = 60s  keep = 10m }\n'
          'route "/bare/*" { ttl = 0  keep = 10m  store_post = on }\n')
TAG = ("ETag", '"v"')


def same(connection, *fields):
    """A 304."""
    lines = [f"{name}: {value}" for name, value in fields]
    connection.send("\r\n".join(
        ["HTTP/1.1 304 Same", *lines, "", ""]).encode())
    return True


def is_conditional(request):
    return "If-None-Match" in request.fields


class Neighbours(FlowTest):
    def start(self, script, limits="", with_redis=True, origin_more="",
              workers=2):
        self.steps = Steps()
        self.addCleanup(lambda: self.steps.go("head", "end"))
        self.requests = []

        def ask(connection, request, n):
            if request.target == "/probe":
                answer(connection, fields=[("Connection", "close")])
                return False  # kept, it would be used again
            self.requests.append(request)
            return script(connection, request, len(self.requests) - 1)

        self.origin = self.use(ScriptedOrigin(ask))
        self.redis = self.use(RedisServer()) if with_redis else None
        self.limits = limits
        self.more = {"origin_more": origin_more, "workers": workers}
        self.daemon = self.another("nearside")

    def another(self, name):
        return self.use(Nearside(conf(
            self.origin.url, ROUTES, self.limits, self.redis,
            **self.more), name=name))

    def ask(self, target, fields=None, daemon=None, **more):
        client = self.use((daemon or self.daemon).connect(**more))
        client.request("GET", target, fields)
        return client

    def crowd(self, target, count, fields=None):
        """A leader that the origin has heard of, and count who wait."""
        before = len(self.requests)
        leader = self.ask(target, fields)
        self.wait_asked(before + 1)
        others = [self.ask(target, {"X-User": i}) for i in range(count)]
        self.wait_read(count + 1)
        return leader, others

    def wait_read(self, count, daemon=None):
        """Until each worker has read what came to it: what has come later,
        by several connections, is answered."""
        daemon = daemon or self.daemon
        wait_until(lambda: daemon.metric("nearside_connections") >= count,
                   what="all are connected")
        together(16, lambda i: daemon.get("/probe"))

    def wait_asked(self, count):
        wait_until(lambda: len(self.requests) >= count,
                   what=f"the origin is asked {count} times", every=0.002)

    def keys(self, target, kind="e"):
        return self.redis("KEYS", f"ns:{kind}:*{target}*")

    def wait_keys(self, target):
        wait_until(lambda: self.keys(target), what="it is stored",
                   every=0.002)

    def fill(self, target):
        body = self.daemon.get(target).body
        self.wait_keys(target)
        return body

    def release(self, *clients):
        """The answers; each client has its connection closed."""
        self.steps.go("head")
        answers = []
        for client in clients:
            answers.append(client.read_response())
            client.close()
        wait_until(lambda: self.daemon.metric("nearside_connections") == 0,
                   what="all have left")
        return answers


class NoCache(Neighbours):
    """RFC 9111 5.2.2.4 and 5.2.2.2."""

    each_use = (
        [("Cache-Control", "no-cache")],
        [("Cache-Control", "no-cache, max-age=60")],
        [("Cache-Control", "max-age=0, must-revalidate")],
        [("Cache-Control", "s-maxage=0")],
        [("Cache-Control", "max-age=9, must-revalidate"), ("Age", "9")])

    def test_a_fetched_answer_is_for_the_leader_alone(self):
        for with_redis in (True, False):
            def script(connection, request, n):
                if n == 0:
                    self.steps.wait("head")
                return answer(connection, b"for %d" % n, self.fields)

            for self.fields in [[*f, TAG] for f in self.each_use]:
                with self.subTest(fields=self.fields, redis=with_redis):
                    self.start(script, with_redis=with_redis)
                    leader, others = self.crowd("/kept/1", 5)
                    answers = self.release(leader, *others)
                    self.assertEqual(len({a.body for a in answers}), 6)
                    self.assertEqual(len(self.requests), 6)
                    self.assertNotIn("; collapsed", "".join(
                        a.cache_status for a in answers))

    def test_what_only_ends_early_is_shared_with_those_who_waited(self):
        def script(connection, request, n):
            self.steps.wait("head")
            return answer(connection, b"for %d" % n,
                          [("Cache-Control", "max-age=0"), TAG])

        self.start(script)
        leader, others = self.crowd("/kept/1", 5)
        answers = self.release(leader, *others)
        self.assertEqual({a.body for a in answers}, {b"for 0"})
        self.assertEqual(sum("; collapsed" in a.cache_status
                             for a in answers), 5)

    def test_a_stored_one_is_validated_by_all_at_the_same_time(self):
        """Nobody waits for another's validation, nor loads it anew."""
        def script(connection, request, n):
            if is_conditional(request):
                self.steps.wait("head")
                return same(connection, *self.fields)
            return answer(connection, b"body of %d" % n, self.fields)

        for self.fields in [[*f, TAG] for f in self.each_use]:
            with self.subTest(fields=self.fields):
                self.start(script, "flight_wait = 60s")
                other = self.another("other")
                body = self.fill("/kept/1")
                clients = [self.ask("/kept/1") for _ in range(6)]
                self.wait_asked(7)
                for daemon in (self.daemon, other):  # the lease is taken
                    clients.append(self.ask("/kept/1", daemon=daemon))
                    self.wait_asked(len(clients) + 1)
                answers = self.release(*clients)
                self.assertEqual(len(self.requests), 9)
                self.assertTrue(all(map(is_conditional,
                                        self.requests[1:])))
                self.assertEqual({a.body for a in answers}, {body})
                for a in answers:
                    self.assertIn("fwd=stale; fwd-status=304",
                                  a.cache_status)

    def test_one_of_those_who_validate_stores_what_has_changed(self):
        def script(connection, request, n):
            if n > 0:
                self.steps.wait("head")
            return answer(connection, b"body %d" % n, [
                ("Cache-Control", "no-cache"), ("ETag", f'"{min(n, 1)}"')])

        self.start(script)
        self.fill("/kept/1")
        before = self.redis("GET", self.keys("/kept/1")[0])
        clients = [self.ask("/kept/1") for _ in range(6)]
        self.wait_asked(7)
        answers = self.release(*clients)
        self.assertEqual(len({a.body for a in answers}), 6)
        stored = [a for a in answers if "; stored" in a.cache_status]
        self.assertEqual(len(stored), 1)
        wait_until(lambda: self.redis("GET", self.keys("/kept/1")[0])
                   not in (None, before), what="the new one is stored")
        self.assertIn(stored[0].body,
                      self.redis("GET", self.keys("/kept/1")[0]))
        wait_until(lambda: not self.keys("/kept/1", "l"),
                   what="no lease is left")

    def test_a_304_that_says_so_is_for_the_leader_alone(self):
        """The stored one had a lifetime, so that one was to validate it."""
        def script(connection, request, n):
            if not is_conditional(request):
                return answer(connection, b"body of %d" % n, [
                    ("Cache-Control", "max-age=9"), ("Age", "9"), TAG])
            self.steps.wait("head")
            return same(connection, *self.fields)

        for self.fields in [[*f, TAG] for f in self.each_use]:
            with self.subTest(fields=self.fields):
                self.start(script)
                body = self.fill("/bare/1")
                leader, others = self.crowd("/bare/1", 5)
                self.assertEqual(len(self.requests), 2)
                answers = self.release(leader, *others)
                self.assertEqual(len(self.requests), 7)
                self.assertTrue(all(map(is_conditional,
                                        self.requests[1:])))
                self.assertEqual({a.body for a in answers}, {body})

    def test_another_daemon_that_waits_validates_what_it_finds(self):
        def script(connection, request, n):
            if n == 0:
                self.steps.wait("head")
            if is_conditional(request):
                return same(connection, ("Cache-Control", "no-cache"), TAG)
            return answer(connection, b"body of %d" % n,
                          [("Cache-Control", "no-cache"), TAG])

        self.start(script)
        other = self.another("other")
        leader = self.ask("/kept/1")
        self.wait_asked(1)
        waiting = [self.ask("/kept/1", daemon=other) for _ in range(4)]
        self.wait_read(4, other)
        self.steps.go("head")
        self.assertEqual(leader.read_response().body, b"body of 0")
        for client in waiting:
            got = client.read_response()
            self.assertEqual(got.body, b"body of 0")
            self.assertIn("fwd-status=304", got.cache_status)
        self.assertEqual(len(self.requests), 5)

    def test_what_a_renewal_brings_is_validated_by_who_comes_next(self):
        def script(connection, request, n):
            if n == 0:
                return answer(connection, b"old", [
                    ("Cache-Control", "max-age=9, stale-while-revalidate=60"),
                    ("Age", "9"), TAG])
            if n == 1:
                self.steps.wait("head")
            return answer(connection, b"new %d" % n,
                          [("Cache-Control", "no-cache"), TAG])

        self.start(script)
        self.fill("/bare/1")
        first = self.daemon.get("/bare/1")
        self.wait_asked(2)
        second = self.daemon.get("/bare/1")  # while it is renewed
        self.assertEqual((first.body, second.body), (b"old", b"old"))
        before = self.redis("GET", self.keys("/bare/1")[0])
        self.steps.go("head")
        wait_until(lambda: self.redis("GET", self.keys("/bare/1")[0])
                   != before, what="it is renewed")
        self.assertEqual(self.daemon.get("/bare/1").body, b"new 2")


class BadLeader(Neighbours):
    def poisoned(self, fail):
        """A leader with a bad field waits until all have come, then fails."""
        def script(connection, request, n):
            if "X-Bad" in request.fields:
                self.steps.wait("head")
                return fail(connection)
            return answer(connection, b"good", self.says)

        return script

    says = ()

    def test_a_field_that_closes_the_connection_hurts_nobody_else(self):
        """39 of 40 got the 502 once; with no-cache, again and again."""
        for with_redis in (True, False):
            for self.says in ((), [("Cache-Control", "no-cache"), TAG]):
                with self.subTest(redis=with_redis, says=self.says):
                    self.start(self.poisoned(lambda c: False),
                               with_redis=with_redis)
                    leader, others = self.crowd("/kept/1", 39, {"X-Bad": 1})
                    answers = self.release(leader, *others)
                    self.assertEqual([a.status for a in answers],
                                     [502] + 39 * [200])
                    # A worker that hears late of the leader's failure finds
                    # the next flight over; without Redis it asks again.
                    self.assertIn(
                        len(self.requests),
                        [40] if self.says else [2] if with_redis else [2, 3])

    def test_a_bad_validation_hurts_nobody_else(self):
        def script(connection, request, n):
            if "X-Bad" in request.fields:
                self.steps.wait("head")
                return False
            if is_conditional(request):
                return same(connection, *self.says)
            return answer(connection, b"good", self.says)

        for value, status in (("max-age=0", 502), ("no-cache", 504)):
            self.says = [("Cache-Control", value), TAG]
            with self.subTest(value=value):
                self.start(script)
                self.fill("/bare/1")
                for i in range(3):
                    leader, others = self.crowd("/bare/1", 9, {"X-Bad": 1})
                    answers = self.release(leader, *others)
                    self.assertEqual([a.status for a in answers],
                                     [status] + 9 * [200])

    def test_no_way_to_fail_once_it_was_sent_is_everybodys(self):
        def send(data):
            def fail(connection):
                connection.send(data)
                return False

            return fail

        def hang(connection):
            self.steps.wait("end")
            return False

        for why, fail, status in (
                ("malformed", send(b"HTTP/1.1 2000 OK\r\n\r\n"), 502),
                ("large", send(b"HTTP/1.1 200 OK\r\nX: " + 40_000 * b"x"),
                 502),
                ("cut", send(b"HTTP/1.1 200 OK\r\nX"), 502),
                ("upgrade", send(b"HTTP/1.1 101 Up\r\nUpgrade: x\r\n\r\n"),
                 502),
                ("unasked", lambda c: same(c, TAG), 502),
                ("interim", send(200 * b"HTTP/1.1 103 Hint\r\n\r\n"), 502),
                ("late", hang, 504)):
            with self.subTest(why=why):
                self.start(self.poisoned(fail),
                           origin_more="first_byte_timeout = 700ms")
                leader, others = self.crowd("/kept/1", 9, {"X-Bad": 1})
                answers = self.release(leader, *others)
                self.assertEqual([a.status for a in answers],
                                 [status] + 9 * [200])
                self.assertEqual(len(self.requests), 2)

    def test_a_body_bad_from_its_first_byte_is_the_leaders(self):
        """Whoever has been told nothing yet asks again: all, on one worker,
        where the fill has failed before they hear of it."""
        def fail(connection):
            connection.send(b"HTTP/1.1 200 OK\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\nno\r\n")
            return False

        self.start(self.poisoned(fail), workers=1)
        leader, others = self.crowd("/kept/1", 20, {"X-Bad": 1})
        self.steps.go("head")
        for client in others:
            self.assertEqual(client.read_response().body, b"good")
        leader.close()

    def test_those_who_fly_again_ask_one_at_a_time(self):
        lock = threading.Lock()
        under_way = [0, 0]

        def script(connection, request, n):
            if n == 0:
                self.steps.wait("head")
            with lock:
                under_way[0] += 1
                under_way[1] = max(under_way)
            time.sleep(0.02)  # for the others to come, if they would
            with lock:
                under_way[0] -= 1
            return False

        self.start(script)
        leader, others = self.crowd("/kept/1", 20)
        answers = self.release(leader, *others)
        self.assertEqual({a.status for a in answers}, {502})
        self.assertEqual(len(self.requests), 21)
        self.assertEqual(under_way[1], 1)

    def test_flight_wait_bounds_all_the_flights_of_one_request(self):
        def script(connection, request, n):
            if n < 2:
                self.steps.wait("end")
            return answer(connection, b"good")

        self.start(script, "flight_wait = 1s",
                   origin_more="first_byte_timeout = 800ms")
        leader, others = self.crowd("/kept/1", 2)
        answers = [c.read_response() for c in (leader, *others)]
        self.assertEqual(sorted(a.status for a in answers), [200, 504, 504])
        good = [a for a in answers if a.status == 200][0]
        self.assertIn("detail=flight_wait", good.cache_status)

    def test_flight_wait_bounds_the_flights_of_a_leader_too(self):
        """It waits for another daemon's lease of the key, and then for that
        of its variant. It goes on before one who came a little later and
        waits for a single lease, and would go on behind that one if each of
        its flights had a time of its own."""
        vary = [("Vary", "X-Foo")]

        def script(connection, request, n):
            if request.target == "/kept/2":
                if not asked("/kept/2")[1:]:
                    self.steps.wait("end")
                return answer(connection, b"good")
            n = len(asked("/kept/1")) - 1
            if n == 0:
                self.steps.wait("head")
                connection.send(b"HTTP/1.1 200 OK\r\nVary: X-Foo\r\n"
                                b"Content-Length: 4\r\n\r\n")
                wait_until(lambda: asked("/kept/1")[1:],
                           what="the second variant is asked for")
                connection.send(b"good")
                return True
            if n == 1:
                self.steps.wait("end")
            return answer(connection, b"good", vary)

        def asked(target):
            return [r for r in self.requests if r.target == target]

        self.start(script, "flight_wait = 2s")
        other = self.another("other")
        self.ask("/kept/1", {"X-Foo": "1"})
        self.wait_asked(1)
        self.ask("/kept/1", {"X-Foo": "2"})
        self.ask("/kept/2")
        self.wait_asked(2)
        self.wait_read(3)
        late = self.ask("/kept/1", {"X-Foo": "2"}, daemon=other)
        self.wait_read(1, other)
        time.sleep(0.8)  # of the time that both have
        later = self.ask("/kept/2", daemon=other)
        self.wait_read(2, other)
        time.sleep(0.8)
        self.steps.go("head")
        for client in (late, later):
            self.assertEqual(client.read_response().body, b"good")
        self.assertEqual([r.target for r in self.requests],
                         ["/kept/1", "/kept/2", "/kept/1", "/kept/1",
                          "/kept/2"])

    def test_waiters_learn_at_once_that_the_origin_cannot_be_reached(self):
        """Its connects time out: the backlog of its listener is full."""
        full = socket.socket()
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        daemon = self.use(Nearside(conf(
            "http://127.0.0.1:%d" % full.getsockname()[1], ROUTES,
            origin_more="connect_timeout = 1s")))
        answers = together(30, lambda i: daemon.get("/kept/1"))
        self.assertEqual({a.status for a in answers}, {504})
        self.assertEqual(daemon.metric("nearside_origin_errors_total"), 1)

    def test_a_stale_one_stands_in_for_all(self):
        def script(connection, request, n):
            if n > 0:
                self.steps.wait("head")
                return False
            answer(connection, b"stale", [
                ("Cache-Control", "max-age=9, stale-if-error=60"),
                ("Age", "9"), TAG, ("Connection", "close")])
            return False  # a connection that was used is tried once more

        self.start(script)
        self.fill("/bare/1")
        leader, others = self.crowd("/bare/1", 9)
        answers = self.release(leader, *others)
        self.assertEqual({a.body for a in answers}, {b"stale"})
        self.assertEqual(len(self.requests), 2)


class Queue(Neighbours):
    """The origin's one connection is taken by a request for /busy."""

    def begin(self, origin_more="queue_timeout = 20s", fields=()):
        def script(connection, request, n):
            if request.target == "/busy":
                self.steps.wait("busy")
            return answer(connection, str(n).encode(), fields)

        self.start(script, workers=1,
                   origin_more="connections_max = 1  " + origin_more)
        self.addCleanup(lambda: self.steps.go("busy"))

    def busy(self):
        before = len(self.requests)
        client = self.ask("/busy")
        self.wait_asked(before + 1)
        return client

    def targets(self):
        return [request.target for request in self.requests]

    def join(self, target, count):
        clients = [self.ask(target) for _ in range(count)]
        self.daemon.wait_metric("nearside_origin_waiting", 1)
        for _ in range(16):  # none of which the origin hears of
            got = self.daemon.get("/kept/none", fields={
                "Cache-Control": "only-if-cached"})
            self.assertEqual(got.status, 504)
        self.assertEqual(self.daemon.metric("nearside_origin_waiting"), 1)
        return clients

    def test_who_joined_waits_with_its_leader(self):
        self.begin()
        busy = self.busy()
        clients = self.join("/kept/1", 9)
        self.steps.go("busy")
        answers = [client.read_response() for client in [busy, *clients]]
        self.assertEqual([a.body for a in answers], [b"0"] + [b"1"] * 9)
        self.assertEqual(self.targets(), ["/busy", "/kept/1"])

    def test_who_joined_is_refused_with_its_leader(self):
        self.begin("queue_timeout = 1s")
        self.busy()
        clients = [self.ask("/kept/1") for _ in range(9)]
        answers = [client.read_response() for client in clients]
        self.assertEqual({a.status for a in answers}, {503})
        self.assertEqual({a.fields["Retry-After"] for a in answers}, {"1"})
        self.assertLess(self.daemon.metric(
            "nearside_origin_errors_total", cause="queue_timeout"), 9)
        self.assertEqual(self.targets(), ["/busy"])

    def test_a_stale_one_stands_in_for_who_gets_no_turn(self):
        for more, why in (("queue_max = 0", "limit"),
                          ("queue_timeout = 100ms", "queue_timeout")):
            with self.subTest(why):
                self.begin(more, [("Age", "9"), (
                    "Cache-Control", "max-age=9, stale-if-error=60")])
                self.fill("/bare/1")
                self.busy()
                got = self.daemon.get("/bare/1")
                self.assertEqual((got.status, got.body), (200, b"0"))
                self.assertIn("detail=stale-if-error", got.cache_status)
                self.assertEqual(self.daemon.metric(
                    "nearside_origin_errors_total", cause=why), 1)

    def test_nobody_waits_behind_a_renewal_in_the_background(self):
        self.begin(fields=[("Age", "9"), (
            "Cache-Control", "max-age=9, stale-while-revalidate=60")])
        self.fill("/bare/1")
        busy = self.busy()
        got = self.daemon.get("/bare/1")
        self.assertEqual((got.status, got.body), (200, b"0"))
        self.daemon.wait_metric("nearside_origin_errors_total", 1,
                                cause="limit")
        self.assertEqual(self.daemon.metric("nearside_origin_waiting"), 0)
        self.steps.go("busy")
        busy.read_response()
        self.assertEqual(self.targets(), ["/bare/1", "/busy"])


class SlowReader(Neighbours):
    """flight_wait is longer than any client of these waits."""

    size = 4_000_000  # more than what sockets and buffers take
    limits_wait = "flight_wait = 60s "

    def script(self, connection, request, n):
        head = "".join(f"{name}: {value}\r\n" for name, value in self.fields)
        if n > 0:
            return answer(connection, b"own %d" % n, self.fields)
        if not self.is_chunked:
            connection.send(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n"
                            % (head.encode(), self.size))
            connection.send(self.size * b"x")
            return True
        connection.send(b"HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked"
                        b"\r\n\r\n" % head.encode())
        for _ in range(self.size // 50_000):
            connection.send(b"c350\r\n%s\r\n" % (50_000 * b"x"))
        connection.send(b"0\r\n\r\n")
        return True

    def check(self, target, fields=None, has_marker=True, read=0):
        """Others are answered while the slow one reads."""
        slow = self.ask(target, fields, receive_buffer=4096)
        head = slow.read_head()
        pieces = slow.body_pieces(head)
        got = 0
        while got < read:
            got += len(next(pieces))
        wait_until(lambda: not self.keys(target, "l"),
                   what="the lease is given back")
        self.assertEqual(len(self.keys(target)), 1 if has_marker else 0)
        for daemon in (self.other, self.daemon):
            answers = together(3, lambda i, d=daemon: d.get(target))
            self.assertEqual(len({a.body for a in answers}),
                             3 if has_marker else 1)
            if has_marker:  # each of them is told why, as the first one was
                self.assertEqual(
                    {a.cache_status for a in answers},
                    {f"nearside; fwd=uri-miss; detail={self.why}"})
        got += sum(map(len, pieces))
        self.assertEqual(got, self.size)

    def begin(self, limits=""):
        self.start(self.script, self.limits_wait + limits)
        self.other = self.another("other")

    def test_nobody_waits_for_an_answer_that_is_not_stored(self):
        for self.is_chunked in (False, True):
            for self.why, self.fields in (
                    ("no-store", [("Cache-Control", "no-store")]),
                    ("private", [("Cache-Control", "private")]),
                    ("set-cookie", [("Set-Cookie", "a=1")]),
                    ("vary", [("Vary", "*")]),
                    ("no-cache", [("Cache-Control", "no-cache")]),
                    ("stale", [("Cache-Control", "max-age=0")])):
                with self.subTest(fields=self.fields,
                                  is_chunked=self.is_chunked):
                    self.begin()
                    self.check("/kept/1")

    def test_nobody_waits_for_an_answer_without_freshness(self):
        self.is_chunked = False
        self.why = "no-freshness"
        self.fields = ()
        self.begin()
        self.check("/bare/1")

    def test_nobody_waits_for_one_that_says_it_is_too_large(self):
        self.is_chunked = False
        self.why = "size"
        self.fields = ()
        self.begin("object_max = 1MB")
        self.check("/kept/1")

    def test_nobody_waits_for_one_that_turns_out_too_large(self):
        self.is_chunked = True
        self.why = "size"
        self.fields = ()
        self.begin("object_max = 500KB")
        self.check("/kept/1")

    def test_nobody_waits_for_one_of_unknown_length_that_is_stored(self):
        """It is stored while its first reader has hardly begun."""
        self.is_chunked = True
        self.fields = ()
        self.begin()
        slow = self.ask("/kept/1", receive_buffer=4096)
        head = slow.read_head()
        wait_until(lambda: self.keys("/kept/1") and
                   not self.keys("/kept/1", "l"), what="it is stored")
        for daemon in (self.other, self.daemon):
            got = daemon.get("/kept/1")
            self.assertIn("; hit", got.cache_status)
            self.assertEqual(len(got.body), self.size)
        self.assertEqual(sum(map(len, slow.body_pieces(head))), self.size)

    def test_nobody_waits_for_an_answer_to_someones_cookie(self):
        self.is_chunked = False
        self.fields = ()
        self.begin()
        self.check("/kept/1", {"Cookie": "user=1"}, has_marker=False)

    def test_nobody_waits_for_an_answer_that_varies_anew(self):
        """By too many names for a record: it goes when the head says so."""
        def script(connection, request, n):
            if n == 0:
                return answer(connection, b"first", [("Vary", "X-A")])
            return self.script(connection, request, n - 1)

        self.is_chunked = True
        self.fields = [("Vary", ", ".join(f"X-{n}" for n in range(16)))]
        self.start(script, self.limits_wait)
        self.other = self.another("other")
        self.daemon.get("/kept/1", fields={"X-A": "1"})
        self.wait_keys("/kept/1")
        slow = self.ask("/kept/1", {"X-A": "2"}, receive_buffer=4096)
        slow.read_head()
        wait_until(lambda: not self.keys("/kept/1", "l"),
                   what="the lease is given back")
        wait_until(lambda: not any(b"}:" not in key for key in map(
            lambda k: k if isinstance(k, bytes) else k.encode(),
            self.keys("/kept/1"))), what="the record is gone")
        self.assertEqual(self.other.get("/kept/1").body, b"own 1")

    def test_nobody_waits_for_the_answer_to_a_post_that_is_not_stored(self):
        """One that is refused: nothing is deleted, no lease either."""
        def script(connection, request, n):
            if request.method == "POST":
                connection.send(b"HTTP/1.1 403 No\r\nContent-Length: %d"
                                b"\r\n\r\n" % self.size)
                connection.send(self.size * b"x")
                return True
            return answer(connection, b"own")

        self.start(script, self.limits_wait)
        slow = self.use(self.daemon.connect(receive_buffer=4096))
        slow.request("POST", "/bare/1", body=b"x")
        slow.read_head()
        wait_until(lambda: not self.keys("/bare/1", "l"),
                   what="the lease is given back")
        self.assertEqual(self.daemon.get("/bare/1").body, b"own")

    def test_a_run_that_is_over_before_its_answer_leaves_nothing(self):
        """The client leaves, or the origin fails, after the marker."""
        for why in ("client", "origin"):
            with self.subTest(why=why):
                def script(connection, request, n):
                    connection.send(b"HTTP/1.1 200 OK\r\n"
                                    b"Cache-Control: no-store\r\n"
                                    b"Content-Length: 500000\r\n\r\n"
                                    + 250_000 * b"x")
                    self.steps.wait("end")
                    if why == "origin":
                        return False
                    connection.send(250_000 * b"x")
                    return True

                self.start(script)
                client = self.ask("/kept/1")
                client.read_head()
                self.wait_keys("/kept/1")
                if why == "client":
                    client.reset()
                self.steps.go("end")
                wait_until(lambda: self.daemon.metric(
                    "nearside_origin_in_flight") == 0, what="it is over")
                self.assertEqual(self.keys("/kept/1", "l"), [])


if __name__ == "__main__":
    unittest.main()
