/* Heads for fuzzers, made of lines of their input without the parser: what
   reads heads must stand more than the parser lets through. */
#ifndef TESTS_FUZZ_FUZZ_HTTP_FIELDS_H
#define TESTS_FUZZ_FUZZ_HTTP_FIELDS_H

#include "fuzz.h"
#include "../support/http_names.h"
#include "nearside/http/head.h"

static inline void
fuzz_add_field(struct head *head, enum field_id id, struct slice value)
{
    if (head->field_count == HEAD_FIELDS_MAX) {
        return;
    }
    head->fields[head->field_count++] =
        (struct field){field_name_of(id), slice_trim(value), id};
    head->field_set |= UINT64_C(1) << (id - 1);
}

/* Each line of in is one value of that field. */
static inline void
fuzz_add_fields(struct head *head, enum field_id id, struct slice in)
{
    struct slice line;

    while (slice_split(&in, '\n', &line)) {
        fuzz_add_field(head, id, line);
    }
}

#endif
