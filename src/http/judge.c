/*
 * Judging a whole head: how the content ends (RFC 9112 6.3), which host is
 * meant (RFC 9112 3.2, RFC 9110 7.2), what is expected, and whether the
 * connection lives on.
 *
 * Law: a head that answers one question twice is refused; we never weigh one
 * answer against the other. So we refuse Content-Length beside
 * Transfer-Encoding, either of them twice, and any coding but `chunked` alone.
 * That closes CL.TE, TE.CL and TE.TE; what is left is decided here and nowhere
 * else.
 */
#include "http/judge.h"

#include "http/known.h"
#include "nearside/base/check.h"
#include "nearside/http/uri.h"

#define FIELDS_FRAMING                                                         \
    (FIELD_BIT(CONTENT_LENGTH) | FIELD_BIT(TRANSFER_ENCODING))

static enum parse_fault
judge_coding(struct head *h, uint64_t repeated)
{
    if ((h->field_set & FIELDS_FRAMING) == FIELDS_FRAMING) {
        return FAULT_LENGTH_AND_CODING;
    }
    if ((repeated & FIELD_BIT(TRANSFER_ENCODING)) != 0) {
        return FAULT_CODING_MANY;
    }
    if (!slice_ieq(
            head_find(h, FIELD_TRANSFER_ENCODING)->value, SLICE("chunked"))) {
        return FAULT_CODING;
    }
    if (h->minor == 0) {
        return FAULT_CODING_OLD;
    }
    h->framing = FRAMING_CHUNKED;
    return FAULT_NONE;
}

/* Up to 2^63 - 1: more cannot be meant, and sums stay within 64 bits. */
static enum parse_fault
judge_length(struct head *h, uint64_t repeated)
{
    struct slice value = head_find(h, FIELD_CONTENT_LENGTH)->value;

    if ((repeated & FIELD_BIT(CONTENT_LENGTH)) != 0) {
        return FAULT_LENGTH_MANY;
    }
    if (slice_to_u64(value, INT64_MAX, &h->content_length) != RC_OK) {
        return FAULT_LENGTH;
    }
    h->has_content_length = true;
    h->framing = FRAMING_LENGTH;
    return FAULT_NONE;
}

/* Leaves h->framing alone when the head states nothing. */
static enum parse_fault
judge_framing(struct head *h, uint64_t repeated)
{
    if ((h->field_set & FIELDS_FRAMING) == 0) {
        return FAULT_NONE;
    }
    if (head_has(h, FIELD_TRANSFER_ENCODING)) {
        return judge_coding(h, repeated);
    }
    return judge_length(h, repeated);
}

/* Takes what comes before a path or a query off *rest. */
static struct slice
take_authority(struct slice *rest)
{
    struct slice authority = slice_of(rest->ptr, 0);

    while (authority.len < rest->len && rest->ptr[authority.len] != '/' &&
           rest->ptr[authority.len] != '?') {
        authority.len++;
    }
    *rest = slice_skip(*rest, authority.len);
    return authority;
}

/*
 * Rewrites an absolute-form to an origin-form. An authority that is not
 * Host's is refused although RFC 9112 3.2.2 lets it win: somebody on the
 * way believes the other one.
 */
static enum parse_fault
judge_absolute(struct head *h)
{
    struct slice path = h->target, scheme, authority;

    if (!uri_take_scheme(&path, &scheme)) {
        return FAULT_TARGET_FORM;
    }
    authority = take_authority(&path);
    if (!uri_is_authority(authority)) {
        return FAULT_TARGET_FORM;
    }
    if (h->host.len > 0 && !uri_is_same_authority(authority, h->host, scheme)) {
        return FAULT_TARGET_HOST;
    }
    if (path.len == 0) {
        path = h->method == METHOD_OPTIONS ? SLICE("*") : SLICE("/");
    }
    h->is_https = slice_eq(scheme, SLICE("https"));
    h->host = authority;
    h->target = path;
    return FAULT_NONE;
}

static bool
is_known(const struct parse_opts *opts, struct slice host)
{
    return opts->known_host.len > 0 && slice_eq(host, opts->known_host);
}

static enum parse_fault
judge_host(struct head *h, const struct parse_opts *opts, uint64_t repeated)
{
    bool is_absolute = h->target.ptr[0] != '/' && h->target.ptr[0] != '*';
    enum parse_fault fault;

    if ((repeated & FIELD_BIT(HOST)) != 0) {
        return FAULT_HOST_MANY;
    }
    if (head_has(h, FIELD_HOST)) {
        h->host = head_find(h, FIELD_HOST)->value;
        if (!is_known(opts, h->host) && !uri_is_authority(h->host)) {
            return FAULT_HOST;
        }
    } else if (h->minor >= 1) {
        return FAULT_HOST_MISSING;
    }
    if (is_absolute) {
        fault = judge_absolute(h);
        if (fault != FAULT_NONE) {
            return fault;
        }
    }
    if (h->host.len == 0) {
        h->host = opts->default_host;
    }
    return h->host.len == 0 ? FAULT_HOST_MISSING : FAULT_NONE;
}

/*
 * A 100-continue of an HTTP/1.0 client is to be ignored (RFC 9110 10.1.1). Any
 * other expectation is refused, whatever the version.
 */
static enum parse_fault
judge_expect(struct head *h, uint64_t repeated)
{
    if (!head_has(h, FIELD_EXPECT)) {
        return FAULT_NONE;
    }
    if ((repeated & FIELD_BIT(EXPECT)) != 0 ||
        !slice_ieq(head_find(h, FIELD_EXPECT)->value, SLICE("100-continue"))) {
        return FAULT_EXPECT;
    }
    h->expects_100 = h->minor >= 1;
    return FAULT_NONE;
}

static inline enum parse_fault
judge_connection(struct head *h, uint64_t repeated)
{
    if (head_has(h, FIELD_CONNECTION)) {
        return connection_judge(h, (repeated & FIELD_BIT(CONNECTION)) != 0);
    }
    h->is_keep_alive = h->minor >= 1;
    return FAULT_NONE;
}

/* What most requests say nothing about. */
#define FIELDS_RARE (FIELDS_FRAMING | FIELD_BIT(CONNECTION) | FIELD_BIT(EXPECT))

enum parse_fault
judge_request(struct head *h, const struct parse_opts *opts, uint64_t repeated)
{
    enum parse_fault fault;

    MUST(h->target.len > 0);
    if ((h->field_set & FIELDS_RARE) == 0) {
        h->is_keep_alive = h->minor >= 1;
        return judge_host(h, opts, repeated);
    }
    fault = judge_framing(h, repeated);
    if (fault == FAULT_NONE) {
        fault = judge_host(h, opts, repeated);
    }
    if (fault == FAULT_NONE) {
        fault = judge_connection(h, repeated);
    }
    if (fault == FAULT_NONE) {
        fault = judge_expect(h, repeated);
    }
    return fault;
}

/* 1xx, 204 and 304 have no content, and HEAD's answer has none (6.3). */
static bool
has_content(const struct head *h)
{
    return h->method != METHOD_HEAD && h->status >= 200 && h->status != 204 &&
           h->status != 304;
}

enum parse_fault
judge_response(struct head *h, uint64_t repeated)
{
    enum parse_fault fault;

    MUST(h->status >= 100 && h->status <= 999);
    h->framing = FRAMING_CLOSE;
    fault = judge_framing(h, repeated);
    if (fault == FAULT_NONE) {
        fault = judge_connection(h, repeated);
    }
    if (fault != FAULT_NONE) {
        return fault;
    }
    if (!has_content(h)) {
        if (h->framing == FRAMING_CHUNKED &&
            (h->status < 200 || h->status == 204)) {
            return FAULT_CODING_NO_CONTENT;
        }
        /* The head speaks of content where none may follow. A 304 states what
           the GET would have had, and nobody knows whether it follows all the
           same. For HEAD see exchange. */
        if (h->method != METHOD_HEAD && h->status >= 200 &&
            (h->content_length > 0 || h->framing == FRAMING_CHUNKED)) {
            h->is_keep_alive = false;
        }
        h->framing = FRAMING_NONE;
    }
    h->is_keep_alive = h->is_keep_alive && h->framing != FRAMING_CLOSE;
    return FAULT_NONE;
}
