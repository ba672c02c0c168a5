"""Clocks of a daemon's own, which a test sets while the daemon runs."""

import os
import struct

from .process import temp_dir


def turns(client, count=3):
    """Returns when the worker that has this idle connection has gone round so
    often: it has done all that was ready, or due, when this was called. With
    one worker this tells of all connections."""
    for _ in range(count):
        client.request("OPTIONS", "*", {"Max-Forwards": "0"})
        client.read_response()


class Clock:
    """env is what the daemon is to be started with; ahead says how many
    seconds its wall clock is ahead of the machine's."""

    def __init__(self, ahead=0.0):
        path = os.path.join(temp_dir("clock"), "ms")
        self._file = open(path, "w+b", buffering=0)
        self._passed = 0.0
        self.set(ahead)
        self.env = {"LD_PRELOAD": os.environ["SET_CLOCK_LIB"],
                    "SET_CLOCK": path,
                    # The library comes before the sanitizer's, as it has to.
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
                    ":verify_asan_link_order=0"}

    def set(self, ahead):
        self._ahead = ahead
        self._write()

    def move_on(self, seconds):
        """As if the daemon had been left alone for so long. It sees that when
        it wakes: a socket is ready, or a time has come that it waits for."""
        self._ahead += seconds
        self._passed += seconds
        self._write()

    def move_on_and_see(self, seconds, client):
        """The same; the worker of this idle client has seen it."""
        self.move_on(seconds)
        turns(client)

    def _write(self):
        os.pwrite(self._file.fileno(), struct.pack(
            "=qq", int(self._ahead * 1000), int(self._passed * 1000)), 0)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._file.close()
