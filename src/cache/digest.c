/* SHA-256, cut to what is enough against collisions that somebody seeks. */
#include "nearside/cache/digest.h"

#include <sha2.h>

#include "nearside/base/check.h"

void
digest_hex(struct slice s, char out[DIGEST_LEN])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SHA2_CTX ctx;

    MUST(s.ptr != NULL || s.len == 0);
    SHA256Init(&ctx);
    SHA256Update(&ctx, (const uint8_t *)s.ptr, s.len);
    SHA256Final(hash, &ctx);
    for (size_t i = 0; i < DIGEST_LEN / 2; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
}
