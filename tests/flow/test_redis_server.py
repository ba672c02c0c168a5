# ctest: jobs=4 cost=12
"""One real Redis: trust, passwords, memory, and being away."""

import json
import os
import re
import threading
import time
import unittest

from lib import (FlowTest, Nearside, RedisServer, SampleOrigin, free_port,
                 pattern, wait_until)
from lib.load import Load, ask_at_once
from lib.process import temp_dir
from lib.products import conf_for, judge_product, key_of, product
from lib.relay import Link, SlowLink
from lib.scripted import together

CONF = conf_for(
    'mode = standalone  seeds = { "127.0.0.1:%(port)s" } %(more)s',
    'error_log { level = debug }\nroute "/bytes/:count" { ttl = 10m }')

SECRET = "s3cret-Passw0rd-never-told"


def acl_line_of_readme():
    """README's ACL line, as it is pasted into redis-cli."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    with open(os.path.join(root, "README.md"), encoding="utf-8") as f:
        return re.search(r"^    (ACL SETUSER .*)\n\n", f.read(), re.M)[1]


def acl_of_readme():
    """The rules behind the password in that line."""
    return acl_line_of_readme().partition(" >secret ")[2]


# For tests that are about something else than deadlines.
PATIENT = "command_timeout = 2s  hang = 5s"


class OnAServer(FlowTest):
    options = None
    patience = PATIENT

    def setUp(self):
        self.redis = self.use(RedisServer(self.options))
        self.origin = self.use(SampleOrigin())

    def tearDown(self):
        with self.redis.connect() as redis:
            for key in redis("KEYS", "ns:*"):
                if redis("TYPE", key) == "string":  # a list is the test's own
                    self.assertNotEqual(redis("PTTL", key), -1, key)

    def daemon(self, more="", port=None):
        if "command_timeout" not in more:
            more = f"{self.patience} {more}"
        return self.use(Nearside(CONF % {
            "port": port or self.redis.port, "origin": self.origin.url,
            "more": more}))

    def assert_right(self, daemon, n=42):
        answer = daemon.get(f"/products/{n}")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body, product(n))
        return answer

    def is_hit(self, daemon, n=42):
        return "; hit" in self.assert_right(daemon, n).cache_status

    def wait_hit(self, daemon, n=42):
        wait_until(lambda: self.is_hit(daemon, n), what="a hit")


class Trust(OnAServer):
    """What stands in Redis is verified, whoever wrote it."""

    def store(self, daemon):
        self.wait_hit(daemon)
        return self.redis("GET", key_of("/products/42"))

    def test_no_flipped_or_missing_byte_is_ever_answered(self):
        a = self.daemon()
        value = self.store(a)
        broken = [value[:i] + bytes([value[i] ^ 1 << i % 8]) + value[i + 1:]
                  for i in range(len(value))]
        broken += [value[:size] for size in range(len(value))]
        broken += [value + b"x", value * 2, b"\0", b"hello"]
        with a.connect() as client, self.redis.connect() as redis:
            for bad in broken:
                redis("SET", key_of("/products/42"), bad, "PX", 600000)
                client.request("GET", "/products/42")
                answer = client.read_response()
                self.assertEqual(answer.status, 200)
                self.assertEqual(answer.body, product(42))
                self.assertNotIn("; hit", answer.cache_status)
                # The store follows the answer, and would undo the next SET.
                wait_until(
                    lambda: redis("GET", key_of("/products/42")) != bad,
                    what="a good value in its place", every=0.001)
        self.assertGreaterEqual(
            a.metric("nearside_values_bad_total"), len(broken))
        self.wait_hit(a)

    def test_the_value_of_another_key_is_a_miss(self):
        a = self.daemon()
        value = self.store(a)
        self.redis("SET", key_of("/products/43"), value, "PX", 600000)
        answer = a.get("/products/43")
        self.assertEqual(answer.body, product(43))
        self.assertNotIn("; hit", answer.cache_status)
        self.assertGreaterEqual(a.metric("nearside_values_bad_total"), 1)

    def test_a_list_under_our_key_is_a_miss(self):
        self.redis("LPUSH", key_of("/products/42"), "foreign")
        a = self.daemon()
        for _ in range(3):
            self.assertFalse(self.is_hit(a))
        # It names no error of its own: WRONGTYPE is somebody else's doing.
        self.assertGreaterEqual(a.metric(
            "nearside_redis_error_replies_total", cause="other"), 3)

    def test_a_value_of_megabytes_comes_back_byte_by_byte(self):
        a = self.daemon()
        for size in (16 * 1024 - 1, 65537, 1 << 20, 5_000_000):
            target = f"/bytes/{size}"
            stores = a.metric("nearside_stores_total")
            self.assertEqual(a.get(target).body, pattern(size))
            a.wait_metric("nearside_stores_total", stores + 1)
            answer = a.get(target)
            self.assertIn("; hit", answer.cache_status)
            self.assertEqual(answer.body, pattern(size))

    def test_scripts_flushed_from_redis_are_sent_again(self):
        a = self.daemon()
        self.store(a)
        self.redis("SCRIPT", "FLUSH")
        self.assert_right(a, 43)
        a.wait_metric("nearside_stores_total", 2)
        self.assertTrue(self.is_hit(a, 43))

    def test_connections_carry_our_name(self):
        a = self.daemon('client_name = "shop-cache"')
        self.assert_right(a)
        self.assertIn(b"name=shop-cache", self.redis("CLIENT", "LIST"))

    def test_a_single_server_taken_for_a_cluster_is_used_all_the_same(self):
        conf = CONF % {"port": self.redis.port, "origin": self.origin.url,
                       "more": ""}
        a = self.use(Nearside(conf.replace("standalone", "cluster")))
        self.wait_hit(a)
        self.assertEqual(a.status()["redis"]["slots_known"], 16384)


class Failover(OnAServer):
    """One server behind an address that leads to its replica from now on; the
    demoted one still answers who is connected."""

    def test_whoever_the_address_leads_to_is_used(self):
        heir = self.use(RedisServer())
        link = self.use(Link(self.redis.port))
        heir("REPLICAOF", "127.0.0.1", str(self.redis.port))
        wait_until(lambda: heir.info("replication").get("master_link_status")
                   == "up", what="a replica")
        conf = (CONF % {"port": link.port, "origin": self.origin.url,
                        "more": PATIENT}).replace("size = 0", "size = 16MB")
        a = self.use(Nearside(conf))
        wait_until(lambda: self.assert_right(a).cache_status.endswith(
            "detail=memory"), what="a hit in memory")
        link.to_port = heir.port
        heir("REPLICAOF", "NO", "ONE")
        self.redis("REPLICAOF", "127.0.0.1", str(heir.port))
        a.wait_log("redis_writes_refused")
        wait_until(lambda: self.assert_right(a).cache_status.endswith(
            "detail=memory"), what="a hit in memory, of the heir")
        self.assertIn(b"cmd=ping", heir("CLIENT", "LIST", "TYPE", "pubsub"))


class Passwords(FlowTest):
    def setUp(self):
        self.dir = temp_dir("acl")
        self.acl = os.path.join(self.dir, "users.acl")
        self.origin = self.use(SampleOrigin())

    def server(self, rule):
        with open(self.acl, "w") as f:
            f.write("user default on nopass ~* &* +@all\n")
            f.write(f"user shop on >{SECRET} {rule}\n")
        return self.use(RedisServer({"aclfile": self.acl}))

    def daemon(self, redis, password, port=None, more=""):
        path = os.path.join(self.dir, "password")
        with open(path, "w") as f:
            f.write(password + "\n")
        os.chmod(path, 0o600)
        if "command_timeout" not in more:
            more = f"{PATIENT} {more}"
        return self.use(Nearside(CONF % {
            "port": port or redis.port, "origin": self.origin.url,
            "more": f'user = "shop" password_file = "{path}" {more}'}))

    def ask(self, daemon):
        answer = daemon.get("/products/42")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body, product(42))
        return answer.cache_status

    def test_the_right_password_opens_and_is_never_told(self):
        redis = self.server("~ns:* +@all")
        a = self.daemon(redis, SECRET)
        self.ask(a)
        wait_until(lambda: "; hit" in self.ask(a), what="a hit")
        self.assertIn(b"user=shop", redis("CLIENT", "LIST"))
        self.assertNotIn(SECRET, json.dumps(a.status()))
        self.assertNotIn(SECRET, a.whole_log())

    def test_a_wrong_password_costs_hits_only_until_it_is_right(self):
        redis = self.server("~ns:* +@all")
        wrong = "wrong-Passw0rd-never-told"
        a = self.daemon(redis, wrong)
        for _ in range(10):
            self.assertNotIn("; hit", self.ask(a))
        a.wait_log("WRONGPASS")
        # Its values could not be relied on if there were any.
        self.assertGreater(
            a.metric("nearside_redis_failures_total", cause="doubt"), 0)
        self.assertFalse(a.status()["redis"]["up"])
        self.assertIn("WRONGPASS", a.status()["redis"]["nodes"][0]["refusal"])
        redis("ACL", "SETUSER", "shop", ">" + wrong)
        wait_until(lambda: "; hit" in self.ask(a), what="a hit")
        self.assertNotIn(wrong, a.whole_log())

    def test_a_user_who_is_removed_and_made_again_is_let_in_again(self):
        redis = self.server("~ns:* +@all")
        a = self.daemon(redis, SECRET)
        wait_until(lambda: "; hit" in self.ask(a), what="a hit")
        redis("ACL", "DELUSER", "shop")
        for _ in range(10):
            self.assertNotIn("; hit", self.ask(a))
        redis("ACL", "SETUSER", "shop", "on", ">" + SECRET, "~ns:*", "+@all")
        wait_until(lambda: "; hit" in self.ask(a), what="a hit")
        self.assertNotIn(SECRET, a.whole_log())

    def test_the_acl_of_the_readme_is_enough(self):
        redis = self.server(acl_of_readme())
        a = self.daemon(redis, SECRET)
        self.ask(a)
        wait_until(lambda: "; hit" in self.ask(a), what="a hit")
        put = a.get("/products/42", method="PUT",
                    body=b'{"name":"Product 42","price":100}')
        self.assertEqual(put.status, 200)
        self.assertNotIn("; hit", self.ask(a))
        self.assertEqual(a.metric("nearside_redis_error_replies_total"),
                         a.metric("nearside_redis_error_replies_total",
                                  cause="noscript"))
        self.assertEqual(a.warnings(), [])

    def assert_nobody_waits(self, daemon):
        def ask():
            answer = daemon.get("/products/42")
            self.assertEqual(answer.body, product(42))
            self.assertEqual(answer.cache_status, "nearside; fwd=uri-miss")
            return answer

        def are_quick():
            answers = ask_at_once([daemon.port], "/products/43", 20)
            self.assertEqual({a.body for a in answers}, {product(43)})
            return all(a.seconds < 1 for a in answers)

        for _ in range(3):
            self.assert_quick(ask, 0.5)
        wait_until(are_quick, what="all are quick")

    def test_who_may_run_no_script_waits_for_nobody(self):
        redis = self.server("~ns:* +@all -eval -evalsha")
        a = self.daemon(redis, SECRET)
        self.ask(a)
        a.wait_log("redis_no_scripts.*evalsha")
        self.assert_nobody_waits(a)
        # Nor do others wait for what it could not store.
        others = []

        def ask_another():
            others.append(self.daemon(redis, SECRET))
            return others[-1].get("/products/42")

        self.assert_quick(ask_another, 0.5)
        for b in others:
            b.wait_log("redis_no_scripts")  # or it might store below
        a.wait_logged("redis_no_scripts")
        redis("ACL", "SETUSER", "shop", "+eval", "+evalsha")
        wait_until(lambda: "; hit" in self.ask(a), what="a hit")
        a.wait_log("redis_scripts_again")
        self.assertNotIn("redis_denied", a.whole_log())

    def test_nor_does_anybody_where_they_are_renamed(self):
        conf = os.path.join(self.dir, "renamed.conf")
        with open(conf, "w") as f:
            f.write('rename-command EVAL ""\nrename-command EVALSHA ""\n')
        redis = self.use(RedisServer({"include": conf}))
        a = self.use(Nearside(CONF % {
            "port": redis.port, "origin": self.origin.url, "more": ""}))
        self.ask(a)
        a.wait_log("redis_no_scripts.*unknown command")
        self.assert_nobody_waits(a)

    def test_a_user_who_may_only_get_is_served_as_well(self):
        redis = self.server(acl_of_readme().replace(" +getrange", ""))
        a = self.daemon(redis, SECRET)
        self.ask(a)
        wait_until(lambda: "; hit" in self.ask(a), what="a hit")
        for size in (100, 300000):
            target = f"/bytes/{size}"
            wait_until(lambda target=target: "; hit" in a.get(
                target).cache_status, what="a hit")
            self.assertEqual(a.get(target).body, pattern(size))

    def test_a_user_who_may_not_ask_the_time_is_told_and_served(self):
        redis = self.server(acl_of_readme().replace(" +time", ""))
        a = self.daemon(redis, SECRET)
        self.ask(a)
        wait_until(lambda: "; hit" in self.ask(a), what="a hit")
        a.wait_logged("warn redis_time_refused")

    def test_what_comes_slowly_to_one_who_may_only_get_is_a_hit_too(self):
        redis = self.server(acl_of_readme().replace(" +getrange", ""))
        a = self.daemon(redis, SECRET)
        wait_until(lambda: "; hit" in a.get("/bytes/60000").cache_status,
                   what="a hit")
        link = self.use(SlowLink(redis.port, 40000))
        b = self.daemon(redis, SECRET, link.port,
                        "command_timeout = 10s  hang = 20s")

        def is_a_slow_hit():
            answer = b.get("/bytes/60000")
            return "; hit" in answer.cache_status and answer.seconds > 1

        # A busy machine's probes may be late, or their answers on that link.
        wait_until(is_a_slow_hit, what="a slow hit")
        b.wait_logged("redis_no_getrange")

    def test_a_user_who_may_not_info_is_served_as_well(self):
        redis = self.server("~ns:* +@all -info")
        redis("CONFIG", "SET", "maxmemory", "64mb")
        a = self.daemon(redis, SECRET)
        self.ask(a)
        wait_until(lambda: "; hit" in self.ask(a), what="a hit")
        # Without INFO a restart cannot be noticed, which is said once.
        a.wait_log("warn redis_info_refused")
        self.assertEqual(a.warnings(), ["redis_info_refused"])


class Memory(OnAServer):
    options = {"maxmemory": "64mb", "maxmemory-policy": "noeviction"}

    def test_a_server_that_never_evicts_is_warned_of_once(self):
        a = self.daemon()
        a.wait_log("redis_never_evicts.*noeviction")
        self.assert_right(a)
        self.assertEqual(a.whole_log().count("redis_never_evicts"), 1)

    def test_one_that_evicts_is_not(self):
        self.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        a = self.daemon()
        self.wait_hit(a)
        wait_until(lambda: self.redis.info("commandstats").get(
            "cmdstat_info"), what="the daemon has asked")
        self.assertNotIn("redis_never_evicts", a.whole_log())

    def test_a_full_server_still_answers_hits(self):
        a = self.daemon()
        self.wait_hit(a)
        self.redis("CONFIG", "SET", "maxmemory", 1)
        for n in range(43, 53):
            self.assertFalse(self.is_hit(a, n))
            self.assertFalse(self.is_hit(a, n))
        self.assertTrue(self.is_hit(a))
        self.assertGreater(a.metric(
            "nearside_redis_error_replies_total", cause="oom"), 0)
        self.redis("CONFIG", "SET", "maxmemory", 0)
        self.wait_hit(a, 43)


class LargeValues(OnAServer):
    """Behind a link of 20 Mbit/s, on which the largest value takes longer than
    a command may. For what is small even a busy machine has time enough."""

    def setUp(self):
        super().setUp()
        self.link = self.use(SlowLink(self.redis.port, 2500000))
        self.daemon_on_link = self.daemon(port=self.link.port)
        self.daemon_beside = self.daemon()

    def get_large(self, size, daemon=None):
        answer = (daemon or self.daemon_on_link).get(f"/bytes/{size}")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body, pattern(size))
        return answer

    def store_large(self, size, daemon=None):
        """By the daemon beside, which needs no link, or by another."""
        self.assertIn("; stored", self.get_large(
            size, daemon or self.daemon_beside).cache_status)
        key = key_of(f"/bytes/{size}")
        wait_until(lambda: self.redis("EXISTS", key) == 1,
                   what=f"{size} bytes are stored")
        return key

    def assert_breaker_is_closed(self):
        self.assertEqual(self.daemon_on_link.metric(
            "nearside_redis_breaker_opens_total"), 0)

    def test_they_are_hits_and_those_of_small_keys_stay_hits(self):
        size = 6000000
        small = [f"/products/{n}" for n in range(1, 21)]
        self.store_large(size)
        with Load([self.daemon_on_link.port], small, 5, think=0.02,
                  judge=judge_product) as load:
            load.wait_hits(small)

            def are_hits():
                """A machine may stand still meanwhile. Behind the large one
                each of the five would wait once."""
                mark = load.mark()
                got = self.get_large(size)
                small_hits = sum(a.is_hit for a in load.since(mark))
                return "; hit" in got.cache_status and small_hits > 10

            wait_until(are_hits, what="a large hit and small ones meanwhile")
        load.check()
        self.assert_breaker_is_closed()

    def test_of_many_at_once_each_is_answered_and_the_breaker_stays(self):
        sizes = (2000000, 2000001, 2000002) * 2
        for size in sizes[:3]:
            self.store_large(size)
        wait_until(lambda: all(
            "; hit" in answer.cache_status for answer in
            together(6, lambda i: self.get_large(sizes[i]))), what="six hits")
        self.assert_breaker_is_closed()
        self.wait_hit(self.daemon_on_link)

    def gets(self):
        """How often a value has been asked for whole."""
        line = self.redis.info("commandstats").get("cmdstat_get", "calls=0")
        return int(re.match(r"calls=(\d+)", line)[1])

    def test_what_is_deleted_while_it_is_sent_is_not_used(self):
        size = 3000000
        link = self.use(SlowLink(self.redis.port, 20000000))
        self.addCleanup(link.go_on)
        key = self.store_large(size)
        self.daemon_on_link = self.daemon(port=link.port)
        wait_until(lambda: "; hit" in self.get_large(size).cache_status,
                   what="a hit")
        gets = self.gets()
        answers = []
        link.stop_after(size // 2)
        reader = threading.Thread(
            target=lambda: answers.append(self.get_large(size)))
        reader.start()
        wait_until(lambda: self.gets() > gets,
                   what="Redis has been asked for it")
        self.assertEqual(self.redis("DEL", key), 1)
        time.sleep(1.1)  # what comes within a second is not looked at again
        link.go_on()
        reader.join(60)
        self.assertNotIn("; hit", answers[0].cache_status)

    def test_one_that_takes_longer_to_store_than_a_lease_lasts_is_stored(self):
        size = 3000000
        self.store_large(1000)  # the server knows the script from now on
        link = self.use(SlowLink(self.redis.port, 700000))
        daemon = self.daemon(port=link.port)
        began = time.monotonic()
        self.store_large(size, daemon)
        self.assertGreater(time.monotonic() - began, 3.5)
        self.assertEqual(self.redis("KEYS", "ns:l:*"), [])

    def test_one_that_comes_too_slowly_is_a_miss_in_the_end(self):
        """Bytes come all the time, and nobody waits for all of them."""
        size = 4000000
        self.store_large(size)
        link = self.use(SlowLink(self.redis.port, 400000))
        self.daemon_on_link = self.daemon(
            "command_timeout = 500ms } limits { flight_wait = 1s", link.port)

        def is_waited_for():
            began = time.monotonic()
            self.assertNotIn("; hit", self.get_large(size).cache_status)
            return time.monotonic() - began > 0.9

        for _ in range(2):
            # A machine may be too busy for the first bytes to be in time.
            wait_until(is_waited_for, what="it is waited for")

    def test_what_took_the_place_of_one_is_found(self):
        key = self.store_large(500000)
        self.assertIn("; hit", self.get_large(500000).cache_status)
        value = self.redis("GET", key)
        broken = value[:250000] + bytes([value[250000] ^ 1]) + value[250001:]
        self.redis("SET", key, broken, "PX", 600000)
        self.assertNotIn("; hit", self.get_large(500000).cache_status)
        self.assertGreater(
            self.daemon_on_link.metric("nearside_values_bad_total"), 0)
        wait_until(lambda: self.redis("GET", key) != broken,
                   what="a good value in its place")
        self.redis("SET", key, b"short", "PX", 600000)
        self.assertNotIn("; hit", self.get_large(500000).cache_status)
        wait_until(lambda: "; hit" in self.get_large(500000).cache_status,
                   what="a hit")


class ShortValues(OnAServer):
    options = {"proto-max-bulk-len": "1mb"}

    def test_a_value_that_the_server_refuses_costs_few_connections(self):
        a = self.daemon()
        self.wait_hit(a)
        large = "/bytes/2000000"
        # Its words may be lost; then it is believed when it closes again.
        def is_told():
            self.assertEqual(a.get(large).body, pattern(2000000))
            return "redis_value_refused" in a.log()

        wait_until(is_told, what="the warning", every=0.1)
        self.assertLessEqual(a.metric("nearside_stores_failed_total"), 2)
        self.wait_hit(a)
        lost = a.metric("nearside_redis_disconnects_total")
        answers = []
        for _ in range(4):
            answers.append(a.get(large))
            self.assertEqual(answers[-1].body, pattern(2000000))
            self.assertNotIn("; stored", answers[-1].cache_status)
            self.assertTrue(self.is_hit(a))
        self.assert_none_waits(answers, 1)
        self.assertEqual(a.metric("nearside_redis_disconnects_total"), lost)
        answer = a.get("/bytes/900000")
        self.assertIn("; stored", answer.cache_status)
        wait_until(lambda: "; hit" in a.get("/bytes/900000").cache_status,
                   what="a hit of what it takes")


class Away(OnAServer):
    patience = ""

    def assert_five_misses(self, daemon):
        answers = [self.assert_right(daemon) for _ in range(5)]
        for answer in answers:
            self.assertNotIn("; hit", answer.cache_status)
        self.assert_none_waits(answers, 1)

    def test_redis_that_starts_later_is_found(self):
        port = free_port()
        a = self.daemon(port=port)
        self.assert_five_misses(a)
        self.assertFalse(a.status()["redis"]["up"])
        self.use(RedisServer(port=port))
        self.wait_hit(a)
        self.assertTrue(a.status()["redis"]["up"])

    def test_a_restart_of_redis_is_noticed_by_nobody(self):
        a = self.daemon()
        self.wait_hit(a)
        self.redis.kill()
        self.assert_none_waits([self.assert_right(a) for _ in range(5)], 1)
        self.redis.start()
        self.wait_hit(a)

    def test_idle_connections_that_redis_closes_are_opened_anew(self):
        a = self.daemon()
        self.wait_hit(a)
        with self.redis.connect() as redis:
            for _ in range(10):
                redis("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                wait_until(lambda: a.metric("nearside_redis_connections") == 0
                           or self.is_hit(a), what="a hit or no connection")
                self.wait_hit(a)

    def test_a_slow_redis_costs_its_deadline_and_no_more(self):
        a = self.daemon()
        self.wait_hit(a)
        self.redis.pause()
        self.assert_none_waits(
            [self.assert_right(a, n) for n in range(1, 21)], 1)
        self.redis.resume()
        self.assertGreater(a.metric(
            "nearside_redis_failures_total", cause="timeout"), 0)
        self.wait_hit(a)

    def test_too_much_in_flight_goes_on_without_redis(self):
        a = self.daemon("in_flight_max = 8  command_timeout = 2s  hang = 5s")
        self.wait_hit(a)
        targets = [f"/products/{n}" for n in range(1, 100)]
        with Load([a.port], targets, 100, think=0.01,
                  judge=judge_product) as load:
            load.wait_hits(targets)

            def is_limit_hit():
                self.redis.pause()
                load.wait_more(100)
                self.redis.resume()
                return a.metric("nearside_redis_failures_total",
                                cause="limit") > 0

            wait_until(is_limit_hit, what="the limit is hit")
            load.wait_hits(targets)
        load.check()

    def test_a_redis_that_flaps_leaks_nothing(self):
        a = self.daemon()
        targets = [f"/products/{n}" for n in range(1, 21)]
        with Load([a.port], targets, 50, judge=judge_product) as load:
            load.wait_hits(targets)
            fds, memory = self.fds(a), a.process.memory_kb("VmRSS")
            for _ in range(6):
                self.redis.kill()
                load.wait_more(50)
                self.redis.start()
                load.wait_more(50)
            load.wait_hits(targets)
            self.assertLess(self.fds(a), fds + 12)
            if not os.environ.get("NEARSIDE_SANITIZE"):
                self.assertLess(a.process.memory_kb("VmRSS") - memory, 4096)
        load.check()

    @staticmethod
    def fds(daemon):
        """Without those to the origin: how many are idle there depends on
        how many asked it at once."""
        return (len(os.listdir(f"/proc/{daemon.pid}/fd"))
                - daemon.metric("nearside_origin_connections"))

    def test_a_server_full_of_clients_is_survived(self):
        holder = self.redis.connect()
        self.addCleanup(holder.close)
        holder("CONFIG", "SET", "maxclients", 1)
        a = self.daemon()
        self.assert_five_misses(a)
        a.wait_log("max number of clients")
        holder("CONFIG", "SET", "maxclients", 100)
        self.wait_hit(a)


if __name__ == "__main__":
    unittest.main()
