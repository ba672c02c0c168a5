# ctest: timeout=110
"""How Redis is found: seeds, names, and what servers say of each other."""

import time
import unittest

from lib import (FlowTest, Names, Nearside, RedisServer, SampleOrigin,
                 wait_until)

CONF = """
listen = { "127.0.0.1:0" }
metrics = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
drain_delay = 0
redis { %(redis)s }
origin api { servers = { "%(origin)s" } }
route "/products/:id" { ttl = 10m }
"""


class OnAMap(FlowTest):
    def setUp(self):
        self.origin = self.use(SampleOrigin())

    def daemon(self, redis, origin=None, **more):
        return self.use(Nearside(CONF % {
            "redis": redis, "origin": origin or self.origin.url}, **more))

    def ask(self, daemon, n=42):
        answer = daemon.get(f"/products/{n}")
        self.assertEqual(answer.status, 200, answer)
        return answer

    def is_hit(self, daemon, n=42):
        return "; hit" in self.ask(daemon, n).cache_status

    def wait_hit(self, daemon, n=42, timeout=10):
        wait_until(lambda: self.is_hit(daemon, n), timeout, "a hit")


class NamesThatHang(OnAMap):
    def names(self, hosts):
        names = self.use(Names(hosts))
        if not names.available():
            self.skipTest("needs a mount namespace and port 53")
        return names

    def test_a_seed_that_no_name_server_answers_is_left_out(self):
        names = self.names({"good.test": "127.0.0.1", "api.test": "127.0.0.1"})
        redis = self.use(RedisServer())
        began = time.monotonic()
        a = self.daemon(
            'seeds = { "gone-1.test:7000", "gone-2.test:7000",'
            f' "good.test:{redis.port}" }}',
            f"http://api.test:{self.origin.port}", wrap=names.wrap)
        self.assertLess(self.ask(a).seconds, 2)
        self.wait_hit(a, timeout=5)
        self.assertLess(time.monotonic() - began, 5)
        # A refresh does not wait for them either: it fails nobody.
        self.assertEqual(
            a.metric("nearside_redis_refresh_failures_total"), 0)

    def test_redis_is_found_behind_more_seeds_than_are_asked_at_once(self):
        names = self.names({"good.test": "127.0.0.1"})
        redis = self.use(RedisServer())
        gone = ", ".join(f'"gone-{n}.test:7000"' for n in range(6))
        a = self.daemon(f'seeds = {{ {gone}, "good.test:{redis.port}" }}',
                        wrap=names.wrap)
        self.wait_hit(a, timeout=15)

    def test_a_name_server_that_is_lost_costs_no_hit(self):
        names = self.names({"good.test": "127.0.0.1", "api.test": "127.0.0.1"})
        redis = self.use(RedisServer())
        a = self.daemon(
            f'seeds = {{ "good.test:{redis.port}" }}  refresh_interval = 1s',
            f"http://api.test:{self.origin.port}", wrap=names.wrap)
        self.wait_hit(a)
        names.are({})
        for n in range(1, 4):
            redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            self.wait_hit(a, n, timeout=5)
        self.wait_hit(a)


if __name__ == "__main__":
    unittest.main()
