/*
 * Proxy-Status (RFC 9209), in the syntax of RFC 9651. Laws: a name that is no
 * token is written as a string; a line is written whole or not at all.
 */
#include "nearside/http/proxy_status.h"

#include "nearside/base/check.h"
#include "nearside/http/structured.h"

void
proxy_status_write_line(struct writer *w, struct slice name, struct slice error)
{
    size_t start = w->len;

    MUST(name.len > 0);
    write_slice(w, SLICE("proxy-status: "));
    sf_write_token_or_string(w, name);
    if (error.len > 0) {
        MUST(sf_is_token(error));
        write_slice(w, SLICE("; error="));
        write_slice(w, error);
    }
    write_line_end(w, start);
}
