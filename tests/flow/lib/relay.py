"""A slow link: what all connections through it carry, in each direction, is
no more than so many bytes a second."""

import socket
import threading
import time

PART = 8192  # what one connection carries before the next has its turn


BUFFER = 65536  # what has been written to the link has gone, or nearly so


class _Pace:
    """Who is to send n bytes waits its turn, first come, first served."""

    def __init__(self, rate):
        self.rate = rate
        self.free_at = 0.0
        self.lock = threading.Lock()

    def wait(self, size):
        with self.lock:
            now = time.monotonic()
            at = max(now, self.free_at)
            self.free_at = at + size / self.rate
        if at > now:
            time.sleep(at - now)


class SlowLink:
    """Listens on a port of its own and passes on to `port`. rate: bytes a
    second."""

    def __init__(self, port, rate):
        self.to_port = port
        self.paces = [_Pace(rate), _Pace(rate)]
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to_port))
            except OSError:
                return
            for source, sink, pace in ((near, far, self.paces[0]),
                                       (far, near, self.paces[1])):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass_on, daemon=True,
                                 args=(source, sink, pace)).start()

    @staticmethod
    def _pass_on(source, sink, pace):
        try:
            while True:
                data = source.recv(PART)
                if not data:
                    break
                pace.wait(len(data))
                sink.sendall(data)
        except OSError:
            pass  # the other end has gone
        finally:
            for sock in (source, sink):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.listener.close()
