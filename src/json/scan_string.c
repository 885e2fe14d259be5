/* Strings and numbers: the two tokens that most of a JSON text is made of.
 *
 * A request body of a megabyte is a few huge strings, so plain bytes are passed over many at a step (impl.h); what
 * stands between them is looked at singly, and by blocks where it comes thick (scan_blocks.c). Nothing here reads at or
 * past the end that it is given, allocates, or decodes.
 */
#include "json/impl.h"

/* So many escapes and runs outside ASCII are met before a string is gone through by blocks. */
enum { BLOCKS_FROM = 8 };

/* Passes over a run of non-ASCII bytes; *bad is true where it is not well-formed UTF-8 there. Most such runs are
 * scripts of three bytes a character, so these are tried first; the general rule decides about the rest. */
static inline const char *skip_multibyte(const char *at, const char *end, bool *bad) {
    while (at < end && (unsigned char)*at >= 0x80) {
        while (end - at >= 3) {
            unsigned lead = (unsigned char)at[0];
            if (lead <= 0xE0U || lead > 0xEFU || lead == 0xEDU)
                break;
            if (!json__is_continuation(at[1]) || !json__is_continuation(at[2]))
                break;
            at += 3;
        }
        if (at == end || (unsigned char)*at < 0x80)
            break;
        size_t length = json__utf8_length(at, end);
        if (length == 0) {
            *bad = true;
            break;
        }
        at += length;
    }
    return at;
}

const char *json__skip_rest_of_string(const char *at, const char *end, bool *escaped, const char **problem,
                                      const char **bad_at) {
    unsigned met = 0;
    for (;; at = json__skip_plain(at, end)) {
        if (++met % BLOCKS_FROM == 0)
            at = json__skip_plain(json__skip_blocks(at, end, escaped), end);
        if (at == end) {
            *problem = "unexpected end";
            break;
        }
        if (*at == '"')
            return at;
        if (*at == '\\') {
            size_t length = json__escape_length(at, end);
            if (length == 0) {
                *problem = "bad escape";
                break;
            }
            *escaped = true;
            at += length;
        } else if ((unsigned char)*at < 0x20) {
            *problem = "control byte in a string";
            break;
        } else {
            bool bad = false;
            at = skip_multibyte(at, end, &bad);
            if (bad) {
                *problem = "invalid UTF-8";
                break;
            }
        }
    }
    *bad_at = at;
    return NULL;
}

bool weir_json_string_rest(struct weir_span text, size_t *length) {
    const char *end = text.at + text.length, *problem, *bad_at;
    bool escaped = false;
    const char *quote = json__skip_rest_of_string(json__skip_plain(text.at, end), end, &escaped, &problem, &bad_at);
    if (quote == NULL)
        return false;
    *length = (size_t)(quote - text.at);
    return true;
}

static inline bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static inline const char *skip_digits(const char *at, const char *end) {
    while (at < end && is_digit(*at))
        at++;
    return at;
}

const char *json__skip_number(const char *at, const char *end, const char **bad_at) {
    *bad_at = at;
    if (at < end && *at == '-')
        at++;
    const char *digits = at;
    if (at < end && *at == '0')
        at++;
    else
        at = skip_digits(at, end);
    if (at == digits)
        return NULL;
    if (at < end && *at == '.') {
        digits = ++at;
        at = skip_digits(at, end);
        *bad_at = at;
        if (at == digits)
            return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        digits = at;
        at = skip_digits(at, end);
        *bad_at = at;
        if (at == digits)
            return NULL;
    }
    return at;
}
