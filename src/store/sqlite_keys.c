/* Keys in SQLite: insert, revoke, list by change.
 *
 * A key's row is never deleted, so that the change numbers only grow.
 */
#include "store/sqlite_impl.h"

enum weir_status store__sqlite_key_insert(struct weir_engine *engine, struct weir_key_record *key,
                                          struct weir_error *error) {
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    sqlite3_stmt *statement = NULL;
    int64_t change = 0;
    status = store__sqlite_statement(engine, STORE__SQL_KEY_INSERT, &statement, error);
    if (status == WEIR_OK) {
        struct store__binder binder = store__binder_of(statement);
        store__bind_text(&binder, weir_span_of(key->id, strnlen(key->id, sizeof(key->id))));
        store__bind_blob(&binder, key->hash, sizeof(key->hash));
        store__bind_text(&binder, key->name);
        store__bind_text(&binder, key->workspace);
        store__bind_text(&binder, weir_span_of(key->hint, strnlen(key->hint, sizeof(key->hint))));
        store__bind_integer(&binder, key->created_utc_us);
        store__bind_integer(&binder, key->expires_utc_us);
        store__bind_integer(&binder, key->revoked_utc_us);
        status = store__sqlite_integer(engine, statement, "store the key", &change, error);
        if (status == WEIR_EEXIST)
            status = weir_fail(error, WEIR_EEXIST, "there is a key with this id or secret already");
    }
    status = store__sqlite_end(engine, status, error);
    if (status != WEIR_OK)
        return status;
    engine->keys_changed = true;
    key->change = (uint64_t)change;
    return store__sqlite_flush(engine, error);
}

static enum weir_status revoke(struct weir_engine *engine, struct weir_span id, int64_t utc_us, bool *changed,
                               struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t revoked_utc_us = 0;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_KEY_REVOKED, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, id);
    status = store__sqlite_integer(engine, statement, "look up the key", &revoked_utc_us, error);
    if (status == WEIR_ENOTFOUND) {
        return weir_fail(error, WEIR_ENOTFOUND, "there is no key with the id \"%.*s\"", WEIR_SPAN_PRINT(id));
    }
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
        *changed = true;
    return status;
}

enum weir_status store__sqlite_key_revoke(struct weir_engine *engine, struct weir_span id, int64_t utc_us,
                                          struct weir_error *error) {
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    bool changed = false;
    status = store__sqlite_end(engine, revoke(engine, id, utc_us, &changed, error), error);
    if (status != WEIR_OK || !changed)
        return status;
    engine->keys_changed = true;
    return store__sqlite_flush(engine, error);
}

static void copy_text(char *out, size_t size, struct weir_span text) {
    size_t length = text.length < size ? text.length : size - 1;
    memset(out, 0, size);
    if (length > 0)
        memcpy(out, text.at, length);
}

static void key_of_row(sqlite3_stmt *statement, struct weir_key_record *key) {
    memset(key, 0, sizeof(*key));
    copy_text(key->id, sizeof(key->id), store__column_span(statement, 0));
    struct weir_span hash = store__column_span(statement, 1);
    if (hash.length == sizeof(key->hash))
        memcpy(key->hash, hash.at, sizeof(key->hash));
    key->name = store__column_span(statement, 2);
    key->workspace = store__column_span(statement, 3);
    copy_text(key->hint, sizeof(key->hint), store__column_span(statement, 4));
    key->created_utc_us = sqlite3_column_int64(statement, 5);
    key->expires_utc_us = sqlite3_column_int64(statement, 6);
    key->revoked_utc_us = sqlite3_column_int64(statement, 7);
    key->change = (uint64_t)sqlite3_column_int64(statement, 8);
}

enum weir_status store__sqlite_key_each(struct weir_engine *engine, uint64_t after, weir_key_visit visit, void *context,
                                        struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_KEY_EACH, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, after > INT64_MAX ? INT64_MAX : (int64_t)after);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct weir_key_record key;
        key_of_row(statement, &key);
        status = visit(context, &key);
        if (status != WEIR_OK)
            break;
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read the keys", error);
    (void)sqlite3_reset(statement);
    return status == WEIR_END ? WEIR_OK : status;
}
