/* Who asks: from the fields of a request's head and the store to an actor, or the reason why not (operator__authenticate in impl.h).
 *
 * In this order: an Authorization field (an operator's token, or what a login gave), the console's cookie, and in dev a local request that
 * carries neither. A request with credentials that are not good is nobody's, never the local operator's. All of it runs on the operations thread.
 */
#ifndef WEIR_OPERATOR_AUTHENTICATE_H
#define WEIR_OPERATOR_AUTHENTICATE_H

#include "identity/passwords.h"
#include "identity/sessions.h"
#include "operator/login_limits.h"

/* What outlives a request. The operations thread's own. */
struct operator__gate {
    struct weir_secret *signing_key;      /* NULL until it is needed */
    char nobody[WEIR_PASSWORD_HASH_SIZE]; /* what a name without a password is checked against; "" until it is needed */
    struct operator__login_limits limits;
    uint64_t passwords_checked; /* each costs the same, whatever comes of it */
};
void operator__gate_init(struct operator__gate *gate, struct weir_random *random);
void operator__gate_release(struct operator__gate *gate);
/* The key that sessions are signed with, opened when it is first needed. */
WEIR_MUST enum weir_status operator__gate_key(struct operator__gate *gate, const char *store_directory,
                                              const struct weir_secret **key, struct weir_error *error);

/* What a session is besides its actor. Spans live as long as the call. */
struct operator__identity {
    struct weir_span display_name; /* "" */
    int64_t expires_utc_us;        /* of the session or token; 0: never */
    struct weir_span csrf_token;   /* of a cookie's session; else "" */
    struct weir_span session_id;   /* of what a login gave; else "" */
    enum weir_role operator_role;  /* without what the token narrows */
};

/* The cookie of the console. */
#define OPERATOR__COOKIE_NAME "weir_session"

#endif
