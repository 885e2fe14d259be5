/* links: base json net store */
/* Reading a request record: whatever the bytes are, reading ends, and stays inside; so does the set of records of an index.
 *
 * The record is an exact heap block, so that the sanitizer sees a read behind it.
 */
#include "store/sqlite_records.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition) {
    if (!condition)
        abort();
}

static void inside(struct weir_span whole, struct weir_span span) {
    demand(span.length == 0 || (span.at >= whole.at && span.length <= whole.length &&
                                (size_t)(span.at - whole.at) <= whole.length - span.length));
}

static void check(struct weir_span whole, const struct store__raw_record *raw) {
    const struct weir_ledger_entry *entry = &raw->entry;
    const struct weir_span spans[] = {entry->client_request_id,
                                      entry->trace_id,
                                      entry->session_id,
                                      entry->client_address,
                                      entry->tags,
                                      entry->path,
                                      entry->detail};
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
        inside(whole, spans[i]);
    for (size_t i = 0; i < STORE__RECORD_TEXTS; i++)
        inside(whole, raw->texts[i].itself);
    demand(entry->attempt_count <= WEIR_MAX_ATTEMPTS && entry->issued_count <= WEIR_MAX_ISSUED);
    for (size_t i = 0; i < entry->issued_count; i++)
        inside(whole, entry->issued[i]);
    for (size_t i = 0; i < entry->attempt_count; i++) {
        inside(whole, entry->attempts[i].upstream_request_id);
        inside(whole, raw->attempts[i][0].itself);
        inside(whole, raw->attempts[i][1].itself);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct store__raw_record raw;
    char *copy = malloc(size > 0 ? size : 1);
    demand(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    struct weir_span whole = weir_span_of(copy, size);
    if (store__record_decode(whole, &raw) == WEIR_OK)
        check(whole, &raw);
    struct store__record_bits bits;
    if (store__record_bits_decode(whole, &bits) == WEIR_OK && size == sizeof(bits))
        demand(memcmp(&bits, copy, size) == 0);
    free(copy);
    return 0;
}
