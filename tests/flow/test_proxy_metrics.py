"""/metrics and the numbers of /status: what is counted, and that Prometheus
can read it."""

import os
import re
import shutil
import subprocess
import time
import unittest

from lib import (FlowTest, Nearside, RedisServer, ScriptedOrigin, fetch,
                 wait_until)
from lib.scripted import answer, conf

ROUTES = ('route "/kept/:id" { ttl = 60s }\n'
          'route "/other/*" { ttl = 60s }\n')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|\Z)')
SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)\Z")


def read(text):
    """{family: (kind, {series: value})}, by the text format's rules; what
    breaks one of them raises AssertionError."""
    families = {}
    name = kind = None
    for line in text.split("\n")[:-1]:
        words = line.split(" ", 3)
        if line.startswith("# HELP "):
            assert len(words) == 4 and words[3], line
            name, kind = words[2], None
            assert name not in families, f"{name} is not in one place"
            continue
        if line.startswith("# TYPE "):
            assert words[2] == name and kind is None, line
            kind = words[3]
            assert kind in ("counter", "gauge", "histogram"), line
            families[name] = (kind, {})
            continue
        match = SAMPLE.match(line)
        assert match is not None and kind is not None, line
        base, labels, value = match.groups()
        assert base == name or (
            kind == "histogram" and base in (
                f"{name}_bucket", f"{name}_sum", f"{name}_count")), line
        assert LABEL.sub("", labels or "") == "", line
        names = [n for n, _ in LABEL.findall(labels or "")]
        assert len(names) == len(set(names)), line
        series = (base, labels)
        assert series not in families[name][1], f"twice: {line}"
        families[name][1][series] = float(value)
    assert text.endswith("\n")
    return families


def check_histogram(name, series):
    """Buckets grow, and the last is the count."""
    buckets = {}
    for (base, labels), value in series.items():
        if base == f"{name}_bucket":
            own = re.sub(r',?le="[^"]*"', "", labels)
            buckets.setdefault(own, []).append(value)
            last = 'le="+Inf"' in labels
            buckets[own, "closed"] = last
    for own, values in buckets.items():
        if isinstance(own, tuple):
            assert values, f"{name}{{{own[0]}}} has no +Inf at its end"
            continue
        assert values == sorted(values), (name, own, values)
        count = series[f"{name}_count", own or None]
        assert values[-1] == count, (name, own)
        assert (f"{name}_sum", own or None) in series, (name, own)


class Metrics(FlowTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.redis = cls.use_in_class(RedisServer())
        cls.origin = cls.use_in_class(ScriptedOrigin(cls.respond))
        cls.daemon = cls.use_in_class(Nearside(conf(
            cls.origin.url, ROUTES, redis=cls.redis).replace(
                "admin = off", 'admin = "127.0.0.1:0"')))
        for target in ("/kept/1", "/kept/1", "/kept/1", "/kept/private",
                       "/kept/404", "/other/500", "/none"):
            cls.daemon.get(target)
        cls.daemon.get("/kept/1", method="DELETE")
        cls.daemon.get("/kept/3", fields=[("Cookie", "a=b")])
        cls.daemon.get("/kept/1?x", method="GET")
        wait_until(lambda: cls.daemon.metric("nearside_requests_total") == 10,
                   what="ten requests are over")

    @staticmethod
    def respond(connection, request, n):
        del n
        last = request.target.rsplit("/", 1)[-1]
        fields = [("Cache-Control", "private")] if last == "private" else []
        status = {"404": "404 Not Found", "500": "500 Oops"}.get(
            last, "200 OK")
        return answer(connection, b"x", fields, status)

    def text(self):
        got = fetch(self.daemon.metrics_port, "/metrics")
        self.assertEqual(got.status, 200)
        return got.body.decode()

    def count(self, name, **labels):
        return self.daemon.metric(name, **labels)

    def test_requests_are_counted_by_route_result_and_status_class(self):
        requests = "nearside_requests_total"
        for route, result, status, n in (
                ("/kept/:id", "hit", "2xx", 2),
                ("/kept/:id", "miss", "2xx", 3),
                ("/kept/:id", "miss", "4xx", 1),
                ("/kept/:id", "bypass", "2xx", 1),
                ("/kept/:id", "write", "2xx", 1),
                ("/other/*", "miss", "5xx", 1),
                ("-", "pass", "2xx", 1)):
            self.assertEqual(self.count(
                requests, route=route, result=result, status=status), n,
                (route, result, status))
        # What never happened is shown for the usual class alone.
        rows = [series for series in self.daemon.metrics()
                if series.startswith(requests) and "/other" in series]
        self.assertEqual(len(rows), 11)

    def test_latency_is_counted_by_route_and_tier(self):
        seconds = "nearside_request_seconds_count"
        self.assertEqual(self.count(seconds, route="/kept/:id",
                                    tier="shared"), 2)
        self.assertEqual(self.count(seconds, route="/kept/:id",
                                    tier="origin"), 6)
        self.assertEqual(self.count(seconds, route="/other/*"), 1)
        self.assertEqual(self.count(seconds, route="-"), 1)

    def test_what_is_stored_and_what_is_not_is_counted_by_reason(self):
        self.daemon.wait_metric("nearside_stores_total", 2)
        for reason, n in (("private", 1), ("status", 2), ("cookie", 1),
                          ("no-store", 0), ("other", 0)):
            self.assertEqual(self.count("nearside_not_stored_total",
                                        reason=reason), n, reason)

    def test_the_process_is_described_by_the_conventions(self):
        metrics = self.daemon.metrics()
        version = subprocess.run(
            [os.environ["NEARSIDE_BIN"], "--version"], check=True,
            capture_output=True, text=True).stdout.split()[1]
        self.assertEqual(
            metrics[f'nearside_build_info{{version="{version}"}}'], 1)
        start = metrics["process_start_time_seconds"]
        self.assertLess(abs(time.time() - start), 120)
        self.assertGreater(metrics["process_resident_memory_bytes"], 1 << 20)
        self.assertGreater(metrics["process_virtual_memory_bytes"],
                           metrics["process_resident_memory_bytes"])
        with open(f"/proc/{self.daemon.pid}/status", encoding="ascii") as f:
            threads = re.search(r"Threads:\s*(\d+)", f.read())[1]
        self.assertEqual(metrics["process_threads"], int(threads))
        fds = len(os.listdir(f"/proc/{self.daemon.pid}/fd"))
        self.assertLess(abs(metrics["process_open_fds"] - fds), 5)
        self.assertGreater(metrics["process_max_fds"], fds)
        before = metrics["process_cpu_seconds_total"]
        self.assertGreater(before, 0)
        for _ in range(200):
            self.daemon.get("/other/cpu")
        self.assertGreater(self.daemon.metrics()["process_cpu_seconds_total"],
                           before)

    def test_the_status_has_the_hit_ratio(self):
        said = self.daemon.status()["requests"]
        self.assertGreaterEqual(said["hit"], 2)
        asked = sum(said[name] for name in (
            "hit", "stale", "validated", "collapsed", "miss", "bypass"))
        self.assertAlmostEqual(said["hit_ratio"], said["hit"] / asked, 6)
        fresh = self.use(Nearside(conf(
            self.origin.url, ROUTES).replace(
                "admin = off", 'admin = "127.0.0.1:0"')))
        self.assertIsNone(fresh.status()["requests"]["hit_ratio"])

    def test_the_status_says_what_runs(self):
        said = self.daemon.status()
        with open(f"/proc/{self.daemon.pid}/stat", encoding="ascii") as f:
            ticks = int(f.read().rpartition(")")[2].split()[19])
        with open("/proc/uptime", encoding="ascii") as f:
            up = float(f.read().split()[0])
        age = up - ticks / os.sysconf("SC_CLK_TCK")
        # It counts from when it serves, which is a while after its start.
        self.assertGreaterEqual(said["uptime_seconds"], 0)
        self.assertLess(said["uptime_seconds"], age + 1)
        later = wait_until(lambda: (
            self.daemon.status()["uptime_seconds"] > said["uptime_seconds"]
            and self.daemon.status()))
        self.assertLess(later["uptime_seconds"] - said["uptime_seconds"], 60)
        self.assertEqual(said["state"], "serving")

    def test_the_text_is_what_prometheus_reads(self):
        families = read(self.text())
        for name, (kind, series) in families.items():
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
            if kind == "histogram":
                check_histogram(name, series)
        self.assertGreater(len(families), 20)

    @unittest.skipIf(shutil.which("promtool") is None, "no promtool here")
    def test_promtool_finds_nothing(self):
        done = subprocess.run(["promtool", "check", "metrics"],
                              input=self.text(), text=True, check=False,
                              capture_output=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr),
                         (0, ""))


if __name__ == "__main__":
    unittest.main()
