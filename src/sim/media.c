/* See media.h. */
#include "sim/media.h"

#include "base/ids.h"

enum { MOST_NAMED_BYTES = 200 };

static const struct {
    size_t at;
    struct weir_span mark;
    const char *type;
} marks[] = {
    {0, {"\x89PNG\r\n\x1a\n", 8}, "image/png"},
    {0, {"\xff\xd8\xff", 3}, "image/jpeg"},
    {0, {"GIF8", 4}, "image/gif"},
    {8, {"WEBP", 4}, "image/webp"},
    {0, {"%PDF-", 5}, "application/pdf"},
    {8, {"WAVE", 4}, "audio/wav"},
    {0, {"ID3", 3}, "audio/mpeg"},
    {0, {"\xff\xfb", 2}, "audio/mpeg"},
    {0, {"OggS", 4}, "audio/ogg"},
    {0, {"fLaC", 4}, "audio/flac"},
};

const char *sim__media_type(struct weir_span bytes) {
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (bytes.length >= marks[i].at && weir_span_starts_with(weir_span_from(bytes, marks[i].at), marks[i].mark)) {
            return marks[i].type;
        }
    }
    for (size_t i = 0; i < bytes.length; i++) {
        unsigned char byte = (unsigned char)bytes.at[i];
        if (byte == 0x7f || (byte < 0x20 && strchr("\t\n\r", byte) == NULL) || byte == 0) {
            return "application/octet-stream";
        }
    }
    return bytes.length > 0 ? "text/plain" : "application/octet-stream";
}

/* --- base64 --- */

static int digit_of(char byte) {
    if (byte >= 'A' && byte <= 'Z') {
        return byte - 'A';
    }
    if (byte >= 'a' && byte <= 'z') {
        return byte - 'a' + 26;
    }
    if (byte >= '0' && byte <= '9') {
        return byte - '0' + 52;
    }
    return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

static size_t past_breaks(struct weir_span text, size_t at) {
    while (at < text.length && (text.at[at] == '\n' || text.at[at] == '\r')) {
        at++;
    }
    return at;
}

/* One group of four. *at moves behind it; the number of digits it has, 0 at the end, or -1 with *bad set. */
static int read_group(struct weir_span text, size_t *at, uint32_t *group, size_t *bad) {
    int digits = 0;
    *group = 0;
    while (digits < 4) {
        *at = past_breaks(text, *at);
        if (*at == text.length) {
            *bad = *at - (size_t)digits;
            return digits == 0 ? 0 : -1;
        }
        int digit = digit_of(text.at[*at]);
        if (digit < 0) {
            break;
        }
        *group = *group << 6 | (uint32_t)digit;
        digits++;
        (*at)++;
    }
    if (digits == 4) {
        return 4;
    }
    *bad = *at;
    if (text.at[*at] != '=' || digits < 2) {
        return -1;
    }
    if (digits == 2) {
        size_t second = past_breaks(text, *at + 1);
        if (second == text.length || text.at[second] != '=') {
            *bad = second == text.length ? second : second - 1;
            return -1;
        }
        *at = second;
    }
    *at = past_breaks(text, *at + 1);
    *bad = *at;
    return *at == text.length ? digits : -1;
}

enum weir_status sim__base64_decode(struct weir_arena *arena, struct weir_span text, struct weir_span *bytes,
                                    size_t *bad) {
    char *out = weir_arena_alloc_raw(arena, text.length / 4 * 3 + 3);
    size_t length = 0;
    size_t at = 0;
    if (out == NULL) {
        return WEIR_ENOMEM;
    }
    for (;;) {
        uint32_t group = 0;
        int digits = read_group(text, &at, &group, bad);
        if (digits < 0) {
            return WEIR_EINVAL;
        }
        group <<= digits == 3 ? 6 : digits == 2 ? 12 : 0;
        for (int i = 0; i + 1 < digits; i++) {
            out[length++] = (char)(group >> (16 - 8 * i) & 0xffU);
        }
        if (digits < 4) {
            *bytes = weir_span_of(out, length);
            return WEIR_OK;
        }
    }
}

/* The type and the base64 of `data:TYPE;base64,…`; false: it is none. */
static bool split_data_url(struct weir_span url, struct weir_span *type, struct weir_span *base64) {
    struct weir_span head;
    struct weir_span rest;
    if (!weir_span_starts_with(url, WEIR_SPAN("data:")) ||
        !weir_span_split(weir_span_from(url, 5), ',', &head, &rest) ||
        !weir_span_ends_with(head, WEIR_SPAN(";base64"))) {
        return false;
    }
    *type = weir_span_first(head, weir_span_index(head, ';'));
    *base64 = rest;
    return true;
}

/* --- what is said --- */

static struct weir_span shortened(struct weir_span text) {
    size_t length = text.length < MOST_NAMED_BYTES ? text.length : MOST_NAMED_BYTES;
    while (length < text.length && length > 0 && ((unsigned char)text.at[length] & 0xc0U) == 0x80U) {
        length--; /* not within a character of several bytes */
    }
    return weir_span_first(text, length);
}

void sim__media_describe(const char *what, struct weir_span type, struct weir_span bytes, struct weir_span name,
                         struct weir_buffer *notes) {
    type = weir_span_is_empty(type) ? weir_span_of_string(sim__media_type(bytes)) : shortened(type);
    weir_buffer_printf(notes, "[%s %.*s %zu bytes crc32 %08x", what, WEIR_SPAN_PRINT(type), bytes.length,
                       (unsigned)weir_crc32(0, bytes));
    if (!weir_span_is_empty(name)) {
        weir_buffer_append(notes, WEIR_SPAN(" named "));
        weir_buffer_append(notes, shortened(name));
    }
    weir_buffer_append(notes, WEIR_SPAN("] "));
}

void sim__media_refer(const char *what, const char *how, struct weir_span address, struct weir_buffer *notes) {
    weir_buffer_printf(notes, "[%s %s ", what, how);
    weir_buffer_append(notes, shortened(address));
    weir_buffer_append(notes, WEIR_SPAN("] "));
}

enum weir_status sim__media_content(struct weir_arena *arena, const char *what, struct weir_span text,
                                    struct weir_span name, struct weir_buffer *notes) {
    struct weir_span type = WEIR_SPAN("");
    struct weir_span base64 = text;
    struct weir_span bytes;
    size_t bad = 0;
    (void)split_data_url(text, &type, &base64);
    enum weir_status status = sim__base64_decode(arena, base64, &bytes, &bad);
    if (status == WEIR_OK && bytes.length == 0) {
        status = WEIR_EINVAL;
    }
    if (status == WEIR_OK) {
        sim__media_describe(what, type, bytes, name, notes);
    }
    return status;
}

enum weir_status sim__media_address(struct weir_arena *arena, const char *what, struct weir_span url,
                                    struct weir_span name, struct weir_buffer *notes) {
    if (weir_span_starts_with(url, WEIR_SPAN("data:"))) {
        return sim__media_content(arena, what, url, name, notes);
    }
    if (!weir_span_starts_with(url, WEIR_SPAN("http://")) && !weir_span_starts_with(url, WEIR_SPAN("https://"))) {
        return WEIR_EINVAL;
    }
    sim__media_refer(what, "url", url, notes);
    return WEIR_OK;
}
