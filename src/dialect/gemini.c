/* Google's Gemini API as it goes through: content, counts and vectors.
 *
 * Facts: the model and whether the answer is a stream stand in the path; members have two spellings, camelCase and snake_case, and one that stands in both is
 * refused here, for nobody knows which one counts. A stream is server-sent events without names or one JSON array, its pieces are whole answers whose usage is
 * cumulative, and nothing ends it: the piece that says why the answer has finished is the last. Thoughts are counted beside the candidates, and are output.
 */
#include "base/arithmetic.h"
#include "dialect/gemini_impl.h"

/* --- requests --- */

enum { NAMES = 2 };
/* The one of two spellings that stands there. WEIR_EINVAL with *problem: both do. */
static enum weir_status one_of(const struct weir_json_found found[NAMES], const char *name,
                               struct weir_json_found *which, struct weir_call_problem *problem) {
    *which = found[found[0].kind == WEIR_JSON_NONE ? 1 : 0];
    if (found[0].kind == WEIR_JSON_NONE || found[1].kind == WEIR_JSON_NONE)
        return WEIR_OK;
    problem->reason = WEIR_REASON_JSON_DUPLICATE_MEMBER;
    problem->field = name;
    (void)snprintf(problem->text, sizeof problem->text, "'%s' stands in the body in both spellings", name);
    return WEIR_EINVAL;
}

enum {
    CALL_CONTENTS = 0,
    CALL_SYSTEM = 1,
    CALL_TOOLS = 3,
    CALL_CACHED = 4,
    CALL_CONFIG = 6,
    CALL_COUNT = 8,
};
static const struct weir_json_want call_wants[CALL_COUNT] = {
    {"contents"},      {"systemInstruction"}, {"system_instruction"}, {"tools"},
    {"cachedContent"}, {"cached_content"},    {"generationConfig"},   {"generation_config"},
};
enum { CONFIG_LIMIT = 0, CONFIG_COUNT = 2, CONFIG_MODALITIES = 4, CONFIG_WANTS = 6 };
static const struct weir_json_want config_wants[CONFIG_WANTS] = {
    {"maxOutputTokens"}, {"max_output_tokens"},  {"candidateCount"},
    {"candidate_count"}, {"responseModalities"}, {"response_modalities"},
};

static bool makes_sound(const struct weir_json_found *modalities) {
    struct weir_json_found one;
    struct weir_span name;
    size_t cursor = 0;
    while (modalities->kind == WEIR_JSON_ARRAY && weir_json_next(modalities->value, &cursor, &name, &one) == WEIR_OK)
        if (!dialect__is(&one, "TEXT") && !dialect__is(&one, "IMAGE"))
            return true;
    return false;
}

static enum weir_status read_config(const struct weir_json_found *config, struct weir_call *call,
                                    struct weir_call_problem *problem) {
    struct weir_json_found found[CONFIG_WANTS], count, modalities;
    struct weir_json_found *limit = &call->output_limits[0];
    if (dialect__is_absent(config))
        return WEIR_OK;
    if (config->kind != WEIR_JSON_OBJECT)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "generationConfig", "an object", config);
    if (weir_json_scan(config->value, config_wants, CONFIG_WANTS, found, NULL, NULL) != WEIR_OK) {
        problem->reason = WEIR_REASON_JSON_DUPLICATE_MEMBER;
        problem->field = "generationConfig";
        (void)snprintf(problem->text, sizeof problem->text, "a member of 'generationConfig' stands in it twice");
        return WEIR_EINVAL;
    }
    if (one_of(&found[CONFIG_LIMIT], "generationConfig.maxOutputTokens", limit, problem) != WEIR_OK ||
        one_of(&found[CONFIG_COUNT], "generationConfig.candidateCount", &count, problem) != WEIR_OK ||
        one_of(&found[CONFIG_MODALITIES], "generationConfig.responseModalities", &modalities, problem) != WEIR_OK ||
        dialect__read_count(limit, "generationConfig.maxOutputTokens", 1, &call->max_output_tokens, problem) !=
            WEIR_OK ||
        dialect__read_count(&count, "generationConfig.candidateCount", 1, &call->choices, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (limit->kind != WEIR_JSON_NONE)
        limit->value_at += config->value_at;
    call->may_make_audio = makes_sound(&modalities);
    return WEIR_OK;
}

static enum weir_status read_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                  struct weir_call_problem *problem) {
    struct weir_json_found found[CALL_COUNT], system, cached;
    struct weir_json_found *config = &call->options_member;
    (void)arena;
    if (dialect__scan_call(body, call_wants, CALL_COUNT, found, call, problem) != WEIR_OK ||
        dialect__require(&found[CALL_CONTENTS], "contents", "an array of contents", problem) != WEIR_OK ||
        one_of(&found[CALL_SYSTEM], "systemInstruction", &system, problem) != WEIR_OK ||
        one_of(&found[CALL_CACHED], "cachedContent", &cached, problem) != WEIR_OK ||
        one_of(&found[CALL_CONFIG], "generationConfig", config, problem) != WEIR_OK ||
        read_config(config, call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    call->wants_usage = true; /* a stream always tells it */
    call->makes_tokens = true;
    call->output_limit_name = "maxOutputTokens";
    call->input_is_elsewhere = !dialect__is_absent(&cached);
    dialect__bound_gemini_contents(&found[CALL_CONTENTS], call);
    dialect__bound_gemini_contents(&system, call);
    dialect__bound_gemini_tools(&found[CALL_TOOLS], call);
    return WEIR_OK;
}

/* The limit stands within generationConfig, which may have to be made. */
static enum weir_status edit_call(struct weir_arena *arena, const struct weir_call *call,
                                  struct weir_span upstream_model, struct weir_json_splice *splice) {
    const struct weir_json_found *limit = &call->output_limits[0], *config = &call->options_member;
    long long most = (long long)call->clamped_output_tokens;
    char *text;
    size_t at = 0, remove = 0;
    (void)upstream_model; /* it stands in the path */
    if (most == 0)
        return WEIR_OK;
    if (limit->kind != WEIR_JSON_NONE) {
        text = weir_arena_format(arena, "%lld", most);
        at = limit->value_at;
        remove = limit->value.length;
    } else if (config->kind == WEIR_JSON_OBJECT) {
        text = weir_arena_format(arena, "\"maxOutputTokens\":%lld%s", most, config->elements == 0 ? "" : ",");
        at = config->value_at + 1;
    } else if (config->kind != WEIR_JSON_NONE) { /* null */
        text = weir_arena_format(arena, "{\"maxOutputTokens\":%lld}", most);
        at = config->value_at;
        remove = config->value.length;
    } else {
        text = weir_arena_format(arena, "\"generationConfig\":{\"maxOutputTokens\":%lld}%s", most,
                                 call->root_is_empty ? "" : ",");
        at = call->root_at + 1;
    }
    return text == NULL ? WEIR_ENOMEM : weir_json_splice_add(splice, at, remove, weir_span_of_string(text));
}

/* "models/NAME" in the body, where it stands besides the path: the vendor wants both to be the same. */
static enum weir_status edit_name(struct weir_arena *arena, const struct weir_json_found *object, size_t object_at,
                                  struct weir_span upstream_model, struct weir_json_splice *splice) {
    struct weir_json_found model = dialect__member_of(object, "model");
    struct weir_buffer text;
    struct weir_span kept;
    if (model.kind != WEIR_JSON_STRING)
        return WEIR_OK;
    bool is_whole = weir_span_starts_with(upstream_model, WEIR_SPAN("models/")) ||
                    weir_span_starts_with(upstream_model, WEIR_SPAN("tunedModels/"));
    char *name = weir_arena_format(arena, "%s%.*s", is_whole ? "" : "models/", WEIR_SPAN_PRINT(upstream_model));
    if (name == NULL)
        return WEIR_ENOMEM;
    weir_buffer_init(&text, 8 * WEIR_KIB);
    weir_json_append_string(&text, weir_span_of_string(name));
    enum weir_status status = weir_buffer_status(&text);
    if (status == WEIR_OK)
        status = weir_arena_dup(arena, weir_buffer_span(&text), &kept);
    weir_buffer_release(&text);
    return status != WEIR_OK ? status
                             : weir_json_splice_add(splice, object_at + model.value_at, model.value.length, kept);
}

/* --- vectors and counts: what is asked stands in one object or in several, each with a model of its own --- */

static enum weir_status read_plain(struct weir_span body, const struct weir_json_want *want, const char *expected,
                                   struct weir_json_found *found, struct weir_call *call,
                                   struct weir_call_problem *problem) {
    if (dialect__scan_call(body, want, 1, found, call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    return expected == NULL ? WEIR_OK : dialect__require(found, want->path, expected, problem);
}

static enum weir_status read_embed_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                        struct weir_call_problem *problem) {
    static const struct weir_json_want want = {"content"};
    struct weir_json_found found;
    (void)arena;
    if (read_plain(body, &want, "a content", &found, call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    dialect__bound_gemini_contents(&found, call);
    return WEIR_OK;
}

static enum weir_status read_batch_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                        struct weir_call_problem *problem) {
    static const struct weir_json_want want = {"requests"};
    struct weir_json_found found, one;
    struct weir_span name;
    size_t cursor = 0;
    (void)arena;
    if (read_plain(body, &want, "an array of requests", &found, call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (found.kind != WEIR_JSON_ARRAY)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "requests", "an array of requests", &found);
    call->options_member = found;
    while (weir_json_next(found.value, &cursor, &name, &one) == WEIR_OK) {
        struct weir_json_found content = dialect__member_of(&one, "content");
        dialect__bound_gemini_contents(&content, call);
    }
    return WEIR_OK;
}

static enum weir_status read_count_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                        struct weir_call_problem *problem) {
    static const struct weir_json_want wants[] = {{"generateContentRequest"}, {"generate_content_request"}};
    struct weir_json_found found[NAMES];
    (void)arena;
    if (dialect__scan_call(body, wants, NAMES, found, call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    return one_of(found, "generateContentRequest", &call->options_member, problem);
}

/* The object that is the body itself. */
static struct weir_json_found root_of(const struct weir_call *call) {
    return (struct weir_json_found){.kind = WEIR_JSON_OBJECT, .value = weir_span_from(call->body, call->root_at)};
}

static enum weir_status edit_embed_call(struct weir_arena *arena, const struct weir_call *call,
                                        struct weir_span upstream_model, struct weir_json_splice *splice) {
    struct weir_json_found root = root_of(call);
    return edit_name(arena, &root, call->root_at, upstream_model, splice);
}

static enum weir_status edit_batch_call(struct weir_arena *arena, const struct weir_call *call,
                                        struct weir_span upstream_model, struct weir_json_splice *splice) {
    struct weir_json_found one;
    struct weir_span name;
    size_t cursor = 0;
    enum weir_status status = WEIR_OK;
    while (status == WEIR_OK && weir_json_next(call->options_member.value, &cursor, &name, &one) == WEIR_OK)
        status = edit_name(arena, &one, call->options_member.value_at + one.value_at, upstream_model, splice);
    return status;
}

static enum weir_status edit_count_call(struct weir_arena *arena, const struct weir_call *call,
                                        struct weir_span upstream_model, struct weir_json_splice *splice) {
    if (call->options_member.kind != WEIR_JSON_OBJECT)
        return WEIR_OK;
    return edit_name(arena, &call->options_member, call->options_member.value_at, upstream_model, splice);
}

/* --- usage --- */

enum {
    PROMPT,
    CANDIDATES,
    THOUGHTS,
    TOOL_USE,
    CACHED,
    TOTAL,
    FIGURES,
    PROMPT_DETAILS = FIGURES,
    TOOL_DETAILS,
    CANDIDATE_DETAILS,
    USAGE_WANTS
};
static const struct weir_json_want usage_wants[USAGE_WANTS] = {
    [PROMPT] = {"promptTokenCount"},
    [CANDIDATES] = {"candidatesTokenCount"},
    [THOUGHTS] = {"thoughtsTokenCount"},
    [TOOL_USE] = {"toolUsePromptTokenCount"},
    [CACHED] = {"cachedContentTokenCount"},
    [TOTAL] = {"totalTokenCount"},
    [PROMPT_DETAILS] = {"promptTokensDetails"},
    [TOOL_DETAILS] = {"toolUsePromptTokensDetails"},
    [CANDIDATE_DETAILS] = {"candidatesTokensDetails"},
};

/* False: it is not said, or no count. */
static bool read_figure(const struct weir_json_found *found, int64_t *value) {
    *value = 0;
    if (found->kind == WEIR_JSON_NUMBER && weir_json_int64(found->value, value) == WEIR_OK && *value >= 0)
        return true;
    *value = 0;
    return false;
}

/* [{"modality":"AUDIO","tokenCount":7},…] */
static void add_details(const struct weir_json_found *details, int64_t *audio, int64_t *image) {
    struct weir_json_found item;
    struct weir_span name;
    size_t cursor = 0;
    while (details->kind == WEIR_JSON_ARRAY && weir_json_next(details->value, &cursor, &name, &item) == WEIR_OK) {
        struct weir_json_found modality = dialect__member_of(&item, "modality"),
                               count = dialect__member_of(&item, "tokenCount");
        int64_t tokens, *sum = dialect__is(&modality, "AUDIO") ? audio : dialect__is(&modality, "IMAGE") ? image : NULL;
        if (sum != NULL && read_figure(&count, &tokens) && !weir_add_int64(*sum, tokens, sum))
            *sum = INT64_MAX;
    }
}

/* Thoughts are counted beside the candidates; where the total shows that a server has counted them among these, they are not counted again. */
static bool add_output(const int64_t *value, const bool *said, int64_t input, int64_t *output) {
    int64_t without_thoughts, with_thoughts;
    if (!weir_add_int64(value[CANDIDATES], value[THOUGHTS], output) ||
        !weir_add_int64(input, value[CANDIDATES], &without_thoughts) || !weir_add_int64(input, *output, &with_thoughts))
        return false;
    if (!said[TOTAL])
        return true;
    if (said[CANDIDATES] && value[THOUGHTS] > 0 && value[THOUGHTS] <= value[CANDIDATES] &&
        value[TOTAL] == without_thoughts)
        *output = value[CANDIDATES];
    if (!said[CANDIDATES] && value[TOTAL] > with_thoughts) /* what is left can be nothing else */
        *output = value[TOTAL] - input;
    return true;
}

static int64_t at_most(int64_t value, int64_t most) {
    return value < most ? value : most;
}

bool dialect__read_gemini_usage(struct weir_span object, struct weir_usage *usage) {
    struct weir_json_found found[USAGE_WANTS];
    int64_t value[FIGURES] = {0};
    bool said[FIGURES] = {false};
    *usage = (struct weir_usage){.input = 0};
    if (weir_json_scan(object, usage_wants, USAGE_WANTS, found, NULL, NULL) != WEIR_OK)
        return false;
    for (size_t i = 0; i < FIGURES; i++)
        said[i] = read_figure(&found[i], &value[i]);
    struct weir_usage read = {.input = 0};
    if (!said[PROMPT] || !weir_add_int64(value[PROMPT], value[TOOL_USE], &read.input) ||
        !add_output(value, said, read.input, &read.output))
        return false;
    read.cached = at_most(value[CACHED], read.input);
    read.reasoning = at_most(value[THOUGHTS], read.output);
    add_details(&found[PROMPT_DETAILS], &read.input_audio, &read.input_image);
    add_details(&found[TOOL_DETAILS], &read.input_audio, &read.input_image);
    add_details(&found[CANDIDATE_DETAILS], &read.output_audio, &read.output_image);
    *usage = read;
    return true;
}

/* --- answers --- */

static void begin_answer(struct weir_span body, const struct weir_json_found *root, const struct weir_json_found *id,
                         const struct weir_json_found *usage, struct weir_answer *answer) {
    static const struct weir_json_found none = {.kind = WEIR_JSON_NONE};
    dialect__begin_answer(body, root, id, &none, answer);
    if (!answer->is_object)
        return;
    answer->usage_member = *usage;
    if (usage->kind == WEIR_JSON_OBJECT)
        answer->has_usage = dialect__read_gemini_usage(usage->value, &answer->usage);
}

static enum weir_status read_answer(struct weir_span body, struct weir_answer *answer) {
    enum { ID, USAGE, CONTENT, COUNT };
    static const struct weir_json_want wants[COUNT] = {
        [ID] = {"responseId"}, [USAGE] = {"usageMetadata"}, [CONTENT] = {"candidates"}};
    struct weir_json_found found[COUNT], root;
    enum weir_status status = weir_json_scan(body, wants, COUNT, found, &root, NULL);
    if (status != WEIR_OK)
        return status;
    begin_answer(body, &root, &found[ID], &found[USAGE], answer);
    answer->content_bytes = (int64_t)(found[CONTENT].kind == WEIR_JSON_ARRAY ? found[CONTENT].value.length
                                                                             : body.length);
    return WEIR_OK;
}

static bool find_usage(struct weir_span piece, struct weir_answer *answer) {
    return dialect__find_usage_by(piece, "\"usageMetadata\"", dialect__read_gemini_usage, answer);
}

static enum weir_status edit_answer(struct weir_arena *arena, const struct weir_answer *answer,
                                    const struct weir_usage *estimated, int64_t used_cu_milli,
                                    struct weir_json_splice *splice) {
    const struct weir_json_found *usage = &answer->usage_member;
    if (!answer->is_object || usage->kind == WEIR_JSON_OBJECT)
        return dialect__edit_answer(arena, answer, estimated, used_cu_milli, splice);
    char *text = weir_arena_format(arena,
                                   "%s{\"promptTokenCount\":%lld,\"candidatesTokenCount\":%lld,"
                                   "\"totalTokenCount\":%lld,\"estimated\":true,\"usedCUMilli\":%lld}",
                                   usage->kind != WEIR_JSON_NONE ? ""
                                   : answer->root_is_empty       ? "\"usageMetadata\":"
                                                                 : ",\"usageMetadata\":",
                                   (long long)estimated->input, (long long)estimated->output,
                                   (long long)estimated->input + (long long)estimated->output,
                                   (long long)used_cu_milli);
    if (text == NULL)
        return WEIR_ENOMEM;
    if (usage->kind != WEIR_JSON_NONE)
        return weir_json_splice_add(splice, usage->value_at, usage->value.length, weir_span_of_string(text));
    return weir_json_splice_add(splice, answer->root_end, 0, weir_span_of_string(text));
}

/* --- events --- */

/* What the candidates of a piece tell: any content at all, and whether one has finished. */
static void read_candidates(const struct weir_json_found *candidates, bool *has_content, bool *has_finished) {
    struct weir_json_found candidate;
    struct weir_span name;
    size_t cursor = 0;
    while (candidates->kind == WEIR_JSON_ARRAY &&
           weir_json_next(candidates->value, &cursor, &name, &candidate) == WEIR_OK) {
        struct weir_json_found content = dialect__member_of(&candidate, "content"),
                               parts = dialect__member_of(&content, "parts"),
                               finish = dialect__member_of(&candidate, "finishReason");
        *has_content = *has_content || (parts.kind == WEIR_JSON_ARRAY && parts.elements > 0);
        *has_finished = *has_finished ||
                        (finish.kind == WEIR_JSON_STRING && !dialect__is(&finish, "FINISH_REASON_UNSPECIFIED"));
    }
}

static void read_event(const struct weir_sse_event *sse, struct weir_event *event) {
    enum { ID, USAGE, CONTENT, BLOCKED, ERROR, COUNT };
    static const struct weir_json_want wants[COUNT] = {
        [ID] = {"responseId"},      [USAGE] = {"usageMetadata"},
        [CONTENT] = {"candidates"}, [BLOCKED] = {"promptFeedback.blockReason"},
        [ERROR] = {"error"},
    };
    struct weir_json_found found[COUNT], root;
    bool has_finished = false;
    *event = (struct weir_event){.kind = WEIR_EVENT_OTHER};
    if (sse->data.length == 0)
        return;
    if (weir_json_scan(sse->data, wants, COUNT, found, &root, NULL) != WEIR_OK) {
        event->kind = WEIR_EVENT_DAMAGED;
        return;
    }
    begin_answer(sse->data, &root, &found[ID], &found[USAGE], &event->answer);
    if (!event->answer.is_object)
        return;
    read_candidates(&found[CONTENT], &event->has_text, &has_finished);
    if (!dialect__is_absent(&found[ERROR]))
        event->kind = WEIR_EVENT_ERROR;
    else if (has_finished || found[BLOCKED].kind == WEIR_JSON_STRING)
        event->kind = WEIR_EVENT_FINISH;
    else if (found[CONTENT].elements > 0)
        event->kind = WEIR_EVENT_CONTENT;
    else if (event->answer.has_usage)
        event->kind = WEIR_EVENT_USAGE;
    /* It counts what there has been so far: the last word is that of a finished answer. */
    event->usage_is_begun = event->kind != WEIR_EVENT_FINISH && event->kind != WEIR_EVENT_USAGE;
}

/* --- errors --- */

static void write_error_event(struct weir_buffer *out, const struct weir_error_answer *error) {
    weir_buffer_append(out, WEIR_SPAN("data: "));
    dialect__write_gemini_error(out, error);
    weir_buffer_append(out, WEIR_SPAN("\n\n"));
}

const struct weir_format weir_format_generate_content = {
    .name = "generate_content",
    .flags = WEIR_FORMAT_TOKENS | WEIR_FORMAT_MODEL_IN_PATH | WEIR_FORMAT_ARRAY_STREAM,
    .dialect = WEIR_DIALECT_GEMINI,
    .task = WEIR_TASK_GENERATE,
    .front = &weir_front_gemini,
    .read_call = read_call,
    .edit_call = edit_call,
    .read_answer = read_answer,
    .find_usage = find_usage,
    .edit_answer = edit_answer,
    .read_event = read_event,
    .mark_event = dialect__mark_event,
    .done = {.at = "", .length = 0},
    .write_error_event = write_error_event,
};

const struct weir_format weir_format_count_tokens_gemini = {
    .name = "gemini.count_tokens",
    .flags = WEIR_FORMAT_MODEL_IN_PATH,
    .dialect = WEIR_DIALECT_GEMINI,
    .task = WEIR_TASK_COUNT,
    .front = &weir_front_gemini,
    .read_call = read_count_call,
    .edit_call = edit_count_call,
    .read_answer = read_answer,
    .find_usage = find_usage,
    .edit_answer = edit_answer,
};

const struct weir_format weir_format_embed_content = {
    .name = "embed_content",
    .flags = WEIR_FORMAT_TOKENS | WEIR_FORMAT_MODEL_IN_PATH,
    .dialect = WEIR_DIALECT_GEMINI,
    .task = WEIR_TASK_EMBED,
    .front = &weir_front_gemini,
    .read_call = read_embed_call,
    .edit_call = edit_embed_call,
    .read_answer = read_answer,
    .find_usage = find_usage,
    .edit_answer = edit_answer,
};

const struct weir_format weir_format_batch_embed_contents = {
    .name = "batch_embed_contents",
    .flags = WEIR_FORMAT_TOKENS | WEIR_FORMAT_MODEL_IN_PATH,
    .dialect = WEIR_DIALECT_GEMINI,
    .task = WEIR_TASK_EMBED,
    .front = &weir_front_gemini,
    .read_call = read_batch_call,
    .edit_call = edit_batch_call,
    .read_answer = read_answer,
    .find_usage = find_usage,
    .edit_answer = edit_answer,
};
