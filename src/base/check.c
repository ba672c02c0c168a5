/* The end of the process when one of our own invariants is broken. */
#include "nearside/base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void
must_fail(const char *expr, const char *file, int line, const char *function)
{
    fprintf(stderr, "nearside: %s:%d: %s: broken invariant: %s\n", file, line,
        function, expr);
    abort();
}
