/* The store thread: from a worker's append to the ledger, keys to the loops, and what happens when the database or
 * the disk does not answer.
 */
#include "support.h"

#include "base/clock.h"
#include "store/segments.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { SECOND_MS = 1000, MAX_REQUESTS = 20000 };

static void sleep_ms(unsigned milliseconds) {
    (void)usleep(milliseconds * 1000);
}

/* Waits for a condition for a minute at most, which no test needs unless it fails. */
#define WAIT_FOR(condition)                                                          \
    do {                                                                             \
        int64_t deadline_ns_ = weir_clock_monotonic_ns() + (int64_t)60 * 1000000000; \
        while (!(condition) && weir_clock_monotonic_ns() < deadline_ns_)             \
            sleep_ms(2);                                                             \
        assert_true(condition);                                                      \
    } while (0)

static struct weir_store *store_open(const char *scratch, unsigned workers, bool sync_group) {
    const struct weir_log log = {.fd = -1};
    const struct weir_store_settings settings = {
        .directory = scratch, .environment = "dev", .workers = workers, .sync_group = sync_group, .log = &log};
    struct weir_random random = {.left = 0};
    struct weir_store *store = NULL;
    struct weir_error error = {.status = WEIR_OK};
    enum weir_status status = weir_store_new(&settings, &random, &store, &error);
    if (status != WEIR_OK)
        print_error("%s\n", error.text);
    assert_int_equal(status, WEIR_OK);
    return store;
}

static struct weir_store_health health_of(struct weir_store *store) {
    struct weir_store_health health;
    weir_store_health(store, &health);
    return health;
}

static void append_pair(struct weir_journal *journal, uint64_t number) {
    struct weir_journal_open open = sample_open(number);
    struct weir_ledger_entry entry = sample_entry(number);
    while (!weir_journal_ready(journal))
        sleep_ms(1);
    assert_int_equal(weir_journal_append_open(journal, &open), WEIR_OK);
    assert_int_equal(weir_journal_append_close(journal, &entry), WEIR_OK);
}

/* --- what the ledger says --- */
struct tally {
    unsigned ok[MAX_REQUESTS], crashed[MAX_REQUESTS];
    size_t entries;
    int64_t last;
};

static enum weir_status tally_entry(void *context, const struct weir_ledger_entry *entry) {
    struct tally *tally = context;
    uint64_t number = number_of_id(&entry->request_id);
    assert_true(number < MAX_REQUESTS);
    if (entry->outcome == WEIR_OUTCOME_CRASHED) {
        tally->crashed[number]++;
    } else {
        struct weir_ledger_entry expected = sample_entry(number);
        assert_entries_equal(entry, &expected);
        tally->ok[number]++;
    }
    tally->entries++;
    tally->last = entry->sequence;
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
    weir_store_direct_close(&engine);
    return tally;
}

static void assert_each_once(const char *scratch, uint64_t count) {
    struct tally *tally = tally_of(scratch);
    for (uint64_t i = 0; i < MAX_REQUESTS; i++) {
        assert_int_equal(tally->ok[i], i < count ? 1 : 0);
        assert_int_equal(tally->crashed[i], 0);
    }
    test_free(tally);
}

/* --- journal to ledger --- */
struct worker {
    struct weir_journal *journal;
    uint64_t from, until;
    unsigned apart; /* open and close this many requests apart */
    pthread_t thread;
};

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    for (uint64_t i = worker->from; i < worker->until + worker->apart; i++) {
        struct weir_journal_open open = sample_open(i);
        while (!weir_journal_ready(worker->journal))
            sleep_ms(1);
        if (i < worker->until && weir_journal_append_open(worker->journal, &open) != WEIR_OK)
            abort();
        if (i < worker->from + worker->apart)
            continue;
        struct weir_ledger_entry entry = sample_entry(i - worker->apart);
        if (weir_journal_append_close(worker->journal, &entry) != WEIR_OK)
            abort();
    }
    return NULL;
}

static void run_workers(const char *scratch, bool sync_group) {
    struct weir_store *store = store_open(scratch, 2, sync_group);
    struct worker workers[2] = {
        {.journal = weir_store_journal(store, 0), .from = 0, .until = 10000, .apart = 0},
        {.journal = weir_store_journal(store, 1), .from = 10000, .until = 20000, .apart = 300},
    };
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
    for (int i = 0; i < 2; i++) {
        weir_store_nudge(store);
        (void)health_of(store);
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    }
    WAIT_FOR(health_of(store).ingested_records == 40000);
    struct weir_store_health health = health_of(store);
    assert_true(health.available && health.journal_available);
    assert_true(health.journal_backlog_bytes == 0);
    assert_string_equal(health.problem, "");
    assert_true(health.cpu_ns > 0 && health.last_ingest_utc_us > 0);
    WAIT_FOR(count_files(scratch, "-1.wj") == 0); /* what was read is gone, */
    assert_true(count_files(scratch, ".wj") <=
                5); /* but for the current and the next of each, and room for 300 closes */
    weir_store_free(&store);
    assert_null(store);
    assert_int_equal(count_files(scratch, ".wj"), 0);
    assert_int_equal(count_files(scratch, ".lock"), 0);
    assert_each_once(scratch, 20000);
}

static void appended_requests_are_in_the_ledger(void **state) {
    run_workers(*state, false);
}
static void also_with_group_sync(void **state) {
    run_workers(*state, true);
}

static void the_rest_is_read_at_the_end(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    for (uint64_t i = 0; i < 2500; i++)
        append_pair(weir_store_journal(store, 0), i);
    struct weir_journal_open open = sample_open(2500);
    assert_int_equal(weir_journal_append_open(weir_store_journal(store, 0), &open), WEIR_OK);
    weir_store_free(&store);
    struct tally *tally = tally_of(*state);
    assert_int_equal(tally->entries, 2501);
    assert_int_equal(tally->crashed[2500], 1); /* nobody will close it any more */
    test_free(tally);
}

static void a_record_is_seen_soon(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    int64_t took_ns = INT64_MAX;
    /* Once is enough to show it: at another time the machine may be busy. */
    for (uint64_t i = 0; i < 5 && took_ns >= (int64_t)SECOND_MS * 1000000; i++) {
        sleep_ms(300); /* it has gone to sleep */
        append_pair(weir_store_journal(store, 0), i);
        int64_t start_ns = weir_clock_monotonic_ns();
        WAIT_FOR(health_of(store).ingested_records == 2 * (i + 1));
        took_ns = weir_clock_monotonic_ns() - start_ns;
    }
    assert_true(took_ns < (int64_t)SECOND_MS * 1000000);
    weir_store_free(&store);
}

static void idle_costs_nothing(void **state) {
    struct weir_store *store = store_open(*state, 2, false);
    append_pair(weir_store_journal(store, 0), 0); /* it is awake for a while after the last record */
    WAIT_FOR(health_of(store).ingested_records == 2);
    int64_t used_ns = INT64_MAX;
    /* Far less without a sanitizer. Once is enough to show it: what a busy machine bills a thread for is not all its own. */
    for (int i = 0; i < 5 && used_ns >= (int64_t)50 * 1000000; i++) {
        int64_t before_ns = health_of(store).cpu_ns;
        sleep_ms(2 * SECOND_MS);
        used_ns = health_of(store).cpu_ns - before_ns;
    }
    assert_true(used_ns < (int64_t)50 * 1000000);
    weir_store_free(&store);
}

/* --- operations --- */
struct answers {
    struct weir_loop *loop;
    unsigned replies;
    enum weir_status status;
    uint64_t number;
    unsigned batches;
    size_t keys;
    struct weir_key_record last;
    char last_name[32];
    size_t count, found; /* of issued ids */
};

static void on_reply(void *context, enum weir_status status, const struct weir_error *error) {
    struct answers *answers = context;
    assert_true((status == WEIR_OK) == (error->text[0] == '\0'));
    answers->replies++;
    answers->status = status;
}
static void on_revision(void *context, enum weir_status status, uint64_t number, const struct weir_error *error) {
    struct answers *answers = context;
    on_reply(context, status, error);
    answers->number = number;
}
static void on_keys(void *context, const struct weir_key_record *keys, size_t count) {
    struct answers *answers = context;
    answers->batches++;
    answers->keys += count;
    if (count == 0)
        return;
    answers->last = keys[count - 1];
    assert_int_equal(weir_span_to_string(keys[count - 1].name, answers->last_name, sizeof(answers->last_name)),
                     WEIR_OK);
}

struct turning {
    struct weir_loop *loop;
    struct weir_timer timer;
    const unsigned *value;
    unsigned wanted;
    int64_t deadline_ns;
};

static void look_again(void *argument) {
    struct turning *turning = argument;
    if (*turning->value >= turning->wanted || weir_clock_monotonic_ns() > turning->deadline_ns) {
        weir_loop_stop(turning->loop);
    } else {
        weir_timer_start(turning->loop, &turning->timer, 1, look_again, turning);
    }
}

static bool turn_until(struct weir_loop *loop, const unsigned *value, unsigned wanted) {
    struct turning turning = {.loop = loop,
                              .value = value,
                              .wanted = wanted,
                              .deadline_ns = weir_clock_monotonic_ns() + (int64_t)60 * 1000000000};
    weir_timer_start(loop, &turning.timer, 1, look_again, &turning);
    weir_loop_run(loop);
    return *value >= wanted;
}

static struct weir_loop *loop_make(void) {
    const struct weir_log log = {.fd = -1};
    struct weir_loop *loop = NULL;
    struct weir_error error = {.status = WEIR_OK};
    assert_int_equal(weir_loop_new(&log, &loop, &error), WEIR_OK);
    return loop;
}

static struct weir_key_record key_of(const char *id, unsigned char seed, const char *name) {
    struct weir_key_record key = {.name = weir_span_of_string(name),
                                  .workspace = WEIR_SPAN("default"),
                                  .created_utc_us = 1};
    (void)snprintf(key.id, sizeof(key.id), "%s", id);
    memset(key.hash, seed, sizeof(key.hash));
    return key;
}

static void keys_reach_their_watchers(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    struct answers answers = {.loop = loop_make()};
    weir_store_watch_keys(store, answers.loop, on_keys, &answers);
    assert_true(turn_until(answers.loop, &answers.batches, 1)); /* none, but it is known */
    assert_int_equal(answers.keys, 0);

    char name[32] = "phone";
    struct weir_key_record key = key_of("key_a", 1, name);
    assert_int_equal(weir_store_key_insert(store, answers.loop, &key, on_reply, &answers), WEIR_OK);
    memset(name, 'x', 5); /* it has its own copy */
    assert_true(turn_until(answers.loop, &answers.replies, 1));
    assert_int_equal(answers.status, WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.batches, 2));
    assert_string_equal(answers.last.id, "key_a");
    assert_string_equal(answers.last_name, "phone");
    assert_int_equal(weir_store_key_insert(store, answers.loop, &key, on_reply, &answers), WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.replies, 2));
    assert_int_equal(answers.status, WEIR_EEXIST);
    assert_true(health_of(store).available); /* the question was wrong, not the store */

    /* A command in another process. */
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    assert_int_equal(weir_store_direct_open(*state, "dev", false, &engine, &error), WEIR_OK);
    struct weir_key_record other = key_of("key_b", 2, "desk");
    assert_int_equal(weir_engine_sqlite.key_insert(engine, &other, &error), WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.batches, 3));
    assert_string_equal(answers.last.id, "key_b");
    weir_store_direct_close(&engine);

    assert_int_equal(weir_store_key_revoke(store, answers.loop, WEIR_SPAN("key_b"), on_reply, &answers), WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.batches, 4));
    assert_true(answers.last.revoked_utc_us > 0);
    assert_int_equal(weir_store_key_revoke(store, answers.loop, WEIR_SPAN("key_z"), on_reply, &answers), WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.replies, 4));
    assert_int_equal(answers.status, WEIR_ENOTFOUND);

    /* A later watcher gets all at once. */
    struct answers late = {.loop = answers.loop};
    weir_store_watch_keys(store, late.loop, on_keys, &late);
    assert_true(turn_until(late.loop, &late.batches, 2));
    assert_int_equal(late.keys, 2);
    weir_store_free(&store);
    weir_loop_free(&answers.loop);
}

struct objects_seen {
    unsigned batches;
    size_t objects;
    struct weir_object last;
    char id[64], text[256];
};

static void on_objects(void *context, const struct weir_object *objects, size_t count) {
    struct objects_seen *seen = context;
    seen->batches++;
    seen->objects += count;
    if (count == 0)
        return;
    seen->last = objects[count - 1];
    assert_int_equal(weir_span_to_string(seen->last.id, seen->id, sizeof(seen->id)), WEIR_OK);
    assert_int_equal(weir_span_to_string(seen->last.text, seen->text, sizeof(seen->text)), WEIR_OK);
}

/* What another connection changes comes within half a second by itself, and at once where the store is asked to look. */
static void objects_reach_their_watchers(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    struct weir_loop *loop = loop_make();
    struct objects_seen seen = {.batches = 0};
    struct answers keys = {.loop = loop};
    weir_store_watch_objects(store, loop, on_objects, &seen);
    weir_store_watch_keys(store, loop, on_keys, &keys);
    assert_true(turn_until(loop, &seen.batches, 2)); /* all, and that they are all */
    assert_true(turn_until(loop, &keys.batches, 1));
    assert_int_equal(seen.objects, 5); /* four plans, a workspace */
    assert_string_equal(seen.id, "default");

    const struct weir_engine_ops *ops = &weir_engine_sqlite;
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    assert_int_equal(weir_store_direct_open(*state, "dev", false, &engine, &error), WEIR_OK);
    struct weir_object session = {.kind = WEIR_OBJECT_SESSION,
                                  .parent = WEIR_SPAN("op_1"),
                                  .id = WEIR_SPAN("s_1"),
                                  .handle = WEIR_SPAN("h"),
                                  .text = WEIR_SPAN("{\"a\":1}"),
                                  .created_utc_us = 5,
                                  .expires_utc_us = 10};
    assert_int_equal(ops->object_create(engine, &session, &error), WEIR_OK);
    assert_true(turn_until(loop, &seen.batches, 3));
    assert_string_equal(seen.id, "s_1");
    assert_string_equal(seen.text, "{\"a\":1}");
    assert_true(seen.last.version == 1 && seen.last.kind == WEIR_OBJECT_SESSION && !seen.last.removed);

    /* One work is one batch. */
    session.text = WEIR_SPAN("{\"a\":2}");
    struct weir_object team = {.kind = WEIR_OBJECT_TEAM, .id = WEIR_SPAN("t"), .text = WEIR_SPAN("{}")};
    struct weir_key_record key = key_of("key_a", 1, "phone");
    key.rules = WEIR_SPAN("{\"models\":[]}");
    assert_int_equal(ops->work_begin(engine, &error), WEIR_OK);
    assert_int_equal(ops->object_update(engine, &session, 1, &error), WEIR_OK);
    assert_int_equal(ops->object_create(engine, &team, &error), WEIR_OK);
    assert_int_equal(ops->key_insert(engine, &key, &error), WEIR_OK);
    assert_int_equal(ops->work_end(engine, WEIR_OK, &error), WEIR_OK);
    weir_store_look(store);
    assert_true(turn_until(loop, &seen.batches, 4));
    assert_true(turn_until(loop, &keys.batches, 2));
    assert_int_equal(seen.objects, 8);
    assert_string_equal(seen.id, "t");
    assert_string_equal(keys.last.id, "key_a");

    uint64_t removed = 0;
    assert_int_equal(ops->object_sweep(engine, 100, &removed, &error), WEIR_OK);
    assert_true(turn_until(loop, &seen.batches, 5));
    assert_string_equal(seen.id, "s_1");
    assert_true(seen.last.removed);
    weir_store_direct_close(&engine);
    weir_store_free(&store);
    weir_loop_free(&loop);
}

/* All of a key goes through the thread, and what the asker does with his bytes afterwards is his affair. */
static void a_whole_key_goes_through_the_thread(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    struct answers answers = {.loop = loop_make()};
    char texts[6][16] = {"team", "user", "family", "{\"r\":1}", "{\"t\":\"1\"}", "next"};
    struct weir_key_record key = key_of("key_a", 1, "phone");
    struct weir_span *const members[] = {&key.team, &key.user, &key.family, &key.rules, &key.tags, &key.replaced_by};
    for (size_t i = 0; i < 6; i++)
        *members[i] = weir_span_of_string(texts[i]);
    assert_int_equal(weir_store_key_insert(store, answers.loop, &key, on_reply, &answers), WEIR_OK);
    memset(texts, 'x', sizeof(texts));
    assert_true(turn_until(answers.loop, &answers.replies, 1));
    assert_int_equal(answers.status, WEIR_OK);
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    struct weir_arena *arena = weir_arena_new(0, 4096);
    struct weir_key_record found;
    assert_int_equal(weir_store_direct_open(*state, "dev", false, &engine, &error), WEIR_OK);
    assert_int_equal(weir_engine_sqlite.key_get(engine, WEIR_SPAN("key_a"), arena, &found, &error), WEIR_OK);
    assert_spans_equal(found.team, WEIR_SPAN("team"));
    assert_spans_equal(found.user, WEIR_SPAN("user"));
    assert_spans_equal(found.family, WEIR_SPAN("family"));
    assert_spans_equal(found.rules, WEIR_SPAN("{\"r\":1}"));
    assert_spans_equal(found.tags, WEIR_SPAN("{\"t\":\"1\"}"));
    assert_spans_equal(found.replaced_by, WEIR_SPAN("next"));
    weir_arena_free(&arena);
    weir_store_direct_close(&engine);
    weir_store_free(&store);
    weir_loop_free(&answers.loop);
}

enum { MANY = 10000 }; /* more than go into one piece, and no multiple of it */

struct order {
    unsigned ends;
    size_t pieces, keys;
    uint64_t last;
};

static void on_piece(void *context, const struct weir_key_record *keys, size_t count) {
    struct order *order = context;
    order->ends += count == 0;
    order->pieces++;
    for (size_t i = 0; i < count; i++) {
        assert_true(keys[i].change > order->last);
        assert_spans_equal(keys[i].workspace, WEIR_SPAN("default"));
        order->last = keys[i].change;
        order->keys++;
    }
}

static void many_keys_come_in_pieces(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    const struct weir_engine_ops *ops = &weir_engine_sqlite;
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    assert_int_equal(weir_store_direct_open(*state, "dev", false, &engine, &error), WEIR_OK);
    assert_int_equal(ops->work_begin(engine, &error), WEIR_OK);
    for (unsigned i = 0; i < MANY; i++) {
        char id[WEIR_KEY_ID_SIZE];
        (void)snprintf(id, sizeof(id), "key_%u", i);
        struct weir_key_record key = key_of(id, 0, "n");
        memcpy(key.hash, &i, sizeof(i));
        assert_int_equal(ops->key_insert(engine, &key, &error), WEIR_OK);
    }
    assert_int_equal(ops->work_end(engine, WEIR_OK, &error), WEIR_OK);
    struct order order = {.ends = 0};
    struct weir_loop *loop = loop_make();
    weir_store_watch_keys(store, loop, on_piece, &order);
    assert_true(turn_until(loop, &order.ends, 1));
    assert_int_equal(order.keys, MANY);
    assert_true(order.pieces > 2);
    weir_store_direct_close(&engine);
    weir_store_free(&store);
    weir_loop_free(&loop);
}

static void revisions_through_the_thread(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    struct answers answers = {.loop = loop_make()};
    struct weir_error error = {.status = WEIR_OK};
    uint64_t number = 0;
    assert_int_equal(weir_store_revision_first(store, WEIR_SPAN("h1"), WEIR_SPAN("text"), &number, &error), WEIR_OK);
    assert_true(number == 1);
    assert_int_equal(weir_store_revision_save(store, answers.loop, WEIR_SPAN("h2"), WEIR_SPAN("x"), "file", on_revision,
                                              &answers),
                     WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.replies, 1));
    assert_true(answers.number == 2);
    assert_int_equal(weir_store_revision_first(store, WEIR_SPAN(""), WEIR_SPAN("text"), &number, &error), WEIR_EINVAL);
    assert_true(error.text[0] != '\0');
    weir_store_free(&store);
    weir_loop_free(&answers.loop);
}

static void on_issued(void *context, enum weir_status status, const struct weir_issued *found, size_t count,
                      const struct weir_error *error) {
    struct answers *answers = context;
    on_reply(context, status, error);
    answers->found = 0;
    answers->count = count;
    for (size_t i = 0; i < count; i++) {
        if (found[i].provider.length == 0)
            continue;
        struct weir_ledger_entry sample = sample_entry(0);
        assert_spans_equal(found[i].provider, sample.provider);
        assert_spans_equal(found[i].model, sample.upstream_model);
        assert_spans_equal(found[i].workspace, sample.workspace);
        assert_true(weir_span_starts_with(found[i].id, WEIR_SPAN("batch_")));
        answers->found++;
    }
}

static void issued_ids_through_the_thread(void **state) {
    enum { ASKED = WEIR_MAX_ISSUED_ASKED };
    struct weir_store *store = store_open(*state, 1, false);
    struct answers answers = {.loop = loop_make()};
    struct weir_journal_open open = sample_open(1);
    struct weir_ledger_entry entry = sample_entry(1);
    char id[32];
    (void)snprintf(id, sizeof(id), "batch_%d", 7);
    entry.issued[0] = weir_span_of_string(id);
    assert_int_equal(weir_journal_append_open(weir_store_journal(store, 0), &open), WEIR_OK);
    assert_int_equal(weir_journal_append_close(weir_store_journal(store, 0), &entry), WEIR_OK);
    WAIT_FOR(health_of(store).ingested_records == 2);
    struct weir_span *ids = test_calloc(ASKED + 1, sizeof(*ids));
    for (size_t i = 0; i <= ASKED; i++)
        ids[i] = i == 5 || i == ASKED - 1 ? weir_span_of_string(id) : WEIR_SPAN("unknown");
    assert_int_equal(weir_store_issued_find(store, answers.loop, ids, ASKED + 1, on_issued, &answers), WEIR_ELIMIT);
    assert_int_equal(weir_store_issued_find(store, answers.loop, ids, ASKED, on_issued, &answers), WEIR_OK);
    memset(id, 'x', 5); /* it has its own copy */
    assert_true(turn_until(answers.loop, &answers.replies, 1));
    assert_int_equal(answers.status, WEIR_OK);
    assert_int_equal(answers.count, ASKED);
    assert_int_equal(answers.found, 2);
    assert_int_equal(weir_store_issued_find(store, answers.loop, ids, 6, on_issued, &answers), WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.replies, 2));
    assert_int_equal(answers.count, 6);
    assert_int_equal(answers.found, 0);
    assert_int_equal(weir_store_issued_find(store, answers.loop, NULL, 0, on_issued, &answers), WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.replies, 3));
    assert_int_equal(answers.status, WEIR_OK);
    /* Nobody waits for the last one any more. */
    assert_int_equal(weir_store_issued_find(store, answers.loop, ids, ASKED, on_issued, &answers), WEIR_OK);
    weir_store_forget_loop(store, answers.loop);
    test_free(ids);
    weir_loop_free(&answers.loop);
    weir_store_free(&store);
    assert_int_equal(answers.replies, 3);
}

/* --- work of others --- */
struct work {
    struct answers *answers;
    enum weir_status give;
    _Atomic unsigned runs, releases;
};

/* An object is made, and undone where the work gives a failure. */
static enum weir_status do_work(void *context, const struct weir_engine_ops *ops, struct weir_engine *engine,
                                struct weir_error *error) {
    struct work *work = context;
    struct weir_object object = {.kind = WEIR_OBJECT_MARK,
                                 .id = work->give == WEIR_OK ? WEIR_SPAN("good") : WEIR_SPAN("bad"),
                                 .text = WEIR_SPAN("{}"),
                                 .created_utc_us = 1};
    work->runs++;
    enum weir_status status = ops->work_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = ops->object_create(engine, &object, error);
    if (status == WEIR_OK && work->give != WEIR_OK)
        status = weir_fail(error, work->give, "it was thought better of");
    enum weir_status ended = ops->work_end(engine, status, error);
    return status == WEIR_OK ? ended : status;
}

static void on_work(void *context, enum weir_status status, const struct weir_error *error) {
    struct work *work = context;
    on_reply(work->answers, status, error);
    assert_int_equal(work->releases, 0);
}

static void release_work(void *context) {
    struct work *work = context;
    work->releases++;
}

static void work_runs_once_on_the_thread(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    struct answers answers = {.loop = loop_make()};
    struct work good = {.answers = &answers}, bad = {.answers = &answers, .give = WEIR_EFULL},
                forgotten = {.answers = &answers, .give = WEIR_EFULL};
    struct weir_store_work work = {.run = do_work, .reply = on_work, .release = release_work, .context = &good};
    assert_int_equal(weir_store_run(store, answers.loop, &work), WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.replies, 1));
    assert_int_equal(answers.status, WEIR_OK);
    assert_int_equal(good.runs, 1);
    assert_int_equal(good.releases, 1);
    work.context = &bad;
    assert_int_equal(weir_store_run(store, answers.loop, &work), WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.replies, 2));
    assert_int_equal(answers.status, WEIR_EFULL);
    assert_int_equal(bad.releases, 1);
    /* Nobody waits for the last one any more: it is done and released all the same. */
    work.context = &forgotten;
    assert_int_equal(weir_store_run(store, answers.loop, &work), WEIR_OK);
    weir_store_forget_loop(store, answers.loop);
    weir_store_free(&store);
    while (weir_loop_run_once(answers.loop)) /* a reply that was on its way before still comes */
        sleep_ms(1);
    weir_loop_free(&answers.loop);
    assert_int_equal(forgotten.runs, 1);
    assert_int_equal(forgotten.releases, 1);
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    struct weir_object object;
    struct weir_arena *arena = weir_arena_new(0, 65536);
    assert_int_equal(weir_store_direct_open(*state, "dev", false, &engine, &error), WEIR_OK);
    assert_int_equal(weir_engine_sqlite.object_get(engine, WEIR_OBJECT_MARK, WEIR_SPAN(""), WEIR_SPAN("good"), arena,
                                                   &object, &error),
                     WEIR_OK);
    assert_int_equal(weir_engine_sqlite.object_get(engine, WEIR_OBJECT_MARK, WEIR_SPAN(""), WEIR_SPAN("bad"), arena,
                                                   &object, &error),
                     WEIR_ENOTFOUND);
    weir_store_direct_close(&engine);
    weir_arena_free(&arena);
}

static void a_forgotten_loop_hears_nothing(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    struct answers answers = {.loop = loop_make()};
    weir_store_watch_keys(store, answers.loop, on_keys, &answers);
    assert_true(turn_until(answers.loop, &answers.batches, 1));
    weir_store_forget_loop(store, answers.loop);
    for (unsigned char i = 0; i < 20; i++) {
        char id[8];
        (void)snprintf(id, sizeof(id), "k%d", i);
        struct weir_key_record key = key_of(id, i, "n");
        assert_int_equal(weir_store_key_insert(store, answers.loop, &key, on_reply, &answers), WEIR_OK);
    }
    weir_store_forget_loop(store, answers.loop);
    weir_loop_free(&answers.loop);
    weir_store_free(&store); /* what was still queued is done, and posts nothing */
    struct weir_engine *engine = NULL;
    struct weir_error error = {.status = WEIR_OK};
    assert_int_equal(weir_store_direct_open(*state, "dev", false, &engine, &error), WEIR_OK);
    assert_int_equal(weir_engine_sqlite.key_revoke(engine, WEIR_SPAN("k19"), 1, &error),
                     WEIR_OK); /* it was done all the same */
    weir_store_direct_close(&engine);
}

/* --- the database does not answer --- */
static sqlite3 *lock_database(const char *scratch) {
    char path[PATH_SIZE];
    sqlite3 *locker = NULL;
    (void)snprintf(path, sizeof(path), "%s/weir.db", scratch);
    assert_int_equal(sqlite3_open(path, &locker), SQLITE_OK);
    (void)sqlite3_busy_timeout(locker, 5000);
    assert_int_equal(sqlite3_exec(locker, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    return locker;
}

static void a_locked_database_loses_nothing(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    struct answers answers = {.loop = loop_make()};
    for (uint64_t i = 0; i < 100; i++)
        append_pair(weir_store_journal(store, 0), i);
    sqlite3 *locker = lock_database(*state);
    int64_t start_ns = weir_clock_monotonic_ns();
    uint64_t i = 100;
    while (weir_clock_monotonic_ns() - start_ns < (int64_t)SECOND_MS * 1000000) {
        for (int k = 0; k < 40; k++)
            append_pair(weir_store_journal(store, 0), i++);
        sleep_ms(10);
    }
    WAIT_FOR(!health_of(store).available);
    struct weir_store_health health = health_of(store);
    assert_true(health.journal_available && health.journal_backlog_bytes > 0 && health.failed_operations > 0);
    assert_non_null(strstr(health.problem, "locked"));
    struct weir_key_record key = key_of("key_a", 1, "n");
    int64_t asked_ns = weir_clock_monotonic_ns();
    assert_int_equal(weir_store_key_insert(store, answers.loop, &key, on_reply, &answers), WEIR_OK);
    assert_true(turn_until(answers.loop, &answers.replies, 1));
    assert_int_equal(answers.status, WEIR_EBUSY);
    assert_true(weir_clock_monotonic_ns() - asked_ns < (int64_t)20 * SECOND_MS * 1000000);
    (void)sqlite3_close(locker);
    WAIT_FOR(health_of(store).available && health_of(store).journal_backlog_bytes == 0);
    assert_string_equal(health_of(store).problem, "");
    weir_store_free(&store);
    weir_loop_free(&answers.loop);
    assert_each_once(*state, i);
}

/* It heals by itself, also when there is nothing to read meanwhile. */
static void an_idle_store_comes_back(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    sqlite3 *locker = lock_database(*state);
    append_pair(weir_store_journal(store, 0), 0);
    WAIT_FOR(!health_of(store).available);
    (void)sqlite3_close(locker);
    WAIT_FOR(health_of(store).available);
    weir_store_free(&store);
    assert_each_once(*state, 1);
}

/* --- the disk is full: in a child, for the limit is the process's --- */
static int fill_the_disk(const char *scratch) {
    struct weir_store *store = store_open(scratch, 1, false);
    struct weir_journal *journal = weir_store_journal(store, 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = WEIR_JOURNAL_SEGMENT_BYTES - 1, .rlim_max = RLIM_INFINITY};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 1;
    uint64_t opened = 0, closed = 0;
    /* 200 at once, until a new one is refused: then those that were promised their end get it. */
    for (int tries = 0; tries < 500; tries++) {
        struct weir_journal_open open = sample_open(opened);
        if (weir_journal_ready(journal) && weir_journal_append_open(journal, &open) == WEIR_OK) {
            opened++;
            tries = 0;
        } else {
            sleep_ms(1); /* a next segment could still come */
        }
        if (opened - closed < 200)
            continue;
        struct weir_ledger_entry entry = sample_entry(closed);
        if (weir_journal_append_close(journal, &entry) != WEIR_OK)
            return 2;
        closed++;
    }
    if (opened < 5000 || opened >= MAX_REQUESTS)
        return 3;
    if (health_of(store).journal_available || health_of(store).problem[0] == '\0')
        return 4;
    for (; closed < opened; closed++) {
        struct weir_ledger_entry entry = sample_entry(closed);
        if (weir_journal_append_close(journal, &entry) != WEIR_OK)
            return 5;
    }
    limit.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 6;
    for (int tries = 0; tries < 2000 && !weir_journal_ready(journal); tries++)
        sleep_ms(1);
    if (!weir_journal_ready(journal))
        return 7;
    /* The database had no room either, and comes back too. */
    for (int tries = 0; tries < 5000 && health_of(store).problem[0] != '\0'; tries++)
        sleep_ms(1);
    if (!health_of(store).journal_available || !health_of(store).available)
        return 8;
    append_pair(journal, opened);
    weir_store_free(&store);
    struct tally *tally = tally_of(scratch);
    for (uint64_t i = 0; i <= opened; i++) {
        if (tally->ok[i] != 1 || tally->crashed[i] != 0)
            return 9;
    }
    return tally->entries == opened + 1 ? 0 : 10;
}

static void a_full_disk_loses_nothing(void **state) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fill_the_disk(*state));
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
}

/* --- more than one process --- */
static void two_live_instances_share_a_directory(void **state) {
    struct weir_store *first = store_open(*state, 1, false);
    struct weir_journal_open open = sample_open(0);
    struct weir_ledger_entry entry = sample_entry(0);
    assert_int_equal(weir_journal_append_open(weir_store_journal(first, 0), &open), WEIR_OK);
    WAIT_FOR(health_of(first).ingested_records == 1);
    struct weir_store *second = store_open(*state, 1, false);
    assert_int_equal(count_files(*state, ".lock"), 2);
    for (uint64_t i = 1; i < 1000; i++)
        append_pair(weir_store_journal(i % 2 == 0 ? first : second, 0), i);
    assert_int_equal(weir_journal_append_close(weir_store_journal(first, 0), &entry), WEIR_OK);
    weir_store_free(&first);
    assert_int_equal(count_files(*state, ".lock"), 1);
    weir_store_free(&second);
    assert_each_once(*state, 1000);
}

static void another_environment_is_refused(void **state) {
    struct weir_store *store = store_open(*state, 1, false);
    weir_store_free(&store);
    const struct weir_store_settings settings = {.directory = *state, .environment = "prod", .workers = 1};
    struct weir_random random = {.left = 0};
    struct weir_error error = {.status = WEIR_OK};
    assert_int_equal(weir_store_new(&settings, &random, &store, &error), WEIR_EDENIED);
    assert_null(store);
    assert_non_null(strstr(error.text, "prod"));
    const struct weir_store_settings none = {.directory = *state, .environment = "dev", .workers = 0};
    assert_int_equal(weir_store_new(&none, &random, &store, &error), WEIR_EINVAL);
    const struct weir_store_settings bad = {.directory = "/proc/nothing/here", .environment = "dev", .workers = 1};
    assert_int_equal(weir_store_new(&bad, &random, &store, &error), WEIR_EIO);
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
        IN_SCRATCH(appended_requests_are_in_the_ledger),
        IN_SCRATCH(also_with_group_sync),
        IN_SCRATCH(the_rest_is_read_at_the_end),
        IN_SCRATCH(a_record_is_seen_soon),
        IN_SCRATCH(idle_costs_nothing),
        IN_SCRATCH(keys_reach_their_watchers),
        IN_SCRATCH(objects_reach_their_watchers),
        IN_SCRATCH(many_keys_come_in_pieces),
        IN_SCRATCH(a_whole_key_goes_through_the_thread),
        IN_SCRATCH(revisions_through_the_thread),
        IN_SCRATCH(issued_ids_through_the_thread),
        IN_SCRATCH(work_runs_once_on_the_thread),
        IN_SCRATCH(a_forgotten_loop_hears_nothing),
        IN_SCRATCH(a_locked_database_loses_nothing),
        IN_SCRATCH(an_idle_store_comes_back),
        IN_SCRATCH(a_full_disk_loses_nothing),
        IN_SCRATCH(two_live_instances_share_a_directory),
        IN_SCRATCH(another_environment_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
