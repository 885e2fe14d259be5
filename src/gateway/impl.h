/* The data plane's own types. A request is one struct that walks through the rows of pipeline.c; each step's file says which of its parts
 * it fills. */
#ifndef WEIR_GATEWAY_IMPL_H
#define WEIR_GATEWAY_IMPL_H

#include "dialect/dialect.h"
#include "gateway/gateway.h"
#include "net/http_server.h"
#include "net/listener.h"
#include "http/framing.h"
#include "http/multipart.h"
#include "net/pool.h"
#include "net/spool.h"
#include "route/route.h"
#include "store/store.h"
#include "telemetry/traceparent.h"

#include <pthread.h>

/* --- worker-local views of what is published --- */

/* Connections to one upstream, kept as long as any held revision names the same upstream. */
struct gateway__pool {
    struct weir_list link;
    struct weir_span identity; /* a heap copy */
    int64_t connect_timeout_ms;
    struct weir_pool *pool;
    size_t users;
};

/* A published state in use by this worker: live, or replaced but still held by requests. */
struct gateway__held {
    struct weir_worker *worker;
    const struct weir_published *published;
    struct gateway__pool **pools; /* one a provider of the revision */
    size_t users;
    bool replaced;
};

struct weir_worker {
    const struct weir_gateway *gateway;
    unsigned index;
    pthread_t thread;
    struct weir_loop *loop;
    struct weir_listener *listener;
    struct weir_http_server *server;
    struct weir_resolver *resolver;
    struct weir_journal *journal;
    struct weir_metrics_set *metrics;
    bool is_tls; /* its listener's connections are */
    struct gateway__held *live;
    struct weir_list pools;    /* struct gateway__pool */
    struct weir_list requests; /* in flight */
    struct weir_list syncs;    /* struct gateway__sync (models_sync.c) */
    struct weir_list lookups;  /* struct gateway__lookup: the store has yet to answer */
    struct weir_list parked;   /* requests that wait for room in a budget (park.c) */
    struct gateway__bindings *bindings;
    struct weir_list spare_requests, spare_translations;
    size_t request_count, spare_count, spare_translation_count, held_count;
    struct weir_timer second, drain;
    int64_t drain_until_ns, connections_told;
    struct weir_buffer log_batch;  /* access-log lines of this turn */
    struct weir_buffer scratch;    /* pieces of forms on their way out */
    struct weir_buffer large_body; /* the memory of a large body, for the next one */
    struct weir_deferred log_flush;
    bool log_flush_armed;
    char date[32]; /* of the Date field, once a second */
    bool draining, told_quiet;
    int64_t refusals_until_ns; /* record.c: refusals of unknown callers in this second */
    unsigned refusals;
    uint64_t keys_epoch; /* what requests that begin now may hold of the table of keys is of this epoch at least */
    struct weir_message keys_message;
    _Atomic uint64_t keys_number;
    _Atomic bool keys_posted; /* keys_message is on its way */
    struct weir_message room_message;
    _Atomic bool room_posted; /* room_message is on its way */
};

enum gateway__next {
    NEXT,   /* the next row */
    WAIT,   /* parked: gateway__resume goes on */
    AGAIN,  /* the same row once more: what it waited for may be there */
    ANSWER, /* to the rows marked always */
    RETRY   /* to the row marked retry-from */
};

struct weir_request;

/* What says where a request goes. */
enum gateway__place {
    PLACE_HERE,       /* it is answered here */
    PLACE_OF_MODEL,   /* its model */
    PLACE_OF_ID,      /* the id in its path: what a provider has issued stays with it */
    PLACE_OF_PROVIDER /* the client, by a header; else the provider that takes every name, or the only one */
};
enum { BODY_JSON = 1, BODY_FORM = 2, BODY_ANY = 4 };

struct gateway__endpoint {
    const char *name;   /* for records and metrics */
    const char *method; /* "GET", "POST", "DELETE" */
    const char *path;   /* {id}: one segment; '*': any byte or more; what stands behind either ends the path */
    bool needs_key;
    const char *capability; /* that the key must have; NULL where none is needed */
    bool is_explicit;       /* the key's rules must name the capability: none has it by saying nothing */
    unsigned bodies;        /* BODY_… that it takes; 0: whatever comes goes through */
    enum weir_dialect_kind dialect;
    bool is_native; /* never translated: only providers that speak its dialect are asked */
    size_t base;    /* bytes of its path that stand for a provider's base URL; 0: those of its dialect's version */
    const char *elsewhere; /* what stands before the version in a provider's path: "/upload"; NULL: nothing */
    const char *id_prefix; /* before an id of the path, in what its provider calls it: "files/"; NULL: nothing */
    bool streams;          /* its answer is a stream, as its path says */
    bool is_shared;        /* clients of several vendors ask for it: a header says which dialect is meant */
    enum gateway__place place;
    const struct weir_format *format; /* NULL: its bodies go through unread */
    bool is_free;                     /* costs nothing: its answer is left as it is */
    bool issues;                      /* its answer has ids that the provider gives out */
    bool lists;                       /* its answer shows what others own too: theirs is left out */
    bool hides_models;                /* which models it uses stands where we do not read */
    bool once; /* never sent twice: a connection of its own, so that none turns out to be closed */
    enum gateway__next (*answer)(struct weir_request *request); /* answered here, without a provider */
};

/* What a target gets otherwise than the client sent it. */
struct gateway__form_edit {
    uint64_t at, remove;
    struct weir_span with;
};
/* A form on its way in (form.c). */
enum { GATEWAY_FORM_FIELDS = 64, GATEWAY_FORM_VALUE_BYTES = 1024 };
struct gateway__form {
    struct weir_multipart *reader;
    struct weir_spool *spool;
    struct weir_form_field fields[GATEWAY_FORM_FIELDS];
    struct weir_form form; /* what the format reads */
    char value[GATEWAY_FORM_VALUE_BYTES];
    size_t value_length;
    char file_head[WEIR_FORM_FILE_HEAD];
    uint64_t content_at;
    bool in_file, in_model, begins_with_line_break;
    uint64_t model_at, model_end;   /* the model's place in the body */
    struct gateway__form_edit edit; /* for the current target */
    struct weir_span boundary;
};

/* A question to the store that outlives the request that asked it, if it has to (stored.c). */
struct gateway__lookup {
    struct weir_list link;
    struct weir_request *request; /* NULL: nobody waits any more */
};

enum gateway__relay_mode {
    RELAY_NONE,
    RELAY_BUFFER, /* held until it is whole: JSON, errors */
    RELAY_PASS,   /* too large to hold: goes through as it comes */
    RELAY_STREAM, /* piece by piece: events, lines, an array's elements */
    RELAY_DRAIN   /* the client has all; the upstream's message has yet to end */
};

/* The upstream's side of the current attempt (upstream.c). */
struct gateway__upstream {
    struct weir_pool_wait wait;
    struct weir_pool *pool;
    struct weir_stream *stream; /* NULL: none */
    struct weir_http1 *parser;  /* kept with the request object */
    struct weir_timer timer;    /* first byte, then idle */
    bool reused;
    bool tried_fresh;
    bool any_byte;
    bool head_seen;
    bool ended; /* the answer's message is complete */
    bool keep_alive;
    bool paused;         /* reading stopped: the client is slow */
    const char *problem; /* what is wrong with its answer, where that is not HTTP's affair; NULL */
    bool sending;        /* the request's body is not all written */
    uint64_t form_sent;  /* bytes of the form that are */
    unsigned status;
    struct weir_http_head *head; /* of the answer, in the request's arena */
};

/* The way back (relay.c, relay_stream.c). */
struct gateway__relay {
    enum gateway__relay_mode mode;
    struct weir_buffer body;               /* RELAY_BUFFER: what has come */
    struct weir_buffer out;                /* RELAY_STREAM: what goes out with this turn's write */
    struct weir_buffer last;               /* RELAY_STREAM: the data event that may be the last */
    size_t last_data_at, last_data_length; /* its data within `last`, of lines and elements */
    bool has_last;
    struct weir_frames frames;
    int64_t content_events;
    struct weir_usage begun_usage; /* what the stream said at its beginning */
    size_t passed_bytes;           /* RELAY_PASS */
    bool is_page;                  /* RELAY_BUFFER: HTML, of a proxy or a portal on the way */
    bool is_opaque;                /* RELAY_PASS: sound or a file, where no usage stands */
    bool finish_seen;
    int64_t units_made; /* RELAY_STREAM: of what the events bring, as far as they say */
    int64_t next_sequence;
    struct weir_event_pattern *pattern; /* of the stream's events, in the arena; NULL: none yet */
    struct weir_span answer_id;         /* in the arena */
    bool head_sent;                     /* status line and fields are out */
    bool chunked;
    bool complete; /* the terminal bytes are out */
};

/* What is kept of an answer while it is sent (capture.c). */
struct gateway__capture {
    unsigned setting; /* of the workspace when the request began */
    char *answer;     /* its first bytes, in the arena; NULL: none */
    size_t answer_length;
    uint64_t answer_bytes;
    struct weir_span answer_type; /* in the arena */
};

/* What a request has of limits and budgets (limit.c, reserve.c, provider.c): all of it goes back when it ends. */
struct gateway__kept_hold {
    struct weir_hold hold;
    size_t attempt; /* whose cost it is for */
};
struct gateway__meter {
    struct weir_admission caller, model, provider; /* the provider's of the current attempt */
    struct weir_hold caller_hold, model_hold, provider_hold;
    struct gateway__kept_hold *kept; /* of earlier attempts that the ledger may have to tell of; in the arena */
    size_t kept_count;
    struct weir_rate_state rates;             /* the tightest of all that were asked; limits 0: none was */
    const struct weir_meter_refusal *refusal; /* that ended it; in the arena */
    size_t attempt;                           /* the last one that was made, among the entry's */
    bool has_kept_first;                      /* the first attempt's hold is among `kept`, or there was none */
    bool provider_exhausted;                  /* a candidate was passed over because of a budget of its provider */
    struct weir_list parked;
    struct weir_timer again;
    bool is_parked;
    int64_t waits_since_ns; /* 0: it has not waited */
};

struct weir_request {
    struct weir_list link;
    struct weir_worker *worker;
    struct gateway__held *held;
    struct weir_http_connection *connection; /* NULL once it is finished or gone */
    struct weir_arena *arena;
    const struct gateway__endpoint *endpoint;
    const struct weir_format *format; /* the endpoint's */

    /* the pipeline */
    size_t step;
    bool in_step;
    bool has_pending;
    enum gateway__next pending;

    /* what came */
    struct weir_http_head *head;
    struct weir_buffer body;
    struct gateway__form *form; /* NULL: its body is no form */
    bool body_complete;
    struct weir_span path_variable;
    struct weir_span query; /* as it is sent on */
    int64_t start_ns, start_utc_us;
    int64_t read_ns; /* its body is complete; 0: not yet */
    struct weir_uuid id;
    char id_text[WEIR_UUID_TEXT_SIZE];
    struct weir_span client_request_id, tags, trace_id;
    char traceparent[WEIR_TRACEPARENT_SIZE]; /* for the upstream */
    struct weir_span client_address;
    struct weir_timer deadline;

    /* who, what, where */
    uint64_t keys_epoch; /* `key` was found under this one or a later one */
    const struct weir_key *key;
    struct gateway__capture *capture; /* NULL: its workspace wants none */
    const struct weir_dialect *dialect;
    struct weir_call call;
    struct gateway__lookup *lookup; /* NULL: none is under way */
    void *list;                     /* stored.c: the list that is being sorted */
    unsigned receipt_waits;         /* receipts.c: how often an entry was waited for */
    struct weir_issued issued;      /* of the id that it names; empty provider: none is named */
    struct weir_candidates candidates;
    size_t next_candidate;
    const struct weir_target *target;
    const struct weir_price *price;           /* of the target */
    struct gateway__translation *translation; /* translate.h; NULL: no candidate needs it */

    /* what it may and did cost */
    struct weir_usage reserved_usage;
    int64_t reserved_cu_milli;
    struct gateway__meter meter;
    bool journal_opened;
    bool settled;
    struct weir_ledger_entry entry; /* filled as things become known; `attempts` while they happen */
    struct weir_usage usage;
    bool has_usage;

    struct gateway__upstream upstream;
    struct gateway__relay relay;

    /* how it ended */
    enum weir_reason reason;
    enum weir_stage stage;          /* that it failed at */
    const char *field;              /* for the error, NULL without */
    const char *allow;              /* a 405: the methods that the path takes */
    struct weir_span detail;        /* in the arena */
    struct weir_span cause;         /* why a provider could not be reached, for the record alone; in the arena */
    unsigned status;                /* that the client got; 0: none */
    unsigned upstream_error_status; /* the status to pass on with an upstream's error; 0 */
    bool show_upstream_error;
    int64_t first_byte_ns; /* to the client */
};

/* --- pipeline.c --- */
void gateway__run(struct weir_request *request);
/* As if the waiting row had returned `next`. */
void gateway__resume(struct weir_request *request, enum gateway__next next);
/* Notes why it failed; `detail` is a format. Returns ANSWER. The first reason stays. */
enum gateway__next gateway__fail(struct weir_request *request, enum weir_reason reason, const char *field,
                                 const char *detail, ...) WEIR_PRINTF(4, 5);

/* --- the rows --- */
enum gateway__next gateway__step_admit(struct weir_request *request);
enum gateway__next gateway__step_identify(struct weir_request *request);
enum gateway__next gateway__step_authorize(struct weir_request *request);
enum gateway__next gateway__step_limit(struct weir_request *request);
enum gateway__next gateway__step_read(struct weir_request *request);
enum gateway__next gateway__step_local(struct weir_request *request);
enum gateway__next gateway__step_understand(struct weir_request *request);
enum gateway__next gateway__step_locate(struct weir_request *request);
enum gateway__next gateway__step_authorize_model(struct weir_request *request);
enum gateway__next gateway__step_route(struct weir_request *request);
enum gateway__next gateway__step_limit_body(struct weir_request *request);
enum gateway__next gateway__step_reserve(struct weir_request *request);
enum gateway__next gateway__step_send(struct weir_request *request);
enum gateway__next gateway__step_settle(struct weir_request *request);
enum gateway__next gateway__step_answer(struct weir_request *request);
enum gateway__next gateway__step_record(struct weir_request *request);

/* --- bindings.c: what applies to whom; none of them are the caller's to let go --- */
struct gateway__bindings;
WEIR_MUST enum weir_status gateway__bindings_new(struct gateway__bindings **bindings);
void gateway__bindings_free(struct gateway__bindings **bindings);
/* Now and then: lets go of what has become useless. */
void gateway__bindings_sweep(struct weir_worker *worker);
/* Of the request's key. WEIR_ENOMEM. */
WEIR_MUST enum weir_status gateway__bind_caller(struct weir_request *request, struct weir_meter_binding **binding);
/* Of a model or a provider; good until the next call. */
WEIR_MUST enum weir_status gateway__bind_name(struct weir_worker *worker, enum weir_scope scope, struct weir_span name,
                                              struct weir_meter_binding **binding);
/* The key's owner as the meter knows him; texts in the request's arena. */
WEIR_MUST enum weir_status gateway__caller_of(struct weir_request *request, struct weir_meter_caller *caller);
struct weir_span gateway__family_of(const struct weir_key *key);

/* --- limit.c --- */
/* Ends the request with what the meter says. */
bool gateway__is_budget(const struct weir_meter_refusal *refusal);
enum gateway__next gateway__refuse(struct weir_request *request, const struct weir_meter_refusal *refusal);
/* The tightest limits so far, for the answer's head. */
void gateway__note_rates(struct weir_request *request, const struct weir_rate_state *rates);
/* The x-ratelimit-… fields, where a limit applies, and the clamped output limit. */
void gateway__write_rates(const struct weir_request *request, struct weir_buffer *out);
/* Tokens that it likely takes: what limits in tokens are asked about before it leaves. */
int64_t gateway__likely_tokens(const struct weir_request *request);
/* Counted as a stream. */
bool gateway__is_stream(const struct weir_request *request);

/* --- park.c --- */
/* The row will be run again when there may be room, or in a moment. Returns WAIT. */
enum gateway__next gateway__park(struct weir_request *request);
void gateway__unpark(struct weir_request *request);
/* How long the request has waited for room. */
int64_t gateway__waited_ms(const struct weir_request *request);

/* --- reserve.c --- */
/* What a target charges for the request; NULL: it has no price, or the endpoint is free. */
const struct weir_price *gateway__price_of(const struct weir_request *request, const struct weir_target *target);
/* The most that the request can cost at this price; *usage is what it is for. */
int64_t gateway__worst_cost(const struct weir_request *request, const struct weir_price *price,
                            struct weir_usage *usage);
int64_t gateway__tokens_of(const struct weir_usage *usage); /* input and output; saturates */

/* --- provider.c: limits and budgets of providers, attempt by attempt --- */
/* Before an attempt at request->target. NEXT: it may be sent; RETRY: its provider is passed over; WAIT; ANSWER. */
enum gateway__next gateway__provider_admit(struct weir_request *request);
/* The next candidate is not tried, for this reason. RETRY. */
enum gateway__next gateway__pass_over(struct weir_request *request, enum weir_reason reason);
/* Every candidate has failed or was passed over. */
enum gateway__next gateway__no_candidate(struct weir_request *request);
/* What the attempt that has just failed may have cost, as far as that can be told; noted in its record. */
void gateway__estimate_attempt(struct weir_request *request, enum weir_reason reason);

/* --- record.c: what the request's record says besides --- */
/* Stage, policy outcome, times, what was wrong: into the entry. The texts live in the request's arena. */
void gateway__fill_story(struct weir_request *request);
/* A record of a request that reached no provider, which the ledger does not know. */
void gateway__record_unbilled(struct weir_request *request);

/* --- authorize.c --- */
/* The client's address, through the proxies that are trusted. */
void gateway__find_client_address(struct weir_request *request);
bool gateway__model_allowed(const struct weir_request *request, struct weir_span model);

/* --- requests.c: beginnings and ends --- */
extern const struct weir_http_handler gateway__handler;
void gateway__request_free(struct weir_request *request);
/* Ends it from outside, for this reason: the upstream is closed, the client is told. One that has said all only stops waiting. */
void gateway__request_cut(struct weir_request *request, enum weir_reason reason);
/* Room for a body of that length, before any of it has come. */
void gateway__body_reserve(struct weir_request *request, size_t length);
/* Ends every request's life at shutdown. */
void gateway__requests_free_spare(struct weir_worker *worker);

/* --- endpoints.c --- */
/* NULL: none; then *allow names the methods that the path takes, NULL where there is no such path. *variable is what {id} or '*' stood for. */
const struct gateway__endpoint *gateway__endpoint_find(struct weir_span method, struct weir_span path,
                                                       struct weir_span *variable, const char **allow);

/* A vendor's clients ask for paths like this one, whether or not anything is there. */
enum weir_dialect_kind gateway__dialect_of_path(struct weir_span path);
/* How many bytes of an endpoint's path stand for what a provider's base URL has: a lane, a version. */
size_t gateway__version_end(const struct weir_request *request);
/* What providers of other dialects may be asked instead; WEIR_TASK_NONE: nothing. */
static inline enum weir_task gateway__task(const struct weir_request *request) {
    return request->endpoint->is_native || request->format == NULL ? WEIR_TASK_NONE : request->format->task;
}
/* Whether this target can be sent the request as it came. */
static inline bool gateway__speaks_natively(const struct weir_request *request, const struct weir_target *target) {
    return (target->provider->speaks >> request->endpoint->dialect & 1) != 0;
}

/* A text that can be a provider's id: nothing in it means something in a path or a query. */
bool gateway__is_id(struct weir_span segment);

/* --- doors.c: what the vendors' clients send otherwise than OpenAI's do --- */
/* The dialect of its answers and errors, before anything can fail: its endpoint's, else that of the clients who ask for such paths. */
const struct weir_dialect *gateway__dialect_of(const struct weir_request *request);
/* The key, by Authorization or by the field that the dialect's clients have for it, in its plain form. A failure otherwise, or none. */
enum gateway__next gateway__find_key(struct weir_request *request, struct weir_span *key);
/* The query without what is for this gateway alone. Empty where there is no memory. */
struct weir_span gateway__query_to_forward(struct weir_request *request);
/* Where the path says what other formats have in their bodies: the model, and whether a stream is wanted. */
enum gateway__next gateway__read_path(struct weir_request *request);
/* Leaves the candidates that speak the endpoint's dialect, where only those will do. */
enum gateway__next gateway__keep_native(struct weir_request *request);

/* --- uploads.c: all of them do nothing where the endpoint is none of uploads --- */
/* The upload that a piece belongs to, from the query: becomes the id that the request builds on. */
void gateway__find_upload(struct weir_request *request);
/* The hash of the key that a piece without one belongs to: whose upload it is. False: it is no such piece, or not known. */
bool gateway__find_beginner(struct weir_request *request, unsigned char hash[WEIR_KEY_HASH_SIZE]);
/* Notes the id of an upload that an answer begins. */
void gateway__note_upload(struct weir_request *request);
/* A field of an answer that says where the pieces go; it is written with our own address. */
bool gateway__is_upload_url(const struct weir_request *request, struct weir_span name);
void gateway__write_upload_url(const struct weir_request *request, struct weir_span value, struct weir_buffer *out);

/* --- answer.c --- */
/* Begins a head with the fields that every answer has. */
void gateway__write_head(struct weir_request *request, unsigned status, struct weir_buffer *out);
/* A whole answer: head, body, end of request. */
void gateway__answer_body(struct weir_request *request, unsigned status, struct weir_span content_type,
                          struct weir_span body);
/* The same with fields of its own. */
void gateway__answer_fields(struct weir_request *request, unsigned status, struct weir_span content_type,
                            struct weir_span body, const struct weir_http_field *fields, size_t count);
void gateway__answer_error(struct weir_request *request);
struct weir_error_answer gateway__error_of(const struct weir_request *request);
/* The CORS fields for this request's Origin, if it is allowed. */
void gateway__write_cors(const struct weir_request *request, struct weir_buffer *out);
bool gateway__origin_allowed(const struct weir_request *request, struct weir_span origin);
/* Ends the client's side: the answer is written. */
void gateway__client_done(struct weir_request *request);
/* The same after a write of `status`: a failed one resets the connection. */
void gateway__client_written(struct weir_request *request, enum weir_status status);

/* --- local.c: answers that need no provider --- */
enum gateway__next gateway__answer_health(struct weir_request *request);
enum gateway__next gateway__answer_metrics(struct weir_request *request);
enum gateway__next gateway__answer_preflight(struct weir_request *request);

/* --- models.c: the lists of models, in the form of who asks --- */
enum gateway__next gateway__answer_models(struct weir_request *request);
enum gateway__next gateway__answer_model(struct weir_request *request);
enum gateway__next gateway__answer_show(struct weir_request *request);
enum gateway__next gateway__answer_loaded(struct weir_request *request);
enum gateway__next gateway__answer_ollama_version(struct weir_request *request);
enum gateway__next gateway__answer_root(struct weir_request *request);

/* --- receipts.c --- */
enum gateway__next gateway__answer_receipt(struct weir_request *request);
enum gateway__next gateway__answer_receipt_keys(struct weir_request *request);
/* --- billing_actions.c, billing_webhook.c, billing_models.c: billing.h --- */
enum gateway__next gateway__billing_purchase_create(struct weir_request *request);
enum gateway__next gateway__billing_purchase_get(struct weir_request *request);
enum gateway__next gateway__billing_purchase_list(struct weir_request *request);
enum gateway__next gateway__billing_balance(struct weir_request *request);
enum gateway__next gateway__billing_plan(struct weir_request *request);
enum gateway__next gateway__billing_usage(struct weir_request *request);
enum gateway__next gateway__billing_plan_upgrade(struct weir_request *request);
enum gateway__next gateway__billing_plan_downgrade(struct weir_request *request);
enum gateway__next gateway__billing_plan_cancel(struct weir_request *request);
enum gateway__next gateway__billing_payment(struct weir_request *request);

/* --- models_sync.c --- */
enum gateway__next gateway__models_sync(struct weir_request *request);
/* At the worker's end, while its loop still turns. */
void gateway__syncs_free(struct weir_worker *worker);

/* --- form.c --- */
/* Begins to take the body as a form. WEIR_EINVAL: no boundary; WEIR_ENOMEM. */
WEIR_MUST enum weir_status gateway__form_begin(struct weir_request *request, struct weir_span content_type);
/* Takes a piece of the body. ANSWER: it failed, the request knows why. */
enum gateway__next gateway__form_take(struct weir_request *request, struct weir_span data);
enum gateway__next gateway__form_end(struct weir_request *request);
void gateway__form_free(struct weir_request *request);
/* The form as it is sent to the current target: first its length, then its bytes from `offset`; *data is empty at the end, and lives until the next
 * call on this worker. */
WEIR_MUST enum weir_status gateway__form_prepare(struct weir_request *request, uint64_t *length);
WEIR_MUST enum weir_status gateway__form_read(struct weir_request *request, uint64_t offset, struct weir_span *data);

/* --- stored.c: what providers keep --- */
/* The candidates of a request that is no model's: by id, or by provider. */
enum gateway__next gateway__route_stored(struct weir_request *request);
/* Leaves the candidates of the provider that has what the request builds on. */
enum gateway__next gateway__keep_issuer(struct weir_request *request);
/* Notes the ids that a successful answer gives out. */
void gateway__note_issued(struct weir_request *request, struct weir_span body);
void gateway__note_issued_id(struct weir_request *request, struct weir_span id);
/* A list whose items have to be asked for: WAIT, and gateway__resume comes later; NEXT where it was answered. */
enum gateway__next gateway__answer_list(struct weir_request *request);
/* What a request waits for of the store; NULL: no memory. One at a time. */
struct gateway__lookup *gateway__lookup_new(struct weir_request *request);
/* The request that waits for a reply, which is here; NULL: it has gone. Frees the lookup. */
struct weir_request *gateway__lookup_take(struct gateway__lookup *lookup);
void gateway__lookup_drop(struct weir_request *request);
/* At the worker's end, after the store has forgotten its loop: no answer comes any more. */
void gateway__lookups_free(struct weir_worker *worker);

/* --- upstream_request.c --- */
/* Writes the request to the upstream's stream: all of it, or as much as may wait there. */
WEIR_MUST enum weir_status gateway__send_request(struct weir_request *request);
/* Goes on where there is room again. */
WEIR_MUST enum weir_status gateway__send_more(struct weir_request *request);
uint64_t gateway__body_length(const struct weir_request *request);

/* --- upstream.c --- */
/* Lets go of the upstream: gives the connection back when `reusable`, closes it otherwise. Legal at any time. */
void gateway__upstream_end(struct weir_request *request, bool reusable);
/* Notes and counts how the attempt that is under way has failed; nothing where none is. Good ones are counted at the request's end. */
void gateway__attempt_ended(struct weir_request *request, enum weir_reason reason);
/* The client has room again, or has none. */
void gateway__upstream_pause(struct weir_request *request, bool pause);

/* --- relay.c, relay_stream.c: called with the upstream's answer --- */
enum weir_status gateway__relay_head(struct weir_request *request);
enum weir_status gateway__relay_body(struct weir_request *request, struct weir_span data);
/* The upstream's message is complete. Gives what the pipeline is to do. */
enum gateway__next gateway__relay_end(struct weir_request *request);
/* The status that a provider's means for this client: one that only its own clients know becomes one that all do. */
unsigned gateway__client_status(const struct weir_request *request, unsigned status);
void gateway__relay_reset(struct weir_request *request);
void gateway__write_upstream_fields(struct weir_request *request, struct weir_buffer *out);
/* A provider that tells its credential back (errors do: "Incorrect API key provided: …") tells it to nobody: from `from` on, stars stand in its place. */
void gateway__hide_credential(const struct weir_request *request, struct weir_buffer *out, size_t from);
/* Sends a whole answer: the upstream's status and fields, what it cost where it may cost something, and `parts` (parts[0] is filled here). */
enum gateway__next gateway__relay_whole(struct weir_request *request, struct weir_span *parts, size_t count,
                                        size_t body_length);
/* The last chunk of a body, with the trailer that its head has announced. The span is in `text`. */
enum { GATEWAY_END_SIZE = 80 };
struct weir_span gateway__end_of_body(const struct weir_request *request, char text[GATEWAY_END_SIZE]);
enum weir_status gateway__relay_pass_begin(struct weir_request *request);
enum weir_status gateway__stream_body(struct weir_request *request, struct weir_span data);
enum gateway__next gateway__stream_end(struct weir_request *request);
/* Everything has been said: settles, and ends the body of a translated stream. */
enum weir_status gateway__stream_complete(struct weir_request *request);
/* Ends a stream that has begun with the dialect's error event. */
void gateway__stream_fail(struct weir_request *request);
/* The upstream failed. Another candidate, or the end. */
enum gateway__next gateway__upstream_failed(struct weir_request *request, enum weir_reason reason, const char *detail);

/* --- charge.c --- */
/* Gives back all that the request holds; what it cost stays charged. Once it is in the journal; legal at any time, and again. */
void gateway__charge(struct weir_request *request);

/* --- settle.c --- */
/* Computes what was used and writes the journal's close; once. Before the terminal bytes. */
void gateway__settle(struct weir_request *request);

/* --- capture.c: contents, for the workspaces that have them captured --- */
void gateway__capture_begin(struct weir_request *request, unsigned setting);
/* Where request->capture is set: bytes of the answer's body as they are sent. */
void gateway__capture_answer(struct weir_request *request, const struct weir_span *parts, size_t count);
void gateway__capture_type(struct weir_request *request, struct weir_span content_type);
/* Redacts, seals and hands it to the store. */
void gateway__capture_end(struct weir_request *request);

/* --- worker.c --- */
/* The lines of this turn are written at its end, in one system call. */
void gateway__flush_log_later(struct weir_worker *worker);

/* --- held.c --- */
enum weir_status gateway__held_new(struct weir_worker *worker, const struct weir_published *published,
                                   struct gateway__held **held);
void gateway__held_ref(struct gateway__held *held);
/* Gives it back to the control thread when it is replaced and nobody uses it. */
void gateway__held_unref(struct gateway__held *held);
void gateway__held_replace(struct weir_worker *worker, struct gateway__held *fresh);

static inline int64_t gateway__since_start_us(const struct weir_request *request, int64_t now_ns) {
    return (now_ns - request->start_ns) / 1000;
}
/* The same for a record: what is longer than it can say (71 minutes) is said to be that long. */
static inline uint32_t gateway__record_us(const struct weir_request *request, int64_t now_ns) {
    int64_t us = gateway__since_start_us(request, now_ns);
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* Ended before its answer was whole, and neither weir nor a provider is to blame. */
static inline bool gateway__is_aborted(const struct weir_request *request) {
    return request->reason == WEIR_REASON_CLIENT_CLOSED || request->reason == WEIR_REASON_KEY_REVOKED_MEANWHILE;
}

static inline const struct weir_gateway_settings *gateway__settings(const struct weir_request *request) {
    return request->held->published->settings;
}

#endif
