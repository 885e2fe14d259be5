/* See kept.h. Heads are cut up again only when somebody asks: keeping a request is an exchange of buffers. */
#include "sim/kept.h"

#include "base/limits.h"
#include "json/write.h"

/* A buffer that has grown beyond this is freed instead of being used again. */
#define REUSE_MAX_BYTES (256 * WEIR_KIB)
#define ALL_BODIES_MAX_BYTES (128 * WEIR_MIB)

void sim__kept_init(struct sim_kept *kept, size_t max_body_bytes) {
    *kept = (struct sim_kept){.added = 0};
    for (size_t i = 0; i < SIM_KEPT_REQUESTS; i++) {
        weir_buffer_init(&kept->requests[i].head, 2 * WEIR_MAX_HEAD_BYTES);
        weir_buffer_init(&kept->requests[i].body, max_body_bytes);
    }
}

static void forget(struct sim_kept_request *request) {
    weir_buffer_release(&request->head);
    weir_buffer_release(&request->body);
    request->id = WEIR_SPAN("");
}

void sim__kept_release(struct sim_kept *kept) {
    for (size_t i = 0; i < SIM_KEPT_REQUESTS; i++) {
        forget(&kept->requests[i]);
    }
}

static void swap(struct weir_buffer *a, struct weir_buffer *b) {
    struct weir_buffer between = *a;
    *a = *b;
    *b = between;
}

static void recycle(struct weir_buffer *buffer) {
    if (buffer->capacity > REUSE_MAX_BYTES) {
        weir_buffer_release(buffer);
    }
    weir_buffer_clear(buffer);
}

/* Large bodies are the exception: only they make the walk over all of them worth its time. */
static void bound_memory(struct sim_kept *kept) {
    size_t bytes = 0;
    for (uint64_t back = 1; back <= SIM_KEPT_REQUESTS && back <= kept->added; back++) {
        struct sim_kept_request *request = &kept->requests[(kept->added - back) % SIM_KEPT_REQUESTS];
        bytes += request->body.capacity;
        if (bytes > ALL_BODIES_MAX_BYTES && back > 1) {
            forget(request);
        }
    }
}

const struct sim_kept_request *sim__kept_add(struct sim_kept *kept, struct weir_buffer *head, struct weir_buffer *body,
                                             struct weir_span id) {
    struct sim_kept_request *request = &kept->requests[kept->added % SIM_KEPT_REQUESTS];
    kept->added++;
    swap(&request->head, head);
    swap(&request->body, body);
    request->id = id;
    recycle(head);
    recycle(body);
    if (request->body.capacity > REUSE_MAX_BYTES) {
        bound_memory(kept);
    }
    return request;
}

const struct sim_kept_request *sim__kept_find(const struct sim_kept *kept, struct weir_span id) {
    for (uint64_t back = 1; back <= SIM_KEPT_REQUESTS && back <= kept->added; back++) {
        const struct sim_kept_request *request = &kept->requests[(kept->added - back) % SIM_KEPT_REQUESTS];
        if (request->head.length > 0 && (weir_span_is_empty(id) || weir_span_equal(request->id, id))) {
            return request;
        }
    }
    return NULL;
}

/* The next line of a head without its end. */
static struct weir_span take_line(struct weir_span *head) {
    struct weir_span line;
    (void)weir_span_split(*head, '\n', &line, head);
    if (line.length > 0 && line.at[line.length - 1] == '\r') {
        line.length--;
    }
    return line;
}

static void lower(struct weir_span name, char *out, size_t out_size) {
    size_t length = name.length < out_size - 1 ? name.length : out_size - 1;
    for (size_t i = 0; i < length; i++) {
        char byte = name.at[i];
        out[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
    }
    out[length] = '\0';
}

/* Appends ", value" for each later field of that name; true when an earlier one has it. */
static bool gather(struct weir_span fields, struct weir_span name, size_t own_at, const char *origin,
                   struct weir_buffer *value) {
    while (!weir_span_is_empty(fields)) {
        size_t at = (size_t)(fields.at - origin);
        struct weir_span other_name;
        struct weir_span other_value;
        struct weir_span line = take_line(&fields);
        if (!weir_span_split(line, ':', &other_name, &other_value) || at == own_at ||
            !weir_span_equal_ignore_case(name, other_name)) {
            continue;
        }
        if (at < own_at) {
            return true;
        }
        weir_buffer_append(value, WEIR_SPAN(", "));
        weir_buffer_append(value, weir_span_trim(other_value));
    }
    return false;
}

static void write_fields(struct weir_json_writer *writer, struct weir_span fields) {
    struct weir_buffer value;
    weir_buffer_init(&value, 2 * WEIR_MAX_HEAD_BYTES);
    struct weir_span rest = fields;
    while (!weir_span_is_empty(rest)) {
        size_t at = (size_t)(rest.at - fields.at);
        struct weir_span name;
        struct weir_span own;
        struct weir_span line = take_line(&rest);
        if (!weir_span_split(line, ':', &name, &own)) {
            continue;
        }
        weir_buffer_clear(&value);
        weir_buffer_append(&value, weir_span_trim(own));
        if (gather(fields, name, at, fields.at, &value)) {
            continue;
        }
        char lower_name[256];
        lower(name, lower_name, sizeof lower_name);
        weir_json_member_string(writer, lower_name, weir_buffer_span(&value));
    }
    weir_buffer_release(&value);
}

static void write_request(const struct sim_kept_request *request, struct weir_json_writer *writer) {
    struct weir_span head = weir_buffer_span(&request->head);
    struct weir_span fields = head;
    struct weir_span line = take_line(&fields);
    struct weir_span method;
    struct weir_span target;
    struct weir_span version;
    (void)weir_span_split(line, ' ', &method, &line);
    (void)weir_span_split(line, ' ', &target, &version);
    weir_json_write_object(writer);
    weir_json_member_string(writer, "method", method);
    weir_json_member_string(writer, "path", target);
    weir_json_member_string(writer, "version", version);
    weir_json_write_name(writer, "headers");
    weir_json_write_object(writer);
    write_fields(writer, fields);
    weir_json_write_end(writer);
    weir_json_member_string(writer, "raw_head", head);
    weir_json_member_string(writer, "body", weir_buffer_span(&request->body));
    weir_json_write_end(writer);
}

void sim__kept_write(const struct sim_kept_request *request, struct weir_buffer *out) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    write_request(request, &writer);
}

void sim__kept_write_all(const struct sim_kept *kept, struct weir_buffer *out) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_array(&writer);
    uint64_t count = kept->added < SIM_KEPT_REQUESTS ? kept->added : SIM_KEPT_REQUESTS;
    for (uint64_t i = kept->added - count; i < kept->added; i++) {
        const struct sim_kept_request *request = &kept->requests[i % SIM_KEPT_REQUESTS];
        if (request->head.length > 0) {
            write_request(request, &writer);
        }
    }
    weir_json_write_end(&writer);
}
