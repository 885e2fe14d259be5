/* What a request may cost at most, before it leaves, and the hold for it on every budget of its caller and its model.
 *
 * A token is at least a byte of what is sent; what is at the provider already may be as long as the model takes. The output is bounded by the request,
 * the model or a setting. What charges by units is bounded by the request. The dearest candidate's price counts. What cannot be bounded at all is refused where
 * only what is metered may pass: by the setting, or because a hard budget applies.
 *
 * Where the worst case does not fit, the budget says what is to be done: refuse, wait in the list of parked requests with nothing held, or ask again with a
 * lower output limit, which the provider is then told.
 */
#include "base/arithmetic.h"
#include "gateway/impl.h"

const struct weir_price *gateway__price_of(const struct weir_request *request, const struct weir_target *target) {
    if (request->endpoint->is_free)
        return NULL;
    return weir_prices_find_variant(request->held->published->prices, target->provider->price_name, target->model,
                                    request->call.variant);
}

/* What a model takes whose price says nothing of it: as much as the largest ones do. And what a model is told besides what the client sends: the marks around
 * messages, and what its template begins with. */
enum { LARGE_CONTEXT_TOKENS = 1048576, TEMPLATE_TOKENS = 128 };
/* Where it is translated: what another provider tells its model of tools and of the form of an answer, in its own words. */
enum { TRANSLATION_TOKENS = 1024 };

static int64_t sum(int64_t a, int64_t b) {
    int64_t total;
    return weir_add_int64(a, b, &total) ? total : INT64_MAX;
}

int64_t gateway__tokens_of(const struct weir_usage *usage) {
    int64_t input = usage->input > 0 ? usage->input : 0, output = usage->output > 0 ? usage->output : 0;
    return sum(input, output);
}

/* No model takes more than its window: what is bounded by it need not be added to it. */
static int64_t worst_input(const struct weir_request *request, const struct weir_price *price) {
    const struct weir_call *call = &request->call;
    int64_t bytes = (int64_t)gateway__body_length(request);
    int64_t input = sum(bytes, call->more_input_tokens);
    bool is_known = price != NULL && price->max_input_tokens > 0;
    int64_t window = is_known ? price->max_input_tokens : LARGE_CONTEXT_TOKENS;
    if (call->may_take_audio || call->output_limit_name != NULL) /* messages */
        input = sum(input, TEMPLATE_TOKENS);
    if (request->translation != NULL)
        input = sum(input, TRANSLATION_TOKENS);
    if (call->input_is_elsewhere && window > input)
        return window;
    if (is_known && call->more_input_tokens > 0 && input > window && window > bytes)
        return window;
    return input;
}

static struct weir_usage worst_case(const struct weir_request *request, const struct weir_price *price) {
    const struct weir_call *call = &request->call;
    struct weir_usage usage = {.input = worst_input(request, price), .unit = call->unit, .units = call->units};
    if (!call->makes_tokens)
        return usage;
    int64_t output = call->clamped_output_tokens > 0 ? call->clamped_output_tokens : call->max_output_tokens;
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

/* --- the dearest kinds that it may be of --- */

enum { CACHE_WRITE = 1, INPUT_AUDIO = 2, INPUT_IMAGE = 4, REASONING = 8, OUTPUT_AUDIO = 16, CACHE_WRITE_LONG = 32 };
enum { INPUT_KINDS = CACHE_WRITE | CACHE_WRITE_LONG | INPUT_AUDIO | INPUT_IMAGE, ALL_KINDS = 63 };

/* Those that cost more than plain tokens in some tier, and may come. */
static unsigned dearer_kinds(const struct weir_call *call, const struct weir_price *price) {
    unsigned kinds = 0;
    for (size_t i = 0; price != NULL && i < price->tier_count; i++) {
        const struct weir_price_tier *tier = &price->tiers[i];
        kinds |= tier->cache_write > tier->input ? CACHE_WRITE : 0;
        kinds |= tier->cache_write_long > tier->input ? CACHE_WRITE_LONG : 0;
        kinds |= call->may_take_audio && tier->input_audio > tier->input ? INPUT_AUDIO : 0;
        kinds |= call->unit == WEIR_UNIT_NONE && (call->more_input_tokens > 0 || call->input_is_elsewhere) &&
                         tier->input_image > tier->input
                     ? INPUT_IMAGE
                     : 0;
        kinds |= tier->reasoning > tier->output ? REASONING : 0;
        kinds |= call->may_make_audio && tier->output_audio > tier->output ? OUTPUT_AUDIO : 0;
    }
    return kinds;
}

/* At most one kind of the input and one of the output at a time: all of it is of that kind then. */
static bool is_one_each(unsigned kinds) {
    unsigned input = kinds & INPUT_KINDS, output = kinds & ~(unsigned)INPUT_KINDS;
    return (input & (input - 1)) == 0 && (output & (output - 1)) == 0;
}

int64_t gateway__worst_cost(const struct weir_request *request, const struct weir_price *price,
                            struct weir_usage *usage) {
    *usage = worst_case(request, price);
    unsigned possible = dearer_kinds(&request->call, price);
    int64_t cost = weir_price_cost(price, usage);
    for (unsigned kinds = 1; possible != 0 && kinds <= ALL_KINDS; kinds++) {
        struct weir_usage dearer = *usage;
        if ((kinds & ~possible) != 0 || !is_one_each(kinds))
            continue;
        dearer.cache_write = (kinds & (CACHE_WRITE | CACHE_WRITE_LONG)) != 0 ? usage->input : 0;
        dearer.cache_write_long = (kinds & CACHE_WRITE_LONG) != 0 ? usage->input : 0;
        dearer.input_audio = (kinds & INPUT_AUDIO) != 0 ? usage->input : usage->input_audio;
        dearer.input_image = (kinds & INPUT_IMAGE) != 0 ? usage->input : usage->input_image;
        dearer.reasoning = (kinds & REASONING) != 0 ? usage->output : 0;
        dearer.output_audio = (kinds & OUTPUT_AUDIO) != 0 ? usage->output : usage->output_audio;
        int64_t other = weir_price_cost(price, &dearer);
        cost = other > cost ? other : cost;
    }
    return cost;
}

/* The dearest candidate's. */
static int64_t dearest(struct weir_request *request, struct weir_usage *usage) {
    int64_t most = 0;
    *usage = (struct weir_usage){.input = 0};
    for (size_t i = 0; i < request->candidates.count; i++) {
        struct weir_usage of_this;
        int64_t cost = gateway__worst_cost(request, gateway__price_of(request, &request->candidates.at[i]), &of_this);
        if (i > 0 && cost <= most)
            continue;
        most = cost;
        *usage = of_this;
    }
    return most;
}

/* --- what cannot be metered --- */

static enum gateway__next check_meterable(struct weir_request *request) {
    if (request->call.background)
        return gateway__fail(request, WEIR_REASON_NOT_METERABLE, NULL, "%s",
                             request->endpoint->is_free ? "a batch" : "a background response");
    for (size_t i = 0; !request->endpoint->is_free && i < request->candidates.count; i++)
        if (gateway__price_of(request, &request->candidates.at[i]) == NULL)
            return gateway__fail(request, WEIR_REASON_NOT_METERABLE, "model", "'%.*s' has no price",
                                 (int)(request->call.model.length < 100 ? request->call.model.length : 100),
                                 request->call.model.at);
    return NEXT;
}

/* --- holding --- */

struct asked {
    struct weir_meter_binding *caller, *model; /* NULL: nothing applies */
};

static enum weir_status bind(struct weir_request *request, struct asked *asked) {
    enum weir_status status = gateway__bind_caller(request, &asked->caller);
    asked->model = NULL;
    if (status != WEIR_OK)
        return status;
    /* Also where an id has told the model: the ledger has the request under its name. */
    if (request->call.model.length > 0)
        status = gateway__bind_name(request->worker, WEIR_SCOPE_MODEL, request->call.model, &asked->model);
    if (weir_meter_binding_is_empty(asked->caller))
        asked->caller = NULL;
    if (asked->model != NULL && weir_meter_binding_is_empty(asked->model))
        asked->model = NULL;
    return status;
}

static enum weir_reserve hold(struct weir_request *request, const struct asked *asked,
                              struct weir_meter_refusal *refusal) {
    struct gateway__meter *meter = &request->meter;
    int64_t cost = request->reserved_cu_milli, tokens = gateway__tokens_of(&request->reserved_usage);
    int64_t waited_ms = gateway__waited_ms(request);
    enum weir_reserve outcome = WEIR_RESERVED;
    if (asked->caller != NULL)
        outcome = weir_meter_reserve(asked->caller, cost, tokens, request->start_utc_us, waited_ms, &meter->caller_hold,
                                     refusal);
    if (outcome != WEIR_RESERVED || asked->model == NULL)
        return outcome;
    outcome = weir_meter_reserve(asked->model, cost, tokens, request->start_utc_us, waited_ms, &meter->model_hold,
                                 refusal);
    if (outcome != WEIR_RESERVED)
        weir_meter_undo(&meter->caller_hold);
    return outcome;
}

/* --- asking for less --- */

/* The largest output limit that costs at most `room`; 0: none does, or the call has no such limit. */
static int64_t largest_output(struct weir_request *request, int64_t room) {
    struct weir_call *call = &request->call;
    struct weir_usage usage;
    if (call->output_limit_name == NULL || call->choices <= 0)
        return 0;
    int64_t low = 0, high = request->reserved_usage.output / call->choices; /* the first fits, the second does not */
    int64_t before = call->clamped_output_tokens;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        call->clamped_output_tokens = middle;
        if (dearest(request, &usage) <= room)
            low = middle;
        else
            high = middle;
    }
    call->clamped_output_tokens = before;
    return low;
}

/* False: not a single token fits. */
static bool clamp(struct weir_request *request, int64_t room) {
    int64_t output = largest_output(request, room);
    if (output < 1)
        return false;
    request->call.clamped_output_tokens = output;
    request->reserved_cu_milli = dearest(request, &request->reserved_usage);
    return true;
}

static void tell_refused(struct weir_request *request, const struct asked *asked) {
    if (asked->caller != NULL)
        weir_meter_refuse_clamped(asked->caller, request->reserved_cu_milli, request->start_utc_us);
    if (asked->model != NULL)
        weir_meter_refuse_clamped(asked->model, request->reserved_cu_milli, request->start_utc_us);
}

/* Others may take what was free a moment ago, so that less has to be asked for again. */
enum { MOST_CLAMPS = 4 };

static enum gateway__next hold_or_less(struct weir_request *request, const struct asked *asked) {
    struct weir_meter_refusal refusal;
    for (int clamps = 0;; clamps++) {
        switch (hold(request, asked, &refusal)) {
        case WEIR_RESERVED: return NEXT;
        case WEIR_RESERVE_WAIT: return gateway__park(request);
        case WEIR_RESERVE_REFUSED: return gateway__refuse(request, &refusal);
        case WEIR_RESERVE_CLAMP:
            if (clamps == MOST_CLAMPS || !clamp(request, refusal.room)) {
                tell_refused(request, asked);
                return gateway__refuse(request, &refusal);
            }
        }
    }
}

enum gateway__next gateway__step_reserve(struct weir_request *request) {
    struct asked asked;
    if (bind(request, &asked) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    bool is_hard = (asked.caller != NULL && weir_meter_binding_is_hard(asked.caller)) ||
                   (asked.model != NULL && weir_meter_binding_is_hard(asked.model));
    if ((is_hard || gateway__settings(request)->limits.metered_only) && check_meterable(request) == ANSWER)
        return ANSWER;
    request->reserved_cu_milli = 0;
    if (!request->endpoint->is_free)
        request->reserved_cu_milli = dearest(request, &request->reserved_usage);
    if (asked.caller == NULL && asked.model == NULL)
        return NEXT;
    return hold_or_less(request, &asked);
}
