/* What a request used and what it costs: one place, once, before the terminal bytes leave.
 *
 * Figures come from the provider where it gives them; else they are estimated and flagged. A charge never exceeds its reservation: what goes beyond is
 * kept apart as overrun. A request whose every attempt failed before an answer costs its caller nothing.
 */
#include "gateway/impl.h"

static bool charges_by_unit(const struct weir_request *request) {
    return request->price != NULL && request->price->unit != WEIR_UNIT_NONE &&
           request->price->unit == request->call.unit;
}

static enum weir_usage_source usage_source(const struct weir_request *request) {
    const struct gateway__relay *relay = &request->relay;
    if (request->endpoint->is_free)
        return WEIR_USAGE_NONE;
    if (request->has_usage)
        return WEIR_USAGE_PROVIDER;
    if (request->call.background) /* it is made later, unseen: there is nothing to estimate from */
        return WEIR_USAGE_NONE;
    if (relay->content_events == 0 && relay->units_made == 0)
        return WEIR_USAGE_NONE;
    if (request->reason != WEIR_REASON_NONE)
        return WEIR_USAGE_ABORTED;
    bool counted = charges_by_unit(request) && (request->call.units_are_exact || relay->units_made > 0);
    return counted ? WEIR_USAGE_COUNTED : WEIR_USAGE_ESTIMATED;
}

/* What is billed besides tokens: as the answer says, as it was counted there, or as the request alone tells. */
static void fill_units(struct weir_request *request) {
    const struct weir_call *call = &request->call;
    struct weir_usage *usage = &request->usage;
    int64_t made = request->relay.units_made;
    if (call->unit == WEIR_UNIT_NONE || (usage->unit == call->unit && made == 0))
        return;
    if (made > 0 || call->units_are_exact) {
        usage->unit = call->unit;
        usage->units = made > 0 ? made : call->units;
    } else if (!request->has_usage || charges_by_unit(request)) {
        usage->unit = call->unit;
        usage->units = call->guess.unit != WEIR_UNIT_NONE ? call->guess.units : call->units;
    }
}

/* An event of a stream carries about a token; prompts have about four bytes a token. Where a format knows better, its guess counts. */
static void estimate(struct weir_request *request) {
    struct weir_usage *usage = &request->usage;
    *usage = request->call.guess;
    usage->unit = WEIR_UNIT_NONE;
    usage->units = 0;
    if (usage->input == 0 && request->relay.begun_usage.input == 0)
        usage->input = weir_dialect_estimate_tokens((size_t)gateway__body_length(request));
    if (usage->output == 0 && request->call.makes_tokens)
        usage->output = request->relay.content_events;
    weir_usage_keep_most(usage, &request->relay.begun_usage);
}

static void fill_usage(struct weir_request *request, enum weir_usage_source source) {
    if (source != WEIR_USAGE_PROVIDER)
        request->usage = (struct weir_usage){.input = 0};
    if (source == WEIR_USAGE_ESTIMATED || source == WEIR_USAGE_ABORTED)
        estimate(request);
    if (source != WEIR_USAGE_NONE)
        fill_units(request);
}

/* As much as everybody who pays holds of it: of a later attempt's provider that may be less than of the caller, whom the dearest candidate's price bounds. */
static int64_t most_that_is_held(const struct weir_request *request) {
    const struct weir_hold *provider = &request->meter.provider_hold;
    int64_t most = request->reserved_cu_milli;
    return provider->binding != NULL && provider->cu_milli < most ? provider->cu_milli : most;
}

static void fill_entry(struct weir_request *request, enum weir_usage_source source, int64_t cost_cu_milli) {
    const int64_t most = most_that_is_held(request);
    const struct weir_published *published = request->held->published;
    struct weir_ledger_entry *entry = &request->entry;
    entry->request_id = request->id;
    entry->client_request_id = request->client_request_id;
    entry->trace_id = request->trace_id;
    entry->key_id = weir_span_of_string(request->key->id);
    entry->workspace = request->key->workspace;
    entry->team = request->key->owner != NULL ? request->key->owner->team : WEIR_SPAN("");
    entry->user = request->key->owner != NULL ? request->key->owner->user : WEIR_SPAN("");
    entry->family = gateway__family_of(request->key);
    entry->endpoint = weir_span_of_string(request->endpoint->name);
    entry->model = request->call.model;
    entry->provider = request->target->provider->name;
    entry->upstream_model = request->target->model;
    entry->price_version = request->price != NULL ? weir_prices_version(published->prices) : WEIR_SPAN("");
    entry->tags = request->tags;
    entry->client_address = request->client_address;
    entry->start_utc_us = request->start_utc_us;
    entry->end_utc_us = weir_loop_utc_us(request->worker->loop);
    entry->reserved_cu_milli = request->reserved_cu_milli;
    entry->cost_cu_milli = cost_cu_milli < most ? cost_cu_milli : most;
    entry->overrun_cu_milli = cost_cu_milli - entry->cost_cu_milli;
    entry->usage = request->usage;
    entry->revision = published->revision->number;
    entry->usage_source = (uint8_t)source;
    entry->outcome = gateway__is_aborted(request)          ? WEIR_OUTCOME_ABORTED
                     : request->reason != WEIR_REASON_NONE ? WEIR_OUTCOME_ERROR
                                                           : WEIR_OUTCOME_OK;
    entry->reason = (uint16_t)request->reason;
    entry->stream = request->call.stream;
    entry->unpriced = (request->call.background && !request->has_usage) ||
                      (request->price == NULL && !request->endpoint->is_free);
    entry->first_byte_us = request->first_byte_ns == 0 ? 0 : gateway__record_us(request, request->first_byte_ns);
    if (entry->attempts[entry->attempt_count - 1].end_us == 0)
        entry->attempts[entry->attempt_count - 1].end_us = gateway__record_us(request,
                                                                              weir_loop_now_ns(request->worker->loop));
}

/* The status that the client has or will get. */
static uint16_t client_status(const struct weir_request *request) {
    if (request->status != 0)
        return (uint16_t)request->status;
    if (request->reason == WEIR_REASON_NONE)
        return (uint16_t)request->upstream.status;
    if (request->reason == WEIR_REASON_CLIENT_CLOSED)
        return 0;
    return (uint16_t)(request->upstream_error_status != 0 ? request->upstream_error_status
                                                          : weir_reason_row(request->reason)->status);
}

/* What a provider reports beyond what it could: nobody is charged for it, and an operator is told. */
static void note_overrun(struct weir_request *request) {
    const struct weir_ledger_entry *entry = &request->entry;
    struct weir_meter_caller caller;
    if (entry->overrun_cu_milli <= 0)
        return;
    weir_metrics_add_overrun(request->worker->metrics, entry->overrun_cu_milli);
    if (gateway__caller_of(request, &caller) == WEIR_OK)
        weir_meter_note_overrun(request->worker->gateway->meter, &caller, entry->overrun_cu_milli);
    weir_log(weir_loop_log(request->worker->loop), WEIR_LOG_WARNING, "overrun",
             WEIR_LOG_S("request_id", weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1)),
             WEIR_LOG_S("provider", entry->provider), WEIR_LOG_S("upstream_model", entry->upstream_model),
             WEIR_LOG_I("overrun_cu_milli", entry->overrun_cu_milli),
             WEIR_LOG_I("reserved_cu_milli", entry->reserved_cu_milli));
}

/* The caller pays for the attempt that has answered; what one that brought nothing may have cost is its provider's affair. */
static void note_last_attempt(struct weir_request *request, enum weir_usage_source source) {
    struct weir_ledger_attempt *attempt = &request->entry.attempts[request->meter.attempt];
    if (source != WEIR_USAGE_NONE)
        attempt->cost_cu_milli = 0;
    else if (attempt->reason == WEIR_REASON_NONE && request->reason != WEIR_REASON_NONE)
        gateway__estimate_attempt(request, request->reason);
}

static void close_journal(struct weir_request *request) {
    enum weir_usage_source source = usage_source(request);
    note_last_attempt(request, source);
    fill_usage(request, source);
    fill_entry(request, source, weir_price_cost(request->price, &request->usage));
    request->entry.status = client_status(request);
    gateway__fill_story(request);
    /* Room for the close was kept when the open was accepted. */
    enum weir_status status = weir_journal_append_close(request->worker->journal, &request->entry);
    if (status != WEIR_OK)
        weir_log(weir_loop_log(request->worker->loop), WEIR_LOG_ERROR, "journal_close_failed",
                 WEIR_LOG_T("status", weir_status_name(status)),
                 WEIR_LOG_S("request_id", weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1)));
}

void gateway__settle(struct weir_request *request) {
    if (request->settled)
        return;
    request->settled = true;
    if (request->journal_opened)
        close_journal(request);
    gateway__charge(request);
    if (request->journal_opened)
        note_overrun(request);
}
