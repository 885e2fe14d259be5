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
    char team[] = "search";
    char workspace[] = "acme";
    struct weir_key_record record = record_of(7);
    record.team = weir_span_of_string(team);
    record.workspace = weir_span_of_string(workspace);
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    memset(team, 'x', sizeof(team) - 1); /* the table has copies */
    memset(workspace, 'x', sizeof(workspace) - 1);
    const struct weir_key *key = find(keys, 7);
    assert_non_null(key);
    assert_string_equal(key->id, "key_7");
    assert_memory_equal(key->hash, record.hash, sizeof(record.hash));
    assert_true(weir_span_equal(key->workspace, WEIR_SPAN("acme")));
    assert_true(weir_span_equal(key->shared->id, WEIR_SPAN("acme")));
    assert_true(weir_span_equal(key->owner->team, WEIR_SPAN("search")));
    assert_int_equal(key->owner->user.length + key->owner->family.length, 0);
    assert_null(key->rules);
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
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    record.hash[WEIR_KEY_HASH_SIZE - 1] ^= 1;
    assert_null(weir_keys_find(keys, record.hash));
    /* Same place, so they are neighbours. */
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_int_equal(weir_keys_count(keys), 2);
    assert_ptr_not_equal(weir_keys_find(keys, record.hash), find(keys, 7));
    weir_keys_free(&keys);
}

static void revoking_marks_the_row_that_requests_hold(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    struct weir_key_record record = record_of(7);
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    const struct weir_key *held = find(keys, 7);
    record.revoked_utc_us = 1;
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_ptr_equal(find(keys, 7), held);
    assert_true(atomic_load(&held->revoked));
    assert_int_equal(weir_keys_count(keys), 1);
    /* A key may be known as revoked from the start. */
    record = record_of(8);
    record.revoked_utc_us = 1;
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_true(atomic_load(&find(keys, 8)->revoked));
    weir_keys_free(&keys);
}

static void a_change_leaves_held_rows_readable(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    struct weir_key_record record = record_of(7);
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK); /* nothing new: nothing happens */
    const struct weir_key *held = find(keys, 7);
    record.user = WEIR_SPAN("ada");
    record.expires_utc_us = 99;
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    weir_keys_collect(keys); /* nobody has said that nothing is held */
    assert_null(held->owner);
    assert_true(held->expires_utc_us == 8);
    const struct weir_key *changed = find(keys, 7);
    assert_ptr_not_equal(changed, held);
    assert_true(weir_span_equal(changed->owner->user, WEIR_SPAN("ada")));
    assert_true(changed->expires_utc_us == 99);
    record.revoked_utc_us = 5;
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_true(atomic_load(&changed->revoked));
    assert_true(atomic_load(&held->revoked));
    assert_int_equal(weir_keys_count(keys), 1);
    weir_keys_free(&keys);
}

static void endless_changes_take_no_more_memory(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(2, &keys), WEIR_OK);
    struct weir_key_record record = record_of(7);
    char rules[64], workspace[32];
    size_t settled = 0;
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(rules, sizeof(rules), "{\"models\":[\"model-%04u\"]}", i % 2000);
        snprintf(workspace, sizeof(workspace), "workspace-%04u", i);
        record.rules = weir_span_of_string(rules);
        record.workspace = weir_span_of_string(workspace);
        record.family = weir_span_of_string(workspace);
        assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
        /* Each is suspended for a while, which must leave nothing behind either. */
        assert_int_equal(weir_keys_set_workspace(keys, record.workspace, true, 0), WEIR_OK);
        assert_true(atomic_load(&find(keys, 7)->shared->suspended));
        assert_int_equal(weir_keys_set_workspace(keys, record.workspace, false, 0), WEIR_OK);
        const struct weir_key *key = find(keys, 7);
        assert_true(weir_rule_list_allows(&key->rules->models, weir_span_of(rules + 12, 10)));
        assert_true(weir_span_equal(key->shared->id, record.workspace));
        weir_keys_quiet(keys, i % 2, weir_keys_epoch(keys));
        weir_keys_collect(keys);
        if (i == 10)
            settled = weir_keys_bytes(keys);
        if (i > 10 && i % 2 == 0)
            assert_int_equal(weir_keys_bytes(keys), settled);
    }
    weir_keys_free(&keys);
}

static void what_an_old_request_holds_stays(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    struct weir_key_record record = record_of(7);
    record.rules = WEIR_SPAN("{\"models\":[\"first\"]}");
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    uint64_t epoch = weir_keys_epoch(keys);
    const struct weir_key *held = find(keys, 7);
    for (int64_t i = 0; i < 5; i++) {
        record.rules = i % 2 == 0 ? WEIR_SPAN("{\"models\":[\"second\"]}") : WEIR_SPAN("");
        record.expires_utc_us = i + 100;
        assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
        weir_keys_quiet(keys, 0, epoch); /* it goes on with newer ones, but that one request is still there */
        weir_keys_collect(keys);
    }
    assert_true(weir_rule_list_allows(&held->rules->models, WEIR_SPAN("first")));
    assert_false(weir_rule_list_allows(&held->rules->models, WEIR_SPAN("second")));
    record.revoked_utc_us = 1;
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_true(atomic_load(&held->revoked));
    size_t before = weir_keys_bytes(keys);
    weir_keys_quiet(keys, 0, weir_keys_epoch(keys));
    weir_keys_collect(keys);
    assert_true(weir_keys_bytes(keys) < before);
    weir_keys_free(&keys);
}

static void equal_rules_are_one(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    for (uint64_t number = 0; number < 3; number++) {
        struct weir_key_record record = record_of(number);
        record.rules = number < 2 ? WEIR_SPAN("{\"models\":[\"a\"]}") : WEIR_SPAN("{\"models\":[\"b\"]}");
        assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    }
    assert_ptr_equal(find(keys, 0)->rules, find(keys, 1)->rules);
    assert_ptr_not_equal(find(keys, 0)->rules, find(keys, 2)->rules);
    assert_ptr_equal(find(keys, 0)->shared, find(keys, 2)->shared);
    weir_keys_free(&keys);
}

static void rules_that_cannot_be_read_allow_nothing(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    struct weir_key_record record = record_of(7);
    struct weir_error error = {.text = ""};
    record.rules = WEIR_SPAN("{\"regions\":[\"eu\"]}"); /* of a later release, perhaps */
    assert_int_equal(weir_keys_apply(keys, &record, &error), WEIR_EINVAL);
    assert_non_null(strstr(error.text, "rules.regions"));
    const struct weir_key_rules *rules = find(keys, 7)->rules;
    assert_false(weir_rule_list_allows(&rules->models, WEIR_SPAN("m")));
    assert_false(weir_rule_list_allows(&rules->endpoints, WEIR_SPAN("models")));
    assert_false(weir_rule_list_allows(&rules->capabilities, WEIR_SPAN("inference")));
    assert_true(rules->restricts_addresses && rules->addresses.count == 0);
    record.rules = WEIR_SPAN("{}");
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_true(weir_rule_list_allows(&find(keys, 7)->rules->models, WEIR_SPAN("m")));
    weir_keys_free(&keys);
}

static void a_workspace_may_be_suspended_before_its_first_key(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    assert_int_equal(weir_keys_set_workspace(keys, WEIR_SPAN("default"), true, 5), WEIR_OK);
    assert_int_equal(weir_keys_set_workspace(keys, WEIR_SPAN("other"), false, 0), WEIR_OK);
    struct weir_key_record record = record_of(7);
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_true(atomic_load(&find(keys, 7)->shared->suspended));
    assert_int_equal(atomic_load(&find(keys, 7)->shared->capture), 5);
    assert_int_equal(weir_keys_set_workspace(keys, WEIR_SPAN("default"), false, 4), WEIR_OK);
    assert_false(atomic_load(&find(keys, 7)->shared->suspended));
    assert_int_equal(atomic_load(&find(keys, 7)->shared->capture), 4);
    assert_int_equal(weir_keys_set_workspace(keys, WEIR_SPAN("default"), false, 0), WEIR_OK);
    assert_int_equal(atomic_load(&find(keys, 7)->shared->capture), 0);
    weir_keys_free(&keys);
}

static void ending_is_told_once(void **state) {
    (void)state;
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    struct weir_key_record record = record_of(7);
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    record.revoked_utc_us = 1;
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_false(weir_keys_take_ending(keys)); /* revoked, but what is in flight may end by itself */
    assert_false(atomic_load(&find(keys, 7)->end_streams));
    record.end_streams = true; /* a second word on it */
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_true(atomic_load(&find(keys, 7)->end_streams));
    assert_true(weir_keys_take_ending(keys));
    assert_false(weir_keys_take_ending(keys));
    assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    assert_false(weir_keys_take_ending(keys));
    /* Known as revoked from the start: nothing of it can be in flight. */
    struct weir_key_record late = record_of(8);
    late.revoked_utc_us = 1;
    late.end_streams = true;
    assert_int_equal(weir_keys_apply(keys, &late, NULL), WEIR_OK);
    assert_false(weir_keys_take_ending(keys));
    weir_keys_free(&keys);
}

static void a_survey_counts_in_steps(void **state) {
    (void)state;
    enum { KEYS = 500 };
    struct weir_keys *keys = NULL;
    struct weir_keys_survey survey = {0};
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    assert_true(weir_keys_survey(keys, 64, 0, 0, &survey));
    assert_int_equal(survey.active + survey.rotation_due, 0);
    for (uint64_t number = 0; number < KEYS; number++) {
        struct weir_key_record record = record_of(number);
        record.created_utc_us = (int64_t)number + 1;
        record.expires_utc_us = number % 10 == 0 ? 1000 : 0;
        record.revoked_utc_us = number % 10 == 1 ? 1 : 0;
        record.replaced_by = number % 10 == 2 ? WEIR_SPAN("key_x") : WEIR_SPAN("");
        assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    }
    /* Of ten: one has expired, one is revoked, one is rotated; what was made before 101 is due. */
    unsigned calls = 1;
    while (!weir_keys_survey(keys, 100, 1000, 101, &survey))
        calls++;
    assert_int_equal(calls, 11); /* 1,024 places */
    assert_int_equal(survey.active, KEYS / 10 * 8);
    assert_int_equal(survey.rotation_due, 70);
    assert_int_equal(survey.id_count, WEIR_KEYS_SURVEY_IDS);
    assert_memory_equal(survey.ids[0], "key_", 4);
    assert_true(weir_keys_survey(keys, 5000, 999, 0, &survey)); /* not expired yet, none due */
    assert_int_equal(survey.active, KEYS / 10 * 9);
    assert_int_equal(survey.rotation_due + survey.id_count, 0);
    weir_keys_free(&keys);
}

static void many_keys(void **state) {
    (void)state;
    enum { KEYS = 20000 };
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(2, &keys), WEIR_OK);
    for (uint64_t number = 0; number < KEYS; number++) {
        struct weir_key_record record = record_of(number);
        assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    }
    assert_int_equal(weir_keys_count(keys), KEYS);
    for (uint64_t number = 0; number < KEYS; number++) {
        const struct weir_key *key = find(keys, number);
        assert_non_null(key);
        assert_true(key->expires_utc_us == (int64_t)number + 1);
        assert_null(find(keys, number + KEYS));
    }
    weir_keys_quiet(keys, 0, weir_keys_epoch(keys));
    weir_keys_collect(keys);
    weir_keys_quiet(keys, 1, weir_keys_epoch(keys));
    weir_keys_collect(keys);
    assert_non_null(find(keys, 1));
    weir_keys_free(&keys);
}

/* What the heap holds; 0 where a sanitizer has taken its place. */
static size_t heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* The number that is promised, at the count where it costs most and where it is asked for. */
static void a_key_takes_at_most_200_bytes(void **state) {
    (void)state;
    static const uint64_t counts[] = {70000 /* just behind a growth */, 1000000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        size_t before = heap_bytes();
        struct weir_keys *keys = NULL;
        assert_int_equal(weir_keys_new(2, &keys), WEIR_OK);
        for (uint64_t number = 0; number < counts[i]; number++) {
            struct weir_key_record record = record_of(number);
            assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
        }
        size_t with_old_slots = weir_keys_bytes(keys);
        assert_true(with_old_slots / counts[i] <= 200);
        weir_keys_quiet(keys, 0, weir_keys_epoch(keys));
        weir_keys_collect(keys);
        assert_int_equal(weir_keys_bytes(keys), with_old_slots); /* reader 1 may still be inside */
        weir_keys_quiet(keys, 1, weir_keys_epoch(keys));
        weir_keys_collect(keys);
        size_t settled = weir_keys_bytes(keys);
        assert_true(settled < with_old_slots);
        print_message("%llu keys: %.1f bytes each\n", (unsigned long long)counts[i],
                      (double)settled / (double)counts[i]);
        if (before != 0) { /* and what the heap says, with its own overhead */
            size_t heap = heap_bytes() - before;
            assert_true(heap / counts[i] <= 200);
            assert_true(heap >= settled && heap - settled < settled / 50);
        }
        weir_keys_free(&keys);
    }
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

/* Each turn also holds a row over to the next one, as a request in flight does, and reads it then. */
static void *read_on(void *context) {
    const struct reader *reader = context;
    struct shared *shared = reader->shared;
    uint64_t pick = reader->index, held_number = 0;
    const struct weir_key *held = NULL;
    while (!atomic_load(&shared->finished)) {
        look_things_up(shared, &pick);
        if (held != NULL && (held->expires_utc_us != (int64_t)held_number + 1 ||
                             !weir_span_equal(held->workspace, WEIR_SPAN("default")) ||
                             (held->owner != NULL && !weir_span_equal(held->owner->team, WEIR_SPAN("moved")))))
            atomic_fetch_add(&shared->failures, 1);
        uint64_t epoch = weir_keys_epoch(shared->keys);
        held_number = pick % (atomic_load(&shared->published) + 1);
        held = find(shared->keys, held_number);
        weir_keys_quiet(shared->keys, reader->index, epoch);
    }
    return NULL;
}

/* Adds all, revokes the older half as it goes, moves some to a team and back. */
static enum weir_status write_all(struct shared *shared) {
    enum weir_status status = WEIR_OK;
    for (uint64_t number = 0; number < SHARED_KEYS && status == WEIR_OK; number++) {
        struct weir_key_record record = record_of(number);
        status = weir_keys_apply(shared->keys, &record, NULL);
        atomic_store(&shared->published, number + 1);
        for (unsigned change = 0; change < 4 && status == WEIR_OK && number % 3 == 0; change++) {
            record.team = change % 2 == 0 ? WEIR_SPAN("moved") : WEIR_SPAN("");
            status = weir_keys_apply(shared->keys, &record, NULL);
        }
        if (status == WEIR_OK && number % 2 == 1) {
            record = record_of(number / 2);
            record.revoked_utc_us = 1;
            status = weir_keys_apply(shared->keys, &record, NULL);
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
        cmocka_unit_test(endless_changes_take_no_more_memory),
        cmocka_unit_test(what_an_old_request_holds_stays),
        cmocka_unit_test(equal_rules_are_one),
        cmocka_unit_test(rules_that_cannot_be_read_allow_nothing),
        cmocka_unit_test(a_workspace_may_be_suspended_before_its_first_key),
        cmocka_unit_test(ending_is_told_once),
        cmocka_unit_test(a_survey_counts_in_steps),
        cmocka_unit_test(many_keys),
        cmocka_unit_test(a_key_takes_at_most_200_bytes),
        cmocka_unit_test(readers_never_miss_a_published_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
