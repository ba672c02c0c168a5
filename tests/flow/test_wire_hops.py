"""What ends at this hop, what is counted on the way, and what passes as it is
(RFC 9110 7.6, RFC 9112 9)."""

import random
import threading
import time
import unittest

from lib import FlowTest, Nearside, RedisServer, ScriptedOrigin, wait_until
from lib.payloads import get
from lib.scripted import EchoOrigin, Steps, answer, conf, digest

EMPTY = digest(b"")


class Hops(FlowTest):
    def start(self, script, routes="", more="", redis=None, with_body=True):
        self.origin = self.use(ScriptedOrigin(script, with_body))
        return self.use(Nearside(conf(self.origin.url, routes, redis=redis,
                                      workers=1, more=more)))

    def echo(self, routes=""):
        self.origin = self.use(EchoOrigin())
        return self.use(Nearside(conf(self.origin.url, routes, workers=1)))


class Nominated(Hops):
    """What Connection names does not go on, so it chooses nothing either."""

    def vary(self, name):
        def script(connection, request, n):
            said = request.fields[name] or "nothing"
            return answer(connection, said.encode(), [
                ("Cache-Control", "max-age=60"), ("Vary", name)])

        return self.start(script, 'route "/kept/*" { }',
                          redis=self.use(RedisServer()))

    def test_a_nominated_field_chooses_no_variant(self):
        daemon = self.vary("X-Lang")
        plain = {"X-Lang": "fr"}
        nominated = {"X-Lang": "fr", "Connection": "X-Lang"}
        for i in range(2):
            target = f"/kept/{i}"
            if i == 1:  # where the record is there already
                self.assertEqual(daemon.get(target).body, b"nothing")
            self.assertEqual(
                daemon.get(target, fields=nominated).body, b"nothing")
            self.assertEqual(daemon.get(target, fields=plain).body, b"fr")
            got = daemon.get(target, fields=plain)
            self.assertEqual(got.body, b"fr")
            self.assertIn("hit", got.cache_status)
            self.assertEqual(
                daemon.get(target, fields=nominated).body, b"nothing")

    def test_a_strangers_forwarding_chooses_no_variant(self):
        daemon = self.vary("X-Real-IP")
        self.assertEqual(daemon.get("/kept/1", fields={
            "X-Real-IP": "192.0.2.1"}).body, b"nothing")
        got = daemon.get("/kept/1")
        self.assertEqual(got.body, b"nothing")
        self.assertIn("hit", got.cache_status)

    def test_what_varies_by_the_clients_address_is_not_stored(self):
        for name in ("X-Forwarded-For", "Forwarded"):
            daemon = self.vary(name)
            for _ in range(2):
                got = daemon.get("/kept/1")
                self.assertIn(b"127.0.0.1", got.body)
                self.assertNotIn("hit", got.cache_status)

    def test_more_than_64_options_are_refused(self):
        """Empty ones too: each field is held against all of them."""
        daemon = self.echo()
        for values, status in (
                ([",".join(["x-a"] * 64)], 200), ([",".join(["x-a"] * 65)], 400),
                (["," * 63], 200), (["," * 64], 400),
                (["x-a,x-b"] * 32, 200), (["x-a,x-b"] * 33, 400)):
            with self.subTest(values=values), daemon.connect() as client:
                client.send(b"GET / HTTP/1.1\r\nHost: test\r\n" + b"".join(
                    b"Connection: %s\r\n" % v.encode() for v in values)
                    + b"\r\n")
                self.assertEqual(client.read_response().status, status)

    def test_only_what_is_named_goes_and_options_in_any_case(self):
        daemon = self.echo()
        daemon.get("/x", fields=[
            ("Connection", " X-ONE ,, x-two"), ("Connection", "x-three"),
            ("x-one", "1"), ("X-Two", "2"), ("X-Two", "2"), ("X-THREE", "3"),
            ("X-Four", "4")])
        fields = self.origin.whole[-1].fields
        for name in ("X-One", "X-Two", "X-Three", "Connection"):
            self.assertNotIn(name, fields)
        self.assertEqual(fields["X-Four"], "4")


class Options(Hops):
    def ask(self, daemon, fields=(), target="/x", method="OPTIONS", body=None):
        with daemon.connect() as client:
            client.request(method, target, fields, body)
            return client.read_response(method)

    def test_max_forwards_is_counted_down(self):
        daemon = self.echo()
        for said, sent in (("1", "0"), ("2", "1"), ("010", "9"),
                           ("4294967295", "4294967294"),
                           ("99999999999999999999999", "4294967294")):
            with self.subTest(said=said):
                got = self.ask(daemon, {"Max-Forwards": said})
                self.assertEqual(got.status, 200)
                self.assertIn(b"OPTIONS /x ", got.body)
                self.assertEqual(
                    self.origin.whole[-1].fields.all("Max-Forwards"), [sent])

    def test_with_max_forwards_0_the_answer_is_ours(self):
        daemon = self.echo('route "/few/*" { methods = { "GET", "OPTIONS" } }')
        for target, allow in (("/x", None), ("*", None),
                              ("/few/1", "GET, OPTIONS")):
            with self.subTest(target=target), daemon.connect() as client:
                for _ in range(2):
                    client.request("OPTIONS", target, {"Max-Forwards": "0"})
                    got = client.read_response()
                    self.assertEqual((got.status, got.body), (200, b""))
                    self.assertEqual(got.fields["Content-Length"], "0")
                    self.assertEqual(got.fields["Allow"], allow)
                    self.assertIn("Date", got.fields)
        self.assertEqual(self.origin.requests, [])

    def test_its_body_is_nobodys_request(self):
        daemon = self.echo()
        nested = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"
        with daemon.connect() as client:
            client.request("OPTIONS", "/x", {"Max-Forwards": "0"}, nested)
            got = client.read_response()
            self.assertEqual(got.status, 200)
            self.assertEqual(got.fields["Connection"], "close")
            self.assertTrue(client.is_closed())
        self.assertEqual(self.origin.requests, [])

    def test_what_cannot_be_counted_is_400(self):
        daemon = self.echo()
        for fields in ([("Max-Forwards", "-1")], [("Max-Forwards", "x")],
                       [("Max-Forwards", "")], [("Max-Forwards", "1, 2")],
                       [("Max-Forwards", "1")] * 2):
            with self.subTest(fields=fields):
                self.assertEqual(self.ask(daemon, fields).status, 400)
        self.assertEqual(self.origin.requests, [])

    def test_other_methods_pass_it_on(self):
        daemon = self.echo()
        for said in ("0", "7", "x"):
            self.assertEqual(self.ask(daemon, {"Max-Forwards": said},
                                      method="GET").status, 200)
            self.assertEqual(self.origin.whole[-1].fields["Max-Forwards"],
                             said)

    def test_the_asterisk_is_passed_on(self):
        daemon = self.echo()
        self.assertIn(b"OPTIONS * ", self.ask(daemon, target="*").body)


class Via(Hops):
    def test_it_names_the_version_by_which_the_request_came(self):
        daemon = self.echo()
        for version in ("1.0", "1.1"):
            with daemon.connect() as client:
                client.send(f"GET / HTTP/{version}\r\nHost: test\r\n"
                            "Via: 1.1 before\r\n\r\n".encode())
                client.read_response()
            self.assertEqual(self.origin.requests[-1].fields.all("Via"),
                             ["1.1 before", f"{version} nearside"])


class Interim(Hops):
    def test_interim_fields_pass_but_those_of_a_hop_and_of_framing(self):
        def script(connection, request, n):
            connection.send(
                b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"
                b"HTTP/1.1 102 Processing\r\n\r\n"
                b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n"
                b"Content-Length: 5\r\nConnection: x-mine\r\nX-Mine: 1\r\n"
                b"Keep-Alive: timeout=5\r\nUpgrade: h2c\r\n\r\n")
            return answer(connection, b"final")

        daemon = self.start(script)
        with daemon.connect() as client:
            client.request("GET", "/x")
            got = client.read_response(skip_1xx=False)
            self.assertEqual((got.status, got.fields.fields), (102, []))
            got = client.read_response(skip_1xx=False)
            self.assertEqual(got.status, 103)
            self.assertEqual([(n.lower(), v) for n, v in got.fields.fields],
                             [("link", "</a>"), ("link", "</b>")])
            self.assertEqual(client.read_response().body, b"final")


class Versions(Hops):
    """Who keeps a connection, and what an HTTP/1.0 client is told."""

    def test_connections_live_on_as_both_sides_wish(self):
        daemon = self.echo()
        for version, option, stays in (
                ("1.1", None, True), ("1.1", "close", False),
                ("1.1", "keep-alive", True), ("1.1", "CLOSE", False),
                ("1.1", "keep-alive, close", False), ("1.9", None, True),
                ("1.0", None, False), ("1.0", "keep-alive", True),
                ("1.0", "Keep-Alive", True), ("1.0", "close", False),
                ("1.0", "keep-alive, close", False), ("1.0", "x", False)):
            with self.subTest(version=version, option=option), \
                    daemon.connect() as client:
                extra = f"Connection: {option}\r\n" if option else ""
                for _ in range(2 if stays else 1):
                    client.send(f"GET /x HTTP/{version}\r\nHost: test\r\n"
                                f"{extra}\r\n".encode())
                    got = client.read_response()
                    self.assertEqual(got.body.decode(), f"GET /x {EMPTY}")
                    self.assertEqual(got.version, "1.1")
                    said = got.fields["Connection"]
                    wanted = ("keep-alive" if version == "1.0" else None) \
                        if stays else "close"
                    self.assertEqual(said, wanted)
                if not stays:
                    self.assertTrue(client.is_closed())
            self.assertEqual(self.origin.whole[-1].version, "1.1")

    def test_chunks_do_not_reach_http_1_0(self):
        def script(connection, request, n):
            connection.send(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                b"Trailer: X-Sum\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n"
                b"0\r\nX-Sum: 1\r\n\r\n")
            return True

        daemon = self.start(script)
        with daemon.connect() as client:
            client.send(b"GET /x HTTP/1.0\r\nHost: test\r\n"
                        b"Connection: keep-alive\r\n\r\n")
            got = client.read_response()
            self.assertEqual(got.body, b"hello world")
            self.assertNotIn("Transfer-Encoding", got.fields)
            self.assertEqual(got.fields["Connection"], "close")
        got = daemon.get("/x")
        self.assertTrue(got.is_chunked)
        self.assertEqual((got.body, got.trailers.fields),
                         (b"hello world", []))
        self.assertNotIn("Trailer", got.fields)


class Pipelines(Hops):
    def test_answers_come_in_the_order_of_the_requests(self):
        """Also when a later one could be answered sooner."""
        steps = Steps()
        self.addCleanup(steps.go, "first")

        def script(connection, request, n):
            if request.target == "/0":
                steps.wait("first")
            return answer(connection, request.target.encode())

        daemon = self.start(script)
        with daemon.connect() as client:
            client.send(b"".join(get(f"/{i}") for i in range(20)))
            steps.go("first")
            for i in range(20):
                self.assertEqual(client.read_response().body, b"/%d" % i)

    def test_bodies_and_empty_lines_between_them_move_nothing(self):
        daemon = self.echo()
        wanted = []
        sent = []
        for i in range(12):
            body = b"GET /smuggled HTTP/1.1\r\n\r\n"[:i * 3]
            method = ("GET", "POST", "BREW", "DELETE")[i % 4]
            if i % 3 == 0:
                sent.append(f"{method} /{i} HTTP/1.1\r\nHost: test\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n".encode()
                            + body)
            else:
                coded = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
                sent.append(f"{method} /{i} HTTP/1.1\r\nHost: test\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n".encode()
                            + coded + b"0\r\n\r\n")
            wanted.append(f"{method} /{i} {digest(body)}".encode())
        data = b"\r\n".join(sent)  # one empty line before each is forgiven
        for size in (len(data), 1, 97):
            with self.subTest(size=size), daemon.connect() as client:
                client.send_pieces(data, size)
                self.assertEqual([client.read_response().body
                                  for _ in wanted], wanted)


    def of_our_own(self):
        """Requests that are answered without the origin, so at once."""
        return (("hosts", "", 'hosts = { "shop" }', get("/1"), 421),
                ("methods", 'route "/c/*" { methods = { "GET" } }', "",
                 b"DELETE /c/1 HTTP/1.1\r\nHost: test\r\n\r\n", 405),
                ("Max-Forwards", "", "", b"OPTIONS * HTTP/1.1\r\n"
                 b"Host: test\r\nMax-Forwards: 0\r\n\r\n", 200))

    def test_answers_of_our_own_come_one_by_one_too(self):
        """More of them than a turn has rounds, and more than one read."""
        for what, routes, more, request, status in self.of_our_own():
            daemon = self.start(lambda c, r, n: answer(c, b""), routes, more)
            for count in (1, 7, 8, 9, 40, 300):
                for ends in (False, True):
                    with self.subTest(what=what, count=count, ends=ends), \
                            daemon.connect() as client:
                        client.send(request * count)
                        if ends:
                            client.half_close()
                        for _ in range(count):
                            self.assertEqual(
                                client.read_response().status, status)
                        if ends:
                            self.assertTrue(client.is_closed())
            self.assertEqual(self.origin.requests, [])

    def test_who_leaves_is_noticed_whatever_was_sent_ahead(self):
        """The origin learns of it, and does not work on for nobody."""
        gone = threading.Event()

        def script(connection, request, n):
            if connection.is_closed():
                gone.set()
            return False

        daemon = self.start(script)
        for ahead in (b"", b"G", get("/next")):
            with self.subTest(ahead=ahead):
                gone.clear()
                asked = len(self.origin.requests)
                client = daemon.connect()
                client.send(get("/slow") + ahead)
                wait_until(lambda n=asked: len(self.origin.requests) > n,
                           what="the origin is asked")
                client.reset()
                self.assertTrue(gone.wait(60))


class Early(Hops):
    """An answer before the content has come: the client need not send on
    (RFC 9112 9.5), and gets all of the answer."""

    def test_limits_on_content_do_not_cut_it(self):
        def script(connection, request, n):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
            for _ in range(6):
                connection.send(b"ab")
                time.sleep(0.1)  # longer than the limits, all in all
            return False

        for limits in ("body_timeout = 200ms",
                       "body_min_rate = 1MB  body_min_rate_after = 200ms"):
            with self.subTest(limits=limits):
                self.origin = self.use(ScriptedOrigin(script, with_body=False))
                daemon = self.use(Nearside(conf(self.origin.url, "", limits)))
                with daemon.connect() as client:
                    client.send(b"POST /c HTTP/1.1\r\nHost: test\r\n"
                                b"Content-Length: 1000\r\n\r\nabc")
                    got = client.read_response()
                    self.assertEqual((got.status, got.body),
                                     (200, b"ab" * 6))
                    self.assertEqual(got.fields["Connection"], "close")


class Identity(Hops):
    """What is taken goes on as it was said: name, value, order."""

    NAME = ("!#$%&'*+-.^`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
            "abcdefghijklmnopqrstuvwxyz")
    VALUE = "".join(chr(c) for c in [9, *range(0x20, 0x7f),
                                     *range(0x80, 0x100)])

    def fields(self, rnd):
        made = []
        for _ in range(rnd.randrange(1, 30)):
            name = "X" + "".join(rnd.choices(self.NAME, k=rnd.randrange(1, 30)))
            value = "".join(rnd.choices(self.VALUE, k=rnd.randrange(0, 60)))
            made.append((name, value.strip(" \t")))
        return made

    def test_fields_pass_both_ways_unchanged_and_in_order(self):
        rnd = random.Random(9112)

        def script(connection, request, n):
            said.append(request.fields.fields)
            return answer(connection, b"x", back)

        said, back = [], []
        daemon = self.start(script)
        with daemon.connect() as client:
            for _ in range(150):
                sent, back[:] = self.fields(rnd), self.fields(rnd)
                client.request("GET", "/x", sent)
                got = client.read_response()
                names = {n.lower() for n, _ in sent}
                self.assertEqual([(n, v) for n, v in said[-1]
                                  if n.lower() in names], sent)
                names = {n.lower() for n, _ in back}
                self.assertEqual([(n, v) for n, v in got.fields.fields
                                  if n in names],
                                 [(n.lower(), v) for n, v in back])


del Hops

if __name__ == "__main__":
    unittest.main()
