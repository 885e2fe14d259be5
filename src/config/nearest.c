/* The name that was probably meant: Damerau-Levenshtein distance (optimal string alignment), letters' case ignored.
 *
 * Words are short, so three rows on the stack do; longer words are never near. */
#include "config/impl.h"

static unsigned char lower(char byte) {
    return (unsigned char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t distance(struct weir_span a, struct weir_span b) {
    size_t rows[3][CONFIG__MAX_WORD_BYTES + 1];
    size_t *before = rows[0], *previous = rows[1], *current = rows[2];
    for (size_t j = 0; j <= b.length; j++) {
        previous[j] = j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= a.length; i++) {
        current[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            size_t changed = lower(a.at[i - 1]) == lower(b.at[j - 1]) ? 0 : 1;
            size_t cost = least(least(previous[j] + 1, current[j - 1] + 1), previous[j - 1] + changed);
            if (i > 1 && j > 1 && lower(a.at[i - 1]) == lower(b.at[j - 2]) && lower(a.at[i - 2]) == lower(b.at[j - 1]))
                cost = least(cost, before[j - 2] + 1);
            current[j] = cost;
        }
        size_t *free_row = before;
        before = previous;
        previous = current;
        current = free_row;
    }
    return previous[b.length];
}

const char *weir_config_nearest(struct weir_span word, const char *const *candidates, size_t count) {
    const char *nearest = NULL;
    if (word.length == 0 || word.length > CONFIG__MAX_WORD_BYTES)
        return NULL;
    size_t best = 1 + word.length / 3;
    for (size_t i = 0; i < count; i++) {
        struct weir_span candidate = weir_span_of_string(candidates[i]);
        if (candidate.length == 0 || candidate.length > CONFIG__MAX_WORD_BYTES)
            continue;
        size_t apart = distance(word, candidate);
        if (apart < best || (apart == best && nearest == NULL)) {
            best = apart;
            nearest = candidates[i];
        }
    }
    return nearest;
}
