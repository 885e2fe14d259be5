/* What operators do to keys: making, rotating, revoking, showing. Written once, for the operations of the plane and for `weir key`.
 *
 * A change is a few steps inside a transaction of the caller, who also writes the audit entry: so both, the change and its entry, become true or
 * neither does. Nothing here ever writes a key itself anywhere but into the weir_secret that it is given out in.
 */
#ifndef WEIR_OPERATOR_KEY_CHANGES_H
#define WEIR_OPERATOR_KEY_CHANGES_H

#include "base/arena.h"
#include "base/reasons.h"
#include "identity/key.h"
#include "identity/rules.h"
#include "json/write.h"
#include "store/store.h"

struct yyjson_val;

/* Who works, with what. After a failure `reason`, `field` and `error` say why; the reason is NONE where the store failed, which has given the status
 * and `error`. */
struct weir_key_work {
    const struct weir_engine_ops *store;
    struct weir_engine *engine;
    struct weir_arena *arena; /* all that is given out lives here */
    struct weir_random *random;
    struct weir_key_format format;
    int64_t now_utc_us;
    int64_t rotation_due_us; /* 0: age does not matter */
    struct weir_rule_names names;
    enum weir_reason reason;
    const char *field; /* NULL: none */
    struct weir_error error;
};

enum weir_key_state { WEIR_KEY_ACTIVE, WEIR_KEY_ROTATING, WEIR_KEY_EXPIRED, WEIR_KEY_REVOKED };
enum weir_key_state weir_key_state_at(const struct weir_key_record *key, int64_t now_utc_us);
const char *weir_key_state_name(enum weir_key_state state);
/* Whether it works, was not rotated, and is as old as `rotation_due_us` says. */
bool weir_key_rotation_is_due(const struct weir_key_record *key, int64_t now_utc_us, int64_t rotation_due_us);

/* Takes rules (a JSON object; NULL or JSON's null: none), checks them and gives their canonical text: members in the order of identity/rules.h,
 * those that are absent left out, empty for rules that say nothing. */
WEIR_MUST enum weir_status weir_key_rules_canonical(struct weir_key_work *work, struct yyjson_val *json,
                                                    struct weir_span *rules);
/* The same for tags, names sorted. */
WEIR_MUST enum weir_status weir_key_tags_canonical(struct weir_key_work *work, struct yyjson_val *json,
                                                   struct weir_span *tags);
/* The same of JSON texts. */
WEIR_MUST enum weir_status weir_key_rules_of_text(struct weir_key_work *work, struct weir_span json,
                                                  struct weir_span *rules);
WEIR_MUST enum weir_status weir_key_tags_of_text(struct weir_key_work *work, struct weir_span json,
                                                 struct weir_span *tags);
/* The workspace is there, and has the team and user where they are named; the user is not disabled. */
WEIR_MUST enum weir_status weir_key_owner_check(struct weir_key_work *work, const struct weir_key_record *key);

/* Makes a key of `record`'s name, workspace, team, user, family, rules, tags and end, all checked before; gives it its id, hash, hint and times. */
WEIR_MUST enum weir_status weir_key_insert_new(struct weir_key_work *work, struct weir_key_record *record,
                                               struct weir_secret **key);
enum { WEIR_KEY_OVERLAP_MAX_S = 90 * 86400, WEIR_KEY_OVERLAP_USUAL_S = 86400 };
/* Makes `fresh` of `old`, which ends `overlap_us` from now at the latest. `expires_utc_us`: of the new one; negative: it lasts as long
 * as the old one was made for. */
WEIR_MUST enum weir_status weir_key_rotate(struct weir_key_work *work, struct weir_key_record *old, int64_t overlap_us,
                                           int64_t expires_utc_us, struct weir_key_record *fresh,
                                           struct weir_secret **key);
/* Revoking again changes nothing, save that answers in flight end from then on where they did not before. *changed: something was written. */
WEIR_MUST enum weir_status weir_key_revoke_now(struct weir_key_work *work, struct weir_key_record *record,
                                               bool end_streams, bool *changed);
/* Finds the record of a whole key. Nothing of the key is in what it fails with. */
WEIR_MUST enum weir_status weir_key_find_leaked(struct weir_key_work *work, struct weir_span key,
                                                struct weir_key_record *record);

/* The members of a key as the operator plane shows it, into an open object. `last_use_utc_us`: 0 for unknown. */
void weir_key_write_members(const struct weir_key_work *work, struct weir_json_writer *writer,
                            const struct weir_key_record *key, int64_t last_use_utc_us);
/* What the audit trail keeps of it, a JSON object in the arena; empty without memory. */
struct weir_span weir_key_audit_text(struct weir_key_work *work, const struct weir_key_record *key);
/* A copy that lives in the arena. */
WEIR_MUST enum weir_status weir_key_record_keep(struct weir_arena *arena, const struct weir_key_record *key,
                                                struct weir_key_record *kept);

/* The text of a workspace that has nothing but its id, in the arena; empty without memory. */
struct weir_span weir_workspace_new_text(struct weir_arena *arena, struct weir_span id);
/* What an id must look like that a person chooses: [a-z0-9][a-z0-9._-]{0,62}. */
bool weir_workspace_id_is_good(struct weir_span id);

#endif
