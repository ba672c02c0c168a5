/* A queue of seats (queue.h). Its bytes are those of the entries. */
#include "queue.h"

#include "nearside/base/check.h"

void
queue_push(struct queue *q, struct seats *seats, uint32_t number)
{
    struct seat *seat = seats_at(seats, number);

    MUST(seat->entry != NULL);
    seat->prev = 0;
    seat->next = q->newest;
    if (q->newest != 0) {
        seats_at(seats, q->newest)->prev = number;
    } else {
        q->oldest = number;
    }
    q->newest = number;
    q->len++;
    q->bytes += entry_size(seat->entry);
}

void
queue_remove(struct queue *q, struct seats *seats, uint32_t number)
{
    struct seat *seat = seats_at(seats, number);

    MUST(q->len > 0);
    MUST(q->bytes >= entry_size(seat->entry));
    if (seat->prev != 0) {
        seats_at(seats, seat->prev)->next = seat->next;
    } else {
        q->newest = seat->next;
    }
    if (seat->next != 0) {
        seats_at(seats, seat->next)->prev = seat->prev;
    } else {
        q->oldest = seat->prev;
    }
    q->len--;
    q->bytes -= entry_size(seat->entry);
}

void
queue_weigh(
    struct queue *q, const struct entry *before, const struct entry *after)
{
    MUST(q->bytes >= entry_size(before));
    q->bytes -= entry_size(before);
    q->bytes += entry_size(after);
}

void
queue_check(const struct queue *q, const struct seats *seats, unsigned which)
{
    size_t len = 0;
    size_t bytes = 0;
    uint32_t newer = 0;

    for (uint32_t n = q->newest; n != 0; n = seats_at(seats, n)->next) {
        const struct seat *seat = seats_at(seats, n);

        MUST(seat->prev == newer);
        MUST(seat->queue == which);
        MUST(seat->entry != NULL);
        bytes += entry_size(seat->entry);
        len++;
        newer = n;
    }
    MUST(q->oldest == newer);
    MUST(q->len == len);
    MUST(q->bytes == bytes);
}
