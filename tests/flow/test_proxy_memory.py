"""Out of memory: it costs requests, never the process."""

import os
import resource
import unittest

from lib import (Connection, FlowTest, Nearside, RedisServer, SampleOrigin,
                 WireError, fetch, pattern, wait_until)
from lib.scripted import conf, together

HIT = "nearside_limits_hit_total"
# Sanitizers map memory of their own, and end the process without any.
SANITIZED = bool(os.environ.get("NEARSIDE_SANITIZE"))


@unittest.skipIf(SANITIZED, "a sanitizer needs its memory")
class Starved(FlowTest):
    def setUp(self):
        redis = self.use(RedisServer())
        origin = self.use(SampleOrigin())
        self.daemon = self.use(Nearside(conf(
            origin.url, 'route "/bytes/*" { }', "connections_per_ip = 0",
            redis)))
        for _ in range(8):  # both workers have served
            self.daemon.get("/bytes/1000")
            self.daemon.get("/healthz")
        self.daemon.metrics()

    def allow(self, more):
        """What it has, and so many bytes more; None: whatever it wants."""
        limit = resource.RLIM_INFINITY if more is None else (
            self.daemon.process.memory_kb("VmData") * 1024 + more)
        resource.prlimit(self.daemon.pid, resource.RLIMIT_DATA,
                         (limit, resource.RLIM_INFINITY))

    def assert_well(self):
        self.assertTrue(self.daemon.process.is_running())
        for _ in range(4):
            got = self.daemon.get("/bytes/1000")
            self.assertEqual((got.status, got.body), (200, pattern(1000)))

    @staticmethod
    def is_ended(client):
        try:
            return client.has_bytes(0.001) or client.is_at_end
        except OSError:
            return True

    def test_many_heads_without_memory_for_them(self):
        self.allow(1 << 20)
        held = []
        for _ in range(600):
            try:
                client = self.use(Connection(self.daemon.port))
                client.send(b"GET /bytes/1000 HTTP/1.1\r\nHost: te")
                held.append(client)
            except OSError:
                pass
        wait_until(lambda: any(map(self.is_ended, held)),
                   what="one of them is ended")
        self.allow(None)
        self.assertGreater(self.daemon.metric(HIT, limit="memory"), 0)
        self.assert_well()

    def ask(self, i):
        """A hit, a miss, a pass or an upload; 200, or an honest failure."""
        self.count += 1
        size = 3_000_000 + (self.count if i % 4 == 1 else 0)
        target = (f"/bytes/{size}", f"/bytes/{size}",
                  "/products/1", "/upload")[i % 4]
        try:
            got = fetch(self.daemon.port, target,
                        method="PUT" if i % 4 == 3 else "GET",
                        body=bytes(100_000) if i % 4 == 3 else None)
        except (WireError, OSError):
            return "cut"
        if i % 4 < 2 and got.status == 200:
            self.assertEqual(got.body, pattern(size))
        return got.status

    def test_hits_misses_passes_and_uploads_at_every_want_of_memory(self):
        self.count = 0
        for more in [0] + [1 << n for n in range(12, 25)] + [0]:
            self.allow(more)
            got = together(8, self.ask)
            self.allow(None)
            with self.subTest(more=more, got=got):
                self.assertLessEqual(set(got), {200, 502, 503, "cut"})
                self.assert_well()


if __name__ == "__main__":
    unittest.main()
