/* The paths of the data plane: one row each. */
#include "gateway/impl.h"

static const struct gateway__endpoint endpoints[] = {
    {.name = "chat.completions",
     .method = "POST",
     .path = "/v1/chat/completions",
     .needs_key = true,
     .is_inference = true},
    {.name = "models", .method = "GET", .path = "/v1/models", .needs_key = true, .answer = gateway__answer_models},
    {.name = "model", .method = "GET", .path = "/v1/models/*", .needs_key = true, .answer = gateway__answer_model},
    {.name = "health", .method = "GET", .path = "/health", .answer = gateway__answer_health},
    {.name = "health", .method = "GET", .path = "/healthz", .answer = gateway__answer_health},
    {.name = "health", .method = "GET", .path = "/livez", .answer = gateway__answer_health},
    {.name = "health", .method = "GET", .path = "/live", .answer = gateway__answer_health},
    {.name = "health", .method = "GET", .path = "/readyz", .answer = gateway__answer_health},
    {.name = "health", .method = "GET", .path = "/ready", .answer = gateway__answer_health},
    {.name = "metrics", .method = "GET", .path = "/metrics", .answer = gateway__answer_metrics},
};
/* OPTIONS on any known path: a browser's preflight, or a question for the methods. */
static const struct gateway__endpoint preflight = {.name = "preflight",
                                                   .method = "OPTIONS",
                                                   .path = "*",
                                                   .answer = gateway__answer_preflight};

static bool path_matches(struct weir_span pattern, struct weir_span path) {
    if (!weir_span_ends_with(pattern, WEIR_SPAN("*")))
        return weir_span_equal(pattern, path);
    return path.length >= pattern.length && weir_span_starts_with(path, weir_span_first(pattern, pattern.length - 1));
}

static bool method_matches(const struct gateway__endpoint *endpoint, struct weir_span method) {
    if (weir_span_equal(method, weir_span_of_string(endpoint->method)))
        return true;
    return weir_span_equal(method, WEIR_SPAN("HEAD")) &&
           weir_span_equal(weir_span_of_string(endpoint->method), WEIR_SPAN("GET"));
}

const struct gateway__endpoint *gateway__endpoint_find(struct weir_span method, struct weir_span path,
                                                       const char **allow) {
    bool known = weir_span_equal(path, WEIR_SPAN("*"));
    *allow = NULL;
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        if (!path_matches(weir_span_of_string(endpoints[i].path), path))
            continue;
        known = true;
        *allow = endpoints[i].method[0] == 'G' ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
        if (method_matches(&endpoints[i], method))
            return &endpoints[i];
    }
    if (known && weir_span_equal(method, WEIR_SPAN("OPTIONS")))
        return &preflight;
    return NULL;
}

struct weir_span gateway__path_rest(const struct weir_request *request) {
    return weir_span_from(request->head->path, strlen(request->endpoint->path) - 1);
}
