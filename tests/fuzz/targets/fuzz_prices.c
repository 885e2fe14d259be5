/* links: base json meter */
/* Price files and price maps from anywhere.
 *
 * The first byte chooses: read as our own file, or import as a map. What an import writes must read back as our own
 * file, with as many rows as the report counts. Each row that was read is found by its provider and model, also with
 * a date after the model's name where no row has that name; a cost never falls when tokens are added, and never is
 * negative.
 */
#include "meter/prices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_costs(const struct weir_price *price) {
    static const int64_t counts[] = {0, 1, 999, 100001, 272001, 1000000000, INT64_MAX};
    int64_t before = 0;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        /* All of one kind and a single tier: more tokens cannot cost less. */
        const struct weir_usage tokens = {.input = 1, .output = counts[i]};
        int64_t cost = weir_price_cost(price, &tokens);
        require(cost >= before);
        before = cost;
        const struct weir_usage odd = {.input = counts[i],
                                       .cached = INT64_MAX,
                                       .cache_write = INT64_MAX,
                                       .cache_write_long = INT64_MAX,
                                       .output = -counts[i],
                                       .reasoning = counts[i]};
        require(weir_price_cost(price, &odd) >= 0);
        /* Units of the row's own cost as much as they cost alone, rounding aside. */
        const struct weir_usage units = {.unit = price->unit, .units = counts[i]};
        const struct weir_usage both = {.output = counts[i], .unit = price->unit, .units = counts[i]};
        const struct weir_usage output = {.output = counts[i]};
        int64_t apart = weir_price_cost(price, &units), with = weir_price_cost(price, &both);
        int64_t without = weir_price_cost(price, &output);
        require(with >= without && with >= apart);
        require(with == INT64_MAX || (with - without <= apart && with - without >= apart - 1));
    }
}

static void check_prices(const struct weir_prices *prices) {
    size_t count = weir_prices_count(prices);
    require(count > 0 && weir_prices_version(prices).length == 19);
    for (size_t i = 0; i < count; i++) {
        const struct weir_price *price = weir_prices_at(prices, i);
        require(weir_prices_find_variant(prices, price->provider, price->model, price->variant) == price);
        require(price->unit == WEIR_UNIT_NONE ? price->unit_price == 0 : price->unit_price >= 0);
        if (price->variant.length > 0)
            continue;
        require(weir_prices_find(prices, price->provider, price->model) == price);
        require(price->tier_count >= 1 && price->tier_count <= WEIR_PRICE_MAX_TIERS);
        require(price->tiers[0].above_input_tokens == 0);
        for (size_t tier = 1; tier < price->tier_count; tier++)
            require(price->tiers[tier].above_input_tokens > price->tiers[tier - 1].above_input_tokens);
        char dated[300];
        int length = snprintf(dated, sizeof(dated), "%.*s-2031-12-31", WEIR_SPAN_PRINT(price->model));
        const struct weir_price *found = weir_prices_find(prices, price->provider, weir_span_of(dated, (size_t)length));
        require(found == price || (found != NULL && found->model.length == (size_t)length));
        check_costs(price);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    char *copy = malloc(size);
    require(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    struct weir_span text = weir_span_of(copy, size - 1);
    struct weir_prices *prices = NULL;
    struct weir_error error = {.text = ""};
    if ((data[0] & 1) == 0) {
        enum weir_status status = weir_prices_read(text, &prices, &error);
        require((status == WEIR_OK) == (prices != NULL));
        require(status == WEIR_OK || error.text[0] != '\0');
    } else {
        struct weir_buffer out;
        struct weir_buffer report;
        weir_buffer_init(&out, 1 << 24);
        weir_buffer_init(&report, 1 << 24);
        if (weir_prices_import(text, WEIR_SPAN("a map"), WEIR_SPAN("2026-11-01"), &out, &report, &error) == WEIR_OK)
            require(weir_prices_read(weir_buffer_span(&out), &prices, &error) == WEIR_OK);
        else
            require(error.text[0] != '\0');
        weir_buffer_release(&out);
        weir_buffer_release(&report);
    }
    if (prices != NULL)
        check_prices(prices);
    weir_prices_free(&prices);
    free(copy);
    return 0;
}
