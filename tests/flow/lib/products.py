"""Daemons before the sample API's products, with a Redis: what the tests of
the cluster and of Redis share."""

import json
import unittest

from .case import FlowTest
from .redis import RedisCluster
from .process import PATIENCE, wait_until

_cluster = []


def conf_for(redis, more="", route="", memory="0"):
    """A conf to be filled in: what it names in %(...)s, and origin. As a rule
    nothing is kept in memory, so that each hit is one in Redis."""
    return f"""
listen = {{ "127.0.0.1:0" }}
metrics = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
drain_delay = 0
{more}
redis {{ {redis} }}
memory {{ size = {memory} }}
origin api {{ servers = {{ "%(origin)s" }} }}
route "/products/:id" {{ ttl = 10m {route} }}
"""


def conf_of_cluster(redis):
    return conf_for("seeds = { %(seeds)s } " + redis, "limits { "
                    "connections_per_ip = 0  requests_per_connection = 0 }")


def key_of(target, host="test"):
    return "ns:e:{http://%s%s}" % (host, target)


def lease_of(target, host="test"):
    return "ns:l:{http://%s%s}" % (host, target)


def product(n, name=None, price=None):
    """The body of a product: as it was in the beginning, or as put."""
    if price is None:
        price = 100 if name else 58 + int(n) % 1000
    return json.dumps({"id": str(n), "name": name or f"Product {n}",
                       "price": price}, separators=(",", ":")).encode()


def judge_product(answer):
    """What no product has ever been is a wrong byte."""
    if answer.status != 200:
        return f"status {answer.status}"
    if answer.body != product(answer.target.rsplit("/", 1)[1]):
        return "a wrong byte"
    return None


def use_cluster():
    """For setUpModule: one cluster for all tests of the module."""
    _cluster.append(RedisCluster())
    unittest.addModuleCleanup(lambda: _cluster.pop().stop())


class ClusterTest(FlowTest):
    """The module's cluster, whole and empty."""

    def setUp(self):
        self.cluster = _cluster[0]
        for node in self.cluster.nodes:
            if not node.is_running():  # a test before this one failed
                self.cluster.restart(node)
        self.cluster.wait_ok()
        self.cluster.flush()

    def wait_hit(self, daemon, target, timeout=PATIENCE):
        wait_until(lambda: "; hit" in daemon.get(target).cache_status,
                   timeout, f"{target} is a hit", 0.05)

    def two_primaries(self, target):
        """The one that has it, and another one."""
        owner = self.cluster.owner_of(key_of(target))
        other = next(node for node in self.cluster.primaries()
                     if node is not owner)
        return owner, other

    def migrate_back(self, slot, to):
        self.cluster.flush()
        for node in self.cluster.primaries():
            node("CLUSTER", "SETSLOT", slot, "STABLE")
        if self.cluster.owner_of_slot(slot) is not to:
            self.cluster.move_slot(slot, to)
        self.cluster.wait_ok()
