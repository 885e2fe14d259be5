/* See attached.h. */
#include "sim/attached.h"

#include "base/ids.h"

#define MAX_DECODED_BYTES ((size_t)64 * 1024 * 1024)

static int digit_of(char byte) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = byte == '\0' ? NULL : strchr(digits, byte);
    return at != NULL ? (int)(at - digits) : -1;
}

/* Strict but for the padding, which may be missing. */
static bool decode(struct weir_span text, struct weir_buffer *out) {
    while (text.length > 0 && text.at[text.length - 1] == '=') {
        text.length--;
    }
    char *to = weir_buffer_reserve(out, text.length / 4 * 3 + 3);
    if (to == NULL || text.length % 4 == 1) {
        return false;
    }
    size_t length = 0;
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < text.length; i++) {
        int digit = digit_of(text.at[i]);
        if (digit < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)digit;
        count += 6;
        if (count >= 8) {
            count -= 8;
            to[length++] = (char)(unsigned char)(bits >> count & 255U);
        }
    }
    weir_buffer_commit(out, length);
    return true;
}

void sim__attached_bytes(const char *kind, struct weir_span media_type, struct weir_span bytes,
                         struct weir_buffer *out) {
    weir_buffer_printf(out, "[%s ", kind);
    weir_buffer_append(out, media_type);
    weir_buffer_printf(out, " %zu bytes crc32 %08lx] ", bytes.length, (unsigned long)weir_crc32(0, bytes));
}

bool sim__attached_base64(const char *kind, struct weir_span media_type, struct weir_span base64,
                          struct weir_buffer *out) {
    struct weir_buffer bytes;
    weir_buffer_init(&bytes, MAX_DECODED_BYTES);
    bool valid = decode(base64, &bytes);
    if (valid) {
        sim__attached_bytes(kind, media_type, weir_buffer_span(&bytes), out);
    }
    weir_buffer_release(&bytes);
    return valid;
}

void sim__attached_name(const char *kind, const char *how, struct weir_span name, struct weir_buffer *out) {
    if (weir_span_starts_with(name, WEIR_SPAN("data:"))) {
        struct weir_span rest = weir_span_from(name, strlen("data:"));
        struct weir_span type = weir_span_first(rest, weir_span_index(rest, ';'));
        struct weir_span data = weir_span_from(rest, weir_span_index(rest, ','));
        if (data.length > 0 && sim__attached_base64(kind, type, weir_span_from(data, 1), out)) {
            return;
        }
    }
    weir_buffer_printf(out, "[%s %s ", kind, how);
    weir_buffer_append(out, name);
    weir_buffer_append(out, WEIR_SPAN("] "));
}

enum weir_status sim__attached_text(struct weir_arena *arena, const struct weir_buffer *notes, struct sim_text *text) {
    struct weir_span before;
    struct sim_text pieces;
    if (weir_buffer_status(notes) != WEIR_OK || weir_arena_dup(arena, weir_buffer_span(notes), &before) != WEIR_OK ||
        sim__text_pieces(arena, before, &pieces) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    return sim__text_join(arena, &pieces, text);
}
