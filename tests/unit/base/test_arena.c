/* Arenas: alignment, zeroes, the cap, reuse, deferred calls. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Sizes that no machine has are asked for here; under AddressSanitizer too that is an answer, not an end. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1";
}

static void memory_is_aligned_zeroed_and_apart(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(64, 1 << 20);
    assert_non_null(arena);
    unsigned char *before = NULL;
    for (size_t size = 0; size < 500; size++) {
        unsigned char *memory = weir_arena_alloc(arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        assert_ptr_not_equal(memory, before);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(memory[i], 0);
        }
        if (size > 0) {
            memset(memory, 0xAA, size);
        }
        before = memory;
    }
    weir_arena_reset(arena);
    const unsigned char *again = weir_arena_alloc(arena, 64);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(again[i], 0);
    }
    weir_arena_free(&arena);
    assert_null(arena);
    weir_arena_free(&arena);
}

static void the_cap_holds(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, 1000);
    assert_null(weir_arena_alloc(arena, 1025));
    assert_non_null(weir_arena_alloc(arena, 600));
    assert_null(weir_arena_alloc(arena, 600));
    assert_non_null(weir_arena_alloc(arena, 300));
    assert_true(weir_arena_used_bytes(arena) >= 900);
    weir_arena_reset(arena);
    assert_int_equal(weir_arena_used_bytes(arena), 0);
    assert_non_null(weir_arena_alloc(arena, 1000));
    assert_null(weir_arena_alloc(arena, 16));
    weir_arena_free(&arena);
}

static void a_cap_is_reached_by_small_pieces_too(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(256, 64 * 1024);
    size_t pieces = 0;
    while (weir_arena_alloc_raw(arena, 16) != NULL) {
        pieces++;
    }
    assert_int_equal(pieces, 64 * 1024 / 16);
    assert_int_equal(weir_arena_used_bytes(arena), 64 * 1024);
    weir_arena_free(&arena);
}

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, SIZE_MAX);
    assert_null(weir_arena_alloc(arena, SIZE_MAX));
    assert_null(weir_arena_alloc(arena, SIZE_MAX - 15));
    assert_null(weir_arena_alloc_raw(arena, SIZE_MAX - 64));
    assert_null(weir_arena_array(arena, SIZE_MAX / 2, 3));
    assert_null(weir_arena_string(arena, weir_span_of("", SIZE_MAX)));
    assert_non_null(weir_arena_array(arena, 3, 5));
    assert_non_null(weir_arena_array(arena, 0, 5));
    weir_arena_free(&arena);
    assert_null(weir_arena_new(SIZE_MAX, 100));
    assert_null(weir_arena_new(SIZE_MAX - 100, 100));
}

static void large_and_small_mix(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(128, 16 << 20);
    struct {
        unsigned char *at;
        size_t size;
    } pieces[200];
    for (size_t i = 0; i < 200; i++) {
        pieces[i].size = i % 7 == 0 ? 50000 + i : 1 + i * 3;
        pieces[i].at = weir_arena_alloc_raw(arena, pieces[i].size);
        assert_non_null(pieces[i].at);
        memset(pieces[i].at, (int)(i & 0xFF), pieces[i].size);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < pieces[i].size; j++) {
            assert_int_equal(pieces[i].at[j], i & 0xFF);
        }
    }
    weir_arena_free(&arena);
}

static void copies_and_texts(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, 4096);
    char source[] = "model";
    struct weir_span copy = {0};
    assert_int_equal(weir_arena_dup(arena, weir_span_of(source, 5), &copy), WEIR_OK);
    char *text = weir_arena_string(arena, weir_span_of(source, 3));
    source[0] = 'x';
    assert_true(weir_span_equal(copy, WEIR_SPAN("model")));
    assert_string_equal(text, "mod");
    assert_string_equal(weir_arena_format(arena, "%s-%03d", "a", 7), "a-007");
    assert_string_equal(weir_arena_format(arena, "%s", ""), "");
    assert_string_equal(weir_arena_string(arena, (struct weir_span){.at = NULL, .length = 0}), "");
    assert_int_equal(weir_arena_dup(arena, (struct weir_span){.at = NULL, .length = 0}, &copy), WEIR_OK);
    assert_int_equal(copy.length, 0);
    char large[5000] = {0};
    struct weir_span before = copy;
    assert_int_equal(weir_arena_dup(arena, weir_span_of(large, sizeof(large)), &copy), WEIR_ENOMEM);
    assert_ptr_equal(copy.at, before.at);
    assert_null(weir_arena_string(arena, weir_span_of(large, sizeof(large))));
    assert_null(weir_arena_format(arena, "%5000d", 1));
    weir_arena_free(&arena);
}

struct calls {
    int numbers[8];
    size_t count;
};
struct call {
    struct calls *calls;
    int number;
};

static void remember(void *argument) {
    const struct call *call = argument;
    call->calls->numbers[call->calls->count++] = call->number;
}

static void note_that_it_ran(void *argument) {
    *(bool *)argument = true;
}

static void wiping_overwrites_every_block(void **state) {
    (void)state;
    enum { COUNT = 8 };
    unsigned char *memory[COUNT];
    static const size_t sizes[COUNT] = {1, 40, 900, 17, 300000, 64, 5000, 3};
    bool ran = false;
    struct weir_arena *arena = weir_arena_new(128, 1 << 20);
    assert_int_equal(weir_arena_defer(arena, note_that_it_ran, &ran), WEIR_OK);
    for (size_t i = 0; i < COUNT; i++) {
        memory[i] = weir_arena_alloc_raw(arena, sizes[i]);
        memset(memory[i], 0x5A, sizes[i]);
    }
    weir_arena_wipe(arena);
    assert_true(ran);
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t at = 0; at < sizes[i]; at++) {
            assert_int_equal(memory[i][at], 0);
        }
    }
    weir_arena_reset(arena);
    assert_non_null(weir_arena_alloc(arena, 100));
    weir_arena_free(&arena);
}

static void deferred_calls_run_once_in_reverse(void **state) {
    (void)state;
    struct calls calls = {0};
    struct call first = {&calls, 1};
    struct call second = {&calls, 2};
    struct weir_arena *arena = weir_arena_new(0, 4096);
    assert_int_equal(weir_arena_defer(arena, remember, &first), WEIR_OK);
    assert_int_equal(weir_arena_defer(arena, remember, &second), WEIR_OK);
    weir_arena_reset(arena);
    assert_int_equal(calls.count, 2);
    assert_int_equal(calls.numbers[0], 2);
    assert_int_equal(calls.numbers[1], 1);
    weir_arena_reset(arena);
    assert_int_equal(calls.count, 2);
    /* Its argument may live in the arena: memory goes after the calls. */
    struct call *inside = weir_arena_alloc(arena, sizeof(*inside));
    *inside = (struct call){&calls, 3};
    assert_int_equal(weir_arena_defer(arena, remember, inside), WEIR_OK);
    weir_arena_free(&arena);
    assert_int_equal(calls.count, 3);
    assert_int_equal(calls.numbers[2], 3);
    arena = weir_arena_new(0, 16);
    assert_int_equal(weir_arena_defer(arena, remember, &first), WEIR_ENOMEM);
    weir_arena_free(&arena);
    assert_int_equal(calls.count, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_zeroed_and_apart),
        cmocka_unit_test(the_cap_holds),
        cmocka_unit_test(a_cap_is_reached_by_small_pieces_too),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(large_and_small_mix),
        cmocka_unit_test(copies_and_texts),
        cmocka_unit_test(wiping_overwrites_every_block),
        cmocka_unit_test(deferred_calls_run_once_in_reverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
