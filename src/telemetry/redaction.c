/* One pass over words. A word is what stands between bytes that neither keys nor addresses have in them; each kind looks at a word's beginning and
 * takes as much as is its own, so a text without anything to mask is copied in few pieces. */
#include "telemetry/redaction.h"

enum { LEAST_SECRET = 8, LEAST_RANDOM = 20, LEAST_CARD = 13, MOST_CARD = 19 };

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}
static bool is_letter(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}
static bool is_word(char byte) {
    return is_digit(byte) || is_letter(byte) || byte == '_' || byte == '-';
}
/* What tokens have in them besides. */
static bool is_token(char byte) {
    return is_word(byte) || byte == '.' || byte == '~' || byte == '+' || byte == '/' || byte == '=';
}

static size_t run(struct weir_span text, size_t at, bool (*belongs)(char byte)) {
    size_t end = at;
    while (end < text.length && belongs(text.at[end]))
        end++;
    return end - at;
}

/* Letters and digits mixed for that long are no word of any language. */
static bool is_random(struct weir_span word) {
    size_t length = 0;
    bool digits = false, letters = false;
    for (size_t i = 0; i < word.length; i++) {
        char byte = word.at[i];
        if (!is_digit(byte) && !is_letter(byte)) {
            length = 0;
            digits = letters = false;
            continue;
        }
        length++;
        digits = digits || is_digit(byte);
        letters = letters || is_letter(byte);
        if (length >= LEAST_RANDOM && digits && letters)
            return true;
    }
    return false;
}

static bool has_prefix_of_key(struct weir_span word) {
    static const char *const prefixes[] = {"sk-",   "sk_",   "pk_",    "rk_",  "xai-",    "gsk_",    "AIza",   "ghp_",
                                           "gho_",  "ghs_",  "glpat-", "hf_",  "r8_",     "pplx-",   "nvapi-", "tgp_",
                                           "xoxb-", "xoxp-", "AKIA",   "ASIA", "dop_v1_", "sp_live_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct weir_span prefix = weir_span_of_string(prefixes[i]);
        if (weir_span_starts_with(word, prefix) && word.length >= prefix.length + LEAST_SECRET)
            return true;
    }
    return false;
}

/* The length of the secret that begins here; 0: none does. */
static size_t secret_at(struct weir_span text, size_t at) {
    struct weir_span word = weir_span_of(text.at + at, run(text, at, is_word));
    if (word.length == sizeof "bearer" - 1 && weir_span_equal_ignore_case(word, WEIR_SPAN("bearer"))) {
        size_t from = at + word.length;
        while (from < text.length && text.at[from] == ' ')
            from++;
        size_t token = run(text, from, is_token);
        return from > at + word.length && token >= LEAST_SECRET ? from + token - at : 0;
    }
    if (has_prefix_of_key(word))
        return word.length;
    if (weir_span_starts_with(word, WEIR_SPAN("eyJ")) && word.length >= LEAST_SECRET)
        return run(text, at, is_token);
    return is_random(word) ? word.length : 0;
}

static bool is_local_part(char byte) {
    return is_word(byte) || byte == '.' || byte == '+' || byte == '%' || byte == '\'';
}
static bool is_domain_part(char byte) {
    return is_digit(byte) || is_letter(byte) || byte == '-' || byte == '.';
}

static size_t email_at(struct weir_span text, size_t at) {
    size_t local = run(text, at, is_local_part);
    if (local == 0 || at + local >= text.length || text.at[at + local] != '@')
        return 0;
    size_t from = at + local + 1;
    struct weir_span domain = weir_span_of(text.at + from, run(text, from, is_domain_part));
    while (domain.length > 0 && !is_letter(domain.at[domain.length - 1]))
        domain.length--;
    size_t dot = weir_span_index(domain, '.');
    return dot > 0 && dot + 2 < domain.length ? local + 1 + domain.length : 0;
}

/* Groups may be apart by one blank or hyphen. */
static size_t card_at(struct weir_span text, size_t at) {
    char digits[MOST_CARD];
    size_t count = 0, end = at;
    for (size_t i = at; i < text.length; i++) {
        if (is_digit(text.at[i])) {
            if (count == MOST_CARD)
                return 0;
            digits[count++] = text.at[i];
            end = i + 1;
        } else if ((text.at[i] != ' ' && text.at[i] != '-') || i == at || !is_digit(text.at[i - 1])) {
            break;
        }
    }
    if (count < LEAST_CARD)
        return 0;
    int sum = 0;
    for (size_t i = 0; i < count; i++) {
        int digit = digits[count - 1 - i] - '0';
        if (i % 2 == 1)
            digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
        sum += digit;
    }
    return sum % 10 == 0 ? end - at : 0;
}

void weir_redact(struct weir_span text, unsigned what, struct weir_buffer *out) {
    static const struct {
        unsigned what;
        size_t (*at)(struct weir_span text, size_t at);
        const char *mask;
    } kinds[] = {{WEIR_REDACT_EMAILS, email_at, "[email]"},
                 {WEIR_REDACT_CARDS, card_at, "[card]"},
                 {WEIR_REDACT_SECRETS, secret_at, "[secret]"}};
    size_t copied = 0, at = 0;
    while (at < text.length) {
        if (!is_word(text.at[at])) {
            at++;
            continue;
        }
        size_t found = 0;
        const char *mask = NULL;
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds && found == 0; i++) {
            if ((what & kinds[i].what) != 0)
                found = kinds[i].at(text, at);
            mask = kinds[i].mask;
        }
        if (found > 0) {
            weir_buffer_append(out, weir_span_of(text.at + copied, at - copied));
            weir_buffer_append(out, weir_span_of_string(mask));
            at += found;
            copied = at;
        } else {
            at += run(text, at, is_word);
        }
    }
    weir_buffer_append(out, weir_span_from(text, copied));
}
