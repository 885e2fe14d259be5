/* What can be said of a record without a database: which of its ids an id is, and whether it is kept. */
#include "store/records.h"

#include <string.h>

static bool is_id_of(struct weir_span id, struct weir_span text) {
    return text.length > 0 && weir_span_equal(id, text);
}

unsigned weir_record_ids_named(const struct weir_ledger_entry *entry, struct weir_span id) {
    unsigned named = 0;
    struct weir_uuid uuid;
    if (weir_uuid_parse(id, &uuid) == WEIR_OK && memcmp(&uuid, &entry->request_id, sizeof(uuid)) == 0)
        named |= WEIR_RECORD_BY_REQUEST;
    if (is_id_of(id, entry->client_request_id))
        named |= WEIR_RECORD_BY_CLIENT;
    if (entry->trace_id.length > 0 && weir_span_equal_ignore_case(id, entry->trace_id))
        named |= WEIR_RECORD_BY_TRACE;
    if (is_id_of(id, entry->session_id))
        named |= WEIR_RECORD_BY_SESSION;
    for (size_t i = 0; i < entry->attempt_count; i++) {
        if (is_id_of(id, entry->attempts[i].upstream_request_id))
            named |= WEIR_RECORD_BY_UPSTREAM;
    }
    for (size_t i = 0; i < entry->issued_count; i++) {
        if (is_id_of(id, entry->issued[i]))
            named |= WEIR_RECORD_BY_ISSUED;
    }
    return named;
}

bool weir_record_is_kept(const struct weir_record_settings *settings, const struct weir_ledger_entry *entry) {
    enum { PERCENT = 100 };
    if (settings->retention_us <= 0)
        return false;
    if (entry->outcome != WEIR_OUTCOME_OK || settings->sample_percent >= PERCENT)
        return true;
    /* The id's end is random; a checksum mixes what little order it has. */
    uint32_t draw = weir_crc32c(0,
                                weir_span_of((const char *)entry->request_id.bytes, sizeof(entry->request_id.bytes)));
    return (uint64_t)draw * PERCENT >> 32 < settings->sample_percent;
}
