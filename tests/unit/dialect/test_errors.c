/* Errors as each vendor's clients know them: what is written, and what is put into a provider's own. */
#include "formats_test.h"

static const struct weir_error_answer limited = {.reason = WEIR_REASON_RATE_LIMITED,
                                                 .brand_upper = {.at = "WEIR", .length = 4},
                                                 .request_id = {.at = "r-1", .length = 3},
                                                 .detail = {.at = "say \"please\"", .length = 12},
                                                 .field = "model",
                                                 .retry_after_seconds = 3};

static void each_dialect_has_its_row(void **state) {
    (void)state;
    for (int kind = 0; kind < WEIR_DIALECT_COUNT; kind++) {
        const struct weir_dialect *dialect = weir_dialect_of((enum weir_dialect_kind)kind);
        assert_int_equal(dialect->kind, kind);
        assert_string_equal(dialect->name, weir_dialect_kind_name((enum weir_dialect_kind)kind));
    }
}

static void written(enum weir_dialect_kind kind, const struct weir_error_answer *error, const char *expected) {
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    weir_dialect_of(kind)->write_error(&out, error);
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    assert_text(weir_buffer_span(&out), expected);
    weir_buffer_release(&out);
}

#define DETAILS "\"details\":{\"reason\":\"rate_limited\",\"field\":\"model\"}"
#define IDS "\"error_code\":\"WEIR_RATE_LIMITED\",\"request_id\":\"r-1\""
#define TEXT "\"too many requests: say \\\"please\\\"\""

static void errors_have_the_vendors_shape(void **state) {
    (void)state;
    written(WEIR_DIALECT_ANTHROPIC, &limited,
            "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":" TEXT "," IDS "," DETAILS
            "}," IDS "," DETAILS "}");
    written(
        WEIR_DIALECT_GEMINI, &limited,
        "{\"error\":{\"code\":429,\"message\":" TEXT ",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":["
        "{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"WEIR_RATE_LIMITED\",\"domain\":\"weir\","
        "\"metadata\":{\"reason\":\"rate_limited\",\"request_id\":\"r-1\",\"field\":\"model\"}},"
        "{\"@type\":\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"model\","
        "\"description\":" TEXT "}]},"
        "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"3s\"}]," IDS "}," IDS "," DETAILS
        "}");
    written(WEIR_DIALECT_OLLAMA, &limited, "{\"error\":" TEXT "," IDS "," DETAILS "}");
    written(WEIR_DIALECT_RESPONSES, &limited,
            "{\"error\":{\"message\":" TEXT
            ",\"type\":\"rate_limit_error\",\"param\":\"model\",\"code\":\"rate_limited\"," IDS "," DETAILS "}," IDS
            "," DETAILS "}");
}

/* The vendors' words, by the status of a reason. */
static void types_follow_the_status(void **state) {
    (void)state;
    static const struct {
        enum weir_reason reason;
        const char *anthropic, *gemini;
    } rows[] = {{WEIR_REASON_FIELD_INVALID, "invalid_request_error", "INVALID_ARGUMENT"},
                {WEIR_REASON_KEY_MISSING, "authentication_error", "UNAUTHENTICATED"},
                {WEIR_REASON_KEY_MODEL_NOT_ALLOWED, "permission_error", "PERMISSION_DENIED"},
                {WEIR_REASON_MODEL_NOT_FOUND, "not_found_error", "NOT_FOUND"},
                {WEIR_REASON_METHOD_NOT_ALLOWED, "invalid_request_error", "INVALID_ARGUMENT"},
                {WEIR_REASON_STATE_CONFLICT, "invalid_request_error", "ABORTED"},
                {WEIR_REASON_BODY_TOO_LARGE, "request_too_large", "INVALID_ARGUMENT"},
                {WEIR_REASON_CU_LIMIT_EXCEEDED, "rate_limit_error", "RESOURCE_EXHAUSTED"},
                {WEIR_REASON_INTERNAL, "api_error", "INTERNAL"},
                {WEIR_REASON_UPSTREAM_ERROR, "api_error", "UNAVAILABLE"},
                {WEIR_REASON_OVERLOADED, "overloaded_error", "UNAVAILABLE"},
                {WEIR_REASON_REQUEST_DEADLINE, "timeout_error", "DEADLINE_EXCEEDED"}};
    static const struct weir_json_want wants[] = {{"error.type"}, {"error.status"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct weir_error_answer error = {.reason = rows[i].reason,
                                                .brand_upper = WEIR_SPAN("WEIR"),
                                                .request_id = WEIR_SPAN("r")};
        for (int gemini = 0; gemini < 2; gemini++) {
            struct weir_json_found found[2];
            struct weir_span word = WEIR_SPAN("");
            struct weir_buffer out;
            weir_buffer_init(&out, WEIR_MIB);
            weir_dialect_of(gemini != 0 ? WEIR_DIALECT_GEMINI : WEIR_DIALECT_ANTHROPIC)->write_error(&out, &error);
            assert_int_equal(weir_json_scan(weir_buffer_span(&out), wants, 2, found, NULL, NULL), WEIR_OK);
            assert_true(weir_json_plain_string(found[gemini].value, &word));
            assert_text(word, gemini != 0 ? rows[i].gemini : rows[i].anthropic);
            weir_buffer_release(&out);
        }
    }
}

/* NULL: it is no error of this dialect. */
static void edited(enum weir_dialect_kind kind, const char *body, const char *expected) {
    struct weir_json_splice splice = {.count = 0};
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    enum weir_status status = weir_dialect_of(kind)->edit_error(arena, weir_span_of_string(body), &limited, &splice);
    assert_int_equal(status, expected == NULL ? WEIR_EINVAL : WEIR_OK);
    if (expected != NULL) {
        weir_json_splice_write(&splice, weir_span_of_string(body), &out);
        assert_text(weir_buffer_span(&out), expected);
    }
    weir_buffer_release(&out);
}

static void a_providers_error_keeps_its_words(void **state) {
    (void)state;
    edited(WEIR_DIALECT_ANTHROPIC, "{\"type\":\"error\",\"error\":{\"type\":\"x\"},\"request_id\":\"req_1\"}",
           "{\"type\":\"error\",\"error\":{\"type\":\"x\"," IDS
           "},\"request_id\":\"req_1\",\"error_code\":\"WEIR_RATE_LIMITED\"}");
    edited(WEIR_DIALECT_ANTHROPIC, "{\"error\":{\"type\":\"x\"}}", "{\"error\":{\"type\":\"x\"," IDS "}," IDS "}");
    edited(WEIR_DIALECT_ANTHROPIC, "{\"error\":\"x\"}", NULL);
    edited(WEIR_DIALECT_GEMINI, "{\"error\":{\"code\":429}}", "{\"error\":{\"code\":429," IDS "}," IDS "}");
    edited(WEIR_DIALECT_GEMINI, "[{\"error\":{\"code\":429}}]", NULL);
    edited(WEIR_DIALECT_OLLAMA, "{\"error\":\"x\"}", "{\"error\":\"x\"," IDS "}");
    edited(WEIR_DIALECT_OLLAMA, "{\"error\":\"x\",\"error_code\":\"y\"}", "{\"error\":\"x\",\"error_code\":\"y\"}");
    edited(WEIR_DIALECT_OLLAMA, "{\"error\":{}}", NULL);
    edited(WEIR_DIALECT_OLLAMA, "nothing", NULL);
}

static void googles_lists_and_names(void **state) {
    (void)state;
    struct weir_span names[4], token;
    const char *parameter = NULL;
    assert_int_equal(weir_dialect_issued_names(WEIR_SPAN("{\"file\":{\"name\":\"files/a\"}}"), names, 4), 1);
    assert_text(names[0], "files/a");
    assert_int_equal(weir_dialect_issued_names(
                         WEIR_SPAN("{\"name\":\"batches/b\",\"response\":{\"responsesFile\":\"files/r\"}}"), names, 4),
                     2);
    assert_text(names[1], "files/r");
    assert_true(weir_dialect_list_next(WEIR_SPAN("{\"nextPageToken\":\"t\"}"), &parameter, &token));
    assert_string_equal(parameter, "pageToken");
    assert_text(token, "t");
    assert_true(weir_dialect_list_next(WEIR_SPAN("{\"next_page\":\"p\",\"data\":[]}"), &parameter, &token));
    assert_string_equal(parameter, "page");
    assert_false(weir_dialect_list_next(WEIR_SPAN("{\"next_page\":null}"), &parameter, &token));
    assert_false(weir_dialect_list_next(WEIR_SPAN("{\"nextPageToken\":\"\"}"), &parameter, &token));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_dialect_has_its_row), cmocka_unit_test(errors_have_the_vendors_shape),
        cmocka_unit_test(types_follow_the_status),  cmocka_unit_test(a_providers_error_keeps_its_words),
        cmocka_unit_test(googles_lists_and_names),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
