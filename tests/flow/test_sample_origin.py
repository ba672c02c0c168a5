# ctest: jobs=2 cost=6
"""The sample API, and a cluster: what all other flow tests stand on."""

import json
import signal
import time
import unittest
import zlib

from lib import (Connection, FlowTest, RedisCluster, RedisError, SampleOrigin,
                 ScriptedOrigin, WireError, fetch, pattern, slot_of,
                 wait_until)


class Products(FlowTest):
    def setUp(self):
        self.api = self.use(SampleOrigin())

    def test_a_product_is_answered_as_json_with_validators(self):
        answer = self.api.get("/products/42")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body,
                         b'{"id":"42","name":"Product 42","price":100}')
        self.assertEqual(answer.field("ETag"), '"42-1"')
        self.assertRegex(answer.field("Last-Modified"), r" GMT$")

    def test_head_answers_the_head_of_get(self):
        answer = self.api.get("/products/42", method="HEAD")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.field("Content-Length"), "43")

    def test_a_product_that_is_not_there_is_404(self):
        for target in ("/products/101", "/products/0", "/products/x",
                       "/products/1/2", "/products"):
            self.assertEqual(self.api.get(target).status, 404, target)

    def test_a_request_with_the_current_etag_is_304(self):
        for tag, status in (('"42-1"', 304), ('"1-1", W/"42-1"', 304),
                            ("*", 304), ('"42-2"', 200)):
            answer = self.api.get(
                "/products/42", fields={"If-None-Match": tag})
            self.assertEqual(answer.status, status, tag)
        self.assertEqual(self.api.stats()["not_modified"], 3)

    def test_a_request_since_the_last_modification_is_304(self):
        date = self.api.get("/products/42").field("Last-Modified")
        for since, status in ((date, 304),
                              ("Thu, 01 Jan 2015 00:00:00 GMT", 200)):
            answer = self.api.get(
                "/products/42", fields={"If-Modified-Since": since})
            self.assertEqual(answer.status, status, since)

    def test_put_replaces_and_changes_the_etag(self):
        body = b'{"name":"New","price":7.5}'
        answer = self.api.get("/products/42", method="PUT", body=body)
        self.assertEqual(answer.status, 200)
        again = self.api.get("/products/42")
        self.assertEqual(
            again.body, b'{"id":"42","name":"New","price":7.5}')
        self.assertEqual(again.field("ETag"), answer.field("ETag"))
        self.assertNotEqual(again.field("ETag"), '"42-1"')

    def test_put_of_a_new_id_creates(self):
        body = b'{"name":"New","price":7}'
        self.assertEqual(self.api.get(
            "/products/5000", method="PUT", body=body).status, 201)

    def test_patch_changes_what_it_names(self):
        self.assertEqual(self.api.get(
            "/products/42", method="PATCH", body=b'{"price":1}').body,
            b'{"id":"42","name":"Product 42","price":1}')

    def test_post_creates_and_says_where(self):
        answer = self.api.get("/products", method="POST",
                              body=b'{"name":"New","price":7}')
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.field("Location"), "/products/101")
        self.assertEqual(self.api.get("/products/101").status, 200)

    def test_post_of_a_product_that_exists_is_409(self):
        self.assertEqual(self.api.get(
            "/products/42", method="POST",
            body=b'{"name":"New","price":7}').status, 409)

    def test_a_deleted_product_made_again_has_an_etag_of_its_own(self):
        seen = {self.api.get("/products/42").field("ETag")}
        for _ in range(3):
            self.assertEqual(self.api.get(
                "/products/42", method="DELETE").status, 204)
            self.assertEqual(self.api.get("/products/42").status, 404)
            seen.add(self.api.get("/products/42", method="PUT",
                                  body=b'{"name":"a","price":1}')
                     .field("ETag"))
        self.assertEqual(len(seen), 4)

    def test_a_body_that_is_no_product_is_400_and_changes_nothing(self):
        for body in (b"", b"{", b"[]", b"{}", b'{"name":1,"price":1}',
                     b'{"name":"a"}', b'{"name":"a","price":"b"}',
                     b'{"name":"' + b"a" * 600 + b'","price":1}'):
            self.assertEqual(self.api.get(
                "/products/42", method="PUT", body=body).status, 400, body)
        self.assertEqual(self.api.get("/products/42").field("ETag"), '"42-1"')

    def test_a_write_for_another_version_is_412(self):
        self.assertEqual(self.api.get(
            "/products/42", method="DELETE",
            fields={"If-Match": '"42-9"'}).status, 412)
        self.assertEqual(self.api.get(
            "/products/42", method="DELETE",
            fields={"If-Match": '"42-1"'}).status, 204)

    def test_requests_and_queries_are_counted(self):
        for _ in range(3):
            self.api.get("/products/42")
        stats = self.api.stats()
        self.assertEqual(stats["requests"], 3)
        self.assertEqual(stats["queries"], 3)
        self.assertEqual(stats["methods"]["GET"], 3)

    def test_products_outlive_a_restart(self):
        self.api.get("/products/42", method="PATCH", body=b'{"price":1}')
        self.api.stop()
        self.api.start()
        self.assertIn(b'"price":1}', self.api.get("/products/42").body)
        self.assertEqual(self.api.get("/products/101").status, 404)

    def test_an_answer_takes_the_latency_and_delays_no_other(self):
        self.api.control(latency_ms=600_000)
        with Connection(self.api.port) as one:
            one.request("GET", "/products/1")
            self.assertEqual(self.api.get("/header").status, 200)
            self.assertFalse(one.has_bytes(0.001))
        self.api.control(latency_ms=300)
        self.assertGreaterEqual(self.api.get("/products/1").seconds, 0.29)

    def test_a_held_answer_is_older_than_a_later_write(self):
        self.api.control(hold="GET")
        with Connection(self.api.port) as one:
            one.request("GET", "/products/42")
            wait_until(lambda: self.api.stats()["held"] == 1)
            self.assertEqual(self.api.get(
                "/products/42", method="PATCH",
                body=b'{"price":1}').status, 200)
            self.api.control(hold="")
            self.assertIn(b'"price":100}', one.read_response().body)

    def test_a_hundred_thousand_products_are_made_at_the_start(self):
        with SampleOrigin(products=100000) as api:
            self.assertEqual(api.get("/products/100000").status, 200)
            self.assertEqual(api.get("/products/100001").status, 404)

    def test_sigterm_ends_it_with_work_under_way(self):
        with Connection(self.api.port) as asleep, \
                Connection(self.api.port) as slow:
            asleep.request("GET", "/sleep/600000")
            slow.request("GET", "/bytes/1000000000")
            slow.read_head()
            self.api.process.signal(signal.SIGTERM)
            self.assertEqual(self.api.process.wait(), 0)


class TestPaths(FlowTest):
    def setUp(self):
        self.api = self.use(SampleOrigin())

    def test_bytes_are_the_pattern_however_framed(self):
        for target, chunked in (("/bytes/300000", False),
                                ("/bytes/300000?chunked=1", True)):
            answer = self.api.get(target)
            self.assertEqual(answer.is_chunked, chunked)
            self.assertTrue(answer.body == pattern(300000), target)

    def test_bytes_wait_for_a_slow_reader_in_flat_memory(self):
        with Connection(self.api.port, receive_buffer=4096) as slow:
            slow.request("GET", "/bytes/1000000000")
            head = slow.read_head()
            self.assertEqual(head.field("Content-Length"), "1000000000")
            before = self.api.process.memory_kb()
            self.assertEqual(self.api.get("/header").status, 200)
            self.assertLess(self.api.process.memory_kb() - before, 4096)

    def test_the_fields_of_the_query_are_answered(self):
        answer = self.api.get(
            "/header?cache-control=max-age%3D5&set-cookie=a&set-cookie=b")
        self.assertEqual(answer.field("Cache-Control"), "max-age=5")
        self.assertEqual(answer.fields.all("Set-Cookie"), ["a", "b"])

    def test_no_two_answers_are_the_same(self):
        self.assertNotEqual(self.api.get("/header").body,
                            self.api.get("/header").body)

    def test_a_status_is_answered(self):
        seen = set()
        with Connection(self.api.port) as client:
            for status in range(200, 600):
                client.request("GET", f"/status/{status}")
                answer = client.read_response()
                self.assertEqual(answer.status, status)
                if status in (204, 304):
                    self.assertEqual(answer.body, b"")
                else:
                    seen.add(json.loads(answer.body)["answer"])
            self.assertEqual(len(seen), 398)  # each its own
            for what, status in (("100", 400), ("199", 400), ("600", 400),
                                 ("", 404), ("20x", 404), ("-200", 404)):
                client.request("GET", f"/status/{what}")
                self.assertEqual(client.read_response().status, status)

    def test_sleep_takes_its_time(self):
        self.assertGreaterEqual(self.api.get("/sleep/200").seconds, 0.2)

    def test_echo_shows_the_request(self):
        answer = self.api.get("/echo?a=b", fields={"X-One": "1"})
        self.assertEqual(answer.body.decode().splitlines(),
                         ["GET /echo?a=b HTTP/1.1", "Host: test", "X-One: 1"])

    def test_uploads_are_counted_and_hashed(self):
        body = pattern(1000000)
        crc = f"{zlib.crc32(body):08x}"
        chunked = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (
            body[:1], body[1:70000], body[70000:])) + b"0\r\nx: y\r\n\r\n"
        with Connection(self.api.upload_port) as up:
            up.request("PUT", "/x", body=body)
            first = json.loads(up.read_response().body)
            up.send(b"POST /x HTTP/1.1\r\nHost: a\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n" + chunked)
            second = json.loads(up.read_response().body)
            up.request("POST", "/x", body=b"other")
            third = json.loads(up.read_response().body)
        self.assertEqual(first, {"bytes": 1000000, "crc32": crc,
                                 "is_pattern": True})
        self.assertEqual(second, first)
        self.assertEqual(third, {
            "bytes": 5, "crc32": f"{zlib.crc32(b'other'):08x}",
            "is_pattern": False})

    def test_an_upload_with_a_rate_is_read_no_faster(self):
        with Connection(self.api.upload_port) as up:
            start = time.monotonic()
            up.request("PUT", "/x?rate=2000000", body=pattern(2000000))
            self.assertEqual(up.read_response().status, 200)
            self.assertGreater(time.monotonic() - start, 0.4)


class Cluster(FlowTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster = cls.use_in_class(RedisCluster())

    def test_three_primaries_serve_all_slots(self):
        self.assertEqual(len(self.cluster.primaries()), 3)
        for n in range(20):
            key = f"key:{{{n}}}"
            self.assertEqual(self.cluster("SET", key, n, "EX", 60), "OK")
            self.assertEqual(self.cluster("GET", key), str(n).encode())
            self.assertEqual(
                slot_of(key), self.cluster.nodes[0]("CLUSTER", "KEYSLOT", key))

    def test_each_primary_has_a_replica(self):
        for primary in self.cluster.primaries():
            self.assertEqual(len(self.cluster.replicas_of(primary)), 1)

    def test_a_key_asked_of_the_wrong_node_is_moved(self):
        owner = self.cluster.owner_of("a")
        other = next(p for p in self.cluster.primaries() if p is not owner)
        with self.assertRaisesRegex(RedisError, "^MOVED 15495 "):
            other("GET", "a")

    def test_a_slot_under_migration_answers_ask(self):
        slot = slot_of("mover")
        source = self.cluster.owner_of_slot(slot)
        to = next(p for p in self.cluster.primaries() if p is not source)
        self.cluster("SET", "mover", "x", "EX", 60)
        self.cluster.migration_start(slot, to)
        self.assertEqual(
            self.cluster.migration_move_keys(slot, source, to), 1)
        with self.assertRaisesRegex(RedisError, "^ASK "):
            source("GET", "mover")
        self.cluster.migration_end(slot, to)
        wait_until(lambda: self.cluster.owner_of("mover") is to)
        self.assertEqual(self.cluster("GET", "mover"), b"x")


class SmallCluster(FlowTest):
    def test_one_primary_with_two_replicas_fails_over_and_comes_back(self):
        cluster = self.use(RedisCluster(primaries=1, replicas=2))
        old, = cluster.primaries()
        self.assertEqual(len(cluster.replicas_of(old)), 2)
        cluster.kill(old)
        cluster.running()[0]("CLUSTER", "FAILOVER", "TAKEOVER")
        wait_until(lambda: len(cluster.primaries()) == 1, what="a new primary")
        cluster.restart(old)
        cluster.wait_ok()
        self.assertEqual(old.info("replication")["role"], "slave")


class Scripted(FlowTest):
    def test_the_client_sees_the_bytes_of_the_script(self):
        def script(connection, request, n):
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d"
                            % n)
            return request.target != "/last"

        with ScriptedOrigin(script) as origin, \
                Connection(origin.port) as client:
            client.request("GET", "/first")
            self.assertEqual(client.read_response().body, b"0")
            client.request("POST", "/last", body=b"abc")
            self.assertEqual(client.read_response().body, b"1")
            self.assertTrue(client.is_closed())
            self.assertEqual(origin.requests[1].body, b"abc")

    def test_the_client_refuses_what_breaks_http(self):
        for answer in (b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
                       b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                       b"Content-Length: 1\r\n\r\na",
                       b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                       b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"1 \r\na\r\n0\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"1\r\nab\r\n0\r\n\r\n",
                       b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n"):
            with ScriptedOrigin(lambda c, r, n: c.send(answer)) as origin:
                with self.assertRaises(WireError, msg=answer):
                    fetch(origin.port, "/")


if __name__ == "__main__":
    unittest.main()
