/* Who asks: from the fields of a request's head and the store to an actor, or the reason why not.
 *
 * Everything here runs on the operations thread, with its connection to the store. In this order: an Authorization field (an operator's token,
 * or what a login gave), the console's cookie, and in dev a local request that carries neither. A request with credentials that are not good is
 * nobody's, never the local operator's.
 */
#ifndef WEIR_OPERATOR_AUTHENTICATE_H
#define WEIR_OPERATOR_AUTHENTICATE_H

#include "base/arena.h"
#include "base/reasons.h"
#include "http/head.h"
#include "identity/actor.h"
#include "operator/operator.h"
#include "store/store.h"

/* What outlives a request: the key that sessions are signed with, failed logins, the password of nobody. */
struct operator__gate;

/* `settings` is borrowed for life. Reads <store_directory>/session-key, makes it when there is none. */
WEIR_MUST enum weir_status operator__gate_new(const struct weir_operator_settings *settings,
                                              struct operator__gate **gate, struct weir_error *error);
void operator__gate_free(struct operator__gate **gate);

/* What came. Borrowed for the call. */
struct operator__visitor {
    const struct weir_http_head *head;
    struct weir_span peer; /* "192.0.2.7" */
    bool is_tls;
};

/* Who it is. Spans live in the arena that was given. */
struct operator__identity {
    struct weir_actor actor;       /* `address` is set whoever it is */
    struct weir_span display_name; /* "" */
    int64_t expires_utc_us;        /* of the session or token; 0: never */
    struct weir_span csrf_token;   /* of a cookie's session; else "" */
    struct weir_span session_id;   /* of what a login gave; else "" */
};

/* NONE: identity->actor has a role. Else OPERATOR_UNKNOWN, OPERATOR_TOKEN_INVALID, OPERATOR_SESSION_ENDED, CSRF_TOKEN_INVALID or
 * OPERATOR_STORE_UNAVAILABLE, with words in *detail ("" for none; static), and the actor is UNKNOWN. A row for anyone does without. */
enum weir_reason operator__authenticate(struct operator__gate *gate, struct weir_engine *engine,
                                        struct weir_arena *arena, const struct operator__visitor *visitor,
                                        int64_t now_utc_us, struct operator__identity *identity, const char **detail);

#endif
