# ctest: timeout=120 serial
"""Crowds of slow clients: each is ended by its limit and counted, and good
requests go on meanwhile (test_proxy_slowhttp.py does it with thousands)."""

import time

from lib import FlowTest, Nearside, RedisServer, SampleOrigin, wait_until
from lib.scripted import conf
from lib.slow import Crowd, Good, measured

HIT = "nearside_limits_hit_total"
COUNT = 300
LIMITS = ("connections_per_ip = 0  head_timeout = 1s  send_timeout = 1s"
          "  body_min_rate = 1KB  body_min_rate_after = 1s")
ROUTES = 'route "/products/:id" { }\nroute "/bytes/300000" { }'
HITS = [f"/products/{n}" for n in range(1, 11)]
PASSES = ["/bytes/1000"]


class Crowds(FlowTest):
    """A crowd of each kind after the other, on one daemon."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.redis = cls.use_in_class(RedisServer())
        cls.origin = cls.use_in_class(SampleOrigin())
        cls.daemon = cls.use_in_class(Nearside(conf(
            cls.origin.url, ROUTES, LIMITS, cls.redis)))
        for target in HITS + ["/bytes/300000"]:
            wait_until(lambda t=target: "; hit" in
                       cls.daemon.get(t).cache_status, what="a hit")
        cls.good = cls.use_in_class(
            Good(cls.daemon.port, HITS, PASSES))

    def assert_all_ended(self, limit, first, more=b"", receive_buffer=None,
                         statuses=None):
        """While they trickle; and good requests notice nothing."""
        def attack():
            self.good.calm(1)
            marks = self.good.marks()
            with Crowd(self.daemon.port, COUNT, first, more,
                       receive_buffer) as crowd:
                self.wait_all_ended(crowd, limit)
                if statuses is not None:
                    self.assertEqual(crowd.statuses(), statuses)
            self.good.check(marks, floor=0.025)

        measured(attack, 3)

    def wait_all_ended(self, crowd, limit):
        before = self.daemon.metric(HIT, limit=limit)
        end = time.monotonic() + 10
        while self.daemon.metric(HIT, limit=limit) < before + COUNT:
            self.assertLess(time.monotonic(), end, "they are not ended")
            crowd.tick()
            time.sleep(0.1)  # the pace of the crowd
        self.assertEqual(self.daemon.metric(HIT, limit=limit), before + COUNT)

    def test_slow_heads(self):
        self.assert_all_ended(
            "head_timeout", b"GET /x HTTP/1.1\r\nHost: test", b"\r\nX-a: b",
            statuses=[408] * COUNT)

    def test_slow_bodies(self):
        self.assert_all_ended(
            "body_min_rate", b"POST /x HTTP/1.1\r\nHost: test\r\n"
            b"Content-Length: 4096\r\n\r\n", b"x", statuses=[408] * COUNT)

    def test_slow_readers(self):
        self.assert_all_ended(
            "send_timeout", b"GET /bytes/300000 HTTP/1.1\r\nHost: test"
            b"\r\n\r\n", receive_buffer=2048)

    def test_a_thousand_ranges_are_one_plain_answer(self):
        """Row 93; and more than a field may be long are 431."""
        def attack():
            self.good.calm(1)
            marks = self.good.marks()
            for ranges, status in ((1000, 200), (2000, 431)):
                asked = "bytes=0-" + "".join(f",5-{n}" for n in range(ranges))
                head = (f"GET /products/1 HTTP/1.1\r\nHost: test\r\n"
                        f"Range: {asked}\r\n\r\n")
                with Crowd(self.daemon.port, COUNT, head.encode()) as crowd:
                    self.assertEqual(crowd.statuses(), [status] * COUNT)
            self.good.check(marks, floor=0.025)

        before = self.daemon.metric(HIT, limit="field_max")
        measured(attack, 3)
        counted = self.daemon.metric(HIT, limit="field_max") - before
        self.assertGreaterEqual(counted, COUNT)
        self.assertEqual(counted % COUNT, 0)


if __name__ == "__main__":
    import unittest
    unittest.main()
