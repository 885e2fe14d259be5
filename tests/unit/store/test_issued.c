/* The table of the newest issued ids: what is found, what makes room, and many threads at once. */
#include "support.h"

#include <pthread.h>

static struct weir_issued issued_of(const char *id, const char *provider) {
    return (struct weir_issued){.id = weir_span_of_string(id),
                                .provider = weir_span_of_string(provider),
                                .model = WEIR_SPAN("m"),
                                .workspace = WEIR_SPAN("default")};
}

static void assert_provider(struct weir_issued_table *table, const char *id, const char *provider) {
    struct weir_arena *arena = weir_arena_new(0, 1 << 16);
    struct weir_issued found = {.id = WEIR_SPAN("")};
    bool known = weir_issued_get(table, weir_span_of_string(id), arena, &found);
    assert_true(known == (provider != NULL));
    if (known) {
        assert_spans_equal(found.id, weir_span_of_string(id));
        assert_spans_equal(found.provider, weir_span_of_string(provider));
        assert_spans_equal(found.model, WEIR_SPAN("m"));
        assert_spans_equal(found.workspace, WEIR_SPAN("default"));
    }
    weir_arena_free(&arena);
}

static void put(struct weir_issued_table *table, const char *id, const char *provider) {
    const struct weir_issued issued = issued_of(id, provider);
    weir_issued_put(table, &issued);
}

static void what_was_put_is_found(void **state) {
    (void)state;
    struct weir_issued_table *table = weir_issued_new(100);
    assert_non_null(table);
    char id[16] = "resp_1";
    put(table, id, "openai");
    memset(id, 'x', 6); /* it has its own copy */
    assert_provider(table, "resp_1", "openai");
    assert_provider(table, "resp_2", NULL);
    assert_provider(table, "", NULL);
    put(table, "resp_1", "azure");
    assert_provider(table, "resp_1", "azure");
    weir_issued_free(&table);
    assert_null(table);
    weir_issued_free(&table);
}

static void the_newest_are_kept(void **state) {
    (void)state;
    struct weir_issued_table *table = weir_issued_new(3);
    put(table, "a", "1");
    put(table, "b", "1");
    put(table, "c", "1");
    assert_provider(table, "a", "1"); /* being asked for makes it no newer */
    put(table, "b", "2");             /* being put again does */
    put(table, "d", "1");
    assert_provider(table, "a", NULL);
    put(table, "e", "1");
    assert_provider(table, "c", NULL);
    assert_provider(table, "b", "2");
    assert_provider(table, "d", "1");
    assert_provider(table, "e", "1");
    put(table, "f", "1");
    assert_provider(table, "b", NULL);
    weir_issued_free(&table);
    table = weir_issued_new(0); /* one, at least */
    put(table, "a", "1");
    put(table, "b", "1");
    assert_provider(table, "a", NULL);
    assert_provider(table, "b", "1");
    weir_issued_free(&table);
}

static void odd_texts_are_not_taken(void **state) {
    (void)state;
    char text[257];
    memset(text, 't', sizeof(text));
    struct weir_issued_table *table = weir_issued_new(8);
    struct weir_arena *arena = weir_arena_new(0, 1 << 16);
    struct weir_issued issued = issued_of("a", "p"), found;
    issued.model = issued.workspace = WEIR_SPAN("");
    weir_issued_put(table, &issued);
    assert_true(weir_issued_get(table, WEIR_SPAN("a"), arena, &found));
    assert_int_equal(found.model.length, 0);
    struct weir_span *const members[] = {&issued.provider, &issued.model, &issued.workspace, &issued.id};
    for (size_t i = 0; i < 4; i++) {
        for (size_t length = 256; length <= 257; length++) {
            issued = issued_of("b", "p");
            *members[i] = weir_span_of(text, length);
            weir_issued_put(table, &issued);
            assert_true(weir_issued_get(table, issued.id, arena, &found) == (length == 256 || i < 3));
            if (length > 256)
                continue;
            assert_spans_equal(found.id, issued.id);
            assert_spans_equal(found.provider, issued.provider);
            assert_spans_equal(found.model, issued.model);
            assert_spans_equal(found.workspace, issued.workspace);
        }
    }
    issued = issued_of("c", "");
    weir_issued_put(table, &issued);
    assert_false(weir_issued_get(table, WEIR_SPAN("c"), arena, &found));
    issued = issued_of("", "p");
    weir_issued_put(table, &issued);
    assert_false(weir_issued_get(table, WEIR_SPAN(""), arena, &found));
    weir_arena_free(&arena);
    arena = weir_arena_new(0, 16);
    assert_false(weir_issued_get(table, weir_span_of(text, 256), arena, &found)); /* no room for the copy */
    weir_arena_free(&arena);
    weir_issued_free(&table);
}

/* --- many threads: each puts its own ids and looks for all of them --- */
enum { THREADS = 4, ROUNDS = 3000, CAPACITY = 64 };

struct worker {
    pthread_t thread;
    struct weir_issued_table *table;
    unsigned number, own_found;
};

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct weir_arena *arena = weir_arena_new(0, 1 << 16);
    for (unsigned i = 0; i < ROUNDS; i++) {
        char id[32], provider[32];
        (void)snprintf(id, sizeof(id), "id-%u-%u", worker->number, i % 100);
        (void)snprintf(provider, sizeof(provider), "provider-%u-%u", worker->number, i % 100);
        struct weir_issued issued = issued_of(id, provider), found;
        weir_issued_put(worker->table, &issued);
        for (unsigned other = 0; other < THREADS; other++) {
            (void)snprintf(id, sizeof(id), "id-%u-%u", other, i % 100);
            (void)snprintf(provider, sizeof(provider), "provider-%u-%u", other, i % 100);
            if (!weir_issued_get(worker->table, weir_span_of_string(id), arena, &found))
                continue;
            /* Never half of one and half of another. */
            if (!weir_span_equal(found.id, weir_span_of_string(id)) ||
                !weir_span_equal(found.provider, weir_span_of_string(provider)))
                abort();
            worker->own_found += other == worker->number;
        }
        weir_arena_reset(arena);
    }
    weir_arena_free(&arena);
    return NULL;
}

static void many_threads_share_it(void **state) {
    (void)state;
    struct weir_issued_table *table = weir_issued_new(CAPACITY);
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.table = table, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
    }
    unsigned found = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        found += workers[i].own_found;
    }
    assert_true(found > 0);
    /* Whatever the order was, the last ones put are there, and no more than there is room for. */
    unsigned left = 0;
    struct weir_arena *arena = weir_arena_new(0, 1 << 20);
    for (unsigned i = 0; i < THREADS; i++) {
        for (unsigned k = 0; k < 100; k++) {
            char id[32];
            struct weir_issued issued;
            (void)snprintf(id, sizeof(id), "id-%u-%u", i, k);
            left += weir_issued_get(table, weir_span_of_string(id), arena, &issued);
        }
    }
    weir_arena_free(&arena);
    assert_int_equal(left, CAPACITY);
    weir_issued_free(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(the_newest_are_kept),
        cmocka_unit_test(odd_texts_are_not_taken),
        cmocka_unit_test(many_threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
