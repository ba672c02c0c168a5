/*
 * What things cost in memory, a line each: name and bytes. To print them:
 *
 *     cmake --build build-tests --target bench-sizes
 *     build-tests/bench/bench-sizes
 *
 * An entry's overhead is what it takes above key, field lines and body, with
 * malloc's own bytes: the most, and the mean, over bodies of 0 to 4,095 bytes.
 * A connection is counted with malloc's own bytes, too. An idle one has also
 * a session and no turn.
 */
#include <malloc.h>
#include <stdio.h>
#include <sys/socket.h>

#include "nearside/base/check.h"
#include "nearside/cache/codec.h"
#include "nearside/net/conn.h"
#include "front/h1/session.h"

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

static size_t
conn_size(void)
{
    static const struct conn_callbacks callbacks;
    struct loop *loop = loop_new();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t before = mallinfo2().uordblks;
    struct conn *conn = conn_new(loop, fd, &callbacks, NULL);
    size_t size = mallinfo2().uordblks - before;

    MUST(conn != NULL);
    conn_close(&conn);
    loop_free(&loop);
    return size;
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
    printf("conn %zu\n", conn_size());
    printf("loop_timer %zu\n", sizeof(struct loop_timer));
    printf("loop_task %zu\n", sizeof(struct loop_task));
    printf("session_struct %zu\n", sizeof(struct session));
    printf("turn_struct %zu\n", sizeof(struct turn));
    return 0;
}
