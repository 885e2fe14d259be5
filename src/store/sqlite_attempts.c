/* The attempts of a ledger entry as one small value: they are read whole or not at all, so columns would only cost.
 *
 *   version 1, count, then for each: flags (1: connection was reused), status, reason, start, connected, first byte,
 *   end, provider and upstream model as numbers of the dictionary, length of the upstream's request id, its bytes
 *
 * Numbers are base-128, least significant first, the high bit saying "more".
 */
#include "store/sqlite_impl.h"

enum { VERSION = 1, FLAG_REUSED = 1, MAX_UPSTREAM_ID_BYTES = 512 };

static char *put(char *out, uint64_t value) {
    while (value >= 0x80) {
        *out++ = (char)(unsigned char)(value | 0x80);
        value >>= 7;
    }
    *out++ = (char)(unsigned char)value;
    return out;
}

size_t store__attempts_encode(const struct weir_ledger_entry *entry, const struct store__entry_numbers *numbers,
                              char out[STORE__MAX_ATTEMPTS_BYTES]) {
    char *at = out;
    *at++ = VERSION;
    at = put(at, entry->attempt_count);
    for (size_t i = 0; i < entry->attempt_count; i++) {
        const struct weir_ledger_attempt *attempt = &entry->attempts[i];
        at = put(at, attempt->reused_connection ? FLAG_REUSED : 0);
        at = put(at, attempt->status);
        at = put(at, attempt->reason);
        at = put(at, attempt->start_us);
        at = put(at, attempt->connected_us);
        at = put(at, attempt->first_byte_us);
        at = put(at, attempt->end_us);
        at = put(at, (uint64_t)numbers->attempts[i][0]);
        at = put(at, (uint64_t)numbers->attempts[i][1]);
        size_t length = attempt->upstream_request_id.length;
        if (length > MAX_UPSTREAM_ID_BYTES)
            length = MAX_UPSTREAM_ID_BYTES;
        at = put(at, length);
        if (length > 0)
            memcpy(at, attempt->upstream_request_id.at, length);
        at += length;
    }
    return (size_t)(at - out);
}

struct reader {
    struct weir_span left;
    bool bad;
};

static uint64_t get(struct reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->left.length > 0; shift += 7) {
        unsigned char byte = (unsigned char)reader->left.at[0];
        reader->left = weir_span_from(reader->left, 1);
        value |= (uint64_t)(byte & 0x7FU) << shift;
        if ((byte & 0x80U) == 0)
            return value;
    }
    reader->bad = true;
    return 0;
}

static enum weir_status decode_one(struct weir_engine *engine, struct reader *reader,
                                   struct weir_ledger_attempt *attempt, struct weir_error *error) {
    attempt->reused_connection = (get(reader) & FLAG_REUSED) != 0;
    attempt->status = (uint16_t)get(reader);
    attempt->reason = (uint16_t)get(reader);
    attempt->start_us = (uint32_t)get(reader);
    attempt->connected_us = (uint32_t)get(reader);
    attempt->first_byte_us = (uint32_t)get(reader);
    attempt->end_us = (uint32_t)get(reader);
    int64_t provider = (int64_t)get(reader);
    int64_t model = (int64_t)get(reader);
    uint64_t length = get(reader);
    if (reader->bad || length > reader->left.length) {
        reader->bad = true;
        return WEIR_OK;
    }
    attempt->upstream_request_id = weir_span_first(reader->left, (size_t)length);
    reader->left = weir_span_from(reader->left, (size_t)length);
    enum weir_status status = store__dictionary_text(engine, provider, &attempt->provider, error);
    return status == WEIR_OK ? store__dictionary_text(engine, model, &attempt->upstream_model, error) : status;
}

enum weir_status store__attempts_decode(struct weir_engine *engine, struct weir_span bytes,
                                        struct weir_ledger_entry *entry, struct weir_error *error) {
    entry->attempt_count = 0;
    if (bytes.length == 0)
        return WEIR_OK;
    struct reader reader = {.left = bytes};
    uint64_t version = get(&reader);
    uint64_t count = get(&reader);
    enum weir_status status = WEIR_OK;
    if (version != VERSION || count > WEIR_MAX_ATTEMPTS)
        reader.bad = true;
    for (size_t i = 0; i < count && !reader.bad && status == WEIR_OK; i++) {
        status = decode_one(engine, &reader, &entry->attempts[i], error);
    }
    if (status != WEIR_OK)
        return status;
    if (reader.bad || reader.left.length != 0) {
        return weir_fail(error, WEIR_ECORRUPT, "the attempts of ledger entry %lld cannot be read",
                         (long long)entry->sequence);
    }
    entry->attempt_count = (size_t)count;
    return WEIR_OK;
}

size_t store__attempt_costs_encode(const struct weir_ledger_entry *entry, char out[STORE__MAX_ATTEMPT_COSTS_BYTES]) {
    char *at = out;
    bool any = false;
    for (size_t i = 0; i < entry->attempt_count; i++) {
        any = any || entry->attempts[i].cost_cu_milli != 0;
        at = put(at, (uint64_t)entry->attempts[i].cost_cu_milli);
    }
    return any ? (size_t)(at - out) : 0;
}

enum weir_status store__attempt_costs_decode(struct weir_span bytes, struct weir_ledger_entry *entry,
                                             struct weir_error *error) {
    struct reader reader = {.left = bytes};
    if (bytes.length == 0)
        return WEIR_OK;
    for (size_t i = 0; i < entry->attempt_count && !reader.bad; i++)
        entry->attempts[i].cost_cu_milli = (int64_t)get(&reader);
    if (reader.bad || reader.left.length != 0) {
        return weir_fail(error, WEIR_ECORRUPT, "what the attempts of ledger entry %lld may have cost cannot be read",
                         (long long)entry->sequence);
    }
    return WEIR_OK;
}
