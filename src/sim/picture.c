/* See picture.h. The pixels stand in one stored block of deflate, so that no compressor is needed. */
#include "sim/picture.h"

#include "base/ids.h"
#include "sim/text.h"

enum { SIDE = 16, ROW_BYTES = 1 + 3 * SIDE, PIXEL_BYTES = SIDE * ROW_BYTES };
enum { CHUNK_OVERHEAD = 12, ADLER_MODULUS = 65521 };

static void append_number(uint32_t number, struct weir_buffer *out) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        weir_buffer_append_byte(out, (char)(number >> shift & 0xffU));
    }
}

static void append_chunk(const char *name, struct weir_span content, struct weir_buffer *out) {
    append_number((uint32_t)content.length, out);
    weir_buffer_append(out, weir_span_of_string(name));
    weir_buffer_append(out, content);
    append_number(weir_crc32(weir_crc32(0, weir_span_of_string(name)), content), out);
}

static uint32_t adler(struct weir_span bytes) {
    uint32_t low = 1;
    uint32_t high = 0;
    for (size_t i = 0; i < bytes.length; i++) {
        low = (low + (unsigned char)bytes.at[i]) % ADLER_MODULUS;
        high = (high + low) % ADLER_MODULUS;
    }
    return high << 16 | low;
}

static void append_pixels(uint64_t seed, struct weir_buffer *out) {
    char rows[PIXEL_BYTES];
    struct weir_buffer packed;
    for (size_t i = 0; i < sizeof rows; i++) {
        rows[i] = i % ROW_BYTES == 0 ? 0 : (char)(sim__mix(seed + i / 12) & 0xffU);
    }
    weir_buffer_init(&packed, 2 * (size_t)PIXEL_BYTES);
    const char start[] = {0x78,
                          0x01,
                          1,
                          (char)(PIXEL_BYTES & 0xff),
                          (char)(PIXEL_BYTES >> 8),
                          (char)(~PIXEL_BYTES & 0xff),
                          (char)(~PIXEL_BYTES >> 8 & 0xff)};
    weir_buffer_append(&packed, weir_span_of(start, sizeof start));
    weir_buffer_append(&packed, weir_span_of(rows, sizeof rows));
    append_number(adler(weir_span_of(rows, sizeof rows)), &packed);
    append_chunk("IDAT", weir_buffer_span(&packed), out);
    weir_buffer_release(&packed);
}

static void append_filler(size_t bytes, struct weir_buffer *out) {
    struct weir_buffer filler;
    weir_buffer_init(&filler, bytes);
    char *zeroes = weir_buffer_reserve(&filler, bytes);
    if (zeroes != NULL) {
        memset(zeroes, 0, bytes);
        weir_buffer_commit(&filler, bytes);
        append_chunk("fiLl", weir_buffer_span(&filler), out);
    }
    weir_buffer_release(&filler);
}

void sim__picture(uint64_t seed, size_t bytes, struct weir_buffer *out) {
    static const char head[] = {0, 0, 0, SIDE, 0, 0, 0, SIDE, 8, 2, 0, 0, 0};
    size_t from = out->length;
    weir_buffer_append(out, WEIR_SPAN("\x89PNG\r\n\x1a\n"));
    append_chunk("IHDR", weir_span_of(head, sizeof head), out);
    append_pixels(seed, out);
    size_t length = out->length - from + 2 * (size_t)CHUNK_OVERHEAD;
    if (bytes > length) {
        append_filler(bytes - length, out);
    }
    append_chunk("IEND", WEIR_SPAN(""), out);
}
