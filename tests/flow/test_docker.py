# ctest: jobs=3 cost=20
"""What docker/ promises, as far as a machine without an engine can show it."""

import os
import re
import subprocess
import tempfile
from types import SimpleNamespace

from lib import (FlowTest, Process, RedisError, RedisServer, fetch,
                 free_ports, wait_until)
from lib.nearside import TROUBLE
from lib.process import temp_dir

SCRIPT = os.path.join(os.path.dirname(__file__),
                      "../../docker/create-cluster.sh")
# Nodes that will not heal by themselves are given this long.
HEAL_S = 4


class CreateCluster(FlowTest):
    """docker/create-cluster.sh runs whenever compose starts: six nodes that
    remember each other, or not, end as one whole cluster."""

    def setUp(self):
        super().setUp()
        self.port = free_ports(1, bus=True)[0]
        self.nodes = []
        for i in range(6):
            folder = self.use(tempfile.TemporaryDirectory(prefix="nearside-"))
            self.nodes.append(self.use(RedisServer(
                {"cluster-enabled": "yes", "cluster-node-timeout": 1000,
                 "dir": folder, **self.at(i)["options"]},
                self.port, self.at(i)["host"])))

    def at(self, i):
        """Each node has an address of its own, as a container has."""
        ip = f"127.0.0.{11 + i}"
        return {"host": SimpleNamespace(ip=ip, enter=()),
                "options": {"bind": ip, "bind-source-addr": ip}}

    def create(self, heal_s=20):
        done = subprocess.run(
            ["bash", SCRIPT, *(node.address for node in self.nodes)],
            env=dict(os.environ, HEAL_S=str(heal_s)), text=True, timeout=120,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def seen_by(self, node):
        """{id: address}, all without a fault."""
        seen = {}
        for line in node("CLUSTER", "NODES").decode().splitlines():
            name, address, flags = line.split()[:3]
            self.assertNotRegex(flags, "fail|noaddr|handshake", line)
            seen[name] = address.split("@")[0]
        return seen

    def whole(self):
        """The ids in order; every node sees all six where they are."""
        ids = [node("CLUSTER", "MYID").decode() for node in self.nodes]
        for node in self.nodes:
            self.assertEqual(self.seen_by(node), dict(
                zip(ids, (n.address for n in self.nodes))))
            self.assertIn(b"cluster_state:ok", node("CLUSTER", "INFO"))
            self.assertIn(b"cluster_slots_ok:16384", node("CLUSTER", "INFO"))
        primaries = [n for n in self.nodes
                     if n.info("replication")["role"] == "master"]
        self.assertEqual(len(primaries), 3)
        return ids

    def test_whatever_became_of_the_nodes_they_end_as_one_cluster(self):
        self.create()
        ids = self.whole()

        self.assertEqual(self.create(), "", "a whole cluster is left alone")
        self.assertEqual(self.whole(), ids)

        for node in self.nodes:
            node.stop()
        for node in self.nodes:
            node.start()
        self.assertEqual(self.create(), "", "they know each other")
        self.assertEqual(self.whole(), ids)

        self.nodes[0].stop()
        self.nodes[0].start()
        self.assertEqual(self.create(), "", "one was restarted")
        self.assertEqual(self.whole(), ids)

        # What an engine does that gives out addresses in the order of starts.
        self.nodes[0]("SET", self.key_of(self.nodes[0]), "v")
        for node in self.nodes:
            node.stop()
        for i, node in enumerate(self.nodes):
            node.host = self.at((i + 2) % 6)["host"]
            node.options.update(self.at((i + 2) % 6)["options"])
            node.start()
        self.assertIn("joined anew", self.create(HEAL_S))
        self.whole()

    @staticmethod
    def key_of(node):
        """A key that this primary has, so that it is not empty."""
        for n in range(10000):
            try:
                node("GET", f"k{n}")
                return f"k{n}"
            except RedisError:
                continue
        raise AssertionError("it has no key of ten thousand")

    def test_a_creation_that_was_interrupted_is_done_anew(self):
        self.nodes[0]("CLUSTER", "ADDSLOTS", *range(100))
        self.nodes[1]("CLUSTER", "MEET", self.nodes[0].ip, self.port)
        wait_until(lambda: b"cluster_known_nodes:2" in
                   self.nodes[0]("CLUSTER", "INFO"),
                   what="two know each other")
        self.assertIn("joined anew", self.create(HEAL_S))
        self.whole()


# As OpenShift does it: a user that no file knows, in group 0, without any
# capability, on a root that is read-only but for the folder of sockets.
CONTAINER = """
mount -t tmpfs -o mode=0755 none /run
mkdir /run/image
cp "$1" "$2" /run/image
chmod a+rx /run/image/*
%s
mount -o remount,bind,ro /
cd /run/image
exec setpriv --reuid 1000680000 --regid 0 --clear-groups --inh-caps=-all \
    --bounding-set=-all --no-new-privs ./nearside -c conf
"""
FOLDER = "install -d -o 10001 -g 0 -m %s /run/nearside"
CONF = """
listen = { "127.0.0.1:0" }
metrics = "127.0.0.1:0"
drain_delay = 0ms
origin api { servers = { "http://127.0.0.1:9" } }
"""


class AnyUser(FlowTest):
    def in_container(self, folder):
        conf = os.path.join(temp_dir("container"), "conf")
        with open(conf, "w", encoding="ascii") as f:
            f.write(CONF)
        daemon = self.use(Process(
            ["unshare", "-m", "sh", "-ec", CONTAINER % folder, "sh",
             os.environ["NEARSIDE_BIN"], conf],
            name="container", ready=r"^listening on \S+:(\d+) \(metrics\)"))
        self.assertEqual(
            fetch(int(daemon.ready[1]), "/readyz").status, 200)
        with open(f"/proc/{daemon.pid}/status", encoding="ascii") as f:
            status = f.read()
        for line in (r"Uid:\s1000680000", r"Gid:\s0\s", r"CapEff:\s0+$",
                     r"CapBnd:\s0+$", r"NoNewPrivs:\s1"):
            self.assertRegex(status, re.compile(line, re.M))
        return daemon

    def test_it_starts_as_any_user_on_a_read_only_root(self):
        if subprocess.run(["unshare", "-m", "setpriv", "true"], check=False,
                          stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("needs root")
        bound = r"listening on unix:/run/nearside/admin.sock \(admin\)"
        for folder, said in (
                (FOLDER % "0775", bound),
                # Not for this user, so it is left off without a word.
                (FOLDER % "0700", None),
                # Something is there that nobody could bind over.
                (FOLDER % "0775" + " && mkdir /run/nearside/admin.sock",
                 r"cannot listen on .*admin.sock: Address already in use\n"
                 "nearside: serving without an admin socket")):
            with self.subTest(folder):
                daemon = self.in_container(folder)
                if said is not None:
                    daemon.wait_log(said)
                self.assertEqual(daemon.stop(), 0)
                if said is None:
                    self.assertNotIn("admin", daemon.log())
                self.assertNotRegex(daemon.log(), TROUBLE)
