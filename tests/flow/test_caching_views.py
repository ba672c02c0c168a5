# ctest: memory
"""All forms of a target hang under one base key: what a trusted proxy says of
its client's view makes a variant, and a write reaches every one of them,
whoever makes it."""

import unittest

from lib import Nearside, wait_until
from lib.caching import CachingTest, FRESH, STALE, Said, cache_control
from lib.scripted import Steps, conf, together

DIRECT = "127.1.1.1"
P80 = {"X-Forwarded-Port": "80"}
P81 = {"X-Forwarded-Port": "81"}


class Views(CachingTest):
    routes = ('route "/c/*" { ttl = 60s  keep = 10m  store_post = on }\n'
              'route "/by-cookie/*" { ttl = 60s  cookie = key }\n')
    more = 'trusted_proxies = { "127.0.0.1/32" }\n'
    limits = "variants_max = 4"

    def ask(self, target, fields=None, method="GET", body=None, by=None):
        """By a client of its own: fields None is one that no proxy has
        spoken for."""
        source = DIRECT if fields is None else None
        with (by or self.daemon).connect(source=source) as client:
            client.request(method, target, fields, body)
            return client.read_response(method)

    def hit(self, target, fields):
        got = self.ask(target, fields)
        return got if "; hit" in got.cache_status else None

    def kept(self, target, fields=None):
        """A hit, as soon as what a miss has brought is stored."""
        return wait_until(lambda: self.hit(target, fields),
                          what="it is stored", every=0.002)

    def fill_all(self, target):
        """The first makes the record, the plain one is a variant by it."""
        self.says(FRESH)
        forms = [P80, None, P81, {**P80, "X-Script-Name": "/x"}]
        return [self.kept(target, form) for form in forms], forms

    def test_each_view_has_its_own_answer(self):
        target = self.target()
        got, forms = self.fill_all(target)
        self.assertEqual(len({one.body for one in got}), 4)
        for i, form in enumerate(forms):
            self.assert_hit(self.ask(target, form), got[i])
        self.assert_asked(target, 4)

    def test_to_name_the_host_once_more_is_no_view(self):
        """It is what the origin is told in any case."""
        target = self.target()
        said = []

        def tells(request, n):
            del n
            said.append([request.fields[name] for name in
                         ("Host", "X-Forwarded-Host")])
            return Said(FRESH)

        self.says(tells)
        first = self.kept(target, {"X-Forwarded-Host": "test"})
        self.assert_hit(self.ask(target), first)
        self.assertEqual(len(self.keys(target)), 1)
        self.ask(self.target())
        self.assertEqual(said[0], said[1])

    def test_a_write_by_whomever_reaches_every_form(self):
        writers = [None, {}, P80, P81, {"X-Forwarded-Port": "82"},
                   {"X-Forwarded-Host": "other"}]
        for fields in writers:
            target = self.target()
            before, forms = self.fill_all(target)
            with self.subTest(fields=fields):
                got = self.ask(target, fields, "PUT", b"x")
                self.assertEqual(got.status, 200)
                self.assertIsNone(self.value(target))
                for i, form in enumerate(forms):
                    again = self.ask(target, form)
                    self.assert_not_hit(again)
                    self.assertNotEqual(again.body, before[i].body)

    def test_what_a_write_names_is_deleted_in_every_form(self):
        target = self.target()
        before, forms = self.fill_all(target)
        self.says(("Location", target), status="201 Made")
        self.ask(self.target(), P81, "POST", b"x")
        self.says(FRESH)
        for i, form in enumerate(forms):
            self.assertNotEqual(self.ask(target, form).body, before[i].body)

    def test_what_was_stored_plainly_is_not_for_a_view(self):
        """Nor is it displaced before there is something to put there."""
        target = self.target()
        plain = self.fill(target, FRESH)
        self.says(cache_control("no-store"))
        for fields in (P80, {**P80, "Cache-Control": "only-if-cached"}):
            for method in ("GET", "HEAD"):
                self.assert_not_hit(self.ask(target, fields, method))
        self.assert_hit(self.ask(target), plain)
        self.says(*STALE, ("ETag", '"v"'))
        self.assertEqual(self.ask(target, P80).status, 200)
        self.assertIsNone(self.last(target).fields["If-None-Match"])

    def test_what_cannot_be_stored_is_remembered_for_views_too(self):
        target = self.target()
        self.says(cache_control("no-store"))
        self.ask(target, P80)
        self.wait_stored(target)
        self.assertIn("detail=no-store",
                      self.ask(target, P80).cache_status)

    def test_views_count_as_variants(self):
        target = self.target()
        self.says(FRESH)
        for i in range(4):
            self.kept(target, {"X-Forwarded-Port": str(i)})
        count = len(self.keys(target))
        limits = self.daemon.metric("nearside_limits_hit_total",
                                    limit="variants_max")
        for i in range(4, 10):
            self.ask(target, {"X-Forwarded-Port": str(i)})
        self.daemon.wait_metric("nearside_limits_hit_total", limits + 6,
                                limit="variants_max")
        self.assertLessEqual(len(self.keys(target)), count)

    def test_views_and_users_are_kept_apart(self):
        target = self.target("/by-cookie")
        self.says(FRESH)
        asked = [{**view, "Cookie": f"u={u}"} for view in (P80, P81)
                 for u in range(5)]
        first = [self.kept(target, fields) for fields in asked]
        self.assertEqual(len({got.body for got in first}), 10)
        for fields, of in zip(asked, first):
            self.assert_hit(self.ask(target, fields), of)
        self.ask(target, None, "PUT", b"x")
        for fields in asked:
            self.assert_not_hit(self.ask(target, fields))

    def test_who_waits_gets_the_answer_of_its_own_view(self):
        target = self.target()
        steps = Steps()
        self.addCleanup(steps.go, "end")
        forms = [None, P80, P81] * 4

        def slow(request, n):
            del n
            steps.wait("end")
            return Said(FRESH, body=(request.fields["X-Forwarded-Port"]
                                     or "-").encode())

        self.says(slow)

        def ask(i):
            if i == len(forms):
                self.wait_asked(target, 1)
                self.daemon.wait_metric("nearside_connections", len(forms))
                steps.go("end")
                return None
            return self.ask(target, forms[i])

        for form, got in zip(forms, together(len(forms) + 1, ask)):
            want = b"-" if form is None else \
                form["X-Forwarded-Port"].encode()
            self.assertEqual(got.body, want)
        # One for each form; the plain one may have been displaced since.
        self.assertLessEqual(len(self.asked(target)), 4)

    def test_a_fetch_for_a_view_is_overtaken_by_a_write(self):
        target = self.target()
        steps = Steps()
        self.addCleanup(steps.go, "end")

        def slow(request, n):
            if request.method == "GET" and n == first:
                steps.wait("end")
            return Said(FRESH)

        first = len(self.origin.requests) + 1
        self.says(slow)
        with self.daemon.connect() as early:
            early.request("GET", target, P80)
            self.wait_asked(target, 1)
            self.ask(target, None, "PUT", b"x")
            late = self.ask(target, P80)
            self.assert_asked(target, 3)
            steps.go("end")
            self.assertNotEqual(early.read_response().body, late.body)
        wait_until(lambda: self.in_redis("KEYS", f"ns:l:*{target}}}*") == [],
                   what="no lease is left", every=0.002)
        self.assert_hit(self.ask(target, P80), late)

    def test_a_post_with_a_view_is_not_stored(self):
        target = self.target()
        self.says(FRESH, ("Content-Location", target))
        got = self.ask(target, P80, "POST", b"x")
        self.assertEqual(got.cache_status, "nearside; fwd=method")
        got = self.ask(target, {}, "POST", b"x")
        self.assertEqual(got.cache_status, "nearside; fwd=method; stored")

    def test_a_daemon_that_trusts_nobody_shares_what_is_plain(self):
        self.needs_redis()
        """Two of a fleet may be told different things."""
        other = self.use(Nearside(conf(
            self.origin.url, self.routes, redis=self.redis), name="other"))
        target = self.target()
        before, forms = self.fill_all(target)
        self.assert_hit(self.ask(target, P80, by=other), before[1])
        self.ask(target, None, "PUT", b"x", by=other)
        for i, form in enumerate(forms):
            self.assertNotEqual(self.ask(target, form).body, before[i].body)


if __name__ == "__main__":
    unittest.main()
