/* What the files of this folder share about the price file: its words, its limits, and the copy that is built in. */
#ifndef WEIR_METER_IMPL_H
#define WEIR_METER_IMPL_H

#include "base/limits.h"
#include "meter/prices.h"

#define METER_PRICE_FORMAT "weir-prices-1" /* value of "format" in a price file */

#define METER_MAX_PRICE_FILE_BYTES (16 * WEIR_MIB)
#define METER_MAX_PRICE_ROWS ((size_t)20000)
#define METER_MAX_NAME_BYTES ((size_t)200) /* a provider's or model's name */
#define METER_MAX_SOURCE_BYTES ((size_t)500)

/* data/prices.json, embedded by the build. */
extern const unsigned char meter__builtin_prices[];
extern const size_t meter__builtin_prices_length;

/* "2026-11-01": four, two and two digits, with a month and a day that can be. */
bool meter__is_date(struct weir_span text);
/* The length of a "-YYYY-MM-DD" or "-YYYYMMDD" at a model's end, or 0. */
size_t meter__date_ending(struct weir_span model);
/* Not empty, within `most` bytes, without control bytes. */
bool meter__is_name(struct weir_span text, size_t most);

#endif
