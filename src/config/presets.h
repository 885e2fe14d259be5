/* Providers that are known by name, and how a provider speaks.
 *
 * A preset is a row of presets.def: where a provider answers, what it speaks and what it takes. It fills what the provider's own settings leave out
 * and never overrules them. Nothing else in the program asks for a provider by name.
 */
#ifndef WEIR_CONFIG_PRESETS_H
#define WEIR_CONFIG_PRESETS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/span.h"

struct weir_provider_settings;

/* In the order of the choices of providers[].dialect. What a base URL ends before:
 *   openai     /chat/completions, /embeddings, …   https://api.openai.com/v1
 *   responses  /responses                          https://api.openai.com/v1
 *   anthropic  /messages                           https://api.anthropic.com/v1
 *   gemini     /models/NAME:generateContent        https://generativelanguage.googleapis.com/v1beta
 *   ollama     /api/chat                           http://127.0.0.1:11434
 * A further dialect (`speaks`) has its resources under the same base URL; where the own one is ollama, under that and `/v1`. */
enum weir_provider_dialect {
    WEIR_PROVIDER_OPENAI,
    WEIR_PROVIDER_RESPONSES,
    WEIR_PROVIDER_ANTHROPIC,
    WEIR_PROVIDER_GEMINI,
    WEIR_PROVIDER_OLLAMA,
    WEIR_PROVIDER_DIALECTS
};

/* The request field that carries the credential. In the order of the choices of providers[].auth_header. */
enum weir_credential_header {
    WEIR_CREDENTIAL_BEARER, /* Authorization: Bearer … */
    WEIR_CREDENTIAL_X_API_KEY,
    WEIR_CREDENTIAL_X_GOOG_API_KEY,
    WEIR_CREDENTIAL_API_KEY,
    WEIR_CREDENTIAL_NONE,
    WEIR_CREDENTIAL_HEADERS
};

struct weir_preset {
    const char *name, *label;
    const char *base_url; /* "": the user's own */
    enum weir_provider_dialect dialect;
    unsigned speaks; /* bits by dialect, the own one included */
    enum weir_credential_header credential_header;
    const char *variable;            /* where the credential usually is */
    bool needs_key;                  /* without one it answers nobody */
    const char *output_limit_member; /* of a chat body: "max_tokens" or "max_completion_tokens" */
    bool takes_stream_options;       /* false: it refuses `stream_options`, or tells usage without */
    const char *prices;              /* its name in the built-in price file; "": it is not in there */
    const char *note;                /* for people, may be "" */
};

/* In the order of presets.def; NULL past the last. */
const struct weir_preset *weir_preset_at(size_t index);
/* NULL: there is none of that name. */
const struct weir_preset *weir_preset_find(struct weir_span name);
/* "openai"; lives for ever. */
const char *weir_provider_dialect_name(enum weir_provider_dialect dialect);
/* "Authorization", "x-api-key", …; NULL for none. */
const char *weir_credential_header_name(enum weir_credential_header header);

/* Fills what the settings of providers[index] leave to its preset, or to what is usual without one. Problems are lines that begin with the setting:
 * an unknown preset or dialect, no base URL. WEIR_EINVAL then; WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_preset_fill(struct weir_arena *arena, struct weir_provider_settings *settings,
                                            size_t index, struct weir_buffer *problems);
/* What it speaks, as bits by dialect, of settings that were filled. */
unsigned weir_preset_speaks(const struct weir_provider_settings *settings);
/* The page docs/reference/presets.md. */
void weir_presets_reference(struct weir_buffer *out);

#endif
