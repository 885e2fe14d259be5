/* Errors as Anthropic's clients know them: {"type":"error","error":{"type","message"},"request_id"}, and the same as an event.
 *
 * Their libraries choose the class of an exception by the HTTP status, and show `message`; agents act on `error.type`.
 */
#include "dialect/impl.h"

/* The vendor's own words, by status. What it has no word for is a request that is not valid, or a failure of ours. */
static const char *type_of(unsigned status) {
    switch (status) {
    case 401: return "authentication_error";
    case 402: return "billing_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 503:
    case 529: return "overloaded_error";
    case 408:
    case 504: return "timeout_error";
    default: return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

void dialect__write_anthropic_error(struct weir_buffer *out, const struct weir_error_answer *error) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "type", "error");
    weir_json_write_name(&writer, "error");
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "type", type_of(dialect__status(error)));
    dialect__write_message(&writer, "message", error);
    dialect__write_code(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    dialect__write_details(&writer, error);
    weir_json_write_end(&writer);
    dialect__write_code(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    dialect__write_details(&writer, error);
    weir_json_write_end(&writer);
}

/* The provider's own request_id stays at the top, where its support asks for it: ours is in the error object. */
static enum weir_status edit_error(struct weir_arena *arena, struct weir_span body,
                                   const struct weir_error_answer *error, struct weir_json_splice *splice) {
    static const struct weir_json_want wants[] = {
        {"error"}, {"error_code"}, {"request_id"}, {"error.error_code"}, {"error.request_id"}};
    struct weir_json_found found[5], root;
    char code[DIALECT_CODE_SIZE];
    if (weir_json_scan(body, wants, 5, found, &root, NULL) != WEIR_OK || root.kind != WEIR_JSON_OBJECT ||
        found[0].kind != WEIR_JSON_OBJECT || found[0].elements == 0)
        return WEIR_EINVAL;
    struct weir_span members = dialect__error_members(arena, error);
    dialect__format_code(error, code);
    const char *code_alone = weir_arena_format(arena, ",\"error_code\":\"%s\"", code);
    if (members.length == 0 || code_alone == NULL)
        return WEIR_ENOMEM;
    bool has_own_id = found[2].kind != WEIR_JSON_NONE;
    enum weir_status status = WEIR_OK;
    if (found[3].kind == WEIR_JSON_NONE && found[4].kind == WEIR_JSON_NONE)
        status = weir_json_splice_add(splice, found[0].value_at + dialect__closing_brace(found[0].value), 0, members);
    if (status == WEIR_OK && found[1].kind == WEIR_JSON_NONE)
        status = weir_json_splice_add(splice, dialect__closing_brace(body), 0,
                                      has_own_id ? weir_span_of_string(code_alone) : members);
    return status;
}

const struct weir_dialect dialect__anthropic = {
    .name = "anthropic",
    .kind = WEIR_DIALECT_ANTHROPIC,
    .write_error = dialect__write_anthropic_error,
    .edit_error = edit_error,
    .edit_error_event = edit_error,
};
