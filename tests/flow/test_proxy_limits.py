# ctest: jobs=4 cost=8
"""Every limit and timeout that concerns clients: what happens at it, what
happens just below it, and that its counter says so."""

import os
import select
import socket
import time
import unittest

from lib import (Connection, FlowTest, Nearside, RedisServer, SampleOrigin,
                 ScriptedOrigin, WireError, pattern, wait_until)
from lib.clock import Clock, turns
from lib.scripted import EchoOrigin, Steps, answer, conf, digest

LONG = os.environ.get("NEARSIDE_LONG") == "1"
HIT = "nearside_limits_hit_total"
PART = 4_000_000  # more than the kernel holds for a client


class Limits(FlowTest):
    def start(self, limits, **more):
        self.origin = self.use(EchoOrigin())
        self.daemon = self.use(Nearside(conf(
            self.origin.url, limits=limits, **more)))
        return self.daemon

    def start_with_clock(self, limits, origin=None):
        """Of the time only the test disposes, and a machine that is busy for
        a minute does not matter. The other client is idle, and tells when the
        worker has seen what there is."""
        self.clock = self.use(Clock())
        self.origin = self.use(origin or EchoOrigin())
        self.daemon = self.use(Nearside(conf(
            self.origin.url, limits=limits + "  idle_timeout = 10h", workers=1,
            origin_more="first_byte_timeout = 10h"
            "  between_bytes_timeout = 10h"), env=self.clock.env))
        self.other = self.use(self.daemon.connect())
        turns(self.other)

    def minutes_pass(self, minutes):
        self.clock.move_on_and_see(60 * minutes, self.other)

    def counted(self, limit):
        return self.daemon.metric(HIT, limit=limit)

    def assert_counted(self, limit, times=1):
        self.daemon.wait_metric(HIT, times, limit=limit)
        self.assertEqual(self.daemon.metric(HIT, limit=limit), times)

    def has_room(self):
        """Who is turned away is heard out for a second; a machine may need
        longer than that to send, and then there is a reset."""
        try:
            return self.daemon.get("/x").status == 200
        except ConnectionError:
            return False

    def assert_refused(self, data, status):
        with self.daemon.connect() as client:
            client.send(data)
            got = client.read_response()
            self.assertEqual(got.status, status)
            self.assertEqual(got.fields["Connection"], "close")
            self.assertTrue(client.is_closed())


def send_queue(port, peer):
    """Bytes that the kernel holds from one local port to another."""
    wanted = f"0100007F:{port:04X} 0100007F:{peer:04X} "
    with open("/proc/net/tcp") as f:
        for line in f:
            if wanted in line:
                return int(line.split()[4].split(":")[0], 16)
    return 0


def get(*lines, target=b"/x"):
    return b"GET " + target + b" HTTP/1.1\r\nHost: test\r\n" + b"".join(
        x + b"\r\n" for x in lines) + b"\r\n"


class Heads(Limits):
    def test_head_max(self):
        self.start("head_max = 2KB  field_max = 2000B  target_max = 2000B")
        lines = [b"A: " + b"a" * 95] * 19
        size = len(get(*lines))
        fits = get(*lines, b"B: " + b"b" * (2048 - size - 5))
        self.assertEqual(len(fits), 2048)
        with self.daemon.connect() as client:
            client.send(fits)
            self.assertEqual(client.read_response().status, 200)
        self.assert_refused(get(*lines, b"B: " + b"b" * (2048 - size - 4)),
                            431)
        self.assert_counted("head_max")

    def test_field_max(self):
        self.start("field_max = 300B")
        with self.daemon.connect() as client:
            client.send(get(b"A: " + b"a" * 297))
            self.assertEqual(client.read_response().status, 200)
        self.assert_refused(get(b"A: " + b"a" * 298), 431)
        self.assert_counted("field_max")

    def test_field_name_max(self):
        self.start("field_name_max = 20B")
        with self.daemon.connect() as client:
            client.send(get(b"n" * 20 + b": v"))
            self.assertEqual(client.read_response().status, 200)
        self.assert_refused(get(b"n" * 21 + b": v"), 431)
        self.assert_counted("field_name_max")

    def test_fields_max(self):
        self.start("fields_max = 5")
        with self.daemon.connect() as client:
            client.send(get(*[b"A: b"] * 4))
            self.assertEqual(client.read_response().status, 200)
        self.assert_refused(get(*[b"A: b"] * 5), 431)
        self.assert_counted("fields_max")

    def test_target_max(self):
        self.start("target_max = 100B")
        with self.daemon.connect() as client:
            client.send(get(target=b"/" + b"x" * 99))
            self.assertEqual(client.read_response().status, 200)
        self.assert_refused(get(target=b"/" + b"x" * 100), 414)
        self.assert_counted("target_max")

    def test_head_timeout_is_for_the_whole_head(self):
        """Bytes that trickle in do not prolong it."""
        self.start_with_clock("head_timeout = 10m")
        with self.daemon.connect() as client:
            for byte in b"GET":
                self.assertEqual(self.counted("head_timeout"), 0)
                client.send(bytes([byte]))
                turns(self.other)
                self.minutes_pass(4)
            got = client.read_response()
            self.assertEqual(got.status, 408)
            self.assertEqual(got.fields["Connection"], "close")
        self.assert_counted("head_timeout")
        self.assertEqual(self.origin.requests, [])

    def test_head_timeout_counts_for_the_second_request_too(self):
        self.start("head_timeout = 300ms")
        with self.daemon.connect() as client:
            client.send(get() + b"GET /y HT")
            self.assertEqual(client.read_response().status, 200)
            self.assertEqual(client.read_response().status, 408)
        self.assert_counted("head_timeout")


class OwnAnswers(Limits):
    def test_what_we_refuse_says_so_in_proxy_status(self):
        """RFC 9209: the client's mistake, or an answer that needed no
        origin; Cache-Status is not for these (RFC 9211 2)."""
        self.start("body_max = 10B  head_max = 1MB  field_max = 1MB",
                   routes='route "/c/*" { ttl = 60s }\n'
                   'route "/m/*" { methods = { "GET" } }',
                   more='hosts = { "a" }')
        for head, status, error in (
                (b"GET / HTTP/1.1\r\n\r\n", 400, "http_request_error"),
                (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
                 414, "http_request_error"),
                (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501,
                 "http_request_error"),
                (b"GET /c/x HTTP/1.1\r\nHost: a\r\n"
                 b"Cache-Control: only-if-cached\r\n\r\n", 504,
                 "proxy_internal_response"),
                (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11"
                 b"\r\n\r\n", 413, "http_request_error"),
                (b"PUT /m/x HTTP/1.1\r\nHost: a\r\n\r\n", 405,
                 "proxy_internal_response"),
                (b"GET / HTTP/1.1\r\nHost: b\r\n\r\n", 421,
                 "proxy_internal_response"),
                # A request has 512 KB for all that is made of its head.
                (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 600_000
                 + b"\r\n\r\n", 503, "proxy_internal_error")):
            with self.subTest(status=status), self.daemon.connect() as client:
                client.send(head)
                got = client.read_response()
                self.assertEqual(got.status, status)
                self.assertEqual(got.fields["Proxy-Status"],
                                 f"nearside; error={error}")
                self.assertNotIn("Cache-Status", got.fields)


class Bodies(Limits):
    def upload(self, data, first=b"Content-Length: 100"):
        client = self.use(Connection(self.daemon.port))
        client.send(b"POST /x HTTP/1.1\r\nHost: test\r\n" + first
                    + b"\r\n\r\n" + data)
        return client

    def upload_under_way(self, *args):
        """What has been sent has come to the origin."""
        count = len(self.origin.requests) + 1
        client = self.upload(*args)
        wait_until(lambda: len(self.origin.requests) == count,
                   what="its head has come")
        turns(self.other)
        return client

    def assert_given_up(self, client, limit, times=1):
        self.assertEqual(client.read_response().status, 408)
        self.assertTrue(client.is_closed())
        self.assert_counted(limit, times)
        wait_until(lambda: len(self.origin.cut) == 1,
                   what="the origin sees its request cut")
        self.assertEqual(self.origin.whole, [])

    def test_body_timeout_is_for_a_pause(self):
        self.start_with_clock("body_timeout = 10m  body_min_rate = 0")
        for first in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
            with self.subTest(first=first):
                self.origin.cut.clear()
                before = self.counted("body_timeout")
                client = self.upload_under_way(b"5\r\nhello\r\n", first)
                self.minutes_pass(8)
                self.assertEqual(self.counted("body_timeout"), before)
                self.minutes_pass(3)
                self.assert_given_up(client, "body_timeout", before + 1)

    def test_shorter_pauses_are_waited_for(self):
        self.start_with_clock("body_timeout = 10m  body_min_rate = 0")
        client = self.upload_under_way(b"", b"Content-Length: 8")
        for byte in b"trickles":
            self.minutes_pass(8)
            client.send(bytes([byte]))
            turns(self.other)
        self.assertEqual(client.read_response().body.decode(),
                         f"POST /x {digest(b'trickles')}")

    def test_body_min_rate_is_for_bytes_that_trickle(self):
        self.start_with_clock("body_min_rate = 1KB  body_min_rate_after = 10m"
                              "  body_timeout = 10h")
        client = self.upload_under_way(b"", b"Content-Length: 1000")
        self.minutes_pass(9)
        self.assertEqual(self.counted("body_min_rate"), 0)
        for _ in range(100):
            self.clock.move_on(0.9)  # each byte puts off the timer's look
            client.send(b"x")
            turns(self.other)
            if client.has_bytes(0.001):
                break
        self.assertEqual(self.counted("body_min_rate"), 1)
        self.assert_given_up(client, "body_min_rate")

    def test_body_min_rate_is_for_bytes_that_do_not_come(self):
        self.start("body_min_rate = 1KB  body_min_rate_after = 300ms")
        self.assert_given_up(self.upload(b"hello"), "body_min_rate")

    def upload_that_nobody_reads(self, length):
        """Of so many bytes; as long as the origin does not read, until
        steps.go("read"), some are taken. (client, the pieces that the origin
        reads, how many bytes were taken)"""
        self.steps = Steps()
        self.addCleanup(self.steps.go, "read")
        read = []

        def script(connection, request, n):
            self.steps.wait("read")
            try:
                for piece in connection.request_pieces(request):
                    read.append(piece)
            except (WireError, OSError):
                return False  # the daemon gives up
            return answer(connection)

        self.start_with_clock(
            "body_max = 0  body_min_rate = 1KB  body_min_rate_after = 10m"
            "  body_timeout = 100h", ScriptedOrigin(script, with_body=False))
        client = self.upload(b"", b"Content-Length: %d" % length)
        client.sock.settimeout(0.3)  # as long as nothing is taken
        sent = 0
        with self.assertRaises(socket.timeout):
            while True:
                sent += client.sock.send(bytes(65536))
        turns(self.other)
        return client, read, sent

    def test_body_min_rate_does_not_blame_the_client_for_the_origin(self):
        """An origin that reads slowly once got the client a 408."""
        client, read, sent = self.upload_that_nobody_reads(12_000_000)
        for _ in range(9):
            self.minutes_pass(60)  # 1 KB a second is more than was sent
        self.steps.go("read")
        client.sock.settimeout(60)
        client.send(bytes(12_000_000 - sent))
        self.assertEqual(client.read_response().status, 200)
        self.assertEqual(sum(map(len, read)), 12_000_000)
        self.assertEqual(self.counted("body_min_rate"), 0)

    def test_body_min_rate_counts_again_when_the_origin_has_read(self):
        """Once it had kept the client waiting, no rate was too low."""
        client, read, sent = self.upload_that_nobody_reads(100_000_000)
        self.steps.go("read")
        wait_until(lambda: sum(map(len, read)) == sent,
                   what="all that was sent has come to the origin")
        turns(self.other)
        for _ in range(20):
            self.minutes_pass(60)  # 1 KB a second is more than was sent
        client.sock.settimeout(60)
        self.assertEqual(client.read_response().status, 408)
        self.assert_counted("body_min_rate")

    def test_body_max_with_a_length_is_refused_at_once(self):
        self.start("body_max = 1KB")
        self.assertEqual(self.daemon.get("/x", method="POST",
                                         body=b"x" * 1024).status, 200)
        client = self.upload(b"", b"Content-Length: 1025")
        self.assertEqual(client.read_response().status, 413)
        self.assertTrue(client.is_closed())
        self.assertEqual(len(self.origin.requests), 1)
        self.assert_counted("body_max")

    def test_body_max_answers_before_100_continue(self):
        self.start("body_max = 1KB")
        client = self.upload(
            b"", b"Content-Length: 1025\r\nExpect: 100-continue")
        self.assertEqual(client.read_response(skip_1xx=False).status, 413)

    def test_body_max_chunked_is_refused_when_it_is_passed(self):
        self.start("body_max = 1KB")
        fits = b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"
        chunked = b"Transfer-Encoding: chunked"
        self.assertEqual(self.upload(fits, chunked).read_response().status,
                         200)
        client = self.upload(b"400\r\n" + b"x" * 1024 + b"\r\n", chunked)
        wait_until(lambda: len(self.origin.requests) == 2,
                   what="its head has come")
        client.send(b"1\r\nx\r\n0\r\n\r\n")
        self.assertEqual(client.read_response().status, 413)
        self.assertTrue(client.is_closed())
        self.assert_counted("body_max")
        wait_until(lambda: len(self.origin.cut) == 1,
                   what="the origin sees its request cut")
        self.assertEqual(len(self.origin.whole), 1)

    def test_an_answer_under_way_is_not_lost_to_content_that_fails(self):
        """RFC 9112 9.6: a reset could destroy what is not read yet."""
        steps = Steps()
        self.addCleanup(steps.go, "rest")

        def script(connection, request, n):
            connection.send(b"HTTP/1.1 403 Forbidden\r\n"
                            b"Content-Length: 7\r\n\r\n")
            steps.wait("rest")
            connection.send(b"refused")

        origin = self.use(ScriptedOrigin(script, with_body=False))
        chunked = b"Transfer-Encoding: chunked"
        for what, bad in (("too large", b"401\r\n" + b"x" * 1025 + b"\r\n"),
                          ("malformed", b"x\r\n")):
            with self.subTest(what=what):
                self.daemon = self.use(Nearside(conf(
                    origin.url, limits="body_max = 1KB")))
                client = self.upload(b"1\r\nx\r\n", chunked)
                head = client.read_head()
                self.assertEqual(head.status, 403)
                client.send(bad)
                time.sleep(0.1)  # an abort would have come
                steps.go("rest")
                self.assertEqual(b"".join(client.body_pieces(head)),
                                 b"refused")
                self.assertTrue(client.is_closed())

    def test_a_small_buffer_max_passes_large_bodies(self):
        self.start("buffer_max = 4KB  body_max = 0")
        body = bytes(range(256)) * 8000
        got = self.daemon.get("/x", method="PUT", body=body)
        self.assertEqual(got.body.decode(), f"PUT /x {digest(body)}")

    def test_chunks_cannot_hide_endless_framing(self):
        """Row 33: 4 KiB a line, 16 KiB of extensions, as much trailer."""
        self.start("")
        chunked = b"Transfer-Encoding: chunked"
        ext = b";a=" + b"x" * 1017
        some = b"1" + ext + b"\r\nx\r\n"
        trailer = b"A: " + b"x" * 1019 + b"\r\n"
        for what, fits, too_much in (
                ("a line", b"1;a=" + b"x" * 4090 + b"\r\nx\r\n0\r\n\r\n",
                 b"1;a=" + b"x" * 4100),
                ("extensions", some * 15 + b"0\r\n\r\n", some * 17),
                ("trailers", b"0\r\n" + trailer * 15 + b"\r\n",
                 b"0\r\n" + trailer * 17)):
            with self.subTest(what=what):
                before = self.daemon.metric(HIT, limit="chunk_framing")
                self.assertEqual(
                    self.upload(fits, chunked).read_response().status, 200)
                self.assertEqual(
                    self.upload(too_much, chunked).read_response().status, 400)
                self.assert_counted("chunk_framing", before + 1)

    @unittest.skipUnless(LONG, "61 s; NEARSIDE_LONG=1")
    def test_a_pause_of_61_s_is_a_request_cut_short(self):
        """Row 87, with the limits as they come."""
        self.start("")
        client = self.use(Connection(self.daemon.port, timeout=70))
        client.send(b"POST /pause HTTP/1.1\r\nHost: test\r\n"
                    b"Content-Length: 44\r\n\r\n")
        start = time.monotonic()
        self.assertEqual(client.read_response().status, 408)
        self.assertTrue(client.is_closed())
        self.assertLess(time.monotonic() - start, 61)
        self.assertEqual(self.origin.whole, [])


class Connections(Limits):
    def test_idle_timeout(self):
        self.start("idle_timeout = 300ms")
        with self.daemon.connect() as client:
            client.request("GET", "/x")
            client.read_response()
            start = time.monotonic()
            self.assertTrue(client.is_closed())
            self.assertGreaterEqual(time.monotonic() - start, 0.28)
        self.assert_counted("idle_timeout")

    def test_idle_timeout_before_the_first_request(self):
        self.start("idle_timeout = 300ms")
        with self.daemon.connect() as client:
            self.assertTrue(client.is_closed())
        self.assert_counted("idle_timeout")

    def test_requests_per_connection(self):
        self.start("requests_per_connection = 3")
        with self.daemon.connect() as client:
            for left in (2, 1, 0):
                client.request("GET", "/x")
                self.assertEqual(
                    client.read_response().fields["Connection"],
                    "close" if left == 0 else None)
            self.assertTrue(client.is_closed())
        self.assert_counted("requests_per_connection")

    def test_connections_max(self):
        steps = Steps()
        self.addCleanup(steps.go, "end")

        def script(connection, request, n):
            if request.target == "/busy":  # such a one is not shed
                steps.wait("end")
            return answer(connection, b"x")

        self.origin = self.use(ScriptedOrigin(script))
        self.daemon = self.use(Nearside(conf(
            self.origin.url, limits="connections_max = 20")))
        held = []
        for i in range(20):
            client = self.use(Connection(self.daemon.port))
            client.request("GET", "/busy")
            wait_until(lambda i=i: len(self.origin.requests) == i + 1,
                       what="it is busy")
            held.append(client)
        with self.daemon.connect() as client:
            got = client.read_response()
            self.assertEqual(got.status, 503)
            self.assertEqual(got.fields["Retry-After"], "1")
            self.assertTrue(client.is_closed())
        self.assert_counted("connections_max")
        held.pop().reset()  # half a close would wait for its answer
        wait_until(self.has_room, what="there is room again")

    def test_a_burst_beyond_connections_max_is_answered_to_the_last(self):
        """Each by its answer or by a 503. Those who were let in had said
        nothing when the others came, and once were closed for that."""
        self.start("connections_max = 50", workers=1)
        self.daemon.pause()  # so that all of them come at once
        clients = [self.use(Connection(self.daemon.port)) for _ in range(120)]
        start = time.monotonic()
        self.daemon.resume()
        for client in clients[50:]:
            self.assertEqual(client.read_response().status, 503)
            self.assertTrue(client.is_closed())
        self.assert_counted("connections_max", 70)
        if time.monotonic() - start < 1:  # they may still be about to speak
            self.assertEqual(self.daemon.metric(HIT, limit="idle_shed"), 0)
            for client in clients[:50]:
                client.request("GET", "/x")
                self.assertEqual(client.read_response().status, 200)
        (warning,) = self.daemon.wait_logged("turned_away .*")
        self.assertIn('limit="connections_max" peer="127.0.0.1"'
                      ' connections="50" times="1"', warning[0])

    def test_who_says_nothing_for_a_second_gives_way(self):
        self.start("connections_max = 10", workers=1)
        silent = [self.use(Connection(self.daemon.port)) for _ in range(9)]

        def is_let_in():
            with self.daemon.connect() as client:
                client.request("GET", "/x")
                client.read_response()
            return self.daemon.metric(HIT, limit="idle_shed") > 0

        wait_until(is_let_in, what="one of them has gone")
        self.assertTrue(silent[0].is_closed())

    def test_forty_refusals_arrive(self):
        """What a client sends meanwhile is not answered with a reset."""
        self.start("connections_per_ip = 1")
        with self.daemon.connect() as held:
            held.request("GET", "/x")
            held.read_response()
            for _ in range(40):
                start = time.monotonic()
                with self.daemon.connect() as client:
                    self.assertTrue(
                        select.select([client.sock], [], [], 10)[0])
                    try:
                        client.send(b"GET /x HTTP/1.1\r\n")
                        client.send(b"Host: test\r\n\r\n")
                        self.assertEqual(client.read_response().status, 503)
                        self.assertEqual(client.read_some(), b"")
                    except OSError:  # within the second that it is heard out
                        self.assertGreaterEqual(time.monotonic() - start, 1)
        self.assert_counted("connections_per_ip", 40)

    def test_no_more_than_linger_max_refusals_are_heard_out(self):
        self.start("connections_per_ip = 1  linger_max = 3", workers=1)
        with self.daemon.connect() as held:
            held.request("GET", "/x")
            held.read_response()
            before = len(self.daemon.process.fds())
            clients = [self.use(Connection(self.daemon.port))
                       for _ in range(20)]
            for client in clients:
                self.assertEqual(client.read_response().status, 503)
            turns(held)
            # A second later all of them would be closed.
            self.assertLessEqual(len(self.daemon.process.fds()), before + 3)

    def test_who_is_refused_takes_no_place_of_its_address(self):
        steps = Steps()
        self.addCleanup(steps.go, "end")

        def script(connection, request, n):
            if request.target == "/busy":
                steps.wait("end")
            return answer(connection, b"x")

        self.origin = self.use(ScriptedOrigin(script))
        self.daemon = self.use(Nearside(conf(
            self.origin.url,
            limits="connections_max = 4  connections_per_ip = 6")))
        held = []
        for i in range(4):
            held.append(self.use(Connection(self.daemon.port)))
            held[-1].request("GET", "/busy")
            wait_until(lambda i=i: len(self.origin.requests) == i + 1,
                       what="it is busy")
        for _ in range(6):
            with self.daemon.connect() as client:
                self.assertEqual(client.read_response().status, 503)
        self.assert_counted("connections_max", 6)
        held.pop().reset()
        wait_until(lambda: self.daemon.metric("nearside_connections") == 3,
                   what="one has gone")
        self.assertEqual(self.daemon.get("/x").status, 200)
        self.assertEqual(self.daemon.metric(HIT, limit="connections_per_ip"),
                         0)

    def test_near_connections_max_the_longest_idle_one_goes(self):
        self.start("connections_max = 10", workers=1)
        held = []
        for i in range(9):
            client = self.use(Connection(self.daemon.port))
            client.request("GET", f"/{i}")
            client.read_response()
            held.append(client)
        held[0].request("GET", "/again")  # now held[1] is idle longest
        held[0].read_response()
        with self.daemon.connect() as client:
            client.request("GET", "/new")
            self.assertEqual(client.read_response().status, 200)
        self.assertTrue(held[1].is_closed())
        for i in (0, 2, 8):
            held[i].request("GET", "/still")
            self.assertEqual(held[i].read_response().status, 200)
        self.assert_counted("idle_shed")

    def test_an_idle_one_whose_next_request_has_come_does_not_go(self):
        self.start("connections_max = 10", workers=1)
        held = []
        for i in range(9):
            client = self.use(Connection(self.daemon.port))
            client.request("GET", f"/{i}")
            client.read_response()
            held.append(client)
        self.daemon.pause()  # it will see both in one turn, in this order
        late = self.use(Connection(self.daemon.port))
        held[0].request("GET", "/again")
        self.daemon.resume()
        self.assertEqual(held[0].read_response().status, 200)
        self.assertTrue(held[1].is_closed())
        late.request("GET", "/late")
        self.assertEqual(late.read_response().status, 200)

    def test_who_has_too_many_drives_out_nobody_else(self):
        self.start("connections_max = 10  connections_per_ip = 8", workers=1)
        with socket.create_connection(
                ("127.0.0.1", self.daemon.port), 5, ("127.0.0.2", 0)) as sock:
            other = Connection(sock)
            other.request("GET", "/x")
            other.read_response()
            mine = [self.use(Connection(self.daemon.port)) for _ in range(8)]
            for client in mine:
                client.request("GET", "/x")
                client.read_response()
            for _ in range(5):
                with self.daemon.connect() as client:
                    self.assertEqual(client.read_response().status, 503)
            other.request("GET", "/y")
            self.assertEqual(other.read_response().status, 200)
        self.assert_counted("connections_per_ip", 5)
        self.assertEqual(self.daemon.metric(HIT, limit="idle_shed"), 0)

    def test_a_trusted_proxy_has_as_many_connections_as_it_needs(self):
        self.start("connections_per_ip = 3",
                   more='trusted_proxies = { "127.0.0.0/8" }\n')
        for _ in range(6):
            client = self.use(Connection(self.daemon.port))
            client.request("GET", "/x")
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual(self.daemon.metric(HIT, limit="connections_per_ip"),
                         0)

    def test_connections_per_ip(self):
        self.start("connections_per_ip = 3")
        held = [self.use(Connection(self.daemon.port)) for _ in range(3)]
        for client in held:
            client.request("GET", "/x")
            client.read_response()
        with self.daemon.connect() as client:
            self.assertEqual(client.read_response().status, 503)
            self.assertTrue(client.is_closed())
        self.assert_counted("connections_per_ip")
        # Another address is another client.
        with socket.create_connection(
                ("127.0.0.1", self.daemon.port), 5, ("127.0.0.2", 0)) as sock:
            other = Connection(sock)
            other.request("GET", "/x")
            self.assertEqual(other.read_response().status, 200)
        held.pop().close()
        wait_until(self.has_room, what="there is room again")


class SlowReaders(FlowTest):
    def start(self, limits, origin=None):
        """Of the time only the test disposes; the other client is idle, and
        tells when the one worker has seen what there is."""
        self.clock = self.use(Clock())
        self.origin = origin or self.use(SampleOrigin())
        self.daemon = self.use(Nearside(conf(
            self.origin.url, limits=limits + "  idle_timeout = 10h",
            origin_more="between_bytes_timeout = 10h", workers=1),
            env=self.clock.env))
        self.other = self.use(self.daemon.connect())
        turns(self.other)

    def minutes_pass(self, minutes):
        self.clock.move_on_and_see(60 * minutes, self.other)

    def is_waited_for(self, client):
        """The kernel takes no more for it."""
        peer = client.sock.getsockname()[1]
        seen = []

        def is_still():
            seen.append(send_queue(self.daemon.port, peer))
            return len(seen) > 5 and seen[-1] > 0 and len(set(seen[-5:])) == 1

        wait_until(is_still, what="nothing is written any more")
        turns(self.other)

    def assert_cut(self, client, limit):
        self.daemon.wait_metric(HIT, 1, limit=limit)
        with self.assertRaises((WireError, OSError)):
            client.read_response()

    def test_send_timeout_is_for_a_pause(self):
        self.start("send_timeout = 10m  send_total = 10h  send_min_rate = 0")
        client = self.use(Connection(self.daemon.port, receive_buffer=4096))
        client.request("GET", "/bytes/50000000")
        self.is_waited_for(client)
        self.minutes_pass(9)
        self.assertEqual(self.daemon.metric(HIT, limit="send_timeout"), 0)
        self.minutes_pass(2)
        self.assert_cut(client, "send_timeout")
        wait_until(lambda: self.daemon.metric("nearside_connections") == 1,
                   what="its connection is gone")

    def test_content_that_comes_does_not_excuse_a_client_from_reading(self):
        """An answer that came before the content's end, and is not read."""
        def script(connection, request, n):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000"
                            b"\r\n\r\n")
            for _ in range(500):
                connection.send(bytes(100000))

        self.start("send_timeout = 10m  send_total = 10h  send_min_rate = 0"
                   "  body_timeout = 10h  body_min_rate = 0",
                   self.use(ScriptedOrigin(script, with_body=False)))
        client = self.use(Connection(self.daemon.port, receive_buffer=4096))
        client.send(b"POST /x HTTP/1.1\r\nHost: test\r\n"
                    b"Content-Length: 1000000\r\n\r\n")
        self.is_waited_for(client)
        with self.assertRaises(OSError):
            for _ in range(100):  # of which the tenth may be one too many
                client.send(b"x" * 100)
                turns(self.other)
                self.minutes_pass(1)
        self.assertEqual(self.daemon.metric(HIT, limit="send_timeout"), 1)

    def test_a_reader_slower_than_the_pipe_is_not_cut(self):
        self.start("send_timeout = 10m  send_total = 10h  send_min_rate = 0")
        client = self.use(Connection(self.daemon.port, receive_buffer=65536))
        client.request("GET", "/bytes/20000000")
        client.read_head()
        self.is_waited_for(client)
        for _ in range(10):
            self.clock.move_on(8 * 60)
            self.assertEqual(len(client.read_exactly(2_000_000)), 2_000_000)
            turns(self.other)
        self.assertEqual(self.daemon.metric(HIT, limit="send_timeout"), 0)

    def test_send_total_ends_what_trickles(self):
        self.start("send_total = 25m  send_timeout = 20m  send_min_rate = 0")
        client = self.use(Connection(self.daemon.port, receive_buffer=65536))
        client.request("GET", "/bytes/400000000")
        client.read_head()
        self.is_waited_for(client)
        with self.assertRaises((WireError, OSError)):
            for minutes in range(0, 100, 8):
                if minutes < 24:
                    self.assertEqual(
                        self.daemon.metric(HIT, limit="send_total"), 0)
                self.clock.move_on(8 * 60)
                client.read_exactly(3_000_000)
                turns(self.other)
        self.assertEqual(self.daemon.metric(HIT, limit="send_total"), 1)

    def test_send_min_rate_is_for_who_takes_too_little(self):
        """Each pause is shorter than send_timeout."""
        self.start("send_min_rate = 1MB  send_min_rate_after = 10m"
                   "  send_timeout = 10h  send_total = 10h")
        client = self.use(Connection(self.daemon.port, receive_buffer=65536))
        client.request("GET", "/bytes/400000000")
        client.read_head()
        self.is_waited_for(client)
        with self.assertRaises((WireError, OSError)):
            for minutes in range(0, 100, 4):
                if minutes < 10:
                    self.assertEqual(
                        self.daemon.metric(HIT, limit="send_min_rate"), 0)
                self.clock.move_on(4 * 60)
                client.read_exactly(3_000_000)
                turns(self.other)
        self.assertEqual(self.daemon.metric(HIT, limit="send_min_rate"), 1)

    def test_send_min_rate_counts_what_was_taken_before(self):
        """And only the time that the answer waits for the client."""
        self.start("send_min_rate = 10KB  send_min_rate_after = 1m"
                   "  send_timeout = 10h  send_total = 10h")
        client = self.use(Connection(self.daemon.port, receive_buffer=65536))
        client.request("GET", "/bytes/9000000")
        client.read_head()
        self.is_waited_for(client)
        client.read_exactly(3_000_000)
        self.is_waited_for(client)
        self.clock.move_on_and_see(100, self.other)  # of the 300 s that allows
        client.read_exactly(6_000_000)
        self.assertEqual(self.daemon.metric(HIT, limit="send_min_rate"), 0)

    def start_in_parts(self, parts, limits):
        """The origin sends each part when steps.go(number) says so. Of the
        time only the test disposes; the other client is idle, and tells when
        the worker has seen what there is."""
        self.clock = self.use(Clock())
        self.steps = Steps()
        self.addCleanup(self.steps.go, *range(parts))

        def script(connection, request, n):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                            % (parts * PART))
            for number in range(parts):
                self.steps.wait(number)
                connection.send(bytes(PART))
            return True

        origin = self.use(ScriptedOrigin(script))
        self.daemon = self.use(Nearside(conf(
            origin.url, limits=limits, workers=1), env=self.clock.env))
        self.other = self.use(self.daemon.connect())
        turns(self.other)
        client = self.use(Connection(self.daemon.port, receive_buffer=4096))
        client.request("GET", "/stream")
        client.read_head()
        return client

    def wait_until_waited_for(self, client):
        """The daemon holds a part that the client does not read yet; or it
        has done so for too long in all."""
        peer = client.sock.getsockname()[1]
        wait_until(lambda: send_queue(self.daemon.port, peer) > 0 or
                   self.daemon.metric(HIT, limit="send_total") > 0,
                   what="the client is waited for")

    def test_send_total_does_not_count_how_long_the_origin_takes(self):
        """Nor is a client cut that reads each part a little late."""
        client = self.start_in_parts(
            2, "send_total = 30s  send_timeout = 30s")
        for number in range(2):
            self.steps.go(number)
            self.wait_until_waited_for(client)
            self.clock.move_on(5)
            self.assertEqual(len(client.read_exactly(PART)), PART)
            turns(self.other)  # nothing is left to send
            self.clock.move_on_and_see(40, self.other)
        self.assertEqual(self.daemon.metric(HIT, limit="send_total"), 0)

    def test_send_total_adds_up(self):
        """Each wait is shorter, and the origin's time is between them."""
        client = self.start_in_parts(
            3, "send_total = 30s  send_timeout = 30s")
        with self.assertRaises((WireError, OSError)):
            for number in range(3):
                self.steps.go(number)
                self.wait_until_waited_for(client)
                self.clock.move_on(20)  # the client takes that long
                client.read_exactly(PART)
                turns(self.other)
                self.clock.move_on_and_see(20, self.other)
        self.assertEqual(self.daemon.metric(HIT, limit="send_total"), 1)
        self.assertEqual(self.daemon.metric(HIT, limit="send_timeout"), 0)

    def test_the_kernel_holds_little_for_a_client_that_does_not_read(self):
        self.start("")
        client = self.use(Connection(self.daemon.port, receive_buffer=4096))
        client.request("GET", "/bytes/3000000")
        client.read_head()
        peer = client.sock.getsockname()[1]
        seen = []

        def is_still():
            seen.append(send_queue(self.daemon.port, peer))
            return len(seen) > 10 and len(set(seen[-10:])) == 1

        wait_until(is_still, what="nothing is written any more")
        # 64 KiB, and what the last write brought.
        self.assertGreater(seen[-1], 0)
        self.assertLess(seen[-1], 200_000)

    def test_held_max_cuts_who_has_been_at_it_longest(self):
        """Five hold 400,000 bytes each; 1 MiB is allowed, so two stay."""
        redis = self.use(RedisServer())
        origin = self.use(SampleOrigin())
        self.daemon = daemon = self.use(Nearside(conf(
            origin.url, 'route "/bytes/*" { }', "held_max = 1MB", redis,
            workers=1)))
        wait_until(lambda: "; hit" in daemon.get("/bytes/400000").cache_status,
                   what="a hit")
        slow = []
        for _ in range(5):
            client = self.use(Connection(daemon.port, receive_buffer=4096))
            client.request("GET", "/bytes/400000")
            self.assertIn("; hit", client.read_head().fields["Cache-Status"])
            slow.append(client)
        daemon.wait_metric(HIT, 3, limit="held_max")
        for client in slow[:3]:
            with self.assertRaises((WireError, OSError)):
                client.read_exactly(400000)
        for client in slow[3:]:
            self.assertEqual(client.read_exactly(400000), pattern(400000))
        self.assertEqual(daemon.metric(HIT, limit="held_max"), 3)
        # What is shared counts once; what is small or fast, not at all.
        for _ in range(10):
            self.assertEqual(len(daemon.get("/bytes/400000").body), 400000)
        self.assertEqual(daemon.metric(HIT, limit="held_max"), 3)

    def test_one_alone_is_never_cut_for_what_he_holds(self):
        redis = self.use(RedisServer())
        origin = self.use(SampleOrigin())
        daemon = self.use(Nearside(conf(
            origin.url, 'route "/bytes/*" { }', "held_max = 1MB", redis)))
        wait_until(lambda: "; hit" in daemon.get("/bytes/4000000").cache_status,
                   what="a hit")
        client = self.use(Connection(daemon.port, receive_buffer=4096))
        client.request("GET", "/bytes/4000000")
        client.read_head()
        self.assertEqual(client.read_exactly(4000000), pattern(4000000))


class Origins(FlowTest):
    """Each limit of an origin and its counter; test_wire_origin_faults.py
    has what clients see."""

    def script(self, connection, request, n):
        del n
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"
        if request.target == "/silent":
            self.steps.wait("end")
        elif request.target == "/stalls":
            connection.send(head + b"\r\nhello")
            self.steps.wait("end")
        elif request.target == "/trickles":
            connection.send(head + b"\r\n")
            for step in range(5):
                self.steps.wait(step)
                connection.send(b"x")
            self.steps.wait("end")
        elif request.target == "/long":
            connection.send(head + b"A: " + b"a" * 2000 + b"\r\n\r\n")
        else:
            connection.send(head + b"A: b\r\n" * 20 + b"\r\n")

    def test_each_is_counted_by_its_cause(self):
        self.steps = Steps()
        self.addCleanup(self.steps.go, "end", *range(5))
        origin = self.use(ScriptedOrigin(self.script))
        clock = self.use(Clock())
        daemon = self.use(Nearside(conf(
            origin.url, limits="response_head_max = 1KB"
            "  response_fields_max = 10  idle_timeout = 10h", workers=1,
            origin_more="first_byte_timeout = 10m"
            "  between_bytes_timeout = 10m  total_timeout = 40m"),
            env=clock.env))
        other = self.use(daemon.connect())

        def get(target):
            """With the time that the origin takes."""
            count = len(origin.requests) + 1
            client = self.use(daemon.connect())
            client.request("GET", target)
            wait_until(lambda: len(origin.requests) == count,
                       what="it has come")
            turns(other)
            if target in ("/stalls", "/trickles"):
                client.read_head()
            if target == "/stalls":
                client.read_exactly(5)
            if target == "/trickles":
                for step in range(5):
                    self.steps.go(step)
                    client.read_exactly(1)
                    clock.move_on_and_see(8 * 60, other)
            clock.move_on_and_see(11 * 60, other)
            return client

        for target, cause, status in (
                ("/silent", "first_byte", 504),
                ("/stalls", "between_bytes", None),
                ("/trickles", "total", None),
                ("/long", "head_size", 502),
                ("/many", "head_size", 502)):
            with self.subTest(target=target):
                before = daemon.metric("nearside_origin_errors_total",
                                       cause=cause)
                if status is None:
                    self.assertTrue(get(target).is_closed())
                else:
                    self.assertEqual(get(target).read_response().status,
                                     status)
                self.assertEqual(daemon.metric(
                    "nearside_origin_errors_total", cause=cause), before + 1)


class Objects(FlowTest):
    def test_object_max_is_delivered_and_not_stored(self):
        def script(connection, request, n):
            body = b"x" * int(request.target.rsplit("/", 1)[1])
            if "chunked" not in request.target:
                return answer(connection, body)
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
                            b"\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
                            % (len(body), body))
            return True

        redis = self.use(RedisServer())
        origin = self.use(ScriptedOrigin(script))
        daemon = self.use(Nearside(conf(
            origin.url, 'route "/o/*" { }', "object_max = 100KB", redis)))
        for way in ("length", "chunked"):
            with self.subTest(way=way):
                for size, is_kept in ((102400, True), (102401, False)):
                    for turn in range(2):
                        got = daemon.get(f"/o/{way}/{size}")
                        self.assertEqual(len(got.body), size)
                        is_hit = "; hit" in got.cache_status
                        self.assertEqual(is_hit, is_kept and turn == 1,
                                         got.cache_status)
        self.assertEqual(daemon.metric(HIT, limit="object_max"), 1)

    def test_flight_wait_is_how_long_another_fetch_is_waited_for(self):
        steps = Steps()
        self.addCleanup(steps.go, "first")

        def script(connection, request, n):
            if n == 0:
                steps.wait("first")
            return answer(connection, b"%d" % n)

        origin = self.use(ScriptedOrigin(script))
        daemon = self.use(Nearside(conf(
            origin.url, 'route "/o/*" { }', "flight_wait = 300ms")))
        first = self.use(daemon.connect())
        first.request("GET", "/o/1")
        wait_until(lambda: origin.requests, what="the first has come")
        second = daemon.get("/o/1")
        self.assertEqual(second.body, b"1")
        self.assertGreaterEqual(second.seconds, 0.28)
        self.assertEqual(daemon.metric(HIT, limit="flight_wait"), 1)
        steps.go("first")
        self.assertEqual(first.read_response().body, b"0")

    def test_flights_max_is_how_many_are_waited_for(self):
        steps = Steps()
        self.addCleanup(steps.go, "end")

        def script(connection, request, n):
            steps.wait("end")
            return answer(connection, b"x")

        origin = self.use(ScriptedOrigin(script))
        daemon = self.use(Nearside(conf(
            origin.url, 'route "/o/*" { }', "flights_max = 2")))
        clients = [self.use(daemon.connect()) for _ in range(3)]
        for i, client in enumerate(clients):
            client.request("GET", f"/o/{i}")
        wait_until(lambda: len(origin.requests) == 3, what="all have come")
        self.assertEqual(daemon.metric(HIT, limit="flights_max"), 1)
        steps.go("end")
        for client in clients:
            self.assertEqual(client.read_response().body, b"x")


if __name__ == "__main__":
    unittest.main()
