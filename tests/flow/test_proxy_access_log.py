"""The access log: a line for each request, of that request alone."""

import os
import re
import subprocess
import unittest

from lib import FlowTest, Nearside, fetch, wait_until
from lib.ports import free_port
from lib.process import temp_dir
from lib.scripted import EchoOrigin, conf
from lib.wire import Connection

LINE = re.compile(r'(\S+) - - \[[^]]+\] "([^"]*)" (\d+) ')
HALF = (b"GET /secret HTTP/1.1\r\nHost: test\r\nUser-Agent: someone\r\n"
        b"Referer: elsewhere\r\nX: ")


class AccessLog(FlowTest):
    def start(self, limits=""):
        self.origin = self.use(EchoOrigin())
        self.daemon = self.use(Nearside(conf(
            self.origin.url, "", limits, workers=1,
            more='access_log { target = "file:@DIR@/access.log" }')))
        self.path = os.path.join(self.daemon.dir, "access.log")

    def lines(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path) as file:
            return file.read().split("\n")[:-1]  # whole ones

    def logged(self, count):
        """Address, request and status of the last, when there are so many."""
        wait_until(lambda: len(self.lines()) >= count, what="it is logged")
        self.assertEqual(len(self.lines()), count)
        return LINE.match(self.lines()[-1]).groups()

    def connect(self, address):
        """From one of loopback's many addresses."""
        return self.use(Connection(self.daemon.port, source=address))

    def test_of_half_a_head_nothing_is_told(self):
        """Its bytes have moved since."""
        self.start()
        for n, end in enumerate(("close", "half_close", "reset"), 1):
            with self.subTest(end=end):
                client = self.connect("127.0.0.1")
                client.send(HALF)
                wait_until(lambda: self.daemon.metric(
                    "nearside_connections") == 1, what="it is there")
                getattr(client, end)()
                self.assertEqual(self.logged(n), ("127.0.0.1", "-", "499"))
                client.close()
                self.assertNotIn("someone", self.lines()[-1])

    def test_nor_of_one_that_never_ended(self):
        self.start("head_timeout = 200ms")
        client = self.connect("127.0.0.1")
        client.send(HALF)
        self.assertEqual(client.read_response().status, 408)
        self.assertEqual(self.logged(1), ("127.0.0.1", "-", "408"))

    def test_a_refused_request_can_be_found(self):
        """What it asked for, as far as that can be told, escaped and cut."""
        self.start()
        long = b"a" * 20000
        for n, (data, request, fault, host) in enumerate((
                (b"GET /a%zz HTTP/1.1\r\nHost: shop.example\r\n\r\n",
                 "GET /a%zz HTTP/1.1", "TARGET_PERCENT", "shop.example"),
                (b"GET /a\x01\xe9\" b HTTP/1.1\r\nhost:h\r\n\r\n",
                 r"GET /a\x01\xe9\x22 b HTTP/1.1", "CONTROL", "h"),
                (b"GET / HTTP/1.1\r\nX: y\r\n\r\n", "GET / HTTP/1.1",
                 "HOST_MISSING", "-"),
                (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                 "GET / HTTP/1.1", "HOST_MANY", "a"),
                (b"GET /" + long + b" HTTP/1.1\r\n\r\n", None, "TARGET_LONG",
                 "-"),
                (b"\x16\x03\x01\x02\x00\x01\r\n",
                 r"\x16\x03\x01\x02\x00\x01 - -", "TLS", "-"),
                (b"GET ?a=1 HTTP/1.0\r\n\r\n", "GET ?a=1 HTTP/1.0",
                 "TARGET_FORM", "-"),
                (b"GET / HTTP/3.\x01\r\n\r\n", r"GET / HTTP/3.\x01",
                 "CONTROL", "-"),
        ), 1):
            with self.subTest(fault=fault, request=request):
                client = self.connect("127.0.0.1")
                client.send(data)
                client.read_response()
                client.close()
                said = self.logged(n)[1]
                if request is None:
                    self.assertRegex(said, r"GET /a{2000,2047}\.\.\. -")
                    self.assertLess(len(self.lines()[-1]), 3000)
                else:
                    self.assertEqual(said, request)
                self.assertRegex(self.lines()[-1],
                                 f' fault={fault} host="{host}"')

    def test_another_protocol_is_named(self):
        """In the answer, in the access log, and once a minute in the error
        log; the metrics listener says it as well."""
        self.start()
        for n, (data, fault, text) in enumerate((
                (b"\x16\x03\x01\x00\xf1\x01\x00", "TLS", "TLS"),
                (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "PROXY_PROTOCOL",
                 "PROXY protocol"),
                (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", "PROXY_PROTOCOL",
                 "PROXY protocol"),
                (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP2", "HTTP/2"),
        ), 1):
            with self.subTest(fault=fault):
                for port in self.daemon.port, self.daemon.metrics_port:
                    with Connection(port) as client:
                        client.send(data)
                        got = client.read_response()
                    self.assertEqual(got.status, 400)
                    self.assertIn(f"{text}, which is not spoken here",
                                  got.body.decode())
                self.logged(n)
                self.assertRegex(self.lines()[-1], f" fault={fault} ")
        self.daemon.wait_log('admin_refused status=400 cause="TLS, which is'
                             ' not spoken here" peer="127.0.0.1"')
        (said,) = self.daemon.wait_logged("other_protocol .*")
        self.assertIn('cause="TLS, which is not spoken here"'
                      ' peer="127.0.0.1" cure="', said[0])

    def test_what_auto_comes_to_is_told(self):
        self.start()
        self.daemon.wait_log(r'started version="[\d.]+" workers="1"'
                             r' connections_max="\d+" open_files="\d+"'
                             r' held_max="\d+" memory="\d+"')

    def test_each_line_has_its_own_address(self):
        self.start("body_max = 10B")
        post = (b"POST /large HTTP/1.1\r\nHost: test\r\n"
                b"Content-Length: 11\r\n\r\n")
        plain = b"GET /plain HTTP/1.1\r\nHost: test\r\n\r\n"
        for n, (data, status) in enumerate(
                ((plain, 200), (post, 413), (b"G@T / HTTP/1.1\r\n\r\n", 400),
                 (plain, 200)), 1):
            client = self.connect(f"127.0.0.{n}")
            client.send(data)
            self.assertEqual(client.read_response().status, status)
            client.close()
            self.assertEqual(self.logged(n)[::2],
                             (f"127.0.0.{n}", str(status)))
        client = self.connect("127.0.0.9")
        client.send(HALF)
        client.close()
        self.assertEqual(self.logged(5), ("127.0.0.9", "-", "499"))


class Pipes(FlowTest):
    """A log whose reader hangs holds up nobody (runit, s6, `| tool`)."""

    ACCESS = 'access_log { target = stdout }'

    def setUp(self):
        self.origin = self.use(EchoOrigin())
        self.reader, self.writer = os.pipe()
        self.addCleanup(os.close, self.reader)
        self.addCleanup(os.close, self.writer)

    def fill(self):
        """The pipe takes nothing more, and its flags say that one waits."""
        os.set_blocking(self.writer, False)
        try:
            while True:
                os.write(self.writer, bytes(4096))
        except BlockingIOError:
            os.set_blocking(self.writer, True)

    def start(self, shell="exec", **streams):
        """What it says is not seen, so it listens where the test says."""
        self.port = free_port()
        path = os.path.join(temp_dir("pipes"), "conf")
        with open(path, "w") as file:
            # Besides, the conf has something to be warned of.
            file.write(conf(
                self.origin.url, 'route "/x" { tags = { "a" } }',
                more=f'listen = {{ "127.0.0.1:{self.port}" }}\n'
                + self.ACCESS))
        self.process = subprocess.Popen(
            ["sh", "-c", f'{shell} "$@"', "sh", os.environ["NEARSIDE_BIN"],
             "-c", path], stdin=subprocess.DEVNULL, **streams)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)

    def is_serving(self):
        try:
            return fetch(self.port, "/x", timeout=2).status == 200
        except OSError:
            return False

    def assert_ends(self):
        self.process.terminate()
        self.assertEqual(self.process.wait(60), 0)

    def test_a_pipe_that_is_full_at_the_start(self):
        self.fill()
        self.start(stdout=self.writer, stderr=self.writer)
        wait_until(self.is_serving, what="it serves")
        self.assert_ends()

    def test_one_that_fills_later(self):
        self.start(stdout=self.writer, stderr=self.writer)
        wait_until(self.is_serving, what="it serves")
        self.fill()
        with Connection(self.port) as client:
            for i in range(1000):
                client.request("GET", f"/{i}")
                self.assertEqual(client.read_response().status, 200)
        self.assert_ends()

    def test_descriptors_that_are_closed_are_never_a_client_s(self):
        self.start("exec 0<&- 1>&- 2>&-; exec")
        wait_until(self.is_serving, what="it serves")
        for fd in range(3):
            self.assertEqual(
                os.readlink(f"/proc/{self.process.pid}/fd/{fd}"), "/dev/null")
        self.assert_ends()


if __name__ == "__main__":
    unittest.main()
