/* The records of a worker's deletions. Each is under way, waits, or is kept. */
#include "nearside/tier/journal.h"

#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/redis/hold.h"

static struct record *
record_of(struct list *link)
{
    MUST(link != NULL);
    return CONTAINER_OF(link, struct record, link);
}

void
journal_init(struct journal *j, struct redis_client *redis)
{
    *j = (struct journal){
        .magic = JOURNAL_MAGIC, .redis = redis, .max = JOURNAL_MAX};
    list_init(&j->waiting);
    list_init(&j->kept);
}

/* --- pending or not ---------------------------------------------------- */

static void
begin_pending(struct journal *j, struct record *r)
{
    MUST(!r->is_pending);
    r->is_pending = true;
    j->pending++;
    redis_hold(j->redis, r->slot);
}

static void
end_pending(struct journal *j, struct record *r)
{
    MUST(r->is_pending);
    MUST(j->pending > 0);
    r->is_pending = false;
    j->pending--;
    redis_release(j->redis, r->slot);
}

static void
record_free(struct journal *j, struct record *r)
{
    MUST(j->len > 0);
    list_remove(&r->link);
    if (r->is_pending) {
        end_pending(j, r);
    }
    j->len--;
    redis_remember(j->redis, -1);
    free(r);
}

/* --- life -------------------------------------------------------------- */

/* False: nothing can be forgotten. */
static bool
make_room(struct journal *j)
{
    struct list *oldest = list_first(&j->kept);

    if (j->len < j->max) {
        return true;
    }
    if (oldest == NULL) {
        return false;
    }
    redis_forget(j->redis, record_of(oldest)->slot);
    record_free(j, record_of(oldest));
    return true;
}

struct record *
journal_add(struct journal *j, struct slice entry_key)
{
    struct record *r = NULL;
    uint16_t slot = slot_of(entry_key);

    MUST_OBJ(j, JOURNAL_MAGIC);
    MUST(entry_key.len > 0);
    if (make_room(j)) {
        r = malloc(sizeof(*r) + entry_key.len);
    }
    if (r == NULL) {
        redis_lose(j->redis, slot);
        return NULL;
    }
    *r = (struct record){.slot = slot, .key_len = (uint32_t)entry_key.len};
    list_init(&r->link);
    memcpy(r->key, entry_key.ptr, entry_key.len);
    j->len++;
    redis_remember(j->redis, 1);
    begin_pending(j, r);
    return r;
}

void
journal_wait(struct journal *j, struct record *r)
{
    MUST_OBJ(j, JOURNAL_MAGIC);
    MUST(r->is_pending);
    MUST(!list_is_linked(&r->link));
    list_push_back(&j->waiting, &r->link);
}

struct record *
journal_next(struct journal *j)
{
    struct list *link = list_pop(&j->waiting);

    MUST_OBJ(j, JOURNAL_MAGIC);
    return link == NULL ? NULL : record_of(link);
}

bool
journal_keep(struct journal *j, struct record *r, uint32_t by, uint32_t version)
{
    MUST_OBJ(j, JOURNAL_MAGIC);
    MUST(!list_is_linked(&r->link));
    if (!redis_is_owner(j->redis, r->slot, by) ||
        redis_has_moved(j->redis, r->slot, version)) {
        return false;
    }
    end_pending(j, r);
    r->version = version;
    r->until_ms = redis_confirmed_ms(j->redis) + JOURNAL_KEPT_MS;
    list_push_back(&j->kept, &r->link);
    return true;
}

void
journal_lose(struct journal *j, struct record **r)
{
    MUST_OBJ(j, JOURNAL_MAGIC);
    record_free(j, *r);
    *r = NULL;
}

unsigned
journal_renew(struct journal *j)
{
    uint64_t changes = redis_changes(j->redis);
    unsigned count = 0;

    MUST_OBJ(j, JOURNAL_MAGIC);
    if (changes == j->changes) {
        return 0;
    }
    j->changes = changes;
    LIST_EACH (it, &j->kept) {
        struct record *r = record_of(it);

        if (redis_has_moved(j->redis, r->slot, r->version)) {
            list_remove(&r->link);
            begin_pending(j, r);
            journal_wait(j, r);
            count++;
        }
    }
    return count;
}

void
journal_expire(struct journal *j)
{
    int64_t now_ms = redis_confirmed_ms(j->redis);
    struct list *oldest;

    MUST_OBJ(j, JOURNAL_MAGIC);
    while ((oldest = list_first(&j->kept)) != NULL &&
           record_of(oldest)->until_ms <= now_ms) {
        record_free(j, record_of(oldest));
    }
}

unsigned
journal_fini(struct journal *j)
{
    struct record *r;
    struct list *link;
    unsigned count = 0;

    MUST_OBJ(j, JOURNAL_MAGIC);
    while ((r = journal_next(j)) != NULL) {
        record_free(j, r);
        count++;
    }
    while ((link = list_first(&j->kept)) != NULL) {
        record_free(j, record_of(link));
    }
    return count;
}
