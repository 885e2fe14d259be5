/* The heap with checked products, and the two operations that a compiler must not improve: wiping and comparing
 * secrets. */
#include "base/memory.h"

#include "base/arithmetic.h"

#include <stdlib.h>

void *weir_memory_new(size_t count, size_t size) {
    size_t bytes = 0;
    if (!weir_multiply_size(count, size, &bytes)) {
        return NULL;
    }
    /* calloc(0) may be NULL, which callers read as "no memory". */
    return calloc(1, bytes != 0 ? bytes : 1);
}

void *weir_memory_resize(void *memory, size_t count, size_t size) {
    size_t bytes = 0;
    if (!weir_multiply_size(count, size, &bytes)) {
        return NULL;
    }
    return realloc(memory, bytes != 0 ? bytes : 1);
}

void weir_memory_free(void *memory) {
    free(memory);
}

char *weir_memory_string(struct weir_span span) {
    size_t size = 0;
    if (!weir_add_size(span.length, 1, &size)) {
        return NULL;
    }
    char *text = malloc(size);
    if (text == NULL) {
        return NULL;
    }
    if (span.length > 0) {
        memcpy(text, span.at, span.length);
    }
    text[span.length] = '\0';
    return text;
}

void weir_memory_wipe(void *memory, size_t size) {
    if (size > 0) {
        explicit_bzero(memory, size);
    }
}

bool weir_memory_equal_constant_time(const void *a, const void *b, size_t size) {
    /* volatile reads: otherwise the loop may legally end at the first difference. */
    const volatile unsigned char *left = a;
    const volatile unsigned char *right = b;
    unsigned difference = 0;
    for (size_t i = 0; i < size; i++) {
        difference |= (unsigned)(left[i] ^ right[i]);
    }
    return difference == 0;
}
