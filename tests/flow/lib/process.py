"""A program that a test started: it never outlives the test.

Each child asks the kernel to be killed when the thread that started it ends
(so start processes from the main thread), which holds even when ctest kills
the test for its time. A test that ends by itself stops its children by pid.
"""

import atexit
import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
LOG_TAIL = 64 * 1024
# Seconds for what must come, on a machine that others may starve: only a test
# that fails waits so long.
PATIENCE = 60.0

_libc = ctypes.CDLL(None, use_errno=True)
_running = []
_started = []  # all of this test program, for the logs of failing tests
_root = None


def wait_until(condition, timeout=PATIENCE, what=None, every=0.02):
    """Asks until condition() is true and returns what it answered."""
    end = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= end:
            name = what or getattr(condition, "__name__", "a condition")
            raise AssertionError(f"not within {timeout} s: {name}")
        time.sleep(every)


def temp_dir(name):
    """A new directory, removed when the test program ends."""
    global _root
    if _root is None:
        _root = tempfile.mkdtemp(prefix="nearside-test-")
        # Daemons of tests run as this user; nobody else has business here.
        os.chmod(_root, 0o700)
    return tempfile.mkdtemp(prefix=name + "-", dir=_root)


def started_since(mark):
    return _started[mark:]


def started_mark():
    return len(_started)


def die_with_parent():
    """For preexec_fn: the child is killed when this thread ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Process:
    """argv runs from __init__ to stop(), or as a context manager.

    ready: a regular expression; the start waits until a line of the log (its
    stdout and stderr) matches, and keeps the match as self.ready.
    """

    def __init__(self, argv, name=None, ready=None, env=None,
                 timeout=PATIENCE):
        self.name = name or os.path.basename(argv[0])
        self.dir = temp_dir(self.name)
        self.log_path = os.path.join(self.dir, "log")
        self.argv = argv
        self.env = dict(os.environ, **(env or {}))
        self.ready = None
        self._kept_log = None
        self._spawn()
        _started.append(self)
        if ready is not None:
            self._await_ready(ready, timeout)

    def _spawn(self):
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.env, cwd=self.dir, preexec_fn=die_with_parent)
        _running.append(self)

    def _await_ready(self, pattern, timeout):
        try:
            self.ready = self.wait_log(pattern, timeout)
        except AssertionError:
            self.kill()
            raise

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def log(self):
        if self._kept_log is not None:
            return self._kept_log
        with open(self.log_path, "rb") as f:
            size = f.seek(0, os.SEEK_END)
            f.seek(max(0, size - LOG_TAIL))
            return f.read().decode("utf-8", "backslashreplace")

    def wait_log(self, pattern, timeout=PATIENCE):
        """The first match of pattern in the log, line ends as in re.M."""
        seen = re.compile(pattern, re.M)

        def is_there():
            match = seen.search(self.log())
            if match is None and not self.is_running():
                # What it wrote last may have come between the two looks.
                match = seen.search(self.log())
                if match is None:
                    raise AssertionError(
                        f"{self.name} ended with {self.popen.returncode}"
                        f" before it said {pattern!r}:\n{self.log()}")
            return match

        return wait_until(is_there, timeout, f"{self.name} says {pattern!r}")

    def lines(self, pattern):
        """The matches of pattern in the log, one a line that has been written
        to its end."""
        seen = re.compile(pattern)
        found = map(seen.search, self.log().split("\n")[:-1])
        return [match for match in found if match is not None]

    def wait_logged(self, pattern, count=1, timeout=PATIENCE):
        """The matches, one a line; fails if there are more than `count`."""
        found = wait_until(
            lambda: len(found := self.lines(pattern)) >= count and found,
            timeout, f"{self.name} says {pattern!r} {count} times")
        if len(found) != count:
            raise AssertionError(
                f"{self.name} says {pattern!r} {len(found)} times,"
                f" not {count}:\n{self.log()}")
        return found

    def signal(self, sig):
        self.popen.send_signal(sig)

    def pause(self):
        """Hangs it: connections stay up and nothing answers."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", what=f"{self.name} stops")

    def resume(self):
        # Not to one that runs: it would wake the leak checker's stopped world.
        if self._state() == "T":
            self.signal(signal.SIGCONT)

    def _state(self):
        with open(f"/proc/{self.pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    def memory_kb(self, field="VmRSS"):
        """VmRSS (now) or VmHWM (the most so far), in KiB."""
        with open(f"/proc/{self.pid}/status") as f:
            for line in f:
                if line.startswith(field + ":"):
                    return int(line.split()[1])
        raise KeyError(field)

    def cpu_seconds(self):
        """User and system time so far."""
        with open(f"/proc/{self.pid}/stat") as f:
            words = f.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def assert_does_not_spin(self):
        """With nothing to do it does next to nothing. Others on the machine
        can only lessen its share of the time, and put off what it still has
        to do: it may take some looks until it has come to rest."""
        shares = []
        while not shares or shares[-1] >= 0.2:
            if len(shares) == 6:
                raise AssertionError(f"{self.name} is busy: {shares}")
            start, cpu = time.monotonic(), self.cpu_seconds()
            time.sleep(0.5)  # the CPU time of a while is what is asserted
            shares.append(
                (self.cpu_seconds() - cpu) / (time.monotonic() - start))

    def fds(self):
        """The numbers of its open files."""
        return sorted(map(int, os.listdir(f"/proc/{self.pid}/fd")))

    def watched(self):
        """How many files each of its epoll instances watches."""
        counts = []
        for fd in self.fds():
            try:
                with open(f"/proc/{self.pid}/fdinfo/{fd}") as f:
                    counts.append(f.read().count("tfd:"))
            except FileNotFoundError:
                pass  # it has been closed meanwhile
        return counts

    def wait(self, timeout=PATIENCE):
        return self.popen.wait(timeout)

    def kill(self):
        """SIGKILL, as a power cut would."""
        if self.is_running():
            self.popen.kill()
        self.popen.wait()
        self._bury()

    def stop(self, timeout=PATIENCE):
        """SIGTERM, then SIGKILL after `timeout`; returns the exit status."""
        if self.is_running():
            self.popen.terminate()
            self.resume()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
                self._bury()
                raise AssertionError(
                    f"{self.name} did not end within {timeout} s of SIGTERM")
        self._bury()
        return self.popen.returncode

    def _bury(self):
        if self in _running:
            _running.remove(self)
            self._kept_log = self.log()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self in _running:
            self.stop()


def _kill_all():
    for process in list(_running):
        process.popen.kill()
        process.popen.wait()
    _running.clear()
    if _root is not None:
        shutil.rmtree(_root, ignore_errors=True)


def _on_signal(sig, frame):
    del frame
    _kill_all()
    os._exit(128 + sig)


atexit.register(_kill_all)
signal.signal(signal.SIGTERM, _on_signal)
signal.signal(signal.SIGINT, _on_signal)
