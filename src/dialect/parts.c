/* What a call's messages hold besides text: it says how much their input may count.
 *
 * Text has no more tokens than bytes; a picture may, and has a maximum; what stands elsewhere (a URL, a file's id, what a hosted tool finds) may be as long as
 * the model takes. What nobody here knows counts as standing elsewhere: a new kind of part is bounded too high rather than too low. Messages without any array
 * inside are plain text, and cost one look.
 */
#include "base/arithmetic.h"
#include "dialect/impl.h"

/* The dearest way of counting a picture that a vendor publishes: eight tiles of a small model at high detail, 2,833 + 8 * 5,667. */
enum { MOST_TOKENS_A_PART_PICTURE = 48200 };

static bool is_named(struct weir_span name, const char *plain) {
    return weir_json_string_equals(name, weir_span_of_string(plain));
}

static bool is_one_of(const struct weir_json_found *type, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (dialect__is(type, names[i]))
            return true;
    return false;
}
#define IS_ONE_OF(type, names) is_one_of(type, names, sizeof(names) / sizeof *(names))

struct weir_json_found dialect__member_of(const struct weir_json_found *object, const char *plain) {
    struct weir_json_found member, found = {.kind = WEIR_JSON_NONE};
    struct weir_span name;
    size_t cursor = 0, count = 0;
    while (object->kind == WEIR_JSON_OBJECT && weir_json_next(object->value, &cursor, &name, &member) == WEIR_OK) {
        if (!is_named(name, plain))
            continue;
        found = member;
        count++;
    }
    if (count != 1)
        found.kind = WEIR_JSON_NONE;
    return found;
}

void dialect__add_input_tokens(struct weir_call *call, int64_t tokens) {
    if (!weir_add_int64(call->more_input_tokens, tokens, &call->more_input_tokens))
        call->more_input_tokens = INT64_MAX;
}

void dialect__add_picture(struct weir_call *call) {
    dialect__add_input_tokens(call, MOST_TOKENS_A_PART_PICTURE);
}

/* {"type":"image_url","image_url":{"url":"data:…"}}, or the text itself. */
static void read_picture(const struct weir_json_found *part, struct weir_call *call) {
    struct weir_json_found url = dialect__member_of(part, "image_url");
    if (url.kind == WEIR_JSON_OBJECT)
        url = dialect__member_of(&url, "url");
    bool inside = url.kind == WEIR_JSON_STRING &&
                  weir_span_starts_with(weir_span_from(url.value, 1), WEIR_SPAN("data:image/"));
    if (inside)
        dialect__add_picture(call);
    else
        call->input_is_elsewhere = true;
}

static void read_part(const struct weir_json_found *part, struct weir_call *call) {
    static const char *const texts[] = {"text",    "input_text",   "output_text",
                                        "refusal", "summary_text", "reasoning_text"};
    static const char *const pictures[] = {"image_url", "input_image"};
    struct weir_json_found type = dialect__member_of(part, "type");
    if (part->kind == WEIR_JSON_STRING || IS_ONE_OF(&type, texts))
        return;
    if (IS_ONE_OF(&type, pictures))
        read_picture(part, call);
    else if (dialect__is(&type, "input_audio"))
        call->may_take_audio = true; /* it stands here, and has fewer tokens than bytes */
    else
        call->input_is_elsewhere = true;
}

static void read_parts(const struct weir_json_found *parts, struct weir_call *call) {
    struct weir_json_found part;
    struct weir_span name;
    size_t cursor = 0;
    while (parts->kind == WEIR_JSON_ARRAY && weir_json_next(parts->value, &cursor, &name, &part) == WEIR_OK)
        read_part(&part, call);
}

/* A message, or an item of the Responses API's input. */
static void read_message(const struct weir_json_found *message, struct weir_call *call) {
    static const char *const here[] = {"message",
                                       "function_call",
                                       "function_call_output",
                                       "custom_tool_call",
                                       "custom_tool_call_output",
                                       "local_shell_call",
                                       "local_shell_call_output",
                                       "reasoning"};
    struct weir_json_found member;
    struct weir_span name;
    size_t cursor = 0;
    while (message->kind == WEIR_JSON_OBJECT && weir_json_next(message->value, &cursor, &name, &member) == WEIR_OK) {
        if (is_named(name, "content") || is_named(name, "output"))
            read_parts(&member, call);
        else if (is_named(name, "type") && !IS_ONE_OF(&member, here))
            call->input_is_elsewhere = true;
        else if (is_named(name, "audio") && !dialect__is_absent(&member)) /* an earlier answer's, by its id */
            call->input_is_elsewhere = true;
    }
}

/* Objects with a member begin with a brace and a quote. Within a string a quote ends it or has a backslash before it: text with braces in it, as code is, is
 * taken for an object only where it ends with one. Gives at most `most` + 1. */
static size_t count_objects(struct weir_span text, size_t most) {
    const char *at = text.at, *end = text.at + text.length;
    size_t count = 0;
    while (count <= most && (at = memchr(at, '{', (size_t)(end - at))) != NULL) {
        at++;
        while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
            at++;
        count += at < end && *at == '"';
    }
    return count;
}

void dialect__bound_messages(const struct weir_json_found *messages, bool are_items, struct weir_call *call) {
    struct weir_json_found message;
    struct weir_span name;
    size_t cursor = 0;
    /* Messages have nothing in them that matters here and is no object; of items the type alone may. */
    if (messages->kind != WEIR_JSON_ARRAY ||
        (!are_items && count_objects(messages->value, messages->elements) <= messages->elements))
        return;
    while (!call->input_is_elsewhere && weir_json_next(messages->value, &cursor, &name, &message) == WEIR_OK)
        if (are_items || count_objects(message.value, 1) > 1)
            read_message(&message, call);
}

void dialect__bound_tools(const struct weir_json_found *tools, struct weir_call *call) {
    static const char *const of_the_client[] = {"function", "custom", "local_shell"};
    struct weir_json_found tool;
    struct weir_span name;
    size_t cursor = 0;
    while (tools->kind == WEIR_JSON_ARRAY && !call->input_is_elsewhere &&
           weir_json_next(tools->value, &cursor, &name, &tool) == WEIR_OK) {
        struct weir_json_found type = dialect__member_of(&tool, "type");
        call->input_is_elsewhere = !IS_ONE_OF(&type, of_the_client);
    }
}
