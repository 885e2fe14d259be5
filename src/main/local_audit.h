/* What the command line leaves in the audit trail: the same as an operation does, with this machine's user as the actor. */
#ifndef WEIR_MAIN_LOCAL_AUDIT_H
#define WEIR_MAIN_LOCAL_AUDIT_H

#include "store/store.h"

struct main__local_note {
    const char *action; /* as the operation that does the same: "operators.create" */
    const char *resource_type;
    struct weir_span resource_id, resource_name, workspace;
    struct weir_span before, after; /* JSON objects without secrets; or empty */
    bool by_system;                 /* weir itself did it: the actor is "system" */
};
/* Inside the caller's transaction (work_begin), so that change and entry are there together or not at all. */
WEIR_MUST enum weir_status main__audit_local(struct weir_engine *engine, const struct main__local_note *note,
                                             int64_t utc_us, struct weir_error *error);

#endif
