/* The sections of the widely used proxy's file, and the files that it includes: each setting of them gets its row.
 *
 * Its `model_list` is import_models.c's. Of the rest only timeouts, the size of a request, how long records are kept, and the log have a setting here;
 * everything else is a row of the table. Values are shown nowhere but where they are known to be no secret.
 */
#include "config/import_impl.h"

#include "json/scan.h"

/* --- reading values --- */

/* The name stands again later. */
static const struct config__node *overruled_by(const struct config__node *member) {
    const struct config__node *later = member->next;
    while (later != NULL && !weir_span_equal(later->key, member->key))
        later = later->next;
    return later;
}

const struct config__node *import__next_member(struct import__state *state, struct weir_span path,
                                               const struct config__node *mapping, const struct config__node *member) {
    if (mapping == NULL || mapping->shape != CONFIG__MAPPING)
        return NULL;
    for (member = member == NULL ? mapping->first : member->next; member != NULL; member = member->next) {
        const struct config__node *later = overruled_by(member);
        if (weir_span_equal(member->key, WEIR_SPAN("<<")))
            continue;
        if (later == NULL || state->row_count > IMPORT__MAX_ROWS)
            return member;
        import__row(state, WEIR_IMPORT_UNSUPPORTED, import__path(state, path, member->key), member->key_place,
                    "it stands again in line %zu, which counts", later->key_place.line);
    }
    return NULL;
}

const struct config__node *import__find(const struct config__node *mapping, const char *name) {
    const struct config__node *found = NULL;
    if (mapping == NULL || mapping->shape != CONFIG__MAPPING)
        return NULL;
    for (const struct config__node *member = mapping->first; member != NULL; member = member->next)
        if (weir_span_equal(member->key, weir_span_of_string(name)))
            found = member;
    return found != NULL && !found->is_null ? found : NULL;
}

bool import__reference(struct import__state *state, struct weir_span text, struct weir_span *variable) {
    const struct weir_span before = WEIR_SPAN("os.environ/");
    if (!weir_span_starts_with(text, before) || text.length == before.length || text.length > before.length + 200)
        return false;
    struct weir_span name = weir_span_from(text, before.length);
    char *made = weir_arena_string(state->arena, name);
    if (made == NULL) {
        state->no_memory = true;
        return false;
    }
    for (size_t i = 0; i < name.length; i++) {
        bool letter = (made[i] >= 'A' && made[i] <= 'Z') || (made[i] >= 'a' && made[i] <= 'z') || made[i] == '_';
        if (!letter && (i == 0 || made[i] < '0' || made[i] > '9'))
            made[i] = '_';
    }
    *variable = weir_span_of(made, name.length);
    return true;
}

/* YAML and Python take ".5", "5.", "+5" and "1_000"; JSON does not. */
bool import__number(struct import__state *state, const struct config__node *node, struct weir_span *number) {
    char text[64];
    size_t length = 0;
    struct weir_span from = weir_span_trim(node->text);
    if (node->shape != CONFIG__SCALAR || from.length == 0 || from.length > 48)
        return false;
    size_t at = from.at[0] == '+' || from.at[0] == '-' ? 1 : 0;
    if (from.at[0] == '-')
        text[length++] = '-';
    while (at + 1 < from.length && from.at[at] == '0' && from.at[at + 1] >= '0' && from.at[at + 1] <= '9')
        at++;
    if (at < from.length && from.at[at] == '.')
        text[length++] = '0';
    for (; at < from.length; at++) {
        bool digit_after = at + 1 < from.length && from.at[at + 1] >= '0' && from.at[at + 1] <= '9';
        if (from.at[at] == '_' && digit_after)
            continue;
        text[length++] = from.at[at];
        if (from.at[at] == '.' && !digit_after)
            text[length++] = '0';
    }
    int64_t value;
    bool rounded;
    if (weir_json_scaled_int64(weir_span_of(text, length), 0, &value, &rounded) == WEIR_EINVAL)
        return false;
    if (weir_arena_dup(state->arena, weir_span_of(text, length), number) != WEIR_OK)
        state->no_memory = true;
    return !state->no_memory;
}

static bool scaled(struct import__state *state, const struct config__node *node, unsigned scale, int64_t *value) {
    struct weir_span number;
    bool rounded;
    return import__number(state, node, &number) && weir_json_scaled_int64(number, scale, value, &rounded) == WEIR_OK;
}

bool import__seconds(struct import__state *state, const struct config__node *node, int64_t *milliseconds) {
    int64_t value;
    if (!scaled(state, node, 3, &value) || value <= 0)
        return false;
    *milliseconds = value < 10 ? 10 : value > 86400000 ? 86400000 : value;
    return true;
}

static bool is_true(const struct config__node *node) {
    static const char *const words[] = {"true", "yes", "on"};
    for (size_t i = 0; node->shape == CONFIG__SCALAR && i < sizeof words / sizeof *words; i++)
        if (weir_span_equal_ignore_case(node->text, weir_span_of_string(words[i])))
            return true;
    return false;
}

/* "30d": of s, m, h, d, w. */
static bool duration(const struct config__node *node, int64_t *milliseconds) {
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    struct weir_span text = node->text;
    uint64_t count;
    if (node->shape != CONFIG__SCALAR || text.length < 2 || text.length > 8 ||
        weir_span_to_uint64(weir_span_first(text, text.length - 1), &count) != WEIR_OK)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].letter == text.at[text.length - 1]) {
            *milliseconds = (int64_t)count * units[i].ms;
            return true;
        }
    return false;
}

/* --- settings that have one here --- */

static void no_value(struct import__state *state, struct weir_span path, const struct config__node *member,
                     const char *expected) {
    import__row(state, WEIR_IMPORT_BY_HAND, path, member->key_place, "%s was expected; it was left out", expected);
}

/* What a reference stands for is known only where weir runs. */
static bool is_reference(struct import__state *state, struct weir_span path, const struct config__node *member) {
    struct weir_span variable;
    if (member->shape != CONFIG__SCALAR || !import__reference(state, member->text, &variable))
        return false;
    import__row(state, WEIR_IMPORT_BY_HAND, path, member->key_place,
                "its value is in the variable %.*s: write it into weir.yaml", WEIR_SPAN_PRINT(variable));
    return true;
}

static void timeout(struct import__state *state, struct weir_span path, const struct config__node *member,
                    bool first_byte) {
    int64_t ms;
    if (is_reference(state, path, member))
        return;
    if (!import__seconds(state, member, &ms)) {
        no_value(state, path, member, "a number of seconds");
    } else if (first_byte) {
        state->first_byte_ms = ms;
        import__row(state, WEIR_IMPORT_APPROXIMATE, path, member->key_place,
                    "timeouts.first_byte: how long a provider may take to begin its answer, streamed or not");
    } else {
        state->request_ms = ms;
        import__row(
            state, WEIR_IMPORT_APPROXIMATE, path, member->key_place,
            "timeouts.request: it bounds the whole request with all targets that are tried; timeouts.first_byte "
            "and timeouts.idle hold besides");
    }
}

static bool router_setting(struct import__state *state, struct weir_span path, const struct config__node *member) {
    if (weir_span_equal(member->key, WEIR_SPAN("routing_strategy"))) {
        if (member->shape == CONFIG__SCALAR && weir_span_equal(member->text, WEIR_SPAN("simple-shuffle")))
            import__row(state, WEIR_IMPORT_EXACT, path, member->key_place,
                        "targets of the same order are drawn by their weights");
        else
            import__row(
                state, WEIR_IMPORT_UNSUPPORTED, path, member->key_place,
                "weir draws among the targets of the same order by their weights; it has no other strategy yet");
    } else if (weir_span_equal(member->key, WEIR_SPAN("timeout"))) {
        timeout(state, path, member, false);
        state->router_timeout = true;
    } else if (weir_span_equal(member->key, WEIR_SPAN("stream_timeout"))) {
        timeout(state, path, member, true);
    } else if (weir_span_equal(member->key, WEIR_SPAN("model_group_alias"))) {
        import__aliases(state, path, member);
    } else {
        return false;
    }
    return true;
}

static bool general_setting(struct import__state *state, struct weir_span path, const struct config__node *member) {
    int64_t value;
    if (weir_span_equal(member->key, WEIR_SPAN("max_request_size_mb"))) {
        if (is_reference(state, path, member))
            return true;
        if (!scaled(state, member, 6, &value) || value <= 0 || value > (int64_t)1024 * 1000000) {
            no_value(state, path, member, "a number of MiB, 1024 at most,");
            return true;
        }
        state->max_request_bytes = value * 1048576 / 1000000;
        if (state->max_request_bytes < 1024)
            state->max_request_bytes = 1024;
        import__row(state, WEIR_IMPORT_EXACT, path, member->key_place, "limits.max_request_bytes");
    } else if (weir_span_equal(member->key, WEIR_SPAN("maximum_spend_logs_retention_period"))) {
        if (is_reference(state, path, member))
            return true;
        if (!duration(member, &value) || value > (int64_t)3650 * 86400000) {
            no_value(state, path, member, "a time like 30d, 3650d at most,");
            return true;
        }
        state->retention_ms = value;
        import__row(state, WEIR_IMPORT_APPROXIMATE, path, member->key_place,
                    "records.retention: records of requests are kept so long; the ledger has ledger.retention");
    } else {
        return false;
    }
    return true;
}

/* Prometheus is what all of them are measured by here. */
static void callbacks(struct import__state *state, struct weir_span path, const struct config__node *member) {
    size_t known = 0, count = 1;
    if (member->shape == CONFIG__SCALAR) {
        known = weir_span_equal(member->text, WEIR_SPAN("prometheus"));
    } else {
        count = member->count;
        for (const struct config__node *one = member->first; one != NULL; one = one->next)
            known += one->shape == CONFIG__SCALAR && weir_span_equal(one->text, WEIR_SPAN("prometheus"));
    }
    if (known > 0 && known == count)
        import__row(state, WEIR_IMPORT_EXACT, path, member->key_place, "metrics are at /metrics of both planes");
    else
        import__row(state, WEIR_IMPORT_UNSUPPORTED, path, member->key_place, "%s",
                    known > 0 ? "metrics are at /metrics; weir sends what it logs nowhere else"
                              : "weir sends what it logs nowhere; its log is JSON lines, metrics are at /metrics, the "
                                "audit trail has audit.sink");
}

static bool litellm_setting(struct import__state *state, struct weir_span path, const struct config__node *member) {
    if (weir_span_equal(member->key, WEIR_SPAN("request_timeout"))) {
        if (state->router_timeout)
            import__row(state, WEIR_IMPORT_UNSUPPORTED, path, member->key_place,
                        "router_settings.timeout counts before it");
        else
            timeout(state, path, member, false);
    } else if (weir_span_equal(member->key, WEIR_SPAN("set_verbose"))) {
        state->log_debug = state->log_debug || is_true(member);
        import__row(state, WEIR_IMPORT_APPROXIMATE, path, member->key_place, "%s",
                    is_true(member) ? "log_level: debug; contents and credentials are never logged"
                                    : "log_level is info without it");
    } else if (weir_span_ends_with(member->key, WEIR_SPAN("_callback")) ||
               weir_span_equal(member->key, WEIR_SPAN("callbacks"))) {
        callbacks(state, path, member);
    } else {
        return false;
    }
    return true;
}

/* --- sections --- */

static void section(struct import__state *state, const struct config__node *node, enum import__section which) {
    static const struct {
        bool (*set)(struct import__state *state, struct weir_span path, const struct config__node *member);
    } setters[] = {[IMPORT__ROUTER] = {router_setting},
                   [IMPORT__GENERAL] = {general_setting},
                   [IMPORT__LITELLM] = {litellm_setting}};
    struct weir_span parent = import__path(state, WEIR_SPAN(""), node->key);
    if (node->shape != CONFIG__MAPPING && !node->is_null)
        no_value(state, parent, node, "a mapping");
    const struct config__node *member = NULL;
    while ((member = import__next_member(state, parent, node, member)) != NULL) {
        struct weir_span path = import__path(state, parent, member->key);
        if (member->is_null)
            import__row(state, WEIR_IMPORT_EXACT, path, member->key_place, "it says nothing");
        else if (!setters[which].set(state, path, member))
            import__known(state, which, path, member);
    }
}

/* One row each: variables of the process, which weir does not set. */
static void environment(struct import__state *state, const struct config__node *node) {
    struct weir_span parent = import__path(state, WEIR_SPAN(""), node->key);
    const struct config__node *member = NULL;
    while ((member = import__next_member(state, parent, node, member)) != NULL)
        import__row(state, WEIR_IMPORT_BY_HAND, import__path(state, parent, member->key), member->key_place,
                    "weir.yaml sets no variables: set it where weir is started, if the list of variables has it");
}

static void credentials(struct import__state *state, const struct config__node *node) {
    struct weir_span parent = import__path(state, WEIR_SPAN(""), node->key);
    size_t index = 0;
    for (const struct config__node *one = node->first; node->shape == CONFIG__SEQUENCE && one != NULL; one = one->next)
        import__row(state, WEIR_IMPORT_EXACT, import__path_at(state, parent, index++), one->place,
                    "the deployments that name it have its address and credential");
}

/* A section without a counterpart: a row for each thing in it. */
static void unknown(struct import__state *state, const struct config__node *node) {
    struct weir_span path = import__path(state, WEIR_SPAN(""), node->key);
    size_t index = 0;
    for (const struct config__node *one = node->first; one != NULL; one = one->next) {
        struct config__node named = *node;
        named.key_place = node->shape == CONFIG__MAPPING ? one->key_place : one->place;
        import__known(state, IMPORT__ROOT,
                      node->shape == CONFIG__MAPPING ? import__path(state, path, one->key)
                                                     : import__path_at(state, path, index++),
                      &named);
    }
    if (node->first == NULL)
        import__known(state, IMPORT__ROOT, path, node);
}

static void included(struct import__state *state, const struct config__node *node) {
    struct weir_span path = import__path(state, WEIR_SPAN(""), node->key);
    size_t index = 0;
    for (const struct config__node *one = node->first; node->shape == CONFIG__SEQUENCE && one != NULL;
         one = one->next, index++) {
        bool read = state->document == &state->documents[0];
        import__row(state, read ? WEIR_IMPORT_EXACT : WEIR_IMPORT_BY_HAND, import__path_at(state, path, index),
                    one->place, "%s",
                    read ? "its settings are read as if they stood here"
                         : "what an included file includes is not read: import it by itself");
    }
}

/* In the order in which they depend on each other: aliases name models, and one timeout counts before another. */
static void walk(struct import__state *state, const char *name,
                 void (*take)(struct import__state *state, const struct config__node *node)) {
    for (size_t i = 0; i < state->document_count; i++) {
        state->document = &state->documents[i];
        for (const struct config__node *member = state->document->root->first; member != NULL; member = member->next)
            if (weir_span_equal(member->key, weir_span_of_string(name)) && overruled_by(member) == NULL)
                take(state, member);
    }
}

static void take_models(struct import__state *state, const struct config__node *node) {
    import__models(state, import__path(state, WEIR_SPAN(""), node->key), node);
}

static void take_router(struct import__state *state, const struct config__node *node) {
    section(state, node, IMPORT__ROUTER);
}

static void take_general(struct import__state *state, const struct config__node *node) {
    section(state, node, IMPORT__GENERAL);
}

static void take_litellm(struct import__state *state, const struct config__node *node) {
    section(state, node, IMPORT__LITELLM);
}

static const struct {
    const char *name;
    void (*take)(struct import__state *state, const struct config__node *node);
} sections[] = {
    {"include", included},
    {"environment_variables", environment},
    {"credential_list", credentials},
    {"model_list", take_models},
    {"router_settings", take_router},
    {"general_settings", take_general},
    {"litellm_settings", take_litellm},
};

static void walk_rest(struct import__state *state) {
    for (size_t i = 0; i < state->document_count; i++) {
        const struct config__node *root = state->documents[i].root;
        state->document = &state->documents[i];
        for (const struct config__node *member = root->first; member != NULL; member = member->next) {
            bool is_known = weir_span_equal(member->key, WEIR_SPAN("<<"));
            for (size_t s = 0; s < sizeof sections / sizeof *sections; s++)
                is_known = is_known || weir_span_equal(member->key, weir_span_of_string(sections[s].name));
            if (overruled_by(member) != NULL)
                import__row(state, WEIR_IMPORT_UNSUPPORTED, import__path(state, WEIR_SPAN(""), member->key),
                            member->key_place, "it stands again in line %zu, which counts",
                            overruled_by(member)->key_place.line);
            else if (!is_known)
                unknown(state, member);
        }
    }
}

/* --- documents --- */

static enum weir_status read_document(struct import__state *state, struct weir_span name, struct weir_span text) {
    char *file = weir_arena_string(state->arena, name);
    if (file == NULL)
        return WEIR_ENOMEM;
    struct config__reader reader = {.arena = state->arena,
                                    .name = file,
                                    .problems = state->problems,
                                    .is_foreign = true};
    struct config__node *root = NULL;
    enum weir_status status = config__yaml_read(&reader, text, &root);
    if (status != WEIR_OK)
        return reader.no_memory ? WEIR_ENOMEM : status;
    if (root == NULL || root->shape != CONFIG__MAPPING) {
        const struct config__place place = root != NULL ? root->place : (struct config__place){1, 1};
        config__problem_at(&reader, place, "expected a mapping with model_list and the like, got %s",
                           root != NULL ? config__shape_name(root) : "nothing");
        return WEIR_EINVAL;
    }
    struct import__document *document = &state->documents[state->document_count++];
    document->name = weir_span_of_string(file);
    document->root = root;
    return WEIR_OK;
}

static enum weir_status read_included(struct import__state *state) {
    const struct config__node *list = import__find(state->documents[0].root, "include");
    if (list == NULL || list->shape != CONFIG__SEQUENCE)
        return WEIR_OK;
    struct config__reader reader = {.name = state->documents[0].name.at, .problems = state->problems};
    for (const struct config__node *one = list->first; one != NULL; one = one->next) {
        struct weir_span text = WEIR_SPAN("");
        struct weir_error error = {.text = ""};
        enum weir_status status = WEIR_EINVAL;
        if (one->shape != CONFIG__SCALAR || one->is_null)
            config__problem_at(&reader, one->place, "expected the name of a file, got %s", config__shape_name(one));
        else if (state->document_count == IMPORT__MAX_DOCUMENTS)
            config__problem_at(&reader, one->place, "more than %d files", IMPORT__MAX_DOCUMENTS);
        else if (state->source->load == NULL ||
                 state->source->load(state->source->context, state->arena, one->text, &text, &error) != WEIR_OK)
            config__problem_at(&reader, one->place, "%s", error.text[0] != '\0' ? error.text : "it cannot be read");
        else
            status = read_document(state, one->text, text);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status weir_import_litellm(struct weir_arena *arena, const struct weir_import_source *source,
                                     struct weir_import *import, struct weir_buffer *problems) {
    struct import__state *state = weir_arena_alloc(arena, sizeof *state);
    if (state == NULL)
        return WEIR_ENOMEM;
    *import = (struct weir_import){.settings = WEIR_SPAN(""), .price_map = WEIR_SPAN(""), .notes = WEIR_SPAN("")};
    state->arena = arena;
    state->source = source;
    state->import = import;
    state->problems = problems;
    state->request_ms = state->first_byte_ms = state->max_request_bytes = state->retention_ms = -1;
    enum weir_status status = read_document(state, source->name, source->text);
    if (status == WEIR_OK)
        status = read_included(state);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        walk(state, sections[i].name, sections[i].take);
    walk_rest(state);
    import__write(state);
    if (state->no_memory)
        return WEIR_ENOMEM;
    if (state->row_count > IMPORT__MAX_ROWS) {
        weir_buffer_printf(problems, "%.*s: more than %d settings\n", WEIR_SPAN_PRINT(state->documents[0].name),
                           IMPORT__MAX_ROWS);
        return WEIR_EINVAL;
    }
    return WEIR_OK;
}
