/* Errors as Google's clients know them: {"error":{"code","message","status","details":[…]}}, where `details` are messages of google.rpc.
 *
 * What this gateway tells besides (reason, field, limit) stands in an ErrorInfo, whose metadata are texts by name, and again at the top as everywhere.
 */
#include "dialect/impl.h"

/* google.rpc.Code, by status. */
static const char *status_of(unsigned status) {
    switch (status) {
    case 401: return "UNAUTHENTICATED";
    case 403: return "PERMISSION_DENIED";
    case 404: return "NOT_FOUND";
    case 408:
    case 504: return "DEADLINE_EXCEEDED";
    case 409: return "ABORTED";
    case 412: return "FAILED_PRECONDITION";
    case 429: return "RESOURCE_EXHAUSTED";
    case 499: return "CANCELLED";
    case 500: return "INTERNAL";
    case 501: return "UNIMPLEMENTED";
    default: return status > 501 ? "UNAVAILABLE" : "INVALID_ARGUMENT";
    }
}

static void write_info(struct weir_json_writer *writer, const struct weir_error_answer *error) {
    const struct weir_reason_row *row = weir_reason_row(error->reason);
    char code[DIALECT_CODE_SIZE];
    dialect__format_code(error, code);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "@type", "type.googleapis.com/google.rpc.ErrorInfo");
    weir_json_member_text(writer, "reason", code);
    weir_json_member_text(writer, "domain", "weir");
    weir_json_write_name(writer, "metadata");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "reason", row->name);
    weir_json_member_string(writer, "request_id", error->request_id);
    if (error->field != NULL && error->field[0] != '\0')
        weir_json_member_text(writer, "field", error->field);
    if (error->limit != NULL)
        weir_json_member_text(writer, "scope", error->limit->scope);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
}

static void write_google_details(struct weir_json_writer *writer, const struct weir_error_answer *error) {
    weir_json_write_name(writer, "details");
    weir_json_write_array(writer);
    write_info(writer, error);
    if (error->field != NULL && error->field[0] != '\0') {
        weir_json_write_object(writer);
        weir_json_member_text(writer, "@type", "type.googleapis.com/google.rpc.BadRequest");
        weir_json_write_name(writer, "fieldViolations");
        weir_json_write_array(writer);
        weir_json_write_object(writer);
        weir_json_member_text(writer, "field", error->field);
        dialect__write_message(writer, "description", error);
        weir_json_write_end(writer);
        weir_json_write_end(writer);
        weir_json_write_end(writer);
    }
    if (error->retry_after_seconds > 0) {
        char delay[24];
        (void)snprintf(delay, sizeof delay, "%us", error->retry_after_seconds);
        weir_json_write_object(writer);
        weir_json_member_text(writer, "@type", "type.googleapis.com/google.rpc.RetryInfo");
        weir_json_member_text(writer, "retryDelay", delay);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

void dialect__write_gemini_error(struct weir_buffer *out, const struct weir_error_answer *error) {
    unsigned status = dialect__status(error);
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_write_name(&writer, "error");
    weir_json_write_object(&writer);
    weir_json_member_int64(&writer, "code", status);
    dialect__write_message(&writer, "message", error);
    weir_json_member_text(&writer, "status", status_of(status));
    write_google_details(&writer, error);
    dialect__write_code(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    weir_json_write_end(&writer);
    dialect__write_code(&writer, error);
    weir_json_member_string(&writer, "request_id", error->request_id);
    dialect__write_details(&writer, error);
    weir_json_write_end(&writer);
}

const struct weir_dialect dialect__gemini = {
    .name = "gemini",
    .kind = WEIR_DIALECT_GEMINI,
    .write_error = dialect__write_gemini_error,
    .edit_error = dialect__edit_error,
    .edit_error_event = dialect__edit_error,
};
