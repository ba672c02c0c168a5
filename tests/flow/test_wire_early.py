# ctest: jobs=3 cost=6
"""Answers that come before the request's content has: they reach a client
that sends all of it first, and what it sends is read and dropped for a
while (RFC 9112 9.6)."""

import select
import signal
import threading
import time
import unittest

from lib import FlowTest, Nearside, ScriptedOrigin, wait_until
from lib.clock import Clock, turns
from lib.scripted import answer, conf

HIT = "nearside_limits_hit_total"
UPLOAD = bytes(30_000_000)
LONG = "linger_timeout = 10m  linger_total = 10m  "  # than any test takes


def reads_on(connection, request, n):
    """Answers at once, and reads the content all the same."""
    del n
    answer(connection, b"who are you?", status="401 Unauthorized")
    for _ in connection.request_pieces(request):
        pass
    return False


def reads_first(connection, request, n):
    """The same once a little of it has come."""
    del n
    pieces = connection.request_pieces(request)
    next(pieces)
    answer(connection, b"who are you?", status="401 Unauthorized")
    for _ in pieces:
        pass
    return False


def wait_for_reset(connection):
    """Without reading."""
    poll = select.poll()
    poll.register(connection.sock, 0)
    poll.poll(10_000)


def reads_no_more(connection, request, n):
    del request, n
    answer(connection, b"who are you?", status="401 Unauthorized")
    wait_for_reset(connection)
    return False


def closes(connection, request, n):
    del request, n
    answer(connection, b"who are you?", status="401 Unauthorized",
           fields=[("Connection", "close")])
    connection.half_close()
    wait_for_reset(connection)
    return False


class Early(FlowTest):
    def start(self, script, limits="", env=None, **more):
        self.origin = self.use(ScriptedOrigin(script, with_body=False))
        self.daemon = self.use(Nearside(conf(
            self.origin.url, limits=limits, **more), env=env))

    def head(self, *lines, method=b"POST"):
        return method + b" /x HTTP/1.1\r\nHost: test\r\n" + b"".join(
            line + b"\r\n" for line in lines) + b"\r\n"

    def send_all_then_read(self, data):
        """As most clients do: whoever resets them loses the answer."""
        with self.daemon.connect(receive_buffer=4096) as client:
            client.send(data)
            client.half_close()
            got = client.read_response()
            self.assertTrue(client.is_closed())
            return got

    def with_length(self):
        return self.head(b"Content-Length: %d" % len(UPLOAD)) + UPLOAD

    def with_chunks(self):
        chunk = b"10000\r\n" + UPLOAD[:0x10000] + b"\r\n"
        return (self.head(b"Transfer-Encoding: chunked")
                + chunk * (len(UPLOAD) // 0x10000) + b"0\r\n\r\n")


class Answers(Early):
    def test_of_an_origin(self):
        for script in (reads_on, reads_first, reads_no_more, closes):
            self.start(script, "body_max = 0")
            for what, data in (("length", self.with_length()),
                               ("chunks", self.with_chunks())):
                with self.subTest(script=script.__name__, what=what):
                    got = self.send_all_then_read(data)
                    self.assertEqual((got.status, got.body),
                                     (401, b"who are you?"))
                    self.assertEqual(got.fields["Connection"], "close")

    def test_of_our_own(self):
        self.start(reads_on, "body_max = 1MB  body_timeout = 300ms",
                   routes='route "/x" { methods = { "GET" } }')
        long = b"X: " + b"x" * 9000
        for status, data in (
                (413, self.head(b"Content-Length: 30000000",
                                method=b"GET") + UPLOAD),
                (413, self.with_length()),
                (405, self.with_chunks()),
                (400, self.head(b"Transfer-Encoding: chunked", method=b"GET")
                 + b"bad\r\n" + UPLOAD),
                (400, b"POST /x\r\n\r\n" + UPLOAD),
                (431, self.head(long) + UPLOAD)):
            with self.subTest(status=status, first=data[:60]):
                self.assertEqual(self.send_all_then_read(data).status, status)

    def test_of_our_own_once_it_has_gone_on(self):
        """413 for chunks that are too many only together."""
        self.start(reads_no_more, "body_max = 1MB")
        self.origin.script = lambda c, r, n: wait_for_reset(c)
        self.assertEqual(
            self.send_all_then_read(self.with_chunks()).status, 413)

    def test_a_long_one(self):
        """The client reads none of it before it has sent all."""
        page = bytes(range(256)) * 32000

        def script(connection, request, n):
            if n == 1:
                time.sleep(0.3)  # until no more is taken from the client
            answer(connection, page, status="413 Too Large")
            wait_for_reset(connection)
            return False

        self.start(script, "body_max = 0  buffer_max = 16MB")
        for what in ("at once", "when the client waits for it to read"):
            with self.subTest(what=what):
                got = self.send_all_then_read(self.with_length())
                self.assertEqual((got.status, got.body), (413, page))

    def test_a_client_that_has_ended_its_half(self):
        """It stopped at the answer's head, and reads on."""
        def script(connection, request, n):
            connection.send(b"HTTP/1.1 403 Forbidden\r\n"
                            b"Content-Length: 7\r\n\r\n")
            self.half_closed.wait(60)
            time.sleep(0.1)  # an abort would have come
            connection.send(b"refused")

        self.half_closed = threading.Event()
        self.addCleanup(self.half_closed.set)
        self.start(script)
        with self.daemon.connect() as client:
            client.send(self.head(b"Content-Length: 100") + b"x" * 50)
            head = client.read_head()
            client.half_close()
            self.half_closed.set()
            self.assertEqual(b"".join(client.body_pieces(head)), b"refused")
            self.assertTrue(client.is_closed())

    def test_what_comes_behind_is_no_request(self):
        self.start(reads_no_more)
        with self.daemon.connect() as client:
            client.send(self.head(b"Content-Length: 5"))
            self.assertEqual(client.read_response().status, 401)
            client.send(b"hello" + self.head(b"Content-Length: 0") * 1000)
            self.assertTrue(client.is_closed())
        self.assertEqual(len(self.origin.requests), 1)


class Limits(Early):
    """How long what comes behind an answer is read, and of how many."""

    def answered(self, **more):
        client = self.use(self.daemon.connect(**more))
        client.send(self.head(b"Content-Length: 1000000"))
        self.assertEqual(client.read_response().status, 401)
        self.assertTrue(client.is_closed())  # its FIN; we may go on sending
        return client

    def is_reset(self, client):
        """Is what we send refused?"""
        try:
            client.send(b"x")
        except OSError:
            return True
        return False

    def connections(self):
        return self.daemon.metric("nearside_connections")

    def start_with_clock(self, limits):
        """Of whose time only the test disposes. The other client is idle, and
        tells when the worker has seen what there is."""
        self.clock = self.use(Clock())
        self.start(reads_no_more, limits, workers=1, env=self.clock.env)
        self.other = self.use(self.daemon.connect())
        turns(self.other)

    def trickle(self, client, seconds, pause=0.05):
        """For how long it could send; at most so many seconds."""
        start = time.monotonic()
        while time.monotonic() < start + seconds:
            if self.is_reset(client):
                break
            time.sleep(pause)
        return time.monotonic() - start

    def test_linger_timeout_is_for_silence(self):
        self.start_with_clock("linger_timeout = 20s  linger_total = 10m")
        client = self.answered()
        for _ in range(3):
            self.clock.move_on_and_see(15, self.other)
            self.assertFalse(self.is_reset(client))
            turns(self.other)
        self.clock.move_on_and_see(15, self.other)
        self.assertEqual(self.connections(), 2)
        self.clock.move_on_and_see(15, self.other)
        wait_until(lambda: self.connections() == 1, what="it is closed")
        wait_until(lambda: self.is_reset(client), what="it is told so")

    def test_linger_total_is_for_all_of_it(self):
        self.start_with_clock("linger_timeout = 20s  linger_total = 50s")
        client = self.answered()
        for _ in range(3):
            self.clock.move_on_and_see(15, self.other)
            self.assertFalse(self.is_reset(client))
            turns(self.other)
        self.assertEqual(self.daemon.metric(HIT, limit="linger_total"), 0)
        self.clock.move_on_and_see(15, self.other)
        wait_until(lambda: self.is_reset(client), what="it is cut")
        self.daemon.wait_metric(HIT, 1, limit="linger_total")

    def test_a_client_that_closes_is_not_waited_for(self):
        self.start(reads_no_more, LONG)
        self.answered().close()
        wait_until(lambda: self.connections() == 0, what="it is closed")

    def test_they_count_as_connections_of_their_address(self):
        self.start(reads_no_more, LONG + "connections_per_ip = 2")
        self.answered()
        self.answered()
        self.assertEqual(self.daemon.get("/x").status, 503)
        self.assertEqual(self.daemon.metric(
            HIT, limit="connections_per_ip"), 1)

    def test_beyond_linger_max_the_oldest_is_cut(self):
        self.start(reads_no_more, LONG + "linger_max = 3", workers=1)
        clients = [self.answered() for _ in range(5)]
        self.daemon.wait_metric(HIT, 2, limit="linger_max")
        wait_until(lambda: self.is_reset(clients[0]) and
                   self.is_reset(clients[1]), what="the oldest are cut")
        for client in clients[2:]:
            self.assertGreaterEqual(self.trickle(client, 0.1), 0.1)

    def test_linger_max_is_for_all_workers_together(self):
        self.start(reads_no_more, LONG + "linger_max = 7", workers=4)
        clients = [self.answered() for _ in range(7)]
        for client in clients:
            self.assertGreaterEqual(self.trickle(client, 0.1), 0.1)
        self.assertEqual(self.daemon.metric(HIT, limit="linger_max"), 0)

    def test_they_give_way_when_connections_max_is_near(self):
        self.start(reads_no_more, LONG + "connections_max = 10", workers=1)
        clients = [self.answered() for _ in range(9)]
        busy = self.use(self.daemon.connect())
        busy.send(b"GET /")
        self.daemon.wait_metric(HIT, 1, limit="idle_shed")
        wait_until(lambda: self.is_reset(clients[0]),
                   what="the oldest is cut")

    def test_a_drain_ends_them(self):
        self.start(reads_no_more, LONG, more="drain_timeout = 10m")
        clients = [self.answered() for _ in range(3)]
        stop = threading.Event()
        self.addCleanup(stop.set)

        def send_on():
            while not stop.wait(0.02) and not self.is_reset(clients[0]):
                pass

        threading.Thread(target=send_on, daemon=True).start()
        self.daemon.signal(signal.SIGTERM)
        self.assertEqual(self.daemon.process.wait(), 0)

    def test_an_answer_within_a_drain_is_not_lost(self):
        self.allowed = threading.Event()
        self.addCleanup(self.allowed.set)

        def script(connection, request, n):
            self.allowed.wait(60)
            return reads_no_more(connection, request, n)

        self.start(script, "body_max = 0")
        with self.daemon.connect() as client:
            client.send(self.head(b"Content-Length: 30000000"))
            wait_until(lambda: self.origin.requests, what="it is under way")
            self.daemon.signal(signal.SIGTERM)
            self.daemon.wait_log("drain")
            self.allowed.set()
            client.send(UPLOAD)
            self.assertEqual(client.read_response().status, 401)
        self.assertEqual(self.daemon.process.wait(), 0)


class Expect(Early):
    """Expect: 100-continue is the origin's to answer (RFC 9110 10.1.1)."""

    HEAD = (b"POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n"
            b"Expect: 100-continue\r\n\r\n")
    CHUNKED = HEAD.replace(b"Content-Length: 5",
                           b"Transfer-Encoding: chunked")
    CONTENT = {HEAD: b"hello", CHUNKED: b"5\r\nhello\r\n0\r\n\r\n"}

    def start_continuing(self, interim=b"HTTP/1.1 100 Continue\r\n\r\n",
                         **more):
        """The origin says so once it is allowed to."""
        self.allowed = threading.Event()
        self.addCleanup(self.allowed.set)

        def script(connection, request, n):
            self.allowed.wait(60)
            connection.send(interim)
            body = b"".join(connection.request_pieces(request))
            return answer(connection, body)

        self.start(script, **more)

    def test_it_is_forwarded_and_the_origins_100_comes_back(self):
        self.start_continuing()
        for head in self.CONTENT:
            self.allowed.clear()
            with self.subTest(head=head), self.daemon.connect() as client:
                client.send(head)
                wait_until(lambda: self.origin.requests, what="it has come")
                self.assertFalse(client.has_bytes(0.2))  # none of our own
                self.allowed.set()
                got = client.read_response(skip_1xx=False)
                self.assertEqual((got.status, got.fields.fields), (100, []))
                client.send(self.CONTENT[head])
                got = client.read_response(skip_1xx=False)
                self.assertEqual((got.status, got.body), (200, b"hello"))
                request = self.origin.requests.pop()
                self.assertEqual(request.fields.all("Expect"),
                                 ["100-continue"])
                client.send(self.head(b"Content-Length: 2") + b"hi")
                self.assertEqual(client.read_response().body, b"hi")
                self.assertNotIn("Expect",
                                 self.origin.requests.pop().fields)

    def test_a_100_with_fields_of_its_own(self):
        self.start_continuing(
            b"HTTP/1.1 100 Continue\r\nX: y\r\nConnection: z\r\nZ: 1\r\n\r\n")
        self.allowed.set()
        with self.daemon.connect() as client:
            client.send(self.HEAD)
            got = client.read_response(skip_1xx=False)
            self.assertEqual((got.status, got.fields.fields),
                             (100, [("x", "y")]))
            client.send(b"hello")
            self.assertEqual(client.read_response().body, b"hello")

    def test_a_final_answer_comes_before_any_content_is_asked_for(self):
        for reuse in ("off", "on"):
            with self.subTest(reuse=reuse):
                self.start(reads_no_more,
                           origin_more=f"reuse_after_body = {reuse}")
                with self.daemon.connect() as client:
                    client.send(self.HEAD)
                    got = client.read_response(skip_1xx=False)
                    self.assertEqual((got.status, got.fields["Connection"]),
                                     (401, "close"))
                    self.assertTrue(client.is_closed())
                wait_until(lambda: self.daemon.metric(
                    "nearside_origin_connections") == 0,
                    what="the origin's connection is closed, too")

    def test_who_sends_without_waiting_gets_no_100(self):
        """Or later, when it has waited long enough."""
        self.start_continuing()
        with self.daemon.connect() as client:
            client.send(self.HEAD + b"hel")
            wait_until(lambda: self.origin.requests, what="it has come")
            time.sleep(0.1)  # and its content, too
            self.allowed.set()
            self.assertFalse(client.has_bytes(0.2))
            client.send(b"lo")
            got = client.read_response(skip_1xx=False)
            self.assertEqual((got.status, got.body), (200, b"hello"))

    def test_an_origin_that_says_nothing_gets_the_content_all_the_same(self):
        self.start_continuing(b"")
        self.allowed.set()
        with self.daemon.connect() as client:
            client.send(self.HEAD)
            self.assertFalse(client.has_bytes(0.2))
            client.send(b"hello")
            self.assertEqual(client.read_response().body, b"hello")

    def test_a_connection_without_the_100_is_not_used_again(self):
        """Its origin may not have read the content."""
        def script(connection, request, n):
            if n == 0:
                next(connection.request_pieces(request))
                answer(connection, b"no", status="403 Forbidden")
            else:
                for _ in connection.request_pieces(request):
                    pass
                answer(connection)
            return True

        self.start(script, origin_more="reuse_after_body = on", workers=1)
        for status in (403, 200):
            with self.daemon.connect() as client:
                client.send(self.HEAD + b"hello")
                self.assertEqual(client.read_response().status, status)
        self.assertEqual(self.origin.connections, 2)

    def test_only_with_content_and_of_a_client_that_knows_it(self):
        self.start(lambda c, r, n: answer(c, b"".join(c.request_pieces(r))))
        for data, body in (
                (self.HEAD.replace(b": 5", b": 0"), b""),
                (self.HEAD.replace(b"Content-Length: 5\r\n", b""), b""),
                (self.HEAD.replace(b"/1.1", b"/1.0") + b"hello", b"hello")):
            with self.subTest(data=data), self.daemon.connect() as client:
                client.send(data)
                got = client.read_response(skip_1xx=False)
                self.assertEqual((got.status, got.body), (200, body))
                self.assertNotIn("Expect", self.origin.requests.pop().fields)

    def test_who_waits_for_the_100_is_not_late(self):
        self.start_continuing(
            limits="body_timeout = 300ms  body_min_rate = 1KB"
            "  body_min_rate_after = 300ms")
        with self.daemon.connect() as client:
            client.send(self.HEAD)
            self.assertFalse(client.has_bytes(0.6))
            self.allowed.set()
            self.assertEqual(
                client.read_response(skip_1xx=False).status, 100)
            start = time.monotonic()  # and from here on it is its turn
            self.assertEqual(client.read_response().status, 408)
            self.assertGreaterEqual(time.monotonic() - start, 0.28)

    def test_an_origin_that_says_nothing_is_late(self):
        self.start_continuing(origin_more="first_byte_timeout = 300ms")
        with self.daemon.connect() as client:
            client.send(self.HEAD)
            got = client.read_response(skip_1xx=False)
            self.assertEqual(got.status, 504)
            self.assertIn("http_response_timeout",
                          got.fields["Proxy-Status"])


if __name__ == "__main__":
    unittest.main()
