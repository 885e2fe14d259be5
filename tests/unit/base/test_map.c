/* The hash table, held against a plain array; and the hash. */
#include "base/ids.h"
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void put_find_replace_remove(void **state) {
    (void)state;
    struct weir_map *map = weir_map_new(0);
    assert_non_null(map);
    int one = 1;
    int two = 2;
    void *old = &one;
    assert_null(weir_map_find(map, WEIR_SPAN("a")));
    assert_int_equal(weir_map_put(map, WEIR_SPAN("a"), &one, &old), WEIR_OK);
    assert_null(old);
    assert_int_equal(weir_map_put(map, WEIR_SPAN(""), &two, NULL), WEIR_OK);
    assert_ptr_equal(weir_map_find(map, WEIR_SPAN("a")), &one);
    assert_ptr_equal(weir_map_find(map, (struct weir_span){.at = NULL, .length = 0}), &two);
    assert_int_equal(weir_map_put(map, WEIR_SPAN("a"), &two, &old), WEIR_OK);
    assert_ptr_equal(old, &one);
    assert_int_equal(weir_map_count(map), 2);
    assert_ptr_equal(weir_map_remove(map, WEIR_SPAN("a")), &two);
    assert_null(weir_map_remove(map, WEIR_SPAN("a")));
    assert_null(weir_map_find(map, WEIR_SPAN("a")));
    assert_int_equal(weir_map_count(map), 1);
    weir_map_free(&map);
    assert_null(map);
    weir_map_free(&map);
    assert_null(weir_map_new(SIZE_MAX));
}

static void a_replacement_borrows_the_new_key(void **state) {
    (void)state;
    struct weir_map *map = weir_map_new(4);
    char *first = malloc(1);
    first[0] = 'k';
    int value = 0;
    assert_int_equal(weir_map_put(map, weir_span_of(first, 1), &value, NULL), WEIR_OK);
    assert_int_equal(weir_map_put(map, WEIR_SPAN("k"), &value, NULL), WEIR_OK);
    free(first);
    assert_ptr_equal(weir_map_find(map, WEIR_SPAN("k")), &value);
    weir_map_free(&map);
}

enum { KEYS = 300, KEY_SIZE = 8 };

static void a_long_life_of_changes(void **state) {
    (void)state;
    char keys[KEYS][KEY_SIZE];
    bool present[KEYS] = {false};
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(keys[i], KEY_SIZE, "k%zu", i);
    }
    struct weir_map *map = weir_map_new(0);
    struct weir_random random = {0};
    for (unsigned round = 0; round < 60000; round++) {
        uint32_t number = 0;
        weir_random_fill(&random, &number, sizeof(number));
        size_t i = number % KEYS;
        struct weir_span key = weir_span_of_string(keys[i]);
        if ((number & 0x80000000U) != 0) {
            assert_int_equal(weir_map_put(map, key, keys[i], NULL), WEIR_OK);
            count += present[i] ? 0 : 1;
            present[i] = true;
        } else {
            assert_ptr_equal(weir_map_remove(map, key), present[i] ? keys[i] : NULL);
            count -= present[i] ? 1 : 0;
            present[i] = false;
        }
        assert_int_equal(weir_map_count(map), count);
        i = (number >> 8) % KEYS;
        assert_ptr_equal(weir_map_find(map, weir_span_of_string(keys[i])), present[i] ? keys[i] : NULL);
    }
    size_t cursor = 0;
    struct weir_span key;
    void *value = NULL;
    while (weir_map_next(map, &cursor, &key, &value)) {
        size_t i = (size_t)((char *)value - keys[0]) / KEY_SIZE;
        assert_true(present[i]);
        assert_true(weir_span_equal(key, weir_span_of_string(keys[i])));
        present[i] = false;
        count--;
    }
    assert_int_equal(count, 0);
    weir_map_free(&map);
}

static void siphash_vectors(void **state) {
    (void)state;
    /* SipHash-1-3 under the zero key, of the bytes 0, 1, 2, …, as another implementation gives them. */
    static const struct {
        size_t length;
        uint64_t hash;
    } rows[] = {
        {1, UINT64_C(0x68a914128e01e473)},  {7, UINT64_C(0x2f098ab0c751325a)},  {8, UINT64_C(0xead411e67ebe2eea)},
        {9, UINT64_C(0x75927f9d95124362)},  {15, UINT64_C(0xf30eb725bb91c9ea)}, {16, UINT64_C(0x8972188433a5c5b7)},
        {17, UINT64_C(0x4883c49a2c009c1d)}, {31, UINT64_C(0x169739443111d49b)}, {63, UINT64_C(0x385d3e39e5f37359)},
    };
    unsigned char key[16] = {0};
    char bytes[64];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)i;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(weir_siphash(key, weir_span_of(bytes, rows[i].length)) == rows[i].hash);
    }
    uint64_t before = weir_siphash(key, weir_span_of(bytes, 8));
    key[15] = 1;
    assert_true(weir_siphash(key, weir_span_of(bytes, 8)) != before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_find_replace_remove),
        cmocka_unit_test(a_replacement_borrows_the_new_key),
        cmocka_unit_test(a_long_life_of_changes),
        cmocka_unit_test(siphash_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
