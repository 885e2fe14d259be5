/* What the files of redaction share: a text to look at, and marks of the bytes that are to go. */
#ifndef WEIR_TELEMETRY_REDACTION_IMPL_H
#define WEIR_TELEMETRY_REDACTION_IMPL_H

#include "telemetry/redaction.h"

/* A mark: what it is, with TELEMETRY__FIRST where it begins; 0: the byte is shown. Names follow in their order. */
enum { TELEMETRY__SECRET = 1, TELEMETRY__NAMED = 2, TELEMETRY__FIRST = 0x80 };

/* A text to look at; its byte i stands at from[i] of the marks and takes length[i] of them. Without `from` it stands where it is, from `base` on. */
struct telemetry__view {
    struct weir_span text;
    unsigned char *marks;
    size_t base;
    const uint32_t *from;
    const unsigned char *length;
};

/* Marks `length` bytes of the view from `at` on. */
void telemetry__mark(const struct telemetry__view *view, size_t at, size_t length, unsigned kind);
/* Marks secrets, and the shapes of `wanted`. */
void telemetry__mark_shapes(const struct telemetry__view *view, unsigned wanted);
/* Reads JSON, or a stream of events, and marks what is in its strings and between them. WEIR_ENOMEM. */
WEIR_MUST enum weir_status telemetry__mark_strings(struct weir_span text, bool events, unsigned wanted,
                                                   unsigned char *marks);

#endif
