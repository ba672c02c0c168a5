/* The one object of shared_time.h. Zeroed, it follows the own wall clock. */
#include "nearside/base/shared_time.h"

const struct shared_time shared_time_own;
