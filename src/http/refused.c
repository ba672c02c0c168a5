/*
 * Reads a refused head for the log. It is as lenient as the parser is strict:
 * the line is cut at its first space and before what looks like a version,
 * whatever else is in it; a Host that is there is shown, whatever comes before
 * it.
 */
#include "nearside/http/refused.h"

#include "nearside/base/check.h"

static bool
starts(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len &&
           slice_ieq(slice_of(s.ptr, prefix.len), prefix);
}

static struct slice
without_cr(struct slice line)
{
    while (line.len > 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

/* "/a HTTP/1.1": the target, and what stands for a version behind it. */
static void
read_target(struct slice text, struct head *out)
{
    size_t at = text.len;

    while (at > 0 && text.ptr[at - 1] != ' ') {
        at--;
    }
    out->target = text;
    if (at > 0 && starts(slice_skip(text, at), SLICE("http"))) {
        out->target.len = at - 1;
        out->version = slice_skip(text, at);
    }
}

static void
read_request_line(struct slice line, struct head *out)
{
    ptrdiff_t space = slice_find(line, ' ');

    out->method_text = line;
    if (space >= 0) {
        out->method_text.len = (size_t)space;
        read_target(slice_skip(line, (size_t)space + 1), out);
    }
}

enum parse_fault
refused_as(struct slice raw, enum parse_fault fault)
{
    /* Where each begins. A ClientHello is a record of type 22, version 3.x. */
    static const struct {
        struct slice start;
        enum parse_fault fault;
    } rows[] = {
        {{"\x16\x03", 2}, FAULT_TLS},
        {{"PROXY TCP4 ", 11}, FAULT_PROXY_PROTOCOL},
        {{"PROXY TCP6 ", 11}, FAULT_PROXY_PROTOCOL},
        {{"PROXY UNKNOWN", 13}, FAULT_PROXY_PROTOCOL},
        {{"\r\n\r\n\0\r\nQUIT\n", 12}, FAULT_PROXY_PROTOCOL},
        {{"PRI * HTTP/2.0\r\n", 16}, FAULT_HTTP2},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (slice_starts(raw, rows[i].start)) {
            return rows[i].fault;
        }
    }
    return fault;
}

void
refused_read(struct slice raw, struct head *out)
{
    const struct slice host = SLICE("host:");
    struct slice line;
    bool is_first = true;

    memset(out, 0, offsetof(struct head, fields));
    out->minor = 1; /* what it is answered by */
    out->is_refused = true;
    while (slice_split(&raw, '\n', &line)) {
        line = without_cr(line);
        if (is_first && line.len > 0) {
            read_request_line(line, out);
            is_first = false;
        } else if (line.len == 0 && !is_first) {
            return; /* what follows is no head */
        } else if (starts(line, host)) {
            out->host = slice_trim(slice_skip(line, host.len));
            return;
        }
    }
}
