"""Links between a daemon and a server: one that is slow, and one that can be
cut."""

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


class Link:
    """Listens on a port of its own and passes on to `port`. While it is cut,
    each connection is ended; `tried` counts the new ones."""

    def __init__(self, port):
        self.to_port = port
        self.is_cut = False
        self.tried = 0
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self.is_cut = True
        for sock in list(self.open):
            self._end(sock)

    def mend(self):
        self.is_cut = False

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut:
                self.tried += 1
                near.close()
            else:
                self._connect(near)

    def _connect(self, near):
        try:
            far = socket.create_connection(("127.0.0.1", self.to_port))
        except OSError:
            near.close()
            return
        self.open |= {near, far}
        if self.is_cut:
            self.cut()
        for source, sink, is_back in ((near, far, False), (far, near, True)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass_on, daemon=True,
                             args=(source, sink, is_back)).start()

    def _pass_on(self, source, sink, is_back):
        try:
            while True:
                data = source.recv(PART)
                if not data:
                    break
                self.carry(len(data), is_back)
                sink.sendall(data)
        except OSError:
            pass  # the other end has gone
        finally:
            for sock in (source, sink):
                self._end(sock)

    def carry(self, size, is_back):
        """Waits until so many bytes may go on."""

    def _end(self, sock):
        self.open.discard(sock)
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.listener.close()


class SlowLink(Link):
    """All its connections together carry no more than `rate` bytes a second,
    in each direction."""

    def __init__(self, port, rate):
        self.paces = [_Pace(rate), _Pace(rate)]
        self.left = None  # of what may come back
        self.goes = threading.Event()
        super().__init__(port)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)

    def carry(self, size, is_back):
        self.paces[is_back].wait(size)
        if is_back and self.left is not None:
            self.left -= size
            if self.left < 0:
                self.goes.wait()

    def stop_after(self, count):
        """Once so many more bytes have come back, none do until go_on()."""
        self.left = count

    def go_on(self):
        self.left = None
        self.goes.set()
