/* What keeps request records in order, a short transaction at a time: the end of a day's indexes, merging, and taking old days away.
 *
 * Dropping a table of a million records was measured to hold the write lock for 0.7 s. So a day is marked first, which hides it from all
 * readers, then its rows are deleted in slices of some milliseconds, then its empty tables are dropped. Whoever dies in between, the next one
 * goes on. The pages are used again by the days to come.
 */
#include "store/sqlite_records.h"

#include "base/clock.h"

enum { SLICE_MS = 4 };

static const struct {
    const char *take; /* some of the rows */
    const char *drop;
} tables[] = {
    {"DELETE FROM record_%lld WHERE number IN (SELECT number FROM record_%lld ORDER BY number LIMIT 1024)",
     "DROP TABLE record_%lld"},
    {"DELETE FROM record_value_%lld WHERE (dimension, value, zone) IN"
     " (SELECT dimension, value, zone FROM record_value_%lld ORDER BY dimension, value, zone LIMIT 1024)",
     "DROP TABLE record_value_%lld"},
    {"DELETE FROM record_run_id_%lld WHERE bucket IN (SELECT bucket FROM record_run_id_%lld ORDER BY bucket LIMIT 64)",
     "DROP TABLE record_run_id_%lld"},
    {"DELETE FROM record_zone_id_%lld WHERE zone IN (SELECT zone FROM record_zone_id_%lld ORDER BY zone LIMIT 16)",
     "DROP TABLE record_zone_id_%lld"},
    {"DELETE FROM record_zone_%lld WHERE zone IN (SELECT zone FROM record_zone_%lld ORDER BY zone LIMIT 1024)",
     "DROP TABLE record_zone_%lld"},
};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

/* Deletes until the time is over; *left: some rows are still there. */
static enum weir_status take_rows(struct weir_engine *engine, int64_t day, bool *left, struct weir_error *error) {
    const int64_t until_ns = weir_clock_monotonic_ns() + (int64_t)SLICE_MS * 1000000;
    enum weir_status status = WEIR_OK;
    *left = true;
    for (size_t i = 0; i < TABLES && status == WEIR_OK; i++) {
        sqlite3_stmt *statement = NULL;
        int rows = 1;
        status = store__record_prepare(engine, tables[i].take, day, &statement, error);
        while (status == WEIR_OK && rows > 0 && weir_clock_monotonic_ns() < until_ns) {
            status = store__sqlite_run(engine, statement, "take away request records", error);
            rows = sqlite3_changes(engine->database);
        }
        (void)sqlite3_finalize(statement);
        if (rows > 0)
            return status;
    }
    *left = false;
    return status;
}

static enum weir_status forget_day(struct weir_engine *engine, const struct store__partition *partition,
                                   struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    sqlite3_stmt *statement = NULL;
    for (size_t i = 0; i < TABLES && status == WEIR_OK; i++)
        status = store__record_exec(engine, tables[i].drop, partition->day, error);
    if (status == WEIR_OK)
        status = store__sqlite_statement(engine, STORE__SQL_PARTITION_FORGET, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, partition->day);
    status = store__binder_run(engine, &binder, "forget a day of request records", error);
    if (status == WEIR_OK)
        status = store__sqlite_statement(engine, STORE__SQL_META_WRITE, &statement, error);
    if (status != WEIR_OK)
        return status;
    binder = store__binder_of(statement);
    store__bind_text(&binder, WEIR_SPAN("next_record")); /* days go from the oldest on, so it only grows */
    store__bind_integer(&binder, partition->next);
    return store__binder_run(engine, &binder, "write the counter of request records", error);
}

static enum weir_status drop_step(struct weir_engine *engine, struct store__partition *partition,
                                  struct weir_error *error) {
    if (!partition->dropping) {
        partition->dropping = true;
        return store__partition_write(engine, partition, error);
    }
    bool left = false;
    enum weir_status status = take_rows(engine, partition->day, &left, error);
    return status == WEIR_OK && !left ? forget_day(engine, partition, error) : status;
}

/* The UTC microsecond at which a day is over. (Howard Hinnant's days_from_civil; a day past its month's end is one of the next month.) */
static int64_t end_of_day(int64_t day) {
    int64_t year = day / 10000, month = day / 100 % 100, of_month = day % 100;
    year -= month <= 2 ? 1 : 0;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + of_month - 1;
    int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return (days + 1) * STORE__DAY_US;
}

static bool is_too_old(const struct store__records *records, const struct store__partition *partition, int64_t utc_us) {
    int64_t retention_us = records->settings.retention_us, end_utc_us = end_of_day(partition->day);
    /* One that a clock far ahead has begun is as old as its newest record. */
    if (end_utc_us > utc_us + 2 * STORE__DAY_US && partition->records > 0)
        end_utc_us = partition->last_start_utc_us + STORE__DAY_US;
    return retention_us <= 0 || end_utc_us <= utc_us - retention_us;
}

/* One thing that is to do with a partition; WEIR_AGAIN: nothing is. */
static enum weir_status step(struct weir_engine *engine, struct store__partition *partition, bool is_newest,
                             int64_t utc_us, struct weir_error *error) {
    enum weir_status status;
    if (partition->dropping || is_too_old(engine->records, partition, utc_us))
        return drop_step(engine, partition, error);
    if (!is_newest && partition->indexed_to < partition->next)
        status = store__record_index_zone(engine, partition, error);
    else if (partition->indexed_to - partition->merged_to >= STORE__RECORD_RUN ||
             (!is_newest && partition->merged_to < partition->indexed_to))
        status = store__record_merge(engine, partition, error);
    else
        return WEIR_AGAIN;
    return status == WEIR_OK ? store__partition_write(engine, partition, error) : status;
}

/* From the oldest on, until something was to be done. Each is read by itself: what is done may drop tables, which a statement in the middle of
 * its rows would forbid. */
static enum weir_status each_partition(struct weir_engine *engine, int64_t utc_us, struct weir_error *error) {
    struct store__partition newest, partition = {.day = 0};
    enum weir_status status = store__partition_newest(engine, &newest, error);
    if (status == WEIR_ENOTFOUND)
        return WEIR_AGAIN;
    while (status == WEIR_OK) {
        status = store__partition_after(engine, partition.day, &partition, error);
        if (status == WEIR_ENOTFOUND)
            return WEIR_AGAIN;
        if (status != WEIR_OK)
            break;
        status = step(engine, &partition, partition.day == newest.day, utc_us, error);
        if (status != WEIR_AGAIN)
            break;
        status = WEIR_OK;
    }
    return status;
}

enum weir_status store__sqlite_record_upkeep(struct weir_engine *engine, int64_t utc_us, bool *more,
                                             struct weir_error *error) {
    *more = false;
    if (store__records_of(engine) == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for request records");
    store__dictionary_trim(engine);
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = each_partition(engine, utc_us, error);
    bool idle = status == WEIR_AGAIN;
    status = store__sqlite_end(engine, idle ? WEIR_OK : status, error);
    *more = status == WEIR_OK && !idle;
    return status;
}
