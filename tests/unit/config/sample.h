/* One row of every kind, a top-level list with a list inside it, and an environment made of pairs. */
#ifndef WEIR_TESTS_CONFIG_SAMPLE_H
#define WEIR_TESTS_CONFIG_SAMPLE_H

#include "config/config.h"

struct sample_target {
    struct weir_span provider;
    int64_t weight;
};
static const struct weir_option sample_target_rows[] = {
    {.name = "provider",
     .kind = WEIR_OPTION_TEXT,
     .offset = offsetof(struct sample_target, provider),
     .required = true,
     .prose = "Which provider."},
    {.name = "weight",
     .kind = WEIR_OPTION_INTEGER,
     .offset = offsetof(struct sample_target, weight),
     .initial = "1",
     .minimum = 0,
     .maximum = 100,
     .prose = "Its share."},
};
static const struct weir_option_table sample_targets = {.section = "targets",
                                                        .rows = sample_target_rows,
                                                        .count = 2,
                                                        .size = sizeof(struct sample_target)};

struct sample_model {
    struct weir_span name;
    struct weir_span api_key;
    struct weir_option_items targets;
};
static const struct weir_option sample_model_rows[] = {
    {.name = "name",
     .kind = WEIR_OPTION_TEXT,
     .offset = offsetof(struct sample_model, name),
     .required = true,
     .prose = "What clients ask for."},
    {.name = "api_key",
     .kind = WEIR_OPTION_SECRET,
     .offset = offsetof(struct sample_model, api_key),
     .prose = "Its credential."},
    {.name = "targets",
     .kind = WEIR_OPTION_LIST,
     .offset = offsetof(struct sample_model, targets),
     .items = &sample_targets,
     .required = true,
     .prose = "Where it is served."},
};
static const struct weir_option_table sample_models = {.section = "models",
                                                       .rows = sample_model_rows,
                                                       .count = 3,
                                                       .size = sizeof(struct sample_model)};

struct sample_top {
    int environment;
    struct weir_option_items models;
    int untouched; /* no row: reading leaves it alone */
};
static const char *const sample_environments[] = {"dev", "stage", "prod", "development=dev", "production=prod", NULL};
static const struct weir_option sample_top_rows[] = {
    {.name = "environment",
     .kind = WEIR_OPTION_CHOICE,
     .offset = offsetof(struct sample_top, environment),
     .choices = sample_environments,
     .initial = "dev",
     .environment = "ENVIRONMENT",
     .prose = "Which one it serves."},
    {.name = "models",
     .kind = WEIR_OPTION_LIST,
     .offset = offsetof(struct sample_top, models),
     .items = &sample_models,
     .live = true,
     .prose = "What is offered."},
};
static const struct weir_option_table sample_top_table = {.section = "",
                                                          .rows = sample_top_rows,
                                                          .count = 2,
                                                          .size = sizeof(struct sample_top)};

struct sample_limits {
    int64_t max_request_bytes;
    int64_t workers;
    int64_t idle_ms;
    int64_t grace_ms;
    bool strict;
    struct weir_span greeting;
    struct weir_span admin_token;
    struct weir_texts origins;
};
static const struct weir_option sample_limits_rows[] = {
    {.name = "max_request_bytes",
     .kind = WEIR_OPTION_SIZE,
     .offset = offsetof(struct sample_limits, max_request_bytes),
     .initial = "1MiB",
     .minimum = 1024,
     .maximum = 1 << 30,
     .environment = "MAX_REQUEST_SIZE_BYTES",
     .unit = "bytes",
     .live = true,
     .prose = "The largest request body."},
    {.name = "workers",
     .kind = WEIR_OPTION_INTEGER,
     .offset = offsetof(struct sample_limits, workers),
     .initial = "4",
     .minimum = 1,
     .maximum = 256,
     .prose = "Data threads | one per core."},
    {.name = "idle",
     .kind = WEIR_OPTION_DURATION,
     .offset = offsetof(struct sample_limits, idle_ms),
     .initial = "30s",
     .minimum = 100,
     .maximum = 3600000,
     .unit = "s",
     .live = true,
     .prose = "How long nothing may happen."},
    {.name = "grace",
     .kind = WEIR_OPTION_DURATION,
     .offset = offsetof(struct sample_limits, grace_ms),
     .live = true,
     .prose = "Without bounds or unit."},
    {.name = "strict",
     .kind = WEIR_OPTION_BOOL,
     .offset = offsetof(struct sample_limits, strict),
     .initial = "no",
     .environment = "STRICT",
     .live = true,
     .prose = "Whether to be strict."},
    {.name = "greeting",
     .kind = WEIR_OPTION_TEXT,
     .offset = offsetof(struct sample_limits, greeting),
     .initial = "hello",
     .environment = "GREETING",
     .live = true,
     .prose = "A text."},
    {.name = "admin_token",
     .kind = WEIR_OPTION_SECRET,
     .offset = offsetof(struct sample_limits, admin_token),
     .environment = "ADMIN_TOKEN",
     .live = true,
     .prose = "A secret."},
    {.name = "origins",
     .kind = WEIR_OPTION_TEXTS,
     .offset = offsetof(struct sample_limits, origins),
     .environment = "CORS_ORIGINS",
     .live = true,
     .prose = "Texts."},
};
static const struct weir_option_table sample_limits_table = {.section = "limits",
                                                             .rows = sample_limits_rows,
                                                             .count = 8,
                                                             .size = sizeof(struct sample_limits)};

struct sample {
    struct sample_top top;
    struct sample_limits limits;
    struct weir_config_section sections[2];
    struct weir_arena *arena;
    struct weir_buffer problems;
};

static inline void sample_open(struct sample *sample) {
    memset(sample, 0, sizeof *sample);
    sample->top.untouched = 42;
    sample->sections[0] = (struct weir_config_section){.table = &sample_top_table, .values = &sample->top};
    sample->sections[1] = (struct weir_config_section){.table = &sample_limits_table, .values = &sample->limits};
    sample->arena = weir_arena_new(0, 8 << 20);
    weir_buffer_init(&sample->problems, 1 << 20);
}

static inline void sample_close(struct sample *sample) {
    weir_arena_free(&sample->arena);
    weir_buffer_release(&sample->problems);
}

/* `context`: "NAME=value" texts, NULL at the end; or NULL for none. */
static inline const char *sample_lookup(void *context, const char *name) {
    const char *const *pairs = context;
    size_t length = strlen(name);
    for (size_t i = 0; pairs != NULL && pairs[i] != NULL; i++) {
        if (strncmp(pairs[i], name, length) == 0 && pairs[i][length] == '=')
            return pairs[i] + length + 1;
    }
    return NULL;
}

static inline enum weir_status sample_read_span(struct sample *sample, struct weir_span text,
                                                const char **environment) {
    weir_buffer_clear(&sample->problems);
    enum weir_status status = weir_config_read(sample->arena, text, "weir.yaml", sample->sections, 2, sample_lookup,
                                               environment, &sample->problems);
    weir_buffer_append_byte(&sample->problems, '\0');
    return status;
}

static inline enum weir_status sample_read(struct sample *sample, const char *text, const char **environment) {
    return sample_read_span(sample, weir_span_of_string(text), environment);
}

#endif
