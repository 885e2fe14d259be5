/* What a request costs, against counting token by token with numbers small enough for plain integers. */
#include "meter/prices.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct weir_price one_tier(int64_t input, int64_t cached, int64_t cache_write, int64_t output,
                                  int64_t reasoning) {
    return (struct weir_price){
        .tier_count = 1,
        .tiers = {
            {.input = input, .cached = cached, .cache_write = cache_write, .output = output, .reasoning = reasoning}}};
}

static void everyday_prices(void **state) {
    (void)state;
    const struct weir_price price = one_tier(2500000000, 1250000000, -1, 10000000000, -1);
    struct weir_usage tokens = {.input = 1000, .cached = 200, .output = 100};
    /* 800 * 2500 + 200 * 1250 + 100 * 10000 milli-CU */
    assert_int_equal(weir_price_cost(&price, &tokens), 3250000);
    tokens = (struct weir_usage){.input = 1000000};
    assert_int_equal(weir_price_cost(&price, &tokens), 2500000000);
    tokens = (struct weir_usage){0};
    assert_int_equal(weir_price_cost(&price, &tokens), 0);
    tokens.input = 5;
    assert_int_equal(weir_price_cost(NULL, &tokens), 0);
}

static void rounds_up_once(void **state) {
    (void)state;
    const struct weir_price price = one_tier(1, 1, 1, 1, 1);
    struct weir_usage tokens = {.input = 1};
    assert_int_equal(weir_price_cost(&price, &tokens), 1);
    tokens = (struct weir_usage){.input = 3, .cached = 1, .cache_write = 1, .output = 2, .reasoning = 1};
    assert_int_equal(weir_price_cost(&price, &tokens), 1); /* five parts, one rounding */
    tokens = (struct weir_usage){.input = 999999, .output = 1};
    assert_int_equal(weir_price_cost(&price, &tokens), 1);
    tokens.output = 2;
    assert_int_equal(weir_price_cost(&price, &tokens), 2);
}

static void free_is_not_as_input(void **state) {
    (void)state;
    const struct weir_price zero = one_tier(1000000, 0, 0, 2000000, 0);
    const struct weir_price absent = one_tier(1000000, -1, -1, 2000000, -1);
    const struct weir_usage tokens = {.input = 10, .cached = 4, .cache_write = 3, .output = 10, .reasoning = 5};
    assert_int_equal(weir_price_cost(&zero, &tokens), 3 + 10);
    assert_int_equal(weir_price_cost(&absent, &tokens), 10 + 20);
}

static void odd_counts_are_clamped(void **state) {
    (void)state;
    const struct weir_price price = one_tier(10000000, 1000000, 20000000, 30000000, 40000000);
    struct weir_usage tokens = {.input = 10, .cached = 50};
    assert_int_equal(weir_price_cost(&price, &tokens), 10);
    tokens = (struct weir_usage){.input = 10, .cached = 6, .cache_write = 6};
    assert_int_equal(weir_price_cost(&price, &tokens), 6 + 4 * 20);
    tokens = (struct weir_usage){.output = 3, .reasoning = 9};
    assert_int_equal(weir_price_cost(&price, &tokens), 120);
    tokens = (struct weir_usage){.input = -1, .cached = 7, .cache_write = 7, .output = -5, .reasoning = 7};
    assert_int_equal(weir_price_cost(&price, &tokens), 0);
    tokens = (struct weir_usage){
        .input = 4, .cached = INT64_MIN, .cache_write = INT64_MIN, .output = 1, .reasoning = INT64_MIN};
    assert_int_equal(weir_price_cost(&price, &tokens), 70);
}

static void saturates(void **state) {
    (void)state;
    const struct weir_price dearest = one_tier(INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
    struct weir_usage tokens = {.input = INT64_MAX,
                                .cached = INT64_MAX / 3,
                                .cache_write = INT64_MAX / 3,
                                .output = INT64_MAX,
                                .reasoning = INT64_MAX / 2};
    assert_true(weir_price_cost(&dearest, &tokens) == INT64_MAX);
    tokens = (struct weir_usage){.input = 1000000};
    assert_true(weir_price_cost(&dearest, &tokens) == INT64_MAX);
    tokens = (struct weir_usage){.input = 1000001};
    assert_true(weir_price_cost(&dearest, &tokens) == INT64_MAX);
    tokens = (struct weir_usage){.input = 999999};
    assert_true(weir_price_cost(&dearest, &tokens) == 9223362813482738953); /* ceil((2^63 - 1) * 0.999999) */
    const struct weir_price smallest = one_tier(1000000, -1, -1, 0, -1);
    tokens = (struct weir_usage){.input = INT64_MAX};
    assert_true(weir_price_cost(&smallest, &tokens) == INT64_MAX);
}

static void the_tier_is_chosen_by_the_whole_input(void **state) {
    (void)state;
    const struct weir_price price = {.tier_count = 3,
                                     .tiers = {{.above_input_tokens = 0,
                                                .input = 1000000,
                                                .cached = -1,
                                                .cache_write = -1,
                                                .output = 1000000,
                                                .reasoning = -1},
                                               {.above_input_tokens = 100,
                                                .input = 2000000,
                                                .cached = 1000000,
                                                .cache_write = -1,
                                                .output = 3000000,
                                                .reasoning = -1},
                                               {.above_input_tokens = 200,
                                                .input = 5000000,
                                                .cached = -1,
                                                .cache_write = -1,
                                                .output = 7000000,
                                                .reasoning = 1000000}}};
    struct weir_usage tokens = {.input = 100, .output = 1};
    assert_int_equal(weir_price_cost(&price, &tokens), 101);
    tokens.input = 101; /* all of it at the second tier's price, the output too */
    assert_int_equal(weir_price_cost(&price, &tokens), 202 + 3);
    tokens.cached = 101;
    assert_int_equal(weir_price_cost(&price, &tokens), 101 + 3);
    tokens = (struct weir_usage){.input = 200, .output = 1};
    assert_int_equal(weir_price_cost(&price, &tokens), 403);
    tokens = (struct weir_usage){.input = 201, .output = 1000000, .reasoning = 1};
    assert_int_equal(weir_price_cost(&price, &tokens), 1005 + 7 * 999999 + 1);
    tokens = (struct weir_usage){.input = 0, .output = 1000000};
    assert_int_equal(weir_price_cost(&price, &tokens), 1000000);
}

/* The same, token by token: each pays its price, the sum is rounded up to a milli-CU. */
static int64_t count_one_by_one(const struct weir_price_tier *tier, const struct weir_usage *tokens) {
    int64_t sum = 0;
    int64_t cached = tokens->cached;
    int64_t cache_write = tokens->cache_write;
    int64_t reasoning = tokens->reasoning;
    for (int64_t i = 0; i < tokens->input; i++) {
        int64_t price = tier->input;
        if (cached > 0) {
            cached--;
            if (tier->cached >= 0)
                price = tier->cached;
        } else if (cache_write > 0) {
            cache_write--;
            if (tier->cache_write >= 0)
                price = tier->cache_write;
        }
        sum += price;
    }
    for (int64_t i = 0; i < tokens->output; i++) {
        int64_t price = tier->output;
        if (reasoning > 0) {
            reasoning--;
            if (tier->reasoning >= 0)
                price = tier->reasoning;
        }
        sum += price;
    }
    int64_t cost = sum / 1000000;
    return cost * 1000000 < sum ? cost + 1 : cost;
}

static void agrees_with_counting_one_by_one(void **state) {
    (void)state;
    uint64_t random = 0x9E3779B97F4A7C15U;
    for (int round = 0; round < 20000; round++) {
        int64_t numbers[10];
        for (size_t i = 0; i < 10; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            numbers[i] = i < 5 ? (int64_t)(random >> 8 & 0x3FFFFF) * ((random & 3) != 0) -
                                     ((random & 3) == 1 && i != 0 && i != 3)
                               : (int64_t)(random >> 8 & 31) - 4;
        }
        if (numbers[0] < 0)
            numbers[0] = 0;
        for (size_t i = 1; i < 5; i++)
            if (numbers[i] < 0)
                numbers[i] = i == 3 ? 0 : -1;
        const struct weir_price price = one_tier(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]);
        const struct weir_usage tokens = {.input = numbers[5],
                                          .cached = numbers[6],
                                          .cache_write = numbers[7],
                                          .output = numbers[8],
                                          .reasoning = numbers[9]};
        assert_int_equal(weir_price_cost(&price, &tokens), count_one_by_one(&price.tiers[0], &tokens));
    }
}

/* --- modalities and units --- */
static void modalities_have_their_prices(void **state) {
    (void)state;
    struct weir_price price = one_tier(1000000, 100000, 2000000, 10000000, 20000000);
    struct weir_price_tier *tier = &price.tiers[0];
    tier->input_audio = 3000000;
    tier->input_image = 4000000;
    tier->output_audio = 30000000;
    tier->output_image = 40000000;
    struct weir_usage usage = {.input = 100, .cached = 10, .cache_write = 20, .input_audio = 30, .input_image = 15};
    assert_int_equal(weir_price_cost(&price, &usage), 1 + 40 + 90 + 60 + 25);
    usage = (struct weir_usage){.output = 100, .reasoning = 10, .output_audio = 20, .output_image = 30};
    assert_int_equal(weir_price_cost(&price, &usage), 200 + 600 + 1200 + 400);
    tier->input_audio = tier->output_audio = tier->output_image = -1;
    tier->input_image = 0;
    usage = (struct weir_usage){.input = 10, .input_audio = 5, .input_image = 5, .output = 10, .output_audio = 10};
    assert_int_equal(weir_price_cost(&price, &usage), 5 + 100);
}

/* Writes for an hour are a part of all writes, and cost as these where they have no price of their own. */
static void writes_for_an_hour_have_their_price(void **state) {
    (void)state;
    struct weir_price price = one_tier(1000000, 100000, 1250000, 10000000, -1);
    price.tiers[0].cache_write_long = 2000000;
    struct weir_usage usage = {.input = 100, .cached = 10, .cache_write = 40, .cache_write_long = 28};
    assert_int_equal(weir_price_cost(&price, &usage), 1 + 56 + 15 + 50);
    usage.cache_write_long = 1000; /* more than was written at all */
    assert_int_equal(weir_price_cost(&price, &usage), 1 + 80 + 50);
    usage.cache_write_long = INT64_MIN;
    assert_int_equal(weir_price_cost(&price, &usage), 1 + 50 + 50);
    usage = (struct weir_usage){.input = 100, .cache_write_long = 28};
    assert_int_equal(weir_price_cost(&price, &usage), 100);
    price.tiers[0].cache_write_long = -1;
    usage = (struct weir_usage){.input = 100, .cache_write = 40, .cache_write_long = 28};
    assert_int_equal(weir_price_cost(&price, &usage), 50 + 60);
    price.tiers[0].cache_write = -1;
    assert_int_equal(weir_price_cost(&price, &usage), 100);
}

/* The parts never exceed the whole; who comes first has his. */
static void odd_modalities_are_clamped(void **state) {
    (void)state;
    struct weir_price price = one_tier(1000000, 100000, 2000000, 10000000, 20000000);
    price.tiers[0].input_audio = 3000000;
    price.tiers[0].input_image = 4000000;
    price.tiers[0].output_audio = 30000000;
    price.tiers[0].output_image = 40000000;
    struct weir_usage usage = {.input = 10, .input_audio = 30, .input_image = 30};
    assert_int_equal(weir_price_cost(&price, &usage), 30);
    usage = (struct weir_usage){.input = 10, .cached = 10, .input_audio = 10, .input_image = 10};
    assert_int_equal(weir_price_cost(&price, &usage), 1);
    usage = (struct weir_usage){.input = 10, .cache_write = 4, .input_audio = 4, .input_image = 4};
    assert_int_equal(weir_price_cost(&price, &usage), 8 + 12 + 8);
    usage = (struct weir_usage){.output = 10, .reasoning = 4, .output_audio = 4, .output_image = 4};
    assert_int_equal(weir_price_cost(&price, &usage), 80 + 120 + 80);
    usage = (struct weir_usage){.input_audio = 5, .output_image = 5};
    assert_int_equal(weir_price_cost(&price, &usage), 0);
    usage = (struct weir_usage){.input = 1, .input_audio = INT64_MIN, .output = 1, .output_image = -1};
    assert_int_equal(weir_price_cost(&price, &usage), 1 + 10);
}

static void units_are_charged(void **state) {
    (void)state;
    struct weir_price price = one_tier(0, -1, -1, 0, -1);
    price.unit = WEIR_UNIT_IMAGE;
    price.unit_price = 40000000000000; /* 0.04 USD each */
    struct weir_usage usage = {.unit = WEIR_UNIT_IMAGE, .units = 3};
    assert_int_equal(weir_price_cost(&price, &usage), 120000000);
    usage.units = -3;
    assert_int_equal(weir_price_cost(&price, &usage), 0);
    usage = (struct weir_usage){.unit = WEIR_UNIT_SEARCH, .units = 3, .input = 1000000};
    assert_int_equal(weir_price_cost(&price, &usage), 0); /* not what this row charges for */
    price.tiers[0].input = 5;
    assert_int_equal(weir_price_cost(&price, &usage), 5); /* the tokens stay */
    usage.unit = WEIR_UNIT_IMAGE;
    assert_int_equal(weir_price_cost(&price, &usage), 120000005);
    price.unit = usage.unit = WEIR_UNIT_NONE;
    assert_int_equal(weir_price_cost(&price, &usage), 5);
    price = one_tier(0, -1, -1, 0, -1);
    price.unit = usage.unit = WEIR_UNIT_AUDIO_MS;
    price.unit_price = 100000000000; /* 0.0001 USD a second */
    usage = (struct weir_usage){.unit = WEIR_UNIT_AUDIO_MS, .units = 60000};
    assert_int_equal(weir_price_cost(&price, &usage), 6000000);
    usage.units = 1;
    assert_int_equal(weir_price_cost(&price, &usage), 100);
}

/* Tokens are counted in millionths, sound in thousands of millionths; what is left over of both is rounded once. */
static void both_are_rounded_together(void **state) {
    (void)state;
    struct weir_price price = one_tier(1, -1, -1, 1, -1);
    price.unit = WEIR_UNIT_AUDIO_MS;
    price.unit_price = 1;
    struct weir_usage usage = {.unit = WEIR_UNIT_AUDIO_MS, .units = 1};
    assert_int_equal(weir_price_cost(&price, &usage), 1);
    usage.input = 999999; /* 0.999999 + 0.000001 */
    usage.units = 1000;
    assert_int_equal(weir_price_cost(&price, &usage), 1);
    usage.units = 1001;
    assert_int_equal(weir_price_cost(&price, &usage), 2);
    usage.units = 1000000999;
    assert_int_equal(weir_price_cost(&price, &usage), 2);
    usage.units = 1000001001;
    assert_int_equal(weir_price_cost(&price, &usage), 3);
    price.unit = usage.unit = WEIR_UNIT_CHARACTER;
    usage.units = 1;
    assert_int_equal(weir_price_cost(&price, &usage), 1);
    usage.units = 2;
    assert_int_equal(weir_price_cost(&price, &usage), 2);
}

static void everything_at_its_largest_saturates(void **state) {
    (void)state;
    struct weir_price price = one_tier(INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
    price.tiers[0].input_audio = price.tiers[0].input_image = INT64_MAX;
    price.tiers[0].output_audio = price.tiers[0].output_image = INT64_MAX;
    price.unit_price = INT64_MAX;
    const enum weir_unit units[] = {WEIR_UNIT_IMAGE, WEIR_UNIT_AUDIO_MS, WEIR_UNIT_CHARACTER, WEIR_UNIT_SEARCH};
    for (size_t i = 0; i < 4; i++) {
        price.unit = units[i];
        struct weir_usage usage = {.input = INT64_MAX,
                                   .input_audio = INT64_MAX / 2,
                                   .input_image = INT64_MAX,
                                   .output = INT64_MAX,
                                   .output_audio = INT64_MAX / 2,
                                   .output_image = INT64_MAX,
                                   .unit = units[i],
                                   .units = INT64_MAX};
        assert_true(weir_price_cost(&price, &usage) == INT64_MAX);
        usage = (struct weir_usage){.unit = units[i], .units = units[i] == WEIR_UNIT_AUDIO_MS ? 1000000000 : 1000000};
        assert_true(weir_price_cost(&price, &usage) == INT64_MAX);
        usage.units--;
        assert_true(weir_price_cost(&price, &usage) < INT64_MAX);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyday_prices),
        cmocka_unit_test(rounds_up_once),
        cmocka_unit_test(free_is_not_as_input),
        cmocka_unit_test(odd_counts_are_clamped),
        cmocka_unit_test(saturates),
        cmocka_unit_test(the_tier_is_chosen_by_the_whole_input),
        cmocka_unit_test(modalities_have_their_prices),
        cmocka_unit_test(writes_for_an_hour_have_their_price),
        cmocka_unit_test(odd_modalities_are_clamped),
        cmocka_unit_test(units_are_charged),
        cmocka_unit_test(both_are_rounded_together),
        cmocka_unit_test(everything_at_its_largest_saturates),
        cmocka_unit_test(agrees_with_counting_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
