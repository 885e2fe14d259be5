/* One byte more than the capacity is always allocated: printf may end its text with a NUL there without the maximum,
 * which counts content, being in its way. */
#include "base/buffer.h"

#include "base/arithmetic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_BYTES = 256 };

void weir_buffer_init(struct weir_buffer *buffer, size_t max_bytes) {
    *buffer = (struct weir_buffer){.max_bytes = max_bytes};
}

void weir_buffer_release(struct weir_buffer *buffer) {
    free(buffer->at);
    weir_buffer_init(buffer, buffer->max_bytes);
}

void weir_buffer_clear(struct weir_buffer *buffer) {
    buffer->length = 0;
    buffer->status = WEIR_OK;
}

/* Room for `capacity` bytes at least, which is within the maximum. */
static bool grow(struct weir_buffer *buffer, size_t capacity) {
    size_t doubled = 0;
    if (!weir_multiply_size(buffer->capacity, 2, &doubled) || doubled > buffer->max_bytes) {
        doubled = buffer->max_bytes;
    }
    if (doubled < FIRST_BYTES) {
        doubled = buffer->max_bytes < FIRST_BYTES ? buffer->max_bytes : FIRST_BYTES;
    }
    size_t wanted = doubled > capacity ? doubled : capacity;
    size_t bytes = 0;
    char *grown = weir_add_size(wanted, 1, &bytes) ? realloc(buffer->at, bytes) : NULL;
    if (grown == NULL) {
        buffer->status = WEIR_ENOMEM;
        return false;
    }
    buffer->at = grown;
    buffer->capacity = wanted;
    return true;
}

/* Where `more` bytes fit as it is; else NULL. The maximum may have been lowered since the memory was taken. */
static inline char *room(const struct weir_buffer *buffer, size_t more) {
    bool fits = buffer->status == WEIR_OK && buffer->at != NULL && more <= buffer->capacity - buffer->length &&
                buffer->length + more <= buffer->max_bytes;
    return fits ? buffer->at + buffer->length : NULL;
}

char *weir_buffer_reserve(struct weir_buffer *buffer, size_t more) {
    char *to = room(buffer, more);
    if (to != NULL) {
        return to;
    }
    if (buffer->status != WEIR_OK) {
        return NULL;
    }
    size_t needed = 0;
    if (!weir_add_size(buffer->length, more, &needed) || needed > buffer->max_bytes) {
        buffer->status = WEIR_ELIMIT;
        return NULL;
    }
    if ((buffer->at == NULL || needed > buffer->capacity) && !grow(buffer, needed)) {
        return NULL;
    }
    return buffer->at + buffer->length;
}

void weir_buffer_commit(struct weir_buffer *buffer, size_t written) {
    weir_bug_on(written > buffer->capacity - buffer->length);
    buffer->length += written;
}

void weir_buffer_append(struct weir_buffer *buffer, struct weir_span span) {
    if (span.length == 0) {
        return;
    }
    char *to = room(buffer, span.length);
    if (to == NULL) {
        to = weir_buffer_reserve(buffer, span.length);
    }
    if (to != NULL) {
        memcpy(to, span.at, span.length);
        buffer->length += span.length;
    }
}

void weir_buffer_append_byte(struct weir_buffer *buffer, char byte) {
    char *to = room(buffer, 1);
    if (to == NULL) {
        to = weir_buffer_reserve(buffer, 1);
    }
    if (to != NULL) {
        *to = byte;
        buffer->length++;
    }
}

/* Decimal digits of `value`, written to end before `end`; where they begin. */
static char *digits_before(char *end, uint64_t value) {
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return end;
}

void weir_buffer_append_uint64(struct weir_buffer *buffer, uint64_t value) {
    char text[20];
    char *end = text + sizeof(text);
    char *start = digits_before(end, value);
    weir_buffer_append(buffer, weir_span_of(start, (size_t)(end - start)));
}

void weir_buffer_append_int64(struct weir_buffer *buffer, int64_t value) {
    char text[21];
    char *end = text + sizeof(text);
    char *start = digits_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0) {
        *--start = '-';
    }
    weir_buffer_append(buffer, weir_span_of(start, (size_t)(end - start)));
}

void weir_buffer_printf(struct weir_buffer *buffer, const char *format, ...) {
    if (weir_buffer_reserve(buffer, 0) == NULL) {
        return;
    }
    size_t room = buffer->capacity - buffer->length;
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int wanted = vsnprintf(buffer->at + buffer->length, room + 1, format, arguments);
    if (wanted < 0) {
        buffer->status = WEIR_EINVAL;
    } else if ((size_t)wanted <= room) {
        buffer->length += (size_t)wanted;
    } else if (weir_buffer_reserve(buffer, (size_t)wanted) != NULL) {
        vsnprintf(buffer->at + buffer->length, (size_t)wanted + 1, format, again);
        buffer->length += (size_t)wanted;
    }
    va_end(again);
    va_end(arguments);
}

void weir_buffer_consume(struct weir_buffer *buffer, size_t count) {
    weir_bug_on(count > buffer->length);
    if (count == 0) {
        return;
    }
    buffer->length -= count;
    memmove(buffer->at, buffer->at + count, buffer->length);
}

enum weir_status weir_buffer_status(const struct weir_buffer *buffer) {
    return buffer->status;
}

struct weir_buffer weir_buffer_take(struct weir_buffer *buffer) {
    struct weir_buffer taken = *buffer;
    weir_buffer_init(buffer, buffer->max_bytes);
    return taken;
}
