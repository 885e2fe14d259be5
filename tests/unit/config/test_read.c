/* Reading settings: every kind, where values come from, and the exact words about everything that can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sample.h"

#include <unistd.h>

static void defaults_without_a_file(void **state) {
    (void)state;
    struct sample sample;
    sample_open(&sample);
    assert_int_equal(sample_read(&sample, "", NULL), WEIR_OK);
    assert_string_equal(sample.problems.at, "");
    assert_int_equal(sample.top.environment, 0);
    assert_int_equal(sample.top.models.count, 0);
    assert_int_equal(sample.top.untouched, 42);
    assert_int_equal(sample.limits.max_request_bytes, 1 << 20);
    assert_int_equal(sample.limits.workers, 4);
    assert_int_equal(sample.limits.idle_ms, 30000);
    assert_int_equal(sample.limits.grace_ms, 0);
    assert_false(sample.limits.strict);
    assert_string_equal(sample.limits.greeting.at, "hello");
    assert_int_equal(sample.limits.admin_token.length, 0);
    assert_int_equal(sample.limits.origins.count, 0);
    sample_close(&sample);
}

static void every_kind_from_the_file(void **state) {
    (void)state;
    struct sample sample;
    sample_open(&sample);
    const char *text = "# all of it\n"
                       "environment: production\n"
                       "limits:\n"
                       "  max_request_bytes: 64KiB\n"
                       "  workers: \"8\"\n"
                       "  idle: 45\n"
                       "  grace: 250ms\n"
                       "  strict: On\n"
                       "  greeting: |\n"
                       "    two\n"
                       "    lines\n"
                       "  admin_token: env:TOKEN\n"
                       "  origins: [https://a.example, \"https://b.example\"]\n"
                       "models:\n"
                       "  - name: fast\n"
                       "    api_key: sk-123\n"
                       "    targets:\n"
                       "      - {provider: openai, weight: 3}\n"
                       "      - provider: vllm\n"
                       "  - name: slow\n"
                       "    targets: []\n";
    assert_int_equal(sample_read(&sample, text, NULL), WEIR_OK);
    assert_int_equal(sample.top.environment, 2);
    assert_int_equal(sample.limits.max_request_bytes, 65536);
    assert_int_equal(sample.limits.workers, 8);
    assert_int_equal(sample.limits.idle_ms, 45000);
    assert_int_equal(sample.limits.grace_ms, 250);
    assert_true(sample.limits.strict);
    assert_string_equal(sample.limits.greeting.at, "two\nlines\n");
    assert_string_equal(sample.limits.admin_token.at, "env:TOKEN");
    assert_int_equal(sample.limits.origins.count, 2);
    assert_string_equal(sample.limits.origins.at[1].at, "https://b.example");
    assert_int_equal(sample.top.models.count, 2);
    const struct sample_model *models = sample.top.models.at;
    assert_string_equal(models[0].name.at, "fast");
    assert_string_equal(models[0].api_key.at, "sk-123");
    assert_int_equal(models[0].targets.count, 2);
    const struct sample_target *targets = models[0].targets.at;
    assert_int_equal(targets[0].weight, 3);
    assert_string_equal(targets[1].provider.at, "vllm");
    assert_int_equal(targets[1].weight, 1);
    assert_int_equal(models[1].targets.count, 0);
    assert_string_equal(models[1].api_key.at, "");
    sample_close(&sample);
}

static void numbers_with_units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t idle_ms;
        int64_t bytes;
    } cases[] = {
        {"limits: {idle: 250ms, max_request_bytes: 2048}", 250, 2048},
        {"limits: {idle: 5m, max_request_bytes: 1GiB}", 300000, 1 << 30},
        {"limits: {idle: 1h, max_request_bytes: 2 mib}", 3600000, 2 << 20},
        {"limits: {idle: 1H, max_request_bytes: 1025B}", 3600000, 1025},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sample sample;
        sample_open(&sample);
        assert_int_equal(sample_read(&sample, cases[i].text, NULL), WEIR_OK);
        assert_int_equal(sample.limits.idle_ms, cases[i].idle_ms);
        assert_int_equal(sample.limits.max_request_bytes, cases[i].bytes);
        sample_close(&sample);
    }
    struct sample sample;
    sample_open(&sample);
    assert_int_equal(sample_read(&sample, "limits: {grace: 7d}", NULL), WEIR_OK);
    assert_int_equal(sample.limits.grace_ms, INT64_C(7) * 86400000);
    assert_int_equal(sample_read(&sample, "limits: {grace: 0}", NULL), WEIR_OK);
    assert_int_equal(sample.limits.grace_ms, 0);
    sample_close(&sample);
}

static void environment_stands_between_file_and_default(void **state) {
    (void)state;
    struct sample sample;
    sample_open(&sample);
    const char *environment[] = {"MAX_REQUEST_SIZE_BYTES=4096",
                                 "STRICT=1",
                                 "GREETING=file:/not ${expanded}",
                                 "CORS_ORIGINS=a, b,,c",
                                 "ADMIN_TOKEN=top-secret",
                                 "ENVIRONMENT=",
                                 NULL};
    assert_int_equal(sample_read(&sample, "", environment), WEIR_OK);
    assert_int_equal(sample.limits.max_request_bytes, 4096);
    assert_true(sample.limits.strict);
    assert_string_equal(sample.limits.greeting.at, "file:/not ${expanded}");
    assert_int_equal(sample.limits.origins.count, 3);
    assert_string_equal(sample.limits.origins.at[1].at, "b");
    assert_string_equal(sample.limits.admin_token.at, "env:ADMIN_TOKEN"); /* the bytes stay where they are */
    assert_int_equal(sample.top.environment, 0);                          /* empty is as good as unset */

    assert_int_equal(sample_read(&sample, "limits: {max_request_bytes: 8KiB, strict: ~, greeting: ''}", environment),
                     WEIR_OK);
    assert_int_equal(sample.limits.max_request_bytes, 8192);
    assert_true(sample.limits.strict); /* nothing in the file */
    assert_string_equal(sample.limits.greeting.at, "");
    const char *reference[] = {"ADMIN_TOKEN=file:/run/token", NULL};
    assert_int_equal(sample_read(&sample, "", reference), WEIR_OK);
    assert_string_equal(sample.limits.admin_token.at, "file:/run/token");
    sample_close(&sample);
}

static void variables_inside_texts(void **state) {
    (void)state;
    static const struct {
        const char *written;
        const char *greeting;
    } cases[] = {
        {"${HOST}", "example.org"},
        {"https://${HOST}:${PORT}/", "https://example.org:8443/"},
        {"${NONE:-word}", "word"},
        {"${EMPTY:-word}", "word"},
        {"${EMPTY}", ""},
        {"${NONE:-}", ""},
        {"${HOST:-word}", "example.org"},
        {"$${HOST}", "${HOST}"},
        {"$$${HOST}", "$${HOST}"},
        {"cost: $5", "cost: $5"},
        {"env:HOST", "example.org"},
        {"$$env:HOST", "env:HOST"},
        {"$$$$env:HOST", "$$env:HOST"},
        {"$$file:/x", "file:/x"},
        {"see env:HOST", "see env:HOST"},
        {"${SNEAKY}", "file:/etc/hostname"},
    };
    const char *environment[] = {"HOST=example.org", "PORT=8443", "EMPTY=", "SNEAKY=file:/etc/hostname", NULL};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sample sample;
        sample_open(&sample);
        char text[200];
        snprintf(text, sizeof text, "limits:\n  greeting: '%s'\n", cases[i].written);
        assert_int_equal(sample_read(&sample, text, environment), WEIR_OK);
        assert_string_equal(sample.limits.greeting.at, cases[i].greeting);
        sample_close(&sample);
    }
    struct sample sample;
    sample_open(&sample);
    const char *more[] = {"N=12", "LIST=a,b", "KEY=sk-1", NULL};
    assert_int_equal(sample_read(&sample, "limits: {workers: '${N}', origins: '${LIST}', admin_token: '${KEY}'}", more),
                     WEIR_OK);
    assert_int_equal(sample.limits.workers, 12);
    assert_int_equal(sample.limits.origins.count, 2);
    assert_string_equal(sample.limits.admin_token.at, "env:KEY");
    assert_int_equal(sample_read(&sample, "limits: {admin_token: '${NO:-file:/run/x}'}", more), WEIR_OK);
    assert_string_equal(sample.limits.admin_token.at, "file:/run/x");
    assert_int_equal(sample_read(&sample, "limits: {admin_token: 'file:/run/${N}'}", more), WEIR_OK);
    assert_string_equal(sample.limits.admin_token.at, "file:/run/12");
    sample_close(&sample);
}

static void files_as_texts(void **state) {
    (void)state;
    char path[] = "/tmp/weir-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from a file\r\n", 13), 13);
    close(fd);
    struct sample sample;
    sample_open(&sample);
    char text[200];
    snprintf(text, sizeof text, "limits: {greeting: 'file:%s', origins: ['file:%s', b]}", path, path);
    assert_int_equal(sample_read(&sample, text, NULL), WEIR_OK);
    assert_string_equal(sample.limits.greeting.at, "from a file");
    assert_string_equal(sample.limits.origins.at[0].at, "from a file");
    assert_int_equal(sample_read(&sample, "limits: {greeting: 'file:/dev/zero'}", NULL), WEIR_EINVAL);
    assert_string_equal(sample.problems.at, "weir.yaml:1:20: limits.greeting: /dev/zero: not a file\n");
    unlink(path);
    assert_int_equal(sample_read(&sample, text, NULL), WEIR_EINVAL);
    assert_non_null(strstr(sample.problems.at, "No such file or directory\n"));
    sample_close(&sample);
}

struct wrong {
    const char *text;
    const char *problems;
};

static void check_wrong(const struct wrong *cases, size_t count, const char **environment) {
    for (size_t i = 0; i < count; i++) {
        struct sample sample;
        sample_open(&sample);
        sample.limits.workers = 7;
        enum weir_status status = sample_read(&sample, cases[i].text, environment);
        assert_string_equal(sample.problems.at, cases[i].problems);
        assert_int_equal(status, WEIR_EINVAL);
        assert_int_equal(sample.limits.workers, 7); /* nothing is filled */
        assert_int_equal(sample.top.models.count, 0);
        sample_close(&sample);
    }
}

static void wrong_values(void **state) {
    (void)state;
    static const struct wrong cases[] = {
        {"limits:\n  max_request_bytes: many\n",
         "weir.yaml:2:22: limits.max_request_bytes: expected a size like 1MiB, got 'many'\n"},
        {"limits: {max_request_bytes: 1MB}",
         "weir.yaml:1:29: limits.max_request_bytes: expected a size like 1MiB, got '1MB'\n"},
        {"limits: {max_request_bytes: 2GiB}",
         "weir.yaml:1:29: limits.max_request_bytes: expected a size from 1KiB to 1GiB, got '2GiB'\n"},
        {"limits: {max_request_bytes: 99999999999999TiB}",
         "weir.yaml:1:29: limits.max_request_bytes: expected a size like 1MiB, got '99999999999999TiB'\n"},
        {"limits: {workers: 0}", "weir.yaml:1:19: limits.workers: expected a whole number from 1 to 256, got '0'\n"},
        {"limits: {workers: 1.5}",
         "weir.yaml:1:19: limits.workers: expected a whole number from 1 to 256, got '1.5'\n"},
        {"limits: {workers: -1}", "weir.yaml:1:19: limits.workers: expected a whole number from 1 to 256, got '-1'\n"},
        {"limits: {workers: 99999999999999999999}",
         "weir.yaml:1:19: limits.workers: expected a whole number from 1 to 256, got '99999999999999999999'\n"},
        {"limits: {idle: soon}",
         "weir.yaml:1:16: limits.idle: expected a duration like 250ms, 30s, 5m, 2h or 7d, got 'soon'\n"},
        {"limits: {idle: 2h}", "weir.yaml:1:16: limits.idle: expected a duration from 100ms to 1h, got '2h'\n"},
        {"limits: {grace: 30}",
         "weir.yaml:1:17: limits.grace: expected a duration like 250ms, 30s, 5m, 2h or 7d, got '30'\n"},
        {"limits: {grace: -1s}",
         "weir.yaml:1:17: limits.grace: expected a duration like 250ms, 30s, 5m, 2h or 7d, got '-1s'\n"},
        {"limits: {strict: maybe}", "weir.yaml:1:18: limits.strict: expected true or false, got 'maybe'\n"},
        {"limits: {strict: 1}", "weir.yaml:1:18: limits.strict: expected true or false, got '1'\n"},
        {"environment: prd",
         "weir.yaml:1:14: environment: expected one of dev, stage, prod; got 'prd'; did you mean 'prod'?\n"},
        {"environment: moon", "weir.yaml:1:14: environment: expected one of dev, stage, prod; got 'moon'\n"},
        {"limits: {greeting: [a]}", "weir.yaml:1:20: limits.greeting: expected a single value, got a list\n"},
        {"limits: {greeting: {a: b}}", "weir.yaml:1:20: limits.greeting: expected a single value, got a mapping\n"},
        {"limits: {admin_token: [sk-1]}", "weir.yaml:1:23: limits.admin_token: expected a single value, got a list\n"},
        {"limits: {origins: {a: b}}", "weir.yaml:1:19: limits.origins: expected a list of texts, got a mapping\n"},
        {"limits: {origins: [a, [b], ~]}", "weir.yaml:1:23: limits.origins[1]: expected a text, got a list\n"
                                           "weir.yaml:1:28: limits.origins[2]: expected a text, got nothing\n"},
        {"limits: 5", "weir.yaml:1:9: limits: expected a mapping of settings, got a text\n"},
        {"- a", "weir.yaml:1:1: expected a mapping of settings, got a list\n"},
        {"just words", "weir.yaml:1:1: expected a mapping of settings, got a text\n"},
        {"models: x", "weir.yaml:1:9: models: expected a list of mappings, got a text\n"},
        {"models: [x]", "weir.yaml:1:10: models[0]: expected a mapping of settings, got a text\n"},
        {"limits: {greeting: \"\\0\"}", "weir.yaml:1:20: a text may not hold a NUL byte\n"},
        {"limits: {strict: \"\\e[31m\\n\\x80é\"}",
         "weir.yaml:1:18: limits.strict: expected true or false, got '\\x1b[31m\\n\\xc2\\x80é'\n"},
        {"limits: {strict: 0123456789012345678901234567890123456789012345678901234567890123456789}",
         "weir.yaml:1:18: limits.strict: expected true or false, got "
         "'012345678901234567890123456789012345678901234567890123456789…'\n"},
    };
    check_wrong(cases, sizeof cases / sizeof cases[0], NULL);
}

static void unknown_and_missing_settings(void **state) {
    (void)state;
    static const struct wrong cases[] = {
        {"environment: dev\n\n  # about limits\nlmits: {}\n",
         "weir.yaml:4:1: unknown setting 'lmits'; did you mean 'limits'?\n"},
        {"limits:\n  max_requst_bytes: 1\n",
         "weir.yaml:2:3: unknown setting 'limits.max_requst_bytes'; did you mean 'limits.max_request_bytes'?\n"},
        {"limits:\n  maxRequestBytes: 1\n",
         "weir.yaml:2:3: unknown setting 'limits.maxRequestBytes'; did you mean 'limits.max_request_bytes'?\n"},
        {"max_request_bytes: 1",
         "weir.yaml:1:1: unknown setting 'max_request_bytes'; did you mean 'limits.max_request_bytes'?\n"},
        {"limits: {environment: dev}",
         "weir.yaml:1:10: unknown setting 'limits.environment'; did you mean 'environment'?\n"},
        {"quux: 1", "weir.yaml:1:1: unknown setting 'quux'\n"},
        {"models:\n  - nmae: a\n    targets: []\n",
         "weir.yaml:2:5: unknown setting 'models[0].nmae'; did you mean 'models[0].name'?\n"
         "weir.yaml:2:5: models[0]: 'name' is missing\n"},
        {"models:\n  - name: a\n    targets:\n      - {provider: p}\n      - {weight: 101}\n",
         "weir.yaml:5:18: models[0].targets[1].weight: expected a whole number from 0 to 100, got '101'\n"
         "weir.yaml:5:9: models[0].targets[1]: 'provider' is missing\n"},
        {"models: [{name: ~, targets: []}]", "weir.yaml:1:10: models[0]: 'name' is missing\n"},
    };
    check_wrong(cases, sizeof cases / sizeof cases[0], NULL);
}

static void yaml_that_is_not_taken(void **state) {
    (void)state;
    static const struct wrong cases[] = {
        {"limits:\n\tworkers: 1\n",
         "weir.yaml:2:1: not valid YAML: found character that cannot start any token while scanning for the next token; "
         "indent with spaces, not tabs\n"},
        {"limits: {workers: 1\n",
         "weir.yaml:2:1: not valid YAML: did not find expected ',' or '}' while parsing a flow mapping\n"},
        {"a: b: c\n", "weir.yaml:1:5: not valid YAML: mapping values are not allowed in this context\n"},
        {"limits: \"open\n",
         "weir.yaml:2:1: not valid YAML: found unexpected end of stream while scanning a quoted scalar\n"},
        {"limits:\n  greeting: \xff\n", "weir.yaml:2:13: not valid YAML: invalid leading UTF-8 octet\n"},
        {"limits: &a {workers: 1}\n", "weir.yaml:1:9: anchors are not supported here\n"},
        {"limits: *a\n", "weir.yaml:1:9: aliases are not supported here\n"},
        {"limits: !!map {}\n", "weir.yaml:1:9: tags are not supported here\n"},
        {"limits: {}\n---\nlimits: {}\n", "weir.yaml:2:1: a second document begins; one is allowed\n"},
        {"limits: {}\nenvironment: dev\nlimits: {workers: 2}\n",
         "weir.yaml:3:1: 'limits' stands twice; first at weir.yaml:1:1\n"},
        {"limits:\n  workers: 1\n  workers: 1\n", "weir.yaml:3:3: 'workers' stands twice; first at weir.yaml:2:3\n"},
        {"{[a]: b}\n", "weir.yaml:1:2: a name must be a single word\n"},
        {"limits: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "weir.yaml:1:40: nested more than 32 deep\n"},
    };
    check_wrong(cases, sizeof cases / sizeof cases[0], NULL);
}

static void problems_with_variables(void **state) {
    (void)state;
    static const struct wrong cases[] = {
        {"limits: {greeting: 'x${NONE}'}",
         "weir.yaml:1:20: limits.greeting: the environment variable NONE is not set (${NONE:-word} would give a default)\n"},
        {"limits: {greeting: 'env:NONE'}",
         "weir.yaml:1:20: limits.greeting: the environment variable NONE is not set (${NONE:-word} would give a default)\n"},
        {"limits: {greeting: 'env:'}", "weir.yaml:1:20: limits.greeting: expected env:NAME\n"},
        {"limits: {greeting: \"file:/no/such\\e[31m\\n\"}",
         "weir.yaml:1:20: limits.greeting: /no/such?[31m?: No such file or directory\n"},
        {"limits: {greeting: 'file:'}", "weir.yaml:1:20: limits.greeting: expected file:PATH\n"},
        {"limits: {greeting: 'a${B'}",
         "weir.yaml:1:20: limits.greeting: '${' without its '}'; write $${ for a literal ${\n"},
        {"limits: {greeting: '${B+x}'}",
         "weir.yaml:1:20: limits.greeting: expected ${NAME} or ${NAME:-word}; write $${ for a literal ${\n"},
        {"limits: {greeting: '${}'}",
         "weir.yaml:1:20: limits.greeting: expected ${NAME} or ${NAME:-word}; write $${ for a literal ${\n"},
        {"limits: {workers: '${MANY}'}",
         "weir.yaml:1:19: limits.workers: expected a whole number from 1 to 256, got 'many' from '${MANY}'\n"},
        {"limits: {greeting: '${BYTES}'}",
         "weir.yaml:1:20: limits.greeting: the text is not valid UTF-8 or holds a NUL byte\n"},
        {"limits: {admin_token: '${NONE}'}",
         "weir.yaml:1:23: limits.admin_token: the environment variable NONE is not set (${NONE:-word} would give a default)\n"},
    };
    const char *environment[] = {"MANY=many", "BYTES=\xc3", NULL};
    check_wrong(cases, sizeof cases / sizeof cases[0], environment);

    static const struct wrong from_environment[] = {
        {"",
         "environment variable ENVIRONMENT: environment: expected one of dev, stage, prod; got 'moon'\n"
         "environment variable MAX_REQUEST_SIZE_BYTES: limits.max_request_bytes: expected a size like 1MiB, got 'many'\n"
         "environment variable STRICT: limits.strict: expected true or false, got 'x'\n"},
    };
    const char *wrong[] = {"MAX_REQUEST_SIZE_BYTES=many", "STRICT=x", "ENVIRONMENT=moon", NULL};
    check_wrong(from_environment, 1, wrong);
}

static void many_problems_are_counted(void **state) {
    (void)state;
    struct sample sample;
    sample_open(&sample);
    struct weir_buffer text;
    weir_buffer_init(&text, 1 << 16);
    for (int i = 0; i < 70; i++)
        weir_buffer_printf(&text, "name_%d: 1\n", i);
    assert_int_equal(sample_read_span(&sample, weir_buffer_span(&text), NULL), WEIR_EINVAL);
    size_t lines = 0;
    for (const char *at = sample.problems.at; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 51);
    assert_non_null(strstr(sample.problems.at, "weir.yaml:50:1: unknown setting 'name_49'\nweir.yaml: and 20 more\n"));
    weir_buffer_release(&text);
    sample_close(&sample);
}

static void secrets_are_never_shown(void **state) {
    (void)state;
    struct sample sample;
    sample_open(&sample);
    const char *texts[] = {
        "limits: {admin_token: sk-top-secret, workers: x}",
        "limits: {admin_token: 'sk-top-secret${'}",
        "limits: {admin_token: 'sk-top-secret${NONE}'}",
        "limits: {admin_token: [sk-top-secret]}",
        "limits: {admin_token: sk-top-secret, admin_token: sk-top-secret}",
        "limits: sk-top-secret",
        "limits: {admin_token: \"sk-top-secret\\0\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(sample_read(&sample, texts[i], NULL), WEIR_EINVAL);
        assert_null(strstr(sample.problems.at, "top-secret"));
        assert_true(strlen(sample.problems.at) > 0);
    }
    sample_close(&sample);
}

static void too_little_memory(void **state) {
    (void)state;
    struct sample sample;
    sample_open(&sample);
    sample.limits.workers = 7;
    const char *text = "limits: {workers: 3, greeting: 'file:/etc/passwd', origins: [a, b], admin_token: '${X:-y}'}\n"
                       "models: [{name: a, targets: [{provider: b}]}]\n";
    bool succeeded = false;
    for (size_t cap = 16; cap < 40000 && !succeeded; cap += 48) {
        weir_arena_free(&sample.arena);
        sample.arena = weir_arena_new(64, cap);
        enum weir_status status = sample_read(&sample, text, NULL);
        succeeded = status == WEIR_OK;
        assert_int_equal(sample.limits.workers, succeeded ? 3 : 7);
    }
    assert_true(succeeded);
    sample_close(&sample);
}

static void loading_files(void **state) {
    (void)state;
    struct sample sample;
    sample_open(&sample);
    struct weir_span text;
    struct weir_error error;
    assert_int_equal(weir_config_load(sample.arena, "/no/such/weir.yaml", &text, &error), WEIR_ENOTFOUND);
    assert_string_equal(error.text, "/no/such/weir.yaml: No such file or directory");
    assert_int_equal(weir_config_load(sample.arena, "/tmp", &text, &error), WEIR_EIO);
    assert_int_equal(weir_config_load(sample.arena, "/dev/zero", &text, &error), WEIR_ELIMIT);
    char path[] = "/tmp/weir-config-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "environment: prod\n", 18), 18);
    close(fd);
    assert_int_equal(weir_config_load(sample.arena, path, &text, &error), WEIR_OK);
    assert_true(weir_span_equal(text, WEIR_SPAN("environment: prod\n")));
    unlink(path);
    sample_close(&sample);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_without_a_file),
        cmocka_unit_test(every_kind_from_the_file),
        cmocka_unit_test(numbers_with_units),
        cmocka_unit_test(environment_stands_between_file_and_default),
        cmocka_unit_test(variables_inside_texts),
        cmocka_unit_test(files_as_texts),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(unknown_and_missing_settings),
        cmocka_unit_test(yaml_that_is_not_taken),
        cmocka_unit_test(problems_with_variables),
        cmocka_unit_test(many_problems_are_counted),
        cmocka_unit_test(secrets_are_never_shown),
        cmocka_unit_test(too_little_memory),
        cmocka_unit_test(loading_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
