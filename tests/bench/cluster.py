"""A real Redis Cluster of primaries only, made for one run of the bench."""

import os
import re
import shutil
import socket
import time

from proc import BenchError, Child, free_port

SLOTS = 16384
CREATE_S = 20
TRIES = 5


class Redis:
    """One blocking connection that speaks enough RESP."""

    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port), 5)
        self.input = self.stream.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.input.close()
        self.stream.close()

    def __call__(self, *words):
        parts = [str(word).encode() for word in words]
        self.stream.sendall(b"*%d\r\n" % len(parts) + b"".join(
            b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self._reply()

    def _reply(self):
        line = self.input.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            if int(rest) < 0:
                return None
            return self.input.read(int(rest) + 2)[:-2].decode("latin-1")
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        if kind == b"-":
            raise BenchError(f"redis: {rest.decode()}")
        return rest.decode()


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xffff
    return crc


class Cluster:
    """Primaries on the load's core; the slots are dealt evenly."""

    def __init__(self, stack, directory, core, primaries=3):
        if not shutil.which("redis-server"):
            raise BenchError("redis-server is not installed")
        self.ports = []
        for i in range(primaries):
            self.ports.append(_start(stack, directory, core, i))
        self.bounds = [SLOTS * i // primaries for i in range(primaries + 1)]
        self._join()

    def _join(self):
        for i, port in enumerate(self.ports):
            with Redis(port) as redis:
                redis("CLUSTER", "ADDSLOTSRANGE", self.bounds[i],
                      self.bounds[i + 1] - 1)
                if i > 0:
                    redis("CLUSTER", "MEET", "127.0.0.1", self.ports[0])
        deadline = time.monotonic() + CREATE_S
        while not all(self._is_whole(port) for port in self.ports):
            if time.monotonic() > deadline:
                raise BenchError("the cluster did not come together")
            time.sleep(0.1)

    def _is_whole(self, port):
        with Redis(port) as redis:
            info = redis("CLUSTER", "INFO")
            return ("cluster_state:ok" in info and
                    len(redis("CLUSTER", "SLOTS")) == len(self.ports))

    def seeds(self):
        return [f"127.0.0.1:{port}" for port in self.ports]

    def key_per_node(self, value):
        """Stores the value once on each node; gives KEY@HOST:PORT each."""
        found = {}
        number = 0
        while len(found) < len(self.ports):
            key = f"bench:{number}"
            slot = crc16(key.encode()) % SLOTS
            node = next(i for i in range(len(self.ports))
                        if slot < self.bounds[i + 1])
            found.setdefault(node, key)
            number += 1
        for node, key in found.items():
            with Redis(self.ports[node]) as redis:
                redis("SET", key, value)
        return [f"{found[i]}@{seed}" for i, seed in enumerate(self.seeds())]

    def hits(self):
        """Reads that found their key, on all nodes, ever."""
        total = 0
        for port in self.ports:
            with Redis(port) as redis:
                stats = redis("INFO", "stats")
                total += int(re.search(r"keyspace_hits:(\d+)",
                                       stats).group(1))
        return total


def _start(stack, directory, core, number):
    """The port of a server that answers. Between the choice of a port and
    its use another process may take it, or the bus port above it; the server
    then ends, after it has listened for a moment."""
    for _ in range(TRIES):
        try:
            return _try_start(stack, directory, core, number)
        except BenchError as error:
            said = error
    raise said


def _try_start(stack, directory, core, number):
    port = free_port(also=10000)
    home = os.path.join(directory, f"redis-{number}")
    os.makedirs(home, exist_ok=True)
    child = stack.enter_context(Child(f"redis-{number}", [
        "redis-server", "--port", port, "--bind", "127.0.0.1",
        "--cluster-enabled", "yes", "--cluster-node-timeout", 5000,
        "--save", "", "--appendonly", "no", "--dir", home,
        "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru",
    ], directory, core, cwd=home))
    child.await_port(port)
    try:
        with Redis(port) as redis:
            mine = f"process_id:{child.popen.pid}\r\n"
            if mine not in redis("INFO", "server"):
                raise BenchError(f"port {port} is another's")
    except OSError as error:
        raise BenchError(f"redis-server: {error}") from error
    child.check_alive()
    return port
