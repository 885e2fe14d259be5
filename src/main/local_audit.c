/* See local_audit.h. */
#include "main/local_audit.h"

#include "base/limits.h"
#include "base/mask.h"

#include <pwd.h>
#include <unistd.h>

enum { USER_SIZE = 64, LOOK_UP_BYTES = 4096 };

/* The user's name where the system knows one, else his number. */
static void user_name(char out[USER_SIZE]) {
    struct passwd entry, *found = NULL;
    char texts[LOOK_UP_BYTES];
    if (getpwuid_r(getuid(), &entry, texts, sizeof texts, &found) == 0 && found != NULL)
        (void)snprintf(out, USER_SIZE, "%s", found->pw_name);
    else
        (void)snprintf(out, USER_SIZE, "uid:%lu", (unsigned long)getuid());
}

static struct weir_span or_null(struct weir_span json) {
    return json.length > 0 ? json : WEIR_SPAN("null");
}

enum weir_status main__audit_local(struct weir_engine *engine, const struct main__local_note *note, int64_t utc_us,
                                   struct weir_error *error) {
    char user[USER_SIZE];
    struct weir_buffer changes, masked;
    weir_buffer_init(&changes, WEIR_MIB);
    weir_buffer_init(&masked, 4 * WEIR_MIB);
    user_name(user);
    if (note->before.length > 0 || note->after.length > 0) {
        weir_buffer_append(&changes, WEIR_SPAN("{\"before\":"));
        weir_buffer_append(&changes, or_null(note->before));
        weir_buffer_append(&changes, WEIR_SPAN(",\"after\":"));
        weir_buffer_append(&changes, or_null(note->after));
        weir_buffer_append_byte(&changes, '}');
    }
    weir_mask_json(&masked, weir_buffer_span(&changes));
    struct weir_audit_entry entry = {.utc_us = utc_us,
                                     .actor_kind = note->by_system ? WEIR_SPAN("system") : WEIR_SPAN("local"),
                                     .actor_id = WEIR_SPAN(""),
                                     .actor_name = note->by_system ? WEIR_SPAN("weir") : weir_span_of_string(user),
                                     .actor_role = WEIR_SPAN("owner"),
                                     .actor_address = WEIR_SPAN(""),
                                     .workspace = note->workspace,
                                     .action = weir_span_of_string(note->action),
                                     .resource_type = weir_span_of_string(note->resource_type),
                                     .resource_id = note->resource_id,
                                     .resource_name = note->resource_name,
                                     .changes = weir_buffer_span(&masked),
                                     .request = WEIR_SPAN(""),
                                     .reason = WEIR_SPAN(""),
                                     .message = WEIR_SPAN(""),
                                     .result = WEIR_AUDIT_SUCCESS};
    enum weir_status status = weir_buffer_status(&changes);
    if (status == WEIR_OK)
        status = weir_buffer_status(&masked);
    if (status != WEIR_OK)
        (void)weir_fail(error, status, "no memory for the audit trail");
    else
        status = weir_engine_sqlite.audit_append(engine, &entry, error);
    weir_buffer_release(&changes);
    weir_buffer_release(&masked);
    return status;
}
