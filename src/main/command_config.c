/* weir config: check a file, explain a setting, print the pages of settings and presets. weir metrics: the same for metrics. */
#include "main/arguments.h"
#include "main/commands.h"
#include "main/owner.h"
#include "main/publish.h"
#include "secrets/secrets.h"

static void print(const struct weir_buffer *text) {
    printf("%.*s", WEIR_SPAN_PRINT(weir_buffer_span(text)));
}

static bool names_sealed(const struct main__settings *settings) {
    const struct weir_provider_settings *providers = settings->catalog.providers.at;
    struct weir_span name;
    for (size_t i = 0; i < settings->catalog.providers.count; i++)
        if (weir_secrets_is_sealed(providers[i].api_key, &name))
            return true;
    return false;
}

/* Whether the store can be asked for secrets. A database that a start would change first is left alone: a check changes nothing. */
static bool store_is_ready(const struct main__settings *settings, struct weir_error *error) {
    struct weir_store_migration migration;
    enum weir_status status = weir_store_direct_migration(settings->data_dir, settings->environment, &migration, error);
    if (status == WEIR_OK && migration.from_step != migration.to_step)
        status = weir_fail(error, WEIR_ESTALE, "the database is of an earlier release; see weir store migrate");
    return status == WEIR_OK;
}

/* What is good and still may be another thing than was meant. */
static void tell_remarks(const struct main__settings *settings, const struct weir_error *store) {
    const struct main__operator_settings *plane = &settings->operator_plane;
    if (store->text[0] != '\0')
        fprintf(stderr, "whether the secrets that it names (secret:NAME) are there was not looked up: %s\n",
                store->text);
    if (plane->allow_remote && main__plane_is_open(settings))
        fprintf(stderr, "operator.allow_remote: the operator plane is open to other machines at %.*s%s%s\n",
                WEIR_SPAN_PRINT(plane->listen),
                plane->allow.count == 0 ? "; whoever reaches it may try to log in (operator.allow is empty)" : "",
                plane->tls_certificate.length == 0
                    ? "; tokens and passwords cross the network unencrypted (no operator.tls_certificate)"
                    : "");
    else if (plane->allow_remote)
        fprintf(
            stderr,
            "operator.allow_remote: has no effect at %.*s; with another operator.listen it lets other machines reach the operator "
            "plane without operator.allow or without TLS\n",
            WEIR_SPAN_PRINT(plane->listen));
}

/* Everything that a start would refuse, short of opening sockets; the store is asked for the secrets that are named, where it is there. */
static int check(const char *path) {
    struct weir_buffer problems;
    struct main__settings settings;
    struct weir_error store = {.text = ""};
    struct main__published *published = NULL;
    const struct main__plans no_plans = {.count = 0};
    struct main__tls_cache *cache = main__tls_cache_new();
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    weir_buffer_init(&problems, WEIR_MIB);
    enum weir_status status = arena == NULL || cache == NULL ? WEIR_ENOMEM
                                                             : main__settings_load(arena, path, &settings, &problems);
    if (status == WEIR_OK)
        status = main__implicit_catalog(arena, &settings, "http://127.0.0.1:1/v1");
    if (status == WEIR_OK) {
        settings.without_store = names_sealed(&settings) && !store_is_ready(&settings, &store);
        status = main__published_new(arena, &settings, &no_plans, cache, &published, &problems);
        arena = NULL;
    }
    if (status == WEIR_OK)
        fprintf(stderr, "%s is good: %zu providers, %zu models\n", path, published->revision->provider_count,
                published->revision->model_count);
    if (status == WEIR_OK)
        tell_remarks(&published->settings, &store);
    else
        fprintf(stderr, "%.*s", WEIR_SPAN_PRINT(weir_buffer_span(&problems)));
    main__published_free(&published);
    main__tls_cache_free(&cache);
    weir_arena_free(&arena);
    weir_buffer_release(&problems);
    return status == WEIR_OK ? 0 : MAIN_EXIT_FAILED;
}

/* "now" is what a start in this directory would use: its weir.yaml, the environment, the defaults. */
static int explain(const char *setting, bool json) {
    struct main__settings settings;
    struct weir_config_section sections[MAIN_SECTION_COUNT];
    struct weir_buffer out;
    enum weir_status status = WEIR_ENOMEM;
    struct weir_arena *arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    weir_buffer_init(&out, WEIR_MIB);
    if (arena != NULL && main__settings_for_command(arena, NULL, &settings) == WEIR_OK) {
        main__settings_sections(&settings, sections);
        status = weir_config_explain(sections, MAIN_SECTION_COUNT, weir_span_of_string(setting), json, &out);
        if (status == WEIR_OK)
            print(&out);
        else
            fprintf(stderr, "%.*s", WEIR_SPAN_PRINT(weir_buffer_span(&out)));
    }
    weir_buffer_release(&out);
    weir_arena_free(&arena);
    return status == WEIR_OK ? 0 : MAIN_EXIT_FAILED;
}

static int presets(void) {
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    weir_presets_reference(&out);
    print(&out);
    weir_buffer_release(&out);
    return 0;
}

static int reference(void) {
    struct main__settings settings;
    struct weir_config_section sections[MAIN_SECTION_COUNT];
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    main__settings_sections(&settings, sections);
    weir_config_reference(sections, MAIN_SECTION_COUNT, &out);
    print(&out);
    weir_buffer_release(&out);
    return 0;
}

int main__config(int argc, char **argv) {
    bool json = false;
    const struct main__flag all[] = {{"--json", NULL, MAIN_FLAG_SWITCH, &json, NULL, "explain: as JSON"}};
    const struct main__command command = {
        "weir config check FILE | explain [SETTING] | reference | presets",
        "check: says all that is wrong with a settings file, or that it is good.\nexplain: what a setting means, its bounds and default; "
        "without a name, all of them.\nreference: the page of all settings, in Markdown. presets: that of the providers that are known by name.",
        all,
        1,
        1,
        2};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    struct weir_span word = weir_span_of_string(operands[0]);
    if (weir_span_equal(word, WEIR_SPAN("check")) && count == 2)
        return check(operands[1]);
    if (weir_span_equal(word, WEIR_SPAN("explain")))
        return explain(operands[1], json);
    if (weir_span_equal(word, WEIR_SPAN("reference")) && count == 1)
        return reference();
    if (weir_span_equal(word, WEIR_SPAN("presets")) && count == 1)
        return presets();
    fprintf(stderr, "usage: %s\n", command.usage);
    return MAIN_EXIT_USAGE;
}

int main__metrics(int argc, char **argv) {
    const struct main__command command = {
        "weir metrics reference", "Prints the page of all metrics, in Markdown.", NULL, 0, 1, 1};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    weir_metrics_reference(&out);
    print(&out);
    weir_buffer_release(&out);
    return 0;
}
