/* See dialect.h: all dialects, and whose a request is. */
#include "sim/dialect.h"

/* In the order in which paths that several have are given away. OpenAI's comes first: it claims nothing, and gets what no other claims. */
static const struct sim_dialect *const dialects[] = {
    &sim__openai,
    &sim__anthropic,
    &sim__gemini,
    &sim__ollama,
};
enum { DIALECT_COUNT = sizeof dialects / sizeof dialects[0] };

/* What of a path a pattern's name stands for: one segment, or, of {model}, all up to what follows it. */
static struct weir_span take_name(struct weir_span name, struct weir_span path, struct weir_span suffix) {
    if (!weir_span_equal(name, WEIR_SPAN("{model}"))) {
        return weir_span_first(path, weir_span_index(path, '/'));
    }
    return weir_span_ends_with(path, suffix) ? weir_span_first(path, path.length - suffix.length) : WEIR_SPAN("");
}

/* Compares a path with a row's, from left to right. */
static bool path_fits(struct weir_span pattern, struct weir_span path, struct weir_span *id) {
    while (pattern.length > 0 && path.length > 0) {
        if (pattern.at[0] == '{') {
            size_t end = weir_span_index(pattern, '}') + 1;
            struct weir_span suffix = weir_span_from(pattern, end);
            *id = take_name(weir_span_first(pattern, end), path, suffix);
            if (weir_span_is_empty(*id)) {
                return false;
            }
            path = weir_span_from(path, id->length);
            pattern = suffix;
        } else if (pattern.at[0] != path.at[0]) {
            return false;
        } else {
            pattern = weir_span_from(pattern, 1);
            path = weir_span_from(path, 1);
        }
    }
    return pattern.length == 0 && path.length == 0;
}

const struct sim_endpoint *sim__dialect_endpoint(const struct sim_dialect *dialect, struct weir_span method,
                                                 struct weir_span path, struct weir_span *id) {
    for (const char *const *prefix = dialect->prefixes; *prefix != NULL; prefix++) {
        struct weir_span start = weir_span_of_string(*prefix);
        struct weir_span rest = weir_span_starts_with(path, start) ? weir_span_from(path, start.length) : WEIR_SPAN("");
        for (size_t i = 0; rest.length > 0 && i < dialect->endpoint_count; i++) {
            const struct sim_endpoint *row = &dialect->endpoints[i];
            *id = WEIR_SPAN("");
            if (weir_span_equal(method, weir_span_of_string(row->method)) &&
                path_fits(weir_span_of_string(row->path), rest, id)) {
                return row;
            }
        }
    }
    *id = WEIR_SPAN("");
    return NULL;
}

const struct sim_dialect *sim__dialect_find(const struct sim_caller *caller, struct weir_span method,
                                            const struct sim_endpoint **endpoint, struct weir_span *id) {
    const struct sim_dialect *claimed = NULL;
    for (size_t i = 0; i < DIALECT_COUNT; i++) {
        if (!dialects[i]->claims(caller)) {
            continue;
        }
        claimed = claimed == NULL ? dialects[i] : claimed;
        *endpoint = sim__dialect_endpoint(dialects[i], method, caller->path, id);
        if (*endpoint != NULL) {
            return dialects[i];
        }
    }
    for (size_t i = 0; i < DIALECT_COUNT; i++) {
        *endpoint = sim__dialect_endpoint(dialects[i], method, caller->path, id);
        if (*endpoint != NULL) {
            return dialects[i];
        }
    }
    return claimed != NULL ? claimed : &sim__openai;
}

bool sim__caller_has_bearer(const struct sim_caller *caller) {
    return weir_span_starts_with(caller->authorization, WEIR_SPAN("Bearer ")) &&
           caller->authorization.length > strlen("Bearer ");
}
