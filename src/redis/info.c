/* INFO is text in lines; a section's title is one too. */
#include "redis/info.h"

#include "nearside/base/check.h"

struct slice
info_value(struct slice info, struct slice name)
{
    struct slice line;

    MUST(name.len > 0);
    while (slice_split(&info, '\n', &line)) {
        line = slice_trim(line);
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
            line.len--;
        }
        if (slice_starts(line, name) && line.len > name.len &&
            line.ptr[name.len] == ':') {
            return slice_skip(line, name.len + 1);
        }
    }
    return slice_of("", 0);
}
