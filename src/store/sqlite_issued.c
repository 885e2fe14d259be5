/* Issued ids in SQLite: one row an id, written with the ledger entry that tells of it, found by the id.
 *
 * Rows are not taken away here: an id is good for as long as the provider keeps what it stands for, which only the
 * provider knows.
 */
#include "store/sqlite_impl.h"

enum weir_status store__sqlite_issued_write(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                            struct weir_error *error) {
    if (entry->provider.length == 0)
        return WEIR_OK; /* nobody issued them */
    const struct weir_span texts[] = {entry->provider, entry->upstream_model, entry->workspace};
    enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };
    int64_t numbers[TEXTS];
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < TEXTS && status == WEIR_OK; i++)
        status = store__dictionary_id(engine, texts[i], &numbers[i], error);
    for (size_t i = 0; i < entry->issued_count && status == WEIR_OK; i++) {
        sqlite3_stmt *statement = NULL;
        status = store__sqlite_statement(engine, STORE__SQL_ISSUED_WRITE, &statement, error);
        if (status != WEIR_OK)
            break;
        struct store__binder binder = store__binder_of(statement);
        store__bind_text(&binder, entry->issued[i]);
        for (size_t k = 0; k < TEXTS; k++)
            store__bind_integer(&binder, numbers[k]);
        store__bind_integer(&binder, entry->start_utc_us);
        status = store__binder_run(engine, &binder, "write an issued id", error);
    }
    return status;
}

static enum weir_status copy_text(struct weir_engine *engine, int64_t number, struct weir_arena *arena,
                                  struct weir_span *text, struct weir_error *error) {
    enum weir_status status = store__dictionary_text(engine, number, text, error);
    if (status == WEIR_OK && weir_arena_dup(arena, *text, text) != WEIR_OK)
        status = weir_fail(error, WEIR_ENOMEM, "no memory for issued ids");
    return status;
}

/* The texts that were copied last: most often the next id is of the same provider, model and workspace. */
struct last {
    int64_t numbers[3];
    struct weir_span texts[3];
};

static enum weir_status find_one(struct weir_engine *engine, struct weir_arena *arena, struct last *last,
                                 struct weir_issued *found, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_ISSUED_FIND, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, found->id);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        for (int i = 0; i < 3 && status == WEIR_OK; i++) {
            int64_t number = sqlite3_column_int64(statement, i);
            if (number != last->numbers[i])
                status = copy_text(engine, number, arena, &last->texts[i], error);
            last->numbers[i] = number;
        }
        found->provider = last->texts[0];
        found->model = last->texts[1];
        found->workspace = last->texts[2];
    } else if (code != SQLITE_DONE) {
        status = store__sqlite_fail(engine, "look for an issued id", error);
    }
    (void)sqlite3_reset(statement);
    return status;
}

enum weir_status store__sqlite_issued_find(struct weir_engine *engine, const struct weir_span *ids, size_t count,
                                           struct weir_arena *arena, struct weir_issued *found,
                                           struct weir_error *error) {
    struct last last = {.texts = {WEIR_SPAN(""), WEIR_SPAN(""), WEIR_SPAN("")}};
    store__dictionary_trim(engine);
    /* One transaction, so that the file is locked and looked at once and not for each id. */
    enum weir_status status = store__sqlite_begin_to_read(engine, error);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        found[i] = (struct weir_issued){.id = ids[i],
                                        .provider = WEIR_SPAN(""),
                                        .model = WEIR_SPAN(""),
                                        .workspace = WEIR_SPAN("")};
        status = find_one(engine, arena, &last, &found[i], error);
    }
    return store__sqlite_end(engine, status, error);
}
