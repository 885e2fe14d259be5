/* Wire texts: the insides of JSON strings, in and out of them; and signatures that travel through formats that do not know them. */
#include "base/limits.h"
#include "dialect/common.h"
#include "json/write.h"

#include <openssl/evp.h>

static bool must_escape(unsigned char byte) {
    return byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x80;
}

struct weir_span weir_wire_text(struct weir_arena *arena, struct weir_span plain) {
    size_t at = 0;
    while (at < plain.length && !must_escape((unsigned char)plain.at[at]))
        at++;
    if (at == plain.length)
        return plain.at != NULL ? plain : WEIR_SPAN("");
    struct weir_buffer out;
    struct weir_span wire = WEIR_SPAN("");
    weir_buffer_init(&out, plain.length * 6 + 16);
    weir_json_append_string(&out, plain);
    if (weir_buffer_status(&out) != WEIR_OK || weir_arena_dup(arena, weir_buffer_span(&out), &wire) != WEIR_OK)
        wire = WEIR_SPAN("\"\"");
    weir_buffer_release(&out);
    return weir_span_of(wire.at + 1, wire.length - 2);
}

/* In its quotes, in the arena. */
static bool as_token(struct weir_arena *arena, struct weir_span wire, struct weir_span *token) {
    char *text = weir_arena_alloc_raw(arena, wire.length + 2);
    if (text == NULL)
        return false;
    text[0] = '"';
    if (wire.length > 0)
        memcpy(text + 1, wire.at, wire.length);
    text[wire.length + 1] = '"';
    *token = weir_span_of(text, wire.length + 2);
    return true;
}

enum weir_status weir_wire_plain(struct weir_arena *arena, struct weir_span wire, struct weir_span *plain) {
    struct weir_span token;
    size_t length = 0;
    *plain = WEIR_SPAN("");
    if (wire.length == 0)
        return WEIR_OK;
    if (memchr(wire.at, '\\', wire.length) == NULL) {
        *plain = wire;
        return WEIR_OK;
    }
    char *decoded = weir_arena_alloc_raw(arena, wire.length + 2);
    if (decoded == NULL || !as_token(arena, wire, &token) ||
        weir_json_decode(token, decoded, token.length, &length) != WEIR_OK)
        return WEIR_ENOMEM;
    *plain = weir_span_of(decoded, length);
    return WEIR_OK;
}

enum weir_status weir_wire_json(struct weir_arena *arena, struct weir_span wire, struct weir_span *json) {
    enum weir_status status = weir_wire_plain(arena, wire, json);
    struct weir_span trimmed = weir_span_trim(*json);
    if (status != WEIR_OK)
        return status;
    if (trimmed.length == 0) {
        *json = WEIR_SPAN("{}");
        return WEIR_OK;
    }
    if (weir_json_scan(*json, NULL, 0, NULL, NULL, NULL) == WEIR_OK)
        return WEIR_OK;
    return as_token(arena, wire, json) ? WEIR_OK : WEIR_ENOMEM;
}

void weir_append_wire(struct weir_buffer *out, struct weir_span wire) {
    weir_buffer_append_byte(out, '"');
    weir_buffer_append(out, wire);
    weir_buffer_append_byte(out, '"');
}

/* Quotes and backslashes are all that JSON without line ends and in valid UTF-8 needs escaped; spaces between tokens go. */
void weir_append_json_as_wire(struct weir_buffer *out, struct weir_span json) {
    struct weir_buffer compact;
    weir_buffer_init(&compact, json.length + 1);
    weir_json_append_compact(&compact, json);
    struct weir_span text = weir_buffer_span(&compact);
    while (text.length > 0) {
        size_t plain = 0;
        while (plain < text.length && text.at[plain] != '"' && text.at[plain] != '\\')
            plain++;
        weir_buffer_append(out, weir_span_first(text, plain));
        if (plain < text.length) {
            weir_buffer_append_byte(out, '\\');
            weir_buffer_append_byte(out, text.at[plain++]);
        }
        text = weir_span_from(text, plain);
    }
    weir_buffer_release(&compact);
}

/* In a wire text a quote of the JSON stands as \" and a backslash as \\; a quote may also come as \u0022, which no model's provider writes. */
bool weir_braces_take(struct weir_braces *braces, struct weir_span wire) {
    for (size_t i = 0; i < wire.length; i++) {
        char byte = wire.at[i];
        if (byte == '\\' && i + 1 < wire.length)
            byte = wire.at[++i] == 'n' || wire.at[i] == 't' || wire.at[i] == 'r' ? ' ' : wire.at[i];
        if (braces->escaped) {
            braces->escaped = false;
        } else if (braces->in_string) {
            braces->escaped = byte == '\\';
            braces->in_string = byte != '"';
        } else if (byte == '"') {
            braces->in_string = true;
        } else if (byte == '{' || byte == '[') {
            braces->depth++;
            braces->begun = true;
        } else if ((byte == '}' || byte == ']') && braces->depth > 0) {
            braces->depth--;
        }
    }
    return braces->begun && braces->depth == 0 && !braces->in_string;
}

/* --- signatures --- */

/* What every sealed signature begins with, before its base64: three bytes, so that its base64 is the same four characters always. */
static const char mark[3] = {(char)0xc2, (char)0xe8, (char)0xab};
enum { MARK = sizeof mark, HEAD = MARK + 3 /* who gave it, whether it is redacted, how long its id is */ };

static void to_url_alphabet(char *text, size_t *length) {
    for (size_t i = 0; i < *length; i++) {
        if (text[i] == '+')
            text[i] = '-';
        else if (text[i] == '/')
            text[i] = '_';
    }
    while (*length > 0 && text[*length - 1] == '=')
        --*length;
}

struct weir_span weir_signature_seal(struct weir_arena *arena, const struct weir_signature *signature, bool for_id) {
    size_t id_length = signature->id.length < 255 ? signature->id.length : 0;
    size_t length = HEAD + id_length + signature->value.length;
    if (signature->value.length > WEIR_MAX_EVENT_BYTES)
        return WEIR_UNSAID;
    unsigned char *bytes = weir_arena_alloc_raw(arena, length);
    char *text = weir_arena_alloc_raw(arena, (length + 2) / 3 * 4 + 1);
    if (bytes == NULL || text == NULL)
        return WEIR_UNSAID;
    memcpy(bytes, mark, MARK);
    bytes[MARK] = (unsigned char)signature->from;
    bytes[MARK + 1] = signature->is_redacted ? 1 : 0;
    bytes[MARK + 2] = (unsigned char)id_length;
    if (id_length > 0)
        memcpy(bytes + HEAD, signature->id.at, id_length);
    if (signature->value.length > 0)
        memcpy(bytes + HEAD + id_length, signature->value.at, signature->value.length);
    size_t written = (size_t)EVP_EncodeBlock((unsigned char *)text, bytes, (int)length);
    if (for_id)
        to_url_alphabet(text, &written);
    return weir_span_of(text, written);
}

/* What is in it goes into a JSON string as it is, and may have been made by anybody. */
static bool is_wire_text(struct weir_arena *arena, struct weir_span text) {
    struct weir_span token;
    return as_token(arena, text, &token) && weir_json_scan(token, NULL, 0, NULL, NULL, NULL) == WEIR_OK;
}

bool weir_signature_open(struct weir_arena *arena, struct weir_span wire, struct weir_signature *signature) {
    size_t padded = (wire.length + 3) / 4 * 4;
    if (wire.length < HEAD || wire.length > 2 * WEIR_MAX_EVENT_BYTES)
        return false;
    char *text = weir_arena_alloc_raw(arena, padded);
    unsigned char *bytes = weir_arena_alloc_raw(arena, padded);
    if (text == NULL || bytes == NULL)
        return false;
    memset(text, '=', padded);
    for (size_t i = 0; i < wire.length; i++)
        text[i] = wire.at[i] == '-' ? '+' : wire.at[i] == '_' ? '/' : wire.at[i];
    size_t padding = 0;
    while (padding < 2 && text[padded - 1 - padding] == '=')
        padding++;
    int decoded = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)padded);
    size_t length = decoded < 0 ? 0 : (size_t)decoded - padding;
    if (length < HEAD || memcmp(bytes, mark, MARK) != 0 || bytes[MARK] >= WEIR_DIALECT_COUNT)
        return false;
    size_t id_length = bytes[MARK + 2];
    if (length < HEAD + id_length)
        return false;
    const char *at = (const char *)bytes + HEAD;
    if (!is_wire_text(arena, weir_span_of(at, id_length)) ||
        !is_wire_text(arena, weir_span_of(at + id_length, length - HEAD - id_length)))
        return false;
    *signature = (struct weir_signature){.value = weir_span_of(at + id_length, length - HEAD - id_length),
                                         .from = (enum weir_dialect_kind)bytes[MARK],
                                         .is_redacted = bytes[MARK + 1] != 0,
                                         .id = id_length > 0 ? weir_span_of(at, id_length) : WEIR_UNSAID};
    return true;
}
