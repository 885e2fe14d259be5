/* links: base json telemetry */
/* Any bytes as traceparent: what is taken comes out as version 00 with the same ids, and that is taken again. */
#include "telemetry/traceparent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weir_span text = weir_span_of((const char *)data, size);
    struct weir_traceparent read, again;
    if (weir_traceparent_parse(text, &read) != WEIR_OK)
        return 0;
    char out[WEIR_TRACEPARENT_SIZE];
    weir_traceparent_format(&read, out);
    weir_bug_on(strlen(out) != 55 || memcmp(out, "00-", 3) != 0);
    weir_bug_on(memcmp(out + 2, text.at + 2, 51) != 0); /* both ids, byte for byte */
    weir_bug_on(weir_traceparent_parse(weir_span_of(out, 55), &again) != WEIR_OK);
    weir_bug_on(memcmp(&read, &again, sizeof read) != 0);
    return 0;
}
