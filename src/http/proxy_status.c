/*
 * Proxy-Status (RFC 9209), in the syntax of RFC 9651. Laws: a name that is no
 * token is written as a string; a line is written whole or not at all.
 */
#include "nearside/http/proxy_status.h"

#include "nearside/base/check.h"
#include "nearside/http/structured.h"

void
proxy_status_write_line(struct writer *w, const struct proxy_status *s)
{
    size_t start = w->len;

    MUST(s->name.len > 0);
    write_slice(w, SLICE("proxy-status: "));
    sf_write_token_or_string(w, s->name);
    if (s->error.len > 0) {
        MUST(sf_is_token(s->error));
        write_slice(w, SLICE("; error="));
        write_slice(w, s->error);
    }
    if (s->next_hop.len > 0) {
        write_slice(w, SLICE("; next-hop="));
        sf_write_token_or_string(w, s->next_hop);
    }
    if (s->received_status != 0) {
        write_slice(w, SLICE("; received-status="));
        write_u64(w, s->received_status);
    }
    if (s->details.len > 0) {
        write_slice(w, SLICE("; details="));
        sf_write_string(w, s->details);
    }
    write_line_end(w, start);
}
