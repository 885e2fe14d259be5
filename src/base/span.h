/* Borrowed bytes: a pointer and a length. A span never owns what it points to. */
#ifndef WEIR_BASE_SPAN_H
#define WEIR_BASE_SPAN_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct weir_span {
    const char *at;
    size_t length;
};

/* A span over a string literal. */
#define WEIR_SPAN(literal) ((struct weir_span){.at = "" literal, .length = sizeof(literal) - 1})
/* The two arguments of "%.*s". */
#define WEIR_SPAN_PRINT(span) (int)(span).length, (span).at

static inline struct weir_span weir_span_of(const char *at, size_t length) {
    return (struct weir_span){.at = at, .length = length};
}
/* NULL gives the empty span. */
static inline struct weir_span weir_span_of_string(const char *text) {
    return (struct weir_span){.at = text != NULL ? text : "", .length = text != NULL ? strlen(text) : 0};
}
static inline bool weir_span_is_empty(struct weir_span span) {
    return span.length == 0;
}
static inline bool weir_span_equal(struct weir_span a, struct weir_span b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}
static inline bool weir_span_starts_with(struct weir_span span, struct weir_span prefix) {
    return span.length >= prefix.length && (prefix.length == 0 || memcmp(span.at, prefix.at, prefix.length) == 0);
}
/* From `from` (at most the length) to the end. */
static inline struct weir_span weir_span_from(struct weir_span span, size_t from) {
    weir_bug_on(from > span.length);
    return (struct weir_span){.at = span.at + from, .length = span.length - from};
}
static inline struct weir_span weir_span_first(struct weir_span span, size_t length) {
    weir_bug_on(length > span.length);
    return (struct weir_span){.at = span.at, .length = length};
}

/* The rest of what follows: spans of one length. */
bool base__same_ignoring_case(struct weir_span a, struct weir_span b);
/* ASCII case-insensitive. Most names differ in length or in their first byte, but for its case. */
static inline bool weir_span_equal_ignore_case(struct weir_span a, struct weir_span b) {
    return a.length == b.length &&
           (a.length == 0 || (((a.at[0] ^ b.at[0]) & ~0x20) == 0 && base__same_ignoring_case(a, b)));
}
bool weir_span_ends_with(struct weir_span span, struct weir_span suffix);
/* Without leading and trailing spaces and tabs. */
struct weir_span weir_span_trim(struct weir_span span);
/* Splits at the first `separator`: *head before it, *rest after it. Without one *head is all, *rest empty, false. */
bool weir_span_split(struct weir_span span, char separator, struct weir_span *head, struct weir_span *rest);
/* Index of the first `byte`, or span.length. */
size_t weir_span_index(struct weir_span span, char byte);
/* Decimal digits only, no sign, no spaces; WEIR_EINVAL otherwise, WEIR_ELIMIT past UINT64_MAX. */
WEIR_MUST enum weir_status weir_span_to_uint64(struct weir_span span, uint64_t *value);
/* As above with an optional leading '-'. */
WEIR_MUST enum weir_status weir_span_to_int64(struct weir_span span, int64_t *value);
/* Copies into a caller's array as a C string; WEIR_ELIMIT where it does not fit or holds a NUL. */
WEIR_MUST enum weir_status weir_span_to_string(struct weir_span span, char *out, size_t out_size);

#endif
