"""Writers and readers at several daemons, and what is older than it may be.

Each target has one writer, who counts up; a read that began at s must show
at least what was acknowledged `bound` before s. Reads and acknowledgements
keep their times, and are judged when all is over.
"""

import asyncio
import bisect
import collections
import itertools
import json
import random
import re
import threading
import time

from .load import HEAD_MAX, read_answer

PRICE = re.compile(rb'"price":(\d+)')

Read = collections.namedtuple("Read", "start target value is_hit at")
Written = collections.namedtuple("Written", "time value at")


class Instance:
    """Where clients reach a daemon: an address, a port and a name."""

    def __init__(self, ip, port, name):
        self.ip = ip
        self.port = port
        self.name = name

    def __repr__(self):
        return self.name


class Oracle:
    """readers ask the instances for targets at random; those that write
    share the targets, and put `rate` values a second in all."""

    def __init__(self, instances, writing, targets, rate=60, readers=24,
                 think=0.03):
        self.instances = instances
        self.writing = writing
        self.targets = targets
        self.rate = rate
        self.readers = readers
        self.think = think
        self.reads = []
        self.written = {target: [] for target in targets}
        self.failed = []
        self._next = itertools.count(1000)
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        asyncio.run(self._run_all())

    async def _run_all(self):
        jobs = [self._reader(self.instances[i % len(self.instances)])
                for i in range(self.readers)]
        # Enough writers that one that waits does not slow the others.
        count = 8 * len(self.writing)
        jobs += [self._writer(self.writing[i % len(self.writing)],
                              self.targets[i::count], count / self.rate)
                 for i in range(count)]
        await asyncio.gather(*jobs)

    async def _exchange(self, instance, streams, request):
        """(status, Cache-Status, body, streams to use on)."""
        class Answer:
            status, cache, body = 0, "", b""
        answer = Answer()
        try:
            if streams is None:
                streams = await asyncio.wait_for(asyncio.open_connection(
                    instance.ip, instance.port, limit=HEAD_MAX), 10)
            streams[1].write(request)
            if not await asyncio.wait_for(
                    read_answer(streams[0], answer), 10):
                streams[1].close()
                streams = None
        except (OSError, EOFError, ValueError, IndexError,
                asyncio.TimeoutError) as error:
            answer.status, answer.cache = 0, repr(error)
            if streams is not None:
                streams[1].close()
            streams = None
        return answer.status, answer.cache, answer.body, streams

    async def _reader(self, instance):
        streams = None
        while not self._is_over:
            await asyncio.sleep(self.think * (0.5 + random.random()))
            target = random.choice(self.targets)
            start = time.monotonic()
            status, cache, body, streams = await self._exchange(
                instance, streams,
                f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
            price = PRICE.search(body)
            if status != 200 or price is None:
                self.failed.append((time.monotonic(), "GET", target,
                                    instance.name, status, cache))
                continue
            self.reads.append(Read(start, target, int(price[1]),
                                   "; hit" in cache, instance.name))
        self._hang_up(streams)

    async def _writer(self, instance, targets, every):
        streams = None
        await asyncio.sleep(random.random() * every)
        for target in itertools.cycle(targets):
            if self._is_over:
                break
            due = time.monotonic() + every
            value = next(self._next)
            body = json.dumps({"name": "x", "price": value}).encode()
            status, cache, _, streams = await self._exchange(
                instance, streams,
                b"PUT %s HTTP/1.1\r\nHost: test\r\nContent-Type:"
                b" application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (target.encode(), len(body), body))
            if status == 200:
                self.written[target].append(
                    Written(time.monotonic(), value, instance.name))
            else:
                self.failed.append((time.monotonic(), "PUT", target,
                                    instance.name, status, cache))
            await asyncio.sleep(max(0, due - time.monotonic()))
        self._hang_up(streams)

    @staticmethod
    def _hang_up(streams):
        if streams is not None:
            streams[1].close()

    # --- The judgement ----------------------------------------------------

    def ages(self, excused=()):
        """For each read that was behind: (seconds, read, acknowledgement).

        excused: (instance's name, from, to), such as a cut: what was
        acknowledged there and then counts from `to` on.
        """
        late = []
        for target, written in self.written.items():
            acks = sorted((self._counts_from(w, excused), w) for w in written)
            times = [time for time, _ in acks]
            self._judge(target, acks, times, late)
        return late

    @staticmethod
    def _counts_from(written, excused):
        return max([written.time] + [
            end for name, begin, end in excused
            if name == written.at and begin <= written.time <= end])

    def _judge(self, target, acks, times, late):
        for read in self._reads_of(target):
            # The oldest acknowledgement that this read does not show.
            for i in range(bisect.bisect_left(times, read.start)):
                if acks[i][1].value > read.value:
                    late.append((read.start - times[i], read, acks[i][1]))
                    break

    def _reads_of(self, target):
        if not hasattr(self, "_by_target"):
            self._by_target = collections.defaultdict(list)
            for read in self.reads:
                self._by_target[read.target].append(read)
        return self._by_target[target]

    def hit_share(self):
        return sum(read.is_hit for read in self.reads) / len(self.reads)

    def stop(self):
        self._is_over = True
        self._thread.join(30)
        assert not self._thread.is_alive(), "clients did not end"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        if self._thread.is_alive():
            self.stop()
