/*
 * The head for the origin (RFC 9110 7.6): request line and fields written
 * anew, what ends at this hop left out, Via and the forwarding fields added.
 * Unless the peer is a trusted proxy, what it says of hosts, addresses and
 * schemes is replaced by what we know.
 *
 * Law: what is stored was sent as the key has it. The case of a host and its
 * scheme's own port mean nothing (RFC 9110 4.2.3), not even to a signature
 * (RFC 9421 2.2.3), so Host and scheme go out in the form of the key. Other
 * spellings may mean something to an origin, or are signed: the target goes
 * out in the client's bytes, and so does a host with the root's dot. Where
 * they differ from the key, the answer is for that client alone
 * (policy.is_odd).
 */
#include "nearside/rules/origin_head.h"

#include "nearside/base/check.h"
#include "nearside/http/write.h"

enum {
    /* Via, X-Forwarded-For, -Proto, Forwarded, without their hosts. */
    OWN_LINES_MAX = 640,
};

/* The text of an address; none: "unix:", or that of nobody. */
static bool
has_ip(const char *ip)
{
    return ip[0] != '\0' && ip[0] != 'u';
}

/* "for=192.0.2.1;host=h;proto=http" (RFC 7239); IPv6 in quotes. */
static void
write_forwarded(struct writer *w, const struct question *q, const char *ip)
{
    bool is_v6 = q->client.peer.u.any.sa_family == AF_INET6;

    write_slice(w, SLICE("forwarded: for="));
    if (!has_ip(ip)) {
        write_slice(w, SLICE("unknown"));
    } else {
        write_slice(w, is_v6 ? SLICE("\"[") : slice_of("", 0));
        write_slice(w, slice_of_str(ip));
        write_slice(w, is_v6 ? SLICE("]\"") : slice_of("", 0));
    }
    write_slice(w, SLICE(";host=\""));
    write_slice(w, q->sent_host);
    write_slice(w, SLICE("\";proto="));
    write_slice(w, q->client.scheme);
    write_slice(w, SLICE("\r\n"));
}

/* The addresses a trusted proxy names, and the peer's own behind them. */
static void
write_forwarded_for(struct writer *w, const struct question *q, const char *ip)
{
    const struct field *field =
        q->client.is_trusted ? head_find(q->head, FIELD_X_FORWARDED_FOR) : NULL;

    if (!has_ip(ip) && field == NULL) {
        return;
    }
    write_slice(w, SLICE("x-forwarded-for: "));
    for (; field != NULL; field = head_find_next(q->head, field)) {
        write_slice(w, field->value);
        write_slice(w, SLICE(", "));
    }
    write_slice(w, slice_of_str(has_ip(ip) ? ip : "unknown"));
    write_slice(w, SLICE("\r\n"));
}

/* By which version the request came (RFC 9110 7.6.3). */
static void
write_via(struct writer *w, const struct question *q)
{
    write_slice(w, SLICE("via: "));
    write_slice(w, q->client.version);
    write_slice(w, slice_skip(q->conf->via, 3)); /* "1.1 name" */
    write_slice(w, SLICE("\r\n"));
}

/* The host that a trusted proxy has named is not named again, if it is sent. */
static bool
is_host_named(const struct question *q, const struct sending *sending)
{
    const struct field *field = head_find(q->head, FIELD_X_FORWARDED_HOST);

    return q->client.is_trusted && field != NULL &&
           !sending_merges(sending, field);
}

static void
write_own_lines(
    struct writer *w, const struct question *q, const struct sending *sending)
{
    char ip[ADDRESS_TEXT_MAX];

    address_host_text(&q->client.peer, ip);
    write_forwarded_for(w, q, ip);
    write_field(w, SLICE("x-forwarded-proto"), q->client.scheme);
    if (!is_host_named(q, sending)) {
        write_field(w, SLICE("x-forwarded-host"), q->sent_host);
    }
    write_forwarded(w, q, ip);
    write_via(w, q);
}

/* What chooses the variant is what is sent: the normal form (vary.h). */
static void
write_accept_encoding(struct writer *w, const struct question *q)
{
    size_t len = w->len;
    enum rc rc;

    write_slice(w, SLICE("accept-encoding: "));
    rc = vary_write_accept_encoding(q->head, w);
    if (rc == RC_OK) {
        write_slice(w, SLICE("\r\n"));
    } else {
        w->len = len;
    }
}

enum rc
hops_of(const struct head *head, uint64_t *out_hops)
{
    const struct field *field = head_find(head, FIELD_MAX_FORWARDS);
    enum rc rc;

    if (head->method != METHOD_OPTIONS || field == NULL) {
        return RC_MISS;
    }
    if (head_find_next(head, field) != NULL) {
        return RC_BAD;
    }
    rc = slice_to_u64(field->value, UINT32_MAX, out_hops);
    if (rc == RC_LIMIT) {
        *out_hops = UINT32_MAX; /* as far as we can count (7.6.2) */
        return RC_OK;
    }
    return rc;
}

/* As it came; but Max-Forwards of an OPTIONS is counted down. */
static void
write_one(struct writer *w, const struct question *q, const struct field *field)
{
    uint64_t hops;

    if (field->id == FIELD_MAX_FORWARDS && hops_of(q->head, &hops) == RC_OK) {
        MUST(hops > 0);
        write_field_u64(w, field->name, hops - 1);
    } else {
        write_field(w, field->name, field->value);
    }
}

static void
write_fields(struct writer *w, const struct question *q,
    const struct origin_head_opts *opts, const struct sending *sending)
{
    bool is_normal = opts->is_for_cache || opts->is_for_stored;

    if (is_normal && head_has(q->head, FIELD_ACCEPT_ENCODING)) {
        write_accept_encoding(w, q);
    }
    for (size_t i = 0; i < q->head->field_count; i++) {
        const struct field *field = &q->head->fields[i];
        if (is_normal && field->id == FIELD_ACCEPT_ENCODING) {
            continue;
        }
        if (sending_has(sending, field)) {
            write_one(w, q, field);
        }
    }
}

enum rc
origin_head_write(const struct question *q, const struct origin_head_opts *opts,
    struct arena *arena, struct slice *out)
{
    const struct sending sending = question_sending(q, opts->is_for_cache);
    struct slice host;
    struct writer w;
    size_t size;
    char *text;

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST(q->target.ptr != NULL); /* it was read */
    MUST(q->group < q->conf->opts.groups_len);
    host = q->conf->opts.group_hosts[q->group];
    host = host.len > 0 ? host : q->sent_host;
    size = head_lines_size(q->head) + opts->lines.len +
           q->head->method_text.len + q->target.len + host.len +
           2 * q->sent_host.len + q->conf->via.len + OWN_LINES_MAX;
    text = arena_alloc(arena, size);
    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, size);
    write_request_line(&w, q->head->method_text, q->target);
    write_field(&w, SLICE("host"), host);
    write_fields(&w, q, opts, &sending);
    write_slice(&w, opts->lines);
    write_own_lines(&w, q, &sending);
    MUST(!w.is_full);
    *out = writer_slice(&w);
    return RC_OK;
}
