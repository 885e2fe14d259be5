/* What keys share: workspaces and rules, each there once, counted by its users; and whom a key belongs to.
 *
 * Without it a million keys of one workspace would hold its name a million times. With it a change leaves nothing behind: the last row of a text is
 * freed with the text, so an operator may change rules as often as there is time.
 */
#include "identity/keys_impl.h"

#include "base/arithmetic.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/memory.h"

enum { ROOM_FOR_LISTS = 512 };

struct workspace {
    struct weir_key_workspace shown;
    size_t users;
    char id[];
};

struct rules {
    struct weir_key_rules shown; /* its lists are in the arena */
    struct weir_arena *arena;
    size_t users;
    enum weir_status status;
    struct weir_span text; /* in the arena */
};

static struct workspace *workspace_of(const struct weir_key_workspace *shown) {
    return WEIR_CONTAINER_OF((uintptr_t)shown, struct workspace, shown);
}

static struct rules *rules_of(const struct weir_key_rules *shown) {
    return WEIR_CONTAINER_OF((uintptr_t)shown, struct rules, shown);
}

enum weir_status identity__shared_init(struct identity__shared *shared) {
    *shared = (struct identity__shared){.workspaces = weir_map_new(0), .rules = weir_map_new(0)};
    if (shared->workspaces != NULL && shared->rules != NULL)
        return WEIR_OK;
    identity__shared_release(shared);
    return WEIR_ENOMEM;
}

/* --- workspaces --- */

static struct workspace *workspace_find(struct identity__shared *shared, struct weir_span id) {
    struct workspace *workspace = weir_map_find(shared->workspaces, id);
    if (workspace != NULL)
        return workspace;
    size_t bytes = 0;
    workspace = weir_add_size(sizeof *workspace, id.length, &bytes) ? weir_memory_new(1, bytes) : NULL;
    if (workspace == NULL)
        return NULL;
    if (id.length > 0)
        memcpy(workspace->id, id.at, id.length);
    workspace->shown.id = weir_span_of(workspace->id, id.length);
    if (weir_map_put(shared->workspaces, workspace->shown.id, workspace, NULL) != WEIR_OK) {
        weir_memory_free(workspace);
        return NULL;
    }
    shared->bytes += bytes;
    return workspace;
}

static void workspace_drop_unused(struct identity__shared *shared, struct workspace *workspace) {
    if (workspace->users > 0 || atomic_load_explicit(&workspace->shown.suspended, memory_order_relaxed) ||
        atomic_load_explicit(&workspace->shown.capture, memory_order_relaxed) != 0)
        return;
    shared->bytes -= sizeof *workspace + workspace->shown.id.length;
    (void)weir_map_remove(shared->workspaces, workspace->shown.id);
    weir_memory_free(workspace);
}

const struct weir_key_workspace *identity__workspace_ref(struct identity__shared *shared, struct weir_span id) {
    struct workspace *workspace = workspace_find(shared, id);
    if (workspace == NULL)
        return NULL;
    workspace->users++;
    return &workspace->shown;
}

void identity__workspace_unref(struct identity__shared *shared, const struct weir_key_workspace *workspace) {
    struct workspace *left = workspace_of(workspace);
    left->users--;
    workspace_drop_unused(shared, left);
}

enum weir_status identity__workspace_set(struct identity__shared *shared, struct weir_span id, bool suspended,
                                         unsigned capture) {
    if (!suspended && capture == 0 && weir_map_find(shared->workspaces, id) == NULL)
        return WEIR_OK;
    struct workspace *workspace = workspace_find(shared, id);
    if (workspace == NULL)
        return WEIR_ENOMEM;
    atomic_store_explicit(&workspace->shown.suspended, suspended, memory_order_release);
    atomic_store_explicit(&workspace->shown.capture, capture, memory_order_release);
    workspace_drop_unused(shared, workspace);
    return WEIR_OK;
}

/* --- rules --- */

static size_t bytes_of(const struct rules *rules) {
    return sizeof *rules + weir_arena_used_bytes(rules->arena) + ROOM_FOR_LISTS;
}

static void rules_free(struct rules *rules) {
    weir_arena_free(&rules->arena);
    weir_memory_free(rules);
}

/* What nobody understands allows nothing. */
static void allow_nothing(struct weir_key_rules *rules) {
    static const struct weir_rule_list nothing = {.restricts = true, .at = NULL, .count = 0};
    *rules = (struct weir_key_rules){.models = nothing,
                                     .endpoints = nothing,
                                     .tools = nothing,
                                     .capabilities = nothing,
                                     .restricts_addresses = true};
    for (size_t i = 0; i < WEIR_RULE_LIMIT_COUNT; i++)
        rules->limits[i] = -1;
}

static struct rules *rules_new(struct weir_span text) {
    struct rules *rules = weir_memory_new(1, sizeof *rules);
    if (rules == NULL)
        return NULL;
    struct weir_key_rules *read = NULL;
    size_t shown_bytes = text.length < WEIR_MAX_RULES_BYTES ? text.length : WEIR_MAX_RULES_BYTES;
    rules->arena = weir_arena_new(ROOM_FOR_LISTS + 2 * shown_bytes, 64 * WEIR_MIB);
    rules->status = rules->arena == NULL ? WEIR_ENOMEM : weir_arena_dup(rules->arena, text, &rules->text);
    if (rules->status == WEIR_OK)
        rules->status = weir_key_rules_read(rules->arena, text, &read, NULL);
    if (rules->status == WEIR_OK)
        rules->shown = *read;
    else if (rules->status == WEIR_EINVAL)
        allow_nothing(&rules->shown);
    else {
        rules_free(rules);
        return NULL;
    }
    return rules;
}

const struct weir_key_rules *identity__rules_ref(struct identity__shared *shared, struct weir_span text) {
    struct rules *rules = weir_map_find(shared->rules, text);
    if (rules == NULL) {
        rules = rules_new(text);
        if (rules == NULL)
            return NULL;
        if (weir_map_put(shared->rules, rules->text, rules, NULL) != WEIR_OK) {
            rules_free(rules);
            return NULL;
        }
        shared->bytes += bytes_of(rules);
    }
    rules->users++;
    return &rules->shown;
}

void identity__rules_unref(struct identity__shared *shared, const struct weir_key_rules *rules) {
    if (rules == NULL)
        return;
    struct rules *left = rules_of(rules);
    if (--left->users > 0)
        return;
    shared->bytes -= bytes_of(left);
    (void)weir_map_remove(shared->rules, left->text);
    rules_free(left);
}

enum weir_status identity__rules_status(const struct weir_key_rules *rules, struct weir_error *error) {
    struct weir_key_rules *again = NULL;
    if (rules == NULL || rules_of(rules)->status == WEIR_OK)
        return WEIR_OK;
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB); /* once more, for the words */
    if (arena != NULL && weir_key_rules_read(arena, rules_of(rules)->text, &again, error) == WEIR_OK)
        weir_bug_on(true);
    weir_arena_free(&arena);
    return WEIR_EINVAL;
}

struct weir_span identity__rules_text(const struct weir_key_rules *rules) {
    return rules != NULL ? rules_of(rules)->text : WEIR_SPAN("");
}

/* --- owners --- */

static size_t texts_of(const struct weir_key_owner *owner) {
    return owner->team.length + owner->user.length + owner->family.length;
}

static char *put(char *at, struct weir_span text, struct weir_span *copy) {
    if (text.length > 0)
        memcpy(at, text.at, text.length);
    *copy = weir_span_of(at, text.length);
    return at + text.length;
}

enum weir_status identity__owner_new(struct identity__shared *shared, const struct weir_key_record *record,
                                     const struct weir_key_owner **owner) {
    const struct weir_span *texts[] = {&record->team, &record->user, &record->family};
    size_t bytes = sizeof(struct weir_key_owner);
    for (size_t i = 0; i < 3; i++)
        if (!weir_add_size(bytes, texts[i]->length, &bytes))
            return WEIR_ENOMEM;
    *owner = NULL;
    if (bytes == sizeof(struct weir_key_owner))
        return WEIR_OK;
    struct weir_key_owner *made = weir_memory_new(1, bytes);
    if (made == NULL)
        return WEIR_ENOMEM;
    char *at = put((char *)(made + 1), record->team, &made->team);
    at = put(at, record->user, &made->user);
    (void)put(at, record->family, &made->family);
    shared->bytes += bytes;
    *owner = made;
    return WEIR_OK;
}

void identity__owner_free(struct identity__shared *shared, const struct weir_key_owner *owner) {
    if (owner == NULL)
        return;
    shared->bytes -= sizeof *owner + texts_of(owner);
    weir_memory_free((void *)(uintptr_t)owner);
}

/* --- the end --- */

void identity__shared_release(struct identity__shared *shared) {
    size_t cursor = 0;
    void *value = NULL;
    struct weir_span key;
    while (shared->workspaces != NULL && weir_map_next(shared->workspaces, &cursor, &key, &value))
        weir_memory_free(value);
    cursor = 0;
    while (shared->rules != NULL && weir_map_next(shared->rules, &cursor, &key, &value))
        rules_free(value);
    weir_map_free(&shared->workspaces);
    weir_map_free(&shared->rules);
}
