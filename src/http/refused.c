/*
 * Reads a refused head for the log. It is as lenient as the parser is strict:
 * the line is cut at its first space and before its version, whatever else is
 * in it; a Host that is there is shown, whatever comes before it.
 */
#include "nearside/http/refused.h"

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

/* Without " HTTP/1.1" at its end, or what stands for it. */
static struct slice
without_version(struct slice text)
{
    for (size_t at = text.len; at-- > 0;) {
        struct slice last = slice_skip(text, at + 1);
        if (text.ptr[at] == ' ') {
            return starts(last, SLICE("http")) ? slice_of(text.ptr, at) : text;
        }
    }
    return text;
}

static void
read_request_line(struct slice line, struct head *out)
{
    ptrdiff_t space = slice_find(line, ' ');

    out->method_text = line;
    if (space >= 0) {
        out->method_text.len = (size_t)space;
        out->target = without_version(slice_skip(line, (size_t)space + 1));
    }
}

void
refused_read(struct slice raw, struct head *out)
{
    const struct slice host = SLICE("host:");
    struct slice line;
    bool is_first = true;

    memset(out, 0, offsetof(struct head, fields));
    out->minor = 1;
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
