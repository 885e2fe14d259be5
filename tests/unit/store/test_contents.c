/* What every engine must do with captured contents, and what the store does with those that it cannot take. */
#include "fixture.h"

static struct weir_content sample(struct weir_span id, int64_t expires_utc_us, struct weir_span blob) {
    return (struct weir_content){.request_id = id,
                                 .workspace = WEIR_SPAN("acme"),
                                 .created_utc_us = 1000,
                                 .expires_utc_us = expires_utc_us,
                                 .blob = blob};
}

static enum weir_status get(struct fixture *fixture, const char *id, struct weir_content *content) {
    return fixture->ops->content_get(fixture->engine, weir_span_of_string(id), fixture->arena, content,
                                     &fixture->error);
}

static void put_three(struct fixture *fixture) {
    const struct weir_content contents[] = {sample(WEIR_SPAN("a"), 3000, WEIR_SPAN("blob of a\0b")),
                                            sample(WEIR_SPAN("b"), 2000, WEIR_SPAN("blob of b")),
                                            sample(WEIR_SPAN("c"), 4000, WEIR_SPAN("blob of c"))};
    check(fixture, fixture->ops->content_put(fixture->engine, contents, 3, &fixture->error), WEIR_OK);
}

static void test_what_was_put_is_there(void **state) {
    struct fixture *fixture = *state;
    struct weir_content found;
    put_three(fixture);
    check(fixture, get(fixture, "a", &found), WEIR_OK);
    assert_true(weir_span_equal(found.blob, WEIR_SPAN("blob of a\0b")));
    assert_true(weir_span_equal(found.workspace, WEIR_SPAN("acme")) &&
                weir_span_equal(found.request_id, WEIR_SPAN("a")));
    assert_true(found.created_utc_us == 1000 && found.expires_utc_us == 3000);
    check(fixture, get(fixture, "d", &found), WEIR_ENOTFOUND);
    check(fixture, fixture->ops->content_delete(fixture->engine, WEIR_SPAN("a"), &fixture->error), WEIR_OK);
    check(fixture, get(fixture, "a", &found), WEIR_ENOTFOUND);
    check(fixture, fixture->ops->content_delete(fixture->engine, WEIR_SPAN("a"), &fixture->error), WEIR_ENOTFOUND);
}

static void test_all_or_none(void **state) {
    struct fixture *fixture = *state;
    struct weir_content found;
    const struct weir_content contents[] = {sample(WEIR_SPAN("d"), 1, WEIR_SPAN("x")),
                                            sample(WEIR_SPAN("b"), 1, WEIR_SPAN("again"))};
    put_three(fixture);
    assert_int_not_equal(fixture->ops->content_put(fixture->engine, contents, 2, &fixture->error), WEIR_OK);
    check(fixture, get(fixture, "d", &found), WEIR_ENOTFOUND);
    check(fixture, get(fixture, "b", &found), WEIR_OK);
    assert_true(weir_span_equal(found.blob, WEIR_SPAN("blob of b")));
}

static void test_the_oldest_go_first(void **state) {
    struct fixture *fixture = *state;
    struct weir_content found;
    uint64_t removed = 9;
    put_three(fixture);
    check(fixture, fixture->ops->content_sweep(fixture->engine, 1999, 10, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 0);
    check(fixture, fixture->ops->content_sweep(fixture->engine, 3000, 1, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 1);
    check(fixture, get(fixture, "b", &found), WEIR_ENOTFOUND);
    check(fixture, fixture->ops->content_sweep(fixture->engine, 3000, 10, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 1);
    check(fixture, get(fixture, "a", &found), WEIR_ENOTFOUND);
    check(fixture, get(fixture, "c", &found), WEIR_OK);
}

struct seen {
    size_t count;
    int64_t last;
    size_t longest;
};

static enum weir_status see(void *context, const struct weir_content *content) {
    struct seen *seen = context;
    assert_true(content->number > seen->last);
    seen->last = content->number;
    seen->longest = content->blob.length > seen->longest ? content->blob.length : seen->longest;
    seen->count++;
    return WEIR_OK;
}

static void test_they_are_gone_through_and_sealed_anew(void **state) {
    struct fixture *fixture = *state;
    struct weir_content found;
    struct seen seen = {.count = 0};
    char large[500];
    memset(large, 'x', sizeof large);
    put_three(fixture);
    check(fixture, get(fixture, "b", &found), WEIR_OK);
    check(fixture,
          fixture->ops->content_reseal(fixture->engine, found.number, weir_span_of(large, sizeof large),
                                       &fixture->error),
          WEIR_OK);
    check(fixture, fixture->ops->content_each(fixture->engine, 0, 2, true, see, &seen, &fixture->error), WEIR_OK);
    assert_true(seen.count == 2 && seen.longest == 64);
    check(fixture, fixture->ops->content_each(fixture->engine, seen.last, 2, false, see, &seen, &fixture->error),
          WEIR_OK);
    assert_true(seen.count == 3);
    check(fixture, get(fixture, "b", &found), WEIR_OK);
    assert_true(found.blob.length == sizeof large && found.expires_utc_us == 2000);
    check(fixture, fixture->ops->content_reseal(fixture->engine, 99, WEIR_SPAN("x"), &fixture->error), WEIR_ENOTFOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ON(0, test_what_was_put_is_there),
        ON(0, test_all_or_none),
        ON(0, test_the_oldest_go_first),
        ON(0, test_they_are_gone_through_and_sealed_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
