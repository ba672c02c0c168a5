/*
 * Checks for our own mistakes. They stay on in release builds: a broken
 * invariant must not limp on. What a peer, Redis or a disk sent is tested
 * and answered for, never asserted here.
 */
#ifndef NEARSIDE_BASE_CHECK_H
#define NEARSIDE_BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Says what failed and where on stderr, then aborts. */
_Noreturn void must_fail(
    const char *expr, const char *file, int line, const char *function);

/*
 * While a scope is entered, a failed MUST of this thread also prints what
 * describe says. Scopes are left in the opposite order; they live on the stack.
 */
struct check_scope {
    void (*describe)(const void *ctx, FILE *to);
    const void *ctx;
    struct check_scope *outer;
};

void check_enter(struct check_scope *scope);
void check_leave(struct check_scope *scope);

#define MUST(x)                                                                \
    (__builtin_expect(!!(x), 1) ? (void)0                                      \
                                : must_fail(#x, __FILE__, __LINE__, __func__))

/* p points to a live object of the kind whose magic is m. */
#define MUST_OBJ(p, m) MUST((p) != NULL && (p)->magic == (m))

/*
 * Casts a callback's void * back to its object. The object's first member
 * must be `uint32_t magic`.
 */
#define OBJ_OF(type, ctx, m)                                                   \
    ((type *)obj_checked((ctx), (m), offsetof(type, magic), __FILE__, __LINE__))

static inline void *
obj_checked(
    void *ctx, uint32_t magic, size_t offset, const char *file, int line)
{
    if (ctx == NULL || *(uint32_t *)((char *)ctx + offset) != magic) {
        must_fail("object has its magic", file, line, "OBJ_OF");
    }
    return ctx;
}

/* The struct of which `member` is at p. */
#define CONTAINER_OF(p, type, member)                                          \
    ((type *)(void *)((char *)(p)-offsetof(type, member)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
