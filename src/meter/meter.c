/* The meter's life, its bindings, and the control thread's turn.
 *
 * Names are looked up when a binding is made, under the table's lock; a request only follows pointers. In the server the world around the meter is the store and the
 * control thread's loop; it lives apart from the meter, because a message or an answer may still be on its way when the meter ends.
 */
#include "base/arithmetic.h"
#include "base/clock.h"
#include "base/memory.h"
#include "meter/meter_impl.h"

#define TURN_MS 200

/* --- the server's world --- */

struct meter__world {
    struct weir_meter *meter; /* NULL: it has ended */
    struct weir_loop *loop;
    struct weir_store *store;
    struct weir_timer timer;
    struct weir_message message;
    _Atomic bool posted;
};

static enum weir_status world_lease(void *context, const struct weir_lease *leases, size_t count,
                                    weir_store_lease_reply reply, void *reply_context) {
    struct meter__world *world = context;
    return weir_store_lease(world->store, world->loop, leases, count, reply, reply_context);
}

static int64_t world_utc_us(void *context) {
    (void)context;
    return weir_clock_utc_us();
}

static int64_t world_now_ns(void *context) {
    (void)context;
    return weir_clock_monotonic_ns();
}

static void on_message(struct weir_message *message) {
    struct meter__world *world = WEIR_CONTAINER_OF(message, struct meter__world, message);
    atomic_store_explicit(&world->posted, false, memory_order_seq_cst);
    if (world->meter != NULL)
        meter__turn(world->meter);
    else
        weir_memory_free(world);
}

static void world_wake(void *context) {
    struct meter__world *world = context;
    if (!atomic_exchange_explicit(&world->posted, true, memory_order_seq_cst))
        weir_loop_post(world->loop, &world->message);
}

static void on_timer(void *argument) {
    struct meter__world *world = argument;
    meter__turn(world->meter);
    weir_timer_start(world->loop, &world->timer, TURN_MS, on_timer, world);
}

enum weir_status weir_meter_new(const struct weir_meter_settings *settings, struct weir_loop *loop,
                                struct weir_store *store, struct weir_meter **meter, struct weir_error *error) {
    struct meter__world *world = weir_memory_new(1, sizeof *world);
    if (world == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the meter");
    world->loop = loop;
    world->store = store;
    world->message.run = on_message;
    const struct meter__outside outside = {
        .context = world, .lease = world_lease, .utc_us = world_utc_us, .now_ns = world_now_ns, .wake = world_wake};
    enum weir_status status = meter__new(settings, &outside, meter, error);
    if (status != WEIR_OK) {
        weir_memory_free(world);
        return status;
    }
    world->meter = *meter;
    (*meter)->world = world;
    weir_timer_start(loop, &world->timer, TURN_MS, on_timer, world);
    return WEIR_OK;
}

/* --- life --- */

enum weir_status meter__new(const struct weir_meter_settings *settings, const struct meter__outside *outside,
                            struct weir_meter **meter, struct weir_error *error) {
    struct weir_meter *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the meter");
    made->settings = *settings;
    made->outside = *outside;
    pthread_mutex_init(&made->lock, NULL);
    pthread_mutex_init(&made->queue_lock, NULL);
    weir_list_init(&made->idle);
    weir_list_init(&made->accounts);
    made->events_end = &made->events;
    atomic_init(&made->generation, 1);
    atomic_init(&made->instances, 1);
    made->epoch_ns = outside->now_ns(outside->context);
    made->not_before_ns = INT64_MIN;
    made->subjects = weir_map_new(0);
    made->definitions = weir_map_new(0);
    made->targets = weir_map_new(0);
    made->workspaces = weir_map_new(0);
    made->refusals = weir_map_new(0);
    enum weir_status status = weir_zones_new(NULL, &made->zones);
    if (status == WEIR_OK)
        status = meter__flight_init(made);
    if (made->subjects == NULL || made->definitions == NULL || made->targets == NULL || made->workspaces == NULL ||
        made->refusals == NULL)
        status = WEIR_ENOMEM;
    if (status != WEIR_OK) {
        weir_meter_free(&made);
        return weir_fail(error, status, "no memory for the meter");
    }
    *meter = made;
    return WEIR_OK;
}

static void free_subject(struct weir_meter *meter, struct meter__subject *subject) {
    for (size_t unit = 0; unit < METER_UNITS; unit++)
        meter__account_free(meter, subject->accounts[unit]);
    weir_memory_free(subject->own);
    weir_memory_free(subject);
}

void weir_meter_free(struct weir_meter **meter) {
    struct weir_meter *leaving = *meter;
    if (leaving == NULL)
        return;
    *meter = NULL;
    if (leaving->world != NULL) {
        weir_timer_stop(&leaving->world->timer);
        leaving->world->meter = NULL;
        if (!atomic_load_explicit(&leaving->world->posted, memory_order_seq_cst))
            weir_memory_free(leaving->world); /* else the message does */
    }
    meter__flight_release(leaving);
    size_t cursor = 0;
    struct weir_span key;
    void *value = NULL;
    while (leaving->subjects != NULL && weir_map_next(leaving->subjects, &cursor, &key, &value))
        free_subject(leaving, value);
    weir_map_free(&leaving->subjects);
    meter__events_release(leaving);
    meter__known_release(leaving);
    weir_zones_free(&leaving->zones);
    pthread_mutex_destroy(&leaving->lock);
    pthread_mutex_destroy(&leaving->queue_lock);
    weir_memory_free(leaving);
}

void weir_meter_on_room(struct weir_meter *meter, void (*on_room)(void *context), void *context) {
    meter->on_room = on_room;
    meter->on_room_context = context;
}

void weir_meter_on_event(struct weir_meter *meter,
                         void (*on_event)(void *context, const struct weir_meter_event *event), void *context) {
    meter->on_event = on_event;
    meter->on_event_context = context;
}

uint64_t weir_meter_generation(const struct weir_meter *meter) {
    return atomic_load_explicit(&meter->generation, memory_order_acquire);
}

void weir_meter_set_instances(struct weir_meter *meter, unsigned count) {
    uint32_t instances = count > 0 ? (uint32_t)count : 1;
    if (atomic_exchange_explicit(&meter->instances, instances, memory_order_relaxed) != instances)
        atomic_fetch_add_explicit(&meter->generation, 1, memory_order_release);
}

void weir_meter_drain(struct weir_meter *meter) {
    atomic_store_explicit(&meter->draining, true, memory_order_relaxed);
    pthread_mutex_lock(&meter->lock);
    for (struct weir_list *link = meter->accounts.next; link != &meter->accounts; link = link->next) {
        struct meter__account *account = WEIR_CONTAINER_OF(link, struct meter__account, link);
        meter__lock(&account->lock);
        (void)meter__queue(meter, account);
        meter__unlock(&account->lock);
    }
    pthread_mutex_unlock(&meter->lock);
    meter__turn(meter);
}

void meter__turn(struct weir_meter *meter) {
    const int64_t now_ns = meter->outside.now_ns(meter->outside.context);
    meter__keep_books(meter, now_ns);
    meter__ask(meter, now_ns);
    if (atomic_exchange_explicit(&meter->room_came, false, memory_order_acq_rel) && meter->on_room != NULL)
        meter->on_room(meter->on_room_context);
    meter__tell(meter);
}

/* --- bindings --- */

/* What a binding will be made of. */
enum { MOST_SUBJECTS = 8, MOST_ACCOUNTS = MOST_SUBJECTS * METER_UNITS, MOST_RATES = MOST_SUBJECTS * METER__STATES };
struct making {
    struct weir_meter *meter;
    size_t subject_count, account_count, rate_count;
    struct meter__subject *subjects[MOST_SUBJECTS];
    struct meter__account *accounts[MOST_ACCOUNTS];
    struct meter__rate rates[MOST_RATES];
};

enum { SUBJECT_KEY_BYTES = 640 };

static struct meter__subject *find_or_make_subject(struct weir_meter *meter, enum weir_scope scope,
                                                   struct weir_span id) {
    char bytes[SUBJECT_KEY_BYTES];
    if (id.length >= sizeof bytes)
        return NULL;
    bytes[0] = (char)scope;
    if (id.length > 0)
        memcpy(bytes + 1, id.at, id.length);
    const struct weir_span key = weir_span_of(bytes, id.length + 1);
    struct meter__subject *subject = weir_map_find(meter->subjects, key);
    if (subject != NULL)
        return subject;
    subject = weir_memory_new(1, sizeof *subject + key.length);
    if (subject == NULL)
        return NULL;
    memcpy(subject->key, key.at, key.length);
    subject->key_length = (uint16_t)key.length;
    weir_list_init(&subject->idle);
    if (weir_map_put(meter->subjects, weir_span_of(subject->key, key.length), subject, NULL) != WEIR_OK) {
        weir_memory_free(subject);
        return NULL;
    }
    return subject;
}

/* The strictest of what is said: the lowest limit of each kind, and the smallest burst. */
struct strictest {
    int64_t at[WEIR_LIMIT_COUNT];   /* -1: none */
    int64_t most[WEIR_LIMIT_COUNT]; /* at once */
};

static void tighten(struct strictest *strictest, const struct weir_limits *limits) {
    for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++) {
        const int64_t at = limits->at[i], percent = limits->burst_percent > 0 ? limits->burst_percent : 100;
        int64_t most = 0;
        if (at < 0)
            continue;
        if (weir_multiply_int64(at, percent, &most))
            most /= 100;
        else if (!weir_multiply_int64(at / 100, percent, &most))
            most = INT64_MAX;
        if (strictest->at[i] < 0 || at < strictest->at[i])
            strictest->at[i] = at;
        if (strictest->most[i] < 0 || most < strictest->most[i])
            strictest->most[i] = most;
    }
}

static struct strictest nothing(void) {
    struct strictest strictest;
    for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++)
        strictest.at[i] = strictest.most[i] = -1;
    return strictest;
}

static void tighten_by(struct strictest *strictest, const struct meter__target *target) {
    for (const struct meter__definition *one = target != NULL ? target->definitions : NULL; one != NULL;
         one = one->next)
        if (one->kind == WEIR_OBJECT_LIMIT)
            tighten(strictest, &one->is.limit.limits);
}

static bool has_budget(const struct meter__target *target) {
    for (const struct meter__definition *one = target != NULL ? target->definitions : NULL; one != NULL;
         one = one->next)
        if (one->kind == WEIR_OBJECT_BUDGET)
            return true;
    return false;
}

static bool has_own(const struct meter__own *own) {
    bool any = own->requests_per_day >= 0 || own->tokens_per_day >= 0;
    for (size_t i = 0; i < METER_KEY_WINDOWS; i++)
        any = any || own->cu_milli[i] >= 0;
    return any;
}

/* The key's own limits are its subject's: the last binding's count. */
static enum weir_status keep_own(struct meter__subject *subject, const struct meter__own *own) {
    if (!has_own(own)) {
        weir_memory_free(subject->own);
        subject->own = NULL;
        return WEIR_OK;
    }
    if (subject->own == NULL)
        subject->own = weir_memory_new(1, sizeof *subject->own);
    if (subject->own == NULL)
        return WEIR_ENOMEM;
    *subject->own = *own;
    return WEIR_OK;
}

/* `limits`: what else is said of it; -1 everywhere for most. `own`: a key's. */
static enum weir_status add_subject(struct making *making, enum weir_scope scope, struct weir_span id,
                                    struct strictest limits, const struct meter__own *own) {
    struct weir_meter *meter = making->meter;
    const struct meter__target *target = meter__target(meter, scope, id),
                               *each = scope != WEIR_SCOPE_GLOBAL ? meter__target(meter, scope, WEIR_SPAN("*")) : NULL;
    const struct weir_plan *plan = scope == WEIR_SCOPE_WORKSPACE ? meter__plan_of(meter, id) : NULL;
    tighten_by(&limits, target);
    tighten_by(&limits, each);
    bool any = has_budget(target) || has_budget(each) || (own != NULL && has_own(own)) ||
               (plan != NULL && plan->cu_milli_per_month >= 0);
    for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++)
        any = any || limits.at[i] >= 0;
    if (!any)
        return WEIR_OK;
    struct meter__subject *subject = find_or_make_subject(meter, scope, id);
    if (subject == NULL)
        return WEIR_ENOMEM;
    if (subject->refs++ == 0)
        weir_list_remove(&subject->idle);
    making->subjects[making->subject_count++] = subject;
    if (own != NULL && keep_own(subject, own) != WEIR_OK)
        return WEIR_ENOMEM;
    if (meter__accounts_build(meter, subject) != WEIR_OK)
        return WEIR_ENOMEM;
    for (size_t unit = 0; unit < METER_UNITS; unit++)
        if (subject->accounts[unit] != NULL && subject->accounts[unit]->line_count > 0)
            making->accounts[making->account_count++] = subject->accounts[unit];
    const uint32_t instances = atomic_load_explicit(&meter->instances, memory_order_relaxed);
    for (unsigned i = 0; i < WEIR_LIMIT_COUNT; i++)
        if (limits.at[i] >= 0 && i != WEIR_LIMIT_REQUESTS_PER_DAY && i != WEIR_LIMIT_TOKENS_PER_DAY)
            meter__rate_init(&making->rates[making->rate_count++], subject, (enum weir_limit)i, limits.at[i],
                             limits.most[i], instances);
    return WEIR_OK;
}

static void sort_by_address(struct meter__account **accounts, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct meter__account *account = accounts[i];
        size_t at = i;
        for (; at > 0 && (uintptr_t)accounts[at - 1] > (uintptr_t)account; at--)
            accounts[at] = accounts[at - 1];
        accounts[at] = account;
    }
}

/* Under meter->lock. */
static void release_subjects(struct weir_meter *meter, struct meter__subject *const *subjects, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct meter__subject *subject = subjects[i];
        if (--subject->refs > 0)
            continue;
        subject->idle_ns = meter->outside.now_ns(meter->outside.context);
        weir_list_append(&meter->idle, &subject->idle);
    }
}

static void look_through(struct weir_meter_binding *binding) {
    for (size_t i = 0; i < binding->account_count; i++) {
        struct meter__account *account = binding->accounts[i];
        for (size_t line = 0; line < account->line_count; line++)
            binding->hard = binding->hard || (account->unit == WEIR_SPEND_CU_MILLI && account->lines[line].hard);
        binding->tokens = binding->tokens || account->unit == WEIR_SPEND_TOKENS;
    }
    for (size_t i = 0; i < binding->rate_count; i++)
        binding->tokens = binding->tokens || binding->rates[i].kind == WEIR_LIMIT_TOKENS_PER_MINUTE;
}

/* Under meter->lock. NULL: no memory. */
static struct weir_meter_binding *finish(struct making *making) {
    const size_t rates_at = (sizeof(struct weir_meter_binding) +
                             (making->subject_count + making->account_count) * sizeof(void *) + 7) /
                            8 * 8;
    struct weir_meter_binding *binding = weir_memory_new(1, rates_at + making->rate_count * sizeof(struct meter__rate));
    if (binding == NULL)
        return NULL;
    binding->meter = making->meter;
    atomic_init(&binding->refs, 1);
    binding->subject_count = (uint8_t)making->subject_count;
    binding->account_count = (uint8_t)making->account_count;
    binding->rate_count = (uint8_t)making->rate_count;
    binding->shard = making->meter->next_shard++ % METER_SHARDS;
    binding->accounts = (struct meter__account **)(void *)(binding->subjects + making->subject_count);
    binding->rates = (struct meter__rate *)(void *)((char *)binding + rates_at);
    if (making->subject_count > 0)
        memcpy(binding->subjects, making->subjects, making->subject_count * sizeof *making->subjects);
    sort_by_address(making->accounts, making->account_count);
    if (making->account_count > 0)
        memcpy(binding->accounts, making->accounts, making->account_count * sizeof *making->accounts);
    if (making->rate_count > 0)
        memcpy(binding->rates, making->rates, making->rate_count * sizeof *making->rates);
    look_through(binding);
    return binding;
}

/* The key's own, and its plan's. */
static struct strictest limits_of_key(const struct weir_meter *meter, const struct weir_meter_caller *caller) {
    struct strictest strictest = nothing();
    const struct weir_plan *plan = meter__plan_of(meter, caller->workspace);
    tighten(&strictest, &caller->limits);
    if (plan != NULL && plan->requests_per_second >= 0) {
        struct weir_limits limits = {.burst_percent = 100};
        for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++)
            limits.at[i] = -1;
        limits.at[WEIR_LIMIT_REQUESTS_PER_SECOND] = plan->requests_per_second;
        tighten(&strictest, &limits);
    }
    return strictest;
}

static enum weir_status add_caller(struct making *making, const struct weir_meter_caller *caller) {
    const struct meter__own own = {.cu_milli = {caller->cu_milli_per_day, caller->cu_milli_per_month,
                                                caller->cu_milli_total},
                                   .requests_per_day = caller->limits.at[WEIR_LIMIT_REQUESTS_PER_DAY],
                                   .tokens_per_day = caller->limits.at[WEIR_LIMIT_TOKENS_PER_DAY]};
    const struct {
        enum weir_scope scope;
        struct weir_span id;
    } others[] = {{WEIR_SCOPE_USER, caller->user},
                  {WEIR_SCOPE_TEAM, caller->team},
                  {WEIR_SCOPE_WORKSPACE, caller->workspace}};
    enum weir_status status = WEIR_OK;
    if (caller->key.length > 0)
        status = add_subject(making, WEIR_SCOPE_KEY, caller->key, limits_of_key(making->meter, caller), &own);
    for (size_t i = 0; status == WEIR_OK && i < sizeof others / sizeof *others; i++)
        if (others[i].id.length > 0)
            status = add_subject(making, others[i].scope, others[i].id, nothing(), NULL);
    return status != WEIR_OK ? status
                             : add_subject(making, WEIR_SCOPE_GLOBAL, weir_span_of_string(""), nothing(), NULL);
}

static enum weir_status make(struct making *making, enum weir_status status, struct weir_meter_binding **binding) {
    struct weir_meter_binding *made = status == WEIR_OK ? finish(making) : NULL;
    if (made == NULL) {
        release_subjects(making->meter, making->subjects, making->subject_count);
        return WEIR_ENOMEM;
    }
    atomic_fetch_add_explicit(&making->meter->bindings, 1, memory_order_relaxed);
    *binding = made;
    return WEIR_OK;
}

enum weir_status weir_meter_bind_caller(struct weir_meter *meter, const struct weir_meter_caller *caller,
                                        struct weir_meter_binding **binding) {
    struct making making = {.meter = meter};
    pthread_mutex_lock(&meter->lock);
    enum weir_status status = make(&making, add_caller(&making, caller), binding);
    pthread_mutex_unlock(&meter->lock);
    return status;
}

enum weir_status weir_meter_bind(struct weir_meter *meter, enum weir_scope scope, struct weir_span id,
                                 struct weir_meter_binding **binding) {
    struct making making = {.meter = meter};
    pthread_mutex_lock(&meter->lock);
    enum weir_status status = make(&making, add_subject(&making, scope, id, nothing(), NULL), binding);
    pthread_mutex_unlock(&meter->lock);
    return status;
}

void weir_meter_unbind(struct weir_meter_binding **binding) {
    struct weir_meter_binding *leaving = *binding;
    *binding = NULL;
    if (leaving == NULL || atomic_fetch_sub_explicit(&leaving->refs, 1, memory_order_acq_rel) > 1)
        return;
    struct weir_meter *meter = leaving->meter;
    if (leaving->subject_count > 0) {
        pthread_mutex_lock(&meter->lock);
        release_subjects(meter, leaving->subjects, leaving->subject_count);
        pthread_mutex_unlock(&meter->lock);
    }
    atomic_fetch_sub_explicit(&meter->bindings, 1, memory_order_relaxed);
    weir_memory_free(leaving);
}

bool weir_meter_binding_is_empty(const struct weir_meter_binding *binding) {
    return binding->rate_count == 0 && binding->account_count == 0;
}

bool weir_meter_binding_is_hard(const struct weir_meter_binding *binding) {
    return binding->hard;
}

bool weir_meter_binding_counts_tokens(const struct weir_meter_binding *binding) {
    return binding->tokens;
}

/* --- state --- */

void weir_meter_state(struct weir_meter *meter, struct weir_meter_state *state) {
    *state = (struct weir_meter_state){
        .bindings = (size_t)atomic_load_explicit(&meter->bindings, memory_order_relaxed),
        .store_questions = atomic_load_explicit(&meter->questions, memory_order_relaxed),
        .refusals = atomic_load_explicit(&meter->refused, memory_order_relaxed),
        .waits = atomic_load_explicit(&meter->waits, memory_order_relaxed),
    };
    for (size_t i = 0; i < METER_SHARDS; i++) {
        state->holds += atomic_load_explicit(&meter->shards[i].holds, memory_order_relaxed);
        state->concurrent += atomic_load_explicit(&meter->shards[i].concurrent, memory_order_relaxed);
    }
    pthread_mutex_lock(&meter->lock);
    state->counters = meter->account_count;
    state->buckets = weir_map_count(meter->subjects);
    for (struct weir_list *link = meter->accounts.next; link != &meter->accounts; link = link->next) {
        struct meter__account *account = WEIR_CONTAINER_OF(link, struct meter__account, link);
        meter__lock(&account->lock);
        for (const struct meter__pot *pot = account->pots; pot != NULL; pot = pot->next)
            if (account->unit == WEIR_SPEND_CU_MILLI)
                state->held_cu_milli += pot->held;
        meter__unlock(&account->lock);
    }
    pthread_mutex_unlock(&meter->lock);
}
