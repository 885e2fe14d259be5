/* /v1/uploads: a file that comes in parts. When it is completed or cancelled nothing but the file is left. */
#include "sim/files.h"
#include "sim/form.h"

#include <yyjson.h>

enum { LIFE_S = 3600, MAX_PARTS = 10000 };

struct part {
    struct part *next; /* the one before it in time */
    struct weir_span id, content;
};

/* Lives in the arena of its object. */
struct upload {
    struct weir_span name, purpose;
    int64_t bytes, created_s;
    struct part *parts; /* the newest first */
};

/* What a part's commit needs. */
struct addition {
    struct sim_object *object;
    struct part *part;
};

/* What a completion's commit needs. */
struct completion {
    struct sim_object *upload, *file;
};

static void write_upload(const struct sim_object *object, const char *status, const struct sim_object *file,
                         struct weir_buffer *out) {
    const struct upload *upload = object->value;
    int64_t expires_s = upload->created_s + LIFE_S;
    weir_buffer_append(out, WEIR_SPAN("{\"id\":"));
    weir_json_append_string(out, object->id);
    weir_buffer_printf(
        out, ",\"object\":\"upload\",\"bytes\":%lld,\"created_at\":%lld,\"expires_at\":%lld,\"status\":\"%s\",",
        (long long)upload->bytes, (long long)upload->created_s, (long long)expires_s, status);
    weir_buffer_append(out, WEIR_SPAN("\"filename\":"));
    weir_json_append_string(out, upload->name);
    weir_buffer_append(out, WEIR_SPAN(",\"purpose\":"));
    weir_json_append_string(out, upload->purpose);
    if (file != NULL) {
        weir_buffer_append(out, WEIR_SPAN(",\"file\":"));
        sim__file_write(file, out);
    }
    weir_buffer_append_byte(out, '}');
}

static bool refuse_missing(struct sim_task *task, const char *name) {
    sim__refuse(&task->refusal, 400, name, "missing_required_parameter", "Missing required parameter: '%s'.", name);
    return false;
}

static void commit_create(struct sim_task *task) {
    if (sim__store_add(task->store, task->effect) != WEIR_OK) {
        return; /* without memory it is not remembered, which costs those who ask for it an error */
    }
}

static bool read_create(struct sim_task *task, struct weir_span *name, const char **purpose, int64_t *bytes) {
    static const char *const purposes[] = {"assistants", "batch", "fine-tune", "vision", "user_data", NULL};
    struct weir_span type = WEIR_SPAN("");
    if (!sim__input_string(task->root, "filename", name, &task->refusal) ||
        !sim__input_choice(task->root, "purpose", purposes, purpose, &task->refusal) ||
        !sim__input_number(task->root, "bytes", 1, INT64_MAX, bytes, &task->refusal) ||
        !sim__input_string(task->root, "mime_type", &type, &task->refusal)) {
        return false;
    }
    return (!weir_span_is_empty(*name) || refuse_missing(task, "filename")) &&
           (*purpose != NULL || refuse_missing(task, "purpose")) && (*bytes > 0 || refuse_missing(task, "bytes")) &&
           (!weir_span_is_empty(type) || refuse_missing(task, "mime_type"));
}

enum weir_status sim__uploads_create(struct sim_task *task) {
    struct weir_span name = WEIR_SPAN("");
    const char *purpose = NULL;
    int64_t bytes = 0;
    char *id = sim__task_id(task, "upload_", 24);
    if (!read_create(task, &name, &purpose, &bytes)) {
        return sim__task_failed(task);
    }
    struct sim_object *object = id == NULL ? NULL
                                           : sim__object_new(SIM_OBJECT_UPLOAD, weir_span_of_string(id),
                                                             sizeof(struct upload), task->arena);
    if (object == NULL) {
        return WEIR_ENOMEM;
    }
    struct upload *upload = object->value;
    upload->bytes = bytes;
    upload->created_s = task->now_s;
    upload->purpose = weir_span_of_string(purpose);
    if (weir_arena_dup(object->arena, name, &upload->name) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    task->effect = object;
    task->commit = commit_create;
    write_upload(object, "pending", NULL, task->out);
    task->object = true;
    return WEIR_OK;
}

static enum weir_status find(struct sim_task *task, struct sim_object **object) {
    *object = sim__store_find(task->store, SIM_OBJECT_UPLOAD, task->id);
    if (*object == NULL) {
        sim__refuse(&task->refusal, 404, NULL, NULL, "No such Upload object: %.*s",
                    task->id.length < 100 ? (int)task->id.length : 100, task->id.at);
        return WEIR_EINVAL;
    }
    return sim__object_hold(*object, task->arena);
}

static void commit_part(struct sim_task *task) {
    struct addition *addition = task->effect;
    struct upload *upload = addition->object->value;
    addition->part->next = upload->parts;
    upload->parts = addition->part;
    sim__store_grow(task->store, addition->object, addition->part->content.length);
}

enum weir_status sim__uploads_part(struct sim_task *task) {
    struct addition *addition = weir_arena_alloc(task->arena, sizeof *addition);
    const struct sim_part *data = sim__form_find(task->form, "data");
    char *id = sim__task_id(task, "part_", 24);
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status != WEIR_OK) {
        return status;
    }
    if (data == NULL) {
        (void)refuse_missing(task, "data");
        return WEIR_EINVAL;
    }
    if (data->content.length > sim__store_room(task->store)) {
        sim__refuse(&task->refusal, 400, "data", "storage_limit_exceeded",
                    "The simulator keeps at most 64 MiB of files; delete some.");
        return WEIR_EINVAL;
    }
    struct part *part = weir_arena_alloc(object->arena, sizeof *part);
    if (addition == NULL || id == NULL || part == NULL ||
        weir_arena_dup(object->arena, weir_span_of_string(id), &part->id) != WEIR_OK ||
        weir_arena_dup(object->arena, data->content, &part->content) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    *addition = (struct addition){.object = object, .part = part};
    task->effect = addition;
    task->commit = commit_part;
    weir_buffer_printf(task->out, "{\"id\":\"%s\",\"object\":\"upload.part\",\"created_at\":%lld,\"upload_id\":", id,
                       (long long)task->now_s);
    weir_json_append_string(task->out, object->id);
    weir_buffer_append_byte(task->out, '}');
    task->object = true;
    return WEIR_OK;
}

static const struct part *part_of(const struct upload *upload, struct weir_span id) {
    const struct part *part = upload->parts;
    while (part != NULL && !weir_span_equal(part->id, id)) {
        part = part->next;
    }
    return part;
}

/* The parts in the order that was asked for, as one. */
static bool join(struct sim_task *task, const struct upload *upload, struct weir_buffer *content) {
    yyjson_val *ids = yyjson_obj_get(task->root, "part_ids");
    size_t index;
    size_t count;
    yyjson_val *id;
    if (!yyjson_is_arr(ids) || yyjson_arr_size(ids) == 0 || yyjson_arr_size(ids) > MAX_PARTS) {
        return refuse_missing(task, "part_ids");
    }
    yyjson_arr_foreach(ids, index, count, id) {
        const struct part *part = part_of(upload, sim__input_text(id));
        if (part == NULL) {
            sim__refuse(&task->refusal, 400, "part_ids", "invalid_value", "There is no such part: part_ids[%zu].",
                        index);
            return false;
        }
        weir_buffer_append(content, part->content);
    }
    if (weir_buffer_status(content) != WEIR_OK || (int64_t)content->length != upload->bytes) {
        sim__refuse(&task->refusal, 400, "part_ids", "invalid_value",
                    "The parts are %zu bytes, but the upload was to have %lld.", content->length,
                    (long long)upload->bytes);
        return false;
    }
    return true;
}

static void commit_complete(struct sim_task *task) {
    struct completion *completion = task->effect;
    sim__store_remove(task->store, completion->upload);
    if (sim__store_add(task->store, completion->file) != WEIR_OK) {
        return; /* without memory it is not remembered, which costs those who ask for it an error */
    }
}

enum weir_status sim__uploads_complete(struct sim_task *task) {
    struct completion *completion = weir_arena_alloc(task->arena, sizeof *completion);
    struct sim_object *object = NULL;
    struct weir_buffer content;
    char *id = sim__task_id(task, "file-", 22);
    enum weir_status status = find(task, &object);
    if (status != WEIR_OK) {
        return status;
    }
    const struct upload *upload = object->value;
    weir_buffer_init(&content, SIM_STORE_MAX_BYTES);
    if (!join(task, upload, &content)) {
        status = sim__task_failed(task);
    } else if (completion == NULL || id == NULL) {
        status = WEIR_ENOMEM;
    } else {
        completion->upload = object;
        completion->file = sim__file_new(task, weir_span_of_string(id), upload->name, upload->purpose,
                                         weir_buffer_span(&content));
        status = completion->file != NULL ? WEIR_OK : WEIR_ENOMEM;
    }
    weir_buffer_release(&content);
    if (status == WEIR_OK) {
        task->effect = completion;
        task->commit = commit_complete;
        write_upload(object, "completed", completion->file, task->out);
        task->object = true;
    }
    return status;
}

static void commit_cancel(struct sim_task *task) {
    sim__store_remove(task->store, task->effect);
}

enum weir_status sim__uploads_cancel(struct sim_task *task) {
    struct sim_object *object = NULL;
    enum weir_status status = find(task, &object);
    if (status == WEIR_OK) {
        task->effect = object;
        task->commit = commit_cancel;
        write_upload(object, "cancelled", NULL, task->out);
        task->object = true;
    }
    return status;
}
