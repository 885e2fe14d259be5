/* What one call has used, in the inclusive sense of the OpenAI family (docs/architecture.md, "Usage"): tokens by what they stand for, and, where a
 * provider bills by something else, how much of that. */
#ifndef WEIR_BASE_USAGE_H
#define WEIR_BASE_USAGE_H

#include <stdint.h>

/* What is billed besides tokens; an endpoint has one at most. */
enum weir_unit {
    WEIR_UNIT_NONE = 0,
    WEIR_UNIT_IMAGE,     /* pictures made */
    WEIR_UNIT_AUDIO_MS,  /* milliseconds of sound heard or spoken */
    WEIR_UNIT_CHARACTER, /* characters (code points) spoken */
    WEIR_UNIT_SEARCH     /* searches ranked */
};

struct weir_usage {
    int64_t input;            /* all prompt tokens, cached ones included */
    int64_t cached;           /* of input: read from a cache */
    int64_t cache_write;      /* of input: written to a cache */
    int64_t cache_write_long; /* of cache_write: to be kept for an hour; priced here, and not kept in the ledger */
    int64_t input_audio;      /* of input: sound */
    int64_t input_image;      /* of input: pictures */
    int64_t output;           /* all completion tokens, reasoning included */
    int64_t reasoning;        /* of output */
    int64_t output_audio;     /* of output: sound */
    int64_t output_image;     /* of output: pictures */
    int64_t units;            /* how many of `unit` */
    enum weir_unit unit;
};

/* Of two counts of one call the higher figures: where a provider tells of it several times, and not of all each time. */
void weir_usage_keep_most(struct weir_usage *usage, const struct weir_usage *other);

/* "none", "image", "audio_ms", "character", "search"; lives forever. */
const char *weir_unit_name(enum weir_unit unit);

#endif
