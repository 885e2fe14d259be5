/* What an entry of the ledger costs the store's thread, with its sums and with slices held, and what reports of usage cost with very many
 * entries. One line of JSON a figure: {"measure":…,"unit":…,"values":[…]}.
 *
 *   ledger DIRECTORY COUNT KEYS BATCH [HELD [A_SECOND]]
 *
 * COUNT entries of 90 days, or that came A_SECOND, are written in transactions of BATCH, as the store's thread does; HELD slices of budgets are held meanwhile, spread over the keys.
 * A key belongs to a team and a user and uses three models, as keys do. Reports are read through a connection of their own, opened after the writing. */
#include "base/clock.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { TIMES = 9, DAYS = 90 };
#define DAY_US INT64_C(86400000000)
#define BEGIN_US (20700 * DAY_US)
static const struct weir_engine_ops *const ops = &weir_engine_sqlite;

static void must(enum weir_status status, const struct weir_error *error) {
    if (status != WEIR_OK) {
        fprintf(stderr, "ledger: %s: %s\n", weir_status_name(status), error->text);
        exit(1);
    }
}

static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    return value ^ value >> 32;
}

struct made {
    char key[32], team[32], user[32], model[32], upstream[40], trace[33];
    struct weir_ledger_entry entry;
};

static void make(struct made *made, uint64_t number, double apart_us, uint64_t keys) {
    uint64_t random = mix(number), more = mix(random), key = (random >> 8) % keys;
    struct weir_ledger_entry *entry = &made->entry;
    memset(made, 0, sizeof *made);
    (void)snprintf(made->key, sizeof made->key, "key_%016llu", (unsigned long long)key);
    (void)snprintf(made->team, sizeof made->team, "team-%llu", (unsigned long long)key / 8);
    (void)snprintf(made->user, sizeof made->user, "user-%llu", (unsigned long long)key / 2);
    (void)snprintf(made->model, sizeof made->model, "model-%llu", (unsigned long long)(key + (random >> 40) % 3) % 12);
    (void)snprintf(made->upstream, sizeof made->upstream, "req_%016llx", (unsigned long long)random);
    (void)snprintf(made->trace, sizeof made->trace, "%016llx%016llx", (unsigned long long)random,
                   (unsigned long long)more);
    entry->start_utc_us = BEGIN_US + (int64_t)((double)number * apart_us);
    entry->end_utc_us = entry->start_utc_us + 400000;
    uint64_t start_ms = (uint64_t)entry->start_utc_us / 1000;
    for (size_t i = 0; i < 6; i++)
        entry->request_id.bytes[i] = (unsigned char)(start_ms >> (40 - 8 * i));
    memcpy(entry->request_id.bytes + 8, &random, 8);
    entry->trace_id = weir_span_of_string(made->trace);
    entry->key_id = weir_span_of_string(made->key);
    entry->workspace = key % 4 == 0 ? WEIR_SPAN("acme") : WEIR_SPAN("default");
#ifndef WITHOUT_SUMS
    entry->team = weir_span_of_string(made->team);
    entry->user = weir_span_of_string(made->user);
#endif
    entry->endpoint = WEIR_SPAN("chat.completions");
    entry->model = weir_span_of_string(made->model);
    entry->provider = made->model[6] % 3 == 0 ? WEIR_SPAN("openai") : WEIR_SPAN("azure");
    entry->upstream_model = entry->model;
    entry->price_version = WEIR_SPAN("2026-11-01");
    entry->client_address = WEIR_SPAN("203.0.113.9");
    entry->reserved_cu_milli = 900000;
    entry->cost_cu_milli = 100000 + (int64_t)(more % 50000);
    entry->usage = (struct weir_usage){.input = 812, .cached = 256, .output = 77};
    entry->revision = 3;
    entry->usage_source = WEIR_USAGE_PROVIDER;
    entry->status = 200;
    entry->first_byte_us = 210000;
    entry->attempt_count = 1;
    entry->attempts[0] = (struct weir_ledger_attempt){.provider = entry->provider,
                                                      .upstream_model = entry->model,
                                                      .upstream_request_id = weir_span_of_string(made->upstream),
                                                      .status = 200,
                                                      .start_us = 120,
                                                      .connected_us = 120,
                                                      .first_byte_us = 200000,
                                                      .end_us = 390000,
                                                      .reused_connection = true};
}

#ifndef WITHOUT_SUMS
static const struct weir_uuid instance = {{1}};

/* Budgets without end, so that they are of every entry. */
static void hold(struct weir_engine *engine, uint64_t keys, uint64_t held) {
    struct weir_error error = {.text = ""};
    must(ops->instance_begin(engine, &instance, 1, &error), &error);
    for (uint64_t i = 0; i < held; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "key_%016llu", (unsigned long long)(i % keys));
        struct weir_lease lease = {.counter = {.scope = WEIR_SCOPE_KEY,
                                               .id = weir_span_of_string(id),
                                               .unit = (enum weir_spend_unit)(i / keys % 3),
                                               .until_utc_us = INT64_MAX},
                                   .limit = INT64_MAX,
                                   .wanted = INT64_C(1) << 60};
        must(ops->lease(engine, &instance, &lease, 1, &error), &error);
    }
}
#endif

/* Microseconds of CPU an entry. */
static double fill(struct weir_engine *engine, uint64_t count, uint64_t keys, unsigned batch_size, double apart_us) {
    int64_t second = 0;
    struct weir_error error = {.text = ""};
    struct made *batch = calloc(batch_size, sizeof *batch);
    int64_t spent_ns = 0;
    if (batch == NULL)
        exit(1);
    for (uint64_t number = 0; number < count;) {
        unsigned size = 0;
        while (size < batch_size && number < count)
            make(&batch[size++], number++, apart_us, keys);
        int64_t began_ns = weir_clock_thread_cpu_ns();
        must(ops->ingest_begin(engine, &error), &error);
#ifndef WITHOUT_SUMS
        must(ops->ingest_from(engine, &instance, &error), &error);
#endif
        for (unsigned i = 0; i < size; i++)
            must(ops->ingest_entry(engine, &batch[i].entry, &error), &error);
        must(ops->ingest_commit(engine, &error), &error);
        /* Sums wait for a second, which here passes faster. */
        int64_t due_ns, now = (int64_t)((double)number * apart_us) / 1000000;
        if (now > second)
            must(ops->sums_write(engine, INT64_MAX, &due_ns, &error), &error);
        second = now;
        spent_ns += weir_clock_thread_cpu_ns() - began_ns;
    }
    free(batch);
    return (double)spent_ns / 1000 / (double)count;
}

#ifndef WITHOUT_SUMS
static enum weir_status count_row(void *context, const struct weir_usage_row *row) {
    (void)row;
    ++*(size_t *)context;
    return WEIR_OK;
}

static void report(struct weir_engine *engine, const char *what, struct weir_usage_query query) {
    struct weir_error error = {.text = ""};
    printf("{\"measure\":\"usage %s\",\"unit\":\"ms of CPU\",\"values\":[", what);
    size_t rows = 0;
    for (int i = 0; i < TIMES; i++) {
        rows = 0;
        int64_t began_ns = weir_clock_thread_cpu_ns();
        must(ops->usage_report(engine, &query, count_row, &rows, &error), &error);
        printf("%s%.2f", i > 0 ? "," : "", (double)(weir_clock_thread_cpu_ns() - began_ns) / 1e6);
    }
    printf("],\"rows\":%zu}\n", rows);
}

static void reports(struct weir_engine *engine) {
    const int64_t end = BEGIN_US + DAYS * DAY_US;
    report(engine, "by key, 90 days",
           (struct weir_usage_query){.from_utc_us = BEGIN_US, .until_utc_us = end, .by = WEIR_USAGE_BY_KEY});
    report(engine, "by team, model and day, 90 days",
           (struct weir_usage_query){.from_utc_us = BEGIN_US,
                                     .until_utc_us = end,
                                     .by = WEIR_USAGE_BY_TEAM | WEIR_USAGE_BY_MODEL | WEIR_USAGE_BY_DAY});
    report(engine, "by provider and hour, 7 days",
           (struct weir_usage_query){.from_utc_us = end - 7 * DAY_US,
                                     .until_utc_us = end,
                                     .by = WEIR_USAGE_BY_PROVIDER | WEIR_USAGE_BY_HOUR});
    struct weir_usage_query query = {.from_utc_us = BEGIN_US + DAY_US / 8,
                                     .until_utc_us = end - DAY_US / 8,
                                     .by = WEIR_USAGE_BY_MODEL | WEIR_USAGE_BY_DAY};
    query.only[0] = WEIR_SPAN("key_0000000000000003");
    report(engine, "of one key by model and day, 90 days but some hours", query);
}

static void leases(struct weir_engine *engine) {
    const struct {
        const char *what;
        int64_t from, until;
    } windows[] = {{"a day", BEGIN_US + 89 * DAY_US, BEGIN_US + 90 * DAY_US},
                   {"a month beginning at 22:00", BEGIN_US + 60 * DAY_US - 2 * 4 * WEIR_SPEND_BUCKET_US,
                    BEGIN_US + 90 * DAY_US - 2 * 4 * WEIR_SPEND_BUCKET_US},
                   {"all", 0, INT64_MAX}};
    for (size_t i = 0; i < 3; i++) {
        enum { ROUNDS = 2000 };
        struct weir_error error = {.text = ""};
        int64_t began_ns = weir_clock_thread_cpu_ns();
        for (int k = 0; k < ROUNDS; k++) {
            struct weir_lease lease = {.counter = {.scope = WEIR_SCOPE_KEY,
                                                   .id = WEIR_SPAN("key_0000000000000003"),
                                                   .from_utc_us = windows[i].from,
                                                   .until_utc_us = windows[i].until},
                                       .limit = INT64_MAX,
                                       .wanted = 100};
            must(ops->lease(engine, &instance, &lease, 1, &error), &error);
        }
        printf("{\"measure\":\"a slice of a budget over %s\",\"unit\":\"us\",\"values\":[%.2f]}\n", windows[i].what,
               (double)(weir_clock_thread_cpu_ns() - began_ns) / 1000 / ROUNDS);
    }
}
#endif

#ifndef WITHOUT_SUMS
/* Of a database that a release without sums has filled: how long its entries take to get into them. */
static void catch_up(struct weir_engine *engine) {
    struct weir_error error = {.text = ""};
    int64_t began_ns = weir_clock_thread_cpu_ns();
    bool more = true;
    while (more)
        must(ops->sums_step(engine, 200, &more, &error), &error);
    printf("{\"measure\":\"store thread for the sums of what was there\",\"unit\":\"s\",\"values\":[%.3f]}\n",
           (double)(weir_clock_thread_cpu_ns() - began_ns) / 1e9);
}
#endif

int main(int count, char **arguments) {
    if (count < 5)
        return 2;
    uint64_t entries = strtoull(arguments[2], NULL, 10), keys = strtoull(arguments[3], NULL, 10);
    unsigned batch = (unsigned)strtoul(arguments[4], NULL, 10);
    double a_second = count > 6 ? strtod(arguments[6], NULL) : 0,
           apart_us = a_second > 0 ? 1e6 / a_second : (double)(DAYS * DAY_US) / (double)entries;
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    must(weir_store_direct_open(arguments[1], "dev", true, &engine, &error), &error);
#ifndef WITHOUT_SUMS
    catch_up(engine);
    hold(engine, keys, count > 5 ? strtoull(arguments[5], NULL, 10) : 0);
#endif
    printf("{\"measure\":\"store thread an entry\",\"unit\":\"us\",\"values\":[%.3f]}\n",
           fill(engine, entries, keys, batch, apart_us));
    weir_store_direct_close(&engine);
#ifndef WITHOUT_SUMS
    must(weir_store_direct_open(arguments[1], "dev", false, &engine, &error), &error);
    reports(engine);
    leases(engine);
    weir_store_direct_close(&engine);
#endif
    return 0;
}
