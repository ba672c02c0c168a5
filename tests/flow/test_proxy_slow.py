# ctest: cost=11
"""Crowds of slow clients. While one is there, whoever is not slow is served,
and the daemon has nothing to do for it; and by the default's kind of limits
each of the crowd is ended and counted. How much longer good requests take is
measured elsewhere, on thousands of connections (test_proxy_slowhttp.py).
"""

from lib import FlowTest, Nearside, SampleOrigin, wait_until
from lib.scripted import conf
from lib.slow import Crowd

HIT = "nearside_limits_hit_total"
COUNT = 300
ROUNDS = 20
ALL = "connections_per_ip = 0  "
STRICT = ALL + ("head_timeout = 1s  send_timeout = 1s  body_min_rate = 1KB"
                "  body_min_rate_after = 1s")
# None of a crowd is ended while good requests are counted.
PATIENT = ALL + ("head_timeout = 10m  send_timeout = 10m  body_min_rate = 0"
                 "  send_min_rate = 0  body_timeout = 10m")
ROUTES = 'route "/products/:id" { }\nroute "/bytes/300000" { }'
KEPT, LARGE, PASSES = "/products/1", "/bytes/300000", "/bytes/1000"

HEADS = (b"GET /x HTTP/1.1\r\nHost: test", b"\r\nX-a: b")
BODIES = (b"POST /x HTTP/1.1\r\nHost: test\r\nContent-Length: 4096\r\n\r\n",
          b"x")
READERS = (f"GET {LARGE} HTTP/1.1\r\nHost: test\r\n\r\n".encode(), b"")


class Crowds(FlowTest):
    """A crowd of each kind after the other, on one daemon of each kind. Hits
    are from memory: a busy machine's Redis may not be in time."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.origin = cls.use_in_class(SampleOrigin())
        cls.strict, cls.patient = (
            cls.use_in_class(Nearside(conf(
                cls.origin.url, ROUTES, limits), name=name))
            for name, limits in (("strict", STRICT), ("patient", PATIENT)))
        for target in (KEPT, LARGE):
            for daemon in (cls.strict, cls.patient):
                wait_until(lambda d=daemon, t=target: "; hit" in
                           d.get(t).cache_status, what="a hit")

    # --- they are there ---------------------------------------------------

    def assert_good_ones_are_served(self, crowd):
        """Hits and passes over connections of before, and hits on new ones,
        between any two words of the crowd's, which stays."""
        daemon = self.patient
        with daemon.connect() as hits, daemon.connect() as passes:
            for _ in range(ROUNDS):
                crowd.tick()
                hits.request("GET", KEPT)
                passes.request("GET", PASSES)
                got = hits.read_response()
                self.assertEqual(got.status, 200)
                self.assertIn("; hit", got.cache_status)
                self.assertEqual(len(passes.read_response().body), 1000)
                self.assertIn("; hit", daemon.get(KEPT).cache_status)
        self.assertGreaterEqual(daemon.metric("nearside_connections"), COUNT)

    def assert_are_no_burden(self, first, more, receive_buffer=None):
        with Crowd(self.patient.port, COUNT, first, more,
                   receive_buffer) as crowd:
            self.patient.wait_metric("nearside_connections", COUNT)
            self.assert_good_ones_are_served(crowd)
            self.patient.process.assert_does_not_spin()
        wait_until(lambda: self.patient.metric("nearside_connections") == 0,
                   what="they are gone")

    # --- they are ended ---------------------------------------------------

    def assert_all_ended(self, limit, first, more, receive_buffer=None,
                         statuses=None):
        """While they trickle."""
        before = self.strict.metric(HIT, limit=limit)

        def are_ended():
            crowd.tick()
            return self.strict.metric(HIT, limit=limit) >= before + COUNT

        with Crowd(self.strict.port, COUNT, first, more,
                   receive_buffer) as crowd:
            wait_until(are_ended, 60, "they are ended", every=0.1)
            if statuses is not None:
                self.assertEqual(crowd.statuses(), statuses)
        self.assertEqual(self.strict.metric(HIT, limit=limit), before + COUNT)

    def test_slow_heads(self):
        self.assert_are_no_burden(*HEADS)
        self.assert_all_ended("head_timeout", *HEADS, statuses=[408] * COUNT)

    def test_slow_bodies(self):
        self.assert_are_no_burden(*BODIES)
        self.assert_all_ended("body_min_rate", *BODIES,
                              statuses=[408] * COUNT)

    def test_slow_readers(self):
        self.assert_are_no_burden(*READERS, receive_buffer=2048)
        self.assert_all_ended("send_timeout", *READERS, receive_buffer=2048)

    def test_a_thousand_ranges_are_one_plain_answer(self):
        """Row 93; and more than a field may be long are 431."""
        for ranges, status, refused in ((1000, 200, 0), (2000, 431, COUNT)):
            asked = "bytes=0-" + "".join(f",5-{n}" for n in range(ranges))
            head = (f"GET {KEPT} HTTP/1.1\r\nHost: test\r\n"
                    f"Range: {asked}\r\n\r\n")
            with Crowd(self.patient.port, COUNT, head.encode()) as crowd:
                self.assertEqual(crowd.statuses(), [status] * COUNT)
            self.assertEqual(
                self.patient.metric(HIT, limit="field_max"), refused)


if __name__ == "__main__":
    import unittest
    unittest.main()
