/* Operators and their tokens, as the store keeps them.
 *
 * An operator is an object whose handle is the login name; a token is an object of his whose handle is the SHA-256 of the token, so that it is
 * found by what is sent and cannot be read out of the store. Functions that write are used inside a transaction of the caller (work_begin), so
 * that what they decide on cannot change before they write.
 */
#ifndef WEIR_IDENTITY_OPERATORS_H
#define WEIR_IDENTITY_OPERATORS_H

#include "base/ids.h"
#include "base/secret.h"
#include "identity/actor.h"
#include "identity/key.h"
#include "store/store.h"

enum {
    WEIR_OPERATOR_ID_DIGITS = 16,
    WEIR_OPERATOR_HINT_SIZE = 16,
    WEIR_OPERATOR_NAME_MAX = 64,
    WEIR_TOKEN_HANDLE_SIZE = 65 /* hex of SHA-256, and NUL */
};

/* Where they are remembered. Texts that are read live in `arena`. */
struct weir_people {
    const struct weir_engine_ops *ops;
    struct weir_engine *engine;
    struct weir_arena *arena;
};

struct weir_operator_record {
    struct weir_span id;           /* "opr_" and 16 base62 digits */
    struct weir_span name;         /* login name, unique */
    struct weir_span display_name; /* "" */
    struct weir_span email;        /* "" */
    struct weir_span password;     /* its hash; "": none */
    enum weir_role role;
    bool disabled;
    int64_t password_changed_utc_us; /* 0: he never had one */
    int64_t last_login_utc_us;       /* 0: never */
    int64_t created_utc_us, updated_utc_us;
    uint64_t version;
    int64_t number;
};

struct weir_token_record {
    struct weir_span id;                    /* "tok_" and 16 base62 digits */
    struct weir_span owner;                 /* the operator's id */
    struct weir_span name;                  /* what it is for */
    struct weir_span hint;                  /* "abcd…wxyz" */
    enum weir_role role;                    /* NONE: the operator's, whatever that is */
    int64_t last_used_utc_us;               /* to within a few minutes; 0: never */
    int64_t created_utc_us, expires_utc_us; /* expires 0: never */
    uint64_t version;
    int64_t number;
};

/* Login names: 1 to 64 of a-z 0-9 . _ - @ +, beginning with a letter or digit. Upper case is refused, not folded. */
bool weir_operator_name_is_good(struct weir_span name);

/* WEIR_ECORRUPT: the object's text is none of ours. Spans are the object's or live in `arena`. */
WEIR_MUST enum weir_status weir_operator_read(struct weir_arena *arena, const struct weir_object *object,
                                              struct weir_operator_record *record);
WEIR_MUST enum weir_status weir_token_read(struct weir_arena *arena, const struct weir_object *object,
                                           struct weir_token_record *record);

/* WEIR_ENOTFOUND. */
WEIR_MUST enum weir_status weir_operator_get(const struct weir_people *people, struct weir_span id,
                                             struct weir_operator_record *record, struct weir_error *error);
WEIR_MUST enum weir_status weir_operator_find(const struct weir_people *people, struct weir_span name,
                                              struct weir_operator_record *record, struct weir_error *error);
/* Gives id, version and number; `now_utc_us` becomes the time of creation. WEIR_EEXIST: the name is taken. */
WEIR_MUST enum weir_status weir_operator_create(const struct weir_people *people, struct weir_random *random,
                                                int64_t now_utc_us, struct weir_operator_record *record,
                                                struct weir_error *error);
/* Writes all but id, times of creation and the like; gives the new version. WEIR_ESTALE: it has another than `expected_version` (0: any). */
WEIR_MUST enum weir_status weir_operator_update(const struct weir_people *people, int64_t now_utc_us,
                                                struct weir_operator_record *record, uint64_t expected_version,
                                                struct weir_error *error);
/* Removes his tokens and sessions, too. */
WEIR_MUST enum weir_status weir_operator_remove(const struct weir_people *people, struct weir_span id,
                                                uint64_t expected_version, int64_t now_utc_us,
                                                struct weir_error *error);
/* Ends every session of his but `except` (an id, or ""). */
WEIR_MUST enum weir_status weir_operator_end_sessions(const struct weir_people *people, struct weir_span id,
                                                      struct weir_span except, int64_t now_utc_us,
                                                      struct weir_error *error);
/* Whether there is an owner besides him who is not disabled. */
WEIR_MUST enum weir_status weir_operator_other_owner(const struct weir_people *people, struct weir_span id,
                                                     bool *there_is, struct weir_error *error);

/* --- tokens: <brand>_op_<env>_<43 base62 digits><6: CRC-32 of all before>, so that scanners for leaked secrets find them --- */

/* WEIR_OK; WEIR_EDENIED: of another environment; WEIR_EINVAL: no token of this brand, or its checksum is wrong. Nothing is looked up. */
WEIR_MUST enum weir_status weir_token_check(const struct weir_key_format *format, struct weir_span token);
/* Makes one for the record's owner, name, role, time of creation and expiry; gives the rest of the record, and the token itself, this once. */
WEIR_MUST enum weir_status weir_token_create(const struct weir_people *people, const struct weir_key_format *format,
                                             struct weir_random *random, struct weir_token_record *record,
                                             struct weir_secret **token, struct weir_error *error);
/* By what was sent. WEIR_ENOTFOUND. Expired ones are found until they are swept away. */
WEIR_MUST enum weir_status weir_token_find(const struct weir_people *people, struct weir_span token,
                                           struct weir_token_record *record, struct weir_error *error);
WEIR_MUST enum weir_status weir_token_get(const struct weir_people *people, struct weir_span owner, struct weir_span id,
                                          struct weir_token_record *record, struct weir_error *error);
/* Writes last_used_utc_us. WEIR_ESTALE: somebody else did. */
WEIR_MUST enum weir_status weir_token_used(const struct weir_people *people, const struct weir_token_record *record,
                                           struct weir_error *error);
WEIR_MUST enum weir_status weir_token_remove(const struct weir_people *people, struct weir_span owner,
                                             struct weir_span id, int64_t now_utc_us, struct weir_error *error);

#endif
