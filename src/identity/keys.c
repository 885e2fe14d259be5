/* A hash table that readers walk while its one writer changes it.
 *
 * A slot is one atomic pointer to a row. Rows are complete before they are published (release), never move and never go
 * away while the table lives, so a reader needs no lock and no count. When the slots grow too few, the writer fills a
 * larger array and publishes that; the old one waits in a list, stamped with the epoch of its replacement, until each
 * reader has reported a quiet point of that epoch or a later one. Old arrays together are smaller than the live one, so
 * a reader that reports rarely costs little.
 *
 * The hash is SHA-256 of a key: uniform already, so its first bytes are the place to look. A quarter to a half of the
 * slots are taken.
 */
#include "identity/keys.h"

#include "base/arithmetic.h"
#include "base/memory.h"

#include <stdatomic.h>

enum { FIRST_SLOTS = 64, CACHE_LINE_BYTES = 64 };

/* A row with what only the writer needs: the row that it replaced, which requests in flight may still hold. */
struct row {
    struct weir_key key;
    struct row *replaced;
    char texts[];
};

struct slots {
    size_t mask;           /* number of slots - 1 */
    uint64_t leaves_epoch; /* set when replaced */
    struct slots *next;    /* in the list of replaced ones */
    _Atomic(struct row *) at[];
};

/* Each on a cache line of its own: readers report often and must not disturb each other. */
struct reader {
    _Alignas(CACHE_LINE_BYTES) _Atomic uint64_t quiet_epoch;
};

struct weir_keys {
    _Atomic(struct slots *) slots;
    _Atomic uint64_t epoch;
    _Atomic size_t count;
    struct slots *replaced; /* the writer's */
    struct reader *readers;
    void *readers_memory; /* the block that `readers` is aligned within */
    unsigned reader_count;
};

static struct slots *slots_new(size_t count) {
    size_t array_bytes = 0;
    size_t bytes = 0;
    if (!weir_multiply_size(count, sizeof(_Atomic(struct row *)), &array_bytes) ||
        !weir_add_size(array_bytes, sizeof(struct slots), &bytes)) {
        return NULL;
    }
    struct slots *slots = weir_memory_new(1, bytes); /* zeroes are empty slots */
    if (slots != NULL) {
        slots->mask = count - 1;
    }
    return slots;
}

enum weir_status weir_keys_new(unsigned readers, struct weir_keys **keys) {
    struct weir_keys *made = weir_memory_new(1, sizeof(*made));
    if (made == NULL) {
        return WEIR_ENOMEM;
    }
    made->readers_memory = weir_memory_new((size_t)readers + 1, sizeof(struct reader));
    struct slots *slots = slots_new(FIRST_SLOTS);
    if (made->readers_memory == NULL || slots == NULL) {
        weir_memory_free(slots);
        weir_memory_free(made->readers_memory);
        weir_memory_free(made);
        return WEIR_ENOMEM;
    }
    uintptr_t place = (uintptr_t)made->readers_memory;
    size_t skip = (CACHE_LINE_BYTES - place % CACHE_LINE_BYTES) % CACHE_LINE_BYTES;
    made->readers = (struct reader *)(void *)((char *)made->readers_memory + skip);
    made->reader_count = readers;
    atomic_init(&made->slots, slots);
    *keys = made;
    return WEIR_OK;
}

static void row_free(struct row *row) {
    while (row != NULL) {
        struct row *replaced = row->replaced;
        weir_memory_free(row);
        row = replaced;
    }
}

void weir_keys_free(struct weir_keys **keys) {
    if (*keys == NULL) {
        return;
    }
    struct weir_keys *leaving = *keys;
    *keys = NULL;
    struct slots *slots = atomic_load_explicit(&leaving->slots, memory_order_relaxed);
    for (size_t i = 0; i <= slots->mask; i++) {
        row_free(atomic_load_explicit(&slots->at[i], memory_order_relaxed));
    }
    weir_memory_free(slots);
    while (leaving->replaced != NULL) {
        struct slots *next = leaving->replaced->next;
        weir_memory_free(leaving->replaced);
        leaving->replaced = next;
    }
    weir_memory_free(leaving->readers_memory);
    weir_memory_free(leaving);
}

static size_t place_of(const unsigned char hash[WEIR_KEY_HASH_SIZE]) {
    size_t place = 0;
    memcpy(&place, hash, sizeof(place));
    return place;
}

/* Where the key is or would go. `row`: what is there, NULL when nothing. */
static size_t find_slot(const struct slots *slots, const unsigned char hash[WEIR_KEY_HASH_SIZE], struct row **row) {
    size_t index = place_of(hash) & slots->mask;
    for (;;) {
        *row = atomic_load_explicit(&slots->at[index], memory_order_acquire);
        if (*row == NULL || weir_memory_equal_constant_time((*row)->key.hash, hash, WEIR_KEY_HASH_SIZE)) {
            return index;
        }
        index = (index + 1) & slots->mask;
    }
}

const struct weir_key *weir_keys_find(const struct weir_keys *keys, const unsigned char hash[WEIR_KEY_HASH_SIZE]) {
    struct row *row = NULL;
    (void)find_slot(atomic_load_explicit(&keys->slots, memory_order_acquire), hash, &row);
    return row != NULL ? &row->key : NULL;
}

static struct row *row_new(const struct weir_key_record *record) {
    size_t text_bytes = 0;
    size_t bytes = 0;
    if (!weir_add_size(record->name.length, record->workspace.length, &text_bytes) ||
        !weir_add_size(text_bytes, sizeof(struct row), &bytes)) {
        return NULL;
    }
    struct row *row = weir_memory_new(1, bytes);
    if (row == NULL) {
        return NULL;
    }
    memcpy(row->key.hash, record->hash, sizeof(row->key.hash));
    memcpy(row->key.id, record->id, sizeof(row->key.id) - 1);
    if (record->name.length > 0) {
        memcpy(row->texts, record->name.at, record->name.length);
    }
    if (record->workspace.length > 0) {
        memcpy(row->texts + record->name.length, record->workspace.at, record->workspace.length);
    }
    row->key.name = weir_span_of(row->texts, record->name.length);
    row->key.workspace = weir_span_of(row->texts + record->name.length, record->workspace.length);
    row->key.expires_utc_us = record->expires_utc_us;
    atomic_init(&row->key.revoked, record->revoked_utc_us != 0);
    return row;
}

static bool says_the_same(const struct weir_key *key, const struct weir_key_record *record) {
    return strncmp(key->id, record->id, sizeof(key->id) - 1) == 0 && weir_span_equal(key->name, record->name) &&
           weir_span_equal(key->workspace, record->workspace) && key->expires_utc_us == record->expires_utc_us;
}

/* Twice the slots, published; the old ones wait. */
static struct slots *grow(struct weir_keys *keys, struct slots *old) {
    size_t count = 0;
    struct slots *grown = weir_multiply_size(old->mask + 1, 2, &count) ? slots_new(count) : NULL;
    if (grown == NULL) {
        return NULL;
    }
    for (size_t i = 0; i <= old->mask; i++) {
        struct row *row = atomic_load_explicit(&old->at[i], memory_order_relaxed);
        if (row == NULL) {
            continue;
        }
        size_t index = place_of(row->key.hash) & grown->mask;
        while (atomic_load_explicit(&grown->at[index], memory_order_relaxed) != NULL) {
            index = (index + 1) & grown->mask;
        }
        atomic_store_explicit(&grown->at[index], row, memory_order_relaxed);
    }
    atomic_store_explicit(&keys->slots, grown, memory_order_release);
    /* Behind the publication: who reads this epoch sees the new slots. */
    old->leaves_epoch = atomic_fetch_add_explicit(&keys->epoch, 1, memory_order_release) + 1;
    old->next = keys->replaced;
    keys->replaced = old;
    return grown;
}

static enum weir_status add(struct weir_keys *keys, struct slots *slots, const struct weir_key_record *record) {
    size_t count = atomic_load_explicit(&keys->count, memory_order_relaxed) + 1;
    struct row *row = row_new(record);
    if (row == NULL) {
        return WEIR_ENOMEM;
    }
    if (count > (slots->mask + 1) / 2) {
        slots = grow(keys, slots);
        if (slots == NULL) {
            row_free(row);
            return WEIR_ENOMEM;
        }
        weir_keys_collect(keys);
    }
    struct row *none = NULL;
    size_t index = find_slot(slots, record->hash, &none);
    atomic_store_explicit(&slots->at[index], row, memory_order_release);
    atomic_store_explicit(&keys->count, count, memory_order_relaxed);
    return WEIR_OK;
}

enum weir_status weir_keys_apply(struct weir_keys *keys, const struct weir_key_record *record) {
    struct slots *slots = atomic_load_explicit(&keys->slots, memory_order_relaxed);
    struct row *known = NULL;
    size_t index = find_slot(slots, record->hash, &known);
    if (known == NULL) {
        return add(keys, slots, record);
    }
    if (!says_the_same(&known->key, record)) {
        struct row *row = row_new(record);
        if (row == NULL) {
            return WEIR_ENOMEM;
        }
        row->replaced = known;
        atomic_store_explicit(&slots->at[index], row, memory_order_release);
    }
    /* Also in the rows that requests in flight got before a change. */
    for (struct row *row = known; row != NULL; row = row->replaced) {
        atomic_store_explicit(&row->key.revoked, record->revoked_utc_us != 0, memory_order_release);
    }
    return WEIR_OK;
}

/* The newest epoch that every reader has reported. */
static uint64_t oldest_quiet_epoch(const struct weir_keys *keys) {
    uint64_t oldest = UINT64_MAX;
    for (unsigned i = 0; i < keys->reader_count; i++) {
        uint64_t epoch = atomic_load_explicit(&keys->readers[i].quiet_epoch, memory_order_acquire);
        oldest = epoch < oldest ? epoch : oldest;
    }
    return oldest;
}

void weir_keys_collect(struct weir_keys *keys) {
    if (keys->replaced == NULL) {
        return;
    }
    uint64_t quiet = oldest_quiet_epoch(keys);
    struct slots **link = &keys->replaced;
    while (*link != NULL) {
        struct slots *slots = *link;
        if (slots->leaves_epoch <= quiet) {
            *link = slots->next;
            weir_memory_free(slots);
        } else {
            link = &slots->next;
        }
    }
}

void weir_keys_quiet(struct weir_keys *keys, unsigned reader) {
    weir_bug_on(reader >= keys->reader_count);
    _Atomic uint64_t *quiet_epoch = &keys->readers[reader].quiet_epoch;
    uint64_t epoch = atomic_load_explicit(&keys->epoch, memory_order_acquire);
    /* The epoch seldom moves: then nothing is written, once a loop turn. */
    if (atomic_load_explicit(quiet_epoch, memory_order_relaxed) != epoch) {
        atomic_store_explicit(quiet_epoch, epoch, memory_order_release);
    }
}

size_t weir_keys_count(const struct weir_keys *keys) {
    return atomic_load_explicit(&keys->count, memory_order_relaxed);
}
