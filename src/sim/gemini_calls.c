/* The Gemini API's dialect: its paths, keys and errors, and the calls that make no text: counting, vectors, lists of models. */
#include "sim/gemini.h"

#include "sim/dialect.h"

enum { MAX_REQUESTS = 100, MAX_PAGE = 1000, USUAL_PAGE = 50, USUAL_DIMENSIONS = 3072, SHOWN_MODEL = 100 };

enum weir_status sim__gemini_begin(struct sim_task *task, enum sim_gemini_message message, yyjson_val **root) {
    struct sim_refusal *refusal = &task->refusal;
    enum weir_status status = sim__task_name(task, &task->model);
    if (status == WEIR_OK) {
        status = sim__input_object(task->arena, task->content, root, refusal);
        if (status == WEIR_EINVAL) {
            sim__refuse(refusal, 400, NULL, NULL, "Invalid JSON payload received. Unexpected token.");
        }
    }
    if (status != WEIR_OK) {
        return status;
    }
    if (weir_span_equal(task->model, WEIR_SPAN("unknown-model"))) {
        sim__refuse(refusal, 404, NULL, NULL,
                    "models/unknown-model is not found for API version v1beta, or is not supported for "
                    "generateContent. Call ListModels to see the list of available models and their supported "
                    "methods.");
        return WEIR_EINVAL;
    }
    return sim__gemini_fields(message, *root, refusal) ? WEIR_OK : WEIR_EINVAL;
}

/* --- countTokens --- */

static bool count(struct sim_task *task, yyjson_val *root, struct sim_gemini_contents *contents) {
    yyjson_val *request = sim__gemini_get(root, "generateContentRequest");
    if (request != NULL && sim__gemini_get(root, "contents") != NULL) {
        sim__refuse(&task->refusal, 400, NULL, NULL,
                    "* CountTokensRequest.generate_content_request: only one of contents and generate_content_request "
                    "may be set.\n");
        return false;
    }
    return sim__gemini_contents(request != NULL ? request : root, task->model, contents, &task->refusal);
}

enum weir_status sim__gemini_count(struct sim_task *task) {
    struct sim_gemini_contents contents = {.hash = 0};
    yyjson_val *root = NULL;
    int64_t tokens = 0;
    enum weir_status status = sim__gemini_begin(task, SIM_GEMINI_COUNT_REQUEST, &root);
    if (status != WEIR_OK) {
        return status;
    }
    weir_buffer_init(&contents.arrived, SIM_GEMINI_MAX_ARRIVED);
    bool counted = count(task, root, &contents);
    weir_buffer_release(&contents.arrived);
    if (!counted) {
        return sim__task_failed(task);
    }
    for (int i = 0; i < SIM_MODALITIES; i++) {
        tokens += contents.tokens[i];
    }
    weir_buffer_printf(task->out,
                       "{\"totalTokens\":%lld,\"promptTokensDetails\":", (long long)sim__task_said(task, tokens));
    sim__gemini_modalities(task, contents.tokens, task->out);
    weir_buffer_append_byte(task->out, '}');
    task->object = true;
    return WEIR_OK;
}

/* --- embeddings --- */

static bool embed(struct sim_task *task, yyjson_val *request) {
    struct sim_gemini_contents contents = {.hash = 0};
    yyjson_val *content = sim__gemini_get(request, "content");
    yyjson_val *wanted = sim__gemini_get(request, "outputDimensionality");
    int64_t dimensions = wanted != NULL ? yyjson_get_sint(wanted) : USUAL_DIMENSIONS;
    struct weir_buffer *out = task->out;
    if (content == NULL) {
        sim__refuse(&task->refusal, 400, NULL, NULL, "* EmbedContentRequest.content: content is not specified\n");
        return false;
    }
    if (dimensions < 1 || dimensions > USUAL_DIMENSIONS) {
        sim__refuse(&task->refusal, 400, NULL, NULL,
                    "* EmbedContentRequest.output_dimensionality: must be between 1 and %d.\n", USUAL_DIMENSIONS);
        return false;
    }
    weir_buffer_init(&contents.arrived, SIM_GEMINI_MAX_ARRIVED);
    bool read = sim__gemini_content(content, "content", &contents, &task->refusal);
    weir_buffer_release(&contents.arrived);
    if (!read) {
        return false;
    }
    for (int i = 0; i < SIM_MODALITIES; i++) {
        task->usage.input += contents.tokens[i];
    }
    weir_buffer_append(out, WEIR_SPAN("{\"values\":"));
    sim__embedding_write(sim__mix(contents.hash), dimensions, out);
    weir_buffer_append_byte(out, '}');
    return true;
}

static void end_embeddings(struct sim_task *task) {
    const int64_t tokens[SIM_MODALITIES] = {task->usage.input};
    if (!task->no_usage) {
        weir_buffer_printf(task->out, ",\"usageMetadata\":{\"promptTokenCount\":%lld,\"promptTokensDetails\":",
                           (long long)sim__task_said(task, task->usage.input));
        sim__gemini_modalities(task, tokens, task->out);
        weir_buffer_append_byte(task->out, '}');
    }
    weir_buffer_append_byte(task->out, '}');
    task->object = true;
}

enum weir_status sim__gemini_embed(struct sim_task *task) {
    yyjson_val *root = NULL;
    enum weir_status status = sim__gemini_begin(task, SIM_GEMINI_EMBED_REQUEST, &root);
    if (status != WEIR_OK) {
        return status;
    }
    weir_buffer_append(task->out, WEIR_SPAN("{\"embedding\":"));
    if (!embed(task, root)) {
        return sim__task_failed(task);
    }
    end_embeddings(task);
    return WEIR_OK;
}

enum weir_status sim__gemini_embed_batch(struct sim_task *task) {
    yyjson_val *root = NULL;
    enum weir_status status = sim__gemini_begin(task, SIM_GEMINI_EMBED_BATCH, &root);
    if (status != WEIR_OK) {
        return status;
    }
    struct sim_gemini_list requests = sim__gemini_list(root, "requests");
    if (requests.count == 0 || requests.count > MAX_REQUESTS) {
        sim__refuse(&task->refusal, 400, NULL, NULL,
                    requests.count == 0 ? "* BatchEmbedContentsRequest.requests: requests is not specified\n"
                                        : "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one "
                                          "batch\n");
        return WEIR_EINVAL;
    }
    weir_buffer_append(task->out, WEIR_SPAN("{\"embeddings\":["));
    for (yyjson_val *one = sim__gemini_next(&requests); one != NULL; one = sim__gemini_next(&requests)) {
        struct weir_span model = sim__input_text(sim__gemini_get(one, "model"));
        if (!weir_span_starts_with(model, WEIR_SPAN("models/")) ||
            !weir_span_equal(weir_span_from(model, 7), task->model)) {
            sim__refuse(&task->refusal, 400, NULL, NULL,
                        "* BatchEmbedContentsRequest.requests[%zu].model: model must match the one in the batch "
                        "request.\n",
                        requests.index - 1);
            return WEIR_EINVAL;
        }
        weir_buffer_append(task->out, requests.index > 1 ? WEIR_SPAN(",") : WEIR_SPAN(""));
        if (!embed(task, one)) {
            return sim__task_failed(task);
        }
    }
    weir_buffer_append_byte(task->out, ']');
    end_embeddings(task);
    return WEIR_OK;
}

/* --- models --- */

static const char *const models[] = {"sim-small", "sim-large", "sim-reasoner", "sim-embedding"};
enum { MODEL_COUNT = sizeof models / sizeof models[0] };

static void write_model(struct weir_span name, struct weir_buffer *out) {
    bool embeds = sim__input_contains(name, "embed");
    weir_buffer_append(out, WEIR_SPAN("{\"name\":\"models/"));
    struct weir_buffer quoted;
    weir_buffer_init(&quoted, 6 * name.length + 2);
    weir_json_append_string(&quoted, name);
    struct weir_span text = weir_buffer_span(&quoted);
    weir_buffer_append(out, text.length > 0 ? weir_span_from(text, 1) : WEIR_SPAN("\""));
    weir_buffer_append(out, WEIR_SPAN(",\"version\":\"001\",\"displayName\":"));
    weir_buffer_append(out, text);
    weir_buffer_release(&quoted);
    weir_buffer_append(out, WEIR_SPAN(",\"description\":\"A model of the simulator\",\"inputTokenLimit\":1048576,"
                                      "\"outputTokenLimit\":1000000,\"supportedGenerationMethods\":"));
    if (embeds) {
        weir_buffer_append(out, WEIR_SPAN("[\"embedContent\",\"countTokens\"]}"));
        return;
    }
    weir_buffer_printf(out,
                       "[\"generateContent\",\"countTokens\"],\"temperature\":1,\"topP\":0.95,\"topK\":64,"
                       "\"maxTemperature\":2%s}",
                       sim__input_contains(name, "reasoner") ? ",\"thinking\":true" : "");
}

enum weir_status sim__gemini_models(struct sim_task *task) {
    struct weir_span text;
    uint64_t size = USUAL_PAGE;
    uint64_t from = 0;
    if (sim__task_query(task, "pageSize", &text) && weir_span_to_uint64(text, &size) != WEIR_OK) {
        sim__refuse(&task->refusal, 400, NULL, NULL, "Invalid value at 'page_size' (TYPE_INT32)");
        return WEIR_EINVAL;
    }
    if (sim__task_query(task, "pageToken", &text) && text.length > 0 &&
        (weir_span_to_uint64(text, &from) != WEIR_OK || from > MODEL_COUNT)) {
        sim__refuse(&task->refusal, 400, NULL, NULL, "Page token is not valid.");
        return WEIR_EINVAL;
    }
    size = size == 0 ? USUAL_PAGE : size > MAX_PAGE ? MAX_PAGE : size;
    uint64_t end = from + size < MODEL_COUNT ? from + size : MODEL_COUNT;
    weir_buffer_append(task->out, WEIR_SPAN("{\"models\":["));
    for (uint64_t i = from; i < end; i++) {
        weir_buffer_append(task->out, i > from ? WEIR_SPAN(",") : WEIR_SPAN(""));
        write_model(weir_span_of_string(models[i]), task->out);
    }
    weir_buffer_append_byte(task->out, ']');
    if (end < MODEL_COUNT) {
        weir_buffer_printf(task->out, ",\"nextPageToken\":\"%llu\"", (unsigned long long)end);
    }
    weir_buffer_append_byte(task->out, '}');
    return WEIR_OK;
}

enum weir_status sim__gemini_model(struct sim_task *task) {
    struct weir_span name;
    enum weir_status status = sim__task_name(task, &name);
    if (status != WEIR_OK) {
        return status;
    }
    if (weir_span_equal(name, WEIR_SPAN("unknown-model"))) {
        sim__refuse(&task->refusal, 404, NULL, NULL, "Model is not found: models/unknown-model for api version v1beta");
        return WEIR_EINVAL;
    }
    write_model(name, task->out);
    return WEIR_OK;
}

/* --- the dialect --- */

static const struct sim_endpoint endpoints[] = {
    {"POST", "/models/{model}:generateContent", SIM_BODY_RAW, sim__gemini_generate, false},
    {"POST", "/models/{model}:streamGenerateContent", SIM_BODY_RAW, sim__gemini_generate_stream, false},
    {"POST", "/models/{model}:countTokens", SIM_BODY_RAW, sim__gemini_count, false},
    {"POST", "/models/{model}:embedContent", SIM_BODY_RAW, sim__gemini_embed, false},
    {"POST", "/models/{model}:batchEmbedContents", SIM_BODY_RAW, sim__gemini_embed_batch, false},
    {"GET", "/models", SIM_BODY_NONE, sim__gemini_models, true},
    {"HEAD", "/models", SIM_BODY_NONE, sim__gemini_models, true},
    {"GET", "/models/{model}", SIM_BODY_NONE, sim__gemini_model, true},
    {"HEAD", "/models/{model}", SIM_BODY_NONE, sim__gemini_model, true},
};

static bool has_query_key(const struct sim_caller *caller) {
    struct weir_span rest = caller->query;
    while (!weir_span_is_empty(rest)) {
        struct weir_span one;
        (void)weir_span_split(rest, '&', &one, &rest);
        if (weir_span_starts_with(one, WEIR_SPAN("key=")) && one.length > 4) {
            return true;
        }
    }
    return false;
}

static bool claims(const struct sim_caller *caller) {
    return caller->google_key.length > 0 || has_query_key(caller) ||
           weir_span_starts_with(caller->path, WEIR_SPAN("/v1beta/"));
}

static bool authorizes(const struct sim_caller *caller) {
    return caller->google_key.length > 0 || has_query_key(caller) || sim__caller_has_bearer(caller);
}

static const struct status_row {
    unsigned status;
    const char *name;
    const char *message;
} statuses[] = {
    {400, "INVALID_ARGUMENT", "Request contains an invalid argument."},
    {401, "UNAUTHENTICATED",
     "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
     "authentication credential."},
    {403, "PERMISSION_DENIED",
     "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
     "form of API consumer identity to call this API."},
    {404, "NOT_FOUND", "Requested entity was not found."},
    {408, "DEADLINE_EXCEEDED", "The request timed out. Please try again."},
    {409, "ABORTED", "The operation was aborted."},
    {412, "FAILED_PRECONDITION", "User location is not supported for the API use."},
    {413, "INVALID_ARGUMENT", "Request payload size exceeds the limit."},
    {416, "OUT_OF_RANGE", "The operation was attempted past the valid range."},
    {429, "RESOURCE_EXHAUSTED",
     "You exceeded your current quota, please check your plan and billing details. Please retry later."},
    {499, "CANCELLED", "The operation was cancelled."},
    {500, "INTERNAL",
     "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting"},
    {501, "UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled."},
    {503, "UNAVAILABLE", "The model is overloaded. Please try again later."},
    {504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete."},
};

static const struct status_row *row_of(unsigned status) {
    static const struct status_row other = {0, "UNKNOWN", "A fault was asked for."};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].status == status) {
            return &statuses[i];
        }
    }
    return &other;
}

/* Whoever has no key at all is forbidden; a 401 is what `status=401` and a stale token get. */
static void refuse(unsigned status, const char *code, struct sim_refusal *refusal) {
    *refusal = (struct sim_refusal){.status = status, .code = code};
    (void)snprintf(refusal->message, sizeof refusal->message, "%s", row_of(status)->message);
}

static void begin_detail(bool *first, const char *type, struct weir_buffer *out) {
    weir_buffer_printf(out, "%s{\"@type\":\"type.googleapis.com/google.rpc.%s\"", *first ? ",\"details\":[" : ",",
                       type);
    *first = false;
}

static void write_details(const struct sim_refusal *refusal, struct weir_buffer *out) {
    bool first = true;
    if (refusal->status == 400 && sim__input_contains(weir_span_of_string(refusal->message), "Invalid ")) {
        begin_detail(&first, "BadRequest", out);
        weir_buffer_append(out, WEIR_SPAN(",\"fieldViolations\":[{\"description\":"));
        weir_json_append_string(out, weir_span_of_string(refusal->message));
        weir_buffer_append(out, WEIR_SPAN("}]}"));
    }
    if (refusal->status == 429) {
        begin_detail(&first, "QuotaFailure", out);
        weir_buffer_append(out, WEIR_SPAN(",\"violations\":[{\"quotaMetric\":\"generativelanguage.googleapis.com/"
                                          "generate_content_requests\",\"quotaId\":\"GenerateRequestsPerMinutePer"
                                          "ProjectPerModel\",\"quotaValue\":\"10\"}]}"));
    }
    if (refusal->has_retry_after) {
        begin_detail(&first, "RetryInfo", out);
        weir_buffer_printf(out, ",\"retryDelay\":\"%llds\"}", (long long)refusal->retry_after_s);
    }
    if (refusal->code != NULL || refusal->status == 401 || refusal->status == 403) {
        begin_detail(&first, "ErrorInfo", out);
        weir_buffer_append(out, WEIR_SPAN(",\"reason\":"));
        weir_json_append_string(out, weir_span_of_string(refusal->code != NULL    ? refusal->code
                                                         : refusal->status == 401 ? "ACCESS_TOKEN_INVALID"
                                                                                  : "CREDENTIALS_MISSING"));
        weir_buffer_append(out, WEIR_SPAN(",\"domain\":\"googleapis.com\",\"metadata\":{\"service\":"
                                          "\"generativelanguage.googleapis.com\"}}"));
    }
    if (!first) {
        weir_buffer_append_byte(out, ']');
    }
}

static void write_error(const struct sim_refusal *refusal, uint64_t served, struct weir_buffer *out) {
    (void)served;
    weir_buffer_printf(out, "{\"error\":{\"code\":%u,\"message\":", refusal->status);
    weir_json_append_string(out, weir_span_of_string(refusal->message));
    weir_buffer_printf(out, ",\"status\":\"%s\"", row_of(refusal->status)->name);
    write_details(refusal, out);
    weir_buffer_append(out, WEIR_SPAN("}}"));
}

/* There are no limits in the head, and no Retry-After: how long to wait is told in the error's details. */
static void write_fields(uint64_t served, const struct sim_refusal *refusal, struct weir_buffer *out) {
    (void)served;
    (void)refusal;
    weir_buffer_append(out, WEIR_SPAN("vary: Origin\r\nvary: X-Origin\r\nvary: Referer\r\n"
                                      "server: scaffolding on HTTPServer2\r\nx-xss-protection: 0\r\n"
                                      "x-frame-options: SAMEORIGIN\r\nx-content-type-options: nosniff\r\n"
                                      "server-timing: gfet4t7; dur=7\r\n"));
}

static void write_stream_error(struct weir_buffer *out) {
    struct sim_refusal refusal;
    refuse(500, NULL, &refusal);
    write_error(&refusal, 0, out);
}

static const char *const prefixes[] = {"/v1beta", "/v1", NULL};

const struct sim_dialect sim__gemini = {
    .name = "gemini",
    .stranger = 403,
    .prefixes = prefixes,
    .endpoints = endpoints,
    .endpoint_count = sizeof endpoints / sizeof endpoints[0],
    .claims = claims,
    .authorizes = authorizes,
    .refuse = refuse,
    .write_error = write_error,
    .write_fields = write_fields,
    .write_stream_error = write_stream_error,
};
