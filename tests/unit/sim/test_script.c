/* Answers written down as runs of steps: what comes out of them, and where faults and pauses are put. */
#include "sim/dialect.h"
#include "sim/script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct fixture {
    struct weir_arena *arena;
    struct sim_script script;
    struct weir_buffer out;
};

static int setup(void **state) {
    struct fixture *fixture = test_calloc(1, sizeof *fixture);
    fixture->arena = weir_arena_new(0, 64 << 20);
    weir_buffer_init(&fixture->out, 1 << 24);
    sim__script_init(&fixture->script, fixture->arena, SIM_FRAMING_EVENTS);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    weir_buffer_release(&fixture->out);
    weir_arena_free(&fixture->arena);
    test_free(fixture);
    return 0;
}

/* Three tokens of four bytes. */
static struct sim_text pieces(struct fixture *fixture, const char *text) {
    struct sim_text made;
    assert_int_equal(sim__text_pieces(fixture->arena, weir_span_of_string(text), &made), WEIR_OK);
    return made;
}

static struct sim_steps steps(struct fixture *fixture, const struct sim_wishes *wishes, bool no_end) {
    struct sim_steps made;
    sim__script_dress(&fixture->script, wishes, &sim__openai, 5);
    assert_int_equal(sim__script_steps(&fixture->script, no_end, &made), WEIR_OK);
    return made;
}

static const char *step(struct fixture *fixture, const struct sim_steps *made, size_t index) {
    weir_buffer_clear(&fixture->out);
    made->kind->write(made->what, index, &fixture->out);
    weir_buffer_append_byte(&fixture->out, '\0');
    return fixture->out.at;
}

static void add_example(struct fixture *fixture) {
    struct sim_script *script = &fixture->script;
    sim__script_event(script, "start", WEIR_SPAN("{\"a\":1,\"b\":2"), 7);
    sim__script_text(script, "delta", WEIR_SPAN("{\"d\":"), WEIR_SPAN(",\"e\":0"), pieces(fixture, "onlytwo\"wor"), 1);
    sim__script_event(script, "end", WEIR_SPAN("{\"z\":0"), 0);
    sim__script_plain(script, "[DONE]");
    script->terminal = 1;
}

static void test_events(void **state) {
    struct fixture *fixture = *state;
    const struct sim_wishes plain = {.tokens = 1};
    add_example(fixture);
    struct sim_steps made = steps(fixture, &plain, false);
    assert_int_equal(made.count, 6);
    assert_int_equal(made.tokens, 3);
    assert_string_equal(step(fixture, &made, 0), "event: start\ndata: {\"a\":1,\"b\":2,\"x_sim\":{\"served\":5}}\n\n");
    assert_string_equal(step(fixture, &made, 1), "event: delta\ndata: {\"d\":\"only\",\"e\":0}\n\n");
    assert_string_equal(step(fixture, &made, 2), "event: delta\ndata: {\"d\":\"two\\\"\",\"e\":0}\n\n");
    assert_string_equal(step(fixture, &made, 5), "data: [DONE]\n\n");
    assert_int_equal(steps(fixture, &plain, true).count, 5);
}

static void test_dress(void **state) {
    struct fixture *fixture = *state;
    const struct sim_wishes dressed = {.crlf = true, .comments = true, .multiline = true};
    add_example(fixture);
    fixture->script.numbered = true;
    struct sim_steps made = steps(fixture, &dressed, false);
    assert_string_equal(step(fixture, &made, 0), ": ping\r\n\r\nevent: start\r\ndata: {\"a\":1,\r\ndata: "
                                                 "\"b\":2,\"sequence_number\":0,\"x_sim\":{\"served\":5}}\r\n\r\n");
    assert_string_equal(step(fixture, &made, 4),
                        ": ping\r\n\r\nevent: end\r\ndata: {\"z\":0,\"sequence_number\":4}\r\n\r\n");
}

static void test_places(void **state) {
    struct fixture *fixture = *state;
    const struct sim_wishes plain = {.tokens = 1};
    add_example(fixture);
    struct sim_steps made = steps(fixture, &plain, false);
    static const size_t beats[] = {0, 0, 1, 2, 2, 2};
    static const int64_t tokens[] = {0, 7, 8, 9, 10, 10, 10};
    for (size_t i = 0; i < made.count; i++) {
        assert_int_equal(made.kind->beats_before(made.what, i), beats[i]);
    }
    for (size_t i = 0; i <= made.count; i++) {
        assert_int_equal(made.kind->tokens_out(made.what, i), tokens[i]);
    }
    assert_int_equal(made.kind->of_token(made.what, 0), 1);
    assert_int_equal(made.kind->of_token(made.what, 2), 3);
    assert_int_equal(made.kind->of_token(made.what, 3), 4);
    assert_int_equal(made.kind->of_token(made.what, 1000000), 4);
}

static void test_skip(void **state) {
    struct fixture *fixture = *state;
    const struct sim_wishes plain = {.tokens = 1};
    add_example(fixture);
    fixture->script.numbered = true;
    fixture->script.skip = 2;
    struct sim_steps made = steps(fixture, &plain, false);
    assert_int_equal(made.count, 4);
    assert_string_equal(step(fixture, &made, 0),
                        "event: delta\ndata: {\"d\":\"two\\\"\",\"e\":0,\"sequence_number\":2}\n\n");
    assert_int_equal(made.kind->beats_before(made.what, 0), 0);
    assert_int_equal(made.kind->beats_before(made.what, 1), 1);
    fixture->script.skip = 1000;
    assert_int_equal(steps(fixture, &plain, false).count, 0);
}

static void test_lanes(void **state) {
    struct fixture *fixture = *state;
    const struct sim_wishes plain = {.tokens = 1};
    struct sim_lane lanes[2] = {
        {.before = WEIR_SPAN("{\"l\":0,\"t\":"), .after = WEIR_SPAN(""), .text = pieces(fixture, "aaaabbbb")},
        {.before = WEIR_SPAN("{\"l\":1,\"t\":"), .after = WEIR_SPAN(""), .text = pieces(fixture, "cccc")},
    };
    sim__script_run(&fixture->script, (struct sim_run){.lanes = lanes, .lane_count = 2, .tokens = 3});
    struct sim_steps made = steps(fixture, &plain, false);
    assert_int_equal(made.count, 4);
    assert_string_equal(step(fixture, &made, 1), "data: {\"l\":1,\"t\":\"cccc\"}\n\n");
    assert_string_equal(step(fixture, &made, 2), "data: {\"l\":0,\"t\":\"bbbb\"}\n\n");
    assert_string_equal(step(fixture, &made, 3), "");
    assert_int_equal(made.kind->tokens_out(made.what, 2), 6);
    assert_int_equal(made.kind->tokens_out(made.what, 4), 9);
}

static void fill(const void *owner, uint64_t from, size_t length, struct weir_buffer *out) {
    weir_buffer_append(out, weir_span_of((const char *)owner + from, length));
}

static void test_bytes(void **state) {
    struct fixture *fixture = *state;
    const struct sim_wishes plain = {.tokens = 1};
    const struct sim_run run = {
        .before = WEIR_SPAN("{\"b\":"), .fill = fill, .owner = "0123456789", .bytes = 10, .piece = 4};
    sim__script_run(&fixture->script, run);
    struct sim_steps made = steps(fixture, &plain, false);
    assert_int_equal(made.count, 3);
    assert_string_equal(step(fixture, &made, 2), "data: {\"b\":\"ODk=\"}\n\n");
    sim__script_init(&fixture->script, fixture->arena, SIM_FRAMING_BYTES);
    sim__script_run(&fixture->script, run);
    made = steps(fixture, &plain, false);
    assert_int_equal(made.framing, SIM_FRAMING_BYTES);
    assert_string_equal(step(fixture, &made, 1), "4567");
    assert_string_equal(step(fixture, &made, 2), "89");
}

static void test_no_tokens(void **state) {
    struct fixture *fixture = *state;
    const struct sim_wishes plain = {.tokens = 1};
    sim__script_event(&fixture->script, NULL, WEIR_SPAN("{\"a\":1"), 0);
    sim__script_event(&fixture->script, NULL, WEIR_SPAN("{\"a\":2"), 9);
    fixture->script.terminal = 1;
    struct sim_steps made = steps(fixture, &plain, false);
    assert_int_equal(made.kind->of_token(made.what, 0), 1); /* before the last event */
    assert_int_equal(made.kind->tokens_out(made.what, 1), 0);
    assert_int_equal(made.kind->tokens_out(made.what, 2), 9);
}

static void test_base64(void **state) {
    struct fixture *fixture = *state;
    static const char *const pairs[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe\xfd", "//79"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        weir_buffer_clear(&fixture->out);
        sim__base64(weir_span_of_string(pairs[i][0]), &fixture->out);
        assert_true(weir_span_equal(weir_buffer_span(&fixture->out), weir_span_of_string(pairs[i][1])));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dress, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_skip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lanes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_base64, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
