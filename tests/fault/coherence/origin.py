"""An API of counters: PUT /counters/N raises one, GET shows it.

A counter never falls, so that a PUT that arrives late, or again, makes no
difference: once a value has been acknowledged, the origin shows no older one.
Some answers to GET are late: they show what was there when the request came,
and writes may pass them.
"""

import asyncio
import json
import random
import re

from helper import obey

LATE_SHARE = 0.1
LATE_S = 0.15  # at most

LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


def body_of(target, value):
    return json.dumps({"of": target, "value": value}).encode()


class _Api:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.values = {}
        self.gets = 0

    def answer(self, method, target, body):
        """(body, seconds to wait first)"""
        value = self.values.get(target, 0)
        if method == "PUT":
            value = max(value, json.loads(body)["value"])
            self.values[target] = value
            return body_of(target, value), 0
        self.gets += 1
        late = self.random.random() < LATE_SHARE
        return (body_of(target, value),
                self.random.random() * LATE_S if late else 0)

    def count(self):
        return self.gets


class _Connection(asyncio.Protocol):
    """Reads request after request; answers in their order."""

    def __init__(self, api, loop):
        self.api = api
        self.loop = loop
        self.data = b""
        self.is_busy = False

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        self._go_on()

    def _go_on(self):
        while not self.is_busy:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return
            length = LENGTH.search(self.data, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.data) < whole:
                return
            method, target, _ = self.data.split(b" ", 2)
            body, late = self.api.answer(method.decode(), target.decode(),
                                         self.data[end + 4:whole])
            self.data = self.data[whole:]
            if late:
                self.is_busy = True
                self.loop.call_later(late, self._send_late, body)
            else:
                self._send(body)

    def _send(self, body):
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def _send_late(self, body):
        self.is_busy = False
        self._send(body)
        self._go_on()


def main(pipe, seed):
    async def run():
        loop = asyncio.get_running_loop()
        api = _Api(seed)
        server = await loop.create_server(
            lambda: _Connection(api, loop), "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        obey(pipe, loop, api)
        await server.serve_forever()
    asyncio.run(run())
