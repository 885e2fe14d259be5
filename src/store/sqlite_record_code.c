/* A request record as one value: it is read whole or not at all, so columns would only cost.
 *
 *   version 1, flags, request id (16 bytes), then numbers and texts in the order below
 *
 * Numbers are base-128, least significant first, the high bit saying "more"; signed ones have their sign in the lowest bit. A text of the
 * dictionary is its number times two; any other is its length times two plus one, and its bytes. New fields make a new version.
 */
#include "store/sqlite_records.h"

enum { VERSION = 1, MAX_TEXT_BYTES = 512 };
enum {
    FLAG_STREAM = 1,
    FLAG_UNPRICED = 2,
    FLAG_UNBILLED = 4,
    FLAG_TRACE_BINARY = 8, /* 16 bytes, else a text */
    FLAG_MORE_USAGE = 16,
    FLAGS_KNOWN = 31
};

/* --- writing --- */
static char *put(char *out, uint64_t value) {
    while (value >= 0x80) {
        *out++ = (char)(unsigned char)(value | 0x80);
        value >>= 7;
    }
    *out++ = (char)(unsigned char)value;
    return out;
}

static char *put_signed(char *out, int64_t value) {
    return put(out, (uint64_t)value << 1 ^ (uint64_t)(value < 0 ? -1 : 0));
}

static char *put_bytes(char *out, struct weir_span span) {
    if (span.length > 0)
        memcpy(out, span.at, span.length);
    return out + span.length;
}

/* The journal has cut them already, between characters. */
static struct weir_span bounded(struct weir_span text) {
    return weir_span_of(text.at, text.length < MAX_TEXT_BYTES ? text.length : MAX_TEXT_BYTES);
}

static char *put_string(char *out, struct weir_span text) {
    text = bounded(text);
    return put_bytes(put(out, text.length), text);
}

static char *put_text(char *out, struct weir_span text, int64_t number) {
    if (number > 0 || text.length == 0)
        return put(out, (uint64_t)number << 1);
    text = bounded(text);
    return put_bytes(put(out, (uint64_t)text.length << 1 | 1), text);
}

static char *put_usage(char *out, const struct weir_usage *usage, bool more) {
    out = put_signed(out, usage->input);
    out = put_signed(out, usage->cached);
    out = put_signed(out, usage->cache_write);
    out = put_signed(out, usage->output);
    out = put_signed(out, usage->reasoning);
    if (!more)
        return out;
    out = put_signed(out, usage->input_audio);
    out = put_signed(out, usage->input_image);
    out = put_signed(out, usage->output_audio);
    out = put_signed(out, usage->output_image);
    out = put_signed(out, usage->units);
    return put(out, usage->unit);
}

static char *put_attempts(char *out, const struct weir_ledger_entry *entry,
                          const struct store__entry_numbers *numbers) {
    out = put(out, entry->attempt_count);
    for (size_t i = 0; i < entry->attempt_count; i++) {
        const struct weir_ledger_attempt *attempt = &entry->attempts[i];
        out = put(out, attempt->reused_connection ? 1 : 0);
        out = put(out, attempt->status);
        out = put(out, attempt->reason);
        out = put(out, attempt->start_us);
        out = put(out, attempt->connected_us);
        out = put(out, attempt->first_byte_us);
        out = put(out, attempt->end_us);
        out = put_text(out, attempt->provider, numbers->attempts[i][0]);
        out = put_text(out, attempt->upstream_model, numbers->attempts[i][1]);
        out = put_string(out, attempt->upstream_request_id);
    }
    return out;
}

size_t store__record_encode(const struct weir_ledger_entry *entry, const struct store__entry_numbers *numbers,
                            char out[STORE__MAX_RECORD_BYTES]) {
    const struct weir_usage *usage = &entry->usage;
    bool more = (usage->input_audio | usage->input_image | usage->output_audio | usage->output_image | usage->units) !=
                    0 ||
                usage->unit != WEIR_UNIT_NONE;
    const struct weir_span texts[STORE__RECORD_TEXTS] = {entry->key_id,       entry->workspace, entry->endpoint,
                                                         entry->model,        entry->provider,  entry->upstream_model,
                                                         entry->price_version};
    char *at = put(out, VERSION);
    at = put(at, (entry->stream ? FLAG_STREAM : 0U) | (entry->unpriced ? FLAG_UNPRICED : 0U) |
                     (entry->unbilled ? FLAG_UNBILLED : 0U) | (numbers->trace_is_binary ? FLAG_TRACE_BINARY : 0U) |
                     (more ? FLAG_MORE_USAGE : 0U));
    at = put_bytes(at, weir_span_of((const char *)entry->request_id.bytes, sizeof(entry->request_id.bytes)));
    at = put_signed(at, entry->start_utc_us);
    at = put_signed(at, (int64_t)((uint64_t)entry->end_utc_us - (uint64_t)entry->start_utc_us));
    at = put(at, entry->first_byte_us);
    at = put(at, entry->read_us);
    at = put(at, entry->stage);
    at = put(at, entry->policy);
    at = put(at, entry->usage_source);
    at = put(at, entry->outcome);
    at = put(at, entry->reason);
    at = put(at, entry->status);
    at = put(at, entry->revision);
    at = put_signed(at, entry->reserved_cu_milli);
    at = put_signed(at, entry->cost_cu_milli);
    at = put_signed(at, entry->overrun_cu_milli);
    at = put_usage(at, usage, more);
    for (size_t i = 0; i < STORE__RECORD_TEXTS; i++)
        at = put_text(at, texts[i], numbers->texts[i]);
    at = numbers->trace_is_binary ? put_bytes(at, weir_span_of((const char *)numbers->trace, sizeof(numbers->trace)))
                                  : put_string(at, entry->trace_id);
    at = put_string(at, entry->client_request_id);
    at = put_string(at, entry->session_id);
    at = put_string(at, entry->client_address);
    at = put_string(at, entry->tags);
    at = put_string(at, entry->path);
    at = put_string(at, entry->detail);
    at = put(at, entry->issued_count);
    for (size_t i = 0; i < entry->issued_count; i++)
        at = put_string(at, entry->issued[i]);
    at = put_attempts(at, entry, numbers);
    return (size_t)(at - out);
}

/* --- reading --- */
struct reader {
    struct weir_span left;
    bool bad;
};

static uint64_t get(struct reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->left.length > 0; shift += 7) {
        unsigned char byte = (unsigned char)reader->left.at[0];
        reader->left.at++;
        reader->left.length--;
        value |= (uint64_t)(byte & 0x7FU) << shift;
        if ((byte & 0x80U) == 0)
            return value;
    }
    reader->bad = true;
    return 0;
}

static int64_t get_signed(struct reader *reader) {
    uint64_t value = get(reader);
    return (int64_t)(value >> 1 ^ ((value & 1) != 0 ? UINT64_MAX : 0));
}

static uint64_t get_below(struct reader *reader, uint64_t limit) {
    uint64_t value = get(reader);
    if (value >= limit) {
        reader->bad = true;
        return 0;
    }
    return value;
}

static struct weir_span get_bytes(struct reader *reader, uint64_t length) {
    if (length > reader->left.length) {
        reader->bad = true;
        return WEIR_SPAN("");
    }
    struct weir_span bytes = weir_span_first(reader->left, (size_t)length);
    reader->left = weir_span_from(reader->left, (size_t)length);
    return bytes;
}

static struct weir_span get_string(struct reader *reader) {
    return get_bytes(reader, get(reader));
}

static struct store__record_text get_text(struct reader *reader) {
    uint64_t value = get(reader);
    if ((value & 1) == 0)
        return (struct store__record_text){.number = (int64_t)(value >> 1), .itself = WEIR_SPAN("")};
    return (struct store__record_text){.itself = get_bytes(reader, value >> 1)};
}

static void get_usage(struct reader *reader, struct weir_usage *usage, bool more) {
    *usage = (struct weir_usage){.input = get_signed(reader)};
    usage->cached = get_signed(reader);
    usage->cache_write = get_signed(reader);
    usage->output = get_signed(reader);
    usage->reasoning = get_signed(reader);
    if (!more)
        return;
    usage->input_audio = get_signed(reader);
    usage->input_image = get_signed(reader);
    usage->output_audio = get_signed(reader);
    usage->output_image = get_signed(reader);
    usage->units = get_signed(reader);
    usage->unit = (enum weir_unit)get_below(reader, WEIR_UNIT_SEARCH + 1);
}

static void get_attempts(struct reader *reader, struct store__raw_record *raw) {
    struct weir_ledger_entry *entry = &raw->entry;
    entry->attempt_count = get_below(reader, WEIR_MAX_ATTEMPTS + 1);
    for (size_t i = 0; i < entry->attempt_count && !reader->bad; i++) {
        struct weir_ledger_attempt *attempt = &entry->attempts[i];
        attempt->reused_connection = get_below(reader, 2) != 0;
        attempt->status = (uint16_t)get(reader);
        attempt->reason = (uint16_t)get(reader);
        attempt->start_us = (uint32_t)get(reader);
        attempt->connected_us = (uint32_t)get(reader);
        attempt->first_byte_us = (uint32_t)get(reader);
        attempt->end_us = (uint32_t)get(reader);
        raw->attempts[i][0] = get_text(reader);
        raw->attempts[i][1] = get_text(reader);
        attempt->upstream_request_id = get_string(reader);
    }
}

enum weir_status store__record_decode(struct weir_span data, struct store__raw_record *raw) {
    struct reader reader = {.left = data};
    struct weir_ledger_entry *entry = &raw->entry;
    if (get(&reader) != VERSION)
        return WEIR_ECORRUPT;
    uint64_t flags = get_below(&reader, FLAGS_KNOWN + 1);
    entry->sequence = 0;
    entry->stream = (flags & FLAG_STREAM) != 0;
    entry->unpriced = (flags & FLAG_UNPRICED) != 0;
    entry->unbilled = (flags & FLAG_UNBILLED) != 0;
    struct weir_span id = get_bytes(&reader, sizeof(entry->request_id.bytes));
    if (reader.bad)
        return WEIR_ECORRUPT;
    memcpy(entry->request_id.bytes, id.at, sizeof(entry->request_id.bytes));
    entry->start_utc_us = get_signed(&reader);
    entry->end_utc_us = (int64_t)((uint64_t)entry->start_utc_us + (uint64_t)get_signed(&reader));
    entry->first_byte_us = (uint32_t)get(&reader);
    entry->read_us = (uint32_t)get(&reader);
    entry->stage = (uint8_t)get(&reader);
    entry->policy = (uint8_t)get(&reader);
    entry->usage_source = (uint8_t)get(&reader);
    entry->outcome = (uint8_t)get(&reader);
    entry->reason = (uint16_t)get(&reader);
    entry->status = (uint16_t)get(&reader);
    entry->revision = get(&reader);
    entry->reserved_cu_milli = get_signed(&reader);
    entry->cost_cu_milli = get_signed(&reader);
    entry->overrun_cu_milli = get_signed(&reader);
    get_usage(&reader, &entry->usage, (flags & FLAG_MORE_USAGE) != 0);
    for (size_t i = 0; i < STORE__RECORD_TEXTS; i++)
        raw->texts[i] = get_text(&reader);
    entry->trace_id = (flags & FLAG_TRACE_BINARY) != 0 ? get_bytes(&reader, 16) : get_string(&reader);
    entry->client_request_id = get_string(&reader);
    entry->session_id = get_string(&reader);
    entry->client_address = get_string(&reader);
    entry->tags = get_string(&reader);
    entry->path = get_string(&reader);
    entry->detail = get_string(&reader);
    entry->issued_count = get_below(&reader, WEIR_MAX_ISSUED + 1);
    for (size_t i = 0; i < entry->issued_count; i++)
        entry->issued[i] = get_string(&reader);
    get_attempts(&reader, raw);
    raw->trace_is_binary = (flags & FLAG_TRACE_BINARY) != 0;
    return reader.bad || reader.left.length != 0 ? WEIR_ECORRUPT : WEIR_OK;
}

enum weir_status store__record_text(struct weir_engine *engine, const struct store__record_text *text,
                                    struct weir_span *out, struct weir_error *error) {
    if (text->number != 0)
        return store__dictionary_text(engine, text->number, out, error);
    *out = text->itself;
    return WEIR_OK;
}

enum weir_status store__record_resolve(struct weir_engine *engine, struct store__raw_record *raw,
                                       struct weir_error *error) {
    struct weir_ledger_entry *entry = &raw->entry;
    struct weir_span *const texts[STORE__RECORD_TEXTS] = {&entry->key_id,       &entry->workspace,
                                                          &entry->endpoint,     &entry->model,
                                                          &entry->provider,     &entry->upstream_model,
                                                          &entry->price_version};
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < STORE__RECORD_TEXTS && status == WEIR_OK; i++)
        status = store__record_text(engine, &raw->texts[i], texts[i], error);
    for (size_t i = 0; i < entry->attempt_count && status == WEIR_OK; i++) {
        status = store__record_text(engine, &raw->attempts[i][0], &entry->attempts[i].provider, error);
        if (status == WEIR_OK)
            status = store__record_text(engine, &raw->attempts[i][1], &entry->attempts[i].upstream_model, error);
    }
    if (raw->trace_is_binary) {
        weir_hex_format(entry->trace_id.at, entry->trace_id.length, raw->trace);
        entry->trace_id = weir_span_of(raw->trace, sizeof(raw->trace) - 1);
        raw->trace_is_binary = false;
    }
    return status;
}
