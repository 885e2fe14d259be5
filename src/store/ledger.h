/* What is remembered of one request: the ledger entry, as plain data. */
#ifndef WEIR_STORE_LEDGER_H
#define WEIR_STORE_LEDGER_H

#include "base/ids.h"
#include "base/limits.h"
#include "base/usage.h"

enum weir_usage_source {
    WEIR_USAGE_NONE = 0,  /* nothing was used: every attempt failed before an answer */
    WEIR_USAGE_PROVIDER,  /* the upstream's own figures */
    WEIR_USAGE_ESTIMATED, /* the upstream gave none: estimated from bytes */
    WEIR_USAGE_ABORTED,   /* the call ended early: what was known, the rest estimated */
    WEIR_USAGE_RESERVED,  /* an open without a close: settled at the reservation */
    WEIR_USAGE_COUNTED /* counted here, by the provider's own rule: characters of a text to speak, pictures of an answer */
};
/* "none", "provider", "estimated", "aborted", "reserved", "counted" */
const char *weir_usage_source_name(enum weir_usage_source source);

enum weir_outcome {
    WEIR_OUTCOME_OK = 0,
    WEIR_OUTCOME_ERROR,   /* the client was told of a failure */
    WEIR_OUTCOME_ABORTED, /* the client left */
    WEIR_OUTCOME_CRASHED  /* the process died meanwhile */
};
const char *weir_outcome_name(enum weir_outcome outcome); /* "ok", "error", "aborted", "crashed" */

struct weir_ledger_attempt {
    struct weir_span provider;
    struct weir_span upstream_model;
    struct weir_span upstream_request_id;
    uint16_t status;                              /* HTTP; 0: no answer */
    uint16_t reason;                              /* enum weir_reason; 0: it went well */
    uint32_t start_us;                            /* after the request's start */
    uint32_t connected_us, first_byte_us, end_us; /* same; 0: never */
    bool reused_connection;
    int64_t
        cost_cu_milli; /* what it may have cost although the caller does not pay for it: the provider's budget has it; 0 of the one that answered */
};

enum { WEIR_MAX_ISSUED = 3 };

/* How far a request came: the stage that it failed at, or ANSWERED. Stored as numbers: new ones go to the end. */
enum weir_stage {
    WEIR_STAGE_UNKNOWN = 0, /* of an entry from before stages were told */
    WEIR_STAGE_RECEIVED,    /* its head was read; may anything be served */
    WEIR_STAGE_IDENTIFIED,  /* its key */
    WEIR_STAGE_AUTHORIZED,  /* what the key may, as far as the head tells */
    WEIR_STAGE_READ,        /* its body */
    WEIR_STAGE_UNDERSTOOD,  /* what the body asks */
    WEIR_STAGE_ROUTED,      /* who can serve it, of what the key may use */
    WEIR_STAGE_RESERVED,    /* what it may cost */
    WEIR_STAGE_SENT,        /* to providers */
    WEIR_STAGE_ANSWERED
};
const char *weir_stage_name(enum weir_stage stage); /* "received", … */

/* What the rules for keys, workspaces and contents said. Stored as numbers. */
enum weir_policy_outcome {
    WEIR_POLICY_NONE = 0, /* it was not asked: nobody was identified */
    WEIR_POLICY_ALLOW,
    WEIR_POLICY_REDACT, /* allowed after parts were taken out */
    WEIR_POLICY_BLOCK
};
const char *weir_policy_outcome_name(enum weir_policy_outcome policy); /* "none", "allow", "redact", "block" */

/* Spans are borrowed: from the request when writing, from the reader's arena when reading. */
struct weir_ledger_entry {
    int64_t sequence; /* place in the ledger; the store gives it */
    struct weir_uuid request_id;
    struct weir_span client_request_id; /* an acceptable inbound X-Request-Id; empty without */
    struct weir_span trace_id;          /* 32 hex digits or empty */
    struct weir_span key_id;
    struct weir_span workspace;
    struct weir_span team, user;     /* ids within the workspace; empty: none */
    struct weir_span family;         /* the id of the first key of its chain of rotations; empty: key_id */
    struct weir_span endpoint;       /* "chat.completions" */
    struct weir_span model;          /* as asked */
    struct weir_span provider;       /* of the last attempt */
    struct weir_span upstream_model; /* of the last attempt */
    struct weir_span price_version;  /* empty: unpriced */
    struct weir_span tags;           /* "team=a,feature=b" as accepted */
    struct weir_span client_address;
    int64_t start_utc_us;
    int64_t end_utc_us;
    int64_t reserved_cu_milli;
    int64_t cost_cu_milli;    /* charged; never above the reservation */
    int64_t overrun_cu_milli; /* reported beyond it */
    struct weir_usage usage;
    uint64_t revision;
    uint8_t usage_source; /* enum weir_usage_source */
    uint8_t outcome;      /* enum weir_outcome */
    uint16_t reason;      /* enum weir_reason; 0 */
    uint16_t status;      /* HTTP status that the client got; 0: none */
    bool stream;
    bool unpriced;
    uint32_t first_byte_us; /* to the client, after the start */
    size_t attempt_count;
    struct weir_ledger_attempt attempts[WEIR_MAX_ATTEMPTS];
    /* Ids of what the provider keeps since this call (store/issued.h): a stored response, a file, a batch and its output files. They belong to
     * the entry's provider, upstream model and workspace from here on. */
    size_t issued_count;
    struct weir_span issued[WEIR_MAX_ISSUED];
    /* For the request's record (store/records.h) alone: the ledger does not keep these. */
    bool unbilled;               /* it reached no provider: it has a record, and no entry in the ledger */
    uint8_t stage;               /* enum weir_stage */
    uint8_t policy;              /* enum weir_policy_outcome */
    uint32_t read_us;            /* when its body was complete, after the start; 0: not known */
    struct weir_span session_id; /* that it belongs to, as the client may quote it; empty without */
    struct weir_span path;       /* "GET /v1/chat", masked, where no endpoint has it; else empty */
    struct weir_span
        detail; /* what was wrong, also with a provider behind which another one answered; masked; empty when nothing was */
};

#endif
