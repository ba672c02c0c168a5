/*
 * A fetch: one exchange with an origin whose response becomes a fill. It
 * lives inside the object that wants it (a request that passes, a flight)
 * and belongs to one worker.
 */
#ifndef NEARSIDE_BODY_FETCH_H
#define NEARSIDE_BODY_FETCH_H

#include "nearside/body/fill.h"
#include "nearside/http/targeted.h"
#include "nearside/http/vary.h"
#include "nearside/origin/exchange.h"
#include "nearside/rules/origin_head.h"

struct worker;

/* What is to become of a response, decided when its head is there. */
struct fetch_plan {
    bool is_kept;                  /* its body is to be stored */
    bool drops_set_cookie;         /* delivered and stored without Set-Cookie */
    struct targeted_list withheld; /* stored, and not delivered */
    struct vary_list vary_on;      /* added to Vary */
};

struct fetch_callbacks {
    /* May be NULL. */
    void (*on_interim)(void *ctx, const struct head *head);
    /* Does not cancel the fetch. */
    struct fetch_plan (*on_head)(void *ctx, const struct head *head);
    /* The fill is there, still empty; whoever wants to read all of it joins
       now. NULL: no memory for it, the fetch has ended. */
    void (*on_fill)(void *ctx, struct fill *fill);
    /* A kept body outgrew object_max: it is not kept any longer. */
    void (*on_outgrown)(void *ctx);
    /* The last of them, after on_fill: the fill is COMPLETE or FAILED. */
    void (*on_end)(void *ctx, enum fill_state state, bool is_doubtful);
    /* The last of them, before on_head. */
    void (*on_error)(void *ctx, enum origin_error error);
    /* May be NULL. */
    void (*on_drain)(void *ctx);
};

/* Zeroed, it has not begun. */
struct fetch {
    uint32_t magic;
    enum method method;
    bool is_kept;
    struct worker *worker;
    struct exchange *exchange; /* NULL when none is under way */
    struct fill *fill;         /* a reference, from on_fill on */
    const struct fetch_callbacks *callbacks;
    void *ctx;
    int64_t start_us;
    int64_t head_us;   /* 0: no head yet */
    int64_t queued_us; /* see fetch_queued_us */
};

struct fetch_opts {
    const struct question *q;     /* borrowed for the call */
    struct origin_head_opts head; /* borrowed for the call */
    bool is_background;           /* see exchange_request */
    struct arena *arena;          /* takes the head that the origin gets; until
                                     on_fill or on_error */
    const struct fetch_callbacks *callbacks;
    void *ctx;
};

/* Asks the question's origin. RC_NOMEM: nothing has begun and no callback
   comes. */
enum rc fetch_start(struct fetch *fetch, struct worker *worker,
    const struct fetch_opts *opts) RC_MUST_CHECK;

/* A body that was to be kept will not be stored: it is held for its readers
   alone from now on. From on_fill on; harmless if it is not kept. */
void fetch_stop_keeping(struct fetch *fetch);

/* Gives up what is under way and the reference to the fill; readers see it
   fail. Harmless on a fetch that never began. */
void fetch_cancel(struct fetch *fetch);

bool fetch_is_active(const struct fetch *fetch);

/* How long it has waited for a connection, also when it is over. */
int64_t fetch_queued_us(const struct fetch *fetch);

/* How long the origin took to the head; 0: there was none. */
uint32_t fetch_cost_ms(const struct fetch *fetch);

#endif
