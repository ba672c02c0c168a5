/* RFC 9111 4 and the route's options, laid over what was found. */
#include "nearside/rules/found.h"

#include "nearside/base/check.h"

enum {
    /* Instances differ by less in the time that they share: so much is no
       sign of a wrong clock. */
    AHEAD_MS = 200,
};

/* Was it received later than now? Then the clock of whoever stored it was
   wrong, and its lifetime would seem longer than it is. */
static bool
is_from_the_future(const struct entry *entry, int64_t now_ms)
{
    return entry_received_ms(entry) > now_ms + AHEAD_MS;
}

static enum found
judge_no_response(const struct entry *entry, int64_t now_ms)
{
    if (now_ms >= entry_fresh_until_ms(entry) ||
        is_from_the_future(entry, now_ms)) {
        return FOUND_NOTHING;
    }
    return (entry->flags & ENTRY_VARY_RECORD) != 0 ? FOUND_RECORD
                                                   : FOUND_HIT_FOR_MISS;
}

static enum found
judge_response(const struct question *q, const struct entry *entry,
    const struct reuse_request *reuse, int64_t now_ms)
{
    switch (policy_reuse(q->reads, entry, reuse, now_ms)) {
    case REUSE_FRESH:
        return FOUND_FRESH;
    case REUSE_STALE:
        return FOUND_STALE;
    case REUSE_BACKGROUND:
        return FOUND_RENEW;
    case REUSE_VALIDATE:
        return (entry->flags & ENTRY_MUST_VALIDATE) != 0 ? FOUND_VALIDATE
                                                         : FOUND_OUTDATED;
    case REUSE_REQUEST:
        return FOUND_UNWANTED;
    case REUSE_MISS:
    case REUSE_UNAVAILABLE:
        break;
    }
    return FOUND_UNAVAILABLE;
}

enum found
found_judge(const struct question *q, const struct entry *entry,
    bool is_anybody, int64_t now_ms)
{
    const struct reuse_request *reuse = &q->policy.reuse;

    MUST_OBJ(q, QUESTION_MAGIC);
    MUST_OBJ(entry, ENTRY_MAGIC);
    MUST(q->reads != NULL);
    if ((entry->flags & (ENTRY_VARY_RECORD | ENTRY_HIT_FOR_MISS)) != 0) {
        return judge_no_response(entry, now_ms);
    }
    if (question_is_keyed(q) && q->record == NULL) {
        return FOUND_FOREIGN;
    }
    if (!is_anybody && !policy_may_use(q->reads, reuse, entry->flags)) {
        return FOUND_NOT_FOR_IT;
    }
    if ((entry->flags & ENTRY_UNVERIFIED) != 0 ||
        is_from_the_future(entry, now_ms)) {
        return FOUND_OUTDATED;
    }
    return judge_response(q, entry, is_anybody ? NULL : reuse, now_ms);
}

enum found
found_unverified(enum found found, bool may_answer)
{
    switch (found) {
    case FOUND_FRESH:
        return may_answer ? FOUND_FRESH : FOUND_OUTDATED;
    case FOUND_STALE:
    case FOUND_RENEW:
    case FOUND_VALIDATE:
    case FOUND_OUTDATED:
        return FOUND_OUTDATED;
    case FOUND_HIT_FOR_MISS: /* better one asks the origin than all */
    case FOUND_NOTHING:
        return FOUND_NOTHING;
    case FOUND_UNWANTED:
    case FOUND_UNAVAILABLE:
    case FOUND_RECORD:
    case FOUND_FOREIGN:
    case FOUND_NOT_FOR_IT:
        break;
    }
    return found;
}
