/* Receipts for clients: GET /v1/receipts/{request id} and GET /v1/receipts/keys.
 *
 * The work is done on the store's thread: finding the entry, chaining what is not chained yet, computing the text, signing it. What a client gets is of its
 * own workspace, and exactly what an operator gets of it: a receipt has nothing in it that is the operator's alone. An entry is in the ledger some
 * fraction of a second after its request; who asks at once waits that long, and not longer.
 */
#include "base/memory.h"
#include "gateway/impl.h"
#include "http/url.h"
#include "json/write.h"
#include "meter/receipts_export.h"

enum { MAX_ANSWER_BYTES = 256 * 1024, ADVANCED_ROWS = 2048, WAITS = 3 };

/* How long is waited before it is looked for again. */
static const int64_t waits_ms[WAITS] = {60, 150, 400};

/* One question. The store's thread has it while it works; then the loop; it is freed by `release`. */
struct question {
    struct gateway__lookup *lookup; /* the loop's: who waits */
    struct weir_receipt_signer *signer;
    bool about_keys;
    char asked[WEIR_MAX_CLIENT_REQUEST_ID_BYTES + 1], workspace[WEIR_MAX_CLIENT_REQUEST_ID_BYTES + 1];
    struct weir_arena *arena;
    /* what was found */
    bool found, unsignable;
    int64_t sequence;
    unsigned char hash[WEIR_RECEIPT_HASH_SIZE];
    struct weir_span text;
    struct weir_buffer answer;
};

static void release(void *context) {
    struct question *question = context;
    weir_buffer_release(&question->answer);
    weir_arena_free(&question->arena);
    weir_memory_free(question);
}

/* --- on the store's thread --- */
static enum weir_status take_receipt(void *context, const struct weir_ledger_entry *entry, struct weir_span text,
                                     const unsigned char hash[WEIR_RECEIPT_HASH_SIZE]) {
    struct question *question = context;
    if (entry->sequence != question->sequence)
        return WEIR_END;
    question->found = true;
    memcpy(question->hash, hash, sizeof question->hash);
    return weir_arena_dup(question->arena, text, &question->text);
}

static enum weir_status look(struct question *question, const struct weir_engine_ops *ops, struct weir_engine *engine,
                             struct weir_json_writer *writer, struct weir_error *error) {
    struct weir_ledger_query query = {.limit = 1};
    bool behind = false;
    /* One step: where the chain is far behind, the store's upkeep brings it on. */
    enum weir_status status = ops->receipt_advance(engine, ADVANCED_ROWS, &behind, error);
    if (status == WEIR_OK)
        status = weir_receipt_find(ops, engine, weir_span_of_string(question->asked),
                                   weir_span_of_string(question->workspace), &question->sequence, error);
    query.after_sequence = question->sequence - 1;
    if (status == WEIR_OK && question->sequence > 0)
        status = ops->receipt_each(engine, &query, take_receipt, question, error);
    if (status == WEIR_OK && question->found)
        status = weir_receipt_signer_write(question->signer, question->text, question->hash, writer);
    return status;
}

static enum weir_status work(void *context, const struct weir_engine_ops *ops, struct weir_engine *engine,
                             struct weir_error *error) {
    struct question *question = context;
    struct weir_json_writer writer;
    enum weir_status status = weir_receipt_signer_ready(question->signer, engine, error);
    question->unsignable = status == WEIR_EDENIED || status == WEIR_ECORRUPT || status == WEIR_EIO;
    if (status != WEIR_OK)
        return question->unsignable ? WEIR_OK : status;
    weir_json_writer_init(&writer, &question->answer);
    if (question->about_keys)
        status = weir_receipt_keys_write(ops, engine, &writer, error);
    else
        status = look(question, ops, engine, &writer, error);
    weir_buffer_append_byte(&question->answer, '\n');
    return status == WEIR_OK ? weir_buffer_status(&question->answer) : status;
}

/* --- on the worker's loop --- */
static enum gateway__next ask(struct weir_request *request);

static void ask_again(void *context) {
    struct weir_request *request = context;
    enum gateway__next next = ask(request);
    if (next != WAIT)
        gateway__resume(request, next);
}

static void answered(void *context, enum weir_status status, const struct weir_error *error) {
    struct question *question = context;
    struct weir_request *request = gateway__lookup_take(question->lookup);
    (void)error;
    if (request == NULL)
        return;
    if (status != WEIR_OK) {
        gateway__resume(request, gateway__fail(request, WEIR_REASON_STORE_UNAVAILABLE, NULL, NULL));
    } else if (question->unsignable) {
        gateway__resume(request, gateway__fail(request, WEIR_REASON_RECEIPT_UNSIGNABLE, NULL, NULL));
    } else if (question->about_keys || question->found) {
        gateway__answer_body(request, 200, WEIR_SPAN("application/json"), weir_buffer_span(&question->answer));
        gateway__resume(request, ANSWER);
    } else if (request->receipt_waits < WAITS) {
        weir_store_nudge(request->worker->gateway->store);
        weir_timer_start(request->worker->loop, &request->upstream.timer, waits_ms[request->receipt_waits++], ask_again,
                         request);
    } else {
        gateway__resume(request, gateway__fail(request, WEIR_REASON_RECEIPT_NOT_FOUND, NULL, NULL));
    }
}

/* The request's id out of the path; false: it can be none. */
static bool read_asked(const struct weir_request *request, struct question *question) {
    struct weir_span encoded = request->path_variable;
    char *decoded = weir_arena_alloc_raw(request->arena, encoded.length + 1);
    size_t length = 0;
    return decoded != NULL && weir_url_decode(encoded, decoded, &length) == WEIR_OK && length > 0 &&
           weir_span_to_string(weir_span_of(decoded, length), question->asked, sizeof question->asked) == WEIR_OK;
}

static enum gateway__next ask(struct weir_request *request) {
    const struct weir_gateway *gateway = request->worker->gateway;
    struct question *question = weir_memory_new(1, sizeof *question);
    bool about_keys = request->path_variable.length == 0;
    if (question == NULL || gateway->receipts == NULL) {
        weir_memory_free(question);
        return gateway__fail(request, WEIR_REASON_RECEIPT_UNSIGNABLE, NULL, NULL);
    }
    weir_buffer_init(&question->answer, MAX_ANSWER_BYTES);
    question->signer = gateway->receipts;
    question->about_keys = about_keys;
    question->arena = weir_arena_new(0, MAX_ANSWER_BYTES);
    /* An empty one would be everybody's. */
    bool fits = request->key->workspace.length > 0 && weir_span_to_string(request->key->workspace, question->workspace,
                                                                          sizeof question->workspace) == WEIR_OK;
    if (!fits || (!about_keys && !read_asked(request, question))) {
        release(question);
        return gateway__fail(request, WEIR_REASON_RECEIPT_NOT_FOUND, NULL, NULL);
    }
    question->lookup = question->arena != NULL ? gateway__lookup_new(request) : NULL;
    if (question->lookup == NULL) {
        release(question);
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    }
    const struct weir_store_work todo = {.run = work, .reply = answered, .release = release, .context = question};
    struct gateway__lookup *lookup = question->lookup;
    if (weir_store_run(gateway->store, request->worker->loop, &todo) == WEIR_OK)
        return WAIT;
    (void)gateway__lookup_take(lookup);
    return gateway__fail(request, WEIR_REASON_STORE_UNAVAILABLE, NULL, NULL);
}

enum gateway__next gateway__answer_receipt(struct weir_request *request) {
    return ask(request);
}

enum gateway__next gateway__answer_receipt_keys(struct weir_request *request) {
    return ask(request);
}
