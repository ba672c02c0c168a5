/* Two kinds of bodies behind one door. */
#include "nearside/body/source.h"

#include "nearside/base/check.h"

static void
on_early_wake(void *ctx)
{
    (void)ctx;
}

void
source_of_bytes(struct source *source, struct slice bytes)
{
    *source = (struct source){.bytes = bytes};
}

enum rc
source_of_fill(struct source *source, struct fill *fill, struct loop *loop)
{
    *source = (struct source){0};
    source->reader.on_wake = on_early_wake;
    return fill_join(fill, loop, &source->reader);
}

bool
source_is_cut(const struct source *source)
{
    return source->reader.is_cut;
}

void
source_close(struct source *source)
{
    fill_leave(&source->reader);
    source->bytes = slice_of(NULL, 0);
}

int
source_peek(struct source *source, struct iovec *iov, int iov_max)
{
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
    if (source->reader.fill != NULL) {
        return fill_left(&source->reader);
    }
    return source->bytes.len;
}

void
source_advance(struct source *source, uint64_t n)
{
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
    if (source->reader.fill == NULL) {
        return SOURCE_END;
    }
    if (source->reader.is_cut) {
        return SOURCE_FAILED;
    }
    switch (fill_state(source->reader.fill)) {
    case FILL_OPEN:
        return SOURCE_MORE;
    case FILL_COMPLETE:
        return SOURCE_END;
    case FILL_FAILED:
        return SOURCE_FAILED;
    }
    return SOURCE_FAILED;
}

void
source_await(struct source *source, void (*on_wake)(void *ctx), void *ctx)
{
    MUST(source->reader.fill != NULL);
    source->reader.on_wake = on_wake;
    source->reader.ctx = ctx;
    fill_await(&source->reader);
}
