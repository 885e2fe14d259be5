/* Building the common form, and the ids that calls and results find each other by. */
#include "dialect/common.h"

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
    while (*parts != NULL)
        parts = &(*parts)->next;
    *parts = part;
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

static bool same(struct weir_span a, struct weir_span b) {
    return weir_is_said(a) && weir_is_said(b) && weir_span_equal(a, b);
}

/* Calls of the messages before, newest turn last, that have had no result yet. */
struct open_call {
    struct open_call *next;
    struct weir_part *call;
    bool answered;
};

/* By its id; else the first of its name that has no result; else, where it has neither, the first that has none. */
static struct open_call *find_call(struct open_call *calls, const struct weir_part *result) {
    for (struct open_call *open = calls; weir_is_said(result->id) && open != NULL; open = open->next)
        if (same(open->call->id, result->id))
            return open;
    for (struct open_call *open = calls; !weir_is_said(result->id) && open != NULL; open = open->next)
        if (!open->answered && (!weir_is_said(result->name) || same(open->call->name, result->name)))
            return open;
    return NULL;
}

static bool note_call(struct weir_arena *arena, struct weir_part *call, struct open_call ***link) {
    struct open_call *open = weir_arena_alloc(arena, sizeof *open);
    if (open == NULL)
        return false;
    open->call = call;
    **link = open;
    *link = &open->next;
    return true;
}

enum weir_status weir_prompt_finish(struct weir_arena *arena, struct weir_prompt *prompt, struct weir_span seed) {
    struct open_call *calls = NULL, **link = &calls;
    unsigned made = 0;
    for (struct weir_turn *turn = prompt->turns; turn != NULL; turn = turn->next) {
        for (struct weir_part *part = turn->parts; part != NULL; part = part->next) {
            if (part->kind == WEIR_PART_TOOL_CALL) {
                if (!weir_is_said(part->id) || part->id.length == 0) {
                    char *id = weir_arena_format(arena, "call_%.*s_%u", WEIR_SPAN_PRINT(seed), made++);
                    part->id = weir_span_of_string(id);
                }
                if (part->id.length == 0 || !note_call(arena, part, &link))
                    return WEIR_ENOMEM;
            } else if (part->kind == WEIR_PART_TOOL_RESULT) {
                struct open_call *open = find_call(calls, part);
                if (open == NULL)
                    continue;
                open->answered = true;
                part->id = open->call->id;
                part->name = open->call->name;
                part->is_custom = part->is_custom || open->call->is_custom;
            }
        }
    }
    return WEIR_OK;
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
