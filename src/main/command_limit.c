/* weir limit: the operator's hand on limits, straight to the store; a running server holds to each change within a second.
 *
 * It does what the operations of the plane do, by the same functions (operator/budget_changes.h), and leaves the same entries in the audit trail, in the
 * transaction of the change: the actor is this machine's user.
 */
#include "main/arguments.h"
#include "main/budget_session.h"
#include "main/command_support.h"
#include "main/commands.h"

#include <stdio.h>

enum { SCOPE_SIZE = 320 };

struct limit_flags {
    const char *config, *name, *scope, *burst;
    const char *limits[WEIR_LIMIT_COUNT];
    bool active, inactive, json;
};

static enum weir_status read_one(struct main__budget_session *session, const struct weir_object *object,
                                 struct weir_limit_definition *limit) {
    return weir_limit_read(session->arena, object->id, object->text, limit, &session->work.error);
}

static void print_json(struct main__budget_session *session, const struct weir_object *object) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    weir_buffer_init(&out, WEIR_MIB);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_limit_write(&writer, session->arena, object);
    weir_json_write_end(&writer);
    main__print_json_line(&out);
}

/* "requests_per_minute=600 concurrent_streams=20" */
static void print_limits(const struct weir_limits *limits) {
    const char *space = "";
    for (unsigned i = 0; i < WEIR_LIMIT_COUNT; i++)
        if (limits->at[i] >= 0) {
            printf("%s%s=%lld", space, weir_limit_name((enum weir_limit)i), (long long)limits->at[i]);
            space = " ";
        }
    if (limits->burst_percent != 100)
        printf("%sburst_percent=%lld", space, (long long)limits->burst_percent);
}

static int list(struct main__budget_session *session, const struct limit_flags *flags) {
    struct main__objects objects;
    enum weir_scope scope = WEIR_SCOPE_GLOBAL;
    struct weir_span id = WEIR_SPAN("");
    bool first = true;
    if (flags->scope != NULL && !main__scope_read(flags->scope, &scope, &id))
        return MAIN_EXIT_USAGE;
    const struct weir_object_query query = {.kind = WEIR_OBJECT_LIMIT};
    enum weir_status status = main__objects_read(session, &query, &objects);
    for (size_t i = 0; status == WEIR_OK && i < objects.count; i++) {
        struct weir_limit_definition limit;
        char shown[SCOPE_SIZE], cell[MAIN_CELL_SIZE], name[MAIN_CELL_SIZE];
        status = read_one(session, &objects.at[i], &limit);
        if (status != WEIR_OK ||
            (flags->scope != NULL && (limit.scope != scope || !weir_span_equal(limit.scope_id, id))))
            continue;
        if (flags->json) {
            print_json(session, &objects.at[i]);
            continue;
        }
        if (first)
            printf("%-20s  %-20s  %-32s  %-6s  %s\n", "ID", "NAME", "FOR", "ACTIVE", "LIMITS");
        first = false;
        main__scope_format(limit.scope, limit.scope_id, shown, sizeof shown);
        main__cell(weir_span_of_string(shown), 32, cell);
        main__cell(limit.name, 20, name);
        printf("%.*s  %s  %s  %-6s  ", WEIR_SPAN_PRINT(limit.id), name, cell, limit.active ? "yes" : "no");
        print_limits(&limit.limits);
        printf("\n");
    }
    return status == WEIR_OK ? 0 : main__budget_tell(session, status, "the limits are not listed");
}

static int show(struct main__budget_session *session, const char *id) {
    struct weir_object object;
    enum weir_status status = weir_engine_sqlite.object_get(session->engine, WEIR_OBJECT_LIMIT, WEIR_SPAN(""),
                                                            weir_span_of_string(id), session->arena, &object,
                                                            &session->work.error);
    if (status != WEIR_OK)
        return main__budget_tell(session, status, "the limit is not shown");
    print_json(session, &object);
    return 0;
}

/* --- changing --- */

/* A number, or "none" for no limit. */
static bool write_number(struct weir_json_writer *writer, const char *name, const char *text) {
    int64_t value = 0;
    if (text == NULL)
        return true;
    weir_json_write_name(writer, name);
    if (strcmp(text, "none") == 0) {
        weir_json_write_null(writer);
        return true;
    }
    if (weir_span_to_int64(weir_span_of_string(text), &value) != WEIR_OK || value < 1 || value > WEIR_BUDGET_MOST) {
        weir_json_write_null(writer);
        fprintf(stderr, "weir: %s: expected a whole number from 1 on, or none; got '%s'\n", name, text);
        return false;
    }
    weir_json_write_int64(writer, value);
    return true;
}

static bool write_patch(struct weir_json_writer *writer, const struct limit_flags *flags) {
    enum weir_scope scope = WEIR_SCOPE_GLOBAL;
    struct weir_span id = WEIR_SPAN("");
    bool good = true;
    weir_json_write_object(writer);
    if (flags->name != NULL)
        weir_json_member_text(writer, "name", flags->name);
    if (flags->scope != NULL) {
        good = main__scope_read(flags->scope, &scope, &id);
        weir_json_member_text(writer, "scope", weir_scope_name(good ? scope : WEIR_SCOPE_GLOBAL));
        weir_json_member_string(writer, "scope_id", id);
    }
    for (unsigned i = 0; i < WEIR_LIMIT_COUNT; i++)
        good = write_number(writer, weir_limit_name((enum weir_limit)i), flags->limits[i]) && good;
    good = write_number(writer, "burst_percent", flags->burst) && good;
    if (flags->active || flags->inactive)
        weir_json_member_bool(writer, "active", flags->active);
    weir_json_write_end(writer);
    return good;
}

static enum weir_status save_one(struct main__budget_session *session, struct weir_span id, struct weir_span patch,
                                 struct weir_object *object) {
    struct weir_limit_definition limit;
    struct weir_span before = WEIR_SPAN("");
    enum weir_status status = main__budget_begin(session);
    if (status != WEIR_OK)
        return status;
    status = weir_definition_save(&session->work, &session->random, WEIR_OBJECT_LIMIT, id, patch, object, &before);
    if (status == WEIR_OK)
        status = read_one(session, object, &limit);
    if (status == WEIR_OK) {
        const struct main__budget_note note = {.action = id.length == 0 ? "limits.create" : "limits.update",
                                               .resource_type = "limit",
                                               .resource_id = object->id,
                                               .resource_name = limit.name,
                                               .before = before,
                                               .after = object->text};
        status = main__budget_note(session, &note);
    }
    return main__budget_end(session, status);
}

static int save(struct main__budget_session *session, const char *id, const struct limit_flags *flags) {
    struct weir_object object;
    struct weir_buffer patch;
    struct weir_json_writer writer;
    if (flags->active && flags->inactive) {
        fprintf(stderr, "weir: --active and --inactive exclude each other\n");
        return MAIN_EXIT_USAGE;
    }
    weir_buffer_init(&patch, WEIR_MIB);
    weir_json_writer_init(&writer, &patch);
    bool good = write_patch(&writer, flags);
    enum weir_status status = weir_buffer_status(&patch);
    if (good && status == WEIR_OK)
        status = save_one(session, weir_span_of_string(id), weir_buffer_span(&patch), &object);
    weir_buffer_release(&patch);
    if (!good)
        return MAIN_EXIT_USAGE;
    if (status != WEIR_OK)
        return main__budget_tell(session, status, id == NULL ? "no limit was made" : "the limit was not changed");
    if (flags->json)
        print_json(session, &object);
    else
        printf("%.*s\n", WEIR_SPAN_PRINT(object.id));
    return 0;
}

static enum weir_status remove_one(struct main__budget_session *session, struct weir_span id) {
    struct weir_object object;
    struct weir_limit_definition limit;
    struct weir_error *error = &session->work.error;
    enum weir_status status = main__budget_begin(session);
    if (status != WEIR_OK)
        return status;
    status = weir_engine_sqlite.object_get(session->engine, WEIR_OBJECT_LIMIT, WEIR_SPAN(""), id, session->arena,
                                           &object, error);
    if (status == WEIR_OK)
        status = read_one(session, &object, &limit);
    if (status == WEIR_OK)
        status = weir_engine_sqlite.object_remove(session->engine, WEIR_OBJECT_LIMIT, WEIR_SPAN(""), id, object.version,
                                                  session->work.now_utc_us, error);
    if (status == WEIR_OK) {
        const struct main__budget_note note = {.action = "limits.delete",
                                               .resource_type = "limit",
                                               .resource_id = id,
                                               .resource_name = limit.name,
                                               .before = object.text};
        status = main__budget_note(session, &note);
    }
    return main__budget_end(session, status);
}

static int drop(struct main__budget_session *session, const char *id) {
    enum weir_status status = remove_one(session, weir_span_of_string(id));
    if (status != WEIR_OK)
        return main__budget_tell(session, status, "no limit was deleted");
    fprintf(stderr, "deleted %s\n", id);
    return 0;
}

/* --- the command --- */

enum verb { LIST, SHOW, CREATE, SET, DELETE, VERB_COUNT };

static int run(struct main__budget_session *session, enum verb verb, const char *id, const struct limit_flags *flags) {
    switch (verb) {
    case LIST: return list(session, flags);
    case SHOW: return show(session, id);
    case CREATE:
    case SET: return save(session, id, flags);
    case DELETE: return drop(session, id);
    case VERB_COUNT: break;
    }
    return MAIN_EXIT_USAGE;
}

int main__limit(int argc, char **argv) {
    struct limit_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--for", NULL, MAIN_FLAG_TEXT, &flags.scope, "SCOPE",
         "global, workspace:ID, team:WORKSPACE/ID, user:WORKSPACE/ID, key:ID, model:NAME, provider:NAME; * as the ID: each"},
        {"--name", NULL, MAIN_FLAG_TEXT, &flags.name, "NAME", "what it is for"},
        {"--requests-per-second", NULL, MAIN_FLAG_TEXT, &flags.limits[WEIR_LIMIT_REQUESTS_PER_SECOND], "N",
         "requests a second; none: no limit, here as below"},
        {"--requests-per-minute", NULL, MAIN_FLAG_TEXT, &flags.limits[WEIR_LIMIT_REQUESTS_PER_MINUTE], "N",
         "requests a minute"},
        {"--requests-per-day", NULL, MAIN_FLAG_TEXT, &flags.limits[WEIR_LIMIT_REQUESTS_PER_DAY], "N",
         "requests in a calendar day, UTC"},
        {"--tokens-per-minute", NULL, MAIN_FLAG_TEXT, &flags.limits[WEIR_LIMIT_TOKENS_PER_MINUTE], "N",
         "tokens a minute, input and output together"},
        {"--tokens-per-day", NULL, MAIN_FLAG_TEXT, &flags.limits[WEIR_LIMIT_TOKENS_PER_DAY], "N",
         "tokens in a calendar day, UTC"},
        {"--concurrent-requests", NULL, MAIN_FLAG_TEXT, &flags.limits[WEIR_LIMIT_CONCURRENT_REQUESTS], "N",
         "requests at once"},
        {"--concurrent-streams", NULL, MAIN_FLAG_TEXT, &flags.limits[WEIR_LIMIT_CONCURRENT_STREAMS], "N",
         "streamed answers at once"},
        {"--burst-percent", NULL, MAIN_FLAG_TEXT, &flags.burst, "N",
         "how much of a second's or minute's limit may come at once (default: 100)"},
        {"--active", NULL, MAIN_FLAG_SWITCH, &flags.active, NULL, "set: it counts again"},
        {"--inactive", NULL, MAIN_FLAG_SWITCH, &flags.inactive, NULL, "create, set: it does not count"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "one JSON object a line"},
    };
    const struct main__command command = {
        "weir limit create --for SCOPE [limits] | list | show ID | set ID [limits] | delete ID",
        "Creates, lists, changes and deletes limits in the store; a running server holds to each change within a "
        "second.\nEvery change is in the audit trail.",
        all,
        sizeof all / sizeof *all,
        1,
        2};
    static const char *const verbs[VERB_COUNT] = {"list", "show", "create", "set", "delete"};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    unsigned verb = 0;
    while (verb < VERB_COUNT && strcmp(operands[0], verbs[verb]) != 0)
        verb++;
    size_t wanted = verb == LIST || verb == CREATE ? 1 : 2;
    if (verb == VERB_COUNT || count != wanted || (verb == CREATE && flags.scope == NULL)) {
        fprintf(stderr,
                "weir: expected `weir limit create --for SCOPE`, `list`, `show ID`, `set ID` or `delete ID`\nusage: "
                "%s\n",
                command.usage);
        return MAIN_EXIT_USAGE;
    }
    struct main__budget_session session = {.arena = NULL};
    int code = MAIN_EXIT_FAILED;
    if (main__budget_open(&session, flags.config))
        code = run(&session, (enum verb)verb, operands[1], &flags);
    main__budget_close(&session);
    return code;
}
