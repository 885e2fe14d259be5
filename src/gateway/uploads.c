/* Files on the lane of Google: an upload is begun, and its bytes come in pieces to an address that the beginning was answered with.
 *
 * That address is the provider's, and a client that went there would go past this gateway: it is told one of ours instead, with the same upload_id. The id
 * is noted as all ids are, so that each piece goes to the provider that gave it out, and only from the workspace that began.
 *
 * Google's clients send the pieces without a key, for the upload_id, which nobody can guess, says who they are. Here it says the same: with the id is noted
 * whose key has begun, and a piece without a key is that key's, as long as it is valid. That is known until the gateway ends, and not after.
 */
#include "gateway/impl.h"

static const struct weir_span field_name = {.at = "x-goog-upload-url", .length = 17};

bool gateway__is_upload_url(const struct weir_request *request, struct weir_span name) {
    return request->endpoint->elsewhere != NULL && weir_span_equal_ignore_case(name, field_name);
}

/* A parameter's value as it stands there, where it can be an id. */
static struct weir_span upload_id(struct weir_span query) {
    struct weir_span item;
    for (bool more = query.length > 0; more;) {
        more = weir_span_split(query, '&', &item, &query);
        if (weir_span_starts_with(item, WEIR_SPAN("upload_id=")))
            return weir_span_from(item, strlen("upload_id="));
    }
    return WEIR_SPAN("");
}

void gateway__find_upload(struct weir_request *request) {
    if (request->endpoint->elsewhere == NULL)
        return;
    request->call.issued_id = upload_id(request->query);
    request->call.issued_field = "upload_id";
}

void gateway__note_upload(struct weir_request *request) {
    struct weir_url url;
    char hash[2 * WEIR_KEY_HASH_SIZE + 1];
    const struct weir_span *value = weir_http_head_find(request->upstream.head, field_name);
    if (request->endpoint->elsewhere == NULL || value == NULL || weir_url_parse(*value, &url, NULL) != WEIR_OK)
        return;
    struct weir_span id = upload_id(url.query);
    if (id.length == 0)
        return;
    weir_hex_format(request->key->hash, WEIR_KEY_HASH_SIZE, hash);
    const struct weir_issued issued = {.id = id,
                                       .provider = request->target->provider->name,
                                       .model = weir_span_of(hash, sizeof hash - 1), /* an upload has no model */
                                       .workspace = request->key->workspace};
    weir_issued_put(request->worker->gateway->issued, &issued);
}

bool gateway__find_beginner(struct weir_request *request, unsigned char hash[WEIR_KEY_HASH_SIZE]) {
    struct weir_issued issued;
    if (request->endpoint->elsewhere == NULL ||
        weir_http_head_find(request->head, WEIR_SPAN("authorization")) != NULL ||
        weir_http_head_find(request->head, WEIR_SPAN("x-goog-api-key")) != NULL ||
        request->query.length != request->head->query.length) /* there was one in the query */
        return false;
    struct weir_span id = upload_id(request->query);
    return id.length > 0 && weir_issued_get(request->worker->gateway->issued, id, request->arena, &issued) &&
           weir_hex_parse(issued.model, hash, WEIR_KEY_HASH_SIZE) == WEIR_OK;
}

/* As the client has reached us: a proxy that is trusted says so, or our own listener knows. */
static bool client_uses_tls(const struct weir_request *request) {
    const struct weir_span *proto = weir_http_head_find(request->head, WEIR_SPAN("x-forwarded-proto"));
    const struct weir_networks *trusted = &request->held->published->trusted_proxies;
    struct weir_address peer;
    if (proto != NULL && trusted->count > 0 &&
        weir_address_parse(weir_span_of_string(weir_http_connection_peer(request->connection)), &peer) == WEIR_OK &&
        weir_networks_contain(trusted, &peer))
        return weir_span_equal_ignore_case(*proto, WEIR_SPAN("https"));
    return request->worker->is_tls;
}

void gateway__write_upload_url(const struct weir_request *request, struct weir_span value, struct weir_buffer *out) {
    struct weir_url url;
    struct weir_buffer own;
    if (weir_url_parse(value, &url, NULL) != WEIR_OK)
        return; /* nowhere to go: the client's library says so */
    weir_buffer_init(&own, 2 * WEIR_MAX_URI_BYTES);
    weir_buffer_append(&own, client_uses_tls(request) ? WEIR_SPAN("https://") : WEIR_SPAN("http://"));
    weir_buffer_append(&own, request->head->authority);
    weir_buffer_append(&own, request->head->path);
    weir_buffer_append_byte(&own, '?');
    weir_buffer_append(&own, url.query);
    if (weir_buffer_status(&own) == WEIR_OK)
        (void)weir_http_write_field(out, field_name, weir_buffer_span(&own));
    weir_buffer_release(&own);
}
