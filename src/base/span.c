/* The span functions that loop. Empty spans may have any pointer, also NULL, which the C library's functions do not
 * take. */
#include "base/span.h"

static unsigned char lower(char byte) {
    unsigned char value = (unsigned char)byte;
    return value >= 'A' && value <= 'Z' ? (unsigned char)(value | 0x20U) : value;
}

bool base__same_ignoring_case(struct weir_span a, struct weir_span b) {
    for (size_t i = 0; i < a.length; i++) {
        if (a.at[i] != b.at[i] && lower(a.at[i]) != lower(b.at[i])) {
            return false;
        }
    }
    return true;
}

bool weir_span_ends_with(struct weir_span span, struct weir_span suffix) {
    return span.length >= suffix.length && weir_span_equal(weir_span_from(span, span.length - suffix.length), suffix);
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t';
}

struct weir_span weir_span_trim(struct weir_span span) {
    while (span.length > 0 && is_blank(span.at[0])) {
        span.at++;
        span.length--;
    }
    while (span.length > 0 && is_blank(span.at[span.length - 1])) {
        span.length--;
    }
    return span;
}

size_t weir_span_index(struct weir_span span, char byte) {
    if (span.length == 0) {
        return 0;
    }
    const char *found = memchr(span.at, byte, span.length);
    return found != NULL ? (size_t)(found - span.at) : span.length;
}

bool weir_span_split(struct weir_span span, char separator, struct weir_span *head, struct weir_span *rest) {
    size_t index = weir_span_index(span, separator);
    bool found = index < span.length;
    *head = weir_span_first(span, index);
    *rest = weir_span_from(span, found ? index + 1 : index);
    return found;
}

enum weir_status weir_span_to_uint64(struct weir_span span, uint64_t *value) {
    if (span.length == 0) {
        return WEIR_EINVAL;
    }
    uint64_t sum = 0;
    bool overflow = false;
    for (size_t i = 0; i < span.length; i++) {
        if (span.at[i] < '0' || span.at[i] > '9') {
            return WEIR_EINVAL; /* also behind an overflow: "99999999999999999999x" is no number at all */
        }
        overflow |= __builtin_mul_overflow(sum, (uint64_t)10, &sum);
        overflow |= __builtin_add_overflow(sum, (uint64_t)(span.at[i] - '0'), &sum);
    }
    if (overflow) {
        return WEIR_ELIMIT;
    }
    *value = sum;
    return WEIR_OK;
}

enum weir_status weir_span_to_int64(struct weir_span span, int64_t *value) {
    bool negative = span.length > 0 && span.at[0] == '-';
    uint64_t magnitude = 0;
    enum weir_status status = weir_span_to_uint64(negative ? weir_span_from(span, 1) : span, &magnitude);
    if (status != WEIR_OK) {
        return status;
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1U : 0U)) {
        return WEIR_ELIMIT;
    }
    /* -(magnitude - 1) - 1 reaches INT64_MIN without leaving the type. */
    *value = negative && magnitude > 0 ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
    return WEIR_OK;
}

enum weir_status weir_span_to_string(struct weir_span span, char *out, size_t out_size) {
    if (span.length >= out_size || weir_span_index(span, '\0') < span.length) {
        return WEIR_ELIMIT;
    }
    if (span.length > 0) {
        memcpy(out, span.at, span.length);
    }
    out[span.length] = '\0';
    return WEIR_OK;
}
