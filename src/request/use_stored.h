/* What the files of the steps share: what may become of a stored response. */
#ifndef REQUEST_USE_STORED_H
#define REQUEST_USE_STORED_H

#include "request/request_inside.h"

/* What is stored is not for one with its credentials: says so. */
void request_note_credentials(struct request *r);

/* Is a response with these flags for this one who asks (RFC 9111 3.5)? Else
   r->detail says why not. */
bool request_may_use(struct request *r, uint16_t flags);

/* The origin is asked for this request alone, unless it forbids that. */
const struct step *request_go_forward(struct request *r);

/* The entry is a record: on with `next` to this request's own variant. */
const struct step *request_use_record(
    struct request *r, struct entry *record, const struct step *next);

const struct step *request_deliver_hit(
    struct request *r, struct entry *own_entry);

/* Past its time, and answered from all the same. */
const struct step *request_deliver_stale(
    struct request *r, struct entry *own_entry, const char *detail);

/* Has what is stored renewed for all, while the request is answered with what
   there is. */
void request_renew(struct request *r);

/* May r->stale stand in for an origin that fails? Then it is delivered in
   place of whatever is under way. */
bool request_has_substitute(struct request *r);
const struct step *request_deliver_substitute(struct request *r);

#endif
