# ctest: memory
"""One resource, many spellings (RFC 3986 6.2.2): whichever a client chooses,
route, key and what a write deletes are those of the normal one. What is sent
are the client's own bytes, so that what it has signed can be verified; and so
what an odd spelling brings is nobody else's."""

import base64
import hashlib
import hmac
import unittest
import urllib.parse

from lib import wait_until
from lib.caching import (CachingTest, FRESH, STALE, MISS, Said, cache_control)
from lib.scripted import Steps, conf, together

ODD = "nearside; fwd=uri-miss; detail=spelling"


def odd(target):
    """The last character encoded, which needs none."""
    return f"{target[:-1]}%{ord(target[-1]):02x}"


class Spelling(CachingTest):
    routes = ('route "/c/*" { ttl = 60s  keep = 10m }\n'
              'route "/stock/me" { read = pass }\n'
              'route "/stock/caf%c3%a9" { ttl = 60s  cache_status = key }\n'
              'route "PUT /stock/:id" { ttl = 60s }\n'
              'route "/stock/:id" { ttl = 60s  methods = { "GET" } }\n'
              'route "shop.example/h/*" { ttl = 60s }\n'
              'route "/h/*" { read = pass }\n'
              'route "/q/*" { ttl = 60s  query = { "currency", "%c3%a9" } }\n'
              'route "/none/*" { ttl = 60s  query = none }\n')
    more = 'hosts = { "test", "shop.example" }\n'

    def test_it_is_answered_from_the_cache(self):
        target = self.target()
        first = self.fill(target, FRESH)
        for spelled in (odd(target), "/%63" + target[2:],
                        "http://test" + odd(target)):
            with self.subTest(spelled=spelled):
                self.assert_hit(self.get(spelled), first)
                self.assert_hit(self.get(spelled, method="HEAD"))
        # Dot-segments may be resolved before us, behind us, or by nobody.
        self.assertEqual(self.get("/c/%2e/" + target[3:]).cache_status,
                         "nearside; fwd=bypass; detail=target")

    def test_a_query_is_keyed_as_it_came(self):
        """An origin may reflect a raw byte or an encoded one, so that these
        are two; and what a browser sends is stored like any other."""
        for raw, encoded in (('"', "%22"), ("<", "%3C"), (">", "%3E"),
                             ("\\", "%5C"), ("|", "%7C"), ("^", "%5E"),
                             ("50%", "50%25"), ("%zz", "%25zz"),
                             ("%%41", "%25A")):
            with self.subTest(raw=raw):
                target = self.target() + "?q="
                first = self.fill(target + raw, FRESH)
                self.assertEqual(self.origin.requests[-1].target, target + raw)
                second = self.fill(target + encoded, FRESH)
                self.assertNotEqual(first, second)
                self.assert_hit(self.get(target + raw), first)
                self.assert_hit(self.get(target + encoded), second)
                self.get(target + raw, method="DELETE")
                self.assertEqual(self.get(target + raw).cache_status, MISS)
                self.assert_hit(self.get(target + encoded), second)

    def test_a_key_that_is_shown_is_a_string(self):
        """RFC 9651 3.3.3 escapes two bytes."""
        self.says(FRESH)
        got = self.get('/stock/caf%C3%A9?q="c:\\d' + '"' * 1000)
        self.assertEqual(
            got.cache_status, 'nearside; fwd=uri-miss; stored; key="http://test'
            '/stock/caf%C3%A9?q=\\"c:\\\\d' + '\\"' * 1000 + '"')

    def test_what_it_brings_is_nobody_elses(self):
        self.says(FRESH)
        for spelled in (odd, lambda t: "/%63" + t[2:],
                        lambda t: t + "?%61=1", lambda t: t + "%c3%A9"):
            target = self.target()
            first = self.get(spelled(target))
            self.assertEqual(first.cache_status, ODD)
            self.assertEqual(self.origin.requests[-1].target, spelled(target))
            self.assertEqual(self.get(spelled(target)).cache_status, ODD)
            self.assertEqual(self.in_redis("KEYS", f"ns:*{target}*"), [])
            self.assertEqual(self.get(target).cache_status, MISS)

    def test_nobody_waits_for_it_nor_it_for_others(self):
        target = self.target()
        steps = Steps()
        self.addCleanup(steps.go, "end")

        def slow(request, n):
            del n
            steps.wait("end")
            return Said(FRESH, body=request.target.encode())

        self.says(slow)

        def ask(i):
            if i == 6:
                self.wait_asked(odd(target), 3)
                self.wait_asked(target, 1)
                steps.go("end")
                return None
            return self.get(odd(target) if i % 2 else target)

        got = together(7, ask)[:-1]
        for i, one in enumerate(got):
            self.assertEqual(one.body.decode(),
                             odd(target) if i % 2 else target)
        self.assert_asked(odd(target), 3)
        self.assert_asked(target, 1)

    def test_it_renews_nothing(self):
        for method in ("GET", "HEAD"):
            target = self.target()
            self.fill(target, cache_control(
                "max-age=9, stale-while-revalidate=60"), ("Age", "9"),
                ("ETag", '"v1"'))
            self.says(FRESH, ("ETag", '"v2"'))
            got = self.get(odd(target), method=method)
            self.assertIn("detail=stale-while-revalidate", got.cache_status)
            wait_until(lambda t=target: "; hit" in self.get(t).cache_status,
                       what="a request in its spelling renews it")
            self.assert_asked(odd(target), 0)
            target = self.target()
            self.fill(target, *STALE, ("ETag", '"v1"'))
            kept = self.value(target)
            for tag in '"v1"', '"v2"':
                self.says(FRESH, ("ETag", tag))
                got = self.get(odd(target), method=method)
                self.assertEqual(got.cache_status,
                                 "nearside; fwd=stale; detail=spelling")
            self.assertEqual(self.value(target), kept)
            self.assert_asked(target, 1)

    def test_a_write_in_any_spelling_deletes_it(self):
        for spelled in (odd, lambda t: "/%63" + t[2:],
                        lambda t: "/x/%2e%2e" + t,
                        lambda t: "/c/.%2E" + t,
                        lambda t: "http://TEST." + odd(t)):
            target = self.target()
            self.fill(target, FRESH)
            with self.subTest(spelled=spelled(target)):
                got = self.get(spelled(target), method="PUT", body=b"x",
                               host="test." if "TEST." in spelled(target)
                               else "test")
                self.assertEqual(got.status, 200)
                self.assertIsNone(self.value(target))

    def test_what_a_write_names_is_deleted_in_any_spelling(self):
        for field in ("Location", "Content-Location"):
            target = self.target()
            self.fill(target, FRESH)
            self.says((field, odd(target)), status="201 Made")
            self.get(self.target(), method="POST", body=b"x")
            self.assertIsNone(self.value(target))

    def test_a_route_is_told_by_the_normal_one(self):
        self.says(FRESH)
        for spelled in ("/stock/%6de", "/%73tock/%6d%65"):
            for _ in range(2):
                self.assertEqual(self.get(spelled).cache_status,
                                 "nearside; fwd=bypass; detail=route")
        for spelled in ("/stock/%31", "/%73tock/1", "/x/%2e%2e/stock/1"):
            self.assertEqual(self.get(spelled, method="PATCH").status, 405)
            self.assertEqual(self.get(spelled, method="DELETE").status, 405)
        got = self.get("/stock/15292")
        self.assertEqual(got.cache_status, MISS)
        self.wait_stored("/stock/15292")
        self.assertEqual(self.get("/stock/%315292", method="PUT",
                                  body=b"x").status, 200)
        self.assertIsNone(self.value("/stock/15292"))

    def test_a_route_may_be_written_in_any_spelling(self):
        self.says(FRESH)
        got = self.get("/stock/caf%C3%A9")
        self.assertIn('key="http://test/stock/caf%C3%A9"', got.cache_status)
        self.wait_stored("/stock/caf%C3%A9")
        self.assert_not_hit(self.get("/stock/caf%25C3%25A9"))
        self.assertIn("; hit", self.get("/stock/caf%c3%a9").cache_status)

    def test_what_is_encoded_for_a_reason_stays_so(self):
        """A reserved character is another one when it is encoded, and what
        was encoded twice is decoded by nobody here."""
        base = self.target() + "/"
        self.says(FRESH)
        bodies = {self.get(base + plain).body
                  for plain in ("1", "31", "A", "a=b", "a/b", "a?b")}
        for other in ("%2531", "%2541", "a%3Db", "a%2Fb", "a%2fb", "a%23b",
                      "a%3Fb"):
            with self.subTest(other=other):
                got = self.get(base + other)
                self.assertNotIn(got.body, bodies)
                self.assertEqual(self.last(base + other).target, base + other)
        self.wait_stored(base + "%2531")
        self.assert_hit(self.get(base + "%2531"))

    def test_hex_digits_of_either_case_are_one(self):
        target = self.target() + "/%C3%A9%20%2B"
        first = self.fill(target, FRESH)
        for spelled in (target.lower(), target.replace("C3", "c3"),
                        target.replace("2B", "2b")):
            self.assert_hit(self.get(spelled), first)

    def test_a_query_is_spelled_too(self):
        target = self.target() + "?a=1&b=%2F%20"
        first = self.fill(target, FRESH)
        for spelled in ("?%61=1&b=%2F%20", "?a=%31&b=%2f%20"):
            self.assert_hit(self.get(target.split("?")[0] + spelled), first)

    def test_parameters_are_told_by_the_normal_one(self):
        """What is left out is no spelling of what is kept."""
        base = self.target("/q")
        first = self.fill(f"{base}?currency=EUR", FRESH)
        for query in ("?x=1&currency=EUR", "?currency=EUR&%78=%31"):
            self.assert_hit(self.get(base + query), first)
        self.assert_hit(self.get(f"{base}?%63urrency=EUR&y"), first)
        self.assertEqual(
            self.get(f"{base}?y&%63urrency=CHF&z=%31").cache_status, ODD)
        self.assertEqual(self.origin.requests[-1].target,
                         f"{base}?%63urrency=CHF")
        self.assertEqual(self.get(f"{base}?z&%C3%a9=1").cache_status, ODD)
        self.assertEqual(self.get(f"{base}?z=%31&%C3%A9=1").cache_status,
                         MISS)

    def test_an_absolute_name_is_the_same_host(self):
        target = self.target("/h")
        got = self.get(target, host="shop.example.")
        self.assertEqual(got.cache_status, ODD)
        self.assertEqual(self.origin.requests[-1].fields["Host"],
                         "shop.example.")
        self.assertEqual(self.origin.requests[-1].fields["X-Forwarded-Host"],
                         "shop.example.")
        first = self.get(target, host="shop.example")
        self.assertEqual(first.cache_status, MISS)
        wait_until(lambda: self.in_redis(
            "GET", self.key(target, "shop.example")), what="it is stored")
        for host in ("shop.example.", "Shop.Example.:80", "shop.example.:"):
            self.assert_hit(self.get(target, host=host), first)
        self.assertEqual(self.get(target, host="shop.example.", method="PUT",
                                  body=b"x").status, 200)
        self.assertIsNone(
            self.in_redis("GET", self.key(target, "shop.example")))
        self.assertEqual(self.get(target, host="evil.example.").status, 421)


# --- signatures -----------------------------------------------------------

KEY = b"secret"


def sign(text):
    return hmac.new(KEY, text.encode("latin-1"), hashlib.sha256).digest()


def s3_signature(request_line, host, date):
    """As S3 has it of a request without content: the path as it is sent."""
    method, target = request_line
    path, _, query = target.partition("?")
    query = "&".join(sorted(query.split("&")))
    text = "\n".join([method, path, query, f"host:{host}",
                      f"x-amz-date:{date}", "", "host;x-amz-date",
                      "UNSIGNED-PAYLOAD"])
    return "AWS4-HMAC-SHA256 Signature=" + sign(text).hex()


PARAMS = ('("@method" "@authority" "@path" "@query" "@request-target")'
          ';created=1;alg="hmac-sha256"')


def message_signature(request_line, host):
    """RFC 9421 2.2, 2.5: the authority in its normal form, the rest not."""
    method, target = request_line
    path, mark, query = target.partition("?")
    host = host.lower().removesuffix(":80")
    text = "\n".join([f'"@method": {method}', f'"@authority": {host}',
                      f'"@path": {path}', f'"@query": ?{query}',
                      f'"@request-target": {path}{mark}{query}',
                      f'"@signature-params": {PARAMS}'])
    return f"sig=:{base64.b64encode(sign(text)).decode()}:"


class Signed(CachingTest):
    """The origin verifies what it receives, byte by byte."""

    routes = ('route "/c/*" { ttl = 60s }\n'
              'route "/key/*" { ttl = 60s  authorization = key }\n'
              'route "/q/*" { ttl = 60s  query = { "a" } }\n'
              'route "/pass/*" { read = pass }\n')

    @staticmethod
    def verify(request, n):
        del n
        line, host = (request.method, request.target), request.fields["Host"]
        wanted = {
            "Authorization": s3_signature(line, host,
                                          request.fields["X-Amz-Date"]),
            "Signature": message_signature(line, host),
        }
        is_good = any(request.fields[name] == value
                      for name, value in wanted.items())
        return Said(cache_control("public, max-age=60"),
                    body=urllib.parse.unquote(request.target).encode(),
                    status="200 OK" if is_good else "403 Forbidden")

    def test_what_was_signed_arrives_as_it_was_signed(self):
        self.says(self.verify)
        for base in ("/c", "/key", "/pass", "/other"):
            for tail in ("/a", "/%61", "/caf%c3%a9", "/~%7e?b=%31&a=%2f",
                         "/a%2fb", "/%2e%2e/a", "?%61=%7E", "/%2531;x"):
                for method, body in (("GET", None), ("PUT", b"x")):
                    for host in ("test", "test.", "test:81"):
                        self.assert_verified(
                            method, self.target(base) + tail, host, body)

    def assert_verified(self, method, target, host, body):
        line = (method, target)
        for fields in (
                {"X-Amz-Date": "20261127T000000Z", "Authorization":
                 s3_signature(line, host, "20261127T000000Z")},
                {"X-Amz-Date": "-", "Signature-Input": f"sig={PARAMS}",
                 "Signature": message_signature(line, host)}):
            with self.subTest(line=line, host=host, fields=fields):
                got = self.get(target, fields, method=method, body=body,
                               host=host)
                self.assertEqual(got.status, 200)
                self.assertEqual(got.body, urllib.parse.unquote(
                    target).encode())


class KeyHost(CachingTest):
    """key_host: what of the host by which it was asked is keyed."""

    routes = ('route "/name/*" { ttl = 60s  key_host = name }\n'
              'route "/none/*" { ttl = 60s  key_host = none }\n'
              'route "/post/name/*" { store_post = on  key_host = name }\n'
              'route "/post/none/*" { store_post = on  key_host = none }\n'
              'route "a.other/two/*" { ttl = 60s  key_host = none'
              '  origin = two }\n'
              'route "/two/*" { ttl = 60s  key_host = none }\n'
              'route "/full/*" { ttl = 60s }\n'
              'defaults { origin = api }\n')
    more = 'trusted_proxies = { "127.0.0.1/32" }\n'
    STRANGER = "127.1.1.1"

    @classmethod
    def make_conf(cls):
        two = f'origin two {{ servers = {{ "{cls.origin.url}" }}'\
              '  host = "api.internal" }\n'
        return conf(cls.origin.url, cls.routes, cls.limits, cls.redis,
                    cls.more + two, 'host = "api.internal"')

    def ask(self, target, host, fields=None, method="GET", body=None,
            source=STRANGER):
        with self.daemon.connect(source=source) as client:
            client.request(method, target, fields, body, host=host)
            return client.read_response(method)

    def kept(self, target, host, fields=None, source=STRANGER):
        """A hit, as soon as what a miss has brought is stored."""
        def hit():
            got = self.ask(target, host, fields, source=source)
            return got if "; hit" in got.cache_status else None

        return wait_until(hit, what="it is stored", every=0.002)

    def hosts_sent(self, target):
        sent = self.last(target).fields
        return [sent["Host"], sent["X-Forwarded-Host"], sent["Forwarded"]]

    def test_one_entry_for_each_host_each_name_or_one(self):
        hosts = ("a.example", "a.example:81", "A.example:82", "b.example:81")
        for base, count in (("/full", 4), ("/name", 2), ("/none", 1)):
            with self.subTest(base=base):
                target = self.target(base)
                self.says(FRESH)
                first = [self.kept(target, host) for host in hosts]
                self.assertEqual(len({one.body for one in first}), count)
                self.assert_asked(target, count)
                key = self.in_redis("KEYS", f"ns:e:*{target}}}")
                self.assertEqual(len(key), count)

    def test_the_origin_is_told_what_is_keyed(self):
        """And no host of the client's choice, which might come back in what
        everybody gets."""
        for base, host, want in (("/name", "evil.example:81", "evil.example"),
                                 ("/name", "[::1]:81", "[::1]"),
                                 ("/none", "evil.example:81",
                                  "api.internal")):
            with self.subTest(base=base, host=host):
                target = self.target(base)
                self.says(FRESH)
                self.ask(target, host, {"X-Forwarded-Host": "worse"})
                self.assertEqual(self.hosts_sent(target), [
                    "api.internal", want,
                    f'for={self.STRANGER};host="{want}";proto=http'])

    def test_a_write_by_any_name_deletes_it(self):
        for base in ("/name", "/none"):
            with self.subTest(base=base):
                target = self.target(base)
                self.says(FRESH)
                first = self.kept(target, "a.example")
                self.ask(target, "a.example:81" if base == "/name" else
                         "b.example", method="PUT", body=b"x")
                self.assertNotEqual(
                    self.ask(target, "a.example").body, first.body)

    def test_what_a_trusted_proxy_says_of_the_host(self):
        """It makes no difference where the name or the port makes none."""
        asks = [{}, {"X-Forwarded-Port": "81"},
                {"X-Forwarded-Host": "a.example:81"},
                {"X-Forwarded-Host": "b.example"},
                {"X-Forwarded-Prefix": "/p"}]
        for base, count in (("/name", 3), ("/none", 2)):
            with self.subTest(base=base):
                target = self.target(base)
                self.says(FRESH)
                first = [self.kept(target, "a.example", fields, None)
                         for fields in asks]
                self.assertEqual(len({one.body for one in first}), count)
                self.assert_asked(target, count)
                for request in self.asked(target):
                    self.assertIsNone(request.fields["X-Forwarded-Port"])
                    self.assertEqual(request.fields["Host"], "api.internal")
                    self.assertIn(request.fields["X-Forwarded-Host"],
                                  ("a.example", "b.example")
                                  if base == "/name" else ("api.internal",))

    def test_a_post_that_was_told_more_is_not_stored(self):
        """It is sent with the client's host, which a GET is not."""
        for base in ("/post/name", "/post/none"):
            with self.subTest(base=base):
                target = self.target(base)
                self.says(FRESH, ("Content-Location", target))
                got = self.ask(target, "a.example:81", method="POST",
                               body=b"x")
                self.assertNotIn("; stored", got.cache_status)
                self.assertEqual(self.hosts_sent(target)[1], "a.example:81")

    def test_two_origins_are_two(self):
        target = self.target("/two")
        self.says(FRESH)
        first = [self.kept(target, host) for host in ("a.other", "b.other")]
        self.assertNotEqual(first[0].body, first[1].body)


if __name__ == "__main__":
    unittest.main()
