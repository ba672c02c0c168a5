/*
 * The heap as a unit test sees it: the blocks that malloc, calloc, realloc,
 * posix_memalign, strdup and strndup gave to the rooms and to the test itself,
 * and one that is refused. What libraries take is not counted.
 *
 * A program whose tests have passed fails after all if at its end a block was
 * not released, or a file is open that was not open when it began.
 */
#ifndef TESTS_UNIT_HEAP_H
#define TESTS_UNIT_HEAP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The blocks that are taken. */
size_t heap_blocks(void);

/* Between the two, all that was taken is given back. */
void heap_begins(void);
void heap_ends(void);

/* The nth block of at least that size that this thread wants from now on is
   not to be had. nth 0: all are. */
void heap_refuse(unsigned nth, size_t size);

/* Whether it has come to that. From here on all are to be had. */
bool heap_refused(void);

/* The end is not looked at: a thread goes on that a library waits in. */
void heap_let_off(void);

#endif
