/* What was spent, and slices: sums of windows against a plain addition, and that nobody is granted more than there is, whatever two instances do. */
#include "fixture.h"

#define TEXT(literal) WEIR_SPAN(literal)
#define BUCKET WEIR_SPEND_BUCKET_US
#define DAY (96 * BUCKET)
/* A midnight, UTC. */
#define MIDNIGHT (20700 * DAY)

static const struct weir_uuid first_instance = {{1}}, second_instance = {{2}};

/* Plain and repeatable; tests need no more. */
static uint64_t chance(uint64_t *state, uint64_t below) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*state >> 33) % below;
}

/* Some time in the days behind MIDNIGHT. */
static int64_t moment(uint64_t *state, uint64_t days) {
    int64_t bucket = (int64_t)chance(state, days * 96);
    return MIDNIGHT + bucket * BUCKET + (int64_t)chance(state, (uint64_t)BUCKET);
}

static struct weir_ledger_entry entry_at(uint64_t number, int64_t start_utc_us, int64_t cost) {
    struct weir_ledger_entry entry = sample_entry(number);
    entry.start_utc_us = start_utc_us;
    entry.end_utc_us = start_utc_us + 1000;
    entry.cost_cu_milli = cost;
    entry.issued_count = 0;
    return entry;
}

static void ingest(struct fixture *fixture, struct weir_engine *engine, const struct weir_uuid *instance,
                   const struct weir_ledger_entry *entries, size_t count) {
    const struct weir_engine_ops *ops = fixture->ops;
    check(fixture, ops->ingest_begin(engine, &fixture->error), WEIR_OK);
    if (instance != NULL)
        check(fixture, ops->ingest_from(engine, instance, &fixture->error), WEIR_OK);
    for (size_t i = 0; i < count; i++)
        check(fixture, ops->ingest_entry(engine, &entries[i], &fixture->error), WEIR_OK);
    check(fixture, ops->ingest_commit(engine, &fixture->error), WEIR_OK);
}

static struct weir_spend_counter counter_of(enum weir_scope scope, struct weir_span id, enum weir_spend_unit unit,
                                            int64_t from, int64_t until) {
    return (
        struct weir_spend_counter){.scope = scope, .id = id, .unit = unit, .from_utc_us = from, .until_utc_us = until};
}

static struct weir_lease ask(struct fixture *fixture, const struct weir_uuid *instance,
                             struct weir_spend_counter counter, int64_t limit, int64_t wanted, int64_t unused) {
    struct weir_lease lease = {.counter = counter, .limit = limit, .wanted = wanted, .unused = unused};
    check(fixture, fixture->ops->lease(fixture->engine, instance, &lease, 1, &fixture->error), WEIR_OK);
    return lease;
}

static int64_t spent_of(struct fixture *fixture, struct weir_spend_counter counter) {
    return ask(fixture, &first_instance, counter, 0, 0, 0).spent;
}

/* --- sums --- */
static void an_entry_counts_in_all_its_scopes(void **state) {
    struct fixture *fixture = *state;
    struct weir_ledger_entry entries[] = {entry_at(1, MIDNIGHT + 5, 100), entry_at(3, MIDNIGHT + 7, 20)};
    ingest(fixture, fixture->engine, NULL, entries, 2);
    const struct {
        enum weir_scope scope;
        const char *id;
        int64_t cu_milli, requests;
    } expected[] = {
        {WEIR_SCOPE_GLOBAL, "", 120, 2},
        {WEIR_SCOPE_WORKSPACE, "default", 120, 2},
        {WEIR_SCOPE_TEAM, "default/team_red", 100, 1},
        {WEIR_SCOPE_USER, "default/ada", 100, 1},
        {WEIR_SCOPE_KEY, "key_of_the_first", 100, 1},
        {WEIR_SCOPE_KEY, "key_0123456789abcdef", 20, 1},
        {WEIR_SCOPE_MODEL, "gpt-4o-mini", 120, 2},
        {WEIR_SCOPE_PROVIDER, "openai", 120, 2},
        {WEIR_SCOPE_PROVIDER, "azure", 777, 0}, /* where an attempt failed that may have cost something */
        {WEIR_SCOPE_TEAM, "team_red", 0, 0},
        {WEIR_SCOPE_USER, "default/team_red", 0, 0},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        struct weir_span id = weir_span_of_string(expected[i].id);
        struct weir_spend_counter counter = counter_of(expected[i].scope, id, WEIR_SPEND_CU_MILLI, 0, INT64_MAX);
        assert_true(spent_of(fixture, counter) == expected[i].cu_milli);
        counter.unit = WEIR_SPEND_REQUESTS;
        assert_true(spent_of(fixture, counter) == expected[i].requests);
        counter.unit = WEIR_SPEND_TOKENS;
        assert_true(spent_of(fixture, counter) == expected[i].requests * (812 + 77));
    }
}

enum { SPREAD_DAYS = 70, SPREAD_ENTRIES = 600 };

static void windows_are_the_sum_of_what_started_in_them(void **state) {
    struct fixture *fixture = *state;
    static struct weir_ledger_entry entries[SPREAD_ENTRIES];
    uint64_t luck = 7;
    for (size_t i = 0; i < SPREAD_ENTRIES; i++) {
        entries[i] = entry_at(5 * i + 1, moment(&luck, SPREAD_DAYS), (int64_t)chance(&luck, 1000000));
    }
    for (size_t i = 0; i < SPREAD_ENTRIES; i += 60)
        ingest(fixture, fixture->engine, NULL, entries + i, 60);
    for (size_t round = 0; round < 400; round++) {
        int64_t from = MIDNIGHT - DAY + (int64_t)chance(&luck, (SPREAD_DAYS + 2) * 96) * BUCKET;
        int64_t until = from + (int64_t)chance(&luck, round % 2 == 0 ? 40 * 96 : 96) * BUCKET;
        if (round % 10 == 0)
            from = 0;
        if (round % 15 == 0)
            until = INT64_MAX;
        int64_t expected = 0;
        for (size_t i = 0; i < SPREAD_ENTRIES; i++) {
            if (entries[i].start_utc_us >= from && entries[i].start_utc_us < until)
                expected += entries[i].cost_cu_milli;
        }
        assert_true(spent_of(fixture, counter_of(WEIR_SCOPE_USER, TEXT("default/ada"), WEIR_SPEND_CU_MILLI, from,
                                                 until)) == expected);
    }
}

struct seen {
    struct weir_spend spend[SPREAD_DAYS * 96];
    size_t count;
};

static enum weir_status see(void *context, const struct weir_spend *spend) {
    struct seen *seen = context;
    seen->spend[seen->count++] = *spend;
    return WEIR_OK;
}

static void spend_comes_in_steps(void **state) {
    struct fixture *fixture = *state;
    static struct weir_ledger_entry entries[SPREAD_ENTRIES];
    static struct seen seen;
    uint64_t luck = 11;
    for (size_t i = 0; i < SPREAD_ENTRIES; i++)
        entries[i] = entry_at(5 * i + 1, moment(&luck, 20), (int64_t)i);
    ingest(fixture, fixture->engine, NULL, entries, SPREAD_ENTRIES);
    const int64_t steps[] = {BUCKET, 4 * BUCKET, DAY, DAY, 7 * DAY, 3 * BUCKET},
                  begins[] = {MIDNIGHT, MIDNIGHT + BUCKET, MIDNIGHT, MIDNIGHT + 88 * BUCKET, MIDNIGHT - DAY, 0};
    for (size_t i = 0; i < 6; i++) {
        seen.count = 0;
        struct weir_spend_counter counter = counter_of(WEIR_SCOPE_GLOBAL, TEXT(""), WEIR_SPEND_CU_MILLI, begins[i],
                                                       MIDNIGHT + 15 * DAY + 5 * BUCKET);
        check(fixture, fixture->ops->spend_each(fixture->engine, &counter, steps[i], see, &seen, &fixture->error),
              WEIR_OK);
        assert_true(seen.count > 1);
        int64_t total = 0, expected_total = 0;
        for (size_t k = 0; k < seen.count; k++) {
            const struct weir_spend *spend = &seen.spend[k];
            int64_t cost = 0, requests = 0;
            assert_true((spend->bucket_utc_us - begins[i]) % steps[i] == 0);
            assert_true(k == 0 || spend->bucket_utc_us > seen.spend[k - 1].bucket_utc_us);
            for (size_t e = 0; e < SPREAD_ENTRIES; e++) {
                int64_t start = entries[e].start_utc_us;
                if (start >= spend->bucket_utc_us && start < spend->bucket_utc_us + steps[i] &&
                    start < counter.until_utc_us) {
                    cost += entries[e].cost_cu_milli;
                    requests++;
                }
            }
            assert_true(spend->cu_milli == cost && spend->requests == requests && requests > 0);
            assert_true(spend->tokens == requests * (812 + 77));
            total += cost;
        }
        for (size_t e = 0; e < SPREAD_ENTRIES; e++) {
            if (entries[e].start_utc_us >= begins[i] && entries[e].start_utc_us < counter.until_utc_us)
                expected_total += entries[e].cost_cu_milli;
        }
        assert_true(total == expected_total);
    }
}

/* --- slices --- */
static void a_slice_is_granted_used_and_given_back(void **state) {
    struct fixture *fixture = *state;
    struct weir_spend_counter day = counter_of(WEIR_SCOPE_USER, TEXT("default/ada"), WEIR_SPEND_CU_MILLI, MIDNIGHT,
                                               MIDNIGHT + DAY);
    struct weir_lease lease = ask(fixture, &first_instance, day, 1000, 600, 0);
    assert_true(lease.granted == 600 && lease.slice == 600 && lease.spent == 0 && lease.others == 0);
    lease = ask(fixture, &second_instance, day, 1000, 600, 0);
    assert_true(lease.granted == 400 && lease.slice == 400 && lease.others == 600);
    /* What is ingested leaves the slice of who charged it, and that of nobody else. */
    struct weir_ledger_entry entries[] = {entry_at(1, MIDNIGHT, 100), entry_at(2, MIDNIGHT + DAY - 1, 50),
                                          entry_at(4, MIDNIGHT + DAY, 7), entry_at(6, MIDNIGHT - 1, 8)};
    ingest(fixture, fixture->engine, &first_instance, entries, 4);
    lease = ask(fixture, &first_instance, day, 1000, 0, 0);
    assert_true(lease.slice == 450 && lease.spent == 150 && lease.others == 400);
    /* More than it has counts as all of it; it is given back before anything is granted. */
    lease = ask(fixture, &first_instance, day, 1000, 2000, 10000);
    assert_true(lease.granted == 450 && lease.slice == 450);
    lease = ask(fixture, &first_instance, day, 1000, 0, 50);
    assert_true(lease.granted == 0 && lease.slice == 400);
    lease = ask(fixture, &second_instance, day, 1000, 80, 0);
    assert_true(lease.granted == 50 && lease.slice == 450);
    /* A limit that was lowered takes nothing away, and grants nothing. */
    lease = ask(fixture, &second_instance, day, 500, 1, 0);
    assert_true(lease.granted == 0 && lease.slice == 450);
    lease = ask(fixture, &second_instance, day, INT64_MAX, INT64_MAX / 2, 0);
    assert_true(lease.granted == INT64_MAX / 2);
    /* Below nothing no slice goes. */
    struct weir_ledger_entry dear = entry_at(9, MIDNIGHT + 5, 100000);
    ingest(fixture, fixture->engine, &first_instance, &dear, 1);
    lease = ask(fixture, &first_instance, day, 1000, 10, 0);
    assert_true(lease.slice == 0 && lease.granted == 0 && lease.spent == 100150);
}

static void periods_and_units_have_slices_of_their_own(void **state) {
    struct fixture *fixture = *state;
    const struct weir_span ada = TEXT("default/ada");
    struct weir_spend_counter counters[] = {
        counter_of(WEIR_SCOPE_USER, ada, WEIR_SPEND_CU_MILLI, MIDNIGHT, MIDNIGHT + DAY),
        counter_of(WEIR_SCOPE_USER, ada, WEIR_SPEND_CU_MILLI, MIDNIGHT + DAY, MIDNIGHT + 2 * DAY),
        counter_of(WEIR_SCOPE_USER, ada, WEIR_SPEND_REQUESTS, MIDNIGHT, MIDNIGHT + DAY),
        counter_of(WEIR_SCOPE_USER, ada, WEIR_SPEND_TOKENS, MIDNIGHT, MIDNIGHT + DAY),
        counter_of(WEIR_SCOPE_USER, ada, WEIR_SPEND_CU_MILLI, 0, INT64_MAX),
        counter_of(WEIR_SCOPE_KEY, ada, WEIR_SPEND_CU_MILLI, MIDNIGHT, MIDNIGHT + DAY),
        counter_of(WEIR_SCOPE_USER, ada, WEIR_SPEND_CU_MILLI, MIDNIGHT, INT64_MAX),
    };
    enum { COUNTERS = 7 };
    counters[6].rolling = true;
    struct weir_lease leases[COUNTERS];
    for (size_t i = 0; i < COUNTERS; i++)
        leases[i] = (struct weir_lease){.counter = counters[i], .limit = 10000, .wanted = 5000};
    check(fixture, fixture->ops->lease(fixture->engine, &first_instance, leases, COUNTERS, &fixture->error), WEIR_OK);
    for (size_t i = 0; i < COUNTERS; i++)
        assert_true(leases[i].granted == 5000);
    struct weir_ledger_entry entry = entry_at(1, MIDNIGHT + 3 * BUCKET, 300);
    ingest(fixture, fixture->engine, &first_instance, &entry, 1);
    const int64_t expected[COUNTERS] = {4700, 5000, 4999, 5000 - 889, 4700, 5000, 4700};
    for (size_t i = 0; i < COUNTERS; i++)
        assert_true(ask(fixture, &first_instance, counters[i], 10000, 0, 0).slice == expected[i]);
    /* The window of a rolling counter has moved on: its slice is the same one, and pays also for what started before. */
    counters[6].from_utc_us = MIDNIGHT + 50 * BUCKET;
    struct weir_lease lease = ask(fixture, &first_instance, counters[6], 10000, 0, 0);
    assert_true(lease.slice == 4700 && lease.spent == 0);
    entry = entry_at(2, MIDNIGHT + 4 * BUCKET, 200);
    ingest(fixture, fixture->engine, &first_instance, &entry, 1);
    assert_true(ask(fixture, &first_instance, counters[6], 10000, 0, 0).slice == 4500);
}

static void what_makes_no_sense_is_refused(void **state) {
    struct fixture *fixture = *state;
    const struct weir_lease good = {.counter = counter_of(WEIR_SCOPE_KEY, TEXT("k"), WEIR_SPEND_CU_MILLI, 0, BUCKET),
                                    .limit = 5,
                                    .wanted = 1};
    struct weir_lease bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = good;
    bad[0].wanted = -1;
    bad[1].unused = -1;
    bad[2].counter.from_utc_us = 1;
    bad[3].counter.until_utc_us = BUCKET + 1;
    bad[4].counter.from_utc_us = 2 * BUCKET;
    bad[5].counter.scope = WEIR_SCOPE_END;
    bad[6].counter.unit = (enum weir_spend_unit)7;
    bad[7].counter.from_utc_us = -BUCKET;
    for (size_t i = 0; i < 8; i++) {
        /* One that is bad takes the others back. */
        struct weir_lease both[] = {good, bad[i]};
        check(fixture, fixture->ops->lease(fixture->engine, &first_instance, both, 2, &fixture->error), WEIR_EINVAL);
        assert_true(ask(fixture, &first_instance, good.counter, 5, 0, 0).slice == 0);
    }
    struct weir_lease none = good;
    none.limit = -5;
    check(fixture, fixture->ops->lease(fixture->engine, &first_instance, &none, 1, &fixture->error), WEIR_OK);
    assert_true(none.granted == 0);
}

/* Two connections do what instances do, in any order; a plain model says what there is. */
enum { ACTORS = 3, ROUNDS = 1500 };

struct actor {
    struct weir_uuid id;
    struct weir_engine *engine;
    int64_t slice, pending; /* what it may spend; what it has charged and not ingested */
};

static void nobody_spends_more_than_there_is(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_engine *other = NULL;
    check(fixture, ops->open(fixture->location, "dev", &other, &fixture->error), WEIR_OK);
    struct actor actors[ACTORS];
    uint64_t luck = 3, number = 0, instances = 0;
    int64_t limit = 100000, spent = 0, highest = limit;
    bool rolling = false;
    for (size_t i = 0; i < ACTORS; i++) {
        actors[i] = (struct actor){.id = {{(unsigned char)++instances, 9}},
                                   .engine = i % 2 == 0 ? other : fixture->engine};
        check(fixture, ops->instance_begin(actors[i].engine, &actors[i].id, 1, &fixture->error), WEIR_OK);
    }
    for (int round = 0; round < ROUNDS; round++) {
        struct actor *actor = &actors[chance(&luck, ACTORS)];
        struct weir_spend_counter counter = counter_of(WEIR_SCOPE_USER, TEXT("default/ada"), WEIR_SPEND_CU_MILLI,
                                                       MIDNIGHT, rolling ? INT64_MAX : MIDNIGHT + DAY);
        counter.rolling = rolling;
        int64_t others = 0, available = actor->slice - actor->pending;
        for (size_t i = 0; i < ACTORS; i++)
            others += &actors[i] != actor ? actors[i].slice : 0;
        switch (chance(&luck, 6)) {
        case 0:
        case 1: { /* asks, and gives back some of what nobody holds */
            int64_t unused = available > 0 && chance(&luck, 3) == 0 ? (int64_t)chance(&luck, (uint64_t)available + 1)
                                                                    : 0;
            struct weir_lease lease = {.counter = counter,
                                       .limit = limit,
                                       .wanted = (int64_t)chance(&luck, 9000),
                                       .unused = unused};
            check(fixture, ops->lease(actor->engine, &actor->id, &lease, 1, &fixture->error), WEIR_OK);
            int64_t room = limit - spent - others - (actor->slice - unused);
            int64_t expected = room <= 0 ? 0 : lease.wanted < room ? lease.wanted : room;
            assert_true(lease.spent == spent && lease.others == others && lease.granted == expected);
            actor->slice += expected - unused;
            assert_true(lease.slice == actor->slice);
            break;
        }
        case 2: /* charges */
            if (available > 0)
                actor->pending += (int64_t)chance(&luck, (uint64_t)available + 1);
            break;
        case 3: { /* its journal is read */
            struct weir_ledger_entry entry = entry_at(5 * ++number, moment(&luck, 1), actor->pending);
            ingest(fixture, actor->engine, &actor->id, &entry, 1);
            actor->slice -= actor->pending;
            spent += actor->pending;
            actor->pending = 0;
            break;
        }
        case 4: /* the limit moves */
            if (chance(&luck, 10) == 0)
                limit = 50000 + (int64_t)chance(&luck, 400000);
            break;
        default: /* it dies: another one reads its journal, settles a request at its reservation, and it is gone */
            if (chance(&luck, 8) == 0) {
                struct weir_journal_open open = sample_open(5 * ++number);
                const struct weir_journal_cursor series = {.instance = actor->id};
                struct weir_ledger_entry entry = entry_at(5 * ++number, MIDNIGHT, actor->pending);
                uint64_t settled = 0;
                open.start_utc_us = MIDNIGHT + 4;
                open.reserved_cu_milli = available > 0 ? (int64_t)chance(&luck, (uint64_t)available + 1) : 0;
                check(fixture, ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
                check(fixture, ops->ingest_from(fixture->engine, &actor->id, &fixture->error), WEIR_OK);
                check(fixture, ops->ingest_entry(fixture->engine, &entry, &fixture->error), WEIR_OK);
                check(fixture, ops->ingest_open(fixture->engine, &series, &open, &fixture->error), WEIR_OK);
                check(fixture, ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
                check(fixture,
                      ops->settle_crashed(fixture->engine, &actor->id, WEIR_EVERY_WORKER, MIDNIGHT + 9, &settled,
                                          &fixture->error),
                      WEIR_OK);
                assert_true(settled == 1);
                check(fixture, ops->instance_end(fixture->engine, &actor->id, 1, &fixture->error), WEIR_OK);
                spent += actor->pending + open.reserved_cu_milli;
                *actor = (struct actor){.id = {{(unsigned char)++instances, (unsigned char)(instances >> 8), 8}},
                                        .engine = actor->engine};
                check(fixture, ops->instance_begin(actor->engine, &actor->id, 1, &fixture->error), WEIR_OK);
            }
        }
        highest = limit > highest ? limit : highest;
        int64_t all = spent;
        for (size_t i = 0; i < ACTORS; i++)
            all += actors[i].slice;
        assert_true(all <= highest);
    }
    assert_true(spent > 50000);
    ops->close(&other);
}

static void slices_that_nobody_can_give_back_are_forgotten(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_spend_counter day = counter_of(WEIR_SCOPE_KEY, TEXT("k"), WEIR_SPEND_CU_MILLI, MIDNIGHT,
                                               MIDNIGHT + DAY);
    struct weir_spend_counter always = counter_of(WEIR_SCOPE_KEY, TEXT("k"), WEIR_SPEND_CU_MILLI, 0, INT64_MAX);
    check(fixture, ops->instance_begin(fixture->engine, &first_instance, 1, &fixture->error), WEIR_OK);
    assert_true(ask(fixture, &first_instance, day, 100, 60, 0).granted == 60);
    assert_true(ask(fixture, &first_instance, always, 100, 60, 0).granted == 60);
    /* An older program has ended this one, and knows nothing of slices. */
    assert_true(ask(fixture, &second_instance, always, 100, 60, 0).granted == 40);
    check(fixture, ops->slice_sweep(fixture->engine, MIDNIGHT + 2 * DAY, &fixture->error), WEIR_OK);
    assert_true(ask(fixture, &second_instance, always, 100, 0, 0).slice == 0);
    assert_true(ask(fixture, &first_instance, always, 100, 0, 0).slice == 60);
    assert_true(ask(fixture, &first_instance, day, 100, 0, 0).slice == 60);
    check(fixture, ops->slice_sweep(fixture->engine, MIDNIGHT + 9 * DAY, &fixture->error), WEIR_OK);
    assert_true(ask(fixture, &first_instance, day, 100, 0, 0).slice == 0);
    assert_true(ask(fixture, &first_instance, always, 100, 0, 0).slice == 60);
    check(fixture, ops->instance_end(fixture->engine, &first_instance, 1, &fixture->error), WEIR_OK);
    assert_true(ask(fixture, &first_instance, always, 100, 0, 0).slice == 0);
}

static void scopes_have_names(void **state) {
    (void)state;
    for (unsigned i = WEIR_SCOPE_GLOBAL; i < WEIR_SCOPE_END; i++) {
        enum weir_scope scope;
        assert_non_null(weir_scope_name((enum weir_scope)i));
        assert_true(weir_scope_from_name(weir_span_of_string(weir_scope_name((enum weir_scope)i)), &scope));
        assert_int_equal(scope, i);
    }
    enum weir_scope scope;
    assert_null(weir_scope_name((enum weir_scope)0));
    assert_null(weir_scope_name(WEIR_SCOPE_END));
    assert_false(weir_scope_from_name(TEXT(""), &scope) || weir_scope_from_name(TEXT("Key"), &scope));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON(0, an_entry_counts_in_all_its_scopes),
        ON(0, windows_are_the_sum_of_what_started_in_them),
        ON(0, spend_comes_in_steps),
        ON(0, a_slice_is_granted_used_and_given_back),
        ON(0, periods_and_units_have_slices_of_their_own),
        ON(0, what_makes_no_sense_is_refused),
        ON(0, nobody_spends_more_than_there_is),
        ON(0, slices_that_nobody_can_give_back_are_forgotten),
        cmocka_unit_test(scopes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
