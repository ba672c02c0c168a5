/*
 * A queue of seats: first in, first out; one may leave from anywhere.
 */
#ifndef CACHE_QUEUE_H
#define CACHE_QUEUE_H

#include "seats.h"

/* Zeroed: empty. Linked by the numbers of seats. */
struct queue {
    uint32_t newest;
    uint32_t oldest;
    size_t len;
    size_t bytes;
};

/* The seat is in no queue, and has an entry. */
void queue_push(struct queue *q, struct seats *seats, uint32_t number);

/* It is in this queue, with the entry that it had when it was pushed. */
void queue_remove(struct queue *q, struct seats *seats, uint32_t number);

/* Another entry takes that one's place, which stands where it is. */
void queue_weigh(
    struct queue *q, const struct entry *before, const struct entry *after);

/* Is all of it as it must be? For tests. */
void queue_check(
    const struct queue *q, const struct seats *seats, unsigned which);

#endif
