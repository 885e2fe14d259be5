/* What every engine behind struct weir_engine_ops must do. A second engine is one more row of `engines`: each test
 * runs on each. */
#include "fixture.h"
#include "old_forms.h"

#include <sqlite3.h>

static const struct weir_uuid instance_a = {{0xA}}, instance_b = {{0xB}};

/* --- keys --- */
static struct weir_key_record sample_key(unsigned number) {
    struct weir_key_record key = {.name = WEIR_SPAN("the laptop"),
                                  .workspace = WEIR_SPAN("default"),
                                  .created_utc_us = 1000 + number,
                                  .expires_utc_us = 5};
    (void)snprintf(key.id, sizeof(key.id), "key_%016u", number);
    (void)snprintf(key.hint, sizeof(key.hint), "ab%u\xE2\x80\xA6yz", number);
    memset(key.hash, (int)number, sizeof(key.hash));
    return key;
}

struct seen_keys {
    size_t count;
    struct weir_key_record keys[16];
    char texts[16][64];
    enum weir_status answer;
};

static enum weir_status see_key(void *context, const struct weir_key_record *key) {
    struct seen_keys *seen = context;
    assert_true(seen->count < 16);
    seen->keys[seen->count] = *key;
    assert_int_equal(weir_span_to_string(key->name, seen->texts[seen->count], 64), WEIR_OK);
    assert_spans_equal(key->workspace, WEIR_SPAN("default"));
    seen->count++;
    return seen->answer;
}

static struct seen_keys keys_after(struct fixture *fixture, uint64_t after) {
    struct seen_keys seen = {.count = 0};
    assert_int_equal(fixture->ops->key_each(fixture->engine, after, see_key, &seen, &fixture->error), WEIR_OK);
    return seen;
}

static void keys(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    uint64_t changes[3];
    for (unsigned i = 0; i < 3; i++) {
        struct weir_key_record key = sample_key(i);
        assert_int_equal(ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_OK);
        changes[i] = key.change;
        assert_true(key.change > (i == 0 ? 0 : changes[i - 1]));
    }
    struct weir_key_record same_id = sample_key(1), same_hash = sample_key(1);
    memset(same_id.hash, 99, sizeof(same_id.hash));
    (void)snprintf(same_hash.id, sizeof(same_hash.id), "key_other");
    assert_int_equal(ops->key_insert(fixture->engine, &same_id, &fixture->error), WEIR_EEXIST);
    assert_int_equal(ops->key_insert(fixture->engine, &same_hash, &fixture->error), WEIR_EEXIST);

    struct seen_keys seen = keys_after(fixture, 0);
    assert_int_equal(seen.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        struct weir_key_record key = sample_key(i);
        assert_string_equal(seen.keys[i].id, key.id);
        assert_string_equal(seen.keys[i].hint, key.hint);
        assert_string_equal(seen.texts[i], "the laptop");
        assert_memory_equal(seen.keys[i].hash, key.hash, sizeof(key.hash));
        assert_true(seen.keys[i].created_utc_us == 1000 + i && seen.keys[i].expires_utc_us == 5);
        assert_true(seen.keys[i].revoked_utc_us == 0 && seen.keys[i].change == changes[i]);
    }
    assert_int_equal(keys_after(fixture, changes[1]).count, 1);
    assert_int_equal(keys_after(fixture, changes[2]).count, 0);
    assert_int_equal(keys_after(fixture, UINT64_MAX).count, 0);

    seen = (struct seen_keys){.answer = WEIR_END};
    assert_int_equal(ops->key_each(fixture->engine, 0, see_key, &seen, &fixture->error), WEIR_OK);
    assert_int_equal(seen.count, 1);
    seen = (struct seen_keys){.answer = WEIR_ELIMIT};
    assert_int_equal(ops->key_each(fixture->engine, 0, see_key, &seen, &fixture->error), WEIR_ELIMIT);
}

static void revoking(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    for (unsigned i = 0; i < 2; i++) {
        struct weir_key_record key = sample_key(i);
        assert_int_equal(ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_OK);
    }
    uint64_t before = keys_after(fixture, 0).keys[1].change;
    struct weir_span id = WEIR_SPAN("key_0000000000000000");
    assert_int_equal(ops->key_revoke(fixture->engine, id, 777, &fixture->error), WEIR_OK);
    struct seen_keys seen = keys_after(fixture, before);
    assert_int_equal(seen.count, 1);
    assert_true(seen.keys[0].revoked_utc_us == 777);
    assert_string_equal(seen.keys[0].id, "key_0000000000000000");
    uint64_t after = seen.keys[0].change;
    assert_int_equal(ops->key_revoke(fixture->engine, id, 999, &fixture->error), WEIR_OK);
    assert_int_equal(keys_after(fixture, after).count, 0);
    assert_true(keys_after(fixture, before).keys[0].revoked_utc_us == 777);
    assert_int_equal(ops->key_revoke(fixture->engine, WEIR_SPAN("key_x"), 1, &fixture->error), WEIR_ENOTFOUND);
    assert_non_null(strstr(fixture->error.text, "key_x"));
}

static void changes_are_noticed(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_engine *other = NULL;
    assert_int_equal(ops->open(fixture->location, "dev", &other, &fixture->error), WEIR_OK);
    assert_true(ops->changed(fixture->engine)); /* nothing is known yet */
    assert_false(ops->changed(fixture->engine));
    struct weir_key_record key = sample_key(1);
    assert_int_equal(ops->key_insert(other, &key, &fixture->error), WEIR_OK);
    assert_true(ops->changed(fixture->engine));
    assert_false(ops->changed(fixture->engine));
    key = sample_key(2);
    assert_int_equal(ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_OK);
    assert_true(ops->changed(fixture->engine));
    assert_false(ops->changed(fixture->engine));
    assert_int_equal(ops->key_revoke(fixture->engine, WEIR_SPAN("key_0000000000000001"), 5, &fixture->error), WEIR_OK);
    assert_true(ops->changed(fixture->engine));
    ops->close(&other);
}

/* --- whose database --- */
static void environments_are_kept_apart(void **state) {
    struct fixture *fixture = *state;
    struct weir_engine *other = NULL;
    assert_int_equal(fixture->ops->open(fixture->location, "prod", &other, &fixture->error), WEIR_EDENIED);
    assert_null(other);
    assert_non_null(strstr(fixture->error.text, "\"dev\""));
    assert_non_null(strstr(fixture->error.text, "\"prod\""));
}

static void what_was_written_is_there_after_reopening(void **state) {
    struct fixture *fixture = *state;
    struct weir_key_record key = sample_key(4);
    assert_int_equal(fixture->ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_OK);
    fixture->ops->close(&fixture->engine);
    open_engine(fixture);
    assert_int_equal(keys_after(fixture, 0).count, 1);
}

/* --- ingesting and listing --- */
struct seen_entries {
    size_t count;
    int64_t sequences[4096];
    uint64_t numbers[4096];
    uint8_t outcomes[4096];
    enum weir_status answer;
};

static enum weir_status see_entry(void *context, const struct weir_ledger_entry *entry) {
    struct seen_entries *seen = context;
    assert_true(seen->count < 4096);
    seen->sequences[seen->count] = entry->sequence;
    seen->numbers[seen->count] = number_of_id(&entry->request_id);
    seen->outcomes[seen->count] = entry->outcome;
    if (seen->count > 0)
        assert_true(entry->sequence > seen->sequences[seen->count - 1]);
    seen->count++;
    return seen->answer;
}

static struct seen_entries *list(struct fixture *fixture, struct weir_ledger_query query) {
    struct seen_entries *seen = test_calloc(1, sizeof(*seen));
    enum weir_status status = fixture->ops->ledger_each(fixture->engine, &query, see_entry, seen, &fixture->error);
    if (status != WEIR_OK)
        print_error("%s\n", fixture->error.text);
    assert_int_equal(status, WEIR_OK);
    return seen;
}

static size_t count_of(struct fixture *fixture, struct weir_ledger_query query) {
    struct seen_entries *seen = list(fixture, query);
    size_t count = seen->count;
    test_free(seen);
    return count;
}

static void ingest(struct fixture *fixture, uint64_t from, uint64_t until) {
    assert_int_equal(fixture->ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    for (uint64_t i = from; i < until; i++) {
        struct weir_ledger_entry entry = sample_entry(i);
        if (i % 4 == 3)
            entry.key_id = WEIR_SPAN("key_the_other");
        assert_int_equal(fixture->ops->ingest_entry(fixture->engine, &entry, &fixture->error), WEIR_OK);
    }
    assert_int_equal(fixture->ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
}

static enum weir_status compare_entry(void *context, const struct weir_ledger_entry *entry) {
    const struct weir_ledger_entry *expected = context;
    assert_entries_equal(entry, expected);
    assert_true(entry->sequence > 0);
    return WEIR_OK;
}

static void all_fields_come_back(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_ledger_entry entries[3] = {sample_entry(1)};
    entries[1] = (struct weir_ledger_entry){.request_id = id_of_number(2)};
    entries[2] = sample_entry(3);
    entries[2].start_utc_us = INT64_MAX;
    entries[2].end_utc_us = INT64_MIN;
    entries[2].trace_id = WEIR_SPAN("0AF7651916CD43DD8448EB211C80319C"); /* not the usual form: kept as it is */
    entries[2].reason = UINT16_MAX;
    entries[2].revision = (uint64_t)INT64_MAX;
    entries[2].attempt_count = WEIR_MAX_ATTEMPTS;
    char text[512];
    memset(text, 'y', sizeof(text));
    for (size_t i = 0; i < WEIR_MAX_ATTEMPTS; i++) {
        entries[2].attempts[i] = entries[0].attempts[i % 2];
        entries[2].attempts[i].upstream_request_id = weir_span_of(text, sizeof(text));
        entries[2].attempts[i].end_us = UINT32_MAX;
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
        assert_int_equal(ops->ingest_entry(fixture->engine, &entries[i], &fixture->error), WEIR_OK);
        assert_int_equal(ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    }
    for (int reopened = 0; reopened < 2; reopened++) {
        for (size_t i = 0; i < 3; i++) {
            char id[WEIR_UUID_TEXT_SIZE];
            weir_uuid_format(&entries[i].request_id, id);
            const struct weir_ledger_query query = {.request_id = weir_span_of_string(id)};
            assert_int_equal(ops->ledger_each(fixture->engine, &query, compare_entry, &entries[i], &fixture->error),
                             WEIR_OK);
            assert_int_equal(count_of(fixture, query), 1);
        }
        ops->close(&fixture->engine); /* nothing of it is cached the second time */
        open_engine(fixture);
    }
}

static void listings_are_filtered_and_paged(void **state) {
    struct fixture *fixture = *state;
    for (uint64_t i = 0; i < 3000; i += 500)
        ingest(fixture, i, i + 500);
    const int64_t start = sample_entry(0).start_utc_us;
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.limit = 0}), 100);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.limit = 4000}), 3000);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.limit = SIZE_MAX}), 3000);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.key_id = WEIR_SPAN("key_the_other"), .limit = 4000}),
                     750);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.key_id = WEIR_SPAN("key_nobody")}), 0);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.request_id = WEIR_SPAN("client-7"), .limit = 4000}),
                     3000);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.request_id = WEIR_SPAN("client-8")}), 0);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.from_utc_us = start + 2000 * 1000, .limit = 4000}),
                     1000);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.until_utc_us = start + 2000 * 1000, .limit = 4000}),
                     2000);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.until_utc_us = start}), 0);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.from_utc_us = start + 3000 * 1000}), 0);

    struct seen_entries *seen = list(fixture, (struct weir_ledger_query){.from_utc_us = start + 1500 * 1000 - 1,
                                                                         .until_utc_us = start + 1600 * 1000,
                                                                         .key_id = WEIR_SPAN("key_the_other"),
                                                                         .limit = 4000});
    assert_int_equal(seen->count, 25);
    assert_true(seen->numbers[0] == 1503);
    assert_true(seen->numbers[24] == 1599);
    test_free(seen);

    /* Pages, one after the other, give everything once. */
    size_t all = 0;
    int64_t after = 0;
    for (;;) {
        seen = list(fixture, (struct weir_ledger_query){.after_sequence = after, .limit = 700});
        size_t count = seen->count;
        for (size_t i = 0; i < count; i++)
            assert_true(seen->numbers[i] == all + i);
        if (count > 0)
            after = seen->sequences[count - 1];
        all += count;
        test_free(seen);
        if (count == 0)
            break;
    }
    assert_int_equal(all, 3000);

    seen = test_calloc(1, sizeof(*seen));
    seen->answer = WEIR_END;
    const struct weir_ledger_query any = {.limit = 10};
    assert_int_equal(fixture->ops->ledger_each(fixture->engine, &any, see_entry, seen, &fixture->error), WEIR_OK);
    assert_int_equal(seen->count, 1);
    test_free(seen);
}

/* An entry that comes late (settled after a crash, or after a long stream) is found by its start all the same. */
static void late_entries_are_found_by_time(void **state) {
    struct fixture *fixture = *state;
    const int64_t start = sample_entry(0).start_utc_us;
    ingest(fixture, 5000, 8000);
    ingest(fixture, 0, 1);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.until_utc_us = start + 1}), 1);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.until_utc_us = start + 5001 * 1000, .limit = 4000}),
                     2);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.from_utc_us = start + 1, .limit = 4000}), 3000);
}

/* A client may send an id of the form of ours. */
static void both_kinds_of_request_id(void **state) {
    struct fixture *fixture = *state;
    char id[WEIR_UUID_TEXT_SIZE];
    struct weir_uuid first = id_of_number(1);
    weir_uuid_format(&first, id);
    struct weir_ledger_entry entries[2] = {sample_entry(1), sample_entry(2)};
    entries[1].client_request_id = weir_span_of_string(id);
    assert_int_equal(fixture->ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fixture->ops->ingest_entry(fixture->engine, &entries[i], &fixture->error), WEIR_OK);
    }
    assert_int_equal(fixture->ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.request_id = weir_span_of_string(id)}), 2);
}

static void a_rolled_back_batch_leaves_nothing(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_journal_cursor cursor = {.instance = instance_a, .worker = 1, .segment = 5, .offset = 640};
    struct weir_ledger_entry entry = sample_entry(1);
    struct weir_journal_open open = sample_open(2);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
        assert_int_equal(ops->ingest_entry(fixture->engine, &entry, &fixture->error), WEIR_OK);
        assert_int_equal(ops->ingest_open(fixture->engine, &cursor, &open, &fixture->error), WEIR_OK);
        assert_int_equal(ops->ingest_cursor(fixture->engine, &cursor, &fixture->error), WEIR_OK);
        ops->ingest_rollback(fixture->engine);
    }
    struct weir_journal_cursor read = {.instance = instance_a, .worker = 1};
    uint64_t settled = 99;
    assert_int_equal(ops->cursor_read(fixture->engine, &read, &fixture->error), WEIR_ENOTFOUND);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.limit = 0}), 0);
    assert_int_equal(ops->settle_crashed(fixture->engine, &instance_a, 1, 5, &settled, &fixture->error), WEIR_OK);
    assert_int_equal(settled, 0);
    /* The same again, and this time it counts; also the texts that were new in what was rolled back. */
    assert_int_equal(ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    assert_int_equal(ops->ingest_entry(fixture->engine, &entry, &fixture->error), WEIR_OK);
    assert_int_equal(ops->ingest_cursor(fixture->engine, &cursor, &fixture->error), WEIR_OK);
    assert_int_equal(ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    const struct weir_ledger_query any = {.limit = 10};
    assert_int_equal(ops->ledger_each(fixture->engine, &any, compare_entry, &entry, &fixture->error), WEIR_OK);
    assert_int_equal(ops->cursor_read(fixture->engine, &read, &fixture->error), WEIR_OK);
    assert_true(read.segment == 5 && read.offset == 640);
    assert_int_equal(ops->flush(fixture->engine, &fixture->error), WEIR_OK);
}

static enum weir_status compare_crashed(void *context, const struct weir_ledger_entry *entry) {
    const struct weir_journal_open *open = context;
    assert_memory_equal(&entry->request_id, &open->request_id, sizeof(open->request_id));
    assert_spans_equal(entry->key_id, open->key_id);
    assert_spans_equal(entry->workspace, open->workspace);
    assert_spans_equal(entry->endpoint, open->endpoint);
    assert_spans_equal(entry->model, open->model);
    assert_spans_equal(entry->provider, open->provider);
    assert_spans_equal(entry->upstream_model, open->upstream_model);
    assert_spans_equal(entry->price_version, open->price_version);
    assert_spans_equal(entry->client_request_id, open->client_request_id);
    assert_spans_equal(entry->tags, open->tags);
    assert_usage_equal(&entry->usage, &open->reserved);
    assert_true(entry->reserved_cu_milli == open->reserved_cu_milli && entry->cost_cu_milli == open->reserved_cu_milli);
    assert_true(entry->overrun_cu_milli == 0 && entry->revision == open->revision);
    assert_true(entry->start_utc_us == open->start_utc_us && entry->end_utc_us == 777);
    assert_int_equal(entry->usage_source, WEIR_USAGE_RESERVED);
    assert_int_equal(entry->outcome, WEIR_OUTCOME_CRASHED);
    assert_int_equal(entry->reason, WEIR_REASON_CRASHED);
    assert_true(entry->stream == open->stream && entry->unpriced == open->unpriced);
    return WEIR_OK;
}

static void unfinished_opens_are_settled_once(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    /* 0..3 of a's worker 0, 4 of its worker 1, 5 of b. */
    assert_int_equal(ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    for (uint64_t i = 0; i < 6; i++) {
        struct weir_journal_cursor series = {.instance = i < 5 ? instance_a : instance_b, .worker = i == 4 ? 1 : 0};
        struct weir_journal_open open = sample_open(i);
        assert_int_equal(ops->ingest_open(fixture->engine, &series, &open, &fixture->error), WEIR_OK);
    }
    assert_int_equal(ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    /* 0 and 1 find their close later. */
    ingest(fixture, 0, 2);
    ops->close(&fixture->engine);
    open_engine(fixture);
    uint64_t settled = 0;
    assert_int_equal(ops->settle_crashed(fixture->engine, &instance_a, 0, 777, &settled, &fixture->error), WEIR_OK);
    assert_int_equal(settled, 2);
    assert_int_equal(ops->settle_crashed(fixture->engine, &instance_a, 0, 888, &settled, &fixture->error), WEIR_OK);
    assert_int_equal(settled, 0);
    assert_int_equal(ops->settle_crashed(fixture->engine, &instance_a, WEIR_EVERY_WORKER, 777, &settled,
                                         &fixture->error),
                     WEIR_OK);
    assert_int_equal(settled, 1);
    struct seen_entries *seen = list(fixture, (struct weir_ledger_query){.limit = 0});
    assert_int_equal(seen->count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_true(seen->numbers[i] == i);
        assert_int_equal(seen->outcomes[i], i < 2 ? WEIR_OUTCOME_OK : WEIR_OUTCOME_CRASHED);
        if (i < 2)
            continue;
        char id[WEIR_UUID_TEXT_SIZE];
        struct weir_journal_open open = sample_open(i);
        weir_uuid_format(&open.request_id, id);
        const struct weir_ledger_query query = {.request_id = weir_span_of_string(id)};
        assert_int_equal(ops->ledger_each(fixture->engine, &query, compare_crashed, &open, &fixture->error), WEIR_OK);
    }
    test_free(seen);
    assert_int_equal(ops->settle_crashed(fixture->engine, &instance_b, 0, 777, &settled, &fixture->error), WEIR_OK);
    assert_int_equal(settled, 1);
}

static void cursors_belong_to_instances(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    assert_int_equal(ops->instance_begin(fixture->engine, &instance_a, 1, &fixture->error), WEIR_OK);
    assert_int_equal(ops->instance_begin(fixture->engine, &instance_a, 2, &fixture->error), WEIR_OK);
    for (uint64_t round = 1; round < 4; round++) {
        assert_int_equal(ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
        for (uint32_t worker = 0; worker < 3; worker++) {
            struct weir_journal_cursor cursor = {.instance = instance_a,
                                                 .worker = worker,
                                                 .segment = round,
                                                 .offset = 64 + worker * 8};
            assert_int_equal(ops->ingest_cursor(fixture->engine, &cursor, &fixture->error), WEIR_OK);
        }
        struct weir_journal_cursor other = {.instance = instance_b, .worker = 0, .segment = 44, .offset = 128};
        assert_int_equal(ops->ingest_cursor(fixture->engine, &other, &fixture->error), WEIR_OK);
        assert_int_equal(ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    }
    struct weir_journal_cursor cursor = {.instance = instance_a, .worker = 2};
    assert_int_equal(ops->cursor_read(fixture->engine, &cursor, &fixture->error), WEIR_OK);
    assert_true(cursor.segment == 3 && cursor.offset == 80);
    assert_int_equal(ops->instance_end(fixture->engine, &instance_a, 9, &fixture->error), WEIR_OK);
    assert_int_equal(ops->instance_end(fixture->engine, &instance_a, 9, &fixture->error), WEIR_OK);
    assert_int_equal(ops->cursor_read(fixture->engine, &cursor, &fixture->error), WEIR_ENOTFOUND);
    cursor = (struct weir_journal_cursor){.instance = instance_b};
    assert_int_equal(ops->cursor_read(fixture->engine, &cursor, &fixture->error), WEIR_OK);
    assert_true(cursor.segment == 44);
}

static void sequences_are_shared_by_connections(void **state) {
    struct fixture *fixture = *state;
    struct fixture other = *fixture;
    open_engine(&other);
    for (uint64_t i = 0; i < 10; i++)
        ingest(i % 2 == 0 ? fixture : &other, i * 3, i * 3 + 3);
    struct seen_entries *seen = list(fixture, (struct weir_ledger_query){.limit = 1000});
    assert_int_equal(seen->count, 30);
    for (size_t i = 0; i < 30; i++)
        assert_true(seen->numbers[i] == i);
    test_free(seen);
    other.ops->close(&other.engine);
}

/* One writer at a time: the other is told so, in time, and nothing is lost by asking again. */
static void a_busy_database_is_told(void **state) {
    struct fixture *fixture = *state;
    struct fixture other = *fixture;
    open_engine(&other);
    fixture->ops->set_patience(other.engine, 20);
    assert_int_equal(fixture->ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    assert_int_equal(other.ops->ingest_begin(other.engine, &other.error), WEIR_EBUSY);
    struct weir_key_record key = sample_key(1);
    assert_int_equal(other.ops->key_insert(other.engine, &key, &other.error), WEIR_EBUSY);
    assert_int_equal(keys_after(&other, 0).count, 0); /* reading goes on */
    assert_int_equal(fixture->ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    assert_int_equal(other.ops->key_insert(other.engine, &key, &other.error), WEIR_OK);
    ingest(&other, 0, 3);
    other.ops->close(&other.engine);
}

/* --- revisions --- */
static void revisions_get_numbers(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    const struct {
        struct weir_span hash, text;
        uint64_t number;
    } saved[] = {
        {WEIR_SPAN("hash-1"), WEIR_SPAN("one"), 1}, {WEIR_SPAN("hash-1"), WEIR_SPAN("one"), 1},
        {WEIR_SPAN("hash-2"), WEIR_SPAN("two"), 2}, {WEIR_SPAN("hash-2"), WEIR_SPAN("two"), 2},
        {WEIR_SPAN("hash-1"), WEIR_SPAN("one"), 3}, /* live again: a new number */
        {WEIR_SPAN("hash-3"), WEIR_SPAN(""), 4},
    };
    for (size_t i = 0; i < sizeof(saved) / sizeof(saved[0]); i++) {
        uint64_t number = 0;
        assert_int_equal(ops->revision_save(fixture->engine, saved[i].hash, saved[i].text, 5, &number, &fixture->error),
                         WEIR_OK);
        assert_true(number == saved[i].number);
    }
    uint64_t number = 0;
    assert_int_equal(ops->revision_save(fixture->engine, WEIR_SPAN(""), WEIR_SPAN("x"), 5, &number, &fixture->error),
                     WEIR_EINVAL);
}

/* --- issued ids --- */
static struct weir_ledger_entry issuing(uint64_t number, const char *provider, const char *id, const char *other) {
    struct weir_ledger_entry entry = sample_entry(number);
    entry.provider = weir_span_of_string(provider);
    entry.issued_count = 2;
    entry.issued[0] = weir_span_of_string(id);
    entry.issued[1] = weir_span_of_string(other);
    return entry;
}

static void assert_issued(struct fixture *fixture, const char *id, const char *provider) {
    struct weir_arena *arena = weir_arena_new(0, 1 << 20);
    const struct weir_span ids[] = {WEIR_SPAN("nobody's"), weir_span_of_string(id), WEIR_SPAN(""),
                                    weir_span_of_string(id)};
    struct weir_issued found[4];
    assert_int_equal(fixture->ops->issued_find(fixture->engine, ids, 4, arena, found, &fixture->error), WEIR_OK);
    const struct weir_ledger_entry sample = sample_entry(0);
    for (size_t i = 0; i < 4; i++) {
        bool known = i % 2 == 1 && provider[0] != '\0';
        assert_spans_equal(found[i].id, ids[i]);
        assert_spans_equal(found[i].provider, known ? weir_span_of_string(provider) : WEIR_SPAN(""));
        assert_spans_equal(found[i].model, known ? sample.upstream_model : WEIR_SPAN(""));
        assert_spans_equal(found[i].workspace, known ? sample.workspace : WEIR_SPAN(""));
    }
    weir_arena_free(&arena);
}

static void issued_ids_are_found(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_ledger_entry entries[] = {issuing(1, "openai", "resp_1", "file-1"), issuing(2, "azure", "resp_2", ""),
                                          issuing(3, "azure", "resp_1", "x"), issuing(4, "", "resp_4", "file-4")};
    entries[1].issued_count = 1;
    assert_issued(fixture, "resp_1", "");
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
        assert_int_equal(ops->ingest_entry(fixture->engine, &entries[i], &fixture->error), WEIR_OK);
        assert_int_equal(ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
        assert_issued(fixture, "resp_1", i < 2 ? "openai" : "azure");
    }
    for (int reopened = 0; reopened < 2; reopened++) {
        assert_issued(fixture, "resp_1", "azure"); /* the later entry */
        assert_issued(fixture, "file-1", "openai");
        assert_issued(fixture, "resp_2", "azure");
        assert_issued(fixture, "resp_4", ""); /* issued by nobody */
        assert_issued(fixture, "RESP_1", "");
        assert_issued(fixture, "resp_", "");
        ops->close(&fixture->engine);
        open_engine(fixture);
    }
    assert_int_equal(ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    entries[0].issued[0] = WEIR_SPAN("resp_9");
    assert_int_equal(ops->ingest_entry(fixture->engine, &entries[0], &fixture->error), WEIR_OK);
    ops->ingest_rollback(fixture->engine);
    assert_issued(fixture, "resp_9", "");
    assert_int_equal(ops->issued_find(fixture->engine, NULL, 0, NULL, NULL, &fixture->error), WEIR_OK);
}

/* An arena that is full is told, and the engine can be used afterwards. */
static void issued_ids_need_room(void **state) {
    struct fixture *fixture = *state;
    ingest(fixture, 0, 1);
    struct weir_arena *arena = weir_arena_new(0, 16);
    const struct weir_ledger_entry sample = sample_entry(0);
    struct weir_issued found[1];
    assert_int_equal(fixture->ops->issued_find(fixture->engine, sample.issued, 1, arena, found, &fixture->error),
                     WEIR_ENOMEM);
    weir_arena_free(&arena);
    assert_issued(fixture, "resp_68a1f0c2", "openai");
    ingest(fixture, 1, 2);
}

/* --- of SQLite alone: the file --- */
static int64_t count_rows(const char *location, const char *table) {
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    char sql[80];
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_open(location, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
    return count;
}

static void sqlite_writes_a_second_row_only_where_there_is_more(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_ledger_entry entries[] = {old_sample_entry(0), old_sample_entry(1), old_sample_entry(2)};
    entries[1].usage.output_audio = 5;
    entries[2].issued_count = 1;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
        assert_int_equal(ops->ingest_entry(fixture->engine, &entries[i], &fixture->error), WEIR_OK);
        assert_int_equal(ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
        assert_int_equal(count_rows(fixture->location, "ledger_more"), i);
    }
    assert_int_equal(count_rows(fixture->location, "ledger"), 3);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.newest = true}), 3);
}

static enum weir_status compare_old(void *context, const struct weir_ledger_entry *entry) {
    (void)context;
    const struct weir_usage usage = {.input = 11, .cached = 5, .cache_write = 1, .output = 22, .reasoning = 3};
    assert_true(entry->sequence == 1 && number_of_id(&entry->request_id) == 7);
    assert_usage_equal(&entry->usage, &usage);
    assert_int_equal(entry->issued_count, 0);
    assert_spans_equal(entry->provider, WEIR_SPAN("openai"));
    assert_spans_equal(entry->tags, WEIR_SPAN("team=a"));
    return WEIR_OK;
}

/* A database of the first version: its entries stay, its open requests are settled, and it takes new entries. */
static void sqlite_takes_over_an_old_database(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    ops->close(&fixture->engine);
    assert_int_equal(unlink(fixture->location), 0);
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    struct weir_journal_open open = old_sample_open(5);
    struct old_record record = old_open(&open);
    assert_int_equal(sqlite3_open(fixture->location, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, old_tables, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, "INSERT INTO open_request VALUES(?, ?, 0, ?)", -1, &statement, NULL),
                     SQLITE_OK);
    (void)sqlite3_bind_blob(statement, 1, open.request_id.bytes, 16, SQLITE_STATIC);
    (void)sqlite3_bind_blob(statement, 2, instance_a.bytes, 16, SQLITE_STATIC);
    (void)sqlite3_bind_blob(statement, 3, record.bytes, (int)record.size, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);

    for (int reopened = 0; reopened < 2; reopened++) {
        open_engine(fixture);
        const struct weir_ledger_query first = {.limit = 1};
        assert_int_equal(ops->ledger_each(fixture->engine, &first, compare_old, NULL, &fixture->error), WEIR_OK);
        ops->close(&fixture->engine);
    }
    open_engine(fixture);
    uint64_t settled = 0;
    assert_int_equal(ops->settle_crashed(fixture->engine, &instance_a, 0, 777, &settled, &fixture->error), WEIR_OK);
    assert_int_equal(settled, 1);
    const struct weir_ledger_query second = {.after_sequence = 1, .limit = 1};
    assert_int_equal(ops->ledger_each(fixture->engine, &second, compare_crashed, &open, &fixture->error), WEIR_OK);
    struct weir_ledger_entry entry = sample_entry(8);
    assert_int_equal(ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    assert_int_equal(ops->ingest_entry(fixture->engine, &entry, &fixture->error), WEIR_OK);
    assert_int_equal(ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    const struct weir_ledger_query third = {.after_sequence = 2};
    assert_int_equal(ops->ledger_each(fixture->engine, &third, compare_entry, &entry, &fixture->error), WEIR_OK);
    assert_int_equal(count_of(fixture, (struct weir_ledger_query){.limit = 0}), 3);
    assert_issued(fixture, "resp_68a1f0c2", "openai");
}

static void execute(const char *location, const char *sql) {
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(location, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(database);
}

static void sqlite_refuses_what_it_does_not_know(void **state) {
    struct fixture *fixture = *state;
    fixture->ops->close(&fixture->engine);
    execute(fixture->location, "UPDATE meta SET value = 999 WHERE name = 'schema_version'");
    assert_int_equal(weir_engine_sqlite.open(fixture->location, "dev", &fixture->engine, &fixture->error),
                     WEIR_EDENIED);
    assert_non_null(strstr(fixture->error.text, "999"));
    execute(fixture->location, "DELETE FROM meta WHERE name = 'schema_version'");
    assert_int_equal(weir_engine_sqlite.open(fixture->location, "dev", &fixture->engine, &fixture->error),
                     WEIR_ECORRUPT);
    execute(fixture->location, "DROP TABLE meta");
    assert_int_equal(weir_engine_sqlite.open(fixture->location, "dev", &fixture->engine, &fixture->error), WEIR_EINVAL);
    FILE *file = fopen(fixture->location, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        (void)fputs("this is no database\n", file);
    (void)fclose(file);
    assert_int_equal(weir_engine_sqlite.open(fixture->location, "dev", &fixture->engine, &fixture->error),
                     WEIR_ECORRUPT);
    char nowhere[PATH_SIZE + 8];
    (void)snprintf(nowhere, sizeof(nowhere), "%s/a/b.db", fixture->scratch);
    assert_int_equal(weir_engine_sqlite.open(nowhere, "dev", &fixture->engine, &fixture->error), WEIR_EIO);
}

static void sqlite_files_are_private(void **state) {
    struct fixture *fixture = *state;
    fixture->ops->close(&fixture->engine);
    scratch_remove(fixture->scratch);
    mode_t mask = umask(0);
    struct weir_engine *engine = NULL;
    char deep[PATH_SIZE];
    (void)snprintf(deep, sizeof(deep), "%s/data", fixture->scratch);
    assert_int_equal(weir_store_direct_open(deep, "dev", false, &engine, &fixture->error), WEIR_ENOTFOUND);
    assert_int_equal(weir_store_direct_open(deep, "dev", true, &engine, &fixture->error), WEIR_OK);
    (void)umask(mask);
    const struct {
        const char *name;
        mode_t mode;
    } expected[] = {{"", 0700}, {"/journal", 0700}, {"/weir.db", 0600}, {"/weir.db-wal", 0600}, {"/weir.db-shm", 0600}};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        char path[PATH_SIZE + 16];
        struct stat info;
        (void)snprintf(path, sizeof(path), "%s%s", deep, expected[i].name);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, expected[i].mode);
    }
    weir_store_direct_close(&engine);
    assert_int_equal(weir_store_direct_open(deep, "dev", false, &engine, &fixture->error), WEIR_OK);
    weir_store_direct_close(&engine);
    assert_int_equal(weir_store_direct_open("", "dev", true, &engine, &fixture->error), WEIR_EINVAL);
    scratch_remove(deep);
}

int main(void) {
    int failed = 0;
    for (size_t i = 0; i < ENGINE_COUNT; i++) {
        const struct CMUnitTest tests[] = {
            ON(i, keys),
            ON(i, revoking),
            ON(i, changes_are_noticed),
            ON(i, environments_are_kept_apart),
            ON(i, what_was_written_is_there_after_reopening),
            ON(i, all_fields_come_back),
            ON(i, listings_are_filtered_and_paged),
            ON(i, late_entries_are_found_by_time),
            ON(i, both_kinds_of_request_id),
            ON(i, a_rolled_back_batch_leaves_nothing),
            ON(i, unfinished_opens_are_settled_once),
            ON(i, cursors_belong_to_instances),
            ON(i, sequences_are_shared_by_connections),
            ON(i, a_busy_database_is_told),
            ON(i, issued_ids_are_found),
            ON(i, issued_ids_need_room),
            ON(i, revisions_get_numbers),
        };
        failed += cmocka_run_group_tests_name(engines[i]->name, tests, NULL, NULL);
    }
    const struct CMUnitTest files[] = {
        ON(0, sqlite_refuses_what_it_does_not_know),
        ON(0, sqlite_writes_a_second_row_only_where_there_is_more),
        ON(0, sqlite_takes_over_an_old_database),
        ON(0, sqlite_files_are_private),
    };
    failed += cmocka_run_group_tests_name("files", files, NULL, NULL);
    return failed;
}
