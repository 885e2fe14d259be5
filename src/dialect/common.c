/* Building the common form, and the ids that calls and results find each other by. */
#include "dialect/common.h"

#include "base/map.h"

struct weir_turn *weir_prompt_add_turn(struct weir_arena *arena, struct weir_prompt *prompt, enum weir_turn_role role) {
    struct weir_turn *message = weir_arena_alloc(arena, sizeof *message);
    if (message == NULL)
        return NULL;
    message->role = role;
    message->name = WEIR_UNSAID;
    if (prompt->last_turn != NULL)
        prompt->last_turn->next = message;
    else
        prompt->turns = message;
    prompt->last_turn = message;
    return message;
}

struct weir_part *weir_part_add(struct weir_arena *arena, struct weir_part **parts, enum weir_part_kind kind) {
    struct weir_part *part = weir_arena_alloc(arena, sizeof *part); /* zeroed: everything unsaid */
    if (part == NULL)
        return NULL;
    part->kind = kind;
    if (*parts == NULL) {
        *parts = part;
        return part;
    }
    struct weir_part *last = (*parts)->near_last != NULL ? (*parts)->near_last : *parts;
    while (last->next != NULL)
        last = last->next;
    last->next = part;
    (*parts)->near_last = part;
    return part;
}

struct weir_tool *weir_prompt_add_tool(struct weir_arena *arena, struct weir_prompt *prompt, enum weir_tool_kind kind) {
    struct weir_tool *tool = weir_arena_alloc(arena, sizeof *tool);
    if (tool == NULL)
        return NULL;
    tool->kind = kind;
    if (prompt->last_tool != NULL)
        prompt->last_tool->next = tool;
    else
        prompt->tools = tool;
    prompt->last_tool = tool;
    return tool;
}

struct weir_name *weir_name_add(struct weir_arena *arena, struct weir_name **first, struct weir_name **last,
                                struct weir_span text) {
    struct weir_name *name = weir_arena_alloc(arena, sizeof *name);
    if (name == NULL)
        return NULL;
    name->text = text;
    if (*last != NULL)
        (*last)->next = name;
    else
        *first = name;
    *last = name;
    return name;
}

struct weir_choice *weir_reply_add_choice(struct weir_arena *arena, struct weir_reply *reply, int64_t index) {
    struct weir_choice *choice = weir_arena_alloc(arena, sizeof *choice);
    if (choice == NULL)
        return NULL;
    choice->index = index;
    if (reply->last_choice != NULL)
        reply->last_choice->next = choice;
    else
        reply->choices = choice;
    reply->last_choice = choice;
    return choice;
}

/* --- calls and their results --- */

/* The calls that have stood before. A request may have very many: each is found at once, by its id or by its name. */
struct open_call {
    struct open_call *next;       /* in order */
    struct open_call *next_named; /* of the same name, in order */
    struct weir_part *call;
    bool answered;
};
struct named_calls {
    struct open_call *first, *last; /* none before the first waits for its result */
};
struct open_calls {
    struct weir_arena *arena;
    struct weir_map *by_id, *by_name;
    struct open_call *first, *last;
};

static enum weir_status note_call(struct open_calls *calls, struct weir_part *call) {
    struct open_call *open = weir_arena_alloc(calls->arena, sizeof *open);
    if (calls->by_id == NULL) {
        calls->by_id = weir_map_new(0);
        calls->by_name = weir_map_new(0);
    }
    if (open == NULL || calls->by_id == NULL || calls->by_name == NULL)
        return WEIR_ENOMEM;
    open->call = call;
    if (calls->last != NULL)
        calls->last->next = open;
    calls->first = calls->first != NULL ? calls->first : open;
    calls->last = open;
    struct named_calls *named = weir_map_find(calls->by_name, call->name);
    if (named == NULL) {
        named = weir_arena_alloc(calls->arena, sizeof *named);
        if (named == NULL || weir_map_put(calls->by_name, call->name, named, NULL) != WEIR_OK)
            return WEIR_ENOMEM;
    }
    if (named->last != NULL)
        named->last->next_named = open;
    named->first = named->first != NULL ? named->first : open;
    named->last = open;
    return weir_map_put(calls->by_id, call->id, open, NULL); /* where ids come again, the latest */
}

/* By its id; else the first of its name that has no result; else, where it has neither, the first that has none. */
static struct open_call *find_call(struct open_calls *calls, const struct weir_part *result) {
    if (calls->by_id == NULL)
        return NULL;
    if (weir_is_said(result->id))
        return weir_map_find(calls->by_id, result->id);
    if (!weir_is_said(result->name)) {
        while (calls->first != NULL && calls->first->answered)
            calls->first = calls->first->next;
        return calls->first;
    }
    struct named_calls *named = weir_map_find(calls->by_name, result->name);
    while (named != NULL && named->first != NULL && named->first->answered)
        named->first = named->first->next_named;
    return named != NULL ? named->first : NULL;
}

static enum weir_status join(struct open_calls *calls, struct weir_part *part, struct weir_span seed, unsigned *made) {
    if (part->kind == WEIR_PART_TOOL_CALL) {
        if (!weir_is_said(part->id) || part->id.length == 0)
            part->id = weir_span_of_string(
                weir_arena_format(calls->arena, "call_%.*s_%u", WEIR_SPAN_PRINT(seed), (*made)++));
        return part->id.length == 0 ? WEIR_ENOMEM : note_call(calls, part);
    }
    struct open_call *open = part->kind == WEIR_PART_TOOL_RESULT ? find_call(calls, part) : NULL;
    if (open == NULL)
        return WEIR_OK;
    open->answered = true;
    part->id = open->call->id;
    part->name = open->call->name;
    part->is_custom = part->is_custom || open->call->is_custom;
    return WEIR_OK;
}

enum weir_status weir_prompt_finish(struct weir_arena *arena, struct weir_prompt *prompt, struct weir_span seed) {
    struct open_calls calls = {.arena = arena};
    enum weir_status status = WEIR_OK;
    unsigned made = 0;
    for (struct weir_turn *turn = prompt->turns; turn != NULL; turn = turn->next)
        for (struct weir_part *part = turn->parts; status == WEIR_OK && part != NULL; part = part->next)
            status = join(&calls, part, seed, &made);
    weir_map_free(&calls.by_id);
    weir_map_free(&calls.by_name);
    return status;
}

/* --- tables --- */

const char *weir_dialect_kind_name(enum weir_dialect_kind kind) {
    static const char *const names[WEIR_DIALECT_COUNT] = {"openai", "responses", "anthropic", "gemini", "ollama"};
    return names[kind];
}

static const struct {
    const char *name;
    int64_t budget;
} efforts[] = {
    [WEIR_EFFORT_NONE] = {"none", 0},    [WEIR_EFFORT_MINIMAL] = {"minimal", 1024},
    [WEIR_EFFORT_LOW] = {"low", 1024},   [WEIR_EFFORT_MEDIUM] = {"medium", 2048},
    [WEIR_EFFORT_HIGH] = {"high", 4096}, [WEIR_EFFORT_XHIGH] = {"xhigh", 8192},
    [WEIR_EFFORT_MAX] = {"max", 16384},
};
enum { EFFORT_COUNT = sizeof efforts / sizeof *efforts };

const char *weir_effort_name(enum weir_effort effort) {
    return efforts[effort].name;
}

int64_t weir_effort_budget(enum weir_effort effort) {
    return efforts[effort].budget;
}

enum weir_effort weir_effort_of_budget(int64_t tokens) {
    if (tokens <= 0)
        return tokens == 0 ? WEIR_EFFORT_NONE : WEIR_EFFORT_MEDIUM;
    enum weir_effort effort = WEIR_EFFORT_LOW;
    while (effort < WEIR_EFFORT_MAX && tokens > efforts[effort].budget)
        effort++;
    return effort;
}

enum weir_effort weir_effort_of(const struct weir_json_node *node) {
    for (size_t i = WEIR_EFFORT_NONE; i < EFFORT_COUNT; i++)
        if (weir_json_says(node, efforts[i].name))
            return (enum weir_effort)i;
    return WEIR_EFFORT_UNSAID;
}
