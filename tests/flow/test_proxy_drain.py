# ctest: jobs=2 cost=14
"""The end of the daemon, and its signals."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

from lib import (Connection, FlowTest, Nearside, RedisServer, SampleOrigin,
                 ScriptedOrigin, WireError, fetch, wait_until)
from lib.clock import Clock
from lib.process import temp_dir
from lib.scripted import Steps, answer, conf, together

SANITIZED = bool(os.environ.get("NEARSIDE_SANITIZE"))


def ready(daemon):
    """The status and the words of a container's health check."""
    done = subprocess.run(
        [os.environ["NEARSIDE_BIN"], "--ready",
         f"127.0.0.1:{daemon.metrics_port}"],
        capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stderr


class Drain(FlowTest):
    def start(self, drain="drain_delay = 0ms", more="", limits="", env=None):
        self.steps = Steps()
        self.addCleanup(self.steps.go, "end")

        def script(connection, request, n):
            if request.target.startswith("/wait"):
                self.steps.wait("end")
            return answer(connection, request.target.encode())

        self.origin = self.use(ScriptedOrigin(script))
        text = conf(self.origin.url, limits=limits).replace(
            "drain_delay = 0ms", drain) + more
        return self.use(Nearside(text, env=env))

    def assert_ended(self, daemon, connections_cut, requests_cut):
        """Its last line says so, with the seconds that the end has taken,
        which are returned."""
        last = daemon.log().splitlines()[-1]
        self.assertRegex(
            last, r' info ended seconds="\d+\.\d{3}"'
            rf' connections_cut="{connections_cut}"'
            rf' requests_cut="{requests_cut}"$')
        return float(last.split('"')[1])

    def readyz(self, daemon):
        return fetch(daemon.metrics_port, "/readyz").status

    def is_refused(self, daemon):
        try:
            Connection(daemon.port, 1).close()
            return False
        except OSError:
            return True

    def busy(self, daemon, count=1):
        clients = [self.use(daemon.connect()) for _ in range(count)]
        before = len(self.origin.requests)
        for i, client in enumerate(clients):
            client.request("GET", f"/wait/{i}")
        wait_until(lambda: len(self.origin.requests) == before + count,
                   what="all are under way")
        return clients

    def test_readyz_says_503_first_and_clients_are_still_served(self):
        clock = self.use(Clock())
        daemon = self.start("drain_delay = 10m", env=clock.env)
        self.assertEqual(self.readyz(daemon), 200)
        self.assertEqual(ready(daemon), (0, ""))
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: self.readyz(daemon) == 503, what="/readyz says it")
        self.assertEqual(
            ready(daemon), (1, "nearside: not ready: /readyz says 503\n"))
        for i in range(2):
            self.assertEqual(daemon.get(f"/{i}").body, f"/{i}".encode())
            self.assertEqual(fetch(daemon.metrics_port, "/livez").status, 200)
            clock.move_on(250)
        self.assertEqual(self.readyz(daemon), 503)
        self.assertEqual(daemon.get("/x").body, b"/x")
        clock.move_on(250)
        self.assertEqual(daemon.process.wait(), 0)
        self.assertGreaterEqual(self.assert_ended(daemon, 0, 0), 600)

    def test_answers_under_way_are_finished_and_nobody_else_is_let_in(self):
        daemon = self.start()
        clients = self.busy(daemon, 5)
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: self.is_refused(daemon),
                   what="new connections are refused")
        self.assertTrue(daemon.process.is_running())
        self.steps.go("end")
        for i, client in enumerate(clients):
            got = client.read_response()
            self.assertEqual(got.body, f"/wait/{i}".encode())
            self.assertEqual(got.fields["Connection"], "close")
            self.assertTrue(client.is_closed())
            client.close()
        self.assertEqual(daemon.process.wait(), 0)

    def test_idle_connections_are_closed_at_once(self):
        daemon = self.start()
        clients = [self.use(daemon.connect()) for _ in range(5)]
        for client in clients:
            client.request("GET", "/x")
            client.read_response()
        daemon.signal(signal.SIGTERM)
        for client in clients:
            self.assertTrue(client.is_closed())
        self.assertEqual(daemon.process.wait(), 0)

    def test_an_upload_under_way_is_finished(self):
        daemon = self.start()
        with daemon.connect() as client:
            client.send(b"POST /up HTTP/1.1\r\nHost: test\r\n"
                        b"Content-Length: 10\r\n\r\nhello")
            wait_until(lambda: self.origin.connections == 1,
                       what="it has begun")
            daemon.signal(signal.SIGTERM)
            wait_until(lambda: self.is_refused(daemon), what="it drains")
            client.send(b"world")
            self.assertEqual(client.read_response().body, b"/up")
        self.assertEqual(self.origin.requests[0].body, b"helloworld")
        self.assertEqual(daemon.process.wait(), 0)

    def test_drain_timeout_cuts_what_is_left(self):
        daemon = self.start("drain_delay = 0ms  \ndrain_timeout = 500ms")
        clients = self.busy(daemon)
        start = time.monotonic()
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(), 0)
        self.assertGreaterEqual(time.monotonic() - start, 0.48)
        with self.assertRaises((WireError, OSError)):
            clients[0].read_response()
        self.assertRegex(daemon.log(), "drain_timeout")
        self.assertGreaterEqual(self.assert_ended(daemon, 1, 1), 0.5)

    def test_a_second_sigterm_stops(self):
        daemon = self.start("drain_delay = 10m\ndrain_timeout = 10m")
        self.busy(daemon, 2)
        idle = self.use(daemon.connect())
        idle.request("GET", "/x")
        idle.read_response()
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: self.readyz(daemon) == 503, what="it drains")
        daemon.signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(), 0)
        self.assert_ended(daemon, 3, 2)

    def test_a_drain_that_is_over_as_the_second_sigterm_comes(self):
        """Its last message once found the control loop gone."""
        for i in range(16):
            daemon = self.start()
            clients = self.busy(daemon, 2)
            daemon.signal(signal.SIGTERM)
            wait_until(lambda d=daemon: self.is_refused(d),
                       what="it drains")
            daemon.signal(signal.SIGTERM)
            # A race is looked for: within its window, not at a condition.
            until = time.perf_counter() + i * 15e-6
            while time.perf_counter() < until:
                pass
            for client in clients:
                client.reset()
            self.assertEqual(daemon.process.wait(), 0, daemon.log())
            self.steps.go("end")  # the origin has waited long enough

    def test_a_deletion_under_way_is_waited_for(self):
        redis = self.use(RedisServer())
        origin = self.use(ScriptedOrigin(lambda c, r, n: answer(c, b"a")))
        daemon = self.use(Nearside(conf(
            origin.url, 'route "/*" { ttl = 60s }', redis=redis).replace(
                "command_timeout = 2s", "command_timeout = 50ms")))
        wait_until(lambda: "; hit" in daemon.get("/a").cache_status,
                   what="it is stored")
        redis.pause()
        self.assertEqual(
            daemon.get("/a", method="PUT", body=b"x").status, 200)
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: self.is_refused(daemon), what="it drains")
        time.sleep(0.3)  # what it would have ended in, if it did not wait
        self.assertTrue(daemon.process.is_running())
        redis.resume()
        self.assertEqual(daemon.process.wait(), 0)
        self.assertEqual(redis("KEYS", "ns:e:*"), [])

    def test_not_for_ever_and_what_is_lost_is_told(self):
        redis = self.use(RedisServer())
        origin = self.use(ScriptedOrigin(lambda c, r, n: answer(c, b"a")))
        daemon = self.use(Nearside(conf(
            origin.url, 'route "/*" { ttl = 60s }', redis=redis,
            more="drain_timeout = 500ms").replace(
                "command_timeout = 2s", "command_timeout = 50ms")))
        redis.pause()
        self.addCleanup(redis.resume)
        daemon.get("/a", method="PUT", body=b"x")
        daemon.signal(signal.SIGTERM)
        daemon.process.wait()
        self.assertIn("invalidation_lost", daemon.log())
        self.assert_ended(daemon, r"\d+", r"\d+")

    @unittest.skipUnless(os.environ.get("NEARSIDE_LONG") == "1",
                         "it takes more than a minute")
    def test_what_is_given_up_after_a_minute_is_told_and_counted(self):
        redis = self.use(RedisServer())
        origin = self.use(ScriptedOrigin(lambda c, r, n: answer(c, b"a")))
        daemon = self.use(Nearside(conf(
            origin.url, 'route "/*" { ttl = 60s }', redis=redis)))
        redis.kill()
        daemon.get("/a", method="PUT", body=b"x")
        daemon.wait_metric("nearside_invalidations_failed_total", 1, 90)
        self.assertEqual(
            daemon.metric("nearside_invalidations_failed_total"), 1)
        daemon.wait_log("invalidation_lost")

    def test_sigint_does_not_wait_for_a_balancer(self):
        daemon = self.start("drain_delay = 10m")
        daemon.signal(signal.SIGINT)
        self.assertEqual(daemon.process.wait(), 0)

    def test_sighup_and_sigpipe_do_not_end_it(self):
        daemon = self.start()
        daemon.signal(signal.SIGHUP)
        daemon.signal(signal.SIGPIPE)
        self.assertEqual(daemon.get("/x").status, 200)

    def test_sigusr1_opens_the_access_log_anew(self):
        daemon = self.start(
            more='access_log { target = "file:@DIR@/access.log" }\n')
        path = os.path.join(daemon.dir, "access.log")

        def text(at):
            if not os.path.exists(at):
                return ""
            with open(at) as f:
                return f.read()

        daemon.get("/before")
        wait_until(lambda: "/before" in text(path), what="it is written")
        os.rename(path, path + ".1")
        daemon.get("/between")
        wait_until(lambda: "/between" in text(path + ".1"),
                   what="the old file is still written")
        daemon.signal(signal.SIGUSR1)
        wait_until(lambda: os.path.exists(path), what="a new file is there")
        daemon.get("/after")
        wait_until(lambda: "/after" in text(path), what="it is written")
        self.assertNotIn("/after", text(path + ".1"))


@contextlib.contextmanager
def excused(start, seconds=1.0):
    """A connection that fails does not count once the daemon may close it: the
    machine kept the test from being quick enough."""
    try:
        yield
    except (WireError, OSError):
        if time.monotonic() - start < seconds:
            raise


class Traffic:
    """Clients of one daemon until it lets nobody in any more. What they lose
    is what is counted: a request that was sent and not answered whole.

    A client that has said nothing for as long as drain_delay is idle, and its
    connection may be closed; so may be a new one after a second. On a busy
    machine a thread may be kept from sending for that long. Then its request
    does not count.
    """

    PACE = 0.004  # between two requests of a client; what is tested
    IDLE = 1.0    # drain_delay, and what a new connection has

    def __init__(self, daemon, kept=3, anew=1):
        self.daemon = daemon
        self.answered = 0
        self.lost = []
        self.lock = threading.Lock()
        places = [daemon.port, *daemon.unix_paths]
        self.threads = [
            threading.Thread(target=self._run, args=(where, is_kept),
                             daemon=True)
            for where in places
            for is_kept in [True] * kept + [False] * anew]
        for thread in self.threads:
            thread.start()

    def _connect(self, where):
        try:
            return Connection(where, 5)
        except OSError:
            return None  # refused: nothing was sent, so nothing is lost

    def _ask(self, client, is_kept, silent_since):
        """One request; may the next one come on the same connection?"""
        sent = None
        try:
            client.request("GET", "/x")
            sent = time.monotonic()
            got = client.read_response()
            with self.lock:
                self.answered += 1
            return is_kept and got.fields["Connection"] != "close"
        except (WireError, OSError) as error:
            if (sent or time.monotonic()) - silent_since < self.IDLE:
                with self.lock:
                    self.lost.append((is_kept, str(error)))
            return False

    def _run(self, where, is_kept):
        silent_since = time.monotonic()
        client = self._connect(where)
        while client is not None:
            now = time.monotonic()
            if not self._ask(client, is_kept, silent_since):
                client.close()
                now = time.monotonic()
                client = self._connect(where)
            silent_since = now
            time.sleep(self.PACE)

    def wait(self):
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive(), "a client does not end"


class Lossless(FlowTest):
    """Nothing is lost at SIGTERM: neither on connections that are kept, nor
    by those who connect at that moment, over TCP and a unix socket."""

    def setUp(self):
        self.origin = self.use(ScriptedOrigin(
            lambda c, r, n: answer(c, b"x" * 300)))

    def start(self, delay="1s", workers=2):
        return self.use(Nearside(conf(
            self.origin.url, workers=workers,
            more='listen = { "127.0.0.1:0", "unix:@DIR@/sock" }').replace(
                "drain_delay = 0ms", f"drain_delay = {delay}")))

    def test_fifteen_drains_lose_nothing(self):
        answered = 0
        lost = []
        for i in range(5):
            daemons = [self.start(workers=1 + (i + j) % 3) for j in range(3)]
            traffics = [Traffic(daemon) for daemon in daemons]
            for daemon, traffic in zip(daemons, traffics):
                wait_until(lambda t=traffic: t.answered > 40, 30,
                           "they are at it")
                daemon.signal(signal.SIGTERM)
            for daemon, traffic in zip(daemons, traffics):
                self.assertEqual(daemon.process.wait(), 0)
                traffic.wait()
                answered += traffic.answered
                lost += traffic.lost
        kept = sum(is_kept for is_kept, _ in lost)
        print(f"15 drains: {answered} answered, lost {kept} on kept"
              f" connections and {len(lost) - kept} on new ones",
              file=sys.stderr)
        self.assertEqual(lost, [])

    def test_from_sigterm_on_an_answer_ends_its_connection(self):
        daemon = self.start("20s")
        with daemon.connect() as kept, daemon.connect() as other:
            for client in (kept, other):
                client.request("GET", "/x")
                self.assertNotIn("Connection", client.read_response().fields)
            daemon.signal(signal.SIGTERM)
            wait_until(lambda: fetch(daemon.metrics_port, "/readyz").status
                       == 503, what="/readyz says it")
            kept.request("GET", "/x")
            self.assertEqual(kept.read_response().fields["Connection"],
                             "close")
            self.assertTrue(kept.is_closed())
            self.assertFalse(other.has_bytes(0.1))  # it may still ask
            with daemon.connect() as late:
                late.request("GET", "/x")
                self.assertEqual(late.read_response().fields["Connection"],
                                 "close")

    def begun(self, delay):
        """A daemon, and a client that has the beginning of an answer."""
        self.steps = Steps()
        self.addCleanup(self.steps.go, "end")

        def script(connection, request, n):
            if request.target == "/slow":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
                                b"be")
                self.steps.wait("end")
                connection.send(b"en")
                return True
            return answer(connection, b"x")

        self.origin = self.use(ScriptedOrigin(script))
        daemon = self.start(delay)
        client = self.use(daemon.connect())
        client.request("GET", "/slow")
        head = client.read_head()
        self.assertNotIn("Connection", head.fields)
        daemon.signal(signal.SIGTERM)
        return daemon, client, head

    def end(self, client, head):
        self.steps.go("end")
        self.assertEqual(b"".join(client.body_pieces(head)), b"been")

    def test_an_answer_that_has_not_said_close_does_not_close(self):
        """Its head was made before the drain began, and its client may send
        the next request."""
        daemon, client, head = self.begun("20s")
        wait_until(lambda: fetch(daemon.metrics_port, "/readyz").status
                   == 503, what="/readyz says it")
        self.end(client, head)
        self.assertFalse(client.has_bytes(0.1))
        client.request("GET", "/x")
        got = client.read_response()
        self.assertEqual((got.status, got.fields["Connection"]),
                         (200, "close"))
        self.assertTrue(client.is_closed())

    def test_a_request_behind_such_an_answer_is_answered(self):
        """Even when the time is over; without one the connection ends."""
        for is_ahead in (True, False):
            with self.subTest(is_ahead=is_ahead):
                daemon, client, head = self.begun("0ms")
                wait_until(lambda d=daemon: not os.path.exists(
                    d.unix_paths[0]), what="it drains")
                if is_ahead:
                    client.request("GET", "/x")
                self.end(client, head)
                if is_ahead:
                    got = client.read_response()
                    self.assertEqual((got.status, got.fields["Connection"]),
                                     (200, "close"))
                self.assertTrue(client.is_closed())
                client.close()
                self.assertEqual(daemon.process.wait(), 0)

    def test_who_is_queued_is_answered(self):
        """They have connected, and nobody has accepted them, when the drain
        begins: the one worker accepts sixteen a turn."""
        daemon = self.start("0ms", workers=1)
        for where in (daemon.port, daemon.unix_paths[0]):
            self.assertEqual(fetch(where, "/x").status, 200)
        daemon.pause()
        clients = [self.use(Connection(where)) for _ in range(100)
                   for where in (daemon.port, daemon.unix_paths[0])]
        silent, spoken = clients[:2], clients[2:]
        for client in spoken:
            client.request("GET", "/x")
        start = time.monotonic()
        daemon.signal(signal.SIGTERM)
        daemon.resume()
        self.assertEqual(spoken.pop().read_response().status, 200)
        # These have not said anything yet: they have their second.
        with excused(start):
            for client in silent:
                client.request("GET", "/x")
                self.assertEqual(client.read_response().status, 200)
        for client in spoken:
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual(daemon.process.wait(), 0)

    def test_a_request_that_crosses_the_end_is_not_reset(self):
        """It is not answered; but the client sees an orderly end, after
        which it may ask again elsewhere."""
        daemon = self.start("0ms")
        with daemon.connect() as client:
            client.request("GET", "/x")
            client.read_response()
            start = time.monotonic()
            daemon.signal(signal.SIGTERM)
            self.assertTrue(select.select([client.sock], [], [], 10)[0])
            with excused(start):
                client.request("GET", "/x")
                client.send(b"x")  # fails if that was answered with a reset
                self.assertEqual(client.read_some(), b"")
        self.assertEqual(daemon.process.wait(), 0)

    def test_the_path_is_left_to_the_next_one(self):
        """It binds the same path while the first still ends."""
        first = self.start("0ms")
        path = first.unix_paths[0]
        with Connection(path) as client:
            client.send(b"POST /up HTTP/1.1\r\nHost: test\r\n"
                        b"Content-Length: 5\r\n\r\n")
            wait_until(lambda: self.origin.connections == 1,
                       what="it has begun")
            first.signal(signal.SIGTERM)
            wait_until(lambda: not os.path.exists(path),
                       what="the path is free")
            heir = self.use(Nearside(conf(
                self.origin.url, more=f'listen = {{ "unix:{path}" }}')))
            self.assertEqual(heir.unix_paths, [path])
            client.send(b"hello")
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual(first.process.wait(), 0)
        self.assertEqual(fetch(path, "/x").status, 200)
        heir.stop()
        self.assertFalse(os.path.exists(path))

    def test_an_admin_socket_that_another_has_bound_stays(self):
        def start():
            return self.use(Nearside(conf(
                self.origin.url).replace("admin = off",
                                         f'admin = "unix:{path}"')))

        path = os.path.join(temp_dir("admin"), "sock")
        first = start()
        os.unlink(path)  # as somebody does who wants to start the next one
        heir = start()
        first.stop()
        self.assertEqual(heir.status()["state"], "serving")


class Valgrind(FlowTest):
    """Nothing is lost at SIGTERM after a bit of everything."""

    @unittest.skipIf(SANITIZED, "valgrind and a sanitizer do not go together")
    def test_nothing_is_lost_at_sigterm(self):
        wrap = ("valgrind --quiet --error-exitcode=9 --leak-check=full"
                " --errors-for-leak-kinds=definite,indirect"
                " --show-leak-kinds=definite,indirect")
        with mock.patch.dict(os.environ, {"NEARSIDE_WRAP": wrap}):
            self.workload()

    def workload(self):
        redis = self.use(RedisServer())
        origin = self.use(SampleOrigin())
        daemon = self.use(Nearside(conf(
            origin.url, 'route "/products/:id" { ttl = 60s }\n'
            'route "/header" { ttl = 60s  cookie = key }',
            "head_timeout = 2s  object_max = 100KB", redis), timeout=60))
        daemon.timeout = 60

        def client_of(i):
            with daemon.connect() as client:
                for j in range(6):
                    for method, target, fields, body in (
                            ("GET", f"/products/{j}", {}, None),
                            ("HEAD", f"/products/{j}", {}, None),
                            ("PUT", f"/products/{j}", {}, b'{"price":1}'),
                            ("GET", "/header?set-cookie=a", {}, None),
                            ("GET", "/header", {"Cookie": f"u={i}"}, None),
                            ("GET", "/bytes/300000?chunked=1", {}, None)):
                        client.request(method, target, fields, body)
                        client.read_response(method)

        together(6, client_of)
        for data in (b"GET x HTTP/1.1\r\n\r\n", b"GET / HT",
                     b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
                     b"\r\nhel", b"GET /bytes/900000 HTTP/1.1\r\nHost: a\r\n"
                     b"\r\n"):
            with daemon.connect() as client:
                client.send(data)
                client.has_bytes(0.1)
                client.reset()
        redis.kill()
        daemon.get("/products/50")
        origin.kill()
        self.assertEqual(daemon.get("/products/51").status, 502)
        held = self.use(daemon.connect())
        held.request("GET", "/products/52")
        held.read_response()
        daemon.stop(60)


if __name__ == "__main__":
    unittest.main()
