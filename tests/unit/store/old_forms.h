/* What the first version of the formats looked like, written down independently of the code that reads it: journal
 * records of five counts of tokens, and the first tables. Neither may change any more. */
#ifndef WEIR_TESTS_STORE_OLD_FORMS_H
#define WEIR_TESTS_STORE_OLD_FORMS_H

#include "support.h"

struct old_record {
    char bytes[4096];
    size_t size;
};

static inline void old_number(struct old_record *record, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        record->bytes[record->size++] = (char)(unsigned char)(value >> (8 * i));
}
static inline void old_text(struct old_record *record, struct weir_span text) {
    old_number(record, text.length, 2);
    if (text.length > 0)
        memcpy(record->bytes + record->size, text.at, text.length);
    record->size += text.length;
}
static inline void old_usage(struct old_record *record, const struct weir_usage *usage) {
    const int64_t numbers[] = {usage->input, usage->cached, usage->cache_write, usage->output, usage->reasoning};
    for (size_t i = 0; i < 5; i++)
        old_number(record, (uint64_t)numbers[i], 8);
}
static inline struct weir_usage tokens_alone(struct weir_usage usage) {
    return (struct weir_usage){.input = usage.input,
                               .cached = usage.cached,
                               .cache_write = usage.cache_write,
                               .output = usage.output,
                               .reasoning = usage.reasoning};
}

/* What the old form could hold. */
static inline struct weir_journal_open old_sample_open(uint64_t number) {
    struct weir_journal_open open = sample_open(number);
    open.reserved = tokens_alone(open.reserved);
    open.team = open.user = open.family = WEIR_SPAN("");
    return open;
}
static inline struct weir_ledger_entry old_sample_entry(uint64_t number) {
    struct weir_ledger_entry entry = sample_entry(number);
    entry.usage = tokens_alone(entry.usage);
    entry.usage_source = WEIR_USAGE_PROVIDER;
    entry.issued_count = 0;
    return without_owners(entry);
}

static inline struct old_record old_open(const struct weir_journal_open *open) {
    struct old_record record = {.size = 0};
    old_number(&record, 1, 1);
    old_number(&record, (open->stream ? 1U : 0U) | (open->unpriced ? 2U : 0U), 1);
    memcpy(record.bytes + record.size, open->request_id.bytes, 16);
    record.size += 16;
    old_number(&record, (uint64_t)open->start_utc_us, 8);
    old_number(&record, (uint64_t)open->reserved_cu_milli, 8);
    old_usage(&record, &open->reserved);
    old_number(&record, open->revision, 8);
    const struct weir_span texts[] = {open->key_id,        open->workspace,         open->endpoint,
                                      open->model,         open->provider,          open->upstream_model,
                                      open->price_version, open->client_request_id, open->tags};
    for (size_t i = 0; i < 9; i++)
        old_text(&record, texts[i]);
    return record;
}

static inline struct old_record old_close(const struct weir_ledger_entry *entry) {
    struct old_record record = {.size = 0};
    old_number(&record, 2, 1);
    old_number(&record, (entry->stream ? 1U : 0U) | (entry->unpriced ? 2U : 0U), 1);
    old_number(&record, entry->usage_source, 1);
    old_number(&record, entry->outcome, 1);
    old_number(&record, entry->reason, 2);
    old_number(&record, entry->status, 2);
    old_number(&record, entry->attempt_count, 1);
    old_number(&record, entry->first_byte_us, 4);
    memcpy(record.bytes + record.size, entry->request_id.bytes, 16);
    record.size += 16;
    const int64_t numbers[] = {entry->start_utc_us, entry->end_utc_us, entry->reserved_cu_milli, entry->cost_cu_milli,
                               entry->overrun_cu_milli};
    for (size_t i = 0; i < 5; i++)
        old_number(&record, (uint64_t)numbers[i], 8);
    old_usage(&record, &entry->usage);
    old_number(&record, entry->revision, 8);
    const struct weir_span texts[] = {
        entry->client_request_id, entry->trace_id, entry->key_id,        entry->workspace,
        entry->endpoint,          entry->model,    entry->provider,      entry->upstream_model,
        entry->price_version,     entry->tags,     entry->client_address};
    for (size_t i = 0; i < 11; i++)
        old_text(&record, texts[i]);
    for (size_t i = 0; i < entry->attempt_count; i++) {
        const struct weir_ledger_attempt *attempt = &entry->attempts[i];
        old_number(&record, attempt->status, 2);
        old_number(&record, attempt->reason, 2);
        old_number(&record, attempt->start_us, 4);
        old_number(&record, attempt->connected_us, 4);
        old_number(&record, attempt->first_byte_us, 4);
        old_number(&record, attempt->end_us, 4);
        old_number(&record, attempt->reused_connection ? 1 : 0, 1);
        old_text(&record, attempt->provider);
        old_text(&record, attempt->upstream_model);
        old_text(&record, attempt->upstream_request_id);
    }
    return record;
}

/* The tables of version 1, with one entry, of request 7. */
static const char old_tables[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE api_key("
    " id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, name TEXT NOT NULL, workspace TEXT NOT NULL, hint TEXT NOT NULL,"
    " created_utc_us INTEGER NOT NULL, expires_utc_us INTEGER NOT NULL, revoked_utc_us INTEGER NOT NULL,"
    " change INTEGER NOT NULL UNIQUE);"
    "CREATE TABLE dictionary(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
    "CREATE TABLE ledger("
    " sequence INTEGER PRIMARY KEY, request_id BLOB NOT NULL,"
    " key INTEGER NOT NULL, workspace INTEGER NOT NULL, endpoint INTEGER NOT NULL, model INTEGER NOT NULL,"
    " provider INTEGER NOT NULL, upstream_model INTEGER NOT NULL, price_version INTEGER NOT NULL,"
    " start_utc_us INTEGER NOT NULL, duration_us INTEGER NOT NULL, first_byte_us INTEGER NOT NULL,"
    " reserved_cu_milli INTEGER NOT NULL, cost_cu_milli INTEGER NOT NULL, overrun_cu_milli INTEGER NOT NULL,"
    " input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL,"
    " output_tokens INTEGER NOT NULL, reasoning_tokens INTEGER NOT NULL,"
    " revision INTEGER NOT NULL, flags INTEGER NOT NULL, usage_source INTEGER NOT NULL, outcome INTEGER NOT NULL,"
    " reason INTEGER NOT NULL, status INTEGER NOT NULL,"
    " client_request_id TEXT, trace_id BLOB, tags TEXT, client_address TEXT, attempts BLOB);"
    "CREATE INDEX ledger_by_request ON ledger(request_id);"
    "CREATE INDEX ledger_by_key ON ledger(key);"
    "CREATE INDEX ledger_by_client_request ON ledger(client_request_id) WHERE client_request_id IS NOT NULL;"
    "CREATE TABLE ledger_zone("
    " zone INTEGER PRIMARY KEY, first_start_utc_us INTEGER NOT NULL, last_start_utc_us INTEGER NOT NULL);"
    "CREATE TABLE instance(id BLOB PRIMARY KEY, began_utc_us INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE journal_cursor("
    " instance BLOB NOT NULL, worker INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL,"
    " PRIMARY KEY(instance, worker)) WITHOUT ROWID;"
    "CREATE TABLE open_request("
    " request_id BLOB PRIMARY KEY, instance BLOB NOT NULL, worker INTEGER NOT NULL, record BLOB NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE revision("
    " number INTEGER PRIMARY KEY, hash BLOB NOT NULL, text TEXT NOT NULL, saved_utc_us INTEGER NOT NULL);"
    "CREATE TABLE lease("
    " name TEXT PRIMARY KEY, amount INTEGER NOT NULL, taken INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE TABLE lease_share("
    " name TEXT NOT NULL, instance BLOB NOT NULL, taken INTEGER NOT NULL, PRIMARY KEY(name, instance)"
    ") WITHOUT ROWID;"
    "INSERT INTO meta VALUES('environment', 'dev'), ('schema_version', 1), ('next_sequence', 2);"
    "INSERT INTO dictionary VALUES(1, 'key_0123456789abcdef'), (2, 'default'), (3, 'chat.completions'),"
    " (4, 'gpt-4o-mini'), (5, 'openai'), (6, '2026-11-01');"
    "INSERT INTO ledger VALUES(1, x'01930000000000007000000000000007', 1, 2, 3, 4, 5, 4, 6, 1790000000007000, 5000, 900,"
    " 800, 700, 0, 11, 5, 1, 22, 3, 12, 1, 1, 0, 0, 200, 'mine', NULL, 'team=a', '203.0.113.9', NULL);"
    "INSERT INTO ledger_zone VALUES(0, 1790000000007000, 1790000000007000);";

#endif
