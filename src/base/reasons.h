/* The table of reasons (reasons.def) as an enum and its rows. */
#ifndef WEIR_BASE_REASONS_H
#define WEIR_BASE_REASONS_H

#include "base/span.h"

enum weir_reason {
    WEIR_REASON_NONE = 0, /* nothing failed */
#define X(name, ...) WEIR_REASON_##name,
#include "base/reasons.def"
#undef X
    WEIR_REASON_COUNT
};

struct weir_reason_row {
    const char *name;        /* "model_not_found" in lower case */
    const char *code;        /* "NOT_FOUND": the brand's prefix goes before it */
    const char *reason_code; /* the operator's word */
    unsigned status;         /* HTTP */
    const char *type;        /* OpenAI family */
    bool may_retry;
    unsigned retry_after_seconds; /* 0: none */
    const char *message;
    const char *hint;    /* "" for none */
    const char *runbook; /* "" for none */
};

/* The row of a reason; WEIR_REASON_NONE has a row with empty texts and status 200. Static storage. */
const struct weir_reason_row *weir_reason_row(enum weir_reason reason);

#endif
