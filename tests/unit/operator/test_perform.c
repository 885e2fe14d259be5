/* A call from its sender to the store: who may, what is checked, that a change and its audit entry are there together or not at all. */
#include "operator/impl.h"

#include "base/clock.h"
#include "base/memory.h"
#include "json/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Names are created as plans: any kind would do. */
static const char document_text[] =
    "{\"body\":{\"type\":\"object\",\"required\":[\"id\"],\"additionalProperties\":false,\"properties\":{\"id\":{\"type\":"
    "\"string\",\"pattern\":\"^[a-z]+$\"},\"fail\":{\"type\":\"string\"},\"confirm\":{\"type\":\"string\"}}},"
    "\"word\":{\"type\":\"string\",\"maxLength\":8},\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100},"
    "\"version\":{\"type\":\"string\"}}";

static enum weir_status make_plan(struct weir_operation_call *call, struct weir_span id) {
    struct weir_engine *engine;
    const struct weir_engine_ops *ops = weir_operation_store(call, &engine);
    struct weir_error error = {.text = ""};
    struct weir_object object = {.kind = WEIR_OBJECT_PLAN,
                                 .id = id,
                                 .text = WEIR_SPAN("{}"),
                                 .created_utc_us = weir_operation_now_utc_us(call)};
    enum weir_status status = weir_operation_begin(call);
    if (status != WEIR_OK)
        return status;
    status = ops->object_create(engine, &object, &error);
    return status == WEIR_OK ? WEIR_OK : weir_operation_store_failed(call, status, "the plan", &error);
}

static enum weir_status note(struct weir_operation_call *call, struct weir_span id) {
    const struct weir_operation_note told = {.resource_id = id, .after = WEIR_SPAN("{\"a\":1}")};
    return weir_operation_audit(call, &told);
}

static enum weir_status run_create(struct weir_operation_call *call) {
    struct weir_span id = weir_operation_body_text(call, "id"), fail = weir_operation_body_text(call, "fail");
    enum weir_status status = make_plan(call, id);
    if (status == WEIR_OK && !weir_span_equal(fail, WEIR_SPAN("unaudited")))
        status = note(call, id);
    if (status == WEIR_OK && weir_span_equal(fail, WEIR_SPAN("late")))
        return weir_operation_fail(call, WEIR_REASON_STATE_CONFLICT, "fail", "too late");
    if (status != WEIR_OK)
        return status;
    weir_operation_set_status(call, 201);
    weir_operation_set_version(call, 7);
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_member_string(writer, "id", id);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static enum weir_status run_list(struct weir_operation_call *call) {
    int64_t after;
    size_t limit;
    enum weir_status status = weir_operation_page(call, &after, &limit);
    if (status != WEIR_OK)
        return status;
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_member_int64(writer, "after", after);
    weir_json_member_int64(writer, "limit", (int64_t)limit);
    weir_operation_page_end(call, after + (int64_t)limit);
    return WEIR_OK;
}

static enum weir_status run_pieces(struct weir_operation_call *call) {
    unsigned *count = weir_operation_state(call);
    weir_buffer_printf(weir_operation_buffer(call, "text/plain"), "piece %u\n", *count);
    if (++*count < 3)
        weir_operation_continue(call);
    return WEIR_OK;
}

static const struct operator__parameter list_parameters[] = {
    {"word", OPERATOR__IN_PATH, true, true, false, NULL},
    {"limit", OPERATOR__IN_QUERY, false, false, false, "50"},
    {"cursor", OPERATOR__IN_QUERY, false, true, false, NULL},
    {"If-Match", OPERATOR__IN_HEADER, false, true, false, NULL},
    {"confirm", OPERATOR__IN_QUERY, false, true, false, NULL},
};
enum { ROLES_OWNER = WEIR_ROLE_BIT(WEIR_ROLE_OWNER), ROLES_ADMIN = WEIR_ROLE_BIT(WEIR_ROLE_ADMIN) };
static const struct operator__row create_row = {.id = "plans.create",
                                                .method = "POST",
                                                .path = "/plans",
                                                .tag = "plans",
                                                .resource = "plan",
                                                .roles = ROLES_OWNER,
                                                .run = run_create,
                                                .changes = true,
                                                .has_body = true};
static const struct operator__row admin_row = {.id = "plans.admin",
                                               .method = "POST",
                                               .path = "/plans",
                                               .tag = "plans",
                                               .resource = "plan",
                                               .roles = ROLES_ADMIN,
                                               .run = run_create,
                                               .changes = true,
                                               .has_body = true};
static const struct operator__row anyone_row = {.id = "login",
                                                .method = "POST",
                                                .path = "/login",
                                                .tag = "login",
                                                .resource = "operator",
                                                .roles = WEIR_ROLE_BIT(WEIR_ROLE_NONE),
                                                .run = run_create,
                                                .changes = true,
                                                .has_body = true};
static const struct operator__row list_row = {.id = "plans.list",
                                              .method = "GET",
                                              .path = "/plans/{word}/list",
                                              .tag = "plans",
                                              .resource = "plan",
                                              .roles = ROLES_OWNER,
                                              .run = run_list,
                                              .parameters = list_parameters,
                                              .parameter_count = 5};
static const struct operator__row remove_row = {.id = "plans.remove",
                                                .method = "DELETE",
                                                .path = "/plans/{word}/list",
                                                .tag = "plans",
                                                .resource = "word",
                                                .roles = ROLES_OWNER,
                                                .run = run_create,
                                                .parameters = list_parameters,
                                                .parameter_count = 5,
                                                .confirm = "word",
                                                .changes = true,
                                                .has_body = true,
                                                .body_optional = true};
static const struct operator__row pieces_row = {.id = "plans.export",
                                                .method = "GET",
                                                .path = "/plans",
                                                .tag = "plans",
                                                .resource = "plan",
                                                .roles = ROLES_OWNER,
                                                .run = run_pieces};

struct world {
    char folder[64];
    struct weir_arena *arena;
    struct weir_loop *loop;
    struct weir_engine *engine;
    struct weir_random random;
    yyjson_val *document;
    struct weir_operator_settings settings;
    struct operator__schemas schemas;
    struct operator__refusals refusals;
};

static int set_up(void **state) {
    struct world *world = weir_memory_new(1, sizeof *world);
    const struct weir_log log = {.fd = -1, .minimum = WEIR_LOG_ERROR, .part = "test"};
    struct weir_error error;
    struct weir_schema_problem problem;
    yyjson_doc *document;
    assert_non_null(world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/weir-perform-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    world->arena = weir_arena_new(0, WEIR_MIB);
    assert_int_equal(weir_loop_new(&log, &world->loop, &error), WEIR_OK);
    assert_int_equal(weir_store_direct_open(world->folder, "dev", true, &world->engine, &error), WEIR_OK);
    assert_int_equal(weir_json_read(world->arena, weir_span_of_string(document_text), &document, &problem), WEIR_OK);
    world->document = yyjson_doc_get_root(document);
    world->settings = (struct weir_operator_settings){.store_directory = world->folder,
                                                      .environment = "dev",
                                                      .brand = WEIR_SPAN("weir"),
                                                      .brand_upper = WEIR_SPAN("WEIR"),
                                                      .local_operator = true};
    world->schemas.body = yyjson_obj_get(world->document, "body");
    world->schemas.parameters[0] = yyjson_obj_get(world->document, "word");
    world->schemas.parameters[1] = yyjson_obj_get(world->document, "limit");
    for (size_t i = 2; i < 5; i++)
        world->schemas.parameters[i] = yyjson_obj_get(world->document, "version");
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    char command[128];
    weir_store_direct_close(&world->engine);
    weir_loop_free(&world->loop);
    weir_arena_free(&world->arena);
    (void)snprintf(command, sizeof command, "rm -r %s", world->folder);
    assert_int_equal(system(command), 0);
    weir_memory_free(world);
    return 0;
}

/* A call of `row` with this path (with its query) and body, from this machine's user unless `origin` is sent. */
static struct weir_operation_call *call_new(struct world *world, const struct operator__row *row, const char *target,
                                            const char *body, const char *name, const char *value) {
    struct weir_http_head head = {.method = weir_span_of_string(row->method),
                                  .target = weir_span_of_string(target),
                                  .authority = WEIR_SPAN("127.0.0.1:8000"),
                                  .minor_version = 1};
    (void)weir_span_split(head.target, '?', &head.path, &head.query);
    if (name != NULL)
        head.fields[head.field_count++] = (struct weir_http_field){weir_span_of_string(name),
                                                                   weir_span_of_string(value)};
    struct weir_operation_call *call = operator__call_new(NULL, &world->settings, row, &head, WEIR_SPAN(""));
    assert_non_null(call);
    call->loop = world->loop;
    call->schemas = &world->schemas;
    call->ops = &weir_engine_sqlite;
    call->engine = world->engine;
    call->random = &world->random;
    (void)snprintf(call->peer, sizeof call->peer, "127.0.0.1");
    (void)snprintf(call->request_id, sizeof call->request_id, "01a1ffb7-0dd2-7c13-a49f-5a4f2a00786d");
    if (body != NULL)
        weir_buffer_append(&call->body, weir_span_of_string(body));
    return call;
}

static struct weir_operation_call *perform(struct world *world, const struct operator__row *row, const char *target,
                                           const char *body) {
    struct weir_operation_call *call = call_new(world, row, target, body, NULL, NULL);
    operator__perform(call, world->document, "", &world->refusals);
    return call;
}

struct seen {
    size_t count, failures;
    char last[400];
};

static enum weir_status on_entry(void *context, const struct weir_audit_entry *entry) {
    struct seen *seen = context;
    seen->count++;
    seen->failures += entry->result == WEIR_AUDIT_FAILURE;
    if (seen->count == 1) /* the newest */
        (void)snprintf(seen->last, sizeof seen->last, "%.*s %.*s %.*s %.*s %.*s %.*s %.*s",
                       WEIR_SPAN_PRINT(entry->actor_kind), WEIR_SPAN_PRINT(entry->actor_name),
                       WEIR_SPAN_PRINT(entry->actor_role), WEIR_SPAN_PRINT(entry->actor_address),
                       WEIR_SPAN_PRINT(entry->action), WEIR_SPAN_PRINT(entry->resource_id),
                       WEIR_SPAN_PRINT(entry->reason));
    return WEIR_OK;
}

static struct seen audit_of(struct world *world) {
    const struct weir_audit_query query = {.limit = 1000};
    struct seen seen = {.count = 0};
    struct weir_error error;
    assert_int_equal(weir_engine_sqlite.audit_each(world->engine, &query, on_entry, &seen, &error), WEIR_OK);
    return seen;
}

static bool plan_exists(struct world *world, const char *id) {
    struct weir_object object;
    struct weir_error error;
    return weir_engine_sqlite.object_get(world->engine, WEIR_OBJECT_PLAN, WEIR_SPAN(""), weir_span_of_string(id),
                                         world->arena, &object, &error) == WEIR_OK;
}

static void expect_refused(struct weir_operation_call *call, enum weir_reason reason, const char *field) {
    assert_string_equal(weir_reason_row(call->reason)->name, weir_reason_row(reason)->name);
    assert_string_equal(call->field, field);
    assert_int_equal(call->status, weir_reason_row(reason)->status);
    assert_true(call->answer.length > 0);
    operator__call_free(&call);
}

static void test_a_change_and_its_entry_are_there_together(void **state) {
    struct world *world = *state;
    struct weir_operation_call *call = perform(world, &create_row, "/plans", "{\"id\":\"acme\"}");
    assert_int_equal(call->reason, WEIR_REASON_NONE);
    assert_int_equal(call->status, 201);
    assert_true(weir_span_equal(weir_buffer_span(&call->answer), WEIR_SPAN("{\"id\":\"acme\"}\n")));
    assert_int_equal(call->header_count, 1);
    assert_true(weir_span_equal(call->headers[0].value, WEIR_SPAN("\"7\"")));
    assert_false(call->in_work);
    operator__call_free(&call);
    struct seen seen = audit_of(world);
    assert_true(plan_exists(world, "acme"));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.failures, 0);
    assert_string_equal(seen.last, "local local owner 127.0.0.1 plans.create acme ");
}

static void test_what_fails_late_leaves_only_the_attempt(void **state) {
    struct world *world = *state;
    expect_refused(perform(world, &create_row, "/plans", "{\"id\":\"acme\",\"fail\":\"late\"}"),
                   WEIR_REASON_STATE_CONFLICT, "fail");
    struct seen seen = audit_of(world);
    assert_false(plan_exists(world, "acme"));
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.failures, 1);
    assert_string_equal(seen.last, "local local owner 127.0.0.1 plans.create acme state_conflict");
}

static void test_what_is_taken_is_a_conflict(void **state) {
    struct world *world = *state;
    struct weir_operation_call *call = perform(world, &create_row, "/plans", "{\"id\":\"acme\"}");
    operator__call_free(&call);
    expect_refused(perform(world, &create_row, "/plans", "{\"id\":\"acme\"}"), WEIR_REASON_EXISTS_ALREADY, "");
    assert_int_equal(audit_of(world).failures, 1);
}

static void test_a_change_without_an_entry_is_undone(void **state) {
    struct world *world = *state;
    expect_refused(perform(world, &create_row, "/plans", "{\"id\":\"acme\",\"fail\":\"unaudited\"}"),
                   WEIR_REASON_INTERNAL, "");
    assert_false(plan_exists(world, "acme"));
    assert_int_equal(audit_of(world).failures, 1);
}

static void test_a_role_that_is_not_listed_is_refused_and_noted(void **state) {
    struct world *world = *state;
    expect_refused(perform(world, &admin_row, "/plans", "{\"id\":\"acme\"}"), WEIR_REASON_ROLE_NOT_ALLOWED, "");
    assert_false(plan_exists(world, "acme"));
    assert_string_equal(audit_of(world).last, "local local owner 127.0.0.1 plans.admin acme role_not_allowed");
}

static void test_strangers_are_refused_and_cannot_fill_the_trail(void **state) {
    struct world *world = *state;
    for (size_t i = 0; i < 200; i++) {
        struct weir_operation_call *call = call_new(world, &create_row, "/plans", "{\"id\":\"acme\"}", "Origin",
                                                    "http://127.0.0.1:8000");
        operator__perform(call, world->document, "", &world->refusals);
        expect_refused(call, WEIR_REASON_OPERATOR_UNKNOWN, "");
    }
    struct seen seen = audit_of(world);
    assert_in_range(seen.count, 1, 50); /* a few a second: it may have taken several */
    assert_int_equal(seen.failures, seen.count);
    assert_string_equal(seen.last, "unknown   127.0.0.1 plans.create  operator_unknown");
}

static void test_what_is_for_anyone_needs_no_operator(void **state) {
    struct world *world = *state;
    struct weir_operation_call *call = call_new(world, &anyone_row, "/login", "{\"id\":\"acme\"}", "Origin",
                                                "http://127.0.0.1:8000");
    operator__perform(call, world->document, "", &world->refusals);
    assert_int_equal(call->status, 201);
    operator__call_free(&call);
}

static void test_a_store_that_is_away_is_told(void **state) {
    struct world *world = *state;
    struct weir_operation_call *call = call_new(world, &create_row, "/plans", "{\"id\":\"acme\"}", NULL, NULL);
    call->engine = NULL;
    operator__perform(call, world->document, "no such folder", &world->refusals);
    assert_non_null(strstr(call->detail, "no such folder"));
    expect_refused(call, WEIR_REASON_OPERATOR_STORE_UNAVAILABLE, "");
}

static void test_bodies_are_as_their_schema_says(void **state) {
    struct world *world = *state;
    static const struct {
        const char *body;
        enum weir_reason reason;
        const char *field;
    } rows[] = {
        {"", WEIR_REASON_JSON_INVALID, ""},
        {"{\"id\":", WEIR_REASON_JSON_INVALID, ""},
        {"[]", WEIR_REASON_FIELD_INVALID, ""},
        {"{}", WEIR_REASON_FIELD_MISSING, "id"},
        {"{\"id\":1}", WEIR_REASON_FIELD_INVALID, "id"},
        {"{\"id\":\"A\"}", WEIR_REASON_FIELD_INVALID, "id"},
        {"{\"id\":\"a\",\"more\":1}", WEIR_REASON_FIELD_INVALID, "more"},
        {"{\"id\":\"a\",\"id\":\"a\"}", WEIR_REASON_JSON_DUPLICATE_MEMBER, "id"},
        {"{\"id\":\"a\\u0000\"}", WEIR_REASON_JSON_INVALID, "id"},
        {"{\"id\":\"a\"}\xff", WEIR_REASON_JSON_INVALID, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_refused(perform(world, &create_row, "/plans", rows[i].body), rows[i].reason, rows[i].field);
    assert_int_equal(audit_of(world).failures, sizeof rows / sizeof *rows);
}

static void test_parameters_are_as_their_schemas_say(void **state) {
    struct world *world = *state;
    static const struct {
        const char *target;
        enum weir_reason reason;
        const char *field;
    } rows[] = {
        {"/plans/a/list?limit=0", WEIR_REASON_PARAMETER_INVALID, "limit"},
        {"/plans/a/list?limit=101", WEIR_REASON_PARAMETER_INVALID, "limit"},
        {"/plans/a/list?limit=01", WEIR_REASON_PARAMETER_INVALID, "limit"},
        {"/plans/a/list?limit=%221%22", WEIR_REASON_PARAMETER_INVALID, "limit"},
        {"/plans/a/list?limit=99999999999999999999999999999999999999", WEIR_REASON_PARAMETER_INVALID, "limit"},
        {"/plans/a/list?limit=1&limit=1", WEIR_REASON_PARAMETER_INVALID, "limit"},
        {"/plans/a/list?word=b", WEIR_REASON_PARAMETER_UNKNOWN, "word"},
        {"/plans/123456789/list", WEIR_REASON_PARAMETER_INVALID, "word"},
        {"/plans/%ff/list", WEIR_REASON_PARAMETER_INVALID, "word"},
        {"/plans/%0/list", WEIR_REASON_PARAMETER_INVALID, ""},
        {"/plans/a/list?cursor=zz", WEIR_REASON_CURSOR_INVALID, "cursor"},
        {"/plans/a/list?cursor=3120706c616e732e6f74686572", WEIR_REASON_CURSOR_INVALID, "cursor"},
        {"/plans/a/list?cursor=2d3120706c616e732e6c697374", WEIR_REASON_CURSOR_INVALID, "cursor"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect_refused(perform(world, &list_row, rows[i].target, NULL), rows[i].reason, rows[i].field);
    assert_int_equal(audit_of(world).count, 0); /* it changes nothing */
}

static void test_a_list_goes_on_where_its_cursor_says(void **state) {
    struct world *world = *state;
    struct weir_operation_call *call = perform(world, &list_row, "/plans/%61%2Fb/list?limit=3", NULL);
    assert_int_equal(call->status, 200);
    assert_true(weir_span_equal(weir_operation_path_value(call, "word"), WEIR_SPAN("a/b")));
    assert_true(weir_span_starts_with(weir_buffer_span(&call->answer),
                                      WEIR_SPAN("{\"after\":0,\"limit\":3,\"next_cursor\":\"")));
    char text[1024], target[300];
    assert_int_equal(weir_span_to_string(weir_buffer_span(&call->answer), text, sizeof text), WEIR_OK);
    const char *cursor = strstr(text, "next_cursor") + strlen("next_cursor\":\"");
    (void)snprintf(target, sizeof target, "/plans/a/list?cursor=%.*s", (int)strcspn(cursor, "\""), cursor);
    operator__call_free(&call);
    call = perform(world, &list_row, target, NULL);
    assert_true(weir_span_starts_with(weir_buffer_span(&call->answer), WEIR_SPAN("{\"after\":3,\"limit\":50,")));
    operator__call_free(&call);
}

static void test_versions_come_from_if_match(void **state) {
    struct world *world = *state;
    static const struct {
        const char *text;
        uint64_t version;
    } rows[] = {{"\"3\"", 3}, {"W/\"12\"", 12}, {"*", 0}, {"3", 0}, {"\"\"", 0}, {"\"", 0}, {"\"a\"", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_operation_call *call = call_new(world, &list_row, "/plans/a/list", NULL, "If-Match", rows[i].text);
        operator__perform(call, world->document, "", &world->refusals);
        assert_int_equal(weir_operation_expected_version(call), rows[i].version);
        operator__call_free(&call);
    }
}

static void test_what_cannot_be_undone_is_confirmed_by_name(void **state) {
    struct world *world = *state;
    expect_refused(perform(world, &remove_row, "/plans/acme/list", NULL), WEIR_REASON_CONFIRMATION_REQUIRED, "confirm");
    expect_refused(perform(world, &remove_row, "/plans/acme/list", "{\"id\":\"a\",\"confirm\":\"acm\"}"),
                   WEIR_REASON_CONFIRMATION_REQUIRED, "confirm");
    assert_string_equal(audit_of(world).last, "local local owner 127.0.0.1 plans.remove acme confirmation_required");
    struct weir_operation_call *call = perform(world, &remove_row, "/plans/acme/list",
                                               "{\"id\":\"a\",\"confirm\":\"acme\"}");
    assert_int_equal(call->status, 201);
    operator__call_free(&call);
}

static void test_a_long_answer_comes_in_pieces(void **state) {
    struct world *world = *state;
    struct weir_operation_call *call = perform(world, &pieces_row, "/plans", NULL);
    for (unsigned i = 0; i < 3; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "piece %u\n", i);
        assert_true(weir_span_equal(weir_buffer_span(&call->answer), weir_span_of_string(text)));
        assert_int_equal(call->more, i < 2);
        operator__call_next_piece(call);
        if (i < 2)
            operator__perform(call, world->document, "", &world->refusals);
    }
    operator__call_free(&call);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_change_and_its_entry_are_there_together),
        TEST(test_what_fails_late_leaves_only_the_attempt),
        TEST(test_what_is_taken_is_a_conflict),
        TEST(test_a_change_without_an_entry_is_undone),
        TEST(test_a_role_that_is_not_listed_is_refused_and_noted),
        TEST(test_strangers_are_refused_and_cannot_fill_the_trail),
        TEST(test_what_is_for_anyone_needs_no_operator),
        TEST(test_a_store_that_is_away_is_told),
        TEST(test_bodies_are_as_their_schema_says),
        TEST(test_parameters_are_as_their_schemas_say),
        TEST(test_a_list_goes_on_where_its_cursor_says),
        TEST(test_versions_come_from_if_match),
        TEST(test_what_cannot_be_undone_is_confirmed_by_name),
        TEST(test_a_long_answer_comes_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
