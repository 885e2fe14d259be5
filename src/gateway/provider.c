/* What providers may be asked: their limits and budgets, attempt by attempt.
 *
 * A provider that is at its limit is passed over as one that is away is; its record among the attempts says why. What an attempt that failed may have cost
 * although its caller pays nothing for it is noted with it, and is the provider's budget's alone. The hold on the first attempt's provider stays
 * until the end: if the process dies, the ledger settles the request at its reservation with that provider.
 */
#include "gateway/translate.h"

/* The last one that was made; those that were passed over may stand behind it. */
static struct weir_ledger_attempt *last_attempt(struct weir_request *request) {
    return &request->entry.attempts[request->meter.attempt];
}

/* --- what a failed attempt may have cost --- */

/* The provider may have made, and billed, an answer that nobody got: the request had been sent, and no refusal came back. A connection that was kept open and
 * turns out to be closed has taken nothing. */
static bool may_be_billed(struct weir_request *request, enum weir_reason reason) {
    const struct gateway__upstream *upstream = &request->upstream;
    const struct weir_ledger_attempt *attempt = last_attempt(request);
    if (request->endpoint->is_free || request->call.background || request->price == NULL || attempt->connected_us == 0)
        return false;
    if (attempt->status != 0 && (attempt->status < 200 || attempt->status > 299))
        return false;
    return reason != WEIR_REASON_UPSTREAM_CLOSED || upstream->any_byte || !upstream->reused;
}

void gateway__estimate_attempt(struct weir_request *request, enum weir_reason reason) {
    struct weir_usage usage, worst;
    if (!may_be_billed(request, reason))
        return;
    if (request->has_usage) {
        usage = request->usage;
    } else {
        usage = request->call.guess;
        usage.output = request->relay.content_events;
        usage.output_audio = usage.output_image = 0;
        if (usage.input == 0)
            usage.input = weir_dialect_estimate_tokens((size_t)gateway__body_length(request));
    }
    int64_t cost = weir_price_cost(request->price, &usage);
    int64_t most = gateway__worst_cost(request, request->price, &worst);
    last_attempt(request)->cost_cu_milli = cost < most ? cost : most;
}

/* --- passing over --- */

enum gateway__next gateway__pass_over(struct weir_request *request, enum weir_reason reason) {
    const struct weir_target *target = &request->candidates.at[request->next_candidate++];
    uint32_t now_us = gateway__record_us(request, weir_loop_now_ns(request->worker->loop));
    bool exhausted = reason == WEIR_REASON_CU_LIMIT_EXCEEDED || reason == WEIR_REASON_DAILY_LIMIT_EXCEEDED ||
                     reason == WEIR_REASON_NOT_METERABLE;
    request->meter.provider_exhausted = request->meter.provider_exhausted || exhausted;
    if (exhausted && reason != WEIR_REASON_NOT_METERABLE)
        reason = WEIR_REASON_PROVIDER_BUDGET_EXCEEDED;
    request->entry.attempts[request->entry.attempt_count++] =
        (struct weir_ledger_attempt){.provider = target->provider->name,
                                     .upstream_model = target->model,
                                     .upstream_request_id = WEIR_SPAN(""),
                                     .reason = (uint16_t)reason,
                                     .start_us = now_us > 0 ? now_us : 1,
                                     .end_us = now_us > 0 ? now_us : 1};
    weir_metrics_add_attempt(request->worker->metrics, target->provider->name, reason);
    return RETRY;
}

static enum gateway__next pass_over_limit(struct weir_request *request, const struct weir_meter_refusal *refusal) {
    weir_metrics_add_limited(request->worker->metrics, refusal->scope_name,
                             gateway__is_budget(refusal) ? NULL : refusal->limit_name);
    if (request->meter.refusal == NULL) { /* the first one's words, should none be left */
        struct weir_meter_refusal *kept = weir_arena_alloc_raw(request->arena, sizeof *kept);
        if (kept != NULL)
            *kept = *refusal;
        request->meter.refusal = kept;
    }
    return gateway__pass_over(request, refusal->reason);
}

/* --- the attempt before --- */

static void keep_hold(struct weir_request *request) {
    struct gateway__meter *meter = &request->meter;
    int64_t cost = last_attempt(request)->cost_cu_milli, held = meter->provider_hold.cu_milli;
    if (meter->kept == NULL)
        meter->kept = weir_arena_array(request->arena, WEIR_MAX_ATTEMPTS, sizeof *meter->kept);
    if (meter->kept == NULL) { /* the arena is full: it is charged a little before the ledger knows */
        weir_meter_settle(&meter->provider_hold, cost < held ? cost : held, 0, 0);
        return;
    }
    meter->kept[meter->kept_count++] = (struct gateway__kept_hold){.hold = meter->provider_hold,
                                                                   .attempt = meter->attempt};
}

/* Another attempt takes its place. */
static void put_aside(struct weir_request *request) {
    struct gateway__meter *meter = &request->meter;
    if (meter->provider_hold.binding == NULL)
        return;
    if (!meter->has_kept_first || last_attempt(request)->cost_cu_milli > 0)
        keep_hold(request);
    else
        weir_meter_settle(&meter->provider_hold, 0, 0, 0);
    meter->has_kept_first = true;
    meter->provider_hold = (struct weir_hold){.binding = NULL};
}

/* --- before an attempt --- */

/* The first attempt's hold is as large as what the journal's open says; see above. */
static int64_t worst_of(struct weir_request *request, const struct weir_target *target, int64_t *tokens) {
    struct weir_usage usage = request->reserved_usage;
    int64_t cost = request->reserved_cu_milli;
    *tokens = 0;
    if (request->endpoint->is_free)
        return 0;
    if (request->journal_opened)
        cost = gateway__worst_cost(request, gateway__price_of(request, target), &usage);
    *tokens = gateway__tokens_of(&usage);
    return cost;
}

/* Under a hard budget nothing is sent whose cost nobody could tell. */
static bool is_meterable(struct weir_request *request, const struct weir_target *target,
                         const struct weir_meter_binding *binding) {
    if (!weir_meter_binding_is_hard(binding))
        return true;
    return !request->call.background && (request->endpoint->is_free || gateway__price_of(request, target) != NULL);
}

static enum gateway__next admit(struct weir_request *request, const struct weir_target *target,
                                struct weir_meter_binding *binding) {
    struct gateway__meter *meter = &request->meter;
    struct weir_meter_refusal refusal;
    struct weir_hold hold = {.binding = NULL};
    struct weir_rate_state rates; /* of an account that many share: not for the client */
    if (!is_meterable(request, target, binding))
        return gateway__pass_over(request, WEIR_REASON_NOT_METERABLE);
    int64_t tokens, cost = worst_of(request, target, &tokens);
    switch (weir_meter_reserve(binding, cost, tokens, request->start_utc_us, gateway__waited_ms(request), &hold,
                               &refusal)) {
    case WEIR_RESERVED: break;
    case WEIR_RESERVE_WAIT: return gateway__park(request);
    case WEIR_RESERVE_CLAMP:
        weir_meter_refuse_clamped(binding, cost, request->start_utc_us);
        return pass_over_limit(request, &refusal);
    case WEIR_RESERVE_REFUSED: return pass_over_limit(request, &refusal);
    }
    if (!weir_meter_admit(binding, gateway__is_stream(request), gateway__likely_tokens(request),
                          weir_loop_now_ns(request->worker->loop), &meter->provider, &rates, &refusal)) {
        weir_meter_undo(&hold);
        return pass_over_limit(request, &refusal);
    }
    put_aside(request);
    meter->provider_hold = hold;
    return NEXT;
}

enum gateway__next gateway__provider_admit(struct weir_request *request) {
    struct gateway__meter *meter = &request->meter;
    const struct weir_target *target = &request->candidates.at[request->next_candidate];
    struct weir_meter_binding *binding;
    if (meter->provider.binding != NULL) { /* of the attempt before, which has ended */
        int64_t tokens = last_attempt(request)->cost_cu_milli > 0 ? gateway__likely_tokens(request) : 0;
        weir_meter_leave(&meter->provider, tokens, weir_loop_now_ns(request->worker->loop));
    }
    if (gateway__bind_name(request->worker, WEIR_SCOPE_PROVIDER, target->provider->name, &binding) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    if (!weir_meter_binding_is_empty(binding))
        return admit(request, target, binding);
    put_aside(request);
    meter->has_kept_first = true;
    return NEXT;
}

/* An attempt that was made says more than those that were passed over. */
enum gateway__next gateway__no_candidate(struct weir_request *request) {
    const struct gateway__meter *meter = &request->meter;
    if (request->target != NULL && last_attempt(request)->reason != WEIR_REASON_NONE)
        return gateway__fail(request, (enum weir_reason)last_attempt(request)->reason, NULL, NULL);
    if (meter->refusal != NULL && !meter->provider_exhausted)
        return gateway__fail(request, meter->refusal->reason, NULL, "by the provider's limit %s",
                             meter->refusal->limit_name);
    if (meter->provider_exhausted)
        return gateway__fail(request, WEIR_REASON_PROVIDER_BUDGET_EXCEEDED, NULL, NULL);
    if (request->translation != NULL && request->translation->problem.reason != WEIR_REASON_NONE)
        return gateway__fail_with_problem(request, &request->translation->problem);
    return gateway__fail(request, WEIR_REASON_NO_PROVIDER, NULL, NULL);
}
