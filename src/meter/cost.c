/* What a request costs: one sum over its kinds of tokens and its units, in integers wide enough that it cannot
 * overflow, divided and rounded up once at the end. Never floating point, and never a fraction lost on the way.
 */
#include "meter/prices.h"

__extension__ typedef unsigned __int128 wide;

static const wide PRICE_UNIT = 1000000;          /* prices are per a million */
static const wide SOUND_PRICE_UNIT = 1000000000; /* of seconds, while sound is counted in milliseconds */

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

struct part {
    int64_t tokens; /* that the call says are of this kind */
    int64_t price;  /* -1: as the rest */
};

/* A whole and its parts, each token once: a part gets what it says, but no more than the parts before it have left;
 * what remains is the rest. So what is charged for adds up to the whole: below 2^63 tokens at below 2^63 each, a sum
 * below 2^126. */
static wide charge(int64_t whole, int64_t price, const struct part *parts, size_t count) {
    int64_t left = clamp(whole, INT64_MAX);
    wide rest_price = price > 0 ? (wide)price : 0;
    wide sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].tokens <= 0)
            continue;
        int64_t tokens = clamp(parts[i].tokens, left);
        left -= tokens;
        sum += (wide)tokens * (parts[i].price >= 0 ? (wide)parts[i].price : rest_price);
    }
    return sum + (wide)left * rest_price;
}

int64_t weir_price_cost(const struct weir_price *price, const struct weir_usage *usage) {
    if (price == NULL || price->tier_count == 0)
        return 0;
    const struct weir_price_tier *tier = choose_tier(price, clamp(usage->input, INT64_MAX));
    /* What is known to be cached comes before what it stands for: caches have one price, whatever they hold. */
    int64_t written = clamp(usage->cache_write, INT64_MAX), written_long = clamp(usage->cache_write_long, written);
    const struct part input[] = {{usage->cached, tier->cached},
                                 {written_long,
                                  tier->cache_write_long >= 0 ? tier->cache_write_long : tier->cache_write},
                                 {written - written_long, tier->cache_write},
                                 {usage->input_audio, tier->input_audio},
                                 {usage->input_image, tier->input_image}};
    const struct part output[] = {{usage->reasoning, tier->reasoning},
                                  {usage->output_audio, tier->output_audio},
                                  {usage->output_image, tier->output_image}};
    wide sum = charge(usage->input, tier->input, input, sizeof(input) / sizeof(input[0])) +
               charge(usage->output, tier->output, output, sizeof(output) / sizeof(output[0]));
    wide sound = 0;
    if (usage->unit != WEIR_UNIT_NONE && usage->unit == price->unit) {
        wide units = (wide)clamp(usage->units, INT64_MAX) * (wide)clamp(price->unit_price, INT64_MAX);
        if (usage->unit == WEIR_UNIT_AUDIO_MS) {
            sound = units;
        } else {
            sum += units;
        }
    }
    if (sound == 0) { /* nearly always; one division of this width costs as much as all the rest */
        wide cost = (sum + PRICE_UNIT - 1) / PRICE_UNIT;
        return cost > (wide)INT64_MAX ? INT64_MAX : (int64_t)cost;
    }
    /* `sum` is below 3 * 2^126 and `sound` below 2^126. They are of different fineness, and bringing `sum` to the finer
     * one could overflow; so the whole milli-CU of both are added apart from what is left over of both, which is below
     * 2 * 10^9 and is rounded up once. The total is below 2^128 / 10^6. */
    wide left_over = sum % PRICE_UNIT * (SOUND_PRICE_UNIT / PRICE_UNIT) + sound % SOUND_PRICE_UNIT;
    wide cost = sum / PRICE_UNIT + sound / SOUND_PRICE_UNIT + (left_over + SOUND_PRICE_UNIT - 1) / SOUND_PRICE_UNIT;
    return cost > (wide)INT64_MAX ? INT64_MAX : (int64_t)cost;
}
