/* The words for roles and kinds of actors, each in one table. */
#include "identity/actor.h"

static const char *const role_names[WEIR_ROLE_COUNT] = {
    [WEIR_ROLE_NONE] = "anyone",       [WEIR_ROLE_VIEWER] = "viewer", [WEIR_ROLE_AUDITOR] = "auditor",
    [WEIR_ROLE_OPERATOR] = "operator", [WEIR_ROLE_ADMIN] = "admin",   [WEIR_ROLE_OWNER] = "owner",
};

static const char *const kind_names[] = {
    [WEIR_ACTOR_UNKNOWN] = "unknown", [WEIR_ACTOR_TOKEN] = "token",   [WEIR_ACTOR_SESSION] = "session",
    [WEIR_ACTOR_LOCAL] = "local",     [WEIR_ACTOR_SYSTEM] = "system",
};

const char *weir_role_name(enum weir_role role) {
    weir_bug_on((unsigned)role >= WEIR_ROLE_COUNT);
    return role_names[role];
}

enum weir_status weir_role_find(struct weir_span name, enum weir_role *role) {
    for (unsigned i = WEIR_ROLE_VIEWER; i < WEIR_ROLE_COUNT; i++)
        if (weir_span_equal(name, weir_span_of_string(role_names[i]))) {
            *role = (enum weir_role)i;
            return WEIR_OK;
        }
    return WEIR_ENOTFOUND;
}

const char *weir_actor_kind_name(enum weir_actor_kind kind) {
    weir_bug_on((unsigned)kind >= sizeof kind_names / sizeof *kind_names);
    return kind_names[kind];
}
