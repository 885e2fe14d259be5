/* What the store's tests share: scratch directories, and sample records whose every field is set and told apart.
 *
 * Everything is static inline: each test program includes it once.
 */
#ifndef WEIR_TESTS_STORE_SUPPORT_H
#define WEIR_TESTS_STORE_SUPPORT_H

#include "base/reasons.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRATCH_SIZE = 64, PATH_SIZE = 512 };

static inline void scratch_make(char out[SCRATCH_SIZE]) {
    (void)snprintf(out, SCRATCH_SIZE, "/tmp/weir-store-XXXXXX");
    assert_non_null(mkdtemp(out));
}

/* The directory, and below it one level of directories: more is never there. */
static inline void scratch_remove(const char *path) {
    DIR *listing = opendir(path);
    if (listing != NULL) {
        struct dirent *row;
        while ((row = readdir(listing)) != NULL) {
            char child[PATH_SIZE + 300];
            if (strcmp(row->d_name, ".") == 0 || strcmp(row->d_name, "..") == 0)
                continue;
            if (snprintf(child, sizeof(child), "%s/%s", path, row->d_name) >= (int)sizeof(child))
                continue;
            if (unlink(child) != 0)
                scratch_remove(child);
        }
        (void)closedir(listing);
    }
    (void)rmdir(path);
}

static inline size_t count_files(const char *directory, const char *suffix) {
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof(path), "%s/journal", directory);
    size_t count = 0;
    DIR *listing = opendir(path);
    assert_non_null(listing);
    struct dirent *row;
    while ((row = readdir(listing)) != NULL) {
        if (weir_span_ends_with(weir_span_of_string(row->d_name), weir_span_of_string(suffix)))
            count++;
    }
    (void)closedir(listing);
    return count;
}

/* A request id that says which request it is of. */
static inline struct weir_uuid id_of_number(uint64_t number) {
    struct weir_uuid id = {{0x01, 0x93, 0, 0, 0, 0, 0x70, 0, 0x80}};
    for (size_t i = 0; i < 7; i++)
        id.bytes[9 + i] = (unsigned char)(number >> (8 * (6 - i)));
    return id;
}
static inline uint64_t number_of_id(const struct weir_uuid *id) {
    uint64_t number = 0;
    for (size_t i = 0; i < 7; i++)
        number = number << 8 | id->bytes[9 + i];
    return number;
}

/* Some requests have no owners: their records have an older form. */
static inline bool has_owners(uint64_t number) {
    return number % 5 != 3;
}

static inline struct weir_journal_open sample_open(uint64_t number) {
    const bool owned = has_owners(number);
    return (struct weir_journal_open){
        .request_id = id_of_number(number),
        .start_utc_us = 1790000000000000 + (int64_t)number * 1000,
        .reserved_cu_milli = 900000 + (int64_t)number,
        .reserved = {.input = 1000,
                     .cached = 0,
                     .cache_write = 7,
                     .input_audio = 8,
                     .input_image = 9,
                     .output = 4096,
                     .reasoning = 5,
                     .output_audio = 6,
                     .output_image = 4,
                     .units = 30000,
                     .unit = WEIR_UNIT_AUDIO_MS},
        .revision = 12,
        .stream = number % 2 == 0,
        .unpriced = number % 3 == 0,
        .key_id = WEIR_SPAN("key_0123456789abcdef"),
        .workspace = WEIR_SPAN("default"),
        .endpoint = WEIR_SPAN("chat.completions"),
        .model = WEIR_SPAN("gpt-4o-mini"),
        .provider = WEIR_SPAN("openai"),
        .upstream_model = WEIR_SPAN("gpt-4o-mini-2024-07-18"),
        .price_version = WEIR_SPAN("2026-11-01"),
        .client_request_id = WEIR_SPAN("client-7"),
        .tags = WEIR_SPAN("team=a,feature=b"),
        .team = owned ? WEIR_SPAN("team_red") : WEIR_SPAN(""),
        .user = owned ? WEIR_SPAN("ada") : WEIR_SPAN(""),
        .family = owned ? WEIR_SPAN("key_of_the_first") : WEIR_SPAN(""),
    };
}

static inline struct weir_ledger_entry sample_entry(uint64_t number) {
    struct weir_journal_open open = sample_open(number);
    return (struct weir_ledger_entry){
        .request_id = open.request_id,
        .client_request_id = open.client_request_id,
        .trace_id = WEIR_SPAN("0af7651916cd43dd8448eb211c80319c"),
        .key_id = open.key_id,
        .workspace = open.workspace,
        .team = open.team,
        .user = open.user,
        .family = open.family,
        .endpoint = open.endpoint,
        .model = open.model,
        .provider = open.provider,
        .upstream_model = open.upstream_model,
        .price_version = open.price_version,
        .tags = open.tags,
        .client_address = WEIR_SPAN("203.0.113.9"),
        .start_utc_us = open.start_utc_us,
        .end_utc_us = open.start_utc_us + 812345,
        .reserved_cu_milli = open.reserved_cu_milli,
        .cost_cu_milli = 123456 + (int64_t)number,
        .overrun_cu_milli = 11,
        .usage = {.input = 812,
                  .cached = 512,
                  .cache_write = 3,
                  .input_audio = 100,
                  .input_image = 50,
                  .output = 77,
                  .reasoning = 20,
                  .output_audio = 30,
                  .output_image = 10,
                  .units = 3,
                  .unit = WEIR_UNIT_IMAGE},
        .revision = open.revision,
        .usage_source = WEIR_USAGE_COUNTED,
        .outcome = WEIR_OUTCOME_OK,
        .reason = 0,
        .status = 200,
        .stream = open.stream,
        .unpriced = open.unpriced,
        .first_byte_us = 210000,
        .attempt_count = 2,
        .attempts = {{.provider = WEIR_SPAN("azure"),
                      .upstream_model = WEIR_SPAN("deployment-1"),
                      .upstream_request_id = WEIR_SPAN(""),
                      .status = 503,
                      .reason = WEIR_REASON_UPSTREAM_ERROR,
                      .start_us = 150,
                      .connected_us = 1700,
                      .first_byte_us = 52000,
                      .end_us = 52100,
                      .reused_connection = false,
                      .cost_cu_milli = has_owners(number) ? 777 : 0},
                     {.provider = open.provider,
                      .upstream_model = open.upstream_model,
                      .upstream_request_id = WEIR_SPAN("req_011CSHoEeqs5C35K2UUqR7Fy"),
                      .status = 200,
                      .reason = 0,
                      .start_us = 52200,
                      .connected_us = 52200,
                      .first_byte_us = 209000,
                      .end_us = 812000,
                      .reused_connection = true}},
        .issued_count = 2,
        .issued = {WEIR_SPAN("resp_68a1f0c2"), WEIR_SPAN("file-9Hq")},
        .stage = WEIR_STAGE_ANSWERED,
        .policy = WEIR_POLICY_ALLOW,
        .read_us = 40,
        .session_id = WEIR_SPAN("session-9"),
        .path = WEIR_SPAN("GET /v1"),
        .detail = WEIR_SPAN("no"),
    };
}

/* What is said of owners left out: a request's record does not keep it, nor does an old form. */
static inline struct weir_ledger_entry without_owners(struct weir_ledger_entry entry) {
    entry.team = entry.user = entry.family = WEIR_SPAN("");
    for (size_t i = 0; i < entry.attempt_count; i++)
        entry.attempts[i].cost_cu_milli = 0;
    return entry;
}

static inline void assert_spans_equal(struct weir_span a, struct weir_span b) {
    assert_int_equal(a.length, b.length);
    if (a.length > 0)
        assert_memory_equal(a.at, b.at, a.length);
}

static inline void assert_usage_equal(const struct weir_usage *a, const struct weir_usage *b) {
    assert_true(a->input == b->input && a->output == b->output);
    assert_true(a->cached == b->cached && a->cache_write == b->cache_write && a->reasoning == b->reasoning);
    assert_true(a->input_audio == b->input_audio && a->input_image == b->input_image);
    assert_true(a->output_audio == b->output_audio && a->output_image == b->output_image);
    assert_true(a->units == b->units);
    assert_int_equal(a->unit, b->unit);
}

static inline void assert_opens_equal(const struct weir_journal_open *a, const struct weir_journal_open *b) {
    assert_memory_equal(&a->request_id, &b->request_id, sizeof(a->request_id));
    assert_true(a->start_utc_us == b->start_utc_us);
    assert_true(a->reserved_cu_milli == b->reserved_cu_milli);
    assert_usage_equal(&a->reserved, &b->reserved);
    assert_true(a->revision == b->revision);
    assert_true(a->stream == b->stream);
    assert_true(a->unpriced == b->unpriced);
    assert_spans_equal(a->key_id, b->key_id);
    assert_spans_equal(a->workspace, b->workspace);
    assert_spans_equal(a->endpoint, b->endpoint);
    assert_spans_equal(a->model, b->model);
    assert_spans_equal(a->provider, b->provider);
    assert_spans_equal(a->upstream_model, b->upstream_model);
    assert_spans_equal(a->price_version, b->price_version);
    assert_spans_equal(a->client_request_id, b->client_request_id);
    assert_spans_equal(a->tags, b->tags);
    assert_spans_equal(a->team, b->team);
    assert_spans_equal(a->user, b->user);
    assert_spans_equal(a->family, b->family);
}

/* What the record of a request has besides. */
static inline void assert_stories_equal(const struct weir_ledger_entry *a, const struct weir_ledger_entry *b) {
    assert_int_equal(a->unbilled, b->unbilled);
    assert_int_equal(a->stage, b->stage);
    assert_int_equal(a->policy, b->policy);
    assert_int_equal(a->read_us, b->read_us);
    assert_spans_equal(a->session_id, b->session_id);
    assert_spans_equal(a->path, b->path);
    assert_spans_equal(a->detail, b->detail);
}

/* All that the ledger keeps but the sequence. */
static inline void assert_entries_equal(const struct weir_ledger_entry *a, const struct weir_ledger_entry *b) {
    assert_memory_equal(&a->request_id, &b->request_id, sizeof(a->request_id));
    assert_spans_equal(a->client_request_id, b->client_request_id);
    assert_spans_equal(a->trace_id, b->trace_id);
    assert_spans_equal(a->key_id, b->key_id);
    assert_spans_equal(a->workspace, b->workspace);
    assert_spans_equal(a->team, b->team);
    assert_spans_equal(a->user, b->user);
    assert_spans_equal(a->family, b->family);
    assert_spans_equal(a->endpoint, b->endpoint);
    assert_spans_equal(a->model, b->model);
    assert_spans_equal(a->provider, b->provider);
    assert_spans_equal(a->upstream_model, b->upstream_model);
    assert_spans_equal(a->price_version, b->price_version);
    assert_spans_equal(a->tags, b->tags);
    assert_spans_equal(a->client_address, b->client_address);
    assert_true(a->start_utc_us == b->start_utc_us);
    assert_true(a->end_utc_us == b->end_utc_us);
    assert_true(a->reserved_cu_milli == b->reserved_cu_milli);
    assert_true(a->cost_cu_milli == b->cost_cu_milli);
    assert_true(a->overrun_cu_milli == b->overrun_cu_milli);
    assert_usage_equal(&a->usage, &b->usage);
    assert_true(a->revision == b->revision);
    assert_int_equal(a->usage_source, b->usage_source);
    assert_int_equal(a->outcome, b->outcome);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->status, b->status);
    assert_true(a->stream == b->stream);
    assert_true(a->unpriced == b->unpriced);
    assert_int_equal(a->first_byte_us, b->first_byte_us);
    assert_int_equal(a->attempt_count, b->attempt_count);
    for (size_t i = 0; i < a->attempt_count; i++) {
        const struct weir_ledger_attempt *x = &a->attempts[i], *y = &b->attempts[i];
        assert_spans_equal(x->provider, y->provider);
        assert_spans_equal(x->upstream_model, y->upstream_model);
        assert_spans_equal(x->upstream_request_id, y->upstream_request_id);
        assert_int_equal(x->status, y->status);
        assert_int_equal(x->reason, y->reason);
        assert_int_equal(x->start_us, y->start_us);
        assert_int_equal(x->connected_us, y->connected_us);
        assert_int_equal(x->first_byte_us, y->first_byte_us);
        assert_int_equal(x->end_us, y->end_us);
        assert_true(x->reused_connection == y->reused_connection);
        assert_true(x->cost_cu_milli == y->cost_cu_milli);
    }
    assert_int_equal(a->issued_count, b->issued_count);
    for (size_t i = 0; i < a->issued_count; i++)
        assert_spans_equal(a->issued[i], b->issued[i]);
}

#endif
