/* Requests of every endpoint: what is read from them, what a target is sent, and what a client is told that sent another thing. */
#include "formats_test.h"

/* --- the model --- */

static void calls_without_a_model_have_their_endpoints_own(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *body, *model;
    } rows[] = {
        {&weir_format_moderations, "{\"input\":\"x\"}", "omni-moderation-latest"},
        {&weir_format_moderations, "{\"model\":null,\"input\":\"x\"}", "omni-moderation-latest"},
        {&weir_format_images, "{\"prompt\":\"x\"}", "dall-e-2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call = call_of(rows[i].format, rows[i].body);
        assert_text(call.model, rows[i].model);
        assert_false(call.names_model);
    }
}

static void the_targets_model_is_put_where_the_calls_was(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *body, *model, *sent;
    } rows[] = {
        {&weir_format_embeddings, "{\"input\":[1.0e0], \"model\" : \"a\"}", "a",
         "{\"input\":[1.0e0], \"model\" : \"a\"}"},
        {&weir_format_embeddings, "{\"input\":[1.0e0], \"model\" : \"a\"}", "b",
         "{\"input\":[1.0e0], \"model\" : \"b\"}"},
        {&weir_format_responses, "{\"model\":\"\\u0061\",\"input\":\"x\",\"stream\":true}", "c",
         "{\"model\":\"c\",\"input\":\"x\",\"stream\":true}"},
        {&weir_format_speech, "{\"model\":\"a\",\"input\":\"x\"}", "quo\"te\n",
         "{\"model\":\"quo\\\"te\\n\",\"input\":\"x\"}"},
        {&weir_format_rerank, "{\"documents\":[],\"query\":\"q\",\"model\":\"a\"}", "b",
         "{\"documents\":[],\"query\":\"q\",\"model\":\"b\"}"},
        /* none was named: nothing is put where the provider's own default is the same, a member where it is another */
        {&weir_format_moderations, "{\"input\":\"x\"}", "omni-moderation-latest", "{\"input\":\"x\"}"},
        {&weir_format_moderations, " {\"input\":\"x\"}", "other", " {\"model\":\"other\",\"input\":\"x\"}"},
        {&weir_format_images, "{\"prompt\":\"x\",\"model\":null}", "other", "{\"prompt\":\"x\",\"model\":\"other\"}"},
        {&weir_format_completions, "{\"model\":\"a\",\"prompt\":\"p\",\"stream\":true}", "b",
         "{\"model\":\"b\",\"prompt\":\"p\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"},
        {&weir_format_completions, "{\"model\":\"a\",\"prompt\":\"p\",\"stream\":false}", "a",
         "{\"model\":\"a\",\"prompt\":\"p\",\"stream\":false}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call = call_of(rows[i].format, rows[i].body);
        struct weir_json_splice splice = {.count = 0};
        assert_int_equal(rows[i].format->edit_call(arena, &call, weir_span_of_string(rows[i].model), &splice), WEIR_OK);
        assert_spliced(&splice, weir_span_of_string(rows[i].body), rows[i].sent);
    }
}

/* --- how much --- */

static void completions_count_all_that_is_made(void **state) {
    (void)state;
    static const struct {
        const char *body;
        int64_t choices, tokens;
    } rows[] = {
        {"{\"model\":\"m\",\"prompt\":\"p\"}", 1, 0},
        {"{\"model\":\"m\",\"prompt\":\"p\",\"n\":2,\"best_of\":5,\"max_tokens\":7}", 5, 7},
        {"{\"model\":\"m\",\"prompt\":\"p\",\"n\":4,\"best_of\":2}", 4, 0},
        {"{\"model\":\"m\",\"prompt\":[\"a\",\"b\",\"c\"],\"n\":2}", 6, 0},
        {"{\"model\":\"m\",\"prompt\":[1,2,3,4]}", 1, 0},
        {"{\"model\":\"m\",\"prompt\":[[1,2],[3,4]]}", 2, 0},
        {"{\"model\":\"m\",\"prompt\":[]}", 1, 0},
        {"{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"n\":9223372036854775807}", INT64_MAX, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call = call_of(&weir_format_completions, rows[i].body);
        assert_int_equal(call.choices, rows[i].choices);
        assert_int_equal(call.max_output_tokens, rows[i].tokens);
        assert_true(call.makes_tokens);
    }
}

static void pictures_have_a_kind_and_a_bound(void **state) {
    (void)state;
    static const struct {
        const char *body, *variant;
        int64_t units, more_input;
    } rows[] = {
        {"{\"prompt\":\"x\"}", "1024x1024", 1, 0},
        {"{\"prompt\":\"x\",\"size\":\"auto\",\"quality\":\"auto\"}", "1024x1024", 1, 0},
        {"{\"prompt\":\"x\",\"size\":\"512x512\",\"quality\":\"standard\",\"n\":3}", "512x512", 3, 0},
        {"{\"prompt\":\"x\",\"size\":\"1024x1792\",\"quality\":\"hd\"}", "hd/1024x1792", 1, 0},
        {"{\"prompt\":\"x\",\"quality\":\"high\",\"images\":[{},{}]}", "high/1024x1024", 1, 13000},
        {"{\"prompt\":\"x\",\"image\":[\"a\",\"b\",\"c\"]}", "1024x1024", 1, 19500},
        {"{\"prompt\":\"x\",\"image\":\"a\"}", "1024x1024", 1, 6500},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call = call_of(&weir_format_images, rows[i].body);
        assert_text(call.variant, rows[i].variant);
        assert_int_equal(call.unit, WEIR_UNIT_IMAGE);
        assert_int_equal(call.units, rows[i].units);
        assert_int_equal(call.more_input_tokens, rows[i].more_input);
        assert_int_equal(call.guess.output_image, call.guess.output);
    }
    struct weir_call call = call_of(&weir_format_images, "{\"prompt\":\"x\",\"n\":9223372036854775807}");
    assert_int_equal(call.guess.output, INT64_MAX);
}

static void speech_is_counted_by_code_points(void **state) {
    (void)state;
    static const struct {
        const char *input;
        int64_t characters;
    } rows[] = {
        {"", 0},
        {"abc", 3},
        {"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 3}, /* two, three and four bytes */
        {"\\u00e4\\n\\\"\\\\", 4},
        {"\\ud83d\\ude00!", 2},
        {"\\uD83D\\uDE00", 1},
        {"\\ud83dx", 2},  /* half a pair */
        {"\\\\u0041", 6}, /* a backslash and five letters */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[200];
        (void)snprintf(body, sizeof body, "{\"model\":\"m\",\"input\":\"%s\"}", rows[i].input);
        struct weir_call call = call_of(&weir_format_speech, body);
        if (call.units != rows[i].characters)
            fail_msg("'%s' has %lld characters, not %lld", rows[i].input, (long long)rows[i].characters,
                     (long long)call.units);
        assert_int_equal(call.unit, WEIR_UNIT_CHARACTER);
        assert_true(call.units_are_exact);
        assert_false(call.stream);
    }
    assert_true(call_of(&weir_format_speech, "{\"model\":\"m\",\"input\":\"x\",\"stream_format\":\"sse\"}").stream);
    assert_false(call_of(&weir_format_speech, "{\"model\":\"m\",\"input\":\"x\",\"stream_format\":\"audio\"}").stream);
}

static void rankings_are_searches_of_a_hundred(void **state) {
    (void)state;
    static const struct {
        size_t documents;
        int64_t searches;
    } rows[] = {{0, 0}, {1, 1}, {100, 1}, {101, 2}, {1000, 10}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_buffer body;
        weir_buffer_init(&body, WEIR_MIB);
        weir_buffer_append(&body, WEIR_SPAN("{\"model\":\"m\",\"query\":\"qu\",\"documents\":["));
        for (size_t k = 0; k < rows[i].documents; k++)
            weir_buffer_append(&body, k == 0 ? WEIR_SPAN("\"d\"") : WEIR_SPAN(",\"d\""));
        weir_buffer_append(&body, WEIR_SPAN("]}"));
        weir_buffer_append_byte(&body, '\0');
        struct weir_call call = call_of(&weir_format_rerank, body.at);
        assert_int_equal(call.units, rows[i].searches);
        assert_int_equal(call.more_input_tokens, 4 * rows[i].documents);
        weir_buffer_release(&body);
    }
}

/* --- what else matters --- */

static void embeddings_say_whether_base64_is_wished(void **state) {
    (void)state;
    assert_true(call_of(&weir_format_embeddings, "{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":\"base64\"}")
                    .wants_base64);
    assert_true(
        call_of(&weir_format_embeddings, "{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":\"bas\\u006564\"}")
            .wants_base64);
    assert_false(call_of(&weir_format_embeddings, "{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":\"float\"}")
                     .wants_base64);
    assert_false(call_of(&weir_format_embeddings, "{\"model\":\"m\",\"input\":\"x\"}").wants_base64);
    assert_false(call_of(&weir_format_embeddings, "{\"model\":\"m\",\"input\":\"x\"}").makes_tokens);
}

static void responses_say_what_they_build_on(void **state) {
    (void)state;
    static const struct {
        const char *members, *id;
        bool kept, background, elsewhere;
    } rows[] = {
        {"", "", true, false, false},
        {",\"store\":true", "", true, false, false},
        {",\"store\":null", "", true, false, false},
        {",\"store\":false", "", false, false, false},
        {",\"background\":true", "", true, true, false},
        {",\"previous_response_id\":null", "", true, false, false},
        {",\"previous_response_id\":\"resp_1\"", "resp_1", true, false, true},
        {",\"previous_response_id\":\"resp\\u005f1\"", "resp_1", true, false, true},
        {",\"conversation\":\"conv_1\"", "", true, false, true},
        {",\"conversation\":{\"id\":\"conv_1\"}", "", true, false, true},
        {",\"prompt\":{\"id\":\"pmpt_1\"}", "", true, false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[200];
        (void)snprintf(body, sizeof body, "{\"model\":\"m\",\"input\":\"x\",\"max_output_tokens\":9%s}",
                       rows[i].members);
        struct weir_call call = call_of(&weir_format_responses, body);
        assert_text(call.issued_id, rows[i].id);
        assert_int_equal(call.is_kept, rows[i].kept);
        assert_int_equal(call.background, rows[i].background);
        assert_int_equal(call.input_is_elsewhere, rows[i].elsewhere);
        assert_int_equal(call.max_output_tokens, 9);
        assert_true(call.makes_tokens);
    }
}

static void batches_name_their_file(void **state) {
    (void)state;
    struct weir_call call = call_of(&weir_format_batches,
                                    "{\"input_file_id\":\"file-1\",\"endpoint\":\"/v1/embeddings\"}");
    assert_text(call.issued_id, "file-1");
    assert_string_equal(call.issued_field, "input_file_id");
    assert_true(call.background);
    assert_true(call.is_kept);
    assert_false(call.names_model);
}

/* --- problems --- */

static void a_bad_call_is_told_its_field_and_what_was_expected(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *body;
        enum weir_reason reason;
        const char *field, *part;
    } rows[] = {
        {&weir_format_embeddings, "{\"input\":\"x\"}", WEIR_REASON_FIELD_MISSING, "model", "the name of a model"},
        {&weir_format_embeddings, "{\"model\":\"m\"}", WEIR_REASON_FIELD_MISSING, "input", "a string or an array"},
        {&weir_format_embeddings, "{\"model\":\"m\",\"input\":null}", WEIR_REASON_FIELD_MISSING, "input", "must be"},
        {&weir_format_embeddings, "{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":1}", WEIR_REASON_FIELD_INVALID,
         "encoding_format", "a string, not a number"},
        {&weir_format_embeddings,
         "{\"model\":\"m\",\"input\":\"x\",\"encoding_format\":\"a\",\"encoding_format\":\"b\"}",
         WEIR_REASON_JSON_DUPLICATE_MEMBER, "", "encoding_format"},
        {&weir_format_moderations, "{}", WEIR_REASON_FIELD_MISSING, "input", "must be"},
        {&weir_format_moderations, "{\"model\":{},\"input\":\"x\"}", WEIR_REASON_FIELD_INVALID, "model",
         "not an object"},
        {&weir_format_completions, "{\"model\":\"m\"}", WEIR_REASON_FIELD_MISSING, "prompt", "a string or an array"},
        {&weir_format_completions, "{\"model\":\"m\",\"prompt\":{}}", WEIR_REASON_FIELD_INVALID, "prompt",
         "not an object"},
        {&weir_format_completions, "{\"model\":\"m\",\"prompt\":\"\",\"best_of\":0}", WEIR_REASON_FIELD_INVALID,
         "best_of", "1 or more"},
        {&weir_format_responses, "{\"input\":\"x\"}", WEIR_REASON_FIELD_MISSING, "model", "the name of a model"},
        {&weir_format_responses, "{\"model\":\"m\",\"background\":1}", WEIR_REASON_FIELD_INVALID, "background",
         "true or false, not a number"},
        {&weir_format_responses, "{\"model\":\"m\",\"max_output_tokens\":\"9\"}", WEIR_REASON_FIELD_INVALID,
         "max_output_tokens", "0 or more, not a string"},
        {&weir_format_responses, "{\"model\":\"m\",\"previous_response_id\":[]}", WEIR_REASON_FIELD_INVALID,
         "previous_response_id", "a string, not an array"},
        {&weir_format_responses, "{\"model\":\"m\",\"previous_response_id\":\"a\",\"previous_response_id\":\"b\"}",
         WEIR_REASON_JSON_DUPLICATE_MEMBER, "", "previous_response_id"},
        {&weir_format_responses, "{\"model\":\"m\",\"store\":true,\"store\":false}", WEIR_REASON_JSON_DUPLICATE_MEMBER,
         "", "store"},
        {&weir_format_images, "{}", WEIR_REASON_FIELD_MISSING, "prompt", "a string"},
        {&weir_format_images, "{\"prompt\":\"x\",\"n\":0}", WEIR_REASON_FIELD_INVALID, "n", "1 or more"},
        {&weir_format_images, "{\"prompt\":\"x\",\"size\":512}", WEIR_REASON_FIELD_INVALID, "size",
         "a string, not a number"},
        {&weir_format_speech, "{\"model\":\"m\"}", WEIR_REASON_FIELD_MISSING, "input", "the text to speak"},
        {&weir_format_speech, "{\"model\":\"m\",\"input\":[\"x\"]}", WEIR_REASON_FIELD_INVALID, "input",
         "a string, not an array"},
        {&weir_format_rerank, "{\"model\":\"m\",\"documents\":[]}", WEIR_REASON_FIELD_MISSING, "query", "searched"},
        {&weir_format_rerank, "{\"model\":\"m\",\"query\":\"q\"}", WEIR_REASON_FIELD_MISSING, "documents", "an array"},
        {&weir_format_rerank, "{\"model\":\"m\",\"query\":\"q\",\"documents\":\"d\"}", WEIR_REASON_FIELD_INVALID,
         "documents", "an array, not a string"},
        {&weir_format_batches, "{}", WEIR_REASON_FIELD_MISSING, "input_file_id", "the id of a file"},
        {&weir_format_batches, "{\"input_file_id\":7}", WEIR_REASON_FIELD_INVALID, "input_file_id",
         "a string, not a number"},
        {&weir_format_batches, "[]", WEIR_REASON_FIELD_INVALID, "body", "a JSON object, not an array"},
        {&weir_format_batches, "\xFF", WEIR_REASON_JSON_INVALID, "", "byte 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call;
        struct weir_call_problem problem = {.field = NULL};
        assert_int_equal(rows[i].format->read_call(arena, weir_span_of_string(rows[i].body), &call, &problem),
                         WEIR_EINVAL);
        if (problem.reason != rows[i].reason || strcmp(problem.field, rows[i].field) != 0 ||
            strstr(problem.text, rows[i].part) == NULL)
            fail_msg("row %zu: reason %d, field '%s', '%s'", i, (int)problem.reason, problem.field, problem.text);
    }
}

/* --- forms --- */

#define FIELD(n, v)                                                                                  \
    {                                                                                                \
        .name = {.at = (n), .length = sizeof(n) - 1}, .value = {.at = (v), .length = sizeof(v) - 1 } \
    }

static struct weir_form form_of(const struct weir_form_field *fields, size_t count, size_t files, uint64_t bytes) {
    return (struct weir_form){.fields = fields, .field_count = count, .file_count = files, .file_bytes = bytes};
}

static void forms_are_read(void **state) {
    (void)state;
    static const struct weir_form_field spoken[] = {FIELD("model", "whisper-1"), FIELD("stream", "TRUE")};
    static const struct weir_form_field pictures[] = {FIELD("quality", "high"), FIELD("n", "2"), FIELD("size", "1x1")};
    static const struct weir_form_field file[] = {FIELD("purpose", "batch"), FIELD("model", "any")};
    struct weir_call call;
    struct weir_call_problem problem;
    struct weir_form form = form_of(spoken, 2, 1, 3000);
    assert_int_equal(weir_format_transcriptions.read_form(arena, &form, &call, &problem), WEIR_OK);
    assert_text(call.model, "whisper-1");
    assert_true(call.names_model);
    assert_true(call.stream);
    assert_int_equal(call.unit, WEIR_UNIT_AUDIO_MS);
    assert_int_equal(call.units, 4000);
    assert_false(call.units_are_exact);

    form = form_of(pictures, 3, 2, 9);
    assert_int_equal(weir_format_images.read_form(arena, &form, &call, &problem), WEIR_OK);
    assert_text(call.model, "dall-e-2");
    assert_false(call.names_model);
    assert_text(call.variant, "high/1x1");
    assert_int_equal(call.units, 2);
    assert_int_equal(call.more_input_tokens, 13000);
    assert_false(call.stream);

    form = form_of(file, 2, 1, 9);
    assert_int_equal(weir_format_files.read_form(arena, &form, &call, &problem), WEIR_OK);
    assert_text(call.model, ""); /* no model says where a file goes */
    assert_true(call.is_kept);
}

static void a_huge_form_does_not_overflow(void **state) {
    (void)state;
    static const struct weir_form_field fields[] = {FIELD("model", "m")};
    struct weir_call call;
    struct weir_call_problem problem;
    struct weir_form form = form_of(fields, 1, 1, UINT64_MAX);
    assert_int_equal(weir_format_transcriptions.read_form(arena, &form, &call, &problem), WEIR_OK);
    assert_true(call.units > 0 && call.guess.units > 0 && call.guess.input > 0);
    form.file_count = SIZE_MAX / 2;
    assert_int_equal(weir_format_images.read_form(arena, &form, &call, &problem), WEIR_OK);
    assert_int_equal(call.more_input_tokens, INT64_MAX);
}

static void a_bad_form_is_told_its_field(void **state) {
    (void)state;
    static const struct weir_form_field twice[] = {FIELD("model", "a"), FIELD("x", ""), FIELD("model", "a")};
    static const struct weir_form_field streams[] = {FIELD("model", "a"), FIELD("stream", "1"), FIELD("stream", "1")};
    static const struct weir_form_field empty[] = {FIELD("model", "")};
    static const struct weir_form_field model[] = {FIELD("model", "a")};
    static const struct weir_form_field none[] = {FIELD("n", "0")};
    static const struct weir_form_field sizes[] = {FIELD("size", "a"), FIELD("size", "a")};
    static const struct {
        const struct weir_format *format;
        struct weir_form form;
        enum weir_reason reason;
        const char *field, *part;
    } rows[] = {
        {&weir_format_transcriptions,
         {.fields = twice, .field_count = 3, .file_count = 1},
         WEIR_REASON_FORM_INVALID,
         "model",
         "twice"},
        {&weir_format_transcriptions,
         {.fields = streams, .field_count = 3, .file_count = 1},
         WEIR_REASON_FORM_INVALID,
         "stream",
         "twice"},
        {&weir_format_transcriptions,
         {.fields = NULL, .file_count = 1},
         WEIR_REASON_FIELD_MISSING,
         "model",
         "the name of a model"},
        {&weir_format_transcriptions,
         {.fields = empty, .field_count = 1, .file_count = 1},
         WEIR_REASON_FIELD_INVALID,
         "model",
         "the name of a model"},
        {&weir_format_transcriptions, {.fields = model, .field_count = 1}, WEIR_REASON_FIELD_MISSING, "file", "a file"},
        {&weir_format_images,
         {.fields = none, .field_count = 1, .file_count = 1},
         WEIR_REASON_FIELD_INVALID,
         "n",
         "1 or more"},
        {&weir_format_images,
         {.fields = sizes, .field_count = 2, .file_count = 1},
         WEIR_REASON_FORM_INVALID,
         "size",
         "twice"},
        {&weir_format_images, {.fields = model, .field_count = 1}, WEIR_REASON_FIELD_MISSING, "image", "a file"},
        {&weir_format_files, {.fields = NULL, .file_count = 1}, WEIR_REASON_FIELD_MISSING, "purpose", "for"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call;
        struct weir_call_problem problem = {.field = NULL};
        assert_int_equal(rows[i].format->read_form(arena, &rows[i].form, &call, &problem), WEIR_EINVAL);
        if (problem.reason != rows[i].reason || strcmp(problem.field, rows[i].field) != 0 ||
            strstr(problem.text, rows[i].part) == NULL)
            fail_msg("row %zu: reason %d, field '%s', '%s'", i, (int)problem.reason, problem.field, problem.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_without_a_model_have_their_endpoints_own),
        cmocka_unit_test(the_targets_model_is_put_where_the_calls_was),
        cmocka_unit_test(completions_count_all_that_is_made),
        cmocka_unit_test(pictures_have_a_kind_and_a_bound),
        cmocka_unit_test(speech_is_counted_by_code_points),
        cmocka_unit_test(rankings_are_searches_of_a_hundred),
        cmocka_unit_test(embeddings_say_whether_base64_is_wished),
        cmocka_unit_test(responses_say_what_they_build_on),
        cmocka_unit_test(batches_name_their_file),
        cmocka_unit_test(a_bad_call_is_told_its_field_and_what_was_expected),
        cmocka_unit_test(forms_are_read),
        cmocka_unit_test(a_huge_form_does_not_overflow),
        cmocka_unit_test(a_bad_form_is_told_its_field),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
