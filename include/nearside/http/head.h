/*
 * A message head, parsed: what a request or a response says before its
 * content (RFC 9112 2.1). All slices are loans into the bytes that were
 * parsed; they end when those bytes are consumed or moved.
 */
#ifndef NEARSIDE_HTTP_HEAD_H
#define NEARSIDE_HTTP_HEAD_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "nearside/base/slice.h"

struct arena;

enum field_id {
    FIELD_OTHER, /* any name that field.def does not list */
#define FIELD(id, name) FIELD_##id,
#include "nearside/http/field.def"
#undef FIELD
    FIELD_COUNT
};

/* The id of a name in any case, or FIELD_OTHER. */
enum field_id field_id_of(struct slice name);

struct field {
    struct slice name;  /* as received, any case; a token */
    struct slice value; /* without OWS around it */
    enum field_id id;
};

enum {
    HEAD_FIELDS_MAX = 128, /* hard capacity; opts may ask for less */
};

enum method {
    METHOD_OTHER, /* any other token; its text is in head.method_text */
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_CONNECT,
    METHOD_TRACE,
};

/* Does it leave the state of its target alone (RFC 9110 9.2.1)? */
static inline bool
method_is_safe(enum method method)
{
    return method == METHOD_GET || method == METHOD_HEAD ||
           method == METHOD_OPTIONS || method == METHOD_TRACE;
}

/* How the content ends (RFC 9112 6.3). */
enum framing {
    FRAMING_NONE,    /* no content */
    FRAMING_LENGTH,  /* content_length bytes; may be 0 */
    FRAMING_CHUNKED, /* transfer-encoding: chunked, and nothing else */
    FRAMING_CLOSE,   /* responses only: until the connection ends */
};

struct head {
    uint16_t status;         /* of a response, 100..999; 0 in a request */
    uint8_t minor;           /* 0: HTTP/1.0, 1: HTTP/1.1 (1.2 to 1.9 too) */
    enum method method;      /* of a request; of the request answered */
    enum framing framing;    /* decided by the parser, strictly */
    uint64_t content_length; /* with FRAMING_LENGTH; for HEAD and 304 what
                                the field states, when has_content_length */
    bool has_content_length;
    bool is_keep_alive;  /* this side lets the connection live on */
    bool expects_100;    /* request: Expect: 100-continue, HTTP/1.1 */
    bool has_underscore; /* a name with '_' was seen and dropped */
    bool is_refused;     /* read by refused_read, for the log alone */
    struct slice method_text;
    bool is_https;       /* the target was an absolute-form that says so */
    struct slice target; /* origin-form, or "*" for OPTIONS; never empty. As
                            parsed it may lack the slash before its query */
    struct slice host;   /* uri-host [":" port], as received, validated */
    struct slice reason;
    struct slice version; /* of a refused request: "HTTP/1.1", as received */
    uint16_t field_count;
    uint64_t field_set; /* bit (id - 1) for ids 1 to 64 that are present */
    struct field fields[HEAD_FIELDS_MAX]; /* in the order received */
};

static inline bool
head_has(const struct head *h, enum field_id id)
{
    return id != FIELD_OTHER && ((h->field_set >> (id - 1)) & 1) != 0;
}

/* First field of that id, or NULL. */
const struct field *head_find(const struct head *h, enum field_id id);

/* Next one after `after`, or NULL. */
const struct field *head_find_next(
    const struct head *h, const struct field *after);

/* Is it a member (in any case) of a comma-separated list in that field? */
bool head_lists(const struct head *h, enum field_id id, struct slice member);

/* First field of that name (any case), or NULL. */
const struct field *head_find_name(const struct head *h, struct slice name);

/*
 * Is the field one that ends at this hop (RFC 9110 7.6.1): Connection and
 * what it names, Keep-Alive, TE, Trailer, Transfer-Encoding, Upgrade,
 * Proxy-Connection, Proxy-Authenticate, Proxy-Authorization,
 * HTTP2-Settings?
 */
bool head_is_hop_by_hop(const struct head *h, const struct field *f);

/* Adds a field, for which it has room, behind the others. */
static inline void
head_add(struct head *h, const struct field *f)
{
    h->fields[h->field_count++] = *f;
    if (f->id != FIELD_OTHER) {
        h->field_set |= UINT64_C(1) << (f->id - 1);
    }
}

/* Room for all its fields written as lines. */
static inline size_t
head_lines_size(const struct head *h)
{
    size_t size = 0;

    for (size_t i = 0; i < h->field_count; i++) {
        size += h->fields[i].name.len + h->fields[i].value.len + 4;
    }
    return size;
}

/*
 * A copy in the arena. raw: the bytes that the head was parsed from, copied
 * too. The copy has room for its own fields only: it is read by field_count
 * and never assigned as a whole. RC_NOMEM.
 */
enum rc head_copy(const struct head *head, struct slice raw,
    struct arena *arena, struct head **out) RC_MUST_CHECK;

static_assert(FIELD_COUNT <= 65, "field_set has a bit for each known field");

#endif
