/* From the tree to the values: each member of the file finds its row, each row without a member its variable or default.
 *
 * Values are filled into copies first and only copied over when nothing was wrong, so that a bad file changes nothing.
 * Members are taken in the order of the file, so that problems come in that order too; what is missing comes after.
 */
#include "config/impl.h"

#include "base/limits.h"

enum { MAX_NAMES = 128 };

/* One section being filled. */
struct target {
    const struct weir_option_table *table;
    void *values; /* the copy */
};

static bool is_top(const struct weir_option_table *table) {
    return table->section == NULL || table->section[0] == '\0';
}

static bool is_named(const struct weir_option_table *table, struct weir_span name) {
    return !is_top(table) && weir_span_equal(weir_span_of_string(table->section), name);
}

static const struct weir_option *find_row(const struct weir_option_table *table, struct weir_span name) {
    for (size_t i = 0; i < table->count; i++) {
        if (weir_span_equal(weir_span_of_string(table->rows[i].name), name))
            return &table->rows[i];
    }
    return NULL;
}

static void read_value(struct config__reader *reader, const struct config__path *path, const struct weir_option *row,
                       const struct config__node *node, void *field);

static void wrong_shape(struct config__reader *reader, const struct config__path *path, const struct config__node *node,
                        const char *expected) {
    const struct config__origin origin = {.source = CONFIG__FROM_FILE, .place = node->place};
    if (config__problem_begin(reader, &origin, path)) {
        weir_buffer_printf(reader->problems, "expected %s, got %s", expected, config__shape_name(node));
        config__problem_end(reader);
    }
}

/* The section that has a setting of this very name, if it is one alone: people put a name into the wrong place. */
static const char *section_of(const struct config__reader *reader, struct weir_span name) {
    const char *found = NULL;
    for (size_t i = 0; i < reader->count; i++) {
        const struct weir_option_table *table = reader->sections[i].table;
        if (find_row(table, name) == NULL)
            continue;
        if (found != NULL)
            return NULL;
        found = is_top(table) ? "" : table->section;
    }
    return found;
}

static void unknown(struct config__reader *reader, const struct config__path *parent, const struct config__node *node,
                    const char *const *names, size_t count) {
    const struct config__origin origin = {.source = CONFIG__FROM_FILE, .place = node->key_place};
    if (!config__problem_begin(reader, &origin, NULL))
        return;
    struct weir_buffer *out = reader->problems;
    struct weir_buffer word;
    weir_buffer_init(&word, 8 * WEIR_KIB);
    config__append_path(&word, parent);
    if (word.length > 0)
        weir_buffer_append_byte(&word, '.');
    size_t prefix = word.length;
    weir_buffer_append(&word, weir_span_first(node->key, node->key.length < 256 ? node->key.length : 256));
    weir_buffer_append(out, WEIR_SPAN("unknown setting "));
    config__append_quoted(out, weir_buffer_span(&word));
    const char *nearest = weir_config_nearest(node->key, names, count);
    const char *section = section_of(reader, node->key);
    if (nearest == NULL && section != NULL) {
        weir_buffer_printf(out, "; did you mean '%s%s%.*s'?", section, section[0] != '\0' ? "." : "",
                           WEIR_SPAN_PRINT(node->key));
    } else if (nearest != NULL) {
        weir_buffer_printf(out, "; did you mean '%.*s%s'?", (int)prefix, word.at, nearest);
    }
    weir_buffer_release(&word);
    config__problem_end(reader);
}

static size_t add_names(const struct weir_option_table *table, const char **names, size_t count) {
    for (size_t i = 0; i < table->count && count < MAX_NAMES; i++)
        names[count++] = table->rows[i].name;
    return count;
}

/* The row's variable when it is set to something, else its default, else nothing. */
static void fill_absent(struct config__reader *reader, const struct config__path *path, const struct weir_option *row,
                        void *field) {
    if (row->kind == WEIR_OPTION_LIST)
        return;
    const char *value = row->environment != NULL ? reader->lookup(reader->lookup_context, row->environment) : NULL;
    struct config__origin origin = {.source = CONFIG__FROM_DEFAULT};
    if (value != NULL && value[0] != '\0')
        origin = (struct config__origin){.source = CONFIG__FROM_ENVIRONMENT, .variable = row->environment};
    else
        value = row->initial;
    if (value != NULL)
        config__parse(reader, &origin, path, row, weir_span_of_string(value), field);
}

/* What a field holds before anything is read: "nothing" of its kind, with spans that are valid C strings. */
static void clear_fields(const struct weir_option_table *table, void *values) {
    for (size_t i = 0; i < table->count; i++) {
        const struct weir_option *row = &table->rows[i];
        void *field = (char *)values + row->offset;
        switch (row->kind) {
        case WEIR_OPTION_TEXT:
        case WEIR_OPTION_SECRET: *(struct weir_span *)field = (struct weir_span){.at = "", .length = 0}; break;
        case WEIR_OPTION_INTEGER:
        case WEIR_OPTION_DURATION:
        case WEIR_OPTION_SIZE: *(int64_t *)field = 0; break;
        case WEIR_OPTION_BOOL: *(bool *)field = false; break;
        case WEIR_OPTION_CHOICE: *(int *)field = 0; break;
        case WEIR_OPTION_TEXTS: *(struct weir_texts *)field = (struct weir_texts){.at = NULL, .count = 0}; break;
        case WEIR_OPTION_LIST:
        default: *(struct weir_option_items *)field = (struct weir_option_items){.at = NULL, .count = 0}; break;
        }
    }
}

static void read_element(struct config__reader *reader, const struct config__path *path,
                         const struct weir_option_table *table, const struct config__node *node, void *values) {
    clear_fields(table, values);
    if (node->shape != CONFIG__MAPPING) {
        wrong_shape(reader, path, node, "a mapping of settings");
        return;
    }
    for (const struct config__node *member = node->first; member != NULL; member = member->next) {
        const struct weir_option *row = find_row(table, member->key);
        if (row != NULL) {
            const struct config__path member_path = {.parent = path, .name = row->name};
            read_value(reader, &member_path, row, member, (char *)values + row->offset);
        } else {
            const char *names[MAX_NAMES];
            unknown(reader, path, member, names, add_names(table, names, 0));
        }
    }
    for (size_t i = 0; i < table->count; i++) {
        const struct weir_option *row = &table->rows[i];
        const struct config__node *member = config__node_find(node, weir_span_of_string(row->name));
        if (member != NULL && !member->is_null)
            continue;
        const struct config__path member_path = {.parent = path, .name = row->name};
        if (!row->required) {
            fill_absent(reader, &member_path, row, (char *)values + row->offset);
            continue;
        }
        const struct config__origin origin = {.source = CONFIG__FROM_FILE, .place = node->place};
        if (config__problem_begin(reader, &origin, path)) {
            weir_buffer_printf(reader->problems, "'%s' is missing", row->name);
            config__problem_end(reader);
        }
    }
}

static void read_list(struct config__reader *reader, const struct config__path *path, const struct weir_option *row,
                      const struct config__node *node, struct weir_option_items *field) {
    *field = (struct weir_option_items){.at = NULL, .count = 0};
    if (node->shape != CONFIG__SEQUENCE) {
        wrong_shape(reader, path, node, "a list of mappings");
        return;
    }
    if (node->count == 0)
        return;
    char *items = weir_arena_array(reader->arena, node->count, row->items->size);
    if (items == NULL) {
        reader->no_memory = true;
        return;
    }
    size_t index = 0;
    for (const struct config__node *item = node->first; item != NULL; item = item->next) {
        const struct config__path item_path = {.parent = path, .is_element = true, .index = index};
        read_element(reader, &item_path, row->items, item, items + index * row->items->size);
        index++;
    }
    *field = (struct weir_option_items){.at = items, .count = index};
}

static void read_value(struct config__reader *reader, const struct config__path *path, const struct weir_option *row,
                       const struct config__node *node, void *field) {
    if (node->is_null)
        return; /* as if it were not there */
    const struct config__origin origin = {.source = CONFIG__FROM_FILE, .place = node->place};
    if (row->kind == WEIR_OPTION_LIST)
        read_list(reader, path, row, node, field);
    else if (row->kind == WEIR_OPTION_TEXTS && node->shape == CONFIG__SEQUENCE)
        config__parse_texts(reader, path, row, node, field);
    else if (node->shape != CONFIG__SCALAR)
        wrong_shape(reader, path, node, row->kind == WEIR_OPTION_TEXTS ? "a list of texts" : "a single value");
    else
        config__parse(reader, &origin, path, row, node->text, field);
}

/* Reads `member` into the first target for which it is a setting. */
static bool read_member(struct config__reader *reader, const struct target *targets, const struct config__path *section,
                        const struct config__node *member) {
    for (size_t i = 0; i < reader->count; i++) {
        const struct weir_option_table *table = targets[i].table;
        bool here = section == NULL ? is_top(table) : is_named(table, weir_span_of_string(section->name));
        const struct weir_option *row = here ? find_row(table, member->key) : NULL;
        if (row == NULL)
            continue;
        const struct config__path path = {.parent = section, .name = row->name};
        read_value(reader, &path, row, member, (char *)targets[i].values + row->offset);
        return true;
    }
    return false;
}

static void read_section(struct config__reader *reader, const struct target *targets, const char *name,
                         const struct config__node *node) {
    const struct config__path path = {.name = name};
    if (node->is_null)
        return;
    if (node->shape != CONFIG__MAPPING) {
        wrong_shape(reader, &path, node, "a mapping of settings");
        return;
    }
    for (const struct config__node *member = node->first; member != NULL; member = member->next) {
        if (read_member(reader, targets, &path, member))
            continue;
        const char *names[MAX_NAMES];
        size_t count = 0;
        for (size_t i = 0; i < reader->count; i++) {
            if (is_named(targets[i].table, weir_span_of_string(name)))
                count = add_names(targets[i].table, names, count);
        }
        unknown(reader, &path, member, names, count);
    }
}

static void read_top(struct config__reader *reader, const struct target *targets, const struct config__node *root) {
    if (root->is_null)
        return;
    if (root->shape != CONFIG__MAPPING) {
        wrong_shape(reader, NULL, root, "a mapping of settings");
        return;
    }
    for (const struct config__node *member = root->first; member != NULL; member = member->next) {
        if (read_member(reader, targets, NULL, member))
            continue;
        const char *names[MAX_NAMES];
        size_t count = 0;
        const char *section = NULL;
        for (size_t i = 0; i < reader->count; i++) {
            const struct weir_option_table *table = targets[i].table;
            if (is_named(table, member->key))
                section = table->section;
            if (is_top(table))
                count = add_names(table, names, count);
            else if (count < MAX_NAMES)
                names[count++] = table->section;
        }
        if (section != NULL)
            read_section(reader, targets, section, member);
        else
            unknown(reader, NULL, member, names, count);
    }
}

static void fill_all_absent(struct config__reader *reader, const struct target *targets,
                            const struct config__node *root) {
    for (size_t i = 0; i < reader->count; i++) {
        const struct weir_option_table *table = targets[i].table;
        const struct config__path section = {.name = table->section};
        const struct config__node *mapping = is_top(table)
                                                 ? root
                                                 : config__node_find(root, weir_span_of_string(table->section));
        for (size_t j = 0; j < table->count; j++) {
            const struct weir_option *row = &table->rows[j];
            const struct config__node *member = config__node_find(mapping, weir_span_of_string(row->name));
            if (member != NULL && !member->is_null)
                continue;
            const struct config__path path = {.parent = &section, .name = row->name};
            fill_absent(reader, &path, row, (char *)targets[i].values + row->offset);
        }
    }
}

enum weir_status weir_config_read(struct weir_arena *arena, struct weir_span text, const char *name,
                                  const struct weir_config_section *sections, size_t count, weir_config_lookup lookup,
                                  void *lookup_context, struct weir_buffer *problems) {
    struct config__reader reader = {.arena = arena,
                                    .name = name,
                                    .sections = sections,
                                    .count = count,
                                    .lookup = lookup,
                                    .lookup_context = lookup_context,
                                    .problems = problems};
    struct config__node *root = NULL;
    struct target *targets = weir_arena_array(arena, count, sizeof *targets);
    enum weir_status status = targets != NULL ? WEIR_OK : WEIR_ENOMEM;
    for (size_t i = 0; status == WEIR_OK && i < count; i++) {
        targets[i].table = sections[i].table;
        targets[i].values = weir_arena_alloc(arena, sections[i].table->size);
        if (targets[i].values == NULL) {
            status = WEIR_ENOMEM;
            break;
        }
        memcpy(targets[i].values, sections[i].values, sections[i].table->size);
        clear_fields(sections[i].table, targets[i].values);
    }
    if (status == WEIR_OK)
        status = config__yaml_read(&reader, text, &root);
    if (status == WEIR_OK) {
        if (root != NULL)
            read_top(&reader, targets, root);
        fill_all_absent(&reader, targets, root);
    }
    config__problems_finish(&reader);
    if (status == WEIR_ENOMEM || reader.no_memory) {
        weir_buffer_printf(problems, "%s: the settings need more memory than there is\n", name);
        return WEIR_ENOMEM;
    }
    if (status != WEIR_OK || reader.problem_count > 0)
        return WEIR_EINVAL;
    for (size_t i = 0; i < count; i++)
        memcpy(sections[i].values, targets[i].values, sections[i].table->size);
    return WEIR_OK;
}
