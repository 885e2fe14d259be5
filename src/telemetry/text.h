/* Text of others in our output: what is a valid UTF-8 character. */
#ifndef WEIR_TELEMETRY_TEXT_H
#define WEIR_TELEMETRY_TEXT_H

#include "base/span.h"

/* The number of bytes of the character at `at` (which is below the length), or 0 when it is not valid UTF-8. */
static inline size_t telemetry__character(struct weir_span text, size_t at) {
    const unsigned char *bytes = (const unsigned char *)text.at + at;
    size_t left = text.length - at;
    if (bytes[0] < 0x80)
        return 1;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4 || left < 2 || (bytes[1] & 0xc0) != 0x80)
        return 0;
    if (bytes[0] < 0xe0)
        return 2;
    if (left < 3 || (bytes[2] & 0xc0) != 0x80)
        return 0;
    if (bytes[0] < 0xf0) /* neither overlong nor a surrogate */
        return (bytes[0] == 0xe0 && bytes[1] < 0xa0) || (bytes[0] == 0xed && bytes[1] > 0x9f) ? 0 : 3;
    if (left < 4 || (bytes[3] & 0xc0) != 0x80)
        return 0;
    return (bytes[0] == 0xf0 && bytes[1] < 0x90) || (bytes[0] == 0xf4 && bytes[1] > 0x8f) ? 0 : 4;
}

#endif
