/* See receipts.h. */
#include "store/receipts.h"

#include "base/clock.h"
#include "json/write.h"

#include <sodium.h>
#include <stdio.h>

static const struct {
    const char *name;
    enum weir_receipt_kind kind;
} members[] = {
#define X(NAME, name, KIND) {name, WEIR_RECEIPT_##KIND},
    WEIR_RECEIPT_MEMBERS(X)
#undef X
};

const char *weir_receipt_member_name(enum weir_receipt_member member) {
    weir_bug_on(member >= WEIR_RECEIPT_MEMBER_COUNT);
    return members[member].name;
}

enum weir_receipt_kind weir_receipt_member_kind(enum weir_receipt_member member) {
    weir_bug_on(member >= WEIR_RECEIPT_MEMBER_COUNT);
    return members[member].kind;
}

/* A time that no calendar date of four digits has stands as its number: no two times have the same text. */
static void format_time(int64_t utc_us, char out[48]) {
    static const int64_t end_of_9999_us = 253402300799999999;
    if (utc_us >= 0 && utc_us <= end_of_9999_us)
        weir_clock_format_utc(utc_us, out);
    else
        (void)snprintf(out, 48, "%lld", (long long)utc_us);
}

static void fill_numbers(const struct weir_ledger_entry *entry, struct weir_receipt_value *values) {
    const struct weir_usage *usage = &entry->usage;
    values[WEIR_RECEIPT_CACHE_WRITE_TOKENS].number = usage->cache_write;
    values[WEIR_RECEIPT_CACHED_TOKENS].number = usage->cached;
    values[WEIR_RECEIPT_CHARGED_CU_MILLI].number = entry->cost_cu_milli;
    values[WEIR_RECEIPT_INPUT_AUDIO_TOKENS].number = usage->input_audio;
    values[WEIR_RECEIPT_INPUT_IMAGE_TOKENS].number = usage->input_image;
    values[WEIR_RECEIPT_INPUT_TOKENS].number = usage->input;
    values[WEIR_RECEIPT_OUTPUT_AUDIO_TOKENS].number = usage->output_audio;
    values[WEIR_RECEIPT_OUTPUT_IMAGE_TOKENS].number = usage->output_image;
    values[WEIR_RECEIPT_OUTPUT_TOKENS].number = usage->output;
    values[WEIR_RECEIPT_OVERRUN_CU_MILLI].number = entry->overrun_cu_milli;
    values[WEIR_RECEIPT_REASONING_TOKENS].number = usage->reasoning;
    values[WEIR_RECEIPT_RESERVED_CU_MILLI].number = entry->reserved_cu_milli;
    values[WEIR_RECEIPT_REVISION].number = (int64_t)entry->revision;
    values[WEIR_RECEIPT_SEQUENCE].number = entry->sequence;
    values[WEIR_RECEIPT_STATUS].number = entry->status;
    values[WEIR_RECEIPT_STREAM].number = entry->stream;
    values[WEIR_RECEIPT_UNITS].number = usage->units;
    values[WEIR_RECEIPT_UNPRICED].number = entry->unpriced;
    values[WEIR_RECEIPT_V].number = WEIR_RECEIPT_VERSION;
}

static void fill_texts(const struct weir_ledger_entry *entry, struct weir_receipt_value *values) {
    values[WEIR_RECEIPT_CLIENT_REQUEST_ID].text = entry->client_request_id;
    values[WEIR_RECEIPT_ENDPOINT].text = entry->endpoint;
    values[WEIR_RECEIPT_KEY_ID].text = entry->key_id;
    values[WEIR_RECEIPT_MODEL].text = entry->model;
    values[WEIR_RECEIPT_OUTCOME].text = weir_span_of_string(weir_outcome_name((enum weir_outcome)entry->outcome));
    values[WEIR_RECEIPT_PRICE_VERSION].text = entry->price_version;
    values[WEIR_RECEIPT_PROVIDER].text = entry->provider;
    values[WEIR_RECEIPT_TEAM].text = entry->team;
    values[WEIR_RECEIPT_UNIT].text = weir_span_of_string(weir_unit_name(entry->usage.unit));
    values[WEIR_RECEIPT_UPSTREAM_MODEL].text = entry->upstream_model;
    values[WEIR_RECEIPT_USAGE_SOURCE].text = weir_span_of_string(
        weir_usage_source_name((enum weir_usage_source)entry->usage_source));
    values[WEIR_RECEIPT_USER].text = entry->user;
    values[WEIR_RECEIPT_WORKSPACE].text = entry->workspace;
}

void weir_receipt_of_entry(const struct weir_ledger_entry *entry, const unsigned char previous[WEIR_RECEIPT_HASH_SIZE],
                           struct weir_receipt *receipt) {
    struct weir_receipt_value *values = receipt->values;
    fill_numbers(entry, values);
    fill_texts(entry, values);
    weir_uuid_format(&entry->request_id, receipt->texts[0]);
    format_time(entry->start_utc_us, receipt->texts[1]);
    format_time(entry->end_utc_us, receipt->texts[2]);
    weir_hex_format(previous, WEIR_RECEIPT_HASH_SIZE, receipt->previous);
    values[WEIR_RECEIPT_REQUEST_ID].text = weir_span_of_string(receipt->texts[0]);
    values[WEIR_RECEIPT_STARTED_AT].text = weir_span_of_string(receipt->texts[1]);
    values[WEIR_RECEIPT_ENDED_AT].text = weir_span_of_string(receipt->texts[2]);
    values[WEIR_RECEIPT_PREVIOUS].text = weir_span_of_string(receipt->previous);
}

void weir_receipt_write(const struct weir_receipt *receipt, struct weir_buffer *out) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    for (size_t i = 0; i < WEIR_RECEIPT_MEMBER_COUNT; i++) {
        const struct weir_receipt_value *value = &receipt->values[i];
        if (members[i].kind == WEIR_RECEIPT_NUMBER)
            weir_json_member_int64(&writer, members[i].name, value->number);
        else if (members[i].kind == WEIR_RECEIPT_FLAG)
            weir_json_member_bool(&writer, members[i].name, value->number != 0);
        else
            weir_json_member_string(&writer, members[i].name, value->text);
    }
    weir_json_write_end(&writer);
}

enum weir_status weir_receipt_follow(struct weir_receipt_link *link, const struct weir_ledger_entry *entry,
                                     struct weir_buffer *text) {
    struct weir_receipt receipt;
    weir_buffer_clear(text);
    weir_receipt_of_entry(entry, link->hash, &receipt);
    weir_receipt_write(&receipt, text);
    enum weir_status status = weir_buffer_status(text);
    if (status != WEIR_OK)
        return status;
    link->sequence = entry->sequence;
    (void)crypto_hash_sha256(link->hash, (const unsigned char *)text->at, text->length);
    return WEIR_OK;
}
