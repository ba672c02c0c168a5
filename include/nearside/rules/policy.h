/*
 * Policy: may this request be answered from the cache, may this response be
 * stored, and for how long? What RFC 9111 says is in http (storable, reuse,
 * fresh, vary); here it meets the options of a route. Pure: route, heads and
 * a moment in, a verdict out. Where a verdict is no, it says why in a word
 * for Cache-Status.
 */
#ifndef NEARSIDE_RULES_POLICY_H
#define NEARSIDE_RULES_POLICY_H

#include "nearside/cache/entry.h"
#include "nearside/http/head.h"
#include "nearside/http/reuse.h"
#include "nearside/http/storable.h"
#include "nearside/http/targeted.h"
#include "nearside/http/vary.h"
#include "nearside/rules/route.h"

/* What a request brings that concerns a cache. */
struct policy_request {
    const char *credential; /* the kind it carries, not ignored and not keyed
                               by the route: "cookie", ...; NULL: none */
    const char *bypass;     /* why it is neither looked up nor stored; NULL: it
                               may be */
    bool is_particular;     /* is_alone, or has_directives: looked up by
                               itself first */
    bool is_alone;          /* Range, only-if-cached, no-store: what is fetched
                               for it is for nobody else */
    bool has_directives;    /* that are honoured */
    bool is_odd;            /* it is sent in another spelling than its key has,
                               or with more of its query: a stored response may
                               answer it, but what is fetched for it is neither
                               stored nor shared */
    struct reuse_request reuse;
    struct storable_request storable; /* slices into the head */
};

/* has_body: the request brings content. */
void policy_read(const struct route *route, const struct head *head,
    bool has_body, struct policy_request *out);

struct policy_verdict {
    bool is_storable;
    const char *detail; /* why not; static */
    bool is_personal;   /* not storable because of the request's credentials,
                           which says nothing of the target */
    bool drops_set_cookie;
    uint16_t flags; /* ENTRY_* of what is stored */
    uint32_t while_ms;
    uint32_t if_error_ms;
    int64_t received_ms; /* wall */
    int64_t created_ms;  /* the same, less the age that it had then: Age counts
                            from here */
    int64_t fresh_until_ms;
    int64_t stale_until_ms; /* not kept beyond */
    struct vary vary;       /* names; none: one response for all */
};

/* The moments of an exchange (wall), and a random number that spreads the
   ends of a route's ttl. */
struct policy_times {
    int64_t request_ms;
    int64_t response_ms;
    uint64_t jitter;
};

void policy_store(const struct route *route,
    const struct policy_request *request, const struct head *response,
    const struct policy_times *times, struct policy_verdict *out);

/* May the request have a response of these flags at all? ENTRY_*. */
bool policy_may_use(const struct route *route,
    const struct reuse_request *request, uint16_t flags);

/*
 * What may be done with an entry now (RFC 9111 4)? For one who asks, or,
 * with request NULL, for whoever waits for a flight.
 */
enum reuse policy_reuse(const struct route *route, const struct entry *entry,
    const struct reuse_request *request, int64_t now_ms);

/* May it stand in when the origin fails? request: as above. */
bool policy_allows_on_error(const struct route *route,
    const struct entry *entry, const struct reuse_request *request,
    int64_t now_ms);

/* Likewise where nobody knows whether a write has changed it, fresh as it is:
   that is borne where the API or the route bears what is past its time. */
bool policy_bears_outdated(
    const struct route *route, const struct entry *entry);

/* Has the origin forbidden to use it past its time (RFC 9111 4.2.4)? */
bool policy_forbids_stale(const struct entry *entry);

/* Is the status an answer of an origin that fails (RFC 5861 4)? */
bool policy_is_failure(unsigned status);

/* Is it an error about the request, or about who asks? It says nothing of the
   target. */
bool policy_is_about_request(unsigned status);

/* What the route's answers vary by, whether they say so or not. */
struct vary_list policy_vary_on(const struct route *route);

/* The targeted fields that are for us alone. */
struct targeted_list policy_withheld(const struct route *route);

/* May a request with the method be sent twice (RFC 9110 9.2.2)? */
bool policy_is_idempotent(enum method method);

#endif
