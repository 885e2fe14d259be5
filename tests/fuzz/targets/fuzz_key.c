/* links: base identity */
/* API keys from a header's bytes. The input is used three ways: as a header value, as a key, and as a choice of one
 * byte to change in a key that was made.
 *
 * Held: what passes as a header is "Bearer " and the key; what passes the check is of our brand and environment, of the
 * one length, and carries its checksum; a made key always passes, and with any one byte changed never does.
 */
#include "base/limits.h"
#include "identity/key.h"

static const struct weir_key_format format = {.brand = {.at = "weir", .length = 4},
                                              .environment = {.at = "dev", .length = 3}};

enum { KEY_BYTES = 9 + WEIR_KEY_RANDOM_DIGITS + WEIR_KEY_CHECK_DIGITS };

static void check_any_key(struct weir_span key) {
    enum weir_reason reason = weir_key_check(&format, key);
    if (reason == WEIR_REASON_NONE) {
        char digits[WEIR_KEY_CHECK_DIGITS];
        weir_bug_on(key.length != KEY_BYTES || !weir_span_starts_with(key, WEIR_SPAN("weir_dev_")));
        size_t covered = key.length - WEIR_KEY_CHECK_DIGITS;
        weir_base62_format(weir_crc32(0, weir_span_first(key, covered)), digits, sizeof(digits));
        weir_bug_on(memcmp(digits, key.at + covered, sizeof(digits)) != 0);
    } else if (reason == WEIR_REASON_KEY_WRONG_ENVIRONMENT) {
        weir_bug_on(!weir_span_starts_with(key, WEIR_SPAN("weir_prod_")) &&
                    !weir_span_starts_with(key, WEIR_SPAN("weir_stage_")));
        /* The process that the key is for does not call it foreign. */
        struct weir_key_format other = format;
        struct weir_span rest = weir_span_from(key, 5);
        (void)weir_span_split(rest, '_', &other.environment, &rest);
        weir_bug_on(weir_key_check(&other, key) == WEIR_REASON_KEY_WRONG_ENVIRONMENT);
    } else {
        weir_bug_on(reason != WEIR_REASON_KEY_INVALID);
    }
}

static void check_header(struct weir_span header) {
    struct weir_span key = {.at = NULL, .length = 0};
    enum weir_reason reason = weir_key_from_header(&header, &key);
    if (reason != WEIR_REASON_NONE) {
        weir_bug_on(reason != WEIR_REASON_KEY_MALFORMED || key.at != NULL);
        return;
    }
    weir_bug_on(!weir_span_starts_with(header, WEIR_SPAN("Bearer ")) || key.at != header.at + 7);
    weir_bug_on(key.length != header.length - 7 || key.length == 0);
    check_any_key(key);
}

/* The input's bytes choose the random digits, a place, and the byte that goes there. */
static void check_changed_key(const uint8_t *data, size_t size) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char key[KEY_BYTES];
    memcpy(key, "weir_dev_", 9);
    for (size_t i = 0; i < WEIR_KEY_RANDOM_DIGITS; i++) {
        key[9 + i] = digits[(i + 2 < size ? data[i + 2] : i) % 62];
    }
    size_t covered = KEY_BYTES - WEIR_KEY_CHECK_DIGITS;
    weir_base62_format(weir_crc32(0, weir_span_of(key, covered)), key + covered, WEIR_KEY_CHECK_DIGITS);
    struct weir_span whole = weir_span_of(key, sizeof(key));
    weir_bug_on(weir_key_check(&format, whole) != WEIR_REASON_NONE);
    weir_bug_on(weir_key_check(&format, weir_span_first(whole, sizeof(key) - 1)) == WEIR_REASON_NONE);
    if (size >= 2) {
        char *place = &key[data[0] % sizeof(key)];
        char right = *place;
        *place = (char)data[1];
        weir_bug_on((weir_key_check(&format, whole) == WEIR_REASON_NONE) != (*place == right));
        check_any_key(whole);
    }
}

/* The maker itself: rarely, because it takes memory and the kernel's randomness. */
static void check_made_key(uint8_t place, uint8_t byte) {
    struct weir_random random = {.left = 0};
    struct weir_secret *secret = NULL;
    weir_bug_on(weir_key_make(&format, &random, &secret) != WEIR_OK);
    struct weir_span made = weir_secret_reveal(secret);
    weir_bug_on(weir_key_check(&format, made) != WEIR_REASON_NONE);
    char changed[KEY_BYTES];
    weir_bug_on(made.length != sizeof(changed));
    memcpy(changed, made.at, sizeof(changed));
    changed[place % sizeof(changed)] = (char)byte;
    bool is_same = memcmp(changed, made.at, sizeof(changed)) == 0;
    weir_bug_on((weir_key_check(&format, weir_span_of(changed, sizeof(changed))) == WEIR_REASON_NONE) != is_same);
    weir_secret_free(&secret);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weir_span input = weir_span_of((const char *)data, size);
    check_header(input);
    check_any_key(input);
    check_changed_key(data, size);
    if (size == 2) {
        check_made_key(data[0], data[1]);
    }
    return 0;
}
