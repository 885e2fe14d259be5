/* Texts that repeat in every ledger row (keys, models, providers, …) are stored once and named by a small number.
 *
 * The memory of it is a cache over the table: rows are never changed or deleted, so what was once read stays true. A
 * number given inside a transaction that is rolled back does not, so a rollback clears the cache.
 */
#include "base/memory.h"
#include "store/sqlite_impl.h"

enum { MAX_CACHED = 16384 };

struct entry {
    int64_t id;
    size_t length;
    char text[];
};

static enum weir_status remember(struct weir_engine *engine, int64_t id, struct weir_span text, struct entry **made,
                                 struct weir_error *error) {
    struct store__dictionary *dictionary = &engine->dictionary;
    if (dictionary->by_text == NULL)
        dictionary->by_text = weir_map_new(256);
    if (dictionary->by_id == NULL)
        dictionary->by_id = weir_map_new(256);
    struct entry *entry = weir_memory_new(1, sizeof(*entry) + text.length + 1);
    if (dictionary->by_text == NULL || dictionary->by_id == NULL || entry == NULL)
        goto no_memory;
    entry->id = id;
    entry->length = text.length;
    if (text.length > 0)
        memcpy(entry->text, text.at, text.length);
    if (weir_map_put(dictionary->by_text, weir_span_of(entry->text, entry->length), entry, NULL) != WEIR_OK)
        goto no_memory;
    if (weir_map_put(dictionary->by_id, weir_span_of((const char *)&entry->id, sizeof(entry->id)), entry, NULL) !=
        WEIR_OK) {
        (void)weir_map_remove(dictionary->by_text, weir_span_of(entry->text, entry->length));
        goto no_memory;
    }
    dictionary->count++;
    *made = entry;
    return WEIR_OK;
no_memory:
    weir_memory_free(entry);
    return weir_fail(error, WEIR_ENOMEM, "no memory for the ledger's dictionary");
}

/* Tries `ways` one after the other, from the first. */
static enum weir_status number_of(struct weir_engine *engine, struct weir_span text, size_t ways, int64_t *id,
                                  struct weir_error *error) {
    static const enum store__sql all[] = {STORE__SQL_DICTIONARY_FIND, STORE__SQL_DICTIONARY_INSERT};
    *id = 0;
    if (text.length == 0)
        return WEIR_OK;
    struct entry *entry = engine->dictionary.by_text != NULL ? weir_map_find(engine->dictionary.by_text, text) : NULL;
    if (entry != NULL) {
        *id = entry->id;
        return WEIR_OK;
    }
    int64_t found = 0;
    enum weir_status status = WEIR_ENOTFOUND;
    for (size_t i = 0; i < ways && status == WEIR_ENOTFOUND; i++) {
        sqlite3_stmt *statement = NULL;
        status = store__sqlite_statement(engine, all[i], &statement, error);
        if (status != WEIR_OK)
            return status;
        struct store__binder binder = store__binder_of(statement);
        store__bind_text(&binder, text);
        status = store__sqlite_integer(engine, statement, "look up the ledger's dictionary", &found, error);
    }
    if (status == WEIR_OK)
        status = remember(engine, found, text, &entry, error);
    if (status == WEIR_OK)
        *id = found;
    return status;
}

enum weir_status store__dictionary_id(struct weir_engine *engine, struct weir_span text, int64_t *id,
                                      struct weir_error *error) {
    return number_of(engine, text, 2, id, error);
}

enum weir_status store__dictionary_find(struct weir_engine *engine, struct weir_span text, int64_t *id,
                                        struct weir_error *error) {
    enum weir_status status = number_of(engine, text, 1, id, error);
    return status == WEIR_ENOTFOUND ? WEIR_OK : status;
}

enum weir_status store__dictionary_text(struct weir_engine *engine, int64_t id, struct weir_span *text,
                                        struct weir_error *error) {
    if (id == 0) {
        *text = WEIR_SPAN("");
        return WEIR_OK;
    }
    struct entry *entry = engine->dictionary.by_id != NULL
                              ? weir_map_find(engine->dictionary.by_id, weir_span_of((const char *)&id, sizeof(id)))
                              : NULL;
    if (entry == NULL) {
        sqlite3_stmt *statement = NULL;
        enum weir_status status = store__sqlite_statement(engine, STORE__SQL_DICTIONARY_TEXT, &statement, error);
        if (status != WEIR_OK)
            return status;
        struct store__binder binder = store__binder_of(statement);
        store__bind_integer(&binder, id);
        int code = sqlite3_step(statement);
        if (code == SQLITE_ROW) {
            status = remember(engine, id, store__column_span(statement, 0), &entry, error);
        } else if (code == SQLITE_DONE) {
            status = weir_fail(error, WEIR_ECORRUPT, "the ledger names text %lld, which is not there", (long long)id);
        } else {
            status = store__sqlite_fail(engine, "read the ledger's dictionary", error);
        }
        (void)sqlite3_reset(statement);
        if (entry == NULL)
            return status; /* which says why */
    }
    *text = weir_span_of(entry->text, entry->length);
    return WEIR_OK;
}

void store__dictionary_trim(struct weir_engine *engine) {
    if (engine->dictionary.count > MAX_CACHED)
        store__dictionary_clear(engine);
}

void store__dictionary_clear(struct weir_engine *engine) {
    struct store__dictionary *dictionary = &engine->dictionary;
    size_t cursor = 0;
    struct weir_span key;
    void *entry;
    weir_map_free(&dictionary->by_text);
    while (dictionary->by_id != NULL && weir_map_next(dictionary->by_id, &cursor, &key, &entry))
        weir_memory_free(entry);
    weir_map_free(&dictionary->by_id);
    dictionary->count = 0;
}
