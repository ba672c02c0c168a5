# ctest: memory
"""Vary: which request gets which of the answers of one URI (RFC 9111 4.1),
on one daemon and on two, and how many of them are kept."""

import os
import time
import unittest

from lib import FlowTest, Nearside, RedisCluster, ScriptedOrigin, wait_until
from lib.caching import (CachingTest, FRESH, HIT, STALE, Said,
                         cache_control)
from lib.scripted import Steps, answer, conf, together

VARY_MISS = "nearside; fwd=vary-miss; stored"
ACCEPT_ENCODING = "Accept-Encoding"
ACCEPT_LANGUAGE = "Accept-Language"


class Vary(CachingTest):
    routes = ('route "/c/*" { ttl = 60s  keep = 10m }\n'
              'route "/any/*" { vary = any }\n'
              'route "/by-cookie/*" { ttl = 60s  cookie = key }\n')
    limits = "variants_max = 4"

    def vary(self, *names, more=(FRESH,)):
        self.says(*(("Vary", name) for name in names), *more)

    def miss(self, target, fields=None, status=VARY_MISS):
        """A miss whose answer is in Redis, and counted, when this returns."""
        count = len(self.keys(target))
        stores = self.daemon.metric("nearside_stores_total") + 1
        got = self.get(target, fields)
        self.assertEqual(got.cache_status, status)
        wait_until(lambda: len(self.keys(target)) > count,
                   what="the variant is stored", every=0.002)
        self.daemon.wait_metric("nearside_stores_total", stores)
        return got

    def first(self, target, fields=None):
        return self.miss(target, fields, "nearside; fwd=uri-miss; stored")

    def test_each_variant_has_its_own_answer(self):
        self.vary("X-Foo")
        target = self.target()
        asked = [{"X-Foo": "a"}, {"X-Foo": "b"}, None, {"X-Foo": ""}]
        first = [self.first(target, asked[0])]
        first += [self.miss(target, fields) for fields in asked[1:]]
        self.assertEqual(len({f.body for f in first}), 4)
        for fields, of in zip(asked, first):
            got = self.get(target, fields)
            self.assert_hit(got, of)
            self.assertEqual(got.fields["Vary"], "X-Foo")
        self.assert_asked(target, 4)

    def test_fields_that_are_not_named_do_not_matter(self):
        self.vary("X-Foo")
        target = self.target()
        first = self.first(target, {"X-Foo": "a", "X-Bar": "1"})
        self.assert_hit(self.get(target, {"X-Bar": "2", "x-foo": "a"}), first)

    def test_several_lines_are_one_list_on_either_side(self):
        self.vary("X-Foo", "X-Bar, x-foo")
        target = self.target()
        first = self.first(target, {"X-Foo": "a", "X-Bar": "1"})
        self.miss(target, {"X-Foo": "a", "X-Bar": "2"})
        self.assert_hit(self.get(target, {"X-Bar": "1", "X-Foo": "a"}), first)
        self.vary("X-Foo")
        target = self.target()
        first = self.first(target, [("X-Foo", "a"), ("X-Foo", "b")])
        self.assert_hit(self.get(target, {"X-Foo": "a, b"}), first)
        self.miss(target, [("X-Foo", "b"), ("X-Foo", "a")])

    def test_encodings_are_normalised(self):
        self.vary(ACCEPT_ENCODING)
        target = self.target()
        first = self.first(target, {ACCEPT_ENCODING: "gzip, deflate, br"})
        for same in ("br, gzip", "gzip;q=0.5, br;q=1.0, zstd", "br,gzip",
                     "GZIP, BR"):
            with self.subTest(same=same):
                self.assert_hit(
                    self.get(target, {ACCEPT_ENCODING: same}), first)
        only = self.miss(target, {ACCEPT_ENCODING: "gzip"})
        self.assert_hit(self.get(target, {ACCEPT_ENCODING:
                                          "br;q=0, gzip"}), only)
        plain = self.miss(target, {ACCEPT_ENCODING: "identity"})
        self.assert_hit(self.get(target, {ACCEPT_ENCODING: "zstd"}), plain)

    def test_languages_are_normalised(self):
        self.vary(ACCEPT_LANGUAGE)
        target = self.target()
        first = self.first(target, {ACCEPT_LANGUAGE: "de-DE,de;q=0.9,en;q=0.8"})
        for same in ("DE-de, de;q=0.90, en; q=0.8",
                     "en;q=0.8, de-de;q=1, de;q=0.9"):
            with self.subTest(same=same):
                self.assert_hit(
                    self.get(target, {ACCEPT_LANGUAGE: same}), first)
        self.miss(target, {ACCEPT_LANGUAGE: "en,de;q=0.9"})

    def test_what_varies_without_bound_is_not_stored(self):
        for names in (("*",), ("X-Foo, *",), ("X-Foo", "*"), ("Cookie",),
                      ("Authorization",), ("User-Agent",),
                      ("Accept-Encoding, User-Agent",), ("a b",)):
            with self.subTest(names=names):
                self.vary(*names)
                target = self.target()
                first = self.get(target)
                self.assertNotIn("stored", first.cache_status)
                self.assertNotEqual(self.get(target).body, first.body)

    def test_a_route_may_take_what_varies_without_bound(self):
        for name in ("User-Agent", "Cookie", "Authorization"):
            with self.subTest(name=name):
                self.says(cache_control("public, max-age=60"), ("Vary", name))
                target = self.target("/any")
                first = self.get(target, {name: "a"})
                self.assertIn("stored", first.cache_status)
                self.wait_stored(target)
                self.assert_hit(self.get(target, {name: "a"}), first)
                other = self.get(target, {name: "b"})
                self.assertIn("fwd=vary-miss", other.cache_status)
                self.assertNotEqual(other.body, first.body)

    def test_a_write_drops_all_variants(self):
        self.vary("X-Foo")
        target = self.target()
        asked = [{"X-Foo": "a"}, {"X-Foo": "b"}]
        self.first(target, asked[0])
        self.miss(target, asked[1])
        self.assertEqual(self.get(target, method="PUT", body=b"x").status, 200)
        self.assertIsNone(self.value(target))
        before = len(self.asked(target))
        got = [self.get(target, fields) for fields in asked]
        self.assertNotIn("; hit", got[0].cache_status + got[1].cache_status)
        self.assert_asked(target, before + 2)

    def test_no_more_than_variants_max_are_kept(self):
        self.vary("X-Foo")
        target = self.target()
        kept = [self.first(target, {"X-Foo": "0"})]
        kept += [self.miss(target, {"X-Foo": str(i)}) for i in range(1, 4)]
        count = len(self.keys(target))
        limits = self.daemon.metric("nearside_limits_hit_total",
                                    limit="variants_max")
        for i in range(4, 12):
            self.get(target, {"X-Foo": str(i)})
        self.daemon.wait_metric("nearside_limits_hit_total", limits + 8,
                                limit="variants_max")
        self.assertLessEqual(len(self.keys(target)), count)
        hits = [self.get(target, {"X-Foo": str(i)}) for i in range(4)]
        for got, of in zip(hits, kept):
            self.assert_hit(got, of)

    def test_a_variant_that_comes_again_is_none_more(self):
        """Variants have lifetimes of their own; the record lives longer."""
        self.vary("X-Foo")
        target = self.target()
        self.first(target, {"X-Foo": "0"})
        before = set(self.keys(target))
        self.miss(target, {"X-Foo": "1"})
        is_variant = [k for k in self.keys(target) if k not in before
                      and b":names:" not in k]
        for _ in range(10):
            for key in is_variant:
                self.in_redis("DEL", key)  # as when its time is over
            self.miss(target, {"X-Foo": "1"})
        self.assertLessEqual(len(self.keys(target)), 4)

    def test_variants_that_are_not_stored_leave_nothing_behind(self):
        """That one is not storable is remembered for 5 s, but not of each
        variant that a client may think of."""
        self.vary("X-Foo")
        target = self.target()
        self.first(target, {"X-Foo": "0"})
        stores = self.daemon.metric("nearside_stores_total")
        before = self.keys(target)
        self.vary("X-Foo", more=(cache_control("no-store"),))
        for i in range(1, 9):
            self.get(target, {"X-Foo": str(i)})
        self.vary("X-Foo")
        self.miss(target, {"X-Foo": "9"})
        self.assertEqual(self.daemon.metric("nearside_stores_total"),
                         stores + 1)
        self.assertLessEqual(len(self.keys(target)), len(before) + 2)

    def test_all_of_a_target_lie_in_one_slot_and_expire(self):
        self.vary("X-Foo")
        target = self.target()
        self.first(target, {"X-Foo": "a"})
        self.miss(target, {"X-Foo": "b"})
        keys = self.keys(target)
        self.assertGreaterEqual(len(keys), 3)
        for key in keys:
            self.assertIn(f"{{http://test{target}}}".encode(), key)
            self.assertGreater(self.in_redis("PTTL", key), 0)

    def test_the_origin_varies_by_something_else_now(self):
        self.vary("X-Foo")
        target = self.target()
        self.first(target, {"X-Foo": "a"})
        self.vary("X-Bar")
        asked = {"X-Foo": "b", "X-Bar": "1"}
        self.get(target, asked)
        wait_until(lambda: "; hit" in self.get(target, asked).cache_status,
                   what="what is said now is cached")
        kept = self.get(target, asked)
        self.assertNotEqual(self.get(target, {"X-Bar": "2"}).body, kept.body)
        self.assert_hit(self.get(target, asked), kept)

    def test_names_that_are_too_many_drive_out_the_old_ones(self):
        self.vary("X-Foo")
        target = self.target()
        self.first(target, {"X-Foo": "a"})
        self.vary(*(f"X-{n}" for n in range(16)))
        asked = {"X-Foo": "b", "X-0": "1"}
        self.get(target, asked)
        wait_until(lambda: "; hit" in self.get(target, asked).cache_status,
                   what="what is said now is cached")
        kept = self.get(target, asked)
        self.assert_hit(self.get(target, {"X-Foo": "c", "X-0": "1"}), kept)

    def test_an_answer_that_omits_vary_is_a_variant_all_the_same(self):
        """RFC 9111 4.1: many a default response forgets it; the others are
        not to be lost for that."""
        self.vary("X-Foo")
        target = self.target()
        first = self.first(target, {"X-Foo": "a"})
        self.says(FRESH)
        other = self.miss(target, {"X-Foo": "b"})
        self.assert_hit(self.get(target, {"X-Foo": "a"}), first)
        self.assert_hit(self.get(target, {"X-Foo": "b"}), other)
        self.assert_asked(target, 2)

    def test_a_variant_is_validated_with_its_own_tag(self):
        target = self.target()
        tags = {"a": '"va"', "b": '"vb"'}
        first = {}
        for foo, tag in tags.items():
            self.vary("X-Foo", more=(*STALE, ("ETag", tag)))
            first[foo] = self.get(target, {"X-Foo": foo})
            wait_until(lambda n=len(first): len(self.keys(target)) > n)
        for foo, tag in tags.items():
            self.says(FRESH, ("ETag", tag), ("Vary", "X-Foo"),
                      status="304 Same")
            got = self.get(target, {"X-Foo": foo})
            self.assertEqual(self.last(target).fields["If-None-Match"], tag)
            self.assertIn("fwd-status=304", got.cache_status)
            self.assertEqual(got.body, first[foo].body)
            wait_until(lambda f=foo: "; hit" in self.get(
                target, {"X-Foo": f}).cache_status, what="it is renewed")

    def test_head_asks_for_the_variant_that_it_is_held_against(self):
        """In its normal form, not for one that only this client has."""
        self.vary(ACCEPT_ENCODING, more=(*STALE, ("ETag", '"v1"')))
        target = self.target()
        first = self.first(target, {ACCEPT_ENCODING: "gzip"})
        self.vary(ACCEPT_ENCODING, more=(FRESH, ("ETag", '"v1"')))
        self.get(target, {ACCEPT_ENCODING: "zstd, gzip"}, method="HEAD")
        self.assertEqual(self.last(target).fields[ACCEPT_ENCODING], "gzip")
        key, = [k for k in self.keys(target) if k != self.key(target).encode()]
        wait_until(lambda: FRESH[1].encode() in self.in_redis("GET", key),
                   what="it is renewed")
        self.assert_hit(self.get(target, {ACCEPT_ENCODING: "gzip"}), first)

    def test_head_ranges_and_only_if_cached_choose_their_variant(self):
        self.vary("X-Foo")
        target = self.target()
        first = {"a": self.first(target, {"X-Foo": "a"}),
                 "b": self.miss(target, {"X-Foo": "b"})}
        for foo, of in first.items():
            got = self.get(target, {"X-Foo": foo}, method="HEAD")
            self.assert_hit(got)
            got = self.get(target, {"X-Foo": foo, "Range": "bytes=5-"})
            self.assertEqual((got.status, got.body), (206, of.body[5:]))
            got = self.get(target, {"X-Foo": foo,
                                    "Cache-Control": "only-if-cached"})
            self.assert_hit(got, of)
        got = self.get(target, {"X-Foo": "c",
                                "Cache-Control": "only-if-cached"})
        self.assertEqual(got.status, 504)

    def test_what_is_keyed_may_be_varied_by(self):
        self.vary("Cookie")
        self.assertNotIn("stored", self.get(
            self.target(), {"Cookie": "u=1"}).cache_status)
        target = self.target("/by-cookie")
        users = [{"Cookie": f"u={n}"} for n in "12"]
        first = [self.get(target, user) for user in users]
        for user, of in zip(users, first):
            wait_until(lambda u=user: "; hit" in self.get(
                target, u).cache_status, what="it is stored")
            self.assert_hit(self.get(target, user), of)

    def test_variants_of_each_keyed_user(self):
        self.vary("X-Foo")
        target = self.target("/by-cookie")
        users = [{"Cookie": f"u={u}", "X-Foo": foo}
                 for u in "12" for foo in "ab"]
        first = [self.get(target, user) for user in users]
        self.assertEqual(len({f.body for f in first}), 4)
        for user, of in zip(users, first):
            wait_until(lambda u=user: "; hit" in self.get(
                target, u).cache_status, what="it is stored")
            self.assert_hit(self.get(target, user), of)


class Names(CachingTest):
    """Answers of one URI that name different fields, as the libraries for CORS
    and for compression make them say."""

    routes = ('route "/c/*" { ttl = 60s  keep = 10m }\n'
              'route "/by-cookie/*" { ttl = 60s  cookie = key }\n')

    def hit(self, target, fields, of=None):
        wait_until(lambda: "; hit" in self.get(target, fields).cache_status,
                   what="it is stored")
        got = self.get(target, fields)
        self.assert_hit(got, of)
        return got

    def test_a_subset_is_no_change(self):
        """Who accepts no gzip is not told that others might."""
        def says(request, n):
            del n
            if request.fields[ACCEPT_ENCODING] == "gzip":
                return Said(FRESH, ("Vary", "Origin, Accept-Encoding"))
            return Said(FRESH, ("Vary", "Origin"))

        for order in (("gzip", "identity"), ("identity", "gzip")):
            with self.subTest(order=order):
                target = self.target()
                self.says(says)
                asks = [{ACCEPT_ENCODING: name} for name in order]
                for ask in asks:
                    self.get(target, ask)
                    self.hit(target, ask)
                first = [self.hit(target, ask) for ask in asks * 3]
                # What comes first and names Origin alone is for both.
                count = 2 if order[0] == "gzip" else 1
                self.assertEqual(len({f.body for f in first}), count)
                self.assert_asked(target, count)

    def test_a_304_that_names_fewer_changes_nothing(self):
        target = self.target()
        self.says(*STALE, ("ETag", '"v1"'),
                  ("Vary", "Origin, Accept-Encoding"))
        ask = {"Origin": "a", ACCEPT_ENCODING: "gzip"}
        first = self.get(target, ask)
        wait_until(lambda: len(self.keys(target)) == 2, what="it is stored")
        keys = self.keys(target)
        self.says(FRESH, ("ETag", '"v1"'), ("Vary", "Origin"),
                  status="304 Same")
        got = self.get(target, ask)
        self.assertIn("fwd-status=304", got.cache_status)
        got = self.hit(target, ask, first)
        self.assertEqual(got.fields["Vary"], "Origin, Accept-Encoding")
        self.assertEqual(sorted(self.keys(target)), sorted(keys))
        self.assert_asked(target, 2)

    def test_names_that_come_are_added(self):
        """Two that name one each, in turn, do not drive each other out."""
        for base in ("/c", "/by-cookie"):
            with self.subTest(base=base):
                target = self.target(base)
                self.says(lambda request, n: Said(
                    FRESH, ("Vary", "X-Bar" if request.fields["X-Bar"]
                            else "X-Foo")))
                asks = ({"X-Foo": "a"}, {"X-Bar": "b"}, {"X-Foo": "c"}, {})
                for ask in asks * 2:
                    self.get(target, ask)
                    self.hit(target, ask)
                first = [self.hit(target, ask) for ask in asks]
                self.assertEqual(len({f.body for f in first}), 4)
                self.assert_asked(target, 5)

    def test_a_304_that_names_more_is_stored_by_these(self):
        for fields in ((), (("Vary", "X-Foo"),)):
            with self.subTest(fields=fields):
                target = self.target()
                self.says(*STALE, ("ETag", '"v1"'), *fields)
                ask = {"X-Foo": "a", "X-Bar": "b"}
                first = self.get(target, ask)
                wait_until(lambda t=target: self.keys(t), what="it is stored")
                self.says(FRESH, ("ETag", '"v1"'), ("Vary", "X-Bar"),
                          status="304 Same")
                self.assertIn("fwd-status=304", self.get(
                    target, ask).cache_status)
                got = self.hit(target, ask, first)
                self.assertIn("X-Bar", ", ".join(got.fields.all("Vary")))
                self.says(FRESH, ("Vary", "X-Bar"))
                self.assertNotEqual(self.get(
                    target, {"X-Foo": "a", "X-Bar": "c"}).body, first.body)

    def test_a_renewal_behind_is_not_asked_about_new_names(self):
        target = self.target()
        stale = (cache_control("max-age=9, stale-while-revalidate=60"),
                 ("Age", "9"), ("Vary", "X-Foo"))
        self.says(*stale)
        ask = {"X-Foo": "a", "X-Bar": "b"}
        first = self.get(target, ask)
        wait_until(lambda: len(self.keys(target)) == 2, what="it is stored")
        self.says(FRESH, ("Vary", "X-Foo, X-Bar"))
        self.assertEqual(self.get(target, ask).body, first.body)
        self.wait_asked(target, 2)
        self.assertIsNone(self.last(target).fields["X-Bar"])
        self.hit(target, {"X-Foo": "a"})
        self.assert_asked(target, 2)
        got = self.get(target, ask)
        self.assertIn("fwd=vary-miss", got.cache_status)
        self.assert_asked(target, 3)

    def test_a_write_comes_before_what_was_fetched_with_a_new_name(self):
        self.needs_redis()
        target = self.target()
        steps = Steps()
        self.addCleanup(steps.go, "end")

        def slow(request, n):
            del n
            if request.fields["X-Bar"]:
                steps.wait("end")
                return Said(FRESH, ("Vary", "X-Foo, X-Bar"))
            return Said(FRESH, ("Vary", "X-Foo"))

        self.says(slow)
        self.fill(target, request={"X-Foo": "a"})
        fenced = self.daemon.metric("nearside_stores_fenced_total")
        with self.daemon.connect() as client:
            client.request("GET", target, {"X-Foo": "b", "X-Bar": "b"})
            self.wait_asked(target, 2)
            other = self.use(Nearside(self.make_conf(), name="other"))
            self.assertEqual(
                other.get(target, method="PUT", body=b"x").status, 200)
            self.fill(target, request={"X-Foo": "a"})
            before = sorted(self.keys(target))
            steps.go("end")
            client.read_response()
        self.daemon.wait_metric("nearside_stores_fenced_total", fenced + 1)
        self.assertEqual(sorted(self.keys(target)), before)


class Named(CachingTest):
    """vary_on: fields that a route's answers vary by, whether they say so or
    not."""

    routes = ('route "/c/*" { ttl = 60s  vary_on = { "Origin", "Accept" } }\n'
              'route "/full/*" { ttl = 60s  vary_on = { A, B, C, D, E, F, G, '
              'H } }\n')

    def test_each_value_has_its_own_answer(self):
        """The first asks without CORS, and is told nothing of it."""
        target = self.target()
        asks = ({}, {"Origin": "a"}, {"Origin": "b"},
                {"Origin": "a", "Accept": "x/y"})
        self.says(lambda request, n: Said(
            *((("Access-Control-Allow-Origin", request.fields["Origin"]),
               ("Vary", "Origin")) if request.fields["Origin"] else ())))
        first = []
        for ask in asks:
            first.append(self.get(target, ask))
            self.assertIn("; stored", first[-1].cache_status)
            wait_until(lambda a=ask: "; hit" in self.get(
                target, a).cache_status, what="it is stored")
        self.assertEqual(len({f.body for f in first}), 4)
        for ask, of in zip(asks, first):
            got = self.get(target, ask)
            self.assert_hit(got, of)
            self.assertEqual(got.fields["Access-Control-Allow-Origin"],
                             ask.get("Origin"))
        self.assert_asked(target, 4)

    def test_as_many_as_can_be_leave_room_for_those_that_the_api_names(self):
        target = self.target("/full")
        self.says(("Vary", "S, T, U, V, W, X, Y, Z"))
        first = self.get(target, {"Z": "1"})
        self.assertIn("; stored", first.cache_status)
        wait_until(lambda: "; hit" in self.get(target, {"Z": "1"}).cache_status,
                   what="it is stored")
        self.assertNotEqual(self.get(target, {"Z": "2"}).body, first.body)

    def test_they_are_named_to_whoever_is_answered(self):
        for said, want in (((), ["origin, accept"]),
                           ((("Vary", "ORIGIN, X-Foo"),),
                            ["ORIGIN, X-Foo", "accept"]),
                           ((("Vary", "Accept"), ("Vary", "Origin")),
                            ["Accept", "Origin"]),
                           ((cache_control("no-store"),), ["origin, accept"]),
                           ((("Vary", "*"),), ["*"])):
            with self.subTest(said=said):
                target = self.target()
                self.says(*said, ("ETag", '"v1"'))
                for _ in range(2):
                    got = self.get(target)
                    self.assertEqual(got.fields.all("Vary"), want)
                    if "stored" in got.cache_status:
                        wait_until(lambda t=target: self.keys(t))
        target = self.target()
        self.fill(target, ("ETag", '"v1"'))
        got = self.get(target, {"If-None-Match": '"v1"'})
        self.assertEqual(got.status, 304)
        self.assertEqual(got.fields.all("Vary"), ["origin, accept"])
        got = self.get(target, {"Range": "bytes=0-3"})
        self.assertEqual(got.fields.all("Vary"), ["origin, accept"])


class Waiting(CachingTest):
    """Who comes while the answer is fetched."""

    routes = ('route "/c/*" { ttl = 60s }\n'
              'route "/by-cookie/*" { ttl = 60s  cookie = key }\n'
              'route "/keep/*" { ttl = 0  keep = 10m }\n')

    def setUp(self):
        super().setUp()
        self.steps = Steps()
        self.addCleanup(self.steps.go, "end")

    def varies(self, request, n):
        self.steps.wait("end")
        foo = request.fields["X-Foo"] or "none"
        return Said(FRESH, ("Vary", "X-Foo"), body=f"{foo} {n}".encode())

    def ask_all(self, target, foos):
        """All at once, before the first has its answer."""
        def ask(i):
            if i == len(foos):
                self.wait_asked(target, 1)
                self.daemon.wait_metric("nearside_connections", len(foos))
                self.steps.go("end")
                return None
            return self.get(target, {"X-Foo": foos[i]})

        return together(len(foos) + 1, ask)[:-1]

    def test_each_waiter_gets_its_own_variant(self):
        target = self.target()
        self.says(self.varies)
        foos = ["a", "b", "c"] * 5
        for foo, got in zip(foos, self.ask_all(target, foos)):
            self.assertEqual(got.status, 200)
            self.assertEqual(got.body.split()[0].decode(), foo)

    def leaders_that_left(self, target):
        """Their clients have gone when an answer comes that varies."""
        self.says(self.varies)
        for n in range(6):
            client = self.daemon.connect()
            client.request("GET", f"{target}/{n}", {"X-Foo": "gone"})
            self.wait_asked(f"{target}/{n}", 1)
            client.reset()
        wait_until(lambda: self.daemon.metric("nearside_connections") == 0,
                   what="they are gone")
        self.steps.go("end")
        for n in range(6):
            wait_until(lambda t=f"{target}/{n}": self.keys(t),
                       what="it is stored all the same")

    def test_a_leader_that_has_left_leaves_nothing_to_the_next(self):
        """Requests are used again; what was chosen for one is not another's."""
        total, before = "nearside_connections_total", 0
        self.leaders_that_left(self.target())

        def slow(request, n):
            del n
            if len(self.asked(request.target)) == 1:
                # The others have come, to wait for it.
                self.daemon.wait_metric(total, before + 6)
            return Said(FRESH, ("Vary", "X-Foo"),
                        body=str([request.fields[name] for name in
                                  ("X-Foo", "Cookie")]).encode())

        self.says(slow)
        for base, name in (("/c", "X-Foo"), ("/by-cookie", "Cookie")):
            for _ in range(4):
                target = self.target(base)
                before = self.daemon.metric(total)
                got = together(6, lambda n, t=target, f=name: self.get(
                    t, {f: f"user={n}"}))
                for n, one in enumerate(got):
                    self.assertIn(f"user={n}", one.body.decode())

    def test_nor_does_one_that_has_been_answered_with_what_is_stale(self):
        for _ in range(6):
            target = self.target("/keep")
            self.says(cache_control("max-age=9, stale-while-revalidate=60"),
                      ("Age", "9"))
            self.get(target)
            self.wait_stored(target)
            self.says(FRESH, ("Vary", "X-Foo"))
            self.get(target, {"X-Foo": "first"})
            wait_until(lambda t=target: len(self.keys(t)) > 1,
                       what="it is renewed, and varies")
        self.test_a_leader_that_has_left_leaves_nothing_to_the_next()

    def grown(self, status, fields):
        """A stale response that varies by X-Foo, if at all, is renewed by one
        that varies by X-Bar too; two that differ there wait for it."""
        target = self.target("/keep")
        self.says(*STALE, ("ETag", '"v1"'), *fields)
        self.get(target, {"X-Foo": "a"})
        wait_until(lambda: self.keys(target), what="it is stored")

        def grows(request, n):
            del n
            is_first = len(self.asked(target)) == 2
            if is_first:
                self.steps.wait(target)
            return Said(FRESH, ("ETag", '"v1"'), ("Vary", "X-Foo, X-Bar"),
                        status=status if is_first else "200 OK",
                        body=f"bar {request.fields['X-Bar']}".encode())

        self.says(grows)
        clients = []
        for bar in "xy":
            client = self.use(self.daemon.connect())
            client.request("GET", target, {"X-Foo": "a", "X-Bar": bar})
            clients.append(client)
            self.wait_asked(target, 2)
        # Nothing outside tells that the second waits for the first; one that
        # came later would get the same, but by another way.
        time.sleep(0.2)
        self.steps.go(target)
        return [client.read_response() for client in clients]

    def test_what_varies_by_more_now_is_for_who_asked_first(self):
        for fields in ((), (("Vary", "X-Foo"),)):
            with self.subTest(fields=fields):
                first, second = self.grown("200 OK", fields)
                self.assertEqual(first.body, b"bar x")
                self.assertEqual(second.body, b"bar y")
                first, second = self.grown("304 Same", fields)
                self.assertIn(b"body", first.body)
                self.assertEqual(second.body, b"bar y")

    def test_one_fetch_a_variant_once_that_is_known(self):
        target = self.target()
        self.steps.go("end")
        self.says(self.varies)
        self.fill(target, request={"X-Foo": "z"})
        self.steps = Steps()
        self.addCleanup(self.steps.go, "end")
        foos = ["a", "b"] * 6
        for foo, got in zip(foos, self.ask_all(target, foos)):
            self.assertEqual(got.body.split()[0].decode(), foo)
        self.assert_asked(target, 3)

    def test_a_write_comes_before_what_was_fetched_of_a_variant(self):
        target = self.target()
        self.steps.go("end")
        self.says(self.varies)
        self.fill(target, request={"X-Foo": "z"})
        steps = Steps()
        self.addCleanup(steps.go, "end")

        def slow(request, n):
            if request.method == "GET":
                steps.wait("end")
            return Said(FRESH, ("Vary", "X-Foo"), body=b"%d" % n)

        self.says(slow)
        with self.daemon.connect() as client:
            client.request("GET", target, {"X-Foo": "a"})
            self.wait_asked(target, 2)
            self.get(target, method="PUT", body=b"x")
            steps.go("end")
            old = client.read_response()
        fresh = self.get(target, {"X-Foo": "a"})
        self.assert_not_hit(fresh)
        self.assertNotEqual(fresh.body, old.body)
        wait_until(lambda: "; hit" in self.get(
            target, {"X-Foo": "a"}).cache_status, what="it is stored")
        self.assert_hit(self.get(target, {"X-Foo": "a"}), fresh)

    def test_a_variant_of_a_record_that_is_gone_is_not_stored(self):
        """Nor one of a record that another has replaced meanwhile."""
        for replaced in (False, True):
            with self.subTest(replaced=replaced):
                target = self.target()
                steps = Steps()
                self.addCleanup(steps.go, "end")

                def slow(request, n, steps=steps):
                    if request.fields["X-Foo"] == "slow":
                        steps.wait("end")
                    return Said(FRESH, ("Vary", "X-Foo"), body=b"%d" % n)

                self.says(slow)
                self.fill(target, request={"X-Foo": "z"})
                fenced = self.daemon.metric("nearside_stores_fenced_total")
                with self.daemon.connect() as client:
                    client.request("GET", target, {"X-Foo": "slow"})
                    self.wait_asked(target, 2)
                    self.get(target, method="PUT", body=b"x")
                    if replaced:
                        self.fill(target, request={"X-Foo": "z"})
                    before = sorted(self.keys(target))
                    steps.go("end")
                    client.read_response()
                self.daemon.wait_metric(
                    "nearside_stores_fenced_total", fenced + 1)
                self.assertEqual(sorted(self.keys(target)), before)


class TwoDaemons(FlowTest):
    """On a cluster: record and variants are one slot's, and everybody's."""

    def test_variants_are_shared(self):
        cluster = self.use(RedisCluster(primaries=3, replicas=0))
        origin = self.use(ScriptedOrigin(lambda c, r, n: answer(
            c, b"%s %d" % ((r.fields["X-Foo"] or "").encode(), n),
            [FRESH, ("Vary", "X-Foo")])))
        text = conf(origin.url, 'route "/c/*" { ttl = 60s }\n', more=(
            f"redis {{ mode = cluster  seeds = {{ {cluster.seeds} }}"
            "  command_timeout = 2s  hang = 4s }\n"))
        one, two = (self.use(Nearside(text, name=name))
                    for name in ("one", "two"))
        for i in range(6):
            target = f"/c/{i}"
            first = {foo: daemon.get(target, fields={"X-Foo": foo})
                     for foo, daemon in (("a", one), ("b", two), ("c", one))}
            for foo, of in first.items():
                for daemon in (two, one):
                    wait_until(lambda d=daemon, f=foo: "; hit" in d.get(
                        target, fields={"X-Foo": f}).cache_status)
            again = {foo: one.get(target, fields={"X-Foo": foo})
                     for foo in first}
            for foo, got in again.items():
                self.assertRegex(got.cache_status, HIT)
                self.assertEqual(
                    two.get(target, fields={"X-Foo": foo}).body, got.body)
            two.get(target, method="DELETE")
            for daemon in (one, two):
                for foo, old in again.items():
                    def is_new(d=daemon, f=foo, o=old):
                        return d.get(target, fields={"X-Foo": f}).body != o.body
                    if os.environ.get("NEARSIDE_TIER") == "both":
                        # Memory is told of it by Redis, a moment later.
                        wait_until(is_new, what="the deletion is seen")
                    else:
                        self.assertTrue(is_new())


if __name__ == "__main__":
    unittest.main()
