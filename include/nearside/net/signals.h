/* Signals as events of one loop. */
#ifndef NEARSIDE_NET_SIGNALS_H
#define NEARSIDE_NET_SIGNALS_H

#include "nearside/net/loop.h"

/* Keeps the signals served here (TERM, INT, HUP, USR1) from interrupting
   anything, and ignores PIPE. Before any thread is made: they inherit it. */
void signals_block(void);

struct signals;

/* on_signal is called on the loop with the signal's number. NULL: no fds. */
struct signals *signals_new(
    struct loop *loop, void (*on_signal)(void *ctx, int number), void *ctx);
void signals_free(struct signals **signals);

#endif
