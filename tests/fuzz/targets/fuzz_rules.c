/* links: base json store identity */
/* The rules of a key, from any bytes: the first line is a name to ask for, the rest the JSON.
 *
 * Held: what is refused says which member is wrong and gives nothing; what is read allows what its own lists say literally, and asking ends.
 */
#include "identity/rules.h"

#include "base/limits.h"

static void ask(const struct weir_rule_list *list, struct weir_span name) {
    bool allowed = weir_rule_list_allows(list, name);
    weir_bug_on(!list->restricts && !allowed);
    weir_bug_on(list->restricts && list->count == 0 && allowed);
    for (size_t i = 0; i < list->count; i++) {
        weir_bug_on(list->at[i].length == 0 || list->at[i].length > WEIR_MAX_RULE_NAME_BYTES);
        weir_bug_on(!weir_rule_list_allows(list, list->at[i])); /* a star stands for itself, too */
        weir_bug_on(list->restricts && weir_span_equal(list->at[i], WEIR_SPAN("*")));
        if (name.length <= WEIR_MAX_RULE_NAME_BYTES && weir_span_equal(list->at[i], name))
            weir_bug_on(!allowed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weir_span name, json, input = weir_span_of((const char *)data, size);
    struct weir_error error = {.text = ""};
    struct weir_key_rules *rules = NULL;
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    weir_bug_on(arena == NULL);
    (void)weir_span_split(input, '\n', &name, &json);
    if (weir_key_rules_read(arena, json, &rules, &error) == WEIR_OK) {
        const struct weir_rule_list *lists[] = {&rules->models, &rules->endpoints, &rules->tools, &rules->capabilities};
        for (size_t i = 0; i < 4; i++)
            ask(lists[i], name);
        struct weir_address address;
        if (rules->restricts_addresses && weir_address_parse(name, &address) == WEIR_OK)
            (void)weir_networks_contain(&rules->addresses, &address);
        for (size_t i = 0; i < WEIR_RULE_LIMIT_COUNT; i++)
            weir_bug_on(rules->limits[i] < -1);
    } else {
        weir_bug_on(rules != NULL || !weir_span_starts_with(weir_span_of_string(error.text), WEIR_SPAN("rules")));
    }
    weir_arena_free(&arena);
    return 0;
}
