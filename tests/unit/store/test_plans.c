/* How the database goes about a listing, at a hundred thousand rows: by an index or by the order of numbers, and with
 * an effort that does not grow with the table.
 *
 * Every statement that an operation runs is looked at: its plan may not read a table from end to end, and the number of
 * steps of the library's virtual machine, which is the same on every machine, has a limit.
 */
#include "fixture.h"

#include "store/sqlite_impl.h"

#define TEXT(literal) WEIR_SPAN(literal)
enum { ROWS = 100000, MOST_STEPS = 30000 };

struct effort {
    sqlite3 *other; /* for plans: a connection of its own */
    unsigned statements;
    int64_t steps;
    bool may_sort; /* the order is that of another index than the one that narrows most */
    char worst[2048];
};

/* A plan that goes through a whole table, or sorts, is told. */
static void look_at_plan(struct effort *effort, const char *sql) {
    char text[4096];
    sqlite3_stmt *statement = NULL;
    (void)snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sql);
    assert_int_equal(sqlite3_prepare_v2(effort->other, text, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *line = (const char *)sqlite3_column_text(statement, 3);
        bool scan = strncmp(line, "SCAN", 4) == 0 && strcmp(line, "SCAN CONSTANT ROW") != 0 &&
                    strcmp(line, "SCAN audit_zone") != 0; /* a thousandth of the trail */
        bool sort = strstr(line, "TEMP B-TREE") != NULL;
        if (scan || (sort && !effort->may_sort))
            (void)snprintf(effort->worst, sizeof(effort->worst), "%.200s: %.1800s", line, sql);
    }
    (void)sqlite3_finalize(statement);
}

static int on_profile(unsigned event, void *context, void *what, void *time) {
    struct effort *effort = context;
    sqlite3_stmt *statement = what;
    (void)event;
    (void)time;
    const char *sql = sqlite3_sql(statement);
    effort->statements++;
    effort->steps += sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
    if (strncmp(sql, "SELECT", 6) == 0 || strncmp(sql, "UPDATE", 6) == 0)
        look_at_plan(effort, sql);
    return 0;
}

static void watch(struct fixture *fixture, struct effort *effort) {
    *effort = (struct effort){.may_sort = false};
    assert_int_equal(sqlite3_open(fixture->location, &effort->other), SQLITE_OK);
    assert_int_equal(sqlite3_trace_v2(fixture->engine->database, SQLITE_TRACE_PROFILE, on_profile, effort), SQLITE_OK);
}

/* Ends what was watched, and holds it against the limits. */
static void assert_small(struct fixture *fixture, struct effort *effort, const char *what) {
    (void)sqlite3_trace_v2(fixture->engine->database, 0, NULL, NULL);
    (void)sqlite3_close(effort->other);
    if (effort->worst[0] != '\0')
        print_error("%s: %s\n", what, effort->worst);
    assert_string_equal(effort->worst, "");
    if (effort->steps > MOST_STEPS)
        print_error("%s: %lld steps\n", what, (long long)effort->steps);
    assert_true(effort->statements > 0 && effort->steps > 0 && effort->steps <= MOST_STEPS);
}

static void execute(struct fixture *fixture, const char *sql) {
    char *problem = NULL;
    if (sqlite3_exec(fixture->engine->database, sql, NULL, NULL, &problem) != SQLITE_OK)
        print_error("%s\n", problem);
    assert_null(problem);
}

/* --- keys --- */
static enum weir_status count_key(void *context, const struct weir_key_record *key) {
    (void)key;
    ++*(size_t *)context;
    return WEIR_OK;
}

static void keys(void **state) {
    struct fixture *fixture = *state;
    execute(
        fixture,
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
        "INSERT INTO api_key(id, hash, name, workspace, hint, created_utc_us, expires_utc_us, revoked_utc_us, change,"
        " team, user, family)"
        " SELECT 'key_' || i, randomblob(32), 'n', 'w' || (i % 100), printf('%04x..wxyz', i * 7919 % 65536), i, 0,"
        " i % 2, i, iif(i % 10 = 0, 't' || (i % 1000), NULL), iif(i % 10 = 1, 'u' || (i % 5000), NULL),"
        " iif(i % 3 = 0, 'key_' || (i - i % 30), NULL) FROM n");
    const struct {
        const char *what;
        struct weir_key_query query;
        size_t expected;
        bool may_sort;
    } cases[] = {
        {"all", {.limit = 50}, 50, false},
        {"all, from the middle", {.limit = 50, .after_number = 50000}, 50, false},
        {"workspace", {.limit = 50, .workspace = TEXT("w7")}, 50, false},
        {"workspace, the last page", {.limit = 50, .workspace = TEXT("w7"), .after_number = 99000}, 10, false},
        {"workspace, none", {.limit = 50, .workspace = TEXT("nobody")}, 0, false},
        {"team", {.limit = 50, .team = TEXT("t110")}, 50, false},
        {"user", {.limit = 50, .user = TEXT("u11")}, 20, false},
        {"user and workspace", {.limit = 50, .user = TEXT("u11"), .workspace = TEXT("w11")}, 20, false},
        {"family", {.limit = 50, .family = TEXT("key_300")}, 10, true},
        {"family of one", {.limit = 50, .family = TEXT("key_301")}, 1, true},
        {"hint, four characters", {.limit = 50, .hint_prefix = TEXT("00ff")}, 2, true},
        {"hint, three characters", {.limit = 50, .hint_prefix = TEXT("00f")}, 24, true},
        {"due, few", {.limit = 50, .created_before_utc_us = 41}, 20, true},
        {"due in a workspace", {.limit = 5, .created_before_utc_us = 90000, .workspace = TEXT("w6")}, 5, false},
        {"active in a workspace", {.limit = 50, .active_only = true, .workspace = TEXT("w6")}, 50, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct effort effort;
        size_t count = 0;
        watch(fixture, &effort);
        effort.may_sort = cases[i].may_sort;
        check(fixture, fixture->ops->key_list(fixture->engine, &cases[i].query, count_key, &count, &fixture->error),
              WEIR_OK);
        assert_small(fixture, &effort, cases[i].what);
        if (count != cases[i].expected)
            print_error("%s: %zu\n", cases[i].what, count);
        assert_int_equal(count, cases[i].expected);
    }
    struct effort effort;
    struct weir_key_record key;
    size_t count = 0;
    watch(fixture, &effort);
    check(fixture, fixture->ops->key_get(fixture->engine, TEXT("key_500"), fixture->arena, &key, &fixture->error),
          WEIR_OK);
    check(fixture, fixture->ops->key_find(fixture->engine, key.hash, fixture->arena, &key, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->key_update(fixture->engine, &key, 0, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->key_revoke(fixture->engine, TEXT("key_500"), 5, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->key_each(fixture->engine, ROWS, count_key, &count, &fixture->error), WEIR_OK);
    assert_small(fixture, &effort, "one key");
    assert_int_equal(count, 1);
}

/* --- objects --- */
static enum weir_status count_object(void *context, const struct weir_object *object) {
    (void)object;
    ++*(size_t *)context;
    return WEIR_OK;
}

static void objects(void **state) {
    struct fixture *fixture = *state;
    execute(fixture,
            "WITH RECURSIVE n(i) AS (VALUES(101) UNION ALL SELECT i + 1 FROM n WHERE i < 100100)"
            "INSERT INTO object(number, kind, parent, id, handle, text, version, created_utc_us, updated_utc_us,"
            " expires_utc_us, removed, change)"
            " SELECT i, 3 + i % 5, 'w' || (i % 100), 'id' || i, 'h' || i,"
            " json_object('name', 'n' || (i % 10), 'on', json(iif(i % 2, 'true', 'false'))), 1, i, i,"
            " iif(i % 1000 = 3, i, 0), i % 50 = 49, i FROM n");
    const struct {
        const char *what;
        struct weir_object_query query;
        size_t expected;
    } cases[] = {
        {"kind", {.kind = WEIR_OBJECT_TEAM, .any_parent = true, .limit = 50}, 50},
        {"kind, from the middle",
         {.kind = WEIR_OBJECT_TEAM, .any_parent = true, .limit = 50, .after_number = 50000},
         50},
        {"rare kind", {.kind = WEIR_OBJECT_PLAN, .limit = 50}, 4},
        {"parent", {.kind = WEIR_OBJECT_TEAM, .parent = TEXT("w5"), .limit = 50}, 50},
        {"parent, the last page",
         {.kind = WEIR_OBJECT_TEAM, .parent = TEXT("w5"), .limit = 50, .after_number = 99000},
         11},
        {"parent, none", {.kind = WEIR_OBJECT_TEAM, .parent = TEXT("nobody"), .limit = 50}, 0},
        {"filtered",
         {.kind = WEIR_OBJECT_TEAM,
          .parent = TEXT("w5"),
          .limit = 20,
          .filter_count = 1,
          .filters = {{"name", TEXT("n5")}}},
         20},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct effort effort;
        size_t count = 0;
        watch(fixture, &effort);
        check(fixture,
              fixture->ops->object_list(fixture->engine, &cases[i].query, count_object, &count, &fixture->error),
              WEIR_OK);
        assert_small(fixture, &effort, cases[i].what);
        if (count != cases[i].expected)
            print_error("%s: %zu\n", cases[i].what, count);
        assert_int_equal(count, cases[i].expected);
    }
    struct effort effort;
    struct weir_object object;
    size_t count = 0;
    uint64_t removed = 0;
    watch(fixture, &effort);
    check(fixture,
          fixture->ops->object_get(fixture->engine, WEIR_OBJECT_TEAM, TEXT("w5"), TEXT("id50005"), fixture->arena,
                                   &object, &fixture->error),
          WEIR_OK);
    check(fixture,
          fixture->ops->object_find(fixture->engine, WEIR_OBJECT_TEAM, TEXT("h50005"), fixture->arena, &object,
                                    &fixture->error),
          WEIR_OK);
    check(fixture, fixture->ops->object_update(fixture->engine, &object, 1, &fixture->error), WEIR_OK);
    check(fixture,
          fixture->ops->object_remove(fixture->engine, WEIR_OBJECT_TEAM, TEXT("w5"), TEXT("id50005"), 0, 5,
                                      &fixture->error),
          WEIR_OK);
    object.id = TEXT("another");
    object.handle = TEXT("another");
    check(fixture, fixture->ops->object_create(fixture->engine, &object, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->object_each(fixture->engine, ROWS + 100, count_object, &count, &fixture->error),
          WEIR_OK);
    check(fixture, fixture->ops->object_sweep(fixture->engine, 5000, &removed, &fixture->error), WEIR_OK);
    assert_small(fixture, &effort, "one object");
    assert_int_equal(count, 2);
    assert_true(removed == 4);
}

/* --- audit --- */
static enum weir_status count_entry(void *context, const struct weir_audit_entry *entry) {
    (void)entry;
    ++*(size_t *)context;
    return WEIR_OK;
}

static void audit(void **state) {
    struct fixture *fixture = *state;
    execute(
        fixture,
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
        "INSERT INTO audit(sequence, utc_us, result, previous, hash, actor_kind, actor_id, actor_name, workspace,"
        " action, resource_type, resource_id)"
        " SELECT i, i * 1000, iif(i % 100 = 0, 1, 0), zeroblob(32), zeroblob(32), 'token', 'op_' || (i % 200),"
        " 'name' || (i % 200), 'w' || (i % 100), 'action' || (i % 50), 'type' || (i % 20), 'r' || (i % 10000) FROM n;"
        "INSERT INTO audit_zone SELECT sequence >> 10, min(utc_us), max(utc_us) FROM audit GROUP BY 1;"
        "INSERT INTO meta VALUES('audit_head', '100000 ' || hex(zeroblob(32)))");
    const struct {
        const char *what;
        struct weir_audit_query query;
        size_t expected;
    } cases[] = {
        {"newest", {.limit = 50}, 50},
        {"a page further on", {.limit = 50, .before_sequence = 40000}, 50},
        {"actor", {.limit = 50, .actor_id = TEXT("op_7")}, 50},
        {"actor, the oldest page", {.limit = 50, .actor_id = TEXT("op_7"), .before_sequence = 2000}, 10},
        {"actor's name", {.limit = 50, .actor_name = TEXT("name7")}, 50},
        {"workspace", {.limit = 50, .workspace = TEXT("w7")}, 50},
        {"action", {.limit = 50, .action = TEXT("action7")}, 50},
        {"type", {.limit = 50, .resource_type = TEXT("type7")}, 50},
        {"resource", {.limit = 50, .resource_id = TEXT("r77")}, 10},
        {"type and resource", {.limit = 50, .resource_type = TEXT("type17"), .resource_id = TEXT("r77")}, 10},
        {"failures", {.limit = 50, .has_result = true, .result = WEIR_AUDIT_FAILURE}, 50},
        {"partial ones, none", {.limit = 50, .has_result = true, .result = WEIR_AUDIT_PARTIAL}, 0},
        {"successes", {.limit = 50, .has_result = true, .result = WEIR_AUDIT_SUCCESS}, 50},
        {"failures of an actor",
         {.limit = 5, .has_result = true, .result = WEIR_AUDIT_FAILURE, .actor_id = TEXT("op_100")},
         5},
        {"time", {.limit = 50, .from_utc_us = 50000000, .until_utc_us = 50010000}, 10},
        {"early time", {.limit = 50, .until_utc_us = 6000}, 5},
        {"time and workspace",
         {.limit = 50, .workspace = TEXT("w7"), .from_utc_us = 50000000, .until_utc_us = 52000000},
         20},
        {"nobody", {.limit = 50, .actor_id = TEXT("nobody")}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int oldest_first = 0; oldest_first < 2; oldest_first++) {
            struct effort effort;
            struct weir_audit_query query = cases[i].query;
            size_t count = 0;
            query.oldest_first = oldest_first == 1;
            watch(fixture, &effort);
            check(fixture, fixture->ops->audit_each(fixture->engine, &query, count_entry, &count, &fixture->error),
                  WEIR_OK);
            assert_small(fixture, &effort, cases[i].what);
            if (count != cases[i].expected)
                print_error("%s: %zu\n", cases[i].what, count);
            assert_int_equal(count, cases[i].expected);
        }
    }
    struct effort effort;
    struct weir_audit_entry entry = {.utc_us = 5, .action = TEXT("x")};
    watch(fixture, &effort);
    check(fixture, fixture->ops->audit_append(fixture->engine, &entry, &fixture->error), WEIR_OK);
    assert_small(fixture, &effort, "append");
}

int main(void) {
    const struct CMUnitTest tests[] = {ON(0, keys), ON(0, objects), ON(0, audit)};
    return cmocka_run_group_tests_name("plans", tests, NULL, NULL);
}
