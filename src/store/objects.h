/* What operators name and change besides keys: plans, workspaces, teams, users, operators, their tokens and sessions, sealed secrets.
 *
 * All kinds share one shape: an id, what it belongs to, a JSON text of its own fields, a version. What a text means is the operator plane's
 * affair; the store keeps it, counts its versions, and tells who watches that something changed.
 */
#ifndef WEIR_STORE_OBJECTS_H
#define WEIR_STORE_OBJECTS_H

#include "base/span.h"

/* Stored as numbers: new kinds go to the end. */
enum weir_object_kind {
    WEIR_OBJECT_PLAN = 1,
    WEIR_OBJECT_WORKSPACE,
    WEIR_OBJECT_TEAM,     /* parent: its workspace */
    WEIR_OBJECT_USER,     /* parent: its workspace */
    WEIR_OBJECT_OPERATOR, /* a person or a machine that uses the operator plane; handle: its login name, where it has one */
    WEIR_OBJECT_TOKEN,         /* parent: its operator; handle: SHA-256 of the token, hex */
    WEIR_OBJECT_SESSION,       /* parent: its operator; handle: SHA-256 of the session's id, hex */
    WEIR_OBJECT_SECRET,        /* a sealed value; its text holds the blob, base64 */
    WEIR_OBJECT_MARK,          /* how far something of ours has come: the audit sink */
    WEIR_OBJECT_BUDGET,        /* what may be spent in a window (meter/definitions.h) */
    WEIR_OBJECT_LIMIT,         /* how much at once, or in a minute or a day (meter/definitions.h) */
    WEIR_OBJECT_RAISE,         /* parent: the id of a budget; adds to its limit until it expires */
    WEIR_OBJECT_ALERT,         /* parent: what it is about ("budget/<id>", "key/<id>"); happened once */
    WEIR_OBJECT_ACCOUNT,       /* id: a workspace: its credits */
    WEIR_OBJECT_ACCOUNT_ENTRY, /* parent: a workspace; one credit or debit, never changed */
    WEIR_OBJECT_PURCHASE,      /* parent: a workspace */
    WEIR_OBJECT_IDEMPOTENCY,   /* parent: a workspace; id: an Idempotency-Key; the answer that belongs to it */
    WEIR_OBJECT_RECEIPT_KEY, /* what receipts are signed with; id: its thumbprint; handle "current": the one that signs */
    WEIR_OBJECT_KIND_END
};

/* Spans are borrowed: the caller's when writing, the engine's for the visit or the arena's when reading. */
struct weir_object {
    enum weir_object_kind kind;
    int64_t number;          /* grows with every creation: the order of listings */
    struct weir_span parent; /* "" or the id of what it belongs to */
    struct weir_span id;     /* unique within kind and parent, among what is not removed */
    struct weir_span handle; /* "" or another name to find it by, unique within the kind */
    struct weir_span text;   /* a JSON object */
    uint64_t version;        /* 1 at first, one more with every update */
    int64_t created_utc_us, updated_utc_us;
    int64_t expires_utc_us; /* 0: never; what has expired is removed by object_sweep */
    uint64_t change;        /* grows with every change to any object */
    bool removed;           /* shown by object_each alone */
};

/* The value of a member of the text (a string, or true/false/a number as JSON writes it) must be this. */
struct weir_object_filter {
    const char *member; /* a name of ours, never a client's: [a-z_]+ */
    struct weir_span value;
};
enum { WEIR_OBJECT_FILTERS = 4 };

struct weir_object_query {
    enum weir_object_kind kind;
    bool any_parent;
    struct weir_span parent;
    int64_t after_number; /* cursor: what was made later; 0: from the start */
    size_t limit;         /* 0: 100; at most 1000 */
    size_t filter_count;
    struct weir_object_filter filters[WEIR_OBJECT_FILTERS];
};

#endif
