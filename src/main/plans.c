/* See plans.h. */
#include "main/plans.h"

#include "base/memory.h"
#include "operator/plans.h"

enum { PLANS_MAX = 1000 };

/* Where the plan of this id stands, or belongs. */
static size_t place_of(const struct main__plans *plans, struct weir_span id, bool *found) {
    size_t at = 0;
    *found = false;
    for (; at < plans->count; at++) {
        struct weir_span here = weir_span_of_string(plans->at[at].id);
        size_t length = here.length < id.length ? here.length : id.length;
        int order = memcmp(here.at, id.at, length);
        if (order == 0 && here.length == id.length)
            *found = true;
        if (order > 0 || (order == 0 && here.length >= id.length))
            break;
    }
    return at;
}

static enum weir_status insert(struct main__plans *plans, size_t at, struct main__plan plan) {
    if (plans->count == plans->room) {
        size_t room = plans->room == 0 ? 16 : plans->room * 2;
        struct main__plan *larger = weir_memory_resize(plans->at, room, sizeof *larger);
        if (larger == NULL)
            return WEIR_ENOMEM;
        plans->at = larger;
        plans->room = room;
    }
    memmove(&plans->at[at + 1], &plans->at[at], (plans->count - at) * sizeof *plans->at);
    plans->at[at] = plan;
    plans->count++;
    return WEIR_OK;
}

enum weir_status main__plans_take(struct main__plans *plans, const struct weir_object *object, bool *changed) {
    bool found = false;
    if (object->kind != WEIR_OBJECT_PLAN)
        return WEIR_OK;
    size_t at = place_of(plans, object->id, &found);
    if (found && plans->at[at].change >= object->change)
        return WEIR_OK;
    struct main__plan plan = {.id = weir_memory_string(object->id),
                              .text = weir_memory_string(object->text),
                              .change = object->change,
                              .removed = object->removed};
    enum weir_status status = plan.id != NULL && plan.text != NULL ? WEIR_OK : WEIR_ENOMEM;
    if (status == WEIR_OK && !found)
        status = insert(plans, at, plan);
    if (status != WEIR_OK) {
        weir_memory_free(plan.id);
        weir_memory_free(plan.text);
        return status;
    }
    if (found) {
        weir_memory_free(plans->at[at].id);
        weir_memory_free(plans->at[at].text);
        plans->at[at] = plan;
    }
    *changed = true;
    return WEIR_OK;
}

static enum weir_status take_object(void *context, const struct weir_object *object) {
    bool changed = false;
    return main__plans_take(context, object, &changed);
}

enum weir_status main__plans_read(const char *directory, const char *environment, struct main__plans *plans,
                                  struct weir_error *error) {
    const struct weir_object_query query = {.kind = WEIR_OBJECT_PLAN, .limit = PLANS_MAX};
    struct weir_engine *engine = NULL;
    enum weir_status status = weir_store_direct_open(directory, environment, false, &engine, error);
    if (status != WEIR_OK)
        return status;
    status = weir_engine_sqlite.object_list(engine, &query, take_object, plans, error);
    weir_store_direct_close(&engine);
    return status;
}

void main__plans_release(struct main__plans *plans) {
    for (size_t i = 0; i < plans->count; i++) {
        weir_memory_free(plans->at[i].id);
        weir_memory_free(plans->at[i].text);
    }
    weir_memory_free(plans->at);
    plans->at = NULL;
    plans->count = plans->room = 0;
}

void main__plans_write(const struct main__plans *plans, struct weir_buffer *canonical) {
    for (size_t i = 0; i < plans->count; i++)
        if (!plans->at[i].removed)
            weir_buffer_printf(canonical, "plan %s: %s\n", plans->at[i].id, plans->at[i].text);
}

enum weir_status main__plans_compile(const struct main__plans *plans, struct weir_revision *revision,
                                     struct weir_buffer *problems) {
    struct weir_plan *compiled = weir_arena_array(revision->arena, plans->count + 1, sizeof *compiled);
    size_t count = 0;
    if (compiled == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; i < plans->count; i++) {
        if (plans->at[i].removed)
            continue;
        enum weir_status status = weir_plan_read(revision->arena, weir_span_of_string(plans->at[i].id),
                                                 weir_span_of_string(plans->at[i].text), &compiled[count++]);
        if (status != WEIR_OK) {
            weir_buffer_printf(problems, "plan %s: what the store has of it is no plan\n", plans->at[i].id);
            return status;
        }
    }
    revision->plans = compiled;
    revision->plan_count = count;
    return WEIR_OK;
}
