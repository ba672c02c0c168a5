/*
 * Connection: whether this side lets the connection live on, and which
 * fields end at this hop.
 *
 * Law: it may name fields of one hop and fields that we do not know, but never
 * a field that everybody on the way has to see. By naming Content-Length, Host
 * or Cache-Control an attacker makes a request mean one thing to us and
 * another to the origin. So we refuse every known end-to-end field, and all of
 * forwarding.def: nobody may take out what a proxy before us has said of the
 * client. `Connection: TE` beside a TE field is what RFC 9110 10.1.4 asks for.
 */
#include "http/class.h"
#include "http/judge.h"
#include "http/known.h"
#include "nearside/http/forwarding.h"

enum {
    /* Each field of the head is held against all of them. */
    OPTIONS_MAX = 64,
};

/* Fields that end at this hop whether Connection names them or not. */
static const uint64_t fields_hop =
    FIELD_BIT(CONNECTION) | FIELD_BIT(HTTP2_SETTINGS) | FIELD_BIT(KEEP_ALIVE) |
    FIELD_BIT(PROXY_AUTHENTICATE) | FIELD_BIT(PROXY_AUTHORIZATION) |
    FIELD_BIT(PROXY_CONNECTION) | FIELD_BIT(TE) | FIELD_BIT(TRAILER) |
    FIELD_BIT(TRANSFER_ENCODING) | FIELD_BIT(UPGRADE);

bool
head_is_hop_by_hop(const struct head *h, const struct field *f)
{
    return field_is_in(f->id, fields_hop) ||
           head_lists(h, FIELD_CONNECTION, f->name);
}

static bool
is_protected(const struct head *h, struct slice option)
{
    enum field_id id = field_id_of(option);

    if (id == FIELD_OTHER) {
        return forwarding_of_name(option) != FORWARDING_NONE;
    }
    if (id == FIELD_TE) {
        return !head_has(h, FIELD_TE);
    }
    /* A response may name what it has (RFC 9110 7.6.1). */
    if (id == FIELD_TRANSFER_ENCODING) {
        return h->status == 0;
    }
    return (field_bit(id) & fields_hop) == 0;
}

struct options {
    bool has_close;
    bool has_keep_alive;
    unsigned count; /* of elements, empty ones too */
};

static enum parse_fault
judge_option(const struct head *h, struct slice option, struct options *seen)
{
    if (++seen->count > OPTIONS_MAX) {
        return FAULT_CONNECTION;
    }
    if (option.len == 0) {
        return FAULT_NONE;
    }
    if (!slice_is_class(option, CLASS_TOKEN)) {
        return FAULT_CONNECTION;
    }
    if (slice_ieq(option, SLICE("close"))) {
        seen->has_close = true;
    } else if (slice_ieq(option, SLICE("keep-alive"))) {
        seen->has_keep_alive = true;
    } else if (is_protected(h, option)) {
        return FAULT_CONNECTION_NAMES;
    }
    return FAULT_NONE;
}

enum parse_fault
connection_judge(struct head *h, bool is_repeated)
{
    const struct field *f = head_find(h, FIELD_CONNECTION);
    struct options seen = {0};
    enum parse_fault fault;

    if (!is_repeated && slice_eq(f->value, SLICE("keep-alive"))) {
        h->is_keep_alive = true; /* what most say that say anything */
        return FAULT_NONE;
    }
    for (; f != NULL; f = head_find_next(h, f)) {
        struct slice rest = f->value, option;
        while (slice_split(&rest, ',', &option)) {
            fault = judge_option(h, slice_trim(option), &seen);
            if (fault != FAULT_NONE) {
                return fault;
            }
        }
    }
    h->is_keep_alive =
        !seen.has_close && (h->minor >= 1 || seen.has_keep_alive);
    return FAULT_NONE;
}
