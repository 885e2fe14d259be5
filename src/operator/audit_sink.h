/* Where entries of the audit trail go besides the store: a file, this machine's syslog, a receiver on the network.
 *
 * Used by one thread, which may wait for it (operator/trail.c). A sink opens itself when it is first written to, and again after a failure. It keeps
 * nothing: who writes to it remembers what has arrived and writes the rest again.
 */
#ifndef WEIR_OPERATOR_AUDIT_SINK_H
#define WEIR_OPERATOR_AUDIT_SINK_H

#include "base/buffer.h"
#include "store/audit.h"

struct weir_audit_sink;

/* `setting` is `file:PATH` (JSON lines), `syslog:` (RFC 5424 to /dev/log; `syslog:PATH` to another socket), `udp://HOST:PORT` or
 * `tcp://HOST:PORT` (RFC 5424; tcp with octet counting, RFC 6587). `wake_fd` (-1: none) ends every waiting when it becomes readable. WEIR_EINVAL with
 * words on what is wrong with the setting; nothing is opened yet. */
WEIR_MUST enum weir_status weir_audit_sink_new(struct weir_span setting, int wake_fd, struct weir_audit_sink **sink,
                                               struct weir_error *error);
void weir_audit_sink_free(struct weir_audit_sink **sink);

/* Writes entries in order; each is borrowed for the call. A failure of one is remembered: later ones do nothing until weir_audit_sink_finish. */
void weir_audit_sink_write(struct weir_audit_sink *sink, const struct weir_audit_entry *entry);
/* WEIR_OK: what was written since the last call has left this process's care: it is on the disk, or the receiver's system has it (tcp), or was
 * sent (udp, syslog). Else none of it counts as arrived, and the sink is closed. */
WEIR_MUST enum weir_status weir_audit_sink_finish(struct weir_audit_sink *sink, struct weir_error *error);
/* The next write opens it anew: a file may have been moved away. */
void weir_audit_sink_reopen(struct weir_audit_sink *sink);

#endif
