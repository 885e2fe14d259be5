/* weir budget: the operator's hand on budgets, straight to the store; a running server holds to each change within a second.
 *
 * It does what the operations of the plane do, by the same functions (operator/budget_changes.h), and leaves the same entries in the audit trail, in the
 * transaction of the change: the actor is this machine's user. So a budget can be raised at night from a shell, also while the plane cannot be reached.
 */
#include "base/clock.h"
#include "main/arguments.h"
#include "main/budget_session.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "operator/alert_form.h"

#include <stdio.h>

enum { SCOPE_SIZE = 320 };

struct budget_flags {
    const char *config, *name, *scope, *of, *window, *zone, *limit, *on_exceeded, *wait, *alerts, *until, *reason,
        *kind, *since;
    bool soft, hard, active, inactive, implicit, json;
};

/* --- showing --- */

static void print_json(struct main__budget_session *session, const struct weir_budget_found *found,
                       const struct weir_budget_standing *standing, const struct weir_forecast *forecast) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    weir_buffer_init(&out, 4 * WEIR_MIB);
    weir_json_writer_init(&writer, &out);
    if (forecast == NULL)
        weir_budget_write(&writer, found, standing, NULL, session->work.now_utc_us);
    else
        weir_forecast_write(&writer, found, standing, forecast, session->work.now_utc_us);
    main__print_json_line(&out);
}

static void print_row(const struct weir_budget_found *found, const struct weir_budget_standing *standing, bool first) {
    char scope[SCOPE_SIZE], cell[MAIN_CELL_SIZE], name[MAIN_CELL_SIZE], used[MAIN_AMOUNT_SIZE] = "-",
                                                                        limit[MAIN_AMOUNT_SIZE], percent[24] = "-";
    const struct weir_budget *budget = &found->budget;
    if (first)
        printf("%-20s  %-20s  %-28s  %-6s  %16s  %16s  %5s  %s\n", "ID", "NAME", "FOR", "WINDOW", "USED CU", "LIMIT CU",
               "%", "STATUS");
    main__scope_format(budget->scope, budget->scope_id, scope, sizeof scope);
    main__cell(weir_span_of_string(scope), 28, cell);
    main__cell(budget->name, 20, name);
    main__amount_format(standing->limit, limit);
    if (standing->is_known) {
        main__amount_format(standing->used, used);
        (void)snprintf(percent, sizeof percent, "%lld", (long long)standing->percent);
    }
    printf("%-20.*s  %s  %s  %-6s  %16s  %16s  %5s  %s%s\n", WEIR_SPAN_PRINT(budget->id), name, cell,
           weir_window_name(budget->window), used, limit, percent, standing->is_known ? standing->status : "each",
           !budget->active ? ", inactive"
           : !budget->hard ? ", soft"
                           : "");
}

static void print_amount(const char *label, int64_t cu_milli, const char *more) {
    char amount[MAIN_AMOUNT_SIZE];
    main__amount_format(cu_milli, amount);
    printf("%-18s %s CU%s\n", label, amount, more);
}

static void print_time(const char *label, int64_t utc_us, const char *none) {
    char time[32];
    main__format_time(utc_us, time);
    printf("%-18s %s\n", label, utc_us == 0 || utc_us == INT64_MAX ? none : time);
}

static void print_raises(const struct weir_budget_standing *standing) {
    for (size_t i = 0; i < standing->raise_count; i++) {
        const struct weir_raise *raise = &standing->raises[i].raise;
        char amount[MAIN_AMOUNT_SIZE], until[32];
        main__amount_format(raise->amount_cu_milli, amount);
        main__format_time(raise->until_utc_us != INT64_MAX ? raise->until_utc_us : 0, until);
        printf("%-18s %.*s %s CU until %s (%.*s)%s%.*s\n", i == 0 ? "in effect:" : "", WEIR_SPAN_PRINT(raise->kind),
               amount, until, WEIR_SPAN_PRINT(raise->id), raise->reason.length > 0 ? ": " : "",
               WEIR_SPAN_PRINT(raise->reason));
    }
}

static void print_case(const char *label, const struct weir_forecast *forecast, const struct weir_forecast_case *one) {
    char time[32], amount[MAIN_AMOUNT_SIZE];
    bool is_short = one->headroom_cu_milli < 0;
    main__format_time(one->exhausted_utc_us, time);
    main__amount_format(is_short ? -one->headroom_cu_milli : one->headroom_cu_milli, amount);
    if (one->lasts)
        printf("%-18s lasts", label);
    else if (one->days == 0)
        printf("%-18s exhausted at %s (within a day)", label, time);
    else
        printf("%-18s exhausted at %s (in %lld days)", label, time, (long long)one->days);
    if (forecast->has_end)
        printf("; %s CU %s at the period's end", amount, is_short ? "missing" : "left");
    printf("\n");
}

static void print_forecast(const struct weir_forecast *forecast) {
    print_amount("burn rate, 24 h:", forecast->day_rate, " a day");
    print_amount("burn rate, 7 days:", forecast->week_rate, " a day");
    print_case("at this rate:", forecast, &forecast->once);
    print_case("at twice this rate:", forecast, &forecast->twice);
}

static void print_whole(const struct weir_budget_found *found, const struct weir_budget_standing *standing,
                        const struct weir_forecast *forecast) {
    const struct weir_budget *budget = &found->budget;
    char scope[SCOPE_SIZE], percent[40];
    main__scope_format(budget->scope, budget->scope_id, scope, sizeof scope);
    printf("%-18s %.*s\n", "id:", WEIR_SPAN_PRINT(budget->id));
    printf("%-18s %.*s\n", "name:", WEIR_SPAN_PRINT(budget->name));
    printf("%-18s %s\n", "for:", scope);
    printf("%-18s %s, %.*s\n", "window:", weir_window_name(budget->window), WEIR_SPAN_PRINT(budget->zone));
    printf("%-18s %s%s%s\n", "enforcement:", budget->hard ? "hard" : "soft", budget->active ? "" : ", inactive",
           found->implicit ? ", follows from a key's rules or a plan" : "");
    print_time("period from:", standing->period.from_utc_us, "ever");
    print_time("period until:", standing->period.until_utc_us,
               standing->period.rolling ? "now, moving on" : "for ever");
    print_amount("limit:", budget->limit_cu_milli, "");
    print_raises(standing);
    print_amount("effective limit:", standing->limit, "");
    if (!standing->is_known) {
        printf("%-18s each has its own; --of ID tells of one\n", "used:");
        return;
    }
    (void)snprintf(percent, sizeof percent, " (%lld %%, %s)", (long long)standing->percent, standing->status);
    print_amount("used:", standing->used, percent);
    print_amount("held:", standing->held, "");
    print_amount("remaining:", standing->remaining, "");
    print_forecast(forecast);
}

/* --- reading --- */

static enum weir_status find(struct main__budget_session *session, const char *id, const struct budget_flags *flags,
                             struct weir_budget_found *found, struct weir_budget_standing *standing) {
    struct weir_span of = WEIR_SPAN("");
    enum weir_status status = weir_budget_find(&session->work, weir_span_of_string(id), found);
    if (status == WEIR_OK)
        status = weir_budget_of(&session->work, found, weir_span_of_string(flags->of), &of);
    return status == WEIR_OK ? weir_budgets_stand(&session->work, found, 1, of, standing) : status;
}

static int show(struct main__budget_session *session, const char *id, const struct budget_flags *flags) {
    struct weir_budget_found found;
    struct weir_budget_standing standing;
    struct weir_forecast forecast = {.day_rate = 0};
    enum weir_status status = find(session, id, flags, &found, &standing);
    if (status == WEIR_OK && standing.is_known)
        status = weir_budget_forecast(&session->work, &found, &standing, &forecast);
    if (status != WEIR_OK)
        return main__budget_tell(session, status, "the budget is not shown");
    if (flags->json)
        print_json(session, &found, &standing, NULL);
    else
        print_whole(&found, &standing, &forecast);
    return 0;
}

static int show_forecast(struct main__budget_session *session, const char *id, const struct budget_flags *flags) {
    struct weir_budget_found found;
    struct weir_budget_standing standing;
    struct weir_forecast forecast;
    enum weir_status status = find(session, id, flags, &found, &standing);
    if (status == WEIR_OK)
        status = weir_budget_forecast(&session->work, &found, &standing, &forecast);
    if (status != WEIR_OK)
        return main__budget_tell(session, status, "there is no forecast");
    if (flags->json)
        print_json(session, &found, &standing, &forecast);
    else
        print_forecast(&forecast);
    return 0;
}

/* Those that operators have made, or those that follow from a key or a workspace. */
static enum weir_status collect(struct main__budget_session *session, const struct budget_flags *flags,
                                enum weir_scope scope, struct weir_span id, struct weir_budget_found **found,
                                size_t *count) {
    struct main__objects objects;
    const struct weir_object_query query = {.kind = WEIR_OBJECT_BUDGET};
    *count = 0;
    if (flags->implicit) {
        *found = weir_arena_array(session->arena, WEIR_BUDGETS_IMPLICIT, sizeof **found);
        return *found != NULL ? weir_budget_implicit(&session->work, scope, id, *found, count) : WEIR_ENOMEM;
    }
    enum weir_status status = main__objects_read(session, &query, &objects);
    if (status != WEIR_OK)
        return status;
    *found = weir_arena_array(session->arena, objects.count, sizeof **found);
    if (*found == NULL)
        return WEIR_ENOMEM;
    for (size_t i = 0; status == WEIR_OK && i < objects.count; i++) {
        struct weir_budget_found *one = &(*found)[*count];
        status = weir_budget_of_object(&session->work, &objects.at[i], one);
        bool fits = flags->scope == NULL || (one->budget.scope == scope && weir_span_equal(one->budget.scope_id, id));
        *count += status == WEIR_OK && fits;
    }
    return status;
}

static int list(struct main__budget_session *session, const struct budget_flags *flags) {
    enum weir_scope scope = WEIR_SCOPE_GLOBAL;
    struct weir_span id = WEIR_SPAN("");
    struct weir_budget_found *found = NULL;
    size_t count = 0;
    if (flags->scope != NULL && !main__scope_read(flags->scope, &scope, &id))
        return MAIN_EXIT_USAGE;
    if (flags->implicit && scope != WEIR_SCOPE_KEY && scope != WEIR_SCOPE_WORKSPACE) {
        fprintf(stderr, "weir: --implicit: say of which key or workspace: --for key:ID or --for workspace:ID\n");
        return MAIN_EXIT_USAGE;
    }
    enum weir_status status = collect(session, flags, scope, id, &found, &count);
    struct weir_budget_standing *standings = weir_arena_array(session->arena, count, sizeof *standings);
    if (status == WEIR_OK && standings == NULL)
        status = WEIR_ENOMEM;
    if (status == WEIR_OK)
        status = weir_budgets_stand(&session->work, found, count, WEIR_SPAN(""), standings);
    if (status != WEIR_OK)
        return main__budget_tell(session, status, "the budgets are not listed");
    for (size_t i = 0; i < count; i++)
        if (flags->json)
            print_json(session, &found[i], &standings[i], NULL);
        else
            print_row(&found[i], &standings[i], i == 0);
    return 0;
}

/* --- making and changing --- */

/* Reads "50,80,95" into a JSON list. */
static bool write_alerts(struct weir_json_writer *writer, const char *text) {
    struct weir_span rest = weir_span_of_string(text), one;
    bool good = true;
    weir_json_write_name(writer, "alert_percents");
    weir_json_write_array(writer);
    while (good && rest.length > 0) {
        int64_t percent = 0;
        (void)weir_span_split(rest, ',', &one, &rest);
        good = weir_span_to_int64(one, &percent) == WEIR_OK;
        weir_json_write_int64(writer, percent);
    }
    weir_json_write_end(writer);
    if (!good)
        fprintf(stderr, "weir: --alerts: expected percents like 50,80,95,100; got '%s'\n", text);
    return good;
}

static bool write_wait(struct weir_json_writer *writer, const char *text) {
    int64_t milliseconds = 0;
    if (weir_span_to_int64(weir_span_of_string(text), &milliseconds) != WEIR_OK) {
        fprintf(stderr, "weir: --wait-ms: expected milliseconds, 0 to 30000; got '%s'\n", text);
        return false;
    }
    weir_json_member_int64(writer, "wait_ms", milliseconds);
    return true;
}

static bool read_amount(const char *text, const char *what, int64_t *cu_milli) {
    if (main__amount_read(text, cu_milli))
        return true;
    fprintf(stderr,
            "weir: %s: expected an amount with its unit, like 5usd, 2.50usd, 5000000cu or 5000000000mcu; got '%s'\n",
            what, text);
    return false;
}

static bool write_patch(struct weir_json_writer *writer, const struct budget_flags *flags) {
    enum weir_scope scope = WEIR_SCOPE_GLOBAL;
    struct weir_span id = WEIR_SPAN("");
    int64_t limit = 0;
    const struct {
        const char *name, *text;
    } texts[] = {{"name", flags->name},
                 {"window", flags->window},
                 {"zone", flags->zone},
                 {"on_exceeded", flags->on_exceeded},
                 {"enforcement", flags->soft   ? "soft"
                                 : flags->hard ? "hard"
                                               : NULL}};
    bool good = true;
    weir_json_write_object(writer);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].text != NULL)
            weir_json_member_text(writer, texts[i].name, texts[i].text);
    if (flags->scope != NULL) {
        good = main__scope_read(flags->scope, &scope, &id);
        weir_json_member_text(writer, "scope", weir_scope_name(good ? scope : WEIR_SCOPE_GLOBAL));
        weir_json_member_string(writer, "scope_id", id);
    }
    if (flags->limit != NULL) {
        good = read_amount(flags->limit, "--limit", &limit) && good;
        weir_json_member_int64(writer, "limit_cu_milli", limit);
    }
    if (flags->wait != NULL)
        good = write_wait(writer, flags->wait) && good;
    if (flags->alerts != NULL)
        good = write_alerts(writer, flags->alerts) && good;
    if (flags->active || flags->inactive)
        weir_json_member_bool(writer, "active", flags->active);
    weir_json_write_end(writer);
    return good;
}

static enum weir_status save_one(struct main__budget_session *session, struct weir_span id, struct weir_span patch,
                                 struct weir_budget_found *found) {
    struct weir_object object;
    struct weir_span before = WEIR_SPAN("");
    enum weir_status status = main__budget_begin(session);
    if (status != WEIR_OK)
        return status;
    status = weir_definition_save(&session->work, &session->random, WEIR_OBJECT_BUDGET, id, patch, &object, &before);
    if (status == WEIR_OK)
        status = weir_budget_of_object(&session->work, &object, found);
    if (status == WEIR_OK) {
        const struct main__budget_note note = {.action = id.length == 0 ? "budgets.create" : "budgets.update",
                                               .resource_type = "budget",
                                               .resource_id = found->budget.id,
                                               .resource_name = found->budget.name,
                                               .before = before,
                                               .after = object.text};
        status = main__budget_note(session, &note);
    }
    return main__budget_end(session, status);
}

/* What is odd about what was made is said, and no failure. */
static void warn(struct main__budget_session *session, const struct weir_budget_found *found) {
    struct weir_span oddity = WEIR_SPAN("");
    if (weir_scope_oddity(&session->work, found->budget.scope, found->budget.scope_id, &oddity) == WEIR_OK &&
        oddity.length > 0)
        fprintf(stderr, "weir: note: %.*s\n", WEIR_SPAN_PRINT(oddity));
}

static int save(struct main__budget_session *session, const char *id, const struct budget_flags *flags) {
    struct weir_budget_found found;
    struct weir_budget_standing standing;
    struct weir_buffer patch;
    struct weir_json_writer writer;
    if ((flags->active && flags->inactive) || (flags->soft && flags->hard)) {
        fprintf(stderr, "weir: --active and --inactive exclude each other, and so do --soft and --hard\n");
        return MAIN_EXIT_USAGE;
    }
    weir_buffer_init(&patch, WEIR_MIB);
    weir_json_writer_init(&writer, &patch);
    bool good = write_patch(&writer, flags);
    enum weir_status status = weir_buffer_status(&patch);
    if (good && status == WEIR_OK)
        status = save_one(session, weir_span_of_string(id), weir_buffer_span(&patch), &found);
    weir_buffer_release(&patch);
    if (!good)
        return MAIN_EXIT_USAGE;
    if (status == WEIR_OK && flags->json)
        status = weir_budgets_stand(&session->work, &found, 1, WEIR_SPAN(""), &standing);
    if (status != WEIR_OK)
        return main__budget_tell(session, status, id == NULL ? "no budget was made" : "the budget was not changed");
    warn(session, &found);
    if (flags->json)
        print_json(session, &found, &standing, NULL);
    else
        printf("%.*s\n", WEIR_SPAN_PRINT(found.budget.id));
    return 0;
}

/* --- deleting --- */

static enum weir_status remove_object(struct main__budget_session *session, const struct weir_object *object,
                                      const struct main__budget_note *note) {
    enum weir_status status = weir_engine_sqlite.object_remove(session->engine, object->kind, object->parent,
                                                               object->id, object->version, session->work.now_utc_us,
                                                               &session->work.error);
    return status == WEIR_OK ? main__budget_note(session, note) : status;
}

static enum weir_status remove_raise(struct main__budget_session *session, const struct weir_object *object) {
    const struct main__budget_note note = {.action = "budgets.raise_delete",
                                           .resource_type = "raise",
                                           .resource_id = object->id,
                                           .resource_name = object->parent,
                                           .before = object->text};
    return remove_object(session, object, &note);
}

static enum weir_status remove_budget(struct main__budget_session *session, struct weir_span id) {
    struct weir_budget_found found;
    struct main__objects raises;
    const struct weir_object_query query = {.kind = WEIR_OBJECT_RAISE, .any_parent = true};
    enum weir_status status = weir_budget_find(&session->work, id, &found);
    if (status == WEIR_OK && found.implicit)
        return weir_fail(&session->work.error, WEIR_EINVAL,
                         "it follows from a key's rules or a workspace's plan, and is changed there");
    if (status == WEIR_OK)
        status = main__objects_read(session, &query, &raises);
    for (size_t i = 0; status == WEIR_OK && i < raises.count; i++) {
        struct weir_span budget, of; /* also those for one alone of those that it is for */
        (void)weir_span_split(raises.at[i].parent, '/', &budget, &of);
        if (weir_span_equal(budget, id))
            status = remove_raise(session, &raises.at[i]);
    }
    if (status != WEIR_OK)
        return status;
    const struct main__budget_note note = {.action = "budgets.delete",
                                           .resource_type = "budget",
                                           .resource_id = found.budget.id,
                                           .resource_name = found.budget.name,
                                           .before = found.object.text};
    return remove_object(session, &found.object, &note);
}

static int drop(struct main__budget_session *session, const char *id) {
    enum weir_status status = main__budget_begin(session);
    if (status == WEIR_OK)
        status = main__budget_end(session, remove_budget(session, weir_span_of_string(id)));
    if (status != WEIR_OK)
        return main__budget_tell(session, status, "no budget was deleted");
    fprintf(stderr, "deleted %s\n", id);
    return 0;
}

/* --- raises --- */

static void print_raise(struct main__budget_session *session, const struct weir_raise_found *raise, bool json,
                        bool first) {
    char amount[MAIN_AMOUNT_SIZE], from[32], until[32];
    if (json) {
        struct weir_buffer out;
        struct weir_json_writer writer;
        weir_buffer_init(&out, WEIR_MIB);
        weir_json_writer_init(&writer, &out);
        weir_raise_write(&writer, raise, session->work.now_utc_us);
        main__print_json_line(&out);
        return;
    }
    if (first)
        printf("%-22s  %-6s  %16s  %-20s  %-20s  %s\n", "ID", "KIND", "CU", "FROM", "UNTIL", "REASON");
    main__amount_format(raise->raise.amount_cu_milli, amount);
    main__format_time(raise->raise.from_utc_us, from);
    main__format_time(raise->raise.until_utc_us != INT64_MAX ? raise->raise.until_utc_us : 0, until);
    char reason[MAIN_CELL_SIZE];
    main__cell(raise->raise.reason, 40, reason);
    printf("%-22.*s  %-6.*s  %16s  %-20s  %-20s  %s\n", WEIR_SPAN_PRINT(raise->raise.id),
           WEIR_SPAN_PRINT(raise->raise.kind), amount, from, until, reason);
}

static int list_raises(struct main__budget_session *session, const char *id, const struct budget_flags *flags) {
    struct weir_budget_found found;
    struct main__objects objects;
    size_t shown = 0;
    struct weir_object_query query = {.kind = WEIR_OBJECT_RAISE};
    struct weir_span of = WEIR_SPAN("");
    enum weir_status status = weir_budget_find(&session->work, weir_span_of_string(id), &found);
    if (status == WEIR_OK)
        status = weir_budget_of(&session->work, &found, weir_span_of_string(flags->of), &of);
    if (status == WEIR_OK)
        status = weir_raise_parent(&session->work, &found, of, &query.parent);
    if (status == WEIR_OK)
        status = main__objects_read(session, &query, &objects);
    for (size_t i = 0; status == WEIR_OK && i < objects.count; i++) {
        struct weir_raise_found raise;
        status = weir_raise_of_object(&session->work, &objects.at[i], &raise);
        if (status == WEIR_OK && raise.raise.until_utc_us > session->work.now_utc_us)
            print_raise(session, &raise, flags->json, shown++ == 0);
    }
    return status == WEIR_OK ? 0 : main__budget_tell(session, status, "the raises are not listed");
}

/* What the three ways of raising differ in. */
struct raising {
    const char *action, *of;
    bool is_reset;
    struct weir_raise_wish wish;
};

static enum weir_status raise_one(struct main__budget_session *session, const char *id, struct raising *raising,
                                  struct weir_budget_found *found, struct weir_raise_found *raise) {
    struct weir_span text = WEIR_SPAN("");
    struct weir_raise_wish *wish = &raising->wish;
    enum weir_status status = weir_budget_find(&session->work, weir_span_of_string(id), found);
    if (status == WEIR_OK)
        status = weir_budget_of(&session->work, found, weir_span_of_string(raising->of), &wish->of);
    if (status == WEIR_OK && raising->is_reset)
        status = weir_budget_reset(&session->work, &session->random, found, wish->of, wish->reason, raise, &text);
    else if (status == WEIR_OK)
        status = weir_budget_raise(&session->work, &session->random, found, wish, raise, &text);
    if (status != WEIR_OK)
        return status;
    const struct main__budget_note note = {.action = raising->action,
                                           .resource_type = "budget",
                                           .resource_id = found->budget.id,
                                           .resource_name = found->budget.name,
                                           .after = text};
    return main__budget_note(session, &note);
}

static int do_raise(struct main__budget_session *session, const char *id, struct raising *raising, bool json) {
    struct weir_budget_found found;
    struct weir_raise_found raise;
    struct weir_budget_standing standing;
    enum weir_status status = main__budget_begin(session);
    if (status == WEIR_OK)
        status = main__budget_end(session, raise_one(session, id, raising, &found, &raise));
    if (status == WEIR_OK)
        status = weir_budgets_stand(&session->work, &found, 1, raising->wish.of, &standing);
    if (status != WEIR_OK)
        return main__budget_tell(session, status,
                                 raising->is_reset ? "the budget was not reset" : "the budget was not raised");
    print_raise(session, &raise, json, true);
    char limit[MAIN_AMOUNT_SIZE], remaining[MAIN_AMOUNT_SIZE];
    main__amount_format(standing.limit, limit);
    main__amount_format(standing.remaining, remaining);
    if (standing.is_known)
        fprintf(stderr,
                "the limit is %s CU now, and %s CU of it are left; running servers hold to it within a second\n", limit,
                remaining);
    else
        fprintf(stderr, "the limit of each is %s CU now; running servers hold to it within a second\n", limit);
    return 0;
}

static int raise_or_top_up(struct main__budget_session *session, const char *id, const char *amount, bool is_top_up,
                           const struct budget_flags *flags) {
    struct raising raising = {.action = "budgets.raise",
                              .of = flags->of,
                              .wish = {.kind = is_top_up ? WEIR_SPAN("top_up") : WEIR_SPAN("raise"),
                                       .reason = weir_span_of_string(flags->reason)}};
    if (!read_amount(amount, is_top_up ? "top-up" : "raise", &raising.wish.amount_cu_milli))
        return MAIN_EXIT_USAGE;
    if (raising.wish.amount_cu_milli == 0) {
        fprintf(stderr, "weir: an amount above 0 is expected\n");
        return MAIN_EXIT_USAGE;
    }
    if (flags->until != NULL &&
        main__parse_time(weir_span_of_string(flags->until), true, &raising.wish.until_utc_us) != WEIR_OK) {
        fprintf(stderr, "weir: --until: expected a time to come, like 12h, 7d or 2026-11-22T09:00:00Z; got '%s'\n",
                flags->until);
        return MAIN_EXIT_USAGE;
    }
    return do_raise(session, id, &raising, flags->json);
}

static int reset(struct main__budget_session *session, const char *id, const struct budget_flags *flags) {
    struct raising raising = {.action = "budgets.reset",
                              .of = flags->of,
                              .is_reset = true,
                              .wish = {.reason = weir_span_of_string(flags->reason)}};
    return do_raise(session, id, &raising, flags->json);
}

static enum weir_status end_one(struct main__budget_session *session, const char *budget, const char *id,
                                const char *of) {
    struct weir_object object;
    const char *parent = of == NULL ? budget : weir_arena_format(session->arena, "%s/%s", budget, of);
    enum weir_status status = weir_engine_sqlite.object_get(session->engine, WEIR_OBJECT_RAISE,
                                                            weir_span_of_string(parent), weir_span_of_string(id),
                                                            session->arena, &object, &session->work.error);
    return status == WEIR_OK ? remove_raise(session, &object) : status;
}

static int end_raise(struct main__budget_session *session, const char *budget, const char *id, const char *of) {
    enum weir_status status = main__budget_begin(session);
    if (status == WEIR_OK)
        status = main__budget_end(session, end_one(session, budget, id, of));
    if (status != WEIR_OK)
        return main__budget_tell(session, status, "no raise was ended");
    fprintf(stderr, "ended %s\n", id);
    return 0;
}

/* --- alerts --- */

static void print_alert(struct main__budget_session *session, const struct weir_object *object) {
    struct weir_buffer out;
    struct weir_json_writer writer;
    weir_buffer_init(&out, WEIR_MIB);
    weir_json_writer_init(&writer, &out);
    weir_alert_write(&writer, session->arena, object);
    main__print_json_line(&out);
}

/* A misspelt kind would look like a night without alerts. */
static bool is_alert_kind(const char *name) {
    for (size_t i = 0; i < WEIR_METRICS_ALERT_KINDS; i++)
        if (strcmp(name, weir_alert_kind_name((enum weir_meter_event_kind)i)) == 0)
            return true;
    return false;
}

static int alerts(struct main__budget_session *session, const char *budget, const struct budget_flags *flags) {
    struct main__objects objects;
    struct weir_object_query query = {.kind = WEIR_OBJECT_ALERT, .any_parent = true};
    int64_t since = 0;
    if (!main__read_time_flag(flags->since, "--since", &since))
        return MAIN_EXIT_USAGE;
    if (flags->kind != NULL && !is_alert_kind(flags->kind)) {
        fprintf(stderr, "weir: --kind: expected threshold, exceeded, overrun or runaway; got '%s'\n", flags->kind);
        return MAIN_EXIT_USAGE;
    }
    if (budget != NULL)
        query.filters[query.filter_count++] = (struct weir_object_filter){.member = "budget",
                                                                          .value = weir_span_of_string(budget)};
    if (flags->kind != NULL)
        query.filters[query.filter_count++] = (struct weir_object_filter){.member = "kind",
                                                                          .value = weir_span_of_string(flags->kind)};
    enum weir_status status = main__objects_read(session, &query, &objects);
    if (status != WEIR_OK)
        return main__budget_tell(session, status, "the alerts are not listed");
    for (size_t i = 0; i < objects.count; i++)
        if (objects.at[i].created_utc_us >= since)
            print_alert(session, &objects.at[i]);
    return 0;
}

/* --- the command --- */

enum verb { LIST, SHOW, CREATE, SET, DELETE, RAISE, TOP_UP, RESET, RAISES, END_RAISE, ALERTS, FORECAST, VERB_COUNT };
static const struct {
    const char *name;
    size_t least, most; /* operands, the verb among them */
} verbs[VERB_COUNT] = {
    [LIST] = {"list", 1, 1},     [SHOW] = {"show", 2, 2},           [CREATE] = {"create", 1, 1},
    [SET] = {"set", 2, 2},       [DELETE] = {"delete", 2, 2},       [RAISE] = {"raise", 3, 3},
    [TOP_UP] = {"top-up", 3, 3}, [RESET] = {"reset", 2, 2},         [RAISES] = {"raises", 2, 2},
    [ALERTS] = {"alerts", 1, 2}, [END_RAISE] = {"end-raise", 3, 3}, [FORECAST] = {"forecast", 2, 2},
};

static int run(struct main__budget_session *session, enum verb verb, const char *const *operands,
               const struct budget_flags *flags) {
    switch (verb) {
    case LIST: return list(session, flags);
    case SHOW: return show(session, operands[1], flags);
    case CREATE:
    case SET: return save(session, operands[1], flags);
    case DELETE: return drop(session, operands[1]);
    case RAISE:
    case TOP_UP: return raise_or_top_up(session, operands[1], operands[2], verb == TOP_UP, flags);
    case RESET: return reset(session, operands[1], flags);
    case RAISES: return list_raises(session, operands[1], flags);
    case END_RAISE: return end_raise(session, operands[1], operands[2], flags->of);
    case ALERTS: return alerts(session, operands[1], flags);
    case FORECAST: return show_forecast(session, operands[1], flags);
    case VERB_COUNT: break;
    }
    return MAIN_EXIT_USAGE;
}

static const char usage[] =
    "weir budget list | show ID | forecast ID | create --for SCOPE --window WINDOW --limit AMOUNT [options] | set ID "
    "[options] | delete ID | raise ID AMOUNT --until WHEN | top-up ID AMOUNT | reset ID | raises ID | end-raise ID RAISE "
    "| alerts [ID]";
static const char prose[] =
    "Shows, makes, changes and raises budgets in the store; a running server holds to each change within a second.\n"
    "Amounts have their unit: 5usd, 2.50usd, 5000000cu (a millionth of a USD each) or 5000000000mcu. Ids: those of list,\n"
    "or key:KEY:day, key:KEY:month, key:KEY:total and plan:WORKSPACE for what follows from a key's rules or a plan.\n"
    "Every change is in the audit trail.";

int main__budget(int argc, char **argv) {
    struct budget_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--for", NULL, MAIN_FLAG_TEXT, &flags.scope, "SCOPE",
         "global, workspace:ID, team:WORKSPACE/ID, user:WORKSPACE/ID, key:ID, model:NAME, provider:NAME; * as the ID: each"},
        {"--implicit", NULL, MAIN_FLAG_SWITCH, &flags.implicit, NULL,
         "list: those that follow from the rules of --for key:ID or the plan of --for workspace:ID"},
        {"--of", NULL, MAIN_FLAG_TEXT, &flags.of, "ID",
         "of a budget for each: whose use is told, or whom alone a raise is for"},
        {"--name", NULL, MAIN_FLAG_TEXT, &flags.name, "NAME", "create, set: what it is for"},
        {"--limit", NULL, MAIN_FLAG_TEXT, &flags.limit, "AMOUNT", "create, set: what may be spent in the window"},
        {"--window", NULL, MAIN_FLAG_TEXT, &flags.window, "WINDOW", "create, set: 24h, day, week, month or total"},
        {"--zone", NULL, MAIN_FLAG_TEXT, &flags.zone, "ZONE",
         "create, set: time zone of a calendar window, like Europe/Berlin (default: UTC)"},
        {"--soft", NULL, MAIN_FLAG_SWITCH, &flags.soft, NULL, "create, set: it only tells, and refuses nothing"},
        {"--hard", NULL, MAIN_FLAG_SWITCH, &flags.hard, NULL, "set: what would go beyond it is not done"},
        {"--on-exceeded", NULL, MAIN_FLAG_TEXT, &flags.on_exceeded, "WHAT",
         "create, set: refuse, clamp (a smaller answer) or wait (default: refuse)"},
        {"--wait-ms", NULL, MAIN_FLAG_TEXT, &flags.wait, "N",
         "create, set: how long wait waits at most (default: 2000)"},
        {"--alerts", NULL, MAIN_FLAG_TEXT, &flags.alerts, "N,…",
         "create, set: percents to tell of (default: 50,80,95,100)"},
        {"--active", NULL, MAIN_FLAG_SWITCH, &flags.active, NULL, "set: it counts again"},
        {"--inactive", NULL, MAIN_FLAG_SWITCH, &flags.inactive, NULL, "create, set: it does not count"},
        {"--until", NULL, MAIN_FLAG_TEXT, &flags.until, "WHEN",
         "raise, top-up: 12h, 7d, or a time; a top-up without it lasts to the end of the period"},
        {"--reason", NULL, MAIN_FLAG_TEXT, &flags.reason, "WORDS", "raise, top-up, reset: why; for the audit trail"},
        {"--kind", NULL, MAIN_FLAG_TEXT, &flags.kind, "KIND", "alerts: threshold, exceeded, overrun or runaway"},
        {"--since", NULL, MAIN_FLAG_TEXT, &flags.since, "TIME", "alerts: a time, a date, or a while ago like 24h"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "one JSON object a line (alerts always are)"},
    };
    const struct main__command command = {usage, prose, all, sizeof all / sizeof *all, 1, 3};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    unsigned verb = 0;
    while (verb < VERB_COUNT && strcmp(operands[0], verbs[verb].name) != 0)
        verb++;
    bool lacks = verb == CREATE && (flags.scope == NULL || flags.window == NULL || flags.limit == NULL);
    if (verb == VERB_COUNT || count < verbs[verb].least || count > verbs[verb].most || lacks) {
        fprintf(stderr, "weir: %s\nusage: %s\n",
                lacks ? "create needs --for, --window and --limit"
                      : "expected one of the verbs below with what it needs",
                command.usage);
        return MAIN_EXIT_USAGE;
    }
    struct main__budget_session session = {.arena = NULL};
    int code = MAIN_EXIT_FAILED;
    if (main__budget_open(&session, flags.config))
        code = run(&session, (enum verb)verb, operands, &flags);
    main__budget_close(&session);
    return code;
}
