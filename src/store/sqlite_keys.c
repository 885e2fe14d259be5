/* Keys in SQLite: made, changed, revoked, found, listed.
 *
 * A key's row is never deleted, so that the numbers of changes and of rows only grow. Listings are in order of the
 * row's number; which index narrows them is chosen here and named in the statement (INDEXED BY), so that no statistics
 * and no release of the library changes a plan.
 */
#include "store/sqlite_impl.h"
#include "store/texts.h"

enum { DEFAULT_LIMIT = 100, MAX_LIMIT = 1000, HINT_CHARACTERS = 4 };

static struct weir_span id_of(const struct weir_key_record *key) {
    return weir_span_of(key->id, strnlen(key->id, sizeof(key->id)));
}

static enum weir_status not_there(struct weir_span id, struct weir_error *error) {
    return weir_fail(error, WEIR_ENOTFOUND, "there is no key with the id \"%.*s\"", WEIR_SPAN_PRINT(id));
}

/* change, number and version, as the statements give them. */
static void take_over(struct weir_engine *engine, struct weir_key_record *key, const int64_t given[3]) {
    engine->self_changed = true;
    key->change = (uint64_t)given[0];
    key->number = given[1];
    key->version = (uint64_t)given[2];
}

/* --- writing --- */
enum weir_status store__sqlite_key_insert(struct weir_engine *engine, struct weir_key_record *key,
                                          struct weir_error *error) {
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    sqlite3_stmt *statement = NULL;
    int64_t given[3] = {0};
    status = store__sqlite_statement(engine, STORE__SQL_KEY_INSERT, &statement, error);
    if (status == WEIR_OK) {
        struct store__binder binder = store__binder_of(statement);
        store__bind_text(&binder, id_of(key));
        store__bind_blob(&binder, key->hash, sizeof(key->hash));
        store__bind_text(&binder, key->name);
        store__bind_text(&binder, key->workspace);
        store__bind_text(&binder, weir_span_of(key->hint, strnlen(key->hint, sizeof(key->hint))));
        store__bind_integer(&binder, key->created_utc_us);
        store__bind_integer(&binder, key->expires_utc_us);
        store__bind_integer(&binder, key->revoked_utc_us);
        store__bind_text_or_null(&binder, key->team);
        store__bind_text_or_null(&binder, key->user);
        store__bind_text_or_null(&binder, key->family);
        store__bind_text_or_null(&binder, key->rules);
        store__bind_text_or_null(&binder, key->tags);
        store__bind_text_or_null(&binder, key->replaced_by);
        store__bind_integer(&binder, key->updated_utc_us);
        store__bind_integer(&binder, key->end_streams ? 1 : 0);
        status = store__sqlite_integers(engine, statement, "store the key", given, 3, error);
        if (status == WEIR_EEXIST)
            status = weir_fail(error, WEIR_EEXIST, "there is a key with this id or secret already");
    }
    status = store__sqlite_end_durably(engine, status, error);
    if (status == WEIR_OK)
        take_over(engine, key, given);
    return status;
}

static enum weir_status update(struct weir_engine *engine, const struct weir_key_record *key, uint64_t expected_version,
                               int64_t given[3], struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_KEY_UPDATE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, key->name);
    store__bind_text(&binder, key->workspace);
    store__bind_integer(&binder, key->expires_utc_us);
    store__bind_integer(&binder, key->revoked_utc_us);
    store__bind_text_or_null(&binder, key->team);
    store__bind_text_or_null(&binder, key->user);
    store__bind_text_or_null(&binder, key->family);
    store__bind_text_or_null(&binder, key->rules);
    store__bind_text_or_null(&binder, key->tags);
    store__bind_text_or_null(&binder, key->replaced_by);
    store__bind_integer(&binder, key->updated_utc_us);
    store__bind_integer(&binder, key->end_streams ? 1 : 0);
    store__bind_text(&binder, id_of(key));
    store__bind_integer(&binder, (int64_t)expected_version);
    status = store__sqlite_integers(engine, statement, "change the key", given, 3, error);
    if (status != WEIR_ENOTFOUND)
        return status;
    int64_t revoked_utc_us = 0;
    status = store__sqlite_statement(engine, STORE__SQL_KEY_REVOKED, &statement, error);
    if (status != WEIR_OK)
        return status;
    binder = store__binder_of(statement);
    store__bind_text(&binder, id_of(key));
    status = store__sqlite_integer(engine, statement, "look up the key", &revoked_utc_us, error);
    if (status == WEIR_ENOTFOUND)
        return not_there(id_of(key), error);
    if (status != WEIR_OK)
        return status;
    return weir_fail(error, WEIR_ESTALE, "the key %s has changed since version %llu", key->id,
                     (unsigned long long)expected_version);
}

enum weir_status store__sqlite_key_update(struct weir_engine *engine, struct weir_key_record *key,
                                          uint64_t expected_version, struct weir_error *error) {
    int64_t given[3] = {0};
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = store__sqlite_end_durably(engine, update(engine, key, expected_version, given, error), error);
    if (status == WEIR_OK)
        take_over(engine, key, given);
    return status;
}

static enum weir_status revoke(struct weir_engine *engine, struct weir_span id, int64_t utc_us,
                               struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t revoked_utc_us = 0;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_KEY_REVOKED, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, id);
    status = store__sqlite_integer(engine, statement, "look up the key", &revoked_utc_us, error);
    if (status == WEIR_ENOTFOUND)
        return not_there(id, error);
    if (status != WEIR_OK || revoked_utc_us != 0)
        return status;
    status = store__sqlite_statement(engine, STORE__SQL_KEY_REVOKE, &statement, error);
    if (status != WEIR_OK)
        return status;
    binder = store__binder_of(statement);
    store__bind_integer(&binder, utc_us);
    store__bind_text(&binder, id);
    status = store__binder_run(engine, &binder, "revoke the key", error);
    if (status == WEIR_OK)
        engine->self_changed = true;
    return status;
}

enum weir_status store__sqlite_key_revoke(struct weir_engine *engine, struct weir_span id, int64_t utc_us,
                                          struct weir_error *error) {
    enum weir_status status = store__sqlite_begin(engine, error);
    return status == WEIR_OK ? store__sqlite_end_durably(engine, revoke(engine, id, utc_us, error), error) : status;
}

/* --- reading --- */
static void copy_text(char *out, size_t size, struct weir_span text) {
    size_t length = text.length < size ? text.length : size - 1;
    memset(out, 0, size);
    if (length > 0)
        memcpy(out, text.at, length);
}

static void key_of_row(sqlite3_stmt *row, struct weir_key_record *key) {
    memset(key, 0, sizeof(*key));
    copy_text(key->id, sizeof(key->id), store__column_span(row, 0));
    struct weir_span hash = store__column_span(row, 1);
    if (hash.length == sizeof(key->hash))
        memcpy(key->hash, hash.at, sizeof(key->hash));
    key->name = store__column_span(row, 2);
    key->workspace = store__column_span(row, 3);
    copy_text(key->hint, sizeof(key->hint), store__column_span(row, 4));
    key->created_utc_us = sqlite3_column_int64(row, 5);
    key->expires_utc_us = sqlite3_column_int64(row, 6);
    key->revoked_utc_us = sqlite3_column_int64(row, 7);
    key->change = (uint64_t)sqlite3_column_int64(row, 8);
    key->number = sqlite3_column_int64(row, 9);
    key->team = store__column_span(row, 10);
    key->user = store__column_span(row, 11);
    key->family = store__column_span(row, 12);
    key->rules = store__column_span(row, 13);
    key->tags = store__column_span(row, 14);
    key->replaced_by = store__column_span(row, 15);
    key->updated_utc_us = sqlite3_column_int64(row, 16);
    key->version = (uint64_t)sqlite3_column_int64(row, 17);
    key->end_streams = sqlite3_column_int(row, 18) != 0;
}

/* Steps through all rows; the caller resets or finalizes. */
static enum weir_status each_row(struct weir_engine *engine, sqlite3_stmt *statement, weir_key_visit visit,
                                 void *context, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    int code = SQLITE_ROW;
    while (status == WEIR_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct weir_key_record key;
        key_of_row(statement, &key);
        status = visit(context, &key);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read the keys", error);
    return status == WEIR_END ? WEIR_OK : status;
}

enum weir_status store__sqlite_key_each(struct weir_engine *engine, uint64_t after, weir_key_visit visit, void *context,
                                        struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_KEY_EACH, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, after > INT64_MAX ? INT64_MAX : (int64_t)after);
    status = each_row(engine, statement, visit, context, error);
    (void)sqlite3_reset(statement);
    return status;
}

/* The one row of a statement whose values are bound. */
static enum weir_status read_one(struct weir_engine *engine, const struct store__binder *binder,
                                 struct weir_arena *arena, struct weir_key_record *key, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    struct weir_key_record found;
    int code = binder->code == SQLITE_OK ? sqlite3_step(binder->statement) : binder->code;
    if (code == SQLITE_ROW) {
        key_of_row(binder->statement, &found);
        status = store__key_keep(&found, arena);
        if (status != WEIR_OK)
            status = weir_fail(error, status, "no memory to read the key");
    } else {
        status = code == SQLITE_DONE ? WEIR_ENOTFOUND : store__sqlite_fail(engine, "read the key", error);
    }
    (void)sqlite3_reset(binder->statement);
    if (status == WEIR_OK)
        *key = found;
    return status;
}

enum weir_status store__sqlite_key_get(struct weir_engine *engine, struct weir_span id, struct weir_arena *arena,
                                       struct weir_key_record *key, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_KEY_GET, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, id);
    status = read_one(engine, &binder, arena, key, error);
    return status == WEIR_ENOTFOUND ? not_there(id, error) : status;
}

enum weir_status store__sqlite_key_find(struct weir_engine *engine, const unsigned char hash[WEIR_KEY_HASH_SIZE],
                                        struct weir_arena *arena, struct weir_key_record *key,
                                        struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_KEY_FIND, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, hash, WEIR_KEY_HASH_SIZE);
    status = read_one(engine, &binder, arena, key, error);
    return status == WEIR_ENOTFOUND ? weir_fail(error, status, "there is no such key") : status;
}

/* --- listings --- */
enum { AFTER = 1, LIMIT, WORKSPACE, TEAM, USER, FAMILY, HINT_FROM, HINT_UNTIL, NOW, CREATED };

/* The index that leaves the fewest rows; "" where the order of numbers serves best, or a condition brings its own. */
static const char *index_for(const struct weir_key_query *query) {
    if (query->family.length > 0)
        return "";
    if (query->user.length > 0)
        return " INDEXED BY api_key_by_user";
    if (query->team.length > 0)
        return " INDEXED BY api_key_by_team";
    if (query->hint_prefix.length > 0)
        return " INDEXED BY api_key_by_hint";
    if (query->workspace.length > 0)
        return " INDEXED BY api_key_by_workspace";
    return query->created_before_utc_us != 0 ? " INDEXED BY api_key_by_age" : "";
}

static enum weir_status prepare_listing(struct weir_engine *engine, const struct weir_key_query *query,
                                        char hint_end[HINT_CHARACTERS], sqlite3_stmt **statement,
                                        struct weir_error *error) {
    struct weir_span hint = query->hint_prefix;
    if (hint.length > HINT_CHARACTERS)
        return weir_fail(error, WEIR_EINVAL, "of a key only the first four characters are kept");
    bool alive = query->active_only || query->created_before_utc_us != 0;
    char sql[1600];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT " STORE__KEY_COLUMNS
                   " FROM api_key%s WHERE rowid > ?1%s%s%s%s%s%s%s ORDER BY rowid LIMIT ?2",
                   index_for(query), query->workspace.length > 0 ? " AND workspace = ?3" : "",
                   query->team.length > 0 ? " AND team = ?4" : "", query->user.length > 0 ? " AND user = ?5" : "",
                   query->family.length > 0 ? " AND rowid IN (SELECT rowid FROM api_key WHERE family = ?6 UNION ALL"
                                              " SELECT rowid FROM api_key WHERE id = ?6 AND family IS NULL)"
                                            : "",
                   hint.length > 0 ? " AND hint >= ?7 AND hint < ?8" : "",
                   alive ? " AND revoked_utc_us = 0 AND (expires_utc_us = 0 OR expires_utc_us > ?9)" : "",
                   query->created_before_utc_us != 0 ? " AND replaced_by IS NULL AND created_utc_us < ?10" : "");
    enum weir_status status = store__sqlite_prepare(engine, sql, "list the keys", statement, error);
    if (status != WEIR_OK)
        return status;
    if (hint.length > 0) {
        /* What comes after all that begins so. */
        memcpy(hint_end, hint.at, hint.length);
        hint_end[hint.length - 1] = (char)(hint_end[hint.length - 1] + 1);
    }
    const struct {
        int index;
        struct weir_span text;
    } texts[] = {{WORKSPACE, query->workspace}, {TEAM, query->team}, {USER, query->user},
                 {FAMILY, query->family},       {HINT_FROM, hint},   {HINT_UNTIL, weir_span_of(hint_end, hint.length)}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].text.length > 0) {
            (void)sqlite3_bind_text(*statement, texts[i].index, texts[i].text.at, (int)texts[i].text.length,
                                    SQLITE_STATIC);
        }
    }
    (void)sqlite3_bind_int64(*statement, AFTER, query->after_number);
    (void)sqlite3_bind_int64(*statement, LIMIT, (int64_t)store__limit(query->limit, DEFAULT_LIMIT, MAX_LIMIT));
    if (alive)
        (void)sqlite3_bind_int64(*statement, NOW, query->now_utc_us);
    if (query->created_before_utc_us != 0)
        (void)sqlite3_bind_int64(*statement, CREATED, query->created_before_utc_us);
    return WEIR_OK;
}

enum weir_status store__sqlite_key_list(struct weir_engine *engine, const struct weir_key_query *query,
                                        weir_key_visit visit, void *context, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    char hint_end[HINT_CHARACTERS];
    enum weir_status status = prepare_listing(engine, query, hint_end, &statement, error);
    if (status == WEIR_OK)
        status = each_row(engine, statement, visit, context, error);
    (void)sqlite3_finalize(statement);
    return status;
}

static enum weir_status note_start(void *context, const struct weir_ledger_entry *entry) {
    int64_t *utc_us = context;
    *utc_us = entry->start_utc_us;
    return WEIR_OK;
}

enum weir_status store__sqlite_key_last_use(struct weir_engine *engine, struct weir_span id, int64_t *utc_us,
                                            struct weir_error *error) {
    *utc_us = 0;
    const struct weir_ledger_query newest = {.key_id = id, .limit = 1, .newest = true};
    return id.length > 0 ? store__sqlite_ledger_each(engine, &newest, note_start, utc_us, error) : WEIR_OK;
}
