/*
 * Hashes: SipHash-1-3 for tables that strangers can fill, and splitmix64
 * for jitter.
 *
 * One compression and three finalisation rounds, as in the hash tables of
 * Rust, Python and Linux: a stranger who cannot read the hashes has no
 * shortcut to collisions, and the price is half of SipHash-2-4's.
 */
#include "nearside/base/hash.h"

#include <endian.h>
#include <errno.h>
#include <sys/random.h>

#include "nearside/base/check.h"

struct sip {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

/* getrandom fills a short buffer whole or not at all. It is interrupted only
   while the kernel's pool is not ready. */
static void
kernel_random(void *out, size_t len)
{
    ssize_t got;

    do {
        got = getrandom(out, len, 0);
    } while (got < 0 && errno == EINTR);
    /* Without it tables could be flooded; better not to run at all. */
    MUST(got == (ssize_t)len);
}

void
hash_key_random(struct hash_key *out)
{
    MUST(out != NULL);
    kernel_random(out, sizeof(*out));
}

static inline uint64_t
rotl(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline void
sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

static inline void
sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

static inline uint64_t
word_at(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return le64toh(word);
}

/* The last word: the bytes left over, and the length in the top byte. Where
   there are eight bytes, the last eight are read at once, and those that were
   hashed already are shifted out. */
static inline uint64_t
last_word(struct slice s, size_t left)
{
    uint64_t word = (uint64_t)s.len << 56;

    if (left > 0 && s.len > left) {
        return word | word_at(s.ptr + s.len - 8) >> (64 - 8 * left);
    }
    for (size_t i = 0; i < left; i++) {
        word |= (uint64_t)(unsigned char)s.ptr[i] << (8 * i);
    }
    return word;
}

uint64_t
hash_keyed(const struct hash_key *key, struct slice s)
{
    struct sip sip = {
        key->k0 ^ UINT64_C(0x736f6d6570736575),
        key->k1 ^ UINT64_C(0x646f72616e646f6d),
        key->k0 ^ UINT64_C(0x6c7967656e657261),
        key->k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t left = s.len % 8;
    size_t whole = s.len - left;

    for (size_t i = 0; i < whole; i += 8) {
        sip_word(&sip, word_at(s.ptr + i));
    }
    sip_word(&sip, last_word(s, left));
    sip.v2 ^= 0xff;
    sip_round(&sip);
    sip_round(&sip);
    sip_round(&sip);
    return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

void
random_seed(struct random *r)
{
    MUST(r != NULL);
    kernel_random(&r->state, sizeof(r->state));
}

/* splitmix64 (Steele, Lea and Flood 2014). */
uint64_t
random_next(struct random *r)
{
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t
random_below(struct random *r, uint64_t below)
{
    uint64_t uneven;
    uint64_t x;

    if (below == 0) {
        return 0;
    }
    /* The first (2^64 mod below) numbers are drawn again: they would make some
       results likelier. */
    uneven = (0 - below) % below;
    do {
        x = random_next(r);
    } while (x < uneven);
    return x % below;
}
