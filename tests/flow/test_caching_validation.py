# ctest: memory
"""Stale entries: asked about with their validators, renewed by a 304, served
while they are renewed or while the origin fails, and never where it forbids
that (RFC 9111 4.2.4 and 4.3, RFC 5861)."""

import threading
import time
import unittest

from lib import Nearside, wait_until
from lib.caching import (CachingTest, FRESH, HIT, STALE, Said, cache_control,
                         http_date)
from lib.scripted import Steps, together

OLD = http_date(1_000_000_000)


class Bytes:
    """An answer byte by byte, after which the connection stays open."""

    def __init__(self, data):
        self.data = data

    def send(self, connection, request, n):
        del request, n
        connection.send(self.data)
        return True


class Validation(CachingTest):
    routes = ('route "/c/*" { ttl = 0  keep = 10m }\n'
              'route "/given/*" { ttl = 60s  keep = 10m }\n'
              'route "/unkept/*" { ttl = 60s  keep = 0 }\n')

    def validate(self, target, *fields, request=None, **more):
        """Asks when the origin says that; the answer."""
        self.says(*fields, **more)
        return self.get(target, request)

    def test_all_stored_validators_are_sent(self):
        target = self.target()
        self.fill(target, *STALE, ("ETag", '"v1"'), ("Last-Modified", OLD))
        self.validate(target, FRESH, ("ETag", '"v1"'), status="304 Same")
        asked = self.last(target).fields
        self.assertEqual(asked["If-None-Match"], '"v1"')
        self.assertEqual(asked["If-Modified-Since"], OLD)

    def test_a_weak_tag_is_sent_as_it_is(self):
        target = self.target()
        first = self.fill(target, *STALE, ("ETag", 'W/"v1"'))
        got = self.validate(target, FRESH, ("ETag", 'W/"v1"'),
                            status="304 Same")
        self.assertEqual(self.last(target).fields["If-None-Match"], 'W/"v1"')
        self.assertEqual(got.body, first.body)

    def test_a_304_renews_lifetime_and_fields(self):
        target = self.target()
        first = self.fill(target, *STALE, ("ETag", '"v1"'), ("X-Old", "1"),
                          ("X-Both", "old"), ("Content-Type", "text/a"))
        got = self.validate(target, FRESH, ("ETag", '"v1"'), ("X-New", "2"),
                            ("X-Both", "new"), status="304 Same")
        self.assertRegex(got.cache_status,
                         r"nearside; fwd=stale; fwd-status=304; "
                         r"stored; ttl=(59|60)\Z")
        self.assertEqual((got.status, got.body), (200, first.body))
        again = None

        def is_hit():
            nonlocal again
            again = self.get(target)
            return "; hit" in again.cache_status

        wait_until(is_hit, what="the renewed entry is stored")
        self.assert_hit(again, first)
        for answer in (got, again):
            self.assertEqual(
                [answer.fields[name] for name in
                 ("X-Old", "X-New", "X-Both", "Content-Type",
                  "Content-Length")],
                ["1", "2", "new", "text/a", str(len(first.body))])
            self.assertIn(answer.fields["Age"], ("0", "1"))

    def test_a_200_replaces_the_stale_one(self):
        target = self.target()
        first = self.fill(target, *STALE, ("ETag", '"v1"'), ("X-Old", "1"))
        old = self.value(target)
        got = self.validate(target, FRESH, ("ETag", '"v2"'))
        self.assertEqual(got.cache_status, "nearside; fwd=stale; stored")
        self.assertNotEqual(got.body, first.body)
        wait_until(lambda: self.value(target) != old, what="it is replaced")
        again = self.get(target)
        self.assert_hit(again, got)
        self.assertNotIn("X-Old", again.fields)

    def test_a_304_for_another_tag_renews_nothing(self):
        """RFC 9111 4.3.4: no stored response is identified by it."""
        target = self.target()
        self.fill(target, *STALE, ("ETag", '"v1"'), ("X-Is", "old"))
        same = Said(FRESH, ("ETag", '"v2"'), ("X-Is", "new"),
                    status="304 Same")
        whole = Said(cache_control("no-store"), ("X-Is", "whole"))
        self.says(lambda request, n: same if "If-None-Match" in request.fields
                  else whole)
        got = self.get(target)
        self.assertEqual((got.status, got.fields["X-Is"]), (200, "whole"))
        self.assert_asked(target, 3)
        self.assertNotIn(b"new", self.value(target) or b"")

    def test_a_304_without_a_validator_renews_what_was_asked_about(self):
        """Many origins leave the ETag out of a 304. The request named one
        tag alone, so there is no doubt which response it speaks of."""
        for validator in (("ETag", '"v1"'),
                          ("Last-Modified", http_date(0))):
            with self.subTest(validator=validator[0]):
                target = self.target()
                first = self.fill(target, *STALE, validator)
                got = self.validate(target, FRESH, status="304 Same")
                self.assertIn("fwd-status=304", got.cache_status)
                self.assertEqual(got.body, first.body)
                self.assert_asked(target, 2)
                wait_until(lambda t=target: "; hit" in
                           self.get(t).cache_status, what="it is renewed")

    def test_an_answer_with_bytes_behind_it_is_not_stored(self):
        """They may be a smuggled answer's: whatever came so may not have
        been meant for this request. It is delivered, and that is all."""
        renews = self.target()
        first = self.fill(renews, *STALE, ("ETag", '"v1"'))
        for target, head in (
                (renews, b"304 Same\r\nETag: \"v1\""),
                (self.target(), b"200 OK\r\nContent-Length: 0"),
                (self.target(), b"204 No")):
            with self.subTest(head=head):
                self.says(lambda request, n, h=head: Bytes(
                    b"HTTP/1.1 " + h + b"\r\nCache-Control: max-age=60"
                    b"\r\n\r\nHTTP/1.1 200 OK\r\n"))
                old = self.value(target)
                lease = self.watch_lease(target)
                self.assertNotIn("; hit", self.get(target).cache_status)
                # Nobody is to wait for a fetch that is over.
                self.assertEqual(self.lease_ends(lease), "del")
                self.assertEqual(self.value(target), old)
        self.says(FRESH, ("ETag", '"v1"'), status="304 Same")
        self.assertEqual(self.get(renews).body, first.body)

    def test_a_304_without_freshness_leaves_it_stale(self):
        target = self.target()
        first = self.fill(target, cache_control("max-age=0"),
                          ("ETag", '"v1"'))
        for times in (2, 3, 4):
            got = self.validate(target, ("ETag", '"v1"'), status="304 Same")
            self.assertIn("fwd=stale; fwd-status=304", got.cache_status)
            self.assertEqual(got.body, first.body)
            self.assert_asked(target, times)

    def test_the_lifetime_of_a_route_is_not_for_answers_to_credentials(self):
        """One that may be shared, and states none, is kept to be asked about,
        also when the answer to that brings no lifetime either."""
        public = (cache_control("public"), ("ETag", '"v1"'))
        target = self.target("/given")
        self.fill(target, *public)
        self.assert_hit(self.get(target))
        for name in ("Cookie", "Authorization", "X-Api-Key"):
            with self.subTest(name=name):
                target = self.target("/given")
                first = self.fill(target, *public, request={name: "a=1"})
                got = self.validate(target, *public, status="304 Same",
                                    request={name: "a=1"})
                self.assertIn("fwd-status=304", got.cache_status)
                self.assertEqual(got.body, first.body)
                got = self.validate(target, *public, status="304 Same")
                self.assertIn("fwd-status=304", got.cache_status)
                self.assert_asked(target, 3)

    def test_what_only_credentials_keep_from_storing_is_no_refusal(self):
        """Somebody's cookie leaves no word that it cannot be stored."""
        target = self.target("/unkept")
        self.says(cache_control("public"))
        got = self.get(target, {"Cookie": "a=1"})
        self.assertEqual(got.cache_status,
                         "nearside; fwd=bypass; detail=cookie")
        got = self.get(target)
        self.assertIn("; stored", got.cache_status)
        self.wait_stored(target)
        self.assert_hit(self.get(target), got)
        self.assert_hit(self.get(target, {"Cookie": "a=1"}), got)

    def test_no_cache_is_validated_at_each_use(self):
        target = self.target()
        first = self.fill(target, cache_control("no-cache, max-age=60"),
                          ("ETag", '"v1"'))
        for times in (2, 3, 4):
            got = self.validate(target, cache_control("no-cache, max-age=60"),
                                ("ETag", '"v1"'), status="304 Same")
            self.assertIn("fwd-status=304", got.cache_status)
            self.assertEqual(got.body, first.body)
            self.assert_asked(target, times)
        self.assertNotEqual(
            self.validate(target, cache_control("no-cache"),
                          ("ETag", '"v2"')).body, first.body)

    def test_a_304_that_says_no_store_ends_the_storing(self):
        target = self.target()
        first = self.fill(target, *STALE, ("ETag", '"v1"'))
        got = self.validate(target, cache_control("no-store"),
                            ("ETag", '"v1"'), status="304 Same")
        self.assertEqual(got.body, first.body)
        self.assertNotIn("stored", got.cache_status)
        before = len(self.asked(target))
        self.says(FRESH)
        self.assertNotEqual(self.get(target).body, first.body)
        self.assert_asked(target, before + 1)

    def test_the_client_that_asks_with_a_tag_gets_its_own_answer(self):
        """RFC 9111 4.3.2: 200 to who has another than the one that the
        origin said is still good, 304 to who has that one."""
        for tag, status in (('"v0"', 200), ('"v1"', 304)):
            with self.subTest(tag=tag):
                target = self.target()
                first = self.fill(target, *STALE, ("ETag", '"v1"'))
                self.says(FRESH, ("ETag", '"v1"'), status="304 Same")
                got = self.get(target, {"If-None-Match": tag})
                self.assertEqual(got.status, status)
                self.assertEqual(
                    self.last(target).fields["If-None-Match"], '"v1"')
                if status == 200:
                    self.assertEqual(got.body, first.body)

    def test_one_validation_serves_all_who_wait(self):
        target = self.target()
        first = self.fill(target, *STALE, ("ETag", '"v1"'))
        steps = Steps()
        self.addCleanup(steps.go, "end")
        same = Said(FRESH, ("ETag", '"v1"'), status="304 Same")

        def slow(request, n):
            del request, n
            steps.wait("end")
            return same

        self.says(slow)

        def ask(i):
            if i == 0:
                self.wait_asked(target, 2)
                self.daemon.wait_metric("nearside_connections", 8)
                steps.go("end")
                return None
            return self.get(target)

        answers = together(9, ask)[1:]
        self.assert_asked(target, 2)
        self.assertEqual({a.body for a in answers}, {first.body})
        self.assertEqual({a.status for a in answers}, {200})

    def test_a_304_that_says_private_is_for_one_alone(self):
        """Who waited beside it asks for himself."""
        target = self.target()
        first = self.fill(target, *STALE, ("ETag", '"v1"'))
        steps = Steps()
        self.addCleanup(steps.go, "end")
        same = Said(cache_control("private"), ("ETag", '"v1"'),
                    status="304 Same")

        def slow(request, n):
            steps.wait("end")
            return same if "If-None-Match" in request.fields else Said(
                cache_control("private"), body=b"own %d" % n)

        self.says(slow)

        def ask(i):
            if i == 4:
                self.wait_asked(target, 2)
                self.daemon.wait_metric("nearside_connections", 4)
                steps.go("end")
                return None
            return self.get(target)

        bodies = [a.body for a in together(5, ask)[:-1]]
        self.assertEqual(bodies.count(first.body), 1)
        self.assertEqual(len(set(bodies)), 4)

    def test_a_304_changes_nothing_that_the_content_depends_on(self):
        target = self.target()
        first = self.fill(target, *STALE, ("ETag", '"v1"'),
                          ("Content-Encoding", "x-a"))
        self.says(FRESH, ("ETag", '"v1"'), ("Content-Encoding", "x-b"),
                  ("Content-Range", "bytes 0-1/2"), ("Content-Length", "0"),
                  status="304 Same")
        for _ in range(2):
            got = self.get(target)
            self.assertEqual((got.status, got.body), (200, first.body))
            self.assertEqual(got.fields["Content-Length"],
                             str(len(first.body)))
            self.assertEqual(got.fields["Content-Encoding"], "x-a")
            self.assertNotIn("Content-Range", got.fields)

    def test_a_304_with_an_age_is_as_old(self):
        target = self.target()
        self.fill(target, *STALE, ("ETag", '"v1"'))
        got = self.validate(target, FRESH, ("Age", "20"), ("ETag", '"v1"'),
                            status="304 Same")
        self.assertIn(got.fields["Age"], ("20", "21"))

    def test_a_304_without_a_date_is_of_its_receipt(self):
        target = self.target()
        first = self.fill(target, cache_control("max-age=9"),
                          ("ETag", '"v1"'),
                          ("Date", http_date(time.time() - 500)))
        got = self.validate(target, FRESH, ("ETag", '"v1"'),
                            status="304 Same")
        self.assertIn(got.fields["Age"], ("0", "1"))
        self.assertNotEqual(got.fields["Date"], first.fields["Date"])
        wait_until(lambda: "; hit" in self.get(target).cache_status,
                   what="it is fresh")

    def test_a_304_that_varies_where_nothing_did(self):
        target = self.target()
        first = self.fill(target, *STALE, ("ETag", '"v1"'))
        self.validate(target, FRESH, ("ETag", '"v1"'), ("Vary", "X-Foo"),
                      status="304 Same")
        wait_until(lambda: len(self.keys(target)) == 2,
                   what="it has become a variant")
        self.says(FRESH, ("Vary", "X-Foo"))
        got = self.get(target, {"X-Foo": "a"})
        self.assertNotEqual(got.body, first.body)
        self.assert_hit(self.get(target), first)

    def test_what_is_stale_and_immutable_is_validated(self):
        target = self.target()
        first = self.fill(target, cache_control("max-age=9, immutable"),
                          ("Age", "9"), ("ETag", '"v1"'))
        got = self.validate(target, FRESH, ("ETag", '"v1"'),
                            status="304 Same")
        self.assertIn("fwd=stale; fwd-status=304", got.cache_status)
        self.assertEqual(got.body, first.body)

    def test_without_validators_nothing_is_kept(self):
        target = self.target()
        self.says(*STALE)
        got = self.get(target)
        self.assertNotIn("stored", got.cache_status)

    def test_set_cookie_in_a_304_is_for_one_alone(self):
        """As it is in a 200, where the route says nothing else."""
        target = self.target()
        first = self.fill(target, *STALE, ("ETag", '"v1"'))
        got = self.validate(target, FRESH, ("ETag", '"v1"'),
                            ("Set-Cookie", "a=1"), status="304 Same")
        self.assertEqual(got.body, first.body)
        self.assertEqual(got.fields["Set-Cookie"], "a=1")
        self.assertNotIn("stored", got.cache_status)
        self.says(FRESH)
        self.assertNotIn("Set-Cookie", self.get(target).fields)

    def test_the_age_of_a_304_that_ends_it_is_told(self):
        target = self.target()
        self.fill(target, *STALE, ("ETag", '"v1"'))
        got = self.validate(target, cache_control("no-store"), ("Age", "30"),
                            ("ETag", '"v1"'), status="304 Same")
        self.assertEqual(got.fields["Age"], "30")

    def test_a_304_to_no_question_is_an_error_of_the_origin(self):
        target = self.target()
        got = self.validate(target, FRESH, ("ETag", '"v1"'),
                            status="304 Same")
        self.assertEqual(got.status, 502)
        self.assertIn("http_protocol_error", got.fields["Proxy-Status"])
        self.fill(target, *STALE, ("ETag", '"v1"'))
        got = self.validate(target, FRESH, ("ETag", '"other"'),
                            status="304 Same")
        self.assertEqual(got.status, 502)

    def test_a_lifetime_that_passes_is_validated(self):
        """The one that waits for the clock."""
        target = self.target()
        first = self.fill(target, cache_control("max-age=1"),
                          ("ETag", '"v1"'))
        self.assert_hit(self.get(target), first)
        self.says(FRESH, ("ETag", '"v1"'), status="304 Same")
        wait_until(lambda: "fwd-status=304" in self.get(target).cache_status,
                   what="it is stale")
        self.assert_asked(target, 2)


class WhileRevalidate(CachingTest):
    routes = ('route "/c/*" { ttl = 0  keep = 10m }\n'
              'route "HEAD /two/*" { ttl = 0 }\n'
              'route "/two/*" { ttl = 0  keep = 10m }\n'
              'route "/rfc/*" { ttl = 0  keep = 10m  preset = rfc }\n')
    windows = ("Cache-Control", "max-age=9, stale-while-revalidate=60")
    stale = (windows, ("Age", "9"), ("ETag", '"v1"'))

    def setUp(self):
        super().setUp()
        self.steps = Steps()
        self.addCleanup(self.steps.go, "end")

    def says_slowly(self, said):
        def slow(request, n):
            del request, n
            self.steps.wait("end")
            return said

        self.says(slow)

    def test_the_stale_one_at_once_and_one_refresh_behind(self):
        target = self.target()
        first = self.fill(target, *self.stale)
        self.says_slowly(Said(FRESH, ("ETag", '"v2"')))
        for _ in range(5):
            got = self.get(target)
            self.assertIn("detail=stale-while-revalidate", got.cache_status)
            self.assertEqual(got.body, first.body)
            self.assertGreaterEqual(int(got.fields["Age"]), 9)
        self.wait_asked(target, 2)
        self.steps.go("end")
        wait_until(lambda: self.get(target).body != first.body,
                   what="the new one is there")
        self.assert_hit(self.get(target))
        self.assert_asked(target, 2)

    def test_who_comes_meanwhile_is_answered_by_the_same_refresh(self):
        """It knows what is stored: nobody looks, or takes a lease, anew."""
        commands = self.watch_commands()
        target = self.target()
        first = self.fill(target, *self.stale)
        self.says_slowly(Said(FRESH, ("ETag", '"v2"')))
        self.get(target)
        self.wait_asked(target, 2)
        self.assertEqual(self.leases_asked(commands, target), 2)
        for _ in range(10):
            got = self.get(target)
            self.assertIn("detail=stale-while-revalidate", got.cache_status)
            self.assertEqual(got.body, first.body)
        self.assertEqual(self.leases_asked(commands, target), 0)

    def test_a_range_has_it_renewed_too(self):
        target = self.target()
        first = self.fill(target, *self.stale)
        self.says(FRESH, ("ETag", '"v1"'), status="304 Same")
        got = self.get(target, {"Range": "bytes=0-3"})
        self.assertEqual((got.status, got.body), (206, first.body[:4]))
        self.assertIn("detail=stale-while-revalidate", got.cache_status)
        self.wait_asked(target, 2)
        wait_until(lambda: HIT.match(self.get(target).cache_status),
                   what="it is renewed behind")
        self.assertIsNone(self.last(target).fields["Range"])
        self.assert_asked(target, 2)

    def test_a_head_has_it_renewed_too(self):
        """By a GET: the answer to a HEAD has no content to store."""
        for vary in ((), (("Vary", "X-Foo"),)):
            with self.subTest(vary=vary):
                target = self.target()
                first = self.fill(target, *self.stale, *vary,
                                  request={"X-Foo": "1", "X-Bar": "2"})
                self.says(FRESH, ("ETag", '"v2"'), *vary)
                got = self.get(target, {"X-Foo": "1", "X-Bar": "2"},
                               method="HEAD")
                self.assertIn("detail=stale-while-revalidate",
                              got.cache_status)
                self.assertEqual(got.fields["Content-Length"],
                                 str(len(first.body)))
                self.wait_asked(target, 2)
                wait_until(lambda t=target: HIT.match(self.get(
                    t, {"X-Foo": "1"}).cache_status),
                           what="it is renewed behind")
                self.assertNotEqual(
                    self.get(target, {"X-Foo": "1"}).body, first.body)
                self.assertEqual(self.last(target).method, "GET")
                self.assertEqual(self.last(target).fields["X-Foo"],
                                 "1" if vary else None)
                self.assertIsNone(self.last(target).fields["X-Bar"])
                self.assert_asked(target, 2)

    def test_a_head_of_another_route_has_nothing_renewed(self):
        target = self.target("/two")
        self.fill(target, *self.stale)
        got = self.get(target, method="HEAD")
        self.assertIn("detail=stale-while-revalidate", got.cache_status)
        self.assertIn("detail=stale-while-revalidate",
                      self.get(target).cache_status)
        self.wait_asked(target, 2)  # for the GET

    def test_a_304_behind_renews(self):
        target = self.target()
        first = self.fill(target, *self.stale)
        self.says(FRESH, ("ETag", '"v1"'), status="304 Same")
        self.assertEqual(self.get(target).body, first.body)
        wait_until(lambda: HIT.match(self.get(target).cache_status),
                   what="it is renewed")
        self.assert_hit(self.get(target), first)
        self.assertEqual(self.last(target).fields["If-None-Match"], '"v1"')

    def test_a_304_that_says_no_store_ends_it(self):
        for value in ("no-store", "private"):
            with self.subTest(value=value):
                target = self.target()
                first = self.fill(target, *self.stale)
                self.says(cache_control(value), ("ETag", '"v1"'),
                          status="304 Same")
                self.assertEqual(self.get(target).body, first.body)
                self.wait_asked(target, 2)
                self.says(cache_control(value))
                wait_until(lambda t=target, f=first:
                           self.get(t).body != f.body,
                           what="the stale one is gone")
                self.assertNotIn(first.body, self.value(target) or b"")

    def test_an_answer_that_is_not_to_be_stored_ends_it_too(self):
        """By its head alone: nobody reads its content."""
        for status, fields in (("410 Gone", ()), ("404 No", ()),
                               ("200 OK", (cache_control("no-store"),)),
                               ("200 OK", (FRESH, ("Set-Cookie", "a=1")))):
            for vary in ((), (("Vary", "X-Foo"),)):
                with self.subTest(status=status, fields=fields, vary=vary):
                    self.ends_by(status, fields, vary)

    def ends_by(self, status, fields, vary):
        target = self.target()
        self.says(*self.stale, *vary)
        first = self.get(target)
        wait_until(lambda: self.get(
            target, {"Only-If": "1", "Cache-Control": "only-if-cached"}
            ).status == 200, what="it is stored")
        self.says(*fields, *vary, status=status, body=b"new" * 10000)
        self.assertEqual(self.get(target).body, first.body)
        wait_until(lambda: self.get(target).body != first.body,
                   what="the old one is gone")
        # Nor does it stand in from now on.
        self.says(status="503 Down")
        self.assertEqual(self.get(target).status, 503)

    def test_an_answer_about_who_asked_displaces_nothing(self):
        for status in (400, 401, 402, 403, 406, 407, 408, 411, 413, 415, 417,
                       418, 421, 422, 425, 426, 428, 429, 431, 499):
            with self.subTest(status=status):
                target = self.target()
                first = self.fill(target, *self.stale)
                self.says(status=f"{status} You")

                def is_asked_again(target=target, first=first):
                    self.assertEqual(self.get(target).body, first.body)
                    return len(self.asked(target)) > 2

                wait_until(is_asked_again, what="it is tried again",
                           every=0.002)
                self.assertIn(first.body, self.value(target))

    def test_a_refresh_carries_keyed_fields_alone(self):
        """Nothing that the one who happened to trigger it has sent."""
        target = self.target()
        self.says(*self.stale, ("Vary", "X-Foo, Accept-Encoding"),
                  cache_control("public"))
        asks = {"X-Foo": "a", "Accept-Encoding": "gzip", "X-Bar": "b",
                "Accept": "x/y", "User-Agent": "me", "Cookie": "a=1",
                "Content-Type": "x/y", "Authorization": "Basic eDp5",
                "Cache-Control": "no-transform"}
        first = self.get(target, asks)
        self.assertIn("; stored", first.cache_status)
        self.assertEqual(self.last(target).fields["X-Bar"], "b")
        wait_until(lambda: len(self.keys(target)) > 1, what="it is stored")
        self.assertEqual(self.get(target, asks).body, first.body)
        self.wait_asked(target, 2)
        got = {name.lower(): value
               for name, value in self.last(target).fields.fields}
        host = got["host"]
        self.assertEqual(got, {
            "host": host, "x-foo": "a", "accept-encoding": "gzip",
            "if-none-match": '"v1"', "x-forwarded-proto": "http",
            "x-forwarded-host": host, "via": "1.1 nearside",
            "forwarded": f'for=unknown;host="{host}";proto=http'})

    def test_it_is_told_as_a_hit(self):
        """The origin was not asked for it (RFC 9211 2.1)."""
        target = self.target()
        self.fill(target, *self.stale)
        self.says_slowly(Said(FRESH))
        for ask in ({}, {"method": "HEAD"}, {"fields": {"Range": "bytes=0-"}}):
            self.assertRegex(
                self.get(target, **ask).cache_status,
                r"nearside; hit; ttl=-?\d+; detail=stale-while-revalidate\Z")

    def test_the_window_begins_where_freshness_ended(self):
        """Which may have been before it was received."""
        for fields, used in (
                (("max-age=9, stale-while-revalidate=600", 500), 1),
                (("max-age=9, stale-while-revalidate=600", 609), 0),
                (("max-age=9, stale-while-revalidate=600", 999), 0),
                (("stale-while-revalidate=600", 500), 1),
                (("stale-while-revalidate=600", 600), 0)):
            with self.subTest(fields=fields):
                target = self.target()
                self.says(cache_control(fields[0]), ("Age", str(fields[1])),
                          ("ETag", '"v1"'))
                first = self.get(target)
                self.wait_stored(target)
                self.says(FRESH, ("ETag", '"v2"'))
                self.assertEqual(self.get(target).body == first.body, used)

    def test_two_daemons_make_one_refresh(self):
        self.needs_redis()
        other = self.use(Nearside(self.make_conf(), name="other"))
        target = self.target()
        first = self.fill(target, *self.stale)
        self.says_slowly(Said(FRESH, ("ETag", '"v2"')))
        for _ in range(4):
            for daemon in (self.daemon, other):
                got = daemon.get(target)
                self.assertEqual(got.body, first.body)
        self.wait_asked(target, 2)
        self.steps.go("end")
        for daemon in (self.daemon, other):
            wait_until(lambda d=daemon: HIT.match(d.get(target).cache_status),
                       what="the new one is there")
        self.assert_asked(target, 2)

    def test_a_refresh_that_fails_leaves_the_stale_one(self):
        target = self.target()
        first = self.fill(target, *self.stale)
        self.says(FRESH, status="503 Down")

        def is_asked_again():
            got = self.get(target)
            self.assertEqual((got.status, got.body), (200, first.body))
            return len(self.asked(target)) > 3

        wait_until(is_asked_again, what="it is tried again and again")

    def test_where_it_is_forbidden_nothing_stale_is_served(self):
        for base, more in (("/c", "must-revalidate"),
                           ("/c", "proxy-revalidate"),
                           ("/c", "s-maxage=9, proxy-revalidate"),
                           ("/c", "s-maxage=9, no-cache"),
                           ("/c", "no-cache"), ("/rfc", "s-maxage=9")):
            with self.subTest(base=base, more=more):
                target = self.target(base)
                first = self.fill(
                    target, cache_control(self.windows[1] + ", " + more),
                    *self.stale[1:])
                self.says(FRESH, ("ETag", '"v2"'))
                self.assertNotEqual(self.get(target).body, first.body)

    def test_a_window_beside_s_maxage_counts(self):
        """As Next.js and every CDN's manual have it; with and without
        something to validate by."""
        for value, more in (("s-maxage=9, stale-while-revalidate=60",
                             self.stale[1:]),
                            ("s-maxage=9, stale-while-revalidate=60",
                             self.stale[1:2]),
                            ("s-maxage=0, stale-while-revalidate=60", ())):
            with self.subTest(value=value, more=more):
                target = self.target()
                first = self.fill(target, cache_control(value), *more)
                self.says(cache_control("s-maxage=60"))
                got = self.get(target)
                self.assertEqual(got.body, first.body)
                self.assertIn("detail=stale-while-revalidate",
                              got.cache_status)
                self.wait_asked(target, 2)
                wait_until(lambda t=target: HIT.match(
                    self.get(t).cache_status), what="it is renewed")

    def test_not_where_s_maxage_alone_let_it_be_shared(self):
        """An answer to Authorization (RFC 9111 3.5)."""
        for more, used in (("", False), (", public", True)):
            with self.subTest(more=more):
                target = self.target()
                first = self.fill(
                    target, cache_control(
                        "s-maxage=9, stale-while-revalidate=60" + more),
                    *self.stale[1:], request={"Authorization": "Basic eDp5"})
                self.says(FRESH, ("ETag", '"v2"'))
                self.assertEqual(self.get(target).body == first.body, used)

    def test_beyond_the_window_it_is_validated_first(self):
        target = self.target()
        start = time.monotonic()
        first = self.fill(
            target, cache_control("max-age=9, stale-while-revalidate=1"),
            *self.stale[1:])
        filled = time.monotonic()
        self.says(status="503 Down")  # nothing renews it
        while time.monotonic() < filled + 1.05:  # the window ends
            got = self.get(target)
            if time.monotonic() < start + 1:
                self.assertEqual(got.body, first.body)
        self.says(FRESH, ("ETag", '"v2"'))
        self.assertNotEqual(self.get(target).body, first.body)

    def test_while_a_refresh_hangs_the_window_ends_all_the_same(self):
        """Whoever comes then waits for the refresh, all of them together."""
        def is_within():
            """A busy machine may need more than the second."""
            start = time.monotonic()
            target = self.target()
            first = self.fill(
                target, cache_control("max-age=9, stale-while-revalidate=1"),
                *self.stale[1:])
            filled = time.monotonic()
            self.says_slowly(Said(FRESH, ("ETag", '"v2"')))
            got = []
            asking = threading.Thread(
                target=lambda: got.append(self.get(target)))
            asking.start()
            asking.join(max(0, start + 1 - time.monotonic()))
            if asking.is_alive():
                self.steps.go("end")
                self.steps = Steps()
                self.addCleanup(self.steps.go, "end")
                return None
            self.assertEqual(got[0].body, first.body)
            return target, first, filled

        target, first, filled = wait_until(is_within, what="it hangs")
        time.sleep(max(0, filled + 1.05 - time.monotonic()))  # it ends
        late = []
        asking = threading.Thread(target=lambda: late.extend(
            together(4, lambda n: self.get(target))))
        asking.start()
        time.sleep(0.3)  # nobody is answered meanwhile
        self.assertEqual(late, [])
        self.steps.go("end")
        asking.join(60)
        self.assertEqual(len({got.body for got in late}), 1)
        self.assertNotEqual(late[0].body, first.body)
        self.assert_asked(target, 2)


class OnError(CachingTest):
    """What stands in when the origin fails, and what must not."""

    routes = ('route "/c/*" { ttl = 0 }\n'
              'route "/grace/*" { ttl = 0  grace = 10m  keep = 10m }\n'
              'route "/min/*" { ttl = 0  ttl_min = 30s }\n'
              'route "/rfc/*" { ttl = 0  grace = 10m  preset = rfc }\n')
    stale = (cache_control("max-age=9, stale-if-error=60"), ("Age", "9"))

    def test_errors_that_stale_stands_in_for(self):
        for status in (500, 502, 503, 504):
            with self.subTest(status=status):
                target = self.target()
                first = self.fill(target, *self.stale)
                self.says(status=f"{status} Down")
                got = self.get(target)
                self.assertEqual((got.status, got.body), (200, first.body))
                self.assertRegex(
                    got.cache_status,
                    rf"nearside; fwd=stale; fwd-status={status}; "
                    r"ttl=-\d+; detail=stale-if-error\Z|"
                    rf"nearside; fwd=stale; fwd-status={status}; "
                    r"ttl=0; detail=stale-if-error\Z")

    def test_other_answers_are_the_news(self):
        for status in (200, 404, 410, 429, 501):
            with self.subTest(status=status):
                target = self.target()
                self.fill(target, *self.stale)
                self.says(status=f"{status} News")
                self.assertEqual(self.get(target).status, status)

    def test_an_answer_about_who_asked_leaves_the_one_that_stands_in(self):
        for status in (401, 403, 406, 407, 415):
            with self.subTest(status=status):
                target = self.target()
                first = self.fill(target, *self.stale)
                self.says(status=f"{status} You")
                self.assertEqual(self.get(target).status, status)
                self.says(status="503 Down")
                self.assertEqual(self.get(target).body, first.body)

    def test_a_connection_that_breaks(self):
        target = self.target()
        first = self.fill(target, *self.stale)
        self.says(lambda request, n: None)
        got = self.get(target)
        self.assertEqual((got.status, got.body), (200, first.body))
        self.assertIn("detail=stale-if-error", got.cache_status)
        self.assertGreaterEqual(int(got.fields["Age"]), 9)

    def test_it_is_over_when_the_origin_is_back(self):
        target = self.target()
        first = self.fill(target, *self.stale)
        self.says(lambda request, n: None)
        self.assertEqual(self.get(target).body, first.body)
        self.says(FRESH)
        got = self.get(target)
        self.assertNotEqual(got.body, first.body)
        self.assertEqual(got.status, 200)

    def test_grace_of_the_route_is_for_all(self):
        target = self.target("/grace")
        first = self.fill(target, *STALE, ("ETag", '"v1"'))
        for fails in (lambda request, n: None, Said(status="503 Down")):
            self.says(fails) if callable(fails) else self.says(
                status=fails.status)
            got = self.get(target)
            self.assertEqual((got.status, got.body), (200, first.body))
        self.says(FRESH)
        self.assertNotEqual(self.get(target).body, first.body)

    def test_where_it_is_forbidden_the_error_is_told(self):
        stated = self.stale[0][1]
        for value, bases in (
                (stated + ", must-revalidate", ("/c", "/grace")),
                (stated + ", proxy-revalidate", ("/c", "/grace")),
                (stated + ", no-cache", ("/c", "/grace")),
                (stated + ", s-maxage=9", ("/rfc",)),
                ("s-maxage=9, stale-if-error=0", ("/grace",)),
                ("s-maxage=9", ("/c", "/grace"))):
            for base in bases:
                with self.subTest(value=value, base=base):
                    target = self.target(base)
                    self.says(cache_control(value), ("Age", "9"),
                              ("ETag", '"v1"'))
                    first = self.get(target)
                    self.says(status="503 Down")
                    got = self.get(target)
                    self.assertEqual(got.status, 503)
                    self.says(lambda request, n: None)
                    got = self.get(target)
                    self.assertIn(got.status, (502, 504))
                    self.assertNotEqual(got.body, first.body)

    def test_a_window_beside_s_maxage_counts(self):
        """And for no longer, whatever the route's grace is."""
        for age, used in (("9", True), ("60", True), ("69", False)):
            for base in ("/c", "/grace"):
                with self.subTest(age=age, base=base):
                    target = self.target(base)
                    self.says(cache_control("s-maxage=9, stale-if-error=60"),
                              ("Age", age), ("ETag", '"v1"'))
                    first = self.get(target)
                    if used or base == "/grace":
                        self.wait_stored(target)
                    self.says(status="503 Down")
                    self.assertEqual(self.get(target).body == first.body, used)

    def test_grace_is_for_what_comes_stale_and_cannot_be_validated(self):
        for fields in ((cache_control("max-age=0"),),
                       (("Expires", "0"),),
                       (cache_control("max-age=10"), ("Age", "20"))):
            with self.subTest(fields=fields):
                target = self.target("/grace")
                first = self.fill(target, *fields)
                self.says(status="503 Down")
                got = self.get(target)
                self.assertEqual((got.status, got.body), (200, first.body))
                self.assertIn("detail=stale-if-error", got.cache_status)
        for value in ("max-age=0, must-revalidate", "s-maxage=0", "no-cache",
                      "max-age=0, proxy-revalidate", "max-age=0, private"):
            with self.subTest(value=value):
                target = self.target("/grace")
                self.says(cache_control(value))
                self.assertNotIn("; stored", self.get(target).cache_status)

    def test_ttl_min_is_for_what_comes_stale_and_cannot_be_validated(self):
        for fields in ((cache_control("max-age=0"),),
                       (("Expires", "0"),),
                       (cache_control("max-age=10"), ("Age", "20"))):
            with self.subTest(fields=fields):
                target = self.target("/min")
                first = self.fill(target, *fields)
                self.assertGreater(self.assert_hit(self.get(target), first),
                                   25)

    def test_without_a_window_the_error_is_told(self):
        routes_keep = self.target()
        self.says(*STALE)
        self.get(routes_keep)
        self.says(status="503 Down")
        self.assertEqual(self.get(routes_keep).status, 503)

    def test_with_keep_alone_the_error_is_told(self):
        """Kept to be validated is not kept to be served."""
        daemon = self.use(Nearside(self.make_conf().replace(
            'route "/c/*" { ttl = 0 }', 'route "/c/*" { ttl = 0  keep = 1h }'
        ), name="keeps"))
        target = self.target()
        self.says(*STALE, ("ETag", '"v1"'))
        self.assertIn("; stored", daemon.get(target).cache_status)
        self.wait_stored(target)
        self.says(status="503 Down")
        self.assertEqual(daemon.get(target).status, 503)
        self.assertEqual(self.last(target).fields["If-None-Match"], '"v1"')

    def test_an_origin_that_is_gone(self):
        self.needs_redis()
        target = self.target("/grace")
        first = self.fill(target, *STALE, ("ETag", '"v1"'))
        conf = self.make_conf().replace(self.origin.url, "http://127.0.0.1:1")
        daemon = self.use(Nearside(conf, name="cut"))
        got = daemon.get(target)
        self.assertEqual((got.status, got.body), (200, first.body))
        got = daemon.get(self.target("/grace"))
        self.assertEqual(got.status, 502)

    def test_conditions_and_ranges_get_their_answer_from_the_stale_one(self):
        target = self.target("/grace")
        first = self.fill(target, *STALE, ("ETag", '"v1"'))
        self.says(status="503 Down")
        got = self.get(target, {"If-None-Match": '"v1"'})
        self.assertEqual((got.status, got.body), (304, b""))
        got = self.get(target, {"If-None-Match": '"v0"'})
        self.assertEqual((got.status, got.body), (200, first.body))


if __name__ == "__main__":
    unittest.main()
