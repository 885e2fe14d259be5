/* Answers and events of every endpoint: usage in all its shapes, and the few bytes that are added. */
#include "formats_test.h"

static struct weir_answer answer_of(const struct weir_format *format, const char *body) {
    struct weir_answer answer;
    if (format->read_answer(weir_span_of_string(body), &answer) != WEIR_OK)
        fail_msg("%s cannot read %s", format->name, body);
    return answer;
}

static void usage_is_read_in_every_shape(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *body;
        bool has_usage;
        struct weir_usage usage;
    } rows[] = {
        {&weir_format_embeddings, "{\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}", true, {.input = 8}},
        {&weir_format_embeddings, "{\"usage\":{\"total_tokens\":8}}", true, {.input = 8}},
        {&weir_format_completions,
         "{\"usage\":{\"total_tokens\":9,\"completion_tokens\":4}}",
         true,
         {.input = 5, .output = 4}},
        {&weir_format_completions,
         "{\"usage\":{\"total_tokens\":1,\"completion_tokens\":4}}",
         true,
         {.input = 0, .output = 4}},
        {&weir_format_completions, "{\"usage\":{\"completion_tokens\":4}}", false, {.output = 4}},
        {&weir_format_completions, "{\"usage\":{\"prompt_tokens\":-1}}", false, {.input = 0}},
        {&weir_format_completions, "{\"usage\":{\"prompt_tokens\":\"5\"}}", false, {.input = 0}},
        {&weir_format_completions,
         "{\"usage\":{\"prompt_tokens\":5.0,\"completion_tokens\":1e1}}",
         true,
         {.input = 5, .output = 10}},
        {&weir_format_completions, "{\"usage\":{\"prompt_tokens\":5.5,\"completion_tokens\":1}}", false, {.input = 0}},
        {&weir_format_completions, "{\"usage\":{\"prompt_tokens\":99999999999999999999}}", false, {.input = 0}},
        {&weir_format_completions, "{\"usage\":{\"prompt_tokens\":1,\"prompt_tokens\":2}}", false, {.input = 0}},
        {&weir_format_completions, "{\"usage\":null}", false, {.input = 0}},
        {&weir_format_completions, "{\"usage\":[]}", false, {.input = 0}},
        {&weir_format_responses,
         "{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":100,\"input_tokens_details\":{\"cached_tokens\":40,\"cache_write_tokens\":3},"
         "\"output_tokens\":50,\"output_tokens_details\":{\"reasoning_tokens\":30},\"total_tokens\":150}}",
         true,
         {.input = 100, .cached = 40, .cache_write = 3, .output = 50, .reasoning = 30}},
        {&weir_format_responses,
         "{\"usage\":{\"prompt_tokens\":100,\"prompt_tokens_details\":{\"audio_tokens\":7,\"image_tokens\":8},"
         "\"completion_tokens\":50,\"completion_tokens_details\":{\"audio_tokens\":9,\"image_tokens\":10}}}",
         true,
         {.input = 100, .input_audio = 7, .input_image = 8, .output = 50, .output_audio = 9, .output_image = 10}},
        {&weir_format_images,
         "{\"data\":[{},{}],\"usage\":{\"input_tokens\":50,\"input_tokens_details\":{\"image_tokens\":40,\"text_tokens\":10},"
         "\"output_tokens\":60,\"output_tokens_details\":{\"image_tokens\":60}}}",
         true,
         {.input = 50, .input_image = 40, .output = 60, .output_image = 60, .unit = WEIR_UNIT_IMAGE, .units = 2}},
        {&weir_format_images, "{\"data\":[{},{},{}]}", false, {.unit = WEIR_UNIT_IMAGE, .units = 3}},
        {&weir_format_images, "{\"data\":null}", false, {.units = 0}},
        {&weir_format_transcriptions,
         "{\"text\":\"x\",\"usage\":{\"type\":\"duration\",\"seconds\":12.3456}}",
         true,
         {.unit = WEIR_UNIT_AUDIO_MS, .units = 12346}},
        {&weir_format_transcriptions,
         "{\"text\":\"x\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":{\"audio_tokens\":12,"
         "\"text_tokens\":2},\"output_tokens\":45,\"total_tokens\":59}}",
         true,
         {.input = 14, .input_audio = 12, .output = 45}},
        {&weir_format_transcriptions, "{\"duration\":8.47}", true, {.unit = WEIR_UNIT_AUDIO_MS, .units = 8470}},
        {&weir_format_transcriptions, "{\"duration\":\"8.47\"}", true, {.unit = WEIR_UNIT_AUDIO_MS, .units = 8470}},
        {&weir_format_transcriptions, "{\"duration\":\"\"}", false, {.units = 0}},
        {&weir_format_transcriptions, "{\"duration\":-1}", false, {.units = 0}},
        {&weir_format_transcriptions, "{\"duration\":1e999}", false, {.units = 0}},
        {&weir_format_transcriptions, "{\"duration\":{}}", false, {.units = 0}},
        {&weir_format_transcriptions,
         "{\"duration\":5,\"usage\":{\"seconds\":6}}",
         true,
         {.unit = WEIR_UNIT_AUDIO_MS, .units = 6000}},
        {&weir_format_rerank,
         "{\"results\":[],\"meta\":{\"billed_units\":{\"search_units\":2}}}",
         true,
         {.unit = WEIR_UNIT_SEARCH, .units = 2}},
        {&weir_format_rerank, "{\"results\":[],\"usage\":{\"total_tokens\":815}}", true, {.input = 815}},
        {&weir_format_rerank, "{\"results\":[],\"meta\":{\"billed_units\":{\"input_tokens\":3}}}", true, {.input = 3}},
        {&weir_format_rerank, "{\"results\":[],\"meta\":\"billed_units\"}", false, {.input = 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_answer answer = answer_of(rows[i].format, rows[i].body);
        if (answer.has_usage != rows[i].has_usage)
            fail_msg("row %zu: has_usage is %d", i, answer.has_usage);
        const struct weir_usage *is = &answer.usage, *should = &rows[i].usage;
        if (rows[i].has_usage || should->units > 0)
            if (is->input != should->input || is->cached != should->cached || is->cache_write != should->cache_write ||
                is->input_audio != should->input_audio || is->input_image != should->input_image ||
                is->output != should->output || is->reasoning != should->reasoning ||
                is->output_audio != should->output_audio || is->output_image != should->output_image ||
                is->unit != should->unit || is->units != should->units)
                fail_msg("row %zu: input %lld, output %lld, unit %d, %lld units", i, (long long)is->input,
                         (long long)is->output, (int)is->unit, (long long)is->units);
    }
}

/* What has no usage is charged by what was made: so every format but that of pictures, which counts them, says how much came. */
static void an_answer_without_usage_is_known_to_have_content(void **state) {
    (void)state;
    static const struct weir_format *const formats[] = {&weir_format_responses,   &weir_format_embeddings,
                                                        &weir_format_moderations, &weir_format_transcriptions,
                                                        &weir_format_rerank,      &weir_format_speech};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct weir_answer answer = answer_of(formats[i], "{\"results\":[{\"index\":0}]}");
        if (answer.has_usage || answer.content_bytes == 0)
            fail_msg("%s: %lld bytes of content", formats[i]->name, (long long)answer.content_bytes);
    }
    assert_int_not_equal(answer_of(&weir_format_completions, "{\"choices\":[{\"text\":\"x\"}]}").content_bytes, 0);
}

static void answers_are_edited_only_where_they_must_be(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *body, *sent;
    } rows[] = {
        {&weir_format_responses, "{ \"id\":\"r\", \"usage\" : { \"input_tokens\":1.0e0 } , \"é\":\"\\u00e9\" }\n",
         "{ \"id\":\"r\", \"usage\" : { \"input_tokens\":1.0e0 ,\"usedCUMilli\":77} , \"é\":\"\\u00e9\" }\n"},
        {&weir_format_responses, "{\"id\":\"r\",\"usage\":null}", "{\"id\":\"r\",\"usage\":null,\"usedCUMilli\":77}"},
        {&weir_format_moderations, "{}", "{\"usedCUMilli\":77}"},
        {&weir_format_moderations, "{\"results\":[{\"a\":\"}\"}]}", "{\"results\":[{\"a\":\"}\"}],\"usedCUMilli\":77}"},
        {&weir_format_images, "{\"data\":[]}", "{\"data\":[],\"usedCUMilli\":77}"},
        {&weir_format_rerank, "{\"results\":[],\"meta\":{\"billed_units\":{\"search_units\":1}}}",
         "{\"results\":[],\"meta\":{\"billed_units\":{\"search_units\":1}},\"usedCUMilli\":77}"},
        {&weir_format_rerank, "[{\"index\":0,\"score\":0.5}]", "[{\"index\":0,\"score\":0.5}]"},
        {&weir_format_transcriptions, "{\"text\":\"x\",\"usage\":{}}",
         "{\"text\":\"x\",\"usage\":{\"usedCUMilli\":77}}"},
        {&weir_format_embeddings, "{\"data\":[]}",
         "{\"data\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7,\"estimated\":true,"
         "\"usedCUMilli\":77}}"},
        {&weir_format_embeddings, "{\"usage\":[1],\"data\":[]}",
         "{\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7,\"estimated\":true,"
         "\"usedCUMilli\":77},\"data\":[]}"},
    };
    const struct weir_usage estimated = {.input = 3, .output = 4};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_answer answer = answer_of(rows[i].format, rows[i].body);
        struct weir_json_splice splice = {.count = 0};
        assert_int_equal(rows[i].format->edit_answer(arena, &answer, &estimated, 77, &splice), WEIR_OK);
        assert_spliced(&splice, weir_span_of_string(rows[i].body), rows[i].sent);
    }
}

static void what_is_not_json_is_refused(void **state) {
    (void)state;
    static const struct weir_format *const formats[] = {&weir_format_chat,        &weir_format_completions,
                                                        &weir_format_responses,   &weir_format_embeddings,
                                                        &weir_format_moderations, &weir_format_images,
                                                        &weir_format_speech,      &weir_format_transcriptions,
                                                        &weir_format_rerank};
    static const char *const bodies[] = {"", "<html>", "{\"a\":1", "{\"usage\":{},\"usage\":{}}", "{\"a\":\"\xFF\"}"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        for (size_t k = 0; k < sizeof bodies / sizeof *bodies; k++) {
            struct weir_answer answer;
            assert_int_not_equal(formats[i]->read_answer(weir_span_of_string(bodies[k]), &answer), WEIR_OK);
        }
}

/* --- usage in a piece of what is too large to hold --- */

static void usage_is_found_in_a_piece_of_any_shape(void **state) {
    (void)state;
    static const struct {
        const char *piece;
        bool found;
        int64_t input, output;
    } rows[] = {
        {"aGk=\"}],\"usage\":{\"input_tokens\":5,\"input_tokens_details\":{\"image_tokens\":3},\"output_tokens\":2}}",
         true, 5, 2},
        {"\"usage\":{\"total_tokens\":7}", true, 7, 0},
        {"\"usage\":{\"note\":\"}\\\"}\",\"prompt_tokens\":4}", true, 4, 0},
        {"\"usage\":{\"prompt_tokens\":4", false, 0, 0},
        {"\"usage\":\"{\\\"prompt_tokens\\\":4}\"", false, 0, 0},
        {"[\"usage\",{\"prompt_tokens\":4}]", false, 0, 0},
        {"\"usage\":[{\"prompt_tokens\":4}]", false, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_answer answer = {.has_usage = false};
        bool found = weir_format_images.find_usage(weir_span_of_string(rows[i].piece), &answer);
        if (found != rows[i].found || answer.usage.input != rows[i].input || answer.usage.output != rows[i].output)
            fail_msg("row %zu: found %d, input %lld, output %lld", i, found, (long long)answer.usage.input,
                     (long long)answer.usage.output);
    }
}

/* A piece is as long as it may be, and made to be slow to read: each mention of usage begins an object, each brace might be its end. The look-up
 * has to stay in proportion to the piece: this one takes minutes where it is not. */
static void looking_for_usage_is_never_slow(void **state) {
    (void)state;
    struct weir_buffer piece;
    weir_buffer_init(&piece, WEIR_MIB);
    while (piece.length < 128 * WEIR_KIB) {
        for (size_t i = 0; i < 100; i++)
            weir_buffer_append(&piece, WEIR_SPAN("\"usage\":{"));
        weir_buffer_append(&piece, WEIR_SPAN("\"a\":\""));
        for (size_t i = 0; i < 3000; i++)
            weir_buffer_append_byte(&piece, '}');
        weir_buffer_append(&piece, WEIR_SPAN("\","));
    }
    struct weir_answer answer = {.has_usage = false};
    assert_false(weir_format_chat.find_usage(weir_buffer_span(&piece), &answer));
    weir_buffer_release(&piece);
}

/* --- events --- */

static struct weir_event event_of(const struct weir_format *format, const char *data) {
    struct weir_event event;
    const struct weir_sse_event sse = {.data = weir_span_of_string(data), .has_data = data[0] != '\0'};
    format->read_event(&sse, &event);
    return event;
}

static void events_of_every_kind_are_told_apart(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *data;
        enum weir_event_kind kind;
        bool failed, has_text;
    } rows[] = {
        {&weir_format_responses, "", WEIR_EVENT_OTHER, false, false},
        {&weir_format_responses, "[DONE]", WEIR_EVENT_OTHER, false, false},
        {&weir_format_responses, "{}", WEIR_EVENT_OTHER, false, false},
        {&weir_format_responses, "[]", WEIR_EVENT_OTHER, false, false},
        {&weir_format_responses, "{\"type\":7}", WEIR_EVENT_OTHER, false, false},
        {&weir_format_responses, "{\"type\":\"response.created\"}", WEIR_EVENT_CONTENT, false, false},
        {&weir_format_responses, "{\"type\":\"response.something.new\"}", WEIR_EVENT_CONTENT, false, false},
        {&weir_format_responses, "{\"type\":\"response.output_text.delta\",\"delta\":\"x\"}", WEIR_EVENT_CONTENT, false,
         true},
        {&weir_format_responses, "{\"type\":\"response.function_call_arguments.delta\"}", WEIR_EVENT_CONTENT, false,
         true},
        {&weir_format_responses, "{\"type\":\"response.completed\",\"response\":{}}", WEIR_EVENT_LAST, false, false},
        {&weir_format_responses, "{\"type\":\"response.incomplete\"}", WEIR_EVENT_LAST, false, false},
        {&weir_format_responses, "{\"type\":\"response.cancelled\"}", WEIR_EVENT_LAST, false, false},
        {&weir_format_responses, "{\"type\":\"response.failed\",\"response\":{\"error\":{}}}", WEIR_EVENT_LAST, true,
         false},
        {&weir_format_responses, "{\"type\":\"error\",\"code\":\"x\",\"message\":\"y\"}", WEIR_EVENT_ERROR, false,
         false},
        {&weir_format_responses, "{\"type\":\"response.completed\"", WEIR_EVENT_DAMAGED, false, false},
        {&weir_format_images, "{\"type\":\"image_generation.partial_image\",\"b64_json\":\"x\"}", WEIR_EVENT_CONTENT,
         false, true},
        {&weir_format_images, "{\"type\":\"image_generation.completed\",\"b64_json\":\"x\"}", WEIR_EVENT_FINISH, false,
         true},
        {&weir_format_images, "{\"type\":\"image_edit.completed\",\"b64_json\":\"x\"}", WEIR_EVENT_FINISH, false, true},
        {&weir_format_images, "{\"error\":{\"message\":\"x\"}}", WEIR_EVENT_ERROR, false, true},
        {&weir_format_images, "[DONE]", WEIR_EVENT_DONE, false, false},
        {&weir_format_speech, "{\"type\":\"speech.audio.delta\",\"audio\":\"x\"}", WEIR_EVENT_CONTENT, false, true},
        {&weir_format_speech, "{\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":1}}", WEIR_EVENT_FINISH,
         false, true},
        {&weir_format_speech, "{\"type\":\"error\"}", WEIR_EVENT_ERROR, false, true},
        {&weir_format_transcriptions, "{\"type\":\"transcript.text.delta\",\"delta\":\"x\"}", WEIR_EVENT_CONTENT, false,
         true},
        {&weir_format_transcriptions, "{\"type\":\"transcript.text.done\"}", WEIR_EVENT_FINISH, false, true},
        {&weir_format_transcriptions, "not json", WEIR_EVENT_DAMAGED, false, false},
        {&weir_format_completions, "{\"choices\":[{\"text\":\"x\",\"finish_reason\":null}]}", WEIR_EVENT_CONTENT, false,
         true},
        {&weir_format_completions, "{\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}", WEIR_EVENT_FINISH,
         false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_event event = event_of(rows[i].format, rows[i].data);
        if (event.kind != rows[i].kind || event.failed != rows[i].failed || event.has_text != rows[i].has_text)
            fail_msg("row %zu: kind %d, failed %d, has text %d", i, (int)event.kind, event.failed, event.has_text);
    }
}

static void events_tell_ids_numbers_and_usage(void **state) {
    (void)state;
    struct weir_event event =
        event_of(&weir_format_responses,
                 "{\"type\":\"response.completed\",\"sequence_number\":17,\"response\":{\"id\":\"resp_9\","
                 "\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}");
    assert_true(event.answer.has_usage);
    assert_int_equal(event.answer.usage.input, 3);
    assert_int_equal(event.answer.usage.output, 4);
    assert_int_equal(event.sequence, 17);
    assert_text(event.answer.id, "resp_9");
    event = event_of(&weir_format_responses,
                     "{\"type\":\"response.created\",\"sequence_number\":1e99,\"response\":{\"id\":7}}");
    assert_int_equal(event.sequence, 0);
    assert_text(event.answer.id, "");
    event = event_of(&weir_format_images, "{\"type\":\"image_generation.completed\",\"usage\":{\"input_tokens\":3,"
                                          "\"output_tokens\":4}}");
    assert_int_equal(event.answer.usage.units, 1);
    assert_int_equal(event.answer.usage.unit, WEIR_UNIT_IMAGE);
    assert_int_equal(event.answer.usage.output, 4);
    event = event_of(&weir_format_images, "{\"type\":\"image_generation.partial_image\"}");
    assert_int_equal(event.answer.usage.units, 0);
}

static void the_last_event_is_marked_at_its_top(void **state) {
    (void)state;
    static const struct {
        const struct weir_format *format;
        const char *data, *sent;
    } rows[] = {
        {&weir_format_responses, "{\"type\":\"response.completed\", \"response\":{\"usage\":{}} }",
         "{\"type\":\"response.completed\", \"response\":{\"usage\":{}} ,\"usedCUMilli\":5}"},
        {&weir_format_speech, "{\"type\":\"speech.audio.done\"}", "{\"type\":\"speech.audio.done\",\"usedCUMilli\":5}"},
        {&weir_format_images, "{}", "{\"usedCUMilli\":5}"},
        {&weir_format_images, "[1]", "[1]"},
        {&weir_format_images, "not json", "not json"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_event event = event_of(rows[i].format, rows[i].data);
        struct weir_json_splice splice = {.count = 0};
        assert_int_equal(rows[i].format->mark_event(arena, &event, 5, &splice), WEIR_OK);
        assert_spliced(&splice, weir_span_of_string(rows[i].data), rows[i].sent);
    }
}

/* What we put at the end of a stream that failed has to end it for a client: it is read as such by the same functions. */
static void our_own_error_events_end_a_stream(void **state) {
    (void)state;
    const struct weir_error_answer error = {.reason = WEIR_REASON_UPSTREAM_CLOSED,
                                            .brand_upper = WEIR_SPAN("WEIR"),
                                            .request_id = WEIR_SPAN("r-1"),
                                            .detail = WEIR_SPAN("quo\"te\n"),
                                            .answer_id = WEIR_SPAN("resp_1"),
                                            .sequence = 8};
    static const struct weir_format *const formats[] = {&weir_format_chat,           &weir_format_completions,
                                                        &weir_format_images,         &weir_format_speech,
                                                        &weir_format_transcriptions, &weir_format_responses};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct weir_buffer out;
        struct weir_sse reader;
        struct weir_sse_event sse;
        struct weir_event event;
        weir_buffer_init(&out, WEIR_MIB);
        formats[i]->write_error_event(&out, &error);
        struct weir_span input = weir_buffer_span(&out);
        weir_sse_init(&reader, WEIR_MIB);
        assert_int_equal(weir_sse_next(&reader, &input, &sse), WEIR_OK);
        assert_int_equal(input.length, 0);
        formats[i]->read_event(&sse, &event);
        assert_true(event.answer.is_object);
        if (formats[i] == &weir_format_responses) {
            assert_int_equal(event.kind, WEIR_EVENT_LAST);
            assert_true(event.failed);
            assert_int_equal(event.sequence, 8);
            assert_text(event.answer.id, "resp_1");
            assert_text(sse.name, "response.failed");
        } else {
            assert_int_equal(event.kind, WEIR_EVENT_ERROR);
        }
        weir_sse_release(&reader);
        weir_buffer_release(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage_is_read_in_every_shape),
        cmocka_unit_test(an_answer_without_usage_is_known_to_have_content),
        cmocka_unit_test(answers_are_edited_only_where_they_must_be),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(usage_is_found_in_a_piece_of_any_shape),
        cmocka_unit_test(looking_for_usage_is_never_slow),
        cmocka_unit_test(events_of_every_kind_are_told_apart),
        cmocka_unit_test(events_tell_ids_numbers_and_usage),
        cmocka_unit_test(the_last_event_is_marked_at_its_top),
        cmocka_unit_test(our_own_error_events_end_a_stream),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
