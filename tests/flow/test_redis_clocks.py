# ctest: cost=18
"""Clocks that differ, and clocks that are set: instances agree all the same on
how old an entry is."""

import time
from email.utils import formatdate, parsedate_to_datetime

from lib import FlowTest, Nearside, RedisCluster, ScriptedOrigin, wait_until
from lib.clock import Clock
from lib.scripted import answer

# An answer may be late by this, and a look at the time beside it.
LATE_S = 0.2


CONF = """
listen = { "127.0.0.1:0" }
metrics = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
drain_delay = 0ms
redis { seeds = { "%s" }  command_timeout = 2s  hang = 4s }
memory { size = 0 }
origin api { servers = { "%s" } }
route "/*" { grace = 0s }
"""


class Clocks(FlowTest):
    """Three instances: one with the machine's clock, which is Redis's too, one
    30 s behind, one an hour ahead."""

    AHEAD = (0, -30, 3600)
    LIFETIME_S = 2

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.redis = cls.use_in_class(RedisCluster(3, 0))
        cls.origin = cls.use_in_class(ScriptedOrigin(cls.respond))
        cls.clocks = [cls.use_in_class(Clock(s)) for s in cls.AHEAD]
        cls.daemons = [cls.use_in_class(Nearside(
            CONF % (cls.redis.nodes[0].address, cls.origin.url),
            env=clock.env)) for clock in cls.clocks]
        for daemon, ahead in zip(cls.daemons, cls.AHEAD):
            wait_until(lambda d=daemon: cls.is_told(d), what="TIME is asked")
            cls.check_status(daemon, ahead)
        for daemon in cls.daemons[1:]:
            daemon.wait_log("clock_differs")
        assert "clock_differs" not in cls.daemons[0].log()

    @staticmethod
    def is_told(daemon):
        return daemon.status()["redis"]["clock"]["shared"]

    @staticmethod
    def check_status(daemon, ahead):
        got = daemon.status()["redis"]["clock"]["ahead_ms"]
        assert abs(got - ahead * 1000) < 500, (got, ahead)

    @classmethod
    def respond(cls, connection, request, n):
        """Which answer it is, with the origin's own date."""
        del n
        return answer(connection, b"%.6f" % time.monotonic(), [
            ("Date", formatdate(usegmt=True)),
            ("Cache-Control", f"max-age={cls.LIFETIME_S}")])

    def setUp(self):
        for clock, ahead in zip(self.clocks, self.AHEAD):
            clock.set(ahead)

    def check(self, got, asked):
        """Nothing is used past its lifetime, or said to be younger than it
        is. `asked`: when the request was sent."""
        age = asked - float(got.body)
        self.assertLessEqual(age, self.LIFETIME_S + LATE_S, got)
        stated = int(got.field("age") or 0)
        self.assertGreaterEqual(stated, int(age - LATE_S), got)
        return "; hit" in got.cache_status

    def read_by_all(self, target, seconds):
        hits = [0] * len(self.daemons)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for i, daemon in enumerate(self.daemons):
                asked = time.monotonic()
                hits[i] += self.check(daemon.get(target), asked)
        return hits

    def test_nothing_is_used_past_its_lifetime_whoever_stored_it(self):
        for i, daemon in enumerate(self.daemons):
            # On a busy machine Redis may be late for one of them all the time.
            for n in range(5):
                daemon.get(f"/by/{i}/{n}")
                hits = self.read_by_all(f"/by/{i}/{n}", self.LIFETIME_S + 1)
                print("hits by instance:", hits)
                if min(hits) > 0:
                    break
            self.assertGreater(min(hits), 0)

    def test_what_is_left_is_what_redis_says(self):
        self.daemons[2].get("/ttl")
        for daemon in self.daemons:
            wait_until(lambda d=daemon: "; hit" in d.get("/ttl").cache_status,
                       what="a hit")
            said = daemon.get("/ttl").cache_status
            self.assertRegex(said, r"ttl=[012](;|$)")

    def test_a_clock_that_is_set_changes_nothing(self):
        daemon, clock = self.daemons[0], self.clocks[0]
        for step in (3600, 0, -3600, 0):
            target = f"/step/{step}/{time.monotonic()}"
            daemon.get(target)
            wait_until(lambda t=target: "; hit" in daemon.get(t).cache_status,
                       what="a hit")
            clock.set(step)
            ages = []
            end = time.monotonic() + 1
            while time.monotonic() < end:
                asked = time.monotonic()
                got = daemon.get(target)
                self.check(got, asked)
                if "; hit" in got.cache_status:
                    ages.append((float(got.body), int(got.field("age"))))
            self.assertEqual(ages, sorted(ages), "Age never goes back")

    def test_date_is_by_redis_too(self):
        for daemon in self.daemons:
            date = parsedate_to_datetime(daemon.get("/date").field("date"))
            self.assertLess(abs(date.timestamp() - time.time()), 2)

    def test_who_is_off_by_more_than_a_second_is_told_of(self):
        for daemon in self.daemons[1:]:
            daemon.wait_logged("warn clock_differs")
