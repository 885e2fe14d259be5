/* The data plane: what happens to a request, from its first byte to its ledger entry.
 *
 * Worker threads share nothing but what struct weir_gateway names; a request lives on one loop for life. The order of work is a table
 * (pipeline.c); the rules stand in the modules below.
 */
#ifndef WEIR_GATEWAY_GATEWAY_H
#define WEIR_GATEWAY_GATEWAY_H

#include "base/option.h"
#include "config/revision.h"
#include "gateway/found_models.h"
#include "identity/key.h"
#include "identity/keys.h"
#include "meter/meter.h"
#include "meter/prices.h"
#include "net/tls.h"
#include "secrets/sealing.h"
#include "store/records.h"
#include "telemetry/board.h"
#include "telemetry/metrics.h"

/* The values of the sections of the same names. */
struct weir_limits_settings {
    int64_t max_request_bytes;
    int64_t max_connections;
    int64_t max_active_requests;
    int64_t keep_alive_requests;
    int64_t default_output_tokens;
    int64_t max_upload_bytes;
    int64_t spool_memory_bytes;
    bool metered_only;
};
struct weir_timeouts_settings {
    int64_t head_ms;
    int64_t body_ms;
    int64_t keep_alive_ms;
    int64_t connect_ms;
    int64_t first_byte_ms;
    int64_t idle_ms;
    int64_t request_ms;
};
struct weir_cors_settings {
    struct weir_texts origins;
};
struct weir_auth_settings {
    struct weir_texts key_headers; /* besides Authorization: "x-api-key", "x-goog-api-key", "key" (the parameter) */
};
struct weir_metrics_settings {
    struct weir_texts allow;
};
enum weir_payment { WEIR_PAYMENT_MANUAL = 0, WEIR_PAYMENT_WEBHOOK };
struct weir_billing_settings {
    int payment; /* enum weir_payment: who says that a purchase was paid */
    struct weir_span payment_url;
    struct weir_span webhook_secret; /* a reference */
    int64_t max_purchase_cu;
    int64_t purchase_expiry_ms;
};
struct weir_dialects_settings {
    bool strict_params;
};
struct weir_gateway_settings {
    struct weir_limits_settings limits;
    struct weir_timeouts_settings timeouts;
    struct weir_cors_settings cors;
    struct weir_auth_settings auth;
    struct weir_metrics_settings metrics;
    struct weir_billing_settings billing;
    struct weir_dialects_settings dialects;
};
extern const struct weir_option_table weir_limits_options;
extern const struct weir_option_table weir_timeouts_options;
extern const struct weir_option_table weir_cors_options;
extern const struct weir_option_table weir_auth_options;
extern const struct weir_option_table weir_metrics_options;
extern const struct weir_option_table weir_billing_options;
extern const struct weir_option_table weir_dialects_options;

/* One published state: a revision, the prices and the settings that go with it. Immutable; owned by main. */
struct weir_published {
    const struct weir_revision *revision;
    const struct weir_prices *prices;
    const struct weir_gateway_settings *settings;
    struct weir_tls *const *tls; /* one a provider, NULL for plain HTTP */
    struct weir_networks trusted_proxies;
};

/* What is captured of a workspace's requests (struct weir_key_workspace): 0 is nothing; what is taken out by name stands from the second bit on. */
enum { WEIR_CAPTURE_CONTENT = 1, WEIR_CAPTURE_REDACT = 2 };

struct weir_receipt_signer;

/* What all workers share. Filled by main before the first worker starts; the pointers outlive them. */
struct weir_gateway {
    struct weir_key_format key_format;
    struct weir_span brand_upper; /* "WEIR" */
    bool is_dev;                  /* loopback origins are allowed by default */
    bool shows_simulator_headers; /* x-sim-* request headers reach the built-in simulator */
    struct weir_keys *keys;
    struct weir_metrics *metrics;
    struct weir_board *board;
    struct weir_store *store;
    struct weir_meter *meter;
    struct weir_record_settings records;  /* of which requests a record is kept */
    const struct weir_sealing *sealing;   /* for what is captured */
    int64_t content_retention_us;         /* of what is captured */
    struct weir_receipt_signer *receipts; /* NULL: none are given */
    struct weir_issued_table *issued;
    struct weir_found_models *found_models;   /* that providers listed lately; NULL: not known */
    const struct weir_secret *webhook_secret; /* of payments; NULL: none, and no payment's word is believed */
    const char *spool_directory;              /* for forms that are too large for memory */
    struct weir_log log;
    /* Workers that were told to stop and have something in flight. None ends before it is 0 or its own time is over: the sockets of all
     * take connections until the end, and each of these gets an answer. */
    _Atomic unsigned *busy_workers;
    /* Writes the body of /metrics; called on a worker's thread. */
    void (*write_metrics)(void *context, bool openmetrics, struct weir_buffer *out);
    void *context;
    /* Called on a worker's thread when it has let go of a published state. */
    void (*on_released)(void *context, const struct weir_published *published);
    /* Called on a worker's thread when it has done what weir_worker_check_keys asked. */
    void (*on_keys_checked)(void *context, unsigned worker, uint64_t number);
    /* Called on a worker's thread as the last thing that it does. */
    void (*on_stopped)(void *context);
};

/* What the rules of a key may name (identity/rules.h): endpoints that need a key, and what a key must be able to do for them. */
const char *weir_gateway_endpoint_name(size_t index);
const char *weir_gateway_capability_name(size_t index);

struct weir_worker;

/* Makes worker `index`, accepting on `fd` (kept open by the caller), and starts its thread. `tls` may be NULL. `published` is live from
 * the start. */
WEIR_MUST enum weir_status weir_worker_start(const struct weir_gateway *gateway, unsigned index, int fd,
                                             struct weir_tls *tls, const struct weir_published *published,
                                             struct weir_worker **worker, struct weir_error *error);
/* From the control thread: the worker goes over to `published` for new requests; on_released tells when the one before is free. */
WEIR_MUST enum weir_status weir_worker_publish(struct weir_worker *worker, const struct weir_published *published);
/* From the control thread, behind a change of the table of keys: the worker ends the answers in flight of every revoked key that says so, then calls
 * on_keys_checked with `number`, or with a later one where it was asked again meanwhile. A worker that is ending may not come to it. */
void weir_worker_check_keys(struct weir_worker *worker, uint64_t number);
/* From the control thread: there may be room in budgets; requests that wait for it ask again. */
void weir_worker_wake(struct weir_worker *worker);
/* From the control thread: new requests are refused, the rest is drained for at most `timeout_ms`; then the thread ends. The worker is
 * counted in *busy_workers before. */
void weir_worker_stop(struct weir_worker *worker, int64_t timeout_ms);
/* Joins the thread and frees. */
void weir_worker_join(struct weir_worker **worker);

#endif
