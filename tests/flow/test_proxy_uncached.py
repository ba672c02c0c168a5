"""What is not cached says why: each answer, the start, and the log once."""

import re
import unittest

from lib import FlowTest, Nearside, RedisServer, ScriptedOrigin
from lib.scripted import answer, conf

ROUTE = 'route "/a/*" { ttl = 60s }\n'


class Uncached(FlowTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.redis = cls.use_in_class(RedisServer())

    def origin(self, fields=(), status="200 OK"):
        return self.use(ScriptedOrigin(
            lambda connection, request, n: answer(
                connection, b"x", fields, status)))

    def daemon(self, origin, routes=ROUTE, redis=True, more=""):
        return self.use(Nearside(conf(
            origin.url, routes, redis=self.redis if redis else None,
            more=more)))

    @staticmethod
    def ask(daemon, targets, fields=()):
        """By turns over two connections; the last answer's Cache-Status."""
        got = None
        with daemon.connect() as one, daemon.connect() as two:
            for i, target in enumerate(targets):
                client = (one, two)[i % 2]
                client.request("GET", target, fields)
                got = client.read_response()
        return got.field("Cache-Status")

    @staticmethod
    def warnings(daemon):
        """All that it has said when it has ended."""
        return re.findall(r"warn route_not_cached (.*)", daemon.whole_log())

    # --- nothing at all ---------------------------------------------------

    def test_without_redis_and_memory_the_start_and_each_answer_say_so(self):
        daemon = self.daemon(self.origin(), redis=False,
                             more="memory { size = 0 }\n")
        daemon.wait_log(r"warn nothing_cached cause=\".*redis.*\" cure=")
        for _ in range(2):
            self.assertEqual(daemon.get("/a/1").field("Cache-Status"),
                             "nearside; fwd=uri-miss; detail=no-redis")
        self.ask(daemon, [f"/a/{i}" for i in range(110)])
        self.assertEqual(self.warnings(daemon), [])  # it was said

    def test_without_redis_what_else_is_in_the_way_is_said_too(self):
        daemon = self.daemon(self.origin([("Cache-Control", "private")]),
                             redis=False)
        self.assertIn("detail=private", daemon.get("/a/1").field("Cache-Status"))

    # --- one route --------------------------------------------------------

    def test_a_hundred_answers_and_none_stored_is_one_warning(self):
        """One cookie that a script adds is enough."""
        daemon = self.daemon(self.origin(), 'route "/cookie/*" { }')
        cookie = [("Cookie", "_ga=GA1.2")]
        said = self.ask(daemon, [f"/cookie/{i}" for i in range(99)], cookie)
        self.assertEqual(said, "nearside; fwd=bypass; detail=cookie")
        self.ask(daemon, [f"/cookie/{i}" for i in range(99, 220)], cookie)
        warned = self.warnings(daemon)
        self.assertEqual(len(warned), 1)
        self.assertTrue(warned[0].startswith(
            'route="/cookie/*" answered="100" stored="0" cause="cookie" '
            'cure="'), warned)
        self.assertIn("cookie = ignore", warned[0])
        self.assertIn("cookies", warned[0])

    def test_the_cause_is_the_one_of_most_answers(self):
        origin = self.use(ScriptedOrigin(
            lambda c, r, n: answer(c, b"x", [(
                "Cache-Control", "private" if n % 3 else "no-store")])))
        daemon = self.daemon(origin, 'route "/most/*" { }')
        # A URL that is asked for again says no more why.
        self.ask(daemon, [f"/most/{i // 4}" for i in range(110)])
        daemon.wait_log(r'route_not_cached .* cause="private"')

    def test_what_has_been_stored_once_is_not_warned_of(self):
        daemon = self.daemon(self.origin(), 'route "/once/*" { }\n'
                             'route "/passed/*" { read = pass }')
        cookie = [("Cookie", "a=b")]
        self.ask(daemon, ["/once/stored"])
        for base in ("/once", "/passed"):
            self.ask(daemon, [f"{base}/{i}" for i in range(110)], cookie)
        self.assertEqual(self.warnings(daemon), [])


if __name__ == "__main__":
    unittest.main()
