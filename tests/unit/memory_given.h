/* Entries for what keeps them: a key, and a body of some length. */
#ifndef TESTS_UNIT_MEMORY_GIVEN_H
#define TESTS_UNIT_MEMORY_GIVEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "nearside/cache/codec.h"
#include "nearside/cache/memory.h"

enum {
    GIVEN_BODY_MAX = 65536,
};

/* Its generation, a number, opens the body. */
static inline struct entry *
given_entry(const char *full, unsigned generation, size_t body_len)
{
    static _Thread_local char body[GIVEN_BODY_MAX];
    struct codec_parts parts = {
        .status = 200,
        .key = slice_of(full, strlen(full)),
        .fields = SLICE("content-type: text/plain\r\n"),
        .body = slice_of(body, body_len),
    };
    struct value value;
    struct entry *e = NULL;

    assert_true(body_len >= sizeof(generation) && body_len <= sizeof(body));
    memcpy(body, &generation, sizeof(generation));
    assert_int_equal(codec_encode(&parts, &value), RC_OK);
    assert_int_equal(codec_entry(&value, &e), RC_OK);
    value_free(&value);
    return e;
}

static inline unsigned
given_generation(const struct entry *e)
{
    unsigned generation;

    memcpy(&generation, entry_body(e).ptr, sizeof(generation));
    return generation;
}

#endif
