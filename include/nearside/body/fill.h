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
 * A kept fill holds all of its body, to be stored when it is complete; any
 * other gives chunks back behind its slowest reader. The owner stops when it
 * is a window ahead of the fastest reader, or when what it holds reaches the
 * maximum; then readers left far behind are cut.
 */
#ifndef NEARSIDE_BODY_FILL_H
#define NEARSIDE_BODY_FILL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "nearside/net/loop.h"
#include "nearside/body/message.h"

struct fill;
struct fill_chunk;

enum fill_state {
    FILL_OPEN,     /* more may come */
    FILL_COMPLETE, /* all of it is here */
    FILL_FAILED,   /* cut short: what is here is not the response */
};

struct fill_opts {
    size_t window;   /* bytes ahead of the fastest reader */
    size_t held_max; /* bytes in chunks, beyond which the owner stops */
    bool is_kept;    /* to be stored: chunks stay */
    /* On the owner's loop: there is room again after fill_append took less
       than it was offered. */
    void (*on_room)(void *ctx);
    void *ctx;
};

/* One reference for the owner. NULL: no memory. The message's fields are
   copied. */
struct fill *fill_new(struct loop *owner, const struct message *message,
    const struct fill_opts *opts);
struct fill *fill_ref(struct fill *fill);
void fill_unref(struct fill **fill);

/* Those who keep it in memory, the owner included. */
uint32_t fill_sharers(const struct fill *fill);

/* What stands before the body; does not change. */
const struct message *fill_message(const struct fill *fill);

enum fill_state fill_state(const struct fill *fill);
uint64_t fill_len(const struct fill *fill); /* published so far */

/* --- the owner's side, on its loop --- */

/* Takes what fits: fewer bytes than offered, and on_room follows. Memory
   refused counts as a failure: the fill is FILL_FAILED afterwards. */
size_t fill_append(struct fill *fill, struct slice data);

/* COMPLETE or FAILED; wakes the readers a last time. */
void fill_finish(struct fill *fill, enum fill_state state);

/* It will not be stored after all: chunks go as the readers leave them. */
void fill_stop_keeping(struct fill *fill);

/* The owner has gone: on_room comes no more. */
void fill_disown(struct fill *fill);

bool fill_has_readers(struct fill *fill);

/* The runs of a kept, complete body, one after the other; start with
 *cursor NULL. Empty when done. */
struct slice fill_run(struct fill *fill, struct fill_chunk **cursor);

/* --- a reader's side, on the reader's own loop --- */

struct fill_reader {
    struct list link; /* in the fill's side for this loop */
    struct fill *fill;
    struct fill_side *side;
    struct fill_chunk *chunk; /* where offset lies; NULL: not yet looked */
    _Atomic uint64_t offset;  /* read up to here */
    bool is_awaiting;         /* asked to be woken */
    bool is_cut;              /* left far behind: the rest is not for it */
    void (*on_wake)(void *ctx);
    void *ctx;
};

/*
 * Joins at the start of the body. RC_MISS: the start has been given back
 * already; RC_NOMEM. on_wake comes at the end of a turn, once for however
 * much has come, after fill_await.
 */
enum rc fill_join(struct fill *fill, struct loop *loop,
    struct fill_reader *reader) RC_MUST_CHECK;

/* Harmless on a reader that is not joined. */
void fill_leave(struct fill_reader *reader);

/* Slices of what can be read now; returns how many were set. */
int fill_peek(struct fill_reader *reader, struct iovec *iov, int iov_max);

/* Bytes published and not yet read. */
uint64_t fill_left(const struct fill_reader *reader);

/* Bytes that are held for this reader until it has taken them, or will be. */
uint64_t fill_due(const struct fill_reader *reader);

/* n bytes of what fill_peek showed were used. */
void fill_advance(struct fill_reader *reader, uint64_t n);

/* Wakes the reader when there is more, or the fill has ended. */
void fill_await(struct fill_reader *reader);

#endif
