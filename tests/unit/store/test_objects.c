/* What every engine must do with objects, and with several changes in one transaction. */
#include "fixture.h"

#include "store/sqlite_impl.h"

#define TEXT(literal) WEIR_SPAN(literal)

static struct weir_object sample_object(enum weir_object_kind kind, struct weir_span parent, struct weir_span id) {
    return (struct weir_object){.kind = kind,
                                .parent = parent,
                                .id = id,
                                .text = TEXT("{\"name\":\"a name\"}"),
                                .created_utc_us = 1000,
                                .updated_utc_us = 1000};
}

static struct weir_object create(struct fixture *fixture, struct weir_object object) {
    check(fixture, fixture->ops->object_create(fixture->engine, &object, &fixture->error), WEIR_OK);
    return object;
}

static void assert_objects_equal(const struct weir_object *a, const struct weir_object *b) {
    assert_int_equal(a->kind, b->kind);
    assert_true(a->number == b->number);
    assert_spans_equal(a->parent, b->parent);
    assert_spans_equal(a->id, b->id);
    assert_spans_equal(a->handle, b->handle);
    assert_spans_equal(a->text, b->text);
    assert_true(a->version == b->version && a->change == b->change);
    assert_true(a->created_utc_us == b->created_utc_us && a->updated_utc_us == b->updated_utc_us);
    assert_true(a->expires_utc_us == b->expires_utc_us && a->removed == b->removed);
}

static struct weir_object get(struct fixture *fixture, enum weir_object_kind kind, struct weir_span parent,
                              struct weir_span id) {
    struct weir_object object = {.version = 0};
    check(fixture,
          fixture->ops->object_get(fixture->engine, kind, parent, id, fixture->arena, &object, &fixture->error),
          WEIR_OK);
    return object;
}

static enum weir_status try_get(struct fixture *fixture, enum weir_object_kind kind, struct weir_span parent,
                                struct weir_span id) {
    struct weir_object object;
    return fixture->ops->object_get(fixture->engine, kind, parent, id, fixture->arena, &object, &fixture->error);
}

enum { MAX_SEEN = 2000 };
struct seen {
    struct weir_arena *arena;
    size_t count;
    struct weir_object objects[MAX_SEEN];
    enum weir_status answer;
};

static enum weir_status see(void *context, const struct weir_object *object) {
    struct seen *seen = context;
    assert_true(seen->count < MAX_SEEN);
    struct weir_object *copy = &seen->objects[seen->count++];
    *copy = *object;
    struct weir_span *const texts[] = {&copy->parent, &copy->id, &copy->handle, &copy->text};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(weir_arena_dup(seen->arena, *texts[i], texts[i]), WEIR_OK);
    return seen->answer;
}

static struct seen *list(struct fixture *fixture, struct weir_object_query query) {
    struct seen *seen = weir_arena_alloc(fixture->arena, sizeof(*seen));
    assert_non_null(seen);
    seen->arena = fixture->arena;
    check(fixture, fixture->ops->object_list(fixture->engine, &query, see, seen, &fixture->error), WEIR_OK);
    return seen;
}

static struct seen *changed_after(struct fixture *fixture, uint64_t change) {
    struct seen *seen = weir_arena_alloc(fixture->arena, sizeof(*seen));
    assert_non_null(seen);
    seen->arena = fixture->arena;
    check(fixture, fixture->ops->object_each(fixture->engine, change, see, seen, &fixture->error), WEIR_OK);
    for (size_t i = 1; i < seen->count; i++)
        assert_true(seen->objects[i].change > seen->objects[i - 1].change);
    return seen;
}

static uint64_t newest_change(struct fixture *fixture) {
    struct seen *seen = changed_after(fixture, 0);
    return seen->count > 0 ? seen->objects[seen->count - 1].change : 0;
}

/* --- objects --- */
static void a_new_database_has_the_plans_and_a_workspace(void **state) {
    struct fixture *fixture = *state;
    static const char *const plans[][2] = {
        {"free", "{\"name\":\"Free\",\"requests_per_second\":2,\"cu_milli_per_month\":10000000000,"
                 "\"price_cu_milli_per_month\":0,\"overage\":false}"},
        {"developer", "{\"name\":\"Developer\",\"requests_per_second\":10,\"cu_milli_per_month\":29000000000,"
                      "\"price_cu_milli_per_month\":29000000000,\"overage\":true}"},
        {"startup", "{\"name\":\"Startup\",\"requests_per_second\":50,\"cu_milli_per_month\":99000000000,"
                    "\"price_cu_milli_per_month\":99000000000,\"overage\":true}"},
        {"enterprise", "{\"name\":\"Enterprise\",\"requests_per_second\":200,\"cu_milli_per_month\":499000000000,"
                       "\"price_cu_milli_per_month\":499000000000,\"overage\":true}"},
    };
    struct seen *seen = list(fixture, (struct weir_object_query){.kind = WEIR_OBJECT_PLAN});
    assert_int_equal(seen->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_spans_equal(seen->objects[i].id, weir_span_of_string(plans[i][0]));
        assert_spans_equal(seen->objects[i].text, weir_span_of_string(plans[i][1]));
        assert_true(seen->objects[i].version == 1);
        assert_true(seen->objects[i].created_utc_us > (int64_t)1700000000 * 1000000);
    }
    struct weir_object workspace = get(fixture, WEIR_OBJECT_WORKSPACE, TEXT(""), TEXT("default"));
    assert_spans_equal(workspace.text, TEXT("{\"name\":\"default\",\"plan\":null,\"suspended\":false}"));
    assert_int_equal(list(fixture, (struct weir_object_query){.kind = WEIR_OBJECT_WORKSPACE})->count, 1);
}

static void objects_come_back(void **state) {
    struct fixture *fixture = *state;
    struct weir_object made[WEIR_OBJECT_KIND_END];
    char handles[WEIR_OBJECT_KIND_END][24];
    uint64_t change = newest_change(fixture);
    int64_t number = 0;
    for (int kind = WEIR_OBJECT_PLAN; kind < WEIR_OBJECT_KIND_END; kind++) {
        struct weir_object object = sample_object((enum weir_object_kind)kind, TEXT("of what"), TEXT("an id"));
        (void)snprintf(handles[kind], sizeof(handles[kind]), "handle %d", kind);
        object.handle = weir_span_of_string(handles[kind]);
        object.updated_utc_us = 2000;
        object.expires_utc_us = 3000 + kind;
        made[kind] = create(fixture, object);
        assert_true(made[kind].version == 1 && made[kind].change > change && made[kind].number > number);
        change = made[kind].change;
        number = made[kind].number;
    }
    for (int reopened = 0; reopened < 2; reopened++) {
        for (int kind = WEIR_OBJECT_PLAN; kind < WEIR_OBJECT_KIND_END; kind++) {
            struct weir_object found = get(fixture, (enum weir_object_kind)kind, TEXT("of what"), TEXT("an id"));
            assert_objects_equal(&found, &made[kind]);
            check(fixture,
                  fixture->ops->object_find(fixture->engine, (enum weir_object_kind)kind, made[kind].handle,
                                            fixture->arena, &found, &fixture->error),
                  WEIR_OK);
            assert_objects_equal(&found, &made[kind]);
            /* Nothing of another kind or parent. */
            assert_int_equal(try_get(fixture, (enum weir_object_kind)kind, TEXT(""), TEXT("an id")), WEIR_ENOTFOUND);
            assert_int_equal(fixture->ops->object_find(fixture->engine, (enum weir_object_kind)kind,
                                                       weir_span_of_string(handles[kind % 8 + 1]), fixture->arena,
                                                       &found, &fixture->error),
                             WEIR_ENOTFOUND);
        }
        fixture->ops->close(&fixture->engine);
        open_engine(fixture);
    }
    struct weir_object none = sample_object(WEIR_OBJECT_TEAM, TEXT(""), TEXT(""));
    assert_int_equal(fixture->ops->object_create(fixture->engine, &none, &fixture->error), WEIR_EINVAL);
    none = sample_object(WEIR_OBJECT_KIND_END, TEXT(""), TEXT("x"));
    assert_int_equal(fixture->ops->object_create(fixture->engine, &none, &fixture->error), WEIR_EINVAL);
}

static void texts_are_json_objects(void **state) {
    struct fixture *fixture = *state;
    const struct weir_span wrong[] = {TEXT(""),     TEXT("{"),          TEXT("[]"),   TEXT("\"a\""),
                                      TEXT("null"), TEXT("{\"a\":1}x"), TEXT("{a:1}")};
    struct weir_object there = create(fixture, sample_object(WEIR_OBJECT_TEAM, TEXT(""), TEXT("there")));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct weir_object object = sample_object(WEIR_OBJECT_TEAM, TEXT(""), TEXT("x"));
        object.text = wrong[i];
        assert_int_equal(fixture->ops->object_create(fixture->engine, &object, &fixture->error), WEIR_EINVAL);
        assert_int_equal(try_get(fixture, WEIR_OBJECT_TEAM, TEXT(""), TEXT("x")), WEIR_ENOTFOUND);
        object = there;
        object.text = wrong[i];
        assert_int_equal(fixture->ops->object_update(fixture->engine, &object, 0, &fixture->error), WEIR_EINVAL);
    }
    struct weir_object found = get(fixture, WEIR_OBJECT_TEAM, TEXT(""), TEXT("there"));
    assert_objects_equal(&found, &there);
}

static void ids_and_handles_are_taken_once(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_object first = sample_object(WEIR_OBJECT_OPERATOR, TEXT("p"), TEXT("a"));
    first.handle = TEXT("ann");
    first = create(fixture, first);

    struct weir_object same_id = sample_object(WEIR_OBJECT_OPERATOR, TEXT("p"), TEXT("a"));
    struct weir_object same_handle = sample_object(WEIR_OBJECT_OPERATOR, TEXT("q"), TEXT("b"));
    same_handle.handle = TEXT("ann");
    assert_int_equal(ops->object_create(fixture->engine, &same_id, &fixture->error), WEIR_EEXIST);
    assert_non_null(strstr(fixture->error.text, "operator"));
    assert_int_equal(ops->object_create(fixture->engine, &same_handle, &fixture->error), WEIR_EEXIST);

    /* Elsewhere both are free, and none has the empty handle. */
    create(fixture, sample_object(WEIR_OBJECT_OPERATOR, TEXT("q"), TEXT("a")));
    create(fixture, sample_object(WEIR_OBJECT_OPERATOR, TEXT("q"), TEXT("c")));
    same_handle.kind = WEIR_OBJECT_TOKEN;
    create(fixture, same_handle);
    struct weir_object found;
    assert_int_equal(ops->object_find(fixture->engine, WEIR_OBJECT_OPERATOR, TEXT(""), fixture->arena, &found,
                                      &fixture->error),
                     WEIR_ENOTFOUND);

    /* By a change, too. */
    struct weir_object other = sample_object(WEIR_OBJECT_OPERATOR, TEXT("q"), TEXT("c"));
    other.handle = TEXT("ann");
    assert_int_equal(ops->object_update(fixture->engine, &other, 0, &fixture->error), WEIR_EEXIST);
    assert_true(get(fixture, WEIR_OBJECT_OPERATOR, TEXT("q"), TEXT("c")).version == 1);

    /* What is removed takes nothing. */
    check(fixture, ops->object_remove(fixture->engine, first.kind, first.parent, first.id, 1, 5000, &fixture->error),
          WEIR_OK);
    check(fixture, ops->object_update(fixture->engine, &other, 0, &fixture->error), WEIR_OK);
    struct weir_object again = create(fixture, sample_object(WEIR_OBJECT_OPERATOR, TEXT("p"), TEXT("a")));
    assert_true(again.number > first.number && again.version == 1);
}

static void changes_count_versions(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_object object = create(fixture, sample_object(WEIR_OBJECT_USER, TEXT("default"), TEXT("u")));
    const struct weir_object before = object;
    object.text = TEXT("{\"name\":\"another\"}");
    object.handle = TEXT("h");
    object.updated_utc_us = 9000;
    object.expires_utc_us = 10000;
    object.created_utc_us = 1; /* is not written */
    object.number = 77;
    check(fixture, ops->object_update(fixture->engine, &object, 1, &fixture->error), WEIR_OK);
    assert_true(object.version == 2 && object.change > before.change && object.number == before.number);
    assert_true(object.created_utc_us == before.created_utc_us);
    struct weir_object found = get(fixture, WEIR_OBJECT_USER, TEXT("default"), TEXT("u"));
    assert_objects_equal(&found, &object);

    struct weir_object late = object;
    late.text = TEXT("{}");
    const uint64_t others[] = {1, 3, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ops->object_update(fixture->engine, &late, others[i], &fixture->error), WEIR_ESTALE);
        assert_int_equal(ops->object_remove(fixture->engine, WEIR_OBJECT_USER, TEXT("default"), TEXT("u"), others[i], 1,
                                            &fixture->error),
                         WEIR_ESTALE);
    }
    found = get(fixture, WEIR_OBJECT_USER, TEXT("default"), TEXT("u"));
    assert_objects_equal(&found, &object);
    check(fixture, ops->object_update(fixture->engine, &late, 0, &fixture->error), WEIR_OK);
    assert_true(late.version == 3);

    late.id = TEXT("nobody");
    assert_int_equal(ops->object_update(fixture->engine, &late, 0, &fixture->error), WEIR_ENOTFOUND);
    assert_int_equal(ops->object_update(fixture->engine, &late, 4, &fixture->error), WEIR_ENOTFOUND);
    assert_non_null(strstr(fixture->error.text, "user \"nobody\""));
    assert_int_equal(ops->object_remove(fixture->engine, WEIR_OBJECT_USER, TEXT("default"), TEXT("nobody"), 0, 1,
                                        &fixture->error),
                     WEIR_ENOTFOUND);
}

static void removals_are_told(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_object object = sample_object(WEIR_OBJECT_SECRET, TEXT(""), TEXT("s"));
    object.handle = TEXT("h");
    object.text = TEXT("{\"blob\":\"c2VhbGVk\"}");
    object = create(fixture, object);
    check(fixture,
          ops->object_remove(fixture->engine, WEIR_OBJECT_SECRET, TEXT(""), TEXT("s"), 0, 7000, &fixture->error),
          WEIR_OK);
    assert_int_equal(try_get(fixture, WEIR_OBJECT_SECRET, TEXT(""), TEXT("s")), WEIR_ENOTFOUND);
    struct weir_object found;
    assert_int_equal(ops->object_find(fixture->engine, WEIR_OBJECT_SECRET, TEXT("h"), fixture->arena, &found,
                                      &fixture->error),
                     WEIR_ENOTFOUND);
    assert_int_equal(list(fixture, (struct weir_object_query){.kind = WEIR_OBJECT_SECRET})->count, 0);
    assert_int_equal(ops->object_update(fixture->engine, &object, 0, &fixture->error), WEIR_ENOTFOUND);
    assert_int_equal(ops->object_remove(fixture->engine, WEIR_OBJECT_SECRET, TEXT(""), TEXT("s"), 0, 7000,
                                        &fixture->error),
                     WEIR_ENOTFOUND);

    struct seen *seen = changed_after(fixture, object.change);
    assert_int_equal(seen->count, 1);
    assert_true(seen->objects[0].removed && seen->objects[0].updated_utc_us == 7000);
    assert_spans_equal(seen->objects[0].id, TEXT("s"));
    assert_spans_equal(seen->objects[0].text, TEXT("{}")); /* what it held is gone */
    assert_int_equal(seen->objects[0].kind, WEIR_OBJECT_SECRET);
}

static void what_has_expired_is_swept(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    const int64_t day_us = (int64_t)24 * 3600 * 1000000;
    char ids[10][16];
    uint64_t removed = 99;
    for (int i = 0; i < 10; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "s%d", i);
        struct weir_object object = sample_object(WEIR_OBJECT_SESSION, TEXT("o"), weir_span_of_string(ids[i]));
        object.expires_utc_us = i == 9 ? 0 : 1000 + i;
        create(fixture, object);
    }
    uint64_t change = newest_change(fixture);
    check(fixture, ops->object_sweep(fixture->engine, 1000, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 0);
    check(fixture, ops->object_sweep(fixture->engine, 1004, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 4);
    check(fixture, ops->object_sweep(fixture->engine, 1004, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 0);
    struct seen *seen = changed_after(fixture, change);
    assert_int_equal(seen->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(seen->objects[i].removed);
        assert_spans_equal(seen->objects[i].id, weir_span_of_string(ids[i]));
    }
    assert_int_equal(list(fixture, (struct weir_object_query){.kind = WEIR_OBJECT_SESSION, .parent = TEXT("o")})->count,
                     6);

    /* A day later the rows go, but not the one with the newest change: no number is given twice. */
    change = newest_change(fixture);
    check(fixture, ops->object_sweep(fixture->engine, 1003 + day_us, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 5);
    check(fixture, ops->object_sweep(fixture->engine, 1005 + 3 * day_us, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 0);
    seen = changed_after(fixture, change - 4);
    assert_int_equal(seen->count, 1);
    assert_true(seen->objects[0].change == change + 5 && seen->objects[0].removed);
    struct weir_object next = create(fixture, sample_object(WEIR_OBJECT_SESSION, TEXT("o"), TEXT("next")));
    assert_true(next.change == change + 6);
    assert_int_equal(list(fixture, (struct weir_object_query){.kind = WEIR_OBJECT_SESSION, .parent = TEXT("o")})->count,
                     2);
}

static void listings_are_stable_under_inserts(void **state) {
    struct fixture *fixture = *state;
    enum { COUNT = 230, PAGE = 50 };
    char ids[2 * COUNT][8];
    size_t times[2 * COUNT] = {0}, made = 0;
    for (; made < COUNT; made++) {
        (void)snprintf(ids[made], sizeof(ids[made]), "t%zu", made);
        create(fixture, sample_object(WEIR_OBJECT_TEAM, TEXT("w"), weir_span_of_string(ids[made])));
        create(fixture, sample_object(WEIR_OBJECT_TEAM, TEXT("v"), weir_span_of_string(ids[made])));
        create(fixture, sample_object(WEIR_OBJECT_USER, TEXT("w"), weir_span_of_string(ids[made])));
    }
    struct weir_object_query query = {.kind = WEIR_OBJECT_TEAM, .parent = TEXT("w"), .limit = PAGE};
    struct seen *seen;
    size_t pages = 0;
    do {
        seen = list(fixture, query);
        for (size_t i = 0; i < seen->count; i++) {
            assert_true(seen->objects[i].number > query.after_number);
            query.after_number = seen->objects[i].number;
            uint64_t which = 0;
            assert_int_equal(weir_span_to_uint64(weir_span_from(seen->objects[i].id, 1), &which), WEIR_OK);
            times[which]++;
        }
        /* Between two pages: some more, and some that were or were not seen yet are gone. */
        if (pages++ < 3) {
            (void)snprintf(ids[made], sizeof(ids[made]), "t%zu", made);
            create(fixture, sample_object(WEIR_OBJECT_TEAM, TEXT("w"), weir_span_of_string(ids[made])));
            made++;
            const size_t gone[] = {pages, COUNT - pages};
            for (size_t i = 0; i < 2; i++) {
                check(fixture,
                      fixture->ops->object_remove(fixture->engine, WEIR_OBJECT_TEAM, TEXT("w"),
                                                  weir_span_of_string(ids[gone[i]]), 0, 1, &fixture->error),
                      WEIR_OK);
            }
        }
    } while (seen->count == PAGE);
    for (size_t i = 0; i < made; i++)
        assert_int_equal(times[i], i < COUNT && i >= COUNT - 3 ? 0 : 1);

    query = (struct weir_object_query){.kind = WEIR_OBJECT_TEAM, .parent = TEXT("w")};
    assert_int_equal(list(fixture, query)->count, 100);
    query.any_parent = true;
    query.limit = SIZE_MAX;
    assert_int_equal(list(fixture, query)->count, 2 * COUNT + 3 - 6);
    for (size_t i = 0; i < 1000 - 2 * COUNT; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "more%zu", i);
        create(fixture, sample_object(WEIR_OBJECT_TEAM, TEXT("u"), weir_span_of_string(id)));
    }
    create(fixture, sample_object(WEIR_OBJECT_TEAM, TEXT("u"), TEXT("one")));
    create(fixture, sample_object(WEIR_OBJECT_TEAM, TEXT("u"), TEXT("two")));
    create(fixture, sample_object(WEIR_OBJECT_TEAM, TEXT("u"), TEXT("three")));
    create(fixture, sample_object(WEIR_OBJECT_TEAM, TEXT("u"), TEXT("four")));
    assert_int_equal(list(fixture, query)->count, 1000);
    struct seen one = {.arena = fixture->arena, .answer = WEIR_END};
    check(fixture, fixture->ops->object_list(fixture->engine, &query, see, &one, &fixture->error), WEIR_OK);
    assert_int_equal(one.count, 1);
    one = (struct seen){.arena = fixture->arena, .answer = WEIR_ELIMIT};
    check(fixture, fixture->ops->object_each(fixture->engine, 0, see, &one, &fixture->error), WEIR_ELIMIT);
}

static void listings_are_filtered_by_members(void **state) {
    struct fixture *fixture = *state;
    static const char *const texts[] = {
        "{\"plan\":\"free\",\"suspended\":false,\"seats\":5}",
        "{\"plan\":\"free\",\"suspended\":true,\"seats\":50}",
        "{\"plan\":\"true\",\"suspended\":\"true\",\"seats\":\"5\"}",
        "{\"suspended\":null}",
        "{\"plan\":\"na\\u00efve \\\"x\\\"\",\"suspended\":true,\"seats\":5,\"plan_b\":\"free\"}",
        "{\"plan\":\"\",\"nested\":{\"plan\":\"free\"}}",
    };
    enum { COUNT = sizeof(texts) / sizeof(texts[0]) };
    for (size_t i = 0; i < COUNT; i++) {
        char id[8];
        (void)snprintf(id, sizeof(id), "%zu", i);
        struct weir_object object = sample_object(WEIR_OBJECT_TEAM, TEXT("w"), weir_span_of_string(id));
        object.text = weir_span_of_string(texts[i]);
        create(fixture, object);
    }
    const struct {
        const char *member, *value, *second, *second_value, *expected;
    } cases[] = {
        {"plan", "free", NULL, NULL, "01"},
        {"suspended", "true", NULL, NULL, "124"},
        {"suspended", "false", NULL, NULL, "0"},
        {"suspended", "null", NULL, NULL, "3"},
        {"seats", "5", NULL, NULL, "024"},
        {"seats", "50", NULL, NULL, "1"},
        {"plan", "na\xC3\xAFve \"x\"", NULL, NULL, "4"},
        {"plan", "", NULL, NULL, "5"},
        {"plan_b", "free", NULL, NULL, "4"},
        {"no_such", "free", NULL, NULL, ""},
        {"plan", "FREE", NULL, NULL, ""},
        {"plan", "free", "suspended", "true", "1"},
        {"nested", "{\"plan\":\"free\"}", NULL, NULL, "5"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct weir_object_query query = {.kind = WEIR_OBJECT_TEAM,
                                          .parent = TEXT("w"),
                                          .filter_count = cases[i].second != NULL ? 2 : 1,
                                          .filters = {{cases[i].member, weir_span_of_string(cases[i].value)},
                                                      {cases[i].second, weir_span_of_string(cases[i].second_value)}}};
        struct seen *seen = list(fixture, query);
        assert_int_equal(seen->count, strlen(cases[i].expected));
        for (size_t j = 0; j < seen->count; j++)
            assert_int_equal(seen->objects[j].id.at[0], cases[i].expected[j]);
    }
    static const char *const bad[] = {"",    "a'b",
                                      "a.b", "A",
                                      "a\"", "$",
                                      "a b", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnop"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct weir_object_query query = {.kind = WEIR_OBJECT_TEAM,
                                          .filter_count = 1,
                                          .filters = {{bad[i], TEXT("x")}}};
        assert_int_equal(fixture->ops->object_list(fixture->engine, &query, see, NULL, &fixture->error), WEIR_EINVAL);
    }
    struct weir_object_query query = {.kind = WEIR_OBJECT_TEAM, .filter_count = WEIR_OBJECT_FILTERS + 1};
    assert_int_equal(fixture->ops->object_list(fixture->engine, &query, see, NULL, &fixture->error), WEIR_EINVAL);
}

static void reading_needs_room(void **state) {
    struct fixture *fixture = *state;
    struct weir_arena *small = weir_arena_new(64, 64);
    struct weir_object object = sample_object(WEIR_OBJECT_TEAM, TEXT("w"), TEXT("t"));
    object.text = TEXT("{\"name\":\"a text that is longer than the arena, which has room for very little\"}");
    object = create(fixture, object);
    struct weir_object found = {.version = 99};
    assert_int_equal(fixture->ops->object_get(fixture->engine, WEIR_OBJECT_TEAM, TEXT("w"), TEXT("t"), small, &found,
                                              &fixture->error),
                     WEIR_ENOMEM);
    assert_true(found.version == 99);
    weir_arena_free(&small);
    found = get(fixture, WEIR_OBJECT_TEAM, TEXT("w"), TEXT("t"));
    assert_objects_equal(&found, &object);
}

static void changed_objects_are_noticed(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_engine *other = NULL;
    check(fixture, ops->open(fixture->location, "dev", &other, &fixture->error), WEIR_OK);
    struct weir_engine *const writers[] = {fixture->engine, other};
    (void)ops->changed(fixture->engine);
    for (size_t i = 0; i < 2; i++) {
        struct weir_object object = sample_object(WEIR_OBJECT_SESSION, TEXT(""), i == 0 ? TEXT("a") : TEXT("b"));
        uint64_t removed = 0;
        assert_false(ops->changed(fixture->engine));
        check(fixture, ops->object_create(writers[i], &object, &fixture->error), WEIR_OK);
        assert_true(ops->changed(fixture->engine));
        object.expires_utc_us = 5;
        check(fixture, ops->object_update(writers[i], &object, 0, &fixture->error), WEIR_OK);
        assert_true(ops->changed(fixture->engine));
        check(fixture, ops->object_sweep(writers[i], 6, &removed, &fixture->error), WEIR_OK);
        assert_true(removed == 1 && ops->changed(fixture->engine));
        check(fixture, ops->object_create(writers[i], &object, &fixture->error), WEIR_OK);
        check(fixture, ops->object_remove(writers[i], object.kind, object.parent, object.id, 0, 1, &fixture->error),
              WEIR_OK);
        assert_true(ops->changed(fixture->engine));
        assert_false(ops->changed(fixture->engine));
    }
    ops->close(&other);
}

/* --- several changes in one --- */
static struct weir_key_record sample_key(unsigned number) {
    struct weir_key_record key = {.name = TEXT("k"), .workspace = TEXT("default"), .created_utc_us = 1};
    (void)snprintf(key.id, sizeof(key.id), "key_%016u", number);
    (void)snprintf(key.hint, sizeof(key.hint), "abcd..wxyz");
    memcpy(key.hash, &number, sizeof(number));
    return key;
}

static enum weir_status count_key(void *context, const struct weir_key_record *key) {
    (void)key;
    ++*(size_t *)context;
    return WEIR_OK;
}
static enum weir_status count_entry(void *context, const struct weir_audit_entry *entry) {
    (void)entry;
    ++*(size_t *)context;
    return WEIR_OK;
}

/* Keys, teams and audit entries, as `engine` sees them. */
static void assert_there(struct fixture *fixture, struct weir_engine *engine, size_t each) {
    size_t keys = 0, entries = 0;
    struct seen *seen = weir_arena_alloc(fixture->arena, sizeof(*seen));
    seen->arena = fixture->arena;
    const struct weir_object_query teams = {.kind = WEIR_OBJECT_TEAM, .any_parent = true, .limit = 1000};
    const struct weir_audit_query all = {.limit = 1000};
    check(fixture, fixture->ops->key_each(engine, 0, count_key, &keys, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->object_list(engine, &teams, see, seen, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->audit_each(engine, &all, count_entry, &entries, &fixture->error), WEIR_OK);
    assert_int_equal(keys, each);
    assert_int_equal(seen->count, each);
    assert_int_equal(entries, each);
}

static void change_all(struct fixture *fixture, unsigned number) {
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_key_record key = sample_key(number);
    struct weir_object team = sample_object(WEIR_OBJECT_TEAM, TEXT("w"), weir_span_of_string(key.id));
    struct weir_audit_entry entry = {.utc_us = 1, .action = TEXT("key.create")};
    check(fixture, ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_OK);
    check(fixture, ops->object_create(fixture->engine, &team, &fixture->error), WEIR_OK);
    check(fixture, ops->audit_append(fixture->engine, &entry, &fixture->error), WEIR_OK);
}

static void work_is_seen_when_it_ends(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_engine *other = NULL;
    check(fixture, ops->open(fixture->location, "dev", &other, &fixture->error), WEIR_OK);
    check(fixture, ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
    change_all(fixture, 1);
    assert_there(fixture, fixture->engine, 1);
    assert_there(fixture, other, 0);
    check(fixture, ops->work_end(fixture->engine, WEIR_OK, &fixture->error), WEIR_OK);
    assert_there(fixture, other, 1);
    /* And without it each is by itself. */
    change_all(fixture, 2);
    assert_there(fixture, other, 2);
    ops->close(&other);
}

static void work_that_fails_leaves_nothing(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    change_all(fixture, 1);
    const enum weir_status reasons[] = {WEIR_EDENIED, WEIR_ESTALE, WEIR_EINVAL, WEIR_END};
    for (size_t i = 0; i < 4; i++) {
        uint64_t number = 0;
        check(fixture, ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
        change_all(fixture, 2);
        check(fixture, ops->revision_save(fixture->engine, TEXT("h"), TEXT("t"), 5, &number, &fixture->error), WEIR_OK);
        check(fixture,
              ops->object_remove(fixture->engine, WEIR_OBJECT_WORKSPACE, TEXT(""), TEXT("default"), 0, 5,
                                 &fixture->error),
              WEIR_OK);
        assert_int_equal(ops->work_end(fixture->engine, reasons[i], &fixture->error), reasons[i]);
        assert_there(fixture, fixture->engine, 1);
        assert_true(get(fixture, WEIR_OBJECT_WORKSPACE, TEXT(""), TEXT("default")).version == 1);
    }
    struct weir_audit_verification verification;
    check(fixture, ops->audit_verify(fixture->engine, &verification, &fixture->error), WEIR_OK);
    assert_true(verification.broken_at == 0 && verification.last == 1);
    change_all(fixture, 2);
    assert_there(fixture, fixture->engine, 2);
}

static void an_operation_that_fails_in_work_takes_back_itself_alone(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    check(fixture, ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
    change_all(fixture, 1);
    struct weir_key_record key = sample_key(1);
    struct weir_object team = sample_object(WEIR_OBJECT_TEAM, TEXT("w"), weir_span_of_string(key.id));
    assert_int_equal(ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_EEXIST);
    assert_int_equal(ops->object_create(fixture->engine, &team, &fixture->error), WEIR_EEXIST);
    assert_int_equal(ops->object_update(fixture->engine, &team, 7, &fixture->error), WEIR_ESTALE);
    assert_int_equal(ops->key_revoke(fixture->engine, TEXT("key_x"), 1, &fixture->error), WEIR_ENOTFOUND);
    change_all(fixture, 2);
    check(fixture, ops->work_end(fixture->engine, WEIR_OK, &fixture->error), WEIR_OK);
    assert_there(fixture, fixture->engine, 2);
}

static void work_holds_the_lock(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_engine *other = NULL;
    check(fixture, ops->open(fixture->location, "dev", &other, &fixture->error), WEIR_OK);
    ops->set_patience(other, 1);
    struct weir_object team = sample_object(WEIR_OBJECT_TEAM, TEXT("w"), TEXT("t"));
    struct weir_audit_entry entry = {.utc_us = 1};
    check(fixture, ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
    assert_int_equal(ops->work_begin(other, &fixture->error), WEIR_EBUSY);
    assert_int_equal(ops->object_create(other, &team, &fixture->error), WEIR_EBUSY);
    assert_int_equal(ops->audit_append(other, &entry, &fixture->error), WEIR_EBUSY);
    assert_there(fixture, other, 0); /* who reads does not wait */
    check(fixture, ops->work_end(fixture->engine, WEIR_OK, &fixture->error), WEIR_OK);
    check(fixture, ops->work_begin(other, &fixture->error), WEIR_OK);
    check(fixture, ops->object_create(other, &team, &fixture->error), WEIR_OK);
    check(fixture, ops->work_end(other, WEIR_OK, &fixture->error), WEIR_OK);
    ops->close(&other);
}

/* After some failures (a full disk, no memory) SQLite takes back the whole transaction by itself. What the work does
 * then must not stand alone. */
static void what_sqlite_took_back_is_not_half_done(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    check(fixture, ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
    change_all(fixture, 1);
    assert_int_equal(sqlite3_exec(fixture->engine->database, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    struct weir_key_record key = sample_key(2);
    struct weir_object team = sample_object(WEIR_OBJECT_TEAM, TEXT("w"), TEXT("t"));
    struct weir_audit_entry entry = {.utc_us = 1};
    assert_int_equal(ops->key_insert(fixture->engine, &key, &fixture->error), WEIR_EIO);
    assert_int_equal(ops->object_create(fixture->engine, &team, &fixture->error), WEIR_EIO);
    assert_int_equal(ops->audit_append(fixture->engine, &entry, &fixture->error), WEIR_EIO);
    assert_int_not_equal(ops->work_end(fixture->engine, WEIR_OK, &fixture->error), WEIR_OK);
    assert_there(fixture, fixture->engine, 0);
    check(fixture, ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
    change_all(fixture, 1);
    check(fixture, ops->work_end(fixture->engine, WEIR_OK, &fixture->error), WEIR_OK);
    assert_there(fixture, fixture->engine, 1);
}

/* A database that has no more room refuses, and nothing of the work stays. */
static void a_full_database_leaves_nothing_of_the_work(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    enum { LARGE = 1 << 20 };
    char *text = test_malloc(LARGE);
    memset(text, ' ', LARGE);
    text[0] = '{';
    text[LARGE - 1] = '}';
    struct weir_object team = sample_object(WEIR_OBJECT_TEAM, TEXT("w"), TEXT("large"));
    team.text = weir_span_of(text, LARGE);
    assert_int_equal(sqlite3_exec(fixture->engine->database, "PRAGMA max_page_count = 100", NULL, NULL, NULL),
                     SQLITE_OK);
    check(fixture, ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
    change_all(fixture, 1);
    enum weir_status status = ops->object_create(fixture->engine, &team, &fixture->error);
    assert_int_equal(status, WEIR_EFULL);
    assert_int_equal(ops->work_end(fixture->engine, status, &fixture->error), WEIR_EFULL);
    assert_there(fixture, fixture->engine, 0);
    change_all(fixture, 1);
    assert_there(fixture, fixture->engine, 1);
    test_free(text);
}

int main(void) {
    int failed = 0;
    for (size_t i = 0; i < ENGINE_COUNT; i++) {
        const struct CMUnitTest tests[] = {
            ON(i, a_new_database_has_the_plans_and_a_workspace),
            ON(i, objects_come_back),
            ON(i, texts_are_json_objects),
            ON(i, ids_and_handles_are_taken_once),
            ON(i, changes_count_versions),
            ON(i, removals_are_told),
            ON(i, what_has_expired_is_swept),
            ON(i, listings_are_stable_under_inserts),
            ON(i, listings_are_filtered_by_members),
            ON(i, reading_needs_room),
            ON(i, changed_objects_are_noticed),
            ON(i, work_is_seen_when_it_ends),
            ON(i, work_that_fails_leaves_nothing),
            ON(i, an_operation_that_fails_in_work_takes_back_itself_alone),
            ON(i, work_holds_the_lock),
        };
        failed += cmocka_run_group_tests_name(engines[i]->name, tests, NULL, NULL);
    }
    const struct CMUnitTest files[] = {
        ON(0, what_sqlite_took_back_is_not_half_done),
        ON(0, a_full_database_leaves_nothing_of_the_work),
    };
    failed += cmocka_run_group_tests_name("files", files, NULL, NULL);
    return failed;
}
