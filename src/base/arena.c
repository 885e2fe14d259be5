/* An arena is a chain of blocks; the arena itself lies at the head of its first block, so that a small request costs
 * one malloc, and a recycled one none. Blocks double up to 256 KiB but never past what the cap still allows. An
 * allocation that is large beside the next block gets a block of its own behind the current one, so that the current
 * one's rest is not lost.
 *
 * The cap counts bytes as handed out, rounded up to 16. Under AddressSanitizer all that is not handed out is poisoned
 * and 16 poisoned bytes follow each allocation.
 */
#include "base/arena.h"

#include "base/arithmetic.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif

#ifdef ARENA_POISONS
#include <sanitizer/asan_interface.h>
enum { RED_ZONE_BYTES = 16 };
static void poison(void *at, size_t size) {
    __asan_poison_memory_region(at, size);
}
static void unpoison(void *at, size_t size) {
    __asan_unpoison_memory_region(at, size);
}
#else
enum { RED_ZONE_BYTES = 0 };
static void poison(void *at, size_t size) {
    (void)at;
    (void)size;
}
static void unpoison(void *at, size_t size) {
    (void)at;
    (void)size;
}
#endif

enum { ALIGNMENT = 16, DEFAULT_BLOCK_BYTES = 4096, LARGEST_BLOCK_BYTES = 256 * 1024 };

struct block {
    struct block *previous;
    size_t size; /* of bytes[] */
    size_t used;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

struct deferred {
    struct deferred *previous;
    void (*run)(void *);
    void *argument;
};

struct weir_arena {
    struct block *current; /* allocations come from here; all other blocks hang behind it by `previous` */
    struct block *first;
    struct deferred *deferred;
    size_t used_bytes;
    size_t max_bytes;
    size_t next_block_bytes;
    size_t first_start; /* where the first block begins after the arena itself */
};

/* The next multiple of 16; false where there is none. */
static bool round_up(size_t size, size_t *rounded) {
    if (!weir_add_size(size, ALIGNMENT - 1, rounded)) {
        return false;
    }
    *rounded &= ~(size_t)(ALIGNMENT - 1);
    return true;
}

static struct block *block_new(size_t size) {
    size_t bytes = 0;
    if (!weir_add_size(size, sizeof(struct block), &bytes)) {
        return NULL;
    }
    struct block *block = malloc(bytes);
    if (block == NULL) {
        return NULL;
    }
    block->previous = NULL;
    block->size = size;
    block->used = 0;
    poison(block->bytes, size);
    return block;
}

static void block_free(struct block *block) {
    unpoison(block->bytes, block->size);
    free(block);
}

/* `size` is a multiple of 16 and, with the red zone, fits. */
static void *block_take(struct block *block, size_t size) {
    void *memory = block->bytes + block->used;
    block->used += size + RED_ZONE_BYTES;
    return memory;
}

struct weir_arena *weir_arena_new(size_t first_block_bytes, size_t max_bytes) {
    size_t first_bytes = 0;
    size_t own_bytes = 0;
    size_t block_bytes = 0;
    if (!round_up(first_block_bytes != 0 ? first_block_bytes : DEFAULT_BLOCK_BYTES, &first_bytes) ||
        !round_up(sizeof(struct weir_arena), &own_bytes) || !weir_add_size(first_bytes, own_bytes, &block_bytes)) {
        return NULL;
    }
    struct block *block = block_new(block_bytes);
    if (block == NULL) {
        return NULL;
    }
    struct weir_arena *arena = (struct weir_arena *)(void *)block->bytes;
    unpoison(arena, sizeof(*arena));
    block->used = own_bytes;
    *arena = (struct weir_arena){
        .current = block,
        .first = block,
        .first_start = own_bytes,
        .next_block_bytes = first_bytes,
    };
    if (!round_up(max_bytes, &arena->max_bytes)) {
        arena->max_bytes = SIZE_MAX & ~(size_t)(ALIGNMENT - 1);
    }
    return arena;
}

static void run_deferred(struct weir_arena *arena) {
    while (arena->deferred != NULL) {
        struct deferred *deferred = arena->deferred;
        arena->deferred = deferred->previous;
        deferred->run(deferred->argument);
    }
}

static void free_blocks_behind_first(struct weir_arena *arena) {
    struct block *block = arena->current;
    while (block != NULL) {
        struct block *previous = block->previous;
        if (block != arena->first) {
            block_free(block);
        }
        block = previous;
    }
}

void weir_arena_wipe(struct weir_arena *arena) {
    run_deferred(arena); /* what is noted for them lies in the blocks */
    for (struct block *block = arena->current; block != NULL; block = block->previous) {
        size_t start = block == arena->first ? arena->first_start : 0;
        unpoison(block->bytes + start, block->used - start);
        weir_memory_wipe(block->bytes + start, block->used - start);
    }
}

void weir_arena_free(struct weir_arena **arena) {
    if (*arena == NULL) {
        return;
    }
    struct weir_arena *leaving = *arena;
    *arena = NULL;
    run_deferred(leaving);
    free_blocks_behind_first(leaving);
    block_free(leaving->first); /* the arena is inside */
}

void weir_arena_reset(struct weir_arena *arena) {
    run_deferred(arena);
    free_blocks_behind_first(arena);
    struct block *first = arena->first;
    poison(first->bytes + arena->first_start, first->size - arena->first_start);
    first->previous = NULL;
    first->used = arena->first_start;
    arena->current = first;
    arena->used_bytes = 0;
    arena->next_block_bytes = first->size - arena->first_start;
}

/* The slow path: memory for `size` bytes (a multiple of 16, within the cap) from a new block. */
static void *take_from_new_block(struct weir_arena *arena, size_t size) {
    size_t needed = 0;
    if (!weir_add_size(size, RED_ZONE_BYTES, &needed)) {
        return NULL;
    }
    size_t doubled = arena->next_block_bytes;
    doubled = doubled < LARGEST_BLOCK_BYTES / 2 ? doubled * 2 : LARGEST_BLOCK_BYTES;
    size_t left = arena->max_bytes - arena->used_bytes;
    size_t usual = doubled < left ? doubled : left;
    if (needed > usual / 4) {
        struct block *own = block_new(needed);
        if (own == NULL) {
            return NULL;
        }
        /* Behind the current block, which stays in use. The next block grows all the same, so that many equal
         * allocations of some size soon share blocks. */
        own->previous = arena->current->previous;
        arena->current->previous = own;
        arena->next_block_bytes = doubled;
        return block_take(own, size);
    }
    struct block *block = block_new(usual);
    if (block == NULL) {
        return NULL;
    }
    block->previous = arena->current;
    arena->current = block;
    arena->next_block_bytes = doubled;
    return block_take(block, size);
}

void *weir_arena_alloc_raw(struct weir_arena *arena, size_t size) {
    size_t rounded = 0;
    if (!round_up(size != 0 ? size : 1, &rounded) || rounded > arena->max_bytes - arena->used_bytes) {
        return NULL;
    }
    struct block *block = arena->current;
    size_t needed = 0;
    void *memory = NULL;
    if (weir_add_size(rounded, RED_ZONE_BYTES, &needed) && needed <= block->size - block->used) {
        memory = block_take(block, rounded);
    } else {
        memory = take_from_new_block(arena, rounded);
    }
    if (memory == NULL) {
        return NULL;
    }
    arena->used_bytes += rounded;
    unpoison(memory, size);
    return memory;
}

void *weir_arena_alloc(struct weir_arena *arena, size_t size) {
    void *memory = weir_arena_alloc_raw(arena, size);
    if (memory != NULL && size > 0) {
        memset(memory, 0, size);
    }
    return memory;
}

void *weir_arena_array(struct weir_arena *arena, size_t count, size_t size) {
    size_t bytes = 0;
    if (!weir_multiply_size(count, size, &bytes)) {
        return NULL;
    }
    return weir_arena_alloc(arena, bytes);
}

enum weir_status weir_arena_dup(struct weir_arena *arena, struct weir_span span, struct weir_span *copy) {
    char *bytes = weir_arena_alloc_raw(arena, span.length);
    if (bytes == NULL) {
        return WEIR_ENOMEM;
    }
    if (span.length > 0) {
        memcpy(bytes, span.at, span.length);
    }
    *copy = weir_span_of(bytes, span.length);
    return WEIR_OK;
}

char *weir_arena_string(struct weir_arena *arena, struct weir_span span) {
    size_t size = 0;
    if (!weir_add_size(span.length, 1, &size)) {
        return NULL;
    }
    char *text = weir_arena_alloc_raw(arena, size);
    if (text == NULL) {
        return NULL;
    }
    if (span.length > 0) {
        memcpy(text, span.at, span.length);
    }
    text[span.length] = '\0';
    return text;
}

char *weir_arena_format(struct weir_arena *arena, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    char *text = NULL;
    int length = vsnprintf(NULL, 0, format, arguments);
    if (length >= 0) {
        text = weir_arena_alloc_raw(arena, (size_t)length + 1);
    }
    if (text != NULL) {
        vsnprintf(text, (size_t)length + 1, format, again);
    }
    va_end(again);
    va_end(arguments);
    return text;
}

enum weir_status weir_arena_defer(struct weir_arena *arena, void (*run)(void *), void *argument) {
    struct deferred *deferred = weir_arena_alloc_raw(arena, sizeof(*deferred));
    if (deferred == NULL) {
        return WEIR_ENOMEM;
    }
    *deferred = (struct deferred){.previous = arena->deferred, .run = run, .argument = argument};
    arena->deferred = deferred;
    return WEIR_OK;
}

size_t weir_arena_used_bytes(const struct weir_arena *arena) {
    return arena->used_bytes;
}
