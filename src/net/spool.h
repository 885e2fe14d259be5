/* A body that is too large to hold: its beginning in memory, the rest in a file without a name once that is full.
 *
 * Used for forms, whose model may stand behind a file of hundreds of megabytes, and which have to be sent again when a
 * provider fails. Writing and reading go through the page cache on the loop's thread, in pieces of the loop's read
 * buffer.
 */
#ifndef WEIR_NET_SPOOL_H
#define WEIR_NET_SPOOL_H

#include "base/status.h"
#include "base/span.h"

#include <stdint.h>

struct weir_spool;

/* `directory` exists and is writable; the file in it has no name (O_TMPFILE, or created and unlinked at once), mode
 * 0600, and is gone with the process. `memory_bytes` stay in memory; `max_bytes` in all. NULL: no memory. `directory`
 * is copied, and looked at when the first byte goes to disk. */
struct weir_spool *weir_spool_new(const char *directory, size_t memory_bytes, uint64_t max_bytes);
/* Frees the memory and the file; NULL is fine. */
void weir_spool_free(struct weir_spool **spool);
/* WEIR_ELIMIT: past max_bytes, and nothing of `data` is taken. WEIR_EFULL: the disk, a quota or the process's file size
 * limit is reached (who sets one ignores SIGXFSZ); WEIR_EIO: the file cannot be made or written; WEIR_ENOMEM. After a
 * failure nothing more is taken, and each call returns the same. */
WEIR_MUST enum weir_status weir_spool_append(struct weir_spool *spool, struct weir_span data);
uint64_t weir_spool_length(const struct weir_spool *spool);
/* Gives up to `size` bytes from `offset`, fewer where memory ends and the file begins: a view of what is in memory,
 * which lives until the next append, or read into `buffer`. *data is empty at the end alone (for size > 0). WEIR_EIO. */
WEIR_MUST enum weir_status weir_spool_read(struct weir_spool *spool, uint64_t offset, char *buffer, size_t size,
                                           struct weir_span *data);
bool weir_spool_is_on_disk(const struct weir_spool *spool);

#endif
