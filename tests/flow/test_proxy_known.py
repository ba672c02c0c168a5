"""A connection whose requests come again and again: hits without a request.

Each answer is compared with what another connection gets for the same bytes as
its first request, which is always served in the usual way."""

import os
import random
import re
import threading
import unittest

from lib import FlowTest, Nearside, ScriptedOrigin, wait_until
from lib.scripted import answer, conf
from lib.wire import Connection

ROUTES = """
route "/a/*" { ttl = 60s }
route "/b/:id" { ttl = 60s  query = none }
route "/keyed/*" { ttl = 60s  authorization = key }
""" + "".join(
    # So many that two have one place among a client's routes.
    f'route "/r{n}/*" {{ ttl = 60s  cache_status = off }}\n' for n in range(8))
FIELDS = (
    "",
    "Connection: keep-alive\r\nUser-Agent: one\r\n",
    "User-Agent: two\r\nAccept-Encoding: gzip\r\n",
    "X-Forwarded-For: 192.0.2.1\r\n",
    "X-Forwarded-Proto: https\r\n",
    "X-Forwarded-Host: shop.example\r\n",
    "Cookie: a=1\r\n",
    "Authorization: Basic YTpi\r\n",
    "Authorization: Basic YTpj\r\n",
    "Range: bytes=1-3\r\n",
    'If-None-Match: "e"\r\n',
    "Cache-Control: no-cache\r\n",
)
HOSTS = ("test", "other.example", "other.example:8080", "TEST")
TARGETS = ("/a/1", "/a/2", "/a/2?q=1", "/a/%32", "/a//1", "/a/v;x", "/b/1",
           "/b/1?q=1", "/keyed/1", "/none/1", "/a/vary", "/r5/1", "/r6/1")
# What differs from one answer to the same question to the next.
TIMES = re.compile(rb"\r\nage: \d+|ttl=\d+|\r\ndate: [^\r]*", re.I)


def head(target, host="test", fields=""):
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode()


def bare(response):
    return TIMES.sub(b"", response.head), response.body


class Known(FlowTest):
    def start(self, more="", size=200):
        def respond(connection, request, n):
            del n
            fields = [("ETag", '"e"')]
            if "vary" in request.target:
                fields.append(("Vary", "User-Agent"))
            said = "".join(sorted(
                f"{name}={request.fields[name]};" for name in
                ("host", "user-agent", "authorization", "x-forwarded-proto")
                if name in request.fields))
            return answer(connection,
                          f"{request.target} {said}".encode().ljust(size),
                          fields)

        self.origin = self.use(ScriptedOrigin(respond))
        self.daemon = self.use(Nearside(conf(
            self.origin.url, ROUTES, "requests_per_connection = 100000",
            workers=1, more=more)))
        self.kept = self.use(Connection(self.daemon.port))

    def ask(self, data, connection=None):
        connection = connection or self.kept
        connection.send(data)
        return connection.read_response()

    def ask_anew(self, data):
        with Connection(self.daemon.port) as connection:
            return self.ask(data, connection)

    def compare(self, seed, count=400):
        chance = random.Random(seed)
        # One target of each is asked for in each form, so that all are stored.
        for _ in range(count):
            data = head(chance.choice(TARGETS), chance.choice(HOSTS),
                        chance.choice(FIELDS))
            for _ in range(2):
                self.ask(data)
            self.assertEqual(bare(self.ask(data)), bare(self.ask_anew(data)),
                             data)

    def test_whoever_asks_whatever_gets_what_anybody_would(self):
        self.start()
        self.compare(1)

    def test_so_do_the_clients_of_a_trusted_proxy(self):
        self.start('trusted_proxies = { "127.0.0.0/8" }')
        self.compare(2)

    def test_what_is_sent_ahead_is_answered_in_its_order(self):
        self.start()
        targets = [f"/a/{n}" for n in range(5)]
        for target in targets * 3:
            self.ask(head(target))
        for target in targets * 40:
            self.kept.send(head(target))
        for target in targets * 40:
            self.assertIn(target.encode(), self.kept.read_response().body)

    def test_a_head_may_come_in_any_two_pieces(self):
        self.start()
        data = head("/a/1", fields=FIELDS[1])
        whole = [self.ask(data) for _ in range(3)][-1]
        for at in range(1, len(data)):
            self.kept.send(data[:at])
            self.kept.send(data[at:])
            self.assertEqual(bare(self.kept.read_response()), bare(whole))

    def test_a_client_that_reads_late_gets_all_of_it(self):
        """More than its socket takes leaves when it reads."""
        self.start(size=30000)
        count = 300
        for _ in range(3):
            whole = self.ask(head("/a/1"))
        client = self.use(Connection(self.daemon.port, receive_buffer=4096))
        for _ in range(2):
            self.assertEqual(self.ask(head("/a/1"), client).body, whole.body)
        sender = threading.Thread(
            target=lambda: [client.send(head("/a/1")) for _ in range(count)],
            daemon=True)
        sender.start()
        for _ in range(count):
            self.assertEqual(client.read_response().body, whole.body)
        sender.join()

    def test_each_is_in_the_log_and_the_counters(self):
        self.start('access_log { target = "file:@DIR@/access.log" }')
        path = os.path.join(self.daemon.dir, "access.log")
        for n in range(20):
            self.ask(head(f"/a/{n % 2}?n={n % 2}", fields=FIELDS[1]
                          + "Referer: r\r\n"))

        def lines():
            with open(path) as file:
                return [line for line in file if '"GET /a/' in line]

        wait_until(lambda: os.path.exists(path) and len(lines()) == 20,
                   what="all are logged")
        hits = [line for line in lines() if " hit " in line or "hit" in line]
        self.assertEqual(len(hits), 18)
        # But for times, the last are like the first hit of their target.
        plain = [re.sub(r"\[[^]]*\]|\d+\.\d+|\b\d+us\b", "", line)
                 for line in hits]
        self.assertEqual(plain[0:2], plain[16:18])
        self.assertIn("/a/0?n=0", plain[0])
        self.assertEqual(
            self.daemon.metric("nearside_requests_total", route="/a/*",
                               result="hit", status="2xx"), 18)


if __name__ == "__main__":
    unittest.main()
