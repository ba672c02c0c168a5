/*
 * Targets and authorities: taken apart, judged, and in the one spelling by
 * which two are found to be the same (RFC 9110 4.2.3, RFC 3986 6.2.2).
 */
#ifndef NEARSIDE_HTTP_URI_H
#define NEARSIDE_HTTP_URI_H

#include <stdbool.h>

#include "nearside/base/slice.h"

/* The path of a target: all before '?'. */
struct slice uri_path(struct slice target);

/* The query without its '?'; ptr is NULL when there is no '?'. */
struct slice uri_query(struct slice target);

/*
 * Does the path hold something two parsers could read differently: an
 * encoded slash or backslash ("%2f", "%5c"), a dot-segment, encoded or not,
 * "//", or ";"? Such a target is passed on and never stored.
 */
bool uri_is_ambiguous(struct slice target);

/*
 * Writes the one spelling of a target (RFC 3986 6.2.2): encoded unreserved
 * characters are decoded, the hex digits of all others are capitals, and
 * dot-segments of the path are resolved after that. So it is in the query
 * too: what an origin may read differently there is a reserved character, and
 * those stay as they are. out holds target.len bytes and may be the target's
 * own; returns the length, which is never more. A bare '%' stays.
 */
size_t uri_normalise(struct slice target, char *out);

/*
 * Is s a valid uri-host [":" port] (RFC 3986 3.2.2, no userinfo)? Narrower
 * than that: names of unreserved characters only, at most 255; a port of 1
 * to 65535 without leading zeros, or empty.
 */
bool uri_is_authority(struct slice s);

/* The authority without its port. */
struct slice uri_host_name(struct slice authority);

/*
 * Writes the authority lower-case, without the scheme's default port, without
 * an empty port and without the dot that ends an absolute name ("a.example.").
 * out holds at least s.len bytes; returns the length.
 */
size_t uri_authority_normalise(struct slice s, struct slice scheme, char *out);

/* Is the host an absolute name (RFC 3986 3.2.2), with the root's dot? */
bool uri_is_absolute_name(struct slice authority);

/* Are both valid, and under that scheme the same host and port? */
bool uri_is_same_authority(struct slice a, struct slice b, struct slice scheme);

/* Takes "http://" or "https://" off *rest, letters in any case; *out is the
   scheme in lower case. False: neither is there. */
bool uri_take_scheme(struct slice *rest, struct slice *out);

/* An origin server's address, as in "http://127.0.0.1:3000" or
   "unix:/run/api.sock". */
struct uri_server {
    struct slice scheme; /* "http" or "https" */
    struct slice host;   /* without brackets; a path with is_unix */
    uint16_t port;       /* the scheme's default when not given */
    bool is_unix;
};

/*
 * RC_BAD: not such an address (a path, a query or userinfo included). With
 * "unix:" the scheme is "http" and the port 0.
 */
enum rc uri_parse_server(struct slice s, struct uri_server *out) RC_MUST_CHECK;

#endif
