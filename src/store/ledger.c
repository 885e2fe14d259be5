/* Names of the ledger's enums: what the command line, exports and the console print. */
#include "store/ledger.h"

#include <stddef.h>

static const char *const source_names[] = {
    [WEIR_USAGE_NONE] = "none",       [WEIR_USAGE_PROVIDER] = "provider", [WEIR_USAGE_ESTIMATED] = "estimated",
    [WEIR_USAGE_ABORTED] = "aborted", [WEIR_USAGE_RESERVED] = "reserved", [WEIR_USAGE_COUNTED] = "counted",
};

static const char *const outcome_names[] = {
    [WEIR_OUTCOME_OK] = "ok",
    [WEIR_OUTCOME_ERROR] = "error",
    [WEIR_OUTCOME_ABORTED] = "aborted",
    [WEIR_OUTCOME_CRASHED] = "crashed",
};

static const char *const stage_names[] = {
    [WEIR_STAGE_UNKNOWN] = "unknown",       [WEIR_STAGE_RECEIVED] = "received", [WEIR_STAGE_IDENTIFIED] = "identified",
    [WEIR_STAGE_AUTHORIZED] = "authorized", [WEIR_STAGE_READ] = "read",         [WEIR_STAGE_UNDERSTOOD] = "understood",
    [WEIR_STAGE_ROUTED] = "routed",         [WEIR_STAGE_RESERVED] = "reserved", [WEIR_STAGE_SENT] = "sent",
    [WEIR_STAGE_ANSWERED] = "answered",
};

static const char *const policy_names[] = {
    [WEIR_POLICY_NONE] = "none",
    [WEIR_POLICY_ALLOW] = "allow",
    [WEIR_POLICY_REDACT] = "redact",
    [WEIR_POLICY_BLOCK] = "block",
};

const char *weir_stage_name(enum weir_stage stage) {
    size_t index = (size_t)stage;
    return index < sizeof(stage_names) / sizeof(stage_names[0]) ? stage_names[index] : "unknown";
}

const char *weir_policy_outcome_name(enum weir_policy_outcome policy) {
    size_t index = (size_t)policy;
    return index < sizeof(policy_names) / sizeof(policy_names[0]) ? policy_names[index] : "unknown";
}

const char *weir_usage_source_name(enum weir_usage_source source) {
    size_t index = (size_t)source;
    return index < sizeof(source_names) / sizeof(source_names[0]) ? source_names[index] : "unknown";
}

const char *weir_outcome_name(enum weir_outcome outcome) {
    size_t index = (size_t)outcome;
    return index < sizeof(outcome_names) / sizeof(outcome_names[0]) ? outcome_names[index] : "unknown";
}
