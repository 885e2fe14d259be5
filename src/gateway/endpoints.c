/* The paths of the data plane: one row each. */
#include "gateway/impl.h"

/* What a key must be able to do, by areas of the gateway. */
static const char inference[] = "inference", billing[] = "billing", admin[] = "admin";

/* What providers make: the model says where it goes. */
#define MAKES(row_name, row_path, row_format, row_bodies, ...) \
    {.name = row_name,                                         \
     .method = "POST",                                         \
     .path = row_path,                                         \
     .needs_key = true,                                        \
     .capability = inference,                                  \
     .bodies = row_bodies,                                     \
     .place = PLACE_OF_MODEL,                                  \
     .format = &weir_format_##row_format,                      \
     ##__VA_ARGS__},
/* What a provider is given to keep: it gives out an id, and is asked once. */
#define STORES(row_name, row_path, row_format, row_bodies, ...) \
    {.name = row_name,                                          \
     .method = "POST",                                          \
     .path = row_path,                                          \
     .needs_key = true,                                         \
     .capability = inference,                                   \
     .bodies = row_bodies,                                      \
     .place = PLACE_OF_PROVIDER,                                \
     .format = &weir_format_##row_format,                       \
     .is_free = true,                                           \
     .issues = true,                                            \
     .once = true,                                              \
     ##__VA_ARGS__},
#define LISTS(row_name, row_path, ...) \
    {.name = row_name,                 \
     .method = "GET",                  \
     .path = row_path,                 \
     .needs_key = true,                \
     .capability = inference,          \
     .place = PLACE_OF_PROVIDER,       \
     .is_free = true,                  \
     .lists = true,                    \
     ##__VA_ARGS__},
/* What is done with something that a provider keeps: its id says where it goes. */
#define KEPT(row_name, row_method, row_path, ...) \
    {.name = row_name,                            \
     .method = row_method,                        \
     .path = row_path,                            \
     .needs_key = true,                           \
     .capability = inference,                     \
     .place = PLACE_OF_ID,                        \
     .is_free = true,                             \
     ##__VA_ARGS__},
/* What is answered here: to anybody, and for a key. */
#define LOCAL(row_name, row_path, function, ...) \
    {.name = row_name, .method = "GET", .path = row_path, .answer = function, ##__VA_ARGS__},
#define TOLD(row_name, row_method, row_path, row_capability, function, ...) \
    {.name = row_name,                                                      \
     .method = row_method,                                                  \
     .path = row_path,                                                      \
     .needs_key = true,                                                     \
     .capability = row_capability,                                          \
     .answer = function,                                                    \
     ##__VA_ARGS__},
/* What Google's clients ask of a model, below one version. */
#define GEMINI(version, ...)                                                                                           \
    MAKES("generate_content", version "/models/*:generateContent", generate_content, BODY_JSON,                        \
          .dialect = WEIR_DIALECT_GEMINI, ##__VA_ARGS__)                                                               \
    MAKES("generate_content", version "/models/*:streamGenerateContent", generate_content, BODY_JSON,                  \
          .dialect = WEIR_DIALECT_GEMINI, .streams = true, ##__VA_ARGS__)                                              \
    MAKES("generate_content", version "/tunedModels/*:generateContent", generate_content, BODY_JSON,                   \
          .dialect = WEIR_DIALECT_GEMINI, ##__VA_ARGS__)                                                               \
    MAKES("generate_content", version "/tunedModels/*:streamGenerateContent", generate_content, BODY_JSON,             \
          .dialect = WEIR_DIALECT_GEMINI, .streams = true, ##__VA_ARGS__)                                              \
    MAKES("gemini.count_tokens", version "/models/*:countTokens", count_tokens_gemini, BODY_JSON,                      \
          .dialect = WEIR_DIALECT_GEMINI, .is_free = true, ##__VA_ARGS__)                                              \
    MAKES("embed_content", version "/models/*:embedContent", embed_content, BODY_JSON, .dialect = WEIR_DIALECT_GEMINI, \
          ##__VA_ARGS__)                                                                                               \
    MAKES("batch_embed_contents", version "/models/*:batchEmbedContents", batch_embed_contents, BODY_JSON,             \
          .dialect = WEIR_DIALECT_GEMINI, ##__VA_ARGS__)
/* Money and plans: answered here, for keys whose rules say so in words. */
#define BILLING(row_name, row_method, row_path, row_bodies, function) \
    {.name = row_name,                                                \
     .method = row_method,                                            \
     .path = row_path,                                                \
     .needs_key = true,                                               \
     .capability = billing,                                           \
     .is_explicit = true,                                             \
     .bodies = row_bodies,                                            \
     .answer = function},

/* A lane is a vendor's own API, path for path, behind these. */
#define ANTHROPIC "/v1/anthropic/v1"
#define ANTHROPIC_LANE .dialect = WEIR_DIALECT_ANTHROPIC, .is_native = true, .base = sizeof ANTHROPIC - 1
#define GOOGLE_LANE .dialect = WEIR_DIALECT_GEMINI, .is_native = true, .base = sizeof GOOGLE - 1

static const struct gateway__endpoint endpoints[] = {
#include "gateway/endpoints.def"
};
/* OPTIONS on any known path: a browser's preflight, or a question for the methods. */
static const struct gateway__endpoint preflight = {.name = "preflight",
                                                   .method = "OPTIONS",
                                                   .path = "*",
                                                   .answer = gateway__answer_preflight};

/* Paths that belong to a vendor's clients whether or not anything is there. */
enum weir_dialect_kind gateway__dialect_of_path(struct weir_span path) {
    static const struct {
        const char *prefix;
        enum weir_dialect_kind dialect;
    } territories[] = {{"/v1beta/", WEIR_DIALECT_GEMINI},        {"/api/", WEIR_DIALECT_OLLAMA},
                       {"/v1/messages", WEIR_DIALECT_ANTHROPIC}, {"/v1/anthropic/", WEIR_DIALECT_ANTHROPIC},
                       {"/v1/google/", WEIR_DIALECT_GEMINI},     {"/v1/responses", WEIR_DIALECT_RESPONSES}};
    for (size_t i = 0; i < sizeof territories / sizeof *territories; i++)
        if (weir_span_starts_with(path, weir_span_of_string(territories[i].prefix)))
            return territories[i].dialect;
    return WEIR_DIALECT_OPENAI;
}

const char *weir_gateway_endpoint_name(size_t index) {
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++)
        if (endpoints[i].needs_key && index-- == 0)
            return endpoints[i].name;
    return NULL;
}

const char *weir_gateway_capability_name(size_t index) {
    static const char *const names[] = {inference, billing, admin};
    return index < sizeof names / sizeof *names ? names[index] : NULL;
}

/* An id of a provider's making goes into a path of ours: bytes that mean something there are never part of one. */
bool gateway__is_id(struct weir_span segment) {
    for (size_t i = 0; i < segment.length; i++) {
        unsigned char byte = (unsigned char)segment.at[i];
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
        if (!plain && memchr("_-.:", byte, 4) == NULL)
            return false;
    }
    return segment.length > 0 && segment.length <= 256 && segment.at[0] != '.';
}

/* `{id}` stands for one segment (or what a ':' leaves of it) that is an id, `*` for one byte or more; what stands behind either ends the path. Most patterns
 * differ within their first bytes. */
static bool path_matches(const char *pattern, struct weir_span path, struct weir_span *variable) {
    size_t at = 0;
    while (at < path.length && pattern[at] == path.at[at] && pattern[at] != '{' && pattern[at] != '*')
        at++;
    if (at == path.length)
        return pattern[at] == '\0';
    if (pattern[at] != '{' && pattern[at] != '*')
        return false;
    bool is_id = pattern[at] == '{';
    struct weir_span rest = weir_span_from(path, at);
    struct weir_span after = weir_span_of_string(&pattern[at + (is_id ? strlen("{id}") : 1)]);
    if (rest.length <= after.length || !weir_span_ends_with(rest, after))
        return false;
    *variable = weir_span_first(rest, rest.length - after.length);
    return !is_id || gateway__is_id(*variable);
}

static bool method_matches(const struct gateway__endpoint *endpoint, struct weir_span method) {
    if (weir_span_equal(method, weir_span_of_string(endpoint->method)))
        return true;
    return endpoint->answer != NULL && endpoint->method[0] == 'G' && weir_span_equal(method, WEIR_SPAN("HEAD"));
}

enum { TAKES_GET = 1, TAKES_HEAD = 2, TAKES_POST = 4, TAKES_DELETE = 8, TAKES_PATCH = 16 };

static unsigned methods_of(const struct gateway__endpoint *endpoint) {
    switch (endpoint->method[0]) {
    case 'G': return endpoint->answer != NULL ? TAKES_GET | TAKES_HEAD : TAKES_GET;
    case 'D': return TAKES_DELETE;
    default: return endpoint->method[1] == 'A' ? TAKES_PATCH : TAKES_POST;
    }
}

/* NULL: no path takes these. */
static const char *allow_text(unsigned methods) {
    static const char *const texts[32] = {[TAKES_GET] = "GET, OPTIONS",
                                          [TAKES_GET | TAKES_HEAD] = "GET, HEAD, OPTIONS",
                                          [TAKES_POST] = "POST, OPTIONS",
                                          [TAKES_GET | TAKES_POST] = "GET, POST, OPTIONS",
                                          [TAKES_GET | TAKES_HEAD | TAKES_POST] = "GET, HEAD, POST, OPTIONS",
                                          [TAKES_DELETE | TAKES_GET] = "GET, DELETE, OPTIONS",
                                          [TAKES_DELETE | TAKES_GET | TAKES_POST] = "GET, POST, DELETE, OPTIONS",
                                          [TAKES_DELETE | TAKES_GET | TAKES_PATCH] = "GET, PATCH, DELETE, OPTIONS"};
    return texts[methods];
}

const struct gateway__endpoint *gateway__endpoint_find(struct weir_span method, struct weir_span path,
                                                       struct weir_span *variable, const char **allow) {
    bool known = weir_span_equal(path, WEIR_SPAN("*"));
    unsigned methods = 0;
    *variable = WEIR_SPAN("");
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        if (!path_matches(endpoints[i].path, path, variable))
            continue;
        known = true;
        methods |= methods_of(&endpoints[i]);
        if (method_matches(&endpoints[i], method))
            return &endpoints[i];
    }
    *allow = allow_text(methods);
    if (known && weir_span_equal(method, WEIR_SPAN("OPTIONS")))
        return &preflight;
    return NULL;
}

size_t gateway__version_end(const struct weir_request *request) {
    if (request->endpoint->base != 0)
        return request->endpoint->base;
    switch (request->endpoint->dialect) {
    case WEIR_DIALECT_GEMINI: return strlen("/v1beta");
    case WEIR_DIALECT_OLLAMA: return 0;
    case WEIR_DIALECT_OPENAI:
    case WEIR_DIALECT_RESPONSES:
    case WEIR_DIALECT_ANTHROPIC:
    case WEIR_DIALECT_COUNT:
    default: return strlen("/v1");
    }
}
