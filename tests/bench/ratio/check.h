/* Are the rivals and the bounds right? Ends the program if not. */
#ifndef BENCH_RATIO_CHECK_H
#define BENCH_RATIO_CHECK_H

#include <stdint.h>

void check_all(uint64_t seed);

#endif
