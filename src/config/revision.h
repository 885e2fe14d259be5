/* A revision: one immutable, numbered, hashed snapshot of all that steers traffic, compiled for looking things up.
 *
 * It is made whole on the control thread (main fills in the credentials), published to the workers by message, and kept by the
 * requests that began with it. Nothing in it changes afterwards; main frees it when every worker has let go of it.
 */
#ifndef WEIR_CONFIG_REVISION_H
#define WEIR_CONFIG_REVISION_H

#include "base/arena.h"
#include "base/map.h"
#include "base/buffer.h"
#include "base/option.h"
#include "base/secret.h"
#include "config/presets.h"
#include "http/url.h"

/* --- as configured (filled from the option tables below) --- */
enum weir_output_limit_choice {
    WEIR_OUTPUT_LIMIT_MAX_TOKENS,
    WEIR_OUTPUT_LIMIT_MAX_COMPLETION_TOKENS,
    WEIR_OUTPUT_LIMIT_PRESET
};
enum weir_stream_options_choice { WEIR_STREAM_OPTIONS_TAKEN, WEIR_STREAM_OPTIONS_REFUSED, WEIR_STREAM_OPTIONS_PRESET };
struct weir_provider_settings {
    struct weir_span name;
    struct weir_span preset;  /* empty: none */
    int dialect;              /* enum weir_provider_dialect; one past the last: as the preset says */
    struct weir_texts speaks; /* further dialects by name; none: as the preset says */
    struct weir_span base_url;
    struct weir_span api_key; /* a reference */
    int auth_header;          /* enum weir_credential_header; one past the last: as the preset says */
    int output_limit_member;  /* enum weir_output_limit_choice */
    int stream_options;       /* enum weir_stream_options_choice */
    struct weir_texts forward_headers;
    int64_t max_connections;
    int64_t max_waiting;
    int64_t idle_timeout_ms;
    struct weir_span prices; /* the provider's name in the price file; empty: its own */
    struct weir_span ca_file;
    bool tls_verify;
    bool catch_all;
};

struct weir_target_settings {
    struct weir_span provider;
    struct weir_span model; /* empty: as the client asked */
    int64_t weight;
    int64_t order;
};

struct weir_model_settings {
    struct weir_span name;
    struct weir_option_items targets; /* struct weir_target_settings */
    int64_t max_request_bytes;        /* 0: limits.max_request_bytes */
};

struct weir_catalog_settings {
    struct weir_option_items providers; /* struct weir_provider_settings */
    struct weir_option_items models;    /* struct weir_model_settings */
};
extern const struct weir_option_table weir_catalog_options; /* section "" */

/* --- compiled --- */
struct weir_provider {
    struct weir_span name;
    unsigned dialect;                              /* enum weir_provider_dialect */
    unsigned speaks;                               /* bits by dialect, the own one included */
    enum weir_credential_header credential_header; /* which field carries the credential */
    const char *output_limit_member;               /* of a chat body: "max_tokens" or "max_completion_tokens" */
    bool takes_stream_options;                     /* false: a chat body must not have them */
    size_t index;                                  /* in the revision */
    struct weir_url url;
    struct weir_span path_prefix; /* the base URL's path without a trailing '/' */
    struct weir_span host_header;
    struct weir_span price_name;          /* the provider of its rows in the price file */
    const struct weir_secret *credential; /* NULL: none */
    const struct weir_texts *forward_headers;
    const struct weir_provider_settings *settings;
    struct weir_span
        identity; /* what a pool depends on: the same text in two revisions means that connections can be kept */
    bool catch_all;
};

struct weir_target {
    const struct weir_provider *provider;
    struct weir_span model; /* upstream's name */
    int64_t weight, order;
};

/* A name that ends in '*' is a pattern: it stands for all names that begin so. A target's model is then empty (the name as it was asked for), "*" (what
 * stood for the star), or one name for all. */
struct weir_model {
    struct weir_span name;
    const struct weir_target *targets; /* by order, then as written */
    size_t target_count;
    int64_t max_request_bytes;
    bool is_pattern;
};

/* A subscription tier. Plans are kept in the store, not in the settings: main adds them to the revision. */
struct weir_plan {
    struct weir_span id, name;
    int64_t requests_per_second;      /* of each key; -1: no limit */
    int64_t cu_milli_per_month;       /* that are included; -1: as much as is used */
    int64_t price_cu_milli_per_month; /* -1: it is not said */
    bool overage;                     /* requests go on once the month's are used up */
};

enum { WEIR_REVISION_HASH_SIZE = 65 };
struct weir_revision {
    uint64_t number;
    char hash[WEIR_REVISION_HASH_SIZE]; /* SHA-256 of the canonical text, hex */
    int64_t created_utc_us;
    struct weir_arena *arena; /* owns all below */
    const struct weir_provider *providers;
    size_t provider_count;
    const struct weir_model *models; /* without patterns */
    size_t model_count;
    const struct weir_model *patterns; /* the longest first */
    size_t pattern_count;
    struct weir_map *provider_by_name;
    struct weir_map *model_by_name;
    const struct weir_provider *catch_all; /* NULL: none */
    int64_t max_request_bytes;             /* the largest limit of any model; 0: none has its own */
    const struct weir_plan *plans;         /* in order of their ids */
    size_t plan_count;
    struct weir_secret **credentials; /* one a provider, owned */
    const void *prices;               /* struct weir_prices: main owns it and frees it with the revision */
};

/* Gives the secret behind a provider's reference, or WEIR_ENOTFOUND and words. The revision owns it. */
typedef enum weir_status (*weir_revision_credential)(void *context, const struct weir_provider_settings *provider,
                                                     struct weir_secret **secret, struct weir_error *error);

/* Takes over `arena` (which holds the settings' texts), also on failure. On success catalog->providers are the revision's own, with what presets fill in.
 * Problems, one a line, begin with the setting ("models[0].targets[1].provider: …"): duplicate names, unknown presets, unknown providers in targets, bad
 * URLs, missing credentials. WEIR_EINVAL then. */
WEIR_MUST enum weir_status weir_revision_new(struct weir_arena *arena, struct weir_catalog_settings *catalog,
                                             weir_revision_credential credential, void *context,
                                             struct weir_revision **revision, struct weir_buffer *problems);
/* Wipes the credentials. */
void weir_revision_free(struct weir_revision **revision);
const struct weir_model *weir_revision_model(const struct weir_revision *revision, struct weir_span name);
/* The longest pattern that `name` fits; *rest is what stands for its star. NULL: none. */
const struct weir_model *weir_revision_pattern(const struct weir_revision *revision, struct weir_span name,
                                               struct weir_span *rest);
const struct weir_provider *weir_revision_provider(const struct weir_revision *revision, struct weir_span name);
/* NULL: there is none of this id. */
const struct weir_plan *weir_revision_plan(const struct weir_revision *revision, struct weir_span id);

#endif
