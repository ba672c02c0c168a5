"""Each request of the daemon's table of attacks, on real sockets.

A payload is sent whole, byte by byte, and cut at a sample of offsets: always
the same verdict. Behind every refused head stands a smuggled request that the
origin must never see; after each, a victim on another connection (and on the
pooled connections to the origin) gets its own answer.
"""

import random
import time
import unittest

from lib import Connection, FlowTest, Nearside, WireError, wait_until
from lib.scripted import EchoOrigin, conf, digest

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"


def head(*lines, method="POST", target="/x", host=True):
    first = f"{method} {target} HTTP/1.1".encode("latin-1")
    rows = [first] + ([b"Host: test"] if host else []) + list(lines)
    return b"\r\n".join(rows) + b"\r\n\r\n"


def length(value, body=b"hello", **more):
    return head(b"Content-Length:" + value, **more) + body


def coding(value, body=b"5\r\nhello\r\n0\r\n\r\n", **more):
    return head(b"Transfer-Encoding:" + value, **more) + body


def chunked(body, **more):
    return coding(b" chunked", body, **more)


def get(target, *lines):
    return head(*lines, method="GET", target=target)


def line(text):
    return text + b"\r\nHost: test\r\n\r\n"


CL5 = b"Content-Length: 5"
TE = b"Transfer-Encoding: chunked"

# (row of the table, what, bytes, status): refused by the head alone, so that
# the origin hears nothing at all.
HEADS = [
    (1, "length, then coding", head(CL5, TE) + b"0\r\n\r\n", 400),
    (1, "coding, then length", head(TE, CL5) + b"0\r\n\r\n", 400),
    (2, "two lengths", head(CL5, b"Content-Length: 6") + b"hello", 400),
    (3, "one length twice", head(CL5, CL5) + b"hello", 400),
    (4, "a list of one length", length(b" 5, 5"), 400),
    (4, "a list of two", length(b" 5, 10"), 400),
    (5, "plus", length(b" +5"), 400),
    (6, "minus", length(b" -1"), 400),
    (6, "minus zero", length(b" -0"), 400),
    *((7, f"length {v}", length(b" " + v), 400) for v in (
        b"0x10", b"0o5", b"1_0", b"1 0", b"5e0", b"5.0", b"5Z")),
    (8, "empty length", length(b""), 400),
    (8, "empty, then five", head(b"Content-Length:", CL5) + b"hello", 400),
    (9, "2^64 + 5", length(b" 18446744073709551621"), 400),
    (9, "30 digits", length(b" " + b"9" * 30), 400),
    (12, "blank behind the name", head(b"Content-Length : 5") + b"hello", 400),
    *((14, f"Connection: {n}", get("/x", b"Connection: " + n), 400) for n in (
        b"content-length", b"transfer-encoding", b"host", b"cache-control",
        b"authorization", b"cookie", b"via", b"forwarded",
        b"x-forwarded-for", b"close, x-forwarded-host")),
    *((15, f"coding {v}", coding(b" " + v), 400) for v in (
        b"identity", b"xchunked", b'"chunked"', b"chunked;a=b", b"cow")),
    (16, "chunked, gzip", coding(b" chunked, gzip"), 400),
    (17, "gzip, chunked", coding(b" gzip, chunked"), 400),
    *((18, f"coding {v}", coding(b" " + v), 400) for v in (
        b",chunked", b"chunked,", b"chunked,chunked")),
    (19, "two codings", head(TE, TE) + b"0\r\n\r\n", 400),
    (19, "and identity", head(TE, b"Transfer-Encoding: identity")
     + b"0\r\n\r\n", 400),
    (20, "empty coding", coding(b""), 400),
    *((21, f"coding with {b:#x}", coding(b" chunked" + bytes([b])), 400)
      for b in (0x0b, 0x0c, 0xa0, 0x85, 0x00, 0xff)),
    (21, "VT before it", coding(b"\x0bchunked"), 400),
    (22, "folded coding", coding(b"\r\n chunked"), 400),
    (23, "blank behind", head(b"Transfer-Encoding : chunked")
     + b"0\r\n\r\n", 400),
    (25, "coding in 1.0", b"POST /x HTTP/1.0\r\nHost: test\r\n" + TE
     + b"\r\n\r\n0\r\n\r\n", 400),
    (26, "unknown coding", coding(b" br", b""), 400),
    (46, "HTTP/0.9", b"GET /\r\n", 400),
    (47, "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    (48, "HTTP/2.0", line(b"GET /x HTTP/2.0"), 505),
    (48, "HTTP/0.1", line(b"GET /x HTTP/0.1"), 505),
    (49, "HTTP/1.32", line(b"GET /x HTTP/1.32"), 400),
    *((50, f"version {v}", line(b"GET /x " + v), 400) for v in (
        b"HTTP/01.01", b"HTTP/1", b"HTTP/ 1.1", b"http/1.1")),
    (51, "separators in a method", line(b'G=":<> /x HTTP/1.1'), 400),
    (53, "CONNECT", line(b"CONNECT test:80 HTTP/1.1"), 501),
    (53, "TRACE", line(b"TRACE /x HTTP/1.1"), 501),
    *((54, f"request line {v}", line(v), 400) for v in (
        b"GET  /x HTTP/1.1", b"GET /x  HTTP/1.1", b"GET\t/x HTTP/1.1",
        b"GET /x\x0bHTTP/1.1", b"GET /x HTTP/1.1 ")),
    (55, "blank in the target", line(b"GET /x y HTTP/1.1"), 400),
    *((56, f"{b:#x} in the target",
       line(b"GET /x" + bytes([b]) + b"y HTTP/1.1"), 400)
      for b in (0, 1, 0x1f, 0x7f)),
    (57, "byte above 0x7f", line(b"GET /\xc3\xa9 HTTP/1.1"), 400),
    (58, "fragment", line(b"GET /x#y HTTP/1.1"), 400),
    (59, "backslash", line(b"GET /x\\y HTTP/1.1"), 400),
    (60, "%zz", line(b"GET /%zz HTTP/1.1"), 400),
    (60, "% at the end", line(b"GET /%4 HTTP/1.1"), 400),
    (61, "%00", line(b"GET /x%00 HTTP/1.1"), 400),
    (62, "no slash", line(b"GET x HTTP/1.1"), 400),
    (62, "@evil/", line(b"GET @evil/ HTTP/1.1"), 400),
    (62, "* with GET", line(b"GET * HTTP/1.1"), 400),
    (63, "other host in the target", line(b"GET http://evil/ HTTP/1.1"), 400),
    (65, "userinfo", line(b"GET http://u@test/x HTTP/1.1"), 400),
    (65, "ftp", line(b"GET ftp://test/x HTTP/1.1"), 400),
    (66, "two empty lines first", b"\r\n\r\n" + get("/x"), 400),
    (66, "LF first", b"\n" + get("/x"), 400),
    (66, "blank first", b" " + get("/x"), 400),
    (67, "LF after the start line",
     b"GET /x HTTP/1.1\nHost: test\r\n\r\n", 400),
    (67, "LF after a field", b"GET /x HTTP/1.1\r\nHost: test\n\r\n", 400),
    (67, "LF alone at the end", b"GET /x HTTP/1.1\r\nHost: test\r\n\n", 400),
    (68, "CR in the start line", line(b"GET /x\r HTTP/1.1"), 400),
    (68, "CR in a value", get("/x", b"A: b\rc"), 400),
    (68, "CR in a name", get("/x", b"A\r: b"), 400),
    (69, "NUL in a value", get("/x", b"A: b\x00c"), 400),
    (69, "NUL in Host", head(b"Host: a\x00.evil", method="GET",
                             host=False), 400),
    *((70, f"{b:#x} in a value", get("/x", b"A: b" + bytes([b]) + b"c"), 400)
      for b in (1, 8, 0x0b, 0x1f, 0x7f)),
    (72, "folded field", get("/x", b"A: b\r\n c"), 400),
    (73, "blank before the first field",
     b"GET /x HTTP/1.1\r\n Host: test\r\n\r\n", 400),
    (74, "empty name", get("/x", b": b"), 400),
    (75, "no colon", get("/x", b"novalue"), 400),
    (75, "name split by LF", get("/x", b"Na\nme: b"), 400),
    *((76, f"name with {b!r}", get("/x", b"a" + b + b"b: c"), 400)
      for b in (b"@", b" ", b"\x85", b"\t", b"(", b"/")),
    (77, "name of 257", get("/x", b"n" * 257 + b": v"), 431),
    (77, "field of 8,001", get("/x", b"n: " + b"v" * 8001), 431),
    (78, "CR and then no LF", b"GET /x HTTP/1.1\r\nHost: test\r\n\rX", 400),
    (79, "no Host", b"GET /x HTTP/1.1\r\n\r\n", 400),
    (79, "two Hosts", get("/x", b"Host: test"), 400),
    (79, "empty Host", head(b"Host:", method="GET", host=False), 400),
    *((80, f"Host {h}", head(b"Host: " + h, method="GET", host=False), 400)
      for h in (b"a,b", b"a b", b"a/b", b"a@b", b"a:99999", b"a:b", b"a:1:2")),
    (81, "1.0 without Host", b"GET /x HTTP/1.0\r\n\r\n", 400),
    (85, "Expect: y", head(b"Expect: y 100-continue", CL5) + b"hello", 417),
    (85, "folded Expect", head(b"Expect:\r\n 100-continue", CL5), (400, 417)),
    (91, "target of 16 KiB", get("/" + "x" * 16384), 414),
    (92, "2,000 fields", get("/x", *[b"a: b"] * 2000), 431),
    (92, "field of 64 KiB", get("/x", b"a: " + b"b" * 65536), 431),
]

# Found out only in the body: the head may have gone to the origin, but no
# whole request may follow it.
BODIES = [
    *((27, f"chunk size {v!r}", chunked(v + b"\r\nhello\r\n0\r\n\r\n"))
      for v in (b"0x5", b"+5", b"-1", b"-0", b"1_0", b"")),
    (28, "blank before the size", chunked(b" 5\r\nhello\r\n0\r\n\r\n")),
    (29, "blank behind the size", chunked(b"5 \r\nhello\r\n0\r\n\r\n")),
    (30, "junk behind the size", chunked(b"5 junk\r\nhello\r\n0\r\n\r\n")),
    (31, "size above 2^63", chunked(b"8000000000000005\r\nhello\r\n")),
    (31, "17 digits", chunked(b"10000000000000005\r\nhello\r\n")),
    (32, "40 zeros", chunked(b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n")),
    (33, "64 KiB of extension", chunked(
        b"5;a=" + b"b" * 65536 + b"\r\nhello\r\n0\r\n\r\n")),
    (33, "64 KiB of zeros", chunked(b"0" * 65536)),
    *((34, f"extension {v!r}", chunked(b"5" + v + b"\r\nhello\r\n0\r\n\r\n"))
      for v in (b";\n", b";a\rb", b"\r\r;a", b";\x00")),
    (35, "CRLF in a quoted value", chunked(
        b'5;a="b\r\nc"\r\nhello\r\n0\r\n\r\n')),
    (36, "extension without a name", chunked(b"5;\r\nhello\r\n0\r\n\r\n")),
    (36, "bad name", chunked(b"5;bad[=x\r\nhello\r\n0\r\n\r\n")),
    (38, "size ended by LF", chunked(b"5\nhello\r\n0\r\n\r\n")),
    (39, "data ended by LF", chunked(b"5\r\nhello\n0\r\n\r\n")),
    (40, "data not ended", chunked(b"5\r\nhelloXX0\r\n\r\n")),
    (40, "data spilt", chunked(b"5\r\nhello, world\r\n0\r\n\r\n")),
    (41, "last chunk ended by LF", chunked(b"5\r\nhello\r\n0\n\n")),
    (41, "end ended by LF", chunked(b"5\r\nhello\r\n0\r\n\n")),
    (41, "trailer ended by LF", chunked(b"5\r\nhello\r\n0\r\na: b\n\r\n")),
    (42, "trailer without colon", chunked(b"5\r\nhello\r\n0\r\nab\r\n\r\n")),
    (42, "NUL in a trailer", chunked(b"5\r\nhello\r\n0\r\na: \x00\r\n\r\n")),
    (42, "a request as trailer", chunked(
        b"5\r\nhello\r\n0\r\nGET /x HTTP/1.1\r\n\r\n")),
]

HELLO = digest(b"hello")
EMPTY = digest(b"")

# Accepted: (row, what, bytes, method, target, hash of the body).
ACCEPTED = [
    (10, "zeros before", length(b" 005"), "POST", "/x", HELLO),
    (11, "white space around", length(b"  5 \t"), "POST", "/x", HELLO),
    (24, "cHuNkEd", coding(b" cHuNkEd"), "POST", "/x", HELLO),
    (37, "extensions", chunked(b'5;a=b;c="d"\r\nhello\r\n0\r\n\r\n'),
     "POST", "/x", HELLO),
    (43, "trailers", chunked(
        b"5\r\nhello\r\n0\r\nHost: evil\r\nContent-Length: 9\r\n"
        b"Transfer-Encoding: x\r\nAuthorization: y\r\n\r\n"),
     "POST", "/x", HELLO),
    (49, "HTTP/1.2", line(b"GET /x HTTP/1.2"), "GET", "/x", EMPTY),
    (49, "HTTP/1.9", line(b"GET /x HTTP/1.9"), "GET", "/x", EMPTY),
    (52, "get", line(b"get /x HTTP/1.1"), "get", "/x", EMPTY),
    (52, "BREW", line(b"BREW /x HTTP/1.1"), "BREW", "/x", EMPTY),
    (61, "%0d%0a stays", line(b"GET /x%0d%0ay HTTP/1.1"), "GET",
     "/x%0d%0ay", EMPTY),
    (64, "absolute form", line(b"GET http://test/x?y HTTP/1.1"), "GET",
     "/x?y", EMPTY),
    (64, "without a path", line(b"GET http://test HTTP/1.1"), "GET", "/",
     EMPTY),
    (66, "one empty line first", b"\r\n" + get("/x"), "GET", "/x", EMPTY),
    (82, "GET with a body", length(b" 5", method="GET"), "GET", "/x", HELLO),
    (82, "DELETE with one", chunked(b"5\r\nhello\r\n0\r\n\r\n",
                                    method="DELETE"), "DELETE", "/x", HELLO),
    (82, "OPTIONS with one", length(b" 5", method="OPTIONS"), "OPTIONS", "/x",
     HELLO),
    (93, "a thousand ranges", get("/x", b"Range: bytes=" + b",".join(
        b"%d-" % (i % 10) for i in range(1000))), "GET", "/x", EMPTY),
]


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
        for row, name, data, status in HEADS:
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
        for row, name, data in BODIES:
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

    def test_expect_is_answered_here_and_not_forwarded(self):
        """Row 84."""
        with self.daemon.connect() as client:
            client.send(head(b"Expect: 100-continue", CL5, target="/expect"))
            interim = client.read_response(skip_1xx=False)
            self.assertEqual(interim.status, 100)
            self.assertEqual(len(interim.fields.fields), 0)
            client.send(b"hello")
            answer = client.read_response()
        self.assertEqual(answer.body.decode(), f"POST /expect {HELLO}")
        self.assertNotIn("Expect", self.origin.whole[-1].fields)


class Accepted(Wire):
    def test_what_is_accepted_arrives_normalised(self):
        for row, name, data, method, target, body in ACCEPTED:
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
                    sent = request.fields["Content-Length"]
                    self.assertIn(sent, (None, "5"))

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
