/*
 * A question: what is asked, and all that decides the answer but the time and
 * what is stored. It is the client's head, who asks, the route, the policy and
 * the keys. A request, a lookup, a renewal in the background and a write each
 * hold a question; none of them holds another.
 *
 * It is made by one worker, counted on that worker's thread, and immutable
 * once it is read and named. It owns all of its memory, or borrows
 * from another question that it refers to.
 */
#ifndef NEARSIDE_RULES_QUESTION_H
#define NEARSIDE_RULES_QUESTION_H

#include "nearside/base/arena.h"
#include "nearside/base/spare.h"
#include "nearside/cache/entry.h"
#include "nearside/rules/client.h"
#include "nearside/rules/conf.h"
#include "nearside/rules/keys.h"
#include "nearside/rules/policy.h"

#define QUESTION_MAGIC UINT32_C(0x6e717565)

enum question_kind {
    QUESTION_READ,    /* a route's: the cache may answer */
    QUESTION_WRITE,   /* of an unsafe method */
    QUESTION_OPTIONS, /* of the server or of the target */
    QUESTION_PASS,    /* a read that no route has */
};

enum {
    QUESTION_HOST_MAX = 128, /* a longer host is not remembered */
};

/* Of one worker: questions that were given back, and the last host that was
   found to be spelled as it is keyed. */
struct question_pool {
    const struct hash_key *hash_key; /* of all keys of the process */
    struct spare free;
    char host[QUESTION_HOST_MAX];
    size_t host_len;
};

struct question {
    uint32_t magic;
    unsigned refs;
    struct list link; /* the pool's */
    struct question_pool *pool;
    struct arena arena;
    struct proxy_conf *conf; /* a reference */

    const struct head *head; /* a copy, in the arena */
    struct slice lines; /* its field lines as they came, up to the end of the
                           head; empty where another than the plain line of a
                           GET stands before them */
    bool has_body;
    struct client client;
    enum question_kind kind;
    ptrdiff_t row;             /* of the route among conf's, or -1 */
    const struct route *route; /* NULL: none matches */
    const struct route *reads; /* by which readers of the target are answered:
                                  route, but for a write; NULL: by none */
    size_t group; /* the origin's index; conf's groups_len: no origin gets it */

    struct slice host;      /* in its one spelling, as is the next */
    struct slice normal;    /* the target */
    struct slice sent_host; /* as it is sent */
    struct slice target;    /* as it is sent */
    struct policy_request policy;
    struct keys keys;       /* nothing in it: not keyed */
    struct key key;         /* of the variant by `record`, or the base's */
    struct slice entry_key; /* in Redis; empty: not named yet, or no key */
    struct question *of;    /* what it was made of and borrows from; NULL: it
                               borrows nothing; a reference, as is the next */
    struct question *base;  /* of a variant: the question that it is one of */
    struct entry *record;   /* the Vary record that chose it; a reference */
};

struct question_opts {
    const struct head *head; /* copied */
    struct slice raw;        /* the bytes that the head's slices lie in */
    bool has_body;           /* content follows */
    struct address peer;
};

/* hash_key is borrowed. */
void question_pool_init(
    struct question_pool *pool, const struct hash_key *hash_key);
void question_pool_fini(struct question_pool *pool);

/* One reference. The pool outlives it. NULL: no memory. */
struct question *question_new(struct question_pool *pool,
    struct proxy_conf *conf, const struct question_opts *opts);
struct question *question_ref(struct question *q);
void question_unref(struct question **q);

/* The detail of a 404 for what no route matches and no origin gets. */
#define QUESTION_NO_ROUTE "no-route"

/* Why a question is refused; status 0: it is not. */
struct question_refusal {
    unsigned status;
    const char *detail; /* for Cache-Status and the log; static */
};

/* Finds client, host, route, policy and keys, once; but not yet the name of the
   key in Redis, which an answer from memory does not need. */
struct question_refusal question_ask(struct question *q);

/* Finds that name, and for a variant its base's too. Nobody else holds the
   question yet. RC_NOMEM. */
enum rc question_name(struct question *q) RC_MUST_CHECK;

/* Does the answer depend on nothing but target, field lines and route? It may
   be answered by what is stored, and has neither content, directives,
   credentials nor a variant. */
bool question_is_plain(const struct question *q);

enum {
    KEY_ROOM_MAX = 1024,
};

/* A key and the bytes of it, where no arena is. */
struct key_room {
    struct key key;
    char text[KEY_ROOM_MAX];
};

/* The key that a plain question would have with another plain target, by the
   same route. False: it is too long, or it is not all of the target that is
   keyed. */
bool question_key_of(
    const struct question *q, struct slice target, struct key_room *out);

/* question_ask and question_name in one. */
struct question_refusal question_read(struct question *q);

/* Is there an origin that may be asked? Only of OPTIONS that none gets is a
   question made. */
static inline bool
question_has_origin(const struct question *q)
{
    return q->group < q->conf->opts.groups_len;
}

/*
 * The same question for the variant that it chooses by a Vary record. RC_NOMEM;
 * RC_BAD: no such record. Of a variant: what it would be by that record.
 */
enum rc question_vary(struct question *q, struct entry *record,
    struct question **out) RC_MUST_CHECK;

/*
 * What is asked on behalf of nobody to renew what is stored for the question: a
 * GET with the fields that choose it, and without any other field or address of
 * the client. Of a question that is read and not odd. RC_NOMEM.
 */
enum rc question_renewal(
    struct question *q, struct question **out) RC_MUST_CHECK;

/* The question of the base key: itself, or the one that a variant has. */
static inline struct question *
question_base(struct question *q)
{
    return q->base == NULL ? q : q->base;
}

/* The names that it chose its variant by; empty: none. */
static inline struct slice
question_names(const struct question *q)
{
    return q->record == NULL ? slice_of(NULL, 0) : entry_vary_names(q->record);
}

/*
 * May a response with this Vary be stored under the record that the question
 * chose by? One that names no more than the record does fits. Its origin has
 * left out what does not matter to this answer, or all of Vary, and the
 * question chose by what was last heard (RFC 9111 4.1).
 */
bool question_fits_record(const struct question *q, const struct vary *vary);

/* How its fields are sent. for_cache: the answer may be stored. */
struct sending question_sending(const struct question *q, bool for_cache);

/* Is it always a variant: of its own view, or by credentials that are keyed? */
static inline bool
question_is_keyed(const struct question *q)
{
    return q->keys.view.len > 0 || q->keys.credentials.len > 0;
}

/* Tells its flights from the others of one key: a request with a view does not
   wait for an answer that was fetched without it. */
static inline struct slice
question_form(const struct question *q)
{
    return q->record == NULL ? q->keys.view : slice_of(NULL, 0);
}

/* Would a GET of its key be sent the same, but for method and content? */
bool question_is_sent_as_get(const struct question *q);

/* The route by which a GET of that target is answered; NULL: by none. */
const struct route *question_read_route(
    const struct question *q, struct slice target);

/*
 * Another target's base key and its key in Redis, as a GET for it by this
 * client would have them. RC_MISS: no route answers it from the cache;
 * RC_NOMEM.
 */
enum rc question_keys_of(const struct question *q, struct slice target,
    struct arena *arena, struct key *out_key,
    struct slice *out_entry_key) RC_MUST_CHECK;

#endif
