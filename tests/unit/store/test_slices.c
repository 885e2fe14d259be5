/* Slices through the store's thread, and what becomes of them when instances end or die beside others. */
#include "support.h"

#include "base/clock.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

static void sleep_ms(unsigned milliseconds) {
    (void)usleep(milliseconds * 1000);
}

/* For a minute at most, which no test needs unless it fails. */
#define WAIT_FOR(condition)                                                          \
    do {                                                                             \
        int64_t deadline_ns_ = weir_clock_monotonic_ns() + (int64_t)60 * 1000000000; \
        while (!(condition) && weir_clock_monotonic_ns() < deadline_ns_)             \
            sleep_ms(5);                                                             \
        assert_true(condition);                                                      \
    } while (0)

static struct weir_store *store_open(const char *scratch) {
    const struct weir_log log = {.fd = -1};
    const struct weir_store_settings settings = {.directory = scratch, .environment = "dev", .workers = 1, .log = &log};
    struct weir_random random = {.left = 0};
    struct weir_store *store = NULL;
    struct weir_error error = {.status = WEIR_OK};
    if (weir_store_new(&settings, &random, &store, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return store;
}

static struct weir_lease lease_of(const char *key, int64_t limit, int64_t wanted, int64_t unused) {
    return (struct weir_lease){.counter = {.scope = WEIR_SCOPE_KEY,
                                           .id = weir_span_of_string(key),
                                           .until_utc_us = INT64_MAX},
                               .limit = limit,
                               .wanted = wanted,
                               .unused = unused};
}

struct answers {
    unsigned replies;
    enum weir_status status;
    size_t count;
    struct weir_lease leases[4];
};

static void on_leases(void *context, enum weir_status status, const struct weir_lease *leases, size_t count,
                      const struct weir_error *error) {
    struct answers *answers = context;
    assert_true((status == WEIR_OK) == (error->text[0] == '\0'));
    answers->replies++;
    answers->status = status;
    answers->count = count;
    for (size_t i = 0; i < count && i < 4; i++)
        answers->leases[i] = leases[i];
    for (size_t i = 0; i < count; i++)
        assert_true(weir_span_starts_with(leases[i].counter.id, WEIR_SPAN("key_")));
}

static struct weir_loop *loop_make(void) {
    const struct weir_log log = {.fd = -1};
    struct weir_loop *loop = NULL;
    struct weir_error error = {.status = WEIR_OK};
    assert_int_equal(weir_loop_new(&log, &loop, &error), WEIR_OK);
    return loop;
}

struct turning {
    struct weir_loop *loop;
    struct weir_timer timer;
    const struct answers *answers;
    unsigned wanted, left;
};

static void look_again(void *context) {
    struct turning *turning = context;
    if (turning->answers->replies >= turning->wanted || --turning->left == 0) {
        weir_loop_stop(turning->loop);
    } else {
        weir_timer_start(turning->loop, &turning->timer, 1, look_again, turning);
    }
}

static void wait_for_reply(struct weir_loop *loop, const struct answers *answers, unsigned replies) {
    struct turning turning = {.loop = loop, .answers = answers, .wanted = replies, .left = 60000};
    weir_timer_start(loop, &turning.timer, 1, look_again, &turning);
    weir_loop_run(loop);
    assert_int_equal(answers->replies, replies);
}

static void slices_through_the_thread(void **state) {
    struct weir_store *store = store_open(*state);
    struct answers answers = {.replies = 0};
    struct weir_loop *loop = loop_make();
    char id[16] = "key_a";
    struct weir_lease asked[] = {lease_of(id, 1000, 300, 0), lease_of("key_b", 50, 300, 0)};
    assert_int_equal(weir_store_lease(store, loop, asked, WEIR_MAX_LEASES + 1, on_leases, &answers), WEIR_ELIMIT);
    assert_int_equal(weir_store_lease(store, loop, asked, 2, on_leases, &answers), WEIR_OK);
    memset(id, 'x', 5); /* it has its own copy */
    wait_for_reply(loop, &answers, 1);
    assert_int_equal(answers.status, WEIR_OK);
    assert_int_equal(answers.count, 2);
    assert_true(answers.leases[0].granted == 300 && answers.leases[0].slice == 300);
    assert_true(answers.leases[1].granted == 50 && answers.leases[1].slice == 50);
    /* What its journal brings is taken from its slices. */
    struct weir_journal_open open = sample_open(3);
    struct weir_ledger_entry entry = sample_entry(3);
    open.key_id = entry.key_id = WEIR_SPAN("key_a");
    entry.cost_cu_milli = 120;
    assert_int_equal(weir_journal_append_open(weir_store_journal(store, 0), &open), WEIR_OK);
    assert_int_equal(weir_journal_append_close(weir_store_journal(store, 0), &entry), WEIR_OK);
    struct weir_store_health health = {.ingested_records = 0};
    WAIT_FOR((weir_store_health(store, &health), health.ingested_records == 2));
    asked[0] = lease_of("key_a", 1000, 0, 30);
    assert_int_equal(weir_store_lease(store, loop, asked, 1, on_leases, &answers), WEIR_OK);
    wait_for_reply(loop, &answers, 2);
    assert_true(answers.leases[0].spent == 120 && answers.leases[0].slice == 150 && answers.leases[0].others == 0);
    /* A bad question is answered, too. */
    asked[0].wanted = -1;
    assert_int_equal(weir_store_lease(store, loop, asked, 1, on_leases, &answers), WEIR_OK);
    wait_for_reply(loop, &answers, 3);
    assert_int_equal(answers.status, WEIR_EINVAL);
    assert_int_equal(weir_store_lease(store, loop, NULL, 0, on_leases, &answers), WEIR_OK);
    wait_for_reply(loop, &answers, 4);
    assert_int_equal(answers.status, WEIR_OK);
    assert_int_equal(weir_store_live_instances(store), 1);
    weir_store_free(&store);
    weir_loop_free(&loop);
    /* Its end gave back the rest. */
    store = store_open(*state);
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    const struct weir_uuid nobody = {{1}};
    assert_int_equal(weir_store_direct_open(*state, "dev", false, &engine, &error), WEIR_OK);
    asked[0] = lease_of("key_a", 1000, 0, 0);
    assert_int_equal(weir_engine_sqlite.lease(engine, &nobody, asked, 1, &error), WEIR_OK);
    assert_true(asked[0].spent == 120 && asked[0].others == 0);
    weir_store_direct_close(&engine);
    weir_store_free(&store);
}

static int64_t slices_of_all(const char *scratch) {
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    const struct weir_uuid nobody = {{1}};
    struct weir_lease lease = lease_of("key_a", 1000, 0, 0);
    assert_int_equal(weir_store_direct_open(scratch, "dev", false, &engine, &error), WEIR_OK);
    assert_int_equal(weir_engine_sqlite.lease(engine, &nobody, &lease, 1, &error), WEIR_OK);
    weir_store_direct_close(&engine);
    return lease.others;
}

/* The one that lives began first, and so has met nobody. */
static void one_that_dies_beside_another_loses_its_slices(void **state) {
    struct {
        _Atomic bool go, taken;
    } *notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(notes != MAP_FAILED);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* made while there is one thread alone */
        while (!atomic_load(&notes->go))
            sleep_ms(1);
        struct weir_engine *engine = NULL;
        struct weir_error error = {.status = WEIR_OK};
        struct weir_lease lease = lease_of("key_a", 1000, 700, 0);
        const struct weir_store *other = store_open(*state);
        if (weir_store_direct_open(*state, "dev", false, &engine, &error) != WEIR_OK ||
            weir_engine_sqlite.lease(engine, weir_store_instance(other), &lease, 1, &error) != WEIR_OK)
            abort();
        atomic_store(&notes->taken, true);
        for (;;)
            (void)pause();
    }
    struct weir_store *store = store_open(*state);
    atomic_store(&notes->go, true);
    WAIT_FOR(atomic_load(&notes->taken));
    assert_true(slices_of_all(*state) == 700);
    WAIT_FOR(weir_store_live_instances(store) == 2);
    assert_int_equal(kill(child, SIGKILL), 0);
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    WAIT_FOR(weir_store_live_instances(store) == 1);
    WAIT_FOR(slices_of_all(*state) == 0);
    weir_store_free(&store);
    assert_int_equal(munmap(notes, sizeof(*notes)), 0);
}

/* As in a backup that was taken elsewhere, or after a power loss at the very end. */
static void one_of_which_only_its_row_is_left_is_forgotten(void **state) {
    struct weir_store *store = store_open(*state);
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    const struct weir_uuid gone = {{7}};
    struct weir_lease lease = lease_of("key_a", 1000, 700, 0);
    assert_int_equal(weir_store_direct_open(*state, "dev", false, &engine, &error), WEIR_OK);
    assert_int_equal(weir_engine_sqlite.instance_begin(engine, &gone, 1, &error), WEIR_OK);
    assert_int_equal(weir_engine_sqlite.lease(engine, &gone, &lease, 1, &error), WEIR_OK);
    weir_store_direct_close(&engine);
    assert_true(lease.granted == 700);
    WAIT_FOR(slices_of_all(*state) == 0);
    assert_int_equal(weir_store_live_instances(store), 1);
    weir_store_free(&store);
}

static int set_up(void **state) {
    char *scratch = test_malloc(SCRATCH_SIZE);
    scratch_make(scratch);
    *state = scratch;
    return 0;
}
static int tear_down(void **state) {
    scratch_remove(*state);
    test_free(*state);
    return 0;
}
#define IN_SCRATCH(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(slices_through_the_thread),
        IN_SCRATCH(one_that_dies_beside_another_loses_its_slices),
        IN_SCRATCH(one_of_which_only_its_row_is_left_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
