/* The paths of the data plane: one row each. */
#include "gateway/impl.h"

/* What a key must be able to do, by areas of the gateway. */
static const char inference[] = "inference", billing[] = "billing", admin[] = "admin";

/* What providers make: the model says where it goes. */
#define MAKES(row_name, row_path, row_format, row_bodies)                                                 \
    {                                                                                                     \
        .name = row_name, .method = "POST", .path = row_path, .needs_key = true, .capability = inference, \
        .bodies = row_bodies, .place = PLACE_OF_MODEL, .format = &weir_format_##row_format                \
    }
/* What is done with something that a provider keeps: its id says where it goes. */
#define KEPT(row_name, row_method, row_path)                                                                  \
    {                                                                                                         \
        .name = row_name, .method = row_method, .path = row_path, .needs_key = true, .capability = inference, \
        .place = PLACE_OF_ID, .is_free = true                                                                 \
    }
#define LOCAL(row_name, row_path, function) \
    { .name = row_name, .method = "GET", .path = row_path, .answer = function }

/* Money and plans: answered here, for keys whose rules say so in words. */
#define BILLING(row_name, row_method, row_path, row_bodies, function)                                       \
    {                                                                                                       \
        .name = row_name, .method = row_method, .path = row_path, .needs_key = true, .capability = billing, \
        .is_explicit = true, .bodies = row_bodies, .answer = function                                       \
    }

static const struct gateway__endpoint endpoints[] = {
    MAKES("chat.completions", "/v1/chat/completions", chat, BODY_JSON),
    LOCAL("health", "/health", gateway__answer_health),
    LOCAL("health", "/healthz", gateway__answer_health),
    LOCAL("health", "/livez", gateway__answer_health),
    LOCAL("health", "/live", gateway__answer_health),
    LOCAL("health", "/readyz", gateway__answer_health),
    LOCAL("health", "/ready", gateway__answer_health),
    {.name = "responses",
     .dialect = WEIR_DIALECT_RESPONSES,
     .method = "POST",
     .path = "/v1/responses",
     .needs_key = true,
     .capability = inference,
     .bodies = BODY_JSON,
     .place = PLACE_OF_MODEL,
     .format = &weir_format_responses,
     .issues = true},
    MAKES("embeddings", "/v1/embeddings", embeddings, BODY_JSON),
    MAKES("completions", "/v1/completions", completions, BODY_JSON),
    {.name = "responses.get",
     .method = "GET",
     .path = "/v1/responses/{id}",
     .needs_key = true,
     .capability = inference,
     .place = PLACE_OF_ID,
     .format = &weir_format_responses,
     .is_free = true},
    KEPT("responses.delete", "DELETE", "/v1/responses/{id}"),
    KEPT("responses.cancel", "POST", "/v1/responses/{id}/cancel"),
    KEPT("responses.input_items", "GET", "/v1/responses/{id}/input_items"),
    {.name = "responses.input_tokens",
     .method = "POST",
     .path = "/v1/responses/input_tokens",
     .needs_key = true,
     .capability = inference,
     .bodies = BODY_JSON,
     .place = PLACE_OF_MODEL,
     .format = &weir_format_responses,
     .is_free = true},
    MAKES("responses.compact", "/v1/responses/compact", responses, BODY_JSON),
    MAKES("moderations", "/v1/moderations", moderations, BODY_JSON),
    MAKES("images.generations", "/v1/images/generations", images, BODY_JSON),
    MAKES("images.edits", "/v1/images/edits", images, BODY_JSON | BODY_FORM),
    MAKES("images.variations", "/v1/images/variations", images, BODY_FORM),
    MAKES("audio.speech", "/v1/audio/speech", speech, BODY_JSON),
    MAKES("audio.transcriptions", "/v1/audio/transcriptions", transcriptions, BODY_FORM),
    MAKES("audio.translations", "/v1/audio/translations", transcriptions, BODY_FORM),
    MAKES("rerank", "/v1/rerank", rerank, BODY_JSON),
    MAKES("rerank", "/v2/rerank", rerank, BODY_JSON),
    {.name = "files",
     .method = "POST",
     .path = "/v1/files",
     .needs_key = true,
     .capability = inference,
     .bodies = BODY_FORM,
     .place = PLACE_OF_PROVIDER,
     .format = &weir_format_files,
     .is_free = true,
     .issues = true,
     .once = true},
    {.name = "files.list",
     .method = "GET",
     .path = "/v1/files",
     .needs_key = true,
     .capability = inference,
     .place = PLACE_OF_PROVIDER,
     .is_free = true,
     .lists = true},
    KEPT("files.get", "GET", "/v1/files/{id}"),
    KEPT("files.delete", "DELETE", "/v1/files/{id}"),
    {.name = "files.content",
     .method = "GET",
     .path = "/v1/files/{id}/content",
     .needs_key = true,
     .capability = inference,
     .place = PLACE_OF_ID,
     .format = &weir_format_files,
     .is_free = true},
    {.name = "batches",
     .method = "POST",
     .path = "/v1/batches",
     .needs_key = true,
     .capability = inference,
     .hides_models = true,
     .bodies = BODY_JSON,
     .place = PLACE_OF_PROVIDER,
     .format = &weir_format_batches,
     .is_free = true,
     .issues = true,
     .once = true},
    {.name = "batches.list",
     .method = "GET",
     .path = "/v1/batches",
     .needs_key = true,
     .capability = inference,
     .place = PLACE_OF_PROVIDER,
     .is_free = true,
     .lists = true},
    {.name = "batches.get",
     .method = "GET",
     .path = "/v1/batches/{id}",
     .needs_key = true,
     .capability = inference,
     .place = PLACE_OF_ID,
     .is_free = true,
     .issues = true},
    {.name = "batches.cancel",
     .method = "POST",
     .path = "/v1/batches/{id}/cancel",
     .needs_key = true,
     .capability = inference,
     .place = PLACE_OF_ID,
     .is_free = true,
     .issues = true},
    {.name = "models",
     .method = "GET",
     .path = "/v1/models",
     .needs_key = true,
     .capability = inference,
     .answer = gateway__answer_models},
    {.name = "model",
     .method = "GET",
     .path = "/v1/models/*",
     .needs_key = true,
     .capability = inference,
     .answer = gateway__answer_model},
    /* Any key may have the receipts of its own workspace. */
    {.name = "receipts.keys",
     .method = "GET",
     .path = "/v1/receipts/keys",
     .needs_key = true,
     .answer = gateway__answer_receipt_keys},
    {.name = "receipts.get",
     .method = "GET",
     .path = "/v1/receipts/*",
     .needs_key = true,
     .answer = gateway__answer_receipt},
    BILLING("billing.purchases.create", "POST", "/v1/billing/purchases", BODY_JSON, gateway__billing_purchase_create),
    BILLING("billing.purchases.list", "GET", "/v1/billing/purchases", 0, gateway__billing_purchase_list),
    BILLING("billing.purchases.get", "GET", "/v1/billing/purchases/{id}", 0, gateway__billing_purchase_get),
    BILLING("billing.balance", "GET", "/v1/billing/balance", 0, gateway__billing_balance),
    BILLING("billing.usage", "GET", "/v1/billing/usage", 0, gateway__billing_usage),
    BILLING("billing.plan", "GET", "/v1/billing/plan", 0, gateway__billing_plan),
    BILLING("billing.plan.upgrade", "POST", "/v1/billing/plan/upgrade", BODY_JSON, gateway__billing_plan_upgrade),
    BILLING("billing.plan.downgrade", "POST", "/v1/billing/plan/downgrade", BODY_JSON, gateway__billing_plan_downgrade),
    BILLING("billing.plan.cancel_downgrade", "POST", "/v1/billing/plan/cancel-downgrade", 0,
            gateway__billing_plan_cancel),
    {.name = "models.sync",
     .method = "POST",
     .path = "/v1/admin/models/sync",
     .needs_key = true,
     .capability = admin,
     .is_explicit = true,
     .answer = gateway__models_sync},
    {.name = "billing.payment",
     .method = "POST",
     .path = "/v1/billing/webhooks/payment",
     .answer = gateway__billing_payment},
    LOCAL("metrics", "/metrics", gateway__answer_metrics),
};
/* OPTIONS on any known path: a browser's preflight, or a question for the methods. */
static const struct gateway__endpoint preflight = {.name = "preflight",
                                                   .method = "OPTIONS",
                                                   .path = "*",
                                                   .answer = gateway__answer_preflight};

/* Paths that belong to a vendor's clients whether or not anything is there. */
static const struct {
    const char *prefix;
    enum weir_dialect_kind dialect;
} territories[] = {{"/v1beta/", WEIR_DIALECT_GEMINI},        {"/api/", WEIR_DIALECT_OLLAMA},
                   {"/v1/messages", WEIR_DIALECT_ANTHROPIC}, {"/v1/anthropic/", WEIR_DIALECT_ANTHROPIC},
                   {"/v1/google/", WEIR_DIALECT_GEMINI},     {"/v1/responses", WEIR_DIALECT_RESPONSES}};

const struct weir_dialect *gateway__dialect_of(const struct weir_request *request) {
    if (request->endpoint != NULL && request->endpoint != &preflight)
        return weir_dialect_of(request->endpoint->dialect);
    for (size_t i = 0; i < sizeof territories / sizeof *territories; i++)
        if (weir_span_starts_with(request->head->path, weir_span_of_string(territories[i].prefix)))
            return weir_dialect_of(territories[i].dialect);
    return weir_dialect_of(WEIR_DIALECT_OPENAI);
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

/* `{id}` stands for one segment that is an id, a final `*` for one byte or more. Most patterns differ within their first bytes. */
static bool path_matches(const char *pattern, struct weir_span path, struct weir_span *variable) {
    size_t at = 0;
    while (at < path.length && pattern[at] == path.at[at] && pattern[at] != '{' && pattern[at] != '*')
        at++;
    if (at == path.length)
        return pattern[at] == '\0';
    struct weir_span rest = weir_span_from(path, at);
    if (pattern[at] == '*') {
        *variable = rest;
        return true;
    }
    if (pattern[at] != '{')
        return false;
    struct weir_span after = weir_span_of_string(&pattern[at + strlen("{id}")]);
    const char *slash = memchr(rest.at, '/', rest.length);
    size_t length = slash == NULL ? rest.length : (size_t)(slash - rest.at);
    if (!weir_span_equal(weir_span_from(rest, length), after) || !gateway__is_id(weir_span_first(rest, length)))
        return false;
    *variable = weir_span_first(rest, length);
    return true;
}

static bool method_matches(const struct gateway__endpoint *endpoint, struct weir_span method) {
    if (weir_span_equal(method, weir_span_of_string(endpoint->method)))
        return true;
    return endpoint->answer != NULL && endpoint->method[0] == 'G' && weir_span_equal(method, WEIR_SPAN("HEAD"));
}

enum { TAKES_GET = 1, TAKES_HEAD = 2, TAKES_POST = 4, TAKES_DELETE = 8 };

static unsigned methods_of(const struct gateway__endpoint *endpoint) {
    switch (endpoint->method[0]) {
    case 'G': return endpoint->answer != NULL ? TAKES_GET | TAKES_HEAD : TAKES_GET;
    case 'D': return TAKES_DELETE;
    default: return TAKES_POST;
    }
}

/* NULL: no path takes these. */
static const char *allow_text(unsigned methods) {
    static const char *const texts[16] = {[TAKES_GET] = "GET, OPTIONS",
                                          [TAKES_GET | TAKES_HEAD] = "GET, HEAD, OPTIONS",
                                          [TAKES_POST] = "POST, OPTIONS",
                                          [TAKES_GET | TAKES_POST] = "GET, POST, OPTIONS",
                                          [TAKES_GET | TAKES_HEAD | TAKES_POST] = "GET, HEAD, POST, OPTIONS",
                                          [TAKES_DELETE | TAKES_GET] = "GET, DELETE, OPTIONS",
                                          [TAKES_DELETE | TAKES_GET | TAKES_POST] = "GET, POST, DELETE, OPTIONS"};
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
