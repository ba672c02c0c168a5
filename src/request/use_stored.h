/* What the files of the steps share: what may become of a stored response. */
#ifndef REQUEST_USE_STORED_H
#define REQUEST_USE_STORED_H

#include "request/request_inside.h"

/* Says that its credentials keep the request from what is stored. */
void request_note_credentials(struct request *r);

/* Says why there is a hit-for-miss entry. */
void request_note_refusal(struct request *r, const struct entry *entry);

/* May this request have a response with these flags (RFC 9111 3.5)? If not,
   r->detail says why. */
bool request_may_use(struct request *r, uint16_t flags);

/* Asks the origin for this request alone, unless only-if-cached forbids it. */
const struct step *request_go_forward(struct request *r);

/* The entry is a record: on with `next` to this request's own variant. */
const struct step *request_use_record(
    struct request *r, struct entry *record, const struct step *next);

/* Memory has no answer: on to a flight, or to a lookup of the request's own
   where what it asks is its own. */
const struct step *request_look_further(struct request *r);

/* Answers from a fresh entry, which was found in that tier. */
const struct step *request_deliver_hit(
    struct request *r, struct entry *own_entry, enum tier_id tier);

/* The same from memory, which Redis has not vouched for. */
const struct step *request_deliver_unverified(
    struct request *r, struct entry *own_entry);

/* Where a flight or a lookup has found what is stored. */
enum tier_id request_tier_of_stored(const struct request *r);

/* Answers from an entry past its time. */
const struct step *request_deliver_stale(
    struct request *r, struct entry *own_entry, const char *detail);

/* Has the stored response renewed in the background. */
void request_renew(struct request *r);

/* May r->stale stand in for an origin that fails? If so, it can be delivered
   in place of whatever is under way. */
bool request_has_substitute(struct request *r);
const struct step *request_deliver_substitute(struct request *r);

#endif
