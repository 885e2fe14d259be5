/* See budget_session.h. */
#include "main/budget_session.h"

#include "base/arithmetic.h"
#include "base/clock.h"
#include "main/arguments.h"
#include "main/command_support.h"
#include "main/local_audit.h"

#include <stdio.h>

enum { PAGE = 1000, MAX_DIGITS = 18 };

void main__budget_close(struct main__budget_session *session) {
    if (session->engine != NULL)
        weir_store_direct_close(&session->engine);
    weir_arena_free(&session->arena);
}

bool main__budget_open(struct main__budget_session *session, const char *config) {
    struct weir_error error = {.text = ""};
    session->arena = weir_arena_new(0, 8 * WEIR_MAX_CONFIG_BYTES);
    if (session->arena == NULL || main__settings_for_command(session->arena, config, &session->settings) != WEIR_OK)
        return false;
    enum weir_status status = main__store_open(&session->settings, false, &session->engine, &error);
    if (status == WEIR_OK) {
        session->work = (struct weir_budget_work){.store = &weir_engine_sqlite,
                                                  .engine = session->engine,
                                                  .arena = session->arena,
                                                  .now_utc_us = weir_clock_utc_us()};
        status = weir_budget_work_open(&session->work);
        error = session->work.error;
    }
    if (status != WEIR_OK)
        fprintf(stderr, "weir: %s\n", error.text[0] != '\0' ? error.text : weir_status_name(status));
    return status == WEIR_OK;
}

int main__budget_tell(const struct main__budget_session *session, enum weir_status status, const char *what) {
    const struct weir_budget_work *work = &session->work;
    const char *words = work->error.text[0] != '\0' ? work->error.text : weir_status_name(status);
    /* The words of a definition's reader name the member already. */
    size_t length = strlen(work->field);
    bool named = length == 0 || strncmp(words, work->field, length) == 0;
    fprintf(stderr, "weir: %s: %s%s%s\n", what, named ? "" : work->field, named ? "" : ": ", words);
    return MAIN_EXIT_FAILED;
}

enum weir_status main__budget_begin(struct main__budget_session *session) {
    return weir_engine_sqlite.work_begin(session->engine, &session->work.error);
}

enum weir_status main__budget_end(struct main__budget_session *session, enum weir_status status) {
    struct weir_error error = {.text = ""};
    enum weir_status ended = weir_engine_sqlite.work_end(session->engine, status, &error);
    if (status == WEIR_OK && ended != WEIR_OK)
        session->work.error = error;
    return status == WEIR_OK ? ended : status;
}

enum weir_status main__budget_note(struct main__budget_session *session, const struct main__budget_note *note) {
    const struct main__local_note said = {.action = note->action,
                                          .resource_type = note->resource_type,
                                          .resource_id = note->resource_id,
                                          .resource_name = note->resource_name,
                                          .before = note->before,
                                          .after = note->after};
    return main__audit_local(session->engine, &said, session->work.now_utc_us, &session->work.error);
}

/* --- amounts --- */

static const struct {
    const char *name;
    size_t decimals; /* of a milli-CU in it */
} units[] = {{"mcu", 0}, {"cu", 3}, {"usd", 9}};

bool main__amount_read(const char *text, int64_t *cu_milli) {
    struct weir_span rest = weir_span_of_string(text), whole, decimals;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        struct weir_span unit = weir_span_of_string(units[i].name);
        if (rest.length <= unit.length ||
            !weir_span_equal_ignore_case(weir_span_from(rest, rest.length - unit.length), unit))
            continue;
        char digits[2 * MAX_DIGITS] = "";
        int64_t value = 0;
        bool has_point = weir_span_split(weir_span_first(rest, rest.length - unit.length), '.', &whole, &decimals);
        if (whole.length == 0 || whole.length > MAX_DIGITS || decimals.length > units[i].decimals ||
            (has_point && decimals.length == 0))
            return false;
        (void)snprintf(digits, sizeof digits, "%.*s%.*s%.*s", WEIR_SPAN_PRINT(whole), WEIR_SPAN_PRINT(decimals),
                       (int)(units[i].decimals - decimals.length), "000000000");
        struct weir_span number = weir_span_of_string(digits);
        if (digits[0] == '-' || weir_span_to_int64(number, &value) != WEIR_OK || value > WEIR_BUDGET_MOST)
            return false;
        *cu_milli = value;
        return true;
    }
    return false;
}

void main__amount_format(int64_t cu_milli, char out[MAIN_AMOUNT_SIZE]) {
    if (cu_milli % 1000 == 0)
        (void)snprintf(out, MAIN_AMOUNT_SIZE, "%lld", (long long)(cu_milli / 1000));
    else
        (void)snprintf(out, MAIN_AMOUNT_SIZE, "%s%lld.%03lld", cu_milli < 0 ? "-" : "",
                       (long long)(cu_milli / 1000 < 0 ? -(cu_milli / 1000) : cu_milli / 1000),
                       (long long)(cu_milli % 1000 < 0 ? -(cu_milli % 1000) : cu_milli % 1000));
}

/* --- scopes --- */

bool main__scope_read(const char *text, enum weir_scope *scope, struct weir_span *id) {
    struct weir_span name;
    (void)weir_span_split(weir_span_of_string(text), ':', &name, id);
    if (weir_scope_from_name(name, scope) && (*scope == WEIR_SCOPE_GLOBAL) == (id->length == 0))
        return true;
    fprintf(stderr,
            "weir: --for: expected global, workspace:ID, team:WORKSPACE/ID, user:WORKSPACE/ID, key:ID, model:NAME or "
            "provider:NAME, with * for each; got '%s'\n",
            text);
    return false;
}

void main__scope_format(enum weir_scope scope, struct weir_span id, char *out, size_t size) {
    const char *name = weir_scope_name(scope);
    (void)snprintf(out, size, "%s%s%.*s", name != NULL ? name : "", id.length > 0 ? ":" : "", WEIR_SPAN_PRINT(id));
}

/* --- objects --- */

static enum weir_status keep_object(void *context, const struct weir_object *object) {
    struct main__objects *objects = context;
    struct weir_arena *arena = objects->session->arena;
    if (objects->count == objects->room) {
        size_t room = objects->room == 0 ? 64 : objects->room * 2;
        struct weir_object *larger = weir_arena_array(arena, room, sizeof *larger);
        if (larger == NULL)
            return WEIR_ENOMEM;
        if (objects->count > 0)
            memcpy(larger, objects->at, objects->count * sizeof *larger);
        objects->at = larger;
        objects->room = room;
    }
    struct weir_object *kept = &objects->at[objects->count++];
    *kept = *object;
    kept->handle = WEIR_SPAN("");
    objects->seen++;
    objects->last = object->number;
    enum weir_status status = weir_arena_dup(arena, object->id, &kept->id);
    if (status == WEIR_OK)
        status = weir_arena_dup(arena, object->parent, &kept->parent);
    return status == WEIR_OK ? weir_arena_dup(arena, object->text, &kept->text) : status;
}

enum weir_status main__objects_read(struct main__budget_session *session, const struct weir_object_query *query,
                                    struct main__objects *objects) {
    struct weir_object_query page = *query;
    *objects = (struct main__objects){.session = session};
    page.limit = PAGE;
    do {
        objects->seen = 0;
        page.after_number = objects->last;
        enum weir_status status = weir_engine_sqlite.object_list(session->engine, &page, keep_object, objects,
                                                                 &session->work.error);
        if (status != WEIR_OK)
            return status;
    } while (objects->seen == PAGE);
    return WEIR_OK;
}

void main__print_json_line(struct weir_buffer *text) {
    printf("%.*s\n", WEIR_SPAN_PRINT(weir_buffer_span(text)));
    weir_buffer_release(text);
}
