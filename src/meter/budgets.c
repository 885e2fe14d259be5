/* Reserve and settle: the worst case out of every budget of a binding or out of none.
 *
 * All accounts of the binding are locked, in the order of their addresses, looked at, and only if every line agrees is anything taken; so nobody ever sees a
 * request half reserved. Amounts are taken from pots, not from lines: from every pot of an account that holds the request's start, whichever lines there are. A
 * hold gives back to those of them that are older than it (`sequence`), which are exactly those that it was taken from. So a budget that is made, changed or
 * taken away meanwhile, a period that ends, a clock that steps, leave nothing behind.
 *
 * What is charged leaves the pot's room for good, as it leaves the store's slice when the ledger has the entry. Nothing here waits or asks: what is missing is noted,
 * and the control thread is woken (leases.c).
 */
#include "base/memory.h"
#include "meter/meter_impl.h"

#define MAX_RETRY_SECONDS 86400
#define ROLLING_RETRY_SECONDS 900

static int64_t add(int64_t a, int64_t b) {
    int64_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static int64_t subtract(int64_t a, int64_t b) {
    int64_t difference = 0;
    if (__builtin_sub_overflow(a, b, &difference))
        return b < 0 ? INT64_MAX : INT64_MIN;
    return difference;
}

static int64_t at_least_zero(int64_t amount) {
    return amount > 0 ? amount : 0;
}

/* --- limits and pots --- */

/* Also says until when this holds: the next beginning or end of a raise. */
static int64_t limit_with_raises(struct meter__line *line, int64_t utc_us) {
    int64_t limit = line->limit, from = INT64_MIN, until = INT64_MAX;
    for (size_t i = 0; i < line->raise_count; i++) {
        const struct meter__raise *raise = &line->raises[i];
        if (utc_us < raise->from_utc_us) {
            until = raise->from_utc_us < until ? raise->from_utc_us : until;
        } else if (utc_us >= raise->until_utc_us) {
            from = raise->until_utc_us > from ? raise->until_utc_us : from;
        } else {
            limit = add(limit, raise->amount);
            from = raise->from_utc_us > from ? raise->from_utc_us : from;
            until = raise->until_utc_us < until ? raise->until_utc_us : until;
        }
    }
    line->limit_now = limit;
    line->limit_from_utc_us = from;
    line->limit_until_utc_us = until;
    return limit;
}

static inline int64_t limit_of(struct meter__line *line, int64_t utc_us) {
    if (utc_us >= line->limit_from_utc_us && utc_us < line->limit_until_utc_us)
        return line->limit_now;
    return limit_with_raises(line, utc_us);
}

int64_t meter__line_limit(struct meter__line *line, int64_t utc_us) {
    return limit_of(line, utc_us);
}

static struct meter__pot *find_or_make_pot(struct meter__account *account, const struct weir_period *period,
                                           bool hard) {
    const int64_t from = period->rolling ? 0 : period->from_utc_us;
    for (struct meter__pot *pot = account->pots; pot != NULL; pot = pot->next) {
        if (pot->from_utc_us == from && pot->until_utc_us == period->until_utc_us && pot->rolling == period->rolling) {
            meter__pot_set_hard(pot, pot->hard || hard);
            return pot;
        }
    }
    struct meter__pot *pot = weir_memory_new(1, sizeof *pot);
    if (pot == NULL)
        return NULL;
    pot->from_utc_us = from;
    pot->until_utc_us = period->until_utc_us;
    pot->rolling = period->rolling;
    pot->hard = hard;
    pot->refresh = true;
    struct weir_meter *meter = account->meter;
    pot->sequence = atomic_fetch_add_explicit(&meter->sequence, 1, memory_order_relaxed) + 1;
    pot->epoch = pot->touched_epoch = atomic_load_explicit(&meter->epoch, memory_order_relaxed);
    pot->next = account->pots;
    account->pots = pot;
    return pot;
}

static struct meter__pot *next_pot(struct meter__account *account, struct meter__line *line, int64_t utc_us) {
    struct weir_period period = weir_window_period(line->window, line->zone, utc_us);
    struct meter__pot *pot = find_or_make_pot(account, &period, line->hard);
    if (pot == NULL)
        return NULL;
    line->pot = pot;
    line->from_utc_us = period.rolling ? INT64_MIN : period.from_utc_us;
    line->until_utc_us = period.until_utc_us;
    return pot;
}

/* A line without a pot has an empty period. */
static inline struct meter__pot *pot_of(struct meter__account *account, struct meter__line *line, int64_t utc_us) {
    if (utc_us >= line->from_utc_us && utc_us < line->until_utc_us)
        return line->pot;
    return next_pot(account, line, utc_us);
}

/* Also where the line has gone over to another period, or not come to this one yet. */
static bool counts_in(const struct meter__line *line, const struct meter__pot *pot) {
    if (line->pot == pot)
        return true;
    if (pot->rolling || line->window == WEIR_WINDOW_ROLLING_24H)
        return pot->rolling && line->window == WEIR_WINDOW_ROLLING_24H;
    struct weir_period period = weir_window_period(line->window, line->zone, pot->from_utc_us);
    return period.from_utc_us == pot->from_utc_us && period.until_utc_us == pot->until_utc_us;
}

int64_t meter__pot_limit(struct meter__account *account, const struct meter__pot *pot, int64_t utc_us, bool *hard) {
    int64_t lowest = INT64_MAX;
    *hard = false;
    /* Of a period that is over, what held at its end; of one to come, what will at its beginning. */
    int64_t at = utc_us < pot->until_utc_us ? utc_us : pot->until_utc_us - 1;
    at = at > pot->from_utc_us || pot->rolling ? at : pot->from_utc_us;
    for (size_t i = 0; i < account->line_count; i++) {
        struct meter__line *line = &account->lines[i];
        if (!line->hard || !counts_in(line, pot))
            continue;
        int64_t limit = meter__line_limit(line, at);
        lowest = limit < lowest ? limit : lowest;
        *hard = true;
    }
    return lowest;
}

void meter__pot_age(struct meter__pot *pot, uint64_t epoch) {
    if (pot->epoch == epoch)
        return;
    pot->taken_before = pot->epoch + 1 == epoch ? pot->taken : 0;
    pot->taken = 0;
    pot->least = pot->room;
    pot->epoch = epoch;
}

static bool holds_time(const struct meter__pot *pot, int64_t utc_us) {
    return pot->rolling || (utc_us >= pot->from_utc_us && utc_us < pot->until_utc_us);
}

/* --- judging --- */

/* From the mildest to the hardest: of several lines that do not agree the hardest counts. */
enum verdict { FITS, CLAMP, WAIT_FOR_HOLDS, WAIT_FOR_STORE, UNKNOWN, OVER };

struct judgement {
    struct weir_meter *meter;
    int64_t utc_us, waited_ms;
    int64_t now_ns; /* 0: not asked yet */
    bool wake;
    enum verdict verdict;
    int64_t room; /* the least of all that are short */
    struct meter__account *account;
    struct meter__line *line;
    int64_t used, limit, needed;
};

static const struct meter__pot no_pot = {.known = false};

static int64_t used_of(const struct meter__pot *pot) {
    return pot->known ? subtract(pot->total, pot->room) : 0;
}

static void note(struct judgement *judgement, struct meter__account *account, struct meter__line *line,
                 enum verdict verdict, const struct meter__pot *pot, int64_t need, int64_t limit) {
    int64_t used = used_of(pot), room = limit > used ? subtract(limit, used) : 0;
    if (account->unit == WEIR_SPEND_CU_MILLI)
        judgement->room = room < judgement->room ? room : judgement->room;
    if (verdict <= judgement->verdict)
        return;
    judgement->verdict = verdict;
    judgement->account = account;
    judgement->line = line;
    judgement->used = used;
    judgement->limit = limit;
    judgement->needed = need;
}

/* As much as the store is known to have does not suffice. */
static enum verdict over(struct judgement *judgement, struct meter__account *account, struct meter__line *line,
                         struct meter__pot *pot, int64_t need, int64_t limit) {
    if (line->on_exceeded == WEIR_ON_EXCEEDED_WAIT && need <= limit && judgement->waited_ms < line->wait_ms &&
        (pot->held > 0 || pot->others > 0)) {
        pot->hoping = true;
        if (pot->others > 0)
            judgement->wake = meter__queue(judgement->meter, account) || judgement->wake;
        return WAIT_FOR_HOLDS;
    }
    if (line->on_exceeded == WEIR_ON_EXCEEDED_CLAMP && limit > used_of(pot))
        return CLAMP;
    return OVER;
}

static void tell_exceeded(struct judgement *judgement, struct meter__account *account, struct meter__line *line,
                          const struct meter__pot *pot) {
    if (line->kind == METER__LINE_DAILY || line->exceeded_from_utc_us == pot->from_utc_us)
        return;
    line->exceeded_from_utc_us = pot->from_utc_us;
    line->tell_exceeded = true;
    judgement->wake = meter__queue(judgement->meter, account) || judgement->wake;
}

/* The line's pot has not enough at hand. */
static void judge_short(struct judgement *judgement, struct meter__account *account, struct meter__line *line,
                        struct meter__pot *pot, int64_t need) {
    const int64_t limit = meter__line_limit(line, judgement->utc_us);
    enum verdict verdict = WAIT_FOR_STORE;
    if (pot->known && need <= subtract(limit, used_of(pot))) {
        /* The store gives no more than the lowest limit of the pot's lines allows: who has that one judges. */
        bool hard = false;
        if (need > subtract(meter__pot_limit(account, pot, judgement->utc_us, &hard), used_of(pot)))
            return;
    }
    if (judgement->now_ns == 0)
        judgement->now_ns = judgement->meter->outside.now_ns(judgement->meter->outside.context);
    const int64_t waited_ns = at_least_zero(judgement->waited_ms) * (METER_SECOND_NS / 1000),
                  patience_ms = judgement->meter->settings.store_wait_ms +
                                (line->on_exceeded == WEIR_ON_EXCEEDED_WAIT ? line->wait_ms : 0);
    /* An answer that came while the request waited is an answer to it, however long ago. */
    bool fits = pot->known && need <= subtract(limit, used_of(pot)),
         fresh = pot->known &&
                 judgement->now_ns - pot->answered_ns < (waited_ns > METER_PACE_NS ? waited_ns : METER_PACE_NS);
    if (!fits && (fresh || (need > limit && (pot->known || line->on_exceeded != WEIR_ON_EXCEEDED_CLAMP)))) {
        verdict = over(judgement, account, line, pot, need, limit);
    } else if (judgement->waited_ms >= patience_ms) {
        pot->refresh = true;
        judgement->wake = meter__queue(judgement->meter, account) || judgement->wake;
        verdict = UNKNOWN;
    } else {
        pot->need = add(pot->need, need);
        pot->needing = true;
        judgement->wake = meter__queue(judgement->meter, account) || judgement->wake;
    }
    if (verdict == OVER)
        tell_exceeded(judgement, account, line, pot);
    note(judgement, account, line, verdict, pot, need, limit);
}

static void judge(struct judgement *judgement, struct meter__account *account, int64_t need) {
    const int64_t utc_us = judgement->utc_us;
    for (size_t i = 0; i < account->line_count; i++) {
        struct meter__line *line = &account->lines[i];
        struct meter__pot *pot = pot_of(account, line, utc_us);
        if (pot == NULL) { /* no memory: what cannot be counted is not served */
            if (line->hard)
                note(judgement, account, line, UNKNOWN, &no_pot, need, line->limit);
            continue;
        }
        if (!line->hard || need == 0)
            continue;
        if (pot->room < need || used_of(pot) > subtract(limit_of(line, utc_us), need))
            judge_short(judgement, account, line, pot, need);
    }
}

/* --- taking --- */

/* True: the control thread is to be woken, because what is at hand runs low. */
static bool take(struct weir_meter *meter, struct meter__account *account, int64_t need, int64_t utc_us) {
    const uint64_t epoch = atomic_load_explicit(&meter->epoch, memory_order_relaxed);
    bool wake = false;
    for (struct meter__pot *pot = account->pots; pot != NULL; pot = pot->next) {
        if (!holds_time(pot, utc_us))
            continue;
        if (pot->epoch != epoch)
            meter__pot_age(pot, epoch);
        pot->touched_epoch = epoch;
        pot->room = subtract(pot->room, need);
        pot->held = add(pot->held, need);
        pot->taken = add(pot->taken, need);
        pot->least = pot->room < pot->least ? pot->room : pot->least;
        if ((pot->hard && pot->room < pot->low) || pot->refresh)
            wake = meter__queue(meter, account) || wake;
    }
    return wake;
}

/* What is charged stays out of the pot's room; so does what a hold charges that is older than the pot, for the ledger takes it from the pot's slice all the same. True:
 * somebody waits for what comes back. */
static bool give(struct meter__account *account, int64_t held, int64_t charged, int64_t utc_us, uint64_t sequence,
                 bool wakes) {
    const uint64_t epoch = atomic_load_explicit(&account->meter->epoch, memory_order_relaxed);
    bool hoping = false;
    for (struct meter__pot *pot = account->pots; pot != NULL; pot = pot->next) {
        if (!holds_time(pot, utc_us))
            continue;
        const int64_t taken = pot->sequence <= sequence ? held : 0;
        pot->held = subtract(pot->held, taken);
        pot->room = add(pot->room, subtract(taken, charged));
        pot->touched_epoch = epoch;
        /* More than was granted: whether it left the slice or found none there is not to be seen from here. */
        pot->uncertain = pot->uncertain || (charged > taken && pot->room < 0);
        if (wakes && pot->hoping && taken > charged) {
            pot->hoping = false;
            hoping = true;
        }
    }
    return hoping;
}

static int64_t retry_after(const struct meter__line *line, int64_t utc_us) {
    if (line->window == WEIR_WINDOW_ROLLING_24H)
        return ROLLING_RETRY_SECONDS;
    if (line->window == WEIR_WINDOW_TOTAL || line->pot == NULL ||
        line->until_utc_us - utc_us >= MAX_RETRY_SECONDS * METER_SECOND_US)
        return MAX_RETRY_SECONDS;
    int64_t seconds = (line->until_utc_us - utc_us + METER_SECOND_US - 1) / METER_SECOND_US;
    return seconds > 0 ? seconds : 1;
}

static const enum weir_limit daily_limits[METER_UNITS] = {
    [WEIR_SPEND_REQUESTS] = WEIR_LIMIT_REQUESTS_PER_DAY, [WEIR_SPEND_TOKENS] = WEIR_LIMIT_TOKENS_PER_DAY};

static void explain(const struct judgement *judgement, struct weir_meter_refusal *refusal) {
    const struct meter__account *account = judgement->account;
    const struct meter__line *line = judgement->line;
    const enum weir_scope scope = meter__scope(account->subject);
    *refusal = (struct weir_meter_refusal){
        .reason = judgement->verdict == UNKNOWN     ? WEIR_REASON_BUDGET_UNKNOWN
                  : line->kind == METER__LINE_DAILY ? WEIR_REASON_DAILY_LIMIT_EXCEEDED
                                                    : WEIR_REASON_CU_LIMIT_EXCEEDED,
        .scope = scope,
        .scope_name = weir_scope_name(scope),
        .window = weir_window_name(line->window),
        .limit_name = line->kind == METER__LINE_DAILY ? weir_limit_name(daily_limits[account->unit]) : "cu_milli",
        .used = judgement->used,
        .limit = judgement->limit,
        .needed = judgement->needed,
        .room = judgement->room,
        .retry_after_seconds = judgement->verdict == OVER || judgement->verdict == CLAMP
                                   ? retry_after(line, judgement->utc_us)
                                   : 1,
    };
    meter__line_id(account, line, refusal->budget, sizeof refusal->budget);
}

static void count(struct weir_meter *meter, enum verdict verdict) {
    if (verdict == OVER || verdict == UNKNOWN)
        atomic_fetch_add_explicit(&meter->refused, 1, memory_order_relaxed);
    else if (verdict == WAIT_FOR_HOLDS || verdict == WAIT_FOR_STORE)
        atomic_fetch_add_explicit(&meter->waits, 1, memory_order_relaxed);
}

static enum weir_reserve result_of(enum verdict verdict) {
    switch (verdict) {
    case FITS: return WEIR_RESERVED;
    case CLAMP: return WEIR_RESERVE_CLAMP;
    case WAIT_FOR_HOLDS:
    case WAIT_FOR_STORE: return WEIR_RESERVE_WAIT;
    case UNKNOWN:
    case OVER: break;
    }
    return WEIR_RESERVE_REFUSED;
}

enum weir_reserve weir_meter_reserve(struct weir_meter_binding *binding, int64_t cu_milli, int64_t tokens,
                                     int64_t utc_us, int64_t waited_ms, struct weir_hold *hold,
                                     struct weir_meter_refusal *refusal) {
    struct weir_meter *meter = binding->meter;
    const int64_t needs[METER_UNITS] = {[WEIR_SPEND_CU_MILLI] = at_least_zero(cu_milli),
                                        [WEIR_SPEND_REQUESTS] = 1,
                                        [WEIR_SPEND_TOKENS] = at_least_zero(tokens)};
    *hold = (struct weir_hold){.binding = NULL};
    if (binding->account_count == 0)
        return WEIR_RESERVED;
    struct judgement judgement = {.meter = meter, .utc_us = utc_us, .waited_ms = waited_ms, .room = INT64_MAX};
    for (size_t i = 0; i < binding->account_count; i++) {
        struct meter__account *account = binding->accounts[i];
        meter__lock(&account->lock);
        judge(&judgement, account, needs[account->unit]);
    }
    if (judgement.verdict == FITS) {
        for (size_t i = 0; i < binding->account_count; i++)
            judgement.wake = take(meter, binding->accounts[i], needs[binding->accounts[i]->unit], utc_us) ||
                             judgement.wake;
        /* Pots are made under their account's lock: all of these accounts' are in it, and none that comes later. */
        hold->sequence = atomic_load_explicit(&meter->sequence, memory_order_relaxed);
    } else {
        explain(&judgement, refusal);
    }
    for (size_t i = binding->account_count; i > 0; i--)
        meter__unlock(&binding->accounts[i - 1]->lock);
    if (judgement.wake)
        meter__wake(meter);
    if (judgement.verdict != FITS) {
        count(meter, judgement.verdict);
        return result_of(judgement.verdict);
    }
    meter__binding_ref(binding);
    hold->binding = binding;
    hold->cu_milli = needs[WEIR_SPEND_CU_MILLI];
    hold->requests = 1;
    hold->tokens = needs[WEIR_SPEND_TOKENS];
    hold->utc_us = utc_us;
    atomic_fetch_add_explicit(&meter->shards[binding->shard].holds, 1, memory_order_relaxed);
    return WEIR_RESERVED;
}

void weir_meter_refuse_clamped(struct weir_meter_binding *binding, int64_t cu_milli, int64_t utc_us) {
    struct judgement judgement = {.meter = binding->meter};
    for (size_t i = 0; i < binding->account_count; i++) {
        struct meter__account *account = binding->accounts[i];
        if (account->unit != WEIR_SPEND_CU_MILLI)
            continue;
        meter__lock(&account->lock);
        for (size_t j = 0; j < account->line_count; j++) {
            struct meter__line *line = &account->lines[j];
            struct meter__pot *pot = pot_of(account, line, utc_us);
            if (pot != NULL && line->hard && line->on_exceeded == WEIR_ON_EXCEEDED_CLAMP &&
                used_of(pot) > subtract(meter__line_limit(line, utc_us), at_least_zero(cu_milli)))
                tell_exceeded(&judgement, account, line, pot);
        }
        meter__unlock(&account->lock);
    }
    if (judgement.wake)
        meter__wake(binding->meter);
}

static void end_hold(struct weir_hold *hold, int64_t cu_milli, int64_t tokens, int64_t requests, bool wakes) {
    struct weir_meter_binding *binding = hold->binding;
    if (binding == NULL)
        return;
    struct weir_meter *meter = binding->meter;
    const int64_t held[METER_UNITS] = {[WEIR_SPEND_CU_MILLI] = hold->cu_milli,
                                       [WEIR_SPEND_REQUESTS] = hold->requests,
                                       [WEIR_SPEND_TOKENS] = hold->tokens},
                  charged[METER_UNITS] = {[WEIR_SPEND_CU_MILLI] = at_least_zero(cu_milli),
                                          [WEIR_SPEND_REQUESTS] = at_least_zero(requests),
                                          [WEIR_SPEND_TOKENS] = at_least_zero(tokens)};
    bool hoping = false;
    for (size_t i = 0; i < binding->account_count; i++) {
        struct meter__account *account = binding->accounts[i];
        meter__lock(&account->lock);
        hoping = give(account, held[account->unit], charged[account->unit], hold->utc_us, hold->sequence, wakes) ||
                 hoping;
        meter__unlock(&account->lock);
    }
    atomic_fetch_sub_explicit(&meter->shards[binding->shard].holds, 1, memory_order_relaxed);
    *hold = (struct weir_hold){.binding = NULL};
    if (hoping) {
        atomic_store_explicit(&meter->room_came, true, memory_order_release);
        meter__wake(meter);
    }
    weir_meter_unbind(&binding);
}

void weir_meter_settle(struct weir_hold *hold, int64_t cu_milli, int64_t tokens, int64_t requests) {
    end_hold(hold, cu_milli, tokens, requests, true);
}

void weir_meter_undo(struct weir_hold *hold) {
    end_hold(hold, 0, 0, 0, false);
}
