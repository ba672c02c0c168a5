"""What poisons caches, thrown at one: each time a victim gets its own.

The origin says what it was asked, and believes all that an origin may: a
body with GET, a target it decodes, fields that are too large for it. All it
says may be stored for a minute.
"""

import re
import unittest
import urllib.parse

from lib import FlowTest, Nearside, RedisServer, ScriptedOrigin
from lib.payloads import head
from lib.scripted import answer, conf

# The end of a target, and what it is to an origin that decodes.
TRAPS = {
    "a;x": "a", "a;.css": "a", "a%2fb": "a/b", "a%2Fb": "a/b",
    "a%5cb": "a/b", "b/%2e%2e/a": "a", "b/.%2e/a": "a", "b/%2E./a": "a",
    "b//a": "b/a", "/a": "a", "b%2f%2e%2e%2fa": "a",
}
# Bytes that mean something to one reader and nothing to another: each is a
# key of its own.
RAW = ["a%23b", "a%3Bx", "a%3Fb", "a%0Ab", "a%0D%0Ab", "a%20b", "a+b", "a%00b",
       "%2561", "A", "a%", "a|b", "a{b}", "{a}", "a}{b", "a^b", "a'b",
       "a,b", "a@b", "a:b", "a!b", "a~b", "a*b", "a[b]", "a`b", "a&b", "a=b",
       "a$b", "(a)", "a.", "a..b", ".a", "..a", "a%E2%80%AE", "a%C0%AF"]


class Attacks(FlowTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.redis = cls.use_in_class(RedisServer())
        cls.origin = cls.use_in_class(ScriptedOrigin(cls.script))
        cls.daemon = cls.use_in_class(Nearside(conf(
            cls.origin.url, redis=cls.redis, workers=1,
            routes='route "/kept/*" { }\n'
            'route "/stated/*" { ttl = 0  heuristic = off }')))
        cls.count = 0

    @staticmethod
    def script(connection, request, n):
        path = urllib.parse.unquote(request.target, "latin-1")
        size = sum(len(a) + len(b) for a, b in request.fields.fields)
        status = re.search(r"/status/(\d+)", request.target)
        fields = [] if "/stated" in path else [("Cache-Control", "max-age=60")]
        said = f"{n} {request.method} {request.target}".encode("latin-1")
        if size > 4000:
            return answer(connection, b"too large", fields, "400 Bad Request")
        if status is not None:
            return answer(connection, said, fields, f"{status[1]} X")
        return answer(connection, said + b" " + request.body, fields)

    def target(self, end=""):
        type(self).count += 1
        return f"/kept/{self.count}/{end}"

    def own(self, target, **more):
        """A victim's answer is for what it asked; twice, so that what was
        stored shows. Returns whether it was stored."""
        first = self.daemon.get(target, **more)
        second = self.daemon.get(target, **more)
        for got in (first, second):
            self.assertEqual(got.status, 200)
            self.assertRegex(got.body.decode("latin-1"),
                             rf"\A\d+ GET {re.escape(target)} \Z")
        return "; hit" in second.cache_status

    def test_a_body_with_get_reaches_no_other(self):
        for method in ("GET", "HEAD"):
            for framing in (b"Content-Length: 4",
                            b"Transfer-Encoding: chunked"):
                target = self.target()
                data = b"evil" if b"Length" in framing else \
                    b"4\r\nevil\r\n0\r\n\r\n"
                for _ in range(2):
                    with self.daemon.connect() as client:
                        client.send(head(framing, method=method,
                                         target=target) + data)
                        got = client.read_response(method)
                        self.assertEqual(got.status, 200)
                        self.assertNotIn("hit", got.cache_status)
                self.assertTrue(self.own(target))

    def test_all_of_a_query_is_keyed(self):
        base = self.target("q")
        queries = ["", "?", "?a", "?a=", "?a=1", "?A=1", "?a=1&b=2",
                   "?b=2&a=1", "?a=1&utm_source=x", "?a=1;b=2", "?a=1&a=2",
                   "?a=2&a=1", "?a=1&", "?&a=1", "?a=1%23",
                   "?a=1/../b", "?a=1?", "?_method=DELETE", "?callback=evil"]
        for query in queries:
            with self.subTest(query=query):
                self.assertTrue(self.own(base + query))

    def test_what_is_read_in_two_ways_is_not_stored(self):
        for trap, decoded in TRAPS.items():
            with self.subTest(trap=trap):
                base = self.target()
                plain = base + decoded
                self.assertTrue(self.own(plain))
                got = self.daemon.get(base + trap)
                self.assertIn((base + trap).encode(), got.body)
                self.assertNotIn("stored", got.cache_status)
                self.assertFalse(self.own(base + trap))
                self.assertTrue(self.own(plain))

    def test_each_target_is_a_key_of_its_own(self):
        base = self.target()
        for raw in RAW:
            with self.subTest(raw=raw):
                got = self.daemon.get(base + raw)
                if got.status == 400:
                    self.assertIn(raw, ("a%00b", "a%"))
                    continue
                self.own(base + raw)
        for raw in RAW:  # and none of them has taken another's place
            if raw not in ("a%00b", "a%"):
                self.own(base + raw)

    def test_a_field_too_large_for_the_origin_spoils_nothing(self):
        """HHO, below our own limits and above."""
        for fields, status in (([("X", "x" * 7900)], 400),
                               ([("X", "x" * 9000)], 431),
                               ([("X", "x" * 500)] * 12, 400),
                               ([("X", "x")] * 200, 431)):
            target = self.target()
            for _ in range(2):
                got = self.daemon.get(target, fields=fields)
                self.assertEqual(got.status, status)
                self.assertNotIn("stored", got.cache_status)
            self.assertTrue(self.own(target))

    def test_errors_about_a_request_are_never_stored(self):
        for status in (400, 401, 402, 403, 405, 406, 407, 408, 409, 411, 412,
                       413, 414, 415, 416, 417, 421, 422, 425, 426, 428, 429,
                       431, 451, 500, 501, 502, 503, 504, 505):
            with self.subTest(status=status):
                target = self.target(f"status/{status}")
                for _ in range(2):
                    got = self.daemon.get(target)
                    self.assertEqual(got.status, status)
                    self.assertNotIn("hit", got.cache_status)

    def test_nothing_is_stored_for_its_name(self):
        """Web cache deception: without a word of the origin, not kept."""
        for end in ("account.css", "account/x.js", "a.png?v=1", "robots.txt",
                    "account%2f.css", "static/a.css"):
            with self.subTest(end=end):
                type(self).count += 1
                self.assertFalse(self.own(f"/stated/{self.count}/{end}"))

    def test_another_method_is_another_thing(self):
        target = self.target()
        for method in ("get", "Get", "GETX", "PURGE", "PROPFIND"):
            got = self.daemon.get(target, method=method)
            self.assertIn(f" {method} ".encode(), got.body)
            self.assertNotIn("hit", got.cache_status)
        self.assertTrue(self.own(target))

    def test_odd_ranges_and_conditions_spoil_nothing(self):
        for name, value in (
                ("Range", "bytes=cow"), ("Range", "bytes=99999999-"),
                ("Range", "bytes=-0"), ("Range", "bytes=0-0,1-1"),
                ("If-Range", "x"), ("If-Match", '"nope"'),
                ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
                ("If-None-Match", "*"), ("Accept-Encoding", "evil"),
                ("Accept-Encoding", "identity;q=0, *;q=0")):
            with self.subTest(name=name, value=value):
                target = self.target()
                self.daemon.get(target, fields={name: value})
                self.own(target)


if __name__ == "__main__":
    unittest.main()
