"""HTTP/1.1 on a plain socket: sends any bytes, reads strictly.

A test must see what is on the wire, so nothing is repaired here: a bare LF,
a doubled Content-Length, a chunk size with blanks or bytes behind the last
chunk are a WireError.
"""

import functools
import os
import re
import socket
import time

from .process import PATIENCE

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) ([1-9]\d\d) ([\t -~\x80-\xff]*)\Z")
REQUEST_LINE = re.compile(rb"(" + TOKEN.encode() + rb") (\S+) HTTP/(1\.[01])\Z")
FIELD = re.compile(rb"(" + TOKEN.encode() + rb"):[ \t]*([^\x00\r\n]*?)[ \t]*\Z")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(;.*)?\Z")
NO_BODY = (204, 304)
PIECE = 256 * 1024


class WireError(Exception):
    """The peer broke HTTP/1.1."""


class Fields:
    """Field lines in order, names as they came."""

    def __init__(self, fields):
        self.fields = fields

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def __getitem__(self, name):
        """The one value of the field, or None; several are an error."""
        values = self.all(name)
        if len(values) > 1:
            raise WireError(f"{name} came {len(values)} times: {values}")
        return values[0] if values else None

    def __contains__(self, name):
        return bool(self.all(name))

    def __repr__(self):
        return repr(self.fields)


class Request:
    def __init__(self, method, target, version, fields, head):
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
        self.head = head  # the bytes as they came, with the empty line
        self.body = b""

    def __repr__(self):
        return f"<{self.method} {self.target} {self.fields}>"


@functools.cache
def _details():
    """The words that the manual explains (tests/lint/details.py)."""
    root = os.path.dirname(os.path.abspath(__file__)) + "/../../.."
    with open(root + "/src/app/nearside.8", encoding="utf-8") as f:
        section = f.read().partition(".Sh CACHE-STATUS")[2]
    rows = re.findall(r"^\.It (.*)$", section.partition("\n.Sh ")[0], re.M)
    return {word for row in rows for word in row.split()}


class Response:
    def __init__(self, version, status, reason, fields, head):
        self.version = version
        self.status = status
        self.reason = reason
        self.fields = fields
        self.head = head
        self.body = b""
        self.is_chunked = False
        self.trailers = Fields([])
        self.seconds = None  # from the first byte sent to the last received

    def field(self, name):
        return self.fields[name]

    @property
    def cache_status(self):
        text = self.fields["Cache-Status"] or ""
        for word in re.findall(r"nearside;[^,]*?; detail=([^;,]+)", text):
            if word not in _details():
                raise AssertionError(f"nearside(8) does not tell of {word}")
        return text

    def __repr__(self):
        return (f"<{self.status} {self.reason!r} {self.fields}"
                f" {len(self.body)} bytes {self.body[:80]!r}>")


def _address(where):
    """A port, (host, port), 'host:port', or the path of a unix socket."""
    if isinstance(where, int):
        return ("127.0.0.1", where)
    if isinstance(where, str) and not where.startswith("/"):
        host, port = where.rsplit(":", 1)
        return (host.strip("[]"), int(port))
    return where


class Connection:
    """where: see _address; or a socket that is connected already."""

    def __init__(self, where, timeout=PATIENCE, receive_buffer=None,
                 source=None):
        if isinstance(where, socket.socket):
            self.sock = where
            self.sock.settimeout(timeout)
        else:
            self.sock = self._connect(
                _address(where), timeout, receive_buffer, source)
        self.buffer = b""
        self.is_at_end = False

    @staticmethod
    def _connect(address, timeout, receive_buffer, source):
        if isinstance(address, str):
            family = socket.AF_UNIX
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        if receive_buffer is not None:
            # Small, so that a reader that does not read is felt at once.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            sock.bind((source, 0))
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    # --- Sending ----------------------------------------------------------

    def send(self, data):
        self.sock.sendall(data)

    def send_pieces(self, data, size=1, pause=0.0):
        """In pieces of `size` bytes, each a segment of its own."""
        for at in range(0, len(data), size):
            self.sock.sendall(data[at:at + size])
            if pause:
                time.sleep(pause)

    def request(self, method, target, fields=None, body=None, host="test"):
        """Sends one request with a Host, and a Content-Length for a body."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        pairs = fields.items() if isinstance(fields, dict) else fields or ()
        lines += [f"{name}: {value}" for name, value in pairs]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        self.send(head.encode("latin-1") + (body or b""))

    # --- Receiving --------------------------------------------------------

    def _fill(self):
        data = self.sock.recv(PIECE)
        if not data:
            self.is_at_end = True
        self.buffer += data
        return bool(data)

    def read_some(self, most=PIECE):
        """What there is, at least a byte; b"" at the end."""
        if not self.buffer and not self._fill():
            return b""
        data, self.buffer = self.buffer[:most], self.buffer[most:]
        return data

    def read_exactly(self, count):
        pieces = []
        left = count
        while left > 0:
            data = self.read_some(left)
            if not data:
                raise WireError(f"closed {left} bytes before the end")
            pieces.append(data)
            left -= len(data)
        return b"".join(pieces)

    def read_line(self):
        while b"\n" not in self.buffer:
            if not self._fill():
                raise WireError(f"closed within a line: {self.buffer!r}")
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r") or b"\r" in line[:-1]:
            raise WireError(f"not ended by CRLF alone: {line!r}")
        return line[:-1]

    def is_closed(self, timeout=PATIENCE):
        """Waits for the peer's FIN or RST; False if bytes come instead."""
        self.sock.settimeout(timeout)
        try:
            return not self.buffer and not self._fill()
        except ConnectionResetError:
            return True

    def has_bytes(self, within=0.2):
        """Bytes come within that time."""
        if self.buffer:
            return True
        old = self.sock.gettimeout()
        self.sock.settimeout(within)
        try:
            return self._fill()
        except socket.timeout:
            return False
        finally:
            self.sock.settimeout(old)

    def _read_fields(self, head):
        fields = []
        while True:
            line = self.read_line()
            head.append(line + b"\r\n")
            if not line:
                return Fields(fields)
            match = FIELD.match(line)
            if match is None:
                raise WireError(f"not a field line: {line!r}")
            fields.append((match[1].decode(), match[2].decode("latin-1")))

    def read_head(self):
        """A response up to its empty line; the body is read separately."""
        line = self.read_line()
        match = STATUS_LINE.match(line)
        if match is None:
            raise WireError(f"not a status line: {line!r}")
        head = [line + b"\r\n"]
        fields = self._read_fields(head)
        return Response(match[1].decode(), int(match[2]), match[3].decode(
            "latin-1"), fields, b"".join(head))

    def body_pieces(self, response, method="GET"):
        """The body of a response whose head was read, as it comes."""
        coding = response.fields["Transfer-Encoding"]
        length = response.fields["Content-Length"]
        if method == "HEAD" or response.status in NO_BODY:
            return
        if coding is not None:
            if length is not None or coding.lower() != "chunked":
                raise WireError(f"framing: {response.fields}")
            response.is_chunked = True
            yield from self._chunks(response)
        elif length is not None:
            yield from self._counted(length)
        else:
            while True:
                data = self.read_some()
                if not data:
                    return
                yield data

    def request_pieces(self, request):
        """The body of a request, as it comes (RFC 9112 section 6.3)."""
        coding = request.fields["Transfer-Encoding"]
        length = request.fields["Content-Length"]
        if coding is not None:
            if coding != "chunked" or length is not None:
                raise WireError(f"framing: {request.fields}")
            yield from self._chunks(request)
        elif length is not None:
            yield from self._counted(length)

    def _counted(self, length):
        if not re.fullmatch(r"\d+", length):
            raise WireError(f"Content-Length: {length!r}")
        left = int(length)
        while left > 0:
            data = self.read_some(min(left, PIECE))
            if not data:
                raise WireError(f"closed {left} bytes before the end")
            left -= len(data)
            yield data

    def _chunks(self, message):
        while True:
            line = self.read_line()
            match = CHUNK_SIZE.match(line)
            if match is None:
                raise WireError(f"not a chunk size: {line!r}")
            size = int(match[1], 16)
            if size == 0:
                message.trailers = self._read_fields([])
                return
            yield from self._counted(str(size))
            if self.read_line() != b"":
                raise WireError("no CRLF behind a chunk")

    def read_response(self, method="GET", skip_1xx=True):
        """One whole response; skip_1xx=False gives the interim ones too."""
        while True:
            response = self.read_head()
            if response.status >= 200 or response.status == 101:
                break
            if not skip_1xx:
                return response
        response.body = b"".join(self.body_pieces(response, method))
        return response


def read_request(connection, with_body=True):
    """The next request on an accepted connection; None: it was closed."""
    if not connection.buffer and not connection._fill():
        return None
    line = connection.read_line()
    match = REQUEST_LINE.match(line)
    if match is None:
        raise WireError(f"not a request line: {line!r}")
    head = [line + b"\r\n"]
    fields = connection._read_fields(head)
    request = Request(match[1].decode(), match[2].decode("latin-1"),
                      match[3].decode(), fields, b"".join(head))
    if with_body:
        if (fields["Expect"] or "").lower() == "100-continue":
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = b"".join(connection.request_pieces(request))
    return request


def fetch(where, target, method="GET", fields=None, body=None, host="test",
          timeout=PATIENCE):
    """One request on a connection of its own."""
    start = time.monotonic()
    with Connection(where, timeout) as connection:
        connection.request(method, target, fields, body, host)
        response = connection.read_response(method)
        response.seconds = time.monotonic() - start
        return response
