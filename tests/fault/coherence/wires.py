"""The wires between daemons and nodes, so that those of one daemon can break
alone.

Each node announces the port of a relay in place of its own. The relay knows
who has connected: the kernel lists which socket is at the other end, and which
process holds it. Rules say what becomes of the bytes:

    delay    they arrive that much later
    stall    they wait, and no one is told, as behind a cut cable
    refuse   connections are reset, and new ones too

A wire that carries a tracking link is known by the command TRACKING, so that
links can break alone, or all but them. Other processes than daemons (replicas,
redis-cli) are never hindered.
"""

import asyncio
import collections
import os
import socket
import struct

from helper import obey

HELD_MAX = 1 << 20  # in one direction of a wire; beyond, it is not read
TRACKING = b"TRACKING"
RESET = struct.pack("ii", 1, 0)  # to linger for 0 s


# The kernel's list of sockets, asked for one of them (sock_diag(7)): a look
# through /proc/net/tcp takes too long where there are thousands.
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
HEAD = struct.Struct("=IHHII")         # nlmsghdr
QUESTION = struct.Struct("=BBBBI")     # of inet_diag_req_v2
PORTS = struct.Struct(">HH")           # of inet_diag_sockid, as what follows
HOST = socket.inet_aton("127.0.0.1") + bytes(12)
NO_COOKIE = struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
INODE_AT = HEAD.size + 68              # in inet_diag_msg


def _socket_of(port, to_port):
    """The inode of the socket that has that port and is connected to the other
    one, on this machine; 0: it is gone."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW,
                       NETLINK_SOCK_DIAG) as asked:
        body = (QUESTION.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0,
                              0xFFFFFFFF)
                + PORTS.pack(port, to_port) + HOST + HOST + NO_COOKIE)
        asked.send(HEAD.pack(HEAD.size + len(body), SOCK_DIAG_BY_FAMILY, 1, 1,
                             0) + body)
        answer = asked.recv(4096)
    if HEAD.unpack_from(answer)[1] != SOCK_DIAG_BY_FAMILY:
        return 0
    return struct.unpack_from("=I", answer, INODE_AT)[0]


def _sockets_of(pid):
    found = set()
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                name = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue  # it has been closed meanwhile
            if name.startswith("socket:["):
                found.add(int(name[8:-1]))
    except OSError:
        pass  # the process has ended
    return found


class Rule:
    """who: a daemon's name, or None for every daemon; node: a number or None;
    kind: "link", "data" or None for both."""

    def __init__(self, mode, who=None, node=None, kind=None, seconds=0.0):
        self.mode = mode
        self.who = who
        self.node = node
        self.kind = kind
        self.seconds = seconds

    def fits(self, wire):
        return (wire.who is not None and self.who in (None, wire.who)
                and self.node in (None, wire.node)
                and self.kind in (None, wire.kind))


class _Side(asyncio.Protocol):
    """One end of a wire: what comes in here goes out at the other."""

    def __init__(self, wire, is_near):
        self.wire = wire
        self.is_near = is_near
        self.other = None
        self.transport = None
        self.queue = collections.deque()  # of (due, bytes; None: the end)
        self.held = 0
        self.timer = None

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(high=HELD_MAX)
        if self.is_near:
            self.wire.begin()

    def data_received(self, data):
        if self.is_near and TRACKING in data:
            self.wire.is_link_now()
        self._take(data)

    def eof_received(self):
        self._take(None)
        return True

    def connection_lost(self, exc):
        if exc is not None:
            self.wire.end()
        elif not self.wire.is_over:
            self._take(None)

    def pause_writing(self):
        self.other.transport.pause_reading()

    def resume_writing(self):
        self.other._read_on()

    def _take(self, data):
        due = asyncio.get_running_loop().time() + self.wire.delay
        self.queue.append((due, data))
        self.held += len(data or b"")
        if self.held > HELD_MAX:
            self.transport.pause_reading()
        self.pump()

    def _read_on(self):
        if self.transport is not None and self.held <= HELD_MAX:
            self.transport.resume_reading()

    def pump(self):
        """Sends on what is due."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.wire.is_stalled or self.other.transport is None:
            return
        now = asyncio.get_running_loop().time()
        while self.queue and self.queue[0][0] <= now:
            _, data = self.queue.popleft()
            if data is None:
                self.wire.end(is_polite=True)
                return
            self.held -= len(data)
            if not self.other.transport.is_closing():
                self.other.transport.write(data)
        self._read_on()
        if self.queue:
            self.timer = asyncio.get_running_loop().call_at(
                self.queue[0][0], self.pump)


class _Wire:
    """A connection to a relay, and the relay's to the node."""

    def __init__(self, relay):
        self.wires = relay.wires
        self.node = relay.node
        self.to_port = relay.to_port
        self.port = relay.port
        self.kind = "data"
        self.who = None
        self.inode = 0
        self.delay = 0.0
        self.is_stalled = False
        self.is_over = False
        self.near = _Side(self, True)
        self.far = _Side(self, False)
        self.near.other, self.far.other = self.far, self.near

    def begin(self):
        peer = self.near.transport.get_extra_info("peername")
        self.inode = _socket_of(peer[1], self.port)
        self.wires.all.add(self)
        self.who = self.wires.holder_of(self.inode)
        self.obey_rules()
        if not self.is_over:
            asyncio.ensure_future(self._connect())

    async def _connect(self):
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self.far, "127.0.0.1", self.to_port)
        except OSError:
            self.end()
            return
        if self.is_over:
            self.far.transport.abort()  # nothing was sent
        else:
            self.near.pump()

    def is_link_now(self):
        if self.kind != "link":
            self.kind = "link"
            self.obey_rules()

    def obey_rules(self):
        fits = [rule for rule in self.wires.rules.values() if rule.fits(self)]
        self.delay = max([rule.seconds for rule in fits], default=0.0)
        self.is_stalled = any(rule.mode == "stall" for rule in fits)
        if any(rule.mode == "refuse" for rule in fits):
            self.end()
            return
        self.near.pump()
        self.far.pump()

    def end(self, is_polite=False):
        """Politely: what has been written to either end still goes there."""
        if self.is_over:
            return
        self.is_over = True
        self.wires.all.discard(self)
        for side in (self.near, self.far):
            if side.timer is not None:
                side.timer.cancel()
            if side.transport is None:
                continue
            if is_polite:
                side.transport.close()
            else:
                side.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                side.transport.abort()


class _Relay:
    def __init__(self, wires, node, to_port, port):
        self.wires = wires
        self.node = node
        self.to_port = to_port
        self.port = port


class _Wires:
    def __init__(self):
        self.all = set()
        self.rules = {}
        self.pids = {}

    def holder_of(self, inode):
        return next((name for name, pid in self.pids.items()
                     if inode in _sockets_of(pid)), None) if inode else None

    # --- For the owner ----------------------------------------------------

    def pids_are(self, pids):
        self.pids = pids
        for wire in list(self.all):
            wire.who = self.holder_of(wire.inode)
            wire.obey_rules()

    def set_rule(self, name, rule):
        """How many wires there are now that the rule is for."""
        self.rules[name] = rule
        fits = [wire for wire in self.all if rule.fits(wire)]
        for wire in fits:
            wire.obey_rules()
        return len(fits)

    def end_rule(self, name, drops):
        """drops: what waited is lost, with its connection; else it arrives
        now."""
        rule = self.rules.pop(name)
        for wire in list(self.all):
            if not rule.fits(wire):
                continue
            if drops and wire.is_stalled:
                wire.end()
            else:
                wire.obey_rules()

    def count(self):
        """{(who, kind): wires}"""
        return dict(collections.Counter(
            (wire.who, wire.kind) for wire in self.all))


def main(pipe, to_ports):
    """to_ports: of each node; the owner is told the relays' ports."""
    async def run():
        loop = asyncio.get_running_loop()
        wires = _Wires()
        ports, servers = [], []
        for node, to_port in enumerate(to_ports):
            relay = _Relay(wires, node, to_port, 0)
            server = await loop.create_server(
                lambda relay=relay: _Wire(relay).near, "127.0.0.1", 0,
                backlog=1024)
            relay.port = server.sockets[0].getsockname()[1]
            ports.append(relay.port)
            servers.append(server)
        pipe.send(ports)
        obey(pipe, loop, wires)
        await asyncio.gather(*(s.serve_forever() for s in servers))
    asyncio.run(run())
