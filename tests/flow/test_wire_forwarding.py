"""Fields that nobody keys and servers believe: the scanners' whole list.

A stranger's forwarding fields never reach the origin, be they about host,
scheme, port, path, method or address; so no answer made of them can be stored
for others. A trusted proxy's do, and are part of the key.
"""

import os
import re
import unittest

from lib import FlowTest, Nearside, RedisServer, ScriptedOrigin
from lib.scripted import EchoOrigin, answer, conf, digest

# What the origin of these tests believes, in the spellings that servers,
# frameworks and proxies are known to.
HONOURED = {
    "host": """forwarded forwarded-host forwarded-server host-name http-host
        proxy-host server-name sp-host x-amzn-remapped-host x-backend-host
        x-backend-server x-envoy-original-dst-host x-forward-host
        x-forwarded x-forwarded-host x-forwarded-server x-gateway-host x-host
        x-host-override x-http-host x-http-host-override x-original-host
        x-server-name""",
    "scheme": """cf-visitor cloudfront-forwarded-proto forwarded-proto
        front-end-https https https-from-lb ssl ssl-https ssl-offloaded
        server-protocol x-arr-ssl x-client-proto x-forward-proto
        x-forwarded-proto x-forwarded-protocol x-forwarded-scheme
        x-forwarded-ssl x-https x-nfsn-https x-orchestra-scheme
        x-originally-forwarded-proto x-remote-protocol x-scheme x-ssl
        x-url-scheme""",
    "port": """forwarded-port proxy-port server-port server-port-secure
        x-forwarded-port x-server-port""",
    "path": """base-url context-path path-base script-name x-base-url
        x-envoy-original-path x-forwarded-path x-forwarded-prefix
        x-script-name""",
    "target": """http-url orig-path-info path-info path-translated proxy
        proxy-request-fulluri proxy-url query-string querystring request-uri
        unencoded-url x-accel-mapping x-accel-redirect x-cf-url
        x-forwarded-uri x-http-destinationurl x-http-path-override
        x-invoke-path x-matched-path x-middleware-rewrite
        x-middleware-subrequest x-myqee-system-pathinfo x-ning-request-uri
        x-original-path x-original-uri x-original-url x-override-url
        x-proxy-url x-rewrite-uri x-rewrite-url x-sendfile-type
        x-teamsite-preremap x-waws-unencoded-url""",
    "method": """real-method request-method x-ajax-real-method x-http-method
        x-http-method-override x-method-override x-original-http-command""",
    "address": """ali-cdn-real-ip cdn-src-ip cf-connecting-ip cf-pseudo-ipv4
        client-address client-ip clientaddress clientip
        cloudfront-viewer-address coming-from do-connecting-ip
        fastly-client-ip fly-client-ip forwarded-for forwarded-for-ip
        http-client-ip incap-client-ip local-addr pc-remote-addr
        proxy-client-ip real-ip remote-addr remote-host remote-host-wp
        rlnclientipaddr source-ip true-client-ip wl-proxy-client-ip
        x-appengine-user-ip x-azc-remote-addr x-azure-clientip
        x-azure-socketip x-cisco-bbsm-clientip x-client-host x-client-ip
        x-clientip x-cluster-client-ip x-coming-from
        x-custom-ip-authorization x-envoy-external-address x-envoy-internal
        x-fb-user-remote-addr x-forward-for x-forwarded-by x-forwarded-for
        x-forwarded-for-original x-forwarder-for x-ip x-ip-trail
        x-kaltura-remote-addr x-nokia-ipaddress x-orig-client
        x-original-forwarded-for x-original-remote-addr
        x-originally-forwarded-for x-originating-ip x-proxyuser-ip x-real-ip
        x-remote-addr x-remote-ip x-sakura-forwarded-for x-true-client-ip
        x-vercel-forwarded-for x-wap-network-client-ip xxx-real-ip""",
}
BELIEVED = {name for names in HONOURED.values() for name in names.split()}

# We say these ourselves.
OWN = {"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded",
       "via", "host"}

# These end at this hop, or are about the message itself.
HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding",
       "upgrade", "proxy-authenticate", "proxy-authorization",
       "proxy-connection", "expect"}

# What looks like a forwarding field and is none that anybody believes.
NO_FORWARDING = re.compile(
    r"(meth|msg|url|version|status|download|server-(?!name|port|prot)|client-"
    r"(?!ip|addr)|error|redirect|params|bae|request-(error|method-|uri-too)"
    r"|https-(key|sec|server)|cert|sec-|shib|e-|test|header|content|access|"
    r"support|socket|safe|devblocks|deflate|encoding|enable|disable|public)")
UNMISTAKABLE = re.compile(
    r"forward|host$|^x-.*(host|scheme|proto|https|ssl|-url|-uri|addr)|-ip$"
    r"|client-?ip|real-ip|method-override|remote-(addr|host)")
# Of those, what is not: a name of an application's own.
PASSED = {"max-forwards", "x-flx-redirect-url", "x-prototype-version",
          "request2-tests-proxy-host"}


def listed():
    """The names of data/header_names.txt."""
    names = set()
    path = os.path.join(os.path.dirname(__file__), "data/header_names.txt")
    with open(path) as f:
        for line in f:
            begin, *ends = line.split() or ["#"]
            if begin.startswith("#"):
                continue
            begin = "" if begin == "=" else begin[:-1]
            names.update(begin + ("" if end == "-" else end) for end in ends)
    return sorted(names)


def plain(name):
    """As a server that makes variables of names reads it."""
    return name.lower().replace("_", "-")


class BelievingOrigin(ScriptedOrigin):
    """The body says all that it was told of the client and the target."""

    def __init__(self):
        super().__init__(self._answer)

    def _answer(self, connection, request, n):
        del n
        told = [f"{name}={value}" for name, value in request.fields.fields
                if plain(name) in BELIEVED | OWN]
        text = f"{request.method} {request.target} {' '.join(told)}"
        fields = [("Cache-Control", "max-age=60")]
        body = b"" if request.method == "HEAD" else text.encode("latin-1")
        return answer(connection, body, fields, length=len(text))


class Forwarding(FlowTest):
    more = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.redis = cls.use_in_class(RedisServer())
        cls.origin = cls.use_in_class(BelievingOrigin())
        cls.daemon = cls.use_in_class(Nearside(conf(
            cls.origin.url, redis=cls.redis, workers=1, more=cls.more,
            routes='route "/kept/*" { }', limits="connections_per_ip = 0")))
        cls.client = cls.use_in_class(cls.daemon.connect())

    def ask(self, target, fields=(), host="test"):
        self.client.request("GET", target, fields, host=host)
        return self.client.read_response()

    def arrives(self, names, value="evil"):
        """Which of the names the origin gets to see with that value."""
        names = [name for name in names if name not in HOP | {"host"}
                 and not name.startswith(("content-length", "transfer-enc"))]
        found = set()
        for at in range(0, len(names), 80):
            got = self.ask("/through", [(n, value)
                                        for n in names[at:at + 80]])
            self.assertEqual(got.status, 200)
            found.update(name.lower() for name, said in
                         self.origin.requests[-1].fields.fields
                         if said == value)
        return found


class Stranger(Forwarding):
    def test_the_list_is_whole(self):
        """Not a name is lost, added or misread: who changes the list changes
        the two figures."""
        names = listed()
        self.assertEqual(len(names), 1145)
        self.assertEqual(digest("\n".join(names).encode())[:16],
                         "6e449d4e37aa5656")
        self.assertEqual(BELIEVED - set(names), set())
        self.assertEqual(sum(len(kind.split())
                             for kind in HONOURED.values()), len(BELIEVED))
        for name in names:
            self.assertRegex(name, r"\A[0-9a-z_.-]+\Z")

    def test_no_forwarding_reaches_the_origin(self):
        self.assertEqual(self.arrives(sorted(BELIEVED)), set())

    def test_of_the_whole_list_only_what_is_no_forwarding_arrives(self):
        names = [n for n in listed() if "_" not in n]
        found = self.arrives(names)
        believed = {name for name in names if UNMISTAKABLE.search(name)
                  and not NO_FORWARDING.match(name)}
        self.assertEqual(believed & found, PASSED)
        lost = set(names) - found - BELIEVED - HOP - OWN
        for name in ("accept", "authorization", "cookie", "origin",
                     "user-agent", "x-api-key", "x-requested-with",
                     "x-request-id", "x-wap-profile", "x-te", "hosti", "url",
                     "x-csrf-token", "sec-websocket-key", "x-server-id"):
            self.assertIn(name, found)
        self.assertLess(len(lost), 10, lost)

    def test_no_name_with_an_underscore_arrives(self):
        names = sorted({n.replace("-", "_") for n in listed() if "-" in n}
                       | {"__requestUri", "X_FORWARDED_HOST"})
        self.assertEqual(self.arrives(names), set())

    def test_no_forwarding_poisons_what_is_stored(self):
        for i, name in enumerate(sorted(BELIEVED)):
            with self.subTest(name=name):
                target = f"/kept/poison-{i}"
                first = self.ask(target, [(name.title(), "evil")])
                self.assertNotIn(b"evil", first.body)
                second = self.ask(target)
                self.assertIn("hit", second.cache_status)
                self.assertEqual(second.body, first.body)

    def test_much_forwarding_at_once_and_twice_are_no_better(self):
        names = sorted(BELIEVED)[:45]
        self.ask("/kept/all", [(n, "evil") for n in names + names])
        self.assertNotIn(b"evil", self.ask("/kept/all").body)

    def test_connection_takes_no_forwarding_out(self):
        """What a proxy before us has said must not be nominated away."""
        for name in sorted(BELIEVED):
            with self.subTest(name=name), self.daemon.connect() as client:
                client.request("GET", "/x", {"Connection": name})
                self.assertEqual(client.read_response().status, 400)

    def test_one_host_is_one_key_and_one_request(self):
        """The origin sees no spelling that the key does not have."""
        for i, host in enumerate(("TEST", "test:80", "Test:", "tEST:80")):
            with self.subTest(host=host):
                first = self.ask(f"/kept/host-{i}", host=host)
                self.assertNotRegex(first.body, rb"[A-Z]EST|Test|test:")
                self.assertEqual(self.origin.requests[-1].fields["Host"],
                                 "test")
                second = self.ask(f"/kept/host-{i}")
                self.assertIn("hit", second.cache_status)
                self.assertEqual(second.body, first.body)

    def test_another_host_is_another_key(self):
        self.ask("/kept/other", host="evil")
        self.assertNotIn(b"evil", self.ask("/kept/other").body)
        self.ask("/kept/other", host="test:8080")
        self.assertNotIn(b"8080", self.ask("/kept/other").body)


class TrustedProxy(Forwarding):
    more = 'trusted_proxies = { "127.0.0.0/8" }'

    def test_it_is_believed_but_for_method_and_target(self):
        found = self.arrives(sorted(BELIEVED))
        for kind in ("scheme", "port", "path", "address"):
            for name in HONOURED[kind].split():
                if name not in OWN and name != "proxy-port":
                    self.assertIn(name, found)
        for kind in ("target", "method"):
            for name in HONOURED[kind].split():
                if name != "x-forwarded-uri":
                    self.assertNotIn(name, found)

    def test_what_it_says_of_the_clients_view_is_keyed(self):
        for kind in ("host", "scheme", "port", "path"):
            for name in HONOURED[kind].split():
                with self.subTest(name=name):
                    target = f"/kept/view-{name}"
                    first = self.ask(target, {name: "one"})
                    other = self.ask(target, {name: "two"})
                    self.assertNotIn(b"one", other.body.split(b" ", 2)[2])
                    again = self.ask(target, {name: "one"})
                    self.assertEqual(again.body, first.body)
                    self.assertNotIn(b"=one", self.ask(target).body)

    def test_the_scheme_goes_out_as_it_is_keyed(self):
        for said, sent in (("https", "https"), ("HTTPS", "https"),
                           ("https, http", "http"), ("http", "http"),
                           ("javascript", "http"), ("", "http"),
                           ("http, https", "https")):
            with self.subTest(said=said):
                self.ask("/through", {"X-Forwarded-Proto": said})
                fields = self.origin.requests[-1].fields
                self.assertEqual(fields["X-Forwarded-Proto"], sent)
                self.assertIn(f"proto={sent}", fields["Forwarded"])


del Forwarding

class Scheme(FlowTest):
    """A target in absolute-form names its scheme (RFC 9112 3.3)."""

    TARGET = "https://test/x?a=1"

    def test_https_over_a_plain_connection_is_misdirected(self):
        """RFC 9110 15.5.20: from anybody but a trusted proxy."""
        origin = self.use(EchoOrigin())
        daemon = self.use(Nearside(conf(origin.url)))
        for target in (self.TARGET, "https://test", "HTTPS://TEST:443/"):
            with self.subTest(target=target):
                self.assertEqual(daemon.get(target).status, 421)
        self.assertEqual(origin.requests, [])

    def test_a_trusted_proxy_may_say_so(self):
        origin = self.use(EchoOrigin())
        daemon = self.use(Nearside(conf(
            origin.url, more='trusted_proxies = { "127.0.0.1" }')))
        self.assertEqual(daemon.get(self.TARGET).status, 200)
        request = origin.requests[-1]
        self.assertEqual(request.target, "/x?a=1")
        self.assertEqual(request.fields["X-Forwarded-Proto"], "https")


if __name__ == "__main__":
    unittest.main()
