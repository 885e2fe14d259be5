/* How often a login may fail: by the address that it comes from and by the name that it is for.
 *
 * A table of fixed size, so that a flood costs no memory; it forgets when the process ends. A name is limited wherever the attempts come from,
 * which lets somebody keep a name from logging in by password for a while, but not by token: tokens have no name here, and are not guessed.
 */
#ifndef WEIR_OPERATOR_LOGIN_LIMITS_H
#define WEIR_OPERATOR_LOGIN_LIMITS_H

#include "base/ids.h"
#include "identity/addresses.h"

enum {
    OPERATOR_LOGIN_FAILURES = 10,     /* then it has to wait */
    OPERATOR_LOGIN_WINDOW_S = 5 * 60, /* from the first of them */
    OPERATOR_LOGIN_SETS = 256,
    OPERATOR_LOGIN_WAYS = 4
};

struct operator__login_slot {
    uint64_t mark; /* 0: empty */
    int64_t began_utc_us;
    unsigned failures;
    bool told; /* that it has to wait: once in a window is enough for the audit trail */
};
struct operator__login_limits {
    unsigned char seed[16];
    struct operator__login_slot slots[OPERATOR_LOGIN_SETS][OPERATOR_LOGIN_WAYS];
};

/* Whose attempt it is. IPv6 addresses count by their first 64 bits: a customer gets that many to choose from. */
struct operator__login_attempt {
    uint64_t marks[2]; /* address, name; 0: none */
};

void operator__login_limits_init(struct operator__login_limits *limits, struct weir_random *random);
/* `address` NULL: not known, all such count together. `name` empty: by token. */
struct operator__login_attempt operator__login_attempt_of(const struct operator__login_limits *limits,
                                                          const struct weir_address *address, struct weir_span name);
/* 0: go on; else the seconds to wait. *first (may be NULL): it is the first time in this window that somebody is told so. */
unsigned operator__login_must_wait(struct operator__login_limits *limits, const struct operator__login_attempt *attempt,
                                   int64_t now_utc_us, bool *first);
void operator__login_failed(struct operator__login_limits *limits, const struct operator__login_attempt *attempt,
                            int64_t now_utc_us);
void operator__login_succeeded(struct operator__login_limits *limits, const struct operator__login_attempt *attempt);

#endif
