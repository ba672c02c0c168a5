/*
 * A server of an origin: the part that all workers share. It is either at one
 * fixed address, or has a name that one thread looks up for all of them; each
 * worker's pool has what it needs of that from here.
 *
 * Any thread may call what is not marked otherwise.
 */
#ifndef NEARSIDE_SERVER_SERVER_H
#define NEARSIDE_SERVER_SERVER_H

#include "nearside/base/metric.h"
#include "nearside/net/bell.h"
#include "nearside/server/addresses.h"

struct log_ring;
struct origin_server;
struct resolver;

/* How a look-up of the name has ended. */
enum origin_lookup {
    ORIGIN_LOOKUP_SAME,
    ORIGIN_LOOKUP_CHANGED, /* other addresses than before */
    ORIGIN_LOOKUP_MISSING, /* no such name, or none with an address */
    ORIGIN_LOOKUP_FAILED,  /* no name server has answered */
    ORIGIN_LOOKUP_COUNT
};

const char *origin_lookup_text(enum origin_lookup lookup); /* "same" */

/*
 * text: "http://host:port" or "unix:/path", copied; interval_ms: between two
 * look-ups. RC_BAD; RC_UNSUPPORTED: https, not in this version; RC_NOMEM.
 */
enum rc origin_server_new(const char *text, int64_t interval_ms,
    struct origin_server **out) RC_MUST_CHECK;

/* All who joined have parted, and it was stopped. Clears the caller's pointer;
   harmless when that is NULL. */
void origin_server_free(struct origin_server **server);

/* As it was given, escaped for the log. */
const char *origin_server_text(const struct origin_server *server);

/* It has no name to look up. */
bool origin_server_is_fixed(const struct origin_server *server);

/* --- look-ups ---------------------------------------------------------- */

struct origin_server_metrics {
    metric_id addresses; /* gauge: how many it has */
    metric_id resting;   /* gauge: those that the last dial did not reach */
    metric_id looked_up; /* gauge: when it last found some, since 1970 */
    metric_id lookups[ORIGIN_LOOKUP_COUNT];
};

/* Before it is started; until then it counts nothing. */
void origin_server_measure(
    struct origin_server *server, const struct origin_server_metrics *metrics);

/*
 * From here on this thread looks the name up, each interval and when it is
 * asked to. On the loop's thread, or before that runs; no other thread is to
 * use the server yet. A fixed one needs no resolver. stop: on the same thread,
 * when no other uses it any more; harmless without start. The loop may have
 * a message for the server until it is freed.
 */
void origin_server_start(struct origin_server *server, struct loop *loop,
    struct resolver *resolver, struct log_ring *ring,
    struct metric_block *block);
void origin_server_stop(struct origin_server *server);

/* The name is looked up soon: at once, or a second after that was done for this
   reason. Nothing happens before start. */
void origin_server_ask(struct origin_server *server);

/*
 * Until when to wait for a look-up, if one takes patience_ms at most, before it
 * is said that there is nothing to dial. since_ms: when that became known. 0:
 * none is to be waited for, since one has begun and ended after that, or has
 * just been made, or has been under way for too long.
 */
int64_t origin_server_hope_ms(struct origin_server *server, int64_t since_ms,
    int64_t now_ms, int64_t patience_ms);

/* What a pool is told by; zeroed before. */
struct server_news {
    struct list link; /* the server's, under its lock */
    struct bell *bell;
};

/* on_news comes on the loop when a look-up has ended, however it did.
   RC_NOMEM. */
enum rc origin_server_join(struct origin_server *server,
    struct server_news *news, struct loop *loop, void (*on_news)(void *ctx),
    void *ctx) RC_MUST_CHECK;

/* on_news will not come. On that loop, or when it runs no more. */
void origin_server_part(struct origin_server *server, struct server_news *news);

/* --- addresses --------------------------------------------------------- */

/* What is known of them, with a reference for the caller, or NULL. */
struct origin_addresses *origin_server_addresses(struct origin_server *server);

/* A dial has failed: the address rests, and the name is looked up. True: it was
   well before. */
bool origin_server_failed(struct origin_server *server,
    struct origin_address *a, struct metric_block *block, int64_t now_ms);

/* A dial has succeeded: the address rests no more. */
void origin_server_worked(struct origin_server *server,
    struct origin_address *a, struct metric_block *block);

/* --- what is shown ----------------------------------------------------- */

struct origin_looked_up {
    int64_t at_ms; /* since 1970; 0: not yet */
    enum origin_lookup result;
    uint64_t counts[ORIGIN_LOOKUP_COUNT];
};

struct origin_address_status {
    char text[ADDRESS_TEXT_MAX];
    int64_t rests_ms; /* from now; 0: it does not */
};

struct origin_server_status {
    bool has_name; /* that is looked up */
    unsigned addresses_len;
    struct origin_address_status addresses[ADDRESSES_MAX];
    struct origin_looked_up lookup;
};

void origin_server_status(struct origin_server *server, int64_t now_ms,
    struct origin_server_status *out);

#endif
