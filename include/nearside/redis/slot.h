/* Hash slots (cluster specification, "Key distribution model"). */
#ifndef NEARSIDE_REDIS_SLOT_H
#define NEARSIDE_REDIS_SLOT_H

#include "nearside/base/slice.h"

enum {
    SLOT_COUNT = 16384,
};

/* CRC16 (XMODEM) of the key, or of its first non-empty {tag}, mod 16384. */
uint16_t slot_of(struct slice key);

#endif
