/*
 * The head of a value, as its bytes stand in Redis, but for the order of bytes
 * in a number; and how it becomes the shorter head of an entry.
 */
#ifndef CACHE_HEAD_H
#define CACHE_HEAD_H

#include "nearside/cache/entry.h"

struct head {
    char magic[4];
    uint8_t version;
    uint8_t coding;
    uint16_t status;
    uint16_t flags;
    uint16_t generations;
    uint32_t fetched;
    int64_t created_ms;
    int64_t fresh_until_ms;
    int64_t stale_until_ms;
    uint32_t key_len;
    uint32_t private_len;
    uint32_t fields_len;
    uint32_t body_len;
    uint32_t while_ms;
    uint32_t if_error_ms;
};

static_assert(sizeof(struct head) == 64, "as in a value");
static_assert(offsetof(struct head, status) == 6, "as in a value");
static_assert(offsetof(struct head, fetched) == 12, "as in a value");
static_assert(offsetof(struct head, created_ms) == 16, "as in a value");
static_assert(offsetof(struct head, key_len) == 40, "as in a value");
static_assert(offsetof(struct head, while_ms) == 56, "as in a value");

/* Bytes of an entry's head that says the same; a value's at most. */
size_t head_len_in_entry(const struct head *h);

/* Makes it, right before the parts, which are aligned as malloc does it: so
   many bytes there are the caller's. It has one reference. */
struct entry *head_make_entry(const struct head *h, char *parts);

#endif
