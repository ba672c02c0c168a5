/*
 * What things cost in memory, a line each: name and bytes. To print them:
 *
 *     cmake --build build-tests --target bench-sizes
 *     build-tests/bench/bench-sizes
 *
 * An entry's overhead is what it takes above key, field lines and body, with
 * malloc's own bytes: the most, and the mean, over bodies of 0 to 4,095 bytes.
 */
#include <stdio.h>

#include "nearside/base/check.h"
#include "nearside/cache/codec.h"

enum {
    BODIES = 4096,
};

static size_t
entry_overhead(size_t body_len)
{
    static char body[BODIES];
    const struct codec_parts parts = {
        .status = 200,
        .key = SLICE("http://shop.example/products/42"),
        .fields = SLICE("content-type: application/json\r\n"),
        .body = slice_of(body, body_len),
    };
    struct value value;
    struct entry *e;
    size_t overhead;

    MUST(codec_encode(&parts, &value) == RC_OK);
    MUST(codec_entry(&value, &e) == RC_OK);
    overhead = entry_size(e) - parts.key.len - parts.fields.len - body_len;
    entry_unref(&e);
    value_free(&value);
    return overhead;
}

int
main(void)
{
    size_t most = 0;
    size_t sum = 0;

    for (size_t len = 0; len < BODIES; len++) {
        size_t overhead = entry_overhead(len);
        most = overhead > most ? overhead : most;
        sum += overhead;
    }
    printf("entry_struct %zu\n", sizeof(struct entry));
    printf("entry_overhead_max %zu\n", most);
    printf("entry_overhead %zu\n", sum / BODIES);
    return 0;
}
