/* Names of scopes. */
#include "store/spend.h"

static const char *const names[WEIR_SCOPE_END] = {
    [WEIR_SCOPE_GLOBAL] = "global",     [WEIR_SCOPE_WORKSPACE] = "workspace",
    [WEIR_SCOPE_TEAM] = "team",         [WEIR_SCOPE_USER] = "user",
    [WEIR_SCOPE_KEY] = "key",           [WEIR_SCOPE_MODEL] = "model",
    [WEIR_SCOPE_PROVIDER] = "provider",
};

const char *weir_scope_name(enum weir_scope scope) {
    return (unsigned)scope < WEIR_SCOPE_END ? names[scope] : NULL;
}

bool weir_scope_from_name(struct weir_span name, enum weir_scope *scope) {
    for (unsigned i = WEIR_SCOPE_GLOBAL; i < WEIR_SCOPE_END; i++) {
        if (weir_span_equal(name, weir_span_of_string(names[i]))) {
            *scope = (enum weir_scope)i;
            return true;
        }
    }
    return false;
}
