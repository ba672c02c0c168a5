/*
 * The answer to a POST, stored for GETs to come (RFC 9110 9.3.3): where it
 * states its freshness and names its own target in Content-Location. Only
 * where the route says so (store_post).
 */
#ifndef PROXY_CLAIM_H
#define PROXY_CLAIM_H

#include "proxy/fetch.h"

struct claim;
struct head;
struct request;
struct step;

/* Takes the lease before the POST is sent, so that what other writers do
   meanwhile keeps its answer from being stored. Parks. */
extern const struct step step_claim;

/* Is this a write that goes by step_claim? */
bool claim_is_due(const struct request *r);

/* The answer's head is there: is its content to be kept, to be stored? */
struct fetch_plan claim_on_head(struct request *r, const struct head *response);

/* The token of its lease, while the answer is to be stored under it; or
   empty. */
struct slice claim_token(const struct request *r);

/* The answer has ended; it is stored if it is whole. */
void claim_on_end(struct request *r, enum fill_state state);

/* The answer is not stored, as its head says or its size, or the request
   ends: gives back a lease that nothing was stored under. Harmless on a
   request without claim. */
void claim_drop(struct request *r);

#endif
