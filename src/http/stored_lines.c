/* Stored field lines beyond the walk itself. */
#include "nearside/http/stored_lines.h"

#include "http/known.h"

bool
stored_find_single(
    struct slice lines, struct slice name, struct slice *out_value)
{
    struct slice value, other;

    if (!stored_next_of(&lines, name, &value) ||
        stored_next_of(&lines, name, &other)) {
        return false;
    }
    *out_value = value;
    return true;
}

enum rc
stored_to_head(struct slice lines, unsigned status, struct head *out)
{
    struct slice name, value;

    /* Not the whole of it: the array of fields is large. */
    memset(out, 0, offsetof(struct head, fields));
    out->status = (uint16_t)status;
    while (stored_next(&lines, &name, &value)) {
        enum field_id id = field_id_of(name);
        if (out->field_count == HEAD_FIELDS_MAX) {
            return RC_LIMIT;
        }
        out->fields[out->field_count++] = (struct field){name, value, id};
        if (id != FIELD_OTHER) {
            out->field_set |= field_bit(id);
        }
    }
    return RC_OK;
}
