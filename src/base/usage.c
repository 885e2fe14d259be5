/* The names of what is billed, and two counts of one call. */
#include "base/usage.h"

static void keep_more(int64_t *value, int64_t other) {
    if (other > *value)
        *value = other;
}

void weir_usage_keep_most(struct weir_usage *usage, const struct weir_usage *other) {
    keep_more(&usage->input, other->input);
    keep_more(&usage->cached, other->cached);
    keep_more(&usage->cache_write, other->cache_write);
    keep_more(&usage->cache_write_long, other->cache_write_long);
    keep_more(&usage->input_audio, other->input_audio);
    keep_more(&usage->input_image, other->input_image);
    keep_more(&usage->output, other->output);
    keep_more(&usage->reasoning, other->reasoning);
    keep_more(&usage->output_audio, other->output_audio);
    keep_more(&usage->output_image, other->output_image);
}

const char *weir_unit_name(enum weir_unit unit) {
    static const char *const names[] = {
        [WEIR_UNIT_NONE] = "none",           [WEIR_UNIT_IMAGE] = "image",   [WEIR_UNIT_AUDIO_MS] = "audio_ms",
        [WEIR_UNIT_CHARACTER] = "character", [WEIR_UNIT_SEARCH] = "search",
    };
    return (unsigned)unit < sizeof names / sizeof *names ? names[unit] : "none";
}
