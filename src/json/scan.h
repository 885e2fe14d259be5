/* A validating scanner that tells where things stand in a JSON text, without building anything.
 *
 * One pass checks the whole text against RFC 8259 (UTF-8 included, depth limited) and notes the places of the members
 * that the caller asked for, so that they can be read or replaced while every other byte stays as it came. A document
 * library rewrites numbers and loses offsets; two parsers that disagree about a duplicate member are a way in, so a
 * duplicate of any wanted member (or of an object on the way to it) is an error. Pure functions, no allocation.
 */
#ifndef WEIR_JSON_SCAN_H
#define WEIR_JSON_SCAN_H

#include "base/span.h"

enum weir_json_kind {
    WEIR_JSON_NONE = 0, /* not present */
    WEIR_JSON_NULL,
    WEIR_JSON_FALSE,
    WEIR_JSON_TRUE,
    WEIR_JSON_NUMBER,
    WEIR_JSON_STRING,
    WEIR_JSON_ARRAY,
    WEIR_JSON_OBJECT
};

/* One member to look for. `path` is member names joined by '.', from the top-level object: "model",
 * "stream_options.include_usage", "usage.prompt_tokens_details.cached_tokens"; at most WEIR_JSON_MAX_PATH names. Array
 * elements and names with a '.' in them cannot be named. Escaped names in the text ("mod\u0065l") match their decoded
 * form. */
struct weir_json_want {
    const char *path;
};

struct weir_json_found {
    enum weir_json_kind kind;
    struct weir_span value; /* the value's exact bytes; strings with their quotes */
    size_t member_at;       /* offset of the opening quote of the member's name */
    size_t value_at;        /* offset of the value's first byte */
    size_t elements;        /* arrays and objects: how many elements or members */
};

/* What is wrong, and where. `text` is static. */
struct weir_json_problem {
    const char *text; /* "duplicate member", "bad escape", "unexpected byte", … */
    size_t offset;
    struct weir_span member; /* a duplicate's name as written, without its quotes; else empty */
};

enum { WEIR_JSON_MAX_WANTS = 32, WEIR_JSON_MAX_PATH = 8 };

/* Validates `text` (exactly one JSON value with optional whitespace around it) and fills found[i] for wants[i]; members
 * that are absent get kind NONE. A top level that is no object is valid and finds nothing.
 * `root` (may be NULL) gets the top-level value.
 * WEIR_EINVAL: not JSON; WEIR_EEXIST: a wanted member stands twice; WEIR_ELIMIT: deeper than WEIR_MAX_JSON_DEPTH.
 * On failure *problem (may be NULL) says what and where. */
WEIR_MUST enum weir_status weir_json_scan(struct weir_span text, const struct weir_json_want *wants, size_t count,
                                          struct weir_json_found *found, struct weir_json_found *root,
                                          struct weir_json_problem *problem);

/* Walks the elements of an array or the members of an object that weir_json_scan has accepted (`value` is its span).
 * Start with *cursor = 0; WEIR_END after the last. For arrays *name is empty; for objects it has its quotes. The
 * element's offsets count from the start of `value`. WEIR_EINVAL (WEIR_ELIMIT) where `value` is no such span after
 * all. */
WEIR_MUST enum weir_status weir_json_next(struct weir_span value, size_t *cursor, struct weir_span *name,
                                          struct weir_json_found *element);

/* Reads a number token that is an integer within int64; 1.0, 1e2 and the like are accepted where they are whole.
 * WEIR_EINVAL for any other token, WEIR_ELIMIT out of range. */
WEIR_MUST enum weir_status weir_json_int64(struct weir_span number, int64_t *value);
/* Reads a number token times 10^scale as an int64, exactly, from its decimal text. What is left below one is rounded
 * away from zero, and *rounded tells. WEIR_EINVAL: no number; WEIR_ELIMIT: out of range. */
WEIR_MUST enum weir_status weir_json_scaled_int64(struct weir_span number, unsigned scale, int64_t *value,
                                                  bool *rounded);
/* Decodes a string token (with its quotes) into `out` of `out_size` bytes without a NUL; *length is what it takes.
 * Lone surrogates become U+FFFD. WEIR_ELIMIT where it does not fit. The decoded form is never longer than the token. */
WEIR_MUST enum weir_status weir_json_decode(struct weir_span string, char *out, size_t out_size, size_t *length);
/* True when the string token's content is the same as `plain`. */
bool weir_json_string_equals(struct weir_span string, struct weir_span plain);
/* True for a string token without escapes: its content is the span between the quotes. */
bool weir_json_plain_string(struct weir_span string, struct weir_span *content);
/* `text` begins behind a string's opening quote: *length is what stands before its closing one. False: it is not well formed, or does not end. */
bool weir_json_string_rest(struct weir_span text, size_t *length);
/* The kind's name with its article, for messages: "a string", "an object". */
const char *weir_json_kind_name(enum weir_json_kind kind);

#endif
