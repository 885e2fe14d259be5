/* One entry of the widely used price map while it is turned into a row: what the reading of entries (import_entry.c)
 * gives to the writing of rows (prices_import.c). */
#ifndef WEIR_METER_IMPORT_H
#define WEIR_METER_IMPORT_H

#include "json/scan.h"
#include "meter/impl.h"

enum meter__price_kind {
    METER__PRICE_INPUT,
    METER__PRICE_CACHED,
    METER__PRICE_CACHE_WRITE,
    METER__PRICE_CACHE_WRITE_LONG,
    METER__PRICE_INPUT_AUDIO,
    METER__PRICE_INPUT_IMAGE,
    METER__PRICE_OUTPUT,
    METER__PRICE_REASONING,
    METER__PRICE_OUTPUT_AUDIO,
    METER__PRICE_OUTPUT_IMAGE,
    METER__PRICE_KINDS
};
/* The map does not always know whether what is counted goes in or comes out. */
enum meter__unit_kind {
    METER__UNIT_IMAGE_IN,
    METER__UNIT_IMAGE_OUT,
    METER__UNIT_CHARACTER_IN,
    METER__UNIT_CHARACTER_OUT,
    METER__UNIT_SECOND_IN,
    METER__UNIT_SECOND_OUT,
    METER__UNIT_QUERY_IN,
    METER__UNIT_KINDS
};
/* The modes that have an endpoint here, and which of an entry's prices by the unit counts: the first that is above 0,
 * or the first that is there. Under other modes the same names mean something else (a picture in a prompt), or the
 * tokens are not what the answers count. */
struct meter__mode {
    const char *name;
    bool may_lack_output;
    bool has_variants;
    size_t unit_count;
    enum meter__unit_kind units[4];
};
struct meter__tier {
    int64_t above;
    int64_t prices[METER__PRICE_KINDS];                /* -1: absent */
    struct weir_span rounded_from[METER__PRICE_KINDS]; /* the map's text; empty where the price is exact */
};

/* One entry of the map while it is read. `why` is set when it cannot be used. */
struct meter__entry {
    const char *why;
    char key[METER_MAX_NAME_BYTES + 1]; /* decoded */
    size_t key_length;
    char variant[METER_MAX_NAME_BYTES + 1]; /* a part of the key, a byte or more shorter */
    char provider[METER_MAX_NAME_BYTES];
    size_t provider_length;
    char source[METER_MAX_SOURCE_BYTES];
    size_t source_length;
    bool has_mode;
    const struct meter__mode *mode;   /* NULL: none that is known here */
    int64_t units[METER__UNIT_KINDS]; /* -1: absent */
    struct weir_span unit_rounded_from[METER__UNIT_KINDS];
    int unit; /* enum meter__unit_kind of the price that counts; -1: none */
    int64_t max_input, max_output, max_tokens;
    size_t tier_count; /* tiers[0] is the row's own */
    struct meter__tier tiers[WEIR_PRICE_MAX_TIERS];
};

/* The name of a price in our file. */
const char *meter__price_name(enum meter__price_kind kind);
const char *meter__unit_name(enum meter__unit_kind kind);
/* Always fills *entry; `why` says where it cannot be used. Spans point into the map. */
void meter__entry_read(struct weir_span key, const struct weir_json_found *value, struct meter__entry *entry);
/* "hd/1024-x-1792/dall-e-3" is dall-e-3, variant hd/1024x1792 (which lives in the entry); otherwise *model stays and
 * *variant is empty. False: the entry cannot be used, and its `why` says so. */
WEIR_MUST bool meter__entry_split(struct meter__entry *entry, struct weir_span *model, struct weir_span *variant);
bool meter__entry_is_charged_by_the_token(const struct meter__entry *entry);

#endif
