/*
 * The end of the process when one of our own invariants is broken.
 *
 * Law: the scopes of a thread are the one thing in this program that is found
 * without a handle, since a MUST stands where nobody hands one down.
 */
#include "nearside/base/check.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TELL_MS = 1000,
};

static _Thread_local struct check_scope *check_scopes;

void
check_enter(struct check_scope *scope)
{
    scope->outer = check_scopes;
    check_scopes = scope;
}

void
check_leave(struct check_scope *scope)
{
    MUST(check_scopes == scope);
    check_scopes = scope->outer;
}

_Noreturn void
must_fail(const char *expr, const char *file, int line, const char *function)
{
    struct check_scope *scope = check_scopes;
    struct pollfd told = {.fd = STDERR_FILENO, .events = POLLOUT};

    check_scopes = NULL; /* one that fails itself is not asked again */
    if (poll(&told, 1, TELL_MS) == 0) {
        abort(); /* nobody reads: it must end all the same */
    }
    fprintf(stderr, "nearside: %s:%d: %s: broken invariant: %s\n", file, line,
        function, expr);
    for (; scope != NULL; scope = scope->outer) {
        scope->describe(scope->ctx, stderr);
    }
    abort();
}
