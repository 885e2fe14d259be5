/* Sums that wait in memory: each entry gets into them once, and never leaves its instance's slice before, whoever writes first and whenever a process dies.
 *
 * What is in the tables is read beside the engines, which would add what waits before they answer. */
#include "fixture.h"

#include "store/sqlite_impl.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ACTORS = 2, STEPS = 1500, GRANTED = 1 << 30, ROUNDS = 40 };

static uint64_t chance(uint64_t *state, uint64_t below) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*state >> 33) % below;
}

static int64_t integer_of(sqlite3 *database, const char *sql) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return value;
}

static sqlite3 *open_beside(const struct fixture *fixture) {
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(fixture->location, &database), SQLITE_OK);
    (void)sqlite3_busy_timeout(database, 10000);
    return database;
}

/* Subject 1 is all: no text, and the scope's number. */
#define SPENT(column) "(SELECT coalesce(sum(" column "), 0) FROM spend_quarter WHERE (place & 4294967295) = 1)"
#define SLICES "(SELECT coalesce(sum(amount), 0) FROM slice)"

static struct weir_lease lease_of_all(int64_t wanted, int64_t unused) {
    return (struct weir_lease){.counter = {.scope = WEIR_SCOPE_GLOBAL, .until_utc_us = INT64_MAX},
                               .limit = INT64_MAX,
                               .wanted = wanted,
                               .unused = unused};
}

struct actor {
    struct weir_engine *engine;
    struct weir_uuid id;
    int64_t charged;
};

static int64_t ingest(const struct weir_engine_ops *ops, struct weir_engine *engine, const struct weir_uuid *instance,
                      uint64_t *number, size_t count) {
    struct weir_error error = {.text = ""};
    int64_t charged = 0;
    assert_int_equal(ops->ingest_begin(engine, &error), WEIR_OK);
    assert_int_equal(ops->ingest_from(engine, instance, &error), WEIR_OK);
    for (size_t i = 0; i < count; i++) {
        struct weir_ledger_entry entry = sample_entry(++*number);
        entry.issued_count = 0;
        entry.attempts[0].cost_cu_milli = *number % 3 == 0 ? 5 : 0;
        assert_int_equal(ops->ingest_entry(engine, &entry, &error), WEIR_OK);
        charged += entry.cost_cu_milli;
    }
    assert_int_equal(ops->ingest_commit(engine, &error), WEIR_OK);
    return charged;
}

/* What a release without sums would write. */
static void write_as_an_old_program(sqlite3 *database) {
    char *problem = NULL;
    (void)sqlite3_exec(
        database,
        "BEGIN IMMEDIATE; INSERT INTO ledger(sequence, request_id, key, workspace, endpoint, model, provider,"
        " upstream_model, price_version, start_utc_us, duration_us, first_byte_us, reserved_cu_milli,"
        " cost_cu_milli, overrun_cu_milli, input_tokens, cached_tokens, cache_write_tokens,"
        " output_tokens, reasoning_tokens, revision, flags, usage_source, outcome, reason, status)"
        " SELECT (SELECT value FROM meta WHERE name = 'next_sequence'), request_id, key, workspace,"
        " endpoint, model, provider, upstream_model, price_version, start_utc_us, duration_us,"
        " first_byte_us, 10, 100, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 200 FROM ledger LIMIT 1;"
        "UPDATE meta SET value = (SELECT max(sequence) + 1 FROM ledger) WHERE name = 'next_sequence';"
        "COMMIT",
        NULL, NULL, &problem);
    if (problem != NULL)
        fail_msg("%s", problem);
}

static void assert_all_summed(struct fixture *fixture, sqlite3 *beside, int64_t besides_of_azure) {
    struct weir_lease lease = lease_of_all(0, 0);
    bool more = true;
    while (more)
        check(fixture, fixture->ops->sums_step(fixture->engine, 100, &more, &fixture->error), WEIR_OK);
    assert_int_equal(integer_of(beside, "SELECT count(*) FROM unsummed"), 0);
    check(fixture, fixture->ops->lease(fixture->engine, &(struct weir_uuid){{99}}, &lease, 1, &fixture->error),
          WEIR_OK);
    assert_int_equal(lease.spent, integer_of(beside, "SELECT sum(cost_cu_milli) FROM ledger"));
    assert_int_equal(integer_of(beside, "SELECT " SPENT("requests")),
                     integer_of(beside, "SELECT count(*) FROM ledger"));
    assert_int_equal(integer_of(beside, "SELECT sum(requests) FROM usage_hour WHERE place < 1 << 62"),
                     integer_of(beside, "SELECT count(*) FROM ledger"));
    assert_int_equal(integer_of(beside, "SELECT sum(cost_cu_milli) FROM usage_day WHERE place < 1 << 62"), lease.spent);
    /* By key: the same whether an entry was added in memory or from the ledger. */
    assert_int_equal(integer_of(beside,
                                "SELECT count(*) FROM"
                                " (SELECT coalesce(family, key) AS k, sum(cost_cu_milli) AS c FROM ledger GROUP BY 1)"
                                " LEFT JOIN (SELECT (place & 4294967295) >> 3 AS k, sum(cu_milli) AS spent"
                                "  FROM spend_day WHERE (place & 7) = 5 GROUP BY 1) USING(k) WHERE spent IS NOT c"),
                     0);
    lease = lease_of_all(0, 0);
    lease.counter.scope = WEIR_SCOPE_PROVIDER;
    lease.counter.id = WEIR_SPAN("azure");
    int64_t entries_of_azure = integer_of(
        beside,
        "SELECT coalesce(sum(cost_cu_milli), 0) FROM ledger JOIN dictionary ON id = provider WHERE text = 'azure'");
    check(fixture, fixture->ops->lease(fixture->engine, &(struct weir_uuid){{99}}, &lease, 1, &fixture->error),
          WEIR_OK);
    assert_int_equal(lease.spent, entries_of_azure + besides_of_azure);
}

static void each_is_added_once_whoever_comes_first(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct actor actors[ACTORS] = {{.id = {{1}}}, {.id = {{2}}}};
    sqlite3 *beside = open_beside(fixture);
    uint64_t luck = 20261122, number = 0;
    unsigned waited = 0;
    for (size_t i = 0; i < ACTORS; i++) {
        struct weir_lease lease = lease_of_all(GRANTED, 0);
        check(fixture, ops->open(fixture->location, "dev", &actors[i].engine, &fixture->error), WEIR_OK);
        check(fixture, ops->instance_begin(actors[i].engine, &actors[i].id, 1, &fixture->error), WEIR_OK);
        check(fixture, ops->lease(actors[i].engine, &actors[i].id, &lease, 1, &fixture->error), WEIR_OK);
    }
    for (unsigned step = 0; step < STEPS; step++) {
        struct actor *actor = &actors[chance(&luck, ACTORS)];
        int64_t due_ns;
        bool more;
        switch (chance(&luck, 16)) {
        case 0: /* a second has passed */
            check(fixture, ops->sums_write(actor->engine, INT64_MAX, &due_ns, &fixture->error), WEIR_OK);
            break;
        case 1: /* somebody else wants to know */
            check(fixture, ops->sums_step(fixture->engine, (int64_t)chance(&luck, 2), &more, &fixture->error), WEIR_OK);
            break;
        case 2: { /* it asks: of its slice is gone what was charged */
            struct weir_lease lease = lease_of_all(0, 0);
            check(fixture, ops->lease(actor->engine, &actor->id, &lease, 1, &fixture->error), WEIR_OK);
            assert_int_equal(lease.slice, GRANTED - actor->charged);
            break;
        }
        case 3: { /* another connection asks for it */
            struct weir_lease lease = lease_of_all(0, 0);
            check(fixture, ops->lease(fixture->engine, &actor->id, &lease, 1, &fixture->error), WEIR_OK);
            assert_int_equal(lease.slice, GRANTED - actor->charged);
            break;
        }
        case 4: /* a batch, and something else, is taken back */
            if (chance(&luck, 2) == 0) {
                struct weir_ledger_entry entry = sample_entry(1000000 + step);
                check(fixture, ops->ingest_begin(actor->engine, &fixture->error), WEIR_OK);
                check(fixture, ops->ingest_from(actor->engine, &actor->id, &fixture->error), WEIR_OK);
                check(fixture, ops->ingest_entry(actor->engine, &entry, &fixture->error), WEIR_OK);
                ops->ingest_rollback(actor->engine);
            } else {
                struct weir_lease lease = lease_of_all(-1, 0);
                check(fixture, ops->lease(actor->engine, &actor->id, &lease, 1, &fixture->error), WEIR_EINVAL);
            }
            break;
        case 5:
            if (number > 0)
                write_as_an_old_program(beside);
            break;
        case 6: /* its end, and a new one */
            if (chance(&luck, 4) == 0) {
                ops->close(&actor->engine);
                check(fixture, ops->open(fixture->location, "dev", &actor->engine, &fixture->error), WEIR_OK);
            }
            break;
        case 7: { /* added, and the work around it is taken back */
            struct weir_lease lease = lease_of_all(0, 1);
            check(fixture, ops->work_begin(actor->engine, &fixture->error), WEIR_OK);
            check(fixture, ops->lease(actor->engine, &actor->id, &lease, 1, &fixture->error), WEIR_OK);
            check(fixture, ops->work_end(actor->engine, WEIR_EINVAL, &fixture->error), WEIR_EINVAL);
            break;
        }
        default: actor->charged += ingest(ops, actor->engine, &actor->id, &number, 1 + chance(&luck, 30));
        }
        /* Nobody, at no moment, sees less than was spent and may be spent; entries of the old program are in no slice. */
        int64_t seen = integer_of(beside, "SELECT " SPENT("cu_milli") " + " SLICES);
        assert_true(seen >= (int64_t)ACTORS * GRANTED && (seen - (int64_t)ACTORS * GRANTED) % 100 == 0);
        waited += integer_of(beside, "SELECT count(*) FROM unsummed WHERE instance IS NOT NULL") > 0;
    }
    assert_true(waited > STEPS / 4); /* they do wait */
    assert_all_summed(fixture, beside, (int64_t)(number / 3) * 5);
    assert_int_equal(integer_of(beside, "SELECT " SLICES),
                     (int64_t)ACTORS * GRANTED - actors[0].charged - actors[1].charged);
    for (size_t i = 0; i < ACTORS; i++)
        ops->close(&actors[i].engine);
    (void)sqlite3_close(beside);
}

/* Within a second, and not before: without that nothing would be gained. */
static void they_wait_for_a_second(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    const struct weir_uuid id = {{1}};
    sqlite3 *beside = open_beside(fixture);
    uint64_t number = 0;
    int64_t due_ns = 0, again_ns = 0;
    (void)ingest(ops, fixture->engine, &id, &number, 3);
    check(fixture, ops->sums_write(fixture->engine, 0, &due_ns, &fixture->error), WEIR_OK);
    assert_true(due_ns > 0 && due_ns < INT64_MAX);
    assert_int_equal(integer_of(beside, "SELECT count(*) FROM spend_quarter"), 0);
    (void)ingest(ops, fixture->engine, &id, &number, 3);
    assert_int_equal(integer_of(beside, "SELECT count(*) FROM unsummed"), 1); /* one row, which grows */
    check(fixture, ops->sums_write(fixture->engine, due_ns, &again_ns, &fixture->error), WEIR_OK);
    assert_true(again_ns == INT64_MAX);
    assert_int_equal(integer_of(beside, "SELECT count(*) FROM unsummed"), 0);
    assert_int_equal(integer_of(beside, "SELECT " SPENT("requests")), 6);
    /* Nor for more than so many entries. */
    (void)ingest(ops, fixture->engine, &id, &number, 12000);
    assert_true(integer_of(beside, "SELECT " SPENT("requests")) >= 6 + 10000);
    /* At the end nothing waits. */
    ops->close(&fixture->engine);
    assert_int_equal(integer_of(beside, "SELECT count(*) FROM unsummed"), 0);
    assert_int_equal(integer_of(beside, "SELECT " SPENT("requests")), 12006);
    open_engine(fixture);
    (void)sqlite3_close(beside);
}

/* --- kill -9 --- */
static void child_main(const struct fixture *fixture, _Atomic unsigned *batches, uint64_t number) {
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_engine *engine = NULL;
    struct weir_error error = {.text = ""};
    const struct weir_uuid id = {{1}};
    int64_t due_ns;
    if (ops->open(fixture->location, "dev", &engine, &error) != WEIR_OK)
        abort();
    for (unsigned i = 1;; i++) {
        (void)ingest(ops, engine, &id, &number, 20);
        atomic_fetch_add(batches, 1);
        if (i % 4 == 0 && ops->sums_write(engine, INT64_MAX, &due_ns, &error) != WEIR_OK)
            abort();
    }
}

static void killed_at_any_moment(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    const struct weir_uuid id = {{1}};
    _Atomic unsigned *batches = mmap(NULL, sizeof(*batches), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t luck = 7;
    unsigned left = 0;
    struct weir_lease lease = lease_of_all(INT64_C(1) << 40, 0);
    assert_true(batches != MAP_FAILED);
    check(fixture, ops->instance_begin(fixture->engine, &id, 1, &fixture->error), WEIR_OK);
    check(fixture, ops->lease(fixture->engine, &id, &lease, 1, &fixture->error), WEIR_OK);
    ops->close(&fixture->engine); /* no connection is taken along by fork */
    for (unsigned round = 0; round < ROUNDS; round++) {
        /* All entries that there are have numbers below; what is lost of a batch was never told. */
        uint64_t number = (uint64_t)round * 3000000;
        atomic_store(batches, 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            child_main(fixture, batches, number);
        int result = 0;
        while (atomic_load(batches) < 1 + round % 9)
            assert_int_equal(waitpid(child, &result, WNOHANG), 0);
        (void)usleep((unsigned)chance(&luck, 3000));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_true(WIFSIGNALED(result));
        sqlite3 *beside = open_beside(fixture);
        left += integer_of(beside, "SELECT count(*) FROM unsummed") > 0;
        assert_int_equal(integer_of(beside, "SELECT " SPENT("cu_milli") " + " SLICES), lease.granted);
        if (round % 2 == 1) { /* else the next one begins where this one was killed */
            open_engine(fixture);
            struct weir_lease asked = lease_of_all(0, 0);
            check(fixture, ops->lease(fixture->engine, &id, &asked, 1, &fixture->error), WEIR_OK);
            assert_int_equal(asked.spent + asked.slice, lease.granted);
            assert_int_equal(asked.spent, integer_of(beside, "SELECT sum(cost_cu_milli) FROM ledger"));
            assert_int_equal(integer_of(beside, "SELECT count(*) FROM unsummed"), 0);
            ops->close(&fixture->engine);
        }
        (void)sqlite3_close(beside);
    }
    assert_true(left > ROUNDS / 4);
    /* The dead one's slices go when all that it charged is in the sums, and not before. */
    sqlite3 *beside = open_beside(fixture);
    uint64_t number = (uint64_t)ROUNDS * 3000000, settled = 0;
    struct weir_engine *dying = NULL;
    check(fixture, ops->open(fixture->location, "dev", &dying, &fixture->error), WEIR_OK);
    (void)ingest(ops, dying, &id, &number, 20);
    open_engine(fixture);
    assert_true(integer_of(beside, "SELECT count(*) FROM unsummed") > 0);
    check(fixture, ops->settle_crashed(fixture->engine, &id, WEIR_EVERY_WORKER, 9, &settled, &fixture->error), WEIR_OK);
    assert_int_equal(integer_of(beside, "SELECT " SLICES), 0);
    assert_int_equal(integer_of(beside, "SELECT " SPENT("cu_milli")),
                     integer_of(beside, "SELECT sum(cost_cu_milli) FROM ledger"));
    ops->close(&dying); /* had them wait, and adds nothing */
    assert_int_equal(integer_of(beside, "SELECT " SPENT("cu_milli")),
                     integer_of(beside, "SELECT sum(cost_cu_milli) FROM ledger"));
    (void)sqlite3_close(beside);
    assert_int_equal(munmap(batches, sizeof(*batches)), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON(0, each_is_added_once_whoever_comes_first),
        ON(0, they_wait_for_a_second),
        ON(0, killed_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
