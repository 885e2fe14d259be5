/* A hash table that readers walk while its one writer changes it.
 *
 * A slot is one atomic pointer to a row. Rows are complete before they are published (release) and never move, so a reader needs no lock and no
 * count. What is replaced (a row by a changed one, the slots by a larger array) waits in a queue, stamped with the epoch of its replacement,
 * until every reader has said that it holds nothing of an older epoch. So a writer that changes keys for ever takes no more memory than the changes
 * of one request's life.
 *
 * Rows are of one size and come from blocks; what varies in length is shared by many (keys_shared.c) or rare. The hash is SHA-256 of a key:
 * uniform already, so its first bytes are the place to look. A quarter to a half of the slots are taken.
 */
#include "identity/keys_impl.h"

#include "base/arithmetic.h"
#include "base/memory.h"

enum { FIRST_SLOTS = 64, CACHE_LINE_BYTES = 64, FIRST_BLOCK_ROWS = 32, BLOCK_ROWS = 2048 };

/* A row with what only the writer needs: the row that it replaced, which requests in flight may still hold; of a free row, the next free one. */
struct row {
    _Alignas(CACHE_LINE_BYTES) struct weir_key key;
    struct row *behind;
};
_Static_assert(sizeof(struct row) == 2 * CACHE_LINE_BYTES,
               "a key is two cache lines: what a look-up compares is in one");

/* Rows, behind each other; freed with the table. */
struct block {
    struct block *next;
    struct row *rows; /* aligned, within the same memory */
    size_t count, taken;
};

struct slots {
    size_t mask;           /* number of slots - 1 */
    uint64_t leaves_epoch; /* set when replaced */
    struct slots *next;    /* in the list of replaced ones */
    _Atomic(struct row *) at[];
};

/* A replaced row, in the order of replacement. */
struct retired {
    struct retired *next;
    struct row *row;
    uint64_t leaves_epoch;
};

/* Each on a cache line of its own: readers report often and must not disturb each other. */
struct reader {
    _Alignas(CACHE_LINE_BYTES) _Atomic uint64_t quiet_epoch;
};

struct weir_keys {
    _Atomic(struct slots *) slots;
    _Atomic uint64_t epoch;
    _Atomic size_t count;
    struct reader *readers;
    void *readers_memory; /* the block that `readers` is aligned within */
    unsigned reader_count;
    /* the writer's */
    struct slots *replaced;
    struct retired *retired, **retired_end;
    struct block *blocks;
    struct row *free_rows;
    struct identity__shared shared;
    size_t bytes;
    bool ending;
    const struct slots *surveyed; /* of the walk that is under way */
    size_t survey_at;
    struct weir_keys_survey survey;
};

/* --- memory --- */

/* `count` things of `size` bytes that begin on a cache line, in *memory, which is what is freed. */
static void *lines_new(size_t count, size_t size, size_t before, void **memory, size_t *bytes) {
    size_t array_bytes = 0;
    if (!weir_multiply_size(count, size, &array_bytes) || !weir_add_size(array_bytes, before + CACHE_LINE_BYTES, bytes))
        return NULL;
    *memory = weir_memory_new(1, *bytes);
    if (*memory == NULL)
        return NULL;
    uintptr_t place = (uintptr_t)*memory + before;
    return (char *)*memory + before + (CACHE_LINE_BYTES - place % CACHE_LINE_BYTES) % CACHE_LINE_BYTES;
}

static struct row *row_take(struct weir_keys *keys) {
    struct row *row = keys->free_rows;
    if (row != NULL) {
        keys->free_rows = row->behind;
        row->behind = NULL;
        return row;
    }
    struct block *block = keys->blocks;
    if (block == NULL || block->taken == block->count) {
        void *memory = NULL;
        size_t bytes = 0, count = block == NULL ? FIRST_BLOCK_ROWS : BLOCK_ROWS;
        void *rows = lines_new(count, sizeof(struct row), sizeof *block, &memory, &bytes);
        if (rows == NULL)
            return NULL;
        block = memory;
        *block = (struct block){.next = keys->blocks, .rows = rows, .count = count};
        keys->blocks = block;
        keys->bytes += bytes;
    }
    return &block->rows[block->taken++];
}

/* Nobody reads it any more. */
static void row_give_back(struct weir_keys *keys, struct row *row) {
    if (row->key.shared != NULL)
        identity__workspace_unref(&keys->shared, row->key.shared);
    identity__rules_unref(&keys->shared, row->key.rules);
    identity__owner_free(&keys->shared, row->key.owner);
    memset(row, 0, sizeof *row);
    row->behind = keys->free_rows;
    keys->free_rows = row;
}

static struct slots *slots_new(struct weir_keys *keys, size_t count) {
    size_t array_bytes = 0;
    size_t bytes = 0;
    if (!weir_multiply_size(count, sizeof(_Atomic(struct row *)), &array_bytes) ||
        !weir_add_size(array_bytes, sizeof(struct slots), &bytes)) {
        return NULL;
    }
    struct slots *slots = weir_memory_new(1, bytes); /* zeroes are empty slots */
    if (slots != NULL) {
        slots->mask = count - 1;
        keys->bytes += bytes;
    }
    return slots;
}

static void slots_free(struct weir_keys *keys, struct slots *slots) {
    keys->bytes -= sizeof(struct slots) + (slots->mask + 1) * sizeof(_Atomic(struct row *));
    weir_memory_free(slots);
}

/* --- life --- */

enum weir_status weir_keys_new(unsigned readers, struct weir_keys **keys) {
    struct weir_keys *made = weir_memory_new(1, sizeof(*made));
    if (made == NULL) {
        return WEIR_ENOMEM;
    }
    size_t bytes = 0;
    made->retired_end = &made->retired;
    made->bytes = sizeof *made;
    made->reader_count = readers;
    made->readers = lines_new((size_t)readers + 1, sizeof(struct reader), 0, &made->readers_memory, &bytes);
    made->bytes += bytes;
    struct slots *slots = slots_new(made, FIRST_SLOTS);
    atomic_init(&made->slots, slots);
    if (made->readers == NULL || slots == NULL || identity__shared_init(&made->shared) != WEIR_OK) {
        weir_keys_free(&made);
        return WEIR_ENOMEM;
    }
    *keys = made;
    return WEIR_OK;
}

static void free_rows_of(struct weir_keys *keys, struct slots *slots) {
    for (size_t i = 0; i <= slots->mask; i++) {
        for (struct row *row = atomic_load_explicit(&slots->at[i], memory_order_relaxed); row != NULL;) {
            struct row *behind = row->behind;
            row_give_back(keys, row);
            row = behind;
        }
    }
}

void weir_keys_free(struct weir_keys **keys) {
    if (*keys == NULL) {
        return;
    }
    struct weir_keys *leaving = *keys;
    *keys = NULL;
    struct slots *slots = atomic_load_explicit(&leaving->slots, memory_order_relaxed);
    if (slots != NULL) {
        free_rows_of(leaving, slots);
        slots_free(leaving, slots);
    }
    while (leaving->replaced != NULL) {
        struct slots *next = leaving->replaced->next;
        slots_free(leaving, leaving->replaced);
        leaving->replaced = next;
    }
    while (leaving->retired != NULL) {
        struct retired *next = leaving->retired->next;
        weir_memory_free(leaving->retired);
        leaving->retired = next;
    }
    while (leaving->blocks != NULL) {
        struct block *next = leaving->blocks->next;
        weir_memory_free(leaving->blocks);
        leaving->blocks = next;
    }
    identity__shared_release(&leaving->shared);
    weir_memory_free(leaving->readers_memory);
    weir_memory_free(leaving);
}

/* --- looking up --- */

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

/* --- changing --- */

static enum weir_status row_new(struct weir_keys *keys, const struct weir_key_record *record, struct row **made) {
    struct row *row = row_take(keys);
    if (row == NULL) {
        return WEIR_ENOMEM;
    }
    struct weir_key *key = &row->key;
    memcpy(key->hash, record->hash, sizeof(key->hash));
    memcpy(key->id, record->id, sizeof(key->id) - 1);
    key->created_utc_us = record->created_utc_us;
    key->expires_utc_us = record->expires_utc_us;
    key->rotated = record->replaced_by.length > 0;
    atomic_init(&key->revoked, record->revoked_utc_us != 0);
    atomic_init(&key->end_streams, record->end_streams);
    key->shared = identity__workspace_ref(&keys->shared, record->workspace);
    if (record->rules.length > 0)
        key->rules = identity__rules_ref(&keys->shared, record->rules);
    if (key->shared == NULL || (record->rules.length > 0 && key->rules == NULL) ||
        identity__owner_new(&keys->shared, record, &key->owner) != WEIR_OK) {
        row_give_back(keys, row);
        return WEIR_ENOMEM;
    }
    key->workspace = key->shared->id;
    *made = row;
    return WEIR_OK;
}

static bool is_owned_the_same(const struct weir_key_owner *owner, const struct weir_key_record *record) {
    const struct weir_span none = {.at = "", .length = 0};
    return weir_span_equal(owner != NULL ? owner->team : none, record->team) &&
           weir_span_equal(owner != NULL ? owner->user : none, record->user) &&
           weir_span_equal(owner != NULL ? owner->family : none, record->family);
}

static bool says_the_same(const struct weir_key *key, const struct weir_key_record *record) {
    return strncmp(key->id, record->id, sizeof(key->id) - 1) == 0 &&
           weir_span_equal(key->workspace, record->workspace) && key->created_utc_us == record->created_utc_us &&
           key->expires_utc_us == record->expires_utc_us && key->rotated == (record->replaced_by.length > 0) &&
           weir_span_equal(identity__rules_text(key->rules), record->rules) && is_owned_the_same(key->owner, record);
}

/* Twice the slots, published; the old ones wait. */
static struct slots *grow(struct weir_keys *keys, struct slots *old) {
    size_t count = 0;
    struct slots *grown = weir_multiply_size(old->mask + 1, 2, &count) ? slots_new(keys, count) : NULL;
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

static enum weir_status add(struct weir_keys *keys, struct slots *slots, const struct weir_key_record *record,
                            struct row **added) {
    size_t count = atomic_load_explicit(&keys->count, memory_order_relaxed) + 1;
    struct row *row = NULL;
    if (row_new(keys, record, &row) != WEIR_OK) {
        return WEIR_ENOMEM;
    }
    if (count > (slots->mask + 1) / 2) {
        slots = grow(keys, slots);
        if (slots == NULL) {
            row_give_back(keys, row);
            return WEIR_ENOMEM;
        }
        weir_keys_collect(keys);
    }
    struct row *none = NULL;
    size_t index = find_slot(slots, record->hash, &none);
    atomic_store_explicit(&slots->at[index], row, memory_order_release);
    atomic_store_explicit(&keys->count, count, memory_order_relaxed);
    *added = row;
    return WEIR_OK;
}

/* A new row in the place of a known one, which waits for who holds it. */
static enum weir_status replace(struct weir_keys *keys, _Atomic(struct row *) *slot,
                                const struct weir_key_record *record, struct row **replacing) {
    struct row *known = atomic_load_explicit(slot, memory_order_relaxed), *row = NULL;
    struct retired *retired = weir_memory_new(1, sizeof *retired);
    if (retired == NULL || row_new(keys, record, &row) != WEIR_OK) {
        weir_memory_free(retired);
        return WEIR_ENOMEM;
    }
    row->behind = known;
    atomic_store_explicit(slot, row, memory_order_release);
    retired->row = known;
    retired->leaves_epoch = atomic_fetch_add_explicit(&keys->epoch, 1, memory_order_release) + 1;
    *keys->retired_end = retired;
    keys->retired_end = &retired->next;
    keys->bytes += sizeof *retired;
    *replacing = row;
    return WEIR_OK;
}

/* Also in the rows that requests in flight got before a change. True when answers in flight are to end that were not before. */
static bool mark(struct row *row, const struct weir_key_record *record) {
    bool revoked = record->revoked_utc_us != 0, ending = false;
    for (; row != NULL; row = row->behind) {
        bool was_ending = row->key.revoked && row->key.end_streams;
        atomic_store_explicit(&row->key.end_streams, record->end_streams, memory_order_release);
        atomic_store_explicit(&row->key.revoked, revoked, memory_order_release);
        ending = ending || (revoked && record->end_streams && !was_ending);
    }
    return ending;
}

enum weir_status weir_keys_apply(struct weir_keys *keys, const struct weir_key_record *record,
                                 struct weir_error *error) {
    struct slots *slots = atomic_load_explicit(&keys->slots, memory_order_relaxed);
    struct row *known = NULL;
    size_t index = find_slot(slots, record->hash, &known);
    if (known == NULL) {
        if (add(keys, slots, record, &known) != WEIR_OK)
            return weir_fail(error, WEIR_ENOMEM, "no memory for a key");
    } else {
        bool changes = !says_the_same(&known->key, record);
        if (mark(known, record))
            keys->ending = true;
        if (changes && replace(keys, &slots->at[index], record, &known) != WEIR_OK)
            return weir_fail(error, WEIR_ENOMEM, "no memory for a changed key");
    }
    return identity__rules_status(known->key.rules, error);
}

bool weir_keys_take_ending(struct weir_keys *keys) {
    bool ending = keys->ending;
    keys->ending = false;
    return ending;
}

enum weir_status weir_keys_set_workspace(struct weir_keys *keys, struct weir_span id, bool suspended,
                                         unsigned capture) {
    return identity__workspace_set(&keys->shared, id, suspended, capture);
}

/* --- letting go --- */

/* The oldest epoch that a reader may still hold something of. */
static uint64_t oldest_quiet_epoch(const struct weir_keys *keys) {
    uint64_t oldest = UINT64_MAX;
    for (unsigned i = 0; i < keys->reader_count; i++) {
        uint64_t epoch = atomic_load_explicit(&keys->readers[i].quiet_epoch, memory_order_acquire);
        oldest = epoch < oldest ? epoch : oldest;
    }
    return oldest;
}

/* It stands behind the row that replaced it, and before nothing: what it replaced itself has left before it. */
static void unlink_row(struct weir_keys *keys, const struct row *row) {
    struct row *newer = NULL;
    (void)find_slot(atomic_load_explicit(&keys->slots, memory_order_relaxed), row->key.hash, &newer);
    while (newer != NULL && newer->behind != row) {
        newer = newer->behind;
    }
    weir_bug_on(newer == NULL);
    newer->behind = NULL;
}

void weir_keys_collect(struct weir_keys *keys) {
    if (keys->replaced == NULL && keys->retired == NULL) {
        return;
    }
    uint64_t quiet = oldest_quiet_epoch(keys);
    struct slots **link = &keys->replaced;
    while (*link != NULL) {
        struct slots *slots = *link;
        if (slots->leaves_epoch <= quiet) {
            *link = slots->next;
            slots_free(keys, slots);
        } else {
            link = &slots->next;
        }
    }
    while (keys->retired != NULL && keys->retired->leaves_epoch <= quiet) {
        struct retired *retired = keys->retired;
        keys->retired = retired->next;
        unlink_row(keys, retired->row);
        row_give_back(keys, retired->row);
        weir_memory_free(retired);
        keys->bytes -= sizeof *retired;
    }
    if (keys->retired == NULL) {
        keys->retired_end = &keys->retired;
    }
}

uint64_t weir_keys_epoch(const struct weir_keys *keys) {
    return atomic_load_explicit(&keys->epoch, memory_order_acquire);
}

void weir_keys_quiet(struct weir_keys *keys, unsigned reader, uint64_t epoch) {
    weir_bug_on(reader >= keys->reader_count);
    _Atomic uint64_t *quiet_epoch = &keys->readers[reader].quiet_epoch;
    /* The epoch seldom moves: then nothing is written. */
    if (atomic_load_explicit(quiet_epoch, memory_order_relaxed) != epoch) {
        atomic_store_explicit(quiet_epoch, epoch, memory_order_release);
    }
}

/* --- what is there --- */

size_t weir_keys_count(const struct weir_keys *keys) {
    return atomic_load_explicit(&keys->count, memory_order_relaxed);
}

size_t weir_keys_bytes(const struct weir_keys *keys) {
    return keys->bytes + keys->shared.bytes;
}

static void survey_key(struct weir_keys_survey *survey, const struct weir_key *key, int64_t now_utc_us,
                       int64_t due_before_utc_us) {
    if (key->revoked || (key->expires_utc_us != 0 && key->expires_utc_us <= now_utc_us)) {
        return;
    }
    survey->active++;
    if (key->rotated || key->created_utc_us >= due_before_utc_us) {
        return;
    }
    survey->rotation_due++;
    if (survey->id_count < WEIR_KEYS_SURVEY_IDS) {
        memcpy(survey->ids[survey->id_count++], key->id, sizeof(key->id));
    }
}

bool weir_keys_survey(struct weir_keys *keys, size_t steps, int64_t now_utc_us, int64_t due_before_utc_us,
                      struct weir_keys_survey *survey) {
    const struct slots *slots = atomic_load_explicit(&keys->slots, memory_order_relaxed);
    if (keys->surveyed != slots || keys->survey_at == 0) { /* anew, also when the slots have grown meanwhile */
        keys->surveyed = slots;
        keys->survey_at = 0;
        keys->survey = (struct weir_keys_survey){.active = 0};
    }
    size_t end = slots->mask + 1 - keys->survey_at <= steps ? slots->mask + 1 : keys->survey_at + steps;
    for (; keys->survey_at < end; keys->survey_at++) {
        const struct row *row = atomic_load_explicit(&slots->at[keys->survey_at], memory_order_relaxed);
        if (row != NULL) {
            survey_key(&keys->survey, &row->key, now_utc_us, due_before_utc_us);
        }
    }
    if (end <= slots->mask) {
        return false;
    }
    *survey = keys->survey;
    keys->survey_at = 0;
    return true;
}
