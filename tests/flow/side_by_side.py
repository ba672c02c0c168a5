#!/usr/bin/env python3
"""The cases of one test file in several processes: they wait most of the time.

side_by_side.py JOBS MODULE: whichever process is free takes the next case, in
unittest's order, so that each sets up a class or a module once at most. What
a process says is shown when it has ended.
"""

import os
import random
import signal
import sys
import tempfile
import unittest

from lib.process import die_with_parent


def cases_of(suite):
    for part in suite:
        if isinstance(part, unittest.TestSuite):
            yield from cases_of(part)
        else:
            yield part


class Taken(unittest.TestSuite):
    """Of all cases those whose numbers this process gets from the pipe."""

    _cleanup = False

    def __init__(self, cases, numbers):
        super().__init__(cases)
        self.numbers = numbers

    def __iter__(self):
        while number := os.read(self.numbers, 2):
            yield self._tests[int.from_bytes(number, "big")]


SKIPPED = 77  # as ctest knows it: a file that cannot be run here


def start(cases, numbers):
    """(pid, what it says)"""
    said = tempfile.TemporaryFile()
    pid = os.fork()
    if pid != 0:
        return pid, said
    die_with_parent()
    random.seed()  # not all of them the same
    os.dup2(said.fileno(), 1)
    os.dup2(said.fileno(), 2)
    result = unittest.TextTestRunner(verbosity=2).run(Taken(cases, numbers))
    sys.exit(0 if result.wasSuccessful() else 1)


def end(pids):
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    for pid in pids:
        os.waitpid(pid, 0)
    os._exit(1)


def main(jobs, module):
    cases = list(cases_of(
        unittest.defaultTestLoader.loadTestsFromName(module)))
    numbers, writer = os.pipe()
    os.write(writer, b"".join(n.to_bytes(2, "big") for n in range(len(cases))))
    os.close(writer)
    started = [start(cases, numbers) for _ in range(min(jobs, len(cases)))]
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, lambda sig, _: end([pid for pid, _ in started]))
    ends = set()
    for pid, said in started:
        ends.add(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        said.seek(0)
        sys.stdout.buffer.write(said.read())
        sys.stdout.flush()
    if ends == {SKIPPED}:
        return SKIPPED
    return 0 if ends <= {0, SKIPPED} else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2]))
