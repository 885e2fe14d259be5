/* Numbers about what happens: one row a metric (metrics.def), one set of counters a worker, read by anyone.
 *
 * Each worker writes its own set (relaxed atomics, no sharing of cache lines); exposition adds them up.
 */
#ifndef WEIR_TELEMETRY_METRICS_H
#define WEIR_TELEMETRY_METRICS_H

#include "base/buffer.h"
#include "base/reasons.h"
#include "base/usage.h"

struct weir_metrics;     /* all sets */
struct weir_metrics_set; /* one worker's */

WEIR_MUST enum weir_status weir_metrics_new(unsigned workers, struct weir_metrics **metrics);
void weir_metrics_free(struct weir_metrics **metrics);
struct weir_metrics_set *weir_metrics_of(struct weir_metrics *metrics, unsigned worker);

/* One finished request. `status` is the HTTP status the client got (499 where it left). Label values come from configuration (route
 * names, providers, models that resolved), never from a client's bytes; at most 1,000 label sets a metric, then "other". */
struct weir_metrics_request {
    const char *endpoint;      /* "chat.completions", "models", "health", … static */
    struct weir_span provider; /* empty: none */
    struct weir_span model;    /* resolved; empty: none */
    unsigned status;
    enum weir_reason reason;
    int64_t duration_us;
    int64_t first_byte_us; /* 0: not a stream */
    struct weir_usage usage;
    int64_t cost_cu_milli;
};
void weir_metrics_record(struct weir_metrics_set *set, const struct weir_metrics_request *request);
/* An attempt that has ended: also one behind which another provider answers. NONE: it went well. The provider's name as above. */
void weir_metrics_add_attempt(struct weir_metrics_set *set, struct weir_span provider, enum weir_reason reason);
/* Gauges, by name of the row. */
void weir_metrics_add_active(struct weir_metrics_set *set, int64_t requests, int64_t streams, int64_t connections);
/* A refused request of which no record is kept. */
void weir_metrics_add_record_left_out(struct weir_metrics_set *set);
/* Something that was refused, or a provider that was passed over, because of a limit of that scope; `limit` NULL: because of a budget. Both are static. */
void weir_metrics_add_limited(struct weir_metrics_set *set, const char *scope, const char *limit);
/* What a provider reported beyond its reservation. */
void weir_metrics_add_overrun(struct weir_metrics_set *set, int64_t cu_milli);
/* CPU time of the worker's thread so far. */
void weir_metrics_set_cpu(struct weir_metrics_set *set, int64_t cpu_ns);

/* An answer of the operator plane, counted on one thread. `operation` is static: an operation's id, or "none". */
void weir_metrics_add_operation(struct weir_metrics *metrics, const char *operation, unsigned status);
void weir_metrics_add_login_failed(struct weir_metrics *metrics);
/* How many operations wait; on any thread. */
void weir_metrics_set_operator_queue(struct weir_metrics *metrics, size_t waiting);

/* Facts that are not counted per request. */
enum { WEIR_METRICS_ALERT_KINDS = 4 };
struct weir_metrics_facts {
    bool store_available;
    bool journal_available;
    uint64_t ingested_records;
    uint64_t journal_backlog_bytes;
    int64_t store_cpu_ns;
    int64_t control_cpu_ns;
    int64_t audit_sink_behind;
    uint64_t audit_sink_failures;
    uint64_t contents_left_out;
    int64_t meter_holds, meter_held_cu_milli, meter_admissions;
    size_t meter_counters;
    uint64_t meter_questions, meter_waits;
    const char *version;
    const char *environment;
    uint64_t revision;
    bool ready;
    size_t keys, keys_active, keys_rotation_due, keys_bytes;
    bool sealing_key;
    bool has_backups;      /* scheduled ones; what follows is of them */
    int64_t backup_utc_us; /* of the newest one; 0: none yet */
    uint64_t backup_bytes, backup_failures;
    struct {
        const char *kind; /* static; NULL: none */
        uint64_t count;
    } alerts[WEIR_METRICS_ALERT_KINDS];
    int64_t start_utc_us;
};
/* Prometheus text format 0.0.4, or OpenMetrics 1.0.0 when asked. */
void weir_metrics_write(const struct weir_metrics *metrics, const struct weir_metrics_facts *facts, bool openmetrics,
                        struct weir_buffer *out);
/* Whether an Accept field (NULL: none was sent) asks for OpenMetrics, and the media type of either form. */
bool weir_metrics_wants_openmetrics(const struct weir_span *accept);
const char *weir_metrics_content_type(bool openmetrics);
/* The reference page docs/reference/metrics.md, from the rows. */
void weir_metrics_reference(struct weir_buffer *out);

#endif
