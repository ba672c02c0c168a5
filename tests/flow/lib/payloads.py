"""What is sent to the daemon, from both sides: the table of attacks as bytes.

Rows are numbered as the table numbers them; 0 is none of it. What scanners
and fuzzers send (permutations of names and values that hide a framing field,
chunk lines that two readers end in two places) stands beside the literal
bytes of the table.
"""

from .scripted import digest

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"

# --- Requests -------------------------------------------------------------


def head(*lines, method="POST", target="/x", host=True):
    first = f"{method} {target} HTTP/1.1".encode("latin-1")
    rows = [first] + ([b"Host: test"] if host else []) + list(lines)
    return b"\r\n".join(rows) + b"\r\n\r\n"


def length(value, body=b"hello", **more):
    return head(b"Content-Length:" + value, **more) + body


def coding(value, body=b"5\r\nhello\r\n0\r\n\r\n", **more):
    return head(b"Transfer-Encoding:" + value, **more) + body


def chunked(body, **more):
    return coding(b" chunked", body, **more)


def get(target, *lines):
    return head(*lines, method="GET", target=target)


def line(text):
    return text + b"\r\nHost: test\r\n\r\n"


CL5 = b"Content-Length: 5"
TE = b"Transfer-Encoding: chunked"

# (row of the table, what, bytes, status): refused by the head alone, so that
# the origin hears nothing at all.
REQUEST_HEADS = [
    (1, "length, then coding", head(CL5, TE) + b"0\r\n\r\n", 400),
    (1, "coding, then length", head(TE, CL5) + b"0\r\n\r\n", 400),
    (2, "two lengths", head(CL5, b"Content-Length: 6") + b"hello", 400),
    (3, "one length twice", head(CL5, CL5) + b"hello", 400),
    (4, "a list of one length", length(b" 5, 5"), 400),
    (4, "a list of two", length(b" 5, 10"), 400),
    (4, "a list of three", length(b" 5, 5, 5"), 400),
    (4, "a list with an empty member", length(b" 5,"), 400),
    (4, "length and a hidden one", head(
        CL5, b"Content-Length\t: 6") + b"hello", 400),
    (5, "plus", length(b" +5"), 400),
    (6, "minus", length(b" -1"), 400),
    (6, "minus zero", length(b" -0"), 400),
    *((7, f"length {v}", length(b" " + v), 400) for v in (
        b"0x10", b"0o5", b"1_0", b"1 0", b"5e0", b"5.0", b"5Z", b"5;",
        b"five", b'"5"', b"5\xa0", b"\xb2", b"0x", b"#5")),
    (8, "empty length", length(b""), 400),
    (8, "empty, then five", head(b"Content-Length:", CL5) + b"hello", 400),
    (9, "2^64 + 5", length(b" 18446744073709551621"), 400),
    (9, "30 digits", length(b" " + b"9" * 30), 400),
    (12, "blank behind the name", head(b"Content-Length : 5") + b"hello", 400),
    *((14, f"Connection: {n}", get("/x", b"Connection: " + n), 400) for n in (
        b"content-length", b"transfer-encoding", b"te", b"host",
        b"cache-control", b"authorization", b"cookie", b"via", b"forwarded",
        b"x-forwarded-for", b"close, x-forwarded-host", b"x-forwarded-prefix",
        b"x-real-ip", b"X-Original-Host", b"expect", b"accept-encoding",
        b"if-none-match", b"max-forwards")),
    (14, "two Connections", get("/x", b"Connection: close",
                                b"Connection: host"), 400),
    *((15, f"coding {v}", coding(b" " + v), 400) for v in (
        b"identity", b"xchunked", b'"chunked"', b"'chunked'", b"chunked;a=b",
        b"chunked;", b"cow", b"chunk", b"cow chunked bar", b"chunked chunked",
        b"deflate", b"chunked\\", b"ch\x96nked", b"CHUNKED,", b"\\chunked")),
    (16, "chunked, gzip", coding(b" chunked, gzip"), 400),
    (16, "chunked, identity", coding(b" chunked, identity"), 400),
    (16, "identity, chunked, identity",
     coding(b" identity, chunked, identity"), 400),
    (17, "identity, chunked", coding(b" identity, chunked"), 400),
    (17, "cow, chunked", coding(b" cow, chunked"), 400),
    (17, "gzip, chunked", coding(b" gzip, chunked"), 400),
    *((18, f"coding {v}", coding(b" " + v), 400) for v in (
        b",chunked", b"chunked,", b"chunked,chunked")),
    (19, "two codings", head(TE, TE) + b"0\r\n\r\n", 400),
    (19, "and identity", head(TE, b"Transfer-Encoding: identity")
     + b"0\r\n\r\n", 400),
    (20, "empty coding", coding(b""), 400),
    *((21, f"coding with {b:#x}", coding(b" chunked" + bytes([b])), 400)
      for b in (0x0b, 0x0c, 0xa0, 0x85, 0x00, 0xff)),
    (21, "VT before it", coding(b"\x0bchunked"), 400),
    (22, "folded coding", coding(b"\r\n chunked"), 400),
    (22, "folded coding, by tab", coding(b"\r\n\tchunked"), 400),
    (22, "coding folded by LF", coding(b"\n chunked"), 400),
    (22, "coding folded by LF and VT", coding(b" \n\x0bchunked"), 400),
    (22, "a fold that hides a coding", head(
        b"Foo: bar\r\n Transfer-Encoding: chunked", CL5) + b"hello", 400),
    (22, "a tab that hides a coding", head(
        b"Foo: bar\r\n\tTransfer-Encoding: chunked", CL5) + b"hello", 400),
    (23, "blank behind", head(b"Transfer-Encoding : chunked")
     + b"0\r\n\r\n", 400),
    *((23, f"name {n}", head(n + b": chunked", CL5) + b"0\r\n\r\n", 400)
      for n in (b"Transfer-Encoding\t", b"Transfer Encoding",
                b"Transfer-Encoding x", b"Transfer\\Encoding",
                b"Transf\x82r-Encoding", b"Tra\rnsfer-Encoding",
                b"Transfer-Encoding\r", b"\x0bTransfer-Encoding",
                b"\x00Transfer-Encoding", b"Transfer-Encoding\x00",
                b"\xffTransfer-Encoding", b"Transfer-Encoding\n ")),
    (23, "CR before a coding", head(
        b"Foo: bar\rTransfer-Encoding: chunked", CL5) + b"hello", 400),
    (23, "LF before a coding", head(
        b"Foo: bar\nTransfer-Encoding: chunked", CL5) + b"hello", 400),
    (23, "CR begins the line", head(
        b"Foo: bar\r\n\rTransfer-Encoding: chunked", CL5) + b"hello", 400),
    (23, "an empty head line by LF", head(
        b"Foo: bar\n\nTransfer-Encoding: chunked", CL5) + b"hello", 400),
    (23, "CR behind the coding", coding(b" chunked\r"), 400),
    (23, "blank before the first name, as badwrap",
     b"POST /x HTTP/1.1\r\n Content-Length: 5\r\nHost: test\r\n\r\nhello",
     400),
    (25, "coding in 1.0", b"POST /x HTTP/1.0\r\nHost: test\r\n" + TE
     + b"\r\n\r\n0\r\n\r\n", 400),
    (26, "unknown coding", coding(b" br", b""), 400),
    (46, "HTTP/0.9", b"GET /\r\n", 400),
    (47, "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    (48, "HTTP/2.0", line(b"GET /x HTTP/2.0"), 505),
    (48, "HTTP/0.1", line(b"GET /x HTTP/0.1"), 505),
    (49, "HTTP/1.32", line(b"GET /x HTTP/1.32"), 400),
    *((50, f"version {v}", line(b"GET /x " + v), 400) for v in (
        b"HTTP/01.01", b"HTTP/1", b"HTTP/ 1.1", b"http/1.1")),
    (51, "separators in a method", line(b'G=":<> /x HTTP/1.1'), 400),
    (53, "CONNECT", line(b"CONNECT test:80 HTTP/1.1"), 501),
    (53, "TRACE", line(b"TRACE /x HTTP/1.1"), 501),
    *((54, f"request line {v}", line(v), 400) for v in (
        b"GET  /x HTTP/1.1", b"GET /x  HTTP/1.1", b"GET\t/x HTTP/1.1",
        b"GET /x\x0bHTTP/1.1", b"GET /x HTTP/1.1 ")),
    (55, "blank in the target", line(b"GET /x y HTTP/1.1"), 400),
    *((56, f"{b:#x} in the target",
       line(b"GET /x" + bytes([b]) + b"y HTTP/1.1"), 400)
      for b in (0, 1, 0x1f, 0x7f)),
    (57, "byte above 0x7f", line(b"GET /\xc3\xa9 HTTP/1.1"), 400),
    (58, "fragment", line(b"GET /x#y HTTP/1.1"), 400),
    (59, "backslash", line(b"GET /x\\y HTTP/1.1"), 400),
    (60, "%zz", line(b"GET /%zz HTTP/1.1"), 400),
    (60, "% at the end", line(b"GET /%4 HTTP/1.1"), 400),
    (61, "%00", line(b"GET /x%00 HTTP/1.1"), 400),
    (62, "no slash", line(b"GET x HTTP/1.1"), 400),
    (62, "@evil/", line(b"GET @evil/ HTTP/1.1"), 400),
    (62, "* with GET", line(b"GET * HTTP/1.1"), 400),
    (63, "other host in the target", line(b"GET http://evil/ HTTP/1.1"), 400),
    (65, "userinfo", line(b"GET http://u@test/x HTTP/1.1"), 400),
    (65, "ftp", line(b"GET ftp://test/x HTTP/1.1"), 400),
    (65, "no authority", line(b"GET http:///x HTTP/1.1"), 400),
    (65, "one slash", line(b"GET http:/test/x HTTP/1.1"), 400),
    (65, "two authorities", line(b"GET http://test@evil/x HTTP/1.1"), 400),
    (66, "two empty lines first", b"\r\n\r\n" + get("/x"), 400),
    (66, "LF first", b"\n" + get("/x"), 400),
    (66, "blank first", b" " + get("/x"), 400),
    (66, "CR first", b"\r" + get("/x"), 400),
    (66, "an empty line and a blank first", b"\r\n " + get("/x"), 400),
    (67, "LF for all CRLF", get("/x").replace(b"\r", b""), 400),
    (67, "LF after the start line",
     b"GET /x HTTP/1.1\nHost: test\r\n\r\n", 400),
    (67, "LF after a field", b"GET /x HTTP/1.1\r\nHost: test\n\r\n", 400),
    (67, "LF alone at the end", b"GET /x HTTP/1.1\r\nHost: test\r\n\n", 400),
    (68, "CR in the start line", line(b"GET /x\r HTTP/1.1"), 400),
    (68, "CR in a value", get("/x", b"A: b\rc"), 400),
    (68, "CR in a name", get("/x", b"A\r: b"), 400),
    (69, "NUL in a value", get("/x", b"A: b\x00c"), 400),
    (69, "NUL in Host", head(b"Host: a\x00.evil", method="GET",
                             host=False), 400),
    *((70, f"{b:#x} in a value", get("/x", b"A: b" + bytes([b]) + b"c"), 400)
      for b in (1, 8, 0x0b, 0x0c, 0x1b, 0x1f, 0x7f)),
    (72, "folded field", get("/x", b"A: b\r\n c"), 400),
    (73, "blank before the first field",
     b"GET /x HTTP/1.1\r\n Host: test\r\n\r\n", 400),
    (74, "empty name", get("/x", b": b"), 400),
    (75, "no colon", get("/x", b"novalue"), 400),
    (75, "name split by LF", get("/x", b"Na\nme: b"), 400),
    *((76, f"name with {b!r}", get("/x", b"a" + b + b"b: c"), 400)
      for b in (b"@", b" ", b"\x85", b"\t", b"(", b"/", b"\x00", b"\xa0",
                b"=", b";", b",", b"[", b"{", b'"', b"<", b"?", b"\\")),
    (77, "2,000 bytes of method", line(b"G" * 2000 + b" /x HTTP/1.1"), 501),
    (77, "name of 257", get("/x", b"n" * 257 + b": v"), 431),
    (77, "field of 8,001", get("/x", b"n: " + b"v" * 8001), 431),
    (78, "CR and then no LF", b"GET /x HTTP/1.1\r\nHost: test\r\n\rX", 400),
    (79, "no Host", b"GET /x HTTP/1.1\r\n\r\n", 400),
    (79, "two Hosts", get("/x", b"Host: test"), 400),
    (79, "empty Host", head(b"Host:", method="GET", host=False), 400),
    *((80, f"Host {h}", head(b"Host: " + h, method="GET", host=False), 400)
      for h in (b"a,b", b"a b", b"a/b", b"a@b", b"a:99999", b"a:b", b"a:1:2",
                b"http://a", b"a#b", b"a?b", b"a\\b", b"a%00", b"a\xff",
                b"[::1", b"[a]", b"a:-1", b"a:080", b":80", b"a, a", b"a\tb")),
    (81, "1.0 without Host", b"GET /x HTTP/1.0\r\n\r\n", 400),
    (85, "Expect: y", head(b"Expect: y 100-continue", CL5) + b"hello", 417),
    (85, "folded Expect", head(b"Expect:\r\n 100-continue", CL5), (400, 417)),
    (85, "Expect twice", head(b"Expect: 100-continue",
                              b"Expect: 100-continue", CL5) + b"hello", 417),
    (85, "Expect of two", head(b"Expect: 100-continue, x", CL5) + b"hello",
     417),
    (85, "empty Expect", head(b"Expect:", CL5) + b"hello", 417),
    (91, "target of 16 KiB", get("/" + "x" * 16384), 414),
    (92, "2,000 fields", get("/x", *[b"a: b"] * 2000), 431),
    (92, "field of 64 KiB", get("/x", b"a: " + b"b" * 65536), 431),
]

# Found out only in the body: the head may have gone to the origin, but no
# whole request may follow it.
REQUEST_BODIES = [
    *((27, f"chunk size {v!r}", chunked(v + b"\r\nhello\r\n0\r\n\r\n"))
      for v in (b"0x5", b"+5", b"-1", b"-0", b"1_0", b"", b"0_5", b"5h",
                b"5.", b"5,5", b"\x005", b"5\x00", b'"5"', b"0x", b"x", b"%35",
                b"\xff5")),
    (27, "an empty line between chunks",
     chunked(b"5\r\nhello\r\n\r\n0\r\n\r\n")),
    (28, "tab before the size", chunked(b"\t5\r\nhello\r\n0\r\n\r\n")),
    (28, "blank before the last chunk", chunked(b"5\r\nhello\r\n 0\r\n\r\n")),
    (28, "blank before the size", chunked(b" 5\r\nhello\r\n0\r\n\r\n")),
    (29, "blank behind the size", chunked(b"5 \r\nhello\r\n0\r\n\r\n")),
    (30, "junk behind the size", chunked(b"5 junk\r\nhello\r\n0\r\n\r\n")),
    (31, "size above 2^63", chunked(b"8000000000000005\r\nhello\r\n")),
    (31, "17 digits", chunked(b"10000000000000005\r\nhello\r\n")),
    (32, "40 zeros", chunked(b"0" * 40 + b"5\r\nhello\r\n0\r\n\r\n")),
    (33, "64 KiB of extension", chunked(
        b"5;a=" + b"b" * 65536 + b"\r\nhello\r\n0\r\n\r\n")),
    (33, "64 KiB of zeros", chunked(b"0" * 65536)),
    *((34, f"extension {v!r}", chunked(b"5" + v + b"\r\nhello\r\n0\r\n\r\n"))
      for v in (b";\n", b";a\rb", b"\r\r;a", b";\x00", b";\x0b", b";a\x7f",
                b";a=\x01", b';a="\x00"', b"\x0b;a", b"\x0c")),
    (34, "size ended by CR X", chunked(b"5\rXhello\r\n0\r\n\r\n")),
    (34, "last chunk ended by CR X", chunked(b"5\r\nhello\r\n0\rX\r\n")),
    (42, "trailer ended by CR X", chunked(
        b"5\r\nhello\r\n0\r\na: b\rX\r\n")),
    # One reads the line on to its CRLF, the other to the first of these.
    *((34, f"TERM.EXT {v!r}", chunked(
        b"2;" + v + b"xx\r\n2d\r\n0\r\n\r\n" + SMUGGLED + b"\r\n0\r\n\r\n"))
      for v in (b"\n", b"\r", b"\rX", b"\r\r")),
    *((34, f"EXT.TERM {v!r}", chunked(
        b"2d;" + v + b"xx\r\n0\r\n\r\n" + SMUGGLED + b"\r\n0\r\n\r\n"))
      for v in (b"\n", b"\r", b"\rX", b"\r\r")),
    (35, "CRLF in a quoted value", chunked(
        b'5;a="b\r\nc"\r\nhello\r\n0\r\n\r\n')),
    (36, "extension without a name", chunked(b"5;\r\nhello\r\n0\r\n\r\n")),
    (36, "bad name", chunked(b"5;bad[=x\r\nhello\r\n0\r\n\r\n")),
    (38, "size ended by LF", chunked(b"5\nhello\r\n0\r\n\r\n")),
    (39, "data ended by LF", chunked(b"5\r\nhello\n0\r\n\r\n")),
    (40, "data not ended", chunked(b"5\r\nhelloXX0\r\n\r\n")),
    (40, "data spilt", chunked(b"5\r\nhello, world\r\n0\r\n\r\n")),
    # What ends a chunk's data: one takes it for two bytes, one for less.
    *((40, f"SPILL {v!r}", chunked(b"5\r\nhello" + v + b"2d\r\n0\r\n\r\n"
                                   + SMUGGLED + b"\r\n0\r\n\r\n"))
      for v in (b"\n", b"\r", b"", b"XX", b"\rX", b"\r\r", b"\n\r", b"\n\n")),
    (40, "one byte short", chunked(b"4\r\nhello\r\n0\r\n\r\n")),
    (41, "last chunk ended by CR", chunked(b"5\r\nhello\r\n0\r\r")),
    (41, "end ended by CR X", chunked(b"5\r\nhello\r\n0\r\n\rX")),
    (41, "last chunk ended by LF", chunked(b"5\r\nhello\r\n0\n\n")),
    (41, "end ended by LF", chunked(b"5\r\nhello\r\n0\r\n\n")),
    (41, "trailer ended by LF", chunked(b"5\r\nhello\r\n0\r\na: b\n\r\n")),
    (42, "trailer without colon", chunked(b"5\r\nhello\r\n0\r\nab\r\n\r\n")),
    (42, "folded trailer", chunked(
        b"5\r\nhello\r\n0\r\na: b\r\n c\r\n\r\n")),
    (42, "trailer name with a blank", chunked(
        b"5\r\nhello\r\n0\r\na : b\r\n\r\n")),
    (42, "CR in a trailer", chunked(
        b"5\r\nhello\r\n0\r\na: b\rc\r\n\r\n")),
    (42, "20 KiB of trailers", chunked(
        b"5\r\nhello\r\n0\r\n" + b"a: b\r\n" * 4000)),
    (42, "NUL in a trailer", chunked(b"5\r\nhello\r\n0\r\na: \x00\r\n\r\n")),
    (42, "a request as trailer", chunked(
        b"5\r\nhello\r\n0\r\nGET /x HTTP/1.1\r\n\r\n")),
]

HELLO = digest(b"hello")
EMPTY = digest(b"")

# Requests that are taken: (row, what, bytes, method, target, hash of the body).
REQUEST_ACCEPTED = [
    (10, "zeros before", length(b" 005"), "POST", "/x", HELLO),
    (10, "two zeros", length(b" 00", b""), "POST", "/x", EMPTY),
    (11, "a tab before", length(b"\t5"), "POST", "/x", HELLO),
    (11, "white space around", length(b"  5 \t"), "POST", "/x", HELLO),
    (24, "cHuNkEd", coding(b" cHuNkEd"), "POST", "/x", HELLO),
    (24, "all in capitals", head(b"TRANSFER-ENCODING: CHUNKED")
     + b"5\r\nhello\r\n0\r\n\r\n", "POST", "/x", HELLO),
    (24, "white space around", coding(b" \tchunked \t"), "POST", "/x", HELLO),
    (24, "no chunk at all", chunked(b"0\r\n\r\n"), "POST", "/x", EMPTY),
    (24, "what looks like one", head(b"Content-Encoding: chunked", CL5)
     + b"hello", "POST", "/x", HELLO),
    (32, "16 digits", chunked(b"0000000000000005\r\nhello\r\n0\r\n\r\n"),
     "POST", "/x", HELLO),
    (37, "extensions", chunked(b'5;a=b;c="d"\r\nhello\r\n0\r\n\r\n'),
     "POST", "/x", HELLO),
    (43, "trailers", chunked(
        b"5\r\nhello\r\n0\r\nHost: evil\r\nContent-Length: 9\r\n"
        b"Transfer-Encoding: x\r\nAuthorization: y\r\n\r\n"),
     "POST", "/x", HELLO),
    (49, "HTTP/1.2", line(b"GET /x HTTP/1.2"), "GET", "/x", EMPTY),
    (49, "HTTP/1.9", line(b"GET /x HTTP/1.9"), "GET", "/x", EMPTY),
    (52, "get", line(b"get /x HTTP/1.1"), "get", "/x", EMPTY),
    (52, "BREW", line(b"BREW /x HTTP/1.1"), "BREW", "/x", EMPTY),
    (61, "%0d%0a stays", line(b"GET /x%0d%0ay HTTP/1.1"), "GET",
     "/x%0d%0ay", EMPTY),
    (64, "absolute form", line(b"GET http://test/x?y HTTP/1.1"), "GET",
     "/x?y", EMPTY),
    (59, "a query's own bytes", line(
        b"GET /x?p=c:\\d&\"<>|^`{}[]&q=50%&%zz HTTP/1.1"), "GET",
     "/x?p=c:\\d&\"<>|^`{}[]&q=50%&%zz", EMPTY),
    (64, "a query without a path", line(b"GET http://test?a=1 HTTP/1.1"), "GET",
     "/?a=1", EMPTY),
    (64, "without a path", line(b"GET http://test HTTP/1.1"), "GET", "/",
     EMPTY),
    (66, "one empty line first", b"\r\n" + get("/x"), "GET", "/x", EMPTY),
    (64, "scheme in capitals", line(b"GET HTTP://TEST:80/x HTTP/1.1"), "GET",
     "/x", EMPTY),
    (64, "OPTIONS of a host", line(b"OPTIONS http://test HTTP/1.1"), "OPTIONS",
     "*", EMPTY),
    (62, "OPTIONS *", line(b"OPTIONS * HTTP/1.1"), "OPTIONS", "*", EMPTY),
    (80, "Host in capitals", head(b"Host: TEST:80", method="GET", host=False),
     "GET", "/x", EMPTY),
    (80, "Host with an empty port", head(b"Host: test:", method="GET",
                                         host=False), "GET", "/x", EMPTY),
    (82, "GET with a body", length(b" 5", method="GET"), "GET", "/x", HELLO),
    (82, "DELETE with one", chunked(b"5\r\nhello\r\n0\r\n\r\n",
                                    method="DELETE"), "DELETE", "/x", HELLO),
    (82, "OPTIONS with one", length(b" 5", method="OPTIONS"), "OPTIONS", "/x",
     HELLO),
    (82, "a method nobody knows with one", length(b" 5", method="BREW"),
     "BREW", "/x", HELLO),
    (84, "Expect, and the body at once", head(b"Expect: 100-continue", CL5)
     + b"hello", "POST", "/x", HELLO),
    (84, "Expect without a body", head(b"expect: 100-CONTINUE", method="GET"),
     "GET", "/x", EMPTY),
    (93, "a thousand ranges", get("/x", b"Range: bytes=" + b",".join(
        b"%d-" % (i % 10) for i in range(1000))), "GET", "/x", EMPTY),
]

# --- Responses ------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"
FRESH = b"Cache-Control: max-age=60\r\n"


def response(*lines, body=b"", first=OK):
    return first + FRESH + b"".join(x + b"\r\n" for x in lines) + b"\r\n" + body


# (row, what, bytes): the head alone condemns it.
RESPONSE_HEADS = [
    (94, "length and coding", response(
        b"Content-Length: 5", b"Transfer-Encoding: chunked",
        body=b"0\r\n\r\n")),
    (94, "coding and length", response(
        b"Transfer-Encoding: chunked", b"Content-Length: 5",
        body=b"0\r\n\r\n")),
    *((95, f"length {v}", response(b"Content-Length:" + v, body=b"hello"))
      for v in (b" +5", b" -5", b" 5, 5", b" 5, 6", b" 0x5", b"", b" five",
                b" 18446744073709551621", b" 5_0", b" 5 5", b" 5,", b" 5.0",
                b" \xa05", b" 9223372036854775808")),
    (95, "two lengths that differ", response(
        b"Content-Length: 5", b"Content-Length: 6", body=b"hello")),
    (95, "a bad length on 204", response(
        b"Content-Length: x", first=b"HTTP/1.1 204 No Content\r\n")),
    (95, "a bad length on 304", response(
        b"Content-Length: 1, 1", first=b"HTTP/1.1 304 Not Modified\r\n")),
    (95, "one length twice", response(
        b"Content-Length: 5", b"Content-Length: 5", body=b"hello")),
    *((96, f"coding {v}", response(b"Transfer-Encoding:" + v,
                                   body=b"5\r\nhello\r\n0\r\n\r\n"))
      for v in (b" gzip", b" chunked, gzip", b" gzip, chunked", b" x", b"",
                b" chunked, chunked", b' "chunked"', b" identity",
                b" chunked;a=b", b",chunked", b" chunked,", b" xchunked",
                b" chunk", b" \x0bchunked", b" chunked\xa0")),
    (96, "coding on 100", b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: "
     b"chunked\r\n\r\n" + response(b"Content-Length: 5", body=b"hello")),
    (96, "two codings", response(
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked",
        body=b"0\r\n\r\n")),
    (96, "coding on 204", response(
        b"Transfer-Encoding: chunked",
        first=b"HTTP/1.1 204 No Content\r\n")),
    (96, "coding in 1.0", response(
        b"Transfer-Encoding: chunked", first=b"HTTP/1.0 200 OK\r\n",
        body=b"5\r\nhello\r\n0\r\n\r\n")),
    (97, "folded field", response(
        b"A: b", b" c", b"Content-Length: 5", body=b"hello")),
    (97, "NUL", response(b"A: \x00", b"Content-Length: 5", body=b"hello")),
    (97, "CR", response(b"A: b\rc", b"Content-Length: 5", body=b"hello")),
    (97, "LF alone", response(b"A: b\nB: c", b"Content-Length: 5",
                              body=b"hello")),
    (97, "bad name", response(b"A@: b", b"Content-Length: 5", body=b"hello")),
    (97, "no colon", response(b"A", b"Content-Length: 5", body=b"hello")),
    *((97, f"{b:#x} in a value", response(
        b"A: b" + bytes([b]) + b"c", b"Content-Length: 5", body=b"hello"))
      for b in (1, 8, 0x0b, 0x0c, 0x1f, 0x7f)),
    (97, "CR in the reason", response(
        b"Content-Length: 5", first=b"HTTP/1.1 200 O\rK\r\n", body=b"hello")),
    (97, "empty name", response(b": b", b"Content-Length: 5", body=b"hello")),
    (97, "CR begins a line", response(
        b"\rA: b", b"Content-Length: 5", body=b"hello")),
    (97, "blank before the first field", response(
        first=OK + b" A: b\r\nContent-Length: 5\r\n", body=b"hello")),
    (97, "0x85 in a name", response(
        b"A\x85: b", b"Content-Length: 5", body=b"hello")),
    (98, "blank before the colon", response(
        b"Content-Length : 5", body=b"hello")),
    (98, "tab before the colon", response(
        b"Content-Length\t: 5", body=b"hello")),
    (98, "blank behind the coding's name", response(
        b"Transfer-Encoding : chunked", b"Content-Length: 5", body=b"hello")),
    *((99, f"{v!r}", response(b"Content-Length: 5", first=v + b"\r\n",
                              body=b"hello"))
      for v in (b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 2x0 OK",
                b"HTTP/1.1 099 OK", b"HTTP/2.0 200 OK", b"http/1.1 200 OK",
                b"HTTP/1.1  200 OK", b"ICY 200 OK", b"HTTP/1.1",
                b"HTTP/1.1 000 OK", b"HTTP/1.1\t200 OK",
                b"HTTP/1.1 +20 OK", b"HTTP/1.1 200OK", b" HTTP/1.1 200 OK",
                b"HTTP/1.10 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1 200 OK",
                b"\r\nHTTP/1.1 200 OK", b"HTTP/1.1 -20 OK",
                b"HTTP/1.1 20\xb2 OK")),
    (103, "nine interim responses",
     b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9
     + response(b"Content-Length: 5", body=b"hello")),
    (103, "101 not asked for", b"HTTP/1.1 101 Switching Protocols\r\n"
     b"Upgrade: x\r\nConnection: upgrade\r\n\r\nhello"),
    (105, "head above 32 KiB", response(
        *[b"A: " + b"b" * 2000] * 17, b"Content-Length: 5", body=b"hello")),
    (105, "129 fields", response(
        *[b"A: b"] * 129, b"Content-Length: 5", body=b"hello")),
    (0, "garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"),
    (0, "nothing", b""),
    (0, "half a head", OK + b"Content-Le"),
]

# (what, bytes): the head is right and the body is not; then it ends.
RESPONSE_BODIES = [
    ("length cut short", response(b"Content-Length: 50", body=b"hello")),
    ("chunked without its end", response(
        b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n")),
    ("chunk cut short", response(
        b"Transfer-Encoding: chunked", body=b"5\r\nhel")),
    ("chunk size that is none", response(
        b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\nxyz\r\n")),
    ("chunk without CRLF", response(
        b"Transfer-Encoding: chunked", body=b"5\r\nhelloX\r\n0\r\n\r\n")),
    ("LF for CRLF", response(
        b"Transfer-Encoding: chunked", body=b"5\nhello\n0\n\n")),
    *((f"chunk size {v!r}", response(
        b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n" + v
        + b"\r\nhello\r\n0\r\n\r\n"))
      for v in (b"0x5", b"+5", b"-5", b"5_", b" 5", b"5 ", b"5 junk", b"", b"5;",
                b"5;a\rb", b"5;\n", b'5;a="b\r\nc"', b"8000000000000005",
                b"10000000000000005", b"0" * 40 + b"5", b"5\x00")),
    *((f"chunk ended by {v!r}", response(
        b"Transfer-Encoding: chunked", body=b"5\r\nhello" + v
        + b"0\r\n\r\n")) for v in (b"\n", b"\r", b"", b"XX", b"\r\r")),
    ("64 KiB of extension", response(
        b"Transfer-Encoding: chunked", body=b"5;a=" + b"b" * 65536
        + b"\r\nhello\r\n0\r\n\r\n")),
    ("20 KiB of trailers", response(
        b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n"
        + b"a: b\r\n" * 4000 + b"\r\n")),
    ("the end ended by LF", response(
        b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\n")),
    ("trailer that is none", response(
        b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nx\r\n\r\n")),
]
