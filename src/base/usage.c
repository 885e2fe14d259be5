/* The names of what is billed. */
#include "base/usage.h"

const char *weir_unit_name(enum weir_unit unit) {
    static const char *const names[] = {
        [WEIR_UNIT_NONE] = "none",           [WEIR_UNIT_IMAGE] = "image",   [WEIR_UNIT_AUDIO_MS] = "audio_ms",
        [WEIR_UNIT_CHARACTER] = "character", [WEIR_UNIT_SEARCH] = "search",
    };
    return (unsigned)unit < sizeof names / sizeof *names ? names[unit] : "none";
}
