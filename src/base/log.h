/* Structured logs: one JSON object a line, on a file descriptor (standard error by default).
 *
 * A line is built on the caller's stack and written by one write(2), so that threads need no lock. There is no way to
 * log a struct weir_secret, and no call site passes prompts, answers or credentials.
 */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include "base/buffer.h"

enum weir_log_level { WEIR_LOG_DEBUG, WEIR_LOG_INFO, WEIR_LOG_WARNING, WEIR_LOG_ERROR };

struct weir_log {
    int fd;                      /* where lines go; -1: nowhere */
    enum weir_log_level minimum; /* lines below it are dropped */
    const char *part;            /* value of "part": "worker-0", "store", ...; may be NULL */
    struct weir_buffer
        *batch; /* one thread's: info lines gather here until weir_log_flush; NULL: each is written at once */
};

enum weir_log_kind { WEIR_LOG_END = 0, WEIR_LOG_SPAN, WEIR_LOG_INTEGER, WEIR_LOG_BOOL };
struct weir_log_field {
    const char *name;
    enum weir_log_kind kind;
    struct weir_span span;
    int64_t integer;
};
#define WEIR_LOG_S(field_name, value) \
    ((struct weir_log_field){.name = field_name, .kind = WEIR_LOG_SPAN, .span = value})
#define WEIR_LOG_T(field_name, text) WEIR_LOG_S(field_name, weir_span_of_string(text))
#define WEIR_LOG_I(field_name, value) \
    ((struct weir_log_field){.name = field_name, .kind = WEIR_LOG_INTEGER, .integer = (int64_t)(value)})
#define WEIR_LOG_B(field_name, value) \
    ((struct weir_log_field){.name = field_name, .kind = WEIR_LOG_BOOL, .integer = (value) ? 1 : 0})

/* Writes {"time","level","part","event", fields…}. Values are escaped; a line is cut at 4 KiB with "cut":true.
 * `fields` ends with a field of kind WEIR_LOG_END; use weir_log(). */
void weir_log_write(const struct weir_log *log, enum weir_log_level level, const char *event,
                    const struct weir_log_field *fields);
#define weir_log(log, level, event, ...) \
    weir_log_write((log), (level), (event), (const struct weir_log_field[]){__VA_ARGS__ __VA_OPT__(, ){.name = NULL}})
/* Writes a finished line, or gathers it where the log has a batch and the line is no worse than info. */
void weir_log_emit(const struct weir_log *log, enum weir_log_level level, struct weir_span line);
/* Writes what has gathered. */
void weir_log_flush(const struct weir_log *log);
/* "debug", "info", "warning", "error"; WEIR_EINVAL otherwise. */
WEIR_MUST enum weir_status weir_log_level_parse(struct weir_span text, enum weir_log_level *level);

#endif
