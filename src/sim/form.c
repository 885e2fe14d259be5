/* See form.h. */
#include "sim/form.h"

#include "http/multipart.h"
#include "json/scan.h"
#include "json/write.h"

#define MAX_OBJECT_BYTES ((size_t)128 * 1024 * 1024)

struct reading {
    struct sim_form *form;
    struct weir_arena *arena;
    struct weir_span body;
    size_t room;
};

static enum weir_status on_part(void *owner, const struct weir_multipart_part *part) {
    struct reading *reading = owner;
    struct sim_form *form = reading->form;
    if (form->count == reading->room) {
        size_t room = reading->room == 0 ? 8 : 2 * reading->room;
        struct sim_part *parts = weir_arena_array(reading->arena, room, sizeof *parts);
        if (parts == NULL) {
            return WEIR_ENOMEM;
        }
        if (form->count > 0) {
            memcpy(parts, form->parts, form->count * sizeof *parts);
        }
        form->parts = parts;
        reading->room = room;
    }
    struct sim_part *kept = &form->parts[form->count];
    *kept = (struct sim_part){
        .has_file_name = part->has_file_name,
        .content = weir_span_from(reading->body, (size_t)part->content_at),
    };
    if (weir_arena_dup(reading->arena, part->name, &kept->name) != WEIR_OK ||
        weir_arena_dup(reading->arena, part->file_name, &kept->file_name) != WEIR_OK ||
        weir_arena_dup(reading->arena, part->content_type, &kept->content_type) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    form->count++;
    return WEIR_OK;
}

static enum weir_status on_content(void *owner, struct weir_span data) {
    (void)owner;
    (void)data;
    return WEIR_OK;
}

static enum weir_status on_part_end(void *owner, uint64_t content_end) {
    struct reading *reading = owner;
    struct sim_part *part = &reading->form->parts[reading->form->count - 1];
    part->content.length = (size_t)content_end - (size_t)(part->content.at - reading->body.at);
    return WEIR_OK;
}

static const struct weir_multipart_events events = {
    .on_part = on_part,
    .on_content = on_content,
    .on_part_end = on_part_end,
};

/* --- as an object --- */

static bool is_list(struct weir_span name) {
    return weir_span_ends_with(name, WEIR_SPAN("[]"));
}

static struct weir_span plain_name(struct weir_span name) {
    return is_list(name) ? weir_span_first(name, name.length - 2) : name;
}

static bool is_literal(const struct sim_part *part) {
    static const char *const names[] = {
        "n", "stream", "partial_images", "output_compression", "temperature", "expires_after[seconds]"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (weir_span_equal(part->name, weir_span_of_string(names[i]))) {
            struct weir_json_found root;
            return weir_json_scan(part->content, NULL, 0, NULL, &root, NULL) == WEIR_OK &&
                   (root.kind == WEIR_JSON_NUMBER || root.kind == WEIR_JSON_TRUE || root.kind == WEIR_JSON_FALSE);
        }
    }
    return false;
}

static bool is_later(const struct sim_form *form, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (weir_span_equal(form->parts[i].name, form->parts[index].name)) {
            return true;
        }
    }
    return false;
}

static void write_value(const struct sim_part *part, struct weir_buffer *out) {
    if (is_literal(part)) {
        weir_buffer_append(out, part->content);
    } else {
        weir_json_append_string(out, part->content);
    }
}

static void write_list(const struct sim_form *form, size_t first, struct weir_buffer *out) {
    bool written = false;
    weir_buffer_append_byte(out, '[');
    for (size_t i = first; i < form->count; i++) {
        if (weir_span_equal(form->parts[i].name, form->parts[first].name) && !form->parts[i].has_file_name) {
            weir_buffer_append(out, written ? WEIR_SPAN(",") : WEIR_SPAN(""));
            write_value(&form->parts[i], out);
            written = true;
        }
    }
    weir_buffer_append_byte(out, ']');
}

static void write_object(const struct sim_form *form, struct weir_buffer *out) {
    weir_buffer_append_byte(out, '{');
    for (size_t i = 0; i < form->count; i++) {
        const struct sim_part *part = &form->parts[i];
        if (part->has_file_name || is_later(form, i)) {
            continue;
        }
        weir_buffer_append(out, out->length > 1 ? WEIR_SPAN(",") : WEIR_SPAN(""));
        weir_json_append_string(out, plain_name(part->name));
        weir_buffer_append_byte(out, ':');
        if (is_list(part->name)) {
            write_list(form, i, out);
        } else {
            write_value(part, out);
        }
    }
    weir_buffer_append_byte(out, '}');
}

enum weir_status sim__form_read(struct sim_form *form, struct weir_arena *arena, struct weir_span content_type,
                                struct weir_span body, struct yyjson_val **root, struct sim_refusal *refusal) {
    struct reading reading = {.form = form, .arena = arena, .body = body};
    struct weir_span boundary;
    *form = (struct sim_form){.count = 0};
    if (weir_multipart_boundary(content_type, &boundary) != WEIR_OK) {
        sim__refuse(refusal, 400, NULL, NULL,
                    "Invalid Content-Type: this endpoint takes multipart/form-data with a boundary.");
        return WEIR_EINVAL;
    }
    struct weir_multipart *reader = weir_multipart_new(boundary, &events, &reading);
    if (reader == NULL) {
        return WEIR_ENOMEM;
    }
    enum weir_status status = weir_multipart_feed(reader, body);
    if (status == WEIR_OK) {
        status = weir_multipart_finish(reader);
    }
    if (status != WEIR_OK && status != WEIR_ENOMEM) {
        sim__refuse(refusal, 400, NULL, NULL, "We could not parse the multipart body of your request: %s.",
                    weir_multipart_problem(reader));
        status = WEIR_EINVAL;
    }
    weir_multipart_free(&reader);
    if (status != WEIR_OK) {
        return status;
    }
    struct weir_buffer object;
    struct weir_span kept;
    weir_buffer_init(&object, MAX_OBJECT_BYTES);
    write_object(form, &object);
    status = weir_buffer_status(&object) == WEIR_OK ? weir_arena_dup(arena, weir_buffer_span(&object), &kept)
                                                    : WEIR_ENOMEM;
    weir_buffer_release(&object);
    return status == WEIR_OK ? sim__input_object(arena, kept, root, refusal) : status;
}

const struct sim_part *sim__form_find(const struct sim_form *form, const char *name) {
    for (size_t i = 0; i < form->count; i++) {
        if (weir_span_equal(plain_name(form->parts[i].name), weir_span_of_string(name))) {
            return &form->parts[i];
        }
    }
    return NULL;
}

size_t sim__form_count(const struct sim_form *form, const char *name) {
    size_t count = 0;
    for (size_t i = 0; i < form->count; i++) {
        count += weir_span_equal(plain_name(form->parts[i].name), weir_span_of_string(name)) ? 1 : 0;
    }
    return count;
}
