# ctest: timeout=600
"""Bodies larger than any buffer: the fast side waits, memory stays flat."""

import hashlib
import os
import threading
import unittest

from lib import (Connection, FlowTest, Nearside, SampleOrigin,
                 ScriptedOrigin, wait_until)
from lib.scripted import Steps, conf

LONG = os.environ.get("NEARSIDE_LONG") == "1"
MB = 1_000_000
BLOCK = bytes(range(256)) * 1024  # 256 KiB
# Sanitizers hold memory of their own, and freed memory for a while.
FLAT_KB = 8192 if not os.environ.get("NEARSIDE_SANITIZE") else 64 * 1024
QUIET = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")
         + ":quarantine_size_mb=8"}
# What may lie in the kernel's buffers of two connections on one machine.
KERNEL_MAX = 64 * MB


def blocks(size):
    """size bytes, piece by piece."""
    while size > 0:
        piece = BLOCK[:min(size, len(BLOCK))]
        size -= len(piece)
        yield piece


def digest_of(size):
    sha = hashlib.sha256()
    for piece in blocks(size):
        sha.update(piece)
    return sha.hexdigest()


class BackPressure(FlowTest):
    def setUp(self):
        self.moved = 0  # bytes the side that is held back got rid of
        self.steps = Steps(60)
        self.addCleanup(self.steps.go, "read")

    def start(self, script, limits="body_max = 0", with_body=False):
        self.origin = self.use(ScriptedOrigin(script, with_body))
        self.daemon = self.use(Nearside(conf(
            self.origin.url, limits=limits), env=QUIET))
        for _ in range(4):  # both workers have their buffers
            self.daemon.get("/warm")
        self.before_kb = self.daemon.process.memory_kb()
        return self.daemon

    def wait_stall(self):
        """Until nothing has moved for half a second."""
        seen = [0, -1]

        def stands_still():
            seen[0] = seen[0] + 1 if self.moved == seen[1] else 0
            seen[1] = self.moved
            return seen[0] >= 10

        wait_until(stands_still, what="the fast side waits", every=0.05)

    def assert_flat(self):
        grown = self.daemon.process.memory_kb("VmHWM") - self.before_kb
        self.assertLess(grown, FLAT_KB)

    def send_blocks(self, connection, size):
        for piece in blocks(size):
            connection.send(piece)
            self.moved += len(piece)

    def sender(self, size, framing):
        def script(connection, request, n):
            if request.target == "/warm":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0"
                                b"\r\n\r\n")
                return True
            if framing == "length":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d"
                                b"\r\n\r\n" % size)
                self.send_blocks(connection, size)
                return True
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
                            b"\r\n\r\n")
            for piece in blocks(size):
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.moved += len(piece)
            connection.send(b"0\r\n\r\n")
            return True

        return script

    def download(self, size, framing, stop_at):
        self.moved = 0
        daemon = self.start(self.sender(size, framing))
        sha = hashlib.sha256()
        with Connection(daemon.port, 30, receive_buffer=65536) as client:
            client.request("GET", "/large")
            got = 0
            pieces = client.body_pieces(client.read_head())
            for piece in pieces:
                sha.update(piece)
                got += len(piece)
                if stop_at is not None and got >= stop_at:
                    stop_at = None
                    self.wait_stall()
                    self.assertLess(self.moved - got, KERNEL_MAX)
                    self.assert_flat()
        self.assertEqual(got, size)
        self.assertEqual(sha.hexdigest(), digest_of(size))
        self.assert_flat()

    def test_an_origin_waits_for_a_slow_reader_with_a_length(self):
        self.download(200 * MB, "length", MB)

    def test_an_origin_waits_for_a_slow_reader_with_chunks(self):
        self.download(200 * MB, "chunked", MB)

    def upload(self, size, framing):
        found = {}

        def script(connection, request, n):
            if request.target == "/large":
                self.steps.wait("read")
                sha = hashlib.sha256()
                for piece in connection.request_pieces(request):
                    sha.update(piece)
                found["digest"] = sha.hexdigest()
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return True

        daemon = self.start(script)
        with Connection(daemon.port, 60) as client:
            how = ("Transfer-Encoding: chunked" if framing == "chunked"
                   else f"Content-Length: {size}")
            client.send(f"PUT /large HTTP/1.1\r\nHost: test\r\n{how}\r\n\r\n"
                        .encode())

            def send():
                if framing == "length":
                    self.send_blocks(client, size)
                    return
                for piece in blocks(size):
                    client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.moved += len(piece)
                client.send(b"0\r\n\r\n")

            thread = threading.Thread(target=send, daemon=True)
            thread.start()
            self.wait_stall()
            self.assertLess(self.moved, KERNEL_MAX)
            self.assert_flat()
            self.steps.go("read")
            self.assertEqual(client.read_response().status, 200)
            thread.join(10)
        self.assertEqual(found["digest"], digest_of(size))
        self.assert_flat()

    def test_a_client_waits_for_a_slow_origin_with_a_length(self):
        self.upload(200 * MB, "length")

    def test_a_client_waits_for_a_slow_origin_with_chunks(self):
        self.upload(200 * MB, "chunked")

    def test_a_slow_upload_and_its_neighbours_do_not_wait_for_each_other(self):
        def script(connection, request, n):
            if request.target == "/large":
                self.steps.wait("read")
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return request.target != "/large"

        daemon = self.start(script)
        with Connection(daemon.port, 30) as client:
            client.send(b"PUT /large HTTP/1.1\r\nHost: test\r\n"
                        b"Content-Length: 100000000\r\n\r\n" + BLOCK)
            for _ in range(20):
                got = daemon.get("/next")
                self.assertEqual(got.status, 200)
                self.assertLess(got.seconds, 1)
            client.reset()

    def test_a_reader_that_leaves_in_the_middle_frees_the_origin(self):
        daemon = self.start(self.sender(200 * MB, "length"))
        with Connection(daemon.port, 30, receive_buffer=65536) as client:
            client.request("GET", "/large")
            client.read_head()
            client.read_exactly(MB)
            client.reset()
        wait_until(lambda: daemon.metric("nearside_connections") == 0,
                   what="its connection is gone")
        wait_until(lambda: not any(
            s for s in self.origin._open if self._is_sending(s)), 10,
                   "the origin's connection is gone")
        self.assertEqual(daemon.get("/warm").status, 200)

    def _is_sending(self, sock):
        before = self.moved
        try:
            sock.getpeername()
        except OSError:
            return False
        return before < 200 * MB and self.moved != before

    @unittest.skipUnless(LONG, "10 GB; NEARSIDE_LONG=1")
    def test_ten_gigabytes_pass_in_flat_memory(self):
        size = 10_000 * MB
        for framing in ("length", "chunked"):
            self.download(size, framing, None)

    @unittest.skipUnless(LONG, "10 GB; NEARSIDE_LONG=1")
    def test_ten_gigabytes_are_taken_in_flat_memory(self):
        sample = self.use(SampleOrigin())
        self.daemon = self.use(Nearside(conf(
            sample.upload_url, limits="body_max = 0  send_total = 0"),
            env=QUIET))
        self.daemon.get("/warm")
        self.before_kb = self.daemon.process.memory_kb()
        size = 10_000 * MB
        with Connection(self.daemon.port, 60) as client:
            client.send(b"PUT /large HTTP/1.1\r\nHost: test\r\n"
                        b"Content-Length: %d\r\n\r\n" % size)
            self.send_blocks(client, size)
            got = client.read_response()
        self.assertIn(b'"bytes":%d' % size, got.body)
        self.assert_flat()


if __name__ == "__main__":
    unittest.main()
