/* weir key: the operator's hand on API keys, straight to the store; a running server sees each change within a second.
 *
 * It does what the operations of the plane do, by the same functions (operator/key_changes.h), and leaves the same entries in the audit trail, in the
 * transaction of the change: the actor is this machine's user.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "gateway/gateway.h"
#include "json/write.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "main/local_audit.h"
#include "operator/key_changes.h"

#include <unistd.h>

struct key_flags {
    const char *config, *name, *workspace, *team, *user, *models, *endpoints, *addresses, *capabilities, *expires,
        *tags, *overlap;
    bool json, rotation_due, end_streams, leaked;
};

enum { PAGE = 1000, LINE_BYTES = 1024 };

/* Settings and the store, for one command. */
struct session {
    struct weir_arena *arena;
    struct main__settings settings;
    struct weir_engine *engine;
    struct weir_random random;
    struct weir_key_work work;
    bool made_workspace;
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
    if (main__store_open(&session->settings, create, &session->engine, &error) != WEIR_OK) {
        fprintf(stderr, "weir: %s\n", error.text);
        return false;
    }
    session->work = (struct weir_key_work){.store = &weir_engine_sqlite,
                                           .engine = session->engine,
                                           .arena = session->arena,
                                           .random = &session->random,
                                           .format = {session->settings.general.brand,
                                                      weir_span_of_string(session->settings.environment)},
                                           .now_utc_us = weir_clock_utc_us(),
                                           .rotation_due_us = session->settings.keys.rotation_due_ms * 1000,
                                           .names = {.endpoint = weir_gateway_endpoint_name,
                                                     .capability = weir_gateway_capability_name}};
    return true;
}

static int tell(const struct session *session, enum weir_status status, const char *what) {
    const char *words = session->work.error.text;
    fprintf(stderr, "weir: %s: %s\n", what, words[0] != '\0' ? words : weir_status_name(status));
    return MAIN_EXIT_FAILED;
}

/* What stands in the place of an id may be a whole key, given by mistake: it is not repeated. */
static int tell_of_key(struct session *session, enum weir_status status, const char *what) {
    if (status == WEIR_ENOTFOUND)
        (void)weir_fail(&session->work.error, status, "there is no key with that id; see: weir key list");
    return tell(session, status, what);
}

/* It stands in the shell's history, and every user of this machine could see it. */
static bool is_whole_key(const struct session *session, const char *id) {
    struct weir_span text = weir_span_of_string(id), brand = session->work.format.brand;
    if (!weir_span_starts_with(text, brand) || text.length <= brand.length || text.at[brand.length] != '_')
        return false;
    fprintf(
        stderr,
        "weir: a whole key stands where its id is expected. It has been shown: `weir key revoke --leaked` reads it from "
        "standard input and ends it; `weir key list` has the ids\n");
    return true;
}

/* --- changes with their audit entries --- */

static enum weir_status note(struct session *session, const char *action, const struct weir_key_record *key,
                             struct weir_span before) {
    const struct main__local_note said = {.action = action,
                                          .resource_type = "key",
                                          .resource_id = weir_span_of_string(key->id),
                                          .resource_name = key->name,
                                          .workspace = key->workspace,
                                          .before = before,
                                          .after = weir_key_audit_text(&session->work, key)};
    return main__audit_local(session->engine, &said, session->work.now_utc_us, &session->work.error);
}

static enum weir_status begin(struct session *session) {
    return weir_engine_sqlite.work_begin(session->engine, &session->work.error);
}

/* Keeps the words on the first failure. */
static enum weir_status end(struct session *session, enum weir_status status) {
    struct weir_error error = {.text = ""};
    enum weir_status ended = weir_engine_sqlite.work_end(session->engine, status, &error);
    if (status == WEIR_OK && ended != WEIR_OK)
        session->work.error = error;
    return status == WEIR_OK ? ended : status;
}

/* Whoever names a workspace on the command line may make it: there is nothing to be gained by asking twice. */
static enum weir_status make_workspace(struct session *session, struct weir_span id) {
    struct weir_key_work *work = &session->work;
    struct weir_object object;
    enum weir_status status = weir_engine_sqlite.object_get(session->engine, WEIR_OBJECT_WORKSPACE, WEIR_SPAN(""), id,
                                                            session->arena, &object, &work->error);
    if (status != WEIR_ENOTFOUND)
        return status;
    if (!weir_workspace_id_is_good(id))
        return weir_fail(
            &work->error, WEIR_EINVAL,
            "there is no workspace %.*s, and none can be made of it: an id has lower-case letters, digits, '.', '_' and '-'",
            WEIR_SPAN_PRINT(id));
    object = (struct weir_object){.kind = WEIR_OBJECT_WORKSPACE,
                                  .id = id,
                                  .text = weir_workspace_new_text(session->arena, id),
                                  .created_utc_us = work->now_utc_us,
                                  .updated_utc_us = work->now_utc_us};
    if (object.text.length == 0)
        return weir_fail(&work->error, WEIR_ENOMEM, "no memory");
    status = weir_engine_sqlite.object_create(session->engine, &object, &work->error);
    const struct main__local_note said = {.action = "workspaces.create",
                                          .resource_type = "workspace",
                                          .resource_id = id,
                                          .resource_name = id,
                                          .workspace = id,
                                          .after = object.text};
    session->made_workspace = status == WEIR_OK;
    return status == WEIR_OK ? main__audit_local(session->engine, &said, work->now_utc_us, &work->error) : status;
}

/* --- showing --- */

static void print_json(struct session *session, const struct weir_key_record *key, const struct weir_secret *secret) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    int64_t last_use = 0;
    (void)weir_engine_sqlite.key_last_use(session->engine, weir_span_of_string(key->id), &last_use, NULL);
    weir_buffer_init(&out, WEIR_MIB);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_key_write_members(&session->work, &writer, key, last_use);
    if (secret != NULL)
        weir_json_member_string(&writer, "key", weir_secret_reveal(secret));
    weir_json_write_end(&writer);
    printf("%.*s\n", WEIR_SPAN_PRINT(weir_buffer_span(&out)));
    if (out.at != NULL)
        weir_memory_wipe(out.at, out.length);
    weir_buffer_release(&out);
}

/* The key alone on standard output. */
static void print_new(struct session *session, const struct weir_key_record *key, const struct weir_secret *secret,
                      bool json) {
    if (json) {
        print_json(session, key, secret);
        return;
    }
    if (session->made_workspace)
        fprintf(stderr, "made the workspace %.*s, which was not there\n", WEIR_SPAN_PRINT(key->workspace));
    fprintf(stderr, "key %s for workspace %.*s, shown this once:\n", key->id, WEIR_SPAN_PRINT(key->workspace));
    printf("%.*s\n", WEIR_SPAN_PRINT(weir_secret_reveal(secret)));
}

static void print_row(const struct session *session, const struct weir_key_record *key, bool first) {
    char created[32], expires[32], name[MAIN_CELL_SIZE], workspace[MAIN_CELL_SIZE], hint[MAIN_CELL_SIZE];
    bool is_due = weir_key_rotation_is_due(key, session->work.now_utc_us, session->work.rotation_due_us);
    const char *state = weir_key_state_name(weir_key_state_at(key, session->work.now_utc_us));
    main__format_time(key->created_utc_us, created);
    main__format_time(key->revoked_utc_us != 0 ? key->revoked_utc_us : key->expires_utc_us, expires);
    if (first)
        printf("%-20s  %-9s  %-20s  %-16s  %-12s  %-20s  %s\n", "ID", "HINT", "NAME", "WORKSPACE", "STATE", "CREATED",
               "ENDS");
    main__cell(key->name, 20, name);
    main__cell(key->workspace, 16, workspace);
    main__cell(weir_span_of_string(key->hint), 9, hint);
    printf("%-20s  %s  %s  %s  %-12s  %-20s  %s\n", key->id, hint, name, workspace, is_due ? "rotation due" : state,
           created, expires);
}

static int key_show(struct session *session, const char *id) {
    struct weir_key_record key;
    enum weir_status status = weir_engine_sqlite.key_get(session->engine, weir_span_of_string(id), session->arena, &key,
                                                         &session->work.error);
    if (status != WEIR_OK)
        return tell_of_key(session, status, "the key is not shown");
    print_json(session, &key, NULL);
    return 0;
}

struct list {
    struct session *session;
    struct weir_arena *arena; /* of a page */
    struct weir_key_record keys[PAGE];
    size_t count;
};

static enum weir_status keep_key(void *context, const struct weir_key_record *key) {
    struct list *list = context;
    return weir_key_record_keep(list->arena, key, &list->keys[list->count++]);
}

static int key_list(struct session *session, const struct key_flags *flags) {
    struct weir_key_work *work = &session->work;
    struct weir_key_query query = {.workspace = weir_span_of_string(flags->workspace),
                                   .team = weir_span_of_string(flags->team),
                                   .user = weir_span_of_string(flags->user),
                                   .now_utc_us = work->now_utc_us,
                                   .limit = PAGE};
    struct list *list = weir_memory_new(1, sizeof *list);
    size_t shown = 0;
    enum weir_status status = WEIR_OK;
    if (list == NULL || (list->arena = weir_arena_new(0, 512 * WEIR_MIB)) == NULL)
        status = weir_fail(&work->error, WEIR_ENOMEM, "no memory");
    if (flags->rotation_due)
        query.created_before_utc_us = work->now_utc_us - work->rotation_due_us + 1;
    bool is_more = status == WEIR_OK && (!flags->rotation_due || work->rotation_due_us > 0);
    while (is_more) {
        list->count = 0;
        weir_arena_reset(list->arena);
        status = weir_engine_sqlite.key_list(session->engine, &query, keep_key, list, &work->error);
        for (size_t i = 0; status == WEIR_OK && i < list->count; i++, shown++) {
            if (flags->json)
                print_json(session, &list->keys[i], NULL);
            else
                print_row(session, &list->keys[i], shown == 0);
        }
        is_more = status == WEIR_OK && list->count == PAGE;
        query.after_number = is_more ? list->keys[PAGE - 1].number : 0;
    }
    if (list != NULL)
        weir_arena_free(&list->arena);
    weir_memory_free(list);
    if (status != WEIR_OK)
        return tell(session, status, "the keys are not listed");
    if (shown == 0)
        fprintf(stderr, "no such keys; make one with: weir key create --name NAME\n");
    return 0;
}

/* --- making --- */

/* "a,b" as JSON's ["a","b"]. */
static void write_list(struct weir_json_writer *writer, const char *name, const char *words) {
    struct weir_span rest = weir_span_of_string(words), word;
    if (words == NULL)
        return;
    weir_json_write_name(writer, name);
    weir_json_write_array(writer);
    while (rest.length > 0) {
        (void)weir_span_split(rest, ',', &word, &rest);
        weir_json_write_string(writer, weir_span_trim(word));
    }
    weir_json_write_end(writer);
}

static enum weir_status read_rules(struct session *session, const struct key_flags *flags, struct weir_span *rules) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    weir_buffer_init(&out, WEIR_MIB);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    write_list(&writer, "models", flags->models);
    write_list(&writer, "endpoints", flags->endpoints);
    write_list(&writer, "capabilities", flags->capabilities);
    write_list(&writer, "addresses", flags->addresses);
    weir_json_write_end(&writer);
    enum weir_status status = weir_buffer_status(&out);
    if (status == WEIR_OK)
        status = weir_key_rules_of_text(&session->work, weir_buffer_span(&out), rules);
    weir_buffer_release(&out);
    return status;
}

/* "team=search,app=web" */
static enum weir_status read_tags(struct session *session, const char *words, struct weir_span *tags) {
    struct weir_span rest = weir_span_of_string(words), word, name, value;
    struct weir_buffer out;
    struct weir_json_writer writer;
    enum weir_status status = WEIR_OK;
    weir_buffer_init(&out, WEIR_MIB);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    while (status == WEIR_OK && rest.length > 0) {
        char text[LINE_BYTES];
        (void)weir_span_split(rest, ',', &word, &rest);
        if (!weir_span_split(weir_span_trim(word), '=', &name, &value) || name.length == 0 || value.length > 200 ||
            weir_span_to_string(name, text, sizeof text) != WEIR_OK)
            status = weir_fail(&session->work.error, WEIR_EINVAL, "--tag: expected NAME=VALUE[,NAME=VALUE…]");
        else
            weir_json_member_string(&writer, text, value);
    }
    weir_json_write_end(&writer);
    if (status == WEIR_OK)
        status = weir_buffer_status(&out);
    if (status == WEIR_OK)
        status = weir_key_tags_of_text(&session->work, weir_buffer_span(&out), tags);
    weir_buffer_release(&out);
    return status;
}

static bool read_expiry(const struct key_flags *flags, int64_t now_utc_us, int64_t *expires_utc_us) {
    if (flags->expires == NULL)
        return true;
    if (main__parse_time(weir_span_of_string(flags->expires), true, expires_utc_us) == WEIR_OK &&
        *expires_utc_us > now_utc_us)
        return true;
    fprintf(stderr,
            "weir: --expires: expected a time from now like 30d or 12h, or a date to come like 2030-01-31; got '%s'\n",
            flags->expires);
    return false;
}

static int key_create(struct session *session, const struct key_flags *flags) {
    struct weir_key_record key = {.name = weir_span_of_string(flags->name != NULL ? flags->name : "unnamed"),
                                  .workspace = weir_span_of_string(flags->workspace != NULL ? flags->workspace
                                                                                            : "default"),
                                  .team = weir_span_of_string(flags->team),
                                  .user = weir_span_of_string(flags->user)};
    struct weir_secret *secret = NULL;
    if (key.name.length == 0 || key.name.length > 200 || key.workspace.length == 0 || key.workspace.length > 200) {
        fprintf(stderr, "weir: --name and --workspace take 1 to 200 bytes\n");
        return MAIN_EXIT_USAGE;
    }
    if (!read_expiry(flags, session->work.now_utc_us, &key.expires_utc_us))
        return MAIN_EXIT_USAGE;
    enum weir_status status = read_rules(session, flags, &key.rules);
    if (status == WEIR_OK)
        status = read_tags(session, flags->tags, &key.tags);
    if (status != WEIR_OK) {
        (void)tell(session, status, "the key was not created");
        return MAIN_EXIT_USAGE;
    }
    status = begin(session);
    if (status == WEIR_OK) {
        status = make_workspace(session, key.workspace);
        if (status == WEIR_OK)
            status = weir_key_owner_check(&session->work, &key);
        if (status == WEIR_OK)
            status = weir_key_insert_new(&session->work, &key, &secret);
        if (status == WEIR_OK)
            status = note(session, "keys.create", &key, WEIR_SPAN(""));
        status = end(session, status);
    }
    if (status == WEIR_OK)
        print_new(session, &key, secret, flags->json);
    weir_secret_free(&secret);
    return status == WEIR_OK ? 0 : tell(session, status, "the key was not created");
}

/* --- rotating and revoking --- */

static enum weir_status rotate_one(struct session *session, const char *id, int64_t overlap_us, int64_t expires_utc_us,
                                   struct weir_key_record *old, struct weir_key_record *fresh,
                                   struct weir_secret **secret) {
    struct weir_key_work *work = &session->work;
    enum weir_status status = begin(session);
    if (status != WEIR_OK)
        return status;
    status = weir_engine_sqlite.key_get(session->engine, weir_span_of_string(id), session->arena, old, &work->error);
    if (status == WEIR_OK) {
        struct weir_span before = weir_key_audit_text(work, old);
        status = weir_key_rotate(work, old, overlap_us, expires_utc_us, fresh, secret);
        if (status == WEIR_OK)
            status = note(session, "keys.rotate", old, before);
    }
    if (status == WEIR_OK)
        status = note(session, "keys.create", fresh, WEIR_SPAN(""));
    return end(session, status);
}

static int key_rotate(struct session *session, const char *id, const struct key_flags *flags) {
    struct weir_key_record old, fresh;
    struct weir_secret *secret = NULL;
    int64_t overlap_us = (int64_t)WEIR_KEY_OVERLAP_USUAL_S * 1000000, expires = -1;
    char ends[32];
    if (flags->overlap != NULL) {
        int64_t until = 0, now = weir_clock_utc_us();
        if (main__parse_time(weir_span_of_string(flags->overlap), true, &until) != WEIR_OK || until < now ||
            until - now > (int64_t)(WEIR_KEY_OVERLAP_MAX_S + 1) * 1000000) {
            fprintf(stderr, "weir: --overlap: expected 0s to 90d, like 24h; got '%s'\n", flags->overlap);
            return MAIN_EXIT_USAGE;
        }
        overlap_us = (until - now) / 1000000 * 1000000;
    }
    if (!read_expiry(flags, session->work.now_utc_us, &expires))
        return MAIN_EXIT_USAGE;
    enum weir_status status = rotate_one(session, id, overlap_us, expires, &old, &fresh, &secret);
    if (status == WEIR_OK) {
        main__format_time(old.expires_utc_us, ends);
        fprintf(stderr, "%s works until %s; in its place:\n", old.id, ends);
        print_new(session, &fresh, secret, flags->json);
    }
    weir_secret_free(&secret);
    return status == WEIR_OK ? 0 : tell_of_key(session, status, "the key was not rotated");
}

/* The line on standard input: a leaked key is never an argument, for those can be seen by every user of the machine. */
static enum weir_status read_leaked(struct session *session, struct weir_key_record *key) {
    char line[LINE_BYTES];
    size_t length = 0;
    ssize_t count = 0;
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "the leaked key: ");
    while (length < sizeof line && (count = read(STDIN_FILENO, line + length, sizeof line - length)) > 0) {
        length += (size_t)count;
        if (memchr(line, '\n', length) != NULL)
            break;
    }
    struct weir_span text = weir_span_of(line, length), first, rest;
    (void)weir_span_split(text, '\n', &first, &rest);
    if (first.length > 0 && first.at[first.length - 1] == '\r')
        first.length--;
    enum weir_status status = weir_key_find_leaked(&session->work, weir_span_trim(first), key);
    weir_memory_wipe(line, sizeof line);
    return status;
}

static enum weir_status revoke_one(struct session *session, const char *id, const struct key_flags *flags,
                                   struct weir_key_record *key, bool *changed) {
    struct weir_key_work *work = &session->work;
    /* Before the store is locked: a person may type. */
    enum weir_status status = flags->leaked ? read_leaked(session, key) : WEIR_OK;
    if (status != WEIR_OK)
        return status;
    struct weir_span wanted = flags->leaked ? weir_span_of_string(key->id) : weir_span_of_string(id);
    char kept[WEIR_KEY_ID_SIZE * 2];
    (void)snprintf(kept, sizeof kept, "%.*s", WEIR_SPAN_PRINT(wanted));
    status = begin(session);
    if (status != WEIR_OK)
        return status;
    status = weir_engine_sqlite.key_get(session->engine, weir_span_of_string(kept), session->arena, key, &work->error);
    if (status == WEIR_OK) {
        struct weir_span before = weir_key_audit_text(work, key);
        status = weir_key_revoke_now(work, key, flags->end_streams || flags->leaked, changed);
        if (status == WEIR_OK)
            status = note(session, flags->leaked ? "keys.emergency_revoke" : "keys.revoke", key, before);
    }
    return end(session, status);
}

static int key_revoke(struct session *session, const char *id, const struct key_flags *flags) {
    struct weir_key_record key;
    bool changed = false;
    enum weir_status status = revoke_one(session, id, flags, &key, &changed);
    if (status != WEIR_OK)
        return tell_of_key(session, status, "no key was revoked");
    fprintf(stderr, "revoked %s%s; running servers refuse it within a second%s\n", key.id,
            changed ? "" : " (it was before)", key.end_streams ? ", and end its answers in flight" : "");
    if (flags->json)
        print_json(session, &key, NULL);
    return 0;
}

/* --- the command --- */

enum verb { CREATE, LIST, SHOW, ROTATE, REVOKE, VERB_COUNT };

int main__key(int argc, char **argv) {
    struct key_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--name", NULL, MAIN_FLAG_TEXT, &flags.name, "NAME", "create: what the key is for"},
        {"--workspace", NULL, MAIN_FLAG_TEXT, &flags.workspace, "ID",
         "create: who pays, made where it is not there (default: default); list: only its keys"},
        {"--team", NULL, MAIN_FLAG_TEXT, &flags.team, "ID", "create, list: the team of that workspace"},
        {"--user", NULL, MAIN_FLAG_TEXT, &flags.user, "ID", "create, list: the user of that workspace"},
        {"--models", NULL, MAIN_FLAG_TEXT, &flags.models, "NAME,…", "create: only these models; * stands for anything"},
        {"--endpoints", NULL, MAIN_FLAG_TEXT, &flags.endpoints, "NAME,…", "create: only these, like chat.completions"},
        {"--addresses", NULL, MAIN_FLAG_TEXT, &flags.addresses, "NETWORK,…", "create: only from these networks"},
        {"--capabilities", NULL, MAIN_FLAG_TEXT, &flags.capabilities, "NAME,…",
         "create: only these areas of the gateway"},
        {"--expires", NULL, MAIN_FLAG_TEXT, &flags.expires, "WHEN",
         "create, rotate: 30d, 12h, or a date (default: never; rotate: as long as the old one was made for)"},
        {"--tag", NULL, MAIN_FLAG_TEXT, &flags.tags, "NAME=VALUE,…", "create: labels"},
        {"--overlap", NULL, MAIN_FLAG_TEXT, &flags.overlap, "TIME",
         "rotate: how long the old key goes on (default: 24h)"},
        {"--rotation-due", NULL, MAIN_FLAG_SWITCH, &flags.rotation_due, NULL, "list: only keys that should be rotated"},
        {"--end-streams", NULL, MAIN_FLAG_SWITCH, &flags.end_streams, NULL, "revoke: answers in flight end, too"},
        {"--leaked", NULL, MAIN_FLAG_SWITCH, &flags.leaked, NULL,
         "revoke: the whole key is read from standard input; its answers in flight end"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "one JSON object a line"},
    };
    const struct main__command command = {
        "weir key create [--name NAME] [options] | list | show ID | rotate ID [--overlap TIME] | revoke ID | revoke --leaked",
        "Creates, lists, rotates and revokes API keys in the store; a running server sees each change within a second.\nA new key is printed once, alone on its "
        "line of standard output; only its hash is kept. Every change is in the audit trail.",
        all,
        sizeof all / sizeof *all,
        1,
        2};
    static const char *const verbs[VERB_COUNT] = {"create", "list", "show", "rotate", "revoke"};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    int verb = 0;
    while (verb < VERB_COUNT && strcmp(operands[0], verbs[verb]) != 0)
        verb++;
    size_t wanted = verb == SHOW || verb == ROTATE || (verb == REVOKE && !flags.leaked) ? 2 : 1;
    if (verb == VERB_COUNT || count != wanted) {
        fprintf(stderr, "weir: expected `weir key create`, `list`, `show ID`, `rotate ID` or `revoke ID`\nusage: %s\n",
                command.usage);
        return MAIN_EXIT_USAGE;
    }
    struct session session = {.arena = NULL};
    int code = MAIN_EXIT_FAILED;
    if (session_open(&session, flags.config, verb == CREATE))
        code = wanted == 2 && is_whole_key(&session, operands[1]) ? MAIN_EXIT_USAGE
               : verb == CREATE                                   ? key_create(&session, &flags)
               : verb == LIST                                     ? key_list(&session, &flags)
               : verb == SHOW                                     ? key_show(&session, operands[1])
               : verb == ROTATE                                   ? key_rotate(&session, operands[1], &flags)
                                                                  : key_revoke(&session, operands[1], &flags);
    session_close(&session);
    return code;
}
