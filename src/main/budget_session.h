/* What `weir budget` and `weir limit` share: the store, changes with their audit entries, amounts and scopes as people write them. */
#ifndef WEIR_MAIN_BUDGET_SESSION_H
#define WEIR_MAIN_BUDGET_SESSION_H

#include "json/write.h"
#include "main/settings.h"
#include "operator/budget_changes.h"

struct main__budget_session {
    struct weir_arena *arena;
    struct main__settings settings;
    struct weir_engine *engine;
    struct weir_random random;
    struct weir_budget_work work;
};

/* False: told on standard error. */
bool main__budget_open(struct main__budget_session *session, const char *config);
void main__budget_close(struct main__budget_session *session);
/* Tells why on standard error, with the member that is wrong; gives the exit code. */
int main__budget_tell(const struct main__budget_session *session, enum weir_status status, const char *what);

/* A change is one transaction with its audit entry. */
WEIR_MUST enum weir_status main__budget_begin(struct main__budget_session *session);
/* Keeps the words on the first failure. */
WEIR_MUST enum weir_status main__budget_end(struct main__budget_session *session, enum weir_status status);
struct main__budget_note {
    const char *action, *resource_type;
    struct weir_span resource_id, resource_name, before, after;
};
WEIR_MUST enum weir_status main__budget_note(struct main__budget_session *session,
                                             const struct main__budget_note *note);

/* "5usd", "2.50usd", "5000000cu", "5000000000mcu": exactly, as milli-CU. False: it is none. */
bool main__amount_read(const char *text, int64_t *cu_milli);
/* In CU, with the thousandths where there are any. */
enum { MAIN_AMOUNT_SIZE = 32 };
void main__amount_format(int64_t cu_milli, char out[MAIN_AMOUNT_SIZE]);

/* "global", "key:key_…", "team:default/red", "model:*". False: told on standard error. */
bool main__scope_read(const char *text, enum weir_scope *scope, struct weir_span *id);
/* The other way round; `out` holds a table's cell. */
void main__scope_format(enum weir_scope scope, struct weir_span id, char *out, size_t size);

/* Objects of a kind and a parent, in the order of their making; texts live in the session's arena. */
struct main__objects {
    struct weir_object *at;
    size_t count, room;
    int64_t last;
    size_t seen;
    struct main__budget_session *session;
};
WEIR_MUST enum weir_status main__objects_read(struct main__budget_session *session,
                                              const struct weir_object_query *query, struct main__objects *objects);
/* The writer's buffer as one line on standard output; it is released. */
void main__print_json_line(struct weir_buffer *text);

#endif
