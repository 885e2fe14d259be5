/* Prices and what a request costs: integers only.
 *
 * A price is milli-CU per 1,000,000 units (1 milli-CU = 1 nano-USD: 2.50 USD per million tokens = 2,500,000,000). A
 * request's cost is one sum in __int128, divided and rounded up once.
 */
#ifndef WEIR_METER_PRICES_H
#define WEIR_METER_PRICES_H

#include "base/buffer.h"
#include "store/ledger.h"

struct weir_prices;

enum { WEIR_PRICE_MAX_TIERS = 4 };
/* Prices from a context size on. */
struct weir_price_tier {
    /* 0 in the first tier; the tier applies to the whole request when its input is larger. */
    int64_t above_input_tokens;
    /* Per 1,000,000; -1: as input (cached, cache_write, input_audio, input_image), as cache_write (cache_write_long) or as
     * output (the rest). */
    int64_t input, cached, cache_write, cache_write_long, input_audio, input_image;
    int64_t output, reasoning, output_audio, output_image;
};
struct weir_price {
    struct weir_span provider; /* empty: any */
    struct weir_span model;
    struct weir_span variant; /* "hd/1024x1792": the row is for calls of that kind alone; empty: any */
    struct weir_span source;  /* where the figures are from */
    struct weir_span date;    /* "2026-11-01" */
    int64_t max_input_tokens, max_output_tokens; /* 0: unknown */
    enum weir_unit unit;                         /* what it charges for besides tokens */
    int64_t unit_price;                          /* per 1,000,000 of them; for sound per 1,000,000 seconds */
    size_t tier_count;
    struct weir_price_tier tiers[WEIR_PRICE_MAX_TIERS];
};

/* Reads our own price file (JSON; see docs/reference/prices.md). WEIR_EINVAL names the row and the field. */
WEIR_MUST enum weir_status weir_prices_read(struct weir_span text, struct weir_prices **prices,
                                            struct weir_error *error);
/* The file that is built in (data/prices.json). */
WEIR_MUST enum weir_status weir_prices_builtin(struct weir_prices **prices, struct weir_error *error);
void weir_prices_free(struct weir_prices **prices);
/* "2026-11-01.1a2b3c4d": date of the newest row and the start of the text's hash. Lives as long as the prices. */
struct weir_span weir_prices_version(const struct weir_prices *prices);
/* The row for that provider and model: exact model first, then the model without a "-YYYY-MM-DD" or "-YYYYMMDD"
 * ending; a row of that provider before a row of any. NULL: unpriced. */
const struct weir_price *weir_prices_find(const struct weir_prices *prices, struct weir_span provider,
                                          struct weir_span model);
/* The same for one kind of call ("hd/1024x1792"): a row of that variant, then one of what follows its first slash
 * ("1024x1792"), then one of none. */
const struct weir_price *weir_prices_find_variant(const struct weir_prices *prices, struct weir_span provider,
                                                  struct weir_span model, struct weir_span variant);
size_t weir_prices_count(const struct weir_prices *prices);
/* Row `index` (below the count), in the order of the file. */
const struct weir_price *weir_prices_at(const struct weir_prices *prices, size_t index);

/* Milli-CU for all of this, tokens and units, rounded up once; saturates at INT64_MAX. NULL price costs 0. A unit that
 * the row does not charge for costs nothing. Negative counts are 0. Where parts exceed their whole, the
 * first ones have theirs and the later ones get what is left: of the input cached, cache_write_long (which is at most
 * cache_write), the rest of cache_write, input_audio, input_image; of the output reasoning, output_audio, output_image. */
int64_t weir_price_cost(const struct weir_price *price, const struct weir_usage *usage);

/* Converts the widely used JSON price map (model -> input_cost_per_token …) into our own file. Decimal texts are
 * converted exactly where they can be; what had to be rounded (up, to a milli-CU per million) is told in `report`, a
 * line each, and counted. */
WEIR_MUST enum weir_status weir_prices_import(struct weir_span text, struct weir_span source, struct weir_span date,
                                              struct weir_buffer *out, struct weir_buffer *report,
                                              struct weir_error *error);

#endif
