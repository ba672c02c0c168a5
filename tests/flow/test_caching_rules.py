# ctest: memory
"""Whose word counts: targeted fields (RFC 9213), guesses by Last-Modified,
what clients ask for, preset = rfc; and what an unsafe method makes stale
(RFC 9111 4.4)."""

import time
import unittest

from lib import Nearside, wait_until
from lib.caching import (CachingTest, FRESH, HIT, STALE, cache_control,
                         http_date)
from lib.scripted import together


class Lifetimes(CachingTest):
    routes = ('route "/c/*" { ttl = 0 }\n'
              'route "/ttl/*" { ttl = 60s  ttl_jitter = 0% }\n'
              'route "/off/*" { ttl = 0  heuristic = off }\n'
              'route "/keep/*" { ttl = 0  keep = 1h }\n'
              'route "/pass/*" { ttl = 0  keep = 1h  targeted_pass = on }\n'
              'route "/own/*" { ttl = 0  targeted = { "Own-Control", '
              '"CDN-Cache-Control" } }\n'
              'route "/rfc/*" { ttl = 0  preset = rfc }\n')

    def assert_ttl(self, expected, *fields, base="/c", status="200 OK"):
        """What is left of the lifetime at a hit; None: it is not stored."""
        target = self.target(base)
        self.says(*fields, status=status)
        first = self.get(target)
        if expected is None:
            self.assertNotIn("stored", first.cache_status)
            self.assert_not_hit(self.get(target))
            return
        self.assertIn("; stored", first.cache_status)
        self.wait_stored(target)
        ttl = self.assert_hit(self.get(target), first)
        self.assertTrue(expected - 3 <= ttl <= expected, (expected, ttl))

    def test_a_targeted_field_alone_decides(self):
        past = ("Expires", http_date(time.time() - 100))
        for targeted, others, expected in (
                ("max-age=100", (cache_control("max-age=10"),), 100),
                ("max-age=100", (cache_control("no-store, private"),), 100),
                ("max-age=100", (past,), 100),
                ("max-age=100", (cache_control("s-maxage=5"), past), 100),
                ("no-store", (cache_control("max-age=60"),), None),
                ("private", (cache_control("max-age=60"),), None),
                ("max-age=0", (cache_control("max-age=60"),), None),
                ("must-revalidate, max-age=7", (FRESH,), 7)):
            with self.subTest(targeted=targeted, others=others):
                self.assert_ttl(expected, ("CDN-Cache-Control", targeted),
                                *others)

    def test_a_targeted_field_that_is_not_well_formed_is_ignored(self):
        for targeted in ("", "max-age=100, &&&", "max-age=", "=5"):
            with self.subTest(targeted=targeted):
                self.assert_ttl(60, ("CDN-Cache-Control", targeted), FRESH)
                self.assert_ttl(None, ("CDN-Cache-Control", targeted),
                                cache_control("no-store"))

    def test_the_first_of_the_routes_targets_counts(self):
        self.assert_ttl(30, ("CDN-Cache-Control", "max-age=100"),
                        ("Own-Control", "max-age=30"), FRESH, base="/own")
        self.assert_ttl(100, ("CDN-Cache-Control", "max-age=100"), FRESH,
                        base="/own")
        self.assert_ttl(60, ("Own-Control", "max-age=30"),
                        ("Surrogate-Control", "no-store"), FRESH)

    def test_a_targeted_field_of_others_is_passed_on(self):
        target = self.target()
        self.fill(target, FRESH, ("Surrogate-Control", "max-age=9"))
        for _ in range(2):
            self.assertEqual(
                self.get(target).fields["Surrogate-Control"], "max-age=9")

    def test_a_targeted_field_of_ours_is_kept_back(self):
        """From those who ask and from those who hit; a 304 is judged by it
        all the same."""
        for base, passed in (("/keep", None), ("/pass", "max-age=100")):
            with self.subTest(base=base):
                target = self.target(base)
                self.fill(target, cache_control("max-age=9"),
                          ("CDN-Cache-Control", "max-age=100"),
                          ("Age", "100"), ("ETag", '"v1"'))
                self.says(cache_control("max-age=9"), ("ETag", '"v1"'),
                          status="304 Same")
                got = self.get(target)
                self.assertIn("fwd-status=304", got.cache_status)
                wait_until(lambda t=target: "; hit" in self.get(
                    t).cache_status, what="it is renewed")
                again = self.get(target)
                self.assertGreater(self.assert_hit(again), 90)
                for answer in (got, again):
                    self.assertEqual(
                        answer.fields["CDN-Cache-Control"], passed)
                self.assertEqual(again.fields["Cache-Control"], "max-age=9")

    def test_what_passes_is_kept_back_from_it_too(self):
        self.says(FRESH, ("CDN-Cache-Control", "max-age=100"))
        got = self.get(self.target(), {"Range": "bytes=0-1"})
        self.assertIsNone(got.fields["CDN-Cache-Control"])
        got = self.get("/no-route")
        self.assertEqual(got.fields["CDN-Cache-Control"], "max-age=100")

    def test_a_guess_is_a_tenth_of_the_time_since_the_change(self):
        now = time.time()
        changed = ("Last-Modified", http_date(now - 1000))
        date = ("Date", http_date(now))
        self.assert_ttl(100, changed, date)
        self.assert_ttl(100, changed, date, status="404 Not Found",
                        base="/rfc")
        self.assert_ttl(60, changed, date, base="/ttl")
        self.assert_ttl(60, changed, date, FRESH)
        self.assert_ttl(None, changed, date, base="/off")
        self.assert_ttl(None, changed, date, status="404 Not Found")
        self.assert_ttl(None, changed, date, status="302 Found")
        self.assert_ttl(None, ("Last-Modified", http_date(now + 1000)), date)
        self.assert_ttl(None, date)

    def test_must_understand(self):
        value = "must-understand, no-store, max-age=60"
        self.assert_ttl(60, cache_control(value))
        self.assert_ttl(None, cache_control(value), status="299 What")


class Forced(CachingTest):
    """ttl_force: how much of what the origin states the route overrules."""

    routes = ('defaults { ttl = 60s  ttl_jitter = 0%  keep = 10m }\n'
              'route "/off/*" { ttl_force = off }\n'
              'route "/freshness/*" { ttl_force = freshness }\n'
              'route "/on/*" { ttl_force = on }\n'
              'route "/all/*" { ttl_force = all }\n'
              'route "/strip/*" { ttl_force = all  set_cookie = strip }\n'
              'route "/short/*" { ttl = 1s  ttl_force = all }\n')

    def is_hit(self, base, fields, request=None, again=None):
        target = self.target(base)
        self.says(*fields)
        first = self.get(target, request)
        if "; stored" not in first.cache_status:
            return False
        wait_until(lambda: self.keys(target), what="it is stored")
        got = self.get(target, again)
        return HIT.match(got.cache_status) is not None and (
            got.body == first.body)

    def test_how_much_each_word_overrules(self):
        for value, off, freshness, every in (
                ("max-age=0", False, True, True),
                ("s-maxage=0, max-age=0", False, True, True),
                ("no-cache", False, False, True),
                ("no-store", False, False, True),
                ("private", False, False, True),
                ("private=\"x\", no-cache=\"y\"", False, False, True),
                ("private, no-cache, no-store, max-age=0, must-revalidate",
                 False, False, True)):
            for base, want in (("/off", off), ("/freshness", freshness),
                               ("/on", freshness), ("/all", every)):
                for more in ((), (("ETag", '"v1"'),)):
                    with self.subTest(value=value, base=base, more=more):
                        self.assertEqual(self.is_hit(
                            base, (cache_control(value), *more)), want)

    def test_nobody_s_own_answer_is_forced(self):
        """With credentials, Set-Cookie or Vary: * the origin is believed."""
        for value in ("no-cache", "no-store", "private"):
            for base, fields, request in (
                    ("/all", (), {"Cookie": "a=1"}),
                    ("/all", (), {"Authorization": "Basic eDp5"}),
                    ("/all", (), {"X-Api-Key": "k"}),
                    ("/all", (("Set-Cookie", "a=1"),), None),
                    ("/strip", (("Set-Cookie", "a=1"),), None),
                    ("/all", (("Vary", "*"),), None)):
                with self.subTest(value=value, fields=fields,
                                  request=request):
                    self.assertFalse(self.is_hit(
                        base, (cache_control(value), *fields), request))

    def test_what_is_forced_is_not_for_those_with_credentials(self):
        self.assertFalse(self.is_hit(
            "/all", (cache_control("private"),), None, {"Cookie": "a=1"}))

    def test_a_304_is_overruled_too(self):
        target = self.target("/short")
        first = self.fill(target, cache_control("no-cache"), ("ETag", '"v1"'))
        self.says(cache_control("no-store"), ("ETag", '"v1"'),
                  status="304 Same")
        wait_until(lambda: "fwd-status=304; stored" in self.get(
            target).cache_status, what="it is stale")
        self.assert_hit(self.get(target), first)


class Cookies(CachingTest):
    """cookies: the names of those that count."""

    routes = ('defaults { ttl = 60s  cookies = { "session", "lang" } }\n'
              'route "/auto/*" { cookie = auto }\n'
              'route "/key/*" { cookie = key }\n'
              'route "/bypass/*" { cookie = bypass }\n'
              'route "/pass/*" { read = pass }\n'
              'route "/post/*" { store_post = on  cookie = key }\n')

    def sent(self, target, *cookies, **more):
        """The Cookie lines that the origin gets; and the answer."""
        got = self.get(target, [("Cookie", value) for value in cookies],
                       **more)
        return self.last(target).fields.all("Cookie"), got

    def test_others_are_neither_keyed_nor_forwarded(self):
        for cookies in (("_ga=1; _gid=2",), ("_ga=1", "b=2; Session=x"),
                        ("session", "=session", "a, session=1")):
            with self.subTest(cookies=cookies):
                target = self.target("/auto")
                sent, first = self.sent(target, *cookies)
                self.assertEqual(sent, [])
                self.assertIn("; stored", first.cache_status)
                self.wait_stored(target)
                self.assert_hit(self.get(target, {"Cookie": "_ga=3"}), first)
                self.assert_hit(self.get(target), first)

    def test_those_that_count_are_sent_alone(self):
        for cookies, want in (
                (("session=a",), ["session=a"]),
                (("_ga=1; session=a; _gid=2;lang=de",),
                 ["session=a; lang=de"]),
                (("_ga=1", "session=a", "x=y; session=b"),
                 ["session=a; session=b"]),
                (('x="1; session=a"',), ['session=a"']),
                (("session=",), ["session="]), (("session=a=b",),
                                                ["session=a=b"])):
            for base in ("/auto", "/bypass", "/pass"):
                with self.subTest(cookies=cookies, base=base):
                    target = self.target(base)
                    sent, got = self.sent(target, *cookies)
                    self.assertEqual(sent, want)
                    self.assertNotIn("; stored", got.cache_status)
                    self.assertIn("fwd=bypass", got.cache_status)

    def test_those_that_count_are_keyed(self):
        target = self.target("/key")
        first = {}
        for n, cookie in enumerate(("session=a; _ga=1", "session=b", "_ga=1")):
            first[cookie] = self.get(target, {"Cookie": cookie})
            self.assertIn("; stored", first[cookie].cache_status)
            wait_until(lambda c=cookie: "; hit" in self.get(
                target, {"Cookie": c}).cache_status, what="it is stored")
        for cookie, same in (("session=a", "session=a; _ga=1"),
                             ("_ga=2; session=b", "session=b"),
                             ("_ga=3", "_ga=1")):
            self.assert_hit(self.get(target, {"Cookie": cookie}), first[same])
        self.assert_hit(self.get(target), first["_ga=1"])
        self.assert_asked(target, 3)

    def test_a_write_has_them_all(self):
        target = self.target("/auto")
        sent, got = self.sent(target, "_ga=1; session=a", method="PUT",
                              body=b"x")
        self.assertEqual(sent, ["_ga=1; session=a"])
        self.assertEqual(got.status, 200)

    def test_a_post_that_was_sent_more_is_not_stored(self):
        """What a GET of its key would not have been sent."""
        for cookie in ({"Cookie": "_ga=1"}, {}):
            with self.subTest(cookie=cookie):
                target = self.target("/post")
                self.says(FRESH, ("Content-Location", target))
                got = self.get(target, cookie, method="POST", body=b"x")
                self.assertNotIn("; stored", got.cache_status)


class Clients(CachingTest):
    """client_cache_control = honour, and the default beside it."""

    routes = ('route "/c/*" { ttl = 60s  keep = 10m  grace = 10m'
              '  client_cache_control = honour }\n'
              'route "/plain/*" { ttl = 60s }\n'
              'route "/pass/*" { read = pass }\n'
              'route "/keep/*" { keep = 10m  client_cache_control = honour }\n')

    def ask(self, target, value, fields=None):
        return self.get(target, {"Cache-Control": value, **(fields or {})})

    def test_a_fresh_entry_is_not_used_where_the_client_wants_better(self):
        for value in ("no-cache", "max-age=50", "min-fresh=500",
                      "max-age=0"):
            with self.subTest(value=value):
                target = self.target()
                first = self.fill(target, cache_control("max-age=300"),
                                  ("Age", "100"))
                got = self.ask(target, value)
                self.assert_not_hit(got)
                self.assertIn("fwd=request", got.cache_status)
                self.assertNotEqual(got.body, first.body)

    def test_a_fresh_entry_is_used_where_it_is_good_enough(self):
        target = self.target()
        first = self.fill(target, cache_control("max-age=300"),
                          ("Age", "100"))
        for value in ("max-age=150", "min-fresh=100", "max-stale",
                      "max-age=150, min-fresh=100", "x-unknown"):
            with self.subTest(value=value):
                self.assert_hit(self.ask(target, value), first)
        self.assert_asked(target, 1)

    def test_by_default_none_of_it_counts(self):
        target = self.target("/plain")
        first = self.fill(target, cache_control("max-age=300"),
                          ("Age", "100"))
        for value in ("no-cache", "max-age=0", "min-fresh=500", "no-store"):
            self.assert_hit(self.ask(target, value), first)
        self.assert_hit(self.get(target, {"Pragma": "no-cache"}), first)
        self.assert_asked(target, 1)

    def test_pragma_where_no_cache_control_is(self):
        target = self.target()
        first = self.fill(target, FRESH)
        self.assertNotEqual(
            self.get(target, {"Pragma": "no-cache"}).body, first.body)
        target = self.target()
        first = self.fill(target, FRESH)
        self.assert_hit(self.get(target, {"Pragma": "no-cache",
                                          "Cache-Control": "x"}), first)

    def test_max_stale(self):
        target = self.target()
        first = self.fill(target, cache_control("max-age=9"), ("Age", "30"),
                          ("ETag", '"v1"'))
        got = self.ask(target, "max-stale")
        self.assertEqual(got.body, first.body)
        self.assertGreaterEqual(int(got.fields["Age"]), 30)
        self.assertRegex(got.cache_status,
                         r"^nearside; hit; ttl=-\d+; detail=max-stale$")
        self.assert_asked(target, 1)
        self.assertEqual(self.ask(target, "max-stale=500").body, first.body)
        self.assert_asked(target, 1)

    def test_max_stale_does_not_lift_what_the_origin_forbids(self):
        for more in ("must-revalidate", "proxy-revalidate", "s-maxage=9",
                     "no-cache"):
            with self.subTest(more=more):
                target = self.target()
                self.says(cache_control(f"max-age=9, {more}"), ("Age", "9"),
                          ("ETag", '"v1"'))
                first = self.get(target)
                self.says(FRESH, ("ETag", '"v2"'))
                self.assertNotEqual(self.ask(target, "max-stale").body,
                                    first.body)

    def test_no_store_of_a_request_is_kept(self):
        target = self.target()
        self.says(FRESH)
        got = self.ask(target, "no-store")
        self.assertNotIn("stored", got.cache_status)
        self.assertEqual(self.keys(target), [])

    def test_a_reload_is_validated_and_renews_it_for_all(self):
        for value in ("no-cache", "max-age=0"):
            with self.subTest(value=value):
                target = self.target()
                first = self.fill(target, cache_control("max-age=90"),
                                  ("Age", "30"), ("ETag", '"v1"'))
                self.says(FRESH, ("ETag", '"v1"'), status="304 Same")
                got = self.ask(target, value)
                self.assertEqual(
                    self.last(target).fields["If-None-Match"], '"v1"')
                self.assertEqual((got.status, got.body), (200, first.body))
                self.assertIn("nearside; fwd=request; fwd-status=304; stored",
                              got.cache_status)
                wait_until(lambda t=target: int(
                    self.get(t).fields["Age"]) < 30, what="it is renewed")
                self.assert_asked(target, 2)

    def test_a_reload_brings_the_new_one_for_all(self):
        target = self.target()
        first = self.fill(target, FRESH, ("ETag", '"v1"'))
        self.says(FRESH, ("ETag", '"v2"'))
        got = self.ask(target, "no-cache")
        self.assertEqual(got.cache_status, "nearside; fwd=request; stored")
        self.assertNotEqual(got.body, first.body)
        wait_until(lambda: self.get(target).body == got.body,
                   what="the new one is stored")
        self.assert_asked(target, 2)

    def test_what_a_directive_finds_missing_is_fetched_for_all(self):
        for value in ("no-cache", "max-age=10", "min-fresh=5", "max-stale"):
            with self.subTest(value=value):
                target = self.target()
                self.says(FRESH)
                first = self.ask(target, value)
                self.assertIn("; stored", first.cache_status)
                self.wait_stored(target)
                self.assert_hit(self.get(target), first)

    def test_no_cache_gets_nothing_stale_when_the_origin_fails(self):
        target = self.target()
        self.fill(target, cache_control("max-age=60, stale-if-error=60"))
        self.says(status="503 Down")
        self.assertEqual(self.ask(target, "no-cache").status, 503)

    def test_stale_if_error_of_a_request(self):
        """RFC 5861 4, in a request: as good as in the response."""
        target = self.target("/keep")
        first = self.fill(target, *STALE, ("ETag", '"v1"'))
        self.says(status="503 Down")
        self.assertEqual(self.get(target).status, 503)
        got = self.ask(target, "stale-if-error=600")
        self.assertEqual((got.status, got.body), (200, first.body))
        self.assertIn("detail=stale-if-error", got.cache_status)

    def test_immutable_spares_a_reload_but_not_a_forced_one(self):
        target = self.target()
        first = self.fill(target, cache_control("max-age=300, immutable"),
                          ("Age", "100"))
        self.assert_hit(self.ask(target, "max-age=0"), first)
        self.assertNotEqual(self.ask(target, "no-cache").body, first.body)

    def test_only_if_cached_never_asks_the_origin(self):
        for base in ("/c", "/plain"):
            target = self.target(base)
            got = self.ask(target, "only-if-cached")
            self.assertEqual(got.status, 504)
            self.assert_asked(target, 0)
            first = self.fill(target, FRESH)
            self.assert_hit(self.ask(target, "only-if-cached"), first)
        target = self.target()
        self.fill(target, *STALE, ("ETag", '"v1"'))
        self.assertEqual(self.ask(target, "only-if-cached").status, 504)
        target = self.target()
        self.fill(target, FRESH)
        self.assertEqual(
            self.ask(target, "only-if-cached, no-cache").status, 504)
        self.assert_asked(target, 1)

    def test_only_if_cached_is_not_passed_on_either(self):
        for target, more in (("/nowhere/1", {}), ("/pass/1", {}),
                             ("/c/a%2fb", {}), ("/c/cond", {"If-Match": '"v"'})):
            with self.subTest(target=target):
                got = self.ask(target, "only-if-cached", more)
                self.assertEqual(got.status, 504)
                self.assert_asked(target, 0)


class StatusTtls(CachingTest):
    """ttl_by_status: what a route keeps whose origin says nothing of it."""

    routes = ('route "/c/*" { ttl = 60s  ttl_jitter = 0%\n'
              '  ttl_by_status = { "404 20s", "503 5s", "200 30s", "301 0" }\n'
              '}\n')

    def test_a_status_has_its_own_ttl(self):
        for status, ttl in ((200, 30), (203, 60), (404, 20), (503, 5)):
            with self.subTest(status=status):
                target = self.target()
                self.fill(target, status=f"{status} Any")
                got = self.get(target)
                self.assertIn(self.assert_hit(got), (ttl - 1, ttl))
                self.assertEqual(got.status, status)

    def test_other_errors_are_not_kept(self):
        for status in ("301 Moved", "410 Gone", "500 Oops", "502 Bad"):
            with self.subTest(status=status):
                target = self.target()
                self.says(status=status)
                self.assertNotIn("stored", self.get(target).cache_status)

    def test_the_origins_word_counts_more(self):
        target = self.target()
        self.says(cache_control("no-store"), status="404 No")
        self.assertNotIn("stored", self.get(target).cache_status)
        target = self.target()
        self.fill(target, FRESH, status="404 No")
        self.assertIn(self.assert_hit(self.get(target)), (59, 60))

    def test_credentials_get_none(self):
        for fields in ({"Cookie": "a=1"}, {"Authorization": "Basic eDp5"},
                       {"X-Api-Key": "1"}):
            with self.subTest(fields=fields):
                target = self.target()
                self.says(status="404 No")
                self.assertNotIn(
                    "stored", self.get(target, fields).cache_status)


class CacheStatus(CachingTest):
    """cache_status: on is what all other tests see."""

    routes = ('route "/c/key/*" { ttl = 60s  cache_status = key }\n'
              'route "/c/off/*" { ttl = 60s  cache_status = off }\n'
              'route "/c/on/*" { ttl = 60s }\n')

    def test_it_tells_the_key(self):
        target = self.target("/c/key")
        first = self.get(target)
        key = f'key="http://test{target}"'
        self.assertEqual(first.cache_status,
                         f"nearside; fwd=uri-miss; stored; {key}")
        self.wait_stored(target)
        self.assertRegex(self.get(target).cache_status,
                         rf"nearside; hit; ttl=\d+; {key}; detail=shared\Z")

    def test_a_long_key_does_not_cost_it(self):
        target = self.target("/c/key") + "/" + "x" * 3000
        self.assertEqual(self.get(target).cache_status,
                         "nearside; fwd=uri-miss; stored; "
                         f'key="http://test{target}"')

    def test_a_name_that_is_no_token_is_a_string(self):
        """RFC 9211 2, in a hit and in a miss alike."""
        daemon = self.use(Nearside(
            self.make_conf() + 'via = "1cache"\n', name="named"))
        target = self.target("/c/on")
        for _ in range(2):
            got = daemon.get(target)
            self.assertTrue(got.cache_status.startswith('"1cache"; '),
                            got.cache_status)
            self.assertEqual(got.fields["Via"], "1.1 1cache")
            self.wait_stored(target)
        plain = daemon.get(self.target("/plain"))
        self.assertTrue(plain.cache_status.startswith('"1cache"; '))

    def test_it_says_nothing(self):
        target = self.target("/c/off")
        for _ in range(2):
            got = self.get(target)
            self.assertNotIn("Cache-Status", got.fields)
            self.wait_stored(target)
        self.assertIn("Age", got.fields)


class SayBypass(CachingTest):
    """What can never be cached for what the request carries says so."""

    routes = 'route "/c/*" { ttl = 60s }\n'

    def test_because_of_credentials(self):
        for name, detail in (("Cookie", "cookie"),
                             ("Authorization", "authorization"),
                             ("X-Api-Key", "credential")):
            with self.subTest(name=name):
                target = self.target()
                for fields in ((), (FRESH,)):
                    self.says(*fields)
                    for _ in range(2):
                        self.assertEqual(
                            self.get(target, {name: "a=b"}).cache_status,
                            f"nearside; fwd=bypass; detail={detail}")
                self.assertGreater(self.daemon.metric(
                    "nearside_requests_total", result="bypass"), 0)

    def test_together(self):
        target = self.target()
        got = together(4, lambda n: self.get(target, {"Cookie": f"a={n}"}))
        self.assertEqual({one.cache_status for one in got},
                         {"nearside; fwd=bypass; detail=cookie"})
        self.assertEqual(len({one.body for one in got}), 4)

    def test_not_because_of_the_answer(self):
        target = self.target()
        self.says(cache_control("no-store"))
        self.assertEqual(self.get(target, {"Cookie": "a=b"}).cache_status,
                         "nearside; fwd=uri-miss; detail=no-store")
        target = self.target()
        self.says(cache_control("public, max-age=60"))
        self.assertEqual(self.get(target, {"Cookie": "a=b"}).cache_status,
                         "nearside; fwd=uri-miss; stored")


class Safe(CachingTest):
    """The default preset, where it is stricter than the RFC."""

    routes = 'route "/c/*" { ttl = 60s }\n'

    def test_an_answer_to_authorization_is_shared_by_two_words(self):
        """public and s-maxage: must-revalidate says nothing of others."""
        user = {"Authorization": "Basic eDp5"}
        value = "must-revalidate, max-age=60"
        target = self.target()
        self.says(cache_control(value))
        first = self.get(target, user)
        self.assertEqual(first.cache_status,
                         "nearside; fwd=bypass; detail=authorization")
        self.assertNotEqual(self.get(target).body, first.body)
        first = self.get(target)  # somebody's without, which is stored
        self.assert_hit(first)
        got = self.get(target, user)
        self.assert_not_hit(got)
        self.assertNotEqual(got.body, first.body)
        for value in ("public, max-age=60", "s-maxage=60"):
            with self.subTest(value=value):
                target = self.target()
                first = self.fill(target, cache_control(value), request=user)
                self.assert_hit(self.get(target), first)


class Rfc(CachingTest):
    routes = 'route "/c/*" { ttl = 60s  preset = rfc }\n'

    def test_a_response_with_set_cookie_is_for_everybody(self):
        target = self.target()
        first = self.fill(target, FRESH, ("Set-Cookie", "a=1"))
        got = self.get(target)
        self.assert_hit(got, first)
        self.assertEqual(got.fields["Set-Cookie"], "a=1")

    def test_a_request_with_a_cookie_is_answered(self):
        target = self.target()
        first = self.fill(target, FRESH)
        self.assert_hit(self.get(target, {"Cookie": "u=1"}), first)
        target = self.target()
        first = self.fill(target, FRESH, request={"Cookie": "u=1"})
        self.assert_hit(self.get(target), first)

    def test_authorization_still_needs_the_origins_word(self):
        user = {"Authorization": "Basic eDp5"}
        target = self.target()
        self.says(FRESH)
        self.assertNotIn("stored", self.get(target, user).cache_status)
        for value in ("public, max-age=60", "s-maxage=60",
                      "must-revalidate, max-age=60"):
            with self.subTest(value=value):
                target = self.target()
                first = self.fill(target, cache_control(value), request=user)
                self.assert_hit(self.get(target, user), first)
                self.assert_hit(self.get(target), first)

    def test_explicit_freshness_counts_for_any_final_status(self):
        for status in (201, 203, 302, 307, 400, 403, 405, 418, 500, 501, 503):
            with self.subTest(status=status):
                target = self.target()
                self.fill(target, FRESH, status=f"{status} Any")
                got = self.get(target)
                self.assert_hit(got)
                self.assertEqual(got.status, status)

    def test_directives_of_requests_are_honoured(self):
        target = self.target()
        first = self.fill(target, FRESH)
        self.assertNotEqual(
            self.get(target, {"Cache-Control": "no-cache"}).body, first.body)


class Invalidation(CachingTest):
    routes = ('route "/q/*" { ttl = 60s  query = none }\n'
              'route "/q-list/*" { ttl = 60s  query = { "a" } }\n'
              'route "/*" { ttl = 60s }\n')

    def stored(self):
        target = self.target("/i")
        return target, self.fill(target, FRESH)

    def write(self, *fields, method="POST", status="200 OK", host="test"):
        self.says(*fields, status=status)
        got = self.get(self.target("/i"), method=method, body=b"x",
                       host=host)
        self.says(FRESH)
        return got

    def assert_dropped(self, target):
        """Before the client of the write had its answer."""
        self.assertIsNone(self.value(target))
        self.assert_not_hit(self.get(target))

    def test_location_and_content_location_are_dropped(self):
        for method in ("POST", "PUT", "PATCH", "DELETE", "BREW"):
            for name in ("Location", "Content-Location"):
                with self.subTest(method=method, name=name):
                    target, _ = self.stored()
                    self.write((name, target), method=method)
                    self.assert_dropped(target)

    def test_what_is_named_is_keyed_as_its_readers_key_it(self):
        for base, stored in (("/q", ""), ("/q-list", "?a=1")):
            target = self.target(base)
            self.says(FRESH)
            self.get(target + "?a=1&b=2")
            self.wait_stored(target + stored)
            self.write(("Location", target + "?b=3&a=1"))
            self.assert_dropped(target + stored)

    def test_all_forms_of_the_same_origin(self):
        for form in ("http://test{}", "//test{}", "HTTP://TEST:80{}",
                     "../i/{0}", "{}#part"):
            with self.subTest(form=form):
                target, _ = self.stored()
                path = target.rsplit("/", 1)[1] if "{0}" in form else target
                self.write(("Location", form.format(path)),
                           status="201 Made")
                self.assert_dropped(target)

    def test_another_origin_drops_nothing(self):
        for form in ("http://other{}", "https://test{}", "http://test:81{}",
                     "//other{}"):
            with self.subTest(form=form):
                target, first = self.stored()
                other = self.write(("Location", form.format(target)),
                                   ("Content-Location", form.format(target)))
                self.assertEqual(other.status, 200)
                mark = self.target("/i")
                self.fill(mark, FRESH)
                self.write(("Location", mark))
                self.assert_dropped(mark)  # what came later has been done
                self.assert_hit(self.get(target), first)

    def test_an_error_drops_nothing(self):
        for status in ("400 Bad", "404 None", "409 No", "500 Oops"):
            with self.subTest(status=status):
                target, first = self.stored()
                self.write(("Location", target), status=status)
                self.says(status=status)
                self.get(target, method="PUT", body=b"x")
                self.assert_hit(self.get(target), first)

    def test_a_redirection_is_no_error(self):
        target, _ = self.stored()
        self.write(("Location", target), status="303 See Other")
        self.assert_dropped(target)

    def test_a_safe_method_drops_nothing(self):
        target, first = self.stored()
        for method in ("OPTIONS", "HEAD", "GET"):
            self.says(("Location", target), FRESH)
            self.get(self.target("/i"), method=method)
        self.assert_hit(self.get(target), first)


class MadeElsewhere(CachingTest):
    """What a write's answer names is deleted whatever route the write took,
    and if it took none."""

    routes = ('route "POST /i/*" { write = pass }\n'
              'route "/i/*" { ttl = 60s }\n'
              'route "PUT /read/*" { write = pass }\n'
              'route "/read/*" { read = pass }\n')
    ways = (("POST", "/no-route"), ("PUT", "/read/1"), ("POST", "/read/1"),
            ("POST", "/i/write"), ("BREW", "/no-route"))

    def write(self, method, path, *fields, status="201 Made"):
        self.says(*fields, status=status)
        got = self.get(path, method=method, body=b"x")
        self.says(FRESH)
        return got

    def test_whatever_route_the_write_took(self):
        for method, path in self.ways:
            for name in ("Location", "Content-Location"):
                with self.subTest(method=method, path=path, name=name):
                    target = self.target("/i")
                    self.fill(target, FRESH, status="404 Not Made")
                    got = self.write(method, path, (name, target))
                    self.assertEqual(got.status, 201)
                    self.assertIsNone(self.value(target))
                    self.assertEqual(self.get(target).status, 200)

    def test_both_names_at_once(self):
        one, two = self.target("/i"), self.target("/i")
        self.fill(one, FRESH)
        self.fill(two, FRESH)
        self.write("POST", "/no-route", ("Location", one),
                   ("Content-Location", "http://test" + two))
        self.assertIsNone(self.value(one))
        self.assertIsNone(self.value(two))

    def test_not_of_another_origin_nor_by_an_error(self):
        for method, path in self.ways:
            for form, status in (("http://other{}", "201 Made"),
                                 ("https://test{}", "201 Made"),
                                 ("{}", "409 Conflict"), ("{}", "500 No")):
                with self.subTest(method=method, path=path, form=form):
                    target = self.target("/i")
                    first = self.fill(target, FRESH)
                    self.write(method, path,
                               ("Location", form.format(target)),
                               status=status)
                    self.assert_hit(self.get(target), first)

    def test_write_pass_leaves_its_own_target(self):
        target = self.target("/i")
        first = self.fill(target, FRESH)
        self.write("POST", target, ("Location", "/i/else"))
        self.assert_hit(self.get(target), first)

    def test_what_no_route_stores_costs_no_deletion(self):
        def deletions():
            return self.daemon.metric("nearside_invalidations_total")
        before = deletions()
        self.write("POST", "/no-route", ("Location", "/elsewhere"))
        self.write("POST", "/no-route", ("Location", "/read/2"))
        self.assertEqual(deletions(), before)


if __name__ == "__main__":
    unittest.main()
