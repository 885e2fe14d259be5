/* The operator plane: for people and CI, on the control thread's loop, bound to loopback by default.
 *
 * Its requests must name a loopback host (a page of another site cannot reach it by a rebound name) unless it listens elsewhere, and must come from
 * no other origin. */
#ifndef WEIR_OPERATOR_OPERATOR_H
#define WEIR_OPERATOR_OPERATOR_H

#include "identity/addresses.h"
#include "identity/rules.h"
#include "net/http_server.h"
#include "net/listener.h"
#include "telemetry/board.h"
#include "telemetry/metrics.h"

struct weir_operator;

/* What the rest of the process does for operations. Each is called on the operations thread and may wait for another thread. NULL: it cannot
 * be done in this process (tests). */
struct weir_operator_hooks {
    /* Makes and publishes a new revision from the store as it is now and the settings file: as it is now where `read_file`, else as it was
     * read last. WEIR_OK: *number is live (the old one when nothing changed), and `problems` has the names of settings of the file that a
     * restart is needed for, a line each. WEIR_EINVAL: nothing has changed, `problems` says why, a line each.
     * WEIR_ECLOSED: the process is about to end. Else the store has failed. Its write lock must not be held: another thread saves the
     * revision. */
    enum weir_status (*publish)(void *context, bool read_file, uint64_t *number, struct weir_buffer *problems);
    /* Revoked keys are refused, and answers in flight end where wanted, when this returns. */
    void (*keys_changed)(void *context);
    void *context;
};

/* How backups stand. */
struct weir_backup_state {
    bool running;
    int64_t last_utc_us; /* the newest whole one; 0: none */
    uint64_t last_bytes; /* of its file */
    int64_t last_us;     /* how long making and verifying it took; 0: it was not made by this process */
    int64_t next_utc_us; /* when the next one is due */
    uint64_t failures;   /* since the start */
    char problem[200];   /* words on the last attempt, "" when it went well */
};

/* Scheduled backups, and one at once. NULL functions: none are configured. */
struct weir_backup_hooks {
    const char *folder;
    /* Begins one, as the schedule would. WEIR_EBUSY: one is being made. */
    enum weir_status (*start)(void *context);
    void (*read_state)(void *context, struct weir_backup_state *state);
    void *context;
};

struct weir_sealing;
struct weir_receipt_signer;

struct weir_operator_settings {
    const char *store_directory;          /* where the operations thread finds the store */
    const char *environment;              /* "dev", "stage", "prod" */
    const struct weir_sealing *sealing;   /* NULL or without keys: secrets cannot be written */
    struct weir_receipt_signer *receipts; /* NULL: none are given (tests) */
    struct weir_span brand;               /* "weir"; borrowed for life, as all texts here */
    struct weir_operator_hooks hooks;
    struct weir_backup_hooks backups;
    bool local_operator;               /* dev: loopback without a token and without an Origin acts as the local owner */
    int64_t session_ms;                /* how long what POST /auth/login gives is good */
    int64_t rotation_due_us;           /* a key's age at which it should be rotated */
    struct weir_rule_names rule_names; /* what a key's rules may name */
    const struct weir_board *board;
    struct weir_metrics *metrics; /* where answers are counted; NULL: nowhere */
    struct weir_span brand_upper; /* borrowed for life */
    bool loopback_only;           /* check Host */
    struct weir_tls *tls;         /* NULL: none; lives as long as the plane */
    struct weir_networks allow;   /* who may come, as weir_operator_allow; empty: anyone who reaches it */
    const char *data_plane; /* "http://127.0.0.1:8080", for the index; copied by nobody: lives as long as the plane */
    void (*write_metrics)(void *context, bool openmetrics, struct weir_buffer *out);
    void *context;
};

/* Accepts on `fd`, which stays the caller's. */
WEIR_MUST enum weir_status weir_operator_new(struct weir_loop *loop, int fd,
                                             const struct weir_operator_settings *settings,
                                             struct weir_operator **plane, struct weir_error *error);
/* From now on requests of other addresses are refused, on connections that are there too. `networks` is borrowed until the next call, or for life. On the
 * loop's thread. */
void weir_operator_allow(struct weir_operator *plane, const struct weir_networks *networks);
/* An operation that runs goes on to its end: until then this runs turns of the loop, so it is not called from within one. What waits is answered with
 * shutting_down. */
void weir_operator_free(struct weir_operator **plane);

#endif
