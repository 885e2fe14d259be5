/* What goes to a provider: the request's head, and its body's own bytes but for the edits. */
#include "base/memory.h"
#include "gateway/translate.h"

/* Request fields that providers use and that carry nothing of ours. */
static const struct weir_span forwarded[] = {{"accept", 6},
                                             {"user-agent", 10},
                                             {"openai-beta", 11},
                                             {"accept-language", 15}};
/* Never passed on, whatever the settings say: ours, or of one connection. */
static const struct weir_span ours[] = {{"authorization", 13},   {"host", 4},
                                        {"content-length", 14},  {"content-type", 12},
                                        {"x-request-id", 12},    {"traceparent", 11},
                                        {"cookie", 6},           {"accept-encoding", 15},
                                        {"expect", 6},           {"forwarded", 9},
                                        {"x-forwarded-for", 15}, {"proxy-authorization", 19}};
#define COUNT(names) (sizeof(names) / sizeof *(names))

/* All workspaces share one account at the provider, which knows a key for idempotency by its text alone: the same text of two workspaces must be two
 * keys, or one would get the other's answer. */
static void write_idempotency_key(const struct weir_request *request, struct weir_span key, struct weir_buffer *out) {
    unsigned char hash[WEIR_KEY_HASH_SIZE];
    char hex[2 * WEIR_KEY_HASH_SIZE + 1];
    struct weir_buffer text;
    weir_buffer_init(&text, WEIR_MAX_HEAD_BYTES + WEIR_KIB);
    weir_buffer_append(&text, request->key->workspace);
    weir_buffer_append_byte(&text, '\n');
    weir_buffer_append(&text, key);
    weir_key_hash(weir_buffer_span(&text), hash);
    weir_buffer_release(&text);
    weir_hex_format(hash, sizeof hash, hex);
    (void)weir_http_write_field(out, WEIR_SPAN("Idempotency-Key"), weir_span_of(hex, sizeof hex - 1));
}

/* What a translated call keeps of the client's fields: the others are for the dialect that it was asked in. */
static const struct weir_span always_forwarded[] = {{"user-agent", 10}};

static void write_forwarded(const struct weir_request *request, struct weir_buffer *out) {
    const struct weir_texts *more = request->target->provider->forward_headers;
    bool is_translated = gateway__is_translated(request);
    for (size_t i = 0; i < request->head->field_count; i++) {
        const struct weir_http_field *field = &request->head->fields[i];
        bool forward = is_translated ? weir_http_name_in(field->name, always_forwarded, COUNT(always_forwarded))
                                     : weir_http_name_in(field->name, forwarded, COUNT(forwarded));
        for (size_t j = 0; !forward && j < more->count; j++)
            forward = weir_span_equal_ignore_case(field->name, more->at[j]);
        if (!is_translated && weir_span_equal_ignore_case(field->name, WEIR_SPAN("idempotency-key")))
            write_idempotency_key(request, field->value, out);
        else if (forward && !weir_http_is_hop_by_hop(field->name) && !weir_http_name_in(field->name, ours, COUNT(ours)))
            (void)weir_http_write_field(out, field->name, field->value);
    }
}

/* The provider's base URL ends where our paths have their version. */
static void write_target(const struct weir_request *request, struct weir_buffer *out) {
    if (gateway__is_translated(request)) {
        const struct weir_back_target *target = &request->translation->target;
        weir_buffer_append(out, WEIR_SPAN("POST "));
        weir_buffer_append(out, request->target->provider->path_prefix);
        weir_buffer_append(out, target->path);
        if (target->query.length > 0)
            weir_buffer_append_byte(out, '?');
        weir_buffer_append(out, target->query);
        weir_buffer_append(out, WEIR_SPAN(" HTTP/1.1\r\nHost: "));
        return;
    }
    weir_buffer_append(out, request->head->method);
    weir_buffer_append_byte(out, ' ');
    weir_buffer_append(out, request->target->provider->path_prefix);
    weir_buffer_append(out, weir_span_from(request->head->path, strlen("/v1")));
    if (request->query.length > 0) {
        weir_buffer_append_byte(out, '?');
        weir_buffer_append(out, request->query);
    }
    weir_buffer_append(out, WEIR_SPAN(" HTTP/1.1\r\nHost: "));
}

static void write_body_fields(const struct weir_request *request, uint64_t body_length, struct weir_buffer *out) {
    const struct weir_span *type = weir_http_head_find(request->head, WEIR_SPAN("content-type"));
    if (body_length == 0 && request->head->method.at[0] != 'P')
        return;
    if (request->form == NULL && (request->endpoint->bodies & BODY_JSON) != 0)
        weir_buffer_append(out, WEIR_SPAN("Content-Type: application/json\r\n"));
    else if (type != NULL)
        (void)weir_http_write_field(out, WEIR_SPAN("Content-Type"), *type);
    weir_http_write_field_uint64(out, WEIR_SPAN("Content-Length"), body_length);
}

static void write_credential(const struct weir_provider *provider, struct weir_buffer *out) {
    const char *name = weir_credential_header_name(provider->credential_header);
    struct weir_span credential = weir_secret_reveal(provider->credential);
    if (credential.length == 0 || name == NULL)
        return;
    weir_buffer_append(out, weir_span_of_string(name));
    weir_buffer_append(out, provider->credential_header == WEIR_CREDENTIAL_BEARER ? WEIR_SPAN(": Bearer ")
                                                                                  : WEIR_SPAN(": "));
    weir_buffer_append(out, credential);
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
}

static void write_head(struct weir_request *request, uint64_t body_length, struct weir_buffer *out) {
    const struct weir_provider *provider = request->target->provider;
    write_target(request, out);
    weir_buffer_append(out, provider->host_header);
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
    write_credential(provider, out);
    write_body_fields(request, body_length, out);
    if (gateway__is_translated(request) && request->translation->target.version_name.length > 0)
        (void)weir_http_write_field(out, request->translation->target.version_name,
                                    request->translation->target.version_value);
    weir_buffer_append(out, WEIR_SPAN("X-Request-Id: "));
    weir_buffer_append(out, weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1));
    weir_buffer_append(out, WEIR_SPAN("\r\ntraceparent: "));
    weir_buffer_append(out, weir_span_of_string(request->traceparent));
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
    write_forwarded(request, out);
    weir_http_write_head_end(out);
}

uint64_t gateway__body_length(const struct weir_request *request) {
    return request->form != NULL ? weir_spool_length(request->form->spool) : request->body.length;
}

/* The head is ours to wipe: it has the credential. */
static enum weir_status write_with_head(struct weir_request *request, uint64_t body_length, struct weir_span *parts,
                                        size_t count) {
    struct weir_buffer *head = &request->relay.out;
    weir_buffer_clear(head);
    write_head(request, body_length, head);
    enum weir_status status = weir_buffer_status(head);
    parts[0] = weir_buffer_span(head);
    if (status == WEIR_OK)
        status = weir_stream_write(request->upstream.stream, parts, count);
    weir_memory_wipe(head->at, head->length);
    weir_buffer_clear(head);
    return status;
}

enum weir_status gateway__send_more(struct weir_request *request) {
    struct gateway__upstream *upstream = &request->upstream;
    enum weir_status status = WEIR_OK;
    while (upstream->sending && weir_stream_pending_bytes(upstream->stream) < WEIR_MAX_STREAM_PENDING_BYTES) {
        struct weir_span data;
        status = gateway__form_read(request, upstream->form_sent, &data);
        if (status != WEIR_OK)
            return status;
        upstream->form_sent += data.length;
        upstream->sending = data.length > 0;
        if (data.length > 0)
            status = weir_stream_write(upstream->stream, &data, 1);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status gateway__send_request(struct weir_request *request) {
    struct weir_json_splice splice = {.count = 0};
    struct weir_span parts[2 + 2 * WEIR_JSON_MAX_EDITS];
    struct weir_span body = weir_buffer_span(&request->body);
    const struct weir_format *format = request->format;
    enum weir_status status = WEIR_OK;
    if (request->form != NULL) {
        request->upstream.sending = true;
        request->upstream.form_sent = 0;
        uint64_t length;
        status = gateway__form_prepare(request, &length);
        if (status == WEIR_OK)
            status = write_with_head(request, length, parts, 1);
        return status == WEIR_OK ? gateway__send_more(request) : status;
    }
    if (gateway__is_translated(request)) {
        parts[1] = weir_buffer_span(&request->translation->body);
        return write_with_head(request, parts[1].length, parts, 2);
    }
    if (format != NULL && format->edit_call != NULL && body.length > 0)
        status = format->edit_call(request->arena, &request->call, request->target->model, &splice);
    if (status != WEIR_OK)
        return status;
    size_t count = 1 + weir_json_splice_parts(&splice, body, &parts[1]);
    return write_with_head(request, weir_json_splice_length(&splice, body.length), parts, count);
}
