/* Sessions of operators: what a login gives, as a signed token for a program or as a cookie for the console.
 *
 * Either is good only while its session is in the store: logging out, disabling the operator or revoking the token that was used for the login
 * ends it at once. The signature is there besides, so that made-up tokens cost no look-up.
 *
 * The key that signs is 32 random bytes in the file `session-key` beside the database, readable by its user only: not in the database, so in no
 * backup, and there also without a sealing key. Losing it ends the sessions and nothing else.
 */
#ifndef WEIR_IDENTITY_SESSIONS_H
#define WEIR_IDENTITY_SESSIONS_H

#include "base/buffer.h"
#include "identity/operators.h"

enum {
    WEIR_SIGNING_KEY_BYTES = 32,
    WEIR_SESSION_COOKIE_DIGITS = 43,
    WEIR_CSRF_TOKEN_SIZE = 44,
    WEIR_SIGNED_MAX = 4096
};

/* Reads the key from the file; makes it when there is none, so that of several processes all have the same one. */
WEIR_MUST enum weir_status weir_signing_key_open(const char *directory, struct weir_secret **key,
                                                 struct weir_error *error);

/* --- signed tokens: JWT (RFC 7519), JWS compact form, HS256 alone --- */
struct weir_claims {
    struct weir_span subject; /* the operator's id */
    struct weir_span session; /* jti: the session's id */
    struct weir_span email;
    enum weir_role role;
    int64_t issued_s, expires_s; /* UTC seconds */
};
/* Appends the token. Besides the above it has is_admin, is_platform_admin, team_id, org_id and org_roles, as clients of other gateways expect. */
WEIR_MUST enum weir_status weir_claims_sign(const struct weir_secret *key, const struct weir_claims *claims,
                                            struct weir_buffer *token);
/* The signature is checked before anything else is looked at. WEIR_EINVAL: no such token, `alg` is another than HS256, or a header that must be
 * understood is not; WEIR_EDENIED: the signature is wrong. Texts live in `arena`. Expiry is the caller's affair. */
WEIR_MUST enum weir_status weir_claims_read(const struct weir_secret *key, struct weir_span token,
                                            struct weir_arena *arena, struct weir_claims *claims);

/* --- cookies --- */
/* The value of the cookie `name` in a Cookie field. WEIR_ENOTFOUND; WEIR_EINVAL: it is there twice. */
WEIR_MUST enum weir_status weir_cookie_find(struct weir_span field, struct weir_span name, struct weir_span *value);
/* What changes by that cookie must carry: bound to the cookie by the signing key, so that nothing is kept of it. */
WEIR_MUST enum weir_status weir_csrf_token(const struct weir_secret *key, struct weir_span cookie,
                                           char out[WEIR_CSRF_TOKEN_SIZE]);

/* --- in the store --- */
struct weir_session_record {
    struct weir_span id;    /* "ses_" and 16 base62 digits */
    struct weir_span owner; /* the operator's id */
    struct weir_span token; /* id of the token that it was made with; "": by password */
    enum weir_role role;    /* of that token; NONE: the operator's */
    bool is_cookie;
    int64_t created_utc_us, expires_utc_us;
};
/* Gives the id, and for a cookie's session its secret value in *cookie (else untouched). */
WEIR_MUST enum weir_status weir_session_create(const struct weir_people *people, struct weir_random *random,
                                               struct weir_session_record *record, struct weir_secret **cookie,
                                               struct weir_error *error);
/* By the cookie's value. WEIR_ENOTFOUND. Expired ones are found until they are swept away. */
WEIR_MUST enum weir_status weir_session_find(const struct weir_people *people, struct weir_span cookie,
                                             struct weir_session_record *record, struct weir_error *error);
WEIR_MUST enum weir_status weir_session_get(const struct weir_people *people, struct weir_span owner,
                                            struct weir_span id, struct weir_session_record *record,
                                            struct weir_error *error);
WEIR_MUST enum weir_status weir_session_remove(const struct weir_people *people, struct weir_span owner,
                                               struct weir_span id, int64_t now_utc_us, struct weir_error *error);

#endif
