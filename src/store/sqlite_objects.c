/* Objects in SQLite: plans, workspaces, teams, users, operators, tokens, sessions, secrets, all in one table.
 *
 * A removed object keeps its row, without its text, until the sweep a day later: whoever watches learns of it by its
 * number of change. So that such numbers only grow, the rows with the newest ones are never deleted. Listings are in
 * order of the row's number, and name their index.
 */
#include "store/sqlite_impl.h"
#include "store/texts.h"

enum { DEFAULT_LIMIT = 100, MAX_LIMIT = 1000, MAX_SWEPT = 10000 };
static const int64_t keep_removed_us = (int64_t)24 * 3600 * 1000000;

static const char *const kind_names[WEIR_OBJECT_KIND_END] = {
    [WEIR_OBJECT_PLAN] = "plan",       [WEIR_OBJECT_WORKSPACE] = "workspace", [WEIR_OBJECT_TEAM] = "team",
    [WEIR_OBJECT_USER] = "user",       [WEIR_OBJECT_OPERATOR] = "operator",   [WEIR_OBJECT_TOKEN] = "token",
    [WEIR_OBJECT_SESSION] = "session", [WEIR_OBJECT_SECRET] = "secret",       [WEIR_OBJECT_MARK] = "mark",
};

static const char *name_of(enum weir_object_kind kind) {
    size_t index = (size_t)kind;
    bool known = index < WEIR_OBJECT_KIND_END && kind_names[index] != NULL;
    return known ? kind_names[index] : "object";
}

static enum weir_status not_there(enum weir_object_kind kind, struct weir_span id, struct weir_error *error) {
    return weir_fail(error, WEIR_ENOTFOUND, "there is no %s \"%.*s\"", name_of(kind), WEIR_SPAN_PRINT(id));
}

/* --- writing --- */
static enum weir_status check_text(struct weir_engine *engine, const struct weir_object *object,
                                   struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    int64_t valid = 0;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_OBJECT_TEXT_VALID, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text(&binder, object->text);
    status = store__sqlite_integer(engine, statement, "look at the object's text", &valid, error);
    if (status == WEIR_ENOTFOUND || (status == WEIR_OK && valid == 0)) {
        return weir_fail(error, WEIR_EINVAL, "the text of the %s \"%.*s\" is no JSON object", name_of(object->kind),
                         WEIR_SPAN_PRINT(object->id));
    }
    return status;
}

static enum weir_status taken(const struct weir_object *object, struct weir_error *error) {
    return weir_fail(error, WEIR_EEXIST, "the id or the name of the %s \"%.*s\" is taken", name_of(object->kind),
                     WEIR_SPAN_PRINT(object->id));
}

static enum weir_status create(struct weir_engine *engine, const struct weir_object *object, int64_t given[3],
                               struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = check_text(engine, object, error);
    if (status == WEIR_OK)
        status = store__sqlite_statement(engine, STORE__SQL_OBJECT_CREATE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, object->kind);
    store__bind_text(&binder, object->parent);
    store__bind_text(&binder, object->id);
    store__bind_text_or_null(&binder, object->handle);
    store__bind_text(&binder, object->text);
    store__bind_integer(&binder, object->created_utc_us);
    store__bind_integer(&binder, object->updated_utc_us);
    store__bind_integer(&binder, object->expires_utc_us);
    status = store__sqlite_integers(engine, statement, "store the object", given, 3, error);
    return status == WEIR_EEXIST ? taken(object, error) : status;
}

/* change, number and version, as the statements give them. */
static void take_over(struct weir_engine *engine, struct weir_object *object, const int64_t given[3]) {
    engine->self_changed = true;
    object->change = (uint64_t)given[0];
    object->number = given[1];
    object->version = (uint64_t)given[2];
    object->removed = false;
}

enum weir_status store__sqlite_object_create(struct weir_engine *engine, struct weir_object *object,
                                             struct weir_error *error) {
    int64_t given[3] = {0};
    if (object->kind < WEIR_OBJECT_PLAN || object->kind >= WEIR_OBJECT_KIND_END || object->id.length == 0)
        return weir_fail(error, WEIR_EINVAL, "an object needs a kind and an id");
    if (object->updated_utc_us == 0)
        object->updated_utc_us = object->created_utc_us;
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = store__sqlite_end_durably(engine, create(engine, object, given, error), error);
    if (status == WEIR_OK)
        take_over(engine, object, given);
    return status;
}

static void bind_name(struct store__binder *binder, enum weir_object_kind kind, struct weir_span parent,
                      struct weir_span id) {
    store__bind_integer(binder, kind);
    store__bind_text(binder, parent);
    store__bind_text(binder, id);
}

/* Why a statement that names an object and its version has met none. */
static enum weir_status missed(struct weir_engine *engine, enum weir_object_kind kind, struct weir_span parent,
                               struct weir_span id, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_OBJECT_GET, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    bind_name(&binder, kind, parent, id);
    int64_t found = 0;
    status = store__sqlite_integer(engine, statement, "look up the object", &found, error);
    if (status == WEIR_ENOTFOUND)
        return not_there(kind, id, error);
    if (status != WEIR_OK)
        return status;
    return weir_fail(error, WEIR_ESTALE, "the %s \"%.*s\" has changed since it was read", name_of(kind),
                     WEIR_SPAN_PRINT(id));
}

static enum weir_status update(struct weir_engine *engine, const struct weir_object *object, uint64_t expected_version,
                               int64_t given[4], struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = check_text(engine, object, error);
    if (status == WEIR_OK)
        status = store__sqlite_statement(engine, STORE__SQL_OBJECT_UPDATE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_text_or_null(&binder, object->handle);
    store__bind_text(&binder, object->text);
    store__bind_integer(&binder, object->updated_utc_us);
    store__bind_integer(&binder, object->expires_utc_us);
    bind_name(&binder, object->kind, object->parent, object->id);
    store__bind_integer(&binder, (int64_t)expected_version);
    status = store__sqlite_integers(engine, statement, "change the object", given, 4, error);
    if (status == WEIR_EEXIST)
        return taken(object, error);
    return status == WEIR_ENOTFOUND ? missed(engine, object->kind, object->parent, object->id, error) : status;
}

enum weir_status store__sqlite_object_update(struct weir_engine *engine, struct weir_object *object,
                                             uint64_t expected_version, struct weir_error *error) {
    int64_t given[4] = {0};
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = store__sqlite_end_durably(engine, update(engine, object, expected_version, given, error), error);
    if (status == WEIR_OK) {
        take_over(engine, object, given);
        object->created_utc_us = given[3];
    }
    return status;
}

static enum weir_status take_away(struct weir_engine *engine, enum weir_object_kind kind, struct weir_span parent,
                                  struct weir_span id, uint64_t expected_version, int64_t utc_us,
                                  struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_OBJECT_REMOVE, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, utc_us);
    bind_name(&binder, kind, parent, id);
    store__bind_integer(&binder, (int64_t)expected_version);
    int64_t change = 0;
    status = store__sqlite_integer(engine, statement, "remove the object", &change, error);
    return status == WEIR_ENOTFOUND ? missed(engine, kind, parent, id, error) : status;
}

enum weir_status store__sqlite_object_remove(struct weir_engine *engine, enum weir_object_kind kind,
                                             struct weir_span parent, struct weir_span id, uint64_t expected_version,
                                             int64_t utc_us, struct weir_error *error) {
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = take_away(engine, kind, parent, id, expected_version, utc_us, error);
    status = store__sqlite_end_durably(engine, status, error);
    if (status == WEIR_OK)
        engine->self_changed = true;
    return status;
}

static enum weir_status sweep(struct weir_engine *engine, int64_t utc_us, uint64_t *removed, struct weir_error *error) {
    sqlite3_stmt *expire = NULL, *forget = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_OBJECT_EXPIRE, &expire, error);
    if (status == WEIR_OK)
        status = store__sqlite_statement(engine, STORE__SQL_OBJECT_FORGET, &forget, error);
    while (status == WEIR_OK && *removed < MAX_SWEPT) {
        struct store__binder binder = store__binder_of(expire);
        int64_t change = 0;
        store__bind_integer(&binder, utc_us);
        status = store__sqlite_integer(engine, expire, "remove what has expired", &change, error);
        if (status == WEIR_OK)
            (*removed)++;
    }
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        return status;
    struct store__binder binder = store__binder_of(forget);
    store__bind_integer(&binder, utc_us - keep_removed_us);
    return store__binder_run(engine, &binder, "forget what was removed", error);
}

enum weir_status store__sqlite_object_sweep(struct weir_engine *engine, int64_t utc_us, uint64_t *removed,
                                            struct weir_error *error) {
    uint64_t swept = 0;
    enum weir_status status = store__sqlite_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = store__sqlite_end_durably(engine, sweep(engine, utc_us, &swept, error), error);
    if (status != WEIR_OK)
        return status;
    engine->self_changed = engine->self_changed || swept > 0;
    *removed = swept;
    return WEIR_OK;
}

/* --- reading --- */
static void object_of_row(sqlite3_stmt *row, struct weir_object *object) {
    *object = (struct weir_object){
        .kind = (enum weir_object_kind)sqlite3_column_int(row, 0),
        .number = sqlite3_column_int64(row, 1),
        .parent = store__column_span(row, 2),
        .id = store__column_span(row, 3),
        .handle = store__column_span(row, 4),
        .text = store__column_span(row, 5),
        .version = (uint64_t)sqlite3_column_int64(row, 6),
        .created_utc_us = sqlite3_column_int64(row, 7),
        .updated_utc_us = sqlite3_column_int64(row, 8),
        .expires_utc_us = sqlite3_column_int64(row, 9),
        .change = (uint64_t)sqlite3_column_int64(row, 10),
        .removed = sqlite3_column_int(row, 11) != 0,
    };
}

/* The one row of a statement whose values are bound. */
static enum weir_status read_one(struct weir_engine *engine, const struct store__binder *binder,
                                 struct weir_arena *arena, struct weir_object *object, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    struct weir_object found;
    int code = binder->code == SQLITE_OK ? sqlite3_step(binder->statement) : binder->code;
    if (code == SQLITE_ROW) {
        object_of_row(binder->statement, &found);
        status = store__object_keep(&found, arena);
        if (status != WEIR_OK)
            status = weir_fail(error, status, "no memory to read the %s", name_of(found.kind));
    } else {
        status = code == SQLITE_DONE ? WEIR_ENOTFOUND : store__sqlite_fail(engine, "read the object", error);
    }
    (void)sqlite3_reset(binder->statement);
    if (status == WEIR_OK)
        *object = found;
    return status;
}

enum weir_status store__sqlite_object_get(struct weir_engine *engine, enum weir_object_kind kind,
                                          struct weir_span parent, struct weir_span id, struct weir_arena *arena,
                                          struct weir_object *object, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_OBJECT_GET, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    bind_name(&binder, kind, parent, id);
    status = read_one(engine, &binder, arena, object, error);
    return status == WEIR_ENOTFOUND ? not_there(kind, id, error) : status;
}

enum weir_status store__sqlite_object_find(struct weir_engine *engine, enum weir_object_kind kind,
                                           struct weir_span handle, struct weir_arena *arena,
                                           struct weir_object *object, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_OBJECT_FIND, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, kind);
    store__bind_text(&binder, handle); /* the empty one equals none, for those are NULL */
    status = read_one(engine, &binder, arena, object, error);
    /* A handle may be derived from a secret: it is not named. */
    return status == WEIR_ENOTFOUND ? weir_fail(error, status, "there is no such %s", name_of(kind)) : status;
}

/* Steps through all rows; the caller resets or finalizes. */
static enum weir_status each_row(struct weir_engine *engine, sqlite3_stmt *statement, weir_object_visit visit,
                                 void *context, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    int code = SQLITE_ROW;
    while (status == WEIR_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct weir_object object;
        object_of_row(statement, &object);
        status = visit(context, &object);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        status = store__sqlite_fail(engine, "read the objects", error);
    return status == WEIR_END ? WEIR_OK : status;
}

enum weir_status store__sqlite_object_each(struct weir_engine *engine, uint64_t after, weir_object_visit visit,
                                           void *context, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_OBJECT_EACH, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, after > INT64_MAX ? INT64_MAX : (int64_t)after);
    status = each_row(engine, statement, visit, context, error);
    (void)sqlite3_reset(statement);
    return status;
}

/* --- listings --- */
enum { KIND = 1, PARENT, AFTER, LIMIT, FIRST_FILTER, MEMBER_SIZE = 64 };

/* "$.member"; our own names need no quoting. */
static enum weir_status member_path(const char *member, char out[MEMBER_SIZE], struct weir_error *error) {
    size_t length = strlen(member);
    if (length == 0 || length + 3 > MEMBER_SIZE || strspn(member, "abcdefghijklmnopqrstuvwxyz_") != length)
        return weir_fail(error, WEIR_EINVAL, "\"%.60s\" is no name of a member to filter by", member);
    (void)snprintf(out, MEMBER_SIZE, "$.%s", member);
    return WEIR_OK;
}

/* Strings are compared as what they say, all else as JSON writes it. */
#define FILTER(path, value) \
    " AND CASE json_type(text, " path ") WHEN 'text' THEN text ->> " path " ELSE text -> " path " END = " value
static const char *const filter_texts[WEIR_OBJECT_FILTERS] = {FILTER("?5", "?6"), FILTER("?7", "?8"),
                                                              FILTER("?9", "?10"), FILTER("?11", "?12")};

static enum weir_status prepare_listing(struct weir_engine *engine, const struct weir_object_query *query,
                                        char paths[WEIR_OBJECT_FILTERS][MEMBER_SIZE], sqlite3_stmt **statement,
                                        struct weir_error *error) {
    char sql[1600];
    if (query->filter_count > WEIR_OBJECT_FILTERS)
        return weir_fail(error, WEIR_EINVAL, "a listing of objects has at most %d filters", (int)WEIR_OBJECT_FILTERS);
    int length = snprintf(sql, sizeof(sql),
                          "SELECT " STORE__OBJECT_COLUMNS " FROM object INDEXED BY %s"
                          " WHERE removed = 0 AND kind = ?1%s AND number > ?3",
                          query->any_parent ? "object_by_kind" : "object_by_parent",
                          query->any_parent ? "" : " AND parent = ?2");
    for (size_t i = 0; i < query->filter_count; i++) {
        enum weir_status status = member_path(query->filters[i].member, paths[i], error);
        if (status != WEIR_OK)
            return status;
        length += snprintf(sql + length, sizeof(sql) - (size_t)length, "%s", filter_texts[i]);
    }
    (void)snprintf(sql + length, sizeof(sql) - (size_t)length, " ORDER BY number LIMIT ?4");
    enum weir_status status = store__sqlite_prepare(engine, sql, "list the objects", statement, error);
    if (status != WEIR_OK)
        return status;
    (void)sqlite3_bind_int(*statement, KIND, (int)query->kind);
    if (!query->any_parent) {
        (void)sqlite3_bind_text(*statement, PARENT, query->parent.length > 0 ? query->parent.at : "",
                                (int)query->parent.length, SQLITE_STATIC);
    }
    (void)sqlite3_bind_int64(*statement, AFTER, query->after_number);
    (void)sqlite3_bind_int64(*statement, LIMIT, (int64_t)store__limit(query->limit, DEFAULT_LIMIT, MAX_LIMIT));
    for (size_t i = 0; i < query->filter_count; i++) {
        struct weir_span value = query->filters[i].value;
        (void)sqlite3_bind_text(*statement, FIRST_FILTER + 2 * (int)i, paths[i], -1, SQLITE_STATIC);
        (void)sqlite3_bind_text(*statement, FIRST_FILTER + 2 * (int)i + 1, value.length > 0 ? value.at : "",
                                (int)value.length, SQLITE_STATIC);
    }
    return WEIR_OK;
}

enum weir_status store__sqlite_object_list(struct weir_engine *engine, const struct weir_object_query *query,
                                           weir_object_visit visit, void *context, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    char paths[WEIR_OBJECT_FILTERS][MEMBER_SIZE];
    enum weir_status status = prepare_listing(engine, query, paths, &statement, error);
    if (status == WEIR_OK)
        status = each_row(engine, statement, visit, context, error);
    (void)sqlite3_finalize(statement);
    return status;
}
