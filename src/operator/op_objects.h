/* What plans, workspaces, teams and users have in common: each kind is a table of members and a few checks; creating, listing, reading, changing
 * and deleting are written once.
 *
 * An object's text in the store is canonical: every member of its table, in the table's order, with its default where it was not given, names
 * inside sorted. So equal objects have equal texts, and what the audit trail shows before and after can be compared line by line.
 */
#ifndef WEIR_OPERATOR_OP_OBJECTS_H
#define WEIR_OPERATOR_OP_OBJECTS_H

#include "operator/operation.h"

/* A member of a JSON object. A table of them ends with a row without a name. */
struct operator__member {
    const char *name;
    const char *otherwise; /* JSON, where it is absent or null; NULL: it is left out then */
    bool is_id;            /* where it is absent or null: the object's id */
    const struct operator__member
        *inner; /* it is an object with members of its own; of `otherwise` only whether it is NULL counts */
};

struct operator__change;
struct operator__kind {
    enum weir_object_kind kind;
    const char *type;      /* "team": the word for it, its name in the audit trail and in paths */
    const char *parent;    /* the path's value that names what it belongs to ("workspace"), or NULL */
    const char *id_prefix; /* "team_", before 16 random characters, where the body has no id; NULL: the body has it */
    const struct operator__member *members;
    /* Sees what is about to be written, may set object.handle; NULL: whatever the schema allows is good. */
    enum weir_status (*check)(struct operator__change *change);
    /* Before it is removed: refuses, or removes what belongs to it; NULL: it may always go. */
    enum weir_status (*may_remove)(struct operator__change *change);
    /* Members besides those of the table, where one object is shown; NULL: none. */
    enum weir_status (*show_more)(struct weir_operation_call *call, const struct weir_object *object);
    void (*after)(struct weir_operation_call *call); /* for weir_operation_after; NULL */
};

struct operator__change {
    struct weir_operation_call *call;
    const struct operator__kind *kind;
    struct weir_object object; /* its text is as it will be */
    struct weir_span before;   /* its text as it was; empty when it is new */
    yyjson_val *fields;        /* object.text */
};

enum weir_status operator__object_create(struct weir_operation_call *call, const struct operator__kind *kind);
/* `filters` as in weir_object_query. */
enum weir_status operator__object_list(struct weir_operation_call *call, const struct operator__kind *kind,
                                       const struct weir_object_filter *filters, size_t filter_count);
enum weir_status operator__object_get(struct weir_operation_call *call, const struct operator__kind *kind);
enum weir_status operator__object_update(struct weir_operation_call *call, const struct operator__kind *kind);
/* All of it: what the body does not name is as in a new one. */
enum weir_status operator__object_replace(struct weir_operation_call *call, const struct operator__kind *kind);
enum weir_status operator__object_remove(struct weir_operation_call *call, const struct operator__kind *kind);

/* Reads an object that must be there; fails with NOT_THERE. */
enum weir_status operator__object_need(struct weir_operation_call *call, enum weir_object_kind kind, const char *type,
                                       struct weir_span parent, struct weir_span id, struct weir_object *object);
/* Removes an object and says so in the audit trail. */
enum weir_status operator__object_drop(struct weir_operation_call *call, const struct operator__kind *kind,
                                       const struct weir_object *object, const char *action);
/* Whether any object of the kind has this value in a member; WEIR_OK, or failed. */
enum weir_status operator__object_any(struct weir_operation_call *call, const struct weir_object_query *query,
                                      bool *any);
/* A query parameter that is true or false as a filter: false when it was not sent. */
bool operator__flag_filter(struct weir_operation_call *call, const char *name, struct weir_object_filter *filter);

/* --- keys, as objects need to know of them --- */
/* Whether any key of the query works now. WEIR_OK, or failed. */
enum weir_status operator__key_any_active(struct weir_operation_call *call, const struct weir_key_query *query,
                                          bool *any);
/* For weir_operation_after: what changed is in effect everywhere in this process when this returns. */
void operator__keys_changed(struct weir_operation_call *call);

/* --- JSON --- */
/* NULL: it is no JSON, or there is no memory. */
yyjson_val *operator__json_read(struct weir_arena *arena, struct weir_span text);
/* `fields` (may be NULL: an empty object) as members of the open object. */
void operator__write_members(struct weir_json_writer *writer, const struct operator__member *members,
                             yyjson_val *fields, struct weir_span id);
/* Any value, with the names of its objects sorted. */
void operator__write_value(struct weir_json_writer *writer, yyjson_val *value);
/* The same as a text in the arena, empty for NULL. An empty text may mean that everything is allowed, so a failure is told apart from it. */
WEIR_MUST enum weir_status operator__value_text(struct weir_arena *arena, yyjson_val *value, struct weir_span *text);
/* The canonical text of an object, in the arena; an empty span without memory. */
struct weir_span operator__canonical(struct weir_arena *arena, const struct operator__member *members,
                                     yyjson_val *fields, struct weir_span id);
/* RFC 7396: `patch` into `fields` (may be NULL). NULL without memory. */
yyjson_val *operator__merge(struct weir_arena *arena, yyjson_val *fields, yyjson_val *patch);
/* A string member; empty when it is absent or of another type. */
struct weir_span operator__field(yyjson_val *fields, const char *name);

#endif
