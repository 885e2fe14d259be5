/* The only door to the heap outside of arenas and buffers. `_new` functions of long-lived objects use it. */
#ifndef WEIR_BASE_MEMORY_H
#define WEIR_BASE_MEMORY_H

#include "base/span.h"

/* Zeroed; NULL when there is no memory or count * size overflows. */
void *weir_memory_new(size_t count, size_t size);
/* realloc with the product checked; the old block stays valid on NULL. New bytes are not zeroed. */
void *weir_memory_resize(void *memory, size_t count, size_t size);
void weir_memory_free(void *memory);
/* A heap copy as a C string; NULL when there is no memory. Free with weir_memory_free. */
char *weir_memory_string(struct weir_span span);
/* Overwrites with zeroes in a way that the compiler cannot leave out. */
void weir_memory_wipe(void *memory, size_t size);
/* Equal, in time that depends on `size` alone. */
bool weir_memory_equal_constant_time(const void *a, const void *b, size_t size);

#endif
