# ctest: jobs=3 cost=4
"""An origin that refuses, hangs, stalls, resets or answers too early."""

import signal
import socket
import threading
import time
import unittest

from lib import (Connection, FlowTest, Nearside, RedisServer, ScriptedOrigin,
                 WireError, free_port, wait_until)
from lib.clock import Clock, turns
from lib.scripted import Steps, answer, conf, together

FRESH = (("Cache-Control", "max-age=60"),)


class Faults(FlowTest):
    def start(self, script, origin_more="", routes="", redis=None, limits="",
              with_body=True):
        self.origin = self.use(ScriptedOrigin(script, with_body))
        return self.use(Nearside(conf(
            self.origin.url, routes, limits, redis, workers=1,
            origin_more=origin_more)))

    def start_with_clock(self, url, origin_more, more=""):
        """Of the time only the test disposes. The other client is idle, and
        tells when the one worker has seen what there is."""
        self.clock = self.use(Clock())
        daemon = self.use(Nearside(conf(
            url, 'route "/kept/*" { }', "idle_timeout = 10h", more=more,
            workers=1, origin_more=origin_more), env=self.clock.env))
        self.other = self.use(daemon.connect())
        turns(self.other)
        return daemon

    def minutes_pass(self, minutes):
        self.clock.move_on_and_see(60 * minutes, self.other)

    def ask(self, daemon, target):
        """The worker has asked the origin for it, or waits to."""
        client = self.use(daemon.connect())
        client.request("GET", target)
        turns(self.other)
        return client

    def test_a_refused_connection_is_502_at_once(self):
        daemon = self.use(Nearside(conf(
            f"http://127.0.0.1:{free_port()}", 'route "/kept/*" { }',
            origin_more="connect_timeout = 10m")))
        for target in ("/through", "/kept/1"):
            got = daemon.get(target)
            self.assertEqual(got.status, 502)
            self.assertEqual(got.fields["Proxy-Status"],
                             "nearside; error=connection_refused")
            # RFC 9211 2: that is for the origin's responses.
            self.assertNotIn("Cache-Status", got.fields)

    def test_a_connection_that_never_comes_about_is_504(self):
        # A full backlog: the kernel drops what comes, as a firewall does.
        full = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(full.close)
        port = full.getsockname()[1]
        taken = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            taken.append(one)
            self.addCleanup(one.close)
        daemon = self.start_with_clock(f"http://127.0.0.1:{port}",
                                       "connect_timeout = 10m")
        client = self.ask(daemon, "/x")
        self.minutes_pass(9)
        self.assertFalse(client.has_bytes(0.001))
        self.minutes_pass(2)
        got = client.read_response()
        self.assertEqual(got.status, 504)
        self.assertIn("connection_timeout", got.fields["Proxy-Status"])

    def test_a_silent_origin_is_504_at_first_byte_timeout(self):
        steps = Steps()
        origin = self.use(ScriptedOrigin(lambda c, r, n: steps.wait("end")))
        daemon = self.start_with_clock(origin.url, "first_byte_timeout = 10m")
        self.addCleanup(steps.go, "end")
        for asked, target in enumerate(("/through", "/kept/1"), 1):
            client = self.ask(daemon, target)
            wait_until(lambda n=asked: len(origin.requests) == n,
                       what="it has come")
            turns(self.other)
            self.minutes_pass(9)
            self.assertFalse(client.has_bytes(0.001))
            self.minutes_pass(2)
            got = client.read_response()
            self.assertEqual(got.status, 504)
            self.assertIn("http_response_timeout", got.fields["Proxy-Status"])

    def test_a_route_has_timeouts_of_its_own(self):
        """A stream and a long poll may be silent for longer."""
        def script(connection, request, n):
            if request.target.endswith("poll"):
                time.sleep(0.6)  # the pauses are what is tested
                return answer(connection, b"news")
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"
                            b"Cache-Control: no-store\r\n\r\nne")
            time.sleep(0.6)
            connection.send(b"ws")
            return True

        short = "first_byte_timeout = 300ms  between_bytes_timeout = 300ms"
        long = "first_byte_timeout = 10m  between_bytes_timeout = 10m"
        for patient, others, route in ((True, short, long),
                                       (False, long, short)):
            daemon = self.start(
                script, others, f'route "/patient/*" {{ {route} }}'
                f' route "/write/*" {{ read = pass  {route} }}')
            for what in ("/patient/poll", "/patient/stream", "/write/stream"):
                with self.subTest(what=what, patient=patient):
                    try:
                        got = daemon.get(what)
                        self.assertEqual((got.status, got.body), (
                            (200, b"news") if patient else
                            (504, b"504 Gateway Timeout: first byte timed"
                             b" out\n")))
                    except (WireError, OSError):
                        self.assertFalse(patient)
                        self.assertNotIn("poll", what)
            if patient:
                self.assertEqual(daemon.get("/poll").status, 504)

    def test_a_body_malformed_from_its_first_byte_is_502(self):
        """Nothing had been sent; whether it is to be stored or not."""
        redis = self.use(RedisServer())
        for body in (b"x\r\n", b"-5\r\nhello\r\n", b"5\r\nhello!\r\n"):
            daemon = self.start(
                lambda c, r, n, body=body: c.send(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                    b"Cache-Control: max-age=60\r\n\r\n" + body),
                routes='route "/kept/*" { }', redis=redis)
            for method, target in (("GET", "/through"), ("GET", "/kept/1"),
                                   ("POST", "/kept/1"), ("PUT", "/x")):
                with self.subTest(body=body, method=method, target=target), \
                        daemon.connect() as client:
                    client.request(method, target)
                    got = client.read_response()
                    self.assertEqual((got.status, got.fields["Proxy-Status"]), (
                        502, "nearside; error=http_response_transfer_coding"))
                    client.request(method, target)  # and it stays
                    self.assertEqual(client.read_response().status, 502)
            self.assertEqual(redis("KEYS", "ns:e:*"), [])

    def test_an_origin_that_fails_amid_its_body_is_logged_as_such(self):
        head = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
        ends = {
            "/length": head + b"Content-Length: 9\r\n\r\nhello",
            "/chunks": head + b"Transfer-Encoding: chunked\r\n\r\n"
                       b"5\r\nhello\r\n",
            "/bad": head + b"Transfer-Encoding: chunked\r\n\r\n"
                    b"5\r\nhello\r\n",
            "/stall": head + b"Content-Length: 9\r\n\r\nhello",
        }
        seen = threading.Event()
        self.addCleanup(seen.set)

        def script(connection, request, n):
            connection.send(ends[request.target])
            seen.wait(60)  # the client has the beginning
            if request.target == "/bad":
                connection.send(b"x\r\n")
            if request.target == "/stall":
                connection.is_closed()

        self.origin = self.use(ScriptedOrigin(script))
        daemon = self.start_with_clock(
            self.origin.url, "between_bytes_timeout = 10m",
            'access_log { target = "file:@DIR@/access.log" }')
        for target in ends:
            seen.clear()
            with daemon.connect() as client:
                client.request("GET", target)
                self.assertEqual(client.read_head().status, 200)
                turns(self.other)
                seen.set()
                if target == "/stall":
                    self.minutes_pass(11)
                with self.assertRaises((WireError, OSError)):
                    while client.read_some():
                        pass
                    raise WireError("ended")

        def said(target):
            with open(f"{daemon.dir}/access.log") as log:
                return [line for line in log
                        if f"GET {target} " in line and line.endswith("\n")]

        for target, what in (("/length", "body cut short"),
                             ("/chunks", "body cut short"),
                             ("/bad", "malformed chunked body"),
                             ("/stall", "stalled")):
            wait_until(lambda t=target: said(t), what="it is logged")
            self.assertRegex(said(target)[0],
                             f' 200 \\d+ .* cache=error tier=origin .*'
                             f'detail="{what}"')

    def test_a_304_that_nobody_asked_for_is_called_that(self):
        redis = self.use(RedisServer())
        daemon = self.start(lambda c, r, n: c.send(
            b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
            routes='route "/kept/*" { }', redis=redis)
        got = daemon.get("/kept/1")
        self.assertEqual((got.status, got.body),
                         (502, b"502 Bad Gateway: 304 not asked for\n"))

    def test_total_timeout_ends_what_trickles(self):
        steps = Steps()
        self.addCleanup(steps.go, *range(4))

        def script(connection, request, n):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
            for step in range(4):
                steps.wait(step)
                connection.send(b"x")
            connection.is_closed()

        origin = self.use(ScriptedOrigin(script))
        daemon = self.start_with_clock(
            origin.url, "total_timeout = 10m  between_bytes_timeout = 4m")
        client = self.ask(daemon, "/x")
        client.read_head()
        for step in range(3):
            steps.go(step)
            self.assertEqual(client.read_exactly(1), b"x")
            self.minutes_pass(3)
        steps.go(3)
        self.assertEqual(client.read_exactly(1), b"x")
        self.minutes_pass(2)
        self.assertTrue(client.is_closed())

    def test_a_stall_cuts_the_answer_and_stores_nothing(self):
        steps = Steps()
        redis = self.use(RedisServer())

        def script(connection, request, n):
            if n == 1:
                return answer(connection, b"whole", FRESH)
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"
                            b"Cache-Control: max-age=60\r\n\r\nhello")
            steps.wait("end")

        self.addCleanup(steps.go, "end")
        daemon = self.start(script, "between_bytes_timeout = 300ms",
                            'route "/kept/*" { }', redis)
        with self.assertRaises((WireError, OSError)):
            daemon.get("/kept/1")
        self.assertEqual(redis("KEYS", "ns:e:*"), [])
        got = daemon.get("/kept/1")
        self.assertEqual((got.status, got.body), (200, b"whole"))

    def test_pauses_shorter_than_the_limit_are_waited_for(self):
        steps = Steps()
        self.addCleanup(steps.go, *range(6))

        def script(connection, request, n):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
            for step in range(6):
                steps.wait(step)
                connection.send(b"hello!"[step:step + 1])
            return True

        origin = self.use(ScriptedOrigin(script))
        daemon = self.start_with_clock(
            origin.url, "between_bytes_timeout = 10m  total_timeout = 10h")
        client = self.ask(daemon, "/x")
        client.read_head()
        got = b""
        for step in range(6):
            self.minutes_pass(8)
            steps.go(step)
            got += client.read_exactly(1)
        self.assertEqual(got, b"hello!")

    def test_a_get_on_a_connection_that_was_closed_is_sent_again(self):
        """Once, on a new connection; the client sees nothing of it."""
        def script(connection, request, n):
            if n == 1:
                connection.reset()
                return False
            return answer(connection, b"%d" % n)

        daemon = self.start(script)
        self.assertEqual(daemon.get("/a").body, b"0")
        self.assertEqual(daemon.get("/b").body, b"2")
        self.assertEqual(self.origin.requests[1].target, "/b")
        self.assertEqual(self.origin.connections, 2)

    def test_it_is_sent_again_only_once(self):
        def script(connection, request, n):
            return n == 0 and answer(connection, b"0")

        daemon = self.start(script)
        self.assertEqual(daemon.get("/a").body, b"0")
        self.assertEqual(daemon.get("/b").status, 502)
        self.assertEqual(len(self.origin.requests), 3)

    def test_a_post_is_never_sent_twice(self):
        def script(connection, request, n):
            if n == 1:
                connection.reset()
                return False
            return answer(connection, b"%d" % n)

        for body in (None, b"hello"):
            daemon = self.start(script)
            self.assertEqual(daemon.get("/a").body, b"0")
            got = daemon.get("/b", method="POST", body=body)
            self.assertEqual(got.status, 502)
            self.assertEqual(len(self.origin.requests), 2)

    def test_a_put_with_a_body_is_never_sent_twice(self):
        def script(connection, request, n):
            return n == 0 and answer(connection, b"0")

        daemon = self.start(script)
        self.assertEqual(daemon.get("/a").body, b"0")
        self.assertEqual(
            daemon.get("/b", method="PUT", body=b"hello").status, 502)
        self.assertEqual(len(self.origin.requests), 2)

    def test_a_get_whose_answer_has_begun_is_not_sent_again(self):
        def script(connection, request, n):
            if n == 0:
                return answer(connection, b"0")
            connection.send(b"HTTP/1.1 200 OK\r\nContent-")
            return False

        daemon = self.start(script)
        self.assertEqual(daemon.get("/a").body, b"0")
        self.assertEqual(daemon.get("/b").status, 502)
        self.assertEqual(len(self.origin.requests), 2)

    def test_a_closed_idle_connection_costs_nobody_an_answer(self):
        daemon = self.start(lambda c, r, n: answer(c, b"%d" % n))
        for i in range(5):
            self.assertEqual(daemon.get("/x", method="POST",
                                        body=b"x").body, b"%d" % i)
            self.origin.close_all()
            wait_until(lambda: not self.origin._open, what="all are closed")

    def test_an_early_answer_is_relayed_and_both_connections_close(self):
        """Row 86."""
        def script(connection, request, n):
            if request.target != "/early":
                return answer(connection, request.target.encode())
            answer(connection, b"no, thanks", status="403 Forbidden")
            connection.is_closed()
            return False

        daemon = self.start(script, with_body=False)
        with daemon.connect() as client:
            client.send(b"POST /early HTTP/1.1\r\nHost: test\r\n"
                        b"Content-Length: 1000\r\n\r\nhello")
            got = client.read_response()
            self.assertEqual((got.status, got.body), (403, b"no, thanks"))
            self.assertEqual(got.fields["Connection"], "close")
            # What comes now is content, never a request.
            client.send(b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n")
            self.assertTrue(client.is_closed())
        self.assertEqual(daemon.get("/victim").body, b"/victim")
        self.assertNotIn("/smuggled",
                         [r.target for r in self.origin.requests])
        self.assertEqual(self.origin.connections, 2)

    def test_an_answer_without_the_body_read_is_relayed(self):
        """A large upload to an origin that answers and closes."""
        def script(connection, request, n):
            answer(connection, b"too much", status="413 Content Too Large",
                   fields=(("Connection", "close"),))
            return False

        daemon = self.start(script, limits="body_max = 0", with_body=False)
        with daemon.connect() as client:
            client.send(b"POST /x HTTP/1.1\r\nHost: test\r\n"
                        b"Content-Length: 100000000\r\n\r\n")

            def upload():
                try:
                    client.send(b"x" * 20_000_000)
                except OSError:
                    pass  # it need not be taken

            thread = threading.Thread(target=upload, daemon=True)
            thread.start()
            try:
                got = client.read_response()
                self.assertIn(got.status, (413, 502))
            except ConnectionResetError:
                self.fail("the answer was lost")
            client.reset()
            thread.join(10)

    def test_a_client_that_leaves_ends_the_origins_work(self):
        steps = Steps()
        seen = []

        def script(connection, request, n):
            seen.append(connection.is_closed())
            steps.go("noticed")
            return False

        daemon = self.start(script)
        client = daemon.connect()
        client.request("GET", "/long")
        wait_until(lambda: self.origin.requests, what="it has come")
        client.reset()
        steps.wait("noticed")
        self.assertEqual(seen, [True])
        self.assertIsNone(daemon.process.popen.poll())


class OriginLimits(FlowTest):
    def test_response_head_max_and_response_fields_max_are_obeyed(self):
        def script(connection, request, n):
            fields = [("A", "b" * 1000)] * 3
            if request.target == "/many":
                fields = [("A", "b")] * 11
            return answer(connection, b"x", fields)

        origin = self.use(ScriptedOrigin(script))
        daemon = self.use(Nearside(conf(
            origin.url, limits="response_head_max = 2KB"
            "  response_fields_max = 10")))
        self.assertEqual(daemon.get("/large").status, 502)
        self.assertEqual(daemon.get("/many").status, 502)

    def test_without_a_queue_connections_max_of_an_origin_answers_503(self):
        steps = Steps()
        self.addCleanup(steps.go, "end")

        def script(connection, request, n):
            steps.wait("end")
            return answer(connection, b"done")

        origin = self.use(ScriptedOrigin(script))
        daemon = self.use(Nearside(conf(
            origin.url, origin_more="connections_max = 2  queue_max = 0",
            workers=1)))
        clients = [self.use(Connection(daemon.port)) for _ in range(2)]
        for client in clients:
            client.request("GET", "/x")
        wait_until(lambda: len(origin.requests) == 2, what="both have come")
        got = daemon.get("/x")
        self.assertEqual(got.status, 503)
        self.assertEqual(got.fields["Retry-After"], "1")
        steps.go("end")
        for client in clients:
            self.assertEqual(client.read_response().body, b"done")


class OriginQueue(FlowTest):
    """Requests beyond connections_max of their origin."""

    def start(self, more="queue_timeout = 20s", workers=1):
        self.steps = Steps()
        self.addCleanup(lambda: self.steps.go(*self.targets))
        self.targets = []

        def script(connection, request, n):
            self.targets.append(request.target)
            self.steps.wait(request.target)
            return answer(connection, request.body or b"done")

        origin = self.use(ScriptedOrigin(script))
        return self.use(Nearside(conf(
            origin.url, workers=workers,
            more='access_log { target = "file:@DIR@/access" }',
            origin_more=f"connections_max = 1  {more}").replace(
                "admin = off", 'admin = "127.0.0.1:0"')))

    def ask(self, daemon, target):
        client = self.use(daemon.connect())
        client.request("GET", target)
        return client

    def wait_asked(self, count):
        wait_until(lambda: len(self.targets) == count,
                   what=f"the origin has been asked {count} times")

    def wait_waiting(self, daemon, count):
        wait_until(lambda: daemon.metric("nearside_origin_waiting") == count,
                   what=f"{count} wait")

    def busy(self, daemon, *targets):
        """Clients of which the first is at the origin; the others wait."""
        clients = []
        for i, target in enumerate(targets):
            clients.append(self.ask(daemon, target))
            self.wait_asked(1)
            self.wait_waiting(daemon, i)
        return clients

    def refused(self, daemon, got, why):
        self.assertEqual(got.status, 503)
        self.assertEqual(got.fields["Retry-After"], "1")
        self.assertEqual(got.fields["Proxy-Status"],
                         "nearside; error=connection_limit_reached")
        self.assertIn(why.encode(), got.body)
        cause = why.replace(" ", "_").replace("timed_out", "timeout")
        self.assertEqual(daemon.metric(
            "nearside_origin_errors_total", cause=cause), 1)

    def access(self, daemon, target):
        """The access line of a request for the target."""
        def line():
            with open(daemon.dir + "/access", encoding="utf-8") as f:
                return [x for x in f
                        if f" {target} " in x and x.endswith("\n")]
        wait_until(line, what="it is in the log")
        return line()[0]

    def test_who_comes_first_is_served_first(self):
        daemon = self.start()
        clients = self.busy(daemon, "/a", "/b", "/c", "/d")
        said = daemon.status()["origins"][0]
        self.assertEqual((said["connections"], said["waiting"]), (1, 3))
        time.sleep(0.05)  # which the log is to show
        self.steps.go("/d", "/c", "/b", "/a")
        for client in clients:
            self.assertEqual(client.read_response().body, b"done")
        self.assertEqual(self.targets, ["/a", "/b", "/c", "/d"])
        self.assertEqual(daemon.metric("nearside_origin_connections"), 1)
        self.assertEqual(daemon.metric("nearside_origin_reused_total"), 3)
        self.assertEqual(
            daemon.metric("nearside_origin_queue_seconds_count"), 3)
        self.assertNotIn("queued=", self.access(daemon, "/a"))
        queued, took = (float(self.access(daemon, "/d").split(name)[1].split()[0])
                        for name in ("queued=", "time="))
        self.assertGreater(queued, 0.049)
        self.assertLessEqual(queued, took)

    def test_a_full_queue_is_503_at_once(self):
        daemon = self.start("queue_max = 1  queue_timeout = 20s")
        clients = self.busy(daemon, "/a", "/b")
        self.refused(daemon, daemon.get("/c"), "queue full")
        self.assertIn('detail="queue full"', self.access(daemon, "/c"))
        self.steps.go("/a", "/b")
        for client in clients:
            self.assertEqual(client.read_response().body, b"done")
        self.assertEqual(self.targets, ["/a", "/b"])

    def test_a_wait_that_takes_too_long_is_503(self):
        daemon = self.start("queue_timeout = 300ms")
        self.busy(daemon, "/a")
        got = daemon.get("/b")
        self.refused(daemon, got, "queue timed out")
        self.assertGreaterEqual(got.seconds, 0.29)
        self.assertRegex(self.access(daemon, "/b"), r" queued=\d+\.\d")
        self.assertEqual(daemon.metric("nearside_origin_waiting"), 0)

    def test_who_leaves_costs_nobody_a_turn(self):
        daemon = self.start()
        clients = self.busy(daemon, "/a", "/b", "/c")
        clients[1].reset()
        self.wait_waiting(daemon, 1)
        self.steps.go("/a", "/c")
        self.assertEqual(clients[2].read_response().body, b"done")
        self.assertEqual(self.targets, ["/a", "/c"])

    def test_an_upload_waits_with_its_content(self):
        daemon = self.start()
        self.busy(daemon, "/a")
        body = bytes(range(256)) * 4096
        uploads = [self.use(daemon.connect()) for _ in range(2)]
        for upload, fields in zip(uploads, ("", "Expect: 100-continue\r\n")):
            upload.send(b"PUT /b HTTP/1.1\r\nHost: test\r\nContent-Length: %d"
                        b"\r\n%s\r\n" % (len(body), fields.encode()))
        self.wait_waiting(daemon, 2)
        sender = threading.Thread(target=uploads[0].send, args=(body,))
        sender.start()
        self.assertFalse(uploads[1].has_bytes())
        self.steps.go("/a", "/b")
        self.assertEqual(uploads[0].read_response().body, body)
        sender.join()
        self.assertEqual(uploads[1].read_head().status, 100)
        uploads[1].send(body)
        self.assertEqual(uploads[1].read_response().body, body)

    def test_who_waits_is_served_before_the_end(self):
        daemon = self.start()
        clients = self.busy(daemon, "/a", "/b")
        daemon.signal(signal.SIGTERM)
        daemon.wait_log("draining")
        self.steps.go("/a", "/b")
        for client in clients:
            self.assertEqual(client.read_response().body, b"done")
        self.assertEqual(daemon.process.wait(), 0)

    def test_all_workers_have_one_queue(self):
        """And what one of them has done with is another's."""
        daemon = self.start(workers=3)
        count = 60
        clients = [self.ask(daemon, f"/{i}") for i in range(count)]
        self.wait_asked(1)
        self.wait_waiting(daemon, count - 1)
        self.steps.go(*(f"/{i}" for i in range(count)))
        for client in clients:
            self.assertEqual(client.read_response().body, b"done")
        for _ in range(2):
            answers = together(count, lambda i: daemon.get(f"/{i}"))
            self.assertEqual({a.status for a in answers}, {200})
        self.assertLessEqual(daemon.metric("nearside_origin_connections"), 1)
        self.assertGreater(
            daemon.metric("nearside_origin_queue_seconds_count"), 0)


if __name__ == "__main__":
    unittest.main()
