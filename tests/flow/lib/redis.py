"""Real Redis servers: one alone, or a cluster."""

import functools
import os
import re
import socket
import subprocess

from .ports import free_ports
from .process import PATIENCE, Process, wait_until

SLOTS = 16384


class RedisError(Exception):
    """An error reply, such as MOVED or CLUSTERDOWN."""


def slot_of(key):
    """The slot of a key, by the cluster specification's CRC16."""
    data = key.encode() if isinstance(key, str) else key
    start = data.find(b"{")
    if start >= 0:
        end = data.find(b"}", start + 1)
        if end > start + 1:
            data = data[start + 1:end]
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc % SLOTS


class Resp:
    """One RESP2 connection; each call is one command."""

    def __init__(self, port, timeout=PATIENCE, host="127.0.0.1"):
        self.sock = socket.create_connection((host, port), timeout)
        self.file = self.sock.makefile("rb")

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def __call__(self, *args):
        self.send(*args)
        return self.read()

    def send(self, *args):
        out = [b"*%d\r\n" % len(args)]
        for arg in args:
            data = arg if isinstance(arg, bytes) else str(arg).encode()
            out.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.sock.sendall(b"".join(out))

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if kind == b"*":
            count = int(rest)
            return None if count < 0 else [self.read() for _ in range(count)]
        raise ConnectionError(f"not RESP2: {line!r}")


@functools.lru_cache(maxsize=None)
def redis_version():
    """(7, 0, 15)"""
    text = subprocess.run(["redis-server", "--version"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return tuple(int(n) for n in re.search(r"v=([\d.]+)", text)[1].split("."))


class RedisServer:
    """A redis-server on a port of its own, without persistence.

    options: further configuration, as {"maxmemory": "1mb"}. host: a Host of
    netns, in which it runs; without one it runs beside the test.
    """

    def __init__(self, options=None, port=None, host=None):
        self.port = port or free_ports(1)[0]
        self.host = host
        self.options = {
            "port": self.port, "bind": "127.0.0.1", "save": "",
            "appendonly": "no", "daemonize": "no",
            # Else the first replica waits 5 s, in case that others come.
            "repl-diskless-sync-delay": 0,
        }
        if redis_version() >= (7,):
            self.options["enable-debug-command"] = "yes"
        if host is not None:
            self.options.update({"bind": "0.0.0.0", "protected-mode": "no"})
        self.options.update(options or {})
        self.process = None
        self.start()

    def start(self):
        """Starts it, or starts it again (empty) after stop() or kill()."""
        argv = [*(self.host.enter if self.host else ()), "redis-server"]
        for name, value in self.options.items():
            argv += ["--" + name, str(value)]
        self.process = Process(argv, name=f"redis-{self.port}",
                               ready=r"Ready to accept connections")
        return self

    @property
    def ip(self):
        return self.host.ip if self.host else "127.0.0.1"

    @property
    def address(self):
        return f"{self.ip}:{self.port}"

    @property
    def announced(self):
        """The port that the cluster knows it by."""
        return self.options.get("cluster-announce-port", self.port)

    def connect(self):
        return Resp(self.port, host=self.ip)

    def __call__(self, *args):
        """One command on a connection of its own."""
        with self.connect() as resp:
            return resp(*args)

    def info(self, section="everything"):
        text = self("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.split("\r\n")
                    if ":" in line)

    def is_running(self):
        return self.process.is_running()

    def kill(self):
        self.process.kill()

    def pause(self):
        self.process.pause()

    def resume(self):
        self.process.resume()

    def stop(self):
        # Nothing of it is to be kept, so it need not be asked.
        self.process.kill()

    def log(self):
        return self.process.log()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


class RedisCluster:
    """A cluster of real redis-servers, ready when the constructor returns.

    replicas is their number in all. Below three primaries, which redis-cli
    refuses to create, the same is done by CLUSTER commands. hosts: one of
    netns for each node, or none.
    """

    def __init__(self, primaries=3, replicas=3, options=None, hosts=None):
        self.count = primaries + replicas
        self.hosts = hosts or [None] * self.count
        self.options = {"cluster-enabled": "yes", "cluster-node-timeout": 2000,
                        "cluster-config-file": "nodes.conf"}
        self.options.update(options or {})
        self.nodes = []
        try:
            self._start_nodes()
            if primaries >= 3:
                self._create(replicas // primaries)
            else:
                self._create_small(primaries)
            self.wait_ok()
        except BaseException:
            self.stop()
            raise

    def _start_nodes(self):
        for port, host in zip(free_ports(self.count, bus=True), self.hosts):
            self.nodes.append(RedisServer(self.options, port, host))

    def _create(self, replicas_each):
        done = subprocess.run(
            ["redis-cli", "--cluster", "create",
             *(node.address for node in self.nodes),
             "--cluster-replicas", str(replicas_each), "--cluster-yes"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise AssertionError(f"redis-cli --cluster create:\n{done.stdout}")

    def _create_small(self, primaries):
        first = self.nodes[0]
        for i, node in enumerate(self.nodes):
            node("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node in self.nodes[1:]:
            node("CLUSTER", "MEET", first.ip, first.port)
        for i, node in enumerate(self.nodes[:primaries]):
            node("CLUSTER", "ADDSLOTS", *range(
                i * SLOTS // primaries, (i + 1) * SLOTS // primaries))
        wait_until(self._all_know_all, what="every node knows every node")
        for i, node in enumerate(self.nodes[primaries:]):
            owner = self.nodes[i % primaries]
            node("CLUSTER", "REPLICATE", self.id_of(owner))

    def _all_know_all(self):
        return all(len(self._nodes_seen_by(node)) == self.count
                   for node in self.nodes)

    @staticmethod
    def _nodes_seen_by(node):
        """CLUSTER NODES as [(id, port, flags, primary's id, [slots])]."""
        seen = []
        for line in node("CLUSTER", "NODES").decode().splitlines():
            word = line.split()
            port = int(re.search(r":(\d+)@", word[1])[1])
            seen.append((word[0], port, word[2].split(","), word[3], word[8:]))
        return seen

    def _is_ok(self):
        replicas = 0
        for node in self.running():
            state = node("CLUSTER", "INFO").decode()
            if "cluster_state:ok" not in state:
                return False
            if f"cluster_slots_ok:{SLOTS}" not in state:
                return False
            info = node.info("replication")
            if info["role"] == "slave":
                replicas += 1
                if info["master_link_status"] != "up":
                    return False
        # Each must have heard of each one's role, and whose replica it is, or a
        # map read from it lies.
        return all(self._replicas_seen_by(node) == replicas
                   for node in self.running())

    def _replicas_seen_by(self, node):
        return sum("slave" in flags and "fail" not in flags and owner != "-"
                   for _, _, flags, owner, _ in self._nodes_seen_by(node))

    def wait_ok(self, timeout=PATIENCE):
        """Until all that run agree that every slot is served."""
        def is_ok():
            try:
                return self._is_ok()
            except (OSError, RedisError):
                return False
        wait_until(is_ok, timeout, "cluster_state:ok on all nodes", 0.05)

    # --- Who is who -------------------------------------------------------

    @property
    def seeds(self):
        """For a conf file: '"127.0.0.1:7000", "127.0.0.1:7001"'"""
        return ", ".join(f'"{node.address}"' for node in self.nodes)

    def running(self):
        return [node for node in self.nodes if node.is_running()]

    def id_of(self, node):
        return node("CLUSTER", "MYID").decode()

    def primaries(self):
        return [n for n in self.running()
                if n.info("replication")["role"] == "master"]

    def replicas_of(self, primary):
        me = self.id_of(primary)
        ports = [port for _, port, _, owner, _ in self._nodes_seen_by(primary)
                 if owner == me]
        return [node for node in self.running() if node.announced in ports]

    def owner_of_slot(self, slot, asked=None):
        """By the map of `asked`; without it, the node that claims the slot
        itself: a replica's map may lag behind."""
        for node in [asked] if asked else self.running():
            for entry in node("CLUSTER", "SLOTS"):
                owner = self.node_at(entry[2][1])
                has_slot = entry[0] <= slot <= entry[1]
                if has_slot and (asked or owner is node):
                    return owner
        return None

    def owner_of(self, key):
        return self.owner_of_slot(slot_of(key))

    def node_at(self, port):
        return next(node for node in self.nodes if node.announced == port)

    def key_on(self, primary, form="/products/{}"):
        """A key of that form whose slot the primary owns, n from 1 up."""
        owned = set()
        for entry in primary("CLUSTER", "SLOTS"):
            if entry[2][1] == primary.announced:
                owned.update(range(entry[0], entry[1] + 1))
        return next(form.replace("{}", str(n)) for n in range(1, 100000)
                    if slot_of(form.replace("{}", str(n))) in owned)

    # --- Data -------------------------------------------------------------

    def __call__(self, command, key, *args):
        """A command with one key, sent to the key's owner."""
        return self.owner_of(key)(command, key, *args)

    def keys(self, pattern="*"):
        """All keys of all primaries (tests only: it scans)."""
        found = []
        for node in self.primaries():
            with node.connect() as resp:
                cursor = b"0"
                while True:
                    cursor, page = resp("SCAN", cursor, "MATCH", pattern,
                                        "COUNT", 1000)
                    found += [key.decode() for key in page]
                    if cursor == b"0":
                        break
        return sorted(found)

    def flush(self):
        for node in self.primaries():
            node("FLUSHALL")

    # --- Slots on the move ------------------------------------------------

    def migration_start(self, slot, to):
        """From here until migration_end, the slot answers ASK and MOVED."""
        source = self.owner_of_slot(slot)
        to("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(to))
        return source

    def migration_move_keys(self, slot, source, to, count=1000):
        keys = source("CLUSTER", "GETKEYSINSLOT", slot, count)
        if keys:
            source("MIGRATE", to.ip, to.port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def migration_end(self, slot, to):
        owner = self.id_of(to)
        to("CLUSTER", "SETSLOT", slot, "NODE", owner)
        for node in self.primaries():
            node("CLUSTER", "SETSLOT", slot, "NODE", owner)
        wait_until(lambda: all(self.owner_of_slot(slot, node) is to
                               for node in self.running()),
                   10, f"all nodes know the owner of slot {slot}")

    def move_slot(self, slot, to):
        source = self.migration_start(slot, to)
        while self.migration_move_keys(slot, source, to) > 0:
            pass
        self.migration_end(slot, to)

    def reshard(self, source, to, count):
        """Moves count slots as an operator does, by redis-cli."""
        return subprocess.run(
            ["redis-cli", "--cluster", "reshard", source.address,
             "--cluster-from", self.id_of(source),
             "--cluster-to", self.id_of(to), "--cluster-slots", str(count),
             "--cluster-yes"], check=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)

    # --- Life and death ---------------------------------------------------

    def kill(self, node):
        node.process.kill()

    def restart(self, node):
        """Starts a killed node with its cluster identity."""
        # Absolute from the first restart on, which has another directory.
        node.options["cluster-config-file"] = os.path.join(
            node.process.dir, node.options["cluster-config-file"])
        node.start()

    def stop(self):
        for node in self.nodes:
            if node.process is not None:
                node.process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
