/* Reading chat requests and deciding their answers, whole and streamed. */
#include "sim/stream.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <yyjson.h>

struct fixture {
    struct weir_arena *arena;
    struct weir_arena *scratch;
    struct sim_memory memory;
    struct sim_chat chat;
    struct sim_refusal refusal;
};

static const struct sim_wishes usual = {.tokens = 16};
static const struct sim_answer_facts facts = {.id = "chatcmpl-test",
                                              .created_s = 1700000000,
                                              .served = 9,
                                              .usage_percent = 100};

static int setup(void **state) {
    struct fixture *fixture = test_calloc(1, sizeof *fixture);
    fixture->arena = weir_arena_new(0, 64 << 20);
    fixture->scratch = weir_arena_new(0, 64 << 20);
    *state = fixture;
    return 0;
}

static int teardown(void **state) {
    struct fixture *fixture = *state;
    weir_arena_free(&fixture->arena);
    weir_arena_free(&fixture->scratch);
    test_free(fixture);
    return 0;
}

static enum weir_status read_with(struct fixture *fixture, const struct sim_wishes *wishes, const char *body) {
    enum weir_status status = sim__chat_read(fixture->arena, fixture->scratch, weir_span_of_string(body), wishes, 0,
                                             &fixture->memory, &fixture->chat, &fixture->refusal);
    weir_arena_reset(fixture->scratch);
    return status;
}

static void read_good(struct fixture *fixture, const char *body) {
    assert_int_equal(read_with(fixture, &usual, body), WEIR_OK);
}

static yyjson_doc *answer(struct fixture *fixture) {
    struct weir_buffer out;
    weir_buffer_init(&out, 1 << 24);
    sim__answer_write(&fixture->chat, &facts, &out);
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    yyjson_doc *document = yyjson_read(out.at, out.length, 0);
    assert_non_null(document);
    weir_buffer_release(&out);
    return document;
}

static yyjson_val *at(yyjson_doc *document, const char *pointer) {
    return yyjson_doc_ptr_get(document, pointer);
}

static void test_plain_answer(void **state) {
    struct fixture *fixture = *state;
    read_good(fixture, "{\"model\":\"m\\u00e9\",\"messages\":[{\"role\":\"user\",\"content\":\"12345678\"}]}");
    assert_int_equal(fixture->chat.prompt_tokens, 3 + 4 + 2);
    assert_int_equal(fixture->chat.completion_tokens, 16);
    yyjson_doc *document = answer(fixture);
    assert_string_equal(yyjson_get_str(at(document, "/id")), "chatcmpl-test");
    assert_string_equal(yyjson_get_str(at(document, "/object")), "chat.completion");
    assert_string_equal(yyjson_get_str(at(document, "/model")), "m\xc3\xa9");
    assert_string_equal(yyjson_get_str(at(document, "/choices/0/finish_reason")), "stop");
    assert_string_equal(yyjson_get_str(at(document, "/choices/0/message/role")), "assistant");
    assert_true(yyjson_is_null(at(document, "/choices/0/message/refusal")));
    assert_true(yyjson_is_null(at(document, "/choices/0/logprobs")));
    assert_int_equal(yyjson_get_int(at(document, "/usage/total_tokens")), 9 + 16);
    assert_int_equal(yyjson_get_int(at(document, "/usage/completion_tokens_details/rejected_prediction_tokens")), 0);
    assert_int_equal(yyjson_get_int(at(document, "/x_sim/served")), 9);
    assert_null(at(document, "/x_sim_echo"));
    yyjson_doc_free(document);
}

static void test_same_request_same_text(void **state) {
    struct fixture *fixture = *state;
    static const char *const bodies[] = {
        "{\"model\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}",
        "{\"messages\":[{\"content\":\"x\",\"role\":\"user\"}],\"model\":\"a\",\"temperature\":0}",
        "{\"model\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"seed\":5}",
        "{\"model\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"y\"}]}",
    };
    char *texts[4];
    for (int i = 0; i < 4; i++) {
        read_good(fixture, bodies[i]);
        yyjson_doc *document = answer(fixture);
        texts[i] = strdup(yyjson_get_str(at(document, "/choices/0/message/content")));
        yyjson_doc_free(document);
    }
    assert_string_equal(texts[0], texts[1]);
    assert_string_not_equal(texts[0], texts[2]);
    assert_string_not_equal(texts[0], texts[3]);
    for (int i = 0; i < 4; i++) {
        free(texts[i]);
    }
}

static void test_limits_and_reasoning(void **state) {
    struct fixture *fixture = *state;
    read_good(fixture, "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    assert_int_equal(fixture->chat.completion_tokens, 5);
    assert_string_equal(fixture->chat.choices[0].finish_reason, "length");
    read_good(fixture, "{\"model\":\"m\",\"max_tokens\":16,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    assert_string_equal(fixture->chat.choices[0].finish_reason, "stop");
    read_good(fixture,
              "{\"model\":\"m\",\"max_tokens\":3,\"max_completion_tokens\":7,\"n\":3,\"messages\":[{\"role\":\"user\","
              "\"content\":\"x\"}]}");
    assert_int_equal(fixture->chat.completion_tokens, 21);
    read_good(fixture, "{\"model\":\"sim-reasoner\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    assert_in_range(fixture->chat.reasoning_tokens, 8, 32);
    assert_int_equal(fixture->chat.completion_tokens, fixture->chat.reasoning_tokens + 16);
    read_good(
        fixture,
        "{\"model\":\"sim-reasoner\",\"max_completion_tokens\":4,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    assert_int_equal(fixture->chat.reasoning_tokens, 4);
    assert_int_equal(fixture->chat.completion_tokens, 4);
    assert_string_equal(fixture->chat.choices[0].finish_reason, "length");
    read_good(
        fixture,
        "{\"model\":\"sim-reasoner\",\"reasoning_effort\":\"none\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    assert_int_equal(fixture->chat.reasoning_tokens, 0);
}

static void test_prompt_counting(void **state) {
    struct fixture *fixture = *state;
    read_good(
        fixture,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"1234\"},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}]},{\"role\":\"assistant\",\"content\":null}]}");
    assert_int_equal(fixture->chat.prompt_tokens, 3 + 4 + 1 + 85 + 4);
    assert_int_equal(fixture->chat.cached_tokens, 0);
    read_good(fixture, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"remember me\"}]}");
    assert_int_equal(fixture->chat.cached_tokens, 0);
    read_good(fixture, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"remember me\"}]}");
    assert_int_equal(fixture->chat.cached_tokens, fixture->chat.prompt_tokens * 3 / 4);
    read_good(fixture, "{\"model\":\"other\",\"messages\":[{\"role\":\"user\",\"content\":\"remember me\"}]}");
    assert_int_equal(fixture->chat.cached_tokens, 0);
    read_good(fixture, "{\"model\":\"sim-cached\",\"messages\":[{\"role\":\"user\",\"content\":\"first\"}]}");
    assert_int_equal(fixture->chat.cached_tokens, fixture->chat.prompt_tokens * 3 / 4);
}

static void test_stop_sequence(void **state) {
    struct fixture *fixture = *state;
    read_good(fixture, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    struct weir_span third = sim__text_token(&fixture->chat.choices[0].text, 2);
    char body[200];
    (void)snprintf(body, sizeof body,
                   "{\"model\":\"m\",\"max_tokens\":5,\"stop\":[\"%.*s\"],\"messages\":[{\"role\":\"user\","
                   "\"content\":\"x\"}]}",
                   WEIR_SPAN_PRINT(third));
    read_good(fixture, body);
    assert_int_equal(fixture->chat.completion_tokens, 2);
    assert_string_equal(fixture->chat.choices[0].finish_reason, "stop");
}

static void test_refusals(void **state) {
    struct fixture *fixture = *state;
    static const struct {
        const char *body;
        unsigned status;
        const char *param;
    } bad[] = {
        {"", 400, NULL},
        {"[]", 400, NULL},
        {"{\"model\":", 400, NULL},
        {"{\"messages\":[]}", 400, "model"},
        {"{\"model\":7,\"messages\":[]}", 400, "model"},
        {"{\"model\":\"m\"}", 400, "messages"},
        {"{\"model\":\"m\",\"messages\":[]}", 400, "messages"},
        {"{\"model\":\"m\",\"messages\":[{}]}", 400, "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"n\":0}", 400, "n"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"n\":129}", 400, "n"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"n\":\"2\"}", 400, "n"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"max_tokens\":0}", 400, "max_tokens"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"max_tokens\":18446744073709551615}", 400, "max_tokens"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"max_tokens\":1e999}", 400, "max_tokens"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"stream\":\"yes\"}", 400, "stream"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}],\"stream_options\":{}}", 400, "stream_options"},
        {"{\"model\":\"unknown-model\",\"messages\":[{\"role\":\"user\"}]}", 404, NULL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_with(fixture, &usual, bad[i].body), WEIR_EINVAL);
        assert_int_equal(fixture->refusal.status, bad[i].status);
        assert_true((bad[i].param == NULL) == (fixture->refusal.param == NULL));
        if (bad[i].param != NULL) {
            assert_string_equal(fixture->refusal.param, bad[i].param);
        }
        struct weir_buffer out;
        weir_buffer_init(&out, 4000);
        sim__answer_error(&fixture->refusal, &out);
        yyjson_doc *document = yyjson_read(out.at, out.length, 0);
        assert_true(yyjson_is_str(at(document, "/error/message")));
        assert_non_null(at(document, "/error/code"));
        yyjson_doc_free(document);
        weir_buffer_release(&out);
    }
}

static void test_echo_keeps_bytes(void **state) {
    struct fixture *fixture = *state;
    struct sim_wishes wishes = {.tokens = 1, .echo = true};
    assert_int_equal(read_with(fixture, &wishes,
                               "{\"model\":\"m\",\"x\": [1.00, 1e2],\"messages\":[{\"role\":\"user\"}],"
                               "\"y\\u0041\":\"\\u00e9\",\"temper\\u0061ture\":1}"),
                     WEIR_OK);
    assert_true(weir_span_equal(fixture->chat.echo, WEIR_SPAN("{\"x\":[1.00, 1e2],\"y\\u0041\":\"\\u00e9\"}")));
    assert_int_equal(read_with(fixture, &wishes, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}"), WEIR_OK);
    assert_true(weir_span_equal(fixture->chat.echo, WEIR_SPAN("{}")));
}

static const char tools_request[] =
    "{\"model\":\"m\",%s\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
    "\"first\",\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}},{\"type\":\"function\","
    "\"function\":{\"name\":\"second\",\"parameters\":{\"type\":\"object\",\"properties\":{\"count\":{\"type\":\"integer\"}}}}}]}";

static void read_tools_with(struct fixture *fixture, const struct sim_wishes *wishes, const char *more) {
    char body[1000];
    const char *place = strstr(tools_request, "%s");
    (void)snprintf(body, sizeof body, "%.*s%s%s", (int)(place - tools_request), tools_request, more, place + 2);
    assert_int_equal(read_with(fixture, wishes, body), WEIR_OK);
}

static void read_tools(struct fixture *fixture, const char *more) {
    read_tools_with(fixture, &usual, more);
}

static void test_tools(void **state) {
    struct fixture *fixture = *state;
    read_tools(fixture, "");
    assert_int_equal(fixture->chat.tool_count, 1);
    yyjson_doc *document = answer(fixture);
    assert_true(yyjson_is_null(at(document, "/choices/0/message/content")));
    assert_string_equal(yyjson_get_str(at(document, "/choices/0/finish_reason")), "tool_calls");
    assert_string_equal(yyjson_get_str(at(document, "/choices/0/message/tool_calls/0/function/name")), "first");
    const char *arguments = yyjson_get_str(at(document, "/choices/0/message/tool_calls/0/function/arguments"));
    yyjson_doc *inner = yyjson_read(arguments, strlen(arguments), 0);
    assert_true(yyjson_is_str(at(inner, "/city")));
    yyjson_doc_free(inner);
    yyjson_doc_free(document);
    read_tools(fixture, "\"tool_choice\":\"none\",");
    assert_int_equal(fixture->chat.tool_count, 0);
    read_tools(fixture, "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"second\"}},");
    assert_true(weir_span_equal(fixture->chat.tools[0].name, WEIR_SPAN("second")));
    read_tools(fixture, "\"parallel_tool_calls\":true,");
    assert_int_equal(fixture->chat.tool_count, 2);
    read_tools(fixture, "\"parallel_tool_calls\":true,\"max_tokens\":1,");
    assert_string_equal(fixture->chat.choices[0].finish_reason, "length");
    assert_int_equal(fixture->chat.completion_tokens, 1);
    document = answer(fixture);
    assert_int_equal(yyjson_arr_size(at(document, "/choices/0/message/tool_calls")), 1);
    yyjson_doc_free(document);
}

static void test_structured_output(void **state) {
    struct fixture *fixture = *state;
    read_good(fixture,
              "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"response_format\":{\"type\":"
              "\"json_schema\",\"json_schema\":{\"name\":\"a\",\"schema\":{\"type\":\"object\",\"properties\":{\"ok\":"
              "{\"type\":\"boolean\"}}}}}}");
    yyjson_doc *document = answer(fixture);
    const char *content = yyjson_get_str(at(document, "/choices/0/message/content"));
    yyjson_doc *inner = yyjson_read(content, strlen(content), 0);
    assert_true(yyjson_is_bool(at(inner, "/ok")));
    yyjson_doc_free(inner);
    yyjson_doc_free(document);
    read_good(fixture,
              "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"response_format\":{\"type\":"
              "\"json_object\"}}");
    document = answer(fixture);
    content = yyjson_get_str(at(document, "/choices/0/message/content"));
    inner = yyjson_read(content, strlen(content), 0);
    assert_true(yyjson_is_obj(yyjson_doc_get_root(inner)));
    yyjson_doc_free(inner);
    yyjson_doc_free(document);
}

/* What a client puts together from the events: text a choice, arguments a call, and how the stream ended. */
struct collected {
    char content[4][4000];
    char arguments[2][4000];
    int roles, finishes, usages, done, comments;
    int64_t usage_tokens;
    int switches; /* between parallel calls */
};

static void collect_event(struct collected *all, struct weir_span data) {
    if (weir_span_equal(data, WEIR_SPAN("[DONE]"))) {
        all->done++;
        return;
    }
    assert_int_equal(all->done, 0);
    yyjson_doc *document = yyjson_read(data.at, data.length, 0);
    assert_non_null(document);
    assert_string_equal(yyjson_get_str(at(document, "/object")), "chat.completion.chunk");
    size_t choice = (size_t)yyjson_get_uint(at(document, "/choices/0/index"));
    assert_true(choice < 4);
    yyjson_val *delta = at(document, "/choices/0/delta");
    all->roles += yyjson_obj_get(delta, "role") != NULL ? 1 : 0;
    all->finishes += yyjson_is_str(at(document, "/choices/0/finish_reason")) ? 1 : 0;
    const char *content = yyjson_get_str(yyjson_obj_get(delta, "content"));
    if (content != NULL) {
        size_t length = strlen(all->content[choice]);
        (void)snprintf(all->content[choice] + length, sizeof all->content[choice] - length, "%s", content);
    }
    yyjson_val *call = at(document, "/choices/0/delta/tool_calls/0");
    if (call != NULL) {
        size_t index = (size_t)yyjson_get_uint(yyjson_obj_get(call, "index"));
        size_t length = strlen(all->arguments[index]);
        all->switches += index == 1 ? 1 : 0;
        (void)snprintf(all->arguments[index] + length, sizeof all->arguments[index] - length, "%s",
                       yyjson_get_str(yyjson_obj_get(yyjson_obj_get(call, "function"), "arguments")));
    }
    if (yyjson_is_obj(at(document, "/usage"))) {
        all->usages++;
        all->usage_tokens = yyjson_get_sint(at(document, "/usage/completion_tokens"));
        assert_int_equal(yyjson_arr_size(at(document, "/choices")), 0);
    }
    yyjson_doc_free(document);
}

static void collect(struct fixture *fixture, const struct sim_wishes *wishes, struct collected *all) {
    struct sim_stream stream;
    assert_int_equal(sim__stream_init(fixture->arena, &fixture->chat, &facts, wishes, false, &stream), WEIR_OK);
    *all = (struct collected){.roles = 0};
    struct weir_buffer out;
    weir_buffer_init(&out, 1 << 20);
    int64_t tokens = 0;
    for (size_t i = 0; i < stream.units; i++) {
        assert_true(sim__stream_tokens_out(&stream, i) >= tokens);
        tokens = sim__stream_tokens_out(&stream, i);
        sim__stream_unit(&stream, i, &out);
    }
    assert_int_equal(sim__stream_tokens_out(&stream, stream.units), fixture->chat.completion_tokens);
    /* Events as a client would cut them: lines by LF, an optional CR before it, data lines joined by LF. */
    char data[8000];
    size_t length = 0;
    struct weir_span rest = weir_buffer_span(&out);
    while (!weir_span_is_empty(rest)) {
        struct weir_span line;
        (void)weir_span_split(rest, '\n', &line, &rest);
        if (wishes->crlf) {
            assert_int_equal(line.at[line.length - 1], '\r');
            line.length--;
        }
        if (line.length == 0) {
            if (length > 0) {
                collect_event(all, weir_span_of(data, length));
            }
            length = 0;
        } else if (line.at[0] == ':') {
            all->comments++;
        } else {
            assert_true(weir_span_starts_with(line, WEIR_SPAN("data: ")));
            line = weir_span_from(line, 6);
            if (length > 0) {
                data[length++] = '\n';
            }
            memcpy(data + length, line.at, line.length);
            length += line.length;
        }
    }
    weir_buffer_release(&out);
}

static void test_stream(void **state) {
    struct fixture *fixture = *state;
    struct collected all;
    const char *body =
        "{\"model\":\"m\",\"stream\":true,\"n\":3,\"stream_options\":{\"include_usage\":true},\"messages\":[{\"role\":"
        "\"user\",\"content\":\"x\"}]}";
    for (int variant = 0; variant < 8; variant++) {
        struct sim_wishes wishes = {.tokens = 16,
                                    .crlf = (variant & 1) != 0,
                                    .comments = (variant & 2) != 0,
                                    .multiline = (variant & 4) != 0};
        assert_int_equal(read_with(fixture, &wishes, body), WEIR_OK);
        collect(fixture, &wishes, &all);
        yyjson_doc *document = answer(fixture);
        for (size_t i = 0; i < 3; i++) {
            char pointer[60];
            (void)snprintf(pointer, sizeof pointer, "/choices/%zu/message/content", i);
            assert_string_equal(all.content[i], yyjson_get_str(at(document, pointer)));
        }
        yyjson_doc_free(document);
        assert_string_not_equal(all.content[0], all.content[1]);
        assert_int_equal(all.roles, 3);
        assert_int_equal(all.finishes, 3);
        assert_int_equal(all.usages, 1);
        assert_int_equal(all.usage_tokens, 48);
        assert_int_equal(all.done, 1);
        assert_true((all.comments > 0) == wishes.comments);
    }
}

static void test_stream_tools(void **state) {
    struct fixture *fixture = *state;
    struct collected all;
    read_tools(fixture, "\"stream\":true,\"parallel_tool_calls\":true,");
    collect(fixture, &usual, &all);
    for (size_t i = 0; i < 2; i++) {
        yyjson_doc *inner = yyjson_read(all.arguments[i], strlen(all.arguments[i]), 0);
        assert_non_null(yyjson_doc_ptr_get(inner, i == 0 ? "/city" : "/count"));
        yyjson_doc_free(inner);
    }
    assert_true(all.switches > 1);
    assert_int_equal(all.usages, 0);
    assert_int_equal(fixture->chat.steps[0].call, 0);
    assert_int_equal(fixture->chat.steps[1].call, 1);
    assert_int_equal(fixture->chat.steps[2].call, 0);
    struct sim_wishes sequential = {.tokens = 16, .sequential = true};
    read_tools_with(fixture, &sequential, "\"stream\":true,\"parallel_tool_calls\":true,");
    struct collected again;
    collect(fixture, &sequential, &again);
    assert_string_equal(all.arguments[0], again.arguments[0]);
    assert_string_equal(all.arguments[1], again.arguments[1]);
    for (size_t i = 1; i < fixture->chat.longest; i++) {
        assert_true(fixture->chat.steps[i].call >= fixture->chat.steps[i - 1].call);
    }
}

static void test_stream_positions(void **state) {
    struct fixture *fixture = *state;
    struct sim_stream stream;
    read_good(fixture,
              "{\"model\":\"sim-reasoner\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    assert_int_equal(sim__stream_init(fixture->arena, &fixture->chat, &facts, &usual, true, &stream), WEIR_OK);
    assert_int_equal(stream.units, 1 + 16 + 1);
    assert_int_equal(sim__stream_unit_of_token(&stream, 0), 1);
    assert_int_equal(sim__stream_unit_of_token(&stream, 5), 6);
    assert_int_equal(sim__stream_unit_of_token(&stream, 500), 17);
    assert_int_equal(sim__stream_tokens_out(&stream, 1), 0);
    assert_int_equal(sim__stream_tokens_out(&stream, 2), fixture->chat.reasoning_tokens + 1);
    assert_int_equal(sim__stream_steps_before(&stream, 0), 0);
    assert_int_equal(sim__stream_steps_before(&stream, 1), 0);
    assert_int_equal(sim__stream_steps_before(&stream, 3), 2);
    assert_int_equal(sim__stream_steps_before(&stream, 17), 15);
}

static void test_logprobs(void **state) {
    struct fixture *fixture = *state;
    read_good(
        fixture,
        "{\"model\":\"m\",\"logprobs\":true,\"top_logprobs\":3,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    yyjson_doc *document = answer(fixture);
    assert_int_equal(yyjson_arr_size(at(document, "/choices/0/logprobs/content")), 16);
    assert_int_equal(yyjson_arr_size(at(document, "/choices/0/logprobs/content/3/top_logprobs")), 3);
    assert_true(yyjson_get_real(at(document, "/choices/0/logprobs/content/3/logprob")) < 0);
    assert_true(yyjson_is_arr(at(document, "/choices/0/logprobs/content/3/top_logprobs/1/bytes")));
    yyjson_doc_free(document);
}

static void test_no_memory(void **state) {
    struct fixture *fixture = *state;
    for (size_t cap = 16; cap < 4096; cap += 64) {
        struct weir_arena *small = weir_arena_new(0, cap);
        char body[1000];
        const char *place = strstr(tools_request, "%s");
        (void)snprintf(body, sizeof body, "%.*s%s", (int)(place - tools_request), tools_request, place + 2);
        enum weir_status status = sim__chat_read(small, fixture->scratch, weir_span_of_string(body), &usual, 0,
                                                 &fixture->memory, &fixture->chat, &fixture->refusal);
        assert_true(status == WEIR_OK || status == WEIR_ENOMEM);
        weir_arena_reset(small);
        status = sim__chat_read(fixture->arena, small, weir_span_of_string(body), &usual, 0, &fixture->memory,
                                &fixture->chat, &fixture->refusal);
        assert_true(status == WEIR_OK || status == WEIR_ENOMEM);
        weir_arena_free(&small);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_plain_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_request_same_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits_and_reasoning, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prompt_counting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_sequence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_echo_keeps_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tools, setup, teardown),
        cmocka_unit_test_setup_teardown(test_structured_output, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_tools, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_positions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_logprobs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
