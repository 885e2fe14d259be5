/* The control thread's half of the budgets: asks the store for slices, gives back what is not needed, keeps the books.
 *
 * Accounts that have something to ask stand in a queue. One batch of questions is on its way at a time; what comes up meanwhile waits for the next, so the store is
 * asked as often as it answers and not as often as requests come. A slice is what waits for it and, ahead of need, as much as the last seconds took, at most
 * `slice_percent` of what is left: large while there is much, small towards the end, nothing where nobody asks. What was not touched for a turn of
 * slice_idle_ms goes back.
 *
 * What is given back leaves the room before it is sent, what is granted enters it when the answer is here. So the store never thinks that less is out than is,
 * whatever becomes of a question; where one fails, it may think that more is, until the account has been quiet for a while and gives back all.
 */
#include "base/memory.h"
#include "meter/meter_impl.h"

enum { WALK_STEP = 64, FREED_AT_ONCE = 10000 };

struct question {
    struct meter__account *account;
    struct meter__pot *pot;
    int64_t need;
    bool changes; /* asks for something or gives something back */
};

struct meter__flight {
    struct weir_meter *meter; /* NULL: it has ended before the answer came */
    bool in_flight;
    bool sending; /* within the call that sends */
    size_t count;
    struct question questions[WEIR_MAX_LEASES];
    struct weir_lease leases[WEIR_MAX_LEASES];
};

static int64_t at_least_zero(int64_t amount) {
    return amount > 0 ? amount : 0;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t add(int64_t a, int64_t b) {
    int64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

enum weir_status meter__flight_init(struct weir_meter *meter) {
    meter->flight = weir_memory_new(1, sizeof *meter->flight);
    if (meter->flight == NULL)
        return WEIR_ENOMEM;
    meter->flight->meter = meter;
    return WEIR_OK;
}

void meter__flight_release(struct weir_meter *meter) {
    if (meter->flight != NULL && meter->flight->in_flight)
        meter->flight->meter = NULL; /* the reply frees it */
    else
        weir_memory_free(meter->flight);
    meter->flight = NULL;
}

bool meter__queue(struct weir_meter *meter, struct meter__account *account) {
    if (account->queued)
        return false;
    account->queued = true;
    pthread_mutex_lock(&meter->queue_lock);
    account->next_queued = meter->asking;
    meter->asking = account;
    pthread_mutex_unlock(&meter->queue_lock);
    return true;
}

bool meter__is_pressed(struct weir_meter *meter) {
    pthread_mutex_lock(&meter->queue_lock);
    bool pressed = meter->asking != NULL || meter->events != NULL;
    pthread_mutex_unlock(&meter->queue_lock);
    return pressed;
}

/* --- questions --- */

/* What is to be at hand: as much as the last seconds took, and no more of what is left than the settings say. */
static int64_t target_of(const struct weir_meter *meter, const struct meter__pot *pot, int64_t limit, int64_t use) {
    if (!pot->known || atomic_load_explicit(&meter->draining, memory_order_relaxed))
        return 0;
    int64_t left = add(at_least_zero(limit - pot->total), at_least_zero(pot->room));
    int64_t percent = meter->settings.slice_percent;
    int64_t share = left < INT64_MAX / 100 ? left * percent / 100 : left / 100 * percent;
    return smaller(share, use);
}

/* Fills in wanted and unused. */
static void weigh(const struct weir_meter *meter, struct meter__pot *pot, int64_t limit, struct weir_lease *lease) {
    const int64_t room = at_least_zero(pot->room);
    if (!pot->hard) {
        lease->unused = room;
        return;
    }
    if (atomic_load_explicit(&meter->draining, memory_order_relaxed))
        lease->unused = pot->need > 0 ? 0 : room;
    else if (pot->known && pot->total > limit)
        lease->unused = smaller(room, pot->total - limit);
    else
        lease->unused = smaller(room, pot->surplus);
    const int64_t target = target_of(meter, pot, limit, add(pot->taken, pot->taken_before));
    pot->low = pot->known && pot->total < limit ? target / 2 : 0;
    if (pot->need > pot->room)
        lease->wanted = add(add(pot->need, target), at_least_zero(-pot->room) - room);
    else if (pot->room < pot->low)
        lease->wanted = target - pot->room;
    if (lease->wanted > 0 && (!pot->known || pot->total <= limit))
        lease->unused = 0;
}

/* True: `lease` is to be asked. `again`: it is to be looked at once more a little later. */
static bool question_of(struct weir_meter *meter, struct meter__account *account, struct meter__pot *pot,
                        int64_t now_ns, int64_t utc_us, struct weir_lease *lease, bool *again) {
    bool hard = false;
    int64_t limit = meter__pot_limit(account, pot, utc_us, &hard);
    meter__pot_set_hard(pot, hard);
    struct weir_lease asked = {.counter = {.scope = meter__scope(account->subject),
                                           .id = meter__id(account->subject),
                                           .unit = account->unit,
                                           .from_utc_us = pot->from_utc_us,
                                           .until_utc_us = pot->until_utc_us,
                                           .rolling = pot->rolling},
                               .limit = limit};
    if (pot->rolling)
        asked.counter.from_utc_us = weir_window_period(WEIR_WINDOW_ROLLING_24H, NULL, utc_us).from_utc_us;
    meter__pot_age(pot, atomic_load_explicit(&meter->epoch, memory_order_relaxed));
    weigh(meter, pot, limit, &asked);
    if (pot->need == 0 && pot->known && pot->total >= limit)
        asked.wanted =
            0; /* nobody waits, and nothing is to be had: not again and again while others of the account hope */
    bool hopes = pot->hoping && pot->others > 0, due = hopes && now_ns - pot->answered_ns >= METER_PACE_NS;
    *again = *again || (hopes && !due);
    if ((pot->uncertain || pot->doubtful) && pot->surplus == INT64_MAX && pot->held == 0 && asked.wanted == 0) {
        asked.unused = INT64_MAX;
        pot->uncertain = pot->doubtful = false;
        pot->room = pot->short_by = 0;
    }
    if (!due && !pot->refresh && !pot->needing && asked.wanted == 0 && asked.unused == 0)
        return false;
    *lease = asked;
    return true;
}

/* The questions of one account; false: there was no place for all. */
static bool collect(struct weir_meter *meter, struct meter__account *account, int64_t now_ns, int64_t utc_us) {
    struct meter__flight *flight = meter->flight;
    bool again = false, fits = true;
    meter__lock(&account->lock);
    account->queued = false;
    meter__watch(meter, account, utc_us);
    for (struct meter__pot *pot = account->pots; pot != NULL && fits; pot = pot->next) {
        struct weir_lease *lease = &flight->leases[flight->count];
        if (flight->count == WEIR_MAX_LEASES) {
            fits = false;
        } else if (question_of(meter, account, pot, now_ns, utc_us, lease, &again)) {
            flight->questions[flight->count++] = (struct question){.account = account,
                                                                   .pot = pot,
                                                                   .need = pot->need,
                                                                   .changes = lease->wanted > 0 || lease->unused > 0};
            if (lease->unused < INT64_MAX)
                pot->room -= lease->unused;
            pot->least = smaller(pot->least, pot->room);
            pot->need = pot->surplus = 0;
            pot->refresh = false;
            pot->in_flight = true;
        }
    }
    if (again || !fits)
        (void)meter__queue(meter, account);
    meter__unlock(&account->lock);
    return fits;
}

/* --- answers --- */

/* True: what somebody waits for may be there. */
static bool apply(struct meter__pot *pot, const struct weir_lease *lease, int64_t now_ns) {
    const int64_t total = add(add(lease->spent, lease->slice), lease->others);
    bool better = !pot->known || total < pot->total || lease->granted > 0;
    pot->room = add(add(pot->room, pot->short_by), lease->granted);
    pot->short_by = 0;
    /* What the ledger has of requests that began before there was a budget came out of the slice, too: less is left than is thought here. It looks the same when the
     * ledger has an entry whose hold is not settled here yet; so what is left out now is looked at again with the next answer. Where nobody is refused, nothing was
     * granted, and what is here is only what was taken since the last answer. */
    const int64_t most = lease->slice - pot->held;
    if (pot->hard && pot->room > most)
        pot->short_by = pot->room - most;
    /* The store may also have more: what the ledger does not have yet, which the next answer shows, or what was lost sight of. */
    pot->doubtful = pot->hard && pot->room != most;
    if (!pot->hard || pot->room > most)
        pot->room = most;
    pot->least = smaller(pot->least, pot->room);
    pot->total = total;
    pot->others = lease->others;
    pot->known = true;
    pot->answered_ns = now_ns;
    bool tell = pot->needing || (pot->hoping && better);
    if (better)
        pot->hoping = false;
    pot->needing = false;
    return tell;
}

static void on_answers(void *context, enum weir_status status, const struct weir_lease *leases, size_t count,
                       const struct weir_error *error) {
    struct meter__flight *flight = context;
    struct weir_meter *meter = flight->meter;
    (void)error; /* the store has told of it; here it is asked again */
    flight->in_flight = false;
    if (meter == NULL) {
        weir_memory_free(flight);
        return;
    }
    const int64_t now_ns = meter->outside.now_ns(meter->outside.context),
                  utc_us = meter->outside.utc_us(meter->outside.context);
    bool came = false, answered = status == WEIR_OK && count == flight->count;
    for (size_t i = 0; i < flight->count; i++) {
        struct question *question = &flight->questions[i];
        struct meter__account *account = question->account;
        struct meter__pot *pot = question->pot;
        meter__lock(&account->lock);
        pot->in_flight = false;
        if (answered) {
            came = apply(pot, &leases[i], now_ns) || came;
            bool hard = false;
            int64_t limit = meter__pot_limit(account, pot, utc_us, &hard);
            pot->low = hard && pot->total < limit ? target_of(meter, pot, limit, add(pot->taken, pot->taken_before)) / 2
                                                  : 0;
            meter__watch(meter, account, utc_us);
            if (pot->hoping && pot->others > 0)
                (void)meter__queue(meter, account);
        } else {
            pot->uncertain = pot->uncertain || question->changes;
            pot->need = add(pot->need, question->need);
            pot->refresh = true;
            (void)meter__queue(meter, account);
        }
        meter__unlock(&account->lock);
    }
    flight->count = 0;
    if (!answered)
        meter->not_before_ns = now_ns + METER_PACE_NS;
    if (came && meter->on_room != NULL)
        meter->on_room(meter->on_room_context);
    if (!flight->sending)
        meter__ask(meter, now_ns);
}

/* One batch; false: there is nothing to ask, or not now. */
static bool ask_once(struct weir_meter *meter, int64_t now_ns) {
    struct meter__flight *flight = meter->flight;
    if (flight->in_flight || now_ns < meter->not_before_ns)
        return false;
    pthread_mutex_lock(&meter->queue_lock);
    struct meter__account *account = meter->asking;
    meter->asking = NULL;
    pthread_mutex_unlock(&meter->queue_lock);
    const int64_t utc_us = meter->outside.utc_us(meter->outside.context);
    while (account != NULL) {
        struct meter__account *next = account->next_queued;
        (void)collect(meter, account, now_ns, utc_us);
        account = next;
    }
    if (flight->count == 0)
        return false;
    flight->in_flight = true;
    flight->sending = true;
    atomic_fetch_add_explicit(&meter->questions, flight->count, memory_order_relaxed);
    enum weir_status status = meter->outside.lease(meter->outside.context, flight->leases, flight->count, on_answers,
                                                   flight);
    if (status != WEIR_OK)
        on_answers(flight, status, NULL, 0, NULL);
    flight->sending = false;
    return !flight->in_flight;
}

void meter__ask(struct weir_meter *meter, int64_t now_ns) {
    while (ask_once(meter, now_ns)) {}
}

/* --- the books --- */

static bool is_of_a_line(const struct meter__account *account, const struct meter__pot *pot) {
    for (size_t i = 0; i < account->line_count; i++)
        if (account->lines[i].pot == pot)
            return true;
    return false;
}

/* Of a turn that is over: what was at hand all the time is not needed. `epoch`: the one that begins. */
static void find_surplus(const struct weir_meter *meter, struct meter__pot *pot, int64_t limit, uint64_t epoch) {
    if (pot->epoch + 1 < epoch)
        pot->surplus = at_least_zero(pot->room);
    else
        pot->surplus = at_least_zero(smaller(pot->least, pot->room) -
                                     target_of(meter, pot, limit, add(pot->taken, pot->taken)) / 2);
    if ((pot->uncertain || pot->doubtful) && pot->held == 0 && pot->touched_epoch + METER_LINGER_EPOCHS < epoch)
        pot->surplus = INT64_MAX;
}

static bool may_leave(const struct meter__pot *pot) {
    return pot->held == 0 && !pot->in_flight && !pot->uncertain && !pot->doubtful && pot->room <= 0;
}

static void keep_account(struct weir_meter *meter, struct meter__account *account, int64_t utc_us, uint64_t epoch) {
    meter__lock(&account->lock);
    for (struct meter__pot **at = &account->pots; *at != NULL;) {
        struct meter__pot *pot = *at;
        bool hard = false;
        int64_t limit = meter__pot_limit(account, pot, utc_us, &hard);
        meter__pot_set_hard(pot, hard);
        bool quiet = pot->touched_epoch + 2 < epoch;
        if (quiet && may_leave(pot) && !is_of_a_line(account, pot)) {
            *at = pot->next;
            weir_memory_free(pot);
            continue;
        }
        at = &pot->next;
        if (pot->hard || pot->uncertain || pot->doubtful)
            find_surplus(meter, pot, limit, epoch);
        else
            pot->surplus = at_least_zero(pot->room); /* of a budget that was hard, or is no more */
        pot->refresh = pot->refresh || !quiet;
        if (pot->surplus > 0 || pot->refresh)
            (void)meter__queue(meter, account);
    }
    meter__watch(meter, account, utc_us);
    meter__unlock(&account->lock);
}

/* The lock of the table is held for some accounts at a time; only this thread takes any out of the list. */
static void keep_accounts(struct weir_meter *meter, uint64_t epoch) {
    const int64_t utc_us = meter->outside.utc_us(meter->outside.context);
    size_t step = 0;
    pthread_mutex_lock(&meter->lock);
    for (struct weir_list *link = meter->accounts.next; link != &meter->accounts; link = link->next) {
        keep_account(meter, WEIR_CONTAINER_OF(link, struct meter__account, link), utc_us, epoch);
        if (++step % WALK_STEP == 0) {
            pthread_mutex_unlock(&meter->lock);
            pthread_mutex_lock(&meter->lock);
        }
    }
    pthread_mutex_unlock(&meter->lock);
}

static bool account_may_leave(struct meter__account *account) {
    bool may = true;
    meter__lock(&account->lock);
    may = !account->queued;
    for (const struct meter__pot *pot = account->pots; pot != NULL; pot = pot->next)
        may = may && may_leave(pot);
    meter__unlock(&account->lock);
    return may;
}

/* Nobody is bound to it: nothing is under way. Its buckets are full, and nothing of it is out. */
static bool subject_may_leave(const struct meter__subject *subject, int64_t now_ns) {
    for (size_t i = METER__PER_SECOND; i <= METER__TOKENS; i++)
        if (atomic_load_explicit(&subject->states[i], memory_order_relaxed) / 16 > now_ns)
            return false;
    for (size_t i = 0; i < METER_UNITS; i++)
        if (subject->accounts[i] != NULL && !account_may_leave(subject->accounts[i]))
            return false;
    return true;
}

static void let_go(struct weir_meter *meter, int64_t now_ns) {
    struct weir_list later;
    weir_list_init(&later);
    pthread_mutex_lock(&meter->lock);
    for (size_t i = 0; i < FREED_AT_ONCE && !weir_list_is_empty(&meter->idle); i++) {
        struct meter__subject *subject = WEIR_CONTAINER_OF(meter->idle.next, struct meter__subject, idle);
        if (now_ns - subject->idle_ns < METER_LINGER_NS)
            break;
        weir_list_remove(&subject->idle);
        if (!subject_may_leave(subject, now_ns)) {
            subject->idle_ns = now_ns;
            weir_list_append(&later, &subject->idle);
            continue;
        }
        (void)weir_map_remove(meter->subjects, weir_span_of(subject->key, subject->key_length));
        for (size_t unit = 0; unit < METER_UNITS; unit++)
            meter__account_free(meter, subject->accounts[unit]);
        weir_memory_free(subject->own);
        weir_memory_free(subject);
    }
    while (!weir_list_is_empty(&later)) {
        struct weir_list *link = later.next;
        weir_list_remove(link);
        weir_list_append(&meter->idle, link);
    }
    pthread_mutex_unlock(&meter->lock);
}

void meter__keep_books(struct weir_meter *meter, int64_t now_ns) {
    if (now_ns - meter->epoch_ns < meter->settings.slice_idle_ms * (METER_SECOND_NS / 1000))
        return;
    meter->epoch_ns = now_ns;
    keep_accounts(meter, atomic_fetch_add_explicit(&meter->epoch, 1, memory_order_relaxed) + 1);
    let_go(meter, now_ns);
    meter__forget_refusals(meter, now_ns);
}
