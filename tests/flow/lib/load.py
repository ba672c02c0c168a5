"""Many keep-alive clients at once, each answer judged.

A thread of its own runs them all, so that the test can break things
meanwhile. Each client asks, waits for the answer, judges it, pauses for a
random while around `think` seconds and asks again; the pause keeps a small
machine from being measured instead of the daemon.
"""

import asyncio
import collections
import random
import threading
import time

from .process import PATIENCE, wait_until

HEAD_MAX = 64 * 1024


class Answer:
    """One request's outcome; status 0: the connection broke, `why` says."""

    __slots__ = ("target", "start", "seconds", "status", "cache", "body",
                 "why")

    def __init__(self, target, start):
        self.target = target
        self.start = start
        self.seconds = 0.0
        self.status = 0
        self.cache = ""
        self.body = b""
        self.why = None

    @property
    def is_hit(self):
        return "; hit" in self.cache

    def __repr__(self):
        return (f"<{self.target} {self.status} {self.cache!r}"
                f" {self.seconds * 1000:.0f} ms {self.body[:60]!r}"
                f" {self.why or ''}>")


async def read_answer(reader, answer):
    """True if the connection can be used on."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    answer.status = int(lines[0].split(" ")[1])
    fields = collections.defaultdict(str)
    for line in lines[1:-2]:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    answer.cache = fields["cache-status"]
    if fields["transfer-encoding"] == "chunked":
        pieces = []
        while True:
            size = int((await reader.readuntil(b"\r\n"))[:-2], 16)
            pieces.append((await reader.readexactly(size + 2))[:-2])
            if size == 0:
                break
        answer.body = b"".join(pieces)
    else:
        answer.body = await reader.readexactly(int(fields["content-length"]))
    return "close" not in fields["connection"].lower()


async def _ask(streams, answer, timeout):
    reader, writer = streams
    writer.write(f"GET {answer.target} HTTP/1.1\r\nHost: test\r\n\r\n"
                 .encode())
    return await asyncio.wait_for(read_answer(reader, answer), timeout)


class Load:
    """clients ask ports (in turn) for targets at random, until stop().

    judge(answer): None, or what is wrong with it; by default anything but
    200 is. `bad` keeps the answers that were judged so, `answers` all.
    is_fresh: each request on a new connection, which counts in its seconds.
    local: the address the clients have.
    """

    def __init__(self, ports, targets, clients=200, think=0.08, judge=None,
                 timeout=PATIENCE, is_fresh=False, local="127.0.0.1"):
        self.ports = ports
        self.targets = targets
        self.clients = clients
        self.think = think
        self.judge = judge or (lambda answer: None)
        self.timeout = timeout
        self.is_fresh = is_fresh
        self.local = local
        self.answers = []
        self.bad = []
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def _run(self):
        asyncio.run(self._run_all())

    async def _run_all(self):
        await asyncio.gather(*(self._client(self.ports[i % len(self.ports)])
                               for i in range(self.clients)))

    async def _client(self, port):
        streams = None
        await asyncio.sleep(random.random() * self.think)
        while not self._is_over:
            answer = Answer(random.choice(self.targets), time.monotonic())
            try:
                if streams is None:
                    streams = await asyncio.open_connection(
                        "127.0.0.1", port, limit=HEAD_MAX,
                        local_addr=(self.local, 0))
                goes_on = await _ask(streams, answer, self.timeout)
            except (OSError, EOFError, ValueError, IndexError,
                    asyncio.TimeoutError) as error:
                answer.status = 0
                answer.why = repr(error)
                goes_on = False
            answer.seconds = time.monotonic() - answer.start
            self._note(answer)
            if streams is not None and (self.is_fresh or not goes_on):
                streams[1].close()
                streams = None
            await asyncio.sleep(self.think * (0.5 + random.random()))
        if streams is not None:
            streams[1].close()

    def _note(self, answer):
        if answer.why is None:
            answer.why = self.judge(answer)
        if answer.why is not None:
            self.bad.append(answer)
        answer.body = answer.body if answer.why else b""
        self.answers.append(answer)

    # --- For the test -----------------------------------------------------

    def mark(self):
        """A moment, for since()."""
        return len(self.answers)

    def since(self, mark):
        return self.answers[mark:]

    def wait_more(self, count, timeout=PATIENCE, what="answers",
                  accept=lambda answer: True):
        """Until `count` more answers have come that are as wanted."""
        mark = [self.mark(), 0]

        def are_there():
            end = self.mark()
            mark[1] += sum(map(accept, self.answers[mark[0]:end]))
            mark[0] = end
            return mark[1] >= count

        wait_until(are_there, timeout, f"{count} more {what}")

    def wait_hits(self, targets, timeout=PATIENCE):
        """Until each of the targets has been answered from the cache."""
        mark = [self.mark()]
        missing = set(targets)

        def are_there():
            end = self.mark()
            missing.difference_update(
                answer.target for answer in self.answers[mark[0]:end]
                if answer.is_hit)
            mark[0] = end
            return not missing

        wait_until(are_there, timeout, f"hits for all {len(targets)} targets")

    def check(self):
        """Fails if any answer was bad."""
        if self.bad:
            first = "\n".join(map(repr, self.bad[:10]))
            raise AssertionError(f"{len(self.bad)} of {len(self.answers)}"
                                 f" answers are bad, such as\n{first}")

    def stop(self):
        self._is_over = True
        self._thread.join(self.timeout + 5)
        assert not self._thread.is_alive(), "clients did not end"

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()


def quantile(answers, share):
    """The seconds within which that share of the answers came."""
    times = sorted(answer.seconds for answer in answers)
    return times[min(len(times) - 1, int(len(times) * share))]


def ask_at_once(ports, target, clients, timeout=PATIENCE):
    """All clients connect first; then all ask for the same target."""
    async def client(port, connected, go):
        async with connected:
            streams = await asyncio.open_connection(
                "127.0.0.1", port, limit=HEAD_MAX)
        answer = Answer(target, 0.0)
        go[0] -= 1
        if go[0] == 0:
            go[1].set()
        await go[1].wait()
        answer.start = time.monotonic()
        try:
            await _ask(streams, answer, timeout)
        except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
            answer.status = 0
            answer.why = repr(error)
        answer.seconds = time.monotonic() - answer.start
        streams[1].close()
        return answer

    async def all_of_them():
        connected = asyncio.Semaphore(256)  # a listen backlog is finite
        go = [clients, asyncio.Event()]
        return await asyncio.gather(*(
            client(ports[i % len(ports)], connected, go)
            for i in range(clients)))

    return asyncio.run(all_of_them())
