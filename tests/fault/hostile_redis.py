"""A Redis that does what it should not.

It speaks RESP2 well enough to be nearside's standalone server (strings with
GET, SET, DEL, and its scripts, told apart by their numbers of keys and
arguments), until fault is set: then fault(args) is asked for each command.
It answers None for "as usual", bytes to send instead, a Reply that does
more than that, or SILENCE.
"""

import math
import socket
import struct
import threading
import time

SILENCE = object()


class Reply:
    """after: seconds to wait first. then: "" goes on, "fin" or "rst" ends the
    connection behind the bytes; "drip" sends them one by one. is_done: the
    command is executed all the same."""

    def __init__(self, data=b"", after=0.0, then="", is_done=True):
        self.data = data
        self.after = after
        self.then = then
        self.is_done = is_done


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


class HostileRedis:
    def __init__(self):
        self.values = {}
        self.lapses = True  # what is kept, when its time is over
        self.fault = None
        self.faults_done = 0
        self.commands = []  # as lists of bytes, of all connections
        self.connections = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._open = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def count(self, word):
        return sum(1 for args in list(self.commands)
                   if args[0].upper() == word)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        file = sock.makefile("rb")
        try:
            while True:
                args = self._read_command(file)
                if args is None or not self._answer(sock, args):
                    return
        except (OSError, ValueError):
            pass  # the daemon gave it up
        finally:
            with self._lock:
                self._open.discard(sock)
            file.close()
            sock.close()

    @staticmethod
    def _read_command(file):
        line = file.readline()
        if not line.endswith(b"\r\n"):
            return None
        args = []
        for _ in range(int(line[1:])):
            size = int(file.readline()[1:])
            args.append(file.read(size + 2)[:size])
        return args

    def _answer(self, sock, args):
        """True to go on with the connection."""
        answer = None if self.fault is None else self.fault(args)
        usual = b""
        with self._lock:
            self.commands.append(args)
            if not isinstance(answer, Reply) or answer.is_done:
                usual = self._usual(args)
        if answer is None:
            sock.sendall(usual)
            return True
        with self._lock:
            self.faults_done += 1
        if answer is SILENCE:
            return True
        if isinstance(answer, bytes):
            answer = Reply(answer)
        return self._misbehave(sock, answer)

    def _misbehave(self, sock, reply):
        if reply.after > 0 and self._over.wait(reply.after):
            return False
        if reply.then == "drip":
            for i in range(len(reply.data)):
                sock.sendall(reply.data[i:i + 1])
                if self._over.wait(0.001):
                    return False
            return True
        sock.sendall(reply.data)
        if reply.then == "rst":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        return reply.then == ""

    # --- A server like any other ------------------------------------------

    def _usual(self, args):
        word = args[0].upper()
        if word == b"GET":
            value = self._value(args[1])
            return b"$-1\r\n" if value is None else bulk(value)
        if word == b"GETRANGE":
            value = self._value(args[1]) or b""
            return bulk(value[int(args[2]):int(args[3]) + 1])
        if word == b"SET":
            return self._set(args)
        if word == b"DEL":
            gone = sum(self.values.pop(key, None) is not None
                       for key in args[1:])
            return b":%d\r\n" % gone
        if word in (b"EVAL", b"EVALSHA"):
            return self._script(int(args[2]), args[3:])
        if word == b"PING":
            return b"+PONG\r\n"
        if word == b"INFO":
            return bulk(b"# Memory\r\nmaxmemory:0\r\n")
        return b"+OK\r\n"

    def _value(self, key):
        value, until = self.values.get(key, (None, 0))
        return value if time.monotonic() < until else None

    def _set(self, args):
        options = [arg.upper() for arg in args[3:]]
        if b"NX" in options and self._value(args[1]) is not None:
            return b"$-1\r\n"
        self._keep(args[1], args[2], args[3 + options.index(b"PX") + 1])
        return b"+OK\r\n"

    def _keep(self, key, value, px):
        self.values[key] = (value, time.monotonic() + int(px) / 1000
                            if self.lapses else math.inf)

    def _script(self, keys, args):
        """fill(entry, lease, fence; token, value, px), release(lease; token)
        and renew(lease; token, px)."""
        lease, token = args[1 if keys > 1 else 0], args[keys]
        if self._value(lease) != token:
            return b":0\r\n"
        if keys == 3:
            self._keep(args[0], args[4], args[5])
        if keys == 3 or len(args) == 2:
            del self.values[lease]
        else:
            self._keep(lease, token, args[2])
        return b":1\r\n"

    # --- Ends -------------------------------------------------------------

    def stop(self):
        self._over.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
