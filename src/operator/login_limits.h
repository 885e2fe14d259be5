/* How often a login may fail: for a name from one address, from one address whatever the name, and for a name from wherever.
 *
 * The first count that is full refuses. The narrow one is the smallest: whoever shares an address with others (a tunnel, a proxy, an office) and
 * mistypes holds up nobody else. The other two are for those who try many names from one address, or one name from many; the last lets somebody
 * who has several addresses keep a name from logging in by password for a while, but not by token: tokens have no name here, count by address
 * alone, and are not guessed.
 *
 * Each count is a table of fixed size of its own, so that a flood costs no memory and fills no other's; it forgets when the process ends. Where a
 * table has no room, what has failed least goes, and what is full never does.
 */
#ifndef WEIR_OPERATOR_LOGIN_LIMITS_H
#define WEIR_OPERATOR_LOGIN_LIMITS_H

#include "base/ids.h"
#include "identity/addresses.h"

enum operator__login_count {
    OPERATOR_LOGIN_PAIR, /* address and name */
    OPERATOR_LOGIN_ADDRESS,
    OPERATOR_LOGIN_NAME,
    OPERATOR_LOGIN_COUNTS
};
enum {
    OPERATOR_LOGIN_PAIR_FAILURES = 10, /* then it has to wait */
    OPERATOR_LOGIN_ADDRESS_FAILURES = 100,
    OPERATOR_LOGIN_NAME_FAILURES = 30,
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
    struct operator__login_slot slots[OPERATOR_LOGIN_COUNTS][OPERATOR_LOGIN_SETS][OPERATOR_LOGIN_WAYS];
};

/* Whose attempt it is. IPv6 addresses count by their first 64 bits: a customer gets that many to choose from. */
struct operator__login_attempt {
    uint64_t marks[OPERATOR_LOGIN_COUNTS]; /* 0: it does not count there */
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
/* Forgets the failures of this name from this address. The wider counts stay: who has one password to log in with does not get more guesses at
 * others' by it. */
void operator__login_succeeded(struct operator__login_limits *limits, const struct operator__login_attempt *attempt);

#endif
