/* How long usage reports take with very many ledger entries behind them, and what the sums cost: fills a database through the engine as the store's thread
 * does, a month of traffic, then reports on a connection of its own each time. One line of JSON a figure: {"measure":…,"unit":…,"values":[…]}.
 *
 *   usage DIRECTORY COUNT [KEYS]
 *
 * A tenth of the keys does about a third of the traffic, each key with few models; a model has one provider, and another one now and then. How many rows of
 * sums that makes is what a report's time depends on. */
#include "base/clock.h"
#include "base/reasons.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 2000 /* unless told */, BATCH = 1000, TIMES = 25, DAYS = 30, MODELS = 12 };
static const int64_t first_utc_us = INT64_C(1793491200) * 1000000; /* 2026-11-01 */
static const int64_t hour_us = INT64_C(3600) * 1000000;
static const struct weir_engine_ops *const ops = &weir_engine_sqlite;

static void must(enum weir_status status, const struct weir_error *error) {
    if (status != WEIR_OK) {
        fprintf(stderr, "usage: %s: %s\n", weir_status_name(status), error->text);
        exit(1);
    }
}

static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    return value ^ value >> 32;
}

struct made {
    char key[32], model[32], tags[64], team[32], user[32];
    struct weir_ledger_entry entry;
};

/* A number below `end`: every other time one of all, else one of the first half, and so on down to the first eight. */
static uint64_t skewed(uint64_t random, uint64_t end) {
    uint64_t part = end;
    while (part > 8 && (random & 1) == 0) {
        part -= part / 2;
        random >>= 1;
    }
    return (random >> 20) % part;
}

static void make(struct made *made, uint64_t number, uint64_t count, uint64_t keys) {
    static const char *const workspaces[] = {"default", "acme", "globex", "initech"};
    static const char *const providers[] = {"openai", "azure", "anthropic"};
    uint64_t random = mix(number), key = skewed(random, keys), model = (mix(key) + (random >> 50) % 3) % MODELS;
    memset(made, 0, sizeof *made);
    (void)snprintf(made->key, sizeof made->key, "key_%016llu", (unsigned long long)key);
    (void)snprintf(made->model, sizeof made->model, "model-%llu", (unsigned long long)model);
    (void)snprintf(made->team, sizeof made->team, "team-%llu", (unsigned long long)(key % 50));
    (void)snprintf(made->user, sizeof made->user, "user-%llu", (unsigned long long)(key / 4));
    (void)snprintf(made->tags, sizeof made->tags, "feature=f%llu,stage=%s", (unsigned long long)(random >> 30) % 20,
                   (random >> 41) % 4 == 0 ? "test" : "live");
    struct weir_ledger_entry *entry = &made->entry;
    bool failed = random % 50 == 0;
    entry->start_utc_us = first_utc_us + (int64_t)((__uint128_t)number * (uint64_t)(DAYS * 24 * hour_us) / count);
    entry->end_utc_us = entry->start_utc_us + 400000;
    uint64_t start_ms = (uint64_t)entry->start_utc_us / 1000;
    for (size_t i = 0; i < 6; i++)
        entry->request_id.bytes[i] = (unsigned char)(start_ms >> (40 - 8 * i));
    memcpy(entry->request_id.bytes + 8, &random, 8);
    entry->key_id = weir_span_of_string(made->key);
    entry->team = weir_span_of_string(made->team);
    entry->user = weir_span_of_string(made->user);
    entry->workspace = weir_span_of_string(workspaces[key % 4]);
    entry->endpoint = key % 20 == 0 ? WEIR_SPAN("embeddings") : WEIR_SPAN("chat.completions");
    entry->model = weir_span_of_string(made->model);
    entry->provider = weir_span_of_string(providers[(model + (random % 100 == 1)) % 3]);
    entry->upstream_model = entry->model;
    entry->price_version = WEIR_SPAN("2026-11-01");
    entry->tags = number % 4 == 0 ? weir_span_of_string(made->tags) : WEIR_SPAN("");
    entry->client_address = WEIR_SPAN("203.0.113.9");
    entry->reserved_cu_milli = 900000;
    entry->cost_cu_milli = failed ? 0 : 123456 + (int64_t)(random % 1000);
    entry->usage = (struct weir_usage){.input = failed ? 0 : 812,
                                       .cached = failed ? 0 : 200,
                                       .output = failed ? 0 : 77};
    entry->revision = 3;
    entry->usage_source = failed ? WEIR_USAGE_NONE : WEIR_USAGE_PROVIDER;
    entry->outcome = failed ? WEIR_OUTCOME_ERROR : WEIR_OUTCOME_OK;
    entry->reason = failed ? WEIR_REASON_UPSTREAM_ERROR : 0;
    entry->status = failed ? 502 : 200;
    entry->stage = failed ? WEIR_STAGE_SENT : WEIR_STAGE_ANSWERED;
    entry->attempt_count = 1;
    entry->attempts[0] = (struct weir_ledger_attempt){.provider = entry->provider,
                                                      .upstream_model = entry->model,
                                                      .status = entry->status,
                                                      .end_us = 390000};
}

/* Microseconds of CPU an entry; gives what the ledger's costs come to. */
static double fill(struct weir_engine *engine, uint64_t count, uint64_t keys, int64_t *cost_cu_milli) {
    struct weir_error error = {.text = ""};
    struct made *batch = calloc(BATCH, sizeof *batch);
    int64_t spent_ns = 0;
    if (batch == NULL)
        exit(1);
    for (uint64_t number = 0; number < count;) {
        unsigned size = 0;
        while (size < BATCH && number < count) {
            make(&batch[size], number++, count, keys);
            *cost_cu_milli += batch[size++].entry.cost_cu_milli;
        }
        int64_t began_ns = weir_clock_thread_cpu_ns();
        must(ops->ingest_begin(engine, &error), &error);
        for (unsigned i = 0; i < size; i++)
            must(ops->ingest_entry(engine, &batch[i].entry, &error), &error);
        must(ops->ingest_commit(engine, &error), &error);
        spent_ns += weir_clock_thread_cpu_ns() - began_ns;
    }
    free(batch);
    return (double)spent_ns / 1000 / (double)count;
}

static void print(const char *measure, const char *unit, const double *values, size_t count) {
    printf("{\"measure\":\"%s\",\"unit\":\"%s\",\"values\":[", measure, unit);
    for (size_t i = 0; i < count; i++)
        printf("%s%.4f", i > 0 ? "," : "", values[i]);
    printf("]}\n");
}

struct counted {
    size_t rows;
    int64_t requests, cost_cu_milli;
};

static enum weir_status count_one(void *context, const struct weir_usage_row *row) {
    struct counted *counted = context;
    counted->rows++;
    counted->requests += row->sums.requests;
    counted->cost_cu_milli += row->sums.cost_cu_milli;
    return WEIR_OK;
}

static enum weir_status print_plan(void *context, struct weir_span line) {
    (void)context;
    fprintf(stderr, "usage: plan: %.*s\n", WEIR_SPAN_PRINT(line));
    return WEIR_OK;
}

struct subject {
    const char *measure;
    struct weir_usage_query query;
    bool whole; /* of all that was written: the sums must come to it */
};

static void time_report(const char *directory, const struct subject *subject, uint64_t count, int64_t cost_cu_milli) {
    struct weir_error error = {.text = ""};
    double values[TIMES], cpu[TIMES];
    char words[128];
    struct counted counted = {.rows = 0};
    for (unsigned i = 0; i < TIMES; i++) {
        struct weir_engine *engine = NULL;
        counted = (struct counted){.rows = 0};
        must(weir_store_direct_open(directory, "dev", false, &engine, &error), &error);
        int64_t began_ns = weir_clock_monotonic_ns(), began_cpu_ns = weir_clock_thread_cpu_ns();
        must(ops->usage_report(engine, &subject->query, count_one, &counted, &error), &error);
        cpu[i] = (double)(weir_clock_thread_cpu_ns() - began_cpu_ns) / 1e6;
        values[i] = (double)(weir_clock_monotonic_ns() - began_ns) / 1e6;
        if (i == 0)
            must(ops->usage_plan(engine, &subject->query, print_plan, NULL, &error), &error);
        weir_store_direct_close(&engine);
        if (subject->whole && (counted.requests != (int64_t)count || counted.cost_cu_milli != cost_cu_milli)) {
            fprintf(stderr, "usage: %s: the sums are not those of the ledger\n", subject->measure);
            exit(1);
        }
    }
    (void)snprintf(words, sizeof words, "%s (%zu rows)", subject->measure, counted.rows);
    print(words, "ms", values, TIMES);
    print(words, "ms of CPU", cpu, TIMES);
}

int main(int argc, char **argv) {
    uint64_t count = argc == 3 || argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
    uint64_t keys = argc == 4 ? strtoull(argv[3], NULL, 10) : KEYS;
    struct weir_engine *engine = NULL;
    struct weir_error error = {.text = ""};
    int64_t cost_cu_milli = 0, last = first_utc_us + DAYS * 24 * hour_us, day = first_utc_us + 12 * 24 * hour_us;
    if (count < BATCH || keys == 0) {
        fprintf(stderr, "usage: usage DIRECTORY COUNT [KEYS]\n");
        return 2;
    }
    must(weir_store_direct_open(argv[1], "dev", true, &engine, &error), &error);
    double spent = fill(engine, count, keys, &cost_cu_milli);
    weir_store_direct_close(&engine);
    print("an entry with its sums: CPU of the store's thread", "µs", &spent, 1);
#define MONTH .from_utc_us = first_utc_us, .until_utc_us = last, .limit = 10000000
    const struct subject subjects[] = {
        {"the month in one row", {MONTH}, true},
        {"by day", {MONTH, .by = WEIR_USAGE_BY_DAY}, true},
        {"by model and day", {MONTH, .by = WEIR_USAGE_BY_MODEL | WEIR_USAGE_BY_DAY}, true},
        {"by key", {MONTH, .by = WEIR_USAGE_BY_KEY}, true},
        {"by key, model and day", {MONTH, .by = WEIR_USAGE_BY_KEY | WEIR_USAGE_BY_MODEL | WEIR_USAGE_BY_DAY}, true},
        {"one key by day", {MONTH, .by = WEIR_USAGE_BY_DAY, .only = {[0] = WEIR_SPAN("key_0000000000000017")}}, false},
        {"one workspace by user", {MONTH, .by = WEIR_USAGE_BY_USER, .only = {[3] = WEIR_SPAN("acme")}}, false},
        {"by tag", {MONTH, .by = WEIR_USAGE_BY_TAG}, false},
        {"a day by hour and model",
         {.from_utc_us = day, .until_utc_us = day + 24 * hour_us, .by = WEIR_USAGE_BY_HOUR | WEIR_USAGE_BY_MODEL},
         false},
        {"the month but for its first and last hour, by model",
         {.from_utc_us = first_utc_us + hour_us, .until_utc_us = last - hour_us, .by = WEIR_USAGE_BY_MODEL},
         false},
    };
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++)
        time_report(argv[1], &subjects[i], count, cost_cu_milli);
    return 0;
}
