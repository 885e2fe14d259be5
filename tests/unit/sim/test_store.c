/* What is remembered, for how long, and by whom it is held. */
#include "sim/store.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct sim_object *add(struct sim_store *store, enum sim_object_kind kind, const char *id, size_t bytes) {
    struct weir_arena *request = weir_arena_new(0, 1 << 20);
    struct sim_object *object = sim__object_new(kind, weir_span_of_string(id), sizeof(int), request);
    assert_non_null(object);
    object->bytes = bytes;
    assert_int_equal(sim__store_add(store, object), WEIR_OK);
    weir_arena_free(&request);
    return object;
}

static void test_kinds_and_room(void **state) {
    (void)state;
    struct sim_store *store = sim__store_new();
    struct sim_object *file = add(store, SIM_OBJECT_FILE, "a", 1000);
    assert_ptr_equal(sim__store_find(store, SIM_OBJECT_FILE, WEIR_SPAN("a")), file);
    assert_null(sim__store_find(store, SIM_OBJECT_BATCH, WEIR_SPAN("a")));
    assert_int_equal(sim__store_room(store), SIM_STORE_MAX_BYTES - 1000);
    struct sim_object *upload = add(store, SIM_OBJECT_UPLOAD, "b", 0);
    sim__store_grow(store, upload, SIM_STORE_MAX_BYTES);
    assert_int_equal(sim__store_room(store), 0);
    sim__store_remove(store, upload);
    sim__store_remove(store, file);
    assert_int_equal(sim__store_room(store), SIM_STORE_MAX_BYTES);
    assert_null(sim__store_find(store, SIM_OBJECT_FILE, WEIR_SPAN("a")));
    sim__store_free(&store);
}

static void test_not_stored_goes_with_the_request(void **state) {
    (void)state;
    struct sim_store *store = sim__store_new();
    struct weir_arena *request = weir_arena_new(0, 1 << 20);
    assert_non_null(sim__object_new(SIM_OBJECT_FILE, WEIR_SPAN("a"), 8, request));
    weir_arena_free(&request); /* what leaks here the sanitizer tells */
    assert_null(sim__store_find(store, SIM_OBJECT_FILE, WEIR_SPAN("a")));
    sim__store_free(&store);
}

static void test_held_while_removed(void **state) {
    (void)state;
    struct sim_store *store = sim__store_new();
    struct weir_arena *request = weir_arena_new(0, 1 << 20);
    struct sim_object *object = add(store, SIM_OBJECT_RESPONSE, "a", 0);
    assert_int_equal(sim__object_hold(object, request), WEIR_OK);
    sim__store_remove(store, object);
    sim__store_remove(store, object); /* a second time nothing happens */
    assert_true(weir_span_equal(object->id, WEIR_SPAN("a")));
    weir_arena_free(&request);
    sim__store_free(&store);
}

static void test_oldest_is_forgotten(void **state) {
    (void)state;
    struct sim_store *store = sim__store_new();
    for (int i = 0; i <= SIM_STORE_MAX_OBJECTS; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "r%d", i);
        (void)add(store, SIM_OBJECT_RESPONSE, id, 0);
    }
    assert_null(sim__store_find(store, SIM_OBJECT_RESPONSE, WEIR_SPAN("r0")));
    assert_non_null(sim__store_find(store, SIM_OBJECT_RESPONSE, WEIR_SPAN("r1")));
    sim__store_free(&store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_and_room),
        cmocka_unit_test(test_not_stored_goes_with_the_request),
        cmocka_unit_test(test_held_while_removed),
        cmocka_unit_test(test_oldest_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
