/* Forms as families read them, and the table of endpoints. */
#include "sim/dialect.h"
#include "sim/form.h"
#include "sim/task.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <yyjson.h>

#define PART(head, content) "--b\r\nContent-Disposition: form-data; " head "\r\n\r\n" content "\r\n"

static enum weir_status read_form(struct weir_arena *arena, const char *body, struct sim_form *form, yyjson_val **root,
                                  struct sim_refusal *refusal) {
    *refusal = (struct sim_refusal){.status = 0};
    return sim__form_read(form, arena, WEIR_SPAN("multipart/form-data; boundary=b"), weir_span_of_string(body), root,
                          refusal);
}

static void test_object_and_files(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, 1 << 20);
    struct sim_form form;
    struct sim_refusal refusal;
    yyjson_val *root = NULL;
    assert_int_equal(read_form(arena,
                               PART("name=\"file\"; filename=\"a.bin\"", "\x01\r\n--\x02")
                                   PART("name=\"model\"", "m\"x") PART("name=\"n\"", "2")
                                       PART("name=\"stream\"", "true") PART("name=\"user\"", "3")
                                           PART("name=\"temperature\"", "warm") PART("name=\"g[]\"", "a")
                                               PART("name=\"image[]\"; filename=\"b\"", "")
                                                   PART("name=\"g[]\"", "b") "--b--\r\n",
                               &form, &root, &refusal),
                     WEIR_OK);
    assert_int_equal(form.count, 9);
    const struct sim_part *file = sim__form_find(&form, "file");
    assert_non_null(file);
    assert_true(weir_span_equal(file->content, weir_span_of_string("\x01\r\n--\x02")));
    assert_true(weir_span_equal(file->file_name, WEIR_SPAN("a.bin")));
    assert_int_equal(sim__form_count(&form, "image"), 1);
    assert_null(sim__form_find(&form, "mask"));
    assert_int_equal(yyjson_obj_size(root), 6);
    assert_true(sim__input_is(yyjson_obj_get(root, "model"), "m\"x"));
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "n")), 2);
    assert_true(yyjson_is_true(yyjson_obj_get(root, "stream")));
    assert_true(sim__input_is(yyjson_obj_get(root, "user"), "3"));
    assert_true(sim__input_is(yyjson_obj_get(root, "temperature"), "warm"));
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "g")), 2);
    assert_true(sim__input_is(yyjson_arr_get(yyjson_obj_get(root, "g"), 1), "b"));
    weir_arena_free(&arena);
}

static void test_bad_forms(void **state) {
    (void)state;
    static const char *const bodies[] = {"", "--b\r\n", PART("name=\"a\"", "1"), "--c--\r\n",
                                         "--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct weir_arena *arena = weir_arena_new(0, 1 << 20);
        struct sim_form form;
        struct sim_refusal refusal;
        yyjson_val *root = NULL;
        assert_int_equal(read_form(arena, bodies[i], &form, &root, &refusal), WEIR_EINVAL);
        assert_int_equal(refusal.status, 400);
        assert_int_equal(sim__form_read(&form, arena, WEIR_SPAN("application/json"), WEIR_SPAN("{}"), &root, &refusal),
                         WEIR_EINVAL);
        weir_arena_free(&arena);
    }
}

static const char *path_found(const char *method, const char *path, const char *id) {
    struct weir_span found;
    const struct sim_endpoint *row = sim__dialect_endpoint(&sim__openai, weir_span_of_string(method),
                                                           weir_span_of_string(path), &found);
    if (row != NULL) {
        assert_true(weir_span_equal(found, weir_span_of_string(id)));
    }
    return row != NULL ? row->path : NULL;
}

static void test_endpoints(void **state) {
    (void)state;
    assert_string_equal(path_found("POST", "/v1/chat/completions", ""), "/chat/completions");
    assert_string_equal(path_found("POST", "/chat/completions", ""), "/chat/completions");
    assert_string_equal(path_found("GET", "/v1/responses/resp_1", "resp_1"), "/responses/{id}");
    assert_string_equal(path_found("POST", "/v1/responses/input_tokens", ""), "/responses/input_tokens");
    assert_string_equal(path_found("GET", "/v1/responses/input_tokens/input_items", "input_tokens"),
                        "/responses/{id}/input_items");
    assert_string_equal(path_found("POST", "/v2/rerank", ""), "/v2/rerank");
    assert_null(path_found("GET", "/v1/responses", ""));
    assert_null(path_found("GET", "/v1/responses/", ""));
    assert_null(path_found("GET", "/v1/files/a/content/b", ""));
    assert_null(path_found("PATCH", "/v1/files/a", ""));
    assert_null(path_found("GET", "", ""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_object_and_files),
        cmocka_unit_test(test_bad_forms),
        cmocka_unit_test(test_endpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
