/* Providers' exports: what each known shape gives, what a wrong file is told, and how both sides are compared. */
#include "meter/reconcile_impl.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { NOVEMBER = 20758 /* 2026-11-01 */, SECOND_OF_NOVEMBER = NOVEMBER + 1 };

static struct weir_arena *arena;
static int make_arena(void **state) {
    (void)state;
    arena = weir_arena_new(0, 64 * WEIR_MIB);
    return arena == NULL;
}
static int free_arena(void **state) {
    (void)state;
    weir_arena_free(&arena);
    return 0;
}

static struct weir_export read_good(const char *text) {
    struct weir_export export = {.count = 0};
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_export_read(arena, weir_span_of_string(text), WEIR_EXPORT_AUTO, NULL, &export,
                                               &error);
    if (status != WEIR_OK)
        print_error("%s\n", error.text);
    assert_int_equal(status, WEIR_OK);
    return export;
}

static void assert_refused(const char *text, enum weir_export_format format, const char *words) {
    struct weir_export export;
    struct weir_error error = {.text = ""};
    assert_int_not_equal(weir_export_read(arena, weir_span_of_string(text), format, NULL, &export, &error), WEIR_OK);
    if (strstr(error.text, words) == NULL)
        print_error("'%s' is not in '%s'\n", words, error.text);
    assert_non_null(strstr(error.text, words));
}

static void assert_row(const struct weir_export *export, size_t index, int64_t day, const char *model, int64_t requests,
                       int64_t input, int64_t cached, int64_t output, int64_t cost) {
    assert_true(index < export->count);
    const struct weir_export_row *row = &export->rows[index];
    assert_int_equal(row->day, day);
    assert_int_equal(row->model.length, strlen(model));
    assert_memory_equal(row->model.at, model, row->model.length);
    assert_int_equal(row->figures.requests, requests);
    assert_int_equal(row->figures.input, input);
    assert_int_equal(row->figures.cached, cached);
    assert_int_equal(row->figures.output, output);
    assert_int_equal(row->figures.cost_cu_milli, cost);
}

/* --- the shapes --- */

static void openai_usage_csv(void **state) {
    (void)state;
    struct weir_export export = read_good(
        "\xEF\xBB\xBFstart_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,batch,"
        "input_tokens,output_tokens,input_cached_tokens\r\n"
        "1793491200,1793494800,2026-11-01T00:00:00+00:00,,proj_a,3,gpt-5-2026-08-07,,1000,50,400\r\n"
        "1793494800,1793498400,2026-11-01T01:00:00+00:00,,proj_b,1,gpt-5-2026-08-07,,10,5,0\r\n"
        "1793494800,1793498400,2026-11-01T01:00:00+00:00,,proj_b,2,\"gpt-5, mini\",,7,8,\r\n"
        "1793577600,1793664000,,,,,,,,,\r\n");
    assert_int_equal(export.format, WEIR_EXPORT_OPENAI);
    assert_int_equal(export.figures,
                     WEIR_EXPORT_REQUESTS | WEIR_EXPORT_INPUT | WEIR_EXPORT_CACHED | WEIR_EXPORT_OUTPUT);
    assert_int_equal(export.first_day, NOVEMBER);
    assert_int_equal(export.last_day, SECOND_OF_NOVEMBER); /* told of, and nothing used */
    assert_true(export.names_models);
    assert_int_equal(export.count, 2);
    assert_row(&export, 0, NOVEMBER, "gpt-5, mini", 2, 7, 0, 8, 0);
    assert_row(&export, 1, NOVEMBER, "gpt-5-2026-08-07", 4, 1010, 400, 55, 0);
}

static void openai_costs_csv(void **state) {
    (void)state;
    struct weir_export export = read_good(
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,line_item\n"
        "1793491200,,,,0.003835980000000000000000000000,usd,,\"gpt-5-nano, input_tokens\"\n"
        "1793491200,,,,0.0000000004,USD,,\"gpt-5-nano, output_tokens\"\n"
        "1793491200,,,,0.0000000001,usd,,\"gpt-5-nano, cached\"\n"
        "1793491200,,,,-1.5,usd,,credit\n"
        "1793577600,,,,,,,\n");
    assert_int_equal(export.figures, WEIR_EXPORT_COST);
    assert_int_equal(export.count, 2);
    assert_row(&export, 0, NOVEMBER, "credit", 0, 0, 0, 0, -1500000000);
    /* 3835980 milli-CU and half of one: rounded once, and not three times */
    assert_row(&export, 1, NOVEMBER, "gpt-5-nano", 0, 0, 0, 0, 3835981);
}

static void openai_json(void **state) {
    (void)state;
    struct weir_export usage = read_good(
        "{\"object\":\"page\",\"data\":[{\"object\":\"bucket\",\"start_time\":1793491200,\"end_time\":1793577600,\"results\":"
        "[{\"object\":\"organization.usage.completions.result\",\"input_tokens\":1000,\"output_tokens\":500,"
        "\"input_cached_tokens\":800,\"num_model_requests\":5,\"model\":\"gpt-5\",\"batch\":null}]},"
        "{\"object\":\"bucket\",\"start_time\":1793577600,\"end_time\":1793664000,\"results\":[]}],\"has_more\":true}");
    assert_true(usage.incomplete);
    assert_int_equal(usage.last_day, SECOND_OF_NOVEMBER);
    assert_int_equal(usage.count, 1);
    assert_row(&usage, 0, NOVEMBER, "gpt-5", 5, 1000, 800, 500, 0);
    struct weir_export costs = read_good(
        "[{\"data\":[{\"start_time\":1793491200,\"results\":[{\"amount\":{\"value\":0.06,\"currency\":\"usd\"},\"line_item\":null},"
        "{\"amount\":{\"value\":1.2e-05,\"currency\":\"usd\"}}]}],\"has_more\":true},"
        "{\"data\":[{\"start_time\":1793577600,\"result\":[{\"amount\":{\"value\":\"2\",\"currency\":\"usd\"}}]}],\"has_more\":false}]");
    assert_false(costs.incomplete);
    assert_false(costs.names_models);
    assert_int_equal(costs.count, 2);
    assert_row(&costs, 0, NOVEMBER, "", 0, 0, 0, 0, 60012000);
    assert_row(&costs, 1, SECOND_OF_NOVEMBER, "", 0, 0, 0, 0, 2000000000);
}

static void anthropic_csv(void **state) {
    (void)state;
    struct weir_export usage = read_good(
        "Usage Date UTC;Model Version;API Key;usage_output_tokens;usage_input_tokens_no_cache;usage_input_tokens_cache_write_5m;"
        "usage_input_tokens_cache_write_1h;usage_input_tokens_cache_read\n"
        "2026-11-01;claude-opus-4-1-20250805;\"Prod; \"\"main\"\"\";7;100;20;3;1000\n"
        "\n"
        "2026-11-02;claude-opus-4-1-20250805;x;1;2;0;0;0");
    assert_int_equal(usage.format, WEIR_EXPORT_ANTHROPIC);
    assert_int_equal(usage.count, 2);
    assert_row(&usage, 0, NOVEMBER, "claude-opus-4-1-20250805", 0, 1123, 1000, 7, 0);
    assert_row(&usage, 1, SECOND_OF_NOVEMBER, "claude-opus-4-1-20250805", 0, 2, 0, 1, 0);
    struct weir_export costs = read_good("usage_date_utc,model,workspace,token_type,cost_usd,list_price_usd\n"
                                         "2026-11-01,Claude Haiku 4.5,Default,input_no_cache,0.05,9\n"
                                         "2026-11-01,Claude Haiku 4.5,Default,output,0.02,9\n");
    assert_int_equal(costs.count, 1);
    assert_row(&costs, 0, NOVEMBER, "Claude Haiku 4.5", 0, 0, 0, 0, 70000000);
}

static void anthropic_json(void **state) {
    (void)state;
    struct weir_export usage = read_good(
        "{\"data\":[{\"starting_at\":\"2026-11-01T00:00:00Z\",\"ending_at\":\"2026-11-02T00:00:00Z\",\"results\":["
        "{\"uncached_input_tokens\":1500,\"cache_creation\":{\"ephemeral_1h_input_tokens\":1000,\"ephemeral_5m_input_tokens\":500},"
        "\"cache_read_input_tokens\":200,\"output_tokens\":500,\"model\":\"claude-opus-4-1\"}]}],\"has_more\":false,\"next_page\":null}");
    assert_int_equal(usage.figures, WEIR_EXPORT_INPUT | WEIR_EXPORT_CACHED | WEIR_EXPORT_OUTPUT);
    assert_row(&usage, 0, NOVEMBER, "claude-opus-4-1", 0, 3200, 200, 500, 0);
    struct weir_export costs = read_good(
        "{\"data\":[{\"starting_at\":\"2026-11-01T00:00:00Z\",\"results\":[{\"currency\":\"USD\",\"amount\":\"123.78912\","
        "\"model\":\"claude-opus-4-1\"},{\"currency\":\"USD\",\"amount\":\"0.5\",\"model\":null}]}]}");
    assert_int_equal(costs.count, 2);
    assert_row(&costs, 0, NOVEMBER, "", 0, 0, 0, 0, 5000000);
    assert_row(&costs, 1, NOVEMBER, "claude-opus-4-1", 0, 0, 0, 0, 1237891200); /* cents */
}

static void days_are_of_the_zone(void **state) {
    (void)state;
    struct weir_zones *zones = NULL;
    const struct weir_zone *zone = NULL;
    struct weir_export export;
    struct weir_error error = {.text = ""};
    assert_int_equal(weir_zones_new(NULL, &zones), WEIR_OK);
    assert_int_equal(weir_zone_find(zones, WEIR_SPAN("Europe/Berlin"), &zone, &error), WEIR_OK);
    /* 23:00 UTC of 31 October is 2026-11-01 in Berlin; a date alone is that date */
    assert_int_equal(weir_export_read(arena,
                                      WEIR_SPAN("start_time,model,input_tokens\n1793487600,a,1\n2026-11-01,b,1\n"
                                                "1793487599,a,5\n"),
                                      WEIR_EXPORT_AUTO, zone, &export, &error),
                     WEIR_OK);
    assert_int_equal(export.count, 3);
    assert_row(&export, 0, NOVEMBER - 1, "a", 0, 5, 0, 0, 0);
    assert_row(&export, 1, NOVEMBER, "a", 0, 1, 0, 0, 0);
    assert_row(&export, 2, NOVEMBER, "b", 0, 1, 0, 0, 0);
    assert_int_equal(weir_export_day_begins(zone, NOVEMBER), INT64_C(1793487600) * 1000000);
    /* the day of the change back to winter time begins in summer time, and has 25 hours */
    int64_t change = weir_export_day_begins(zone, NOVEMBER - 7);
    assert_int_equal(weir_export_day_begins(zone, NOVEMBER - 6) - change, INT64_C(25) * 3600 * 1000000);
    weir_zones_free(&zones);
}

/* --- what is refused --- */

static void wrong_files_are_told_where(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "empty"},
        {"\r\n\r\n", "empty"},
        {"a,b\n1,2\n", "no export that is known"},
        {"start_time,model,input_tokens\n1793491200,m,12a\n",
         "line 2, column 14 (input_tokens): expected a whole number, got '12a'"},
        {"start_time,model,input_tokens\n1793491200,m,1.0\n", "line 2, column 14"},
        {"start_time,model,input_tokens\n1793491200,m,-1\n", "whole number"},
        {"start_time,model,input_tokens\n1793491200,m,99999999999999999999\n", "whole number"},
        {"start_time,model,input_tokens\n\n\nyesterday,m,1\n",
         "line 4, column 1 (start_time): expected a date or a time"},
        {"start_time,model,input_tokens\n1793491200,m\n", "line 2: it has 2 fields, and the header has 3"},
        {"start_time,model,model\n1,2,3\n", "line 1, column 18: the header has this column twice"},
        {"start_time,model\n1793491200,\"m\n\n", "line 2, column 12: the quote that begins here does not end"},
        {"start_time,model\n1793491200,\"m\"x\n", "line 2, column 15: expected a separator"},
        {"start_time,model\n1793491200,m\"x\"\n", "line 2, column 13: a quote inside a field"},
        {"start_time,amount_value,amount_currency\n1793491200,1,eur\n", "(amount_currency): expected usd, got 'eur'"},
        {"start_time,amount_value\n1793491200,$1\n", "expected an amount like 12.345, got '$1'"},
        {"start_time,amount_value\n1793491200,1e12\n", "expected an amount"},
        {"start_time,input_tokens\n1,1\n1793491200,1\n", "line 3: the days of the file are more than a year apart"},
        {"start_time,model,input_tokens\n", "no day"},
        {"{\"data\":[", "line 1, column 10"},
        {"{\"data\":[\n{\"start_time\":\"x\",\"results\":[]}]}",
         "line 2, column 15: start_time: expected seconds since 1970"},
        {"{\"data\":[{\"results\":[]}]}", "expected a bucket"},
        {"{\"data\":[{\"start_time\":1,\"results\":[]},{\"starting_at\":\"1970-01-01\",\"results\":[]}]}",
         "starting_at is of Anthropic's"},
        {"{\"data\":[{\"start_time\":1,\"results\":[{\"input_tokens\":1.5}]}]}",
         "input_tokens: expected a whole number, got 1.5"},
        {"{\"data\":[{\"start_time\":1,\"results\":[{\"input_tokens\":1,\"input_tokens\":2}]}]}", "duplicate"},
        {"{\"data\":[{\"start_time\":1,\"results\":[{\"amount\":5}]}]}", "expected an amount"},
        {"{\"data\":[{\"starting_at\":\"1970-01-01\",\"results\":[{\"amount\":\"5\",\"currency\":\"EUR\"}]}]}",
         "currency: expected \"usd\", got \"EUR\""},
        {"[1]", "expected a page"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(rows[i].text, WEIR_EXPORT_AUTO, rows[i].words);
    assert_refused("start_time,input_tokens\n1,1\n", WEIR_EXPORT_ANTHROPIC, "no export that is known");
    assert_refused("{\"data\":[{\"start_time\":1,\"results\":[]}]}", WEIR_EXPORT_ANTHROPIC, "not of Anthropic's");
}

static void there_are_limits(void **state) {
    (void)state;
    struct weir_buffer text;
    struct weir_export export;
    struct weir_error error = {.text = ""};
    weir_buffer_init(&text, 32 * WEIR_MIB);
    weir_buffer_append(&text, WEIR_SPAN("start_time,model,input_tokens\n"));
    for (unsigned i = 0; i < WEIR_EXPORT_MAX_ROWS; i++)
        weir_buffer_append(&text, WEIR_SPAN("1793491200,m,1\n"));
    assert_int_equal(weir_export_read(arena, weir_buffer_span(&text), WEIR_EXPORT_AUTO, NULL, &export, &error),
                     WEIR_OK);
    assert_int_equal(export.count, 1);
    assert_int_equal(export.rows[0].figures.input, WEIR_EXPORT_MAX_ROWS);
    weir_buffer_append(&text, WEIR_SPAN("1793491200,m,1\n"));
    assert_int_equal(weir_export_read(arena, weir_buffer_span(&text), WEIR_EXPORT_AUTO, NULL, &export, &error),
                     WEIR_ELIMIT);
    assert_string_equal(error.text, "line 200002: more than 200000 rows");
    while (text.length <= WEIR_EXPORT_MAX_BYTES)
        weir_buffer_append(&text, WEIR_SPAN("                                                                \n"));
    assert_int_equal(weir_export_read(arena, weir_buffer_span(&text), WEIR_EXPORT_AUTO, NULL, &export, &error),
                     WEIR_ELIMIT);
    weir_buffer_release(&text);
}

static void amounts_are_exact(void **state) {
    (void)state;
    const meter__wide unit = (meter__wide)1000000000000 * 1000000000000; /* one USD */
    meter__wide amount = 0;
    assert_int_equal(meter__amount(WEIR_SPAN("0.1"), 0, &amount), WEIR_OK);
    assert_true(amount * 10 == unit);
    assert_int_equal(meter__amount(WEIR_SPAN("1.2345678901234567e-05"), 0, &amount), WEIR_OK);
    assert_true(amount == (meter__wide)12345678901234567 * 1000);
    assert_int_equal(meter__amount(WEIR_SPAN("999999999999.999999999999999999999999"), 0, &amount), WEIR_OK);
    assert_true(amount == unit * 1000000000000 - 1);
    assert_int_equal(meter__amount(WEIR_SPAN("0.0000000000000000000000019"), 0, &amount), WEIR_OK);
    assert_true(amount == 1); /* what lies behind the 24th place is left out */
    assert_int_equal(meter__amount(WEIR_SPAN("12345"), -2, &amount), WEIR_OK);
    assert_true(amount * 100 == unit * 12345);
    assert_int_equal(meter__amount(WEIR_SPAN("0000000000000000000000001"), 0, &amount), WEIR_OK);
    assert_true(amount == unit);
    assert_int_equal(meter__amount(WEIR_SPAN("0e9999"), 0, &amount), WEIR_OK);
    assert_true(amount == 0);
    assert_int_equal(meter__amount(WEIR_SPAN("1000000000000"), 0, &amount), WEIR_ELIMIT);
    static const char *const wrong[] = {"",        "-",  ".",   ".5", "5.",  "1e",  "1e+",
                                        "1e99999", "+1", "1,5", "1 ", "0x1", "NaN", "--1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(meter__amount(weir_span_of_string(wrong[i]), 0, &amount), WEIR_EINVAL);
}

/* --- comparing --- */

static struct weir_reconciliation compare(const char *theirs, const struct weir_export_row *ours, size_t count,
                                          int64_t tolerance) {
    struct weir_reconciliation result = {.count = 0};
    struct weir_error error = {.text = ""};
    struct weir_export export = read_good(theirs);
    assert_int_equal(weir_reconcile(arena, &export, ours, count, tolerance, &result, &error), WEIR_OK);
    return result;
}

static void assert_compared(const struct weir_reconciliation *result, size_t index, const char *model,
                            enum weir_reconcile_status status, int64_t ours, int64_t theirs) {
    assert_true(index < result->count);
    const struct weir_reconcile_row *row = &result->rows[index];
    assert_int_equal(row->model.length, strlen(model));
    assert_memory_equal(row->model.at, model, row->model.length);
    assert_string_equal(weir_reconcile_status_name(row->status), weir_reconcile_status_name(status));
    assert_int_equal(row->ours.input, ours);
    assert_int_equal(row->theirs.input, theirs);
    assert_int_equal(row->difference.input, ours - theirs);
}

#define OURS(of_day, name, tokens)                                                         \
    {                                                                                      \
        .day = (of_day), .model = {.at = (name), .length = sizeof(name) - 1}, .figures = { \
            .requests = 1,                                                                 \
            .input = (tokens)                                                              \
        }                                                                                  \
    }
#define HEAD "start_time,model,input_tokens\n"

static void equal_sides_match(void **state) {
    (void)state;
    const struct weir_export_row ours[] = {OURS(NOVEMBER, "gpt-5", 60), OURS(NOVEMBER, "gpt-5", 40),
                                           OURS(NOVEMBER, "other", 7), OURS(NOVEMBER + 5, "later", 1)};
    struct weir_reconciliation result = compare(HEAD "2026-11-01,gpt-5,100\n2026-11-01,other,7\n", ours, 4, 0);
    assert_true(result.within);
    assert_int_equal(result.count, 2);
    assert_compared(&result, 0, "gpt-5", WEIR_RECONCILE_MATCH, 100, 100);
    assert_compared(&result, 1, "other", WEIR_RECONCILE_MATCH, 7, 7);
    assert_int_equal(result.total.ours.input, 107);
    assert_int_equal(result.total.percent_milli, 0);
}

static void differences_are_judged_by_the_tolerance(void **state) {
    (void)state;
    const struct weir_export_row ours[] = {OURS(NOVEMBER, "a", 1010), OURS(NOVEMBER, "b", 1),
                                           OURS(SECOND_OF_NOVEMBER, "ours", 3)};
    const char *theirs = HEAD "2026-11-01,a,1000\n2026-11-01,b,0\n2026-11-02,theirs,4\n";
    struct weir_reconciliation result = compare(theirs, ours, 3, 999);
    assert_false(result.within);
    assert_int_equal(result.count, 4);
    assert_compared(&result, 0, "a", WEIR_RECONCILE_DIFFERS, 1010, 1000);
    assert_int_equal(result.rows[0].percent_milli, 1000);
    assert_compared(&result, 1, "b", WEIR_RECONCILE_THEIRS_MISSING, 1, 0);
    assert_int_equal(result.rows[1].percent_milli, -1);
    assert_compared(&result, 2, "ours", WEIR_RECONCILE_THEIRS_MISSING, 3, 0);
    assert_compared(&result, 3, "theirs", WEIR_RECONCILE_OURS_MISSING, 0, 4);
    result = compare(theirs, ours, 1, 1000);
    assert_compared(&result, 0, "a", WEIR_RECONCILE_MATCH, 1010, 1000);
    assert_false(result.within); /* theirs of the second */
    result = compare(HEAD "2026-11-01,a,3\n", (const struct weir_export_row[]){OURS(NOVEMBER, "a", 4)}, 1, 0);
    assert_int_equal(result.rows[0].percent_milli, 33334); /* rounded up */
}

static void names_with_dates_go_with_names_without(void **state) {
    (void)state;
    const struct weir_export_row alias[] = {OURS(NOVEMBER, "gpt-5", 10), OURS(NOVEMBER, "gpt-5-2026-08-07", 5)};
    struct weir_reconciliation result = compare(HEAD "2026-11-01,gpt-5-2026-08-07,15\n", alias, 2, 0);
    assert_int_equal(result.count, 1);
    assert_compared(&result, 0, "gpt-5-2026-08-07", WEIR_RECONCILE_MATCH, 15, 15);
    /* exact names go before */
    result = compare(HEAD "2026-11-01,gpt-5-2026-08-07,5\n2026-11-01,gpt-5,10\n", alias, 2, 0);
    assert_int_equal(result.count, 2);
    assert_compared(&result, 0, "gpt-5", WEIR_RECONCILE_MATCH, 10, 10);
    assert_compared(&result, 1, "gpt-5-2026-08-07", WEIR_RECONCILE_MATCH, 5, 5);
    /* two dates are two models */
    result = compare(HEAD "2026-11-01,gpt-5-2026-09-09,5\n", &alias[1], 1, 0);
    assert_int_equal(result.count, 2);
    assert_compared(&result, 0, "gpt-5-2026-08-07", WEIR_RECONCILE_THEIRS_MISSING, 5, 0);
    assert_compared(&result, 1, "gpt-5-2026-09-09", WEIR_RECONCILE_OURS_MISSING, 0, 5);
    /* names for people */
    const struct weir_export_row haiku[] = {OURS(NOVEMBER, "claude-haiku-4-5-20251001", 5),
                                            OURS(NOVEMBER, "claude-3-5-sonnet-20241022", 6)};
    result = compare(HEAD "2026-11-01,Claude Haiku 4.5,5\n2026-11-01,Claude 3.5 Sonnet 2024-10-22,6\n", haiku, 2, 0);
    assert_int_equal(result.count, 2);
    assert_compared(&result, 0, "claude-3-5-sonnet-20241022", WEIR_RECONCILE_MATCH, 6, 6);
    assert_compared(&result, 1, "claude-haiku-4-5-20251001", WEIR_RECONCILE_MATCH, 5, 5);
}

static void without_names_days_are_compared(void **state) {
    (void)state;
    const struct weir_export_row ours[] = {OURS(NOVEMBER, "a", 10), OURS(NOVEMBER, "b", 5)};
    struct weir_reconciliation result = compare("start_time,input_tokens\n2026-11-01,15\n", ours, 2, 0);
    assert_int_equal(result.count, 1);
    assert_compared(&result, 0, "", WEIR_RECONCILE_MATCH, 15, 15);
    /* a file of days without use against use */
    result = compare("start_time,end_time\n2026-11-01,\n", ours, 2, 0);
    assert_int_equal(result.count, 1);
    assert_compared(&result, 0, "", WEIR_RECONCILE_THEIRS_MISSING, 15, 0);
    result = compare("start_time,end_time\n2026-11-01,\n", ours, 0, 0);
    assert_int_equal(result.count, 0);
    assert_true(result.within);
}

static void only_what_the_export_has_is_judged(void **state) {
    (void)state;
    struct weir_export_row ours = OURS(NOVEMBER, "a", 10);
    ours.figures.output = 999;
    ours.figures.cost_cu_milli = INT64_MAX;
    struct weir_reconciliation result = compare(HEAD "2026-11-01,a,10\n", &ours, 1, 0);
    assert_true(result.within);
    result = compare("start_time,model,amount_value\n2026-11-01,a,-999999999\n", &ours, 1, 100000);
    assert_int_equal(result.rows[0].status, WEIR_RECONCILE_DIFFERS);
    assert_int_equal(result.rows[0].difference.cost_cu_milli, INT64_MAX); /* and not beyond it */
}

static void tolerances(void **state) {
    (void)state;
    int64_t value = -1;
    assert_int_equal(weir_reconcile_tolerance(WEIR_SPAN("0"), &value), WEIR_OK);
    assert_int_equal(value, 0);
    assert_int_equal(weir_reconcile_tolerance(WEIR_SPAN("0.5"), &value), WEIR_OK);
    assert_int_equal(value, 500);
    assert_int_equal(weir_reconcile_tolerance(WEIR_SPAN("100.000"), &value), WEIR_OK);
    assert_int_equal(value, 100000);
    static const char *const wrong[] = {"", "-1", "100.001", "1.", ".5", "1.2345", "1e1", "x", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(weir_reconcile_tolerance(weir_span_of_string(wrong[i]), &value), WEIR_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(openai_usage_csv, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(openai_costs_csv, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(openai_json, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(anthropic_csv, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(anthropic_json, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(days_are_of_the_zone, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(wrong_files_are_told_where, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(there_are_limits, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(amounts_are_exact, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(equal_sides_match, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(differences_are_judged_by_the_tolerance, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(names_with_dates_go_with_names_without, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(without_names_days_are_compared, make_arena, free_arena),
        cmocka_unit_test_setup_teardown(only_what_the_export_has_is_judged, make_arena, free_arena),
        cmocka_unit_test(tolerances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
