"""A wall clock of a daemon's own, which a test sets while the daemon runs."""

import os
import struct

from .process import temp_dir


class Clock:
    """env is what the daemon is to be started with; ahead says how many
    seconds its clock is ahead of the machine's."""

    def __init__(self, ahead=0.0):
        path = os.path.join(temp_dir("clock"), "ms")
        self._file = open(path, "w+b", buffering=0)
        self.set(ahead)
        self.env = {"LD_PRELOAD": os.environ["SET_CLOCK_LIB"],
                    "SET_CLOCK": path,
                    # The library comes before the sanitizer's, as it has to.
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
                    ":verify_asan_link_order=0"}

    def set(self, ahead):
        os.pwrite(self._file.fileno(), struct.pack("=q", int(ahead * 1000)), 0)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._file.close()
