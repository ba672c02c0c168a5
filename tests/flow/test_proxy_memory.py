# ctest: jobs=3 cost=6
"""What a connection costs in memory; and without any, it costs requests,
never the process."""

import os
import resource
import unittest

from lib import (Connection, FlowTest, Nearside, RedisServer, SampleOrigin,
                 WireError, fetch, pattern, wait_until)
from lib.scripted import conf, together
from lib.slow import Crowd

HIT = "nearside_limits_hit_total"
# Sanitizers map memory of their own, and end the process without any.
SANITIZED = bool(os.environ.get("NEARSIDE_SANITIZE"))


@unittest.skipIf(SANITIZED, "a sanitizer needs its memory")
class Quota(FlowTest):
    """In a cgroup of its own, below one that has the limits."""

    def setUp(self):
        self.groups = []
        try:
            for name, text in (("cpu/cpu.cfs_quota_us", "100000"),
                               ("memory/memory.limit_in_bytes", "134217728")):
                self.limit(*name.split("/"), text)
        except OSError as error:
            self.skipTest(f"no cgroups of version 1 to write to: {error}")

    def limit(self, controller, file, text):
        above = f"/sys/fs/cgroup/{controller}/nearside-test-{os.getpid()}"
        group = above + "/below"
        for path in (above, group):
            os.mkdir(path)
            self.addCleanup(os.rmdir, path)
        with open(f"{above}/{file}", "w") as to:
            to.write(text)
        self.groups.append(group)

    def start(self, text):
        enter = "".join(f"echo $$ >{group}/cgroup.procs; "
                        for group in self.groups)
        return self.use(Nearside(
            text.replace("workers = 2", ""),
            wrap=["sh", "-c", enter + 'exec "$@"', "sh"]))

    def test_slow_readers_do_not_end_it(self):
        """36 of 4 MB, in 128 MB. Some are cut; what is held for them would
        have been all that there is."""
        redis = self.use(RedisServer())
        origin = self.use(SampleOrigin())
        daemon = self.start(conf(
            origin.url, 'route "/bytes/*" { }', "", redis))
        daemon.wait_log('started .* workers="1" .*'
                        ' held_max="16777216" memory="134217728"')
        wait_until(lambda: "; hit" in daemon.get("/bytes/4000000").cache_status,
                   what="a hit")
        slow = []
        for _ in range(36):
            client = self.use(Connection(daemon.port, receive_buffer=4096))
            client.request("GET", "/bytes/4000000")
            client.read_head()
            slow.append(client)
        self.assertTrue(daemon.process.is_running())
        daemon.wait_metric(HIT, 30, 30, limit="held_max")
        self.assertEqual(slow[-1].read_exactly(4000000), pattern(4000000))


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


@unittest.skipIf(SANITIZED, "a sanitizer needs memory of its own")
class Each(FlowTest):
    """At most so many bytes for each of a thousand connections. Measured:
    480 idle, 5,500 with a short half-open head, 9,700 with 8 KiB of one,
    16,500 with content under way; a slow reader of what passes holds twice
    buffer_max at most."""

    def start(self):
        self.origin = self.use(SampleOrigin())
        daemon = self.use(Nearside(conf(
            self.origin.url, limits="connections_per_ip = 0")))
        # What the daemon keeps for reuse is there before it is measured.
        with Crowd(daemon.port, 300, b"GET /products/1 HTTP/1.1\r\n"
                   b"Host: test\r\n\r\n", rate=3000) as crowd:
            self.assertEqual(crowd.statuses(), [200] * 300)
        wait_until(lambda: daemon.metric("nearside_connections") == 0,
                   what="they are gone")
        return daemon

    def still_kb(self, daemon):
        seen = []

        def is_still():
            seen.append(daemon.process.memory_kb())
            return len(seen) > 10 and len(set(seen[-10:])) == 1

        wait_until(is_still, what="its memory stays the same")
        return seen[-1]

    def assert_each(self, most, count, first, receive_buffer=None,
                    then=lambda crowd: None):
        daemon = self.start()
        # Idle ones stay, lest others take what they have left.
        with Crowd(daemon.port, 300, b"", rate=2000):
            daemon.wait_metric("nearside_connections", 300)
            before = self.still_kb(daemon)
            with Crowd(daemon.port, count, first, rate=2000,
                       receive_buffer=receive_buffer) as crowd:
                daemon.wait_metric("nearside_connections", 300 + count)
                then(crowd)
                each = (self.still_kb(daemon) - before) * 1024 / count
        self.assertLess(each, most)

    def test_an_idle_one_that_has_been_answered(self):
        def ask(crowd):
            """One after the other: many at once would hold more."""
            for sock in crowd.socks:
                sock.sendall(b"GET /products/1 HTTP/1.1\r\nHost: test\r\n\r\n")
                self.assertEqual(sock.recv(4096)[:12], b"HTTP/1.1 200")

        self.assert_each(512, 2000, b"", then=ask)


    def test_a_half_open_head(self):
        self.assert_each(8000, 1000, b"GET / HTTP/1.1\r\nHost: t")

    def test_a_long_half_open_head(self):
        self.assert_each(14000, 1000, b"GET / HTTP/1.1\r\n" + (
            b"A: " + b"x" * 4000 + b"\r\n") * 2)

    def test_content_under_way(self):
        self.assert_each(24000, 500, b"POST /products/1 HTTP/1.1\r\n"
                         b"Host: t\r\nContent-Length: 4096\r\n\r\nx")

    def test_a_slow_reader_of_what_passes(self):
        self.assert_each(200_000, 100, b"GET /bytes/9000000 HTTP/1.1\r\n"
                         b"Host: t\r\n\r\n", receive_buffer=2048)


if __name__ == "__main__":
    unittest.main()
