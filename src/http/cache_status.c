/*
 * Cache-Status (RFC 9211), in the syntax of RFC 9651. Laws: a name that is no
 * token is written as a string; a line is written whole or not at all.
 */
#include "nearside/http/cache_status.h"

#include "nearside/base/check.h"
#include "nearside/http/structured.h"

static struct slice
fwd_token(enum cache_fwd fwd)
{
    static const struct slice tokens[] = {
        [CACHE_FWD_NONE] = {"", 0},
        [CACHE_FWD_BYPASS] = {"bypass", 6},
        [CACHE_FWD_METHOD] = {"method", 6},
        [CACHE_FWD_URI_MISS] = {"uri-miss", 8},
        [CACHE_FWD_VARY_MISS] = {"vary-miss", 9},
        [CACHE_FWD_REQUEST] = {"request", 7},
        [CACHE_FWD_STALE] = {"stale", 5},
    };

    MUST((unsigned)fwd < ARRAY_LEN(tokens));
    return tokens[fwd];
}

/* What has a meaning only beside fwd (2.3, 2.5, 2.6). */
static void
write_forward(struct writer *w, const struct cache_status *s)
{
    write_slice(w, SLICE("; fwd="));
    write_slice(w, fwd_token(s->fwd));
    if (s->fwd_status != 0) {
        write_slice(w, SLICE("; fwd-status="));
        write_u64(w, s->fwd_status);
    }
    if (s->is_stored) {
        write_slice(w, SLICE("; stored"));
    }
    if (s->is_collapsed) {
        write_slice(w, SLICE("; collapsed"));
    }
}

void
cache_status_write_line(struct writer *w, const struct cache_status *s)
{
    size_t start = w->len;

    MUST(s->name.len > 0);
    write_slice(w, SLICE("cache-status: "));
    sf_write_token_or_string(w, s->name);
    if (s->is_hit) {
        write_slice(w, SLICE("; hit"));
    }
    if (s->fwd != CACHE_FWD_NONE) {
        write_forward(w, s);
    }
    if (s->has_ttl) {
        write_slice(w, SLICE("; ttl="));
        sf_write_integer(w, s->ttl_s);
    }
    if (s->key.len > 0) {
        write_slice(w, SLICE("; key="));
        sf_write_string(w, s->key);
    }
    if (s->detail.len > 0) {
        write_slice(w, SLICE("; detail="));
        sf_write_token_or_string(w, s->detail);
    }
    write_line_end(w, start);
}
