/* What a key may, by its rules: before the body is read what the head tells, and the model once it is known.
 *
 * The rules themselves stand in identity/rules.h. A key without any passes with one look at a pointer. What cannot be decided is refused.
 */
#include "gateway/impl.h"

static int shown(size_t length) {
    return (int)(length < 100 ? length : 100);
}

/* --- whose request it is --- */

/* The fields of one name as one, in order; most requests have one or none. Empty also where there is no memory: then it is the proxy's address
 * that counts, which is no client's. */
static struct weir_span joined(struct weir_request *request, struct weir_span name) {
    const struct weir_http_head *head = request->head;
    const struct weir_span *only = weir_http_head_find(head, name);
    size_t length = 0, at = 0;
    if (only == NULL)
        return WEIR_SPAN("");
    if (weir_http_head_count(head, name) == 1)
        return *only;
    for (size_t i = 0; i < head->field_count; i++)
        if (weir_span_equal_ignore_case(head->fields[i].name, name))
            length += head->fields[i].value.length + 1;
    char *text = weir_arena_alloc_raw(request->arena, length);
    for (size_t i = 0; text != NULL && i < head->field_count; i++) {
        const struct weir_http_field *field = &head->fields[i];
        if (!weir_span_equal_ignore_case(field->name, name))
            continue;
        memcpy(&text[at], field->value.at, field->value.length);
        at += field->value.length;
        text[at++] = ',';
    }
    return text == NULL ? WEIR_SPAN("") : weir_span_of(text, length - 1);
}

void gateway__find_client_address(struct weir_request *request) {
    const struct weir_networks *trusted = &request->held->published->trusted_proxies;
    struct weir_span peer_text = weir_span_of_string(weir_http_connection_peer(request->connection));
    struct weir_address peer;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    struct weir_span address = peer_text;
    if (trusted->count > 0 && weir_address_parse(peer_text, &peer) == WEIR_OK) {
        struct weir_address client = weir_client_address(trusted, &peer, joined(request, WEIR_SPAN("forwarded")),
                                                         joined(request, WEIR_SPAN("x-forwarded-for")));
        weir_address_format(&client, text);
        address = weir_span_of_string(text);
    }
    if (weir_arena_dup(request->arena, address, &request->client_address) != WEIR_OK)
        request->client_address = WEIR_SPAN("");
}

static bool address_allowed(const struct weir_key_rules *rules, struct weir_span text) {
    struct weir_address address;
    return !rules->restricts_addresses ||
           (weir_address_parse(text, &address) == WEIR_OK && weir_networks_contain(&rules->addresses, &address));
}

/* --- from the head --- */

/* Whether the rules name it in so many words: neither silence nor "*" nor a pattern does. */
static bool is_named(const struct weir_key_rules *rules, struct weir_span capability) {
    for (size_t i = 0; rules != NULL && i < rules->capabilities.count; i++)
        if (weir_span_equal(rules->capabilities.at[i], capability))
            return true;
    return false;
}

static enum gateway__next check_head(struct weir_request *request, const struct weir_key_rules *rules) {
    struct weir_span capability = weir_span_of_string(request->endpoint->capability);
    struct weir_span endpoint = weir_span_of_string(request->endpoint->name);
    if (!address_allowed(rules, request->client_address))
        return gateway__fail(request, WEIR_REASON_KEY_ADDRESS_NOT_ALLOWED, NULL, "%.*s",
                             WEIR_SPAN_PRINT(request->client_address));
    if (capability.length > 0 && !weir_rule_list_allows(&rules->capabilities, capability))
        return gateway__fail(request, WEIR_REASON_KEY_CAPABILITY_MISSING, NULL, "%.*s", WEIR_SPAN_PRINT(capability));
    if (!weir_rule_list_allows(&rules->endpoints, endpoint))
        return gateway__fail(request, WEIR_REASON_KEY_ENDPOINT_NOT_ALLOWED, NULL, "%.*s", WEIR_SPAN_PRINT(endpoint));
    if (request->endpoint->hides_models && rules->models.restricts)
        return gateway__fail(
            request, WEIR_REASON_KEY_MODEL_NOT_ALLOWED, NULL,
            "which models this uses stands in a file that is not read, and this key may not use all of them");
    return NEXT;
}

enum gateway__next gateway__step_authorize(struct weir_request *request) {
    const struct weir_key *key = request->key;
    if (key == NULL)
        return NEXT;
    if (atomic_load_explicit(&key->shared->suspended, memory_order_relaxed))
        return gateway__fail(request, WEIR_REASON_WORKSPACE_SUSPENDED, NULL, NULL);
    enum gateway__next next = key->rules == NULL ? NEXT : check_head(request, key->rules);
    if (next == NEXT && request->endpoint->is_explicit &&
        !is_named(key->rules, weir_span_of_string(request->endpoint->capability)))
        return gateway__fail(request, WEIR_REASON_KEY_CAPABILITY_MISSING, NULL,
                             "%s: the key's rules must name it in their capabilities", request->endpoint->capability);
    return next;
}

/* --- the model --- */

bool gateway__model_allowed(const struct weir_request *request, struct weir_span model) {
    const struct weir_key *key = request->key;
    return key == NULL || key->rules == NULL || weir_rule_list_allows(&key->rules->models, model);
}

/* Of what a provider keeps, the provider's own name for the model is known. A key may use it that may use a model by that name, by
 * provider/name, or any model that has it among its targets. */
static bool target_allowed(struct weir_request *request, struct weir_span provider, struct weir_span model) {
    const struct weir_revision *revision = request->held->published->revision;
    const char *long_name = weir_arena_format(request->arena, "%.*s/%.*s", WEIR_SPAN_PRINT(provider),
                                              WEIR_SPAN_PRINT(model));
    if (gateway__model_allowed(request, model) || gateway__model_allowed(request, weir_span_of_string(long_name)))
        return true;
    for (size_t i = 0; i < revision->model_count; i++) {
        const struct weir_model *configured = &revision->models[i];
        for (size_t t = 0; t < configured->target_count; t++)
            if (weir_span_equal(configured->targets[t].provider->name, provider) &&
                weir_span_equal(configured->targets[t].model, model) &&
                gateway__model_allowed(request, configured->name))
                return true;
    }
    for (size_t i = 0; i < revision->pattern_count; i++) {
        const struct weir_model *pattern = &revision->patterns[i];
        for (size_t t = 0; t < pattern->target_count; t++) {
            if (!weir_span_equal(pattern->targets[t].provider->name, provider) ||
                !weir_span_equal(pattern->targets[t].model, WEIR_SPAN("*")))
                continue;
            const char *asked = weir_arena_format(request->arena, "%.*s%.*s", (int)(pattern->name.length - 1),
                                                  pattern->name.at, WEIR_SPAN_PRINT(model));
            if (asked != NULL && gateway__model_allowed(request, weir_span_of_string(asked)))
                return true;
        }
    }
    return false;
}

static enum gateway__next refuse_model(struct weir_request *request, struct weir_span model) {
    return gateway__fail(request, WEIR_REASON_KEY_MODEL_NOT_ALLOWED, "model", "'%.*s'", shown(model.length), model.at);
}

enum gateway__next gateway__step_authorize_model(struct weir_request *request) {
    const struct weir_key *key = request->key;
    if (key == NULL || key->rules == NULL || !key->rules->models.restricts)
        return NEXT;
    const struct weir_issued *issued = &request->issued;
    if (request->endpoint->place == PLACE_OF_ID && issued->model.length > 0 &&
        !target_allowed(request, issued->provider, issued->model))
        return refuse_model(request, issued->model);
    if (request->endpoint->place == PLACE_OF_MODEL && !gateway__model_allowed(request, request->call.model))
        return refuse_model(request, request->call.model);
    return NEXT;
}
