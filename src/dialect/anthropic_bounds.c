/* What a call of the Messages API holds besides text: how much its input may count.
 *
 * As parts.c for the OpenAI family: text has no more tokens than bytes, a picture has a maximum, what stands elsewhere or is found by a tool of the
 * provider's may be as long as the model takes, and so may what nobody here knows. Tools bring a text of the provider's with them, which the body does not show.
 */
#include "dialect/anthropic_impl.h"

/* The longest that the vendor publishes: for a set of tools once, and for each tool that it defines and the client runs. */
enum { HIDDEN_TOKENS = 735, NESTED = 4 };

static bool is_one_of(const struct weir_json_found *type, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (dialect__is(type, names[i]))
            return true;
    return false;
}
#define IS_ONE_OF(type, names) is_one_of(type, names, sizeof(names) / sizeof *(names))

static void bound_contents(const struct weir_json_found *object, unsigned depth, struct weir_call *call);

/* {"type":"base64"|"url"|"file"|"text"|"content", …} */
static void bound_source(const struct weir_json_found *block, bool is_picture, unsigned depth, struct weir_call *call) {
    struct weir_json_found source = dialect__member_of(block, "source"), type = dialect__member_of(&source, "type");
    if (is_picture && dialect__is(&type, "base64")) {
        dialect__add_picture(call);
    } else if (!is_picture && dialect__is(&type, "content")) {
        bound_contents(&source, depth + 1, call);
    } else if (is_picture ||
               !dialect__is(&type, "text")) { /* a PDF's pages count as pictures, too, however few its bytes */
        call->input_is_elsewhere = true;
    }
}

static void bound_block(const struct weir_json_found *block, unsigned depth, struct weir_call *call) {
    static const char *const here[] = {
        "text",         "tool_use",       "thinking",          "redacted_thinking", "server_tool_use",
        "mcp_tool_use", "tool_reference", "web_search_result", "compaction"};
    static const char *const nests[] = {"tool_result",
                                        "search_result",
                                        "mcp_tool_result",
                                        "web_search_tool_result",
                                        "bash_code_execution_tool_result",
                                        "text_editor_code_execution_tool_result",
                                        "code_execution_tool_result",
                                        "tool_search_tool_result"};
    struct weir_json_found type = dialect__member_of(block, "type");
    if (block->kind == WEIR_JSON_STRING || IS_ONE_OF(&type, here))
        return;
    if (dialect__is(&type, "image")) {
        bound_source(block, true, depth, call);
    } else if (dialect__is(&type, "document")) {
        bound_source(block, false, depth, call);
    } else if (IS_ONE_OF(&type, nests)) {
        bound_contents(block, depth + 1, call);
    } else {
        call->input_is_elsewhere = true;
    }
}

static void bound_blocks(const struct weir_json_found *blocks, unsigned depth, struct weir_call *call) {
    struct weir_json_found block;
    struct weir_span name;
    size_t cursor = 0;
    if (blocks->kind == WEIR_JSON_ARRAY && depth > NESTED)
        call->input_is_elsewhere = true;
    while (blocks->kind == WEIR_JSON_ARRAY && !call->input_is_elsewhere &&
           weir_json_next(blocks->value, &cursor, &name, &block) == WEIR_OK)
        bound_block(&block, depth, call);
}

/* Of a message, a result, a source. Where it stands twice, both count. */
static void bound_contents(const struct weir_json_found *object, unsigned depth, struct weir_call *call) {
    struct weir_json_found member;
    struct weir_span name;
    size_t cursor = 0;
    while (object->kind == WEIR_JSON_OBJECT && weir_json_next(object->value, &cursor, &name, &member) == WEIR_OK)
        if (weir_json_string_equals(name, WEIR_SPAN("content")))
            bound_blocks(&member, depth, call);
}

void dialect__bound_anthropic_messages(const struct weir_json_found *messages, struct weir_call *call) {
    struct weir_json_found message;
    struct weir_span name;
    size_t cursor = 0;
    /* Without an array inside they are plain texts. */
    if (messages->kind != WEIR_JSON_ARRAY || memchr(messages->value.at + 1, '[', messages->value.length - 1) == NULL)
        return;
    while (!call->input_is_elsewhere && weir_json_next(messages->value, &cursor, &name, &message) == WEIR_OK)
        bound_contents(&message, 0, call);
}

/* One that the client runs: its own, or one that the provider defines and describes to the model in words of its own. */
static bool is_the_clients(const struct weir_json_found *tool, struct weir_call *call) {
    static const char *const defined[] = {"bash_", "text_editor_", "computer_20", "memory_"};
    struct weir_json_found member, type = {.kind = WEIR_JSON_NONE};
    struct weir_span name, text;
    size_t cursor = 0, types = 0;
    while (tool->kind == WEIR_JSON_OBJECT && weir_json_next(tool->value, &cursor, &name, &member) == WEIR_OK) {
        if (!weir_json_string_equals(name, WEIR_SPAN("type")))
            continue;
        type = member;
        types++;
    }
    if (types > 1 || tool->kind != WEIR_JSON_OBJECT)
        return false;
    if (dialect__is_absent(&type) || dialect__is(&type, "custom"))
        return true;
    for (size_t i = 0; i < sizeof defined / sizeof *defined; i++) {
        if (type.kind != WEIR_JSON_STRING || !weir_json_plain_string(type.value, &text) ||
            !weir_span_starts_with(text, weir_span_of_string(defined[i])))
            continue;
        dialect__add_input_tokens(call, HIDDEN_TOKENS);
        return true;
    }
    return false;
}

void dialect__bound_anthropic_tools(const struct weir_json_found *tools, struct weir_call *call) {
    struct weir_json_found tool;
    struct weir_span name;
    size_t cursor = 0;
    if (tools->kind == WEIR_JSON_ARRAY && tools->elements > 0)
        dialect__add_input_tokens(call, HIDDEN_TOKENS);
    while (tools->kind == WEIR_JSON_ARRAY && !call->input_is_elsewhere &&
           weir_json_next(tools->value, &cursor, &name, &tool) == WEIR_OK)
        call->input_is_elsewhere = !is_the_clients(&tool, call);
}
