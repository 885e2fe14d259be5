/* A call to an endpoint of the API: what it asks for, the fault that it is given, and the transfer that both make. */
#include "sim/connection.h"

#include "sim/form.h"
#include "sim/scripted.h"

enum { SLOW_PIECE_BYTES = 64 };

static int64_t ms_to_ns(int64_t ms) {
    return ms * 1000000;
}

/* --- the start: the head is there --- */

static void copy_text(struct weir_span text, char *out, size_t out_size) {
    size_t length = text.length < out_size - 1 ? text.length : out_size - 1;
    memcpy(out, text.at, length);
    out[length] = '\0';
}

static void choose_fault(struct sim_connection *connection) {
    struct sim_server *server = connection->server;
    int64_t now_ms = weir_loop_now_ns(server->loop) / 1000000;
    if (connection->fault.set == 0) {
        const struct sim_fault *planned = sim__plan_take(&server->plan, now_ms);
        if (planned != NULL) {
            connection->fault = *planned;
        }
    } else if (!sim__fault_is_down(&connection->fault, now_ms - server->started_ns / 1000000)) {
        connection->fault.set = 0;
    }
}

/* The answer goes out before the request's body has come. */
static bool answer_early(struct sim_connection *connection) {
    static const enum sim_fault_kind kinds[] = {SIM_FAULT_EARLY_ANSWER, SIM_FAULT_EARLY_CLOSE, SIM_FAULT_EARLY_RESET};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!sim__fault_has(&connection->fault, kinds[i])) {
            continue;
        }
        struct sim_refusal refusal;
        const char *code = connection->fault.code[0] != '\0' ? connection->fault.code : NULL;
        connection->request.dialect->refuse((unsigned)connection->fault.value[kinds[i]], code, &refusal);
        connection->request.answered = true;
        connection->request.keep_alive &= kinds[i] == SIM_FAULT_EARLY_ANSWER;
        connection->call.status = refusal.status;
        sim__connection_log(connection, true, false);
        sim__reply_refusal(connection, &refusal);
        return true;
    }
    return false;
}

void sim__call_begin(struct sim_connection *connection) {
    struct sim_server *server = connection->server;
    choose_fault(connection);
    connection->call = (struct sim_call){
        .number = ++server->served,
        .began_utc_us = weir_loop_utc_us(server->loop),
        .method = connection->request.endpoint->method,
        .path = connection->request.endpoint->path,
        .dialect = connection->request.dialect->name,
    };
    struct sim_call *call = &connection->call;
    copy_text(connection->request.id, call->request_id, sizeof call->request_id);
    copy_text(weir_span_of_string(connection->fault.set != 0 ? connection->fault.text : ""), call->fault,
              sizeof call->fault);
    connection->call_open = true;
    server->open_calls++;
    connection->task.usage = (struct weir_usage){.input = 0};
    connection->transfer = (struct sim_transfer){.status = 0};
    (void)answer_early(connection);
}

/* --- answers --- */

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

/* The fields of this call's answer, in the arena. */
static bool make_fields(struct sim_connection *connection, const struct sim_refusal *refusal,
                        struct weir_span *fields) {
    struct weir_buffer *out = &connection->server->units;
    weir_buffer_clear(out);
    connection->request.dialect->write_fields(connection->call.number, refusal, out);
    return weir_buffer_status(out) == WEIR_OK &&
           weir_arena_dup(connection->arena, weir_buffer_span(out), fields) == WEIR_OK;
}

/* An error, whole and at once. */
static bool set_refusal(struct sim_connection *connection, const struct sim_refusal *refusal) {
    struct weir_buffer *body = &connection->server->body;
    struct weir_span fields;
    connection->transfer.units = 1;
    weir_buffer_clear(body);
    connection->request.dialect->write_error(refusal, connection->call.number, body);
    return weir_buffer_status(body) == WEIR_OK &&
           weir_arena_dup(connection->arena, weir_buffer_span(body), &connection->transfer.body) == WEIR_OK &&
           make_fields(connection, refusal, &fields) &&
           set_answer(connection, refusal->status, "application/json", fields, false);
}

static bool set_status_fault(struct sim_connection *connection, unsigned status) {
    const struct sim_fault *fault = &connection->fault;
    struct sim_refusal refusal;
    connection->request.dialect->refuse(status, fault->code[0] != '\0' ? fault->code : NULL, &refusal);
    refusal.has_retry_after = sim__fault_has(fault, SIM_FAULT_RETRY_AFTER);
    refusal.retry_after_s = fault->value[SIM_FAULT_RETRY_AFTER];
    return set_refusal(connection, &refusal);
}

static bool set_wrong_type(struct sim_connection *connection) {
    connection->transfer.damaged = true;
    connection->transfer.units = 1;
    connection->transfer.body = WEIR_SPAN("<!doctype html><html><head><title>Welcome</title></head><body><h1>It works, "
                                          "but this is not an API.</h1></body></html>\n");
    return set_answer(connection, 200, "text/html; charset=utf-8", WEIR_SPAN(""), false);
}

/* Where an answer breaks off, and how. For answers in steps the place is a number of tokens, else the middle of the body. */
static void set_cut(struct sim_connection *connection) {
    static const struct {
        enum sim_fault_kind fault;
        enum sim_cut cut;
        enum { AT_START, AT_MIDDLE, AT_VALUE } place;
        bool steps_only;
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
    const struct sim_steps *steps = &transfer->steps;
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        if (!sim__fault_has(&connection->fault, cuts[i].fault) || (cuts[i].steps_only && !transfer->streaming)) {
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
                                                      : steps->tokens / 2;
            transfer->cut_at = steps->kind->of_token(steps->what, tokens);
        }
        if (transfer->cut == SIM_CUT_BAD_CHUNK && !transfer->chunked) {
            transfer->cut = SIM_CUT_CLOSE;
        }
        return;
    }
}

/* The pace: the wishes, and what the faults add. */
static void set_pace(struct sim_connection *connection) {
    const struct sim_request *request = &connection->request;
    const struct sim_wishes *wishes = &request->wishes;
    const struct sim_task *task = &connection->task;
    struct sim_transfer *transfer = &connection->transfer;
    int64_t gap_ns = wishes->tokens_per_second > 0 ? 1000000000 / wishes->tokens_per_second : 0;
    int64_t slow_ns = ms_to_ns(connection->fault.value[SIM_FAULT_SLOW_BODY]);
    bool slow = sim__fault_has(&connection->fault, SIM_FAULT_SLOW_BODY);
    if (transfer->streaming) {
        transfer->gap_ns = gap_ns + (slow ? slow_ns : 0);
        transfer->first_due_ns = transfer->head_due_ns + ms_to_ns(wishes->first_token_ms) + task->thinking * gap_ns;
    } else {
        /* Pictures are not made token by token, and what is only told again is there at once. */
        bool makes = request->endpoint->body != SIM_BODY_NONE;
        int64_t tokens = makes ? task->usage.output - task->usage.output_image : 0;
        transfer->head_due_ns += ms_to_ns(wishes->first_token_ms) + tokens * gap_ns;
        transfer->first_due_ns = transfer->head_due_ns;
        transfer->gap_ns = slow ? slow_ns : 0;
        if (slow) {
            transfer->units = (transfer->body.length + SLOW_PIECE_BYTES - 1) / SLOW_PIECE_BYTES;
        }
    }
}

/* Members that every answer of JSON gets: what a gateway passes without knowing it, and what makes a body large. */
static void append_members(const struct sim_task *task, struct weir_buffer *body) {
    if (!task->object || body->length == 0) {
        return;
    }
    body->length--;
    weir_buffer_append(body, WEIR_SPAN(",\"x_sim\":{\"served\":"));
    weir_buffer_append_uint64(body, task->served);
    weir_buffer_append_byte(body, '}');
    if (task->huge_bytes > 0 && !task->huge_done) {
        weir_buffer_append(body, WEIR_SPAN(",\"x_sim_filler\":\""));
        char *filler = weir_buffer_reserve(body, (size_t)task->huge_bytes);
        if (filler != NULL) {
            memset(filler, 'a', (size_t)task->huge_bytes);
            weir_buffer_commit(body, (size_t)task->huge_bytes);
        }
        weir_buffer_append_byte(body, '"');
    }
    weir_buffer_append_byte(body, '}');
}

static const char *type_of(enum sim_framing framing) {
    switch (framing) {
    case SIM_FRAMING_EVENTS: return "text/event-stream; charset=utf-8";
    case SIM_FRAMING_LINES: return "application/x-ndjson";
    case SIM_FRAMING_BYTES:
    case SIM_FRAMING_ARRAY: break;
    }
    return "application/json";
}

/* What the family has made. */
static bool set_made(struct sim_connection *connection) {
    struct sim_server *server = connection->server;
    struct sim_task *task = &connection->task;
    struct sim_transfer *transfer = &connection->transfer;
    struct weir_span fields;
    bool streaming = task->steps.kind != NULL;
    const char *type = task->type != NULL ? task->type : streaming ? type_of(task->steps.framing) : "application/json";
    transfer->real = true;
    if (streaming) {
        transfer->steps = task->steps;
        transfer->units = task->steps.count;
        transfer->paced = true;
    } else {
        append_members(task, &server->body);
        transfer->body = server->body.length > 0 ? weir_buffer_span(&server->body) : task->body;
        transfer->units = 1;
        if (sim__fault_has(&connection->fault, SIM_FAULT_BAD_JSON)) {
            transfer->damaged = true;
            transfer->body.length = transfer->body.length * 2 / 3;
        }
    }
    if (weir_buffer_status(&server->body) != WEIR_OK || !make_fields(connection, NULL, &fields) ||
        !set_answer(connection, 200, type, fields, streaming)) {
        return false;
    }
    set_pace(connection);
    set_cut(connection);
    if (!streaming) {
        transfer->paced = transfer->units > 1 || transfer->head_due_ns > weir_loop_now_ns(server->loop);
        if (transfer->paced && weir_arena_dup(connection->arena, transfer->body, &transfer->body) != WEIR_OK) {
            return false;
        }
    }
    if (task->commit != NULL) {
        task->commit(task);
    }
    return true;
}

/* A fault that comes instead of an answer; true when there was one. */
static bool set_no_answer(struct sim_connection *connection) {
    static const struct {
        enum sim_fault_kind fault;
        enum sim_cut cut;
        const char *head;
    } ends[] = {
        {SIM_FAULT_RESET, SIM_CUT_RESET, ""},
        {SIM_FAULT_CLOSE, SIM_CUT_CLOSE, ""},
        {SIM_FAULT_SILENCE, SIM_CUT_STALL, ""},
        {SIM_FAULT_STALL_HEAD, SIM_CUT_STALL, "HTTP/1.1 200 OK\r\n"},
        {SIM_FAULT_RESET_HEAD, SIM_CUT_RESET, "HTTP/1.1 200 OK\r\ncontent-type: appli"},
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (sim__fault_has(&connection->fault, ends[i].fault)) {
            connection->transfer.cut = ends[i].cut;
            connection->transfer.head = weir_span_of_string(ends[i].head);
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

/* --- the call --- */

static enum weir_status read_body(struct sim_connection *connection, struct sim_form *form) {
    struct sim_task *task = &connection->task;
    const struct sim_request *request = &connection->request;
    enum sim_body body = request->endpoint->body;
    bool is_form = weir_http_media_type_is(request->type, WEIR_SPAN("multipart/form-data"));
    if (body == SIM_BODY_FORM || (body == SIM_BODY_FORM_OR_JSON && is_form)) {
        task->form = form;
        return sim__form_read(form, task->arena, request->type, task->content, &task->root, &task->refusal);
    }
    return body == SIM_BODY_JSON || body == SIM_BODY_FORM_OR_JSON
               ? sim__input_object(task->arena, task->content, &task->root, &task->refusal)
               : WEIR_OK;
}

static enum weir_status read_script(struct sim_task *task) {
    struct weir_span json = task->wishes->script;
    if (weir_span_is_empty(json)) {
        return WEIR_OK;
    }
    struct sim_scripted *scripted = weir_arena_alloc(task->arena, sizeof *scripted);
    task->scripted = scripted;
    return scripted == NULL ? WEIR_ENOMEM : sim__scripted_read(task->arena, json, scripted, &task->refusal);
}

/* Lets the family decide. */
static enum weir_status decide(struct sim_connection *connection, struct weir_span content) {
    struct sim_server *server = connection->server;
    const struct sim_request *request = &connection->request;
    const struct sim_fault *fault = &connection->fault;
    struct sim_task *task = &connection->task;
    struct sim_form form;
    weir_buffer_clear(&server->body);
    *task = (struct sim_task){
        .arena = connection->arena,
        .scratch = server->scratch,
        .memory = &server->memory,
        .store = server->store,
        .random = weir_loop_random(server->loop),
        .wishes = &request->wishes,
        .dialect = request->dialect,
        .caller = &request->caller,
        .id = request->object,
        .query = request->query,
        .content = content,
        .now_s = connection->call.began_utc_us / 1000000,
        .served = connection->call.number,
        .usage_percent = sim__fault_usage_percent(fault),
        .huge_bytes = sim__fault_has(fault, SIM_FAULT_HUGE) ? fault->value[SIM_FAULT_HUGE] : 0,
        .no_usage = sim__fault_has(fault, SIM_FAULT_NO_USAGE),
        .no_end = sim__fault_has(fault, SIM_FAULT_NO_DONE),
        .model = WEIR_SPAN(""),
        .out = &server->body,
        .body = WEIR_SPAN(""),
    };
    enum weir_status status = read_script(task);
    if (status == WEIR_OK) {
        status = read_body(connection, &form);
    }
    if (status == WEIR_OK) {
        status = request->endpoint->answer(task);
    }
    task->form = NULL;
    weir_arena_reset(server->scratch);
    return status;
}

static void write_interim(struct sim_connection *connection) {
    const struct sim_fault *fault = &connection->fault;
    for (int64_t i = 0; i < fault->value[SIM_FAULT_CONTINUE] && sim__fault_has(fault, SIM_FAULT_CONTINUE); i++) {
        weir_buffer_append(&connection->out, WEIR_SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    for (int64_t i = 0; i < fault->value[SIM_FAULT_INTERIM] && sim__fault_has(fault, SIM_FAULT_INTERIM); i++) {
        weir_buffer_append(&connection->out,
                           WEIR_SPAN("HTTP/1.1 103 Early Hints\r\nlink: </docs>; rel=preload\r\n\r\n"));
    }
    if (connection->out.length > 0) {
        sim__connection_queue(connection);
    }
}

static void refuse_stranger(const struct sim_dialect *dialect, struct sim_refusal *refusal) {
    dialect->refuse(dialect->stranger != 0 ? dialect->stranger : 401, NULL, refusal);
}

void sim__call_serve(struct sim_connection *connection, struct weir_span body) {
    struct sim_server *server = connection->server;
    const struct sim_request *request = &connection->request;
    const struct sim_fault *fault = &connection->fault;
    struct sim_task *task = &connection->task;
    struct sim_transfer *transfer = &connection->transfer;
    enum weir_status status = decide(connection, body);
    copy_text(task->model, connection->call.model, sizeof connection->call.model);
    connection->call.stream = task->stream;
    if (!request->authorized) {
        refuse_stranger(request->dialect, &task->refusal);
        status = WEIR_EINVAL;
    } else if (request->bad_wish) {
        sim__refuse(&task->refusal, 400, NULL, "bad_simulator_field", "%s", request->problem.text);
        status = WEIR_EINVAL;
    }
    transfer->split = (size_t)request->wishes.split;
    transfer->head_due_ns = weir_loop_now_ns(server->loop);
    if (sim__fault_has(fault, SIM_FAULT_DELAY)) {
        transfer->head_due_ns += ms_to_ns(fault->value[SIM_FAULT_DELAY]);
    }
    if (!request->http10) {
        write_interim(connection);
    }
    bool set;
    if (status == WEIR_EINVAL) {
        set = set_refusal(connection, &task->refusal);
    } else if (status != WEIR_OK) {
        set = false;
    } else if (set_no_answer(connection)) {
        set = true;
    } else if (sim__fault_has(fault, SIM_FAULT_STATUS)) {
        set = set_status_fault(connection, (unsigned)fault->value[SIM_FAULT_STATUS]);
    } else if (sim__fault_has(fault, SIM_FAULT_ERROR_EVENT) && task->steps.framing == SIM_FRAMING_BYTES) {
        set = set_status_fault(connection, 500);
    } else if (sim__fault_has(fault, SIM_FAULT_WRONG_TYPE)) {
        set = set_wrong_type(connection);
    } else {
        set = set_made(connection);
    }
    if (set) {
        sim__transfer_start(connection);
    } else {
        no_memory(connection);
    }
}

void sim__call_aside(struct sim_connection *connection, struct weir_span body) {
    struct sim_task *task = &connection->task;
    enum weir_status status = decide(connection, body);
    if (!connection->request.authorized) {
        refuse_stranger(connection->request.dialect, &task->refusal);
        status = WEIR_EINVAL;
    }
    if (status == WEIR_EINVAL) {
        sim__reply_refusal(connection, &task->refusal);
    } else if (status != WEIR_OK || weir_buffer_status(task->out) != WEIR_OK) {
        no_memory(connection);
    } else {
        sim__reply(connection, 200, task->type != NULL ? task->type : "application/json", weir_buffer_span(task->out));
    }
}
