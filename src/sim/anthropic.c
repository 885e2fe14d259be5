/* Anthropic's dialect: the table of its endpoints, its errors, its header fields, and its list of models. */
#include "sim/anthropic.h"

#include "base/clock.h"

#include <yyjson.h>

static const struct sim_endpoint endpoints[] = {
    {"POST", "/messages", SIM_BODY_JSON, sim__anthropic_messages, false},
    {"POST", "/messages/count_tokens", SIM_BODY_JSON, sim__anthropic_count_tokens, false},
    {"POST", "/messages/batches", SIM_BODY_JSON, sim__anthropic_batches_create, false},
    {"GET", "/messages/batches", SIM_BODY_NONE, sim__anthropic_batches_list, false},
    {"GET", "/messages/batches/{id}", SIM_BODY_NONE, sim__anthropic_batches_get, false},
    {"DELETE", "/messages/batches/{id}", SIM_BODY_NONE, sim__anthropic_batches_delete, false},
    {"POST", "/messages/batches/{id}/cancel", SIM_BODY_NONE, sim__anthropic_batches_cancel, false},
    {"GET", "/messages/batches/{id}/results", SIM_BODY_NONE, sim__anthropic_batches_results, false},
    {"POST", "/files", SIM_BODY_FORM, sim__anthropic_files_create, false},
    {"GET", "/files", SIM_BODY_NONE, sim__anthropic_files_list, false},
    {"GET", "/files/{id}", SIM_BODY_NONE, sim__anthropic_files_get, false},
    {"DELETE", "/files/{id}", SIM_BODY_NONE, sim__anthropic_files_delete, false},
    {"GET", "/files/{id}/content", SIM_BODY_NONE, sim__anthropic_files_content, false},
    {"GET", "/models", SIM_BODY_NONE, sim__anthropic_models, true},
    {"GET", "/models/{model}", SIM_BODY_NONE, sim__anthropic_model, true},
};

/* --- errors --- */

static const struct {
    unsigned status;
    const char *type, *message;
} errors[] = {
    {400, "invalid_request_error", "The request is invalid."},
    {401, "authentication_error", "invalid x-api-key"},
    {402, "billing_error", "Your credit balance is too low to access the Anthropic API."},
    {403, "permission_error", "Your API key does not have permission to use the specified resource."},
    {404, "not_found_error", "The requested resource could not be found."},
    {413, "request_too_large", "Request exceeds the maximum size"},
    {429, "rate_limit_error", "This request would exceed your organization's rate limit. Please try again later."},
    {500, "api_error", "Internal server error"},
    {504, "timeout_error", "Request timed out"},
    {529, "overloaded_error", "Overloaded"},
};

static const char *type_of(unsigned status) {
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].status == status) {
            return errors[i].type;
        }
    }
    return status < 500 ? "invalid_request_error" : "api_error";
}

static void refuse(unsigned status, const char *code, struct sim_refusal *refusal) {
    const char *message = "A fault was asked for.";
    *refusal = (struct sim_refusal){.status = status, .type = code != NULL ? code : type_of(status)};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        message = errors[i].status == status ? errors[i].message : message;
    }
    (void)snprintf(refusal->message, sizeof refusal->message, "%s", message);
}

static void write_body(const struct sim_refusal *refusal, struct weir_buffer *out) {
    bool shared = refusal->type == NULL || strcmp(refusal->type, "invalid_request_error") == 0;
    weir_buffer_append(out, WEIR_SPAN("{\"type\":\"error\",\"error\":{\"type\":"));
    weir_json_append_string(out, weir_span_of_string(shared ? type_of(refusal->status) : refusal->type));
    weir_buffer_append(out, WEIR_SPAN(",\"message\":"));
    weir_json_append_string(out, weir_span_of_string(refusal->message));
    weir_buffer_append_byte(out, '}');
}

static void write_error(const struct sim_refusal *refusal, uint64_t served, struct weir_buffer *out) {
    write_body(refusal, out);
    weir_buffer_printf(out, ",\"request_id\":\"req_sim_%llu\"}", (unsigned long long)served);
}

static void write_stream_error(struct weir_buffer *out) {
    struct sim_refusal refusal;
    refuse(529, NULL, &refusal);
    write_body(&refusal, out);
    weir_buffer_append_byte(out, '}');
}

/* --- heads --- */

static void write_fields(uint64_t served, const struct sim_refusal *refusal, struct weir_buffer *out) {
    static const char *const limits[] = {"requests", "tokens", "input-tokens", "output-tokens"};
    weir_buffer_printf(out, "request-id: req_sim_%llu\r\nanthropic-organization-id: weir-sim\r\n",
                       (unsigned long long)served);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        weir_buffer_printf(out,
                           "anthropic-ratelimit-%s-limit: 4000000\r\nanthropic-ratelimit-%s-remaining: %s\r\n"
                           "anthropic-ratelimit-%s-reset: 2030-01-01T00:00:00Z\r\n",
                           limits[i], limits[i], refusal != NULL && refusal->status == 429 ? "0" : "3999999",
                           limits[i]);
    }
    if (refusal != NULL && refusal->has_retry_after) {
        weir_buffer_printf(out, "retry-after: %lld\r\n", (long long)refusal->retry_after_s);
    }
}

static bool claims(const struct sim_caller *caller) {
    return caller->version.length > 0 || caller->betas.length > 0 || caller->x_api_key.length > 0;
}

static bool authorizes(const struct sim_caller *caller) {
    return caller->x_api_key.length > 0 || sim__caller_has_bearer(caller);
}

static const char *const prefixes[] = {"/v1", "", NULL};

const struct sim_dialect sim__anthropic = {
    .name = "anthropic",
    .prefixes = prefixes,
    .endpoints = endpoints,
    .endpoint_count = sizeof endpoints / sizeof endpoints[0],
    .claims = claims,
    .authorizes = authorizes,
    .refuse = refuse,
    .write_error = write_error,
    .write_fields = write_fields,
    .error_event = "error",
    .write_stream_error = write_stream_error,
};

/* --- what lists share --- */

void sim__anthropic_time(int64_t time_s, struct weir_buffer *out) {
    char text[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(time_s * 1000000, text);
    weir_buffer_printf(out, "\"%.19sZ\"", text);
}

static size_t place_of(struct sim_object *const *objects, size_t count, struct weir_span id) {
    size_t at = 0;
    while (at < count && !weir_span_equal(objects[at]->id, id)) {
        at++;
    }
    return at;
}

static void write_id(const char *name, const struct sim_object *object, struct weir_buffer *out) {
    weir_buffer_append(out, weir_span_of_string(name));
    if (object == NULL) {
        weir_buffer_append(out, WEIR_SPAN("null"));
    } else {
        weir_json_append_string(out, object->id);
    }
}

enum weir_status sim__anthropic_page(struct sim_task *task, enum sim_object_kind kind,
                                     void (*write)(const struct sim_object *object, struct weir_buffer *out)) {
    const struct weir_list *list = sim__store_list(task->store, kind);
    size_t count = 0;
    struct weir_span text;
    uint64_t limit = 20;
    bool current = false;
    if (!sim__anthropic_check_version(task, &current)) {
        return WEIR_EINVAL;
    }
    if (sim__task_query(task, "limit", &text) &&
        (weir_span_to_uint64(text, &limit) != WEIR_OK || limit < 1 || limit > 1000)) {
        (void)sim__anthropic_refuse(task, "limit: Input should be from 1 to 1000");
        return WEIR_EINVAL;
    }
    for (const struct weir_list *link = list->next; link != list; link = link->next) {
        count++;
    }
    struct sim_object **objects = weir_arena_array(task->arena, count, sizeof(struct sim_object *));
    if (objects == NULL) {
        return WEIR_ENOMEM;
    }
    size_t at = count;
    for (struct weir_list *link = list->next; link != list; link = link->next) {
        objects[--at] = WEIR_CONTAINER_OF(link, struct sim_object, link);
    }
    size_t first = 0;
    size_t end = count;
    if (sim__task_query(task, "after_id", &text) || sim__task_query(task, "page", &text)) {
        text = weir_span_starts_with(text, WEIR_SPAN("page_")) ? weir_span_from(text, 5) : text;
        size_t place = place_of(objects, count, text);
        first = place < count ? place + 1 : count;
    } else if (sim__task_query(task, "before_id", &text)) {
        end = place_of(objects, count, text);
        first = end > limit ? end - (size_t)limit : 0;
    }
    size_t shown = end - first < limit ? end - first : (size_t)limit;
    weir_buffer_append(task->out, WEIR_SPAN("{\"data\":["));
    for (size_t i = 0; i < shown; i++) {
        weir_buffer_append(task->out, i > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
        write(objects[first + i], task->out);
    }
    bool more = first + shown < count;
    write_id("],\"first_id\":", shown > 0 ? objects[first] : NULL, task->out);
    write_id(",\"last_id\":", shown > 0 ? objects[first + shown - 1] : NULL, task->out);
    weir_buffer_printf(task->out, ",\"has_more\":%s,\"next_page\":", more ? "true" : "false");
    if (more && shown > 0) {
        weir_buffer_append(task->out, WEIR_SPAN("\"page_"));
        weir_buffer_append(task->out, objects[first + shown - 1]->id);
        weir_buffer_append(task->out, WEIR_SPAN("\"}"));
    } else {
        weir_buffer_append(task->out, WEIR_SPAN("null}"));
    }
    task->object = true;
    return WEIR_OK;
}

/* --- models --- */

#define YES "{\"supported\":true}"
#define NO "{\"supported\":false}"

static void write_model(struct weir_span id, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"type\":\"model\",\"id\":"));
    weir_json_append_string(out, id);
    weir_buffer_append(out, WEIR_SPAN(",\"display_name\":"));
    weir_json_append_string(out, id);
    weir_buffer_append(
        out, WEIR_SPAN(",\"created_at\":\"2026-01-01T00:00:00Z\",\"lifecycle\":\"active\",\"line\":null,"
                       "\"deprecated_at\":null,\"retires_at\":null,\"max_input_tokens\":200000,\"max_tokens\":64000,"
                       "\"capabilities\":{\"batch\":" YES ",\"citations\":" NO ",\"code_execution\":" NO
                       ",\"context_management\":" NO ",\"effort\":{\"supported\":true,\"low\":" YES ",\"medium\":" YES
                       ",\"high\":" YES ",\"xhigh\":" YES ",\"max\":" YES "},\"image_input\":" YES ",\"pdf_input\":" YES
                       ",\"server_tools\":{\"supported\":true,\"web_search\":" YES ",\"code_execution\":" NO
                       "},\"structured_outputs\":" YES ",\"thinking\":{\"supported\":true,\"types\":{\"enabled\":" YES
                       ",\"adaptive\":" YES ",\"between_tools\":" YES ",\"disabled\":" YES "}}}}"));
}

enum weir_status sim__anthropic_models(struct sim_task *task) {
    static const char *const names[] = {"claude-sim-large", "claude-sim-small", "claude-sim-redacted"};
    bool current = false;
    if (!sim__anthropic_check_version(task, &current)) {
        return WEIR_EINVAL;
    }
    weir_buffer_append(task->out, WEIR_SPAN("{\"data\":["));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        weir_buffer_append(task->out, i > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
        write_model(weir_span_of_string(names[i]), task->out);
    }
    weir_buffer_append(task->out, WEIR_SPAN("],\"first_id\":\"claude-sim-large\",\"last_id\":\"claude-sim-redacted\","
                                            "\"has_more\":false}"));
    return WEIR_OK;
}

enum weir_status sim__anthropic_model(struct sim_task *task) {
    struct weir_span name;
    bool current = false;
    enum weir_status status = sim__task_name(task, &name);
    if (status != WEIR_OK || !sim__anthropic_check_version(task, &current)) {
        return status != WEIR_OK ? status : WEIR_EINVAL;
    }
    if (weir_span_equal(name, WEIR_SPAN("unknown-model"))) {
        (void)sim__anthropic_refuse(task, "model: unknown-model");
        task->refusal.status = 404;
        return WEIR_EINVAL;
    }
    write_model(name, task->out);
    return WEIR_OK;
}
