/* What a request costs: one sum over its five kinds of tokens, in integers wide enough that it cannot overflow, divided
 * and rounded up once at the end. Never floating point, and never a fraction lost on the way.
 */
#include "meter/prices.h"

__extension__ typedef unsigned __int128 wide;

static const wide PRICE_UNIT = 1000000; /* prices are per a million tokens */

static int64_t clamp(int64_t value, int64_t most) {
    if (value < 0)
        return 0;
    return value > most ? most : value;
}

/* The last tier that begins below this many input tokens. */
static const struct weir_price_tier *choose_tier(const struct weir_price *price, int64_t input) {
    const struct weir_price_tier *tier = &price->tiers[0];
    for (size_t i = 1; i < price->tier_count; i++)
        if (input > price->tiers[i].above_input_tokens)
            tier = &price->tiers[i];
    return tier;
}

static wide charge(int64_t tokens, int64_t price, int64_t otherwise) {
    if (price < 0)
        price = otherwise > 0 ? otherwise : 0;
    return (wide)tokens * (wide)price;
}

int64_t weir_price_cost(const struct weir_price *price, const struct weir_usage *tokens) {
    if (price == NULL || price->tier_count == 0)
        return 0;
    int64_t input = clamp(tokens->input, INT64_MAX);
    int64_t cached = clamp(tokens->cached, input);
    int64_t cache_write = clamp(tokens->cache_write, input - cached);
    int64_t output = clamp(tokens->output, INT64_MAX);
    int64_t reasoning = clamp(tokens->reasoning, output);
    const struct weir_price_tier *tier = choose_tier(price, input);
    /* The parts of the input are at most 2^63 - 1 together, and so are those of the output: the sum is below 2^127. */
    wide sum = charge(input - cached - cache_write, tier->input, 0) + charge(cached, tier->cached, tier->input) +
               charge(cache_write, tier->cache_write, tier->input) + charge(output - reasoning, tier->output, 0) +
               charge(reasoning, tier->reasoning, tier->output);
    wide cost = (sum + PRICE_UNIT - 1) / PRICE_UNIT;
    return cost > (wide)INT64_MAX ? INT64_MAX : (int64_t)cost;
}
