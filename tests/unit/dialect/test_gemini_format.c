/* The Gemini API as it goes through: what metering reads of it, and the few bytes that are changed. Apostrophes stand for quotes. */
#include "formats_test.h"

enum { PICTURE = 48200 };

static const char *json(const char *text) {
    char *copy = weir_arena_string(arena, weir_span_of_string(text));
    assert_non_null(copy);
    for (char *at = copy; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    return copy;
}

#define CALL(members) "{'contents':[{'parts':[{'text':'Hi'}]}]" members "}"
#define PARTS(parts) "{'contents':[{'parts':[" parts "]}]}"

static void calls_say_what_may_be_used(void **state) {
    (void)state;
    static const struct {
        const char *body;
        int64_t most, choices, more_input;
        bool elsewhere, takes_audio, makes_audio;
    } rows[] = {
        {CALL(""), 0, 1, 0, false, false, false},
        {CALL(",'generationConfig':{'maxOutputTokens':7,'candidateCount':3}"), 7, 3, 0, false, false, false},
        {CALL(",'generation_config':{'max_output_tokens':7,'candidate_count':2}"), 7, 2, 0, false, false, false},
        {CALL(",'generationConfig':null"), 0, 1, 0, false, false, false},
        {CALL(",'generationConfig':{'responseModalities':['TEXT','AUDIO']}"), 0, 1, 0, false, false, true},
        {PARTS("{'inlineData':{'mimeType':'image/png','data':'AA=='}}"), 0, 1, PICTURE, false, false, false},
        {PARTS("{'inline_data':{'mime_type':'image/png','data':'AA=='}}"), 0, 1, PICTURE, false, false, false},
        {PARTS("{'inlineData':{'mimeType':'audio/wav','data':'AA=='}}"), 0, 1, 0, false, true, false},
        {PARTS("{'inlineData':{'mimeType':'application/pdf','data':'AA=='}}"), 0, 1, 0, true, false, false},
        {PARTS("{'fileData':{'fileUri':'https://example.com/a'}}"), 0, 1, 0, true, false, false},
        {PARTS(
             "{'functionResponse':{'name':'f','response':{},'parts':[{'inlineData':{'mimeType':'image/png','data':'A'}}]}}"),
         0, 1, PICTURE, false, false, false},
        {PARTS("{'functionCall':{'name':'f','args':{}},'thoughtSignature':'AA=='}"), 0, 1, 0, false, false, false},
        {PARTS("{'somethingNew':{}}"), 0, 1, 0, true, false, false},
        {CALL(",'systemInstruction':{'parts':[{'fileData':{}}]}"), 0, 1, 0, true, false, false},
        {CALL(",'tools':[{'functionDeclarations':[{'name':'f'}]}]"), 0, 1, 0, false, false, false},
        {CALL(",'tools':[{'googleSearch':{}}]"), 0, 1, 0, true, false, false},
        {CALL(",'tools':[{'urlContext':{}}]"), 0, 1, 0, true, false, false},
        {CALL(",'cachedContent':'cachedContents/x'"), 0, 1, 0, true, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call = call_of(&weir_format_generate_content, json(rows[i].body));
        if (call.max_output_tokens != rows[i].most || call.choices != rows[i].choices ||
            call.more_input_tokens != rows[i].more_input || call.input_is_elsewhere != rows[i].elsewhere ||
            call.may_take_audio != rows[i].takes_audio || call.may_make_audio != rows[i].makes_audio)
            fail_msg("%s: %lld %lld %lld %d %d %d", rows[i].body, (long long)call.max_output_tokens,
                     (long long)call.choices, (long long)call.more_input_tokens, call.input_is_elsewhere,
                     call.may_take_audio, call.may_make_audio);
        assert_true(call.makes_tokens && call.wants_usage);
    }
}

static void what_cannot_be_read_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *body, *field;
    } rows[] = {
        {"{}", "contents"},
        {CALL(",'generationConfig':{},'generation_config':{}"), "generationConfig"},
        {CALL(",'generationConfig':{'maxOutputTokens':1,'max_output_tokens':2}"), "generationConfig.maxOutputTokens"},
        {CALL(",'generationConfig':{'maxOutputTokens':1,'maxOutputTokens':2}"), "generationConfig"},
        {CALL(",'generationConfig':{'maxOutputTokens':'many'}"), "generationConfig.maxOutputTokens"},
        {CALL(",'generationConfig':7"), "generationConfig"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_call call;
        struct weir_call_problem problem = {.field = ""};
        assert_int_equal(weir_format_generate_content.read_call(arena, weir_span_of_string(json(rows[i].body)), &call,
                                                                &problem),
                         WEIR_EINVAL);
        assert_string_equal(problem.field, rows[i].field);
    }
}

static void a_limit_stands_in_the_configuration(void **state) {
    (void)state;
    static const struct {
        const char *body, *edited;
    } rows[] = {
        {"{'contents':[],'generationConfig':{'topK':1,'maxOutputTokens': 900}}",
         "{'contents':[],'generationConfig':{'topK':1,'maxOutputTokens': 50}}"},
        {"{'contents':[],'generation_config':{'max_output_tokens':900}}",
         "{'contents':[],'generation_config':{'max_output_tokens':50}}"},
        {"{'contents':[],'generationConfig':{'topK':1}}",
         "{'contents':[],'generationConfig':{'maxOutputTokens':50,'topK':1}}"},
        {"{'contents':[],'generationConfig':{}}", "{'contents':[],'generationConfig':{'maxOutputTokens':50}}"},
        {"{'contents':[],'generationConfig':null}", "{'contents':[],'generationConfig':{'maxOutputTokens':50}}"},
        {" {'contents':[]}", " {'generationConfig':{'maxOutputTokens':50},'contents':[]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_json_splice splice = {.count = 0};
        struct weir_call call = call_of(&weir_format_generate_content, json(rows[i].body));
        call.clamped_output_tokens = 50;
        assert_int_equal(weir_format_generate_content.edit_call(arena, &call, WEIR_SPAN("upstream"), &splice), WEIR_OK);
        assert_spliced(&splice, call.body, json(rows[i].edited));
    }
}

static void names_within_bodies_are_the_targets(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *body, *edited;
    } rows[] = {
        {&weir_format_embed_content, "{'model':'models/a','content':{}}", "{'model':'models/up','content':{}}"},
        {&weir_format_embed_content, "{'content':{}}", "{'content':{}}"},
        {&weir_format_batch_embed_contents,
         "{'requests':[{'model':'models/a','content':{}}, {'content':{},'model':'models/b'}]}",
         "{'requests':[{'model':'models/up','content':{}}, {'content':{},'model':'models/up'}]}"},
        {&weir_format_count_tokens_gemini, "{'generateContentRequest':{'contents':[],'model':'models/a'}}",
         "{'generateContentRequest':{'contents':[],'model':'models/up'}}"},
        {&weir_format_count_tokens_gemini, "{'contents':[]}", "{'contents':[]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_json_splice splice = {.count = 0};
        struct weir_call call = call_of(rows[i].format, json(rows[i].body));
        assert_int_equal(rows[i].format->edit_call(arena, &call, WEIR_SPAN("up"), &splice), WEIR_OK);
        assert_spliced(&splice, call.body, json(rows[i].edited));
    }
}

static void usage_is_counted_inclusively(void **state) {
    (void)state;
    static const struct {
        const char *usage;
        struct weir_usage expected;
    } rows[] = {
        {"{'promptTokenCount':10,'candidatesTokenCount':5,'totalTokenCount':15}", {.input = 10, .output = 5}},
        {"{'promptTokenCount':10,'cachedContentTokenCount':4,'candidatesTokenCount':5,'thoughtsTokenCount':7,"
         "'toolUsePromptTokenCount':3,'totalTokenCount':25}",
         {.input = 13, .cached = 4, .output = 12, .reasoning = 7}},
        {"{'promptTokenCount':10,'candidatesTokenCount':9,'thoughtsTokenCount':7,'totalTokenCount':19}",
         {.input = 10, .output = 9, .reasoning = 7}},
        {"{'promptTokenCount':10,'totalTokenCount':16}", {.input = 10, .output = 6}},
        {"{'promptTokenCount':10,'thoughtsTokenCount':6,'totalTokenCount':16}",
         {.input = 10, .output = 6, .reasoning = 6}},
        {"{'promptTokenCount':10,'candidatesTokenCount':5,'promptTokensDetails':[{'modality':'TEXT','tokenCount':2},"
         "{'modality':'AUDIO','tokenCount':5},{'modality':'IMAGE','tokenCount':3}],"
         "'candidatesTokensDetails':[{'modality':'AUDIO','tokenCount':5}]}",
         {.input = 10, .input_audio = 5, .input_image = 3, .output = 5, .output_audio = 5}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_answer answer;
        const char *body = weir_arena_format(arena, "{\"candidates\":[],\"usageMetadata\":%s}", json(rows[i].usage));
        assert_int_equal(weir_format_generate_content.read_answer(weir_span_of_string(body), &answer), WEIR_OK);
        assert_true(answer.has_usage);
        assert_memory_equal(&answer.usage, &rows[i].expected, sizeof answer.usage);
        struct weir_answer found = {.has_usage = false};
        assert_true(weir_format_generate_content.find_usage(weir_span_of_string(body + 1), &found));
        assert_int_equal(found.usage.output, rows[i].expected.output);
    }
}

static void the_cost_stands_in_the_usage(void **state) {
    (void)state;
    static const struct {
        const char *body, *edited;
    } rows[] = {
        {"{'candidates':[],'usageMetadata':{'promptTokenCount':1}}",
         "{'candidates':[],'usageMetadata':{'promptTokenCount':1,'usedCUMilli':9}}"},
        {"{'candidates':[]}", "{'candidates':[],'usageMetadata':{'promptTokenCount':3,'candidatesTokenCount':4,"
                              "'totalTokenCount':7,'estimated':true,'usedCUMilli':9}}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct weir_usage estimated = {.input = 3, .output = 4};
        struct weir_json_splice splice = {.count = 0};
        struct weir_answer answer;
        struct weir_span body = weir_span_of_string(json(rows[i].body));
        assert_int_equal(weir_format_generate_content.read_answer(body, &answer), WEIR_OK);
        assert_int_equal(weir_format_generate_content.edit_answer(arena, &answer, &estimated, 9, &splice), WEIR_OK);
        assert_spliced(&splice, body, json(rows[i].edited));
    }
}

static void events_say_what_they_are(void **state) {
    (void)state;
    static const struct {
        const char *data;
        enum weir_event_kind kind;
        bool has_text, has_usage, is_begun;
    } rows[] = {
        {"{'candidates':[{'content':{'parts':[{'text':'a'}]}}],'usageMetadata':{'promptTokenCount':3}}",
         WEIR_EVENT_CONTENT, true, true, true},
        {"{'candidates':[{'content':{'parts':[{'text':'a'}]},'finishReason':'STOP'}],'usageMetadata':"
         "{'promptTokenCount':3,'candidatesTokenCount':2}}",
         WEIR_EVENT_FINISH, true, true, false},
        {"{'candidates':[{'finishReason':'SAFETY'}]}", WEIR_EVENT_FINISH, false, false, false},
        {"{'promptFeedback':{'blockReason':'SAFETY'}}", WEIR_EVENT_FINISH, false, false, false},
        {"{'usageMetadata':{'promptTokenCount':3}}", WEIR_EVENT_USAGE, false, true, false},
        {"{'error':{'code':503,'message':'m','status':'UNAVAILABLE'}}", WEIR_EVENT_ERROR, false, false, true},
        {"{'modelVersion':'m'}", WEIR_EVENT_OTHER, false, false, true},
        {"{'candidates':", WEIR_EVENT_DAMAGED, false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct weir_sse_event sse = {.data = weir_span_of_string(json(rows[i].data)), .has_data = true};
        struct weir_event event;
        weir_format_generate_content.read_event(&sse, &event);
        if (event.kind != rows[i].kind || event.has_text != rows[i].has_text ||
            event.answer.has_usage != rows[i].has_usage || event.usage_is_begun != rows[i].is_begun)
            fail_msg("%s: %d %d %d %d", rows[i].data, event.kind, event.has_text, event.answer.has_usage,
                     event.usage_is_begun);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_say_what_may_be_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_limit_stands_in_the_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_within_bodies_are_the_targets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(usage_is_counted_inclusively, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_cost_stands_in_the_usage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_say_what_they_are, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
