/*
 * What must be refused and what must be taken, row by row of the table of
 * required behaviour: input bytes, verdict, and for what is taken, how its
 * content ends. Every case is run whole, byte by byte and cut in two at
 * every offset (test_http_parse.c, test_http_chunk.c). Rows that are a
 * matter of sessions, origins or stores have their tests there.
 */
#ifndef TESTS_UNIT_HTTP_CASES_H
#define TESTS_UNIT_HTTP_CASES_H

#include "nearside/http/parse.h"

struct head_case {
    const char *row; /* of the table, or what else asks for it */
    const char *claim;
    struct slice in;
    enum parse_fault fault; /* NONE: taken */
    enum framing framing;
    uint64_t content_length;
    enum method method; /* of a response: what it answers */
};

#define REFUSED(row, claim, in, fault)                                         \
    {                                                                          \
        row, claim, {in, sizeof(in) - 1}, FAULT_##fault, FRAMING_NONE, 0,      \
            METHOD_GET                                                         \
    }
#define TAKEN(row, claim, in, framing, length)                                 \
    {                                                                          \
        row, claim, {in, sizeof(in) - 1}, FAULT_NONE, FRAMING_##framing,       \
            length, METHOD_GET                                                 \
    }
#define TAKEN_BY(method, row, claim, in, framing, length)                      \
    {                                                                          \
        row, claim, {in, sizeof(in) - 1}, FAULT_NONE, FRAMING_##framing,       \
            length, METHOD_##method                                            \
    }

#define LINE             "GET / HTTP/1.1\r\n"
#define HOST             "Host: a.example\r\n"
#define WITH(fields)     "POST /p HTTP/1.1\r\n" HOST fields "\r\n"
#define TO(target)       "GET " target " HTTP/1.1\r\n" HOST "\r\n"
#define VERSION(version) "GET / " version "\r\n" HOST "\r\n"
#define METHOD(method)   method " / HTTP/1.1\r\n" HOST "\r\n"
#define HOSTED(host)     LINE "Host: " host "\r\n\r\n"
#define CL(value)        WITH("Content-Length: " value "\r\n")
#define TE(value)        WITH("Transfer-Encoding: " value "\r\n")

static const struct head_case request_cases[] = {
    TAKEN("-", "a plain request", LINE HOST "\r\n", NONE, 0),
    REFUSED("1", "length, then coding",
        WITH("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        LENGTH_AND_CODING),
    REFUSED("1", "coding, then length",
        WITH("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        LENGTH_AND_CODING),
    REFUSED("1", "coding and length 0",
        WITH("transfer-encoding: chunked\r\nX: y\r\ncontent-length: 0\r\n"),
        LENGTH_AND_CODING),
    REFUSED("2", "two lengths that differ",
        WITH("Content-Length: 5\r\nContent-Length: 6\r\n"), LENGTH_MANY),
    REFUSED("3", "two lengths alike",
        WITH("Content-Length: 5\r\nX: y\r\nContent-Length: 5\r\n"),
        LENGTH_MANY),
    REFUSED("4", "a list of lengths alike", CL("5, 5"), LENGTH),
    REFUSED("4", "a list of lengths that differ", CL("5, 10"), LENGTH),
    REFUSED("5", "a signed length", CL("+5"), LENGTH),
    REFUSED("6", "a negative length", CL("-1"), LENGTH),
    REFUSED("6", "a negative zero", CL("-0"), LENGTH),
    REFUSED("7", "a hex length", CL("0x10"), LENGTH),
    REFUSED("7", "an octal length", CL("0o5"), LENGTH),
    REFUSED("7", "an underscore within", CL("1_0"), LENGTH),
    REFUSED("7", "a space within", CL("1 0"), LENGTH),
    REFUSED("7", "an exponent", CL("5e0"), LENGTH),
    REFUSED("7", "a fraction", CL("5.0"), LENGTH),
    REFUSED("7", "a letter behind", CL("5Z"), LENGTH),
    REFUSED("8", "an empty length", CL(""), LENGTH),
    REFUSED("8", "an empty length, then 5",
        WITH("Content-Length:\r\nContent-Length: 5\r\n"), LENGTH_MANY),
    REFUSED("9", "2^64 + 5", CL("18446744073709551621"), LENGTH),
    REFUSED("9", "2^63", CL("9223372036854775808"), LENGTH),
    REFUSED("9", "30 digits", CL("100000000000000000000000000005"), LENGTH),
    TAKEN("9", "2^63 - 1", CL("9223372036854775807"), LENGTH,
        UINT64_C(9223372036854775807)),
    TAKEN("10", "leading zeros", CL("005"), LENGTH, 5),
    TAKEN("10", "0200 is decimal", CL("0200"), LENGTH, 200),
    TAKEN("11", "spaces and tabs around", CL(" \t 5 \t"), LENGTH, 5),
    TAKEN("11", "none before", WITH("Content-Length:5\r\n"), LENGTH, 5),
    TAKEN("-", "length 0", CL("0"), LENGTH, 0),
    REFUSED("12", "a space before the colon", WITH("Content-Length : 5\r\n"),
        NAME_SPACE),
    REFUSED("12", "a tab before the colon", WITH("Content-Length\t: 5\r\n"),
        NAME_SPACE),
    TAKEN("13", "Content_Length is dropped", WITH("Content_Length: 5\r\n"),
        NONE, 0),
    TAKEN("13", "Transfer_Encoding is dropped",
        WITH("Transfer_Encoding: chunked\r\nContent-Length: 3\r\n"), LENGTH, 3),
    REFUSED("14", "Connection names Content-Length",
        WITH("Content-Length: 5\r\nConnection: content-length\r\n"),
        CONNECTION_NAMES),
    REFUSED("14", "Connection names Transfer-Encoding",
        WITH("Connection: close, Transfer-Encoding\r\n"), CONNECTION_NAMES),
    REFUSED("14", "Connection names TE that is not there",
        WITH("Connection: te\r\n"), CONNECTION_NAMES),
    TAKEN("14", "Connection names TE beside it (RFC 9110 10.1.4)",
        WITH("TE: trailers\r\nConnection: TE, close\r\n"), NONE, 0),
    REFUSED("14", "Connection names Host", WITH("Connection: Host\r\n"),
        CONNECTION_NAMES),
    REFUSED("14", "Connection names Cache-Control",
        WITH("Connection: cache-control\r\n"), CONNECTION_NAMES),
    REFUSED("14", "Connection names Authorization",
        WITH("Connection: keep-alive ,authorization\r\n"), CONNECTION_NAMES),
    REFUSED("14", "a second Connection names Cookie",
        WITH("Connection: keep-alive\r\nConnection: cookie\r\n"),
        CONNECTION_NAMES),
    REFUSED("14", "Connection names Via", WITH("Connection: via\r\n"),
        CONNECTION_NAMES),
    REFUSED("14", "Connection names Forwarded",
        WITH("Connection: forwarded\r\n"), CONNECTION_NAMES),
    REFUSED("14", "Connection names X-Forwarded-For",
        WITH("Connection: X-Forwarded-For\r\n"), CONNECTION_NAMES),
    REFUSED("14", "Connection names an X-Forwarded-* we do not know",
        WITH("Connection: x-forwarded-prefix\r\n"), CONNECTION_NAMES),
    TAKEN("14", "Connection names a field of its own",
        WITH("Connection: x-hop, ,\r\nX-Hop: 1\r\n"), NONE, 0),
    REFUSED("14", "an option that is no token",
        WITH("Connection: close; content-length\r\n"), CONNECTION),
    REFUSED("15", "coding identity", TE("identity"), CODING),
    REFUSED("15", "coding xchunked", TE("xchunked"), CODING),
    REFUSED("15", "a quoted coding", TE("\"chunked\""), CODING),
    REFUSED("15", "a coding with a parameter", TE("chunked;a=b"), CODING),
    REFUSED("15", "coding cow", TE("cow"), CODING),
    REFUSED("16", "chunked is not the last", TE("chunked, gzip"), CODING),
    REFUSED("17", "gzip, chunked", TE("gzip, chunked"), CODING),
    REFUSED("18", "an empty element before", TE(",chunked"), CODING),
    REFUSED("18", "an empty element behind", TE("chunked,"), CODING),
    REFUSED("18", "chunked twice", TE("chunked,chunked"), CODING),
    REFUSED("19", "two lines of codings",
        WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        CODING_MANY),
    REFUSED("19", "two lines, the first unknown",
        WITH("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n"),
        CODING_MANY),
    REFUSED("20", "an empty coding", TE(""), CODING),
    REFUSED("21", "a coding with VT", TE("\vchunked"), CONTROL),
    REFUSED("21", "a coding with FF", TE("chunked\f"), CONTROL),
    REFUSED("21", "a coding with NUL", TE("chunked\0"), CONTROL),
    REFUSED("21", "a coding with 0xa0",
        TE("\xa0"
           "chunked"),
        CODING),
    REFUSED("21", "a coding with 0x85", TE("chunked\x85"), CODING),
    REFUSED("21", "a coding with 0xff", TE("chunked\xff"), CODING),
    REFUSED("22", "a folded coding", TE("\r\n chunked"), FOLD),
    REFUSED("22", "a folded coding, by tab", TE("chunked\r\n\tx"), FOLD),
    REFUSED("23", "a space before the colon",
        WITH("Transfer-Encoding : chunked\r\n"), NAME_SPACE),
    TAKEN("24", "cHuNkEd", TE("cHuNkEd"), CHUNKED, 0),
    TAKEN("24", "tRANSFER-eNCODING", WITH("tRANSFER-eNCODING: chunked\r\n"),
        CHUNKED, 0),
    REFUSED("25", "a coding in HTTP/1.0",
        "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
        CODING_OLD),
    REFUSED("26", "an unknown coding", TE("foo"), CODING),
    REFUSED("46", "HTTP/0.9", "GET /\r\n", VERSION),
    REFUSED("46", "HTTP/0.9 with a space", "GET / \r\n", VERSION),
    REFUSED("47", "the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        TARGET_FORM),
    REFUSED("48", "HTTP/2.0", VERSION("HTTP/2.0"), VERSION_UNKNOWN),
    REFUSED("48", "HTTP/0.1", VERSION("HTTP/0.1"), VERSION_UNKNOWN),
    TAKEN("49", "HTTP/1.2", VERSION("HTTP/1.2"), NONE, 0),
    TAKEN("49", "HTTP/1.9", VERSION("HTTP/1.9"), NONE, 0),
    REFUSED("49", "HTTP/1.32", VERSION("HTTP/1.32"), VERSION),
    REFUSED("50", "HTTP/01.01", VERSION("HTTP/01.01"), VERSION),
    REFUSED("50", "HTTP/1", VERSION("HTTP/1"), VERSION),
    REFUSED("50", "HTTP/1.", VERSION("HTTP/1."), VERSION),
    REFUSED("50", "HTTP/ 1.1", VERSION("HTTP/ 1.1"), VERSION),
    REFUSED("50", "http/1.1", VERSION("http/1.1"), VERSION),
    REFUSED("50", "HTTPS/1.1", VERSION("HTTPS/1.1"), VERSION),
    REFUSED("51", "a method with separators", METHOD("G=\":<>"), METHOD),
    REFUSED("51", "a method that begins with one", METHOD("\"GET"), LEADING),
    REFUSED("51", "a method with a control byte", METHOD("G\001T"), CONTROL),
    TAKEN("52", "a method in lower case", METHOD("get"), NONE, 0),
    TAKEN("52", "a method of every token byte", METHOD("!#$%&'*+-.^_`|~9Az"),
        NONE, 0),
    REFUSED("53", "CONNECT", "CONNECT a.example:443 HTTP/1.1\r\n" HOST "\r\n",
        METHOD_REFUSED),
    REFUSED("53", "TRACE", METHOD("TRACE"), METHOD_REFUSED),
    REFUSED("54", "two spaces before the target",
        "GET  / HTTP/1.1\r\n" HOST "\r\n", TARGET_FORM),
    REFUSED("54", "two spaces before the version",
        "GET /  HTTP/1.1\r\n" HOST "\r\n", VERSION),
    REFUSED("54", "a tab before the target", "GET\t/ HTTP/1.1\r\n" HOST "\r\n",
        METHOD),
    REFUSED("54", "a tab before the version", "GET /\tHTTP/1.1\r\n" HOST "\r\n",
        TARGET_BYTE),
    REFUSED("54", "VT before the version", "GET /\vHTTP/1.1\r\n" HOST "\r\n",
        CONTROL),
    REFUSED(
        "54", "a trailing space", "GET / HTTP/1.1 \r\n" HOST "\r\n", VERSION),
    REFUSED("55", "a space in the target", TO("/a b"), VERSION),
    REFUSED("55", "a space and a version in the target", TO("/a HTTP/1.1"),
        VERSION),
    REFUSED("56", "a control byte in the target", TO("/a\001"), CONTROL),
    REFUSED("56", "NUL in the target", TO("/a\0b"), CONTROL),
    REFUSED("56", "DEL in the target", TO("/a\177"), CONTROL),
    REFUSED("57", "0x80 in the target", TO("/\x80"), TARGET_BYTE),
    REFUSED("57", "UTF-8 in the target", TO("/\xc3\xa9"), TARGET_BYTE),
    REFUSED("58", "a fragment", TO("/a#b"), TARGET_BYTE),
    REFUSED("59", "a backslash", TO("/a\\b"), TARGET_BYTE),
    REFUSED("60", "%zz", TO("/%zz"), TARGET_PERCENT),
    REFUSED("60", "%4 and the end", TO("/%4"), TARGET_PERCENT),
    REFUSED("60", "% and the end", TO("/a?b=%"), TARGET_PERCENT),
    REFUSED("60", "%u0041", TO("/%u0041"), TARGET_PERCENT),
    REFUSED("61", "%00", TO("/a%00b"), TARGET_NUL),
    TAKEN("61", "%0d%0a goes on as it is", TO("/a%0d%0aX:%20y"), NONE, 0),
    REFUSED("62", "a target without a slash", TO("evil"), TARGET_FORM),
    REFUSED("62", "a target that begins with h", TO("hello/"), TARGET_FORM),
    REFUSED("62", "@evil/", TO("@evil/"), TARGET_FORM),
    REFUSED("62", "a query alone", TO("?a=b"), TARGET_FORM),
    REFUSED("62", "* with GET", TO("*"), TARGET_FORM),
    REFUSED("62", "*/ with OPTIONS", "OPTIONS */ HTTP/1.1\r\n" HOST "\r\n",
        TARGET_FORM),
    TAKEN(
        "62", "* with OPTIONS", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", NONE, 0),
    REFUSED("63", "absolute-form of another host", TO("http://b.example/"),
        TARGET_HOST),
    REFUSED("63", "absolute-form of another port", TO("http://a.example:81/"),
        TARGET_HOST),
    REFUSED("63", "absolute-form without a Host",
        "GET http://a.example/ HTTP/1.1\r\n\r\n", HOST_MISSING),
    TAKEN("64", "absolute-form of the same host", TO("http://A.example:80/x"),
        NONE, 0),
    TAKEN("64", "absolute-form with an empty path", TO("http://a.example"),
        NONE, 0),
    TAKEN("64", "HTTP in capitals", TO("HTTP://a.example/"), NONE, 0),
    REFUSED("64", "absolute-form with a query and no path",
        TO("http://a.example?q"), TARGET_FORM),
    REFUSED("65", "userinfo", TO("http://u@a.example/"), TARGET_FORM),
    REFUSED("65", "userinfo with a password", TO("http://a.example:x@b/"),
        TARGET_FORM),
    REFUSED("65", "ftp:", TO("ftp://a.example/"), TARGET_FORM),
    REFUSED("65", "httpx:", TO("httpx://a.example/"), TARGET_FORM),
    REFUSED("65", "http:/", TO("http:/a.example/"), TARGET_FORM),
    REFUSED("65", "no authority", TO("http:///x"), TARGET_FORM),
    TAKEN("66", "one empty line before", "\r\n" LINE HOST "\r\n", NONE, 0),
    REFUSED(
        "66", "two empty lines before", "\r\n\r\n" LINE HOST "\r\n", LEADING),
    REFUSED("66", "LF before", "\n" LINE HOST "\r\n", BARE_LF),
    REFUSED("66", "CR before", "\r" LINE HOST "\r\n", BARE_CR),
    REFUSED("66", "a space before", " " LINE HOST "\r\n", LEADING),
    REFUSED("66", "an empty line and a space before", "\r\n " LINE HOST "\r\n",
        LEADING),
    REFUSED("67", "LF ends the request line", "GET / HTTP/1.1\n" HOST "\r\n",
        BARE_LF),
    REFUSED(
        "67", "LF ends a field line", LINE "Host: a.example\n\r\n", BARE_LF),
    REFUSED("67", "LF within a value", WITH("X: a\nb\r\n"), BARE_LF),
    REFUSED("67", "LF within the target", TO("/a\nb"), BARE_LF),
    REFUSED("68", "CR in the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n",
        BARE_CR),
    REFUSED("68", "CR within a value", WITH("X: a\rb\r\n"), BARE_CR),
    REFUSED("68", "CR CR LF", WITH("X: a\r\r\n"), BARE_CR),
    REFUSED("68", "CR begins a line", WITH("\rX: a\r\n"), BARE_CR),
    REFUSED("68", "CR within a name", WITH("X\rY: a\r\n"), NO_COLON),
    REFUSED("69", "NUL in Host", HOSTED("a\0.evil"), CONTROL),
    REFUSED("69", "NUL in a value", WITH("X: a\0b\r\n"), CONTROL),
    REFUSED("70", "BEL in a value", WITH("X: a\ab\r\n"), CONTROL),
    REFUSED("70", "ESC in a value", WITH("X: \033[2J\r\n"), CONTROL),
    REFUSED("70", "DEL in a value", WITH("X: a\177\r\n"), CONTROL),
    REFUSED("70", "a control byte deep in a long value",
        WITH("X: 0123456789abcdef0123456789abcdef012345\0016789\r\n"), CONTROL),
    REFUSED("70", "DEL deep in a long value",
        WITH("X: 0123456789abcdef0123456789abcdef\xff\x80\177\r\n"), CONTROL),
    TAKEN("70", "tabs in a long value",
        WITH("X: 0\t123456789abcdef\t\t0123456789abcdef\t0\r\n"), NONE, 0),
    TAKEN("71", "obs-text at both ends", WITH("X: \xa0v\x85\r\n"), NONE, 0),
    REFUSED("72", "a folded value", WITH("X: a\r\n b\r\n"), FOLD),
    REFUSED("72", "a line of a space", WITH("X: a\r\n \r\n"), FOLD),
    REFUSED("73", "a space before the first field", LINE " " HOST "\r\n", FOLD),
    REFUSED("73", "a tab before the first field", LINE "\t" HOST "\r\n", FOLD),
    REFUSED("74", "an empty name", WITH(": x\r\n"), NAME_EMPTY),
    REFUSED("74", "a colon alone", WITH(":\r\n"), NAME_EMPTY),
    REFUSED("75", "a line without a colon", WITH("Foo\r\n"), NO_COLON),
    REFUSED("75", "a name cut by LF", WITH("Fo\no: x\r\n"), BARE_LF),
    REFUSED("76", "@ in a name", WITH("F@o: x\r\n"), NAME),
    REFUSED("76", "a space in a name", WITH("F o: x\r\n"), NAME_SPACE),
    REFUSED("76", "a tab in a name", WITH("F\to: x\r\n"), NAME_SPACE),
    REFUSED("76", "0x85 in a name", WITH("F\x85o: x\r\n"), NAME),
    REFUSED("76", "NUL in a name", WITH("F\0o: x\r\n"), CONTROL),
    REFUSED("76", "a quoted name", WITH("\"Host\": x\r\n"), NAME),
    REFUSED("78", "CR and X behind the fields", LINE HOST "\rX", BARE_CR),
    REFUSED("78", "LF ends the head", LINE HOST "\n", BARE_LF),
    REFUSED("79", "no Host", LINE "X: y\r\n\r\n", HOST_MISSING),
    REFUSED("79", "two Hosts", LINE HOST HOST "\r\n", HOST_MANY),
    REFUSED(
        "79", "two Hosts that differ", LINE HOST "host: b\r\n\r\n", HOST_MANY),
    REFUSED("79", "an empty Host", HOSTED(""), HOST),
    REFUSED("79", "two Hosts, one with an underscore in its name",
        LINE "Ho_st: a\r\n\r\n", HOST_MISSING),
    REFUSED("80", "a comma in Host", HOSTED("a,b"), HOST),
    REFUSED("80", "a space in Host", HOSTED("a b"), HOST),
    REFUSED("80", "a slash in Host", HOSTED("a/b"), HOST),
    REFUSED("80", "@ in Host", HOSTED("u@a"), HOST),
    REFUSED("80", "a percent sign in Host", HOSTED("a%2eb"), HOST),
    REFUSED("80", "0x80 in Host", HOSTED("a\x80"), HOST),
    REFUSED("80", "a scheme in Host", HOSTED("http://a"), HOST),
    REFUSED("80", "a port of letters", HOSTED("a:b"), HOST),
    REFUSED("80", "a port of 65536", HOSTED("a:65536"), HOST),
    REFUSED("80", "a port of six digits", HOSTED("a:000080"), HOST),
    REFUSED("80", "a port of zero", HOSTED("a:0"), HOST),
    REFUSED("80", "two ports", HOSTED("a:80:81"), HOST),
    REFUSED("80", "a port alone", HOSTED(":80"), HOST),
    REFUSED("80", "an open bracket", HOSTED("[::1"), HOST),
    REFUSED("80", "text behind a bracket", HOSTED("[::1]x"), HOST),
    REFUSED("80", "no address in brackets", HOSTED("[a.example]"), HOST),
    TAKEN("80", "a port", HOSTED("a.example:65535"), NONE, 0),
    TAKEN("80", "an empty port", HOSTED("a.example:"), NONE, 0),
    TAKEN("80", "an IPv6 address", HOSTED("[2001:db8::1]:8080"), NONE, 0),
    REFUSED(
        "81", "HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", HOST_MISSING),
    TAKEN(
        "81", "HTTP/1.0 with Host", "GET / HTTP/1.0\r\n" HOST "\r\n", NONE, 0),
    TAKEN("82", "GET with a body", LINE HOST "Content-Length: 3\r\n\r\n",
        LENGTH, 3),
    TAKEN("82", "DELETE with a chunked body",
        "DELETE / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
        CHUNKED, 0),
    TAKEN("82", "OPTIONS with a body",
        "OPTIONS / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n", LENGTH, 3),
    TAKEN("83", "HEAD with a body is read",
        "HEAD / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n", LENGTH, 5),
    REFUSED("83", "TRACE with a body",
        "TRACE / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n",
        METHOD_REFUSED),
    TAKEN("84", "100-continue",
        WITH("Expect: 100-Continue\r\nContent-Length: 5\r\n"), LENGTH, 5),
    REFUSED("85", "y 100-continue", WITH("Expect: y 100-continue\r\n"), EXPECT),
    REFUSED("85", "another expectation", WITH("Expect: 200-ok\r\n"), EXPECT),
    REFUSED("85", "an empty expectation", WITH("Expect:\r\n"), EXPECT),
    REFUSED("85", "two expectations",
        WITH("Expect: 100-continue\r\nExpect: 100-continue\r\n"), EXPECT),
    REFUSED("85", "a list of them",
        WITH("Expect: 100-continue, 100-continue\r\n"), EXPECT),
    REFUSED("85", "a folded expectation", WITH("Expect:\r\n 100-continue\r\n"),
        FOLD),
    TAKEN("88", "Upgrade is seen",
        WITH("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
             "HTTP2-Settings: AAMAAABk\r\n"),
        NONE, 0),
    REFUSED("dots", "/../", TO("/a/../b"), TARGET_DOTS),
    REFUSED("dots", "/./", TO("/a/./b"), TARGET_DOTS),
    REFUSED("dots", "/.. at the end", TO("/a/.."), TARGET_DOTS),
    REFUSED("dots", "/. at the end", TO("/."), TARGET_DOTS),
    REFUSED("dots", "/.. before a query", TO("/..?a"), TARGET_DOTS),
    REFUSED("dots", "in an absolute-form", TO("http://a.example/../x"),
        TARGET_DOTS),
    TAKEN("dots", "in a query", TO("/a?b=/../"), NONE, 0),
    TAKEN("dots", "three of them, and hidden names", TO("/.../.a/..b/c."), NONE,
        0),
    TAKEN("dots", "encoded: passed on, not stored", TO("/%2e%2e/a"), NONE, 0),
};

#undef LINE
#undef WITH
#undef TO
#undef VERSION
#undef METHOD
#undef HOSTED
#undef CL
#undef TE

#define OK "HTTP/1.1 200 OK\r\n"

static const struct head_case response_cases[] = {
    TAKEN("-", "a length", OK "Content-Length: 5\r\n\r\n", LENGTH, 5),
    TAKEN("-", "chunked", OK "Transfer-Encoding: chunked\r\n\r\n", CHUNKED, 0),
    REFUSED("94", "length and coding",
        OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        LENGTH_AND_CODING),
    REFUSED(
        "95", "a malformed length", OK "Content-Length: 5a\r\n\r\n", LENGTH),
    REFUSED(
        "95", "a list of lengths", OK "Content-Length: 5, 5\r\n\r\n", LENGTH),
    REFUSED("95", "two lengths",
        OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", LENGTH_MANY),
    REFUSED("95", "a malformed length where no content is",
        "HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n", LENGTH),
    REFUSED("96", "gzip, chunked",
        OK "Transfer-Encoding: gzip, chunked\r\n\r\n", CODING),
    REFUSED("96", "identity", OK "Transfer-Encoding: identity\r\n\r\n", CODING),
    REFUSED("96", "two codings",
        OK "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        CODING_MANY),
    REFUSED("96", "a coding on 100",
        "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n",
        CODING_NO_CONTENT),
    REFUSED("96", "a coding on 204",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        CODING_NO_CONTENT),
    REFUSED("96", "a coding in HTTP/1.0",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CODING_OLD),
    REFUSED("97", "a folded value", OK "X: a\r\n b\r\n\r\n", FOLD),
    REFUSED("97", "NUL in a value", OK "X: a\0\r\n\r\n", CONTROL),
    REFUSED("97", "CR in a value", OK "X: a\rb\r\n\r\n", BARE_CR),
    REFUSED("97", "LF ends a line", OK "X: a\n\r\n", BARE_LF),
    REFUSED("97", "LF ends the status line", "HTTP/1.1 200 OK\n\r\n", BARE_LF),
    REFUSED("97", "CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", BARE_CR),
    REFUSED("97", "NUL in the reason", "HTTP/1.1 200 O\0K\r\n\r\n", CONTROL),
    REFUSED("97", "a malformed name", OK "X y: a\r\n\r\n", NAME_SPACE),
    REFUSED("97", "a name with a slash", OK "X/y: a\r\n\r\n", NAME),
    REFUSED("97", "an empty name", OK ": a\r\n\r\n", NAME_EMPTY),
    REFUSED("98", "a space before the colon", OK "Content-Length : 5\r\n\r\n",
        NAME_SPACE),
    REFUSED("99", "a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", STATUS),
    REFUSED(
        "99", "a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", STATUS),
    REFUSED("99", "a status of letters", "HTTP/1.1 2x0 OK\r\n\r\n", STATUS),
    REFUSED("99", "a signed status", "HTTP/1.1 +20 OK\r\n\r\n", STATUS),
    REFUSED("99", "status 099", "HTTP/1.1 099 Low\r\n\r\n", STATUS),
    REFUSED("99", "status 600", "HTTP/1.1 600 High\r\n\r\n", STATUS),
    REFUSED("99", "no status", "HTTP/1.1 \r\n\r\n", STATUS),
    REFUSED("99", "two spaces", "HTTP/1.1  200 OK\r\n\r\n", STATUS),
    REFUSED("99", "HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", VERSION_UNKNOWN),
    REFUSED("99", "HTTP/1.10", "HTTP/1.10 200 OK\r\n\r\n", VERSION),
    REFUSED("99", "HTTP/1", "HTTP/1 200 OK\r\n\r\n", VERSION),
    REFUSED("99", "ICY", "ICY 200 OK\r\n\r\n", VERSION),
    REFUSED("99", "an empty line before", "\r\n" OK "\r\n", VERSION),
    TAKEN("99", "no reason", "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n",
        LENGTH, 1),
    TAKEN("99", "no reason and no space",
        "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n", LENGTH, 1),
    TAKEN("99", "HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 1\r\n\r\n",
        LENGTH, 1),
    TAKEN("102", "neither length nor coding", OK "X: y\r\n\r\n", CLOSE, 0),
    TAKEN("102", "the same of HTTP/1.0", "HTTP/1.0 404 No\r\n\r\n", CLOSE, 0),
    TAKEN("103", "100", "HTTP/1.1 100 Continue\r\n\r\n", NONE, 0),
    TAKEN("103", "101",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
        "Upgrade: h2c\r\n\r\n",
        NONE, 0),
    TAKEN("103", "103", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", NONE,
        0),
    TAKEN_BY(HEAD, "104", "a length to HEAD", OK "Content-Length: 500\r\n\r\n",
        NONE, 500),
    TAKEN_BY(HEAD, "104", "a coding to HEAD",
        OK "Transfer-Encoding: chunked\r\n\r\n", NONE, 0),
    TAKEN_BY(HEAD, "104", "nothing to HEAD", OK "\r\n", NONE, 0),
    TAKEN("104", "a length on 204",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", NONE, 5),
    TAKEN("104", "a length on 304",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", NONE, 5),
    REFUSED("14", "Connection names Content-Length",
        OK "Content-Length: 5\r\nConnection: Content-Length\r\n\r\n",
        CONNECTION_NAMES),
};

#undef OK
#undef HOST

struct chunk_case {
    const char *row;
    const char *claim;
    struct slice in; /* behind a whole body "NEXT" follows */
    enum rc rc;
    const char *content;
};

#define BROKEN(row, claim, in)                                                 \
    {                                                                          \
        row, claim, {in, sizeof(in) - 1}, RC_BAD, NULL                         \
    }
#define WHOLE(row, claim, in, content)                                         \
    {                                                                          \
        row, claim, {in, sizeof(in) - 1}, RC_OK, content                       \
    }
#define CUT(row, claim, in, content)                                           \
    {                                                                          \
        row, claim, {in, sizeof(in) - 1}, RC_AGAIN, content                    \
    }
#define LAST "0\r\n\r\n"
#define NEXT "NEXT"

static const struct chunk_case chunk_cases[] = {
    WHOLE("-", "no content", LAST NEXT, ""),
    WHOLE("-", "one chunk", "5\r\nhello\r\n" LAST NEXT, "hello"),
    WHOLE("-", "two chunks", "5\r\nhello\r\n6\r\n world\r\n" LAST NEXT,
        "hello world"),
    WHOLE("-", "hex digits of both cases",
        "a\r\n0123456789\r\nA\r\n0123456789\r\n" LAST NEXT,
        "01234567890123456789"),
    WHOLE("-", "CRLF as content", "4\r\n\r\n\r\n\r\n" LAST NEXT, "\r\n\r\n"),
    BROKEN("27", "0x5", "0x5\r\nhello\r\n" LAST),
    BROKEN("27", "+5", "+5\r\nhello\r\n" LAST),
    BROKEN("27", "-1", "-1\r\n" LAST),
    BROKEN("27", "-0", "-0\r\n\r\n"),
    BROKEN("27", "1_0", "1_0\r\n0123456789abcdef\r\n" LAST),
    BROKEN("27", "an empty line", "\r\nhello\r\n" LAST),
    BROKEN("27", "an empty line between", "5\r\nhello\r\n\r\n" LAST),
    BROKEN("28", "a leading space", " 5\r\nhello\r\n" LAST),
    BROKEN("29", "a trailing space", "5 \r\nhello\r\n" LAST),
    BROKEN("29", "a trailing tab", "5\t\r\nhello\r\n" LAST),
    BROKEN("30", "5 junk", "5 junk\r\nhello\r\n" LAST),
    BROKEN("31", "2^63", "8000000000000000\r\n" LAST),
    BROKEN("31", "2^64 - 1", "ffffffffffffffff\r\n" LAST),
    BROKEN("31", "17 digits", "10000000000000005\r\nhello\r\n" LAST),
    CUT("31", "2^63 - 1", "7fffffffffffffff\r\nhello", "hello"),
    BROKEN("32", "40 leading zeros",
        "0000000000000000000000000000000000000005\r\nhello\r\n" LAST),
    WHOLE("32", "15 leading zeros", "0000000000000005\r\nhello\r\n" LAST NEXT,
        "hello"),
    BROKEN("34", "5; and LF", "5;\nhello\r\n" LAST),
    BROKEN("34", "5;a CR b", "5;a\rb\r\nhello\r\n" LAST),
    BROKEN("34", "5 CR CR LF", "5\r\r\nhello\r\n" LAST),
    BROKEN("34", "5 CR CR ;a", "5\r\r;a\r\nhello\r\n" LAST),
    BROKEN("34", "5; and NUL", "5;\0\r\nhello\r\n" LAST),
    BROKEN("35", "CRLF in a quoted value", "5;a=\"b\r\nc\"\r\nhello\r\n" LAST),
    BROKEN("35", "LF in a quoted value", "5;a=\"b\nc\"\r\nhello\r\n" LAST),
    BROKEN("36", "5;", "5;\r\nhello\r\n" LAST),
    BROKEN("36", "5;bad[=x", "5;bad[=x\r\nhello\r\n" LAST),
    BROKEN("36", "5;=x", "5;=x\r\nhello\r\n" LAST),
    BROKEN("36", "5;a=", "5;a=\r\nhello\r\n" LAST),
    BROKEN("36", "5;a;", "5;a;\r\nhello\r\n" LAST),
    BROKEN("36", "5;a and a space", "5;a \r\nhello\r\n" LAST),
    BROKEN("36", "text behind a quoted value", "5;a=\"b\"c\r\nhello\r\n" LAST),
    WHOLE("37", "well-formed extensions",
        "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n" NEXT, "hello"),
    WHOLE("37", "an escaped quote", "5;a=\"\\\"b\\\\\"\r\nhello\r\n" LAST NEXT,
        "hello"),
    WHOLE("37", "bad white space where it may be (RFC 9112 7.1.1)",
        "5 ; a = b\t;\tc\r\nhello\r\n" LAST NEXT, "hello"),
    BROKEN("38", "LF ends a chunk line", "5\nhello\r\n" LAST),
    BROKEN("39", "LF ends the data", "5\r\nhello\n" LAST),
    BROKEN("40", "no CRLF behind the data", "5\r\nhello" LAST),
    BROKEN("40", "data beyond the size", "5\r\nhello!\r\n" LAST),
    BROKEN("40", "two bytes over", "5\r\nhelloXX0\r\n\r\n"),
    BROKEN("41", "0 LF LF", "0\n\n"),
    BROKEN("41", "0 CRLF LF", "0\r\n\n"),
    BROKEN("41", "a trailer ended by LF", "0\r\nX: y\n\r\n"),
    BROKEN("41", "0 CRLF CR X", "0\r\n\rX"),
    BROKEN("42", "a trailer without a colon", "0\r\nX\r\n\r\n"),
    BROKEN("42", "a trailer with NUL", "0\r\nX: a\0\r\n\r\n"),
    BROKEN("42", "a request as a trailer",
        "0\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n"),
    BROKEN("42", "an empty name", "0\r\n: x\r\n\r\n"),
    BROKEN("42", "a folded trailer", "0\r\nX: a\r\n b\r\n\r\n"),
    BROKEN("42", "CR within a trailer", "0\r\nX: a\rb\r\n\r\n"),
    WHOLE("43", "trailers are dropped",
        "5\r\nhello\r\n0\r\nHost: evil\r\nContent-Length: 9\r\n"
        "Transfer-Encoding: chunked\r\nAuthorization: x\r\n\r\n" NEXT,
        "hello"),
    CUT("44", "no last chunk", "5\r\nhello\r\n", "hello"),
    CUT("44", "half a last chunk", "5\r\nhello\r\n0\r\n", "hello"),
    CUT("44", "half a chunk", "5\r\nhel", "hel"),
};

#undef LAST

#endif
