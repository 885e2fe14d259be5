/* Request records: that every one is found by any of its ids and by any filter, that pages are whole and stable, that days go away while others
 * stay, and that a million of them are listed, filtered and found without reading through.
 *
 * What a listing should give is computed here once more, the plain way, over all that was put in. */
#include "store/sqlite_records.h"

#include "base/clock.h"
#include "base/memory.h"
#include "support.h"

static const struct weir_engine_ops *const ops = &weir_engine_sqlite;
static const int64_t first_start_us = 1790000000000000, hour_us = 3600000000;

struct fixture {
    char scratch[SCRATCH_SIZE];
    char location[PATH_SIZE];
    struct weir_engine *engine;
    struct weir_error error;
};

static void must(struct fixture *fixture, enum weir_status status) {
    if (status != WEIR_OK)
        print_error("%s: %s\n", weir_status_name(status), fixture->error.text);
    assert_int_equal(status, WEIR_OK);
}

static void keep(struct fixture *fixture, int64_t retention_us, unsigned percent) {
    const struct weir_record_settings settings = {.retention_us = retention_us, .sample_percent = percent};
    ops->record_settings(fixture->engine, &settings);
}

static int set_up(void **state) {
    struct fixture *fixture = test_calloc(1, sizeof(*fixture));
    scratch_make(fixture->scratch);
    (void)snprintf(fixture->location, sizeof(fixture->location), "%s/weir.db", fixture->scratch);
    must(fixture, ops->open(fixture->location, "dev", &fixture->engine, &fixture->error));
    keep(fixture, 24 * hour_us, 100);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    ops->close(&fixture->engine);
    scratch_remove(fixture->scratch);
    test_free(fixture);
    return 0;
}

/* --- what is put in --- */
enum {
    KEYS = 300,
    MODELS = 5,
    RECORDS_ALONE = 1 << 30, /* from this number on, none has an entry in the ledger: half the time */
    LEDGER_ENTRIES = 2000    /* that are put in before those */
};

/* A request that differs from its neighbours in everything that is filtered by. */
struct made {
    char key[32], model[32], client[32], upstream[32], trace[33];
    struct weir_ledger_entry entry;
};

/* The number that was put in before this one: what has an entry in the ledger, then what has none. */
static uint64_t before(uint64_t number) {
    return number == RECORDS_ALONE ? LEDGER_ENTRIES - 1 : number - 1;
}

static uint64_t mix(uint64_t number) {
    number = (number ^ number >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    return number ^ number >> 29;
}

static void make(struct made *made, uint64_t number) {
    static const unsigned statuses[] = {200, 200, 200, 200, 200, 200, 200, 429, 502, 404};
    const struct weir_span providers[] = {WEIR_SPAN("openai"), WEIR_SPAN("azure"), WEIR_SPAN("groq")};
    uint64_t random = mix(number + 1);
    unsigned status = statuses[random % 10];
    unsigned char trace[16];
    memset(made, 0, sizeof(*made));
    (void)snprintf(made->key, sizeof(made->key), "key_%llu", (unsigned long long)(random >> 8) % KEYS);
    (void)snprintf(made->model, sizeof(made->model), "model-%llu", (unsigned long long)(random >> 20) % MODELS);
    (void)snprintf(made->client, sizeof(made->client), "client-%llu", (unsigned long long)number / 2);
    (void)snprintf(made->upstream, sizeof(made->upstream), "req_%016llx", (unsigned long long)random);
    for (size_t i = 0; i < 16; i++)
        trace[i] = (unsigned char)((i < 8 ? random : mix(random)) >> 8 * (i % 8));
    weir_hex_format(trace, sizeof(trace), made->trace);
    struct weir_ledger_entry *entry = &made->entry;
    *entry = without_owners(sample_entry(number));
    entry->start_utc_us = first_start_us + (int64_t)number * 1000;
    entry->end_utc_us = entry->start_utc_us + 500;
    /* In every third zone one key has many records, in the others few: it stands in both forms of the index. */
    if (number / STORE__RECORD_ZONE % 3 == 1 && random % 4 == 0)
        (void)snprintf(made->key, sizeof(made->key), "key_17");
    entry->key_id = weir_span_of_string(made->key);
    entry->workspace = random % 7 == 0 ? WEIR_SPAN("acme") : WEIR_SPAN("default");
    if (random % 301 == 0) /* rare everywhere; and a model that most zones do not have */
        entry->workspace = WEIR_SPAN("seldom");
    if (number % 5000 == 4321)
        (void)snprintf(made->model, sizeof(made->model), "model-once");
    entry->model = weir_span_of_string(made->model);
    entry->provider = providers[(random >> 30) % 3];
    entry->client_request_id = number % 4 < 2 ? weir_span_of_string(made->client) : WEIR_SPAN("");
    entry->trace_id = weir_span_of_string(made->trace);
    entry->session_id = WEIR_SPAN("");
    entry->issued_count = 0;
    entry->status = (uint16_t)status;
    entry->outcome = status == 200 ? WEIR_OUTCOME_OK : WEIR_OUTCOME_ERROR;
    entry->reason = status == 200 ? 0 : status == 502 ? WEIR_REASON_UPSTREAM_ERROR : WEIR_REASON_MODEL_NOT_FOUND;
    entry->unbilled = status == 404 || status == 429;
    entry->attempt_count = entry->unbilled ? 0 : 1;
    entry->attempts[0] = (struct weir_ledger_attempt){.provider = entry->provider,
                                                      .upstream_model = entry->model,
                                                      .upstream_request_id = weir_span_of_string(made->upstream),
                                                      .status = (uint16_t)status,
                                                      .reason = entry->reason,
                                                      .start_us = 10,
                                                      .end_us = 400};
    if (number % 50 == 3 && !entry->unbilled) { /* one that went well at last */
        entry->attempts[1] = entry->attempts[0];
        entry->attempts[0].provider = WEIR_SPAN("slow");
        entry->attempts[0].reason = WEIR_REASON_UPSTREAM_IDLE_TIMEOUT;
        entry->attempts[0].upstream_request_id = WEIR_SPAN("");
        entry->attempt_count = 2;
    }
    if (entry->unbilled)
        entry->provider = WEIR_SPAN("");
    if (number >= RECORDS_ALONE)
        entry->unbilled = true;
}

static void put_in(struct fixture *fixture, uint64_t from, uint64_t until) {
    struct made made;
    for (uint64_t number = from; number < until;) {
        must(fixture, ops->ingest_begin(fixture->engine, &fixture->error));
        for (unsigned i = 0; i < 1000 && number < until; i++) {
            make(&made, number++);
            must(fixture, ops->ingest_entry(fixture->engine, &made.entry, &fixture->error));
        }
        must(fixture, ops->ingest_commit(fixture->engine, &fixture->error));
    }
}

/* --- what comes out --- */
enum { MOST_SEEN = 3000 };
struct seen {
    size_t count;
    uint64_t numbers[MOST_SEEN];
    int64_t cursors[MOST_SEEN];
    bool compare; /* every field with what was put in */
};

static enum weir_status see(void *context, const struct weir_record *record) {
    struct seen *seen = context;
    assert_true(seen->count < MOST_SEEN);
    uint64_t number = number_of_id(&record->entry.request_id);
    if (seen->compare) {
        struct made made;
        make(&made, number);
        assert_entries_equal(&record->entry, &made.entry);
        assert_stories_equal(&record->entry, &made.entry);
    }
    seen->cursors[seen->count] = record->number;
    seen->numbers[seen->count++] = number;
    return WEIR_OK;
}

static bool is_or_any(struct weir_span wanted, struct weir_span found) {
    return wanted.length == 0 || weir_span_equal(wanted, found);
}

static bool expected(const struct weir_ledger_entry *entry, const struct weir_record_query *query) {
    bool provider = query->provider.length == 0 || weir_span_equal(query->provider, entry->provider);
    bool reason = query->reason == 0 || entry->reason == query->reason;
    for (size_t i = 0; i < entry->attempt_count; i++) {
        provider = provider || weir_span_equal(query->provider, entry->attempts[i].provider);
        reason = reason || entry->attempts[i].reason == query->reason;
    }
    return provider && reason && is_or_any(query->workspace, entry->workspace) &&
           is_or_any(query->key_id, entry->key_id) && is_or_any(query->model, entry->model) &&
           is_or_any(query->endpoint, entry->endpoint) && (query->status == 0 || query->status == entry->status) &&
           (query->status_class == 0 || query->status_class == entry->status / 100U) &&
           (!query->has_outcome || query->outcome == entry->outcome) &&
           (!query->failed || entry->outcome != WEIR_OUTCOME_OK) &&
           (query->from_utc_us == 0 || entry->start_utc_us >= query->from_utc_us) &&
           (query->until_utc_us == 0 || entry->start_utc_us < query->until_utc_us);
}

/* All pages of the query, newest first, are exactly what should match of [0, count). */
static void check_listing(struct fixture *fixture, struct weir_record_query query, uint64_t count) {
    static struct seen seen; /* too large for a stack under the sanitizers */
    struct made made;
    uint64_t number = count;
    unsigned pages = 0;
    do {
        struct weir_record_page page;
        seen = (struct seen){.compare = true};
        must(fixture, ops->record_list(fixture->engine, &query, see, &seen, &page, &fixture->error));
        assert_true(seen.count <= query.limit && page.rows <= 20000);
        assert_true(seen.count == query.limit || page.next_number == 0 || page.rows >= 1000 || page.zones >= 1000);
        for (size_t i = 0; i < seen.count; i++) {
            do {
                assert_true(number > 0);
                number = before(number);
                make(&made, number);
            } while (!expected(&made.entry, &query));
            assert_true(seen.numbers[i] == number);
        }
        query.before_number = page.next_number;
        assert_true(++pages < 10000);
    } while (query.before_number != 0);
    while (number > 0) {
        number = before(number);
        make(&made, number);
        assert_false(expected(&made.entry, &query));
    }
}

static void all_filters_find_what_they_should(void **state) {
    struct fixture *fixture = *state;
    const uint64_t count = 5 * 1024 + 300; /* five zones, and what is not indexed yet */
    put_in(fixture, 0, count);
    const struct weir_record_query queries[] = {
        {.limit = 1000},
        {.limit = 7, .failed = true},
        {.limit = 1000, .workspace = WEIR_SPAN("acme")},
        {.limit = 3, .key_id = WEIR_SPAN("key_17")},
        {.limit = 3, .key_id = WEIR_SPAN("key_18"), .model = WEIR_SPAN("model-2")},
        {.limit = 2, .workspace = WEIR_SPAN("seldom")},
        {.limit = 1, .model = WEIR_SPAN("model-once")},
        {.limit = 9, .key_id = WEIR_SPAN("key_none")},
        {.limit = 1000, .model = WEIR_SPAN("model-3"), .provider = WEIR_SPAN("azure")},
        {.limit = 1000, .provider = WEIR_SPAN("slow")},
        {.limit = 1000, .reason = WEIR_REASON_UPSTREAM_IDLE_TIMEOUT},
        {.limit = 100, .status = 429},
        {.limit = 100, .status_class = 4, .workspace = WEIR_SPAN("acme")},
        {.limit = 100, .status_class = 5, .key_id = WEIR_SPAN("key_17"), .failed = true},
        {.limit = 100, .has_outcome = true, .outcome = WEIR_OUTCOME_ERROR, .endpoint = WEIR_SPAN("chat.completions")},
        {.limit = 100, .endpoint = WEIR_SPAN("embeddings")},
        {.limit = 100, .has_outcome = true, .outcome = WEIR_OUTCOME_OK, .failed = true},
        {.limit = 50, .from_utc_us = first_start_us + 1000000, .until_utc_us = first_start_us + 4321000},
        {.limit = 50, .from_utc_us = first_start_us + 4000000, .status = 502},
        {.limit = 50, .until_utc_us = first_start_us + 2000000, .status = 502, .model = WEIR_SPAN("model-1")},
        {.limit = 50, .from_utc_us = first_start_us + 100 * hour_us},
    };
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++)
        check_listing(fixture, queries[i], count);
}

static size_t find(struct fixture *fixture, struct weir_span id, struct seen *seen) {
    *seen = (struct seen){.compare = true};
    must(fixture, ops->record_find(fixture->engine, id, WEIR_RECORD_MATCHES, see, seen, &fixture->error));
    return seen->count;
}

static void assert_found_by_all_ids(struct fixture *fixture, uint64_t number) {
    static struct seen seen;
    struct made made;
    char id[WEIR_UUID_TEXT_SIZE];
    make(&made, number);
    weir_uuid_format(&made.entry.request_id, id);
    assert_int_equal(find(fixture, weir_span_of_string(id), &seen), 1);
    assert_true(seen.numbers[0] == number);
    assert_int_equal(find(fixture, made.entry.trace_id, &seen), 1);
    assert_true(seen.numbers[0] == number);
    if (made.entry.attempt_count > 0) {
        size_t last = made.entry.attempt_count - 1;
        assert_int_equal(find(fixture, made.entry.attempts[last].upstream_request_id, &seen), 1);
        assert_true(seen.numbers[0] == number);
    }
    if (made.entry.client_request_id.length > 0) { /* two of them have each */
        assert_int_equal(find(fixture, made.entry.client_request_id, &seen), 2);
        assert_true(seen.numbers[0] == (number | 1) && seen.numbers[1] == (number & ~UINT64_C(1)));
    }
}

static void each_is_found_by_any_of_its_ids(void **state) {
    struct fixture *fixture = *state;
    const uint64_t count = 3 * 1024 + 100;
    static struct seen seen;
    put_in(fixture, 0, count);
    for (uint64_t number = 0; number < count; number += 97)
        assert_found_by_all_ids(fixture, number);
    assert_found_by_all_ids(fixture, count - 1);
    assert_int_equal(find(fixture, WEIR_SPAN("client-none"), &seen), 0);
    assert_int_equal(find(fixture, WEIR_SPAN(""), &seen), 0);
}

static void sessions_and_issued_ids_are_ids_too(void **state) {
    struct fixture *fixture = *state;
    static struct seen seen;
    struct weir_ledger_entry entry = without_owners(sample_entry(5));
    must(fixture, ops->ingest_begin(fixture->engine, &fixture->error));
    must(fixture, ops->ingest_entry(fixture->engine, &entry, &fixture->error));
    must(fixture, ops->ingest_commit(fixture->engine, &fixture->error));
    seen.count = 0;
    const struct weir_span ids[] = {WEIR_SPAN("session-9"), WEIR_SPAN("resp_68a1f0c2"), WEIR_SPAN("file-9Hq"),
                                    WEIR_SPAN("0AF7651916CD43DD8448EB211C80319C")};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        must(fixture, ops->record_find(fixture->engine, ids[i], 5, see, &seen, &fixture->error));
    assert_int_equal(seen.count, 4);
    assert_int_equal(weir_record_ids_named(&entry, ids[0]), WEIR_RECORD_BY_SESSION);
    assert_int_equal(weir_record_ids_named(&entry, ids[1]), WEIR_RECORD_BY_ISSUED);
    assert_int_equal(weir_record_ids_named(&entry, ids[3]), WEIR_RECORD_BY_TRACE);
    assert_int_equal(weir_record_ids_named(&entry, WEIR_SPAN("client-7")), WEIR_RECORD_BY_CLIENT);
    assert_int_equal(weir_record_ids_named(&entry, WEIR_SPAN("")), 0);
}

/* A client that sends one id with everything: the newest are found, and nothing takes long. */
static void an_id_of_everything_gives_the_newest(void **state) {
    struct fixture *fixture = *state;
    static struct seen seen;
    struct made made;
    const uint64_t count = 2 * 1024;
    must(fixture, ops->ingest_begin(fixture->engine, &fixture->error));
    for (uint64_t i = 0; i < count; i++) {
        make(&made, i);
        made.entry.client_request_id = WEIR_SPAN("test");
        must(fixture, ops->ingest_entry(fixture->engine, &made.entry, &fixture->error));
    }
    must(fixture, ops->ingest_commit(fixture->engine, &fixture->error));
    seen = (struct seen){.compare = false};
    must(fixture, ops->record_find(fixture->engine, WEIR_SPAN("test"), 10, see, &seen, &fixture->error));
    assert_int_equal(seen.count, 10);
    for (uint64_t i = 0; i < 10; i++)
        assert_true(seen.numbers[i] == count - 1 - i);
}

/* --- with the ledger --- */
static enum weir_status count_entry(void *context, const struct weir_ledger_entry *entry) {
    (void)entry;
    ++*(size_t *)context;
    return WEIR_OK;
}

static size_t ledger_entries(struct fixture *fixture) {
    size_t count = 0;
    const struct weir_ledger_query query = {.limit = 10000};
    must(fixture, ops->ledger_each(fixture->engine, &query, count_entry, &count, &fixture->error));
    return count;
}

static size_t records(struct fixture *fixture, struct weir_record_query query) {
    static struct seen seen;
    struct weir_record_page page;
    size_t count = 0;
    query.limit = 1000;
    do {
        seen = (struct seen){.compare = false};
        must(fixture, ops->record_list(fixture->engine, &query, see, &seen, &page, &fixture->error));
        count += seen.count;
        query.before_number = page.next_number;
    } while (query.before_number != 0);
    return count;
}

static void unbilled_requests_have_a_record_alone(void **state) {
    struct fixture *fixture = *state;
    put_in(fixture, 0, 2000);
    struct made made;
    size_t unbilled = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        make(&made, i);
        unbilled += made.entry.unbilled ? 1 : 0;
    }
    assert_true(unbilled > 100);
    assert_int_equal(ledger_entries(fixture), 2000 - unbilled);
    assert_int_equal(records(fixture, (struct weir_record_query){.limit = 0}), 2000);
}

static void a_rolled_back_batch_leaves_nothing(void **state) {
    struct fixture *fixture = *state;
    struct made made;
    for (uint64_t round = 0; round < 2; round++) {
        must(fixture, ops->ingest_begin(fixture->engine, &fixture->error));
        for (uint64_t i = 0; i < 1500; i++) { /* a zone is indexed within */
            make(&made, i);
            must(fixture, ops->ingest_entry(fixture->engine, &made.entry, &fixture->error));
        }
        ops->ingest_rollback(fixture->engine);
        assert_int_equal(records(fixture, (struct weir_record_query){.limit = 0}), 0);
    }
    put_in(fixture, 0, 1500);
    check_listing(fixture, (struct weir_record_query){.limit = 1000}, 1500);
    check_listing(fixture, (struct weir_record_query){.limit = 1000, .model = WEIR_SPAN("model-2")}, 1500);
}

/* Two processes by turns, and one takes back as many records as the other writes then: a zone holds what was written in the end. */
static void processes_that_take_turns_index_everything(void **state) {
    struct fixture *fixture = *state;
    struct weir_engine *const first = fixture->engine;
    struct weir_engine *second = NULL;
    struct made made;
    uint64_t number = 0;
    must(fixture, ops->open(fixture->location, "dev", &second, &fixture->error));
    fixture->engine = second;
    keep(fixture, 24 * hour_us, 100);
    for (unsigned turn = 0; number < UINT64_C(4) * STORE__RECORD_ZONE + 100; turn++) {
        fixture->engine = turn % 3 == 2 ? second : first;
        if (turn % 5 == 1 || number % STORE__RECORD_ZONE == 0) { /* what is taken back looks like nothing else */
            struct weir_engine *const other = turn % 3 == 2 ? first : second;
            must(fixture, ops->ingest_begin(fixture->engine, &fixture->error));
            for (uint64_t i = 0; i < 64; i++) {
                make(&made, UINT64_C(1) << 40 | i);
                must(fixture, ops->ingest_entry(fixture->engine, &made.entry, &fixture->error));
            }
            ops->ingest_rollback(fixture->engine);
            fixture->engine = other;
            put_in(fixture, number, number + 64);
            number += 64;
            fixture->engine = turn % 3 == 2 ? second : first;
        }
        put_in(fixture, number, number + 192);
        number += 192;
    }
    fixture->engine = first;
    ops->close(&second);
    check_listing(fixture, (struct weir_record_query){.limit = 1000}, number);
    check_listing(fixture, (struct weir_record_query){.limit = 100, .key_id = WEIR_SPAN("key_17")}, number);
    check_listing(fixture, (struct weir_record_query){.limit = 100, .model = WEIR_SPAN("model-2")}, number);
    check_listing(fixture, (struct weir_record_query){.limit = 100, .provider = WEIR_SPAN("slow")}, number);
    for (uint64_t i = 0; i < 4096; i += 31)
        assert_found_by_all_ids(fixture, i);
}

static void sampling_leaves_failures(void **state) {
    struct fixture *fixture = *state;
    struct made made;
    size_t failed = 0;
    keep(fixture, 24 * hour_us, 20);
    put_in(fixture, 0, 5000);
    for (uint64_t i = 0; i < 5000; i++) {
        make(&made, i);
        failed += made.entry.outcome != WEIR_OUTCOME_OK ? 1 : 0;
    }
    assert_int_equal(records(fixture, (struct weir_record_query){.failed = true}), failed);
    size_t well = records(fixture, (struct weir_record_query){.has_outcome = true, .outcome = WEIR_OUTCOME_OK});
    assert_true(well > (5000 - failed) / 10 && well < (5000 - failed) * 3 / 10);
    keep(fixture, 24 * hour_us, 0);
    put_in(fixture, 5000, 6000);
    assert_int_equal(records(fixture, (struct weir_record_query){.has_outcome = true, .outcome = WEIR_OUTCOME_OK}),
                     well);
    keep(fixture, 0, 100);
    put_in(fixture, 6000, 7000);
    assert_int_equal(records(fixture, (struct weir_record_query){.has_outcome = true, .outcome = WEIR_OUTCOME_OK}),
                     well);
}

static void crashed_requests_have_a_record(void **state) {
    struct fixture *fixture = *state;
    const struct weir_uuid instance = {{7}};
    struct weir_journal_open open = sample_open(3);
    const struct weir_journal_cursor series = {.instance = instance};
    uint64_t settled = 0;
    must(fixture, ops->ingest_begin(fixture->engine, &fixture->error));
    must(fixture, ops->ingest_open(fixture->engine, &series, &open, &fixture->error));
    must(fixture, ops->ingest_commit(fixture->engine, &fixture->error));
    must(fixture, ops->settle_crashed(fixture->engine, &instance, WEIR_EVERY_WORKER, first_start_us + hour_us, &settled,
                                      &fixture->error));
    assert_true(settled == 1);
    assert_int_equal(records(fixture, (struct weir_record_query){.has_outcome = true, .outcome = WEIR_OUTCOME_CRASHED}),
                     1);
    assert_int_equal(records(fixture, (struct weir_record_query){.reason = WEIR_REASON_CRASHED}), 1);
}

/* --- days --- */
static int64_t integer_of(struct fixture *fixture, const char *sql) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(fixture->engine->database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return value;
}

static void sql(struct fixture *fixture, const char *text) {
    assert_int_equal(sqlite3_exec(fixture->engine->database, text, NULL, NULL, NULL), SQLITE_OK);
}

static unsigned upkeep(struct fixture *fixture, int64_t utc_us) {
    bool more = true;
    unsigned steps = 0;
    while (more) {
        must(fixture, ops->record_upkeep(fixture->engine, utc_us, &more, &fixture->error));
        assert_true(++steps < 100000);
    }
    return steps;
}

/* Today's partition becomes one of a day long ago, as if the clock had gone on. */
static void become(struct fixture *fixture, int64_t day) {
    static const char *const names[] = {"record", "record_zone", "record_value", "record_zone_id", "record_run_id"};
    int64_t today = integer_of(fixture, "SELECT max(day) FROM record_partition");
    char text[256];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(text, sizeof(text), "ALTER TABLE %s_%lld RENAME TO %s_%lld", names[i], (long long)today,
                       names[i], (long long)day);
        sql(fixture, text);
    }
    (void)snprintf(text, sizeof(text), "UPDATE record_partition SET day = %lld WHERE day = %lld", (long long)day,
                   (long long)today);
    sql(fixture, text);
}

static int64_t utc_of(const char *text) {
    int64_t utc_us = 0;
    assert_int_equal(weir_clock_parse_utc(weir_span_of_string(text), &utc_us), WEIR_OK);
    return utc_us;
}

static void days_are_listed_together_and_go_one_by_one(void **state) {
    struct fixture *fixture = *state;
    static struct seen seen;
    put_in(fixture, 0, 1500);
    become(fixture, 20200228);
    put_in(fixture, 1500, 2700);
    become(fixture, 20200229);
    put_in(fixture, 2700, 3000);
    const struct weir_record_query all = {.limit = 400}, few = {.limit = 9, .key_id = WEIR_SPAN("key_17")};
    check_listing(fixture, all, 3000);
    check_listing(fixture, few, 3000);
    (void)upkeep(fixture,
                 utc_of("2020-02-29T23:00:00Z")); /* the ends of the days are indexed and merged, nothing is too old */
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM record_partition"), 3);
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM record_zone_id_20200228"), 0);
    assert_true(integer_of(fixture, "SELECT count(*) FROM record_run_id_20200228") > 0);
    check_listing(fixture, all, 3000);
    check_listing(fixture, few, 3000);
    for (uint64_t number = 0; number < 3000; number += 61)
        assert_found_by_all_ids(fixture, number);

    /* A day after its end the first one goes, to the last table. */
    (void)upkeep(fixture, utc_of("2020-03-01T00:00:00Z"));
    assert_int_equal(integer_of(fixture, "SELECT min(day) FROM record_partition"), 20200229);
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'record%20200228'"), 0);
    assert_int_equal(records(fixture, all), 1500);
    struct made made;
    make(&made, 40);
    assert_int_equal(find(fixture, made.entry.trace_id, &seen), 0);
    assert_found_by_all_ids(fixture, 1700);
    (void)upkeep(fixture, utc_of("2020-03-01T23:59:59Z"));
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM record_partition"), 2);

    /* And all of them, where none are to be kept: numbers go on from where they were. */
    int64_t last = integer_of(fixture, "SELECT max(next_number) FROM record_partition");
    keep(fixture, 0, 100);
    (void)upkeep(fixture, utc_of("2020-03-01T23:59:59Z"));
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'record_%_2%'"), 0);
    keep(fixture, 24 * hour_us, 100);
    put_in(fixture, 3000, 3010);
    assert_true(integer_of(fixture, "SELECT max(first_number) FROM record_partition") >= last);
    assert_int_equal(records(fixture, all), 10);
    assert_int_equal(ledger_entries(fixture) > 2000, 1); /* the ledger is another matter */
}

/* Whoever dies in the middle of taking a day away has hidden it already, and the next one goes on. */
static void a_day_that_goes_is_hidden_at_once(void **state) {
    struct fixture *fixture = *state;
    put_in(fixture, 0, 30000);
    become(fixture, 20200228);
    bool more = false;
    must(fixture, ops->record_upkeep(fixture->engine, utc_of("2024-01-01T00:00:00Z"), &more, &fixture->error));
    assert_true(more);
    assert_int_equal(records(fixture, (struct weir_record_query){.limit = 0}), 0);
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM record_20200228"), 30000);
    put_in(fixture, 30000, 30100);
    ops->close(&fixture->engine);
    must(fixture, ops->open(fixture->location, "dev", &fixture->engine, &fixture->error));
    keep(fixture, 24 * hour_us, 100);
    (void)upkeep(fixture, utc_of("2024-01-01T00:00:00Z"));
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM sqlite_master WHERE name LIKE 'record%20200228'"), 0);
    assert_int_equal(records(fixture, (struct weir_record_query){.limit = 0}), 100);
}

/* A clock that goes back, or another process that is behind: the newest day takes what comes. */
static void an_early_clock_writes_to_the_newest_day(void **state) {
    struct fixture *fixture = *state;
    put_in(fixture, 0, 100);
    become(fixture, integer_of(fixture, "SELECT strftime('%Y%m%d', 'now', '+1 day')"));
    put_in(fixture, 100, 200);
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM record_partition"), 1);
    check_listing(fixture, (struct weir_record_query){.limit = 50}, 200);
}

/* A clock that was years ahead for a moment does not keep records for years. */
static void a_day_far_ahead_comes_to_its_end(void **state) {
    struct fixture *fixture = *state;
    const uint64_t a_day = 86400 * 1000; /* one a millisecond */
    put_in(fixture, 0, 10);
    become(fixture, 20991231);
    put_in(fixture, 10, 20);
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM record_partition"), 1);
    put_in(fixture, a_day, a_day + 1);
    put_in(fixture, a_day + 1, a_day + 11);
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM record_partition"), 2);
    assert_int_equal(records(fixture, (struct weir_record_query){.limit = 0}), 31);
    int64_t last = integer_of(fixture, "SELECT last_start_utc_us FROM record_partition WHERE day = 20991231");
    (void)upkeep(fixture, last + 48 * hour_us - 1);
    assert_int_equal(records(fixture, (struct weir_record_query){.limit = 0}), 31);
    (void)upkeep(fixture, last + 48 * hour_us);
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM record_partition"), 1);
    assert_int_equal(records(fixture, (struct weir_record_query){.limit = 0}), 10);
}

/* A day whose followers are gone again was closed: its indexes and its numbers have an end. */
static void a_closed_day_takes_nothing_more(void **state) {
    struct fixture *fixture = *state;
    put_in(fixture, 0, 10);
    become(fixture, integer_of(fixture, "SELECT strftime('%Y%m%d', 'now', '+1 day')"));
    sql(fixture, "UPDATE record_partition SET dropping = 1");
    put_in(fixture, 10, 20);
    sql(fixture, "UPDATE record_partition SET dropping = 0");
    int64_t next = integer_of(fixture, "SELECT max(next_number) FROM record_partition");
    /* The second one is ahead and as old as its records, which are of a day long ago. */
    (void)upkeep(fixture, weir_clock_utc_us());
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM record_partition"), 1);
    put_in(fixture, 20, 2020);
    assert_int_equal(integer_of(fixture, "SELECT count(*) FROM record_partition"), 2);
    assert_true(integer_of(fixture, "SELECT max(first_number) FROM record_partition") >= next);
    assert_int_equal(records(fixture, (struct weir_record_query){.limit = 0}), 2010);
}

/* --- values --- */
static void what_is_written_is_read(void **state) {
    (void)state;
    static char data[STORE__MAX_RECORD_BYTES];
    static struct store__raw_record raw;
    struct store__entry_numbers numbers = {.texts = {0}};
    struct weir_ledger_entry entry = without_owners(sample_entry(9));
    entry.trace_id = WEIR_SPAN("no trace at all");
    entry.usage.input = INT64_MAX;
    entry.reserved_cu_milli = INT64_MIN;
    entry.start_utc_us = INT64_MIN;
    entry.end_utc_us = INT64_MAX;
    entry.sequence = 0;
    size_t size = store__record_encode(&entry, &numbers, data);
    assert_int_equal(store__record_decode(weir_span_of(data, size), &raw), WEIR_OK);
    assert_int_equal(store__record_resolve(NULL, &raw, NULL), WEIR_OK);
    assert_entries_equal(&raw.entry, &entry);
    assert_stories_equal(&raw.entry, &entry);
    /* No piece of it is one, and no damage is read beyond its end. */
    for (size_t i = 0; i < size; i++) {
        char *copy = test_malloc(i + 1);
        memcpy(copy, data, i);
        assert_int_equal(store__record_decode(weir_span_of(copy, i), &raw), WEIR_ECORRUPT);
        test_free(copy);
        char *damaged = test_malloc(size);
        memcpy(damaged, data, size);
        for (unsigned bit = 0; bit < 8; bit++) {
            damaged[i] = (char)(data[i] ^ (1 << bit));
            enum weir_status status = store__record_decode(weir_span_of(damaged, size), &raw);
            assert_true(status == WEIR_OK || status == WEIR_ECORRUPT);
        }
        test_free(damaged);
    }
}

static void what_cannot_be_read_hides_nothing_else(void **state) {
    struct fixture *fixture = *state;
    put_in(fixture, 0, 500);
    char text[128];
    (void)snprintf(text, sizeof(text), "UPDATE record_%lld SET data = x'ff00' WHERE number %% 100 = 0",
                   (long long)integer_of(fixture, "SELECT max(day) FROM record_partition"));
    sql(fixture, text);
    put_in(fixture, 500, 1500); /* with the index of all of them */
    assert_int_equal(records(fixture, (struct weir_record_query){.limit = 0}), 1495);
}

/* --- a million --- */
static void assert_plan(struct fixture *fixture, const char *format, const char *wanted) {
    char text[512], day[24];
    (void)snprintf(day, sizeof(day), "%lld", (long long)integer_of(fixture, "SELECT max(day) FROM record_partition"));
    const char *at = strstr(format, "DAY");
    assert_non_null(at);
    (void)snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %.*s%s%s", (int)(at - format), format, day, at + 3);
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(fixture->engine->database, text, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *step = (const char *)sqlite3_column_text(statement, 3);
        if (strstr(step, wanted) == NULL || strstr(step, "SCAN") != NULL || strstr(step, "TEMP B-TREE") != NULL)
            fail_msg("%s: %s", text, step);
    }
    (void)sqlite3_finalize(statement);
}

static struct weir_record_page page_of(struct fixture *fixture, struct weir_record_query query, size_t least) {
    static struct seen seen;
    struct weir_record_page page;
    seen = (struct seen){.compare = true};
    must(fixture, ops->record_list(fixture->engine, &query, see, &seen, &page, &fixture->error));
    assert_true(seen.count >= least);
    return page;
}

static void a_million_are_not_read_through(void **state) {
    struct fixture *fixture = *state;
    enum { MILLION = 1000000 };
    sql(fixture, "PRAGMA synchronous = OFF");
    put_in(fixture, 0, LEDGER_ENTRIES); /* the dictionary knows their texts */
    put_in(fixture, RECORDS_ALONE, RECORDS_ALONE + MILLION);
    (void)upkeep(fixture, weir_clock_utc_us());
    /* What the listing asks of the tables is answered by their keys. */
    assert_plan(fixture, "SELECT number, data FROM record_DAY WHERE number >= 1 AND number < 2 ORDER BY number DESC",
                "INTEGER PRIMARY KEY");
    assert_plan(fixture, "SELECT data FROM record_DAY WHERE number = 1", "INTEGER PRIMARY KEY");
    assert_plan(fixture,
                "SELECT zone, records FROM record_value_DAY WHERE dimension = 1 AND value = 2 AND zone <= 3"
                " ORDER BY zone DESC LIMIT 1",
                "PRIMARY KEY (dimension=? AND value=? AND zone<?)");
    assert_plan(fixture, "SELECT first_start_utc_us FROM record_zone_DAY WHERE zone = 1", "INTEGER PRIMARY KEY");
    assert_plan(fixture, "SELECT ids FROM record_run_id_DAY WHERE bucket = 1", "INTEGER PRIMARY KEY");
    /* And it asks little. */
    struct weir_record_page page = page_of(fixture, (struct weir_record_query){.limit = 50}, 50);
    assert_true(page.rows == 50 && page.zones <= 2);
    page = page_of(fixture, (struct weir_record_query){.limit = 50, .before_number = page.next_number - 700000}, 50);
    assert_true(page.rows <= 50 && page.zones <= 2);
    page = page_of(fixture, (struct weir_record_query){.limit = 50, .key_id = WEIR_SPAN("key_17")}, 50);
    assert_true(page.rows < 50 + 1024 && page.zones < 100);
    page = page_of(fixture,
                   (struct weir_record_query){.limit = 50,
                                              .key_id = WEIR_SPAN("key_17"),
                                              .failed = true,
                                              .model = WEIR_SPAN("model-3"),
                                              .workspace = WEIR_SPAN("acme")},
                   0);
    assert_true(page.rows < 50 + 1024);
    page = page_of(fixture,
                   (struct weir_record_query){.limit = 50,
                                              .from_utc_us = first_start_us + (RECORDS_ALONE + INT64_C(300000)) * 1000,
                                              .until_utc_us = first_start_us +
                                                              (RECORDS_ALONE + INT64_C(300500)) * 1000},
                   50);
    assert_true(page.rows < 50 + 2 * 1024 && page.zones < 1024);
    page = page_of(fixture, (struct weir_record_query){.limit = 50, .endpoint = WEIR_SPAN("none")}, 0);
    assert_true(page.rows < 1024 && page.zones < 4 && page.next_number == 0);
    /* All pages are whole, in the runs, in the zones that are not merged and in both forms of a value. */
    const struct weir_record_query exact[] = {
        {.limit = 1000, .key_id = WEIR_SPAN("key_17")},
        {.limit = 700, .key_id = WEIR_SPAN("key_18")},
        {.limit = 100, .key_id = WEIR_SPAN("key_17"), .workspace = WEIR_SPAN("seldom"), .failed = true},
        {.limit = 30, .model = WEIR_SPAN("model-once")},
        {.limit = 3, .key_id = WEIR_SPAN("key_18"), .model = WEIR_SPAN("model-once")},
        {.limit = 3, .key_id = WEIR_SPAN("key_none")},
    };
    for (size_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++)
        check_listing(fixture, exact[i], RECORDS_ALONE + MILLION);
    /* What never goes together ends a page early, or is known to be nothing. */
    page = page_of(fixture, (struct weir_record_query){.limit = 50, .failed = true, .status = 200}, 0);
    assert_true(page.rows < 1024);
    for (uint64_t number = RECORDS_ALONE; number < RECORDS_ALONE + MILLION; number += 99991)
        assert_found_by_all_ids(fixture, number);
}

/* Taking a day of them away holds the write lock for some milliseconds at a time. */
static void taking_away_a_day_lets_others_in(void **state) {
    struct fixture *fixture = *state;
    put_in(fixture, 0, 100000);
    become(fixture, 20200228);
    unsigned steps = 0;
    for (bool more = true; more; steps++) {
        must(fixture, ops->record_upkeep(fixture->engine, utc_of("2024-01-01T00:00:00Z"), &more, &fixture->error));
        if (steps == 3) /* traffic goes on meanwhile */
            put_in(fixture, 100000, 103000);
    }
    assert_true(steps > 5); /* not all at once */
    assert_int_equal(records(fixture, (struct weir_record_query){.limit = 0}), 3000);
}

#define IN_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_FIXTURE(all_filters_find_what_they_should),
        IN_FIXTURE(each_is_found_by_any_of_its_ids),
        IN_FIXTURE(sessions_and_issued_ids_are_ids_too),
        IN_FIXTURE(an_id_of_everything_gives_the_newest),
        IN_FIXTURE(unbilled_requests_have_a_record_alone),
        IN_FIXTURE(a_rolled_back_batch_leaves_nothing),
        IN_FIXTURE(processes_that_take_turns_index_everything),
        IN_FIXTURE(sampling_leaves_failures),
        IN_FIXTURE(crashed_requests_have_a_record),
        IN_FIXTURE(days_are_listed_together_and_go_one_by_one),
        IN_FIXTURE(a_day_that_goes_is_hidden_at_once),
        IN_FIXTURE(an_early_clock_writes_to_the_newest_day),
        IN_FIXTURE(a_day_far_ahead_comes_to_its_end),
        IN_FIXTURE(a_closed_day_takes_nothing_more),
        cmocka_unit_test(what_is_written_is_read),
        IN_FIXTURE(what_cannot_be_read_hides_nothing_else),
        IN_FIXTURE(a_million_are_not_read_through),
        IN_FIXTURE(taking_away_a_day_lets_others_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
