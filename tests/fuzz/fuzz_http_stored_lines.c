/*
 * Stored field lines, of any bytes: all that is given out lies within, the
 * ways of counting agree, and a head made of lines gives the same lines.
 * Input: a name, a line end, the lines.
 */
#include "fuzz.h"
#include "nearside/http/stored_lines.h"

static size_t
walk(struct slice lines, bool *out_has_nameless)
{
    struct slice rest = lines, name, value;
    size_t count = 0;

    *out_has_nameless = false;
    for (; stored_next(&rest, &name, &value); count++) {
        *out_has_nameless = *out_has_nameless || name.len == 0;
        MUST(fuzz_is_within(name, lines) && fuzz_is_within(value, lines));
        MUST(slice_find(name, ':') < 0 && slice_find(name, '\r') < 0);
        MUST(slice_find(value, '\r') < 0);
        MUST(slice_eq(value, slice_trim(value)));
        MUST(rest.ptr > name.ptr);
    }
    return count;
}

static void
must_agree(struct slice lines, struct slice name)
{
    struct slice value = {NULL, 0}, first = {NULL, 0};
    struct slice rest = lines, ignored;
    size_t count = 0;

    while (stored_next_of(&rest, name, &ignored)) {
        count++;
    }
    MUST(stored_find(lines, name, &first) == (count > 0));
    MUST(stored_find_single(lines, name, &value) == (count == 1));
    if (count == 1) {
        MUST(slice_eq(value, first));
    } else {
        MUST(value.ptr == NULL);
    }
}

/* Written from the head, they are read as the same head. */
static void
must_survive_writing(struct slice lines, size_t count)
{
    static struct head head, again;
    size_t cap = lines.len * 2 + 1;
    char *text = malloc(cap);
    struct writer w = writer_of(text, cap);
    enum rc rc = stored_to_head(lines, 200, &head);

    MUST(text != NULL);
    MUST((rc == RC_OK) == (count <= HEAD_FIELDS_MAX));
    if (rc == RC_OK) {
        MUST(head.field_count == count && head.status == 200);
        for (size_t i = 0; i < count; i++) {
            write_field(&w, head.fields[i].name, head.fields[i].value);
        }
        MUST(!w.is_full);
        MUST(stored_to_head(writer_slice(&w), 200, &again) == RC_OK);
        MUST(again.field_count == count);
        MUST(again.field_set == head.field_set);
        for (size_t i = 0; i < count; i++) {
            MUST(slice_eq(again.fields[i].name, head.fields[i].name));
            MUST(slice_eq(again.fields[i].value, head.fields[i].value));
        }
    }
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(slice_of((const char *)data, size));
    struct slice lines = slice_of(copy, size), name;
    bool has_nameless;
    size_t count;

    slice_split(&lines, '\n', &name);
    must_agree(lines, name);
    must_agree(lines, SLICE("vary"));
    count = walk(lines, &has_nameless);
    /* A writer may rely on names. */
    if (!has_nameless) {
        must_survive_writing(lines, count);
    }
    free(copy);
    return 0;
}
