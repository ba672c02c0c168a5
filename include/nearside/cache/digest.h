/* A digest for what must not stand in the clear in a key. */
#ifndef NEARSIDE_CACHE_DIGEST_H
#define NEARSIDE_CACHE_DIGEST_H

#include "nearside/base/slice.h"

enum {
    DIGEST_LEN = 32,
};

/* The first 128 bits of SHA-256, in hex, without a NUL. Unkeyed: every
   instance gets the same. */
void digest_hex(struct slice s, char out[DIGEST_LEN]);

#endif
