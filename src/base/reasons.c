/* The rows of reasons.def. Texts only; who maps what to a reason stands with whoever finds the failure. */
#include "base/reasons.h"

#define YES true
#define NO false

static const struct weir_reason_row rows[WEIR_REASON_COUNT] = {
    [WEIR_REASON_NONE] = {.name = "",
                          .code = "",
                          .reason_code = "",
                          .status = 200,
                          .type = "",
                          .message = "",
                          .hint = "",
                          .runbook = ""},
#define X(NAME, name_text, code_text, reason_code_text, http_status, type_text, retry, retry_after, message_text, \
          hint_text, runbook_text)                                                                                \
    [WEIR_REASON_##NAME] = {                                                                                      \
        .name = name_text,                                                                                        \
        .code = code_text,                                                                                        \
        .reason_code = reason_code_text,                                                                          \
        .status = http_status,                                                                                    \
        .type = type_text,                                                                                        \
        .may_retry = retry,                                                                                       \
        .retry_after_seconds = retry_after,                                                                       \
        .message = message_text,                                                                                  \
        .hint = hint_text,                                                                                        \
        .runbook = runbook_text,                                                                                  \
    },
#include "base/reasons.def"
#undef X
};

const struct weir_reason_row *weir_reason_row(enum weir_reason reason) {
    weir_bug_on((unsigned)reason >= WEIR_REASON_COUNT);
    return &rows[reason];
}
