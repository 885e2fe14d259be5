/* What a request's record says besides its ledger entry, and the records of requests that never had one.
 *
 * A refusal of somebody who is not known costs him nothing, so their records are bounded: 50 a second and worker, the rest is counted. Of known
 * callers all are written. Nothing here waits or fails a request: where the journal has no room besides, there is no record, and that is counted.
 * What a client sent stands in a record only masked (base/mask.h), and never its query, its headers or its body.
 */
#include "base/mask.h"
#include "gateway/translate.h"

enum { UNKNOWN_A_SECOND = 50, MOST_TEXT_BYTES = 300 };
static const int64_t second_ns = 1000000000;

static struct weir_span at_most(struct weir_span text, size_t length) {
    return text.length > length ? weir_span_first(text, length) : text;
}

static struct weir_span masked(struct weir_request *request, struct weir_span text) {
    struct weir_buffer out;
    struct weir_span copy;
    if (text.length == 0)
        return text;
    weir_buffer_init(&out, (size_t)4 * MOST_TEXT_BYTES);
    weir_mask_text(&out, at_most(text, MOST_TEXT_BYTES));
    if (weir_buffer_status(&out) != WEIR_OK || weir_arena_dup(request->arena, weir_buffer_span(&out), &copy) != WEIR_OK)
        copy = WEIR_SPAN("");
    weir_buffer_release(&out);
    return copy;
}

static enum weir_policy_outcome policy_of(const struct weir_request *request) {
    bool unidentified = request->reason != WEIR_REASON_NONE && request->stage <= WEIR_STAGE_IDENTIFIED;
    if (request->key == NULL || unidentified) /* a revoked key is known, and still nobody's */
        return WEIR_POLICY_NONE;
    bool refused = request->reason != WEIR_REASON_NONE && request->entry.attempt_count == 0 &&
                   weir_reason_row(request->reason)->status == 403;
    return refused ? WEIR_POLICY_BLOCK : WEIR_POLICY_ALLOW;
}

/* "ignored: logit_bias, seed": parameters that the provider has not been asked. */
static struct weir_span ignored(struct weir_request *request) {
    struct weir_buffer text;
    struct weir_span copy = WEIR_SPAN("");
    weir_buffer_init(&text, 2 * WEIR_KIB);
    struct weir_span names = gateway__ignored_names(request, &text);
    const char *words = names.length > 0 ? weir_arena_format(request->arena, "ignored: %.*s", WEIR_SPAN_PRINT(names))
                                         : NULL;
    if (words != NULL)
        copy = masked(request, weir_span_of_string(words));
    weir_buffer_release(&text);
    return copy;
}

void gateway__fill_story(struct weir_request *request) {
    struct weir_ledger_entry *entry = &request->entry;
    bool failed = request->reason != WEIR_REASON_NONE;
    entry->stage = (uint8_t)(failed && !request->relay.head_sent ? request->stage : WEIR_STAGE_ANSWERED);
    entry->policy = (uint8_t)policy_of(request);
    entry->read_us = request->read_ns == 0 ? 0 : gateway__record_us(request, request->read_ns);
    if (failed && request->detail.length > 0)
        entry->detail = masked(request, request->detail);
    else /* also where another provider has answered then */
        entry->detail = masked(request, request->cause);
    if (!failed && entry->detail.length == 0 && request->translation != NULL)
        entry->detail = ignored(request);
}

/* "GET /v1/chat/complete": what no endpoint's name says. */
static struct weir_span path_of(struct weir_request *request) {
    const struct weir_http_head *head = request->head;
    if (request->endpoint != NULL || head->method.length == 0)
        return WEIR_SPAN("");
    struct weir_span method = at_most(head->method, 16);
    struct weir_span path = at_most(weir_span_first(head->path, weir_span_index(head->path, '?')), 200);
    const char *text = weir_arena_format(request->arena, "%.*s %.*s", WEIR_SPAN_PRINT(method), WEIR_SPAN_PRINT(path));
    return text != NULL ? masked(request, weir_span_of_string(text)) : WEIR_SPAN("");
}

static void fill_unbilled(struct weir_request *request) {
    struct weir_ledger_entry *entry = &request->entry;
    const struct weir_key *key = request->key;
    bool failed = request->reason != WEIR_REASON_NONE;
    /* A name that nothing here has may be anything that was pasted. */
    bool is_known = request->candidates.model != NULL || request->target != NULL;
    entry->unbilled = true;
    entry->attempt_count = 0;
    entry->issued_count = 0;
    entry->request_id = request->id;
    entry->client_request_id = request->client_request_id;
    entry->trace_id = request->trace_id;
    entry->key_id = key != NULL ? weir_span_of_string(key->id) : WEIR_SPAN("");
    entry->workspace = key != NULL ? key->workspace : WEIR_SPAN("");
    entry->endpoint = weir_span_of_string(request->endpoint != NULL ? request->endpoint->name : "");
    entry->model = is_known ? request->call.model : masked(request, request->call.model);
    entry->tags = request->tags;
    entry->client_address = request->client_address;
    entry->start_utc_us = request->start_utc_us;
    entry->end_utc_us = weir_loop_utc_us(request->worker->loop);
    entry->revision = request->held->published->revision->number;
    entry->outcome = request->reason == WEIR_REASON_CLIENT_CLOSED ? WEIR_OUTCOME_ABORTED
                     : failed                                     ? WEIR_OUTCOME_ERROR
                                                                  : WEIR_OUTCOME_OK;
    entry->reason = (uint16_t)request->reason;
    entry->status = (uint16_t)request->status;
    entry->stream = request->call.stream;
    entry->first_byte_us = request->first_byte_ns == 0 ? 0 : gateway__record_us(request, request->first_byte_ns);
    entry->path = path_of(request);
    gateway__fill_story(request);
    if (failed) /* the refusal is all of its answer */
        entry->stage = (uint8_t)request->stage;
}

static bool may_be_written(struct weir_request *request) {
    struct weir_worker *worker = request->worker;
    if (request->key != NULL)
        return true;
    int64_t now_ns = weir_loop_now_ns(worker->loop);
    if (now_ns >= worker->refusals_until_ns) {
        worker->refusals_until_ns = now_ns + second_ns;
        worker->refusals = 0;
    }
    return worker->refusals++ < UNKNOWN_A_SECOND;
}

void gateway__record_unbilled(struct weir_request *request) {
    const struct weir_gateway *gateway = request->worker->gateway;
    const struct gateway__endpoint *endpoint = request->endpoint;
    bool failed = request->reason != WEIR_REASON_NONE;
    bool is_quiet = endpoint != NULL && !endpoint->needs_key;
    if (request->journal_opened || gateway->records.retention_us == 0 || (is_quiet && !failed) ||
        (endpoint != NULL && endpoint->answer == gateway__answer_health))
        return;
    bool written = may_be_written(request);
    if (written) {
        fill_unbilled(request);
        if (!weir_record_is_kept(&gateway->records, &request->entry))
            return;
        written = weir_journal_append_unbilled(request->worker->journal, &request->entry) == WEIR_OK;
    }
    if (!written)
        weir_metrics_add_record_left_out(request->worker->metrics);
}
