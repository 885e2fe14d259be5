/* What the formats' readers of requests share: members of a body, fields of a form, and their problems in words. */
#include "dialect/impl.h"

enum weir_status dialect__field_problem(struct weir_call_problem *problem, enum weir_reason reason, const char *field,
                                        const char *expected, const struct weir_json_found *found) {
    problem->reason = reason;
    problem->field = field;
    if (found == NULL || found->kind == WEIR_JSON_NONE)
        (void)snprintf(problem->text, sizeof problem->text, "'%s' must be %s", field, expected);
    else
        (void)snprintf(problem->text, sizeof problem->text, "'%s' must be %s, not %s", field, expected,
                       weir_json_kind_name(found->kind));
    return WEIR_EINVAL;
}

bool dialect__is_absent(const struct weir_json_found *found) {
    return found->kind == WEIR_JSON_NONE || found->kind == WEIR_JSON_NULL;
}

bool dialect__is(const struct weir_json_found *found, const char *plain) {
    return found->kind == WEIR_JSON_STRING && weir_json_string_equals(found->value, weir_span_of_string(plain));
}

enum weir_status dialect__require(const struct weir_json_found *found, const char *field, const char *expected,
                                  struct weir_call_problem *problem) {
    if (!dialect__is_absent(found))
        return WEIR_OK;
    return dialect__field_problem(problem, WEIR_REASON_FIELD_MISSING, field, expected, NULL);
}

static enum weir_status scan_problem(enum weir_status status, const struct weir_json_problem *from,
                                     struct weir_call_problem *problem) {
    problem->field = "";
    if (status == WEIR_EEXIST) {
        problem->reason = WEIR_REASON_JSON_DUPLICATE_MEMBER;
        (void)snprintf(problem->text, sizeof problem->text, "%.*s at byte %zu",
                       (int)(from->member.length < 100 ? from->member.length : 100),
                       from->member.at != NULL ? from->member.at : "", from->offset);
    } else {
        problem->reason = WEIR_REASON_JSON_INVALID;
        (void)snprintf(problem->text, sizeof problem->text, "%s at byte %zu", from->text, from->offset);
    }
    return WEIR_EINVAL;
}

static void begin(struct weir_call *call, struct weir_span body) {
    *call = (struct weir_call){
        .body = body, .model = WEIR_SPAN(""), .choices = 1, .variant = WEIR_SPAN(""), .issued_id = WEIR_SPAN("")};
}

enum weir_status dialect__scan_call(struct weir_span body, const struct weir_json_want *wants, size_t count,
                                    struct weir_json_found *found, struct weir_call *call,
                                    struct weir_call_problem *problem) {
    struct weir_json_found root;
    struct weir_json_problem at = {.text = ""};
    enum weir_status status = weir_json_scan(body, wants, count, found, &root, &at);
    if (status != WEIR_OK)
        return scan_problem(status, &at, problem);
    if (root.kind != WEIR_JSON_OBJECT)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "body", "a JSON object", &root);
    begin(call, body);
    call->root_at = root.value_at;
    call->root_is_empty = root.elements == 0;
    return WEIR_OK;
}

enum weir_status dialect__read_text(struct weir_arena *arena, const struct weir_json_found *found, const char *field,
                                    struct weir_span *text, struct weir_call_problem *problem) {
    *text = WEIR_SPAN("");
    if (dialect__is_absent(found))
        return WEIR_OK;
    if (found->kind != WEIR_JSON_STRING)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, field, "a string", found);
    if (weir_json_plain_string(found->value, text))
        return WEIR_OK;
    char *decoded = weir_arena_alloc_raw(arena, found->value.length);
    size_t length = 0;
    if (decoded == NULL || weir_json_decode(found->value, decoded, found->value.length, &length) != WEIR_OK)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, field, "a string", NULL);
    *text = weir_span_of(decoded, length);
    return WEIR_OK;
}

enum weir_status dialect__read_model(struct weir_arena *arena, const struct weir_json_found *found,
                                     const char *otherwise, struct weir_call *call, struct weir_call_problem *problem) {
    static const char expected[] = "a string that names a model";
    call->model_member = *found;
    if (dialect__is_absent(found)) {
        if (otherwise == NULL)
            return dialect__field_problem(problem, WEIR_REASON_FIELD_MISSING, "model", "the name of a model", NULL);
        call->model = weir_span_of_string(otherwise);
        return WEIR_OK;
    }
    if (found->kind != WEIR_JSON_STRING)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "model", expected, found);
    if (dialect__read_text(arena, found, "model", &call->model, problem) != WEIR_OK || call->model.length == 0)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "model", expected, NULL);
    call->names_model = true;
    return WEIR_OK;
}

enum weir_status dialect__read_flag(const struct weir_json_found *found, const char *field, bool *value,
                                    struct weir_call_problem *problem) {
    *value = found->kind == WEIR_JSON_TRUE;
    if (dialect__is_absent(found) || *value || found->kind == WEIR_JSON_FALSE)
        return WEIR_OK;
    return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, field, "true or false", found);
}

enum weir_status dialect__read_count(const struct weir_json_found *found, const char *field, int64_t least,
                                     int64_t *value, struct weir_call_problem *problem) {
    static const char *const expected[] = {"a whole number, 0 or more", "a whole number, 1 or more"};
    if (dialect__is_absent(found))
        return WEIR_OK;
    int64_t read = 0;
    if (found->kind != WEIR_JSON_NUMBER || weir_json_int64(found->value, &read) != WEIR_OK || read < least)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, field, expected[least],
                                      found->kind == WEIR_JSON_NUMBER ? NULL : found);
    *value = read;
    return WEIR_OK;
}

static enum weir_status as_member(struct weir_arena *arena, const char *name, struct weir_span value, const char *end,
                                  struct weir_span *text) {
    struct weir_buffer buffer;
    weir_buffer_init(&buffer, 8 * WEIR_KIB);
    weir_buffer_append(&buffer, weir_span_of_string(name));
    weir_json_append_string(&buffer, value);
    weir_buffer_append(&buffer, weir_span_of_string(end));
    enum weir_status status = weir_buffer_status(&buffer);
    if (status == WEIR_OK)
        status = weir_arena_dup(arena, weir_buffer_span(&buffer), text);
    weir_buffer_release(&buffer);
    return status;
}

enum weir_status dialect__edit_model(struct weir_arena *arena, const struct weir_call *call,
                                     struct weir_span upstream_model, struct weir_json_splice *splice) {
    struct weir_span text;
    enum weir_status status;
    if (weir_span_equal(call->model, upstream_model))
        return WEIR_OK;
    const struct weir_json_found *member = &call->model_member;
    if (member->kind != WEIR_JSON_NONE) {
        status = as_member(arena, "", upstream_model, "", &text);
        return status != WEIR_OK ? status : weir_json_splice_add(splice, member->value_at, member->value.length, text);
    }
    status = as_member(arena, "\"model\":", upstream_model, call->root_is_empty ? "" : ",", &text);
    return status != WEIR_OK ? status : weir_json_splice_add(splice, call->root_at + 1, 0, text);
}

enum weir_status dialect__edit_output_limit(struct weir_arena *arena, const struct weir_call *call,
                                            struct weir_json_splice *splice) {
    bool stands = false;
    if (call->clamped_output_tokens == 0)
        return WEIR_OK;
    const char *number = weir_arena_format(arena, "%lld", (long long)call->clamped_output_tokens);
    const char *member = weir_arena_format(arena, "\"%s\":%lld%s", call->output_limit_name,
                                           (long long)call->clamped_output_tokens, call->root_is_empty ? "" : ",");
    if (number == NULL || member == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < sizeof call->output_limits / sizeof *call->output_limits; i++) {
        const struct weir_json_found *limit = &call->output_limits[i];
        if (limit->kind == WEIR_JSON_NONE)
            continue;
        stands = stands || limit->kind == WEIR_JSON_NUMBER;
        enum weir_status status = limit->kind == WEIR_JSON_NULL
                                      ? WEIR_OK
                                      : weir_json_splice_add(splice, limit->value_at, limit->value.length,
                                                             weir_span_of_string(number));
        if (status != WEIR_OK)
            return status;
    }
    if (stands)
        return WEIR_OK;
    for (size_t i = 0; i < sizeof call->output_limits / sizeof *call->output_limits; i++)
        if (call->output_limits[i].kind == WEIR_JSON_NULL) /* it stands there, and says nothing */
            return weir_json_splice_add(splice, call->output_limits[i].value_at, call->output_limits[i].value.length,
                                        weir_span_of_string(number));
    return weir_json_splice_add(splice, call->root_at + 1, 0, weir_span_of_string(member));
}

/* --- forms --- */

enum weir_status dialect__form_find(const struct weir_form *form, const char *name, const struct weir_span **value,
                                    struct weir_call_problem *problem) {
    *value = NULL;
    for (size_t i = 0; i < form->field_count; i++) {
        if (!weir_span_equal(form->fields[i].name, weir_span_of_string(name)))
            continue;
        if (*value != NULL) {
            problem->reason = WEIR_REASON_FORM_INVALID;
            problem->field = name;
            (void)snprintf(problem->text, sizeof problem->text, "the field '%s' stands in the form twice", name);
            return WEIR_EINVAL;
        }
        *value = &form->fields[i].value;
    }
    return WEIR_OK;
}

enum weir_status dialect__form_begin(const struct weir_form *form, const char *otherwise, struct weir_call *call,
                                     struct weir_call_problem *problem) {
    const struct weir_span *model, *stream;
    begin(call, WEIR_SPAN(""));
    if (dialect__form_find(form, "model", &model, problem) != WEIR_OK ||
        dialect__form_find(form, "stream", &stream, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (model == NULL && otherwise == NULL)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_MISSING, "model", "the name of a model", NULL);
    if (model != NULL && model->length == 0)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "model", "the name of a model", NULL);
    call->names_model = model != NULL;
    call->model = model != NULL ? *model : weir_span_of_string(otherwise);
    call->stream = stream != NULL && (weir_span_equal_ignore_case(*stream, WEIR_SPAN("true")) ||
                                      weir_span_equal(*stream, WEIR_SPAN("1")));
    return WEIR_OK;
}

enum weir_status dialect__form_require_file(const struct weir_form *form, const char *field,
                                            struct weir_call_problem *problem) {
    if (form->file_count > 0)
        return WEIR_OK;
    return dialect__field_problem(problem, WEIR_REASON_FIELD_MISSING, field, "a file", NULL);
}
