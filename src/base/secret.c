/* Each secret has memory pages of its own: MADV_DONTDUMP works on pages, and a neighbour on the heap would be kept
 * out of core dumps with it or, worse, drag the secret in. There are few secrets, so a page for each is cheap. */
#include "base/secret.h"

#include "base/arithmetic.h"
#include "base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

struct weir_secret {
    size_t mapped_bytes;
    size_t length;
    char bytes[];
};

struct weir_secret *weir_secret_new(struct weir_span bytes) {
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t mapped_bytes = 0;
    if (!weir_add_size(bytes.length, sizeof(struct weir_secret) + page_bytes - 1, &mapped_bytes)) {
        return NULL;
    }
    mapped_bytes -= mapped_bytes % page_bytes;
    void *memory = mmap(NULL, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    /* Best effort: a kernel without it still wipes on release. */
    (void)madvise(memory, mapped_bytes, MADV_DONTDUMP);
    struct weir_secret *secret = memory;
    secret->mapped_bytes = mapped_bytes;
    secret->length = bytes.length;
    if (bytes.length > 0) {
        memcpy(secret->bytes, bytes.at, bytes.length);
    }
    return secret;
}

void weir_secret_free(struct weir_secret **secret) {
    if (*secret == NULL) {
        return;
    }
    size_t mapped_bytes = (*secret)->mapped_bytes;
    weir_memory_wipe(*secret, mapped_bytes);
    munmap(*secret, mapped_bytes);
    *secret = NULL;
}

struct weir_span weir_secret_reveal(const struct weir_secret *secret) {
    return secret != NULL ? weir_span_of(secret->bytes, secret->length) : weir_span_of("", 0);
}

/* A printable byte, so that the mask can stand in any log or terminal. */
static char shown(char byte) {
    return byte > ' ' && byte <= '~' ? byte : '?';
}

void weir_secret_mask(struct weir_span bytes, char out[WEIR_SECRET_MASK_SIZE]) {
    enum { SHOWN = 4, SHORTEST = 12 };
    if (bytes.length < SHORTEST) {
        memcpy(out, "***", sizeof("***"));
        return;
    }
    static const char ellipsis[] = "\xE2\x80\xA6";
    for (size_t i = 0; i < SHOWN; i++) {
        out[i] = shown(bytes.at[i]);
        out[SHOWN + 3 + i] = shown(bytes.at[bytes.length - SHOWN + i]);
    }
    memcpy(out + SHOWN, ellipsis, 3);
    out[2 * SHOWN + 3] = '\0';
}
