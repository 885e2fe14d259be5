/* What the files of this folder share: the rows of the generated table, and a call from its first byte to its last.
 *
 * A call belongs to one thread at a time. The control thread reads the request, hands the call to the operations thread, and gets it back with its answer;
 * while the operations thread has it, the control thread touches `connection`, `link` and `stage` alone. What is answered at once
 * (`immediate`) never leaves the control thread.
 */
#ifndef WEIR_OPERATOR_IMPL_H
#define WEIR_OPERATOR_IMPL_H

#include "operator/operation.h"

#include "base/limits.h"
#include "base/list.h"
#include "net/http_server.h"
#include "operator/authenticate.h"

enum operator__place { OPERATOR__IN_PATH, OPERATOR__IN_QUERY, OPERATOR__IN_HEADER };

struct operator__parameter {
    const char *name;
    enum operator__place place;
    bool required;
    bool is_text;        /* else an integer, a number or true/false */
    bool is_time;        /* a date-time or a date */
    const char *initial; /* the default; NULL: none */
};

/* One path of one operation; in the table a literal part of a path stands before a named one, and the methods of a path stand together. */
struct operator__row {
    const char *id, *method, *path, *tag;
    const char *
        resource; /* the kind of thing that the audit trail names, for what went well and what did not; NULL: nothing is audited */
    unsigned roles; /* WEIR_ROLE_BIT; that of NONE: anyone */
    weir_operation_run run;
    const struct operator__parameter *parameters;
    size_t parameter_count;
    const char *confirm; /* the path's name whose value must be repeated; NULL: none */
    bool changes, immediate, has_body, body_optional;
};
/* Generated from operations/ (tools/operations). */
extern const struct operator__row operator__rows[];
extern const size_t operator__row_count;
extern const char operator__openapi[];
extern const size_t operator__openapi_length;

enum {
    OPERATOR__PATIENCE_MS = 2000, /* for another process's transaction */
    OPERATOR__MAX_PARAMETERS = 32,
    OPERATOR__MAX_HEADERS = 16,
    OPERATOR__MAX_QUEUED = 256, /* calls that wait for the operations thread */
    OPERATOR__MAX_CONNECTIONS = 2048
};
#define OPERATOR__MAX_BODY_BYTES WEIR_MIB
#define OPERATOR__MAX_BODIES_BYTES (64 * WEIR_MIB) /* of all calls together */
#define OPERATOR__MAX_ARENA_BYTES (32 * WEIR_MIB)  /* of one call */
#define OPERATOR__MAX_ANSWER_BYTES (64 * WEIR_MIB)

/* The schemas of one row, found in the OpenAPI document once. */
struct operator__schemas {
    yyjson_val *body;
    yyjson_val *parameters[OPERATOR__MAX_PARAMETERS];
};

enum operator__stage {
    OPERATOR__READING,   /* the body is coming */
    OPERATOR__SUBMITTED, /* in the queue, on the operations thread, or on its way back */
    OPERATOR__SENDING    /* between two pieces */
};

struct operator__header {
    const char *name;
    struct weir_span value;
};

/* How many attempts of strangers were audited, or have a line in the log, in this second. */
struct operator__refusals {
    int64_t second;
    unsigned count;
};

struct operator__operations;

struct weir_operation_call {
    struct weir_message message;      /* first: the way back */
    struct weir_list link;            /* among the plane's calls */
    struct weir_operation_call *next; /* in the queue */
    const struct operator__row *row;
    const struct operator__schemas *schemas;
    struct weir_operator *plane; /* NULL: it is gone, and so is the call when it comes back */
    const struct weir_operator_settings *settings;
    struct weir_http_connection *connection; /* NULL: the client has left */
    enum operator__stage stage;
    int64_t began_ns;
    struct weir_loop *loop;                            /* the control thread's */
    void (*on_done)(struct weir_operation_call *call); /* on the control thread; NULL: the plane is gone */

    /* what is asked */
    struct weir_arena *arena;
    struct weir_http_head head; /* its spans point into the arena */
    struct weir_buffer body;
    char request_id[WEIR_UUID_TEXT_SIZE];
    char peer[64];
    bool is_head;
    struct weir_span values[OPERATOR__MAX_PARAMETERS]; /* decoded, in the order of the row's parameters */
    bool sent[OPERATOR__MAX_PARAMETERS];
    yyjson_doc *document; /* the body's */
    uint64_t expected_version;
    struct weir_actor actor; /* filled by operator__authenticate, as is `identity` */
    struct operator__identity identity;
    int64_t now_utc_us;

    /* while it runs */
    const struct weir_engine_ops *ops;
    struct weir_engine *engine;
    unsigned patience_ms; /* how long the engine waits for another's transaction */
    struct operator__gate *gate;
    struct weir_random *random;
    bool in_work;                  /* between work_begin and work_end */
    unsigned notes;                /* audit entries written */
    enum weir_status store_status; /* the last failure of the store */
    unsigned pieces;               /* that were made */

    /* what is answered */
    unsigned status;
    struct operator__header headers[OPERATOR__MAX_HEADERS];
    size_t header_count;
    const char *content_type;
    struct weir_buffer answer;
    struct weir_json_writer writer;
    bool writes_json;
    bool more;   /* another piece follows */
    bool broken; /* a later piece failed: the answer cannot be completed */
    void (*after)(struct weir_operation_call *call);
    enum weir_reason reason; /* NONE: it goes well */
    bool leaves_no_trace;    /* its failure is not for the audit trail: one like it is there already */
    char field[200], detail[400];
    struct weir_span problems; /* in the arena */
    _Alignas(16) unsigned char state[WEIR_OPERATION_STATE_BYTES];
};

/* --- call.c --- */
/* NULL: no memory. `block` are the head's bytes; it is copied. */
struct weir_operation_call *operator__call_new(struct weir_operator *plane,
                                               const struct weir_operator_settings *settings,
                                               const struct operator__row *row, const struct weir_http_head *head,
                                               struct weir_span block);
void operator__call_free(struct weir_operation_call **call);
/* What the audit trail says of the request: JSON in the arena. */
struct weir_span operator__call_request(struct weir_operation_call *call);
/* A text for the audit trail, with what looks like a secret masked (base/mask.h). */
struct weir_span operator__call_masked(struct weir_operation_call *call, struct weir_span text);
/* Forgets what a piece has written, before the next one is made. */
void operator__call_next_piece(struct weir_operation_call *call);
/* Puts the error's body in the place of what was written. */
void operator__call_write_error(struct weir_operation_call *call);

/* --- sign.c, on the control thread --- */
/* What an answer leaves behind: it is counted, and a change or a refusal has a line in the log. Never what was sent. */
struct operator__sign {
    const char *operation; /* a row's id, or "none" */
    unsigned status;
    bool changed, refused;
    enum weir_reason reason;
    const struct weir_actor *actor;
    const char *request_id;
    int64_t duration_us;
};
/* `strangers`: how many lines those whom nobody knows have had in this second. */
void operator__leave_sign(struct weir_loop *loop, struct weir_metrics *metrics, struct operator__refusals *strangers,
                          const struct operator__sign *sign);

/* --- parameters.c --- */
/* Which row of the path that fits: the first, or operator__row_count. */
size_t operator__find_path(struct weir_span path);
bool operator__same_path(const struct operator__row *a, const struct operator__row *b);
/* The values of the path, which the trail names also where nothing else was looked at. WEIR_OK, or the call has failed. */
WEIR_MUST enum weir_status operator__read_path(struct weir_operation_call *call);
/* Query, header fields and body as the schemas say; the confirmation. WEIR_OK, or the call has failed. */
WEIR_MUST enum weir_status operator__validate(struct weir_operation_call *call, yyjson_val *openapi);

/* --- perform.c, on the operations thread --- */
/* The whole of a call, or its next piece. The store's engine is the call's; NULL: it is away, and `problem` says why. */
void operator__perform(struct weir_operation_call *call, yyjson_val *openapi, const char *problem,
                       struct operator__refusals *refusals);

/* --- operations.c --- */
enum weir_status operator__operations_new(struct weir_loop *loop, const struct weir_operator_settings *settings,
                                          yyjson_val *openapi, void (*on_done)(struct weir_operation_call *call),
                                          struct operator__operations **operations, struct weir_error *error);
/* Queues a call; WEIR_EBUSY past OPERATOR__MAX_QUEUED, but for the next piece of one that has begun. */
WEIR_MUST enum weir_status operator__operations_submit(struct operator__operations *operations,
                                                       struct weir_operation_call *call);
/* True: it was still waiting, and is the caller's again. */
bool operator__operations_withdraw(struct operator__operations *operations, struct weir_operation_call *call);
/* No call begins from here on; what runs goes on. True once the thread has ended. */
bool operator__operations_stop(struct operator__operations *operations);
void operator__operations_free(struct operator__operations **operations);

/* --- authenticate.c --- */
/* Who asks: fills call->actor. NONE, or why nobody is known; `problem` has words or is "". On the operations thread, with the call's store. */
enum weir_reason operator__authenticate(struct weir_operation_call *call, char problem[200]);

#endif
