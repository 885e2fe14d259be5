/* What can be wrong with settings beyond their types: the same for a start, a reload and `weir config check`. Each problem is a line that begins
 * with the setting. */
#include "http/head.h"
#include "identity/addresses.h"
#include "main/owner.h"
#include "main/settings.h"
#include "operator/trail.h"

enum { ENVIRONMENT_DEV, ENVIRONMENT_STAGE, ENVIRONMENT_PROD };

static bool is_brand(struct weir_span brand) {
    bool good = brand.length > 0 && brand.length <= 16;
    for (size_t i = 0; i < brand.length; i++)
        good = good && ((brand.at[i] >= 'a' && brand.at[i] <= 'z') || (brand.at[i] >= '0' && brand.at[i] <= '9'));
    return good;
}

/* The host without brackets, and the port; false where it is no "host:port". */
static bool split_address(struct weir_span address, struct weir_span *host, uint64_t *port) {
    size_t colon = address.length;
    while (colon > 0 && address.at[colon - 1] != ':')
        colon--;
    if (colon < 2 || weir_span_to_uint64(weir_span_from(address, colon), port) != WEIR_OK || *port > 65535)
        return false;
    *host = weir_span_first(address, colon - 1);
    if (host->at[0] == '[' && host->at[host->length - 1] == ']')
        *host = weir_span_of(host->at + 1, host->length - 2);
    return host->length > 0;
}

bool main__is_loopback_address(struct weir_span address) {
    struct weir_span host;
    uint64_t port;
    return split_address(address, &host, &port) && weir_url_host_is_loopback(host);
}

static void check_addresses(const struct main__settings *settings, struct weir_buffer *problems) {
    struct weir_span data = settings->server.listen, plane = settings->operator_plane.listen, host;
    uint64_t port = 0;
    if (data.length > 0 && !split_address(data, &host, &port))
        weir_buffer_printf(problems, "server.listen: expected an address and a port like 127.0.0.1:8080, got '%.*s'\n",
                           WEIR_SPAN_PRINT(data));
    bool without_list = settings->operator_plane.allow.count == 0;
    bool without_tls = settings->operator_plane.tls_certificate.length == 0;
    bool same = data.length > 0 && weir_span_equal(data, plane) && port != 0;
    if (!split_address(plane, &host, &port))
        weir_buffer_printf(problems,
                           "operator.listen: expected an address and a port like 127.0.0.1:8000, got '%.*s'\n",
                           WEIR_SPAN_PRINT(plane));
    else if (main__plane_is_open(settings) && !settings->operator_plane.allow_remote)
        weir_buffer_printf(
            problems,
            "operator.listen: %.*s is not a loopback address; that needs %s%s%s, or operator.allow_remote: true\n",
            WEIR_SPAN_PRINT(plane), without_list ? "operator.allow" : "", without_list && without_tls ? " and " : "",
            without_tls ? "TLS (operator.tls_certificate, operator.tls_key)" : "");
    else if (same)
        weir_buffer_printf(problems, "operator.listen: the data plane has the same address (server.listen)\n");
}

static void check_networks(const char *setting, const struct weir_texts *texts, struct weir_buffer *problems) {
    struct weir_network network;
    for (size_t i = 0; i < texts->count; i++)
        if (weir_network_parse(texts->at[i], &network) != WEIR_OK)
            weir_buffer_printf(problems,
                               "%s: expected addresses or networks like 10.0.0.0/8 or 2001:db8::/32, got '%.*s'\n",
                               setting, WEIR_SPAN_PRINT(texts->at[i]));
}

static void check_tls(const char *section, struct weir_span certificate, struct weir_span key,
                      struct weir_buffer *problems) {
    struct weir_error error = {.text = ""};
    struct weir_tls *tls = NULL;
    if ((certificate.length > 0) != (key.length > 0))
        weir_buffer_printf(problems, "%s.%s: tls_certificate and tls_key go together; the other is missing\n", section,
                           certificate.length > 0 ? "tls_certificate" : "tls_key");
    else if (certificate.length > 0 && weir_tls_server_new(certificate.at, key.at, &tls, &error) != WEIR_OK)
        weir_buffer_printf(problems, "%s.tls_certificate: %s\n", section, error.text);
    weir_tls_free(&tls);
}

static void check_origins(const struct main__settings *settings, struct weir_buffer *problems) {
    const struct weir_texts *origins = &settings->gateway.cors.origins;
    for (size_t i = 0; i < origins->count; i++) {
        struct weir_url url;
        bool any = weir_span_equal(origins->at[i], WEIR_SPAN("*"));
        if (any && settings->general.environment == ENVIRONMENT_PROD)
            weir_buffer_printf(problems, "cors.origins: '*' is not allowed in prod; name the origins\n");
        else if (!any && (weir_url_parse(origins->at[i], &url, NULL) != WEIR_OK || url.path.length > 0 ||
                          url.query.length > 0 || weir_span_index(url.host, '*') < url.host.length))
            weir_buffer_printf(problems, "cors.origins: expected an origin like https://app.example.com, got '%.*s'\n",
                               WEIR_SPAN_PRINT(origins->at[i]));
    }
}

static void check_key_headers(const struct main__settings *settings, struct weir_buffer *problems) {
    static const struct weir_span known[] = {{"x-api-key", 9}, {"x-goog-api-key", 14}, {"key", 3}};
    const struct weir_texts *fields = &settings->gateway.auth.key_headers;
    for (size_t i = 0; i < fields->count; i++)
        if (!weir_http_name_in(fields->at[i], known, sizeof known / sizeof *known))
            weir_buffer_printf(problems, "auth.key_headers: expected x-api-key, x-goog-api-key or key, got '%.*s'\n",
                               WEIR_SPAN_PRINT(fields->at[i]));
}

static void check_provider(const struct weir_provider_settings *provider, size_t index, struct weir_buffer *problems) {
    static const struct weir_span never[] = {{"authorization", 13},  {"cookie", 6},        {"host", 4},
                                             {"content-length", 14}, {"x-request-id", 12}, {"expect", 6},
                                             {"traceparent", 11},    {"x-api-key", 9},     {"x-goog-api-key", 14},
                                             {"api-key", 7}};
    struct weir_url url;
    for (size_t i = 0; i < provider->forward_headers.count; i++)
        if (weir_http_name_in(provider->forward_headers.at[i], never, sizeof never / sizeof *never))
            weir_buffer_printf(problems, "providers[%zu].forward_headers: '%.*s' is never passed on\n", index,
                               WEIR_SPAN_PRINT(provider->forward_headers.at[i]));
    if (weir_url_parse(provider->base_url, &url, NULL) != WEIR_OK)
        return; /* told when the revision is compiled */
    if (url.query.length > 0)
        weir_buffer_printf(problems, "providers[%zu].base_url: a base URL has no query\n", index);
    if (weir_span_ends_with(url.path, WEIR_SPAN("/chat/completions")))
        weir_buffer_printf(problems,
                           "providers[%zu].base_url: leave out /chat/completions; a base URL mostly ends in /v1\n",
                           index);
}

static void check_billing(const struct main__settings *settings, struct weir_buffer *problems) {
    const struct weir_billing_settings *billing = &settings->gateway.billing;
    if (billing->payment == WEIR_PAYMENT_WEBHOOK && billing->webhook_secret.length == 0)
        weir_buffer_printf(problems, "billing.webhook_secret: payment: webhook needs it\n");
}

static void check_sealing(const struct main__settings *settings, struct weir_buffer *problems) {
    const struct weir_texts *previous = &settings->secrets.previous_sealing_keys;
    if (previous->count > 0 && settings->secrets.sealing_key.length == 0)
        weir_buffer_printf(problems, "secrets.previous_sealing_keys: there is no secrets.sealing_key to seal with\n");
    if (settings->backup.seal && settings->secrets.sealing_key.length == 0)
        weir_buffer_printf(problems, "backup.seal: there is no secrets.sealing_key to seal with\n");
}

void main__settings_check(const struct main__settings *settings, struct weir_buffer *problems) {
    const struct weir_provider_settings *providers = settings->catalog.providers.at;
    struct weir_error error = {.text = ""};
    if (!is_brand(settings->general.brand))
        weir_buffer_printf(problems, "brand: expected 1 to 16 lower-case letters and digits, got '%.*s'\n",
                           WEIR_SPAN_PRINT(settings->general.brand));
    check_addresses(settings, problems);
    check_networks("server.trusted_proxies", &settings->server.trusted_proxies, problems);
    check_tls("server", settings->server.tls_certificate, settings->server.tls_key, problems);
    check_tls("operator", settings->operator_plane.tls_certificate, settings->operator_plane.tls_key, problems);
    check_networks("operator.allow", &settings->operator_plane.allow, problems);
    check_origins(settings, problems);
    check_key_headers(settings, problems);
    check_sealing(settings, problems);
    check_billing(settings, problems);
    if (weir_trail_check_sink(settings->audit.sink, &error) != WEIR_OK)
        weir_buffer_printf(problems, "audit.sink: %s\n", error.text);
    for (size_t i = 0; i < settings->catalog.providers.count; i++)
        check_provider(&providers[i], i, problems);
    if (settings->catalog.providers.count == 0 && settings->general.environment != ENVIRONMENT_DEV &&
        !main__environment_names_provider())
        weir_buffer_printf(
            problems,
            "providers: no provider is configured: name one, or set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, "
            "VLLM_ENDPOINT or OLLAMA_HOST (the simulator stands in only in dev)\n");
}
