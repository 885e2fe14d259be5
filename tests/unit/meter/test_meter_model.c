/* The meter against a model that is too simple to be wrong: random interleavings of all that happens to budgets.
 *
 * Two instances reserve, settle and ask over one database, while questions are late, fail before or after they were carried out, the store is down for a while,
 * clocks run and step, periods end, budgets come, go and change, and instances die with requests in flight and start again. After every step: nothing was granted
 * beyond a hard limit, and no hold outlives its request. Now and then the store is asked, too: what it says was spent is what the ledger's entries add up to, and
 * what it has given out covers what was granted. And when everybody else has gone idle, all that is left is had by who asks for it, and not a milli-CU more.
 *
 * WEIR_SEED repeats one run; WEIR_LONG makes many more.
 */
#include "model_world.h"

/* --- definitions --- */

static const char *const zone_names[] = {
    "UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Chatham", "Asia/Kathmandu", "Africa/Cairo", "America/Havana"};
static const enum weir_window windows[] = {WEIR_WINDOW_ROLLING_24H, WEIR_WINDOW_DAY, WEIR_WINDOW_WEEK,
                                           WEIR_WINDOW_MONTH, WEIR_WINDOW_TOTAL};
static const char *const ways[] = {"refuse", "clamp", "wait"};

static const char *pick_scope_id(struct chance *chance, enum weir_scope scope) {
    static const char *const workspaces[] = {"a", "b", "*"}, *const teams[] = {"a/t0", "a/t1", "b/t0", "*"},
                             *const users[] = {"a/u0", "a/u1", "*"},
                             *const keys[] = {"k0", "k1", "k2", "k3", "k4", "*"}, *const models[] = {"m0", "m1", "*"};
    switch (scope) {
    case WEIR_SCOPE_WORKSPACE: return workspaces[draw(chance) % 3];
    case WEIR_SCOPE_TEAM: return teams[draw(chance) % 4];
    case WEIR_SCOPE_USER: return users[draw(chance) % 3];
    case WEIR_SCOPE_KEY: return keys[draw(chance) % 6];
    case WEIR_SCOPE_MODEL: return models[draw(chance) % 3];
    case WEIR_SCOPE_GLOBAL:
    case WEIR_SCOPE_PROVIDER:
    case WEIR_SCOPE_END: break;
    }
    return "";
}

static void write_budget(struct model_world *world, const struct model_budget *budget, bool removed) {
    assert_true(world->version_count < MAX_VERSIONS);
    struct model_version *version = &world->versions[world->version_count++];
    bool daily = budget->unit != WEIR_SPEND_CU_MILLI;
    *version = (struct model_version){.kind = daily ? WEIR_OBJECT_LIMIT : WEIR_OBJECT_BUDGET,
                                      .removed = removed,
                                      .budget = (int)(budget - world->budgets)};
    memcpy(version->id, budget->id, sizeof version->id);
    if (daily) {
        snprintf(version->text, sizeof version->text,
                 "{\"name\":\"l\",\"scope\":\"%s\",\"scope_id\":\"%s\",\"%s\":%" PRId64
                 ",\"burst_percent\":100,\"active\":true}",
                 weir_scope_name(budget->scope), budget->scope_id,
                 budget->unit == WEIR_SPEND_REQUESTS ? "requests_per_day" : "tokens_per_day", budget->limit);
    } else {
        snprintf(
            version->text, sizeof version->text,
            "{\"name\":\"b\",\"scope\":\"%s\",\"scope_id\":\"%s\",\"window\":\"%s\",\"zone\":\"%s\",\"limit_cu_milli\":%" PRId64
            ",\"enforcement\":\"%s\",\"on_exceeded\":\"%s\",\"wait_ms\":2000,\"alert_percents\":[50,80,95,100],\"active\":true}",
            weir_scope_name(budget->scope), budget->scope_id, weir_window_name(budget->window), budget->zone_name,
            budget->limit, budget->hard ? "hard" : "soft", budget->on_exceeded);
    }
}

static int64_t pick_limit(struct chance *chance, enum weir_spend_unit unit) {
    switch (unit) {
    case WEIR_SPEND_REQUESTS: return between(chance, 5, 150);
    case WEIR_SPEND_TOKENS: return between(chance, 500, 40000);
    case WEIR_SPEND_CU_MILLI: break;
    }
    return happens(chance, 10) ? between(chance, 0, 50) : between(chance, 1000, 60000);
}

static void add_budget(struct model_world *world, bool initial) {
    struct chance *chance = &world->chance;
    if (world->budget_count == MAX_BUDGETS)
        return;
    struct model_budget *budget = &world->budgets[world->budget_count];
    *budget = (struct model_budget){.scope = (enum weir_scope)between(chance, WEIR_SCOPE_GLOBAL, WEIR_SCOPE_MODEL),
                                    .window = windows[draw(chance) % 5],
                                    .zone_name = zone_names[draw(chance) % 7],
                                    .unit = happens(chance, 20) ? (enum weir_spend_unit)between(chance, 1, 2)
                                                                : WEIR_SPEND_CU_MILLI,
                                    .hard = happens(chance, 85),
                                    .on_exceeded = ways[draw(chance) % 3],
                                    .initial = initial};
    snprintf(budget->id, sizeof budget->id, "bud_%zu", world->budget_count);
    budget->scope_id = pick_scope_id(chance, budget->scope);
    if (budget->unit != WEIR_SPEND_CU_MILLI) {
        budget->hard = true;
        budget->window = WEIR_WINDOW_DAY;
        budget->zone_name = "UTC";
        budget->on_exceeded = "refuse";
    }
    MUST(world, weir_zone_find(world->zones, weir_span_of_string(budget->zone_name), &budget->zone, &world->error));
    budget->limit = budget->high = pick_limit(chance, budget->unit);
    world->budget_count++;
    write_budget(world, budget, false);
}

/* Budgets of keys' rules: known to whoever binds a caller. */
static void add_own_budget(struct model_world *world, unsigned caller, enum weir_window window) {
    struct model_budget *budget = &world->budgets[world->budget_count++];
    *budget = (struct model_budget){.scope = WEIR_SCOPE_KEY,
                                    .scope_id = callers[caller].key,
                                    .window = window,
                                    .zone_name = "UTC",
                                    .own = true,
                                    .hard = true,
                                    .initial = true,
                                    .on_exceeded = "refuse"};
    snprintf(budget->id, sizeof budget->id, "key:%s:%s", callers[caller].key, weir_window_name(window));
    budget->limit = budget->high = pick_limit(&world->chance, WEIR_SPEND_CU_MILLI);
}

static struct model_budget *pick_budget(struct model_world *world) {
    struct model_budget *budget = &world->budgets[draw(&world->chance) % world->budget_count];
    return budget->own || budget->removed ? NULL : budget;
}

static void change_limit(struct model_world *world) {
    struct model_budget *budget = pick_budget(world);
    if (budget == NULL || world->version_count > MAX_VERSIONS - 20)
        return;
    budget->limit = pick_limit(&world->chance, budget->unit);
    int64_t raised = 0;
    for (size_t i = 0; i < budget->raise_count; i++)
        raised += budget->raises[i].amount;
    budget->high = budget->limit + raised > budget->high ? budget->limit + raised : budget->high;
    write_budget(world, budget, false);
}

static void remove_budget(struct model_world *world) {
    struct model_budget *budget = pick_budget(world);
    if (budget == NULL || budget->initial || world->version_count > MAX_VERSIONS - 20)
        return;
    budget->removed = true;
    write_budget(world, budget, true);
}

static void add_raise(struct model_world *world) {
    struct model_budget *budget = pick_budget(world);
    if (budget == NULL || budget->unit != WEIR_SPEND_CU_MILLI || budget->raise_count == 4 ||
        world->version_count > MAX_VERSIONS - 20)
        return;
    struct model_raise *raise = &budget->raises[budget->raise_count++];
    *raise = (struct model_raise){.amount = between(&world->chance, 1, 5000),
                                  .from_utc_us = world->utc_us - between(&world->chance, 0, 3600) * MODEL_SECOND_US,
                                  .version = world->version_count};
    raise->until_utc_us = world->utc_us + between(&world->chance, 10, 2 * 86400) * MODEL_SECOND_US;
    budget->high += raise->amount;
    struct model_version *version = &world->versions[world->version_count++];
    *version = (struct model_version){.kind = WEIR_OBJECT_RAISE, .budget = -1};
    snprintf(version->id, sizeof version->id, "rse_%zu", world->version_count);
    memcpy(version->parent, budget->id, sizeof version->parent);
    char from[WEIR_TIMESTAMP_SIZE], until[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(raise->from_utc_us, from);
    weir_clock_format_utc(raise->until_utc_us, until);
    snprintf(version->text, sizeof version->text,
             "{\"kind\":\"%s\",\"amount_cu_milli\":%" PRId64
             ",\"from_at\":\"%s\",\"until_at\":\"%s\",\"reason\":\"test\"}",
             happens(&world->chance, 50) ? "raise" : "top_up", raise->amount, from, until);
}

static struct weir_object object_of(const struct model_version *version, size_t number) {
    return (struct weir_object){.kind = version->kind,
                                .number = (int64_t)number + 1,
                                .parent = weir_span_of_string(version->parent),
                                .id = weir_span_of_string(version->id),
                                .text = weir_span_of_string(version->text),
                                .version = number + 1,
                                .change = number + 1,
                                .removed = version->removed};
}

static void deliver(struct model_instance *instance, size_t most) {
    struct model_world *world = instance->world;
    while (most-- > 0 && instance->delivered < world->version_count) {
        struct weir_object object = object_of(&world->versions[instance->delivered], instance->delivered);
        MUST(world, weir_meter_take_objects(instance->meter, &object, 1, &world->error));
        instance->delivered++;
    }
}

/* Whether what the instance was told so far has the budget in effect. */
static bool knows(const struct model_instance *instance, size_t budget) {
    const struct model_world *world = instance->world;
    if (world->budgets[budget].own)
        return true;
    bool known = false;
    for (size_t i = 0; i < instance->delivered; i++)
        if (world->versions[i].budget == (int)budget)
            known = !world->versions[i].removed;
    return known;
}

static int64_t limit_at(const struct model_budget *budget, int64_t utc_us) {
    int64_t limit = budget->limit;
    for (size_t i = 0; i < budget->raise_count; i++)
        if (utc_us >= budget->raises[i].from_utc_us && utc_us < budget->raises[i].until_utc_us)
            limit += budget->raises[i].amount;
    return limit;
}

/* --- instances --- */

static const struct weir_meter_settings meter_settings = {
    .slice_percent = 20, .slice_idle_ms = 5000, .store_wait_ms = 1000, .runaway_refusals = 1000, .runaway_minutes = 5};

static void room_came(void *context) {
    struct model_instance *instance = context;
    instance->room_came++;
}

static void boot(struct model_instance *instance) {
    struct model_world *world = instance->world;
    if (world->store_is_down)
        return;
    instance->life++;
    instance->alive = true;
    instance->dead_to_the_store = false;
    instance->delivered = 0;
    instance->uuid = id_of_number(1000000 + ++world->lives);
    MUST(world, world->ops->instance_begin(world->engine, &instance->uuid, world->utc_us, &world->error));
    const struct meter__outside outside = {
        .context = instance, .lease = model_lease, .utc_us = model_utc_us, .now_ns = model_now_ns, .wake = model_wake};
    MUST(world, meter__new(&meter_settings, &outside, &instance->meter, &world->error));
    weir_meter_on_room(instance->meter, room_came, instance);
    deliver(instance, SIZE_MAX);
    MUST(world, weir_meter_take_objects(instance->meter, NULL, 0, &world->error));
    weir_meter_set_instances(instance->meter, INSTANCES);
}

static void forget_bindings(struct model_instance *instance) {
    for (size_t i = 0; i < CALLERS; i++)
        weir_meter_unbind(&instance->caller_bindings[i]);
    for (size_t i = 0; i < MODELS; i++)
        weir_meter_unbind(&instance->model_bindings[i]);
    memset(instance->generations, 0, sizeof instance->generations);
}

static void answer_all(struct model_instance *instance) {
    for (unsigned rounds = 0; rounds < 50; rounds++) {
        bool any = false;
        for (size_t i = 0; i < MAX_PENDING; i++)
            if (instance->questions[i].used) {
                any = true;
                model_answer(instance, &instance->questions[i]);
            }
        if (!any)
            return;
    }
    model_failed(instance->world, "the meter asks without end");
}

static void settle(struct model_request *request, const int64_t charged[3]) {
    weir_meter_settle(&request->caller_hold, charged[0], charged[2], charged[1]);
    weir_meter_settle(&request->model_hold, charged[0], charged[2], charged[1]);
    weir_meter_settle(&request->model_hold, charged[0], charged[2], charged[1]); /* legal again */
    request->settled = true;
}

static const int64_t nothing[3] = {0, 0, 0};

static bool is_of(const struct model_request *request, const struct model_instance *instance) {
    return request->instance == instance->index && request->life == instance->life;
}

/* kill -9: nothing reaches the store any more; what its memory held is gone, the journal stays. */
static void kill_instance(struct model_instance *instance) {
    struct model_world *world = instance->world;
    world->crashes++;
    instance->dead_to_the_store = true;
    for (size_t i = 0; i < MAX_PENDING; i++)
        if (instance->questions[i].used) { /* what was sent may still be carried out */
            model_execute(instance, &instance->questions[i]);
            model_answer(instance, &instance->questions[i]);
        }
    for (size_t i = 0; i < world->request_count; i++) {
        struct model_request *request = &world->requests[i];
        if (!is_of(request, instance))
            continue;
        if (request->state == WAITING)
            request->state = GONE;
        settle(request, nothing); /* only frees what the test itself holds */
    }
    forget_bindings(instance);
    weir_meter_free(&instance->meter);
    instance->alive = false;
}

/* The next start: what the dead one left is settled first, which may be interrupted, too. */
static void restart_instance(struct model_instance *instance) {
    struct model_world *world = instance->world;
    if (world->store_is_down)
        return;
    model_ingest(instance, SIZE_MAX, true);
    if (happens(&world->chance, 25))
        return;
    uint64_t settled = 0;
    MUST(world, world->ops->settle_crashed(world->engine, &instance->uuid, WEIR_EVERY_WORKER, world->utc_us, &settled,
                                           &world->error));
    for (size_t i = 0; i < world->request_count; i++) {
        struct model_request *request = &world->requests[i];
        if (!is_of(request, instance) || request->state != OPEN)
            continue;
        memcpy(request->charged, request->amount, sizeof request->charged);
        request->state = INGESTED;
        settled--;
    }
    assert_int_equal(settled, 0);
    MUST(world, world->ops->instance_end(world->engine, &instance->uuid, world->utc_us, &world->error));
    boot(instance);
}

/* SIGTERM: requests end, the journal is read, slices go back. */
static void end_instance(struct model_instance *instance) {
    struct model_world *world = instance->world;
    if (world->store_is_down)
        return;
    weir_meter_drain(instance->meter);
    for (size_t i = 0; i < world->request_count; i++) {
        struct model_request *request = &world->requests[i];
        if (!is_of(request, instance))
            continue;
        if (request->state == WAITING)
            request->state = GONE;
        if (request->state == OPEN) {
            memcpy(request->charged, request->amount, sizeof request->charged);
            request->state = CLOSED;
        }
        settle(request, request->state == CLOSED ? request->charged : nothing);
    }
    meter__turn(instance->meter);
    answer_all(instance);
    forget_bindings(instance);
    if (happens(&world->chance, 50))
        model_ingest(instance, SIZE_MAX, false);
    weir_meter_free(&instance->meter);
    for (size_t i = 0; i < MAX_PENDING; i++)
        if (instance->questions[i].used) {
            instance->questions[i].fate = FAILS_BEFORE;
            model_answer(instance, &instance->questions[i]);
        }
    model_ingest(instance, SIZE_MAX, true); /* and once more: a commit may have failed */
    MUST(world, world->ops->instance_end(world->engine, &instance->uuid, world->utc_us, &world->error));
    instance->alive = false;
    boot(instance);
}

/* --- requests --- */

static struct weir_meter_binding *bind(struct model_instance *instance, unsigned caller, unsigned model,
                                       bool is_model) {
    struct model_world *world = instance->world;
    struct weir_meter_binding **binding = is_model ? &instance->model_bindings[model]
                                                   : &instance->caller_bindings[caller];
    uint64_t *generation = &instance->generations[is_model ? CALLERS + model : caller],
             now = weir_meter_generation(instance->meter);
    if (*binding != NULL && *generation == now)
        return *binding;
    weir_meter_unbind(binding);
    *generation = now;
    if (is_model) {
        MUST(world,
             weir_meter_bind(instance->meter, WEIR_SCOPE_MODEL, weir_span_of_string(model_names[model]), binding));
        return *binding;
    }
    const struct model_caller *who = &callers[caller];
    struct weir_meter_caller asked = {.key = weir_span_of_string(who->key),
                                      .user = weir_span_of_string(who->user_id),
                                      .team = weir_span_of_string(who->team_id),
                                      .workspace = weir_span_of_string(who->workspace),
                                      .limits = {.burst_percent = 100},
                                      .cu_milli_per_day = -1,
                                      .cu_milli_per_month = -1,
                                      .cu_milli_total = -1};
    for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++)
        asked.limits.at[i] = -1;
    for (size_t i = 0; i < world->budget_count; i++) {
        const struct model_budget *budget = &world->budgets[i];
        if (!budget->own || strcmp(budget->scope_id, who->key) != 0)
            continue;
        *(budget->window == WEIR_WINDOW_DAY     ? &asked.cu_milli_per_day
          : budget->window == WEIR_WINDOW_MONTH ? &asked.cu_milli_per_month
                                                : &asked.cu_milli_total) = budget->limit;
    }
    MUST(world, weir_meter_bind_caller(instance->meter, &asked, binding));
    return *binding;
}

static enum weir_reserve reserve_once(struct model_instance *instance, struct model_request *request,
                                      struct weir_meter_refusal *refusal) {
    int64_t waited_ms = (instance->world->now_ns - request->began_ns) / 1000000;
    *refusal = (struct weir_meter_refusal){.reason = WEIR_REASON_NONE};
    enum weir_reserve outcome = weir_meter_reserve(bind(instance, request->caller, request->model, false),
                                                   request->amount[WEIR_SPEND_CU_MILLI],
                                                   request->amount[WEIR_SPEND_TOKENS], request->start_utc_us, waited_ms,
                                                   &request->caller_hold, refusal);
    if (outcome != WEIR_RESERVED)
        return outcome;
    outcome = weir_meter_reserve(bind(instance, request->caller, request->model, true),
                                 request->amount[WEIR_SPEND_CU_MILLI], request->amount[WEIR_SPEND_TOKENS],
                                 request->start_utc_us, waited_ms, &request->model_hold, refusal);
    if (outcome != WEIR_RESERVED)
        weir_meter_settle(&request->caller_hold, 0, 0, 0);
    return outcome;
}

/* What was just granted fits into every hard limit that its instance knew of. */
static void check_grant(struct model_world *world, const struct model_request *request) {
    for (size_t i = 0; i < world->budget_count; i++) {
        const struct model_budget *budget = &world->budgets[i];
        bool rolls = budget->window == WEIR_WINDOW_ROLLING_24H;
        if (!budget->hard || (request->governed >> i & 1) == 0 || (rolls && world->clock_may_go_back) ||
            (budget->unit == WEIR_SPEND_TOKENS && world->provider_lies))
            continue;
        struct weir_period period = weir_window_period(budget->window, budget->zone,
                                                       rolls ? world->utc_us : request->start_utc_us);
        const char *id = model_scope_id(budget->scope, request->caller, request->model);
        int64_t sum = model_sum(world, budget->scope, id, budget->unit, period.from_utc_us, period.until_utc_us,
                                budget->initial ? ALL_REQUESTS : ONLY_GOVERNED, (uint32_t)1 << i);
        world->overspent_checks++;
        if (sum <= budget->high)
            continue;
        print_error("WEIR_SEED=%" PRIu64 ": %s (%s %s, %s, %s): %" PRId64 " of %" PRId64 " at most\n", world->seed,
                    budget->id, weir_scope_name(budget->scope), id, weir_window_name(budget->window), budget->zone_name,
                    sum, budget->high);
        fail();
    }
}

static void attempt(struct model_instance *instance, struct model_request *request) {
    struct model_world *world = instance->world;
    struct weir_meter_refusal refusal;
    enum weir_reserve outcome = reserve_once(instance, request, &refusal);
    if (outcome == WEIR_RESERVE_CLAMP) {
        world->clamped++;
        if (refusal.room <= 0 || refusal.room >= request->amount[WEIR_SPEND_CU_MILLI])
            model_failed(world, "what would fit is nothing, or not less");
        request->amount[WEIR_SPEND_CU_MILLI] = refusal.room;
        outcome = reserve_once(instance, request, &refusal);
    }
    if (outcome == WEIR_RESERVED) {
        world->granted++;
        request->state = OPEN;
        for (size_t i = 0; i < world->budget_count; i++)
            if (knows(instance, i) && model_applies(&world->budgets[i], request->caller, request->model))
                request->governed |= (uint32_t)1 << i;
        check_grant(world, request);
    } else if (outcome == WEIR_RESERVE_WAIT) {
        world->waited++;
        request->state = WAITING;
    } else {
        if (outcome == WEIR_RESERVE_REFUSED && (refusal.reason == WEIR_REASON_NONE || refusal.retry_after_seconds < 1))
            model_failed(world, "a refusal says why, and when to come again");
        world->refused++;
        request->state = GONE;
    }
}

static struct model_request *new_request(struct model_instance *instance) {
    struct model_world *world = instance->world;
    struct chance *chance = &world->chance;
    if (world->request_count == MAX_REQUESTS)
        return NULL;
    struct model_request *request = &world->requests[world->request_count++];
    *request = (struct model_request){
        .state = GONE,
        .caller = (unsigned)(draw(chance) % CALLERS),
        .model = (unsigned)(draw(chance) % MODELS),
        .instance = instance->index,
        .life = instance->life,
        .start_utc_us = world->utc_us,
        .began_ns = world->now_ns,
        .amount = {[WEIR_SPEND_CU_MILLI] = happens(chance, 5) ? 0
                                                              : between(chance, 1, happens(chance, 10) ? 20000 : 900),
                   [WEIR_SPEND_REQUESTS] = 1,
                   [WEIR_SPEND_TOKENS] = between(chance, 0, 800)}};
    return request;
}

static struct model_request *pick_request(struct model_instance *instance, enum request_state state, bool unsettled) {
    struct model_world *world = instance->world;
    size_t start = world->request_count > 0 ? draw(&world->chance) % world->request_count : 0;
    for (size_t i = 0; i < world->request_count; i++) {
        struct model_request *request = &world->requests[(start + i) % world->request_count];
        if (request->state == state && is_of(request, instance) && (!unsettled || !request->settled))
            return request;
    }
    return NULL;
}

static void end_request(struct model_instance *instance) {
    struct chance *chance = &instance->world->chance;
    struct model_request *request = pick_request(instance, OPEN, true);
    if (request == NULL)
        return;
    if (happens(chance, 7)) { /* it came to nothing: there is no entry */
        request->state = GONE;
        settle(request, nothing);
        return;
    }
    request->charged[WEIR_SPEND_CU_MILLI] = happens(chance, 20) ? request->amount[0]
                                                                : between(chance, 0, request->amount[0]);
    request->charged[WEIR_SPEND_REQUESTS] = 1;
    request->charged[WEIR_SPEND_TOKENS] = between(chance, 0, request->amount[WEIR_SPEND_TOKENS]);
    if (instance->world->provider_lies && happens(chance, 10))
        request->charged[WEIR_SPEND_TOKENS] += between(chance, 1, 5000);
    request->state = CLOSED;
    if (happens(chance, 80)) /* else the journal is read before the meter hears of it */
        settle(request, request->charged);
}

static void settle_late(struct model_instance *instance) {
    enum request_state state = happens(&instance->world->chance, 50) ? CLOSED : INGESTED;
    struct model_request *request = pick_request(instance, state, true);
    if (request != NULL)
        settle(request, request->charged);
}

/* --- what must be true --- */

static void check_holds(struct model_instance *instance) {
    struct model_world *world = instance->world;
    int64_t holds = 0;
    for (size_t i = 0; i < world->request_count; i++) {
        const struct model_request *request = &world->requests[i];
        holds += (request->caller_hold.binding != NULL) +
                 (request->model_hold.binding != NULL && is_of(request, instance));
        if (!is_of(request, instance))
            holds -= request->caller_hold.binding != NULL;
    }
    struct weir_meter_state state;
    weir_meter_state(instance->meter, &state);
    if (state.holds != holds || (holds == 0 && state.held_cu_milli != 0))
        model_failed(world, "the meter has other holds than there are requests");
}

static void ask_store(struct model_world *world, const struct weir_uuid *who, const struct model_budget *budget,
                      const char *id, const struct weir_period *period, struct weir_lease *lease) {
    *lease = (struct weir_lease){.counter = {.scope = budget->scope,
                                             .id = weir_span_of_string(id),
                                             .unit = budget->unit,
                                             .from_utc_us = period->from_utc_us,
                                             .until_utc_us = period->until_utc_us,
                                             .rolling = period->rolling},
                                 .limit = INT64_MAX};
    MUST(world, world->ops->lease(world->engine, who, lease, 1, &world->error));
}

/* What the store says of one counter: spent is what entries add up to, and slices cover what was granted and is not in the ledger. */
static void check_store(struct model_world *world) {
    if (world->store_is_down)
        return;
    const struct model_budget *budget = &world->budgets[draw(&world->chance) % world->budget_count];
    const unsigned caller = (unsigned)(draw(&world->chance) % CALLERS),
                   model = (unsigned)(draw(&world->chance) % MODELS);
    if (!model_applies(budget, caller, model))
        return;
    const char *id = model_scope_id(budget->scope, caller, model);
    struct weir_period period = weir_window_period(budget->window, budget->zone, world->utc_us);
    struct weir_lease lease;
    ask_store(world, &world->observer, budget, id, &period, &lease);
    int64_t ingested = model_sum(world, budget->scope, id, budget->unit, period.from_utc_us, period.until_utc_us,
                                 ONLY_INGESTED, 0);
    if (lease.spent != ingested) {
        print_error("%s: the store says %" PRId64 " was spent, entries say %" PRId64 "\n", budget->id, lease.spent,
                    ingested);
        model_failed(world, "what was spent is not the sum over the ledger");
    }
    if (!budget->hard || !budget->initial || period.rolling ||
        (budget->unit == WEIR_SPEND_TOKENS && world->provider_lies))
        return;
    int64_t all = model_sum(world, budget->scope, id, budget->unit, period.from_utc_us, period.until_utc_us,
                            ALL_REQUESTS, 0);
    if (lease.others < all - ingested || lease.spent + lease.others > budget->high) {
        print_error("%s: spent %" PRId64 ", slices %" PRId64 ", granted and not in the ledger %" PRId64
                    ", limit %" PRId64 "\n",
                    budget->id, lease.spent, lease.others, all - ingested, budget->high);
        model_failed(world, "slices do not cover what was granted, or are more than the limit");
    }
}

/* --- when all is quiet --- */

static void tick(struct model_world *world, int64_t milliseconds) {
    world->now_ns += milliseconds * 1000000;
    world->utc_us += milliseconds * 1000;
    for (size_t i = 0; i < INSTANCES; i++) {
        if (!world->instances[i].alive)
            continue;
        meter__turn(world->instances[i].meter);
        answer_all(&world->instances[i]);
    }
}

/* Every request ends, every journal is read, everybody knows everything, and so much time passes that nobody keeps what he does not need. */
static void come_to_rest(struct model_world *world) {
    world->store_is_down = world->journal_waits = false;
    world->at_rest = true;
    for (size_t i = 0; i < INSTANCES; i++) {
        struct model_instance *instance = &world->instances[i];
        while (!instance->alive)
            restart_instance(instance);
        struct model_request *request;
        while ((request = pick_request(instance, OPEN, false)) != NULL) {
            memcpy(request->charged, request->amount, sizeof request->charged);
            request->state = CLOSED;
        }
        while ((request = pick_request(instance, WAITING, false)) != NULL)
            request->state = GONE;
        for (size_t j = 0; j < world->request_count; j++) {
            request = &world->requests[j];
            if (is_of(request, instance) && !request->settled)
                settle(request, request->state == GONE ? nothing : request->charged);
        }
        while (pick_request(instance, CLOSED, false) != NULL)
            model_ingest(instance, SIZE_MAX, false);
        deliver(instance, SIZE_MAX);
        check_holds(instance);
    }
    for (unsigned i = 0; i < 40; i++)
        tick(world, meter_settings.slice_idle_ms / 2 + 1);
}

/* For whoever has to find out why. */
static void print_pots(const struct model_world *world, const struct model_budget *budget, const char *id) {
    for (size_t i = 0; i < INSTANCES; i++) {
        const struct weir_meter *meter = world->instances[i].meter;
        for (struct weir_list *link = meter->accounts.next; link != &meter->accounts; link = link->next) {
            const struct meter__account *account = WEIR_CONTAINER_OF(link, struct meter__account, link);
            if (account->unit != budget->unit || meter__scope(account->subject) != budget->scope ||
                !weir_span_equal(meter__id(account->subject), weir_span_of_string(id)))
                continue;
            for (const struct meter__pot *pot = account->pots; pot != NULL; pot = pot->next)
                print_error("instance %zu, epoch %" PRIu64 ": pot %" PRId64 " to %" PRId64 "%s%s%s%s: room %" PRId64
                            ", held %" PRId64 ", total %" PRId64 ", others %" PRId64 ", surplus %" PRId64
                            ", short by %" PRId64 ", touched %" PRIu64 "\n",
                            i, (uint64_t)meter->epoch, pot->from_utc_us, pot->until_utc_us, pot->hard ? ", hard" : "",
                            pot->known ? "" : ", unknown", pot->in_flight ? ", in flight" : "",
                            pot->uncertain ? ", uncertain" : "", pot->room, pot->held, pot->total, pot->others,
                            pot->surplus, pot->short_by, pot->touched_epoch);
        }
    }
}

static void check_nothing_is_out(struct model_world *world) {
    for (size_t i = 0; i < world->budget_count; i++) {
        const struct model_budget *budget = &world->budgets[i];
        for (unsigned caller = 0; caller < CALLERS; caller++) {
            const unsigned model = caller % MODELS;
            if (!model_applies(budget, caller, model))
                continue;
            const char *id = model_scope_id(budget->scope, caller, model);
            struct weir_period period = weir_window_period(budget->window, budget->zone, world->utc_us);
            struct weir_lease lease;
            ask_store(world, &world->observer, budget, id, &period, &lease);
            if (lease.others == 0)
                continue;
            print_error("%s, %s, %s: %" PRId64 " of %" PRId64 " are still out\n", budget->id, id,
                        weir_window_name(budget->window), lease.others, lease.limit);
            for (size_t j = 0; j < INSTANCES; j++) {
                ask_store(world, &world->instances[j].uuid, budget, id, &period, &lease);
                print_error("instance %zu in its life %u has %" PRId64 " of %" PRId64 " to %" PRId64 "\n", j,
                            world->instances[j].life, lease.slice, period.from_utc_us, period.until_utc_us);
            }
            print_pots(world, budget, id);
            model_failed(world, "slices stay out although nobody needs them");
        }
    }
}

/* What is left of all that applies. INT64_MAX: nothing limits it. */
static int64_t what_fits(const struct model_world *world, const struct model_request *request, bool *others_fit) {
    int64_t fits = INT64_MAX;
    *others_fit = true;
    for (size_t i = 0; i < world->budget_count; i++) {
        const struct model_budget *budget = &world->budgets[i];
        if (!budget->hard || budget->removed || !model_applies(budget, request->caller, request->model))
            continue;
        struct weir_period period = weir_window_period(budget->window, budget->zone, request->start_utc_us);
        const char *id = model_scope_id(budget->scope, request->caller, request->model);
        int64_t left = limit_at(budget, request->start_utc_us) - model_sum(world, budget->scope, id, budget->unit,
                                                                           period.from_utc_us, period.until_utc_us,
                                                                           ALL_REQUESTS, 0);
        if (budget->unit == WEIR_SPEND_CU_MILLI)
            fits = left < fits ? left : fits;
        else
            *others_fit = *others_fit && left >= request->amount[budget->unit];
    }
    return fits;
}

static enum weir_reserve insist(struct model_instance *instance, struct model_request *request,
                                struct weir_meter_refusal *refusal) {
    for (unsigned tries = 0; tries < 60; tries++) {
        enum weir_reserve outcome = reserve_once(instance, request, refusal);
        if (outcome != WEIR_RESERVE_WAIT)
            return outcome;
        tick(instance->world, 10);
    }
    print_error("%s: used %" PRId64 " of %" PRId64 "\n", refusal->budget, refusal->used, refusal->limit);
    const struct model_world *world = instance->world;
    print_error("instance %u asks for %" PRId64 ", room is %" PRId64 "\n", instance->index, request->amount[0],
                refusal->room);
    for (size_t i = 0; i < world->budget_count; i++)
        if (strcmp(world->budgets[i].id, refusal->budget) == 0 &&
            model_scope_id(world->budgets[i].scope, request->caller, request->model) != NULL)
            print_pots(world, &world->budgets[i],
                       model_scope_id(world->budgets[i].scope, request->caller, request->model));
    model_failed(world, "a request waits although all is quiet");
    return WEIR_RESERVE_REFUSED;
}

/* All that is left is had, and no more. */
static void check_the_rest_is_had(struct model_world *world) {
    struct model_instance *instance = &world->instances[draw(&world->chance) % INSTANCES];
    struct model_request *request = new_request(instance);
    struct weir_meter_refusal refusal;
    bool others_fit;
    if (request == NULL)
        return;
    request->amount[WEIR_SPEND_TOKENS] = 0;
    int64_t fits = what_fits(world, request, &others_fit);
    if (fits == INT64_MAX)
        return;
    request->amount[WEIR_SPEND_CU_MILLI] = fits > 0 ? fits : 0;
    if (fits >= 0 && others_fit) {
        enum weir_reserve outcome = insist(instance, request, &refusal);
        if (outcome != WEIR_RESERVED) {
            print_error("%" PRId64 " should fit; the answer was %d: %s, %s of %s, used %" PRId64 " of %" PRId64 "\n",
                        fits, (int)outcome, weir_reason_row(refusal.reason)->name, refusal.limit_name, refusal.budget,
                        refusal.used, refusal.limit);
            model_failed(world, "what fits is not granted although all others are idle");
        }
        settle(request, nothing);
        request->settled = false;
    }
    request->amount[WEIR_SPEND_CU_MILLI] = (fits > 0 ? fits : 0) + 1;
    request->start_utc_us = world->utc_us;
    request->began_ns = world->now_ns;
    if (insist(instance, request, &refusal) == WEIR_RESERVED)
        model_failed(world, "a milli-CU more than is left was granted");
    request->settled = true;
}

/* --- a run --- */

static void pass_time(struct model_world *world) {
    struct chance *chance = &world->chance;
    int64_t milliseconds = between(chance, 0, 60);
    if (happens(chance, 5))
        milliseconds = between(chance, 0, 20000);
    if (happens(chance, 1))
        milliseconds = between(chance, 0, 4 * 3600 * 1000);
    world->now_ns += milliseconds * 1000000;
    world->utc_us += milliseconds * 1000;
    if (world->clock_may_go_back && happens(chance, 1))
        world->utc_us += between(chance, -3 * 3600, 3 * 3600) * MODEL_SECOND_US;
}

static void step_of(struct model_instance *instance) {
    struct model_world *world = instance->world;
    struct chance *chance = &world->chance;
    unsigned what = (unsigned)(draw(chance) % 100);
    struct model_request *request = NULL;
    if (what < 40) {
        request = new_request(instance);
        if (request != NULL)
            attempt(instance, request);
    } else if (what < 62) {
        end_request(instance);
    } else if (what < 66) {
        settle_late(instance);
    } else if (what < 72) {
        request = pick_request(instance, WAITING, false);
        if (request != NULL)
            attempt(instance, request);
    } else if (what < 80) {
        model_ingest(instance, (size_t)between(chance, 1, 30), false);
    } else if (what < 90) {
        meter__turn(instance->meter);
    } else if (what < 97) {
        for (size_t i = 0; i < MAX_PENDING; i++)
            if (instance->questions[i].used && happens(chance, 70))
                model_answer(instance, &instance->questions[i]);
    } else {
        deliver(instance, 1);
    }
}

/* Nobody asks for anything for a minute or two. */
static void be_quiet(struct model_world *world) {
    for (unsigned i = 0; i < 18; i++) {
        world->now_ns += 5001 * INT64_C(1000000);
        world->utc_us += 5001 * INT64_C(1000);
        for (size_t j = 0; j < INSTANCES; j++) {
            struct model_instance *instance = &world->instances[j];
            if (!instance->alive)
                continue;
            meter__turn(instance->meter);
            for (size_t k = 0; k < MAX_PENDING; k++)
                if (instance->questions[k].used && happens(&world->chance, 70))
                    model_answer(instance, &instance->questions[k]);
        }
    }
}

static void step(struct model_world *world) {
    struct chance *chance = &world->chance;
    struct model_instance *instance = &world->instances[draw(chance) % INSTANCES];
    pass_time(world);
    unsigned rare = (unsigned)(draw(chance) % 1000);
    if (!instance->alive)
        restart_instance(instance);
    else if (rare < 3)
        kill_instance(instance);
    else if (rare < 5)
        end_instance(instance);
    else if (rare < 9)
        change_limit(world);
    else if (rare < 13)
        add_raise(world);
    else if (rare < 16)
        add_budget(world, false);
    else if (rare < 18)
        remove_budget(world);
    else if (rare < 22)
        world->store_is_down = !world->store_is_down;
    else if (rare < 24)
        world->journal_waits = !world->journal_waits;
    else if (rare < 27)
        be_quiet(world);
    else
        step_of(instance);
    if (world->store_is_down && happens(chance, 2))
        world->store_is_down = false;
    if (instance->alive)
        check_holds(instance);
    if (happens(chance, 10))
        check_store(world);
}

static void open_world(struct model_world *world, uint64_t seed) {
    *world = (struct model_world){.seed = seed, .chance = {.state = seed}, .ops = &weir_engine_sqlite};
    scratch_make(world->scratch);
    (void)snprintf(world->location, sizeof world->location, "%s/weir.db", world->scratch);
    MUST(world, world->ops->open(world->location, "dev", &world->engine, &world->error));
    MUST(world, weir_zones_new(NULL, &world->zones));
    world->clock_may_go_back = happens(&world->chance, 50);
    world->provider_lies = happens(&world->chance, 40);
    /* Near the end of a month in one of the years, so that periods end. */
    world->utc_us = between(&world->chance, 1767000000, 1830000000) * MODEL_SECOND_US;
    if (happens(&world->chance, 50)) {
        struct weir_period month = weir_window_period(WEIR_WINDOW_MONTH, NULL, world->utc_us);
        world->utc_us = month.until_utc_us - between(&world->chance, 0, 7200) * MODEL_SECOND_US;
    }
    world->now_ns = between(&world->chance, 1, 1000000) * MODEL_SECOND_NS;
    world->observer = id_of_number(999);
    MUST(world, world->ops->instance_begin(world->engine, &world->observer, world->utc_us, &world->error));
    int64_t count = between(&world->chance, 1, 6);
    for (int64_t i = 0; i < count; i++)
        add_budget(world, true);
    if (happens(&world->chance, 50))
        add_own_budget(world, 0, WEIR_WINDOW_DAY);
    if (happens(&world->chance, 50))
        add_own_budget(world, 1, WEIR_WINDOW_MONTH);
    if (happens(&world->chance, 30))
        add_own_budget(world, 3, WEIR_WINDOW_TOTAL);
    for (unsigned i = 0; i < INSTANCES; i++) {
        world->instances[i] = (struct model_instance){.world = world, .index = i};
        boot(&world->instances[i]);
    }
}

static void close_world(struct model_world *world) {
    for (size_t i = 0; i < INSTANCES; i++)
        if (world->instances[i].alive)
            kill_instance(&world->instances[i]);
    weir_zones_free(&world->zones);
    world->ops->close(&world->engine);
    scratch_remove(world->scratch);
}

struct totals {
    uint64_t granted, refused, waited, clamped, crashes, leases, checks, rests;
};

static void run(struct model_world *world, uint64_t seed, unsigned steps, struct totals *totals) {
    open_world(world, seed);
    for (unsigned i = 0; i < steps; i++) {
        step(world);
        if (i % 500 == 499) {
            for (unsigned j = 0; j < 4; j++) {
                come_to_rest(world);
                check_nothing_is_out(world);
                check_the_rest_is_had(world);
            }
            world->at_rest = false;
            totals->rests++;
        }
    }
    totals->granted += world->granted;
    totals->refused += world->refused;
    totals->waited += world->waited;
    totals->clamped += world->clamped;
    totals->crashes += world->crashes;
    totals->leases += world->leases;
    totals->checks += world->overspent_checks;
    close_world(world);
}

static void agrees_with_the_model(void **state) {
    (void)state;
    const char *wanted = getenv("WEIR_SEED"), *is_long = getenv("WEIR_LONG");
    const unsigned runs = wanted != NULL ? 1 : is_long != NULL ? 600 : 12, steps = 1500;
    uint64_t seed = (uint64_t)weir_clock_utc_us();
    if (wanted != NULL)
        assert_int_equal(weir_span_to_uint64(weir_span_of_string(wanted), &seed), WEIR_OK);
    struct model_world *world = test_calloc(1, sizeof *world);
    struct totals totals = {0};
    for (unsigned i = 0; i < runs; i++)
        run(world, seed + i, steps, &totals);
    print_message("seeds %" PRIu64 " to %" PRIu64 ", %u steps each: %" PRIu64 " granted, %" PRIu64 " refused, %" PRIu64
                  " waited, %" PRIu64 " clamped, %" PRIu64 " crashes, %" PRIu64 " questions, %" PRIu64
                  " sums against limits, %" PRIu64 " times at rest\n",
                  seed, seed + runs - 1, steps, totals.granted, totals.refused, totals.waited, totals.clamped,
                  totals.crashes, totals.leases, totals.checks, totals.rests);
    assert_true(totals.granted > 20 && totals.refused > 20 && totals.leases > 20 && totals.checks > 20);
    test_free(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
