"""Out of open files: who is served goes on to be served, nobody spins, and
all is well again as soon as there are files."""

import resource
import time

from lib import (Connection, FlowTest, Nearside, RedisServer, ScriptedOrigin,
                 wait_until)
from lib.scripted import Steps, answer, conf

HIT = "nearside_limits_hit_total"
FDS = 160
KEPT_BACK = 32
MOST = "connections_max = 1000  connections_per_ip = 0  head_timeout = 60s"
HALF = b"GET /x HTTP/1.1\r\nHo"
REST = b"st: test\r\n\r\n"


def prlimit(count):
    return ["prlimit", f"--nofile={count}:{count}"]


class Files(FlowTest):
    def setUp(self):
        self.steps = Steps()
        self.addCleanup(self.steps.go, "end")
        self.origin = self.use(ScriptedOrigin(self.answer))

    def answer(self, connection, request, n):
        del n
        if request.target == "/held":
            self.steps.wait("end")
        return answer(connection, request.target.encode())

    def start(self, redis=None, limits=MOST):
        self.daemon = self.use(Nearside(conf(
            self.origin.url, 'route "/c/:id" { }', limits, redis),
            wrap=prlimit(FDS)))
        return self.daemon

    def client(self, first=b""):
        client = self.use(Connection(self.daemon.port))
        client.send(first)
        return client

    # --- taking away what is allowed --------------------------------------

    def allow(self, count):
        resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE,
                         (count, FDS))

    def allow_no_more(self):
        """No new file, whichever closes: those that are open stay open, and
        the lowest number that could become free is above this."""
        self.allow(4)
        self.assertGreater(len(self.daemon.process.fds()), 8)

    def assert_does_not_spin(self):
        self.daemon.process.assert_does_not_spin()


class KeptBack(Files):
    """Clients never take the last files: origins and Redis need them."""

    def is_let_in(self, client):
        """Who is turned away is heard out for a second; a machine may need
        longer than that to send, and then there is a reset."""
        try:
            client.send(HALF + REST)
            return client.read_response().status == 200
        except ConnectionError:
            return False

    def has_room(self):
        with self.daemon.connect() as client:
            return self.is_let_in(client)

    def fill(self):
        """Clients in the midst of a second head, until one is turned away:
        those that were not. None of them is idle when the next one comes."""
        held = []
        while len(held) < FDS:
            client = self.use(Connection(self.daemon.port))
            if not self.is_let_in(client):
                break
            client.send(HALF)
            held.append(client)
        self.assertLess(len(held), FDS - KEPT_BACK)
        self.assertGreater(len(held), FDS / 4)
        self.daemon.wait_metric(HIT, 1, limit="fds")
        return held

    def test_the_last_ones_are_not_for_clients(self):
        self.start()
        held = self.fill()
        with self.daemon.connect() as late:
            got = late.read_response()
            self.assertEqual(got.status, 503)
            self.assertEqual(got.fields["Retry-After"], "1")
            self.assertTrue(late.is_closed())
        self.assert_does_not_spin()
        wait_until(lambda: len(self.daemon.process.fds()) <
                   FDS - KEPT_BACK + 4, what="the last ones are free")
        # Those who are in are served, with origin connections of their own.
        for client in held[:20]:
            client.send(REST.replace(b"\r\n\r\n", b"\r\nA: b\r\n\r\n"))
        for client in held[:20]:
            self.assertEqual(client.read_response().status, 200)
        # Room again as soon as clients leave.
        for client in held[20:30]:
            client.close()
        wait_until(self.has_room, what="there is room again")

    def test_the_longest_idle_one_goes_first(self):
        self.start()
        idle = self.client(HALF + REST)
        self.assertEqual(idle.read_response().status, 200)
        self.fill()
        self.assertTrue(idle.is_closed())
        self.assertGreaterEqual(
            self.daemon.metric(HIT, limit="idle_shed"), 1)


class Starved(Files):
    """The kernel gives no file at all."""

    def test_the_listener_rests_and_who_waits_is_served_later(self):
        self.start()
        busy = self.client(b"GET /held HTTP/1.1\r\nHost: test\r\n\r\n")
        wait_until(lambda: len(self.origin.requests) == 1, what="it is busy")
        served = self.client(HALF + REST)
        self.assertEqual(served.read_response().status, 200)
        served.send(HALF)  # else it would be shed, being idle
        wait_until(lambda: self.daemon.metric("nearside_connections") == 2,
                   what="both are in")
        start = time.monotonic()
        self.allow_no_more()
        waiting = [self.client(HALF + REST) for _ in range(5)]
        self.daemon.process.wait_log("accept_failed")
        self.assert_does_not_spin()
        self.assertFalse(any(client.has_bytes(0.01) for client in waiting))
        served.send(REST)  # over the connection to the origin that is idle
        self.assertEqual(served.read_response().status, 200)
        self.allow(FDS)
        for client in waiting:
            self.assertEqual(client.read_response().status, 200)
        self.steps.go("end")
        self.assertEqual(busy.read_response().status, 200)
        rests = self.daemon.metric(HIT, limit="fds")
        self.assertGreaterEqual(rests, 1)
        # Each of two workers may rest that often, for 100 ms each time.
        self.assertLess(rests, 2 * (10 * (time.monotonic() - start) + 2))

    def test_no_file_for_an_origin_is_503(self):
        self.start()
        client = self.client(HALF)
        wait_until(lambda: self.daemon.metric("nearside_connections") == 1,
                   what="it is accepted")
        self.allow_no_more()
        for _ in range(3):
            client.send(REST)
            got = client.read_response()
            self.assertEqual(got.status, 503)
            client.send(HALF)
        self.allow(FDS)
        client.send(REST)
        self.assertEqual(client.read_response().status, 200)
        self.assertEqual(self.daemon.metric(
            "nearside_origin_errors_total", cause="limit"), 3)

    def test_no_file_for_redis_is_a_miss(self):
        redis = self.use(RedisServer())
        self.start(redis)
        client = self.client()
        ask = b"GET /c/1 HTTP/1.1\r\nHost: test\r\n\r\n"

        def ask_again():
            client.send(ask)
            got = client.read_response()
            self.assertEqual(got.status, 200)
            return got.cache_status

        ask_again()
        wait_until(lambda: "; hit" in ask_again(), what="a hit")
        self.allow_no_more()
        with redis.connect() as resp:
            resp("CLIENT", "KILL", "TYPE", "normal")
        wait_until(lambda: "; hit" not in ask_again(), what="a miss")
        self.assert_does_not_spin()
        for _ in range(20):
            self.assertNotIn("; hit", ask_again())
        self.allow(FDS)
        wait_until(lambda: "; hit" in ask_again(), what="a hit again")


class AtStart(FlowTest):
    def test_too_few_files_are_refused(self):
        with self.assertRaises(AssertionError) as caught:
            Nearside(conf("http://127.0.0.1:1"), wrap=prlimit(100))
        self.assertIn("100 open files are allowed, 128 are needed",
                      str(caught.exception))

    def test_the_limit_is_raised_and_connections_follow_from_it(self):
        origin = self.use(ScriptedOrigin(lambda c, r, n: answer(c)))
        for limits, soft, most in (("", 128, 1128),
                                   ("connections_max = 7", 128, 1128)):
            with self.subTest(limits=limits):
                daemon = self.use(Nearside(
                    conf(origin.url, limits=limits),
                    wrap=["prlimit", f"--nofile={soft}:{most}"]))
                self.assertEqual(resource.prlimit(
                    daemon.pid, resource.RLIMIT_NOFILE), (most, most))
                self.assertNotIn("open_files_few", daemon.whole_log())

    def test_more_connections_than_files_are_warned_of(self):
        origin = self.use(ScriptedOrigin(lambda c, r, n: answer(c)))
        daemon = self.use(Nearside(
            conf(origin.url, limits="connections_max = 5000"),
            wrap=prlimit(1256)))
        daemon.wait_log('open_files_few allowed="1256" connections_max="5000"'
                        ' advised="500"')
