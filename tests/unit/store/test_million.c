/* Usage reports with a million ledger entries behind them: exactly what was written, from the sums alone. */
#include "support.h"

enum { ENTRIES = 1000000, BATCH = 2000, DAYS = 31, KEYS = 200, MODELS = 6, PROVIDERS = 3 };
static const struct weir_engine_ops *const ops = &weir_engine_sqlite;
static const int64_t first_utc_us = INT64_C(1793491200) * 1000000, hour_us = INT64_C(3600) * 1000000;

static uint64_t mix(uint64_t value) {
    value = (value ^ value >> 31) * UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
    return value ^ value >> 32;
}

struct made {
    uint64_t key, model, provider;
    int64_t hour; /* of all hours of the time */
    char key_id[32], model_name[32], tags[32];
    struct weir_ledger_entry entry;
};

static void make(struct made *made, uint64_t number) {
    static const char *const providers[PROVIDERS] = {"openai", "azure", "anthropic"};
    uint64_t random = mix(number);
    memset(made, 0, sizeof *made);
    made->key = random % KEYS;
    made->model = (made->key + (random >> 20) % 2) % MODELS;
    made->provider = (made->model + ((random >> 30) % 64 == 0)) % PROVIDERS;
    made->hour = (int64_t)(number * DAYS * 24 / ENTRIES);
    (void)snprintf(made->key_id, sizeof made->key_id, "key_%04u", (unsigned)made->key);
    (void)snprintf(made->model_name, sizeof made->model_name, "model-%u", (unsigned)made->model);
    (void)snprintf(made->tags, sizeof made->tags, "feature=f%u,all=yes", (unsigned)(made->key % 10));
    struct weir_ledger_entry *entry = &made->entry;
    memcpy(entry->request_id.bytes, &number, sizeof number);
    memcpy(entry->request_id.bytes + 8, &random, sizeof random);
    entry->start_utc_us = first_utc_us + made->hour * hour_us + (int64_t)(random % 3600000000);
    entry->end_utc_us = entry->start_utc_us + 1000;
    entry->key_id = weir_span_of_string(made->key_id);
    entry->workspace = WEIR_SPAN("default");
    entry->endpoint = WEIR_SPAN("chat.completions");
    entry->model = entry->upstream_model = weir_span_of_string(made->model_name);
    entry->provider = weir_span_of_string(providers[made->provider]);
    entry->tags = number % 10 == 0 ? weir_span_of_string(made->tags) : WEIR_SPAN("");
    entry->outcome = (uint8_t)((random >> 40) % 16 == 0 ? WEIR_OUTCOME_ERROR + (random >> 50) % 3 : WEIR_OUTCOME_OK);
    entry->usage_source = (uint8_t)((random >> 44) % (WEIR_USAGE_COUNTED + 1));
    entry->unpriced = (random >> 47) % 32 == 0;
    entry->usage = (struct weir_usage){.input = (int64_t)(random >> 10) % 5000,
                                       .cached = (int64_t)(random >> 12) % 100,
                                       .cache_write = (int64_t)(random >> 14) % 10,
                                       .output = (int64_t)(random >> 16) % 900,
                                       .reasoning = (int64_t)(random >> 18) % 50};
    entry->cost_cu_milli = (int64_t)(random >> 8) % 1000003;
    entry->overrun_cu_milli = (random >> 35) % 100 == 0 ? (int64_t)(random >> 9) % 77 : 0;
    entry->reserved_cu_milli = entry->cost_cu_milli + 13;
}

/* What reports must come to. */
struct expected {
    struct weir_usage_sums all, day[DAYS], key[KEYS], key_model_day[KEYS][MODELS][DAYS], provider_hours[PROVIDERS],
        tag_all;
};

static void add(struct weir_usage_sums *sums, const struct weir_ledger_entry *entry) {
    uint8_t source = entry->usage_source;
    sums->requests++;
    sums->errors += entry->outcome == WEIR_OUTCOME_ERROR;
    sums->aborted += entry->outcome == WEIR_OUTCOME_ABORTED;
    sums->crashed += entry->outcome == WEIR_OUTCOME_CRASHED;
    sums->unpriced += entry->unpriced;
    sums->estimated += source == WEIR_USAGE_ESTIMATED || source == WEIR_USAGE_ABORTED || source == WEIR_USAGE_RESERVED;
    sums->input += entry->usage.input;
    sums->cached += entry->usage.cached;
    sums->cache_write += entry->usage.cache_write;
    sums->output += entry->usage.output;
    sums->reasoning += entry->usage.reasoning;
    sums->cost_cu_milli += entry->cost_cu_milli;
    sums->overrun_cu_milli += entry->overrun_cu_milli;
    sums->reserved_cu_milli += entry->reserved_cu_milli;
}

enum { FIRST_HOUR = 5, LAST_HOUR = DAYS * 24 - 7 };

static void expect(struct expected *expected, const struct made *made) {
    int64_t day = made->hour / 24;
    add(&expected->all, &made->entry);
    add(&expected->day[day], &made->entry);
    add(&expected->key[made->key], &made->entry);
    add(&expected->key_model_day[made->key][made->model][day], &made->entry);
    if (made->hour >= FIRST_HOUR && made->hour < LAST_HOUR)
        add(&expected->provider_hours[made->provider], &made->entry);
    if (made->entry.tags.length > 0)
        add(&expected->tag_all, &made->entry);
}

static void fill(struct weir_engine *engine, struct expected *expected) {
    struct weir_error error = {.text = ""};
    struct made made;
    for (uint64_t number = 0; number < ENTRIES;) {
        assert_int_equal(ops->ingest_begin(engine, &error), WEIR_OK);
        for (unsigned i = 0; i < BATCH && number < ENTRIES; i++) {
            make(&made, number++);
            expect(expected, &made);
            assert_int_equal(ops->ingest_entry(engine, &made.entry, &error), WEIR_OK);
        }
        assert_int_equal(ops->ingest_commit(engine, &error), WEIR_OK);
    }
}

/* --- reports --- */

struct checking {
    const struct expected *expected;
    size_t rows;
    int64_t requests;
};

static unsigned number_in(struct weir_span text) {
    while (text.length > 0 && (text.at[0] < '0' || text.at[0] > '9'))
        text = weir_span_from(text, 1);
    uint64_t value = 0;
    assert_int_equal(weir_span_to_uint64(text, &value), WEIR_OK);
    return (unsigned)value;
}

static void assert_sums(struct checking *checking, const struct weir_usage_row *row,
                        const struct weir_usage_sums *sums) {
    assert_memory_equal(&row->sums, sums, sizeof *sums);
    checking->rows++;
    checking->requests += row->sums.requests;
}

static unsigned day_of(const struct weir_usage_row *row) {
    return (unsigned)((row->from_utc_us - first_utc_us) / (24 * hour_us));
}

static enum weir_status check_all(void *context, const struct weir_usage_row *row) {
    struct checking *checking = context;
    assert_sums(checking, row, &checking->expected->all);
    return WEIR_OK;
}
static enum weir_status check_day(void *context, const struct weir_usage_row *row) {
    struct checking *checking = context;
    assert_int_equal(day_of(row), checking->rows); /* in order */
    assert_sums(checking, row, &checking->expected->day[day_of(row)]);
    return WEIR_OK;
}
static enum weir_status check_key(void *context, const struct weir_usage_row *row) {
    struct checking *checking = context;
    assert_sums(checking, row, &checking->expected->key[number_in(row->by[0])]);
    return WEIR_OK;
}
static enum weir_status check_key_model_day(void *context, const struct weir_usage_row *row) {
    struct checking *checking = context;
    assert_sums(checking, row,
                &checking->expected->key_model_day[number_in(row->by[0])][number_in(row->by[5])][day_of(row)]);
    return WEIR_OK;
}
static enum weir_status check_provider(void *context, const struct weir_usage_row *row) {
    struct checking *checking = context;
    size_t provider = weir_span_equal(row->by[4], WEIR_SPAN("openai"))  ? 0
                      : weir_span_equal(row->by[4], WEIR_SPAN("azure")) ? 1
                                                                        : 2;
    assert_sums(checking, row, &checking->expected->provider_hours[provider]);
    return WEIR_OK;
}
static enum weir_status check_tag(void *context, const struct weir_usage_row *row) {
    struct checking *checking = context;
    if (weir_span_equal(row->by[8], WEIR_SPAN("all=yes")))
        assert_sums(checking, row, &checking->expected->tag_all);
    return WEIR_OK;
}

static enum weir_status check_plan(void *context, struct weir_span line) {
    char text[256];
    assert_true(line.length < sizeof text);
    memcpy(text, line.at, line.length);
    text[line.length] = '\0';
    if (strstr(text, "usage_of") == NULL && strncmp(text, "SEARCH usage_", 13) != 0)
        fail_msg("the plan says '%s'", text);
    assert_null(strstr(text, "ledger"));
    ++*(size_t *)context;
    return WEIR_OK;
}

static void reports_of_a_million_entries(void **state) {
    (void)state;
    char directory[SCRATCH_SIZE];
    struct weir_engine *engine = NULL;
    struct weir_error error = {.text = ""};
    struct expected *expected = test_calloc(1, sizeof *expected);
    scratch_make(directory);
    assert_int_equal(weir_store_direct_open(directory, "dev", true, &engine, &error), WEIR_OK);
    fill(engine, expected);
    weir_store_direct_close(&engine);
    assert_int_equal(weir_store_direct_open(directory, "dev", false, &engine, &error), WEIR_OK);
#define MONTH .from_utc_us = first_utc_us, .until_utc_us = first_utc_us + DAYS * 24 * hour_us, .limit = ENTRIES
    int64_t within = expected->provider_hours[0].requests + expected->provider_hours[1].requests +
                     expected->provider_hours[2].requests;
    const struct {
        struct weir_usage_query query;
        weir_usage_visit visit;
        size_t rows; /* 0: not known beforehand */
        int64_t requests;
    } reports[] = {
        {{MONTH}, check_all, 1, ENTRIES},
        {{MONTH, .by = WEIR_USAGE_BY_DAY}, check_day, DAYS, ENTRIES},
        {{MONTH, .by = WEIR_USAGE_BY_KEY}, check_key, KEYS, ENTRIES},
        {{MONTH, .by = WEIR_USAGE_BY_KEY | WEIR_USAGE_BY_MODEL | WEIR_USAGE_BY_DAY}, check_key_model_day, 0, ENTRIES},
        {{MONTH, .by = WEIR_USAGE_BY_TAG}, check_tag, 1, expected->tag_all.requests},
        {{.from_utc_us = first_utc_us + FIRST_HOUR * hour_us,
          .until_utc_us = first_utc_us + LAST_HOUR * hour_us,
          .by = WEIR_USAGE_BY_PROVIDER},
         check_provider,
         PROVIDERS,
         within},
    };
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        struct checking checking = {.expected = expected};
        size_t lines = 0;
        assert_int_equal(ops->usage_report(engine, &reports[i].query, reports[i].visit, &checking, &error), WEIR_OK);
        assert_int_equal(checking.requests, reports[i].requests);
        if (reports[i].rows > 0)
            assert_int_equal(checking.rows, reports[i].rows);
        assert_int_equal(ops->usage_plan(engine, &reports[i].query, check_plan, &lines, &error), WEIR_OK);
        assert_true(lines >= 2);
    }
    weir_store_direct_close(&engine);
    scratch_remove(directory);
    test_free(expected);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reports_of_a_million_entries)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
