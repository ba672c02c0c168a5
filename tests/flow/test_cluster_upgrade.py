# ctest: timeout=900 long
"""A rolling upgrade: a daemon of version 0.1 beside this one, before the same
healthy cluster. A write through either is seen through the other, for every
target that needs no decoding, and each uses what the other has stored.

The earlier daemon is built from the repository's history; without that, or
libconfuse, which it needs, the test is skipped.
"""

import itertools
import re
import threading
import time
import unittest

from lib import (FlowTest, Nearside, RedisCluster, ScriptedOrigin, SampleOrigin,
                 fetch, wait_until)
from lib.oracle import Instance, Oracle
from lib.scripted import Steps, answer
from lib.version import earlier

BOUND_S = 2.0
EACH = 5
LOAD_S = 10

CONF = """
listen = { "127.0.0.1:0" }
admin = off
workers = 2
drain_delay = 0
redis { seeds = { %(seeds)s }  command_timeout = 2s  hang = 4s }
origin api { servers = { "%(origin)s" } }
route "/chosen/*" { query = { "currency", "lang" } }
route "/noquery/*" { query = none }
route "/stored/*" { store_post = on }
route "/who/*" { authorization = key }
route "/visitor/*" { cookie = key }
route "/forced/:id" { ttl_force = on }
route "/*" { ttl = 5m }
"""

LANGUAGES = [[("Accept-Language", "de")], [("Accept-Language", "en")], []]
CODINGS = [[("Accept-Encoding", "gzip")], [("Accept-Encoding", "br")], []]


class Kind:
    """A sort of target: `form` with a number in it; `asks` are the fields of
    the requests that read it, and a write is `method` to `to`."""

    def __init__(self, name, form, method="PUT", to=None, host="test",
                 asks=((),), read_host=None, write_fields=()):
        self.name = name
        self.form = form
        self.method = method
        self.to = to or form
        self.host = host
        self.read_host = read_host or host
        self.asks = [list(fields) for fields in asks]
        self.write_fields = list(write_fields)


KINDS = [
    Kind("plain", "/products/{}"),
    Kind("root of a folder", "/folder/{}/"),
    Kind("sub-folder", "/a/b/c.d/e~f/{}"),
    Kind("sub-delimiters", "/p/!$&'()*+,=:@/{}"),
    Kind("escapes", "/e/%20%22%C3%A9%7B{}%7D"),
    Kind("long", "/" + 60 * "abcdef/" + "{}"),
    Kind("long with escapes", "/" + 60 * "%C3%A9/" + "{}"),
    Kind("query", "/query/{}?b=2&a=1&&c"),
    Kind("empty query", "/query/{}?"),
    Kind("query with escapes", "/query/{}?q=%22a%22+b%26c/?"),
    Kind("long query", "/query/{}?" + 60 * "a=%20b&"),
    Kind("chosen query", "/chosen/{}?currency=EUR&debug=1&lang=de",
         to="/chosen/{}?debug=2&currency=EUR&lang=de"),
    Kind("no query", "/noquery/{}?a=1", to="/noquery/{}?b=2"),
    Kind("other host", "/h/{}", host="shop.example"),
    Kind("host with a port", "/h/{}", host="shop.example:8080"),
    Kind("host in capitals", "/h/{}", host="SHOP.example",
         read_host="shop.EXAMPLE"),
    Kind("IPv6 host", "/h/{}", host="[2001:db8::1]:81"),
    Kind("PATCH", "/products/{}", method="PATCH"),
    Kind("POST", "/products/{}", method="POST"),
    Kind("DELETE", "/products/{}", method="DELETE"),
    Kind("unknown method", "/products/{}", method="FROB"),
    Kind("varying by language", "/vary/Accept-Language/{}", asks=LANGUAGES),
    Kind("varying by coding", "/vary/Accept-Encoding/{}", asks=CODINGS),
    Kind("varying by both", "/vary/Accept-Language,Accept-Encoding/{}",
         asks=LANGUAGES[:2] + CODINGS[:2]),
    Kind("varying query", "/vary/Accept-Language/{}?q=1&p", asks=LANGUAGES),
    Kind("varying and DELETE", "/vary/Accept-Language/{}", method="DELETE",
         asks=LANGUAGES),
    Kind("credentials", "/who/{}", write_fields=[("Authorization", "Bearer a")],
         asks=[[("Authorization", "Bearer a")], [("Authorization", "Bearer b")],
               []]),
    Kind("cookies", "/visitor/{}", write_fields=[("Cookie", "id=a")],
         asks=[[("Cookie", "id=a")], [("Cookie", "id=b")], []]),
    Kind("shared with credentials", "/public/{}",
         asks=[[("Authorization", "Bearer a")], []]),
    Kind("large", "/large/{}"),
    Kind("freshness of the route", "/forced/{}"),
    Kind("stored POST", "/stored/{}", method="POST"),
    Kind("Location of a 201", "/items/{}", method="POST", to="/items?add={}"),
    Kind("Content-Location", "/named/{}", to="/names/{}"),
    Kind("Location of a PUT", "/located/{}", to="/locate/{}"),
]


class Api:
    """Resources by host and path; each write gives one the next value."""

    def __init__(self):
        self.values = {}
        self.next = itertools.count(1)
        self.lock = threading.Lock()
        self.held = {}

    def __call__(self, connection, request, n):
        del n
        path, _, query = request.target.partition("?")
        fields = [("Cache-Control", "max-age=60")]
        if request.method not in ("GET", "HEAD"):
            return self.write(connection, request, path, query, fields)
        with self.lock:
            value = self.values.get(self.name(request, path), 0)
        if path in self.held:
            self.held[path].go("asked")
            self.held.pop(path).wait("answer")
        if path.startswith("/vary/"):
            fields.append(("Vary", path.split("/")[2]))
        if path.startswith("/public/"):
            fields[0] = ("Cache-Control", "public, max-age=60")
        if path.startswith("/forced/"):
            fields[0] = ("Cache-Control", "max-age=0")
        status = "404 Not Found" if value is None else "200 OK"
        body = b"value %d %s" % (value or 0, query.encode())
        if path.startswith("/large/"):
            body = body.ljust(300000)
        return answer(connection, body, fields, status)

    @staticmethod
    def name(request, path):
        return request.fields["Host"].lower() + path

    def write(self, connection, request, path, query, fields):
        named = path
        extra = []
        status = "200 OK"
        if query.startswith("add="):
            named = f"/items/{query[4:]}"
            status = "201 Created"
            extra = [("Location", named)]
        if path.startswith("/names/"):
            named = path.replace("names", "named")
            extra = [("Content-Location", named)]
        if path.startswith("/locate/"):
            named = path.replace("locate", "located")
            extra = [("Location", named)]
        if path.startswith("/stored/"):
            extra = fields + [("Content-Location", path)]
        value = None if request.method == "DELETE" else next(self.next)
        with self.lock:
            self.values[self.name(request, named)] = value
        return answer(connection, b"value %d " % (value or 0), extra, status)


class Count:
    """What has been seen of one kind, and in all."""

    def __init__(self):
        self.writes = self.reads = self.at_once = self.used = 0
        self.longest = 0.0

    def add(self, other):
        self.writes += other.writes
        self.reads += other.reads
        self.at_once += other.at_once
        self.used += other.used
        self.longest = max(self.longest, other.longest)

    def __str__(self):
        return (f"{self.writes} writes, {self.reads} reads through the other,"
                f" {self.at_once} of them new at once,"
                f" the last after {1000 * self.longest:.0f} ms;"
                f" {self.used} hits of what the other had stored")


def setUpModule():
    earlier()


class Upgrade(FlowTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = cls.use_in_class(RedisCluster(3, 0))
        cls.api = Api()
        cls.origin = cls.use_in_class(ScriptedOrigin(cls.api))
        cls.fleet = {name: cls.use_in_class(daemon)
                     for name, daemon in cls.daemons(cls.origin.url)}
        cls.numbers = itertools.count(1)

    @classmethod
    def daemons(cls, origin):
        """Started one after the other, each with its name."""
        text = CONF % {"seeds": cls.cluster.seeds, "origin": origin}
        yield "0.1", Nearside(text, name="version-0.1", program=earlier())
        yield "new", Nearside(text, name="version-new")

    def setUp(self):
        self.cluster.flush()

    # --- asking -----------------------------------------------------------

    def read(self, kind, at, number, fields):
        """(value, is it a hit); the value is None after a DELETE."""
        got = fetch(self.fleet[at].port, kind.form.format(number),
                    fields=fields, host=kind.read_host)
        self.assertIn(got.status, (200, 404), got)
        value = int(re.match(rb"value (\d+)", got.body)[1])
        return (value if got.status == 200 else None,
                "; hit" in got.field("Cache-Status"))

    def write(self, kind, at, number):
        """The new value, when it has been acknowledged."""
        got = fetch(self.fleet[at].port, kind.to.format(number), kind.method,
                    kind.write_fields, b"x", kind.host)
        self.assertIn(got.status, (200, 201), got)
        return (None if kind.method == "DELETE" else
                int(re.match(rb"value (\d+)", got.body)[1]))

    def store(self, kind, at, number, value):
        """Lets all forms of it be stored by that daemon."""
        for fields in kind.asks:
            wait_until(lambda: self.read(kind, at, number, fields)
                       == (value, True), every=0.002,
                       what=f"{kind.name} is stored by {at}")

    def see(self, kind, at, number, value, count):
        """Reads until all forms are new, within the bound."""
        acknowledged = time.monotonic()
        for fields in kind.asks:
            is_first = True
            while True:
                began = time.monotonic()
                seen, _ = self.read(kind, at, number, fields)
                if seen == value:
                    break
                is_first = False
                if began - acknowledged > BOUND_S:
                    self.fail(f"{kind.name} {number} {fields}: {seen} and not"
                              f" {value} through {at}")
            count.reads += 1
            count.at_once += is_first
            if not is_first:
                count.longest = max(count.longest, began - acknowledged)

    # --- The cases --------------------------------------------------------

    def try_kind(self, kind, storing, writing, count):
        other = {"0.1": "new", "new": "0.1"}
        number = next(self.numbers)
        value = 0
        for _ in range(2):
            self.store(kind, storing, number, value)
            for fields in kind.asks:
                seen = self.read(kind, other[storing], number, fields)
                self.assertEqual(seen[0], value)
                count.used += seen[1]
                self.assertTrue(seen[1], f"{kind.name} {fields}: no hit of"
                                f" what {storing} has stored")
            value = self.write(kind, writing, number)
            count.writes += 1
            self.see(kind, other[writing], number, value, count)
            self.see(kind, writing, number, value, Count())

    def test_a_write_through_either_is_seen_through_the_other(self):
        total = Count()
        for kind in KINDS:
            count = Count()
            with self.subTest(kind=kind.name):
                for storing, writing, _ in itertools.product(
                        self.fleet, self.fleet, range(EACH)):
                    self.try_kind(kind, storing, writing, count)
            print(f"{kind.name}: {count}", flush=True)
            total.add(count)
        print(f"all {len(KINDS)} kinds: {total}", flush=True)

    def test_a_fetch_that_a_write_overtakes_is_not_stored(self):
        """By one version, while the other writes; and by the same."""
        kind = KINDS[0]
        count = Count()
        for fetching, writing, _ in itertools.product(
                self.fleet, self.fleet, range(EACH)):
            number = next(self.numbers)
            steps = Steps()
            self.api.held[f"/products/{number}"] = steps
            fetcher = threading.Thread(target=self.read, args=(
                kind, fetching, number, []))
            fetcher.start()
            steps.wait("asked")
            value = self.write(kind, writing, number)
            steps.go("answer")
            fetcher.join()
            count.writes += 1
            for at in self.fleet:
                self.see(kind, at, number, value, count)
        print(f"overtaken: {count}", flush=True)

    def test_nothing_is_old_while_both_read_and_write(self):
        targets = [f"/products/{n}" for n in range(1, 121)]
        origin = self.use(SampleOrigin(products=len(targets)))
        both = [Instance("127.0.0.1", self.use(daemon).port, name)
                for name, daemon in self.daemons(origin.url)]
        oracle = self.use(Oracle(both, both, targets))
        time.sleep(LOAD_S)  # the load of a while is what is judged
        oracle.stop()
        late = oracle.ages()
        writes = sum(map(len, oracle.written.values()))
        oldest = max((seconds for seconds, _, _ in late), default=0.0)
        print(f"load: {writes} writes, {len(oracle.reads)} reads,"
              f" {oracle.hit_share():.0%} hits, {len(late)} behind, by"
              f" {oldest:.2f} s at most", flush=True)
        self.assertEqual(oracle.failed, [])
        self.assertEqual([one for one in late if one[0] > BOUND_S], [])
        self.assertGreater(oracle.hit_share(), 0.5)


if __name__ == "__main__":
    unittest.main()
