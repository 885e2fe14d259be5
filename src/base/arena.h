/* Memory with one lifetime and one cap: one arena a request, one a connection.
 *
 * What a peer can make us hold is allocated here. Past the cap the allocation is NULL and that request fails; the
 * process lives. Memory comes zeroed and aligned to 16 bytes. Nothing is freed singly. Not thread-safe: an arena
 * belongs to one thread. Under AddressSanitizer the unused bytes are poisoned.
 */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include "base/span.h"

struct weir_arena;

/* A new arena that will hand out at most `max_bytes`. NULL when there is no memory. The first block is
 * `first_block_bytes` large (0: the default of 4 KiB) and survives weir_arena_reset. */
struct weir_arena *weir_arena_new(size_t first_block_bytes, size_t max_bytes);
/* Runs the deferred calls in reverse order, frees all, sets *arena to NULL. *arena may be NULL. */
void weir_arena_free(struct weir_arena **arena);
/* Runs the deferred calls and overwrites all that was handed out, which may hold secrets; then it is freed or reset. */
void weir_arena_wipe(struct weir_arena *arena);
/* Runs the deferred calls and makes the memory available again; keeps the first block. */
void weir_arena_reset(struct weir_arena *arena);
/* Zeroed memory of `size` bytes (0 gives a valid pointer), or NULL past the cap. */
void *weir_arena_alloc(struct weir_arena *arena, size_t size);
/* As weir_arena_alloc but not zeroed. */
void *weir_arena_alloc_raw(struct weir_arena *arena, size_t size);
/* `count` elements of `size` bytes with the product checked, or NULL. */
void *weir_arena_array(struct weir_arena *arena, size_t count, size_t size);
/* A copy that the arena owns. WEIR_ENOMEM past the cap. */
WEIR_MUST enum weir_status weir_arena_dup(struct weir_arena *arena, struct weir_span span, struct weir_span *copy);
/* The same as a C string; NULL past the cap. */
char *weir_arena_string(struct weir_arena *arena, struct weir_span span);
/* printf into the arena; NULL past the cap. */
char *weir_arena_format(struct weir_arena *arena, const char *format, ...) WEIR_PRINTF(2, 3);
/* Calls run(argument) when the arena is reset or freed, in reverse order of registration. */
WEIR_MUST enum weir_status weir_arena_defer(struct weir_arena *arena, void (*run)(void *), void *argument);
/* Bytes handed out since the last reset. */
size_t weir_arena_used_bytes(const struct weir_arena *arena);

#endif
