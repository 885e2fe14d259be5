/* Candidates of a model. Later strategies are more rows of the same kind: facts in, an order out. */
#include "route/route.h"

/* A weighted draw without replacement among targets of one order, by Knuth's multiplicative steps of one random number. */
static void shuffle(struct weir_target *targets, size_t count, uint64_t random) {
    for (size_t first = 0; first + 1 < count; first++) {
        uint64_t total = 0;
        for (size_t i = first; i < count; i++)
            total += (uint64_t)targets[i].weight;
        if (total == 0)
            return;
        random = random * 6364136223846793005U + 1442695040888963407U;
        uint64_t draw = (random >> 16) % total;
        size_t chosen = first;
        while (draw >= (uint64_t)targets[chosen].weight)
            draw -= (uint64_t)targets[chosen++].weight;
        struct weir_target taken = targets[chosen];
        targets[chosen] = targets[first];
        targets[first] = taken;
    }
}

static void of_model(const struct weir_model *model, uint64_t random, struct weir_candidates *candidates) {
    candidates->model = model;
    candidates->count = model->target_count < WEIR_MAX_ATTEMPTS ? model->target_count : WEIR_MAX_ATTEMPTS;
    for (size_t i = 0; i < candidates->count; i++)
        candidates->at[i] = model->targets[i];
    for (size_t first = 0, end; first < candidates->count; first = end) {
        for (end = first + 1; end < candidates->count && candidates->at[end].order == candidates->at[first].order;)
            end++;
        shuffle(&candidates->at[first], end - first, random);
    }
}

/* `rest` is what stands for the star. */
static void of_pattern(const struct weir_model *pattern, struct weir_span name, struct weir_span rest, uint64_t random,
                       struct weir_candidates *candidates) {
    of_model(pattern, random, candidates);
    for (size_t i = 0; i < candidates->count; i++) {
        struct weir_target *target = &candidates->at[i];
        if (target->model.length == 0)
            target->model = name;
        else if (weir_span_equal(target->model, WEIR_SPAN("*")))
            target->model = rest;
    }
}

enum weir_status weir_route_candidates(const struct weir_revision *revision, struct weir_span name, uint64_t random,
                                       struct weir_candidates *candidates) {
    candidates->model = NULL;
    candidates->count = 0;
    struct weir_span provider_name, rest;
    const struct weir_provider *provider = NULL;
    const struct weir_model *model = weir_revision_model(revision, name);
    if (model != NULL) {
        of_model(model, random, candidates);
        return WEIR_OK;
    }
    const struct weir_model *pattern = weir_revision_pattern(revision, name, &rest);
    if (pattern != NULL && pattern->name.length > 1) {
        of_pattern(pattern, name, rest, random, candidates);
        return WEIR_OK;
    }
    if (weir_span_split(name, '/', &provider_name, &rest) && rest.length > 0)
        provider = weir_revision_provider(revision, provider_name);
    if (provider == NULL && pattern != NULL) {
        of_pattern(pattern, name, name, random, candidates);
        return WEIR_OK;
    }
    if (provider == NULL) {
        provider = revision->catch_all;
        rest = name;
    }
    if (provider == NULL)
        return WEIR_ENOTFOUND;
    candidates->at[0] = (struct weir_target){.provider = provider, .model = rest, .weight = 1};
    candidates->count = 1;
    return WEIR_OK;
}
