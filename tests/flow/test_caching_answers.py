# ctest: memory
"""What one entry answers: conditions (RFC 9110 13), ranges (RFC 9110 14),
HEAD, Age and Date; and what is passed on instead."""

import time
import unittest

from lib import WireError, wait_until
from lib.caching import (CachingTest, FRESH, MISS, Said, cache_control,
                         http_date)

LAST = 1_000_000_000
CHANGED = http_date(LAST)
BODY = b"0123456789abcdefghij"


class Conditions(CachingTest):
    routes = 'route "/c/*" { ttl = 60s }\n'

    def stored(self, *fields):
        target = self.target()
        self.fill(target, FRESH, *fields)
        return target

    def assert_statuses(self, target, name, values):
        for value, status in values:
            with self.subTest(value=value):
                got = self.get(target, {name: value})
                self.assert_hit(got)
                self.assertEqual(got.status, status)
                self.assertEqual(got.body == b"", status == 304)
        self.assert_asked(target, 1)

    def test_if_none_match_compares_weakly_with_each_of_a_list(self):
        self.assert_statuses(self.stored(("ETag", '"v1"')), "If-None-Match", (
            ('"v1"', 304), ('W/"v1"', 304), ('"v0", W/"v1"', 304),
            ('"a,b" , "v1"', 304), ("*", 304), ('"v2"', 200), ('"V1"', 200),
            ('"v0", "v2"', 200)))
        self.assert_statuses(self.stored(("ETag", 'W/"v1"')), "If-None-Match",
                             (('"v1"', 304), ('W/"v1"', 304), ('"v"', 200)))

    def test_several_lines_of_if_none_match_are_one_list(self):
        target = self.stored(("ETag", '"v1"'))
        got = self.get(target, [("If-None-Match", '"v0"'),
                                ("If-None-Match", '"v1"')])
        self.assertEqual(got.status, 304)

    def test_if_modified_since(self):
        self.assert_statuses(
            self.stored(("Last-Modified", CHANGED)), "If-Modified-Since", (
                (CHANGED, 304), (http_date(LAST + 1), 304),
                (http_date(LAST - 1), 200), ("yesterday", 200),
                (time.strftime("%A, %d-%b-%y %H:%M:%S GMT",
                               time.gmtime(LAST)), 304),
                (time.asctime(time.gmtime(LAST)), 304)))

    def test_if_modified_since_against_date_without_last_modified(self):
        date = time.time() - 30
        self.assert_statuses(
            self.stored(("Date", http_date(date))), "If-Modified-Since",
            ((http_date(date), 304), (http_date(date - 1), 200)))

    def test_if_none_match_counts_more_than_if_modified_since(self):
        target = self.stored(("ETag", '"v1"'), ("Last-Modified", CHANGED))
        for tag, since, status in (('"v2"', CHANGED, 200),
                                   ('"v1"', http_date(LAST - 1), 304)):
            got = self.get(target, {"If-None-Match": tag,
                                    "If-Modified-Since": since})
            self.assertEqual(got.status, status)

    def test_a_304_says_what_a_200_would_of_the_entry(self):
        target = self.stored(("ETag", '"v1"'), ("Last-Modified", CHANGED),
                             ("Expires", http_date(time.time() + 60)),
                             ("Content-Location", "/x"), ("Vary", "X-No"),
                             ("X-Big", "1"))
        wait_until(lambda: len(self.keys(target)) >= 2)
        whole = self.get(target)
        got = self.get(target, {"If-None-Match": "*"})
        self.assertEqual(got.status, 304)
        for name in ("ETag", "Date", "Cache-Control", "Expires", "Vary",
                     "Content-Location"):
            self.assertEqual(got.fields[name], whole.fields[name], name)
        self.assertIn("Age", got.fields)
        for name in ("X-Big", "Content-Length", "Transfer-Encoding"):
            self.assertNotIn(name, got.fields)

    def test_a_304_repeats_long_fields_whole(self):
        fields = (("ETag", '"' + "e" * 2000 + '"'),
                  ("Cache-Control", "max-age=60"),
                  ("Cache-Control", "x-long=" + "c" * 2000),
                  ("Content-Location", "/" + "l" * 2000), ("Vary", "X-Foo"),
                  ("Expires", http_date(4_000_000_000)))
        target = self.target()
        self.says(*fields)
        self.get(target)
        wait_until(lambda: "; hit" in self.get(target).cache_status,
                   what="it is stored")
        got = self.get(target, {"If-None-Match": fields[0][1]})
        self.assertEqual(got.status, 304)
        for name in {name for name, _ in fields}:
            self.assertEqual(got.fields.all(name),
                             [v for n, v in fields if n == name])

    def test_what_the_origin_is_to_judge_is_passed_on(self):
        target = self.stored(("ETag", '"v1"'), ("Last-Modified", CHANGED))
        self.says(status="412 No")
        for times, (name, value) in enumerate((
                ("If-Match", '"v1"'), ("If-Match", "*"),
                ("If-Unmodified-Since", CHANGED)), 2):
            got = self.get(target, {name: value})
            self.assertEqual((got.status, got.cache_status),
                             (412, "nearside; fwd=bypass; detail=condition"))
            self.assertEqual(self.last(target).fields[name], value)
            self.assert_asked(target, times)

    def test_conditions_of_other_methods_are_passed_on(self):
        target = self.stored(("ETag", '"v1"'))
        self.says(status="412 No")
        got = self.get(target, {"If-None-Match": "*"}, method="PUT",
                       body=b"x")
        self.assertEqual(got.status, 412)
        self.assertEqual(self.last(target).fields["If-None-Match"], "*")

    def test_conditions_mean_nothing_to_an_error_that_is_stored(self):
        target = self.target()
        self.fill(target, FRESH, ("ETag", '"v1"'), status="404 Not Found")
        got = self.get(target, {"If-None-Match": '"v1"'})
        self.assert_hit(got)
        self.assertEqual(got.status, 404)

    def test_head_has_the_same_conditions(self):
        target = self.stored(("ETag", '"v1"'))
        got = self.get(target, {"If-None-Match": '"v1"'}, method="HEAD")
        self.assert_hit(got)
        self.assertEqual(got.status, 304)


class Ranges(CachingTest):
    routes = 'route "/c/*" { ttl = 60s }\n'

    def stored(self, *fields):
        target = self.target()
        self.fill(target, FRESH, *fields, body=BODY)
        return target

    def test_the_three_forms(self):
        target = self.stored(("ETag", '"v1"'))
        for value, first, last in (
                ("0-0", 0, 0), ("0-4", 0, 4), ("5-", 5, 19), ("-4", 16, 19),
                ("19-19", 19, 19), ("15-99", 15, 19), ("-99", 0, 19),
                ("0-99999999999999999999999", 0, 19)):
            with self.subTest(value=value):
                got = self.get(target, {"Range": f"bytes={value}"})
                self.assert_hit(got)
                self.assertEqual((got.status, got.body),
                                 (206, BODY[first:last + 1]))
                self.assertEqual(got.fields["Content-Range"],
                                 f"bytes {first}-{last}/20")
                self.assertEqual(got.fields["Content-Length"],
                                 str(last - first + 1))
                self.assertEqual(got.fields["ETag"], '"v1"')
        self.assert_asked(target, 1)

    def test_what_cannot_be_satisfied_is_416(self):
        target = self.stored()
        for value in ("20-", "20-30", "-0", "99999999999999999999999-"):
            with self.subTest(value=value):
                got = self.get(target, {"Range": f"bytes={value}"})
                self.assertEqual(got.status, 416)
                self.assertEqual(got.fields["Content-Range"], "bytes */20")
                self.assertNotIn(BODY, got.body)
        self.assert_asked(target, 1)

    def test_a_416_is_not_what_it_is_about(self):
        """Others must not store it by the stored response's word."""
        target = self.target()
        self.fill(target, FRESH, ("ETag", '"v1"'), ("X-Of", "the whole"),
                  ("Content-Encoding", "gzip"), ("Age", "5"), body=BODY)
        got = self.get(target, {"Range": "bytes=900-"})
        self.assertEqual(got.status, 416)
        self.assertEqual(got.fields.all("Cache-Control"), ["no-store"])
        self.assertEqual(len(got.fields.all("Date")), 1)
        for name in ("ETag", "X-Of", "Content-Encoding", "Age"):
            self.assertNotIn(name, got.fields)

    def test_who_has_a_part_gets_no_fields_of_the_whole(self):
        """RFC 9110 15.3.7; who asks for a first part does."""
        target = self.target()
        self.fill(target, FRESH, ("ETag", '"v1"'), ("X-Of", "the whole"),
                  body=BODY)
        first = self.get(target, {"Range": "bytes=0-3"})
        self.assertEqual((first.status, first.fields["X-Of"]),
                         (206, "the whole"))
        more = self.get(target, {"Range": "bytes=4-7", "If-Range": '"v1"'})
        self.assertEqual((more.status, more.fields["ETag"]), (206, '"v1"'))
        self.assertEqual(more.fields["Cache-Control"], FRESH[1])
        self.assertNotIn("X-Of", more.fields)

    def test_what_is_not_one_range_of_bytes_gives_the_whole(self):
        target = self.stored()
        for value in ("bytes=0-1,3-4", "bytes=4-1", "bytes=x-", "items=0-1",
                      "bytes=", "bytes=0-1-2"):
            with self.subTest(value=value):
                got = self.get(target, {"Range": value})
                self.assert_hit(got)
                self.assertEqual((got.status, got.body), (200, BODY))
                self.assertNotIn("Content-Range", got.fields)
        self.assert_asked(target, 1)

    def test_if_range_compares_strongly(self):
        strong = self.stored(("ETag", '"v1"'), ("Last-Modified", CHANGED))
        weak = self.stored(("ETag", 'W/"v1"'))
        for target, value, status in (
                (strong, '"v1"', 206), (strong, '"v0"', 200),
                (strong, 'W/"v1"', 200), (strong, CHANGED, 206),
                (strong, http_date(LAST + 1), 200), (strong, "junk", 200),
                (weak, 'W/"v1"', 200), (weak, '"v1"', 200)):
            with self.subTest(value=value):
                got = self.get(target, {"Range": "bytes=1-3",
                                        "If-Range": value})
                self.assert_hit(got)
                self.assertEqual(got.status, status)
                self.assertEqual(
                    got.body, BODY[1:4] if status == 206 else BODY)

    def test_if_none_match_comes_before_range(self):
        target = self.stored(("ETag", '"v1"'))
        for tag, status in (('"v1"', 304), ('"v0"', 206)):
            got = self.get(target, {"Range": "bytes=1-3",
                                    "If-None-Match": tag})
            self.assertEqual(got.status, status)

    def test_head_ignores_range(self):
        target = self.stored()
        got = self.get(target, {"Range": "bytes=1-3"}, method="HEAD")
        self.assert_hit(got)
        self.assertEqual((got.status, got.fields["Content-Length"]),
                         (200, "20"))

    def test_a_range_that_misses_passes_and_is_not_stored(self):
        target = self.target()
        self.says(FRESH, ("Content-Range", "bytes 1-3/20"), ("ETag", '"v1"'),
                  status="206 Part", body=BODY[1:4])
        for times in (1, 2):
            got = self.get(target, {"Range": "bytes=1-3", "If-Range": '"v1"'})
            self.assertEqual((got.status, got.body), (206, BODY[1:4]))
            self.assertEqual(got.fields["Content-Range"], "bytes 1-3/20")
            self.assertNotIn("stored", got.cache_status)
            asked = self.last(target).fields
            self.assertEqual((asked["Range"], asked["If-Range"]),
                             ("bytes=1-3", '"v1"'))
            self.assert_asked(target, times)
        self.assertEqual(self.keys(target), [])
        self.says(FRESH, body=BODY)
        self.assertEqual(self.get(target).body, BODY)

    def test_a_part_of_an_unknown_unit_is_passed_on(self):
        target = self.target()
        self.says(FRESH, ("Content-Range", "items 0-1/5"), status="206 Part")
        got = self.get(target, {"Range": "items=0-1"})
        self.assertEqual((got.status, got.fields["Content-Range"]),
                         (206, "items 0-1/5"))
        self.assertEqual(self.keys(target), [])

    def test_a_206_that_nobody_asked_for_is_not_stored(self):
        target = self.target()
        self.says(FRESH, ("Content-Range", "bytes 1-3/20"), status="206 Part")
        self.assertNotIn("stored", self.get(target).cache_status)
        self.assert_not_hit(self.get(target))

    def test_content_range_of_a_write_means_nothing_to_us(self):
        target = self.target()
        self.get(target, {"Content-Range": "bytes 0-0/9"}, method="PUT",
                 body=b"x")
        self.assertEqual(self.last(target).fields["Content-Range"],
                         "bytes 0-0/9")


class Heads(CachingTest):
    routes = 'route "/c/*" { ttl = 60s }\n'

    def test_head_is_the_get_without_its_body(self):
        target = self.target()
        self.fill(target, FRESH, ("ETag", '"v1"'), ("X-A", "1"), body=BODY)
        whole = self.get(target)
        got = self.get(target, method="HEAD")
        self.assert_hit(got)
        self.assertEqual((got.status, got.body), (200, b""))
        for name in ("ETag", "X-A", "Content-Length", "Date",
                     "Cache-Control"):
            self.assertEqual(got.fields[name], whole.fields[name])
        self.assert_asked(target, 1)

    def test_age_goes_on_from_the_origins(self):
        target = self.target()
        first = self.fill(target, cache_control("max-age=500"), ("Age", "100"))
        self.assertEqual(first.fields["Age"], "100")  # of a miss too
        self.assertTrue(
            100 <= int(self.get(target).fields["Age"]) <= 102)

    def test_age_counts_from_date_when_that_is_older(self):
        target = self.target()
        self.fill(target, cache_control("max-age=500"), ("Age", "1"),
                  ("Date", http_date(time.time() - 200)))
        self.assertTrue(
            200 <= int(self.get(target).fields["Age"]) <= 202)
        self.assertTrue(297 <= self.assert_hit(self.get(target)) <= 300)

    def test_age_grows(self):
        target = self.target()
        self.fill(target, FRESH)
        wait_until(lambda: self.get(target).fields["Age"] == "1",
                   what="it is a second old")

    def test_date_is_the_origins_or_of_the_receipt(self):
        target = self.target()
        said = http_date(time.time() - 7)
        self.fill(target, FRESH, ("Date", said))
        self.assertEqual(self.get(target).fields["Date"], said)
        target = self.target()
        low = time.time() - 2
        first = self.fill(target, FRESH)
        date = first.fields["Date"]
        self.assertIn(date, [http_date(low + i) for i in range(6)])
        self.assertEqual(self.get(target).fields["Date"], date)

    def test_fields_come_back_as_they_came_but_those_of_a_hop(self):
        target = self.target()
        first = self.fill(
            target, FRESH, ("X-Unknown", "a, b"), ("Set-X", "1"),
            ("Set-X", "2"), ("Connection", "x-hop"), ("X-Hop", "1"),
            ("Keep-Alive", "timeout=9"), ("Proxy-Authenticate", "Basic"))
        for got in (first, self.get(target)):
            self.assertEqual(got.fields["X-Unknown"], "a, b")
            self.assertEqual(got.fields.all("Set-X"), ["1", "2"])
            for name in ("X-Hop", "Keep-Alive"):
                self.assertNotIn(name, got.fields)
        self.assertNotIn("Proxy-Authenticate", self.get(target).fields)

    def test_what_was_for_a_proxy_before_us_is_not_stored(self):
        """RFC 9111 3.1; and what passes keeps it."""
        field = ("Proxy-Authentication-Info", "nextnonce=secret")
        target = self.target()
        self.fill(target, FRESH, field)
        self.assertNotIn(field[0], self.get(target).fields)
        self.assertNotIn(b"secret", self.value(target))
        self.says(cache_control("no-store"), field)
        self.assertEqual(self.get(self.target()).fields[field[0]], field[1])

    def test_a_body_cut_short_is_not_stored(self):
        target = self.target()

        class Short(Said):
            def send(self, connection, request, n):
                connection.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60"
                                b"\r\nContent-Length: 99\r\n\r\nhalf")
                return False

        self.says(lambda request, n: Short())
        with self.daemon.connect() as client:
            client.request("GET", target)
            self.assertEqual(client.read_head().status, 200)
            with self.assertRaises((WireError, ConnectionResetError)):
                client.read_exactly(99)
        self.says(FRESH)
        got = self.get(target)
        self.assertEqual((got.cache_status, got.status), (MISS, 200))

    def test_trailers_do_not_become_fields(self):
        class Trailed(Said):
            def send(self, connection, request, n):
                connection.send(
                    b"HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
                    b"Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
                    b"3\r\nabc\r\n0\r\nX-T: 1\r\nAge: 900\r\n\r\n")
                return True

        target = self.target()
        self.says(lambda request, n: Trailed())
        first = self.get(target)
        self.wait_stored(target)
        second = self.get(target)
        self.assert_hit(second)
        for got in (first, second):
            self.assertEqual(got.body, b"abc")
            self.assertNotIn("X-T", got.fields)
            self.assertIn(got.fields["Age"], (None, "0", "1"))

    def test_a_204_has_neither_length_nor_body(self):
        target = self.target()
        self.fill(target, FRESH, status="204 None")
        for method in ("GET", "HEAD"):
            got = self.get(target, method=method)
            self.assert_hit(got)
            self.assertEqual((got.status, got.body), (204, b""))
            self.assertNotIn("Content-Length", got.fields)
            self.assertNotIn("Transfer-Encoding", got.fields)

    def test_a_cache_status_of_the_origin_is_kept_before_ours(self):
        target = self.target()
        self.says(FRESH, ("Cache-Status", "inner; hit"))
        for is_hit in (False, True):
            got = self.get(target)
            lines = got.fields.all("Cache-Status")
            self.assertEqual(lines[0], "inner; hit")
            self.assertEqual("nearside; hit" in lines[-1], is_hit)
            self.wait_stored(target)

    def test_directives_of_a_request_are_passed_on(self):
        target = self.target()
        self.get(target, {"Cache-Control": "no-cache, x-mine=1"})
        self.assertEqual(self.last(target).fields["Cache-Control"],
                         "no-cache, x-mine=1")


if __name__ == "__main__":
    unittest.main()
