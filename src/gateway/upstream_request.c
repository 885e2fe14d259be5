/* What goes to a provider: the request's head, and its body's own bytes but for the edits. */
#include "base/memory.h"
#include "gateway/translate.h"

/* Request fields that providers use and that carry nothing of ours. */
static const struct weir_span forwarded[] = {{"accept", 6},
                                             {"user-agent", 10},
                                             {"openai-beta", 11},
                                             {"accept-language", 15}};
/* The same on the paths of one vendor, byte for byte. */
static const struct weir_span anthropics[] = {{"anthropic-version", 17}, {"anthropic-beta", 14}};
static const struct weir_span googles[] = {{"x-goog-api-client", 17},
                                           {"x-goog-request-params", 21},
                                           {"x-goog-upload-protocol", 22},
                                           {"x-goog-upload-command", 21},
                                           {"x-goog-upload-offset", 20},
                                           {"x-goog-upload-file-name", 23},
                                           {"x-goog-upload-header-content-length", 35},
                                           {"x-goog-upload-header-content-type", 33}};
/* Never passed on, whatever the settings say: ours, or of one connection. */
static const struct weir_span ours[] = {{"authorization", 13},   {"host", 4},
                                        {"content-length", 14},  {"content-type", 12},
                                        {"x-request-id", 12},    {"traceparent", 11},
                                        {"cookie", 6},           {"accept-encoding", 15},
                                        {"expect", 6},           {"forwarded", 9},
                                        {"x-forwarded-for", 15}, {"proxy-authorization", 19},
                                        {"x-api-key", 9},        {"x-goog-api-key", 14},
                                        {"api-key", 7}};
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

static bool is_of_dialect(enum weir_dialect_kind dialect, struct weir_span name) {
    if (dialect == WEIR_DIALECT_ANTHROPIC)
        return weir_http_name_in(name, anthropics, COUNT(anthropics));
    return dialect == WEIR_DIALECT_GEMINI && weir_http_name_in(name, googles, COUNT(googles));
}

static void write_forwarded(const struct weir_request *request, struct weir_buffer *out) {
    const struct weir_texts *more = request->target->provider->forward_headers;
    enum weir_dialect_kind dialect = request->endpoint->dialect;
    if (dialect == WEIR_DIALECT_ANTHROPIC && weir_http_head_find(request->head, WEIR_SPAN("anthropic-version")) == NULL)
        weir_buffer_append(out, WEIR_SPAN("anthropic-version: 2023-06-01\r\n")); /* what no version has always meant */
    for (size_t i = 0; i < request->head->field_count; i++) {
        const struct weir_http_field *field = &request->head->fields[i];
        bool forward = weir_http_name_in(field->name, forwarded, COUNT(forwarded)) ||
                       (dialect > WEIR_DIALECT_RESPONSES && is_of_dialect(dialect, field->name));
        for (size_t j = 0; !forward && j < more->count; j++)
            forward = weir_span_equal_ignore_case(field->name, more->at[j]);
        if (weir_span_equal_ignore_case(field->name, WEIR_SPAN("idempotency-key")))
            write_idempotency_key(request, field->value, out);
        else if (forward && !weir_http_is_hop_by_hop(field->name) && !weir_http_name_in(field->name, ours, COUNT(ours)))
            (void)weir_http_write_field(out, field->name, field->value);
    }
}

/* Of a translated call: the client's other fields are for the dialect that it was asked in. */
static void write_forwarded_translated(const struct weir_request *request, struct weir_buffer *out) {
    const struct weir_texts *more = request->target->provider->forward_headers;
    const struct weir_back_target *target = &request->translation->target;
    if (target->version_name.length > 0)
        (void)weir_http_write_field(out, target->version_name, target->version_value);
    for (size_t i = 0; i < request->head->field_count; i++) {
        const struct weir_http_field *field = &request->head->fields[i];
        bool forward = weir_span_equal_ignore_case(field->name, WEIR_SPAN("user-agent"));
        for (size_t j = 0; !forward && j < more->count; j++)
            forward = weir_span_equal_ignore_case(field->name, more->at[j]);
        if (forward && !weir_http_is_hop_by_hop(field->name) && !weir_http_name_in(field->name, ours, COUNT(ours)) &&
            !weir_span_equal_ignore_case(field->name, target->version_name))
            (void)weir_http_write_field(out, field->name, field->value);
    }
}

/* A provider's base URL ends in the version of its own dialect; one that speaks another besides has that under the same URL, or, where its own has no
 * version (ollama), behind the other's. */
static void write_prefix(const struct weir_request *request, struct weir_buffer *out) {
    const struct weir_provider *provider = request->target->provider;
    enum weir_dialect_kind dialect = request->endpoint->dialect;
    if (request->endpoint->elsewhere != NULL) {
        /* "/upload/v1beta/files" stands beside "/v1beta/files" */
        struct weir_span version = WEIR_SPAN("/v1beta"), prefix = provider->path_prefix;
        size_t before = weir_span_ends_with(prefix, version) ? prefix.length - version.length : prefix.length;
        weir_buffer_append(out, weir_span_first(prefix, before));
        weir_buffer_append(out, weir_span_of_string(request->endpoint->elsewhere));
        weir_buffer_append(out, weir_span_from(prefix, before));
        return;
    }
    weir_buffer_append(out, provider->path_prefix);
    if (provider->dialect == WEIR_PROVIDER_OLLAMA && dialect != WEIR_DIALECT_OLLAMA)
        weir_buffer_append(out, dialect == WEIR_DIALECT_GEMINI ? WEIR_SPAN("/v1beta") : WEIR_SPAN("/v1"));
}

static bool is_path_byte(unsigned char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           memchr("-._~/:@", byte, 7) != NULL;
}

/* "/models/NAME:generateContent", with the name that the provider has for it. */
static void write_model_path(const struct weir_request *request, struct weir_buffer *out) {
    struct weir_span model = request->target->model;
    if (!weir_span_starts_with(model, WEIR_SPAN("models/")) && !weir_span_starts_with(model, WEIR_SPAN("tunedModels/")))
        weir_buffer_append(out, WEIR_SPAN("/models"));
    weir_buffer_append_byte(out, '/');
    for (size_t i = 0; i < model.length; i++) {
        if (is_path_byte((unsigned char)model.at[i]))
            weir_buffer_append_byte(out, model.at[i]);
        else
            weir_buffer_printf(out, "%%%02X", (unsigned)(unsigned char)model.at[i]);
    }
    weir_buffer_append(out, weir_span_of_string(strrchr(request->endpoint->path, ':')));
}

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
    write_prefix(request, out);
    if (request->format != NULL && (request->format->flags & WEIR_FORMAT_MODEL_IN_PATH) != 0)
        write_model_path(request, out);
    else
        weir_buffer_append(out, weir_span_from(request->head->path, gateway__version_end(request)));
    if (request->query.length > 0) {
        weir_buffer_append_byte(out, '?');
        weir_buffer_append(out, request->query);
    }
    weir_buffer_append(out, WEIR_SPAN(" HTTP/1.1\r\nHost: "));
}

/* In the field that the provider takes it in. */
static void write_credential(const struct weir_provider *provider, struct weir_buffer *out) {
    struct weir_span credential = weir_secret_reveal(provider->credential);
    const char *field = weir_credential_header_name(provider->credential_header);
    if (credential.length == 0 || field == NULL)
        return;
    weir_buffer_append(out, weir_span_of_string(field));
    weir_buffer_append(out, provider->credential_header == WEIR_CREDENTIAL_BEARER ? WEIR_SPAN(": Bearer ")
                                                                                  : WEIR_SPAN(": "));
    weir_buffer_append(out, credential);
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
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

static void write_head(struct weir_request *request, uint64_t body_length, struct weir_buffer *out) {
    const struct weir_provider *provider = request->target->provider;
    write_target(request, out);
    weir_buffer_append(out, provider->host_header);
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
    write_credential(provider, out);
    write_body_fields(request, body_length, out);
    weir_buffer_append(out, WEIR_SPAN("X-Request-Id: "));
    weir_buffer_append(out, weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1));
    weir_buffer_append(out, WEIR_SPAN("\r\ntraceparent: "));
    weir_buffer_append(out, weir_span_of_string(request->traceparent));
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
    if (gateway__is_translated(request))
        write_forwarded_translated(request, out);
    else
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
