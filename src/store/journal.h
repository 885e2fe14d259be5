/* The journal: append-only segments, one series per instance and worker, written through memory mappings.
 *
 * A worker appends `open` before a request's first attempt leaves and `close` before its terminal bytes. An append is
 * a copy into a mapped segment: it never waits for a disk, and it survives the process's death. Segments are of fixed
 * size and are preallocated (really, with posix_fallocate) ahead by the store thread; the file name carries instance
 * id, worker, number. A record is: length, CRC-32, kind, payload; the length is written last with release order, so
 * that a reader never sees half a record, and a torn one fails its checksum.
 *
 *   <data>/journal/<instance uuid>-<worker>-<segment number>.wj
 *
 * One worker appends (one thread); the store thread reads, preallocates and deletes what is ingested.
 */
#ifndef WEIR_STORE_JOURNAL_H
#define WEIR_STORE_JOURNAL_H

#include "base/arena.h"
#include "store/ledger.h"

struct weir_journal; /* one worker's writing end */

enum { WEIR_JOURNAL_SEGMENT_BYTES = 4 * 1024 * 1024 };

/* What `open` records: enough to settle the request at its reservation if no `close` follows. */
struct weir_journal_open {
    struct weir_uuid request_id;
    int64_t start_utc_us;
    int64_t reserved_cu_milli;
    struct weir_usage reserved; /* worst case */
    uint64_t revision;
    bool stream;
    bool unpriced;
    struct weir_span key_id, workspace, endpoint, model, provider, upstream_model, price_version, client_request_id,
        tags;
    struct weir_span team, user, family; /* as in the ledger entry */
};

/* True when the two next records of any size are sure to fit: asked before a request is promised anything. Also the
 * place where the next segment is taken over from the store thread. */
bool weir_journal_ready(struct weir_journal *journal);
/* WEIR_EFULL when there is no segment to write to. A request whose `open` was accepted can always write its `close`:
 * room for it is kept back. Strings longer than 512 bytes are cut (between UTF-8 characters). In the room kept back,
 * which is used only when there is no other, a close has its strings cut to 64 bytes, but the client's request id to
 * 128 and workspace, provider and upstream model to 200, and its path, its detail and its attempts' strings left out. Issued ids are never cut,
 * since a piece of an id names something else: one of over 512 bytes, or 128 in the room kept back, is left out. Each
 * accepted open is followed by exactly one close. */
WEIR_MUST enum weir_status weir_journal_append_open(struct weir_journal *journal, const struct weir_journal_open *open);
WEIR_MUST enum weir_status weir_journal_append_close(struct weir_journal *journal,
                                                     const struct weir_ledger_entry *entry);
/* The record of a request that was never opened (entry->unbilled): it reached no provider. Written only where all that is
 * promised has room besides, and an open and its close, too; WEIR_EFULL otherwise, and that is no failure. */
WEIR_MUST enum weir_status weir_journal_append_unbilled(struct weir_journal *journal,
                                                        const struct weir_ledger_entry *entry);

/* --- reading, for the store thread, tests and fuzzing --- */
/* What a record is, whatever form it was written in. */
enum weir_journal_kind { WEIR_JOURNAL_OPEN = 1, WEIR_JOURNAL_CLOSE = 2 };
struct weir_journal_record {
    enum weir_journal_kind kind;
    struct weir_journal_open open;
    struct weir_ledger_entry close;
};
/* Reads the record at *offset of a segment's bytes and moves *offset behind it. WEIR_OK; WEIR_AGAIN: nothing more is
 * written yet; WEIR_END: the segment is closed, go on with the next; WEIR_ECORRUPT. Spans point into `segment`, whose
 * first byte lies at a multiple of 8, as in a mapping or from malloc. What `record` holds is whole on WEIR_OK only. */
WEIR_MUST enum weir_status weir_journal_read(struct weir_span segment, size_t *offset,
                                             struct weir_journal_record *record);

#endif
