"""The daemon under test."""

import json
import os
import re
import shlex
import signal
import subprocess

from .process import PATIENCE, Process, temp_dir, wait_until
from .wire import Connection, fetch

# What a sanitizer, a failed check or valgrind says; none is ever right.
TROUBLE = re.compile(
    r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|MemorySanitizer"
    r"|runtime error:|MUST\(|check failed|definitely lost: [1-9]")

BUSY = ("redis_node_rests", "redis_writes_unanswered", "redis_no_map")

METRIC = re.compile(r"(\w+)(\{.*\})? (\S+)\Z")


class Nearside:
    """nearside with a conf file, or by flags alone.

    conf: the file's text; @DIR@ in it stands for a new directory. Without
    one, `args` has to say all. NEARSIDE_BIN names the program if `program`
    does not; NEARSIDE_WRAP may name what runs it (`valgrind
    --error-exitcode=9`), `wrap` what runs that (prlimit).
    """

    def __init__(self, conf=None, args=(), env=None, name="nearside",
                 timeout=PATIENCE, wrap=(), program=None):
        self.name = name
        self.env = env
        self.timeout = timeout
        self.dir = temp_dir(name)
        self.argv = [*wrap, *shlex.split(os.environ.get("NEARSIDE_WRAP", ""))]
        self.argv.append(program or os.environ["NEARSIDE_BIN"])
        self.conf_path = os.path.join(self.dir, "nearside.conf")
        if conf is not None:
            self.write_conf(conf)
            self.argv += ["-c", self.conf_path]
        self.argv += list(args)
        self.process = None
        self.is_killed = False
        self.start()

    def write_conf(self, conf):
        with open(self.conf_path, "w") as f:
            f.write(conf.replace("@DIR@", self.dir))

    def start(self):
        """Starts it, or starts it again."""
        self.is_killed = False
        self.process = Process(self.argv, self.name, r"^(?:.*\s)?ready\b",
                               self.env, self.timeout)
        said = self.process.log()
        self.ports = [int(p) for p in re.findall(
            r"listening on \S*:(\d+) \(http\)", said)]
        self.unix_paths = re.findall(
            r"listening on unix:(\S+) \(http\)", said)
        self.metrics_port = self._first_int(
            r"listening on \S*:(\d+) \(metrics\)", said)
        admin = re.search(
            r"listening on (?:unix:(\S+)|\S*:(\d+)) \(admin\)", said)
        self.admin = (admin[1] or int(admin[2])) if admin else None
        return self

    @staticmethod
    def _first_int(pattern, text):
        match = re.search(pattern, text)
        return int(match[1]) if match else None

    @property
    def port(self):
        return self.ports[0]

    @property
    def pid(self):
        return self.process.pid

    def connect(self, **more):
        return Connection(self.port, **more)

    def get(self, target, **more):
        return fetch(self.port, target, **more)

    def status(self):
        """The admin listener's /status."""
        answer = fetch(self.admin, "/status", host="localhost")
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def metrics(self):
        """{'name{label="x"}': value}, as /metrics says it."""
        answer = fetch(self.metrics_port, "/metrics")
        assert answer.status == 200, answer
        found = {}
        for line in answer.body.decode().splitlines():
            if line and not line.startswith("#"):
                match = METRIC.match(line)
                assert match is not None, f"not a metric: {line!r}"
                found[match[1] + (match[2] or "")] = float(match[3])
        return found

    def metric(self, name, **labels):
        """The sum of all series of that name that have these labels."""
        total = 0.0
        for series, value in self.metrics().items():
            base, _, rest = series.partition("{")
            if base == name and all(
                    f'{k}="{v}"' in rest for k, v in labels.items()):
                total += value
        return total

    def wait_metric(self, name, at_least, timeout=PATIENCE, **labels):
        wait_until(lambda: self.metric(name, **labels) >= at_least, timeout,
                   f"{name}{labels} >= {at_least}")

    def log(self):
        """What is written so far. A thread of the daemon's own writes it: what
        was answered may be there a moment later, even `started` after the
        start. To see that a line is there, wait for it."""
        return self.process.log()

    def wait_log(self, pattern, timeout=PATIENCE):
        return self.process.wait_log(pattern, timeout)

    def lines(self, pattern):
        return self.process.lines(pattern)

    def wait_logged(self, pattern, count=1, timeout=PATIENCE):
        return self.process.wait_logged(pattern, count, timeout)

    def whole_log(self):
        """Stops it, so that nothing is still on its way into the log."""
        self.stop()
        return self.log()

    def warnings(self):
        """The names of what it has warned of until its end, but for what it
        says of a Redis that has no time to answer: on a busy machine that may
        be so."""
        names = re.findall(r"Z (?:error|warn) (\w+)", self.whole_log())
        return [name for name in names if name not in BUSY]

    def signal(self, sig):
        self.process.signal(sig)

    def pause(self):
        self.process.pause()

    def resume(self):
        self.process.resume()

    def kill(self):
        self.is_killed = True
        self.process.kill()

    def stop(self, timeout=PATIENCE):
        """SIGTERM, a second one to skip the drain; must end cleanly."""
        process = self.process
        if process.is_running():
            process.signal(signal.SIGTERM)
            process.resume()
            try:
                process.wait(0.3)
            except subprocess.TimeoutExpired:
                if process.is_running():
                    process.signal(signal.SIGTERM)
        status = process.stop(timeout)
        self.check(status)
        return status

    def check(self, status=0):
        """Fails if it crashed, leaked or broke a check of its own."""
        said = self.log()
        trouble = TROUBLE.search(said)
        if trouble is not None:
            raise AssertionError(f"{self.name}: {trouble[0]}:\n{said}")
        if status != 0 and not self.is_killed:
            raise AssertionError(
                f"{self.name} ended with {status}:\n{said}")

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, trace):
        if self.process.is_running():
            self.stop()
        else:
            self.check(self.process.popen.returncode)
