/* The price table: what a good file gives, and what a bad one is told. */
#include "meter/prices.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FILE_OF(rows) "{\"format\":\"weir-prices-1\",\"rows\":[" rows "]}"
#define ROW(fields) "{" fields ",\"input\":1,\"output\":2,\"source\":\"s\",\"date\":\"2026-11-01\"}"

static struct weir_prices *read_good(const char *text) {
    struct weir_prices *prices = NULL;
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_prices_read(weir_span_of_string(text), &prices, &error);
    if (status != WEIR_OK)
        print_error("%s\n", error.text);
    assert_int_equal(status, WEIR_OK);
    assert_non_null(prices);
    return prices;
}

static const struct weir_price *find(const struct weir_prices *prices, const char *provider, const char *model) {
    return weir_prices_find(prices, weir_span_of_string(provider), weir_span_of_string(model));
}

static void assert_found(const struct weir_prices *prices, const char *provider, const char *model, int64_t input) {
    const struct weir_price *price = find(prices, provider, model);
    assert_non_null(price);
    assert_int_equal(price->tiers[0].input, input);
}

static void reads_all_fields(void **state) {
    (void)state;
    struct weir_prices *prices = read_good(FILE_OF(
        "{\"provider\":\"p\",\"model\":\"a\\/b\\u00fc\",\"input\":10,\"cached\":1,\"cache_write\":12,"
        "\"output\":40,\"reasoning\":50,"
        "\"tiers\":[{\"above_input_tokens\":200000,\"input\":20,\"output\":80},"
        "{\"above_input_tokens\":500000,\"input\":30,\"cached\":0,\"cache_write\":1e2,\"output\":90,\"reasoning\":91}],"
        "\"max_input_tokens\":1000000,\"max_output_tokens\":65536,"
        "\"source\":\"https://example.com/prices\",\"date\":\"2026-10-31\"}," ROW("\"model\":\"plain\"")));
    assert_int_equal(weir_prices_count(prices), 2);
    const struct weir_price *price = find(prices, "p", "a/b\xc3\xbc");
    assert_non_null(price);
    assert_ptr_equal(price, weir_prices_at(prices, 0));
    assert_int_equal(price->tier_count, 3);
    assert_int_equal(price->tiers[0].reasoning, 50);
    assert_int_equal(price->tiers[1].above_input_tokens, 200000);
    assert_int_equal(price->tiers[1].cached, -1);
    assert_int_equal(price->tiers[2].cache_write, 100);
    assert_int_equal(price->max_input_tokens, 1000000);
    assert_int_equal(price->max_output_tokens, 65536);
    assert_true(weir_span_equal(price->source, WEIR_SPAN("https://example.com/prices")));
    assert_true(weir_span_equal(price->date, WEIR_SPAN("2026-10-31")));
    price = find(prices, "whoever", "plain");
    assert_non_null(price);
    assert_int_equal(price->tiers[0].cached, -1);
    assert_int_equal(price->tiers[0].cache_write, -1);
    assert_int_equal(price->tiers[0].reasoning, -1);
    assert_int_equal(price->max_input_tokens, 0);
    weir_prices_free(&prices);
    assert_null(prices);
    weir_prices_free(&prices);
}

static void the_version_is_the_newest_date_and_a_hash(void **state) {
    (void)state;
    struct weir_prices *one = read_good(FILE_OF(ROW("\"model\":\"m\"")));
    struct weir_prices *other = read_good(FILE_OF(
        "{\"model\":\"m\",\"input\":1,\"output\":2,\"source\":\"s\",\"date\":\"2027-01-02\"}," ROW("\"model\":\"n\"")));
    struct weir_span version = weir_prices_version(one);
    assert_int_equal(version.length, 19);
    assert_true(weir_span_starts_with(version, WEIR_SPAN("2026-11-01.")));
    assert_true(weir_span_starts_with(weir_prices_version(other), WEIR_SPAN("2027-01-02.")));
    struct weir_prices *again = read_good(FILE_OF(ROW("\"model\":\"m\"")));
    assert_true(weir_span_equal(version, weir_prices_version(again)));
    weir_prices_free(&one);
    weir_prices_free(&other);
    weir_prices_free(&again);
}

static void finds_the_nearest_row(void **state) {
    (void)state;
#define PRICED(names, input) "{" names ",\"input\":" input ",\"output\":0,\"source\":\"s\",\"date\":\"2026-11-01\"}"
    struct weir_prices *prices = read_good(
        FILE_OF(PRICED("\"provider\":\"p\",\"model\":\"m\"", "1") "," PRICED("\"model\":\"m\"", "2") "," PRICED(
            "\"model\":\"m-2026-01-02\"", "3") "," PRICED("\"provider\":\"q\",\"model\":\"only\"",
                                                          "4") "," PRICED("\"provider\":\"p\",\"model\":\"m-20260304\"",
                                                                          "5")));
    assert_found(prices, "p", "m", 1);
    assert_found(prices, "q", "m", 2);
    assert_found(prices, "", "m", 2);
    assert_found(prices, "p", "m-2026-01-02",
                 3); /* the exact model of any provider, before the provider's undated one */
    assert_found(prices, "p", "m-2026-01-03", 1);
    assert_found(prices, "q", "m-20260103", 2);
    assert_found(prices, "p", "m-20260304", 5);
    assert_found(prices, "q", "m-20260304", 2);
    assert_found(prices, "q", "only", 4);
    assert_found(prices, "q", "only-2024-05-13", 4);
    static const char *const unknown[] = {"M",
                                          "m-",
                                          "m-2026-13-01",
                                          "m-2026-01-32",
                                          "m-2026-1-1",
                                          "m-20261301",
                                          "m-12345",
                                          "mx2026-01-03",
                                          "m-2026-01-03-x",
                                          "",
                                          "-2026-01-02",
                                          "2026-01-02",
                                          "mm",
                                          "onl"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_null(find(prices, "p", unknown[i]));
    assert_null(find(prices, "p", "only"));
    assert_null(find(prices, "", "only"));
    weir_prices_free(&prices);
}

static void refuses_bad_files_with_words(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *words; /* that the message must hold */
    } rows[] = {
        {"", "unexpected end"},
        {"{\"format\":\n\"weir-prices-1\",\nx}", "line 3"},
        {"[]", "\"format\""},
        {"{\"format\":\"other\",\"rows\":[]}", "\"format\""},
        {"{\"format\":\"weir-prices-1\"}", "\"rows\""},
        {"{\"format\":\"weir-prices-1\",\"rows\":{}}", "\"rows\""},
        {FILE_OF(""), "\"rows\""},
        {"{\"format\":\"weir-prices-1\",\"rows\":[1],\"more\":1}", "unknown"},
        {"{\"format\":\"weir-prices-1\",\"rows\":[1],\"rows\":[1]}", "duplicate"},
        {FILE_OF("1"), "row 1 is a number"},
        {FILE_OF(ROW("\"model\":\"m\"") "," ROW("\"model\":\"n\",\"inptu\":1")), "row 2: unknown field \"inptu\""},
        {FILE_OF(ROW("\"model\":\"m\",\"input\":3")), "row 1: duplicate member"},
        {FILE_OF(ROW("\"provider\":\"p\"")), "\"model\" is missing"},
        {FILE_OF(ROW("\"model\":5")), "\"model\" must be a string"},
        {FILE_OF(ROW("\"model\":\"\"")), "\"model\" is empty"},
        {FILE_OF(ROW("\"model\":\"a\\nb\"")), "\"model\" is empty, too long, or holds control bytes"},
        {FILE_OF(ROW("\"model\":\"m\",\"provider\":\"\"")), "\"provider\""},
        {FILE_OF("{\"model\":\"m\",\"output\":1,\"source\":\"s\",\"date\":\"2026-11-01\"}"), "\"input\" is missing"},
        {FILE_OF("{\"model\":\"m\",\"input\":1,\"source\":\"s\",\"date\":\"2026-11-01\"}"), "\"output\" is missing"},
        {FILE_OF("{\"model\":\"m\",\"input\":1,\"output\":1,\"date\":\"2026-11-01\"}"), "\"source\" is missing"},
        {FILE_OF("{\"model\":\"m\",\"input\":1,\"output\":1,\"source\":\"s\"}"), "\"date\" is missing"},
        {FILE_OF("{\"model\":\"m\",\"input\":1,\"output\":1,\"source\":\"s\",\"date\":\"today\"}"), "YYYY-MM-DD"},
        {FILE_OF("{\"model\":\"m\",\"input\":1,\"output\":1,\"source\":\"s\",\"date\":\"2026-00-01\"}"), "YYYY-MM-DD"},
        {FILE_OF(ROW("\"model\":\"m\",\"cached\":-1")), "\"cached\" must be a whole number"},
        {FILE_OF(ROW("\"model\":\"m\",\"cached\":1.5")), "\"cached\" must be a whole number"},
        {FILE_OF(ROW("\"model\":\"m\",\"cached\":\"1\"")), "\"cached\" must be a whole number"},
        {FILE_OF(ROW("\"model\":\"m\",\"reasoning\":9223372036854775808")), "\"reasoning\" must be a whole number"},
        {FILE_OF(ROW("\"model\":\"m\",\"max_input_tokens\":null")), "\"max_input_tokens\" must be a whole number"},
        {FILE_OF(ROW("\"model\":\"m\",\"tiers\":1")), "\"tiers\" must be an array"},
        {FILE_OF(ROW("\"model\":\"m\",\"tiers\":[1]")), "row 1 is a number"},
        {FILE_OF(ROW("\"model\":\"m\",\"tiers\":[{\"input\":1,\"output\":1}]")), "\"above_input_tokens\" is missing"},
        {FILE_OF(ROW("\"model\":\"m\",\"tiers\":[{\"above_input_tokens\":0,\"input\":1,\"output\":1}]")), "must grow"},
        {FILE_OF(ROW("\"model\":\"m\",\"tiers\":[{\"above_input_tokens\":5,\"input\":1,\"output\":1},"
                     "{\"above_input_tokens\":5,\"input\":1,\"output\":1}]")),
         "must grow"},
        {FILE_OF(ROW("\"model\":\"m\",\"tiers\":[{},{},{},{}]")), "more than 3"},
        {FILE_OF(ROW("\"model\":\"m\",\"tiers\":[{\"above_input_tokens\":5,\"input\":1,\"output\":1,\"x\":1}]")),
         "\"x\""},
        {FILE_OF(ROW("\"model\":\"m\"") "," ROW("\"model\":\"n\"") "," ROW("\"model\":\"m\"")), "rows 1 and 3"},
        {FILE_OF(ROW("\"provider\":\"p\",\"model\":\"m\"") "," ROW("\"model\":\"m\",\"provider\":\"p\"")),
         "rows 1 and 2"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_prices *prices = NULL;
        struct weir_error error = {.text = ""};
        assert_int_equal(weir_prices_read(weir_span_of_string(rows[i].text), &prices, &error), WEIR_EINVAL);
        assert_null(prices);
        if (strstr(error.text, rows[i].words) == NULL)
            fail_msg("row %zu: \"%s\" lacks \"%s\"", i, error.text, rows[i].words);
        assert_int_equal(weir_prices_read(weir_span_of_string(rows[i].text), &prices, NULL), WEIR_EINVAL);
    }
}

static void too_much_is_refused(void **state) {
    (void)state;
    struct weir_buffer text;
    struct weir_prices *prices = NULL;
    struct weir_error error;
    weir_buffer_init(&text, 1 << 22);
    weir_buffer_append(&text, WEIR_SPAN("{\"format\":\"weir-prices-1\",\"rows\":[0"));
    for (int i = 0; i < 20000; i++)
        weir_buffer_append(&text, WEIR_SPAN(",0"));
    weir_buffer_append(&text, WEIR_SPAN("]}"));
    assert_int_equal(weir_prices_read(weir_buffer_span(&text), &prices, &error), WEIR_ELIMIT);
    weir_buffer_release(&text);
}

static void the_built_in_file_is_good(void **state) {
    (void)state;
    struct weir_prices *prices = NULL;
    struct weir_error error = {.text = ""};
    assert_int_equal(weir_prices_builtin(&prices, &error), WEIR_OK);
    assert_true(weir_prices_count(prices) >= 60);
    assert_found(prices, "openai", "gpt-4o", 2500000000);
    assert_found(prices, "openai", "gpt-4o-2024-08-06", 2500000000);
    assert_found(prices, "openai", "gpt-4o-2024-05-13", 5000000000); /* its own price, not that of the undated name */
    const struct weir_price *price = find(prices, "sim", "sim-small");
    assert_non_null(price);
    assert_int_equal(price->tiers[0].input, 150000000);
    assert_int_equal(price->tiers[0].cached, 75000000);
    assert_int_equal(price->tiers[0].output, 600000000);
    price = find(prices, "sim", "sim-reasoner");
    assert_non_null(price);
    assert_true(price->tiers[0].reasoning > price->tiers[0].output);
    assert_non_null(find(prices, "sim", "sim-large"));
    static const char *const providers[] = {"openai",   "anthropic", "gemini", "mistral",
                                            "deepseek", "groq",      "xai",    "cohere"};
    for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
        size_t rows = 0;
        for (size_t row = 0; row < weir_prices_count(prices); row++)
            rows += weir_span_equal(weir_prices_at(prices, row)->provider, weir_span_of_string(providers[i]));
        assert_true(rows >= 3);
    }
    weir_prices_free(&prices);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_fields),      cmocka_unit_test(the_version_is_the_newest_date_and_a_hash),
        cmocka_unit_test(finds_the_nearest_row), cmocka_unit_test(refuses_bad_files_with_words),
        cmocka_unit_test(too_much_is_refused),   cmocka_unit_test(the_built_in_file_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
