/* Names of the ledger's two enums: what the command line, exports and the console print. */
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

const char *weir_usage_source_name(enum weir_usage_source source) {
    size_t index = (size_t)source;
    return index < sizeof(source_names) / sizeof(source_names[0]) ? source_names[index] : "unknown";
}

const char *weir_outcome_name(enum weir_outcome outcome) {
    size_t index = (size_t)outcome;
    return index < sizeof(outcome_names) / sizeof(outcome_names[0]) ? outcome_names[index] : "unknown";
}
