/* What a request gets: reading its head, choosing the endpoint, and what is no call. */
#include "sim/connection.h"

/* --- the head --- */

enum wish_kind { WISH_NUMBER, WISH_FLAG };

/* The x-sim-… fields that are numbers or flags. */
static const struct wish_row {
    const char *name;
    enum wish_kind kind;
    size_t offset;
    int64_t maximum;
} wish_rows[] = {
    {"x-sim-ttft", WISH_NUMBER, offsetof(struct sim_wishes, first_token_ms), 600000},
    {"x-sim-rate", WISH_NUMBER, offsetof(struct sim_wishes, tokens_per_second), 1000000000},
    {"x-sim-tokens", WISH_NUMBER, offsetof(struct sim_wishes, tokens), SIM_MAX_TOKENS},
    {"x-sim-bytes", WISH_NUMBER, offsetof(struct sim_wishes, bytes), (int64_t)64 * 1024 * 1024},
    {"x-sim-split", WISH_NUMBER, offsetof(struct sim_wishes, split), 1000000000},
    {"x-sim-crlf", WISH_FLAG, offsetof(struct sim_wishes, crlf), 1},
    {"x-sim-comments", WISH_FLAG, offsetof(struct sim_wishes, comments), 1},
    {"x-sim-multiline", WISH_FLAG, offsetof(struct sim_wishes, multiline), 1},
    {"x-sim-echo", WISH_FLAG, offsetof(struct sim_wishes, echo), 1},
    {"x-sim-sequential", WISH_FLAG, offsetof(struct sim_wishes, sequential), 1},
};

static void read_wish(struct sim_request *request, const struct weir_http_field *field, struct sim_fault *fault) {
    if (weir_span_equal_ignore_case(field->name, WEIR_SPAN("x-sim-fault"))) {
        request->bad_wish |= sim__fault_parse(field->value, fault, &request->problem) != WEIR_OK;
        return;
    }
    if (weir_span_equal_ignore_case(field->name, WEIR_SPAN("x-sim-script"))) {
        request->wishes.script = field->value;
        return;
    }
    for (size_t i = 0; i < sizeof wish_rows / sizeof wish_rows[0]; i++) {
        const struct wish_row *row = &wish_rows[i];
        if (!weir_span_equal_ignore_case(field->name, weir_span_of_string(row->name))) {
            continue;
        }
        uint64_t value = 0;
        if (weir_span_to_uint64(field->value, &value) != WEIR_OK || value > (uint64_t)row->maximum) {
            request->bad_wish = true;
            (void)weir_fail(&request->problem, WEIR_EINVAL, "%s must be a whole number up to %lld", row->name,
                            (long long)row->maximum);
        } else if (row->kind == WISH_NUMBER) {
            *(int64_t *)(void *)((char *)&request->wishes + row->offset) = (int64_t)value;
        } else {
            *(bool *)(void *)((char *)&request->wishes + row->offset) = value == 1;
        }
        return;
    }
}

static void read_caller(struct sim_caller *caller, const struct weir_http_field *field) {
    const struct {
        struct weir_span name;
        struct weir_span *value;
    } rows[] = {
        {WEIR_SPAN("authorization"), &caller->authorization}, {WEIR_SPAN("x-api-key"), &caller->x_api_key},
        {WEIR_SPAN("x-goog-api-key"), &caller->google_key},   {WEIR_SPAN("anthropic-version"), &caller->version},
        {WEIR_SPAN("anthropic-beta"), &caller->betas},        {WEIR_SPAN("host"), &caller->host},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (weir_span_equal_ignore_case(field->name, rows[i].name)) {
            *rows[i].value = field->value;
        }
    }
}

/* Spans into the parser's block, moved to the connection's copy of it. */
static void rebase(struct sim_request *request, struct weir_span block, const struct weir_buffer *copy) {
    struct sim_caller *caller = &request->caller;
    struct weir_span *spans[] = {&request->method,   &request->target,    &request->path,   &request->query,
                                 &request->id,       &request->type,      &request->object, &request->wishes.script,
                                 &caller->path,      &caller->query,      &caller->host,    &caller->authorization,
                                 &caller->x_api_key, &caller->google_key, &caller->version, &caller->betas};
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        uintptr_t offset = (uintptr_t)spans[i]->at - (uintptr_t)block.at;
        if (offset <= block.length) {
            spans[i]->at = copy->at + offset;
        }
    }
}

void sim__serve_head(struct sim_connection *connection, const struct weir_http_head *head, struct weir_span block) {
    const struct sim_settings *settings = &connection->server->settings;
    const struct weir_span none = WEIR_SPAN("");
    struct sim_request *request = &connection->request;
    *request = (struct sim_request){
        .method = head->method,
        .target = head->target,
        .path = head->path,
        .query = head->query,
        .id = WEIR_SPAN(""),
        .type = WEIR_SPAN(""),
        .http10 = head->minor_version == 0,
        .keep_alive = head->keep_alive,
        .caller = {.path = head->path,
                   .query = head->query,
                   .host = none,
                   .authorization = none,
                   .x_api_key = none,
                   .google_key = none,
                   .version = none,
                   .betas = none},
        .wishes = {.first_token_ms = settings->first_token_ms,
                   .tokens_per_second = settings->tokens_per_second,
                   .tokens = settings->output_tokens},
    };
    connection->fault.set = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct weir_http_field *field = &head->fields[i];
        char first = field->name.length > 0 ? (char)(field->name.at[0] | 0x20) : '\0';
        if (first == 'a' || first == 'x' || first == 'h') {
            read_caller(&request->caller, field);
        }
        if (first == 'c' && weir_span_equal_ignore_case(field->name, WEIR_SPAN("content-type"))) {
            request->type = field->value;
        } else if (first == 'x' && weir_span_equal_ignore_case(field->name, WEIR_SPAN("x-request-id"))) {
            request->id = field->value;
        } else if (first == 'x' && field->name.length > 6) {
            read_wish(request, field, &connection->fault);
        }
    }
    request->dialect = sim__dialect_find(&request->caller, head->method, &request->endpoint, &request->object);
    request->authorized = settings->no_auth || request->dialect->authorizes(&request->caller);
    rebase(request, block, &connection->head);
    if (request->endpoint != NULL && !request->endpoint->aside) {
        sim__call_begin(connection);
    }
}

/* --- the other endpoints --- */

static void serve_other(struct sim_connection *connection) {
    struct sim_request *request = &connection->request;
    bool reads = weir_span_equal(request->method, WEIR_SPAN("GET")) ||
                 weir_span_equal(request->method, WEIR_SPAN("HEAD"));
    struct sim_refusal refusal;
    if (reads && weir_span_equal(request->path, WEIR_SPAN("/health"))) {
        sim__reply(connection, 200, "application/json", WEIR_SPAN("{\"status\":\"ok\"}"));
    } else {
        sim__refuse(&refusal, 404, NULL, NULL, "Invalid URL (%.*s %.*s)",
                    request->method.length < 32 ? (int)request->method.length : 32, request->method.at,
                    request->path.length < 150 ? (int)request->path.length : 150, request->path.at);
        sim__reply_refusal(connection, &refusal);
    }
}

void sim__serve(struct sim_connection *connection) {
    struct sim_request *request = &connection->request;
    struct weir_span body = weir_buffer_span(&connection->body);
    if (request->answered) {
        sim__connection_done(connection);
        return;
    }
    if (sim__control(connection, body)) {
        return;
    }
    const struct sim_kept_request *kept = sim__kept_add(&connection->server->kept, &connection->head, &connection->body,
                                                        request->id);
    body = weir_buffer_span(&kept->body);
    if (request->endpoint != NULL && request->endpoint->aside) {
        sim__call_aside(connection, body);
    } else if (request->endpoint != NULL) {
        sim__call_serve(connection, body);
    } else {
        serve_other(connection);
    }
}
