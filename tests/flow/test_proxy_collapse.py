# ctest: jobs=4 cost=12
"""One fetch for many: waiters on both workers, readers of a body that is
still coming, a leader that leaves, and what must not be shared."""

import socket
import threading
import time
import unittest

from lib import (FlowTest, Nearside, RedisServer, SampleOrigin,
                 ScriptedOrigin, WireError, pattern, wait_until)
from lib.scripted import Steps, answer, conf, digest, together

KEPT = ('route "/kept/*" { ttl = 60s  keep = 10m'
        '  client_cache_control = honour }\n'
        'route "/products/:id" { ttl = 60s }\n')
CLIENTS = 200


class Herd(FlowTest):
    def start(self, script, limits="", with_redis=True, workers=2):
        self.steps = Steps()
        self.addCleanup(lambda: self.steps.go("head", "half", "end"))
        self.origin = self.use(ScriptedOrigin(script))
        self.redis = self.use(RedisServer()) if with_redis else None
        self.daemon = self.use(Nearside(conf(
            self.origin.url, KEPT, limits, self.redis, workers=workers)))

    def clients(self, count, target, fields=None):
        made = []
        for _ in range(count):
            client = self.use(self.daemon.connect())
            client.request("GET", target, fields)
            made.append(client)
        return made

    def wait_all_ask(self, count):
        """Until all requests are with the daemon and wait for the same."""
        wait_until(lambda: self.origin.requests, what="the leader has come")
        wait_until(lambda: self.daemon.metric("nearside_connections")
                   == count, what="all are connected")

    @staticmethod
    def wait_still(growing):
        seen = []

        def is_still():
            seen.append(len(growing))
            return len(seen) > 10 and len(set(seen[-10:])) == 1

        wait_until(is_still, what="nothing more comes")


class Collapse(Herd):
    def test_two_hundred_clients_of_a_cold_key_make_one_request(self):
        for with_redis in (True, False):
            with self.subTest(with_redis=with_redis):
                def script(connection, request, n):
                    self.steps.wait("head")
                    return answer(connection, b"the one answer")

                self.start(script, with_redis=with_redis)
                clients = self.clients(CLIENTS, "/kept/1")
                self.wait_all_ask(CLIENTS)
                self.steps.go("head")
                answers = [c.read_response() for c in clients]
                self.assertEqual({a.body for a in answers},
                                 {b"the one answer"})
                self.assertEqual(len(self.origin.requests), 1)
                told = [a.cache_status for a in answers
                        if "; collapsed" in a.cache_status]
                hits = [a for a in answers if "; hit" in a.cache_status]
                self.assertEqual(len(told) + len(hits), CLIENTS - 1)

    def test_the_sample_api_is_asked_once_by_all_of_a_thundering_herd(self):
        origin = self.use(SampleOrigin(latency_ms=200))
        redis = self.use(RedisServer())
        daemon = self.use(Nearside(conf(origin.url, KEPT, "", redis)))
        bodies = together(100, lambda i: daemon.get("/products/7").body)
        self.assertEqual(len(set(bodies)), 1)
        self.assertEqual(origin.stats()["methods"]["GET"], 1)

    def test_two_daemons_make_one_request_too(self):
        origin = self.use(SampleOrigin(latency_ms=300))
        redis = self.use(RedisServer())
        daemons = [self.use(Nearside(conf(origin.url, KEPT, "", redis)))
                   for _ in range(2)]
        bodies = together(
            40, lambda i: daemons[i % 2].get("/products/8").body)
        self.assertEqual(len(set(bodies)), 1)
        self.assertEqual(origin.stats()["methods"]["GET"], 1)

    def body_in_steps(self, framing):
        self.parts = [bytes([65 + i]) * 300_000 for i in range(3)]
        whole = b"".join(self.parts)

        def send(connection, part):
            if framing == "chunked":
                connection.send(b"%x\r\n%s\r\n" % (len(part), part))
            else:
                connection.send(part)

        def script(connection, request, n):
            how = (b"Transfer-Encoding: chunked" if framing == "chunked"
                   else b"Content-Length: %d" % len(whole))
            connection.send(b"HTTP/1.1 200 OK\r\n" + how + b"\r\n\r\n")
            for part, step in zip(self.parts, ("half", "end", None)):
                send(connection, part)
                if step:
                    self.steps.wait(step)
            if framing == "chunked":
                connection.send(b"0\r\n\r\n")
            return True

        return script, whole

    def test_readers_of_both_workers_follow_a_body_that_is_coming(self):
        for framing in ("length", "chunked"):
            with self.subTest(framing=framing):
                script, whole = self.body_in_steps(framing)
                self.start(script)
                early = self.clients(10, "/kept/1")
                heads = [c.read_head() for c in early]
                late = self.clients(10, "/kept/1")  # join in mid-body
                heads += [c.read_head() for c in late]
                bodies = [c.body_pieces(h)
                          for c, h in zip(early + late, heads)]
                firsts = []
                for pieces in bodies:  # each has the first part already
                    got = b""
                    while len(got) < 300_000:
                        got += next(pieces)
                    firsts.append(got)
                self.steps.go("half", "end")
                for first, pieces in zip(firsts, bodies):
                    self.assertEqual(digest(first + b"".join(pieces)),
                                     digest(whole))
                self.assertEqual(len(self.origin.requests), 1)
                after = self.daemon.get("/kept/1")
                self.assertEqual(digest(after.body), digest(whole))

    def joined(self, fields, ask=None, pause=0.0):
        """The answers to one who asked first and to one who asked while the
        content came, pause seconds after its head."""
        def script(connection, request, n):
            head = [f"{name}: {value}" for name, value in fields]
            connection.send("\r\n".join(
                ["HTTP/1.1 200 OK", *head, "Content-Length: 4", "", ""]
            ).encode() + b"%d%d" % (n, n))
            if n == 0:
                self.steps.wait("half")
            connection.send(b"%d%d" % (n, n))
            return True

        # Who may not join waits so long for the lease.
        self.start(script, "flight_wait = 500ms")
        first = self.clients(1, "/kept/1")[0]
        head = first.read_head()
        time.sleep(pause)  # lifetimes are in seconds
        late = self.clients(1, "/kept/1", ask)[0]
        wait_until(lambda: self.daemon.metric("nearside_connections") == 2
                   and len(self.origin.requests) > 1 or late.has_bytes(0.5),
                   what="the other one is answered")
        self.steps.go("half")
        body = b"".join(first.body_pieces(head))
        self.assertEqual(body, b"0000")
        return late.read_response()

    def test_what_is_joined_has_its_age(self):
        got = self.joined([("Cache-Control", "max-age=100"), ("Age", "50")],
                          pause=1.1)
        self.assertEqual(got.body, b"0000")
        self.assertIn(got.fields["Age"], ("51", "52"))
        # And nobody else has: requests are used again.
        ages = together(8, lambda n: self.daemon.get(
            f"/other/{n}").fields["Age"])
        self.assertEqual(set(ages), {"50"})

    def test_what_could_not_be_used_if_it_were_stored_is_not_joined(self):
        tag = ("ETag", '"v"')
        for fields, pause in (
                ([("Cache-Control", "max-age=1")], 1.1),
                ([("Cache-Control", "max-age=0, must-revalidate"), tag], 0),
                ([("Cache-Control", "max-age=9, stale-while-revalidate=9"),
                  ("Age", "9")], 0),
                ([("Cache-Control", "no-cache"), tag], 0)):
            with self.subTest(fields=fields):
                got = self.joined(fields, pause=pause)
                self.assertEqual(got.body, b"1111")

    def test_who_wants_no_stored_response_does_not_join(self):
        for value, body in (("no-cache", b"1111"), ("max-age=1", b"1111"),
                            ("foo", b"0000")):
            with self.subTest(value=value):
                got = self.joined([("Cache-Control", "max-age=100")],
                                  {"Cache-Control": value})
                self.assertEqual(got.body, body)

    def test_a_reader_that_is_slow_does_not_keep_others_from_the_entry(self):
        """The lease is given back when the origin is done, not the client."""
        body = pattern(7_000_000)
        self.start(lambda c, r, n: answer(c, body))
        other = self.use(Nearside(conf(
            self.origin.url, KEPT, "", self.redis), name="other"))
        slow = self.use(self.daemon.connect(receive_buffer=4096))
        slow.request("GET", "/kept/large")
        head = slow.read_head()
        wait_until(lambda: self.redis("KEYS", "ns:e:*large*"),
                   what="it is stored though nobody reads it")
        got = other.get("/kept/large")
        self.assertIn("; hit", got.cache_status)
        self.assertEqual(got.body, body)
        self.assertEqual(b"".join(slow.body_pieces(head)), body)

    def test_without_a_lease_a_fetch_is_joined_for_half_a_second(self):
        """Nothing would tell of a write through another daemon."""
        def script(connection, request, n):
            if n == 0:
                self.steps.wait("end")
            return answer(connection, b"%d" % n)

        self.start(script)
        self.redis("CONFIG", "SET", "maxmemory", "1")  # SET is refused now
        first = self.clients(1, "/kept/1")[0]
        wait_until(lambda: self.origin.requests, what="the origin is asked")
        time.sleep(0.8)  # what is half a second, and a little more
        late = self.use(self.daemon.connect(timeout=2))
        late.request("GET", "/kept/1")
        self.assertEqual(late.read_response().body, b"1")
        self.steps.go("end")
        self.assertEqual(first.read_response().body, b"0")

    def test_fetches_begun_anew_while_their_leases_are_renewed_go_on(self):
        """The second fetch renews the lease too, from its own start on, and
        what Redis says of the first renewal comes after that. Several at once
        have their timers in one place of the wheel."""
        targets = [f"/kept/{i}" for i in range(8)]

        def script(connection, request, n):
            if n < 8:
                return answer(connection, b"old", (
                    ("Cache-Control", "max-age=0"), ("ETag", '"v1"')))
            self.steps.wait("half" if n < 16 else "end")
            if n < 16:
                return answer(connection, fields=(("ETag", '"v2"'),),
                              status="304 Not Modified")
            return answer(connection, b"new")

        self.start(script, workers=1)
        for target in targets:
            self.assertEqual(self.daemon.get(target).body, b"old")
        wait_until(lambda: len(self.redis("KEYS", "ns:e:*")) == 8, what="kept")
        clients = [self.clients(1, target)[0] for target in targets]
        wait_until(lambda: len(self.origin.requests) == 16, what="asked")
        self.redis.pause()
        time.sleep(0.7)  # the renewals come after half a second, unseen
        self.steps.go("half")
        wait_until(lambda: len(self.origin.requests) == 24, what="asked anew")
        self.redis.resume()
        time.sleep(0.7)  # nor is the next renewal seen, which must come
        self.steps.go("end")
        for client in clients:
            self.assertEqual(client.read_response().body, b"new")
        for target in targets:
            self.assertIn("; hit", self.daemon.get(target).cache_status)

    def test_a_leader_that_leaves_takes_nobody_along(self):
        script, whole = self.body_in_steps("length")
        for when in ("before the head", "in mid-body"):
            with self.subTest(when=when):
                def held(connection, request, n):
                    self.steps.wait("head")
                    return script(connection, request, n)

                self.start(held)
                leader = self.daemon.connect()
                leader.request("GET", "/kept/1")
                wait_until(lambda: self.origin.requests,
                           what="the leader has come")
                others = self.clients(10, "/kept/1")
                self.wait_all_ask(11)
                if when == "in mid-body":
                    self.steps.go("head")
                    leader.read_head()
                leader.reset()
                wait_until(lambda: self.daemon.metric(
                    "nearside_connections") == 10, what="it is gone")
                self.steps.go("head", "half", "end")
                for client in others:
                    self.assertEqual(digest(client.read_response().body),
                                     digest(whole))
                self.assertEqual(len(self.origin.requests), 1)

    def test_a_fill_is_stored_though_all_its_readers_left(self):
        script, whole = self.body_in_steps("length")
        self.start(script)
        for client in self.clients(3, "/kept/1"):
            client.read_head()
            client.reset()
        wait_until(lambda: self.daemon.metric("nearside_connections") == 0,
                   what="all have left")
        self.steps.go("half", "end")
        wait_until(lambda: self.redis("KEYS", "ns:e:*"), what="it is stored")
        got = self.daemon.get("/kept/1")
        self.assertIn("; hit", got.cache_status)
        self.assertEqual(digest(got.body), digest(whole))

    def test_a_fill_whose_readers_left_while_it_waited_for_them_goes_on(self):
        """Memory was short, so the origin had stopped, a window ahead of the
        fastest of them."""
        piece = pattern(65521)
        body = piece * 96  # more than sockets and window hold
        sent = []

        def script(connection, request, n):
            # The kernel would take some 4 MB of them.
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF,
                                       65536)
            connection.send(b"HTTP/1.1 200 OK\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(96):
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                sent.append(n)
            connection.send(b"0\r\n\r\n")
            return True

        for workers in (1, 2):
            with self.subTest(workers=workers):
                sent.clear()
                self.start(script, "held_max = 1MB", workers=workers)
                readers = []
                for _ in range(3):
                    reader = self.use(self.daemon.connect(
                        receive_buffer=4096))
                    reader.request("GET", "/kept/1")
                    reader.read_head()
                    readers.append(reader)
                self.wait_still(sent)
                self.assertLess(len(sent), 96)
                for reader in readers:
                    reader.reset()
                wait_until(lambda: self.redis("KEYS", "ns:e:*"),
                           what="it is stored")
                got = self.daemon.get("/kept/1")
                self.assertIn("; hit", got.cache_status)
                self.assertEqual(digest(got.body), digest(body))
                self.assertEqual(len(self.origin.requests), 1)

    def test_a_body_that_is_cut_is_cut_for_all_of_its_readers(self):
        def script(connection, request, n):
            if n > 0:
                return answer(connection, b"whole")
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
                            b"hello")
            self.steps.wait("end")
            return False

        self.start(script)
        clients = self.clients(20, "/kept/1")
        heads = [c.read_head() for c in clients]
        self.steps.go("end")
        for client, head in zip(clients, heads):
            with self.assertRaises((WireError, OSError)):
                b"".join(client.body_pieces(head))
        self.assertEqual(self.redis("KEYS", "ns:e:*"), [])
        self.assertEqual(self.daemon.get("/kept/1").body, b"whole")

    def test_an_answer_that_may_not_be_stored_is_shared_with_nobody(self):
        for why, fields in (
                ("no-store", [("Cache-Control", "no-store")]),
                ("private", [("Cache-Control", "private")]),
                ("set-cookie", [("Set-Cookie", "user=1")]),
                ("vary", [("Vary", "*")])):
            with self.subTest(why=why):
                def script(connection, request, n):
                    self.steps.wait("head")
                    return answer(connection, b"for %d alone" % n, fields)

                self.start(script)
                clients = [self.use(self.daemon.connect())
                           for _ in range(30)]
                for i, client in enumerate(clients):
                    client.request("GET", "/kept/1", {"X-User": i})
                self.wait_all_ask(30)
                self.steps.go("head")
                bodies = [c.read_response().body for c in clients]
                self.assertEqual(len(set(bodies)), 30)

    def test_a_leader_with_a_cookie_shares_with_nobody(self):
        def script(connection, request, n):
            who = request.fields["Cookie"] or "nobody"
            if who != "nobody":
                self.steps.go("came")
                self.steps.wait("head")
            return answer(connection, who.encode())

        self.start(script)
        with self.daemon.connect() as leader:
            leader.request("GET", "/kept/1", {"Cookie": "user=1"})
            self.steps.wait("came")
            others = self.clients(30, "/kept/1")
            self.wait_all_ask(31)
            self.steps.go("head")
            self.assertEqual(leader.read_response().body, b"user=1")
            for client in others:
                self.assertEqual(client.read_response().body, b"nobody")
        # Those without one still share one fetch among themselves.
        self.assertEqual(len(self.origin.requests), 2)

    def test_a_reader_far_behind_does_not_hold_back_the_others(self):
        """And is never given a wrong byte."""
        origin = self.use(SampleOrigin())
        redis = self.use(RedisServer())
        size = 6_000_000
        daemon = self.use(Nearside(conf(
            origin.url, 'route "/bytes/*" { ttl = 60s }', "", redis)))
        slow = self.use(daemon.connect(receive_buffer=4096))
        slow.request("GET", f"/bytes/{size}")
        head = slow.read_head()
        want = digest(pattern(size))
        for _ in range(3):
            self.assertEqual(digest(daemon.get(f"/bytes/{size}").body), want)
        try:
            body = b"".join(slow.body_pieces(head))
        except (WireError, OSError):
            body = None
        self.assertIn(body and digest(body), (None, want))


class Outgrown(Herd):
    """A body that turns out larger than object_max while several read it."""

    size = 6_000_000
    body = pattern(size)

    def script(self, connection, request, n):
        """What comes before the step `half` fits object_max."""
        connection.send(b"HTTP/1.1 200 OK\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        for at in range(0, self.size, 100_000):
            if at == 400_000 and n == 0:
                self.steps.wait("half")
            connection.send(b"186a0\r\n%s\r\n" % self.body[at:at + 100_000])
        connection.send(b"0\r\n\r\n")
        return True

    def begin(self, limits=""):
        self.start(self.script, "object_max = 500KB  " + limits)

    def slow(self):
        client = self.use(self.daemon.connect(receive_buffer=4096))
        client.request("GET", "/kept/1")
        return client, client.read_head()

    def assert_whole(self, client, head):
        self.assertEqual(digest(b"".join(client.body_pieces(head))),
                         digest(self.body))

    def slowest(self):
        return self.daemon.metric("nearside_limits_hit_total",
                                  limit="slowest_reader")

    def test_a_slow_reader_is_not_cut_for_fast_ones(self):
        """Nor do they wait for it: it reads when they are done."""
        self.begin()
        slow = [self.slow() for _ in range(3)]
        fast = self.clients(6, "/kept/1")
        heads = [c.read_head() for c in fast]
        self.steps.go("half")
        for client, head in zip(fast, heads):
            self.assert_whole(client, head)
        for client, head in slow:
            self.assert_whole(client, head)
        self.assertEqual(len(self.origin.requests), 1)
        self.assertEqual(self.slowest(), 0)

    def test_whoever_comes_when_it_is_too_large_fetches_alone(self):
        self.begin()
        slow = self.slow()
        self.steps.go("half")
        wait_until(lambda: self.daemon.metric(
            "nearside_limits_hit_total", limit="object_max"),
                   what="it is too large")
        late = self.use(self.daemon.connect())
        late.request("GET", "/kept/1")
        head = late.read_head()
        self.assertNotIn("collapsed", head.fields["Cache-Status"])
        self.assert_whole(late, head)
        self.assert_whole(*slow)
        self.assertEqual(len(self.origin.requests), 2)

    def test_beyond_held_max_the_slowest_reader_sets_the_pace(self):
        self.begin("held_max = 1MB")
        slow = self.slow()
        fast = self.clients(1, "/kept/1")[0]
        head = fast.read_head()
        self.steps.go("half")
        pieces, got = fast.body_pieces(head), []
        reader = threading.Thread(target=lambda: got.extend(pieces),
                                  daemon=True)
        reader.start()
        wait_until(self.slowest, what="the origin waits for the slow one")
        self.wait_still(got)
        self.assertTrue(reader.is_alive())
        self.assert_whole(*slow)
        reader.join(20)
        self.assertEqual(digest(b"".join(got)), digest(self.body))

    def test_the_slowest_reader_keeps_its_own_limits(self):
        """One that does not read at all keeps nobody waiting for long."""
        for limits, counter in (
                ("send_timeout = 300ms", "send_timeout"),
                ("send_min_rate = 30MB  send_min_rate_after = 300ms",
                 "send_min_rate")):
            with self.subTest(limits=limits):
                self.begin("held_max = 1MB  " + limits)
                slow = self.slow()
                fast = self.clients(1, "/kept/1")[0]
                head = fast.read_head()
                self.steps.go("half")
                self.assert_whole(fast, head)
                self.assertEqual(self.daemon.metric(
                    "nearside_limits_hit_total", limit=counter), 1)
                with self.assertRaises((WireError, OSError)):
                    self.assert_whole(*slow)

    def test_many_at_once_get_all_of_it(self):
        self.begin("held_max = 1MB")
        self.steps.go("half")
        got = together(12, lambda i: digest(self.daemon.get("/kept/1").body))
        self.assertEqual(set(got), {digest(self.body)})
        self.assertEqual(
            [k for k in self.redis("KEYS", "ns:e:*")
             if len(self.redis("GET", k)) > 500_000], [])


if __name__ == "__main__":
    unittest.main()
