/* weir backup, weir restore: the whole store into one file, while a server runs, and back. */
#include "base/clock.h"
#include "json/write.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "main/local_audit.h"
#include "main/sealing.h"
#include "store/backup.h"

#include <unistd.h>

struct backup_flags {
    const char *config, *to;
    bool seal, verify, verify_only, replace, json;
};

struct session {
    struct weir_arena *arena;
    struct main__settings settings;
    struct weir_sealing *sealing;
    struct weir_backup_sealer sealer;
};

static int tell(enum weir_status status, const struct weir_error *error) {
    fprintf(stderr, "weir: %s\n", error->text[0] != '\0' ? error->text : weir_status_name(status));
    return MAIN_EXIT_FAILED;
}

static void session_close(struct session *session) {
    weir_sealing_free(&session->sealing);
    weir_arena_free(&session->arena);
}

static bool session_open(struct session *session, const struct backup_flags *flags) {
    struct weir_error error = {.text = ""};
    session->arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    if (session->arena == NULL ||
        main__settings_for_command(session->arena, flags->config, &session->settings) != WEIR_OK)
        return false;
    enum weir_status status = main__sealing_new(&session->settings, &session->sealing, &error);
    if (status == WEIR_OK && flags->seal && !weir_sealing_can_seal(session->sealing))
        status = weir_fail(&error, WEIR_EDENIED, "--seal needs a sealing key: %.300s",
                           error.text[0] != '\0' ? error.text : "name one with secrets.sealing_key");
    if (status != WEIR_OK) {
        (void)tell(status, &error);
        return false;
    }
    session->sealer = main__backup_sealer(session->sealing);
    return true;
}

/* Who took or put back a copy of everything is known ever after. */
static enum weir_status audit(struct session *session, const char *directory, const char *action, const char *file,
                              struct weir_span what, struct weir_error *error) {
    struct weir_engine *engine = NULL;
    struct weir_span name = weir_span_of_string(file);
    const struct main__local_note note = {.action = action,
                                          .resource_type = "backup",
                                          .resource_id = name,
                                          .resource_name = name,
                                          .workspace = WEIR_SPAN(""),
                                          .before = WEIR_SPAN(""),
                                          .after = what};
    enum weir_status status = weir_store_direct_open(directory, session->settings.environment, false, &engine, error);
    if (status != WEIR_OK)
        return status;
    status = weir_engine_sqlite.work_begin(engine, error);
    if (status == WEIR_OK)
        status = weir_engine_sqlite.work_end(engine, main__audit_local(engine, &note, weir_clock_utc_us(), error),
                                             error);
    weir_store_direct_close(&engine);
    return status;
}

/* A JSON object on what a backup is. */
static void write_info(const struct weir_backup_info *info, bool verified, struct weir_buffer *out) {
    char instance[WEIR_UUID_TEXT_SIZE], time[WEIR_TIMESTAMP_SIZE], sha256[2 * WEIR_BACKUP_SHA256_SIZE + 1];
    char key[WEIR_SEALING_KEY_ID_SIZE] = "";
    struct weir_json_writer writer;
    weir_uuid_format(&info->instance, instance);
    weir_clock_format_utc(info->created_utc_us, time);
    weir_hex_format(info->sha256, sizeof info->sha256, sha256);
    if (info->sealed &&
        weir_sealing_blob_key_id(weir_span_of((const char *)info->wrapped, info->wrapped_length), key) != WEIR_OK)
        key[0] = '\0';
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    weir_json_member_text(&writer, "created_at", time);
    weir_json_member_text(&writer, "environment", info->environment);
    weir_json_member_text(&writer, "instance", instance);
    weir_json_member_text(&writer, "weir_version", info->version);
    weir_json_member_int64(&writer, "schema_step", info->schema);
    weir_json_member_int64(&writer, "bytes", (int64_t)info->file_bytes);
    weir_json_member_int64(&writer, "database_bytes", (int64_t)info->database_bytes);
    weir_json_member_bool(&writer, "sealed", info->sealed);
    weir_json_member_text(&writer, "sealed_with", info->sealed ? key : NULL);
    weir_json_member_text(&writer, "sha256", sha256);
    weir_json_member_bool(&writer, "verified", verified);
    if (verified)
        weir_json_member_int64(&writer, "audit_entries", info->audit_entries);
    weir_json_write_end(&writer);
}

static void print_info(const struct backup_flags *flags, const struct weir_backup_info *info, bool verified,
                       const char *done, const char *file, double seconds) {
    char time[32];
    struct weir_buffer out;
    main__format_time(info->created_utc_us, time);
    weir_buffer_init(&out, 64 * WEIR_KIB);
    write_info(info, verified, &out);
    if (flags->json)
        printf("%.*s\n", WEIR_SPAN_PRINT(weir_buffer_span(&out)));
    weir_buffer_release(&out);
    fprintf(stderr, "%s %s: the store of %s, environment %s, %llu bytes, %s, %.1f s\n", done, file, time,
            info->environment, (unsigned long long)info->file_bytes, info->sealed ? "sealed" : "not sealed", seconds);
}

/* --- weir backup --- */

static int backup(struct session *session, const struct backup_flags *flags, const char *file) {
    struct weir_error error = {.text = ""};
    struct weir_backup_info info;
    int64_t began_ns = weir_clock_monotonic_ns();
    const struct weir_backup_order order = {.directory = session->settings.data_dir,
                                            .environment = session->settings.environment,
                                            .file = file,
                                            .sealer = flags->seal ? &session->sealer : NULL};
    if (access(file, F_OK) != 0 &&
        audit(session, session->settings.data_dir, "backups.create", file,
              flags->seal ? WEIR_SPAN("{\"sealed\":true}") : WEIR_SPAN("{\"sealed\":false}"), &error) != WEIR_OK)
        fprintf(stderr, "weir: the audit trail gets no entry of this backup: %s\n", error.text);
    error.text[0] = '\0';
    enum weir_status status = weir_backup_make(&order, flags->verify, &info, &error);
    if (status != WEIR_OK)
        return tell(status, &error);
    print_info(flags, &info, flags->verify, "wrote", file, (double)(weir_clock_monotonic_ns() - began_ns) / 1e9);
    return 0;
}

int main__backup(int argc, char **argv) {
    struct backup_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--seal", NULL, MAIN_FLAG_SWITCH, &flags.seal, NULL, "seal its content with secrets.sealing_key"},
        {"--verify", NULL, MAIN_FLAG_SWITCH, &flags.verify, NULL, "restore it on trial before it gets its name"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "say as a JSON object what it is"},
    };
    const struct main__command command = {
        "weir backup FILE [--seal] [--verify]",
        "Writes a consistent copy of the whole store to FILE, which must not exist, also while a server runs.\nSealing keys, the owner's token and "
        "demo keys are files of their own and never in it.",
        all,
        sizeof all / sizeof *all,
        1,
        1};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    struct session session = {.arena = NULL};
    int code = session_open(&session, &flags) ? backup(&session, &flags, operands[0]) : MAIN_EXIT_FAILED;
    session_close(&session);
    return code;
}

/* --- weir restore --- */

static int restore(struct session *session, const struct backup_flags *flags, const char *file) {
    struct weir_error error = {.text = ""};
    struct weir_backup_info info;
    int64_t began_ns = weir_clock_monotonic_ns();
    const char *directory = flags->to != NULL ? flags->to : session->settings.data_dir;
    struct weir_backup_restore order = {.file = file,
                                        .directory = flags->verify_only ? flags->to : directory,
                                        .environment = flags->verify_only ? NULL : session->settings.environment,
                                        .sealer = weir_sealing_can_seal(session->sealing) ? &session->sealer : NULL,
                                        .replace = flags->replace};
    /* A look at a sealed backup unpacks it where the store is, if there is one: its own folder may be a place that must not see it. */
    if (order.directory == NULL && access(session->settings.data_dir, W_OK) == 0)
        order.directory = session->settings.data_dir;
    enum weir_status status = flags->verify_only ? weir_backup_verify(&order, &info, &error)
                                                 : weir_backup_restore(&order, &info, &error);
    if (status != WEIR_OK)
        return tell(status, &error);
    print_info(flags, &info, true, flags->verify_only ? "verified" : "restored", file,
               (double)(weir_clock_monotonic_ns() - began_ns) / 1e9);
    if (flags->verify_only)
        return 0;
    struct weir_buffer what;
    weir_buffer_init(&what, 64 * WEIR_KIB);
    write_info(&info, true, &what);
    if (audit(session, directory, "backups.restore", file, weir_buffer_span(&what), &error) != WEIR_OK)
        fprintf(stderr, "weir: the audit trail gets no entry of this: %s\n", error.text);
    weir_buffer_release(&what);
    if (order.replaced[0] != '\0')
        fprintf(stderr, "the database that was there is now %s/%s\n", directory, order.replaced);
    fprintf(stderr, "start weir on it: what was in flight at the time of the backup is settled then\n");
    return 0;
}

int main__restore(int argc, char **argv) {
    struct backup_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--to", NULL, MAIN_FLAG_TEXT, &flags.to, "DIR", "where to (default: data_dir of the settings)"},
        {"--verify-only", NULL, MAIN_FLAG_SWITCH, &flags.verify_only, NULL,
         "check all of it on a copy and change nothing; of any environment"},
        {"--replace", NULL, MAIN_FLAG_SWITCH, &flags.replace, NULL,
         "keep the database that is there beside the restored one"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "say as a JSON object what it is"},
    };
    const struct main__command command = {
        "weir restore FILE [--to DIR] [--replace] [--verify-only]",
        "Checks a backup wholly (checksums, the database, the audit trail, the environment, the version of the tables)\nand puts it in place. No server "
        "may run on it. A backup that is sealed needs its sealing key in the settings.",
        all,
        sizeof all / sizeof *all,
        1,
        1};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    struct session session = {.arena = NULL};
    int code = session_open(&session, &flags) ? restore(&session, &flags, operands[0]) : MAIN_EXIT_FAILED;
    session_close(&session);
    return code;
}
