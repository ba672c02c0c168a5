/* What is remembered of deletions, and for how long. */
#include "worker_given.h"

#include "nearside/redis/hold.h"
#include "nearside/tier/journal.h"
#include "redis/pool.h"

struct notes {
    struct given g;
    struct journal *journal;
    struct trust *trust;
    uint32_t owner; /* of all slots */
};

static void
given_notes(struct notes *n)
{
    given_worker(&n->g, 5000);
    n->journal = &n->g.tier_worker.journal;
    n->trust = n->g.rig.redis->trust;
    n->owner = atomic_load(&n->trust->slots[0].owner);
    assert_int_not_equal(n->owner, 0);
}

static void
notes_over(struct notes *n)
{
    worker_over(&n->g);
}

/* What a guarded GET of the key ends with, and why. */
static enum rc
guarded(struct notes *n, struct slice key, const char **out_doubt)
{
    struct told t = {.call.is_guarded = true};

    t.call.on_reply = on_told;
    t.call.ctx = &t;
    redis_send(n->g.rig.client, &t.call, key, 2,
        (const struct slice[]){SLICE("GET"), key});
    AWAIT(&n->g.rig, t.times > 0);
    *out_doubt = t.rc == RC_DOUBT ? t.call.doubt : "";
    return t.rc;
}

static struct record *
given_kept_record(struct notes *n, struct slice key)
{
    struct record *record = journal_add(n->journal, key);

    assert_non_null(record);
    assert_true(journal_keep(n->journal, record, n->owner, 0));
    return record;
}

static void
move(struct notes *n, struct slice key)
{
    trust_see_owner(n->trust, slot_of(key), n->owner + 1, 1, 1);
}

static void
while_it_is_pending_nothing_in_its_slot_is_used(void **state)
{
    struct notes n;
    struct record *record;
    const char *why;

    (void)state;
    given_notes(&n);
    assert_int_equal(guarded(&n, SLICE("ns:e:{k}"), &why), RC_OK);
    record = journal_add(n.journal, SLICE("ns:e:{k}"));
    assert_int_equal(guarded(&n, SLICE("ns:e:{k}"), &why), RC_DOUBT);
    assert_string_equal(why, "deletion-pending");
    assert_int_equal(guarded(&n, SLICE("ns:e:{other}"), &why), RC_OK);
    assert_true(journal_keep(n.journal, record, n.owner, 0));
    assert_int_equal(guarded(&n, SLICE("ns:e:{k}"), &why), RC_OK);
    assert_int_equal(n.journal->pending, 0);
    assert_int_equal(atomic_load(&n.trust->young), 1);
    notes_over(&n);
}

/* As a rule it is acknowledged in a moment, for which whoever reads waits. */
static void
who_comes_amid_a_deletion_waits_for_its_end(void **state)
{
    struct slice key = SLICE("ns:e:{k}");
    struct told t = {.call.is_guarded = true};
    struct notes n;
    struct record *record;

    (void)state;
    given_notes(&n);
    t.call.on_reply = on_told;
    t.call.ctx = &t;
    loop_turn(n.g.rig.loop, 0);
    record = journal_add(n.journal, key);
    redis_send(n.g.rig.client, &t.call, key, 2,
        (const struct slice[]){SLICE("GET"), key});
    spin(&n.g.rig, 5);
    assert_int_equal(t.times, 0);
    assert_true(journal_keep(n.journal, record, n.owner, 0));
    AWAIT(&n.g.rig, t.times > 0);
    assert_int_equal(t.rc, RC_OK);
    notes_over(&n);
}

/* An acknowledgement of one that owns the slot no more is none. */
static void
only_the_owner_of_its_slot_acknowledges_it(void **state)
{
    struct notes n;
    struct record *record;

    (void)state;
    given_notes(&n);
    record = journal_add(n.journal, SLICE("ns:e:{k}"));
    assert_false(journal_keep(n.journal, record, n.owner + 7, 0));
    assert_int_equal(n.journal->pending, 1);
    assert_true(journal_keep(n.journal, record, n.owner, 0));
    notes_over(&n);
}

/* Its reply had come, and was looked at only when the node had restarted. */
static void
what_a_node_acknowledged_before_a_restart_is_pending(void **state)
{
    struct notes n;
    struct record *record;

    (void)state;
    given_notes(&n);
    record = journal_add(n.journal, SLICE("ns:e:{k}"));
    trust_renew_slot(n.trust, slot_of(SLICE("ns:e:{k}")), 1);
    assert_false(journal_keep(n.journal, record, n.owner, 0));
    assert_true(journal_keep(n.journal, record, n.owner, 1));
    notes_over(&n);
}

static void
it_is_repeated_when_its_slot_has_another_owner_and_only_then(void **state)
{
    struct notes n;
    struct record *record;

    (void)state;
    given_notes(&n);
    record = given_kept_record(&n, SLICE("ns:e:{k}"));
    given_kept_record(&n, SLICE("ns:e:{other}"));
    assert_int_equal(journal_renew(n.journal), 0);
    move(&n, SLICE("ns:e:{k}"));
    assert_int_equal(journal_renew(n.journal), 1);
    assert_int_equal(n.journal->pending, 1);
    assert_ptr_equal(journal_next(n.journal), record);
    assert_null(journal_next(n.journal));
    journal_lose(n.journal, &record);
    assert_int_equal(n.journal->len, 1);
    notes_over(&n);
}

/* A walk over all records, of which there may be many. */
static void
they_are_looked_at_when_something_has_changed_and_only_then(void **state)
{
    struct notes n;
    struct record *record;

    (void)state;
    given_notes(&n);
    record = given_kept_record(&n, SLICE("ns:e:{k}"));
    assert_int_equal(journal_renew(n.journal), 0);
    record->version++; /* as if it had been overlooked */
    assert_int_equal(journal_renew(n.journal), 0);
    move(&n, SLICE("ns:e:{another}"));
    assert_int_equal(journal_renew(n.journal), 1);
    notes_over(&n);
}

static void
it_is_remembered_for_a_minute_of_the_clock_that_a_majority_drives(void **state)
{
    struct notes n;
    int64_t begun_ms;

    (void)state;
    given_notes(&n);
    given_kept_record(&n, SLICE("ns:e:{k}"));
    begun_ms = redis_confirmed_ms(n.g.rig.client);
    atomic_store(&n.trust->confirmed_ms, begun_ms + JOURNAL_KEPT_MS - 1);
    journal_expire(n.journal);
    assert_int_equal(n.journal->len, 1);
    atomic_store(&n.trust->confirmed_ms, begun_ms + JOURNAL_KEPT_MS);
    journal_expire(n.journal);
    assert_int_equal(n.journal->len, 0);
    assert_int_equal(atomic_load(&n.trust->young), 0);
    notes_over(&n);
}

/* The oldest is forgotten for a new one; what that might cost, its slot pays
   when it changes its owner. */
static void
of_a_full_journal_the_oldest_that_is_kept_is_forgotten(void **state)
{
    struct notes n;
    uint16_t slot = slot_of(SLICE("ns:e:{first}"));
    int64_t now_ms;

    (void)state;
    given_notes(&n);
    n.journal->max = 2;
    given_kept_record(&n, SLICE("ns:e:{first}"));
    given_kept_record(&n, SLICE("ns:e:{second}"));
    journal_wait(n.journal, journal_add(n.journal, SLICE("ns:e:{third}")));
    assert_int_equal(n.journal->len, 2);
    now_ms = loop_now_ms(n.g.rig.loop);
    trust_see_owner(n.trust, slot, n.owner + 1, now_ms, 1);
    assert_non_null(trust_why_not(n.trust, slot, now_ms + 3599 * 1000));
    assert_null(trust_why_not(n.trust, slot, now_ms + 3600 * 1000));
    notes_over(&n);
}

static void
of_a_journal_full_of_pending_ones_the_new_one_is_lost(void **state)
{
    struct notes n;
    const char *why;

    (void)state;
    given_notes(&n);
    n.journal->max = 1;
    journal_wait(n.journal, journal_add(n.journal, SLICE("ns:e:{first}")));
    assert_null(journal_add(n.journal, SLICE("ns:e:{second}")));
    assert_int_equal(n.journal->len, 1);
    assert_int_equal(guarded(&n, SLICE("ns:e:{second}"), &why), RC_DOUBT);
    assert_string_equal(why, "slot-changed");
    notes_over(&n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(while_it_is_pending_nothing_in_its_slot_is_used),
        TEST(who_comes_amid_a_deletion_waits_for_its_end),
        TEST(only_the_owner_of_its_slot_acknowledges_it),
        TEST(what_a_node_acknowledged_before_a_restart_is_pending),
        TEST(it_is_repeated_when_its_slot_has_another_owner_and_only_then),
        TEST(they_are_looked_at_when_something_has_changed_and_only_then),
        TEST(it_is_remembered_for_a_minute_of_the_clock_that_a_majority_drives),
        TEST(of_a_full_journal_the_oldest_that_is_kept_is_forgotten),
        TEST(of_a_journal_full_of_pending_ones_the_new_one_is_lost),
    };

    servers_guard();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
