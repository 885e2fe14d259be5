/* See anthropic.h: the checks of all that stands beside the messages. */
#include "sim/anthropic.h"

#include <stdarg.h>
#include <yyjson.h>

enum { MIN_BUDGET = 1024, MAX_NAME = 128, MAX_USER_ID = 512, MAX_SCHEMA_DEPTH = 32, MAX_STOP_SEQUENCES = 8191 };

bool sim__anthropic_refuse(struct sim_task *task, const char *format, ...) {
    struct sim_refusal *refusal = &task->refusal;
    *refusal = (struct sim_refusal){.status = 400, .type = "invalid_request_error"};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(refusal->message, sizeof refusal->message, format, arguments);
    va_end(arguments);
    return false;
}

bool sim__anthropic_check_version(struct sim_task *task, bool *current) {
    struct weir_span version = task->caller->version;
    *current = weir_span_equal(version, WEIR_SPAN("2026-10-21"));
    if (weir_span_is_empty(version)) {
        return sim__anthropic_refuse(task, "anthropic-version: header is required");
    }
    if (!*current && !weir_span_equal(version, WEIR_SPAN("2023-06-01"))) {
        return sim__anthropic_refuse(task, "anthropic-version: \"%.*s\" is not a valid version",
                                     version.length < 100 ? (int)version.length : 100, version.at);
    }
    return true;
}

/* True when `word` is one of those that `words` has, between spaces. */
static bool is_word_of(struct weir_span word, const char *words) {
    struct weir_span rest = weir_span_of_string(words);
    struct weir_span head;
    bool more = true;
    while (more) {
        more = weir_span_split(rest, ' ', &head, &rest);
        if (weir_span_equal(head, word)) {
            return true;
        }
    }
    return false;
}

bool sim__anthropic_check_members(struct sim_task *task, yyjson_val *object, const char *where, const char *known) {
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *value;
    yyjson_obj_foreach(object, index, count, name, value) {
        struct weir_span text = sim__input_text(name);
        if (!is_word_of(text, known)) {
            return sim__anthropic_refuse(task, "%s%s%.*s: Extra inputs are not permitted", where,
                                         where[0] != '\0' ? "." : "", text.length < 100 ? (int)text.length : 100,
                                         text.at);
        }
    }
    return true;
}

bool sim__anthropic_check_mark(struct sim_asked *asked, yyjson_val *block, const char *where) {
    yyjson_val *mark = yyjson_obj_get(block, "cache_control");
    yyjson_val *ttl = yyjson_obj_get(mark, "ttl");
    struct sim_task *task = asked->task;
    if (mark == NULL || yyjson_is_null(mark)) {
        return true;
    }
    if (!sim__input_is(yyjson_obj_get(mark, "type"), "ephemeral")) {
        return sim__anthropic_refuse(task, "%s.cache_control.type: Input should be 'ephemeral'", where);
    }
    bool hour = sim__input_is(ttl, "1h");
    if (ttl != NULL && !hour && !sim__input_is(ttl, "5m")) {
        return sim__anthropic_refuse(task, "%s.cache_control.ephemeral.ttl: Input should be '5m' or '1h'", where);
    }
    if (hour && asked->short_mark) {
        return sim__anthropic_refuse(task,
                                     "%s.cache_control.ttl: a ttl='1h' cache_control block must not come after a "
                                     "ttl='5m' cache_control block. Note that blocks are processed in the following "
                                     "order: `tools`, `system`, `messages`.",
                                     where);
    }
    asked->short_mark |= !hour;
    asked->marks++;
    return true;
}

/* --- numbers, strings, choices --- */

static bool is_given(yyjson_val *value) {
    return value != NULL && !yyjson_is_null(value);
}

static bool check_real(struct sim_task *task, const char *name, double most) {
    yyjson_val *value = yyjson_obj_get(task->root, name);
    if (!is_given(value)) {
        return true;
    }
    if (!yyjson_is_num(value)) {
        return sim__anthropic_refuse(task, "%s: Input should be a valid number", name);
    }
    if (yyjson_get_num(value) < 0) {
        return sim__anthropic_refuse(task, "%s: Input should be greater than or equal to 0", name);
    }
    if (yyjson_get_num(value) > most) {
        return sim__anthropic_refuse(task, "%s: Input should be less than or equal to %g", name, most);
    }
    return true;
}

static bool check_choice(struct sim_task *task, yyjson_val *value, const char *where, const char *words) {
    if (is_given(value) && (!yyjson_is_str(value) || !is_word_of(sim__input_text(value), words))) {
        return sim__anthropic_refuse(task, "%s: Input should be one of: %s", where, words);
    }
    return true;
}

static bool check_max_tokens(struct sim_asked *asked) {
    yyjson_val *value = yyjson_obj_get(asked->task->root, "max_tokens");
    if (!is_given(value)) {
        return sim__anthropic_refuse(asked->task, "max_tokens: Field required");
    }
    if (!yyjson_is_int(value)) {
        return sim__anthropic_refuse(asked->task, "max_tokens: Input should be a valid integer");
    }
    asked->max_tokens = yyjson_get_sint(value);
    if (asked->max_tokens < 0 || asked->max_tokens > INT32_MAX) {
        return sim__anthropic_refuse(asked->task, "max_tokens: Input should be greater than or equal to 0");
    }
    return true;
}

static bool check_sampling(struct sim_asked *asked) {
    struct sim_task *task = asked->task;
    yyjson_val *top_k = yyjson_obj_get(task->root, "top_k");
    yyjson_val *top_p = yyjson_obj_get(task->root, "top_p");
    yyjson_val *temperature = yyjson_obj_get(task->root, "temperature");
    if (!check_real(task, "temperature", 1) || !check_real(task, "top_p", 1)) {
        return false;
    }
    if (is_given(top_k) && (!yyjson_is_int(top_k) || yyjson_get_sint(top_k) < 0)) {
        return sim__anthropic_refuse(task, "top_k: Input should be greater than or equal to 0");
    }
    if (asked->thinking == SIM_THINKING_OFF) {
        return true;
    }
    if (is_given(temperature) && !(yyjson_get_num(temperature) >= 1)) {
        return sim__anthropic_refuse(task, "`temperature` may only be set to 1 when thinking is enabled.");
    }
    if (is_given(top_k)) {
        return sim__anthropic_refuse(task, "`top_k` must be unset when thinking is enabled.");
    }
    if (is_given(top_p) && yyjson_get_num(top_p) < 0.95) {
        return sim__anthropic_refuse(
            task, "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.");
    }
    return true;
}

static bool check_budget(struct sim_asked *asked, yyjson_val *thinking) {
    struct sim_task *task = asked->task;
    yyjson_val *budget = yyjson_obj_get(thinking, "budget_tokens");
    if (!yyjson_is_int(budget)) {
        return sim__anthropic_refuse(task, "thinking.enabled.budget_tokens: %s",
                                     budget == NULL ? "Field required" : "Input should be a valid integer");
    }
    asked->budget_tokens = yyjson_get_sint(budget);
    if (asked->budget_tokens < MIN_BUDGET) {
        return sim__anthropic_refuse(task,
                                     "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
    }
    if (asked->budget_tokens >= asked->max_tokens && !asked->counting &&
        !sim__input_contains(task->caller->betas, "interleaved-thinking-")) {
        return sim__anthropic_refuse(task, "`max_tokens` must be greater than `thinking.budget_tokens`.");
    }
    return true;
}

static bool check_thinking(struct sim_asked *asked) {
    struct sim_task *task = asked->task;
    yyjson_val *thinking = yyjson_obj_get(task->root, "thinking");
    yyjson_val *type = yyjson_obj_get(thinking, "type");
    if (!is_given(thinking) || sim__input_is(type, "disabled")) {
        return true;
    }
    if (sim__input_is(type, "enabled")) {
        asked->thinking = SIM_THINKING_ENABLED;
        if (!check_budget(asked, thinking)) {
            return false;
        }
    } else if (sim__input_is(type, "adaptive")) {
        asked->thinking = SIM_THINKING_ADAPTIVE;
    } else if (sim__input_is(type, "between_tools")) {
        asked->thinking = SIM_THINKING_BETWEEN_TOOLS;
    } else {
        return sim__anthropic_refuse(task, "thinking: Input tag found using 'type' does not match any of the expected "
                                           "tags: 'adaptive', 'between_tools', 'disabled', 'enabled'");
    }
    yyjson_val *display = yyjson_obj_get(thinking, "display");
    asked->hides_thinking = sim__input_is(display, "omitted");
    const char *known = asked->thinking == SIM_THINKING_ENABLED    ? "type budget_tokens display block_binding"
                        : asked->thinking == SIM_THINKING_ADAPTIVE ? "type display block_binding"
                                                                   : "type block_binding";
    return check_choice(task, display, "thinking.display", "summarized omitted") &&
           sim__anthropic_check_members(task, thinking, "thinking", known);
}

/* --- the shape of the output --- */

/* Objects must be closed, wherever they stand in the schema. */
static bool check_schema(struct sim_task *task, yyjson_val *schema, unsigned depth) {
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *value;
    if (depth == 0) {
        return true;
    }
    if (sim__input_is(yyjson_obj_get(schema, "type"), "object") &&
        !yyjson_is_false(yyjson_obj_get(schema, "additionalProperties"))) {
        return sim__anthropic_refuse(task, "output_config.format.schema: For 'object' type, 'additionalProperties' "
                                           "must be explicitly set to false");
    }
    if (yyjson_is_arr(schema)) {
        yyjson_arr_foreach(schema, index, count, value) {
            if (!check_schema(task, value, depth - 1)) {
                return false;
            }
        }
    }
    yyjson_obj_foreach(schema, index, count, name, value) {
        bool data = sim__input_is(name, "enum") || sim__input_is(name, "const") || sim__input_is(name, "default") ||
                    sim__input_is(name, "examples");
        if (!data && !check_schema(task, value, depth - 1)) {
            return false;
        }
    }
    return true;
}

static bool check_output(struct sim_task *task) {
    yyjson_val *output = yyjson_obj_get(task->root, "output_config");
    yyjson_val *format = yyjson_obj_get(output, "format");
    yyjson_val *schema = yyjson_obj_get(format, "schema");
    if (!is_given(output)) {
        return true;
    }
    if (!yyjson_is_obj(output)) {
        return sim__anthropic_refuse(task, "output_config: Input should be an object");
    }
    if (is_given(format)) {
        if (!sim__input_is(yyjson_obj_get(format, "type"), "json_schema")) {
            return sim__anthropic_refuse(task, "output_config.format.type: Input should be 'json_schema'");
        }
        if (!yyjson_is_obj(schema)) {
            return sim__anthropic_refuse(task, "output_config.format.schema: %s",
                                         schema == NULL ? "Field required" : "Input should be an object");
        }
        if (!sim__anthropic_check_members(task, format, "output_config.format", "type schema") ||
            !check_schema(task, schema, MAX_SCHEMA_DEPTH)) {
            return false;
        }
    }
    return sim__anthropic_check_members(task, output, "output_config", "effort format task_budget") &&
           check_choice(task, yyjson_obj_get(output, "effort"), "output_config.effort", "low medium high xhigh max");
}

static bool check_stops(struct sim_task *task) {
    yyjson_val *stops = yyjson_obj_get(task->root, "stop_sequences");
    size_t index;
    size_t count;
    yyjson_val *stop;
    if (!is_given(stops)) {
        return true;
    }
    if (!yyjson_is_arr(stops) || yyjson_arr_size(stops) > MAX_STOP_SEQUENCES) {
        return sim__anthropic_refuse(task, "stop_sequences: Input should be a valid list");
    }
    yyjson_arr_foreach(stops, index, count, stop) {
        struct weir_span text = sim__input_text(stop);
        size_t blanks = 0;
        while (blanks < text.length && strchr(" \t\r\n", text.at[blanks]) != NULL) {
            blanks++;
        }
        if (!yyjson_is_str(stop)) {
            return sim__anthropic_refuse(task, "stop_sequences.%zu: Input should be a valid string", index);
        }
        if (blanks == text.length) {
            return sim__anthropic_refuse(task, "stop_sequences: each stop sequence must contain non-whitespace");
        }
    }
    return true;
}

/* --- tools --- */

static bool name_fits(struct weir_span name) {
    bool fits = name.length > 0 && name.length <= MAX_NAME;
    for (size_t i = 0; fits && i < name.length; i++) {
        char byte = name.at[i];
        fits = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
               byte == '_' || byte == '-';
    }
    return fits;
}

static bool check_tool(struct sim_asked *asked, yyjson_val *tool, size_t index) {
    struct sim_task *task = asked->task;
    char where[48];
    yyjson_val *type = yyjson_obj_get(tool, "type");
    yyjson_val *name = yyjson_obj_get(tool, "name");
    yyjson_val *schema = yyjson_obj_get(tool, "input_schema");
    (void)snprintf(where, sizeof where, "tools.%zu", index);
    if (!yyjson_is_obj(tool)) {
        return sim__anthropic_refuse(task, "%s: Input should be an object", where);
    }
    if (is_given(type) && !sim__input_is(type, "custom")) {
        /* The provider's own tools are told apart by a type with a date. */
        if (memchr(sim__input_text(type).at, '_', yyjson_get_len(type)) == NULL) {
            return sim__anthropic_refuse(task,
                                         "%s: Input tag '%.60s' found using 'type' does not match any of the expected "
                                         "tags: 'bash_20250124', 'custom', 'text_editor_20250728', "
                                         "'web_search_20250305'",
                                         where, yyjson_is_str(type) ? yyjson_get_str(type) : "");
        }
        return sim__anthropic_check_mark(asked, tool, where);
    }
    (void)snprintf(where, sizeof where, "tools.%zu.custom", index);
    if (!yyjson_is_str(name)) {
        return sim__anthropic_refuse(task, "%s.name: Field required", where);
    }
    if (!name_fits(sim__input_text(name))) {
        return sim__anthropic_refuse(task, "%s.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", where);
    }
    if (!yyjson_is_obj(schema)) {
        return sim__anthropic_refuse(task, "%s.input_schema: %s", where,
                                     schema == NULL ? "Field required" : "Input should be an object");
    }
    if (!sim__input_is(yyjson_obj_get(schema, "type"), "object")) {
        return sim__anthropic_refuse(task, "%s.input_schema.type: %s", where,
                                     yyjson_obj_get(schema, "type") == NULL ? "Field required"
                                                                            : "Input should be 'object'");
    }
    return sim__anthropic_check_members(task, tool, where,
                                        "type name description input_schema cache_control strict defer_loading "
                                        "allowed_callers input_examples eager_input_streaming") &&
           sim__anthropic_check_mark(asked, tool, where);
}

static bool has_tool(yyjson_val *tools, struct weir_span name, size_t before) {
    size_t index;
    size_t count;
    yyjson_val *tool;
    yyjson_arr_foreach(tools, index, count, tool) {
        if (index < before && weir_span_equal(sim__input_text(yyjson_obj_get(tool, "name")), name)) {
            return true;
        }
    }
    return false;
}

static bool check_tool_choice(struct sim_asked *asked) {
    struct sim_task *task = asked->task;
    yyjson_val *choice = yyjson_obj_get(task->root, "tool_choice");
    yyjson_val *type = yyjson_obj_get(choice, "type");
    yyjson_val *name = yyjson_obj_get(choice, "name");
    if (!is_given(choice)) {
        return true;
    }
    if (!yyjson_is_obj(choice) || !yyjson_is_str(type) || !is_word_of(sim__input_text(type), "auto any tool none")) {
        return sim__anthropic_refuse(task, "tool_choice: Input should be an object whose type is one of 'any', "
                                           "'auto', 'none', 'tool'");
    }
    bool named = sim__input_is(type, "tool");
    bool none = sim__input_is(type, "none");
    if (yyjson_arr_size(asked->tools) == 0 && !none) {
        return sim__anthropic_refuse(task, "tool_choice: may only be specified while providing tools");
    }
    if (named && !yyjson_is_str(name)) {
        return sim__anthropic_refuse(task, "tool_choice.tool.name: Field required");
    }
    if (named && !has_tool(asked->tools, sim__input_text(name), SIZE_MAX)) {
        return sim__anthropic_refuse(task, "tool_choice.tool.name: Tool '%.100s' not found in provided tools",
                                     yyjson_get_str(name));
    }
    if ((named || sim__input_is(type, "any")) && asked->thinking != SIM_THINKING_OFF) {
        return sim__anthropic_refuse(task, "Thinking may not be enabled when tool_choice forces tool use.");
    }
    return sim__anthropic_check_members(task, choice, "tool_choice",
                                        named  ? "type name disable_parallel_tool_use"
                                        : none ? "type"
                                               : "type disable_parallel_tool_use");
}

bool sim__anthropic_check_tools(struct sim_asked *asked) {
    size_t index;
    size_t count;
    yyjson_val *tool;
    if (asked->tools != NULL && !yyjson_is_arr(asked->tools)) {
        return sim__anthropic_refuse(asked->task, "tools: Input should be a valid list");
    }
    yyjson_arr_foreach(asked->tools, index, count, tool) {
        if (!check_tool(asked, tool, index)) {
            return false;
        }
        struct weir_span name = sim__input_text(yyjson_obj_get(tool, "name"));
        if (name.length > 0 && has_tool(asked->tools, name, index)) {
            return sim__anthropic_refuse(asked->task, "tools: Tool names must be unique.");
        }
    }
    return check_tool_choice(asked);
}

/* --- the whole --- */

static const char common_members[] =
    "model messages system tools tool_choice thinking output_config cache_control context_management mcp_servers "
    "container speed compaction thread output_format";
static const char create_members[] =
    " max_tokens stream stop_sequences metadata service_tier inference_geo diagnostics fallbacks billing_policy "
    "fallback_credit_token";
static const char sampling_members[] = " temperature top_p top_k";

static bool check_known(struct sim_asked *asked) {
    char known[sizeof common_members + sizeof create_members + sizeof sampling_members];
    (void)snprintf(known, sizeof known, "%s%s%s", common_members, asked->counting ? "" : create_members,
                   asked->counting || asked->current ? "" : sampling_members);
    return sim__anthropic_check_members(asked->task, asked->task->root, "", known);
}

static bool check_system(struct sim_asked *asked) {
    struct sim_task *task = asked->task;
    yyjson_val *system = asked->system;
    size_t index;
    size_t count;
    yyjson_val *block;
    if (!is_given(system) || yyjson_is_str(system)) {
        return true;
    }
    if (!yyjson_is_arr(system)) {
        return sim__anthropic_refuse(task, "system: Input should be a valid list");
    }
    yyjson_arr_foreach(system, index, count, block) {
        char where[48];
        (void)snprintf(where, sizeof where, "system.%zu", index);
        if (!sim__input_is(yyjson_obj_get(block, "type"), "text")) {
            return sim__anthropic_refuse(task, "%s.type: Input should be 'text'", where);
        }
        if (yyjson_get_len(yyjson_obj_get(block, "text")) == 0) {
            return sim__anthropic_refuse(task, "system: text content blocks must be non-empty");
        }
        if (!sim__anthropic_check_members(task, block, where, "type text cache_control citations") ||
            !sim__anthropic_check_mark(asked, block, where)) {
            return false;
        }
    }
    return true;
}

static bool check_rest(struct sim_asked *asked) {
    struct sim_task *task = asked->task;
    yyjson_val *metadata = yyjson_obj_get(task->root, "metadata");
    yyjson_val *stream = yyjson_obj_get(task->root, "stream");
    if (is_given(stream) && !yyjson_is_bool(stream)) {
        return sim__anthropic_refuse(task, "stream: Input should be a valid boolean");
    }
    task->stream = yyjson_is_true(stream);
    if (yyjson_get_len(yyjson_obj_get(metadata, "user_id")) > MAX_USER_ID) {
        return sim__anthropic_refuse(task, "metadata.user_id: String should have at most %d characters", MAX_USER_ID);
    }
    return sim__anthropic_check_members(task, metadata, "metadata", "user_id") &&
           check_choice(task, yyjson_obj_get(task->root, "service_tier"), "service_tier", "auto standard_only") &&
           check_choice(task, yyjson_obj_get(task->root, "speed"), "speed", "standard fast");
}

static bool check_model(struct sim_task *task) {
    struct weir_span name = sim__input_text(yyjson_obj_get(task->root, "model"));
    if (weir_span_is_empty(name)) {
        return sim__anthropic_refuse(task, "model: Field required");
    }
    if (weir_span_equal(name, WEIR_SPAN("unknown-model"))) {
        (void)sim__anthropic_refuse(task, "model: unknown-model");
        task->refusal.status = 404;
        return false;
    }
    return weir_arena_dup(task->arena, name, &task->model) == WEIR_OK;
}

bool sim__anthropic_check(struct sim_asked *asked) {
    struct sim_task *task = asked->task;
    asked->messages = yyjson_obj_get(task->root, "messages");
    asked->system = yyjson_obj_get(task->root, "system");
    asked->tools = yyjson_obj_get(task->root, "tools");
    if (!check_model(task) || !sim__anthropic_check_version(task, &asked->current) ||
        (!asked->counting && !check_max_tokens(asked)) || !check_known(asked) || !check_rest(asked) ||
        !check_thinking(asked) || !check_sampling(asked) || !check_output(task) || !check_stops(task) ||
        !sim__anthropic_check_tools(asked) || !check_system(asked) || !sim__anthropic_check_messages(asked) ||
        !sim__anthropic_check_mark(asked, task->root, "cache_control")) {
        return false;
    }
    return asked->marks <= 4 ||
           sim__anthropic_refuse(task, "A maximum of 4 blocks with cache_control may be provided. Found %zu.",
                                 asked->marks);
}
