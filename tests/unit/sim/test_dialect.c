/* Whose a request is, what a script asks for, how lines and arrays are written, and what signatures prove. */
#include "sim/dialect.h"
#include "sim/scripted.h"
#include "sim/signature.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NONE WEIR_SPAN("")

static struct sim_caller caller_of(const char *path) {
    return (struct sim_caller){.path = weir_span_of_string(path),
                               .query = NONE,
                               .host = NONE,
                               .authorization = NONE,
                               .x_api_key = NONE,
                               .google_key = NONE,
                               .version = NONE,
                               .betas = NONE};
}

static void expect_found(const struct sim_caller *caller, const char *method, const char *dialect, const char *path,
                         const char *id) {
    const struct sim_endpoint *row = NULL;
    struct weir_span found;
    const struct sim_dialect *spoken = sim__dialect_find(caller, weir_span_of_string(method), &row, &found);
    assert_string_equal(spoken->name, dialect);
    if (path == NULL) {
        assert_null(row);
        return;
    }
    assert_non_null(row);
    assert_string_equal(row->path, path);
    assert_true(weir_span_equal(found, weir_span_of_string(id)));
}

static void test_find(void **state) {
    (void)state;
    struct sim_caller caller = caller_of("/v1/messages");
    expect_found(&caller, "POST", "anthropic", "/messages", "");
    expect_found(&caller, "GET", "openai", NULL, "");
    caller = caller_of("/v1/models");
    expect_found(&caller, "GET", "openai", "/models", "");
    caller.version = WEIR_SPAN("2023-06-01");
    expect_found(&caller, "GET", "anthropic", "/models", "");
    expect_found(&caller, "PUT", "anthropic", NULL, ""); /* its error is the claimant's */
    caller = caller_of("/v1/models/a/b:c");
    expect_found(&caller, "GET", "openai", "/models/{model}", "a/b:c");
    caller = caller_of("/v1/files/file_1");
    expect_found(&caller, "GET", "openai", "/files/{id}", "file_1");
    caller.x_api_key = WEIR_SPAN("k");
    expect_found(&caller, "GET", "anthropic", "/files/{id}", "file_1");
    caller = caller_of("/v1/chat/completions");
    caller.x_api_key = WEIR_SPAN("k"); /* claimed by one that has no such path */
    expect_found(&caller, "POST", "openai", "/chat/completions", "");
    caller = caller_of("/v1/messages/batches/b/results");
    expect_found(&caller, "GET", "anthropic", "/messages/batches/{id}/results", "b");
}

static void test_authorizes(void **state) {
    (void)state;
    struct sim_caller caller = caller_of("/");
    assert_false(sim__openai.authorizes(&caller));
    assert_false(sim__anthropic.authorizes(&caller));
    caller.x_api_key = WEIR_SPAN("k");
    assert_false(sim__openai.authorizes(&caller));
    assert_true(sim__anthropic.authorizes(&caller));
    caller = caller_of("/");
    caller.authorization = WEIR_SPAN("Bearer ");
    assert_false(sim__anthropic.authorizes(&caller));
    caller.authorization = WEIR_SPAN("Bearer k");
    assert_true(sim__openai.authorizes(&caller));
    assert_true(sim__anthropic.authorizes(&caller));
}

static const char *body_of(const struct sim_dialect *dialect, unsigned status, const char *code,
                           struct weir_buffer *out) {
    struct sim_refusal refusal;
    dialect->refuse(status, code, &refusal);
    weir_buffer_clear(out);
    dialect->write_error(&refusal, 7, out);
    weir_buffer_append_byte(out, '\0');
    return out->at;
}

static void test_errors(void **state) {
    (void)state;
    struct weir_buffer out;
    weir_buffer_init(&out, 4096);
    assert_string_equal(
        body_of(&sim__anthropic, 529, NULL, &out),
        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"},\"request_id\":\"req_sim_7\"}");
    assert_non_null(strstr(body_of(&sim__anthropic, 418, NULL, &out), "\"invalid_request_error\""));
    assert_non_null(strstr(body_of(&sim__anthropic, 502, NULL, &out), "\"api_error\""));
    assert_non_null(strstr(body_of(&sim__anthropic, 403, "billing_error", &out), "\"type\":\"billing_error\""));
    struct sim_refusal shared; /* what a check that knows OpenAI alone has written */
    sim__refuse(&shared, 404, "model", "model_not_found", "no");
    weir_buffer_clear(&out);
    sim__anthropic.write_error(&shared, 7, &out);
    weir_buffer_append_byte(&out, '\0');
    assert_non_null(strstr(out.at, "\"type\":\"not_found_error\""));
    weir_buffer_release(&out);
}

/* --- lines and arrays --- */

static void expect_steps(enum sim_framing framing, const struct sim_wishes *wishes, bool no_end,
                         const char *const *expected, size_t count) {
    struct weir_arena *arena = weir_arena_new(0, 1 << 20);
    struct sim_script script;
    struct sim_steps steps;
    struct weir_buffer out;
    weir_buffer_init(&out, 4096);
    sim__script_init(&script, arena, framing);
    sim__script_event(&script, NULL, WEIR_SPAN("{\"a\":1,\"b\":2"), 0);
    sim__script_event(&script, NULL, WEIR_SPAN("{\"a\":3"), 0);
    sim__script_event(&script, NULL, WEIR_SPAN("{\"end\":true"), 0);
    script.terminal = 1;
    sim__script_dress(&script, wishes, &sim__anthropic, 5);
    assert_int_equal(sim__script_steps(&script, no_end, &steps), WEIR_OK);
    assert_int_equal(steps.count, count);
    for (size_t i = 0; i < count; i++) {
        weir_buffer_clear(&out);
        steps.kind->write(steps.what, i, &out);
        weir_buffer_append_byte(&out, '\0');
        assert_string_equal(out.at, expected[i]);
    }
    weir_buffer_release(&out);
    weir_arena_free(&arena);
}

static void test_framing(void **state) {
    (void)state;
    const struct sim_wishes plain = {.tokens = 1};
    const struct sim_wishes dressed = {.tokens = 1, .crlf = true, .comments = true, .multiline = true};
    static const char *const lines[] = {"{\"a\":1,\"b\":2,\"x_sim\":{\"served\":5}}\n", "{\"a\":3}\n",
                                        "{\"end\":true}\n"};
    static const char *const dressed_lines[] = {"  {\"a\":1,\"b\":2,\"x_sim\":{\"served\":5}}\r\n", "{\"a\":3}\r\n",
                                                "{\"end\":true}\r\n"};
    static const char *const array[] = {"[{\"a\":1,\"b\":2,\"x_sim\":{\"served\":5}}\n", ",\n{\"a\":3}\n",
                                        ",\n{\"end\":true}]\n"};
    static const char *const dressed_array[] = {"[  {\"a\":1,\r\n  \"b\":2,\"x_sim\":{\"served\":5}}\r\n",
                                                ",\r\n{\"a\":3}\r\n", ",\r\n{\"end\":true}]\r\n"};
    expect_steps(SIM_FRAMING_LINES, &plain, false, lines, 3);
    expect_steps(SIM_FRAMING_LINES, &plain, true, lines, 2);
    expect_steps(SIM_FRAMING_LINES, &dressed, false, dressed_lines, 3);
    expect_steps(SIM_FRAMING_ARRAY, &plain, false, array, 3);
    expect_steps(SIM_FRAMING_ARRAY, &plain, true, array, 2); /* the array is not closed */
    expect_steps(SIM_FRAMING_ARRAY, &dressed, false, dressed_array, 3);
}

/* --- scripts and signatures --- */

static void test_script(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, 1 << 20);
    struct sim_scripted made;
    struct sim_refusal refusal;
    const char *json =
        "{\"blocks\":[{\"thinking\":\"t\",\"signature\":\"s\"},{\"text\":\"hello\"},"
        "{\"tool\":{\"name\":\"f\",\"arguments\":{\"a\":[1]}}},{\"tool\":{\"name\":\"g\",\"arguments\":\"{x\",\"id\":\"i\"}}],"
        "\"usage\":{\"cached\":3,\"cache_write_1h\":2},\"native_usage\":{\"x\":1}}";
    assert_int_equal(sim__scripted_read(arena, weir_span_of_string(json), &made, &refusal), WEIR_OK);
    assert_int_equal(made.count, 4);
    assert_int_equal(made.blocks[0].kind, SIM_BLOCK_THINKING);
    assert_true(weir_span_equal(made.blocks[0].signature, WEIR_SPAN("s")));
    assert_true(weir_span_equal(made.blocks[2].text.bytes, WEIR_SPAN("{\"a\":[1]}")));
    assert_true(weir_span_equal(made.blocks[2].id, WEIR_SPAN("call_script_3")));
    assert_true(weir_span_equal(made.blocks[3].text.bytes, WEIR_SPAN("{x")));
    assert_true(weir_span_equal(made.blocks[3].id, WEIR_SPAN("i")));
    assert_int_equal(made.finish, SIM_FINISH_TOOLS);
    assert_false(made.has_input);
    assert_int_equal(made.usage.cached, 3);
    assert_int_equal(made.cache_write_1h, 2);
    /* t: 1, hello: 2, f: 1 and 3 pieces of nine bytes, g: 1 and 1 */
    assert_int_equal(made.usage.output, 9);
    assert_int_equal(made.usage.reasoning, 1);
    assert_true(weir_span_equal(made.native_usage, WEIR_SPAN("{\"x\":1}")));
    assert_int_equal(sim__scripted_read(arena, WEIR_SPAN("[{\"refusal\":\"no\"}]"), &made, &refusal), WEIR_OK);
    assert_int_equal(made.finish, SIM_FINISH_FILTER);
    static const char *const wrong[] = {"",
                                        "7",
                                        "[",
                                        "{}",
                                        "{\"blocks\":7}",
                                        "[7]",
                                        "[{\"text\":7}]",
                                        "[{\"tool\":{}}]",
                                        "{\"blocks\":[],\"finish\":\"x\"}",
                                        "{\"blocks\":[],\"usage\":{\"input\":-1}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(sim__scripted_read(arena, weir_span_of_string(wrong[i]), &made, &refusal), WEIR_EINVAL);
        assert_int_equal(refusal.status, 400);
    }
    weir_arena_free(&arena);
}

static void test_signatures(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, 1 << 20);
    struct weir_span first;
    struct weir_span second;
    assert_true(sim__signature_make(arena, 1, WEIR_SPAN("a thought"), &first));
    assert_true(sim__signature_make(arena, 2, WEIR_SPAN("a thought"), &second));
    assert_false(weir_span_equal(first, second));
    assert_true(sim__signature_fits(first, WEIR_SPAN("a thought")));
    assert_true(sim__signature_fits(second, WEIR_SPAN("a thought")));
    assert_false(sim__signature_fits(first, WEIR_SPAN("a thought ")));
    assert_false(sim__signature_fits(weir_span_from(first, 1), WEIR_SPAN("a thought")));
    assert_false(sim__signature_fits(WEIR_SPAN(""), WEIR_SPAN("a thought")));
    char changed[64];
    for (size_t i = 0; i < first.length; i++) {
        memcpy(changed, first.at, first.length);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        assert_false(sim__signature_fits(weir_span_of(changed, first.length), WEIR_SPAN("a thought")));
    }
    weir_arena_free(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),    cmocka_unit_test(test_authorizes), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_framing), cmocka_unit_test(test_script),     cmocka_unit_test(test_signatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
