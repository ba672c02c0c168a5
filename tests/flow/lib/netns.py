"""Hosts on one machine: network namespaces, joined by a bridge.

enter() takes the test program itself into a namespace of its own, in which
the bridge lies at 10.77.0.1; each Host is a further namespace with an
address beside it. A cut drops what two hosts send each other and tells
neither. All of it ends with the processes that hold it, so that nothing is
left over. It needs root.
"""

import ctypes
import os
import subprocess

from .process import Process, wait_until

CLONE_NEWNET = 0x40000000
HUB = "10.77.0.1"
# Nobody has this address, so what is sent to it reaches nobody.
NOWHERE = "02:00:00:00:00:fe"

_libc = ctypes.CDLL(None, use_errno=True)


def _run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)}: {done.stdout}")


def enter():
    """From here on this program and its children are in a network of their
    own. Call it in the main thread, before there are others. False: not
    allowed here."""
    if os.geteuid() != 0 or _libc.unshare(CLONE_NEWNET) != 0:
        return False
    try:
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", "hub", "type", "bridge")
        _run("ip", "addr", "add", HUB + "/24", "dev", "hub")
        _run("ip", "link", "set", "hub", "up")
    except (AssertionError, FileNotFoundError):
        return False
    return True


class Host:
    """A namespace with the address 10.77.0.n; `enter` goes before an argv
    that is to run in it."""

    _count = 1

    def __init__(self):
        Host._count += 1
        self._link = f"v{Host._count}"
        self.ip = f"10.77.0.{Host._count}"
        self._holder = Process(["unshare", "-n", "sleep", "infinity"],
                               name=f"host-{self.ip}")
        net = f"/proc/{self._holder.pid}/ns/net"
        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(net) != own, what=f"namespace {self.ip}")
        self.enter = ("nsenter", f"--net={net}", "--")
        _run("ip", "link", "add", self._link, "type", "veth",
             "peer", "name", f"p{self._link}")
        _run("ip", "link", "set", f"p{self._link}", "netns",
             str(self._holder.pid))
        _run("ip", "link", "set", self._link, "master", "hub", "up")
        self._inside("link", "set", "lo", "up")
        self._inside("link", "set", f"p{self._link}", "name", "eth0", "up")
        self._inside("addr", "add", self.ip + "/24", "dev", "eth0")

    def _inside(self, *words):
        _run(*self.enter, "ip", *words)

    def move(self):
        """Gives it another address, as a container gets that is made anew."""
        self._inside("addr", "flush", "dev", "eth0", "scope", "global")
        Host._count += 1
        self.ip = f"10.77.0.{Host._count}"
        self._inside("addr", "add", self.ip + "/24", "dev", "eth0")

    def _forget(self, other):
        self._inside("neigh", "replace", other.ip, "lladdr", NOWHERE,
                     "dev", "eth0", "nud", "permanent")

    def _recall(self, other):
        self._inside("neigh", "del", other.ip, "dev", "eth0")

    def stop(self):
        self._holder.stop()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


def cut(some, others):
    """From now on nothing passes between one of `some` and one of `others`,
    and no connection is told."""
    for one in some:
        for other in others:
            one._forget(other)
            other._forget(one)


def heal(some, others):
    for one in some:
        for other in others:
            one._recall(other)
            other._recall(one)
