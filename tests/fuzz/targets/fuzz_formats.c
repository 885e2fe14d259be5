/* links: base json http store dialect */
/* All formats, over bytes from clients and providers. The first byte chooses the format, the second what is asked of it. Beyond not failing:
 * what a target is sent is JSON that names the target's model; an answer with what was used is JSON, and the answer again once the added members
 * are taken out; a list keeps what it is told to, and nothing else; an event is read alike wherever it lies.
 */
#include "base/limits.h"
#include "dialect/dialect.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define X(name) &weir_format_##name,
static const struct weir_format *const formats[] = {
#include "dialect/formats.def"
};
#undef X
enum { FORMATS = sizeof formats / sizeof *formats };

static void require(bool condition) {
    if (!condition)
        abort();
}

static struct weir_buffer spliced(struct weir_json_splice *splice, struct weir_span text) {
    struct weir_buffer out;
    weir_buffer_init(&out, 8 * WEIR_MIB);
    weir_json_splice_write(splice, text, &out);
    require(weir_buffer_status(&out) == WEIR_OK);
    require(out.length == weir_json_splice_length(splice, text.length));
    return out;
}

static bool is_json(struct weir_span text) {
    return weir_json_scan(text, NULL, 0, NULL, NULL, NULL) == WEIR_OK;
}

/* --- calls --- */

static void check_problem(const struct weir_call_problem *problem) {
    require(problem->reason != WEIR_REASON_NONE);
    require(problem->field != NULL);
    require(problem->text[0] != '\0' && strlen(problem->text) < sizeof problem->text);
}

static void check_call(const struct weir_call *call) {
    require(call->choices >= 1 && call->max_output_tokens >= 0 && call->more_input_tokens >= 0 && call->units >= 0);
    require(call->guess.input >= 0 && call->guess.output >= 0 && call->guess.units >= 0);
}

/* A clamped call says so in the member that bounds its output, and stays JSON. */
static void check_clamped(const struct weir_format *format, struct weir_arena *arena, struct weir_call *call,
                          struct weir_span body) {
    static const struct weir_json_want wants[] = {{"max_tokens"},
                                                  {"max_completion_tokens"},
                                                  {"max_output_tokens"},
                                                  {"options.num_predict"},
                                                  {"generationConfig.maxOutputTokens"},
                                                  {"generationConfig.max_output_tokens"},
                                                  {"generation_config.maxOutputTokens"},
                                                  {"generation_config.max_output_tokens"}};
    enum { WANTS = sizeof wants / sizeof *wants };
    struct weir_json_found found[WANTS];
    struct weir_json_splice splice = {.count = 0};
    bool told = false;
    if (call->output_limit_name == NULL)
        return;
    call->clamped_output_tokens = 77;
    require(format->edit_call(arena, call, call->model, &splice) == WEIR_OK);
    struct weir_buffer sent = spliced(&splice, body);
    require(weir_json_scan(weir_buffer_span(&sent), wants, WANTS, found, NULL, NULL) == WEIR_OK);
    for (size_t i = 0; i < WANTS; i++)
        told = told || weir_span_equal(found[i].value, WEIR_SPAN("77"));
    require(told);
    weir_buffer_release(&sent);
}

static void fuzz_call(const struct weir_format *format, struct weir_arena *arena, struct weir_span body) {
    static const struct weir_json_want wants[] = {{"model"}, {"stream_options.include_usage"}};
    static const struct weir_span model = {.at = "up\"stream/\xC3\xA9", .length = 12};
    struct weir_call call;
    struct weir_call_problem problem = {.reason = WEIR_REASON_NONE, .field = NULL, .text = ""};
    struct weir_json_splice splice = {.count = 0};
    struct weir_json_found found[2];
    if (format->read_call == NULL)
        return;
    if (format->read_call(arena, body, &call, &problem) != WEIR_OK) {
        check_problem(&problem);
        return;
    }
    check_call(&call);
    if (format->edit_call == NULL)
        return;
    bool is_in_path = (format->flags & WEIR_FORMAT_MODEL_IN_PATH) != 0; /* its body need not name it */
    if (is_in_path)
        call.model = WEIR_SPAN("asked");
    require(format->edit_call(arena, &call, model, &splice) == WEIR_OK);
    struct weir_buffer sent = spliced(&splice, body);
    require(is_json(weir_buffer_span(&sent)));
    if (is_in_path) {
        weir_buffer_release(&sent);
        check_clamped(format, arena, &call, body);
        return;
    }
    require(weir_json_scan(weir_buffer_span(&sent), wants, 2, found, NULL, NULL) == WEIR_OK);
    require(found[0].kind == WEIR_JSON_STRING && weir_json_string_equals(found[0].value, model));
    bool chats = format == &weir_format_chat || format == &weir_format_completions;
    require(!chats || !call.stream || found[1].kind == WEIR_JSON_TRUE);
    weir_buffer_release(&sent);
    splice.count = 0; /* nothing is changed where nothing has to be */
    require(format->edit_call(arena, &call, call.model, &splice) == WEIR_OK);
    require(splice.count == 0 || (chats && call.stream && !call.wants_usage));
    check_clamped(format, arena, &call, body);
}

/* Fields are lines, "name=value"; lines that begin with '@' are files. */
static void fuzz_form(const struct weir_format *format, struct weir_arena *arena, struct weir_span text) {
    enum { FIELDS = 64 };
    struct weir_form_field fields[FIELDS];
    struct weir_form form = {.fields = fields};
    struct weir_call call;
    struct weir_call_problem problem = {.reason = WEIR_REASON_NONE, .field = NULL, .text = ""};
    struct weir_span line;
    if (format->read_form == NULL)
        return;
    for (bool more = true; more && form.field_count < FIELDS;) {
        more = weir_span_split(text, '\n', &line, &text);
        if (weir_span_starts_with(line, WEIR_SPAN("@"))) {
            form.file_count++;
            form.file_bytes += line.length * 0x1000001U;
            continue;
        }
        (void)weir_span_split(line, '=', &fields[form.field_count].name, &fields[form.field_count].value);
        form.field_count++;
    }
    if (format->read_form(arena, &form, &call, &problem) != WEIR_OK)
        check_problem(&problem);
    else
        check_call(&call);
}

/* --- answers --- */

static void check_usage(const struct weir_usage *usage) {
    require(usage->input >= 0 && usage->cached >= 0 && usage->cache_write >= 0 && usage->output >= 0);
    require(usage->cache_write_long >= 0 && usage->cache_write_long <= usage->cache_write);
    require(usage->reasoning >= 0 && usage->units >= 0 && usage->input_audio >= 0 && usage->output_image >= 0);
}

/* `sent` is `body` but for one place, where `added` stands in stead of `removed` bytes. */
static void check_one_place(struct weir_span body, struct weir_span sent) {
    size_t same = 0, after = 0;
    while (same < body.length && same < sent.length && body.at[same] == sent.at[same])
        same++;
    while (after < body.length - same && after < sent.length - same &&
           body.at[body.length - 1 - after] == sent.at[sent.length - 1 - after])
        after++;
    struct weir_span removed = weir_span_of(body.at + same, body.length - same - after);
    struct weir_span added = weir_span_of(sent.at + same, sent.length - same - after);
    /* Nothing is taken away but a usage that is no object, for one that is. */
    require(removed.length == 0 || memmem(added.at, added.length, "estimated", 9) != NULL);
    require(added.length == 0 || memmem(added.at, added.length, "usedCUMilli", 11) != NULL);
}

static void fuzz_answer(const struct weir_format *format, struct weir_arena *arena, struct weir_span body) {
    const struct weir_usage estimated = {.input = 3, .output = 4};
    struct weir_answer answer;
    struct weir_json_splice splice = {.count = 0};
    if (format->read_answer == NULL || format->read_answer(body, &answer) != WEIR_OK)
        return;
    check_usage(&answer.usage);
    require(answer.content_bytes >= 0);
    require(is_json(body));
    require(format->edit_answer(arena, &answer, &estimated, 77, &splice) == WEIR_OK);
    require((splice.count > 0) == answer.is_object);
    struct weir_buffer sent = spliced(&splice, body);
    require(is_json(weir_buffer_span(&sent)));
    check_one_place(body, weir_buffer_span(&sent));
    weir_buffer_release(&sent);
}

static void fuzz_vectors(struct weir_span body) {
    const struct weir_call call = {.wants_base64 = true};
    struct weir_buffer out;
    weir_buffer_init(&out, 8 * WEIR_MIB);
    enum weir_status status = weir_format_embeddings.rewrite_answer(&call, body, &out);
    require(status == WEIR_OK || status == WEIR_END);
    if (status == WEIR_OK) {
        struct weir_buffer again;
        require(is_json(weir_buffer_span(&out)));
        weir_buffer_init(&again, 8 * WEIR_MIB); /* what is written needs no writing */
        require(weir_format_embeddings.rewrite_answer(&call, weir_buffer_span(&out), &again) == WEIR_END);
        weir_buffer_release(&again);
    }
    weir_buffer_release(&out);
}

static void fuzz_piece(const struct weir_format *format, struct weir_span piece) {
    struct weir_answer answer = {.has_usage = false};
    if (format->find_usage == NULL)
        return;
    require(format->find_usage(piece, &answer) == answer.has_usage);
    check_usage(&answer.usage);
}

/* --- events --- */

static void check_same_event(const struct weir_event *a, const struct weir_event *b) {
    require(a->kind == b->kind && a->usage_is_null == b->usage_is_null && a->failed == b->failed);
    require(a->has_text == b->has_text && a->sequence == b->sequence);
    require(a->answer.is_object == b->answer.is_object && a->answer.has_usage == b->answer.has_usage);
    require(a->answer.usage.input == b->answer.usage.input && a->answer.usage.output == b->answer.usage.output);
    require(a->answer.usage.units == b->answer.usage.units && a->answer.usage.unit == b->answer.usage.unit);
    require(weir_span_equal(a->answer.id, b->answer.id) && a->answer.root_end == b->answer.root_end);
    require(a->answer.usage_member.kind == b->answer.usage_member.kind &&
            a->answer.usage_member.value_at == b->answer.usage_member.value_at);
}

static void fuzz_event(const struct weir_format *format, struct weir_arena *arena, struct weir_span data) {
    struct weir_event event, again;
    struct weir_json_splice splice = {.count = 0};
    if (format->read_event == NULL)
        return;
    /* A copy with nothing behind it, under another name: the data alone decides. */
    char *copy = malloc(data.length > 0 ? data.length : 1);
    require(copy != NULL);
    memcpy(copy, data.at, data.length);
    const struct weir_sse_event sse = {.data = data, .raw = data, .has_data = true};
    const struct weir_sse_event other = {.data = weir_span_of(copy, data.length),
                                         .raw = WEIR_SPAN("x"),
                                         .name = WEIR_SPAN("error"),
                                         .has_data = true};
    memset(&event, 0x55, sizeof event);
    memset(&again, 0xAA, sizeof again);
    format->read_event(&sse, &event);
    format->read_event(&other, &again);
    check_same_event(&event, &again);
    check_usage(&event.answer.usage);
    if (format->hide_usage != NULL)
        require(format->hide_usage(data, &event, &splice) == WEIR_OK);
    require(format->mark_event(arena, &event, 77, &splice) == WEIR_OK);
    struct weir_buffer sent = spliced(&splice, data);
    require(!is_json(data) || is_json(weir_buffer_span(&sent)));
    weir_buffer_release(&sent);
    free(copy);
}

/* --- what is kept --- */

/* Which items stay is decided by their bytes. */
static bool is_kept(const struct weir_list_item *item) {
    return item->text.length % 3 != 0;
}

static void fuzz_list(struct weir_arena *arena, struct weir_span body) {
    struct weir_list_item *items, *left;
    size_t count, left_count, next = 0;
    bool has_more;
    struct weir_buffer out;
    struct weir_span ids[3];
    size_t id_count = weir_dialect_issued_ids(body, ids, 3);
    for (size_t i = 0; i < id_count; i++)
        require(ids[i].length > 0 && ids[i].at > body.at && ids[i].at + ids[i].length < body.at + body.length);
    id_count = weir_dialect_issued_names(body, ids, 3);
    for (size_t i = 0; i < id_count; i++)
        require(ids[i].length > 0 && ids[i].at > body.at && ids[i].at + ids[i].length < body.at + body.length);
    const char *parameter = NULL;
    require(!weir_dialect_list_next(body, &parameter, &ids[0]) || (ids[0].length > 0 && parameter != NULL));
    if (weir_dialect_list_items(arena, body, &items, &count, &has_more) != WEIR_OK)
        return;
    bool *keep = weir_arena_array(arena, count, sizeof *keep);
    require(keep != NULL);
    for (size_t i = 0; i < count; i++)
        keep[i] = is_kept(&items[i]);
    weir_buffer_init(&out, 8 * WEIR_MIB);
    require(weir_dialect_write_list(body, items, keep, count, &out) == WEIR_OK);
    require(weir_dialect_list_items(arena, weir_buffer_span(&out), &left, &left_count, &has_more) == WEIR_OK);
    for (size_t i = 0; i < count; i++) {
        if (!keep[i])
            continue;
        require(next < left_count && weir_span_equal(items[i].text, left[next].text));
        require(weir_span_equal(items[i].id, left[next].id));
        next++;
    }
    require(next == left_count);
    weir_buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > WEIR_MIB)
        return 0;
    const struct weir_format *format = formats[data[0] % FORMATS];
    struct weir_span text = weir_span_of((const char *)data + 2, size - 2);
    struct weir_arena *arena = weir_arena_new(0, 8 * WEIR_MIB);
    require(arena != NULL);
    switch (data[1] % 7) {
    case 0: fuzz_call(format, arena, text); break;
    case 1: fuzz_form(format, arena, text); break;
    case 2: fuzz_answer(format, arena, text); break;
    case 3: fuzz_piece(format, text); break;
    case 4: fuzz_event(format, arena, text); break;
    case 5: fuzz_list(arena, text); break;
    default: fuzz_vectors(text); break;
    }
    weir_arena_free(&arena);
    return 0;
}
