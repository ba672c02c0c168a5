# ctest: memory
"""What HEAD and POST do to what is stored for GET: RFC 9111 4.3.5, RFC 9110
9.3.3. That a write deletes is in test_proxy_cache and test_caching_rules."""

import unittest

from lib import Nearside, wait_until
from lib.caching import (CachingTest, FRESH, STALE, Said, cache_control)
from lib.scripted import Steps, conf, together

TAG = ("ETag", '"v1"')


class Head(CachingTest):
    routes = ('route "/c/*" { ttl = 0  keep = 10m }\n'
              'route "/grace/*" { ttl = 0  grace = 10m  keep = 10m }\n')

    def head(self, target, *fields, **more):
        """A HEAD that the origin answers so."""
        self.says(*fields, **more)
        return self.get(target, method="HEAD")

    def fill_stale(self, *more, base="/c"):
        target = self.target(base)
        return target, self.fill(target, *STALE, *more)

    def wait_deleted(self, target):
        wait_until(lambda: self.value(target) is None,
                   what=f"{target} is deleted", every=0.002)

    def test_one_that_agrees_renews_what_is_stored(self):
        for fields in ((TAG,), (TAG, ("X-New", "2")), ()):
            with self.subTest(fields=fields):
                target, first = self.fill_stale(TAG, ("X-Old", "1"))
                got = self.head(target, FRESH, *fields)
                self.assertEqual(got.cache_status,
                                 "nearside; fwd=stale; stored")
                wait_until(lambda t=target: "; hit" in self.get(
                    t).cache_status, what="it is renewed")
                again = self.get(target)
                self.assertEqual(again.body, first.body)
                self.assertEqual(again.fields["X-Old"], "1")
                self.assertEqual(again.fields["X-New"],
                                 "2" if len(fields) > 1 else None)
                self.assertGreater(self.assert_hit(again), 50)

    def test_one_that_differs_deletes_what_is_stored(self):
        for fields, more in (((("ETag", '"v2"'),), {}),
                             ((TAG,), {"body": b"of another length"}),
                             ((TAG, ("Last-Modified",
                                     "Sun, 06 Nov 1994 08:49:37 GMT")), {}),
                             ((TAG, cache_control("no-store")), {}),
                             ((TAG, ("Vary", "X-Foo")), {})):
            with self.subTest(fields=fields, more=more):
                target, _ = self.fill_stale(TAG)
                got = self.head(target, *fields, **more)
                self.assertNotIn("stored", got.cache_status)
                self.wait_deleted(target)

    def test_an_error_says_nothing_of_it(self):
        for status in ("404 No", "410 Gone", "301 There", "503 Down"):
            with self.subTest(status=status):
                target, _ = self.fill_stale(TAG)
                old = self.value(target)
                self.assertEqual(
                    self.head(target, TAG, FRESH, status=status).status,
                    int(status[:3]))
                self.assertEqual(self.value(target), old)

    def test_of_one_with_credentials_nothing_is_learnt(self):
        target, _ = self.fill_stale(TAG, ("X-Old", "1"))
        old = self.value(target)
        self.says(cache_control("max-age=60"), TAG)
        self.get(target, {"Cookie": "u=1"}, method="HEAD")
        self.assertEqual(self.value(target), old)

    def test_nor_is_what_is_for_everybody_deleted_for_it(self):
        target = self.target()
        shared = "public, max-age=9"
        self.fill(target, cache_control(shared), ("Age", "9"), TAG)
        old = self.value(target)
        invalidations = self.daemon.metric("nearside_invalidations_total")
        for said in ("max-age=60", "max-age=9", "no-cache"):
            for name in ("Cookie", "Authorization", "X-Api-Key"):
                with self.subTest(said=said, name=name):
                    self.says(cache_control(said), TAG)
                    got = self.get(target, {name: "u=1"}, method="HEAD")
                    self.assertIn("fwd=stale", got.cache_status)
                    self.assertEqual(self.daemon.metric(
                        "nearside_invalidations_total"), invalidations)
                    self.assertEqual(self.value(target), old)

    def test_its_own_variant_alone_is_renewed(self):
        target = self.target()
        self.says(*STALE, TAG, ("Vary", "X-Foo"))
        first = self.get(target, {"X-Foo": "a"})
        self.get(target, {"X-Foo": "b"})
        wait_until(lambda: len(self.keys(target)) >= 4,
                   what="both variants are stored")
        self.says(FRESH, TAG, ("Vary", "X-Foo"))
        self.get(target, {"X-Foo": "a"}, method="HEAD")
        wait_until(lambda: "; hit" in self.get(
            target, {"X-Foo": "a"}).cache_status, what="a is renewed")
        self.assert_hit(self.get(target, {"X-Foo": "a"}), first)
        self.assert_not_hit(self.get(target, {"X-Foo": "b"}))

    def test_all_variants_go_when_the_target_varies_by_something_else(self):
        """The record chose each of them wrongly."""
        target = self.target()
        self.says(*STALE, TAG, ("Vary", "X-Foo"))
        for foo in "ab":
            self.get(target, {"X-Foo": foo})
        wait_until(lambda: len(self.keys(target)) >= 4,
                   what="both variants are stored")
        self.says(FRESH, TAG, ("Vary", "X-Bar"))
        self.get(target, {"X-Foo": "a"}, method="HEAD")
        wait_until(lambda: self.in_redis("EXISTS", self.key(target)) == 0,
                   what="the record is deleted")

    def test_a_write_meanwhile_is_not_undone(self):
        """The answer speaks of what was before: nothing comes back."""
        target, _ = self.fill_stale(TAG)
        steps = Steps()
        self.addCleanup(steps.go, "head")

        def slow(request, n):
            del n
            if request.method == "HEAD":
                steps.wait("head")
            return Said(FRESH, TAG)

        self.says(slow)
        with self.daemon.connect() as client:
            client.request("HEAD", target)
            self.wait_asked(target, 2)
            self.get(target, method="PUT", body=b"x")
            self.assertIsNone(self.value(target))
            steps.go("head")
            self.assertEqual(client.read_response("HEAD").status, 200)
        self.daemon.wait_metric("nearside_stores_fenced_total", 1)
        self.assertIsNone(self.value(target))

    def test_when_the_origin_fails_the_stale_one_answers(self):
        target, first = self.fill_stale(TAG, base="/grace")
        for fails in (Said(status="503 Down"), None):
            self.says(lambda request, n, f=fails: f)
            got = self.get(target, method="HEAD")
            self.assertEqual((got.status, got.body), (200, b""))
            self.assertEqual(got.fields["Content-Length"],
                             str(len(first.body)))
            self.assertIn("detail=stale-if-error", got.cache_status)
            got = self.get(target, {"Range": "bytes=0-3"})
            self.assertEqual((got.status, got.body), (206, first.body[:4]))
            self.assertIn("detail=stale-if-error", got.cache_status)

    def test_where_that_is_forbidden_504_says_so(self):
        """RFC 9111 5.2.2.2: not answering is the origin's own wish."""
        target = self.target("/grace")
        self.fill(target, cache_control("max-age=9, must-revalidate"),
                  ("Age", "9"), TAG)
        self.says(lambda request, n: None)
        for method, fields in (("HEAD", None), ("GET", None),
                               ("GET", {"Range": "bytes=0-3"})):
            with self.subTest(method=method, fields=fields):
                got = self.get(target, fields, method=method)
                self.assertEqual(got.status, 504)
                self.assertIn("connection_terminated",
                              got.fields["Proxy-Status"])
        self.assertEqual(self.get(self.target("/grace")).status, 502)


class Post(CachingTest):
    routes = ('route "/c/*" { ttl = 60s  store_post = on }\n'
              'route "/nobody/*" { ttl = 60s  store_post = on'
              '  cookie = ignore  authorization = ignore }\n'
              'route "/pq/*" { ttl = 60s  store_post = on'
              '  query = { "currency" } }\n'
              'route "/p0/*" { ttl = 60s  store_post = on  query = none }\n'
              'route "/off/*" { ttl = 60s }\n')

    def post(self, target, *fields, location=None, request=None, host="test",
             **more):
        """A POST whose answer names its own target, unless told otherwise."""
        said = [f for f in fields]
        if location != "":
            said.append(("Content-Location", location or target))
        self.says(*said, **more)
        return self.get(target, request, method="POST", body=b"x", host=host)

    def assert_no_lease(self, target):
        wait_until(lambda: self.in_redis("KEYS", f"ns:l:*{target}}}*") == [],
                   what="the lease is given back", every=0.002)

    def test_an_answer_that_names_its_own_target_is_stored(self):
        for location in ("", "http://test"):
            with self.subTest(location=location):
                target = self.target()
                first = self.post(target, FRESH, ("X-A", "1"),
                                  location=location + target)
                self.assertEqual(first.cache_status,
                                 "nearside; fwd=method; stored")
                self.wait_stored(target)
                got = self.get(target)
                self.assert_hit(got, first)
                self.assertEqual(got.fields["X-A"], "1")
                self.assert_asked(target, 1)
                self.assert_no_lease(target)

    def test_any_other_is_not(self):
        for fields, more in (((FRESH,), {"location": ""}),
                             ((FRESH,), {"location": "/c/other"}),
                             ((FRESH,), {"location": "http://x.example/c"}),
                             ((), {}),
                             ((cache_control("public"),), {}),
                             ((cache_control("private, max-age=60"),), {}),
                             ((cache_control("no-store"),), {}),
                             ((FRESH, ("Set-Cookie", "a=1")), {}),
                             ((FRESH, ("Vary", "X-Foo")), {}),
                             ((FRESH,), {"status": "201 Made"}),
                             ((FRESH,), {"status": "500 Oops"})):
            with self.subTest(fields=fields, more=more):
                target = self.target()
                got = self.post(target, *fields, **more)
                self.assertEqual(got.cache_status, "nearside; fwd=method")
                self.assert_no_lease(target)
                self.assertIsNone(self.value(target))

    def test_what_a_get_of_its_key_would_not_have_told_the_origin(self):
        """The answer may be made of it, and is for everybody."""
        for base, query, request, host in (
                ("/nobody", "", {"Authorization": "Basic YTph"}, "test"),
                ("/nobody", "", {"Cookie": "u=alice"}, "test"),
                ("/pq", "?currency=EUR&debug=1", None, "test"),
                ("/pq", "?debug=1", None, "test"),
                ("/p0", "?debug=1", None, "test"),
                ("/c", "/%61", None, "test"),
                ("/c", "/%c3%a9", None, "test"),
                ("/c", "", {"If-None-Match": '"x"'}, "test"),
                ("/c", "", {"Range": "bytes=0-1"}, "test"),
                ("/c", "", None, "test.")):
            target = self.target(base)
            with self.subTest(target=target + query, request=request):
                got = self.post(target + query, FRESH, request=request,
                                host=host)
                self.assertEqual(got.cache_status, "nearside; fwd=method")
                for name, value in (request or {}).items():
                    self.assertEqual(
                        self.origin.requests[-1].fields[name], value)
                self.assert_no_lease(target)
                self.assertEqual(self.in_redis("KEYS", f"ns:*{target}*"), [])
        for target in (self.target("/nobody"), self.target("/p0"),
                       self.target("/pq") + "?currency=EUR"):
            first = self.post(target, FRESH)
            self.assertEqual(first.cache_status,
                             "nearside; fwd=method; stored")
            self.wait_stored(target)
            self.assert_hit(self.get(target), first)

    def test_without_the_option_none_is(self):
        target = self.target("/off")
        got = self.post(target, FRESH)
        self.assertEqual(got.cache_status, "nearside; fwd=method")
        self.assertIsNone(self.value(target))

    def test_it_takes_the_place_of_what_was_stored(self):
        target = self.target()
        old = self.fill(target, FRESH)
        new = self.post(target, FRESH)
        wait_until(lambda: self.get(target).body != old.body,
                   what="the new one is stored")
        self.assert_hit(self.get(target), new)

    def test_its_own_deletion_comes_before_it_also_when_sent_twice(self):
        """Redis knows the script that stores and has forgotten the one that
        deletes, which is therefore sent once more, with its body."""
        for _ in range(5):
            self.in_redis("SCRIPT", "FLUSH")
            self.fill(self.target(), FRESH)
            target = self.target()
            stores = self.daemon.metric("nearside_stores_total")
            got = self.post(target, FRESH)
            self.assertEqual(got.cache_status, "nearside; fwd=method; stored")
            self.daemon.wait_metric("nearside_stores_total", stores + 1)
            self.assert_hit(self.get(target), got)

    def test_a_write_meanwhile_keeps_it_from_being_stored(self):
        target = self.target()
        steps = Steps()
        self.addCleanup(steps.go, "post")

        def slow(request, n):
            del n
            if request.method == "POST":
                steps.wait("post")
            return Said(FRESH, ("Content-Location", target))

        self.says(slow)
        with self.daemon.connect() as client:
            client.request("POST", target, body=b"x")
            self.wait_asked(target, 1)
            self.get(target, method="PUT", body=b"y")
            steps.go("post")
            self.assertEqual(client.read_response().status, 200)
        self.daemon.wait_metric("nearside_stores_fenced_total", 1)
        self.assertIsNone(self.value(target))

    def test_a_fetch_under_another_lease_is_older_than_it(self):
        """The POST's own lease has gone meanwhile: the one that is there is
        deleted by it, as by any write."""
        target = self.target()
        steps = Steps()
        self.addCleanup(steps.go, "post", "get")

        def slow(request, n):
            del n
            if request.method in ("POST", "GET"):
                steps.wait(request.method.lower())
            return Said(FRESH, ("Content-Location", target),
                        body=request.method.encode())

        self.says(slow)
        other = self.use(Nearside(self.make_conf(), name="other"))
        with self.daemon.connect() as poster, other.connect() as getter:
            poster.request("POST", target, body=b"x")
            self.wait_asked(target, 1)
            self.get(target, method="PUT", body=b"y")  # deletes its lease
            getter.request("GET", target)
            self.wait_asked(target, 3)
            steps.go("post")
            self.assertEqual(poster.read_response().status, 200)
            steps.go("get")
            self.assertEqual(getter.read_response().body, b"GET")
        self.assert_no_lease(target)
        self.assertIsNone(self.value(target))

    def test_beside_a_fetch_it_is_delivered_and_not_stored(self):
        """The lease is the fetch's."""
        target = self.target()
        steps = Steps()
        self.addCleanup(steps.go, "get")

        def slow(request, n):
            if request.method == "GET":
                steps.wait("get")
            return Said(FRESH, ("Content-Location", target),
                        body=b"%s %d" % (request.method.encode(), n))

        self.says(slow)
        with self.daemon.connect() as client:
            client.request("GET", target)
            self.wait_asked(target, 1)
            got = self.get(target, method="POST", body=b"x")
            self.assertEqual(got.cache_status, "nearside; fwd=method")
            steps.go("get")
            client.read_response()
        # The POST has deleted the lease: the older answer is not stored.
        self.assert_no_lease(target)
        self.assertIsNone(self.value(target))

    def test_a_client_that_leaves_takes_the_lease_along(self):
        target = self.target()
        steps = Steps()
        self.addCleanup(steps.go, "end")

        def slow(request, n):
            del request, n
            steps.wait("end")
            return None

        self.says(slow)
        with self.daemon.connect() as client:
            client.request("POST", target, body=b"x")
            self.wait_asked(target, 1)
            self.assertEqual(len(self.in_redis("KEYS", f"ns:l:*{target}}}*")), 1)
            client.reset()
        self.assert_no_lease(target)

    def test_who_asks_meanwhile_waits_for_it(self):
        target = self.target()
        steps = Steps()
        self.addCleanup(steps.go, "post")

        def slow(request, n):
            del n
            steps.wait("post")
            return Said(FRESH, ("Content-Location", target),
                        body=request.method.encode())

        self.says(slow)

        def ask(i):
            if i == 0:
                return self.get(target, method="POST", body=b"x")
            self.wait_asked(target, 1)
            if i == 1:
                steps.go("post")
            return self.get(target)

        bodies = {got.body for got in together(6, ask)}
        self.assertEqual(bodies, {b"POST"})
        self.assert_asked(target, 1)


class PostElsewhere(CachingTest):
    """A GET of the key goes to the API, some POSTs to another origin."""

    @classmethod
    def make_conf(cls):
        return conf(cls.origin.url, f"""
            origin other {{ servers = {{ "{cls.origin.url}" }} }}
            defaults {{ origin = api  ttl = 60s  store_post = on }}
            route "POST /two/*" {{ origin = other }}
            route "POST /one/*" {{ }}
            route "/*" {{ }}
            """, redis=cls.redis)

    def test_what_another_origin_has_answered_is_not_stored(self):
        for base, is_stored in (("/two", False), ("/one", True)):
            target = self.target(base)
            self.says(FRESH, ("Content-Location", target))
            got = self.get(target, method="POST", body=b"x")
            self.assertEqual("; stored" in got.cache_status, is_stored)


if __name__ == "__main__":
    unittest.main()
