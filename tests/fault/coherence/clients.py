"""Readers of all daemons and writers of some, in a process of their own, which
log what they see.

Targets are read and written at random. A value is one more than the last one
that anybody tried, so that values tell writes apart. The log is handed over in
parts; a part holds all that ended since the one before it.
"""

import array
import asyncio
import json
import random
import re
import sys
import time

from helper import obey
from lib.load import HEAD_MAX, read_answer

TIERS = ("origin", "shared", "memory")
DETAIL = re.compile(r"; hit\b.*; detail=(shared|memory)\b")
READ_TIMEOUT_S = 3.0
WRITE_TIMEOUT_S = 10.0


class Log:
    """Reads as columns of numbers: half an hour of them is a million."""

    def __init__(self):
        self.start = array.array("d")
        self.end = array.array("d")
        self.target = array.array("H")
        self.value = array.array("q")
        self.at = array.array("B")
        self.tier = array.array("B")
        self.sent = []     # (target, value)
        self.written = []  # (time, target, value, at)
        self.failed = []   # (time, method, target, at, status, why)

    def add(self, start, target, value, at, tier):
        self.start.append(start)
        self.end.append(time.monotonic())
        self.target.append(target)
        self.value.append(value)
        self.at.append(at)
        self.tier.append(tier)

    def reads(self):
        return zip(self.start, self.end, self.target, self.value, self.at,
                   self.tier)


class _Answer:
    status = 0
    cache = ""
    body = b""
    why = ""


class _Client:
    """One connection, made again whenever it has broken."""

    def __init__(self, port):
        self.port = port
        self.streams = None

    async def ask(self, request, timeout):
        answer = _Answer()
        try:
            goes_on = await asyncio.wait_for(self._ask(request, answer),
                                             timeout)
        except (OSError, EOFError, ValueError, IndexError,
                asyncio.TimeoutError) as error:
            answer.status, answer.why = 0, repr(error)
            goes_on = False
        if not goes_on and self.streams is not None:
            self.streams[1].transport.abort()
            self.streams = None
        return answer

    async def _ask(self, request, answer):
        if self.streams is None:
            self.streams = await asyncio.open_connection(
                "127.0.0.1", self.port, limit=HEAD_MAX)
        self.streams[1].write(request)
        return await read_answer(self.streams[0], answer)


class _Load:
    def __init__(self, seed, ports, writing, targets, readers, reads, writes):
        """reads, writes: how many a second, in all, are aimed at."""
        self.random = random.Random(seed)
        self.ports = ports
        self.writing = writing
        self.targets = targets
        self.log = Log()
        self.value = 0
        count = readers * len(ports)
        self.jobs = [self._reader(i % len(ports), count / reads)
                     for i in range(count)]
        # Enough of them that one that waits does not slow the others.
        count = 8 * len(writing)
        self.jobs += [self._writer(writing[i % len(writing)], count / writes)
                      for i in range(count)]

    async def run(self):
        await asyncio.gather(*self.jobs)

    async def _pause(self, every, began):
        due = began + every * (0.5 + self.random.random())
        await asyncio.sleep(max(0, due - time.monotonic()))

    async def _reader(self, at, every):
        client = _Client(self.ports[at])
        await self._pause(every, time.monotonic())
        while True:
            target = self.random.randrange(len(self.targets))
            start = time.monotonic()
            answer = await client.ask(
                b"GET %s HTTP/1.1\r\nHost: test\r\n\r\n"
                % self.targets[target].encode(), READ_TIMEOUT_S)
            self._note(start, target, at, answer)
            await self._pause(every, start)

    def _note(self, start, target, at, answer):
        if answer.status != 200:
            self._failed("GET", target, at, answer)
            return
        try:
            body = json.loads(answer.body)
            is_ours = body["of"] == self.targets[target]
        except ValueError:
            is_ours = False
        if not is_ours:
            answer.why = f"a wrong byte: {answer.body[:60]!r}"
            self._failed("GET", target, at, answer)
            return
        detail = DETAIL.search(answer.cache)
        self.log.add(start, target, body["value"], at,
                     TIERS.index(detail[1]) if detail else 0)

    async def _writer(self, at, every):
        client = _Client(self.ports[at])
        await self._pause(every, time.monotonic())
        while True:
            began = time.monotonic()
            target = self.random.randrange(len(self.targets))
            self.value += 1
            value = self.value
            self.log.sent.append((target, value))
            body = json.dumps({"value": value}).encode()
            answer = await client.ask(
                b"PUT %s HTTP/1.1\r\nHost: test\r\nContent-Type:"
                b" application/json\r\nContent-Length: %d\r\n\r\n%s" % (
                    self.targets[target].encode(), len(body), body),
                WRITE_TIMEOUT_S)
            if answer.status == 200:
                self.log.written.append(
                    (time.monotonic(), target, value, at))
            else:
                self._failed("PUT", target, at, answer)
            await self._pause(every, began)

    def _failed(self, method, target, at, answer):
        self.log.failed.append((time.monotonic(), method, target, at,
                                answer.status, answer.why or answer.cache))

    # --- For the owner ----------------------------------------------------

    def collect(self):
        log, self.log = self.log, Log()
        return log

    def port_is(self, at, port):
        """The daemon listens elsewhere now; only its new connections go
        there."""
        self.ports[at] = port


def main(pipe):
    """Waits for (seed, ports, ...) and begins."""
    sys.setswitchinterval(1)
    pipe.send("here")
    name, args = pipe.recv()
    assert name == "begin", name
    pipe.send("begun")

    async def run():
        load = _Load(*args)
        obey(pipe, asyncio.get_running_loop(), load)
        await load.run()
    asyncio.run(run())
