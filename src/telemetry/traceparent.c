/* traceparent by the letter of the recommendation, section 3.2: what is not exactly right is not a trace of anybody. */
#include "telemetry/traceparent.h"

enum {
    VERSION_AT = 0,
    TRACE_AT = 3,
    PARENT_AT = 36,
    FLAGS_AT = 53,
    LENGTH = 55,
    KNOWN_FLAGS = 0x03 /* sampled, and random of level 2 */
};

/* weir_hex_parse takes both cases; here only the lower one is right. */
static bool parse_lower_hex(struct weir_span text, unsigned char *out, size_t size) {
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] >= 'A' && text.at[i] <= 'F')
            return false;
    }
    return weir_hex_parse(text, out, size) == WEIR_OK;
}

static bool all_zero(const unsigned char *bytes, size_t size) {
    unsigned any = 0;
    for (size_t i = 0; i < size; i++)
        any |= bytes[i];
    return any == 0;
}

enum weir_status weir_traceparent_parse(struct weir_span text, struct weir_traceparent *traceparent) {
    struct weir_traceparent read;
    unsigned char version = 0;
    if (text.length < LENGTH || text.at[TRACE_AT - 1] != '-' || text.at[PARENT_AT - 1] != '-' ||
        text.at[FLAGS_AT - 1] != '-')
        return WEIR_EINVAL;
    if (!parse_lower_hex(weir_span_of(text.at + VERSION_AT, 2), &version, 1) || version == 0xff)
        return WEIR_EINVAL;
    if (text.length > LENGTH && (version == 0 || text.at[LENGTH] != '-'))
        return WEIR_EINVAL;
    if (!parse_lower_hex(weir_span_of(text.at + TRACE_AT, 32), read.trace_id, 16) ||
        !parse_lower_hex(weir_span_of(text.at + PARENT_AT, 16), read.parent_id, 8) ||
        !parse_lower_hex(weir_span_of(text.at + FLAGS_AT, 2), &read.flags, 1))
        return WEIR_EINVAL;
    if (all_zero(read.trace_id, 16) || all_zero(read.parent_id, 8))
        return WEIR_EINVAL;
    read.flags &= KNOWN_FLAGS;
    *traceparent = read;
    return WEIR_OK;
}

/* Zero is not an id; the chance is nil, the loop is free. */
static void fill_id(struct weir_random *random, unsigned char *id, size_t size) {
    do {
        weir_random_fill(random, id, size);
    } while (all_zero(id, size));
}

void weir_traceparent_new(struct weir_random *random, struct weir_traceparent *traceparent) {
    fill_id(random, traceparent->trace_id, sizeof traceparent->trace_id);
    fill_id(random, traceparent->parent_id, sizeof traceparent->parent_id);
    traceparent->flags = WEIR_TRACE_SAMPLED;
}

void weir_traceparent_child(struct weir_random *random, const struct weir_traceparent *parent,
                            struct weir_traceparent *child) {
    *child = *parent;
    fill_id(random, child->parent_id, sizeof child->parent_id);
}

void weir_traceparent_format(const struct weir_traceparent *traceparent, char out[WEIR_TRACEPARENT_SIZE]) {
    memcpy(out, "00-", 3);
    weir_hex_format(traceparent->trace_id, 16, out + TRACE_AT);
    out[PARENT_AT - 1] = '-';
    weir_hex_format(traceparent->parent_id, 8, out + PARENT_AT);
    out[FLAGS_AT - 1] = '-';
    weir_hex_format(&traceparent->flags, 1, out + FLAGS_AT);
}

void weir_traceparent_trace_id(const struct weir_traceparent *traceparent, char out[WEIR_TRACE_ID_TEXT_SIZE]) {
    weir_hex_format(traceparent->trace_id, 16, out);
}
