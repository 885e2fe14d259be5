/* Strings and numbers: the two tokens that most of a JSON text is made of.
 *
 * A request body of a megabyte is a few huge strings, so plain bytes are passed over many at a step (impl.h); what
 * stands between them is rare enough to be looked at singly. Nothing here reads at or past the end that it is given,
 * allocates, or decodes.
 */
#include "json/impl.h"

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

static inline bool is_hex(char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

/* The length of the escape at `at` (a backslash), or 0. Surrogates need no partner here: RFC 8259 allows them. */
static inline size_t escape_length(const char *at, const char *end) {
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
    case 'u': return end - at >= 6 && is_hex(at[2]) && is_hex(at[3]) && is_hex(at[4]) && is_hex(at[5]) ? 6 : 0;
    default: return 0;
    }
}

const char *json__skip_rest_of_string(const char *at, const char *end, bool *escaped, const char **problem,
                                      const char **bad_at) {
    for (;; at = json__skip_plain(at, end)) {
        if (at == end) {
            *problem = "unexpected end";
            break;
        }
        if (*at == '"')
            return at;
        if (*at == '\\') {
            size_t length = escape_length(at, end);
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
