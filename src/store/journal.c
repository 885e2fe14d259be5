/* The writing end of a journal: one worker's, one thread's. An append is a copy into mapped memory and one release
 * store; there is no system call and no allocation here, and nothing ever waits.
 *
 * The promise to keep: a request whose `open` was accepted can write its `close`, whatever happens to the disk
 * meanwhile. So with every open, room for one short close is kept back (a "slot"; strings cut), counted
 * over what is left of the current segment and all segments taken over. The invariant, true between any two calls:
 *
 *     slots(current) + slots(spares) >= outstanding
 *
 * A close is written in full whenever the invariant holds afterwards, else short into its slot. With room this never
 * happens; it is what a full disk looks like. Segments are taken over only when they are needed, so the store thread
 * keeps exactly one ahead in the normal course and as many as the outstanding requests need otherwise.
 */
#include "store/journal_impl.h"

enum { SLOT_BYTES = (STORE__RECORD_HEAD_BYTES + STORE__SHORT_CLOSE_PAYLOAD + 7) & ~7 };

/* Bytes that records can have, the end mark's head left out. */
static size_t usable(const struct store__segment *segment) {
    return segment->size - STORE__SEGMENT_HEADER_BYTES - STORE__RECORD_HEAD_BYTES;
}

static size_t left_in_current(const struct weir_journal *journal) {
    return journal->current->size - STORE__RECORD_HEAD_BYTES - journal->offset;
}

/* True when `size` bytes can be written with slots for `outstanding` closes remaining; *move: in the next spare. */
static bool fits(const struct weir_journal *journal, size_t size, uint64_t outstanding, bool *move) {
    size_t left = left_in_current(journal);
    uint64_t spare_slots = journal->spares != NULL ? usable(journal->spares) / SLOT_BYTES * journal->spare_count : 0;
    if (size <= left && (left - size) / SLOT_BYTES + spare_slots >= outstanding) {
        *move = false;
        return true;
    }
    if (journal->spares == NULL)
        return false;
    size_t whole = usable(journal->spares);
    if (size > whole)
        return false;
    *move = true;
    return (whole - size) / SLOT_BYTES + (spare_slots - whole / SLOT_BYTES) >= outstanding;
}

static bool take_next(struct weir_journal *journal) {
    if (atomic_load_explicit(&journal->next, memory_order_relaxed) == NULL)
        return false;
    struct store__segment *segment = atomic_exchange_explicit(&journal->next, NULL, memory_order_acq_rel);
    segment->spare = NULL;
    if (journal->spares == NULL) {
        journal->spares = segment;
    } else {
        journal->spares_end->spare = segment;
    }
    journal->spares_end = segment;
    journal->spare_count++;
    journal->wake(journal->wake_context);
    return true;
}

static bool find_room(struct weir_journal *journal, size_t size, uint64_t outstanding, bool *move) {
    return fits(journal, size, outstanding, move) || (take_next(journal) && fits(journal, size, outstanding, move));
}

static void store_length(char *at, uint32_t length) {
    __atomic_store_n((uint32_t *)(void *)at, length, __ATOMIC_RELEASE);
}

/* Ends the current segment and begins the next spare. The store thread may unmap the old one from here on. */
static void move_on(struct weir_journal *journal) {
    struct store__segment *next = journal->spares;
    journal->spares = next->spare;
    if (journal->spares == NULL)
        journal->spares_end = NULL;
    journal->spare_count--;
    char *mark = journal->current->at + journal->offset;
    journal->current = next;
    journal->offset = STORE__SEGMENT_HEADER_BYTES;
    store_length(mark, STORE__END_MARK);
}

static char *place(const struct weir_journal *journal) {
    return journal->current->at + journal->offset + STORE__RECORD_HEAD_BYTES;
}

/* The payload stands in place: the checksum, then the length that makes it a record. */
static void publish(struct weir_journal *journal, size_t payload) {
    char *at = journal->current->at + journal->offset;
    uint32_t length = (uint32_t)payload;
    uint32_t crc = weir_crc32c(length, weir_span_of(at + STORE__RECORD_HEAD_BYTES, payload));
    memcpy(at + 4, &crc, sizeof(crc));
    store_length(at, length);
    size_t size = store__record_bytes(payload);
    journal->offset += size;
    uint64_t written = atomic_load_explicit(&journal->written_bytes, memory_order_relaxed) + size;
    atomic_store_explicit(&journal->written_bytes, written, memory_order_release);
}

void store__journal_init(struct weir_journal *journal, struct store__segment *first, void (*wake)(void *),
                         void *context) {
    memset(journal, 0, sizeof(*journal));
    journal->current = first;
    journal->offset = STORE__SEGMENT_HEADER_BYTES;
    journal->wake = wake;
    journal->wake_context = context;
    atomic_init(&journal->next, NULL);
    atomic_init(&journal->written_bytes, 0);
}

bool store__journal_offer(struct weir_journal *journal, struct store__segment *segment) {
    if (atomic_load_explicit(&journal->next, memory_order_relaxed) != NULL)
        return false;
    atomic_store_explicit(&journal->next, segment, memory_order_release);
    return true;
}

bool weir_journal_ready(struct weir_journal *journal) {
    size_t both = store__record_bytes(STORE__MAX_OPEN_PAYLOAD) + store__record_bytes(STORE__MAX_CLOSE_PAYLOAD);
    bool move;
    return find_room(journal, both, journal->outstanding, &move);
}

enum weir_status weir_journal_append_open(struct weir_journal *journal, const struct weir_journal_open *open) {
    size_t payload = store__open_payload_size(open);
    bool move;
    if (!find_room(journal, store__record_bytes(payload), journal->outstanding + 1, &move))
        return WEIR_EFULL;
    if (move)
        move_on(journal);
    store__open_encode(open, place(journal));
    publish(journal, payload);
    journal->outstanding++;
    return WEIR_OK;
}

enum weir_status weir_journal_append_close(struct weir_journal *journal, const struct weir_ledger_entry *entry) {
    weir_bug_on(entry->attempt_count > WEIR_MAX_ATTEMPTS || entry->issued_count > WEIR_MAX_ISSUED);
    uint64_t remaining = journal->outstanding > 0 ? journal->outstanding - 1 : 0;
    enum store__brevity brevity = STORE__FULL;
    size_t payload = store__close_payload_size(entry, brevity);
    bool move;
    if (!find_room(journal, store__record_bytes(payload), remaining, &move)) {
        brevity = STORE__SHORT;
        payload = store__close_payload_size(entry, brevity);
        if (!find_room(journal, store__record_bytes(payload), remaining, &move)) {
            weir_bug_on(journal->outstanding > 0);
            return WEIR_EFULL;
        }
    }
    if (move)
        move_on(journal);
    store__close_encode(entry, brevity, place(journal));
    publish(journal, payload);
    journal->outstanding = remaining;
    return WEIR_OK;
}

enum weir_status weir_journal_append_unbilled(struct weir_journal *journal, const struct weir_ledger_entry *entry) {
    weir_bug_on(!entry->unbilled || entry->attempt_count != 0 || entry->issued_count != 0);
    size_t payload = store__close_payload_size(entry, STORE__FULL);
    size_t both = store__record_bytes(STORE__MAX_OPEN_PAYLOAD) + store__record_bytes(STORE__MAX_CLOSE_PAYLOAD);
    bool move;
    if (!find_room(journal, store__record_bytes(payload) + both, journal->outstanding, &move))
        return WEIR_EFULL;
    if (move)
        move_on(journal);
    store__close_encode(entry, STORE__FULL, place(journal));
    publish(journal, payload);
    return WEIR_OK;
}
