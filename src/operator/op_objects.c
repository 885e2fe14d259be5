/* See op_objects.h. */
#include "operator/op_objects.h"

#include "json/schema.h"

enum { TEXT_MAX = 2 * 1024 * 1024, ID_DIGITS = 16 };

/* --- JSON --- */

yyjson_val *operator__json_read(struct weir_arena *arena, struct weir_span text) {
    yyjson_alc allocator = weir_json_allocator(arena);
    /* yyjson promises not to write into the text without its in-situ flag; only its signature does not say so. */
    union {
        const char *is;
        char *wanted;
    } bytes = {.is = text.at};
    return yyjson_doc_get_root(yyjson_read_opts(bytes.wanted, text.length, YYJSON_READ_NOFLAG, &allocator, NULL));
}

struct weir_span operator__field(yyjson_val *fields, const char *name) {
    yyjson_val *value = yyjson_obj_get(fields, name);
    return yyjson_is_str(value) ? weir_span_of(yyjson_get_str(value), yyjson_get_len(value)) : WEIR_SPAN("");
}

/* The name that follows `last` in byte order; NULL: there is none. Objects here are small: tags, limits. */
static yyjson_val *next_name(yyjson_val *object, yyjson_val *last) {
    yyjson_val *best = NULL, *name, *value;
    size_t index, count;
    yyjson_obj_foreach(object, index, count, name, value) {
        bool is_later = last == NULL || strcmp(yyjson_get_str(name), yyjson_get_str(last)) > 0;
        if (is_later && (best == NULL || strcmp(yyjson_get_str(name), yyjson_get_str(best)) < 0))
            best = name;
    }
    return best;
}

void operator__write_value(struct weir_json_writer *writer, yyjson_val *value) {
    if (yyjson_is_obj(value)) {
        weir_json_write_object(writer);
        for (yyjson_val *name = next_name(value, NULL); name != NULL; name = next_name(value, name)) {
            weir_json_write_name(writer, yyjson_get_str(name));
            operator__write_value(writer, yyjson_obj_get(value, yyjson_get_str(name)));
        }
        weir_json_write_end(writer);
    } else if (yyjson_is_arr(value)) {
        size_t index, count;
        yyjson_val *item;
        weir_json_write_array(writer);
        yyjson_arr_foreach(value, index, count, item) {
            operator__write_value(writer, item);
        }
        weir_json_write_end(writer);
    } else if (yyjson_is_str(value)) {
        weir_json_write_string(writer, weir_span_of(yyjson_get_str(value), yyjson_get_len(value)));
    } else if (yyjson_is_bool(value)) {
        weir_json_write_bool(writer, yyjson_get_bool(value));
    } else if (yyjson_is_int(value)) {
        weir_json_write_int64(writer, yyjson_get_sint(value));
    } else if (yyjson_is_real(value)) { /* a schema's integer may be written 2.0 */
        weir_json_write_int64(writer, (int64_t)yyjson_get_real(value));
    } else {
        weir_json_write_null(writer);
    }
}

/* Of an object whose absent members are left out: whether anything is left of it. */
static bool says_nothing(const struct operator__member *members, yyjson_val *fields) {
    for (const struct operator__member *member = members; member->name != NULL; member++) {
        yyjson_val *value = yyjson_obj_get(fields, member->name);
        if (member->otherwise != NULL || (value != NULL && !yyjson_is_null(value)))
            return false;
    }
    return true;
}

void operator__write_members(struct weir_json_writer *writer, const struct operator__member *members,
                             yyjson_val *fields, struct weir_span id) {
    for (const struct operator__member *member = members; member->name != NULL; member++) {
        yyjson_val *value = yyjson_obj_get(fields, member->name);
        bool is_given = value != NULL && !yyjson_is_null(value);
        if (!is_given && member->otherwise == NULL && !member->is_id)
            continue;
        if (member->inner != NULL && says_nothing(member->inner, value))
            continue;
        weir_json_write_name(writer, member->name);
        if (member->inner != NULL) {
            weir_json_write_object(writer);
            operator__write_members(writer, member->inner, is_given ? value : NULL, id);
            weir_json_write_end(writer);
        } else if (is_given) {
            operator__write_value(writer, value);
        } else if (member->is_id) {
            weir_json_write_string(writer, id);
        } else {
            weir_json_write_raw(writer, weir_span_of_string(member->otherwise));
        }
    }
}

struct weir_span operator__canonical(struct weir_arena *arena, const struct operator__member *members,
                                     yyjson_val *fields, struct weir_span id) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    struct weir_span text = WEIR_SPAN("");
    weir_buffer_init(&out, TEXT_MAX);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    operator__write_members(&writer, members, fields, id);
    weir_json_write_end(&writer);
    if (weir_buffer_status(&out) != WEIR_OK || weir_arena_dup(arena, weir_buffer_span(&out), &text) != WEIR_OK)
        text = WEIR_SPAN("");
    weir_buffer_release(&out);
    return text;
}

enum weir_status operator__value_text(struct weir_arena *arena, yyjson_val *value, struct weir_span *text) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    *text = WEIR_SPAN("");
    if (value == NULL)
        return WEIR_OK;
    weir_buffer_init(&out, TEXT_MAX);
    weir_json_writer_init(&writer, &out);
    operator__write_value(&writer, value);
    enum weir_status status = weir_buffer_status(&out);
    if (status == WEIR_OK)
        status = weir_arena_dup(arena, weir_buffer_span(&out), text);
    weir_buffer_release(&out);
    return status;
}

yyjson_val *operator__merge(struct weir_arena *arena, yyjson_val *fields, yyjson_val *patch) {
    yyjson_alc allocator = weir_json_allocator(arena);
    yyjson_mut_doc *document = yyjson_mut_doc_new(&allocator);
    yyjson_mut_val *merged = yyjson_merge_patch(document, fields, patch);
    return yyjson_doc_get_root(yyjson_mut_val_imut_copy(merged, &allocator));
}

/* --- what all kinds do --- */

static const char *called(struct weir_operation_call *call, const char *type, struct weir_span id) {
    const char *words = weir_arena_format(weir_operation_arena(call), "%s %.*s", type, WEIR_SPAN_PRINT(id));
    return words != NULL ? words : type;
}

static enum weir_status no_memory(struct weir_operation_call *call) {
    return weir_operation_store_failed(call, WEIR_ENOMEM, "the operation", NULL);
}

enum weir_status operator__object_need(struct weir_operation_call *call, enum weir_object_kind kind, const char *type,
                                       struct weir_span parent, struct weir_span id, struct weir_object *object) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    enum weir_status status = store->object_get(engine, kind, parent, id, weir_operation_arena(call), object, &error);
    return status == WEIR_OK ? WEIR_OK : weir_operation_store_failed(call, status, called(call, type, id), &error);
}

/* What the kind's objects belong to must be there. */
static enum weir_status need_parent(struct weir_operation_call *call, const struct operator__kind *kind,
                                    struct weir_span *parent) {
    struct weir_object object;
    *parent = WEIR_SPAN("");
    if (kind->parent == NULL)
        return WEIR_OK;
    *parent = weir_operation_path_value(call, kind->parent);
    return operator__object_need(call, WEIR_OBJECT_WORKSPACE, kind->parent, WEIR_SPAN(""), *parent, &object);
}

static enum weir_status need_named(struct weir_operation_call *call, const struct operator__kind *kind,
                                   struct weir_object *object) {
    struct weir_span parent;
    enum weir_status status = need_parent(call, kind, &parent);
    if (status != WEIR_OK)
        return status;
    return operator__object_need(call, kind->kind, kind->type, parent, weir_operation_path_value(call, kind->type),
                                 object);
}

static enum weir_status need_version(struct weir_operation_call *call, const struct operator__kind *kind,
                                     const struct weir_object *object) {
    uint64_t expected = weir_operation_expected_version(call);
    if (expected == 0 || expected == object->version)
        return WEIR_OK;
    return weir_operation_fail(call, WEIR_REASON_VERSION_MISMATCH, NULL, "%s is of version %llu, If-Match names %llu",
                               called(call, kind->type, object->id), (unsigned long long)object->version,
                               (unsigned long long)expected);
}

static enum weir_status note(struct weir_operation_call *call, const struct operator__kind *kind,
                             const struct weir_object *object, const char *action, struct weir_span before,
                             struct weir_span after) {
    yyjson_val *fields = operator__json_read(weir_operation_arena(call), after.length > 0 ? after : before);
    const struct weir_operation_note said = {
        .action = action,
        .resource_id = object->id,
        .resource_name = operator__field(fields, "name"),
        .workspace = kind->kind == WEIR_OBJECT_WORKSPACE ? object->id : object->parent,
        .before = before,
        .after = after,
    };
    return weir_operation_audit(call, &said);
}

static void write_object(struct weir_operation_call *call, const struct operator__kind *kind,
                         const struct weir_object *object, bool alone) {
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_member_string(writer, "id", object->id);
    if (kind->parent != NULL)
        weir_json_member_string(writer, kind->parent, object->parent);
    operator__write_members(writer, kind->members, operator__json_read(weir_operation_arena(call), object->text),
                            object->id);
    if (!alone) {
        weir_operation_member_time(writer, "created_at", object->created_utc_us);
        weir_operation_member_time(writer, "updated_at", object->updated_utc_us);
        weir_json_member_int64(writer, "version", (int64_t)object->version);
        weir_json_write_end(writer);
    }
}

/* Where one object is shown: the kind may have more to say, and the version is the ETag. */
static enum weir_status answer_object(struct weir_operation_call *call, const struct operator__kind *kind,
                                      const struct weir_object *object) {
    struct weir_json_writer *writer = weir_operation_writer(call);
    write_object(call, kind, object, true);
    enum weir_status status = kind->show_more != NULL ? kind->show_more(call, object) : WEIR_OK;
    if (status != WEIR_OK)
        return status;
    weir_operation_member_time(writer, "created_at", object->created_utc_us);
    weir_operation_member_time(writer, "updated_at", object->updated_utc_us);
    weir_json_member_int64(writer, "version", (int64_t)object->version);
    weir_json_write_end(writer);
    weir_operation_set_version(call, object->version);
    return WEIR_OK;
}

/* Gives the change its text out of `fields`, and asks the kind. */
static enum weir_status prepare(struct operator__change *change, yyjson_val *fields) {
    struct weir_arena *arena = weir_operation_arena(change->call);
    change->object.text = operator__canonical(arena, change->kind->members, fields, change->object.id);
    change->fields = operator__json_read(arena, change->object.text);
    if (change->fields == NULL)
        return no_memory(change->call);
    return change->kind->check != NULL ? change->kind->check(change) : WEIR_OK;
}

static enum weir_status choose_id(struct weir_operation_call *call, const struct operator__kind *kind,
                                  struct weir_span *id) {
    *id = weir_operation_body_text(call, "id");
    if (id->length > 0)
        return WEIR_OK;
    if (kind->id_prefix == NULL)
        return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, "id", "a %s needs an id", kind->type);
    char digits[ID_DIGITS];
    weir_base62_random(weir_operation_random(call), digits, sizeof digits);
    *id = weir_span_of_string(
        weir_arena_format(weir_operation_arena(call), "%s%.*s", kind->id_prefix, (int)sizeof digits, digits));
    return id->length > 0 ? WEIR_OK : no_memory(call);
}

enum weir_status operator__object_create(struct weir_operation_call *call, const struct operator__kind *kind) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    int64_t now = weir_operation_now_utc_us(call);
    struct operator__change change = {.call = call,
                                      .kind = kind,
                                      .object = {.kind = kind->kind, .created_utc_us = now, .updated_utc_us = now}};
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = need_parent(call, kind, &change.object.parent);
    if (status == WEIR_OK)
        status = choose_id(call, kind, &change.object.id);
    if (status == WEIR_OK)
        status = prepare(&change, weir_operation_body(call));
    if (status != WEIR_OK)
        return status;
    status = store->object_create(engine, &change.object, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, called(call, kind->type, change.object.id), &error);
    status = note(call, kind, &change.object, NULL, WEIR_SPAN(""), change.object.text);
    if (status != WEIR_OK)
        return status;
    if (kind->after != NULL)
        weir_operation_after(call, kind->after);
    weir_operation_set_status(call, 201);
    return answer_object(call, kind, &change.object);
}

/* `whole`: the body is all of it; else it is merged into what is there. */
static enum weir_status change_object(struct weir_operation_call *call, const struct operator__kind *kind, bool whole) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    struct weir_arena *arena = weir_operation_arena(call);
    struct operator__change change = {.call = call, .kind = kind};
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = need_named(call, kind, &change.object);
    if (status == WEIR_OK)
        status = need_version(call, kind, &change.object);
    if (status != WEIR_OK)
        return status;
    change.before = change.object.text;
    yyjson_val *merged = weir_operation_body(call);
    if (!whole)
        merged = operator__merge(arena, operator__json_read(arena, change.before), merged);
    if (merged == NULL)
        return no_memory(call);
    status = prepare(&change, merged);
    if (status != WEIR_OK)
        return status;
    change.object.updated_utc_us = weir_operation_now_utc_us(call);
    status = store->object_update(engine, &change.object, change.object.version, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, called(call, kind->type, change.object.id), &error);
    status = note(call, kind, &change.object, NULL, change.before, change.object.text);
    if (status != WEIR_OK)
        return status;
    if (kind->after != NULL)
        weir_operation_after(call, kind->after);
    return answer_object(call, kind, &change.object);
}

enum weir_status operator__object_update(struct weir_operation_call *call, const struct operator__kind *kind) {
    return change_object(call, kind, false);
}

enum weir_status operator__object_replace(struct weir_operation_call *call, const struct operator__kind *kind) {
    return change_object(call, kind, true);
}

enum weir_status operator__object_drop(struct weir_operation_call *call, const struct operator__kind *kind,
                                       const struct weir_object *object, const char *action) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    enum weir_status status = store->object_remove(engine, kind->kind, object->parent, object->id, object->version,
                                                   weir_operation_now_utc_us(call), &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, called(call, kind->type, object->id), &error);
    return note(call, kind, object, action, object->text, WEIR_SPAN(""));
}

enum weir_status operator__object_remove(struct weir_operation_call *call, const struct operator__kind *kind) {
    struct operator__change change = {.call = call, .kind = kind};
    enum weir_status status = weir_operation_begin(call);
    if (status == WEIR_OK)
        status = need_named(call, kind, &change.object);
    if (status == WEIR_OK)
        status = need_version(call, kind, &change.object);
    if (status == WEIR_OK && kind->may_remove != NULL)
        status = kind->may_remove(&change);
    if (status == WEIR_OK)
        status = operator__object_drop(call, kind, &change.object, NULL);
    if (status != WEIR_OK)
        return status;
    if (kind->after != NULL)
        weir_operation_after(call, kind->after);
    weir_operation_set_status(call, 204);
    return WEIR_OK;
}

enum weir_status operator__object_get(struct weir_operation_call *call, const struct operator__kind *kind) {
    struct weir_object object;
    enum weir_status status = need_named(call, kind, &object);
    return status == WEIR_OK ? answer_object(call, kind, &object) : status;
}

/* --- lists --- */

struct listing {
    struct weir_operation_call *call;
    const struct operator__kind *kind;
    size_t count;
    int64_t last;
};

static enum weir_status list_one(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    if (listing->call != NULL)
        write_object(listing->call, listing->kind, object, false);
    listing->count++;
    listing->last = object->number;
    return WEIR_OK;
}

enum weir_status operator__object_any(struct weir_operation_call *call, const struct weir_object_query *query,
                                      bool *any) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    struct weir_object_query one = *query;
    struct listing listing = {.call = NULL};
    one.limit = 1;
    enum weir_status status = store->object_list(engine, &one, list_one, &listing, &error);
    *any = listing.count > 0;
    return status == WEIR_OK ? WEIR_OK : weir_operation_store_failed(call, status, "the list", &error);
}

bool operator__flag_filter(struct weir_operation_call *call, const char *name, struct weir_object_filter *filter) {
    *filter = (struct weir_object_filter){.member = name, .value = weir_operation_query_text(call, name)};
    return filter->value.length > 0;
}

enum weir_status operator__object_list(struct weir_operation_call *call, const struct operator__kind *kind,
                                       const struct weir_object_filter *filters, size_t filter_count) {
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    const struct weir_engine_ops *store = weir_operation_store(call, &engine);
    struct weir_object_query query = {.kind = kind->kind, .filter_count = filter_count};
    struct listing listing = {.call = call, .kind = kind};
    bool is_more = false;
    for (size_t i = 0; i < filter_count; i++)
        query.filters[i] = filters[i];
    enum weir_status status = need_parent(call, kind, &query.parent);
    if (status == WEIR_OK)
        status = weir_operation_page(call, &query.after_number, &query.limit);
    if (status != WEIR_OK)
        return status;
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    size_t limit = query.limit;
    status = store->object_list(engine, &query, list_one, &listing, &error);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the list", &error);
    weir_json_write_end(writer);
    query.after_number = listing.last;
    if (listing.count == limit)
        status = operator__object_any(call, &query, &is_more);
    if (status == WEIR_OK)
        weir_operation_page_end(call, is_more ? listing.last : 0);
    return status;
}
