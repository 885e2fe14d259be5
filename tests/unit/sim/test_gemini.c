/* Requests to the Gemini API as protobuf reads JSON, and the signatures that come back with them. */
#include "sim/gemini.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static yyjson_val *parse(struct weir_arena *arena, const char *json) {
    struct sim_refusal refusal;
    yyjson_val *root = NULL;
    assert_int_equal(sim__input_object(arena, weir_span_of_string(json), &root, &refusal), WEIR_OK);
    return root;
}

static void test_usual_form(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, 1 << 20);
    struct sim_refusal refusal;
    yyjson_val *root = parse(arena,
                             "{\"generation_config\":{\"max_output_tokens\":\"7\",\"top_k\":40.0,\"seed\":-3,"
                             "\"thinkingConfig\":{\"thinking_level\":\"low\"},\"response_schema\":{\"type\":\"OBJECT\","
                             "\"properties\":{\"max_items\":{\"type\":\"Array\",\"min_items\":\"2\"}}}},"
                             "\"contents\":{\"parts\":{\"text\":\"x\"}},\"tools\":null}");
    assert_true(sim__gemini_fields(SIM_GEMINI_REQUEST, root, &refusal));
    yyjson_val *config = sim__gemini_get(root, "generationConfig");
    assert_int_equal(yyjson_get_uint(sim__gemini_get(config, "maxOutputTokens")), 7);
    assert_int_equal(yyjson_get_sint(sim__gemini_get(config, "topK")), 40);
    assert_int_equal(yyjson_get_sint(sim__gemini_get(config, "seed")), -3);
    assert_true(sim__input_is(sim__gemini_get(sim__gemini_get(config, "thinkingConfig"), "thinkingLevel"), "LOW"));
    /* The names of properties are the client's own. */
    yyjson_val *property = sim__gemini_get(sim__gemini_get(sim__gemini_get(config, "responseSchema"), "properties"),
                                           "max_items");
    assert_true(sim__input_is(sim__gemini_get(property, "type"), "array"));
    assert_int_equal(yyjson_get_uint(sim__gemini_get(property, "minItems")), 2);
    assert_null(sim__gemini_get(root, "tools"));

    struct sim_gemini_list contents = sim__gemini_list(root, "contents");
    assert_int_equal(contents.count, 1);
    yyjson_val *content = sim__gemini_next(&contents);
    struct sim_gemini_list parts = sim__gemini_list(content, "parts");
    assert_true(sim__input_is(sim__gemini_get(sim__gemini_next(&parts), "text"), "x"));
    assert_null(sim__gemini_next(&parts));
    assert_null(sim__gemini_next(&contents));
    weir_arena_free(&arena);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *json, *message;
    } rows[] = {
        {"{\"a\":1}", "Invalid JSON payload received. Unknown name \"a\": Cannot find field."},
        {"{\"Contents\":[]}", "Invalid JSON payload received. Unknown name \"Contents\": Cannot find field."},
        {"{\"system_\":{}}", "Invalid JSON payload received. Unknown name \"system_\": Cannot find field."},
        {"{\"contents\":[{},{\"parts\":[{\"in_line\":1}]}]}",
         "Invalid JSON payload received. Unknown name \"in_line\" at 'contents[1].parts[0]': Cannot find field."},
        {"{\"generationConfig\":{\"seed\":2147483648}}",
         "Invalid value at 'generation_config.seed' (TYPE_INT32), 2147483648"},
        {"{\"generationConfig\":{\"seed\":\"1x\"}}", "Invalid value at 'generation_config.seed' (TYPE_INT32), \"1x\""},
        {"{\"store\":\"yes\"}", "Invalid value at 'store' (TYPE_BOOL), \"yes\""},
        {"{\"cachedContent\":{}}",
         "Invalid value at 'cached_content' (TYPE_STRING), Starting an object on a scalar field"},
        {"{\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"MAYBE\"}}}",
         "Invalid value at 'tool_config.function_calling_config.mode' "
         "(type.googleapis.com/google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode), \"MAYBE\""},
        {"{\"contents\":[{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":\"{}\"}}]}]}",
         "Invalid value at 'contents[0].parts[0].function_call.args' (type.googleapis.com/google.protobuf.Struct), "
         "\"{}\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_arena *arena = weir_arena_new(0, 1 << 20);
        struct sim_refusal refusal;
        assert_false(sim__gemini_fields(SIM_GEMINI_REQUEST, parse(arena, rows[i].json), &refusal));
        assert_int_equal(refusal.status, 400);
        assert_string_equal(refusal.message, rows[i].message);
        weir_arena_free(&arena);
    }
}

static void test_depth(void **state) {
    (void)state;
    enum { LEVELS = 2000 };
    struct weir_arena *arena = weir_arena_new(0, 1 << 22);
    struct weir_buffer json;
    struct sim_refusal refusal;
    weir_buffer_init(&json, 1 << 20);
    weir_buffer_append(&json, WEIR_SPAN("{\"generationConfig\":{\"responseSchema\":"));
    for (size_t i = 0; i < LEVELS; i++) {
        weir_buffer_append(&json, WEIR_SPAN("{\"items\":"));
    }
    weir_buffer_append(&json, WEIR_SPAN("null"));
    for (size_t i = 0; i < LEVELS + 2; i++) {
        weir_buffer_append_byte(&json, '}');
    }
    weir_buffer_append_byte(&json, '\0');
    assert_false(sim__gemini_fields(SIM_GEMINI_REQUEST, parse(arena, json.at), &refusal));
    assert_non_null(strstr(refusal.message, "Message too deep"));
    weir_buffer_release(&json);
    weir_arena_free(&arena);
}

static uint64_t hash_of(struct weir_arena *arena, const char *name, const char *arguments) {
    return sim__gemini_call_hash(weir_span_of_string(name), parse(arena, arguments));
}

static void test_signatures(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, 1 << 20);
    uint64_t what = hash_of(arena, "f", "{\"a\":1,\"b\":[true,null,\"x\"]}");
    assert_true(what == hash_of(arena, "f", "{\"b\":[true,null,\"x\"],\"a\":1.0}"));
    static const char *const others[] = {"{\"a\":1,\"b\":[null,true,\"x\"]}", "{\"a\":2,\"b\":[true,null,\"x\"]}",
                                         "{\"a\":\"1\",\"b\":[true,null,\"x\"]}", "{\"a\":1}", "{}"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(what != hash_of(arena, "f", others[i]));
    }
    assert_true(what != hash_of(arena, "g", "{\"a\":1,\"b\":[true,null,\"x\"]}"));
    assert_true(sim__gemini_call_hash(WEIR_SPAN("f"), NULL) == hash_of(arena, "f", "{}"));

    char *signature = sim__gemini_sign(arena, what);
    struct weir_span span = weir_span_of_string(signature);
    assert_true(sim__gemini_signed(span, what));
    assert_true(sim__gemini_signed(span, 0));
    assert_false(sim__gemini_signed(span, what + 2));
    assert_false(sim__gemini_signed(WEIR_SPAN(""), 0));
    assert_false(sim__gemini_signed(weir_span_first(span, span.length - 4), 0));
    /* The other alphabet, without padding. */
    for (char *at = signature; *at != '\0'; at++) {
        *at = (char)(*at == '+' ? '-' : *at == '/' ? '_' : *at);
    }
    assert_true(sim__gemini_signed(weir_span_first(span, weir_span_index(span, '=')), what));
    signature[40] = signature[40] == 'A' ? 'B' : 'A';
    assert_false(sim__gemini_signed(span, 0));
    assert_true(sim__gemini_signed(WEIR_SPAN("skip_thought_signature_validator"), what));
    weir_arena_free(&arena);
}

static bool count(const char *json, const char *model, struct sim_gemini_contents *contents,
                  struct sim_refusal *refusal) {
    struct weir_arena *arena = weir_arena_new(0, 1 << 20);
    yyjson_val *root = parse(arena, json);
    *contents = (struct sim_gemini_contents){.hash = 0};
    weir_buffer_init(&contents->arrived, 1 << 20);
    bool read = sim__gemini_fields(SIM_GEMINI_REQUEST, root, refusal) &&
                sim__gemini_contents(root, weir_span_of_string(model), contents, refusal);
    weir_buffer_release(&contents->arrived);
    weir_arena_free(&arena);
    return read;
}

static void test_contents(void **state) {
    (void)state;
    struct sim_gemini_contents contents;
    struct sim_refusal refusal;
    assert_true(count("{\"contents\":[{\"parts\":[{\"text\":\"four\"},{\"text\":\"idea\",\"thought\":true},"
                      "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAAA\"}}]}]}",
                      "m", &contents, &refusal));
    assert_int_equal(contents.tokens[SIM_MODALITY_TEXT], 5); /* thoughts are not read again */
    assert_int_equal(contents.tokens[SIM_MODALITY_IMAGE], 258);
    assert_true(contents.asks);
    static const char turns[] =
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"x\"}]},{\"role\":\"model\",\"parts\":[{\"functionCall\":"
        "{\"name\":\"f\"}}]},{\"role\":\"function\",\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":{}}}]}]}";
    assert_true(count(turns, "m", &contents, &refusal));
    assert_false(contents.asks);
    assert_false(count(turns, "a-reasoner", &contents, &refusal));
    assert_non_null(strstr(refusal.message, "`default_api:f` , position 2."));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual_form), cmocka_unit_test(test_refusals), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_signatures), cmocka_unit_test(test_contents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
