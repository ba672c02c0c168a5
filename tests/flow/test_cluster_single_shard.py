"""The smallest cluster: one primary with all slots, and two replicas."""

import os
import subprocess
import unittest

from lib import FlowTest, Nearside, RedisCluster, SampleOrigin, wait_until
from lib.load import Load
from lib.process import temp_dir
from lib.products import conf_of_cluster
from test_redis_server import acl_line_of_readme

CONF = conf_of_cluster("command_timeout = 400ms  %(more)s")


class SingleShard(FlowTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = cls.use_in_class(RedisCluster(primaries=1, replicas=2))

    def setUp(self):
        self.cluster.flush()
        self.origin = self.use(SampleOrigin())

    def tearDown(self):
        for key in self.cluster.keys():
            self.assertNotEqual(self.cluster("PTTL", key), -1, key)

    def daemon(self, seeds=None, more=""):
        daemon = self.use(Nearside(CONF % {
            "seeds": seeds or self.cluster.seeds, "origin": self.origin.url,
            "more": more}))
        # Until it knows the cluster it stores nothing.
        daemon.wait_log("redis_map")
        return daemon

    def test_a_miss_and_then_a_hit(self):
        a = self.daemon()
        self.assertEqual(a.get("/products/42").cache_status,
                         "nearside; fwd=uri-miss; stored")
        a.wait_metric("nearside_stores_total", 1)
        self.assertIn("; hit", a.get("/products/42").cache_status)
        redis = a.status()["redis"]
        self.assertEqual(redis["slots_known"], 16384)
        self.assertEqual([node["slots"] for node in redis["nodes"]], [16384])

    def test_a_replica_is_as_good_a_seed_as_the_primary(self):
        replica = self.cluster.replicas_of(self.cluster.primaries()[0])[0]
        a = self.daemon(f'"{replica.address}"')
        a.get("/products/42")
        a.wait_metric("nearside_stores_total", 1)
        self.assertIn("; hit", a.get("/products/42").cache_status)

    def test_the_acl_of_the_readme_is_enough_for_a_cluster(self):
        for node in self.cluster.nodes:
            pasted = subprocess.run(
                ["redis-cli", "-h", node.ip, "-p", str(node.port)],
                input=acl_line_of_readme() + "\n", capture_output=True,
                text=True, check=False, timeout=30)
            self.assertEqual(pasted.stdout.split(), ["OK"], pasted)
        path = os.path.join(temp_dir("acl"), "password")
        with open(path, "w") as f:
            f.write("secret\n")
        a = self.daemon(more=f'user = "nearside" password_file = "{path}"')
        a.get("/products/42")
        a.wait_metric("nearside_stores_total", 1)
        self.assertIn("; hit", a.get("/products/42").cache_status)
        self.assertEqual(a.warnings(), [])

    def test_a_failover_by_hand_under_load_costs_no_request(self):
        targets = [f"/products/{n}" for n in range(1, 31)]
        primary = self.cluster.primaries()[0]
        heir = self.cluster.replicas_of(primary)[0]
        daemon = self.daemon()
        with Load([daemon.port], targets, 30,
                  judge=lambda a: None if a.status == 200 else "bad") as load:
            load.wait_hits(targets)
            heir("CLUSTER", "FAILOVER")
            wait_until(lambda: heir.info("replication")["role"] == "master",
                       what="the heir is primary")
            wait_until(lambda: [node["address"] for node in
                                daemon.status()["redis"]["nodes"]]
                       == [heir.address], what="the daemon knows the heir")
            # Values wait for a window; what is there is used again then.
            load.wait_hits(targets)
            gets = self.origin.stats()["methods"]["GET"]
            load.wait_more(200)
            self.assertEqual(self.origin.stats()["methods"]["GET"], gets)
        load.check()
        self.cluster.wait_ok()


if __name__ == "__main__":
    unittest.main()
