/* What the meter knows of budgets, limits, raises, plans and credits: a copy of the store's objects, found by whom they concern.
 *
 * The control thread changes it under the table's lock, whole definition by whole definition: one that cannot be read leaves the one before. Then the lines of the
 * accounts that it concerns are made anew, at once, so that a lowered limit holds and what is too much goes back; bindings follow, because the generation grows.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "json/scan.h"
#include "meter/meter_impl.h"

#include <stdio.h>

#define DEFINITION_BYTES ((size_t)64 * 1024)
#define FIRST_BYTES ((size_t)1024)
enum { RAISES_OF = 'r' }; /* in the place of a scope */

/* --- finding --- */

enum { KEY_BYTES = 640 };
/* Of a map: what it is, and a name. False: it is longer than any that is in the map. */
static bool key_of(char first, struct weir_span name, char out[KEY_BYTES], struct weir_span *key) {
    if (name.length >= KEY_BYTES)
        return false;
    out[0] = first;
    if (name.length > 0)
        memcpy(out + 1, name.at, name.length);
    *key = weir_span_of(out, name.length + 1);
    return true;
}

static const struct meter__target *find(const struct weir_meter *meter, char first, struct weir_span name) {
    char bytes[KEY_BYTES];
    struct weir_span key;
    return key_of(first, name, bytes, &key) ? weir_map_find(meter->targets, key) : NULL;
}

const struct meter__target *meter__target(const struct weir_meter *meter, enum weir_scope scope, struct weir_span id) {
    return find(meter, (char)scope, id);
}

const struct meter__target *meter__raises(const struct weir_meter *meter, struct weir_span budget) {
    return find(meter, RAISES_OF, budget);
}

const struct weir_plan *meter__plan_of(const struct weir_meter *meter, struct weir_span workspace) {
    const struct meter__workspace *known = weir_map_find(meter->workspaces, workspace);
    if (known == NULL || known->plan == NULL)
        return NULL;
    for (size_t i = 0; i < meter->plan_count; i++)
        if (weir_span_equal(meter->plans[i].id, weir_span_of_string(known->plan)))
            return &meter->plans[i];
    return NULL;
}

int64_t meter__credits_of(const struct weir_meter *meter, struct weir_span workspace, int64_t *until_utc_us) {
    const struct meter__workspace *known = weir_map_find(meter->workspaces, workspace);
    int64_t left = 0;
    if (known == NULL || __builtin_sub_overflow(known->credits, known->consumed, &left))
        return 0;
    *until_utc_us = known->credits_until_utc_us;
    return left > 0 ? left : 0;
}

/* --- changing --- */

void meter__definition_unref(struct meter__definition *definition) {
    if (definition != NULL && --definition->refs == 0)
        weir_arena_free(&definition->arena); /* it lives in it */
}

static enum weir_status link_to_target(struct weir_meter *meter, struct meter__definition *definition) {
    struct meter__target *target = weir_map_find(meter->targets, definition->target_key);
    if (target == NULL) {
        target = weir_memory_new(1, sizeof *target + definition->target_key.length);
        if (target == NULL)
            return WEIR_ENOMEM;
        memcpy(target->key, definition->target_key.at, definition->target_key.length);
        enum weir_status status = weir_map_put(meter->targets, weir_span_of(target->key, definition->target_key.length),
                                               target, NULL);
        if (status != WEIR_OK) {
            weir_memory_free(target);
            return status;
        }
    }
    definition->next = target->definitions;
    target->definitions = definition;
    return WEIR_OK;
}

static void unlink_from_target(struct weir_meter *meter, struct meter__definition *definition) {
    struct meter__target *target = weir_map_find(meter->targets, definition->target_key);
    if (target == NULL)
        return;
    struct meter__definition **at = &target->definitions;
    while (*at != NULL && *at != definition)
        at = &(*at)->next;
    if (*at != NULL)
        *at = definition->next;
    if (target->definitions == NULL) {
        (void)weir_map_remove(meter->targets, definition->target_key);
        weir_memory_free(target);
    }
}

/* Makes the lines of a subject's accounts anew, where there are any. */
static enum weir_status rebuild_one(struct weir_meter *meter, enum weir_scope scope, struct weir_span id) {
    char bytes[KEY_BYTES];
    struct weir_span key;
    struct meter__subject *subject = key_of((char)scope, id, bytes, &key) ? weir_map_find(meter->subjects, key) : NULL;
    return subject != NULL ? meter__accounts_build(meter, subject) : WEIR_OK;
}

/* Of all subjects of a scope that have accounts. */
static enum weir_status rebuild_each(struct weir_meter *meter, enum weir_scope scope) {
    enum weir_status status = WEIR_OK;
    for (struct weir_list *link = meter->accounts.next; link != &meter->accounts; link = link->next) {
        struct meter__subject *subject = WEIR_CONTAINER_OF(link, struct meter__account, link)->subject;
        if (meter__scope(subject) == scope && meter__accounts_build(meter, subject) != WEIR_OK)
            status = WEIR_ENOMEM;
    }
    return status;
}

static enum weir_status rebuild(struct weir_meter *meter, enum weir_scope scope, struct weir_span id) {
    return weir_span_equal(id, WEIR_SPAN("*")) ? rebuild_each(meter, scope) : rebuild_one(meter, scope, id);
}

/* The accounts that a raise concerns, by the id of its budget. */
static enum weir_status rebuild_budget(struct weir_meter *meter, struct weir_span budget) {
    struct weir_span head, rest;
    if (weir_span_split(budget, ':', &head, &rest) && weir_span_equal(head, WEIR_SPAN("plan")))
        return rebuild_one(meter, WEIR_SCOPE_WORKSPACE, rest);
    if (weir_span_equal(head, WEIR_SPAN("key"))) {
        struct weir_span family, window;
        (void)weir_span_split(rest, ':', &family, &window);
        return rebuild_one(meter, WEIR_SCOPE_KEY, family);
    }
    (void)weir_span_split(budget, '/', &head, &rest);
    char bytes[KEY_BYTES];
    struct weir_span key;
    enum weir_status status = WEIR_OK;
    if (!key_of((char)WEIR_OBJECT_BUDGET, head, bytes, &key))
        return WEIR_OK;
    /* The map's key has the parent between the two; budgets have none. */
    const struct meter__definition *definition = weir_map_find(meter->definitions, key);
    if (definition != NULL)
        status = rest.length > 0 ? rebuild_one(meter, definition->is.budget.scope, rest)
                                 : rebuild(meter, definition->is.budget.scope, definition->is.budget.scope_id);
    return status;
}

static enum weir_status concern(struct weir_meter *meter, const struct meter__definition *definition) {
    switch ((int)definition->kind) {
    case WEIR_OBJECT_BUDGET: return rebuild(meter, definition->is.budget.scope, definition->is.budget.scope_id);
    case WEIR_OBJECT_LIMIT: return rebuild(meter, definition->is.limit.scope, definition->is.limit.scope_id);
    default: return rebuild_budget(meter, definition->is.raise.budget);
    }
}

static bool arena_key(struct weir_arena *arena, char first, struct weir_span a, struct weir_span b,
                      struct weir_span *key) {
    char *bytes = weir_arena_alloc(arena, 1 + a.length + b.length);
    if (bytes == NULL || a.length + b.length >= KEY_BYTES)
        return false;
    bytes[0] = first;
    if (a.length > 0)
        memcpy(bytes + 1, a.at, a.length);
    if (b.length > 0)
        memcpy(bytes + 1 + a.length, b.at, b.length);
    *key = weir_span_of(bytes, 1 + a.length + b.length);
    return true;
}

static enum weir_status read_definition(struct weir_meter *meter, const struct weir_object *object,
                                        struct meter__definition *made, bool *active, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    struct weir_span id = weir_span_of_string("");
    char first = RAISES_OF;
    *active = true;
    if (object->kind == WEIR_OBJECT_BUDGET) {
        status = weir_budget_read(made->arena, object->id, object->text, &made->is.budget, error);
        if (status == WEIR_OK && !weir_span_equal(made->is.budget.zone, WEIR_SPAN("UTC")))
            status = weir_zone_find(meter->zones, made->is.budget.zone, &made->zone, error);
        *active = made->is.budget.active;
        first = (char)made->is.budget.scope;
        id = made->is.budget.scope_id;
    } else if (object->kind == WEIR_OBJECT_LIMIT) {
        status = weir_limit_read(made->arena, object->id, object->text, &made->is.limit, error);
        *active = made->is.limit.active;
        first = (char)made->is.limit.scope;
        id = made->is.limit.scope_id;
    } else {
        status = weir_raise_read(made->arena, object->id, object->parent, object->text, &made->is.raise, error);
        id = made->is.raise.budget;
    }
    if (status == WEIR_OK && !arena_key(made->arena, first, id, weir_span_of_string(NULL), &made->target_key))
        status = weir_fail(error, WEIR_EINVAL, "scope_id: it is too long");
    return status;
}

/* NULL in *made: there is none any more. */
static enum weir_status make_definition(struct weir_meter *meter, const struct weir_object *object,
                                        struct meter__definition **made, struct weir_error *error) {
    bool active = true;
    struct weir_arena *arena = weir_arena_new(FIRST_BYTES, DEFINITION_BYTES);
    struct meter__definition *definition = arena != NULL ? weir_arena_alloc(arena, sizeof *definition) : NULL;
    *made = NULL;
    if (definition == NULL) {
        weir_arena_free(&arena);
        return weir_fail(error, WEIR_ENOMEM, "no memory for a definition");
    }
    definition->arena = arena;
    definition->kind = object->kind;
    definition->refs = 1;
    enum weir_status status = read_definition(meter, object, definition, &active, error);
    if (status == WEIR_OK && !arena_key(arena, (char)object->kind, object->parent, object->id, &definition->key))
        status = weir_fail(error, WEIR_EINVAL, "id: it is too long");
    if (status == WEIR_OK && active)
        *made = definition;
    else
        weir_arena_free(&arena);
    return status;
}

/* A definition comes, changes or goes. */
static enum weir_status take_definition(struct weir_meter *meter, const struct weir_object *object,
                                        struct weir_error *error) {
    struct meter__definition *made = NULL;
    char bytes[KEY_BYTES], parent_and_id[KEY_BYTES];
    struct weir_span key;
    if (!object->removed) {
        enum weir_status status = make_definition(meter, object, &made, error);
        if (status != WEIR_OK)
            return status;
    }
    if (object->parent.length + object->id.length >= KEY_BYTES)
        return WEIR_OK;
    if (object->parent.length > 0)
        memcpy(parent_and_id, object->parent.at, object->parent.length);
    if (object->id.length > 0)
        memcpy(parent_and_id + object->parent.length, object->id.at, object->id.length);
    if (!key_of((char)object->kind, weir_span_of(parent_and_id, object->parent.length + object->id.length), bytes,
                &key))
        return WEIR_OK;
    /* What needs memory comes first: where there is none, what was known before stays. */
    enum weir_status status = WEIR_OK;
    void *before = NULL;
    if (made != NULL) {
        status = link_to_target(meter, made);
        if (status == WEIR_OK && weir_map_put(meter->definitions, made->key, made, &before) != WEIR_OK) {
            unlink_from_target(meter, made);
            status = WEIR_ENOMEM;
        }
        if (status != WEIR_OK) {
            meter__definition_unref(made);
            return weir_fail(error, status, "no memory for a definition");
        }
    } else {
        before = weir_map_remove(meter->definitions, key);
    }
    struct meter__definition *old = before;
    if (old != NULL)
        unlink_from_target(meter, old);
    if (status == WEIR_OK && old != NULL)
        status = concern(meter, old);
    if (status == WEIR_OK && made != NULL)
        status = concern(meter, made);
    meter__definition_unref(old);
    return status == WEIR_OK ? WEIR_OK : weir_fail(error, status, "no memory for a definition");
}

/* --- workspaces --- */

static struct meter__workspace *workspace_of(struct weir_meter *meter, struct weir_span id) {
    struct meter__workspace *known = weir_map_find(meter->workspaces, id);
    if (known != NULL)
        return known;
    known = weir_memory_new(1, sizeof *known + id.length + 1);
    if (known == NULL)
        return NULL;
    memcpy(known->id, id.at, id.length);
    known->id_length = id.length;
    if (weir_map_put(meter->workspaces, weir_span_of(known->id, id.length), known, NULL) != WEIR_OK) {
        weir_memory_free(known);
        return NULL;
    }
    return known;
}

static bool same_text(const char *known, struct weir_span text) {
    return known != NULL ? weir_span_equal(weir_span_of_string(known), text) : text.length == 0;
}

static enum weir_status take_plan_name(struct meter__workspace *known, struct weir_span text, bool *changes,
                                       struct weir_error *error) {
    static const struct weir_json_want wants[] = {{"plan"}};
    struct weir_json_found found[1] = {{.kind = WEIR_JSON_NONE}};
    char plan[256];
    size_t length = 0;
    if (text.length > 0 && weir_json_scan(text, wants, 1, found, NULL, NULL) != WEIR_OK)
        return weir_fail(error, WEIR_EINVAL, "plan: the workspace's text is no JSON");
    if (found[0].kind == WEIR_JSON_STRING && weir_json_decode(found[0].value, plan, sizeof plan, &length) != WEIR_OK)
        return weir_fail(error, WEIR_EINVAL, "plan: it is too long");
    *changes = !same_text(known->plan, weir_span_of(plan, length));
    if (!*changes)
        return WEIR_OK;
    char *copy = length > 0 ? weir_memory_string(weir_span_of(plan, length)) : NULL;
    if (length > 0 && copy == NULL)
        return weir_fail(error, WEIR_ENOMEM, "plan: no memory");
    weir_memory_free(known->plan);
    known->plan = copy;
    return WEIR_OK;
}

static int64_t month_end(int64_t utc_us) {
    return weir_window_period(WEIR_WINDOW_MONTH, NULL, utc_us).until_utc_us;
}

/* A month whose use is not taken from the credits yet must not find them again in the next one. An account of which no month was closed counts in the
 * month that it was made in. `closed`: "2026-10", a string as JSON has it. */
static int64_t credits_until(const struct weir_json_found *closed, int64_t created_utc_us) {
    char text[sizeof "2026-10-01T00:00:00Z"];
    int64_t begin = 0;
    if (closed->kind != WEIR_JSON_STRING || closed->value.length != sizeof "\"2026-10\"" - 1)
        return month_end(created_utc_us);
    (void)snprintf(text, sizeof text, "%.7s-01T00:00:00Z", closed->value.at + 1);
    if (weir_clock_parse_utc(weir_span_of_string(text), &begin) != WEIR_OK)
        return month_end(created_utc_us);
    return month_end(month_end(begin));
}

static enum weir_status take_credits(struct meter__workspace *known, const struct weir_object *object, bool *changes,
                                     struct weir_error *error) {
    static const struct weir_json_want wants[] = {{"credits_cu_milli"}, {"consumed_cu_milli"}, {"closed_month"}};
    struct weir_json_found found[3] = {{.kind = WEIR_JSON_NONE}, {.kind = WEIR_JSON_NONE}, {.kind = WEIR_JSON_NONE}};
    struct weir_span text = object->removed ? weir_span_of_string(NULL) : object->text;
    int64_t amounts[2] = {0, 0};
    if (text.length > 0 && weir_json_scan(text, wants, 3, found, NULL, NULL) != WEIR_OK)
        return weir_fail(error, WEIR_EINVAL, "credits_cu_milli: the account's text is no JSON");
    for (size_t i = 0; i < 2; i++)
        if (found[i].kind > WEIR_JSON_NULL &&
            (found[i].kind != WEIR_JSON_NUMBER || weir_json_int64(found[i].value, &amounts[i]) != WEIR_OK ||
             amounts[i] < 0))
            return weir_fail(error, WEIR_EINVAL, "%s: a whole number that is not negative is expected", wants[i].path);
    int64_t until_utc_us = credits_until(&found[2], object->created_utc_us);
    *changes = known->credits != amounts[0] || known->consumed != amounts[1] ||
               known->credits_until_utc_us != until_utc_us;
    known->credits = amounts[0];
    known->consumed = amounts[1];
    known->credits_until_utc_us = until_utc_us;
    return WEIR_OK;
}

/* Its plan or its credits. A workspace that is gone has neither; its small row stays. */
static enum weir_status take_workspace(struct weir_meter *meter, const struct weir_object *object, bool *changes,
                                       struct weir_error *error) {
    struct meter__workspace *known = workspace_of(meter, object->id);
    struct weir_span text = object->removed ? weir_span_of_string(NULL) : object->text;
    if (known == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for a workspace");
    enum weir_status status = object->kind == WEIR_OBJECT_WORKSPACE ? take_plan_name(known, text, changes, error)
                                                                    : take_credits(known, object, changes, error);
    if (status == WEIR_OK && *changes && rebuild_one(meter, WEIR_SCOPE_WORKSPACE, object->id) != WEIR_OK)
        status = weir_fail(error, WEIR_ENOMEM, "no memory for a workspace");
    return status;
}

enum weir_status weir_meter_take_objects(struct weir_meter *meter, const struct weir_object *objects, size_t count,
                                         struct weir_error *error) {
    enum weir_status first = WEIR_OK;
    bool any = false;
    pthread_mutex_lock(&meter->lock);
    for (size_t i = 0; i < count; i++) {
        enum weir_status status = WEIR_OK;
        bool changes = false;
        struct weir_error *words = first == WEIR_OK ? error : NULL;
        switch ((int)objects[i].kind) {
        case WEIR_OBJECT_BUDGET:
        case WEIR_OBJECT_LIMIT:
        case WEIR_OBJECT_RAISE:
            status = take_definition(meter, &objects[i], words);
            changes = true;
            break;
        case WEIR_OBJECT_WORKSPACE:
        case WEIR_OBJECT_ACCOUNT: status = take_workspace(meter, &objects[i], &changes, words); break;
        default: break;
        }
        any = any || changes;
        if (first == WEIR_OK && status != WEIR_OK)
            first = status == WEIR_ENOMEM ? WEIR_ENOMEM : WEIR_EINVAL;
    }
    pthread_mutex_unlock(&meter->lock);
    if (any) {
        atomic_fetch_add_explicit(&meter->generation, 1, memory_order_release);
        meter__wake(meter);
    }
    return first;
}

static bool copy_plan(struct weir_arena *arena, const struct weir_plan *plan, struct weir_plan *copy) {
    *copy = *plan;
    return weir_arena_dup(arena, plan->id, &copy->id) == WEIR_OK &&
           weir_arena_dup(arena, plan->name, &copy->name) == WEIR_OK;
}

enum weir_status weir_meter_take_plans(struct weir_meter *meter, const struct weir_plan *plans, size_t count) {
    struct weir_arena *arena = weir_arena_new(0, SIZE_MAX / 2);
    struct weir_plan *copies = arena != NULL ? weir_arena_array(arena, count, sizeof *copies) : NULL;
    bool good = copies != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = copy_plan(arena, &plans[i], &copies[i]);
    if (!good) {
        weir_arena_free(&arena);
        return WEIR_ENOMEM;
    }
    pthread_mutex_lock(&meter->lock);
    struct weir_arena *old = meter->plan_arena;
    meter->plans = copies;
    meter->plan_count = count;
    meter->plan_arena = arena;
    enum weir_status status = rebuild_each(meter, WEIR_SCOPE_WORKSPACE);
    pthread_mutex_unlock(&meter->lock);
    weir_arena_free(&old);
    atomic_fetch_add_explicit(&meter->generation, 1, memory_order_release);
    meter__wake(meter);
    return status;
}

void meter__known_release(struct weir_meter *meter) {
    size_t cursor = 0;
    struct weir_span key;
    void *value = NULL;
    while (meter->definitions != NULL && weir_map_next(meter->definitions, &cursor, &key, &value))
        meter__definition_unref(value);
    cursor = 0;
    while (meter->targets != NULL && weir_map_next(meter->targets, &cursor, &key, &value))
        weir_memory_free(value);
    cursor = 0;
    while (meter->workspaces != NULL && weir_map_next(meter->workspaces, &cursor, &key, &value)) {
        weir_memory_free(((struct meter__workspace *)value)->plan);
        weir_memory_free(value);
    }
    weir_map_free(&meter->definitions);
    weir_map_free(&meter->targets);
    weir_map_free(&meter->workspaces);
    weir_arena_free(&meter->plan_arena);
}
