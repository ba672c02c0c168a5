"""Processes of the benchmark: started, pinned, measured, ended by pid.

Everything that the bench starts is a Child in the caller's ExitStack, so that
it ends with the bench however that ends. A Child's pids are its own and those
of its descendants: nginx, varnishd and the two-process floor are trees.
"""

import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time

READY_S = 15
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """What keeps one row from being measured, in words for the table."""


def cores():
    """(core of the server, core of the load); the same one if alone."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


def free_port(also=0):
    """A TCP port below the ephemeral range, free now; so is port + also."""
    for _ in range(1000):
        port = random.randrange(20000, 32000)
        if all(_is_free(p) for p in {port, port + also}):
            return port
    raise BenchError("no free port")


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    def __init__(self, name, argv, directory, core=None, cwd=None):
        self.name = name
        self.log_path = os.path.join(directory, f"{name}.log")
        pin = [] if core is None else ["taskset", "-c", str(core)]
        with open(self.log_path, "wb") as log:
            self.popen = subprocess.Popen(
                pin + [str(arg) for arg in argv], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd=cwd or directory,
                preexec_fn=_die_with_parent)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def last_words(self):
        lines = [line for line in self.log().splitlines() if line.strip()]
        return lines[-1][:160] if lines else "no word"

    def check_alive(self):
        status = self.popen.poll()
        if status is None:
            return
        how = f"signal {-status}" if status < 0 else f"status {status}"
        raise BenchError(f"ended with {how}: {self.last_words()}")

    def pids(self):
        """This process and all that descend from it."""
        found, fresh = [], [self.popen.pid]
        while fresh:
            pid = fresh.pop()
            found.append(pid)
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children") as kids:
                        fresh += [int(kid) for kid in kids.read().split()]
            except OSError:
                continue
        return found

    def cpu_ns(self):
        """User and system time of the tree, in ns, by the scheduler."""
        total = 0
        for pid in self.pids():
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
                        total += int(stat.read().split()[0])
            except OSError:
                continue
        return total

    def memory_bytes(self):
        """Proportional set size of the tree."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += int(re.search(r"^Pss:\s+(\d+) kB", rollup.read(),
                                       re.M).group(1)) * 1024
        return total

    def await_line(self, pattern, timeout_s=READY_S):
        """The match of the pattern in what the process has said so far."""
        deadline = time.monotonic() + timeout_s
        while True:
            match = re.search(pattern, self.log())
            if match:
                return match
            self.check_alive()
            if time.monotonic() > deadline:
                raise BenchError(f"not ready: {self.last_words()}")
            time.sleep(0.02)

    def await_ready(self, timeout_s=READY_S):
        """Waits for the two lines of floors and daemon; gives the port."""
        self.await_line(r"(?m)^ready$", timeout_s)
        return int(self.await_line(r"listening on \S+:(\d+) \(http\)",
                                   timeout_s).group(1))

    def await_port(self, port, timeout_s=READY_S):
        deadline = time.monotonic() + timeout_s
        while True:
            self.check_alive()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise BenchError(f"not ready: {self.last_words()}")
                time.sleep(0.02)

    def end(self, patience=(2, 3)):
        """SIGTERM, again (a drain is cut short by a second), SIGKILL."""
        family = self.pids()
        for patience_s in patience:
            if self.popen.poll() is not None:
                break
            self.popen.terminate()
            try:
                self.popen.wait(patience_s)
            except subprocess.TimeoutExpired:
                pass
        if self.popen.poll() is None:
            for pid in family:
                _kill(pid)
            self.popen.wait()


def _kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_on_signals():
    """Lets SIGTERM unwind the bench as Ctrl-C does."""
    def leave(number, _frame):
        sys.exit(128 + number)
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
