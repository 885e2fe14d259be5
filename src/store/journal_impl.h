/* What the two ends of a journal share: the bytes of a segment, and the hand-over of segments to the writing end.
 *
 *   segment   64 bytes of header, records one after the other at multiples of 8, zeroes behind the last one
 *   header    "WEIRJNL1", segment bytes u32, worker u32, segment number u64, instance 16 bytes, zeroes,
 *             CRC-32 u32 of all before
 *   record    length u32 of what follows the head (0: not written yet; 0xFFFFFFFF: go on with the next segment),
 *             CRC-32 u32 of the payload started at the length, payload: form u8, then the
 *             fields in the order of journal_code.c
 *
 * Integers are little-endian. A payload whose fields change gets a new form: readers know every old one, so that a
 * newer program takes over what an older one has left behind.
 */
#ifndef WEIR_STORE_JOURNAL_IMPL_H
#define WEIR_STORE_JOURNAL_IMPL_H

#include "store/journal.h"

#include <stdatomic.h>

enum {
    STORE__SEGMENT_HEADER_BYTES = 64,
    STORE__RECORD_HEAD_BYTES = 8,
    STORE__MAX_STRING_BYTES = 512,
    /* Of a close that is written into the room kept back for it: */
    STORE__SHORT_STRING_BYTES = 64,
    STORE__SHORT_NAME_BYTES =
        200, /* workspace, provider and upstream model: issued ids belong to them, so they are whole; model, team and user: budgets do */
    STORE__SHORT_ISSUED_BYTES = 128, /* an id that was given out: without it its client loses what it stands for */
    STORE__USAGE_BYTES = 81,
    STORE__OPEN_FIXED_BYTES = 42 + STORE__USAGE_BYTES,
    STORE__OPEN_STRINGS = 12,
    STORE__OWNER_STRINGS = 3, /* the last ones, of forms with owners alone: team, user, family */
    STORE__CLOSE_FIXED_BYTES = 77 + STORE__USAGE_BYTES + 1 + 6,
    STORE__CLOSE_STRINGS = 17,
    STORE__ATTEMPT_FIXED_BYTES = 21,
    STORE__ATTEMPT_COST_BYTES = 8, /* of forms with owners */
    STORE__ATTEMPT_STRINGS = 3,
    STORE__MAX_OPEN_PAYLOAD = STORE__OPEN_FIXED_BYTES + STORE__OPEN_STRINGS * (2 + STORE__MAX_STRING_BYTES),
    STORE__MAX_CLOSE_PAYLOAD = STORE__CLOSE_FIXED_BYTES +
                               (STORE__CLOSE_STRINGS + (int)WEIR_MAX_ISSUED) * (2 + STORE__MAX_STRING_BYTES) +
                               (int)WEIR_MAX_ATTEMPTS * (STORE__ATTEMPT_FIXED_BYTES + STORE__ATTEMPT_COST_BYTES +
                                                         STORE__ATTEMPT_STRINGS * (2 + STORE__MAX_STRING_BYTES)),
    /* Path and detail are left out of it, and of attempts all texts but the provider's name where the attempt cost something. The client's request id is kept in full: it is at most WEIR_MAX_CLIENT_REQUEST_ID_BYTES long, twice the short
     * string. */
    STORE__SHORT_CLOSE_PAYLOAD = STORE__CLOSE_FIXED_BYTES + STORE__CLOSE_STRINGS * (2 + STORE__SHORT_STRING_BYTES) -
                                 2 * STORE__SHORT_STRING_BYTES + STORE__SHORT_STRING_BYTES +
                                 6 * (STORE__SHORT_NAME_BYTES - STORE__SHORT_STRING_BYTES) +
                                 (int)WEIR_MAX_ISSUED * (2 + STORE__SHORT_ISSUED_BYTES) +
                                 (int)WEIR_MAX_ATTEMPTS * (STORE__ATTEMPT_FIXED_BYTES + STORE__ATTEMPT_COST_BYTES +
                                                           STORE__ATTEMPT_STRINGS * 2 + STORE__SHORT_STRING_BYTES),
};
#define STORE__END_MARK 0xFFFFFFFFU

/* Bytes that a payload takes in a segment: with its head, at a multiple of 8. */
static inline size_t store__record_bytes(size_t payload) {
    return (STORE__RECORD_HEAD_BYTES + payload + 7U) & ~(size_t)7U;
}

/* --- journal_code.c: payloads, pure --- */
enum store__brevity { STORE__FULL, STORE__SHORT };
size_t store__open_payload_size(const struct weir_journal_open *open);
/* Writes exactly store__open_payload_size() bytes, at most STORE__MAX_OPEN_PAYLOAD. */
void store__open_encode(const struct weir_journal_open *open, char *out);
size_t store__close_payload_size(const struct weir_ledger_entry *entry, enum store__brevity brevity);
void store__close_encode(const struct weir_ledger_entry *entry, enum store__brevity brevity, char *out);
/* The form is the payload's first byte. Spans point into `payload`. WEIR_ECORRUPT. */
WEIR_MUST enum weir_status store__payload_decode(struct weir_span payload, struct weir_journal_record *record);

/* --- journal_read.c --- */
struct store__segment_header {
    struct weir_uuid instance;
    uint32_t worker;
    uint64_t number;
    uint32_t size;
};
void store__header_encode(const struct store__segment_header *header, char out[STORE__SEGMENT_HEADER_BYTES]);
/* WEIR_OK; WEIR_AGAIN: nothing is written yet; WEIR_ECORRUPT. */
WEIR_MUST enum weir_status store__header_decode(struct weir_span segment, struct store__segment_header *header);

/* --- segments.c --- */
/* One mapped segment. The store thread creates and frees it; between hand-over and its end mark the worker writes to
 * `at`. */
struct store__segment {
    struct store__segment *next;  /* in the series, oldest first: the store thread's */
    struct store__segment *spare; /* taken over but not begun: the worker's */
    char *at;
    size_t size;
    uint64_t number;
    bool synced;  /* wholly on the disk; the store thread's */
    bool damaged; /* to be set aside, not removed; the store thread's */
};

/* --- journal.c: the writing end --- */
struct weir_journal {
    struct store__segment *current;
    size_t offset;
    struct store__segment *spares, *spares_end; /* in order of number */
    uint64_t spare_count;
    uint64_t outstanding;        /* opens whose close is not written */
    void (*wake)(void *context); /* called when a segment was taken over, so that another is made; cheap */
    void *wake_context;
    char apart[64]; /* what follows is looked at by the store thread, what precedes is the worker's alone */
    _Atomic(struct store__segment *) next; /* put by the store thread when NULL, taken by the worker */
    _Atomic uint64_t written_bytes;        /* of records, since the start; the worker's */
    char apart_from_the_next[64];
};
/* `first` is an empty segment with its header. */
void store__journal_init(struct weir_journal *journal, struct store__segment *first, void (*wake)(void *),
                         void *context);
/* For the store thread: puts `segment` where the worker takes it. False: the last one was not taken yet. */
bool store__journal_offer(struct weir_journal *journal, struct store__segment *segment);

#endif
