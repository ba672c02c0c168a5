# ctest: jobs=2 cost=5
"""Each request of the daemon's table of attacks, on real sockets.

A payload is sent whole, byte by byte, and cut at a sample of offsets: always
the same verdict. Behind every refused head stands a smuggled request that the
origin must never see; after each, a victim on another connection (and on the
pooled connections to the origin) gets its own answer.
"""

import random
import time
import unittest

from lib import FlowTest, Nearside, wait_until
from lib.payloads import (EMPTY, HELLO, REQUEST_ACCEPTED, REQUEST_BODIES,
                          REQUEST_HEADS, SMUGGLED, chunked, get, head, length,
                          line)
from lib.scripted import EchoOrigin, conf


class Wire(FlowTest):
    limits = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.origin = cls.use_in_class(EchoOrigin())
        cls.daemon = cls.use_in_class(Nearside(conf(
            cls.origin.url, limits="head_timeout = 30s")))
        cls.random = random.Random(7)
        cls.victims = 0

    def cuts(self, data):
        """Lists of pieces: whole, byte by byte, cut once at some offsets."""
        yield [data]
        if len(data) <= 512:
            yield [data[i:i + 1] for i in range(len(data))]
        most = min(len(data), 9000)
        offsets = {most // 2, most - 1}
        offsets.update(self.random.randrange(1, most) for _ in range(3))
        at = data.find(b"\r\n")
        offsets.update((at + 1, at + 2) if at > 0 else ())
        for offset in sorted(offsets):
            yield [data[:offset], data[offset:]]

    @staticmethod
    def send(client, pieces):
        """False: the daemon closed while we were still sending."""
        try:
            for i, piece in enumerate(pieces):
                client.send(piece)
                if i == 0 and len(pieces) == 2:
                    # Nothing outside tells that the first piece was read.
                    time.sleep(0.001)
        except OSError:
            return False
        return True

    def all_answers(self, pieces):
        """Every byte that comes until the daemon closes."""
        with self.daemon.connect(timeout=5) as client:
            self.send(client, pieces)
            said = []
            try:
                while True:
                    data = client.read_some()
                    if not data:
                        return b"".join(said)
                    said.append(data)
            except ConnectionResetError:
                return b"".join(said)

    def victim(self):
        type(self).victims += 1
        target = f"/victim-{self.victims}"
        answer = self.daemon.get(target)
        self.assertEqual((answer.status, answer.body.decode()),
                         (200, f"GET {target} {EMPTY}"))

    def assert_refused(self, said, status, what):
        wanted = status if isinstance(status, tuple) else (status,)
        self.assertRegex(said[:13], rb"\AHTTP/1\.1 \d\d\d ", what)
        self.assertIn(int(said[9:12]), wanted, what)
        self.assertEqual(said.count(b"HTTP/1.1 "), 1, what)
        self.assertIn(b"\r\nconnection: close\r\n", said.lower(), what)


class Heads(Wire):
    def test_a_refused_head_never_reaches_the_origin(self):
        for row, name, data, status in REQUEST_HEADS:
            for pieces in self.cuts(data + SMUGGLED):
                with self.subTest(row=row, what=name, first=len(pieces[0])):
                    before = len(self.origin.requests)
                    said = self.all_answers(pieces)
                    self.assert_refused(said, status, name)
                    self.assertEqual(self.origin.targets()[before:], [])
            with self.subTest(row=row, what=name, first="victim"):
                self.victim()

    def test_a_head_and_lf_alone_ends_no_head(self):
        said = self.all_answers([b"GET /x HTTP/1.1\r\nHost: test\r\n\nX"])
        self.assert_refused(said, 400, "LF")

    def test_head_with_a_body_leaves_nothing_on_the_connection(self):
        """Row 83: read it or refuse it, never take it for a request."""
        data = head(b"Content-Length: %d" % len(SMUGGLED),
                    method="HEAD") + SMUGGLED
        said = self.all_answers([data + b"GET /after HTTP/1.1\r\nHost: test\r\n"
                                 b"Connection: close\r\n\r\n"])
        self.assertIn(int(said[9:12]), (200, 400))
        self.assertNotIn("/smuggled", self.origin.targets())
        self.victim()

    def test_fields_with_an_underscore_for_a_dash_are_dropped(self):
        """Row 13."""
        for name in (b"Content_Length", b"Transfer_Encoding"):
            with self.daemon.connect() as client:
                client.send(get("/under", name + b": 5"))
                self.assertEqual(client.read_response().status, 200)
            request = self.origin.whole[-1]
            self.assertEqual(request.target, "/under")
            self.assertNotIn(name.decode(), request.fields)

    def test_bytes_above_0x7f_in_a_value_pass_unchanged(self):
        """Row 71."""
        with self.daemon.connect() as client:
            client.send(get("/obs", b"X-Obs: \x85caf\xe9 \xa0"))
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual(self.origin.whole[-1].fields["X-Obs"],
                         "\x85caf\xe9 \xa0")

    def test_upgrade_ends_here(self):
        """Row 88."""
        with self.daemon.connect() as client:
            client.send(get("/up", b"Connection: Upgrade, HTTP2-Settings",
                            b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk")
                        + get("/after"))
            self.assertIn(b"/up ", client.read_response().body)
            self.assertIn(b"/after ", client.read_response().body)
        request = next(r for r in self.origin.whole if r.target == "/up")
        for name in ("Upgrade", "HTTP2-Settings", "Connection"):
            self.assertNotIn(name, request.fields)

    def test_an_error_answer_leaves_no_trace_in_the_next_request(self):
        """A recycled request once closed its connection for the last one."""
        self.assert_refused(self.all_answers([line(b"GET x HTTP/1.1")]), 400,
                            "no slash")
        for _ in range(4):
            with self.daemon.connect() as client:
                client.request("GET", "/clean")
                self.assertNotIn("Connection", client.read_response().fields)

    def test_garbage_behind_a_request_gets_400_after_its_answer(self):
        """Row 89."""
        said = self.all_answers([get("/good") + b"\x00\x01garbage\r\n\r\n"])
        self.assertRegex(said, rb"(?s)\AHTTP/1.1 200 .*GET /good \w+"
                         rb"HTTP/1.1 400 .*connection: close")
        self.victim()

    def test_a_request_behind_connection_close_is_ignored(self):
        """Row 90."""
        said = self.all_answers([get("/last", b"Connection: close")
                                 + SMUGGLED])
        self.assertEqual(said.count(b"HTTP/1.1 "), 1)
        self.assertNotIn("/smuggled", self.origin.targets())


class Bodies(Wire):
    def test_a_malformed_body_never_becomes_a_whole_request(self):
        for row, name, data in REQUEST_BODIES:
            for pieces in self.cuts(data + SMUGGLED):
                with self.subTest(row=row, what=name, first=len(pieces[0])):
                    whole = len(self.origin.whole)
                    said = self.all_answers(pieces)
                    self.assert_refused(said, 400, name)
                    self.assertEqual(self.origin.whole[whole:], [])
            with self.subTest(row=row, what=name, first="victim"):
                self.victim()
        self.assertNotIn("/smuggled", self.origin.targets())

    def test_a_body_that_ends_early_is_never_completed(self):
        """Rows 44 and 45."""
        for name, data in (("length", length(b" 10")),
                           ("chunked", chunked(b"5\r\nhello\r\n"))):
            with self.subTest(what=name):
                cut = len(self.origin.cut)
                whole = len(self.origin.whole)
                with self.daemon.connect() as client:
                    client.send(data)
                    wait_until(lambda: len(self.origin.requests) > whole + cut,
                               what="the head has come to the origin")
                    client.half_close()
                    wait_until(lambda: len(self.origin.cut) > cut,
                               what="the origin sees it cut")
                self.assertEqual(len(self.origin.whole), whole)
                self.victim()


class Accepted(Wire):
    def test_what_is_accepted_arrives_normalised(self):
        for row, name, data, method, target, body in REQUEST_ACCEPTED:
            for pieces in self.cuts(data):
                with self.subTest(row=row, what=name, first=len(pieces[0])):
                    with self.daemon.connect() as client:
                        self.send(client, pieces)
                        answer = client.read_response(method)
                        self.assertEqual(answer.status, 200)
                        self.assertEqual(answer.body.decode(),
                                         f"{method} {target} {body}")
                        client.send(get("/same"))
                        self.assertEqual(client.read_response().body.decode(),
                                         f"GET /same {EMPTY}")
                    request = next(r for r in reversed(self.origin.whole)
                                   if r.target != "/same")
                    self.assertEqual(request.version, "1.1")
                    self.assertEqual(request.fields["Host"], "test")
                    self.assertNotIn("Authorization", request.fields)
                    self.assertIn(request.fields["Content-Length"],
                                  (None, "5" if body == HELLO else "0"))

    def test_a_client_may_pause_within_its_head_and_body(self):
        data = length(b" 5")
        with self.daemon.connect() as client:
            for piece in (data[:7], data[7:-2], data[-2:]):
                self.assertFalse(client.has_bytes(0.05))
                client.send(piece)
            self.assertEqual(client.read_response().body.decode(),
                             f"POST /x {HELLO}")


if __name__ == "__main__":
    unittest.main()
