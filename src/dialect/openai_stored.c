/* What a provider keeps: files and batches, and lists of them.
 *
 * Their bodies go through as they are. What is read is which ids an answer gives out, for these mean something to that provider alone, and belong to the
 * workspace that made them: a list of a provider's account shows everybody's.
 */
#include "dialect/impl.h"

/* --- files --- */

static enum weir_status read_file_form(struct weir_arena *arena, const struct weir_form *form, struct weir_call *call,
                                       struct weir_call_problem *problem) {
    const struct weir_span *purpose;
    (void)arena;
    if (dialect__form_begin(form, "", call, problem) != WEIR_OK ||
        dialect__form_find(form, "purpose", &purpose, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (purpose == NULL)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_MISSING, "purpose", "what the file is for", NULL);
    call->model = WEIR_SPAN("");
    call->is_kept = true;
    return dialect__form_require_file(form, "file", problem);
}

const struct weir_format weir_format_files = {.name = "files", .flags = WEIR_FORMAT_BYTES, .read_form = read_file_form};

/* --- batches --- */

static enum weir_status read_batch_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                        struct weir_call_problem *problem) {
    static const struct weir_json_want wants[] = {{"input_file_id"}};
    struct weir_json_found found[1];
    if (dialect__scan_call(body, wants, 1, found, call, problem) != WEIR_OK ||
        dialect__require(&found[0], "input_file_id", "the id of a file", problem) != WEIR_OK)
        return WEIR_EINVAL;
    call->issued_field = "input_file_id";
    call->background = true;
    call->is_kept = true;
    return dialect__read_text(arena, &found[0], "input_file_id", &call->issued_id, problem);
}

const struct weir_format weir_format_batches = {.name = "batches", .read_call = read_batch_call};

/* --- ids --- */

size_t weir_dialect_issued_ids(struct weir_span body, struct weir_span *ids, size_t room) {
    static const struct weir_json_want wants[] = {{"id"}, {"output_file_id"}, {"error_file_id"}};
    struct weir_json_found found[3];
    size_t count = 0;
    if (weir_json_scan(body, wants, 3, found, NULL, NULL) != WEIR_OK)
        return 0;
    for (size_t i = 0; i < 3 && count < room; i++)
        if (found[i].kind == WEIR_JSON_STRING && weir_json_plain_string(found[i].value, &ids[count]) &&
            ids[count].length > 0)
            count++;
    return count;
}

/* --- lists --- */

enum { LIST_DATA, LIST_FIRST_ID, LIST_LAST_ID, LIST_HAS_MORE, LIST_FILES, LIST_CACHES, LIST_OPERATIONS, LIST_COUNT };

/* Google's lists are called after what is in them, and their items have a name where others have an id: found[LIST_DATA] becomes the array. */
static bool find_list(struct weir_span body, struct weir_json_found found[LIST_COUNT], const char **id) {
    static const struct weir_json_want wants[LIST_COUNT] = {{"data"},  {"first_id"},       {"last_id"},   {"has_more"},
                                                            {"files"}, {"cachedContents"}, {"operations"}};
    if (weir_json_scan(body, wants, LIST_COUNT, found, NULL, NULL) != WEIR_OK)
        return false;
    *id = "id";
    for (int i = LIST_FILES; i < LIST_COUNT && found[LIST_DATA].kind == WEIR_JSON_NONE; i++) {
        if (found[i].kind != WEIR_JSON_ARRAY)
            continue;
        found[LIST_DATA] = found[i];
        *id = "name";
    }
    return found[LIST_DATA].kind == WEIR_JSON_ARRAY;
}

bool weir_dialect_list_next(struct weir_span body, const char **parameter, struct weir_span *token) {
    static const struct weir_json_want wants[] = {{"nextPageToken"}, {"next_page"}};
    struct weir_json_found found[2];
    if (weir_json_scan(body, wants, 2, found, NULL, NULL) != WEIR_OK)
        return false;
    *parameter = found[0].kind == WEIR_JSON_STRING ? "pageToken" : "page";
    const struct weir_json_found *next = found[0].kind == WEIR_JSON_STRING ? &found[0] : &found[1];
    return next->kind == WEIR_JSON_STRING && weir_json_plain_string(next->value, token) && token->length > 0;
}

enum weir_status weir_dialect_list_items(struct weir_arena *arena, struct weir_span body, struct weir_list_item **items,
                                         size_t *count, bool *has_more) {
    struct weir_json_found found[LIST_COUNT], item, id;
    struct weir_json_want want = {NULL};
    struct weir_span name;
    size_t cursor = 0;
    *count = 0;
    if (!find_list(body, found, &want.path))
        return WEIR_EINVAL;
    *has_more = found[LIST_HAS_MORE].kind == WEIR_JSON_TRUE;
    *items = weir_arena_alloc(arena, found[LIST_DATA].elements * sizeof **items);
    if (*items == NULL)
        return WEIR_ENOMEM;
    while (*count < found[LIST_DATA].elements &&
           weir_json_next(found[LIST_DATA].value, &cursor, &name, &item) == WEIR_OK) {
        struct weir_list_item *place = &(*items)[(*count)++];
        *place = (struct weir_list_item){.id = WEIR_SPAN(""), .text = item.value};
        if (item.kind == WEIR_JSON_OBJECT && weir_json_scan(item.value, &want, 1, &id, NULL, NULL) == WEIR_OK &&
            id.kind == WEIR_JSON_STRING && !weir_json_plain_string(id.value, &place->id))
            place->id = WEIR_SPAN("");
    }
    return WEIR_OK;
}

static enum weir_status name_end(struct weir_json_splice *splice, const struct weir_json_found *member,
                                 const struct weir_list_item *item) {
    if (member->kind != WEIR_JSON_STRING)
        return WEIR_OK;
    bool named = item != NULL && item->id.length > 0;
    /* The item's own token, quotes included: they stand around the span. */
    struct weir_span with = named ? weir_span_of(item->id.at - 1, item->id.length + 2) : WEIR_SPAN("null");
    return weir_json_splice_add(splice, member->value_at, member->value.length, with);
}

enum weir_status weir_dialect_write_list(struct weir_span body, const struct weir_list_item *items, const bool *keep,
                                         size_t count, struct weir_buffer *out) {
    struct weir_json_found found[LIST_COUNT];
    struct weir_json_splice splice = {.count = 0};
    struct weir_buffer data;
    const struct weir_list_item *first = NULL, *last = NULL;
    const char *id = NULL;
    if (!find_list(body, found, &id))
        return WEIR_EINVAL;
    weir_buffer_init(&data, body.length + 2);
    weir_buffer_append_byte(&data, '[');
    for (size_t i = 0; i < count; i++) {
        if (!keep[i])
            continue;
        if (first != NULL)
            weir_buffer_append_byte(&data, ',');
        first = first == NULL ? &items[i] : first;
        last = &items[i];
        weir_buffer_append(&data, items[i].text);
    }
    weir_buffer_append_byte(&data, ']');
    enum weir_status status = weir_buffer_status(&data);
    if (status == WEIR_OK)
        status = weir_json_splice_add(&splice, found[LIST_DATA].value_at, found[LIST_DATA].value.length,
                                      weir_buffer_span(&data));
    if (status == WEIR_OK)
        status = name_end(&splice, &found[LIST_FIRST_ID], first);
    if (status == WEIR_OK)
        status = name_end(&splice, &found[LIST_LAST_ID], last);
    if (status == WEIR_OK)
        weir_json_splice_write(&splice, body, out);
    weir_buffer_release(&data);
    return status == WEIR_OK ? weir_buffer_status(out) : status;
}
