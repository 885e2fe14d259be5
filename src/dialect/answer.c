/* What the formats' readers of answers and events share: usage in all its shapes, and the few bytes that are added.
 *
 * Facts: the published OpenAPI description, and what servers really send: prompt and completion tokens (chat, completions, embeddings), input and
 * output tokens with details (responses, pictures, transcripts; there the details' name lacks an s), seconds (transcripts), a total alone, or
 * search units inside `meta` (rerankers).
 */
#include "dialect/impl.h"

size_t dialect__closing_brace(struct weir_span text) {
    size_t at = text.length;
    while (at > 0 && text.at[at - 1] != '}')
        at--;
    return at > 0 ? at - 1 : 0;
}

/* --- usage --- */

enum target {
    INPUT,
    CACHED,
    CACHE_WRITE,
    INPUT_AUDIO,
    INPUT_IMAGE,
    OUTPUT,
    REASONING,
    OUTPUT_AUDIO,
    OUTPUT_IMAGE,
    TOTAL,
    SECONDS,
    SEARCHES,
    TARGET_COUNT
};
/* Two vocabularies; a usage speaks one of them. The first is that of nearly all traffic, and is looked for first. */
static const struct weir_json_want prompt_wants[] = {
    {"prompt_tokens"},
    {"prompt_tokens_details.cached_tokens"},
    {"prompt_tokens_details.cache_write_tokens"},
    {"prompt_tokens_details.audio_tokens"},
    {"prompt_tokens_details.image_tokens"},
    {"completion_tokens"},
    {"completion_tokens_details.reasoning_tokens"},
    {"completion_tokens_details.audio_tokens"},
    {"completion_tokens_details.image_tokens"},
};
static const unsigned char prompt_targets[] = {INPUT,  CACHED,    CACHE_WRITE,  INPUT_AUDIO, INPUT_IMAGE,
                                               OUTPUT, REASONING, OUTPUT_AUDIO, OUTPUT_IMAGE};
static const struct weir_json_want input_wants[] = {
    {"input_tokens"},
    {"input_tokens_details.cached_tokens"},
    {"input_tokens_details.cache_write_tokens"},
    {"input_tokens_details.audio_tokens"},
    {"input_tokens_details.image_tokens"},
    {"output_tokens"},
    {"output_tokens_details.reasoning_tokens"},
    {"output_tokens_details.audio_tokens"},
    {"output_tokens_details.image_tokens"},
    {"total_tokens"},
    {"seconds"},
    {"search_units"},
    {"input_token_details.cached_tokens"},
    {"input_token_details.audio_tokens"},
};
static const unsigned char input_targets[] = {INPUT,   CACHED,    CACHE_WRITE,  INPUT_AUDIO,  INPUT_IMAGE,
                                              OUTPUT,  REASONING, OUTPUT_AUDIO, OUTPUT_IMAGE, TOTAL,
                                              SECONDS, SEARCHES,  CACHED,       INPUT_AUDIO};
#define COUNT(table) (sizeof(table) / sizeof *(table))
_Static_assert(COUNT(prompt_wants) == COUNT(prompt_targets), "a target for each");
_Static_assert(COUNT(input_wants) == COUNT(input_targets), "a target for each");

/* Seconds are kept in thousandths. */
static bool read_figure(const struct weir_json_found *found, bool is_seconds, int64_t *value) {
    bool rounded;
    if (found->kind != WEIR_JSON_NUMBER)
        return false;
    enum weir_status status = is_seconds ? weir_json_scaled_int64(found->value, 3, value, &rounded)
                                         : weir_json_int64(found->value, value);
    return status == WEIR_OK && *value >= 0;
}

struct figures {
    int64_t value[TARGET_COUNT];
    bool said[TARGET_COUNT];
};

static void take_figures(const struct weir_json_found *found, const unsigned char *targets, size_t count,
                         struct figures *figures) {
    for (size_t i = 0; i < count; i++) {
        unsigned target = targets[i];
        if (!figures->said[target])
            figures->said[target] = read_figure(&found[i], target == SECONDS, &figures->value[target]);
    }
}

static bool as_usage(const struct figures *figures, struct weir_usage *usage) {
    const int64_t *value = figures->value;
    const bool *said = figures->said;
    int64_t input = value[INPUT];
    if (!said[INPUT] && said[TOTAL])
        input = value[TOTAL] > value[OUTPUT] ? value[TOTAL] - value[OUTPUT] : 0;
    *usage = (struct weir_usage){.input = input,
                                 .cached = value[CACHED],
                                 .cache_write = value[CACHE_WRITE],
                                 .input_audio = value[INPUT_AUDIO],
                                 .input_image = value[INPUT_IMAGE],
                                 .output = value[OUTPUT],
                                 .reasoning = value[REASONING],
                                 .output_audio = value[OUTPUT_AUDIO],
                                 .output_image = value[OUTPUT_IMAGE]};
    if (said[SECONDS]) {
        usage->unit = WEIR_UNIT_AUDIO_MS;
        usage->units = value[SECONDS];
    } else if (said[SEARCHES]) {
        usage->unit = WEIR_UNIT_SEARCH;
        usage->units = value[SEARCHES];
    }
    return said[INPUT] || said[TOTAL] || said[SECONDS] || said[SEARCHES];
}

static void scan_figures(struct weir_span object, const struct weir_json_want *wants, const unsigned char *targets,
                         size_t count, struct figures *figures) {
    struct weir_json_found found[COUNT(input_wants)];
    if (weir_json_scan(object, wants, count, found, NULL, NULL) == WEIR_OK)
        take_figures(found, targets, count, figures);
}

bool dialect__read_usage(struct weir_span object, struct weir_usage *usage) {
    struct figures figures = {.said = {false}};
    scan_figures(object, prompt_wants, prompt_targets, COUNT(prompt_wants), &figures);
    if (!figures.said[INPUT])
        scan_figures(object, input_wants, input_targets, COUNT(input_wants), &figures);
    return as_usage(&figures, usage);
}

/* The object at the beginning of `text`, as far as its braces tell; empty where it does not end there. */
static struct weir_span first_object(struct weir_span text) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.at[i];
        if (in_string) {
            i += byte == '\\' ? 1 : 0;
            in_string = byte != '"';
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '{') {
            depth++;
        } else if (byte == '}' && --depth == 0) {
            return weir_span_first(text, i + 1);
        }
    }
    return WEIR_SPAN("");
}

/* From the last mention to the first: in valid JSON the quoted word and a colon can only be a member's name, for a quote inside a string is
 * escaped. Few mentions are looked at, and little behind each: what a provider sends must not keep the loop busy. */
bool dialect__find_usage_by(struct weir_span piece, const char *name,
                            bool (*read)(struct weir_span object, struct weir_usage *usage),
                            struct weir_answer *answer) {
    enum { USAGE_MAX_BYTES = 4096, MENTIONS = 64 };
    size_t mentions = 0, name_length = strlen(name);
    for (size_t at = piece.length; at >= name_length && mentions < MENTIONS; at--) {
        size_t start = at - name_length;
        if (piece.at[start] != '"' || memcmp(piece.at + start, name, name_length) != 0)
            continue;
        mentions++;
        size_t value = at;
        while (value < piece.length && (piece.at[value] == ':' || strchr(" \t\r\n", piece.at[value]) != NULL))
            value++;
        size_t limit = piece.length - value < USAGE_MAX_BYTES ? piece.length - value : USAGE_MAX_BYTES;
        if (limit == 0 || piece.at[value] != '{')
            continue;
        struct weir_span object = first_object(weir_span_of(piece.at + value, limit));
        if (object.length > 0 && read(object, &answer->usage)) {
            answer->has_usage = true;
            return true;
        }
    }
    return false;
}

bool dialect__find_usage(struct weir_span piece, struct weir_answer *answer) {
    return dialect__find_usage_by(piece, "\"usage\"", dialect__read_usage, answer);
}

/* --- answers --- */

static void begin(struct weir_span body, const struct weir_json_found *root, const struct weir_json_found *id,
                  const struct weir_json_found *usage, struct weir_answer *answer) {
    *answer = (struct weir_answer){.is_object = root->kind == WEIR_JSON_OBJECT, .id = WEIR_SPAN("")};
    if (!answer->is_object)
        return;
    answer->root_end = dialect__closing_brace(body);
    answer->root_is_empty = root->elements == 0;
    answer->usage_member = *usage;
    if (id->kind == WEIR_JSON_STRING && !weir_json_plain_string(id->value, &answer->id))
        answer->id = WEIR_SPAN("");
}

void dialect__begin_answer(struct weir_span body, const struct weir_json_found *root, const struct weir_json_found *id,
                           const struct weir_json_found *usage, struct weir_answer *answer) {
    begin(body, root, id, usage, answer);
    if (answer->is_object && usage->kind == WEIR_JSON_OBJECT)
        answer->has_usage = dialect__read_usage(usage->value, &answer->usage);
}

/* One pass for nearly all traffic: the usage's figures are looked for with the rest. Where they stand twice, none of them counts. */
enum weir_status dialect__scan_answer(struct weir_span body, const char *more_path, struct weir_json_found *more,
                                      struct weir_answer *answer) {
    enum { ID, USAGE, MORE, FIGURES, WANTED = FIGURES + COUNT(prompt_wants) };
    const struct weir_json_want wants[WANTED] = {{"id"},
                                                 {"usage"},
                                                 {more_path != NULL ? more_path : "usage"},
                                                 {"usage.prompt_tokens"},
                                                 {"usage.prompt_tokens_details.cached_tokens"},
                                                 {"usage.prompt_tokens_details.cache_write_tokens"},
                                                 {"usage.prompt_tokens_details.audio_tokens"},
                                                 {"usage.prompt_tokens_details.image_tokens"},
                                                 {"usage.completion_tokens"},
                                                 {"usage.completion_tokens_details.reasoning_tokens"},
                                                 {"usage.completion_tokens_details.audio_tokens"},
                                                 {"usage.completion_tokens_details.image_tokens"}};
    struct weir_json_found found[WANTED], root;
    struct figures figures = {.said = {false}};
    enum weir_status status = weir_json_scan(body, wants, WANTED, found, &root, NULL);
    if (status == WEIR_OK)
        take_figures(&found[FIGURES], prompt_targets, COUNT(prompt_wants), &figures);
    else if (status == WEIR_EEXIST)
        status = weir_json_scan(body, wants, FIGURES, found, &root, NULL);
    if (status != WEIR_OK)
        return status;
    if (more_path != NULL)
        *more = found[MORE];
    begin(body, &root, &found[ID], &found[USAGE], answer);
    if (answer->is_object && found[USAGE].kind == WEIR_JSON_OBJECT)
        answer->has_usage = figures.said[INPUT] ? as_usage(&figures, &answer->usage)
                                                : dialect__read_usage(found[USAGE].value, &answer->usage);
    return WEIR_OK;
}

enum weir_status dialect__read_answer(struct weir_span body, struct weir_answer *answer) {
    enum weir_status status = dialect__scan_answer(body, NULL, NULL, answer);
    if (status == WEIR_OK)
        answer->content_bytes = (int64_t)body.length;
    return status;
}

/* `"usedCUMilli":N`, behind other members with a comma before it. Written by hand: every answer has one. Empty: no memory. */
static struct weir_span used_member(struct weir_arena *arena, bool is_first, int64_t used_cu_milli) {
    static const char name[] = ",\"usedCUMilli\":";
    enum { DIGITS = 20, SIZE = sizeof name + DIGITS };
    char *text = weir_arena_alloc_raw(arena, SIZE), *at = text + SIZE;
    if (text == NULL)
        return WEIR_SPAN("");
    uint64_t left = used_cu_milli < 0 ? 0 : (uint64_t)used_cu_milli;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    size_t skipped = is_first ? 1 : 0, length = sizeof name - 1 - skipped;
    at -= length;
    memcpy(at, name + skipped, length);
    return weir_span_of(at, (size_t)(text + SIZE - at));
}

static enum weir_status put_used(struct weir_arena *arena, size_t at, bool is_first, int64_t used_cu_milli,
                                 struct weir_json_splice *splice) {
    struct weir_span member = used_member(arena, is_first, used_cu_milli);
    return member.length == 0 ? WEIR_ENOMEM : weir_json_splice_add(splice, at, 0, member);
}

static enum weir_status mark_top(struct weir_arena *arena, const struct weir_answer *answer, int64_t used_cu_milli,
                                 struct weir_json_splice *splice) {
    if (!answer->is_object)
        return WEIR_OK;
    return put_used(arena, answer->root_end, answer->root_is_empty, used_cu_milli, splice);
}

enum weir_status dialect__edit_answer(struct weir_arena *arena, const struct weir_answer *answer,
                                      const struct weir_usage *estimated, int64_t used_cu_milli,
                                      struct weir_json_splice *splice) {
    const struct weir_json_found *usage = &answer->usage_member;
    (void)estimated;
    if (!answer->is_object || usage->kind != WEIR_JSON_OBJECT)
        return mark_top(arena, answer, used_cu_milli, splice);
    return put_used(arena, usage->value_at + dialect__closing_brace(usage->value), usage->elements == 0, used_cu_milli,
                    splice);
}

enum weir_status dialect__edit_estimated_answer(struct weir_arena *arena, const struct weir_answer *answer,
                                                const struct weir_usage *estimated, int64_t used_cu_milli,
                                                struct weir_json_splice *splice) {
    const struct weir_json_found *usage = &answer->usage_member;
    if (!answer->is_object || usage->kind == WEIR_JSON_OBJECT)
        return dialect__edit_answer(arena, answer, estimated, used_cu_milli, splice);
    char *text = weir_arena_format(
        arena,
        "%s{\"prompt_tokens\":%lld,\"completion_tokens\":%lld,\"total_tokens\":%lld,\"estimated\":true,\"usedCUMilli\":%lld}",
        usage->kind != WEIR_JSON_NONE ? ""
        : answer->root_is_empty       ? "\"usage\":"
                                      : ",\"usage\":",
        (long long)estimated->input, (long long)estimated->output,
        (long long)estimated->input + (long long)estimated->output, (long long)used_cu_milli);
    if (text == NULL)
        return WEIR_ENOMEM;
    if (usage->kind != WEIR_JSON_NONE)
        return weir_json_splice_add(splice, usage->value_at, usage->value.length, weir_span_of_string(text));
    return weir_json_splice_add(splice, answer->root_end, 0, weir_span_of_string(text));
}

/* --- events --- */

enum weir_status dialect__mark_event(struct weir_arena *arena, const struct weir_event *event, int64_t used_cu_milli,
                                     struct weir_json_splice *splice) {
    return mark_top(arena, &event->answer, used_cu_milli, splice);
}

void dialect__read_typed_event(const struct weir_sse_event *sse, const char *const *finish, size_t finish_count,
                               struct weir_event *event) {
    static const struct weir_json_want wants[] = {{"type"}, {"usage"}, {"error"}, {"id"}};
    struct weir_json_found found[4], root;
    *event = (struct weir_event){.kind = WEIR_EVENT_OTHER};
    if (sse->data.length == 0)
        return;
    if (weir_span_equal(sse->data, WEIR_SPAN("[DONE]"))) {
        event->kind = WEIR_EVENT_DONE;
        return;
    }
    if (weir_json_scan(sse->data, wants, 4, found, &root, NULL) != WEIR_OK) {
        event->kind = WEIR_EVENT_DAMAGED;
        return;
    }
    dialect__begin_answer(sse->data, &root, &found[3], &found[1], &event->answer);
    if (!event->answer.is_object)
        return;
    event->kind = WEIR_EVENT_CONTENT;
    event->has_text = true;
    if (!dialect__is_absent(&found[2]) || dialect__is(&found[0], "error"))
        event->kind = WEIR_EVENT_ERROR;
    for (size_t i = 0; i < finish_count; i++)
        if (dialect__is(&found[0], finish[i]))
            event->kind = WEIR_EVENT_FINISH;
    event->repeats = event->kind == WEIR_EVENT_FINISH;
}

/* --- errors --- */

void dialect__write_error_event(struct weir_buffer *out, const struct weir_error_answer *error) {
    weir_buffer_append(out, WEIR_SPAN("data: "));
    dialect__write_openai_error(out, error);
    weir_buffer_append(out, WEIR_SPAN("\n\n"));
}
