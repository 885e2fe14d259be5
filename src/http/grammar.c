/* The byte classes of HTTP's grammar (RFC 9110, section 5). */
#include "http/impl.h"

/* Token characters; bytes from 0x80 are none. */
static const unsigned char token_bytes[256] = {
    /* 0x00 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* 0x10 */ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* 0x20 */ 0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0,
    /* 0x30 */ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0,
    /* 0x40 */ 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    /* 0x50 */ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1,
    /* 0x60 */ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    /* 0x70 */ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0,
};

const char *http__skip_token(const char *at, const char *end) {
    while (at < end && token_bytes[(unsigned char)*at] != 0) {
        at++;
    }
    return at;
}

unsigned http__hex_value(char byte) {
    if (byte >= '0' && byte <= '9') {
        return (unsigned)(byte - '0');
    }
    unsigned lower = (unsigned char)byte | 0x20U;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : 16;
}

/* Eight at a step: true when one of them is below 0x20 or is 0x7F. Exact, and HTAB is then told apart byte by byte. */
static bool has_control(uint64_t bytes) {
    const uint64_t ones = 0x0101010101010101U;
    const uint64_t highs = 0x8080808080808080U;
    uint64_t deletes = bytes ^ ones * 0x7F;
    uint64_t below = (bytes - ones * 0x20) & ~bytes;
    uint64_t zero = (deletes - ones) & ~deletes;
    return ((below | zero) & highs) != 0;
}

static bool is_text_byte(char byte) {
    unsigned char value = (unsigned char)byte;
    return (value >= 0x20 && value != 0x7F) || value == '\t';
}

static bool is_text_singly(const char *at, const char *end) {
    while (at < end && is_text_byte(*at)) {
        at++;
    }
    return at == end;
}

static bool is_text_of_eight(const char *at) {
    uint64_t bytes;
    memcpy(&bytes, at, sizeof(bytes));
    return !has_control(bytes) || is_text_singly(at, at + sizeof(bytes));
}

bool http__is_field_text(const char *at, const char *end) {
    const ptrdiff_t step = sizeof(uint64_t);
    if (end - at < step) {
        return is_text_singly(at, end);
    }
    for (; end - at > step; at += step) {
        if (!is_text_of_eight(at)) {
            return false;
        }
    }
    return is_text_of_eight(end - step); /* some of them for the second time */
}
