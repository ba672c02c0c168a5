"""A name server that says what the test tells it to, in a world of its own.

enter() takes the test program, and all that it starts, into a mount and a
network namespace of its own: loopback alone, /etc/resolv.conf pointing at a
NameServer there, and a network HOLE that swallows whatever is sent to it.
It needs root, or the right to make a user namespace.
"""

import ctypes
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time

from .process import PATIENCE, temp_dir, wait_until

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
AT = "127.0.0.53"
HOLE = "10.99.0."
A, AAAA = 1, 28
SERVFAIL, NXDOMAIN = 2, 3
SKIPPED = 77  # what ctest takes for "not run here"

_libc = ctypes.CDLL(None, use_errno=True)


def _run(*argv):
    subprocess.run(argv, stdin=subprocess.DEVNULL, check=True, timeout=60,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _unshare():
    flags = CLONE_NEWNS | CLONE_NEWNET
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(flags) == 0:
        return True
    if _libc.unshare(flags | CLONE_NEWUSER) != 0:
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"),
                       ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w") as f:
            f.write(text)
    return True


def _put(path, text):
    own = os.path.join(temp_dir("etc"), os.path.basename(path))
    with open(own, "w") as f:
        f.write(text)
    os.chmod(own, 0o644)
    os.chmod(os.path.dirname(own), 0o755)
    _run("mount", "--bind", own, path)


def resolver_has(servers=1, search="", options="edns0"):
    """What /etc/resolv.conf says, for those who are started after that. A
    look-up that nobody answers takes longer than any test waits."""
    with open("/etc/resolv.conf", "w") as f:
        f.write(f"nameserver {AT}\n" * servers + f"search {search}\n"
                f"options timeout:30 attempts:5 {options}\n")


def enter():
    """In setUpModule, before there are other threads. Ends the program as one
    that was skipped where this is not allowed."""
    try:
        if not _unshare():
            raise OSError("unshare")
        _run("mount", "--make-rprivate", "/")
        _put("/etc/resolv.conf", "")
        resolver_has()
        _put("/etc/nsswitch.conf", "hosts: files dns\n")
        _put("/etc/hosts", "127.0.0.1 localhost\n")
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", "hole", "type", "veth", "peer", "name", "end")
        _run("ip", "addr", "add", HOLE + "1/24", "dev", "hole")
        with open("/proc/sys/net/ipv6/conf/hole/disable_ipv6", "w") as f:
            f.write("1")
        _run("ip", "link", "set", "end", "up")
        _run("ip", "link", "set", "hole", "arp", "off", "up")
    except (OSError, subprocess.SubprocessError) as error:
        print(f"skipped: no namespaces of one's own here ({error})",
              file=sys.stderr)
        sys.exit(SKIPPED)


def swallowed():
    """Packets that were sent into the HOLE so far."""
    with open("/proc/self/net/dev") as f:
        words = re.search(r"hole:(.*)", f.read())[1].split()
    return int(words[9])


class NameServer:
    """Answers by UDP with what are() said last; asked counts the questions
    for an A record of each name."""

    def __init__(self, **names):
        self.names = {}
        self.asked = {}
        self.rcode = 0
        self.is_silent = False
        self.delay = 0
        self.lock = threading.Lock()
        self.are(**names)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((AT, 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def are(self, rcode=0, is_silent=False, delay=0, **names):
        """are(api=["127.0.0.2"]): from here on api.test has these addresses,
        and no other name has any. rcode: every answer is that error."""
        with self.lock:
            self.names = {f"{name}.test": addresses
                          for name, addresses in names.items()}
            self.rcode, self.is_silent, self.delay = rcode, is_silent, delay

    def count(self, name="api"):
        with self.lock:
            return self.asked.get(f"{name}.test", 0)

    def wait_asked(self, more, name="api", timeout=PATIENCE):
        """Until it was asked so many times more, counting from now."""
        want = self.count(name) + more
        wait_until(lambda: self.count(name) >= want, timeout,
                   f"{more} more questions for {name}")

    @staticmethod
    def _question(data):
        labels, at = [], 12
        while data[at] != 0:
            labels.append(data[at + 1:at + 1 + data[at]].decode().lower())
            at += 1 + data[at]
        return ".".join(labels), struct.unpack(">H", data[at + 1:at + 3])[0], \
            data[12:at + 5]

    def _answer(self, data):
        name, kind, question = self._question(data)
        with self.lock:
            if kind == A:
                self.asked[name] = self.asked.get(name, 0) + 1
            if self.is_silent:
                return None
            rcode, delay = self.rcode, self.delay
            addresses = self.names.get(name)
        if rcode == 0 and addresses is None:
            rcode = NXDOMAIN
        family = socket.AF_INET if kind == A else socket.AF_INET6
        records = b""
        count = 0
        for address in addresses or [] if rcode == 0 else []:
            if (":" in address) == (kind == AAAA) and kind in (A, AAAA):
                raw = socket.inet_pton(family, address)
                records += struct.pack(
                    ">HHHIH", 0xC00C, kind, 1, 0, len(raw)) + raw
                count += 1
        time.sleep(delay)
        return data[:2] + struct.pack(
            ">HHHHH", 0x8180 | rcode, 1, count, 0, 0) + question + records

    def _serve(self):
        while True:
            try:
                data, peer = self.socket.recvfrom(4096)
                if not data:
                    return  # __exit__
                said = self._answer(data)
                if said is not None:
                    self.socket.sendto(said, peer)
            except OSError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        # close alone would leave recvfrom() asleep, and the port taken
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(10)
        self.socket.close()
