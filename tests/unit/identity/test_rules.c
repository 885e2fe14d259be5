/* What a key may: wildcards, what is refused as rules, and what their absence means. */
#include "identity/rules.h"

#include "base/buffer.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct weir_key_rules *read_rules(struct weir_arena *arena, const char *json) {
    struct weir_key_rules *rules = NULL;
    struct weir_error error = {.text = ""};
    if (weir_key_rules_read(arena, weir_span_of_string(json), &rules, &error) != WEIR_OK)
        fail_msg("%s: %s", json, error.text);
    return rules;
}

static bool allows(const struct weir_rule_list *list, const char *name) {
    return weir_rule_list_allows(list, weir_span_of_string(name));
}

static void a_star_stands_for_any_bytes(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } rows[] = {
        {"gpt-4o", "gpt-4o", true},
        {"gpt-4o", "gpt-4o-mini", false},
        {"gpt-4o", "gpt-4", false},
        {"gpt-4o", "GPT-4o", false},
        {"gpt-4o", "", false},
        {"gpt-4o*", "gpt-4o", true},
        {"gpt-4o*", "gpt-4o-mini", true},
        {"gpt-4o*", "xgpt-4o", false},
        {"*mini", "gpt-4o-mini", true},
        {"*mini", "mini", true},
        {"*mini", "minimini", true},
        {"*mini", "mini-2", false},
        {"a*b*c", "abc", true},
        {"a*b*c", "axxbyybzzc", true},
        {"a*b*c", "axxcyybzz", false},
        {"a*b*c", "acb", false},
        {"*ab*ab*", "abab", true},
        {"*ab*ab*", "aabaxb", false},
        {"*aab", "aaaaab", true},
        {"anthropic/claude-*", "anthropic/claude-x", true},
        {"anthropic/claude-*", "openai/claude-x", false},
        {"**", "anything", true},
        {"a**", "a", true},
        {"*a", "b*a", true},
        {"?", "x", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_span pattern = weir_span_of_string(rows[i].pattern);
        const struct weir_rule_list list = {.restricts = true, .at = &pattern, .count = 1};
        if (allows(&list, rows[i].name) != rows[i].matches)
            fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].name);
    }
}

static void what_is_not_said_is_allowed(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", "{}",
        "{\"models\":null,\"endpoints\":null,\"tools\":null,\"capabilities\":null,\"addresses\":null,\"limits\":null}",
        "{\"models\":[\"gpt\",\"*\"],\"limits\":{\"requests_per_second\":null}}"};
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct weir_key_rules *rules = read_rules(arena, texts[i]);
        assert_true(allows(&rules->models, "any"));
        assert_true(allows(&rules->endpoints, "any"));
        assert_true(allows(&rules->tools, "any"));
        assert_true(allows(&rules->capabilities, "any"));
        assert_false(rules->restricts_addresses);
        for (size_t limit = 0; limit < WEIR_RULE_LIMIT_COUNT; limit++)
            assert_true(rules->limits[limit] == -1);
    }
    weir_arena_free(&arena);
}

static void an_empty_list_allows_nothing(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    const struct weir_key_rules *rules = read_rules(arena, "{\"models\":[],\"addresses\":[]}");
    assert_false(allows(&rules->models, "any"));
    assert_false(allows(&rules->models, ""));
    assert_true(allows(&rules->endpoints, "any"));
    struct weir_address address;
    assert_int_equal(weir_address_parse(WEIR_SPAN("192.0.2.1"), &address), WEIR_OK);
    assert_true(rules->restricts_addresses);
    assert_false(weir_networks_contain(&rules->addresses, &address));
    weir_arena_free(&arena);
}

static void all_members_are_read(void **state) {
    (void)state;
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    const struct weir_key_rules *rules =
        read_rules(arena, "{\"models\":[\"gpt-4o*\",\"a/b\"],\"endpoints\":[\"embeddings\"],\"tools\":[\"github.*\"],"
                          "\"capabilities\":[\"inference\"],\"addresses\":[\"192.0.2.0/24\",\"2001:db8::1\"],"
                          "\"limits\":{\"requests_per_second\":1,\"requests_per_minute\":2,\"tokens_per_minute\":3,"
                          "\"concurrent_requests\":4,\"cu_milli_per_day\":5,\"cu_milli_per_month\":0,"
                          "\"cu_milli_total\":9223372036854775807,\"requests_per_day\":6,\"tokens_per_day\":7,"
                          "\"concurrent_streams\":8,\"burst_percent\":150}}");
    assert_true(allows(&rules->models, "gpt-4o-mini") && allows(&rules->models, "a/b"));
    assert_false(allows(&rules->models, "embeddings"));
    assert_true(allows(&rules->endpoints, "embeddings"));
    assert_false(allows(&rules->endpoints, "chat.completions"));
    assert_true(allows(&rules->tools, "github.issues"));
    assert_false(allows(&rules->tools, "gitlab.issues"));
    assert_true(allows(&rules->capabilities, "inference"));
    assert_false(allows(&rules->capabilities, "mcp"));
    static const struct {
        const char *address;
        bool allowed;
    } addresses[] = {{"192.0.2.77", true}, {"192.0.3.77", false}, {"2001:db8::1", true}, {"2001:db8::2", false}};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct weir_address address;
        assert_int_equal(weir_address_parse(weir_span_of_string(addresses[i].address), &address), WEIR_OK);
        assert_int_equal(weir_networks_contain(&rules->addresses, &address), addresses[i].allowed);
    }
    static const int64_t limits[WEIR_RULE_LIMIT_COUNT] = {1, 2, 3, 4, 5, 0, INT64_MAX, 6, 7, 8, 150};
    for (size_t i = 0; i < WEIR_RULE_LIMIT_COUNT; i++)
        assert_true(rules->limits[i] == limits[i]);
    assert_string_equal(weir_rule_limit_name(WEIR_RULE_TOKENS_PER_MINUTE), "tokens_per_minute");
    weir_arena_free(&arena);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    static const struct {
        const char *json, *begins;
    } rows[] = {
        {"[]", "rules: an object"},
        {"{", "rules: no JSON at byte 1"},
        {"{} x", "rules: no JSON"},
        {"{\"model\":[]}", "rules.model: there is no such member"},
        {"{\"models\":\"gpt\"}", "rules.models: a list of texts"},
        {"{\"models\":[1]}", "rules.models[0]: a text"},
        {"{\"models\":[\"a\",\"\"]}", "rules.models[1]: '' is no name"},
        {"{\"tools\":[\"a b\"]}", "rules.tools[0]: 'a b' is no name"},
        {"{\"tools\":[\"a\\u0000\"]}", "rules.tools[0]: 'a"},
        {"{\"endpoints\":[\"*1*2*3*4*5*6*7*8*\"]}", "rules.endpoints[0]: '*1*2*3*4*5*6*7*8*' is no name"},
        {"{\"models\":[],\"models\":[]}", "rules.models: it is there twice"},
        {"{\"models\":null,\"models\":[\"a\"]}", "rules.models: it is there twice"},
        {"{\"addresses\":[\"192.0.2.1\",\"192.0.2.0/33\"]}", "rules.addresses[1]: '192.0.2.0/33' is neither"},
        {"{\"addresses\":[\"192.0.2.1/24\"]}", "rules.addresses[0]: '192.0.2.1/24' is neither"},
        {"{\"addresses\":[7]}", "rules.addresses[0]: a text"},
        {"{\"addresses\":{}}", "rules.addresses: a list"},
        {"{\"limits\":[]}", "rules.limits: an object"},
        {"{\"limits\":{\"requests\":1}}", "rules.limits.requests: there is no such limit"},
        {"{\"limits\":{\"cu_milli_total\":-1}}", "rules.limits.cu_milli_total: a whole number"},
        {"{\"limits\":{\"cu_milli_total\":1.5}}", "rules.limits.cu_milli_total: a whole number"},
        {"{\"limits\":{\"cu_milli_total\":9223372036854775808}}", "rules.limits.cu_milli_total: a whole number"},
        {"{\"limits\":{\"cu_milli_total\":1,\"cu_milli_total\":1}}", "rules.limits.cu_milli_total: it is there twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
        struct weir_key_rules *rules = NULL;
        struct weir_error error = {.text = ""};
        assert_int_equal(weir_key_rules_read(arena, weir_span_of_string(rows[i].json), &rules, &error), WEIR_EINVAL);
        if (strncmp(error.text, rows[i].begins, strlen(rows[i].begins)) != 0)
            fail_msg("%s gave: %s", rows[i].json, error.text);
        assert_null(rules);
        weir_arena_free(&arena);
    }
}

/* {"models":[…]} with so many names of so many bytes. */
static enum weir_status read_many(size_t count, size_t length) {
    struct weir_buffer text;
    struct weir_error error = {.text = ""};
    struct weir_key_rules *rules = NULL;
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    weir_buffer_init(&text, WEIR_MIB);
    weir_buffer_append(&text, WEIR_SPAN("{\"models\":["));
    for (size_t i = 0; i < count; i++)
        weir_buffer_printf(&text, "%s\"%0*zu\"", i > 0 ? "," : "", (int)length, i);
    weir_buffer_append(&text, WEIR_SPAN("]}"));
    enum weir_status status = weir_key_rules_read(arena, weir_buffer_span(&text), &rules, &error);
    weir_buffer_release(&text);
    weir_arena_free(&arena);
    return status;
}

static void what_is_too_large_is_refused(void **state) {
    (void)state;
    assert_int_equal(read_many(WEIR_MAX_RULE_NAMES, 3), WEIR_OK);
    assert_int_equal(read_many(WEIR_MAX_RULE_NAMES + 1, 3), WEIR_EINVAL);
    assert_int_equal(read_many(1, WEIR_MAX_RULE_NAME_BYTES), WEIR_OK);
    assert_int_equal(read_many(1, WEIR_MAX_RULE_NAME_BYTES + 1), WEIR_EINVAL);
    assert_int_equal(read_many(WEIR_MAX_RULE_NAMES, WEIR_MAX_RULE_NAME_BYTES), WEIR_EINVAL); /* as a whole */
    /* A client's name can be as long as its body: then it is none of ours, whatever the pattern. */
    char name[WEIR_MAX_RULE_NAME_BYTES + 1];
    memset(name, 'a', sizeof name);
    struct weir_span pattern = WEIR_SPAN("a*a*a*a*b*");
    const struct weir_rule_list list = {.restricts = true, .at = &pattern, .count = 1};
    assert_false(weir_rule_list_allows(&list, weir_span_of(name, sizeof name)));
    pattern = WEIR_SPAN("a*");
    assert_false(weir_rule_list_allows(&list, weir_span_of(name, sizeof name)));
    assert_true(weir_rule_list_allows(&list, weir_span_of(name, sizeof name - 1)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_star_stands_for_any_bytes),  cmocka_unit_test(what_is_not_said_is_allowed),
        cmocka_unit_test(an_empty_list_allows_nothing), cmocka_unit_test(all_members_are_read),
        cmocka_unit_test(what_is_wrong_is_named),       cmocka_unit_test(what_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
