/*
 * Structured fields: what is given out lies within the value and its bounds,
 * a value valid alone is valid twice, what is wrong stays wrong, and a string
 * that was written is valid.
 */
#include "fuzz.h"
#include "../support/structured_read.h"

static void
try_item(const struct sf_item *item)
{
    switch (item->type) {
    case SF_INTEGER:
        MUST(item->number >= INT64_C(-999999999999999));
        MUST(item->number <= INT64_C(999999999999999));
        break;
    case SF_BOOLEAN:
        MUST(item->number == 0 || item->number == 1);
        break;
    case SF_OTHER:
        break;
    }
}

static void
must_be_valid_twice(struct slice in)
{
    char *twice = malloc(in.len * 2 + 1);

    MUST(twice != NULL);
    memcpy(twice, in.ptr, in.len);
    twice[in.len] = ',';
    memcpy(twice + in.len + 1, in.ptr, in.len);
    MUST(sf_is_dictionary(slice_of(twice, in.len * 2 + 1)));
    free(twice);
}

static void
try_dictionary(struct slice in)
{
    struct slice rest = in, key;
    struct sf_item item;
    size_t count = 0;
    enum rc rc;

    for (; (rc = sf_next_member(&rest, &key, &item)) == RC_OK; count++) {
        MUST(key.len > 0 && fuzz_is_within(key, in));
        MUST(fuzz_is_within(rest, in));
        try_item(&item);
    }
    MUST(sf_is_dictionary(in) == (rc == RC_MISS));
    MUST(sf_next_member(&rest, &key, &item) == rc);
    if (rc == RC_MISS && count > 0) {
        must_be_valid_twice(in);
    }
}

/* As a value, and as the text of one that we write. */
static void
try_value(struct slice in)
{
    char *text = malloc(2 * in.len + 2);
    struct writer w = writer_of(text, 2 * in.len + 2);
    struct sf_item item;

    MUST(text != NULL);
    if (sf_parse_item(in, &item)) {
        try_item(&item);
    }
    MUST(!sf_is_token(in) || sf_is_item(in));
    sf_write_string(&w, in);
    MUST(!w.is_full);
    MUST(sf_parse_item(writer_slice(&w), &item));
    MUST(item.type == SF_OTHER);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(slice_of((const char *)data, size));

    try_dictionary(slice_of(copy, size));
    try_value(slice_of(copy, size));
    free(copy);
    return 0;
}
