/* How long operators wait for request records, with very many of them: fills a database through the engine as the store's thread does, then
 * times lists, filters and look-ups. One line of JSON a figure: {"measure":…,"unit":…,"values":[…]}.
 *
 *   records DIRECTORY COUNT [KEYS]
 *
 * The database is read through a connection of its own, opened after the writing: nothing is in its cache at first. */
#include "base/clock.h"
#include "base/reasons.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 2000 /* that take turns, unless told */, BATCH = 1000, TIMES = 25 };
static const struct weir_engine_ops *const ops = &weir_engine_sqlite;

static void must(enum weir_status status, const struct weir_error *error) {
    if (status != WEIR_OK) {
        fprintf(stderr, "records: %s: %s\n", weir_status_name(status), error->text);
        exit(1);
    }
}

static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    return value ^ value >> 32;
}

struct made {
    char key[32], client[32], upstream[40], trace[33], model[16];
    struct weir_ledger_entry entry;
};

/* As traffic is: few models and providers, many keys, one in fifty fails, every id another. */
static void make(struct made *made, uint64_t number, uint64_t keys) {
    uint64_t random = mix(number), more = mix(random);
    bool failed = random % 50 == 0;
    memset(made, 0, sizeof *made);
    (void)snprintf(made->key, sizeof made->key, "key_%016llu", (unsigned long long)(random >> 8) % keys);
    (void)snprintf(made->client, sizeof made->client, "client-%llu", (unsigned long long)number);
    (void)snprintf(made->upstream, sizeof made->upstream, "req_%016llx", (unsigned long long)random);
    (void)snprintf(made->model, sizeof made->model, "model-%llu", (unsigned long long)(random >> 40) % 12);
    (void)snprintf(made->trace, sizeof made->trace, "%016llx%016llx", (unsigned long long)random,
                   (unsigned long long)more);
    struct weir_ledger_entry *entry = &made->entry;
    entry->start_utc_us = 1790000000000000 + (int64_t)number * 1000;
    entry->end_utc_us = entry->start_utc_us + 400000;
    uint64_t start_ms = (uint64_t)entry->start_utc_us / 1000; /* ordered by time, as ours are */
    for (size_t i = 0; i < 6; i++)
        entry->request_id.bytes[i] = (unsigned char)(start_ms >> (40 - 8 * i));
    memcpy(entry->request_id.bytes + 8, &random, 8);
    entry->client_request_id = number % 4 == 0 ? weir_span_of_string(made->client) : WEIR_SPAN("");
    entry->trace_id = weir_span_of_string(made->trace);
    entry->key_id = weir_span_of_string(made->key);
    entry->workspace = random % 9 == 0 ? WEIR_SPAN("acme") : WEIR_SPAN("default");
    entry->endpoint = WEIR_SPAN("chat.completions");
    entry->model = weir_span_of_string(made->model);
    entry->provider = (random >> 50) % 3 == 0 ? WEIR_SPAN("openai") : WEIR_SPAN("azure");
    entry->upstream_model = entry->model;
    entry->price_version = WEIR_SPAN("2026-11-01");
    entry->client_address = WEIR_SPAN("203.0.113.9");
    entry->reserved_cu_milli = 900000;
    entry->cost_cu_milli = 123456;
    entry->usage = (struct weir_usage){.input = 812, .output = 77};
    entry->revision = 3;
    entry->usage_source = WEIR_USAGE_PROVIDER;
    entry->outcome = failed ? WEIR_OUTCOME_ERROR : WEIR_OUTCOME_OK;
    entry->reason = failed ? WEIR_REASON_UPSTREAM_ERROR : 0;
    entry->status = failed ? 502 : 200;
    entry->first_byte_us = 210000;
    entry->stage = failed ? WEIR_STAGE_SENT : WEIR_STAGE_ANSWERED;
    entry->policy = WEIR_POLICY_ALLOW;
    entry->read_us = 90;
    entry->attempt_count = 1;
    entry->attempts[0] = (struct weir_ledger_attempt){.provider = entry->provider,
                                                      .upstream_model = entry->model,
                                                      .upstream_request_id = weir_span_of_string(made->upstream),
                                                      .status = entry->status,
                                                      .reason = entry->reason,
                                                      .start_us = 120,
                                                      .connected_us = 120,
                                                      .first_byte_us = 200000,
                                                      .end_us = 390000,
                                                      .reused_connection = true};
}

/* Microseconds of CPU an entry. */
static double fill(struct weir_engine *engine, uint64_t from, uint64_t count, uint64_t keys, bool with_records) {
    const struct weir_record_settings settings = {.retention_us = with_records ? INT64_C(86400000000) * 30 : 0,
                                                  .sample_percent = 100};
    struct weir_error error = {.text = ""};
    struct made *batch = calloc(BATCH, sizeof *batch);
    int64_t spent_ns = 0;
    if (batch == NULL)
        exit(1);
    ops->record_settings(engine, &settings);
    for (uint64_t number = from; number < from + count;) {
        unsigned size = 0;
        while (size < BATCH && number < from + count)
            make(&batch[size++], number++, keys);
        int64_t began_ns = weir_clock_thread_cpu_ns();
        must(ops->ingest_begin(engine, &error), &error);
        for (unsigned i = 0; i < size; i++)
            must(ops->ingest_entry(engine, &batch[i].entry, &error), &error);
        must(ops->ingest_commit(engine, &error), &error);
        bool more = with_records && number % (UINT64_C(100) * BATCH) == 0;
        while (more)
            must(ops->record_upkeep(engine, weir_clock_utc_us(), &more, &error), &error);
        spent_ns += weir_clock_thread_cpu_ns() - began_ns;
    }
    free(batch);
    return (double)spent_ns / 1000 / (double)count;
}

static enum weir_status count_one(void *context, const struct weir_record *record) {
    (void)record;
    ++*(size_t *)context;
    return WEIR_OK;
}

static void print(const char *measure, const char *unit, const double *values, size_t count) {
    printf("{\"measure\":\"%s\",\"unit\":\"%s\",\"values\":[", measure, unit);
    for (size_t i = 0; i < count; i++)
        printf("%s%.4f", i > 0 ? "," : "", values[i]);
    printf("]}\n");
}

/* A page of 50 each, from ever other places where `deep`. */
static void time_list(struct weir_engine *engine, const char *measure, struct weir_record_query query, bool deep,
                      int64_t newest, uint64_t count) {
    struct weir_error error = {.text = ""};
    double values[TIMES];
    for (unsigned i = 0; i < TIMES; i++) {
        struct weir_record_page page;
        size_t found = 0;
        query.limit = 50;
        query.before_number = deep ? newest - (int64_t)(mix(i) % (count / 2)) : 0;
        int64_t began_ns = weir_clock_monotonic_ns();
        must(ops->record_list(engine, &query, count_one, &found, &page, &error), &error);
        values[i] = (double)(weir_clock_monotonic_ns() - began_ns) / 1e6;
    }
    print(measure, "ms", values, TIMES);
}

static void time_ids(struct weir_engine *engine, const char *measure, uint64_t first, uint64_t count, uint64_t keys,
                     bool upstream) {
    struct weir_error error = {.text = ""};
    double values[TIMES];
    for (unsigned i = 0; i < TIMES; i++) {
        struct made made;
        size_t found = 0;
        make(&made, first + mix(i + 77) % count, keys);
        struct weir_span id = upstream ? weir_span_of_string(made.upstream) : weir_span_of_string(made.trace);
        int64_t began_ns = weir_clock_monotonic_ns();
        must(ops->record_find(engine, id, 100, count_one, &found, &error), &error);
        values[i] = (double)(weir_clock_monotonic_ns() - began_ns) / 1e6;
        if (found != 1) {
            fprintf(stderr, "records: %zu records have the id %.*s\n", found, WEIR_SPAN_PRINT(id));
            exit(1);
        }
    }
    print(measure, "ms", values, TIMES);
}

static enum weir_status note_newest(void *context, const struct weir_record *record) {
    *(int64_t *)context = record->number;
    return WEIR_OK;
}

int main(int argc, char **argv) {
    uint64_t count = argc == 3 || argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t keys = argc == 4 ? strtoull(argv[3], NULL, 10) : KEYS;
    struct weir_engine *engine = NULL;
    struct weir_error error = {.text = ""};
    struct weir_record_page page;
    int64_t newest = 0;
    if (count < 4 * (uint64_t)BATCH || keys == 0) {
        fprintf(stderr, "usage: records DIRECTORY COUNT [KEYS]\n");
        return 2;
    }
    must(weir_store_direct_open(argv[1], "dev", true, &engine, &error), &error);
    /* Half of what has no record is written first and half at the end, as the ledger's own indexes grow meanwhile. */
    double without = fill(engine, 0, count / 20, keys, false);
    double with = fill(engine, count / 20, count - count / 10, keys, true);
    without = (without + fill(engine, count - count / 20, count / 20, keys, false)) / 2;
    weir_store_direct_close(&engine);
    print("the ledger's entry alone: CPU", "µs", &without, 1);
    print("with its record: CPU", "µs", &with, 1);
    must(weir_store_direct_open(argv[1], "dev", false, &engine, &error), &error);
    must(ops->record_list(engine, &(struct weir_record_query){.limit = 1}, note_newest, &newest, &page, &error),
         &error);
    uint64_t kept = count - count / 10;
    time_list(engine, "the newest page", (struct weir_record_query){.limit = 0}, false, newest, kept);
    time_list(engine, "a page anywhere", (struct weir_record_query){.limit = 0}, true, newest, kept);
    time_list(engine, "errors", (struct weir_record_query){.failed = true}, true, newest, kept);
    time_list(engine, "a key", (struct weir_record_query){.key_id = WEIR_SPAN("key_0000000000000017")}, true, newest,
              kept);
    time_list(engine, "errors of a key with a model at a provider",
              (struct weir_record_query){.key_id = WEIR_SPAN("key_0000000000000017"),
                                         .failed = true,
                                         .model = WEIR_SPAN("model-3"),
                                         .provider = WEIR_SPAN("openai")},
              true, newest, kept);
    time_list(engine, "what there is none of (404, in a workspace)",
              (struct weir_record_query){.status = 404, .workspace = WEIR_SPAN("acme")}, false, newest, kept);
    time_list(engine, "an hour in the middle",
              (struct weir_record_query){.from_utc_us = 1790000000000000 + (int64_t)count / 2 * 1000,
                                         .until_utc_us = 1790000000000000 + (int64_t)count / 2 * 1000 + 3600000000},
              false, newest, kept);
    for (uint64_t i = 0; i < 2; i++)
        time_ids(engine, i == 0 ? "a provider's id" : "a trace id", count / 20, kept, keys, i == 0);
    weir_store_direct_close(&engine);
    return 0;
}
