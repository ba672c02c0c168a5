"""Origins: the sample API, and one whose bytes the test writes itself."""

import json
import os
import socket
import threading
import urllib.parse

from .process import Process
from .wire import Connection, fetch, read_request

PATTERN_LEN = 65521
_PATTERN = bytes(((i ^ (i >> 8)) * 31) & 0xFF for i in range(PATTERN_LEN))


def pattern(count, start=0):
    """Bytes start to start + count of what /bytes/N answers."""
    at = start % PATTERN_LEN
    whole = _PATTERN * ((at + count) // PATTERN_LEN + 1)
    return whole[at:at + count]


class SampleOrigin:
    """The sample API of SAMPLE_ORIGIN_BIN; see tests/support/origin.c."""

    def __init__(self, latency_ms=0, products=100, args=(), port=0):
        self.db = None
        self.argv = [os.environ["SAMPLE_ORIGIN_BIN"], "--upload-port", "0",
                     "--latency-ms", str(latency_ms),
                     "--products", str(products), *args]
        self.port = port
        self.upload_port = None
        self.process = None
        self.start()

    def start(self):
        """Starts it, or starts it again on the same port with its data."""
        argv = self.argv + ["--port", str(self.port)]
        if self.db is not None:
            argv += ["--db", self.db]
        self.process = Process(
            argv, name="sample-origin",
            ready=r"^uploads [\d.]+:(\d+)\nlistening [\d.]+:(\d+)$")
        self.db = self.db or os.path.join(self.process.dir, "products.db")
        self.upload_port = int(self.process.ready[1])
        self.port = int(self.process.ready[2])
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def upload_url(self):
        return f"http://127.0.0.1:{self.upload_port}"

    def get(self, target, **more):
        return fetch(self.port, target, **more)

    def stats(self):
        return json.loads(self.get("/stats").body)

    def control(self, **what):
        """latency_ms=N, cache_control="max-age=5", hold="GET" or hold=""."""
        answer = self.get("/control?" + urllib.parse.urlencode(what))
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def pause(self):
        self.process.pause()

    def resume(self):
        self.process.resume()

    def kill(self):
        self.process.kill()

    def stop(self):
        status = self.process.stop()
        assert status == 0, f"sample-origin ended with {status}:\n{self.log()}"

    def log(self):
        return self.process.log()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.is_running():
            self.stop()


class ScriptedOrigin:
    """Calls script(connection, request, n) for the nth request, from 0.

    connection is a wire.Connection to send any bytes on; request is a
    wire.Request. The script returns True to go on with the connection;
    otherwise it is closed. `requests` keeps all requests in order, also
    those of which the script never came to know. A request's body is read
    only if with_body; else the script reads it from the connection.
    """

    def __init__(self, script, with_body=True, host="127.0.0.1", port=0):
        self.script = script
        self.with_body = with_body
        self.requests = []
        self.connections = 0
        self.errors = []
        self._open = set()
        self._lock = threading.Lock()
        self.listener = socket.create_server((host, port), backlog=1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            # What is sent is to arrive now: held back until the daemon's
            # next request acknowledges what came before, it would arrive
            # behind that request, as its answer.
            if sock.family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.add(sock)
            threading.Thread(
                target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        connection = Connection(sock)
        try:
            while True:
                request = read_request(connection, self.with_body)
                if request is None:
                    break
                with self._lock:
                    n = len(self.requests)
                    self.requests.append(request)
                if self.script(connection, request, n) is not True:
                    break
        except OSError:
            pass  # the daemon may leave at any time
        except Exception as error:  # pylint: disable=broad-except
            self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(sock)
            connection.close()

    def close_all(self):
        """Closes every connection there is, as a restart would."""
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def stop(self):
        # close alone would leave accept() asleep
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.close_all()

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, trace):
        self.stop()
        if self.errors and exc_type is None:
            raise self.errors[0]
