/* /v1/files: what was uploaded comes back byte for byte. */
#include "sim/files.h"

#include "sim/form.h"
#include "sim/page.h"

#include <yyjson.h>

enum { MIN_LIFE_S = 3600, MAX_LIFE_S = 2592000, MAX_PAGE = 10000 };

struct sim_object *sim__file_new(struct sim_task *task, struct weir_span id, struct weir_span name,
                                 struct weir_span purpose, struct weir_span content) {
    struct sim_object *object = sim__object_new(SIM_OBJECT_FILE, id, sizeof(struct sim_file), task->arena);
    if (object == NULL) {
        return NULL;
    }
    struct sim_file *file = object->value;
    file->created_s = task->now_s;
    object->bytes = content.length;
    return weir_arena_dup(object->arena, name, &file->name) == WEIR_OK &&
                   weir_arena_dup(object->arena, purpose, &file->purpose) == WEIR_OK &&
                   weir_arena_dup(object->arena, content, &file->content) == WEIR_OK
               ? object
               : NULL;
}

enum weir_status sim__files_gather(struct sim_task *task, enum sim_object_kind kind, struct weir_span purpose,
                                   struct sim_object ***objects, size_t *count) {
    const struct weir_list *list = sim__store_list(task->store, kind);
    size_t room = 0;
    for (const struct weir_list *link = list->next; link != list; link = link->next) {
        room++;
    }
    *count = 0;
    *objects = weir_arena_array(task->arena, room, sizeof **objects);
    if (*objects == NULL) {
        return WEIR_ENOMEM;
    }
    for (struct weir_list *link = list->next; link != list; link = link->next) {
        struct sim_object *object = WEIR_CONTAINER_OF(link, struct sim_object, link);
        if (weir_span_is_empty(purpose) ||
            weir_span_equal(purpose, ((const struct sim_file *)object->value)->purpose)) {
            (*objects)[(*count)++] = object;
        }
    }
    return WEIR_OK;
}

struct weir_span sim__object_id(const void *objects, size_t index) {
    struct sim_object *const *all = objects;
    return all[index]->id;
}

void sim__file_write(const struct sim_object *object, struct weir_buffer *out) {
    const struct sim_file *file = object->value;
    weir_buffer_append(out, WEIR_SPAN("{\"id\":"));
    weir_json_append_string(out, object->id);
    weir_buffer_printf(out, ",\"object\":\"file\",\"bytes\":%zu,\"created_at\":%lld,", file->content.length,
                       (long long)file->created_s);
    if (file->expires_s > 0) {
        weir_buffer_printf(out, "\"expires_at\":%lld,", (long long)file->expires_s);
    }
    weir_buffer_append(out, WEIR_SPAN("\"filename\":"));
    weir_json_append_string(out, file->name);
    weir_buffer_append(out, WEIR_SPAN(",\"purpose\":"));
    weir_json_append_string(out, file->purpose);
    weir_buffer_append(out, WEIR_SPAN(",\"status\":\"processed\"}"));
}

static void write_at(const void *objects, size_t index, struct weir_buffer *out) {
    struct sim_object *const *all = objects;
    sim__file_write(all[index], out);
}

static void commit_add(struct sim_task *task) {
    if (sim__store_add(task->store, task->effect) != WEIR_OK) {
        return; /* without memory it is not remembered, which costs those who ask for it an error */
    }
}

static bool read_life(struct sim_task *task, int64_t *life_s) {
    static const char *const anchors[] = {"created_at", NULL};
    const char *anchor = NULL;
    if (!sim__input_choice(task->root, "expires_after[anchor]", anchors, &anchor, &task->refusal) ||
        !sim__input_number(task->root, "expires_after[seconds]", MIN_LIFE_S, MAX_LIFE_S, life_s, &task->refusal)) {
        return false;
    }
    if ((anchor == NULL) != (*life_s == 0)) {
        sim__refuse(&task->refusal, 400, "expires_after", "missing_required_parameter",
                    "'expires_after' needs an anchor and seconds.");
        return false;
    }
    return true;
}

enum weir_status sim__files_create(struct sim_task *task) {
    static const char *const purposes[] = {"assistants", "batch", "fine-tune", "vision", "user_data", "evals", NULL};
    const struct sim_part *part = sim__form_find(task->form, "file");
    const char *purpose = NULL;
    int64_t life_s = 0;
    char *id = sim__task_id(task, "file-", 22);
    if (id == NULL) {
        return WEIR_ENOMEM;
    }
    if (!sim__input_choice(task->root, "purpose", purposes, &purpose, &task->refusal) || !read_life(task, &life_s)) {
        return sim__task_failed(task);
    }
    if (purpose == NULL || part == NULL) {
        const char *name = part == NULL ? "file" : "purpose";
        sim__refuse(&task->refusal, 400, name, "missing_required_parameter", "Missing required parameter: '%s'.", name);
        return WEIR_EINVAL;
    }
    if (part->content.length > sim__store_room(task->store)) {
        sim__refuse(&task->refusal, 400, "file", "storage_limit_exceeded",
                    "The simulator keeps at most 64 MiB of files; delete some.");
        return WEIR_EINVAL;
    }
    struct sim_object *object = sim__file_new(task, weir_span_of_string(id),
                                              part->has_file_name ? part->file_name : WEIR_SPAN("upload"),
                                              weir_span_of_string(purpose), part->content);
    if (object == NULL) {
        return WEIR_ENOMEM;
    }
    ((struct sim_file *)object->value)->expires_s = life_s > 0 ? task->now_s + life_s : 0;
    task->effect = object;
    task->commit = commit_add;
    sim__file_write(object, task->out);
    task->object = true;
    return WEIR_OK;
}

enum weir_status sim__files_list(struct sim_task *task) {
    struct sim_object **objects = NULL;
    struct weir_span purpose = WEIR_SPAN("");
    struct sim_page_source source = {.id = sim__object_id, .write = write_at};
    (void)sim__task_query(task, "purpose", &purpose);
    enum weir_status status = sim__files_gather(task, SIM_OBJECT_FILE, purpose, &objects, &source.count);
    source.owner = objects;
    return status != WEIR_OK
               ? status
               : sim__page_write(task, &source, &(const struct sim_page_limits){.usual = MAX_PAGE, .most = MAX_PAGE});
}

static enum weir_status find(struct sim_task *task, struct sim_object **object) {
    *object = sim__store_find(task->store, SIM_OBJECT_FILE, task->id);
    if (*object == NULL) {
        sim__refuse(&task->refusal, 404, "id", NULL, "No such File object: %.*s",
                    task->id.length < 100 ? (int)task->id.length : 100, task->id.at);
        return WEIR_EINVAL;
    }
    task->effect = *object;
    return sim__object_hold(*object, task->arena);
}

enum weir_status sim__files_get(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status == WEIR_OK) {
        sim__file_write(object, task->out);
        task->object = true;
    }
    return status;
}

static void commit_delete(struct sim_task *task) {
    sim__store_remove(task->store, task->effect);
}

enum weir_status sim__files_delete(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status == WEIR_OK) {
        weir_buffer_append(task->out, WEIR_SPAN("{\"id\":"));
        weir_json_append_string(task->out, object->id);
        weir_buffer_append(task->out, WEIR_SPAN(",\"object\":\"file\",\"deleted\":true}"));
        task->object = true;
        task->commit = commit_delete;
    }
    return status;
}

enum weir_status sim__files_content(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status == WEIR_OK) {
        task->body = ((const struct sim_file *)object->value)->content;
        task->type = "application/octet-stream";
    }
    return status;
}
