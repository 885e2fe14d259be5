/* What the files of this folder share: the string and number scanners under the document scanner, reader and writer.
 *
 * All of them take a range of foreign bytes [at, end) and never read at or past `end`.
 */
#ifndef WEIR_JSON_IMPL_H
#define WEIR_JSON_IMPL_H

#include "json/scan.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline bool json__is_continuation(char byte) {
    return ((unsigned char)byte & 0xC0U) == 0x80U;
}

/* The length of the well-formed UTF-8 sequence at `at`, which is before `end` and not ASCII; 0 where it is not well
 * formed: overlong, a surrogate, above U+10FFFF, or cut short. */
static inline size_t json__utf8_length(const char *at, const char *end) {
    size_t left = (size_t)(end - at);
    unsigned lead = (unsigned char)at[0];
    if (lead < 0xC2U || lead > 0xF4U || left < 2)
        return 0;
    unsigned second = (unsigned char)at[1];
    if (lead < 0xE0U)
        return json__is_continuation(at[1]) ? 2 : 0;
    if (lead < 0xF0U) {
        unsigned low = lead == 0xE0U ? 0xA0U : 0x80U;
        unsigned high = lead == 0xEDU ? 0x9FU : 0xBFU;
        return left >= 3 && second >= low && second <= high && json__is_continuation(at[2]) ? 3 : 0;
    }
    unsigned low = lead == 0xF0U ? 0x90U : 0x80U;
    unsigned high = lead == 0xF4U ? 0x8FU : 0xBFU;
    return left >= 4 && second >= low && second <= high && json__is_continuation(at[2]) && json__is_continuation(at[3])
               ? 4
               : 0;
}

static inline bool json__is_plain(char byte) {
    return (unsigned char)byte >= 0x20 && (unsigned char)byte < 0x80 && byte != '"' && byte != '\\';
}

/* Eight bytes at a step, and the rest singly. */
static inline const char *json__skip_plain_by_words(const char *at, const char *end) {
    const uint64_t ones = 0x0101010101010101U;
    const uint64_t highs = 0x8080808080808080U;
    while (end - at >= 8) {
        uint64_t bytes;
        memcpy(&bytes, at, sizeof(bytes));
        uint64_t quotes = bytes ^ ones * '"';
        uint64_t backslashes = bytes ^ ones * '\\';
        uint64_t special = (quotes - ones) | (backslashes - ones) | (bytes - ones * ' ') | bytes;
        if ((special & highs) != 0)
            break;
        at += 8;
    }
    while (at < end && json__is_plain(*at))
        at++;
    return at;
}

/* The first byte that a string cannot pass over blindly: '"', '\\', below 0x20, above 0x7F; or `end`. */
#if defined(__SSE2__)
static inline unsigned json__special_bytes(const char *at) {
    const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    const __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    /* Signed: bytes above 0x7F are negative, so they are below a space as control bytes are. */
    const __m128i outside = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), outside));
}

static inline const char *json__skip_plain(const char *at, const char *end) {
    for (; end - at >= 16; at += 16) {
        unsigned special = json__special_bytes(at);
        if (special != 0)
            return at + __builtin_ctz(special);
    }
    return json__skip_plain_by_words(at, end);
}
#else
static inline const char *json__skip_plain(const char *at, const char *end) {
    return json__skip_plain_by_words(at, end);
}
#endif

static inline bool json__is_hex(char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

/* The length of the escape at `at` (a backslash), or 0. Surrogates need no partner here: RFC 8259 allows them. */
static inline size_t json__escape_length(const char *at, const char *end) {
    if (end - at < 2)
        return 0;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return 2;
    case 'u':
        return end - at >= 6 && json__is_hex(at[2]) && json__is_hex(at[3]) && json__is_hex(at[4]) && json__is_hex(at[5])
                   ? 6
                   : 0;
    default: return 0;
    }
}

/* Passes over blocks of a string as long as they lie within it and hold nothing wrong, and gives where to go on byte by
 * byte: the start of a character or escape. Of the string, three bytes at least lie before `at`. Worth its while only
 * where escapes or characters outside ASCII come thick. */
const char *json__skip_blocks(const char *at, const char *end, bool *escaped);

/* The general part of json__skip_string: from a byte that is not plain. */
const char *json__skip_rest_of_string(const char *at, const char *end, bool *escaped, const char **problem,
                                      const char **bad_at);

/* From the byte after a string's opening quote to its closing quote. *escaped becomes true where there is an escape
 * (it is never set to false). NULL: *problem has text and *bad_at the place. */
static inline const char *json__skip_string(const char *at, const char *end, bool *escaped, const char **problem,
                                            const char **bad_at) {
    at = json__skip_plain(at, end);
    if (at < end && *at == '"')
        return at;
    return json__skip_rest_of_string(at, end, escaped, problem, bad_at);
}

/* From a number's first byte to the byte after its last. NULL: it is none; *bad_at is where it goes wrong. */
const char *json__skip_number(const char *at, const char *end, const char **bad_at);

/* Decodes the escape at *at (which stands after the backslash) into `out`, steps over it and returns how many bytes
 * it gave; 0 for a bad escape. A surrogate without its partner gives U+FFFD. */
size_t json__unescape(const char **at, const char *end, char out[4]);

#endif
