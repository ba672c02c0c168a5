/*
 * Which of the 16,384 hash slots a key falls into. Pure.
 *
 * The checksum is CRC16 in its XMODEM flavour: polynomial 0x1021, start 0,
 * nothing reflected; "123456789" gives 0x31c3. Four bytes are taken at a
 * time: a byte's share in the checksum depends only on how many bytes follow
 * it, and all shares are added (XOR), as are those of a byte's bits.
 */
#include "nearside/redis/slot.h"

#include "nearside/base/check.h"

/* The share of byte n, and of so many bytes from n on; a to h are the shares
   of its bits, from the lowest. */
#define BIT(n, at, share) ((n) >> (at)&1 ? (share) : 0)
#define SHARE(n, a, b, c, d, e, f, g, h)                                       \
    BIT(n, 0, a) ^ BIT(n, 1, b) ^ BIT(n, 2, c) ^ BIT(n, 3, d) ^ BIT(n, 4, e) ^ \
        BIT(n, 5, f) ^ BIT(n, 6, g) ^ BIT(n, 7, h)
#define FOUR(n, ...)                                                           \
    SHARE(n, __VA_ARGS__), SHARE(n + 1, __VA_ARGS__),                          \
        SHARE(n + 2, __VA_ARGS__), SHARE(n + 3, __VA_ARGS__)
#define SIXTEEN(n, ...)                                                        \
    FOUR(n, __VA_ARGS__), FOUR(n + 4, __VA_ARGS__), FOUR(n + 8, __VA_ARGS__),  \
        FOUR(n + 12, __VA_ARGS__)
#define SIXTY_FOUR(n, ...)                                                     \
    SIXTEEN(n, __VA_ARGS__), SIXTEEN(n + 16, __VA_ARGS__),                     \
        SIXTEEN(n + 32, __VA_ARGS__), SIXTEEN(n + 48, __VA_ARGS__)
#define BYTES(...)                                                             \
    {                                                                          \
        SIXTY_FOUR(0, __VA_ARGS__), SIXTY_FOUR(64, __VA_ARGS__),               \
            SIXTY_FOUR(128, __VA_ARGS__), SIXTY_FOUR(192, __VA_ARGS__)         \
    }

/* shares[k]: of a byte that k others follow. */
static const uint16_t shares[4][256] = {
    BYTES(0x1021, 0x2042, 0x4084, 0x8108, 0x1231, 0x2462, 0x48c4, 0x9188),
    BYTES(0x3331, 0x6662, 0xccc4, 0x89a9, 0x0373, 0x06e6, 0x0dcc, 0x1b98),
    BYTES(0x3730, 0x6e60, 0xdcc0, 0xa9a1, 0x4363, 0x86c6, 0x1dad, 0x3b5a),
    BYTES(0x76b4, 0xed68, 0xcaf1, 0x85c3, 0x1ba7, 0x374e, 0x6e9c, 0xdd38),
};

static uint16_t
crc16(struct slice s)
{
    const unsigned char *at = (const unsigned char *)s.ptr;
    size_t left = s.len;
    unsigned crc = 0;

    for (; left >= 4; left -= 4, at += 4) {
        crc = (unsigned)shares[3][at[0] ^ (crc >> 8)] ^
              shares[2][at[1] ^ (crc & 0xff)] ^ shares[1][at[2]] ^
              shares[0][at[3]];
    }
    for (; left > 0; left--, at++) {
        crc = ((crc << 8) & 0xff00) ^ shares[0][(crc >> 8) ^ *at];
    }
    return (uint16_t)crc;
}

/* What stands between the first '{' and the next '}', unless empty. */
static struct slice
slot_tag(struct slice key)
{
    ptrdiff_t open = slice_find(key, '{');
    struct slice rest;
    ptrdiff_t close;

    if (open < 0) {
        return key;
    }
    rest = slice_skip(key, (size_t)open + 1);
    close = slice_find(rest, '}');
    return close > 0 ? slice_of(rest.ptr, (size_t)close) : key;
}

uint16_t
slot_of(struct slice key)
{
    MUST(key.ptr != NULL || key.len == 0);
    return crc16(slot_tag(key)) & (SLOT_COUNT - 1);
}
