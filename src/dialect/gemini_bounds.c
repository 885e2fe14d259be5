/* What a call of the Gemini API holds besides text: how much its input may count.
 *
 * As parts.c for the OpenAI family: text has no more tokens than bytes, a picture has a maximum, what stands elsewhere or is found by a tool of the provider's
 * may be as long as the model takes, and so may what nobody here knows. Members count in both spellings, and all of them where one stands twice.
 */
#include "dialect/gemini_impl.h"

enum { NESTED = 4 };

static bool is_named(struct weir_span name, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (weir_json_string_equals(name, weir_span_of_string(names[i])))
            return true;
    return false;
}
#define IS_NAMED(name, names) is_named(name, names, sizeof(names) / sizeof *(names))

static bool is_of_type(const struct weir_json_found *type, const char *prefix) {
    struct weir_span text;
    return type->kind == WEIR_JSON_STRING && weir_json_plain_string(type->value, &text) &&
           weir_span_starts_with(text, weir_span_of_string(prefix));
}

/* {"mimeType":"image/png","data":"…"}: sound has fewer tokens than bytes; the pages of a PDF and the frames of a film count as pictures, however few the bytes. */
static void bound_blob(const struct weir_json_found *blob, struct weir_call *call) {
    struct weir_json_found type = dialect__member_of(blob, "mimeType");
    if (type.kind == WEIR_JSON_NONE)
        type = dialect__member_of(blob, "mime_type");
    if (is_of_type(&type, "image/"))
        dialect__add_picture(call);
    else if (is_of_type(&type, "audio/"))
        call->may_take_audio = true;
    else if (!is_of_type(&type, "text/"))
        call->input_is_elsewhere = true;
}

static void bound_parts(const struct weir_json_found *parts, unsigned depth, struct weir_call *call);

/* A result's pictures stand beside its words. */
static void bound_response(const struct weir_json_found *response, unsigned depth, struct weir_call *call) {
    static const char *const lists[] = {"parts"};
    struct weir_json_found member;
    struct weir_span name;
    size_t cursor = 0;
    while (response->kind == WEIR_JSON_OBJECT && weir_json_next(response->value, &cursor, &name, &member) == WEIR_OK)
        if (IS_NAMED(name, lists))
            bound_parts(&member, depth + 1, call);
}

static void bound_part(const struct weir_json_found *part, unsigned depth, struct weir_call *call) {
    static const char *const here[] = {
        "text",          "thought",        "thoughtSignature", "thought_signature",   "functionCall",
        "function_call", "executableCode", "executable_code",  "codeExecutionResult", "code_execution_result",
        "partMetadata",  "part_metadata",  "mediaResolution",  "media_resolution"};
    static const char *const blobs[] = {"inlineData", "inline_data"};
    static const char *const responses[] = {"functionResponse", "function_response"};
    struct weir_json_found member;
    struct weir_span name;
    size_t cursor = 0;
    while (part->kind == WEIR_JSON_OBJECT && weir_json_next(part->value, &cursor, &name, &member) == WEIR_OK) {
        if (member.kind == WEIR_JSON_NULL || IS_NAMED(name, here))
            continue;
        if (IS_NAMED(name, blobs))
            bound_blob(&member, call);
        else if (IS_NAMED(name, responses))
            bound_response(&member, depth, call);
        else
            call->input_is_elsewhere = true;
    }
}

static void bound_parts(const struct weir_json_found *parts, unsigned depth, struct weir_call *call) {
    struct weir_json_found part;
    struct weir_span name;
    size_t cursor = 0;
    if (depth > NESTED)
        call->input_is_elsewhere = true;
    if (parts->kind == WEIR_JSON_OBJECT) /* a single one: some write it so */
        bound_part(parts, depth, call);
    while (parts->kind == WEIR_JSON_ARRAY && !call->input_is_elsewhere &&
           weir_json_next(parts->value, &cursor, &name, &part) == WEIR_OK)
        bound_part(&part, depth, call);
}

void dialect__bound_gemini_contents(const struct weir_json_found *contents, struct weir_call *call) {
    struct weir_json_found content;
    struct weir_span name;
    size_t cursor = 0;
    if (contents->kind == WEIR_JSON_OBJECT)
        bound_response(contents, 0, call);
    while (contents->kind == WEIR_JSON_ARRAY && !call->input_is_elsewhere &&
           weir_json_next(contents->value, &cursor, &name, &content) == WEIR_OK)
        bound_response(&content, 0, call);
}

/* {"functionDeclarations":[…]} is the client's own; all others are run by the provider, which reads what they find. */
static void bound_tool(const struct weir_json_found *tool, struct weir_call *call) {
    static const char *const of_the_client[] = {"functionDeclarations", "function_declarations"};
    struct weir_json_found member;
    struct weir_span name;
    size_t cursor = 0;
    while (tool->kind == WEIR_JSON_OBJECT && weir_json_next(tool->value, &cursor, &name, &member) == WEIR_OK)
        if (member.kind != WEIR_JSON_NULL && !IS_NAMED(name, of_the_client))
            call->input_is_elsewhere = true;
}

void dialect__bound_gemini_tools(const struct weir_json_found *tools, struct weir_call *call) {
    struct weir_json_found tool;
    struct weir_span name;
    size_t cursor = 0;
    if (tools->kind == WEIR_JSON_OBJECT)
        bound_tool(tools, call);
    while (tools->kind == WEIR_JSON_ARRAY && !call->input_is_elsewhere &&
           weir_json_next(tools->value, &cursor, &name, &tool) == WEIR_OK)
        bound_tool(&tool, call);
}
