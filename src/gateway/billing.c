/* The way of a billing request: checked on its worker, done on the store thread, answered on its worker.
 *
 * The body is held against a closed schema first: a member that is not known (a card's number, say) is refused unread and kept nowhere. What changes
 * something carries an Idempotency-Key, and its effect and its answer are one transaction.
 */
#include "gateway/billing.h"

#include "base/memory.h"
#include "json/schema.h"

/* The largest answer is one of usage: 10,000 rows with names of some hundred bytes. */
enum { TASK_BYTES = 20 * 1024 * 1024, ANSWER_BYTES = 8 * 1024 * 1024 };

/* --- on the store thread --- */

static struct weir_error_answer error_of(const struct gateway__billing_task *task) {
    return (struct weir_error_answer){.reason = task->turn.reason,
                                      .brand_upper = task->brand_upper,
                                      .request_id = task->request_id,
                                      .detail = weir_span_of_string(task->turn.detail),
                                      .field = task->turn.field};
}

/* What the operation says, and the whole body of it, whether it went well or was refused. */
static enum weir_status act(void *context, struct weir_idempotency_answer *answer, struct weir_error *error) {
    struct gateway__billing_task *task = context;
    struct weir_json_writer writer;
    struct weir_buffer body;
    weir_buffer_init(&body, ANSWER_BYTES);
    weir_json_writer_init(&writer, &body);
    task->turn.error = error;
    enum weir_status status = task->action->run(task, &writer);
    if (status == WEIR_OK && task->turn.reason != WEIR_REASON_NONE) {
        const struct weir_error_answer refused = error_of(task);
        weir_buffer_clear(&body);
        weir_dialect_of(WEIR_DIALECT_OPENAI)->write_error(&body, &refused);
        answer->status = weir_reason_row(task->turn.reason)->status;
    } else if (status == WEIR_OK) {
        weir_buffer_append_byte(&body, '\n');
        answer->status = task->action->status != 0 ? task->action->status : 200;
    }
    if (status == WEIR_OK)
        status = weir_buffer_status(&body);
    if (status == WEIR_OK)
        status = weir_arena_dup(task->arena, weir_buffer_span(&body), &answer->body);
    weir_buffer_release(&body);
    return status;
}

static enum weir_status note(void *context, const struct weir_billing_note *said, struct weir_error *error) {
    const struct gateway__billing_task *task = context;
    struct weir_json_writer writer;
    struct weir_buffer changes, request;
    bool by_key = task->key_id.length > 0;
    weir_buffer_init(&changes, WEIR_MIB);
    weir_buffer_init(&request, 64 * WEIR_KIB);
    weir_json_writer_init(&writer, &changes);
    weir_json_write_object(&writer);
    weir_json_write_name(&writer, "before");
    weir_json_write_raw(&writer, said->before.length > 0 ? said->before : WEIR_SPAN("null"));
    weir_json_write_name(&writer, "after");
    weir_json_write_raw(&writer, said->after.length > 0 ? said->after : WEIR_SPAN("null"));
    weir_json_write_end(&writer);
    weir_json_writer_init(&writer, &request);
    weir_json_write_object(&writer);
    weir_json_member_string(&writer, "request_id", task->request_id);
    weir_json_member_string(&writer, "method", task->method);
    weir_json_member_string(&writer, "path", task->path);
    weir_json_write_end(&writer);
    struct weir_audit_entry entry = {.utc_us = task->turn.now_utc_us,
                                     .actor_kind = by_key ? WEIR_SPAN("key") : WEIR_SPAN("system"),
                                     .actor_id = task->key_id,
                                     .actor_name = by_key ? WEIR_SPAN("") : WEIR_SPAN("payment"),
                                     .actor_address = task->client_address,
                                     .workspace = said->workspace,
                                     .action = weir_span_of_string(said->action),
                                     .resource_type = weir_span_of_string(said->resource_type),
                                     .resource_id = said->resource_id,
                                     .changes = weir_buffer_span(&changes),
                                     .request = weir_buffer_span(&request),
                                     .result = WEIR_AUDIT_SUCCESS};
    enum weir_status status = weir_buffer_status(&changes);
    if (status == WEIR_OK)
        status = weir_buffer_status(&request);
    if (status == WEIR_OK)
        status = task->turn.ops->audit_append(task->turn.engine, &entry, error);
    else
        (void)weir_fail(error, status, "no memory for the audit trail");
    weir_buffer_release(&changes);
    weir_buffer_release(&request);
    return status;
}

static enum weir_status run_task(void *context, const struct weir_engine_ops *ops, struct weir_engine *engine,
                                 struct weir_error *error) {
    struct gateway__billing_task *task = context;
    task->turn.ops = ops;
    task->turn.engine = engine;
    if (task->action->needs_idempotency) {
        const struct weir_idempotency asked = {.workspace = task->workspace,
                                               .key = weir_span_of_string(task->idempotency_key),
                                               .hash = weir_span_of_string(task->hash),
                                               .request_id = task->request_id,
                                               .instance = task->instance,
                                               .utc_us = task->turn.now_utc_us};
        return weir_idempotency_run(ops, engine, task->arena, &asked, act, task, &task->answer, error);
    }
    if (!task->action->changes)
        return act(task, &task->answer, error);
    enum weir_status status = ops->work_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = act(task, &task->answer, error);
    bool undo = status == WEIR_OK && task->turn.reason != WEIR_REASON_NONE;
    enum weir_status ended = ops->work_end(engine, undo ? WEIR_END : status, error);
    return status != WEIR_OK || undo ? status : ended;
}

/* --- back on the worker --- */

static void release_task(void *context) {
    struct gateway__billing_task *task = context;
    struct weir_arena *arena = task->arena; /* the task is in it */
    weir_arena_free(&arena);
}

static enum gateway__next answer(struct weir_request *request, const struct gateway__billing_task *task) {
    const struct weir_idempotency_answer *given = &task->answer;
    struct weir_http_field fields[3];
    size_t count = 0;
    if (given->refusal != WEIR_REASON_NONE)
        return gateway__fail(request, given->refusal, NULL, NULL);
    if (given->replayed) {
        fields[count++] = (struct weir_http_field){WEIR_SPAN("Idempotency-Replayed"), WEIR_SPAN("true")};
        fields[count++] = (struct weir_http_field){WEIR_SPAN("x-weir-original-request-id"), given->request_id};
    }
    if (given->status >= 400 && given->status != 409)
        fields[count++] = (struct weir_http_field){WEIR_SPAN("x-should-retry"), WEIR_SPAN("false")};
    if (task->turn.reason != WEIR_REASON_NONE) /* for the record; it is answered here */
        (void)gateway__fail(request, task->turn.reason, task->turn.field, "%s", task->turn.detail);
    if (request->connection != NULL)
        gateway__answer_fields(request, given->status, WEIR_SPAN("application/json"), given->body, fields, count);
    return ANSWER;
}

static void on_done(void *context, enum weir_status status, const struct weir_error *error) {
    struct gateway__billing_task *task = context;
    struct weir_request *request = gateway__lookup_take(task->lookup);
    if (request == NULL)
        return;
    const struct weir_log *log = weir_loop_log(request->worker->loop);
    if (task->amount_differs)
        weir_log(log, WEIR_LOG_ERROR, "payment_amount_differs", WEIR_LOG_S("webhook_id", task->event_id),
                 WEIR_LOG_T("effect", "nothing was credited; the payment system and the purchase do not agree"));
    if (status == WEIR_OK) {
        gateway__resume(request, answer(request, task));
        return;
    }
    weir_log(log, WEIR_LOG_ERROR, "billing_failed", WEIR_LOG_T("problem", error->text));
    gateway__resume(request, gateway__fail(request, WEIR_REASON_STORE_UNAVAILABLE, NULL, NULL));
}

/* --- on its way there --- */

struct weir_span gateway__billing_parameter(const struct gateway__billing_task *task, const char *name) {
    struct weir_span rest = task->query, item, key, value;
    while (rest.length > 0) {
        (void)weir_span_split(rest, '&', &item, &rest);
        (void)weir_span_split(item, '=', &key, &value);
        if (!weir_span_equal(key, weir_span_of_string(name)))
            continue;
        size_t length = 0;
        char *decoded = weir_arena_alloc_raw(task->arena, value.length + 1);
        return decoded != NULL && weir_url_decode(value, decoded, &length) == WEIR_OK ? weir_span_of(decoded, length)
                                                                                      : WEIR_SPAN("");
    }
    return WEIR_SPAN("");
}

static bool is_parameter(const struct gateway__billing_action *action, struct weir_span name) {
    for (size_t i = 0; action->parameters != NULL && action->parameters[i] != NULL; i++)
        if (weir_span_equal(name, weir_span_of_string(action->parameters[i])))
            return true;
    return false;
}

static enum gateway__next check_query(struct weir_request *request, const struct gateway__billing_action *action) {
    struct weir_span rest = request->head->query, item, name, value;
    while (rest.length > 0) {
        (void)weir_span_split(rest, '&', &item, &rest);
        (void)weir_span_split(item, '=', &name, &value);
        if (item.length > 0 && !is_parameter(action, name))
            return gateway__fail(request, WEIR_REASON_PARAMETER_UNKNOWN, NULL, "'%.*s'",
                                 (int)(name.length < 60 ? name.length : 60), name.at);
    }
    return NEXT;
}

static enum gateway__next wrong_body(struct weir_request *request, const struct weir_schema_problem *problem,
                                     bool is_json) {
    const char *field = problem->member[0] != '\0'
                            ? weir_arena_string(request->arena, weir_span_of_string(problem->member))
                            : NULL;
    return gateway__fail(request,
                         !is_json              ? WEIR_REASON_JSON_INVALID
                         : problem->is_missing ? WEIR_REASON_FIELD_MISSING
                                               : WEIR_REASON_FIELD_INVALID,
                         field, "%s", problem->text);
}

static enum gateway__next read_body(struct weir_request *request, struct gateway__billing_task *task) {
    struct weir_schema_problem problem = {.text = ""};
    struct weir_span text = weir_buffer_span(&request->body);
    yyjson_doc *body = NULL, *schema = NULL;
    if (task->action->is_raw)
        return NEXT;
    if (task->action->schema == NULL) {
        if (weir_span_trim(text).length == 0 || weir_span_equal(weir_span_trim(text), WEIR_SPAN("{}")))
            return NEXT;
        return gateway__fail(request, WEIR_REASON_BODY_NOT_TAKEN, NULL, NULL);
    }
    if (weir_json_read(task->arena, text, &body, &problem) != WEIR_OK)
        return wrong_body(request, &problem, false);
    if (weir_json_read(task->arena, weir_span_of_string(task->action->schema), &schema, &problem) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_INTERNAL, NULL, NULL);
    yyjson_val *root = yyjson_doc_get_root(schema);
    if (weir_schema_check(root, root, yyjson_doc_get_root(body), &problem) != WEIR_OK)
        return wrong_body(request, &problem, true);
    task->body = yyjson_doc_get_root(body);
    return NEXT;
}

static enum gateway__next read_idempotency(struct weir_request *request, struct gateway__billing_task *task) {
    const struct weir_span *header = weir_http_head_find(request->head, WEIR_SPAN("idempotency-key"));
    if (!task->action->needs_idempotency)
        return NEXT;
    enum weir_reason reason = weir_idempotency_key(header, task->idempotency_key);
    if (weir_http_head_count(request->head, WEIR_SPAN("idempotency-key")) > 1)
        reason = WEIR_REASON_IDEMPOTENCY_KEY_INVALID;
    if (reason != WEIR_REASON_NONE)
        return gateway__fail(request, reason, NULL, NULL);
    struct weir_span body = task->action->schema != NULL ? weir_buffer_span(&request->body) : WEIR_SPAN("");
    enum weir_status status = weir_idempotency_hash(task->arena, task->method, task->path, body, task->hash);
    return status == WEIR_OK ? NEXT : gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
}

static enum weir_status copy_texts(struct weir_request *request, struct gateway__billing_task *task) {
    const struct {
        struct weir_span from, *to;
    } texts[] = {
        {request->key != NULL ? request->key->workspace : WEIR_SPAN(""), &task->workspace},
        {weir_span_of_string(request->key != NULL ? request->key->id : ""), &task->key_id},
        {request->client_address, &task->client_address},
        {request->head->method, &task->method},
        {request->head->path, &task->path},
        {weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1), &task->request_id},
        {request->path_variable, &task->id},
        {request->head->query, &task->query},
        {task->settings.payment_url, &task->settings.payment_url},
    };
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof texts / sizeof *texts && status == WEIR_OK; i++)
        status = weir_arena_dup(task->arena, texts[i].from, texts[i].to);
    return status;
}

static enum gateway__next send_off(struct weir_request *request, struct gateway__billing_task *task) {
    struct weir_worker *worker = request->worker;
    const struct weir_store_work work = {.run = run_task, .reply = on_done, .release = release_task, .context = task};
    task->lookup = gateway__lookup_new(request);
    if (task->lookup == NULL) {
        release_task(task);
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    }
    struct gateway__lookup *lookup = task->lookup;
    if (weir_store_run(worker->gateway->store, worker->loop, &work) == WEIR_OK)
        return WAIT;
    (void)gateway__lookup_take(lookup);
    return gateway__fail(request, WEIR_REASON_STORE_UNAVAILABLE, NULL, NULL);
}

enum gateway__next gateway__billing_begin(struct weir_request *request, const struct gateway__billing_action *action,
                                          enum weir_status (*prepare)(struct weir_request *request,
                                                                      struct gateway__billing_task *task)) {
    struct weir_arena *arena = weir_arena_new(0, TASK_BYTES);
    struct gateway__billing_task *task = arena != NULL ? weir_arena_alloc(arena, sizeof *task) : NULL;
    if (task == NULL) {
        weir_arena_free(&arena);
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    }
    *task = (struct gateway__billing_task){
        .arena = arena,
        .action = action,
        .brand_upper = request->worker->gateway->brand_upper,
        .settings = gateway__settings(request)->billing,
        .instance = *weir_store_instance(request->worker->gateway->store),
        .turn = {.arena = arena, .now_utc_us = weir_loop_utc_us(request->worker->loop), .note = note, .context = task}};
    enum gateway__next next = copy_texts(request, task) == WEIR_OK
                                  ? check_query(request, action)
                                  : gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    task->turn.actor = task->key_id;
    if (next == NEXT)
        next = read_body(request, task);
    if (next == NEXT)
        next = read_idempotency(request, task);
    if (next == NEXT && prepare != NULL && prepare(request, task) != WEIR_OK)
        next = gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    if (next != NEXT) {
        release_task(task);
        return next;
    }
    return send_off(request, task);
}
