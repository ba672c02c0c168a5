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
#include "nearside/http/write.h"
#include "proxy/options.h"
#include "proxy/request.h"

enum {
    /* Via, X-Forwarded-For, -Proto, Forwarded, without their hosts. */
    OWN_LINES_MAX = 640,
};

/* What a write brings is the API's to judge. */
struct sending
request_sending(const struct request *r, bool for_cache)
{
    return (struct sending){
        .head = r->head,
        .route = r->result == RESULT_WRITE ? NULL : r->route_opts,
        .is_trusted = r->client.is_trusted,
        .for_cache = for_cache,
    };
}

/* "for=192.0.2.1;host=h;proto=http" (RFC 7239); IPv6 in quotes. */
static void
write_forwarded(struct writer *w, struct request *r, const char *ip)
{
    bool is_v6 = r->client.peer.u.any.sa_family == AF_INET6;

    write_slice(w, SLICE("forwarded: for="));
    if (ip[0] == 'u') {
        write_slice(w, SLICE("unknown"));
    } else {
        write_slice(w, is_v6 ? SLICE("\"[") : slice_of("", 0));
        write_slice(w, slice_of_str(ip));
        write_slice(w, is_v6 ? SLICE("]\"") : slice_of("", 0));
    }
    write_slice(w, SLICE(";host=\""));
    write_slice(w, r->sent_host);
    write_slice(w, SLICE("\";proto="));
    write_slice(w, r->client.scheme);
    write_slice(w, SLICE("\r\n"));
}

/* The addresses a trusted proxy names, and the peer's own behind them. */
static void
write_forwarded_for(struct writer *w, struct request *r, const char *ip)
{
    const struct field *field =
        r->client.is_trusted ? head_find(r->head, FIELD_X_FORWARDED_FOR) : NULL;

    if (ip[0] == 'u' && field == NULL) {
        return;
    }
    write_slice(w, SLICE("x-forwarded-for: "));
    for (; field != NULL; field = head_find_next(r->head, field)) {
        write_slice(w, field->value);
        write_slice(w, SLICE(", "));
    }
    write_slice(w, slice_of_str(ip[0] == 'u' ? "unknown" : ip));
    write_slice(w, SLICE("\r\n"));
}

/* By which version the request came (RFC 9110 7.6.3). */
static void
write_via(struct writer *w, struct request *r)
{
    struct slice via = r->conf->via; /* "1.1 name" */

    if (r->head->minor == 0) {
        write_slice(w, SLICE("via: 1.0"));
        write_slice(w, slice_skip(via, 3));
        write_slice(w, SLICE("\r\n"));
    } else {
        write_field(w, SLICE("via"), via);
    }
}

/* The host that a trusted proxy has named is not named again. */
static void
write_own_lines(struct writer *w, struct request *r)
{
    char ip[ADDRESS_TEXT_MAX];
    bool is_trusted = r->client.is_trusted;

    address_host_text(&r->client.peer, ip);
    write_forwarded_for(w, r, ip);
    write_field(w, SLICE("x-forwarded-proto"), r->client.scheme);
    if (!is_trusted || !head_has(r->head, FIELD_X_FORWARDED_HOST)) {
        write_field(w, SLICE("x-forwarded-host"), r->sent_host);
    }
    write_forwarded(w, r, ip);
    write_via(w, r);
}

static size_t
head_size(struct request *r, struct slice host, size_t extra)
{
    size_t size = extra + r->head->method_text.len + r->target.len + host.len +
                  2 * r->sent_host.len + r->conf->via.len +
                  OWN_LINES_MAX;

    for (size_t i = 0; i < r->head->field_count; i++) {
        size += r->head->fields[i].name.len + r->head->fields[i].value.len + 4;
    }
    return size;
}

/* What chooses the variant is what is sent: the normal form (vary.h). */
static void
write_accept_encoding(struct writer *w, struct request *r)
{
    size_t len = w->len;
    enum rc rc;

    write_slice(w, SLICE("accept-encoding: "));
    rc = vary_write_accept_encoding(r->head, w);
    if (rc == RC_OK) {
        write_slice(w, SLICE("\r\n"));
    } else {
        w->len = len;
    }
}

/* As it came, but for what counts the servers on the way. */
static void
write_one(struct writer *w, struct request *r, const struct field *field)
{
    uint64_t hops;

    if (field->id == FIELD_MAX_FORWARDS &&
        options_hops(r->head, &hops) == RC_OK) {
        MUST(hops > 0);
        write_field_u64(w, field->name, hops - 1);
    } else {
        write_field(w, field->name, field->value);
    }
}

static void
write_fields(
    struct writer *w, struct request *r, const struct request_head_opts *opts)
{
    const struct sending sending = request_sending(r, opts->is_for_cache);
    bool is_normal = opts->is_for_cache || opts->is_for_stored;

    if (is_normal && head_has(r->head, FIELD_ACCEPT_ENCODING)) {
        write_accept_encoding(w, r);
    }
    for (size_t i = 0; i < r->head->field_count; i++) {
        const struct field *field = &r->head->fields[i];
        if (is_normal && field->id == FIELD_ACCEPT_ENCODING) {
            continue;
        }
        if (sending_has(&sending, field)) {
            write_one(w, r, field);
        }
    }
}

enum rc
request_origin_head(struct request *r, const struct request_head_opts *opts,
    struct exchange_request *out)
{
    struct slice host = r->conf->opts.group_hosts[r->group];
    struct writer w;
    size_t size;
    char *text;

    host = host.len > 0 ? host : r->sent_host;
    size = head_size(r, host, opts->lines.len);
    text = arena_alloc(&r->arena, size);
    if (text == NULL) {
        return RC_NOMEM;
    }
    w = writer_of(text, size);
    write_request_line(&w, r->head->method_text, r->target);
    write_field(&w, SLICE("host"), host);
    write_fields(&w, r, opts);
    write_slice(&w, opts->lines);
    write_own_lines(&w, r);
    MUST(!w.is_full);
    *out = (struct exchange_request){
        .method = r->head->method,
        .head = writer_slice(&w),
        .framing = r->has_body ? r->head->framing : FRAMING_NONE,
        .content_length = r->head->content_length,
        .is_idempotent = policy_is_idempotent(r->head->method),
    };
    return RC_OK;
}

void
request_interim(struct request *r, const struct head *head)
{
    size_t size = 0;
    struct writer w;
    char *text;

    if (r->stream == NULL || r->status != 0 || r->head->minor == 0) {
        return;
    }
    for (size_t i = 0; i < head->field_count; i++) {
        size += head->fields[i].name.len + head->fields[i].value.len + 4;
    }
    text = arena_alloc(&r->arena, size + 1);
    if (text == NULL) {
        return; /* a hint less, and the answer all the same */
    }
    w = writer_of(text, size);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];
        /* A length there would be none of ours (RFC 9110 8.6). */
        if (field->id != FIELD_CONTENT_LENGTH &&
            !head_is_hop_by_hop(head, field)) {
            write_field_lower(&w, field->name, field->value);
        }
    }
    r->stream->ops->interim(r->stream, head->status, writer_slice(&w));
}
