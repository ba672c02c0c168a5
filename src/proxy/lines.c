/* Walking field lines that we wrote ourselves or the codec has checked. */
#include "proxy/lines.h"

bool
lines_next(struct slice *rest, struct slice *out_name, struct slice *out_value)
{
    struct slice line;
    ptrdiff_t end = slice_find(*rest, '\r');
    ptrdiff_t colon;

    if (end < 0) {
        return false;
    }
    line = slice_of(rest->ptr, (size_t)end);
    *rest = slice_skip(*rest, (size_t)end + 2);
    colon = slice_find(line, ':');
    if (colon < 0) {
        return false;
    }
    *out_name = slice_of(line.ptr, (size_t)colon);
    *out_value = slice_trim(slice_skip(line, (size_t)colon + 1));
    return true;
}

bool
lines_find(struct slice lines, struct slice name, struct slice *out_value)
{
    struct slice at;
    struct slice value;

    while (lines_next(&lines, &at, &value)) {
        if (slice_eq(at, name)) {
            *out_value = value;
            return true;
        }
    }
    return false;
}
