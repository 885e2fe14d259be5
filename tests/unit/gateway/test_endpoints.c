/* Which row a path is of, and what stands for its variable part. */
#include "gateway/impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void check(const char *method, const char *path, const char *name, const char *variable, size_t version) {
    struct weir_span found;
    const char *allow = NULL;
    const struct gateway__endpoint *endpoint = gateway__endpoint_find(weir_span_of_string(method),
                                                                      weir_span_of_string(path), &found, &allow);
    if (name == NULL) {
        if (endpoint != NULL)
            fail_msg("%s %s is %s", method, path, endpoint->name);
        return;
    }
    if (endpoint == NULL)
        fail_msg("%s %s is nothing", method, path);
    assert_string_equal(endpoint->name, name);
    if (variable != NULL && !weir_span_equal(found, weir_span_of_string(variable)))
        fail_msg("%s %s: the variable part is '%.*s'", method, path, WEIR_SPAN_PRINT(found));
    const struct weir_request request = {.endpoint = endpoint};
    if (version > 0)
        assert_int_equal(gateway__version_end(&request), version);
}

static void test_paths(void **state) {
    (void)state;
    check("POST", "/v1/chat/completions", "chat.completions", "", 3);
    check("POST", "/v1/chat/completion", NULL, NULL, 0);
    check("POST", "/v1/chat/completions/", NULL, NULL, 0);
    check("POST", "/v1/messages", "messages", "", 3);
    check("POST", "/v1/messages/", NULL, NULL, 0);
    check("POST", "/v1/messages/count_tokens", "messages.count_tokens", "", 3);
    check("POST", "/v1/anthropic/v1/messages", "messages", "", 16);
    check("GET", "/v1/models", "models", "", 3);
    check("GET", "/v1/models/", NULL, NULL, 0);
    check("GET", "/v1/models/a/b%2Fc:d", "model", "a/b%2Fc:d", 3);
    check("GET", "/v1beta/models/x", "model", "x", 7);
    check("GET", "/v1/google/v1/models/x", "model", "x", 13);
    check("POST", "/v1/google/v1beta/models/a/b:c:batchGenerateContent", "gemini.batches", "a/b:c", 17);
    check("POST", "/v1/google/v1beta/models/:batchGenerateContent", NULL, NULL, 0);
    check("POST", "/v1/google/v1beta/models/x:batchGenerateContents", NULL, NULL, 0);
    check("GET", "/v1/google/v1beta/files/abc-1", "gemini.files.get", "abc-1", 17);
    check("GET", "/v1/google/v1beta/files/abc-1:download", "gemini.files.content", "abc-1", 17);
    check("GET", "/v1/google/v1beta/files/a/b", NULL, NULL, 0);
    check("GET", "/v1/google/v1beta/files/..", NULL, NULL, 0);
    check("POST", "/v1/google/v1beta/batches/b:cancel", "gemini.batches.cancel", "b", 17);
    check("PATCH", "/v1/google/v1/cachedContents/x", "gemini.caches.update", "x", 13);
    check("POST", "/v1/google/upload/v1beta/files", "gemini.files", "", 24);
    check("POST", "/v1/google/upload/v1/files", "gemini.files", "", 20);
    check("POST", "/v1/responses/input_tokens", "responses.input_tokens", NULL, 3);
    check("GET", "/v1/responses/resp_1", "responses.get", "resp_1", 3);
    check("GET", "/v1/files/file-1/content", "files.content", "file-1", 3);
    check("HEAD", "/api/tags", "models", "", 0);
    check("HEAD", "/v1/files/file-1", NULL, NULL, 0);
}

static void test_territories(void **state) {
    (void)state;
    static const struct {
        const char *path;
        enum weir_dialect_kind dialect;
    } rows[] = {{"/v1beta/x", WEIR_DIALECT_GEMINI},         {"/api/x", WEIR_DIALECT_OLLAMA},
                {"/v1/messages/x", WEIR_DIALECT_ANTHROPIC}, {"/v1/anthropic/x", WEIR_DIALECT_ANTHROPIC},
                {"/v1/google/x", WEIR_DIALECT_GEMINI},      {"/v1/responses/x/y", WEIR_DIALECT_RESPONSES},
                {"/v1/chat", WEIR_DIALECT_OPENAI},          {"/", WEIR_DIALECT_OPENAI},
                {"/v1/anthropic", WEIR_DIALECT_OPENAI}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (gateway__dialect_of_path(weir_span_of_string(rows[i].path)) != rows[i].dialect)
            fail_msg("%s", rows[i].path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_territories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
