"""Floods: what many cheap requests cost us, Redis and the disk."""

import re
import time

from lib import (FlowTest, Nearside, RedisServer, ScriptedOrigin, free_port,
                 wait_until)
from lib.scripted import answer, conf, together

HIT = "nearside_limits_hit_total"
NEW_MAX = 20


def calls(redis, command):
    """How often a command was called so far."""
    line = redis.info("commandstats").get("cmdstat_" + command, "")
    match = re.match(r"calls=(\d+)", line)
    return int(match[1]) if match else 0


class DistinctKeys(FlowTest):
    """Random query strings: Redis is spared what is asked for once."""

    def setUp(self):
        self.redis = self.use(RedisServer())
        self.origin = self.use(ScriptedOrigin(
            lambda c, r, n: answer(c, r.target.encode())))

    def start(self, new_max=NEW_MAX):
        self.daemon = self.use(Nearside(conf(
            self.origin.url, 'route "/p/:id" { }',
            f"new_keys_max = {new_max}", self.redis)))

    def flood(self, name, count, clients=4):
        """Asks for count keys once each, on a few connections; returns the
        answers and how many seconds of the daemon's clock they touched."""
        start = time.monotonic()

        def client(i):
            got = []
            with self.daemon.connect() as connection:
                for n in range(i, count, clients):
                    connection.request("GET", f"/p/1?{name}={n}")
                    got.append(connection.read_response())
            return got

        answers = sum(together(clients, client), [])
        for got in answers:
            self.assertEqual(got.status, 200)
        return answers, int(time.monotonic() - start) + 2

    def count_stored(self, answers):
        return sum("; stored" in got.cache_status for got in answers)

    def test_a_flood_of_keys_used_once_costs_redis_a_bounded_number(self):
        self.start()
        answers, seconds = self.flood("x", 600)
        stored = self.count_stored(answers)
        self.assertGreaterEqual(stored, NEW_MAX)
        self.assertLessEqual(stored, NEW_MAX * seconds)
        self.daemon.wait_metric("nearside_stores_total", stored)
        self.assertEqual(self.redis("DBSIZE"), stored)
        self.assertEqual(self.daemon.metric(HIT, limit="new_keys_max"),
                         600 - stored)
        # Not even a lease was asked for on behalf of the others. Probes write
        # twice a second.
        self.assertLessEqual(calls(self.redis, "set"),
                             2 * stored + 2 * seconds)

    def test_what_is_asked_for_twice_is_stored_in_a_flood_too(self):
        self.start(1)
        self.flood("first", 50)  # the limit of this second is used up
        for turn in range(3):
            said = []
            for _ in range(3):
                said.append(self.daemon.get(f"/p/{turn}").cache_status)
                self.flood(f"turn{turn}", 50)
            with self.subTest(turn=turn, said=said):
                self.assertIn("; hit", said[2])
                self.assertIn("; stored", said[0] + said[1])

    def test_without_a_flood_the_first_answer_is_stored(self):
        self.start()
        for n in range(NEW_MAX):
            got = self.daemon.get(f"/p/{n}")
            self.assertIn("; stored", got.cache_status)
        self.assertEqual(self.daemon.metric(HIT, limit="new_keys_max"), 0)

    def test_0_is_no_limit(self):
        self.start(0)
        answers, _ = self.flood("x", 300)
        self.assertEqual(self.count_stored(answers), 300)


class Logs(FlowTest):
    def count_lines(self):
        """origin_error events written, and those only counted."""
        log = self.daemon.log()
        return (len(re.findall(r"warn origin_error origin=", log)),
                sum(map(int, re.findall(
                    r"warn origin_error suppressed=(\d+)", log))))

    def test_what_fails_often_is_logged_rate_max_times_a_second(self):
        """The origin is down, and a thousand requests hear of it."""
        self.daemon = daemon = self.use(Nearside(conf(
            f"http://127.0.0.1:{free_port()}",
            more="error_log { level = debug  rate_max = 5 }")))
        start = time.monotonic()

        def client(i):
            del i
            with daemon.connect() as connection:
                for _ in range(250):
                    connection.request("GET", "/x")
                    self.assertEqual(connection.read_response().status, 502)

        together(4, client)
        seconds = int(time.monotonic() - start) + 2
        wait_until(lambda: sum(self.count_lines()) == 1000,
                   what="each event is written or counted")
        written, _ = self.count_lines()
        self.assertGreaterEqual(written, 5)
        self.assertLessEqual(written, 5 * seconds)
