/* Random bytes come from the kernel in pieces of 512, because a system call an identifier would be felt; bytes that
 * were handed out are wiped from the buffer, so that it never tells a past key. */
#include "base/ids.h"

#include "base/memory.h"

#include <errno.h>
#include <sys/random.h>
#include <zlib.h>

static const char base62_digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char hex_digits[] = "0123456789abcdef";

static void fill_from_kernel(unsigned char *out, size_t size) {
    while (size > 0) {
        ssize_t got = getrandom(out, size, 0);
        if (got < 0) {
            weir_bug_on(errno != EINTR);
            continue;
        }
        out += got;
        size -= (size_t)got;
    }
}

void weir_random_fill(struct weir_random *random, void *out, size_t size) {
    if (size > sizeof(random->bytes)) {
        fill_from_kernel(out, size);
        return;
    }
    if (size == 0) {
        return;
    }
    if (size > random->left) {
        fill_from_kernel(random->bytes, sizeof(random->bytes));
        random->left = sizeof(random->bytes);
    }
    unsigned char *from = random->bytes + (sizeof(random->bytes) - random->left);
    memcpy(out, from, size);
    weir_memory_wipe(from, size);
    random->left -= size;
}

struct weir_uuid weir_uuid_v7(struct weir_random *random, int64_t utc_us) {
    struct weir_uuid uuid;
    uint64_t milliseconds = utc_us > 0 ? (uint64_t)(utc_us / 1000) : 0;
    for (size_t i = 0; i < 6; i++) {
        uuid.bytes[i] = (unsigned char)(milliseconds >> (40 - 8 * i));
    }
    weir_random_fill(random, uuid.bytes + 6, 10);
    uuid.bytes[6] = (unsigned char)((uuid.bytes[6] & 0x0FU) | 0x70U); /* version */
    uuid.bytes[8] = (unsigned char)((uuid.bytes[8] & 0x3FU) | 0x80U); /* variant */
    return uuid;
}

static bool hyphen_before(size_t byte_index) {
    return byte_index == 4 || byte_index == 6 || byte_index == 8 || byte_index == 10;
}

void weir_uuid_format(const struct weir_uuid *uuid, char out[WEIR_UUID_TEXT_SIZE]) {
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (hyphen_before(i)) {
            *out++ = '-';
        }
        *out++ = hex_digits[uuid->bytes[i] >> 4];
        *out++ = hex_digits[uuid->bytes[i] & 0x0FU];
    }
    *out = '\0';
}

/* -1: no hexadecimal digit. A table, for no processor can guess which branch a random digit takes. */
static int hex_value(char byte) {
    static const signed char values_plus_one[256] = {
        ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
        ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
        ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};
    return values_plus_one[(unsigned char)byte] - 1;
}

static bool hex_byte(const char *digits, unsigned char *byte) {
    int high = hex_value(digits[0]);
    int low = hex_value(digits[1]);
    if (high < 0 || low < 0) {
        return false;
    }
    *byte = (unsigned char)(high * 16 + low);
    return true;
}

enum weir_status weir_uuid_parse(struct weir_span text, struct weir_uuid *uuid) {
    if (text.length != WEIR_UUID_TEXT_SIZE - 1) {
        return WEIR_EINVAL;
    }
    struct weir_uuid parsed;
    const char *at = text.at;
    for (size_t i = 0; i < sizeof(parsed.bytes); i++) {
        if (hyphen_before(i) && *at++ != '-') {
            return WEIR_EINVAL;
        }
        if (!hex_byte(at, &parsed.bytes[i])) {
            return WEIR_EINVAL;
        }
        at += 2;
    }
    *uuid = parsed;
    return WEIR_OK;
}

void weir_hex_format(const void *bytes, size_t size, char *out) {
    const unsigned char *from = bytes;
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = hex_digits[from[i] >> 4];
        out[2 * i + 1] = hex_digits[from[i] & 0x0FU];
    }
    out[2 * size] = '\0';
}

enum weir_status weir_hex_parse(struct weir_span text, void *out, size_t size) {
    unsigned char *to = out;
    if (text.length % 2 != 0 || text.length / 2 != size) {
        return WEIR_EINVAL;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (hex_value(text.at[i]) < 0) {
            return WEIR_EINVAL; /* before anything is written */
        }
    }
    for (size_t i = 0; i < size; i++) {
        (void)hex_byte(text.at + 2 * i, &to[i]);
    }
    return WEIR_OK;
}

uint32_t weir_crc32(uint32_t crc, struct weir_span span) {
    /* zlib reads a NULL pointer as "give me the first value". */
    return span.length == 0 ? crc : (uint32_t)crc32_z(crc, (const Bytef *)span.at, span.length);
}

void weir_base62_format(uint64_t value, char *out, size_t digits) {
    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = base62_digits[value % 62];
        value /= 62;
    }
}

void weir_base62_random(struct weir_random *random, char *out, size_t digits) {
    enum { UNBIASED_BELOW = 62 * 4 /* the largest multiple of 62 in a byte's range */ };
    size_t done = 0;
    while (done < digits) {
        unsigned char byte = 0;
        weir_random_fill(random, &byte, 1);
        if (byte < UNBIASED_BELOW) {
            out[done++] = base62_digits[byte % 62];
        }
    }
}

bool weir_base62_is_digit(char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}
