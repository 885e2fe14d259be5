/* The fields of journal records as bytes and back. Pure: no clock, no I/O, no allocation.
 *
 * One order of fields, written down twice (encode and decode) and held together by the round-trip tests and the
 * fuzzer. The encoder trusts its input and only cuts strings; the decoder trusts nothing, though a checksum stands in
 * front of it.
 */
#include "store/journal_impl.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "segments are little-endian");
_Static_assert(WEIR_MAX_CLIENT_REQUEST_ID_BYTES == 2 * (size_t)STORE__SHORT_STRING_BYTES,
               "kept in full by a short close");

enum { FLAG_STREAM = 1, FLAG_UNPRICED = 2, FLAG_UNBILLED = 4, OPEN_FLAGS_KNOWN = 3, CLOSE_FLAGS_KNOWN = 7 };

/* The first two are read alone: their usage is five counts of tokens, and a close has no issued ids. So is the close without its story: it has
 * nothing of what the request's record alone keeps. Those with owners have team, user and family, and what attempts cost; they are written where there
 * is any of it, so that a release before them reads all others. */
enum form {
    FORM_OPEN_OF_TOKENS = 1,
    FORM_CLOSE_OF_TOKENS = 2,
    FORM_OPEN = 3,
    FORM_CLOSE_WITHOUT_STORY = 4,
    FORM_CLOSE = 5,
    FORM_OPEN_WITH_OWNERS = 6,
    FORM_CLOSE_WITH_OWNERS = 7
};

/* --- writing --- */
static size_t cut(struct weir_span span, size_t limit) {
    if (span.length <= limit)
        return span.length;
    /* Not through the middle of a UTF-8 sequence: exports are JSON. */
    size_t length = limit;
    while (length > 0 && ((unsigned char)span.at[length] & 0xC0U) == 0x80U)
        length--;
    return length;
}

static char *put(char *out, const void *value, size_t size) {
    memcpy(out, value, size);
    return out + size;
}
static char *put8(char *out, uint8_t value) {
    return put(out, &value, sizeof(value));
}
static char *put16(char *out, uint16_t value) {
    return put(out, &value, sizeof(value));
}
static char *put32(char *out, uint32_t value) {
    return put(out, &value, sizeof(value));
}
static char *put64(char *out, uint64_t value) {
    return put(out, &value, sizeof(value));
}
static char *put64_signed(char *out, int64_t value) {
    return put(out, &value, sizeof(value));
}
static char *put_string(char *out, struct weir_span span, size_t limit) {
    size_t length = cut(span, limit);
    out = put16(out, (uint16_t)length);
    return length > 0 ? put(out, span.at, length) : out;
}
static char *put_usage(char *out, const struct weir_usage *usage) {
    out = put64_signed(out, usage->input);
    out = put64_signed(out, usage->cached);
    out = put64_signed(out, usage->cache_write);
    out = put64_signed(out, usage->output);
    out = put64_signed(out, usage->reasoning);
    out = put64_signed(out, usage->input_audio);
    out = put64_signed(out, usage->input_image);
    out = put64_signed(out, usage->output_audio);
    out = put64_signed(out, usage->output_image);
    out = put64_signed(out, usage->units);
    return put8(out, (uint8_t)usage->unit);
}

static uint8_t flags_of(bool stream, bool unpriced) {
    return (uint8_t)((stream ? FLAG_STREAM : 0) | (unpriced ? FLAG_UNPRICED : 0));
}

/* A family that is the key itself goes without saying. */
static struct weir_span family_to_say(struct weir_span family, struct weir_span key_id) {
    return weir_span_equal(family, key_id) ? WEIR_SPAN("") : family;
}

/* Gives how many of them are to be written. */
static size_t open_strings(const struct weir_journal_open *open, struct weir_span out[STORE__OPEN_STRINGS]) {
    const struct weir_span family = family_to_say(open->family, open->key_id);
    const struct weir_span strings[STORE__OPEN_STRINGS] = {
        open->key_id,        open->workspace,         open->endpoint, open->model, open->provider, open->upstream_model,
        open->price_version, open->client_request_id, open->tags,     open->team,  open->user,     family,
    };
    memcpy(out, strings, sizeof(strings));
    bool owned = open->team.length > 0 || open->user.length > 0 || family.length > 0;
    return owned ? STORE__OPEN_STRINGS : STORE__OPEN_STRINGS - STORE__OWNER_STRINGS;
}

size_t store__open_payload_size(const struct weir_journal_open *open) {
    struct weir_span strings[STORE__OPEN_STRINGS];
    size_t count = open_strings(open, strings), size = STORE__OPEN_FIXED_BYTES;
    for (size_t i = 0; i < count; i++)
        size += 2 + cut(strings[i], STORE__MAX_STRING_BYTES);
    return size;
}

void store__open_encode(const struct weir_journal_open *open, char *out) {
    struct weir_span strings[STORE__OPEN_STRINGS];
    size_t count = open_strings(open, strings);
    out = put8(out, count == STORE__OPEN_STRINGS ? FORM_OPEN_WITH_OWNERS : FORM_OPEN);
    out = put8(out, flags_of(open->stream, open->unpriced));
    out = put(out, open->request_id.bytes, sizeof(open->request_id.bytes));
    out = put64_signed(out, open->start_utc_us);
    out = put64_signed(out, open->reserved_cu_milli);
    out = put_usage(out, &open->reserved);
    out = put64(out, open->revision);
    for (size_t i = 0; i < count; i++)
        out = put_string(out, strings[i], STORE__MAX_STRING_BYTES);
}

enum {
    CLOSE_CLIENT_REQUEST_ID = 0,
    CLOSE_WORKSPACE = 3,
    CLOSE_MODEL = 5,
    CLOSE_PROVIDER = 6,
    CLOSE_UPSTREAM_MODEL = 7,
    CLOSE_PATH = 12,
    CLOSE_DETAIL = 13,
    CLOSE_TEAM = 14,
    CLOSE_USER = 15
};

/* Gives how many of them are to be written. */
static size_t close_strings(const struct weir_ledger_entry *entry, struct weir_span out[STORE__CLOSE_STRINGS]) {
    const struct weir_span family = family_to_say(entry->family, entry->key_id);
    const struct weir_span strings[STORE__CLOSE_STRINGS] = {
        entry->client_request_id,
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
        family,
    };
    memcpy(out, strings, sizeof(strings));
    bool owned = entry->team.length > 0 || entry->user.length > 0 || family.length > 0;
    for (size_t i = 0; i < entry->attempt_count; i++)
        owned = owned || entry->attempts[i].cost_cu_milli != 0;
    return owned ? STORE__CLOSE_STRINGS : STORE__CLOSE_STRINGS - STORE__OWNER_STRINGS;
}

static size_t close_limit(enum store__brevity brevity, size_t index) {
    if (brevity == STORE__FULL)
        return STORE__MAX_STRING_BYTES;
    switch (index) {
    case CLOSE_CLIENT_REQUEST_ID: return WEIR_MAX_CLIENT_REQUEST_ID_BYTES;
    case CLOSE_WORKSPACE:
    case CLOSE_MODEL:
    case CLOSE_PROVIDER:
    case CLOSE_UPSTREAM_MODEL:
    case CLOSE_TEAM:
    case CLOSE_USER: return STORE__SHORT_NAME_BYTES;
    case CLOSE_PATH:
    case CLOSE_DETAIL: return 0;
    default: return STORE__SHORT_STRING_BYTES;
    }
}

static bool issued_fits(struct weir_span id, enum store__brevity brevity) {
    return id.length > 0 &&
           id.length <= (brevity == STORE__FULL ? (size_t)STORE__MAX_STRING_BYTES : (size_t)STORE__SHORT_ISSUED_BYTES);
}

/* Of an attempt's provider: its budget is charged what the attempt cost. */
static size_t attempt_provider_limit(const struct weir_ledger_attempt *attempt, enum store__brevity brevity) {
    if (brevity == STORE__FULL)
        return STORE__MAX_STRING_BYTES;
    return attempt->cost_cu_milli != 0 ? STORE__SHORT_STRING_BYTES : 0;
}

static size_t issued_size(const struct weir_ledger_entry *entry, enum store__brevity brevity) {
    size_t size = 0;
    for (size_t i = 0; i < entry->issued_count; i++)
        size += issued_fits(entry->issued[i], brevity) ? 2 + entry->issued[i].length : 0;
    return size;
}

static char *put_issued(char *out, const struct weir_ledger_entry *entry, enum store__brevity brevity) {
    char *count = out++;
    uint8_t written = 0;
    for (size_t i = 0; i < entry->issued_count; i++) {
        if (!issued_fits(entry->issued[i], brevity))
            continue;
        out = put_string(out, entry->issued[i], STORE__MAX_STRING_BYTES);
        written++;
    }
    (void)put8(count, written);
    return out;
}

size_t store__close_payload_size(const struct weir_ledger_entry *entry, enum store__brevity brevity) {
    struct weir_span strings[STORE__CLOSE_STRINGS];
    size_t count = close_strings(entry, strings);
    size_t size = STORE__CLOSE_FIXED_BYTES + issued_size(entry, brevity);
    if (count == STORE__CLOSE_STRINGS)
        size += entry->attempt_count * STORE__ATTEMPT_COST_BYTES;
    for (size_t i = 0; i < count; i++)
        size += 2 + cut(strings[i], close_limit(brevity, i));
    size_t limit = brevity == STORE__FULL ? STORE__MAX_STRING_BYTES : 0;
    for (size_t i = 0; i < entry->attempt_count; i++) {
        const struct weir_ledger_attempt *attempt = &entry->attempts[i];
        size += STORE__ATTEMPT_FIXED_BYTES + 6 + cut(attempt->provider, attempt_provider_limit(attempt, brevity)) +
                cut(attempt->upstream_model, limit) + cut(attempt->upstream_request_id, limit);
    }
    return size;
}

void store__close_encode(const struct weir_ledger_entry *entry, enum store__brevity brevity, char *out) {
    struct weir_span strings[STORE__CLOSE_STRINGS];
    size_t count = close_strings(entry, strings);
    bool owned = count == STORE__CLOSE_STRINGS;
    out = put8(out, owned ? FORM_CLOSE_WITH_OWNERS : FORM_CLOSE);
    out = put8(out, (uint8_t)(flags_of(entry->stream, entry->unpriced) | (entry->unbilled ? FLAG_UNBILLED : 0)));
    out = put8(out, entry->usage_source);
    out = put8(out, entry->outcome);
    out = put16(out, entry->reason);
    out = put16(out, entry->status);
    out = put8(out, (uint8_t)entry->attempt_count);
    out = put32(out, entry->first_byte_us);
    out = put(out, entry->request_id.bytes, sizeof(entry->request_id.bytes));
    out = put64_signed(out, entry->start_utc_us);
    out = put64_signed(out, entry->end_utc_us);
    out = put64_signed(out, entry->reserved_cu_milli);
    out = put64_signed(out, entry->cost_cu_milli);
    out = put64_signed(out, entry->overrun_cu_milli);
    out = put_usage(out, &entry->usage);
    out = put64(out, entry->revision);
    out = put8(out, entry->stage);
    out = put8(out, entry->policy);
    out = put32(out, entry->read_us);
    for (size_t i = 0; i < count; i++)
        out = put_string(out, strings[i], close_limit(brevity, i));
    out = put_issued(out, entry, brevity);
    size_t limit = brevity == STORE__FULL ? STORE__MAX_STRING_BYTES : 0;
    for (size_t i = 0; i < entry->attempt_count; i++) {
        const struct weir_ledger_attempt *attempt = &entry->attempts[i];
        out = put16(out, attempt->status);
        out = put16(out, attempt->reason);
        out = put32(out, attempt->start_us);
        out = put32(out, attempt->connected_us);
        out = put32(out, attempt->first_byte_us);
        out = put32(out, attempt->end_us);
        out = put8(out, attempt->reused_connection ? 1 : 0);
        if (owned)
            out = put64_signed(out, attempt->cost_cu_milli);
        out = put_string(out, attempt->provider, attempt_provider_limit(attempt, brevity));
        out = put_string(out, attempt->upstream_model, limit);
        out = put_string(out, attempt->upstream_request_id, limit);
    }
}

/* --- reading --- */
struct reader {
    const char *at;
    size_t left;
    bool bad; /* remembers the first failure; everything read after it is zero */
};

static void get(struct reader *reader, void *value, size_t size) {
    if (reader->bad || reader->left < size) {
        reader->bad = true;
        memset(value, 0, size);
        return;
    }
    memcpy(value, reader->at, size);
    reader->at += size;
    reader->left -= size;
}
static uint8_t get8(struct reader *reader) {
    uint8_t value;
    get(reader, &value, sizeof(value));
    return value;
}
static uint16_t get16(struct reader *reader) {
    uint16_t value;
    get(reader, &value, sizeof(value));
    return value;
}
static uint32_t get32(struct reader *reader) {
    uint32_t value;
    get(reader, &value, sizeof(value));
    return value;
}
static uint64_t get64(struct reader *reader) {
    uint64_t value;
    get(reader, &value, sizeof(value));
    return value;
}
static int64_t get64_signed(struct reader *reader) {
    int64_t value;
    get(reader, &value, sizeof(value));
    return value;
}
static struct weir_span get_string(struct reader *reader) {
    size_t length = get16(reader);
    if (reader->bad || length > STORE__MAX_STRING_BYTES || reader->left < length) {
        reader->bad = true;
        return WEIR_SPAN("");
    }
    struct weir_span span = weir_span_of(reader->at, length);
    reader->at += length;
    reader->left -= length;
    return span;
}
static uint8_t get_below(struct reader *reader, unsigned bound) {
    uint8_t value = get8(reader);
    if (value >= bound)
        reader->bad = true;
    return value;
}
static struct weir_usage get_usage(struct reader *reader, bool of_tokens) {
    struct weir_usage usage = {.input = 0};
    usage.input = get64_signed(reader);
    usage.cached = get64_signed(reader);
    usage.cache_write = get64_signed(reader);
    usage.output = get64_signed(reader);
    usage.reasoning = get64_signed(reader);
    if (of_tokens)
        return usage;
    usage.input_audio = get64_signed(reader);
    usage.input_image = get64_signed(reader);
    usage.output_audio = get64_signed(reader);
    usage.output_image = get64_signed(reader);
    usage.units = get64_signed(reader);
    usage.unit = (enum weir_unit)get_below(reader, WEIR_UNIT_SEARCH + 1);
    return usage;
}

static void decode_open(struct reader *reader, struct weir_journal_open *open, enum form form) {
    const bool of_tokens = form == FORM_OPEN_OF_TOKENS, owned = form == FORM_OPEN_WITH_OWNERS;
    uint8_t flags = get_below(reader, OPEN_FLAGS_KNOWN + 1);
    open->stream = (flags & FLAG_STREAM) != 0;
    open->unpriced = (flags & FLAG_UNPRICED) != 0;
    get(reader, open->request_id.bytes, sizeof(open->request_id.bytes));
    open->start_utc_us = get64_signed(reader);
    open->reserved_cu_milli = get64_signed(reader);
    open->reserved = get_usage(reader, of_tokens);
    open->revision = get64(reader);
    open->key_id = get_string(reader);
    open->workspace = get_string(reader);
    open->endpoint = get_string(reader);
    open->model = get_string(reader);
    open->provider = get_string(reader);
    open->upstream_model = get_string(reader);
    open->price_version = get_string(reader);
    open->client_request_id = get_string(reader);
    open->tags = get_string(reader);
    open->team = owned ? get_string(reader) : WEIR_SPAN("");
    open->user = owned ? get_string(reader) : WEIR_SPAN("");
    open->family = owned ? get_string(reader) : WEIR_SPAN("");
}

static void decode_attempt(struct reader *reader, struct weir_ledger_attempt *attempt, bool owned) {
    attempt->status = get16(reader);
    attempt->reason = get16(reader);
    attempt->start_us = get32(reader);
    attempt->connected_us = get32(reader);
    attempt->first_byte_us = get32(reader);
    attempt->end_us = get32(reader);
    attempt->reused_connection = get_below(reader, 2) != 0;
    attempt->cost_cu_milli = owned ? get64_signed(reader) : 0;
    attempt->provider = get_string(reader);
    attempt->upstream_model = get_string(reader);
    attempt->upstream_request_id = get_string(reader);
}

static void decode_close(struct reader *reader, struct weir_ledger_entry *entry, enum form form) {
    const bool of_tokens = form == FORM_CLOSE_OF_TOKENS, owned = form == FORM_CLOSE_WITH_OWNERS,
               has_story = owned || form == FORM_CLOSE;
    uint8_t flags = get_below(reader, (has_story ? CLOSE_FLAGS_KNOWN : OPEN_FLAGS_KNOWN) + 1);
    entry->sequence = 0;
    entry->stream = (flags & FLAG_STREAM) != 0;
    entry->unpriced = (flags & FLAG_UNPRICED) != 0;
    entry->unbilled = (flags & FLAG_UNBILLED) != 0;
    entry->usage_source = get_below(reader, WEIR_USAGE_COUNTED + 1);
    entry->outcome = get_below(reader, WEIR_OUTCOME_CRASHED + 1);
    entry->reason = get16(reader);
    entry->status = get16(reader);
    entry->attempt_count = get_below(reader, WEIR_MAX_ATTEMPTS + 1);
    entry->first_byte_us = get32(reader);
    get(reader, entry->request_id.bytes, sizeof(entry->request_id.bytes));
    entry->start_utc_us = get64_signed(reader);
    entry->end_utc_us = get64_signed(reader);
    entry->reserved_cu_milli = get64_signed(reader);
    entry->cost_cu_milli = get64_signed(reader);
    entry->overrun_cu_milli = get64_signed(reader);
    entry->usage = get_usage(reader, of_tokens);
    entry->revision = get64(reader);
    entry->stage = has_story ? get_below(reader, WEIR_STAGE_ANSWERED + 1) : WEIR_STAGE_UNKNOWN;
    entry->policy = has_story ? get_below(reader, WEIR_POLICY_BLOCK + 1) : WEIR_POLICY_NONE;
    entry->read_us = has_story ? get32(reader) : 0;
    entry->client_request_id = get_string(reader);
    entry->trace_id = get_string(reader);
    entry->key_id = get_string(reader);
    entry->workspace = get_string(reader);
    entry->endpoint = get_string(reader);
    entry->model = get_string(reader);
    entry->provider = get_string(reader);
    entry->upstream_model = get_string(reader);
    entry->price_version = get_string(reader);
    entry->tags = get_string(reader);
    entry->client_address = get_string(reader);
    entry->session_id = has_story ? get_string(reader) : WEIR_SPAN("");
    entry->path = has_story ? get_string(reader) : WEIR_SPAN("");
    entry->detail = has_story ? get_string(reader) : WEIR_SPAN("");
    entry->team = owned ? get_string(reader) : WEIR_SPAN("");
    entry->user = owned ? get_string(reader) : WEIR_SPAN("");
    entry->family = owned ? get_string(reader) : WEIR_SPAN("");
    entry->issued_count = of_tokens ? 0 : get_below(reader, WEIR_MAX_ISSUED + 1);
    for (size_t i = 0; i < entry->issued_count && !reader->bad; i++) {
        entry->issued[i] = get_string(reader);
        if (entry->issued[i].length == 0)
            reader->bad = true;
    }
    for (size_t i = 0; i < entry->attempt_count && !reader->bad; i++)
        decode_attempt(reader, &entry->attempts[i], owned);
}

enum weir_status store__payload_decode(struct weir_span payload, struct weir_journal_record *record) {
    struct reader reader = {.at = payload.at, .left = payload.length};
    uint8_t form = get8(&reader);
    switch (form) {
    case FORM_OPEN:
    case FORM_OPEN_OF_TOKENS:
    case FORM_OPEN_WITH_OWNERS:
        record->kind = WEIR_JOURNAL_OPEN;
        decode_open(&reader, &record->open, (enum form)form);
        break;
    case FORM_CLOSE:
    case FORM_CLOSE_WITH_OWNERS:
    case FORM_CLOSE_WITHOUT_STORY:
    case FORM_CLOSE_OF_TOKENS:
        record->kind = WEIR_JOURNAL_CLOSE;
        decode_close(&reader, &record->close, (enum form)form);
        break;
    default: return WEIR_ECORRUPT;
    }
    return reader.bad || reader.left != 0 ? WEIR_ECORRUPT : WEIR_OK;
}
