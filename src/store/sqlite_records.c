/* Request records in SQLite: their partitions, and writing one.
 *
 * The day of a partition is the UTC day on which its records were taken in. The newest one takes what comes, also when a clock is behind it,
 * so numbers grow over all of them; a day far ahead is followed by others after it. Numbers of a partition begin where a run begins, so that a zone and a run are of one day.
 */
#include "store/sqlite_records.h"

#include "base/clock.h"
#include "base/memory.h"

struct store__records *store__records_of(struct weir_engine *engine) {
    if (engine->records == NULL)
        engine->records = weir_memory_new(1, sizeof(*engine->records));
    return engine->records;
}

void store__records_release(struct weir_engine *engine) {
    struct store__records *records = engine->records;
    if (records == NULL)
        return;
    (void)sqlite3_finalize(records->insert);
    (void)sqlite3_finalize(records->insert_many);
    store__record_index_free(&records->index);
    weir_memory_free(records);
    engine->records = NULL;
}

void store__sqlite_record_settings(struct weir_engine *engine, const struct weir_record_settings *settings) {
    struct store__records *records = store__records_of(engine);
    if (records != NULL)
        records->settings = *settings;
}

bool store__record_wanted(const struct weir_engine *engine, const struct weir_ledger_entry *entry) {
    return engine->records != NULL && weir_record_is_kept(&engine->records->settings, entry);
}

enum weir_status store__record_prepare(struct weir_engine *engine, const char *format, int64_t day,
                                       sqlite3_stmt **statement, struct weir_error *error) {
    char sql[STORE__RECORD_SQL_BYTES];
    long long number = (long long)day;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* all of them stand in the files sqlite_record*.c */
    (void)snprintf(sql, sizeof(sql), format, number, number, number);
#pragma GCC diagnostic pop
    if (sqlite3_prepare_v2(engine->database, sql, -1, statement, NULL) != SQLITE_OK)
        return store__sqlite_fail(engine, "read the request records", error);
    return WEIR_OK;
}

enum weir_status store__record_exec(struct weir_engine *engine, const char *format, int64_t day,
                                    struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__record_prepare(engine, format, day, &statement, error);
    if (status == WEIR_OK)
        status = store__sqlite_run(engine, statement, "write the request records", error);
    (void)sqlite3_finalize(statement);
    return status;
}

enum weir_status store__record_id_key(struct weir_engine *engine, struct weir_error *error) {
    struct store__records *records = store__records_of(engine);
    if (records == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for request records");
    if (records->has_id_key)
        return WEIR_OK;
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_META_READ, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, WEIR_SPAN("record_id_key"));
    struct weir_span key = sqlite3_step(statement) == SQLITE_ROW ? store__column_span(statement, 0) : WEIR_SPAN("");
    if (key.length == sizeof(records->id_key)) {
        memcpy(records->id_key, key.at, sizeof(records->id_key));
        records->has_id_key = true;
    } else {
        status = weir_fail(error, WEIR_ECORRUPT, "the database has no key for the ids of request records");
    }
    (void)sqlite3_reset(statement);
    return status;
}

/* --- partitions --- */
/* The first row of one of the PARTITION statements; WEIR_ENOTFOUND: there is none. `day` is bound where the statement takes one. */
static enum weir_status partition_read(struct weir_engine *engine, enum store__sql which, int64_t day,
                                       struct store__partition *partition, struct weir_error *error) {
    sqlite3_stmt *row = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &row, error);
    if (status != WEIR_OK)
        return status;
    if (sqlite3_bind_parameter_count(row) > 0)
        (void)sqlite3_bind_int64(row, 1, day);
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        *partition = (struct store__partition){.day = sqlite3_column_int64(row, 0),
                                               .first = sqlite3_column_int64(row, 1),
                                               .next = sqlite3_column_int64(row, 2),
                                               .records = sqlite3_column_int64(row, 3),
                                               .first_start_utc_us = sqlite3_column_int64(row, 4),
                                               .last_start_utc_us = sqlite3_column_int64(row, 5),
                                               .indexed_to = sqlite3_column_int64(row, 6),
                                               .merged_to = sqlite3_column_int64(row, 7),
                                               .dropping = sqlite3_column_int(row, 8) != 0};
    } else {
        status = code == SQLITE_DONE ? WEIR_ENOTFOUND
                                     : store__sqlite_fail(engine, "read the days of request records", error);
    }
    (void)sqlite3_reset(row);
    return status;
}

enum weir_status store__partition_newest(struct weir_engine *engine, struct store__partition *partition,
                                         struct weir_error *error) {
    return partition_read(engine, STORE__SQL_PARTITION_NEWEST, 0, partition, error);
}

enum weir_status store__partition_before(struct weir_engine *engine, int64_t before, struct store__partition *partition,
                                         struct weir_error *error) {
    return partition_read(engine, STORE__SQL_PARTITION_BEFORE, before == 0 ? INT64_MAX : before, partition, error);
}

enum weir_status store__partition_after(struct weir_engine *engine, int64_t after, struct store__partition *partition,
                                        struct weir_error *error) {
    return partition_read(engine, STORE__SQL_PARTITION_AFTER, after, partition, error);
}

enum weir_status store__partition_write(struct weir_engine *engine, const struct store__partition *partition,
                                        struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_PARTITION_WRITE, &statement, error);
    if (status != WEIR_OK)
        return status;
    const int64_t numbers[] = {partition->day,
                               partition->first,
                               partition->next,
                               partition->records,
                               partition->first_start_utc_us,
                               partition->last_start_utc_us,
                               partition->indexed_to,
                               partition->merged_to,
                               partition->dropping ? 1 : 0};
    struct store__binder binder = store__binder_of(statement);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        store__bind_integer(&binder, numbers[i]);
    return store__binder_run(engine, &binder, "write the days of request records", error);
}

/* Numbers are never given twice, also when the newest day is dropped: its end is remembered (sqlite_record_upkeep.c). */
static enum weir_status first_number(struct weir_engine *engine, const struct store__partition *newest, int64_t *number,
                                     struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t next = STORE__RECORD_RUN; /* 0 is no number of a record */
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_META_READ, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, WEIR_SPAN("next_record"));
    status = store__sqlite_integer(engine, statement, "read the counter of request records", &next, error);
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        return status;
    if (newest != NULL && newest->next > next)
        next = newest->next;
    *number = (next + STORE__RECORD_RUN - 1) & ~((int64_t)STORE__RECORD_RUN - 1);
    return WEIR_OK;
}

static int64_t day_of(int64_t utc_us) {
    char text[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(utc_us, text);
    int64_t day = 0;
    for (size_t i = 0; i < sizeof("2026-11-21") - 1; i++) {
        if (text[i] != '-')
            day = day * 10 + (text[i] - '0');
    }
    return day;
}

/* A day that a clock far ahead has begun would take all that comes for years: once it has a day's records in it, the day after it begins. */
static bool is_far_ahead(const struct store__partition *newest, int64_t now_utc_us) {
    return newest->records > 0 && newest->day > day_of(now_utc_us + STORE__DAY_US) &&
           newest->first_start_utc_us <= newest->last_start_utc_us - STORE__DAY_US;
}

static enum weir_status partition_make(struct weir_engine *engine, int64_t day, const struct store__partition *newest,
                                       struct store__partition *made, struct weir_error *error) {
    static const char *const tables[] = {
        "CREATE TABLE record_%lld(number INTEGER PRIMARY KEY, data BLOB NOT NULL)",
        "CREATE TABLE record_zone_%lld("
        " zone INTEGER PRIMARY KEY, first_start_utc_us INTEGER NOT NULL, last_start_utc_us INTEGER NOT NULL)",
        "CREATE TABLE record_value_%lld("
        " dimension INTEGER NOT NULL, value INTEGER NOT NULL, zone INTEGER NOT NULL, records BLOB NOT NULL,"
        " PRIMARY KEY(dimension, value, zone)) WITHOUT ROWID",
        "CREATE TABLE record_zone_id_%lld(zone INTEGER PRIMARY KEY, rare BLOB NOT NULL, ids BLOB NOT NULL)",
        "CREATE TABLE record_run_id_%lld(bucket INTEGER PRIMARY KEY, ids BLOB NOT NULL)",
    };
    int64_t first = 0;
    enum weir_status status = first_number(engine, newest, &first, error);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && status == WEIR_OK; i++)
        status = store__record_exec(engine, tables[i], day, error);
    if (status != WEIR_OK)
        return status;
    *made = (struct store__partition){.day = day,
                                      .first = first,
                                      .next = first,
                                      .first_start_utc_us = INT64_MAX,
                                      .last_start_utc_us = INT64_MIN,
                                      .indexed_to = first,
                                      .merged_to = first};
    return WEIR_OK;
}

/* --- writing, within the transaction of ingestion --- */
void store__record_begin(struct weir_engine *engine) {
    if (engine->records != NULL) {
        engine->records->loaded = false;
        engine->records->changed = false;
        engine->records->queue.count = 0; /* what a rollback left */
        engine->records->queue.bytes = 0;
    }
}

static enum weir_status load(struct weir_engine *engine, struct weir_error *error) {
    struct store__records *records = engine->records;
    struct store__partition newest;
    int64_t now_utc_us = weir_clock_utc_us(), today = day_of(now_utc_us);
    enum weir_status status = store__record_id_key(engine, error);
    if (status == WEIR_OK)
        status = store__partition_newest(engine, &newest, error);
    bool none = status == WEIR_ENOTFOUND;
    if (status != WEIR_OK && !none)
        return status;
    int64_t first = 0;
    status = first_number(engine, NULL, &first, error);
    if (status != WEIR_OK)
        return status;
    /* One whose followers are gone was closed: its indexes and its numbers have an end. */
    bool goes_on = !none && newest.next >= first && !newest.dropping && !is_far_ahead(&newest, now_utc_us);
    if (goes_on && newest.day >= today) {
        records->newest = newest;
        status = WEIR_OK;
    } else {
        /* One that is on its way out takes nothing more: the day after it begins early. */
        int64_t day = !none && newest.day >= today ? newest.day + 1 : today;
        status = partition_make(engine, day, none ? NULL : &newest, &records->newest, error);
    }
    records->loaded = status == WEIR_OK;
    return status;
}

static enum weir_status prepare_insert(struct weir_engine *engine, struct weir_error *error) {
    struct store__records *records = engine->records;
    if (records->insert != NULL && records->insert_many != NULL && records->insert_day == records->newest.day)
        return WEIR_OK;
    (void)sqlite3_finalize(records->insert);
    (void)sqlite3_finalize(records->insert_many);
    records->insert = records->insert_many = NULL;
    records->insert_day = records->newest.day;
    enum weir_status status = store__record_prepare(engine, "INSERT INTO record_%lld(number, data) VALUES(?, ?)",
                                                    records->newest.day, &records->insert, error);
    /* A row that fails takes the whole batch back anyway: OR FAIL spares what would take back the statement alone. */
    if (status == WEIR_OK)
        status = store__record_prepare(engine,
                                       "INSERT OR FAIL INTO record_%lld(number, data) VALUES"
                                       "(?, ?), (?, ?), (?, ?), (?, ?), (?, ?), (?, ?), (?, ?), (?, ?)",
                                       records->newest.day, &records->insert_many, error);
    return status;
}

/* Writes what is queued. */
static enum weir_status flush(struct weir_engine *engine, struct weir_error *error) {
    struct store__records *records = engine->records;
    struct store__record_queue *queue = &records->queue;
    const unsigned step = queue->count == STORE__RECORD_QUEUE ? STORE__RECORD_QUEUE : 1;
    enum weir_status status = WEIR_OK;
    size_t from = 0;
    for (unsigned i = 0; i < queue->count && status == WEIR_OK; i += step) {
        struct store__binder binder = store__binder_of(step == 1 ? records->insert : records->insert_many);
        for (unsigned k = i; k < i + step; k++) {
            store__bind_integer(&binder, records->newest.next - (int64_t)queue->count + (int64_t)k);
            store__bind_blob(&binder, queue->data + from, queue->ends[k] - from);
            from = queue->ends[k];
        }
        status = store__binder_run(engine, &binder, "write a request record", error);
    }
    queue->count = 0;
    queue->bytes = 0;
    return status;
}

enum weir_status store__record_insert(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                      const struct store__entry_numbers *numbers, struct weir_error *error) {
    struct store__records *records = engine->records;
    struct store__partition *partition = &records->newest;
    enum weir_status status = records->loaded ? WEIR_OK : load(engine, error);
    if (status == WEIR_OK)
        status = prepare_insert(engine, error);
    if (status == WEIR_OK)
        status = store__record_gather(engine, partition, entry, numbers, error);
    if (status != WEIR_OK)
        return status;
    struct store__record_queue *queue = &records->queue;
    queue->bytes += store__record_encode(entry, numbers, queue->data + queue->bytes);
    queue->ends[queue->count++] = queue->bytes;
    partition->next++;
    partition->records++;
    if (entry->start_utc_us < partition->first_start_utc_us)
        partition->first_start_utc_us = entry->start_utc_us;
    if (entry->start_utc_us > partition->last_start_utc_us)
        partition->last_start_utc_us = entry->start_utc_us;
    records->changed = true;
    bool zone_is_full = partition->next - partition->indexed_to >= STORE__RECORD_ZONE;
    if (zone_is_full || queue->count == STORE__RECORD_QUEUE ||
        sizeof(queue->data) - queue->bytes < STORE__MAX_RECORD_BYTES)
        status = flush(engine, error);
    if (status == WEIR_OK && zone_is_full)
        status = store__record_index_zone(engine, partition, error);
    return status;
}

enum weir_status store__record_end(struct weir_engine *engine, struct weir_error *error) {
    struct store__records *records = engine->records;
    if (records == NULL || !records->changed)
        return WEIR_OK;
    records->changed = false;
    enum weir_status status = flush(engine, error);
    return status == WEIR_OK ? store__partition_write(engine, &records->newest, error) : status;
}
