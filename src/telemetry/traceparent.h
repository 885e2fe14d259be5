/* W3C Trace Context: the header traceparent, in and out. Pure functions. */
#ifndef WEIR_TELEMETRY_TRACEPARENT_H
#define WEIR_TELEMETRY_TRACEPARENT_H

#include "base/ids.h"

enum {
    WEIR_TRACEPARENT_SIZE = 56, /* "00-<32 digits>-<16 digits>-<2 digits>" and NUL */
    WEIR_TRACE_ID_TEXT_SIZE = 33,
    WEIR_TRACE_SAMPLED = 1
};

struct weir_traceparent {
    unsigned char trace_id[16];
    unsigned char parent_id[8]; /* the span that sent it */
    uint8_t flags;
};

/* One header's value, without surrounding spaces. Version 00 is exactly its 55 bytes; of a later version the first 55 are
 * read, and more must begin with '-'. Upper-case digits, all-zero ids and version ff are WEIR_EINVAL: begin a new trace. */
WEIR_MUST enum weir_status weir_traceparent_parse(struct weir_span text, struct weir_traceparent *traceparent);
/* A new trace with a new span, sampled. */
void weir_traceparent_new(struct weir_random *random, struct weir_traceparent *traceparent);
/* The same trace and flags (those that version 00 knows) with a new span. `child` may be `parent`. */
void weir_traceparent_child(struct weir_random *random, const struct weir_traceparent *parent,
                            struct weir_traceparent *child);
/* Always in version 00. */
void weir_traceparent_format(const struct weir_traceparent *traceparent, char out[WEIR_TRACEPARENT_SIZE]);
/* The trace id's 32 digits. */
void weir_traceparent_trace_id(const struct weir_traceparent *traceparent, char out[WEIR_TRACE_ID_TEXT_SIZE]);

#endif
