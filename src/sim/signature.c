/* See signature.h. */
#include "sim/signature.h"

#include "sim/script.h"
#include "sim/text.h"

enum { SIGNATURE_SIZE = 64, DRAWN_DIGITS = 16 };
static const char signature_end[] = "/+8=";

/* A hash of the text and a number in base64, the number in hexadecimal, and an end with all that base64 has besides letters. */
static bool write_signature(uint64_t drawn, struct weir_span text, char out[SIGNATURE_SIZE]) {
    struct weir_buffer buffer;
    char plain[32];
    int length = snprintf(plain, sizeof plain, "weir-sim%016llx", (unsigned long long)sim__hash(drawn, text));
    weir_buffer_init(&buffer, SIGNATURE_SIZE);
    sim__base64(weir_span_of(plain, (size_t)length), &buffer);
    weir_buffer_printf(&buffer, "%016llx%s", (unsigned long long)drawn, signature_end);
    bool done = weir_buffer_status(&buffer) == WEIR_OK &&
                weir_span_to_string(weir_buffer_span(&buffer), out, SIGNATURE_SIZE) == WEIR_OK;
    weir_buffer_release(&buffer);
    return done;
}

bool sim__signature_make(struct weir_arena *arena, uint64_t seed, struct weir_span text, struct weir_span *signature) {
    char made[SIGNATURE_SIZE];
    return write_signature(sim__mix(seed), text, made) &&
           weir_arena_dup(arena, weir_span_of_string(made), signature) == WEIR_OK;
}

bool sim__signature_fits(struct weir_span signature, struct weir_span text) {
    char digits[DRAWN_DIGITS + 1] = "";
    char made[SIGNATURE_SIZE];
    size_t behind = DRAWN_DIGITS + strlen(signature_end);
    if (signature.length < behind) {
        return false;
    }
    memcpy(digits, signature.at + signature.length - behind, DRAWN_DIGITS);
    return write_signature(strtoull(digits, NULL, 16), text, made) &&
           weir_span_equal(weir_span_of_string(made), signature);
}

uint64_t sim__signature_hash(struct weir_span signature, struct weir_span text) {
    return sim__hash(sim__hash(77, signature), text);
}
