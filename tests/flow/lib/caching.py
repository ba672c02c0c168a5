"""The test case of the caching flows: one daemon, one Redis, one origin that
says what the test wants said. With NEARSIDE_TIER=memory in the environment
there is no Redis, and memory stores: then tests that look into Redis are
skipped. With NEARSIDE_TIER=both there is memory beside Redis. Otherwise there
is Redis alone.

Nothing waits for a lifetime to pass where it need not: a response that says
max-age=9 and Age: 9 is stale from its first moment (STALE).
"""

import os
import re
import time
import unittest

from .case import FlowTest
from .nearside import Nearside
from .origin import ScriptedOrigin
from .process import wait_until
from .redis import RedisServer
from .scripted import answer, conf

HIT = re.compile(r"nearside; hit; ttl=(-?\d+); detail=(?:shared|memory)\Z")
MISS = "nearside; fwd=uri-miss; stored"
FRESH = ("Cache-Control", "max-age=60")
STALE = (("Cache-Control", "max-age=9"), ("Age", "9"))


def http_date(at=None):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT",
                         time.gmtime(time.time() if at is None else at))


def cache_control(value):
    return ("Cache-Control", value)


class Said:
    """What an origin answers; the body differs with each answer unless it
    is given, so that whatever repeats one was stored."""

    def __init__(self, *fields, status="200 OK", body=None):
        self.fields = fields
        self.status = status
        self.body = body

    def send(self, connection, request, n):
        body = b"body %06d" % n if self.body is None else self.body
        length = len(body)
        if self.status.startswith(("304", "204")):
            head = [f"HTTP/1.1 {self.status}"]
            head += [f"{name}: {value}" for name, value in self.fields]
            connection.send("\r\n".join(head + ["", ""]).encode("latin-1"))
            return True
        if request.method == "HEAD":
            body = b""
        return answer(connection, body, self.fields, self.status, length)


class CachingTest(FlowTest):
    """routes: of the conf; `says` is what the origin answers next and from
    then on: a Said, or a function of (request, n) that gives one, None to
    close the connection instead."""

    routes = ""
    limits = ""
    more = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.count = 0
        cls.script = Said()
        cls.redis = None
        if os.environ.get("NEARSIDE_TIER") != "memory":
            cls.redis = cls.use_in_class(RedisServer())
        cls.origin = cls.use_in_class(ScriptedOrigin(
            lambda c, r, n: cls.respond(c, r, n)))
        cls.daemon = cls.use_in_class(Nearside(cls.make_conf()))

    @classmethod
    def make_conf(cls):
        return conf(cls.origin.url, cls.routes, cls.limits, cls.redis,
                    cls.more)

    @classmethod
    def respond(cls, connection, request, n):
        said = cls.script
        if callable(said):
            said = said(request, n)
        return said is not None and said.send(connection, request, n)

    def says(self, *fields, **more):
        """Fields, or one function: see above."""
        is_function = len(fields) == 1 and callable(fields[0])
        type(self).script = fields[0] if is_function else Said(*fields, **more)

    def setUp(self):
        self.says()

    # --- asking -----------------------------------------------------------

    def target(self, base="/c"):
        """One that no test had before."""
        type(self).count += 1
        return f"{base}/{self.count}"

    def get(self, target, fields=None, **more):
        return self.daemon.get(target, fields=fields, **more)

    def key(self, target, host="test"):
        return f"ns:e:{{http://{host}{target}}}"

    def needs_redis(self):
        if self.redis is None:
            raise unittest.SkipTest("it shares Redis, or looks into it")

    def in_redis(self, *words):
        self.needs_redis()
        return self.redis(*words)

    def value(self, target):
        return self.in_redis("GET", self.key(target))

    def keys(self, target):
        """All of its slot: the record, the variants, their number."""
        return self.in_redis("KEYS", f"ns:e:*{target}}}*")

    def watch_lease(self, target):
        """For lease_ends(): hears of it from now on."""
        self.in_redis("CONFIG", "SET", "notify-keyspace-events", "Kgx")
        heard = self.use(self.redis.connect())
        heard("PSUBSCRIBE", f"__keyspace@0__:ns:l:*{target}}}*")
        return heard

    @staticmethod
    def lease_ends(heard):
        """"del": it was given back; "expired": its time was over."""
        while True:
            event = heard.read()[-1].decode()
            if event in ("del", "expired"):
                return event

    def watch_commands(self):
        """For leases_asked()."""
        self.needs_redis()
        heard = self.use(self.redis.connect())
        heard("MONITOR")
        return heard

    def leases_asked(self, heard, target):
        """How often anybody has tried to take the target's lease since."""
        self.redis("ECHO", "until here")
        count = 0
        while '"until here"' not in (line := heard.read()):
            count += '] "SET" "ns:l:' in line and f'{target}}}"' in line
        return count

    def wait_stored(self, target):
        return wait_until(lambda: self.value(target),
                          what=f"{target} is in Redis", every=0.002)

    def stores(self):
        return self.daemon.metric("nearside_stores_total")

    def fill(self, target, *fields, request=None, **said):
        """Lets the origin say that, asks, and waits until it is stored."""
        if fields or said:
            self.says(*fields, **said)
        before = self.stores()
        got = self.get(target, request)
        self.assertIn("; stored", got.cache_status)
        if self.redis is None:
            wait_until(lambda: self.stores() > before,
                       what=f"{target} is in memory", every=0.002)
        else:
            self.wait_stored(target)
        return got

    def asked(self, target):
        """The requests for it that the origin has seen."""
        return [r for r in self.origin.requests if r.target == target]

    def last(self, target):
        return self.asked(target)[-1]

    def wait_asked(self, target, count):
        wait_until(lambda: len(self.asked(target)) >= count,
                   what=f"{target} is asked for {count} times", every=0.002)

    # --- judging ----------------------------------------------------------

    def assert_hit(self, got, of=None):
        self.assertRegex(got.cache_status, HIT)
        if of is not None:
            self.assertEqual(got.body, of.body)
        return int(HIT.match(got.cache_status)[1])

    def assert_not_hit(self, got):
        self.assertNotIn("; hit", got.cache_status)

    def assert_asked(self, target, times):
        self.assertEqual(len(self.asked(target)), times)
