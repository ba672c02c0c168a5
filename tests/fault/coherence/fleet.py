"""What is under test: a real cluster of three primaries and three replicas,
three daemons, a wire from each daemon to each node, and an API of counters."""

import contextlib

import clients
import origin
import wires
from helper import Helper
from lib import Nearside, RedisCluster, RedisServer, free_ports, wait_until
from lib.clock import Clock
from lib.redis import redis_version, slot_of

DAEMONS = ("a", "b", "c")
WRITING = (0, 1)  # the third one never writes
NODES = 6
NODE_TIMEOUT_MS = 2000
TARGETS = [f"/counters/{n}" for n in range(48)]

# Redis may be late by more than 50 ms on a busy machine, and a miss is no
# check of a hit.
CONF = """
listen = { "127.0.0.1:%(port)d" }
admin = "unix:@DIR@/admin.sock"
workers = 2
drain_delay = 0
limits { connections_per_ip = 0  requests_per_connection = 0 }
redis { seeds = { %(seeds)s }  command_timeout = 500ms }
origin api { servers = { "http://127.0.0.1:%(origin)d" } }
route "/counters/:id" { ttl = 5m }
"""


def key_of(target):
    return "ns:e:{http://test%s}" % target


class _Cluster(RedisCluster):
    """One whose nodes announce their relays."""

    def __init__(self, ports, announced):
        self._ports = list(zip(ports, announced))
        super().__init__(options={"cluster-node-timeout": NODE_TIMEOUT_MS})

    def _start_nodes(self):
        for port, announced in self._ports:
            own = {"cluster-announce-port": announced,
                   "cluster-announce-bus-port": port + 10000}
            if redis_version() >= (7,):
                own["enable-protected-configs"] = "yes"  # "dir" is one
            node = RedisServer(dict(self.options, **own), port)
            # Where it finds again what it saved.
            node.options["dir"] = node.process.dir
            self.nodes.append(node)

    @property
    def seeds(self):
        return ", ".join(f'"127.0.0.1:{n.announced}"' for n in self.nodes)


class Fleet:
    """All of it, from __enter__ to __exit__."""

    def __init__(self, program=None, seed=0):
        self.program = program
        self.seed = seed
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._start(stack.enter_context)
            self._stack = stack.pop_all()
        return self

    def _start(self, use):
        # They fork, so they come before the daemons.
        ports = free_ports(NODES, bus=True)
        self.wires = use(Helper(wires.main, ports))
        self.api = use(Helper(origin.main, self.seed))
        self.clients = use(Helper(clients.main))
        self.cluster = use(_Cluster(ports, self.wires.told))
        self.clocks = [use(Clock()) for _ in DAEMONS]
        self.daemons = []
        for name, clock, port in zip(DAEMONS, self.clocks, free_ports(3)):
            self.daemons.append(use(Nearside(CONF % {
                "port": port, "origin": self.api.told,
                "seeds": self.cluster.seeds}, name=name, env=clock.env,
                program=self.program)))
            self.tell_pids()

    def begin_load(self, readers, reads, writes):
        self.clients.ask("begin", self.seed, [d.port for d in self.daemons],
                         WRITING, TARGETS, readers, reads, writes)

    def __exit__(self, *exc):
        self._stack.__exit__(*exc)

    def tell_pids(self):
        self.wires.ask("pids_are", {d.name: d.pid for d in self.daemons})

    def number_of(self, node):
        return self.cluster.nodes.index(node)

    def slots_of_targets(self, primary):
        """Those with a target's entry that the primary owns."""
        slots = sorted({slot_of(key_of(target)) for target in TARGETS})
        owned = [(first, last) for first, last, owner, *_
                 in primary("CLUSTER", "SLOTS")
                 if owner[1] == primary.announced]
        return [slot for slot in slots
                if any(first <= slot <= last for first, last in owned)]

    def wait_promoted(self, replicas):
        return wait_until(
            lambda: next((n for n in replicas if n.is_running() and
                          n.info("replication")["role"] == "master"), None),
            60, "a replica is promoted", 0.1)
