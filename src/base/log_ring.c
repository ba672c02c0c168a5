/*
 * A single-producer, single-consumer ring of records.
 *
 * Laws: only the producer moves `written`, only the consumer moves `taken`;
 * both only grow, and their difference is what the ring holds. The ring never
 * waits: a line that does not fit is dropped and counted.
 *
 *     taken (consumer)                 written (producer)
 *      v                                v
 *      | record line | record line | ...|      free      |
 *
 * `written` is published in one total order with the writer's sleep flag
 * (both seq_cst): either the producer sees the writer asleep and wakes it,
 * or the writer sees the record before it goes to sleep.
 */
#include "base/log_ring.h"

#include <stdlib.h>

#include "nearside/base/check.h"

struct log_ring *
log_ring_make(struct log *log)
{
    struct log_ring *r;
    void *mem;

    if (posix_memalign(&mem, alignof(struct log_ring), sizeof(*r)) != 0) {
        return NULL;
    }
    r = memset(mem, 0, offsetof(struct log_ring, data));
    r->magic = LOG_RING_MAGIC;
    r->log = log;
    return r;
}

void
log_ring_free(struct log_ring **ring)
{
    struct log_ring *r = *ring;

    MUST_OBJ(r, LOG_RING_MAGIC);
    *ring = NULL;
    r->magic = 0;
    free(r);
}

static void
copy_in(struct log_ring *r, uint64_t at, const void *from, size_t len)
{
    size_t start = at & (LOG_RING_SIZE - 1);
    size_t first = len < LOG_RING_SIZE - start ? len : LOG_RING_SIZE - start;

    memcpy(r->data + start, from, first);
    memcpy(r->data, (const char *)from + first, len - first);
}

static void
copy_out(const struct log_ring *r, uint64_t at, void *to, size_t len)
{
    size_t start = at & (LOG_RING_SIZE - 1);
    size_t first = len < LOG_RING_SIZE - start ? len : LOG_RING_SIZE - start;

    memcpy(to, r->data + start, first);
    memcpy((char *)to + first, r->data, len - first);
}

static void
count_drop(struct log_ring *r)
{
    atomic_store_explicit(&r->dropped,
        atomic_load_explicit(&r->dropped, memory_order_relaxed) + 1,
        memory_order_relaxed);
}

bool
log_ring_put(struct log_ring *ring, struct log_record record, struct slice line,
    bool *out_is_pressing)
{
    uint64_t at;
    size_t need;

    MUST_OBJ(ring, LOG_RING_MAGIC);
    at = atomic_load_explicit(&ring->written, memory_order_relaxed);
    line.len = line.len > LOG_LINE_MAX ? LOG_LINE_MAX : line.len;
    need = sizeof(record) + line.len;
    if (at + need - ring->taken_seen > LOG_RING_SIZE / 2) {
        ring->taken_seen =
            atomic_load_explicit(&ring->taken, memory_order_acquire);
    }
    *out_is_pressing = at + need - ring->taken_seen > LOG_RING_SIZE / 2;
    if (at + need - ring->taken_seen > LOG_RING_SIZE) {
        count_drop(ring);
        return false;
    }
    record.line_len = (uint32_t)line.len;
    copy_in(ring, at, &record, sizeof(record));
    if (line.len > 0) {
        copy_in(ring, at + sizeof(record), line.ptr, line.len);
    }
    atomic_store_explicit(&ring->written, at + need, memory_order_seq_cst);
    return true;
}

bool
log_ring_take(struct log_ring *ring, struct log_record *out_record, char *line)
{
    uint64_t at;

    MUST_OBJ(ring, LOG_RING_MAGIC);
    if (log_ring_is_empty(ring)) {
        return false;
    }
    at = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    copy_out(ring, at, out_record, sizeof(*out_record));
    MUST(out_record->line_len <= LOG_LINE_MAX);
    MUST(out_record->stream < LOG_STREAMS);
    copy_out(ring, at + sizeof(*out_record), line, out_record->line_len);
    atomic_store_explicit(&ring->taken,
        at + sizeof(*out_record) + out_record->line_len, memory_order_release);
    return true;
}

bool
log_ring_is_empty(struct log_ring *ring)
{
    return atomic_load_explicit(&ring->written, memory_order_seq_cst) ==
           atomic_load_explicit(&ring->taken, memory_order_relaxed);
}
