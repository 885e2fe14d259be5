/* What the vendors' clients send otherwise than OpenAI's do: where their key is, and what their paths and headers say.
 *
 * A request's dialect is known before anything can fail, so that even the refusal of a missing key has the caller's own shape. A key is taken from the
 * field that the dialect's clients have for it, on the paths of that dialect alone; none of these fields, and no parameter with a key, ever goes on.
 */
#include "gateway/impl.h"

/* --- whose client it is --- */

/* The parameter `key`, also with escapes in its name: who reads it behind us would know it. *value is as it stands there. */
static bool is_key(struct weir_span item, struct weir_span *value) {
    struct weir_span name;
    char text[9]; /* "%6B%65%79" */
    size_t length = 0;
    *value = WEIR_SPAN("");
    (void)weir_span_split(item, '=', &name, value);
    return name.length <= sizeof text && weir_url_decode(name, text, &length) == WEIR_OK &&
           weir_span_equal(weir_span_of(text, length), WEIR_SPAN("key"));
}

static bool has_key(struct weir_span query) {
    struct weir_span item, value;
    for (bool more = query.length > 0; more;) {
        more = weir_span_split(query, '&', &item, &query);
        if (is_key(item, &value))
            return true;
    }
    return false;
}

static bool has_field(const struct weir_request *request, struct weir_span lower_name) {
    return weir_http_head_find(request->head, lower_name) != NULL;
}

/* /v1/models is everybody's. */
static enum weir_dialect_kind dialect_of_fields(const struct weir_request *request) {
    if (has_field(request, WEIR_SPAN("anthropic-version")))
        return WEIR_DIALECT_ANTHROPIC;
    if (has_field(request, WEIR_SPAN("x-goog-api-key")) || has_key(request->head->query))
        return WEIR_DIALECT_GEMINI;
    return WEIR_DIALECT_OPENAI;
}

const struct weir_dialect *gateway__dialect_of(const struct weir_request *request) {
    const struct gateway__endpoint *endpoint = request->endpoint;
    if (endpoint != NULL && endpoint->method[0] != 'O')
        return weir_dialect_of(endpoint->is_shared ? dialect_of_fields(request) : endpoint->dialect);
    enum weir_dialect_kind kind = gateway__dialect_of_path(request->head->path);
    return weir_dialect_of(kind != WEIR_DIALECT_OPENAI ? kind : dialect_of_fields(request));
}

/* --- keys --- */

static bool may_carry_keys(const struct weir_request *request, struct weir_span name) {
    const struct weir_texts *fields = &gateway__settings(request)->auth.key_headers;
    for (size_t i = 0; i < fields->count; i++)
        if (weir_span_equal_ignore_case(fields->at[i], name))
            return true;
    return false;
}

/* Another place that has a key: the same one, or a failure. */
static enum gateway__next take_key(struct weir_request *request, struct weir_span found, struct weir_span *key) {
    if (key->length > 0 && !weir_span_equal(*key, found))
        return gateway__fail(request, WEIR_REASON_KEYS_DIFFER, NULL, NULL);
    *key = found;
    return NEXT;
}

static enum gateway__next take_field(struct weir_request *request, struct weir_span lower_name, struct weir_span *key) {
    const struct weir_span *value = weir_http_head_find(request->head, lower_name);
    if (value == NULL || !may_carry_keys(request, lower_name))
        return NEXT;
    if (weir_http_head_count(request->head, lower_name) > 1)
        return gateway__fail(request, WEIR_REASON_KEY_MALFORMED, NULL, "the header was sent twice");
    if (value->length == 0)
        return gateway__fail(request, WEIR_REASON_KEY_INVALID, NULL, "%.*s is empty", WEIR_SPAN_PRINT(lower_name));
    return take_key(request, *value, key);
}

static enum gateway__next take_parameters(struct weir_request *request, struct weir_span *key) {
    struct weir_span item, value, rest = request->head->query;
    for (bool more = rest.length > 0; more;) {
        more = weir_span_split(rest, '&', &item, &rest);
        if (!is_key(item, &value) || !may_carry_keys(request, WEIR_SPAN("key")))
            continue;
        char *text = weir_arena_alloc_raw(request->arena, value.length + 1);
        size_t length = 0;
        if (text == NULL || weir_url_decode(value, text, &length) != WEIR_OK || length == 0)
            return gateway__fail(request, WEIR_REASON_KEY_INVALID, NULL, "the parameter key has no key");
        if (take_key(request, weir_span_of(text, length), key) == ANSWER)
            return ANSWER;
    }
    return NEXT;
}

enum gateway__next gateway__find_key(struct weir_request *request, struct weir_span *key) {
    const struct weir_span *authorization = weir_http_head_find(request->head, WEIR_SPAN("authorization"));
    enum gateway__next next = NEXT;
    *key = WEIR_SPAN("");
    if (authorization != NULL) {
        if (weir_http_head_count(request->head, WEIR_SPAN("authorization")) > 1)
            return gateway__fail(request, WEIR_REASON_KEY_MALFORMED, NULL, "the header was sent twice");
        enum weir_reason reason = weir_key_from_header(authorization, key);
        if (reason != WEIR_REASON_NONE)
            return gateway__fail(request, reason, NULL, NULL);
    }
    if (request->dialect->kind == WEIR_DIALECT_ANTHROPIC) {
        next = take_field(request, WEIR_SPAN("x-api-key"), key);
    } else if (request->dialect->kind == WEIR_DIALECT_GEMINI) {
        next = take_field(request, WEIR_SPAN("x-goog-api-key"), key);
        if (next == NEXT)
            next = take_parameters(request, key);
    }
    if (next == NEXT && key->length == 0)
        return gateway__fail(request, WEIR_REASON_KEY_MISSING, NULL, NULL);
    return next;
}

struct weir_span gateway__query_to_forward(struct weir_request *request) {
    struct weir_span query = request->head->query, item, value, rest = query;
    if (request->dialect->kind != WEIR_DIALECT_GEMINI || !has_key(query))
        return query;
    char *text = weir_arena_alloc_raw(request->arena, query.length + 1);
    size_t length = 0;
    for (bool more = text != NULL; more;) {
        more = weir_span_split(rest, '&', &item, &rest);
        if (is_key(item, &value))
            continue;
        if (length > 0)
            text[length++] = '&';
        memcpy(&text[length], item.at, item.length);
        length += item.length;
    }
    return length == 0 ? WEIR_SPAN("") : weir_span_of(text, length);
}

/* --- what the path says --- */

enum gateway__next gateway__read_path(struct weir_request *request) {
    struct weir_span encoded = request->path_variable;
    size_t length = 0;
    gateway__find_upload(request);
    if (request->format == NULL || (request->format->flags & WEIR_FORMAT_MODEL_IN_PATH) == 0)
        return NEXT;
    char *name = weir_arena_alloc_raw(request->arena, encoded.length + 1);
    if (name == NULL || weir_url_decode(encoded, name, &length) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_FIELD_INVALID, "model", "the path's escapes are not valid");
    struct weir_span model = weir_span_of(name, length);
    if (strstr(request->endpoint->path, "/tunedModels/") != NULL) {
        const char *tuned = weir_arena_format(request->arena, "tunedModels/%.*s", WEIR_SPAN_PRINT(model));
        if (tuned == NULL)
            return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
        model = weir_span_of_string(tuned);
    } else if (weir_span_starts_with(model, WEIR_SPAN("models/"))) { /* some write it twice */
        model = weir_span_from(model, strlen("models/"));
    }
    if (model.length == 0)
        return gateway__fail(request, WEIR_REASON_FIELD_INVALID, "model", "the path names none");
    request->call.model = model;
    request->call.names_model = true;
    request->call.stream = request->endpoint->streams;
    return NEXT;
}

/* --- who can serve it --- */

enum gateway__next gateway__keep_native(struct weir_request *request) {
    struct weir_candidates *candidates = &request->candidates;
    size_t kept = 0;
    if (gateway__task(request) != WEIR_TASK_NONE)
        return NEXT;
    for (size_t i = 0; i < candidates->count; i++)
        if (gateway__speaks_natively(request, &candidates->at[i]))
            candidates->at[kept++] = candidates->at[i];
    candidates->count = kept;
    return kept > 0 ? NEXT
                    : gateway__fail(request, WEIR_REASON_ENDPOINT_UNSUPPORTED,
                                    request->endpoint->place == PLACE_OF_MODEL ? "model" : NULL, NULL);
}
