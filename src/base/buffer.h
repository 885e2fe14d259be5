/* A growable byte buffer that is born with its maximum and remembers its first failure.
 *
 * Appending to a failed buffer does nothing, so that a builder checks once, at the end (weir_buffer_status).
 * Memory is from the heap; one owner; not thread-safe.
 */
#ifndef WEIR_BASE_BUFFER_H
#define WEIR_BASE_BUFFER_H

#include "base/span.h"

struct weir_buffer {
    char *at;
    size_t length;
    size_t capacity;
    size_t max_bytes;
    enum weir_status status;
};

/* Allocates nothing yet. */
void weir_buffer_init(struct weir_buffer *buffer, size_t max_bytes);
/* Frees the bytes; the buffer is as after weir_buffer_init. */
void weir_buffer_release(struct weir_buffer *buffer);
/* Forgets the content and the failure, keeps the memory. */
void weir_buffer_clear(struct weir_buffer *buffer);
/* Room for `more` bytes at the end: a pointer to write to, then weir_buffer_commit. NULL on failure. */
char *weir_buffer_reserve(struct weir_buffer *buffer, size_t more);
void weir_buffer_commit(struct weir_buffer *buffer, size_t written);
void weir_buffer_append(struct weir_buffer *buffer, struct weir_span span);
void weir_buffer_append_byte(struct weir_buffer *buffer, char byte);
void weir_buffer_append_uint64(struct weir_buffer *buffer, uint64_t value);
void weir_buffer_append_int64(struct weir_buffer *buffer, int64_t value);
void weir_buffer_printf(struct weir_buffer *buffer, const char *format, ...) WEIR_PRINTF(2, 3);
/* Removes `count` bytes from the front. */
void weir_buffer_consume(struct weir_buffer *buffer, size_t count);
/* WEIR_OK, or the first failure: WEIR_ELIMIT past the maximum, WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_buffer_status(const struct weir_buffer *buffer);
/* Moves the content out; the source is empty afterwards. */
struct weir_buffer weir_buffer_take(struct weir_buffer *buffer);
static inline struct weir_span weir_buffer_span(const struct weir_buffer *buffer) {
    return weir_span_of(buffer->at != NULL ? buffer->at : "", buffer->length);
}

#endif
