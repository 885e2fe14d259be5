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

bool weir_role_within(enum weir_role inner, enum weir_role outer) {
    static const unsigned within[WEIR_ROLE_COUNT] = {
        [WEIR_ROLE_NONE] = WEIR_ROLE_BIT(WEIR_ROLE_NONE),
        [WEIR_ROLE_VIEWER] = WEIR_ROLE_BIT(WEIR_ROLE_NONE) | WEIR_ROLE_BIT(WEIR_ROLE_VIEWER),
        [WEIR_ROLE_AUDITOR] = WEIR_ROLE_BIT(WEIR_ROLE_NONE) | WEIR_ROLE_BIT(WEIR_ROLE_VIEWER) |
                              WEIR_ROLE_BIT(WEIR_ROLE_AUDITOR),
        [WEIR_ROLE_OPERATOR] = WEIR_ROLE_BIT(WEIR_ROLE_NONE) | WEIR_ROLE_BIT(WEIR_ROLE_VIEWER) |
                               WEIR_ROLE_BIT(WEIR_ROLE_OPERATOR),
        [WEIR_ROLE_ADMIN] = WEIR_ROLE_BIT(WEIR_ROLE_OWNER) - 1,
        [WEIR_ROLE_OWNER] = WEIR_ROLE_BIT(WEIR_ROLE_COUNT) - 1,
    };
    weir_bug_on((unsigned)inner >= WEIR_ROLE_COUNT || (unsigned)outer >= WEIR_ROLE_COUNT);
    return (within[outer] & WEIR_ROLE_BIT(inner)) != 0;
}

enum weir_role weir_role_common(enum weir_role a, enum weir_role b) {
    if (weir_role_within(a, b))
        return a;
    return weir_role_within(b, a) ? b : WEIR_ROLE_VIEWER; /* two that do not hold each other both hold this one */
}

const char *weir_actor_kind_name(enum weir_actor_kind kind) {
    weir_bug_on((unsigned)kind >= sizeof kind_names / sizeof *kind_names);
    return kind_names[kind];
}
