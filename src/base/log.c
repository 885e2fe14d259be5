/* A line is a struct on the stack. Its last bytes are kept back for the ending that a cut line needs, so that what
 * is written is a whole JSON object in every case. Bytes that are not UTF-8 become U+FFFD: foreign bytes never
 * decide whether a line can be read. */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { LINE_BYTES = 4096 };

static const char ending[] = "}\n";
static const char ending_cut[] = ",\"cut\":true}\n"; /* the longer one: room for it is kept back */

struct line {
    char bytes[LINE_BYTES];
    size_t length;
    bool cut;
};

static const char *const level_names[] = {
    [WEIR_LOG_DEBUG] = "debug",
    [WEIR_LOG_INFO] = "info",
    [WEIR_LOG_WARNING] = "warning",
    [WEIR_LOG_ERROR] = "error",
};

/* What is left for content; one byte is kept for the quote that closes a cut text, which may be in use already. */
static size_t room(const struct line *line) {
    const size_t content_bytes = LINE_BYTES - (sizeof(ending_cut) - 1) - 1;
    return line->length < content_bytes ? content_bytes - line->length : 0;
}

static bool put(struct line *line, struct weir_span span) {
    if (span.length > room(line)) {
        line->cut = true;
        return false;
    }
    if (span.length > 0) {
        memcpy(line->bytes + line->length, span.at, span.length);
    }
    line->length += span.length;
    return true;
}

static bool is_continuation(unsigned char byte) {
    return (byte & 0xC0U) == 0x80U;
}

/* Bytes of the UTF-8 character at the start of `span`, which is not empty; 0 where there is none (RFC 3629). */
static size_t character_length(struct weir_span span) {
    const unsigned char *at = (const unsigned char *)span.at;
    size_t length = 0;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (at[0] < 0x80) {
        return 1;
    }
    if (at[0] >= 0xC2 && at[0] <= 0xDF) {
        length = 2;
    } else if ((at[0] & 0xF0U) == 0xE0U) {
        length = 3;
        low = at[0] == 0xE0 ? 0xA0 : low;   /* not shorter */
        high = at[0] == 0xED ? 0x9F : high; /* no surrogates */
    } else if (at[0] >= 0xF0 && at[0] <= 0xF4) {
        length = 4;
        low = at[0] == 0xF0 ? 0x90 : low;
        high = at[0] == 0xF4 ? 0x8F : high; /* up to U+10FFFF */
    }
    if (length == 0 || span.length < length || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (!is_continuation(at[i])) {
            return 0;
        }
    }
    return length;
}

/* One character of the JSON text of the byte at `span`'s start; how many bytes of `span` it took. */
static size_t put_character(struct line *line, struct weir_span span) {
    static const char hex_digits[] = "0123456789abcdef";
    unsigned char byte = (unsigned char)span.at[0];
    char escaped[6] = {'\\', 'u', '0', '0', '0', '0'};
    if (byte == '"' || byte == '\\') {
        escaped[1] = (char)byte;
        return put(line, weir_span_of(escaped, 2)) ? 1 : 0;
    }
    if (byte == '\n' || byte == '\t' || byte == '\r') {
        escaped[1] = byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r';
        return put(line, weir_span_of(escaped, 2)) ? 1 : 0;
    }
    if (byte < 0x20 || byte == 0x7F) {
        escaped[4] = hex_digits[byte >> 4];
        escaped[5] = hex_digits[byte & 0x0FU];
        return put(line, weir_span_of(escaped, 6)) ? 1 : 0;
    }
    size_t length = character_length(span);
    if (length == 0) {
        return put(line, WEIR_SPAN("\\ufffd")) ? 1 : 0;
    }
    return put(line, weir_span_first(span, length)) ? length : 0;
}

/* A JSON string. Where it does not fit it ends early, still closed. */
static void put_text(struct line *line, struct weir_span text) {
    if (!put(line, WEIR_SPAN("\""))) {
        return;
    }
    while (text.length > 0 && !line->cut) {
        text = weir_span_from(text, put_character(line, text));
    }
    line->bytes[line->length++] = '"'; /* the byte that room() keeps */
}

static void put_integer(struct line *line, int64_t value) {
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%lld", (long long)value);
    put(line, weir_span_of(digits, (size_t)length));
}

static void put_field(struct line *line, const struct weir_log_field *field) {
    size_t start = line->length;
    put(line, line->length == 0 ? WEIR_SPAN("{") : WEIR_SPAN(","));
    if (!line->cut) {
        put_text(line, weir_span_of_string(field->name));
    }
    if (!line->cut) {
        put(line, WEIR_SPAN(":"));
    }
    size_t value_start = line->length;
    if (!line->cut) {
        if (field->kind == WEIR_LOG_SPAN) {
            put_text(line, field->span);
        } else if (field->kind == WEIR_LOG_INTEGER) {
            put_integer(line, field->integer);
        } else {
            put(line, field->integer != 0 ? WEIR_SPAN("true") : WEIR_SPAN("false"));
        }
    }
    /* A cut text is worth keeping; a name without a value is not JSON. */
    if (line->cut && (line->length == value_start || field->kind != WEIR_LOG_SPAN)) {
        line->length = start;
    }
}

/* A log that cannot be written loses the line: nothing waits for it. */
static void write_all(int fd, struct weir_span text) {
    ssize_t written;
    do {
        written = write(fd, text.at, text.length);
    } while (written < 0 && errno == EINTR);
}

void weir_log_flush(const struct weir_log *log) {
    if (log->batch == NULL || log->batch->length == 0) {
        return;
    }
    write_all(log->fd, weir_buffer_span(log->batch));
    weir_buffer_clear(log->batch);
}

void weir_log_emit(const struct weir_log *log, enum weir_log_level level, struct weir_span line) {
    if (log->batch == NULL || level > WEIR_LOG_INFO) {
        weir_log_flush(log);
        write_all(log->fd, line);
        return;
    }
    if (log->batch->length + line.length > log->batch->max_bytes) {
        weir_log_flush(log);
    }
    weir_buffer_append(log->batch, line);
    if (weir_buffer_status(log->batch) != WEIR_OK) {
        weir_buffer_clear(log->batch);
        write_all(log->fd, line);
    }
}

void weir_log_write(const struct weir_log *log, enum weir_log_level level, const char *event,
                    const struct weir_log_field *fields) {
    if (log == NULL || log->fd < 0 || level < log->minimum) {
        return;
    }
    struct line line;
    line.length = 0;
    line.cut = false;
    char time_text[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(weir_clock_utc_us(), time_text);
    put_field(&line, &WEIR_LOG_T("time", time_text));
    put_field(&line, &WEIR_LOG_T("level", level_names[level]));
    if (log->part != NULL) {
        put_field(&line, &WEIR_LOG_T("part", log->part));
    }
    put_field(&line, &WEIR_LOG_T("event", event));
    for (const struct weir_log_field *field = fields; field->kind != WEIR_LOG_END && !line.cut; field++) {
        put_field(&line, field);
    }
    struct weir_span last = weir_span_of_string(line.cut ? ending_cut : ending);
    memcpy(line.bytes + line.length, last.at, last.length);
    line.length += last.length;
    /* A log that cannot be written has nobody to be told to. */
    ssize_t written = 0;
    do {
        written = write(log->fd, line.bytes, line.length);
    } while (written < 0 && errno == EINTR);
}

enum weir_status weir_log_level_parse(struct weir_span text, enum weir_log_level *level) {
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (weir_span_equal(text, weir_span_of_string(level_names[i]))) {
            *level = (enum weir_log_level)i;
            return WEIR_OK;
        }
    }
    return WEIR_EINVAL;
}
