/* A login checks exactly one password, whoever it is for: what is counted here is what takes the time, so nobody can tell names apart by it. */
#include "operator/operations_table.h"

#include "base/memory.h"
#include "json/schema.h"
#include "operator/impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct world {
    char folder[64];
    struct weir_arena *arena;
    struct weir_engine *engine;
    struct weir_random random;
    struct operator__gate gate;
    struct weir_operator_settings settings;
};

static const struct operator__row row = {.id = "auth.login",
                                         .method = "POST",
                                         .path = "/auth/login",
                                         .tag = "auth",
                                         .roles = WEIR_ROLE_BIT(WEIR_ROLE_NONE),
                                         .changes = true,
                                         .has_body = true};

static void add(struct world *world, const char *name, const char *password, bool disabled) {
    char hash[WEIR_PASSWORD_HASH_SIZE] = "";
    const struct weir_people people = {&weir_engine_sqlite, world->engine, world->arena};
    struct weir_error error;
    if (password != NULL)
        assert_int_equal(weir_password_hash(weir_span_of_string(password), hash), WEIR_OK);
    struct weir_operator_record record = {.name = weir_span_of_string(name),
                                          .display_name = WEIR_SPAN(""),
                                          .email = WEIR_SPAN(""),
                                          .password = weir_span_of_string(hash),
                                          .role = WEIR_ROLE_ADMIN,
                                          .disabled = disabled};
    assert_int_equal(weir_operator_create(&people, &world->random, 1, &record, &error), WEIR_OK);
}

static int set_up(void **state) {
    struct world *world = weir_memory_new(1, sizeof *world);
    struct weir_error error;
    assert_non_null(world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/weir-login-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    world->arena = weir_arena_new(0, WEIR_MIB);
    assert_int_equal(weir_store_direct_open(world->folder, "dev", true, &world->engine, &error), WEIR_OK);
    world->settings = (struct weir_operator_settings){.store_directory = world->folder,
                                                      .environment = "dev",
                                                      .brand = WEIR_SPAN("weir"),
                                                      .brand_upper = WEIR_SPAN("WEIR"),
                                                      .session_ms = 60000};
    operator__gate_init(&world->gate, &world->random);
    add(world, "ada", "a password of ada", false);
    add(world, "none", NULL, false);
    add(world, "gone", "a password of ada", true);
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    char command[128];
    operator__gate_release(&world->gate);
    weir_store_direct_close(&world->engine);
    weir_arena_free(&world->arena);
    (void)snprintf(command, sizeof command, "rm -r %s", world->folder);
    assert_int_equal(system(command), 0);
    weir_memory_free(world);
    return 0;
}

/* The reason, NONE where it goes well; `peer` is not this machine's, so that no test depends on another's failures. */
static enum weir_reason try(struct world *world, const char *peer, const char *body) {
    const struct weir_http_head head = {.method = WEIR_SPAN("POST"), .path = WEIR_SPAN("/auth/login")};
    struct weir_schema_problem problem;
    struct weir_error error;
    struct weir_operation_call *call = operator__call_new(NULL, &world->settings, &row, &head, WEIR_SPAN(""));
    assert_non_null(call);
    call->ops = &weir_engine_sqlite;
    call->engine = world->engine;
    call->random = &world->random;
    call->gate = &world->gate;
    call->now_utc_us = (int64_t)1790000000 * 1000000;
    call->actor = (struct weir_actor){.address = weir_span_of_string(peer)};
    assert_int_equal(weir_json_read(call->arena, weir_span_of_string(body), &call->document, &problem), WEIR_OK);
    enum weir_status status = operator__auth_login(call);
    enum weir_reason reason = call->reason;
    if (call->in_work)
        assert_int_equal(weir_engine_sqlite.work_end(world->engine, status, &error), status);
    assert_int_equal(status == WEIR_OK, reason == WEIR_REASON_NONE);
    operator__call_free(&call);
    return reason;
}

static void every_attempt_checks_one_password(void **state) {
    static const struct {
        const char *body;
        enum weir_reason reason;
    } rows[] = {
        {"{\"username\":\"nobody\",\"password\":\"a password of ada\"}", WEIR_REASON_LOGIN_FAILED},
        {"{\"username\":\"ada\",\"password\":\"wrong\"}", WEIR_REASON_LOGIN_FAILED},
        {"{\"username\":\"ada\",\"password\":\"a password of ada\"}", WEIR_REASON_NONE},
        {"{\"username\":\"none\",\"password\":\"a password of ada\"}", WEIR_REASON_LOGIN_FAILED},
        {"{\"username\":\"gone\",\"password\":\"a password of ada\"}", WEIR_REASON_LOGIN_FAILED},
        {"{\"username\":\"gone\",\"password\":\"wrong\"}", WEIR_REASON_LOGIN_FAILED},
        {"{\"username\":\"NOT A NAME\",\"password\":\"wrong\"}", WEIR_REASON_LOGIN_FAILED},
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t before = world->gate.passwords_checked;
        assert_int_equal(try(world, "192.0.2.1", rows[i].body), rows[i].reason);
        assert_int_equal(world->gate.passwords_checked - before, 1);
        assert_true(world->gate.nobody[0] != '\0'); /* made at the first attempt, whoever it was for */
    }
}

static void who_has_to_wait_costs_nothing(void **state) {
    struct world *world = *state;
    for (unsigned i = 0; i < OPERATOR_LOGIN_PAIR_FAILURES; i++)
        assert_int_equal(try(world, "192.0.2.2", "{\"username\":\"x\",\"password\":\"y\"}"), WEIR_REASON_LOGIN_FAILED);
    uint64_t before = world->gate.passwords_checked;
    assert_int_equal(try(world, "192.0.2.2", "{\"username\":\"x\",\"password\":\"a password of ada\"}"),
                     WEIR_REASON_LOGIN_TOO_OFTEN);
    assert_int_equal(world->gate.passwords_checked, before);
    assert_int_equal(try(world, "192.0.2.2", "{\"username\":\"ada\",\"password\":\"a password of ada\"}"),
                     WEIR_REASON_NONE);
}

static void a_token_is_no_password(void **state) {
    struct world *world = *state;
    uint64_t before = world->gate.passwords_checked;
    assert_int_equal(try(world, "192.0.2.3", "{\"api_key\":\"weir_op_dev_x\"}"), WEIR_REASON_LOGIN_FAILED);
    assert_int_equal(world->gate.passwords_checked, before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_attempt_checks_one_password, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_to_wait_costs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_is_no_password, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
