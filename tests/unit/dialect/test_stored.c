/* What providers keep: the ids that an answer gives out, and lists without what belongs to others. */
#include "formats_test.h"

static void ids_are_found_at_the_top_alone(void **state) {
    (void)state;
    static const struct {
        const char *body;
        size_t count;
        const char *ids[3];
    } rows[] = {
        {"{\"id\":\"file-1\"}", 1, {"file-1"}},
        {"{\"id\":\"b\",\"output_file_id\":\"o\",\"error_file_id\":\"e\"}", 3, {"b", "o", "e"}},
        {"{\"id\":\"b\",\"output_file_id\":null,\"error_file_id\":\"e\"}", 2, {"b", "e"}},
        {"{\"id\":\"\",\"data\":{\"id\":\"x\"}}", 0, {NULL}},
        {"{\"id\":7}", 0, {NULL}},
        {"{\"id\":\"a\\u0062\"}", 0, {NULL}}, /* no provider writes its ids so */
        {"{\"id\":\"a\",\"id\":\"b\"}", 0, {NULL}},
        {"[{\"id\":\"a\"}]", 0, {NULL}},
        {"not json", 0, {NULL}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_span ids[3];
        size_t count = weir_dialect_issued_ids(weir_span_of_string(rows[i].body), ids, 3);
        assert_int_equal(count, rows[i].count);
        for (size_t k = 0; k < count; k++)
            assert_text(ids[k], rows[i].ids[k]);
    }
    struct weir_span one[1];
    assert_int_equal(weir_dialect_issued_ids(WEIR_SPAN("{\"error_file_id\":\"e\",\"id\":\"b\"}"), one, 1), 1);
    assert_text(one[0], "b");
}

/* `keep` has a letter an item: k is kept. */
static void assert_list(const char *body, const char *keep, const char *expected) {
    struct weir_list_item *items;
    size_t count;
    bool has_more;
    bool kept[16] = {false};
    struct weir_buffer out;
    assert_int_equal(weir_dialect_list_items(arena, weir_span_of_string(body), &items, &count, &has_more), WEIR_OK);
    assert_int_equal(count, strlen(keep));
    for (size_t i = 0; i < count; i++)
        kept[i] = keep[i] == 'k';
    weir_buffer_init(&out, WEIR_MIB);
    assert_int_equal(weir_dialect_write_list(weir_span_of_string(body), items, kept, count, &out), WEIR_OK);
    assert_text(weir_buffer_span(&out), expected);
    weir_buffer_release(&out);
}

static void lists_lose_what_is_not_kept(void **state) {
    (void)state;
    static const char list[] =
        "{ \"object\" : \"list\", \"data\":[ {\"id\":\"a\",\"x\":1.0e0} , {\"id\":\"b\",\"y\":[\"]\"]},{\"id\":\"c\"}],"
        "\"first_id\": \"a\",\"has_more\":true, \"last_id\":\"c\" }\n";
    assert_list(
        list, "kkk",
        "{ \"object\" : \"list\", \"data\":[{\"id\":\"a\",\"x\":1.0e0},{\"id\":\"b\",\"y\":[\"]\"]},{\"id\":\"c\"}],"
        "\"first_id\": \"a\",\"has_more\":true, \"last_id\":\"c\" }\n");
    assert_list(list, ".k.",
                "{ \"object\" : \"list\", \"data\":[{\"id\":\"b\",\"y\":[\"]\"]}],"
                "\"first_id\": \"b\",\"has_more\":true, \"last_id\":\"b\" }\n");
    assert_list(list, "k..",
                "{ \"object\" : \"list\", \"data\":[{\"id\":\"a\",\"x\":1.0e0}],"
                "\"first_id\": \"a\",\"has_more\":true, \"last_id\":\"a\" }\n");
    assert_list(list, "...",
                "{ \"object\" : \"list\", \"data\":[],\"first_id\": null,\"has_more\":true, \"last_id\":null }\n");
    assert_list("{\"data\":[],\"first_id\":null,\"last_id\":null}", "",
                "{\"data\":[],\"first_id\":null,\"last_id\":null}");
    assert_list("{\"last_id\":\"b\",\"data\":[{\"id\":\"a\"},{\"id\":\"b\"}]}", "k.",
                "{\"last_id\":\"a\",\"data\":[{\"id\":\"a\"}]}");
}

/* Items without an id belong to nobody; a caller that keeps one all the same gets a list that says null at its ends. */
static void items_may_have_no_id(void **state) {
    (void)state;
    static const char list[] =
        "{\"data\":[7,{\"id\":8},{\"id\":\"\"},{\"id\":\"a\\u0062\"},{\"id\":\"x\",\"id\":\"y\"},null],"
        "\"first_id\":\"x\",\"last_id\":\"y\"}";
    struct weir_list_item *items;
    size_t count;
    bool has_more;
    assert_int_equal(weir_dialect_list_items(arena, weir_span_of_string(list), &items, &count, &has_more), WEIR_OK);
    assert_int_equal(count, 6);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(items[i].id.length, 0);
    assert_text(items[0].text, "7");
    assert_list(list, "k.....", "{\"data\":[7],\"first_id\":null,\"last_id\":null}");
    assert_list(list, "..k...", "{\"data\":[{\"id\":\"\"}],\"first_id\":null,\"last_id\":null}");
}

static void another_page_is_told(void **state) {
    (void)state;
    static const struct {
        const char *body;
        bool has_more;
    } rows[] = {{"{\"data\":[],\"has_more\":true}", true},
                {"{\"data\":[],\"has_more\":false}", false},
                {"{\"data\":[],\"has_more\":\"true\"}", false},
                {"{\"data\":[]}", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_list_item *items;
        size_t count;
        bool has_more = !rows[i].has_more;
        assert_int_equal(weir_dialect_list_items(arena, weir_span_of_string(rows[i].body), &items, &count, &has_more),
                         WEIR_OK);
        assert_int_equal(has_more, rows[i].has_more);
    }
}

static void what_is_no_list_is_refused(void **state) {
    (void)state;
    static const char *const bodies[] = {"",
                                         "[]",
                                         "{}",
                                         "{\"data\":{}}",
                                         "{\"data\":null}",
                                         "{\"data\":[],\"data\":[]}",
                                         "{\"data\":[}",
                                         "{\"data\":[],\"first_id\":\"a\",\"first_id\":\"b\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct weir_list_item *items;
        size_t count;
        bool has_more;
        struct weir_buffer out;
        assert_int_equal(weir_dialect_list_items(arena, weir_span_of_string(bodies[i]), &items, &count, &has_more),
                         WEIR_EINVAL);
        weir_buffer_init(&out, WEIR_MIB);
        assert_int_equal(weir_dialect_write_list(weir_span_of_string(bodies[i]), NULL, NULL, 0, &out), WEIR_EINVAL);
        weir_buffer_release(&out);
    }
}

static void a_list_past_the_arena_is_refused(void **state) {
    (void)state;
    struct weir_arena *small = weir_arena_new(0, 4096);
    struct weir_buffer body;
    struct weir_list_item *items;
    size_t count;
    bool has_more;
    weir_buffer_init(&body, WEIR_MIB);
    weir_buffer_append(&body, WEIR_SPAN("{\"data\":[0"));
    for (size_t i = 0; i < 1000; i++)
        weir_buffer_append(&body, WEIR_SPAN(",0"));
    weir_buffer_append(&body, WEIR_SPAN("]}"));
    assert_int_equal(weir_dialect_list_items(small, weir_buffer_span(&body), &items, &count, &has_more), WEIR_ENOMEM);
    weir_buffer_release(&body);
    weir_arena_free(&small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_found_at_the_top_alone), cmocka_unit_test(lists_lose_what_is_not_kept),
        cmocka_unit_test(items_may_have_no_id),           cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(another_page_is_told),           cmocka_unit_test(a_list_past_the_arena_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
