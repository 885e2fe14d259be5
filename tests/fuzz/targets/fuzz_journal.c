/* links: base json net store */
/* Journal reading: whatever the bytes of a segment are, reading ends, stays inside, and moves forward.
 *
 * The first byte says how the rest becomes a segment: as it is (mode 0), or cut into payloads that get proper heads
 * and checksums (other modes), so that the decoder behind the checksum is reached too. The properties:
 *   - the offset grows on WEIR_OK, stays on anything else, and is never behind the end;
 *   - every span of a record lies inside the segment;
 *   - a decoded record, encoded again, decodes to equal bytes.
 * The segment is an exact heap block, so that the sanitizer sees a read behind it.
 */
#include "store/journal_impl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool condition) {
    if (!condition)
        abort();
}

static void inside(struct weir_span segment, struct weir_span span) {
    if (span.length == 0)
        return;
    demand(span.at >= segment.at && span.length <= segment.length);
    demand((size_t)(span.at - segment.at) <= segment.length - span.length);
    demand(span.length <= STORE__MAX_STRING_BYTES);
}

static void check_spans(struct weir_span segment, const struct weir_journal_record *record) {
    if (record->kind == WEIR_JOURNAL_OPEN) {
        const struct weir_journal_open *open = &record->open;
        const struct weir_span spans[] = {open->key_id,        open->workspace,
                                          open->endpoint,      open->model,
                                          open->provider,      open->upstream_model,
                                          open->price_version, open->client_request_id,
                                          open->tags,          open->team,
                                          open->user,          open->family};
        for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
            inside(segment, spans[i]);
        return;
    }
    const struct weir_ledger_entry *entry = &record->close;
    const struct weir_span spans[] = {entry->client_request_id,
                                      entry->trace_id,
                                      entry->key_id,
                                      entry->workspace,
                                      entry->endpoint,
                                      entry->model,
                                      entry->provider,
                                      entry->upstream_model,
                                      entry->price_version,
                                      entry->tags,
                                      entry->client_address,
                                      entry->session_id,
                                      entry->path,
                                      entry->detail,
                                      entry->team,
                                      entry->user,
                                      entry->family};
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++)
        inside(segment, spans[i]);
    demand(entry->attempt_count <= WEIR_MAX_ATTEMPTS);
    demand(entry->outcome <= WEIR_OUTCOME_CRASHED && entry->usage_source <= WEIR_USAGE_COUNTED);
    demand(entry->stage <= WEIR_STAGE_ANSWERED && entry->policy <= WEIR_POLICY_BLOCK);
    demand((unsigned)entry->usage.unit <= WEIR_UNIT_SEARCH && entry->issued_count <= WEIR_MAX_ISSUED);
    for (size_t i = 0; i < entry->issued_count; i++)
        inside(segment, entry->issued[i]);
    for (size_t i = 0; i < entry->attempt_count; i++) {
        inside(segment, entry->attempts[i].provider);
        inside(segment, entry->attempts[i].upstream_model);
        inside(segment, entry->attempts[i].upstream_request_id);
    }
}

static size_t encode(const struct weir_journal_record *record, char *out) {
    if (record->kind == WEIR_JOURNAL_OPEN) {
        store__open_encode(&record->open, out);
        return store__open_payload_size(&record->open);
    }
    store__close_encode(&record->close, STORE__FULL, out);
    return store__close_payload_size(&record->close, STORE__FULL);
}

static void check_again(const struct weir_journal_record *record) {
    char first[STORE__MAX_CLOSE_PAYLOAD], second[STORE__MAX_CLOSE_PAYLOAD];
    struct weir_journal_record again;
    size_t size = encode(record, first);
    demand(size <= sizeof(first));
    demand(store__payload_decode(weir_span_of(first, size), &again) == WEIR_OK);
    demand(again.kind == record->kind);
    demand(encode(&again, second) == size && memcmp(first, second, size) == 0);
    if (record->kind == WEIR_JOURNAL_CLOSE) {
        demand(store__close_payload_size(&record->close, STORE__SHORT) <= STORE__SHORT_CLOSE_PAYLOAD);
    }
}

static void read_all(struct weir_span segment) {
    size_t offset = 0;
    struct weir_journal_record record;
    for (;;) {
        size_t before = offset;
        enum weir_status status = weir_journal_read(segment, &offset, &record);
        if (status != WEIR_OK) {
            demand(offset == before);
            demand(status == WEIR_AGAIN || status == WEIR_END || status == WEIR_ECORRUPT);
            return;
        }
        demand(offset > before && offset <= segment.length);
        check_spans(segment, &record);
        check_again(&record);
    }
}

static void write_header(char *at, size_t size) {
    const struct store__segment_header header = {.worker = 1, .number = 1, .size = (uint32_t)size};
    store__header_encode(&header, at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 200000)
        return 0;
    unsigned mode = data[0];
    data++;
    size--;
    size_t room = STORE__SEGMENT_HEADER_BYTES + size * 2 + 64;
    char *segment = malloc(room);
    if (segment == NULL)
        return 0;
    memset(segment, 0, room);
    size_t length = STORE__SEGMENT_HEADER_BYTES;
    if (mode == 0) {
        if (size > 0)
            memcpy(segment + length, data, size);
        length += size;
    } else {
        /* Payloads with a length of two bytes before each; the last takes what is left. */
        while (size > 2 && length + 8 < room) {
            size_t payload = (size_t)data[0] | (size_t)data[1] << 8;
            data += 2;
            size -= 2;
            if (payload > size)
                payload = size;
            if (payload == 0 || length + 8 + payload > room)
                break;
            uint32_t head[2] = {(uint32_t)payload,
                                weir_crc32c((uint32_t)payload, weir_span_of((const char *)data, payload))};
            memcpy(segment + length, head, sizeof(head));
            memcpy(segment + length + 8, data, payload);
            length += store__record_bytes(payload);
            data += payload;
            size -= payload;
        }
        if (length > room)
            length = room;
    }
    /* An exact copy, so that nothing behind the end may be touched. */
    char *exact = malloc(length);
    if (exact != NULL) {
        memcpy(exact, segment, length);
        write_header(exact, length);
        read_all(weir_span_of(exact, length));
        if (length > STORE__SEGMENT_HEADER_BYTES)
            exact[length / 2] = (char)(exact[length / 2] ^ 0x40);
        read_all(weir_span_of(exact, length));
        free(exact);
    }
    free(segment);
    return 0;
}
