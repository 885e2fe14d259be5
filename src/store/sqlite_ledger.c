/* The ledger in SQLite: one compact row an entry, appended; listed in order of sequence.
 *
 * Rows are found by sequence, by key, by request id (weir's or the client's). Time has no index of its own: entries
 * come nearly in order of time, so ledger_zone, which holds the smallest and largest start of each 1024 numbers,
 * narrows a listing to a range.
 */
#include "base/reasons.h"
#include "store/sqlite_impl.h"

enum { FLAG_STREAM = 1, FLAG_UNPRICED = 2, DEFAULT_LIMIT = 100, MAX_LIMIT = 10000, TRACE_DIGITS = 32 };

/* --- writing --- */
/* Durations are kept instead of end times. The difference wraps, so that any pair of numbers comes back as it was. */
static int64_t difference(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a - (uint64_t)b);
}
static int64_t sum(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

enum weir_status store__sqlite_ledger_insert(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                             const struct store__entry_numbers *numbers, int64_t sequence,
                                             struct weir_error *error) {
    char attempts[STORE__MAX_ATTEMPTS_BYTES];
    size_t attempts_size = entry->attempt_count > 0 ? store__attempts_encode(entry, numbers, attempts) : 0;
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_LEDGER_INSERT, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, sequence);
    store__bind_blob(&binder, entry->request_id.bytes, sizeof(entry->request_id.bytes));
    for (size_t i = 0; i < sizeof(numbers->texts) / sizeof(numbers->texts[0]); i++)
        store__bind_integer(&binder, numbers->texts[i]);
    store__bind_integer(&binder, entry->start_utc_us);
    store__bind_integer(&binder, difference(entry->end_utc_us, entry->start_utc_us));
    store__bind_integer(&binder, entry->first_byte_us);
    store__bind_integer(&binder, entry->reserved_cu_milli);
    store__bind_integer(&binder, entry->cost_cu_milli);
    store__bind_integer(&binder, entry->overrun_cu_milli);
    store__bind_integer(&binder, entry->usage.input);
    store__bind_integer(&binder, entry->usage.cached);
    store__bind_integer(&binder, entry->usage.cache_write);
    store__bind_integer(&binder, entry->usage.output);
    store__bind_integer(&binder, entry->usage.reasoning);
    store__bind_integer(&binder, (int64_t)entry->revision);
    store__bind_integer(&binder, (entry->stream ? FLAG_STREAM : 0) | (entry->unpriced ? FLAG_UNPRICED : 0));
    store__bind_integer(&binder, entry->usage_source);
    store__bind_integer(&binder, entry->outcome);
    store__bind_integer(&binder, entry->reason);
    store__bind_integer(&binder, entry->status);
    store__bind_text_or_null(&binder, entry->client_request_id);
    if (numbers->trace_is_binary) { /* anything else is kept as it is */
        store__bind_blob(&binder, numbers->trace, sizeof(numbers->trace));
    } else {
        store__bind_text_or_null(&binder, entry->trace_id);
    }
    store__bind_text_or_null(&binder, entry->tags);
    store__bind_text_or_null(&binder, entry->client_address);
    if (attempts_size > 0) {
        store__bind_blob(&binder, attempts, attempts_size);
    } else {
        store__bind_null(&binder);
    }
    store__bind_nonzero(&binder, numbers->team);
    store__bind_nonzero(&binder, numbers->user);
    store__bind_nonzero(&binder, numbers->family);
    return store__binder_run(engine, &binder, "write a ledger entry", error);
}

/* --- reading --- */
static const char columns[] =
    "SELECT sequence, request_id, key, workspace, endpoint, model, provider, upstream_model, price_version,"
    " start_utc_us, duration_us, first_byte_us, reserved_cu_milli, cost_cu_milli, overrun_cu_milli, input_tokens,"
    " cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, revision, flags, usage_source,"
    " outcome, reason, status, client_request_id, trace_id, tags, client_address, attempts, " STORE__MORE_COLUMNS
    ", team, user, family FROM ledger LEFT JOIN ledger_more USING(sequence)";
enum { COLUMN_OF_ATTEMPTS = 30, FIRST_COLUMN_OF_MORE = 31, COLUMN_OF_TEAM = 39 };

/* "workspace/id" is one text of the dictionary, for sums are found by it. */
static enum weir_status member_of(struct weir_engine *engine, int64_t number, struct weir_span workspace,
                                  struct weir_span *id, struct weir_error *error) {
    struct weir_span text;
    enum weir_status status = store__dictionary_text(engine, number, &text, error);
    if (status == WEIR_OK)
        *id = text.length > workspace.length ? weir_span_from(text, workspace.length + 1) : WEIR_SPAN("");
    return status;
}

static enum weir_status entry_of_row(struct weir_engine *engine, sqlite3_stmt *row, char trace[TRACE_DIGITS + 1],
                                     struct weir_ledger_entry *entry, struct weir_error *error) {
    memset(entry, 0, sizeof(*entry));
    entry->sequence = sqlite3_column_int64(row, 0);
    struct weir_span id = store__column_span(row, 1);
    if (id.length == sizeof(entry->request_id.bytes))
        memcpy(entry->request_id.bytes, id.at, id.length);
    struct weir_span *const texts[] = {&entry->key_id,   &entry->workspace,      &entry->endpoint,     &entry->model,
                                       &entry->provider, &entry->upstream_model, &entry->price_version};
    for (int i = 0; i < (int)(sizeof(texts) / sizeof(texts[0])); i++) {
        enum weir_status status = store__dictionary_text(engine, sqlite3_column_int64(row, 2 + i), texts[i], error);
        if (status != WEIR_OK)
            return status;
    }
    entry->start_utc_us = sqlite3_column_int64(row, 9);
    entry->end_utc_us = sum(entry->start_utc_us, sqlite3_column_int64(row, 10));
    entry->first_byte_us = (uint32_t)sqlite3_column_int64(row, 11);
    entry->reserved_cu_milli = sqlite3_column_int64(row, 12);
    entry->cost_cu_milli = sqlite3_column_int64(row, 13);
    entry->overrun_cu_milli = sqlite3_column_int64(row, 14);
    entry->usage.input = sqlite3_column_int64(row, 15);
    entry->usage.cached = sqlite3_column_int64(row, 16);
    entry->usage.cache_write = sqlite3_column_int64(row, 17);
    entry->usage.output = sqlite3_column_int64(row, 18);
    entry->usage.reasoning = sqlite3_column_int64(row, 19);
    entry->revision = (uint64_t)sqlite3_column_int64(row, 20);
    int flags = sqlite3_column_int(row, 21);
    entry->stream = (flags & FLAG_STREAM) != 0;
    entry->unpriced = (flags & FLAG_UNPRICED) != 0;
    entry->usage_source = (uint8_t)sqlite3_column_int(row, 22);
    entry->outcome = (uint8_t)sqlite3_column_int(row, 23);
    entry->reason = (uint16_t)sqlite3_column_int(row, 24);
    entry->status = (uint16_t)sqlite3_column_int(row, 25);
    entry->client_request_id = store__column_span(row, 26);
    entry->trace_id = store__column_span(row, 27);
    if (sqlite3_column_type(row, 27) == SQLITE_BLOB && entry->trace_id.length == TRACE_DIGITS / 2) {
        weir_hex_format(entry->trace_id.at, entry->trace_id.length, trace);
        entry->trace_id = weir_span_of(trace, TRACE_DIGITS);
    }
    entry->tags = store__column_span(row, 28);
    entry->client_address = store__column_span(row, 29);
    enum weir_status status = store__more_read(row, FIRST_COLUMN_OF_MORE, entry, error);
    if (status == WEIR_OK)
        status = store__attempts_decode(engine, store__column_span(row, COLUMN_OF_ATTEMPTS), entry, error);
    if (status == WEIR_OK)
        status = store__attempt_costs_decode(store__column_span(row, COLUMN_OF_TEAM - 1), entry, error);
    if (status == WEIR_OK)
        status = member_of(engine, sqlite3_column_int64(row, COLUMN_OF_TEAM), entry->workspace, &entry->team, error);
    if (status == WEIR_OK) {
        status = member_of(engine, sqlite3_column_int64(row, COLUMN_OF_TEAM + 1), entry->workspace, &entry->user,
                           error);
    }
    if (status == WEIR_OK)
        status = store__dictionary_text(engine, sqlite3_column_int64(row, COLUMN_OF_TEAM + 2), &entry->family, error);
    return status;
}

/* The first or last sequence number of the zones that a bound of time leaves; WEIR_ENOTFOUND: none is left. */
static enum weir_status zone_bound(struct weir_engine *engine, enum store__sql which, int64_t utc_us, int64_t *zone,
                                   struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, utc_us);
    return store__sqlite_integer(engine, statement, "read the ledger's index of times", zone, error);
}

struct bounds {
    int64_t after, last;    /* sequence numbers: (after, last] */
    int64_t key, workspace; /* numbers in the dictionary; -1: any */
    struct weir_uuid uuid;  /* of the request id asked for, when it is one */
    bool is_uuid;
};

/* WEIR_ENOTFOUND: no entry has this text. */
static enum weir_status find_text(struct weir_engine *engine, struct weir_span text, int64_t *number,
                                  struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_DICTIONARY_FIND, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, text);
    return store__sqlite_integer(engine, statement, "look up the ledger's dictionary", number, error);
}

/* WEIR_ENOTFOUND: nothing can match. */
static enum weir_status bounds_of(struct weir_engine *engine, const struct weir_ledger_query *query,
                                  struct bounds *bounds, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    int64_t zone = 0;
    *bounds = (struct bounds){.after = query->after_sequence, .last = INT64_MAX, .key = -1, .workspace = -1};
    if (query->from_utc_us != 0) {
        status = zone_bound(engine, STORE__SQL_ZONE_FROM, query->from_utc_us, &zone, error);
        if (status != WEIR_OK)
            return status;
        int64_t first = (zone << STORE__ZONE_SHIFT) - 1;
        if (first > bounds->after)
            bounds->after = first;
    }
    if (query->until_utc_us != 0) {
        status = zone_bound(engine, STORE__SQL_ZONE_UNTIL, query->until_utc_us, &zone, error);
        if (status != WEIR_OK)
            return status;
        bounds->last = ((zone + 1) << STORE__ZONE_SHIFT) - 1;
    }
    if (query->key_id.length > 0)
        status = find_text(engine, query->key_id, &bounds->key, error);
    if (status == WEIR_OK && query->workspace.length > 0)
        status = find_text(engine, query->workspace, &bounds->workspace, error);
    if (status != WEIR_OK)
        return status;
    bounds->is_uuid = query->request_id.length > 0 && weir_uuid_parse(query->request_id, &bounds->uuid) == WEIR_OK;
    return WEIR_OK;
}

static enum weir_status prepare_listing(struct weir_engine *engine, const struct weir_ledger_query *query,
                                        const struct bounds *bounds, sqlite3_stmt **statement,
                                        struct weir_error *error) {
    size_t limit = query->limit == 0 ? DEFAULT_LIMIT : query->limit;
    const char *by_id = "";
    if (query->request_id.length > 0) {
        /* A client may send an id of the same form as ours: then either may be meant. */
        by_id = bounds->is_uuid ? " AND (request_id = ?6 OR client_request_id = ?7)" : " AND client_request_id = ?7";
    }
    /* The unary plus keeps the range from being preferred to the far smaller set that an id names. */
    const char *plus = query->request_id.length > 0 ? "+" : "";
    char sql[sizeof(columns) + 320];
    (void)snprintf(sql, sizeof(sql),
                   "%s%s WHERE %ssequence > ?1 AND %ssequence <= ?2%s%s%s%s%s ORDER BY sequence%s LIMIT ?8%s",
                   query->newest ? "SELECT * FROM (" : "", columns, plus, plus,
                   query->from_utc_us != 0 ? " AND start_utc_us >= ?3" : "",
                   query->until_utc_us != 0 ? " AND start_utc_us < ?4" : "", bounds->key >= 0 ? " AND key = ?5" : "",
                   bounds->workspace >= 0 ? " AND +workspace = ?9" : "", by_id, query->newest ? " DESC" : "",
                   query->newest ? ") ORDER BY 1" : "");
    if (sqlite3_prepare_v2(engine->database, sql, -1, statement, NULL) != SQLITE_OK) {
        return store__sqlite_fail(engine, "list the ledger", error);
    }
    (void)sqlite3_bind_int64(*statement, 1, bounds->after);
    (void)sqlite3_bind_int64(*statement, 2, bounds->last);
    if (query->from_utc_us != 0)
        (void)sqlite3_bind_int64(*statement, 3, query->from_utc_us);
    if (query->until_utc_us != 0)
        (void)sqlite3_bind_int64(*statement, 4, query->until_utc_us);
    if (bounds->key >= 0)
        (void)sqlite3_bind_int64(*statement, 5, bounds->key);
    if (bounds->workspace >= 0)
        (void)sqlite3_bind_int64(*statement, 9, bounds->workspace);
    if (bounds->is_uuid) {
        (void)sqlite3_bind_blob(*statement, 6, bounds->uuid.bytes, sizeof(bounds->uuid.bytes), SQLITE_STATIC);
    }
    if (query->request_id.length > 0) {
        (void)sqlite3_bind_text(*statement, 7, query->request_id.at, (int)query->request_id.length, SQLITE_STATIC);
    }
    (void)sqlite3_bind_int64(*statement, 8, (int64_t)(limit < MAX_LIMIT ? limit : MAX_LIMIT));
    return WEIR_OK;
}

enum weir_status store__sqlite_ledger_each(struct weir_engine *engine, const struct weir_ledger_query *query,
                                           weir_ledger_visit visit, void *context, struct weir_error *error) {
    struct bounds bounds;
    store__dictionary_trim(engine);
    enum weir_status status = bounds_of(engine, query, &bounds, error);
    if (status == WEIR_ENOTFOUND)
        return WEIR_OK;
    sqlite3_stmt *statement = NULL;
    if (status == WEIR_OK)
        status = prepare_listing(engine, query, &bounds, &statement, error);
    while (status == WEIR_OK) {
        struct weir_ledger_entry entry;
        char trace[TRACE_DIGITS + 1];
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE)
            break;
        if (code == SQLITE_ROW) {
            status = entry_of_row(engine, statement, trace, &entry, error);
            if (status == WEIR_OK)
                status = visit(context, &entry);
        } else {
            status = store__sqlite_fail(engine, "list the ledger", error);
        }
    }
    (void)sqlite3_finalize(statement);
    return status == WEIR_END ? WEIR_OK : status;
}
