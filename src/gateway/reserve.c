/* What a request may cost at most, before it leaves: the worst case at the dearest candidate's price.
 *
 * A token is at least a byte of what is sent; what is at the provider already may be as long as the model takes. The output is bounded by the request,
 * the model or a setting. What charges by units is bounded by the request. What cannot be bounded at all is refused where only what is metered may pass.
 */
#include "base/arithmetic.h"
#include "gateway/impl.h"

const struct weir_price *gateway__price_of(const struct weir_request *request, const struct weir_target *target) {
    if (request->endpoint->is_free)
        return NULL;
    return weir_prices_find_variant(request->held->published->prices, target->provider->price_name, target->model,
                                    request->call.variant);
}

/* What a model takes whose price says nothing of it: as much as the largest ones do. */
enum { LARGE_CONTEXT_TOKENS = 1048576 };

static int64_t sum(int64_t a, int64_t b) {
    int64_t total;
    return weir_add_int64(a, b, &total) ? total : INT64_MAX;
}

static struct weir_usage worst_case(const struct weir_request *request, const struct weir_price *price) {
    const struct weir_call *call = &request->call;
    struct weir_usage usage = {.input = sum((int64_t)gateway__body_length(request), call->more_input_tokens),
                               .unit = call->unit,
                               .units = call->units};
    int64_t window = price != NULL && price->max_input_tokens > 0 ? price->max_input_tokens : LARGE_CONTEXT_TOKENS;
    if (call->input_is_elsewhere && window > usage.input)
        usage.input = window;
    if (!call->makes_tokens)
        return usage;
    int64_t output = call->max_output_tokens;
    if (output == 0)
        output = price != NULL && price->max_output_tokens > 0
                     ? price->max_output_tokens
                     : gateway__settings(request)->limits.default_output_tokens;
    if (!weir_multiply_int64(output, call->choices, &usage.output))
        usage.output = INT64_MAX;
    /* Of the kind that the endpoint makes and takes. */
    usage.output_audio = call->guess.output_audio > 0 ? usage.output : 0;
    usage.output_image = call->guess.output_image > 0 ? usage.output : 0;
    usage.input_audio = call->guess.input_audio > 0 ? usage.input : 0;
    usage.input_image = call->unit == WEIR_UNIT_IMAGE ? call->more_input_tokens : 0;
    return usage;
}

/* Any input may be written to a cache and any output be reasoning, where these have prices of their own that are higher. */
static int64_t worst_cost(const struct weir_price *price, const struct weir_usage *usage) {
    struct weir_usage dearer = *usage;
    int64_t cost = weir_price_cost(price, usage);
    bool cached = false, reasoned = false;
    for (size_t i = 0; price != NULL && i < price->tier_count; i++) {
        cached = cached || price->tiers[i].cache_write > price->tiers[i].input;
        reasoned = reasoned || price->tiers[i].reasoning > price->tiers[i].output;
    }
    for (unsigned kinds = 1; kinds < 4; kinds++) {
        if (((kinds & 1) != 0 && !cached) || ((kinds & 2) != 0 && !reasoned))
            continue;
        dearer.cache_write = (kinds & 1) != 0 ? usage->input : 0;
        dearer.reasoning = (kinds & 2) != 0 ? usage->output : 0;
        int64_t other = weir_price_cost(price, &dearer);
        cost = other > cost ? other : cost;
    }
    return cost;
}

enum gateway__next gateway__step_reserve(struct weir_request *request) {
    bool metered_only = gateway__settings(request)->limits.metered_only;
    request->reserved_cu_milli = 0;
    if (metered_only && request->call.background)
        return gateway__fail(request, WEIR_REASON_NOT_METERABLE, NULL, "%s",
                             request->endpoint->is_free ? "a batch" : "a background response");
    if (request->endpoint->is_free)
        return NEXT;
    for (size_t i = 0; i < request->candidates.count; i++) {
        const struct weir_price *price = gateway__price_of(request, &request->candidates.at[i]);
        if (metered_only && price == NULL)
            return gateway__fail(request, WEIR_REASON_NOT_METERABLE, "model", "'%.*s' has no price",
                                 (int)(request->call.model.length < 100 ? request->call.model.length : 100),
                                 request->call.model.at);
        struct weir_usage usage = worst_case(request, price);
        int64_t cost = worst_cost(price, &usage);
        if (i == 0 || cost > request->reserved_cu_milli) {
            request->reserved_cu_milli = cost;
            request->reserved_usage = usage;
        }
    }
    return NEXT;
}
