/* POST models/{model}:generateContent and :streamGenerateContent: the request's settings, and what the answer is made of. */
#include "sim/gemini.h"

#include "sim/schema.h"
#include "sim/scripted.h"

enum { MAX_LOGPROBS = 20, MAX_PARALLEL = 2, CACHED_CONTENT_TOKENS = 1024, SEARCH_TOKENS = 24 };
enum { LEAST_THOUGHTS = 8, MORE_THOUGHTS = 25 };

struct reading {
    struct sim_task *task;
    struct weir_arena *arena;
    yyjson_val *root, *config;
    struct sim_refusal *refusal;
    struct sim_gemini *gemini;
    struct sim_gemini_contents contents;
    uint64_t seed;
    int64_t limit, thoughts;
    bool shows_thoughts;
};

static bool refuse(struct reading *reading, const char *field, const char *what) {
    sim__refuse(reading->refusal, 400, NULL, NULL, "* GenerateContentRequest.generation_config.%s: %s\n", field, what);
    return false;
}

/* --- settings --- */

static bool check_real(struct reading *reading, const char *name, const char *field, double least, double most) {
    yyjson_val *value = sim__gemini_get(reading->config, name);
    double number = yyjson_get_num(value);
    char what[96];
    if (value == NULL || (number >= least && number <= most)) {
        return true;
    }
    (void)snprintf(what, sizeof what, "%s must be in the range [%.1f, %.1f].", field, least, most);
    return refuse(reading, field, what);
}

static int64_t whole(yyjson_val *object, const char *name, int64_t otherwise) {
    yyjson_val *value = sim__gemini_get(object, name);
    return value != NULL ? yyjson_get_sint(value) : otherwise;
}

static bool check_format(struct reading *reading) {
    static const char *const types[] = {"text/plain",      "application/json", "text/x.enum",
                                        "application/xml", "application/yaml", NULL};
    yyjson_val *type = sim__gemini_get(reading->config, "responseMimeType");
    yyjson_val *schema = sim__gemini_get(reading->config, "responseSchema");
    yyjson_val *json_schema = sim__gemini_get(reading->config, "responseJsonSchema");
    bool known = yyjson_get_len(type) == 0;
    for (size_t i = 0; types[i] != NULL; i++) {
        known |= sim__input_is(type, types[i]);
    }
    if (!known) {
        return refuse(reading, "response_mime_type",
                      "allowed mimetypes are `text/plain`, `application/json`, `application/xml`, `application/yaml` "
                      "and `text/x.enum`.");
    }
    if (schema != NULL && json_schema != NULL) {
        return refuse(reading, "response_json_schema",
                      "only one of response_schema and response_json_schema may be set.");
    }
    if ((schema != NULL || json_schema != NULL) && !sim__input_is(type, "application/json") &&
        !sim__input_is(type, "text/x.enum")) {
        return refuse(reading, "response_mime_type",
                      "response_schema is only supported with the mimetypes `application/json` and `text/x.enum`.");
    }
    return sim__gemini_schema(schema, "generation_config.response_schema", reading->refusal);
}

/* How long a model that reasons thinks: a draw from the request, by its level or within its budget. */
static bool read_thinking(struct reading *reading) {
    static const struct {
        const char *level;
        int64_t quarters;
    } levels[] = {{"MINIMAL", 1}, {"LOW", 2}, {"MEDIUM", 4}, {"HIGH", 8}, {"XHIGH", 12}};
    yyjson_val *thinking = sim__gemini_get(reading->config, "thinkingConfig");
    yyjson_val *level = sim__gemini_get(thinking, "thinkingLevel");
    int64_t budget = whole(thinking, "thinkingBudget", -1);
    if (level != NULL && sim__gemini_get(thinking, "thinkingBudget") != NULL) {
        sim__refuse(reading->refusal, 400, NULL, NULL,
                    "You can only set only one of thinking budget and thinking level.");
        return false;
    }
    if (budget < -1) {
        return refuse(reading, "thinking_config.thinking_budget", "the thinking budget must be -1, 0 or positive.");
    }
    reading->shows_thoughts = yyjson_is_true(sim__gemini_get(thinking, "includeThoughts"));
    if (!sim__input_contains(reading->gemini->model, "reasoner")) {
        return true;
    }
    reading->thoughts = LEAST_THOUGHTS + (int64_t)(sim__mix(reading->seed) % MORE_THOUGHTS);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (sim__input_is(level, levels[i].level)) {
            reading->thoughts = reading->thoughts * levels[i].quarters / 4;
        }
    }
    reading->thoughts = budget >= 0 && budget < reading->thoughts ? budget : reading->thoughts;
    reading->thoughts = reading->thoughts < reading->limit ? reading->thoughts : reading->limit;
    return true;
}

static bool read_config(struct reading *reading) {
    struct sim_gemini *gemini = reading->gemini;
    yyjson_val *config = reading->config;
    yyjson_val *limit = sim__gemini_get(config, "maxOutputTokens");
    int64_t count = whole(config, "candidateCount", 1);
    int64_t seed = whole(config, "seed", 0);
    int64_t top = whole(config, "logprobs", 0);
    struct sim_gemini_list stops = sim__gemini_list(config, "stopSequences");
    gemini->logprobs = yyjson_is_true(sim__gemini_get(config, "responseLogprobs"));
    if (!check_real(reading, "temperature", "temperature", 0, 2) || !check_real(reading, "topP", "top_p", 0, 1) ||
        !check_real(reading, "presencePenalty", "presence_penalty", -2, 2) ||
        !check_real(reading, "frequencyPenalty", "frequency_penalty", -2, 2)) {
        return false;
    }
    if (whole(config, "topK", 1) < 1) {
        return refuse(reading, "top_k", "top_k must be positive.");
    }
    if (count < 1 || count > SIM_GEMINI_MAX_CANDIDATES) {
        sim__refuse(reading->refusal, 400, NULL, NULL,
                    "The specified candidate count must be in range of 1 (inclusive) to 9 (exclusive)");
        return false;
    }
    if (limit != NULL && yyjson_get_sint(limit) < 1) {
        return refuse(reading, "max_output_tokens", "max_output_tokens must be positive.");
    }
    if (stops.count > SIM_GEMINI_MAX_STOPS) {
        return refuse(reading, "stop_sequences", "The number of stop sequences must be less than or equal to 5.");
    }
    if (top < 0 || top > MAX_LOGPROBS || (top > 0 && !gemini->logprobs)) {
        return refuse(reading, "logprobs",
                      "logprobs must be in the range [0, 20] and is only allowed where response_logprobs is true.");
    }
    gemini->count = (size_t)count;
    gemini->top_logprobs = (unsigned)top;
    gemini->ratings = sim__gemini_list(reading->root, "safetySettings").count > 0;
    reading->limit = limit != NULL ? yyjson_get_sint(limit) : INT32_MAX;
    reading->seed = reading->contents.hash;
    reading->seed = seed != 0 ? sim__mix(reading->seed ^ (uint64_t)seed) : reading->seed;
    return check_format(reading) && read_thinking(reading);
}

/* Content that was cached before stands before the prompt. */
static bool read_cached(struct reading *reading) {
    struct sim_gemini *gemini = reading->gemini;
    struct weir_span name = sim__input_text(sim__gemini_get(reading->root, "cachedContent"));
    gemini->cached = sim__memory_cached(reading->task->memory, reading->contents.hash, gemini->model,
                                        sim__gemini_prompt(gemini));
    if (weir_span_is_empty(name)) {
        return true;
    }
    if (sim__gemini_get(reading->root, "systemInstruction") != NULL ||
        sim__gemini_get(reading->root, "tools") != NULL || sim__gemini_get(reading->root, "toolConfig") != NULL) {
        sim__refuse(reading->refusal, 400, NULL, NULL,
                    "CachedContent can not be used with GenerateContent request setting system_instruction, tools or "
                    "tool_config.");
        return false;
    }
    if (!weir_span_starts_with(name, WEIR_SPAN("cachedContents/")) || sim__input_contains(name, "unknown")) {
        sim__refuse(reading->refusal, 403, NULL, NULL, "CachedContent not found (or permission denied)");
        return false;
    }
    gemini->prompt[SIM_MODALITY_TEXT] += CACHED_CONTENT_TOKENS;
    gemini->cached += CACHED_CONTENT_TOKENS;
    return true;
}

/* --- what the answer is made of --- */

static struct sim_gemini_part *add_part(struct sim_gemini_candidate *candidate, enum sim_gemini_part_kind kind) {
    struct sim_gemini_part *part = &candidate->parts[candidate->part_count++];
    *part = (struct sim_gemini_part){.kind = kind, .name = WEIR_SPAN(""), .id = WEIR_SPAN("")};
    part->signature = WEIR_SPAN("");
    return part;
}

static bool sign(struct reading *reading, struct sim_gemini_part *part, uint64_t what) {
    const char *signature = sim__gemini_sign(reading->arena, what);
    part->signature = weir_span_of_string(signature);
    return signature != NULL;
}

/* The call's arguments are the text; they are read again so that the signature can be checked by what comes back. */
static bool sign_call(struct reading *reading, struct sim_gemini_part *part) {
    struct sim_refusal refusal;
    yyjson_val *arguments = NULL;
    enum weir_status status = sim__input_object(reading->task->scratch, part->text.bytes, &arguments, &refusal);
    return status != WEIR_ENOMEM && sign(reading, part, sim__gemini_call_hash(part->name, arguments));
}

static bool make_call(struct reading *reading, struct sim_gemini_candidate *candidate, yyjson_val *declaration,
                      size_t index, int64_t *left) {
    struct sim_text arguments;
    uint64_t seed = sim__mix(reading->seed + index);
    bool reasons = sim__input_contains(reading->gemini->model, "reasoner");
    yyjson_val *schema = sim__gemini_get(declaration, "parameters");
    schema = schema != NULL ? schema : sim__gemini_get(declaration, "parametersJsonSchema");
    if (sim__schema_text(reading->arena, schema, seed, &arguments) != WEIR_OK) {
        return false;
    }
    if (1 + (int64_t)arguments.count > *left) {
        candidate->finish_reason = "MAX_TOKENS"; /* a call comes whole or not at all */
        *left = 0;
        return true;
    }
    *left -= 1 + (int64_t)arguments.count;
    struct sim_gemini_part *part = add_part(candidate, SIM_GEMINI_CALL);
    part->name = sim__input_text(sim__gemini_get(declaration, "name"));
    part->text = arguments;
    if (reasons) {
        const char *id = weir_arena_format(reading->arena, "%08x", (unsigned)(seed & 0xffffffffU));
        part->id = weir_span_of_string(id);
        return id != NULL && (index > 0 || sign_call(reading, part));
    }
    return true;
}

static bool make_calls(struct reading *reading, struct sim_gemini_candidate *candidate, yyjson_val *const *tools,
                       size_t count, int64_t left) {
    candidate->finish_reason = "STOP"; /* the API has no other word for it */
    if (sim__input_contains(reading->gemini->model, "malformed-call")) {
        candidate->finish_reason = "MALFORMED_FUNCTION_CALL";
        candidate->finish_message = "Malformed function call: call:default_api.";
        return true;
    }
    for (size_t i = 0; i < count && left > 0; i++) {
        if (!make_call(reading, candidate, tools[i], i, &left)) {
            return false;
        }
    }
    return true;
}

/* Words, with what has arrived before them. */
static bool make_words(struct reading *reading, uint64_t seed, struct sim_text *text) {
    size_t natural = (size_t)reading->task->wishes->tokens;
    *text = sim__text_words(seed, natural);
    if (reading->contents.arrived.length == 0) {
        return true;
    }
    struct weir_buffer *words = &reading->contents.arrived;
    struct weir_span bytes;
    size_t start = words->length;
    for (size_t i = 0; i < natural; i++) {
        weir_buffer_append(words, sim__text_token(text, i));
    }
    bool made = weir_buffer_status(words) == WEIR_OK &&
                weir_arena_dup(reading->arena, weir_buffer_span(words), &bytes) == WEIR_OK &&
                sim__text_pieces(reading->arena, bytes, text) == WEIR_OK;
    words->length = start;
    return made;
}

static bool make_content(struct reading *reading, uint64_t seed, struct sim_text *text) {
    yyjson_val *type = sim__gemini_get(reading->config, "responseMimeType");
    yyjson_val *schema = sim__gemini_get(reading->config, "responseSchema");
    schema = schema != NULL ? schema : sim__gemini_get(reading->config, "responseJsonSchema");
    if (sim__input_is(type, "text/x.enum")) {
        struct sim_gemini_list names = sim__gemini_list(schema, "enum");
        struct weir_span first = sim__input_text(sim__gemini_next(&names));
        return sim__text_pieces(reading->arena, first, text) == WEIR_OK;
    }
    if (sim__input_is(type, "application/json")) {
        return (schema != NULL ? sim__schema_text(reading->arena, schema, reading->seed, text)
                               : sim__schema_free_text(reading->arena, reading->seed, text)) == WEIR_OK;
    }
    return make_words(reading, seed, text);
}

static bool make_text(struct reading *reading, struct sim_gemini_candidate *candidate, size_t index, int64_t left) {
    struct sim_gemini *gemini = reading->gemini;
    struct weir_span stops[SIM_GEMINI_MAX_STOPS];
    struct sim_gemini_list list = sim__gemini_list(reading->config, "stopSequences");
    struct sim_text text;
    bool stopped = false;
    size_t stop_count = 0;
    candidate->finish_reason = "STOP";
    if (sim__input_contains(gemini->model, "recitation")) {
        candidate->finish_reason = "RECITATION";
        return true;
    }
    if (!make_content(reading, sim__mix(reading->seed + index), &text)) {
        return false;
    }
    if ((int64_t)text.count > left) {
        text.count = (size_t)left;
        candidate->finish_reason = "MAX_TOKENS";
    }
    for (yyjson_val *stop = sim__gemini_next(&list); stop != NULL; stop = sim__gemini_next(&list)) {
        stops[stop_count++] = sim__input_text(stop);
    }
    if (stop_count > 0 && sim__text_stop(reading->arena, stops, stop_count, &text, &stopped) != WEIR_OK) {
        return false;
    }
    candidate->finish_reason = stopped ? "STOP" : candidate->finish_reason;
    if (sim__input_contains(gemini->model, "unsafe")) {
        text.count /= 2;
        candidate->finish_reason = "SAFETY";
        candidate->harmful = true;
        gemini->ratings = true;
    }
    if (text.count == 0) {
        return true; /* a content without parts, as the API has it when thoughts have used the limit up */
    }
    struct sim_gemini_part *part = add_part(candidate, SIM_GEMINI_TEXT);
    part->text = text;
    return !sim__input_contains(gemini->model, "reasoner") || sign(reading, part, sim__mix(reading->seed + index) | 1U);
}

static bool make_thoughts(struct reading *reading, struct sim_gemini_candidate *candidate, size_t index) {
    if (reading->thoughts > 0 && reading->shows_thoughts) {
        struct sim_gemini_part *part = add_part(candidate, SIM_GEMINI_THOUGHT);
        part->text = sim__text_words(sim__mix(~reading->seed + index), (size_t)reading->thoughts);
    } else {
        candidate->hidden_thoughts = reading->thoughts;
    }
    return true;
}

static bool make_huge(struct reading *reading, struct sim_gemini_candidate *candidate) {
    size_t bytes = (size_t)reading->task->huge_bytes;
    struct sim_gemini_part *part = add_part(candidate, SIM_GEMINI_TEXT);
    candidate->finish_reason = "STOP";
    reading->gemini->token_weight = sim__input_tokens(bytes);
    return sim__text_filler(reading->arena, bytes, &part->text) == WEIR_OK;
}

static bool make_candidates(struct reading *reading) {
    struct sim_gemini *gemini = reading->gemini;
    yyjson_val *tools[MAX_PARALLEL];
    size_t most = sim__input_contains(gemini->model, "parallel") ? MAX_PARALLEL : 1;
    size_t calls = reading->contents.asks ? sim__gemini_choose(reading->root, tools, most) : 0;
    for (size_t i = 0; i < gemini->count; i++) {
        struct sim_gemini_candidate *candidate = &gemini->candidates[i];
        int64_t left = reading->limit - reading->thoughts;
        if (reading->task->huge_bytes > 0) {
            if (!make_huge(reading, candidate)) {
                return false;
            }
        } else if (!make_thoughts(reading, candidate, i) ||
                   !(calls > 0 ? make_calls(reading, candidate, tools, calls, left)
                               : make_text(reading, candidate, i, left))) {
            return false;
        }
    }
    return true;
}

/* --- an answer that is given word by word --- */

static const char *finish_of(const struct sim_scripted *scripted) {
    switch (scripted->finish) {
    case SIM_FINISH_LENGTH: return "MAX_TOKENS";
    case SIM_FINISH_FILTER: return "SAFETY";
    case SIM_FINISH_CONTEXT: return "MAX_TOKENS";
    case SIM_FINISH_STOP:
    case SIM_FINISH_TOOLS:
    case SIM_FINISH_SEQUENCE:
    case SIM_FINISH_PAUSE: break;
    }
    return "STOP";
}

/* A block of thinking is a thought, whose signature, given or made, stands with what comes next. */
static void make_block(struct sim_gemini_candidate *candidate, const struct sim_block *block,
                       struct weir_span *pending) {
    enum sim_gemini_part_kind kind = block->kind == SIM_BLOCK_TOOL       ? SIM_GEMINI_CALL
                                     : block->kind == SIM_BLOCK_THINKING ? SIM_GEMINI_THOUGHT
                                                                         : SIM_GEMINI_TEXT;
    if (block->kind == SIM_BLOCK_REDACTED) {
        *pending = block->text.bytes; /* what the API hides is in its signatures alone */
        return;
    }
    struct sim_gemini_part *part = add_part(candidate, kind);
    part->text = block->text;
    part->name = block->name;
    part->id = block->id;
    if (kind == SIM_GEMINI_THOUGHT) {
        *pending = block->signature;
        return;
    }
    part->signature = !weir_span_is_empty(block->signature) ? block->signature : *pending;
    *pending = WEIR_SPAN("");
}

static bool make_script(struct reading *reading) {
    const struct sim_scripted *scripted = reading->task->scripted;
    struct sim_gemini *gemini = reading->gemini;
    struct sim_gemini_candidate *candidate = &gemini->candidates[0];
    struct weir_span pending = WEIR_SPAN("");
    char *finish = weir_arena_string(reading->arena, scripted->native_finish);
    bool signs = sim__input_contains(gemini->model, "reasoner");
    gemini->count = 1;
    if (scripted->has_input) {
        memset(gemini->prompt, 0, sizeof gemini->prompt);
        gemini->prompt[SIM_MODALITY_AUDIO] = scripted->usage.input_audio;
        gemini->prompt[SIM_MODALITY_IMAGE] = scripted->usage.input_image;
        gemini->prompt[SIM_MODALITY_TEXT] = scripted->usage.input - scripted->tool_input - scripted->usage.input_audio -
                                            scripted->usage.input_image;
        gemini->cached = scripted->usage.cached;
        gemini->tool_use = scripted->tool_input;
    }
    if (finish == NULL) {
        return false;
    }
    for (size_t i = 0; i < scripted->count; i++) {
        make_block(candidate, &scripted->blocks[i], &pending);
    }
    for (size_t i = 0; i < candidate->part_count && signs; i++) {
        struct sim_gemini_part *part = &candidate->parts[i];
        if (part->kind == SIM_GEMINI_CALL) {
            if (weir_span_is_empty(part->signature) && !sign_call(reading, part)) {
                return false;
            }
            signs = false; /* the first call of a step alone */
        }
    }
    if (scripted->native_finish.length > 0 && weir_span_starts_with(scripted->native_finish, WEIR_SPAN("BLOCK:"))) {
        gemini->block_reason = finish + strlen("BLOCK:");
        gemini->count = 0;
    }
    candidate->finish_reason = finish[0] != '\0' ? finish : finish_of(scripted);
    candidate->harmful = strcmp(candidate->finish_reason, "SAFETY") == 0;
    gemini->ratings |= candidate->harmful;
    return true;
}

/* --- the call --- */

size_t sim__gemini_pieces(const struct sim_gemini_candidate *candidate) {
    size_t pieces = 0;
    for (size_t i = 0; i < candidate->part_count; i++) {
        pieces += candidate->parts[i].kind == SIM_GEMINI_CALL ? 1 : candidate->parts[i].text.count;
    }
    return pieces;
}

/* Tokens of one candidate's first pieces. */
static void add_spent(const struct sim_gemini *gemini, const struct sim_gemini_candidate *candidate, size_t pieces,
                      struct sim_gemini_spent *spent) {
    bool begun = pieces > 0 || gemini->longest == 0;
    for (size_t i = 0; i < candidate->part_count && pieces > 0; i++) {
        const struct sim_gemini_part *part = &candidate->parts[i];
        size_t all = part->kind == SIM_GEMINI_CALL ? 1 : part->text.count;
        size_t shown = pieces < all ? pieces : all;
        int64_t tokens = part->kind == SIM_GEMINI_CALL ? 1 + (int64_t)part->text.count : (int64_t)shown;
        if (part->kind == SIM_GEMINI_THOUGHT) {
            spent->thoughts += tokens;
        } else {
            spent->tokens += tokens * gemini->token_weight;
        }
        pieces -= shown;
    }
    spent->thoughts += begun ? candidate->hidden_thoughts : 0;
}

struct sim_gemini_spent sim__gemini_spent(const struct sim_gemini *gemini, size_t pieces, size_t more) {
    struct sim_gemini_spent spent = {.tokens = 0};
    for (size_t i = 0; i < gemini->count; i++) {
        add_spent(gemini, &gemini->candidates[i], pieces + (i < more ? 1 : 0), &spent);
    }
    return spent;
}

int64_t sim__gemini_prompt(const struct sim_gemini *gemini) {
    int64_t tokens = 0;
    for (int i = 0; i < SIM_MODALITIES; i++) {
        tokens += gemini->prompt[i];
    }
    return tokens;
}

/* What the API's own tools bring into the prompt. */
static int64_t tool_tokens(yyjson_val *root) {
    static const char *const names[] = {"googleSearch", "urlContext", "codeExecution", "googleMaps"};
    struct sim_gemini_list tools = sim__gemini_list(root, "tools");
    int64_t tokens = 0;
    for (yyjson_val *tool = sim__gemini_next(&tools); tool != NULL; tool = sim__gemini_next(&tools)) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            tokens += sim__gemini_get(tool, names[i]) != NULL ? SEARCH_TOKENS : 0;
        }
    }
    return tokens;
}

/* Room for a thought, and for what the simulator makes behind it: a text, or calls. */
static bool make_room(struct reading *reading) {
    struct sim_gemini *gemini = reading->gemini;
    size_t room = reading->task->scripted != NULL ? reading->task->scripted->count : 1 + MAX_PARALLEL;
    gemini->candidates = weir_arena_array(reading->arena, gemini->count, sizeof *gemini->candidates);
    for (size_t i = 0; i < gemini->count && gemini->candidates != NULL; i++) {
        gemini->candidates[i].parts = weir_arena_array(reading->arena, room, sizeof *gemini->candidates[i].parts);
        if (gemini->candidates[i].parts == NULL) {
            return false;
        }
    }
    return gemini->candidates != NULL;
}

static bool make_answer(struct reading *reading) {
    struct sim_gemini *gemini = reading->gemini;
    gemini->token_weight = 1;
    if (!make_room(reading)) {
        return false;
    }
    if (reading->task->scripted != NULL) {
        if (!make_script(reading)) {
            return false;
        }
    } else if (sim__input_contains(gemini->model, "blocked")) {
        gemini->block_reason = "PROHIBITED_CONTENT";
        gemini->count = 0;
    } else if (!make_candidates(reading)) {
        return false;
    }
    for (size_t i = 0; i < gemini->count; i++) {
        size_t pieces = sim__gemini_pieces(&gemini->candidates[i]);
        gemini->longest = pieces > gemini->longest ? pieces : gemini->longest;
    }
    return true;
}

static void set_usage(struct reading *reading) {
    struct sim_gemini *gemini = reading->gemini;
    struct sim_task *task = reading->task;
    struct sim_gemini_spent spent = sim__gemini_spent(gemini, gemini->longest, 0);
    task->usage = (struct weir_usage){
        .input = sim__gemini_prompt(gemini) + gemini->tool_use,
        .cached = gemini->cached,
        .input_audio = gemini->prompt[SIM_MODALITY_AUDIO],
        .input_image = gemini->prompt[SIM_MODALITY_IMAGE],
        .output = spent.tokens + spent.thoughts,
        .reasoning = spent.thoughts,
    };
    if (task->scripted != NULL) {
        task->usage.output = task->scripted->usage.output;
        task->usage.reasoning = task->scripted->usage.reasoning;
    }
    task->thinking = gemini->count > 0 ? gemini->candidates[0].hidden_thoughts : 0;
    task->huge_done = true;
}

static enum weir_status read_request(struct reading *reading) {
    struct sim_task *task = reading->task;
    struct sim_gemini *gemini = reading->gemini;
    enum weir_status status = sim__gemini_begin(task, SIM_GEMINI_REQUEST, &reading->root);
    if (status != WEIR_OK) {
        return status;
    }
    gemini->model = task->model;
    reading->config = sim__gemini_get(reading->root, "generationConfig");
    if (!sim__gemini_contents(reading->root, gemini->model, &reading->contents, reading->refusal) ||
        !sim__gemini_tools(reading->root, reading->refusal) || !read_config(reading)) {
        return sim__task_failed(task);
    }
    memcpy(gemini->prompt, reading->contents.tokens, sizeof gemini->prompt);
    gemini->tool_use = tool_tokens(reading->root);
    gemini->id = sim__task_id(task, "", 22);
    return gemini->id != NULL && read_cached(reading) && make_answer(reading) ? WEIR_OK : sim__task_failed(task);
}

static enum weir_status generate(struct sim_task *task) {
    struct sim_gemini *gemini = weir_arena_alloc(task->arena, sizeof *gemini);
    struct reading reading = {.task = task, .arena = task->arena, .refusal = &task->refusal, .gemini = gemini};
    if (gemini == NULL) {
        return WEIR_ENOMEM;
    }
    weir_buffer_init(&reading.contents.arrived, SIM_GEMINI_MAX_ARRIVED);
    enum weir_status status = read_request(&reading);
    weir_buffer_release(&reading.contents.arrived);
    if (status != WEIR_OK) {
        return status;
    }
    set_usage(&reading);
    if (task->stream) {
        struct weir_span how;
        gemini->array = !sim__task_query(task, "alt", &how) || !weir_span_equal(how, WEIR_SPAN("sse"));
        return sim__gemini_stream(gemini, task);
    }
    sim__gemini_write(gemini, task, task->out);
    task->object = true;
    return WEIR_OK;
}

enum weir_status sim__gemini_generate(struct sim_task *task) {
    return generate(task);
}

enum weir_status sim__gemini_generate_stream(struct sim_task *task) {
    task->stream = true;
    return generate(task);
}
