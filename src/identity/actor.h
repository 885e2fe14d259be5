/* Who is acting on the operator plane, and in which role. */
#ifndef WEIR_IDENTITY_ACTOR_H
#define WEIR_IDENTITY_ACTOR_H

#include "base/span.h"

/* An operator has one role. What a role may is said by each operation's row (operator/operations), not by an order of the roles. */
enum weir_role {
    WEIR_ROLE_NONE = 0, /* not known who it is */
    WEIR_ROLE_VIEWER,   /* sees what is there, but no audit trail and no content */
    WEIR_ROLE_AUDITOR,  /* sees everything that was recorded, changes nothing */
    WEIR_ROLE_OPERATOR, /* keys, teams, users: the daily work */
    WEIR_ROLE_ADMIN,    /* everything but who is an operator and what is sealed */
    WEIR_ROLE_OWNER,    /* everything */
    WEIR_ROLE_COUNT
};
#define WEIR_ROLE_BIT(role) (1U << (role))

const char *weir_role_name(enum weir_role role); /* "viewer", …; "anyone" for NONE */
/* WEIR_ENOTFOUND for any other word. */
WEIR_MUST enum weir_status weir_role_find(struct weir_span name, enum weir_role *role);

/* Roles are no ladder (an auditor sees what an operator does not, an operator changes what an auditor does not), but some hold all of another:
 * owner > admin > operator and auditor > viewer > nobody. */
bool weir_role_within(enum weir_role inner, enum weir_role outer);
/* The most that both may: what is left of a token for auditing once its owner is an operator is a viewer. */
enum weir_role weir_role_common(enum weir_role a, enum weir_role b);

enum weir_actor_kind {
    WEIR_ACTOR_UNKNOWN = 0,
    WEIR_ACTOR_TOKEN,   /* Authorization: Bearer, a token of an operator, or what POST /auth/login gave for one */
    WEIR_ACTOR_SESSION, /* the console's cookie */
    WEIR_ACTOR_LOCAL,   /* loopback in dev without a token; or the command line's user */
    WEIR_ACTOR_SYSTEM   /* weir itself: schedules, the file */
};
const char *weir_actor_kind_name(enum weir_actor_kind kind); /* as in the audit trail */

/* Spans live as long as the operation that they were found for. */
struct weir_actor {
    enum weir_actor_kind kind;
    enum weir_role role;
    struct weir_span id;       /* the operator's; "" for LOCAL and SYSTEM */
    struct weir_span name;     /* login name; "local", "system" */
    struct weir_span email;    /* "" where none is known */
    struct weir_span token_id; /* of the token or session that was used; "" */
    struct weir_span address;  /* the peer's */
};

#endif
