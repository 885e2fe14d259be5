/* What is said about settings: explain, the reference page, the canonical text, what needs a restart, places, near names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/scan.h"
#include "sample.h"

static const char *const text_of_sample =
    "environment: stage\n"
    "limits:\n"
    "  greeting: \"a\\tb: 'c' \\\"d\\\" $${X} é\\u2028\"\n"
    "  origins: [one, \"two, three\", '$$env:HOME']\n"
    "  admin_token: sk-top-secret\n"
    "models:\n"
    "  - {name: fast, api_key: 'env:KEY', targets: [{provider: p, weight: 2}, {provider: q}]}\n"
    "  - {name: '$$file:x', targets: []}\n";

static char *buffer_text(struct weir_buffer *buffer) {
    weir_buffer_append_byte(buffer, '\0');
    assert_int_equal(weir_buffer_status(buffer), WEIR_OK);
    return buffer->at;
}

static void one_setting_for_people(void **state) {
    (void)state;
    struct sample sample;
    struct weir_buffer out;
    sample_open(&sample);
    weir_buffer_init(&out, 1 << 20);
    assert_int_equal(sample_read(&sample, text_of_sample, NULL), WEIR_OK);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN("limits.max_request_bytes"), false, &out),
                     WEIR_OK);
    assert_string_equal(buffer_text(&out), "limits.max_request_bytes\n"
                                           "  The largest request body.\n"
                                           "  kind      size, from 1KiB to 1GiB\n"
                                           "  default   1MiB\n"
                                           "  now       1MiB\n"
                                           "  variable  MAX_REQUEST_SIZE_BYTES\n"
                                           "  change    taken by a running server (SIGHUP)\n");
    weir_buffer_clear(&out);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN("environment"), false, &out), WEIR_OK);
    assert_string_equal(buffer_text(&out), "environment\n"
                                           "  Which one it serves.\n"
                                           "  kind      choice: dev, stage, prod\n"
                                           "  default   dev\n"
                                           "  now       stage\n"
                                           "  variable  ENVIRONMENT\n"
                                           "  change    needs a restart\n");
    weir_buffer_clear(&out);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN("limits.admin_token"), false, &out), WEIR_OK);
    assert_non_null(strstr(buffer_text(&out), "\n  now       (hidden)\n"));
    weir_buffer_clear(&out);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN("models"), false, &out), WEIR_OK);
    const char *models = buffer_text(&out);
    assert_non_null(strstr(models, "models\n  What is offered.\n  kind      list\n  now       2 in the list\n"));
    assert_non_null(strstr(models, "\nmodels[].targets[].weight\n"));
    assert_non_null(strstr(models, "kind      text, required\n"));
    assert_null(strstr(models, "limits"));
    weir_buffer_clear(&out);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN("models[3].targets[0].weight"), false, &out),
                     WEIR_OK);
    assert_memory_equal(buffer_text(&out), "models[].targets[].weight\n", 26);
    weir_buffer_clear(&out);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN("models.targets.weight"), false, &out), WEIR_OK);
    weir_buffer_release(&out);
    sample_close(&sample);
}

static void all_settings_as_json(void **state) {
    (void)state;
    struct sample sample;
    struct weir_buffer out;
    sample_open(&sample);
    weir_buffer_init(&out, 1 << 20);
    assert_int_equal(sample_read(&sample, text_of_sample, NULL), WEIR_OK);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN(""), true, &out), WEIR_OK);
    struct weir_json_found root;
    assert_int_equal(weir_json_scan(weir_buffer_span(&out), NULL, 0, NULL, &root, NULL), WEIR_OK);
    assert_int_equal(root.kind, WEIR_JSON_ARRAY);
    assert_int_equal(root.elements, 2 + 3 + 2 + 8);
    assert_null(strstr(buffer_text(&out), "top-secret"));
    assert_non_null(
        strstr(out.at, "{\"name\":\"limits.workers\",\"kind\":\"integer\",\"minimum\":1,\"maximum\":256,\"unit\":null,"
                       "\"default\":\"4\",\"environment\":null,\"required\":false,\"live\":false,"
                       "\"prose\":\"Data threads | one per core.\",\"value\":4}"));
    assert_non_null(strstr(out.at, "\"choices\":[\"dev\",\"stage\",\"prod\"]"));
    weir_buffer_release(&out);
    sample_close(&sample);
}

static void unknown_settings_get_near_ones(void **state) {
    (void)state;
    struct sample sample;
    struct weir_buffer out;
    sample_open(&sample);
    weir_buffer_init(&out, 1 << 20);
    assert_int_equal(sample_read(&sample, "", NULL), WEIR_OK);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN("limits.wrokers"), false, &out), WEIR_ENOTFOUND);
    assert_memory_equal(buffer_text(&out), "unknown setting 'limits.wrokers'; did you mean 'limits.workers'", 63);
    weir_buffer_clear(&out);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN("max_request_size"), false, &out),
                     WEIR_ENOTFOUND);
    assert_string_equal(buffer_text(&out),
                        "unknown setting 'max_request_size'; did you mean 'limits.max_request_bytes'?\n");
    weir_buffer_clear(&out);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN("zzzzzz"), false, &out), WEIR_ENOTFOUND);
    assert_string_equal(buffer_text(&out), "unknown setting 'zzzzzz'\n");
    weir_buffer_clear(&out);
    assert_int_equal(weir_config_explain(sample.sections, 2, WEIR_SPAN("enviroment"), true, &out), WEIR_ENOTFOUND);
    assert_string_equal(buffer_text(&out),
                        "{\"error\":\"unknown setting\",\"name\":\"enviroment\",\"nearest\":[\"environment\"]}\n");
    weir_buffer_release(&out);
    sample_close(&sample);
}

static void the_reference_page(void **state) {
    (void)state;
    struct sample sample;
    struct weir_buffer out;
    sample_open(&sample);
    weir_buffer_init(&out, 1 << 20);
    weir_config_reference(sample.sections, 2, &out);
    const char *page = buffer_text(&out);
    assert_memory_equal(page, "# Settings\n", 11);
    assert_non_null(strstr(page, "\n## Top level\n"));
    assert_non_null(strstr(page, "\n### `models[]`\n"));
    assert_non_null(strstr(page, "\n### `models[].targets[]`\n"));
    assert_non_null(strstr(page, "\n## `limits`\n"));
    assert_non_null(
        strstr(page, "\n| `environment` | choice | `dev` | `dev`, `stage`, `prod` | `ENVIRONMENT` | no | Which one it "
                     "serves. |\n"));
    assert_non_null(
        strstr(page, "\n| `max_request_bytes` | size | `1MiB` | from 1KiB to 1GiB | `MAX_REQUEST_SIZE_BYTES` | yes | "
                     "The largest request body. |\n"));
    assert_non_null(
        strstr(page, "\n| `workers` | integer | `4` | from 1 to 256 |  | no | Data threads \\| one per core. |\n"));
    assert_non_null(strstr(page, "\n| `name` (required) | text |  |  |  | no | What clients ask for. |\n"));
    weir_buffer_release(&out);
    sample_close(&sample);
}

static void canonical_text_reads_back_to_itself(void **state) {
    (void)state;
    struct sample sample, again;
    struct weir_buffer out, out_again;
    sample_open(&sample);
    sample_open(&again);
    weir_buffer_init(&out, 1 << 20);
    weir_buffer_init(&out_again, 1 << 20);
    assert_int_equal(sample_read(&sample, text_of_sample, NULL), WEIR_OK);
    weir_config_canonical(sample.sections, 2, &out);
    assert_string_equal(buffer_text(&out), "environment: \"stage\"\n"
                                           "models:\n"
                                           "- name: \"fast\"\n"
                                           "  api_key: \"env:KEY\"\n"
                                           "  targets:\n"
                                           "  - provider: \"p\"\n"
                                           "    weight: 2\n"
                                           "  - provider: \"q\"\n"
                                           "    weight: 1\n"
                                           "- name: \"$$file:x\"\n"
                                           "  api_key: \"\"\n"
                                           "  targets: []\n"
                                           "limits:\n"
                                           "  max_request_bytes: 1MiB\n"
                                           "  workers: 4\n"
                                           "  idle: 30s\n"
                                           "  grace: 0s\n"
                                           "  strict: false\n"
                                           "  greeting: \"a\\tb: 'c' \\\"d\\\" $${X} é\\u2028\"\n"
                                           "  admin_token: \"(hidden)\"\n"
                                           "  origins: [\"one\", \"two, three\", \"$$env:HOME\"]\n");
    assert_int_equal(sample_read(&again, out.at, NULL), WEIR_OK);
    assert_true(weir_span_equal(sample.limits.greeting, again.limits.greeting));
    assert_string_equal(again.limits.origins.at[2].at, "env:HOME");
    weir_config_canonical(again.sections, 2, &out_again);
    assert_string_equal(buffer_text(&out_again), out.at);
    weir_buffer_release(&out);
    weir_buffer_release(&out_again);
    sample_close(&sample);
    sample_close(&again);
}

static bool same_canonical(const char *left, const char *right) {
    struct sample a, b;
    struct weir_buffer out_a, out_b;
    sample_open(&a);
    sample_open(&b);
    weir_buffer_init(&out_a, 1 << 20);
    weir_buffer_init(&out_b, 1 << 20);
    assert_int_equal(sample_read(&a, left, NULL), WEIR_OK);
    assert_int_equal(sample_read(&b, right, NULL), WEIR_OK);
    weir_config_canonical(a.sections, 2, &out_a);
    weir_config_canonical(b.sections, 2, &out_b);
    bool same = weir_span_equal(weir_buffer_span(&out_a), weir_buffer_span(&out_b));
    weir_buffer_release(&out_a);
    weir_buffer_release(&out_b);
    sample_close(&a);
    sample_close(&b);
    return same;
}

static void canonical_text_is_of_the_settings_not_the_file(void **state) {
    (void)state;
    assert_true(same_canonical("limits: {workers: 8, idle: 60s}\nenvironment: prod\n",
                               "# same\nenvironment: production\nlimits:\n  idle: 1m\n  workers: '8'\n"));
    assert_true(same_canonical("", "environment: dev\n"));
    assert_false(same_canonical("", "environment: stage\n"));
    assert_false(same_canonical("limits: {workers: 8}", "limits: {workers: 9}"));
    assert_false(same_canonical("limits: {admin_token: 'env:A'}", "limits: {admin_token: 'env:B'}"));
    assert_false(same_canonical("models: [{name: a, targets: []}, {name: b, targets: []}]",
                                "models: [{name: b, targets: []}, {name: a, targets: []}]"));
}

static void what_needs_a_restart(void **state) {
    (void)state;
    struct sample before, after;
    struct weir_buffer out;
    sample_open(&before);
    sample_open(&after);
    weir_buffer_init(&out, 1 << 20);
    assert_int_equal(sample_read(&before, text_of_sample, NULL), WEIR_OK);
    assert_int_equal(sample_read(&after, text_of_sample, NULL), WEIR_OK);
    weir_config_needs_restart(before.sections, after.sections, 2, &out);
    assert_int_equal(out.length, 0);
    assert_int_equal(sample_read(&after,
                                 "environment: prod\nlimits: {workers: 5, idle: 1s, admin_token: b}\nmodels: []\n",
                                 NULL),
                     WEIR_OK);
    weir_config_needs_restart(before.sections, after.sections, 2, &out);
    assert_string_equal(buffer_text(&out), "environment\nlimits.workers\n");
    weir_buffer_release(&out);
    sample_close(&before);
    sample_close(&after);
}

static void places_of_settings(void **state) {
    (void)state;
    static const struct {
        const char *setting;
        const char *place;
    } cases[] = {
        {"environment", "weir.yaml:1:14"},
        {"limits", "weir.yaml:2:1"},
        {"limits.origins[1]", "weir.yaml:3:18"},
        {"limits.origins[7]", "weir.yaml:3:3"},
        {"models[0].name", "weir.yaml:5:11"},
        {"models[0].targets[0].provider", "weir.yaml:6:26"},
        {"models[1].name", "weir.yaml:4:1"},
        {"limits.workers", "weir.yaml:2:1"},
        {"quux", "weir.yaml"},
        {"models[x", "weir.yaml:4:1"},
    };
    const char *text = "environment: dev\nlimits:\n  origins: [one, two]\nmodels:\n  - name: fast\n"
                       "    targets: [{provider: p}]\n";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sample sample;
        struct weir_buffer out;
        sample_open(&sample);
        weir_buffer_init(&out, 1 << 10);
        weir_config_locate(sample.arena, weir_span_of_string(text), "weir.yaml", weir_span_of_string(cases[i].setting),
                           &out);
        assert_string_equal(buffer_text(&out), cases[i].place);
        weir_buffer_release(&out);
        sample_close(&sample);
    }
}

static void near_names(void **state) {
    (void)state;
    static const char *const names[] = {"limits", "models", "providers", "timeouts", "on"};
    static const struct {
        const char *word;
        const char *nearest;
    } cases[] = {
        {"limits", "limits"},    {"lmits", "limits"}, {"ilmits", "limits"},
        {"LIMITS", "limits"},    {"model", "models"}, {"provders", "providers"},
        {"tiemout", "timeouts"}, {"x", NULL},         {"", NULL},
        {"completely", NULL},    {"no", "on"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *nearest = weir_config_nearest(weir_span_of_string(cases[i].word), names, 5);
        if (cases[i].nearest == NULL)
            assert_null(nearest);
        else
            assert_string_equal(nearest, cases[i].nearest);
    }
    char longest[200];
    memset(longest, 'l', sizeof longest);
    assert_null(weir_config_nearest(weir_span_of(longest, sizeof longest), names, 5));
    assert_null(weir_config_nearest(WEIR_SPAN("limits"), NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_setting_for_people),
        cmocka_unit_test(all_settings_as_json),
        cmocka_unit_test(unknown_settings_get_near_ones),
        cmocka_unit_test(the_reference_page),
        cmocka_unit_test(canonical_text_reads_back_to_itself),
        cmocka_unit_test(canonical_text_is_of_the_settings_not_the_file),
        cmocka_unit_test(what_needs_a_restart),
        cmocka_unit_test(places_of_settings),
        cmocka_unit_test(near_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
