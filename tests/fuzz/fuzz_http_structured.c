/*
 * Structured fields: what is given out lies within the value and can be
 * read to its end, a value valid alone is valid twice, and a string comes
 * back as it was written.
 */
#include "fuzz.h"
#include "../support/structured_read.h"

static void try_params(struct slice params, struct slice in);

static void
try_text(const struct sf_item *item)
{
    char *text = malloc(item->text.len + 1);
    char *again = malloc(item->text.len * 2 + 3);
    struct writer w, twice;
    struct sf_item back;

    MUST(text != NULL && again != NULL);
    w = writer_of(text, item->text.len);
    sf_write_text(&w, item);
    MUST(!w.is_full);
    if (item->type == SF_STRING) {
        twice = writer_of(again, item->text.len * 2 + 3);
        sf_write_string(&twice, writer_slice(&w));
        MUST(sf_parse_item(writer_slice(&twice), &back) == RC_OK);
        MUST(back.type == SF_STRING);
        MUST(slice_eq(back.text, item->text));
    }
    MUST(item->type != SF_TOKEN || sf_is_token(writer_slice(&w)));
    free(text);
    free(again);
}

static void
try_value(const struct sf_item *item, struct slice in)
{
    struct slice inner = item->text;
    struct sf_item member;

    MUST(fuzz_is_within(item->text, in));
    MUST(fuzz_is_within(item->params, in));
    MUST(item->number >= INT64_C(-999999999999999));
    MUST(item->number <= INT64_C(999999999999999));
    if (item->type == SF_INNER_LIST) {
        while (sf_next_inner(&inner, &member)) {
            MUST(member.type != SF_INNER_LIST);
            try_value(&member, in);
        }
        MUST(inner.len == 0);
    } else {
        try_text(item);
    }
    try_params(item->params, in);
}

static void
try_params(struct slice params, struct slice in)
{
    struct sf_item value;
    struct slice key;

    while (sf_next_param(&params, &key, &value)) {
        MUST(key.len > 0 && fuzz_is_within(key, in));
        MUST(value.type != SF_INNER_LIST && value.params.len == 0);
        try_value(&value, in);
    }
    MUST(params.len == 0);
}

static void
must_be_valid_twice(struct slice in, bool (*is_valid)(struct slice))
{
    char *twice = malloc(in.len * 2 + 1);

    MUST(twice != NULL);
    memcpy(twice, in.ptr, in.len);
    twice[in.len] = ',';
    memcpy(twice + in.len + 1, in.ptr, in.len);
    MUST(is_valid(slice_of(twice, in.len * 2 + 1)));
    free(twice);
}

static void
try_dictionary(struct slice in)
{
    struct sf_item item;
    size_t count = 0;
    struct slice key;
    struct sf s;
    enum rc rc;

    sf_start(&s, in);
    for (; (rc = sf_next_member(&s, &key, &item)) == RC_OK; count++) {
        MUST(key.len > 0 && fuzz_is_within(key, in));
        try_value(&item, in);
    }
    MUST(sf_is_dictionary(in) == (rc == RC_MISS));
    MUST(sf_next_member(&s, &key, &item) == rc);
    if (rc == RC_MISS && count > 0) {
        must_be_valid_twice(in, sf_is_dictionary);
    }
}

static void
try_list(struct slice in)
{
    struct sf_item item, alone;
    size_t count = 0;
    struct sf s;
    enum rc rc;

    sf_start(&s, in);
    for (; (rc = sf_next_item(&s, &item)) == RC_OK; count++) {
        try_value(&item, in);
    }
    MUST(sf_is_list(in) == (rc == RC_MISS));
    MUST(sf_next_item(&s, &item) == rc);
    if (rc == RC_MISS && count > 0) {
        must_be_valid_twice(in, sf_is_list);
    }
    if (sf_parse_item(in, &alone) == RC_OK) {
        MUST(rc == RC_MISS && count == 1);
        MUST(alone.type == item.type);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(slice_of((const char *)data, size));

    try_dictionary(slice_of(copy, size));
    try_list(slice_of(copy, size));
    free(copy);
    return 0;
}
