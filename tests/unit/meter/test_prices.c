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
        "{\"above_input_tokens\":500000,\"input\":30,\"cached\":0,\"cache_write\":1e2,\"cache_write_long\":160,\"output\":90,\"reasoning\":91}],"
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
    assert_int_equal(price->tiers[0].cache_write_long, -1);
    assert_int_equal(price->tiers[2].cache_write_long, 160);
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

static void reads_units_and_modalities(void **state) {
    (void)state;
#define DATED ",\"source\":\"s\",\"date\":\"2026-11-01\"}"
    struct weir_prices *prices = read_good(FILE_OF(
        "{\"model\":\"a\",\"input\":1,\"output\":2,\"input_audio\":3,\"input_image\":4,\"output_audio\":5,"
        "\"output_image\":0,\"tiers\":[{\"above_input_tokens\":9,\"input\":10,\"output\":20,\"input_image\":40}]" DATED
        ","
        "{\"model\":\"paint\",\"image\":40000000000000" DATED ","
        "{\"model\":\"paint\",\"variant\":\"hd\\/1024x1792\",\"image\":120000000000000,\"input\":7" DATED ","
        "{\"model\":\"hear\",\"second\":100000000000" DATED ",{\"model\":\"speak\",\"character\":0" DATED ","
        "{\"model\":\"rank\",\"search\":2" DATED));
    const struct weir_price *price = find(prices, "", "a");
    assert_true(price->unit == WEIR_UNIT_NONE && price->unit_price == 0 && price->variant.length == 0);
    const struct weir_price_tier *tier = &price->tiers[0];
    assert_true(tier->input_audio == 3 && tier->input_image == 4 && tier->output_audio == 5 && tier->output_image == 0);
    tier = &price->tiers[1];
    assert_true(tier->input_audio == -1 && tier->input_image == 40 && tier->output_audio == -1 &&
                tier->output_image == -1);
    price = find(prices, "", "paint");
    assert_true(price->unit == WEIR_UNIT_IMAGE && price->unit_price == 40000000000000);
    assert_true(price->tiers[0].input == 0 && price->tiers[0].output == 0 && price->tiers[0].input_image == -1);
    price = weir_prices_find_variant(prices, WEIR_SPAN(""), WEIR_SPAN("paint"), WEIR_SPAN("hd/1024x1792"));
    assert_true(price->unit_price == 120000000000000 && price->tiers[0].input == 7);
    assert_true(weir_span_equal(price->variant, WEIR_SPAN("hd/1024x1792")));
    assert_int_equal(find(prices, "", "hear")->unit, WEIR_UNIT_AUDIO_MS);
    assert_int_equal(find(prices, "", "speak")->unit, WEIR_UNIT_CHARACTER);
    assert_int_equal(find(prices, "", "rank")->unit, WEIR_UNIT_SEARCH);
    weir_prices_free(&prices);
}

static void finds_the_nearest_variant(void **state) {
    (void)state;
#define APIECE(names, price) "{" names ",\"image\":" price DATED
    struct weir_prices *prices = read_good(
        FILE_OF(APIECE("\"model\":\"m\"", "1") "," APIECE("\"model\":\"m\",\"variant\":\"hd/64x64\"", "2") "," APIECE(
            "\"model\":\"m\",\"variant\":\"64x64\"",
            "3") "," APIECE("\"model\":\"m\",\"provider\":\"p\"",
                            "4") "," APIECE("\"model\":\"m\",\"provider\":\"p\",\"variant\":\"hd\"",
                                            "5") "," APIECE("\"model\":\"only\",\"variant\":\"64x64\"", "6")));
    static const struct {
        const char *provider, *model, *variant;
        int64_t price; /* 0: no row */
    } rows[] = {
        {"", "m", "", 1},
        {"", "m", "hd/64x64", 2},
        {"", "m", "low/64x64", 3},
        {"", "m", "64x64", 3},
        {"", "m", "hd/1x1", 1},
        {"", "m", "hd", 1},
        {"", "m", "/", 1},
        {"", "m", "hd/", 1},
        {"p", "m", "", 4},
        {"p", "m", "hd", 5},
        {"p", "m", "hd/64x64", 2}, /* the kind of call before whose price it is */
        {"p", "m", "x/y", 4},
        {"", "m-2026-01-02", "hd/64x64", 2},
        {"", "only", "hd/64x64", 6},
        {"", "only", "hd", 0},
        {"", "only", "", 0},
        {"", "none", "64x64", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct weir_price *price = weir_prices_find_variant(prices, weir_span_of_string(rows[i].provider),
                                                                  weir_span_of_string(rows[i].model),
                                                                  weir_span_of_string(rows[i].variant));
        if ((price != NULL ? price->unit_price : 0) != rows[i].price)
            fail_msg("row %zu", i);
    }
    assert_int_equal(find(prices, "p", "m")->unit_price, 4);
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
        {FILE_OF(ROW("\"model\":\"m\",\"variant\":\"v\"") "," ROW("\"variant\":\"v\",\"model\":\"m\"")),
         "of provider \"\", variant v"},
        {FILE_OF(ROW("\"model\":\"m\",\"variant\":\"\"")), "\"variant\" is empty"},
        {FILE_OF(ROW("\"model\":\"m\",\"variant\":1")), "\"variant\" must be a string"},
        {FILE_OF(ROW("\"model\":\"m\",\"image\":1,\"search\":1")),
         "\"search\" stands beside the price of another unit"},
        {FILE_OF(ROW("\"model\":\"m\",\"second\":0.006")), "\"second\" must be a whole number"},
        {FILE_OF(ROW("\"model\":\"m\",\"character\":-1")), "\"character\" must be a whole number"},
        {FILE_OF(ROW("\"model\":\"m\",\"output_audio\":null")), "\"output_audio\" must be a whole number"},
        {FILE_OF(ROW("\"model\":\"m\",\"tiers\":[{\"above_input_tokens\":5,\"input\":1,\"output\":1,\"image\":1}]")),
         "\"image\""},
        {FILE_OF("{\"model\":\"m\",\"image\":1,\"tiers\":[{\"above_input_tokens\":5,\"input\":1}]" DATED),
         "\"output\" is missing"},
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
    /* Every family has its row, in the way that it is charged. */
    static const struct {
        const char *provider, *model, *variant;
        enum weir_unit unit;
        bool by_token;
    } families[] = {
        {"sim", "sim-embedding", "", WEIR_UNIT_NONE, true},
        {"sim", "sim-image", "hd/1024x1792", WEIR_UNIT_IMAGE, false},
        {"sim", "gpt-image-sim", "high/1024x1024", WEIR_UNIT_NONE, true},
        {"sim", "sim-tts", "", WEIR_UNIT_CHARACTER, false},
        {"sim", "sim-whisper", "", WEIR_UNIT_AUDIO_MS, false},
        {"sim", "sim-transcribe", "", WEIR_UNIT_NONE, true},
        {"sim", "sim-rerank", "", WEIR_UNIT_SEARCH, false},
        {"sim", "jina-sim", "", WEIR_UNIT_NONE, true},
        {"sim", "sim-moderation", "", WEIR_UNIT_NONE, false},
        {"openai", "dall-e-2", "256x256", WEIR_UNIT_IMAGE, false},
        {"openai", "whisper-1", "", WEIR_UNIT_AUDIO_MS, false},
        {"openai", "tts-1-hd", "", WEIR_UNIT_CHARACTER, false},
        {"openai", "gpt-4o-audio-preview-2025-06-03", "", WEIR_UNIT_NONE, true},
        {"openai", "gpt-image-1", "medium/1024x1024", WEIR_UNIT_NONE, true},
        {"cohere", "rerank-v3.5", "", WEIR_UNIT_SEARCH, false},
        {"jina", "jina-reranker-v2-base-multilingual", "", WEIR_UNIT_NONE, true},
    };
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        price = weir_prices_find_variant(prices, weir_span_of_string(families[i].provider),
                                         weir_span_of_string(families[i].model),
                                         weir_span_of_string(families[i].variant));
        if (price == NULL)
            fail_msg("%s has no row", families[i].model);
        assert_int_equal(price->unit, families[i].unit);
        assert_true((price->unit_price > 0) == (families[i].unit != WEIR_UNIT_NONE));
        assert_true((price->tiers[0].input > 0) == families[i].by_token);
    }
    /* 0.006 USD a minute, 0.08 USD a picture. */
    const struct weir_usage minute = {.unit = WEIR_UNIT_AUDIO_MS, .units = 60000};
    assert_int_equal(weir_price_cost(find(prices, "openai", "whisper-1"), &minute), 6000000);
    const struct weir_usage pictures = {.unit = WEIR_UNIT_IMAGE, .units = 2};
    price = weir_prices_find_variant(prices, WEIR_SPAN("openai"), WEIR_SPAN("dall-e-3"),
                                     WEIR_SPAN("standard/1024x1792"));
    assert_int_equal(weir_price_cost(price, &pictures), 160000000);
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
        cmocka_unit_test(reads_units_and_modalities), cmocka_unit_test(finds_the_nearest_variant),
        cmocka_unit_test(reads_all_fields),           cmocka_unit_test(the_version_is_the_newest_date_and_a_hash),
        cmocka_unit_test(finds_the_nearest_row),      cmocka_unit_test(refuses_bad_files_with_words),
        cmocka_unit_test(too_much_is_refused),        cmocka_unit_test(the_built_in_file_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
