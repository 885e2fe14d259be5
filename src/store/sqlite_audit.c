/* Listing the audit trail.
 *
 * Entries come in order of their numbers, either way. Time has no index of its own: as in the ledger, audit_zone with
 * the smallest and largest time of each 1024 numbers narrows a listing to a range, whatever the clock did. Which index
 * serves the other filters is chosen here and named in the statement.
 */
#include "store/sqlite_audit.h"

enum { DEFAULT_LIMIT = 50, MAX_LIMIT = 10000 };
enum { AFTER = 1, LAST, LIMIT, FROM, UNTIL, RESULT, FIRST_TEXT };

struct bounds {
    int64_t after, last; /* numbers: (after, last] */
};

static enum weir_status zone_bound(struct weir_engine *engine, enum store__sql which, int64_t utc_us, int64_t *zone,
                                   struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, utc_us);
    return store__sqlite_integer(engine, statement, "read the audit trail's index of times", zone, error);
}

/* WEIR_ENOTFOUND: nothing can match. */
static enum weir_status bounds_of(struct weir_engine *engine, const struct weir_audit_query *query,
                                  struct bounds *bounds, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    int64_t zone = 0;
    *bounds = (struct bounds){.after = query->after_sequence, .last = INT64_MAX};
    if (query->before_sequence > 0)
        bounds->last = query->before_sequence - 1;
    if (query->from_utc_us != 0) {
        status = zone_bound(engine, STORE__SQL_AUDIT_ZONE_FROM, query->from_utc_us, &zone, error);
        int64_t first = (zone << STORE__ZONE_SHIFT) - 1;
        if (status == WEIR_OK && first > bounds->after)
            bounds->after = first;
    }
    if (status == WEIR_OK && query->until_utc_us != 0) {
        status = zone_bound(engine, STORE__SQL_AUDIT_ZONE_UNTIL, query->until_utc_us, &zone, error);
        int64_t last = ((zone + 1) << STORE__ZONE_SHIFT) - 1;
        if (status == WEIR_OK && last < bounds->last)
            bounds->last = last;
    }
    return status;
}

static enum weir_status prepare_listing(struct weir_engine *engine, const struct weir_audit_query *query,
                                        const struct bounds *bounds, sqlite3_stmt **statement,
                                        struct weir_error *error) {
    /* In order of how few rows the index leaves. */
    const struct {
        struct weir_span text;
        const char *condition, *index;
    } filters[] = {
        {query->resource_id, " AND resource_id = ?7", "audit_by_resource"},
        {query->actor_id, " AND actor_id = ?8", "audit_by_actor"},
        {query->actor_name, " AND actor_name = ?9", "audit_by_actor_name"},
        {query->action, " AND action = ?10", "audit_by_action"},
        {query->workspace, " AND workspace = ?11", "audit_by_workspace"},
        {query->resource_type, " AND resource_type = ?12", "audit_by_type"},
    };
    enum { FILTERS = sizeof(filters) / sizeof(filters[0]) };
    bool failed = query->has_result && query->result != WEIR_AUDIT_SUCCESS;
    const char *index = failed ? "audit_by_result" : "";
    for (size_t i = FILTERS; i > 0; i--)
        index = filters[i - 1].text.length > 0 ? filters[i - 1].index : index;
    char sql[1600];
    int length = snprintf(sql, sizeof(sql),
                          "SELECT " STORE__AUDIT_COLUMNS " FROM audit%s%s"
                          " WHERE sequence > ?1 AND sequence <= ?2%s%s%s",
                          index[0] != '\0' ? " INDEXED BY " : "", index,
                          query->from_utc_us != 0 ? " AND utc_us >= ?4" : "",
                          query->until_utc_us != 0 ? " AND utc_us < ?5" : "",
                          !query->has_result ? ""
                          : failed           ? " AND result = ?6 AND result <> 0"
                                             : " AND result = ?6");
    for (size_t i = 0; i < FILTERS; i++) {
        length += snprintf(sql + length, sizeof(sql) - (size_t)length, "%s",
                           filters[i].text.length > 0 ? filters[i].condition : "");
    }
    (void)snprintf(sql + length, sizeof(sql) - (size_t)length, " ORDER BY sequence%s LIMIT ?3",
                   query->oldest_first ? "" : " DESC");
    enum weir_status status = store__sqlite_prepare(engine, sql, "list the audit trail", statement, error);
    if (status != WEIR_OK)
        return status;
    (void)sqlite3_bind_int64(*statement, AFTER, bounds->after);
    (void)sqlite3_bind_int64(*statement, LAST, bounds->last);
    (void)sqlite3_bind_int64(*statement, LIMIT, (int64_t)store__limit(query->limit, DEFAULT_LIMIT, MAX_LIMIT));
    if (query->from_utc_us != 0)
        (void)sqlite3_bind_int64(*statement, FROM, query->from_utc_us);
    if (query->until_utc_us != 0)
        (void)sqlite3_bind_int64(*statement, UNTIL, query->until_utc_us);
    if (query->has_result)
        (void)sqlite3_bind_int(*statement, RESULT, (int)query->result);
    for (int i = 0; i < (int)FILTERS; i++) {
        if (filters[i].text.length > 0) {
            (void)sqlite3_bind_text(*statement, FIRST_TEXT + i, filters[i].text.at, (int)filters[i].text.length,
                                    SQLITE_STATIC);
        }
    }
    return WEIR_OK;
}

enum weir_status store__sqlite_audit_each(struct weir_engine *engine, const struct weir_audit_query *query,
                                          weir_audit_visit visit, void *context, struct weir_error *error) {
    struct bounds bounds;
    sqlite3_stmt *statement = NULL;
    enum weir_status status = bounds_of(engine, query, &bounds, error);
    if (status == WEIR_ENOTFOUND)
        return WEIR_OK;
    if (status == WEIR_OK)
        status = prepare_listing(engine, query, &bounds, &statement, error);
    while (status == WEIR_OK) {
        struct weir_audit_entry entry;
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE)
            break;
        if (code == SQLITE_ROW) {
            /* A damaged hash is for verifying to tell; the entry is shown all the same, with zeroes. */
            status = store__audit_of_row(statement, &entry);
            if (status == WEIR_OK || status == WEIR_ECORRUPT)
                status = visit(context, &entry);
        } else {
            status = store__sqlite_fail(engine, "list the audit trail", error);
        }
    }
    (void)sqlite3_finalize(statement);
    return status == WEIR_END ? WEIR_OK : status;
}
