/* Providers that speak Anthropic's Messages API: a call's tools, thinking and parameters. Its turns are in anthropic_back.c.
 *
 * Facts: max_tokens is required, and thinking has to fit below it (1,024 at least); with thinking the temperature is 1, top_p 0.95 or more, no top_k, no tool may be
 * forced and no answer begun by the client; a turn with calls that is being gone on with has to begin with its thinking; calls without tools are refused. Where
 * thinking cannot be, it is left out and named among the ignored. Temperatures end at 1. The older version of the API is asked for: the newer one refuses
 * temperature, top_p and top_k.
 */
#include "base/map.h"
#include "dialect/anthropic_impl.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))
enum { DEFAULT_OUTPUT = 4096, LEAST_BUDGET = 1024 };

enum mode { MODE_UNSAID, MODE_OFF, MODE_ENABLED, MODE_ADAPTIVE };
struct thinking {
    enum mode mode;
    int64_t budget;
};

static void note(struct weir_exchange *exchange, enum weir_parameter parameter) {
    const struct weir_parameter_row *row = weir_parameter_row(parameter);
    const char *called = row->called[exchange->front];
    dialect__note_ignored(exchange, called != NULL ? called : row->name);
}

/* --- thinking --- */

/* The turn that a model goes on with after its calls must begin with the thoughts that led to them, and they must be its own. */
static bool has_unsigned_calls(const struct weir_prompt *prompt) {
    const struct weir_turn *last = NULL;
    for (const struct weir_turn *turn = prompt->turns; turn != NULL; turn = turn->next)
        last = turn->role == WEIR_TURN_ASSISTANT && turn->parts != NULL ? turn : last;
    if (last == NULL || !dialect__has_part(last->parts, WEIR_PART_TOOL_CALL))
        return false;
    for (const struct weir_part *part = last->parts; part != NULL; part = part->next)
        if (part->kind == WEIR_PART_THINKING && weir_is_said(part->signature.value) &&
            part->signature.from == WEIR_DIALECT_ANTHROPIC)
            return false;
    return true;
}

static struct thinking thinking_of(struct dialect__anthropic_writing *writing, int64_t limit) {
    const struct weir_prompt *prompt = writing->prompt;
    struct thinking thinking = {.mode = MODE_UNSAID, .budget = prompt->thinking_budget};
    if (prompt->effort == WEIR_EFFORT_NONE) {
        thinking.mode = MODE_OFF;
        return thinking;
    }
    if (prompt->thinking_budget == 0 && prompt->effort == WEIR_EFFORT_UNSAID)
        return thinking;
    thinking.mode = prompt->thinking_budget < 0 ? MODE_ADAPTIVE : MODE_ENABLED;
    if (thinking.budget == 0)
        thinking.budget = weir_effort_budget(prompt->effort);
    if (thinking.mode == MODE_ENABLED && thinking.budget >= limit) /* as much is left for the answer */
        thinking.budget = limit / 2 > LEAST_BUDGET ? limit / 2 : LEAST_BUDGET;
    bool is_forced = prompt->tools != NULL &&
                     (prompt->tool_choice == WEIR_CHOICE_ANY || prompt->tool_choice == WEIR_CHOICE_ONE);
    bool is_small = thinking.mode == MODE_ENABLED && (thinking.budget < LEAST_BUDGET || thinking.budget >= limit);
    if (is_forced || is_small || writing->last_text != NULL ||
        (thinking.mode == MODE_ENABLED && has_unsigned_calls(prompt))) {
        note(writing->exchange, WEIR_PARAMETER_REASONING);
        thinking.mode = MODE_UNSAID;
    }
    return thinking;
}

static void write_thinking(struct weir_json_writer *writer, const struct weir_prompt *prompt,
                           const struct thinking *thinking) {
    static const char *const names[] = {
        [MODE_OFF] = "disabled", [MODE_ENABLED] = "enabled", [MODE_ADAPTIVE] = "adaptive"};
    if (thinking->mode == MODE_UNSAID)
        return;
    weir_json_write_name(writer, "thinking");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", names[thinking->mode]);
    if (thinking->mode == MODE_ENABLED)
        weir_json_member_int64(writer, "budget_tokens", thinking->budget);
    if (thinking->mode != MODE_OFF && weir_is_said(prompt->values[WEIR_PARAMETER_REASONING_SUMMARY]))
        weir_json_member_text(writer, "display", prompt->shows_thinking ? "summarized" : "omitted");
    weir_json_write_end(writer);
}

/* An effort alone has become a budget. */
static enum weir_status write_output_config(struct dialect__anthropic_writing *writing,
                                            const struct thinking *thinking) {
    const struct weir_prompt *prompt = writing->prompt;
    struct weir_json_writer *writer = writing->writer;
    bool has_effort = (thinking->mode == MODE_ENABLED || thinking->mode == MODE_ADAPTIVE) &&
                      prompt->thinking_budget != 0 && prompt->effort >= WEIR_EFFORT_LOW;
    bool has_form = prompt->output_form == WEIR_FORM_SCHEMA && weir_is_said(prompt->schema);
    enum weir_status status = WEIR_OK;
    if (!has_effort && !has_form)
        return WEIR_OK;
    weir_json_write_name(writer, "output_config");
    weir_json_write_object(writer);
    if (has_effort)
        weir_json_member_text(writer, "effort", weir_effort_name(prompt->effort));
    if (has_form) {
        weir_json_write_name(writer, "format");
        weir_json_write_object(writer);
        weir_json_member_text(writer, "type", "json_schema");
        weir_json_write_name(writer, "schema");
        weir_json_write_raw(writer, WEIR_SPAN(""));
        status = dialect__write_form_schema(writing->exchange->arena, writer->out, prompt->schema);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
    return status;
}

/* --- tools --- */

static enum weir_status write_tool(struct dialect__anthropic_writing *writing, const struct weir_tool *tool) {
    struct weir_json_writer *writer = writing->writer;
    struct weir_span name = dialect__anthropic_name(writing->exchange->arena, tool->name);
    enum weir_status status = WEIR_OK;
    weir_json_write_object(writer);
    dialect__member_wire(writer, "name", name);
    if (tool->description.length > 0)
        dialect__member_wire(writer, "description", tool->description);
    weir_json_write_name(writer, "input_schema");
    weir_json_write_raw(writer, WEIR_SPAN(""));
    if (tool->kind == WEIR_TOOL_CUSTOM) /* free text, as the one member of an object */
        weir_buffer_append(writer->out,
                           WEIR_SPAN("{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},"
                                     "\"required\":[\"input\"],\"additionalProperties\":false}"));
    else
        status = dialect__write_tool_schema(writing->exchange->arena, writer->out, tool);
    if (weir_span_equal(tool->is_strict, WEIR_SPAN("true")))
        weir_json_member_bool(writer, "strict", true);
    dialect__anthropic_write_mark(writing, tool->cache);
    weir_json_write_end(writer);
    return weir_is_said(name) ? status : WEIR_ENOMEM;
}

/* A conversation that has calls needs tools: those that were called, none of which may be called again. */
static enum weir_status write_called_tools(struct dialect__anthropic_writing *writing) {
    const struct weir_prompt *prompt = writing->prompt;
    struct weir_json_writer *writer = writing->writer;
    enum weir_status status = WEIR_OK;
    bool any = false;
    if (!dialect__anthropic_has_calls(prompt))
        return WEIR_OK;
    struct weir_map *told = weir_map_new(0); /* the names */
    if (told == NULL)
        return WEIR_ENOMEM;
    weir_json_write_name(writer, "tools");
    weir_json_write_array(writer);
    for (const struct weir_turn *turn = prompt->turns; turn != NULL; turn = turn->next)
        for (const struct weir_part *part = turn->parts; status == WEIR_OK && part != NULL; part = part->next) {
            const struct weir_tool tool = {.kind = WEIR_TOOL_FUNCTION, .name = part->name};
            if (part->kind != WEIR_PART_TOOL_CALL || weir_map_find(told, part->name) != NULL)
                continue;
            status = weir_map_put(told, part->name, &any, NULL);
            if (status == WEIR_OK)
                status = write_tool(writing, &tool);
            any = true;
        }
    weir_map_free(&told);
    if (!any)
        status = write_tool(writing, &(struct weir_tool){.kind = WEIR_TOOL_FUNCTION, .name = WEIR_SPAN("none")});
    weir_json_write_end(writer);
    weir_json_write_name(writer, "tool_choice");
    weir_json_write_raw(writer, WEIR_SPAN("{\"type\":\"none\"}"));
    return status;
}

static enum weir_status write_choice(struct dialect__anthropic_writing *writing) {
    static const char *const names[] = {[WEIR_CHOICE_UNSAID] = "auto",
                                        [WEIR_CHOICE_AUTO] = "auto",
                                        [WEIR_CHOICE_NONE] = "none",
                                        [WEIR_CHOICE_ANY] = "any",
                                        [WEIR_CHOICE_ONE] = "tool"};
    const struct weir_prompt *prompt = writing->prompt;
    struct weir_json_writer *writer = writing->writer;
    enum weir_tool_choice choice = prompt->tool_choice;
    struct weir_span name = WEIR_UNSAID;
    if (choice == WEIR_CHOICE_UNSAID && !prompt->one_tool_at_a_time)
        return WEIR_OK;
    if (choice == WEIR_CHOICE_ONE && prompt->chosen_tools == NULL)
        choice = WEIR_CHOICE_ANY;
    if (choice == WEIR_CHOICE_ONE) {
        name = dialect__anthropic_name(writing->exchange->arena, prompt->chosen_tools->text);
        if (!weir_is_said(name))
            return WEIR_ENOMEM;
    }
    weir_json_write_name(writer, "tool_choice");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", names[choice]);
    dialect__member_wire(writer, "name", name);
    if (prompt->one_tool_at_a_time && choice != WEIR_CHOICE_NONE)
        weir_json_member_bool(writer, "disable_parallel_tool_use", true);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static enum weir_status write_tools(struct dialect__anthropic_writing *writing) {
    const struct weir_prompt *prompt = writing->prompt;
    struct weir_json_writer *writer = writing->writer;
    enum weir_status status = WEIR_OK;
    if (prompt->tools == NULL)
        return write_called_tools(writing);
    weir_json_write_name(writer, "tools");
    weir_json_write_array(writer);
    for (const struct weir_tool *tool = prompt->tools; status == WEIR_OK && tool != NULL; tool = tool->next) {
        char what[120];
        if (!dialect__anthropic_takes_tool(prompt, tool))
            continue;
        if (tool->kind == WEIR_TOOL_HOSTED) {
            (void)snprintf(what, sizeof what, "the tool '%.*s', which its own provider runs,",
                           (int)(tool->name.length < 60 ? tool->name.length : 60), tool->name.at);
            return dialect__cannot_send(writing->problem, "tools", what, WEIR_DIALECT_ANTHROPIC);
        }
        status = write_tool(writing, tool);
    }
    weir_json_write_end(writer);
    return status == WEIR_OK ? write_choice(writing) : status;
}

/* --- parameters --- */

/* A number in millionths; `otherwise` where it is none. */
static int64_t millionths(struct weir_span json, int64_t otherwise) {
    int64_t value = 0;
    bool rounded;
    return weir_is_said(json) && weir_json_scaled_int64(json, 6, &value, &rounded) == WEIR_OK ? value : otherwise;
}

static void write_sampling(struct dialect__anthropic_writing *writing, const struct thinking *thinking) {
    enum { ONE = 1000000, LEAST_TOP_P = 950000 };
    const struct weir_span *values = writing->prompt->values;
    struct weir_json_writer *writer = writing->writer;
    bool thinks = thinking->mode == MODE_ENABLED || thinking->mode == MODE_ADAPTIVE;
    struct weir_span temperature = values[WEIR_PARAMETER_TEMPERATURE], top_p = values[WEIR_PARAMETER_TOP_P],
                     top_k = values[WEIR_PARAMETER_TOP_K];
    if (weir_is_said(temperature)) {
        if (millionths(temperature, 0) > ONE)
            temperature = WEIR_SPAN("1");
        if (!thinks || millionths(temperature, 0) == ONE)
            dialect__member_json(writer, "temperature", temperature);
        else
            note(writing->exchange, WEIR_PARAMETER_TEMPERATURE);
    }
    if (weir_is_said(top_p)) {
        if (!thinks || millionths(top_p, 0) >= LEAST_TOP_P)
            dialect__member_json(writer, "top_p", top_p);
        else
            note(writing->exchange, WEIR_PARAMETER_TOP_P);
    }
    if (weir_is_said(top_k)) {
        if (!thinks)
            dialect__member_json(writer, "top_k", top_k);
        else
            note(writing->exchange, WEIR_PARAMETER_TOP_K);
    }
}

/* The vendor takes none that is nothing but spaces. */
static bool is_blank(struct weir_span wire) {
    static const struct weir_span blanks[] = {{" ", 1}, {"\\n", 2}, {"\\r", 2}, {"\\t", 2}};
    while (wire.length > 0) {
        size_t row = 0;
        while (row < COUNT(blanks) && !weir_span_starts_with(wire, blanks[row]))
            row++;
        if (row == COUNT(blanks))
            return false;
        wire = weir_span_from(wire, blanks[row].length);
    }
    return true;
}

static void write_stops(struct dialect__anthropic_writing *writing) {
    struct weir_json_writer *writer = writing->writer;
    bool any = false;
    for (const struct weir_name *stop = writing->prompt->stops; stop != NULL; stop = stop->next) {
        if (is_blank(stop->text)) {
            note(writing->exchange, WEIR_PARAMETER_STOP);
            continue;
        }
        if (!any) {
            weir_json_write_name(writer, "stop_sequences");
            weir_json_write_array(writer);
        }
        any = true;
        dialect__write_wire(writer, stop->text);
    }
    if (any)
        weir_json_write_end(writer);
}

/* What the vendor's own clients alone can say goes as it was said. */
static void write_values(struct dialect__anthropic_writing *writing) {
    static const struct {
        const char *name;
        enum weir_parameter parameter;
    } rows[] = {{"mcp_servers", WEIR_PARAMETER_MCP_SERVERS},
                {"container", WEIR_PARAMETER_CONTAINER},
                {"speed", WEIR_PARAMETER_SPEED},
                {"inference_geo", WEIR_PARAMETER_INFERENCE_GEO},
                {"diagnostics", WEIR_PARAMETER_DIAGNOSTICS}};
    const struct weir_prompt *prompt = writing->prompt;
    struct weir_json_writer *writer = writing->writer;
    struct weir_span user = prompt->values[WEIR_PARAMETER_USER];
    if (weir_is_said(user)) {
        weir_json_write_name(writer, "metadata");
        weir_json_write_object(writer);
        dialect__member_json(writer, "user_id", user);
        weir_json_write_end(writer);
    }
    if (weir_span_equal(prompt->values[WEIR_PARAMETER_SERVICE_TIER], WEIR_SPAN("\"default\"")))
        weir_json_member_text(writer, "service_tier", "standard_only");
    for (size_t i = 0; i < COUNT(rows); i++)
        dialect__member_json(writer, rows[i].name, prompt->values[rows[i].parameter]);
}

/* --- calls --- */

static void remember(struct weir_exchange *exchange, const struct weir_prompt *prompt) {
    struct dialect__anthropic_memory *memory = weir_arena_alloc(exchange->arena, sizeof *memory);
    if (memory != NULL)
        memory->tools = prompt->tools;
    exchange->back_memory = memory;
}

/* Tools before the system's text before the messages: the order in which the vendor caches them, and in which marks count. */
static enum weir_status write_call(struct weir_exchange *exchange, const struct weir_prompt *prompt, bool is_count,
                                   struct weir_buffer *out, struct weir_call_problem *problem) {
    struct weir_json_writer writer;
    struct dialect__anthropic_writing writing = {.exchange = exchange,
                                                 .prompt = prompt,
                                                 .problem = problem,
                                                 .writer = &writer};
    int64_t limit = dialect__output_limit(exchange, prompt);
    if (limit <= 0)
        limit = exchange->output_limit > 0 ? exchange->output_limit : DEFAULT_OUTPUT;
    dialect__anthropic_begin(&writing);
    remember(exchange, prompt);
    struct thinking thinking = thinking_of(&writing, is_count ? INT64_MAX : limit);
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "model", exchange->back_model);
    if (!is_count)
        weir_json_member_int64(&writer, "max_tokens", limit);
    enum weir_status status = write_tools(&writing);
    if (status != WEIR_OK)
        return status;
    dialect__anthropic_write_system(&writing);
    status = dialect__anthropic_write_messages(&writing);
    if (status != WEIR_OK)
        return status;
    write_thinking(&writer, prompt, &thinking);
    status = write_output_config(&writing, &thinking);
    if (status != WEIR_OK)
        return status;
    if (!is_count) {
        write_sampling(&writing, &thinking);
        write_stops(&writing);
        write_values(&writing);
    }
    if (weir_is_said(prompt->cache)) {
        writing.first_mark = 0;
        dialect__anthropic_write_mark(&writing, prompt->cache);
    }
    if (prompt->stream && !is_count)
        weir_json_member_bool(&writer, "stream", true);
    weir_json_write_end(&writer);
    return weir_buffer_status(out);
}

static struct weir_back_target target_of(struct weir_span path) {
    return (struct weir_back_target){.path = path,
                                     .query = WEIR_SPAN(""),
                                     .version_name = WEIR_SPAN("anthropic-version"),
                                     .version_value = WEIR_SPAN("2023-06-01")};
}

enum weir_status dialect__anthropic_write_prompt(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                                 struct weir_back_target *target, struct weir_buffer *out,
                                                 struct weir_call_problem *problem) {
    *target = target_of(WEIR_SPAN("/messages"));
    return write_call(exchange, prompt, false, out, problem);
}

enum weir_status dialect__anthropic_write_count(struct weir_exchange *exchange, const struct weir_prompt *prompt,
                                                struct weir_back_target *target, struct weir_buffer *out,
                                                struct weir_call_problem *problem) {
    *target = target_of(WEIR_SPAN("/messages/count_tokens"));
    return write_call(exchange, prompt, true, out, problem);
}
