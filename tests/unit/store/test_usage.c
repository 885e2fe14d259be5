/* Usage reports against a plain addition over the entries, whatever is asked; taking old hours and old entries away; and sums of what a release without
 * sums has written. */
#include "fixture.h"

#include "store/sqlite_impl.h"

#define TEXT(literal) WEIR_SPAN(literal)
#define HOUR (4 * WEIR_SPEND_BUCKET_US)
#define DAY (24 * HOUR)
#define MIDNIGHT (20700 * DAY)
enum { ENTRIES = 3000, SPAN_DAYS = 6, MANY = 200000, TEXT_SIZE = 24, DIMENSIONS = 8 };

static uint64_t chance(uint64_t *state, uint64_t below) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*state >> 33) % below;
}

/* --- entries --- */
struct made {
    struct weir_ledger_entry entry;
    char texts[DIMENSIONS][TEXT_SIZE]; /* key, user, team, workspace, provider, model, upstream model, endpoint */
    char tags[3 * TEXT_SIZE];
    char family[TEXT_SIZE];
    char by[DIMENSIONS][2 * TEXT_SIZE]; /* as reports name them */
};

static const uint64_t kinds[DIMENSIONS] = {7, 4, 3, 2, 2, 4, 3, 2};

static void make(struct made *made, uint64_t number, uint64_t *luck) {
    struct weir_ledger_entry *entry = &made->entry;
    *made = (struct made){.entry = without_owners(sample_entry(number))};
    struct weir_span *const fields[DIMENSIONS] = {&entry->key_id,         &entry->user,     &entry->team,
                                                  &entry->workspace,      &entry->provider, &entry->model,
                                                  &entry->upstream_model, &entry->endpoint};
    for (size_t i = 0; i < DIMENSIONS; i++) {
        uint64_t which = chance(luck, kinds[i]);
        bool none = (i == 1 || i == 2) && which == 0;
        (void)snprintf(made->texts[i], TEXT_SIZE, none ? "" : "%c%llu", "kutwpmes"[i], (unsigned long long)which);
        *fields[i] = weir_span_of_string(made->texts[i]);
        (void)snprintf(made->by[i], sizeof(made->by[i]), "%s", made->texts[i]);
    }
    for (size_t i = 1; i < 3; i++) {
        if (made->texts[i][0] != '\0')
            (void)snprintf(made->by[i], sizeof(made->by[i]), "%s/%s", made->texts[3], made->texts[i]);
    }
    if (chance(luck, 3) == 0) { /* rotated once: both are one family */
        (void)snprintf(made->family, sizeof(made->family), "k0");
        entry->family = weir_span_of_string(made->family);
        (void)snprintf(made->by[0], sizeof(made->by[0]), "k0");
    }
    uint64_t tags = chance(luck, 4);
    if (tags == 1)
        (void)snprintf(made->tags, sizeof(made->tags), "feature=f%llu", (unsigned long long)chance(luck, 3));
    if (tags == 2) {
        (void)snprintf(made->tags, sizeof(made->tags), "feature=f%llu,team=t%llu", (unsigned long long)chance(luck, 3),
                       (unsigned long long)chance(luck, 2));
    }
    entry->tags = weir_span_of_string(made->tags);
    entry->issued_count = 0;
    entry->start_utc_us = MIDNIGHT + (int64_t)chance(luck, (uint64_t)SPAN_DAYS * 24 * 4) * WEIR_SPEND_BUCKET_US +
                          (int64_t)chance(luck, (uint64_t)WEIR_SPEND_BUCKET_US);
    entry->end_utc_us = entry->start_utc_us + 5;
    entry->outcome = (uint8_t)chance(luck, 4);
    entry->usage_source = (uint8_t)chance(luck, WEIR_USAGE_COUNTED + 1);
    entry->unpriced = chance(luck, 9) == 0;
    entry->cost_cu_milli = (int64_t)chance(luck, 100000);
    entry->overrun_cu_milli = (int64_t)chance(luck, 3);
    entry->usage.input = (int64_t)chance(luck, 5000);
    entry->usage.output = (int64_t)chance(luck, 5000);
}

static void put_in(struct fixture *fixture, struct made *made, size_t count, size_t a_batch) {
    const struct weir_engine_ops *ops = fixture->ops;
    for (size_t i = 0; i < count; i += a_batch) {
        check(fixture, ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
        for (size_t k = i; k < count && k < i + a_batch; k++)
            check(fixture, ops->ingest_entry(fixture->engine, &made[k].entry, &fixture->error), WEIR_OK);
        check(fixture, ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    }
}

/* What waits to be added to the sums is in them afterwards. */
static void write_sums(struct fixture *fixture) {
    int64_t due_ns = 0;
    check(fixture, fixture->ops->sums_write(fixture->engine, INT64_MAX, &due_ns, &fixture->error), WEIR_OK);
    assert_true(due_ns == INT64_MAX);
}

static struct made *put_random_in(struct fixture *fixture, uint64_t seed, size_t a_batch) {
    struct made *made = test_calloc(ENTRIES, sizeof(*made));
    uint64_t luck = seed;
    for (size_t i = 0; i < ENTRIES; i++)
        make(&made[i], i, &luck);
    put_in(fixture, made, ENTRIES, a_batch);
    return made;
}

/* --- what a report should be --- */
enum { MOST_ROWS = 20000 };
struct row {
    int64_t time;
    char by[WEIR_USAGE_DIMENSIONS][2 * TEXT_SIZE];
    struct weir_usage_sums sums;
    bool found;
};
struct rows {
    struct row *rows;
    size_t count;
    int64_t last_time, last_cost;
};

static struct rows *rows_new(void) {
    struct rows *rows = test_calloc(1, sizeof(*rows));
    rows->rows = test_calloc(MOST_ROWS, sizeof(*rows->rows));
    return rows;
}
static void rows_free(struct rows *rows) {
    test_free(rows->rows);
    test_free(rows);
}

static struct row *row_of(struct rows *rows, int64_t time, char by[WEIR_USAGE_DIMENSIONS][2 * TEXT_SIZE]) {
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->rows[i].time == time && memcmp(rows->rows[i].by, by, sizeof(rows->rows[i].by)) == 0)
            return &rows->rows[i];
    }
    assert_true(rows->count < MOST_ROWS);
    struct row *row = &rows->rows[rows->count++];
    row->time = time;
    memcpy(row->by, by, sizeof(row->by));
    return row;
}

static void add(struct weir_usage_sums *sums, const struct weir_ledger_entry *entry) {
    sums->requests++;
    sums->errors += entry->outcome == WEIR_OUTCOME_ERROR;
    sums->aborted += entry->outcome == WEIR_OUTCOME_ABORTED;
    sums->crashed += entry->outcome == WEIR_OUTCOME_CRASHED;
    sums->unpriced += entry->unpriced;
    sums->estimated += entry->usage_source == WEIR_USAGE_ESTIMATED || entry->usage_source == WEIR_USAGE_ABORTED ||
                       entry->usage_source == WEIR_USAGE_RESERVED;
    sums->input += entry->usage.input;
    sums->cached += entry->usage.cached;
    sums->cache_write += entry->usage.cache_write;
    sums->output += entry->usage.output;
    sums->reasoning += entry->usage.reasoning;
    sums->cost_cu_milli += entry->cost_cu_milli;
    sums->overrun_cu_milli += entry->overrun_cu_milli;
    sums->reserved_cu_milli += entry->reserved_cu_milli;
}

static bool is_within(const struct weir_usage_query *query, const struct made *made) {
    if (made->entry.start_utc_us < query->from_utc_us || made->entry.start_utc_us >= query->until_utc_us)
        return false;
    for (size_t i = 0; i < DIMENSIONS; i++) {
        if (query->only[i].at != NULL && !weir_span_equal(query->only[i], weir_span_of_string(made->by[i])))
            return false;
    }
    return true;
}

static void expect(struct rows *rows, const struct weir_usage_query *query, const struct made *made, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char by[WEIR_USAGE_DIMENSIONS][2 * TEXT_SIZE] = {{0}};
        const int64_t start = made[i].entry.start_utc_us;
        int64_t time = (query->by & WEIR_USAGE_BY_HOUR) != 0  ? start / HOUR * HOUR
                       : (query->by & WEIR_USAGE_BY_DAY) != 0 ? start / DAY * DAY
                                                              : 0;
        if (!is_within(query, &made[i]))
            continue;
        for (size_t k = 0; k < DIMENSIONS; k++) {
            if ((query->by & 1U << k) != 0)
                (void)snprintf(by[k], sizeof(by[k]), "%s", made[i].by[k]);
        }
        if ((query->by & WEIR_USAGE_BY_TAG) == 0 && query->only[8].at == NULL) {
            add(&row_of(rows, time, by)->sums, &made[i].entry);
            continue;
        }
        struct weir_span tags = made[i].entry.tags, tag, rest;
        while (tags.length > 0) {
            if (!weir_span_split(tags, ',', &tag, &rest)) {
                tag = tags;
                rest = WEIR_SPAN("");
            }
            tags = rest;
            if (query->only[8].at != NULL && !weir_span_equal(query->only[8], tag))
                continue;
            memset(by[8], 0, sizeof(by[8]));
            if ((query->by & WEIR_USAGE_BY_TAG) != 0)
                (void)snprintf(by[8], sizeof(by[8]), "%.*s", WEIR_SPAN_PRINT(tag));
            add(&row_of(rows, time, by)->sums, &made[i].entry);
        }
    }
}

static enum weir_status compare(void *context, const struct weir_usage_row *found) {
    struct rows *rows = context;
    char by[WEIR_USAGE_DIMENSIONS][2 * TEXT_SIZE] = {{0}};
    for (size_t i = 0; i < WEIR_USAGE_DIMENSIONS; i++)
        (void)snprintf(by[i], sizeof(by[i]), "%.*s", WEIR_SPAN_PRINT(found->by[i]));
    size_t before = rows->count;
    struct row *row = row_of(rows, found->from_utc_us, by);
    assert_true(rows->count == before && !row->found);
    assert_memory_equal(&row->sums, &found->sums, sizeof(row->sums));
    row->found = true;
    assert_true(found->from_utc_us >= rows->last_time);
    assert_true(found->from_utc_us > rows->last_time || found->sums.cost_cu_milli <= rows->last_cost);
    rows->last_time = found->from_utc_us;
    rows->last_cost = found->sums.cost_cu_milli;
    return WEIR_OK;
}

static void assert_report(struct fixture *fixture, const struct weir_usage_query *query, const struct made *made,
                          size_t count) {
    struct rows *rows = rows_new();
    rows->last_time = -1;
    expect(rows, query, made, count);
    check(fixture, fixture->ops->usage_report(fixture->engine, query, compare, rows, &fixture->error), WEIR_OK);
    for (size_t i = 0; i < rows->count; i++)
        assert_true(rows->rows[i].found);
    rows_free(rows);
}

static void random_query(struct weir_usage_query *query, const struct made *made, uint64_t *luck) {
    int64_t from = MIDNIGHT - DAY / 2 + (int64_t)chance(luck, (SPAN_DAYS + 1) * 24) * HOUR;
    *query = (struct weir_usage_query){.from_utc_us = from,
                                       .until_utc_us = from + (int64_t)chance(luck, SPAN_DAYS * 24) * HOUR};
    if (chance(luck, 4) == 0)
        query->from_utc_us = 0;
    if (chance(luck, 4) == 0)
        query->until_utc_us = INT64_MAX;
    uint64_t time = chance(luck, 4);
    if (time < 2)
        query->by = time == 0 ? WEIR_USAGE_BY_DAY : WEIR_USAGE_BY_HOUR;
    if (chance(luck, 4) == 0) {
        query->by |= chance(luck, 3) > 0 ? WEIR_USAGE_BY_TAG : 0;
        query->by |= chance(luck, 2) == 0 ? WEIR_USAGE_BY_WORKSPACE : 0;
        if ((query->by & WEIR_USAGE_BY_TAG) == 0 || chance(luck, 3) == 0)
            query->only[8] = TEXT("feature=f1");
        if (chance(luck, 3) == 0)
            query->only[3] = TEXT("w1");
        return;
    }
    for (size_t i = 0; i < DIMENSIONS; i++) {
        query->by |= chance(luck, 3) == 0 ? 1U << i : 0;
        if (chance(luck, 8) == 0)
            query->only[i] = weir_span_of_string(made[chance(luck, ENTRIES)].by[i]);
    }
    if (chance(luck, 20) == 0)
        query->only[5] = TEXT("nobody asked for this");
}

static void reports_are_the_sum_of_the_ledger(void **state) {
    struct fixture *fixture = *state;
    struct made *made = put_random_in(fixture, 5, 97);
    uint64_t luck = 1;
    for (int i = 0; i < 300; i++) {
        struct weir_usage_query query;
        random_query(&query, made, &luck);
        assert_report(fixture, &query, made, ENTRIES);
    }
    test_free(made);
}

struct first {
    size_t count;
    int64_t cost;
};
static enum weir_status take_first(void *context, const struct weir_usage_row *row) {
    struct first *first = context;
    if (first->count++ == 0)
        first->cost = row->sums.cost_cu_milli;
    return WEIR_OK;
}

static void rows_have_a_limit_and_questions_bounds(void **state) {
    struct fixture *fixture = *state;
    struct made *made = put_random_in(fixture, 6, 1000);
    struct weir_usage_query query = {.until_utc_us = INT64_MAX, .by = WEIR_USAGE_BY_MODEL}, bad[6];
    struct first all = {.count = 0}, some = {.count = 0};
    check(fixture, fixture->ops->usage_report(fixture->engine, &query, take_first, &all, &fixture->error), WEIR_OK);
    query.limit = 2;
    check(fixture, fixture->ops->usage_report(fixture->engine, &query, take_first, &some, &fixture->error), WEIR_OK);
    assert_true(all.count == kinds[5] && some.count == 2 && some.cost == all.cost);
    for (size_t i = 0; i < 6; i++)
        bad[i] = (struct weir_usage_query){.until_utc_us = DAY, .by = WEIR_USAGE_BY_MODEL};
    bad[0].from_utc_us = 1;
    bad[1].until_utc_us = DAY + WEIR_SPEND_BUCKET_US;
    bad[2].from_utc_us = 2 * DAY;
    bad[3].by |= WEIR_USAGE_BY_TAG;
    bad[4].only[8] = TEXT("a=b");
    bad[5].by = 1U << 20;
    for (size_t i = 0; i < 6; i++) {
        check(fixture, fixture->ops->usage_report(fixture->engine, &bad[i], take_first, &all, &fixture->error),
              WEIR_EINVAL);
    }
    test_free(made);
}

/* --- what is taken away --- */
static int64_t integer_of(struct fixture *fixture, const char *sql) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(fixture->engine->database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return value;
}

static void execute(struct fixture *fixture, const char *sql) {
    char *problem = NULL;
    if (sqlite3_exec(fixture->engine->database, sql, NULL, NULL, &problem) != SQLITE_OK)
        print_error("%s\n", problem);
    assert_null(problem);
}

static void old_hours_go_and_days_stay(void **state) {
    struct fixture *fixture = *state;
    struct made *made = put_random_in(fixture, 8, 500);
    bool more = true;
    /* Within a day: its hours all stay. */
    while (more) {
        check(fixture, fixture->ops->usage_trim(fixture->engine, MIDNIGHT + 3 * DAY + 5 * HOUR, &more, &fixture->error),
              WEIR_OK);
    }
    char sql[160];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM usage_hour WHERE (place & ~(1 << 62)) >> 32 < %lld",
                   (long long)((MIDNIGHT + 3 * DAY) / HOUR));
    assert_true(integer_of(fixture, sql) == 0);
    assert_true(integer_of(fixture, "SELECT count(*) FROM usage_hour") > 0);
    struct weir_usage_query query = {.until_utc_us = INT64_MAX, .by = WEIR_USAGE_BY_DAY | WEIR_USAGE_BY_USER};
    assert_report(fixture, &query, made, ENTRIES);
    query.from_utc_us = MIDNIGHT + DAY;
    query.until_utc_us = MIDNIGHT + 4 * DAY + 3 * HOUR;
    assert_report(fixture, &query, made, ENTRIES);
    query = (struct weir_usage_query){.from_utc_us = MIDNIGHT + 3 * DAY,
                                      .until_utc_us = INT64_MAX,
                                      .by = WEIR_USAGE_BY_HOUR | WEIR_USAGE_BY_TAG};
    assert_report(fixture, &query, made, ENTRIES);
    struct first first = {.count = 0};
    query.from_utc_us -= HOUR;
    check(fixture, fixture->ops->usage_report(fixture->engine, &query, take_first, &first, &fixture->error),
          WEIR_ELIMIT);
    query.by = WEIR_USAGE_BY_MODEL;
    check(fixture, fixture->ops->usage_report(fixture->engine, &query, take_first, &first, &fixture->error),
          WEIR_ELIMIT);
    assert_true(first.count == 0);
    /* What was kept less long before is not said to be back. */
    check(fixture, fixture->ops->usage_trim(fixture->engine, MIDNIGHT, &more, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->usage_report(fixture->engine, &query, take_first, &first, &fixture->error),
          WEIR_ELIMIT);
    test_free(made);
}

struct youngest {
    int64_t first_start_utc_us;
    size_t count;
};
static enum weir_status note_start(void *context, const struct weir_ledger_entry *entry) {
    struct youngest *seen = context;
    seen->count++;
    if (entry->start_utc_us < seen->first_start_utc_us)
        seen->first_start_utc_us = entry->start_utc_us;
    return WEIR_OK;
}

static int earliest_first(const void *left, const void *right) {
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

/* In order of time, as they come. */
static struct made *put_in_by_time(struct fixture *fixture, uint64_t seed) {
    struct made *made = test_calloc(ENTRIES, sizeof(*made));
    int64_t *starts = test_calloc(ENTRIES, sizeof(*starts));
    uint64_t luck = seed;
    for (size_t i = 0; i < ENTRIES; i++) {
        make(&made[i], i, &luck);
        starts[i] = made[i].entry.start_utc_us;
    }
    qsort(starts, ENTRIES, sizeof(*starts), earliest_first);
    for (size_t i = 0; i < ENTRIES; i++)
        made[i].entry.start_utc_us = starts[i];
    test_free(starts);
    put_in(fixture, made, ENTRIES, 250);
    return made;
}

static void old_entries_go_and_sums_stay(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct made *made = put_in_by_time(fixture, 9);
    const int64_t before = MIDNIGHT + 2 * DAY + 1234567;
    size_t young = 0, old = 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        young += made[i].entry.start_utc_us >= before;
        old += made[i].entry.start_utc_us < before;
    }
    bool more = true;
    int64_t rows = ENTRIES;
    size_t steps = 0;
    while (more) {
        check(fixture, ops->ledger_prune(fixture->engine, before, &more, &fixture->error), WEIR_OK);
        int64_t left = integer_of(fixture, "SELECT count(*) FROM ledger");
        assert_true(rows - left <= 256); /* some milliseconds of the write lock */
        rows = left;
        steps++;
        /* Between two steps others write. */
        check(fixture, ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
        check(fixture, ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    }
    assert_true(steps >= old / 256 && steps < 60);
    assert_true(integer_of(fixture, "SELECT count(*) FROM ledger") == (int64_t)young);
    assert_true(integer_of(fixture, "SELECT count(*) FROM ledger_more") == (int64_t)young);
    struct youngest seen = {.first_start_utc_us = INT64_MAX};
    const struct weir_ledger_query all = {.limit = 10000}, recent = {.from_utc_us = MIDNIGHT + 5 * DAY, .limit = 10000};
    check(fixture, ops->ledger_each(fixture->engine, &all, note_start, &seen, &fixture->error), WEIR_OK);
    assert_true(seen.count == young && seen.first_start_utc_us >= before);
    size_t expected = 0;
    for (size_t i = 0; i < ENTRIES; i++)
        expected += made[i].entry.start_utc_us >= recent.from_utc_us;
    seen.count = 0;
    check(fixture, ops->ledger_each(fixture->engine, &recent, note_start, &seen, &fixture->error), WEIR_OK);
    assert_true(seen.count == expected);
    struct weir_usage_query query = {.until_utc_us = INT64_MAX, .by = WEIR_USAGE_BY_DAY | WEIR_USAGE_BY_KEY};
    assert_report(fixture, &query, made, ENTRIES);
    /* All of it: numbers go on where they were. */
    for (more = true; more;)
        check(fixture, ops->ledger_prune(fixture->engine, INT64_MAX, &more, &fixture->error), WEIR_OK);
    assert_true(integer_of(fixture, "SELECT count(*) FROM ledger") == 0);
    assert_true(integer_of(fixture, "SELECT count(*) FROM ledger_zone") <= 1); /* which is not full */
    put_in(fixture, made, 1, 1);
    assert_true(integer_of(fixture, "SELECT sequence FROM ledger") == ENTRIES + 1);
    test_free(made);
}

/* --- what a release without sums has written --- */
static void sums_are_made_up_for(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct made *made = put_random_in(fixture, 10, 500);
    struct weir_usage_query query = {.until_utc_us = INT64_MAX, .by = WEIR_USAGE_BY_DAY | WEIR_USAGE_BY_USER};
    write_sums(fixture);
    /* As if the older one had written the numbers 1 to 999 and 2001 to the end: it counts on one counter, and adds nothing up. */
    execute(fixture, "DELETE FROM spend_quarter; DELETE FROM spend_day; DELETE FROM usage_hour; DELETE FROM usage_day;"
                     "DELETE FROM usage_of; UPDATE meta SET value = 1 WHERE name = 'summed_next'");
    ops->close(&fixture->engine);
    open_engine(fixture);
    bool more = true;
    unsigned steps = 0;
    /* Nothing is taken out of the ledger that is not in the sums. */
    check(fixture, ops->ledger_prune(fixture->engine, INT64_MAX, &more, &fixture->error), WEIR_OK);
    assert_false(more);
    assert_true(integer_of(fixture, "SELECT count(*) FROM ledger") == ENTRIES);
    for (more = true; more; steps++) {
        check(fixture, ops->sums_step(fixture->engine, 0, &more, &fixture->error), WEIR_OK);
        if (steps == 0) { /* a restart in the middle */
            ops->close(&fixture->engine);
            open_engine(fixture);
        }
    }
    assert_true(steps >= 3); /* the steps are bounded */
    assert_report(fixture, &query, made, ENTRIES);
    /* It runs again, beside this one: what it adds is noted by whoever writes or asks next. */
    execute(fixture, "UPDATE meta SET value = value + 2 WHERE name = 'next_sequence';"
                     "INSERT INTO ledger(sequence, request_id, key, workspace, endpoint, model, provider,"
                     " upstream_model, price_version, start_utc_us, duration_us, first_byte_us, reserved_cu_milli,"
                     " cost_cu_milli, overrun_cu_milli, input_tokens, cached_tokens, cache_write_tokens, output_tokens,"
                     " reasoning_tokens, revision, flags, usage_source, outcome, reason, status)"
                     " SELECT sequence + 3000, request_id, key, workspace, endpoint, model, provider, upstream_model,"
                     " price_version, start_utc_us, duration_us, first_byte_us, 10, 100, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0,"
                     " 0, 200 FROM ledger WHERE sequence <= 2");
    struct weir_lease lease = {.counter = {.scope = WEIR_SCOPE_GLOBAL, .until_utc_us = INT64_MAX}, .limit = 0};
    const struct weir_uuid instance = {{1}};
    int64_t total = 0;
    for (size_t i = 0; i < ENTRIES; i++)
        total += made[i].entry.cost_cu_milli;
    put_in(fixture, made, 1, 1);
    check(fixture, ops->lease(fixture->engine, &instance, &lease, 1, &fixture->error), WEIR_OK);
    assert_true(lease.spent == total + 200 + made[0].entry.cost_cu_milli);
    assert_true(integer_of(fixture, "SELECT count(*) FROM unsummed") == 0);
    assert_true(integer_of(fixture, "SELECT max(sequence) FROM ledger") == ENTRIES + 3);
    /* A key that was rotated counts for its family, although an old entry does not say so. */
    execute(fixture,
            "INSERT INTO api_key(id, hash, name, workspace, hint, created_utc_us, expires_utc_us, revoked_utc_us,"
            " change, family) VALUES('k9', x'01', 'n', 'w', 'h', 1, 0, 0, 1, 'k_first');"
            "INSERT INTO dictionary(id, text) VALUES(100000, 'k9');"
            "UPDATE meta SET value = value + 1 WHERE name = 'next_sequence';"
            "INSERT INTO ledger(sequence, request_id, key, workspace, endpoint, model, provider,"
            " upstream_model, price_version, start_utc_us, duration_us, first_byte_us, reserved_cu_milli,"
            " cost_cu_milli, overrun_cu_milli, input_tokens, cached_tokens, cache_write_tokens, output_tokens,"
            " reasoning_tokens, revision, flags, usage_source, outcome, reason, status)"
            " VALUES(3004, x'00', 100000, 0, 0, 0, 0, 0, 0, 5, 1, 1, 1, 77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)");
    lease.counter = (struct weir_spend_counter){.scope = WEIR_SCOPE_KEY,
                                                .id = TEXT("k_first"),
                                                .until_utc_us = INT64_MAX};
    check(fixture, ops->lease(fixture->engine, &instance, &lease, 1, &fixture->error), WEIR_OK);
    assert_true(lease.spent == 77);
    test_free(made);
}

/* --- tags without end --- */
static void a_name_has_so_many_values(void **state) {
    struct fixture *fixture = *state;
    enum { VALUES = 1100 };
    static struct made made[VALUES];
    uint64_t luck = 2;
    for (size_t i = 0; i < VALUES; i++) {
        make(&made[i], i, &luck);
        (void)snprintf(made[i].tags, sizeof(made[i].tags), "id=%zu,always=yes", i);
        made[i].entry.tags = weir_span_of_string(made[i].tags);
        (void)snprintf(made[i].texts[3], TEXT_SIZE, "w0");
        made[i].entry.workspace = weir_span_of_string(made[i].texts[3]);
    }
    put_in(fixture, made, 600, 100);
    fixture->ops->close(&fixture->engine);
    open_engine(fixture);
    put_in(fixture, made, VALUES, 100);
    struct weir_usage_query query = {.until_utc_us = INT64_MAX, .by = WEIR_USAGE_BY_TAG};
    struct first all = {.count = 0};
    check(fixture, fixture->ops->usage_report(fixture->engine, &query, take_first, &all, &fixture->error), WEIR_OK);
    assert_true(all.count == 1000 + 1 + 1); /* "id=*" has the rest, "always=yes" all */
    query.only[8] = TEXT("id=*");
    struct first rest = {.count = 0};
    check(fixture, fixture->ops->usage_report(fixture->engine, &query, take_first, &rest, &fixture->error), WEIR_OK);
    int64_t expected = 0;
    for (size_t i = 1000; i < VALUES; i++)
        expected += made[i].entry.cost_cu_milli;
    assert_true(rest.count == 1 && rest.cost == expected);
}

/* --- effort --- */
struct effort {
    sqlite3 *other;
    int64_t steps;
    char worst[1024];
};

static int on_profile(unsigned event, void *context, void *what, void *time) {
    struct effort *effort = context;
    (void)event;
    (void)time;
    effort->steps += sqlite3_stmt_status(what, SQLITE_STMTSTATUS_VM_STEP, 1);
    char text[4096];
    sqlite3_stmt *plan = NULL;
    if (strncmp(sqlite3_sql(what), "SELECT", 6) != 0)
        return 0;
    (void)snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sqlite3_sql(what));
    assert_int_equal(sqlite3_prepare_v2(effort->other, text, -1, &plan, NULL), SQLITE_OK);
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *line = (const char *)sqlite3_column_text(plan, 3);
        /* usage_of has a row for each combination of texts, not for each entry; `unsummed` is empty. */
        bool scans = strncmp(line, "SCAN", 4) == 0 && strstr(line, "usage_of") == NULL &&
                     strstr(line, "unsummed") == NULL && strcmp(line, "SCAN CONSTANT ROW") != 0;
        if (scans || strstr(line, " ledger") != NULL || strstr(line, "TEMP B-TREE") != NULL)
            (void)snprintf(effort->worst, sizeof(effort->worst), "%.200s: %.800s", line, sqlite3_sql(what));
    }
    (void)sqlite3_finalize(plan);
    return 0;
}

/* Reads of entries a report may do: none. Its effort is that of its hours, days and combinations. */
static void effort_does_not_grow_with_the_ledger(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    enum { KEYS = 20, BATCH = 1000, HELD_DAYS = 30 };
    struct weir_usage_sums total = {.requests = 0}, of_key = {.requests = 0};
    static char keys[KEYS][TEXT_SIZE];
    for (size_t i = 0; i < KEYS; i++)
        (void)snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
    for (uint64_t number = 0; number < MANY;) {
        check(fixture, ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
        for (size_t i = 0; i < BATCH; i++, number++) {
            struct weir_ledger_entry entry = without_owners(sample_entry(number));
            entry.issued_count = 0;
            entry.tags = WEIR_SPAN("feature=search");
            entry.key_id = weir_span_of_string(keys[number % KEYS]);
            entry.start_utc_us = MIDNIGHT + (int64_t)number * (HELD_DAYS * DAY / MANY);
            add(&total, &entry);
            if (number % KEYS == 7)
                add(&of_key, &entry);
            check(fixture, ops->ingest_entry(fixture->engine, &entry, &fixture->error), WEIR_OK);
        }
        check(fixture, ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    }
    write_sums(fixture);
    const struct {
        const char *what;
        struct weir_usage_query query;
        size_t rows;
        int64_t most_steps;
    } cases[] = {
        {"all", {.until_utc_us = INT64_MAX}, 1, 30000},
        {"by key", {.until_utc_us = INT64_MAX, .by = WEIR_USAGE_BY_KEY}, KEYS, 30000},
        {"by key and day",
         {.until_utc_us = INT64_MAX, .by = WEIR_USAGE_BY_KEY | WEIR_USAGE_BY_DAY},
         KEYS * HELD_DAYS,
         30000},
        {"by tag", {.until_utc_us = INT64_MAX, .by = WEIR_USAGE_BY_TAG}, 1, 2000},
        {"by hour of a day",
         {.from_utc_us = MIDNIGHT + 7 * DAY, .until_utc_us = MIDNIGHT + 8 * DAY, .by = WEIR_USAGE_BY_HOUR},
         24,
         20000},
        {"from hour to hour",
         {.from_utc_us = MIDNIGHT + 3 * HOUR, .until_utc_us = MIDNIGHT + 29 * DAY + HOUR, .by = WEIR_USAGE_BY_MODEL},
         1,
         40000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct effort effort = {.steps = 0};
        struct first found = {.count = 0};
        assert_int_equal(sqlite3_open(fixture->location, &effort.other), SQLITE_OK);
        assert_int_equal(sqlite3_trace_v2(fixture->engine->database, SQLITE_TRACE_PROFILE, on_profile, &effort),
                         SQLITE_OK);
        check(fixture, ops->usage_report(fixture->engine, &cases[i].query, take_first, &found, &fixture->error),
              WEIR_OK);
        (void)sqlite3_trace_v2(fixture->engine->database, 0, NULL, NULL);
        (void)sqlite3_close(effort.other);
        if (effort.steps > cases[i].most_steps || found.count != cases[i].rows || effort.worst[0] != '\0') {
            print_error("%s: %zu rows, %lld steps, %s\n", cases[i].what, found.count, (long long)effort.steps,
                        effort.worst);
        }
        assert_true(found.count == cases[i].rows && effort.steps > 0 && effort.steps <= cases[i].most_steps);
        assert_string_equal(effort.worst, "");
    }
    struct first found = {.count = 0};
    check(fixture, ops->usage_report(fixture->engine, &cases[0].query, take_first, &found, &fixture->error), WEIR_OK);
    assert_true(found.cost == total.cost_cu_milli);
    struct weir_lease lease = {.counter = {.scope = WEIR_SCOPE_KEY,
                                           .id = TEXT("k7"),
                                           .from_utc_us = MIDNIGHT + WEIR_SPEND_BUCKET_US,
                                           .until_utc_us = MIDNIGHT + HELD_DAYS * DAY - WEIR_SPEND_BUCKET_US},
                               .limit = INT64_MAX,
                               .wanted = 1};
    const struct weir_uuid instance = {{1}};
    struct effort effort = {.steps = 0};
    assert_int_equal(sqlite3_open(fixture->location, &effort.other), SQLITE_OK);
    assert_int_equal(sqlite3_trace_v2(fixture->engine->database, SQLITE_TRACE_PROFILE, on_profile, &effort), SQLITE_OK);
    check(fixture, ops->lease(fixture->engine, &instance, &lease, 1, &fixture->error), WEIR_OK);
    (void)sqlite3_trace_v2(fixture->engine->database, 0, NULL, NULL);
    (void)sqlite3_close(effort.other);
    assert_string_equal(effort.worst, "");
    assert_true(effort.steps < 8000 && lease.granted == 1);
    assert_true(lease.spent > of_key.cost_cu_milli * 9 / 10 && lease.spent < of_key.cost_cu_milli);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON(0, reports_are_the_sum_of_the_ledger),
        ON(0, rows_have_a_limit_and_questions_bounds),
        ON(0, old_hours_go_and_days_stay),
        ON(0, old_entries_go_and_sums_stay),
        ON(0, sums_are_made_up_for),
        ON(0, a_name_has_so_many_values),
        ON(0, effort_does_not_grow_with_the_ledger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
