/* Answers that need no provider: health, metrics, the list of models, preflights. */
#include "gateway/impl.h"
#include "json/write.h"

static const struct weir_span json_type = {.at = "application/json", .length = 16};

enum gateway__next gateway__answer_health(struct weir_request *request) {
    enum weir_health_path kind = WEIR_HEALTH_ALL;
    struct weir_buffer body;
    weir_buffer_init(&body, 16 * WEIR_KIB);
    (void)weir_health_path_find(request->head->path, &kind);
    unsigned status = weir_board_write_health(request->worker->gateway->board, kind, &body);
    weir_buffer_append_byte(&body, '\n');
    gateway__answer_body(request, status, json_type, weir_buffer_span(&body));
    weir_buffer_release(&body);
    return NEXT;
}

enum gateway__next gateway__answer_metrics(struct weir_request *request) {
    const struct weir_texts *allow = &gateway__settings(request)->metrics.allow;
    bool allowed = false;
    /* Who scrapes is in our own network: what a proxy says of others does not count. */
    struct weir_span peer = weir_span_of_string(weir_http_connection_peer(request->connection));
    for (size_t i = 0; i < allow->count; i++)
        allowed = allowed || weir_span_equal(allow->at[i], WEIR_SPAN("*")) || weir_span_equal(allow->at[i], peer);
    if (!allowed)
        return gateway__fail(request, WEIR_REASON_ADDRESS_NOT_ALLOWED, NULL, NULL);
    const struct weir_span *accept = weir_http_head_find(request->head, WEIR_SPAN("accept"));
    bool openmetrics = weir_metrics_wants_openmetrics(accept);
    struct weir_buffer body;
    weir_buffer_init(&body, 64 * WEIR_MIB);
    request->worker->gateway->write_metrics(request->worker->gateway->context, openmetrics, &body);
    gateway__answer_body(request, 200, weir_span_of_string(weir_metrics_content_type(openmetrics)),
                         weir_buffer_span(&body));
    weir_buffer_release(&body);
    return NEXT;
}

static void write_model(struct weir_json_writer *writer, struct weir_span id, struct weir_span owner,
                        int64_t created_utc_us) {
    weir_json_write_object(writer);
    weir_json_member_string(writer, "id", id);
    weir_json_member_text(writer, "object", "model");
    weir_json_member_int64(writer, "created", created_utc_us / 1000000);
    weir_json_member_string(writer, "owned_by", owner);
    weir_json_write_end(writer);
}

/* One name after the other of what the provider that takes every name has listed: those that stand nowhere else. */
struct found_writer {
    struct weir_request *request;
    struct weir_json_writer *writer;
};

static void write_found(void *context, struct weir_span name) {
    const struct found_writer *found = context;
    const struct weir_published *published = found->request->held->published;
    const struct weir_provider *provider = published->revision->catch_all;
    struct weir_span rest;
    if (weir_revision_pattern(published->revision, name, &rest) == NULL &&
        weir_prices_find(published->prices, provider->price_name, name) == NULL &&
        weir_revision_model(published->revision, name) == NULL && gateway__model_allowed(found->request, name))
        write_model(found->writer, name, provider->name, published->revision->created_utc_us);
}

/* The provider of a price row's model where a client that asks by the row's name gets it there; NULL: elsewhere, or nowhere. */
static const struct weir_provider *provider_of_price(const struct weir_revision *revision,
                                                     const struct weir_price *price) {
    struct weir_span rest;
    if (price->variant.length > 0 || weir_revision_model(revision, price->model) != NULL)
        return NULL;
    const struct weir_model *pattern = weir_revision_pattern(revision, price->model, &rest);
    if (pattern != NULL && pattern->targets[0].model.length > 0)
        return NULL;
    const struct weir_provider *provider = pattern != NULL ? pattern->targets[0].provider : revision->catch_all;
    return provider != NULL && weir_span_equal(price->provider, provider->price_name) ? provider : NULL;
}

/* Configured models, then those that the price file knows of the providers that names lead to which are configured nowhere, then what else the provider
 * that takes every name has listed; of all these what the key may use. */
enum gateway__next gateway__answer_models(struct weir_request *request) {
    const struct weir_revision *revision = request->held->published->revision;
    const struct weir_prices *prices = request->held->published->prices;
    struct weir_json_writer writer;
    struct weir_buffer body;
    weir_buffer_init(&body, 16 * WEIR_MIB);
    weir_json_writer_init(&writer, &body);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "object", "list");
    weir_json_write_name(&writer, "data");
    weir_json_write_array(&writer);
    for (size_t i = 0; i < revision->model_count; i++) {
        if (!gateway__model_allowed(request, revision->models[i].name))
            continue;
        write_model(&writer, revision->models[i].name, revision->models[i].targets[0].provider->name,
                    revision->created_utc_us);
    }
    for (size_t i = 0; i < weir_prices_count(prices); i++) {
        const struct weir_price *price = weir_prices_at(prices, i);
        const struct weir_provider *provider = provider_of_price(revision, price);
        if (provider != NULL && gateway__model_allowed(request, price->model))
            write_model(&writer, price->model, provider->name, revision->created_utc_us);
    }
    struct found_writer found = {.request = request, .writer = &writer};
    if (revision->catch_all != NULL && request->worker->gateway->found_models != NULL)
        weir_found_models_each(request->worker->gateway->found_models, revision->catch_all->name, write_found, &found);
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    gateway__answer_body(request, 200, json_type, weir_buffer_span(&body));
    weir_buffer_release(&body);
    return NEXT;
}

static bool is_found(const struct weir_request *request, struct weir_span provider, struct weir_span name) {
    struct weir_found_models *found = request->worker->gateway->found_models;
    return found != NULL && weir_found_models_has(found, provider, name);
}

enum gateway__next gateway__answer_model(struct weir_request *request) {
    struct weir_span encoded = request->path_variable;
    size_t length = 0;
    char *name = weir_arena_alloc_raw(request->arena, encoded.length + 1);
    if (name == NULL || weir_url_decode(encoded, name, &length) != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_FIELD_INVALID, "model", "the path's escapes are not valid");
    struct weir_candidates candidates;
    struct weir_span asked = weir_span_of(name, length);
    if (!gateway__model_allowed(request, asked))
        return gateway__fail(request, WEIR_REASON_KEY_MODEL_NOT_ALLOWED, "model", "'%.*s'",
                             (int)(length < 100 ? length : 100), name);
    const struct weir_revision *revision = request->held->published->revision;
    if (weir_route_candidates(revision, asked, 0, &candidates) != WEIR_OK || candidates.count == 0 ||
        ((candidates.model == NULL || candidates.model->is_pattern) &&
         weir_prices_find(request->held->published->prices, candidates.at[0].provider->price_name,
                          candidates.at[0].model) == NULL &&
         !is_found(request, candidates.at[0].provider->name, candidates.at[0].model)))
        return gateway__fail(request, WEIR_REASON_MODEL_NOT_FOUND, "model", "'%.*s'",
                             (int)(length < 100 ? length : 100), name);
    struct weir_json_writer writer;
    struct weir_buffer body;
    weir_buffer_init(&body, 64 * WEIR_KIB);
    weir_json_writer_init(&writer, &body);
    write_model(&writer, asked, candidates.at[0].provider->name, revision->created_utc_us);
    gateway__answer_body(request, 200, json_type, weir_buffer_span(&body));
    weir_buffer_release(&body);
    return NEXT;
}

enum gateway__next gateway__answer_preflight(struct weir_request *request) {
    const struct weir_span *origin = weir_http_head_find(request->head, WEIR_SPAN("origin"));
    const struct weir_span *asked_fields = weir_http_head_find(request->head,
                                                               WEIR_SPAN("access-control-request-headers"));
    if (origin != NULL && !gateway__origin_allowed(request, *origin))
        return gateway__fail(request, WEIR_REASON_ORIGIN_NOT_ALLOWED, NULL, NULL);
    const char *allow = NULL;
    struct weir_span variable;
    (void)gateway__endpoint_find(WEIR_SPAN(""), request->head->path, &variable, &allow);
    struct weir_buffer head;
    weir_buffer_init(&head, 2 * WEIR_MAX_HEAD_BYTES); /* the fields that are asked for, and ours */
    gateway__write_head(request, 204, &head);
    (void)weir_http_write_field(&head, WEIR_SPAN("Allow"),
                                weir_span_of_string(allow != NULL ? allow : "GET, HEAD, POST, OPTIONS"));
    if (origin != NULL) {
        (void)weir_http_write_field(&head, WEIR_SPAN("Access-Control-Allow-Methods"),
                                    weir_span_of_string(allow != NULL ? allow : "GET, POST, OPTIONS"));
        (void)weir_http_write_field(&head, WEIR_SPAN("Access-Control-Allow-Headers"),
                                    asked_fields != NULL ? *asked_fields : WEIR_SPAN("authorization, content-type"));
        (void)weir_http_write_field(&head, WEIR_SPAN("Access-Control-Max-Age"), WEIR_SPAN("600"));
    }
    weir_http_write_head_end(&head);
    const struct weir_span part = weir_buffer_span(&head);
    enum weir_status status = weir_buffer_status(&head);
    if (status == WEIR_OK)
        status = weir_http_connection_write(request->connection, &part, 1);
    weir_buffer_release(&head);
    gateway__client_written(request, status);
    return NEXT;
}
