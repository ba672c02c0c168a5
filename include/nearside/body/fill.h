/*
 * A fill: one response under way. The loop that fetches it appends; readers
 * on any worker follow at their own pace and never see a byte move.
 *
 *     owner appends here --+            published length
 *                          v            v
 *     [chunk 1][chunk 2][chunk 3 ......|      ]
 *        ^                 ^
 *        slow reader       fast reader: the window is measured from here
 *
 * A kept fill holds all of its body, to be stored when it is complete; it runs
 * ahead of its readers. Any other frees the chunks that its slowest reader has
 * passed, and its owner stops when it is a window ahead of the fastest reader.
 *
 * Nobody is cut for another's speed. A fill that is kept no longer holds what
 * its slower readers still need, on a credit that all fills share. When that is
 * used up, the owner waits for the slowest reader, and a kept fill's for its
 * fastest.
 */
#ifndef NEARSIDE_BODY_FILL_H
#define NEARSIDE_BODY_FILL_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "nearside/base/slice.h"
#include "nearside/net/loop.h"
#include "nearside/origin/exchange.h"

enum {
    RESPONSE_AGE_NONE = -1,
};

/*
 * The head of a response as it is carried from one wire to another: status
 * and end-to-end field lines, no framing. What depends on the one who asks
 * (the status line, how the body ends, Age, Cache-Status) is written for each
 * answer.
 */
struct response_head {
    unsigned status;
    bool has_length;
    uint64_t length; /* of the body; of a HEAD's, what GET would give */
    int64_t age_s;   /* on receipt, or RESPONSE_AGE_NONE */
    /* "name: value\r\n" lines, names in lower case. */
    struct slice private_fields; /* for caches alone (RFC 9213): they are
                                    stored, and not delivered */
    struct slice fields;         /* all others; Date is always among them */
};

struct fill;
struct fill_chunk;

enum fill_state {
    FILL_OPEN,     /* more may come */
    FILL_COMPLETE, /* all of it is here */
    FILL_FAILED,   /* cut short: what is here is not the response */
};

/* Bytes in chunks of all fills that hold them on this credit. */
struct fill_credit {
    atomic_ullong held;
};

struct fill_opts {
    size_t window;   /* bytes ahead of the fastest reader */
    size_t held_max; /* bytes that slower readers of a fill that is not kept
                        need, beyond which the owner stops */
    bool is_kept;    /* to be stored: chunks stay */
    /* While less than credit_max is held on it, a kept fill may be ahead_max
       further ahead, and held_max does not count. NULL: none. */
    struct fill_credit *credit;
    uint64_t credit_max;
    size_t ahead_max;
    /* Comes on the owner's loop after fill_append took less than it was
       offered, when there is room again. Never after fill_finish. */
    void (*on_room)(void *ctx);
    void *ctx;
};

/* One reference, the owner's. NULL: no memory. The head's lines are copied. */
struct fill *fill_new(struct loop *owner, const struct response_head *head,
    const struct fill_opts *opts);
struct fill *fill_ref(struct fill *fill);
void fill_unref(struct fill **fill);

/* Those who keep it in memory, the owner included. */
uint32_t fill_sharers(const struct fill *fill);

/* What stands before the body; does not change. */
const struct response_head *fill_head(const struct fill *fill);

enum fill_state fill_state(const struct fill *fill);
uint64_t fill_len(const struct fill *fill); /* published so far */

/* What a FAILED one failed of; NONE: it was given up here. */
enum origin_error fill_error(const struct fill *fill);

/* --- the owner's side, on its loop --- */

/* Takes what fits. Fewer bytes than offered: on_room follows, or there was no
   memory and the fill is FILL_FAILED. */
size_t fill_append(struct fill *fill, struct slice data);

/* Before fill_finish with FAILED: it is the origin's fault. */
void fill_blame(struct fill *fill, enum origin_error error);

/* Once, COMPLETE or FAILED; wakes the readers a last time. */
void fill_finish(struct fill *fill, enum fill_state state);

/* A kept fill will not be stored after all: chunks go as the readers leave
   them. */
void fill_stop_keeping(struct fill *fill);

bool fill_has_readers(struct fill *fill);

/* Does the owner wait for the slowest reader, whatever the others do? */
bool fill_waits_for_slowest(struct fill *fill);

/* The runs of a kept, complete body, one after the other; start with
 *cursor NULL. Empty when done. */
struct slice fill_run(struct fill *fill, struct fill_chunk **cursor);

/* --- a reader's side, on the reader's own loop --- */

struct fill_reader {
    uint32_t magic;   /* while it is joined */
    bool is_awaiting; /* asked to be woken */
    struct list link; /* in the fill's side for this loop */
    struct fill *fill;
    struct fill_side *side;
    struct fill_chunk *chunk; /* where offset lies; NULL: not yet looked */
    uint64_t offset;          /* read up to here */
    void (*on_wake)(void *ctx);
    void *ctx;
};

/*
 * Joins at the start of the body. RC_MISS: the start has been freed already;
 * RC_NOMEM. on_wake comes after fill_await, at the end of a turn, once for
 * however much has come. on_wake may be NULL until fill_await.
 */
enum rc fill_join(struct fill *fill, struct loop *loop,
    struct fill_reader *reader) RC_MUST_CHECK;

/* Harmless on a reader that is not joined. */
void fill_leave(struct fill_reader *reader);

/* Slices of what can be read now; returns how many were set. */
int fill_peek(struct fill_reader *reader, struct iovec *iov, int iov_max);

/* Bytes published and not yet read. */
uint64_t fill_left(const struct fill_reader *reader);

/* Bytes of a kept fill that are held for this reader until it has taken them,
   or will be. 0: of what is not kept, for which the owner waits. */
uint64_t fill_due(const struct fill_reader *reader);

/* n bytes of what fill_peek showed were used. */
void fill_advance(struct fill_reader *reader, uint64_t n);

/* Wakes the reader when there is more, or the fill has ended. */
void fill_await(struct fill_reader *reader);

#endif
