/* The shapes that can be asked for, each looked for by itself in one pass; secrets are base/mask.h's matter.
 *
 * A shape begins and ends where no letter or digit touches it. Each is given up after a bounded number of bytes, so every pass is linear.
 */
#include "telemetry/redaction_impl.h"

#include "base/mask.h"

#include <arpa/inet.h>

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}
static bool is_letter(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}
static bool is_word(char byte) {
    return is_digit(byte) || is_letter(byte);
}
static bool is_hex(char byte) {
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

void telemetry__mark(const struct telemetry__view *view, size_t at, size_t length, unsigned kind) {
    unsigned first = TELEMETRY__FIRST;
    for (size_t i = at; i < at + length; i++) {
        size_t begin = view->from != NULL ? view->from[i] : view->base + i;
        size_t count = view->length != NULL ? view->length[i] : 1;
        for (size_t k = begin; k < begin + count; k++) {
            if (view->marks[k] != 0)
                continue;
            view->marks[k] = (unsigned char)(kind | first);
            first = 0;
        }
    }
}

static char byte_at(struct weir_span text, size_t at) {
    return at < text.length ? text.at[at] : '\0';
}

/* Nothing before `at` belongs to what begins there. */
static bool begins_here(struct weir_span text, size_t at) {
    return at == 0 || !is_word(text.at[at - 1]);
}

/* --- one shape each: how long is the one that begins at `at`; 0: none does --- */

static bool is_mail_byte(char byte) {
    return is_word(byte) || (unsigned char)byte >= 0x80 ||
           (byte != '\0' && strchr("._%+-'&=~!#$*/?^`{|}", byte) != NULL);
}

/* Found by its "@", so that a long word is not read from each of its bytes. */
static void mark_emails(const struct telemetry__view *view) {
    enum { LONGEST_LOCAL = 64, LONGEST_DOMAIN = 253 };
    struct weir_span text = view->text;
    for (size_t at = 1; at + 1 < text.length; at++) {
        if (text.at[at] != '@')
            continue;
        size_t begin = at, end = at + 1, dot = 0;
        while (begin > 0 && at - begin < LONGEST_LOCAL && is_mail_byte(text.at[begin - 1]))
            begin--;
        while (end < text.length && end - at <= LONGEST_DOMAIN &&
               (is_word(text.at[end]) || text.at[end] == '-' || text.at[end] == '.' ||
                (unsigned char)text.at[end] >= 0x80))
            end++;
        while (end > at + 1 && !is_word(text.at[end - 1]) && (unsigned char)text.at[end - 1] < 0x80)
            end--; /* a sentence's end */
        for (size_t i = at + 2; i + 1 < end; i++)
            if (text.at[i] == '.')
                dot = i;
        if (begin < at && dot > 0 && end - dot > 2)
            telemetry__mark(view, begin, end - begin, TELEMETRY__NAMED);
    }
}

static bool passes_luhn(const char *digits, size_t count) {
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(digits[count - 1 - i] - '0');
        if (i % 2 == 1)
            digit = digit > 4 ? 2 * digit - 9 : 2 * digit;
        sum += digit;
    }
    return sum % 10 == 0;
}

/* Digits with at most one blank or "-" between two of them. */
static size_t card_length(struct weir_span text, size_t at) {
    enum { LEAST = 13, MOST = 19 };
    char digits[MOST];
    size_t count = 0, end = at, good = 0;
    if (!is_digit(text.at[at]) || !begins_here(text, at))
        return 0;
    while (count < MOST && is_digit(byte_at(text, end))) {
        digits[count++] = text.at[end++];
        if (count >= LEAST && !is_word(byte_at(text, end)) && digits[0] != '0' && passes_luhn(digits, count))
            good = end - at;
        if ((byte_at(text, end) == ' ' || byte_at(text, end) == '-') && is_digit(byte_at(text, end + 1)))
            end++;
    }
    return good;
}

/* A phone number's digits in their groups. */
enum { PHONE_MOST = 15, PHONE_GROUPS = 8 };
struct phone {
    size_t groups[PHONE_GROUPS];
    size_t parts, count;
    size_t end; /* behind the last digit */
    bool plus, zero, zeros;
};

static bool may_begin_phone(struct weir_span text, size_t at) {
    char byte = text.at[at], before = at > 0 ? text.at[at - 1] : ' ';
    if ((byte != '+' && byte != '(' && !is_digit(byte)) || is_word(before) || before == '\0' ||
        strchr("+.-/", before) != NULL)
        return false;
    return byte == '+' || before != ' ' || at < 2 || !is_digit(text.at[at - 2]); /* else within a longer number */
}

/* Where the next digit stands, at most three bytes of what stands between groups further on; the same place: there is none. */
static size_t skip_gap(struct weir_span text, size_t at) {
    enum { WIDEST = 3 };
    size_t end = at;
    while (end < text.length && end - at < WIDEST && text.at[end] != '\0' && strchr(" -./()", text.at[end]) != NULL)
        end++;
    return is_digit(byte_at(text, end)) ? end : at;
}

static void read_phone(struct weir_span text, size_t at, struct phone *phone) {
    *phone = (struct phone){.plus = text.at[at] == '+', .end = at};
    at += phone->plus || text.at[at] == '(';
    phone->zero = byte_at(text, at) == '0';
    phone->zeros = phone->zero && byte_at(text, at + 1) == '0';
    while (phone->count <= PHONE_MOST && phone->parts < PHONE_GROUPS) {
        size_t begin = at;
        while (is_digit(byte_at(text, at)) && phone->count <= PHONE_MOST) {
            phone->count++;
            at++;
        }
        if (at == begin)
            return;
        phone->groups[phone->parts++] = at - begin;
        phone->end = at;
        at = skip_gap(text, at);
        if (at == phone->end)
            return;
    }
}

/* "+49 30 1234567", "0049…"; "(555) 123-4567", "1-555-123-4567"; "030 / 123 45 67". */
static size_t phone_length(struct weir_span text, size_t at) {
    struct phone phone;
    if (!may_begin_phone(text, at))
        return 0;
    read_phone(text, at, &phone);
    if (phone.count < 8 || phone.count > PHONE_MOST || is_word(byte_at(text, phone.end)))
        return 0;
    const size_t *groups = phone.groups;
    bool american = (phone.count == 10 && phone.parts == 3 && groups[0] == 3 && groups[1] == 3) ||
                    (phone.count == 11 && phone.parts == 4 && groups[0] == 1 && groups[1] == 3 && groups[2] == 3);
    bool national = phone.zero && phone.parts >= 2 && phone.count >= 9 && groups[0] >= 2 && groups[0] <= 6;
    return phone.plus || phone.zeros || american || national ? phone.end - at : 0;
}

static size_t ipv4_length(struct weir_span text, size_t at) {
    size_t end = at, dots = 0, digits = 0;
    char copy[INET_ADDRSTRLEN];
    struct in_addr address;
    if (!is_digit(text.at[at]) || !begins_here(text, at) || (at > 0 && text.at[at - 1] == '.'))
        return 0;
    while (end < text.length && end - at < sizeof copy - 1 && (is_digit(text.at[end]) || text.at[end] == '.')) {
        bool dot = text.at[end] == '.';
        if (dot && (dots == 3 || !is_digit(byte_at(text, end + 1))))
            break;
        dots += dot;
        digits = dot ? 0 : digits + 1;
        end++;
    }
    if (dots != 3 || digits > 3 || is_word(byte_at(text, end)) ||
        (byte_at(text, end) == '.' && is_digit(byte_at(text, end + 1))))
        return 0;
    memcpy(copy, text.at + at, end - at);
    copy[end - at] = '\0';
    return inet_pton(AF_INET, copy, &address) == 1 ? end - at : 0;
}

static size_t ipv6_length(struct weir_span text, size_t at) {
    size_t end = at, colons = 0;
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if ((!is_hex(text.at[at]) && text.at[at] != ':') || !begins_here(text, at) || (at > 0 && text.at[at - 1] == ':'))
        return 0;
    while (end < text.length && end - at < sizeof copy - 1 &&
           (is_hex(text.at[end]) || text.at[end] == ':' || (text.at[end] == '.' && colons > 0)))
        colons += text.at[end++] == ':';
    while (end > at && (text.at[end - 1] == '.' || (text.at[end - 1] == ':' && byte_at(text, end - 2) != ':')))
        end--;                                                     /* a sentence's end */
    if (colons < 2 || end - at < 4 || is_word(byte_at(text, end))) /* "::1" alone is everyone's own */
        return 0;
    memcpy(copy, text.at + at, end - at);
    copy[end - at] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1 ? end - at : 0;
}

/* Two letters, two check digits, 11 to 30 letters and digits, with blanks between groups. ISO 7064, modulo 97. */
static size_t iban_length(struct weir_span text, size_t at) {
    enum { LEAST = 15, MOST = 34 };
    char plain[MOST];
    size_t count = 0, end = at, good = 0;
    if (!is_letter(text.at[at]) || !is_letter(byte_at(text, at + 1)) || !is_digit(byte_at(text, at + 2)) ||
        !is_digit(byte_at(text, at + 3)) || !begins_here(text, at))
        return 0;
    while (count < MOST && is_word(byte_at(text, end))) {
        plain[count++] = text.at[end++];
        if (count >= LEAST && !is_word(byte_at(text, end))) {
            unsigned rest = 0;
            for (size_t i = 0; i < count; i++) {
                char byte = plain[(i + 4) % count];
                unsigned value = is_digit(byte) ? (unsigned)(byte - '0') : (unsigned)((byte & 0x5F) - 'A') + 10;
                rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
            }
            if (rest == 1)
                good = end - at;
        }
        if (byte_at(text, end) == ' ' && is_word(byte_at(text, end + 1)))
            end++;
    }
    return good;
}

/* By bit, in the order of their names; an address of mail is found otherwise. */
static const struct {
    unsigned bit;
    size_t (*length)(struct weir_span text, size_t at);
} shapes[] = {{WEIR_REDACT_IBAN, iban_length},
              {WEIR_REDACT_CARD, card_length},
              {WEIR_REDACT_IPV6, ipv6_length},
              {WEIR_REDACT_IPV4, ipv4_length},
              {WEIR_REDACT_PHONE, phone_length}};

static unsigned kind_of(unsigned bit) {
    unsigned kind = TELEMETRY__NAMED;
    while (bit > 1) {
        bit >>= 1;
        kind++;
    }
    return kind;
}

static void mark_secret(void *context, size_t at, size_t length) {
    telemetry__mark(context, at, length, TELEMETRY__SECRET);
}

void telemetry__mark_shapes(const struct telemetry__view *view, unsigned wanted) {
    struct telemetry__view copy = *view;
    weir_mask_each(view->text, mark_secret, &copy);
    if ((wanted & WEIR_REDACT_EMAIL) != 0)
        mark_emails(view);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if ((wanted & shapes[i].bit) == 0)
            continue;
        for (size_t at = 0; at < view->text.length;) {
            size_t length = shapes[i].length(view->text, at);
            if (length > 0)
                telemetry__mark(view, at, length, kind_of(shapes[i].bit));
            at += length > 0 ? length : 1;
        }
    }
}
