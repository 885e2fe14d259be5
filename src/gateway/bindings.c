/* Which limits and budgets apply to a key, a model, a provider: what the meter made of it once, kept by each worker.
 *
 * A key's binding is good while its row, the epoch under which the row was found, and the meter's generation are the same. The address of a row alone would not do: a
 * row that has gone may be followed by another in its place, but not before this worker has gone over to a later epoch. What is kept is bounded, and what has
 * become useless is let go within a second. Nothing of a key is held here but the address of its row, which is only compared.
 */
#include "base/memory.h"
#include "gateway/impl.h"

enum { KEY_SETS = 1024, NAME_SETS = 128, WAYS = 2, NAME_BYTES = 96 };

struct key_place {
    const struct weir_key *key; /* NULL: the place is free */
    uint64_t epoch, generation;
    struct weir_meter_binding *binding;
};
struct name_place {
    enum weir_scope scope; /* 0: the place is free */
    uint64_t generation;
    struct weir_meter_binding *binding;
    size_t length;
    char name[NAME_BYTES];
};
struct gateway__bindings {
    struct key_place keys[KEY_SETS][WAYS];
    struct name_place names[NAME_SETS][WAYS];
    struct weir_meter_binding *last; /* of a name that is too long to be kept */
    uint64_t swept_epoch, swept_generation;
};

enum weir_status gateway__bindings_new(struct gateway__bindings **bindings) {
    *bindings = weir_memory_new(1, sizeof **bindings);
    return *bindings == NULL ? WEIR_ENOMEM : WEIR_OK;
}

/* Lets go of what is of another epoch or generation, or of everything. */
static void sweep(struct gateway__bindings *bindings, bool all, uint64_t epoch, uint64_t generation) {
    for (size_t i = 0; i < (size_t)KEY_SETS * WAYS; i++) {
        struct key_place *place = &bindings->keys[i / WAYS][i % WAYS];
        if (place->key == NULL || (!all && place->epoch == epoch && place->generation == generation))
            continue;
        weir_meter_unbind(&place->binding);
        place->key = NULL;
    }
    for (size_t i = 0; i < (size_t)NAME_SETS * WAYS; i++) {
        struct name_place *place = &bindings->names[i / WAYS][i % WAYS];
        if (place->scope == 0 || (!all && place->generation == generation))
            continue;
        weir_meter_unbind(&place->binding);
        place->scope = 0;
    }
    weir_meter_unbind(&bindings->last);
}

void gateway__bindings_free(struct gateway__bindings **bindings) {
    if (*bindings == NULL)
        return;
    sweep(*bindings, true, 0, 0);
    weir_memory_free(*bindings);
    *bindings = NULL;
}

void gateway__bindings_sweep(struct weir_worker *worker) {
    struct gateway__bindings *bindings = worker->bindings;
    uint64_t generation = weir_meter_generation(worker->gateway->meter);
    if (bindings->swept_epoch == worker->keys_epoch && bindings->swept_generation == generation)
        return;
    bindings->swept_epoch = worker->keys_epoch;
    bindings->swept_generation = generation;
    sweep(bindings, false, worker->keys_epoch, generation);
}

/* --- the caller --- */

/* Which limit of a key's rules is which of the meter's. */
static const enum weir_rule_limit rule_of[WEIR_LIMIT_COUNT] = {
    [WEIR_LIMIT_REQUESTS_PER_SECOND] = WEIR_RULE_REQUESTS_PER_SECOND,
    [WEIR_LIMIT_REQUESTS_PER_MINUTE] = WEIR_RULE_REQUESTS_PER_MINUTE,
    [WEIR_LIMIT_REQUESTS_PER_DAY] = WEIR_RULE_REQUESTS_PER_DAY,
    [WEIR_LIMIT_TOKENS_PER_MINUTE] = WEIR_RULE_TOKENS_PER_MINUTE,
    [WEIR_LIMIT_TOKENS_PER_DAY] = WEIR_RULE_TOKENS_PER_DAY,
    [WEIR_LIMIT_CONCURRENT_REQUESTS] = WEIR_RULE_CONCURRENT_REQUESTS,
    [WEIR_LIMIT_CONCURRENT_STREAMS] = WEIR_RULE_CONCURRENT_STREAMS,
};

struct weir_span gateway__family_of(const struct weir_key *key) {
    if (key->owner != NULL && key->owner->family.length > 0)
        return key->owner->family;
    return weir_span_of_string(key->id);
}

/* "workspace/id"; empty where there is none or no memory for it. */
static struct weir_span scoped(struct weir_request *request, struct weir_span id) {
    const char *text = id.length == 0
                           ? NULL
                           : weir_arena_format(request->arena, "%.*s/%.*s", WEIR_SPAN_PRINT(request->key->workspace),
                                               WEIR_SPAN_PRINT(id));
    return text == NULL ? WEIR_SPAN("") : weir_span_of_string(text);
}

enum weir_status gateway__caller_of(struct weir_request *request, struct weir_meter_caller *caller) {
    const struct weir_key *key = request->key;
    const struct weir_key_rules *rules = key->rules;
    *caller = (struct weir_meter_caller){.key = gateway__family_of(key),
                                         .workspace = key->workspace,
                                         .limits = {.burst_percent = 100},
                                         .cu_milli_per_day = -1,
                                         .cu_milli_per_month = -1,
                                         .cu_milli_total = -1};
    if (key->owner != NULL) {
        caller->user = scoped(request, key->owner->user);
        caller->team = scoped(request, key->owner->team);
        if (caller->user.length == 0 && key->owner->user.length > 0)
            return WEIR_ENOMEM;
        if (caller->team.length == 0 && key->owner->team.length > 0)
            return WEIR_ENOMEM;
    } else {
        caller->user = caller->team = WEIR_SPAN("");
    }
    for (size_t i = 0; i < WEIR_LIMIT_COUNT; i++)
        caller->limits.at[i] = rules != NULL ? rules->limits[rule_of[i]] : -1;
    if (rules == NULL)
        return WEIR_OK;
    if (rules->limits[WEIR_RULE_BURST_PERCENT] > 0)
        caller->limits.burst_percent = rules->limits[WEIR_RULE_BURST_PERCENT];
    caller->cu_milli_per_day = rules->limits[WEIR_RULE_CU_MILLI_PER_DAY];
    caller->cu_milli_per_month = rules->limits[WEIR_RULE_CU_MILLI_PER_MONTH];
    caller->cu_milli_total = rules->limits[WEIR_RULE_CU_MILLI_TOTAL];
    return WEIR_OK;
}

static enum weir_status bind_key(struct weir_request *request, uint64_t generation, struct key_place *set,
                                 struct weir_meter_binding **binding) {
    struct weir_meter_caller caller;
    struct weir_meter_binding *made = NULL;
    enum weir_status status = gateway__caller_of(request, &caller);
    if (status == WEIR_OK)
        status = weir_meter_bind_caller(request->worker->gateway->meter, &caller, &made);
    if (status != WEIR_OK)
        return status;
    weir_meter_unbind(&set[WAYS - 1].binding);
    set[WAYS - 1] = set[0];
    set[0] = (struct key_place){.key = request->key,
                                .epoch = request->keys_epoch,
                                .generation = generation,
                                .binding = made};
    *binding = made;
    return WEIR_OK;
}

enum weir_status gateway__bind_caller(struct weir_request *request, struct weir_meter_binding **binding) {
    /* Before anything is made: what changes meanwhile makes it old at once. */
    uint64_t generation = weir_meter_generation(request->worker->gateway->meter);
    const struct weir_key *key = request->key;
    uint32_t hash;
    memcpy(&hash, key->hash, sizeof hash);
    struct key_place *set = request->worker->bindings->keys[hash % KEY_SETS];
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].key == key && set[i].epoch == request->keys_epoch && set[i].generation == generation) {
            *binding = set[i].binding;
            return WEIR_OK;
        }
    return bind_key(request, generation, set, binding);
}

/* --- a model or a provider --- */

/* Names come from clients: many of them can at worst make a few others be bound again. */
static size_t set_of(enum weir_scope scope, struct weir_span name) {
    uint64_t hash = (uint64_t)scope;
    for (size_t i = 0; i < name.length; i++)
        hash = (hash ^ (unsigned char)name.at[i]) * UINT64_C(0x100000001b3);
    return (size_t)(hash ^ hash >> 17) % NAME_SETS;
}

enum weir_status gateway__bind_name(struct weir_worker *worker, enum weir_scope scope, struct weir_span name,
                                    struct weir_meter_binding **binding) {
    struct gateway__bindings *bindings = worker->bindings;
    uint64_t generation = weir_meter_generation(worker->gateway->meter);
    struct name_place *set = bindings->names[set_of(scope, name)];
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].scope == scope && set[i].generation == generation && set[i].length == name.length &&
            memcmp(set[i].name, name.at, name.length) == 0) {
            *binding = set[i].binding;
            return WEIR_OK;
        }
    struct weir_meter_binding *made = NULL;
    enum weir_status status = weir_meter_bind(worker->gateway->meter, scope, name, &made);
    if (status != WEIR_OK)
        return status;
    *binding = made;
    if (name.length > NAME_BYTES) {
        weir_meter_unbind(&bindings->last);
        bindings->last = made;
        return WEIR_OK;
    }
    weir_meter_unbind(&set[WAYS - 1].binding);
    set[WAYS - 1] = set[0];
    set[0] = (struct name_place){.scope = scope, .generation = generation, .binding = made, .length = name.length};
    if (name.length > 0)
        memcpy(set[0].name, name.at, name.length);
    return WEIR_OK;
}
