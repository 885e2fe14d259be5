/* Names of the statuses, the one-line failure, and the end of a program that found its own mistake. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[WEIR_STATUS_COUNT] = {
    [WEIR_OK] = "ok",
    [WEIR_AGAIN] = "again",
    [WEIR_END] = "end",
    [WEIR_EINVAL] = "invalid",
    [WEIR_EPROTO] = "protocol_error",
    [WEIR_ELIMIT] = "limit",
    [WEIR_ENOMEM] = "no_memory",
    [WEIR_ENOTFOUND] = "not_found",
    [WEIR_EEXIST] = "exists",
    [WEIR_EBUSY] = "busy",
    [WEIR_EFULL] = "full",
    [WEIR_EIO] = "io_error",
    [WEIR_ECLOSED] = "closed",
    [WEIR_ETIMEOUT] = "timeout",
    [WEIR_EDENIED] = "denied",
    [WEIR_ECORRUPT] = "corrupt",
    [WEIR_ESTALE] = "stale",
};

enum weir_status weir_fail(struct weir_error *error, enum weir_status status, const char *format, ...) {
    if (error != NULL) {
        /* Formatted aside first: an argument may be the text that is being replaced. */
        char text[sizeof(error->text)];
        va_list arguments;
        va_start(arguments, format);
        int written = vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        if (written < 0) {
            text[0] = '\0';
        }
        memcpy(error->text, text, strlen(text) + 1);
        error->status = status;
    }
    return status;
}

const char *weir_status_name(enum weir_status status) {
    if ((unsigned)status >= WEIR_STATUS_COUNT) {
        return "unknown";
    }
    return names[status];
}

_Noreturn void weir_bug_at(const char *file, int line, const char *condition) {
    fprintf(stderr, "weir: bug at %s:%d: %s\n", file, line, condition);
    abort();
}
