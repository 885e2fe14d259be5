/* The OpenAI dialect: OpenAI itself, vLLM, Ollama's and llama.cpp's compatible servers, and the many clones. Here are its errors; its endpoints'
 * bodies stand in openai_*.c.
 */
#include "dialect/impl.h"

void dialect__write_openai_error(struct weir_buffer *out, const struct weir_error_answer *error) {
    const struct weir_reason_row *row = weir_reason_row(error->reason);
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_write_name(&writer, "error");
    weir_json_write_object(&writer);
    dialect__write_message(&writer, "message", error);
    weir_json_member_text(&writer, "type", row->type);
    weir_json_member_text(&writer, "param", error->field != NULL && error->field[0] != '\0' ? error->field : NULL);
    weir_json_member_text(&writer, "code", row->name);
    dialect__write_code(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    dialect__write_details(&writer, error);
    weir_json_write_end(&writer);
    dialect__write_code(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    dialect__write_details(&writer, error);
    weir_json_write_end(&writer);
}

struct weir_span dialect__error_members(struct weir_arena *arena, const struct weir_error_answer *error) {
    char *text = weir_arena_format(arena, ",\"error_code\":\"%.*s_%s\",\"request_id\":\"%.*s\"",
                                   WEIR_SPAN_PRINT(error->brand_upper), weir_reason_row(error->reason)->code,
                                   WEIR_SPAN_PRINT(error->request_id));
    return text == NULL ? WEIR_SPAN("") : weir_span_of_string(text);
}

enum weir_status dialect__edit_error(struct weir_arena *arena, struct weir_span body,
                                     const struct weir_error_answer *error, struct weir_json_splice *splice) {
    static const struct weir_json_want wants[] = {
        {"error"}, {"error_code"}, {"request_id"}, {"error.error_code"}, {"error.request_id"}};
    struct weir_json_found found[5], root;
    if (weir_json_scan(body, wants, 5, found, &root, NULL) != WEIR_OK || root.kind != WEIR_JSON_OBJECT ||
        found[0].kind != WEIR_JSON_OBJECT || found[0].elements == 0)
        return WEIR_EINVAL;
    struct weir_span members = dialect__error_members(arena, error);
    if (members.length == 0)
        return WEIR_ENOMEM;
    enum weir_status status = WEIR_OK;
    if (found[3].kind == WEIR_JSON_NONE && found[4].kind == WEIR_JSON_NONE)
        status = weir_json_splice_add(splice, found[0].value_at + dialect__closing_brace(found[0].value), 0, members);
    if (status == WEIR_OK && found[1].kind == WEIR_JSON_NONE && found[2].kind == WEIR_JSON_NONE)
        status = weir_json_splice_add(splice, dialect__closing_brace(body), 0, members);
    return status;
}

/* In the Responses API an error within a stream is an event of type "error" with its members at the top. */
static enum weir_status edit_error_event(struct weir_arena *arena, struct weir_span data,
                                         const struct weir_error_answer *error, struct weir_json_splice *splice) {
    static const struct weir_json_want wants[] = {{"type"}, {"error_code"}, {"request_id"}};
    struct weir_json_found found[3];
    enum weir_status status = dialect__edit_error(arena, data, error, splice);
    if (status != WEIR_EINVAL)
        return status;
    if (weir_json_scan(data, wants, 3, found, NULL, NULL) != WEIR_OK || !dialect__is(&found[0], "error") ||
        found[1].kind != WEIR_JSON_NONE || found[2].kind != WEIR_JSON_NONE)
        return WEIR_EINVAL;
    struct weir_span members = dialect__error_members(arena, error);
    if (members.length == 0)
        return WEIR_ENOMEM;
    return weir_json_splice_add(splice, dialect__closing_brace(data), 0, members);
}

const struct weir_dialect dialect__openai = {
    .name = "openai",
    .kind = WEIR_DIALECT_OPENAI,
    .write_error = dialect__write_openai_error,
    .edit_error = dialect__edit_error,
    .edit_error_event = edit_error_event,
};
const struct weir_dialect dialect__responses = {
    .name = "responses",
    .kind = WEIR_DIALECT_RESPONSES,
    .write_error = dialect__write_openai_error,
    .edit_error = dialect__edit_error,
    .edit_error_event = edit_error_event,
};
