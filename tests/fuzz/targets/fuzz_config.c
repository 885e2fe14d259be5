/* links: base json http config */
/* Settings files of any bytes: a refused one fills nothing and says why, an accepted one has a canonical text that reads
 * back to the same canonical text. */
#include "config/config.h"

struct target {
    struct weir_span provider;
    int64_t weight;
};
static const struct weir_option target_rows[] = {
    {.name = "provider", .kind = WEIR_OPTION_TEXT, .offset = offsetof(struct target, provider), .required = true},
    {.name = "weight", .kind = WEIR_OPTION_INTEGER, .offset = offsetof(struct target, weight), .initial = "1"},
};
static const struct weir_option_table target_table = {.section = "targets",
                                                      .rows = target_rows,
                                                      .count = 2,
                                                      .size = sizeof(struct target)};

struct model {
    struct weir_span name;
    struct weir_span key;
    struct weir_option_items targets;
};
static const struct weir_option model_rows[] = {
    {.name = "name", .kind = WEIR_OPTION_TEXT, .offset = offsetof(struct model, name)},
    {.name = "key", .kind = WEIR_OPTION_SECRET, .offset = offsetof(struct model, key)},
    {.name = "targets", .kind = WEIR_OPTION_LIST, .offset = offsetof(struct model, targets), .items = &target_table},
};
static const struct weir_option_table model_table = {.section = "models",
                                                     .rows = model_rows,
                                                     .count = 3,
                                                     .size = sizeof(struct model)};

struct top {
    int mode;
    struct weir_option_items models;
};
static const char *const modes[] = {"dev", "prod", "development=dev", NULL};
static const struct weir_option top_rows[] = {
    {.name = "mode", .kind = WEIR_OPTION_CHOICE, .offset = offsetof(struct top, mode), .choices = modes},
    {.name = "models", .kind = WEIR_OPTION_LIST, .offset = offsetof(struct top, models), .items = &model_table},
};
static const struct weir_option_table top_table = {.section = "",
                                                   .rows = top_rows,
                                                   .count = 2,
                                                   .size = sizeof(struct top)};

struct limits {
    int64_t size, number, time;
    bool flag;
    struct weir_span text;
    struct weir_texts texts;
};
static const struct weir_option limits_rows[] = {
    {.name = "size",
     .kind = WEIR_OPTION_SIZE,
     .offset = offsetof(struct limits, size),
     .initial = "1MiB",
     .minimum = 1,
     .maximum = 1 << 30},
    {.name = "number",
     .kind = WEIR_OPTION_INTEGER,
     .offset = offsetof(struct limits, number),
     .minimum = -5,
     .maximum = 5},
    {.name = "time", .kind = WEIR_OPTION_DURATION, .offset = offsetof(struct limits, time), .unit = "ms"},
    {.name = "flag", .kind = WEIR_OPTION_BOOL, .offset = offsetof(struct limits, flag), .initial = "on"},
    {.name = "text", .kind = WEIR_OPTION_TEXT, .offset = offsetof(struct limits, text), .initial = "word"},
    {.name = "texts", .kind = WEIR_OPTION_TEXTS, .offset = offsetof(struct limits, texts)},
};
static const struct weir_option_table limits_table = {.section = "limits",
                                                      .rows = limits_rows,
                                                      .count = 6,
                                                      .size = sizeof(struct limits)};

struct settings {
    struct top top;
    struct limits limits;
    struct weir_config_section sections[2];
};

static const char *look_up(void *context, const char *name) {
    (void)context;
    if (strcmp(name, "A") == 0)
        return "file:/b ${B}";
    return strcmp(name, "B") == 0 ? "" : NULL;
}

static enum weir_status read_settings(struct weir_arena *arena, struct weir_span text, struct settings *settings,
                                      struct weir_buffer *problems) {
    memset(settings, 0, sizeof *settings);
    settings->limits.number = 77;
    settings->sections[0] = (struct weir_config_section){.table = &top_table, .values = &settings->top};
    settings->sections[1] = (struct weir_config_section){.table = &limits_table, .values = &settings->limits};
    return weir_config_read(arena, text, "f", settings->sections, 2, look_up, NULL, problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weir_span text = weir_span_of((const char *)data, size);
    struct weir_arena *arena = weir_arena_new(0, 32 << 20);
    struct weir_buffer problems, first, second;
    struct settings settings, again;
    weir_buffer_init(&problems, 1 << 20);
    weir_buffer_init(&first, 16 << 20);
    weir_buffer_init(&second, 16 << 20);
    enum weir_status status = read_settings(arena, text, &settings, &problems);
    if (status != WEIR_OK) {
        weir_bug_on(status != WEIR_EINVAL && status != WEIR_ENOMEM);
        weir_bug_on(problems.length == 0 || problems.at[problems.length - 1] != '\n');
        weir_bug_on(settings.limits.number != 77 || settings.top.models.count != 0);
        size_t lines = 0;
        for (size_t i = 0; i < problems.length; i++) {
            lines += problems.at[i] == '\n';
            weir_bug_on((unsigned char)problems.at[i] < 0x20 && problems.at[i] != '\n');
        }
        weir_bug_on(lines > 52);
    } else {
        weir_bug_on(problems.length != 0 || settings.limits.number == 77);
        weir_config_canonical(settings.sections, 2, &first);
        weir_bug_on(read_settings(arena, weir_buffer_span(&first), &again, &problems) != WEIR_OK);
        weir_config_canonical(again.sections, 2, &second);
        weir_bug_on(!weir_span_equal(weir_buffer_span(&first), weir_buffer_span(&second)));
        weir_buffer_clear(&second);
        weir_config_explain(settings.sections, 2, WEIR_SPAN(""), (size & 1) != 0, &second) == WEIR_OK ? (void)0
                                                                                                      : abort();
    }
    weir_buffer_clear(&second);
    weir_config_locate(arena, text, "f", WEIR_SPAN("models[0].targets[1].weight"), &second);
    weir_buffer_release(&problems);
    weir_buffer_release(&first);
    weir_buffer_release(&second);
    weir_arena_free(&arena);
    return 0;
}
