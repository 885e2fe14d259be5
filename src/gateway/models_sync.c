/* POST /v1/admin/models/sync: every provider is asked for its list of models, and what it says is held against the settings and the prices.
 *
 * This takes longer than a transaction, so the request claims its Idempotency-Key first, asks all providers at once over the worker's own connections, for
 * at most ASK_MS altogether, and keeps answer and lists in one transaction at the end. A provider that fails is told and holds up nobody. The client may have
 * left meanwhile: the work goes on, and who asks again with the key gets its answer. A process that dies leaves a claim that ends by itself.
 */
#include "gateway/models_sync.h"

#include "base/memory.h"
#include "gateway/found_models.h"
#include "json/schema.h"
#include "json/write.h"
#include "meter/idempotency.h"

#include <yyjson.h>

enum {
    ASK_MS = 20000,
    CLAIM_MS = 60000, /* behind ASK_MS and what the store takes */
    LIST_BYTES = 8 * 1024 * 1024,
    ANSWER_BYTES = 4 * 1024 * 1024,
    ARENA_BYTES = 64 * 1024 * 1024,
    MOST_MODELS = 5000,
    HEAD_BYTES = 64 * 1024
};

/* One provider's list on its way. */
struct call {
    struct gateway__sync *sync;
    const struct weir_provider *provider; /* while it is asked */
    struct weir_span name;                /* the provider's, in the arena */
    struct weir_pool *pool;
    struct weir_pool_wait wait;
    struct weir_stream *stream;
    struct weir_http1 *parser;
    struct weir_buffer body;
    unsigned status;
    bool keep_alive, ended, done;
    const char *problem; /* in the arena, or static; NULL: its list is here */
    struct weir_span *models;
    size_t model_count;
    struct weir_span mark; /* the text of its object in the store */
};

struct gateway__sync {
    struct weir_list link; /* worker->syncs, until its answer is written */
    unsigned users;        /* each piece of work in the store, and the asking: who is the last frees it */
    struct weir_worker *worker;
    struct weir_arena *arena;       /* it is in it */
    struct gateway__held *held;     /* as long as it is listed */
    struct gateway__lookup *lookup; /* who asked; it may have gone */
    bool is_asking, is_over;        /* is_over: the worker has ended */
    struct weir_timer deadline;
    struct call *calls;
    size_t count, left;
    struct weir_idempotency asked;
    char key[WEIR_UUID_TEXT_SIZE], hash[WEIR_IDEMPOTENCY_HASH_SIZE];
    struct weir_span key_id, address;
    bool claimed, kept;
    struct weir_idempotency_answer answer;
    struct weir_span body;
};

/* --- its end --- */

static void end_call(struct call *call, bool reusable) {
    weir_pool_cancel(&call->wait);
    if (call->stream != NULL)
        weir_pool_release(call->pool, &call->stream, reusable);
}

static void sync_free(struct gateway__sync *sync) {
    for (size_t i = 0; i < sync->count; i++) {
        end_call(&sync->calls[i], false);
        weir_http1_free(&sync->calls[i].parser);
        weir_buffer_release(&sync->calls[i].body);
    }
    struct weir_arena *arena = sync->arena;
    weir_arena_free(&arena);
}

static void drop(void *context) {
    struct gateway__sync *sync = context;
    if (--sync->users == 0)
        sync_free(sync);
}

/* What belongs to the loop is let go on it: what is left may be freed on the store's thread. */
static void unlist(struct gateway__sync *sync) {
    weir_timer_stop(&sync->deadline);
    weir_list_remove(&sync->link);
    for (size_t i = 0; i < sync->count; i++) {
        end_call(&sync->calls[i], false);
        sync->calls[i].wait = (struct weir_pool_wait){.owner = NULL};
        weir_http1_free(&sync->calls[i].parser);
    }
    gateway__held_unref(sync->held);
    sync->held = NULL;
}

void gateway__syncs_free(struct weir_worker *worker) {
    while (!weir_list_is_empty(&worker->syncs)) {
        struct gateway__sync *sync = WEIR_CONTAINER_OF(worker->syncs.next, struct gateway__sync, link);
        unlist(sync);
        sync->is_over = true;
        if (sync->is_asking)
            drop(sync);
    }
}

static struct weir_request *requester(struct gateway__sync *sync) {
    struct gateway__lookup *lookup = sync->lookup;
    sync->lookup = NULL;
    return lookup != NULL ? gateway__lookup_take(lookup) : NULL;
}

static void answer_client(struct gateway__sync *sync, enum weir_status status) {
    struct weir_request *request = requester(sync);
    const struct weir_idempotency_answer *answer = &sync->answer;
    struct weir_http_field fields[2];
    size_t count = 0;
    if (request == NULL)
        return;
    if (status != WEIR_OK) {
        gateway__resume(request, gateway__fail(request, WEIR_REASON_STORE_UNAVAILABLE, NULL, NULL));
        return;
    }
    if (answer->refusal != WEIR_REASON_NONE) {
        gateway__resume(request, gateway__fail(request, answer->refusal, NULL, NULL));
        return;
    }
    if (answer->replayed) {
        fields[count++] = (struct weir_http_field){WEIR_SPAN("Idempotency-Replayed"), WEIR_SPAN("true")};
        fields[count++] = (struct weir_http_field){WEIR_SPAN("x-weir-original-request-id"), answer->request_id};
    }
    if (request->connection != NULL)
        gateway__answer_fields(request, answer->status, WEIR_SPAN("application/json"), answer->body, fields, count);
    gateway__resume(request, ANSWER);
}

/* --- keeping what was found --- */

static enum weir_status save_mark(const struct weir_engine_ops *ops, struct weir_engine *engine,
                                  const struct gateway__sync *sync, const struct call *call, struct weir_error *error) {
    struct weir_object object;
    const char *id = weir_arena_format(sync->arena, WEIR_FOUND_MODELS_PREFIX "%.*s", WEIR_SPAN_PRINT(call->name));
    enum weir_status status = ops->object_get(engine, WEIR_OBJECT_MARK, WEIR_SPAN(""), weir_span_of_string(id),
                                              sync->arena, &object, error);
    bool exists = status == WEIR_OK;
    if (status != WEIR_OK && status != WEIR_ENOTFOUND)
        return status;
    if (!exists)
        object = (struct weir_object){.kind = WEIR_OBJECT_MARK,
                                      .id = weir_span_of_string(id),
                                      .created_utc_us = sync->asked.utc_us};
    object.text = call->mark;
    object.updated_utc_us = sync->asked.utc_us;
    return exists ? ops->object_update(engine, &object, object.version, error)
                  : ops->object_create(engine, &object, error);
}

static enum weir_status note(const struct weir_engine_ops *ops, struct weir_engine *engine,
                             const struct gateway__sync *sync, struct weir_error *error) {
    struct weir_buffer changes;
    weir_buffer_init(&changes, WEIR_MIB);
    weir_buffer_append(&changes, WEIR_SPAN("{\"before\":null,\"after\":{"));
    for (size_t i = 0; i < sync->count; i++) {
        if (i > 0)
            weir_buffer_append_byte(&changes, ',');
        weir_json_append_string(&changes, sync->calls[i].name);
        weir_buffer_append_byte(&changes, ':');
        if (sync->calls[i].problem == NULL)
            weir_buffer_append_uint64(&changes, sync->calls[i].model_count);
        else
            weir_buffer_append(&changes, WEIR_SPAN("null"));
    }
    weir_buffer_append(&changes, WEIR_SPAN("}}"));
    struct weir_audit_entry entry = {.utc_us = sync->asked.utc_us,
                                     .actor_kind = WEIR_SPAN("key"),
                                     .actor_id = sync->key_id,
                                     .actor_address = sync->address,
                                     .workspace = sync->asked.workspace,
                                     .action = WEIR_SPAN("models.sync"),
                                     .resource_type = WEIR_SPAN("models"),
                                     .changes = weir_buffer_span(&changes),
                                     .result = WEIR_AUDIT_SUCCESS};
    enum weir_status status = weir_buffer_status(&changes);
    if (status == WEIR_OK)
        status = ops->audit_append(engine, &entry, error);
    else
        (void)weir_fail(error, status, "no memory for the audit trail");
    weir_buffer_release(&changes);
    return status;
}

static enum weir_status run_keep(void *context, const struct weir_engine_ops *ops, struct weir_engine *engine,
                                 struct weir_error *error) {
    struct gateway__sync *sync = context;
    enum weir_status status = ops->work_begin(engine, error);
    if (status != WEIR_OK)
        return status;
    status = weir_idempotency_settle(ops, engine, sync->arena, &sync->asked, 200, sync->body, &sync->kept, error);
    for (size_t i = 0; i < sync->count && status == WEIR_OK && sync->kept; i++)
        if (sync->calls[i].problem == NULL)
            status = save_mark(ops, engine, sync, &sync->calls[i], error);
    if (status == WEIR_OK && sync->kept)
        status = note(ops, engine, sync, error);
    enum weir_status ended = ops->work_end(engine, status, error);
    return status == WEIR_OK ? ended : status;
}

static void on_kept(void *context, enum weir_status status, const struct weir_error *error) {
    struct gateway__sync *sync = context;
    if (status != WEIR_OK)
        weir_log(weir_loop_log(sync->worker->loop), WEIR_LOG_ERROR, "models_sync_failed",
                 WEIR_LOG_T("problem", error->text));
    /* Another request has taken the key over: this one's answer is not the key's. */
    sync->answer = (struct weir_idempotency_answer){.status = 200,
                                                    .body = sync->body,
                                                    .refusal = sync->kept ? WEIR_REASON_NONE
                                                                          : WEIR_REASON_IDEMPOTENCY_IN_FLIGHT};
    answer_client(sync, status);
}

/* --- what was said --- */

static int by_name(const void *a, const void *b) {
    const struct weir_span *one = a, *other = b;
    size_t shorter = one->length < other->length ? one->length : other->length;
    int order = memcmp(one->at, other->at, shorter);
    return order != 0 ? order : one->length < other->length ? -1 : one->length > other->length;
}

/* {"data":[{"id":"…"},…]}; also {"models":[…]} without a prefix of their own is no list of ours. */
static void read_list(struct call *call) {
    struct weir_schema_problem problem = {.text = ""};
    yyjson_doc *document = NULL;
    yyjson_val *item;
    size_t index, count;
    if (call->status != 200) {
        call->problem = weir_arena_format(call->sync->arena, "it answered with the status %u", call->status);
        return;
    }
    call->problem = "its answer is no list of models";
    if (weir_json_read(call->sync->arena, weir_buffer_span(&call->body), &document, &problem) != WEIR_OK)
        return;
    yyjson_val *data = yyjson_obj_get(yyjson_doc_get_root(document), "data");
    if (!yyjson_is_arr(data) || yyjson_arr_size(data) > MOST_MODELS)
        return;
    call->models = weir_arena_array(call->sync->arena, yyjson_arr_size(data) + 1, sizeof *call->models);
    if (call->models == NULL)
        return;
    yyjson_arr_foreach(data, index, count, item) {
        yyjson_val *id = yyjson_obj_get(item, "id");
        if (yyjson_is_str(id) && yyjson_get_len(id) > 0 && yyjson_get_len(id) <= 256)
            call->models[call->model_count++] = weir_span_of(yyjson_get_str(id), yyjson_get_len(id));
    }
    qsort(call->models, call->model_count, sizeof *call->models, by_name);
    call->problem = NULL;
}

static bool lists(const struct call *call, struct weir_span name) {
    return call->model_count > 0 &&
           bsearch(&name, call->models, call->model_count, sizeof *call->models, by_name) != NULL;
}

/* Whether some model of the settings leads to it. */
static bool is_target(const struct weir_revision *revision, const struct weir_provider *provider,
                      struct weir_span name) {
    for (size_t i = 0; i < revision->model_count; i++)
        for (size_t t = 0; t < revision->models[i].target_count; t++) {
            const struct weir_target *target = &revision->models[i].targets[t];
            struct weir_span model = target->model.length > 0 ? target->model : revision->models[i].name;
            if (target->provider == provider && weir_span_equal(model, name))
                return true;
        }
    return false;
}

static void write_missing(struct weir_json_writer *writer, const struct weir_revision *revision,
                          const struct call *call) {
    weir_json_write_name(writer, "missing");
    weir_json_write_array(writer);
    for (size_t i = 0; i < revision->model_count; i++)
        for (size_t t = 0; t < revision->models[i].target_count; t++) {
            const struct weir_target *target = &revision->models[i].targets[t];
            struct weir_span model = target->model.length > 0 ? target->model : revision->models[i].name;
            if (target->provider == call->provider && !lists(call, model))
                weir_json_write_string(writer, model);
        }
    weir_json_write_end(writer);
}

static void write_found(struct weir_json_writer *writer, const struct weir_published *published,
                        const struct call *call) {
    weir_json_write_name(writer, "models");
    weir_json_write_array(writer);
    for (size_t i = 0; i < call->model_count; i++)
        weir_json_write_string(writer, call->models[i]);
    weir_json_write_end(writer);
    weir_json_write_name(writer, "new");
    weir_json_write_array(writer);
    for (size_t i = 0; i < call->model_count; i++)
        if (!is_target(published->revision, call->provider, call->models[i]))
            weir_json_write_string(writer, call->models[i]);
    weir_json_write_end(writer);
    write_missing(writer, published->revision, call);
    weir_json_write_name(writer, "unpriced");
    weir_json_write_array(writer);
    for (size_t i = 0; i < call->model_count; i++)
        if (weir_prices_find(published->prices, call->provider->price_name, call->models[i]) == NULL)
            weir_json_write_string(writer, call->models[i]);
    weir_json_write_end(writer);
}

/* What is kept of a provider's list, by itself. */
static enum weir_status write_mark(struct call *call) {
    struct weir_json_writer writer;
    struct weir_buffer text;
    weir_buffer_init(&text, ANSWER_BYTES);
    weir_json_writer_init(&writer, &text);
    weir_json_write_object(&writer);
    weir_json_write_name(&writer, "models");
    weir_json_write_array(&writer);
    for (size_t i = 0; i < call->model_count; i++)
        weir_json_write_string(&writer, call->models[i]);
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    enum weir_status status = weir_buffer_status(&text);
    if (status == WEIR_OK)
        status = weir_arena_dup(call->sync->arena, weir_buffer_span(&text), &call->mark);
    weir_buffer_release(&text);
    return status;
}

static enum weir_status write_answer(struct gateway__sync *sync) {
    struct weir_json_writer writer;
    struct weir_buffer text;
    enum weir_status status = WEIR_OK;
    weir_buffer_init(&text, ANSWER_BYTES);
    weir_json_writer_init(&writer, &text);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "object", "models.sync");
    weir_json_write_name(&writer, "providers");
    weir_json_write_array(&writer);
    for (size_t i = 0; i < sync->count && status == WEIR_OK; i++) {
        struct call *call = &sync->calls[i];
        weir_json_write_object(&writer);
        weir_json_member_string(&writer, "name", call->name);
        weir_json_member_text(&writer, "status", call->problem == NULL ? "ok" : "failed");
        if (call->problem == NULL) {
            write_found(&writer, sync->held->published, call);
            status = write_mark(call);
        } else {
            weir_json_member_text(&writer, "error", call->problem);
        }
        weir_json_write_end(&writer);
    }
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    weir_buffer_append_byte(&text, '\n');
    if (status == WEIR_OK)
        status = weir_buffer_status(&text);
    if (status == WEIR_OK)
        status = weir_arena_dup(sync->arena, weir_buffer_span(&text), &sync->body);
    weir_buffer_release(&text);
    return status;
}

/* All have answered, or the time is over. Nothing of `sync` may be touched behind this. */
static void finish(struct gateway__sync *sync) {
    struct weir_worker *worker = sync->worker;
    const struct weir_store_work work = {.run = run_keep, .reply = on_kept, .release = drop, .context = sync};
    enum weir_status status = write_answer(sync);
    unlist(sync);
    sync->is_asking = false;
    sync->users++;
    if (status == WEIR_OK)
        status = weir_store_run(worker->gateway->store, worker->loop, &work);
    else
        drop(sync);
    if (status != WEIR_OK) /* the asking's own use keeps it until here */
        answer_client(sync, status);
    drop(sync);
}

/* --- asking one provider --- */

/* The call is over; the last one ends it all, and then the call is gone. */
static void call_done(struct call *call, const char *problem, bool reusable) {
    struct gateway__sync *sync = call->sync;
    if (call->done)
        return;
    call->done = true;
    call->problem = problem;
    end_call(call, reusable);
    if (problem == NULL)
        read_list(call);
    if (--sync->left == 0)
        finish(sync);
}

static enum weir_status on_head(void *owner, const struct weir_http_head *head, struct weir_span block) {
    struct call *call = owner;
    (void)block;
    call->status = head->status;
    call->keep_alive = head->keep_alive;
    return head->upgrade && head->status == 101 ? WEIR_EPROTO : WEIR_OK;
}

static enum weir_status on_body(void *owner, struct weir_span data) {
    struct call *call = owner;
    weir_buffer_append(&call->body, data);
    return weir_buffer_status(&call->body);
}

static enum weir_status on_end(void *owner, const struct weir_http_field *trailers, size_t trailer_count) {
    struct call *call = owner;
    (void)trailers;
    (void)trailer_count;
    call->ended = true;
    return WEIR_OK;
}
static const struct weir_http1_events parser_events = {.on_head = on_head, .on_body = on_body, .on_end = on_end};

static void on_data(void *owner, struct weir_span data) {
    struct call *call = owner;
    size_t consumed = 0;
    enum weir_status status = weir_http1_feed(call->parser, data, &consumed);
    if (status == WEIR_ELIMIT)
        call_done(call, "its answer is too large", false);
    else if (status != WEIR_OK)
        call_done(call, "its answer is not valid HTTP", false);
    else if (call->ended)
        call_done(call, NULL, call->keep_alive && consumed == data.length);
}

static void on_stream_end(void *owner) {
    struct call *call = owner;
    if (weir_http1_finish(call->parser) == WEIR_OK && call->ended)
        call_done(call, NULL, false);
    else
        call_done(call, "it closed the connection", false);
}

static void on_stream_fail(void *owner, enum weir_status status, const char *detail) {
    (void)status;
    (void)detail;
    call_done(owner, "the connection broke", false);
}
static const struct weir_stream_events stream_events = {.on_data = on_data,
                                                        .on_end = on_stream_end,
                                                        .on_fail = on_stream_fail};

static enum weir_status write_request(struct call *call) {
    const struct weir_provider *provider = call->provider;
    struct weir_span credential = weir_secret_reveal(provider->credential);
    struct weir_buffer head;
    weir_buffer_init(&head, HEAD_BYTES);
    weir_buffer_append(&head, WEIR_SPAN("GET "));
    weir_buffer_append(&head, provider->path_prefix);
    weir_buffer_append(&head, WEIR_SPAN("/models HTTP/1.1\r\nHost: "));
    weir_buffer_append(&head, provider->host_header);
    weir_buffer_append(&head, WEIR_SPAN("\r\nAccept: application/json\r\n"));
    if (credential.length > 0) {
        weir_buffer_append(&head, WEIR_SPAN("Authorization: Bearer "));
        weir_buffer_append(&head, credential);
        weir_buffer_append(&head, WEIR_SPAN("\r\n"));
    }
    (void)weir_http_write_field(&head, WEIR_SPAN("X-Request-Id"), call->sync->asked.request_id);
    weir_http_write_head_end(&head);
    const struct weir_span part = weir_buffer_span(&head);
    enum weir_status status = weir_buffer_status(&head);
    if (status == WEIR_OK)
        status = weir_stream_write(call->stream, &part, 1);
    weir_memory_wipe(head.at, head.length);
    weir_buffer_release(&head);
    return status;
}

static void on_ready(void *owner, struct weir_stream *stream, bool reused) {
    struct call *call = owner;
    (void)reused;
    call->stream = stream;
    weir_stream_own(stream, &stream_events, call);
    call->parser = weir_http1_new(WEIR_HTTP1_RESPONSES, &parser_events, call);
    if (call->parser == NULL || write_request(call) != WEIR_OK) {
        call_done(call, "it could not be asked", false);
        return;
    }
    weir_stream_read_start(stream);
}

/* Addresses of our network stay in the log. */
static void on_connect_failed(void *owner, enum weir_reason reason, const char *detail) {
    struct call *call = owner;
    weir_log(weir_loop_log(call->sync->worker->loop), WEIR_LOG_WARNING, "connect_failed",
             WEIR_LOG_T("reason", weir_reason_row(reason)->name), WEIR_LOG_T("detail", detail != NULL ? detail : ""),
             WEIR_LOG_S("provider", call->provider->name));
    call_done(call, weir_reason_row(reason)->message, false);
}

static void on_deadline(void *argument) {
    struct gateway__sync *sync = argument;
    sync->left++; /* the last one shall not end it while this walks over all */
    for (size_t i = 0; i < sync->count; i++)
        if (!sync->calls[i].done)
            call_done(&sync->calls[i], "it did not answer in time", false);
    sync->left--;
    finish(sync);
}

static void ask_all(struct gateway__sync *sync) {
    const struct weir_revision *revision = sync->held->published->revision;
    sync->calls = weir_arena_array(sync->arena, revision->provider_count + 1, sizeof *sync->calls);
    sync->is_asking = true;
    sync->users++;
    weir_timer_start(sync->worker->loop, &sync->deadline, ASK_MS, on_deadline, sync);
    sync->left = 1; /* until all are on their way */
    for (size_t i = 0; sync->calls != NULL && i < revision->provider_count; i++) {
        struct call *call = &sync->calls[i];
        *call = (struct call){.sync = sync,
                              .provider = &revision->providers[i],
                              .name = WEIR_SPAN(""),
                              .pool = sync->held->pools[i]->pool,
                              .wait = {.owner = call, .on_ready = on_ready, .on_failed = on_connect_failed}};
        weir_buffer_init(&call->body, LIST_BYTES);
        sync->count++;
        sync->left++;
        if (weir_arena_dup(sync->arena, call->provider->name, &call->name) != WEIR_OK) {
            call_done(call, "there is no memory to ask it", false);
            continue;
        }
        weir_pool_acquire(call->pool, &call->wait, true);
    }
    if (--sync->left == 0)
        finish(sync);
}

/* --- claiming the key --- */

static enum weir_status run_claim(void *context, const struct weir_engine_ops *ops, struct weir_engine *engine,
                                  struct weir_error *error) {
    struct gateway__sync *sync = context;
    return weir_idempotency_claim(ops, engine, sync->arena, &sync->asked, sync->asked.utc_us + (int64_t)CLAIM_MS * 1000,
                                  &sync->claimed, &sync->answer, error);
}

static void on_claimed(void *context, enum weir_status status, const struct weir_error *error) {
    struct gateway__sync *sync = context;
    (void)error;
    if (sync->is_over)
        return;
    if (status == WEIR_OK && sync->claimed) {
        ask_all(sync); /* also where the client has gone: who claims a key sees to it */
        return;
    }
    unlist(sync);
    answer_client(sync, status);
}

static enum weir_status fill(struct gateway__sync *sync, const struct weir_request *request) {
    const struct weir_key *key = request->key;
    sync->asked = (struct weir_idempotency){.key = weir_span_of_string(sync->key),
                                            .instance = *weir_store_instance(request->worker->gateway->store),
                                            .utc_us = weir_loop_utc_us(request->worker->loop)};
    enum weir_status status = weir_arena_dup(sync->arena, key->workspace, &sync->asked.workspace);
    if (status == WEIR_OK)
        status = weir_arena_dup(sync->arena, weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1),
                                &sync->asked.request_id);
    if (status == WEIR_OK)
        status = weir_arena_dup(sync->arena, weir_span_of_string(key->id), &sync->key_id);
    if (status == WEIR_OK)
        status = weir_arena_dup(sync->arena, request->client_address, &sync->address);
    if (status == WEIR_OK)
        status = weir_idempotency_hash(sync->arena, request->head->method, request->head->path, WEIR_SPAN(""),
                                       sync->hash);
    sync->asked.hash = weir_span_of_string(sync->hash); /* not before: it was empty */
    return status;
}

enum gateway__next gateway__models_sync(struct weir_request *request) {
    struct weir_worker *worker = request->worker;
    struct weir_span body = weir_span_trim(weir_buffer_span(&request->body));
    char key[WEIR_UUID_TEXT_SIZE];
    enum weir_reason reason = weir_idempotency_key(weir_http_head_find(request->head, WEIR_SPAN("idempotency-key")),
                                                   key);
    if (weir_http_head_count(request->head, WEIR_SPAN("idempotency-key")) > 1)
        reason = WEIR_REASON_IDEMPOTENCY_KEY_INVALID;
    if (reason != WEIR_REASON_NONE)
        return gateway__fail(request, reason, NULL, NULL);
    if (body.length > 0 && !weir_span_equal(body, WEIR_SPAN("{}")))
        return gateway__fail(request, WEIR_REASON_BODY_NOT_TAKEN, NULL, NULL);
    struct weir_arena *arena = weir_arena_new(0, ARENA_BYTES);
    struct gateway__sync *sync = arena != NULL ? weir_arena_alloc(arena, sizeof *sync) : NULL;
    if (sync == NULL) {
        weir_arena_free(&arena);
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    }
    sync->arena = arena;
    sync->worker = worker;
    memcpy(sync->key, key, sizeof key);
    if (fill(sync, request) != WEIR_OK || (sync->lookup = gateway__lookup_new(request)) == NULL) {
        sync_free(sync);
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    }
    sync->held = request->held;
    gateway__held_ref(sync->held);
    weir_list_append(&worker->syncs, &sync->link);
    sync->users = 2; /* the work's, and this function's */
    const struct weir_store_work work = {.run = run_claim, .reply = on_claimed, .release = drop, .context = sync};
    if (weir_store_run(worker->gateway->store, worker->loop, &work) == WEIR_OK) {
        sync->users--; /* its release comes on this loop, later */
        return WAIT;
    }
    (void)requester(sync);
    unlist(sync);
    drop(sync);
    return gateway__fail(request, WEIR_REASON_STORE_UNAVAILABLE, NULL, NULL);
}
