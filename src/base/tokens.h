/* Token counts of one call, in the inclusive sense of the OpenAI family (docs/architecture.md, "Usage"). */
#ifndef WEIR_BASE_TOKENS_H
#define WEIR_BASE_TOKENS_H

#include <stdint.h>

struct weir_tokens {
    int64_t input;       /* all prompt tokens, cached ones included */
    int64_t cached;      /* of input: read from a cache */
    int64_t cache_write; /* of input: written to a cache */
    int64_t output;      /* all completion tokens, reasoning included */
    int64_t reasoning;   /* of output */
};

#endif
