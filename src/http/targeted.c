/* Targeted cache control (RFC 9213). Law: the first valid field of the list
   decides alone; an invalid one counts as absent. */
#include "nearside/http/targeted.h"

/*
 * All lines of one field. Joined, an empty one among several would make an
 * empty member, which no dictionary has (RFC 9651 4.2).
 */
static bool
read_field(
    const struct head *response, struct slice name, struct cache_control *out)
{
    const struct field *first = head_find_name(response, name);

    cache_control_init(out);
    for (const struct field *f = first; f != NULL;
         f = head_find_next(response, f)) {
        if (cache_control_add_dictionary(out, f->value) != RC_OK) {
            return false;
        }
    }
    return first != NULL;
}

bool
targeted_read(const struct head *response, const struct targeted_list *list,
    struct cache_control *out)
{
    for (size_t i = 0; i < list->count; i++) {
        if (read_field(response, list->names[i], out)) {
            return true;
        }
    }
    cache_control_parse(response, FIELD_CACHE_CONTROL, out);
    return false;
}

bool
targeted_has(const struct targeted_list *list, struct slice name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->names[i].len == name.len && slice_ieq(list->names[i], name)) {
            return true;
        }
    }
    return false;
}
