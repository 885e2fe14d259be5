/* The table of known keys: alone, under one writer and several readers, and its size. ThreadSanitizer reads along
 * where the build has it. */
#include "identity/keys.h"

#include "base/memory.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A stand-in for SHA-256: spread over all bytes, a different one for each number. */
static void hash_of(uint64_t number, unsigned char hash[WEIR_KEY_HASH_SIZE]) {
    for (size_t i = 0; i < WEIR_KEY_HASH_SIZE; i += sizeof(number)) {
        number = (number ^ (number >> 31)) * UINT64_C(0x9E3779B97F4A7C15) + i + 1;
        memcpy(hash + i, &number, sizeof(number));
    }
}

static struct weir_key_record record_of(uint64_t number) {
    struct weir_key_record record = {
        .name = WEIR_SPAN("a name"),
        .workspace = WEIR_SPAN("default"),
        .expires_utc_us = (int64_t)number + 1,
    };
    snprintf(record.id, sizeof(record.id), "key_%llu", (unsigned long long)number);
    hash_of(number, record.hash);
    return record;
}

static const struct weir_key *find(const struct weir_keys *keys, uint64_t number) {
    unsigned char hash[WEIR_KEY_HASH_SIZE];
    hash_of(number, hash);
    return weir_keys_find(keys, hash);
}

static void what_was_applied_is_found(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    assert_null(find(keys, 7));
    assert_int_equal(weir_keys_count(keys), 0);
    char name[] = "laptop";
    char workspace[] = "team";
    struct weir_key_record record = record_of(7);
    record.name = weir_span_of_string(name);
    record.workspace = weir_span_of_string(workspace);
    assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    memset(name, 'x', sizeof(name) - 1); /* the table has copies */
    memset(workspace, 'x', sizeof(workspace) - 1);
    const struct weir_key *key = find(keys, 7);
    assert_non_null(key);
    assert_string_equal(key->id, "key_7");
    assert_memory_equal(key->hash, record.hash, sizeof(record.hash));
    assert_true(weir_span_equal(key->name, WEIR_SPAN("laptop")));
    assert_true(weir_span_equal(key->workspace, WEIR_SPAN("team")));
    assert_true(key->expires_utc_us == 8);
    assert_false(atomic_load(&key->revoked));
    assert_null(find(keys, 8));
    assert_int_equal(weir_keys_count(keys), 1);
    weir_keys_free(&keys);
    assert_null(keys);
    weir_keys_free(&keys);
}

static void a_hash_that_differs_in_its_last_bit_is_another(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    struct weir_key_record record = record_of(7);
    assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    record.hash[WEIR_KEY_HASH_SIZE - 1] ^= 1;
    assert_null(weir_keys_find(keys, record.hash));
    /* Same place, so they are neighbours. */
    assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    assert_int_equal(weir_keys_count(keys), 2);
    assert_ptr_not_equal(weir_keys_find(keys, record.hash), find(keys, 7));
    weir_keys_free(&keys);
}

static void revoking_marks_the_row_that_requests_hold(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    struct weir_key_record record = record_of(7);
    assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    const struct weir_key *held = find(keys, 7);
    record.revoked_utc_us = 1;
    assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    assert_ptr_equal(find(keys, 7), held);
    assert_true(atomic_load(&held->revoked));
    assert_int_equal(weir_keys_count(keys), 1);
    /* A key may be known as revoked from the start. */
    record = record_of(8);
    record.revoked_utc_us = 1;
    assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    assert_true(atomic_load(&find(keys, 8)->revoked));
    weir_keys_free(&keys);
}

static void a_change_leaves_held_rows_readable(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    struct weir_key_record record = record_of(7);
    assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK); /* nothing new: nothing happens */
    const struct weir_key *held = find(keys, 7);
    record.name = WEIR_SPAN("another name");
    record.expires_utc_us = 99;
    assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    weir_keys_quiet(keys, 0);
    weir_keys_collect(keys);
    assert_true(weir_span_equal(held->name, WEIR_SPAN("a name")));
    const struct weir_key *changed = find(keys, 7);
    assert_ptr_not_equal(changed, held);
    assert_true(weir_span_equal(changed->name, WEIR_SPAN("another name")));
    assert_true(changed->expires_utc_us == 99);
    record.revoked_utc_us = 5;
    assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    assert_true(atomic_load(&changed->revoked));
    assert_true(atomic_load(&held->revoked));
    assert_int_equal(weir_keys_count(keys), 1);
    weir_keys_free(&keys);
}

static void many_keys(void **state) {
    (void)state;
    enum { KEYS = 20000 };
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(2, &keys), WEIR_OK);
    for (uint64_t number = 0; number < KEYS; number++) {
        struct weir_key_record record = record_of(number);
        assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    }
    assert_int_equal(weir_keys_count(keys), KEYS);
    for (uint64_t number = 0; number < KEYS; number++) {
        const struct weir_key *key = find(keys, number);
        assert_non_null(key);
        assert_true(key->expires_utc_us == (int64_t)number + 1);
        assert_null(find(keys, number + KEYS));
    }
    weir_keys_quiet(keys, 0);
    weir_keys_collect(keys);
    weir_keys_quiet(keys, 1);
    weir_keys_collect(keys);
    assert_non_null(find(keys, 1));
    weir_keys_free(&keys);
}

/* What the heap holds; 0 where a sanitizer has taken its place. */
static size_t heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void a_key_costs_little_and_old_slots_go(void **state) {
    (void)state;
    enum { KEYS = 70000 /* just behind a growth, where it costs most */ };
    size_t before = heap_bytes();
    if (before == 0) {
        skip();
    }
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(2, &keys), WEIR_OK);
    for (uint64_t number = 0; number < KEYS; number++) {
        struct weir_key_record record = record_of(number);
        assert_int_equal(weir_keys_apply(keys, &record), WEIR_OK);
    }
    size_t with_old_slots = heap_bytes();
    weir_keys_quiet(keys, 0);
    weir_keys_collect(keys);
    assert_int_equal(heap_bytes(), with_old_slots); /* reader 1 may still be inside */
    weir_keys_quiet(keys, 1);
    weir_keys_collect(keys);
    size_t settled = heap_bytes();
    assert_true(settled < with_old_slots);
    const size_t texts = strlen("a name") + strlen("default");
    assert_true((with_old_slots - before) / KEYS <= 200 + texts);
    assert_true((settled - before) / KEYS <= 200);
    weir_keys_free(&keys);
}

enum { READERS = 3, SHARED_KEYS = 8000 };

struct shared {
    struct weir_keys *keys;
    _Atomic uint64_t published; /* numbers below it can be found */
    _Atomic uint64_t revoked;   /* numbers below it are marked */
    _Atomic uint64_t failures;
    _Atomic bool finished;
};

struct reader {
    struct shared *shared;
    unsigned index;
};

/* The newest keys, an unknown one, and one picked from all: what a worker does between two quiet points. */
static void look_things_up(struct shared *shared, uint64_t *pick) {
    uint64_t revoked = atomic_load(&shared->revoked);
    uint64_t published = atomic_load(&shared->published);
    for (unsigned i = 0; i < 20 && published > 0; i++) {
        *pick = *pick * UINT64_C(6364136223846793005) + 1442695040888963407U;
        uint64_t number = i == 0 ? published - 1 : (*pick >> 33) % published;
        const struct weir_key *key = find(shared->keys, number);
        bool is_right = key != NULL && key->expires_utc_us == (int64_t)number + 1 &&
                        weir_span_equal(key->workspace, WEIR_SPAN("default")) &&
                        (number >= revoked || atomic_load(&key->revoked));
        if (!is_right || find(shared->keys, number + 2 * SHARED_KEYS) != NULL) {
            atomic_fetch_add(&shared->failures, 1);
        }
    }
}

static void *read_on(void *context) {
    const struct reader *reader = context;
    uint64_t pick = reader->index;
    while (!atomic_load(&reader->shared->finished)) {
        look_things_up(reader->shared, &pick);
        weir_keys_quiet(reader->shared->keys, reader->index);
    }
    return NULL;
}

/* Adds all, revokes the older half as it goes, renames some. */
static enum weir_status write_all(struct shared *shared) {
    enum weir_status status = WEIR_OK;
    for (uint64_t number = 0; number < SHARED_KEYS && status == WEIR_OK; number++) {
        struct weir_key_record record = record_of(number);
        status = weir_keys_apply(shared->keys, &record);
        atomic_store(&shared->published, number + 1);
        if (status == WEIR_OK && number % 3 == 0) {
            record.name = WEIR_SPAN("renamed");
            status = weir_keys_apply(shared->keys, &record);
        }
        if (status == WEIR_OK && number % 2 == 1) {
            record = record_of(number / 2);
            record.revoked_utc_us = 1;
            status = weir_keys_apply(shared->keys, &record);
            atomic_store(&shared->revoked, number / 2 + 1);
        }
        weir_keys_collect(shared->keys);
    }
    return status;
}

static void readers_never_miss_a_published_key(void **state) {
    (void)state;
    struct shared shared = {0};
    assert_int_equal(weir_keys_new(READERS, &shared.keys), WEIR_OK);
    pthread_t threads[READERS];
    struct reader readers[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.shared = &shared, .index = i};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    enum weir_status status = write_all(&shared);
    atomic_store(&shared.finished, true);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(status, WEIR_OK);
    assert_int_equal(atomic_load(&shared.failures), 0);
    assert_int_equal(weir_keys_count(shared.keys), SHARED_KEYS);
    weir_keys_free(&shared.keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_applied_is_found),
        cmocka_unit_test(a_hash_that_differs_in_its_last_bit_is_another),
        cmocka_unit_test(revoking_marks_the_row_that_requests_hold),
        cmocka_unit_test(a_change_leaves_held_rows_readable),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(a_key_costs_little_and_old_slots_go),
        cmocka_unit_test(readers_never_miss_a_published_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
