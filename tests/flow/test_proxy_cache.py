"""Cache-aside on one Redis: what is stored, under which key, for how long,
who may have it, and what a write or a broken value does to it."""

import re
import time
import unittest

from lib import (FlowTest, Nearside, RedisServer, ScriptedOrigin, wait_until)
from lib.clock import Clock
from lib.scripted import Steps, answer, conf, together

KEPT = 'route "/kept/*" { ttl = 60s }\n'
MISS = "nearside; fwd=uri-miss; stored"
VARY_MISS = "nearside; fwd=vary-miss; stored"
HIT = re.compile(r"nearside; hit; ttl=(\d+); detail=shared\Z")


class Cache(FlowTest):
    routes = KEPT
    more = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.redis = cls.use_in_class(RedisServer())
        cls.fields = {}
        cls.status = "200 OK"
        cls.count = 0
        cls.origin = cls.use_in_class(ScriptedOrigin(
            lambda c, r, n: cls.respond(c, r, n)))
        cls.daemon = cls.use_in_class(Nearside(conf(
            cls.origin.url, cls.routes, "", cls.redis, cls.more)))

    @classmethod
    def respond(cls, connection, request, n):
        """A body that differs every time: what repeats it was stored."""
        fields = cls.fields
        body = b"" if request.method == "HEAD" else b"body %06d" % n
        return answer(connection, body, fields, cls.status, 11)

    def setUp(self):
        self.says()

    def says(self, *fields, status="200 OK"):
        type(self).fields = fields
        type(self).status = status

    def target(self, base="/kept"):
        type(self).count += 1
        return f"{base}/{self.count}"

    def key(self, target, host="test"):
        return f"ns:e:{{http://{host}{target}}}"

    def wait_stored(self, target, host="test"):
        return wait_until(lambda: self.redis("GET", self.key(target, host)),
                          what=f"{target} is in Redis", every=0.002)

    def get(self, target, fields=None, **more):
        return self.daemon.get(target, fields=fields, **more)

    def assert_hit(self, got, of=None):
        self.assertRegex(got.cache_status, HIT)
        if of is not None:
            self.assertEqual(got.body, of.body)

    def assert_counts_from(self, start, got, age, ttl, spread=0):
        """Age began at `age` and the time left at `ttl`, less up to
        `spread`, when `start` had passed; seconds are cut off at both ends,
        and the time on the way to the origin counts."""
        passed = int(time.monotonic() - start) + 2
        self.assertIn(int(got.fields["Age"]), range(age, age + passed + 1))
        left = int(HIT.match(got.cache_status)[1])
        self.assertIn(left, range(ttl - spread - passed, ttl + 1))

    def assert_not_hit(self, got, of=None):
        self.assertNotIn("; hit", got.cache_status)
        if of is not None:
            self.assertNotEqual(got.body, of.body)

    def fill(self, target, **more):
        got = self.get(target, **more)
        self.assertEqual(got.cache_status, MISS)
        self.wait_stored(target, more.get("host", "test"))
        return got


class MissAndHit(Cache):
    routes = (KEPT + 'route "/none/*" { ttl = 0 }\n'
              'route "/pass/*" { read = pass }\n')

    def test_a_miss_is_stored_and_then_a_hit(self):
        target = self.target()
        start = time.monotonic()
        first = self.fill(target)
        self.assertNotIn("Age", first.fields)
        second = self.get(target)
        self.assert_hit(second, first)
        self.assertEqual(second.fields["Date"], first.fields["Date"])
        self.assertEqual(second.fields["Content-Length"], "11")
        self.assertEqual(second.fields.all("Via"), ["1.1 nearside"])
        self.assert_counts_from(start, second, 0, 60, 6)  # jitter: 10 %

    def test_the_origins_own_freshness_counts_more_than_ttl(self):
        self.says(("Cache-Control", "max-age=1000"), ("Age", "400"))
        target = self.target()
        start = time.monotonic()
        self.fill(target)
        self.assert_counts_from(start, self.get(target), 400, 600)

    def test_s_maxage_counts_more_than_max_age(self):
        self.says(("Cache-Control", "max-age=10, s-maxage=500"))
        target = self.target()
        start = time.monotonic()
        self.fill(target)
        self.assert_counts_from(start, self.get(target), 0, 500)

    def test_expires_counts_where_no_cache_control_stands(self):
        now = time.time()
        start = time.monotonic()
        stamp = lambda t: time.strftime(
            "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(t))
        self.says(("Date", stamp(now)), ("Expires", stamp(now + 100)))
        target = self.target()
        self.fill(target)
        self.assert_counts_from(start, self.get(target), 0, 100)

    def test_what_has_expired_is_fetched_anew(self):
        """On a busy machine its second may be over before anybody asks for
        it again. So it need not be seen; but while it is there, it answers,
        and no longer."""
        self.says(("Cache-Control", "max-age=1"))
        target = self.target()
        first = self.get(target)

        def is_over():
            asked = time.monotonic()
            got = self.get(target)
            if "; hit" not in got.cache_status:
                return got
            self.assertEqual(got.body, first.body)
            self.assertLess(asked, answered + 1.5)
            return None

        answered = time.monotonic()
        got = wait_until(is_over, what="its second has passed")
        self.assertNotEqual(got.body, first.body)
        self.assertIn("; fwd=", got.cache_status)

    def test_head_is_answered_from_an_entry(self):
        target = self.target()
        first = self.fill(target)
        before = len(self.origin.requests)
        got = self.get(target, method="HEAD")
        self.assert_hit(got)
        self.assertEqual(got.body, b"")
        self.assertEqual(got.fields["Content-Length"],
                         str(len(first.body)))
        self.assertEqual(len(self.origin.requests), before)

    def test_head_that_misses_passes_as_head_and_stores_nothing(self):
        target = self.target()
        got = self.get(target, method="HEAD")
        self.assertEqual(got.status, 200)
        self.assertEqual(self.origin.requests[-1].method, "HEAD")
        self.assert_not_hit(self.get(target))

    def test_if_none_match_is_answered_with_304(self):
        self.says(("ETag", '"v1"'), ("Cache-Control", "max-age=60"),
                  ("X-Big", "1"))
        target = self.target()
        self.fill(target)
        for tags in ('"v1"', 'W/"v1"', '"v0", "v1"', "*"):
            got = self.get(target, {"If-None-Match": tags})
            self.assertEqual((got.status, got.body), (304, b""))
            self.assertEqual(got.fields["ETag"], '"v1"')
            self.assertNotIn("X-Big", got.fields)
        for tags in ('"v2"', "v1"):
            self.assertEqual(
                self.get(target, {"If-None-Match": tags}).status, 200)

    def test_a_condition_that_misses_still_fills_the_cache(self):
        """The origin is asked for all of it: a 304 could not be stored."""
        self.says(("ETag", '"v1"'))
        target = self.target()
        got = self.get(target, {"If-None-Match": '"v1"'})
        self.assertEqual(got.cache_status, MISS)
        self.assertNotIn("If-None-Match", self.origin.requests[-1].fields)
        self.wait_stored(target)
        self.assert_hit(self.get(target))

    def test_only_if_cached_never_asks_the_origin(self):
        target = self.target()
        before = len(self.origin.requests)
        only = {"Cache-Control": "only-if-cached"}
        got = self.get(target, only)
        self.assertEqual(got.status, 504)
        self.assertEqual(len(self.origin.requests), before)
        first = self.fill(target)
        self.assert_hit(self.get(target, only), first)

    def test_a_range_that_misses_passes_unchanged(self):
        target = self.target()
        got = self.get(target, {"Range": "bytes=0-3"})
        self.assertEqual(got.cache_status,
                         "nearside; fwd=uri-miss")
        self.assertEqual(self.origin.requests[-1].fields["Range"],
                         "bytes=0-3")

    def test_get_with_a_body_passes(self):
        target = self.target()
        first = self.fill(target)
        got = self.get(target, method="GET", body=b"fat")
        self.assertEqual(got.cache_status,
                         "nearside; fwd=bypass; detail=body")
        self.assertNotEqual(got.body, first.body)
        self.assertEqual(self.origin.requests[-1].body, b"fat")

    def test_an_ambiguous_target_passes(self):
        for target in ("/kept/a%2fb", "/kept/a%5Cb", "/kept/%2e%2e/x"):
            for _ in range(2):
                got = self.get(target)
                self.assertEqual(got.cache_status,
                                 "nearside; fwd=bypass; detail=target")
            self.assertEqual(self.origin.requests[-1].target, target)

    def test_what_no_route_matches_passes(self):
        for _ in range(2):
            self.assertEqual(self.get("/other").cache_status,
                             "nearside; fwd=bypass; detail=route")

    def test_a_route_that_passes_passes(self):
        for _ in range(2):
            self.assertEqual(self.get("/pass/1").cache_status,
                             "nearside; fwd=bypass; detail=route")

    def test_without_ttl_only_stated_freshness_is_kept(self):
        target = self.target("/none")
        self.assert_not_hit(self.get(target))
        self.assert_not_hit(self.get(target))
        self.says(("Cache-Control", "max-age=60"))
        target = self.target("/none")
        self.fill(target)
        self.assert_hit(self.get(target))

    def test_an_entry_has_a_ttl_in_redis_and_its_lease_is_gone(self):
        target = self.target()
        self.fill(target)
        self.assertTrue(0 < self.redis("PTTL", self.key(target)) <= 60000)
        self.assertEqual(self.redis("EXISTS", "ns:l:" + self.key(target)[5:]),
                         0)

    def test_bytes_of_any_kind_come_back_from_redis(self):
        body = bytes(range(256)) * 5000
        original = self.respond
        self.addCleanup(setattr, type(self), "respond", original)
        type(self).respond = staticmethod(
            lambda c, r, n: answer(c, body, [("X-Obs", "caf\xe9")]))
        target = self.target()
        self.fill(target)
        got = self.get(target)
        self.assert_hit(got)
        self.assertEqual(got.body, body)
        self.assertEqual(got.fields["X-Obs"], "caf\xe9")


class Storable(Cache):
    def assert_kept(self, is_kept, *fields, request=None, status="200 OK",
                    why=None):
        self.says(*fields, status=status)
        target = self.target()
        first = self.get(target, request)
        second = self.get(target, request)
        if is_kept:
            self.assertEqual(first.cache_status, MISS)
            self.wait_stored(target)
            second = self.get(target, request)
            self.assert_hit(second, first)
        else:
            self.assert_not_hit(second, first)
            self.assertNotIn("stored", first.cache_status)
            if why is not None:
                self.assertIn(f"detail={why}", first.cache_status)

    def test_cache_control_of_a_response(self):
        for value, is_kept in (
                ("no-store", False), ("private", False), ("no-cache", False),
                ('private="x-a"', False), ('no-cache="x-a"', False),
                ("max-age=0", False), ("s-maxage=0, max-age=60", False),
                ("max-age=60, no-store", False), ("max-age=x", False),
                ("max-age=60, max-age=0", False), ("NO-STORE", False),
                ("max-age=60", True), ("public", True), ("max-age=60,", True),
                ('max-age="60"', True), ("x-unknown, max-age=60", True)):
            with self.subTest(value=value):
                self.assert_kept(is_kept, ("Cache-Control", value))

    def test_two_cache_control_lines_are_one_list(self):
        self.assert_kept(False, ("Cache-Control", "max-age=60"),
                         ("Cache-Control", "no-store"))

    def test_an_expires_that_is_no_date_has_passed(self):
        self.assert_kept(False, ("Expires", "0"))
        self.assert_kept(False, ("Expires", "-1"))

    def test_set_cookie_is_not_stored(self):
        self.assert_kept(False, ("Set-Cookie", "a=1"), why="set-cookie")
        self.assert_kept(False, ("Set-Cookie", "a=1"),
                         ("Cache-Control", "public, max-age=60"))

    def test_vary_is_never_mixed_up(self):
        for value in ("*", "Cookie", "User-Agent", "Accept, *"):
            with self.subTest(value=value):
                self.assert_kept(False, ("Vary", value),
                                 ("Cache-Control", "max-age=60"))
        self.says(("Vary", "X-Foo"), ("Cache-Control", "max-age=60"))
        target = self.target()
        bodies = {}
        for foo in ("a", "b", None, "a", "b", None):
            body = self.get(target, {"X-Foo": foo} if foo else None).body
            bodies.setdefault(foo, set()).add(body)
        for foo, other in (("a", "b"), ("a", None), ("b", None)):
            self.assertEqual(bodies[foo] & bodies[other], set())

    def test_statuses(self):
        fresh = ("Cache-Control", "max-age=60")
        for status, with_ttl, stated in (
                ("200 OK", True, True), ("404 Not Found", False, True),
                ("410 Gone", False, True), ("301 Moved", True, True),
                ("308 Moved", True, True), ("302 Found", False, False),
                ("500 Oops", False, False), ("503 Busy", False, False),
                ("400 Bad", False, False), ("206 Part", False, False),
                ("414 Long", False, False), ("501 No", False, False)):
            with self.subTest(status=status):
                self.assert_kept(with_ttl, status=status)
                self.assert_kept(stated, fresh, status=status)

    def test_content_range_is_never_stored(self):
        self.assert_kept(False, ("Content-Range", "bytes 0-10/20"))

    def test_a_cookie_gets_only_what_is_marked_shareable(self):
        cookie = {"Cookie": "a=1"}
        self.assert_kept(False, request=cookie, why="cookie")
        self.assert_kept(False, ("Cache-Control", "max-age=60"),
                         request=cookie, why="cookie")
        self.assert_kept(True, ("Cache-Control", "public, max-age=60"),
                         request=cookie)
        self.assert_kept(True, ("Cache-Control", "s-maxage=60"),
                         request=cookie)

    def test_authorization_gets_only_what_is_marked_shareable(self):
        basic = {"Authorization": "Basic eDp5"}
        self.assert_kept(False, request=basic, why="authorization")
        self.assert_kept(False, ("Cache-Control", "max-age=60"),
                         request=basic, why="authorization")
        self.assert_kept(True, ("Cache-Control", "public, max-age=60"),
                         request=basic)

    def test_other_credentials_count_as_such(self):
        for name in ("X-Api-Key", "Api-Key", "X-Auth-Token",
                     "X-Access-Token"):
            self.assert_kept(False, request={name: "secret"},
                             why="credential")

    def test_an_entry_of_all_is_not_for_a_cookie_unless_marked(self):
        self.says(("Cache-Control", "max-age=60"))
        target = self.target()
        first = self.fill(target)
        got = self.get(target, {"Cookie": "a=1"})
        self.assert_not_hit(got, first)
        self.assertIn("detail=cookie", got.cache_status)
        self.assert_hit(self.get(target), first)

    def test_what_a_cookie_was_answered_is_nobody_elses(self):
        target = self.target()
        mine = self.get(target, {"Cookie": "a=1"})
        for _ in range(2):
            self.assertNotEqual(self.get(target).body, mine.body)

    def test_a_request_with_a_cookie_does_not_stop_others_from_caching(self):
        """Its "not stored" is about the request, not about the target."""
        target = self.target()
        self.get(target, {"Cookie": "a=1"})
        first = self.fill(target)
        self.assert_hit(self.get(target), first)

    def test_unstorable_is_remembered_and_not_for_long_waited_for(self):
        self.says(("Cache-Control", "no-store"))
        target = self.target()
        got = [self.get(target) for _ in range(3)]
        self.assertEqual(len({g.body for g in got}), 3)
        self.assertIn("detail=no-store", got[0].cache_status)


class RouteOptions(Cache):
    routes = """
        route "/q-none/*" { query = none }
        route "/q-list/*" { query = { "a", "b" } }
        route "/c-bypass/*" { cookie = bypass }
        route "/c-ignore/*" { cookie = ignore }
        route "/c-key/*" { cookie = key  authorization = key }
        route "/a-ignore/*" { authorization = ignore }
        route "/ignore/*" {
            query = none  cookie = ignore  authorization = ignore }
        route "PUT /own/*" { cookie = auto }
        route "/own/*" { query = none  cookie = ignore  authorization = ignore }
        route "GET /reads/*" {
            query = none  cookie = ignore  authorization = ignore }
        route "/strip/*" { set_cookie = strip }
        route "/store/*" { set_cookie = store }
        route "/min/*" { ttl_min = 100s }
        route "/max/*" { ttl_max = 50s }
        route "/force/*" { ttl = 70s  ttl_force = on  ttl_jitter = 0% }
        route "/methods/*" { methods = { "GET", "HEAD" } }
        route "shop.example/kept/*" { ttl = 60s }
        route "/deep/:a/x/:b" { ttl = 60s }
        """ + KEPT
    more = 'hosts = { "test", "shop.example" }'

    def test_the_query_is_keyed_byte_by_byte(self):
        base = self.target()
        self.fill(base + "?a=1&b=2")
        for other in ("?b=2&a=1", "?a=1", "", "?", "?A=1&b=2", "?a=1&b=2&"):
            self.assert_not_hit(self.get(base + other))

    def test_query_none_leaves_key_and_request(self):
        target = self.target("/q-none")
        self.fill_as(target + "?a=1", target)
        self.assertEqual(self.origin.requests[-1].target, target)
        self.assert_hit(self.get(target + "?x=y"))
        self.assert_hit(self.get(target))

    def test_a_write_is_sent_as_it_came(self):
        """Whatever the route leaves out of what its readers are sent; and it
        deletes what they read."""
        fields = {"Cookie": "a=1", "Authorization": "Basic eDp5"}
        for base in ("/ignore", "/own", "/reads"):
            for method in ("PUT", "POST", "DELETE", "BREW"):
                with self.subTest(base=base, method=method):
                    target = self.target(base)
                    self.fill_as(target + "?x=1", target)
                    asked = self.origin.requests[-1]
                    self.assertEqual(asked.target, target)
                    self.get(target + "?force=1", fields, method=method,
                             body=b"x")
                    asked = self.origin.requests[-1]
                    self.assertEqual((asked.method, asked.target),
                                     (method, target + "?force=1"))
                    for name, value in fields.items():
                        self.assertEqual(asked.fields[name], value)
                    self.assertIsNone(self.redis("GET", self.key(target)))

    def fill_as(self, target, stored, **more):
        got = self.get(target, **more)
        self.assertEqual(got.cache_status, MISS)
        self.wait_stored(stored)
        return got

    def test_query_list_keeps_what_is_named(self):
        target = self.target("/q-list")
        self.fill_as(target + "?x=0&b=2&y&a=1", target + "?b=2&a=1")
        self.assertEqual(self.origin.requests[-1].target,
                         target + "?b=2&a=1")
        self.assert_hit(self.get(target + "?b=2&z=9&a=1"))
        self.assert_not_hit(self.get(target + "?a=1&b=2"))

    def test_cookie_bypass(self):
        target = self.target("/c-bypass")
        self.says(("Cache-Control", "public, max-age=60"))
        self.fill(target)
        got = self.get(target, {"Cookie": "a=1"})
        self.assertEqual(got.cache_status,
                         "nearside; fwd=bypass; detail=cookie")

    def test_cookie_ignore_neither_keys_nor_forwards(self):
        target = self.target("/c-ignore")
        first = self.fill(target, fields={"Cookie": "a=1"})
        self.assertNotIn("Cookie", self.origin.requests[-1].fields)
        self.assert_hit(self.get(target), first)
        self.assert_hit(self.get(target, {"Cookie": "b=2"}), first)

    def test_authorization_ignore_neither_keys_nor_forwards(self):
        target = self.target("/a-ignore")
        first = self.fill(target, fields={"Authorization": "Basic eDp5"})
        self.assertNotIn("Authorization", self.origin.requests[-1].fields)
        self.assert_hit(self.get(target), first)

    def test_cookie_and_authorization_key_keep_users_apart(self):
        target = self.target("/c-key")
        users = [None, {"Cookie": "u=1"}, {"Cookie": "u=2"},
                 {"Authorization": "Basic eDp5"},
                 {"Cookie": "u=1", "Authorization": "Basic eDp5"}]
        bodies = []
        for user in users:
            got = self.get(target, user)
            self.assertIn(got.cache_status, (MISS, VARY_MISS))
            bodies.append(got.body)
            # A record, and each user's.
            wait_until(lambda n=len(bodies) + 1: len(self.keys(target)) == n,
                       what="it is stored")
        self.assertEqual(len(set(bodies)), len(users))
        for user, body in zip(users, bodies):
            got = self.get(target, user)
            self.assert_hit(got)
            self.assertEqual(got.body, body)
        for key in self.redis("KEYS", "ns:e:*"):
            self.assertNotIn(b"u=1", key)  # no credential in a key

    def keys(self, target):
        return self.redis("KEYS", f"ns:e:*{target}}}*")

    def test_a_write_by_one_is_news_to_all_whose_credentials_are_keyed(self):
        users = [None, {"Cookie": "u=1"}, {"Cookie": "u=2"}]
        for writer in users + [{"Cookie": "u=3"}]:
            with self.subTest(writer=writer):
                target = self.target("/c-key")
                had = []
                for user in users:
                    had.append(self.get(target, user))
                    wait_until(lambda t=target, u=user: "; hit" in
                               self.get(t, u).cache_status, what="a hit")
                self.get(target, writer, method="PUT", body=b"x")
                for user, got in zip(users, had):
                    self.assert_not_hit(self.get(target, user), got)

    def test_keyed_users_who_come_together_get_each_their_own(self):
        """Not even in one flight: each gets what is its own."""
        target = self.target("/c-key")
        users = [{"Cookie": f"u={n}"} for n in range(8)]
        got = together(8, lambda n: self.get(target, users[n]))
        self.assertEqual(len({g.body for g in got}), len(users))

    def test_what_was_stored_before_credentials_were_keyed_is_for_nobody(self):
        before = self.use(Nearside(conf(
            self.origin.url, 'route "/c-key/*" { ttl = 60s }', "", self.redis),
            name="before"))
        for ask in ({}, {"method": "HEAD"}, {"fields": {"Range": "bytes=0-"}},
                    {"fields": {"Cookie": "u=1"}}):
            with self.subTest(ask=ask):
                target = self.target("/c-key")
                before.get(target)
                self.wait_stored(target)
                self.assertIn("fwd=",
                              self.daemon.get(target, **ask).cache_status)

    def test_set_cookie_strip_and_store(self):
        self.says(("Set-Cookie", "a=1"), ("Cache-Control", "max-age=60"))
        target = self.target("/strip")
        first = self.fill(target)
        self.assertNotIn("Set-Cookie", first.fields)
        second = self.get(target)
        self.assert_hit(second, first)
        self.assertNotIn("Set-Cookie", second.fields)
        target = self.target("/store")
        self.fill(target)
        second = self.get(target)
        self.assert_hit(second)
        self.assertEqual(second.fields["Set-Cookie"], "a=1")

    def test_bounds_of_freshness(self):
        for base, said, low, high in (
                ("/min", "max-age=5", 98, 100), ("/max", "max-age=500", 48, 50),
                ("/force", "max-age=5", 68, 70)):
            with self.subTest(base=base):
                self.says(("Cache-Control", said))
                target = self.target(base)
                self.fill(target)
                ttl = int(HIT.match(self.get(target).cache_status)[1])
                self.assertTrue(low <= ttl <= high, ttl)

    def test_a_method_that_is_not_let_through_is_405_with_allow(self):
        before = len(self.origin.requests)
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            got = self.get("/methods/1", method=method, body=b"x")
            self.assertEqual(got.status, 405)
            self.assertEqual(got.fields["Allow"], "GET, HEAD")
        self.assertEqual(len(self.origin.requests), before)
        self.assertEqual(self.get("/methods/1").status, 200)

    def test_a_host_that_is_not_served_is_421(self):
        before = len(self.origin.requests)
        for host in ("evil.example", "test.evil.example", "shop.example.evil",
                     "shop", "xshop.example:80"):
            got = self.get(self.target(), host=host)
            self.assertEqual(got.status, 421)
        self.assertEqual(len(self.origin.requests), before)

    def test_a_host_is_served_on_any_port_as_for_a_route(self):
        for host in ("shop.example", "SHOP.example:8080", "shop.example:443"):
            self.assertEqual(self.get(self.target(), host=host).status, 200)

    def test_hosts_do_not_share_and_their_spelling_does_not_matter(self):
        target = self.target()
        first = self.fill(target)
        other = self.fill(target, host="shop.example")
        self.assertNotEqual(first.body, other.body)
        for host in ("SHOP.example", "shop.example:80", "Shop.Example:80"):
            self.assert_hit(self.get(target, host=host), other)

    def test_segments_of_a_route_match_as_they_are_named(self):
        for target, is_ours in (("/deep/1/x/2", True), ("/deep/1/y/2", False),
                                ("/deep/1/x", False), ("/deep//x/2", False),
                                ("/deep/1/x/2/3", False)):
            with self.subTest(target=target):
                got = self.get(target)
                self.assertEqual("uri-miss" in got.cache_status, is_ours)


class Writes(Cache):
    routes = (KEPT + 'route "PUT /own/*" { write = invalidate }\n'
              'route "POST /own/*" { write = pass }\n'
              'route "/own/*" { ttl = 60s }\n')

    def test_a_write_deletes_the_entry_before_it_is_answered(self):
        for method in ("PUT", "POST", "PATCH", "DELETE", "BREW"):
            with self.subTest(method=method):
                target = self.target()
                first = self.fill(target)
                got = self.get(target, method=method, body=b"new")
                self.assertEqual(got.cache_status,
                                 "nearside; fwd=method")
                self.assertIsNone(self.redis("GET", self.key(target)))
                self.assert_not_hit(self.get(target), first)

    def test_safe_methods_delete_nothing(self):
        target = self.target()
        first = self.fill(target)
        for method in ("OPTIONS", "HEAD"):
            self.get(target, method=method)
        self.assert_hit(self.get(target), first)

    def test_a_write_that_fails_deletes_nothing(self):
        target = self.target()
        first = self.fill(target)
        self.says(status="409 Conflict")
        self.assertEqual(self.get(target, method="PUT", body=b"x").status,
                         409)
        self.assert_hit(self.get(target), first)

    def test_a_route_of_the_method_invalidates_what_readers_use(self):
        target = self.target("/own")
        first = self.fill(target)
        self.get(target, method="PUT", body=b"x")
        self.assert_not_hit(self.get(target), first)

    def test_write_pass_deletes_nothing(self):
        target = self.target("/own")
        first = self.fill(target)
        self.get(target, method="POST", body=b"x")
        self.assert_hit(self.get(target), first)

    def test_a_write_to_one_target_leaves_the_others(self):
        one, two = self.target(), self.target()
        self.fill(one)
        other, query = self.fill(two), self.fill(one + "?lang=de")
        self.get(one, method="DELETE")
        self.assert_hit(self.get(two), other)
        self.assert_hit(self.get(one + "?lang=de"), query)

    def test_a_write_whose_client_left_still_deletes(self):
        """The origin may have done it: nobody will be told, but readers
        must not go on seeing what was before."""
        steps = Steps()
        self.addCleanup(steps.go, "end")
        target = self.target()
        first = self.fill(target)
        original = self.respond
        self.addCleanup(setattr, type(self), "respond", original)

        def respond(connection, request, n):
            if request.method == "PUT":
                steps.go("came")
                steps.wait("end")
            return original(connection, request, n)

        type(self).respond = staticmethod(respond)
        client = self.daemon.connect()
        client.request("PUT", target, body=b"x")
        steps.wait("came")
        client.reset()
        wait_until(lambda: self.redis("GET", self.key(target)) is None,
                   what="the entry is deleted")
        self.assert_not_hit(self.get(target), first)

    def test_a_write_whose_answer_was_lost_still_deletes(self):
        target = self.target()
        first = self.fill(target)
        original = self.respond
        self.addCleanup(setattr, type(self), "respond", original)
        type(self).respond = staticmethod(
            lambda c, r, n: r.method != "PUT" and original(c, r, n))
        self.assertEqual(self.get(target, method="PUT", body=b"x").status,
                         502)
        self.assertIsNone(self.redis("GET", self.key(target)))
        self.assert_not_hit(self.get(target), first)


class Races(FlowTest):
    """A fetch that began before a write must not store after it."""

    def setUp(self):
        self.steps = Steps()
        self.addCleanup(self.steps.go, "read", "written")
        self.value = b"old"
        self.redis = self.use(RedisServer())

        def script(connection, request, n):
            value = self.value
            if request.method == "PUT":
                self.value = b"new"
            elif n == 0:
                self.steps.go("came")
                if request.target == "/kept/half":
                    connection.send(b"HTTP/1.1 200 OK\r\nX-N: 0\r\n"
                                    b"Content-Length: 3\r\n\r\n")
                    self.steps.wait("read")
                    connection.send(value)
                    return True
                self.steps.wait("read")
            return answer(connection, value, [
                ("Cache-Control", "max-age=60"), ("X-N", n)])

        self.origin = self.use(ScriptedOrigin(script))

    def start(self, env=None):
        return self.use(Nearside(conf(self.origin.url, KEPT, "", self.redis),
                                 env=env))

    def race(self, reader, writer):
        with reader.connect() as client:
            client.request("GET", "/kept/1")
            self.steps.wait("came")
            self.assertEqual(writer.get("/kept/1", method="PUT",
                                        body=b"new").status, 200)
            self.steps.go("read")
            self.assertEqual(client.read_response().body, b"old")
        # Whatever it still does in Redis is done when the daemon has ended.
        reader.stop()
        self.assertEqual(
            [k for k in self.redis("KEYS", "*")
             if b"old" in (self.redis("GET", k) or b"")], [])

    def test_in_one_daemon(self):
        daemon = self.start()
        self.race(daemon, daemon)
        again = self.start()
        self.assertEqual(again.get("/kept/1").body, b"new")

    def test_between_two_daemons(self):
        reader, writer = self.start(), self.start()
        self.race(reader, writer)
        self.assertEqual(writer.get("/kept/1").body, b"new")

    def test_who_asks_after_the_write_does_not_join_the_fetch_before(self):
        daemon = self.start()
        with daemon.connect() as client:
            client.request("GET", "/kept/1")
            self.steps.wait("came")
            daemon.get("/kept/1", method="PUT", body=b"new")
            got = daemon.get("/kept/1")
            self.assertEqual(got.body, b"new")
            self.assertLess(got.seconds, 2)  # nor wait for it and give up
            self.steps.go("read")
            self.assertEqual(client.read_response().body, b"old")
        self.assertEqual(daemon.get("/kept/1").body, b"new")

    def test_nobody_joins_a_fetch_whose_lease_another_daemon_ended(self):
        """A daemon looks at its lease twice a second. Once it has seen that
        the lease is gone, the fetch is for those alone who have joined."""
        reader, writer = self.start(), self.start()

        def asks_anew():
            late = self.use(reader.connect())
            late.request("GET", self.held)
            return (late.has_bytes(0.2)
                    and late.read_head().fields["X-N"] != "0")

        for self.held in ("/kept/1", "/kept/half"):
            with self.subTest(target=self.held):
                self.steps = Steps()
                self.origin.requests.clear()
                self.value = b"old"
                with reader.connect() as client:
                    client.request("GET", self.held)
                    self.steps.wait("came")
                    writer.get(self.held, method="PUT", body=b"new")
                    wait_until(asks_anew, what="one who comes asks anew")
                    self.steps.go("read")
                    self.assertEqual(client.read_response().body, b"old")
                self.assertEqual(reader.get(self.held).body, b"new")

    def test_who_comes_after_a_stop_does_not_join_a_fetch_before_it(self):
        """A daemon that was stopped has not seen that the lease is gone, and
        what the origin answered lies in its socket."""
        clock = self.use(Clock())
        reader, writer = self.start(clock.env), self.start()
        with reader.connect() as client, reader.connect() as late:
            client.request("GET", "/kept/1")
            self.steps.wait("came")
            reader.pause()
            writer.get("/kept/1", method="PUT", body=b"new")
            clock.move_on(3)
            late.request("GET", "/kept/1")
            self.steps.go("read")
            reader.resume()
            self.assertEqual(late.read_response().body, b"new")
            self.assertEqual(client.read_response().body, b"old")


class BrokenValues(Cache):
    def break_it(self, target, good, bad, **more):
        """With `bad` in Redis: a miss, and what the origin says."""
        key = self.key(target)
        self.redis("SET", key, bad, "PX", 60000)
        before = len(self.origin.requests)
        got = self.get(target)
        self.assertEqual(got.status, 200)
        self.assertEqual(got.body, b"body %06d" % before)
        self.assert_not_hit(got)
        # The next may only be written when this one's store is over.
        wait_until(lambda: self.redis("GET", key) != bad,
                   what="it is replaced", every=0.001)

    def test_a_bit_flipped_anywhere_is_a_miss(self):
        target = self.target()
        self.fill(target)
        good = self.redis("GET", self.key(target))
        for at in range(len(good)):
            bad = bytearray(good)
            bad[at] ^= 1 << (at % 8)
            with self.subTest(at=at):
                self.break_it(target, good, bytes(bad))
        self.assertGreaterEqual(
            self.daemon.metric("nearside_values_bad_total"), len(good))

    def test_a_value_cut_anywhere_is_a_miss(self):
        target = self.target()
        self.fill(target)
        good = self.redis("GET", self.key(target))
        for at in range(0, len(good), 5):
            with self.subTest(at=at):
                self.break_it(target, good, good[:at])
        self.break_it(target, good, good + b"x")

    def test_a_foreign_value_is_a_miss(self):
        target = self.target()
        for value in (b"", b"hello", b'{"id":42}', b"\x00" * 500,
                      b"HTTP/1.1 200 OK\r\n\r\nhello"):
            self.break_it(target, None, value)

    def test_who_looks_for_himself_counts_it_too(self):
        """And gets what the origin says; what is there stays."""
        target = self.target()
        self.redis("SET", self.key(target), b"hello", "PX", 60000)
        for method, fields in (
                ("HEAD", {}), ("GET", {"Range": "bytes=0-3"}),
                ("HEAD", {"If-None-Match": '"a"'})):
            with self.subTest(method=method, fields=fields):
                before = self.daemon.metric("nearside_values_bad_total")
                got = self.get(target, fields, method=method)
                self.assertEqual(got.cache_status, "nearside; fwd=uri-miss")
                self.assertEqual(self.daemon.metric(
                    "nearside_values_bad_total"), before + 1)
        self.assertEqual(self.redis("GET", self.key(target)), b"hello")

    def test_a_value_of_another_type_is_answered_by_the_origin(self):
        target = self.target()
        self.redis("LPUSH", self.key(target), "x")
        got = [self.get(target) for _ in range(2)]
        self.assertEqual({g.status for g in got}, {200})
        self.assertNotEqual(got[0].body, got[1].body)

    def test_a_value_of_another_key_is_a_miss(self):
        one, two = self.target(), self.target()
        first = self.fill(one)
        good = self.redis("GET", self.key(one))
        self.break_it(two, None, good)
        self.assert_hit(self.get(one), first)


class WithoutRedis(FlowTest):
    def daemon(self, more=""):
        origin = self.use(ScriptedOrigin(
            lambda c, r, n: answer(c, b"%d" % n)))
        return self.use(Nearside(conf(origin.url, KEPT, more=more)))

    def test_what_is_kept_is_kept_in_memory(self):
        daemon = self.daemon()
        first = daemon.get("/kept/1")
        self.assertEqual(first.cache_status, "nearside; fwd=uri-miss; stored")
        daemon.wait_metric("nearside_stores_total", 1)
        for _ in range(4):  # of both workers
            got = daemon.get("/kept/1")
            self.assertEqual(got.body, first.body)
            self.assertRegex(got.cache_status,
                             r"^nearside; hit; ttl=\d+; detail=memory$")
        self.assertEqual(daemon.get("/kept/1", method="PUT",
                                    body=b"x").status, 200)
        got = daemon.get("/kept/1")
        self.assertEqual(got.cache_status, "nearside; fwd=uri-miss; stored")
        self.assertNotEqual(got.body, first.body)
        self.assertEqual(daemon.metric("nearside_request_seconds_count",
                                       route="/kept/*", tier="memory"), 4)

    def test_what_memory_holds_is_told(self):
        origin = self.use(ScriptedOrigin(
            lambda c, r, n: answer(c, b"x" * 20000)))
        daemon = self.use(Nearside(conf(
            origin.url, KEPT, more="memory { size = 1MB }").replace(
                "admin = off", 'admin = "127.0.0.1:0"')))
        name = "nearside_memory_"
        self.assertEqual(daemon.metric(name + "entries"), 0)
        daemon.get("/kept/0")
        daemon.wait_metric(name + "entries", 1)
        self.assertGreater(daemon.metric(name + "bytes"), 20000)
        said = daemon.status()["memory"]
        self.assertEqual((said["size"], said["entries"]), (1 << 20, 1))
        self.assertEqual(said["bytes"], daemon.metric(name + "bytes"))
        for i in range(1, 3):
            daemon.get(f"/kept/{i}")
        daemon.wait_metric(name + "entries", 3)
        for i in range(2):
            daemon.get(f"/kept/{i}", method="DELETE")
        daemon.get("/kept/0", method="DELETE")  # nothing is there any more
        self.assertEqual(daemon.metric(name + "deletions_total"), 2)
        self.assertEqual(daemon.metric(name + "entries"), 1)
        daemon.get("/kept/2", method="DELETE")
        for i in range(100):  # twice what there is room for
            daemon.get(f"/kept/{i}")
        daemon.wait_metric("nearside_stores_total", 103)
        left = daemon.metric(name + "evictions_total", queue="small")
        self.assertEqual(daemon.metric(name + "evictions_total"), left)
        self.assertEqual(daemon.metric(name + "entries"), 100 - left)
        self.assertGreater(left, 40)
        self.assertLess(daemon.metric(name + "bytes"), 1.1 * (1 << 20))
        self.assertEqual(daemon.metric(name + "returns_total"), 0)
        daemon.get(f"/kept/{int(left) - 1}")
        daemon.wait_metric(name + "returns_total", 1)

    def test_one_fetch_is_for_all_workers(self):
        origin = self.use(ScriptedOrigin(
            lambda c, r, n: time.sleep(0.2) or answer(c, b"%d" % n)))
        daemon = self.use(Nearside(conf(origin.url, KEPT)))
        bodies = together(16, lambda i: daemon.get("/kept/1").body)
        self.assertEqual(len(set(bodies)), 1)
        self.assertEqual(len(origin.requests), 1)

    def test_without_memory_everything_is_a_miss(self):
        daemon = self.daemon("memory { size = 0 }")
        for i in range(3):
            got = daemon.get("/kept/1")
            self.assertEqual(got.body, b"%d" % i)
            self.assertTrue(got.cache_status.startswith(
                "nearside; fwd=uri-miss"), got.cache_status)
            self.assertNotIn("stored", got.cache_status)
        self.assertEqual(daemon.get("/kept/1", method="PUT",
                                    body=b"x").status, 200)


if __name__ == "__main__":
    unittest.main()
