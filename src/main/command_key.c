/* weir key: the operator's hand on API keys, straight to the store; a running server sees each change within a second. */
#include "json/write.h"
#include "base/clock.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"

struct key_flags {
    const char *config, *name, *workspace, *expires;
    bool json;
};

/* Settings and the store, for one command. */
struct session {
    struct weir_arena *arena;
    struct main__settings settings;
    struct weir_engine *engine;
};

static void session_close(struct session *session) {
    if (session->engine != NULL)
        weir_store_direct_close(&session->engine);
    weir_arena_free(&session->arena);
}

static bool session_open(struct session *session, const char *config, bool create) {
    struct weir_error error = {.text = ""};
    session->arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    if (session->arena == NULL || main__settings_for_command(session->arena, config, &session->settings) != WEIR_OK)
        return false;
    if (weir_store_direct_open(session->settings.data_dir, session->settings.environment, create, &session->engine,
                               &error) == WEIR_OK)
        return true;
    fprintf(stderr, "weir: %s\n", error.text);
    return false;
}

static void write_key(struct weir_json_writer *writer, const struct weir_key_record *key) {
    char time[32];
    weir_json_write_object(writer);
    weir_json_member_text(writer, "id", key->id);
    weir_json_member_string(writer, "name", key->name);
    weir_json_member_string(writer, "workspace", key->workspace);
    weir_json_member_text(writer, "hint", key->hint);
    main__format_time(key->created_utc_us, time);
    weir_json_member_text(writer, "created", time);
    main__format_time(key->expires_utc_us, time);
    weir_json_member_text(writer, "expires", key->expires_utc_us != 0 ? time : NULL);
    main__format_time(key->revoked_utc_us, time);
    weir_json_member_text(writer, "revoked", key->revoked_utc_us != 0 ? time : NULL);
}

static int key_create(struct session *session, const struct key_flags *flags) {
    struct weir_error error = {.text = ""};
    struct weir_key_record record;
    struct weir_secret *secret = NULL;
    int64_t expires = 0;
    struct weir_span name = weir_span_of_string(flags->name != NULL ? flags->name : "unnamed");
    struct weir_span workspace = weir_span_of_string(flags->workspace != NULL ? flags->workspace : "default");
    if (name.length == 0 || name.length > 200 || workspace.length == 0 || workspace.length > 200) {
        fprintf(stderr, "weir: --name and --workspace take 1 to 200 bytes\n");
        return MAIN_EXIT_USAGE;
    }
    if (flags->expires != NULL && (main__parse_time(weir_span_of_string(flags->expires), true, &expires) != WEIR_OK ||
                                   expires <= weir_clock_utc_us())) {
        fprintf(
            stderr,
            "weir: --expires: expected a time from now like 30d or 12h, or a date to come like 2030-01-31; got '%s'\n",
            flags->expires);
        return MAIN_EXIT_USAGE;
    }
    const struct weir_key_format format = {session->settings.general.brand,
                                           weir_span_of_string(session->settings.environment)};
    enum weir_status status = main__key_make(&format, name, workspace, expires, &record, &secret);
    if (status == WEIR_OK)
        status = weir_engine_sqlite.key_insert(session->engine, &record, &error);
    if (status != WEIR_OK) {
        fprintf(stderr, "weir: the key was not created: %s\n",
                error.text[0] != '\0' ? error.text : weir_status_name(status));
        weir_secret_free(&secret);
        return MAIN_EXIT_FAILED;
    }
    struct weir_span key = weir_secret_reveal(secret);
    if (flags->json) {
        struct weir_buffer out;
        struct weir_json_writer writer;
        weir_buffer_init(&out, 64 * WEIR_KIB);
        weir_json_writer_init(&writer, &out);
        write_key(&writer, &record);
        weir_json_member_string(&writer, "key", key);
        weir_json_write_end(&writer);
        printf("%.*s\n", WEIR_SPAN_PRINT(weir_buffer_span(&out)));
        weir_buffer_release(&out);
    } else {
        fprintf(stderr, "key %s for workspace %s, shown this once:\n", record.id,
                flags->workspace != NULL ? flags->workspace : "default");
        printf("%.*s\n", WEIR_SPAN_PRINT(key));
    }
    weir_secret_free(&secret);
    return 0;
}

struct list {
    bool json;
    size_t count;
};

static enum weir_status list_one(void *context, const struct weir_key_record *key) {
    struct list *list = context;
    if (list->json) {
        struct weir_buffer out;
        struct weir_json_writer writer;
        weir_buffer_init(&out, 64 * WEIR_KIB);
        weir_json_writer_init(&writer, &out);
        write_key(&writer, key);
        weir_json_write_end(&writer);
        printf("%.*s\n", WEIR_SPAN_PRINT(weir_buffer_span(&out)));
        weir_buffer_release(&out);
    } else {
        char created[32], expires[32], revoked[32];
        main__format_time(key->created_utc_us, created);
        main__format_time(key->expires_utc_us, expires);
        main__format_time(key->revoked_utc_us, revoked);
        if (list->count == 0)
            printf("%-20s  %-9s  %-20s  %-16s  %-20s  %-20s  %s\n", "ID", "HINT", "NAME", "WORKSPACE", "CREATED",
                   "EXPIRES", "REVOKED");
        char name[MAIN_CELL_SIZE], workspace[MAIN_CELL_SIZE], hint[MAIN_CELL_SIZE];
        main__cell(key->name, 20, name);
        main__cell(key->workspace, 16, workspace);
        main__cell(weir_span_of_string(key->hint), 9, hint);
        printf("%-20s  %s  %s  %s  %-20s  %-20s  %s\n", key->id, hint, name, workspace, created, expires, revoked);
    }
    list->count++;
    return WEIR_OK;
}

static int key_list(struct session *session, const struct key_flags *flags) {
    struct weir_error error = {.text = ""};
    struct list list = {.json = flags->json};
    if (weir_engine_sqlite.key_each(session->engine, 0, list_one, &list, &error) != WEIR_OK) {
        fprintf(stderr, "weir: %s\n", error.text);
        return MAIN_EXIT_FAILED;
    }
    if (list.count == 0)
        fprintf(stderr, "no keys yet; make one with: weir key create --name NAME\n");
    return 0;
}

static int key_revoke(struct session *session, const char *id) {
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_engine_sqlite.key_revoke(session->engine, weir_span_of_string(id),
                                                            weir_clock_utc_us(), &error);
    if (status == WEIR_OK) {
        fprintf(stderr, "revoked %s; running servers refuse it within a second\n", id);
        return 0;
    }
    fprintf(stderr, "weir: %s\n",
            status == WEIR_ENOTFOUND ? "there is no key with that id; see: weir key list" : error.text);
    return MAIN_EXIT_FAILED;
}

int main__key(int argc, char **argv) {
    struct key_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--name", NULL, MAIN_FLAG_TEXT, &flags.name, "NAME", "create: what the key is for"},
        {"--workspace", NULL, MAIN_FLAG_TEXT, &flags.workspace, "NAME", "create: who pays (default: default)"},
        {"--expires", NULL, MAIN_FLAG_TEXT, &flags.expires, "WHEN", "create: 30d, 12h, or a date (default: never)"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "one JSON object a line"},
    };
    const struct main__command command = {
        "weir key create [--name NAME] [--workspace NAME] [--expires WHEN] | list | revoke ID",
        "Creates, lists and revokes API keys in the store; a running server sees each change within a second.\nA new key is printed once, alone on its "
        "line of standard output; only its hash is kept.",
        all,
        sizeof all / sizeof *all,
        1,
        2};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    struct weir_span word = weir_span_of_string(operands[0]);
    bool create = weir_span_equal(word, WEIR_SPAN("create")), list = weir_span_equal(word, WEIR_SPAN("list")),
         revoke = weir_span_equal(word, WEIR_SPAN("revoke"));
    if ((!create && !list && !revoke) || count != (revoke ? 2U : 1U)) {
        fprintf(stderr, "weir: expected `weir key create`, `weir key list` or `weir key revoke ID`\nusage: %s\n",
                command.usage);
        return MAIN_EXIT_USAGE;
    }
    struct session session = {.arena = NULL};
    int code = MAIN_EXIT_FAILED;
    if (session_open(&session, flags.config, create))
        code = create ? key_create(&session, &flags)
               : list ? key_list(&session, &flags)
                      : key_revoke(&session, operands[1]);
    session_close(&session);
    return code;
}
