/* A fresh database for each test, on each engine: what the tests of struct weir_engine_ops share. */
#ifndef WEIR_TESTS_STORE_FIXTURE_H
#define WEIR_TESTS_STORE_FIXTURE_H

#include "support.h"

static const struct weir_engine_ops *const engines[] = {&weir_engine_sqlite};
enum { ENGINE_COUNT = sizeof(engines) / sizeof(engines[0]) };

struct fixture {
    const struct weir_engine_ops *ops;
    char scratch[SCRATCH_SIZE];
    char location[PATH_SIZE];
    struct weir_engine *engine;
    struct weir_arena *arena; /* for what the tests read */
    struct weir_error error;
};

static inline void open_engine(struct fixture *fixture) {
    enum weir_status status = fixture->ops->open(fixture->location, "dev", &fixture->engine, &fixture->error);
    if (status != WEIR_OK)
        print_error("%s\n", fixture->error.text);
    assert_int_equal(status, WEIR_OK);
}

static inline int set_up(void **state) {
    struct fixture *fixture = test_calloc(1, sizeof(*fixture));
    fixture->ops = *state;
    fixture->arena = weir_arena_new(0, 64 << 20);
    assert_non_null(fixture->arena);
    scratch_make(fixture->scratch);
    (void)snprintf(fixture->location, sizeof(fixture->location), "%s/weir.db", fixture->scratch);
    open_engine(fixture);
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state) {
    struct fixture *fixture = *state;
    fixture->ops->close(&fixture->engine);
    assert_null(fixture->engine);
    weir_arena_free(&fixture->arena);
    scratch_remove(fixture->scratch);
    test_free(fixture);
    return 0;
}

/* Says what went wrong. */
static inline void check(struct fixture *fixture, enum weir_status status, enum weir_status expected) {
    if (status != expected)
        print_error("%s: %s\n", weir_status_name(status), fixture->error.text);
    assert_int_equal(status, expected);
}

#define ON(engine, function) \
    { #function, function, set_up, tear_down, (void *)(uintptr_t)engines[engine] }

#endif
