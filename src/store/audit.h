/* The audit trail: who did what to what, with the values before and after, in an order that cannot be changed unnoticed.
 *
 * Each entry's hash covers the entry and the hash of the one before it; the newest hash is kept beside the table. So an edited, removed, inserted
 * or reordered entry, and a cut at either end, is found (weir_audit_verify). Retention removes from the old end alone and keeps the hash of
 * the last removed entry as the new beginning.
 */
#ifndef WEIR_STORE_AUDIT_H
#define WEIR_STORE_AUDIT_H

#include "base/span.h"

enum { WEIR_AUDIT_HASH_SIZE = 32 };

enum weir_audit_result { WEIR_AUDIT_SUCCESS = 0, WEIR_AUDIT_FAILURE, WEIR_AUDIT_PARTIAL };
const char *weir_audit_result_name(enum weir_audit_result result); /* "success", "failure", "partial" */

/* No member ever holds a secret: who fills it masks first. Spans are borrowed. */
struct weir_audit_entry {
    int64_t sequence; /* 1, 2, 3, …: the store gives it */
    int64_t utc_us;
    struct weir_span
        actor_kind; /* "operator", "token", "session", "key" (of the data plane), "local" (this machine's user), "system", "unknown" */
    struct weir_span actor_id;   /* the operator's id; "" when unknown */
    struct weir_span actor_name; /* login name or address of the person */
    struct weir_span actor_role;
    struct weir_span actor_address; /* "" for the command line */
    struct weir_span workspace;     /* whose, "" for what belongs to none */
    struct weir_span action;        /* "key.create" */
    struct weir_span resource_type; /* "key" */
    struct weir_span resource_id;
    struct weir_span resource_name;
    struct weir_span changes; /* JSON: {"before":{…}|null,"after":{…}|null}, or "" */
    struct weir_span request; /* JSON: {"request_id":…,"method":…,"path":…,"user_agent":…}, or "" */
    struct weir_span reason;  /* the error's code without its brand, "" on success */
    struct weir_span message; /* the error's words, "" on success */
    enum weir_audit_result result;
    unsigned char previous[WEIR_AUDIT_HASH_SIZE];
    unsigned char hash[WEIR_AUDIT_HASH_SIZE];
};

/* SHA-256 over `previous` and every member of the entry, each with its length. */
void weir_audit_hash(const struct weir_audit_entry *entry, const unsigned char previous[WEIR_AUDIT_HASH_SIZE],
                     unsigned char hash[WEIR_AUDIT_HASH_SIZE]);

/* Zero values do not filter. */
struct weir_audit_query {
    int64_t from_utc_us, until_utc_us; /* [from, until) */
    struct weir_span actor_id, actor_name, workspace, action, resource_type, resource_id;
    bool has_result;
    enum weir_audit_result result;
    int64_t before_sequence; /* cursor of newest-first listings: older ones than this; 0: from the newest */
    int64_t after_sequence;  /* with `oldest_first` */
    bool oldest_first;
    size_t limit; /* 0: 50; at most 10000 */
};

struct weir_audit_verification {
    int64_t entries;                          /* that were read and are good */
    int64_t first, last;                      /* sequence numbers of the oldest and newest entry; 0: none */
    int64_t broken_at;                        /* 0: all is well; else the sequence where the chain breaks first */
    char problem[200];                        /* words on it */
    unsigned char head[WEIR_AUDIT_HASH_SIZE]; /* hash of the newest entry: to be kept elsewhere */
};

#endif
