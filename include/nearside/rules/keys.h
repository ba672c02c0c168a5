/*
 * Keys: under which name a response is stored and looked for. Pure: a route, a
 * head and who sent it in, slices in an arena out. Every function that takes
 * an arena gives RC_NOMEM, and then what it was to fill is of no use.
 */
#ifndef NEARSIDE_RULES_KEYS_H
#define NEARSIDE_RULES_KEYS_H

#include "nearside/base/arena.h"
#include "nearside/cache/key.h"
#include "nearside/rules/sending.h"

/* What they are made from. Loans. */
struct keys_from {
    const struct hash_key *hash_key; /* the process' */
    const struct route *route;       /* by which the target is read */
    const struct head *head;
    bool is_trusted; /* a trusted proxy sent it */
    struct slice scheme;
    struct slice host; /* in its one spelling (uri.h), as is the next */
    struct slice target;
    struct slice origin; /* its name */
};

struct keys {
    struct slice target;      /* what the route keeps of it */
    struct key base;          /* scheme, host and that: of all forms of the
                                 target */
    struct slice view;        /* digest of what a trusted proxy says of the
                                 client's view; empty: nothing */
    struct slice credentials; /* digest of those that the route keys, also of
                                 none; empty: it keys none */
};

enum rc keys_make(struct arena *arena, const struct keys_from *from,
    struct keys *out) RC_MUST_CHECK;

/* The one spelling of a target: itself if it is spelled so. */
enum rc keys_normalise(
    struct arena *arena, struct slice target, struct slice *out) RC_MUST_CHECK;

/* What the route keeps of a target, as it was spelled by the client. normal:
   its one spelling, by which parameters are told. */
enum rc keys_keep(struct arena *arena, const struct route *route,
    struct slice normal, struct slice spelled, struct slice *out) RC_MUST_CHECK;

/* What a Vary record says. */
struct keys_record {
    struct slice names;
    struct slice generation;
};

/*
 * The variant that a request chooses by a record: the digest of what it says
 * for the record's names, as it is sent, with view and credentials. RC_BAD: no
 * such record.
 */
enum rc keys_choose(struct arena *arena, const struct keys *keys,
    const struct sending *sending, const struct keys_record *record,
    struct slice *out_digest) RC_MUST_CHECK;

#endif
