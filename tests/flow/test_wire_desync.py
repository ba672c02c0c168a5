# ctest: jobs=2 cost=8
"""No victim is ever given another's answer, whatever an attacker sends.

Each payload of the tables goes in between the requests of victims: before
and behind it on the attacker's own connection (as behind a proxy that shares
one), before, while and after it on others, which share the daemon's pool of
connections to the origin, and for what the cache holds. Origins answer with
the identity of the request they believe to have read, and not all of them
read as they should: that is what makes a smuggled request visible.
"""

import itertools
import random
import unittest

from lib import (FlowTest, Nearside, RedisServer, ScriptedOrigin, WireError,
                 wait_until)
from lib.identity import (LooseOrigin, StrictOrigin, answer_with_identity,
                          identity)
from lib.payloads import (OK, REQUEST_ACCEPTED, REQUEST_BODIES, REQUEST_HEADS,
                          RESPONSE_BODIES, RESPONSE_HEADS, SMUGGLED, head,
                          response)
from lib.scripted import conf, together

ROUTES = 'route "/kept/*" { }'
PREFIX = b"GET /smuggled HTTP/1.1\r\nX-Ignore: "


def with_length(method, body, *lines):
    return head(b"Content-Length: %d" % len(body), *lines, method=method) + body


def with_chunks(method, body, *lines):
    return (head(b"Transfer-Encoding: chunked", *lines, method=method)
            + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")


# Proper requests whose body is a request: (what, bytes, method).
NESTED = [(f"{name} {method} {what}", make(method, body, *lines), method)
          for method in ("POST", "PUT", "PATCH", "DELETE", "GET", "HEAD",
                         "OPTIONS", "BREW")
          for what, body in (("whole", SMUGGLED), ("prefix", PREFIX))
          for name, make, lines in (
              ("length", with_length, ()),
              ("chunked", with_chunks, ()),
              ("expect", with_length, (b"Expect: 100-continue",)))]

# What is taken, each with its method, and what is not.
TAKEN = NESTED + [(f"{row} {what}", data, method) for
                  row, what, data, method, _, _ in REQUEST_ACCEPTED]
MALFORMED = [(f"{row} {what}", data, None) for row, what, data in REQUEST_BODIES]
REFUSED = [(f"{row} {what}", data, None) for
           row, what, data, _ in REQUEST_HEADS]


class Desync(FlowTest):
    """One worker: all that is asked goes over one pool."""

    origin_more = ""

    @classmethod
    def make_origin(cls):
        raise unittest.SkipTest("only for those below")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.redis = cls.use_in_class(RedisServer())
        cls.origin = cls.use_in_class(cls.make_origin())
        cls.daemon = cls.use_in_class(Nearside(conf(
            cls.origin.url, redis=cls.redis, routes=ROUTES, workers=1,
            limits="head_timeout = 30s", origin_more=cls.origin_more)))
        cls.numbers = itertools.count(1)
        cls.meant = set()
        cls.victims = [cls.use_in_class(cls.daemon.connect())
                       for _ in range(2)]

    @classmethod
    def ask(cls, client):
        """Sends a victim's request; what it must be answered with."""
        number = next(cls.numbers)
        target, marker = f"/victim/{number}", f"m{number}"
        cls.meant.add(("GET", target, marker))
        client.request("GET", target, {"X-Marker": marker})
        return identity("GET", target, marker)

    def assert_own(self, client, wanted, what):
        got = client.read_response()
        self.assertEqual((got.status, got.body), (200, wanted), what)

    def assert_kept(self, target, what):
        """Nobody has put another's answer where a victim looks."""
        for _ in range(2):
            got = self.daemon.get(target)
            self.assertEqual((got.status, got.body),
                             (200, identity("GET", target)), what)
        self.meant.add(("GET", target, None))

    def answers(self, client, methods):
        """What comes on the attacker's connection, until it is closed or
        all of these methods are answered."""
        got = []
        try:
            for method in methods:
                got.append(client.read_response(method))
                if got[-1].status >= 400:
                    break  # a refused one has no method to be read by
        except (WireError, OSError):
            pass
        return got


class Requests(Desync):
    def attack(self, what, data, method):
        """(cut, target) in between: all victims get their own."""
        cut = random.Random(what).randrange(1, min(len(data), 9000))
        target = f"/kept/{next(self.numbers)}"
        data = data.replace(b" /x ", f" {target} ".encode(), 1)
        before, between = self.victims
        wants_before = self.ask(before)
        with self.daemon.connect() as attacker, \
                self.daemon.connect() as other:
            self.send(attacker, data[:cut])
            wants_between = self.ask(between)
            self.send(attacker, data[cut:])
            wants_other = self.ask(other)
            self.send(attacker, b"GET /after HTTP/1.1\r\nHost: test\r\n"
                      b"X-Marker: behind\r\nConnection: close\r\n\r\n")
            self.assert_own(before, wants_before, what)
            self.assert_own(between, wants_between, what)
            self.assert_own(other, wants_other, what)
            got = self.answers(attacker, [method or "GET", "GET"])
            self.assert_own(other, self.ask(other), what)
        self.assert_attacker(what, got, method, target)
        self.assert_kept(target, what)

    @staticmethod
    def send(client, data):
        try:
            client.send(data)
        except OSError:
            pass  # it has been refused meanwhile

    def assert_attacker(self, what, got, method, target):
        """Who shares the attacker's connection is no worse off."""
        for i, one in enumerate(got):
            self.assertNotIn(b"/smuggled", one.body, what)
            if i == 1:
                self.assertIn(one.status, (200, 400), what)
                if one.status == 200:
                    self.assertEqual(one.body, identity(
                        "GET", "/after", "behind"), what)
        if method is None:
            self.assertLessEqual(len(got), 1, what)

    def attack_with_all(self, payloads):
        for what, data, method in payloads:
            with self.subTest(what=what):
                self.attack(what, data, method)


class Strict(Requests):
    """This one may keep connections after bodies: it reads them."""

    origin_more = "reuse_after_body = on"

    @classmethod
    def make_origin(cls):
        return StrictOrigin()

    def assert_attacker(self, what, got, method, target):
        super().assert_attacker(what, got, method, target)
        if method is None:
            self.assertEqual(len(got), 1, what)
            self.assertIn(got[0].status, range(400, 506), what)
            self.assertEqual(got[0].fields["Connection"], "close", what)
            return
        self.assertEqual([one.status for one in got], [200, 200], what)
        self.meant.add(("GET", "/after", "behind"))

    def assert_only_meant(self):
        for method, target, marker, body in self.origin.whole:
            if marker is not None or target.startswith("/victim"):
                self.assertIn((method, target, marker), self.meant)
            self.assertNotEqual(target, "/smuggled")
            self.assertIn(body, (b"", b"hello", SMUGGLED, PREFIX))
        self.assertEqual(self.origin.broken, [])

    def test_no_refused_head_moves_anybodys_answer(self):
        self.attack_with_all(REFUSED)
        self.assert_only_meant()

    def test_no_malformed_body_moves_anybodys_answer(self):
        self.attack_with_all(MALFORMED)
        self.assert_only_meant()

    def test_no_body_is_ever_taken_for_a_request(self):
        self.attack_with_all(TAKEN)
        self.assert_only_meant()

    def test_many_attackers_and_victims_at_once(self):
        payloads = REFUSED + MALFORMED + TAKEN

        def run(i):
            chance = random.Random(i)
            mistakes = []
            with self.daemon.connect() as mine:
                for k in range(20):
                    what, data, _ = chance.choice(payloads)
                    with self.daemon.connect() as attacker:
                        self.send(attacker, data)
                        wanted = self.ask(mine)
                        got = mine.read_response()
                        if got.body != wanted:
                            mistakes.append((what, got))
            return mistakes

        self.assertEqual(sum(together(8, run), []), [])
        self.assertNotIn("/smuggled", [r[1] for r in self.origin.whole])


class Loose(Requests):
    """As Nearside is by default: after a body, a connection is not reused."""

    reads = None

    @classmethod
    def make_origin(cls):
        if cls.reads is None:
            raise unittest.SkipTest("only for those below")
        return LooseOrigin(cls.reads)

    def test_no_payload_moves_anybodys_answer(self):
        self.attack_with_all(TAKEN + MALFORMED)

    def test_the_origin_would_show_it(self):
        """Straight at the origin, a nested request is answered."""
        nested = {"length": with_chunks, "coding": with_length,
                  "nothing": with_length}[self.reads]
        with self.direct() as client:
            client.send(nested("POST", SMUGGLED))
            self.assertIn(b" /x ", client.read_response().body)
            self.assertIn(b"/smuggled", client.read_response().body)

    def direct(self):
        return type(self.victims[0])(self.origin.port)


class ByLengthOnly(Loose):
    reads = "length"


class ByCodingOnly(Loose):
    reads = "coding"


class WithoutBodies(Loose):
    reads = "nothing"

    def test_no_refused_head_moves_anybodys_answer(self):
        self.attack_with_all(REFUSED)


EVIL = OK + b"Cache-Control: max-age=60\r\nContent-Length: 4\r\n\r\nevil"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\n"

# Answers with something behind them: (what, method, bytes).
SPARE = [
    ("behind a length", "GET", response(
        b"Content-Length: 5", body=b"hello" + EVIL)),
    ("behind length 0", "GET", response(b"Content-Length: 0", body=EVIL)),
    ("behind chunks", "GET", response(
        b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n" + EVIL)),
    ("behind trailers", "GET", response(
        b"Transfer-Encoding: chunked",
        body=b"5\r\nhello\r\n0\r\nA: b\r\n\r\n" + EVIL)),
    ("an empty line and more", "GET", response(
        b"Content-Length: 5", body=b"hello\r\n" + EVIL)),
    ("one byte", "GET", response(b"Content-Length: 5", body=b"hello!")),
    ("half an answer", "GET", response(
        b"Content-Length: 5", body=b"hello" + EVIL[:-2])),
    ("an interim answer", "GET", response(
        b"Content-Length: 5", body=b"hello" + HINTS)),
    ("behind 204", "GET", NO_CONTENT + b"\r\n" + EVIL),
    ("behind 204 with a length", "GET", NO_CONTENT
     + b"Content-Length: %d\r\n\r\n" % len(EVIL) + EVIL),
    ("behind 304", "GET", NOT_MODIFIED + b"\r\n" + EVIL),
    ("behind 304 with a length", "GET", NOT_MODIFIED
     + b"Content-Length: %d\r\n\r\n" % len(EVIL) + EVIL),
    ("behind HEAD", "HEAD", response(
        b"Content-Length: %d" % len(EVIL), body=EVIL)),
    ("behind HEAD, chunked", "HEAD", response(
        b"Transfer-Encoding: chunked", body=EVIL)),
    ("behind HEAD, to the end", "HEAD", response(body=EVIL)),
    ("eight interim ones with a length", "GET", HINTS * 8 + response(
        b"Content-Length: 5", body=b"hello" + EVIL)),
    ("nine interim ones", "GET", HINTS * 9 + EVIL),
    ("an interim flood", "GET", HINTS * 1000 + EVIL),
    ("101 not asked for", "GET", b"HTTP/1.1 101 Switching Protocols\r\n"
     b"Upgrade: x\r\nConnection: upgrade\r\n\r\n" + EVIL),
]


class Responses(Desync):
    @classmethod
    def make_origin(cls):
        cls.said = b""
        return ScriptedOrigin(cls.script)

    @classmethod
    def script(cls, connection, request, n):
        del n
        if "Attack" not in request.fields:
            return answer_with_identity(
                connection, request.method, request.target,
                request.fields["X-Marker"])
        connection.send(cls.said)
        # Kept open: what is behind it must not be heard by the next one, nor
        # what comes when the next one's request is here.
        if not connection.is_closed(0.5):
            connection.send(EVIL)
        return False

    def attack(self, what, method, data):
        type(self).said = data
        number = next(self.numbers)
        targets = [f"/through/{number}", f"/kept/{number}"]
        before, between = self.victims
        for target in targets:
            wants_before = self.ask(before)
            with self.daemon.connect() as attacker:
                attacker.request(method, target, {"Attack": "1"})
                wants_between = self.ask(between)
                got = self.answers(attacker, [method])
                self.assert_own(before, wants_before, what)
                self.assert_own(between, wants_between, what)
                self.assertNotIn(b"evil", b"".join(r.body for r in got), what)
                self.assert_next(attacker, got, what)
            for victim in self.victims:
                self.assert_own(victim, self.ask(victim), what)
        self.assert_kept(targets[1], what)

    def assert_next(self, attacker, got, what):
        """Whoever asks next on the same connection, if it is still open."""
        if not got or got[0].fields["Connection"] == "close":
            return
        try:
            wanted = self.ask(attacker)
            self.assert_own(attacker, wanted, what)
        except (WireError, OSError):
            pass  # closed is right, too

    def test_spare_bytes_are_nobodys_answer(self):
        for what, method, data in SPARE:
            with self.subTest(what=what):
                self.attack(what, method, data)

    def test_a_body_that_comes_late_is_nobodys_answer(self):
        """Where none may be, but the head speaks of one."""
        for what, method, data in (
                ("HEAD", "HEAD", response(b"Content-Length: 4")),
                ("HEAD, chunked", "HEAD", response(
                    b"Transfer-Encoding: chunked")),
                ("HEAD, to the end", "HEAD", response()),
                ("204", "GET", NO_CONTENT + b"Cache-Control: no-store\r\n"
                 b"Content-Length: 4\r\n\r\n"),
                ("304", "GET", NOT_MODIFIED + b"Content-Length: 4\r\n\r\n"),
                ("304, chunked", "GET", NOT_MODIFIED
                 + b"Transfer-Encoding: chunked\r\n\r\n")):
            with self.subTest(what=what):
                self.attack(what, method, data)

    def test_no_bad_head_is_anybodys_answer(self):
        for row, what, data in RESPONSE_HEADS:
            if data and data != OK + b"Content-Le":  # else evil makes it whole
                with self.subTest(row=row, what=what):
                    self.attack(what, "GET", data + EVIL)

    def test_no_bad_body_is_anybodys_answer(self):
        for what, data in RESPONSE_BODIES:
            if what == "length cut short":
                continue  # what is behind it would be its body
            with self.subTest(what=what):
                self.attack(what, "GET", data + EVIL)


class Early(Desync):
    """Row 86: answers that come before the body was sent."""

    @classmethod
    def make_origin(cls):
        return ScriptedOrigin(cls.script, with_body=False)

    @classmethod
    def script(cls, connection, request, n):
        del n
        answer_with_identity(connection, request.method, request.target,
                             request.fields["X-Marker"])
        return True  # and the body is its next request

    def test_an_early_answer_ends_both_connections(self):
        """0.CL: what the attacker holds back is nobody's prefix."""
        for i, body in enumerate((SMUGGLED, PREFIX, b"x" * 20)):
            for coded in (False, True):
                with self.subTest(body=body, coded=coded):
                    self.hold_back(i, body, coded)

    def hold_back(self, i, body, coded):
        before, between = self.victims
        lead = (with_chunks if coded else with_length)("POST", body)
        cut = len(lead) - len(body) - (7 if coded else 0)
        with self.daemon.connect() as attacker:
            attacker.send(lead[:cut])
            got = attacker.read_response()
            self.assertEqual((got.status, got.body, got.fields["Connection"]),
                             (200, identity("POST", "/x"), "close"))
            self.assert_own(before, self.ask(before), i)
            try:
                attacker.send(lead[cut:] + SMUGGLED)
            except OSError:
                pass
            self.assert_own(between, self.ask(between), i)
            self.assertEqual(self.answers(attacker, ["GET"]), [])
        self.assertNotIn("/smuggled",
                         [r.target for r in self.origin.requests])

    def test_bytes_on_an_idle_connection_are_nobodys_answer(self):
        """Row 100, in a pool of several."""
        clients = [self.use(self.daemon.connect()) for _ in range(4)]
        for client in clients:
            wanted = self.ask(client)
            self.assert_own(client, wanted, "idle")
        for sock in list(self.origin._open):
            sock.sendall(EVIL)
        wait_until(lambda: not self.origin._open, what="all are given up")
        for client in clients:
            wanted = self.ask(client)
            self.assert_own(client, wanted, "idle")


class EarlyVouched(Early):
    """An early answer has not read its body, whatever was promised."""

    origin_more = "reuse_after_body = on"


del Desync, Requests, Loose

if __name__ == "__main__":
    unittest.main()
