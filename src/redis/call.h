/*
 * A call as the room's parts hand it on: what it carries, and where it is.
 * Its memory is the caller's (struct redis_call).
 */
#ifndef REDIS_CALL_H
#define REDIS_CALL_H

#include "nearside/redis/redis.h"

enum {
    CALL_MAGIC = 0x43414c4c,
};

/* A call is in exactly one place at a time. */
enum call_state {
    CALL_IDLE,    /* not under way */
    CALL_PARKED,  /* client: until there is a map */
    CALL_PAUSED,  /* client: until its pause ends */
    CALL_ENDING,  /* client: its end is told at the turn's end */
    CALL_WAITING, /* wire: until it is up */
    CALL_SENT,    /* wire: a reply is awaited */
    CALL_LOST,    /* wire: its end is told at the turn's end */
};

static inline enum call_state
call_state(const struct redis_call *call)
{
    return (enum call_state)call->impl.state;
}

/* The call whose link stands on a list. */
static inline struct redis_call *
call_of(struct list *link)
{
    struct redis_call *call = CONTAINER_OF(link, struct redis_call, impl.link);

    MUST(call->impl.magic == CALL_MAGIC);
    return call;
}

/* The first of a list, taken off; NULL: there is none. */
static inline struct redis_call *
call_pop(struct list *calls)
{
    struct list *link = list_pop(calls);

    return link == NULL ? NULL : call_of(link);
}

/* A call that begins: not sent anywhere yet, and without a command. */
void call_init(struct redis_call *call);

/* Its command: these words, which stay until it ends. */
void call_set_words(
    struct redis_call *call, unsigned argc, const struct slice *argv);

/* Its command: this form of the key; both stay until it ends. */
void call_set_form(
    struct redis_call *call, const struct redis_form *form, struct slice key);

/* Its command: EVALSHA with so many words, the first `keys` of them keys. */
void call_set_script(struct redis_call *call, const struct redis_script *script,
    const struct slice *words, unsigned keys, unsigned count);

/* The server does not know the script: EVAL with its body from now on.
   False: it was no EVALSHA. */
bool call_use_body(struct redis_call *call);

/* Writes its command at a place with room for impl.len bytes; the place behind
   it. */
char *call_put(char *at, const struct redis_call *call);

/* How many bytes a command has in RESP (an array of bulk strings). */
size_t command_len(unsigned argc, const struct slice *argv);

/* Writes them at a place with room for so many; the place behind them. */
char *command_put(char *at, unsigned argc, const struct slice *argv);

#endif
