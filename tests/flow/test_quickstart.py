# ctest: timeout=180 jobs=2 cost=26
"""docker/quickstart as its user runs it, with the binaries built already."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from lib import FlowTest, SampleOrigin, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
QUICKSTART = os.path.join(ROOT, "docker", "quickstart")


def running_in(folder):
    """Processes whose command line names the folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if folder in line:
            found.append(line)
    return found


class Quickstart(FlowTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="nearside-quick-")
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, *args):
        process = subprocess.Popen(
            [QUICKSTART, "--yes", *args], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=dict(os.environ, TMPDIR=self.folder))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def assert_nothing_is_left(self):
        wait_until(lambda: not running_in(self.folder), 5,
                   "what it started has ended")
        self.assertEqual(os.listdir(self.folder), [])

    def assert_tour(self, process):
        said, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, said)
        rows = re.findall(
            r"^ *(\d+)  (?:GET|PUT) :\d+ .* +200 +[\d.]+ ms  ok  (.*)$",
            said, re.M)
        self.assertEqual([int(n) for n, _ in rows], list(range(1, 11)), said)
        self.assertIn("fwd=", rows[0][1])
        for row, tier in ((1, "shared"), (2, "memory"), (5, "shared"),
                          (6, "memory"), (9, "shared")):
            self.assertRegex(rows[row][1], f"; hit; .*detail={tier}")
        self.assertIn("fwd=", rows[4][1])
        self.assertRegex(
            said, r"new price is there \d+ ms after the PUT was answered")
        self.assertIn("redis-cli", said)

    def test_the_tour_shows_every_answer_and_leaves_nothing(self):
        self.assert_tour(self.start("--once"))
        self.assert_nothing_is_left()

    def test_two_that_start_at_once_do_not_take_each_others_ports(self):
        """One with the user's own API, which is cached and never written to."""
        api = self.use(SampleOrigin(latency_ms=20))
        both = [self.start("--once"),
                self.start("--once", "--origin", api.url, "--route",
                           "/products/:id=1m", "--path", "/products/7")]
        for process in both:
            said, _ = process.communicate(timeout=120)
            # Two clusters are slow on a small machine, so that a row may be
            # late. But each has found ports and has come to its end.
            self.assertIn("Look inside", said)
            self.assertNotIn(" 000 ", said)
        self.assertEqual(api.stats()["methods"]["PUT"], 0)
        self.assertGreater(api.stats()["methods"]["GET"], 0)
        self.assert_nothing_is_left()

    def test_it_stays_until_ctrl_c_and_then_leaves_nothing(self):
        process = self.start()
        said = ""
        for line in process.stdout:
            said += line
            if "until Ctrl-C" in line:
                break
        self.assertIn("until Ctrl-C", said)
        self.assertTrue(running_in(self.folder))
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 0, said)
        self.assert_nothing_is_left()


if __name__ == "__main__":
    unittest.main()
