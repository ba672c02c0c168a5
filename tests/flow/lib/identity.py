"""Origins that say whom they answer, and who read bodies as they please.

Every answer's body is the identity of the request it answers: method, target
and X-Marker. A mix-up anywhere on the way shows as somebody else's identity.

    strict    reads what the head says, and nothing else will do
    length    knows Content-Length only: a chunked body is its next requests
    coding    knows chunked only: a body with a length is
    nothing   reads no body at all, answers at the head (CL.0, TE.0, 0.CL)

The loose ones skip what is no request line, and keep every connection open
whatever the head says: the worst that can stand behind a pool.
"""

import re

from .origin import ScriptedOrigin
from .scripted import answer
from .wire import Connection, WireError

REQUEST_LINE = re.compile(rb"(\S+) (\S+) HTTP/1\.[01]\r?\Z")
KEPT = "/kept"


def identity(method, target, marker="-"):
    return f"{method} {target} {marker}".encode("latin-1")


def answer_with_identity(connection, method, target, marker):
    """What is stored is for everybody: no marker in it."""
    is_kept = target.startswith(KEPT)
    text = identity(method, target, "-" if is_kept else marker or "-")
    fields = [("Cache-Control", "max-age=60" if is_kept else "no-store")]
    body = b"" if method == "HEAD" else text
    return answer(connection, body, fields, length=len(text))


class StrictOrigin(ScriptedOrigin):
    """`whole` keeps (method, target, marker, body) of each whole request,
    `broken` why a connection was given up."""

    def __init__(self):
        self.whole = []
        self.broken = []
        super().__init__(self._answer, with_body=False)

    def _serve(self, sock):
        super()._serve(sock)
        # What is no request at all is a finding, not the end of the test.
        while self.errors:
            self.broken.append(self.errors.pop())

    def _answer(self, connection, request, n):
        del n
        try:
            request.body = b"".join(connection.request_pieces(request))
        except (WireError, OSError):
            return False  # cut short: nobody's whole request
        marker = request.fields["X-Marker"]
        self.whole.append((request.method, request.target, marker,
                           request.body))
        answer_with_identity(connection, request.method, request.target,
                             marker)
        return (request.fields["Connection"] or "").lower() != "close"


class LooseOrigin(ScriptedOrigin):
    def __init__(self, reads):
        self.reads = reads
        super().__init__(None)

    def _line(self, connection):
        while b"\n" not in connection.buffer:
            if not connection._fill():
                raise EOFError
        line, connection.buffer = connection.buffer.split(b"\n", 1)
        return line

    def _head(self, connection):
        match = None
        while match is None:
            match = REQUEST_LINE.match(self._line(connection))
        fields = {}
        while True:
            line = self._line(connection).strip()
            if not line:
                break
            name, _, value = line.partition(b":")
            fields[name.strip().lower().decode("latin-1")] = value.strip()
        return match[1].decode("latin-1"), match[2].decode("latin-1"), fields

    def _body(self, connection, fields):
        if self.reads == "length":
            length = fields.get("content-length", b"0")
            connection.read_exactly(int(length) if length.isdigit() else 0)
        elif self.reads == "coding" and b"chunked" in fields.get(
                "transfer-encoding", b""):
            size = 1
            while size > 0:
                size = int(self._line(connection).split(b";")[0], 16)
                connection.read_exactly(size)
                self._line(connection)

    def _serve(self, sock):
        connection = Connection(sock)
        try:
            while True:
                method, target, fields = self._head(connection)
                self.requests.append(target)
                self._body(connection, fields)
                answer_with_identity(
                    connection, method, target,
                    fields.get("x-marker", b"-").decode("latin-1"))
        except (EOFError, OSError, ValueError, WireError):
            pass  # the daemon may leave, and loose it is
        finally:
            with self._lock:
                self._open.discard(sock)
            connection.close()
