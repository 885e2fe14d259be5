/* An operation: one thing that an operator may see or do, as its handler sees it.
 *
 * Its row is a file in operations/ (method, path, roles, parameters, body, answers, prose); tools/operations turns all of them into a table, the
 * OpenAPI document and the reference page. A handler runs on the operations thread, which has a connection to the store of its own, so it is plain
 * code from top to bottom that may wait for the database. Before it runs, the caller is known and allowed, and parameters and body are as their
 * schemas say.
 *
 * A handler that changes something calls weir_operation_begin before it reads what it will change, then writes, then
 * weir_operation_audit. When it gives WEIR_OK, its writes and the audit entry become true together; else neither does, and the attempt is
 * audited as failed. What it may not do is forget: an operation marked `changes` that ends well without an audit entry is a bug.
 */
#ifndef WEIR_OPERATOR_OPERATION_H
#define WEIR_OPERATOR_OPERATION_H

#include "base/arena.h"
#include "base/reasons.h"
#include "identity/actor.h"
#include "json/write.h"
#include "operator/operator.h"
#include "store/store.h"

#include <yyjson.h>

struct weir_operation_call;
/* WEIR_OK: the answer is written. Else weir_operation_fail or weir_operation_store_failed was called. */
typedef enum weir_status (*weir_operation_run)(struct weir_operation_call *call);

/* --- what is asked --- */
/* Everything in here lives as long as the call. */
struct weir_arena *weir_operation_arena(struct weir_operation_call *call);
const struct weir_operator_settings *weir_operation_settings(const struct weir_operation_call *call);
const struct weir_actor *weir_operation_actor(const struct weir_operation_call *call);
const struct weir_engine_ops *weir_operation_store(const struct weir_operation_call *call, struct weir_engine **engine);
int64_t weir_operation_now_utc_us(const struct weir_operation_call *call); /* one time for all that an operation does */
struct weir_random *weir_operation_random(struct weir_operation_call *call);
/* A value out of the path, percent-decoded: "workspace" of /workspaces/{workspace}. A bug when the row has no such name. */
struct weir_span weir_operation_path_value(const struct weir_operation_call *call, const char *name);
/* A query parameter, decoded; empty when it was not sent and has no default. */
struct weir_span weir_operation_query_text(const struct weir_operation_call *call, const char *name);
int64_t weir_operation_query_integer(const struct weir_operation_call *call, const char *name, int64_t otherwise);
bool weir_operation_query_flag(const struct weir_operation_call *call, const char *name); /* "true" */
/* A date-time or date parameter as UTC microseconds; 0: not sent. */
int64_t weir_operation_query_time(const struct weir_operation_call *call, const char *name);
/* The body, as its schema wants it; NULL where the row takes none or none was sent. */
yyjson_val *weir_operation_body(const struct weir_operation_call *call);
/* A string member of the body; empty when absent or null. */
struct weir_span weir_operation_body_text(const struct weir_operation_call *call, const char *name);
/* A header field of the request (lower-case name); empty when it was not sent. */
struct weir_span weir_operation_header(const struct weir_operation_call *call, const char *name);
/* The version named by If-Match ("3" of `"3"`); 0 without the field or with `*`. */
uint64_t weir_operation_expected_version(const struct weir_operation_call *call);

/* --- changing --- */
/* Takes the store's write lock, once. WEIR_OK or failed already (return the status). */
WEIR_MUST enum weir_status weir_operation_begin(struct weir_operation_call *call);
/* What the audit trail says of it; actor, time, request and result are filled in. `before` and `after` are JSON objects with secrets masked
 * already, or "". Called once for each thing that is changed or seen. The action is the operation's id unless `action` is given; the
 * type of the resource is the row's `resource`, as in the entry of an attempt that failed. */
struct weir_operation_note {
    const char *action; /* NULL: the operation's id */
    struct weir_span resource_id, resource_name, workspace;
    struct weir_span before, after;
};
WEIR_MUST enum weir_status weir_operation_audit(struct weir_operation_call *call,
                                                const struct weir_operation_note *note);

/* --- answering --- */
/* The status is 200 unless it is set. */
void weir_operation_set_status(struct weir_operation_call *call, unsigned status);
void weir_operation_set_header(struct weir_operation_call *call, const char *name, struct weir_span value);
/* ETag: "version". */
void weir_operation_set_version(struct weir_operation_call *call, uint64_t version);
/* Writes to the body, a JSON value; the framework ends it with a line break. */
struct weir_json_writer *weir_operation_writer(struct weir_operation_call *call);
/* The body's bytes, for what is not JSON; with the content type. */
struct weir_buffer *weir_operation_buffer(struct weir_operation_call *call, const char *content_type);
/* A long answer (an export): the handler is called again for the next piece once this one is on its way, with what it left here. The
 * status line and headers go out with the first piece. `state` is zeroed at the first call. */
enum { WEIR_OPERATION_STATE_BYTES = 256, WEIR_OPERATION_PIECE_BYTES = 256 * 1024 };
void *weir_operation_state(struct weir_operation_call *call);
void weir_operation_continue(struct weir_operation_call *call); /* there is more */
/* Run on the operations thread after the change is in the store, before the answer goes out: telling other parts of the process. */
void weir_operation_after(struct weir_operation_call *call, void (*run)(struct weir_operation_call *call));

/* Lists: `{"data":[…],"next_cursor":"…"|null}`. The cursor is opaque; it carries a number and the name of the listing. WEIR_OK, or failed
 * (CURSOR_INVALID). Query parameters `limit` and `cursor` stand in the row. */
WEIR_MUST enum weir_status weir_operation_page(struct weir_operation_call *call, int64_t *after_number, size_t *limit);
/* Ends the list: writes next_cursor and the closing brace; `next_number` 0: there is no more. */
void weir_operation_page_end(struct weir_operation_call *call, int64_t next_number);

/* --- failing: each returns a status for `return` --- */
/* `field` may be NULL; the words say what was found and what was expected. */
enum weir_status weir_operation_fail(struct weir_operation_call *call, enum weir_reason reason, const char *field,
                                     const char *format, ...) WEIR_PRINTF(4, 5);
/* With several things that are wrong, a line each: the first one is told, all of them stand in details.problems. */
enum weir_status weir_operation_fail_with(struct weir_operation_call *call, enum weir_reason reason,
                                          struct weir_span problems);
/* The right reason for what the store gave: not found, exists, stale, busy, away. `what`: "workspace acme". */
enum weir_status weir_operation_store_failed(struct weir_operation_call *call, enum weir_status status,
                                             const char *what, const struct weir_error *error);

/* UTC microseconds as "2026-11-21T19:33:05.123456Z"; null for 0. */
void weir_operation_member_time(struct weir_json_writer *writer, const char *name, int64_t utc_us);

#endif
