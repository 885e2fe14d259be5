/* The world of test_meter_model.c: two instances of the meter over one database, their journals, and the plain model that they are held against.
 *
 * What is real: the meter, and the database engine behind the slices and sums. What is played: the clocks, the way of a question to the store and back, the
 * journal (a list of requests that are not ingested yet), and when an instance hears of a change to a budget. Everything is on one thread and drawn from one
 * seed, so that a failure can be had again.
 */
#ifndef WEIR_TESTS_METER_MODEL_WORLD_H
#define WEIR_TESTS_METER_MODEL_WORLD_H

#include "../store/support.h"
#include "base/clock.h"
#include "meter/meter_impl.h"

#include <inttypes.h>

enum {
    INSTANCES = 2,
    CALLERS = 5,
    MODELS = 2,
    MAX_BUDGETS = 24,
    MAX_REQUESTS = 6000,
    MAX_VERSIONS = 400,
    MAX_PENDING = 8
};

#define MODEL_SECOND_US ((int64_t)1000000)
#define MODEL_SECOND_NS ((int64_t)1000000000)

/* --- chance --- */
struct chance {
    uint64_t state;
};
static inline uint64_t draw(struct chance *chance) { /* splitmix64 */
    uint64_t z = chance->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}
static inline int64_t between(struct chance *chance, int64_t least, int64_t most) {
    return least + (int64_t)(draw(chance) % (uint64_t)(most - least + 1));
}
static inline bool happens(struct chance *chance, unsigned percent) {
    return draw(chance) % 100 < percent;
}

/* --- who asks, and for what --- */
struct model_caller {
    const char *key, *workspace, *team, *user; /* team and user as in the ledger: without the workspace */
    const char *team_id, *user_id;             /* "workspace/team" */
};
static const struct model_caller callers[CALLERS] = {
    {"k0", "a", "t0", "u0", "a/t0", "a/u0"}, {"k1", "a", "t0", "u1", "a/t0", "a/u1"},
    {"k2", "a", "t1", "u0", "a/t1", "a/u0"}, {"k3", "a", "", "", "", ""},
    {"k4", "b", "t0", "", "b/t0", ""},
};
static const char *const model_names[MODELS] = {"m0", "m1"};

enum request_state { WAITING, OPEN, CLOSED, INGESTED, GONE };
struct model_request {
    enum request_state state;
    unsigned caller, model, instance, life; /* `life`: the instance's incarnation */
    int64_t start_utc_us, began_ns;
    int64_t amount[3];  /* reserved, by unit; what it is committed to while OPEN */
    int64_t charged[3]; /* once CLOSED */
    uint32_t governed;  /* bits of the budgets that its instance knew of when it was granted */
    bool settled;
    struct weir_hold caller_hold, model_hold;
};

/* --- what limits it --- */
struct model_raise {
    int64_t amount, from_utc_us, until_utc_us;
    size_t version; /* of its creation */
};
struct model_budget {
    char id[40];
    enum weir_scope scope;
    const char *scope_id; /* "*": each */
    enum weir_window window;
    const char *zone_name;
    const struct weir_zone *zone;
    enum weir_spend_unit unit;
    bool own; /* of a key's rules: known without being told */
    bool hard;
    const char *on_exceeded;
    int64_t limit; /* now */
    int64_t high;  /* the highest that it ever was, with all its raises */
    bool initial;  /* known before the first request */
    bool removed;
    struct model_raise raises[4];
    size_t raise_count;
};

/* One change to an object, as the store tells of it. */
struct model_version {
    enum weir_object_kind kind;
    char id[40], parent[40];
    char text[600];
    bool removed;
    int budget; /* whose; -1 for a raise */
};

/* A question on its way to the store or back. */
enum question_fate { ANSWERED, FAILS_BEFORE, FAILS_AFTER };
struct model_question {
    bool used, executed;
    enum question_fate fate;
    struct weir_lease *leases;
    char (*ids)[40];
    size_t count;
    weir_store_lease_reply reply;
    void *context;
};

struct model_world;
struct model_instance {
    struct model_world *world;
    unsigned index, life;
    bool alive, dead_to_the_store; /* its questions reach nobody any more */
    struct weir_uuid uuid;
    struct weir_meter *meter;
    size_t delivered; /* versions */
    struct model_question questions[MAX_PENDING];
    struct weir_meter_binding *caller_bindings[CALLERS], *model_bindings[MODELS];
    uint64_t generations[CALLERS + MODELS];
    uint64_t room_came;
};

struct model_world {
    struct chance chance;
    uint64_t seed;
    char scratch[SCRATCH_SIZE], location[PATH_SIZE];
    const struct weir_engine_ops *ops;
    struct weir_engine *engine;
    struct weir_zones *zones;
    int64_t utc_us, now_ns;
    bool store_is_down, journal_waits, clock_may_go_back;
    bool provider_lies; /* it reports more tokens than there can be */
    bool at_rest;       /* questions are answered at once, and well */
    struct weir_uuid observer;
    struct model_instance instances[INSTANCES];
    struct model_budget budgets[MAX_BUDGETS];
    size_t budget_count;
    struct model_version versions[MAX_VERSIONS];
    size_t version_count;
    struct model_request requests[MAX_REQUESTS];
    size_t request_count;
    uint64_t lives, cursor;
    uint64_t granted, refused, waited, clamped, crashes, leases, overspent_checks; /* what happened, to be told */
    struct weir_error error;
};

static inline void model_failed(const struct model_world *world, const char *what) {
    print_error("WEIR_SEED=%" PRIu64 ": %s\n", world->seed, what);
    fail();
}
#define MUST(world, status)                                                                              \
    do {                                                                                                 \
        enum weir_status must_status = (status);                                                         \
        if (must_status != WEIR_OK) {                                                                    \
            print_error("WEIR_SEED=%" PRIu64 ": %s: %s\n", (world)->seed, weir_status_name(must_status), \
                        (world)->error.text);                                                            \
            fail();                                                                                      \
        }                                                                                                \
    } while (0)

/* --- sums of the model --- */

/* NULL: it has none. */
static inline const char *model_scope_id(enum weir_scope scope, unsigned caller, unsigned model) {
    const struct model_caller *who = &callers[caller];
    const char *id = "";
    switch (scope) {
    case WEIR_SCOPE_GLOBAL: return "";
    case WEIR_SCOPE_WORKSPACE: return who->workspace;
    case WEIR_SCOPE_TEAM: id = who->team_id; break;
    case WEIR_SCOPE_USER: id = who->user_id; break;
    case WEIR_SCOPE_KEY: return who->key;
    case WEIR_SCOPE_MODEL: return model_names[model];
    case WEIR_SCOPE_PROVIDER:
    case WEIR_SCOPE_END: break;
    }
    return id[0] != '\0' ? id : NULL;
}

static inline bool model_applies(const struct model_budget *budget, unsigned caller, unsigned model) {
    const char *id = model_scope_id(budget->scope, caller, model);
    return id != NULL && (strcmp(budget->scope_id, "*") == 0 || strcmp(budget->scope_id, id) == 0);
}

static inline int64_t model_committed(const struct model_request *request, enum weir_spend_unit unit) {
    switch (request->state) {
    case OPEN: return request->amount[unit];
    case CLOSED:
    case INGESTED: return request->charged[unit];
    case WAITING:
    case GONE: break;
    }
    return 0;
}

enum which { ALL_REQUESTS, ONLY_INGESTED, ONLY_GOVERNED };
/* What requests of that scope and id that started within [from, until) are committed to. */
static inline int64_t model_sum(const struct model_world *world, enum weir_scope scope, const char *id,
                                enum weir_spend_unit unit, int64_t from, int64_t until, enum which which,
                                uint32_t governed_by) {
    int64_t sum = 0;
    for (size_t i = 0; i < world->request_count; i++) {
        const struct model_request *request = &world->requests[i];
        if (request->start_utc_us < from || request->start_utc_us >= until ||
            (which == ONLY_INGESTED && request->state != INGESTED) ||
            (which == ONLY_GOVERNED && (request->governed & governed_by) == 0))
            continue;
        const char *its = model_scope_id(scope, request->caller, request->model);
        if (its != NULL && strcmp(its, id) == 0)
            sum += model_committed(request, unit);
    }
    return sum;
}

/* --- the journal --- */

static inline struct weir_ledger_entry model_entry(const struct model_world *world,
                                                   const struct model_request *request) {
    const struct model_caller *who = &callers[request->caller];
    return (struct weir_ledger_entry){
        .request_id = id_of_number((uint64_t)(request - world->requests) + 1),
        .key_id = weir_span_of_string(who->key),
        .family = weir_span_of_string(who->key),
        .workspace = weir_span_of_string(who->workspace),
        .team = weir_span_of_string(who->team),
        .user = weir_span_of_string(who->user),
        .endpoint = WEIR_SPAN("chat.completions"),
        .model = weir_span_of_string(model_names[request->model]),
        .provider = WEIR_SPAN("p"),
        .upstream_model = WEIR_SPAN("um"),
        .start_utc_us = request->start_utc_us,
        .end_utc_us = request->start_utc_us + 1000,
        .reserved_cu_milli = request->amount[WEIR_SPEND_CU_MILLI],
        .cost_cu_milli = request->charged[WEIR_SPEND_CU_MILLI],
        .usage = {.input = request->charged[WEIR_SPEND_TOKENS]},
        .usage_source = WEIR_USAGE_PROVIDER,
        .status = 200,
        .stage = WEIR_STAGE_ANSWERED,
        .attempt_count = 1,
        .attempts = {{.provider = WEIR_SPAN("p"), .upstream_model = WEIR_SPAN("um"), .status = 200}},
    };
}

static inline struct weir_journal_open model_open(const struct model_world *world,
                                                  const struct model_request *request) {
    struct weir_ledger_entry entry = model_entry(world, request);
    return (struct weir_journal_open){
        .request_id = entry.request_id,
        .start_utc_us = entry.start_utc_us,
        .reserved_cu_milli = entry.reserved_cu_milli,
        .reserved = {.input = request->amount[WEIR_SPEND_TOKENS]},
        .key_id = entry.key_id,
        .workspace = entry.workspace,
        .endpoint = entry.endpoint,
        .model = entry.model,
        .provider = entry.provider,
        .upstream_model = entry.upstream_model,
        .team = entry.team,
        .user = entry.user,
        .family = entry.family,
    };
}

/* Reads at most `most` closed requests of an instance's journal; with `opens`, which only the dead have, also what was never closed. */
static inline void model_ingest(struct model_instance *instance, size_t most, bool opens) {
    struct model_world *world = instance->world;
    const struct weir_engine_ops *ops = world->ops;
    struct weir_journal_cursor cursor = {.instance = instance->uuid, .segment = 1, .offset = ++world->cursor};
    size_t taken = 0;
    if (world->store_is_down || (world->journal_waits && !opens))
        return;
    MUST(world, ops->ingest_begin(world->engine, &world->error));
    MUST(world, ops->ingest_from(world->engine, &instance->uuid, &world->error));
    bool fails = !opens && happens(&world->chance, 10);
    for (size_t i = 0; i < world->request_count && taken < most; i++) {
        struct model_request *request = &world->requests[i];
        if (request->instance != instance->index || request->life != instance->life)
            continue;
        if (request->state == CLOSED) {
            struct weir_ledger_entry entry = model_entry(world, request);
            MUST(world, ops->ingest_entry(world->engine, &entry, &world->error));
            if (!fails)
                request->state = INGESTED;
            taken++;
        } else if (request->state == OPEN && opens) {
            struct weir_journal_open open = model_open(world, request);
            MUST(world, ops->ingest_open(world->engine, &cursor, &open, &world->error));
        }
    }
    if (fails) {
        ops->ingest_rollback(world->engine);
        return;
    }
    MUST(world, ops->ingest_cursor(world->engine, &cursor, &world->error));
    MUST(world, ops->ingest_commit(world->engine, &world->error));
}

static inline bool model_is_read(const struct model_instance *instance) {
    const struct model_world *world = instance->world;
    for (size_t i = 0; i < world->request_count; i++)
        if (world->requests[i].state == CLOSED && world->requests[i].instance == instance->index &&
            world->requests[i].life == instance->life)
            return false;
    return true;
}

/* --- the way to the store --- */

static inline void model_execute(struct model_instance *instance, struct model_question *question) {
    struct model_world *world = instance->world;
    if (question->executed)
        return;
    question->executed = true;
    /* Who gives back all that he has is heard when his journal is read: what was charged there is part of it. */
    bool gives_all = false;
    for (size_t i = 0; i < question->count; i++)
        gives_all = gives_all || question->leases[i].unused == INT64_MAX;
    if (gives_all)
        model_ingest(instance, SIZE_MAX, false);
    if (world->store_is_down || question->fate == FAILS_BEFORE || (gives_all && !model_is_read(instance))) {
        question->fate = FAILS_BEFORE;
        return;
    }
    world->leases += question->count;
    MUST(world, world->ops->lease(world->engine, &instance->uuid, question->leases, question->count, &world->error));
}

static inline void model_answer(struct model_instance *instance, struct model_question *question) {
    static const struct weir_error failed = {.status = WEIR_EBUSY, .text = "played"};
    struct model_question answered = *question;
    model_execute(instance, question);
    answered = *question;
    *question = (struct model_question){.used = false};
    if (answered.fate == ANSWERED) {
        answered.reply(answered.context, WEIR_OK, answered.leases, answered.count, NULL);
    } else {
        answered.reply(answered.context, WEIR_EBUSY, NULL, 0, &failed);
    }
    test_free(answered.leases);
    test_free(answered.ids);
}

static inline enum weir_status model_lease(void *context, const struct weir_lease *leases, size_t count,
                                           weir_store_lease_reply reply, void *reply_context) {
    struct model_instance *instance = context;
    struct model_world *world = instance->world;
    if (instance->dead_to_the_store || (!world->at_rest && happens(&world->chance, 4)))
        return WEIR_EBUSY;
    struct model_question *question = NULL;
    for (size_t i = 0; i < MAX_PENDING && question == NULL; i++)
        if (!instance->questions[i].used)
            question = &instance->questions[i];
    if (question == NULL)
        return WEIR_EBUSY;
    *question = (struct model_question){.used = true, .count = count, .reply = reply, .context = reply_context};
    question->fate = world->at_rest || happens(&world->chance, 90) ? ANSWERED
                     : happens(&world->chance, 50)                 ? FAILS_BEFORE
                                                                   : FAILS_AFTER;
    question->leases = test_calloc(count, sizeof *question->leases);
    question->ids = test_calloc(count, sizeof *question->ids);
    for (size_t i = 0; i < count; i++) {
        question->leases[i] = leases[i];
        assert_true(leases[i].counter.id.length < sizeof question->ids[i]);
        if (leases[i].counter.id.length > 0)
            memcpy(question->ids[i], leases[i].counter.id.at, leases[i].counter.id.length);
        question->leases[i].counter.id = weir_span_of(question->ids[i], leases[i].counter.id.length);
    }
    if (happens(&world->chance, 50))
        model_execute(instance, question);
    if (happens(&world->chance, 25))
        model_answer(instance, question);
    return WEIR_OK;
}

static inline int64_t model_utc_us(void *context) {
    const struct model_instance *instance = context;
    return instance->world->utc_us;
}
static inline int64_t model_now_ns(void *context) {
    const struct model_instance *instance = context;
    return instance->world->now_ns;
}
static inline void model_wake(void *context) {
    (void)context; /* turns come often enough */
}

#endif
