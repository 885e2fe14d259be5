/* The models that there are, in the form of who asks: OpenAI's list, Anthropic's pages, Google's pages, Ollama's tags.
 *
 * First the configured ones, then those that the price file knows of the providers that names lead to which are configured nowhere, then what else the
 * provider that takes every name has listed; of all these what the key may use. A page is found by walking over all of them, twice at most: nothing is kept between two pages but the name that a client sends back.
 */
#include "base/clock.h"
#include "gateway/impl.h"
#include "json/write.h"

enum { MOST_BYTES = 16 * 1024 * 1024, PAGE_MOST = 1000 };

static const struct weir_span json_type = {.at = "application/json", .length = 16};

/* --- walking over them --- */

struct walk {
    struct weir_request *request;
    void (*visit)(void *context, struct weir_span name, const struct weir_provider *owner);
    void *context;
};

/* What the provider that takes every name has listed, and what stands nowhere else. */
static void visit_found(void *context, struct weir_span name) {
    const struct walk *walk = context;
    const struct weir_published *published = walk->request->held->published;
    const struct weir_provider *provider = published->revision->catch_all;
    struct weir_span rest;
    if (weir_revision_pattern(published->revision, name, &rest) == NULL &&
        weir_prices_find(published->prices, provider->price_name, name) == NULL &&
        weir_revision_model(published->revision, name) == NULL && gateway__model_allowed(walk->request, name))
        walk->visit(walk->context, name, provider);
}

/* On a lane only what its own API can be asked for is listed. */
static bool is_listed(const struct weir_request *request, const struct weir_provider *provider) {
    const struct weir_target target = {.provider = provider};
    return !request->endpoint->is_native || gateway__speaks_natively(request, &target);
}

static const struct weir_provider *listed_provider(const struct weir_request *request, const struct weir_model *model) {
    for (size_t i = 0; i < model->target_count; i++)
        if (is_listed(request, model->targets[i].provider))
            return model->targets[i].provider;
    return NULL;
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

static void each_model(struct walk *walk) {
    struct weir_request *request = walk->request;
    const struct weir_revision *revision = request->held->published->revision;
    const struct weir_prices *prices = request->held->published->prices;
    struct weir_found_models *found = request->worker->gateway->found_models;
    for (size_t i = 0; i < revision->model_count; i++) {
        const struct weir_provider *provider = listed_provider(request, &revision->models[i]);
        if (provider != NULL && gateway__model_allowed(request, revision->models[i].name))
            walk->visit(walk->context, revision->models[i].name, provider);
    }
    for (size_t i = 0; i < weir_prices_count(prices); i++) {
        const struct weir_price *price = weir_prices_at(prices, i);
        const struct weir_provider *provider = provider_of_price(revision, price);
        if (provider != NULL && is_listed(request, provider) && gateway__model_allowed(request, price->model))
            walk->visit(walk->context, price->model, provider);
    }
    if (revision->catch_all != NULL && is_listed(request, revision->catch_all) && found != NULL)
        weir_found_models_each(found, revision->catch_all->name, visit_found, walk);
}

/* --- one of them --- */

struct writer {
    struct weir_json_writer json;
    int64_t created_utc_us;
    char created[WEIR_TIMESTAMP_SIZE]; /* the same, as RFC 3339 has it */
};

static void writer_init(struct writer *writer, const struct weir_request *request, struct weir_buffer *body) {
    weir_json_writer_init(&writer->json, body);
    writer->created_utc_us = request->held->published->revision->created_utc_us;
    weir_clock_format_utc(writer->created_utc_us, writer->created);
}

static void write_openai(struct writer *writer, struct weir_span name, const struct weir_provider *owner) {
    struct weir_json_writer *json = &writer->json;
    weir_json_write_object(json);
    weir_json_member_string(json, "id", name);
    weir_json_member_text(json, "object", "model");
    weir_json_member_int64(json, "created", writer->created_utc_us / 1000000);
    weir_json_member_string(json, "owned_by", owner->name);
    weir_json_write_end(json);
}

/* What nobody has told us is null: their clients take that for not known. */
static void write_anthropic(struct writer *writer, struct weir_span name, const struct weir_provider *owner) {
    static const char *const unknown[] = {"capabilities",     "deprecated_at", "line",
                                          "max_input_tokens", "max_tokens",    "retires_at"};
    struct weir_json_writer *json = &writer->json;
    (void)owner;
    weir_json_write_object(json);
    weir_json_member_text(json, "type", "model");
    weir_json_member_string(json, "id", name);
    weir_json_member_string(json, "display_name", name);
    weir_json_member_text(json, "created_at", writer->created);
    weir_json_member_text(json, "lifecycle", "active");
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        weir_json_member_text(json, unknown[i], NULL);
    weir_json_write_end(json);
}

static void write_gemini(struct writer *writer, struct weir_span name, const struct weir_provider *owner) {
    static const char *const methods[] = {"generateContent", "streamGenerateContent", "countTokens", "embedContent",
                                          "batchEmbedContents"};
    struct weir_json_writer *json = &writer->json;
    struct weir_buffer long_name;
    bool is_long = weir_span_starts_with(name, WEIR_SPAN("tunedModels/"));
    (void)owner;
    weir_buffer_init(&long_name, WEIR_MAX_URI_BYTES);
    weir_buffer_append(&long_name, is_long ? WEIR_SPAN("") : WEIR_SPAN("models/"));
    weir_buffer_append(&long_name, name);
    weir_json_write_object(json);
    weir_json_member_string(json, "name", weir_buffer_span(&long_name));
    weir_buffer_release(&long_name);
    weir_json_member_string(json, "baseModelId", name);
    weir_json_member_text(json, "version", "");
    weir_json_member_string(json, "displayName", name);
    weir_json_write_name(json, "supportedGenerationMethods");
    weir_json_write_array(json);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        weir_json_write_string(json, weir_span_of_string(methods[i]));
    weir_json_write_end(json);
    weir_json_write_end(json);
}

/* Its clients print these; no file of weights is known here. */
static void write_details(struct weir_json_writer *json, const struct weir_provider *owner) {
    weir_json_write_name(json, "details");
    weir_json_write_object(json);
    weir_json_member_text(json, "parent_model", "");
    weir_json_member_text(json, "format", "");
    weir_json_member_string(json, "family", owner->name);
    weir_json_write_name(json, "families");
    weir_json_write_array(json);
    weir_json_write_string(json, owner->name);
    weir_json_write_end(json);
    weir_json_member_text(json, "parameter_size", "");
    weir_json_member_text(json, "quantization_level", "");
    weir_json_write_end(json);
}

static void write_ollama(struct writer *writer, struct weir_span name, const struct weir_provider *owner) {
    struct weir_json_writer *json = &writer->json;
    weir_json_write_object(json);
    weir_json_member_string(json, "name", name);
    weir_json_member_string(json, "model", name);
    weir_json_member_text(json, "modified_at", writer->created);
    weir_json_member_int64(json, "size", 0);
    weir_json_member_text(json, "digest", "");
    write_details(json, owner);
    weir_json_write_end(json);
}

typedef void (*write_one)(struct writer *writer, struct weir_span name, const struct weir_provider *owner);

static write_one writer_of(enum weir_dialect_kind dialect) {
    switch (dialect) {
    case WEIR_DIALECT_ANTHROPIC: return write_anthropic;
    case WEIR_DIALECT_GEMINI: return write_gemini;
    case WEIR_DIALECT_OLLAMA: return write_ollama;
    case WEIR_DIALECT_OPENAI:
    case WEIR_DIALECT_RESPONSES:
    case WEIR_DIALECT_COUNT:
    default: return write_openai;
    }
}

/* --- pages --- */

/* Names are counted as they come; what stands from `from` on and before `until` is written. */
struct page {
    struct writer *writer;
    write_one write;
    size_t next, from, until;
    /* the name that a page is counted from */
    struct weir_span mark;
    bool mark_found;
    size_t mark_at;
    /* of what was written; in the request's arena */
    struct weir_request *request;
    struct weir_span first, last;
};

static void visit(void *context, struct weir_span name, const struct weir_provider *owner) {
    struct page *page = context;
    size_t place = page->next++;
    if (!page->mark_found && page->mark.length > 0 && weir_span_equal(page->mark, name)) {
        page->mark_found = true;
        page->mark_at = place;
    }
    if (page->writer == NULL || place < page->from || place >= page->until)
        return;
    page->write(page->writer, name, owner);
    if (page->first.length == 0 && weir_arena_dup(page->request->arena, name, &page->first) != WEIR_OK)
        page->first = WEIR_SPAN("");
    if (place + 1 == page->until && weir_arena_dup(page->request->arena, name, &page->last) != WEIR_OK)
        page->last = WEIR_SPAN("");
}

static void walk_page(struct page *page) {
    struct walk walk = {.request = page->request, .visit = visit, .context = page};
    page->next = 0;
    each_model(&walk);
}

static enum gateway__next invalid(struct weir_request *request, const char *name, const char *expected) {
    return gateway__fail(request, WEIR_REASON_FIELD_INVALID, name, "%s", expected);
}

/* A parameter of the query, decoded; empty where it is not there. */
static enum gateway__next parameter(struct weir_request *request, const char *name, struct weir_span *value) {
    char *text = weir_arena_alloc_raw(request->arena, request->query.length + 1);
    size_t length = 0;
    *value = WEIR_SPAN("");
    if (text == NULL)
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    enum weir_status status = weir_url_query_find(request->query, weir_span_of_string(name), text, &length);
    if (status == WEIR_EINVAL)
        return invalid(request, name, "its escapes are not valid");
    if (status == WEIR_OK)
        *value = weir_span_of(text, length);
    return NEXT;
}

static enum gateway__next size_parameter(struct weir_request *request, const char *name, size_t otherwise,
                                         size_t *size) {
    struct weir_span text;
    uint64_t number;
    *size = otherwise;
    if (parameter(request, name, &text) == ANSWER)
        return ANSWER;
    if (text.length == 0)
        return NEXT;
    if (weir_span_to_uint64(text, &number) != WEIR_OK || number == 0)
        return invalid(request, name, "expected a number from 1 to 1000");
    *size = number < PAGE_MOST ? (size_t)number : PAGE_MOST;
    return NEXT;
}

/* Begins the page behind (or before) the mark. *count becomes how many there are in all. */
static enum gateway__next place_page(struct page *page, const char *mark_name, bool before, size_t size,
                                     size_t *count) {
    walk_page(page);
    *count = page->next;
    if (page->mark.length > 0 && !page->mark_found)
        return invalid(page->request, mark_name, "it names no model of this list");
    if (page->mark.length == 0) {
        page->from = 0;
        page->until = size;
    } else if (before) {
        page->from = page->mark_at > size ? page->mark_at - size : 0;
        page->until = page->mark_at;
    } else {
        page->from = page->mark_at + 1;
        page->until = page->from + size;
    }
    if (page->until > *count)
        page->until = *count;
    return NEXT;
}

static enum gateway__next anthropic_page(struct weir_request *request, struct page *page) {
    struct weir_span after, before;
    struct weir_json_writer *json = &page->writer->json;
    struct writer *writer = page->writer;
    size_t size = 0, count = 0;
    if (size_parameter(request, "limit", 20, &size) == ANSWER || parameter(request, "after_id", &after) == ANSWER ||
        parameter(request, "before_id", &before) == ANSWER)
        return ANSWER;
    bool backwards = before.length > 0;
    page->mark = backwards ? before : after;
    page->writer = NULL;
    if (place_page(page, backwards ? "before_id" : "after_id", backwards, size, &count) == ANSWER)
        return ANSWER;
    page->writer = writer;
    weir_json_write_object(json);
    weir_json_write_name(json, "data");
    weir_json_write_array(json);
    walk_page(page);
    weir_json_write_end(json);
    weir_json_member_bool(json, "has_more", backwards ? page->from > 0 : page->until < count);
    weir_json_write_name(json, "first_id");
    if (page->first.length > 0)
        weir_json_write_string(json, page->first);
    else
        weir_json_write_null(json);
    weir_json_write_name(json, "last_id");
    if (page->last.length > 0)
        weir_json_write_string(json, page->last);
    else
        weir_json_write_null(json);
    weir_json_write_end(json);
    return NEXT;
}

/* The token of a page is the last name of the one before. */
static enum gateway__next gemini_page(struct weir_request *request, struct page *page) {
    struct weir_json_writer *json = &page->writer->json;
    struct writer *writer = page->writer;
    size_t size = 0, count = 0;
    if (size_parameter(request, "pageSize", 50, &size) == ANSWER ||
        parameter(request, "pageToken", &page->mark) == ANSWER)
        return ANSWER;
    page->writer = NULL;
    if (place_page(page, "pageToken", false, size, &count) == ANSWER)
        return ANSWER;
    page->writer = writer;
    weir_json_write_object(json);
    weir_json_write_name(json, "models");
    weir_json_write_array(json);
    walk_page(page);
    weir_json_write_end(json);
    if (page->until < count && page->last.length > 0)
        weir_json_member_string(json, "nextPageToken", page->last);
    weir_json_write_end(json);
    return NEXT;
}

static enum gateway__next whole_list(struct page *page, const char *name) {
    struct weir_json_writer *json = &page->writer->json;
    page->until = SIZE_MAX;
    weir_json_write_object(json);
    if (page->write == write_openai)
        weir_json_member_text(json, "object", "list");
    weir_json_write_name(json, name);
    weir_json_write_array(json);
    walk_page(page);
    weir_json_write_end(json);
    weir_json_write_end(json);
    return NEXT;
}

static enum gateway__next answer(struct weir_request *request, struct weir_buffer *body, enum gateway__next next) {
    if (next == NEXT && weir_buffer_status(body) != WEIR_OK)
        next = gateway__fail(request, WEIR_REASON_INTERNAL, NULL, NULL);
    if (next == NEXT)
        gateway__answer_body(request, 200, json_type, weir_buffer_span(body));
    weir_buffer_release(body);
    return next;
}

enum gateway__next gateway__answer_models(struct weir_request *request) {
    struct weir_buffer body;
    struct writer writer;
    enum weir_dialect_kind dialect = request->dialect->kind;
    enum gateway__next next;
    weir_buffer_init(&body, MOST_BYTES);
    writer_init(&writer, request, &body);
    struct page page = {.request = request,
                        .writer = &writer,
                        .write = writer_of(dialect),
                        .mark = WEIR_SPAN(""),
                        .first = WEIR_SPAN(""),
                        .last = WEIR_SPAN("")};
    if (dialect == WEIR_DIALECT_ANTHROPIC)
        next = anthropic_page(request, &page);
    else if (dialect == WEIR_DIALECT_GEMINI)
        next = gemini_page(request, &page);
    else
        next = whole_list(&page, dialect == WEIR_DIALECT_OLLAMA ? "models" : "data");
    return answer(request, &body, next);
}

/* --- one model --- */

static bool is_found(const struct weir_request *request, struct weir_span provider, struct weir_span name) {
    struct weir_found_models *found = request->worker->gateway->found_models;
    return found != NULL && weir_found_models_has(found, provider, name);
}

/* Whose model it is; a failure where there is none, or the key may not use it. */
static enum gateway__next find_model(struct weir_request *request, struct weir_span name,
                                     const struct weir_provider **owner) {
    const struct weir_published *published = request->held->published;
    int shown = (int)(name.length < 100 ? name.length : 100);
    struct weir_candidates candidates;
    if (!gateway__model_allowed(request, name))
        return gateway__fail(request, WEIR_REASON_KEY_MODEL_NOT_ALLOWED, "model", "'%.*s'", shown, name.at);
    if (weir_route_candidates(published->revision, name, 0, &candidates) != WEIR_OK || candidates.count == 0 ||
        ((candidates.model == NULL || candidates.model->is_pattern) &&
         weir_prices_find(published->prices, candidates.at[0].provider->price_name, candidates.at[0].model) == NULL &&
         !is_found(request, candidates.at[0].provider->name, candidates.at[0].model)))
        return gateway__fail(request, WEIR_REASON_MODEL_NOT_FOUND, "model", "'%.*s'", shown, name.at);
    *owner = candidates.at[0].provider;
    return NEXT;
}

enum gateway__next gateway__answer_model(struct weir_request *request) {
    struct weir_span encoded = request->path_variable;
    const struct weir_provider *owner = NULL;
    size_t length = 0;
    char *text = weir_arena_alloc_raw(request->arena, encoded.length + 1);
    if (text == NULL || weir_url_decode(encoded, text, &length) != WEIR_OK)
        return invalid(request, "model", "the path's escapes are not valid");
    struct weir_span name = weir_span_of(text, length);
    if (find_model(request, name, &owner) == ANSWER)
        return ANSWER;
    struct weir_buffer body;
    struct writer writer;
    weir_buffer_init(&body, 64 * WEIR_KIB);
    writer_init(&writer, request, &body);
    writer_of(request->dialect->kind)(&writer, name, owner);
    return answer(request, &body, NEXT);
}

/* --- what Ollama's clients ask besides --- */

/* {"model": …}, or "name" as older clients have it. */
enum gateway__next gateway__answer_show(struct weir_request *request) {
    static const struct weir_json_want wants[] = {{"model"}, {"name"}};
    struct weir_json_found found[2], root;
    const struct weir_provider *owner = NULL;
    if (weir_json_scan(weir_buffer_span(&request->body), wants, 2, found, &root, NULL) != WEIR_OK ||
        root.kind != WEIR_JSON_OBJECT)
        return gateway__fail(request, WEIR_REASON_JSON_INVALID, NULL, "expected an object with a model");
    const struct weir_json_found *member = found[0].kind == WEIR_JSON_STRING ? &found[0] : &found[1];
    size_t length = 0;
    char *text = weir_arena_alloc_raw(request->arena, member->value.length + 1);
    if (text == NULL || member->kind != WEIR_JSON_STRING ||
        weir_json_decode(member->value, text, member->value.length, &length) != WEIR_OK || length == 0)
        return gateway__fail(request, WEIR_REASON_FIELD_MISSING, "model", "expected the name of a model");
    struct weir_span name = weir_span_of(text, length);
    if (find_model(request, name, &owner) == ANSWER)
        return ANSWER;
    struct weir_buffer body;
    struct writer writer;
    weir_buffer_init(&body, 64 * WEIR_KIB);
    writer_init(&writer, request, &body);
    struct weir_json_writer *json = &writer.json;
    weir_json_write_object(json);
    weir_json_member_text(json, "modelfile", "");
    weir_json_member_text(json, "parameters", "");
    weir_json_member_text(json, "template", "");
    write_details(json, owner);
    weir_json_write_name(json, "model_info");
    weir_json_write_object(json);
    weir_json_write_end(json);
    weir_json_write_name(json, "capabilities");
    weir_json_write_array(json);
    weir_json_write_string(json, WEIR_SPAN("completion"));
    weir_json_write_string(json, WEIR_SPAN("tools"));
    weir_json_write_end(json);
    weir_json_member_text(json, "modified_at", writer.created);
    weir_json_write_end(json);
    return answer(request, &body, NEXT);
}

/* Which models a provider has in memory is its own affair. */
enum gateway__next gateway__answer_loaded(struct weir_request *request) {
    gateway__answer_body(request, 200, json_type, WEIR_SPAN("{\"models\":[]}"));
    return NEXT;
}

/* Clients ask for the version to know what they may send: that of the API that this gateway speaks. */
enum gateway__next gateway__answer_ollama_version(struct weir_request *request) {
    gateway__answer_body(request, 200, json_type, WEIR_SPAN("{\"version\":\"0.13.5\"}"));
    return NEXT;
}

/* Ollama's own clients look here whether a server is running; for all others there is nothing at "/". */
enum gateway__next gateway__answer_root(struct weir_request *request) {
    const struct weir_span *agent = weir_http_head_find(request->head, WEIR_SPAN("user-agent"));
    if (agent == NULL || !weir_span_starts_with(*agent, WEIR_SPAN("ollama")))
        return gateway__fail(request, WEIR_REASON_PATH_NOT_FOUND, NULL, "/");
    gateway__answer_body(request, 200, WEIR_SPAN("text/plain; charset=utf-8"), WEIR_SPAN("Ollama is running"));
    return NEXT;
}
