/* One filter of a listing of request records, gone through by zones from the newest.
 *
 * Where a value has many of a zone's records there is a row (dimension, value, zone), and the next one is found by its key. What a zone has
 * rarely stands with the ids: in the zone's own sorted values until they are merged, then in one bucket of each run. Either may be met next, so
 * both are asked, the second no further than where the first has its answer. A hash that two values share costs a look at a record that does
 * not match; nothing is missed.
 */
#include "store/sqlite_records.h"

enum { ZONES_OF_RUN_SHIFT = STORE__RECORD_RUN_SHIFT - STORE__RECORD_ZONE_SHIFT };

enum weir_status store__condition_prepare(struct weir_engine *engine, struct store__condition *condition,
                                          const struct store__partition *partition, struct weir_error *error) {
    const int64_t day = partition->day;
    condition->zone = -1;
    condition->row_zone = INT64_MAX;
    condition->run = -1;
    enum weir_status status = store__record_prepare(
        engine,
        "SELECT zone, records FROM record_value_%lld WHERE dimension = ? AND value = ? AND zone <= ?"
        " ORDER BY zone DESC LIMIT 1",
        day, &condition->rows, error);
    if (status != WEIR_OK || !store__record_may_be_rare(condition->dimension))
        return status;
    status = store__record_prepare(
        engine, "SELECT zone, rare FROM record_zone_id_%lld WHERE zone >= ? AND zone <= ? ORDER BY zone DESC", day,
        &condition->zones, error);
    if (status == WEIR_OK)
        status = store__record_prepare(engine, "SELECT ids FROM record_run_id_%lld WHERE bucket = ?", day,
                                       &condition->runs, error);
    return status;
}

void store__condition_release(struct store__condition *condition) {
    sqlite3_stmt **const statements[] = {&condition->rows, &condition->zones, &condition->runs};
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        (void)sqlite3_finalize(*statements[i]);
        *statements[i] = NULL;
    }
    condition->bucket = WEIR_SPAN("");
}

/* --- rows --- */
static enum weir_status find_row(struct weir_engine *engine, struct store__condition *condition, int64_t zone,
                                 struct weir_error *error) {
    (void)sqlite3_bind_int64(condition->rows, 1, condition->dimension);
    (void)sqlite3_bind_int64(condition->rows, 2, condition->value);
    (void)sqlite3_bind_int64(condition->rows, 3, zone);
    int code = sqlite3_step(condition->rows);
    enum weir_status status = WEIR_OK;
    if (code == SQLITE_ROW) {
        condition->row_zone = sqlite3_column_int64(condition->rows, 0);
        if (store__record_bits_decode(store__column_span(condition->rows, 1), &condition->row_bits) != WEIR_OK)
            status = weir_fail(error, WEIR_ECORRUPT, "the index of request records cannot be read");
    } else if (code == SQLITE_DONE) {
        condition->row_zone = -1;
    } else {
        status = store__sqlite_fail(engine, "list the request records", error);
    }
    (void)sqlite3_reset(condition->rows);
    return status;
}

/* --- rare values --- */
/* The newest zone in [first, last] that one of the ids with the hash has, and its records; false: none. `run` is the first zone of theirs. */
static bool newest_of(struct weir_span ids, uint64_t hash, int64_t run, int64_t first, int64_t last,
                      struct store__condition *condition) {
    int64_t newest = -1;
    for (size_t at = 0; at + STORE__ID_BYTES <= ids.length; at += STORE__ID_BYTES) {
        uint64_t id;
        memcpy(&id, ids.at + at, sizeof(id));
        if ((id ^ hash) >= STORE__RECORD_RUN)
            continue;
        uint64_t place = id % STORE__RECORD_RUN;
        int64_t zone = run + (int64_t)(place >> STORE__RECORD_ZONE_SHIFT);
        if (zone < first || zone > last || zone < newest)
            continue;
        if (zone > newest)
            memset(&condition->bits, 0, sizeof(condition->bits));
        newest = zone;
        condition->bits.words[place % STORE__RECORD_ZONE / 64] |= UINT64_C(1) << (place % 64);
    }
    if (newest >= 0)
        condition->zone = newest;
    return newest >= 0;
}

static int64_t run_of(int64_t zone) {
    return zone >> ZONES_OF_RUN_SHIFT;
}

static enum weir_status look_in_zones(struct weir_engine *engine, struct store__condition *condition, int64_t first,
                                      int64_t *last, uint64_t most, uint64_t *looked, struct weir_error *error) {
    const uint64_t hash = store__record_rare_hash(condition->dimension, condition->value);
    enum weir_status status = WEIR_ENOTFOUND;
    (void)sqlite3_bind_int64(condition->zones, 1, first);
    (void)sqlite3_bind_int64(condition->zones, 2, *last);
    while (status == WEIR_ENOTFOUND) {
        int code = sqlite3_step(condition->zones);
        if (code == SQLITE_DONE)
            break;
        if (code != SQLITE_ROW) {
            status = store__sqlite_fail(engine, "list the request records", error);
            break;
        }
        *last = sqlite3_column_int64(condition->zones, 0);
        struct weir_span group = store__record_group(store__column_span(condition->zones, 1), hash);
        if (newest_of(group, hash, run_of(*last) << ZONES_OF_RUN_SHIFT, *last, *last, condition))
            status = WEIR_OK;
        else if (++*looked >= most)
            status = WEIR_END;
    }
    (void)sqlite3_reset(condition->zones);
    return status;
}

/* The bucket stays where it is until another run is asked for: a leap in the same run costs no look at the table. */
static enum weir_status find_bucket(struct weir_engine *engine, struct store__condition *condition, int64_t run,
                                    uint64_t hash, uint64_t *looked, struct weir_error *error) {
    if (condition->run == run)
        return WEIR_OK;
    uint64_t bucket = (uint64_t)run << STORE__RECORD_BUCKET_SHIFT | hash >> (64 - STORE__RECORD_BUCKET_SHIFT);
    (void)sqlite3_reset(condition->runs);
    (void)sqlite3_bind_int64(condition->runs, 1, (int64_t)bucket);
    ++*looked;
    int code = sqlite3_step(condition->runs);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return store__sqlite_fail(engine, "list the request records", error);
    condition->bucket = code == SQLITE_ROW ? store__column_span(condition->runs, 0) : WEIR_SPAN("");
    condition->run = run;
    return WEIR_OK;
}

static enum weir_status look_in_runs(struct weir_engine *engine, struct store__condition *condition, int64_t first,
                                     int64_t *last, uint64_t most, uint64_t *looked, struct weir_error *error) {
    const uint64_t hash = store__record_rare_hash(condition->dimension, condition->value);
    for (int64_t run = run_of(*last); run >= run_of(first) && *last >= first; run--) {
        int64_t start = run << ZONES_OF_RUN_SHIFT;
        enum weir_status status = find_bucket(engine, condition, run, hash, looked, error);
        if (status != WEIR_OK)
            return status;
        if (newest_of(condition->bucket, hash, start, first, *last, condition))
            return WEIR_OK;
        if (*looked >= most) {
            *last = start > first ? start : first;
            return WEIR_END;
        }
        *last = start - 1;
    }
    return WEIR_ENOTFOUND;
}

/* The newest zone in [first, *zone] that has the value rarely. WEIR_END: as store__condition_leap. */
static enum weir_status leap_to_rare(struct weir_engine *engine, struct store__condition *condition,
                                     const struct store__partition *partition, int64_t first, int64_t *zone,
                                     uint64_t most, uint64_t *looked, struct weir_error *error) {
    /* Only the last zone of a day is merged before it is full. */
    int64_t unmerged = (partition->merged_to + STORE__RECORD_ZONE - 1) >> STORE__RECORD_ZONE_SHIFT;
    int64_t oldest = partition->first >> STORE__RECORD_ZONE_SHIFT;
    enum weir_status status = WEIR_ENOTFOUND;
    if (first < oldest)
        first = oldest;
    if (*zone >= unmerged)
        status = look_in_zones(engine, condition, first > unmerged ? first : unmerged, zone, most, looked, error);
    if (status != WEIR_ENOTFOUND || first >= unmerged)
        return status;
    if (*zone >= unmerged)
        *zone = unmerged - 1;
    return look_in_runs(engine, condition, first, zone, most, looked, error);
}

enum weir_status store__condition_leap(struct weir_engine *engine, struct store__condition *condition,
                                       const struct store__partition *partition, int64_t *zone, uint64_t most,
                                       uint64_t *looked, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    if (condition->zone >= 0 && condition->zone <= *zone)
        return WEIR_OK;
    ++*looked;
    if (condition->row_zone > *zone)
        status = find_row(engine, condition, *zone, error);
    if (status == WEIR_OK && store__record_may_be_rare(condition->dimension)) {
        status = leap_to_rare(engine, condition, partition, condition->row_zone + 1, zone, most, looked, error);
        if (status != WEIR_ENOTFOUND)
            return status;
        status = WEIR_OK;
    }
    if (status == WEIR_OK && condition->row_zone < 0)
        return WEIR_ENOTFOUND;
    condition->zone = condition->row_zone;
    condition->bits = condition->row_bits;
    return status;
}
