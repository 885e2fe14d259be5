/* How often and how much at once: limits of the caller before the body is taken, of streams, tokens and the model once it is understood.
 *
 * A flood is refused from its heads: what a body alone can tell is added to the same admission later. A caller to whom nothing applies costs one look at
 * what the worker keeps of him. What was admitted is given back in charge.c, whatever the ending.
 */
#include "base/arithmetic.h"
#include "gateway/impl.h"

/* --- refusing --- */

bool gateway__is_budget(const struct weir_meter_refusal *refusal) {
    return strcmp(refusal->limit_name, "cu_milli") == 0;
}

enum gateway__next gateway__refuse(struct weir_request *request, const struct weir_meter_refusal *refusal) {
    struct weir_meter_refusal *kept = weir_arena_alloc_raw(request->arena, sizeof *kept);
    const struct weir_reason_row *row = weir_reason_row(refusal->reason);
    if (kept == NULL)
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    *kept = *refusal;
    if (kept->retry_after_seconds < 1)
        kept->retry_after_seconds = 1;
    request->meter.refusal = kept;
    bool is_budget = gateway__is_budget(kept);
    if (row->status == 429 && request->key != NULL)
        weir_meter_note_refusal(request->worker->gateway->meter, gateway__family_of(request->key));
    weir_metrics_add_limited(request->worker->metrics, kept->scope_name, is_budget ? NULL : kept->limit_name);
    if (row->status != 429)
        return gateway__fail(request, kept->reason, NULL, NULL);
    if (is_budget)
        return gateway__fail(request, kept->reason, NULL,
                             "%lld of %lld milli-CU are used, and this request may cost %lld (scope %s, window %s)",
                             (long long)kept->used, (long long)kept->limit, (long long)kept->needed, kept->scope_name,
                             kept->window);
    return gateway__fail(request, kept->reason, NULL, "%s is %lld (scope %s)", kept->limit_name, (long long)kept->limit,
                         kept->scope_name);
}

static enum gateway__next no_memory(struct weir_request *request) {
    return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
}

/* --- what the answer's head tells --- */

static const struct weir_rate_state no_rates = {.requests = {.limit = -1}, .tokens = {.limit = -1}};

void gateway__note_rates(struct weir_request *request, const struct weir_rate_state *rates) {
    struct weir_rate_state *kept = &request->meter.rates;
    if (rates->requests.limit > 0 &&
        (kept->requests.limit <= 0 || rates->requests.remaining <= kept->requests.remaining))
        kept->requests = rates->requests;
    if (rates->tokens.limit > 0 && (kept->tokens.limit <= 0 || rates->tokens.remaining <= kept->tokens.remaining))
        kept->tokens = rates->tokens;
}

/* The fields are written into one piece, without printf: they stand in every answer to a key that has limits. */
struct fields {
    size_t length;
    char text[768]; /* seven fields with names below 32 bytes and three numbers each */
};

static void add(struct fields *fields, struct weir_span text) {
    weir_bug_on(text.length > sizeof fields->text - fields->length);
    memcpy(fields->text + fields->length, text.at, text.length);
    fields->length += text.length;
}

static void add_number(struct fields *fields, int64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    uint64_t rest = number > 0 ? (uint64_t)number : 0;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    add(fields, weir_span_of(digits + at, sizeof digits - at));
}

static void add_field(struct fields *fields, struct weir_span name, int64_t number) {
    add(fields, name);
    add_number(fields, number);
    add(fields, WEIR_SPAN("\r\n"));
}

/* "20ms", "1.5s", "6m0s", "1h0m0s": as the family's providers write times. */
static void add_reset(struct fields *fields, struct weir_span name, int64_t ms) {
    const int64_t seconds = ms / 1000, minutes = seconds / 60;
    add(fields, name);
    if (ms < 1000) {
        add_number(fields, ms);
        add(fields, WEIR_SPAN("ms\r\n"));
        return;
    }
    if (minutes >= 60) {
        add_number(fields, minutes / 60);
        add(fields, WEIR_SPAN("h"));
    }
    if (minutes > 0) {
        add_number(fields, minutes % 60);
        add(fields, WEIR_SPAN("m"));
    }
    add_number(fields, seconds % 60);
    const unsigned rest = (unsigned)(ms % 1000);
    if (rest > 0) {
        const char fraction[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10), (char)('0' + rest % 10)};
        size_t length = sizeof fraction;
        while (fraction[length - 1] == '0')
            length--;
        add(fields, weir_span_of(fraction, length));
    }
    add(fields, WEIR_SPAN("s\r\n"));
}

void gateway__write_rates(const struct weir_request *request, struct weir_buffer *out) {
    const struct weir_rate_state *rates = &request->meter.rates;
    struct fields fields;
    fields.length = 0;
    if (rates->requests.limit > 0) {
        add_field(&fields, WEIR_SPAN("x-ratelimit-limit-requests: "), rates->requests.limit);
        add_field(&fields, WEIR_SPAN("x-ratelimit-remaining-requests: "), rates->requests.remaining);
        add_reset(&fields, WEIR_SPAN("x-ratelimit-reset-requests: "), rates->requests.reset_ms);
    }
    if (rates->tokens.limit > 0) {
        add_field(&fields, WEIR_SPAN("x-ratelimit-limit-tokens: "), rates->tokens.limit);
        add_field(&fields, WEIR_SPAN("x-ratelimit-remaining-tokens: "), rates->tokens.remaining);
        add_reset(&fields, WEIR_SPAN("x-ratelimit-reset-tokens: "), rates->tokens.reset_ms);
    }
    if (request->call.clamped_output_tokens > 0)
        add_field(&fields, WEIR_SPAN("x-weir-max-tokens-clamped: "), request->call.clamped_output_tokens);
    weir_buffer_append(out, weir_span_of(fields.text, fields.length));
}

/* --- the rows --- */

enum gateway__next gateway__step_limit(struct weir_request *request) {
    struct weir_meter_binding *binding;
    struct weir_rate_state rates = no_rates;
    struct weir_meter_refusal refusal;
    if (request->key == NULL)
        return NEXT;
    if (gateway__bind_caller(request, &binding) != WEIR_OK)
        return no_memory(request);
    if (weir_meter_binding_is_empty(binding))
        return NEXT;
    bool admitted = weir_meter_admit(binding, false, 0, weir_loop_now_ns(request->worker->loop), &request->meter.caller,
                                     &rates, &refusal);
    gateway__note_rates(request, &rates);
    return admitted ? NEXT : gateway__refuse(request, &refusal);
}

bool gateway__is_stream(const struct weir_request *request) {
    if (request->call.stream)
        return true;
    /* a stored answer, asked for as a stream */
    return request->query.length > 0 && request->format != NULL && request->format->read_event != NULL &&
           memmem(request->query.at, request->query.length, "stream=true", strlen("stream=true")) != NULL;
}

int64_t gateway__likely_tokens(const struct weir_request *request) {
    const struct weir_call *call = &request->call;
    int64_t output = call->guess.output;
    if (request->endpoint->is_free)
        return 0;
    int64_t input = call->guess.input > 0 ? call->guess.input
                                          : weir_dialect_estimate_tokens((size_t)gateway__body_length(request));
    if (output == 0 && call->makes_tokens && !weir_multiply_int64(call->max_output_tokens, call->choices, &output))
        output = INT64_MAX / 2;
    return input > INT64_MAX / 2 - output ? INT64_MAX / 2 : input + output;
}

/* Of the caller what only the body tells; of the model everything. */
enum gateway__next gateway__step_limit_body(struct weir_request *request) {
    struct gateway__meter *meter = &request->meter;
    struct weir_meter_binding *binding;
    struct weir_rate_state rates = no_rates;
    struct weir_meter_refusal refusal;
    int64_t now_ns = weir_loop_now_ns(request->worker->loop);
    bool stream = gateway__is_stream(request);
    if (meter->caller.binding != NULL) {
        bool counts_tokens = weir_meter_binding_counts_tokens(meter->caller.binding);
        bool admitted = (!stream && !counts_tokens) ||
                        weir_meter_admit_more(&meter->caller, stream,
                                              counts_tokens ? gateway__likely_tokens(request) : 0, now_ns, &rates,
                                              &refusal);
        gateway__note_rates(request, &rates);
        if (!admitted)
            return gateway__refuse(request, &refusal);
    }
    if (request->endpoint->place != PLACE_OF_MODEL)
        return NEXT;
    if (gateway__bind_name(request->worker, WEIR_SCOPE_MODEL, request->call.model, &binding) != WEIR_OK)
        return no_memory(request);
    if (weir_meter_binding_is_empty(binding))
        return NEXT;
    rates = no_rates;
    bool admitted = weir_meter_admit(binding, stream, gateway__likely_tokens(request), now_ns, &meter->model, &rates,
                                     &refusal);
    gateway__note_rates(request, &rates);
    return admitted ? NEXT : gateway__refuse(request, &refusal);
}
