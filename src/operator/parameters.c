/* From a request's target and body to values that are as the row's schemas say.
 *
 * A handler gets nothing that was not checked: names that the row does not have, values of another kind, a member twice, a text that is no UTF-8 are refused here,
 * with the name of what is wrong.
 */
#include "operator/impl.h"

#include "http/url.h"
#include "json/schema.h"

#include <stdio.h>

/* --- paths --- */

static bool fits(const char *pattern, struct weir_span path, struct weir_span *values, size_t room, size_t *count) {
    struct weir_span rest = weir_span_of_string(pattern), part, piece;
    *count = 0;
    for (;;) {
        bool more_parts = weir_span_split(rest, '/', &part, &rest);
        bool more_pieces = weir_span_split(path, '/', &piece, &path);
        if (part.length > 0 && part.at[0] == '{') {
            if (piece.length == 0 || *count == room)
                return false;
            values[(*count)++] = piece;
        } else if (!weir_span_equal(part, piece)) {
            return false;
        }
        if (!more_parts || !more_pieces)
            return more_parts == more_pieces;
    }
}

size_t operator__find_path(struct weir_span path) {
    struct weir_span values[OPERATOR__MAX_PARAMETERS];
    size_t count;
    for (size_t i = 0; i < operator__row_count; i++)
        if (fits(operator__rows[i].path, path, values, OPERATOR__MAX_PARAMETERS, &count))
            return i;
    return operator__row_count;
}

bool operator__same_path(const struct operator__row *a, const struct operator__row *b) {
    return strcmp(a->path, b->path) == 0;
}

/* --- parameters --- */

static enum weir_status keep(struct weir_operation_call *call, size_t index, struct weir_span value) {
    const struct operator__parameter *parameter = &call->row->parameters[index];
    if (!weir_json_is_text(value))
        return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, parameter->name, "%s: not UTF-8",
                                   parameter->name);
    call->values[index] = value;
    call->sent[index] = true;
    return WEIR_OK;
}

/* The names of a path stand in its order among the parameters, but not at its places. */
enum weir_status operator__read_path(struct weir_operation_call *call) {
    const struct operator__row *row = call->row;
    struct weir_span values[OPERATOR__MAX_PARAMETERS], rest = weir_span_of_string(row->path), part;
    size_t count = 0, at = 0;
    bool more = true;
    weir_bug_on(!fits(row->path, call->head.path, values, OPERATOR__MAX_PARAMETERS, &count));
    while (more) {
        more = weir_span_split(rest, '/', &part, &rest);
        if (part.length == 0 || part.at[0] != '{')
            continue;
        struct weir_span name = weir_span_of(part.at + 1, part.length - 2), raw = values[at++];
        char *decoded = weir_arena_alloc(call->arena, raw.length);
        size_t length = 0;
        if (decoded == NULL)
            return weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "no memory");
        if (weir_url_decode(raw, decoded, &length) != WEIR_OK)
            return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, NULL, "the path has a bad escape");
        for (size_t i = 0; i < row->parameter_count; i++) {
            const struct operator__parameter *parameter = &row->parameters[i];
            if (parameter->place != OPERATOR__IN_PATH || !weir_span_equal(weir_span_of_string(parameter->name), name))
                continue;
            enum weir_status status = keep(call, i, weir_span_of(decoded, length));
            if (status != WEIR_OK)
                return status;
        }
    }
    return WEIR_OK;
}

static enum weir_status fail_unknown(struct weir_operation_call *call, struct weir_span name) {
    char shown[61];
    (void)snprintf(shown, sizeof shown, "%.*s", WEIR_SPAN_PRINT(name));
    return weir_operation_fail(call, WEIR_REASON_PARAMETER_UNKNOWN, shown, "%s", shown);
}

static enum weir_status read_query(struct weir_operation_call *call) {
    const struct operator__row *row = call->row;
    struct weir_span rest = call->head.query, name, value;
    char *out = weir_arena_alloc(call->arena, rest.length);
    if (out == NULL)
        return weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "no memory");
    for (;;) {
        enum weir_status status = weir_url_query_next(&rest, out, &name, &value);
        if (status == WEIR_END)
            return WEIR_OK;
        if (status != WEIR_OK)
            return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, NULL, "the query has a bad escape");
        out += name.length + value.length;
        size_t i = 0;
        while (i < row->parameter_count && (row->parameters[i].place != OPERATOR__IN_QUERY ||
                                            !weir_span_equal(weir_span_of_string(row->parameters[i].name), name)))
            i++;
        if (i == row->parameter_count)
            return fail_unknown(call, name);
        if (call->sent[i])
            return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, row->parameters[i].name, "%s stands twice",
                                       row->parameters[i].name);
        status = keep(call, i, value);
        if (status != WEIR_OK)
            return status;
    }
}

static enum weir_status read_headers(struct weir_operation_call *call) {
    for (size_t i = 0; i < call->row->parameter_count; i++) {
        const struct operator__parameter *parameter = &call->row->parameters[i];
        const struct weir_span *value = NULL;
        for (size_t j = 0; parameter->place == OPERATOR__IN_HEADER && j < call->head.field_count; j++) {
            if (!weir_span_equal_ignore_case(call->head.fields[j].name, weir_span_of_string(parameter->name)))
                continue;
            if (value != NULL)
                return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, parameter->name, "%s stands twice",
                                           parameter->name);
            value = &call->head.fields[j].value;
        }
        enum weir_status status = value != NULL ? keep(call, i, *value) : WEIR_OK;
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* A parameter's text as the JSON value that its schema means: what is no number and no flag is a text, which the schema then refuses in its own words. */
static enum weir_status check_parameter(struct weir_operation_call *call, yyjson_val *openapi, size_t index) {
    const struct operator__parameter *parameter = &call->row->parameters[index];
    struct weir_span value = call->values[index];
    struct weir_schema_problem problem = {.text = ""};
    struct weir_buffer text;
    yyjson_doc *document = NULL;
    enum weir_status status = WEIR_EINVAL;
    weir_buffer_init(&text, 8 * WEIR_MAX_URI_BYTES);
    if (!parameter->is_text && value.length > 0 && value.length < 32 && value.at[0] != '"') /* no number is longer */
        status = weir_json_read(call->arena, value, &document, &problem);
    if (status != WEIR_OK) {
        weir_json_append_string(&text, value);
        status = weir_buffer_status(&text);
        if (status == WEIR_OK)
            status = weir_json_read(call->arena, weir_buffer_span(&text), &document, &problem);
    }
    if (status == WEIR_OK)
        status = weir_schema_check(openapi, call->schemas->parameters[index], yyjson_doc_get_root(document), &problem);
    if (status == WEIR_OK && yyjson_is_real(yyjson_doc_get_root(document))) {
        status = WEIR_EINVAL; /* a whole number to a schema, but not to who reads the text */
        (void)snprintf(problem.text, sizeof problem.text, "expected a number without a point or an exponent");
    }
    weir_buffer_release(&text);
    if (status == WEIR_ENOMEM || status == WEIR_ELIMIT)
        return weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "no memory");
    return status == WEIR_OK ? WEIR_OK
                             : weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, parameter->name, "%s: %s",
                                                   parameter->name, problem.text);
}

static enum weir_status check_parameters(struct weir_operation_call *call, yyjson_val *openapi) {
    for (size_t i = 0; i < call->row->parameter_count; i++) {
        const struct operator__parameter *parameter = &call->row->parameters[i];
        if (!call->sent[i] && parameter->required)
            return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, parameter->name, "%s: it is required",
                                       parameter->name);
        if (!call->sent[i]) {
            call->values[i] = weir_span_of_string(parameter->initial);
            continue;
        }
        enum weir_status status = check_parameter(call, openapi, i);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* --- If-Match, the body, the confirmation --- */

static bool takes_version(const struct operator__row *row) {
    for (size_t i = 0; i < row->parameter_count; i++)
        if (row->parameters[i].place == OPERATOR__IN_HEADER && strcmp(row->parameters[i].name, "If-Match") == 0)
            return true;
    return false;
}

/* `"3"`, W/"3" or *: the schema of the rows that take it has checked more than this does. Nothing is of version 0, which for a handler stands for any. */
static enum weir_status read_version(struct weir_operation_call *call) {
    struct weir_span text = weir_operation_header(call, "if-match");
    if (!takes_version(call->row))
        return WEIR_OK;
    if (weir_span_starts_with(text, WEIR_SPAN("W/")))
        text = weir_span_from(text, 2);
    if (text.length < 2 || text.at[0] != '"' || text.at[text.length - 1] != '"' ||
        weir_span_to_uint64(weir_span_of(text.at + 1, text.length - 2), &call->expected_version) != WEIR_OK)
        return WEIR_OK;
    return call->expected_version != 0 ? WEIR_OK
                                       : weir_operation_fail(call, WEIR_REASON_VERSION_MISMATCH, NULL,
                                                             "nothing is of version 0, which If-Match names");
}

static enum weir_status read_body(struct weir_operation_call *call, yyjson_val *openapi) {
    struct weir_schema_problem problem;
    struct weir_span text = weir_buffer_span(&call->body);
    if (!call->row->has_body)
        return WEIR_OK; /* none has come */
    if (text.length == 0 && call->row->body_optional)
        return WEIR_OK;
    if (text.length == 0)
        return weir_operation_fail(call, WEIR_REASON_JSON_INVALID, NULL, "this operation needs a body");
    enum weir_status status = weir_json_read(call->arena, text, &call->document, &problem);
    if (status == WEIR_ENOMEM)
        return weir_operation_fail(call, WEIR_REASON_OVERLOADED, NULL, "no memory");
    if (status != WEIR_OK)
        return weir_operation_fail(call,
                                   status == WEIR_EEXIST ? WEIR_REASON_JSON_DUPLICATE_MEMBER : WEIR_REASON_JSON_INVALID,
                                   problem.member, "%s%s%s", problem.member, problem.member[0] != '\0' ? ": " : "",
                                   problem.text);
    status = weir_schema_check(openapi, call->schemas->body, yyjson_doc_get_root(call->document), &problem);
    if (status != WEIR_OK)
        return weir_operation_fail(call, problem.is_missing ? WEIR_REASON_FIELD_MISSING : WEIR_REASON_FIELD_INVALID,
                                   problem.member, "%s%s%s", problem.member, problem.member[0] != '\0' ? ": " : "",
                                   problem.text);
    return WEIR_OK;
}

static enum weir_status check_confirmation(struct weir_operation_call *call) {
    if (call->row->confirm == NULL)
        return WEIR_OK;
    struct weir_span wanted = weir_operation_path_value(call, call->row->confirm);
    struct weir_span in_body = weir_operation_body_text(call, "confirm");
    struct weir_span sent = in_body.length > 0 ? in_body : weir_operation_query_text(call, "confirm");
    if (weir_span_equal(wanted, sent))
        return WEIR_OK;
    return weir_operation_fail(call, WEIR_REASON_CONFIRMATION_REQUIRED, "confirm", "confirm must be \"%.*s\"",
                               (int)(wanted.length < 100 ? wanted.length : 100), wanted.at);
}

/* A key or token in the place of its id: it is in the logs of what lies between by now, and is repeated nowhere here. */
static enum weir_status check_ids(struct weir_operation_call *call) {
    static const char key_words[] =
        "a whole key stands where its id is expected; it has been shown: POST /api/v1/keys/emergency-revoke takes it in the body and ends it";
    static const char token_words[] =
        "a whole token stands where its id is expected; it has been shown: GET /auth/tokens has the ids, revoke it";
    struct weir_span brand = call->settings->brand;
    for (size_t i = 0; i < call->row->parameter_count; i++) {
        const struct operator__parameter *parameter = &call->row->parameters[i];
        bool is_key = strcmp(parameter->name, "key") == 0, is_token = strcmp(parameter->name, "token") == 0;
        if (parameter->place != OPERATOR__IN_PATH || !(is_key || is_token))
            continue;
        if (weir_span_starts_with(call->values[i], brand) && call->values[i].length > brand.length &&
            call->values[i].at[brand.length] == '_')
            return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, parameter->name, "%s",
                                       is_key ? key_words : token_words);
    }
    return WEIR_OK;
}

enum weir_status operator__validate(struct weir_operation_call *call, yyjson_val *openapi) {
    enum weir_status status = check_ids(call);
    if (status == WEIR_OK)
        status = read_query(call);
    if (status == WEIR_OK)
        status = read_headers(call);
    if (status == WEIR_OK)
        status = check_parameters(call, openapi);
    if (status == WEIR_OK)
        status = read_body(call, openapi);
    if (status == WEIR_OK)
        status = check_confirmation(call);
    return status == WEIR_OK ? read_version(call) : status;
}
