/* The data plane's settings, a row each. */
#include "gateway/gateway.h"

#define AT(section, member) offsetof(struct weir_##section##_settings, member)
#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static const struct weir_option limits_rows[] = {
    {.name = "max_request_bytes",
     .kind = WEIR_OPTION_SIZE,
     .offset = AT(limits, max_request_bytes),
     .initial = "1MiB",
     .minimum = 1024,
     .maximum = 1073741824,
     .environment = "MAX_REQUEST_SIZE_BYTES",
     .unit = "bytes",
     .live = true,
     .prose =
         "The largest request body, counted as it arrives. A larger one is answered 413. Models can have their own limit."},
    {.name = "max_connections",
     .kind = WEIR_OPTION_INTEGER,
     .offset = AT(limits, max_connections),
     .initial = "20000",
     .minimum = 1,
     .maximum = 1000000,
     .live = true,
     .prose = "Client connections per worker; more are closed at once."},
    {.name = "max_active_requests",
     .kind = WEIR_OPTION_INTEGER,
     .offset = AT(limits, max_active_requests),
     .initial = "10000",
     .minimum = 1,
     .maximum = 1000000,
     .live = true,
     .prose = "Requests in flight per worker; more are answered 503 with Retry-After."},
    {.name = "keep_alive_requests",
     .kind = WEIR_OPTION_INTEGER,
     .offset = AT(limits, keep_alive_requests),
     .initial = "100000",
     .minimum = 0,
     .maximum = 1000000000,
     .live = true,
     .prose = "Requests on one connection before it is closed; 0: no limit."},
    {.name = "default_output_tokens",
     .kind = WEIR_OPTION_INTEGER,
     .offset = AT(limits, default_output_tokens),
     .initial = "16384",
     .minimum = 1,
     .maximum = 10000000,
     .live = true,
     .prose = "Output tokens to reserve for when neither the request nor the price file bounds them."},
    {.name = "max_upload_bytes",
     .kind = WEIR_OPTION_SIZE,
     .offset = AT(limits, max_upload_bytes),
     .initial = "512MiB",
     .minimum = 1024,
     .maximum = 1099511627776,
     .unit = "bytes",
     .live = true,
     .prose = "The largest form: files, sound, pictures. A larger one is answered 413."},
    {.name = "spool_memory_bytes",
     .kind = WEIR_OPTION_SIZE,
     .offset = AT(limits, spool_memory_bytes),
     .initial = "256KiB",
     .minimum = 0,
     .maximum = 1073741824,
     .unit = "bytes",
     .live = true,
     .prose =
         "How much of a form is kept in memory until it is sent on; what is larger waits in an unlinked file in the data directory."},
    {.name = "metered_only",
     .kind = WEIR_OPTION_BOOL,
     .offset = AT(limits, metered_only),
     .initial = "false",
     .live = true,
     .prose =
         "Refuse what cannot be metered: batches, background responses, and models without a price. Otherwise these cost nothing, marked unpriced."},
};
const struct weir_option_table weir_limits_options = {"limits", limits_rows, COUNT(limits_rows),
                                                      sizeof(struct weir_limits_settings)};

#define TIMEOUT(row_name, member, value, words)                                                           \
    {                                                                                                     \
        .name = row_name, .kind = WEIR_OPTION_DURATION, .offset = AT(timeouts, member), .initial = value, \
        .minimum = 10, .maximum = 86400000, .unit = "s", .live = true, .prose = words                     \
    }
static const struct weir_option timeouts_rows[] = {
    TIMEOUT("head", head_ms, "15s", "From the first byte of a request's head to its end."),
    TIMEOUT("body", body_ms, "30s", "Between two pieces of a request's body."),
    TIMEOUT("keep_alive", keep_alive_ms, "75s", "How long an unused client connection is kept."),
    TIMEOUT("connect", connect_ms, "5s", "Resolving a provider's name, connecting, and its TLS handshake, together."),
    TIMEOUT("first_byte", first_byte_ms, "2m", "From a request's last byte to the provider's first."),
    TIMEOUT("idle", idle_ms, "60s", "Between two pieces of a provider's answer."),
    TIMEOUT("request", request_ms, "10m", "A whole request, wall clock."),
};
const struct weir_option_table weir_timeouts_options = {"timeouts", timeouts_rows, COUNT(timeouts_rows),
                                                        sizeof(struct weir_timeouts_settings)};

static const struct weir_option cors_rows[] = {
    {.name = "origins",
     .kind = WEIR_OPTION_TEXTS,
     .offset = AT(cors, origins),
     .environment = "CORS_ORIGINS",
     .live = true,
     .prose =
         "Origins whose pages may call the data plane. In dev, without any, every loopback origin may; `*` is refused in prod."},
};
const struct weir_option_table weir_cors_options = {"cors", cors_rows, COUNT(cors_rows),
                                                    sizeof(struct weir_cors_settings)};

static const struct weir_option auth_rows[] = {
    {.name = "key_headers",
     .kind = WEIR_OPTION_TEXTS,
     .offset = AT(auth, key_headers),
     .initial = "x-api-key,x-goog-api-key,key",
     .live = true,
     .prose =
         "Where clients may have their key besides `Authorization: Bearer`, which always counts: `x-api-key` on Anthropic's paths; `x-goog-api-key`, and `key`, a parameter of the query, on Gemini's. An empty list: nowhere else."},
};
const struct weir_option_table weir_auth_options = {"auth", auth_rows, COUNT(auth_rows),
                                                    sizeof(struct weir_auth_settings)};

static const struct weir_option metrics_rows[] = {
    {.name = "allow",
     .kind = WEIR_OPTION_TEXTS,
     .offset = AT(metrics, allow),
     .initial = "127.0.0.1,::1",
     .live = true,
     .prose = "Addresses that may read /metrics; `*`: any."},
};
const struct weir_option_table weir_metrics_options = {"metrics", metrics_rows, COUNT(metrics_rows),
                                                       sizeof(struct weir_metrics_settings)};

static const char *const payments[] = {"manual", "webhook", NULL};
static const struct weir_option billing_rows[] = {
    {.name = "payment",
     .kind = WEIR_OPTION_CHOICE,
     .offset = AT(billing, payment),
     .initial = "manual",
     .choices = payments,
     .live = true,
     .prose =
         "Who says that a purchase was paid: `manual`, an operator (`weir billing approve`), or `webhook`, a payment system that calls `/v1/billing/webhooks/payment`."},
    {.name = "payment_url",
     .kind = WEIR_OPTION_TEXT,
     .offset = AT(billing, payment_url),
     .live = true,
     .prose =
         "Where a purchase is paid, for its answer: a URL in which `{purchase}`, `{workspace}` and `{cu_milli}` are put in. Empty: none is told."},
    {.name = "webhook_secret",
     .kind = WEIR_OPTION_SECRET,
     .offset = AT(billing, webhook_secret),
     .environment = "WEIR_WEBHOOK_SECRET",
     .prose =
         "What the payment system signs with, `env:NAME`, `file:PATH` or `secret:NAME`: `whsec_` and base64, as Standard Webhooks have it, or any text. Needed for `payment: webhook`."},
    {.name = "max_purchase_cu",
     .kind = WEIR_OPTION_INTEGER,
     .offset = AT(billing, max_purchase_cu),
     .initial = "1000000000",
     .minimum = 1,
     .maximum = 1000000000000,
     .live = true,
     .prose = "The most CU of one purchase (a million CU are a dollar)."},
    {.name = "purchase_expiry",
     .kind = WEIR_OPTION_DURATION,
     .offset = AT(billing, purchase_expiry_ms),
     .initial = "7d",
     .unit = "s",
     .minimum = 60000,
     .maximum = (int64_t)365 * 24 * 3600000,
     .live = true,
     .prose = "How long a purchase waits for an operator. A payment that arrives later is credited all the same."},
};
const struct weir_option_table weir_billing_options = {"billing", billing_rows, COUNT(billing_rows),
                                                       sizeof(struct weir_billing_settings)};

static const struct weir_option dialects_rows[] = {
    {.name = "strict_params",
     .kind = WEIR_OPTION_BOOL,
     .offset = AT(dialects, strict_params),
     .initial = "false",
     .live = true,
     .prose =
         "Refuse, with 400 that names it, a parameter that a request's provider does not have and that would be ignored where the request is translated. A request can say otherwise for itself with `x-weir-strict-params: true` or `false`."},
};
const struct weir_option_table weir_dialects_options = {"dialects", dialects_rows, COUNT(dialects_rows),
                                                        sizeof(struct weir_dialects_settings)};
