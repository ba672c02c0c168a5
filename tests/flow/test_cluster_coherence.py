# ctest: timeout=2700 long serial
"""No read is older than the bound, whatever breaks between instance,
primaries and replicas.

Three instances, each on a host of its own, before a cluster of six hosts.
Two of them write 60 values a second, the third never writes; the second
loses its way to one primary after the other. Meanwhile the cluster breaks.
What an instance acknowledges while it alone has lost a primary, or is cut
off with a minority, may be seen late by the others: it counts from the end
of the cut and a second more, and is counted apart.

NEARSIDE_RUNS says how often each is tried.
"""

import os
import time
import unittest

from lib import FlowTest, Nearside, RedisCluster, SampleOrigin, wait_until
from lib import netns
from lib.oracle import Instance, Oracle

RUNS = int(os.environ.get("NEARSIDE_RUNS", "1"))
NODE_TIMEOUT_S = 5
BOUND_S = 2.0
TARGETS = [f"/products/{n}" for n in range(1, 241)]

CONF = """
listen = { "0.0.0.0:0" }
admin = "unix:@DIR@/admin.sock"
workers = 2
drain_delay = 0
limits { connections_per_ip = 0  requests_per_connection = 0 }
redis { seeds = { %(seeds)s } }
origin api { servers = { "%(origin)s" } }
route "/products/:id" { ttl = 5m }
"""


def setUpModule():
    if not netns.enter():
        raise unittest.SkipTest("network namespaces need root")


class Coherence(FlowTest):
    def setUp(self):
        self.origin = self.use(SampleOrigin(
            products=len(TARGETS), args=["--host", "0.0.0.0"]))
        self.origin_url = f"http://{netns.HUB}:{self.origin.port}"
        self.node_hosts = [self.use(netns.Host()) for _ in range(6)]
        self.cluster = self.use(RedisCluster(
            options={"cluster-node-timeout": 1000 * NODE_TIMEOUT_S},
            hosts=self.node_hosts))
        for node in self.cluster.nodes:
            # Where a restarted one finds what it saved.
            node.options["dir"] = node.process.dir
        self.hosts = [self.use(netns.Host()) for _ in range(3)]
        self.fleet = [self.daemon(i) for i in range(3)]
        self.instances = [Instance(host.ip, daemon.port, daemon.name)
                          for host, daemon in zip(self.hosts, self.fleet)]
        self.excused, self.why = [], []

    def daemon(self, i):
        return self.use(Nearside(CONF % {
            "seeds": self.cluster.seeds, "origin": self.origin_url},
            name=f"instance-{i}", wrap=self.hosts[i].enter))

    # --- What breaks ------------------------------------------------------

    def run_oracle(self, fault):
        """fault() breaks and mends, while all write and read."""
        self.oracle = self.use(Oracle(self.instances, self.instances[:2],
                                      TARGETS))
        self.settle(4)
        fault()
        # A failover's deletions are replayed, and distrust ends.
        self.settle(2 * BOUND_S + 4)
        self.oracle.stop()

    @staticmethod
    def settle(seconds):
        """Lets the load go on: time is what is under test."""
        time.sleep(seconds)

    def wait_promoted(self, replicas):
        return wait_until(
            lambda: next((n for n in replicas
                          if n.info("replication")["role"] == "master"), None),
            4 * NODE_TIMEOUT_S, "a replica is promoted")

    def lose_links_in_turn(self, seconds):
        """The second instance loses its way to each primary, one by one."""
        host = self.hosts[1]
        for node in self.cluster.primaries():
            began = time.monotonic()
            netns.cut([host], [node.host])
            self.settle(seconds)
            netns.heal([host], [node.host])
            self.excuse(1, began, "its own links")
            self.settle(1)

    def excuse(self, i, began, why):
        # TCP sends again after up to twice the length of the cut.
        now = time.monotonic()
        self.excused.append((self.instances[i].name, began, now + 1))
        self.why.append(why)

    def judge(self, title):
        reads = len(self.oracle.reads)
        late = self.oracle.ages(self.excused)
        age = max((seconds for seconds, _, _ in late), default=0.0)
        over = [one for one in late if one[0] > BOUND_S]
        puts = sum(map(len, self.oracle.written.values()))
        print(f"{title}: {reads} reads, {self.oracle.hit_share():.0%} hits,"
              f" {puts} writes, {len(self.oracle.failed)} failed;"
              f" {len(late)} behind, by {age:.2f} s at most,"
              f" {len(over)} over the bound{self.tell_excused()}", flush=True)
        self.assert_none(self.oracle.failed, "failed")
        self.assert_none(over, "too old")
        self.assertGreater(self.oracle.hit_share(), 0.5)

    def tell_excused(self):
        """How many would be over the bound but for each exception, and by how
        much at most."""
        ages = {}
        for age, _, written in self.oracle.ages():
            for (name, began, end), why in zip(self.excused, self.why):
                if age > BOUND_S and written.at == name and \
                        began <= written.time <= end:
                    ages.setdefault(why, []).append(age)
                    break
        return "".join(f"; {len(found)} excused by {why}, {max(found):.2f} s"
                       for why, found in ages.items())

    def assert_none(self, wrong, what):
        if wrong:
            self.fail(f"{len(wrong)} {what}, such as\n"
                      + "\n".join(map(repr, wrong[:5])))

    def try_it(self, fault):
        for run in range(RUNS):
            with self.subTest(run=run):
                self.excused, self.why = [], []
                self.cluster.wait_ok()
                self.run_oracle(lambda: fault(run))
                self.judge(f"{self.id().rsplit('.', 1)[1]} {run + 1}")

    # --- The cases --------------------------------------------------------

    def test_healthy_but_for_links_of_one_instance(self):
        self.try_it(lambda run: self.lose_links_in_turn(4))

    def test_a_primary_is_killed(self):
        def fault(run):
            victim = self.cluster.primaries()[run % 3]
            replicas = self.cluster.replicas_of(victim)
            self.cluster.kill(victim)
            self.wait_promoted(replicas)
            self.settle(6)
            self.lose_links_in_turn(3)
            self.cluster.restart(victim)
            self.cluster.wait_ok()
        self.try_it(fault)

    def test_a_primary_is_stopped_and_goes_on(self):
        def fault(run):
            victim = self.cluster.primaries()[run % 3]
            replicas = self.cluster.replicas_of(victim)
            victim.pause()
            self.wait_promoted(replicas)
            self.settle(3)
            victim.resume()
            self.cluster.wait_ok()
            self.lose_links_in_turn(3)
        self.try_it(fault)

    def test_a_primary_refuses_writes(self):
        def fault(run):
            victim = self.cluster.primaries()[run % 3]
            victim("CONFIG", "SET", "min-replicas-to-write", 5)
            self.settle(6)
            self.lose_links_in_turn(3)
            victim("CONFIG", "SET", "min-replicas-to-write", 0)
        self.try_it(fault)

    def test_a_primary_restarts_from_its_snapshot(self):
        def fault(run):
            victim = self.cluster.primaries()[run % 3]
            victim("SAVE")
            self.settle(3)
            self.cluster.kill(victim)
            self.cluster.restart(victim)
            self.cluster.wait_ok()
            self.settle(2)
            self.lose_links_in_turn(3)
        self.try_it(fault)

    def test_a_primary_is_cut_off_with_an_instance(self):
        def fault(run):
            victim = self.cluster.primaries()[run % 3]
            replicas = self.cluster.replicas_of(victim)
            one = run % 3
            there = [h for h in self.node_hosts if h is not victim.host]
            there += [h for h in self.hosts if h is not self.hosts[one]]
            began = time.monotonic()
            netns.cut([victim.host, self.hosts[one]], there)
            self.wait_promoted(replicas)
            self.settle(8)
            netns.heal([victim.host, self.hosts[one]], there)
            self.excuse(one, began, "the minority")
            self.cluster.wait_ok()
            self.lose_links_in_turn(3)
        self.try_it(fault)

    def test_a_primary_is_cut_off_from_the_other_nodes(self):
        def fault(run):
            victim = self.cluster.primaries()[run % 3]
            replicas = self.cluster.replicas_of(victim)
            there = [h for h in self.node_hosts if h is not victim.host]
            netns.cut([victim.host], there)
            self.wait_promoted(replicas)
            self.settle(8)
            netns.heal([victim.host], there)
            self.cluster.wait_ok()
            self.lose_links_in_turn(3)
        self.try_it(fault)

    def test_nodes_restart_one_by_one_at_other_addresses(self):
        def fault(run):
            del run
            for node in list(self.cluster.nodes):
                self.cluster.kill(node)
                node.host.move()
                self.cluster.restart(node)
                self.settle(3)
            self.cluster.wait_ok(60)
        self.try_it(fault)


if __name__ == "__main__":
    unittest.main()
