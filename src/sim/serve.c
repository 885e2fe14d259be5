/* What a request gets: reading its head, choosing the endpoint, and turning a call and its fault into a transfer. */
#include "sim/connection.h"

#include "http/url.h"

#define FULL_HEAD_FIELDS                                                                             \
    "openai-version: 2020-10-01\r\nopenai-processing-ms: 7\r\nx-ratelimit-limit-requests: 10000\r\n" \
    "x-ratelimit-remaining-requests: 9999\r\nx-ratelimit-reset-requests: 6ms\r\n"

enum { SLOW_PIECE_BYTES = 64 };

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

static bool is_chat_path(struct weir_span path) {
    return weir_span_equal(path, WEIR_SPAN("/v1/chat/completions")) ||
           weir_span_equal(path, WEIR_SPAN("/chat/completions"));
}

static void copy_text(struct weir_span text, char *out, size_t out_size) {
    size_t length = text.length < out_size - 1 ? text.length : out_size - 1;
    memcpy(out, text.at, length);
    out[length] = '\0';
}

static void begin_call(struct sim_connection *connection) {
    struct sim_server *server = connection->server;
    const struct sim_fault *planned = connection->fault.set == 0 ? sim__plan_take(&server->plan) : NULL;
    if (planned != NULL) {
        connection->fault = *planned;
    }
    struct sim_call *call = &connection->call;
    call->number = ++server->served;
    call->began_utc_us = weir_loop_utc_us(server->loop);
    copy_text(connection->request.id, call->request_id, sizeof call->request_id);
    copy_text(weir_span_of_string(connection->fault.set != 0 ? connection->fault.text : ""), call->fault,
              sizeof call->fault);
    call->model[0] = '\0';
    call->stream = false;
    call->status = 0;
    call->prompt_tokens = call->completion_tokens = call->cached_tokens = call->reasoning_tokens = 0;
    connection->call_open = true;
    server->open_calls++;
    connection->chat = (struct sim_chat){.n = 0};
    connection->transfer = (struct sim_transfer){.status = 0};
}

/* The answer goes out before the request's body has come. */
static void answer_early(struct sim_connection *connection) {
    struct sim_refusal refusal;
    const char *code = connection->fault.code[0] != '\0' ? connection->fault.code : NULL;
    sim__answer_status_refusal((unsigned)connection->fault.value[SIM_FAULT_EARLY_ANSWER], code, &refusal);
    connection->request.answered = true;
    connection->call.status = refusal.status;
    sim__connection_log(connection, true, false);
    sim__reply_refusal(connection, &refusal);
}

/* Spans into the parser's block, moved to the connection's copy of it. */
static void rebase(struct sim_request *request, struct weir_span block, const struct weir_buffer *copy) {
    struct weir_span *spans[] = {&request->method, &request->target, &request->path, &request->query, &request->id};
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        uintptr_t offset = (uintptr_t)spans[i]->at - (uintptr_t)block.at;
        if (offset <= block.length) {
            spans[i]->at = copy->at + offset;
        }
    }
}

void sim__serve_head(struct sim_connection *connection, const struct weir_http_head *head, struct weir_span block) {
    const struct sim_settings *settings = &connection->server->settings;
    struct sim_request *request = &connection->request;
    *request = (struct sim_request){
        .method = head->method,
        .target = head->target,
        .path = head->path,
        .query = head->query,
        .id = WEIR_SPAN(""),
        .http10 = head->minor_version == 0,
        .keep_alive = head->keep_alive,
        .authorized = settings->no_auth,
        .wishes = {.first_token_ms = settings->first_token_ms,
                   .tokens_per_second = settings->tokens_per_second,
                   .tokens = settings->output_tokens},
    };
    connection->fault.set = 0;
    request->is_chat = is_chat_path(head->path) && weir_span_equal(head->method, WEIR_SPAN("POST"));
    for (size_t i = 0; i < head->field_count; i++) {
        const struct weir_http_field *field = &head->fields[i];
        char first = field->name.length > 0 ? (char)(field->name.at[0] | 0x20) : '\0';
        if (first == 'a' && weir_span_equal_ignore_case(field->name, WEIR_SPAN("authorization"))) {
            request->authorized |= weir_span_starts_with(field->value, WEIR_SPAN("Bearer ")) &&
                                   field->value.length > strlen("Bearer ");
        } else if (first == 'x' && weir_span_equal_ignore_case(field->name, WEIR_SPAN("x-request-id"))) {
            request->id = field->value;
        } else if (first == 'x' && field->name.length > 6) {
            read_wish(request, field, &connection->fault);
        }
    }
    rebase(request, block, &connection->head);
    if (request->is_chat) {
        begin_call(connection);
        if (sim__fault_has(&connection->fault, SIM_FAULT_EARLY_ANSWER)) {
            answer_early(connection);
        }
    }
}

/* --- answers to calls --- */

/* Puts head and body where the transfer finds them. */
static bool set_answer(struct sim_connection *connection, unsigned status, const char *type, struct weir_span fields,
                       bool streaming) {
    struct sim_transfer *transfer = &connection->transfer;
    struct weir_buffer *out = &connection->server->units;
    weir_buffer_clear(out);
    bool http10 = connection->request.http10;
    bool bad_chunk = sim__fault_has(&connection->fault, SIM_FAULT_BAD_CHUNK) && !http10;
    transfer->status = status;
    transfer->streaming = streaming;
    transfer->chunked = !http10 && (streaming || bad_chunk);
    if (streaming && http10) {
        connection->request.keep_alive = false; /* the end of the connection is the end of the body */
    }
    struct sim_head head = {
        .status = status,
        .type = type,
        .length = streaming || bad_chunk ? -1 : (int64_t)transfer->body.length,
        .chunked = transfer->chunked,
        .close = !connection->request.keep_alive,
        .fields = fields,
    };
    sim__write_head(connection, &head, out);
    return weir_buffer_status(out) == WEIR_OK &&
           weir_arena_dup(connection->arena, weir_buffer_span(out), &transfer->head) == WEIR_OK;
}

/* An error, whole and at once. The fields are lines. */
static bool set_refusal(struct sim_connection *connection, const struct sim_refusal *refusal, struct weir_span fields) {
    struct weir_buffer *body = &connection->server->body;
    connection->chat = (struct sim_chat){.n = 0};
    connection->transfer.units = 1;
    weir_buffer_clear(body);
    sim__answer_error(refusal, body);
    return weir_buffer_status(body) == WEIR_OK &&
           weir_arena_dup(connection->arena, weir_buffer_span(body), &connection->transfer.body) == WEIR_OK &&
           set_answer(connection, refusal->status, "application/json", fields, false);
}

static bool set_status_fault(struct sim_connection *connection, unsigned status) {
    const struct sim_fault *fault = &connection->fault;
    struct sim_refusal refusal;
    sim__answer_status_refusal(status, fault->code[0] != '\0' ? fault->code : NULL, &refusal);
    char *fields = weir_arena_format(connection->arena, FULL_HEAD_FIELDS "x-request-id: req_sim_%llu\r\n",
                                     (unsigned long long)connection->call.number);
    if (fields != NULL && sim__fault_has(fault, SIM_FAULT_RETRY_AFTER)) {
        fields = weir_arena_format(connection->arena, "%sretry-after: %lld\r\n", fields,
                                   (long long)fault->value[SIM_FAULT_RETRY_AFTER]);
    }
    return fields != NULL && set_refusal(connection, &refusal, weir_span_of_string(fields));
}

static bool set_wrong_type(struct sim_connection *connection) {
    connection->chat = (struct sim_chat){.n = 0};
    connection->transfer.damaged = true;
    connection->transfer.units = 1;
    connection->transfer.body = WEIR_SPAN("<!doctype html><html><head><title>Welcome</title></head><body><h1>It works, "
                                          "but this is not an API.</h1></body></html>\n");
    return set_answer(connection, 200, "text/html; charset=utf-8", WEIR_SPAN(""), false);
}

/* Where an answer breaks off, and how. For streams the place is a number of tokens, else the middle of the body. */
static void set_cut(struct sim_connection *connection) {
    static const struct {
        enum sim_fault_kind fault;
        enum sim_cut cut;
        enum { AT_START, AT_MIDDLE, AT_VALUE } place;
        bool streams_only;
    } cuts[] = {
        {SIM_FAULT_RESET_AFTER_HEAD, SIM_CUT_RESET, AT_START, false},
        {SIM_FAULT_RESET_MID, SIM_CUT_RESET, AT_MIDDLE, false},
        {SIM_FAULT_STALL, SIM_CUT_STALL, AT_VALUE, false},
        {SIM_FAULT_TRUNCATE, SIM_CUT_END, AT_VALUE, false},
        {SIM_FAULT_CUT, SIM_CUT_CLOSE, AT_VALUE, false},
        {SIM_FAULT_BAD_CHUNK, SIM_CUT_BAD_CHUNK, AT_MIDDLE, false},
        {SIM_FAULT_ERROR_EVENT, SIM_CUT_ERROR_EVENT, AT_MIDDLE, true},
        {SIM_FAULT_BAD_JSON, SIM_CUT_BROKEN, AT_MIDDLE, true},
    };
    struct sim_transfer *transfer = &connection->transfer;
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        if (!sim__fault_has(&connection->fault, cuts[i].fault) || (cuts[i].streams_only && !transfer->streaming)) {
            continue;
        }
        transfer->cut = cuts[i].cut;
        transfer->damaged = true;
        if (!transfer->streaming) {
            transfer->units = transfer->units < 2 ? 2 : transfer->units;
            transfer->cut_at = cuts[i].place == AT_START ? 0 : (transfer->units + 1) / 2;
        } else if (cuts[i].place == AT_START) {
            transfer->cut_at = 0;
        } else {
            size_t tokens = cuts[i].place == AT_VALUE ? (size_t)connection->fault.value[cuts[i].fault]
                                                      : connection->chat.n * connection->chat.longest / 2;
            transfer->cut_at = sim__stream_unit_of_token(&transfer->stream, tokens);
        }
        if (transfer->cut == SIM_CUT_BAD_CHUNK && !transfer->chunked) {
            transfer->cut = SIM_CUT_CLOSE;
        }
        return;
    }
}

static int64_t ms_to_ns(int64_t ms) {
    return ms * 1000000;
}

/* The pace: the wishes, and what the faults add. `body` is the body of an answer that is not streamed. */
static void set_pace(struct sim_connection *connection) {
    const struct sim_wishes *wishes = &connection->request.wishes;
    const struct sim_chat *chat = &connection->chat;
    struct sim_transfer *transfer = &connection->transfer;
    int64_t gap_ns = wishes->tokens_per_second > 0 ? 1000000000 / wishes->tokens_per_second : 0;
    int64_t slow_ns = ms_to_ns(connection->fault.value[SIM_FAULT_SLOW_BODY]);
    bool slow = sim__fault_has(&connection->fault, SIM_FAULT_SLOW_BODY);
    if (transfer->streaming) {
        int64_t thinking_ns = chat->reasoning_tokens / (int64_t)chat->n * gap_ns;
        transfer->gap_ns = gap_ns + (slow ? slow_ns : 0);
        transfer->first_due_ns = transfer->head_due_ns + ms_to_ns(wishes->first_token_ms) + thinking_ns;
    } else {
        transfer->head_due_ns += ms_to_ns(wishes->first_token_ms) + chat->completion_tokens * gap_ns;
        transfer->first_due_ns = transfer->head_due_ns;
        transfer->gap_ns = slow ? slow_ns : 0;
        if (slow) {
            transfer->units = (transfer->body.length + SLOW_PIECE_BYTES - 1) / SLOW_PIECE_BYTES;
        }
    }
}

static bool set_completion(struct sim_connection *connection) {
    struct sim_server *server = connection->server;
    const struct sim_fault *fault = &connection->fault;
    struct sim_transfer *transfer = &connection->transfer;
    char id[sizeof "chatcmpl-" + 28] = "chatcmpl-";
    weir_base62_random(weir_loop_random(server->loop), id + strlen("chatcmpl-"), 28);
    struct sim_answer_facts facts = {
        .id = id,
        .created_s = connection->call.began_utc_us / 1000000,
        .served = connection->call.number,
        .usage_factor = sim__fault_has(fault, SIM_FAULT_WRONG_USAGE) ? fault->value[SIM_FAULT_WRONG_USAGE] : 1,
        .no_usage = sim__fault_has(fault, SIM_FAULT_NO_USAGE),
    };
    char *fields = weir_arena_format(connection->arena, FULL_HEAD_FIELDS "x-request-id: req_sim_%llu\r\n",
                                     (unsigned long long)connection->call.number);
    if (fields == NULL) {
        return false;
    }
    if (connection->chat.stream) {
        if (sim__stream_init(connection->arena, &connection->chat, &facts, &connection->request.wishes,
                             sim__fault_has(fault, SIM_FAULT_NO_DONE), &transfer->stream) != WEIR_OK ||
            !set_answer(connection, 200, "text/event-stream; charset=utf-8", weir_span_of_string(fields), true)) {
            return false;
        }
        transfer->units = transfer->stream.units;
        transfer->paced = true;
    } else {
        weir_buffer_clear(&server->body);
        sim__answer_write(&connection->chat, &facts, &server->body);
        transfer->body = weir_buffer_span(&server->body);
        if (sim__fault_has(fault, SIM_FAULT_BAD_JSON)) {
            transfer->damaged = true;
            transfer->body.length = transfer->body.length * 2 / 3;
        }
        if (weir_buffer_status(&server->body) != WEIR_OK ||
            !set_answer(connection, 200, "application/json", weir_span_of_string(fields), false)) {
            return false;
        }
        transfer->units = 1;
    }
    set_pace(connection);
    set_cut(connection);
    if (!transfer->streaming) {
        transfer->paced = transfer->units > 1 || transfer->head_due_ns > weir_loop_now_ns(server->loop);
        return !transfer->paced || weir_arena_dup(connection->arena, transfer->body, &transfer->body) == WEIR_OK;
    }
    return true;
}

/* A fault that comes instead of an answer; true when there was one. */
static bool set_no_answer(struct sim_connection *connection) {
    static const struct {
        enum sim_fault_kind fault;
        enum sim_cut cut;
    } ends[] = {
        {SIM_FAULT_RESET, SIM_CUT_RESET},
        {SIM_FAULT_CLOSE, SIM_CUT_CLOSE},
        {SIM_FAULT_SILENCE, SIM_CUT_STALL},
        {SIM_FAULT_STALL_HEAD, SIM_CUT_STALL},
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (sim__fault_has(&connection->fault, ends[i].fault)) {
            connection->transfer.cut = ends[i].cut;
            if (ends[i].fault == SIM_FAULT_STALL_HEAD) {
                connection->transfer.head = WEIR_SPAN("HTTP/1.1 200 OK\r\n");
            }
            return true;
        }
    }
    return false;
}

static void no_memory(struct sim_connection *connection) {
    sim__connection_log(connection, false, false);
    connection->ending = SIM_RESET;
    sim__connection_queue(connection);
}

static void serve_chat(struct sim_connection *connection, struct weir_span body) {
    struct sim_server *server = connection->server;
    const struct sim_request *request = &connection->request;
    const struct sim_fault *fault = &connection->fault;
    struct sim_chat *chat = &connection->chat;
    struct sim_transfer *transfer = &connection->transfer;
    struct sim_refusal refusal;
    int64_t huge = sim__fault_has(fault, SIM_FAULT_HUGE) ? fault->value[SIM_FAULT_HUGE] : 0;
    enum weir_status status = sim__chat_read(connection->arena, server->scratch, body, &request->wishes, huge,
                                             &server->memory, chat, &refusal);
    weir_arena_reset(server->scratch);
    copy_text(chat->model, connection->call.model, sizeof connection->call.model);
    connection->call.stream = chat->stream;
    if (!request->authorized) {
        sim__answer_status_refusal(401, NULL, &refusal);
        status = WEIR_EINVAL;
    } else if (request->bad_wish) {
        sim__refuse(&refusal, 400, NULL, "bad_simulator_field", "%s", request->problem.text);
        status = WEIR_EINVAL;
    }
    transfer->split = (size_t)request->wishes.split;
    transfer->head_due_ns = weir_loop_now_ns(server->loop);
    if (sim__fault_has(fault, SIM_FAULT_DELAY)) {
        transfer->head_due_ns += ms_to_ns(fault->value[SIM_FAULT_DELAY]);
    }
    if (sim__fault_has(fault, SIM_FAULT_INTERIM) && !request->http10) {
        weir_buffer_append(&connection->out,
                           WEIR_SPAN("HTTP/1.1 103 Early Hints\r\nlink: </docs>; rel=preload\r\n\r\n"));
        sim__connection_queue(connection);
    }
    bool set;
    if (status == WEIR_ENOMEM) {
        set = false;
    } else if (status == WEIR_EINVAL) {
        set = set_refusal(connection, &refusal, WEIR_SPAN(""));
    } else if (set_no_answer(connection)) {
        set = true;
    } else if (sim__fault_has(fault, SIM_FAULT_STATUS)) {
        set = set_status_fault(connection, (unsigned)fault->value[SIM_FAULT_STATUS]);
    } else if (sim__fault_has(fault, SIM_FAULT_ERROR_EVENT) && !chat->stream) {
        set = set_status_fault(connection, 500);
    } else if (sim__fault_has(fault, SIM_FAULT_WRONG_TYPE)) {
        set = set_wrong_type(connection);
    } else {
        set = set_completion(connection);
    }
    if (set) {
        sim__transfer_start(connection);
    } else {
        no_memory(connection);
    }
}

/* --- the other endpoints --- */

static void serve_models(struct sim_connection *connection, struct weir_span id) {
    struct sim_refusal refusal;
    struct weir_buffer body;
    if (!connection->request.authorized) {
        sim__answer_status_refusal(401, NULL, &refusal);
        sim__reply_refusal(connection, &refusal);
        return;
    }
    if (weir_span_equal(id, WEIR_SPAN("unknown-model"))) {
        sim__refuse(&refusal, 404, "model", "model_not_found", "The model 'unknown-model' does not exist");
        sim__reply_refusal(connection, &refusal);
        return;
    }
    weir_buffer_init(&body, 256 * WEIR_KIB);
    if (weir_span_is_empty(id)) {
        sim__answer_models(&body);
    } else {
        sim__answer_model(id, &body);
    }
    sim__reply(connection, 200, "application/json", weir_buffer_span(&body));
    weir_buffer_release(&body);
}

/* The name behind /v1/models/, decoded; false where the path is another. */
static bool models_path(struct sim_connection *connection, struct weir_span *id) {
    const struct weir_span starts[] = {WEIR_SPAN("/v1/models"), WEIR_SPAN("/models")};
    struct weir_span path = connection->request.path;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (weir_span_equal(path, starts[i])) {
            *id = WEIR_SPAN("");
            return true;
        }
        if (weir_span_starts_with(path, starts[i]) && path.at[starts[i].length] == '/' &&
            path.length > starts[i].length + 1) {
            struct weir_span rest = weir_span_from(path, starts[i].length + 1);
            char *decoded = weir_arena_alloc_raw(connection->arena, rest.length);
            size_t length = 0;
            if (decoded == NULL || weir_url_decode(rest, decoded, &length) != WEIR_OK) {
                return false;
            }
            *id = weir_span_of(decoded, length);
            return true;
        }
    }
    return false;
}

static void serve_other(struct sim_connection *connection) {
    struct sim_request *request = &connection->request;
    bool reads = weir_span_equal(request->method, WEIR_SPAN("GET")) ||
                 weir_span_equal(request->method, WEIR_SPAN("HEAD"));
    struct sim_refusal refusal;
    struct weir_span id;
    if (reads && weir_span_equal(request->path, WEIR_SPAN("/health"))) {
        sim__reply(connection, 200, "application/json", WEIR_SPAN("{\"status\":\"ok\"}"));
    } else if (reads && models_path(connection, &id)) {
        serve_models(connection, id);
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
    if (request->is_chat) {
        serve_chat(connection, body);
    } else {
        serve_other(connection);
    }
}
