/* From the public price map to our own file: exact where it can be, told where it cannot. */
#include "meter/prices.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct imported {
    struct weir_buffer out, report;
    struct weir_prices *prices;
};

static void import_map(struct imported *imported, const char *map) {
    struct weir_error error = {.text = ""};
    imported->prices = NULL;
    weir_buffer_init(&imported->out, 1 << 20);
    weir_buffer_init(&imported->report, 1 << 20);
    enum weir_status status = weir_prices_import(weir_span_of_string(map), WEIR_SPAN("the map"),
                                                 WEIR_SPAN("2026-11-01"), &imported->out, &imported->report, &error);
    if (status == WEIR_OK)
        status = weir_prices_read(weir_buffer_span(&imported->out), &imported->prices, &error);
    if (status != WEIR_OK)
        print_error("%s\n", error.text);
    assert_int_equal(status, WEIR_OK);
    weir_buffer_append_byte(&imported->report, '\0'); /* so that strstr can look into it */
}

static void release(struct imported *imported) {
    weir_prices_free(&imported->prices);
    weir_buffer_release(&imported->out);
    weir_buffer_release(&imported->report);
}

static const struct weir_price *find(const struct imported *imported, const char *provider, const char *model) {
    return weir_prices_find(imported->prices, weir_span_of_string(provider), weir_span_of_string(model));
}

static void assert_reported(const struct imported *imported, const char *words) {
    if (strstr(imported->report.at, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", imported->report.at, words);
}

static void a_whole_entry(void **state) {
    (void)state;
    struct imported imported;
    import_map(
        &imported,
        "{\"sample_spec\":{\"litellm_provider\":\"one of many\",\"input_cost_per_token\":0.0,"
        "\"output_cost_per_token\":0.0},"
        "\"gemini/g-2\":{\"litellm_provider\":\"gemini\",\"mode\":\"chat\",\"input_cost_per_token\":1.25e-06,"
        "\"output_cost_per_token\":1e-05,\"cache_read_input_token_cost\":1.25e-07,"
        "\"cache_creation_input_token_cost\":0.0000015,\"cache_creation_input_token_cost_above_1hr\":2.5e-06,"
        "\"cache_creation_input_token_cost_above_1hr_above_200k_tokens\":5e-06,\"output_cost_per_reasoning_token\":12E-6,"
        "\"output_cost_per_token_above_200k_tokens\":1.5e-05,\"input_cost_per_token_above_200k_tokens\":2.5e-06,"
        "\"input_cost_per_token_above_128k_tokens\":2e-06,\"cache_read_input_token_cost_above_200k_tokens\":null,"
        "\"input_cost_per_token_batches\":1,\"input_cost_per_token_above_200k_tokens_priority\":1,"
        "\"cache_read_input_audio_token_cost\":1,\"input_cost_per_image\":1,\"supports_vision\":true,\"rpm\":2000,"
        "\"max_input_tokens\":1048576,\"max_output_tokens\":65536,\"max_tokens\":1,"
        "\"source\":\"https://example.com/pricing\"}}");
    assert_int_equal(weir_prices_count(imported.prices), 1);
    const struct weir_price *price = find(&imported, "gemini", "g-2");
    assert_non_null(price);
    assert_int_equal(price->tiers[0].input, 1250000000);
    assert_int_equal(price->tiers[0].cached, 125000000);
    assert_int_equal(price->tiers[0].cache_write, 1500000000);
    assert_int_equal(price->tiers[0].cache_write_long, 2500000000);
    assert_int_equal(price->tiers[1].cache_write_long, 2500000000);
    assert_int_equal(price->tiers[2].cache_write_long, 5000000000);
    assert_int_equal(price->tiers[2].cache_write, 1500000000);
    assert_int_equal(price->tiers[0].output, 10000000000);
    assert_int_equal(price->tiers[0].reasoning, 12000000000);
    assert_int_equal(price->tier_count, 3);
    assert_int_equal(price->tiers[1].above_input_tokens, 128000);
    assert_int_equal(price->tiers[1].input, 2000000000);
    assert_int_equal(price->tiers[1].output, 10000000000); /* as the row's own */
    assert_int_equal(price->tiers[2].above_input_tokens, 200000);
    assert_int_equal(price->tiers[2].output, 15000000000);
    assert_int_equal(price->tiers[2].cached, 125000000);
    assert_int_equal(price->max_input_tokens, 1048576);
    assert_int_equal(price->max_output_tokens, 65536);
    assert_true(weir_span_equal(price->source, WEIR_SPAN("https://example.com/pricing")));
    assert_true(weir_span_equal(price->date, WEIR_SPAN("2026-11-01")));
    assert_string_equal(imported.report.at, "1 rows, 0 prices rounded up, 0 entries left out\n");
    release(&imported);
}

#define PRICES ",\"input_cost_per_token\":1e-6,\"output_cost_per_token\":2e-6"

static void names_and_what_may_be_absent(void **state) {
    (void)state;
    struct imported imported;
    import_map(&imported,
               "{\"a\":{\"mode\":\"completion\"" PRICES "},"
               "\"command\":{\"litellm_provider\":\"cohere_chat\"" PRICES ",\"max_tokens\":4096},"
               "\"groq/openai/oss\":{\"litellm_provider\":\"groq\"" PRICES
               ",\"max_input_tokens\":\"many\",\"source\":null},"
               "\"azure/x\":{\"litellm_provider\":\"azure_ai\"" PRICES "},"
               "\"p/\":{\"litellm_provider\":\"p\"" PRICES "},"
               "\"embed\":{\"litellm_provider\":\"e\",\"mode\":\"embedding\",\"input_cost_per_token\":2e-08},"
               "\"written\":{\"litellm_provider\":\"w\",\"cache_creation_input_token_cost\":0.0,"
               "\"cache_creation_input_token_cost_above_1hr\":0" PRICES "}}");
    const struct weir_price *price = find(&imported, "anyone", "a");
    assert_non_null(price);
    assert_int_equal(price->provider.length, 0);
    assert_int_equal(price->tiers[0].cached, -1);
    assert_true(weir_span_equal(price->source, WEIR_SPAN("the map")));
    price = find(&imported, "cohere", "command");
    assert_non_null(price);
    assert_int_equal(price->max_output_tokens, 4096);
    price = find(&imported, "groq", "openai/oss");
    assert_non_null(price);
    assert_int_equal(price->max_input_tokens, 0);
    assert_non_null(find(&imported, "azure_ai", "azure/x"));
    assert_non_null(find(&imported, "p", "p/"));
    price = find(&imported, "e", "embed");
    assert_non_null(price);
    assert_int_equal(price->tiers[0].output, 0);
    price = find(&imported, "w", "written");
    assert_non_null(price);
    assert_int_equal(price->tiers[0].cache_write_long, -1);
    assert_int_equal(price->tiers[0].cache_write, -1); /* nothing added is not for nothing */
    release(&imported);
}

static void odd_numbers(void **state) {
    (void)state;
    static const struct {
        const char *number;
        int64_t price; /* -1: the entry is left out */
        bool rounded;
    } rows[] = {
        {"0", 0, false},
        {"0.0", 0, false},
        {"-0.0", 0, false},
        {"1", 1000000000000000, false},
        {"1e-15", 1, false},
        {"1e-16", 1, true},
        {"1e-400", 1, true},
        {"2.0000000000000002e-07", 200000001, true},
        {"9.499999999999999e-07", 950000000, true},
        {"0.00000015", 150000000, false},
        {"0.15E-6", 150000000, false},
        {"150e-9", 150000000, false},
        {"1.50000000000000000000000e-7", 150000000, false},
        {"9223", 9223000000000000000, false},
        {"9224", -1, false},
        {"1e400", -1, false},
        {"-1e-7", -1, false},
        {"\"1e-7\"", -1, false},
        {"true", -1, false},
        {"{}", -1, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char map[300];
        (void)snprintf(map, sizeof(map),
                       "{\"good\":{\"x\":1" PRICES
                       "},\"odd\":{\"input_cost_per_token\":%s,\"output_cost_per_token\":0}}",
                       rows[i].number);
        struct imported imported;
        import_map(&imported, map);
        const struct weir_price *price = find(&imported, "", "odd");
        if (rows[i].price < 0) {
            assert_null(price);
            assert_reported(&imported, "left out: \"odd\": a price is no number");
            assert_reported(&imported, "1 rows, 0 prices rounded up, 1 entries left out\n");
        } else {
            assert_non_null(price);
            assert_true(price->tiers[0].input == rows[i].price);
            assert_int_equal(strstr(imported.report.at, "rounded up: \"odd\": input: ") != NULL, rows[i].rounded);
            assert_reported(&imported, rows[i].rounded ? "2 rows, 1 prices" : "2 rows, 0 prices");
            if (rows[i].rounded)
                assert_reported(&imported, rows[i].number);
        }
        release(&imported);
    }
}

static void entries_that_cannot_be_used(void **state) {
    (void)state;
    static const struct {
        const char *entry;
        const char *words;
    } rows[] = {
        {"\"x\":{\"mode\":\"video_generation\"" PRICES "}", "\"x\": its mode"},
        {"\"x\":{\"mode\":7" PRICES "}", "\"x\": its mode"},
        {"\"x\":{\"input_cost_per_token\":1e-6}", "\"x\": it has no price per token"},
        {"\"x\":{\"mode\":\"chat\",\"output_cost_per_token\":1e-6}", "\"x\": it has no price per token"},
        {"\"x\":{\"input_cost_per_token\":null,\"output_cost_per_token\":1e-6}", "\"x\": it has no price per token"},
        {"\"x\":{}", "\"x\": it has no price per token"},
        {"\"x\":[1]", "\"x\": it is no object"},
        {"\"x\":null", "\"x\": it is no object"},
        {"\"\":{\"x\":1" PRICES "}", "\"\": its name"},
        {"\"a\\tb\":{\"x\":1" PRICES "}", "\"\": its name"},
        {"\"x\":{\"litellm_provider\":7" PRICES "}", "\"x\": its provider or source"},
        {"\"x\":{\"litellm_provider\":\"a\\nb\"" PRICES "}", "\"x\": its provider or source"},
        {"\"x\":{\"source\":[]" PRICES "}", "\"x\": its provider or source"},
        {"\"x\":{\"input_cost_per_token\":1" PRICES "}", "\"x\": a price stands twice"},
        {"\"good\":{\"x\":1" PRICES "}", "\"good\": its provider and model have a row already"},
        {"\"p/m\":{\"litellm_provider\":\"p\"" PRICES "},\"m\":{\"litellm_provider\":\"p\"" PRICES "}",
         "\"m\": its provider and model have a row already"},
        {"\"x\":{\"input_cost_per_token_above_1k_tokens\":1,\"input_cost_per_token_above_2k_tokens\":1,"
         "\"input_cost_per_token_above_3k_tokens\":1,\"input_cost_per_token_above_4k_tokens\":1" PRICES "}",
         "\"x\": it has more than three further tiers"},
        {"\"x\":{\"mode\":\"image_generation\",\"output_cost_per_pixel\":1e-9}", "none by a unit"},
        {"\"x\":{\"mode\":\"chat\",\"input_cost_per_second\":1}", "none by a unit"},
        {"\"x\":{\"mode\":\"audio_speech\",\"input_cost_per_query\":1}", "none by a unit"},
        {"\"x\":{\"input_cost_per_image\":1}", "none by a unit"},
        {"\"x\":{\"mode\":\"rerank\",\"input_cost_per_query\":-1}", "\"x\": a price is no number"},
        {"\"x\":{\"mode\":\"rerank\",\"input_cost_per_query\":1e4}", "\"x\": a price is no number"},
        {"\"x\":{\"mode\":\"rerank\",\"input_cost_per_query\":1,\"input_cost_per_query\":1}", "a price stands twice"},
        {"\"64-x-64/50-steps/x\":{\"mode\":\"image_generation\",\"output_cost_per_image\":1}", "a number of steps"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char map[600];
        (void)snprintf(map, sizeof(map), "{\"good\":{\"x\":1" PRICES "},%s}", rows[i].entry);
        struct imported imported;
        import_map(&imported, map);
        assert_reported(&imported, rows[i].words);
        assert_reported(&imported, ", 1 entries left out\n");
        assert_non_null(find(&imported, "", "good"));
        release(&imported);
    }
}

#define APIECE(mode, prices) "{\"litellm_provider\":\"p\",\"mode\":\"" mode "\"," prices "}"

static void prices_by_the_unit(void **state) {
    (void)state;
    struct imported imported;
    import_map(
        &imported,
        "{\"paint\":" APIECE(
            "image_generation",
            "\"output_cost_per_image\":0.039,\"input_cost_per_image\":1") ","
                                                                          "\"old-paint\":" APIECE(
                                                                              "image_generation",
                                                                              "\"output_cost_per_image\":0.0,\"input_cost_per_image\":0.02") ","
                                                                                                                                             "\"edit\":" APIECE(
                                                                                                                                                 "image_edit",
                                                                                                                                                 "\"output_cost_per_image\":0.04") ","
                                                                                                                                                                                   "\"speak\":" APIECE(
                                                                                                                                                                                       "audio_speech",
                                                                                                                                                                                       "\"output_cost_per_second\":7,\"input_cost_per_character\":1.5e-05") ","
                                                                                                                                                                                                                                                            "\"sing\":" APIECE("audio_speech", "\"output_cost_per_second\":0.00025,\"input_cost_per_second\":1") ","
                                                                                                                                                                                                                                                                                                                                                                 "\"hear\":" APIECE("audio_transcription", "\"input_cost_per_second\":0.0001,\"output_cost_per_second\":0.0001") ","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                 "\"rank\":" APIECE("rerank", "\"input_cost_per_query\":0.002,\"input_cost_per_token\":0.0,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "\"output_cost_per_token\":0.0,\"input_cost_per_token_above_128k_tokens\":0") ","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            "\"free\":" APIECE(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "rerank",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "\"input_cost_per_query\":0.0") ","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "\"by-token\":" APIECE(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    "rerank", "\"input_cost_per_query\":1,\"input_cost_per_token\":5e-08") "}");
    static const struct {
        const char *model;
        enum weir_unit unit;
        int64_t price;
    } rows[] = {
        {"paint", WEIR_UNIT_IMAGE, 39000000000000},
        {"old-paint", WEIR_UNIT_IMAGE, 20000000000000},
        {"edit", WEIR_UNIT_IMAGE, 40000000000000},
        {"speak", WEIR_UNIT_CHARACTER, 15000000000},
        {"sing", WEIR_UNIT_AUDIO_MS, 250000000000},
        {"hear", WEIR_UNIT_AUDIO_MS, 100000000000},
        {"rank", WEIR_UNIT_SEARCH, 2000000000000},
        {"free", WEIR_UNIT_SEARCH, 0},
        {"by-token", WEIR_UNIT_NONE, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct weir_price *price = find(&imported, "p", rows[i].model);
        assert_non_null(price);
        assert_int_equal(price->unit, rows[i].unit);
        assert_true(price->unit_price == rows[i].price);
        assert_int_equal(price->tiers[0].input, rows[i].unit == WEIR_UNIT_NONE ? 50000000 : 0);
        assert_int_equal(price->tiers[0].output, 0);
        assert_int_equal(price->tier_count, 1);
    }
    assert_reported(&imported, "9 rows, 0 prices rounded up, 0 entries left out\n");
    release(&imported);
    import_map(&imported,
               "{\"hear\":" APIECE("audio_transcription", "\"input_cost_per_second\":1.00000000000000001e-3") "}");
    assert_reported(&imported,
                    "rounded up: \"hear\": second: 1.00000000000000001e-3 USD per second is now 1000000000001\n");
    release(&imported);
}

static void tokens_by_modality(void **state) {
    (void)state;
    struct imported imported;
    import_map(
        &imported,
        "{\"all\":{\"mode\":\"chat\",\"input_cost_per_audio_token\":3e-6,\"input_cost_per_image_token\":4e-6,"
        "\"output_cost_per_audio_token\":5e-6,\"output_cost_per_image_token\":6e-6,"
        "\"input_cost_per_audio_token_above_200k_tokens\":7e-6" PRICES "},"
        "\"draw\":" APIECE(
            "image_generation",
            "\"input_cost_per_token\":5e-6,\"input_cost_per_image_token\":1e-5,"
            "\"output_cost_per_image_token\":4e-5,\"output_cost_per_image\":0.25") ","
                                                                                   "\"hear\":" APIECE(
                                                                                       "audio_transcription",
                                                                                       "\"input_cost_per_second\":1e-4,\"input_cost_per_audio_token\":2e-6" PRICES) "}");
    const struct weir_price *price = find(&imported, "", "all");
    assert_non_null(price);
    assert_int_equal(price->tiers[0].input_audio, 3000000000);
    assert_int_equal(price->tiers[0].input_image, 4000000000);
    assert_int_equal(price->tiers[0].output_audio, 5000000000);
    assert_int_equal(price->tiers[0].output_image, 6000000000);
    assert_int_equal(price->tiers[1].input_audio, 7000000000);
    assert_int_equal(price->tiers[1].input_image, 4000000000);
    /* All that comes out are pictures, and an answer need not say so. */
    price = find(&imported, "p", "draw");
    assert_non_null(price);
    assert_true(price->tiers[0].output == 40000000000 && price->tiers[0].output_image == 40000000000);
    assert_int_equal(price->unit, WEIR_UNIT_NONE); /* not twice for the same */
    price = find(&imported, "p", "hear");
    assert_non_null(price);
    assert_int_equal(price->unit, WEIR_UNIT_NONE);
    assert_int_equal(price->tiers[0].input_audio, 2000000000);
    release(&imported);
}

static void assert_variant(const struct imported *imported, const char *provider, const char *model,
                           const char *variant, int64_t unit_price) {
    const struct weir_price *price = weir_prices_find_variant(imported->prices, weir_span_of_string(provider),
                                                              weir_span_of_string(model), weir_span_of_string(variant));
    assert_non_null(price);
    assert_true(price->unit_price == unit_price);
    assert_true(weir_span_equal(price->variant, weir_span_of_string(variant)));
}

#define PICTURE(price) APIECE("image_generation", "\"input_cost_per_image\":" price)

static void pictures_of_one_size(void **state) {
    (void)state;
    struct imported imported;
    import_map(
        &imported,
        "{\"hd/1024-x-1792/painter\":" PICTURE("0.12") ",\"512-x-512/painter\":" PICTURE(
            "0.018") ","
                     "\"p/low/64-x-128/a/b\":" PICTURE("0.5") ",\"painter\":" PICTURE(
                         "0.04") ","
                                 "\"high/64-x-64/by-token\":" PICTURE("0.25") ",\"by-token\":" APIECE(
                                     "image_generation",
                                     "\"input_cost_per_token\":5e-6,\"output_cost_per_token\":4e-5") ","
                                                                                                     "\"512x512/plain\":" PICTURE("1") ",\"512-x-/plain\":" PICTURE("2") ",\"64-x-64/\":" PICTURE(
                                                                                                         "3") ","
                                                                                                              "\"hd/1024-x-1792/chat\":{\"mode\":\"chat\"" PRICES
                                                                                                              "},"
                                                                                                              "\"hd/1024-x-1792/p/painter\":" PICTURE("4") ",\"hd/01024-x-1792/painter\":" PICTURE(
                                                                                                                  "5") ","
                                                                                                                       "\"p/512-x-512/painter\":" PICTURE(
                                                                                                                           "6") "}");
    assert_variant(&imported, "p", "painter", "hd/1024x1792", 120000000000000);
    assert_variant(&imported, "p", "painter", "512x512", 18000000000000);
    assert_variant(&imported, "p", "painter", "", 40000000000000);
    assert_variant(&imported, "p", "a/b", "low/64x128", 500000000000000);
    assert_variant(&imported, "p", "p/painter", "hd/1024x1792", 4000000000000000);
    assert_variant(&imported, "p", "painter", "hd/01024x1792", 5000000000000000);
    assert_non_null(find(&imported, "p", "512x512/plain"));
    assert_non_null(find(&imported, "p", "512-x-/plain"));
    assert_non_null(find(&imported, "p", "64-x-64/"));
    assert_non_null(find(&imported, "", "hd/1024-x-1792/chat"));
    assert_non_null(find(&imported, "p", "by-token"));
    assert_reported(&imported, "left out: \"high/64-x-64/by-token\": its model is charged by the token\n");
    assert_reported(&imported, "left out: \"p/512-x-512/painter\": its provider and model have a row already\n");
    assert_reported(&imported, "11 rows, 0 prices rounded up, 2 entries left out\n");
    release(&imported);
}

static void what_is_no_map_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"",  "[]", "{",          "{\"a\":1e}",
                                        "7", "{}", "{\"a\":{}}", "{\"sample_spec\":{\"x\":1" PRICES "}}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) + 3; i++) {
        struct weir_buffer out;
        struct weir_buffer report;
        struct weir_error error = {.text = ""};
        const char *text = "{\"m\":{\"x\":1" PRICES "}}";
        struct weir_span source = WEIR_SPAN("the map");
        struct weir_span date = WEIR_SPAN("2026-11-01");
        size_t room = 1000;
        enum weir_status expected = WEIR_EINVAL;
        switch (i - sizeof(texts) / sizeof(texts[0])) {
        case 0: source = WEIR_SPAN(""); break;
        case 1: date = WEIR_SPAN("2026-11-1"); break;
        case 2:
            room = 20;
            expected = WEIR_ELIMIT;
            break;
        default: text = texts[i]; break;
        }
        weir_buffer_init(&out, room);
        weir_buffer_init(&report, 1000);
        assert_int_equal(weir_prices_import(weir_span_of_string(text), source, date, &out, &report, &error), expected);
        assert_true(error.text[0] != '\0');
        weir_buffer_release(&out);
        weir_buffer_release(&report);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_entry),        cmocka_unit_test(names_and_what_may_be_absent),
        cmocka_unit_test(odd_numbers),          cmocka_unit_test(entries_that_cannot_be_used),
        cmocka_unit_test(prices_by_the_unit),   cmocka_unit_test(tokens_by_modality),
        cmocka_unit_test(pictures_of_one_size), cmocka_unit_test(what_is_no_map_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
