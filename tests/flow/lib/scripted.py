"""Origins and conf files of the wire tests.

Why not varnishtest: these tests send each payload at many splits, watch the
daemon's memory and sockets from outside, hold two hundred clients at once
and look into Redis behind the daemon's back. In Python a table row is a
payload; in .vtc it would be a file.
"""

import hashlib
import os
import socket
import threading

from .origin import ScriptedOrigin
from .process import PATIENCE, temp_dir
from .wire import WireError


def answer(connection, body=b"", fields=(), status="200 OK", length=None):
    """A response with a Content-Length, in one segment."""
    lines = [f"HTTP/1.1 {status}"]
    lines += [f"{name}: {value}" for name, value in fields]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    head = "\r\n".join(lines) + "\r\n\r\n"
    connection.send(head.encode("latin-1") + body)
    return True


def digest(data):
    return hashlib.sha256(data).hexdigest()


class EchoOrigin(ScriptedOrigin):
    """Answers `METHOD target sha256-of-body` to every whole request.

    A request whose body ends early is kept in `cut`, all others in `whole`.
    """

    def __init__(self, fields=()):
        self.fields = fields
        self.whole = []
        self.cut = []
        super().__init__(self._answer, with_body=False)

    def _answer(self, connection, request, n):
        del n
        connection.sock.settimeout(90)  # a body may pause for long
        try:
            request.body = b"".join(connection.request_pieces(request))
        except (WireError, OSError):
            self.cut.append(request)
            return False
        self.whole.append(request)
        text = f"{request.method} {request.target} {digest(request.body)}"
        body = b"" if request.method == "HEAD" else text.encode()
        return answer(connection, body, self.fields, length=len(text))

    def targets(self):
        return [request.target for request in self.requests]


class UnixOrigin(EchoOrigin):
    """The same on a unix socket."""

    def __init__(self):
        super().__init__()
        self.listener.close()
        self.path = os.path.join(temp_dir("origin"), "sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return "unix:" + self.path


class Steps:
    """An origin's script in steps that the test allows one by one.

        steps = Steps()
        def script(connection, request, n):
            connection.send(...)
            steps.wait("rest")        # until the test says steps.go("rest")
    """

    def __init__(self, timeout=PATIENCE):
        self.timeout = timeout
        self.lock = threading.Lock()
        self.events = {}

    def _event(self, name):
        with self.lock:
            return self.events.setdefault(name, threading.Event())

    def wait(self, name):
        if not self._event(name).wait(self.timeout):
            raise AssertionError(f"nobody said {name!r}")

    def go(self, *names):
        for name in names:
            self._event(name).set()


def conf(origin, routes="", limits="", redis=None, more="", origin_more="",
         workers=2):
    """A conf file's text; origin is a URL, redis a RedisServer. Beside Redis
    nothing is kept in memory, so that each hit is one in Redis, but with
    NEARSIDE_TIER=both in the environment."""
    shared = ""
    if redis is not None:
        shared = (f'redis {{ mode = standalone  seeds = {{ "{redis.address}" }}'
                  "  command_timeout = 2s  hang = 4s }\n")
    if ((redis is not None or "redis {" in more) and "memory {" not in more
            and os.environ.get("NEARSIDE_TIER") != "both"):
        shared += "memory { size = 0 }\n"
    listen = "" if "listen" in more else 'listen = { "127.0.0.1:0" }\n'
    return (f'{listen}metrics = "127.0.0.1:0"\nadmin = off\n'
            f"workers = {workers}\ndrain_delay = 0ms\n{more}\n{shared}"
            f"limits {{ {limits} }}\n"
            f'origin api {{ servers = {{ "{origin}" }} {origin_more} }}\n'
            f"{routes}\n")


def together(count, function, timeout=PATIENCE):
    """function(0) to function(count - 1), each on a thread; the answers."""
    answers = [None] * count
    errors = []

    def run(i):
        try:
            answers[i] = function(i)
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True)
               for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
        if thread.is_alive():
            raise AssertionError(f"not within {timeout} s")
    if errors:
        raise errors[0]
    return answers
