# ctest: timeout=240
"""Everything at once, at random: clients that leave, an origin that breaks
in every way it knows, a Redis that hangs and dies. Never a wrong byte, never
a crash, and nothing is left over when it is quiet again."""

import os
import random
import threading
import time
import unittest

from lib import (FlowTest, Nearside, RedisServer, ScriptedOrigin, WireError,
                 pattern, wait_until)
from lib.scripted import conf

SECONDS = 120 if os.environ.get("NEARSIDE_LONG") == "1" else 6
CLIENTS = 24
ROUTES = """
    route "/kept/*" { ttl = 2s  ttl_jitter = 0% }
    route "/brief/*" { ttl = 50ms  ttl_jitter = 0%  grace = 1s }
    route "/own/*" { ttl = 5s  cookie = key }
"""
# Small, so that each is hit now and then.
LIMITS = """
    head_timeout = 1s  body_timeout = 1s  idle_timeout = 2s
    send_timeout = 2s  send_total = 8s  object_max = 200KB
    requests_per_connection = 20  flight_wait = 300ms
    connections_per_ip = 0  body_max = 1MB
"""
ORIGIN = """first_byte_timeout = 700ms  between_bytes_timeout = 700ms
    idle_timeout = 300ms  connect_timeout = 1s"""


def size_of(target):
    """0 to 400,000 bytes, most of them few; the same for each target."""
    rng = random.Random(target.split("?")[0])
    return int(400_000 * rng.random() ** 6)


def body_of(target):
    return pattern(size_of(target), hash_of(target))


def hash_of(target):
    return sum(target.split("?")[0].encode()) * 7919


class Origin:
    """The script: right nine times out of ten."""

    def __init__(self):
        self.rng = random.Random(11)
        self.is_calm = False

    def __call__(self, connection, request, n):
        fault = "none" if self.is_calm else self.rng.choice(
            ["none"] * 30 + ["slow", "cut", "reset", "silent", "garbage",
                             "stall", "spare", "500", "103", "close"])
        body = body_of(request.target)
        is_chunked = self.rng.random() < 0.3
        head = b"HTTP/1.1 200 OK\r\n"
        if fault in ("reset", "silent"):
            # Past first_byte_timeout; a stall is past between_bytes_timeout.
            time.sleep(1 if fault == "silent" else 0)
            connection.reset()
            return False
        if fault == "garbage":
            connection.send(b"\x00\x01\x02 not HTTP\r\n\r\n")
            return False
        if fault == "500":
            connection.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
            return True
        if fault == "103":
            connection.send(b"HTTP/1.1 103 Early\r\nLink: </x>\r\n\r\n")
        if request.method == "HEAD":
            connection.send(head + b"Content-Length: %d\r\n\r\n" % len(body))
            return True
        if fault == "close":
            connection.send(head + b"\r\n" + body)
            return False
        self.send_body(connection, head, body, is_chunked, fault)
        return fault in ("none", "slow", "103")

    def send_body(self, connection, head, body, is_chunked, fault):
        if is_chunked:
            head += b"Transfer-Encoding: chunked\r\n\r\n"
            end = b"0\r\n\r\n"
        else:
            head += b"Content-Length: %d\r\n\r\n" % len(body)
            end = b""
        connection.send(head)
        sent = 0
        while sent < len(body):
            piece = body[sent:sent + self.rng.choice((100, 5000, 100_000))]
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece)
                            if is_chunked else piece)
            sent += len(piece)
            if fault in ("cut", "stall"):
                time.sleep(1 if fault == "stall" else 0)
                return
            if fault == "slow":
                time.sleep(0.01)  # a slow origin is one of the faults
        connection.send(end + (b"spare" if fault == "spare" else b""))


class Chaos(FlowTest):
    def setUp(self):
        self.script = Origin()
        self.origin = self.use(ScriptedOrigin(self.script))
        # Connections that the daemon breaks are no errors of the script.
        self.addCleanup(self.origin.errors.clear)
        self.redis = self.use(RedisServer())
        self.daemon = self.use(Nearside(conf(
            self.origin.url, ROUTES, LIMITS, self.redis,
            origin_more=ORIGIN).replace("command_timeout = 2s",
                                        "command_timeout = 50ms")))
        self.wrong = []
        self.good = 0
        self.until = time.monotonic() + SECONDS

    def check(self, method, target, got):
        if got.status in (200, 304):
            want = b"" if method == "HEAD" or got.status == 304 \
                else body_of(target)
            if got.body != want:
                self.wrong.append((method, target, got))
            self.good += 1
        elif got.status not in (500, 502, 503, 504, 408):
            self.wrong.append((method, target, got))

    def one(self, rng, client):
        target = rng.choice(("/kept/%d", "/brief/%d", "/own/%d",
                             "/through/%d")) % int(rng.expovariate(0.2))
        method = rng.choice(["GET"] * 12 + ["HEAD", "PUT", "DELETE"])
        fields = {"Cookie": f"u={rng.randrange(3)}"} \
            if rng.random() < 0.2 else {}
        body = None
        if method == "PUT":
            body = b"x" * rng.choice((0, 5, 70_000, 300_000))
        what = rng.random()
        if what < 0.05:  # leaves before the answer
            client.request(method, target, fields, body)
            client.reset()
            return False
        if what < 0.08:  # leaves in the middle of the answer
            client.request("GET", target, fields)
            client.read_head()
            client.reset()
            return False
        if what < 0.10:  # half a head
            client.send(f"GET {target} HTTP/1.1\r\nHo".encode())
            client.reset()
            return False
        if what < 0.12:  # half a body
            client.send(f"PUT {target} HTTP/1.1\r\nHost: test\r\n"
                        "Content-Length: 100\r\n\r\nhello".encode())
            client.reset()
            return False
        if what < 0.14:  # half closed
            client.request("GET", target, fields)
            client.half_close()
            self.check("GET", target, client.read_response())
            return False
        if what < 0.24:  # pipelined
            targets = [target, target + "?a", "/kept/0"]
            for each in targets:
                client.request("GET", each)
            for each in targets:
                self.check("GET", each, client.read_response())
            return True
        client.request(method, target, fields, body)
        got = client.read_response(method)
        self.check(method, target, got)
        return got.fields["Connection"] != "close"

    def client(self, seed):
        rng = random.Random(seed)
        while time.monotonic() < self.until:
            try:
                small = 4096 if rng.random() < 0.1 else None
                with self.daemon.connect(receive_buffer=small) as client:
                    while time.monotonic() < self.until:
                        if not self.one(rng, client):
                            break
            except (OSError, WireError):
                pass  # a faulty origin's answer is cut: that is right

    def trouble(self):
        """Redis hangs, is emptied, dies and comes back."""
        rng = random.Random(5)
        while time.monotonic() < self.until - 1:
            time.sleep(0.4)  # all is well in between
            what = rng.choice(("pause", "flush", "kill"))
            if what == "pause":
                self.redis.pause()
                time.sleep(0.3)  # beyond command_timeout
                self.redis.resume()
            elif what == "flush":
                self.redis("FLUSHALL")
            else:
                self.redis.kill()
                time.sleep(0.2)  # requests without Redis are what is tested
                self.redis.start()

    def test_never_a_wrong_byte_and_nothing_is_left(self):
        threads = [threading.Thread(target=self.client, args=(i,),
                                    daemon=True) for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        self.trouble()  # here: processes are started by the main thread
        for thread in threads:
            thread.join(30)
            self.assertFalse(thread.is_alive())
        self.assertEqual(self.wrong[:3], [])
        self.assertGreater(self.good, 100)
        self.script.is_calm = True
        wait_until(lambda: self.daemon.metric("nearside_connections") == 0,
                   15, "no client is left")
        wait_until(lambda: not self.origin._open, 15,
                   "no connection to the origin is left")
        wait_until(lambda: "; hit" in self.daemon.get("/kept/0").cache_status,
                   15, "it caches again")
        self.assertEqual(self.daemon.get("/kept/0").body, body_of("/kept/0"))


if __name__ == "__main__":
    unittest.main()
