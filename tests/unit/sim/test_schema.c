/* Instances of JSON Schemas: valid JSON of the right shape, deterministic, and always finite. */
#include "sim/schema.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <yyjson.h>

/* Parses the instance that the schema gets; the caller frees the document. */
static yyjson_doc *make(const char *schema, uint64_t seed) {
    yyjson_doc *document = yyjson_read(schema, strlen(schema), 0);
    struct weir_buffer out;
    weir_buffer_init(&out, 1 << 22);
    sim__schema_write(yyjson_doc_get_root(document), seed, &out);
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    yyjson_doc *instance = yyjson_read(out.at, out.length, 0);
    assert_non_null(instance);
    weir_buffer_release(&out);
    yyjson_doc_free(document);
    return instance;
}

static void expect(const char *schema, const char *instance) {
    yyjson_doc *made = make(schema, 5);
    char *text = yyjson_write(made, 0, NULL);
    assert_string_equal(text, instance);
    free(text);
    yyjson_doc_free(made);
}

static void test_literals(void **state) {
    (void)state;
    expect("{\"const\":{\"a\":[1,-2,0.5,\"x\",null,true]}}", "{\"a\":[1,-2,0.5,\"x\",null,true]}");
    expect("{\"type\":\"string\",\"enum\":[\"red\",\"blue\"]}", "\"red\"");
    expect("{\"type\":\"null\"}", "null");
    expect("{\"type\":\"integer\",\"minimum\":500}", "500");
    expect("{\"type\":\"integer\",\"maximum\":-7}", "-7");
    expect("{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":10}", "14");
    expect("{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":2}", "1");
    expect("{\"type\":\"number\",\"minimum\":0.25,\"maximum\":0.75}", "0.25");
    expect("{\"type\":\"string\",\"format\":\"date\"}", "\"2026-01-02\"");
    expect("{\"type\":[\"null\",\"integer\"],\"maximum\":1}", "1");
    expect("{\"type\":\"array\",\"maxItems\":0}", "[]");
    expect("{\"anyOf\":[{\"const\":1},{\"const\":2}]}", "1");
    expect("{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/b\"}},\"$defs\":{\"b\":{\"const\":9}}}",
           "{\"a\":9}");
    expect("{\"prefixItems\":[{\"const\":1},{\"const\":2}],\"type\":\"array\"}", "[1,2]");
    expect("{}", "{}");
    expect("true", "{}");
}

static void test_shapes(void **state) {
    (void)state;
    yyjson_doc *made = make(
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"minLength\":30,\"maxLength\":31},"
        "\"tags\":{\"type\":\"array\",\"minItems\":3,\"items\":{\"type\":\"string\"}},\"on\":{\"type\":\"boolean\"}},"
        "\"required\":[\"name\",\"tags\",\"on\"]}",
        1);
    yyjson_val *root = yyjson_doc_get_root(made);
    size_t length = yyjson_get_len(yyjson_obj_get(root, "name"));
    assert_in_range(length, 30, 31);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "tags")), 3);
    assert_true(yyjson_is_str(yyjson_arr_get(yyjson_obj_get(root, "tags"), 2)));
    assert_true(yyjson_is_bool(yyjson_obj_get(root, "on")));
    yyjson_doc_free(made);
}

static void test_same_seed_same_bytes(void **state) {
    (void)state;
    const char *schema =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"string\"},\"c\":"
        "{\"type\":\"integer\"}}}";
    yyjson_doc *one = make(schema, 11);
    yyjson_doc *two = make(schema, 11);
    yyjson_doc *three = make(schema, 12);
    assert_true(yyjson_equals(yyjson_doc_get_root(one), yyjson_doc_get_root(two)));
    assert_false(yyjson_equals(yyjson_doc_get_root(one), yyjson_doc_get_root(three)));
    yyjson_doc_free(one);
    yyjson_doc_free(two);
    yyjson_doc_free(three);
}

static void test_recursion_ends(void **state) {
    (void)state;
    static const char *const schemas[] = {
        "{\"$ref\":\"#\"}",
        "{\"$ref\":\"nowhere\"}",
        "{\"$ref\":\"#/a/b\"}",
        "{\"type\":\"array\",\"minItems\":2,\"items\":{\"$ref\":\"#\"}}",
        "{\"anyOf\":[{\"$ref\":\"#\"}]}",
        "{\"type\":\"object\",\"properties\":{\"next\":{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}},\"required\":[\"next\"]}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"},\"b\":{\"$ref\":\"#\"},\"c\":{\"$ref\":\"#\"}},\"required\":[\"a\","
        "\"b\",\"c\"]}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"},\"b\":{\"$ref\":\"#\"}}}",
        "{\"type\":\"array\",\"minItems\":99999,\"items\":{\"type\":\"array\",\"minItems\":99999,\"items\":{\"type\":\"string\","
        "\"minLength\":99999}}}",
        "{\"type\":7,\"properties\":[],\"enum\":{},\"items\":3}",
        "{\"type\":\"integer\",\"minimum\":1e300,\"maximum\":-1e300,\"multipleOf\":9000000000000000000}",
        "[]",
        "\"x\"",
    };
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        yyjson_doc_free(make(schemas[i], i));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_recursion_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
