/* Anthropic's /v1/files: what was uploaded comes back byte for byte. (The vendor gives back only what its own tools have made.) */
#include "sim/anthropic.h"

#include "sim/files.h"
#include "sim/form.h"

#include <yyjson.h>

enum { MIN_LIFE_S = 3600, MAX_LIFE_S = 7776000 };

/* The purpose of a file is its media type here. */
static void write_file(const struct sim_object *object, struct weir_buffer *out) {
    const struct sim_file *file = object->value;
    weir_buffer_append(out, WEIR_SPAN("{\"type\":\"file\",\"id\":"));
    weir_json_append_string(out, object->id);
    weir_buffer_append(out, WEIR_SPAN(",\"filename\":"));
    weir_json_append_string(out, file->name);
    weir_buffer_append(out, WEIR_SPAN(",\"mime_type\":"));
    weir_json_append_string(out, file->purpose);
    weir_buffer_printf(out, ",\"size_bytes\":%zu,\"created_at\":", file->content.length);
    sim__anthropic_time(file->created_s, out);
    weir_buffer_append(out, WEIR_SPAN(",\"downloadable\":true,\"expires_at\":"));
    if (file->expires_s > 0) {
        sim__anthropic_time(file->expires_s, out);
    } else {
        weir_buffer_append(out, WEIR_SPAN("null"));
    }
    weir_buffer_append_byte(out, '}');
}

static void commit_add(struct sim_task *task) {
    if (sim__store_add(task->store, task->effect) != WEIR_OK) {
        return; /* without memory it is not remembered, which costs those who ask for it an error */
    }
}

/* The last component of what the client calls it. */
static struct weir_span name_of(const struct sim_part *part) {
    struct weir_span name = part->has_file_name ? part->file_name : WEIR_SPAN("");
    for (size_t i = name.length; i > 0; i--) {
        if (name.at[i - 1] == '/' || name.at[i - 1] == '\\') {
            name = weir_span_from(name, i);
            break;
        }
    }
    return weir_span_is_empty(name) ? WEIR_SPAN("unnamed") : name;
}

static bool read_life(struct sim_task *task, uint64_t *life_s) {
    struct weir_span text = sim__input_text(yyjson_obj_get(task->root, "expires_in_seconds"));
    return weir_span_is_empty(text) ||
           (weir_span_to_uint64(text, life_s) == WEIR_OK && *life_s >= MIN_LIFE_S && *life_s <= MAX_LIFE_S) ||
           sim__anthropic_refuse(task, "expires_in_seconds: Input should be from %d to %d", MIN_LIFE_S, MAX_LIFE_S);
}

enum weir_status sim__anthropic_files_create(struct sim_task *task) {
    const struct sim_part *part = sim__form_find(task->form, "file");
    bool current = false;
    uint64_t life_s = 0;
    char *id = sim__task_id(task, "file_01", 22);
    if (id == NULL) {
        return WEIR_ENOMEM;
    }
    if (!sim__anthropic_check_version(task, &current) || !read_life(task, &life_s)) {
        return WEIR_EINVAL;
    }
    if (part == NULL) {
        (void)sim__anthropic_refuse(task, "file: Field required");
        return WEIR_EINVAL;
    }
    if (part->content.length > sim__store_room(task->store)) {
        (void)sim__anthropic_refuse(task, "The simulator keeps at most 64 MiB of files; delete some.");
        task->refusal.status = 403;
        return WEIR_EINVAL;
    }
    struct sim_object *object = sim__object_new(SIM_OBJECT_NATIVE_FILE, weir_span_of_string(id),
                                                sizeof(struct sim_file), task->arena);
    if (object == NULL) {
        return WEIR_ENOMEM;
    }
    struct sim_file *file = object->value;
    struct weir_span type = weir_span_is_empty(part->content_type) ? WEIR_SPAN("application/octet-stream")
                                                                   : part->content_type;
    file->created_s = task->now_s;
    file->expires_s = life_s > 0 ? task->now_s + (int64_t)life_s : 0;
    object->bytes = part->content.length;
    if (weir_arena_dup(object->arena, name_of(part), &file->name) != WEIR_OK ||
        weir_arena_dup(object->arena, type, &file->purpose) != WEIR_OK ||
        weir_arena_dup(object->arena, part->content, &file->content) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    task->effect = object;
    task->commit = commit_add;
    write_file(object, task->out);
    task->object = true;
    return WEIR_OK;
}

enum weir_status sim__anthropic_files_list(struct sim_task *task) {
    return sim__anthropic_page(task, SIM_OBJECT_NATIVE_FILE, write_file);
}

static enum weir_status find(struct sim_task *task, struct sim_object **object) {
    bool current = false;
    if (!sim__anthropic_check_version(task, &current)) {
        return WEIR_EINVAL;
    }
    *object = sim__store_find(task->store, SIM_OBJECT_NATIVE_FILE, task->id);
    if (*object == NULL) {
        (void)sim__anthropic_refuse(task, "File not found: %.*s", task->id.length < 100 ? (int)task->id.length : 100,
                                    task->id.at);
        task->refusal.status = 404;
        return WEIR_EINVAL;
    }
    task->effect = *object;
    return sim__object_hold(*object, task->arena);
}

enum weir_status sim__anthropic_files_get(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status == WEIR_OK) {
        write_file(object, task->out);
        task->object = true;
    }
    return status;
}

static void commit_delete(struct sim_task *task) {
    sim__store_remove(task->store, task->effect);
}

enum weir_status sim__anthropic_files_delete(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status == WEIR_OK) {
        weir_buffer_append(task->out, WEIR_SPAN("{\"type\":\"file_deleted\",\"id\":"));
        weir_json_append_string(task->out, object->id);
        weir_buffer_append_byte(task->out, '}');
        task->object = true;
        task->commit = commit_delete;
    }
    return status;
}

enum weir_status sim__anthropic_files_content(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status == WEIR_OK) {
        const struct sim_file *file = object->value;
        task->body = file->content;
        task->type = weir_arena_string(task->arena, file->purpose);
        status = task->type == NULL ? WEIR_ENOMEM : WEIR_OK;
    }
    return status;
}
