/* Two passes that know little of each other: shapes in a text, and names in JSON.
 *
 * Text is read from left to right; at each place where a secret could begin, a few rows of shapes are tried. A shape that fits is consumed whole; one
 * that does not is given up after a bounded number of bytes, or is not tried again before the place where it failed: so no text takes more than linear
 * time. JSON strings with escapes are decoded first, for `\u0073k-…` is `sk-…` to whoever reads it.
 *
 * Never: a secret in a message, an allocation besides buffers, a failure that shows what could not be read.
 */
#include "base/mask.h"

#include "base/limits.h"

static bool is_lower(char byte) {
    return byte >= 'a' && byte <= 'z';
}
static bool is_upper(char byte) {
    return byte >= 'A' && byte <= 'Z';
}
static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}
static bool is_alnum(char byte) {
    return is_lower(byte) || is_upper(byte) || is_digit(byte);
}
static bool is_hex(char byte) {
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}
/* What credentials are made of (RFC 9110: token68). */
static bool is_token(char byte) {
    return is_alnum(byte) || (byte != '\0' && strchr("-._~+/=", byte) != NULL);
}
static bool is_name(char byte) {
    return is_alnum(byte) || byte == '_' || byte == '-' || byte == '.';
}

/* --- names --- */

static bool is_one_of(struct weir_span word, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (weir_span_equal_ignore_case(word, weir_span_of_string(words[i])))
            return true;
    return false;
}
#define IS_ONE_OF(word, words) is_one_of((word), (words), sizeof(words) / sizeof *(words))

/* Cuts the last word off: words end at what is no letter or digit, and where a capital follows a small letter. */
static struct weir_span take_last_word(struct weir_span *name) {
    size_t end = name->length;
    while (end > 0 && !is_alnum(name->at[end - 1]))
        end--;
    size_t begin = end;
    while (begin > 0 && is_alnum(name->at[begin - 1]) &&
           !(begin < end && is_upper(name->at[begin]) && !is_upper(name->at[begin - 1])))
        begin--;
    struct weir_span word = weir_span_of(name->at + begin, end - begin);
    name->length = begin;
    return word;
}

bool weir_mask_name_is_secret(struct weir_span name) {
    /* Wherever they stand; at the end alone; what makes a harmless name of one with such a word. */
    static const char *const anywhere[] = {"password",    "passwd",        "passphrase", "secret", "credential",
                                           "credentials", "authorization", "cookie",     "apikey", "jwt",
                                           "pwd"};
    static const char *const last[] = {"key",        "token",     "auth",        "bearer",       "csrf",
                                       "xsrf",       "session",   "signature",   "sig",          "pem",
                                       "otp",        "totp",      "pin",         "accesskey",    "secretkey",
                                       "privatekey", "authtoken", "accesstoken", "refreshtoken", "secrets"};
    static const char *const harmless[] = {"id",       "ids",      "name",    "names",   "hint",   "at",      "count",
                                           "version",  "due",      "expires", "ms",      "days",   "set",     "present",
                                           "enabled",  "required", "policy",  "type",    "kind",   "status",  "state",
                                           "length",   "bytes",    "prefix",  "address", "source", "message", "changed",
                                           "rotation", "path",     "file",    "env"};
    bool first = true, found = false, named = false;
    while (name.length > 0 && !found) {
        struct weir_span word = take_last_word(&name);
        if (word.length == 0)
            continue;
        named = named || (first && IS_ONE_OF(word, harmless));
        found = IS_ONE_OF(word, anywhere) || (first && IS_ONE_OF(word, last));
        first = false;
    }
    return found && !named;
}

bool weir_mask_is_reference(struct weir_span value) {
    static const struct {
        const char *prefix;
        const char *besides; /* letters and digits */
    } rows[] = {{"env:", "_"}, {"file:", "_-./~+@ "}, {"vault:", "_-./#"}, {"secret:", "_-./"}, {"${", "_}"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t at = strlen(rows[i].prefix);
        if (!weir_span_starts_with(value, weir_span_of_string(rows[i].prefix)) || value.length <= at + 1)
            continue;
        while (at < value.length && value.at[at] != '\0' &&
               (is_alnum(value.at[at]) || strchr(rows[i].besides, value.at[at]) != NULL))
            at++;
        return at == value.length;
    }
    return false;
}

static const char ellipsis[] = "\xE2\x80\xA6";

static bool is_masked(struct weir_span value) {
    return weir_span_equal(value, WEIR_SPAN("***")) ||
           (value.length == 11 && memcmp(value.at + 4, ellipsis, sizeof ellipsis - 1) == 0);
}

void weir_mask_value(struct weir_buffer *out, struct weir_span value) {
    char mask[WEIR_SECRET_MASK_SIZE];
    if (value.length == 0 || is_masked(value) || weir_mask_is_reference(value)) {
        weir_buffer_append(out, value);
        return;
    }
    weir_secret_mask(value, mask);
    weir_buffer_append(out, weir_span_of_string(mask));
}

/* --- shapes in a text --- */

struct text {
    struct weir_span all;
    struct weir_buffer *out;
    size_t at;
    size_t shown;          /* what stands before it is in `out` */
    size_t name_end;       /* of the name that was looked at last */
    weir_mask_visit visit; /* instead of `out`; NULL: masks */
    void *context;
};

static bool begins_with(struct weir_span span, const char *prefix) {
    size_t length = strlen(prefix);
    return span.length >= length &&
           weir_span_equal_ignore_case(weir_span_first(span, length), weir_span_of_string(prefix));
}

static struct weir_span rest_of(const struct text *text) {
    return weir_span_from(text->all, text->at);
}

static size_t run_length(struct weir_span span, bool (*belongs)(char)) {
    size_t length = 0;
    while (length < span.length && belongs(span.at[length]))
        length++;
    return length;
}

/* What stands between what is in `out` and `end` is no secret. */
static void show_until(struct text *text, size_t end) {
    if (text->visit != NULL)
        return;
    weir_buffer_append(text->out, weir_span_of(text->all.at + text->shown, end - text->shown));
    text->shown = end;
}

/* Instead of a mask. What tells nothing, or is masked already, stays here as there. */
static bool told(struct text *text, size_t shown, size_t secret) {
    if (text->visit == NULL)
        return false;
    size_t at = text->at + shown;
    struct weir_span value = weir_span_of(text->all.at + at, secret);
    if (secret > 0 && !is_masked(value) && !weir_mask_is_reference(value))
        text->visit(text->context, at, secret);
    text->shown = text->at = at + secret;
    return true;
}

static bool take_as(struct text *text, size_t shown, size_t secret, struct weir_span mask) {
    if (told(text, shown, secret))
        return true;
    show_until(text, text->at + shown);
    weir_buffer_append(text->out, mask);
    text->shown += secret;
    text->at = text->shown;
    return true;
}

/* Shows `shown` bytes from here, masks the next `secret`. */
static bool take(struct text *text, size_t shown, size_t secret) {
    if (told(text, shown, secret))
        return true;
    show_until(text, text->at + shown);
    weir_mask_value(text->out, weir_span_of(text->all.at + text->shown, secret));
    text->shown += secret;
    text->at = text->shown;
    return true;
}

/* Vendors' keys: how they begin, and how many bytes at least must follow. */
static const struct {
    const char *prefix;
    size_t least;
} prefixes[] = {
    {"sk-", 8},      {"sk_", 12},     {"rk_", 12},     {"gsk_", 12}, {"xai-", 12},  {"AIza", 30},
    {"hf_", 12},     {"ghp_", 12},    {"gho_", 12},    {"ghu_", 12}, {"ghs_", 12},  {"ghr_", 12},
    {"github_", 20}, {"glpat-", 12},  {"xoxb-", 8},    {"xoxp-", 8}, {"xoxa-", 8},  {"xoxr-", 8},
    {"xoxs-", 8},    {"AKIA", 12},    {"ASIA", 12},    {"r8_", 16},  {"pplx-", 12}, {"nvapi-", 12},
    {"ya29.", 12},   {"hvs.", 12},    {"hvb.", 12},    {"npm_", 20}, {"pypi-", 16}, {"whsec_", 12},
    {"eyJ", 16},     {"dop_v1_", 20}, {"tgp_v1_", 16}, {"fw_", 16},  {"csk-", 12},  {"AGE-SECRET-KEY-", 8},
};

static bool take_vendor_key(struct text *text) {
    struct weir_span rest = rest_of(text);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t prefix = strlen(prefixes[i].prefix);
        if (rest.length < prefix + prefixes[i].least || memcmp(rest.at, prefixes[i].prefix, prefix) != 0)
            continue;
        size_t body = run_length(weir_span_from(rest, prefix), is_name);
        while (body > 0 && rest.at[prefix + body - 1] == '.') /* a sentence's end */
            body--;
        if (body >= prefixes[i].least)
            return take(text, 0, prefix + body);
    }
    return false;
}

/* Ours: two or three words, each with "_" behind it, and 32 or more letters and digits. The words are shown: brand and environment help, and
 * are no secret. */
static bool take_own_key(struct text *text) {
    enum { LONGEST_WORD = 32, SHORTEST_BODY = 32, MOST_WORDS = 3 };
    struct weir_span rest = rest_of(text);
    size_t at = 0;
    for (unsigned words = 0; words < MOST_WORDS; words++) {
        size_t begin = at;
        if (words > 1 && run_length(weir_span_from(rest, at), is_alnum) >= SHORTEST_BODY)
            break;
        while (at < rest.length && at - begin < LONGEST_WORD && (is_lower(rest.at[at]) || is_digit(rest.at[at])))
            at++;
        if (at == begin || at == rest.length || rest.at[at] != '_')
            return false;
        at++;
    }
    size_t body = run_length(weir_span_from(rest, at), is_alnum);
    return body >= SHORTEST_BODY && take(text, at, body);
}

/* "Bearer x", "Basic x": what follows looks like credentials and not like the next word of a sentence. */
static bool take_scheme(struct text *text) {
    enum { LEAST = 8, LONGEST_WORD = 16 };
    static const char *const schemes[] = {"bearer", "basic"};
    struct weir_span rest = rest_of(text);
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t at = strlen(schemes[i]);
        if (!begins_with(rest, schemes[i]))
            continue;
        if (rest.length > at + 2 && memcmp(rest.at + at, "%20", 3) == 0)
            at += 3;
        else if (at < rest.length && (rest.at[at] == ' ' || rest.at[at] == '+' || rest.at[at] == ':'))
            at++;
        else
            return false;
        while (at < rest.length && rest.at[at] == ' ')
            at++;
        size_t body = run_length(weir_span_from(rest, at), is_token);
        bool is_word = body <= LONGEST_WORD;
        for (size_t k = 0; is_word && k < body; k++)
            is_word = is_lower(rest.at[at + k]) || (k + 1 == body && rest.at[at + k] == '.');
        return body >= LEAST && !is_word && take(text, at, body);
    }
    return false;
}

static bool take_pem(struct text *text) {
    struct weir_span rest = rest_of(text);
    if (!weir_span_starts_with(rest, WEIR_SPAN("-----BEGIN ")))
        return false;
    size_t end = rest.length;
    const char *last = memmem(rest.at, rest.length, "-----END ", 9);
    if (last != NULL) {
        /* Where no label and dashes follow, what stands there is something else: it is looked at by itself. */
        end = (size_t)(last - rest.at) + 9;
        size_t label = end;
        while (label < rest.length &&
               (is_digit(rest.at[label]) || rest.at[label] == ' ' || (rest.at[label] >= 'A' && rest.at[label] <= 'Z')))
            label++;
        if (weir_span_starts_with(weir_span_from(rest, label), WEIR_SPAN("-----")))
            end = label + 5;
    }
    return take_as(text, 0, end, WEIR_SPAN("***"));
}

/* "//user:password@host": both parts go, for a token may stand in either; behind a ":" also a user alone. */
static bool take_userinfo(struct text *text) {
    struct weir_span rest = rest_of(text);
    bool has_scheme = text->at > 0 && text->all.at[text->at - 1] == ':', has_colon = false;
    size_t end = 2, at_sign = 0;
    if (!weir_span_starts_with(rest, WEIR_SPAN("//")))
        return false;
    while (end < rest.length && (unsigned char)rest.at[end] > ' ' && strchr("/?#\"'<>\\", rest.at[end]) == NULL) {
        if (rest.at[end] == '@')
            at_sign = end;
        has_colon = has_colon || (rest.at[end] == ':' && at_sign == 0);
        end++;
    }
    return at_sign > 2 && (has_scheme || has_colon) && take_as(text, 2, at_sign - 2, WEIR_SPAN("***"));
}

/* A header field's name as it is written in front of its value. */
static bool is_header_name(struct weir_span name) {
    return weir_span_index(name, '-') < name.length || weir_span_equal_ignore_case(name, WEIR_SPAN("authorization")) ||
           weir_span_equal_ignore_case(name, WEIR_SPAN("cookie"));
}

static size_t quoted_length(struct weir_span rest, char quote) {
    size_t length = 0;
    while (length < rest.length && rest.at[length] != quote && rest.at[length] != '\\')
        length++;
    return length;
}

static size_t skip_spaces(struct weir_span rest, size_t at) {
    while (at < rest.length && (rest.at[at] == ' ' || rest.at[at] == '\t'))
        at++;
    return at;
}

static size_t word_length(struct weir_span rest) {
    size_t length = 0;
    while (length < rest.length && (unsigned char)rest.at[length] > ' ' &&
           strchr("&\"'<>;,)\\#", rest.at[length]) == NULL)
        length++;
    return length;
}

/* A value without quotes is one word, with the schemes in front of it. */
static size_t value_length(struct weir_span rest) {
    size_t begin = 0, length;
    for (;;) {
        struct weir_span word = weir_span_from(rest, begin);
        word = weir_span_first(word, length = word_length(word));
        if (!weir_span_equal_ignore_case(word, WEIR_SPAN("bearer")) &&
            !weir_span_equal_ignore_case(word, WEIR_SPAN("basic")))
            return begin + length;
        begin = skip_spaces(rest, begin + length);
    }
}

/* A quote, which may itself be escaped (JSON within JSON). */
static size_t skip_quote(struct weir_span rest, size_t at, char *quote) {
    size_t begin = at;
    while (at < rest.length && rest.at[at] == '\\')
        at++;
    *quote = at < rest.length && (rest.at[at] == '"' || rest.at[at] == '\'') ? rest.at[at] : '\0';
    return *quote != '\0' ? at + 1 : begin;
}

/* At a name's first byte. What is no secret's name is shown up to its end, as nothing else can begin in it but a vendor's key. */
static bool take_named(struct text *text, size_t name_length) {
    struct weir_span rest = rest_of(text), name = weir_span_first(rest, name_length);
    enum { LONGEST = 64 };
    char quote = '\0', closing = '\0';
    if (!weir_mask_name_is_secret(name.length > LONGEST ? weir_span_from(name, name.length - LONGEST) : name))
        return false;
    size_t at = skip_quote(rest, name_length, &closing);
    if (at < rest.length && rest.at[at] == ']')
        at++;
    struct weir_span behind = weir_span_from(rest, at);
    if (begins_with(behind, "%5D"))
        behind = weir_span_from(rest, at += 3);
    bool coded = begins_with(behind, "%3D");
    if (coded || (behind.length > 0 && behind.at[0] == '=')) {
        at = skip_quote(rest, at + (coded ? 3 : 1), &quote);
    } else {
        at = skip_spaces(rest, at);
        if (at == rest.length || rest.at[at] != ':')
            return false;
        at = skip_quote(rest, skip_spaces(rest, at + 1), &quote);
        if (quote == '\0' && closing == '\0' && is_header_name(name)) { /* the whole line */
            size_t length = 0;
            while (at + length < rest.length && rest.at[at + length] != '\n' && rest.at[at + length] != '\r')
                length++;
            return take(text, at, length);
        }
        if (quote == '\0' && closing == '\0')
            return false;
    }
    struct weir_span value = weir_span_from(rest, at);
    return take(text, at, quote != '\0' ? quoted_length(value, quote) : value_length(value));
}

/* Is the byte before the place no part of a word? The digits of %20 are none. */
static bool is_after_word(struct weir_span all, size_t at) {
    if (at == 0 || !is_alnum(all.at[at - 1]))
        return true;
    return at >= 3 && all.at[at - 3] == '%' && is_hex(all.at[at - 2]) && is_hex(all.at[at - 1]);
}

static bool take_secret(struct text *text) {
    char byte = text->all.at[text->at];
    if (byte == '/')
        return take_userinfo(text);
    if (byte == '-')
        return take_pem(text);
    if (!is_alnum(byte) || !is_after_word(text->all, text->at))
        return false;
    if (take_own_key(text) || take_vendor_key(text) || take_scheme(text))
        return true;
    if (text->at < text->name_end)
        return false;
    size_t length = run_length(rest_of(text), is_name);
    text->name_end = text->at + length;
    return take_named(text, length);
}

void weir_mask_text(struct weir_buffer *out, struct weir_span all) {
    struct text text = {.all = all, .out = out};
    while (text.at < all.length)
        if (!take_secret(&text))
            text.at++;
    if (text.shown < all.length)
        show_until(&text, all.length);
}

void weir_mask_each(struct weir_span all, weir_mask_visit visit, void *context) {
    struct text text = {.all = all, .visit = visit, .context = context};
    while (text.at < all.length)
        if (!take_secret(&text))
            text.at++;
}

/* --- JSON --- */

enum { DEEPEST = 64 };

struct walk {
    struct weir_span json;
    size_t at;
    struct weir_buffer *out;
};

static void skip_space(struct walk *walk) {
    while (walk->at < walk->json.length && memchr(" \t\r\n", walk->json.at[walk->at], 4) != NULL)
        walk->at++;
}

/* The next byte that is no space; NUL at the end, which can begin nothing. */
static char peek(struct walk *walk) {
    skip_space(walk);
    return walk->at < walk->json.length ? walk->json.at[walk->at] : '\0';
}

static bool take_byte(struct walk *walk, char byte) {
    if (peek(walk) != byte)
        return false;
    weir_buffer_append_byte(walk->out, byte);
    walk->at++;
    return true;
}

/* A string's content as it is written; `escaped` tells whether it has escapes. */
static bool take_string(struct walk *walk, struct weir_span *raw, bool *escaped) {
    if (peek(walk) != '"')
        return false;
    size_t begin = ++walk->at;
    *escaped = false;
    while (walk->at < walk->json.length && walk->json.at[walk->at] != '"') {
        if ((unsigned char)walk->json.at[walk->at] < ' ')
            return false;
        if (walk->json.at[walk->at] == '\\') {
            *escaped = true;
            walk->at++;
        }
        walk->at++;
    }
    if (walk->at >= walk->json.length)
        return false;
    *raw = weir_span_of(walk->json.at + begin, walk->at - begin);
    walk->at++;
    return true;
}

static bool read_hex(struct weir_span raw, size_t at, uint32_t *code) {
    *code = 0;
    for (size_t i = 0; i < 4; i++) {
        if (at + i >= raw.length || !is_hex(raw.at[at + i]))
            return false;
        char byte = raw.at[at + i];
        *code = *code * 16 + (uint32_t)(is_digit(byte) ? byte - '0' : (byte | 0x20) - 'a' + 10);
    }
    return true;
}

static void append_utf8(struct weir_buffer *out, uint32_t code) {
    if (code < 0x80) {
        weir_buffer_append_byte(out, (char)code);
        return;
    }
    unsigned more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xC0, 0xE0, 0xF0};
    weir_buffer_append_byte(out, (char)(leads[more] | (code >> (6 * more))));
    while (more-- > 0)
        weir_buffer_append_byte(out, (char)(0x80U | ((code >> (6 * more)) & 0x3FU)));
}

/* `at` is behind the backslash and stays behind the escape. */
static bool decode_escape(struct weir_span raw, size_t *at, struct weir_buffer *out) {
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    char byte = raw.at[(*at)++];
    const char *name = byte != '\0' ? strchr(names, byte) : NULL;
    uint32_t code = 0, low = 0;
    if (name != NULL) {
        weir_buffer_append_byte(out, bytes[name - names]);
        return true;
    }
    if (byte != 'u' || !read_hex(raw, *at, &code))
        return false;
    *at += 4;
    if (code >= 0xD800 && code < 0xDC00 && *at + 1 < raw.length && raw.at[*at] == '\\' && raw.at[*at + 1] == 'u' &&
        read_hex(raw, *at + 2, &low) && low >= 0xDC00 && low < 0xE000) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        *at += 6;
    }
    append_utf8(out, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    return true;
}

static bool decode(struct weir_span raw, struct weir_buffer *out) {
    for (size_t at = 0; at < raw.length;) {
        if (raw.at[at] != '\\') {
            weir_buffer_append_byte(out, raw.at[at++]);
            continue;
        }
        at++;
        if (at == raw.length || !decode_escape(raw, &at, out))
            return false;
    }
    return weir_buffer_status(out) == WEIR_OK;
}

static void encode(struct weir_span plain, struct weir_buffer *out) {
    for (size_t i = 0; i < plain.length; i++) {
        unsigned char byte = (unsigned char)plain.at[i];
        if (byte == '"' || byte == '\\')
            weir_buffer_append_byte(out, '\\');
        if (byte < ' ')
            weir_buffer_printf(out, "\\u%04x", byte);
        else
            weir_buffer_append_byte(out, (char)byte);
    }
}

/* Writes a string with its quotes; `named` (may be NULL) gets whether it is a secret's name. */
static bool mask_string(struct walk *walk, bool secret, bool *named) {
    struct weir_span raw;
    struct weir_buffer plain, masked;
    bool escaped = false, good = true;
    if (!take_string(walk, &raw, &escaped))
        return false;
    weir_buffer_init(&plain, raw.length + 1);
    weir_buffer_init(&masked, 4 * raw.length + WEIR_KIB);
    if (escaped) {
        good = decode(raw, &plain);
        raw = weir_buffer_span(&plain);
    }
    if (named != NULL)
        *named = weir_mask_name_is_secret(raw);
    if (secret)
        weir_mask_value(&masked, raw);
    else
        weir_mask_text(&masked, raw);
    good = good && weir_buffer_status(&masked) == WEIR_OK;
    if (good) {
        weir_buffer_append_byte(walk->out, '"');
        encode(weir_buffer_span(&masked), walk->out);
        weir_buffer_append_byte(walk->out, '"');
    }
    weir_buffer_release(&masked);
    weir_buffer_release(&plain);
    return good;
}

/* A number, true, false or null. */
static bool mask_word(struct walk *walk, bool secret) {
    static const char *const words[] = {"true", "false", "null"};
    struct weir_span rest = weir_span_from(walk->json, walk->at);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct weir_span word = weir_span_of_string(words[i]);
        if (weir_span_starts_with(rest, word)) {
            weir_buffer_append(walk->out, word);
            walk->at += word.length;
            return true;
        }
    }
    size_t length = 0;
    while (length < rest.length && memchr("+-.0123456789eE", rest.at[length], 15) != NULL)
        length++;
    weir_buffer_append(walk->out, secret ? WEIR_SPAN("\"***\"") : weir_span_first(rest, length));
    walk->at += length;
    return length > 0;
}

static bool mask_element(struct walk *walk, bool secret, unsigned depth) { /* bounded by DEEPEST */
    char byte = peek(walk);
    if (byte == '"')
        return mask_string(walk, secret, NULL);
    if (byte != '{' && byte != '[')
        return mask_word(walk, secret);
    char end = byte == '{' ? '}' : ']';
    if (depth == DEEPEST || !take_byte(walk, byte))
        return false;
    if (take_byte(walk, end))
        return true;
    do {
        bool named = false;
        if (byte == '{' && (!mask_string(walk, false, &named) || !take_byte(walk, ':')))
            return false;
        if (!mask_element(walk, secret || named, depth + 1))
            return false;
    } while (take_byte(walk, ','));
    return take_byte(walk, end);
}

void weir_mask_json(struct weir_buffer *out, struct weir_span json) {
    struct walk walk = {.json = json, .out = out};
    size_t begin = out->length;
    if (json.length == 0)
        return;
    if (!mask_element(&walk, false, 0) || peek(&walk) != '\0' || walk.at < json.length) {
        if (weir_buffer_status(out) == WEIR_OK)
            out->length = begin;
        weir_buffer_append(out, WEIR_SPAN("\"***\""));
    }
}
