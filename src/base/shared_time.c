#include "nearside/base/shared_time.h"

const struct shared_time shared_time_own;
