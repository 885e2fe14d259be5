/* What providers keep for clients: responses, files, batches.
 *
 * An id means something to the provider that issued it and to nobody else, and a provider's account is shared by all workspaces: so every id that passes
 * is noted with its provider and workspace, a request that names one goes there or nowhere, and lists lose what belongs to others. What is
 * known lately is in memory; the rest is asked of the store, without holding up the loop.
 */
#include "base/memory.h"
#include "gateway/impl.h"

/* --- asking the store --- */

void gateway__lookup_drop(struct weir_request *request) {
    if (request->lookup == NULL)
        return;
    request->lookup->request = NULL; /* the reply finds nobody, and frees it */
    request->lookup = NULL;
}

struct gateway__lookup *gateway__lookup_new(struct weir_request *request) {
    struct gateway__lookup *lookup = weir_memory_new(1, sizeof *lookup);
    if (lookup == NULL)
        return NULL;
    lookup->request = request;
    request->lookup = lookup;
    weir_list_append(&request->worker->lookups, &lookup->link);
    return lookup;
}

static void lookup_free(struct gateway__lookup *lookup) {
    weir_list_remove(&lookup->link);
    weir_memory_free(lookup);
}

void gateway__lookups_free(struct weir_worker *worker) {
    while (!weir_list_is_empty(&worker->lookups))
        lookup_free(WEIR_CONTAINER_OF(worker->lookups.next, struct gateway__lookup, link));
}

static enum gateway__next store_unavailable(struct weir_request *request) {
    return gateway__fail(request, WEIR_REASON_STORE_UNAVAILABLE, NULL, NULL);
}

static enum gateway__next ask(struct weir_request *request, const struct weir_span *ids, size_t count,
                              weir_store_issued_reply reply) {
    struct gateway__lookup *lookup = gateway__lookup_new(request);
    if (lookup == NULL)
        return store_unavailable(request);
    struct weir_worker *worker = request->worker;
    if (weir_store_issued_find(worker->gateway->store, worker->loop, ids, count, reply, lookup) == WEIR_OK)
        return WAIT;
    request->lookup = NULL;
    lookup_free(lookup);
    return store_unavailable(request);
}

struct weir_request *gateway__lookup_take(struct gateway__lookup *lookup) {
    struct weir_request *request = lookup->request;
    lookup_free(lookup);
    if (request != NULL)
        request->lookup = NULL;
    return request;
}

static bool is_own(const struct weir_request *request, const struct weir_issued *issued) {
    return issued->provider.length > 0 && weir_span_equal(issued->workspace, request->key->workspace);
}

/* --- one id --- */

static struct weir_span named_id(const struct weir_request *request) {
    return request->endpoint->place == PLACE_OF_ID ? request->path_variable : request->call.issued_id;
}

/* Google's clients name a thing by its whole name, whose first part is the path's own. */
static enum gateway__next complete_id(struct weir_request *request) {
    const char *prefix = request->endpoint->id_prefix;
    if (prefix == NULL)
        return NEXT;
    char *name = weir_arena_format(request->arena, "%s%.*s", prefix, WEIR_SPAN_PRINT(request->path_variable));
    if (name == NULL)
        return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
    request->path_variable = weir_span_of_string(name);
    return NEXT;
}

/* What belongs to another workspace is, to this one, not there. */
static enum gateway__next check_owner(struct weir_request *request) {
    struct weir_span id = named_id(request);
    if (is_own(request, &request->issued))
        return NEXT;
    bool previous = request->endpoint->place == PLACE_OF_MODEL;
    return gateway__fail(request, previous ? WEIR_REASON_PREVIOUS_RESPONSE_NOT_FOUND : WEIR_REASON_OBJECT_NOT_FOUND,
                         request->call.issued_field, "'%.*s'", (int)(id.length < 100 ? id.length : 100), id.at);
}

static void on_located(void *context, enum weir_status status, const struct weir_issued *found, size_t count,
                       const struct weir_error *error) {
    struct weir_request *request = gateway__lookup_take(context);
    (void)error;
    if (request == NULL)
        return;
    if (status != WEIR_OK || count != 1) {
        gateway__resume(request, store_unavailable(request));
        return;
    }
    struct weir_issued *issued = &request->issued;
    *issued = *found;
    if (weir_arena_dup(request->arena, found->provider, &issued->provider) != WEIR_OK ||
        weir_arena_dup(request->arena, found->model, &issued->model) != WEIR_OK ||
        weir_arena_dup(request->arena, found->workspace, &issued->workspace) != WEIR_OK) {
        gateway__resume(request, gateway__fail(request, WEIR_REASON_INTERNAL, NULL, NULL));
        return;
    }
    issued->id = named_id(request);
    if (issued->provider.length > 0)
        weir_issued_put(request->worker->gateway->issued, issued);
    gateway__resume(request, check_owner(request));
}

enum gateway__next gateway__step_locate(struct weir_request *request) {
    if (complete_id(request) == ANSWER)
        return ANSWER;
    struct weir_span id = named_id(request);
    if (id.length == 0)
        return NEXT;
    if (weir_issued_get(request->worker->gateway->issued, id, request->arena, &request->issued))
        return check_owner(request);
    return ask(request, &id, 1, on_located);
}

/* --- where it goes --- */

static enum gateway__next one_candidate(struct weir_request *request, const struct weir_provider *provider,
                                        struct weir_span model) {
    request->candidates.model = NULL;
    request->candidates.count = 1;
    request->candidates.at[0] = (struct weir_target){.provider = provider, .model = model, .weight = 1};
    request->call.model = model;
    return NEXT;
}

/* Of those that speak the endpoint's dialect, the one that takes every name, or the only one. */
static const struct weir_provider *usual_provider(const struct weir_request *request, size_t *count) {
    const struct weir_revision *revision = request->held->published->revision;
    const struct weir_provider *only = NULL;
    *count = 0;
    for (size_t i = 0; i < revision->provider_count; i++) {
        const struct weir_target target = {.provider = &revision->providers[i]};
        if (!gateway__speaks_natively(request, &target))
            continue;
        if (target.provider == revision->catch_all)
            return target.provider;
        only = target.provider;
        ++*count;
    }
    return *count == 1 ? only : NULL;
}

/* The client names the provider, or there is only one that can be meant. */
static enum gateway__next named_provider(struct weir_request *request, const struct weir_provider **provider) {
    const struct weir_span *name = weir_http_head_find(request->head, WEIR_SPAN("x-weir-provider"));
    size_t possible = 0;
    if (name != NULL)
        *provider = weir_revision_provider(request->held->published->revision, *name);
    else
        *provider = usual_provider(request, &possible);
    if (*provider != NULL)
        return NEXT;
    if (name == NULL)
        return gateway__fail(request, possible == 0 ? WEIR_REASON_ENDPOINT_UNSUPPORTED : WEIR_REASON_PROVIDER_NOT_NAMED,
                             NULL, NULL);
    return gateway__fail(request, WEIR_REASON_PROVIDER_UNKNOWN, "x-weir-provider", "'%.*s'",
                         (int)(name->length < 100 ? name->length : 100), name->at);
}

enum gateway__next gateway__route_stored(struct weir_request *request) {
    const struct weir_provider *provider = NULL;
    if (request->issued.provider.length == 0) {
        enum gateway__next next = named_provider(request, &provider);
        if (next == NEXT)
            next = one_candidate(request, provider, WEIR_SPAN(""));
        return next == NEXT ? gateway__keep_native(request) : next;
    }
    provider = weir_revision_provider(request->held->published->revision, request->issued.provider);
    if (provider == NULL)
        return gateway__fail(request, WEIR_REASON_NO_PROVIDER, NULL, "the one that has this object is not configured");
    return one_candidate(request, provider,
                         request->endpoint->elsewhere == NULL ? request->issued.model : WEIR_SPAN(""));
}

enum gateway__next gateway__keep_issuer(struct weir_request *request) {
    struct weir_candidates *candidates = &request->candidates;
    size_t kept = 0;
    if (request->issued.provider.length == 0)
        return NEXT;
    for (size_t i = 0; i < candidates->count; i++)
        if (weir_span_equal(candidates->at[i].provider->name, request->issued.provider))
            candidates->at[kept++] = candidates->at[i];
    candidates->count = kept;
    if (kept > 0)
        return NEXT;
    return gateway__fail(request, WEIR_REASON_FIELD_INVALID, request->call.issued_field,
                         "it is at a provider that does not serve this model");
}

/* --- what is issued --- */

void gateway__note_issued_id(struct weir_request *request, struct weir_span id) {
    struct weir_issued_table *table = request->worker->gateway->issued;
    struct weir_ledger_entry *entry = &request->entry;
    struct weir_span provider = request->target->provider->name;
    struct weir_issued known;
    /* One provider does not take another's ids away; what it issues itself a second time is the new owner's alone. */
    if (id.length == 0 || (weir_issued_get(table, id, request->arena, &known) &&
                           (is_own(request, &known) || !weir_span_equal(known.provider, provider))))
        return;
    const struct weir_issued issued = {.id = id,
                                       .provider = provider,
                                       .model = request->target->model,
                                       .workspace = request->key->workspace};
    weir_issued_put(table, &issued);
    if (entry->issued_count < WEIR_MAX_ISSUED)
        entry->issued[entry->issued_count++] = id;
}

void gateway__note_issued(struct weir_request *request, struct weir_span body) {
    struct weir_span ids[WEIR_MAX_ISSUED];
    size_t count = request->endpoint->dialect == WEIR_DIALECT_GEMINI
                       ? weir_dialect_issued_names(body, ids, WEIR_MAX_ISSUED)
                       : weir_dialect_issued_ids(body, ids, WEIR_MAX_ISSUED);
    gateway__note_upload(request);
    for (size_t i = 0; i < count; i++)
        gateway__note_issued_id(request, ids[i]);
}

/* --- lists --- */

/* The list as it came, and what is known of its items so far. In the request's arena. */
struct list {
    struct weir_list_item *items;
    bool *keep;
    size_t count;
    size_t *asked; /* places of the items that the store is asked about */
    struct weir_span *ids;
    size_t asked_count;
    bool has_more;
};

static bool is_place(struct weir_span item, const char *name) {
    return weir_span_starts_with(item, weir_span_of_string(name)) && item.length > strlen(name) &&
           item.at[strlen(name)] == '=';
}

/* The query for another page, with all that the client has asked for but its own place and size: "limit=100&after=…". */
static struct weir_span query_behind(struct weir_request *request, const char *parameter, struct weir_span place) {
    struct weir_buffer query;
    struct weir_span item, rest = request->query, copy = WEIR_SPAN("");
    const char *size = strcmp(parameter, "pageToken") == 0 ? "pageSize" : "limit";
    weir_buffer_init(&query, WEIR_MAX_URI_BYTES);
    weir_buffer_printf(&query, "%s=100&%s=", size, parameter);
    for (size_t i = 0; i < place.length; i++) {
        struct weir_span byte = weir_span_of(&place.at[i], 1);
        if (gateway__is_id(byte) || place.at[i] == '.')
            weir_buffer_append(&query, byte);
        else
            weir_buffer_printf(&query, "%%%02X", (unsigned)(unsigned char)place.at[i]);
    }
    for (bool more = rest.length > 0; more;) {
        more = weir_span_split(rest, '&', &item, &rest);
        if (is_place(item, size) || is_place(item, parameter))
            continue;
        weir_buffer_append_byte(&query, '&');
        weir_buffer_append(&query, item);
    }
    if (weir_buffer_status(&query) != WEIR_OK ||
        weir_arena_dup(request->arena, weir_buffer_span(&query), &copy) != WEIR_OK)
        copy = WEIR_SPAN("");
    weir_buffer_release(&query);
    return copy;
}

/* Where the next page begins: as the list says, else behind its last item. */
static bool find_next_page(const struct weir_request *request, const struct list *list, const char **parameter,
                           struct weir_span *place) {
    if (weir_dialect_list_next(weir_buffer_span(&request->relay.body), parameter, place))
        return true;
    *parameter = request->endpoint->dialect == WEIR_DIALECT_ANTHROPIC ? "after_id" : "after";
    *place = list->count > 0 ? list->items[list->count - 1].id : WEIR_SPAN("");
    return list->has_more && gateway__is_id(*place);
}

/* Clients take an empty page for the last one. Where all of a page is others', the next one is asked for instead: as often as a request may have attempts. */
static bool ask_for_next_page(struct weir_request *request, const struct list *list) {
    const char *parameter = NULL;
    struct weir_span place;
    if (request->entry.attempt_count == WEIR_MAX_ATTEMPTS || !find_next_page(request, list, &parameter, &place))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (list->keep[i])
            return false;
    struct weir_span query = query_behind(request, parameter, place);
    if (query.length == 0)
        return false;
    request->query = query;
    request->next_candidate--;
    return true;
}

/* Google leaves out what is empty: "{}". */
static bool is_empty_of_google(const struct weir_request *request) {
    struct weir_json_found root;
    return request->endpoint->dialect == WEIR_DIALECT_GEMINI &&
           weir_json_scan(weir_buffer_span(&request->relay.body), NULL, 0, NULL, &root, NULL) == WEIR_OK &&
           root.kind == WEIR_JSON_OBJECT && root.elements == 0;
}

static enum gateway__next write_list(struct weir_request *request, const struct list *list) {
    if (ask_for_next_page(request, list))
        return RETRY;
    struct weir_buffer out;
    struct weir_span body = weir_buffer_span(&request->relay.body);
    weir_buffer_init(&out, body.length + WEIR_KIB);
    enum weir_status status = WEIR_OK;
    enum gateway__next next;
    if (is_empty_of_google(request))
        weir_buffer_append(&out, body);
    else
        status = weir_dialect_write_list(body, list->items, list->keep, list->count, &out);
    if (status != WEIR_OK || weir_buffer_status(&out) != WEIR_OK) {
        next = gateway__fail(request, WEIR_REASON_INTERNAL, NULL, NULL);
    } else {
        struct weir_span parts[2] = {WEIR_SPAN(""), weir_buffer_span(&out)};
        for (size_t i = 0; i < list->count; i++) /* a batch's output is its owner's too */
            if (list->keep[i])
                gateway__note_issued(request, list->items[i].text);
        gateway__settle(request);
        next = gateway__relay_whole(request, parts, 2, out.length);
    }
    weir_buffer_release(&out);
    return next;
}

static struct list *find_items(struct weir_request *request) {
    struct list *list = weir_arena_alloc(request->arena, sizeof *list);
    if (list == NULL)
        return NULL;
    enum weir_status status = weir_dialect_list_items(request->arena, weir_buffer_span(&request->relay.body),
                                                      &list->items, &list->count, &list->has_more);
    if (status != WEIR_OK && !is_empty_of_google(request))
        return NULL;
    list->keep = weir_arena_alloc(request->arena, list->count + 1);
    list->asked = weir_arena_alloc(request->arena, (list->count + 1) * sizeof *list->asked);
    list->ids = weir_arena_alloc(request->arena, (list->count + 1) * sizeof *list->ids);
    return list->keep == NULL || list->asked == NULL || list->ids == NULL ? NULL : list;
}

static void on_owners(void *context, enum weir_status status, const struct weir_issued *found, size_t count,
                      const struct weir_error *error) {
    struct weir_request *request = gateway__lookup_take(context);
    (void)error;
    if (request == NULL)
        return;
    struct list *list = request->list;
    if (status != WEIR_OK || count != list->asked_count) {
        gateway__resume(request, store_unavailable(request));
        return;
    }
    for (size_t i = 0; i < count; i++)
        list->keep[list->asked[i]] = is_own(request, &found[i]);
    gateway__resume(request, write_list(request, list));
}

enum gateway__next gateway__answer_list(struct weir_request *request) {
    struct list *list = find_items(request);
    struct weir_issued issued;
    if (list == NULL)
        return gateway__upstream_failed(request, WEIR_REASON_UPSTREAM_PROTOCOL, "its answer is not a list");
    request->list = list;
    for (size_t i = 0; i < list->count; i++) {
        struct weir_span id = list->items[i].id;
        if (weir_issued_get(request->worker->gateway->issued, id, request->arena, &issued)) {
            list->keep[i] = is_own(request, &issued);
        } else if (id.length > 0 && list->asked_count < WEIR_MAX_ISSUED_ASKED) {
            list->ids[list->asked_count] = id;
            list->asked[list->asked_count++] = i;
        }
    }
    if (list->asked_count == 0)
        return write_list(request, list);
    return ask(request, list->ids, list->asked_count, on_owners);
}
