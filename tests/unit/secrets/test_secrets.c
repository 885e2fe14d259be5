/* References to secrets: where the bytes come from, and what the messages never say. */
#include "secrets/secrets.h"

#include "base/limits.h"

#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const char variable[] = "WEIR_TEST_SECRET";

struct folder {
    char path[64];
    char file[96];       /* <path>/secret */
    char reference[128]; /* file:<path>/secret */
};

static int folder_make(void **state) {
    struct folder *folder = calloc(1, sizeof(*folder));
    snprintf(folder->path, sizeof(folder->path), "/tmp/weir-secrets-XXXXXX");
    if (mkdtemp(folder->path) == NULL) {
        return -1;
    }
    snprintf(folder->file, sizeof(folder->file), "%s/secret", folder->path);
    snprintf(folder->reference, sizeof(folder->reference), "file:%s", folder->file);
    *state = folder;
    return 0;
}

static int folder_remove(void **state) {
    struct folder *folder = *state;
    unlink(folder->file);
    rmdir(folder->path);
    free(folder);
    unsetenv(variable);
    return 0;
}

static void write_file(const struct folder *folder, struct weir_span content, mode_t mode) {
    unlink(folder->file);
    FILE *file = fopen(folder->file, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content.at, 1, content.length, file), content.length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(folder->file, mode), 0);
}

static void assert_fetched(const char *reference, const char *expected, bool warned) {
    struct weir_secret *secret = NULL;
    struct weir_error error;
    assert_int_equal(weir_secrets_fetch_now(weir_span_of_string(reference), &secret, &error), WEIR_OK);
    assert_true(weir_span_equal(weir_secret_reveal(secret), weir_span_of_string(expected)));
    assert_int_equal(error.status, WEIR_OK);
    assert_int_equal(strlen(error.text) > 0, warned);
    assert_null(strstr(error.text, expected));
    weir_secret_free(&secret);
}

static void assert_refused(struct weir_span reference, enum weir_status status) {
    struct weir_secret *secret = NULL;
    struct weir_error error;
    assert_int_equal(weir_secrets_fetch_now(reference, &secret, &error), status);
    assert_null(secret);
    assert_int_equal(error.status, status);
    assert_true(strlen(error.text) > 0);
    assert_int_equal(weir_secrets_fetch_now(reference, &secret, NULL), status);
}

static void descriptions_hold_no_secret(void **state) {
    (void)state;
    assert_true(weir_span_equal(weir_secrets_describe(WEIR_SPAN("env:KEY")), WEIR_SPAN("env:KEY")));
    assert_true(weir_span_equal(weir_secrets_describe(WEIR_SPAN("file:/a/b")), WEIR_SPAN("file:/a/b")));
    assert_true(weir_span_equal(weir_secrets_describe(WEIR_SPAN("sk-123")), WEIR_SPAN("literal")));
    assert_true(weir_span_equal(weir_secrets_describe(WEIR_SPAN("ENV:KEY")), WEIR_SPAN("literal")));
    assert_true(weir_span_equal(weir_secrets_describe(WEIR_SPAN("")), WEIR_SPAN("literal")));
}

static void from_the_environment(void **state) {
    (void)state;
    setenv(variable, "sk-env ", 1);
    assert_fetched("env:WEIR_TEST_SECRET", "sk-env ", false);
    setenv(variable, "", 1);
    assert_refused(WEIR_SPAN("env:WEIR_TEST_SECRET"), WEIR_ENOTFOUND);
    unsetenv(variable);
    assert_refused(WEIR_SPAN("env:WEIR_TEST_SECRET"), WEIR_ENOTFOUND);
    assert_refused(WEIR_SPAN("env:"), WEIR_EINVAL);
    assert_refused(WEIR_SPAN("env:A\0B"), WEIR_EINVAL);
}

static void from_a_literal(void **state) {
    (void)state;
    assert_fetched("sk-literal", "sk-literal", false);
    assert_refused(WEIR_SPAN(""), WEIR_EINVAL);
}

static void from_a_file(void **state) {
    const struct folder *folder = *state;
    write_file(folder, WEIR_SPAN("sk-file\n"), 0600);
    assert_fetched(folder->reference, "sk-file", false);
    write_file(folder, WEIR_SPAN("sk-file\r\n"), 0640);
    assert_fetched(folder->reference, "sk-file", false);
    write_file(folder, WEIR_SPAN("two\nlines\n\n"), 0600);
    assert_fetched(folder->reference, "two\nlines\n", false);
    write_file(folder, WEIR_SPAN("sk-file"), 0644);
    assert_fetched(folder->reference, "sk-file", true);
    struct weir_secret *secret = NULL;
    assert_int_equal(weir_secrets_fetch_now(weir_span_of_string(folder->reference), &secret, NULL), WEIR_OK);
    weir_secret_free(&secret);
}

static void files_that_hold_none(void **state) {
    const struct folder *folder = *state;
    struct weir_span reference = weir_span_of_string(folder->reference);
    unlink(folder->file);
    assert_refused(reference, WEIR_ENOTFOUND);
    write_file(folder, WEIR_SPAN(""), 0600);
    assert_refused(reference, WEIR_EINVAL);
    write_file(folder, WEIR_SPAN("\n"), 0600);
    assert_refused(reference, WEIR_EINVAL);
    char below[160];
    snprintf(below, sizeof(below), "%s/deeper", folder->reference);
    assert_refused(weir_span_of_string(below), WEIR_ENOTFOUND);
    snprintf(below, sizeof(below), "file:%s", folder->path);
    assert_refused(weir_span_of_string(below), WEIR_EINVAL);
    assert_refused(WEIR_SPAN("file:"), WEIR_EINVAL);
    assert_refused(WEIR_SPAN("file:/tmp\0/x"), WEIR_EINVAL);
    /* Nobody writes to it: waiting for it would stop the program. */
    unlink(folder->file);
    assert_int_equal(mkfifo(folder->file, 0600), 0);
    assert_refused(reference, WEIR_EINVAL);
    if (geteuid() != 0) {
        write_file(folder, WEIR_SPAN("sk-file"), 0000);
        assert_refused(reference, WEIR_EDENIED);
    }
}

static void the_largest_file(void **state) {
    const struct folder *folder = *state;
    struct weir_span reference = weir_span_of_string(folder->reference);
    char *bytes = malloc(WEIR_MAX_SECRET_BYTES + 1);
    memset(bytes, 'k', WEIR_MAX_SECRET_BYTES + 1);
    write_file(folder, weir_span_of(bytes, WEIR_MAX_SECRET_BYTES), 0600);
    struct weir_secret *secret = NULL;
    assert_int_equal(weir_secrets_fetch_now(reference, &secret, NULL), WEIR_OK);
    assert_int_equal(weir_secret_reveal(secret).length, WEIR_MAX_SECRET_BYTES);
    weir_secret_free(&secret);
    write_file(folder, weir_span_of(bytes, WEIR_MAX_SECRET_BYTES + 1), 0600);
    assert_refused(reference, WEIR_ELIMIT);
    free(bytes);
}

struct answer {
    unsigned calls;
    enum weir_status status;
    struct weir_secret *secret;
    char text[400];
};

static void on_done(void *context, enum weir_status status, struct weir_secret *secret,
                    const struct weir_error *error) {
    struct answer *answer = context;
    answer->calls++;
    answer->status = status;
    answer->secret = secret;
    snprintf(answer->text, sizeof(answer->text), "%s", error->text);
}

static void done_is_called_once(void **state) {
    (void)state;
    setenv(variable, "sk-env", 1);
    struct answer answer = {0};
    weir_secrets_fetch(WEIR_SPAN("env:WEIR_TEST_SECRET"), on_done, &answer);
    assert_int_equal(answer.calls, 1);
    assert_int_equal(answer.status, WEIR_OK);
    assert_string_equal(answer.text, "");
    assert_true(weir_span_equal(weir_secret_reveal(answer.secret), WEIR_SPAN("sk-env")));
    weir_secret_free(&answer.secret);
    unsetenv(variable);
    weir_secrets_fetch(WEIR_SPAN("env:WEIR_TEST_SECRET"), on_done, &answer);
    assert_int_equal(answer.calls, 2);
    assert_int_equal(answer.status, WEIR_ENOTFOUND);
    assert_null(answer.secret);
    assert_non_null(strstr(answer.text, "WEIR_TEST_SECRET"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptions_hold_no_secret),
        cmocka_unit_test(from_the_environment),
        cmocka_unit_test(from_a_literal),
        cmocka_unit_test(from_a_file),
        cmocka_unit_test(files_that_hold_none),
        cmocka_unit_test(the_largest_file),
        cmocka_unit_test(done_is_called_once),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
