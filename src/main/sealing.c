/* See sealing.h. */
#include "main/sealing.h"

#include "base/clock.h"
#include "operator/sealed.h"

enum { MAX_KEYS = 64 };

enum weir_status main__sealing_new(const struct main__settings *settings, struct weir_sealing **sealing,
                                   struct weir_error *error) {
    struct weir_span references[MAX_KEYS];
    const struct weir_texts *previous = &settings->secrets.previous_sealing_keys;
    size_t count = 0;
    if (previous->count >= MAX_KEYS)
        return weir_fail(error, WEIR_ELIMIT, "secrets.previous_sealing_keys: more than %d keys", MAX_KEYS - 1);
    if (settings->secrets.sealing_key.length > 0)
        references[count++] = settings->secrets.sealing_key;
    /* Without a first key nothing is sealed with an old one by mistake. */
    for (size_t i = 0; count > 0 && i < previous->count; i++)
        references[count++] = previous->at[i];
    struct weir_error plain = {.text = ""};
    enum weir_status status = weir_sealing_new(references, count, sealing, &plain);
    if (status == WEIR_OK)
        return WEIR_OK;
    if (status != WEIR_ENOTFOUND)
        return weir_fail(error, status, "a sealing key (secrets.sealing_key, secrets.previous_sealing_keys): %.300s",
                         plain.text);
    (void)weir_fail(error, WEIR_OK, "%s", plain.text);
    return weir_sealing_new(NULL, 0, sealing, NULL);
}

static enum weir_status open_secret(const struct main__settings *settings, const struct weir_sealing *sealing,
                                    struct weir_arena *arena, struct weir_span name, struct weir_secret **secret,
                                    uint64_t *value_version, struct weir_error *error) {
    struct weir_engine *engine = NULL;
    struct weir_named_secret named;
    enum weir_status status = weir_store_direct_open(settings->data_dir, settings->environment, false, &engine, error);
    if (status == WEIR_ENOTFOUND)
        return weir_fail(error, status,
                         "there is no secret %.*s, as there is no database in %.200s yet: weir secrets put %.*s",
                         WEIR_SPAN_PRINT(name), settings->data_dir, WEIR_SPAN_PRINT(name));
    if (status != WEIR_OK)
        return status;
    struct weir_sealed_work work = {.store = &weir_engine_sqlite,
                                    .engine = engine,
                                    .arena = arena,
                                    .sealing = sealing,
                                    .environment = settings->environment,
                                    .now_utc_us = weir_clock_utc_us()};
    status = weir_named_secret_get(&work, name, &named, error);
    if (status == WEIR_ENOTFOUND)
        (void)weir_fail(error, status, "there is no secret %.*s in the store: weir secrets put %.*s",
                        WEIR_SPAN_PRINT(name), WEIR_SPAN_PRINT(name));
    if (status == WEIR_OK)
        status = weir_named_secret_open(&work, &named, secret, error);
    if (status == WEIR_OK)
        *value_version = named.value_version;
    weir_store_direct_close(&engine);
    return status;
}

enum weir_status main__secret_fetch(const struct main__settings *settings, struct weir_span name,
                                    struct weir_secret **secret, uint64_t *value_version, struct weir_error *error) {
    struct weir_sealing *sealing = NULL;
    struct weir_arena *arena = weir_arena_new(0, WEIR_MIB);
    enum weir_status status = arena == NULL ? weir_fail(error, WEIR_ENOMEM, "no memory for a secret")
                                            : main__sealing_new(settings, &sealing, error);
    if (status == WEIR_OK)
        status = open_secret(settings, sealing, arena, name, secret, value_version, error);
    weir_sealing_free(&sealing);
    weir_arena_free(&arena);
    return status;
}

/* --- backups --- */

static enum weir_status wrap(void *context, struct weir_span about, struct weir_span key, struct weir_buffer *wrapped) {
    return weir_sealing_seal(context, about, key, wrapped);
}

static enum weir_status unwrap(void *context, struct weir_span about, struct weir_span wrapped,
                               struct weir_secret **key) {
    return weir_sealing_open(context, about, wrapped, key);
}

struct weir_backup_sealer main__backup_sealer(const struct weir_sealing *sealing) {
    union {
        const struct weir_sealing *is;
        void *wanted;
    } context = {.is = sealing}; /* nobody writes to it */
    return (struct weir_backup_sealer){.wrap = wrap, .unwrap = unwrap, .context = context.wanted};
}
