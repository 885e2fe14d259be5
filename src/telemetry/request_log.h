/* The access log: one line of JSON a finished request, on the same descriptor as the other logs.
 *
 * Nothing of a prompt, an answer or a credential is a field here, and the query of a path is left out.
 */
#ifndef WEIR_TELEMETRY_REQUEST_LOG_H
#define WEIR_TELEMETRY_REQUEST_LOG_H

#include "base/log.h"
#include "base/reasons.h"
#include "base/usage.h"

/* Spans are borrowed. What is empty or 0 is left out of the line, but for status, stream and duration_us. */
struct weir_request_line {
    int64_t utc_us; /* when it ended */
    struct weir_span request_id;
    struct weir_span client_request_id;
    struct weir_span trace_id;
    struct weir_span key_id;
    struct weir_span workspace;
    struct weir_span method;
    struct weir_span path; /* what follows a '?' is not written */
    struct weir_span endpoint;
    struct weir_span model;
    struct weir_span provider;
    struct weir_span upstream_model;
    struct weir_span outcome;
    struct weir_span client_address;
    unsigned status;
    enum weir_reason reason;
    bool stream;
    int64_t duration_us;
    int64_t first_byte_us;
    struct weir_usage usage;
    int64_t cost_cu_milli;
    unsigned attempts;
    uint64_t revision;
};

/* Level info; one write(2), no allocation. Long values are cut, invalid UTF-8 becomes U+FFFD: the line is always valid. */
void weir_request_log(const struct weir_log *log, const struct weir_request_line *line);

#endif
