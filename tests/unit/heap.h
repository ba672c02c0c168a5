/*
 * The heap as a test sees it: how many blocks are taken, and one that is
 * refused. A sanitizer has a malloc of its own. Under one nothing is counted,
 * and tests that need a refusal are left out (HAS_HEAP).
 */
#ifndef TESTS_UNIT_HEAP_H
#define TESTS_UNIT_HEAP_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HAS_HEAP
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *ptr);
#endif

struct heap {
    atomic_long blocks; /* that are taken */
    long blocks_before; /* a test began */
    unsigned refuse_in; /* this many of at least `refuse_size`; 0: none */
    size_t refuse_size;
};

static struct heap heap;

#ifdef HAS_HEAP

/* The nth block of at least that size, counted from now on, is not to be had.
   nth 0: all are. */
static inline void
heap_refuse(unsigned nth, size_t size)
{
    heap.refuse_in = nth;
    heap.refuse_size = size;
}

static inline bool
heap_refuses(size_t size)
{
    return heap.refuse_in > 0 && size >= heap.refuse_size &&
           --heap.refuse_in == 0;
}

static inline void *
heap_took(void *ptr)
{
    if (ptr != NULL) {
        atomic_fetch_add(&heap.blocks, 1);
    }
    return ptr;
}

void *
malloc(size_t size)
{
    return heap_refuses(size) ? NULL : heap_took(__libc_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
    return heap_refuses(count * size) ? NULL
                                      : heap_took(__libc_calloc(count, size));
}

void *
realloc(void *ptr, size_t size)
{
    if (heap_refuses(size)) {
        return NULL;
    }
    return ptr == NULL ? heap_took(__libc_malloc(size))
                       : __libc_realloc(ptr, size);
}

int
posix_memalign(void **out, size_t align, size_t size)
{
    *out = heap_took(__libc_memalign(align, size));
    return *out == NULL;
}

void
free(void *ptr)
{
    if (ptr != NULL) {
        atomic_fetch_sub(&heap.blocks, 1);
    }
    __libc_free(ptr);
}

#endif

static inline void *
heap_idle(void *ctx)
{
    return ctx;
}

/* What libc keeps of a thread for the next one is not a test's. */
static inline void
heap_had_a_thread(void)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, heap_idle, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Between the two, all that was taken is given back. */
static inline void
heap_begins(void)
{
    heap.blocks_before = atomic_load(&heap.blocks);
}

static inline void
heap_ends(void)
{
    assert_int_equal(atomic_load(&heap.blocks), heap.blocks_before);
}

#endif
