/* A hash table from bytes to pointers. Keys are borrowed: they must live as long as the entry. Keyed hash (SipHash-1-3)
 * with a random seed, so that a peer cannot choose collisions. One thread. */
#ifndef WEIR_BASE_MAP_H
#define WEIR_BASE_MAP_H

#include "base/span.h"

struct weir_map;

/* NULL when there is no memory. Room for `expected` entries is made at once. */
struct weir_map *weir_map_new(size_t expected);
void weir_map_free(struct weir_map **map);
/* Adds or replaces. The replaced value, if any, goes to *old (which may be NULL). WEIR_ENOMEM. */
WEIR_MUST enum weir_status weir_map_put(struct weir_map *map, struct weir_span key, void *value, void **old);
/* NULL: no such thing. */
void *weir_map_find(const struct weir_map *map, struct weir_span key);
/* Removes and returns the value, or NULL. */
void *weir_map_remove(struct weir_map *map, struct weir_span key);
size_t weir_map_count(const struct weir_map *map);
/* Iterates in no particular order: *cursor starts at 0; false at the end. No changes meanwhile. */
bool weir_map_next(const struct weir_map *map, size_t *cursor, struct weir_span *key, void **value);

/* SipHash-1-3 of `span` under a 16-byte key. */
uint64_t weir_siphash(const unsigned char key[16], struct weir_span span);

#endif
