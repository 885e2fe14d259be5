/* Where a setting stands in the file, for checks that are made after the reading (a target whose provider does not exist).
 *
 * The values keep no places: the file is read once more, which only ever happens on the way to an error. */
#include "config/impl.h"

/* Takes the next name off "models[0].targets" and finds it below `node`; NULL where it is not in the file. */
static const struct config__node *step(const struct config__node *node, struct weir_span *setting,
                                       struct config__place *place) {
    if (weir_span_starts_with(*setting, WEIR_SPAN("["))) {
        uint64_t index = 0;
        size_t end = weir_span_index(*setting, ']');
        if (end == setting->length || node->shape != CONFIG__SEQUENCE ||
            weir_span_to_uint64(weir_span_of(setting->at + 1, end - 1), &index) != WEIR_OK)
            return NULL;
        *setting = weir_span_from(*setting, end + 1);
        const struct config__node *item = node->first;
        for (; item != NULL && index > 0; index--)
            item = item->next;
        if (item != NULL)
            *place = item->place;
        return item;
    }
    if (weir_span_starts_with(*setting, WEIR_SPAN(".")))
        *setting = weir_span_from(*setting, 1);
    size_t end = 0;
    while (end < setting->length && setting->at[end] != '.' && setting->at[end] != '[')
        end++;
    const struct config__node *member = config__node_find(node, weir_span_first(*setting, end));
    *setting = weir_span_from(*setting, end);
    if (member != NULL)
        *place = member->shape == CONFIG__SCALAR && !member->is_null ? member->place : member->key_place;
    return member;
}

void weir_config_locate(struct weir_arena *arena, struct weir_span text, const char *name, struct weir_span setting,
                        struct weir_buffer *out) {
    struct weir_buffer problems;
    weir_buffer_init(&problems, 64 << 10);
    struct config__reader reader = {.arena = arena, .name = name, .problems = &problems};
    struct config__node *root = NULL;
    struct config__place place = {.line = 0, .column = 0};
    if (config__yaml_read(&reader, text, &root) == WEIR_OK && root != NULL) {
        const struct config__node *node = root;
        while (node != NULL && setting.length > 0)
            node = step(node, &setting, &place);
    }
    weir_buffer_append(out, weir_span_of_string(name));
    if (place.line > 0)
        weir_buffer_printf(out, ":%zu:%zu", place.line, place.column);
    weir_buffer_release(&problems);
}
