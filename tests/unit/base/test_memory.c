/* The heap's door, and secrets. */
#include "base/memory.h"
#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void heap(void **state) {
    (void)state;
    unsigned char *memory = weir_memory_new(3, 5);
    assert_non_null(memory);
    for (size_t i = 0; i < 15; i++) {
        assert_int_equal(memory[i], 0);
    }
    memory[14] = 9;
    memory = weir_memory_resize(memory, 100, 5);
    assert_int_equal(memory[14], 9);
    assert_null(weir_memory_resize(memory, SIZE_MAX / 2, 3)); /* the old block stays */
    assert_int_equal(memory[14], 9);
    weir_memory_free(memory);
    assert_null(weir_memory_new(SIZE_MAX / 2, 3));
    void *nothing = weir_memory_new(0, 10);
    assert_non_null(nothing);
    nothing = weir_memory_resize(nothing, 0, 10);
    assert_non_null(nothing);
    weir_memory_free(nothing);
    weir_memory_free(NULL);
    char *text = weir_memory_string(WEIR_SPAN("abc"));
    assert_string_equal(text, "abc");
    weir_memory_free(text);
    text = weir_memory_string((struct weir_span){.at = NULL, .length = 0});
    assert_string_equal(text, "");
    weir_memory_free(text);
    assert_null(weir_memory_string(weir_span_of("", SIZE_MAX)));
}

static void wiping_and_comparing(void **state) {
    (void)state;
    char bytes[] = "hunter2";
    weir_memory_wipe(bytes, 4);
    assert_memory_equal(bytes, "\0\0\0\0er2", 7);
    weir_memory_wipe(NULL, 0);
    assert_true(weir_memory_equal_constant_time("abc", "abd", 2));
    assert_false(weir_memory_equal_constant_time("abc", "abd", 3));
    assert_false(weir_memory_equal_constant_time("xbc", "abc", 3));
    assert_true(weir_memory_equal_constant_time("", "x", 0));
}

static void a_secret_is_a_copy(void **state) {
    (void)state;
    char source[] = "sk-123";
    struct weir_secret *secret = weir_secret_new(weir_span_of(source, 6));
    assert_non_null(secret);
    weir_memory_wipe(source, sizeof(source));
    assert_true(weir_span_equal(weir_secret_reveal(secret), WEIR_SPAN("sk-123")));
    weir_secret_free(&secret);
    assert_null(secret);
    weir_secret_free(&secret);
    assert_int_equal(weir_secret_reveal(NULL).length, 0);
    secret = weir_secret_new(WEIR_SPAN(""));
    assert_non_null(secret);
    assert_int_equal(weir_secret_reveal(secret).length, 0);
    weir_secret_free(&secret);
    assert_null(weir_secret_new(weir_span_of("", SIZE_MAX)));
}

static void a_secret_may_be_larger_than_a_page(void **state) {
    (void)state;
    char large[10000];
    for (size_t i = 0; i < sizeof(large); i++) {
        large[i] = (char)(i % 251);
    }
    struct weir_secret *secret = weir_secret_new(weir_span_of(large, sizeof(large)));
    assert_true(weir_span_equal(weir_secret_reveal(secret), weir_span_of(large, sizeof(large))));
    weir_secret_free(&secret);
}

/* The kernel lists each mapping's flags; "dd" is MADV_DONTDUMP. */
static bool is_kept_from_dumps(const void *address) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    if (maps == NULL) {
        skip();
    }
    char line[1024];
    bool inside = false;
    bool kept = false;
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long from = 0;
        unsigned long until = 0;
        if (sscanf(line, "%lx-%lx ", &from, &until) == 2) {
            inside = (uintptr_t)address >= from && (uintptr_t)address < until;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            kept = strstr(line, " dd") != NULL;
        }
    }
    fclose(maps);
    return kept;
}

static void a_secret_stays_out_of_core_dumps(void **state) {
    (void)state;
    int other = 0;
    struct weir_secret *secret = weir_secret_new(WEIR_SPAN("quiet"));
    assert_true(is_kept_from_dumps(secret));
    assert_false(is_kept_from_dumps(&other));
    weir_secret_free(&secret);
}

static void masks(void **state) {
    (void)state;
    char mask[WEIR_SECRET_MASK_SIZE];
    weir_secret_mask(WEIR_SPAN("abcdefghijklmnopqrstuvwxyz"), mask);
    assert_string_equal(mask, "abcd…wxyz");
    weir_secret_mask(WEIR_SPAN("abcdefghijkl"), mask);
    assert_string_equal(mask, "abcd…ijkl");
    weir_secret_mask(WEIR_SPAN("abcdefghijk"), mask);
    assert_string_equal(mask, "***");
    weir_secret_mask(WEIR_SPAN(""), mask);
    assert_string_equal(mask, "***");
    weir_secret_mask(WEIR_SPAN("a\n\x80 efghijk\"l\x7F"), mask);
    assert_string_equal(mask, "a???…k\"l?");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap),
        cmocka_unit_test(wiping_and_comparing),
        cmocka_unit_test(a_secret_is_a_copy),
        cmocka_unit_test(a_secret_may_be_larger_than_a_page),
        cmocka_unit_test(a_secret_stays_out_of_core_dumps),
        cmocka_unit_test(masks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
