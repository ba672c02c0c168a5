/* What `auto` comes to, of so much memory. */
#ifndef APP_AUTO_H
#define APP_AUTO_H

#include <stddef.h>
#include <stdint.h>

/* memory: bytes that the process may have; 0: nobody knows. */

/* held_max; wanted: by the conf, 0 for auto. */
uint64_t auto_held_max(uint64_t wanted, uint64_t memory);

/* The size of memory; wanted: SIZE_MAX for auto. */
size_t auto_memory_size(size_t wanted, uint64_t memory);

#endif
