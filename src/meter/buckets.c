/* Limits by the second and minute, and on what is under way at once: admit, admit more, leave.
 *
 * A bucket is one number: the time at which it will be full again (GCRA). Taking is a comparison and one exchange; there is nothing to refill and nothing to
 * lock. Time is in ticks of a sixteenth of a nanosecond, so that a token of a limit of a hundred million a minute is not rounded away. What the limits are is in the
 * binding, which never changes; what was taken is in the subject, which all bindings share.
 *
 * Tokens are taken as estimated and put right when the request leaves. A request that is larger than its bucket is let in when the bucket is full, and what comes
 * later waits for the debt to be paid: refusing it would be refusing it for ever.
 */
#include "meter/meter_impl.h"

#define TICKS_IN_NS 16
#define NS_IN_MS 1000000
#define EXACT_TICKS 4096 /* of one token: above, that it is cut to whole ticks shows in no figure */

__extension__ typedef __int128 wide;

/* a * b / c, cut; INT64_MAX / 4 at most, so that a few can be added up. */
static int64_t share(int64_t a, int64_t b, int64_t c) {
    int64_t product = 0;
    const int64_t most = INT64_MAX / 4;
    if (!__builtin_mul_overflow(a, b, &product)) {
        product /= c;
        return product < most ? product : most;
    }
    wide result = (wide)a * b / c;
    return result < most ? (int64_t)result : most;
}

static int64_t now_in_ticks(int64_t now_ns) {
    return now_ns * TICKS_IN_NS;
}

static bool is_bucket(const struct meter__rate *rate) {
    return rate->kind == WEIR_LIMIT_REQUESTS_PER_SECOND || rate->kind == WEIR_LIMIT_REQUESTS_PER_MINUTE ||
           rate->kind == WEIR_LIMIT_TOKENS_PER_MINUTE;
}

static const uint8_t states[WEIR_LIMIT_COUNT] = {
    [WEIR_LIMIT_REQUESTS_PER_SECOND] = METER__PER_SECOND, [WEIR_LIMIT_REQUESTS_PER_MINUTE] = METER__PER_MINUTE,
    [WEIR_LIMIT_TOKENS_PER_MINUTE] = METER__TOKENS,       [WEIR_LIMIT_CONCURRENT_REQUESTS] = METER__REQUESTS,
    [WEIR_LIMIT_CONCURRENT_STREAMS] = METER__STREAMS,
};

void meter__rate_init(struct meter__rate *rate, struct meter__subject *subject, enum weir_limit kind, int64_t limit,
                      int64_t most, uint32_t instances) {
    *rate = (struct meter__rate){.state = &subject->states[states[kind]],
                                 .limit = limit,
                                 .kind = (uint8_t)kind,
                                 .scope = (uint8_t)subject->key[0]};
    if (limit == 0)
        return;
    rate->most = (is_bucket(rate) ? most : limit) / instances;
    rate->most = rate->most > 0 ? rate->most : 1;
    int64_t seconds = kind == WEIR_LIMIT_REQUESTS_PER_SECOND ? 1 : 60;
    rate->span_ticks = seconds * METER_SECOND_NS * TICKS_IN_NS * instances;
    rate->each_ticks = share(1, rate->span_ticks, limit);
    rate->burst_ticks = share(rate->most, rate->span_ticks, limit);
    rate->share_ticks = rate->burst_ticks / 1024 + 1;
}

/* What the request takes of it. */
static int64_t cost_of(const struct meter__rate *rate, int64_t tokens) {
    if (rate->kind != WEIR_LIMIT_TOKENS_PER_MINUTE)
        return rate->each_ticks;
    return tokens > 0 && rate->limit > 0 ? share(tokens, rate->span_ticks, rate->limit) : 0;
}

/* `wait_ticks`: after how long it would be there. */
static bool bucket_take(const struct meter__rate *rate, int64_t cost, int64_t now, int64_t *full_at,
                        int64_t *wait_ticks) {
    int64_t known = atomic_load_explicit(rate->state, memory_order_relaxed), full = 0;
    int64_t required = cost < rate->burst_ticks ? cost : rate->burst_ticks;
    do {
        int64_t base = known > now ? known : now;
        *wait_ticks = base + required - now - rate->burst_ticks;
        if (*wait_ticks > 0 || rate->limit == 0) {
            *full_at = base;
            return false;
        }
        full = base + cost;
    } while (
        !atomic_compare_exchange_weak_explicit(rate->state, &known, full, memory_order_relaxed, memory_order_relaxed));
    *full_at = full;
    return true;
}

static void bucket_give(const struct meter__rate *rate, int64_t cost) {
    atomic_fetch_sub_explicit(rate->state, cost, memory_order_relaxed);
}

/* More than was taken: it may be in debt afterwards. */
static void bucket_charge(const struct meter__rate *rate, int64_t cost, int64_t now) {
    int64_t known = atomic_load_explicit(rate->state, memory_order_relaxed), base = 0;
    do {
        base = known > now ? known : now;
    } while (base < INT64_MAX / 2 &&
             !atomic_compare_exchange_weak_explicit(rate->state, &known, base + cost, memory_order_relaxed,
                                                    memory_order_relaxed));
}

static bool count_take(const struct meter__rate *rate) {
    int64_t known = atomic_load_explicit(rate->state, memory_order_relaxed);
    do {
        if (known >= rate->most)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(rate->state, &known, known + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

/* What is asked of the limits of a binding. */
struct asked {
    bool request, stream;
    int64_t tokens;
};

static bool concerns(const struct meter__rate *rate, const struct asked *asked) {
    if (rate->kind == WEIR_LIMIT_CONCURRENT_STREAMS)
        return asked->stream;
    return asked->request || rate->kind == WEIR_LIMIT_TOKENS_PER_MINUTE;
}

static void give_first(const struct weir_meter_binding *binding, size_t count, const struct asked *asked) {
    for (size_t i = 0; i < count; i++) {
        const struct meter__rate *rate = &binding->rates[i];
        if (!concerns(rate, asked))
            continue;
        if (is_bucket(rate))
            bucket_give(rate, cost_of(rate, asked->tokens));
        else
            atomic_fetch_sub_explicit(rate->state, 1, memory_order_relaxed);
    }
}

/* What is left in it. */
static int64_t remaining_of(const struct meter__rate *rate, int64_t full_at, int64_t now) {
    int64_t free = rate->burst_ticks - (full_at > now ? full_at - now : 0);
    if (free <= 0)
        return 0;
    return rate->each_ticks > EXACT_TICKS ? free / rate->each_ticks : share(free, rate->limit, rate->span_ticks);
}

/* Of one kind of rate, the one that is nearest to its end. */
struct tightest {
    const struct meter__rate *rate;
    int64_t full_at;
    int64_t thousandths;
};

static void tighten(struct tightest *tightest, const struct meter__rate *rate, int64_t full_at, int64_t now) {
    int64_t free = rate->burst_ticks - (full_at > now ? full_at - now : 0);
    int64_t thousandths = free > 0 && rate->share_ticks > 0 ? free / rate->share_ticks : 0;
    if (tightest->rate == NULL || thousandths < tightest->thousandths)
        *tightest = (struct tightest){.rate = rate, .full_at = full_at, .thousandths = thousandths};
}

static void show_rates(const struct tightest *requests, const struct tightest *tokens, int64_t now,
                       struct weir_rate_state *rates) {
    *rates = (struct weir_rate_state){.requests = {.limit = -1}, .tokens = {.limit = -1}};
    if (requests->rate != NULL) {
        rates->requests.limit = requests->rate->limit;
        rates->requests.remaining = remaining_of(requests->rate, requests->full_at, now);
        rates->requests.reset_ms = requests->full_at > now ? (requests->full_at - now) / (TICKS_IN_NS * NS_IN_MS) : 0;
    }
    if (tokens->rate != NULL) {
        rates->tokens.limit = tokens->rate->limit;
        rates->tokens.remaining = remaining_of(tokens->rate, tokens->full_at, now);
        rates->tokens.reset_ms = tokens->full_at > now ? (tokens->full_at - now) / (TICKS_IN_NS * NS_IN_MS) : 0;
    }
}

static const struct {
    enum weir_reason reason;
    const char *window;
} shown[WEIR_LIMIT_COUNT] = {
    [WEIR_LIMIT_REQUESTS_PER_SECOND] = {WEIR_REASON_RATE_LIMITED, "second"},
    [WEIR_LIMIT_REQUESTS_PER_MINUTE] = {WEIR_REASON_RATE_LIMITED, "minute"},
    [WEIR_LIMIT_TOKENS_PER_MINUTE] = {WEIR_REASON_TOKEN_RATE_LIMITED, "minute"},
    [WEIR_LIMIT_CONCURRENT_REQUESTS] = {WEIR_REASON_CONCURRENCY_LIMITED, ""},
    [WEIR_LIMIT_CONCURRENT_STREAMS] = {WEIR_REASON_CONCURRENCY_LIMITED, ""},
};

static void refuse(const struct meter__rate *rate, int64_t full_at, int64_t now, int64_t wait_ticks,
                   struct weir_meter_refusal *refusal) {
    *refusal = (struct weir_meter_refusal){.reason = shown[rate->kind].reason,
                                           .scope = (enum weir_scope)rate->scope,
                                           .scope_name = weir_scope_name((enum weir_scope)rate->scope),
                                           .window = shown[rate->kind].window,
                                           .limit_name = weir_limit_name((enum weir_limit)rate->kind),
                                           .limit = rate->limit,
                                           .retry_after_seconds = 1};
    if (!is_bucket(rate)) {
        refusal->used = atomic_load_explicit(rate->state, memory_order_relaxed);
    } else if (rate->limit > 0) {
        const int64_t second = METER_SECOND_NS * TICKS_IN_NS;
        refusal->used = rate->most - remaining_of(rate, full_at, now);
        refusal->retry_after_seconds = wait_ticks > second ? (wait_ticks + second - 1) / second : 1;
    } else {
        refusal->retry_after_seconds = 60;
    }
}

/* All that is asked, or nothing. */
static bool take_all(struct weir_meter_binding *binding, const struct asked *asked, int64_t now_ns,
                     struct weir_rate_state *rates, struct weir_meter_refusal *refusal) {
    struct tightest requests = {.rate = NULL}, tokens = {.rate = NULL};
    const int64_t now = now_in_ticks(now_ns);
    bool good = true;
    for (size_t i = 0; good && i < binding->rate_count; i++) {
        const struct meter__rate *rate = &binding->rates[i];
        int64_t full_at = 0, wait_ticks = 0;
        const bool concerned = concerns(rate, asked);
        if (!is_bucket(rate)) {
            good = !concerned || count_take(rate);
        } else {
            if (concerned)
                good = bucket_take(rate, cost_of(rate, asked->tokens), now, &full_at, &wait_ticks);
            else
                full_at = atomic_load_explicit(rate->state, memory_order_relaxed);
            tighten(rate->kind == WEIR_LIMIT_TOKENS_PER_MINUTE ? &tokens : &requests, rate, full_at, now);
        }
        if (!good) {
            refuse(rate, full_at, now, wait_ticks, refusal);
            give_first(binding, i, asked);
            atomic_fetch_add_explicit(&binding->meter->refused, 1, memory_order_relaxed);
        }
    }
    show_rates(&requests, &tokens, now, rates);
    return good;
}

bool weir_meter_admit(struct weir_meter_binding *binding, bool stream, int64_t tokens, int64_t now_ns,
                      struct weir_admission *admission, struct weir_rate_state *rates,
                      struct weir_meter_refusal *refusal) {
    *admission = (struct weir_admission){.binding = NULL};
    if (!take_all(binding, &(struct asked){.request = true, .stream = stream, .tokens = tokens}, now_ns, rates,
                  refusal))
        return false;
    if (binding->rate_count > 0) {
        meter__binding_ref(binding);
        *admission = (struct weir_admission){.binding = binding, .tokens = tokens > 0 ? tokens : 0, .stream = stream};
        atomic_fetch_add_explicit(&binding->meter->shards[binding->shard].concurrent, 1, memory_order_relaxed);
    }
    return true;
}

bool weir_meter_admit_more(struct weir_admission *admission, bool stream, int64_t tokens, int64_t now_ns,
                           struct weir_rate_state *rates, struct weir_meter_refusal *refusal) {
    if (admission->binding == NULL) {
        *rates = (struct weir_rate_state){.requests = {.limit = -1}, .tokens = {.limit = -1}};
        return true;
    }
    const struct asked asked = {.stream = stream && !admission->stream, .tokens = tokens};
    if (!take_all(admission->binding, &asked, now_ns, rates, refusal))
        return false;
    admission->stream = admission->stream || stream;
    admission->tokens += tokens > 0 ? tokens : 0;
    return true;
}

void weir_meter_leave(struct weir_admission *admission, int64_t tokens, int64_t now_ns) {
    tokens = tokens > 0 ? tokens : 0;
    struct weir_meter_binding *binding = admission->binding;
    if (binding == NULL)
        return;
    const struct asked asked = {.request = true, .stream = admission->stream};
    for (size_t i = 0; i < binding->rate_count; i++) {
        const struct meter__rate *rate = &binding->rates[i];
        if (rate->kind == WEIR_LIMIT_TOKENS_PER_MINUTE) {
            if (tokens > admission->tokens)
                bucket_charge(rate, cost_of(rate, tokens - admission->tokens), now_in_ticks(now_ns));
            else if (tokens < admission->tokens)
                bucket_give(rate, cost_of(rate, admission->tokens - tokens));
        } else if (!is_bucket(rate) && concerns(rate, &asked)) {
            atomic_fetch_sub_explicit(rate->state, 1, memory_order_relaxed);
        }
    }
    atomic_fetch_sub_explicit(&binding->meter->shards[binding->shard].concurrent, 1, memory_order_relaxed);
    *admission = (struct weir_admission){.binding = NULL};
    weir_meter_unbind(&binding);
}
