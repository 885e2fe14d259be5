/* See anthropic.h: the checks of the messages, turn by turn. Messages of the same role that follow each other are one turn. */
#include "sim/anthropic.h"

#include "sim/chat.h"
#include "sim/signature.h"

#include <yyjson.h>

enum { WHERE_SIZE = 64, LISTED_IDS_SIZE = 320 };

/* A tool call that the conversation has in it. */
struct use {
    struct weir_span id;
    bool answered;
};

struct turns {
    struct sim_asked *asked;
    struct sim_task *task;
    struct use *uses; /* of the whole conversation */
    size_t use_count;
    size_t turn_uses; /* where those of the last assistant turn begin */
    size_t assistant; /* the message that they stand in */
    size_t message;   /* that is checked */
    bool of_user, of_assistant;
    bool results_over; /* this user turn has had something else than results */
};

/* --- blocks --- */

static bool check_source(struct turns *turns, yyjson_val *source, const char *where, bool image) {
    struct sim_task *task = turns->task;
    yyjson_val *type = yyjson_obj_get(source, "type");
    struct weir_span media = sim__input_text(yyjson_obj_get(source, "media_type"));
    if (!yyjson_is_obj(source)) {
        return sim__anthropic_refuse(task, "%s.source: Field required", where);
    }
    if (sim__input_is(type, "base64")) {
        static const char *const images[] = {"image/jpeg", "image/png", "image/gif", "image/webp"};
        bool known = !image && weir_span_equal(media, WEIR_SPAN("application/pdf"));
        for (size_t i = 0; image && i < sizeof images / sizeof images[0]; i++) {
            known |= weir_span_equal(media, weir_span_of_string(images[i]));
        }
        if (!known) {
            return sim__anthropic_refuse(task, "%s.source.base64.media_type: Input should be %s", where,
                                         image ? "'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
                                               : "'application/pdf'");
        }
        if (yyjson_get_len(yyjson_obj_get(source, "data")) == 0) {
            return sim__anthropic_refuse(task, "%s.source.base64.data: Field required", where);
        }
        return sim__anthropic_check_members(task, source, where, "type media_type data");
    }
    if (sim__input_is(type, "url")) {
        struct weir_span url = sim__input_text(yyjson_obj_get(source, "url"));
        return (weir_span_starts_with(url, WEIR_SPAN("https://")) || weir_span_starts_with(url, WEIR_SPAN("http://")) ||
                sim__anthropic_refuse(task, "%s.source.url.url: Only HTTPS URLs are supported.", where)) &&
               sim__anthropic_check_members(task, source, where, "type url");
    }
    if (sim__input_is(type, "file")) {
        struct weir_span id = sim__input_text(yyjson_obj_get(source, "file_id"));
        if (sim__store_find(task->store, SIM_OBJECT_NATIVE_FILE, id) == NULL) {
            return sim__anthropic_refuse(task, "%s.source.file.file_id: File not found: %.*s", where,
                                         id.length < 100 ? (int)id.length : 100, id.at);
        }
        return sim__anthropic_check_members(task, source, where, "type file_id");
    }
    bool plain = !image && (sim__input_is(type, "text") || sim__input_is(type, "content"));
    return plain || sim__anthropic_refuse(task,
                                          "%s.source: Input tag found using 'type' does not match any of the "
                                          "expected tags",
                                          where);
}

static bool check_text(struct turns *turns, yyjson_val *block, const char *where) {
    struct sim_task *task = turns->task;
    yyjson_val *text = yyjson_obj_get(block, "text");
    if (!yyjson_is_str(text)) {
        return sim__anthropic_refuse(task, "%s.text.text: Field required", where);
    }
    if (yyjson_get_len(text) == 0) {
        return sim__anthropic_refuse(task, "messages: text content blocks must be non-empty");
    }
    if (turns->of_user && turns->asked->current && yyjson_arr_size(yyjson_obj_get(block, "citations")) > 0) {
        return sim__anthropic_refuse(task, "%s.text.citations: Extra inputs are not permitted", where);
    }
    return true;
}

static bool id_fits(struct weir_span id) {
    for (size_t i = 0; i < id.length; i++) {
        char byte = id.at[i];
        if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
              byte == '_' || byte == '-')) {
            return false;
        }
    }
    return id.length > 0;
}

static bool check_use(struct turns *turns, yyjson_val *block, const char *where) {
    struct sim_task *task = turns->task;
    struct weir_span id = sim__input_text(yyjson_obj_get(block, "id"));
    if (!id_fits(id)) {
        return sim__anthropic_refuse(task, "%s.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", where);
    }
    if (!yyjson_is_str(yyjson_obj_get(block, "name"))) {
        return sim__anthropic_refuse(task, "%s.tool_use.name: Field required", where);
    }
    if (!yyjson_is_obj(yyjson_obj_get(block, "input"))) {
        return sim__anthropic_refuse(task, "%s.tool_use.input: %s", where,
                                     yyjson_obj_get(block, "input") == NULL ? "Field required"
                                                                            : "Input should be a valid dictionary");
    }
    for (size_t i = 0; i < turns->use_count; i++) {
        if (weir_span_equal(turns->uses[i].id, id)) {
            return sim__anthropic_refuse(task, "%s: `tool_use` ids must be unique", where);
        }
    }
    turns->uses[turns->use_count++] = (struct use){.id = id};
    return true;
}

static bool check_block(struct turns *turns, yyjson_val *block, const char *where);

static bool check_result(struct turns *turns, yyjson_val *block, const char *where) {
    struct sim_task *task = turns->task;
    struct weir_span id = sim__input_text(yyjson_obj_get(block, "tool_use_id"));
    yyjson_val *content = yyjson_obj_get(block, "content");
    size_t index;
    size_t count;
    yyjson_val *part;
    struct use *use = NULL;
    for (size_t i = turns->turn_uses; i < turns->use_count; i++) {
        use = weir_span_equal(turns->uses[i].id, id) ? &turns->uses[i] : use;
    }
    if (id.length == 0) {
        return sim__anthropic_refuse(task, "%s.tool_result.tool_use_id: Field required", where);
    }
    if (use == NULL) {
        return sim__anthropic_refuse(task,
                                     "%s: unexpected `tool_use_id` found in `tool_result` blocks: %.*s. Each "
                                     "`tool_result` block must have a corresponding `tool_use` block in the previous "
                                     "message.",
                                     where, id.length < 100 ? (int)id.length : 100, id.at);
    }
    if (use->answered) {
        return sim__anthropic_refuse(task,
                                     "%s: each tool_use must have a single result. Found multiple `tool_result` "
                                     "blocks with id: %.*s",
                                     where, id.length < 100 ? (int)id.length : 100, id.at);
    }
    use->answered = true;
    if (content != NULL && !yyjson_is_str(content) && !yyjson_is_arr(content)) {
        return sim__anthropic_refuse(task, "%s.tool_result.content: Input should be a valid list", where);
    }
    yyjson_arr_foreach(content, index, count, part) {
        char inner[WHERE_SIZE + 40];
        yyjson_val *type = yyjson_obj_get(part, "type");
        (void)snprintf(inner, sizeof inner, "%s.tool_result.content.%zu", where, index);
        bool fits = sim__input_is(type, "text") || sim__input_is(type, "image") || sim__input_is(type, "document") ||
                    sim__input_is(type, "search_result") || sim__input_is(type, "tool_reference") ||
                    sim__input_is(type, "browser_state");
        if (!fits) {
            return sim__anthropic_refuse(task,
                                         "%s: Input tag found using 'type' does not match any of the expected "
                                         "tags: 'document', 'image', 'search_result', 'text', 'tool_reference'",
                                         inner);
        }
        if (!check_block(turns, part, inner)) {
            return false;
        }
    }
    return true;
}

static bool check_thinking(struct turns *turns, yyjson_val *block, const char *where) {
    struct sim_task *task = turns->task;
    yyjson_val *signature = yyjson_obj_get(block, "signature");
    yyjson_val *thinking = yyjson_obj_get(block, "thinking");
    if (!yyjson_is_str(signature) || !yyjson_is_str(thinking)) {
        return sim__anthropic_refuse(task, "%s.thinking.%s: Field required", where,
                                     yyjson_is_str(thinking) ? "signature" : "thinking");
    }
    struct weir_span text = sim__input_text(thinking);
    struct weir_span given = sim__input_text(signature);
    return sim__signature_fits(given, text) || sim__memory_has(task->memory, sim__signature_hash(given, text)) ||
           sim__anthropic_refuse(task, "%s: Invalid `signature` in `thinking` block", where);
}

static bool check_redacted(struct turns *turns, yyjson_val *block, const char *where) {
    struct weir_span data = sim__input_text(yyjson_obj_get(block, "data"));
    return sim__signature_fits(data, WEIR_SPAN("redacted")) ||
           sim__memory_has(turns->task->memory, sim__signature_hash(data, WEIR_SPAN("redacted"))) ||
           sim__anthropic_refuse(turns->task, "%s: Invalid `data` in `redacted_thinking` block", where);
}

enum role { ROLE_USER = 1, ROLE_ASSISTANT = 2, ROLE_SYSTEM = 4 };

/* What blocks there are, who may say them, and their members; NULL: any. */
static const struct {
    const char *type;
    unsigned roles;
    const char *members;
} kinds[] = {
    {"text", ROLE_USER | ROLE_ASSISTANT | ROLE_SYSTEM, "type text cache_control citations"},
    {"image", ROLE_USER, "type source cache_control transformations"},
    {"document", ROLE_USER | ROLE_ASSISTANT, "type source title context citations cache_control"},
    {"search_result", ROLE_USER, "type source title content citations cache_control"},
    {"tool_use", ROLE_ASSISTANT, "type id name input cache_control caller toolset_name"},
    {"tool_result", ROLE_USER, "type tool_use_id content is_error cache_control toolset_name"},
    {"thinking", ROLE_ASSISTANT, "type thinking signature"},
    {"redacted_thinking", ROLE_ASSISTANT, "type data"},
    {"server_tool_use", ROLE_ASSISTANT, NULL},
    {"web_search_tool_result", ROLE_ASSISTANT, NULL},
    {"web_fetch_tool_result", ROLE_ASSISTANT, NULL},
    {"code_execution_tool_result", ROLE_ASSISTANT, NULL},
    {"bash_code_execution_tool_result", ROLE_ASSISTANT, NULL},
    {"text_editor_code_execution_tool_result", ROLE_ASSISTANT, NULL},
    {"tool_search_tool_result", ROLE_ASSISTANT, NULL},
    {"mcp_tool_use", ROLE_ASSISTANT, NULL},
    {"mcp_tool_result", ROLE_ASSISTANT, NULL},
    {"compaction", ROLE_ASSISTANT, NULL},
    {"container_upload", ROLE_USER, NULL},
    {"tool_reference", ROLE_USER, NULL},
    {"browser_state", ROLE_USER, NULL},
};

static bool check_kind(struct turns *turns, yyjson_val *block, const char *where) {
    struct sim_task *task = turns->task;
    yyjson_val *type = yyjson_obj_get(block, "type");
    unsigned role = turns->of_user ? ROLE_USER : turns->of_assistant ? ROLE_ASSISTANT : ROLE_SYSTEM;
    char inner[2 * WHERE_SIZE + 40];
    if (!yyjson_is_str(type)) {
        return sim__anthropic_refuse(task, "%s.type: Field required", where);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!sim__input_is(type, kinds[i].type)) {
            continue;
        }
        bool old_document = sim__input_is(type, "document") && turns->of_assistant && turns->asked->current;
        if ((kinds[i].roles & role) == 0 || old_document) {
            return sim__anthropic_refuse(task, "%s: `%s` blocks are not permitted in `%s` messages", where,
                                         kinds[i].type,
                                         turns->of_user        ? "user"
                                         : turns->of_assistant ? "assistant"
                                                               : "system");
        }
        (void)snprintf(inner, sizeof inner, "%s.%s", where, kinds[i].type);
        return kinds[i].members == NULL || sim__anthropic_check_members(task, block, inner, kinds[i].members);
    }
    return sim__anthropic_refuse(task,
                                 "%s: Input tag '%.60s' found using 'type' does not match any of the expected tags: "
                                 "'document', 'image', 'redacted_thinking', 'search_result', 'server_tool_use', "
                                 "'text', 'thinking', 'tool_result', 'tool_use', 'web_search_tool_result'",
                                 where, yyjson_get_str(type));
}

static bool check_block(struct turns *turns, yyjson_val *block, const char *where) {
    yyjson_val *type = yyjson_obj_get(block, "type");
    if (!yyjson_is_obj(block)) {
        return sim__anthropic_refuse(turns->task, "%s: Input should be an object", where);
    }
    if (!check_kind(turns, block, where) || !sim__anthropic_check_mark(turns->asked, block, where)) {
        return false;
    }
    char inner[2 * WHERE_SIZE + 40];
    (void)snprintf(inner, sizeof inner, "%s.%s", where, yyjson_get_str(type));
    if (sim__input_is(type, "text")) {
        return check_text(turns, block, where);
    }
    if (sim__input_is(type, "image") || sim__input_is(type, "document")) {
        return check_source(turns, yyjson_obj_get(block, "source"), inner, sim__input_is(type, "image"));
    }
    if (sim__input_is(type, "tool_use")) {
        return check_use(turns, block, where);
    }
    if (sim__input_is(type, "tool_result")) {
        return check_result(turns, block, where);
    }
    if (sim__input_is(type, "thinking")) {
        return check_thinking(turns, block, where);
    }
    return !sim__input_is(type, "redacted_thinking") || check_redacted(turns, block, where);
}

/* --- turns --- */

/* Every tool call is answered before anything else is said. */
static bool check_answered(struct turns *turns) {
    char ids[LISTED_IDS_SIZE] = "";
    size_t length = 0;
    for (size_t i = turns->turn_uses; i < turns->use_count && length < sizeof ids; i++) {
        const struct use *use = &turns->uses[i];
        if (!use->answered) {
            length += (size_t)snprintf(ids + length, sizeof ids - length, "%s%.*s", length > 0 ? ", " : "",
                                       use->id.length < 100 ? (int)use->id.length : 100, use->id.at);
        }
    }
    return length == 0 || sim__anthropic_refuse(turns->task,
                                                "messages.%zu: `tool_use` ids were found without `tool_result` blocks "
                                                "immediately after: %s. Each `tool_use` block must have a "
                                                "corresponding `tool_result` block in the next message.",
                                                turns->assistant, ids);
}

static bool check_content(struct turns *turns, yyjson_val *content, bool last) {
    struct sim_task *task = turns->task;
    size_t index;
    size_t count;
    yyjson_val *block;
    if (!yyjson_is_str(content) && !yyjson_is_arr(content)) {
        return sim__anthropic_refuse(task, "messages.%zu.content: %s", turns->message,
                                     content == NULL ? "Field required" : "Input should be a valid list");
    }
    bool empty = yyjson_is_str(content) ? yyjson_get_len(content) == 0 : yyjson_arr_size(content) == 0;
    if (empty && !(last && turns->of_assistant)) {
        return sim__anthropic_refuse(task,
                                     "messages.%zu: all messages must have non-empty content except for the optional "
                                     "final assistant message",
                                     turns->message);
    }
    if (yyjson_is_str(content)) {
        turns->results_over = turns->of_user;
        return !turns->of_user || check_answered(turns);
    }
    yyjson_arr_foreach(content, index, count, block) {
        char where[WHERE_SIZE];
        (void)snprintf(where, sizeof where, "messages.%zu.content.%zu", turns->message, index);
        bool result = sim__input_is(yyjson_obj_get(block, "type"), "tool_result");
        if (turns->of_user && !result && !turns->results_over) {
            turns->results_over = true;
            if (!check_answered(turns)) {
                return false;
            }
        }
        turns->asked->has_results |= result;
        if (!check_block(turns, block, where)) {
            return false;
        }
    }
    return true;
}

static bool check_role(struct turns *turns, yyjson_val *message, yyjson_val *before) {
    struct sim_task *task = turns->task;
    yyjson_val *role = yyjson_obj_get(message, "role");
    turns->of_user = sim__input_is(role, "user");
    turns->of_assistant = sim__input_is(role, "assistant");
    bool of_system = sim__input_is(role, "system");
    if (!turns->of_user && !turns->of_assistant && !of_system) {
        return sim__anthropic_refuse(task, "messages.%zu.role: %s", turns->message,
                                     role == NULL ? "Field required"
                                                  : "Input should be 'user', 'assistant' or 'system'");
    }
    if (before == NULL && !turns->of_user) {
        return sim__anthropic_refuse(task, "messages: first message must use the \"user\" role");
    }
    if (of_system && sim__input_contains(task->model, "no-system")) {
        return sim__anthropic_refuse(task, "messages: Unexpected role \"system\". The Messages API accepts a "
                                           "top-level `system` parameter, not \"system\" as an input message role.");
    }
    char where[WHERE_SIZE];
    (void)snprintf(where, sizeof where, "messages.%zu", turns->message);
    return sim__anthropic_check_members(task, message, where,
                                        of_system ? "role content output_config clear_at" : "role content");
}

static bool begin_turn(struct turns *turns) {
    if (turns->of_assistant) {
        if (!check_answered(turns)) {
            return false;
        }
        turns->turn_uses = turns->use_count;
        turns->assistant = turns->message;
    }
    turns->results_over = false;
    turns->asked->has_results = false;
    turns->asked->last_turn = turns->message;
    return true;
}

/* With thinking enabled the turn that called the tools, or is to go on, begins with its thoughts. */
static bool check_thoughts(struct turns *turns) {
    const struct sim_asked *asked = turns->asked;
    bool needed = asked->thinking == SIM_THINKING_ENABLED && (asked->has_results || !asked->last_is_user);
    yyjson_val *content = yyjson_obj_get(yyjson_arr_get(asked->messages, turns->assistant), "content");
    yyjson_val *type = yyjson_obj_get(yyjson_arr_get_first(content), "type");
    if (!needed || sim__input_is(type, "thinking") || sim__input_is(type, "redacted_thinking")) {
        return true;
    }
    return sim__anthropic_refuse(
        turns->task,
        "messages.%zu.content.0.type: Expected `thinking` or `redacted_thinking`, but found `%.40s`. When `thinking` "
        "is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of "
        "`tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous turns. To avoid "
        "this requirement, disable `thinking`.",
        turns->assistant, yyjson_is_str(type) ? yyjson_get_str(type) : "text");
}

static bool check_prefill(struct turns *turns, yyjson_val *content) {
    yyjson_val *last = yyjson_is_arr(content) ? yyjson_obj_get(yyjson_arr_get_last(content), "text") : content;
    struct weir_span text = sim__input_text(last);
    if (turns->asked->last_is_user) {
        return true;
    }
    if (sim__input_contains(turns->task->model, "no-prefill")) {
        return sim__anthropic_refuse(turns->task, "This model does not support assistant message prefill. The "
                                                  "conversation must end with a user message.");
    }
    if (text.length > 0 && strchr(" \t\r\n", text.at[text.length - 1]) != NULL) {
        return sim__anthropic_refuse(turns->task,
                                     "messages: final assistant content cannot end with trailing whitespace");
    }
    return true;
}

static size_t block_count(yyjson_val *messages) {
    size_t blocks = 0;
    size_t index;
    size_t count;
    yyjson_val *message;
    yyjson_arr_foreach(messages, index, count, message) {
        blocks += yyjson_arr_size(yyjson_obj_get(message, "content"));
    }
    return blocks;
}

bool sim__anthropic_check_messages(struct sim_asked *asked) {
    struct turns turns = {.asked = asked, .task = asked->task};
    yyjson_val *messages = asked->messages;
    yyjson_val *before = NULL;
    size_t count;
    yyjson_val *message;
    if (!yyjson_is_arr(messages)) {
        return sim__anthropic_refuse(asked->task, "messages: %s",
                                     messages == NULL ? "Field required" : "Input should be a valid list");
    }
    if (yyjson_arr_size(messages) == 0) {
        return sim__anthropic_refuse(asked->task, "messages: at least one message is required");
    }
    turns.uses = weir_arena_array(asked->task->scratch, block_count(messages), sizeof *turns.uses);
    if (turns.uses == NULL) {
        return false;
    }
    yyjson_arr_foreach(messages, turns.message, count, message) {
        yyjson_val *role = yyjson_obj_get(message, "role");
        if (!yyjson_is_obj(message)) {
            return sim__anthropic_refuse(asked->task, "messages.%zu: Input should be an object", turns.message);
        }
        if (!check_role(&turns, message, before)) {
            return false;
        }
        if (!sim__input_is(role, "system")) {
            bool new_turn = before == NULL || !weir_span_equal(sim__input_text(before), sim__input_text(role));
            if (new_turn && !begin_turn(&turns)) {
                return false;
            }
            before = role;
        }
        if (!check_content(&turns, yyjson_obj_get(message, "content"), turns.message + 1 == count)) {
            return false;
        }
    }
    asked->last_is_user = sim__input_is(before, "user");
    return check_answered(&turns) && check_thoughts(&turns) &&
           check_prefill(&turns, yyjson_obj_get(yyjson_arr_get_last(messages), "content"));
}
