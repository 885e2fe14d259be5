/* Identifiers and the small encodings they are written in. */
#ifndef WEIR_BASE_IDS_H
#define WEIR_BASE_IDS_H

#include "base/span.h"

/* A buffered source of random bytes from the kernel; one owner, one thread. Zeroed memory is a valid start. */
struct weir_random {
    unsigned char bytes[512];
    size_t left;
};
/* Aborts when the kernel has no randomness: nothing could go on safely. */
void weir_random_fill(struct weir_random *random, void *out, size_t size);

enum { WEIR_UUID_TEXT_SIZE = 37 };
struct weir_uuid {
    unsigned char bytes[16];
};
/* RFC 9562 version 7: 48 bits of milliseconds, then random bits. */
struct weir_uuid weir_uuid_v7(struct weir_random *random, int64_t utc_us);
void weir_uuid_format(const struct weir_uuid *uuid, char out[WEIR_UUID_TEXT_SIZE]);
/* Lower or upper case with hyphens, any version; WEIR_EINVAL otherwise. */
WEIR_MUST enum weir_status weir_uuid_parse(struct weir_span text, struct weir_uuid *uuid);

/* Lower-case hexadecimal; out must hold 2 * size + 1. */
void weir_hex_format(const void *bytes, size_t size, char *out);
/* Exactly 2 * size hexadecimal digits of either case. WEIR_EINVAL. */
WEIR_MUST enum weir_status weir_hex_parse(struct weir_span text, void *out, size_t size);

/* CRC-32 as in zlib (polynomial 0xEDB88320), of `span` continuing from `crc` (0 at the start). */
uint32_t weir_crc32(uint32_t crc, struct weir_span span);

/* CRC-32C (polynomial 0x82F63B78, RFC 3720), continuing from `crc` (0 at the start). The second never uses the processor's instruction. */
uint32_t weir_crc32c(uint32_t crc, struct weir_span span);
uint32_t weir_crc32c_portable(uint32_t crc, struct weir_span span);

/* 0-9A-Za-z. Writes `value` in exactly `digits` digits, most significant first, no NUL. */
void weir_base62_format(uint64_t value, char *out, size_t digits);
/* Random base62 digits without bias, no NUL. */
void weir_base62_random(struct weir_random *random, char *out, size_t digits);
bool weir_base62_is_digit(char byte);

#endif
