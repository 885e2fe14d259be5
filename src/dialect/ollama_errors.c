/* Errors as Ollama's clients know them: {"error":"text"}, whole or as a line of a stream. Its `error` is a text, so what this gateway tells besides stands at
 * the top alone.
 */
#include "dialect/impl.h"

void dialect__write_ollama_error(struct weir_buffer *out, const struct weir_error_answer *error) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    dialect__write_message(&writer, "error", error);
    dialect__write_code(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    dialect__write_details(&writer, error);
    weir_json_write_end(&writer);
}

static enum weir_status edit_error(struct weir_arena *arena, struct weir_span body,
                                   const struct weir_error_answer *error, struct weir_json_splice *splice) {
    static const struct weir_json_want wants[] = {{"error"}, {"error_code"}, {"request_id"}};
    struct weir_json_found found[3], root;
    if (weir_json_scan(body, wants, 3, found, &root, NULL) != WEIR_OK || root.kind != WEIR_JSON_OBJECT ||
        found[0].kind != WEIR_JSON_STRING)
        return WEIR_EINVAL;
    if (found[1].kind != WEIR_JSON_NONE || found[2].kind != WEIR_JSON_NONE)
        return WEIR_OK;
    struct weir_span members = dialect__error_members(arena, error);
    if (members.length == 0)
        return WEIR_ENOMEM;
    return weir_json_splice_add(splice, dialect__closing_brace(body), 0, members);
}

const struct weir_dialect dialect__ollama = {
    .name = "ollama",
    .kind = WEIR_DIALECT_OLLAMA,
    .write_error = dialect__write_ollama_error,
    .edit_error = edit_error,
    .edit_error_event = edit_error,
};
