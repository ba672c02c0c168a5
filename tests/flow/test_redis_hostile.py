# ctest: jobs=4 cost=12
"""A hostile Redis: whatever it answers, clients get 200 and right bytes."""

import os
import sys
import unittest

from lib import (FlowTest, Nearside, SampleOrigin, free_port, slot_of,
                 wait_until)
from lib.clock import Clock
from lib.load import Load
from lib.products import conf_for

sys.path.insert(0, os.path.join(
    os.path.dirname(os.path.abspath(__file__)), os.pardir, "fault"))
from hostile_redis import (  # noqa: E402  pylint: disable=wrong-import-position
    SILENCE, HostileRedis, Reply, bulk)

CONF = conf_for('mode = standalone  seeds = { "%(redis)s" }')
PATIENT = conf_for('mode = standalone  seeds = { "%(redis)s" }'
                   '  command_timeout = 20m  hang = 10h')

IS_SANITIZED = bool(os.environ.get("NEARSIDE_SANITIZE"))
GROWTH_KB = 24 * 1024

READS = (b"GET", b"GETRANGE")

# What they answer; each row is a name and a reply.
GARBAGE = [
    ("random bytes", b"\x00\xff\x13garbage\r\n\r\n"),
    ("an http server", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ("an empty line", b"\r\n"),
    ("a bulk of half a gigabyte", b"$536870913\r\nxxxx"),
    ("a bulk of 2^63", b"$9223372036854775808\r\n"),
    ("a bulk of 2^64 + 5", b"$18446744073709551621\r\nhello\r\n"),
    ("a bulk of -2", b"$-2\r\n"),
    ("a bulk of +5", b"$+5\r\nhello\r\n"),
    ("a bulk of no number", b"$\r\n\r\n"),
    ("a bulk without its end", b"$5\r\nhelloXX"),
    ("a bulk that ends too late", b"$3\r\nhello\r\n"),
    ("an array of -7", b"*-7\r\n"),
    ("an array of 2^31 - 1", b"*2147483647\r\n"),
    ("arrays 100,000 deep", b"*1\r\n" * 100000),
    ("arrays of arrays", b"*9\r\n" * 9),
    ("a status without an end", b"+" + b"A" * 1000000),
    ("an integer without an end", b":" + b"1" * 100000),
    ("an integer that is none", b":12x\r\n"),
    ("a RESP3 null", b"_\r\n"),
    ("a RESP3 map", b"%1\r\n+a\r\n+b\r\n"),
    ("a RESP3 push", b">2\r\n+invalidate\r\n*0\r\n"),
    ("an integer for a value", b":1\r\n"),
    ("a status for a value", b"+OK\r\n"),
    ("an array for a value", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
    ("an empty value", b"$0\r\n\r\n"),
    ("a value of 1 MB that is none", bulk(b"x" * 1000000)),
    ("replies that nobody asked for", b"$-1\r\n" + b"+OK\r\n" * 50),
    ("a value nobody asked for", b"$-1\r\n" + bulk(b"y" * 5000) * 3),
    ("RST amid a bulk", Reply(b"$1000000\r\n" + b"x" * 70000, then="rst")),
    ("FIN amid a bulk", Reply(b"$1000000\r\n" + b"x" * 70000, then="fin")),
    ("FIN at once", Reply(then="fin")),
    ("RST at once", Reply(then="rst")),
    ("silence", SILENCE),
    ("2 s of thought", Reply(b"$-1\r\n", after=2.0)),
    ("a value drop by drop", Reply(bulk(b"z" * 400), then="drip")),
]

ERRORS = [
    b"-LOADING Redis is loading the dataset in memory\r\n",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-MISCONF Redis is configured to save RDB snapshots\r\n",
    b"-NOREPLICAS Not enough good replicas to write.\r\n",
    b"-READONLY You can't write against a read only replica.\r\n",
    b"-NOAUTH Authentication required.\r\n",
    b"-NOPERM this user has no permissions\r\n",
    b"-CLUSTERDOWN The cluster is down\r\n",
    b"-MASTERDOWN Link with MASTER is down\r\n",
    b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
    b"-BUSY Redis is busy running a script.\r\n",
    b"-WRONGTYPE Operation against a key holding the wrong kind\r\n",
    b"-ERR max number of clients reached\r\n",
    b"-ERR unknown command\r\n",
    b"-\r\n",
    b"-NOSCRIPT No matching script.\r\n",
    b"-MOVED 1 127.0.0.1:1\r\n",
    b"-MOVED 99999 127.0.0.1:1\r\n",
    b"-MOVED 1 " + b"h" * 300 + b":1\r\n",
    b"-MOVED\r\n",
    b"-MOVED -1 :0\r\n",
    b"-ASK 1 127.0.0.1\r\n",
    b"-ASK 1 ?:99999999999\r\n",
]

# After these the node is left alone for a second, and so is not asked again.
RESTING = (b"-LOADING", b"-NOAUTH", b"-CLUSTERDOWN", b"-MASTERDOWN")

# To CLIENT SETNAME, PING and INFO.
GREETINGS = [
    ("garbage", b"\x00\x01\x02\r\n"),
    ("half a gigabyte", b"$536870913\r\n"),
    ("a deep array", b"*1\r\n" * 10000),
    ("a full server", Reply(b"-ERR max number of clients reached\r\n",
                            then="fin")),
    ("a server that wants a password",
     b"-NOAUTH Authentication required.\r\n"),
    ("INFO of another kind", bulk(b"maxmemory:99999999999999999999999\r\n"
                                  b"maxmemory_policy:noeviction\r\n")),
    ("silence", SILENCE),
    ("RST", Reply(then="rst")),
]


class Hostile(FlowTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.origin = cls.use_in_class(SampleOrigin(products=10000))
        cls.next_product = 0

    def setUp(self):
        self.redis = self.use(HostileRedis())
        # Who waits for a lease that nobody holds does so until flight_wait,
        # which is counted.
        self.redis.lapses = False
        self.daemon = self.use(Nearside(CONF % {
            "redis": self.redis.address, "origin": self.origin.url}))

    @classmethod
    def cold(cls):
        """A product that was never asked for, and its body."""
        cls.next_product += 1
        n = cls.next_product
        return (f"/products/{n}", b'{"id":"%d","name":"Product %d","price":%d}'
                % (n, n, 58 + n % 1000))

    def ask(self, target, body, method="GET"):
        answer = self.daemon.get(target, method=method)
        self.assertEqual(answer.status, 200, answer)
        if method == "GET":
            self.assertEqual(answer.body, body)
        return answer

    def assert_nobody_waited_for_a_lease(self):
        self.assertEqual(self.daemon.metric("nearside_limits_hit_total",
                                            limit="flight_wait"), 0)

    def fault_for(self, words, reply):
        self.redis.faults_done = 0
        self.redis.fault = \
            lambda args: reply if args[0].upper() in words else None

    def heal(self):
        """It behaves again: hits come on each worker, without a restart."""
        self.redis.fault = None
        target, body = self.cold()

        def are_hits():
            return all("; hit" in self.ask(target, body).cache_status
                       for _ in range(8))

        wait_until(are_hits, what="hits again")

    def memory_kb(self):
        return self.daemon.process.memory_kb("VmHWM")

    def run_table(self, words, table):
        """Each reply against a client that asks for several products, until
        the daemon has met it. The breaker may be open from the row before;
        it lets a probe through when its time is over."""
        for name, reply in table:
            with self.subTest(name):
                self.fault_for(words, reply)
                for _ in range(3):
                    self.ask(*self.cold())

                def has_met():
                    self.ask(*self.cold())
                    return self.redis.faults_done > 0

                wait_until(has_met, what="the daemon meets it", every=0.05)

    def test_a_hostile_value_is_a_miss(self):
        self.heal()
        before = self.memory_kb()
        for row in GARBAGE:
            self.run_table(READS, [row])
            self.heal()
        if not IS_SANITIZED:
            self.assertLess(self.memory_kb() - before, GROWTH_KB)
        self.assertGreater(self.daemon.metric(
            "nearside_redis_failures_total", cause="protocol"), 10)
        self.assertGreater(self.daemon.metric("nearside_values_bad_total"), 0)
        self.assert_nobody_waited_for_a_lease()

    @staticmethod
    def errors(resting):
        return [(row[:30].decode().strip(), row) for row in ERRORS
                if resting or row.split(b" ")[0] not in RESTING]

    def test_an_error_reply_is_a_miss(self):
        self.run_table(READS, self.errors(True))
        self.heal()
        self.assert_nobody_waited_for_a_lease()

    def test_an_error_reply_to_a_write_is_a_miss(self):
        self.run_table((b"SET", b"EVALSHA", b"EVAL", b"DEL"),
                       self.errors(False))
        self.heal()
        self.assert_nobody_waited_for_a_lease()

    def test_a_reply_that_never_came_does_not_put_all_others_off(self):
        # Leases may be left behind, and there is more than one that asks.
        self.redis.lapses = True
        target, body = self.cold()
        lost = []

        def lose_one_of_each_connection(args):
            if args[0].upper() in READS and len(lost) < 2:
                lost.append(args)
                return SILENCE
            return None

        self.redis.fault = lose_one_of_each_connection
        # From here each reply is taken for that of the command before it.
        # As long as others ask, no command gets old enough to be a hang.
        self.use(Load([self.daemon.port], [target], 4, think=0.1,
                      judge=lambda a: None if a.body == body else "bad"))
        wait_until(lambda: len(lost) == 2, what="two replies are lost")

        def are_hits():
            return all("; hit" in self.ask(target, body).cache_status
                       for _ in range(8))

        wait_until(are_hits, what="hits again")

    def test_a_server_that_answers_probes_alone_is_left_alone(self):
        """Calls are rarer than the probes, all of which it acknowledges."""
        self.fault_for(READS, SILENCE)
        wait_until(lambda: self.ask(*self.cold())
                   and self.daemon.metric("nearside_redis_breaker_opens_total"),
                   20, "its breaker opens", 0.7)
        self.heal()

    def test_a_redirection_that_was_wrong_is_forgotten(self):
        target, body = self.cold()
        slot = slot_of("ns:e:{http://test%s}" % target)
        moved = b"-MOVED %d 127.0.0.1:%d\r\n" % (slot, free_port())
        self.fault_for(READS, moved)
        for _ in range(4):
            self.ask(target, body)
        self.assertGreater(self.redis.faults_done, 0)
        self.redis.fault = None
        wait_until(lambda: "; hit" in self.ask(target, body).cache_status,
                   10, "a hit in the slot that was sent elsewhere")

    def test_an_entry_deleted_before_its_lease_is_deleted_once_more(self):
        """Until the lease is gone, a fetch from before the write may store."""
        target, body = self.cold()
        wait_until(lambda: "; hit" in self.ask(target, body).cache_status,
                   what="a hit")
        entry = b"ns:e:{http://test%s}" % target.encode()
        lease = b"ns:l" + entry[4:]
        refused = []

        def on_the_move(args):
            if args[0].upper() != b"DEL":
                return None
            if len(args) == 3:
                return b"-TRYAGAIN Multiple keys request\r\n"
            if args[1] == lease and len(refused) < 2:
                refused.append(args)
                return b"-BUSY Redis is busy running a script.\r\n"
            return None

        def deleted():
            return [a[1:] for a in self.redis.commands if a[0] == b"DEL"]

        self.redis.fault = on_the_move
        put = self.daemon.get(target, method="PUT",
                              body=b'{"name":"Newer","price":100}')
        self.assertEqual(put.status, 200)
        wait_until(lambda: deleted()[-2:] == [[lease], [entry]] and
                   [entry] in deleted()[:-2], what="the lease, then the entry")

    def test_a_lease_whose_acknowledgement_was_lost_is_given_back(self):
        target, body = self.cold()
        # It is executed, but the reply comes long after its deadline.
        self.fault_for((b"SET",), Reply(b"+OK\r\n", after=0.3))
        self.ask(target, body)
        self.redis.fault = None
        for _ in range(3):
            # Would wait for the end of that lease, which nobody holds.
            self.ask(target, body)
        wait_until(lambda: "; hit" in self.ask(target, body).cache_status,
                   what="a hit")
        self.assert_nobody_waited_for_a_lease()

    def test_a_lease_is_given_back_whatever_becomes_of_the_fill(self):
        for name, reply in (
                ("the connection", Reply(then="rst", is_done=False)),
                ("the node", Reply(b"-LOADING Redis is loading\r\n",
                                   is_done=False)),
                ("the memory", Reply(b"-OOM command not allowed\r\n",
                                     is_done=False))):
            with self.subTest(name):
                self.heal()
                target, body = self.cold()
                entry = b"ns:e:{http://test%s}" % target.encode()
                lease = b"ns:l" + entry[4:]
                lost = []

                def lose_the_fill(args, entry=entry, reply=reply, lost=lost):
                    if args[0] not in (b"EVALSHA", b"EVAL") or \
                            args[3] != entry or lost:
                        return None
                    lost.append(args)
                    return reply

                self.redis.fault = lose_the_fill
                self.ask(target, body)
                wait_until(lambda: lost, what="the fill")
                wait_until(lambda: lease not in self.redis.values, 20,
                           "the lease is given back")
                self.redis.fault = None
                for _ in range(3):
                    self.ask(target, body)
        self.assert_nobody_waited_for_a_lease()

    def test_a_silent_redis_costs_a_request_one_deadline(self):
        """By the daemon's clock, on which minutes pass at once."""
        for name, words in ("lookup", READS), ("lease", (b"SET",)):
            with self.subTest(name), Clock() as clock, Nearside(PATIENT % {
                    "redis": self.redis.address, "origin": self.origin.url},
                    env=clock.env) as daemon:
                self.assert_costs_a_deadline(daemon, clock, words)
                self.redis.fault = None

    def assert_costs_a_deadline(self, daemon, clock, words):
        """From the first of these words on Redis says nothing."""
        self.daemon = daemon
        self.heal()
        target, body = self.cold()
        silenced = []

        def silence(args):
            is_its = len(args) > 1 and target.encode() + b"}" in args[1]
            if is_its and (silenced or args[0].upper() in words):
                silenced.append(args)
                return SILENCE
            return None

        def is_asked():
            """Each worker has been woken meanwhile."""
            for _ in range(8):
                daemon.get("*", method="OPTIONS",
                           fields={"Max-Forwards": "0"})
            return self.origin.stats()["methods"].get("GET", 0) > before

        before = self.origin.stats()["methods"].get("GET", 0)
        self.redis.fault = silence
        with daemon.connect(timeout=60) as connection:
            connection.request("GET", target)
            wait_until(lambda: silenced, 60, "a command is not answered")
            clock.move_on(19 * 60)
            self.assertFalse(is_asked())
            clock.move_on(61)
            wait_until(is_asked, 60, "the origin is asked")
            answer = connection.read_response()
        self.assertEqual((answer.status, answer.body), (200, body))

    def test_a_hostile_greeting_is_survived(self):
        for name, reply in GREETINGS:
            with self.subTest(name), HostileRedis() as redis:
                redis.fault = lambda args, reply=reply: (
                    reply if args[0].upper() in (b"CLIENT", b"PING", b"INFO")
                    else None)
                with Nearside(CONF % {"redis": redis.address,
                                      "origin": self.origin.url}) as daemon:
                    for _ in range(3):
                        target, body = self.cold()
                        answer = daemon.get(target)
                        self.assertEqual(answer.status, 200)
                        self.assertEqual(answer.body, body)
                    wait_until(lambda: redis.faults_done > 0,
                               what="the daemon meets it")
                    self.assertEqual(daemon.process.popen.poll(), None)


if __name__ == "__main__":
    unittest.main()
