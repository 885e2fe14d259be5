/* The mapping from an upstream's status to our reasons: one table for the codes that mean something, ranges for the rest. */
#include "provider/outcome.h"

struct row {
    unsigned status;
    struct weir_provider_outcome outcome;
};

static const struct row rows[] = {
    /* The gateway's credential is at fault, not the client's: a 401 would tell the client to change its key. */
    {401, {WEIR_REASON_UPSTREAM_AUTH, true, false, 502}},        {403, {WEIR_REASON_UPSTREAM_AUTH, true, false, 502}},
    {407, {WEIR_REASON_UPSTREAM_AUTH, true, false, 502}},        {408, {WEIR_REASON_UPSTREAM_ERROR, true, true, 504}},
    {429, {WEIR_REASON_UPSTREAM_RATE_LIMITED, true, true, 429}}, {500, {WEIR_REASON_UPSTREAM_ERROR, true, true, 500}},
    {503, {WEIR_REASON_UPSTREAM_ERROR, true, true, 503}},        {504, {WEIR_REASON_UPSTREAM_ERROR, true, true, 504}},
    {529, {WEIR_REASON_UPSTREAM_ERROR, true, true, 529}}, /* Anthropic: overloaded */
};

struct weir_provider_outcome weir_provider_classify(unsigned status) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return rows[i].outcome;
    if (status >= 500)
        return (struct weir_provider_outcome){WEIR_REASON_UPSTREAM_ERROR, true, true, 502};
    if (status >= 300 && status < 400) /* a redirect is never followed: it could lead anywhere */
        return (struct weir_provider_outcome){WEIR_REASON_UPSTREAM_PROTOCOL, true, false, 502};
    if (status < 200)
        return (struct weir_provider_outcome){WEIR_REASON_UPSTREAM_PROTOCOL, true, false, 502};
    return (struct weir_provider_outcome){WEIR_REASON_NONE, false, true, status};
}

bool weir_provider_may_fall_back(enum weir_reason reason) {
    return reason == WEIR_REASON_UPSTREAM_CONNECT_FAILED || reason == WEIR_REASON_UPSTREAM_CONNECT_TIMEOUT ||
           reason == WEIR_REASON_UPSTREAM_TLS_FAILED || reason == WEIR_REASON_NO_PROVIDER ||
           reason == WEIR_REASON_OVERLOADED || reason == WEIR_REASON_UPSTREAM_FIRST_BYTE_TIMEOUT ||
           reason == WEIR_REASON_UPSTREAM_CLOSED || reason == WEIR_REASON_UPSTREAM_PROTOCOL ||
           reason == WEIR_REASON_UPSTREAM_IDLE_TIMEOUT;
}
