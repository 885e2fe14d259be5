/* Reads single tokens: whole numbers and decimals by integer arithmetic, strings by decoding their escapes.
 *
 * A token comes from weir_json_scan, but nothing here relies on that: whatever is no token is WEIR_EINVAL. Numbers
 * never pass through floating point, for they may be tokens and money.
 */
#include "json/impl.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* A number's text as digits * 10^exponent: the digits run from `first` to `last` with at most one '.' between them,
 * without leading and trailing zeroes. */
struct decimal {
    const char *first, *last; /* first == last: zero */
    int64_t digits;           /* how many there are */
    int64_t exponent;
    bool negative;
};

/* Exponents beyond this are as good as infinite: no text is long enough to bring such a number back into range. */
static const int64_t EXPONENT_MAX = (int64_t)1 << 60;

static int64_t read_exponent(const char *at, const char *end) {
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    int64_t exponent = 0;
    for (; at < end; at++)
        if (exponent < EXPONENT_MAX / 16)
            exponent = exponent * 10 + (*at - '0');
    return negative ? -exponent : exponent;
}

/* Cuts a well-formed number. */
static struct decimal read_decimal(const char *at, const char *end) {
    struct decimal decimal = {.negative = *at == '-'};
    if (decimal.negative)
        at++;
    const char *mantissa_end = at;
    int64_t fraction = 0; /* digits after the point, up to and with the last that is not zero */
    const char *point = NULL;
    for (; mantissa_end < end && *mantissa_end != 'e' && *mantissa_end != 'E'; mantissa_end++)
        if (*mantissa_end == '.')
            point = mantissa_end;
    if (mantissa_end < end)
        decimal.exponent = read_exponent(mantissa_end + 1, end);
    const char *last = mantissa_end;
    while (at < last && (*at == '0' || *at == '.'))
        at++;
    while (last > at && (last[-1] == '0' || last[-1] == '.'))
        last--;
    decimal.first = at;
    decimal.last = last;
    if (at == last)
        return decimal;
    const char *units_end = point != NULL ? point : mantissa_end;
    fraction = last > units_end ? (int64_t)(last - units_end - 1) : -(int64_t)(units_end - last);
    decimal.exponent -= fraction;
    decimal.digits = (int64_t)(last - at) - (point != NULL && point > at && point < last ? 1 : 0);
    return decimal;
}

enum weir_status weir_json_scaled_int64(struct weir_span number, unsigned scale, int64_t *value, bool *rounded) {
    const char *end = number.at + number.length;
    const char *bad_at;
    if (number.length == 0 || json__skip_number(number.at, end, &bad_at) != end)
        return WEIR_EINVAL;
    struct decimal decimal = read_decimal(number.at, end);
    int64_t exponent = decimal.exponent + (int64_t)scale;
    int64_t whole_digits = decimal.digits + exponent; /* digits before the point, after scaling */
    if (decimal.digits > 0 && whole_digits > 19)
        return WEIR_ELIMIT;
    /* Counted downwards: the lowest int64 has no positive counterpart. */
    int64_t sum = 0;
    int64_t left = decimal.digits > 0 ? whole_digits : 0;
    const char *at = decimal.first;
    for (; left > 0; left--) {
        int digit = 0;
        if (at < decimal.last && *at == '.')
            at++;
        if (at < decimal.last)
            digit = *at++ - '0';
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_sub_overflow(sum, digit, &sum))
            return WEIR_ELIMIT;
    }
    bool rest = decimal.digits > 0 && exponent < 0; /* the last digit is not zero, so something is left over */
    if (rest && __builtin_sub_overflow(sum, 1, &sum))
        return WEIR_ELIMIT;
    if (!decimal.negative && sum == INT64_MIN)
        return WEIR_ELIMIT;
    *value = decimal.negative ? sum : -sum;
    *rounded = rest;
    return WEIR_OK;
}

enum weir_status weir_json_int64(struct weir_span number, int64_t *value) {
    /* The everyday token first: a few plain digits. */
    if (number.length > 0 && number.length <= 18 && number.at[0] >= '1' && number.at[0] <= '9') {
        int64_t sum = 0;
        size_t i = 0;
        for (; i < number.length && number.at[i] >= '0' && number.at[i] <= '9'; i++)
            sum = sum * 10 + (number.at[i] - '0');
        if (i == number.length) {
            *value = sum;
            return WEIR_OK;
        }
    }
    int64_t whole;
    bool rounded;
    enum weir_status status = weir_json_scaled_int64(number, 0, &whole, &rounded);
    if (status != WEIR_OK)
        return status;
    if (rounded)
        return WEIR_EINVAL;
    *value = whole;
    return WEIR_OK;
}

static int hex_value(char byte) {
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

/* The four hex digits at `at`; UINT32_MAX where they are none. */
static uint32_t read_hex4(const char *at, const char *end) {
    if (end - at < 4)
        return UINT32_MAX;
    uint32_t code = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = hex_value(at[i]);
        if (value < 0)
            return UINT32_MAX;
        code = code << 4 | (uint32_t)value;
    }
    return code;
}

static size_t put_utf8(uint32_t code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0U | code >> 6);
        out[1] = (char)(0x80U | (code & 0x3FU));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0U | code >> 12);
        out[1] = (char)(0x80U | (code >> 6 & 0x3FU));
        out[2] = (char)(0x80U | (code & 0x3FU));
        return 3;
    }
    out[0] = (char)(0xF0U | code >> 18);
    out[1] = (char)(0x80U | (code >> 12 & 0x3FU));
    out[2] = (char)(0x80U | (code >> 6 & 0x3FU));
    out[3] = (char)(0x80U | (code & 0x3FU));
    return 4;
}

static size_t unescape_unicode(const char **at, const char *end, char out[4]) {
    uint32_t code = read_hex4(*at, end);
    if (code == UINT32_MAX)
        return 0;
    *at += 4;
    if (code < 0xD800 || code > 0xDFFF)
        return put_utf8(code, out);
    const char *next = *at;
    if (code < 0xDC00 && end - next >= 6 && next[0] == '\\' && next[1] == 'u') {
        uint32_t low = read_hex4(next + 2, end);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *at += 6;
            return put_utf8(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00), out);
        }
    }
    memcpy(out, REPLACEMENT, 3);
    return 3;
}

size_t json__unescape(const char **at, const char *end, char out[4]) {
    if (*at == end)
        return 0;
    char byte = *(*at)++;
    switch (byte) {
    case '"':
    case '\\':
    case '/': out[0] = byte; return 1;
    case 'b': out[0] = '\b'; return 1;
    case 'f': out[0] = '\f'; return 1;
    case 'n': out[0] = '\n'; return 1;
    case 'r': out[0] = '\r'; return 1;
    case 't': out[0] = '\t'; return 1;
    case 'u': return unescape_unicode(at, end, out);
    default: return 0;
    }
}

static bool between_quotes(struct weir_span string, const char **at, const char **end) {
    if (string.length < 2 || string.at[0] != '"' || string.at[string.length - 1] != '"')
        return false;
    *at = string.at + 1;
    *end = string.at + string.length - 1;
    return true;
}

static const char *next_backslash(const char *at, const char *end) {
    const char *backslash = at < end ? memchr(at, '\\', (size_t)(end - at)) : NULL;
    return backslash != NULL ? backslash : end;
}

enum weir_status weir_json_decode(struct weir_span string, char *out, size_t out_size, size_t *length) {
    const char *at;
    const char *end;
    if (!between_quotes(string, &at, &end))
        return WEIR_EINVAL;
    size_t used = 0;
    for (;;) {
        const char *backslash = next_backslash(at, end);
        size_t run = (size_t)(backslash - at);
        if (run > out_size - used)
            return WEIR_ELIMIT;
        if (run > 0)
            memcpy(out + used, at, run);
        used += run;
        if (backslash == end)
            break;
        at = backslash + 1;
        char piece[4];
        size_t size = json__unescape(&at, end, piece);
        if (size == 0)
            return WEIR_EINVAL;
        if (size > out_size - used)
            return WEIR_ELIMIT;
        memcpy(out + used, piece, size);
        used += size;
    }
    *length = used;
    return WEIR_OK;
}

bool weir_json_string_equals(struct weir_span string, struct weir_span plain) {
    const char *at;
    const char *end;
    if (!between_quotes(string, &at, &end))
        return false;
    for (;;) {
        const char *backslash = next_backslash(at, end);
        struct weir_span run = weir_span_of(at, (size_t)(backslash - at));
        if (!weir_span_starts_with(plain, run))
            return false;
        plain = weir_span_from(plain, run.length);
        if (backslash == end)
            return plain.length == 0;
        at = backslash + 1;
        char piece[4];
        size_t size = json__unescape(&at, end, piece);
        if (size == 0 || !weir_span_starts_with(plain, weir_span_of(piece, size)))
            return false;
        plain = weir_span_from(plain, size);
    }
}

bool weir_json_plain_string(struct weir_span string, struct weir_span *content) {
    const char *at;
    const char *end;
    if (!between_quotes(string, &at, &end) || next_backslash(at, end) != end)
        return false;
    *content = weir_span_of(at, (size_t)(end - at));
    return true;
}

const char *weir_json_kind_name(enum weir_json_kind kind) {
    static const char *const names[] = {
        [WEIR_JSON_NONE] = "nothing",   [WEIR_JSON_NULL] = "null",        [WEIR_JSON_FALSE] = "false",
        [WEIR_JSON_TRUE] = "true",      [WEIR_JSON_NUMBER] = "a number",  [WEIR_JSON_STRING] = "a string",
        [WEIR_JSON_ARRAY] = "an array", [WEIR_JSON_OBJECT] = "an object",
    };
    return names[kind];
}
