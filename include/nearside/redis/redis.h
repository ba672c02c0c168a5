/*
 * The shared tier's client. The process has one `struct redis` (seeds, the
 * slot map, each node's health), and each worker one `struct redis_client`
 * (its connections, one to each primary and one more for what is large, opened
 * on demand). A command names
 * the key that decides its slot; the client finds the node, follows MOVED
 * and ASK, and tells of a reply or of a reason, always once and in time.
 *
 * In standalone mode one node owns all slots; the rest is the same.
 */
#ifndef NEARSIDE_REDIS_REDIS_H
#define NEARSIDE_REDIS_REDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "nearside/base/list.h"
#include "nearside/base/shared_time.h"
#include "nearside/base/slice.h"
#include "nearside/net/loop.h"
#include "nearside/redis/redirect.h"

struct log_ring;
struct metric_block;
struct metric_registry;
struct redis;
struct redis_client;
struct resolver;
struct secret;

enum redis_mode {
    REDIS_MODE_CLUSTER,
    REDIS_MODE_STANDALONE,
    REDIS_MODE_OFF, /* there is to be none: redis_new is not called */
};

/* What becomes of the values that were made before their slot's owner was. */
enum redis_after_failover {
    REDIS_REPLAY, /* young deletions are repeated, and they are used */
    REDIS_VERIFY, /* besides, each is validated before it is used */
};

/* How we learn that a value was changed which memory holds (near.h). */
enum redis_coherence {
    REDIS_COHERENCE_AUTO,     /* by tracking where a server permits that */
    REDIS_COHERENCE_TRACKING, /* or else nothing is kept */
    REDIS_COHERENCE_TTL,      /* not at all: it is used for the bound alone */
};

enum {
    REDIS_PASSWORD_MAX = 4096, /* bytes */
};

/* The password out of a file's bytes, which are one line. RC_BAD: they are
   not. */
enum rc redis_password_parse(
    struct slice file, struct slice *out) RC_MUST_CHECK;

/* Nothing has a default here: the conf's table has them. */
struct redis_opts {
    enum redis_mode mode;
    const char *const *seeds; /* "host:port"; borrowed for redis's life */
    size_t seeds_len;
    struct address_map address_map; /* borrowed as well */
    const char *user;          /* NULL: none (AUTH with the password alone) */
    const char *password;      /* NULL: no AUTH */
    const char *password_file; /* read again when it is refused; or NULL */
    struct secret *secret;     /* the room's own */
    const char *client_name;   /* CLIENT SETNAME */
    const char *prefix;        /* of all keys; has no brace */
    enum redis_after_failover after_failover;
    enum redis_coherence coherence;
    int64_t coherence_bound_ms; /* for so long at most a value is used from
                                   memory after it was changed */
    int64_t command_timeout_ms; /* the request's deadline */
    int64_t connect_timeout_ms;
    int64_t hang_ms;             /* oldest command's age at which the
                                    connection is given up */
    int64_t refresh_interval_ms; /* +-20 % */
    unsigned in_flight_max;      /* commands a connection */
    size_t in_flight_bytes_max;  /* unsent and unanswered */
    size_t reply_max;            /* bytes of one reply */
};

/* opts' strings are borrowed. Metrics are added to the registry (which may
   be NULL in tests, as the blocks are then). NULL: out of memory. */
struct redis *redis_new(const struct redis_opts *opts,
    struct resolver *resolver, struct metric_registry *registry);

/* A thread that works for Redis. ring and block belong to it, and either may be
   NULL. */
struct redis_thread {
    struct loop *loop;
    struct log_ring *ring;
    struct metric_block *block;
};

/*
 * From redis_start to redis_stop the control thread keeps the map fresh,
 * whether or not Redis is there, and the coherence thread writes to the
 * primaries and hears of changes, which says what may be used (hold.h, near.h).
 * That thread should have nothing else to do; in a test it may be the same.
 *
 * Neither loop runs yet when redis_start is called. When redis_stop is, that of
 * the coherence thread runs no more, the caller is the control thread, and all
 * clients are gone. Then redis_free, on any.
 */
void redis_start(struct redis *redis, const struct redis_thread *control,
    const struct redis_thread *coherence);
void redis_stop(struct redis *redis);
void redis_free(struct redis **redis);

/* The time by Redis, which all instances share; for redis's life. */
const struct shared_time *redis_time(const struct redis *redis);

/* A worker's client belongs to its loop's thread. NULL: out of memory. */
struct redis_client *redis_client_new(struct redis *redis, struct loop *loop,
    struct log_ring *ring, struct metric_block *block);

/* Calls under way end with RC_CANCELLED first, and so do those that their
   callbacks send. Not to be called from inside on_reply. */
void redis_client_free(struct redis_client **client);

enum redis_type {
    REDIS_NIL,
    REDIS_STATUS, /* "OK" */
    REDIS_ERROR,  /* what the client does not handle by itself */
    REDIS_INTEGER,
    REDIS_STRING,
    REDIS_ARRAY,
};

struct redis_reply {
    enum redis_type type;
    int64_t integer;
    char *str; /* STATUS, ERROR, STRING; not NUL-terminated; owned here */
    size_t len;
    struct redis_reply **elements; /* ARRAY */
    size_t elements_len;
};

/* Passes a STRING's bytes (malloc'ed, exactly *out_len of them) to the
   caller; the reply keeps none. NULL: not a STRING, *out_len is untouched. */
char *redis_reply_take(struct redis_reply *reply, size_t *out_len);

/*
 * A command under way. Its memory is the caller's and stays until on_reply
 * was called or redis_call_cancel has returned; so do the argument bytes.
 *
 * RC_OK: reply is there (nil and errors included), a loan until the
 * callback returns. Otherwise reply is NULL: RC_TIMEOUT the deadline
 * passed; RC_CLOSED, RC_REFUSED, RC_IO no connection; RC_MISS no node is
 * known for the slot; RC_LIMIT too much in flight; RC_BAD the server
 * does not speak RESP; RC_NOMEM; RC_DOUBT a guarded call to where no value may
 * be used now; RC_CANCELLED. What happened to the command is then unknown,
 * unless was_sent is false.
 * Never called from inside redis_send or redis_eval.
 */
typedef void (*redis_reply_fn)(
    void *ctx, enum rc rc, struct redis_reply *reply);

enum {
    REDIS_ARGS_MAX = 13,
    REDIS_SCRIPT_ARGS_MAX = REDIS_ARGS_MAX - 3,
};

/* A command with one key, as bytes of RESP but for the key and its length:
   what stands before that, its mark '$' included, and what behind the key. */
struct redis_form {
    struct slice before;
    struct slice behind;
};

struct redis_call {
    redis_reply_fn on_reply;
    void *ctx;
    int64_t deadline_ms; /* loop time; 0: now + command_timeout */
    bool was_sent;       /* at least a byte of it may have reached Redis */
    bool retries;        /* idempotent: may be sent again after a loss */
    bool is_bulk;        /* large: by the connection for such, on which it is
                            late only when no more bytes come or go */
    size_t reply_len;    /* bulk: how long the reply may be; 0: short */
    int64_t last_ms; /* bulk: loop time at which it is late whatever comes or
                        goes; 0: never */
    bool was_asked;  /* an ASK led it: its slot is on its way to another
                        node, and commands of several keys fail */
    bool is_guarded; /* it counts only while values there may be used;
                        otherwise it ends with RC_DOUBT, and doubt says
                        why, in a word for Cache-Status */
    bool is_urgent;  /* a node that could not be reached, or rests, is
                        tried for it twice a second */
    const char *doubt;
    uint32_t by;              /* the node that owns the slot and has answered */
    uint32_t version;         /* of the slot when it was sent (hold.h) */
    int64_t not_before_ms;    /* GUARDED, with RC_OK; wall: a value that was
                                 received before is from a snapshot; 0: none is */
    int64_t verify_before_ms; /* likewise; one that is older is to be validated
                                 before it is used */

    /* Private to the room; zero before the first use. */
    struct {
        uint32_t magic;
        struct loop_timer timer; /* the deadline, or a pause's end */
        struct list link;
        struct redis_client *client;
        struct wire *wire; /* that it waits for or was sent on */
        const struct redis_script *script;
        const struct redis_form *form; /* of argv[0]; NULL: argv is all */
        struct slice argv[REDIS_ARGS_MAX];
        size_t len; /* of the command, in bytes */
        int64_t deadline_ms;
        int64_t sent_us; /* loop time */
        int64_t span_ms; /* from its beginning to its deadline */
        uint64_t place;  /* in the wire's queue of replies */
        uint64_t moved;  /* bulk: bytes on its wire when it was looked at */
        enum rc rc;      /* how it ended, until told */
        uint16_t hash_slot;
        uint8_t argc;
        uint8_t hops;
        uint8_t attempts;
        uint8_t state;
        bool is_asking;
        bool is_script;
        bool is_moving; /* bulk, as `moved` has shown */
    } impl;
};

/*
 * Sends argv (argc <= REDIS_ARGS_MAX) to the primary of key's slot, together
 * with all else that this loop turn sends there. The caller has set the
 * call's on_reply, ctx, deadline_ms and retries.
 */
void redis_send(struct redis_client *client, struct redis_call *call,
    struct slice key, unsigned argc, const struct slice *argv);

/* The same of a command that is sent often, which is half as much work. form
   stays until on_reply. */
void redis_send_form(struct redis_client *client, struct redis_call *call,
    const struct redis_form *form, struct slice key);

/* A Lua script known by its SHA-1. */
struct redis_script {
    const char *body;
    char sha1[41]; /* filled by redis_script_init */
};

void redis_script_init(struct redis_script *script, const char *body);

/*
 * EVALSHA with count words (1 to REDIS_SCRIPT_ARGS_MAX): first `keys` keys
 * (at least one) of one slot, which the first of them decides, then the
 * arguments. On NOSCRIPT, EVAL with the body on the same connection. script
 * and the words' bytes stay until on_reply.
 */
void redis_eval(struct redis_client *client, struct redis_call *call,
    const struct redis_script *script, const struct slice *keys_and_args,
    unsigned keys, unsigned count);

/* What is to be expected of a script, by what is known of a key's primary. */
enum redis_scripts {
    REDIS_SCRIPTS_RUN,  /* nothing speaks against it */
    REDIS_SCRIPTS_FAIL, /* the node rests or cannot be reached, no value may be
                           used there, it has refused a write within the last
                           second, or it runs none */
    REDIS_SCRIPTS_UNSURE, /* it ran none the last time, a second ago. Said to
                             one caller a second, who may try */
};

/* Costs no command. Before there is a map, nothing speaks against it. */
enum redis_scripts redis_scripts_of(
    const struct redis_client *client, struct slice key);

/* Bytes of the longest reply; a longer one ends its connection. */
size_t redis_reply_max(const struct redis_client *client);

/* on_reply will not come; a reply that comes is dropped. Harmless on a call
   that is not under way. */
void redis_call_cancel(struct redis_call *call);
bool redis_call_is_active(const struct redis_call *call);

/* For another command, of one that is not under way: what the caller sets is
   zero again. What is private stays; it is zero before the first use. */
static inline void
redis_call_clear(struct redis_call *call)
{
    memset(call, 0, offsetof(struct redis_call, impl));
}

/* What is known of the cluster, for /status and /metrics; any thread. */
struct redis_node_status {
    char id[41];
    char address[80];
    bool is_reachable; /* the last thing heard of it was not a failure */
    const char *state; /* up, refusing, down, unknown: how it takes writes */
    char refusal[128]; /* what it says when it refuses, not escaped; or "" */
    const char *coherence; /* tracking: it tells of changes; ttl: it does not,
                              and what it has is kept in memory for a while;
                              none: nothing is */
    unsigned slots;        /* owned */
    uint64_t in_flight;    /* of all workers */
};

struct redis_status {
    /* What a server said last that lets us in nowhere, "node: words", escaped;
       "" once a map was read. */
    char refusal[256];
    bool is_up;           /* at least one node takes writes */
    unsigned slots_known; /* 16,384 when the map is whole */
    uint64_t map_version;
    unsigned nodes_len;
    struct redis_node_status nodes[64];
};

void redis_status(struct redis *redis, struct redis_status *out);

#endif
