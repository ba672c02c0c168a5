/* Connection (RFC 9110 7.6.1), as the parser and the head read it. */
#ifndef NEARSIDE_HTTP_CONNECTION_H
#define NEARSIDE_HTTP_CONNECTION_H

#include "nearside/http/parse.h"

/* id is not FIELD_OTHER. */
static inline uint64_t
field_bit(enum field_id id)
{
    return UINT64_C(1) << (id - 1);
}

#define FIELD_BIT(id) (UINT64_C(1) << (FIELD_##id - 1))

/* Fields that end at this hop whether Connection names them or not. */
#define FIELDS_HOP                                                             \
    (FIELD_BIT(CONNECTION) | FIELD_BIT(HTTP2_SETTINGS) |                       \
        FIELD_BIT(KEEP_ALIVE) | FIELD_BIT(PROXY_AUTHENTICATE) |                \
        FIELD_BIT(PROXY_AUTHORIZATION) | FIELD_BIT(PROXY_CONNECTION) |         \
        FIELD_BIT(TE) | FIELD_BIT(TRAILER) | FIELD_BIT(TRANSFER_ENCODING) |    \
        FIELD_BIT(UPGRADE))

/* Does a Connection field of h name this field? */
bool connection_names(const struct head *h, struct slice name);

/*
 * Decides h->is_keep_alive by a Connection that is there; minor, fields and
 * field_set are filled. repeated: there is more than one.
 */
enum parse_fault connection_judge(struct head *h, bool is_repeated);

#endif
