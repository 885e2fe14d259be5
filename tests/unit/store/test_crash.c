/* kill -9 at any moment: every close that was written is in the ledger exactly once, every other open once as
 * crashed.
 *
 * A child appends from two threads while its store thread reads; what it was told "accepted" it notes in memory that
 * is shared with the parent, right after the append. Between the append and the note the child may die: then the
 * ledger may know one more than the notes, which is the safe side.
 */
#include "support.h"

#include "base/clock.h"
#include "store/segments.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { ROUNDS = 30, WORKERS = 2, PER_ROUND = 6000, IN_FLIGHT = 40, MAX_REQUESTS = ROUNDS * WORKERS * PER_ROUND };

struct notes {
    _Atomic unsigned char opened[MAX_REQUESTS], closed[MAX_REQUESTS];
    _Atomic bool started;
};

struct tally {
    unsigned char ok[MAX_REQUESTS], crashed[MAX_REQUESTS];
    size_t entries;
    int64_t last, cost_cu_milli, tokens;
};

static struct weir_store *store_open(const char *scratch, unsigned workers) {
    const struct weir_log log = {.fd = -1};
    const struct weir_store_settings settings = {.directory = scratch,
                                                 .environment = "dev",
                                                 .workers = workers,
                                                 .log = &log};
    struct weir_random random = {.left = 0};
    struct weir_store *store = NULL;
    struct weir_error error = {.status = WEIR_OK};
    if (weir_store_new(&settings, &random, &store, &error) != WEIR_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        abort();
    }
    return store;
}

static struct weir_lease lease_of(enum weir_spend_unit unit, int64_t wanted) {
    return (struct weir_lease){
        .counter = {.scope = WEIR_SCOPE_WORKSPACE, .id = WEIR_SPAN("default"), .unit = unit, .until_utc_us = INT64_MAX},
        .limit = INT64_MAX,
        .wanted = wanted};
}

/* --- the child --- */
/* Slices of everything, so that what is ingested has something to be taken from. */
static void take_slices(const char *scratch, const struct weir_store *store) {
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    struct weir_lease leases[] = {lease_of(WEIR_SPEND_CU_MILLI, 1000000000), lease_of(WEIR_SPEND_REQUESTS, 100),
                                  lease_of(WEIR_SPEND_TOKENS, 5)};
    if (weir_store_direct_open(scratch, "dev", false, &engine, &error) != WEIR_OK ||
        weir_engine_sqlite.lease(engine, weir_store_instance(store), leases, 3, &error) != WEIR_OK)
        abort();
    weir_store_direct_close(&engine);
}

struct worker {
    struct weir_journal *journal;
    struct notes *notes;
    uint64_t first;
    uint32_t random;
    pthread_t thread;
};

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    uint64_t flying[IN_FLIGHT];
    size_t count = 0;
    uint64_t next = worker->first;
    for (;;) {
        worker->random = worker->random * 1664525 + 1013904223;
        bool open_one = count == 0 || (count < IN_FLIGHT && (worker->random >> 16) % 2 == 0);
        if (open_one && next < worker->first + PER_ROUND) {
            struct weir_journal_open open = sample_open(next);
            if (weir_journal_append_open(worker->journal, &open) != WEIR_OK) {
                (void)usleep(100);
                continue;
            }
            atomic_store(&worker->notes->opened[next], 1);
            flying[count++] = next++;
        } else if (count > 0) {
            size_t which = (worker->random >> 8) % count;
            struct weir_ledger_entry entry = sample_entry(flying[which]);
            if (weir_journal_append_close(worker->journal, &entry) != WEIR_OK)
                abort();
            atomic_store(&worker->notes->closed[flying[which]], 1);
            flying[which] = flying[--count];
        } else {
            (void)usleep(1000);
        }
        if ((worker->random >> 24) % 64 == 0)
            (void)usleep(300); /* so that it lasts until it is killed */
    }
    return NULL;
}

static void child_main(const char *scratch, struct notes *notes, unsigned round) {
    struct worker workers[WORKERS];
    struct weir_store *store = store_open(scratch, WORKERS);
    take_slices(scratch, store);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.journal = weir_store_journal(store, i),
                                     .notes = notes,
                                     .first = ((uint64_t)round * WORKERS + i) * PER_ROUND,
                                     .random = round * 7919 + i};
        if (pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) != 0)
            abort();
    }
    atomic_store(&notes->started, true);
    for (;;)
        (void)pause();
}

static void run_and_kill(const char *scratch, struct notes *notes, unsigned round, unsigned life_us) {
    atomic_store(&notes->started, false);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        child_main(scratch, notes, round);
    int result = 0;
    while (!atomic_load(&notes->started)) {
        assert_int_equal(waitpid(child, &result, WNOHANG), 0);
        (void)usleep(500);
    }
    (void)usleep(life_us);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL);
}

/* --- the check --- */
static enum weir_status tally_entry(void *context, const struct weir_ledger_entry *entry) {
    struct tally *tally = context;
    uint64_t number = number_of_id(&entry->request_id);
    assert_true(number < MAX_REQUESTS);
    if (entry->outcome == WEIR_OUTCOME_CRASHED) {
        assert_true(entry->cost_cu_milli == sample_open(number).reserved_cu_milli);
        tally->crashed[number]++;
    } else {
        assert_true(entry->cost_cu_milli == sample_entry(number).cost_cu_milli);
        tally->ok[number]++;
    }
    tally->entries++;
    tally->last = entry->sequence;
    tally->cost_cu_milli += entry->cost_cu_milli;
    tally->tokens += entry->usage.input + entry->usage.output;
    return WEIR_OK;
}

static struct tally *tally_of(const char *scratch) {
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    assert_int_equal(weir_store_direct_open(scratch, "dev", false, &engine, &error), WEIR_OK);
    struct tally *tally = test_calloc(1, sizeof(*tally));
    size_t before;
    do {
        before = tally->entries;
        const struct weir_ledger_query query = {.after_sequence = tally->last, .limit = 10000};
        assert_int_equal(weir_engine_sqlite.ledger_each(engine, &query, tally_entry, tally, &error), WEIR_OK);
    } while (tally->entries != before);
    /* The sums are those of the entries, and no slice outlives its instance. */
    struct weir_lease leases[] = {lease_of(WEIR_SPEND_CU_MILLI, 0), lease_of(WEIR_SPEND_REQUESTS, 0),
                                  lease_of(WEIR_SPEND_TOKENS, 0)};
    const struct weir_uuid nobody = {{1}};
    assert_int_equal(weir_engine_sqlite.lease(engine, &nobody, leases, 3, &error), WEIR_OK);
    assert_true(leases[0].spent == tally->cost_cu_milli);
    assert_true(leases[1].spent == (int64_t)tally->entries);
    assert_true(leases[2].spent == tally->tokens);
    for (size_t i = 0; i < 3; i++)
        assert_true(leases[i].others == 0);
    weir_store_direct_close(&engine);
    return tally;
}

static void check(const struct tally *tally, struct notes *notes) {
    for (size_t i = 0; i < MAX_REQUESTS; i++) {
        unsigned times = (unsigned)tally->ok[i] + tally->crashed[i];
        if (atomic_load(&notes->closed[i]) != 0) {
            if (tally->ok[i] != 1 || tally->crashed[i] != 0) {
                fail_msg("request %zu was closed: %d times ok, %d times crashed", i, tally->ok[i], tally->crashed[i]);
            }
        } else if (atomic_load(&notes->opened[i]) != 0) {
            if (times != 1)
                fail_msg("request %zu was opened: %d times ok, %d times crashed", i, tally->ok[i], tally->crashed[i]);
        } else if (times > 1) {
            fail_msg("request %zu is there %u times", i, times);
        }
    }
}

static struct notes *notes_make(void) {
    struct notes *notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(notes != MAP_FAILED);
    return notes;
}

static void killed_at_random_moments(void **state) {
    const char *scratch = *state;
    struct notes *notes = notes_make();
    uint32_t random = (uint32_t)getpid();
    for (unsigned round = 0; round < ROUNDS; round++) {
        random = random * 1664525 + 1013904223;
        run_and_kill(scratch, notes, round, 500 + (random >> 8) % 120000);
        if (round % 10 != 9)
            continue; /* else the next child settles what this one left */
        struct weir_store *store = store_open(scratch, 1);
        assert_int_equal(count_files(scratch, ".lock"), 1);
        weir_store_free(&store);
        struct tally *tally = tally_of(scratch);
        check(tally, notes);
        assert_true(tally->entries > 0);
        test_free(tally);
    }
    assert_int_equal(count_files(scratch, ".wj"), 0);
    assert_int_equal(count_files(scratch, ".corrupt"), 0);
    assert_int_equal(munmap(notes, sizeof(*notes)), 0);
}

/* The one who settles is killed too, again and again; the last one finds what is left. */
static void killed_while_settling(void **state) {
    const char *scratch = *state;
    struct notes *notes = notes_make();
    run_and_kill(scratch, notes, 0, 100000);
    for (unsigned i = 0; i < 12; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)store_open(scratch, 1);
            for (;;)
                (void)pause();
        }
        (void)usleep(3000 + i * 3000);
        assert_int_equal(kill(child, SIGKILL), 0);
        int result = 0;
        assert_int_equal(waitpid(child, &result, 0), child);
    }
    struct weir_store *store = store_open(scratch, 1);
    weir_store_free(&store);
    struct tally *tally = tally_of(scratch);
    check(tally, notes);
    test_free(tally);
    assert_int_equal(count_files(scratch, ".wj"), 0);
    assert_int_equal(count_files(scratch, ".lock"), 0);
    assert_int_equal(munmap(notes, sizeof(*notes)), 0);
}

/* --- damage --- */
/* A dead instance's journal, made by hand: `pairs` closed requests and then an open one. Gives where the last close
 * begins. */
static size_t dead_journal(const char *scratch, uint64_t pairs, size_t *end) {
    char path[PATH_SIZE];
    struct weir_error error = {.status = WEIR_OK};
    struct weir_engine *engine = NULL;
    assert_int_equal(weir_store_direct_open(scratch, "dev", true, &engine, &error), WEIR_OK);
    weir_store_direct_close(&engine);
    (void)snprintf(path, sizeof(path), "%s/journal", scratch);
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    assert_true(directory >= 0);
    const struct store__journal_file file = {.instance = {{7}}, .worker = 0, .number = 1};
    struct store__segment *segment = NULL;
    assert_int_equal(store__segment_create(directory, &file, false, &segment, &error), WEIR_OK);
    struct weir_journal journal;
    store__journal_init(&journal, segment, NULL, NULL);
    size_t last = 0;
    for (uint64_t i = 0; i <= pairs; i++) {
        struct weir_journal_open open = sample_open(i);
        struct weir_ledger_entry entry = sample_entry(i);
        assert_int_equal(weir_journal_append_open(&journal, &open), WEIR_OK);
        if (i == pairs)
            break;
        last = journal.offset;
        assert_int_equal(weir_journal_append_close(&journal, &entry), WEIR_OK);
    }
    *end = journal.offset;
    store__segment_free(&segment);
    (void)close(directory);
    return last;
}

static void change_byte(const char *scratch, size_t at, size_t count, const char *bytes) {
    char path[PATH_SIZE];
    char name[STORE__FILE_NAME_SIZE];
    const struct store__journal_file file = {.instance = {{7}}, .worker = 0, .number = 1};
    store__segment_name(&file, name);
    (void)snprintf(path, sizeof(path), "%s/journal/%s", scratch, name);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, count, (off_t)at), count);
    (void)close(fd);
}

static void settle(const char *scratch, uint64_t ok, uint64_t crashed, bool damaged) {
    struct weir_store *store = store_open(scratch, 1);
    struct weir_store_health health;
    weir_store_health(store, &health);
    assert_true(damaged == (strstr(health.problem, "damaged") != NULL));
    assert_int_equal(count_files(scratch, ".corrupt"), damaged ? 1 : 0);
    weir_store_free(&store);
    struct tally *tally = tally_of(scratch);
    for (uint64_t i = 0; i < ok + crashed; i++) {
        assert_int_equal(tally->ok[i], i < ok ? 1 : 0);
        assert_int_equal(tally->crashed[i], i < ok ? 0 : 1);
    }
    assert_int_equal(tally->entries, ok + crashed);
    test_free(tally);
}

static void a_whole_dead_journal(void **state) {
    size_t end;
    (void)dead_journal(*state, 50, &end);
    settle(*state, 50, 1, false);
    settle(*state, 50, 1, false); /* and not once more */
}

static void a_damaged_record_ends_its_segment(void **state) {
    size_t end;
    size_t at = dead_journal(*state, 50, &end);
    change_byte(*state, at + 100, 1, "\xff");
    settle(*state, 49, 1, true);
}

static void half_a_record_at_the_end_is_no_damage(void **state) {
    size_t end;
    (void)dead_journal(*state, 50, &end);
    change_byte(*state, end + 4, 8, "\x12\x34\x56\x78\x02\x01\x01\x01");
    settle(*state, 50, 1, false);
}

/* A page that never reached the disk: what is behind it shows that something was lost. */
static void a_hole_is_damage(void **state) {
    size_t end;
    (void)dead_journal(*state, 100, &end);
    char zeroes[4096] = {0};
    change_byte(*state, 4096 * 2, sizeof(zeroes), zeroes);
    struct weir_store *store = store_open(*state, 1);
    struct weir_store_health health;
    weir_store_health(store, &health);
    assert_non_null(strstr(health.problem, "damaged"));
    assert_int_equal(count_files(*state, ".corrupt"), 1);
    weir_store_free(&store);
    struct tally *tally = tally_of(*state);
    assert_true(tally->entries > 0 && tally->entries < 50);
    for (size_t i = 0; i < tally->entries; i++)
        assert_int_equal(tally->ok[i] + tally->crashed[i], 1);
    test_free(tally);
}

static void strange_segments_are_set_aside(void **state) {
    size_t end;
    (void)dead_journal(*state, 5, &end);
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/journal/07000000-0000-0000-0000-000000000000-3-1.wj", *(char **)state);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("not a segment", file);
    (void)fclose(file);
    (void)snprintf(path, sizeof(path), "%s/journal/07000000-0000-0000-0000-000000000000-4-1.wj", *(char **)state);
    file = fopen(path, "w"); /* its creation was interrupted */
    assert_non_null(file);
    (void)fclose(file);
    struct weir_store *store = store_open(*state, 1);
    assert_int_equal(count_files(*state, ".corrupt"), 1);
    assert_int_equal(count_files(*state, ".wj"), 2);
    weir_store_free(&store);
    struct tally *tally = tally_of(*state);
    assert_int_equal(tally->entries, 6);
    test_free(tally);
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
        IN_SCRATCH(killed_at_random_moments),
        IN_SCRATCH(killed_while_settling),
        IN_SCRATCH(a_whole_dead_journal),
        IN_SCRATCH(a_damaged_record_ends_its_segment),
        IN_SCRATCH(half_a_record_at_the_end_is_no_damage),
        IN_SCRATCH(a_hole_is_damage),
        IN_SCRATCH(strange_segments_are_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
