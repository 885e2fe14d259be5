/* What every engine must do with all that is known of a key: changes, versions, listings, last use; and with the list of
 * revisions. */
#include "fixture.h"

#define TEXT(literal) WEIR_SPAN(literal)

static struct weir_key_record full_key(void) {
    struct weir_key_record key = {.id = "key_0123456789abcdef",
                                  .name = TEXT("the laptop"),
                                  .workspace = TEXT("acme"),
                                  .hint = "abcd\xE2\x80\xA6wxyz",
                                  .created_utc_us = 1000,
                                  .expires_utc_us = 2000,
                                  .revoked_utc_us = 3000,
                                  .team = TEXT("team_1"),
                                  .user = TEXT("user_1"),
                                  .family = TEXT("key_first"),
                                  .rules = TEXT("{\"models\":[\"gpt-4o*\"]}"),
                                  .tags = TEXT("{\"cost\":\"a\"}"),
                                  .replaced_by = TEXT("key_next"),
                                  .updated_utc_us = 4000,
                                  .end_streams = true};
    memset(key.hash, 0xAB, sizeof(key.hash));
    return key;
}

static void assert_keys_equal(const struct weir_key_record *a, const struct weir_key_record *b) {
    assert_string_equal(a->id, b->id);
    assert_memory_equal(a->hash, b->hash, sizeof(a->hash));
    assert_string_equal(a->hint, b->hint);
    const struct weir_span x[] = {a->name,   a->workspace, a->team, a->user,
                                  a->family, a->rules,     a->tags, a->replaced_by};
    const struct weir_span y[] = {b->name,   b->workspace, b->team, b->user,
                                  b->family, b->rules,     b->tags, b->replaced_by};
    for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++)
        assert_spans_equal(x[i], y[i]);
    assert_true(a->created_utc_us == b->created_utc_us && a->expires_utc_us == b->expires_utc_us);
    assert_true(a->revoked_utc_us == b->revoked_utc_us && a->updated_utc_us == b->updated_utc_us);
    assert_true(a->change == b->change && a->version == b->version && a->number == b->number);
    assert_true(a->end_streams == b->end_streams);
}

static struct weir_key_record get(struct fixture *fixture, struct weir_span id) {
    struct weir_key_record key = {.version = 0};
    check(fixture, fixture->ops->key_get(fixture->engine, id, fixture->arena, &key, &fixture->error), WEIR_OK);
    return key;
}

static enum weir_status compare(void *context, const struct weir_key_record *key) {
    assert_keys_equal(key, context);
    return WEIR_OK;
}

/* By id, by hash, by change, in a listing. */
static void assert_is(struct fixture *fixture, struct weir_key_record *expected) {
    struct weir_key_record found = get(fixture, weir_span_of_string(expected->id));
    assert_keys_equal(&found, expected);
    check(fixture, fixture->ops->key_find(fixture->engine, expected->hash, fixture->arena, &found, &fixture->error),
          WEIR_OK);
    assert_keys_equal(&found, expected);
    check(fixture, fixture->ops->key_each(fixture->engine, expected->change - 1, compare, expected, &fixture->error),
          WEIR_OK);
    const struct weir_key_query query = {.after_number = expected->number - 1, .limit = 1};
    check(fixture, fixture->ops->key_list(fixture->engine, &query, compare, expected, &fixture->error), WEIR_OK);
}

static void all_of_a_key_comes_back(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_key_record bare = {.id = "key_bare", .created_utc_us = 5}, key = full_key();
    check(fixture, ops->key_insert(fixture->engine, &bare, &fixture->error), WEIR_OK);
    check(fixture, ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_OK);
    assert_true(key.version == 1 && key.number > bare.number && key.change > bare.change);
    struct weir_key_record found = get(fixture, TEXT("key_bare"));
    assert_keys_equal(&found, &bare);
    assert_is(fixture, &key);
    fixture->ops->close(&fixture->engine);
    open_engine(fixture);
    assert_is(fixture, &key);
    const unsigned char unknown[WEIR_KEY_HASH_SIZE] = {1, 2, 3};
    assert_int_equal(ops->key_find(fixture->engine, unknown, fixture->arena, &found, &fixture->error), WEIR_ENOTFOUND);
    assert_int_equal(ops->key_get(fixture->engine, TEXT("key_none"), fixture->arena, &found, &fixture->error),
                     WEIR_ENOTFOUND);
    assert_non_null(strstr(fixture->error.text, "key_none"));
    struct weir_arena *small = weir_arena_new(16, 16);
    assert_int_equal(ops->key_get(fixture->engine, weir_span_of_string(key.id), small, &found, &fixture->error),
                     WEIR_ENOMEM);
    weir_arena_free(&small);
}

static void keys_change_by_versions(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_key_record key = full_key();
    check(fixture, ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_OK);
    (void)ops->changed(fixture->engine);
    const struct weir_key_record before = key;
    struct weir_key_record wanted = key;
    wanted.name = TEXT("another");
    wanted.workspace = TEXT("default");
    wanted.team = TEXT("");
    wanted.user = TEXT("user_2");
    wanted.family = TEXT("");
    wanted.rules = TEXT("");
    wanted.tags = TEXT("{}");
    wanted.replaced_by = TEXT("");
    wanted.expires_utc_us = 0;
    wanted.revoked_utc_us = 77;
    wanted.updated_utc_us = 88;
    wanted.end_streams = false;
    struct weir_key_record given = wanted;
    /* What is not written: */
    memset(given.hash, 1, sizeof(given.hash));
    (void)snprintf(given.hint, sizeof(given.hint), "x");
    given.created_utc_us = 9;
    check(fixture, ops->key_update(fixture->engine, &given, 1, &fixture->error), WEIR_OK);
    assert_true(given.version == 2 && given.change > before.change && given.number == before.number);
    assert_true(ops->changed(fixture->engine));
    wanted.version = given.version;
    wanted.change = given.change;
    assert_is(fixture, &wanted);

    given.name = TEXT("lost");
    const uint64_t others[] = {1, 3, UINT64_MAX};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ops->key_update(fixture->engine, &given, others[i], &fixture->error), WEIR_ESTALE);
    assert_is(fixture, &wanted);
    (void)snprintf(given.id, sizeof(given.id), "key_none");
    assert_int_equal(ops->key_update(fixture->engine, &given, 0, &fixture->error), WEIR_ENOTFOUND);
    assert_int_equal(ops->key_update(fixture->engine, &given, 2, &fixture->error), WEIR_ENOTFOUND);
    wanted.name = TEXT("forced");
    check(fixture, ops->key_update(fixture->engine, &wanted, 0, &fixture->error), WEIR_OK);
    assert_true(wanted.version == 3);
    assert_is(fixture, &wanted);
}

static void revoking_is_a_change(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_key_record key = full_key();
    key.revoked_utc_us = 0;
    check(fixture, ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_OK);
    for (int i = 0; i < 2; i++) {
        check(fixture, ops->key_revoke(fixture->engine, weir_span_of_string(key.id), 555 + i, &fixture->error),
              WEIR_OK);
        struct weir_key_record found = get(fixture, weir_span_of_string(key.id));
        assert_true(found.version == 2 && found.revoked_utc_us == 555 && found.updated_utc_us == 555);
    }
    assert_int_equal(ops->key_update(fixture->engine, &key, 1, &fixture->error), WEIR_ESTALE);
}

/* --- listings --- */
enum { MANY = 500 };
struct many {
    struct weir_key_record key;
    char family[WEIR_KEY_ID_SIZE];
};

static void make(struct many *many, unsigned n) {
    static const char letters[] = "abcdefghij";
    const struct weir_span workspaces[] = {TEXT("default"), TEXT("acme"), TEXT("other")};
    const struct weir_span teams[] = {TEXT(""), TEXT("t1"), TEXT("t2"), TEXT("")};
    const struct weir_span users[] = {TEXT("u1"), TEXT(""), TEXT(""), TEXT("u2"), TEXT("")};
    struct weir_key_record *key = &many->key;
    *key = (struct weir_key_record){.name = TEXT("n"),
                                    .workspace = workspaces[n % 3],
                                    .team = teams[n % 4],
                                    .user = users[n % 5],
                                    .created_utc_us = 1000 + (n * 37) % MANY,
                                    .expires_utc_us = n % 6 == 0 ? 5000 + n : 0,
                                    .revoked_utc_us = n % 7 == 0 ? 1 : 0,
                                    .replaced_by = n % 11 == 0 ? TEXT("key_x") : TEXT("")};
    (void)snprintf(key->id, sizeof(key->id), "key_%u", n);
    (void)snprintf(key->hint, sizeof(key->hint), "%c%c%c%c\xE2\x80\xA6wxyz", letters[n % 10], letters[n / 10 % 10],
                   letters[n / 100 % 10], "xyzA"[n % 4]);
    memcpy(key->hash, &n, sizeof(n));
    if (n % 10 != 0) {
        (void)snprintf(many->family, sizeof(many->family), "key_%u", n - n % 10);
        key->family = weir_span_of_string(many->family);
    }
}

static bool is(struct weir_span wanted, struct weir_span found) {
    return wanted.length == 0 || weir_span_equal(wanted, found);
}

static bool matches(const struct weir_key_query *query, const struct weir_key_record *key) {
    struct weir_span family = key->family.length > 0 ? key->family : weir_span_of_string(key->id);
    bool expired = key->expires_utc_us != 0 && key->expires_utc_us <= query->now_utc_us;
    bool alive = key->revoked_utc_us == 0 && !expired;
    bool due = alive && key->replaced_by.length == 0 && key->created_utc_us < query->created_before_utc_us;
    return is(query->workspace, key->workspace) && is(query->team, key->team) && is(query->user, key->user) &&
           is(query->family, family) && weir_span_starts_with(weir_span_of_string(key->hint), query->hint_prefix) &&
           (!query->active_only || alive) && (query->created_before_utc_us == 0 || due) &&
           key->number > query->after_number;
}

struct seen {
    size_t count;
    int64_t numbers[1100];
    enum weir_status answer;
};

static enum weir_status see(void *context, const struct weir_key_record *key) {
    struct seen *seen = context;
    assert_true(seen->count < 1100);
    seen->numbers[seen->count++] = key->number;
    return seen->answer;
}

static void listings_give_what_matches(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct many *all = test_calloc(MANY, sizeof(*all));
    check(fixture, ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
    for (unsigned n = 0; n < MANY; n++) {
        make(&all[n], n);
        check(fixture, ops->key_insert(fixture->engine, &all[n].key, &fixture->error), WEIR_OK);
    }
    check(fixture, ops->work_end(fixture->engine, WEIR_OK, &fixture->error), WEIR_OK);
    const struct weir_key_query queries[] = {
        {.limit = 0},
        {.workspace = TEXT("acme")},
        {.workspace = TEXT("nobody")},
        {.team = TEXT("t1")},
        {.user = TEXT("u2")},
        {.workspace = TEXT("acme"), .team = TEXT("t1"), .user = TEXT("u1")},
        {.family = TEXT("key_40")},
        {.family = TEXT("key_41")},
        {.family = TEXT("key_40"), .workspace = TEXT("default"), .active_only = true},
        {.hint_prefix = TEXT("c")},
        {.hint_prefix = TEXT("ab")},
        {.hint_prefix = TEXT("dcbA")},
        {.hint_prefix = TEXT("A")},
        {.hint_prefix = TEXT("d"), .workspace = TEXT("other"), .team = TEXT("t2")},
        {.active_only = true, .now_utc_us = 5300},
        {.active_only = true, .now_utc_us = 5300, .workspace = TEXT("default")},
        {.created_before_utc_us = 1100, .now_utc_us = 5300},
        {.created_before_utc_us = 1100, .now_utc_us = 5300, .workspace = TEXT("acme")},
        {.created_before_utc_us = 1, .now_utc_us = 5300},
        {.after_number = 400},
        {.after_number = 100, .workspace = TEXT("acme"), .hint_prefix = TEXT("j")},
        {.after_number = INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        const size_t limits[] = {3, 1000};
        size_t total = 0;
        for (size_t j = 0; j < 2; j++) {
            struct weir_key_query query = queries[i];
            struct seen seen = {.count = 0};
            query.limit = limits[j];
            check(fixture, ops->key_list(fixture->engine, &query, see, &seen, &fixture->error), WEIR_OK);
            size_t count = 0;
            for (size_t n = 0; n < MANY && count < query.limit; n++) {
                if (!matches(&query, &all[n].key))
                    continue;
                assert_true(count < seen.count);
                assert_true(seen.numbers[count] == all[n].key.number);
                count++;
            }
            assert_int_equal(seen.count, count);
            total = count;
        }
        assert_true(total < MANY || i == 0); /* it does filter */
    }
    const struct weir_key_query long_hint = {.hint_prefix = TEXT("abcde")};
    assert_int_equal(ops->key_list(fixture->engine, &long_hint, see, NULL, &fixture->error), WEIR_EINVAL);
    struct seen seen = {.answer = WEIR_END};
    check(fixture, ops->key_list(fixture->engine, &queries[0], see, &seen, &fixture->error), WEIR_OK);
    assert_int_equal(seen.count, 1);
    seen = (struct seen){.count = 0};
    check(fixture, ops->key_list(fixture->engine, &queries[0], see, &seen, &fixture->error), WEIR_OK);
    assert_int_equal(seen.count, 100);
    test_free(all);
}

/* Pages are those of one list, whatever is added and changed between them. */
static void listings_are_stable_under_inserts(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_key_query query = {.workspace = TEXT("acme"), .limit = 10};
    struct many many;
    unsigned made = 0;
    for (; made < 150; made++) {
        make(&many, made);
        check(fixture, ops->key_insert(fixture->engine, &many.key, &fixture->error), WEIR_OK);
    }
    size_t count = 0;
    struct seen seen;
    do {
        seen = (struct seen){.count = 0};
        check(fixture, ops->key_list(fixture->engine, &query, see, &seen, &fixture->error), WEIR_OK);
        for (size_t i = 0; i < seen.count; i++) {
            assert_true(seen.numbers[i] > query.after_number);
            query.after_number = seen.numbers[i];
        }
        count += seen.count;
        if (count <= 30) {
            for (unsigned i = 0; i < 3; i++, made++) {
                make(&many, made);
                check(fixture, ops->key_insert(fixture->engine, &many.key, &fixture->error), WEIR_OK);
            }
            make(&many, 1);
            check(fixture, ops->key_update(fixture->engine, &many.key, 0, &fixture->error), WEIR_OK);
        }
    } while (seen.count > 0);
    assert_int_equal(count, 53); /* 50 of the first 150, and one of three that came while it was listed */
}

static void the_last_use_is_the_newest_entry_of_the_ledger(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    int64_t utc_us = 99;
    check(fixture, ops->key_last_use(fixture->engine, TEXT("key_a"), &utc_us, &fixture->error), WEIR_OK);
    assert_true(utc_us == 0);
    check(fixture, ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    for (uint64_t i = 1; i <= 30; i++) {
        struct weir_ledger_entry entry = sample_entry(i);
        entry.key_id = i % 2 == 0 ? TEXT("key_a") : i % 3 == 0 ? TEXT("key_b") : TEXT("");
        check(fixture, ops->ingest_entry(fixture->engine, &entry, &fixture->error), WEIR_OK);
    }
    check(fixture, ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    const struct {
        struct weir_span id;
        int64_t expected;
    } cases[] = {{TEXT("key_a"), sample_entry(30).start_utc_us},
                 {TEXT("key_b"), sample_entry(27).start_utc_us},
                 {TEXT("key_c"), 0},
                 {TEXT(""), 0}};
    for (size_t i = 0; i < 4; i++) {
        check(fixture, ops->key_last_use(fixture->engine, cases[i].id, &utc_us, &fixture->error), WEIR_OK);
        assert_true(utc_us == cases[i].expected);
    }
}

/* --- revisions --- */
struct revisions {
    size_t count;
    uint64_t numbers[200];
    enum weir_status answer;
};

static enum weir_status see_revision(void *context, uint64_t number, struct weir_span hash, int64_t saved_utc_us,
                                     struct weir_span text) {
    struct revisions *seen = context;
    char expected[16];
    (void)snprintf(expected, sizeof(expected), "%llu", (unsigned long long)number);
    assert_spans_equal(hash, weir_span_of_string(expected));
    assert_spans_equal(text, weir_span_of_string(expected));
    assert_true(saved_utc_us == 1000 + (int64_t)number);
    seen->numbers[seen->count++] = number;
    return seen->answer;
}

static void revisions_are_listed_newest_first(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    for (int64_t i = 1; i <= 120; i++) {
        char text[16];
        uint64_t number = 0;
        (void)snprintf(text, sizeof(text), "%lld", (long long)i);
        check(fixture,
              ops->revision_save(fixture->engine, weir_span_of_string(text), weir_span_of_string(text), 1000 + i,
                                 &number, &fixture->error),
              WEIR_OK);
        assert_true(number == (uint64_t)i);
    }
    const struct {
        uint64_t before;
        size_t limit, expected;
        uint64_t newest;
    } cases[] = {{0, 10, 10, 120}, {0, 0, 100, 120}, {50, 10, 10, 49},
                 {3, 10, 2, 2},    {1, 10, 0, 0},    {UINT64_MAX, 1, 1, 120}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct revisions seen = {.count = 0};
        check(fixture,
              ops->revision_list(fixture->engine, cases[i].before, cases[i].limit, see_revision, &seen,
                                 &fixture->error),
              WEIR_OK);
        assert_int_equal(seen.count, cases[i].expected);
        for (size_t j = 0; j < seen.count; j++)
            assert_true(seen.numbers[j] == cases[i].newest - j);
    }
    struct revisions one = {.answer = WEIR_END};
    check(fixture, ops->revision_list(fixture->engine, 0, 10, see_revision, &one, &fixture->error), WEIR_OK);
    assert_int_equal(one.count, 1);
}

int main(void) {
    int failed = 0;
    for (size_t i = 0; i < ENGINE_COUNT; i++) {
        const struct CMUnitTest tests[] = {
            ON(i, all_of_a_key_comes_back),
            ON(i, keys_change_by_versions),
            ON(i, revoking_is_a_change),
            ON(i, listings_give_what_matches),
            ON(i, listings_are_stable_under_inserts),
            ON(i, the_last_use_is_the_newest_entry_of_the_ledger),
            ON(i, revisions_are_listed_newest_first),
        };
        failed += cmocka_run_group_tests_name(engines[i]->name, tests, NULL, NULL);
    }
    return failed;
}
