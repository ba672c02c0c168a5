/* Two kinds of bodies behind one door. */
#include "nearside/body/source.h"

#define SOURCE_MAGIC UINT32_C(0x6e737263)

void
source_of_bytes(struct source *source, struct slice bytes)
{
    MUST(source->reader.fill == NULL);
    *source = (struct source){.magic = SOURCE_MAGIC, .bytes = bytes};
}

enum rc
source_of_fill(struct source *source, struct fill *fill, struct loop *loop)
{
    enum rc rc;

    MUST(source->reader.fill == NULL);
    *source = (struct source){0};
    rc = fill_join(fill, loop, &source->reader);
    source->magic = rc == RC_OK ? SOURCE_MAGIC : 0;
    return rc;
}

void
source_close(struct source *source)
{
    MUST(source->magic == SOURCE_MAGIC || source->reader.fill == NULL);
    fill_leave(&source->reader);
    source->magic = 0;
}

int
source_peek(struct source *source, struct iovec *iov, int iov_max)
{
    MUST_OBJ(source, SOURCE_MAGIC);
    if (source->reader.fill != NULL) {
        return fill_peek(&source->reader, iov, iov_max);
    }
    if (source->bytes.len == 0 || iov_max < 1) {
        return 0;
    }
    iov->iov_base = (char *)(uintptr_t)source->bytes.ptr;
    iov->iov_len = source->bytes.len;
    return 1;
}

uint64_t
source_left(const struct source *source)
{
    MUST_OBJ(source, SOURCE_MAGIC);
    return source->reader.fill != NULL ? fill_left(&source->reader)
                                       : source->bytes.len;
}

void
source_advance(struct source *source, uint64_t n)
{
    MUST_OBJ(source, SOURCE_MAGIC);
    if (source->reader.fill != NULL) {
        fill_advance(&source->reader, n);
        return;
    }
    MUST(n <= source->bytes.len);
    source->bytes = slice_skip(source->bytes, (size_t)n);
}

enum source_state
source_state(const struct source *source)
{
    enum fill_state state;

    MUST_OBJ(source, SOURCE_MAGIC);
    if (source->reader.fill == NULL) {
        return SOURCE_END;
    }
    state = fill_state(source->reader.fill);
    if (state == FILL_FAILED) {
        return SOURCE_FAILED;
    }
    return state == FILL_OPEN ? SOURCE_MORE : SOURCE_END;
}

enum origin_error
source_error(const struct source *source)
{
    const struct fill *fill = source->reader.fill;

    MUST(fill == NULL || source->magic == SOURCE_MAGIC);
    return fill != NULL && fill_state(fill) == FILL_FAILED ? fill_error(fill)
                                                           : ORIGIN_ERROR_NONE;
}

void
source_await(struct source *source, void (*on_wake)(void *ctx), void *ctx)
{
    MUST_OBJ(source, SOURCE_MAGIC);
    MUST(source->reader.fill != NULL);
    source->reader.on_wake = on_wake;
    source->reader.ctx = ctx;
    fill_await(&source->reader);
}
