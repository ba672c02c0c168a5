"""Crowds of slow clients, and good requests whose times are measured
meanwhile."""

import os
import selectors
import socket
import time

from .load import Load, quantile
from .process import PATIENCE


# A sanitizer makes everything slow, and unevenly so.
SLACK = 20 if os.environ.get("NEARSIDE_SANITIZE") else 1


class Crowd:
    """count connections that send `first` and then, at each tick(), `more`.

    receive_buffer: small for a client that does not read. They come at a
    rate of so many a second, lest this process is what gets slow.
    """

    def __init__(self, port, count, first, more=b"", receive_buffer=None,
                 rate=500):
        self.more = more
        self.socks = []
        start = time.monotonic()
        for i in range(count):
            time.sleep(max(0.0, start + i / rate - time.monotonic()))
            sock = socket.socket()
            if receive_buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                receive_buffer)
            sock.settimeout(PATIENCE)
            sock.connect(("127.0.0.1", port))
            sock.sendall(first)
            self.socks.append(sock)

    def tick(self):
        for sock in self.socks:
            try:
                sock.send(self.more)
            except OSError:
                pass  # it has been ended

    def statuses(self, timeout=PATIENCE):
        """The status of each one's answer, read until its end or for
        `timeout` in all; None: there was no answer."""
        found = {sock: b"" for sock in self.socks}
        end = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            for sock in self.socks:
                selector.register(sock, selectors.EVENT_READ)
            while selector.get_map() and time.monotonic() < end:
                for key, _ in selector.select(0.1):
                    self._read(key.fileobj, found, selector)
        return [int(data[9:12]) if data else None for data in found.values()]

    @staticmethod
    def _read(sock, found, selector):
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        found[sock] += data[:16]
        if not data or len(found[sock]) >= 12:
            selector.unregister(sock)

    def close(self):
        for sock in self.socks:
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


class TooSlow(AssertionError):
    """Good requests took longer than they may."""


def measured(measure, times=2):
    """measure(); if it finds things too slow, again, since a machine may
    have had something else to do."""
    for _ in range(times - 1):
        try:
            return measure()
        except TooSlow as error:
            print(f"\n  again: {error}")
    return measure()


class Good:
    """Good requests at a steady rate: hits and passes over connections that
    are kept, and hits on new ones. `calm` has to be called first.

    beside: another Good, of a daemon that nobody attacks: what it suffers
    is the machine's doing.
    """

    def __init__(self, port, hits, passes, local="127.0.0.1", beside=None):
        self.beside = beside

        def judge(answer):
            if answer.status != 200:
                return f"status {answer.status}"
            if answer.target in hits and not answer.is_hit:
                return "no hit"
            return None

        self.loads = {
            "hits": Load([port], hits, 20, 0.1, judge, local=local),
            "passes": Load([port], passes, 5, 0.1, judge, local=local),
            "new": Load([port], hits, 5, 0.1, judge, is_fresh=True,
                        local=local),
        }
        self.before = None

    def marks(self):
        marks = {name: load.mark() for name, load in self.loads.items()}
        if self.beside is not None:
            marks["beside"] = self.beside.marks()
        return marks

    def since(self, marks):
        return {name: load.since(marks[name])
                for name, load in self.loads.items()}

    def calm(self, seconds):
        """Measures what is usual."""
        marks = self.marks()
        time.sleep(seconds)  # a while of load is what is measured
        self.before = self.since(marks)
        return self.before

    def check(self, marks, factor=2.0, floor=0.010):
        """Nobody failed since the marks, and no kind's p99 is above factor
        times what it was nor, where that is less, above it by floor: on two
        cores that the attackers share, a few ms are the scheduler's. Nor is
        it above factor times what it is beside. Returns a line of figures."""
        said = []
        for name, answers in self.since(marks).items():
            self.loads[name].check()
            before = quantile(self.before[name], 0.99)
            after = quantile(answers, 0.99)
            said.append(
                f"{name} p50 {quantile(self.before[name], 0.5) * 1e3:.1f}"
                f" -> {quantile(answers, 0.5) * 1e3:.1f} ms, p99"
                f" {before * 1e3:.1f} -> {after * 1e3:.1f} ms"
                f" ({len(answers)})")
            if self.beside is not None:
                usual = quantile(
                    self.beside.since(marks["beside"])[name], 0.99)
                said[-1] += f", beside {usual * 1e3:.1f} ms"
                before = max(before, usual)
            if after > max(factor * before, before + floor * SLACK):
                raise TooSlow("; ".join(said))
        return "; ".join(said)

    def __enter__(self):
        for load in self.loads.values():
            load.start()
        return self

    def __exit__(self, *exc):
        for load in self.loads.values():
            load.stop()
