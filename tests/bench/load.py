"""Requests: single ones for checks, wrk's for time, lockstep for counts."""

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess

from proc import BenchError

HERE = os.path.dirname(os.path.abspath(__file__))
CONNECTIONS = 64

BODY_LEN = 200


def body_of(length):
    """What the floors and the fixed origin answer."""
    letters = b"abcdefghijklmnopqrstuvwxyz"
    return (letters * (length // len(letters) + 1))[:length]


BODY = body_of(BODY_LEN)

# One host for all: it is part of a cache's key, and what one client has filled
# another shall hit.
HOST = "bench.example"

# What a browser sends with a fetch: thirteen field lines, Host among them.
# No Cookie: with one, no cache here would answer from what it holds.
BROWSER = {
    "Host": HOST,
    "Connection": "keep-alive",
    "sec-ch-ua": '"Not/A)Brand";v="8", "Chromium";v="126"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
                  "(KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Accept": "application/json, text/plain, */*",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
    "Referer": "https://bench.example/catalogue?page=4",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
}
FIELDS = {"wrk": {"Host": HOST}, "browser": BROWSER}


class Answer:
    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields
        self.body = body


class Client:
    """One keep-alive connection, as far as the bench needs one."""

    def __init__(self, port, timeout_s=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def fileno(self):
        return self.socket.fileno()

    def send(self, path, fields):
        self.socket.sendall(render(path, fields))

    def receive(self):
        while True:
            answer, self.held = take(self.held)
            if answer:
                return answer
            more = self.socket.recv(1 << 20)
            if not more:
                raise BenchError("the connection was closed")
            self.held += more

    def get(self, path, fields=None):
        self.send(path, fields or {})
        return self.receive()


def render(path, fields):
    lines = {"Host": HOST, **fields}
    return (f"GET {path} HTTP/1.1\r\n"
            + "".join(f"{name}: {lines[name]}\r\n" for name in lines)
            + "\r\n").encode()


def take(held):
    """(the first answer in these bytes or None, what is left of them)"""
    head, found, rest = held.partition(b"\r\n\r\n")
    if not found:
        return None, held
    lines = head.decode("latin-1").split("\r\n")
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    if "chunked" in fields.get("transfer-encoding", ""):
        body, rest = _take_chunked(rest)
        if body is None:
            return None, held
    else:
        length = int(fields.get("content-length", 0))
        if len(rest) < length:
            return None, held
        body, rest = rest[:length], rest[length:]
    return Answer(int(lines[0].split()[1]), fields, body), rest


def _take_chunked(rest):
    body = b""
    while True:
        line, found, rest = rest.partition(b"\r\n")
        size = int(line.split(b";")[0], 16) if found else -1
        if not found or len(rest) < size + 2:
            return None, rest
        body, rest = body + rest[:size], rest[size + 2:]
        if size == 0:
            return body, rest


def get(port, path, fields=None):
    try:
        with Client(port) as client:
            return client.get(path, fields)
    except (OSError, ValueError) as error:
        raise BenchError(f"GET {path}: {error}") from error


class Run:
    """What one run of wrk did."""

    def __init__(self, requests, seconds, size):
        self.requests = requests
        self.size = size  # bytes of all answers, to about a hundredth
        self.per_second = requests / seconds


def wrk(port, fields, seconds, core, paths=0, path="/products/1"):
    """One closed-loop run; anything but 2xx throughout is a BenchError."""
    argv = ["taskset", "-c", str(core)] if core is not None else []
    argv += ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s"]
    for name, value in fields.items():
        argv += ["-H", f"{name}: {value}"]
    if paths:
        argv += ["-s", os.path.join(HERE, "paths.lua")]
    argv += [f"http://127.0.0.1:{port}{path}"]
    if paths:
        argv += ["--", str(paths)]
    out = subprocess.run(argv, capture_output=True, text=True,
                         timeout=seconds + 30)
    return _read_wrk(out.stdout + out.stderr)


def _read_wrk(text):
    for wrong in ("Non-2xx or 3xx responses", "Socket errors"):
        found = re.search(rf"{wrong}: (.*)", text)
        if found:
            raise BenchError(f"invalid run: {wrong}: {found.group(1)}")
    done = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m), "
                     r"([\d.]+)([KMGT]?)B read", text)
    if not done or int(done.group(1)) == 0:
        raise BenchError("invalid run: " + (text.strip() or "wrk is silent"))
    unit = {"ms": 0.001, "s": 1, "m": 60}[done.group(3)]
    size = float(done.group(4)) * 1024 ** " KMGT".index(done.group(5) or " ")
    return Run(int(done.group(1)), float(done.group(2)) * unit, size)


def lockstep(port, requests, paths, held_pid=None, timeout_s=60, path=""):
    """Exactly this many requests: 64 connections send one each, all answers
    are read, then the next 64. Each is checked to be a 200. They ask
    for this many products in turn, or for the one path. A process named by
    held_pid stands still while they are sent, so that it finds all 64 in one
    turn of its loop, every time."""
    clients = [Client(port, timeout_s) for _ in range(CONNECTIONS)]
    try:
        for first in range(0, requests, CONNECTIONS):
            batch = clients[:min(CONNECTIONS, requests - first)]
            with standing_still(held_pid):
                for i, client in enumerate(batch):
                    number = (first + i) % max(1, paths) + 1
                    client.send(path or f"/products/{number}", {})
            for client in batch:
                status = client.receive().status
                if status != 200:
                    raise BenchError(f"answered {status}")
    except OSError as error:
        raise BenchError(str(error)) from error
    finally:
        for client in clients:
            client.socket.close()


@contextlib.contextmanager
def standing_still(pid):
    if pid is None:
        yield
        return
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def open_idle(port, count, path="/products/1"):
    """This many keep-alive connections, each used once; the caller closes."""
    clients = []
    try:
        for _ in range(count):
            clients.append(Client(port))
            if clients[-1].get(path).status != 200:
                raise BenchError("an idle connection's request failed")
    except OSError as error:
        close_all(clients)
        raise BenchError(f"at connection {len(clients)}: {error}") from error
    except BenchError:
        close_all(clients)
        raise
    return clients


def are_open(clients):
    """True when no peer has closed or sent anything unasked."""
    with selectors.DefaultSelector() as watched:
        for client in clients:
            watched.register(client.socket, selectors.EVENT_READ)
        return not watched.select(0)


def close_all(clients):
    for client in clients:
        client.socket.close()
