/* Writes JSON into a buffer. Commas are placed by the writer; a wrong nesting is our own mistake (weir_bug_on). */
#ifndef WEIR_JSON_WRITE_H
#define WEIR_JSON_WRITE_H

#include "base/buffer.h"

enum { WEIR_JSON_WRITE_DEPTH = 32 };
struct weir_json_writer {
    struct weir_buffer *out; /* borrowed */
    unsigned depth;
    bool need_comma;
    bool after_name;
    char open[WEIR_JSON_WRITE_DEPTH]; /* '{' or '[' a level */
};

void weir_json_writer_init(struct weir_json_writer *writer, struct weir_buffer *out);
void weir_json_write_object(struct weir_json_writer *writer); /* { */
void weir_json_write_array(struct weir_json_writer *writer);  /* [ */
void weir_json_write_end(struct weir_json_writer *writer);    /* } or ] */
void weir_json_write_name(struct weir_json_writer *writer, const char *name);
/* Escapes what must be escaped; invalid UTF-8 becomes U+FFFD, so that the output is always valid. */
void weir_json_write_string(struct weir_json_writer *writer, struct weir_span text);
void weir_json_write_int64(struct weir_json_writer *writer, int64_t value);
void weir_json_write_bool(struct weir_json_writer *writer, bool value);
void weir_json_write_null(struct weir_json_writer *writer);
/* Already JSON: goes in as it is. */
void weir_json_write_raw(struct weir_json_writer *writer, struct weir_span json);
/* name and value in one call */
void weir_json_member_string(struct weir_json_writer *writer, const char *name, struct weir_span text);
void weir_json_member_text(struct weir_json_writer *writer, const char *name, const char *text); /* NULL writes null */
void weir_json_member_int64(struct weir_json_writer *writer, const char *name, int64_t value);
void weir_json_member_bool(struct weir_json_writer *writer, const char *name, bool value);

/* Appends `text` as a quoted JSON string to a buffer. */
void weir_json_append_string(struct weir_buffer *out, struct weir_span text);

#endif
