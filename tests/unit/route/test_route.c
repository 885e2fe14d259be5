/* Which targets a model name leads to, and in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/ids.h"
#include "provider/outcome.h"
#include "route/route.h"

static enum weir_status no_credential(void *context, const struct weir_provider_settings *provider,
                                      struct weir_secret **secret, struct weir_error *error) {
    (void)context;
    (void)provider;
    (void)secret;
    return weir_fail(error, WEIR_ENOTFOUND, "none here");
}

static struct weir_revision *revision_of(struct weir_provider_settings *providers, size_t provider_count,
                                         struct weir_model_settings *models, size_t model_count,
                                         struct weir_buffer *problems) {
    struct weir_catalog_settings catalog = {.providers = {providers, provider_count}, .models = {models, model_count}};
    struct weir_revision *revision = NULL;
    enum weir_status status = weir_revision_new(weir_arena_new(0, WEIR_MIB), &catalog, no_credential, NULL, &revision,
                                                problems);
    assert_true((status == WEIR_OK) == (revision != NULL));
    return revision;
}

static struct weir_provider_settings provider(const char *name, bool catch_all) {
    return (struct weir_provider_settings){.name = weir_span_of_string(name),
                                           .base_url = WEIR_SPAN("http://127.0.0.1:1/v1/"),
                                           .catch_all = catch_all};
}

static void names_lead_to_targets(void **state) {
    (void)state;
    struct weir_buffer problems;
    weir_buffer_init(&problems, WEIR_MIB);
    struct weir_provider_settings providers[] = {provider("a", false), provider("b", true)};
    struct weir_target_settings targets[] = {
        {.provider = WEIR_SPAN("b"), .model = WEIR_SPAN("late"), .weight = 1, .order = 5},
        {.provider = WEIR_SPAN("a"), .model = WEIR_SPAN("early"), .weight = 1, .order = 0}};
    struct weir_model_settings models[] = {{.name = WEIR_SPAN("m"), .targets = {targets, 2}}};
    struct weir_revision *revision = revision_of(providers, 2, models, 1, &problems);
    assert_non_null(revision);
    struct weir_candidates candidates;
    assert_int_equal(weir_route_candidates(revision, WEIR_SPAN("m"), 7, &candidates), WEIR_OK);
    assert_int_equal(candidates.count, 2);
    assert_true(weir_span_equal(candidates.at[0].model, WEIR_SPAN("early")));
    assert_true(weir_span_equal(candidates.at[1].model, WEIR_SPAN("late")));
    assert_int_equal(weir_route_candidates(revision, WEIR_SPAN("a/org/model"), 7, &candidates), WEIR_OK);
    assert_true(weir_span_equal(candidates.at[0].provider->name, WEIR_SPAN("a")));
    assert_true(weir_span_equal(candidates.at[0].model, WEIR_SPAN("org/model")));
    assert_int_equal(weir_route_candidates(revision, WEIR_SPAN("anything"), 7, &candidates), WEIR_OK);
    assert_true(weir_span_equal(candidates.at[0].provider->name, WEIR_SPAN("b")));
    assert_int_equal(weir_route_candidates(revision, WEIR_SPAN("c/x"), 7, &candidates), WEIR_OK);
    assert_true(weir_span_equal(candidates.at[0].model, WEIR_SPAN("c/x")));
    assert_true(weir_span_equal(revision->providers[0].path_prefix, WEIR_SPAN("/v1")));
    weir_revision_free(&revision);
    weir_buffer_release(&problems);
}

/* Whom a name leads to, and under which name: "a:model". */
static void assert_leads(const struct weir_revision *revision, const char *name, const char *expected) {
    struct weir_candidates candidates;
    char found[200];
    assert_int_equal(weir_route_candidates(revision, weir_span_of_string(name), 7, &candidates), WEIR_OK);
    (void)snprintf(found, sizeof found, "%.*s:%.*s", WEIR_SPAN_PRINT(candidates.at[0].provider->name),
                   WEIR_SPAN_PRINT(candidates.at[0].model));
    assert_string_equal(found, expected);
}

static void patterns_take_names_that_begin_so(void **state) {
    (void)state;
    struct weir_buffer problems;
    weir_buffer_init(&problems, WEIR_MIB);
    struct weir_provider_settings providers[] = {provider("a", false), provider("b", true), provider("x", false)};
    struct weir_target_settings to_a = {.provider = WEIR_SPAN("a"), .weight = 1};
    struct weir_target_settings to_rest = {.provider = WEIR_SPAN("a"), .model = WEIR_SPAN("*"), .weight = 1};
    struct weir_target_settings to_one = {.provider = WEIR_SPAN("b"), .model = WEIR_SPAN("one"), .weight = 1};
    struct weir_target_settings to_x = {.provider = WEIR_SPAN("x"), .weight = 1};
    struct weir_model_settings models[] = {{.name = WEIR_SPAN("claude-*"), .targets = {&to_a, 1}},
                                           {.name = WEIR_SPAN("my/*"), .targets = {&to_rest, 1}},
                                           {.name = WEIR_SPAN("claude-3-*"), .targets = {&to_one, 1}},
                                           {.name = WEIR_SPAN("claude-4"), .targets = {&to_one, 1}},
                                           {.name = WEIR_SPAN("*"), .targets = {&to_x, 1}}};
    struct weir_revision *revision = revision_of(providers, 3, models, 5, &problems);
    assert_non_null(revision);
    assert_int_equal(revision->model_count, 1);
    assert_int_equal(revision->pattern_count, 4);
    assert_leads(revision, "claude-4", "b:one");
    assert_leads(revision, "claude-4-opus", "a:claude-4-opus");
    assert_leads(revision, "claude-3-haiku", "b:one");
    assert_leads(revision, "my/gpt/4", "a:gpt/4");
    assert_leads(revision, "b/claude-4", "b:claude-4"); /* before the pattern that takes all */
    assert_leads(revision, "claude-", "x:claude-");     /* a star stands for something */
    assert_leads(revision, "else", "x:else");           /* before the provider that takes all */
    weir_revision_free(&revision);
    struct weir_target_settings wrong[] = {{.provider = WEIR_SPAN("a"), .model = WEIR_SPAN("*"), .weight = 1},
                                           {.provider = WEIR_SPAN("a"), .model = WEIR_SPAN("g-*"), .weight = 1}};
    struct weir_model_settings bad[] = {{.name = WEIR_SPAN("m"), .targets = {wrong, 1}},
                                        {.name = WEIR_SPAN("p-*"), .targets = {wrong, 2}},
                                        {.name = WEIR_SPAN("a*b"), .targets = {&to_a, 1}},
                                        {.name = WEIR_SPAN("p-*"), .targets = {&to_a, 1}},
                                        {.name = WEIR_SPAN("**"), .targets = {&to_a, 1}}};
    assert_null(revision_of(providers, 3, bad, 5, &problems));
    weir_buffer_append_byte(&problems, '\0');
    assert_non_null(strstr(problems.at, "models[0].targets[0].model: model 'm': '*' stands alone"));
    assert_null(strstr(problems.at, "models[1].targets[0].model"));
    assert_non_null(strstr(problems.at, "models[1].targets[1].model: model 'p-*': '*' stands alone"));
    assert_non_null(strstr(problems.at, "models[2].name: 'a*b' may have a '*' at its end alone"));
    assert_non_null(strstr(problems.at, "models[3].name: model 'p-*' is configured twice"));
    assert_non_null(strstr(problems.at, "models[4].name: '**' may have a '*' at its end alone"));
    weir_buffer_release(&problems);
}

static void unknown_names_are_not_found(void **state) {
    (void)state;
    struct weir_buffer problems;
    struct weir_candidates candidates;
    weir_buffer_init(&problems, WEIR_MIB);
    struct weir_provider_settings providers[] = {provider("a", false)};
    struct weir_revision *revision = revision_of(providers, 1, NULL, 0, &problems);
    assert_int_equal(weir_route_candidates(revision, WEIR_SPAN("x"), 0, &candidates), WEIR_ENOTFOUND);
    assert_int_equal(weir_route_candidates(revision, WEIR_SPAN("a/"), 0, &candidates), WEIR_ENOTFOUND);
    assert_int_equal(weir_route_candidates(revision, WEIR_SPAN("/x"), 0, &candidates), WEIR_ENOTFOUND);
    weir_revision_free(&revision);
    weir_buffer_release(&problems);
}

static void weights_share_the_traffic(void **state) {
    (void)state;
    struct weir_buffer problems;
    struct weir_candidates candidates;
    weir_buffer_init(&problems, WEIR_MIB);
    struct weir_provider_settings providers[] = {provider("a", false), provider("b", false), provider("c", false)};
    struct weir_target_settings targets[] = {{.provider = WEIR_SPAN("a"), .weight = 3},
                                             {.provider = WEIR_SPAN("b"), .weight = 1},
                                             {.provider = WEIR_SPAN("c"), .weight = 0}};
    struct weir_model_settings models[] = {{.name = WEIR_SPAN("m"), .targets = {targets, 3}}};
    struct weir_revision *revision = revision_of(providers, 3, models, 1, &problems);
    struct weir_random random = {.left = 0};
    int first[3] = {0};
    for (int i = 0; i < 4000; i++) {
        uint64_t number;
        weir_random_fill(&random, &number, sizeof number);
        assert_int_equal(weir_route_candidates(revision, WEIR_SPAN("m"), number, &candidates), WEIR_OK);
        first[candidates.at[0].provider->index]++;
        assert_int_equal(candidates.at[2].provider->index, 2);
    }
    assert_in_range(first[0], 2700, 3300);
    assert_int_equal(first[2], 0);
    weir_revision_free(&revision);
    weir_buffer_release(&problems);
}

static void problems_are_named(void **state) {
    (void)state;
    struct weir_buffer problems;
    weir_buffer_init(&problems, WEIR_MIB);
    struct weir_provider_settings providers[] = {provider("a", true), provider("a", true), provider("b/c", false)};
    providers[1].base_url = WEIR_SPAN("ftp://x");
    struct weir_target_settings targets[] = {{.provider = WEIR_SPAN("nope"), .weight = 1}};
    struct weir_model_settings models[] = {{.name = WEIR_SPAN("m"), .targets = {targets, 1}},
                                           {.name = WEIR_SPAN("empty")}};
    assert_null(revision_of(providers, 3, models, 2, &problems));
    weir_buffer_append_byte(&problems, '\0');
    assert_non_null(strstr(problems.at, "providers[1].base_url: provider 'a': "));
    assert_non_null(strstr(problems.at, "providers[2].name: 'b/c'"));
    assert_non_null(strstr(problems.at, "model 'm': there is no provider 'nope'"));
    assert_non_null(strstr(problems.at, "model 'empty' has no targets"));
    weir_buffer_clear(&problems);
    providers[1] = provider("a", true);
    assert_null(revision_of(providers, 2, NULL, 0, &problems));
    weir_buffer_append_byte(&problems, '\0');
    assert_non_null(strstr(problems.at, "provider 'a' is configured twice"));
    assert_non_null(strstr(problems.at, "catch_all is already set for 'a'"));
    weir_buffer_clear(&problems);
    providers[0].api_key = WEIR_SPAN("env:GONE");
    assert_null(revision_of(providers, 1, NULL, 0, &problems));
    weir_buffer_append_byte(&problems, '\0');
    assert_non_null(strstr(problems.at, "providers[0].api_key: provider 'a': none here"));
    weir_buffer_release(&problems);
}

static void statuses_have_meanings(void **state) {
    (void)state;
    static const struct {
        unsigned status;
        enum weir_reason reason;
        unsigned client;
        bool fall_back, show;
    } rows[] = {
        {200, WEIR_REASON_NONE, 200, false, true},
        {400, WEIR_REASON_NONE, 400, false, true},
        {401, WEIR_REASON_UPSTREAM_AUTH, 502, true, false},
        {403, WEIR_REASON_UPSTREAM_AUTH, 502, true, false},
        {404, WEIR_REASON_NONE, 404, false, true},
        {429, WEIR_REASON_UPSTREAM_RATE_LIMITED, 429, true, true},
        {500, WEIR_REASON_UPSTREAM_ERROR, 500, true, true},
        {529, WEIR_REASON_UPSTREAM_ERROR, 529, true, true},
        {302, WEIR_REASON_UPSTREAM_PROTOCOL, 502, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_provider_outcome outcome = weir_provider_classify(rows[i].status);
        assert_int_equal(outcome.reason, rows[i].reason);
        assert_int_equal(outcome.client_status, rows[i].client);
        assert_int_equal(outcome.may_fall_back, rows[i].fall_back);
        assert_int_equal(outcome.show_body, rows[i].show);
    }
    assert_true(weir_provider_may_fall_back(WEIR_REASON_UPSTREAM_CONNECT_FAILED));
    assert_true(weir_provider_may_fall_back(WEIR_REASON_UPSTREAM_IDLE_TIMEOUT));
    assert_true(weir_provider_may_fall_back(WEIR_REASON_UPSTREAM_PROTOCOL));
    assert_false(weir_provider_may_fall_back(WEIR_REASON_CLIENT_CLOSED));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_lead_to_targets),       cmocka_unit_test(patterns_take_names_that_begin_so),
        cmocka_unit_test(unknown_names_are_not_found), cmocka_unit_test(weights_share_the_traffic),
        cmocka_unit_test(problems_are_named),          cmocka_unit_test(statuses_have_meanings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
