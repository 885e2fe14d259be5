/* Captured contents in SQLite: a row each, found by the request's id, taken away in the order in which they expire. */
#include "store/sqlite_impl.h"

static enum weir_status put_one(struct weir_engine *engine, const struct weir_content *content,
                                struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_CONTENT_INSERT, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, content->request_id);
    store__bind_text(&binder, content->workspace);
    store__bind_integer(&binder, content->created_utc_us);
    store__bind_integer(&binder, content->expires_utc_us);
    store__bind_blob(&binder, content->blob.at, content->blob.length);
    return store__binder_run(engine, &binder, "write a captured content", error);
}

enum weir_status store__sqlite_content_put(struct weir_engine *engine, const struct weir_content *contents,
                                           size_t count, struct weir_error *error) {
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < count && status == WEIR_OK; i++)
        status = put_one(engine, &contents[i], error);
    return store__sqlite_end(engine, status, error);
}

static struct weir_content read_row(sqlite3_stmt *statement) {
    return (struct weir_content){.number = sqlite3_column_int64(statement, 0),
                                 .request_id = store__column_span(statement, 1),
                                 .workspace = store__column_span(statement, 2),
                                 .created_utc_us = sqlite3_column_int64(statement, 3),
                                 .expires_utc_us = sqlite3_column_int64(statement, 4),
                                 .blob = store__column_span(statement, 5)};
}

static enum weir_status copy_row(struct weir_arena *arena, struct weir_content *content, struct weir_error *error) {
    if (weir_arena_dup(arena, content->request_id, &content->request_id) == WEIR_OK &&
        weir_arena_dup(arena, content->workspace, &content->workspace) == WEIR_OK &&
        weir_arena_dup(arena, content->blob, &content->blob) == WEIR_OK)
        return WEIR_OK;
    return weir_fail(error, WEIR_ENOMEM, "no memory for a captured content");
}

enum weir_status store__sqlite_content_get(struct weir_engine *engine, struct weir_span request_id,
                                           struct weir_arena *arena, struct weir_content *content,
                                           struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_CONTENT_GET, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, request_id);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *content = read_row(statement);
        status = copy_row(arena, content, error);
    } else if (code == SQLITE_DONE) {
        status = weir_fail(error, WEIR_ENOTFOUND, "there is no content of this request");
    } else {
        status = store__sqlite_fail(engine, "read a captured content", error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

enum weir_status store__sqlite_content_delete(struct weir_engine *engine, struct weir_span request_id,
                                              struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t number = 0;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_CONTENT_DELETE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, request_id);
    status = store__sqlite_integer(engine, statement, "delete a captured content", &number, error);
    return status == WEIR_ENOTFOUND ? weir_fail(error, status, "there is no content of this request") : status;
}

enum weir_status store__sqlite_content_each(struct weir_engine *engine, int64_t after, size_t limit, bool heads,
                                            weir_content_visit visit, void *context, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine,
                                                      heads ? STORE__SQL_CONTENT_HEADS : STORE__SQL_CONTENT_EACH,
                                                      &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, after);
    store__bind_integer(&binder, (int64_t)limit);
    int code = sqlite3_step(statement);
    while (code == SQLITE_ROW && status == WEIR_OK) {
        struct weir_content content = read_row(statement);
        status = visit(context, &content);
        if (status == WEIR_OK)
            code = sqlite3_step(statement);
    }
    if (status == WEIR_OK && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read captured contents", error);
    (void)sqlite3_reset(statement);
    return status == WEIR_END ? WEIR_OK : status;
}

enum weir_status store__sqlite_content_reseal(struct weir_engine *engine, int64_t number, struct weir_span blob,
                                              struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t found = 0;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_CONTENT_RESEAL, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, blob.at, blob.length);
    store__bind_integer(&binder, number);
    return store__sqlite_integer(engine, statement, "seal a captured content anew", &found, error);
}

enum weir_status store__sqlite_content_sweep(struct weir_engine *engine, int64_t utc_us, size_t limit,
                                             uint64_t *removed, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_CONTENT_SWEEP, &statement, error);
    *removed = 0;
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, utc_us);
    store__bind_integer(&binder, (int64_t)limit);
    status = store__binder_run(engine, &binder, "take away captured contents", error);
    if (status == WEIR_OK)
        *removed = (uint64_t)sqlite3_changes64(engine->database);
    return status;
}
