"""What no route matches passes through: methods, fields, bodies, framing."""

import hashlib
import os
import random
import socket
import threading
import unittest

from lib import (Connection, FlowTest, Nearside, SampleOrigin, ScriptedOrigin,
                 pattern, wait_until)
from lib.scripted import EchoOrigin, UnixOrigin, answer, conf, digest

EMPTY = digest(b"")


class Pass(FlowTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.origin = cls.use_in_class(EchoOrigin())
        cls.daemon = cls.use_in_class(Nearside(conf(cls.origin.url)))

    def seen(self, target):
        """The request as the origin had it."""
        return next(r for r in reversed(self.origin.whole)
                    if r.target == target)


class Methods(Pass):
    def test_every_method_arrives_and_is_answered(self):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS",
                       "PATCH", "PURGE", "M-SEARCH", "PROPFIND", "x!#$%"):
            for body in (None, b"some content"):
                if method == "HEAD" and body:
                    continue
                with self.subTest(method=method, body=body):
                    got = self.daemon.get("/m?a=1&b", method=method,
                                          body=body)
                    self.assertEqual(got.status, 200)
                    said = f"{method} /m?a=1&b {digest(body or b'')}"
                    if method == "HEAD":
                        self.assertEqual(got.body, b"")
                        self.assertEqual(int(got.field("Content-Length")),
                                         len(said))
                    else:
                        self.assertEqual(got.body.decode(), said)

    def test_options_of_the_whole_server_passes(self):
        with self.daemon.connect() as client:
            client.send(b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
            self.assertEqual(client.read_response().body.decode(),
                             f"OPTIONS * {EMPTY}")

    def test_a_body_of_length_zero_is_a_body_of_length_zero(self):
        self.daemon.get("/zero", method="POST", body=b"")
        self.assertEqual(self.seen("/zero").fields["Content-Length"], "0")


class FieldsOnTheWay(Pass):
    def test_end_to_end_fields_arrive_in_order_and_unchanged(self):
        fields = [("X-One", "1"), ("Accept", "text/html;q=0.5, */*"),
                  ("X-Two", "a, b"), ("X-Two", "c"), ("User-Agent", "t/1"),
                  ("Cookie", "a=1; b=2"), ("Authorization", "Basic eDp5"),
                  ("If-None-Match", '"x"'), ("X-Empty", "")]
        self.daemon.get("/fields", fields=fields)
        request = self.seen("/fields")
        got = [(n, v) for n, v in request.fields.fields
               if n.lower() in {f.lower() for f, _ in fields}]
        self.assertEqual([(n.lower(), v) for n, v in got],
                         [(n.lower(), v) for n, v in fields])
        self.assertEqual(request.fields["Host"], "test")

    def test_hop_by_hop_fields_of_a_request_end_here(self):
        self.daemon.get("/hop", fields=[
            ("Connection", "keep-alive, X-Mine"), ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"), ("TE", "trailers"),
            ("X-Mine", "secret"), ("Trailer", "X"), ("Upgrade", "h2c"),
            ("Proxy-Authorization", "Basic eDp5"), ("X-Kept", "1")])
        request = self.seen("/hop")
        for name in ("Connection", "Keep-Alive", "Proxy-Connection", "TE",
                     "X-Mine", "Trailer", "Upgrade", "Proxy-Authorization"):
            self.assertNotIn(name, request.fields)
        self.assertEqual(request.fields["X-Kept"], "1")

    def test_via_is_added_both_ways(self):
        got = self.daemon.get("/via", fields={"Via": "1.0 before"})
        self.assertEqual(self.seen("/via").fields.all("Via"),
                         ["1.0 before", "1.1 nearside"])
        self.assertEqual(got.fields.all("Via"), ["1.1 nearside"])

    def test_what_a_stranger_says_of_the_way_here_is_replaced(self):
        self.daemon.get("/stranger", host="Shop.example:80", fields=[
            ("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "evil"), ("X-Forwarded-Port", "444"),
            ("X-Forwarded-Server", "evil"), ("X-Forwarded-Scheme", "https"),
            ("Forwarded", "for=192.0.2.1;host=evil")])
        fields = self.seen("/stranger").fields
        self.assertEqual(fields["X-Forwarded-For"], "127.0.0.1")
        self.assertEqual(fields["X-Forwarded-Proto"], "http")
        # As the key has it: whoever writes it otherwise gets no other answer.
        self.assertEqual(fields["X-Forwarded-Host"], "shop.example")
        self.assertEqual(fields["Host"], "shop.example")
        self.assertEqual(
            fields["Forwarded"],
            'for=127.0.0.1;host="shop.example";proto=http')
        for name in ("X-Forwarded-Port", "X-Forwarded-Server",
                     "X-Forwarded-Scheme"):
            self.assertNotIn(name, fields)

    def test_fields_that_choose_another_method_or_target_are_stripped(self):
        names = ("X-HTTP-Method-Override", "X-HTTP-Method",
                 "X-Method-Override", "X-Original-URL", "X-Rewrite-URL",
                 "X-Host")
        self.daemon.get("/override", fields=[(n, "DELETE") for n in names])
        for name in names:
            self.assertNotIn(name, self.seen("/override").fields)


class Trusted(FlowTest):
    def test_a_trusted_proxy_is_believed_and_added_to(self):
        origin = self.use(EchoOrigin())
        daemon = self.use(Nearside(conf(
            origin.url, more='trusted_proxies = { "127.0.0.0/8" }')))
        daemon.get("/x", fields=[
            ("X-Forwarded-For", "192.0.2.1, 192.0.2.2"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "shop.example")])
        fields = origin.whole[-1].fields
        self.assertEqual(fields["X-Forwarded-For"],
                         "192.0.2.1, 192.0.2.2, 127.0.0.1")
        self.assertEqual(fields["X-Forwarded-Proto"], "https")
        self.assertEqual(fields["X-Forwarded-Host"], "shop.example")

    def test_one_outside_of_the_trusted_networks_is_not(self):
        origin = self.use(EchoOrigin())
        daemon = self.use(Nearside(conf(
            origin.url, more='trusted_proxies = { "10.0.0.0/8", "::1" }')))
        daemon.get("/x", fields={"X-Forwarded-For": "192.0.2.1"})
        self.assertEqual(origin.whole[-1].fields["X-Forwarded-For"],
                         "127.0.0.1")


class Responses(FlowTest):
    def start(self, script):
        self.origin = self.use(ScriptedOrigin(script))
        return self.use(Nearside(conf(self.origin.url)))

    def test_hop_by_hop_fields_of_a_response_end_here(self):
        daemon = self.start(lambda c, r, n: answer(c, b"x", [
            ("Connection", "X-Mine"), ("X-Mine", "1"),
            ("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "Basic"),
            ("Upgrade", "h2c"), ("X-Kept", "a"), ("X-Kept", "b"),
            ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
            ("Server", "thing")]))
        got = daemon.get("/x")
        for name in ("Connection", "X-Mine", "Keep-Alive", "Upgrade",
                     "Proxy-Authenticate"):
            self.assertNotIn(name, got.fields)
        self.assertEqual(got.fields.all("X-Kept"), ["a", "b"])
        self.assertEqual(got.fields.all("Set-Cookie"), ["a=1", "b=2"])
        self.assertEqual(got.fields["Server"], "thing")

    def test_a_response_gets_a_date_if_it_had_none_and_keeps_its_own(self):
        old = "Mon, 02 Jan 2006 15:04:05 GMT"
        daemon = self.start(lambda c, r, n: answer(
            c, b"x", [("Date", old)] if n else []))
        self.assertRegex(daemon.get("/a").fields["Date"],
                         r"\A\w\w\w, \d\d \w\w\w \d{4} [\d:]{8} GMT\Z")
        self.assertEqual(daemon.get("/b").fields["Date"], old)

    def test_every_status_passes(self):
        daemon = self.start(lambda c, r, n: answer(
            c, b"" if r.target in ("/204", "/304") else b"x",
            status=r.target[1:] + " Thing") if r.target not in (
                "/204", "/304") else c.send(
                    b"HTTP/1.1 " + r.target[1:].encode() + b" X\r\n\r\n")
            or True)
        for status in (200, 201, 202, 204, 206, 301, 302, 304, 400, 401, 404,
                       418, 422, 429, 500, 502, 503, 599):
            with self.subTest(status=status):
                got = daemon.get(f"/{status}")
                self.assertEqual(got.status, status)
                self.assertEqual(got.body,
                                 b"" if status in (204, 304) else b"x")

    def test_chunked_in_any_cut_comes_out_whole(self):
        body = random.Random(1).randbytes(300_000)

        def script(connection, request, n):
            chunks = random.Random(n)
            out = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
            at = 0
            while at < len(body):
                size = chunks.choice((1, 2, 15, 16, 4095, 65536))
                piece = body[at:at + size]
                out.append(b"%x;e=1\r\n%s\r\n" % (len(piece), piece))
                at += len(piece)
            out.append(b"0\r\nX-Trailer: 1\r\n\r\n")
            connection.send(b"".join(out))
            return True

        daemon = self.start(script)
        for _ in range(5):
            got = daemon.get("/x")
            self.assertTrue(got.is_chunked)
            self.assertEqual(digest(got.body), digest(body))
            self.assertEqual(got.trailers.fields, [])
        self.assertLessEqual(self.origin.connections, 2)  # one a worker

    def test_close_delimited_comes_out_chunked(self):
        body = random.Random(2).randbytes(200_000)

        def script(connection, request, n):
            connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
            return False

        daemon = self.start(script)
        with daemon.connect() as client:
            for _ in range(2):
                client.request("GET", "/x")
                got = client.read_response()
                self.assertTrue(got.is_chunked)
                self.assertEqual(digest(got.body), digest(body))

    def test_a_response_of_http_1_0_comes_out_as_1_1(self):
        def script(connection, request, n):
            connection.send(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"
                            b"hello")
            return False

        got = self.start(script).get("/x")
        self.assertEqual((got.version, got.body), ("1.1", b"hello"))

    def test_an_empty_chunked_body_ends_at_once(self):
        def script(connection, request, n):
            connection.send(b"HTTP/1.1 200 OK\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
            return True

        daemon = self.start(script)
        with daemon.connect() as client:
            for _ in range(3):
                client.request("GET", "/x")
                self.assertEqual(client.read_response().body, b"")


class Bodies(FlowTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.origin = cls.use_in_class(EchoOrigin())
        cls.daemon = cls.use_in_class(Nearside(conf(
            cls.origin.url, limits="body_max = 64MB")))
        cls.body = random.Random(3).randbytes(3_000_001)

    def chunks(self, seed):
        rng = random.Random(seed)
        at = 0
        while at < len(self.body):
            size = rng.choice((1, 9, 10, 4096, 16384, 70000, 262144))
            piece = self.body[at:at + size]
            yield b"%x\r\n%s\r\n" % (len(piece), piece)
            at += len(piece)
        yield b"0\r\n\r\n"

    def test_a_body_with_a_length_arrives_byte_for_byte(self):
        got = self.daemon.get("/l", method="PUT", body=self.body)
        self.assertEqual(got.body.decode(), f"PUT /l {digest(self.body)}")
        self.assertEqual(
            int(self.origin.whole[-1].fields["Content-Length"]),
            len(self.body))

    def test_a_chunked_body_arrives_byte_for_byte(self):
        for seed in range(3):
            with self.daemon.connect() as client:
                client.send(b"PUT /c HTTP/1.1\r\nHost: test\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n")
                for chunk in self.chunks(seed):
                    client.send(chunk)
                self.assertEqual(client.read_response().body.decode(),
                                 f"PUT /c {digest(self.body)}")
                client.request("GET", "/after")
                self.assertEqual(client.read_response().body.decode(),
                                 f"GET /after {EMPTY}")

    def test_a_body_and_the_next_request_in_one_segment_stay_apart(self):
        one = (b"POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n"
               b"hello")
        two = (b"POST /b HTTP/1.1\r\nHost: test\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
        daemon = self.use(Nearside(conf(self.origin.url, workers=1)))
        other = self.use(daemon.connect())
        for cut in range(len(one + two) + 1):
            with self.subTest(cut=cut), daemon.connect() as client:
                client.send((one + two)[:cut])
                # It accepts, and it reads, before it answers these.
                for _ in range(2):
                    other.request("OPTIONS", "*", {"Max-Forwards": "0"})
                    self.assertEqual(other.read_response().status, 200)
                client.send((one + two)[cut:])
                self.assertEqual(client.read_response().body.decode(),
                                 f"POST /a {digest(b'hello')}")
                self.assertEqual(client.read_response().body.decode(),
                                 f"POST /b {digest(b'hi')}")

    def test_large_answers_arrive_byte_for_byte_both_ways_framed(self):
        sample = self.use(SampleOrigin())
        daemon = self.use(Nearside(conf(sample.url)))
        want = hashlib.sha256(pattern(5_000_000)).digest()
        for target in ("/bytes/5000000", "/bytes/5000000?chunked=1"):
            got = daemon.get(target)
            self.assertEqual(got.is_chunked, "chunked" in target)
            self.assertEqual(hashlib.sha256(got.body).digest(), want)


class Connections(Pass):
    def test_a_connection_stays_for_many_requests(self):
        before = self.daemon.metric("nearside_connections_total")
        with self.daemon.connect() as client:
            for i in range(50):
                client.request("GET", f"/k/{i}")
                got = client.read_response()
                self.assertEqual(got.body.decode(), f"GET /k/{i} {EMPTY}")
                self.assertNotIn("Connection", got.fields)
        self.assertEqual(self.daemon.metric("nearside_connections_total"),
                         before + 1)

    def test_connection_close_is_obeyed(self):
        with self.daemon.connect() as client:
            client.request("GET", "/x", {"Connection": "close"})
            self.assertEqual(client.read_response().fields["Connection"],
                             "close")
            self.assertTrue(client.is_closed())

    def test_http_1_0_closes_unless_asked_to_stay(self):
        with self.daemon.connect() as client:
            client.send(b"GET /x HTTP/1.0\r\nHost: test\r\n\r\n")
            got = client.read_response()
            self.assertEqual(got.version, "1.1")
            self.assertEqual(got.fields["Connection"], "close")
            self.assertTrue(client.is_closed())
        with self.daemon.connect() as client:
            for _ in range(2):
                client.send(b"GET /x HTTP/1.0\r\nHost: test\r\n"
                            b"Connection: keep-alive\r\n\r\n")
                self.assertEqual(
                    client.read_response().fields["Connection"],
                    "keep-alive")

    def test_http_1_0_never_gets_a_chunk(self):
        def script(connection, request, n):
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
                            b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
            return True

        origin = self.use(ScriptedOrigin(script))
        daemon = self.use(Nearside(conf(origin.url)))
        with daemon.connect() as client:
            client.send(b"GET /x HTTP/1.0\r\nHost: test\r\n"
                        b"Connection: keep-alive\r\n\r\n")
            got = client.read_response()
            self.assertEqual((got.is_chunked, got.body), (False, b"hello"))
            self.assertTrue(client.is_closed())

    def test_twenty_requests_in_one_segment_are_answered_in_order(self):
        data = b"".join(b"GET /p/%d HTTP/1.1\r\nHost: test\r\n\r\n" % i
                        for i in range(20))
        with self.daemon.connect() as client:
            client.send(data)
            for i in range(20):
                self.assertEqual(client.read_response().body.decode(),
                                 f"GET /p/{i} {EMPTY}")

    def test_hundreds_of_requests_sent_ahead_are_answered_in_order(self):
        """More than is read ahead; that once broke the connection."""
        data = b"".join(b"GET /p/%d HTTP/1.1\r\nHost: test\r\nX: %s\r\n\r\n"
                        % (i, b"x" * 60) for i in range(900))
        with self.daemon.connect() as client:
            client.send(data)
            for i in range(900):
                self.assertEqual(client.read_response().body.decode(),
                                 f"GET /p/{i} {EMPTY}")

    def test_pipelined_requests_beyond_head_max_are_answered_too(self):
        """What is read ahead of a small limit once broke the connection."""
        daemon = self.use(Nearside(conf(
            self.origin.url, limits="head_max = 1KB  field_max = 1000B"
            "  target_max = 1000B")))
        one = b"POST /q/%d HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n" \
              b"X: " + b"x" * 800 + b"\r\n\r\nsome body"
        with daemon.connect() as client:
            client.send(b"".join(one % i for i in range(100)))
            for i in range(100):
                self.assertEqual(client.read_response().body.decode(),
                                 f"POST /q/{i} {digest(b'some body')}")

    def test_a_half_closed_client_still_gets_its_answers(self):
        with self.daemon.connect() as client:
            client.send(b"GET /h/1 HTTP/1.1\r\nHost: test\r\n\r\n"
                        b"GET /h/2 HTTP/1.1\r\nHost: test\r\n\r\n")
            client.half_close()
            for i in (1, 2):
                self.assertEqual(client.read_response().body.decode(),
                                 f"GET /h/{i} {EMPTY}")
            self.assertTrue(client.is_closed())

    def test_a_half_closed_upload_is_answered(self):
        with self.daemon.connect() as client:
            client.request("POST", "/h", body=b"hello")
            client.half_close()
            self.assertEqual(client.read_response().body.decode(),
                             f"POST /h {digest(b'hello')}")


class Listeners(FlowTest):
    def test_ipv6(self):
        with socket.socket(socket.AF_INET6) as probe:
            try:
                probe.bind(("::1", 0))
            except OSError:
                self.skipTest("no ::1 here")
        origin = self.use(EchoOrigin())
        daemon = self.use(Nearside(conf(
            origin.url, more='listen = { "[::1]:0" }')))
        with Connection(("::1", daemon.port)) as client:
            client.request("GET", "/six")
            self.assertEqual(client.read_response().status, 200)
        fields = origin.whole[-1].fields
        self.assertEqual(fields["X-Forwarded-For"], "::1")
        self.assertTrue(fields["Forwarded"].startswith('for="[::1]"'))

    def test_unix_sockets_on_both_sides(self):
        origin = self.use(UnixOrigin())
        daemon = self.use(Nearside(conf(
            origin.url,
            more='listen = { "unix:@DIR@/in.sock", "127.0.0.1:0" }')))
        path = os.path.join(daemon.dir, "in.sock")
        for where in (path, daemon.port):
            with Connection(where) as client:
                for i in range(3):
                    client.request("POST", f"/u/{i}", body=b"hello")
                    self.assertEqual(client.read_response().body.decode(),
                                     f"POST /u/{i} {digest(b'hello')}")
        daemon.stop()
        self.assertFalse(os.path.exists(path))

    def test_with_several_origins_no_route_is_404_or_the_default(self):
        """What is asked of one team must not reach another team's API."""
        one = self.use(EchoOrigin())
        other = self.use(EchoOrigin())
        routes = ('route "/one/*" { origin = api }\n'
                  'route "GET /two/*" { origin = other }\n'
                  f'origin other {{ servers = {{ "{other.url}" }} }}')
        asked = (("GET", "/none"), ("HEAD", "/none"), ("PUT", "/two/1"),
                 ("OPTIONS", "/none"), ("BREW", "/"))
        daemon = self.use(Nearside(conf(one.url, routes)))
        with daemon.connect() as client:
            for method, target in asked:
                client.request(method, target)
                got = client.read_response(method)
                self.assertEqual(got.status, 404, (method, target))
                self.assertIn("destination_not_found",
                              got.field("Proxy-Status"))
                if method != "HEAD":
                    self.assertEqual(got.body, b"404 Not Found: no-route\n")
            client.send(b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
            self.assertEqual(client.read_response().status, 200)
            client.request("GET", "/two/1")
            self.assertEqual(client.read_response().status, 200)
        self.assertEqual([len(o.whole) for o in (one, other)], [0, 1])
        self.assertEqual(daemon.metric("nearside_requests_total", route="-",
                                       result="error"), len(asked))
        named = self.use(Nearside(conf(one.url, routes,
                                       more="default_origin = other\n")))
        for method, target in asked:
            self.assertEqual(named.get(target, method=method).status, 200)
        self.assertEqual([len(o.whole) for o in (one, other)],
                         [0, 1 + len(asked)])

    def test_connections_are_spread_over_the_workers(self):
        """Whoever accepts them. Each loop watches its own."""
        for workers in (2, 3):
            with self.subTest(workers=workers):
                daemon = self.use(Nearside(conf(
                    "http://127.0.0.1:1", workers=workers)))
                for _ in range(10 * workers):
                    self.use(daemon.connect())
                daemon.wait_metric("nearside_connections", 10 * workers)
                watched = sorted(daemon.process.watched())[-workers:]
                self.assertGreaterEqual(watched[0], 8, watched)

    def test_many_clients_of_both_workers_get_their_own_answers(self):
        origin = self.use(EchoOrigin())
        daemon = self.use(Nearside(conf(origin.url)))
        wrong = []

        def client_of(i):
            with daemon.connect() as client:
                for j in range(20):
                    client.request("GET", f"/c/{i}/{j}")
                    body = client.read_response().body.decode()
                    if body != f"GET /c/{i}/{j} {EMPTY}":
                        wrong.append(body)

        threads = [threading.Thread(target=client_of, args=(i,))
                   for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(wrong, [])
        self.assertEqual(len(origin.whole), 400)
        wait_until(lambda: daemon.metric("nearside_connections") == 0,
                   what="no connection is left")


if __name__ == "__main__":
    unittest.main()
