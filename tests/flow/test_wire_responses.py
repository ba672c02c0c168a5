"""Responses that are no responses: rows 94 to 106 of the daemon's table.

An origin that breaks HTTP is answered for with 502, or, when an answer was
under way, by cutting the client's connection: never by something that looks
whole. Nothing of it is stored and its connection is not used again.
"""

import time
import unittest

from lib import (FlowTest, Nearside, RedisServer, ScriptedOrigin, WireError,
                 wait_until)
from lib.payloads import OK, RESPONSE_BODIES, RESPONSE_HEADS, response
from lib.scripted import answer, conf


class Responses(FlowTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.redis = cls.use_in_class(RedisServer())
        cls.origin = cls.use_in_class(ScriptedOrigin(
            lambda *given: cls.script(*given)))
        cls.daemon = cls.use_in_class(Nearside(conf(
            cls.origin.url, redis=cls.redis, workers=1,
            routes='route "/kept/*" { ttl = 60s }')))
        cls.count = 0

    def respond(self, data, goes_on=False):
        """What the origin says to all requests but /good ones."""
        def script(connection, request, n):
            del n
            if request.target.startswith("/good"):
                return answer(connection, request.target.encode())
            if isinstance(data, list):
                for piece in data:
                    connection.send(piece)
            else:
                connection.send(data)
            return goes_on
        type(self).script = staticmethod(script)

    def target(self, base):
        type(self).count += 1
        return f"{base}/{self.count}"

    def assert_good(self):
        target = self.target("/good")
        self.assertEqual(self.daemon.get(target).body, target.encode())

    def assert_nothing_stored(self, target):
        for key in self.redis("KEYS", "ns:e:*"):
            if not key.endswith(target.encode() + b"}"):
                continue
            # A marker ("ask for yourself") may stand there, without a body.
            self.assertNotIn(b"hello", self.redis("GET", key) or b"")

    def test_a_bad_head_is_answered_with_502_and_not_stored(self):
        for row, name, data in RESPONSE_HEADS:
            middle = len(data) // 2
            for pieces in ([data], [data[:middle], data[middle:]]):
                with self.subTest(row=row, what=name, pieces=len(pieces)):
                    self.respond(pieces)
                    target = self.target("/kept")
                    got = self.daemon.get(target)
                    self.assertEqual(got.status, 502)
                    self.assertNotIn(b"hello", got.body)
                    self.assertIn("no-store", got.fields["Cache-Control"])
                    self.assert_nothing_stored(target)
                    self.assertEqual(self.daemon.get(self.target(
                        "/through")).status, 502)
            self.assert_good()

    def test_a_bad_head_byte_by_byte_is_as_bad(self):
        for row, name, data in RESPONSE_HEADS:
            if len(data) > 300:
                continue
            with self.subTest(row=row, what=name):
                self.respond([data[i:i + 1] for i in range(len(data))])
                self.assertEqual(self.daemon.get(
                    self.target("/through")).status, 502)

    def test_a_connection_with_a_bad_response_is_not_used_again(self):
        self.respond(RESPONSE_HEADS[0][2], goes_on=True)
        before = self.origin.connections
        for _ in range(3):
            self.assertEqual(self.daemon.get(
                self.target("/through")).status, 502)
        self.assertEqual(self.origin.connections - before, 3)

    @staticmethod
    def cuts(data):
        """Whole, in two at its body's middle and behind it, byte by byte."""
        body = data.index(b"\r\n\r\n") + 4
        middle = (body + len(data)) // 2
        yield [data]
        yield [data[:body], data[body:]]
        yield [data[:middle], data[middle:]]
        if len(data) < 300:
            yield [data[i:i + 1] for i in range(len(data))]

    def assert_cut(self, target):
        with self.daemon.connect() as client:
            client.request("GET", target)
            with self.assertRaises((WireError, OSError)):
                got = client.read_response()
                # If its head had not gone out, this is right too.
                if got.status == 502:
                    raise WireError("502")

    def test_a_bad_body_never_looks_whole(self):
        for name, data in RESPONSE_BODIES:
            for pieces in self.cuts(data):
                with self.subTest(what=name, first=len(pieces[0])):
                    self.respond(pieces)
                    self.assert_cut(self.target("/through"))
                    target = self.target("/kept")
                    self.assert_cut(target)
                    self.assert_nothing_stored(target)
            self.assert_good()

    def test_a_bad_body_is_as_bad_for_http_1_0(self):
        """Where the end of the connection ends a body, a reset must not."""
        self.respond(RESPONSE_BODIES[1][1])
        with self.daemon.connect() as client:
            client.send(b"GET /through/old HTTP/1.0\r\nHost: test\r\n\r\n")
            with self.assertRaises((WireError, ConnectionResetError)):
                got = client.read_response()
                if got.status == 502:
                    raise WireError("502")

    def test_spare_bytes_behind_a_response_end_its_connection(self):
        """Row 100: they are nobody's answer."""
        self.respond(response(b"Content-Length: 5", body=b"hello" + OK
                              + b"Content-Length: 4\r\n\r\nevil"),
                     goes_on=True)
        before = self.origin.connections
        for _ in range(5):
            self.assertEqual(self.daemon.get(
                self.target("/through")).body, b"hello")
            self.assert_good()
        # One, at most, of the good ones came by the last one's connection.
        self.assertGreaterEqual(self.origin.connections - before, 5)

    def test_bytes_on_an_idle_connection_end_it(self):
        """Row 100."""
        held = []

        def script(connection, request, n):
            del n
            held.append(connection)
            return answer(connection, request.target.encode())

        type(self).script = staticmethod(script)
        self.assert_good()
        held[-1].send(OK + b"Content-Length: 4\r\n\r\nevil")
        for _ in range(3):
            self.assert_good()
        self.assertIsNot(held[-1], held[0])

    def test_spare_bytes_where_no_body_may_be_end_the_connection(self):
        """Row 104."""
        for first, method in ((b"HTTP/1.1 204 No Content\r\n", "GET"),
                              (b"HTTP/1.1 304 Not Modified\r\n", "GET"),
                              (OK + b"Content-Length: 5\r\n", "HEAD")):
            with self.subTest(first=first):
                self.respond(first + b"\r\nhello", goes_on=True)
                with self.daemon.connect() as client:
                    client.request(method, self.target("/through"))
                    got = client.read_response(method)
                    self.assertEqual(got.status, int(first[9:12]))
                    self.assertEqual(got.body, b"")
                    client.request("GET", "/good/next")
                    self.assertEqual(client.read_response().body,
                                     b"/good/next")

    def test_fields_that_tell_of_a_body_bring_none_where_none_may_be(self):
        """HEAD, 204 and 304 end with their head, whatever it says."""
        for method, data in (
                ("HEAD", OK + b"Content-Length: 5\r\n\r\n"),
                ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n"),
                ("HEAD", OK + b"\r\n"),
                ("GET", b"HTTP/1.1 304 Not Modified\r\n"
                        b"Content-Length: 5\r\n\r\n"),
                ("GET", b"HTTP/1.1 204 No Content\r\n"
                        b"Content-Length: 0\r\n\r\n")):
            with self.subTest(method=method, data=data):
                self.respond(data, goes_on=True)
                with self.daemon.connect() as client:
                    for _ in range(2):
                        client.request(method, self.target("/through"))
                        got = client.read_response(method)
                        self.assertEqual(got.status, int(data[9:12]))
                    client.request("GET", "/good/after")
                    self.assertEqual(client.read_response().body,
                                     b"/good/after")

    def test_a_close_delimited_response_is_delivered_and_not_stored(self):
        """Row 102."""
        self.respond(response(body=b"hello" * 1000))
        target = self.target("/kept")
        for _ in range(2):
            got = self.daemon.get(target)
            self.assertEqual((got.status, got.body), (200, b"hello" * 1000))
            self.assertNotIn("hit", got.cache_status)
        self.assert_nothing_stored(target)

    def test_partial_content_is_never_stored(self):
        """Row 106: asked for, or not."""
        for first in (b"HTTP/1.1 206 Partial Content\r\n",
                      b"HTTP/1.1 416 Range Not Satisfiable\r\n"):
            for fields in ({}, {"Range": "bytes=0-4"}):
                with self.subTest(first=first, fields=fields):
                    self.respond(response(
                        b"Content-Range: bytes 0-4/9", b"Content-Length: 5",
                        first=first, body=b"hello"), goes_on=True)
                    target = self.target("/kept")
                    got = self.daemon.get(target, fields=fields)
                    self.assertIn(got.status, (int(first[9:12]), 502))
                    self.assert_nothing_stored(target)

    def test_what_has_bytes_behind_it_is_not_stored(self):
        """Row 100: it may be half of something that was split."""
        for body in (b"hello!", b"hello" + OK + b"\r\n", b"hello\r\n"):
            with self.subTest(body=body):
                self.respond(response(b"Content-Length: 5", body=body),
                             goes_on=True)
                target = self.target("/kept")
                for _ in range(2):
                    got = self.daemon.get(target)
                    self.assertEqual((got.status, got.body), (200, b"hello"))
                    self.assertNotIn("hit", got.cache_status)
                self.assert_nothing_stored(target)

    def test_a_status_beyond_599_is_passed_on_and_not_stored(self):
        """RFC 9110 15: an error of the server, whatever it means."""
        target = self.target("/kept")
        self.respond(response(
            b"Content-Length: 5", b"Cache-Control: max-age=60",
            first=b"HTTP/1.1 999 What\r\n", body=b"hello"), goes_on=True)
        for _ in range(2):
            got = self.daemon.get(target)
            self.assertEqual((got.status, got.body), (999, b"hello"))
        self.assert_nothing_stored(target)

    def test_eight_interim_responses_are_passed_on(self):
        """Row 103, and early hints reach the client."""
        self.respond(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 8
                     + response(b"Content-Length: 5", body=b"hello"),
                     goes_on=True)
        with self.daemon.connect() as client:
            client.request("GET", self.target("/through"))
            for _ in range(8):
                hint = client.read_response(skip_1xx=False)
                self.assertEqual(hint.status, 103)
                self.assertEqual(hint.fields["Link"], "</a>")
            self.assertEqual(client.read_response().body, b"hello")

    def test_a_large_interim_response_is_passed_on_whole(self):
        links = [b"Link: </%d.css>; rel=preload; x=%s" % (i, b"y" * 900)
                 for i in range(20)]
        self.respond(b"\r\n".join([b"HTTP/1.1 103 Early Hints", *links])
                     + b"\r\n\r\n"
                     + response(b"Content-Length: 5", body=b"hello"))
        with self.daemon.connect() as client:
            client.request("GET", self.target("/through"))
            hint = client.read_response(skip_1xx=False)
            self.assertEqual(hint.status, 103)
            self.assertEqual(len(hint.fields.all("Link")), 20)
            self.assertEqual(client.read_response().body, b"hello")

    def test_interim_responses_that_a_client_does_not_read_cost_no_answer(self):
        """What did not go out of them goes out before the answer."""
        hint = b"HTTP/1.1 103 Early Hints\r\n" + b"".join(
            b"Link: </%d.css>; x=%s\r\n" % (i, b"y" * 900)
            for i in range(25)) + b"\r\n"
        self.respond(hint * 8 + response(b"Content-Length: 5", body=b"hello"),
                     goes_on=True)
        with self.daemon.connect(receive_buffer=2304) as client:
            client.request("GET", self.target("/through"))
            wait_until(lambda: len(self.origin.requests) > 0, what="asked")
            time.sleep(0.3)  # all that can come has come
            hints = 0
            got = client.read_response(skip_1xx=False)
            while got.status == 103:
                self.assertEqual(len(got.fields.all("Link")), 25)
                hints += 1
                got = client.read_response(skip_1xx=False)
            self.assertEqual((got.status, got.body), (200, b"hello"))
            self.assertGreater(hints, 0)
            self.respond(response(b"Content-Length: 2", body=b"ho"))
            client.request("GET", self.target("/through"))
            self.assertEqual(client.read_response(skip_1xx=False).body, b"ho")

    def test_interim_responses_wait_for_a_client_that_reads_late(self):
        """RFC 9110 15.2: they are forwarded, though the socket is full."""
        hint = b"HTTP/1.1 103 Early Hints\r\n" + b"".join(
            b"Link: </%d.css>; x=%s\r\n" % (i, b"y" * 900)
            for i in range(25)) + b"\r\n"
        self.respond(hint * 8 + response(b"Content-Length: 5", body=b"hello"),
                     goes_on=True)
        daemon = self.use(Nearside(conf(
            self.origin.url, limits="head_max = 512KB")))
        with daemon.connect(receive_buffer=2304) as client:
            client.request("GET", self.target("/through"))
            wait_until(lambda: len(self.origin.requests) > 0, what="asked")
            time.sleep(0.3)  # all that can come has come
            for _ in range(8):
                self.assertEqual(
                    client.read_response(skip_1xx=False).status, 103)
            self.assertEqual(client.read_response().body, b"hello")

    def test_a_response_may_name_its_coding_in_connection(self):
        self.respond(response(b"Transfer-Encoding: chunked",
                              b"Connection: Transfer-Encoding",
                              b"Connection: keep-alive",
                              body=b"5\r\nhello\r\n0\r\n\r\n"))
        got = self.daemon.get(self.target("/through"))
        self.assertEqual((got.status, got.body), (200, b"hello"))
        self.assertNotIn("Transfer-Encoding", got.fields["Connection"] or "")

    def test_interim_responses_stay_away_from_http_1_0(self):
        self.respond(b"HTTP/1.1 103 Early Hints\r\n\r\n"
                     + response(b"Content-Length: 5", body=b"hello"))
        with self.daemon.connect() as client:
            client.send(b"GET /through/1.0 HTTP/1.0\r\nHost: test\r\n\r\n")
            got = client.read_response(skip_1xx=False)
            self.assertEqual((got.status, got.body), (200, b"hello"))


if __name__ == "__main__":
    unittest.main()
