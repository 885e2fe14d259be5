/* Reading a segment: headers, record heads, checksums. Pure, and safe beside a writer in another thread: the length
 * of a record is read with acquire order, and nothing behind it is looked at before it is there.
 */
#include "store/journal_impl.h"

static const char magic[8] = {'W', 'E', 'I', 'R', 'J', 'N', 'L', '1'};

void store__header_encode(const struct store__segment_header *header, char out[STORE__SEGMENT_HEADER_BYTES]) {
    memset(out, 0, STORE__SEGMENT_HEADER_BYTES);
    memcpy(out, magic, sizeof(magic));
    memcpy(out + 8, &header->size, sizeof(header->size));
    memcpy(out + 12, &header->worker, sizeof(header->worker));
    memcpy(out + 16, &header->number, sizeof(header->number));
    memcpy(out + 24, header->instance.bytes, sizeof(header->instance.bytes));
    uint32_t crc = weir_crc32c(0, weir_span_of(out, 60));
    memcpy(out + 60, &crc, sizeof(crc));
}

enum weir_status store__header_decode(struct weir_span segment, struct store__segment_header *header) {
    static const char nothing[STORE__SEGMENT_HEADER_BYTES];
    if (segment.length < STORE__SEGMENT_HEADER_BYTES)
        return WEIR_ECORRUPT;
    if (memcmp(segment.at, nothing, sizeof(nothing)) == 0)
        return WEIR_AGAIN;
    uint32_t crc;
    memcpy(&crc, segment.at + 60, sizeof(crc));
    if (memcmp(segment.at, magic, sizeof(magic)) != 0 || crc != weir_crc32c(0, weir_span_of(segment.at, 60))) {
        return WEIR_ECORRUPT;
    }
    memcpy(&header->size, segment.at + 8, sizeof(header->size));
    memcpy(&header->worker, segment.at + 12, sizeof(header->worker));
    memcpy(&header->number, segment.at + 16, sizeof(header->number));
    memcpy(header->instance.bytes, segment.at + 24, sizeof(header->instance.bytes));
    return header->size == segment.length ? WEIR_OK : WEIR_ECORRUPT;
}

enum weir_status weir_journal_read(struct weir_span segment, size_t *offset, struct weir_journal_record *record) {
    weir_bug_on(((uintptr_t)segment.at & 7U) != 0);
    size_t at = *offset;
    if (at == 0) {
        struct store__segment_header header;
        enum weir_status status = store__header_decode(segment, &header);
        if (status != WEIR_OK)
            return status;
        at = STORE__SEGMENT_HEADER_BYTES;
    }
    if (at < STORE__SEGMENT_HEADER_BYTES || (at & 7U) != 0 || at > segment.length)
        return WEIR_ECORRUPT;
    size_t left = segment.length - at;
    if (left < STORE__RECORD_HEAD_BYTES)
        return WEIR_END; /* filled to the brim */
    const uint32_t *head = (const uint32_t *)(const void *)(segment.at + at);
    uint32_t length = __atomic_load_n(head, __ATOMIC_ACQUIRE);
    if (length == 0)
        return WEIR_AGAIN;
    if (length == STORE__END_MARK)
        return WEIR_END;
    if (length > left - STORE__RECORD_HEAD_BYTES)
        return WEIR_ECORRUPT;
    struct weir_span payload = weir_span_of(segment.at + at + STORE__RECORD_HEAD_BYTES, length);
    if (head[1] != weir_crc32c(length, payload))
        return WEIR_ECORRUPT;
    enum weir_status status = store__payload_decode(payload, record);
    if (status != WEIR_OK)
        return status;
    at += store__record_bytes(length);
    *offset = at < segment.length ? at : segment.length;
    return WEIR_OK;
}
