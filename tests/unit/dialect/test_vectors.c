/* Embeddings as base64 of little-endian 32-bit floats. The expected texts were made with Python:
 * base64.b64encode(struct.pack("<3f", ...)). */
#include "formats_test.h"

static enum weir_status rewrite(const char *body, bool wants_base64, struct weir_buffer *out) {
    const struct weir_call call = {.wants_base64 = wants_base64};
    weir_buffer_init(out, WEIR_MIB);
    return weir_format_embeddings.rewrite_answer(&call, weir_span_of_string(body), out);
}

static void vectors_are_written_as_python_writes_them(void **state) {
    (void)state;
    static const struct {
        const char *numbers, *base64;
    } rows[] = {
        {"[]", ""},
        {"[0]", "AAAAAA=="},
        {"[-0, -0.0]", "AAAAgAAAAIA="},
        {"[ 1 ,\n-1,\t0.5 ]", "AACAPwAAgL8AAAA/"},
        {"[1e-45,1.4e-45,-1e-46,1.1754942e-38]", "AQAAAAEAAAAAAACA//9/AA=="}, /* below the normal ones */
        {"[3.4028235e38,1e39,-1e400,1e-400]", "//9/fwAAgH8AAID/AAAAAA=="},    /* at and past the ends */
        {"[16777217,123456789,-2147483648]", "AACAS6N560wAAADP"},
        {"[0.1,0.30000001192092896,1E2,1e+2]", "zczMPZqZmT4AAMhCAADIQg=="},
        {"[0.0023064255]", "ZicXOw=="},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[300], expected[300];
        struct weir_buffer out;
        (void)snprintf(body, sizeof body, "{ \"data\" : [ {\"embedding\" : %s , \"index\":0 } ] ,\"z\":1.0}\n",
                       rows[i].numbers);
        (void)snprintf(expected, sizeof expected,
                       "{ \"data\" : [ {\"embedding\" : \"%s\" , \"index\":0 } ] ,\"z\":1.0}\n", rows[i].base64);
        assert_int_equal(rewrite(body, true, &out), WEIR_OK);
        assert_text(weir_buffer_span(&out), expected);
        weir_buffer_release(&out);
    }
}

static void several_vectors_keep_what_stands_between(void **state) {
    (void)state;
    struct weir_buffer out;
    assert_int_equal(
        rewrite("{\"data\":[{\"embedding\":[1]},7,{\"embedding\":\"AACAPw==\"},{\"index\":[9]},{\"embedding\":[0.5],"
                "\"o\":{\"embedding\":[2]}}],\"usage\":{\"prompt_tokens\":1}}",
                true, &out),
        WEIR_OK);
    assert_text(
        weir_buffer_span(&out),
        "{\"data\":[{\"embedding\":\"AACAPw==\"},7,{\"embedding\":\"AACAPw==\"},{\"index\":[9]},{\"embedding\":\"AAAAPw==\","
        "\"o\":{\"embedding\":[2]}}],\"usage\":{\"prompt_tokens\":1}}");
    weir_buffer_release(&out);
}

static void what_is_right_already_or_no_vector_stays(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "{\"data\":[{\"embedding\":\"AACAPw==\"}]}",
        "{\"data\":[{\"embedding\":[1,\"2\"]}]}",
        "{\"data\":[{\"embedding\":[[1]]}]}",
        "{\"data\":[{\"embedding\":[1]},{\"embedding\":[null]}]}",
        "{\"data\":[{\"embedding\":[1.0000000000000000000000000000000000000000000000000000000000000000]}]}",
        "{\"data\":{\"embedding\":[1]}}",
        "{\"embedding\":[1]}",
        "[]",
        "not json",
    };
    struct weir_buffer out;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        assert_int_equal(rewrite(bodies[i], true, &out), WEIR_END);
        weir_buffer_release(&out);
    }
    assert_int_equal(rewrite("{\"data\":[{\"embedding\":[1]}]}", false, &out), WEIR_END);
    weir_buffer_release(&out);
}

/* The answer has been made and billed: where it cannot be written anew it goes out as it came, which clients can read too. */
static void what_is_too_large_to_write_stays(void **state) {
    (void)state;
    struct weir_buffer body, out;
    const struct weir_call call = {.wants_base64 = true};
    weir_buffer_init(&body, 4 * WEIR_MIB);
    weir_buffer_append(&body, WEIR_SPAN("{\"data\":[{\"embedding\":[0"));
    for (size_t i = 0; i < 300000; i++)
        weir_buffer_append(&body, WEIR_SPAN(",0"));
    weir_buffer_append(&body, WEIR_SPAN("]}]}"));
    weir_buffer_init(&out, 64 * WEIR_MIB); /* more numbers than a vector has */
    assert_int_equal(weir_format_embeddings.rewrite_answer(&call, weir_buffer_span(&body), &out), WEIR_END);
    weir_buffer_release(&out);
    weir_buffer_init(&out, 1000); /* no room for what is written */
    assert_int_equal(weir_format_embeddings.rewrite_answer(&call, WEIR_SPAN("{\"data\":[{\"embedding\":[1]}]}"), &out),
                     WEIR_OK);
    weir_buffer_release(&out);
    weir_buffer_init(&out, 20);
    assert_int_equal(weir_format_embeddings.rewrite_answer(&call, WEIR_SPAN("{\"data\":[{\"embedding\":[1]}]}"), &out),
                     WEIR_END);
    weir_buffer_release(&out);
    weir_buffer_release(&body);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_written_as_python_writes_them),
        cmocka_unit_test(several_vectors_keep_what_stands_between),
        cmocka_unit_test(what_is_right_already_or_no_vector_stays),
        cmocka_unit_test(what_is_too_large_to_write_stays),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
